/* SPDX-License-Identifier: MIT */
/*
 * source.h - messages whose every byte can be checked, at the cost of a sum
 *
 * The producer copies messages from a few private slots that stay in its cache. Each slot
 * has different bytes, and its first 8 are the sequence number. A slot is stamped for its
 * next use directly after it was sent, so that the copy never waits for the stamp. The
 * consumer knows the sum of the words of each slot.
 */
#ifndef SHMIPC_BENCH_SOURCE_H
#define SHMIPC_BENCH_SOURCE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define BENCH_SLOTS_MAX		16u
#define BENCH_SOURCE_BYTES	((size_t)16 << 10)	/* about a third of an L1 cache */

struct bench_source {
	unsigned char *base;
	size_t stride;
	size_t size;
	uint64_t mask;
	uint64_t sum[BENCH_SLOTS_MAX];	/* of all but the stamp */
};

static inline unsigned char *bench_source_at(const struct bench_source *s, uint64_t seq)
{
	return s->base + (seq & s->mask) * s->stride;
}

static inline void bench_source_put(const struct bench_source *s, uint64_t seq)
{
	if (s->size >= sizeof(seq))
		memcpy(bench_source_at(s, seq), &seq, sizeof(seq));
	else
		memcpy(bench_source_at(s, seq), &seq, s->size);
}

/* The slot of @seq was sent: prepare it for its next message. */
static inline void bench_source_restamp(const struct bench_source *s, uint64_t seq)
{
	bench_source_put(s, seq + s->mask + 1);
}

/* The expected sum of the words of message @seq. */
static inline uint64_t bench_source_want(const struct bench_source *s, uint64_t seq)
{
	if (s->size >= sizeof(seq))
		return s->sum[seq & s->mask] + seq;
	return seq & ((UINT64_C(1) << 8 * s->size) - 1);
}

/* Short messages are summed inline, long ones with the widest loads. */
static inline uint64_t bench_sum(const void *src, size_t n)
{
	typedef uint64_t vec16 __attribute__((vector_size(16), aligned(1), may_alias));
	const unsigned char *p = (const unsigned char *)src;
	vec16 a = { 0, 0 }, b = { 0, 0 };
	uint64_t sum = 0, word;

	if (n > 256)
		return bench_sum_wide(src, n);
	for (; n >= 32; p += 32, n -= 32) {
		a += *(const vec16 *)(const void *)p;
		b += *(const vec16 *)(const void *)(p + 16);
	}
	a += b;
	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&word, p, 8);
		sum += word;
	}
	if (n) {
		word = 0;
		memcpy(&word, p, n);
		sum += word;
	}
	return sum + a[0] + a[1];
}

/* Return: 0, or -1 if there is no memory. */
static inline int bench_source_init(struct bench_source *s, size_t size)
{
	uint64_t seq, word = 0x9e3779b97f4a7c15u;
	unsigned char *slot;
	size_t i;

	s->size = size;
	s->stride = (size + BENCH_LINE - 1) / BENCH_LINE * BENCH_LINE;
	s->mask = BENCH_SLOTS_MAX - 1;
	while (s->mask > 1 && (s->mask + 1) * s->stride > BENCH_SOURCE_BYTES)
		s->mask >>= 1;
	s->base = (unsigned char *)aligned_alloc(BENCH_LINE, (s->mask + 1) * s->stride);
	if (!s->base)
		return -1;
	for (seq = 0; seq <= s->mask; seq++) {
		slot = bench_source_at(s, seq);
		for (i = 0; i < size; i++) {
			word = word * 6364136223846793005u + 1442695040888963407u;
			slot[i] = (unsigned char)(word >> 56);
		}
		memset(slot, 0, size < 8 ? size : 8);
		s->sum[seq] = bench_sum(slot, size);
		bench_source_put(s, seq);
	}
	return 0;
}

static inline void bench_source_free(struct bench_source *s)
{
	free(s->base);
}

#endif /* SHMIPC_BENCH_SOURCE_H */
