// SPDX-License-Identifier: MIT
/*
 * topic_kill: publishers and subscribers of all kinds, and SIGKILL
 *
 * Two of each are never killed; of the others some kill themselves while they have a
 * claim. At all times: received messages are intact and in their publisher's order; a
 * lossless subscriber misses nothing of any publisher; held messages do not change; each
 * number is received, lost, or aborted; no call waits for long. At the end: all slots and
 * the whole pool can be taken, and the processes that lived from start to end use no more
 * memory than in the beginning.
 *
 * STRESS_PUBS, STRESS_SUBS   numbers of each (4, 6)
 * STRESS_KILL_MS             average time between kills (10)
 */
#include <shmipc/topic.h>

#include "topic_load.h"

enum { STOP_SUBS, LONGEST, ABORTED, EVICTED, CLAIMED, RSS = 16 };	/* sh->word[] */

#define OLD	2u	/* of each kind, never killed */
#define MOST	24u

static uint64_t pubs, subs;

static struct shmipc_topic_opts topic_opts(void)
{
	return (struct shmipc_topic_opts){
		.struct_bytes = sizeof(struct shmipc_topic_opts), .flags = SHMIPC_PERSIST,
		.publishers = (uint32_t)pubs + 1, .subscribers = (uint32_t)subs + 1, .history = 200,
		.pool_bytes = 2 << 20, .holds = KEEP, .evict_ns = 2000000,
	};
}

/* Of its own: what it has mapped of files comes and goes with what it touches. */
static uint64_t private_kib(void)
{
	unsigned long all, resident = 0, shared = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%lu %lu %lu", &all, &resident, &shared) != 3)
		resident = shared = 0;
	if (f)
		(void)fclose(f);
	return resident > shared ? (resident - shared) * 4 : 0;
}

/* For a survivor: its memory after warming up, and at its end. */
static void note_rss(uint32_t place, uint64_t turn)
{
	uint64_t is = private_kib();

	if (getenv("SHMIPC_TEST_SANITIZER"))	/* keeps freed memory for a while */
		return;
	if (turn == 20000)
		word_set(RSS + (int)place, is);
	else if (word_get(RSS + (int)place) && is > word_get(RSS + (int)place) + 512)
		WRONG("survivor %u had %llu KiB, and has %llu", place,
		      (unsigned long long)word_get(RSS + (int)place), (unsigned long long)is);
}

static void note_longest(uint64_t ns)
{
	uint64_t was = word_get(LONGEST);

	while (was < ns && !__atomic_compare_exchange_n(&sh->word[LONGEST], &was, ns, 0,
							__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		continue;
}

/* Claim some numbers, and die. */
static void die_with_a_claim(struct load_pub *p)
{
	uint32_t n = 1 + (uint32_t)rng_below(&p->r, 3);
	uint64_t seq;

	if (shmipc_tlog_claim(&p->pub->tx, n, &seq)) {
		shmipc_tlog_unclaim(&p->pub->tx);
		return;
	}
	shmipc_tlog_fill(&p->pub->tx, seq + n - 1, NULL, 0, "never", 5, 0);
	__atomic_fetch_add(&sh->word[CLAIMED], n, __ATOMIC_RELAXED);
	(void)kill(getpid(), SIGKILL);
}

static int publishes(struct other *me, void *arg)
{
	struct load_pub *p = calloc(1, sizeof(*p));
	uint64_t turn = 0;

	CHECK(p);
	p->who = (uint32_t)(uintptr_t)arg;
	p->r.state = stress_seed ^ rng_mix((uintptr_t)arg + 100);
	if (shmipc_pub_open(&p->pub, TOPIC, NULL, NULL))
		WRONG("open");
	tell(me, 1);
	while (!stopping() && !sh->bad) {
		if (load_publish(p, BATCH_MAX))
			break;
		if (turn % 64 == 0)
			beat();
		if (rng_chance(&p->r, 500))
			nap_ns(rng_below(&p->r, 1000000));
		turn++;
		if (p->who > OLD && rng_chance(&p->r, 1000))
			die_with_a_claim(p);
		if (p->who <= OLD && turn % 20000 == 0)
			note_rss(p->who, turn);
		if (turn % 256 == 0)
			note_longest(p->longest_ns);
	}
	note_longest(p->longest_ns);
	__atomic_fetch_add(&sh->total[0], p->n, __ATOMIC_RELAXED);
	shmipc_pub_close(p->pub);
	free(p);
	return 0;
}

/* By its place: lossless, lossy, evict, in a group; some begin with existing messages. */
static struct shmipc_sub_opts kind_of(uint32_t place, struct rng *r)
{
	static const uint32_t policies[] = { SHMIPC_POLICY_LOSSLESS, SHMIPC_POLICY_LOSSY,
					     SHMIPC_POLICY_EVICT, SHMIPC_POLICY_LOSSLESS };
	static const uint64_t spins[] = { 0, SHMIPC_SPIN_NEVER, 2000, 0 };

	return (struct shmipc_sub_opts){
		.struct_bytes = sizeof(struct shmipc_sub_opts), .policy = policies[place % 4],
		.group = place % 4 == 3, .spin_ns = spins[rng_below(r, 4)],
		.start = (uint32_t)rng_below(r, 3),
	};
}

static int is_told(int ret, uint32_t place)
{
	if (!ret || ret == -ETIMEDOUT || ret == -EINTR || ret == -EAGAIN)
		return 1;
	return ret == -ECONNRESET && place % 4 == 2;
}

static int subscribes(struct other *me, void *arg)
{
	struct load_sub *s = calloc(1, sizeof(*s));
	uint32_t place = (uint32_t)((uintptr_t)arg % MOST);
	struct shmipc_sub_opts o;
	uint64_t turn = 0;
	int ret;

	CHECK(s);
	s->r.state = stress_seed ^ rng_mix((uintptr_t)arg + 200);
	o = kind_of(place, &s->r);
	if (load_sub_begin(s, &o))
		WRONG("open");
	tell(me, 1);
	while (!sh->bad) {
		ret = load_receive(s, word_get(STOP_SUBS) ? 0 : UINT64_C(20000000));
		if (!is_told(ret, place))
			WRONG("place %u: receive: %s", place, shmipc_error_name(ret));
		if (ret == -ECONNRESET) {
			__atomic_fetch_add(&sh->word[EVICTED], 1, __ATOMIC_RELAXED);
			load_sub_end(s);
			if (load_sub_begin(s, &o))
				WRONG("open");
		}
		if (ret == -EAGAIN && word_get(STOP_SUBS))
			break;
		if (turn++ % 64 == 0)
			beat();
		if (rng_chance(&s->r, place % 4 ? 1000 : 10000))
			nap_ns(rng_below(&s->r, place % 4 == 2 ? 5000000 : 500000));
		if (place < OLD && turn % 20000 == 0)
			note_rss(8 + place, turn);
	}
	load_sums(s);
	if (place < OLD) {
		struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

		(void)shmipc_sub_get_stat(s->sub, &st);
		if (!place)
			word_set(ABORTED, st.aborted);
		__atomic_fetch_add(&sh->total[1], st.received, __ATOMIC_RELAXED);
	}
	while (s->nheld)
		load_let_go(s, 0);
	load_sub_end(s);
	free(s);
	return 0;
}

static uint64_t incarnation = MOST;	/* of the next process; the survivors have 1 and 2 */

static void start(struct other *o, uint64_t i)
{
	uint64_t who = i < OLD ? i + 1 : ++incarnation;
	int ret;

	if (i < pubs)
		ret = other_start(o, 0, publishes, (void *)(uintptr_t)who);
	else
		ret = other_start(o, 0, subscribes,
				  (void *)(uintptr_t)(++incarnation * MOST + (i - pubs)));
	if (ret || hear(o) != 1)
		WRONG("number %d did not start", (int)i);
}

/* All slots can be taken, and the largest message fits. */
static void nothing_is_missing(void)
{
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .policy = SHMIPC_POLICY_LOSSLESS };
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_pub *p[MOST + 1];
	struct shmipc_sub *s[MOST + 1];
	struct shmipc_pub_stat ps = { .struct_bytes = sizeof(ps) };
	unsigned char *buf;
	uint64_t i;
	size_t len;

	for (i = 0; i <= pubs; i++)
		if (shmipc_pub_open(&p[i], TOPIC, NULL, NULL))
			WRONG("slot of publisher %d", (int)i);
	for (i = 0; i <= subs; i++)
		if (shmipc_sub_open(&s[i], TOPIC, NULL, &o))
			WRONG("slot of subscriber %d", (int)i);
	if (sh->bad)
		return;
	(void)shmipc_pub_get_stat(p[0], &ps);
	buf = calloc(1, ps.max_message);
	if (!buf || shmipc_pub_send(p[0], buf, ps.max_message, shmipc_deadline_in(PATIENCE_NS)))
		WRONG("the largest message of %llu bytes", (unsigned long long)ps.max_message);
	for (i = 0; i <= subs; i++)
		if (shmipc_sub_recv(s[i], buf, ps.max_message, &len, 0) || len != ps.max_message)
			WRONG("subscriber %d did not get it", (int)i);
	free(buf);
	/* What dead processes had is reclaimed when it is needed: by now. */
	if (shmipc_topic_look(TOPIC, &st) || st.chunks_owned || st.chunks_held)
		WRONG("of %u chunks %u are owned and %u held", st.chunks, st.chunks_owned,
		      st.chunks_held);
	for (i = 0; i <= pubs; i++)
		shmipc_pub_close(p[i]);
	for (i = 0; i <= subs; i++)
		shmipc_sub_close(s[i]);
}

int main(void)
{
	uint64_t i, all, kills = 0, wait_ns = env_number("STRESS_KILL_MS", 10) * 1000000;
	struct shmipc_topic_opts t;
	struct other o[2 * MOST];
	struct shmipc_pub *keep;
	struct rng r;

	stress_begin("stress/topic_kill", 3);
	r.state = stress_seed;
	pubs = env_number("STRESS_PUBS", 4) % MOST;
	subs = env_number("STRESS_SUBS", 6) % MOST;
	all = pubs + subs;
	stress_part(100);
	t = topic_opts();
	if (shmipc_pub_open(&keep, TOPIC, &t, NULL))
		ksft_exit_fail_msg("cannot begin: %s\n", shmipc_error_text());
	shmipc_pub_close(keep);
	/* Subscribers first: the first survivor sees all that is claimed. */
	for (i = all; i-- > 0;)
		start(&o[i], i);
	while (stress_goes_on(kills != 0)) {
		nap_ns(wait_ns / 2 + rng_below(&r, wait_ns + 1));
		/* One of each kind, or one. */
		i = rng_chance(&r, 2) && pubs > OLD ? OLD + rng_below(&r, pubs - OLD) :
		    pubs + OLD + rng_below(&r, subs - OLD);
		if (rng_chance(&r, 8)) {	/* a pause, not a death */
			(void)kill(o[i].pid, SIGSTOP);
			nap_ns(rng_below(&r, 5000000));
			(void)kill(o[i].pid, SIGCONT);
			continue;
		}
		if (other_kill(&o[i]) != 256 + SIGKILL)
			WRONG("number %d ended unexpectedly", (int)i);
		kills++;
		start(&o[i], i);
	}
	stop_all();
	for (i = 0; i < pubs; i++) {
		int ret = other_end(&o[i]);

		if (ret && (i < OLD || ret != 256 + SIGKILL))
			WRONG("publisher %d failed", (int)i);
	}
	word_set(STOP_SUBS, 1);
	for (; i < all; i++)
		if (other_end(&o[i]))
			WRONG("subscriber %d failed", (int)(i - pubs));
	/* The first survivor is lossless: it has seen them all. */
	if (word_get(ABORTED) < word_get(CLAIMED))
		WRONG("%llu aborted", (unsigned long long)word_get(ABORTED));
	ksft_print_msg("%llu kills, %llu received by the two survivors, %llu aborted of %llu claimed, %llu evicted, longest call %.1f ms\n",
		       (unsigned long long)kills, (unsigned long long)sh->total[1],
		       (unsigned long long)word_get(ABORTED), (unsigned long long)word_get(CLAIMED),
		       (unsigned long long)word_get(EVICTED),
		       (double)word_get(LONGEST) / 1e6);
	ksft_test_result(!sh->bad && kills && sh->total[1], "when some are killed, the others continue and all counts agree\n");
	nothing_is_missing();
	ksft_test_result(!sh->bad, "no slot, no chunk and no memory is lost\n");
	if (shmipc_segment_unlink(TOPIC))
		WRONG("unlink");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
