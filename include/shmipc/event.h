/* SPDX-License-Identifier: MIT */
/*
 * event.h - counted notifications by name, without payload, many to many
 *
 * The events of a name are numbers, 0 to 63 unless its creator asks for up to 4096.
 * Notifiers and listeners find them by the name; shmipc_notifier_open() and
 * shmipc_listener_open() may be called in any order, from any processes; the first call
 * creates them, with its options or the defaults.
 *
 * A notification adds to the count of its event. That is one atomic instruction, and no
 * system call as long as no listener sleeps for this event. Each listener receives each
 * notification once, as a number of them: how often the event was notified since this listener
 * last took it. So nothing is lost, however slow a listener is; and what one listener
 * takes the others still receive. What a notifier wrote to shared memory before it
 * notified, a listener that has received the notification reads.
 *
 * A listener waits for one event, for any of several, or for all of several. Two things
 * are reported to it besides, by the library itself:
 *   - SHMIPC_LISTEN_DIED, an event like the others but for its number: notifiers that
 *     have died, that is, were killed, or have exited without shmipc_notifier_close();
 *   - periods without a notification of an event for which it has named one:
 *     shmipc_listener_expect().
 *
 * Death: a notification is complete or does not exist. A notifier that is killed between
 * its notification and the waking of the sleepers is noticed by its death, and they
 * wake all the same; one that is stopped there (SIGSTOP, a debugger) leaves them asleep
 * until it continues, or another notification of the event, or their deadline. The death
 * of a listener concerns nobody.
 *
 * Order of waking: all that sleep for an event are woken by its notification, at once and
 * in no particular order; listeners that sleep for other events only are not.
 *
 * Trust: a process that may notify can write any count, so it can forge and hide
 * notifications of this name; one that may listen can delay the waking of others. On the
 * dev backend, notifiers cannot do the second, nor listeners the first. Nobody can do
 * other harm.
 *
 * Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC. With 0 a call never
 * sleeps; with SHMIPC_FOREVER it has no time limit. Signals: as in channel.h.
 *
 * Threads: a notifier may be used by any number of threads at a time, and in signal
 * handlers; it is closed when no call runs. A listener is used by one thread at a time.
 * A child of fork() inherits none: those of its parent are closed in it, and every use of
 * them fails with -EINVAL.
 */
#ifndef SHMIPC_EVENT_H
#define SHMIPC_EVENT_H

#include <shmipc/channel.h>
#include <shmipc/inline/counts.h>
#include <shmipc/segment.h>
#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif
SHMIPC_PRIV_C_BEGIN

/**
 * struct shmipc_event_opts - describes events to create or to open
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @flags:        SHMIPC_NO_CREATE, SHMIPC_EXCL, SHMIPC_PERSIST (the counts stay when all have
 *                gone), SHMIPC_CHOWN, SHMIPC_CHGRP, SHMIPC_OWNED_BY, SHMIPC_OWNED_BY_ANY
 * @events:       how many: 1 to 4096; 0: 64
 * @notifiers:    the most at a time: 1 to 1024; 0: 64
 * @listeners:    the most at a time: 1 to 3072; 0: 64
 * @mode:         as in struct shmipc_segment_opts, and so on to @owner
 * @reserved0:    0
 *
 * A member that is zero selects the default. If the events exist, each member that is not
 * zero must be equal to what they were created with; otherwise the open fails with -EINVAL
 * and the text names both values.
 */
struct shmipc_event_opts {
	uint64_t struct_bytes;
	uint32_t flags;
	uint32_t events;
	uint32_t notifiers;
	uint32_t listeners;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
	uint64_t reserved0[4];
};

#define SHMIPC_EVENT_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_event_opts, __VA_ARGS__)

/* Notifiers */

/* One notifier. Made by the library; the fields are not for users. */
struct shmipc_notifier {
	struct shmipc_counts counts;
	uint32_t live;		/* events; 0 after fork */
	uint32_t reserved0;
};

/**
 * shmipc_notifier_open - become a notifier
 * @ret:  the notifier; shmipc_notifier_close() it
 * @name: as for shmipc_segment_open()
 * @opts: NULL: all defaults, or what exists
 *
 * Return: 0; -EBUSY all slots of notifiers are taken by living ones; -EPROTO,
 * -EPROTONOSUPPORT; otherwise as shmipc_segment_open().
 */
int shmipc_notifier_open(struct shmipc_notifier **ret, const char *name,
			 const struct shmipc_event_opts *opts);

/* Leave: this is no death. NULL is ignored. May take a moment if other processes are just dying. */
void shmipc_notifier_close(struct shmipc_notifier *n);

/* The uncommon cases of the inline function. Not for users. */
void shmipc_notifier_slow_wake(struct shmipc_notifier *n, uint32_t event, uint64_t old);
int shmipc_notifier_slow_refuse(const struct shmipc_notifier *n, uint32_t event);

/**
 * shmipc_notifier_notify - notify an event
 * @n:     the notifier
 * @event: its number
 * @count: how often, at once; usually 1
 *
 * Never blocks. Wait-free, but for the system call that wakes those who sleep for this event.
 * May be called by several threads at a time, and in a signal handler.
 *
 * Return: 0; -EINVAL there is no such event, or inherited through fork; -ECONNRESET fenced.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_notifier_notify(struct shmipc_notifier *n, uint32_t event, uint64_t count)
{
	uint64_t old;

	if (SHMIPC_PRIV_NULL(!n))
		return -EINVAL;
	if (shmipc_unlikely(event >= n->live))
		return shmipc_notifier_slow_refuse(n, event);
	if (shmipc_unlikely(shmipc_counts_add(&n->counts, event, count, &old)))
		shmipc_notifier_slow_wake(n, event, old);
	return 0;
}

/* Listeners */

/* The number of an event that is not notified, but raised by the library. */
#define SHMIPC_LISTEN_DIED	0xffffffffu	/* notifiers died since the listener was opened */

/* shmipc_listener_opts.flags */
#define SHMIPC_LISTEN_PAST	0x1u	/* receive what was notified before it was opened, too */

/**
 * struct shmipc_listener_opts - how to listen
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @spin_ns:      how long to spin before sleeping; as in struct shmipc_channel_opts
 * @flags:        0 or SHMIPC_LISTEN_PAST: all since the creation
 * @reserved0:    0
 */
struct shmipc_listener_opts {
	uint64_t struct_bytes;
	uint64_t spin_ns;
	uint32_t flags;
	uint32_t reserved0;
};

#define SHMIPC_LISTENER_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_listener_opts, __VA_ARGS__)

struct shmipc_listener;

/**
 * struct shmipc_event_got - what a listener receives of one event
 * @event:  its number, or SHMIPC_LISTEN_DIED
 * @count:  how often it was notified, or how many died, since this was last received
 * @missed: periods that have passed without a notification, see shmipc_listener_expect()
 *
 * At least one of @count and @missed is not 0. It lies in arrays, and grows into @reserved1.
 */
struct shmipc_event_got {
	uint32_t event;
	uint32_t reserved0;
	uint64_t count;
	uint64_t missed;
	uint64_t reserved1;
};

/**
 * shmipc_listener_open - become a listener
 * @ret:  the listener; shmipc_listener_close() it
 * @name: as for shmipc_segment_open()
 * @opts: NULL: all defaults, or what exists
 * @how:  NULL: defaults
 *
 * It receives all notifications that begin after this has returned.
 *
 * Return: 0; -ENOSPC all slots of listeners are taken; -ENOMEM; otherwise as
 * shmipc_notifier_open().
 */
int shmipc_listener_open(struct shmipc_listener **ret, const char *name,
			 const struct shmipc_event_opts *opts,
			 const struct shmipc_listener_opts *how);

/* Leave; NULL is ignored. May take a moment if other processes are just dying. */
void shmipc_listener_close(struct shmipc_listener *l);

/* How many events there are; 0 after fork. */
uint32_t shmipc_listener_events(const struct shmipc_listener *l);

/**
 * shmipc_listener_wait - wait for one event
 * @l:           the listener
 * @event:       its number, or SHMIPC_LISTEN_DIED
 * @ret:         what there is; untouched on failure
 * @deadline_ns: absolute
 *
 * What is returned has been taken: the next call reports what comes later. No system call
 * if there is something already.
 *
 * Return: 0; -EAGAIN nothing (deadline 0); -ETIMEDOUT; -EINTR; -EPROTO a notifier has set
 * the count back: the next call goes on from what it is now; -ECONNRESET fenced; -EINVAL.
 */
int shmipc_listener_wait(struct shmipc_listener *l, uint32_t event, struct shmipc_event_got *ret,
			 uint64_t deadline_ns);

/**
 * shmipc_listener_wait_any - wait for any of several events
 * @l:           the listener
 * @events:      their numbers; NULL: all of them, and SHMIPC_LISTEN_DIED
 * @n:           how many numbers; 1 to 4097; with NULL: 0
 * @got:         array of @cap: what there is, of each event that has something
 * @cap:         at least 1; what has no room stays for the next call, which begins with it
 * @ret_got:     how many are filled in
 * @deadline_ns: absolute
 *
 * A number that occurs twice is reported once.
 *
 * Return: as shmipc_listener_wait(); -ENOMEM.
 */
int shmipc_listener_wait_any(struct shmipc_listener *l, const uint32_t *events, size_t n,
			     struct shmipc_event_got *got, size_t cap, size_t *ret_got,
			     uint64_t deadline_ns);

/**
 * shmipc_listener_wait_all - wait until each of several events has something to report
 *
 * Arguments: as for shmipc_listener_wait_any(), but that @cap must be at least the number of
 * events. Nothing is taken before all can be. That an event was missed is something to
 * report, too: the call waits for it no longer than its period.
 *
 * Return: as shmipc_listener_wait_any().
 */
int shmipc_listener_wait_all(struct shmipc_listener *l, const uint32_t *events, size_t n,
			     struct shmipc_event_got *got, size_t cap, size_t *ret_got,
			     uint64_t deadline_ns);

/**
 * shmipc_listener_expect - expect an event to be notified within each period
 * @l:         the listener
 * @event:     its number; not SHMIPC_LISTEN_DIED
 * @period_ns: 0: no more
 *
 * The first period begins now, and a new one whenever a call of this listener has found a
 * notification of the event, or has reported missed periods. A call that waits for the
 * event, alone or among others, returns as soon as a period has passed without a
 * notification, also if nobody could notify it. The time of a notification is when a
 * call of this listener finds it: one that looks too rarely reports fewer missed periods
 * than there were, and never one that was kept.
 *
 * Return: 0; -EINVAL; -ECONNRESET; -ENOMEM.
 */
int shmipc_listener_expect(struct shmipc_listener *l, uint32_t event, uint64_t period_ns);

/* What a listener has done so far. */
struct shmipc_listener_stat {
	uint64_t struct_bytes;	/* set by the caller */
	uint64_t taken;		/* notifications */
	uint64_t missed;	/* periods */
	uint64_t died;		/* notifiers that it was told of */
	uint64_t sleeps;
	uint64_t ticks;		/* sleeps that ended without a wake */
};

#define SHMIPC_LISTENER_STAT()	SHMIPC_PRIV_SIZED(struct shmipc_listener_stat, )

/* Return: 0; -EINVAL. */
int shmipc_listener_get_stat(const struct shmipc_listener *l, struct shmipc_listener_stat *ret);

/* Inspecting events without joining */

/* An end, as seen from outside. It lies in arrays, and grows into @reserved0. */
struct shmipc_event_end {
	struct shmipc_peer_info peer;
	uint64_t wakes;		/* notifiers: how often they had somebody to wake */
	uint64_t taken;		/* listeners: notifications */
	uint64_t missed;	/* listeners: periods */
	uint64_t reserved0[3];
};

/**
 * struct shmipc_event_stat - properties and state of events at one moment
 *
 * @count and @end are the caller's arrays of @count_cap and @end_cap entries. @ends is the
 * number of those attached, or dead and not yet replaced; notifiers come first.
 */
struct shmipc_event_stat {
	uint64_t struct_bytes;	/* set by the caller */
	struct shmipc_segment_info info;
	int in_use;
	uint32_t events;	/* at @count */
	uint32_t notifiers;	/* the most at a time */
	uint32_t listeners;
	uint64_t total;		/* notifications, of all events */
	uint64_t died;		/* notifiers */
	uint64_t *count;	/* of each event */
	uint32_t count_cap;
	uint32_t ends;		/* at @end */
	struct shmipc_event_end *end;
	uint32_t end_cap;
	uint32_t reserved0;
};

#define SHMIPC_EVENT_STAT(...)	SHMIPC_PRIV_SIZED(struct shmipc_event_stat, __VA_ARGS__)

/**
 * shmipc_event_look - inspect events by name without joining
 * @name: as for open
 * @ret:  filled in, but for the caller's fields
 *
 * Needs read permission only.
 *
 * Return: 0; -EINVAL the name is of another kind; otherwise as shmipc_segment_look().
 */
int shmipc_event_look(const char *name, struct shmipc_event_stat *ret);

SHMIPC_PRIV_C_END
#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_EVENT_H */
