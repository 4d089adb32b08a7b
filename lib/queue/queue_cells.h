/* SPDX-License-Identifier: MIT */
/*
 * queue_cells.h - the algorithm of work queues: cells, their words, and sleepers
 *
 * Pure memory: no system call, no malloc, no processes; see shmipc_queue.h for the bytes,
 * queue_push.h and queue_pop.h for the two sides.
 *
 *   a producer                           a consumer
 *   finds a cell that is FREE     F1     reads head, then tail               H1 T1
 *   writes the item, its word,           reads the entry at the head
 *     and its entry                      word: READY -> TAKEN                W0
 *   tail += 1                     T0     head += 1                           H0
 *                                        reads the item
 *                                        word: TAKEN -> FREE                 F0
 *
 * An item is in the queue from the store of the tail on, and belongs to the one that
 * changes its word. The head follows: any end that finds an entry whose word is not READY with its
 * position moves the head past it, also if the consumer that has taken the item is dead. So a
 * position is taken only after all before it, and no process waits for another.
 *
 * A producer that is killed before its tail has pushed nothing; the next one in its slot
 * frees the cells whose positions are not before the tail. What a dead consumer had
 * taken, its words say: each consumer that learns of a death looks at all words, and gives
 * back or frees what belongs to nobody. It does not matter who does it, how often, or whether
 * that one dies over it, as each of the others looks, too.
 *
 * Sleeping: a consumer sets its bit, and then looks whether there is something. One that
 * pushes looks for bits after that; by clearing a bit it gets the right, and the duty, to
 * wake this consumer: one for each item, and no other. A producer that waits for a free
 * cell says so in a word of its own.
 */
#ifndef SHMIPC_LIB_QUEUE_CELLS_H
#define SHMIPC_LIB_QUEUE_CELLS_H

#include <errno.h>
#include <stdbool.h>

#include <linux/shmipc_queue.h>
#include <shmipc/inline/atomic.h>

#define SHMIPC_CELLS_NONE	UINT32_MAX

/* The parts of a queue. Private memory; all fields are constant, and were checked. */
struct shmipc_cells {
	struct shmipc_queue_ctl *ctl;
	struct shmipc_queue_state *state;	/* [producers] */
	struct shmipc_queue_line *line;		/* [consumers] */
	__u64 *word;				/* [producers][depth] */
	struct shmipc_queue_tails *tails;	/* [producers] */
	unsigned char *area;
	uint64_t area_bytes;
	uint64_t bytes_off;			/* in an area */
	uint64_t cells_off;
	uint64_t notes_off;
	uint64_t stride;
	uint64_t item_bytes;
	uint32_t depth;
	uint32_t levels;
	uint32_t deliveries;
	uint32_t producers;
	uint32_t consumers;
	bool acked;
};

static inline uint64_t shmipc_cells_round(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

/* Bytes of an area before its cells. */
static inline uint64_t shmipc_cells_off(const struct shmipc_queue_hdr *h)
{
	return shmipc_cells_round((uint64_t)h->depth * h->levels * sizeof(__u64) +
				  (uint64_t)h->depth * sizeof(__u32), SHMIPC_LINE);
}

static inline bool shmipc_cells_limits(const struct shmipc_queue_hdr *h)
{
	const struct shmipc_sides_hdr *s = &h->sides;

	return s->producers && s->producers <= SHMIPC_QUEUE_PRODUCERS_MAX && s->readers &&
	       s->readers <= SHMIPC_QUEUE_CONSUMERS_MAX && h->depth &&
	       h->depth <= SHMIPC_QUEUE_DEPTH_MAX && !(h->depth & (h->depth - 1)) &&
	       (uint64_t)h->depth * s->producers <= SHMIPC_QUEUE_CELLS_MAX && h->levels &&
	       h->levels <= SHMIPC_QUEUE_LEVELS_MAX && !(h->flags & ~SHMIPC_QUEUE_ACKED) &&
	       h->deliveries < SHMIPC_QUEUE_TIMES_MAX && h->item_bytes &&
	       h->item_bytes <= SHMIPC_QUEUE_ITEM_MAX;
}

/**
 * shmipc_cells_layout - the sizes of the two sides
 * @h: sides.producers, sides.readers, depth, levels, flags, deliveries and item_bytes are
 *     set; the rest is filled in, but the offsets
 *
 * Return: 0, -EINVAL a number is out of range.
 */
static inline int shmipc_cells_layout(struct shmipc_queue_hdr *h)
{
	struct shmipc_sides_hdr *s = &h->sides;

	if (!shmipc_cells_limits(h))
		return -EINVAL;
	s->magic = SHMIPC_QUEUE_MAGIC;
	s->version = SHMIPC_QUEUE_VERSION;
	s->kind = SHMIPC_KIND_QUEUE;
	h->stride = shmipc_cells_round(h->item_bytes, SHMIPC_LINE);
	h->area_bytes = shmipc_cells_round(shmipc_cells_off(h) + h->depth * h->stride +
					   h->depth * sizeof(struct shmipc_queue_note),
					   SHMIPC_CTL_PAGE);
	s->read_bytes = sizeof(struct shmipc_queue_ctl) +
			s->producers * sizeof(struct shmipc_queue_state) +
			s->readers * sizeof(struct shmipc_queue_line) +
			(uint64_t)s->producers * h->depth * sizeof(__u64);
	s->read_bytes = shmipc_cells_round(s->read_bytes, SHMIPC_CTL_PAGE);
	s->prod_bytes = shmipc_cells_round(s->producers * sizeof(struct shmipc_queue_tails),
					   SHMIPC_CTL_PAGE) + s->producers * h->area_bytes;
	return s->prod_bytes > SHMIPC_QUEUE_DATA_MAX ? -EINVAL : 0;
}

/**
 * shmipc_cells_check - check the header, and find what it describes
 * @mem: the body: the struct shmipc_queue_hdr
 * @h:   a private copy of that; the offsets and sizes of its sides lie in the body
 * @ret: filled in
 *
 * Return: 0; -EPROTO; -EPROTONOSUPPORT another version, or unknown features.
 */
static inline int shmipc_cells_check(void *mem, const struct shmipc_queue_hdr *h,
				     struct shmipc_cells *ret)
{
	struct shmipc_queue_hdr want = *h;
	const struct shmipc_sides_hdr *s = &h->sides;
	unsigned char *at = (unsigned char *)mem;

	if (s->magic != SHMIPC_QUEUE_MAGIC)
		return -EPROTO;
	if (s->version != SHMIPC_QUEUE_VERSION || s->incompat & ~SHMIPC_QUEUE_INCOMPAT_KNOWN)
		return -EPROTONOSUPPORT;
	if (shmipc_cells_layout(&want) || want.stride != h->stride ||
	    want.area_bytes != h->area_bytes || want.sides.prod_bytes != s->prod_bytes ||
	    want.sides.read_bytes != s->read_bytes)
		return -EPROTO;
	*ret = (struct shmipc_cells){
		.area_bytes = h->area_bytes, .bytes_off = (uint64_t)h->depth * h->levels * 8,
		.cells_off = shmipc_cells_off(h), .stride = h->stride,
		.notes_off = shmipc_cells_off(h) + h->depth * h->stride,
		.item_bytes = h->item_bytes, .depth = h->depth, .levels = h->levels,
		.deliveries = h->deliveries, .producers = s->producers, .consumers = s->readers,
		.acked = h->flags & SHMIPC_QUEUE_ACKED,
	};
	ret->ctl = (struct shmipc_queue_ctl *)(void *)(at + s->read_off);
	ret->state = (struct shmipc_queue_state *)(void *)(ret->ctl + 1);
	ret->line = (struct shmipc_queue_line *)(void *)(ret->state + s->producers);
	ret->word = (__u64 *)(void *)(ret->line + s->readers);
	ret->tails = (struct shmipc_queue_tails *)(void *)(at + s->prod_off);
	ret->area = at + s->prod_off + s->prod_bytes - s->producers * h->area_bytes;
	return 0;
}

static inline __u64 *shmipc_cells_words(const struct shmipc_cells *q, uint32_t p)
{
	return q->word + (size_t)p * q->depth;
}

static inline __u64 *shmipc_cells_entry(const struct shmipc_cells *q, uint32_t p, uint32_t level,
					uint64_t pos)
{
	return (__u64 *)(void *)(q->area + p * q->area_bytes) + (size_t)level * q->depth +
	       (pos & (q->depth - 1));
}

static inline __u32 *shmipc_cells_bytes(const struct shmipc_cells *q, uint32_t p, uint32_t cell)
{
	return (__u32 *)(void *)(q->area + p * q->area_bytes + q->bytes_off) + cell;
}

static inline unsigned char *shmipc_cells_at(const struct shmipc_cells *q, uint32_t p, uint32_t cell)
{
	return q->area + p * q->area_bytes + q->cells_off + cell * q->stride;
}

static inline struct shmipc_queue_note *shmipc_cells_note(const struct shmipc_cells *q, uint32_t p,
							  uint32_t cell)
{
	return (struct shmipc_queue_note *)(void *)(q->area + p * q->area_bytes + q->notes_off) + cell;
}

/* Words */

static inline uint32_t shmipc_cells_state(uint64_t word)
{
	return word & SHMIPC_QUEUE_STATE_MASK;
}

static inline uint32_t shmipc_cells_level(uint64_t word)
{
	return word >> SHMIPC_QUEUE_LEVEL_SHIFT & (SHMIPC_QUEUE_LEVELS_MAX - 1);
}

static inline uint32_t shmipc_cells_times(uint64_t word)
{
	return word >> SHMIPC_QUEUE_TIMES_SHIFT & SHMIPC_QUEUE_TIMES_MAX;
}

static inline uint64_t shmipc_cells_number(uint64_t word)
{
	return word >> SHMIPC_QUEUE_NUMBER_SHIFT & SHMIPC_QUEUE_NUMBER_MASK;
}

static inline uint64_t shmipc_cells_ready(uint32_t level, uint64_t pos)
{
	return SHMIPC_QUEUE_READY | (uint64_t)level << SHMIPC_QUEUE_LEVEL_SHIFT |
	       (pos & SHMIPC_QUEUE_POS_MASK) << SHMIPC_QUEUE_POS_SHIFT;
}

/* A consumer, as words name it. */
static inline uint64_t shmipc_cells_who(uint32_t consumer, uint64_t generation)
{
	return (uint64_t)consumer << SHMIPC_QUEUE_SLOT_SHIFT |
	       (generation & SHMIPC_QUEUE_GENERATION_MASK) << SHMIPC_QUEUE_GENERATION_SHIFT;
}

/* Handed out for the @times-th time; @number: bits of its position. */
static inline uint64_t shmipc_cells_taken(uint64_t who, uint32_t level, uint32_t times,
					  uint64_t number)
{
	if (times > SHMIPC_QUEUE_TIMES_MAX)
		times = SHMIPC_QUEUE_TIMES_MAX;
	return SHMIPC_QUEUE_TAKEN | (uint64_t)level << SHMIPC_QUEUE_LEVEL_SHIFT |
	       (uint64_t)times << SHMIPC_QUEUE_TIMES_SHIFT | who |
	       (number & SHMIPC_QUEUE_NUMBER_MASK) << SHMIPC_QUEUE_NUMBER_SHIFT;
}

/* What a TAKEN word becomes when its item is given back. */
static inline uint64_t shmipc_cells_returned(uint64_t word)
{
	return SHMIPC_QUEUE_RETURNED |
	       (word & ((uint64_t)(SHMIPC_QUEUE_LEVELS_MAX - 1) << SHMIPC_QUEUE_LEVEL_SHIFT |
			(uint64_t)SHMIPC_QUEUE_TIMES_MAX << SHMIPC_QUEUE_TIMES_SHIFT |
			SHMIPC_QUEUE_NUMBER_MASK << SHMIPC_QUEUE_NUMBER_SHIFT));
}

/* Slots */

/* A slot is taken: the others look at it from now on. */
static inline void shmipc_cells_join(__u64 *used, uint32_t slot)
{
	__u64 is = shmipc_load_relaxed(used);

	/* queue.T0 -> queue.T1, queue.S0 -> queue.S1: what is done in the slot makes it visible. */
	while (is <= slot && !shmipc_cas_acq_rel(used, &is, (uint64_t)slot + 1))
		continue;
}

static inline uint32_t shmipc_cells_used(const __u64 *used, uint32_t most)
{
	uint64_t n = shmipc_load_relaxed(used);

	return n < most ? (uint32_t)n : most;
}

/* Sleeping consumers */

/*
 * A consumer is going to sleep, if this is still the value of its bell after it has looked.
 * The bell is read before the bit is set: a wake for an earlier item that clears it rings
 * later.
 */
static inline uint32_t shmipc_cells_sleep(const struct shmipc_cells *q, uint32_t consumer)
{
	/* queue.B1 <- queue.B0: relaxed, as the fence that must follow orders it, too. */
	uint32_t bell = (uint32_t)shmipc_load_relaxed(&q->line[consumer].bell);

	/* queue.S0 -> queue.S1, by the fence that must follow: the bit, then the queue. */
	(void)shmipc_fetch_or_acq_rel(&q->ctl->asleep[consumer / 64], UINT64_C(1) << consumer % 64);
	return bell;
}

/* Clear a bit. true: we did it. */
static inline bool shmipc_cells_clear(const struct shmipc_cells *q, uint32_t consumer)
{
	__u64 *word = &q->ctl->asleep[consumer / 64], bit = UINT64_C(1) << consumer % 64;
	/* queue.A1 <- queue.A0: it was cleared for an item, which is visible then. */
	__u64 is = shmipc_load_acquire(word);

	while (is & bit)
		/* queue.A0 -> queue.A1 */
		if (shmipc_cas_acq_rel(word, &is, is & ~bit))
			return true;
	return false;
}

/*
 * Is any consumer going to sleep? After a full fence, or the cheap half of one. The search
 * begins at @from; SHMIPC_CELLS_NONE: none.
 */
static inline uint32_t shmipc_cells_sleeper(const struct shmipc_cells *q, uint32_t from)
{
	uint32_t words = (q->consumers + 63) / 64, i, at = from / 64 < words ? from / 64 : 0;
	uint64_t bits, later;

	for (i = 0; i < words; i++, at = at + 1 < words ? at + 1 : 0) {
		bits = shmipc_load_relaxed(&q->ctl->asleep[at]);
		if (!bits)
			continue;
		later = i ? bits : bits & UINT64_MAX << from % 64;
		at = at * 64 + (uint32_t)__builtin_ctzll(later ? later : bits);
		return at < q->consumers ? at : SHMIPC_CELLS_NONE;
	}
	return SHMIPC_CELLS_NONE;
}

/* The bit was cleared: what its consumer sleeps on changes. */
static inline void shmipc_cells_ring(const struct shmipc_cells *q, uint32_t consumer)
{
	/* queue.B0 -> queue.B1: with the ring comes the item. */
	(void)shmipc_fetch_add_acq_rel(&q->line[consumer].bell, UINT64_C(1));
}

/* Words have become RETURNED: consumers look for them. Those that sleep are to be woken. */
static inline void shmipc_cells_tell(const struct shmipc_cells *q)
{
	/* queue.R0 -> queue.R1: the words, then that there are some. */
	(void)shmipc_fetch_add_acq_rel(&q->ctl->returned, UINT64_C(1));
	/* queue.S1 <- queue.S0: then the sleepers. */
	shmipc_fence_after_update();
}

/* Sleeping producers */

/* After a word has become FREE. true: its producer sleeps, and what it sleeps on has changed. */
static inline bool shmipc_cells_answer(const struct shmipc_cells *q, uint32_t p)
{
	struct shmipc_queue_state *state = &q->state[p];

	/* queue.P0 -> queue.P1: the word, then the want. */
	shmipc_fence_after_update();
	if (shmipc_likely(!shmipc_load_relaxed(&state->want)) ||
	    !shmipc_exchange_acq_rel(&state->want, UINT64_C(0)))
		return false;
	/* queue.B0 -> queue.B1 */
	(void)shmipc_fetch_add_acq_rel(&state->bell, UINT64_C(1));
	return true;
}

/* A producer is going to sleep, if this is still the value of its bell after it has looked. */
static inline uint32_t shmipc_cells_want(const struct shmipc_cells *q, uint32_t p)
{
	/* queue.B1 <- queue.B0: relaxed, as the fence orders it, too. */
	uint32_t bell = (uint32_t)shmipc_load_relaxed(&q->state[p].bell);

	shmipc_store_relaxed(&q->state[p].want, UINT64_C(1));
	/* queue.P1 <- queue.P0: the want, then the words. */
	shmipc_fence_seq_cst();
	return bell;
}

#endif /* SHMIPC_LIB_QUEUE_CELLS_H */
