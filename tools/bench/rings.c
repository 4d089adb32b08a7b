// SPDX-License-Identifier: MIT
/*
 * rings.c - throughput and round trips through channels, as users see them
 *
 * The segments are sealed memfds that the parent creates before it forks; each side opens
 * them from the descriptor and takes its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#include "bench.h"
#include "source.h"

#define SAMPLES		((size_t)1 << 20)
#define WARM		200u	/* round trips before the clock runs */
#define CHUNK_BYTES	((size_t)256 << 10)	/* between two reads of the clock */

static struct shmipc_segment *made[2];	/* the parent's */

static void rings_finish(struct bench_env *env)
{
	int i;

	for (i = 0; i < 2; i++) {
		if (env->fd[i] >= 0)
			close(env->fd[i]);
		shmipc_segment_close(made[i]);
		made[i] = NULL;
	}
}

static int rings_make(struct bench_env *env, struct bench_case *c, uint32_t kind, int count)
{
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o),
		.kind = kind,
		.bytes = env->opts->ring_bytes,
		.align = env->opts->align,
		.page = env->opts->page,
	};
	int i, ret;

	for (i = 0; i < count; i++) {
		ret = shmipc_segment_anon(&made[i], &o);
		if (!ret)
			ret = shmipc_segment_get_info(made[i], &info);
		if (ret) {
			fprintf(stderr, "shmipc: bench: create a ring of %llu bytes: %s (%s)\n",
				(unsigned long long)o.bytes, shmipc_error_text(),
				shmipc_error_name(ret));
			rings_finish(env);
			return -1;
		}
		env->fd[i] = fcntl(shmipc_segment_fd(made[i]), F_DUPFD_CLOEXEC, 0);
	}
	c->page_got = info.page_got;
	c->backend = info.backend;
	return 0;
}

static int spsc_prepare(struct bench_env *env)
{
	return rings_make(env, &bench_spsc, SHMIPC_KIND_SPSC, 1);
}

static int bcast_prepare(struct bench_env *env)
{
	return rings_make(env, &bench_bcast, SHMIPC_KIND_BCAST, 1);
}

static int rtt_spin_prepare(struct bench_env *env)
{
	return rings_make(env, &bench_rtt_spin, SHMIPC_KIND_SPSC, 2);
}

static int rtt_sleep_prepare(struct bench_env *env)
{
	return rings_make(env, &bench_rtt_sleep, SHMIPC_KIND_SPSC, 2);
}

/* An end of ring @i; NULL after bench_fail(). */
static struct shmipc_channel *take(struct bench_env *env, int i, enum shmipc_role role,
				   enum bench_wait wait)
{
	struct shmipc_channel_opts o = {
		.struct_bytes = sizeof(o),
		.spin_ns = wait == BENCH_SPIN ? SHMIPC_SPIN_ALWAYS : SHMIPC_SPIN_NEVER,
	};
	struct shmipc_segment *seg;
	struct shmipc_channel *ch = NULL;
	int ret = shmipc_segment_from_fd(&seg, env->fd[i], NULL);

	if (!ret) {
		ret = shmipc_channel_attach(&ch, seg, role, &o);
		shmipc_segment_close(seg);
	}
	if (ret)
		bench_fail(env, "take an end of a ring: %s (%s)", shmipc_error_text(),
			   shmipc_error_name(ret));
	return ret ? NULL : ch;
}

static int fail_at(struct bench_env *env, const char *what, uint64_t seq, int ret)
{
	return bench_fail(env, "%s message %llu: %s", what, (unsigned long long)seq,
			  shmipc_error_name(ret));
}

static int fail_bytes(struct bench_env *env, uint64_t seq)
{
	return bench_fail(env, "message %llu differs from the one sent (EPROTO)",
			  (unsigned long long)seq);
}

static int source_for(struct bench_env *env, struct bench_source *src)
{
	if (!bench_source_init(src, env->size))
		return 0;
	return bench_fail(env, "memory for messages of %zu bytes (ENOMEM)", env->size);
}

/* After two laps of the ring its pages are mapped and its lines are in some cache. */
static uint64_t warm_messages(const struct bench_env *env)
{
	return 2 * env->opts->ring_bytes / (env->size + SHMIPC_REC_HDR) + 64;
}

/* The next @n messages, each published by itself, as most users send. */
static int send_each(struct shmipc_channel *ch, const struct bench_source *src, uint64_t *seq,
		     uint64_t n)
{
	uint64_t i = *seq, end = i + n;
	int ret = 0;

	for (; i < end; i++) {
		ret = shmipc_channel_send(ch, bench_source_at(src, i), src->size, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret))
			break;
		bench_source_restamp(src, i);
	}
	*seq = i;
	return ret;
}

/* The next @n messages in batches. */
static int send_batches(struct shmipc_channel *ch, const struct bench_source *src, uint64_t *seq,
			uint64_t n, unsigned int batch)
{
	uint64_t i = *seq, end = i + n;
	unsigned int in_batch;
	int ret = 0;

	while (i < end && !ret) {
		for (in_batch = 0; in_batch < batch; in_batch++, i++) {
			ret = shmipc_channel_write(ch, bench_source_at(src, i), src->size,
						   SHMIPC_FOREVER);
			if (shmipc_unlikely(ret))
				break;
			bench_source_restamp(src, i);
		}
		shmipc_channel_publish(ch);
	}
	*seq = i;
	return ret;
}

/*
 * Send until the time is over. The number of the last message is announced before it is
 * sent, so the consumer knows it in time.
 */
static int send_timed(struct bench_env *env, struct shmipc_channel *ch,
		      const struct bench_source *src)
{
	const unsigned int batch = env->opts->publish;
	uint64_t chunk = CHUNK_BYTES / src->size / batch * batch;
	uint64_t seq = 0, end, least = 2 * warm_messages(env);
	int ret, stop;

	if (chunk < batch)
		chunk = batch;
	end = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	do {
		stop = seq >= least && bench_ticks() >= end;
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + chunk);
		ret = batch == 1 ? send_each(ch, src, &seq, chunk) :
				   send_batches(ch, src, &seq, chunk, batch);
		if (ret)
			return fail_at(env, "send", seq, ret);
	} while (!stop);
	env->out->msgs = seq;
	return 0;
}

static int producer(struct bench_env *env, enum bench_wait wait)
{
	struct shmipc_channel *ch = take(env, 0, SHMIPC_ROLE_PRODUCER, wait);
	struct bench_source src;
	int ret;

	if (!ch || source_for(env, &src))
		return -1;
	bench_begin(env);
	ret = send_timed(env, ch, &src);
	bench_meet(env);	/* the consumer has received all */
	shmipc_channel_close(ch);
	bench_source_free(&src);
	return ret;
}

/* Time and count from the first message after the warm-up to the last. */
struct span {
	uint64_t t0;
	uint64_t seq0;
	uint64_t lost0;
};

static void span_end(struct bench_env *env, const struct span *s, uint64_t seq, uint64_t lost)
{
	double seconds = bench_ticks_ns(bench_ticks() - s->t0) / 1e9;
	struct bench_out *out = env->out;

	out->lost = lost - s->lost0;
	out->msgs = seq - s->seq0 - out->lost;
	out->msgs_per_s = (double)out->msgs / seconds;
	out->bytes_per_s = out->msgs_per_s * (double)env->size;
}

static int receive_spsc(struct bench_env *env, struct shmipc_channel *ch,
			const struct bench_source *src)
{
	uint64_t seq, sum, warm = warm_messages(env);
	struct span span = { 0, 0, 0 };
	const void *ptr;
	size_t len;
	int ret;

	for (seq = 0; seq != shmipc_load_relaxed(&env->shared->last); seq++) {
		ret = shmipc_channel_peek(ch, &ptr, &len, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret))
			return fail_at(env, "receive", seq, ret);
		if (shmipc_unlikely(seq == warm)) {
			span.t0 = bench_ticks();
			span.seq0 = seq;
		}
		sum = bench_sum(ptr, len);
		shmipc_channel_release(ch);
		if (shmipc_unlikely(len != src->size || sum != bench_source_want(src, seq)))
			return fail_bytes(env, seq);
	}
	span_end(env, &span, seq, 0);
	return 0;
}

/* The loss that the ring reports must be exact: the next message shows its number. */
static int receive_bcast(struct bench_env *env, struct shmipc_channel *ch,
			 const struct bench_source *src)
{
	uint64_t seq = 0, lost = 0, sum, warm = warm_messages(env);
	struct span span = { 0, 0, 0 };
	const void *ptr;
	size_t len;
	int ret;

	while (seq != shmipc_load_relaxed(&env->shared->last)) {
		ret = shmipc_channel_peek(ch, &ptr, &len, SHMIPC_FOREVER);
		if (shmipc_likely(!ret)) {
			if (shmipc_unlikely(!span.t0 && seq >= warm)) {
				span.t0 = bench_ticks();
				span.seq0 = seq;
				span.lost0 = lost;
			}
			sum = len <= src->size ? bench_sum(ptr, len) : 0;
			ret = shmipc_channel_release(ch);
			if (shmipc_likely(!ret)) {
				if (len != src->size || sum != bench_source_want(src, seq))
					return fail_bytes(env, seq);
				seq++;
				continue;
			}
		}
		if (ret != -ESTALE)
			return fail_at(env, "receive", seq, ret);
		lost += shmipc_channel_lost(ch);
		seq += shmipc_channel_lost(ch);
	}
	span_end(env, &span, seq, lost);
	return 0;
}

static int consumer(struct bench_env *env, enum shmipc_role role, enum bench_wait wait)
{
	struct shmipc_channel *ch = take(env, 0, role, wait);
	struct bench_source src;
	int ret;

	if (!ch || source_for(env, &src))
		return -1;
	bench_begin(env);
	ret = role == SHMIPC_ROLE_CONSUMER ? receive_spsc(env, ch, &src) :
					     receive_bcast(env, ch, &src);
	if (ret)
		return ret;
	bench_meet(env);
	shmipc_channel_close(ch);
	bench_source_free(&src);
	return 0;
}

static int spsc_out(struct bench_env *env)
{
	return producer(env, env->opts->wait);
}

static int spsc_in(struct bench_env *env)
{
	return consumer(env, SHMIPC_ROLE_CONSUMER, env->opts->wait);
}

static int bcast_in(struct bench_env *env)
{
	return consumer(env, SHMIPC_ROLE_READER, env->opts->wait);
}

/* One message there, the same bytes back. */
static int round_trip(struct bench_env *env, struct shmipc_channel *tx,
		      struct shmipc_channel *rx, const struct bench_source *src, uint64_t seq)
{
	const void *ptr;
	uint64_t sum;
	size_t len;
	int ret = shmipc_channel_send(tx, bench_source_at(src, seq), src->size, SHMIPC_FOREVER);

	if (shmipc_unlikely(ret))
		return fail_at(env, "send", seq, ret);
	ret = shmipc_channel_peek(rx, &ptr, &len, SHMIPC_FOREVER);
	if (shmipc_unlikely(ret))
		return fail_at(env, "receive", seq, ret);
	sum = bench_sum(ptr, len);
	shmipc_channel_release(rx);
	bench_source_restamp(src, seq);
	if (shmipc_unlikely(len != src->size || sum != bench_source_want(src, seq)))
		return fail_bytes(env, seq);
	return 0;
}

static int ask_timed(struct bench_env *env, struct shmipc_channel *tx, struct shmipc_channel *rx,
		     const struct bench_source *src, uint32_t *sample)
{
	uint64_t seq, t, prev, end = UINT64_MAX;
	int stop = 0;

	prev = bench_ticks();
	for (seq = 0; !stop; seq++) {
		if (seq == WARM)
			end = prev + bench_ns_ticks(env->seconds * 1e9);
		stop = seq > WARM && (prev >= end || seq - WARM == SAMPLES);
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + 1);
		if (round_trip(env, tx, rx, src, seq))
			return -1;
		t = bench_ticks();
		if (seq >= WARM && !stop)
			sample[seq - WARM] = (uint32_t)(t - prev);
		prev = t;
	}
	bench_samples_into(env->out, sample, seq - 1 - WARM);
	return 0;
}

static int ask(struct bench_env *env, enum bench_wait wait)
{
	struct shmipc_channel *tx = take(env, 0, SHMIPC_ROLE_PRODUCER, wait);
	struct shmipc_channel *rx = tx ? take(env, 1, SHMIPC_ROLE_CONSUMER, wait) : NULL;
	uint32_t *sample = malloc(SAMPLES * sizeof(*sample));
	struct bench_source src;
	int ret;

	if (!rx || source_for(env, &src))
		return -1;
	if (!sample)
		return bench_fail(env, "memory for samples (ENOMEM)");
	memset(sample, 0xff, SAMPLES * sizeof(*sample));
	bench_begin(env);
	ret = ask_timed(env, tx, rx, &src, sample);
	if (ret)
		return ret;
	bench_meet(env);
	shmipc_channel_close(tx);
	shmipc_channel_close(rx);
	bench_source_free(&src);
	free(sample);
	return 0;
}

static int answer(struct bench_env *env, enum bench_wait wait)
{
	struct shmipc_channel *rx = take(env, 0, SHMIPC_ROLE_CONSUMER, wait);
	struct shmipc_channel *tx = rx ? take(env, 1, SHMIPC_ROLE_PRODUCER, wait) : NULL;
	const void *ptr;
	uint64_t seq;
	size_t len;
	int ret;

	if (!tx)
		return -1;
	bench_begin(env);
	for (seq = 0; seq != shmipc_load_relaxed(&env->shared->last); seq++) {
		ret = shmipc_channel_peek(rx, &ptr, &len, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret))
			return fail_at(env, "receive", seq, ret);
		ret = shmipc_channel_send(tx, ptr, len, SHMIPC_FOREVER);
		if (shmipc_unlikely(ret))
			return fail_at(env, "answer", seq, ret);
		shmipc_channel_release(rx);
	}
	bench_meet(env);
	shmipc_channel_close(rx);
	shmipc_channel_close(tx);
	return 0;
}

static int ask_spin(struct bench_env *env)
{
	return ask(env, BENCH_SPIN);
}

static int answer_spin(struct bench_env *env)
{
	return answer(env, BENCH_SPIN);
}

static int ask_sleep(struct bench_env *env)
{
	return ask(env, BENCH_SLEEP);
}

static int answer_sleep(struct bench_env *env)
{
	return answer(env, BENCH_SLEEP);
}

struct bench_case bench_spsc = {
	.name = "spsc",
	.table = BENCH_TABLE_RATE,
	.step = { .side = { spsc_out, spsc_in }, .result = 1, .spins = 1 },
	.ratio = BENCH_BY_RATE,
	.prepare = spsc_prepare,
	.finish = rings_finish,
	.is_ring = 1,
};

struct bench_case bench_bcast = {
	.name = "bcast",
	.step = { .side = { spsc_out, bcast_in }, .result = 1, .spins = 1 },
	.ratio = BENCH_BY_RATE,
	.prepare = bcast_prepare,
	.finish = rings_finish,
	.is_ring = 1,
	.table = BENCH_TABLE_LOSSY,
};

struct bench_case bench_rtt_spin = {
	.name = "rtt",
	.table = BENCH_TABLE_RTT,
	.step = { .side = { ask_spin, answer_spin }, .spins = 1 },
	.ratio = BENCH_BY_P50,
	.prepare = rtt_spin_prepare,
	.finish = rings_finish,
	.is_ring = 1,
	.wait = BENCH_SPIN,
};

struct bench_case bench_rtt_sleep = {
	.name = "rtt",
	.table = BENCH_TABLE_RTT,
	.step = { .side = { ask_sleep, answer_sleep } },
	.ratio = BENCH_BY_P50,
	.prepare = rtt_sleep_prepare,
	.finish = rings_finish,
	.is_ring = 1,
	.wait = BENCH_SLEEP,
};
