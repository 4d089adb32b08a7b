// SPDX-License-Identifier: MIT
/*
 * topic_latency.c - time from publish to receipt, at a fixed rate of messages
 *
 * The publisher sleeps between messages, so one is under way at a time, and each carries
 * its time of publishing. Every message counts, there is no warm-up: `shmipc trace
 * --histogram publish-to-receive` sees the same ones.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "topic.h"

#define SAMPLES_MAX	((uint64_t)1 << 22)

static uint64_t messages(const struct bench_env *env)
{
	double n = env->seconds * env->opts->topic.rate;

	return n < 1 ? 1 : n > (double)SAMPLES_MAX ? SAMPLES_MAX : (uint64_t)n;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / UINT64_C(1000000000)),
			      .tv_nsec = (long)(ns % UINT64_C(1000000000)) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}

static int latency_out(struct bench_env *env)
{
	struct shmipc_pub *pub = bench_topic_pub(env, 0, BENCH_SLEEP);
	double period_ns = 1e9 / env->opts->topic.rate;
	uint64_t i, n = messages(env), from;
	struct bench_source src;
	int ret = 0;

	if (!pub || bench_topic_source(env, &src))
		return -1;
	bench_begin(env);
	from = now_ns();
	for (i = 0; i < n && !ret; i++) {
		sleep_until(from + (uint64_t)((double)(i + 1) * period_ns));
		ret = shmipc_pub_send(pub, bench_source_at(&src, i), src.size, SHMIPC_FOREVER);
		bench_source_restamp(&src, i);
	}
	if (ret)
		return bench_topic_fail_at(env, "publish", i, ret);
	bench_meet(env);
	shmipc_pub_close(pub);
	bench_source_free(&src);
	return 0;
}

static int latency_in(struct bench_env *env)
{
	struct shmipc_sub *sub = bench_topic_sub(env, 0, env->opts->wait_given ? env->opts->wait :
							BENCH_SLEEP);
	uint64_t i, n = messages(env), ns;
	uint32_t *sample = malloc((size_t)n * sizeof(*sample));
	struct shmipc_msg m;
	int ret = 0;

	if (!sub || !sample)
		return sub ? bench_fail(env, "memory for samples (ENOMEM)") : -1;
	memset(sample, 0, (size_t)n * sizeof(*sample));
	bench_begin(env);
	for (i = 0; i < n && !ret; i++) {
		ret = shmipc_sub_take(sub, &m, SHMIPC_FOREVER);
		if (ret)
			break;
		ns = bench_ns_ticks((double)(now_ns() - m.mono_ns));
		sample[i] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
		shmipc_sub_release(sub, &m);
	}
	if (ret)
		return bench_topic_fail_at(env, "receive", i, ret);
	bench_samples_into(env->out, sample, (size_t)n);
	bench_meet(env);
	shmipc_sub_close(sub);
	free(sample);
	return 0;
}

static int latency_prepare(struct bench_env *env)
{
	return bench_topic_prepare(env, &bench_topic_latency);
}

struct bench_topic bench_topic_latency = {
	.bench = {
		.name = "topic-latency",
		.table = BENCH_TABLE_LATENCY,
		.step = { .side = { latency_out, latency_in }, .result = 1 },
		.ratio = BENCH_NO_RATIO,
		.every_run = 1,
		.prepare = latency_prepare,
		.finish = bench_topic_finish,
	},
	.stamped = 1,
};
