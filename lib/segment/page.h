/* SPDX-License-Identifier: MIT */
/* page.h - memory for segments: page size, NUMA node, allocation */
#ifndef SHMIPC_LIB_PAGE_H
#define SHMIPC_LIB_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include <shmipc/segment.h>

/* Room for the rest of a request that is committed after its blocks of 2 MiB. */
#define SHMIPC_PAGES_SPARE	(2 * SHMIPC_PAGE_2M)
/* A block that takes longer than this costs more than in small pages. */
#define SHMIPC_PAGES_NS_MAX	UINT64_C(1000000)

/* Older C libraries, and others, lack them. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

struct shmipc_pages {
	uint64_t asked;
	uint64_t got;
	uint64_t fs_page;	/* hugetlbfs: its page; else 0 */
	int node_asked;		/* -1 any */
	int node_got;
	bool lazy;		/* a topic's: what is not needed at first comes when it is */
	uint64_t first_bytes;	/* of the data, allocated at first; 0: all */
};

uint64_t shmipc_pages_data_align(const struct shmipc_pages *p, uint64_t data_bytes);
int shmipc_pages_reserve(int fd, uint64_t off, uint64_t bytes);
int shmipc_pages_collapse(int fd, unsigned char *base, uint64_t off, uint64_t bytes);
int shmipc_pages_fault_in(unsigned char *at, uint64_t bytes);

/* page_map.c: a whole file, or private memory (-1). 0; -errno, and *@ret is as before */
int shmipc_pages_map(unsigned char **ret, int fd, size_t bytes, int prot, uint64_t align);
/* A part of it. */
int shmipc_pages_map_part(unsigned char **ret, int fd, uint64_t off, size_t bytes, int prot,
			  uint64_t align);
/* A part of a file, over what is mapped at @at. 0; -errno */
int shmipc_pages_map_over(unsigned char *at, size_t bytes, int prot, int fd, uint64_t off);
const char *shmipc_pages_advice(int err);

int shmipc_pages_populate(struct shmipc_pages *p, int fd, unsigned char *base, uint64_t bytes,
			  uint64_t ctl_bytes, uint64_t data_off);
uint64_t shmipc_pages_of_fs(int fd);

/* The backend's ops of the same name, for a file or for private memory (-1); in whole pages. */
int shmipc_pages_commit(int fd, unsigned char *base, uint64_t off, uint64_t bytes);
int shmipc_pages_uncommit(int fd, unsigned char *base, uint64_t off, uint64_t bytes,
			  uint64_t *ret_bytes);
int shmipc_pages_used_in(int fd, unsigned char *base, uint64_t off, uint64_t bytes,
			 uint64_t *ret_bytes);
int shmipc_pages_used(int fd, unsigned char *base, uint64_t bytes, uint64_t *ret_bytes);
/* Can all of it be read? Allocates nothing. 0; -EFAULT: no; -errno: not known. */
int shmipc_pages_see(unsigned char *base, uint64_t off, uint64_t bytes);
/* Is [*@off, *@off + *@bytes) in a segment of @all? Then widen or narrow it to whole pages. */
bool shmipc_pages_within(uint64_t all, uint64_t page, uint64_t *off, uint64_t *bytes, bool widen);

/* page_huge.c: the op commit_huge; @base: NULL: later, on another thread */
int shmipc_pages_commit_huge(int fd, unsigned char *base, uint64_t off, uint64_t bytes);
uint64_t shmipc_pages_huge(int fd, unsigned char *base, uint64_t bytes);
void shmipc_pages_after_fork(void);

#endif /* SHMIPC_LIB_PAGE_H */
