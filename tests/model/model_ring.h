/* SPDX-License-Identifier: MIT */
/*
 * model_ring.h - a small ring for the model tests, and messages that show which message
 * each word belongs to
 */
#ifndef MODEL_RING_H
#define MODEL_RING_H

#include <shmipc/bcast.h>
#include <shmipc/spsc.h>
#include "model.h"

#define RING_MESSAGES	24	/* the most in one test */
#define RING_WORDS	256	/* of one message */

static union {
	unsigned char bytes[8 * SHMIPC_CTL_PAGE];
	uint64_t align[8];
} __attribute__((aligned(4096))) ring_mem;
static struct shmipc_ring ring;
static uint64_t ring_message[RING_MESSAGES][RING_WORDS];

/* Word @w of message @seq: never 0, never like a record's header. */
static inline uint64_t ring_word(uint64_t seq, uint64_t w)
{
	return 0xa5ULL << 56 | (seq + 1) << 16 | w;
}

/* An empty ring of 4 KiB; all that threads access is in regions. */
static inline void ring_make(uint32_t kind, uint32_t align)
{
	struct shmipc_ring_opts o = { .kind = kind, .align = align };
	unsigned i, w;

	memset(&ring_mem, 0, sizeof(ring_mem));
	if (shmipc_ring_init(&ring_mem, sizeof(ring_mem), &o) ||
	    shmipc_ring_check(&ring_mem, sizeof(ring_mem), &ring))
		model_fail("the ring cannot be created");
	model_region(ring.prod, sizeof(*ring.prod), "prod", 0);
	if (ring.cons)
		model_region(ring.cons, sizeof(*ring.cons), "cons", 0);
	if (ring.waiters)
		model_region(ring.waiters, sizeof(*ring.waiters), "waiters", 0);
	model_region(ring.data, ring.size, "data", 1);
	for (i = 0; i < RING_MESSAGES; i++)
		for (w = 0; w < RING_WORDS; w++)
			ring_message[i][w] = ring_word(i, w);
}

/* Check that the words of the last copy are those of message @seq. */
static inline void ring_check_words(const void *buf, uint64_t seq)
{
	const uint64_t *words = buf;
	const uint32_t *at;
	int i, n;

	at = model_copied(&n);
	for (i = 0; i < n; i++)
		model_check(words[at[i]] == ring_word(seq, at[i]),
			    "message %llu: word %u is 0x%llx: torn, or of another message",
			    (unsigned long long)seq, at[i], (unsigned long long)words[at[i]]);
}

#endif /* MODEL_RING_H */
