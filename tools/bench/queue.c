// SPDX-License-Identifier: MIT
/*
 * queue.c - `shmipc bench queue`: items from many producers to competing consumers
 *
 * Each producer and each consumer is a process. The rate is that of the producers, from
 * their common start until the last one has pushed its last item: what is in the queue then
 * is little. In the end each item must have been taken once.
 */
#include <stdio.h>
#include <string.h>

#include "queue.h"
#include "topic.h"

#define CHUNK_BYTES	((size_t)64 << 10)	/* between two reads of the clock */
#define LEAST		256u			/* items that a producer pushes in any case */
#define STAT_OFF	((size_t)64 << 10)	/* in env->mem */
#define LOST_S		5.0			/* without an item, until one is lost */
#define TOPIC_BATCH_BYTES	4096u			/* larger messages, one by one */
#define NUMBER_BYTES	8u			/* the number of an item, in its bytes */
#define MQ_BYTES_MAX	8192u			/* of what everyone may ask for by default */

struct stat {
	uint64_t items;
	uint64_t sum;		/* of their numbers */
	uint64_t began;		/* ticks, of a producer */
	uint64_t ended;
	uint64_t pad[4];
};

static struct bench_queue plan;		/* the row that is measured */
static struct bench_topic topic;	/* what it is compared with */

static struct stat *stat_of(const struct bench_env *env, unsigned int member)
{
	return (struct stat *)(void *)(env->mem + STAT_OFF) + member;
}

static unsigned int members(void)
{
	return plan.producers + plan.consumers;
}

static int producer(struct bench_env *env, unsigned int me)
{
	struct stat *s = stat_of(env, me);
	uint64_t seq = 0, end, chunk = CHUNK_BYTES / env->size + 1;
	struct bench_queue_end e;
	unsigned int batch;
	uint64_t i;

	if (bench_queue_open(env, &plan, &e, 1))
		return -1;
	/* At most as many as there are private slots that they come from. */
	batch = plan.batch <= e.src.mask + 1 ? plan.batch : (unsigned int)e.src.mask + 1;
	bench_gather(env, members());
	s->began = bench_ticks();
	end = s->began + bench_ns_ticks(env->seconds * 1e9);
	do {
		for (i = 0; i < chunk; i += batch, seq += batch)
			if (bench_queue_push(env, &plan, &e, seq, batch))
				return -1;
	} while (bench_ticks() < end || seq < LEAST);
	s->ended = bench_ticks();
	s->items = seq;
	s->sum = seq * (seq - 1) / 2;
	bench_queue_close(&e);
	return 0;
}

/* What the members from @first on have done. */
static struct stat sum_of(const struct bench_env *env, unsigned int first, unsigned int n)
{
	struct stat all = { .began = UINT64_MAX };
	const struct stat *s;
	unsigned int i;

	for (i = first; i < first + n; i++) {
		s = stat_of(env, i);
		all.items += shmipc_load_relaxed(&s->items);
		all.sum += shmipc_load_relaxed(&s->sum);
		all.began = s->began < all.began ? s->began : all.began;
		all.ended = s->ended > all.ended ? s->ended : all.ended;
	}
	return all;
}

/* No item came for a while: were these all? 1; 0: there are more; -1: some are lost. */
static int is_over(struct bench_env *env, uint64_t since)
{
	uint64_t last = shmipc_load_acquire(&env->shared->last), taken;

	if (last == UINT64_MAX)
		return 0;
	taken = sum_of(env, plan.producers, plan.consumers).items;
	if (taken == last)
		return 1;
	if (taken < last && bench_ticks_ns(bench_ticks() - since) < LOST_S * 1e9)
		return 0;
	return bench_fail(env, "%llu items were pushed, and %llu taken (EPROTO)",
			  (unsigned long long)last, (unsigned long long)taken);
}

static int consumer(struct bench_env *env, unsigned int me)
{
	struct stat *s = stat_of(env, me);
	uint64_t sum, since = 0;
	struct bench_queue_end e;
	unsigned int n;
	int over = 0;

	if (bench_queue_open(env, &plan, &e, 0))
		return -1;
	bench_gather(env, members());
	while (!over) {
		if (bench_queue_pop(env, &plan, &e, &n, &sum))
			return -1;
		if (shmipc_likely(n)) {
			shmipc_store_relaxed(&s->items, s->items + n);
			shmipc_store_relaxed(&s->sum, s->sum + sum);
			since = 0;
			continue;
		}
		since = since ? since : bench_ticks();
		over = is_over(env, since);
	}
	bench_queue_close(&e);
	return over < 0 ? -1 : 0;
}

static int out(struct bench_env *env)
{
	struct stat all;
	double seconds;
	int ret;

	memset(stat_of(env, 0), 0, members() * sizeof(struct stat));
	bench_begin(env);
	ret = bench_crew(env, 0, plan.producers, producer);
	if (ret)
		return ret;
	all = sum_of(env, 0, plan.producers);
	shmipc_store_release(&env->shared->last, all.items);
	seconds = bench_ticks_ns(all.ended - all.began) / 1e9;
	env->out->msgs = all.items;
	env->out->msgs_per_s = (double)all.items / seconds;
	env->out->bytes_per_s = env->out->msgs_per_s * (double)env->size;
	bench_meet(env);
	if (sum_of(env, plan.producers, plan.consumers).sum == all.sum)
		return 0;
	return bench_fail(env, "some items were taken more than once, and others not at all (EPROTO)");
}

static int in(struct bench_env *env)
{
	int ret;

	bench_begin(env);
	ret = bench_crew(env, plan.producers, plan.consumers, consumer);
	if (!ret)
		bench_meet(env);
	return ret;
}

/* What is measured */

static struct bench_case row;

static int prepare(struct bench_env *env)
{
	if (bench_topic_prepare(env, &topic))
		return -1;
	row.backend = plan.way < BENCH_QUEUE_MQ ? topic.bench.backend : NULL;
	return bench_queue_prepare(env, &plan);
}

static void finish(struct bench_env *env)
{
	bench_queue_finish(env);
	bench_topic_finish(env);
}

static void take_delivery(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + 1;	/* 0: both */
}

static const char *const deliveries[] = { "acknowledged", "once", NULL };

const struct opt bench_queue_options[] = {
	{ .name = "producers", .arg = "N", .min = 1, .max = BENCH_CREW_MAX / 2, .take = take_size32,
	  .at = offsetof(struct bench_queue_opts, producers),
	  .help = "how many producers; without this and the next option 1 and 4, each with 1 and 4 "
		  "consumers" },
	{ .name = "consumers", .arg = "N", .min = 1, .max = BENCH_CREW_MAX / 2, .take = take_size32,
	  .at = offsetof(struct bench_queue_opts, consumers), .help = "how many consumers" },
	{ .name = "delivery", .words = deliveries, .take = take_delivery,
	  .at = offsetof(struct bench_queue_opts, delivery),
	  .help = "acknowledged, or at most once; without this both" },
	{ .name = "batch", .arg = "N", .min = 1, .max = BENCH_BATCH_MAX, .take = take_size32,
	  .at = offsetof(struct bench_queue_opts, batch),
	  .help = "items that are pushed together, and taken; without this 1 and 16" },
	{ .name = NULL },
};

static struct bench_case row = {
	.ratio = BENCH_BY_RATE, .yardstick = "of topic-many 1:1",
	.prepare = prepare, .finish = finish, .queue = &plan,
	.step = { .side = { out, in } },
};

/* With more processes than CPUs, spinning takes time from those that have work. */
static enum bench_wait wait_of(const struct bench_opts *o)
{
	if (o->wait_given && o->wait == BENCH_SLEEP)
		return BENCH_SLEEP;
	return o->cpu[0] == o->cpu[1] || members() > bench_cpus() ? BENCH_BOTH : BENCH_SPIN;
}

static int measure(const struct bench_opts *o, bench_one_fn *fn, const char *name, size_t size)
{
	struct bench_opts mine = *o;

	mine.publish = size <= TOPIC_BATCH_BYTES ? plan.batch : 1;
	mine.topic.publishers = mine.topic.subscribers = 1;
	topic = bench_topic_many;
	topic.ring_limit = 0;
	row.limit[0] = topic.bench.step;
	row.limit[0].seconds = o->seconds;
	row.limit[0].spins = o->wait == BENCH_SPIN;
	row.name = name;
	row.table = plan.way == BENCH_QUEUE_ACKNOWLEDGED ? BENCH_TABLE_ACKED : BENCH_TABLE_ONCE;
	row.wait = plan.way == BENCH_QUEUE_ACKNOWLEDGED || plan.way == BENCH_QUEUE_AT_MOST_ONCE ?
		   wait_of(o) : BENCH_SLEEP;
	if (plan.way == BENCH_QUEUE_MQ && size > MQ_BYTES_MAX)
		return 0;
	row.step.arg = (int)row.wait;
	return fn(&row, &mine, size);
}

static int each_batch(const struct bench_opts *o, bench_one_fn *fn, const char *name, size_t size)
{
	static const unsigned int batches[] = { 1, BENCH_BATCH_MAX };
	size_t i;

	for (i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		plan.batch = o->queue.batch ? o->queue.batch : batches[i];
		if (measure(o, fn, name, size))
			return -1;
		if (o->queue.batch)
			break;
	}
	return 0;
}

static int each_shape(const struct bench_opts *o, bench_one_fn *fn, const char *name, size_t size)
{
	static const unsigned int shape[][2] = { { 1, 1 }, { 1, 4 }, { 4, 1 }, { 4, 4 } };
	int given = o->queue.producers || o->queue.consumers;
	size_t i;

	for (i = 0; i < (given ? 1 : sizeof(shape) / sizeof(shape[0])); i++) {
		plan.producers = o->queue.producers ? o->queue.producers : shape[i][0];
		plan.consumers = o->queue.consumers ? o->queue.consumers : shape[i][1];
		plan.batch = 1;
		if (plan.way >= BENCH_QUEUE_MQ ? measure(o, fn, name, size) :
						 each_batch(o, fn, name, size))
			return -1;
	}
	return 0;
}

static int each_size(const struct bench_opts *o, bench_one_fn *fn, enum bench_queue_way way,
		     const char *name)
{
	static const size_t sizes[] = { 64, 1024 };
	size_t i, n = o->sizes ? o->sizes : sizeof(sizes) / sizeof(sizes[0]);

	plan.way = (int)way;
	plan.delivery = way == BENCH_QUEUE_ACKNOWLEDGED ? "acknowledged" : "once";
	for (i = 0; i < n; i++)
		if (each_shape(o, fn, name, o->sizes ? o->size[i] : sizes[i]))
			return -1;
	return 0;
}

/* Items that a consumer's death may lose, the kernel's as well, are in a table of their own. */
int bench_queues(const struct bench_opts *o, bench_one_fn *fn)
{
	unsigned int i;

	for (i = 0; i < o->sizes; i++) {
		if (o->size[i] >= NUMBER_BYTES)
			continue;
		fprintf(stderr, "shmipc: bench: you asked for --size %zu, an item has at least %u bytes, "
			"for its number (EINVAL)\n", o->size[i], NUMBER_BYTES);
		return -1;
	}
	if (o->queue.delivery != 2 && each_size(o, fn, BENCH_QUEUE_ACKNOWLEDGED, "queue"))
		return -1;
	if (o->queue.delivery == 1)
		return 0;
	if (each_size(o, fn, BENCH_QUEUE_AT_MOST_ONCE, "queue-once") ||
	    each_size(o, fn, BENCH_QUEUE_MQ, "peer-mq"))
		return -1;
	return each_size(o, fn, BENCH_QUEUE_SEQPACKET, "peer-seqpacket");
}
