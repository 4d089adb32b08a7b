// SPDX-License-Identifier: MIT
/* queue_pop.c - a consumer: opening, taking items, being done with them, leaving */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "queue/queue.h"

#define NOTICE_SOME	4u	/* consumers that each call looks at */
#define SEE_MOST	(UINT64_C(4) << 20)	/* bytes whose memory is asked for at once */

/* Functions of the algorithm */

/* Producers have the kernel take memory; here it is asked whether there is any. */
static int see(void *arg, uint32_t p, uint32_t cell)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_pop *c = arg;
	const struct shmipc_cells *q = &c->q;
	uint64_t area = (uint64_t)(q->area - c->seg->base) + p * q->area_bytes, from, to;
	uint32_t known = c->backed[p];
	int err = 0;

	if (!known)
		err = c->seg->be->see(c->seg, area, q->cells_off);
	if (!err && !known)
		c->backed[p] = known = 1;
	if (err || cell == SHMIPC_CELLS_NONE)
		return err;
	from = area + q->cells_off + (known - 1) * q->stride;
	to = area + q->cells_off + (cell + 1) * q->stride;
	/* Far away from what is known: this one alone. Producers use one after the other. */
	if (to - from > SEE_MOST && to - from > q->stride)
		return c->seg->be->see(c->seg, to - q->stride, q->stride);
	err = c->seg->be->see(c->seg, from, to - from);
	if (!err)
		c->backed[p] = cell + 2;
	return err;
}

static bool gone(void *arg, uint64_t word)
{
	struct shmipc_pop *c = arg;

	/* We are there, whatever the table says to us. */
	if (!((word ^ c->rx.who) & (SHMIPC_QUEUE_SLOT_MASK << SHMIPC_QUEUE_SLOT_SHIFT |
				    SHMIPC_QUEUE_GENERATION_MASK << SHMIPC_QUEUE_GENERATION_SHIFT)))
		return false;
	return shmipc_queue_is_gone(c->seg, &c->q, &c->gone, word);
}

static void freed(void *arg, uint32_t p)
{
	struct shmipc_pop *c = arg;

	shmipc_queue_freed(c->seg, c->end.slot, &c->q, p);
}

/* Opening and leaving */

static void free_pop(struct shmipc_pop *c)
{
	free(c->peer_word);
	free(c->tail);
	free(c->backed);
	free(c);
}

static int get_memory(struct shmipc_pop *c)
{
	c->peer_word = calloc(c->q.consumers, sizeof(*c->peer_word));
	c->tail = calloc((size_t)c->q.producers * c->q.levels, sizeof(*c->tail));
	c->backed = calloc(c->q.producers, sizeof(*c->backed));
	if (c->peer_word && c->tail && c->backed)
		return 0;
	return shmipc_fail(-ENOMEM, "shmipc: no memory for a consumer (ENOMEM)");
}

/* What consumers before us had taken in this slot is found when all words are looked at. */
static void start(struct shmipc_pop *c, uint64_t spin_ns)
{
	struct shmipc_cells_rx *rx = &c->rx;
	uint64_t generation;

	generation = shmipc_load_relaxed(&shmipc_segment_slot(c->seg, c->end.slot)->generation);
	rx->q = &c->q;
	rx->me = c->end.slot - c->q.producers;
	rx->who = shmipc_cells_who(rx->me, generation);
	rx->tail = c->tail;
	rx->backed = c->backed;
	rx->due = true;
	rx->see = see;
	rx->gone = gone;
	rx->freed = freed;
	rx->move = c->dead.name[0] ? shmipc_dead_move : NULL;
	rx->arg = c;
	(void)shmipc_cells_clear(&c->q, rx->me);
	shmipc_cells_join(&c->q.ctl->consumers, rx->me);
	shmipc_waiter_init(&c->wait, spin_ns, &c->taken);
	c->tick = SHMIPC_TICK_GUARD;
}

static int open_pop(struct shmipc_pop **ret, const char *name, const struct shmipc_queue_opts *opts,
		    const struct shmipc_queue_how *how)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_queue_how o;
	struct shmipc_pop *c;
	int err;

	if (!ret)
		return shmipc_null("shmipc_pop_open", "ret");
	err = shmipc_queue_how_read(&o, how);
	if (err)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a consumer (ENOMEM)");
	err = shmipc_queue_open(&c->seg, name, opts, &c->q, &c->dead);
	if (err)
		goto free_consumer;
	err = get_memory(c);
	if (!err)
		err = shmipc_end_take(&c->end, c->seg, SHMIPC_ROLE_READER);
	if (err)
		goto close_segment;
	start(c, o.spin_ns);
	/* The others watch us from here on. */
	if (c->seg->be->hello)
		c->seg->be->hello(c->seg);
	c->live = 1;
	c->seg->live = &c->live;
	c->seg->nlive = 1;
	*ret = c;
	return 0;

close_segment:
	shmipc_segment_close(c->seg);
free_consumer:
	free_pop(c);
	return err;
}

SHMIPC_EXPORT int shmipc_pop_open(struct shmipc_pop **ret, const char *name,
				  const struct shmipc_queue_opts *opts,
				  const struct shmipc_queue_how *how)
{
	return SHMIPC_TOLD(open_pop(ret, name, opts, how));
}

/* TAKEN by this consumer, says the word. */
static bool names_us(const struct shmipc_pop *c, uint64_t word)
{
	const uint64_t names = SHMIPC_QUEUE_SLOT_MASK << SHMIPC_QUEUE_SLOT_SHIFT |
			       SHMIPC_QUEUE_GENERATION_MASK << SHMIPC_QUEUE_GENERATION_SHIFT;

	return shmipc_cells_state(word) == SHMIPC_QUEUE_TAKEN && !((word ^ c->rx.who) & names);
}

/* One that we leave: as if we had died, but nobody has to notice that. */
static void let_go(struct shmipc_pop *c, uint32_t p, uint32_t cell, uint64_t word)
{
	if (!c->q.acked)
		shmipc_cells_drop(&c->rx, p, cell, word, &c->q.ctl->lost);
	else if (shmipc_cells_return(&c->rx, p, cell, word))
		(void)shmipc_queue_wake(c->seg, c->end.slot, &c->q, &c->turn, 1);
}

static void let_all_go(struct shmipc_pop *c)
{
	uint32_t p, i, n = shmipc_cells_used(&c->q.ctl->producers, c->q.producers);
	uint64_t is;

	for (p = 0; p < n; p++)
		for (i = 0; i < c->q.depth; i++) {
			is = shmipc_load_relaxed(&shmipc_cells_words(&c->q, p)[i]);
			if (names_us(c, is))
				let_go(c, p, i, is);
		}
}

SHMIPC_EXPORT void shmipc_pop_close(struct shmipc_pop *rx)
{
	SHMIPC_NO_CANCEL;
	if (!rx)
		return;
	shmipc_end_check(&rx->end);
	if (rx->live)
		let_all_go(rx);
	rx->seg->live = NULL;
	shmipc_end_leave_and_wait(&rx->end);
	shmipc_segment_close(rx->seg);
	shmipc_push_close(rx->dead.tx);
	free_pop(rx);
}

/* Taking */

static void count_taken(struct shmipc_pop *c, const struct shmipc_queue_item *it, uint32_t n)
{
	struct shmipc_queue_line *line = &c->q.line[c->rx.me];
	uint32_t i, again = 0;
	struct timespec ts;

	for (i = 0; i < n; i++)
		again += it[i].deliveries > 1;
	c->taken += n;
	/* For tools. */
	shmipc_store_relaxed(&line->taken, shmipc_load_relaxed(&line->taken) + n);
	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	shmipc_store_relaxed(&line->taken_ns, (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec);
	if (shmipc_likely(!again))
		return;
	c->again += again;
	shmipc_store_relaxed(&line->again, shmipc_load_relaxed(&line->again) + again);
}

static int pop(struct shmipc_pop *c, struct shmipc_queue_item *ret, uint32_t cap, uint32_t *ret_n,
	       uint64_t deadline_ns)
{
	uint32_t n, rounds = 0;
	uint64_t until_ns;
	int err = 0;

	for (;;) {
		if (shmipc_unlikely(!c->live))
			return shmipc_dead(c->seg);
		until_ns = deadline_ns;
		if (shmipc_unlikely(c->rx.stuck))
			shmipc_dead_again(c, &until_ns);
		shmipc_pop_notice(c, NOTICE_SOME);
		n = shmipc_cells_pop(&c->rx, ret, cap);
		if (n)
			break;
		if (err)
			return err;
		if (shmipc_unlikely(c->rx.stuck))
			shmipc_dead_again(c, &until_ns);
		err = shmipc_pop_wait(c, until_ns);
		if (err == -ETIMEDOUT && until_ns != deadline_ns)
			err = 0;
		/* One that writes words all the time must not keep us here. */
		if (!err && rounds++ > QUEUE_ROUNDS && shmipc_now_ns() >= deadline_ns)
			err = deadline_ns ? -ETIMEDOUT : -EAGAIN;
	}
	count_taken(c, ret, n);
	*ret_n = n;
	return 0;
}

SHMIPC_EXPORT int shmipc_pop_item(struct shmipc_pop *rx, struct shmipc_queue_item *ret,
				  uint64_t deadline_ns)
{
	uint32_t n;

	if (!rx || !ret)
		return shmipc_null(__func__, "rx or ret");
	return pop(rx, ret, 1, &n, deadline_ns);
}

SHMIPC_EXPORT int shmipc_pop_items(struct shmipc_pop *rx, struct shmipc_queue_item *ret,
				   uint32_t cap, uint32_t *ret_n, uint64_t deadline_ns)
{
	if (!rx || !ret || !ret_n)
		return shmipc_null(__func__, "rx, ret or ret_n");
	if (!cap)
		return shmipc_fail(-EINVAL, "shmipc: pop from \"%s\": room for no item (EINVAL)",
				   rx->seg->hdr.name);
	return pop(rx, ret, cap, ret_n, deadline_ns);
}

/* Being done */

/* What the user says it has: it may be any bytes. */
static bool is_ours(const struct shmipc_pop *c, const struct shmipc_queue_item *it)
{
	return it->from < c->q.producers && it->cell < c->q.depth && names_us(c, it->word);
}

static int refuse_item(const struct shmipc_pop *c, const struct shmipc_queue_item *it)
{
	return shmipc_fail(-EINVAL, "shmipc: item %llu of producer %u of \"%s\": this consumer does not have it, or not any more (EINVAL)",
			   (unsigned long long)it->number, it->from, c->seg->hdr.name);
}

SHMIPC_EXPORT int shmipc_pop_ack(struct shmipc_pop *rx, const struct shmipc_queue_item *items,
				 uint32_t n)
{
	struct shmipc_queue_line *line;
	uint32_t i, done = 0;
	int err = 0;

	if (!rx || (!items && n))
		return shmipc_null(__func__, "rx, or items with n,");
	if (!rx->live)
		return shmipc_dead(rx->seg);
	for (i = 0; i < n; i++) {
		if (!is_ours(rx, &items[i]) ||
		    !shmipc_cells_free(&rx->q, items[i].from, items[i].cell, items[i].word)) {
			err = refuse_item(rx, &items[i]);
			continue;
		}
		done++;
		/* Of several in a row of one producer, the last one wakes it. */
		if (i + 1 == n || items[i + 1].from != items[i].from)
			shmipc_queue_freed(rx->seg, rx->end.slot, &rx->q, items[i].from);
	}
	line = &rx->q.line[rx->rx.me];
	shmipc_store_relaxed(&line->acked, shmipc_load_relaxed(&line->acked) + done);
	rx->acked += done;
	return err;
}

SHMIPC_EXPORT int shmipc_pop_nack(struct shmipc_pop *rx, const struct shmipc_queue_item *items,
				  uint32_t n)
{
	struct shmipc_queue_line *line;
	uint32_t i, done = 0;
	int err = 0;

	if (!rx || (!items && n))
		return shmipc_null(__func__, "rx, or items with n,");
	if (!rx->live)
		return shmipc_dead(rx->seg);
	if (!rx->q.acked)
		return shmipc_fail(-EINVAL, "shmipc: give items of \"%s\" back: they are delivered at most once (EINVAL)",
				   rx->seg->hdr.name);
	for (i = 0; i < n; i++) {
		if (!is_ours(rx, &items[i]) ||
		    !shmipc_cells_return(&rx->rx, items[i].from, items[i].cell, items[i].word))
			err = refuse_item(rx, &items[i]);
		else
			done++;
	}
	(void)shmipc_queue_wake(rx->seg, rx->end.slot, &rx->q, &rx->turn, done);
	line = &rx->q.line[rx->rx.me];
	shmipc_store_relaxed(&line->returned, shmipc_load_relaxed(&line->returned) + done);
	rx->returned += done;
	return err;
}

SHMIPC_EXPORT int shmipc_pop_get_stat(const struct shmipc_pop *rx, struct shmipc_pop_stat *ret)
{
	struct shmipc_pop_stat st = { .struct_bytes = sizeof(st) };
	int err;

	if (!rx || !ret)
		return shmipc_null(__func__, "rx or ret");
	err = shmipc_sized_check(ret, sizeof(st), "pop stat");
	if (err || !rx->live)
		return -EINVAL;
	st.taken = rx->taken;
	st.again = rx->again;
	st.acked = rx->acked;
	st.returned = rx->returned;
	st.sleeps = rx->wait.sleeps;
	st.ticks = rx->wait.ticks;
	shmipc_sized_write(ret, &st, sizeof(st));
	return 0;
}

SHMIPC_EXPORT int shmipc_pop_get_info(const struct shmipc_pop *rx, struct shmipc_segment_info *ret)
{
	if (!rx || !ret)
		return shmipc_null(__func__, "rx or ret");
	return shmipc_segment_get_info(rx->seg, ret);
}

static int read_note(struct shmipc_pop *rx, const struct shmipc_queue_item *item,
		     struct shmipc_dead_letter *ret)
{
	const struct shmipc_queue_note *from = shmipc_cells_note(&rx->q, item->from, item->cell);
	struct shmipc_queue_note n;
	int err = rx->seg->be->see(rx->seg, (uint64_t)((const unsigned char *)from - rx->seg->base),
				   sizeof(n));

	if (err)
		return -EINVAL;
	memcpy(&n, from, sizeof(n));	/* read once */
	shmipc_compiler_barrier();
	ret->reason = n.reason;
	ret->deliveries = n.deliveries;
	ret->copies = n.copies;
	ret->level = n.level;
	ret->from = n.from;
	ret->number = n.number;
	ret->at_ns = n.at_ns;
	memcpy(ret->id, n.id, sizeof(ret->id));
	memcpy(ret->queue, n.queue, sizeof(n.queue));
	return 0;
}

SHMIPC_EXPORT int shmipc_pop_dead_letter(const struct shmipc_pop *rx, const struct shmipc_queue_item *item,
					 struct shmipc_dead_letter *ret)
{
	struct shmipc_dead_letter d = SHMIPC_DEAD_LETTER();
	int err;

	if (!rx || !item || !ret)
		return shmipc_null(__func__, "rx, item or ret");
	err = shmipc_sized_check(ret, sizeof(d), "dead letter");
	if (err || !rx->live || !is_ours(rx, item))
		return -EINVAL;
	if (!(item->flags & SHMIPC_ITEM_DEAD))
		return -ENOENT;
	err = read_note((struct shmipc_pop *)(uintptr_t)rx, item, &d);
	if (!err)
		shmipc_sized_write(ret, &d, sizeof(d));
	return err;
}

SHMIPC_EXPORT int shmipc_pop_producer(const struct shmipc_pop *rx, const struct shmipc_queue_item *item,
				      struct shmipc_peer_info *ret)
{
	if (!rx || !item || !ret)
		return shmipc_null(__func__, "rx, item or ret");
	if (!rx->live || item->from >= rx->q.producers)
		return -EINVAL;
	shmipc_slot_info(rx->seg, item->from, ret);
	return 0;
}
