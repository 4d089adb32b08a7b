// SPDX-License-Identifier: MIT
/* mem.c - segments in ordinary shared memory: files by name; see mem_create.c for new ones */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/body.h"
#include "mem/mem.h"
#include "segment/table.h"
#include "segment/page.h"

#define OPEN_TRIES		200

/* Files */

static int fail_open(int err, const char *name)
{
	return shmipc_fail(err, "shmipc: open \"%s\" in %s: %s%s", name, shmipc_segment_dir(),
			   shmipc_cause(err).s,
			   err == -ENOENT ? "; it was never created, or its last peer has gone" :
			   err == -EISDIR ? "; a directory has this name: remove it, or use another name" :
			   err == -EBUSY ? "; another process holds its gate lock and does not release it" :
			   shmipc_advice(err));
}

/* The file cannot be opened. */
static int fail_file(int dir, const char *file, int err, const char *name)
{
	return err == -EACCES ? shmipc_mem_fail_access(dir, file, name) :
	       fail_open(err == -ELOOP ? -EPROTO : err, name);
}

/* A private copy of the header of an open file. */
static int read_hdr(int fd, const char *name, struct shmipc_seg_hdr *ret, uint64_t *ret_bytes)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st))
		return fail_open(shmipc_sys("fstat"), name);
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < sizeof(*ret))
		return shmipc_fail(-EPROTO, "shmipc: open \"%s\": a file of %lld bytes is not a segment (EPROTO); remove it",
				   name, (long long)st.st_size);
	n = pread(fd, ret, sizeof(*ret), 0);
	if (n != (ssize_t)sizeof(*ret))
		return fail_open(n < 0 ? shmipc_sys("pread") : -EPROTO, name);
	*ret_bytes = (uint64_t)st.st_size;
	return shmipc_hdr_check(ret, *ret_bytes, name);
}

bool shmipc_mem_still_linked(int dir, const char *file, int fd)
{
	struct stat here, there;

	return !fstat(fd, &here) && !fstatat(dir, file, &there, AT_SYMLINK_NOFOLLOW) &&
	       here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

/*
 * With the gate held exclusively: remove the name if no process uses it and it is not
 * persistent, or finish it if that is not allowed. An invalid file that is not in use
 * counts as a leftover. 0: the name is free; -ENOENT: it was free already; -EBUSY: it is not.
 */
static int remove_unused(int dir, const char *file, int fd)
{
	struct shmipc_seg_hdr h;
	uint64_t bytes;
	int ret;

	if (shmipc_lock_held(fd, LOCK_USE) || !shmipc_mem_still_linked(dir, file, fd))
		return -EBUSY;
	ret = read_hdr(fd, file, &h, &bytes);
	/* A segment of a newer library is left to that library. */
	if (ret == -EPROTONOSUPPORT || (!ret && h.flags & SHMIPC_SEG_PERSISTENT))
		return -EBUSY;
	if (!unlinkat(dir, file, 0))
		return 0;
	return errno == EPERM || errno == EACCES ? shmipc_mem_finish(fd) : shmipc_sys("unlinkat");
}

int shmipc_mem_map(struct shmipc_segment *seg, int prot)
{
	struct stat st;
	int err;

	if (fstat(seg->fd, &st)) {
		err = shmipc_sys("fstat");
		return shmipc_fail(err, "shmipc: map a segment: %s%s", shmipc_cause(err).s,
				   shmipc_advice(err));
	}
	seg->bytes = (size_t)st.st_size;
	if (seg->bytes < sizeof(seg->hdr))
		return shmipc_fail(-EPROTO, "shmipc: map a segment: %zu bytes are too few (EPROTO)",
				   seg->bytes);
	seg->base = NULL;
	err = shmipc_pages_map(&seg->base, seg->fd, seg->bytes, prot, SHMIPC_PAGE_2M);
	if (err)
		return shmipc_fail(err, "shmipc: map %zu bytes: %s%s", seg->bytes,
				   shmipc_cause(err).s, shmipc_pages_advice(err));
	return 0;
}

/* Fill the page tables now, so that the first messages cause no page faults. */
static void prefault(struct shmipc_segment *seg)
{
	struct shmipc_body b;
	uint64_t ctl = seg->hdr.body_off;
	bool lazy = shmipc_kind_is_lazy(seg->hdr.kind);

	if (lazy) {
		shmipc_body_of(seg, &b);
		ctl += b.ctl_bytes;
	}
	if (!shmipc_pages_of_fs(seg->fd))
		(void)madvise(seg->base, ctl, MADV_POPULATE_WRITE);
	if (lazy)
		return;		/* the rest may not be there: its end has it when it begins */
	(void)madvise(seg->base + seg->hdr.data_off, seg->bytes - seg->hdr.data_off,
		      MADV_POPULATE_WRITE);
}

static int open_file(int dir, const char *file)
{
	int fd = shmipc_fd(openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));

	return fd < 0 ? -errno : fd;
}

/* Through the gate: join it if a process uses it or it is persistent, and its owner is accepted. */
static int join(int dir, const char *file, const char *name, int fd,
		const struct shmipc_segment_opts *o)
{
	struct shmipc_seg_hdr h;
	uint64_t bytes;
	int ret = shmipc_gate_lock(fd, F_RDLCK, GATE_PATIENCE_NS);

	if (ret)
		return fail_open(ret, name);
	ret = read_hdr(fd, name, &h, &bytes);
	if (ret != -EPERM && ret != -ENOSYS && !shmipc_mem_still_linked(dir, file, fd))
		ret = -EAGAIN;		/* removed while we waited */
	if (ret != -EAGAIN && ret != -EPERM && ret != -ENOSYS && !shmipc_lock_held(fd, LOCK_USE) &&
	    (shmipc_mem_is_finished(fd) || (!ret && !(h.flags & SHMIPC_SEG_PERSISTENT)))) {
		/* A leftover of a killed process. */
		shmipc_gate_unlock(fd);
		ret = shmipc_gate_lock(fd, F_WRLCK, GATE_PATIENCE_NS);
		if (!ret)
			ret = remove_unused(dir, file, fd);
		shmipc_gate_unlock(fd);
		if (ret == -ENOENT)
			return fail_open(ret, name);
		if (ret && ret != -EBUSY)
			return shmipc_fail(ret, "shmipc: open \"%s\": left behind by a killed process, and we may not remove it: %s; its owner or root must run: shmipc gc",
					   name, shmipc_cause(ret).s);
		return -EAGAIN;
	}
	if (!ret)
		ret = shmipc_mem_may_join(dir, name, fd, o);
	if (!ret)
		ret = shmipc_use_lock(fd, name);
	shmipc_gate_unlock(fd);
	return ret;
}

int shmipc_mem_open(struct shmipc_segment *seg, const char *name)
{
	char file[SHMIPC_FILE_MAX];
	int dir = shmipc_dir_open(false), tries, ret = -EAGAIN;

	if (dir < 0)
		return dir;
	shmipc_name_to_file(name, file);
	for (tries = 0; ret == -EAGAIN && tries < OPEN_TRIES; tries++) {
		seg->fd = open_file(dir, file);
		if (seg->fd < 0) {
			ret = fail_file(dir, file, seg->fd, name);
			break;
		}
		ret = join(dir, file, name, seg->fd, seg->asks);
		if (ret)
			(void)close(seg->fd);
	}
	(void)close(dir);
	if (ret == -EAGAIN)
		ret = fail_open(-EBUSY, name);
	if (ret)
		goto no_fd;
	ret = shmipc_mem_map(seg, PROT_READ | PROT_WRITE);
	if (ret)
		goto close_fd;
	ret = shmipc_mem_read(seg, name);
	if (ret)
		goto unmap;
	prefault(seg);
	return 0;

unmap:
	(void)munmap(seg->base, seg->bytes);
close_fd:
	(void)close(seg->fd);
no_fd:
	seg->fd = -1;
	seg->base = NULL;
	return ret;
}

/* By name, if it still has it: without /proc there is no other way. */
static int reopen_name(const struct shmipc_segment *from)
{
	char file[SHMIPC_FILE_MAX];
	int dir, fd;

	if (!from->hdr.name[0])
		return -EOPNOTSUPP;
	dir = shmipc_dir_open(false);
	if (dir < 0)
		return dir;
	shmipc_name_to_file(from->hdr.name, file);
	fd = open_file(dir, file);
	if (fd >= 0 && !shmipc_mem_still_linked(dir, file, from->fd)) {
		(void)close(fd);
		fd = -EOPNOTSUPP;
	}
	(void)close(dir);
	return fd;
}

/* A file description of our own for the file behind another one's descriptor. */
static int reopen(const struct shmipc_segment *from)
{
	char self[32];
	int ret;

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", from->fd);
	ret = shmipc_fd(open(self, O_RDWR | O_CLOEXEC));
	if (ret >= 0)
		return ret;
	ret = errno == ENOENT ? reopen_name(from) : shmipc_sys("openat");
	if (ret >= 0)
		return ret;
	return shmipc_fail(ret, "shmipc: open %s again: %s%s", self, shmipc_cause(ret).s,
			   ret == -EOPNOTSUPP ? "; for a segment without a name this needs /proc: mount it" :
			   shmipc_advice(ret));
}

int shmipc_mem_dup(struct shmipc_segment *seg, struct shmipc_segment *from)
{
	int ret;

	seg->fd = reopen(from);
	if (seg->fd < 0)
		return seg->fd;
	ret = shmipc_use_lock(seg->fd, from->hdr.name);
	if (!ret)
		ret = shmipc_mem_map(seg, PROT_READ | PROT_WRITE);
	if (ret)
		goto close_fd;
	ret = shmipc_mem_read(seg, from->hdr.name);
	if (ret)
		goto unmap;
	prefault(seg);
	return 0;

unmap:
	(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
close_fd:
	(void)close(seg->fd);
	seg->fd = -1;
	return ret;
}

/* The last one to leave removes the name. If killed in here, it leaves a leftover. */
static void leave_name(struct shmipc_segment *seg)
{
	char file[SHMIPC_FILE_MAX];
	int dir = shmipc_dir_open(false);

	if (dir < 0)
		return;
	shmipc_name_to_file(seg->hdr.name, file);
	if (!shmipc_gate_lock(seg->fd, F_WRLCK, GATE_PATIENCE_NS)) {
		(void)shmipc_lock_set(seg->fd, LOCK_USE, F_UNLCK);
		(void)remove_unused(dir, file, seg->fd);
	}
	(void)close(dir);
}

void shmipc_mem_close(struct shmipc_segment *seg)
{
	if (seg->fd >= 0 && !seg->read_only && seg->hdr.name[0] &&
	    !(seg->hdr.flags & SHMIPC_SEG_PERSISTENT))
		leave_name(seg);
	if (seg->base)
		(void)munmap(seg->base, seg->bytes);
	if (seg->fd >= 0)
		(void)close(seg->fd);
}

int shmipc_mem_unlink(const char *name)
{
	char file[SHMIPC_FILE_MAX];
	int dir = shmipc_dir_open(false), fd, ret;

	if (dir < 0)
		return dir;
	shmipc_name_to_file(name, file);
	fd = open_file(dir, file);
	if (fd < 0 && fd != -EACCES) {
		ret = fail_open(fd, name);
		goto out;
	}
	/* The owner of the directory may remove files that he may not open. */
	ret = fd < 0 ? 0 : shmipc_gate_lock(fd, F_WRLCK, GATE_PATIENCE_NS);
	if (!ret && fd >= 0 && !shmipc_mem_still_linked(dir, file, fd))
		ret = -ENOENT;
	if (!ret && unlinkat(dir, file, 0))
		ret = errno != EPERM ? shmipc_sys("unlinkat") :
		      fd >= 0 && shmipc_mem_is_finished(fd) ? -ENOENT : -EACCES;
	if (ret)
		ret = shmipc_mem_fail_remove(dir, file, ret, name);
	if (fd >= 0)
		(void)close(fd);
out:
	(void)close(dir);
	return ret;
}

int shmipc_mem_look(struct shmipc_segment *seg, const char *name, int *ret_in_use)
{
	char file[SHMIPC_FILE_MAX];
	int dir = shmipc_dir_open(false), ret;

	if (dir < 0)
		return dir;
	shmipc_name_to_file(name, file);
	seg->fd = shmipc_fd(openat(dir, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	ret = seg->fd < 0 ? fail_file(dir, file, -errno, name) : 0;
	if (!ret)
		ret = shmipc_mem_may_join(dir, name, seg->fd, seg->asks);
	(void)close(dir);
	if (ret)
		goto close_fd;
	*ret_in_use = shmipc_lock_held(seg->fd, LOCK_USE);
	ret = !*ret_in_use && shmipc_mem_is_finished(seg->fd) ? fail_open(-ENOENT, name) :
	      read_hdr(seg->fd, name, &seg->hdr, &(uint64_t){ 0 });
	if (!ret)
		ret = shmipc_mem_map(seg, PROT_READ);
	if (!ret)
		ret = shmipc_mem_read(seg, name);
	if (!ret)
		return 0;
	if (seg->base)
		(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
close_fd:
	if (seg->fd >= 0)
		(void)close(seg->fd);
	seg->fd = -1;
	return ret;
}

int shmipc_mem_each(int (*fn)(const char *name, void *arg), void *arg)
{
	char name[SHMIPC_NAME_MAX + 1];
	int fd = shmipc_dir_open(false), ret = 0;
	struct dirent *e;
	DIR *d;

	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	d = fdopendir(fd);
	if (!d) {
		ret = shmipc_sys("fdopendir");
		(void)close(fd);
		return ret;
	}
	while (!ret && (e = readdir(d)))
		if (e->d_type != DT_DIR && shmipc_name_from_file(e->d_name, name))
			ret = fn(name, arg);
	(void)closedir(d);
	return ret;
}

/*
 * The directory may contain other files. A segment has its magic from its first moment,
 * so a file without it is not ours to remove.
 */
static bool is_segment(int fd)
{
	uint64_t magic;

	return pread(fd, &magic, sizeof(magic), offsetof(struct shmipc_seg_hdr, magic)) ==
	       (ssize_t)sizeof(magic) && magic == SHMIPC_SEG_MAGIC;
}

int shmipc_mem_reap(const char *name)
{
	char file[SHMIPC_FILE_MAX];
	int dir = shmipc_dir_open(false), fd, ret;

	if (dir < 0)
		return dir;
	shmipc_name_to_file(name, file);
	fd = open_file(dir, file);
	/* Anything that cannot be read (another user's, a link, a directory, a socket) is left alone. */
	if (fd < 0)
		ret = fd == -EACCES || fd == -ELOOP || fd == -EISDIR || fd == -ENXIO ? -EBUSY : fd;
	else
		ret = is_segment(fd) ? shmipc_gate_lock(fd, F_WRLCK, 0) : -EBUSY;
	if (!ret)
		ret = remove_unused(dir, file, fd);
	if (fd >= 0)
		(void)close(fd);
	(void)close(dir);
	return ret == -EPERM ? -EACCES : ret;
}

int shmipc_mem_commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, true))
		return -EINVAL;
	return shmipc_pages_commit(seg->fd, seg->base, off, bytes);
}

int shmipc_mem_commit_huge(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool now)
{
	return shmipc_pages_commit_huge(seg->fd, now ? seg->base : NULL, off, bytes);
}

int shmipc_mem_uncommit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			uint64_t *ret_bytes)
{
	uint64_t huge = shmipc_pages_of_fs(seg->fd);

	if (!shmipc_pages_within(seg->bytes, huge ? huge : SHMIPC_CTL_PAGE, &off, &bytes, false))
		return -EINVAL;
	return shmipc_pages_uncommit(seg->fd, seg->base, off, bytes, ret_bytes);
}

int shmipc_mem_used(struct shmipc_segment *seg, uint64_t *ret_bytes)
{
	return shmipc_pages_used(seg->fd, seg->base, seg->bytes, ret_bytes);
}

uint64_t shmipc_mem_huge(struct shmipc_segment *seg)
{
	return shmipc_pages_huge(seg->fd, seg->base, seg->bytes);
}

/* Also of private memory. */
int shmipc_mem_used_in(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
		       uint64_t *ret_bytes)
{
	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, false))
		return -EINVAL;
	return shmipc_pages_used_in(seg->fd, seg->base, off, bytes, ret_bytes);
}

/* Also of private memory. */
int shmipc_mem_see(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	return shmipc_pages_see(seg->base, off, bytes);
}

static int mem_slot_lock(struct shmipc_segment *seg, uint32_t slot)
{
	int ret = shmipc_lock_set(seg->fd, LOCK_SLOT + slot, F_WRLCK);

	return ret == -EAGAIN || ret == -EACCES ? -EBUSY : ret;
}

static void mem_slot_unlock(struct shmipc_segment *seg, uint32_t slot)
{
	(void)shmipc_lock_set(seg->fd, LOCK_SLOT + slot, F_UNLCK);
}

static bool mem_slot_held(struct shmipc_segment *seg, uint32_t slot)
{
	return shmipc_lock_held(seg->fd, LOCK_SLOT + slot);
}

const struct shmipc_locks shmipc_file_locks = {
	.lock = mem_slot_lock,
	.unlock = mem_slot_unlock,
	.held = mem_slot_held,
};
