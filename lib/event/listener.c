// SPDX-License-Identifier: MIT
/* listener.c - what a listener receives */
#include <errno.h>

#include "event/event.h"

static int refuse(const struct shmipc_listener *l, uint32_t event)
{
	return shmipc_fail(-EINVAL, "shmipc: wait for event %u of \"%s\": there are 0 to %u, and SHMIPC_LISTEN_DIED (EINVAL)",
			   event, l->seg->hdr.name, l->live - 1);
}

/* Has a notifier set one of them back? From now on it counts from there. */
static bool set_back(const struct shmipc_listening *g)
{
	struct shmipc_listener *l = g->l;
	bool any = false;
	uint64_t is;
	size_t i;

	for (i = 0; i < g->n; i++) {
		if (g->event[i] == SHMIPC_LISTEN_DIED)
			continue;
		is = shmipc_counts_read(&l->counts, g->event[i]);
		if (is - l->seen[g->event[i]] <= INT64_MAX)
			continue;
		l->seen[g->event[i]] = is;
		any = true;
	}
	return any;
}

/* false: there is nothing */
static bool look_at_one(const struct shmipc_listener *l, uint32_t event, uint64_t now_ns,
			struct shmipc_event_got *ret)
{
	uint64_t count;

	if (event == SHMIPC_LISTEN_DIED) {
		count = l->deaths.total - l->deaths_seen;
	} else {
		count = shmipc_counts_read(&l->counts, event) - l->seen[event];
		if (count > INT64_MAX)	/* set back just now: the next call says so */
			count = 0;
	}
	*ret = (struct shmipc_event_got){ .event = event, .count = count };
	if (!count && event != SHMIPC_LISTEN_DIED)
		ret->missed = shmipc_expected_missed(l, event, now_ns);
	return ret->count || ret->missed;
}

static void take_one(struct shmipc_listener *l, const struct shmipc_event_got *got, uint64_t now_ns)
{
	struct shmipc_listener_line *line = shmipc_counts_line(&l->counts, l->at);

	if (got->event == SHMIPC_LISTEN_DIED) {
		l->deaths_seen += got->count;
		l->died += got->count;
		return;
	}
	l->seen[got->event] += got->count;
	shmipc_expected_renew(l, got->event, got->count != 0, now_ns);
	l->taken += got->count;
	l->missed += got->missed;
	/* For tools; this line is ours alone. */
	shmipc_store_relaxed(&line->taken, shmipc_load_relaxed(&line->taken) + got->count);
	if (got->missed)
		shmipc_store_relaxed(&line->missed, shmipc_load_relaxed(&line->missed) + got->missed);
}

/* How many there were, with something to report, and room for it. */
static size_t take_some(const struct shmipc_listening *g, struct shmipc_event_got *got, size_t cap)
{
	struct shmipc_listener *l = g->l;
	uint64_t now = l->expects ? shmipc_now_ns() : 0;
	size_t i, at = l->turn < g->n ? l->turn : 0, n = 0;
	struct shmipc_event_got one;

	l->turn = 0;
	for (i = 0; i < g->n; i++, at = at + 1 < g->n ? at + 1 : 0) {
		if (!look_at_one(l, g->event[at], now, &one))
			continue;
		if (n == cap) {
			l->turn = (uint32_t)at;
			break;
		}
		take_one(l, &one, now);
		got[n++] = one;
	}
	return n;
}

static int wait_for(struct shmipc_listening *g, struct shmipc_event_got *got, size_t cap,
		    size_t *ret_got, uint64_t deadline_ns)
{
	size_t n;
	int ret;

	do {
		ret = shmipc_listening_wait(g, deadline_ns);
		if (ret)
			return ret;
		if (set_back(g))
			return -EPROTO;
		n = take_some(g, got, cap);
	} while (!n && shmipc_now_ns() < deadline_ns);
	*ret_got = n;
	return n ? 0 : deadline_ns ? -ETIMEDOUT : -EAGAIN;
}

static int check_set(struct shmipc_listening *g, size_t cap, const void *got, const char *function)
{
	const struct shmipc_listener *l = g->l;
	size_t i;

	if (!l->live)
		return shmipc_dead(l->seg);
	if (!g->event && !g->n) {
		g->event = l->all;
		g->n = l->live + 1u;
	}
	if (!g->event || !got)
		return shmipc_null(function, "events with an n, or got,");
	if (!g->n || g->n > SHMIPC_EVENTS_MAX + 1)
		return shmipc_fail(-EINVAL, "shmipc: wait for %zu events of \"%s\": 1 to 4097 (EINVAL)",
				   g->n, l->seg->hdr.name);
	if (!cap || (g->all && cap < g->n))
		return shmipc_fail(-EINVAL, "shmipc: wait for %zu events of \"%s\": room for %zu results is too little (EINVAL)",
				   g->n, l->seg->hdr.name, cap);
	for (i = 0; i < g->n; i++)
		if (g->event[i] >= l->live && g->event[i] != SHMIPC_LISTEN_DIED)
			return refuse(l, g->event[i]);
	return 0;
}

SHMIPC_EXPORT int shmipc_listener_wait(struct shmipc_listener *l, uint32_t event,
				       struct shmipc_event_got *ret, uint64_t deadline_ns)
{
	struct shmipc_listening g = { .l = l, .event = &event, .n = 1 };
	size_t n;

	if (!l || !ret)
		return shmipc_null(__func__, "l or ret");
	if (!l->live)
		return shmipc_dead(l->seg);
	if (event >= l->live && event != SHMIPC_LISTEN_DIED)
		return refuse(l, event);
	return wait_for(&g, ret, 1, &n, deadline_ns);
}

static int wait_set(struct shmipc_listening *g, struct shmipc_event_got *got, size_t cap,
		    size_t *ret_got, uint64_t deadline_ns, const char *function)
{
	int err;

	if (!g->l || !ret_got)
		return shmipc_null(function, "l or ret_got");
	err = check_set(g, cap, got, function);
	return err ? err : wait_for(g, got, cap, ret_got, deadline_ns);
}

SHMIPC_EXPORT int shmipc_listener_wait_any(struct shmipc_listener *l, const uint32_t *events,
					   size_t n, struct shmipc_event_got *got, size_t cap,
					   size_t *ret_got, uint64_t deadline_ns)
{
	struct shmipc_listening g = { .l = l, .event = events, .n = n };

	return wait_set(&g, got, cap, ret_got, deadline_ns, __func__);
}

SHMIPC_EXPORT int shmipc_listener_wait_all(struct shmipc_listener *l, const uint32_t *events,
					   size_t n, struct shmipc_event_got *got, size_t cap,
					   size_t *ret_got, uint64_t deadline_ns)
{
	struct shmipc_listening g = { .l = l, .event = events, .n = n, .all = true };

	return wait_set(&g, got, cap, ret_got, deadline_ns, __func__);
}

SHMIPC_EXPORT uint32_t shmipc_listener_events(const struct shmipc_listener *l)
{
	return l ? l->live : 0;
}

SHMIPC_EXPORT int shmipc_listener_get_stat(const struct shmipc_listener *l,
					   struct shmipc_listener_stat *ret)
{
	struct shmipc_listener_stat st = { .struct_bytes = sizeof(st) };
	int err;

	if (!l || !ret)
		return shmipc_null(__func__, "l or ret");
	err = shmipc_sized_check(ret, sizeof(st), "listener stat");
	if (err || !l->live)
		return -EINVAL;
	st.taken = l->taken;
	st.missed = l->missed;
	st.died = l->died;
	st.sleeps = l->wait.sleeps;
	st.ticks = l->wait.ticks;
	shmipc_sized_write(ret, &st, sizeof(st));
	return 0;
}
