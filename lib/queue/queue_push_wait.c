// SPDX-License-Identifier: MIT
/*
 * queue_push_wait.c - a producer whose cells are all in use: its functions for the waiter
 *
 * It says that it wants one, looks at the words once more, and sleeps on its bell. The
 * cells of a dead consumer are given back or freed by the producer itself. The death of any
 * end also wakes it: a consumer may have been killed after it freed a cell, before the wake.
 * One that was stopped there has cleared the want, and no other will wake us: so we look now
 * and then by ourselves.
 */
#include <errno.h>

#include "queue/queue.h"

static bool push_ready(void *arg)
{
	struct shmipc_push *p = arg;

	return !p->live || shmipc_cells_find(&p->tx) != SHMIPC_CELLS_NONE;
}

/* What the word is by then, if something had to be done about it; otherwise READY. */
static enum shmipc_queue_word settle_one(struct shmipc_push *p, uint32_t cell, uint64_t is)
{
	enum shmipc_queue_word next = SHMIPC_QUEUE_READY;
	bool freed = false;

	if (shmipc_cells_state(is) == SHMIPC_QUEUE_READY) {
		next = shmipc_cells_mend(&p->tx, cell, is);
		if (next == SHMIPC_QUEUE_FREE)
			shmipc_add_relaxed(&p->q.ctl->invalid, UINT64_C(1));
	} else if (shmipc_cells_state(is) == SHMIPC_QUEUE_TAKEN &&
		   shmipc_queue_is_gone(p->seg, &p->q, &p->gone, is)) {
		is = shmipc_cells_bury(&p->q, &shmipc_cells_words(&p->q, p->tx.me)[cell], is, &freed);
		if (freed || shmipc_cells_state(is) == SHMIPC_QUEUE_RETURNED)
			next = freed ? SHMIPC_QUEUE_FREE : SHMIPC_QUEUE_RETURNED;
	}
	return next;
}

static int push_settle(void *arg, bool sure)
{
	struct shmipc_push *p = arg;
	enum shmipc_queue_word now;
	uint32_t i, freed = 0, returned = 0;

	p->gone.known = false;
	p->gone.sure = sure;
	/* In any order with the words: where one has changed meanwhile, the CAS on it fails. */
	shmipc_cells_see_heads(&p->tx);
	for (i = 0; i < p->q.depth; i++) {
		now = settle_one(p, i, shmipc_load_relaxed(&shmipc_cells_words(&p->q, p->tx.me)[i]));
		freed += now == SHMIPC_QUEUE_FREE;
		returned += now == SHMIPC_QUEUE_RETURNED;
	}
	if (returned) {
		shmipc_cells_tell(&p->q);
		p->wakes += shmipc_queue_wake(p->seg, p->end.slot, &p->q, &p->turn, returned);
	}
	return freed != 0;
}

static uint64_t push_want(void *arg)
{
	struct shmipc_push *p = arg;

	if (!p->live)
		return SHMIPC_WANT_AGAIN;
	p->bell = shmipc_cells_want(&p->q, p->tx.me);
	return SHMIPC_WANT_NOTHING;	/* that was the fence */
}

static bool push_look(void *arg, struct shmipc_wait_set *set)
{
	struct shmipc_push *p = arg;
	const __u64 *bell = &p->q.state[p->tx.me].bell;

	shmipc_watch_word(p->seg, set, shmipc_low32(bell), p->bell);
	p->seg->be->watch_peers(p->seg, set, p->seg->hdr.peers);
	shmipc_wait_set_tick(set, p->tick);
	return shmipc_cells_find(&p->tx) == SHMIPC_CELLS_NONE;
}

static void push_tell(void *arg, const uint32_t *word, int ret)
{
	const struct shmipc_push *p = arg;
	uint64_t off = shmipc_probe_off(p->seg, word);

	if (ret > 0)
		shmipc_probe_wait(p->seg, p->end.slot, off, p->pushed, SHMIPC_ROLE_PRODUCER);
	else
		shmipc_probe_wait_end(p->seg, p->end.slot, off, (int64_t)ret, SHMIPC_ROLE_PRODUCER);
}

static const struct shmipc_wait_ops push_ops = {
	.ready = push_ready,
	.settle = push_settle,
	.want = push_want,
	.look = push_look,
	.tell = push_tell,
};

int shmipc_push_wait(struct shmipc_push *p, uint64_t deadline_ns)
{
	uint32_t rounds = 0;
	int ret = 0;

	while (!ret && !push_ready(p)) {
		ret = shmipc_wait_one(&p->wait, &push_ops, p, deadline_ns);
		if (!ret && rounds++ > QUEUE_ROUNDS && shmipc_now_ns() >= deadline_ns)
			ret = -ETIMEDOUT;
	}
	if (p->live)
		shmipc_store_relaxed(&p->q.state[p->tx.me].want, UINT64_C(0));
	return ret;
}
