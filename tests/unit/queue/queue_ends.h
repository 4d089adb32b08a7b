/* SPDX-License-Identifier: MIT */
/* queue_ends.h - shared by the tests of queues */
#ifndef TEST_QUEUE_ENDS_H
#define TEST_QUEUE_ENDS_H

#include "env.h"

#include "queue/queue.h"	/* of lib/ */

#define NAME	"plant/work"
#define SOON	shmipc_deadline_in(UINT64_C(20000000000))	/* reached only by a failure */
#define LATE_NS	UINT64_C(20000000000)	/* a busy machine may be late; a hang is later */
#define DEPTH	8u
#define LEVELS	3u

/* Items are numbers. */
static inline int push_until(struct shmipc_push *tx, uint64_t what, uint32_t level, uint64_t deadline_ns)
{
	tx->tick = SHMIPC_TICK_NONE;	/* see pop_soon() */
	return shmipc_push_item(tx, &what, sizeof(what), level, deadline_ns);
}

static inline int push(struct shmipc_push *tx, uint64_t what)
{
	return push_until(tx, what, 0, 0);
}

static inline uint64_t what_of(const struct shmipc_queue_item *it)
{
	uint64_t what = UINT64_MAX;

	if (it->bytes == sizeof(what))
		memcpy(&what, it->data, sizeof(what));
	return what;
}

static inline int64_t pop_until(struct shmipc_pop *rx, struct shmipc_queue_item *it,
				uint64_t deadline_ns)
{
	int ret = shmipc_pop_item(rx, it, deadline_ns);

	return ret ? ret : (int64_t)what_of(it);
}

/*
 * It must come by a wake: what is found only because the deadline has passed is -ETIME.
 * Ends look again then, which would hide a wake that is lost; so would
 * the looks now and then.
 */
static inline int64_t pop_soon(struct shmipc_pop *rx, struct shmipc_queue_item *it)
{
	uint64_t end = SOON;
	int64_t ret;

	rx->tick = SHMIPC_TICK_NONE;
	ret = pop_until(rx, it, end);
	return ret >= 0 && now_ns() >= end ? -ETIME : ret;
}

/* Take one, and be done with it. */
static inline int64_t got_until(struct shmipc_pop *rx, uint64_t deadline_ns)
{
	struct shmipc_queue_item it;
	int64_t ret = pop_until(rx, &it, deadline_ns);
	int err = ret < 0 ? 0 : shmipc_pop_ack(rx, &it, 1);

	return err ? err : ret;
}

static inline int64_t got(struct shmipc_pop *rx)
{
	return got_until(rx, 0);
}

static inline struct shmipc_push_stat push_stat(const struct shmipc_push *tx)
{
	struct shmipc_push_stat st = SHMIPC_PUSH_STAT();

	(void)shmipc_push_get_stat(tx, &st);
	return st;
}

static inline struct shmipc_pop_stat pop_stat(const struct shmipc_pop *rx)
{
	struct shmipc_pop_stat st = SHMIPC_POP_STAT();

	(void)shmipc_pop_get_stat(rx, &st);
	return st;
}

static inline struct shmipc_queue_stat look(void)
{
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT(.end_cap = 0);

	(void)shmipc_queue_look(NAME, &st);
	return st;
}

FIXTURE(queue) {
	struct env env;
	struct shmipc_queue_opts opts;
	struct shmipc_queue_how how;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
};

FIXTURE_VARIANT(queue) {
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(queue, spins) { 0 };
FIXTURE_VARIANT_ADD(queue, never_spins) { SHMIPC_SPIN_NEVER };

#define PUSHER(ret)	shmipc_push_open(ret, NAME, NULL, &self->how)
#define POPPER(ret)	shmipc_pop_open(ret, NAME, NULL, &self->how)

FIXTURE_SETUP(queue)
{
	env_set_up(&self->env);
	self->how = SHMIPC_QUEUE_HOW(.spin_ns = variant->spin_ns);
	self->opts = SHMIPC_QUEUE_OPTS(.depth = DEPTH, .levels = LEVELS, .item_bytes = 3000);
	ASSERT_EQ(0, shmipc_push_open(&self->tx, NAME, &self->opts, &self->how))
		TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, POPPER(&self->rx)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(queue)
{
	shmipc_pop_close(self->rx);
	shmipc_push_close(self->tx);
	env_tear_down(&self->env);
}

/* Again as a queue that delivers at most once. */
static inline int at_most_once(FIXTURE_DATA(queue) *self)
{
	shmipc_pop_close(self->rx);
	shmipc_push_close(self->tx);
	self->rx = NULL;
	self->tx = NULL;
	self->opts.delivery = SHMIPC_QUEUE_AT_MOST_ONCE;
	return shmipc_push_open(&self->tx, NAME, &self->opts, &self->how) || POPPER(&self->rx);
}

#endif /* TEST_QUEUE_ENDS_H */
