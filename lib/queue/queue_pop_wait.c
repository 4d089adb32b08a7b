// SPDX-License-Identifier: MIT
/*
 * queue_pop_wait.c - a consumer of an empty queue: its functions for the waiter
 *
 * It reads its bell, sets its bit, looks once more, and sleeps. An end that pushes, or gives an
 * item back, clears the bit, rings and wakes it. The death of any end wakes all: a consumer may
 * have had items, or been woken for one, and a producer may have been killed before the wake.
 *
 * One that is stopped, not killed, between clearing the bit and the wake leaves nobody to wake
 * this consumer: others find no bit. One that was woken may be stopped before it takes the
 * item. No word tells of that, so each sleeper looks by itself now and then.
 */
#include <errno.h>

#include "queue/queue.h"

/* Of a slot's word, what does not change while a peer has it. */
static uint32_t look_at(const struct shmipc_pop *c, uint32_t consumer)
{
	return shmipc_load_relaxed(&shmipc_segment_slot(c->seg, c->q.producers + consumer)->word) &
	       ~SHMIPC_PEER_WATCHED;
}

void shmipc_pop_notice(struct shmipc_pop *c, uint32_t most)
{
	uint32_t i, at, is, n = shmipc_cells_used(&c->q.ctl->consumers, c->q.consumers);

	for (i = 0; i < n && i < most; i++) {
		at = c->peer_turn < n ? c->peer_turn : 0;
		c->peer_turn = at + 1;
		is = look_at(c, at);
		if (shmipc_likely(is == c->peer_word[at]))
			continue;
		c->peer_word[at] = is;
		/* peer.P0 <- peer.P1: what it had taken is seen when all words are looked at. */
		shmipc_fence_acquire();
		c->rx.due = true;
		c->gone.known = false;
	}
}

static bool pop_ready(void *arg)
{
	struct shmipc_pop *c = arg;

	return !c->live || shmipc_cells_any(&c->rx);
}

/* One producer and one level, as far as we know: its tail is all that can change. */
static const __u64 *pop_poll(void *arg, uint64_t *ret_val)
{
	const struct shmipc_pop *c = arg;

	if (c->q.levels != 1 || shmipc_load_relaxed(&c->q.ctl->producers) != 1)
		return NULL;
	*ret_val = c->tail[0];
	return &c->q.tails[0].tail[0];
}

static int pop_settle(void *arg, bool sure)
{
	struct shmipc_pop *c = arg;

	if (!c->live)
		return 0;
	shmipc_pop_notice(c, c->q.consumers);
	if (sure) {	/* of those whose death no word shows */
		c->gone.known = false;
		c->gone.sure = true;
		shmipc_cells_scan(&c->rx);
		c->gone.known = c->gone.sure = false;
	}
	return shmipc_cells_must_scan(&c->rx) || c->rx.next < c->rx.nagain;
}

static uint64_t pop_want(void *arg)
{
	struct shmipc_pop *c = arg;

	if (!c->live)
		return SHMIPC_WANT_AGAIN;
	c->bell = shmipc_cells_sleep(&c->q, c->rx.me);
	return 1;
}

static bool pop_look(void *arg, struct shmipc_wait_set *set)
{
	struct shmipc_pop *c = arg;
	const __u64 *bell = &c->q.line[c->rx.me].bell;

	/* The peers first, then the queue. */
	shmipc_watch_word(c->seg, set, shmipc_low32(bell), c->bell);
	c->seg->be->watch_peers(c->seg, set, c->seg->hdr.peers);
	shmipc_wait_set_tick(set, c->tick);
	shmipc_pop_notice(c, c->q.consumers);
	return !shmipc_cells_any(&c->rx);
}

static void pop_tell(void *arg, const uint32_t *word, int ret)
{
	const struct shmipc_pop *c = arg;
	uint64_t off = shmipc_probe_off(c->seg, word);

	if (ret > 0)
		shmipc_probe_wait(c->seg, c->end.slot, off, c->taken, SHMIPC_ROLE_READER);
	else
		shmipc_probe_wait_end(c->seg, c->end.slot, off, (int64_t)ret, SHMIPC_ROLE_READER);
}

static const struct shmipc_wait_ops pop_ops = {
	.ready = pop_ready,
	.poll = pop_poll,
	.settle = pop_settle,
	.want = pop_want,
	.look = pop_look,
	.tell = pop_tell,
};

/* After it the caller looks once more: if it was woken for an item, that is there. */
int shmipc_pop_wait(struct shmipc_pop *c, uint64_t deadline_ns)
{
	int ret = shmipc_wait_one(&c->wait, &pop_ops, c, deadline_ns);

	if (c->live)
		(void)shmipc_cells_clear(&c->q, c->rx.me);
	return ret;
}
