/* SPDX-License-Identifier: MIT */
/*
 * named_lock.h - a lock that has a name, for programs that share nothing else
 *
 *   err = shmipc_lock_open(&lock, "printer", NULL);
 *   ...
 *   ret = shmipc_lock_take(lock, SHMIPC_FOREVER);
 *   if (ret == -EOWNERDEAD) {
 *           repair();
 *           ret = shmipc_lock_consistent(lock);
 *   }
 *   ...
 *   shmipc_lock_give(lock);
 *
 * It is a read-write lock of shmipc/lock.h in a segment of its own, and what is said there
 * of cost, death, fairness and hostile peers holds for it: it is taken by one thread alone, or
 * shared by up to SHMIPC_RWLOCK_SHARES threads. The thread that took it gives it back.
 *
 * Death: if a process that had it alone has died, the next one to take it, also to share it,
 * gets it alone, with -EOWNERDEAD. If no other process had it open then, the name is free, and
 * the next one that opens it gets a new lock, which knows nothing of that; with SHMIPC_PERSIST
 * it does. The death of one that shared it is told to nobody: it has changed nothing.
 *
 * Signals: as in channel.h: a handler installed without SA_RESTART that runs while a call
 * sleeps makes it return -EINTR, and the lock is not taken. (Locks without a name go on.)
 *
 * Threads: a handle may be used by any number of threads at a time; it is closed when no
 * call runs. A child of fork() inherits none: those of its parent are closed in it, and
 * every use of them fails with -EINVAL.
 */
#ifndef SHMIPC_NAMED_LOCK_H
#define SHMIPC_NAMED_LOCK_H

#include <linux/shmipc_lock_named.h>
#include <shmipc/lock.h>
#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct shmipc_lock_opts - describes a lock to create or to open
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @flags:        SHMIPC_NO_CREATE, SHMIPC_EXCL, SHMIPC_PERSIST (it stays when all have closed
 *                it, with what it knows of a death), SHMIPC_CHOWN, SHMIPC_CHGRP,
 *                SHMIPC_OWNED_BY, SHMIPC_OWNED_BY_ANY
 * @mode:         as in struct shmipc_segment_opts, and so on to @owner
 * @peers:        the most processes that have it open at a time, 2 to 4096; 0: 64
 * @type:         SHMIPC_LOCK_TYPE_RWLOCK; 0: that
 * @reserved0:    0
 * @spin_ns:      how long to spin before sleeping; as in struct shmipc_peer_opts
 * @reserved1:    0
 *
 * A member that is zero selects the default. If the lock exists, each that is not zero must be
 * equal to what it was created with, but for @spin_ns; otherwise the open fails with -EINVAL.
 */
struct shmipc_lock_opts {
	uint64_t struct_bytes;
	uint32_t flags;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
	uint32_t peers;
	uint32_t type;
	uint32_t reserved0;
	uint64_t spin_ns;
	uint64_t reserved1[3];
};

#define SHMIPC_LOCK_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_lock_opts, __VA_ARGS__)

struct shmipc_lock;

/**
 * shmipc_lock_open - open a lock by its name, without taking it
 * @ret:  the lock; shmipc_lock_close() it
 * @name: as for shmipc_segment_open()
 * @opts: NULL: all defaults, or what exists
 *
 * Return: 0; -ENOSPC as many processes as there can be have it open; -EPROTO,
 * -EPROTONOSUPPORT; otherwise as shmipc_segment_open().
 */
int shmipc_lock_open(struct shmipc_lock **ret, const char *name,
		     const struct shmipc_lock_opts *opts);

/*
 * Give it back, if the calling thread has it, however often, and close. NULL is ignored. Another
 * thread of this process that has it is counted as dead by the others.
 */
void shmipc_lock_close(struct shmipc_lock *l);

/* Take it alone: as shmipc_rwlock_write_lock(); and -EINTR. */
int shmipc_lock_take(struct shmipc_lock *l, uint64_t deadline_ns);

/*
 * Share it with others that share it: as shmipc_rwlock_read_lock(); and -EINTR. With -EOWNERDEAD
 * the caller has it alone, as after shmipc_lock_take(), until it gives it back.
 */
int shmipc_lock_take_shared(struct shmipc_lock *l, uint64_t deadline_ns);

/* Give it back: as shmipc_rwlock_unlock(). */
int shmipc_lock_give(struct shmipc_lock *l);

/* What it protects has been repaired: as shmipc_rwlock_consistent(). */
int shmipc_lock_consistent(struct shmipc_lock *l);

/* The state of a lock. */
enum shmipc_lock_state {
	SHMIPC_LOCK_FREE	= 0,
	SHMIPC_LOCK_HELD	= 1,	/* one has it alone */
	SHMIPC_LOCK_LEFT	= 2,	/* its owner died: the next one gets -EOWNERDEAD */
	SHMIPC_LOCK_GIVEN_UP	= 3,	/* not recoverable: -ENOTRECOVERABLE for all */
	SHMIPC_LOCK_SHARED	= 4,
};

/**
 * struct shmipc_lock_info - a lock at one moment; others may have changed it since
 * @struct_bytes: sizeof this struct, set by the caller
 * @state:        enum shmipc_lock_state
 * @flags:        SHMIPC_MUTEX_WAITERS, SHMIPC_MUTEX_ORPHAN
 * @deaths:       how often it was taken from an owner that had died
 * @peers:        how many processes have it open
 * @owner:        that has it alone, or has left it; of a shared one: one that has it
 * @died:         the last owner from which it was taken after its death
 * @since_ns:     CLOCK_REALTIME when its owner took it, to a few milliseconds; 0: not known, and
 *                of a shared one
 * @comm:         the name of the owner's process; only for display
 * @readers:      threads that share it
 * @reserved0:    0
 * @reserved1:    0
 */
struct shmipc_lock_info {
	uint64_t struct_bytes;
	uint32_t state;
	uint32_t flags;
	uint32_t deaths;
	uint32_t peers;
	struct shmipc_lock_owner owner;
	struct shmipc_lock_owner died;
	uint64_t since_ns;
	char comm[16];
	uint32_t readers;
	uint32_t reserved0;
	uint64_t reserved1[3];
};

#define SHMIPC_LOCK_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_lock_info, )

/* The state now. Return: 0; -EINVAL; -ECONNRESET. */
int shmipc_lock_get_info(struct shmipc_lock *l, struct shmipc_lock_info *ret);

/**
 * shmipc_lock_look - inspect a lock by name without opening it
 * @name: as for open
 * @ret:  filled in
 *
 * Needs read permission only.
 *
 * Return: 0; -EINVAL the name is of another kind; otherwise as shmipc_segment_look().
 */
int shmipc_lock_look(const char *name, struct shmipc_lock_info *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_NAMED_LOCK_H */
