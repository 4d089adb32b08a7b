// SPDX-License-Identifier: MIT
/*
 * tlog: several publishers and subscribers of all policies, threads of one process
 *
 * The headers alone, on private memory. Every message identifies its publisher and its
 * number among that publisher's; its bytes are checked. Each subscriber accounts for every
 * number: received, lost or skipped; a lossless subscriber loses nothing. Publishers "die"
 * between claim and commit, and their slot gets a new owner.
 */
#include <shmipc/inline/tlog_rx.h>
#include <shmipc/inline/tlog_floor.h>
#include "segment/segment.h"
#include "stress.h"
#include "mem.h"
#include "settle.h"

#define PUBS	4
#define SUBS	6

enum { DONE };				/* sh->word[] */
enum { SENT, GOT, LOST, ABORTED, CUT, DIED, LENT };	/* sh->total[] */

static struct shmipc_tlog log_of_all;
static uint64_t go;			/* subscribers that have joined */
static uint64_t begun;			/* number of the first message */
static uint32_t dead_now[PUBS];

struct pub {
	pthread_t th;
	uint32_t slot;
	uint64_t n, seed;
};

struct sub {
	pthread_t th;
	uint32_t slot, policy;
	uint64_t stride, at, seed;
};

/* The beginning of a message. */
struct head {
	uint64_t who, which;
};

static void count(int what, uint64_t n)
{
	__atomic_fetch_add(&sh->total[what], n, __ATOMIC_RELAXED);
}

static int alive(void *arg, uint32_t slot)
{
	(void)arg;
	return !shmipc_load_acquire(&dead_now[slot]);
}

/* Handle what is in the way: mark it, cut it off, or wait. */
static void resolve(const struct shmipc_tlog_block *b, struct rng *r)
{
	if (b->who == SHMIPC_TLOG_PUB && !alive(NULL, b->slot))
		count(ABORTED, settle_pub(&log_of_all, b->slot, alive, NULL));
	else if (b->who == SHMIPC_TLOG_SUB && b->policy == SHMIPC_POLICY_EVICT && rng_chance(r, 2000))
		shmipc_tlog_evict(&log_of_all, b, 0);
	else
		sched_yield();
}

static size_t len_of(uint64_t who, uint64_t which)
{
	struct rng r = { rng_mix(who + 77) ^ rng_mix(which) };

	return sizeof(struct head) + rng_len(&r, log_of_all.hdr.cell_bytes - sizeof(struct head));
}

static void fill(struct shmipc_tlog_tx *tx, uint64_t seq, uint64_t who, uint64_t which)
{
	unsigned char buf[1024];
	struct head h = { who, which };
	size_t len = len_of(who, which);

	memcpy(buf, &h, sizeof(h));
	msg_fill(buf + sizeof(h), len - sizeof(h), who, which);
	shmipc_tlog_fill(tx, seq, NULL, 0, buf, len, 0);
}

static void heavy(void)
{
	(void)shmipc_barrier_heavy();
}

/* The tail is lent as soon as a publisher is alone for a moment, and recalled again. */
static void begin(struct shmipc_tlog_tx *tx, uint32_t slot)
{
	(void)settle_init(tx, &log_of_all, slot, alive, NULL);
	tx->full_fence = 1;
	if (shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER) {
		tx->lend_after = 2;
		tx->fence = heavy;
	}
}

static void *publisher(void *arg)
{
	struct pub *p = arg;
	struct rng r = { p->seed };
	struct shmipc_tlog_block b;
	struct shmipc_tlog_tx tx;
	uint64_t seq = 0, which = 0, i;
	uint32_t n;

	begin(&tx, p->slot);
	while (shmipc_load_acquire(&go) < SUBS)
		sched_yield();
	while (which < p->n && !sh->bad) {
		n = 1 + (uint32_t)rng_below(&r, log_of_all.lot < 4 ? log_of_all.lot : 4);
		while (shmipc_tlog_claim(&tx, n, &seq) && !sh->bad)
			if (shmipc_tlog_make_room(&tx, n, &b))
				resolve(&b, &r);
		if (rng_chance(&r, 200)) {
			/* It dies with its claim; for a while the slot has no owner. */
			shmipc_store_release(&dead_now[p->slot], 1u);
			count(DIED, 1);
			for (i = rng_below(&r, 20); i; i--)
				sched_yield();
			shmipc_store_release(&dead_now[p->slot], 0u);
			begin(&tx, p->slot);
			continue;
		}
		for (i = 0; i < n; i++)
			fill(&tx, seq + i, p->slot, which + i);
		(void)shmipc_tlog_commit(&tx, seq, n, SHMIPC_ENTRY_CELL, n);
		which += n;
		count(SENT, n);
		if (tx.lent)
			count(LENT, n);
		if (tx.lend_after != SHMIPC_LEND_NEVER)
			tx.lend_after = 2;	/* it grows with each recall */
		beat();
	}
	__atomic_fetch_add(&sh->word[DONE], 1, __ATOMIC_RELEASE);
	return NULL;
}

/* Check the bytes of the message, and the order of its publisher's messages. */
static void check(const unsigned char *buf, size_t len, uint64_t slot, uint64_t *next)
{
	struct head h;

	memcpy(&h, buf, sizeof(h));
	if (h.who >= PUBS || h.who != slot || len != len_of(h.who, h.which) ||
	    !msg_ok(buf + sizeof(h), len - sizeof(h), h.who, h.which)) {
		WRONG("message %llu of publisher %llu: %zu bytes, torn", (unsigned long long)h.which,
		      (unsigned long long)h.who, len);
		return;
	}
	if (h.which < next[h.who])
		WRONG("message %llu of publisher %llu after %llu", (unsigned long long)h.which,
		      (unsigned long long)h.who, (unsigned long long)next[h.who]);
	next[h.who] = h.which + 1;
}

static int read_one(struct shmipc_tlog_rx *rx, uint64_t *next)
{
	unsigned char buf[1024];
	struct shmipc_tlog_ref ref;
	int ret = shmipc_tlog_peek(rx, &ref);

	if (ret)
		return ret;
	shmipc_racy_read(buf, ref.ptr, ref.len);
	ret = shmipc_tlog_next(rx);
	if (ret < 0)
		return ret;
	if (ref.len < sizeof(struct head))
		WRONG("%zu bytes", ref.len);
	else
		check(buf, ref.len, ref.info >> SHMIPC_INFO_PUB & 0xfff, next);
	return 0;
}

static void *subscriber(void *arg)
{
	uint64_t next[PUBS] = { 0 }, done, tail, spins = 0, naps;
	struct sub *s = arg;
	struct rng r = { s->seed };
	struct shmipc_tlog_rx rx;
	uint64_t first;
	int ret;

	shmipc_tlog_rx_init(&rx, &log_of_all);
	shmipc_tlog_rx_begin(&rx, 1, s->stride, s->at);
	shmipc_tlog_rx_join(&rx, s->slot, s->policy, 0, 1);
	first = rx.seq;
	__atomic_fetch_add(&go, 1, __ATOMIC_RELEASE);
	naps = s->policy == SHMIPC_POLICY_LOSSLESS ? 20000 : 3000;
	while (!sh->bad) {
		done = word_get(DONE);
		tail = shmipc_tlog_tail(&log_of_all);
		ret = read_one(&rx, next);
		if (ret == -ECONNRESET && s->policy == SHMIPC_POLICY_EVICT) {
			count(CUT, 1);
			return NULL;
		}
		if (ret == -ESTALE && s->policy == SHMIPC_POLICY_LOSSY)
			continue;
		if (ret && ret != -EAGAIN) {
			WRONG("policy %u: %d", s->policy, ret);
			break;
		}
		if (!ret && rng_chance(&r, naps))
			nap_ns(rng_below(&r, 300000));
		if (!ret)
			continue;
		if (settle_next(&rx, &log_of_all, alive, NULL))
			continue;
		if (done == PUBS && rx.seq >= tail)
			break;
		else if (++spins % 16 == 0)
			sched_yield();
	}
	if (!sh->bad && rx.received + rx.lost + rx.aborted != (rx.seq - first) / s->stride)
		WRONG("%llu received, %llu lost, %llu skipped, of %llu",
		      (unsigned long long)rx.received, (unsigned long long)rx.lost,
		      (unsigned long long)rx.aborted, (unsigned long long)(rx.seq - first));
	if (s->policy == SHMIPC_POLICY_LOSSLESS && rx.lost)
		WRONG("a lossless subscriber lost %llu", (unsigned long long)rx.lost);
	count(GOT, rx.received);
	count(LOST, rx.lost);
	shmipc_tlog_rx_leave(&rx);
	return NULL;
}

/* As if it had been running for long: the low halves of the numbers wrap meanwhile. */
static void age(uint64_t seq)
{
	uint64_t i;

	log_of_all.pub->tail = seq;
	log_of_all.pub->floor = seq;
	log_of_all.pub->clear = seq;
	for (i = seq - log_of_all.hdr.entries; i < seq; i++)
		shmipc_tlog_entry(&log_of_all, i)->word = i << 2 | SHMIPC_ENTRY_CELL;
}

static void one_round(struct rng *r)
{
	struct shmipc_tlog_opts o = {
		.pubs = PUBS, .subs = SUBS, .keep = 8ull << rng_below(r, 6),
		.cell_bytes = 1000, .align = 8u << rng_below(r, 4), .holds = 1, .policies = 0xe,
		.chunk_bytes = 4096,
	};
	static const uint32_t policy[SUBS] = {
		SHMIPC_POLICY_LOSSLESS, SHMIPC_POLICY_LOSSLESS, SHMIPC_POLICY_LOSSY,
		SHMIPC_POLICY_LOSSY, SHMIPC_POLICY_EVICT, SHMIPC_POLICY_LOSSY,
	};
	struct shmipc_topic_hdr h;
	struct pub p[PUBS];
	struct sub s[SUBS];
	uint64_t bytes, i;
	struct mem m;

	o.cell_bytes = rng_chance(r, 2) ? 64 : 1000;
	if (shmipc_tlog_layout(&o, &h, &bytes) || mem_get(&m, MEM_PRIVATE, bytes) ||
	    shmipc_tlog_init(m.ptr, bytes, &o) || shmipc_tlog_check(m.ptr, bytes, &log_of_all))
		ksft_exit_fail_msg("no log\n");
	begun = rng_chance(r, 2) ? (1ull << (30 + 2 * rng_below(r, 2))) - 3000 : 0;
	if (begun)
		age(begun);
	go = 0;
	word_set(DONE, 0);
	memset(dead_now, 0, sizeof(dead_now));
	for (i = 0; i < SUBS; i++) {
		s[i] = (struct sub){ .slot = (uint32_t)i, .policy = policy[i], .stride = 1,
				     .seed = rng_next(r) };
		if (i == 1 || i == 5)	/* half of the messages each */
			s[i].stride = 2, s[i].at = begun % 2;
		if (pthread_create(&s[i].th, NULL, subscriber, &s[i]))
			ksft_exit_fail_msg("thread\n");
	}
	for (i = 0; i < PUBS; i++) {
		p[i] = (struct pub){ .slot = (uint32_t)i, .n = rng_few(20000), .seed = rng_next(r) };
		if (pthread_create(&p[i].th, NULL, publisher, &p[i]))
			ksft_exit_fail_msg("thread\n");
	}
	for (i = 0; i < PUBS; i++)
		(void)pthread_join(p[i].th, NULL);
	for (i = 0; i < SUBS; i++)
		(void)pthread_join(s[i].th, NULL);
	mem_put(&m);
}

int main(void)
{
	struct rng r;

	stress_begin("stress/log", 1);
	r.state = stress_seed;
	stress_part(100);
	do {
		one_round(&r);
	} while (stress_time_left() && !sh->bad);
	ksft_print_msg("%llu sent (%llu while the tail was lent), %llu received, %llu lost, %llu died, %llu aborted by others, %llu cut off\n",
		       (unsigned long long)sh->total[SENT], (unsigned long long)sh->total[LENT],
		       (unsigned long long)sh->total[GOT],
		       (unsigned long long)sh->total[LOST], (unsigned long long)sh->total[DIED],
		       (unsigned long long)sh->total[ABORTED], (unsigned long long)sh->total[CUT]);
	ksft_test_result(!sh->bad && sh->total[GOT], "every number is accounted for\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
