// SPDX-License-Identifier: MIT
/* dev_memory.c - memory of the module's segments: taken, given back, looked at */
#include <errno.h>

#include "dev/dev.h"
#include "segment/limit.h"
#include "segment/page.h"

/* *@ret_changed: as in struct shmipc_dev_commit. */
static int commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, uint32_t flags,
		  uint64_t *ret_changed)
{
	struct shmipc_dev_commit r = { .size = sizeof(r), .flags = flags, .off = off,
				       .bytes = bytes };
	int ret = bytes ? shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_COMMIT, &r) : 0;

	if (!ret)
		*ret_changed = r.changed;
	return ret;
}

/* The module's memory counts against control groups, too, and they kill. */
static int within_limit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	uint64_t missing = bytes;
	int ret = shmipc_limit_take(bytes);

	if (!ret || commit(seg, off, bytes, SHMIPC_DEV_LOOK, &missing) || missing >= bytes)
		return ret;
	return missing ? shmipc_limit_take(missing) : 0;
}

int shmipc_dev_commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	uint64_t changed;
	int ret;

	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, true))
		return -EINVAL;
	ret = within_limit(seg, off, bytes);
	if (!ret)
		ret = commit(seg, off, bytes, 0, &changed);
	if (!ret)
		shmipc_dev_prefault(seg->base, (struct shmipc_span){ off, bytes }, true);
	return ret;
}

/* Does the module allow the user so much more? */
static bool has_room(int fd, uint64_t bytes)
{
	struct shmipc_dev_info i = { .size = sizeof(i) };

	return !shmipc_dev_ioctl(fd, SHMIPC_IOC_INFO, &i) &&
	       i.total_bytes + bytes <= i.total_max_bytes && i.user_bytes + bytes <= i.user_max_bytes;
}

/* The module commits a block that is requested in one call as one page, without waiting. */
int shmipc_dev_commit_huge(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool now)
{
	uint64_t missing = 0, changed;
	int ret = commit(seg, off, bytes, SHMIPC_DEV_LOOK, &missing);

	if (ret)
		return ret;
	if (missing != bytes)
		return -EAGAIN;
	if (!has_room(seg->fd, bytes + SHMIPC_PAGES_SPARE) || shmipc_limit_take(bytes))
		return -ENOSPC;
	ret = commit(seg, off, bytes, 0, &changed);
	if (!ret && now)
		shmipc_dev_prefault(seg->base, (struct shmipc_span){ off, bytes }, true);
	return ret;
}

int shmipc_dev_uncommit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			uint64_t *ret_bytes)
{
	uint64_t changed = 0;
	int ret;

	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, false))
		return -EINVAL;
	ret = commit(seg, off, bytes, SHMIPC_DEV_UNCOMMIT, &changed);
	if (!ret)
		*ret_bytes = changed;
	/* A segment that was not reserved keeps what it has. */
	return ret == -EINVAL ? -EOPNOTSUPP : ret;
}

int shmipc_dev_used_in(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
		       uint64_t *ret_bytes)
{
	uint64_t missing = 0;
	int ret;

	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, false))
		return -EINVAL;
	ret = commit(seg, off, bytes, SHMIPC_DEV_LOOK, &missing);
	if (!ret)
		*ret_bytes = bytes - missing;
	return ret;
}

/* A mapping shows zeroes where there is nothing, so the module is asked. */
int shmipc_dev_see(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	uint64_t missing = 0;
	int ret;

	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, true))
		return -EINVAL;
	ret = commit(seg, off, bytes, SHMIPC_DEV_LOOK, &missing);
	if (ret || missing)
		return ret ? ret : -EFAULT;
	shmipc_dev_prefault(seg->base, (struct shmipc_span){ off, bytes }, false);
	return 0;
}

int shmipc_dev_used(struct shmipc_segment *seg, uint64_t *ret_bytes)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };
	int ret = shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_STAT, &st);

	if (!ret)
		*ret_bytes = st.used_bytes;
	return ret;
}

uint64_t shmipc_dev_huge(struct shmipc_segment *seg)
{
	struct shmipc_dev_stat st = { .size = sizeof(st) };

	return shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_STAT, &st) ? 0 : st.huge * SHMIPC_PAGE_2M;
}
