/* SPDX-License-Identifier: MIT */
/*
 * room.h - limit the memory that is available for segments
 *
 * For files this is a separate file system; on the device it is the module's limit on
 * all segments, so other processes must not have any.
 */
#ifndef TEST_ROOM_H
#define TEST_ROOM_H

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <linux/shmipc.h>

#include "env.h"

/* A test may define both before it includes this: it is all filled each time. */
#ifndef ROOM_MIB
#define ROOM_MIB	"64"
#define ROOM_MAX	(UINT64_C(64) << 20)
#endif
#define ROOM_LIMIT	"/sys/module/shmipc/parameters/total_max_mib"

static inline int room_limit(const char *mib)
{
	int fd = open(ROOM_LIMIT, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, mib, strlen(mib)) > 0;

	if (fd >= 0)
		(void)close(fd);
	return ok ? 0 : -1;
}

static inline int room_dev(unsigned long cmd, void *arg)
{
	int fd = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC), ret = ioctl(fd, cmd, arg);

	if (fd >= 0)
		(void)close(fd);
	return ret;
}

/* Bytes that are still available. */
static inline uint64_t room_left(const struct env *e)
{
	struct shmipc_dev_info i = { .size = sizeof(i) };
	struct statvfs s;

	if (!env_on_dev())
		return statvfs(e->dir, &s) ? UINT64_MAX : s.f_bavail * s.f_bsize;
	if (room_dev(SHMIPC_IOC_INFO, &i))
		return UINT64_MAX;
	return i.total_max_bytes - i.total_bytes;
}

/* Return: NULL, or why this is not possible here. */
static inline const char *room_make(const struct env *e)
{
	if (env_on_dev()) {
		if (room_limit(ROOM_MIB))
			return "only root may limit the device";
		if (room_left(e) == ROOM_MAX)
			return NULL;
		(void)room_limit("0");
		return "another process has segments on the device";
	}
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mkdir(e->dir, 0755) || mount("none", e->dir, "tmpfs", 0, "size=" ROOM_MIB "m,mode=755"))
		return "only root may mount a file system";
	return NULL;
}

static inline int room_end(const struct env *e)
{
	return env_on_dev() ? room_limit("0") : umount2(e->dir, MNT_DETACH);
}

/* A segment that takes the given amount of memory. */
static inline int room_filler(void)
{
	struct shmipc_dev_region all = { .off = SHMIPC_DEV_BODY_OFF(1), .bytes = ROOM_MAX, .roles = 1 };
	struct shmipc_dev_create r = { .size = sizeof(r), .flags = SHMIPC_DEV_RESERVE,
				       .kind = SHMIPC_KIND_RAW, .mode = 0600, .peers = 1,
				       .nregions = 1, .page = 4096, .data_off = all.off,
				       .data_bytes = all.bytes, .regions = (uintptr_t)&all };

	return room_dev(SHMIPC_IOC_CREATE, &r);
}

/* Take all memory but @left; what was taken before is freed first. */
static inline int room_fill(int *filler, const struct env *e, uint64_t left)
{
	struct shmipc_dev_commit r = { .size = sizeof(r), .off = SHMIPC_DEV_BODY_OFF(1) };
	uint64_t n;

	if (*filler >= 0)
		(void)close(*filler);
	*filler = env_on_dev() ? room_filler() : open(e->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	n = room_left(e);
	if (*filler < 0 || n < left)
		return -1;
	r.bytes = n - left;
	if (!r.bytes)
		return 0;
	return env_on_dev() ? ioctl(*filler, SHMIPC_IOC_COMMIT, &r) :
			      fallocate(*filler, 0, 0, (off_t)r.bytes);
}

#endif /* TEST_ROOM_H */
