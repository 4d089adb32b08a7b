// SPDX-License-Identifier: MIT
/*
 * mem_create.c - new files
 *
 * A new file is created without a name, filled, locked, and only then linked: a process
 * that finds it finds it complete, and a creator killed before that leaves nothing. Where
 * that is not possible (no O_TMPFILE; no way to link, as without /proc before Linux 6.10)
 * it has a temporary name, which is not that of any segment, until it is renamed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mem/mem.h"
#include "segment/body.h"
#include "segment/limit.h"
#include "segment/page.h"

#define MAKE_TRIES	10

/* What to do about a failure to get @bytes for a new segment. */
static const char *advice(int err)
{
	if (err == -EINVAL && shmipc_caused_by("mbind", err))
		return "; does that NUMA node exist? see: shmipc doctor";
	if ((err == -ENOSPC && !shmipc_limited(err)) || err == -ENOMEM)
		return "; make it smaller, or free memory there (df shows it)";
	return shmipc_limited(err) ? "; make it smaller, or raise that limit" : shmipc_advice(err);
}

static int set_size(int fd, const struct stat *st, uint64_t bytes)
{
	int ret;

	/* One that is finished may be larger, and somebody may be looking at it. */
	if ((uint64_t)st->st_size >= bytes)
		return 0;
	ret = shmipc_may_extend(bytes);
	return !ret && ftruncate(fd, (off_t)bytes) ? shmipc_sys("ftruncate") : ret;
}

/* Length, memory, header and ring of a new file, which no other process knows yet. */
int shmipc_mem_fill(struct shmipc_segment *seg, const char *name,
		    const struct shmipc_segment_opts *o, uint32_t flags)
{
	struct shmipc_pages pages = { .asked = o->page, .fs_page = shmipc_pages_of_fs(seg->fd),
				      .node_asked = o->flags & SHMIPC_ON_NODE ? o->node : -1,
				      .node_got = -1 };
	struct shmipc_seg_hdr h;
	struct shmipc_body b;
	uint64_t ctl, bytes;
	struct stat st;
	int ret;

	pages.lazy = o->page < SHMIPC_PAGE_2M && !(o->flags & SHMIPC_POPULATE);
	ret = shmipc_opts_plan(&h, &b, o, &seg->making, name, &pages);
	if (ret)
		return ret;
	pages.first_bytes = b.first_bytes;
	ctl = shmipc_priv_round_up(h.body_off + b.ctl_bytes, SHMIPC_CTL_PAGE);
	if (ctl > h.data_off)
		ctl = h.data_off;
	bytes = pages.fs_page ? shmipc_priv_round_up(h.total_bytes, pages.fs_page) : h.total_bytes;
	ret = fstat(seg->fd, &st) ? shmipc_sys("fstat") : set_size(seg->fd, &st, bytes);
	if (ret)
		goto no_memory;
	if (!(o->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP)))
		h.gid = st.st_gid;	/* the directory may determine it */
	ret = shmipc_mem_map(seg, PROT_READ | PROT_WRITE);
	if (ret)
		return ret;
	ret = shmipc_pages_populate(&pages, seg->fd, seg->base, bytes, ctl, h.data_off);
	if (ret)
		goto unmap;
	h.flags |= flags;
	h.page_got = pages.got;
	h.node_got = pages.node_got;
	shmipc_segment_fill(seg->base, &h, &b);
	ret = shmipc_segment_read(seg, name);
	if (!ret)
		return 0;
	(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
	return ret;

unmap:
	(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
no_memory:
	return shmipc_fail(ret, "shmipc: create \"%s\": %llu bytes in %s: %s%s", name ? name : "",
			   (unsigned long long)bytes, name ? shmipc_segment_dir() : "a memfd",
			   shmipc_cause(ret).s, advice(ret));
}

/* Files */

/* The temporary name of a file: in none of the names of segments there is a ~. */
struct temp {
	char name[32];		/* "": it has none */
};

static bool is_temp(const char *file)
{
	return file[0] == '~' && strlen(file) == 17 &&
	       strspn(file + 1, "0123456789abcdef") == 16;
}

/* A file in the directory: O_TMPFILE or, if it is to have a name, @t. */
static int make_file(int dir, struct temp *t, bool named)
{
	uint64_t random;
	int fd;

	t->name[0] = 0;
	if (!named) {
		fd = shmipc_fd(openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
		return fd < 0 ? shmipc_sys("openat") : fd;
	}
	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return shmipc_sys("getrandom");
	(void)snprintf(t->name, sizeof(t->name), "~%016llx", (unsigned long long)random);
	fd = shmipc_fd(openat(dir, t->name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
	if (fd < 0) {
		t->name[0] = 0;
		return shmipc_sys("openat");
	}
	return fd;
}

/* Does the file system have no inode left? Otherwise it lacks memory. */
static const char *why_no_file(int dir, int err)
{
	struct statfs s;

	if (err == -ENOSPC && !fstatfs(dir, &s) && s.f_files && !s.f_ffree)
		return "; it has no inode left (df -i shows it): remove files there, or mount it with a larger nr_inodes=";
	if (err == -ENOSPC)
		return "; free memory there (df shows it)";
	if (err == -EACCES || err == -EOPNOTSUPP)
		return "; set SHMIPC_DIR to a directory that you may write, on tmpfs or hugetlbfs";
	return shmipc_advice(err);
}

/* What these mean is that it has to be done in another way. */
static bool no_tmpfile(int err)
{
	return err == -EISDIR || err == -ENOENT || err == -EOPNOTSUPP || err == -EINVAL;
}

/* -EOPNOTSUPP: not without a temporary name. */
static int link_unnamed(int dir, const char *file, int fd)
{
	char self[32];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (!linkat(AT_FDCWD, self, dir, file, AT_SYMLINK_FOLLOW))
		return 0;
	if (errno == EEXIST || errno == ENOSPC || errno == EROFS)
		return shmipc_sys("linkat");
	/* Without /proc: since Linux 6.10, or for root. */
	if (!linkat(fd, "", dir, file, AT_EMPTY_PATH))
		return 0;
	return errno == EEXIST ? -EEXIST : -EOPNOTSUPP;
}

static int link_temp(int dir, const char *file, const struct temp *t)
{
	if (!shmipc_rename(dir, t->name, file))
		return 0;
	if (errno != ENOSYS && errno != EPERM && errno != EINVAL)
		return shmipc_sys("renameat2");
	if (linkat(dir, t->name, dir, file, 0))
		return shmipc_sys("linkat");
	(void)unlinkat(dir, t->name, 0);
	return 0;
}

static int link_name(int dir, const char *name, int fd, const struct temp *t)
{
	char file[SHMIPC_FILE_MAX];
	int err;

	shmipc_name_to_file(name, file);
	err = t->name[0] ? link_temp(dir, file, t) : link_unnamed(dir, file, fd);
	if (!err || (err == -EOPNOTSUPP && !t->name[0]))
		return err;
	return shmipc_fail(err, "shmipc: create \"%s\" in %s: %s%s", name, shmipc_segment_dir(),
			   shmipc_cause(err).s, why_no_file(dir, err));
}

/* The name of @old is free, if it still had it. */
static int unname(int dir, const char *name, const struct shmipc_segment *old)
{
	int ret = shmipc_gate_lock(old->fd, F_WRLCK, GATE_PATIENCE_NS);
	char file[SHMIPC_FILE_MAX];

	shmipc_name_to_file(name, file);
	if (!ret && shmipc_mem_still_linked(dir, file, old->fd) && unlinkat(dir, file, 0))
		ret = errno == EPERM ? -EACCES : shmipc_sys("unlinkat");
	shmipc_gate_unlock(old->fd);
	return ret ? shmipc_fail(ret, "shmipc: replace \"%s\" in %s: %s; its owner, user %u, or root can",
				 name, shmipc_segment_dir(), shmipc_cause(ret).s, old->hdr.uid) : 0;
}

/* -EOPNOTSUPP without a text: not in this way. */
static int create(struct shmipc_segment *seg, int dir, const char *name,
		  const struct shmipc_segment_opts *o, bool named)
{
	struct temp t;
	int ret;

	seg->fd = make_file(dir, &t, named);
	if (seg->fd < 0 && no_tmpfile(seg->fd) && !named)
		return -EOPNOTSUPP;
	if (seg->fd < 0)
		return shmipc_fail(seg->fd, "shmipc: create \"%s\" in %s: %s%s", name,
				   shmipc_segment_dir(), shmipc_cause(seg->fd).s,
				   why_no_file(dir, seg->fd));
	/* First of all: it keeps the file from being swept. */
	ret = shmipc_use_lock(seg->fd, name);
	if (!ret)
		ret = shmipc_mem_fill(seg, name, o, 0);
	if (ret)
		goto remove;
	ret = shmipc_mem_set_owner(seg->fd, name, seg, o);
	if (!ret && seg->replaces)
		ret = unname(dir, name, seg->replaces);
	if (!ret)
		ret = link_name(dir, name, seg->fd, &t);
	if (!ret)
		return 0;
	(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
remove:
	if (t.name[0])
		(void)unlinkat(dir, t.name, 0);
	(void)close(seg->fd);
	seg->fd = -1;
	return ret;
}

int shmipc_mem_create(struct shmipc_segment *seg, const char *name,
		      const struct shmipc_segment_opts *o)
{
	int dir = shmipc_dir_open(true), ret, tries;

	if (dir < 0)
		return dir;
	ret = create(seg, dir, name, o, false);
	/* ENOENT: it was swept before it was locked. */
	for (tries = 0; (ret == -EOPNOTSUPP || ret == -ENOENT) && tries < MAKE_TRIES; tries++)
		ret = create(seg, dir, name, o, true);
	if (ret == -EEXIST)
		ret = shmipc_mem_create_in(seg, dir, name, o);
	(void)close(dir);
	return ret;
}

/* Remove the file of a creator that was killed. */
static void sweep_one(int dir, const char *file)
{
	int fd = shmipc_fd(openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));

	if (fd < 0)
		return;
	if (!shmipc_lock_held(fd, LOCK_USE))
		(void)unlinkat(dir, file, 0);
	(void)close(fd);
}

void shmipc_mem_sweep(void)
{
	int fd;
	struct dirent *e;
	DIR *d;

	shmipc_dir_sweep();
	fd = shmipc_dir_open(false);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (is_temp(e->d_name))
			sweep_one(dirfd(d), e->d_name);
	(void)closedir(d);
}
