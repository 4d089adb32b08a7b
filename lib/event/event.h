/* SPDX-License-Identifier: MIT */
/* event.h - notifiers and listeners, private parts */
#ifndef SHMIPC_LIB_EVENT_H
#define SHMIPC_LIB_EVENT_H

#include <shmipc/event.h>

#include "segment/backend.h"
#include "segment/probe.h"

struct shmipc_notifier_priv {
	struct shmipc_notifier n;	/* first: the user's part */
	struct shmipc_segment *seg;
	struct shmipc_end end;
};

/* How many notifiers have died, as far as this end has seen it. */
struct shmipc_event_deaths {
	uint64_t *by_slot;	/* [notifiers], only grow */
	uint64_t total;
};

/* What a listener expects of one event. */
struct shmipc_expected {
	uint64_t period_ns;	/* 0: nothing */
	uint64_t due_ns;
};

struct shmipc_listener {
	uint32_t live;			/* events; 0 after fork */
	uint32_t expects;		/* events with a period */
	struct shmipc_segment *seg;
	struct shmipc_end end;
	struct shmipc_counts counts;
	struct shmipc_waiter wait;
	uint32_t at;			/* index of the listener's line */
	uint32_t turn;			/* the first one that the last call had no room for */
	uint64_t *seen;			/* [events] */
	uint32_t *all;			/* [events + 1]: their numbers */
	uint64_t *mark;			/* [events / 64 + 1], bits: which of a set were there before */
	struct shmipc_expected *expected;	/* [events]; NULL: none so far */
	struct shmipc_event_deaths deaths;
	uint64_t deaths_seen;
	uint64_t taken;
	uint64_t missed;
	uint64_t died;
};

static inline struct shmipc_notifier_priv *notifier_priv(const struct shmipc_notifier *n)
{
	return (struct shmipc_notifier_priv *)(uintptr_t)n;
}

/* One call that waits. */
struct shmipc_listening {
	struct shmipc_listener *l;
	const uint32_t *event;
	size_t n;
	bool all;
};

/* event_open.c */
int shmipc_event_check(const struct shmipc_segment *seg, const char *name,
		       struct shmipc_counts *ret);

/* event_deaths.c: look at all notifiers; @sure: ask the kernel */
int shmipc_event_deaths_init(struct shmipc_event_deaths *d, struct shmipc_segment *seg,
			     const struct shmipc_counts *c);
void shmipc_event_deaths_look(struct shmipc_event_deaths *d, struct shmipc_segment *seg,
			      const struct shmipc_counts *c, bool sure);

/* listener_expect.c: how many periods have passed; if @found, a notification was found now */
uint64_t shmipc_expected_missed(const struct shmipc_listener *l, uint32_t event, uint64_t now_ns);
void shmipc_expected_renew(struct shmipc_listener *l, uint32_t event, bool found, uint64_t now_ns);

/* listener_wait.c: is there something to report? Until there is; 0; -errno. */
bool shmipc_listening_ready(const struct shmipc_listening *g);
int shmipc_listening_wait(struct shmipc_listening *g, uint64_t deadline_ns);

#endif /* SHMIPC_LIB_EVENT_H */
