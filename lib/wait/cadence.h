/* SPDX-License-Identifier: MIT */
/*
 * cadence.h - when to look at a word that another CPU will write
 *
 * Each look takes the word's line away from the CPU that is about to write it, and it is
 * worst just before the write: then the line travels there and back in between. In a round
 * trip the answer takes about the same time again and again. So after its first look, which
 * found nothing, a waiter pauses until the answer can be there, and only then looks again
 * and again, with SHMIPC_CADENCE_AGAIN pauses between two looks. (Two bare loops that send
 * each other records of 64 bytes: near CPUs 140 ns instead of 200, far ones 560 instead of
 * 770.)
 *
 * How many pauses that takes depends on how far apart the two CPUs are and on what the
 * other side does before it answers, so it is found by trials. Now and then the periods from
 * the end of one wait to the end of the next are timed, in blocks of waits, alternating
 * between the number in use and another one, which is adopted if it is faster in most of the
 * pairs. Half to two thirds of the typical period are tried (the rest is the way of the
 * line itself), and the neighbours of the number in use, and no pause at all. Where that
 * share is more than SHMIPC_CADENCE_MAX pauses there is nothing to gain by them.
 *
 * The period counts, not the wait: what a look spoils is partly paid after the wait, when
 * the rest of the message is read.
 */
#ifndef SHMIPC_LIB_CADENCE_H
#define SHMIPC_LIB_CADENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SHMIPC_CADENCE_MAX	64u
#define SHMIPC_CADENCE_AGAIN	1u	/* between later looks */

struct shmipc_cadence {
	uint32_t pauses;	/* before the second look, in use */
	uint32_t other;		/* on trial */
	uint32_t next;		/* which candidate is the next one */
	uint32_t in;		/* waits until the next trial */
	uint32_t every;		/* waits between trials */
	uint32_t turn;		/* step of the trial; 0: no trial */
	uint32_t better;	/* pairs in which the other was faster */
	uint32_t worse;
	uint64_t began;		/* the block */
	uint64_t ticks;		/* of the pair's first block */
	uint64_t typical;	/* ticks of a period with the number in use: about the median */
};

void shmipc_cadence_init(struct shmipc_cadence *c);

#define SHMIPC_CADENCE_BLOCK	16u	/* waits in a row with the same number */

/* Is the wait that begins now, or ends, one with the number on trial? */
static inline bool shmipc_cadence_of_other(const struct shmipc_cadence *c)
{
	return c->turn && (c->turn - 1) / SHMIPC_CADENCE_BLOCK % 2;
}

/* Pauses for the wait that begins now. */
static inline uint32_t shmipc_cadence_begin(const struct shmipc_cadence *c)
{
	return shmipc_cadence_of_other(c) ? c->other : c->pauses;
}

/* The wait ended at @now, which counts during a trial only. */
void shmipc_cadence_end(struct shmipc_cadence *c, uint64_t now);

/* The CPU's counter; only differences are meaningful. */
uint64_t shmipc_cadence_ticks(void);

#endif /* SHMIPC_LIB_CADENCE_H */
