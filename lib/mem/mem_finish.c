// SPDX-License-Identifier: MIT
/*
 * mem_finish.c - names that the last peer may not remove
 *
 * In a directory with the sticky bit only the owner of a file may remove it, and the last
 * peer may be another user. It finishes the file instead, which needs no right but to write
 * there: it sets SHMIPC_SEG_FINISHED in the header, and gives the memory back. The name is
 * free from then on: nobody finds a segment there, and any process that may write the
 * file can create another one in it, with the owner and the mode that the file has.
 *
 * All of this happens with the gate held exclusively, while no process uses the file. The
 * flag is set first and cleared last, so that one that is killed in between leaves a
 * finished file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/mem.h"
#include "segment/page.h"

bool shmipc_mem_is_finished(int fd)
{
	struct shmipc_seg_hdr h;

	return pread(fd, &h, sizeof(h), 0) == (ssize_t)sizeof(h) && h.magic == SHMIPC_SEG_MAGIC &&
	       h.layout_major == SHMIPC_LAYOUT_MAJOR && h.flags & SHMIPC_SEG_FINISHED;
}

/* All but the page with the header. */
static void give_back(int fd)
{
	uint64_t keep = shmipc_pages_of_fs(fd);
	struct stat st;

	if (!keep)
		keep = SHMIPC_CTL_PAGE;
	if (!fstat(fd, &st) && (uint64_t)st.st_size > keep)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)keep,
				st.st_size - (off_t)keep);
}

/* 0; -ENOENT: it is finished already; -errno */
int shmipc_mem_finish(int fd)
{
	struct shmipc_seg_hdr h;

	if (shmipc_mem_is_finished(fd))
		return -ENOENT;
	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != SHMIPC_SEG_MAGIC)
		return -EACCES;		/* not ours to change */
	h.flags |= SHMIPC_SEG_FINISHED;
	if (shmipc_may_extend(sizeof(h)))
		return -EFBIG;
	if (pwrite(fd, &h.flags, sizeof(h.flags), offsetof(struct shmipc_seg_hdr, flags)) !=
	    (ssize_t)sizeof(h.flags))
		return shmipc_sys("pwrite");
	give_back(fd);
	(void)futimens(fd, NULL);	/* watches of the directory look */
	return 0;
}

/*
 * May this be created in a file of that owner and mode? It is then as if that user had
 * created it, and as open to others as the file is.
 */
static int fits(int dir, const struct stat *st, const char *name,
		const struct shmipc_segment_opts *o)
{
	uint32_t mode = st->st_mode & 07777;

	if (!(o->flags & SHMIPC_EXCL) && shmipc_owner_mode(o) == mode &&
	    (!(o->flags & SHMIPC_CHOWN) || o->uid == st->st_uid) &&
	    (!(o->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP)) || o->gid == st->st_gid))
		return shmipc_mem_check_owner(dir, st, name, o);
	return shmipc_fail(-EACCES, "shmipc: create \"%s\" in %s: the name is free, but a file of user %u and group %u with mode %o has it, which only that user or root may remove (EACCES); ask for the same (--mode %o --chgrp %u), use another name, or let one of them run: shmipc gc",
			   name, shmipc_segment_dir(), st->st_uid, st->st_gid, mode, mode, st->st_gid);
}

/* The flag last: now others may join. */
static void begin(struct shmipc_segment *seg)
{
	struct shmipc_seg_hdr *h = (struct shmipc_seg_hdr *)(void *)seg->base;

	seg->hdr.flags &= ~SHMIPC_SEG_FINISHED;
	/* Relaxed: others join through the gate, which we hold. */
	shmipc_store_relaxed(&h->flags, seg->hdr.flags);
	(void)futimens(seg->fd, NULL);	/* watches of the directory look */
}

static int fill(struct shmipc_segment *seg, int dir, const char *name,
		const struct shmipc_segment_opts *o)
{
	struct shmipc_segment_opts own = *o;
	struct stat st;
	int ret = fstat(seg->fd, &st) ? shmipc_sys("fstat") : fits(dir, &st, name, o);

	if (ret)
		return ret;
	own.mode = st.st_mode & 07777;
	own.uid = st.st_uid;
	own.gid = st.st_gid;
	own.flags |= SHMIPC_CHOWN;
	give_back(seg->fd);	/* again: the one that finished it may have been killed */
	ret = shmipc_mem_fill(seg, name, &own, SHMIPC_SEG_FINISHED);
	if (ret)
		return ret;
	ret = shmipc_use_lock(seg->fd, name);
	if (!ret) {
		begin(seg);
		return 0;
	}
	(void)munmap(seg->base, seg->bytes);
	seg->base = NULL;
	return ret;
}

/* Create it in the finished file that has the name. -EEXIST: it is not finished. */
int shmipc_mem_create_in(struct shmipc_segment *seg, int dir, const char *name,
			 const struct shmipc_segment_opts *o)
{
	char file[SHMIPC_FILE_MAX];
	int ret;

	shmipc_name_to_file(name, file);
	seg->fd = shmipc_fd(openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
	if (seg->fd < 0)
		return -EEXIST;
	ret = shmipc_mem_is_finished(seg->fd) ?
	      shmipc_gate_lock(seg->fd, F_WRLCK, GATE_PATIENCE_NS) : -EEXIST;
	if (!ret && (shmipc_lock_held(seg->fd, LOCK_USE) || !shmipc_mem_is_finished(seg->fd) ||
		     !shmipc_mem_still_linked(dir, file, seg->fd)))
		ret = -EEXIST;
	if (!ret)
		ret = fill(seg, dir, name, o);
	shmipc_gate_unlock(seg->fd);
	if (ret) {
		(void)close(seg->fd);
		seg->fd = -1;
	}
	return ret;
}
