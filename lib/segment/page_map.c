// SPDX-License-Identifier: MIT
/*
 * page_map.c - mapping segments, also in a process that locks its memory
 *
 * After mlockall(MCL_FUTURE) the kernel locks each new mapping: it counts as a whole
 * against RLIMIT_MEMLOCK, also while it only reserves addresses, and it is filled at
 * once, although most of a topic is a hole that takes memory as it is used. So the
 * reservation is unlocked again, and the mapping is locked page by page, as the pages
 * come (MLOCK_ONFAULT).
 */
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/base.h"
#include "segment/page.h"

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

#define PAGE	((size_t)SHMIPC_CTL_PAGE)

/* Is a new mapping locked? Then it is filled at once. */
static bool locks_new(void)
{
	unsigned char is = 0;
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return errno == EAGAIN;
	(void)mincore(p, PAGE, &is);
	(void)munmap(p, PAGE);
	return is & 1;
}

/* -EAGAIN means that too much would be locked. It has another meaning for our callers. */
static int reason(const char *call)
{
	return shmipc_failed_call(call, errno == EAGAIN ? ENOMEM : errno);
}

static int map_at(unsigned char *at, size_t bytes, int prot, int fd, int64_t off, bool locks)
{
	/* hugetlbfs would set pages aside for all of it. Nothing is touched without a page. */
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED | MAP_NORESERVE);

	if (!locks || fd < 0)
		return mmap(at, bytes, prot, flags, fd, off) == MAP_FAILED ? reason("mmap") : 0;
	/* Nothing that may not be accessed is filled. */
	if (mmap(at, bytes, PROT_NONE, flags, fd, off) == MAP_FAILED)
		return reason("mmap");
	(void)munlock(at, bytes);
	/* Fails for memory of the device, which is pinned anyway. */
	(void)syscall(SYS_mlock2, at, bytes, MLOCK_ONFAULT);
	return mprotect(at, bytes, prot) ? reason("mprotect") : 0;
}

int shmipc_pages_map_over(unsigned char *at, size_t bytes, int prot, int fd, uint64_t off)
{
	/* The device admits to a mapping what it is made with, and nothing more later. */
	return map_at(at, bytes, prot, fd, (int64_t)off, false);
}

/* Addresses, a multiple of @align unless it is too small for a page of that size. */
static unsigned char *reserve(size_t bytes, uint64_t align, bool locks)
{
	size_t room = bytes < align ? bytes : bytes + align;
	unsigned char *hole, *base;

	hole = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hole == MAP_FAILED)
		return NULL;
	if (locks)
		(void)munlock(hole, room);
	base = room == bytes ? hole : hole + (align - (uintptr_t)hole % align) % align;
	if (base > hole)
		(void)munmap(hole, (size_t)(base - hole));
	if (hole + room > base + bytes)
		(void)munmap(base + bytes, (size_t)(hole + room - (base + bytes)));
	return base;
}

int shmipc_pages_map_part(unsigned char **ret, int fd, uint64_t off, size_t bytes, int prot,
			  uint64_t align)
{
	bool locks = locks_new();
	unsigned char *base = reserve(bytes, align, locks);
	int err;

	if (!base)
		return reason("mmap");
	err = map_at(base, bytes, prot, fd, (int64_t)off, locks);
	if (err)
		(void)munmap(base, bytes);
	else
		*ret = base;
	return err;
}

int shmipc_pages_map(unsigned char **ret, int fd, size_t bytes, int prot, uint64_t align)
{
	return shmipc_pages_map_part(ret, fd, 0, bytes, prot, align);
}

/* For the text of a failure: what to do about it. */
const char *shmipc_pages_advice(int err)
{
	struct rlimit l;

	if (err != -ENOMEM)
		return shmipc_advice(err);
	if (locks_new())
		return "; this process locks its memory (mlockall): raise RLIMIT_MEMLOCK (ulimit -l), or make it smaller";
	if (!getrlimit(RLIMIT_AS, &l) && l.rlim_cur != RLIM_INFINITY)
		return "; the addresses of this process are limited: raise RLIMIT_AS (ulimit -v), or make it smaller";
	return "";
}
