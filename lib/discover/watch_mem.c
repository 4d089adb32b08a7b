// SPDX-License-Identifier: MIT
/*
 * watch_mem.c - watching a directory of segments
 *
 * The kernel (inotify) reports which names come and go. The header and the peer table
 * of each segment stay mapped, for reading: that keeps its inode, so that no other file
 * can get its number, and allows a last look after the name is gone. No descriptor is
 * kept: there may be thousands. The bytes are read through the kernel, because a
 * process that may write the file may also truncate it, and then reading the mapping
 * directly would kill us.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "discover/discover.h"
#include "mem/mem.h"
#include "discover/watch.h"
#include "segment/page.h"

/* A file that was not a segment, or not readable, may be one after a write or a chmod. */
#define IN_NAMES	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
			 IN_CLOSE_WRITE)
#define IN_SELF		(IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define DIR_TRIES	20

/* The directory */

/* Listen for changes in @path; for the same directory the kernel returns the same number. */
static int hear(struct shmipc_watch *w, const char *path, uint32_t mask)
{
	int wd = inotify_add_watch(w->inotify, path, mask | IN_SELF), err = -errno;

	return wd < 0 ? err : wd;
}

/* Inotify is not available, or not for this directory: scan at every tick instead. */
static void go_deaf(struct shmipc_watch *w)
{
	(void)close(w->inotify);
	w->inotify = -1;
}

static void hear_instead(struct shmipc_watch *w, int wd)
{
	if (w->inotify >= 0 && w->wd >= 0 && w->wd != wd)
		(void)inotify_rm_watch(w->inotify, w->wd);
	w->wd = wd;
}

/* Listen to the nearest directory above that exists. 0 or -errno. */
static int hear_above(struct shmipc_watch *w)
{
	char path[PATH_MAX];
	char *slash;
	int wd;

	(void)snprintf(path, sizeof(path), "%s", shmipc_segment_dir());
	do {
		slash = strrchr(path, '/');
		if (slash == path)
			path[1] = 0;
		else if (slash)
			*slash = 0;
		else
			strcpy(path, ".");
		wd = hear(w, path, IN_CREATE | IN_MOVED_TO);
	} while (wd == -ENOENT && slash && slash != path);
	if (wd < 0)
		return wd;
	hear_instead(w, wd);
	return 0;
}

/*
 * Which directory is it now? No descriptor of it is kept: while there is one, the kernel
 * does not report that it was removed.
 */
static int see_dir(struct shmipc_watch *w)
{
	int fd = shmipc_dir_open(false);
	struct stat st;

	w->dir = fd >= 0 && !fstat(fd, &st);
	if (w->dir) {
		w->dir_ino = st.st_ino;
		w->dir_dev = st.st_dev;
	}
	if (fd >= 0)
		(void)close(fd);
	return fd >= 0 ? 0 : fd;
}

/*
 * Listen to the directory, if it exists; else to the one that will contain it. First
 * listen and then look, so that nothing falls in between; and then listen again, which
 * returns the same number, because the directory may have appeared meanwhile.
 */
static int find_dir(struct shmipc_watch *w)
{
	int tries, wd, before, err;

	for (tries = 0; tries < DIR_TRIES; tries++) {
		wd = -ENOENT;
		if (w->inotify >= 0) {
			wd = hear(w, shmipc_segment_dir(), IN_NAMES);
			if (wd >= 0)
				hear_instead(w, wd);
			else if (wd != -ENOENT)
				go_deaf(w);
		}
		err = see_dir(w);
		if (err && err != -ENOENT)
			return err;
		if (w->inotify < 0)
			return 0;
		if (!err && wd >= 0 && hear(w, shmipc_segment_dir(), IN_NAMES) == wd)
			return 0;
		if (!err)
			continue;
		before = w->wd;
		if (hear_above(w))
			go_deaf(w);
		else if (w->wd == before)
			return 0;	/* nothing nearer has appeared since we listen */
	}
	go_deaf(w);	/* it appears and disappears faster than we can follow */
	return 0;
}

/* Does the path name another directory than the one we listen to? */
static bool is_other_dir(const struct shmipc_watch *w)
{
	struct stat st;

	if (stat(shmipc_segment_dir(), &st))
		return w->dir && errno == ENOENT;
	return !w->dir || st.st_ino != w->dir_ino || st.st_dev != w->dir_dev;
}

static int mem_open(struct shmipc_watch *w)
{
	struct epoll_event in = { .events = EPOLLIN };

	w->inotify = shmipc_fd(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
	if (w->inotify >= 0 && epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->inotify, &in))
		go_deaf(w);
	return 0;
}

static void mem_close(struct shmipc_watch *w)
{
	if (w->inotify >= 0)
		(void)close(w->inotify);
}

/* Names */

static int all_names(struct shmipc_watch *w)
{
	struct shmipc_names names;
	int err = shmipc_names_get(&names, w->be, w->pattern);
	size_t i;

	shmipc_watch_round_begin(w);
	for (i = 0; !err && i < names.n; i++)
		shmipc_watch_name(w, names.name[i], NULL);
	if (!err)
		shmipc_watch_round_end(w);
	shmipc_names_free(&names);
	return err;
}

/* Handle one event: names to check, or *@ret_all; *@ret_dir: the directory has changed. */
static void one_event(struct shmipc_watch *w, const struct inotify_event *e, bool *ret_all,
		      bool *ret_dir)
{
	char name[SHMIPC_NAME_MAX + 1];

	if (e->mask & IN_Q_OVERFLOW)
		*ret_all = true;
	else if (e->wd != w->wd)
		return;		/* of a directory that we no longer watch */
	else if (!w->dir || e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
		*ret_dir = true;
	else if (!(e->mask & IN_ISDIR) && e->len && shmipc_name_from_file(e->name, name))
		shmipc_watch_name(w, name, NULL);
}

static void read_events(struct shmipc_watch *w, bool *ret_all, bool *ret_dir)
{
	char buf[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
	const struct inotify_event *e;
	ssize_t n, at;

	while (w->inotify >= 0 && (n = read(w->inotify, buf, sizeof(buf))) > 0)
		for (at = 0; at < n; at += (ssize_t)(sizeof(*e) + e->len)) {
			e = (const struct inotify_event *)(const void *)(buf + at);
			one_event(w, e, ret_all, ret_dir);
		}
}

static int mem_names(struct shmipc_watch *w, bool tick)
{
	bool all = w->baseline, dir = w->baseline;
	int err;

	read_events(w, &all, &dir);
	if (tick) {
		all |= w->inotify < 0 || w->recheck;
		dir |= is_other_dir(w);
		w->recheck = false;
	}
	if (dir) {
		shmipc_watch_all_gone(w);
		w->dir = false;
		hear_instead(w, -1);
		err = find_dir(w);
		if (err)
			return err;
		all = true;
	}
	return all && w->dir ? all_names(w) : 0;
}

/* The path of its file in the directory; false if it is too long. */
static bool path_of(const char *name, char *path, size_t cap)
{
	char file[SHMIPC_FILE_MAX];
	int n;

	shmipc_name_to_file(name, file);
	n = snprintf(path, cap, "%s/%s", shmipc_segment_dir(), file);
	return n > 0 && (size_t)n < cap;
}

/* It has a name, and no segment: see mem_finish.c. It takes no memory but its header. */
static bool is_finished(const char *path, const struct stat *st)
{
	bool ret;
	int fd;

	if (!S_ISREG(st->st_mode) || (uint64_t)st->st_blocks * 512 > (uint64_t)st->st_blksize)
		return false;
	fd = shmipc_fd(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (fd < 0)
		return false;
	ret = shmipc_mem_is_finished(fd);
	(void)close(fd);
	return ret;
}

static int mem_ident(struct shmipc_watch *w, const char *name, struct watch_ident *ret)
{
	char path[PATH_MAX];
	struct stat st;

	(void)w;
	if (!path_of(name, path, sizeof(path)))
		return -ENOENT;
	if (lstat(path, &st))
		return errno == ENOTDIR ? -ENOENT : shmipc_sys("lstat");
	if (S_ISDIR(st.st_mode) || is_finished(path, &st))
		return -ENOENT;
	ret->w[0] = st.st_ino;
	ret->w[1] = (uint64_t)st.st_ctim.tv_sec * 1000000000u + (uint64_t)st.st_ctim.tv_nsec;
	return 0;
}

/* Segments */

static int open_file(const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (!path_of(name, path, sizeof(path)))
		return -ENOENT;
	fd = shmipc_fd(open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	return fd >= 0 ? fd : errno == ELOOP ? -EPROTO : shmipc_sys("openat");
}

static int read_hdr(int fd, const char *name, struct shmipc_seg_hdr *h, uint64_t *ret_ino)
{
	struct stat st;

	if (fstat(fd, &st))
		return shmipc_sys("fstat");
	*ret_ino = st.st_ino;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t)sizeof(*h) ||
	    pread(fd, h, sizeof(*h), 0) != (ssize_t)sizeof(*h))
		return -EPROTO;
	return shmipc_hdr_check(h, (uint64_t)st.st_size, name);
}

static int mem_look(struct shmipc_watch *w, struct watch_seg *s)
{
	int fd = open_file(s->name), err;
	struct shmipc_seg_hdr h;
	uint64_t page, ino = 0;
	void *map;

	if (fd < 0)
		return fd;
	err = read_hdr(fd, s->name, &h, &ino);
	if (err)
		goto out;
	page = shmipc_pages_of_fs(fd);
	s->map_bytes = w->flags & SHMIPC_WATCH_ENDS ? h.body_off : SHMIPC_CTL_PAGE;
	s->map_bytes = (s->map_bytes + (page ? page : SHMIPC_CTL_PAGE) - 1) &
		       ~((page ? page : SHMIPC_CTL_PAGE) - 1);
	map = mmap(NULL, s->map_bytes, PROT_READ, MAP_SHARED, fd, 0);
	err = map == MAP_FAILED ? shmipc_sys("mmap") : 0;
	if (err)
		goto out;
	(void)madvise(map, s->map_bytes, MADV_DONTFORK);
	s->map = map;
	s->ident.w[0] = ino;
	s->pinned = true;
	memcpy(s->id, h.id, sizeof(s->id));
	s->kind = h.kind;
	s->peers = h.peers;
out:
	(void)close(fd);
	return err;
}

/* A child of fork() no longer has this mapping. */
static void mem_forget(struct watch_seg *s)
{
	if (s->map)
		(void)munmap(s->map, s->map_bytes);
	s->map = NULL;
}

static int mem_table(struct shmipc_watch *w, const struct watch_seg *s,
		     struct shmipc_peer_slot *to)
{
	struct iovec there = { s->map + SHMIPC_CTL_PAGE, s->peers * sizeof(*to) };
	struct iovec here = { to, there.iov_len };
	ssize_t n = process_vm_readv(w->pid, &here, 1, &there, 1, 0);

	if (n == (ssize_t)here.iov_len)
		return 0;
	if (n >= 0 || (errno != ENOSYS && errno != EPERM))
		return -EPROTO;		/* it was truncated */
	/* The kernel lacks it, or a seccomp filter refuses it. */
	shmipc_racy_read(to, there.iov_base, there.iov_len);
	return 0;
}

static int mem_locks(struct shmipc_watch *w, const struct watch_seg *s)
{
	int fd = open_file(s->name);
	struct stat st;

	(void)w;
	if (fd < 0)
		return -2;
	if (!fstat(fd, &st) && st.st_ino == s->ident.w[0])
		return fd;
	(void)close(fd);
	return -2;
}

static bool mem_held(int locks, uint32_t slot)
{
	return shmipc_lock_held(locks, LOCK_SLOT + slot);
}

const struct shmipc_watch_ops shmipc_watch_mem = {
	.open = mem_open,
	.close = mem_close,
	.names = mem_names,
	.ident = mem_ident,
	.look = mem_look,
	.forget = mem_forget,
	.table = mem_table,
	.locks = mem_locks,
	.held = mem_held,
};
