/* SPDX-License-Identifier: MIT */
/* page.h - memory for segments: page size, NUMA node, allocation */
#ifndef SHMIPC_LIB_PAGE_H
#define SHMIPC_LIB_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shmipc/segment.h>

struct shmipc_pages {
	uint64_t asked;
	uint64_t got;
	uint64_t fs_page;	/* hugetlbfs: its page; else 0 */
	int node_asked;		/* -1 any */
	int node_got;
	bool lazy;		/* a topic's: what is not needed at first comes when it is */
	uint64_t first_bytes;	/* of the data, to be had at first; 0: all */
};

uint64_t shmipc_pages_data_align(const struct shmipc_pages *p, uint64_t data_bytes);
unsigned char *shmipc_pages_map(int fd, size_t bytes, int prot, uint64_t align);
int shmipc_pages_populate(struct shmipc_pages *p, int fd, unsigned char *base, uint64_t bytes,
			  uint64_t ctl_bytes, uint64_t data_off);
uint64_t shmipc_pages_of_fs(int fd);

/* The backend's ops of the same name, for a file or for private memory (-1); in whole pages. */
int shmipc_pages_commit(int fd, unsigned char *base, uint64_t off, uint64_t bytes);
int shmipc_pages_uncommit(int fd, unsigned char *base, uint64_t off, uint64_t bytes);
int shmipc_pages_used(int fd, unsigned char *base, uint64_t bytes, uint64_t *ret_bytes);
/* Is it all there to be read? Takes none. 0; -EFAULT: no; -errno: who knows. */
int shmipc_pages_see(unsigned char *base, uint64_t off, uint64_t bytes);
/* Is [*@off, *@off + *@bytes) in a segment of @all? Then widen or narrow it to whole pages. */
bool shmipc_pages_within(uint64_t all, uint64_t page, uint64_t *off, uint64_t *bytes, bool widen);

#endif /* SHMIPC_LIB_PAGE_H */
