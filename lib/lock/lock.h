/* SPDX-License-Identifier: MIT */
/* lock.h - what the locks have in common: owners, and waiting for them */
#ifndef SHMIPC_LIB_LOCK_H
#define SHMIPC_LIB_LOCK_H

#include <shmipc/lock.h>

#include "peer/peer.h"

/* The owner in a word: everything but the flags. 0: it is free. */
static inline uint64_t shmipc_lock_owner_of(uint64_t word)
{
	return word & ~SHMIPC_LOCK_FLAGS;
}

/* The calling thread, as an owner. */
static inline uint64_t shmipc_lock_self(const struct shmipc_peer *p)
{
	return (p->generation & SHMIPC_LOCK_GENERATION_MASK) << SHMIPC_LOCK_GENERATION_SHIFT |
	       (uint64_t)shmipc_thread_number() << SHMIPC_LOCK_THREAD_SHIFT |
	       (uint64_t)p->end.slot << SHMIPC_LOCK_SLOT_SHIFT;
}

/* The peer of an owner; any word is possible. */
static inline struct shmipc_peer_name shmipc_lock_peer(uint64_t word)
{
	return (struct shmipc_peer_name){
		.slot = (uint32_t)(word >> SHMIPC_LOCK_SLOT_SHIFT & SHMIPC_LOCK_SLOT_MASK),
		.generation = word >> SHMIPC_LOCK_GENERATION_SHIFT & SHMIPC_LOCK_GENERATION_MASK,
		.mask = SHMIPC_LOCK_GENERATION_MASK,
	};
}

/* May @p use the lock of @bytes bytes there? 0; -EINVAL with a text; -ECONNRESET. */
int shmipc_lock_check(const struct shmipc_peer *p, const void *at, size_t bytes,
		      const char *function);

#define SHMIPC_LOCK_SHORT_NS	UINT64_C(2000000)

/*
 * Have a sleep on @set end when the owner in @word goes; or, if @all, when any peer does. The
 * latter costs a word for each peer, and is for sleeps that have lasted SHMIPC_LOCK_SHORT_NS:
 * one that was woken to take the lock may have died before it did, and others must take its
 * place. false: there is no such peer.
 */
bool shmipc_lock_watch(const struct shmipc_peer *p, struct shmipc_wait_set *set, uint64_t word,
		       bool all);

/* Waiting for a word that names its owner; word.c. One call that has to wait. */

#define SHMIPC_LOCK_PATIENCE_NS	UINT64_C(1000000)	/* then a waiter reserves the word */

struct shmipc_lock_wait {
	struct shmipc_peer *p;
	__u64 *word;		/* what it waits for, and whether that is a reader's share */
	bool share;
	uint64_t own;		/* the owner that it wants to be */
	uint64_t gone;		/* this owner has gone, according to the kernel */
	uint64_t seen;		/* the word that it sleeps on */
	uint64_t began_ns;
	uint32_t naps;		/* sleeps in a row that were over without a wake */
	bool slept;
	bool takes_reserved;	/* it has slept, has waited long, or gives up otherwise */
};

static inline bool shmipc_lock_may_take(const struct shmipc_lock_wait *w, uint64_t word)
{
	return !shmipc_lock_owner_of(word) &&
	       (!(word & SHMIPC_LOCK_RESERVED) || w->takes_reserved);
}

static inline bool shmipc_lock_waited_long(const struct shmipc_lock_wait *w)
{
	return shmipc_now_ns() - w->began_ns > SHMIPC_LOCK_PATIENCE_NS;
}

/* Has this owner of a word gone? @sure: ask the kernel, too. */
bool shmipc_lock_gone(const struct shmipc_lock_wait *w, uint64_t owner, bool sure);

/*
 * Wait until @take returns something else than -EAGAIN, and return that; or -EAGAIN with
 * deadline 0; -ETIMEDOUT; -ECONNRESET; -EINTR if signals end waits. @take has been called
 * before, in vain; it may change what is waited for.
 */
int shmipc_lock_wait(struct shmipc_lock_wait *w, int (*take)(struct shmipc_lock_wait *w),
		     uint64_t deadline_ns);

/* mutex.c: for the writers of a read-write lock */

/* Release a mutex that this thread owns; if it needs repair, the next one is told of that. */
void shmipc_mutex_hand_back(struct shmipc_peer *p, struct shmipc_mutex *m);
struct shmipc_lock_owner shmipc_lock_owner_info(uint64_t word, uint32_t pid);

/* rwlock.c: shares of this thread that are not where they are looked for first */
extern _Thread_local uint32_t shmipc_rwlock_strays;

#ifndef SHMIPC_LOCK_SHARES	/* fewer in the model */
#define SHMIPC_LOCK_SHARES	SHMIPC_RWLOCK_SHARES
#define SHMIPC_LOCK_SHARES_LINE	8u
#endif

#endif /* SHMIPC_LIB_LOCK_H */
