/* SPDX-License-Identifier: MIT */
/*
 * backend.h - what provides the memory of a segment, and its use of the kernel
 *
 * Used at set-up, when sleeping, and when a peer may have died; never on the message
 * path. A backend sets seg->fd, seg->mem, seg->base and seg->bytes.
 */
#ifndef SHMIPC_BACKEND_H
#define SHMIPC_BACKEND_H

#include "segment/segment.h"

/* A killed peer's lock is released once its memory has been torn down; this is ample. */
#define DYING_PATIENCE_NS	UINT64_C(2000000000)

struct shmipc_locks;

struct shmipc_backend {
	const char *name;
	uint32_t caps;		/* SHMIPC_CAP_* that do not depend on the kernel */
	const struct shmipc_locks *locks;	/* of a peer table that peers write; see table.h */

	/* Create and open; -EEXIST if the name is taken. @h says where and how. */
	int (*create)(struct shmipc_segment *seg, const char *name,
		      const struct shmipc_segment_opts *o);
	/* Open an existing one; -ENOENT also if it was a leftover, which is now removed. */
	int (*open)(struct shmipc_segment *seg, const char *name);
	/* Create one without a name; open one from a descriptor, which still belongs to the caller. */
	int (*anon)(struct shmipc_segment *seg, const struct shmipc_segment_opts *o);
	int (*from_fd)(struct shmipc_segment *seg, int fd);
	/* Another handle on the same memory, with its own liveness. */
	int (*dup)(struct shmipc_segment *seg, struct shmipc_segment *from);
	/* Close; remove the name if we are the last and it is not persistent. */
	void (*close)(struct shmipc_segment *seg);
	int (*unlink)(const char *name);
	/* Map for reading only; sets *@ret_in_use. */
	int (*look)(struct shmipc_segment *seg, const char *name, int *ret_in_use);
	int (*each)(int (*fn)(const char *name, void *arg), void *arg);
	/* Remove leftovers of creating the directory; may be NULL. */
	void (*sweep)(void);
	/* Remove @name if it is a leftover: 0 removed, -EBUSY in use, -errno. */
	int (*reap)(const char *name);

	/*
	 * Memory. commit: make [off, off + bytes) of the segment real memory, which can
	 * be touched without SIGBUS; repeating it is harmless and takes no more memory. 0;
	 * -ENOSPC: the file system, or a limit, is full; -ENOMEM; -EINVAL: not in the
	 * segment; -errno. If the caller is killed meanwhile, part of it may be done.
	 * uncommit: give back the whole pages in it, which read as zero from then on; how much
	 * that was. -EBUSY: another process may write there; -EOPNOTSUPP. used: how much of
	 * the segment is real; huge: in pages larger than 4 KiB, 0: none, or it is not known;
	 * NULL: likewise; used_in: of a part of it.
	 */
	int (*commit)(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);
	/*
	 * commit_huge: commit [off, off + bytes), whole blocks of 2 MiB, in pages of 2 MiB.
	 * @now: before it returns; else it may be done later, on another thread, without
	 * success even if 0 is returned. 0; -EAGAIN: a part of it is committed already;
	 * -ENOSPC: less than 4 MiB would be left of what the file system, or a limit, allows;
	 * -EBUSY: others are done first, or it takes too long; -errno: none is available. After an error hardly
	 * anything was committed, and commit may still work. Not for private segments.
	 */
	int (*commit_huge)(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool now);
	int (*uncommit)(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			uint64_t *ret_bytes);
	int (*used)(struct shmipc_segment *seg, uint64_t *ret_bytes);
	uint64_t (*huge)(struct shmipc_segment *seg);
	int (*used_in)(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
		       uint64_t *ret_bytes);
	/* Can all of [off, off + bytes) be read? Takes no memory. 0; -EFAULT: no; -errno. */
	int (*see)(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);
	/*
	 * A touch of what was given back takes memory again, and a read-only handle cannot say
	 * what it touches. It holds reads_open as long as it may read; uncommit is called with
	 * reads_shut held. 0; -EBUSY: the other is held; -errno. NULL: such a touch does no harm.
	 */
	int (*reads_open)(struct shmipc_segment *seg, bool on);
	int (*reads_shut)(struct shmipc_segment *seg, bool on);

	/*
	 * Ends. take: the first free slot in [from, to), into e->slot; -EBUSY if there is
	 * none. state: with @sure, ask the kernel if the table alone may be wrong, at the
	 * price of a system call. wait_gone: wait until the last traces of a dead peer,
	 * which would keep the name, are gone, or the time is up. pid: of the attached
	 * process; NULL: there is only the hint in the slot.
	 */
	int (*take)(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to);
	void (*leave)(struct shmipc_end *e);
	enum shmipc_peer_state (*state)(struct shmipc_segment *seg, uint32_t slot, bool sure);
	void (*wait_gone)(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns);
	uint32_t (*pid)(struct shmipc_segment *seg, uint32_t slot);
	/* Receipts of deaths; NULL: none are kept. Fills in all but the caller's members. */
	int (*deaths)(struct shmipc_segment *seg, struct shmipc_deaths *ret);

	/*
	 * Fencing, see shmipc_segment_fence(); NULL: there is none. cut_off: was this end fenced?
	 */
	int (*fence)(struct shmipc_segment *seg, uint32_t slot, uint64_t generation, uint32_t flags,
		     uint64_t until_ns);
	bool (*cut_off)(const struct shmipc_end *e);

	/*
	 * Seal [off, off + bytes) of the segment, whole chunks of a topic's pool, so that no
	 * process can write there, or unseal it; a publisher's end. 0; -EBUSY: it is in use by
	 * something else than a mapping, or being sealed; -errno. NULL: that is not possible.
	 */
	int (*seal)(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool on);

	/*
	 * Sleeping, see wait/waiter.h. watch_peer: have a sleep on @set end when a peer
	 * comes to a slot, leaves it or dies. watch_peers: the same of all in [0, slots);
	 * of those that come when they have said hello. Both are to be called before the
	 * peers are looked at. sleep: on the words of @set, all of this backend;
	 * -ECONNRESET: an end of ours was fenced, and its handle is dead. wake: sleepers of a
	 * word, all if @n is 0, otherwise @n of those whose sets are exclusive. hello: we can
	 * be watched from now on, and have done nothing yet that others might wait for; NULL:
	 * the kernel tells them.
	 */
	void (*watch_peer)(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slot);
	void (*watch_peers)(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slots);
	int (*sleep)(struct shmipc_wait_set *set, uint64_t until_ns);
	void (*wake)(struct shmipc_segment *seg, const uint32_t *word, uint32_t n);
	void (*hello)(struct shmipc_segment *seg);

	/* Was the name removed while the segment is in use? NULL: not known */
	bool (*unnamed)(const struct shmipc_segment *seg);
};

extern const struct shmipc_backend shmipc_mem;		/* files by name, memfds */
extern const struct shmipc_backend shmipc_dev;		/* the kernel module's */
extern const struct shmipc_backend shmipc_private;	/* one process */

/*
 * backends.c: the backend of names, NULL with a text if SHMIPC_BACKEND has another
 * value, or if this process may not use futexes; no_backend: the code of that. And the
 * backend of a descriptor.
 */
const struct shmipc_backend *shmipc_backend_named(void);
int shmipc_no_backend(void);
const struct shmipc_backend *shmipc_backend_of_fd(int fd);

#endif /* SHMIPC_BACKEND_H */
