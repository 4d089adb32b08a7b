/* SPDX-License-Identifier: MIT */
/*
 * model_litmus.c - is the checker itself right? Small programs with known answers
 *
 * Each program lists every outcome that C11 allows (except by load buffering).
 * The search must find exactly these: one too many would be a false alarm later, one
 * too few a missed bug.
 */
#include <stdio.h>
#include <stdlib.h>
#include "model_priv.h"

static uint64_t mem[8] __attribute__((aligned(64)));
#define X	(&mem[0])
#define Y	(&mem[1])
#define Z	(&mem[2])
#define D	(&mem[3])

/* Registers of the threads, reset before each execution. */
static uint64_t r0, r1, r2, r3;

/* Outcomes seen in the present test, as bits r0 r1 r2 r3 of two bits each. */
static uint64_t seen[4];

static void setup(void)
{
	memset(mem, 0, sizeof(mem));
	memset(seen, 0, sizeof(seen));
	model_region(mem, sizeof(mem), "mem", 0);
}

static void spawn(void (*a)(void *), void (*b)(void *), void (*c)(void *), void (*d)(void *))
{
	void (*fn[4])(void *) = { a, b, c, d };
	static const char *const names[] = { "a", "b", "c", "d" };
	int i;

	r0 = r1 = r2 = r3 = 0;
	for (i = 0; i < 4 && fn[i]; i++)
		model_spawn(names[i], fn[i], NULL, 0);
}

static void finish(void)
{
	unsigned o = (unsigned)(r0 << 6 | r1 << 4 | r2 << 2 | r3);

	seen[o / 64] |= 1ULL << o % 64;
}

/* The outcomes of the test that has just run are exactly these (-1 ends). */
static int expect(const char *name, const int *want)
{
	uint64_t left[4];
	int i, bad = 0;

	memcpy(left, seen, sizeof(left));
	for (; *want >= 0; want++) {
		if (!(left[*want / 64] >> *want % 64 & 1)) {
			printf("    %s: outcome 0x%02x was not found\n", name, *want);
			bad = 1;
		}
		left[*want / 64] &= ~(1ULL << *want % 64);
	}
	for (i = 0; i < 256; i++) {
		if (left[i / 64] >> i % 64 & 1) {
			printf("    %s: outcome 0x%02x is impossible\n", name, (unsigned)i);
			bad = 1;
		}
	}
	return bad;
}

#define O(a, b)		((a) << 6 | (b) << 4)
#define O4(a, b, c, d)	((a) << 6 | (b) << 4 | (c) << 2 | (d))

/* Message passing. */
static void mp_w_rlx(void *u) { (void)u; shmipc_store_relaxed(X, 1u); shmipc_store_relaxed(Y, 1u); }
static void mp_w_rel(void *u) { (void)u; shmipc_store_relaxed(X, 1u); shmipc_store_release(Y, 1u); }
static void mp_r_rlx(void *u) { (void)u; r0 = shmipc_load_relaxed(Y); r1 = shmipc_load_relaxed(X); }
static void mp_r_acq(void *u) { (void)u; r0 = shmipc_load_acquire(Y); r1 = shmipc_load_relaxed(X); }
static void mp_w_fence(void *u)
{
	(void)u;
	shmipc_store_relaxed(X, 1u);
	shmipc_fence_release();
	shmipc_store_relaxed(Y, 1u);
}
static void mp_r_fence(void *u)
{
	(void)u;
	r0 = shmipc_load_relaxed(Y);
	shmipc_fence_acquire();
	r1 = shmipc_load_relaxed(X);
}
static void mp_rlx(void) { spawn(mp_w_rlx, mp_r_rlx, NULL, NULL); }
static void mp_rel_only(void) { spawn(mp_w_rel, mp_r_rlx, NULL, NULL); }
static void mp_acq_only(void) { spawn(mp_w_rlx, mp_r_acq, NULL, NULL); }
static void mp_rel_acq(void) { spawn(mp_w_rel, mp_r_acq, NULL, NULL); }
static void mp_fences(void) { spawn(mp_w_fence, mp_r_fence, NULL, NULL); }
static void mp_fence_rel(void) { spawn(mp_w_rel, mp_r_fence, NULL, NULL); }

/* Store buffering. */
static void sb_a(void *u) { (void)u; shmipc_store_release(X, 1u); r0 = shmipc_load_acquire(Y); }
static void sb_b(void *u) { (void)u; shmipc_store_release(Y, 1u); r1 = shmipc_load_acquire(X); }
#define SB(name, w, fence, r, reg)					\
	static void name(void *u)					\
	{								\
		(void)u;						\
		shmipc_store_relaxed(w, 1u);				\
		fence;							\
		reg = shmipc_load_relaxed(r);				\
	}
SB(sb_a_sc, X, shmipc_fence_seq_cst(), Y, r0)
SB(sb_b_sc, Y, shmipc_fence_seq_cst(), X, r1)
SB(sb_a_light, X, shmipc_barrier_light(), Y, r0)
SB(sb_b_light, Y, shmipc_barrier_light(), X, r1)
SB(sb_b_heavy, Y, model_barrier_heavy(), X, r1)
SB(sb_a_none, X, (void)0, Y, r0)
static void sb_plain(void) { spawn(sb_a, sb_b, NULL, NULL); }
static void sb_fences(void) { spawn(sb_a_sc, sb_b_sc, NULL, NULL); }
static void sb_asym(void) { spawn(sb_a_light, sb_b_heavy, NULL, NULL); }
static void sb_lights(void) { spawn(sb_a_light, sb_b_light, NULL, NULL); }
static void sb_light_sc(void) { spawn(sb_a_light, sb_b_sc, NULL, NULL); }
static void sb_no_light(void) { spawn(sb_a_none, sb_b_heavy, NULL, NULL); }

/* Coherence: two readers agree on the order of the stores of one thread. */
static void co_w(void *u) { (void)u; shmipc_store_relaxed(X, 1u); shmipc_store_relaxed(X, 2u); }
static void co_r(void *u) { (void)u; r0 = shmipc_load_relaxed(X); r1 = shmipc_load_relaxed(X); }
static void co_rr(void) { spawn(co_w, co_r, NULL, NULL); }

/* Two writers: either store may be last. */
static void ww_a(void *u) { (void)u; shmipc_store_relaxed(X, 1u); }
static void ww_b(void *u) { (void)u; shmipc_store_relaxed(X, 2u); }
static void ww(void) { spawn(ww_a, ww_b, NULL, NULL); }
static void ww_finish(void) { r0 = shmipc_load_relaxed(X); finish(); }

/* Independent reads of independent writes: acquire does not forbid that they disagree. */
static void iriw_x(void *u) { (void)u; shmipc_store_release(X, 1u); }
static void iriw_y(void *u) { (void)u; shmipc_store_release(Y, 1u); }
static void iriw_a(void *u) { (void)u; r0 = shmipc_load_acquire(X); r1 = shmipc_load_acquire(Y); }
static void iriw_b(void *u) { (void)u; r2 = shmipc_load_acquire(Y); r3 = shmipc_load_acquire(X); }
#define SC_PAIR(name, p, q, rp, rq)					\
	static void name(void *u)					\
	{								\
		(void)u;						\
		rp = shmipc_load_relaxed(p);				\
		shmipc_fence_seq_cst();					\
		rq = shmipc_load_relaxed(q);				\
	}
SC_PAIR(iriw_a_sc, X, Y, r0, r1)
SC_PAIR(iriw_b_sc, Y, X, r2, r3)
static void iriw(void) { spawn(iriw_x, iriw_y, iriw_a, iriw_b); }
static void iriw_sc(void) { spawn(iriw_x, iriw_y, iriw_a_sc, iriw_b_sc); }

/* Updates are atomic: two fetch_or, exactly one sees the other. */
static void rmw_a(void *u) { (void)u; r0 = shmipc_fetch_or_acq_rel(X, 1u); }
static void rmw_b(void *u) { (void)u; r1 = shmipc_fetch_or_acq_rel(X, 2u); }
static void rmw(void) { spawn(rmw_a, rmw_b, NULL, NULL); }
static void cas_a(void *u)
{
	uint64_t e = 0;

	(void)u;
	r0 = (uint64_t)shmipc_cas_acq_rel(X, &e, 1u);
}
static void cas_b(void *u)
{
	uint64_t e = 0;

	(void)u;
	r1 = (uint64_t)shmipc_cas_acq_rel(X, &e, 2u);
}
static void cas(void) { spawn(cas_a, cas_b, NULL, NULL); }

/* An update in between keeps the release sequence; a plain store ends it. */
static void rs_a(void *u) { (void)u; shmipc_store_relaxed(X, 1u); shmipc_store_release(Y, 1u); }
static void rs_b(void *u) { uint64_t e = 1; (void)u; shmipc_cas_acq_rel(Y, &e, 2u); }
static void rs_c(void *u)
{
	(void)u;
	r0 = shmipc_load_acquire(Y);
	if (r0 == 2)
		r1 = shmipc_load_relaxed(X);
}
static void rs(void) { spawn(rs_a, rs_b, rs_c, NULL); }

/* Write to read causality, through a third thread. */
static void wrc_b(void *u)
{
	(void)u;
	r0 = shmipc_load_acquire(X);
	shmipc_store_release(Y, 1u);
}
static void wrc_c(void *u) { (void)u; r1 = shmipc_load_acquire(Y); r2 = shmipc_load_relaxed(X); }
static void wrc_a(void *u) { (void)u; shmipc_store_relaxed(X, 1u); }
static void wrc(void) { spawn(wrc_a, wrc_b, wrc_c, NULL); }

/* A thread waits for a store and sees a new value; a killed thread leaves a prefix. */
static void aw_b(void *u) { (void)u; model_await(X); r0 = shmipc_load_relaxed(X); }
static void await_all(void) { spawn(co_w, aw_b, NULL, NULL); }
static void death(void)
{
	spawn(NULL, NULL, NULL, NULL);
	model_spawn("a", mp_w_rlx, NULL, 1);
}
static void death_finish(void)
{
	r0 = shmipc_load_relaxed(X);
	r1 = shmipc_load_relaxed(Y);
	r2 = model_state(1) == MODEL_DIED;
	finish();
}

/* Futex: compare and sleep are one step; a wake before it has no effect. */
static void fx_sleep(void *u) { (void)u; r0 = model_futex_wait(X, 0, -1) ? 1 : 2; }
static void fx_wake(void *u) { (void)u; shmipc_store_relaxed(X, 1u); model_futex_wake(X); }
static void futex(void) { spawn(fx_wake, fx_sleep, NULL, NULL); }
static void futex_finish(void) { r1 = model_state(2) == MODEL_ASLEEP; finish(); }

/* Races of plain accesses; none with a release and an acquire. */
static void race_w(void *u)
{
	uint64_t v = 1;

	(void)u;
	shmipc_payload_write(D, &v, 8);
	shmipc_store_release(Y, 1u);
}
static void race_r(void *u)
{
	uint64_t v = 0;

	(void)u;
	r0 = shmipc_load_acquire(Y);
	if (r0)
		shmipc_payload_read(&v, D, 8);
	r1 = v;
}
static void race_r_rlx(void *u)
{
	uint64_t v = 0;

	(void)u;
	if (shmipc_load_relaxed(Y))
		shmipc_payload_read(&v, D, 8);
}
static void race_none(void) { spawn(race_w, race_r, NULL, NULL); }
static void race(void) { spawn(race_w, race_r_rlx, NULL, NULL); }

static const struct litmus {
	struct model_test test;
	int want[20];
	int must_fail;
} litmus[] = {
#define T(name, begin, end, ...)	{ { name, setup, begin, end, 0 }, { __VA_ARGS__, -1 }, 0 }
	T("message passing, relaxed", mp_rlx, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("message passing, release only", mp_rel_only, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("message passing, acquire only", mp_acq_only, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("message passing", mp_rel_acq, finish, O(0, 0), O(0, 1), O(1, 1)),
	T("message passing, fences", mp_fences, finish, O(0, 0), O(0, 1), O(1, 1)),
	T("message passing, release and fence", mp_fence_rel, finish, O(0, 0), O(0, 1), O(1, 1)),
	T("store buffering, acquire and release", sb_plain, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("store buffering, seq_cst fences", sb_fences, finish, O(0, 1), O(1, 0), O(1, 1)),
	T("store buffering, light and heavy", sb_asym, finish, O(0, 1), O(1, 0), O(1, 1)),
	T("store buffering, two lights", sb_lights, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("store buffering, light and seq_cst", sb_light_sc, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("store buffering, heavy alone", sb_no_light, finish, O(0, 0), O(0, 1), O(1, 0), O(1, 1)),
	T("coherence of reads", co_rr, finish, O(0, 0), O(0, 1), O(0, 2), O(1, 1), O(1, 2), O(2, 2)),
	T("two writers", ww, ww_finish, O(1, 0), O(2, 0)),
	T("independent reads, acquire", iriw, finish,
	  O4(0, 0, 0, 0), O4(0, 0, 0, 1), O4(0, 0, 1, 0), O4(0, 0, 1, 1), O4(0, 1, 0, 0),
	  O4(0, 1, 0, 1), O4(0, 1, 1, 0), O4(0, 1, 1, 1), O4(1, 0, 0, 0), O4(1, 0, 0, 1),
	  O4(1, 0, 1, 0), O4(1, 0, 1, 1), O4(1, 1, 0, 0), O4(1, 1, 0, 1), O4(1, 1, 1, 0),
	  O4(1, 1, 1, 1)),
	T("independent reads, seq_cst fences", iriw_sc, finish,
	  O4(0, 0, 0, 0), O4(0, 0, 0, 1), O4(0, 0, 1, 0), O4(0, 0, 1, 1), O4(0, 1, 0, 0),
	  O4(0, 1, 0, 1), O4(0, 1, 1, 0), O4(0, 1, 1, 1), O4(1, 0, 0, 0), O4(1, 0, 0, 1),
	  O4(1, 0, 1, 1), O4(1, 1, 0, 0), O4(1, 1, 0, 1), O4(1, 1, 1, 0), O4(1, 1, 1, 1)),
	T("updates are atomic", rmw, finish, O(0, 1), O(2, 0)),
	T("one cas wins", cas, finish, O(0, 1), O(1, 0)),
	T("release sequence", rs, finish, O(0, 0), O(1, 0), O(2, 1)),
	T("causality through a third thread", wrc, finish,
	  O4(0, 0, 0, 0), O4(0, 0, 1, 0), O4(0, 1, 0, 0), O4(0, 1, 1, 0),
	  O4(1, 0, 0, 0), O4(1, 0, 1, 0), O4(1, 1, 1, 0)),
	T("await", await_all, finish, O(1, 0), O(2, 0)),
	{ { "a death at each step", setup, death, death_finish, 1 },
	  { O4(0, 0, 1, 0), O4(1, 0, 1, 0), O4(1, 1, 1, 0), O4(1, 1, 0, 0), -1 }, 0 },
	T("futex: no wake is lost", futex, futex_finish, O(1, 0), O(2, 0)),
	T("no race with release and acquire", race_none, finish, O(0, 0), O(1, 1)),
	{ { "a race is found", setup, race, finish, 0 }, { -1 }, 1 },
};

/*
 * Random programs: the search with its reductions, against one without. Both must see
 * the same outcomes.
 */
#define R_THREADS	3
#define R_OPS		3
#define R_MAX		65536

static struct { int kind, word, val; } prog[R_THREADS][R_OPS];
static uint64_t result[R_THREADS][R_OPS];
static uint64_t outcomes[2][R_MAX];
static unsigned n_outcomes[2];
static uint64_t seed;
static int r_deaths;

static unsigned rnd(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

static void r_thread(void *arg)
{
	int t = (int)((uintptr_t)arg), i;
	uint64_t v, e, *w;

	for (i = 0; i < R_OPS; i++) {
		w = &mem[prog[t][i].word];
		v = (uint64_t)prog[t][i].val;
		e = 0;
		switch (prog[t][i].kind) {
		case 0: result[t][i] = shmipc_load_relaxed(w); break;
		case 1: result[t][i] = shmipc_load_acquire(w); break;
		case 2: shmipc_store_relaxed(w, v); break;
		case 3: shmipc_store_release(w, v); break;
		case 4: result[t][i] = (uint64_t)shmipc_cas_acq_rel(w, &e, v) << 8 | e; break;
		case 5: result[t][i] = shmipc_exchange_acq_rel(w, v); break;
		case 6: shmipc_fence_seq_cst(); break;
		case 7: shmipc_fence_acquire(); break;
		case 8: shmipc_fence_release(); break;
		case 9: shmipc_barrier_light(); break;
		case 10: model_barrier_heavy(); break;
		case 11: model_futex_wait(w, (uint32_t)e, -1); result[t][i] = 1; break;
		case 12: model_futex_wake(w); break;
		case 13: model_await(w); result[t][i] = 1; break;
		}
	}
	if (t && r_deaths) {	/* the previous thread is mortal */
		model_join(t);
		result[t][0] |= shmipc_load_relaxed(&mem[0]) << 16;
	}
}

static void r_begin(void)
{
	static const char *const names[] = { "a", "b", "c" };
	int t;

	memset(result, 0, sizeof(result));
	for (t = 0; t < R_THREADS; t++)
		model_spawn(names[t], r_thread, (void *)(uintptr_t)t, !t);
}

static void r_finish(void)
{
	uint64_t h = 14695981039346656037ULL;
	unsigned i, *n = &n_outcomes[model_brute];
	const uint64_t *v = &result[0][0];

	/* What dead threads have read does not count. */
	for (i = 0; i < R_THREADS * R_OPS; i++)
		if (model_state(1 + (int)i / R_OPS) != MODEL_DIED)
			h = (h ^ v[i]) * 1099511628211ULL;
	for (i = 0; i < 3; i++)
		h = (h ^ shmipc_load_relaxed(&mem[i])) * 1099511628211ULL;
	for (i = 1; i <= R_THREADS; i++)
		h = (h ^ (uint64_t)model_state((int)i)) * 1099511628211ULL;
	for (i = 0; i < *n; i++)
		if (outcomes[model_brute][i] == h)
			return;
	if (*n < R_MAX)
		outcomes[model_brute][(*n)++] = h;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void r_setup(void)
{
	setup();
	n_outcomes[model_brute] = 0;
}

static int random_program(uint64_t s, uint64_t *runs)
{
	/* Most operations are loads and stores. */
	static const int kinds[] = { 0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 };
	struct model_test test = { "random", r_setup, r_begin, r_finish, 0 };
	struct model_result r[2];
	int t, i, b, words;

	seed = s;
	r_deaths = test.deaths = !rnd(3);
	words = 1 + (int)rnd(3);
	for (t = 0; t < R_THREADS; t++) {
		for (i = 0; i < R_OPS; i++) {
			prog[t][i].kind = kinds[rnd(sizeof(kinds) / sizeof(*kinds))];
			prog[t][i].word = (int)rnd((unsigned)words);
			prog[t][i].val = 1 + t * R_OPS + i;
		}
	}
	for (t = 0; getenv("MODEL_SEED") && t < R_THREADS; t++)
		for (i = 0; i < R_OPS; i++)
			printf("    %c: kind %d, word %d, value %d\n", 'a' + t, prog[t][i].kind,
			       prog[t][i].word, prog[t][i].val);
	for (b = 0; b < 2; b++) {
		model_brute = b;
		model_explore(&test, 600, &r[b]);
		qsort(outcomes[b], n_outcomes[b], sizeof(uint64_t), by_value);
		runs[b] += r[b].executions + r[b].cut;
	}
	model_brute = 0;
	if (r[0].failed || r[1].failed || r[0].incomplete || r[1].incomplete ||
	    n_outcomes[0] != n_outcomes[1] ||
	    memcmp(outcomes[0], outcomes[1], n_outcomes[0] * sizeof(uint64_t))) {
		printf("    seed %llu: %u outcomes, %u without reductions\n",
		       (unsigned long long)s, n_outcomes[0], n_outcomes[1]);
		return 1;
	}
	return 0;
}

static int random_programs(void)
{
	const char *asked = getenv("MODEL_SEED");
	uint64_t s = asked ? strtoull(asked, NULL, 0) : 1, runs[2] = { 0, 0 };
	int i, bad = 0, n = asked ? 1 : getenv("MODEL_DEEP") ? 5000 : 100;

	for (i = 0; i < n; i++)
		bad |= random_program(s + (uint64_t)i, runs);
	printf("%s %d random programs from seed %llu: %llu executions, %llu without reductions\n",
	       bad ? "not ok" : "ok", n, (unsigned long long)s, (unsigned long long)runs[0],
	       (unsigned long long)runs[1]);
	return bad;
}

int main(void)
{
	struct model_result r;
	int passed = 0, failed = 0, bad;
	unsigned i;

	for (i = 0; i < sizeof(litmus) / sizeof(*litmus); i++) {
		const struct litmus *l = &litmus[i];

		model_explore(&l->test, 60, &r);
		bad = r.failed != l->must_fail;
		if (!r.failed)
			bad |= expect(l->test.name, l->want);
		printf("%s %s: %llu executions%s%s\n", bad ? "not ok" : "ok", l->test.name,
		       (unsigned long long)r.executions, r.failed ? ", " : "", r.why);
		passed += !bad;
		failed += bad;
	}
	bad = random_programs();
	passed += !bad;
	failed += bad;
	printf("%d passed, %d failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
