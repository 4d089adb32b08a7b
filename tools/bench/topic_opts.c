// SPDX-License-Identifier: MIT
/* topic_opts.c - `shmipc bench topic`: its options, and which benches it is made of */
#include <stdio.h>
#include <string.h>

#include "topic.h"

static const size_t size_rate[] = { 64, 256, 1264, 4096 };
static const size_t size_publish[] = { 64, 4096 };
static const size_t size_loan[] = { 4096, 4 << 20 };
static const size_t size_rtt[] = { 64, 4096 };
static const size_t size_latency[] = { 64 };

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static int parse_policy(const char *s, struct bench_topic_opts *t)
{
	if (!strcmp(s, "lossless"))
		t->policy = SHMIPC_POLICY_LOSSLESS;
	else if (!strcmp(s, "lossy"))
		t->policy = SHMIPC_POLICY_LOSSY;
	else if (!strcmp(s, "evict"))
		t->policy = SHMIPC_POLICY_EVICT;
	else
		return bench_bad("policy", s, "lossless, lossy or evict");
	return 0;
}

static int parse_made_for(const char *s, struct bench_topic_opts *t)
{
	if (!strcmp(s, "one"))
		t->made_for = BENCH_FOR_ONE;
	else if (!strcmp(s, "many"))
		t->made_for = BENCH_FOR_MANY;
	else
		return bench_bad("made-for", s, "one or many");
	return 0;
}

static int parse_ends(const char *option, const char *s, unsigned int *ret)
{
	unsigned long long v;

	if (bench_number(s, 1, BENCH_ENDS_MAX, &v))
		return bench_bad(option, s, "1 to 1024");
	*ret = (unsigned int)v;
	return 0;
}

static int parse_bytes(const char *option, const char *s, unsigned long long max, uint64_t *ret)
{
	unsigned long long v;

	if (bench_number(s, 1, max, &v))
		return bench_bad(option, s, "a number of bytes or messages that a topic can have; k and m are understood");
	*ret = v;
	return 0;
}

/* Return: 0; -1 after a message. */
int bench_topic_option(int opt, const char *arg, struct bench_topic_opts *t)
{
	switch (opt) {
	case BENCH_OPT_PUBLISHERS:
		return parse_ends("publishers", arg, &t->publishers);
	case BENCH_OPT_SUBSCRIBERS:
		return parse_ends("subscribers", arg, &t->subscribers);
	case BENCH_OPT_POLICY:
		return parse_policy(arg, t);
	case BENCH_OPT_MADE_FOR:
		return parse_made_for(arg, t);
	case BENCH_OPT_INLINE:
		return parse_bytes("inline", arg, SHMIPC_TOPIC_CELL_MAX, &t->inline_bytes);
	case BENCH_OPT_HISTORY:
		return parse_bytes("history", arg, SHMIPC_TLOG_ENTRIES_MAX / 2, &t->history);
	case BENCH_OPT_POOL:
		return parse_bytes("pool", arg, 1ULL << 40, &t->pool_bytes);
	case BENCH_OPT_LOAN:
		t->loan = 1;
		return 0;
	case BENCH_OPT_COLD:
		t->cold = 1;
		return 0;
	case BENCH_OPT_META:
		t->meta = 1;
		return 0;
	case BENCH_OPT_HEADERS:
		t->headers = 1;
		return 0;
	default:
		return -1;
	}
}

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

static int wanted(const struct bench_opts *o, int made_for)
{
	return !o->topic.made_for || o->topic.made_for == made_for;
}

/* Throughput, of a topic made for one publisher and of one for many. */
int bench_topic_rates(const struct bench_opts *o, bench_sizes_fn *fn)
{
	if (wanted(o, BENCH_FOR_ONE) && o->topic.publishers == 1 &&
	    rates(&bench_topic_single, o, fn))
		return -1;
	return wanted(o, BENCH_FOR_MANY) ? rates(&bench_topic_many, o, fn) : 0;
}

/* What a publication takes with many subscribers, and with one. */
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

/* From publish to receipt at a fixed rate: the subscriber sleeps, without another wish. */
int bench_topic_latencies(const struct bench_opts *o, bench_sizes_fn *fn)
{
	bench_topic_latency.bench.wait = o->wait_given ? o->wait : BENCH_SLEEP;
	bench_topic_latency.bench.topic = &bench_topic_latency;
	return fn(&bench_topic_latency.bench, o, size_latency, COUNT(size_latency));
}
