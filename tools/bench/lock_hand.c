// SPDX-License-Identifier: MIT
/*
 * lock_hand.c - locks that others want: how fast the next one has it, and how long others wait
 *
 * Between two, a lock goes back and forth: its holder gives it back when the other one
 * waits for it, and does not want it again before the other one has it. Clocks of two
 * CPUs need not agree: a sample is half the time from giving it back until having it again,
 * without the time for which the other one held it.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"

#define HELD_NS		1e3	/* a waiter still spins */
#define HELD_LONG_NS	100e3	/* longer than any spins by default */
#define REST_NS		1e3	/* of one among many, between two times */
#define WARM		16u	/* hand-overs before they count */
#define SHARED_OFF	((size_t)72 << 10)	/* in env->mem */
#define STAT_OFF	((size_t)96 << 10)
#define WAITS_OFF	((size_t)128 << 10)
#define WAITS		((size_t)4096)	/* samples of a member: the last ones */

/* Words of one writer each are in lines of their own. */
struct hand {
	struct bench_guarded guarded;	/* by the lock, as @held and @stop */
	uint64_t held;			/* ticks: how long the last holder had it */
	uint64_t stop;
	uint64_t pad0[6];
	uint64_t holder;		/* side, from 1, that has it or had it last */
	uint64_t pad1[31];
	struct {
		uint64_t asks;		/* how often this side has come for it */
		uint64_t pad[31];
	} side[2];
};

static struct hand *hand_of(const struct bench_env *env)
{
	return (struct hand *)(void *)(env->mem + SHARED_OFF);
}

static void spend(double ns)
{
	uint64_t end = bench_ticks() + bench_ns_ticks(ns);

	while (bench_ticks() < end)
		shmipc_cpu_relax();
}

static void pause_for(const struct bench_env *env)
{
	if (env->opts->cpu[0] == env->opts->cpu[1])
		sched_yield();
	else
		shmipc_cpu_relax();
}

static int broken(struct bench_env *env)
{
	return bench_fail(env, "two had the lock at the same time (EPROTO)");
}

/* The holder waits until the other side has come once more, and lets it wait. */
static void hold(const struct bench_env *env, struct hand *h, uint64_t *asked)
{
	const uint64_t *asks = &h->side[!env->side].asks;

	while (shmipc_load_acquire(asks) == *asked && !h->stop)
		pause_for(env);
	*asked = shmipc_load_relaxed(asks);
	spend(env->arg & BENCH_LOCK_LONG ? HELD_LONG_NS : HELD_NS);
}

/* What has begun with our giving it back, at @gave, has come to an end: half of that. */
static uint32_t sample_of(uint64_t gave, uint64_t now, uint64_t held)
{
	uint64_t took = now - gave;

	return took > held ? (uint32_t)((took - held) / 2) : 0;
}

static int hand_on(struct bench_env *env, struct bench_lock *l, struct hand *h, uint32_t *sample,
		   size_t *n)
{
	uint64_t me = (uint64_t)env->side + 1, asked = 0, rounds = 0, now, gave = 0, first;
	uint64_t end = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	int ret = 0, stop = 0;

	while (!stop && !ret) {
		shmipc_store_release(&h->side[env->side].asks, ++rounds);
		ret = bench_lock_take(l->kind, l);
		if (ret)
			break;
		now = bench_ticks();
		shmipc_store_release(&h->holder, me);
		if (bench_guarded_touch(&h->guarded))
			return broken(env);
		first = h->guarded.word[0];
		if (rounds > WARM && !h->stop && *n < BENCH_SAMPLES)
			sample[(*n)++] = sample_of(gave, now, h->held);
		if (env->side == 0 && rounds > 2 * WARM && now >= end)
			h->stop = 1;
		stop = h->stop != 0;
		if (!stop)
			hold(env, h, &asked);
		if (bench_guarded_kept(&h->guarded, first))
			return broken(env);
		gave = bench_ticks();
		h->held = gave - now;
		ret = bench_lock_give(l->kind, l);
		while (!stop && shmipc_load_acquire(&h->holder) == me)
			pause_for(env);
	}
	return ret ? bench_lock_failed(env, "take or give", ret) : 0;
}

int bench_lock_hand(struct bench_env *env)
{
	struct hand *h = hand_of(env);
	uint32_t *sample = bench_samples_new(env);
	struct bench_lock l;
	size_t n = 0;

	if (!sample || bench_lock_open(env, &l, env->side == 0))
		return -1;
	if (env->side == 0)
		memset(h, 0, sizeof(*h));
	bench_begin(env);
	if (hand_on(env, &l, h, sample, &n))
		return -1;
	bench_meet(env);
	bench_samples_into(env->out, sample, n);
	bench_lock_close(&l);
	free(sample);
	return 0;
}

/* Many, of which each one takes it again and again */

struct stat {
	uint64_t times;
	uint64_t longest;	/* ticks: and so on */
	uint64_t took;		/* the whole time */
	uint64_t pad[5];
};

static struct stat *stat_of(const struct bench_env *env, unsigned int member)
{
	return (struct stat *)(void *)(env->mem + STAT_OFF) + member;
}

static uint32_t *waits_of(const struct bench_env *env, unsigned int member)
{
	return (uint32_t *)(void *)(env->mem + WAITS_OFF) + member * WAITS;
}

static int crowd_turn(struct bench_env *env, struct bench_lock *l, struct stat *s, uint32_t *waits)
{
	struct bench_guarded *g = &hand_of(env)->guarded;
	uint64_t t0 = bench_ticks(), waited, first;
	int ret = bench_lock_take(l->kind, l);

	if (ret)
		return bench_lock_failed(env, "take", ret);
	waited = bench_ticks() - t0;
	if (bench_guarded_touch(g))
		return broken(env);
	first = g->word[0];
	spend(HELD_NS);
	if (bench_guarded_kept(g, first))
		return broken(env);
	ret = bench_lock_give(l->kind, l);
	if (ret)
		return bench_lock_failed(env, "give", ret);
	if (waited > s->longest)
		s->longest = waited;
	waits[s->times++ % WAITS] = waited > UINT32_MAX ? UINT32_MAX : (uint32_t)waited;
	spend(REST_NS);
	return 0;
}

static int crowd_member(struct bench_env *env, unsigned int me)
{
	struct stat *s = stat_of(env, me);
	uint64_t began, end;
	struct bench_lock l;

	if (bench_lock_open(env, &l, 0))
		return -1;
	memset(s, 0, sizeof(*s));
	bench_gather(env, env->opts->lock.processes);
	began = bench_ticks();
	end = began + bench_ns_ticks(env->seconds * 1e9);
	do {
		if (crowd_turn(env, &l, s, waits_of(env, me)))
			return -1;
	} while (bench_ticks() < end);
	s->took = bench_ticks() - began;
	bench_lock_close(&l);
	return 0;
}

/* Side 0, when all have ended: what is there of all of them. */
static int crowd_sum(struct bench_env *env, uint32_t *sample)
{
	unsigned int i, n = env->opts->lock.processes;
	uint64_t total = 0, least = UINT64_MAX, longest = 0;
	struct bench_out *out = env->out;
	const struct stat *s;
	size_t samples = 0, k;

	out->msgs_per_s = 0;
	for (i = 0; i < n; i++) {
		s = stat_of(env, i);
		total += s->times;
		least = s->times < least ? s->times : least;
		longest = s->longest > longest ? s->longest : longest;
		out->msgs_per_s += (double)s->times / bench_ticks_ns(s->took) * 1e9;
		for (k = 0; k < s->times && k < WAITS; k++)
			sample[samples++] = waits_of(env, i)[k];
	}
	if (hand_of(env)->guarded.word[0] != total)
		return broken(env);
	bench_samples_into(out, sample, samples);
	out->msgs = total;
	out->max_ns = bench_ticks_ns(longest);
	out->least_share = (double)least * n / (double)total;
	return 0;
}

int bench_lock_crowd(struct bench_env *env)
{
	unsigned int n = env->opts->lock.processes, half = n / 2;
	uint32_t *sample = bench_samples_new(env);
	struct bench_lock l;
	int ret;

	if (!sample || bench_lock_open(env, &l, env->side == 0))
		return -1;
	if (env->side == 0)
		memset(hand_of(env), 0, sizeof(struct hand));
	bench_begin(env);
	ret = bench_crew(env, env->side ? half : 0, env->side ? n - half : half, crowd_member);
	if (ret)
		return ret;
	bench_meet(env);
	if (env->side == 0)
		ret = crowd_sum(env, sample);
	bench_lock_close(&l);
	free(sample);
	return ret;
}
