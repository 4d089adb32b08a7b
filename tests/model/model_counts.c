/* SPDX-License-Identifier: MIT */
/*
 * model_counts.c - events: counts that only grow, what sleepers want of them, and bells
 *
 * A listener sleeps on one count, or on its bell for two of them. Notifiers and listeners
 * may die at any step; a sleeping listener is told of the death of a notifier, as by the
 * peer table, and looks again. There are no clocks: a lost wake is a sleep without end.
 */
#include "model.h"

#include <shmipc/inline/counts.h>

#define EVENTS	2u
#define BYTES	(4 * SHMIPC_CTL_PAGE)

static union {
	unsigned char bytes[BYTES];
	uint64_t align[8];
} mem __attribute__((aligned(4096)));
static uint64_t data[8 * EVENTS] __attribute__((aligned(64)));
static struct shmipc_counts counts;

static int th_notifier[2], notifiers, th_listener[2], listeners;
static int mortal_notifier;
static uint64_t times;			/* each notifier notifies so often */
static uint32_t event_of[2];		/* of each notifier */
static uint64_t total[2];		/* each listener listens until so many came, of all its events */
static uint64_t took[2];

static void setup(void)
{
	struct shmipc_event_hdr h = { .events = EVENTS, .sides = { .producers = 2, .readers = 2 } };

	memset(&mem, 0, sizeof(mem));
	if (shmipc_counts_layout(&h))
		model_fail("no layout");
	h.sides.read_off = SHMIPC_CTL_PAGE;
	h.sides.prod_off = h.sides.read_off + h.sides.read_bytes;
	if (h.sides.prod_off + h.sides.prod_bytes > BYTES || shmipc_counts_check(&mem, &h, &counts))
		model_fail("no counts");
	model_region(&mem, sizeof(mem), "mem", 0);
	model_region(data, sizeof(data), "data", 0);
}

static void reset(void)
{
	memset(&mem, 0, sizeof(mem));
	memset(data, 0, sizeof(data));
	memset(took, 0, sizeof(took));
	notifiers = listeners = mortal_notifier = 0;
	times = 1;
	event_of[0] = event_of[1] = 0;
	total[0] = total[1] = 0;
}

/* As lib/event/notifier.c */
static void notify(uint32_t event)
{
	const struct shmipc_event_want *want = shmipc_counts_want_of(&counts, event);
	uint64_t old;
	uint32_t i, n;

	if (!shmipc_counts_add(&counts, event, 1, &old))
		return;
	if (shmipc_counts_sleeps(&counts, event, &want->one, old))
		model_futex_wake(shmipc_counts_count(&counts, event));
	if (!shmipc_counts_sleeps(&counts, event, &want->many, old))
		return;
	n = shmipc_counts_used(&counts);
	for (i = 0; i < n; i++) {
		if (!shmipc_counts_in_set(&counts, i, event))
			continue;
		shmipc_counts_ring(&counts, i);
		model_futex_wake(&counts.bell[i].rings);
	}
}

static void notifier(void *arg)
{
	uint32_t event = event_of[(intptr_t)arg];
	uint64_t i;

	for (i = 1; i <= times; i++) {
		/* What it writes before it notifies comes with the notification. */
		if (notifiers == 1)
			shmipc_store_relaxed(&data[8 * event], i);
		notify(event);
	}
}

static int peer(void)
{
	return mortal_notifier ? th_notifier[0] : -1;
}

/* Is it over? The notifier is dead, and all that it notified has been received. */
static int all_dead(void)
{
	if (!mortal_notifier || model_state(th_notifier[0]) != MODEL_DIED)
		return 0;
	model_join(th_notifier[0]);
	return 1;
}

static void take(int me, uint32_t event, uint64_t *seen)
{
	uint64_t is = shmipc_counts_read(&counts, event);

	model_check(is >= *seen, "the count went back");
	if (is == *seen)
		return;
	took[me] += is - *seen;
	*seen = is;
	if (notifiers == 1)
		model_check(shmipc_load_relaxed(&data[8 * event]) >= is, "notified without its data");
}

/* Waits for event 0 */
static void listen_one(void *arg)
{
	int me = (int)(intptr_t)arg, dead;
	__u64 *want = &shmipc_counts_want_of(&counts, 0)->one;
	uint64_t seen = 0;

	for (;;) {
		dead = all_dead();
		take(me, 0, &seen);
		if (took[me] >= total[me] || dead)
			return;
		if (!shmipc_counts_want(&counts, 0, want, seen))
			continue;
		shmipc_counts_fence();
		if (shmipc_counts_read(&counts, 0) != seen)
			continue;
		model_futex_wait(shmipc_counts_count(&counts, 0), (uint32_t)seen, peer());
	}
}

static int want_both(const uint64_t *seen)
{
	uint32_t e;

	for (e = 0; e < EVENTS; e++)
		if (!shmipc_counts_want(&counts, e, &shmipc_counts_want_of(&counts, e)->many, seen[e]))
			return 0;
	return 1;
}

/* Waits for either event; takes its line at first, as one that has just opened. */
static void listen_any(void *arg)
{
	int me = (int)(intptr_t)arg, dead;
	uint64_t seen[EVENTS] = { 0 };
	uint32_t bell;

	shmipc_counts_join(&counts, (uint32_t)me);
	for (;;) {
		dead = all_dead();
		take(me, 0, &seen[0]);
		take(me, 1, &seen[1]);
		if (took[me] >= total[me] || dead)
			return;
		shmipc_store_relaxed(&shmipc_counts_set(&counts, (uint32_t)me)[0], (1u << EVENTS) - 1);
		if (!want_both(seen))
			continue;
		shmipc_counts_fence();
		bell = (uint32_t)shmipc_counts_bell(&counts, (uint32_t)me);
		if (shmipc_counts_read(&counts, 0) != seen[0] || shmipc_counts_read(&counts, 1) != seen[1])
			continue;
		model_futex_wait(&counts.bell[me].rings, bell, peer());
		shmipc_store_relaxed(&shmipc_counts_set(&counts, (uint32_t)me)[0], 0u);
	}
}

/* Announces that it will sleep, and is called away before it does. */
static void want_only(void *arg)
{
	uint64_t seen = shmipc_counts_read(&counts, 0);

	(void)arg;
	(void)shmipc_counts_want(&counts, 0, &shmipc_counts_want_of(&counts, 0)->one, seen);
	took[1] = total[1];
}

static void add_notifier(uint32_t event, int mortal)
{
	event_of[notifiers] = event;
	mortal_notifier |= mortal;
	notifiers++;
	th_notifier[notifiers - 1] = model_spawn("notifier", notifier, (void *)(intptr_t)(notifiers - 1),
						 mortal);
}

static void add_listener(void (*fn)(void *), uint64_t n, int mortal)
{
	total[listeners] = n;
	th_listener[listeners] = model_spawn("listener", fn, (void *)(intptr_t)listeners, mortal);
	listeners++;
}

static void one(void)
{
	reset();
	add_listener(listen_one, 1, 0);
	add_notifier(0, 0);
}

static void one_twice(void)
{
	reset();
	times = 2;
	add_listener(listen_one, 2, 0);
	add_notifier(0, 0);
}

static void one_of_two_notifiers(void)
{
	reset();
	add_listener(listen_one, 2, 0);
	add_notifier(0, 0);
	add_notifier(0, 0);
}

static void two_listeners(void)
{
	reset();
	add_listener(listen_one, 1, 0);
	add_listener(listen_one, 1, 0);
	add_notifier(0, 0);
}

static void two_listeners_twice(void)
{
	reset();
	times = 2;
	add_listener(listen_one, 2, 0);
	add_listener(listen_one, 2, 0);
	add_notifier(0, 0);
}

/* The larger want of one that has seen more must not look like nonsense. */
static void larger_want(void)
{
	reset();
	add_listener(listen_one, 1, 0);
	add_listener(want_only, 0, 0);
	add_notifier(0, 0);
	add_notifier(0, 0);
}

static void some_received(void)
{
	model_check(model_state(th_listener[0]) == MODEL_RETURNED, "it sleeps, and took %llu",
		    (unsigned long long)took[0]);
}

static void any_of_two(void)
{
	reset();
	add_listener(listen_any, 2, 0);
	add_notifier(0, 0);
	add_notifier(1, 0);
}

static void any_twice(void)
{
	reset();
	times = 2;
	add_listener(listen_any, 2, 0);
	add_notifier(1, 0);
}

static void any_beside_one(void)
{
	reset();
	add_listener(listen_any, 1, 0);
	add_listener(listen_one, 1, 0);
	add_notifier(0, 0);
}

static void notifier_dies(void)
{
	reset();
	add_listener(listen_one, 1, 0);
	add_notifier(0, 1);
}

static void notifier_of_any_dies(void)
{
	reset();
	add_listener(listen_any, 1, 0);
	add_notifier(1, 1);
}

static void listener_dies(void)
{
	reset();
	add_listener(listen_one, 1, 0);
	add_listener(listen_one, 1, 1);
	add_notifier(0, 0);
}

/* A hostile listener was here before. */
static void nonsense(void)
{
	reset();
	shmipc_counts_want_of(&counts, 0)->one = ~0ULL;
	add_listener(listen_one, 1, 0);
	add_notifier(0, 0);
}

static void nothing_lost(void)
{
	int i;

	for (i = 0; i < listeners; i++) {
		if (model_state(th_listener[i]) == MODEL_DIED)
			continue;
		model_check(model_state(th_listener[i]) == MODEL_RETURNED, "listener %d sleeps, and took %llu",
			    i, (unsigned long long)took[i]);
		model_check(took[i] == total[i], "listener %d took %llu", i, (unsigned long long)took[i]);
	}
}

/* Killed before it woke anybody: what it notified is found all the same. */
static void death_is_heard_of(void)
{
	uint64_t is = shmipc_load_relaxed(shmipc_counts_count(&counts, event_of[0]));

	model_check(model_state(th_listener[0]) == MODEL_RETURNED, "it sleeps, and the notifier is %s",
		    model_state(th_notifier[0]) == MODEL_DIED ? "dead" : "through");
	model_check(took[0] == is, "took %llu of %llu", (unsigned long long)took[0],
		    (unsigned long long)is);
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "one: a sleeper is woken", setup, one, nothing_lost, 0 },
		{ "one: again and again", setup, one_twice, nothing_lost, 0 },
		{ "one: two notifiers", setup, one_of_two_notifiers, nothing_lost, 0 },
		{ "one: two sleepers", setup, two_listeners, nothing_lost, 0 },
		{ "one: two sleepers, again and again", setup, two_listeners_twice, nothing_lost, 0, 1 },
		{ "one: a larger want beside it", setup, larger_want, some_received, 0 },
		{ "any: two events", setup, any_of_two, nothing_lost, 0 },
		{ "any: again and again", setup, any_twice, nothing_lost, 0 },
		{ "any: beside a sleeper for one", setup, any_beside_one, nothing_lost, 0 },
		{ "one: the notifier dies at any step", setup, notifier_dies, death_is_heard_of, 1 },
		{ "any: the notifier dies at any step", setup, notifier_of_any_dies, death_is_heard_of, 1 },
		{ "one: another listener dies at any step", setup, listener_dies, nothing_lost, 1 },
		{ "one: a want that is nonsense", setup, nonsense, nothing_lost, 0 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "shmipc_counts_add", MODEL_FETCH_ADD, "a notifier reads nothing of those before it", 1 },
		{ "shmipc_counts_ring", MODEL_FETCH_ADD, "the fence after the count is before the ring", 0 },
		{ "shmipc_counts_join", MODEL_CAS, "the fence before each sleep makes it visible", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "inline/counts.h", excepts);
}
