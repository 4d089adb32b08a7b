/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_lock.h - locks in shared memory
 *
 * They are in memory that all peers of a segment may write. Zeroes are an unlocked lock.
 *
 * The word of a lock is 0 if it is free. Otherwise it names its owner:
 *
 *   bits  0..3   SHMIPC_LOCK_*, which may also be set while it is free
 *   bits  4..19  slot of the owner's peer
 *   bits 20..41  number of the thread within its process, from 1
 *   bits 42..63  generation of the peer, its low bits
 *
 * Sleepers sleep on its low 32 bits.
 */
#ifndef _UAPI_LINUX_SHMIPC_LOCK_H
#define _UAPI_LINUX_SHMIPC_LOCK_H

#include <linux/types.h>

#define SHMIPC_LOCK_WAITERS	0x1ULL	/* some may sleep: an unlock wakes one */
#define SHMIPC_LOCK_RESERVED	0x2ULL	/* one has waited long: free only for sleepers */
#define SHMIPC_LOCK_ORPHAN	0x4ULL	/* what a dead peer left is not yet consistent */
#define SHMIPC_LOCK_LOST	0x8ULL	/* not recoverable; nothing else in the word counts */
#define SHMIPC_LOCK_FLAGS	0xfULL

#define SHMIPC_LOCK_SLOT_SHIFT		4
#define SHMIPC_LOCK_SLOT_MASK		0xffffULL	/* after the shift, and so on */
#define SHMIPC_LOCK_THREAD_SHIFT	20
#define SHMIPC_LOCK_THREAD_MASK		0x3fffffULL
#define SHMIPC_LOCK_GENERATION_SHIFT	42
#define SHMIPC_LOCK_GENERATION_MASK	0x3fffffULL

/**
 * struct shmipc_mutex - a mutex; aligned to 8, better to 64
 * @word:     see above
 * @holder:   for people: process number of the owner in the high half; the low half of
 *            its word without the flags, to tell whose that is
 * @died:     word of the last owner that died holding it; 0: none has
 * @died_pid: for people: its process number; 0: not known
 * @deaths:   how many have
 * @reserved: 0
 */
struct shmipc_mutex {
	__u64	word;
	__u64	holder;
	__u64	died;
	__u32	died_pid;
	__u32	deaths;
	__u64	reserved[4];
};

/**
 * struct shmipc_cond - a condition; aligned to 8, better to 64. Zeroes: no one waits
 * @word:     how many signals found a waiter; sleepers sleep on its low 32 bits
 * @waiting:  threads that wait; too high after the death of one, which costs system calls
 * @reserved: 0
 */
struct shmipc_cond {
	__u64	word;
	__u64	waiting;
	__u64	reserved[6];
};

/* Threads that can have a read-write lock for reading at the same time. */
#define SHMIPC_RWLOCK_SHARES	64

/*
 * The word of a reader's share is 0, or names the reader as above, with other flags. It names
 * the reader also for a moment in which that has seen a writer, and is about to go back.
 */
#define SHMIPC_SHARE_WAITERS	0x1ULL	/* some may sleep: they are woken when it is given back */
#define SHMIPC_SHARE_AGAIN	0xeULL	/* how many times more that thread has it */
#define SHMIPC_SHARE_AGAIN_ONE	0x2ULL

/**
 * struct shmipc_rwlock - a read-write lock; aligned to 8, better to 64. Zeroes: nobody has it
 * @writer:   taken by a writer, which then waits until there are no readers. Those do not
 *            enter while it has an owner, or SHMIPC_LOCK_ORPHAN, or SHMIPC_LOCK_LOST
 * @inside:   word of the writer that may write now, without flags; 0: none, also if one
 *            waits for readers
 * @freed:    for people: how many shares of dead readers were given back
 * @reserved: 0
 * @share:    one for each thread that reads
 */
struct shmipc_rwlock {
	struct shmipc_mutex writer;
	__u64	inside;
	__u64	freed;
	__u64	reserved[6];
	__u64	share[SHMIPC_RWLOCK_SHARES];
};

/* Of the word of a semaphore, of which the high half is 0. */
#define SHMIPC_SEM_WAITERS	0x1ULL	/* some may sleep: a post wakes as many as it posts */
#define SHMIPC_SEM_ONE		0x2ULL
#define SHMIPC_SEM_VALUE	0xfffffffeULL

#define SHMIPC_SEM_MAX		0x7fffffffU	/* units of a plain one */
#define SHMIPC_SEM_UNITS	64		/* units of a robust one */

/* shmipc_sem.flags */
#define SHMIPC_SEM_ROBUST	0x1U	/* what a dead peer has comes back */

/**
 * struct shmipc_sem - a semaphore; aligned to 8, better to 64. Zeroes: a plain one of value 0
 * @word:     plain: how many units there are; robust: changed by posts that find waiters.
 *            In both the flag. Sleepers sleep on its low 32 bits
 * @flags:    SHMIPC_SEM_ROBUST
 * @units:    of a robust one: how many there are, taken or not
 * @freed:    for people: how many units of dead peers were taken again
 * @reserved: 0
 * @unit:     of a robust one: 0, or the thread that has taken it, as in the word of a lock;
 *            any thread of that peer may give it back
 */
struct shmipc_sem {
	__u64	word;
	__u32	flags;
	__u32	units;
	__u64	freed;
	__u64	reserved[5];
	__u64	unit[SHMIPC_SEM_UNITS];
};

/* Of the word of a barrier, of which the high half is 0: broken, by what, and the round. */
#define SHMIPC_BARRIER_DIED	0x1ULL	/* one that waited has died */
#define SHMIPC_BARRIER_LATE	0x2ULL	/* one that waited gave up at its deadline */
#define SHMIPC_BARRIER_ROUND	0x4ULL
#define SHMIPC_BARRIER_ROUNDS	0xfffffffcULL

#define SHMIPC_BARRIER_PLACES	64	/* threads that a barrier can be for */

/**
 * struct shmipc_barrier - a barrier; aligned to 8, better to 64; to be initialised
 * @word:     see above; sleepers sleep on its low 32 bits
 * @count:    threads that it is for: so many places are used
 * @reserved0: 0
 * @reserved: 0
 * @place:    the thread that has come, as in the word of a lock; instead of the flags, the
 *            low bits of the round in which it has
 */
struct shmipc_barrier {
	__u64	word;
	__u32	count;
	__u32	reserved0;
	__u64	reserved[6];
	__u64	place[SHMIPC_BARRIER_PLACES];
};

#endif /* _UAPI_LINUX_SHMIPC_LOCK_H */
