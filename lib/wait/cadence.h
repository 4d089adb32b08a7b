/* SPDX-License-Identifier: MIT */
/*
 * cadence.h - how many pauses between two looks at a word that another CPU will write
 *
 * Each look takes the word's line away from the CPU that is about to write it, so looks
 * without a pause make the answer late; too many pauses notice it late. What is best
 * depends on how far the two CPUs are from each other: it is found by trying. A
 * dialogue begins with two pauses. Now and then a few waits are timed, by turns with
 * the number in use and with one more or one less; that one is taken if it is faster in
 * most of the pairs.
 */
#ifndef SHMIPC_LIB_CADENCE_H
#define SHMIPC_LIB_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SHMIPC_CADENCE_FIRST	2u
#define SHMIPC_CADENCE_MAX	8u

struct shmipc_cadence {
	uint32_t pauses;	/* in use */
	uint32_t other;		/* that is tried */
	uint32_t in;		/* waits until the next trial */
	uint32_t every;		/* waits between trials */
	uint32_t turn;		/* of the trial; 0: there is none */
	uint32_t better;	/* pairs in which the other was faster */
	uint32_t worse;
	uint64_t ticks;		/* of the pair's first wait */
};

void shmipc_cadence_init(struct shmipc_cadence *c);

/* Pauses for the wait that begins now; *@ret_timed: its time is wanted. */
static inline uint32_t shmipc_cadence_begin(const struct shmipc_cadence *c, bool *ret_timed)
{
	*ret_timed = c->turn;
	return c->turn && c->turn % 2 == 0 ? c->other : c->pauses;
}

/* It was there after @ticks, which count if the wait was timed. */
void shmipc_cadence_end(struct shmipc_cadence *c, uint64_t ticks);

/* The CPU's counter: what differs between two readings, not what it is. */
uint64_t shmipc_cadence_ticks(void);

#endif /* SHMIPC_LIB_CADENCE_H */
