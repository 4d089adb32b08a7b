// SPDX-License-Identifier: MIT
/*
 * listener_wait.c - a listener that has nothing to report: its functions for the waiter
 *
 * For one event it sleeps on the low half of the count, for several on its bell. The death
 * of a notifier also wakes it: the notifier may have been killed before it woke anybody.
 * So does one that attaches, so that it is watched. See wait/waiter.h and
 * shmipc/inline/counts.h.
 */
#include <errno.h>

#include "event/event.h"

#define ROUNDS	64	/* without a look at the clock */

static bool is_one(const struct shmipc_listening *g)
{
	return g->n == 1 && g->event[0] != SHMIPC_LISTEN_DIED;
}

static uint64_t clock_of(const struct shmipc_listener *l)
{
	return l->expects ? shmipc_now_ns() : 0;
}

static bool has(const struct shmipc_listener *l, uint32_t event, uint64_t now_ns)
{
	if (event == SHMIPC_LISTEN_DIED)
		return l->deaths.total != l->deaths_seen;
	return shmipc_counts_read(&l->counts, event) != l->seen[event] ||
	       shmipc_expected_missed(l, event, now_ns);
}

bool shmipc_listening_ready(const struct shmipc_listening *g)
{
	uint64_t now = clock_of(g->l);
	size_t i;

	for (i = 0; i < g->n; i++)
		if (has(g->l, g->event[i], now) != g->all)
			return !g->all;
	return g->all;
}

static bool listening_ready(void *arg)
{
	return shmipc_listening_ready(arg);
}

static const __u64 *listening_poll(void *arg, uint64_t *ret_val)
{
	const struct shmipc_listening *g = arg;

	if (!is_one(g))
		return NULL;
	*ret_val = g->l->seen[g->event[0]];
	return shmipc_counts_count(&g->l->counts, g->event[0]);
}

static bool listens_to_deaths(const struct shmipc_listening *g)
{
	size_t i;

	for (i = g->n; i-- > 0;)
		if (g->event[i] == SHMIPC_LISTEN_DIED)
			return true;
	return false;
}

static int listening_settle(void *arg, bool sure)
{
	const struct shmipc_listening *g = arg;
	struct shmipc_listener *l = g->l;
	uint64_t were = l->deaths.total;

	if (listens_to_deaths(g))
		shmipc_event_deaths_look(&l->deaths, l->seg, &l->counts, sure);
	return l->deaths.total != were;
}

/* In the private set are the events that it sleeps for; deaths have the last bit. */
static uint64_t *mark_of(const struct shmipc_listener *l, uint32_t event, uint64_t *ret_bit)
{
	uint32_t bit = event == SHMIPC_LISTEN_DIED ? l->live : event;

	*ret_bit = UINT64_C(1) << bit % 64;
	return &l->mark[bit / 64];
}

static bool is_marked(const struct shmipc_listener *l, uint32_t event)
{
	uint64_t bit, *word = mark_of(l, event, &bit);

	return *word & bit;
}

/* The set that notifiers see; @shown: that of the marks, else empty. */
static void show_set(const struct shmipc_listener *l, bool shown)
{
	__u64 *set = shmipc_counts_set(&l->counts, l->at);
	uint32_t i;

	for (i = 0; i < (l->live + 63) / 64; i++)
		shmipc_store_relaxed(&set[i], shown ? l->mark[i] : 0);
}

/* Mark what is missing. false: look again, as there is enough. */
static bool mark_all(const struct shmipc_listening *g)
{
	struct shmipc_listener *l = g->l;
	uint64_t now = clock_of(l), bit, *word;
	bool any = false;
	size_t i;

	for (i = 0; i < l->live / 64 + 1u; i++)
		l->mark[i] = 0;
	for (i = 0; i < g->n; i++) {
		if (has(l, g->event[i], now)) {
			if (!g->all)
				return false;
			continue;
		}
		word = mark_of(l, g->event[i], &bit);
		*word |= bit;
		any = true;
	}
	return any;
}

static uint64_t listening_want(void *arg)
{
	const struct shmipc_listening *g = arg;
	struct shmipc_listener *l = g->l;
	const struct shmipc_counts *c = &l->counts;
	struct shmipc_event_want *want;
	uint32_t event;
	size_t i;

	if (!l->live || !mark_all(g))
		return SHMIPC_WANT_AGAIN;
	if (!is_one(g))
		show_set(l, true);
	for (i = 0; i < g->n; i++) {
		event = g->event[i];
		if (event == SHMIPC_LISTEN_DIED || !is_marked(l, event))
			continue;
		want = shmipc_counts_want_of(c, event);
		if (!shmipc_counts_want(c, event, is_one(g) ? &want->one : &want->many,
					l->seen[event]))
			return SHMIPC_WANT_AGAIN;
	}
	shmipc_counts_fence();
	return SHMIPC_WANT_NOTHING;	/* that was the fence */
}

/* Is something there by now that was missing? Otherwise until when it may be missing. */
static bool look_at_marks(const struct shmipc_listening *g, struct shmipc_wait_set *set)
{
	const struct shmipc_listener *l = g->l;
	uint64_t now = clock_of(l), due;
	uint32_t event;
	size_t i;

	for (i = 0; i < g->n; i++) {
		event = g->event[i];
		if (!is_marked(l, event))
			continue;
		if (has(l, event, now))
			return true;
		if (!l->expects || event == SHMIPC_LISTEN_DIED || !l->expected[event].period_ns)
			continue;
		due = l->expected[event].due_ns;
		if (due < set->until_ns)
			set->until_ns = due;
	}
	return false;
}

static bool listening_look(void *arg, struct shmipc_wait_set *set)
{
	struct shmipc_listening *g = arg;
	struct shmipc_listener *l = g->l;
	const struct shmipc_counts *c = &l->counts;
	uint32_t val;

	if (is_one(g)) {
		val = (uint32_t)l->seen[g->event[0]];
		shmipc_watch_word(l->seg, set, shmipc_low32(shmipc_counts_count(c, g->event[0])), val);
	} else {
		/* The bell first, then the counts. */
		val = (uint32_t)shmipc_counts_bell(c, l->at);
		shmipc_watch_word(l->seg, set, shmipc_low32(&c->bell[l->at].rings), val);
	}
	l->seg->be->watch_peers(l->seg, set, c->notifiers);
	(void)listening_settle(arg, false);	/* after that: what has died meanwhile */
	return !look_at_marks(g, set);
}

static void listening_tell(void *arg, const uint32_t *word, int ret)
{
	const struct shmipc_listening *g = arg;
	const struct shmipc_listener *l = g->l;
	uint64_t off = shmipc_probe_off(l->seg, word);

	if (ret > 0)
		shmipc_probe_wait(l->seg, l->end.slot, off, l->taken, SHMIPC_ROLE_READER);
	else
		shmipc_probe_wait_end(l->seg, l->end.slot, off, (int64_t)ret, SHMIPC_ROLE_READER);
}

static const struct shmipc_wait_ops listening_ops = {
	.ready = listening_ready,
	.poll = listening_poll,
	.settle = listening_settle,
	.want = listening_want,
	.look = listening_look,
	.tell = listening_tell,
};

/* One that writes counts all the time, and takes them back, must not keep us here. */
static bool over(uint64_t deadline_ns, uint32_t rounds)
{
	return rounds > ROUNDS && shmipc_now_ns() >= deadline_ns;
}

int shmipc_listening_wait(struct shmipc_listening *g, uint64_t deadline_ns)
{
	struct shmipc_listener *l = g->l;
	uint32_t rounds = 0;
	int ret = 0;

	while (!shmipc_listening_ready(g)) {
		ret = shmipc_wait_one(&l->wait, &listening_ops, g, deadline_ns);
		if (!ret && over(deadline_ns, rounds++))
			ret = deadline_ns ? -ETIMEDOUT : -EAGAIN;
		if (ret)
			break;
	}
	if (!is_one(g) && l->live)
		show_set(l, false);
	/* What came in the last moment, or was not told of, is there all the same. */
	if ((ret == -ETIMEDOUT || ret == -EAGAIN) && shmipc_listening_ready(g))
		return 0;
	return ret;
}
