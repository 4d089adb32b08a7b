// SPDX-License-Identifier: MIT
/*
 * topic: many publishers, many subscribers, all sizes, none of them killed
 *
 * Lossless: each subscriber receives each publisher's messages once, in order and intact,
 * and all see the same order. Lossy: received and lost messages add up to exactly what was
 * published. Evicted subscribers open again. Members of a group: together they receive
 * what was published, each message once. The same while another process gives memory of
 * the pool back all the time.
 *
 * STRESS_PUBS, STRESS_SUBS   numbers of each (4, 4)
 * STRESS_MESSAGES            per publisher; default: as many as time allows
 * STRESS_HISTORY             entries (500)
 */
#include "topic_load.h"

enum { DONE, SENT, ORDER = 32 };	/* sh->word[] */

static uint64_t pubs, subs, messages, history;
static uint32_t policy, group;
static bool trimmed;

static struct shmipc_topic_opts topic_opts(void)
{
	return (struct shmipc_topic_opts){
		.struct_bytes = sizeof(struct shmipc_topic_opts),
		.publishers = (uint32_t)pubs + 2, .subscribers = (uint32_t)subs, .history = history,
		.pool_bytes = 4 << 20, .holds = KEEP, .evict_ns = 2000000,
	};
}

/* Publisher @arg: the given number, or until the time is over; then a last message. */
static int publishes(struct other *me, void *arg)
{
	struct load_pub *p = calloc(1, sizeof(*p));
	uint64_t key, sum = 0;
	uint32_t i;

	CHECK(p);
	p->who = (uint32_t)(uintptr_t)arg;
	p->r.state = stress_seed ^ rng_mix((uintptr_t)arg + 100);
	CHECK(shmipc_pub_open(&p->pub, TOPIC, NULL, NULL) == 0);
	tell(me, 1);
	CHECK(hear(me) == 1);
	while (messages ? p->n < messages : stress_time_left()) {
		if (sh->bad || load_publish(p, messages ? (uint32_t)(messages - p->n) : BATCH_MAX))
			break;
		if (p->n % 64 == 0)
			beat();
	}
	for (i = 0; i < p->n; i++)
		sum += rng_mix(load_key(p->who, i));
	__atomic_fetch_add(&sh->total[4], sum, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sh->total[0], p->n, __ATOMIC_RELAXED);
	word_set(SENT + (int)p->who % 24, p->n);
	key = load_key(p->who, LAST);
	load_fill(p->big, key);
	if (shmipc_pub_send(p->pub, p->big, load_len(key), shmipc_deadline_in(PATIENCE_NS)))
		load_blocked(p, 0);
	__atomic_fetch_add(&sh->word[DONE], 1, __ATOMIC_RELEASE);
	shmipc_pub_close(p->pub);
	free(p);
	return 0;
}

/* A sum that depends on the order; it must be the same for all that lost none. */
static uint64_t order_of(struct load_sub *s, uint64_t sum)
{
	return rng_mix(sum ^ shmipc_sub_seq(s->sub) ^ s->got);
}

static int subscribes(struct other *me, void *arg)
{
	struct load_sub *s = calloc(1, sizeof(*s));
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .policy = policy, .group = group };
	uint64_t sum = 0, evicted = 0, i;
	int ret;

	CHECK(s);
	s->r.state = stress_seed ^ rng_mix((uintptr_t)arg + 200);
	CHECK(load_sub_begin(s, &o) == 0);
	tell(me, 1);
	while (!sh->bad) {
		ret = load_receive(s, UINT64_C(20000000));
		if (ret == -ECONNRESET && policy == SHMIPC_POLICY_EVICT) {
			load_sub_end(s);
			CHECK(load_sub_begin(s, &o) == 0);
			evicted++;
			continue;
		}
		if (!ret) {
			sum = order_of(s, sum);
			if (s->got % 64 == 0)
				beat();
			/* Make them slow, to different degrees. */
			if (policy != SHMIPC_POLICY_LOSSLESS && rng_chance(&s->r, 2000))
				nap_ns(rng_below(&s->r, 4000000));
			continue;
		}
		if (ret != -ETIMEDOUT && ret != -EINTR)
			WRONG("receive: %s", shmipc_error_name(ret));
		if (word_get(DONE) == pubs && load_receive(s, 0) == -EAGAIN)
			break;
	}
	load_sums(s);
	while (s->nheld)
		load_let_go(s, 0);
	if (policy == SHMIPC_POLICY_LOSSLESS && !group) {
		if (s->ended != pubs || s->got != sh->total[0] + pubs)
			WRONG("%llu received of %llu", (unsigned long long)s->got,
			      (unsigned long long)(sh->total[0] + pubs));
		for (i = 0; i < pubs; i++)
			if (s->from[i].count != word_get(SENT + (int)i) + 1)
				WRONG("%llu of publisher %d, which sent %llu",
				      (unsigned long long)s->from[i].count - 1, (int)i,
				      (unsigned long long)word_get(SENT + (int)i));
	}
	if (policy == SHMIPC_POLICY_LOSSY && s->got + s->lost != sh->total[0] + pubs)
		WRONG("%llu received and %llu lost of %llu", (unsigned long long)s->got,
		      (unsigned long long)s->lost, (unsigned long long)(sh->total[0] + pubs));
	__atomic_fetch_add(&sh->total[1], s->got, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sh->total[2], s->lost, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sh->total[3], evicted, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sh->total[5], s->sum, __ATOMIC_RELAXED);
	word_set(ORDER + (int)(uintptr_t)arg % 32, sum);
	load_sub_end(s);
	free(s);
	return 0;
}

/* Of the history it discards nothing, or all but some messages. */
static int trims(struct other *me, void *arg)
{
	struct rng r = { .state = stress_seed ^ 300 };
	uint64_t bytes, sum = 0;
	int ret;

	(void)arg;
	tell(me, 1);
	while (!sh->bad && word_get(DONE) < pubs) {
		ret = shmipc_topic_trim(TOPIC, rng_chance(&r, 2) ? SHMIPC_KEEP_ALL : rng_below(&r, 300),
					&bytes, shmipc_deadline_in(PATIENCE_NS));
		if (ret)
			WRONG("trim: %s", shmipc_error_text());
		else
			sum += bytes;
		beat();
	}
	__atomic_fetch_add(&sh->total[6], sum, __ATOMIC_RELAXED);
	return 0;
}

static void run(const char *what, unsigned int share)
{
	struct shmipc_topic_opts t = topic_opts();
	struct other p[24], s[32], trimmer;
	struct shmipc_pub *keep;
	uint64_t i, began;

	stress_part(share);
	if (shmipc_pub_open(&keep, TOPIC, &t, NULL))
		ksft_exit_fail_msg("cannot begin: %s\n", shmipc_error_text());
	for (i = 0; i < subs; i++)
		if (other_start(&s[i], 0, subscribes, (void *)(uintptr_t)i) || hear(&s[i]) != 1)
			ksft_exit_fail_msg("subscriber\n");
	for (i = 0; i < pubs; i++)
		if (other_start(&p[i], 0, publishes, (void *)(uintptr_t)i) || hear(&p[i]) != 1)
			ksft_exit_fail_msg("publisher\n");
	if (trimmed && (other_start(&trimmer, 0, trims, NULL) || hear(&trimmer) != 1))
		ksft_exit_fail_msg("trimmer\n");
	began = now_ns();
	for (i = 0; i < pubs; i++)
		tell(&p[i], 1);
	for (i = 0; i < pubs; i++)
		if (other_end(&p[i]))
			WRONG("publisher %d failed", (int)i);
	if (trimmed && other_end(&trimmer))
		WRONG("the trimmer failed");
	for (i = 0; i < subs; i++) {
		if (other_end(&s[i]))
			WRONG("subscriber %d failed", (int)i);
		if (policy == SHMIPC_POLICY_LOSSLESS && !group && word_get(ORDER + (int)i) != word_get(ORDER))
			WRONG("subscribers 0 and %d saw different orders", (int)i);
	}
	shmipc_pub_close(keep);
	ksft_print_msg("%s: %llu published, %llu received, %llu lost, %llu evicted, %llu MiB given back, %.1f s\n",
		       what,
		       (unsigned long long)sh->total[0], (unsigned long long)sh->total[1],
		       (unsigned long long)sh->total[2], (unsigned long long)sh->total[3],
		       (unsigned long long)sh->total[6] >> 20, (double)(now_ns() - began) / 1e9);
}

static void test_lossless(const char *what, unsigned int share)
{
	policy = SHMIPC_POLICY_LOSSLESS;
	run(what, share);
	ksft_test_result(!sh->bad && sh->total[1] == (sh->total[0] + pubs) * subs &&
			 trimmed == !!sh->total[6],
			 "%s: each message once, intact, in one order for all\n", what);
}

static void test_lossy(const char *what, unsigned int share)
{
	policy = SHMIPC_POLICY_LOSSY;
	run(what, share);
	ksft_test_result(!sh->bad && sh->total[1] + sh->total[2] == (sh->total[0] + pubs) * subs &&
			 trimmed == !!sh->total[6],
			 "%s: received plus lost is exactly what was published\n", what);
}

int main(void)
{
	stress_begin("stress/topic", 7);
	pubs = env_number("STRESS_PUBS", 4) % 24;
	subs = env_number("STRESS_SUBS", 4) % 32;
	messages = env_number("STRESS_MESSAGES", 0);
	history = env_number("STRESS_HISTORY", 500);
	test_lossless("lossless", 20);
	test_lossy("lossy", 20);
	policy = SHMIPC_POLICY_LOSSLESS;
	group = 7;
	run("group", 15);
	ksft_test_result(!sh->bad && sh->total[1] == sh->total[0] + pubs && sh->total[4] == sh->total[5],
			 "group: each message goes to one member\n");
	group = 0;
	policy = SHMIPC_POLICY_EVICT;
	run("evict", 15);
	ksft_test_result(!sh->bad && sh->total[1], "evict: subscribers that were cut off open again\n");
	trimmed = !env_on_dev();
	if (trimmed) {
		test_lossless("lossless, trimmed", 15);
		test_lossy("lossy, trimmed", 15);
	} else {	/* there only the last publisher can */
		ksft_test_result_skip("lossless, trimmed\n");
		ksft_test_result_skip("lossy, trimmed\n");
	}
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
