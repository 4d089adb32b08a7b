// SPDX-License-Identifier: MIT
/* waiter.c - look, spin, sleep: see waiter.h */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shmipc/segment.h>

#include "wait/waiter.h"

#define SPIN_DEFAULT_NS		20000u	/* if there is more than one CPU */
#define QUICK_LOOKS		128	/* before anything else is done, even reading the clock */
#define LOOKS			64	/* between two reads of the clock */
#define ANY_LOOKS		8	/* the same, of each of many */
#define ROUNDS			4096	/* of repeating because something was settled */
#define SPIN_SETTLE_NS		1000000u	/* while spinning: check for dead peers this often ... */
#define SPIN_SURE_NS		50000000u	/* ... and ask the kernel this often */
#define NO_FENCE_NS		1000000u	/* no store stays in a CPU's buffer this long */
#define GATHER_NS		1000u	/* the reader of a stream waits this long ... */
#define GATHER_MIN		4	/* ... and it is a stream if this many messages came meanwhile */
#define GATHER_EVERY		16u	/* waits between the first trials */
#define GATHER_EVERY_MAX	2048u	/* the longest interval, if it is not a stream */

/* One call. */
struct waiting {
	struct shmipc_waiter *w;
	const struct shmipc_wait_item *item;
	size_t n;
	size_t from;		/* the search begins here */
	size_t first;		/* one that is ready; @n: none, look again */
	uint64_t deadline_ns;
	uint64_t wanted;	/* sum of what was wanted at the last sleep */
	enum shmipc_tick tick;	/* of the last sleep ... */
	uint32_t naps;		/* ... and how many of this kind in a row */
	bool sure;		/* a tick has passed: ask the kernel */
	struct shmipc_wait_set set;
};

static const struct {
	uint64_t first_ns;
	uint64_t most_ns;
} tick_of[] = {
	[SHMIPC_TICK_NONE] = { UINT64_C(600000000000), UINT64_C(600000000000) },
	[SHMIPC_TICK_GUARD] = { UINT64_C(50000000), UINT64_C(102400000000) },
	[SHMIPC_TICK_ROOM] = { UINT64_C(1000000), UINT64_C(128000000) },
	[SHMIPC_TICK_UNSURE] = { UINT64_C(2000000), UINT64_C(64000000) },
	[SHMIPC_TICK_POLL] = { UINT64_C(1000000), UINT64_C(16000000) },
};

static uint64_t earlier_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void shmipc_waiter_init(struct shmipc_waiter *w, uint64_t spin_ns, const uint64_t *taken)
{
	memset(w, 0, sizeof(*w));
	w->spin_ns = spin_ns;
	if (!spin_ns)
		w->spin_ns = sysconf(_SC_NPROCESSORS_ONLN) > 1 ? SPIN_DEFAULT_NS : 0;
	else if (spin_ns == UINT64_MAX)
		w->spin_ns = 0;
	w->taken = taken;
	w->gather_every = w->gather_in = GATHER_EVERY;
	shmipc_cadence_init(&w->cadence);
}

/* The set of words */

static void set_begin(struct shmipc_wait_set *set)
{
	if (!set->w) {
		set->w = set->few;
		set->max = SHMIPC_WORDS_MAX;
	}
	set->n = 0;
	set->err = 0;
	set->tick = SHMIPC_TICK_NONE;
	set->exclusive = false;
	set->until_ns = UINT64_MAX;
	set->sleep = NULL;
}

static void set_end(struct shmipc_wait_set *set)
{
	if (set->w != set->few)
		free(set->w);
}

static bool set_grow(struct shmipc_wait_set *set)
{
	struct shmipc_word *w = malloc(2 * set->max * sizeof(*w));

	if (!w)
		return false;
	memcpy(w, set->w, set->n * sizeof(*w));
	set_end(set);
	set->w = w;
	set->max *= 2;
	return true;
}

void shmipc_wait_set_add(struct shmipc_wait_set *set, struct shmipc_word w)
{
	if (set->n == set->max && !set_grow(set)) {
		set->err = shmipc_fail(-ENOMEM, "shmipc: wait: no memory for %zu words (ENOMEM)",
				       2 * set->max);
		return;
	}
	set->w[set->n++] = w;
}

void shmipc_wait_set_by(struct shmipc_wait_set *set,
			int (*sleep)(struct shmipc_wait_set *set, uint64_t until_ns))
{
	if (set->sleep && set->sleep != sleep)
		set->err = shmipc_fail(-EINVAL, "shmipc: wait: the things waited for belong to two backends (EINVAL)");
	set->sleep = sleep;
}

/* Looking */

static bool ready(const struct waiting *g, size_t i)
{
	return g->item[i].ops->ready(g->item[i].arg);
}

/* The first one that is ready, if any. */
static bool find_ready(struct waiting *g)
{
	size_t i, at = g->from;

	for (i = 0; i < g->n; i++, at = at + 1 < g->n ? at + 1 : 0)
		if (ready(g, at)) {
			g->first = at;
			return true;
		}
	return false;
}

static void pause_times(uint32_t n)
{
	while (n--)
		shmipc_cpu_relax();
}

/*
 * Until the word is no longer @val; @pauses: before the first look.
 *
 * Each look also fetches the line after the word's, where its message goes on. Otherwise
 * that line would be asked for only after the word has arrived, and would take as long
 * again (a topic's round trip between far CPUs: 550 ns instead of 770).
 */
static bool poll_word(const __u64 *word, uint64_t val, uint32_t pauses, int looks)
{
	pause_times(pauses);
	while (looks--) {
		shmipc_prefetch_read((const unsigned char *)word + SHMIPC_LINE);
		/* Relaxed: when it has changed, it is read again, in order. */
		if (shmipc_load_relaxed(word) != val)
			return true;
		pause_times(SHMIPC_CADENCE_AGAIN);
	}
	return false;
}

static const __u64 *word_to_poll(const struct waiting *g, uint64_t *ret_val)
{
	return g->n == 1 && g->item->ops->poll ? g->item->ops->poll(g->item->arg, ret_val) : NULL;
}

/*
 * First of all: waiting for an answer within a microsecond should cost nothing but reads.
 * The caller has looked once. These are the waits from which the number of pauses is found.
 */
static bool quick(struct waiting *g)
{
	struct shmipc_cadence *c = &g->w->cadence;
	uint64_t val = 0;
	const __u64 *word = word_to_poll(g, &val);

	if (!word || !poll_word(word, val, shmipc_cadence_begin(c), QUICK_LOOKS))
		return false;
	if (!g->w->gathering)
		shmipc_cadence_end(c, c->turn ? shmipc_cadence_ticks() : 0);
	return true;
}

/* A few looks, taking at most some microseconds. */
static bool look_some(struct waiting *g)
{
	uint64_t val = 0;
	const __u64 *word = word_to_poll(g, &val);
	int i;

	if (word)
		return poll_word(word, val, 0, LOOKS) || find_ready(g);
	for (i = 0; i < ANY_LOOKS; i++) {
		if (find_ready(g))
			return true;
		shmipc_cpu_relax();
	}
	return false;
}

/* Is a dead peer in the way? 1: something was done about it. */
static int settle(const struct waiting *g, bool sure)
{
	const struct shmipc_wait_item *item = g->item;
	int ret = 0, any = 0;
	size_t i;

	for (i = 0; i < g->n && ret >= 0; i++, item++) {
		ret = item->ops->settle ? item->ops->settle(item->arg, sure) : 0;
		any |= ret > 0;
	}
	return ret < 0 ? ret : any;
}

/*
 * A reader that keeps up with its writer takes each line away while the writer is still
 * filling it, and both slow down to the pace of that line: half or a quarter of their
 * speed. So the reader of a stream waits a moment before it looks. Trials find out
 * whether it is a stream: then several messages arrive in that moment. In a round trip
 * only one does, and trials become rare: one wait in a thousand, so that they do not
 * affect the 99th percentile.
 */
static void gather(struct shmipc_waiter *w)
{
	uint64_t got, until;

	if (!w->taken)
		return;
	got = *w->taken - w->gather_taken;
	w->gather_taken = *w->taken;
	if (w->gathering && got >= GATHER_MIN) {
		w->gather_every = GATHER_EVERY;
	} else if (w->gathering) {
		w->gathering = false;
		if (w->gather_every < GATHER_EVERY_MAX)
			w->gather_every *= 2;
		w->gather_in = w->gather_every;
	} else if (!w->gather_in--) {
		w->gathering = true;
	}
	if (!w->gathering)
		return;
	until = shmipc_later(shmipc_now_ns(), GATHER_NS);
	while (shmipc_now_ns() < until)
		shmipc_cpu_relax();
}

/* Look until it is ready, or the time to spin is over. 1: look again; 0: it is over. */
static int spin(struct waiting *g)
{
	uint64_t now, end, ask, sure;
	int ret;

	if (!g->w->spin_ns || g->item->ops->patient)
		return 0;
	now = shmipc_now_ns();
	end = earlier_of(shmipc_later(now, g->w->spin_ns), g->deadline_ns);
	ask = shmipc_later(now, SPIN_SETTLE_NS);
	sure = shmipc_later(now, SPIN_SURE_NS);
	while (now < end) {
		if (look_some(g))
			return 1;
		now = shmipc_now_ns();
		if (now < ask)
			continue;
		ret = settle(g, now >= sure);
		if (ret)
			return ret;
		ask = shmipc_later(now, SPIN_SETTLE_NS);
		if (now >= sure)
			sure = shmipc_later(now, SPIN_SURE_NS);
	}
	return 0;
}

/* Sleeping */

/* Announce for all that we sleep. false: look again. */
static bool want_all(const struct waiting *g, uint64_t *ret_sum, bool *ret_said)
{
	const struct shmipc_wait_item *item = g->item;
	uint64_t want;
	size_t i;

	*ret_sum = 0;
	*ret_said = false;
	for (i = 0; i < g->n; i++, item++) {
		want = item->ops->want ? item->ops->want(item->arg) : SHMIPC_WANT_NOTHING;
		if (want == SHMIPC_WANT_AGAIN)
			return false;
		if (want == SHMIPC_WANT_NOTHING)
			continue;
		*ret_sum += want;
		*ret_said = true;
	}
	return true;
}

static bool look_all(struct waiting *g)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (!g->item[i].ops->look(g->item[i].arg, &g->set))
			return false;
	return true;
}

static void tell_all(const struct waiting *g, int ret)
{
	size_t i;

	for (i = 0; i < g->n; i++)
		if (g->item[i].ops->tell)
			g->item[i].ops->tell(g->item[i].arg, g->set.w->word, ret);
}

static uint64_t tick_ns(struct waiting *g)
{
	enum shmipc_tick tick = g->set.tick;
	uint64_t ns = tick_of[tick].first_ns;
	uint32_t i;

	if (g->tick != tick)
		g->naps = 0;
	g->tick = tick;
	for (i = 0; i < g->naps && ns < tick_of[tick].most_ns; i++)
		ns *= 2;
	return ns;
}

/* The words are known, and no dead peer is in the way: sleep until one changes. */
static int sleep_on(struct waiting *g, bool fenced)
{
	uint64_t now = shmipc_now_ns(), tick, until;
	int ret;

	if (now >= g->deadline_ns)
		return -ETIMEDOUT;
	tick = tick_ns(g);
	/*
	 * Without membarrier the other side may have read want before we wrote it, and its
	 * store may still be under way. A moment later we see it.
	 */
	if (!fenced)
		tick = earlier_of(tick, NO_FENCE_NS);
	until = earlier_of(shmipc_later(now, tick), earlier_of(g->deadline_ns, g->set.until_ns));
	g->w->sleeps++;
	tell_all(g, 1);
	ret = g->set.sleep(&g->set, until);
	tell_all(g, ret);
	g->sure = false;
	if (ret != -ETIMEDOUT)
		return ret;
	if (until < g->deadline_ns && until < g->set.until_ns) {
		g->w->ticks++;
		g->sure = true;
		if (fenced)
			g->naps++;
	}
	return 0;
}

/* 0: slept; 1: look again; -errno. */
static int sleep_once(struct waiting *g)
{
	uint64_t wanted;
	bool said, fenced;
	int ret;

	if (!want_all(g, &wanted, &said))
		return 1;
	/* wait.W1 <- wait.W0, wait.W3 <- wait.W2: the want is visible before we look again. */
	fenced = !said || shmipc_barrier_heavy();
	if (!fenced && wanted == g->wanted)
		fenced = true;		/* it has been visible for long */
	set_begin(&g->set);
	if (!look_all(g))
		return 1;
	ret = settle(g, g->sure);
	if (!ret)
		ret = g->set.err;
	if (!ret)
		ret = sleep_on(g, fenced);
	g->wanted = wanted;
	return ret;
}

/* 0: @first is ready, or if it is @n: look again. */
static int run(struct waiting *g)
{
	SHMIPC_NO_CANCEL;
	int ret;

	ret = settle(g, false);
	if (ret)
		return ret < 0 ? ret : 0;
	if (!g->deadline_ns)
		return -EAGAIN;
	ret = spin(g);
	while (!ret) {
		if (shmipc_now_ns() >= g->deadline_ns)
			return -ETIMEDOUT;
		ret = sleep_once(g);
		if (!ret && find_ready(g))
			return 0;
	}
	return ret < 0 ? ret : 0;
}

int shmipc_wait_one(struct shmipc_waiter *w, const struct shmipc_wait_ops *ops, void *arg,
		    uint64_t deadline_ns)
{
	const struct shmipc_wait_item item = { ops, arg };
	struct waiting g;
	int ret;

	g.w = w;
	g.item = &item;
	g.n = 1;
	if (deadline_ns && w->spin_ns && !ops->patient) {
		gather(w);
		if (quick(&g))
			return 0;
	}
	g.from = 0;
	g.deadline_ns = deadline_ns;
	g.wanted = 0;
	g.tick = SHMIPC_TICK_NONE;
	g.naps = 0;
	g.sure = false;
	g.set.w = NULL;
	ret = run(&g);
	if (g.set.w)
		set_end(&g.set);
	return ret;
}

int shmipc_wait_any(struct shmipc_waiter *w, const struct shmipc_wait_item *item, size_t n,
		    size_t from, size_t *ret_first, uint64_t deadline_ns)
{
	struct waiting g;
	int ret = 0, rounds = 0;

	g.w = w;
	g.item = item;
	g.n = n;
	g.from = from < n ? from : 0;
	g.first = n;
	g.deadline_ns = deadline_ns;
	g.wanted = 0;
	g.tick = SHMIPC_TICK_NONE;
	g.naps = 0;
	g.sure = false;
	g.set.w = NULL;
	/* A hostile peer may cause more orphans than there is time for. */
	while (!find_ready(&g)) {
		ret = rounds++ < ROUNDS || shmipc_now_ns() < deadline_ns ? run(&g) :
		      deadline_ns ? -ETIMEDOUT : -EAGAIN;
		if (ret)
			break;
	}
	if (g.set.w)
		set_end(&g.set);
	if (!ret)
		*ret_first = g.first;
	return ret;
}
