/* SPDX-License-Identifier: MIT */
/* queue_push.h - the producer's side of a work queue; see queue_cells.h */
#ifndef SHMIPC_LIB_QUEUE_PUSH_H
#define SHMIPC_LIB_QUEUE_PUSH_H

#include "queue/queue_cells.h"

/* A producer. Private memory, one thread at a time. */
struct shmipc_cells_tx {
	const struct shmipc_cells *q;
	uint32_t me;		/* its number */
	uint32_t at;		/* the search for a free cell begins here */
	uint32_t backed;	/* cells that have memory */
	bool full_fence;	/* consumers that sleep cannot run membarrier for us */
	uint64_t tail[SHMIPC_QUEUE_LEVELS_MAX];
	uint64_t head[SHMIPC_QUEUE_LEVELS_MAX];	/* as last seen */
};

/**
 * shmipc_cells_tx_init - take over the cells of a slot
 * @tx: filled in, but for @backed and @full_fence
 * @q:  the queue
 * @me: the slot, which is the caller's
 *
 * What the last owner had not pushed completely when it died is freed.
 */
static inline void shmipc_cells_tx_init(struct shmipc_cells_tx *tx, const struct shmipc_cells *q,
					uint32_t me)
{
	__u64 *words = shmipc_cells_words(q, me), is;
	uint32_t i, level;

	memset(tx, 0, sizeof(*tx));
	tx->q = q;
	tx->me = me;
	for (level = 0; level < q->levels; level++) {
		tx->tail[level] = shmipc_load_relaxed(&q->tails[me].tail[level]);
		tx->head[level] = shmipc_load_relaxed(&q->state[me].head[level]);
	}
	for (i = 0; i < q->depth; i++) {
		is = shmipc_load_relaxed(&words[i]);
		level = shmipc_cells_level(is);
		if (shmipc_cells_state(is) != SHMIPC_QUEUE_READY)
			continue;
		/* Before the tail are those that were pushed, at most as many as there are cells. */
		if (level < q->levels &&
		    ((tx->tail[level] - 1 - (is >> SHMIPC_QUEUE_POS_SHIFT)) & SHMIPC_QUEUE_POS_MASK) <
		    q->depth)
			continue;
		/* queue.F0 -> queue.F1 */
		(void)shmipc_cas_acq_rel(&words[i], &is, SHMIPC_QUEUE_FREE);
	}
}

/* A free cell, or SHMIPC_CELLS_NONE. */
static inline uint32_t shmipc_cells_find(struct shmipc_cells_tx *tx)
{
	const __u64 *words = shmipc_cells_words(tx->q, tx->me);
	uint32_t i, at = tx->at;

	for (i = 0; i < tx->backed; i++) {
		/* queue.F1 <- queue.F0: its last consumer has read all of it. */
		if (!shmipc_cells_state(shmipc_load_acquire(&words[at]))) {
			tx->at = at;
			return at;
		}
		at = at + 1 < tx->backed ? at + 1 : 0;
	}
	return SHMIPC_CELLS_NONE;
}

/*
 * There are as many entries as cells. If all are in use although a cell is free, the first
 * one has been taken by a consumer that was killed, or stopped, before it moved the head.
 */
static inline void shmipc_cells_make_room(struct shmipc_cells_tx *tx, uint32_t level)
{
	const struct shmipc_cells *q = tx->q;
	__u64 *head = &q->state[tx->me].head[level], is = shmipc_load_relaxed(head);

	while (tx->tail[level] - is >= q->depth)
		/* queue.H0 -> queue.H1 */
		if (shmipc_cas_acq_rel(head, &is, tx->tail[level] - q->depth + 1))
			is = tx->tail[level] - q->depth + 1;
	tx->head[level] = is;
}

/**
 * shmipc_cells_fill - an item is in its cell; give it its place in the order
 * @tx:    the producer
 * @cell:  a free cell, which has been written
 * @bytes: of the item
 * @level: its level
 *
 * shmipc_cells_push() must follow.
 */
static inline void shmipc_cells_fill(struct shmipc_cells_tx *tx, uint32_t cell, uint32_t bytes,
				     uint32_t level)
{
	const struct shmipc_cells *q = tx->q;
	uint64_t pos = tx->tail[level];

	if (shmipc_unlikely(pos - tx->head[level] >= q->depth))
		shmipc_cells_make_room(tx, level);
	shmipc_store_relaxed(shmipc_cells_bytes(q, tx->me, cell), bytes);
	shmipc_store_relaxed(&shmipc_cells_words(q, tx->me)[cell], shmipc_cells_ready(level, pos));
	shmipc_store_relaxed(shmipc_cells_entry(q, tx->me, level, pos),
			     (pos & SHMIPC_QUEUE_POS_MASK) << SHMIPC_QUEUE_ENTRY_SHIFT | cell);
	tx->tail[level] = pos + 1;
	if (++tx->at >= tx->backed)
		tx->at = 0;
}

/* All that was filled, of this level, is in the queue. */
static inline void shmipc_cells_push(struct shmipc_cells_tx *tx, uint32_t level)
{
	/* queue.T0 -> queue.T1: the items, their words and entries. */
	shmipc_store_release(&tx->q->tails[tx->me].tail[level], tx->tail[level]);
	/* queue.S1 <- queue.S0: the tail, then the sleepers. */
	if (shmipc_unlikely(tx->full_fence))
		shmipc_fence_seq_cst();
	else
		shmipc_barrier_light();
}

/**
 * shmipc_cells_mend - a word says READY: is that so?
 * @tx:   the producer, which has filled nothing that it has not pushed
 * @cell: one of its cells
 * @is:   its word
 *
 * A head passes an entry only after the word has changed, so of a READY item the entry is
 * there, and the head not beyond. It is otherwise only if somebody has written nonsense, and
 * then nobody would ever take the item: of one whose entry was passed over it becomes
 * RETURNED, otherwise FREE.
 *
 * Return: what it is now, if it was changed; otherwise SHMIPC_QUEUE_READY.
 */
static inline enum shmipc_queue_word shmipc_cells_mend(struct shmipc_cells_tx *tx, uint32_t cell,
						       uint64_t is)
{
	const struct shmipc_cells *q = tx->q;
	__u64 *word = &shmipc_cells_words(q, tx->me)[cell], was = is;
	uint64_t pos, behind, next = SHMIPC_QUEUE_FREE;
	uint32_t level = shmipc_cells_level(is);

	pos = is >> SHMIPC_QUEUE_POS_SHIFT;
	if (level < q->levels && pos <= SHMIPC_QUEUE_POS_MASK) {
		behind = (tx->tail[level] - pos) & SHMIPC_QUEUE_POS_MASK;
		if (behind && behind <= q->depth &&
		    shmipc_load_relaxed(shmipc_cells_entry(q, tx->me, level, pos)) ==
		    (pos << SHMIPC_QUEUE_ENTRY_SHIFT | cell)) {
			if (tx->tail[level] - tx->head[level] >= behind)
				return SHMIPC_QUEUE_READY;
			next = shmipc_cells_returned(shmipc_cells_taken(0, level, 0, pos));
		}
	}
	/* queue.W0 -> queue.W1 */
	if (!shmipc_cas_acq_rel(word, &was, next))
		return SHMIPC_QUEUE_READY;
	return next ? SHMIPC_QUEUE_RETURNED : SHMIPC_QUEUE_FREE;
}

/* Before words are looked at: where the heads are. */
static inline void shmipc_cells_see_heads(struct shmipc_cells_tx *tx)
{
	uint32_t level;

	for (level = 0; level < tx->q->levels; level++)
		tx->head[level] = shmipc_load_relaxed(&tx->q->state[tx->me].head[level]);
}

#endif /* SHMIPC_LIB_QUEUE_PUSH_H */
