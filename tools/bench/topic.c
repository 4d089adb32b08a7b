// SPDX-License-Identifier: MIT
/*
 * topic.c - publish and subscribe as a user does, beside the lossless ring
 *
 * Side 0 is one process with all publishers, which take turns; side 1 is one with all
 * subscribers. The side that opens the topic first creates it; it is gone when both have
 * left. The comparison is measured in the same run, a moment before: the spsc ring for
 * throughput, one subscriber for what many cost the publisher.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#include "bench.h"
#include "source.h"
#include "topic.h"

#define ROUND		64u	/* messages that a subscriber takes before the next one does */
#define CHUNK_BYTES	((size_t)256 << 10)	/* between two reads of the clock */

/* One publisher or subscriber of a side, and its position. */
struct end {
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	uint64_t seq;
	uint64_t lost;
};

static struct bench_topic *plan;	/* the case that runs */

static int fail_topic(struct bench_env *env, const char *what, int ret)
{
	return bench_fail(env, "%s: %s (%s)", what, shmipc_error_text(), shmipc_error_name(ret));
}

int bench_topic_fail_at(struct bench_env *env, const char *what, uint64_t seq, int ret)
{
	return bench_fail(env, "%s message %llu: %s", what, (unsigned long long)seq,
			  shmipc_error_name(ret));
}

int bench_topic_fail_bytes(struct bench_env *env, uint64_t seq)
{
	return bench_fail(env, "message %llu differs from the one sent (EPROTO)",
			  (unsigned long long)seq);
}

/* The pool holds a few of the largest. */
static uint64_t pool_for(const struct bench_env *env)
{
	uint64_t want = 16 * (uint64_t)env->size;

	if (env->opts->topic.pool_bytes || want <= UINT64_C(8) << 20)
		return env->opts->topic.pool_bytes;
	if (want > UINT64_C(256) << 20)
		want = 4 * (uint64_t)env->size;
	return want;
}

static void asked_for(const struct bench_env *env, struct shmipc_topic_opts *ret)
{
	const struct bench_topic_opts *t = &env->opts->topic;

	*ret = (struct shmipc_topic_opts){
		.struct_bytes = sizeof(*ret),
		.flags = SHMIPC_POPULATE,	/* what is measured does not grow */
		.publishers = plan->single ? 1 : t->publishers > 64 ? t->publishers : 0,
		.subscribers = t->subscribers > 256 ? t->subscribers : 0,
		.history = t->history,
		.inline_bytes = t->inline_bytes,
		.pool_bytes = pool_for(env),
		.meta = t->meta ? SHMIPC_META_ALL : plan->stamped ? SHMIPC_META_MONO : 0,
		.page = env->opts->page,
	};
}

static const char *topic_name(unsigned int i)
{
	static char name[64];

	(void)snprintf(name, sizeof(name), "bench-%ld-%u", (long)getpid(), i);
	return name;
}

static char name_of[2][64];	/* of the parent's process, for both sides */

/* Create the topic to get its properties for the report. */
static int look(struct bench_env *env)
{
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	struct shmipc_topic_opts o;
	struct shmipc_sub *sub;
	int ret;

	asked_for(env, &o);
	ret = shmipc_sub_open(&sub, name_of[0], &o, NULL);
	if (!ret) {
		ret = shmipc_sub_get_info(sub, &info);
		shmipc_sub_close(sub);
	}
	if (ret) {
		fprintf(stderr, "shmipc: bench: create a topic: %s (%s)\n", shmipc_error_text(),
			shmipc_error_name(ret));
		return -1;
	}
	plan->bench.page_got = info.page_got;
	plan->bench.backend = info.backend;
	return 0;
}

int bench_topic_prepare(struct bench_env *env, struct bench_topic *t)
{
	plan = t;
	(void)snprintf(name_of[0], sizeof(name_of[0]), "%s", topic_name(0));
	(void)snprintf(name_of[1], sizeof(name_of[1]), "%s", topic_name(1));
	if (look(env))
		return -1;
	return t->ring_limit ? bench_spsc.prepare(env) : 0;
}

void bench_topic_finish(struct bench_env *env)
{
	if (plan->ring_limit)
		bench_spsc.finish(env);
}

struct shmipc_pub *bench_topic_pub(struct bench_env *env, unsigned int topic, enum bench_wait wait)
{
	static struct shmipc_headers_const header = { "source", "bench", 5 };
	static struct shmipc_middleware_chain chain;
	const struct bench_topic_opts *t = &env->opts->topic;
	struct shmipc_pub_opts o = {
		.struct_bytes = sizeof(o),
		.spin_ns = wait == BENCH_SPIN ? SHMIPC_SPIN_ALWAYS : SHMIPC_SPIN_NEVER,
	};
	struct shmipc_topic_opts asked;
	struct shmipc_pub *pub;
	int ret = 0;

	asked_for(env, &asked);
	if (env->opts->copier)
		ret = shmipc_copier_find(&o.copier, env->opts->copier);
	if (!ret && t->headers && !chain.count)
		ret = shmipc_middleware_add(&chain, shmipc_headers_constant, &header);
	if (t->headers)
		o.chain = &chain;
	if (!ret)
		ret = shmipc_pub_open(&pub, name_of[topic], &asked, &o);
	if (!ret)
		return pub;
	fail_topic(env, "publish", ret);
	return NULL;
}

struct shmipc_sub *bench_topic_sub(struct bench_env *env, unsigned int topic, enum bench_wait wait)
{
	struct shmipc_sub_opts o = {
		.struct_bytes = sizeof(o),
		.spin_ns = wait == BENCH_SPIN ? SHMIPC_SPIN_ALWAYS : SHMIPC_SPIN_NEVER,
		.policy = env->opts->topic.policy,
	};
	struct shmipc_topic_opts asked;
	struct shmipc_sub *sub;
	int ret = 0;

	asked_for(env, &asked);
	if (env->opts->copier)
		ret = shmipc_copier_find(&o.copier, env->opts->copier);
	if (!ret)
		ret = shmipc_sub_open(&sub, name_of[topic], &asked, &o);
	if (!ret)
		return sub;
	fail_topic(env, "subscribe", ret);
	return NULL;
}

int bench_topic_source(struct bench_env *env, struct bench_source *src)
{
	if (!bench_source_init(src, env->size))
		return 0;
	return bench_fail(env, "memory for messages of %zu bytes (ENOMEM)", env->size);
}

/* Publishing */

/* Fill in place and publish. */
static int publish_loan(struct shmipc_pub *pub, const void *buf, size_t len)
{
	struct shmipc_loan loan;
	int ret = shmipc_pub_loan(pub, len, NULL, &loan, SHMIPC_FOREVER);

	if (ret)
		return ret;
	shmipc_payload_write(loan.ptr, buf, len);
	return shmipc_pub_publish(pub, &loan, len, SHMIPC_FOREVER);
}

static int send_copies(struct shmipc_pub *pub, const struct bench_source *src, uint64_t *seq,
		       uint64_t n)
{
	uint64_t i = *seq, end = i + n;
	int ret = 0;

	for (; i < end; i++) {
		ret = shmipc_pub_send(pub, bench_source_at(src, i), src->size, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret))
			break;
		bench_source_restamp(src, i);
	}
	*seq = i;
	return ret;
}

static int send_loans(struct shmipc_pub *pub, const struct bench_source *src, uint64_t *seq,
		      uint64_t n)
{
	uint64_t i = *seq, end = i + n;
	int ret = 0;

	for (; i < end; i++) {
		ret = publish_loan(pub, bench_source_at(src, i), src->size);
		if (shmipc_unlikely(ret))
			break;
		bench_source_restamp(src, i);
	}
	*seq = i;
	return ret;
}

static int send_batches(struct shmipc_pub *pub, const struct bench_source *src, uint64_t *seq,
			uint64_t n, unsigned int batch)
{
	struct shmipc_buf v[BENCH_SLOTS_MAX];
	uint64_t i = *seq, end = i + n, k;
	int ret = 0;

	while (i < end && !ret) {
		for (k = 0; k < batch; k++)
			v[k] = (struct shmipc_buf){ bench_source_at(src, i + k), src->size };
		ret = shmipc_pub_send_batch(pub, v, batch, SHMIPC_FOREVER);
		for (k = 0; k < batch && !ret; k++)
			bench_source_restamp(src, i + k);
		i += batch;
	}
	*seq = i;
	return ret;
}

/* A batch is at most as large as the private slots that it comes from. */
static unsigned int batch_of(const struct bench_env *env, const struct bench_source *src)
{
	return env->opts->publish <= src->mask + 1 ? env->opts->publish :
						     (unsigned int)src->mask + 1;
}

static int send_some(struct bench_env *env, struct shmipc_pub *pub, const struct bench_source *src,
		     uint64_t *seq, uint64_t n)
{
	unsigned int batch = batch_of(env, src);

	if (env->opts->topic.loan)
		return send_loans(pub, src, seq, n);
	if (batch > 1)
		return send_batches(pub, src, seq, n, batch);
	return send_copies(pub, src, seq, n);
}

static uint64_t warm_messages(const struct bench_env *env)
{
	uint64_t keep = env->opts->topic.history ? env->opts->topic.history : 1024;
	uint64_t pool = (UINT64_C(8) << 20) / env->size;

	keep = pool < keep ? pool : keep;
	return (2 * keep / ROUND + 1) * ROUND;
}

/* Publishers take turns, @n messages each. The number of the last is announced before it is sent. */
static int send_timed(struct bench_env *env, struct end *end, unsigned int ends,
		      const struct bench_source *src)
{
	uint64_t n = ends > 1 ? ROUND : (CHUNK_BYTES / src->size / ROUND + 1) * ROUND;
	uint64_t seq = 0, until, least = 2 * warm_messages(env);
	unsigned int i = 0;
	int ret, stop;

	until = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	do {
		stop = seq >= least && bench_ticks() >= until;
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + n);
		ret = send_some(env, end[i].pub, src, &seq, n);
		if (ret)
			return bench_topic_fail_at(env, "publish", seq, ret);
		i = i + 1 < ends ? i + 1 : 0;
	} while (!stop);
	env->out->msgs = seq;
	return 0;
}

static struct end *ends_new(struct bench_env *env, unsigned int n, int pub)
{
	struct end *end = calloc(n, sizeof(*end));
	unsigned int i;

	if (!end) {
		bench_fail(env, "memory for %u ends (ENOMEM)", n);
		return NULL;
	}
	for (i = 0; i < n; i++) {
		if (pub)
			end[i].pub = bench_topic_pub(env, 0, env->opts->wait);
		else
			end[i].sub = bench_topic_sub(env, 0, env->opts->wait);
		if (!end[i].pub && !end[i].sub)
			return NULL;
	}
	return end;
}

static void ends_free(struct end *end, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		shmipc_pub_close(end[i].pub);
		shmipc_sub_close(end[i].sub);
	}
	free(end);
}

static int rate_out(struct bench_env *env)
{
	unsigned int n = plan->single ? 1 : env->opts->topic.publishers;
	struct end *end = ends_new(env, n, 1);
	struct bench_source src;
	int ret;

	if (!end || bench_topic_source(env, &src))
		return -1;
	bench_begin(env);
	ret = send_timed(env, end, n, &src);
	if (ret)
		return ret;
	bench_meet(env);	/* the subscribers have received all */
	ends_free(end, n);
	bench_source_free(&src);
	return 0;
}

/* Subscribing */

/* The reported loss must be exact: the next message shows its number. */
static int lapped(struct bench_env *env, struct end *e, int ret)
{
	uint64_t n;

	if (ret != -ESTALE)
		return bench_topic_fail_at(env, "receive", e->seq, ret);
	n = shmipc_sub_lost(e->sub, NULL, NULL);
	e->lost += n;
	e->seq += n;
	return 0;
}

static int copies_until(struct bench_env *env, struct end *e, const struct bench_source *src,
			void *buf, uint64_t until)
{
	uint64_t seq = e->seq;
	size_t len;
	int ret;

	while (seq < until) {
		ret = shmipc_sub_recv(e->sub, buf, src->size, &len, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret)) {
			e->seq = seq;
			if (lapped(env, e, ret))
				return -1;
			seq = e->seq;
			continue;
		}
		if (shmipc_unlikely(len != src->size ||
				    bench_sum(buf, len) != bench_source_want(src, seq)))
			return bench_topic_fail_bytes(env, seq);
		seq++;
	}
	e->seq = seq;
	return 0;
}

static int loans_until(struct bench_env *env, struct end *e, const struct bench_source *src,
		       uint64_t until)
{
	struct shmipc_msg m;
	int ret, bad;

	while (e->seq < until) {
		ret = shmipc_sub_take(e->sub, &m, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret)) {
			if (lapped(env, e, ret))
				return -1;
			continue;
		}
		bad = m.len != src->size || bench_sum(m.ptr, m.len) != bench_source_want(src, e->seq);
		shmipc_sub_release(e->sub, &m);
		if (shmipc_unlikely(bad))
			return bench_topic_fail_bytes(env, e->seq);
		e->seq++;
	}
	return 0;
}

static int until_all(struct bench_env *env, struct end *end, unsigned int n,
		     const struct bench_source *src, void *buf, uint64_t until)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = env->opts->topic.loan ? loans_until(env, &end[i], src, until) :
				   copies_until(env, &end[i], src, buf, until);
	return ret;
}

static int done(const struct end *end, unsigned int n, uint64_t last)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (end[i].seq < last)
			return 0;
	return 1;
}

/* Time and counts of all subscribers from the end of the warm-up. */
static int receive_timed(struct bench_env *env, struct end *end, unsigned int n,
			 const struct bench_source *src, void *buf)
{
	uint64_t at, t0, msgs = 0, lost = 0, warm = warm_messages(env);
	struct bench_out *out = env->out;
	double seconds;
	unsigned int i;

	/* In turns, otherwise publishers would wait for the others. */
	for (at = ROUND; at <= warm; at += ROUND)
		if (until_all(env, end, n, src, buf, at))
			return -1;
	t0 = bench_ticks();
	for (i = 0; i < n; i++) {
		msgs -= end[i].seq;
		lost -= end[i].lost;
	}
	for (at = warm; !done(end, n, shmipc_load_relaxed(&env->shared->last));) {
		at = end[0].seq > at ? end[0].seq / ROUND * ROUND + ROUND : at + ROUND;
		if (until_all(env, end, n, src, buf, at))
			return -1;
	}
	seconds = bench_ticks_ns(bench_ticks() - t0) / 1e9;
	for (i = 0; i < n; i++) {
		msgs += end[i].seq;
		lost += end[i].lost;
	}
	out->lost = lost;
	out->msgs = msgs - lost;
	out->msgs_per_s = (double)out->msgs / n / seconds;
	out->bytes_per_s = out->msgs_per_s * (double)env->size;
	return 0;
}

static int rate_in(struct bench_env *env)
{
	unsigned int n = env->opts->topic.subscribers;
	struct end *end = ends_new(env, n, 0);
	unsigned char *buf = malloc(env->size + 1);
	struct bench_source src;

	if (!end || !buf || bench_topic_source(env, &src))
		return -1;
	memset(buf, 0, env->size);
	bench_begin(env);
	if (receive_timed(env, end, n, &src, buf))
		return -1;
	bench_meet(env);
	ends_free(end, n);
	bench_source_free(&src);
	free(buf);
	return 0;
}

static int single_prepare(struct bench_env *env)
{
	return bench_topic_prepare(env, &bench_topic_single);
}

static int many_prepare(struct bench_env *env)
{
	return bench_topic_prepare(env, &bench_topic_many);
}

struct bench_topic bench_topic_single = {
	.bench = {
		.name = "topic-single",
		.step = { .side = { rate_out, rate_in }, .result = 1, .spins = 1 },
		.ratio = BENCH_BY_RATE,
		.prepare = single_prepare,
		.finish = bench_topic_finish,
	},
	.single = 1,
	.ring_limit = 1,
};

struct bench_topic bench_topic_many = {
	.bench = {
		.name = "topic-many",
		.step = { .side = { rate_out, rate_in }, .result = 1, .spins = 1 },
		.ratio = BENCH_BY_RATE,
		.prepare = many_prepare,
		.finish = bench_topic_finish,
	},
	.ring_limit = 1,
};
