/* SPDX-License-Identifier: MIT */
/*
 * cadence.h - number of pauses between two reads of a word that another CPU will write
 *
 * Each read takes the word's line away from the CPU that is about to write it, so reading
 * without a pause delays the answer; too many pauses notice it late. The best number
 * depends on how far apart the two CPUs are, so it is found by trials. It starts at two
 * and is never less: with none or one the two CPUs now and then take the line from each
 * other for several times as long, which a comparison of most of the waits does not see
 * (shmipc bench topic-rtt: p99 about 830 ns instead of 360, near CPUs).
 * Now and then a few waits are timed, alternating between the number in use and one more
 * or one less; the other number is adopted if it is faster in most of the pairs.
 */
#ifndef SHMIPC_LIB_CADENCE_H
#define SHMIPC_LIB_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SHMIPC_CADENCE_MIN	2u
#define SHMIPC_CADENCE_FIRST	2u
#define SHMIPC_CADENCE_MAX	8u

struct shmipc_cadence {
	uint32_t pauses;	/* in use */
	uint32_t other;		/* on trial */
	uint32_t in;		/* waits until the next trial */
	uint32_t every;		/* waits between trials */
	uint32_t turn;		/* step of the trial; 0: no trial */
	uint32_t better;	/* pairs in which the other was faster */
	uint32_t worse;
	uint64_t ticks;		/* of the pair's first wait */
};

void shmipc_cadence_init(struct shmipc_cadence *c);

/* Pauses for the wait that begins now; *@ret_timed: it is to be timed. */
static inline uint32_t shmipc_cadence_begin(const struct shmipc_cadence *c, bool *ret_timed)
{
	*ret_timed = c->turn;
	return c->turn && c->turn % 2 == 0 ? c->other : c->pauses;
}

/* The wait ended after @ticks, which count if it was timed. */
void shmipc_cadence_end(struct shmipc_cadence *c, uint64_t ticks);

/* The CPU's counter; only differences are meaningful. */
uint64_t shmipc_cadence_ticks(void);

#endif /* SHMIPC_LIB_CADENCE_H */
