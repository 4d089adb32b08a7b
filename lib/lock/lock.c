// SPDX-License-Identifier: MIT
/* lock.c - what the locks have in common: see lock.h */
#include "lock/lock.h"

bool shmipc_lock_watch(const struct shmipc_peer *p, struct shmipc_wait_set *set, uint64_t word,
		       bool all)
{
	uint32_t slot = shmipc_lock_peer(word).slot;
	struct shmipc_segment *seg = p->seg;

	if (all) {
		seg->be->watch_peers(seg, set, seg->hdr.peers);
		return true;
	}
	if (slot >= seg->hdr.peers)
		return false;
	/* Ours does not go while we sleep. */
	if (slot != p->end.slot)
		seg->be->watch_peer(seg, set, slot);
	return true;
}
