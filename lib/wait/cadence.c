// SPDX-License-Identifier: MIT
/* cadence.c - finding the number of pauses between two reads, see cadence.h */
#include <string.h>

#include "base/base.h"
#include "wait/cadence.h"

#define PAIRS		32u	/* of waits in a trial */
#define ENOUGH		22u	/* of them; by chance 3 times in 100 */
#define EVERY_FIRST	64u	/* waits between trials while they succeed ... */
#define EVERY_MOST	8192u	/* ... and while they do not */

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

void shmipc_cadence_init(struct shmipc_cadence *c)
{
	memset(c, 0, sizeof(*c));
	c->pauses = SHMIPC_CADENCE_FIRST;
	c->other = c->pauses + 1;
	c->in = c->every = EVERY_FIRST;
}

/* Try next on the other side of the number in use. */
static void turn_round(struct shmipc_cadence *c, bool up)
{
	if (c->pauses == SHMIPC_CADENCE_MIN)
		up = true;
	else if (c->pauses == SHMIPC_CADENCE_MAX)
		up = false;
	c->other = up ? c->pauses + 1 : c->pauses - 1;
}

static void trial_over(struct shmipc_cadence *c)
{
	bool up = c->other > c->pauses;

	c->turn = 0;
	if (c->better >= ENOUGH) {
		c->pauses = c->other;
		c->every = EVERY_FIRST;
		turn_round(c, up);	/* and on in that direction */
	} else {
		if (c->every < EVERY_MOST)
			c->every *= 2;
		turn_round(c, !up);
	}
	c->in = c->every;
}

void shmipc_cadence_end(struct shmipc_cadence *c, uint64_t ticks)
{
	if (!c->turn) {
		if (--c->in)
			return;
		c->turn = 1;
		c->better = c->worse = 0;
		return;
	}
	if (c->turn % 2) {
		c->ticks = ticks;
	} else if (ticks < c->ticks) {
		c->better++;
	} else if (ticks > c->ticks) {
		c->worse++;
	}
	/* Stop as soon as it is decided: the other number may be much worse. */
	if (c->turn++ == 2 * PAIRS || c->better >= ENOUGH || c->worse >= ENOUGH)
		trial_over(c);
}
