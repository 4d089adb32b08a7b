// SPDX-License-Identifier: MIT
/* mem_anon.c - segments without a name: memfds that cannot be truncated */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/mem.h"
#include "segment/page.h"

#define SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int open_memfd(const struct shmipc_segment_opts *o)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = -1;

	if (o->page == SHMIPC_PAGE_1G)
		fd = shmipc_fd(memfd_create("shmipc", flags | MFD_HUGETLB | MFD_HUGE_1GB));
	if (fd < 0)
		fd = shmipc_fd(memfd_create("shmipc", flags));
	return fd < 0 ? shmipc_sys("memfd_create") : fd;
}

int shmipc_mem_anon(struct shmipc_segment *seg, const struct shmipc_segment_opts *o)
{
	struct shmipc_segment_opts small = *o;
	int ret;

	seg->fd = open_memfd(o);
	if (seg->fd < 0)
		return shmipc_fail(seg->fd, "shmipc: create a segment without a name: %s%s",
				   shmipc_cause(seg->fd).s, shmipc_advice(seg->fd));
	ret = shmipc_mem_fill(seg, NULL, o, SHMIPC_SEG_ANON);
	if (ret && shmipc_pages_of_fs(seg->fd)) {
		/* No such huge pages are free: use small ones. */
		(void)close(seg->fd);
		small.page = 0;
		seg->fd = open_memfd(&small);
		if (seg->fd < 0)
			return seg->fd;
		ret = shmipc_mem_fill(seg, NULL, o, SHMIPC_SEG_ANON);
	}
	if (!ret && fcntl(seg->fd, F_ADD_SEALS, SEALS))
		ret = shmipc_fail(-EOPNOTSUPP, "shmipc: seal a memfd: fcntl: %s (EOPNOTSUPP)",
				  strerror(errno));
	if (!ret)
		ret = shmipc_use_lock(seg->fd, NULL);
	if (!ret)
		return 0;
	if (seg->base)
		(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
	(void)close(seg->fd);
	seg->fd = -1;
	return ret;
}

int shmipc_mem_from_fd(struct shmipc_segment *seg, int fd)
{
	struct shmipc_segment from = { .fd = fd };
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0)
		return shmipc_fail(-EINVAL, "shmipc: descriptor %d is not a memfd: %s (EINVAL)", fd,
				   strerror(errno));
	if ((seals & (F_SEAL_SHRINK | F_SEAL_GROW)) != (F_SEAL_SHRINK | F_SEAL_GROW))
		return shmipc_fail(-EINVAL, "shmipc: descriptor %d has seals %#x, wanted at least %#x (EINVAL); its creator could truncate it while we use it: use shmipc_segment_anon()",
				   fd, seals, F_SEAL_SHRINK | F_SEAL_GROW);
	return shmipc_mem_dup(seg, &from);
}
