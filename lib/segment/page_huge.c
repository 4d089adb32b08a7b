// SPDX-License-Identifier: MIT
/*
 * page_huge.c - huge pages for a segment that grows, on tmpfs
 *
 * The kernel collapses a block of 2 MiB into one page in 0.1 ms, a seventh of what it
 * takes for 512 small ones. But first it waits for all CPUs to put their new pages into
 * its lists: on a busy machine that takes as long as it takes a kernel thread to run on
 * each, 5 to 40 ms; and if no large page is free, it compacts memory, some milliseconds for
 * each. So a publisher that needs whole blocks at once tries it with one by itself, and goes
 * on if that was quick; one that will need another block soon has it made by a thread.
 *
 * Only blocks in which nothing is committed yet are collapsed: nobody uses them, so nobody
 * has to wait for the kernel to copy and to map them again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <shmipc/ring.h>

#include "segment/limit.h"
#include "segment/page.h"
#include "segment/segment.h"

#define STACK	65536
#define TRIES	3

/* What the thread works on. It has a mapping of its own, and no descriptor. */
static struct {
	uint32_t runs;		/* one at a time */
	unsigned char *base;
	uint64_t bytes;
} soon;

/* Does the file system have room for so much? */
static bool has_room(int fd, uint64_t bytes)
{
	struct statfs s;

	return !fstatfs(fd, &s) && (!s.f_blocks ||	/* no limit */
				    (uint64_t)s.f_bavail * (uint64_t)s.f_bsize >= bytes);
}

/* What has been committed is data, as it was populated. */
static bool is_empty(int fd, uint64_t off, uint64_t bytes)
{
	off_t data = lseek(fd, (off_t)off, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= off + bytes;
}

static void finish(void)
{
	(void)munmap(soon.base, soon.bytes);
	/* pages.J0 -> pages.J1: we have finished with the rest. */
	shmipc_store_release(&soon.runs, (uint32_t)0);
}

static void *run(void *arg)
{
	int tries = 0;

	(void)arg;
	(void)prctl(PR_SET_NAME, "shmipc-pages");
	while (shmipc_pages_collapse(-1, soon.base, 0, soon.bytes) == -EAGAIN && tries++ < TRIES)
		continue;	/* pages were in use, for a moment */
	finish();
	return NULL;
}

static int start(void)
{
	size_t stack = STACK, least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
	sigset_t all, old;
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	(void)pthread_attr_init(&attr);
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attr, stack < least ? least : stack);
	/* Signals are for the program's threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&thread, &attr, run, NULL);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return -ret;
}

static int begin(int fd, uint64_t off, uint64_t bytes)
{
	int ret;

	/* In a child there would be a mapping that nobody knows. */
	shmipc_fork_hold();
	soon.bytes = bytes;
	soon.base = NULL;
	ret = shmipc_pages_map_part(&soon.base, fd, off, bytes, PROT_READ | PROT_WRITE,
				    SHMIPC_PAGE_2M);
	if (!ret && madvise(soon.base, bytes, MADV_DONTFORK))
		ret = -errno;
	shmipc_fork_release();
	return ret;
}

static int commit_soon(int fd, uint64_t off, uint64_t bytes)
{
	uint32_t was = 0;
	uint64_t at;
	int ret = 0;

	/* pages.J1 <- pages.J0 */
	if (!shmipc_cas_acq_rel(&soon.runs, &was, (uint32_t)1))
		return -EBUSY;
	/* The thread has no descriptor; a page of each block must be there. */
	for (at = off; at < off + bytes && !ret; at += SHMIPC_PAGE_2M)
		ret = shmipc_pages_reserve(fd, at, SHMIPC_CTL_PAGE);
	soon.base = NULL;
	if (!ret)
		ret = begin(fd, off, bytes);
	if (!ret)
		ret = start();
	if (ret && soon.base)
		(void)munmap(soon.base, bytes);
	if (ret)
		/* pages.J0 -> pages.J1 */
		shmipc_store_release(&soon.runs, (uint32_t)0);
	return ret;
}

/**
 * shmipc_pages_commit_huge - commit whole blocks of 2 MiB in pages of that size
 * @fd:    the file, which is on tmpfs
 * @base:  where all of it is mapped, writable; NULL: later, on another thread
 * @off:   a multiple of 2 MiB, and so is ...
 * @bytes: ... this
 *
 * Return: 0; -EAGAIN, -ENOSPC, -EBUSY, -errno: as the backend's commit_huge.
 */
int shmipc_pages_commit_huge(int fd, unsigned char *base, uint64_t off, uint64_t bytes)
{
	uint64_t began;
	int ret;

	if (fd < 0 || shmipc_pages_of_fs(fd))
		return -EOPNOTSUPP;
	if (!is_empty(fd, off, bytes))
		return -EAGAIN;
	if (!has_room(fd, bytes + SHMIPC_PAGES_SPARE) || shmipc_limit_take(bytes))
		return -ENOSPC;
	if (!base)
		return commit_soon(fd, off, bytes);
	began = shmipc_now_ns();
	ret = shmipc_pages_collapse(fd, base, off, SHMIPC_PAGE_2M);
	if (!ret && bytes > SHMIPC_PAGE_2M)
		ret = shmipc_now_ns() - began > SHMIPC_PAGES_NS_MAX ? -EBUSY :
		      shmipc_pages_collapse(fd, base, off + SHMIPC_PAGE_2M, bytes - SHMIPC_PAGE_2M);
	return ret ? ret : shmipc_pages_fault_in(base + off, bytes);
}

/* Have the kernel map the huge page of each block that has one: a byte of it is enough. */
static void map_blocks(int fd, unsigned char *base, uint64_t bytes)
{
	uint64_t at;

	for (at = 0; at + SHMIPC_PAGE_2M <= bytes; at += SHMIPC_PAGE_2M)
		if (lseek(fd, (off_t)at, SEEK_DATA) == (off_t)at)
			(void)madvise(base + at, SHMIPC_CTL_PAGE, MADV_POPULATE_READ);
}

/* Kilobytes in a line of smaps that counts huge pages. */
static unsigned long huge_kib(const char *line)
{
	static const char *const keys[] = { "ShmemPmdMapped:", "FilePmdMapped:" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strncmp(line, keys[i], strlen(keys[i])))
			return strtoul(line + strlen(keys[i]), NULL, 10);
	return 0;
}

/**
 * shmipc_pages_huge - how much of a segment is in huge pages
 * @fd:    the file
 * @base:  where it is mapped, at a multiple of 2 MiB
 * @bytes: of it
 *
 * For people: it reads /proc/self/smaps, which takes long in a process with many mappings.
 *
 * Return: bytes; 0 also if it is not known.
 */
uint64_t shmipc_pages_huge(int fd, unsigned char *base, uint64_t bytes)
{
	uintptr_t from, to;
	uint64_t huge = 0;
	bool ours = false;
	char line[512];
	FILE *smaps;

	if (shmipc_pages_of_fs(fd))
		return shmipc_pages_used(fd, base, bytes, &huge) ? 0 : huge;
	shmipc_fork_hold();	/* no child inherits the descriptor */
	smaps = fopen("/proc/self/smaps", "re");
	if (smaps)
		map_blocks(fd, base, bytes);
	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2)
			ours = from >= (uintptr_t)base && to <= (uintptr_t)base + bytes;
		else if (ours)
			huge += huge_kib(line) * 1024;
	}
	if (smaps)
		(void)fclose(smaps);
	shmipc_fork_release();
	return huge;
}

/* In a child: the thread does not exist there, nor does its mapping. */
void shmipc_pages_after_fork(void)
{
	soon.runs = 0;
}
