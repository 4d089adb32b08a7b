// SPDX-License-Identifier: MIT
/* queue_look.c - the state of a queue, for people and tools */
#include <errno.h>
#include <string.h>

#include "queue/queue.h"

static uint32_t consumer_of(uint64_t word)
{
	return word >> SHMIPC_QUEUE_SLOT_SHIFT & SHMIPC_QUEUE_SLOT_MASK;
}

/* Is it in the queue? The word of one that is just being pushed says READY, too. */
static bool is_pushed(const struct shmipc_cells *q, uint32_t p, uint64_t word)
{
	uint32_t level = shmipc_cells_level(word);
	uint64_t tail;

	if (level >= q->levels)
		return false;
	if (shmipc_cells_state(word) == SHMIPC_QUEUE_RETURNED)
		return true;
	tail = shmipc_load_relaxed(&q->tails[p].tail[level]);
	return ((tail - 1 - (word >> SHMIPC_QUEUE_POS_SHIFT)) & SHMIPC_QUEUE_POS_MASK) < q->depth;
}

static void look_at_words(const struct shmipc_cells *q, struct shmipc_queue_stat *st)
{
	uint32_t p, i, n = shmipc_cells_used(&q->ctl->producers, q->producers);
	uint64_t is;

	for (p = 0; p < n; p++)
		for (i = 0; i < q->depth; i++) {
			is = shmipc_load_relaxed(&shmipc_cells_words(q, p)[i]);
			if (shmipc_cells_state(is) == SHMIPC_QUEUE_TAKEN)
				st->taken++;
			else if (*st->dead_queue && shmipc_cells_state(is) == SHMIPC_QUEUE_RETURNED &&
				 shmipc_cells_expired(q, is))
				st->stuck++;
			else if (shmipc_cells_state(is) && is_pushed(q, p, is))
				st->ready[shmipc_cells_level(is)]++;
		}
}

static void look_at_counts(const struct shmipc_cells *q, struct shmipc_queue_stat *st)
{
	uint32_t i;

	for (i = 0; i < q->producers; i++)
		st->pushed += shmipc_load_relaxed(&q->tails[i].pushed);
	for (i = 0; i < q->consumers; i++) {
		st->acked += shmipc_load_relaxed(&q->line[i].acked);
		st->again += shmipc_load_relaxed(&q->line[i].again);
	}
	st->lost = shmipc_load_relaxed(&q->ctl->lost);
	st->expired = shmipc_load_relaxed(&q->ctl->expired);
	st->invalid = shmipc_load_relaxed(&q->ctl->invalid);
	st->dead = shmipc_load_relaxed(&q->ctl->dead);
}

/* Items in the places of a producer, or of all: those that a consumer has. */
static uint32_t has(const struct shmipc_cells *q, uint32_t from, uint32_t to, uint32_t consumer)
{
	uint32_t p, i, state, n = 0;
	uint64_t is;

	for (p = from; p < to; p++)
		for (i = 0; i < q->depth; i++) {
			is = shmipc_load_relaxed(&shmipc_cells_words(q, p)[i]);
			state = shmipc_cells_state(is);
			if (consumer == SHMIPC_CELLS_NONE)
				n += state != SHMIPC_QUEUE_FREE;
			else
				n += state == SHMIPC_QUEUE_TAKEN && consumer_of(is) == consumer;
		}
	return n;
}

static void look_at_end(const struct shmipc_cells *q, struct shmipc_queue_end *ret)
{
	uint32_t at = ret->peer.slot;
	const struct shmipc_queue_line *line;

	if (at < q->producers) {
		ret->pushed = shmipc_load_relaxed(&q->tails[at].pushed);
		ret->waits = shmipc_load_relaxed(&q->tails[at].waits);
		ret->has = has(q, at, at + 1, SHMIPC_CELLS_NONE);
		return;
	}
	at -= q->producers;
	line = &q->line[at];
	ret->taken = shmipc_load_relaxed(&line->taken);
	ret->again = shmipc_load_relaxed(&line->again);
	ret->acked = shmipc_load_relaxed(&line->acked);
	ret->returned = shmipc_load_relaxed(&line->returned);
	ret->taken_ns = shmipc_load_relaxed(&line->taken_ns);
	ret->has = has(q, 0, shmipc_cells_used(&q->ctl->producers, q->producers), at);
}

static void look_at_ends(struct shmipc_segment *seg, const struct shmipc_cells *q,
			 struct shmipc_queue_stat *st)
{
	struct shmipc_peer_info peer;
	uint32_t slot;

	for (slot = 0; slot < q->producers + q->consumers; slot++) {
		shmipc_slot_info(seg, slot, &peer);
		if (peer.state == SHMIPC_PEER_NONE || peer.state == SHMIPC_PEER_LEFT)
			continue;
		if (st->ends < st->end_cap) {
			st->end[st->ends] = (struct shmipc_queue_end){ .peer = peer };
			look_at_end(q, &st->end[st->ends]);
		}
		st->ends++;
	}
}

static int look_at(struct shmipc_segment *seg, const char *name, struct shmipc_queue_stat *ret)
{
	struct shmipc_queue_stat st = { .struct_bytes = ret->struct_bytes, .in_use = ret->in_use,
					.end = ret->end, .end_cap = ret->end_cap };
	struct shmipc_queue_hdr h;
	struct shmipc_cells q;
	int err = shmipc_queue_check(seg, name, &h, &q);

	if (err)
		return err;
	st.info.struct_bytes = sizeof(st.info);
	(void)shmipc_segment_get_info(seg, &st.info);
	st.producers = q.producers;
	st.consumers = q.consumers;
	st.depth = q.depth;
	st.levels = q.levels;
	st.delivery = q.acked ? SHMIPC_QUEUE_ACKNOWLEDGED : SHMIPC_QUEUE_AT_MOST_ONCE;
	st.deliveries = q.deliveries;
	st.item_bytes = q.item_bytes;
	memcpy(st.dead_queue, h.dead, sizeof(st.dead_queue));
	look_at_words(&q, &st);
	look_at_counts(&q, &st);
	look_at_ends(seg, &q, &st);
	*ret = st;
	return 0;
}

static int look(const char *name, struct shmipc_queue_stat *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_queue_stat st = { 0 };
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_queue_look", "ret");
	err = shmipc_sized_read(&st, sizeof(st), ret, "queue stat");
	if (err)
		return err;
	if (st.end_cap && !st.end)
		return shmipc_null("shmipc_queue_look", "end with an end_cap");
	err = shmipc_segment_look_begin(name, &st.in_use, &seg);
	if (err)
		return err;
	seg->read_only = true;
	err = look_at(seg, name, &st);
	shmipc_segment_look_done(seg);
	if (!err)
		shmipc_sized_write(ret, &st, sizeof(st));
	return err;
}

SHMIPC_EXPORT int shmipc_queue_look(const char *name, struct shmipc_queue_stat *ret)
{
	return SHMIPC_TOLD(look(name, ret));
}
