// SPDX-License-Identifier: MIT
/* queue_wake.c - waking sleepers, and finding out which consumers have gone, for both ends */
#include "queue/queue.h"

uint32_t shmipc_queue_wake(struct shmipc_segment *seg, uint32_t slot, const struct shmipc_cells *q,
			   uint32_t *turn, uint32_t n)
{
	uint32_t i, consumer, woken = 0;

	for (i = 0; i < q->consumers && woken < n; i++) {
		consumer = shmipc_cells_sleeper(q, *turn);
		if (consumer == SHMIPC_CELLS_NONE)
			break;
		*turn = consumer + 1 < q->consumers ? consumer + 1 : 0;
		/* One that was killed in its sleep needs no wake; the table says so for free. */
		if (!shmipc_cells_clear(q, consumer) ||
		    seg->be->state(seg, q->producers + consumer, false) != SHMIPC_PEER_ATTACHED)
			continue;
		shmipc_cells_ring(q, consumer);
		shmipc_wake(seg, slot, shmipc_low32(&q->line[consumer].bell), consumer);
		woken++;
	}
	return woken;
}

void shmipc_queue_freed(struct shmipc_segment *seg, uint32_t slot, const struct shmipc_cells *q,
			uint32_t p)
{
	if (shmipc_cells_answer(q, p))
		shmipc_wake(seg, slot, shmipc_low32(&q->state[p].bell), p);
}

bool shmipc_queue_is_gone(struct shmipc_segment *seg, const struct shmipc_cells *q,
			  struct shmipc_queue_gone *g, uint64_t word)
{
	uint32_t consumer = word >> SHMIPC_QUEUE_SLOT_SHIFT & SHMIPC_QUEUE_SLOT_MASK;
	uint64_t generation = word >> SHMIPC_QUEUE_GENERATION_SHIFT & SHMIPC_QUEUE_GENERATION_MASK;
	uint64_t who = shmipc_cells_who(consumer, generation);

	if (!g->known || g->who != who) {
		g->gone = consumer >= q->consumers ||
			  !shmipc_peer_lives(seg, q->producers + consumer, generation,
					     SHMIPC_QUEUE_GENERATION_MASK, g->sure);
		g->who = who;
		g->known = true;
	}
	return g->gone;
}
