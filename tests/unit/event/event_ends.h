/* SPDX-License-Identifier: MIT */
/* event_ends.h - shared by the tests of events */
#ifndef TEST_EVENT_ENDS_H
#define TEST_EVENT_ENDS_H

#include "env.h"

#include "event/event.h"	/* of lib/ */

#define NAME	"plant/alarms"
#define SOON	shmipc_deadline_in(UINT64_C(20000000000))	/* reached only by a failure */
#define LATE_NS	UINT64_C(20000000000)	/* a busy machine may be late; a hang is later */

/* How often @event was notified; or -errno. */
static inline int64_t got_until(struct shmipc_listener *l, uint32_t event, uint64_t deadline_ns)
{
	struct shmipc_event_got g = { 0 };
	int ret = shmipc_listener_wait(l, event, &g, deadline_ns);

	return ret ? ret : g.event == event ? (int64_t)g.count : -EBADMSG;
}

/*
 * It must come by a wake: what is found only because the deadline has passed is -ETIME.
 * Listeners look again then, which would hide a wake that is lost.
 */
static inline int in_time(int ret, uint64_t deadline_ns)
{
	return !ret && now_ns() >= deadline_ns ? -ETIME : ret;
}

static inline int64_t got_soon(struct shmipc_listener *l, uint32_t event)
{
	uint64_t end = SOON;
	int64_t n = got_until(l, event, end);

	return n >= 0 && in_time(0, end) ? -ETIME : n;
}

static inline int any_soon(struct shmipc_listener *l, const uint32_t *events, size_t n,
			   struct shmipc_event_got *g, size_t cap, size_t *ret_n)
{
	uint64_t end = SOON;

	return in_time(shmipc_listener_wait_any(l, events, n, g, cap, ret_n, end), end);
}

static inline int all_soon(struct shmipc_listener *l, const uint32_t *events, size_t n,
			   struct shmipc_event_got *g, size_t cap, size_t *ret_n)
{
	uint64_t end = SOON;

	return in_time(shmipc_listener_wait_all(l, events, n, g, cap, ret_n, end), end);
}

static inline int64_t got(struct shmipc_listener *l, uint32_t event)
{
	return got_until(l, event, 0);
}

static inline struct shmipc_listener_stat stat_of(const struct shmipc_listener *l)
{
	struct shmipc_listener_stat st = SHMIPC_LISTENER_STAT();

	(void)shmipc_listener_get_stat(l, &st);
	return st;
}

/* How often this notifier had somebody to wake. */
static inline uint64_t wakes_of(const struct shmipc_notifier *n)
{
	return shmipc_load_relaxed(&n->counts.notifier[notifier_priv(n)->end.slot].wakes);
}

FIXTURE(event) {
	struct env env;
	struct shmipc_notifier *n;
	struct shmipc_listener *l;
};

FIXTURE_VARIANT(event) {
	uint64_t spin_ns;
};

FIXTURE_VARIANT_ADD(event, spins) { 0 };
FIXTURE_VARIANT_ADD(event, never_spins) { SHMIPC_SPIN_NEVER };

#define LISTEN(ret, ...)	shmipc_listener_open(ret, NAME, NULL,				\
				&SHMIPC_LISTENER_OPTS(.spin_ns = variant->spin_ns, __VA_ARGS__))

FIXTURE_SETUP(event)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_notifier_open(&self->n, NAME, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, LISTEN(&self->l)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(event)
{
	shmipc_listener_close(self->l);
	shmipc_notifier_close(self->n);
	env_tear_down(&self->env);
}

#endif /* TEST_EVENT_ENDS_H */
