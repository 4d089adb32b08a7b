/* SPDX-License-Identifier: MIT */
/*
 * rng.h - seeded random numbers and messages that can be checked
 *
 * The same seed gives the same workload on every machine. SHMIPC_SEED in the
 * environment sets it; otherwise it comes from the clock, and is printed.
 */
#ifndef TEST_RNG_H
#define TEST_RNG_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct rng {
	uint64_t state;
};

static inline uint64_t rng_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline uint64_t rng_next(struct rng *r)
{
	r->state += 0x9e3779b97f4a7c15ULL;
	return rng_mix(r->state);
}

/* 0 .. @n - 1 */
static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

static inline int rng_chance(struct rng *r, uint64_t one_in)
{
	return rng_below(r, one_in) == 0;
}

/* Mostly short, sometimes long, now and then the longest: 0 .. @max. */
static inline size_t rng_len(struct rng *r, size_t max)
{
	switch (rng_below(r, 16)) {
	case 0:
		return max;
	case 1:
		return 0;
	case 2:
	case 3:
		return (size_t)rng_below(r, max + 1);
	default:
		return (size_t)rng_below(r, max < 256 ? max + 1 : 257);
	}
}

/* SHMIPC_SEED, or one from the clock. */
static inline uint64_t rng_env_seed(void)
{
	const char *s = getenv("SHMIPC_SEED");
	struct timespec ts;

	if (s && *s)
		return strtoull(s, NULL, 0);
	clock_gettime(CLOCK_REALTIME, &ts);
	return rng_mix((uint64_t)ts.tv_nsec ^ (uint64_t)ts.tv_sec << 20 ^ (uint64_t)getpid());
}

/* @n loops at full speed; fewer under an emulator or a sanitizer, or for a quick run. */
static inline uint64_t rng_few(uint64_t n)
{
	if (getenv("SHMIPC_TEST_QEMU") || getenv("SHMIPC_TEST_QUICK"))
		return n / 20;
	return getenv("SHMIPC_TEST_SANITIZER") ? n / 5 : n;
}

/* Message number @seq of the workload @seed: its bytes, from its length. */
static inline void msg_fill(void *buf, size_t len, uint64_t seed, uint64_t seq)
{
	unsigned char *p = (unsigned char *)buf;
	struct rng r = { .state = rng_mix(seed ^ 0x5bd1e995) ^ rng_mix(seq) ^ len };
	uint64_t v;

	for (; len >= 8; len -= 8, p += 8) {
		v = rng_next(&r);
		memcpy(p, &v, 8);
	}
	v = rng_next(&r);
	memcpy(p, &v, len);
}

/* Does it have these bytes? */
static inline int msg_ok(const void *buf, size_t len, uint64_t seed, uint64_t seq)
{
	const unsigned char *p = (const unsigned char *)buf;
	struct rng r = { .state = rng_mix(seed ^ 0x5bd1e995) ^ rng_mix(seq) ^ len };
	uint64_t v;

	for (; len >= 8; len -= 8, p += 8) {
		v = rng_next(&r);
		if (memcmp(p, &v, 8))
			return 0;
	}
	v = rng_next(&r);
	return !memcmp(p, &v, len);
}

#endif /* TEST_RNG_H */
