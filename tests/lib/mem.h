/* SPDX-License-Identifier: MIT */
/*
 * mem.h - memory for a ring, with a guard page on both sides
 *
 * A ring works in any memory that the caller provides. The tests use five kinds; all but
 * the odd one end directly before an inaccessible page.
 */
#ifndef TEST_MEM_H
#define TEST_MEM_H

#include <fcntl.h>
#include <stdint.h>
#include <linux/shmipc.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum mem_kind {
	MEM_PRIVATE,	/* que: process-private memory */
	MEM_SHARED,	/* que: shared memory */
	MEM_MEMFD,	/* the same, from a descriptor */
	MEM_ODD,	/* aligned to 64 bytes, not to a page */
	MEM_DEV,	/* of the kernel module: see MEM_NEED() */
};

/* At the start of a fixture's setup: skip if such memory is not available. */
#define MEM_NEED(kind)							\
	if ((kind) == MEM_DEV && access(SHMIPC_DEVICE, R_OK | W_OK))	\
		SKIP(longjmp(_metadata->env, 1), SHMIPC_DEVICE " cannot be used: load the module, or join its group")

struct mem {
	unsigned char *ptr;
	size_t bytes;
	unsigned char *map;
	size_t map_bytes;
};

/* A descriptor of @bytes of the module's memory, and where they begin; or -1. */
static inline int mem_dev(size_t bytes, off_t *ret_off)
{
	const uint64_t off = SHMIPC_DEV_BODY_OFF(2);
	struct shmipc_dev_region all = { .off = off, .bytes = bytes, .roles = 1 };
	struct shmipc_dev_create r = { .size = sizeof(r), .kind = SHMIPC_KIND_RAW, .mode = 0600,
				       .peers = 2, .nregions = 1, .data_off = off,
				       .data_bytes = bytes, .regions = (uintptr_t)&all };
	int dev = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC);
	int fd = ioctl(dev, SHMIPC_IOC_CREATE, &r);

	*ret_off = (off_t)off;
	if (dev >= 0)
		close(dev);
	return fd;
}

/* 0 or -1. All zero. */
static inline int mem_get(struct mem *m, enum mem_kind kind, size_t bytes)
{
	const size_t guard = 4096;
	size_t shift = kind == MEM_ODD ? 64 : 0;
	size_t body = (bytes + shift + 4095) & ~(size_t)4095;
	int flags = (kind == MEM_PRIVATE || kind == MEM_ODD ? MAP_PRIVATE : MAP_SHARED) |
		    MAP_FIXED | MAP_NORESERVE;
	off_t off = 0;
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
	} else if (kind == MEM_DEV) {
		fd = mem_dev(body, &off);
		if (fd < 0)
			return -1;
	} else {
		flags |= MAP_ANONYMOUS;
	}
	if (mmap(m->map + guard, body, PROT_READ | PROT_WRITE, flags, fd, off) == MAP_FAILED)
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
