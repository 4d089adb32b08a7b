// SPDX-License-Identifier: MIT
/*
 * limits.c - what the machine itself can do: nothing through memory is faster
 *
 * No ring, no record, no check but that the bytes have arrived.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shmipc/inline/atomic.h>

#include "bench.h"

#define CALLS		64	/* system calls in one sample */

/* Two words so far apart that no prefetcher takes them for neighbours. */
#define WORD_OFF(side)	((size_t)(side) * 256)
#define BLOCKS_OFF	((size_t)2 << 20)	/* where huge pages can begin */

static uint64_t *word64(const struct bench_env *env, int side)
{
	return (uint64_t *)(void *)(env->mem + WORD_OFF(side));
}

static uint32_t *word32(const struct bench_env *env, int side)
{
	return (uint32_t *)(void *)(env->mem + WORD_OFF(side));
}

/* Zero the words and meet: both sides begin. */
static void begin(struct bench_env *env)
{
	if (env->side == 0) {
		shmipc_store_relaxed(word64(env, 0), (uint64_t)0);
		shmipc_store_relaxed(word64(env, 0) + 1, (uint64_t)0);
		shmipc_store_relaxed(word64(env, 1), (uint64_t)0);
	}
	bench_begin(env);
}

static uint64_t deadline(const struct bench_env *env)
{
	return bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
}

/*
 * Round trips. How fast one is depends on the pauses between two looks at the word that
 * the other side will write: each look takes its line away from the writer. The best
 * number is not the same for CPUs near each other and far apart, so all are tried. The
 * words say which one is in turn, in their highest byte.
 */
#define PAUSES_MAX	8u
#define PAUSES_SHIFT	56

static void pause_times(uint64_t pauses)
{
	while (pauses--)
		shmipc_cpu_relax();
}

/* With this number of pauses, for this time; numbers continue from *@i. */
static size_t ping_some(struct bench_env *env, uint64_t *theirs, uint64_t pauses, double seconds,
			uint64_t *i, uint32_t *sample)
{
	uint64_t *mine = word64(env, 0), t, prev = bench_ticks();
	uint64_t end = prev + bench_ns_ticks(seconds * 1e9), v;
	size_t n = 0;

	do {
		v = pauses << PAUSES_SHIFT | ++*i;
		shmipc_store_release(mine, v);
		while (shmipc_load_acquire(theirs) != v)
			pause_times(pauses);
		t = bench_ticks();
		sample[n++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && n < BENCH_SAMPLES);
	return n;
}

static int ping(struct bench_env *env, uint64_t *theirs, uint64_t pauses_max)
{
	uint32_t *sample = bench_samples_new(env);
	struct bench_out best, out = *env->out;
	uint64_t pauses, i = 0;
	size_t n;

	if (!sample)
		return -1;
	begin(env);
	for (pauses = 0; pauses <= pauses_max; pauses++) {
		n = ping_some(env, theirs, pauses, env->seconds / (double)(pauses_max + 1), &i,
			      sample);
		bench_samples_into(&out, sample, n);
		if (!pauses || out.p50_ns < best.p50_ns)
			best = out;
	}
	shmipc_store_release(word64(env, 0), UINT64_MAX);
	*env->out = best;
	free(sample);
	return 0;
}

static int pong(struct bench_env *env, uint64_t *mine)
{
	uint64_t *theirs = word64(env, 0), was = 0, seen;

	begin(env);
	for (;;) {
		seen = shmipc_load_acquire(theirs);
		if (seen == UINT64_MAX)
			return 0;
		if (seen != was) {
			shmipc_store_release(mine, seen);
			was = seen;
		} else {
			pause_times(seen >> PAUSES_SHIFT);
		}
	}
}

/* A line each. */
static int ping_two(struct bench_env *env)
{
	return ping(env, word64(env, 1), PAUSES_MAX);
}

static int pong_two(struct bench_env *env)
{
	return pong(env, word64(env, 1));
}

/* One line goes there and back: no message that has to stay can do that. */
static int ping_one(struct bench_env *env)
{
	return ping(env, word64(env, 0) + 1, PAUSES_MAX);
}

static int pong_one(struct bench_env *env)
{
	return pong(env, word64(env, 0) + 1);
}

/*
 * The same with 64 bytes before each word, one such record after another in memory, as in
 * a ring, and with nothing else that a ring has: no positions, no checks, no end. Each way
 * takes the two lines of a record, so a ring cannot be at limit-pingpong, which takes one.
 */
#define RECORD_BYTES	((size_t)64)
#define RECORD_STRIDE	(RECORD_BYTES + 8)
#define RECORD_LAST	(15u)	/* in place of pauses: the end */

static uint64_t *record_at(const struct bench_env *env, int side, uint64_t i)
{
	size_t half = env->opts->ring_bytes / 2 & ~(size_t)63;

	return (uint64_t *)(void *)(env->mem + BLOCKS_OFF + (size_t)side * half +
				    i % (half / RECORD_STRIDE) * RECORD_STRIDE);
}

static void record_send(const struct bench_env *env, uint64_t i, uint64_t pauses)
{
	uint64_t *r = record_at(env, env->side, i), word = pauses << PAUSES_SHIFT | i;

	bench_fill(r, RECORD_BYTES, word);
	shmipc_store_release(r + RECORD_BYTES / 8, word);
}

/* Wait for record @i from the other side; @pauses: between two looks. Return: its pauses. */
static uint64_t record_receive(struct bench_env *env, uint64_t i, uint64_t pauses)
{
	uint64_t *r = record_at(env, !env->side, i), word;

	for (;;) {
		word = shmipc_load_acquire(r + RECORD_BYTES / 8);
		if ((word << (64 - PAUSES_SHIFT)) >> (64 - PAUSES_SHIFT) == i)
			break;
		pause_times(pauses);
	}
	if (bench_sum_wide(r, RECORD_BYTES) != word * (RECORD_BYTES / 8))
		bench_fail(env, "record %llu has other bytes than were written", (unsigned long long)i);
	return word >> PAUSES_SHIFT;
}

static int ping_record(struct bench_env *env)
{
	uint32_t *sample = bench_samples_new(env);
	struct bench_out best, out = *env->out;
	uint64_t pauses, i = 0, t, prev, end;
	size_t n;

	if (!sample)
		return -1;
	memset(env->mem + BLOCKS_OFF, 0, env->opts->ring_bytes);
	begin(env);
	for (pauses = 0; pauses <= PAUSES_MAX; pauses++) {
		n = 0;
		prev = bench_ticks();
		end = prev + bench_ns_ticks(env->seconds / (double)(PAUSES_MAX + 1) * 1e9);
		do {
			record_send(env, ++i, pauses);
			record_receive(env, i, pauses);
			t = bench_ticks();
			sample[n++] = (uint32_t)(t - prev);
			prev = t;
		} while (t < end && n < BENCH_SAMPLES);
		bench_samples_into(&out, sample, n);
		if (!pauses || out.p50_ns < best.p50_ns)
			best = out;
	}
	record_send(env, ++i, RECORD_LAST);
	*env->out = best;
	free(sample);
	return 0;
}

static int pong_record(struct bench_env *env)
{
	uint64_t pauses = 0, i;

	begin(env);
	for (i = 1;; i++) {
		pauses = record_receive(env, i, pauses);
		if (pauses == RECORD_LAST)
			return 0;
		record_send(env, i, pauses);
	}
}

/* To find out whether the machine is quiet any number of pauses will do: none. */
static int ping_probe(struct bench_env *env)
{
	return ping(env, word64(env, 1), 0);
}

/* Blocks go round as in a ring of the size that the rings have. */
static uint64_t blocks(const struct bench_env *env)
{
	uint64_t n = env->opts->ring_bytes / BENCH_BLOCK;

	return n < 4 ? 4 : n;
}

static unsigned char *block_at(const struct bench_env *env, uint64_t i)
{
	return env->mem + BLOCKS_OFF + i % blocks(env) * BENCH_BLOCK;
}

/* @src: where to copy from; NULL: from a register, by @fill. */
static int blocks_out(struct bench_env *env, const unsigned char *src,
		      void (*fill)(void *dst, size_t n, uint64_t value))
{
	uint64_t *head = word64(env, 0), *tail = word64(env, 1), i, end, n = blocks(env);

	begin(env);
	end = deadline(env);
	for (i = 0; i < 4 * n || bench_ticks() < end; i++) {
		while (i - shmipc_load_acquire(tail) >= n)
			shmipc_cpu_relax();
		if (src)
			memcpy(block_at(env, i), src, BENCH_BLOCK);
		else
			fill(block_at(env, i), BENCH_BLOCK, i);
		shmipc_store_release(head, i + 1);
	}
	shmipc_store_release(&env->shared->last, i);
	return 0;
}

static int stream_out(struct bench_env *env)
{
	return blocks_out(env, NULL, bench_fill);
}

static int string_out(struct bench_env *env)
{
	return blocks_out(env, NULL, bench_fill_string);
}

static int memcpy_out(struct bench_env *env)
{
	unsigned char *src = aligned_alloc(BENCH_LINE, BENCH_BLOCK);
	int ret;

	if (!src)
		return bench_fail(env, "memory for a block (ENOMEM)");
	memset(src, 1, BENCH_BLOCK);
	ret = blocks_out(env, src, NULL);
	free(src);
	return ret;
}

/* @word: what each word of block i holds, if not i. */
static int blocks_in(struct bench_env *env, uint64_t word)
{
	uint64_t *head = word64(env, 0), *tail = word64(env, 1), i, t0 = 0, t1;
	uint64_t warm = 2 * blocks(env), want;

	begin(env);
	for (i = 0;; i++) {
		if (i == warm)
			t0 = bench_ticks();
		while (shmipc_load_acquire(head) == i) {
			if (shmipc_load_acquire(&env->shared->last) == i)
				goto out;
			shmipc_cpu_relax();
		}
		want = (word ? word : i) * (BENCH_BLOCK / 8);
		if (bench_sum_wide(block_at(env, i), BENCH_BLOCK) != want)
			return bench_fail(env, "block %llu has other bytes than were written",
					  (unsigned long long)i);
		shmipc_store_release(tail, i + 1);
	}
out:
	t1 = bench_ticks();
	env->out->msgs = i - warm;
	env->out->bytes_per_s = (double)(i - warm) * BENCH_BLOCK / bench_ticks_ns(t1 - t0) * 1e9;
	return 0;
}

static int stream_in(struct bench_env *env)
{
	return blocks_in(env, 0);
}

static int memcpy_in(struct bench_env *env)
{
	return blocks_in(env, 0x0101010101010101u);
}

static void futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Sleep until @word is not @was. */
static uint32_t futex_sleep(uint32_t *word, uint32_t was)
{
	uint32_t now;

	while ((now = shmipc_load_acquire(word)) == was)
		syscall(SYS_futex, word, FUTEX_WAIT, was, NULL, NULL, 0);
	return now;
}

static int futex_ping(struct bench_env *env)
{
	uint32_t *mine = word32(env, 0), *theirs = word32(env, 1), i = 0;
	uint32_t *sample = bench_samples_new(env);
	uint64_t t, prev, end;

	if (!sample)
		return -1;
	begin(env);
	end = deadline(env);
	prev = bench_ticks();
	do {
		i++;
		shmipc_store_release(mine, i);
		futex_wake(mine);
		futex_sleep(theirs, i - 1);
		t = bench_ticks();
		sample[i - 1] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && i < BENCH_SAMPLES);
	shmipc_store_release(mine, UINT32_MAX);
	futex_wake(mine);
	bench_samples_into(env->out, sample, i);
	free(sample);
	return 0;
}

static int futex_pong(struct bench_env *env)
{
	uint32_t *mine = word32(env, 1), *theirs = word32(env, 0), i = 0;

	begin(env);
	while ((i = futex_sleep(theirs, i)) != UINT32_MAX) {
		shmipc_store_release(mine, i);
		futex_wake(mine);
	}
	return 0;
}

static int eventfd_prepare(struct bench_env *env)
{
	env->fd[0] = eventfd(0, EFD_CLOEXEC);
	env->fd[1] = eventfd(0, EFD_CLOEXEC);
	return env->fd[0] < 0 || env->fd[1] < 0 ? -errno : 0;
}

static void eventfd_finish(struct bench_env *env)
{
	close(env->fd[0]);
	close(env->fd[1]);
}

static int eventfd_give(struct bench_env *env, int fd, uint64_t v)
{
	if (write(fd, &v, sizeof(v)) != sizeof(v))
		return bench_fail(env, "write to an eventfd: %s", strerror(errno));
	return 0;
}

static int eventfd_take(struct bench_env *env, int fd, uint64_t *ret)
{
	if (read(fd, ret, sizeof(*ret)) != sizeof(*ret))
		return bench_fail(env, "read from an eventfd: %s", strerror(errno));
	return 0;
}

static int eventfd_ping(struct bench_env *env)
{
	uint32_t *sample = bench_samples_new(env);
	uint64_t t, prev, end, v;
	size_t i = 0;

	if (!sample)
		return -1;
	begin(env);
	end = deadline(env);
	prev = bench_ticks();
	do {
		if (eventfd_give(env, env->fd[0], 1) || eventfd_take(env, env->fd[1], &v))
			return -1;
		t = bench_ticks();
		sample[i++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && i < BENCH_SAMPLES);
	bench_samples_into(env->out, sample, i);
	free(sample);
	return eventfd_give(env, env->fd[0], 2);
}

static int eventfd_pong(struct bench_env *env)
{
	uint64_t v;

	begin(env);
	for (;;) {
		if (eventfd_take(env, env->fd[0], &v))
			return -1;
		if (v == 2)
			return 0;
		if (eventfd_give(env, env->fd[1], 1))
			return -1;
	}
}

/* The time of one call, from samples of CALLS of them. */
static int calls(struct bench_env *env, int wake)
{
	uint32_t *sample = bench_samples_new(env);
	uint64_t t, prev, end;
	size_t n = 0;
	int i;

	if (!sample)
		return -1;
	begin(env);
	end = deadline(env);
	prev = bench_ticks();
	do {
		for (i = 0; i < CALLS; i++) {
			if (wake)
				futex_wake(word32(env, 0));
			else
				syscall(SYS_getppid);
		}
		t = bench_ticks();
		sample[n++] = (uint32_t)(t - prev);
		prev = t;
	} while (t < end && n < BENCH_SAMPLES);
	bench_samples_into(env->out, sample, n);
	free(sample);
	env->out->min_ns /= CALLS;
	env->out->p50_ns /= CALLS;
	env->out->p99_ns /= CALLS;
	return 0;
}

static int idle_wake(struct bench_env *env)
{
	return calls(env, 1);
}

static int null_call(struct bench_env *env)
{
	return calls(env, 0);
}

static int only_meet(struct bench_env *env)
{
	begin(env);
	return 0;
}

const struct bench_step bench_probe = {
	.side = { ping_probe, pong_two }, .seconds = 0.003,	/* judged by its median alone */
};
const struct bench_step bench_limit_pingpong = {
	.side = { ping_two, pong_two }, .seconds = 0.09, .spins = 1,
};
const struct bench_step bench_limit_stream = {
	.side = { stream_out, stream_in }, .seconds = 0.1, .result = 1, .spins = 1,
};
const struct bench_step bench_limit_string = {
	.side = { string_out, stream_in }, .seconds = 0.1, .result = 1, .spins = 1,
};
const struct bench_step bench_limit_futex = {
	.side = { futex_ping, futex_pong }, .seconds = 0.2,
};

struct bench_case bench_limits[] = {
	{ .name = "limit-pingpong", .step = { .side = { ping_two, pong_two }, .spins = 1 } },
	{ .name = "limit-one-line", .step = { .side = { ping_one, pong_one }, .spins = 1 } },
	{ .name = "limit-record", .step = { .side = { ping_record, pong_record }, .spins = 1 } },
	{ .name = "limit-stream",
	  .step = { .side = { stream_out, stream_in }, .result = 1, .spins = 1 } },
	{ .name = "limit-string",
	  .step = { .side = { string_out, stream_in }, .result = 1, .spins = 1 } },
	{ .name = "limit-memcpy",
	  .step = { .side = { memcpy_out, memcpy_in }, .result = 1, .spins = 1 } },
	{ .name = "limit-futex", .step = { .side = { futex_ping, futex_pong } },
	  .wait = BENCH_SLEEP },
	{ .name = "limit-eventfd", .step = { .side = { eventfd_ping, eventfd_pong } },
	  .prepare = eventfd_prepare, .finish = eventfd_finish, .wait = BENCH_SLEEP },
	{ .name = "limit-wake-idle", .step = { .side = { idle_wake, only_meet } },
	  .wait = BENCH_SLEEP },
	{ .name = "limit-syscall", .step = { .side = { null_call, only_meet } },
	  .wait = BENCH_SLEEP },
};
const unsigned int bench_limits_count = sizeof(bench_limits) / sizeof(bench_limits[0]);
