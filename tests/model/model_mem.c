/* SPDX-License-Identifier: MIT */
/*
 * model_mem.c - what a load may see
 *
 * Each location keeps all stores of the execution, in the order in which they were
 * executed; that is its modification order. A thread's view has, for each location, the
 * oldest store that it may still see: reading advances it (coherence), acquiring joins
 * the view that the releasing thread had. A load may return any store from there to the
 * newest. Fences are those of C11, with three views: what the thread knows, what it would
 * know after an acquire fence, and what it knew at its last release fence. The same views
 * carry vector clocks, and plain accesses that the clocks do not order are a data race.
 *
 * (The view machine of "A promising semantics for relaxed-memory concurrency",
 * Kang et al., POPL 2017, without promises: no load sees a store that is later in its
 * own program order.)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "model_priv.h"
#undef memcpy

#define HASH	1024

struct model_loc model_locs[MODEL_LOCS];
int model_n_locs;
unsigned model_sc_users, model_heavy_users;
int model_sc_n, model_light_n, model_heavy_n;
struct model_mutation model_mutation;

static struct model_view sc_view, light_view, heavy_view;
static uint8_t hash[HASH];	/* index + 1 */

static struct {
	uintptr_t from, to;
	const char *name;
	int data;
} regions[8];
static int n_regions;

void model_region(void *p, size_t n, const char *name, int data)
{
	if (n_regions == 8)
		abort();
	regions[n_regions].from = (uintptr_t)p;
	regions[n_regions].to = (uintptr_t)p + n;
	regions[n_regions].name = name;
	regions[n_regions++].data = data;
}

static int region_of(uintptr_t addr)
{
	int i;

	for (i = 0; i < n_regions; i++)
		if (addr >= regions[i].from && addr < regions[i].to)
			return i;
	return -1;
}

void model_mem_forget(void)
{
	n_regions = 0;
	model_guard = NULL;
	model_n_locs = 0;
	memset(hash, 0, sizeof(hash));
	model_sc_users = 0;
	model_heavy_users = 0;
}

static void loc_reset(struct model_loc *l)
{
	l->n = 1;
	l->wakes = 0;
	l->waits = 0;
	memset(&l->hist[0], 0, sizeof(l->hist[0]));
	l->hist[0].val = l->init;
	memset(&l->futex, 0, sizeof(l->futex));
	memset(l->last, 0, sizeof(l->last));
}

void model_mem_reset(void)
{
	int i;

	for (i = 0; i < model_n_locs; i++)
		loc_reset(&model_locs[i]);
	memset(&sc_view, 0, sizeof(sc_view));
	memset(&light_view, 0, sizeof(light_view));
	memset(&heavy_view, 0, sizeof(heavy_view));
	model_sc_n = 0;
	model_light_n = 0;
	model_heavy_n = 0;
}

void model_view_join(struct model_view *v, const struct model_view *w)
{
	int i;

	for (i = 0; i < MODEL_LOCS; i++)
		v->ts[i] = v->ts[i] > w->ts[i] ? v->ts[i] : w->ts[i];
	for (i = 0; i < MODEL_THREADS; i++)
		v->clk[i] = v->clk[i] > w->clk[i] ? v->clk[i] : w->clk[i];
}

void (*model_guard)(uintptr_t at);

static struct model_loc *loc_get(const volatile void *p, size_t bytes)
{
	uintptr_t addr = (uintptr_t)p;
	unsigned h = (unsigned)(addr >> 2) * 2654435761u >> 22;
	struct model_loc *l;
	int r;

	if (model_guard && model_me && !model_me_is_main())
		model_guard(addr);
	for (; hash[h % HASH]; h++) {
		l = &model_locs[hash[h % HASH] - 1];
		if (l->addr != addr)
			continue;
		if (l->bytes != bytes)
			model_fail("word at %p is used with %zu and with %zu bytes",
				   (const void *)addr, l->bytes, bytes);
		return l;
	}
	if (model_n_locs == MODEL_LOCS) {
		fprintf(stderr, "model: more than %d words; a smaller test, or MODEL_LOCS\n",
			MODEL_LOCS);
		abort();
	}
	r = region_of(addr);
	if (r < 0)
		model_fail("access to %p, which is in no region", (const void *)addr);
	l = &model_locs[model_n_locs++];
	hash[h % HASH] = (uint8_t)model_n_locs;
	l->addr = addr;
	l->bytes = bytes;
	l->data = regions[r].data;
	l->init = 0;
	memcpy(&l->init, (const void *)addr, bytes);
	l->writers = 0;
	l->unordered = 0;
	loc_reset(l);
	if (l->data)
		model_learned();	/* earlier copies should have accessed it */
	return l;
}

static unsigned index_of(const struct model_loc *l)
{
	return (unsigned)(l - model_locs);
}

void model_trace_at(struct model_at at, const struct model_loc *l, int m, uint64_t val,
		    const char *what)
{
	static const char *const names[MODEL_KINDS] = {
		"", "load relaxed", "load acquire", "store relaxed", "store release", "cas",
		"fetch_or", "fetch_add", "add relaxed", "exchange", "fence acquire", "fence release",
		"fence seq_cst", "barrier light", "barrier heavy", "plain read", "plain write", "racy read",
		"racy write", "await", "join", "futex wait", "futex wake", "DIES", "lock",
	};
	const char *base = at.file ? strrchr(at.file, '/') : NULL;
	char where[64], place[64] = "";
	int r;

	if (!model_trace || !model_me)
		return;
	snprintf(where, sizeof(where), "%s:%d", base ? base + 1 : at.file ? at.file : "-", at.line);
	if (l) {
		r = region_of(l->addr);
		snprintf(place, sizeof(place), "%s+0x%lx", regions[r].name,
			 (unsigned long)(l->addr - regions[r].from));
	}
	printf("    %-10s %-18s %-14s %-14s", model_me->name, where, names[at.kind], place);
	if (m >= 0)
		printf(" 0x%llx (store %d of %d)", (unsigned long long)val, m, l->n - 1);
	printf("%s%s\n", *what ? " " : "", what);
}

static int mutant(struct model_at at)
{
	if (at.line != model_mutation.at.line || at.kind != model_mutation.at.kind)
		return 0;
	return strcmp(at.file, model_mutation.at.file) ? 0 : model_mutation.variant;
}

/*
 * Races: an access of ours and an earlier one of another thread that does not happen
 * before it, one of them plain and one of them a write.
 */
static void race_check(struct model_at at, struct model_loc *l, int how)
{
	static const unsigned bad[MODEL_ACCESSES] = {
		[MODEL_PLAIN_R] = 1u << MODEL_PLAIN_W | 1u << MODEL_ATOMIC_W,
		[MODEL_PLAIN_W] = (1u << MODEL_ACCESSES) - 1,
		[MODEL_ATOMIC_R] = 1u << MODEL_PLAIN_W,
		[MODEL_ATOMIC_W] = 1u << MODEL_PLAIN_W | 1u << MODEL_PLAIN_R,
	};
	struct model_thread *t = model_me;
	int self = (int)(t - model_threads), i, k;

	l->last[how][self] = ++t->cur.clk[self];
	for (k = 0; k < MODEL_ACCESSES; k++) {
		if (!(bad[how] & 1u << k))
			continue;
		for (i = 1; i < model_n_threads; i++) {
			if (i == self || l->last[k][i] <= t->cur.clk[i])
				continue;
			model_trace_at(at, l, -1, 0, "RACE");
			model_fail("data race: %s at %s:%d with %s's earlier access",
				   t->name, at.file, at.line, model_threads[i].name);
		}
	}
}

static void do_read(struct model_at at, struct model_loc *l, int m, int acquire)
{
	struct model_thread *t = model_me;
	struct model_msg *msg = &l->hist[m];
	unsigned x = index_of(l);

	race_check(at, l, MODEL_ATOMIC_R);
	t->last_read[x] = (uint8_t)m;
	if (t->cur.ts[x] < m)
		t->cur.ts[x] = (uint8_t)m;
	if (t->acq.ts[x] < m)
		t->acq.ts[x] = (uint8_t)m;
	model_view_join(&t->acq, &msg->view);
	if (acquire)
		model_view_join(&t->cur, &msg->view);
}

/*
 * We are about to store, or to try: record it. Does another thread store here, not
 * ordered with ours? Then their order matters.
 */
static void order_check(struct model_loc *l)
{
	struct model_msg *last = &l->hist[l->n - 1];
	unsigned bit = 1u << (model_me - model_threads);

	if (!(l->writers & bit)) {
		l->writers |= bit;
		model_learned();
	}
	if (!l->unordered && last->clk > model_me->cur.clk[last->tid]) {
		l->unordered = 1;
		model_learned();
	}
}

/* Append a store. @with: a view that goes with it (release), or NULL. */
static void do_write(struct model_at at, struct model_loc *l, uint64_t v,
		     const struct model_view *with, int how)
{
	struct model_thread *t = model_me;
	unsigned self = (unsigned)(t - model_threads), x = index_of(l);
	struct model_msg *msg;

	if (l->n == MODEL_HIST)
		model_fail("more than %d stores to one word", MODEL_HIST);
	race_check(at, l, how);
	msg = &l->hist[l->n];
	msg->val = v;
	msg->tid = (uint8_t)self;
	msg->clk = t->cur.clk[self];
	t->cur.ts[x] = (uint8_t)l->n;
	if (with)
		msg->view = *with;
	else
		memset(&msg->view, 0, sizeof(msg->view));
	msg->view.ts[x] = (uint8_t)l->n;
	l->n++;
}

/* Outside of threads: the newest value, in place. */
static uint64_t *plain(const volatile void *p, size_t bytes)
{
	struct model_loc *l = loc_get(p, bytes);

	return &l->hist[l->n - 1].val;
}

static uint64_t raw_load(const volatile void *p, size_t bytes)
{
	uint64_t v = 0;

	memcpy(&v, (const void *)(uintptr_t)p, bytes);
	return v;
}

static uint64_t load_from(struct model_at at, struct model_loc *l, int lo)
{
	struct model_thread *t = model_me;
	int m;

	if (lo >= l->n || model_brute || (l->writers & model_others_alive())) {
		model_stop_here(OP_LOAD, l, lo);
		m = t->grant;
	} else {
		m = l->n - 1 - model_choose(l->n - lo);
	}
	do_read(at, l, m, at.kind == MODEL_LOAD_ACQUIRE && !mutant(at));
	model_trace_at(at, l, m, l->hist[m].val, "");
	return l->hist[m].val;
}

uint64_t model_load(struct model_at at, const volatile void *p, size_t bytes)
{
	struct model_loc *l;

	if (!model_me)
		return raw_load(p, bytes);
	if (model_me_is_main())
		return *plain(p, bytes);
	l = loc_get(p, bytes);
	model_arrive(at, 0);
	return load_from(at, l, model_me->cur.ts[index_of(l)]);
}

uint64_t model_await(const volatile void *p)
{
	struct model_at at = { NULL, 0, MODEL_AWAIT, "" };
	struct model_loc *l = loc_get(p, 8);
	int lo = model_me->last_read[index_of(l)] + 1;

	model_arrive(at, 1);
	if (lo < model_me->cur.ts[index_of(l)])
		lo = model_me->cur.ts[index_of(l)];
	return load_from(at, l, lo);
}

static void store_to(struct model_at at, struct model_loc *l, uint64_t v, int release)
{
	struct model_thread *t = model_me;

	model_arrive(at, 1);
	order_check(l);
	if (model_brute || (l->unordered && (l->writers & model_others_alive())))
		model_stop_here(OP_STORE, l, l->n);
	do_write(at, l, v, release ? &t->cur : &t->rel, MODEL_ATOMIC_W);
	model_trace_at(at, l, l->n - 1, v, "");
}

void model_store(struct model_at at, volatile void *p, size_t bytes, uint64_t v)
{
	if (!model_me)
		memcpy((void *)(uintptr_t)p, &v, bytes);
	else if (model_me_is_main())
		*plain(p, bytes) = v;
	else
		store_to(at, loc_get(p, bytes), v,
			 at.kind == MODEL_STORE_RELEASE && !mutant(at));
}

/* A read and a write in one step: part of a release sequence. */
static void do_update(struct model_at at, struct model_loc *l, uint64_t v)
{
	struct model_thread *t = model_me;
	struct model_view with = l->hist[l->n - 1].view;
	int how = mutant(at), m = l->n - 1, relaxed = at.kind == MODEL_ADD_RELAXED;

	order_check(l);
	do_read(at, l, m, how != 1 && !relaxed);
	if (how == 2 || relaxed)
		model_view_join(&with, &t->rel);
	do_write(at, l, v, &with, MODEL_ATOMIC_W);
	if (how != 2 && !relaxed)
		model_view_join(&l->hist[l->n - 1].view, &t->cur);
	model_trace_at(at, l, l->n - 1, v, "");
}

int model_cas(struct model_at at, volatile void *p, size_t bytes, void *expected, uint64_t v)
{
	struct model_thread *t = model_me;
	uint64_t want = raw_load(expected, bytes), was;
	struct model_loc *l;

	if (!t || model_me_is_main()) {
		was = t ? *plain(p, bytes) : raw_load(p, bytes);
		if (was == want)
			model_store(at, p, bytes, v);
		memcpy(expected, &was, bytes);
		return was == want;
	}
	l = loc_get(p, bytes);
	model_arrive(at, 1);
	t->expected = want;
	model_stop_here(OP_CAS, l, t->cur.ts[index_of(l)]);
	order_check(l);	/* also if it fails: in another order it may succeed */
	was = l->hist[t->grant].val;
	if (was == want) {
		do_update(at, l, v);
		return 1;
	}
	do_read(at, l, t->grant, !mutant(at));
	model_trace_at(at, l, t->grant, was, "(no)");
	memcpy(expected, &was, bytes);
	return 0;
}

static uint64_t updated(struct model_at at, uint64_t was, uint64_t v)
{
	return at.kind == MODEL_FETCH_OR ? was | v :
	       at.kind == MODEL_FETCH_ADD || at.kind == MODEL_ADD_RELAXED ? was + v : v;
}

uint64_t model_rmw(struct model_at at, volatile void *p, size_t bytes, uint64_t v)
{
	struct model_loc *l;
	uint64_t was;

	if (!model_me || model_me_is_main()) {
		was = model_load(at, p, bytes);
		model_store(at, p, bytes, updated(at, was, v));
		return was;
	}
	l = loc_get(p, bytes);
	model_arrive(at, 1);
	model_stop_here(OP_RMW, l, 0);
	was = l->hist[l->n - 1].val;
	do_update(at, l, updated(at, was, v));
	return was;
}

/*
 * A kernel's spinlock, which is 0 or 1: waits until it is 0, and makes it 1. Only an acquire;
 * it is released by a store.
 */
void model_lock(struct model_at at, uint64_t *p)
{
	struct model_loc *l;
	int how;

	if (!model_me || model_me_is_main())
		return;
	how = mutant(at);
	l = loc_get(p, sizeof(*p));
	model_arrive(at, 1);
	if (how == 2)
		return;
	model_stop_here(OP_LOCK, l, 0);
	order_check(l);
	do_read(at, l, l->n - 1, how != 1);
	do_write(at, l, 1, &l->hist[l->n - 1].view, MODEL_ATOMIC_W);
	model_trace_at(at, l, l->n - 1, 1, "");
}

static void user(unsigned *users)
{
	unsigned bit = 1u << (model_me - model_threads);

	if (!(*users & bit)) {
		*users |= bit;
		model_learned();
	}
}

static void fence_seq_cst(struct model_thread *t)
{
	model_view_join(&t->cur, &t->acq);
	model_view_join(&sc_view, &t->cur);
	t->cur = sc_view;
	t->acq = t->cur;
	t->rel = t->cur;
	model_sc_n++;
}

/*
 * Light and heavy, as in C++ proposal P1202: each pair of one light and one
 * heavy is ordered like two full fences; two lights are not.
 */
static void barrier_light(struct model_thread *t)
{
	model_view_join(&t->cur, &heavy_view);
	model_view_join(&t->acq, &t->cur);
	model_view_join(&light_view, &t->acq);
	model_light_n++;
}

static void barrier_heavy(struct model_thread *t)
{
	model_view_join(&t->acq, &light_view);
	model_view_join(&t->acq, &heavy_view);
	fence_seq_cst(t);
	heavy_view = t->cur;
	model_heavy_n++;
}

void model_fence(struct model_at at)
{
	struct model_thread *t = model_me;
	unsigned others;
	int how = t ? mutant(at) : 1;

	if (!t || model_me_is_main())
		return;
	model_arrive(at, at.kind == MODEL_BARRIER_HEAVY);
	if (how == 1)
		return;
	others = model_others_alive();
	switch ((int)at.kind) {
	case MODEL_FENCE_ACQUIRE:
		model_view_join(&t->cur, &t->acq);
		break;
	case MODEL_FENCE_RELEASE:
		t->rel = t->cur;
		break;
	case MODEL_FENCE_SEQ_CST:
		if (how == 2) {
			model_view_join(&t->cur, &t->acq);
			t->rel = t->cur;
			break;
		}
		user(&model_sc_users);
		if (model_brute || (others & model_sc_users))
			model_stop_here(OP_FENCE, NULL, 0);
		fence_seq_cst(t);
		break;
	case MODEL_BARRIER_LIGHT:
		if (model_brute || (others & model_heavy_users))
			model_stop_here(OP_FENCE, NULL, 0);
		barrier_light(t);
		break;
	case MODEL_BARRIER_HEAVY:
		user(&model_sc_users);
		user(&model_heavy_users);
		if (others)
			model_stop_here(OP_FENCE, NULL, 0);
		barrier_heavy(t);
		break;
	}
	model_trace_at(at, NULL, -1, 0, "");
}

/* Copies. Of a long one in a data region, the ends and all words known so far. */
static void pick_words(struct model_thread *t, uintptr_t at, size_t n)
{
	int i, j, r = region_of(at);
	uint32_t w, words = (uint32_t)((n + 7) / 8);

	t->n_copied = 0;
	if (!words)
		return;
	if (words <= 2 || !regions[r].data) {
		for (w = 0; w < words; w++)
			t->copied[t->n_copied++] = w;
		return;
	}
	t->copied[t->n_copied++] = 0;
	for (i = 0; i < model_n_locs; i++) {
		if (model_locs[i].addr <= at || model_locs[i].addr >= at + (words - 1) * 8)
			continue;
		w = (uint32_t)((model_locs[i].addr - at) / 8);
		for (j = t->n_copied; j > 0 && t->copied[j - 1] > w; j--)
			t->copied[j] = t->copied[j - 1];
		t->copied[j] = w;
		t->n_copied++;
	}
	t->copied[t->n_copied++] = words - 1;
}

const uint32_t *model_copied(int *ret_n)
{
	*ret_n = model_me->n_copied;
	return model_me->copied;
}

static uint64_t copy_read(struct model_at at, struct model_loc *l)
{
	if (model_me_is_main())
		return l->hist[l->n - 1].val;
	model_arrive(at, 0);
	if (at.kind == MODEL_RACY_READ)
		return load_from(at, l, model_me->cur.ts[index_of(l)]);
	race_check(at, l, MODEL_PLAIN_R);
	model_trace_at(at, l, l->n - 1, l->hist[l->n - 1].val, "");
	return l->hist[l->n - 1].val;
}

static void copy_write(struct model_at at, struct model_loc *l, uint64_t v)
{
	if (model_me_is_main()) {
		l->hist[l->n - 1].val = v;
	} else if (at.kind == MODEL_RACY_WRITE) {
		store_to(at, l, v, 0);
	} else {
		model_arrive(at, 1);
		order_check(l);
		do_write(at, l, v, NULL, MODEL_PLAIN_W);
		model_trace_at(at, l, l->n - 1, v, "");
	}
}

void model_copy(struct model_at at, void *dst, const void *src, size_t n)
{
	int write = at.kind == MODEL_PLAIN_WRITE || at.kind == MODEL_RACY_WRITE, i;
	unsigned char *d = dst;
	const unsigned char *s = src;
	struct model_loc *l;
	uint64_t v;
	size_t off, part;

	if (!model_me) {
		memcpy(dst, src, n);
		return;
	}
	pick_words(model_me, (uintptr_t)(write ? dst : src), n);
	for (i = 0; i < model_me->n_copied; i++) {
		off = (size_t)model_me->copied[i] * 8;
		part = n - off < 8 ? n - off : 8;
		l = loc_get(write ? d + off : s + off, 8);
		v = 0;
		if (write) {
			memcpy(&v, s + off, part);
			copy_write(at, l, v);
		} else {
			v = copy_read(at, l);
			memcpy(d + off, &v, part);
		}
	}
}

void *model_memcpy(const char *file, int line, void *dst, const void *src, size_t n)
{
	struct model_at at = { file, line, MODEL_PLAIN_WRITE, "" };

	if (!model_me)
		return memcpy(dst, src, n);
	if (region_of((uintptr_t)src) >= 0)
		at.kind = MODEL_PLAIN_READ;
	else if (region_of((uintptr_t)dst) < 0)
		return memcpy(dst, src, n);
	model_copy(at, dst, src, n);
	return dst;
}

/* The kernel's lock on the word's bucket orders a wake before the waits after it. */
int model_futex_wait(const volatile void *p, uint32_t val, int peer)
{
	struct model_at at = { NULL, 0, MODEL_FUTEX_WAIT, "" };
	struct model_thread *t = model_me;
	struct model_loc *l = loc_get(p, 8);

	model_arrive(at, 1);
	model_stop_here(OP_FUTEX_WAIT, l, t->cur.ts[index_of(l)]);
	model_view_join(&t->cur, &l->futex);
	do_read(at, l, t->grant, 0);
	model_trace_at(at, l, t->grant, l->hist[t->grant].val, "");
	l->waits++;
	if ((uint32_t)l->hist[t->grant].val != val)
		return -EAGAIN;
	t->target = peer;
	t->woken = 0;
	t->state = MODEL_ASLEEP;
	model_stop_here(OP_SLEEP, l, 0);
	t->state = MODEL_RUNNING;
	model_view_join(&t->cur, &l->futex);
	if (t->woken)
		return 0;
	if (peer < 0)		/* of several: the caller looks which, and joins it */
		return -EOWNERDEAD;
	model_view_join(&t->cur, &model_threads[peer].acq);
	model_view_join(&t->cur, &model_threads[peer].cur);
	return -EOWNERDEAD;
}

int model_futex_wait_deaths(const volatile void *p, uint32_t val, unsigned mask, int deaths)
{
	model_me->watched = mask;
	model_me->deaths = deaths;
	return model_futex_wait(p, val, MODEL_DEATHS);
}

static int is_asleep_on(const struct model_thread *t, const struct model_loc *l)
{
	return t->state == MODEL_ASLEEP && t->loc == l && !t->woken;
}

void model_futex_wake_some(const volatile void *p, int n)
{
	struct model_at at = { NULL, 0, MODEL_FUTEX_WAKE, "" };
	struct model_loc *l = loc_get(p, 8);
	int i, pick, asleep = 0;

	model_arrive(at, 1);
	model_stop_here(OP_FUTEX_WAKE, l, 0);
	model_view_join(&l->futex, &model_me->cur);
	l->wakes++;
	for (i = 1; i < model_n_threads; i++)
		asleep += is_asleep_on(&model_threads[i], l);
	pick = n ? model_choose(asleep) : 0;
	for (i = 1; i < model_n_threads; i++)
		if (is_asleep_on(&model_threads[i], l) && (!n || !pick--))
			model_threads[i].woken = 1;
	model_trace_at(at, l, -1, 0, n ? "one" : "");
}
