// SPDX-License-Identifier: MIT
/* event_open.c - opening events, as a notifier or a listener, and leaving */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"
#include "segment/access.h"
#include "segment/body.h"

#define EVENTS_DEFAULT		64u
#define NOTIFIERS_DEFAULT	64u
#define LISTENERS_DEFAULT	64u

static int bad(const char *field, uint64_t is, const char *should)
{
	return shmipc_fail(-EINVAL, "shmipc: event options: %s is %llu; %s (EINVAL)", field,
			   (unsigned long long)is, should);
}

/* A private copy of the user's options, and what of them concerns every segment. */
static int opts_read(struct shmipc_event_opts *o, struct shmipc_segment_opts *so,
		     const struct shmipc_event_opts *user)
{
	struct shmipc_access a;
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "event options");
	if (err)
		return err;
	if (o->events > SHMIPC_EVENTS_MAX)
		return bad("events", o->events, "the most is 4096");
	if (o->notifiers > SHMIPC_NOTIFIERS_MAX)
		return bad("notifiers", o->notifiers, "the most is 1024");
	if (o->listeners > SHMIPC_LISTENERS_MAX)
		return bad("listeners", o->listeners, "the most is 3072");
	a = SHMIPC_ACCESS_OF(o, "event options", SHMIPC_KIND_EVENT);
	return shmipc_access_read(so, &a, o->reserved0, 4);
}

static int differs(const struct shmipc_segment *seg, const char *field, uint32_t asked, uint32_t is)
{
	if (!asked || asked == is)
		return 0;
	return shmipc_differs(&seg->hdr, NULL, field, shmipc_text_number(asked),
			      shmipc_text_number(is));
}

int shmipc_event_check(const struct shmipc_segment *seg, const char *name, struct shmipc_counts *ret)
{
	unsigned char *body = seg->base + seg->hdr.body_off;
	struct shmipc_event_hdr h;
	int err;

	if (seg->hdr.kind != SHMIPC_KIND_EVENT)
		return shmipc_differs_kind(&seg->hdr, name, SHMIPC_KIND_EVENT);
	memcpy(&h, body, sizeof(h));	/* read once */
	shmipc_compiler_barrier();
	h.sides = seg->sides;		/* these were checked */
	err = shmipc_counts_check(body, &h, ret);
	return shmipc_access_refused(name, "events", err);
}

static int open_events(struct shmipc_segment **ret, const char *name,
		       const struct shmipc_event_opts *opts, struct shmipc_counts *ret_counts)
{
	struct shmipc_event_hdr *h;
	struct shmipc_segment_opts so;
	struct shmipc_event_opts o;
	struct shmipc_sides sides;
	int err = opts_read(&o, &so, opts);

	if (err)
		return err;
	memset(&sides, 0, sizeof(sides));
	_Static_assert(sizeof(*h) <= sizeof(sides), "the kind's fields have room");
	h = (struct shmipc_event_hdr *)(void *)&sides;
	h->events = o.events ? o.events : EVENTS_DEFAULT;
	h->sides.producers = o.notifiers ? o.notifiers : NOTIFIERS_DEFAULT;
	h->sides.readers = o.listeners ? o.listeners : LISTENERS_DEFAULT;
	(void)shmipc_counts_layout(h);	/* the limits were checked */
	err = shmipc_segment_open_sides(ret, name, &so, &sides);
	if (err)
		return err;
	err = shmipc_event_check(*ret, name, ret_counts);
	if (!err)
		err = differs(*ret, "events", o.events, ret_counts->events);
	if (!err)
		err = differs(*ret, "notifiers", o.notifiers, ret_counts->notifiers);
	if (!err)
		err = differs(*ret, "listeners", o.listeners, ret_counts->listeners);
	if (err)
		shmipc_segment_close(*ret);
	return err;
}

/* Notifiers */

static int open_notifier(struct shmipc_notifier **ret, const char *name,
			 const struct shmipc_event_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_notifier_priv *p;
	int err;

	if (!ret)
		return shmipc_null("shmipc_notifier_open", "ret");
	p = calloc(1, sizeof(*p));
	if (!p)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a notifier (ENOMEM)");
	err = open_events(&p->seg, name, opts, &p->n.counts);
	if (err)
		goto free_notifier;
	err = shmipc_end_take(&p->end, p->seg, SHMIPC_ROLE_PRODUCER);
	if (err)
		goto close_segment;
	/* Listeners that sleep watch us from here on. */
	if (p->seg->be->hello)
		p->seg->be->hello(p->seg);
	shmipc_access_open(p->seg, &p->n.live, p->n.counts.events);
	*ret = &p->n;
	return 0;

close_segment:
	shmipc_segment_close(p->seg);
free_notifier:
	free(p);
	return err;
}

SHMIPC_EXPORT int shmipc_notifier_open(struct shmipc_notifier **ret, const char *name,
				       const struct shmipc_event_opts *opts)
{
	return SHMIPC_TOLD(open_notifier(ret, name, opts));
}

SHMIPC_EXPORT void shmipc_notifier_close(struct shmipc_notifier *n)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_notifier_priv *p = notifier_priv(n);
	__u64 *left;

	if (!n)
		return;
	shmipc_end_check(&p->end);
	if (n->live) {
		/*
		 * Ours alone. If we are killed from here on, we have left: peer.P1 -> peer.P0 makes
		 * it visible before the word of the slot is free.
		 */
		left = &n->counts.notifier[p->end.slot].left;
		shmipc_store_relaxed(left, shmipc_load_relaxed(left) + 1);
	}
	p->seg->live = NULL;
	shmipc_end_leave_and_wait(&p->end);
	shmipc_segment_close(p->seg);
	free(p);
}

/* Listeners */

static int how_read(struct shmipc_listener_opts *o, const struct shmipc_listener_opts *user)
{
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "listener options");
	if (!err && (o->flags & ~SHMIPC_LISTEN_PAST || o->reserved0))
		err = shmipc_fail(-EINVAL, "shmipc: listener options: flags are %#x, expected SHMIPC_LISTEN_PAST or 0, and reserved0 must be 0 (EINVAL)",
				  o->flags);
	return err;
}

static void free_listener(struct shmipc_listener *l)
{
	free(l->seen);
	free(l->all);
	free(l->mark);
	free(l->expected);
	free(l->deaths.by_slot);
	free(l);
}

/* Private memory; and from when on it receives. */
static int start_listening(struct shmipc_listener *l, const struct shmipc_listener_opts *how)
{
	const struct shmipc_counts *c = &l->counts;
	uint32_t i;
	int err;

	l->seen = calloc(c->events, sizeof(*l->seen));
	l->all = calloc(c->events + 1, sizeof(*l->all));
	l->mark = calloc(c->events / 64 + 1, sizeof(*l->mark));
	if (!l->seen || !l->all || !l->mark)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a listener (ENOMEM)");
	err = shmipc_event_deaths_init(&l->deaths, l->seg, c);
	if (err)
		return err;
	l->deaths_seen = l->deaths.total;
	for (i = 0; i < c->events; i++) {
		l->all[i] = i;
		if (!(how->flags & SHMIPC_LISTEN_PAST))
			l->seen[i] = shmipc_counts_read(c, i);
	}
	l->all[c->events] = SHMIPC_LISTEN_DIED;
	l->at = l->end.slot - c->notifiers;
	shmipc_counts_join(c, l->at);
	shmipc_waiter_init(&l->wait, how->spin_ns, NULL);
	shmipc_access_open(l->seg, &l->live, c->events);
	return 0;
}

static int open_listener(struct shmipc_listener **ret, const char *name,
			 const struct shmipc_event_opts *opts,
			 const struct shmipc_listener_opts *user)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_listener_opts how;
	struct shmipc_listener *l;
	int err;

	if (!ret)
		return shmipc_null("shmipc_listener_open", "ret");
	err = how_read(&how, user);
	if (err)
		return err;
	l = calloc(1, sizeof(*l));
	if (!l)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a listener (ENOMEM)");
	err = open_events(&l->seg, name, opts, &l->counts);
	if (err)
		goto free_all;
	err = shmipc_end_take(&l->end, l->seg, SHMIPC_ROLE_READER);
	if (err)
		goto close_segment;
	err = start_listening(l, &how);
	if (err)
		goto leave;
	*ret = l;
	return 0;

leave:
	shmipc_end_leave(&l->end);
close_segment:
	shmipc_segment_close(l->seg);
free_all:
	free_listener(l);
	return err;
}

SHMIPC_EXPORT int shmipc_listener_open(struct shmipc_listener **ret, const char *name,
				       const struct shmipc_event_opts *opts,
				       const struct shmipc_listener_opts *how)
{
	return SHMIPC_TOLD(open_listener(ret, name, opts, how));
}

SHMIPC_EXPORT void shmipc_listener_close(struct shmipc_listener *l)
{
	SHMIPC_NO_CANCEL;

	if (!l)
		return;
	shmipc_end_check(&l->end);
	l->seg->live = NULL;
	shmipc_end_leave_and_wait(&l->end);
	shmipc_segment_close(l->seg);
	free_listener(l);
}
