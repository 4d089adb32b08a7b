/* SPDX-License-Identifier: MIT */
/*
 * queue_pop.h - the consumer's side of a work queue; see queue_cells.h
 *
 * Items that were given back come first in their level. To find them, all words are looked at,
 * whenever that may be necessary: after ctl.returned has changed, and after a consumer has
 * come or gone. What is found is remembered, up to a number, and handed out in order.
 */
#ifndef SHMIPC_LIB_QUEUE_POP_H
#define SHMIPC_LIB_QUEUE_POP_H

#include <shmipc/queue.h>

#include "queue/queue_cells.h"

#define SHMIPC_CELLS_AGAIN	64u	/* items that were given back and are remembered */

/* An item that was given back: its word when it was seen. */
struct shmipc_cells_again {
	uint64_t word;
	uint32_t p;
	uint32_t cell;
};

/**
 * struct shmipc_cells_rx - a consumer; private memory, one thread at a time
 * @q:       the queue
 * @me:      its number
 * @who:     the same and its generation, as words name it
 * @tail:    [producers * levels]: as last seen
 * @backed:  [producers]: 0: not known to have memory; else so many cells less 1 have
 * @turn:    the producer at which the search begins
 * @due:     look at all words, although @returned has not changed
 * @more:    there were more items given back than can be remembered
 * @returned: ctl.returned before all words were looked at
 * @next:    of @again: the first one that has not been handed out
 * @nagain:  how many there are
 * @again:   items that were given back, in order
 * @see:     does cell @cell of @p, and what is before it, have memory? SHMIPC_CELLS_NONE: no
 *           cell. Raises @backed; 0, -errno
 * @gone:    does the word name a consumer that has left or died?
 * @freed:   cells of @p have become free without their consumer
 * @move:    move an item at the limit of deliveries, which this consumer has, to the queue for
 *           them: true: it is there. NULL: such items are dropped
 * @stuck:   @move has failed: leave such items where they are
 * @arg:     for these
 */
struct shmipc_cells_rx {
	const struct shmipc_cells *q;
	uint32_t me;
	uint64_t who;
	uint64_t *tail;
	uint32_t *backed;
	uint32_t turn;
	bool due;
	bool more;
	uint64_t returned;
	uint32_t next;
	uint32_t nagain;
	struct shmipc_cells_again again[SHMIPC_CELLS_AGAIN];
	int (*see)(void *arg, uint32_t p, uint32_t cell);
	bool (*gone)(void *arg, uint64_t word);
	void (*freed)(void *arg, uint32_t p);
	bool (*move)(void *arg, uint32_t p, uint32_t cell, uint64_t word);
	bool stuck;
	void *arg;
};

/* The item of a cell is gone. false: the word has changed meanwhile. */
static inline bool shmipc_cells_free(const struct shmipc_cells *q, uint32_t p, uint32_t cell,
				     uint64_t word)
{
	__u64 is = word;

	/* queue.F0 -> queue.F1: all reads of the item, before it is overwritten. */
	return shmipc_cas_acq_rel(&shmipc_cells_words(q, p)[cell], &is, SHMIPC_QUEUE_FREE);
}

/* Of an item that this consumer has just taken: false: what describes it is nonsense. */
static inline bool shmipc_cells_describe(struct shmipc_cells_rx *rx, uint32_t p, uint32_t cell,
					 uint64_t word, uint64_t number,
					 struct shmipc_queue_item *ret)
{
	const struct shmipc_cells *q = rx->q;
	uint32_t bytes, noted;

	if (shmipc_unlikely(cell + 2 > rx->backed[p]) && rx->see(rx->arg, p, cell))
		return false;
	bytes = shmipc_load_relaxed(shmipc_cells_bytes(q, p, cell));	/* once */
	noted = bytes & SHMIPC_QUEUE_NOTED;
	bytes &= ~SHMIPC_QUEUE_NOTED;
	if (bytes > q->item_bytes)
		return false;
	ret->data = shmipc_cells_at(q, p, cell);
	ret->number = number & SHMIPC_QUEUE_POS_MASK;
	ret->bytes = bytes;
	ret->level = shmipc_cells_level(word);
	ret->deliveries = shmipc_cells_times(word);
	ret->from = p;
	ret->word = word;
	ret->cell = cell;
	ret->flags = noted ? SHMIPC_ITEM_DEAD : 0;
	ret->reserved1[0] = ret->reserved1[1] = 0;
	return true;
}

static inline void shmipc_cells_drop(struct shmipc_cells_rx *rx, uint32_t p, uint32_t cell,
				     uint64_t word, __u64 *count)
{
	if (!shmipc_cells_free(rx->q, p, cell, word))
		return;
	shmipc_add_relaxed(count, UINT64_C(1));
	rx->freed(rx->arg, p);
}

/* Items that were given back */

/* Of one producer, the older one has the smaller number; all are within half of what fits. */
static inline bool shmipc_cells_before(const struct shmipc_cells_again *a,
				       const struct shmipc_cells_again *b)
{
	uint32_t la = shmipc_cells_level(a->word), lb = shmipc_cells_level(b->word);

	if (la != lb)
		return la > lb;
	if (a->p != b->p)
		return a->p < b->p;
	return ((shmipc_cells_number(b->word) - shmipc_cells_number(a->word)) &
		SHMIPC_QUEUE_NUMBER_MASK) < (SHMIPC_QUEUE_NUMBER_MASK + 1) / 2;
}

/* Into its place. false: there was no room for one of them. */
static inline bool shmipc_cells_remember(struct shmipc_cells_rx *rx, uint32_t p, uint32_t cell,
					 uint64_t word)
{
	const struct shmipc_cells_again a = { word, p, cell };
	bool room = rx->nagain < SHMIPC_CELLS_AGAIN;
	uint32_t i;

	if (!room && !shmipc_cells_before(&a, &rx->again[SHMIPC_CELLS_AGAIN - 1]))
		return false;
	if (room)
		rx->nagain++;
	for (i = rx->nagain - 1; i > 0 && shmipc_cells_before(&a, &rx->again[i - 1]); i--)
		rx->again[i] = rx->again[i - 1];
	rx->again[i] = a;
	return room;
}

/*
 * Its consumer has gone: the item is given back, or lost. Return: the word after that. It
 * is the same for all that do it, so it does not matter which of them was the quickest.
 */
static inline uint64_t shmipc_cells_bury(const struct shmipc_cells *q, __u64 *word, uint64_t is,
					 bool *ret_freed)
{
	uint64_t next = q->acked ? shmipc_cells_returned(is) : SHMIPC_QUEUE_FREE;
	__u64 was = is;

	/* queue.W0 -> queue.W1: with it comes what the producer has written. */
	if (!shmipc_cas_acq_rel(word, &was, next))
		return was;
	if (!q->acked) {
		shmipc_add_relaxed(&q->ctl->lost, UINT64_C(1));
		*ret_freed = true;
	}
	return next;
}

/* Was it handed out as often as is allowed? */
static inline bool shmipc_cells_expired(const struct shmipc_cells *q, uint64_t word)
{
	return q->deliveries && shmipc_cells_times(word) >= q->deliveries;
}

/*
 * It is TAKEN, and will not be handed out again. One that is moved is there before it is
 * freed here: if this consumer is killed in between, the next one moves it once more, and
 * its word says so. One that cannot be moved becomes what it was.
 */
static inline void shmipc_cells_expire(struct shmipc_cells_rx *rx, const struct shmipc_cells_again *a,
					  uint64_t taken)
{
	__u64 is = taken;

	if (rx->move && !rx->move(rx->arg, a->p, a->cell, taken)) {
		rx->stuck = true;
		/* queue.W0 -> queue.W1 */
		(void)shmipc_cas_acq_rel(&shmipc_cells_words(rx->q, a->p)[a->cell], &is, a->word);
		return;
	}
	shmipc_cells_drop(rx, a->p, a->cell, taken, &rx->q->ctl->expired);
}

/* Look at all words of one producer. false: there were more than can be remembered. */
static inline bool shmipc_cells_scan_one(struct shmipc_cells_rx *rx, uint32_t p)
{
	const struct shmipc_cells *q = rx->q;
	__u64 *words = shmipc_cells_words(q, p);
	bool all = true, freed = false;
	uint64_t is;
	uint32_t i;

	for (i = 0; i < q->depth; i++) {
		/* Relaxed: the CAS that takes it orders it. */
		is = shmipc_load_relaxed(&words[i]);
		if (shmipc_cells_state(is) == SHMIPC_QUEUE_TAKEN && rx->gone(rx->arg, is))
			is = shmipc_cells_bury(q, &words[i], is, &freed);
		if (shmipc_cells_state(is) == SHMIPC_QUEUE_RETURNED &&
		    !(rx->stuck && shmipc_cells_expired(q, is)) &&
		    !shmipc_cells_remember(rx, p, i, is))
			all = false;
	}
	if (freed)
		rx->freed(rx->arg, p);
	return all;
}

/* Look at all words: what belongs to nobody, and what was given back. */
static inline void shmipc_cells_scan(struct shmipc_cells_rx *rx)
{
	const struct shmipc_cells *q = rx->q;
	/* queue.R1 <- queue.R0: what was given back before, and the consumers that were there. */
	uint64_t returned = shmipc_load_acquire(&q->ctl->returned);
	uint32_t p, n = shmipc_cells_used(&q->ctl->producers, q->producers);

	rx->next = rx->nagain = 0;
	rx->due = rx->more = false;
	for (p = 0; p < n; p++)
		if (!shmipc_cells_scan_one(rx, p))
			rx->more = true;
	rx->returned = returned;
}

static inline bool shmipc_cells_must_scan(const struct shmipc_cells_rx *rx)
{
	/* Relaxed: the look that follows reads it again, in order. */
	return shmipc_load_relaxed(&rx->q->ctl->returned) != rx->returned || rx->due ||
	       (rx->more && rx->next == rx->nagain);
}

/* All of the position, of which a word has only bits: it is not far before the tail. */
static inline uint64_t shmipc_cells_whole(const struct shmipc_cells *q, uint32_t p, uint64_t word)
{
	uint64_t tail = shmipc_load_relaxed(&q->tails[p].tail[shmipc_cells_level(word)]);

	return tail - ((tail - shmipc_cells_number(word)) & SHMIPC_QUEUE_NUMBER_MASK);
}

/* One that was given back, of @level or a higher one. */
static inline bool shmipc_cells_take_again(struct shmipc_cells_rx *rx, uint32_t level,
					   struct shmipc_queue_item *ret)
{
	const struct shmipc_cells *q = rx->q;
	struct shmipc_cells_again *a;
	uint64_t taken;
	uint32_t times;
	__u64 was;

	while (rx->next < rx->nagain && shmipc_cells_level(rx->again[rx->next].word) >= level) {
		a = &rx->again[rx->next++];
		times = shmipc_cells_times(a->word);
		if (rx->stuck && shmipc_cells_expired(q, a->word))
			continue;
		taken = shmipc_cells_taken(rx->who, shmipc_cells_level(a->word), times + 1,
					   shmipc_cells_number(a->word));
		was = a->word;
		/* queue.W1 <- queue.W0: what the producer has written, by way of those that had it. */
		if (!shmipc_cas_acq_rel(&shmipc_cells_words(q, a->p)[a->cell], &was, taken))
			continue;	/* another consumer was quicker */
		if (shmipc_cells_expired(q, a->word))
			shmipc_cells_expire(rx, a, taken);
		else if (shmipc_cells_level(taken) < q->levels &&
			 shmipc_cells_describe(rx, a->p, a->cell, taken,
					       shmipc_cells_whole(q, a->p, taken), ret))
			return true;
		else
			shmipc_cells_drop(rx, a->p, a->cell, taken, &q->ctl->invalid);
	}
	return false;
}

/* New items */

/* Take the item whose entry is at @pos. false: it is not, or no longer, there. */
static inline bool shmipc_cells_take_at(struct shmipc_cells_rx *rx, uint32_t p, uint32_t level,
					uint64_t pos, uint32_t *ret_cell, uint64_t *ret_word)
{
	const struct shmipc_cells *q = rx->q;
	uint64_t entry = shmipc_load_relaxed(shmipc_cells_entry(q, p, level, pos));
	uint32_t cell = entry & SHMIPC_QUEUE_ENTRY_CELL & (q->depth - 1);
	__u64 is = shmipc_cells_ready(level, pos);

	if (entry >> SHMIPC_QUEUE_ENTRY_SHIFT != (pos & SHMIPC_QUEUE_POS_MASK))
		return false;	/* of a later lap */
	*ret_cell = cell;
	*ret_word = shmipc_cells_taken(rx->who, level, 1, pos);
	/* queue.W0 -> queue.W1 */
	return shmipc_cas_acq_rel(&shmipc_cells_words(q, p)[cell], &is, *ret_word);
}

/* Entries before @to have been taken, by us or by others. */
static inline void shmipc_cells_pass(__u64 *head, uint64_t from, uint64_t to)
{
	__u64 is = from;

	/* queue.H0 -> queue.H1: what lies before it is taken, and the tail is beyond. */
	while (!shmipc_cas_acq_rel(head, &is, to) && is - from < to - from)
		continue;
}

/*
 * Where the head is, and in *@ret_n how many entries follow it; 0: none. A head that is
 * too far from the tail is nonsense: no more than @depth entries exist.
 */
static inline uint64_t shmipc_cells_head(struct shmipc_cells_rx *rx, uint32_t p, uint32_t level,
					 uint64_t *ret_n)
{
	const struct shmipc_cells *q = rx->q;
	__u64 *head = &q->state[p].head[level];
	/* queue.H1 <- queue.H0 */
	__u64 at = shmipc_load_acquire(head);
	uint64_t *tail = &rx->tail[p * q->levels + level];
	uint64_t first;

	if (*tail - at - 1 >= q->depth)	/* none, as far as we know */
		/* queue.T1 <- queue.T0 */
		*tail = shmipc_load_acquire(&q->tails[p].tail[level]);
	if (*tail - at > q->depth) {
		first = *tail - q->depth;
		/* queue.H0 -> queue.H1; not if it has moved on. */
		if (shmipc_cas_acq_rel(head, &at, first))
			at = first;
	}
	*ret_n = *tail - at <= q->depth ? *tail - at : 0;
	return at;
}

/* New items of a producer, up to @cap. Return: how many. */
static inline uint32_t shmipc_cells_take_new(struct shmipc_cells_rx *rx, uint32_t p, uint32_t level,
					     struct shmipc_queue_item *ret, uint32_t cap)
{
	const struct shmipc_cells *q = rx->q;
	uint32_t tries, cell, k, got = 0;
	uint64_t pos, n, word;

	/* Until there are no more, not only as far as we know: lower levels come next. */
	for (tries = 0; tries <= 2 * q->depth && got < cap; tries++) {
		pos = shmipc_cells_head(rx, p, level, &n);
		if (!n || (!rx->backed[p] && rx->see(rx->arg, p, SHMIPC_CELLS_NONE)))
			break;
		for (k = 0; k < n && got < cap; k++) {
			if (!shmipc_cells_take_at(rx, p, level, pos + k, &cell, &word))
				break;
			if (shmipc_cells_describe(rx, p, cell, word, pos + k, &ret[got]))
				got++;
			else
				shmipc_cells_drop(rx, p, cell, word, &q->ctl->invalid);
		}
		shmipc_cells_pass(&q->state[p].head[level], pos, pos + (k ? k : 1));
	}
	return got;
}

/**
 * shmipc_cells_pop - take up to @cap items, those of higher levels first
 * @rx:  the consumer
 * @ret: array of @cap
 *
 * Return: how many.
 */
static inline uint32_t shmipc_cells_pop(struct shmipc_cells_rx *rx, struct shmipc_queue_item *ret,
					uint32_t cap)
{
	const struct shmipc_cells *q = rx->q;
	uint32_t level, i, p, got = 0, n = shmipc_cells_used(&q->ctl->producers, q->producers);

	if (shmipc_unlikely(shmipc_cells_must_scan(rx)))
		shmipc_cells_scan(rx);
	for (level = q->levels; level-- > 0 && got < cap;) {
		while (got < cap && rx->next < rx->nagain &&
		       shmipc_cells_take_again(rx, level, &ret[got]))
			got++;
		for (i = 0; i < n && got < cap; i++) {
			p = rx->turn < n ? rx->turn : 0;
			rx->turn = p + 1;
			got += shmipc_cells_take_new(rx, p, level, &ret[got], cap - got);
		}
	}
	return got;
}

/* Is there anything to take, or to look at? Changes nothing but a head that is nonsense. */
static inline bool shmipc_cells_any(struct shmipc_cells_rx *rx)
{
	const struct shmipc_cells *q = rx->q;
	uint32_t level, p, n = shmipc_cells_used(&q->ctl->producers, q->producers);
	uint64_t entries;

	if (shmipc_cells_must_scan(rx) || rx->next < rx->nagain)
		return true;
	for (p = 0; p < n; p++)
		for (level = 0; level < q->levels; level++) {
			(void)shmipc_cells_head(rx, p, level, &entries);
			if (entries)
				return true;
		}
	return false;
}

/* Give an item back. false: it is not, or no longer, ours. Others are to be woken. */
static inline bool shmipc_cells_return(struct shmipc_cells_rx *rx, uint32_t p, uint32_t cell,
				       uint64_t word)
{
	const struct shmipc_cells *q = rx->q;
	__u64 is = word;

	/* queue.W0 -> queue.W1 */
	if (!shmipc_cas_acq_rel(&shmipc_cells_words(q, p)[cell], &is, shmipc_cells_returned(word)))
		return false;
	shmipc_cells_tell(q);
	return true;
}

#endif /* SHMIPC_LIB_QUEUE_POP_H */
