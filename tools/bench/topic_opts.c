// SPDX-License-Identifier: MIT
/* topic_opts.c - `shmipc bench topic`: its options, and the benches that it runs */
#include <stdio.h>
#include <string.h>

#include "topic.h"

static const size_t size_rate[] = { 64, 256, 1264, 4096 };
static const size_t size_publish[] = { 64, 4096 };
static const size_t size_loan[] = { 4096, 4 << 20 };
static const size_t size_rtt[] = { 64, 4096 };
static const size_t size_latency[] = { 64 };

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* The words are in the order of enum shmipc_policy, which begins with 1. */
static void take_policy(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + 1;
}

/* BENCH_FOR_* begin with 1. */
static void take_made_for(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + 1;
}

static const char *const policies[] = { "lossy", "lossless", "evict", NULL };
static const char *const made_for[] = { "one", "many", NULL };

const struct opt bench_topic_options[] = {
	{ .name = "publishers", .arg = "N", .min = 1, .max = BENCH_ENDS_MAX, .preset = "1",
	  .take = take_size32, .at = offsetof(struct bench_topic_opts, publishers),
	  .help = "how many publishers" },
	{ .name = "subscribers", .arg = "N", .min = 1, .max = BENCH_ENDS_MAX, .take = take_size32,
	  .at = offsetof(struct bench_topic_opts, subscribers),
	  .help = "how many subscribers; without this 1, for topic-publish 16" },
	{ .name = "policy", .words = policies, .preset = "lossless", .take = take_policy,
	  .at = offsetof(struct bench_topic_opts, policy), .help = "of the subscribers" },
	{ .name = "made-for", .words = made_for, .take = take_made_for,
	  .at = offsetof(struct bench_topic_opts, made_for),
	  .help = "only the topic created for one publisher, or for many; without this both; with "
		  "more than one publisher many" },
	{ .name = "loan", .take = take_flag, .at = offsetof(struct bench_topic_opts, loan),
	  .help = "fill and read messages in place instead of copying them" },
	{ .name = "cold", .take = take_flag, .at = offsetof(struct bench_topic_opts, cold),
	  .help = "topic-loan: the 4 KiB that it is compared with find caches as cold" },
	{ .name = "inline", .arg = "BYTES", .min = 1, .max = SHMIPC_TOPIC_CELL_MAX,
	  .take = take_size, .at = offsetof(struct bench_topic_opts, inline_bytes),
	  .help = "of the topic" },
	{ .name = "history", .arg = "N", .min = 1, .max = SHMIPC_TLOG_ENTRIES_MAX / 2,
	  .take = take_size, .at = offsetof(struct bench_topic_opts, history),
	  .help = "of the topic" },
	{ .name = "pool", .arg = "BYTES", .min = 1, .max = UINT64_C(1) << 40, .take = take_size,
	  .at = offsetof(struct bench_topic_opts, pool_bytes), .help = "of the topic" },
	{ .name = "meta", .take = take_flag, .at = offsetof(struct bench_topic_opts, meta),
	  .help = "messages carry all meta fields" },
	{ .name = "headers", .take = take_flag, .at = offsetof(struct bench_topic_opts, headers),
	  .help = "a chain of functions adds a header to each message" },
	{ .name = "rate", .arg = "R", .preset = "1000", .take = take_rate,
	  .at = offsetof(struct bench_topic_opts, rate),
	  .help = "topic-latency: messages a second" },
	{ .name = NULL },
};

static int sizes(struct bench_topic *t, const struct bench_opts *o, bench_sizes_fn *fn,
		 const size_t *size, size_t n)
{
	t->bench.topic = t;
	t->bench.limit[0].seconds = o->seconds;
	return fn(&t->bench, o, size, n);
}

static int rates(struct bench_topic *t, const struct bench_opts *o, bench_sizes_fn *fn)
{
	t->bench.limit[0] = bench_spsc.step;
	t->bench.limit[0].spins = o->wait == BENCH_SPIN;
	t->bench.step.spins = o->wait == BENCH_SPIN;
	t->bench.wait = o->wait;
	t->bench.table = o->topic.policy == SHMIPC_POLICY_LOSSY ? BENCH_TABLE_LOSSY :
								  BENCH_TABLE_RATE;
	return sizes(t, o, fn, size_rate, COUNT(size_rate));
}

static int wanted(const struct bench_opts *o, uint32_t only)
{
	return !o->topic.made_for || o->topic.made_for == only;
}

/* Throughput, of a topic made for one publisher and of one for many. */
int bench_topic_rates(const struct bench_opts *o, bench_sizes_fn *fn)
{
	if (wanted(o, BENCH_FOR_ONE) && o->topic.publishers == 1 &&
	    rates(&bench_topic_single, o, fn))
		return -1;
	return wanted(o, BENCH_FOR_MANY) ? rates(&bench_topic_many, o, fn) : 0;
}

/* The cost of publishing with many subscribers, and with one. */
int bench_topic_publishes(const struct bench_opts *o, bench_sizes_fn *fn)
{
	return sizes(&bench_topic_publish, o, fn, size_publish, COUNT(size_publish));
}

int bench_topic_loans(const struct bench_opts *o, bench_sizes_fn *fn)
{
	return sizes(&bench_topic_loan, o, fn, size_loan, COUNT(size_loan));
}

int bench_topic_rtts(const struct bench_opts *o, bench_sizes_fn *fn)
{
	struct bench_case *c = &bench_topic_rtt.bench;

	c->wait = o->wait;
	c->step.spins = o->wait == BENCH_SPIN;
	bench_topic_rtt.bench.limit[0] = o->wait == BENCH_SPIN ? bench_limit_pingpong :
								 bench_limit_futex;
	c->topic = &bench_topic_rtt;
	return fn(c, o, size_rtt, COUNT(size_rtt));
}

/* From publication to receipt at a fixed rate: by default the subscriber sleeps. */
int bench_topic_latencies(const struct bench_opts *o, bench_sizes_fn *fn)
{
	bench_topic_latency.bench.wait = o->wait_given ? o->wait : BENCH_SLEEP;
	bench_topic_latency.bench.topic = &bench_topic_latency;
	return fn(&bench_topic_latency.bench, o, size_latency, COUNT(size_latency));
}
