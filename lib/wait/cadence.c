// SPDX-License-Identifier: MIT
/* cadence.c - finding the number of pauses before the second look, see cadence.h */
#include <string.h>

#include <shmipc/inline/atomic.h>

#include "base/base.h"
#include "wait/cadence.h"

#define BLOCK		SHMIPC_CADENCE_BLOCK
#define SETTLING	4u	/* the first of them, which are not timed */
#define PAIRS		24u	/* of blocks in a trial */
#define ENOUGH_MORE	19u	/* of them, to pause longer: by chance 1 time in 300 */
#define ENOUGH_LESS	16u	/* to pause less: 1 in 13 */
#define EVERY_FIRST	64u	/* waits between trials while they succeed ... */
#define EVERY_MOST	32768u	/* ... and while they do not */
#define PAUSES_TIMED	32u	/* to find out what a pause takes */

/* What is tried, in turn: a share of the typical period, in percent, or a difference. */
static const struct {
	uint32_t share;
	int32_t step;
} candidate[] = {
	{ 60, 0 }, { 0, -1 }, { 0, 1 }, { 55, 0 }, { 65, 0 }, { 0, -2 }, { 50, 0 }, { 0, 2 },
	{ 70, 0 }, { 0, -(int32_t)SHMIPC_CADENCE_MAX },
};
#define CANDIDATES	(sizeof(candidate) / sizeof(candidate[0]))

uint64_t shmipc_cadence_ticks(void)
{
#if defined(__x86_64__) || defined(__i386__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t t;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(t));
	return t;
#else
	return shmipc_now_ns();
#endif
}

static void pause_times(uint32_t n)
{
	while (n--)
		shmipc_cpu_relax();
}

/* Ticks of @PAUSES_TIMED pauses, the least of a few tries; at least 1. */
static uint64_t pause_ticks(void)
{
	static uint64_t known;
	uint64_t least = shmipc_load_relaxed(&known), began, took;
	int tries;

	for (tries = 0; !least || (tries && tries < 8); tries++) {
		began = shmipc_cadence_ticks();
		pause_times(PAUSES_TIMED);
		took = shmipc_cadence_ticks() - began;
		if (!tries || took < least)
			least = took + !took;
	}
	/* Relaxed: any thread's number will do. */
	shmipc_store_relaxed(&known, least);
	return least;
}

/* Candidate @i; the number in use if there is no such one. */
static uint32_t number(const struct shmipc_cadence *c, uint32_t i)
{
	int64_t to = (int64_t)c->pauses + candidate[i].step;

	if (candidate[i].share)
		to = (int64_t)(c->typical * candidate[i].share * PAUSES_TIMED / (100 * pause_ticks()));
	if (to < 0)
		return 0;
	return to <= SHMIPC_CADENCE_MAX ? (uint32_t)to : c->pauses;
}

static void plan(struct shmipc_cadence *c)
{
	c->turn = 0;
	c->in = c->every;
}

void shmipc_cadence_init(struct shmipc_cadence *c)
{
	memset(c, 0, sizeof(*c));
	c->every = EVERY_FIRST;
	plan(c);
}

/* To the next candidate; trials become rare if none of them is better. */
static void advance(struct shmipc_cadence *c)
{
	c->next = (c->next + 1) % CANDIDATES;
	if (!c->next && c->every < EVERY_MOST)
		c->every *= 2;
}

static void begin_trial(struct shmipc_cadence *c)
{
	uint32_t i;

	for (i = 0; i < CANDIDATES; i++) {
		c->other = number(c, c->next);
		if (c->other != c->pauses)
			break;
		advance(c);
	}
	c->turn = 1;
	c->better = c->worse = 0;
}

static void trial_over(struct shmipc_cadence *c, bool adopt)
{
	if (adopt) {
		c->pauses = c->other;
		c->every = EVERY_FIRST;
	} else {
		advance(c);
	}
	plan(c);
}

/* A median by small steps: one that was interrupted must not count for more. */
static void learn(struct shmipc_cadence *c, uint64_t ticks)
{
	uint64_t step = c->typical / 8 + 1;

	if (!c->typical)
		c->typical = ticks;
	else if (ticks > c->typical)
		c->typical += step;
	else if (ticks < c->typical)
		c->typical -= step;
}

/* A block of a trial is over. */
static void compare(struct shmipc_cadence *c, uint64_t ticks)
{
	uint32_t enough = c->other > c->pauses ? ENOUGH_MORE : ENOUGH_LESS;

	if (!shmipc_cadence_of_other(c)) {
		c->ticks = ticks;
		learn(c, ticks / (BLOCK - SETTLING));
	} else if (ticks < c->ticks) {
		c->better++;
	} else if (ticks > c->ticks) {
		c->worse++;
	}
	/* Stop as soon as it is decided: the other number may be much worse. */
	if (c->turn == 2 * PAIRS * BLOCK || c->better >= enough || c->worse > PAIRS - enough)
		trial_over(c, c->better >= enough);
	else
		c->turn++;
}

void shmipc_cadence_end(struct shmipc_cadence *c, uint64_t now)
{
	if (!c->turn) {
		if (!--c->in)
			begin_trial(c);
		return;
	}
	/* The first periods of a block still have something of the number before. */
	if (c->turn % BLOCK == SETTLING)
		c->began = now;
	if (c->turn % BLOCK == 0)
		compare(c, now - c->began);
	else
		c->turn++;
}
