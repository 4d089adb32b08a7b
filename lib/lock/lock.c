// SPDX-License-Identifier: MIT
/* lock.c - what the locks have in common: see lock.h */
#include <errno.h>

#include "lock/lock.h"

int shmipc_lock_check(const struct shmipc_peer *p, const void *at, size_t bytes,
		      const char *function)
{
	if (!p || !at)
		return shmipc_null(function, "the peer or the lock");
	if (!shmipc_load_relaxed(&p->live))
		return shmipc_dead(p->seg);
	if (!shmipc_peer_within(p, at, bytes))
		return shmipc_fail(-EINVAL, "shmipc: %s(): %p is not in the data of the segment, or not aligned to 8 bytes (EINVAL)",
				   function, at);
	return 0;
}

/*
 * On mem a death wakes one watcher, which passes that on. So a peer does not watch its own
 * word: if it is killed just after it was woken for something else, it is still on the queue
 * of that word, before the others.
 */
static void forget_own(const struct shmipc_peer *p, struct shmipc_wait_set *set)
{
	const uint32_t *own = &shmipc_segment_slot(p->seg, p->end.slot)->word;
	size_t i, n = 0;

	for (i = 0; i < set->n; i++)
		if (set->w[i].word != own)
			set->w[n++] = set->w[i];
	set->n = n;
}

bool shmipc_lock_watch(const struct shmipc_peer *p, struct shmipc_wait_set *set, uint64_t word,
		       bool all)
{
	uint32_t slot = shmipc_lock_peer(word).slot;
	struct shmipc_segment *seg = p->seg;

	if (all) {
		seg->be->watch_peers(seg, set, seg->hdr.peers);
		forget_own(p, set);
		/* peer.P0 <- peer.P1: of those that are seen to have gone, all that they wrote is seen. */
		shmipc_fence_acquire();
		/* One that dies at the same moment may have taken the wake: look after as long again. */
		shmipc_wait_set_tick(set, SHMIPC_TICK_GUARD);
		return true;
	}
	if (slot >= seg->hdr.peers)
		return false;
	/* Ours does not go while we sleep. */
	if (slot != p->end.slot)
		seg->be->watch_peer(seg, set, slot);
	return true;
}
