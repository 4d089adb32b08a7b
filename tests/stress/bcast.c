// SPDX-License-Identifier: MIT
/*
 * bcast: one producer that never waits, readers of different speed, and SIGKILL
 *
 * The messages that a reader received and those that it was told it lost add up, for its
 * share, to exactly what was published while it was there. The producer is killed and
 * replaced, and so are readers; this does not disturb the others.
 */
#include <stdlib.h>
#include "stress.h"

#define READERS	5

enum { SIZE, ALIGN, SLOW };	/* sh->word[] */
enum { GOT, LOST, ROUNDS, PUBLISHED };	/* sh->total[] */

static struct shmipc_segment *threads_seg;

static const struct { uint64_t stride, at; } share[READERS] = {
	{ 1, 0 }, { 1, 0 }, { 3, 0 }, { 3, 1 }, { 3, 2 }
};

static int open_end(struct shmipc_channel **ch, enum shmipc_role role,
		    struct shmipc_channel_opts *co)
{
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = SHMIPC_KIND_BCAST,
		.flags = SHMIPC_CREATE | SHMIPC_PERSIST, .bytes = word_get(SIZE),
		.align = (uint32_t)word_get(ALIGN), .peers = 16,
	};
	int ret;

	co->struct_bytes = sizeof(*co);
	ret = threads_seg ? shmipc_channel_attach(ch, threads_seg, role, co) :
			    shmipc_channel_open(ch, "bcast", role, &o, co);
	if (ret)
		WRONG("open as role %d: %d", role, ret);
	return ret;
}

/*
 * Written in place, where readers may be reading: the algorithm detects that afterwards,
 * and ThreadSanitizer needs an annotation.
 */
static void fill(void *p, size_t len, uint64_t seq)
{
#ifdef SHMIPC_TSAN
	unsigned char *own = malloc(len + 1);

	if (!own)
		abort();
	msg_fill(own, len, stress_seed, seq);
	shmipc_racy_write(p, own, len);
	free(own);
#else
	msg_fill(p, len, stress_seed, seq);
#endif
}

static int producer(struct other *me, void *arg)
{
	struct rng r = { stress_seed ^ rng_mix((uintptr_t)arg + 100) };
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_channel_opts co = { .spin_ns = 0 };
	size_t max = shmipc_ring_max_payload(SHMIPC_KIND_BCAST, word_get(SIZE)), len;
	struct shmipc_channel *ch;
	uint64_t seq, n;
	void *p = NULL;
	int ret;

	(void)me;
	if (open_end(&ch, SHMIPC_ROLE_PRODUCER, &co))
		return 1;
	if (shmipc_channel_get_stat(ch, &st))
		WRONG("no stat");
	seq = st.seq;
	while (!stopping()) {
		for (n = 1 + rng_below(&r, 4); n; n--) {
			len = stress_len(seq, max);
			ret = shmipc_channel_reserve(ch, len, &p, SHMIPC_FOREVER);
			if (ret) {
				WRONG("reserve of %zu: %d", len, ret);
				break;
			}
			if (rng_chance(&r, 16)) {
				shmipc_channel_abort(ch);
				continue;
			}
			fill(p, len, seq++);
			if (shmipc_channel_commit(ch, len))
				WRONG("commit");
		}
		shmipc_channel_publish(ch);
		beat();
		if (rng_chance(&r, 64))
			nap_ns(rng_below(&r, 400000));
		else if (rng_chance(&r, 2))
			sched_yield();
	}
	if (shmipc_channel_get_stat(ch, &st) || st.seq != seq)
		WRONG("published %llu, but the ring counts %llu", (unsigned long long)seq,
		      (unsigned long long)st.seq);
	shmipc_channel_close(ch);
	return 0;
}

/* Number of messages in [from, to) that are for a reader. */
static uint64_t falls(uint64_t from, uint64_t to, int who)
{
	uint64_t n = 0;

	for (; from < to; from++)
		n += from % share[who].stride == share[who].at;
	return n;
}

static int reader(struct other *me, void *arg)
{
	uint64_t id = (uintptr_t)arg, who = id % READERS, first, got = 0, lost = 0, seq;
	struct rng r = { stress_seed ^ rng_mix(id + 200) };
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_channel_opts co = {
		.stride = share[who].stride, .stride_at = share[who].at,
		.start = (uint32_t)rng_below(&r, 3),
		.spin_ns = rng_chance(&r, 2) ? SHMIPC_SPIN_NEVER : 0,
	};
	size_t max = shmipc_ring_max_payload(SHMIPC_KIND_BCAST, word_get(SIZE)), len = 0;
	struct shmipc_channel *ch;
	unsigned char *buf;
	bool left = false;
	int ret;

	(void)me;
	if (open_end(&ch, SHMIPC_ROLE_READER, &co))
		return 1;
	buf = malloc(max);
	if (!buf || shmipc_channel_get_stat(ch, &st))
		return 1;
	first = st.seq;
	for (;;) {
		ret = shmipc_channel_recv(ch, buf, max, &len, shmipc_deadline_in(20000000));
		if (ret == 0) {
			seq = ch->end.bcast_rx.seq - 1;
			got++;
			beat();
			if (seq % share[who].stride != share[who].at ||
			    len != stress_len(seq, max) || !msg_ok(buf, len, stress_seed, seq))
				WRONG("message %llu: %zu bytes, torn or not mine",
				      (unsigned long long)seq, len);
			if (rng_below(&r, 100) < 4 * who)
				nap_ns(rng_below(&r, 500000));
		} else if (ret == -ESTALE) {
			if (!shmipc_channel_lost(ch))
				WRONG("lapped, but nothing lost");
			lost += shmipc_channel_lost(ch);
		} else if (ret == -EPIPE) {
			if (stopping())
				break;
			(void)shmipc_channel_wait_peer(ch, shmipc_deadline_in(20000000));
		} else if (ret != -ETIMEDOUT) {
			WRONG("recv: %d", ret);
			break;
		} else if (stopping() && shmipc_channel_peer(ch) == SHMIPC_PEER_LEFT) {
			/* It left before we attached, so we wait for the next one. */
			if (left)
				break;
			left = true;	/* but first receive what it published */
		}
	}
	if (shmipc_channel_get_stat(ch, &st) || st.lost != lost || st.pending)
		WRONG("the channel counts %llu lost, expected %llu; %llu pending",
		      (unsigned long long)st.lost, (unsigned long long)lost,
		      (unsigned long long)st.pending);
	if (got + lost != falls(first, st.seq, (int)who))
		WRONG("got %llu, lost %llu, of %llu", (unsigned long long)got,
		      (unsigned long long)lost, (unsigned long long)falls(first, st.seq, (int)who));
	__atomic_fetch_add(&sh->total[GOT], got, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sh->total[LOST], lost, __ATOMIC_RELAXED);
	shmipc_channel_close(ch);
	free(buf);
	return 0;
}

static void choose(struct rng *r)
{
	memset(sh->word, 0, sizeof(sh->word));
	sh->stop = 0;
	word_set(SIZE, 4096ull << rng_below(r, 3));
	word_set(ALIGN, 8ull << rng_below(r, 4));
}

static void round_of_kills(struct rng *r, uint64_t *id, uint64_t *kills)
{
	uint64_t end = now_ns() + 900000000 + rng_below(r, 500000000), i;
	struct other p, o[READERS];

	choose(r);
	if (other_start(&p, 0, producer, (void *)(uintptr_t)++*id))
		ksft_exit_fail_msg("fork\n");
	for (i = 0; i < READERS; i++)
		if (other_start(&o[i], 0, reader, (void *)(uintptr_t)(READERS * ++*id + i)))
			ksft_exit_fail_msg("fork\n");
	while (now_ns() < end && !sh->bad) {
		nap_ns(rng_below(r, 20000000));
		if (rng_chance(r, 2)) {
			if (other_kill(&p) != 256 + SIGKILL)
				WRONG("the producer ended unexpectedly");
			++*kills;
			if (other_start(&p, 0, producer, (void *)(uintptr_t)++*id))
				ksft_exit_fail_msg("fork\n");
		} else if (rng_chance(r, 4)) {
			/* The first two readers are never killed: they account for all messages. */
			i = 2 + rng_below(r, READERS - 2);
			(void)other_kill(&o[i]);
			++*kills;
			if (other_start(&o[i], 0, reader, (void *)(uintptr_t)(READERS * ++*id + i)))
				ksft_exit_fail_msg("fork\n");
		}
	}
	stop_all();
	if (other_end(&p))
		WRONG("the producer failed");
	for (i = 0; i < READERS; i++)
		if (other_end(&o[i]))
			WRONG("reader %llu failed", (unsigned long long)i);
	if (shmipc_segment_unlink("bcast"))
		WRONG("unlink");
}

static void between_threads(struct rng *r, uint64_t *id)
{
	struct shmipc_segment_opts so = {
		.struct_bytes = sizeof(so), .kind = SHMIPC_KIND_BCAST, .peers = 16
	};
	uint64_t end = now_ns() + 1000000000, i;
	struct other p, o[READERS];

	choose(r);
	so.bytes = word_get(SIZE);
	so.align = (uint32_t)word_get(ALIGN);
	if (shmipc_segment_private(&threads_seg, &so))
		ksft_exit_fail_msg("private segment: %s\n", shmipc_error_text());
	if (other_start(&p, 1, producer, (void *)(uintptr_t)++*id))
		ksft_exit_fail_msg("thread\n");
	for (i = 0; i < READERS; i++)
		if (other_start(&o[i], 1, reader, (void *)(uintptr_t)(READERS * ++*id + i)))
			ksft_exit_fail_msg("thread\n");
	while (now_ns() < end && !sh->bad)
		nap_ns(10000000);
	stop_all();
	(void)other_end(&p);
	for (i = 0; i < READERS; i++)
		(void)other_end(&o[i]);
	shmipc_segment_close(threads_seg);
	threads_seg = NULL;
}

static void totals(const char *what, uint64_t kills)
{
	ksft_print_msg("%s: %llu received, %llu lost, %llu kills\n", what,
		       (unsigned long long)sh->total[GOT], (unsigned long long)sh->total[LOST],
		       (unsigned long long)kills);
}

int main(void)
{
	uint64_t id = 0, kills = 0;
	struct rng r;

	stress_begin("stress/bcast", 3);
	r.state = stress_seed;

	stress_part(70);
	while (stress_goes_on(sh->total[GOT] && sh->total[LOST] && kills))
		round_of_kills(&r, &id, &kills);
	totals("processes", kills);
	ksft_test_result(!sh->bad && sh->total[GOT] && sh->total[LOST] && kills,
			 "readers account for every message, even if others are killed\n");

	stress_part(30);
	while (stress_time_left() && !sh->bad)
		between_threads(&r, &id);
	totals("threads", 0);
	ksft_test_result(!sh->bad && sh->total[GOT], "threads account for every message\n");

	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
