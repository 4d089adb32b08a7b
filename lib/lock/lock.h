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

#endif /* SHMIPC_LIB_LOCK_H */
