// SPDX-License-Identifier: MIT
/*
 * topic_time.c - times: to publish, from publish to receipt, of a round trip
 *
 * One message, or one burst, is under way at a time: the other side reports in a word of
 * plain shared memory that it has received all, and then the next one begins.
 */
#include <stdlib.h>
#include <string.h>

#include "topic.h"

#define WARM		200u	/* samples before the measurement */
#define BURST		64u	/* messages; fewer than the publisher has room for at once */
#define SHORT_BYTES	4096u	/* long loans are compared with this */

/* State of the two sides, each in its own cache line. */
struct told {
	uint64_t taken;		/* by side 1: messages */
	uint64_t pad0[31];
	uint64_t sent_at;	/* by side 0: ticks, before it publishes */
	uint64_t pad1[31];
};

static struct told *told(const struct bench_env *env)
{
	return (struct told *)(void *)env->mem;
}

static void begin(struct bench_env *env)
{
	if (env->side == 0)
		shmipc_store_relaxed(&told(env)->taken, (uint64_t)0);
	bench_begin(env);
}

static void await(const struct bench_env *env, uint64_t messages)
{
	while (shmipc_load_acquire(&told(env)->taken) < messages)
		shmipc_cpu_relax();
}

/*
 * Is this sample the last? The clock starts after the warm-up. The number of the last
 * message is announced before it is sent.
 */
static int last_one(const struct bench_env *env, uint64_t i, uint64_t *until)
{
	if (i == WARM)
		*until = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	return i > WARM && (bench_ticks() >= *until || i - WARM == BENCH_SAMPLES - 1);
}

/* The time of a burst, per message. */
static void per_message(struct bench_out *out)
{
	out->p50_ns /= BURST;
	out->p99_ns /= BURST;
	out->min_ns /= BURST;
}

/* The cost of publishing to subscribers that have read all earlier messages. */
static int publish_out(struct bench_env *env)
{
	struct shmipc_pub *pub = bench_topic_pub(env, 0, BENCH_SPIN);
	uint32_t *sample = bench_samples_new(env);
	uint64_t i, k, seq = 0, t0, until = 0;
	struct bench_source src;
	int ret = 0, stop = 0;

	if (!pub || !sample || bench_topic_source(env, &src))
		return -1;
	begin(env);
	for (i = 0; !stop && !ret; i++) {
		stop = last_one(env, i, &until);
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + BURST);
		t0 = bench_ticks();
		for (k = 0; k < BURST && !ret; k++, seq++) {
			ret = shmipc_pub_send(pub, bench_source_at(&src, seq), src.size,
					      SHMIPC_FOREVER);
			bench_source_restamp(&src, seq);
		}
		if (i >= WARM)
			sample[i - WARM] = (uint32_t)(bench_ticks() - t0);
		if (!ret)
			await(env, seq);
	}
	if (ret)
		return bench_topic_fail_at(env, "publish", seq, ret);
	bench_samples_into(env->out, sample, i - WARM);
	per_message(env->out);
	shmipc_pub_close(pub);
	bench_source_free(&src);
	free(sample);
	return 0;
}

static int take_burst(struct bench_env *env, struct shmipc_sub *sub,
		      const struct bench_source *src, void *buf, uint64_t from)
{
	uint64_t seq;
	size_t len;
	int ret;

	for (seq = from; seq < from + BURST; seq++) {
		ret = shmipc_sub_recv(sub, buf, src->size, &len, SHMIPC_FOREVER);
		if (ret)
			return bench_topic_fail_at(env, "receive", seq, ret);
		if (len != src->size || bench_sum(buf, len) != bench_source_want(src, seq))
			return bench_topic_fail_bytes(env, seq);
	}
	return 0;
}

static int publish_in(struct bench_env *env, unsigned int n)
{
	struct shmipc_sub **sub = calloc(n, sizeof(*sub));
	unsigned char *buf = malloc(env->size + 1);
	struct bench_source src;
	unsigned int i;
	uint64_t seq;

	if (!sub || !buf || bench_topic_source(env, &src))
		return bench_fail(env, "memory for %u subscribers (ENOMEM)", n);
	for (i = 0; i < n; i++) {
		sub[i] = bench_topic_sub(env, 0, BENCH_SPIN);
		if (!sub[i])
			return -1;
	}
	begin(env);
	for (seq = 0; seq != shmipc_load_acquire(&env->shared->last); seq += BURST) {
		for (i = 0; i < n; i++)
			if (take_burst(env, sub[i], &src, buf, seq))
				return -1;
		shmipc_store_release(&told(env)->taken, seq + BURST);
	}
	for (i = 0; i < n; i++)
		shmipc_sub_close(sub[i]);
	bench_source_free(&src);
	free(buf);
	free(sub);
	return 0;
}

static int publish_in_all(struct bench_env *env)
{
	return publish_in(env, env->opts->topic.subscribers);
}

static int publish_in_one(struct bench_env *env)
{
	return publish_in(env, 1);
}

/* Private memory of a side, twice the size of a long message; NULL: not requested. */
static unsigned char *elsewhere;
static size_t elsewhere_bytes;

/* Do to the caches what filling or reading a long message does. */
static void go_elsewhere(const struct bench_env *env)
{
	if (!elsewhere)
		return;
	if (env->side == 0)
		shmipc_payload_write(elsewhere, elsewhere + elsewhere_bytes, elsewhere_bytes);
	else
		(void)bench_sum(elsewhere, elsewhere_bytes);
}

/* From just before a loan is published until the subscriber has it. */
static int loan_out(struct bench_env *env)
{
	struct shmipc_pub *pub = bench_topic_pub(env, 0, BENCH_SPIN);
	struct bench_source src;
	struct shmipc_loan loan;
	uint64_t seq, until = 0;
	int ret = 0, stop = 0;

	if (!pub || bench_topic_source(env, &src))
		return -1;
	begin(env);
	for (seq = 0; !stop; seq++) {
		stop = last_one(env, seq, &until);
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + 1);
		ret = shmipc_pub_loan(pub, src.size, NULL, &loan, SHMIPC_FOREVER);
		if (ret)
			break;
		shmipc_payload_write(loan.ptr, bench_source_at(&src, seq), src.size);
		go_elsewhere(env);
		shmipc_store_relaxed(&told(env)->sent_at, bench_ticks());
		ret = shmipc_pub_publish(pub, &loan, src.size, SHMIPC_FOREVER);
		if (ret)
			break;
		bench_source_restamp(&src, seq);
		await(env, seq + 1);
	}
	if (ret)
		return bench_topic_fail_at(env, "publish", seq, ret);
	shmipc_pub_close(pub);
	bench_source_free(&src);
	return 0;
}

static int loan_in(struct bench_env *env)
{
	struct shmipc_sub *sub = bench_topic_sub(env, 0, BENCH_SPIN);
	uint32_t *sample = bench_samples_new(env);
	struct bench_source src;
	struct shmipc_msg m;
	uint64_t seq, t;
	int ret, bad;

	if (!sub || !sample || bench_topic_source(env, &src))
		return -1;
	begin(env);
	for (seq = 0; seq != shmipc_load_acquire(&env->shared->last); seq++) {
		ret = shmipc_sub_take(sub, &m, SHMIPC_FOREVER);
		t = bench_ticks();
		if (ret)
			return bench_topic_fail_at(env, "receive", seq, ret);
		t -= shmipc_load_relaxed(&told(env)->sent_at);
		if (seq >= WARM && seq - WARM < BENCH_SAMPLES)
			sample[seq - WARM] = (uint32_t)t;
		bad = m.len != src.size || bench_sum(m.ptr, m.len) != bench_source_want(&src, seq);
		shmipc_sub_release(sub, &m);
		if (bad)
			return bench_topic_fail_bytes(env, seq);
		go_elsewhere(env);
		shmipc_store_release(&told(env)->taken, seq + 1);
	}
	bench_samples_into(env->out, sample, seq - WARM);
	shmipc_sub_close(sub);
	bench_source_free(&src);
	free(sample);
	return 0;
}

/* The same with a short message, for comparison. */
static int loan_short(struct bench_env *env)
{
	size_t size = env->size;
	int ret;

	if (env->opts->topic.cold) {
		elsewhere_bytes = size;
		elsewhere = malloc(2 * size);
		if (!elsewhere)
			return bench_fail(env, "%zu bytes of memory (ENOMEM)", 2 * size);
		memset(elsewhere, 1, 2 * size);
	}
	env->size = SHORT_BYTES;
	ret = env->side == 0 ? loan_out(env) : loan_in(env);
	env->size = size;
	free(elsewhere);
	elsewhere = NULL;
	return ret;
}

/* There on one topic, back on the other. */
static int rtt_once(struct bench_env *env, struct shmipc_pub *pub, struct shmipc_sub *sub,
		    const struct bench_source *src, void *buf, uint64_t seq)
{
	size_t len;
	int ret = shmipc_pub_send(pub, bench_source_at(src, seq), src->size, SHMIPC_FOREVER);

	if (shmipc_unlikely(ret))
		return bench_topic_fail_at(env, "publish", seq, ret);
	ret = shmipc_sub_recv(sub, buf, src->size, &len, SHMIPC_FOREVER);
	if (shmipc_unlikely(ret))
		return bench_topic_fail_at(env, "receive", seq, ret);
	bench_source_restamp(src, seq);
	if (shmipc_unlikely(len != src->size || bench_sum(buf, len) != bench_source_want(src, seq)))
		return bench_topic_fail_bytes(env, seq);
	return 0;
}

static int rtt_ask(struct bench_env *env)
{
	struct shmipc_pub *pub = bench_topic_pub(env, 0, env->opts->wait);
	struct shmipc_sub *sub = pub ? bench_topic_sub(env, 1, env->opts->wait) : NULL;
	uint32_t *sample = bench_samples_new(env);
	unsigned char *buf = malloc(env->size + 1);
	uint64_t i, t, prev, until = 0;
	struct bench_source src;
	int stop = 0;

	if (!sub || !sample || !buf || bench_topic_source(env, &src))
		return -1;
	begin(env);
	prev = bench_ticks();
	for (i = 0; !stop; i++) {
		stop = last_one(env, i, &until);
		if (stop)
			shmipc_store_relaxed(&env->shared->last, i + 1);
		if (rtt_once(env, pub, sub, &src, buf, i))
			return -1;
		t = bench_ticks();
		if (i >= WARM)
			sample[i - WARM] = (uint32_t)(t - prev);
		prev = t;
	}
	bench_samples_into(env->out, sample, i - WARM);
	bench_meet(env);
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
	bench_source_free(&src);
	free(buf);
	free(sample);
	return 0;
}

static int rtt_answer(struct bench_env *env)
{
	struct shmipc_sub *sub = bench_topic_sub(env, 0, env->opts->wait);
	struct shmipc_pub *pub = sub ? bench_topic_pub(env, 1, env->opts->wait) : NULL;
	unsigned char *buf = malloc(env->size + 1);
	uint64_t seq;
	size_t len;
	int ret;

	if (!pub || !buf)
		return -1;
	begin(env);
	for (seq = 0; seq != shmipc_load_acquire(&env->shared->last); seq++) {
		ret = shmipc_sub_recv(sub, buf, env->size, &len, SHMIPC_FOREVER);
		if (!ret)
			ret = shmipc_pub_send(pub, buf, len, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret))
			return bench_topic_fail_at(env, "answer", seq, ret);
	}
	bench_meet(env);
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
	free(buf);
	return 0;
}

static int publish_prepare(struct bench_env *env)
{
	return bench_topic_prepare(env, &bench_topic_publish);
}

static int loan_prepare(struct bench_env *env)
{
	return bench_topic_prepare(env, &bench_topic_loan);
}

static int rtt_prepare(struct bench_env *env)
{
	return bench_topic_prepare(env, &bench_topic_rtt);
}

struct bench_topic bench_topic_publish = {
	.bench = {
		.name = "topic-publish",
		.table = BENCH_TABLE_CALL,
		.step = { .side = { publish_out, publish_in_all }, .spins = 1 },
		.limit = { { .side = { publish_out, publish_in_one }, .spins = 1 } },
		.ratio = BENCH_BY_P50,
		.prepare = publish_prepare,
		.finish = bench_topic_finish,
	},
};

struct bench_topic bench_topic_loan = {
	.bench = {
		.name = "topic-loan",
		.table = BENCH_TABLE_CALL,
		.step = { .side = { loan_out, loan_in }, .result = 1, .spins = 1 },
		.limit = { { .side = { loan_short, loan_short }, .result = 1, .spins = 1 } },
		.ratio = BENCH_BY_P50,
		.prepare = loan_prepare,
		.finish = bench_topic_finish,
	},
};

struct bench_topic bench_topic_rtt = {
	.bench = {
		.name = "topic-rtt",
		.table = BENCH_TABLE_RTT,
		.step = { .side = { rtt_ask, rtt_answer } },
		.ratio = BENCH_BY_P50,
		.prepare = rtt_prepare,
		.finish = bench_topic_finish,
	},
};
