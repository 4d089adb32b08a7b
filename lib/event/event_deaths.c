// SPDX-License-Identifier: MIT
/*
 * event_deaths.c - how many notifiers have died
 *
 * Nobody counts the deaths: the dead cannot. Each slot has a generation, which says how
 * many have taken it, and the word @left, which says how many have left it by closing; the
 * others that are not in it any more have died. A slot that changes hands while it is
 * looked at may show too few deaths for a moment, never too many; so the largest number
 * counts, and the word of the slot, which changes once more, wakes those that sleep.
 */
#include <errno.h>
#include <stdlib.h>

#include "event/event.h"
#include "segment/table.h"

#define TRIES	16

static uint64_t died_in(struct shmipc_segment *seg, const struct shmipc_counts *c, uint32_t slot,
			bool sure)
{
	const struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint64_t generation, gone, left;
	enum shmipc_peer_state state;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		/* peer.G1 <- peer.G0: with a new generation no state of the old one is seen. */
		generation = shmipc_load_acquire(&s->generation);
		/* peer.P0 <- peer.P1, in it: one that has left has said so before. */
		state = seg->be->state(seg, slot, sure);
		left = shmipc_load_relaxed(&c->notifier[slot].left);
		/* peer.G1 <- peer.G0: the three belong together if this is the same. */
		shmipc_fence_acquire();
		if (shmipc_load_relaxed(&s->generation) != generation)
			continue;
		if (!generation || (state == SHMIPC_PEER_ATTACHED && generation == 1))
			return 0;
		gone = state == SHMIPC_PEER_ATTACHED ? generation - 1 : generation;
		return gone > left ? gone - left : 0;
	}
	return 0;
}

void shmipc_event_deaths_look(struct shmipc_event_deaths *d, struct shmipc_segment *seg,
			      const struct shmipc_counts *c, bool sure)
{
	uint32_t slot;
	uint64_t n;

	for (slot = 0; slot < c->notifiers; slot++) {
		n = died_in(seg, c, slot, sure);
		if (n <= d->by_slot[slot])
			continue;
		d->total += n - d->by_slot[slot];
		d->by_slot[slot] = n;
	}
}

int shmipc_event_deaths_init(struct shmipc_event_deaths *d, struct shmipc_segment *seg,
			     const struct shmipc_counts *c)
{
	uint32_t slot, word;

	d->by_slot = calloc(c->notifiers, sizeof(*d->by_slot));
	if (!d->by_slot)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a listener (ENOMEM)");
	d->total = 0;
	/*
	 * To ask the kernel of each of a thousand slots takes milliseconds. One that makes its
	 * word say that it lives, and dies, is found later, and counts from then on.
	 */
	for (slot = 0; slot < c->notifiers; slot++) {
		word = shmipc_load_relaxed(&shmipc_segment_slot(seg, slot)->word);
		d->by_slot[slot] = died_in(seg, c, slot, !shmipc_word_is_sure(word));
		d->total += d->by_slot[slot];
	}
	return 0;
}
