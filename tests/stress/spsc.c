// SPDX-License-Identifier: MIT
/*
 * spsc: a small ring, two processes that sleep for each other, and SIGKILL
 *
 * The bytes and the length of a message follow from the seed and its number, so the
 * receiver of number n knows what it must be. Each side records what it is about to do and
 * what it has done, in memory that outlives it:
 *
 *   after a kill, the ring's own count of published messages is the value either before
 *   the last publish or after it, nothing in between;
 *   the same for released messages; and no message is missing, torn or duplicated.
 *
 * The same workload runs between threads of one process, without kills, where
 * ThreadSanitizer can check it.
 */
#include "stress.h"

enum { DONE, INTENT, TAKEN, TAKING, SIZE, ALIGN };	/* sh->word[] */

static struct shmipc_segment *threads_seg;	/* the private one, or NULL */

static int open_end(struct shmipc_channel **ch, enum shmipc_role role, struct rng *r)
{
	static const uint64_t spins[] = { 0, SHMIPC_SPIN_NEVER, SHMIPC_SPIN_NEVER, 2000 };
	struct shmipc_channel_opts co = { .struct_bytes = sizeof(co), .spin_ns = spins[rng_below(r, 4)] };
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = SHMIPC_KIND_SPSC,
		.flags = SHMIPC_CREATE | SHMIPC_PERSIST, .bytes = word_get(SIZE),
		.align = (uint32_t)word_get(ALIGN),
	};
	int ret;

	ret = threads_seg ? shmipc_channel_attach(ch, threads_seg, role, &co) :
			    shmipc_channel_open(ch, "spsc", role, &o, &co);
	if (ret)
		WRONG("open as role %d: %d", role, ret);
	return ret;
}

static uint64_t seq_of(struct shmipc_channel *ch)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	if (shmipc_channel_get_stat(ch, &st))
		WRONG("no stat");
	return st.seq;
}

/* Try to write one message into the batch. 0; 1: the other side is gone. */
static int write_one(struct shmipc_channel *ch, struct rng *r, uint64_t seq, size_t max)
{
	size_t len = stress_len(seq, max), more = len + (size_t)rng_below(r, max - len + 1);
	void *p = NULL;
	int ret;

	do {
		/* Sometimes more than is needed, or without a commit. */
		ret = shmipc_channel_reserve(ch, rng_chance(r, 8) ? more : len, &p,
					     shmipc_deadline_in(20000000));
		if (ret == 0 && rng_chance(r, 16)) {
			memset(p, 0xab, len);
			shmipc_channel_abort(ch);
			continue;
		}
		if (ret == 0)
			break;
		/* A reserve that had to wait has published the batch. */
		word_set(DONE, seq_of(ch));
		if (ret == -EPIPE)
			return 1;
		if (ret != -ETIMEDOUT)
			WRONG("reserve: %d", ret);
	} while (!stopping());
	if (stopping())
		return 1;
	msg_fill(p, len, stress_seed, seq);
	if (shmipc_channel_commit(ch, len))
		WRONG("commit");
	return 0;
}

static int producer(struct other *me, void *arg)
{
	struct rng r = { stress_seed ^ rng_mix((uintptr_t)arg + 100) };
	struct shmipc_channel *ch;
	uint64_t seq, was_done = word_get(DONE), was_intent = word_get(INTENT), n;
	size_t max;

	(void)me;
	if (open_end(&ch, SHMIPC_ROLE_PRODUCER, &r))
		return 1;
	max = shmipc_ring_max_payload(SHMIPC_KIND_SPSC, word_get(SIZE));
	seq = seq_of(ch);
	/* Only a reserve that had to wait may have published a part of a batch. */
	if (seq < was_done || seq > was_intent)
		WRONG("the ring counts %llu published; expected %llu, or %llu",
		      (unsigned long long)seq, (unsigned long long)was_done,
		      (unsigned long long)was_intent);
	word_set(DONE, seq);
	while (!stopping()) {
		n = 1 + (rng_chance(&r, 3) ? rng_below(&r, 12) : 0);
		word_set(DONE, seq);
		word_set(INTENT, seq + n);
		for (; n && !write_one(ch, &r, seq, max); n--)
			seq++;
		if (n)
			(void)shmipc_channel_wait_peer(ch, shmipc_deadline_in(20000000));
		shmipc_channel_publish(ch);
		if (seq_of(ch) != seq)
			WRONG("after publish: %llu, expected %llu", (unsigned long long)seq_of(ch),
			      (unsigned long long)seq);
		word_set(DONE, seq);
		beat();
	}
	word_set(INTENT, seq);
	shmipc_channel_close(ch);
	return 0;
}

/* Receive messages until @until were received or all stop. */
static int consumer(struct other *me, void *arg)
{
	struct rng r = { stress_seed ^ rng_mix((uintptr_t)arg + 200) };
	uint64_t seq, taken = word_get(TAKEN);
	struct shmipc_channel *ch;
	const void *p = NULL;
	size_t len = 0;
	int ret;

	(void)me;
	if (open_end(&ch, SHMIPC_ROLE_CONSUMER, &r))
		return 1;
	seq = seq_of(ch);
	if (seq != taken && seq != word_get(TAKING))
		WRONG("the ring counts %llu released; expected %llu, or %llu",
		      (unsigned long long)seq, (unsigned long long)taken,
		      (unsigned long long)word_get(TAKING));
	word_set(TAKEN, seq);
	for (;;) {
		ret = shmipc_channel_peek(ch, &p, &len, stopping() ? 0 : shmipc_deadline_in(20000000));
		if (ret == 0) {
			size_t want = stress_len(seq, shmipc_ring_max_payload(SHMIPC_KIND_SPSC,
									      word_get(SIZE)));

			if (len != want || !msg_ok(p, len, stress_seed, seq))
				WRONG("message %llu: %zu bytes, expected %zu, or torn",
				      (unsigned long long)seq, len, want);
			if (rng_chance(&r, 32))
				continue;	/* peeked only: it is received again */
			word_set(TAKING, seq + 1);
			if (shmipc_channel_release(ch))
				WRONG("release");
			word_set(TAKEN, ++seq);
			beat();
			if (rng_chance(&r, 64))
				nap_ns(rng_below(&r, 300000));
			continue;
		}
		if (stopping() && (ret == -EPIPE || ret == -EAGAIN))
			break;
		if (ret == -EPIPE)
			(void)shmipc_channel_wait_peer(ch, shmipc_deadline_in(20000000));
		else if (ret != -ETIMEDOUT && ret != -EAGAIN)
			WRONG("peek: %d", ret);
		if (sh->bad)
			break;
	}
	shmipc_channel_close(ch);
	return 0;
}

/* One ring: kill either side now and then; in the end all counts must agree. */
static void round_of_kills(struct rng *r, uint64_t *incarnation, uint64_t *kills)
{
	struct other o[2];
	uint64_t end = now_ns() + 700000000 + rng_below(r, 500000000);
	int (*const fn[2])(struct other *, void *) = { producer, consumer };
	int i, ret;

	memset(sh->word, 0, sizeof(sh->word));
	sh->stop = 0;
	word_set(SIZE, 4096ull << rng_below(r, 3));
	word_set(ALIGN, 8ull << rng_below(r, 4));
	for (i = 0; i < 2; i++)
		if (other_start(&o[i], 0, fn[i], (void *)(uintptr_t)++*incarnation))
			ksft_exit_fail_msg("fork\n");
	while (now_ns() < end && !sh->bad) {
		nap_ns(rng_below(r, 8) ? rng_below(r, 15000000) : rng_below(r, 200000));
		i = (int)rng_below(r, 2);
		if (rng_chance(r, 4)) {		/* a pause, not a death */
			kill(o[i].pid, SIGSTOP);
			nap_ns(rng_below(r, 5000000));
			kill(o[i].pid, SIGCONT);
			continue;
		}
		ret = other_kill(&o[i]);
		if (ret != 256 + SIGKILL)
			WRONG("role %d ended unexpectedly: %d", i, ret);
		++*kills;
		if (other_start(&o[i], 0, fn[i], (void *)(uintptr_t)++*incarnation))
			ksft_exit_fail_msg("fork\n");
	}
	stop_all();
	for (i = 0; i < 2; i++)
		if (other_end(&o[i]))
			WRONG("role %d failed", i);
	/* The consumer drained after the stop; later messages are still there. */
	sh->word[INTENT] = word_get(DONE);
	if (other_start(&o[1], 0, consumer, (void *)(uintptr_t)++*incarnation) || other_end(&o[1]))
		WRONG("the last consumer failed");
	if (word_get(TAKEN) != word_get(DONE))
		WRONG("%llu published, %llu received", (unsigned long long)word_get(DONE),
		      (unsigned long long)word_get(TAKEN));
	sh->total[0] += word_get(TAKEN);
	if (shmipc_segment_unlink("spsc"))
		WRONG("unlink");
}

static void between_threads(struct rng *r, uint64_t *incarnation)
{
	struct shmipc_segment_opts so = { .struct_bytes = sizeof(so), .kind = SHMIPC_KIND_SPSC };
	uint64_t end = now_ns() + 1000000000;
	struct other o[2];

	memset(sh->word, 0, sizeof(sh->word));
	sh->stop = 0;
	word_set(SIZE, so.bytes = 4096ull << rng_below(r, 3));
	so.align = (uint32_t)(8u << rng_below(r, 4));
	if (shmipc_segment_private(&threads_seg, &so))
		ksft_exit_fail_msg("private segment: %s\n", shmipc_error_text());
	if (other_start(&o[0], 1, producer, (void *)(uintptr_t)++*incarnation) ||
	    other_start(&o[1], 1, consumer, (void *)(uintptr_t)++*incarnation))
		ksft_exit_fail_msg("threads\n");
	while (now_ns() < end && !sh->bad)
		nap_ns(10000000);
	stop_all();
	if (other_end(&o[0]) | other_end(&o[1]))
		WRONG("a thread failed");
	if (other_start(&o[1], 1, consumer, (void *)(uintptr_t)++*incarnation) || other_end(&o[1]))
		WRONG("the last consumer failed");
	if (word_get(TAKEN) != word_get(DONE))
		WRONG("%llu published, %llu received", (unsigned long long)word_get(DONE),
		      (unsigned long long)word_get(TAKEN));
	sh->total[0] += word_get(TAKEN);
	shmipc_segment_close(threads_seg);
	threads_seg = NULL;
}

int main(void)
{
	uint64_t incarnation = 0, kills = 0;
	struct rng r;

	stress_begin("stress/spsc", 3);
	r.state = stress_seed;

	stress_part(70);
	while (stress_goes_on(sh->total[0] && kills))
		round_of_kills(&r, &incarnation, &kills);
	ksft_print_msg("%llu messages, %llu kills\n", (unsigned long long)sh->total[0],
		       (unsigned long long)kills);
	ksft_test_result(!sh->bad && sh->total[0] && kills,
			 "killed producers and consumers lose, tear and duplicate nothing\n");

	stress_part(30);
	while (stress_time_left() && !sh->bad)
		between_threads(&r, &incarnation);
	ksft_print_msg("%llu messages between threads\n", (unsigned long long)sh->total[0]);
	ksft_test_result(!sh->bad && sh->total[0], "threads lose, tear and duplicate nothing\n");

	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
