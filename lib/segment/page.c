// SPDX-License-Identifier: MIT
/*
 * page.c - memory for segments: page size, NUMA node, allocation
 *
 * On tmpfs 2 MiB pages are made by MADV_COLLAPSE, whatever the system's settings for
 * transparent huge pages; on hugetlbfs every page is a huge one. Which pages were
 * obtained is checked here and reported, never assumed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <shmipc/ring.h>

#include "base/base.h"
#include "segment/limit.h"
#include "segment/page.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define HUGETLBFS_MAGIC_NR	0x958458f6
#define NODES_MAX		1024
#define PEEK_AT_ONCE		64

/* Page size of a hugetlbfs file, or 0 for another file system. */
uint64_t shmipc_pages_of_fs(int fd)
{
	struct statfs s;

	if (fd < 0 || fstatfs(fd, &s) || s.f_type != HUGETLBFS_MAGIC_NR)
		return 0;
	return (uint64_t)s.f_bsize;
}

/* The alignment of the data: a huge page, if they can have one. */
uint64_t shmipc_pages_data_align(const struct shmipc_pages *p, uint64_t data_bytes)
{
	if (p->fs_page || p->asked == SHMIPC_PAGE_4K || data_bytes < SHMIPC_PAGE_2M)
		return SHMIPC_CTL_PAGE;
	return SHMIPC_PAGE_2M;
}

static int bind_node(unsigned char *base, uint64_t bytes, int node)
{
	unsigned long mask[NODES_MAX / (8 * sizeof(unsigned long))] = { 0 };
	unsigned int bits = 8 * sizeof(unsigned long);

	if (node < 0)
		return 0;
	if (node >= NODES_MAX)
		return shmipc_failed_call("mbind", EINVAL);
	mask[(unsigned int)node / bits] |= 1ul << ((unsigned int)node % bits);
	return syscall(SYS_mbind, base, bytes, MPOL_BIND, mask, NODES_MAX, 0) ? shmipc_sys("mbind") : 0;
}

static int node_of(unsigned char *addr)
{
	int node = -1;

	if (syscall(SYS_get_mempolicy, &node, NULL, 0, addr, MPOL_F_NODE | MPOL_F_ADDR))
		return -1;
	return node;
}

/*
 * Memory of the file. A signal that comes meanwhile undoes all of the call: then in smaller
 * parts, and the memory of each stays, so that a program with a fast timer gets it, too.
 */
int shmipc_pages_reserve(int fd, uint64_t off, uint64_t bytes)
{
	uint64_t end = off + bytes, n = bytes;

	while (off < end) {
		n = n < end - off ? n : end - off;
		if (!fallocate(fd, 0, (off_t)off, (off_t)n))
			off += n;
		else if (errno != EINTR)
			return shmipc_sys("fallocate");
		else if (n > SHMIPC_CTL_PAGE)
			n = shmipc_priv_round_up(n / 2, SHMIPC_CTL_PAGE);
	}
	return 0;
}

/*
 * 2 MiB pages for the whole ones in [@off, @off + @bytes): a page of each must exist before
 * it can be collapsed; fallocate provides it without a risk of SIGBUS. One call for all:
 * each makes the kernel wait for all CPUs to put their new pages into its lists.
 *
 * Return: 0; -errno: not all of them could be had.
 */
int shmipc_pages_collapse(int fd, unsigned char *base, uint64_t off, uint64_t bytes)
{
	uint64_t end = (off + bytes) / SHMIPC_PAGE_2M * SHMIPC_PAGE_2M, at;
	int ret = 0;

	if (end <= off)
		return -EINVAL;
	for (at = off; fd >= 0 && at < end && !ret; at += SHMIPC_PAGE_2M)
		ret = shmipc_pages_reserve(fd, at, SHMIPC_CTL_PAGE);
	if (ret)
		return ret;
	return madvise(base + off, end - off, MADV_COLLAPSE) ? -errno : 0;
}

/* Page tables for what is there, so that the first use takes no faults. */
int shmipc_pages_fault_in(unsigned char *at, uint64_t bytes)
{
	int ret;

	do
		ret = madvise(at, bytes, MADV_POPULATE_WRITE);
	while (ret && (errno == EINTR || errno == EAGAIN));
	/* EINVAL: before Linux 5.14; the others: a sandbox refuses it */
	if (!ret || errno == EINVAL || errno == EPERM || errno == ENOSYS)
		return 0;
	return shmipc_failed_call("madvise", errno == EFAULT ? ENOMEM : errno);
}

static int take(int fd, unsigned char *base, uint64_t off, uint64_t bytes)
{
	int ret = fd < 0 ? 0 : shmipc_pages_reserve(fd, off, bytes);

	return ret ? ret : shmipc_pages_fault_in(base + off, bytes);
}

/**
 * shmipc_pages_populate - get the memory of a new segment
 * @p:         the request; what was obtained is filled in
 * @fd:        the file, already of the right length; -1 for private memory
 * @base:      where it is mapped, writable
 * @bytes:     of the mapping
 * @ctl_bytes: control pages at its start
 * @data_off:  where the data begin; the bytes between are never touched
 *
 * Return: 0; -ENOSPC, -ENOMEM; -EINVAL for a node that does not exist.
 */
int shmipc_pages_populate(struct shmipc_pages *p, int fd, unsigned char *base, uint64_t bytes,
			  uint64_t ctl_bytes, uint64_t data_off)
{
	uint64_t data_bytes = bytes - data_off;
	int ret = bind_node(base, bytes, p->node_asked);

	if (!ret && !p->fs_page)
		ret = shmipc_limit_take(ctl_bytes + (p->first_bytes ? p->first_bytes : data_bytes));
	if (ret)
		return ret;
	p->got = p->fs_page ? p->fs_page : SHMIPC_PAGE_4K;
	if (p->first_bytes) {
		ret = take(fd, base, 0, ctl_bytes);
		if (!ret)
			ret = take(fd, base, data_off, p->first_bytes);
	} else if (p->fs_page) {
		ret = take(fd, base, 0, bytes);
	} else {
		if (shmipc_pages_data_align(p, data_bytes) == SHMIPC_PAGE_2M) {
			if (fd < 0)
				ret = take(fd, base, data_off, data_bytes);
			if (!ret && !shmipc_pages_collapse(fd, base, data_off, data_bytes))
				p->got = SHMIPC_PAGE_2M;
		}
		if (!ret)
			ret = take(fd, base, 0, ctl_bytes);
		if (!ret)
			ret = take(fd, base, data_off, data_bytes);
	}
	if (!ret)
		p->node_got = node_of(base + data_off);
	return ret;
}

/* Control groups kill. What is there already takes nothing, nor do pages of hugetlbfs. */
static int within_limit(int fd, unsigned char *base, uint64_t off, uint64_t bytes)
{
	uint64_t used = 0;
	int ret = shmipc_limit_take(bytes);

	if (!ret || shmipc_pages_of_fs(fd))
		return 0;
	if (shmipc_pages_used_in(fd, base, off, bytes, &used) || !used)
		return ret;
	return used < bytes ? shmipc_limit_take(bytes - used) : 0;
}

/**
 * shmipc_pages_commit - make a part of a segment real
 * @fd:    the file, or -1
 * @base:  where all of it is mapped, writable
 * @off:   a multiple of the page size, and so is ...
 * @bytes: ... this
 *
 * In one step, so that a part that is too large takes nothing, unless a signal comes.
 *
 * Return: 0; -ENOSPC, -ENOMEM, -errno.
 */
int shmipc_pages_commit(int fd, unsigned char *base, uint64_t off, uint64_t bytes)
{
	int ret = bytes ? within_limit(fd, base, off, bytes) : 0;

	return ret || !bytes ? ret : take(fd, base, off, bytes);
}

/* Before Linux 5.14, or in a sandbox: a byte of each page, read by the kernel, which gets no SIGBUS. */
static int peek_pages(unsigned char *base, uint64_t off, uint64_t end)
{
	struct iovec to[PEEK_AT_ONCE], from[PEEK_AT_ONCE];
	unsigned char byte;
	unsigned long n;
	ssize_t got;

	while (off < end) {
		for (n = 0; n < PEEK_AT_ONCE && off < end; n++, off += SHMIPC_CTL_PAGE) {
			to[n] = (struct iovec){ &byte, 1 };
			from[n] = (struct iovec){ base + off, 1 };
		}
		got = process_vm_readv(getpid(), to, n, from, n, 0);
		if (got < 0 && errno != EFAULT)
			return shmipc_sys("process_vm_readv");
		if (got != (ssize_t)n)
			return -EFAULT;
	}
	return 0;
}

int shmipc_pages_see(unsigned char *base, uint64_t off, uint64_t bytes)
{
	uint64_t end = shmipc_priv_round_up(off + bytes, SHMIPC_CTL_PAGE);
	int ret;

	off = off / SHMIPC_CTL_PAGE * SHMIPC_CTL_PAGE;
	do
		ret = madvise(base + off, end - off, MADV_POPULATE_READ);
	while (ret && (errno == EINTR || errno == EAGAIN));
	if (ret && (errno == EINVAL || errno == EPERM || errno == ENOSYS))
		return peek_pages(base, off, end);
	return !ret ? 0 : errno == ENOMEM ? -ENOMEM : -EFAULT;
}

static int in_core(unsigned char *base, uint64_t off, uint64_t end, uint64_t *ret_bytes)
{
	unsigned char in[4096];
	uint64_t n, i, pages = 0;

	for (; off < end; off += n) {
		n = end - off < sizeof(in) * SHMIPC_CTL_PAGE ? end - off :
							      sizeof(in) * SHMIPC_CTL_PAGE;
		if (mincore(base + off, n, in))
			return shmipc_sys("mincore");
		for (i = 0; i < (n + SHMIPC_CTL_PAGE - 1) / SHMIPC_CTL_PAGE; i++)
			pages += in[i] & 1;
	}
	*ret_bytes = pages * SHMIPC_CTL_PAGE;
	return 0;
}

/*
 * Of a file also what is swapped out, and not what was allocated and never touched. To
 * hugetlbfs all of a file is data.
 */
int shmipc_pages_used_in(int fd, unsigned char *base, uint64_t off, uint64_t bytes,
			 uint64_t *ret_bytes)
{
	uint64_t end = off + bytes, n = 0;
	off_t data, hole;

	if (fd < 0)
		return in_core(base, off, end, ret_bytes);
	for (; off < end; off = (uint64_t)hole) {
		data = lseek(fd, (off_t)off, SEEK_DATA);
		if ((data < 0 && errno == ENXIO) || (data >= 0 && (uint64_t)data >= end))
			break;
		hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		if (hole < 0)
			return shmipc_sys("lseek");
		n += ((uint64_t)hole < end ? (uint64_t)hole : end) - (uint64_t)data;
	}
	*ret_bytes = n;
	return 0;
}

static int punch(int fd, unsigned char *base, uint64_t off, uint64_t bytes)
{
	int ret;

	do
		ret = !bytes ? 0 : fd < 0 ? madvise(base + off, bytes, MADV_DONTNEED) :
			       fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					 (off_t)off, (off_t)bytes);
	while (ret && errno == EINTR);
	return ret ? shmipc_sys(fd < 0 ? "madvise" : "fallocate") : 0;
}

/*
 * How much it was is found out before: no other process may use that part meanwhile. Of
 * hugetlbfs the blocks tell, unless others take or give back some at the same time.
 */
int shmipc_pages_uncommit(int fd, unsigned char *base, uint64_t off, uint64_t bytes,
			  uint64_t *ret_bytes)
{
	bool huge = fd >= 0 && shmipc_pages_of_fs(fd);
	uint64_t n = 0, left = 0;
	int ret = huge ? shmipc_pages_used(fd, base, 0, &n) :
			 shmipc_pages_used_in(fd, base, off, bytes, &n);

	if (!ret)
		ret = punch(fd, base, off, bytes);
	if (!ret && huge)
		ret = shmipc_pages_used(fd, base, 0, &left);
	if (ret)
		return ret;
	n = n > left ? n - left : 0;
	*ret_bytes = n < bytes ? n : bytes;
	return 0;
}

int shmipc_pages_used(int fd, unsigned char *base, uint64_t bytes, uint64_t *ret_bytes)
{
	struct stat st;

	if (fd < 0)
		return in_core(base, 0, bytes, ret_bytes);
	if (fstat(fd, &st))
		return shmipc_sys("fstat");
	*ret_bytes = (uint64_t)st.st_blocks * 512;
	return 0;
}

bool shmipc_pages_within(uint64_t all, uint64_t page, uint64_t *off, uint64_t *bytes, bool widen)
{
	uint64_t at = *off, end;

	if (at > all || *bytes > all - at)
		return false;
	end = at + *bytes;
	at = widen ? at / page * page : shmipc_priv_round_up(at, page);
	end = widen ? shmipc_priv_round_up(end, page) : end / page * page;
	*off = at;
	*bytes = end > at ? end - at : 0;
	return true;
}
