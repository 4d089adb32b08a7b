// SPDX-License-Identifier: MIT
/*
 * ring: a hostile peer writes everything that it can map; rings in guarded memory
 *
 * A victim works both ends of a lossless ring and of an overwriting one. First invalid
 * data are written between its calls, so that a seed reproduces the run; then another
 * process writes while the victim works. The victim must not crash, must not hang, and
 * must not access anything outside the data: the byte before the control pages and the
 * byte after the data are inaccessible.
 *
 * This program needs the headers alone, so that canary.c can build it against
 * headers with a planted bug, which it must find.
 */
#include <shmipc/bcast.h>
#include <shmipc/spsc.h>
#include "../stress/stress.h"
#include "ringmem.h"

enum { ENDS, CALLS, DEAD, GOOD };	/* sh->word[] */

struct target {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_ring_hdr hdr;	/* as created */
	uint32_t kind;
};

static int make(struct target *t, uint32_t kind, struct rng *r)
{
	memset(t, 0, sizeof(*t));
	t->kind = kind;
	if (ringmem_get(&t->m, MEM_SHARED, &t->r, kind, 4096ull << rng_below(r, 3),
			(uint32_t)(8u << rng_below(r, 4))))
		return -1;
	memcpy(&t->hdr, t->m.ptr, sizeof(t->hdr));
	return 0;
}

/* A number that is more likely than others to cause harm. */
static uint64_t nasty(struct rng *r, const struct target *t)
{
	uint64_t tail = shmipc_load_relaxed(&t->r.prod->tail.word);

	switch (rng_below(r, 8)) {
	case 0:
		return rng_next(r);
	case 1:
		return 0;
	case 2:
		return UINT64_MAX - rng_below(r, 16);
	case 3:
		return 1ull << rng_below(r, 64);
	case 4:
		return tail + rng_below(r, 2 * t->r.size) - t->r.size;
	case 5:
		return (tail & ~(t->r.size - 1)) + t->r.size * rng_below(r, 3);
	case 6:
		return rng_below(r, 2 * t->r.size);
	default:
		return tail + 8 * rng_below(r, 64);
	}
}

/* A header like the one that an end waits for, except for its length. */
static void write_header(struct rng *r, const struct target *t)
{
	const struct shmipc_cursor *c = t->r.cons && rng_chance(r, 2) ? &t->r.cons->head :
									 &t->r.prod->tail;
	uint64_t word, seq, pos;
	uint32_t len = (uint32_t)nasty(r, t);

	if (shmipc_cursor_read(c, &word, &seq))
		return;
	pos = shmipc_cursor_pos(word);
	if (rng_chance(r, 4))
		pos += 8 * rng_below(r, 8);
	pos &= ~7ull;
	if (rng_chance(r, 2))
		len = (uint32_t)(t->r.size - (pos & (t->r.size - 1)) + rng_below(r, 64) - 32);
	shmipc_store_relaxed(shmipc_rec_hdr(t->r.data, pos, t->r.size - 1),
			     shmipc_rec_word(rng_chance(r, 4) ? SHMIPC_REC_PAD : SHMIPC_REC_DATA, len,
					     rng_chance(r, 4) ? 0 : seq));
}

/* One hostile write. */
static void scribble(struct rng *r, const struct target *t)
{
	uint64_t *page, words;

	switch (rng_below(r, 8)) {
	case 0:		/* the producer's words */
		page = (uint64_t *)(void *)t->r.prod;
		shmipc_store_relaxed(&page[rng_below(r, sizeof(struct shmipc_prod) / 8)], nasty(r, t));
		break;
	case 1:		/* the consumer's, or the readers' */
		page = t->r.cons ? (uint64_t *)(void *)t->r.cons : (uint64_t *)(void *)t->r.waiters;
		shmipc_store_relaxed(&page[rng_below(r, t->r.cons ? 16 : 8)], nasty(r, t));
		break;
	case 2:		/* any byte of the data */
		t->r.data[rng_below(r, t->r.size)] = (unsigned char)rng_next(r);
		break;
	case 3:		/* the description of the ring, which is read at the attach only */
		t->m.ptr[rng_below(r, 128)] ^= (unsigned char)(1u << rng_below(r, 8));
		break;
	case 4:		/* any word of the ring */
		words = t->r.bytes / 8;
		page = (uint64_t *)(void *)t->m.ptr;
		shmipc_store_relaxed(&page[rng_below(r, words)], nasty(r, t));
		break;
	case 5:		/* restore the description, otherwise nobody can attach any more */
		memcpy(t->m.ptr, &t->hdr, sizeof(t->hdr));
		break;
	default:
		write_header(r, t);
	}
}

static volatile unsigned char sink;

static int inside(const struct target *t, const void *p, size_t len)
{
	const unsigned char *c = p;

	return c >= t->r.data && c <= t->r.data + t->r.size &&
	       len <= (size_t)(t->r.data + t->r.size - c);
}

/* Read all of it: outside is a guard page, or memory that the sanitizer guards. */
static void touch(const void *p, size_t len)
{
	const unsigned char *c = p;
	unsigned char sum = 0;
	size_t i;

	for (i = 0; i < len; i++)
		sum = (unsigned char)(sum + c[i]);
	sink = sum;
}

static void wrong(const char *what, int ret)
{
	if (!__atomic_fetch_add(&sh->bad, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "# fuzz/ring: %s: %d\n", what, ret);
}

/*
 * The victim's calls must return one of these, whatever is written. (-EINVAL, "nothing
 * is reserved or peeked": if a position that the attacker moved to the end of 64 bits
 * advances to zero.)
 */
static int expected(int ret, int lossless)
{
	return ret == 0 || ret == -EAGAIN || ret == -EPROTO || ret == -EINVAL ||
	       (ret == -ESTALE && !lossless);
}

struct victim {
	struct shmipc_spsc_tx stx;
	struct shmipc_spsc_rx srx;
	struct shmipc_bcast_tx btx;
	struct shmipc_bcast_rx brx;
	int tx_ok, rx_ok;
};

static void attach(struct victim *v, struct target *t, struct rng *r)
{
	struct shmipc_ring ring;
	int ret = shmipc_ring_check(t->m.ptr, t->m.bytes, &ring);

	if (ret && ret != -EPROTO && ret != -EPROTONOSUPPORT && ret != -EAGAIN)
		wrong("ring_check: unexpected error", ret);
	if (!ret && (ring.data < t->m.ptr || ring.bytes > t->m.bytes ||
		     ring.data + ring.size > t->m.ptr + t->m.bytes))
		wrong("ring_check: outside the memory", ret);
	/* It may succeed with different numbers; continue with those. */
	ring = t->r;
	if (t->kind == SHMIPC_KIND_SPSC) {
		if (!v->tx_ok || rng_chance(r, 4))
			v->tx_ok = !shmipc_spsc_tx_init(&v->stx, &ring);
		if (!v->rx_ok || rng_chance(r, 4))
			v->rx_ok = !shmipc_spsc_rx_init(&v->srx, &ring);
	} else {
		if (!v->tx_ok || rng_chance(r, 4))
			v->tx_ok = !shmipc_bcast_tx_init(&v->btx, &ring);
		if (!v->rx_ok || rng_chance(r, 4))
			v->rx_ok = !shmipc_bcast_rx_init(&v->brx, &ring,
							 (enum shmipc_start)rng_below(r, 3),
							 1 + rng_below(r, 3), 0);
	}
	sh->word[ENDS]++;
}

static void produce(struct victim *v, struct target *t, struct rng *r)
{
	int lossless = t->kind == SHMIPC_KIND_SPSC, ret;
	size_t max = shmipc_ring_max_payload(t->kind, t->r.size), len = rng_len(r, max);
	void *p = NULL;

	ret = lossless ? shmipc_spsc_reserve(&v->stx, len, &p) :
			 shmipc_bcast_reserve(&v->btx, len, &p);
	if (!expected(ret, 1))
		wrong("reserve: unexpected error", ret);
	if (ret == -EPROTO)
		v->tx_ok = 0;
	if (ret == 0) {
		if (!inside(t, p, len))
			wrong("reserve: outside the data", ret);
		memset(p, 0x11, len);
		ret = lossless ? shmipc_spsc_commit(&v->stx, len) : shmipc_bcast_commit(&v->btx, len);
		if (!expected(ret, 1))
			wrong("commit", ret);
		sh->word[GOOD] += ret == 0;
	}
	if (rng_chance(r, 2))
		(void)(lossless ? shmipc_spsc_publish(&v->stx) : shmipc_bcast_publish(&v->btx));
	else if (rng_chance(r, 8))
		(void)(lossless ? shmipc_spsc_discard(&v->stx) : shmipc_bcast_discard(&v->btx));
}

static void consume(struct victim *v, struct target *t, struct rng *r)
{
	int lossless = t->kind == SHMIPC_KIND_SPSC, ret, wake;
	uint64_t lost = 0;
	const void *p = NULL;
	size_t len = 0;
	static unsigned char buf[65536];

	if (rng_chance(r, 2)) {
		ret = lossless ? shmipc_spsc_read(&v->srx, buf, sizeof(buf), &len, &wake) :
				 shmipc_bcast_read(&v->brx, buf, sizeof(buf), &len, &lost);
		if (ret == 0)
			touch(buf, len);
	} else {
		ret = lossless ? shmipc_spsc_peek(&v->srx, &p, &len) :
				 shmipc_bcast_peek(&v->brx, &p, &len, &lost);
		if (ret == 0) {
			if (!inside(t, p, len))
				wrong("peek: outside the data", ret);
			touch(p, len);
			if (lossless)
				(void)shmipc_spsc_release(&v->srx);
			else
				ret = shmipc_bcast_release(&v->brx, &lost);
		}
	}
	if (!expected(ret, lossless))
		wrong("read: unexpected error", ret);
	sh->word[GOOD] += ret == 0;
	if (ret == -EPROTO) {
		v->rx_ok = 0;
		sh->word[DEAD]++;
	}
	if (!lossless)
		(void)shmipc_bcast_backlog(&v->brx);
}

static void step(struct victim *v, struct target *t, struct rng *r)
{
	if (!v->tx_ok || !v->rx_ok || rng_chance(r, 256))
		attach(v, t, r);
	if (v->tx_ok && rng_chance(r, 2))
		produce(v, t, r);
	else if (v->rx_ok)
		consume(v, t, r);
	sh->word[CALLS]++;
	beat();
}

/* Restore the memory; otherwise all words would soon be invalid. */
static void mend(struct target *t, struct victim *v)
{
	struct shmipc_ring_opts o = { .kind = t->kind, .align = t->r.align, .size = t->r.size };

	memset(t->m.ptr, 0, t->r.bytes);
	(void)shmipc_ring_init(t->m.ptr, t->m.bytes, &o);
	v->tx_ok = v->rx_ok = 0;
}

/* Invalid data between the calls: the seed reproduces the run. */
static int alone(struct other *me, void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	struct victim v;
	struct target t;
	uint64_t i;
	int n;

	(void)me;
	memset(&v, 0, sizeof(v));
	if (make(&t, rng_chance(&r, 2) ? SHMIPC_KIND_SPSC : SHMIPC_KIND_BCAST, &r))
		return 1;
	for (i = 0; i < 100000 && stress_time_left(); i++) {
		for (n = (int)rng_below(&r, 4); n; n--)
			scribble(&r, &t);
		step(&v, &t, &r);
		if (rng_chance(&r, 100))
			mend(&t, &v);
	}
	return 0;
}

static struct target common;

static int attacker(struct other *me, void *arg)
{
	struct rng r = { rng_mix(*(uint64_t *)arg) };

	(void)me;
	while (!stopping()) {	/* until killed */
		scribble(&r, &common);
		if (rng_chance(&r, 1024))
			sched_yield();
	}
	return 0;
}

static int victim(struct other *me, void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	struct victim v;
	uint64_t i;

	(void)me;
	memset(&v, 0, sizeof(v));
	for (i = 0; i < 1000000 && stress_time_left(); i++) {
		step(&v, &common, &r);
		if (rng_chance(&r, 100))
			mend(&common, &v);
	}
	return 0;
}

static int judge(int ret, uint64_t seed)
{
	if (!ret && !sh->bad)
		return 1;
	ksft_print_msg("victim with seed %#llx: %s %d\n", (unsigned long long)seed,
		       ret >= 256 ? "signal" : "exit code", ret >= 256 ? ret - 256 : ret);
	return 0;
}

static void report(const char *what, int ok)
{
	ksft_print_msg("%s: %llu calls, %llu attaches, %llu worked, %llu ends found invalid data\n", what,
		       (unsigned long long)sh->word[CALLS], (unsigned long long)sh->word[ENDS],
		       (unsigned long long)sh->word[GOOD], (unsigned long long)sh->word[DEAD]);
	ksft_test_result(ok && sh->word[GOOD] && sh->word[DEAD], "%s\n", what);
}

int main(void)
{
	uint64_t seed;
	struct other a, v;
	struct rng r;
	int ok = 1;

	stress_begin("fuzz/ring", 2);
	r.state = stress_seed;

	stress_part(50);
	while (ok && stress_time_left()) {
		seed = rng_next(&r);
		if (other_start(&v, 0, alone, &seed))
			ksft_exit_fail_msg("fork\n");
		ok = judge(other_end(&v), seed);
	}
	report("invalid data between the calls", ok);

	stress_part(50);
	while (ok && stress_time_left()) {
		seed = rng_next(&r);
		if (make(&common, rng_chance(&r, 2) ? SHMIPC_KIND_SPSC : SHMIPC_KIND_BCAST, &r) ||
		    other_start(&a, 0, attacker, &seed) || other_start(&v, 0, victim, &seed))
			ksft_exit_fail_msg("start\n");
		ok = judge(other_end(&v), seed);
		(void)other_kill(&a);
		mem_put(&common.m);
	}
	report("a process that writes at the same time", ok);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
