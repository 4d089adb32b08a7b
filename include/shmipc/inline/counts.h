/* SPDX-License-Identifier: MIT */
/*
 * counts.h - the algorithm of events: counts that only grow, and what sleepers want of them
 *
 * Pure memory: no system call, no malloc, no processes; see shmipc_event.h for the bytes.
 *
 *   a notifier                        a listener
 *   count += n             N0         want = seen + 1          S0
 *   full fence             F0         full fence               F2
 *   is want > old count?   F1         is count still seen?     F3
 *   if so: wake                       if so: sleep while it is
 *
 * Either the notifier sees the want, or the listener the new count. A want is never taken
 * back: as the count only grows, it is fulfilled once, and costs later notifications
 * nothing, even if the listener was killed in its sleep.
 *
 * A listener that waits for one event sleeps on its count. One that waits for several has
 * a bell of its own, on which it sleeps: it reads the bell (B1), then the counts; a
 * notifier adds to the count, then rings (B0), if the listener's set contains the event.
 *
 * Progress: all of this is wait-free but shmipc_counts_want(), which is lock-free.
 */
#ifndef SHMIPC_INLINE_COUNTS_H
#define SHMIPC_INLINE_COUNTS_H

#include <errno.h>
#include <linux/shmipc_event.h>
#include <shmipc/inline/atomic.h>

#ifdef __cplusplus
extern "C" {
#endif
SHMIPC_PRIV_C_BEGIN

/* The events of a segment. Private memory; all fields are constant, and were checked. */
struct shmipc_counts {
	unsigned char *count;		/* struct shmipc_event_count, every @stride bytes */
	unsigned char *want;		/* struct shmipc_event_want, likewise */
	unsigned char *line;		/* struct shmipc_listener_line and set, by @line_bytes */
	struct shmipc_event_bell *bell;
	struct shmipc_notifier_line *notifier;
	struct shmipc_listeners_ctl *ctl;
	uint32_t events;
	uint32_t stride;
	uint32_t notifiers;
	uint32_t listeners;
	uint64_t line_bytes;
};

SHMIPC_INLINE uint64_t shmipc_counts_line_bytes(uint32_t events)
{
	uint64_t lines = ((uint64_t)events + 8 * SHMIPC_LINE - 1) / (8 * SHMIPC_LINE);

	return sizeof(struct shmipc_listener_line) + lines * SHMIPC_LINE;
}

/**
 * shmipc_counts_layout - the sizes of the two sides
 * @h: sides.producers, sides.readers and events are set; the rest is filled in, but the offsets
 *
 * Return: 0, -EINVAL a number is 0 or too large.
 */
SHMIPC_INLINE int shmipc_counts_layout(struct shmipc_event_hdr *h)
{
	struct shmipc_sides_hdr *s = &h->sides;
	const uint64_t page = SHMIPC_CTL_PAGE;
	uint64_t bytes;

	if (!h->events || h->events > SHMIPC_EVENTS_MAX || !s->producers || !s->readers ||
	    s->producers > SHMIPC_NOTIFIERS_MAX || s->readers > SHMIPC_LISTENERS_MAX)
		return -EINVAL;
	s->magic = SHMIPC_EVENT_MAGIC;
	s->version = SHMIPC_EVENT_VERSION;
	s->kind = SHMIPC_KIND_EVENT;
	h->stride = h->events <= SHMIPC_EVENTS_APART ? SHMIPC_LINE : SHMIPC_EVENT_PACKED;
	bytes = sizeof(struct shmipc_listeners_ctl) + (uint64_t)h->events * h->stride;
	bytes = (bytes + SHMIPC_LINE - 1) / SHMIPC_LINE * SHMIPC_LINE;
	bytes += s->readers * shmipc_counts_line_bytes(h->events);
	s->read_bytes = (bytes + page - 1) / page * page;
	bytes = (uint64_t)h->events * h->stride;
	bytes = (bytes + SHMIPC_LINE - 1) / SHMIPC_LINE * SHMIPC_LINE;
	bytes += s->readers * sizeof(struct shmipc_event_bell) +
		 s->producers * sizeof(struct shmipc_notifier_line);
	s->prod_bytes = (bytes + page - 1) / page * page;
	return 0;
}

/**
 * shmipc_counts_check - check the header, and find what it describes
 * @mem: the body: the struct shmipc_event_hdr
 * @h:   a private copy of that; the offsets and sizes of its sides lie in the body
 * @ret: filled in
 *
 * Return: 0; -EPROTO; -EPROTONOSUPPORT another version, or unknown features.
 */
SHMIPC_INLINE int shmipc_counts_check(void *mem, const struct shmipc_event_hdr *h,
				      struct shmipc_counts *ret)
{
	struct shmipc_event_hdr want = *h;
	unsigned char *at = (unsigned char *)mem;
	uint64_t table;

	if (h->sides.magic != SHMIPC_EVENT_MAGIC)
		return -EPROTO;
	if (h->sides.version != SHMIPC_EVENT_VERSION ||
	    h->sides.incompat & ~SHMIPC_EVENT_INCOMPAT_KNOWN)
		return -EPROTONOSUPPORT;
	if (shmipc_counts_layout(&want) || want.stride != h->stride ||
	    want.sides.prod_bytes != h->sides.prod_bytes ||
	    want.sides.read_bytes != h->sides.read_bytes)
		return -EPROTO;
	ret->events = h->events;
	ret->stride = h->stride;
	ret->notifiers = h->sides.producers;
	ret->listeners = h->sides.readers;
	ret->line_bytes = shmipc_counts_line_bytes(h->events);
	table = ((uint64_t)h->events * h->stride + SHMIPC_LINE - 1) / SHMIPC_LINE * SHMIPC_LINE;
	ret->ctl = (struct shmipc_listeners_ctl *)(void *)(at + h->sides.read_off);
	ret->want = at + h->sides.read_off + sizeof(*ret->ctl);
	ret->line = ret->want + table;
	ret->count = at + h->sides.prod_off;
	ret->bell = (struct shmipc_event_bell *)(void *)(ret->count + table);
	ret->notifier = (struct shmipc_notifier_line *)(void *)(ret->bell + h->sides.readers);
	return 0;
}

SHMIPC_INLINE __u64 *shmipc_counts_count(const struct shmipc_counts *c, uint32_t event)
{
	return &((struct shmipc_event_count *)(void *)
		 (c->count + (size_t)event * c->stride))->count;
}

SHMIPC_INLINE struct shmipc_event_want *shmipc_counts_want_of(const struct shmipc_counts *c,
							      uint32_t event)
{
	return (struct shmipc_event_want *)(void *)(c->want + (size_t)event * c->stride);
}

SHMIPC_INLINE struct shmipc_listener_line *shmipc_counts_line(const struct shmipc_counts *c,
							      uint32_t listener)
{
	return (struct shmipc_listener_line *)(void *)(c->line + listener * c->line_bytes);
}

/* The set of events for which it sleeps, in words of 64. */
SHMIPC_INLINE __u64 *shmipc_counts_set(const struct shmipc_counts *c, uint32_t listener)
{
	return (__u64 *)(void *)(shmipc_counts_line(c, listener) + 1);
}

/* Notifiers */

/**
 * shmipc_counts_add - notify
 * @c:       the events
 * @event:   less than c->events
 * @n:       how often
 * @ret_old: the count before
 *
 * Return: 0; 1: somebody may sleep for it, see shmipc_counts_sleeps().
 */
SHMIPC_INLINE int shmipc_counts_add(const struct shmipc_counts *c, uint32_t event, uint64_t n,
				    uint64_t *ret_old)
{
	const struct shmipc_event_want *want = shmipc_counts_want_of(c, event);
	uint64_t old;

	/* counts.N0 -> counts.N1: with the count comes all that was written before. */
	old = shmipc_fetch_add_acq_rel(shmipc_counts_count(c, event), n);
	/* counts.F0 -> counts.F2: the count, then the want. */
	shmipc_fence_after_update();
	*ret_old = old;
	return shmipc_load_relaxed(&want->one) > old || shmipc_load_relaxed(&want->many) > old;
}

/**
 * shmipc_counts_sleeps - must a want be fulfilled?
 * @c:     the events
 * @event: that was notified
 * @word:  of its want: one or many
 * @old:   the count before
 *
 * No want is larger than the count at present plus 1. A hostile listener that writes a
 * larger one costs notifiers this look, and nobody a wake.
 */
SHMIPC_INLINE int shmipc_counts_sleeps(const struct shmipc_counts *c, uint32_t event,
				       const __u64 *word, uint64_t old)
{
	/* counts.W1 <- counts.W0: the count that its listener had seen, or a newer one. */
	uint64_t want = shmipc_load_acquire(word);

	return want > old && want - 1 <= shmipc_load_relaxed(shmipc_counts_count(c, event));
}

/* Does listener @i wait for several events, and for this one? */
SHMIPC_INLINE int shmipc_counts_in_set(const struct shmipc_counts *c, uint32_t i, uint32_t event)
{
	return shmipc_load_relaxed(&shmipc_counts_set(c, i)[event / 64]) >> event % 64 & 1;
}

SHMIPC_INLINE void shmipc_counts_ring(const struct shmipc_counts *c, uint32_t i)
{
	/* counts.B0 -> counts.B1: with the ring comes the count. */
	(void)shmipc_fetch_add_acq_rel(&c->bell[i].rings, UINT64_C(1));
}

/* Listeners */

SHMIPC_INLINE uint64_t shmipc_counts_read(const struct shmipc_counts *c, uint32_t event)
{
	/* counts.N1 <- counts.N0 */
	return shmipc_load_acquire(shmipc_counts_count(c, event));
}

/**
 * shmipc_counts_want - announce that a listener is going to sleep
 * @c:     the events
 * @event: for which
 * @word:  of its want: one or many
 * @seen:  its count, as far as the listener has seen it
 *
 * shmipc_counts_fence() must follow, and then a look at the counts.
 *
 * Return: 1; 0: the count has moved on, do not sleep.
 */
SHMIPC_INLINE int shmipc_counts_want(const struct shmipc_counts *c, uint32_t event, __u64 *word,
				     uint64_t seen)
{
	/* counts.W1 <- counts.W0: another listener's want, and the count that it has seen. */
	__u64 is = shmipc_load_acquire(word);

	while (is != seen + 1) {
		/* A larger want is that of one that has seen more; or it is nonsense. */
		if (shmipc_load_relaxed(shmipc_counts_count(c, event)) != seen)
			return 0;
		/* counts.W0 -> counts.W1 */
		if (shmipc_cas_acq_rel(word, &is, seen + 1))
			break;
	}
	return 1;
}

SHMIPC_INLINE void shmipc_counts_fence(void)
{
	/* counts.F2 <- counts.F0: the wants, then the counts. */
	shmipc_fence_seq_cst();
}

/* Of a listener that waits for several events: to be read before the counts. */
SHMIPC_INLINE uint64_t shmipc_counts_bell(const struct shmipc_counts *c, uint32_t listener)
{
	/* counts.B1 <- counts.B0 */
	return shmipc_load_acquire(&c->bell[listener].rings);
}

/* Slot @listener is taken: notifiers look at its line from now on. */
SHMIPC_INLINE void shmipc_counts_join(const struct shmipc_counts *c, uint32_t listener)
{
	__u64 is = shmipc_load_relaxed(&c->ctl->used);

	/* counts.W0 -> counts.W1: the fence before each sleep makes it visible. */
	while (is <= listener && !shmipc_cas_acq_rel(&c->ctl->used, &is, (uint64_t)listener + 1))
		continue;
}

/* Lines of listeners that a notifier has to look at. */
SHMIPC_INLINE uint32_t shmipc_counts_used(const struct shmipc_counts *c)
{
	uint64_t n = shmipc_load_relaxed(&c->ctl->used);

	return n < c->listeners ? (uint32_t)n : c->listeners;
}

SHMIPC_PRIV_C_END
#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_INLINE_COUNTS_H */
