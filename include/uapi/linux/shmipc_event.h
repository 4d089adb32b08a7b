/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_event.h - the layout of events: counts that only grow, and what sleepers want of them
 *
 * Events are the body of a segment of kind SHMIPC_KIND_EVENT (shmipc_layout.h). The peer
 * table holds the notifiers first (slots 0 to notifiers - 1), then the listeners. All
 * offsets count from the struct shmipc_event_hdr.
 *
 *                                              written by (dev backend)
 *   +----------------------------------------+ 0
 *   | struct shmipc_event_hdr     one page   |   nobody after creation
 *   +----------------------------------------+ sides.read_off
 *   | struct shmipc_listeners_ctl            |   listeners
 *   | struct shmipc_event_want    [events]   |
 *   | struct shmipc_listener_line + set      |
 *   |                          [listeners]   |
 *   +----------------------------------------+ sides.prod_off
 *   | struct shmipc_event_count   [events]   |   notifiers
 *   | struct shmipc_event_bell [listeners]   |
 *   | struct shmipc_notifier_line            |
 *   |                          [notifiers]   |
 *   +----------------------------------------+
 *
 * An event is a number, and its count says how often it was notified. A notifier adds to
 * the count, by one atomic instruction; then it reads what sleepers want of this event,
 * and wakes them. A listener remembers the count up to which it has taken notifications;
 * what it has taken is written nowhere, so its death concerns nobody.
 */
#ifndef _UAPI_LINUX_SHMIPC_EVENT_H
#define _UAPI_LINUX_SHMIPC_EVENT_H

#include <linux/shmipc_layout.h>
#include <linux/types.h>

/* "shmipcEV" as it lies in memory. */
#define SHMIPC_EVENT_MAGIC	0x56456370696d6873ULL
#define SHMIPC_EVENT_VERSION	1

#define SHMIPC_EVENTS_MAX	4096u
#define SHMIPC_NOTIFIERS_MAX	1024u
#define SHMIPC_LISTENERS_MAX	3072u

/* event_hdr.sides.incompat: none is known yet. */
#define SHMIPC_EVENT_INCOMPAT_KNOWN	0ULL

/* Up to so many events have a cache line each; more are packed, to be looked at quickly. */
#define SHMIPC_EVENTS_APART	256u
#define SHMIPC_EVENT_PACKED	16u

/**
 * struct shmipc_event_hdr - describes the events; constant after creation
 * @sides:  SHMIPC_EVENT_MAGIC and so on; producers are notifiers, readers are listeners
 * @events: how many; their numbers are 0 to @events - 1
 * @stride: bytes from one count to the next, and from one want to the next:
 *          SHMIPC_LINE for up to SHMIPC_EVENTS_APART events, else SHMIPC_EVENT_PACKED
 */
struct shmipc_event_hdr {
	struct shmipc_sides_hdr sides;
	__u32	events;
	__u32	stride;
	__u64	reserved0[7];
};

/**
 * struct shmipc_event_count - what notifiers write of one event; @stride bytes from the next
 * @count: how often it was notified. Listeners that wait for this event alone sleep on
 *         its low 32 bits
 */
struct shmipc_event_count {
	__u64	count;
	__u64	reserved0;
};

/**
 * struct shmipc_event_want - what listeners write of one event; @stride bytes from the next
 * @one:  the largest count, plus 1, at which a listener went to sleep on the count; a
 *        listener that finds it too large corrects it
 * @many: the same for those that sleep on their bell, waiting for several events
 *
 * A notification that begins at a smaller count than this wakes.
 */
struct shmipc_event_want {
	__u64	one;
	__u64	many;
};

/**
 * struct shmipc_event_bell - a listener that waits for several events sleeps on this
 * @rings: grows with each notification that wakes this listener; notifiers write it. Its
 *         low 32 bits are the word that the listener sleeps on
 */
struct shmipc_event_bell {
	__u64	rings;
	__u64	reserved0[7];
};

/**
 * struct shmipc_notifier_line - the line of one notifier
 * @left:  how many notifiers have left this slot by closing; all others that have had it,
 *         and have it no more, have died
 * @wakes: how often notifiers in this slot had somebody to wake
 */
struct shmipc_notifier_line {
	__u64	left;
	__u64	wakes;
	__u64	reserved0[6];
};

/**
 * struct shmipc_listeners_ctl - words that all listeners write
 * @used: slots of listeners that were ever taken are below this
 */
struct shmipc_listeners_ctl {
	__u64	used;
	__u64	reserved0[7];
};

/**
 * struct shmipc_listener_line - the line of one listener
 * @taken:  notifications that listeners in this slot have taken
 * @missed: periods without a notification that were reported to them
 *
 * The set of events for which it sleeps follows: bit e % 64 of word e / 64; as many lines
 * as that takes. All zero while it does not sleep on its bell.
 */
struct shmipc_listener_line {
	__u64	taken;
	__u64	missed;
	__u64	reserved0[6];
};

#endif /* _UAPI_LINUX_SHMIPC_EVENT_H */
