// SPDX-License-Identifier: MIT
/*
 * wants: a hostile subscriber writes the words that say for what others sleep
 *
 * A publisher sends; now and then a hostile subscriber writes anything into its own line
 * and into the words that subscribers share, or dies and leaves them so. Each of its
 * writes may cost the publisher a few system calls, but no more: what it has left behind
 * costs none. An honest subscriber that sleeps afterwards is woken for each message.
 */
#include "../unit/topic/topic_ends.h"
#include "../stress/stress.h"

#define WAKES_PER_WRITE	3	/* each of its words can name a message that comes */

enum { SENDS, WRITES, WAKES, ROUNDS };	/* sh->word[] */

static uint64_t wakes(const struct shmipc_pub *pub)
{
	struct shmipc_pub_stat st = SHMIPC_PUB_STAT();

	(void)shmipc_pub_get_stat(pub, &st);
	return st.wakes;
}

static uint64_t nasty(struct rng *r, uint64_t tail)
{
	switch (rng_below(r, 6)) {
	case 0:
		return rng_next(r);
	case 1:
		return UINT64_MAX - rng_below(r, 3);
	case 2:
		return 1ull << rng_below(r, 64);
	case 3:
		return tail + rng_below(r, 10);
	case 4:
		return tail + rng_below(r, 10000);
	default:
		return 0;
	}
}

static void write_words(struct rng *r, struct shmipc_sub *sub)
{
	struct shmipc_tlog *log = &sub_priv(sub)->t.seg->log;
	uint64_t tail = shmipc_tlog_tail(log);

	if (rng_chance(r, 2))
		log->sub->want = nasty(r, tail);
	if (rng_chance(r, 2))
		sub->rx.line->wants = nasty(r, tail);
	if (rng_chance(r, 2))
		log->sub->sleeps += rng_below(r, 3);
	if (rng_chance(r, 4))
		((struct shmipc_pub_ctl *)log->pub)->room_want = nasty(r, tail);
}

static int sleeps(struct other *me, void *arg)
{
	struct shmipc_sub_opts o = { sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_sub *sub;
	int i;

	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, &o));
	tell(me, 1);
	for (i = 0; i < 3; i++) {
		CHECK(get_until(sub, SOON) >= 0);
		tell(me, 1);
	}
	CHECK(sub_stat(sub).ticks == 0);
	shmipc_sub_close(sub);
	return 0;
}

/* Each message wakes it, once. */
static int is_corrected(struct shmipc_pub *pub)
{
	struct other o;
	uint64_t before;
	int i;

	CHECK(!other_start(&o, 0, sleeps, NULL));
	CHECK(hear(&o) == 1);
	for (i = 0; i < 3; i++) {
		CHECK(!until_asleep(o.tid));
		before = wakes(pub);
		CHECK(!put(pub, 0));
		CHECK(hear(&o) == 1);
		CHECK(wakes(pub) - before <= 1 + (i == 0));
	}
	return other_end(&o);
}

static int round_of(struct rng *r)
{
	struct shmipc_topic_opts t = topic_small();
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	uint64_t writes = rng_below(r, 20), i, n, sent = 0, woke;

	t.publishers = rng_chance(r, 2) ? 1 : 4;
	CHECK(!shmipc_pub_open(&pub, TOPIC, &t, NULL));
	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, NULL));
	for (i = 0; i < writes; i++) {
		write_words(r, sub);
		for (n = rng_below(r, 300); n; n--, sent++)
			CHECK(!put(pub, n));
	}
	woke = wakes(pub);
	CHECK(woke <= writes * WAKES_PER_WRITE);
	shmipc_sub_close(sub);
	CHECK(!is_corrected(pub));
	shmipc_pub_close(pub);
	sh->word[SENDS] += sent;
	sh->word[WRITES] += writes;
	sh->word[WAKES] += woke;
	sh->word[ROUNDS]++;
	sh->beat++;
	return 0;
}

int main(void)
{
	struct rng r;
	int bad = 0;

	stress_begin("fuzz/wants", 2);
	r.state = stress_seed;
	stress_part(100);
	while (!bad && stress_time_left())
		bad = round_of(&r);
	ksft_print_msg("%llu rounds, %llu sends, %llu hostile writes, %llu system calls\n",
		       (unsigned long long)sh->word[ROUNDS], (unsigned long long)sh->word[SENDS],
		       (unsigned long long)sh->word[WRITES], (unsigned long long)sh->word[WAKES]);
	ksft_test_result(!bad, "what it writes costs a few system calls, once\n");
	ksft_test_result(sh->word[SENDS] && sh->word[WRITES] && sh->word[WAKES], "something was tried\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
