/* SPDX-License-Identifier: MIT */
/*
 * mem.h - memory for a ring, with a guard page on both sides
 *
 * A ring works in any memory that the caller gives. The tests give it four
 * kinds; all but the odd one end right before a page that cannot be touched.
 */
#ifndef TEST_MEM_H
#define TEST_MEM_H

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum mem_kind {
	MEM_PRIVATE,	/* que: process-private memory */
	MEM_SHARED,	/* que: shared memory */
	MEM_MEMFD,	/* the same, from a descriptor */
	MEM_ODD,	/* aligned to 64 bytes, not to a page */
};

struct mem {
	unsigned char *ptr;
	size_t bytes;
	unsigned char *map;
	size_t map_bytes;
};

/* 0 or -1. All zero. */
static inline int mem_get(struct mem *m, enum mem_kind kind, size_t bytes)
{
	const size_t guard = 4096;
	size_t shift = kind == MEM_ODD ? 64 : 0;
	size_t body = (bytes + shift + 4095) & ~(size_t)4095;
	int flags = (kind == MEM_PRIVATE || kind == MEM_ODD ? MAP_PRIVATE : MAP_SHARED) |
		    MAP_FIXED | MAP_NORESERVE;
	int fd = -1;

	m->map_bytes = body + 2 * guard;
	m->map = (unsigned char *)mmap(NULL, m->map_bytes, PROT_NONE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->map == MAP_FAILED)
		return -1;
	if (kind == MEM_MEMFD) {
		fd = memfd_create("shmipc-test", MFD_CLOEXEC);
		if (fd < 0 || ftruncate(fd, (off_t)body))
			return -1;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	if (mmap(m->map + guard, body, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED)
		return -1;
	if (fd >= 0)
		close(fd);
	m->ptr = m->map + guard + shift;
	m->bytes = bytes;
	return 0;
}

static inline void mem_put(struct mem *m)
{
	if (m->map)
		munmap(m->map, m->map_bytes);
	m->map = NULL;
}

#endif /* TEST_MEM_H */
