/* SPDX-License-Identifier: MIT */
/*
 * discover.h - find segments by name, and watch them and their ends
 *
 * Names are selected by patterns. shmipc_discover_each() visits the existing
 * segments; a watch reports what appears and disappears from then on: segments,
 * and their ends (producers, readers and so on). Neither takes an end or a lock;
 * both need read permission only. See shmipc_discover(3).
 */
#ifndef SHMIPC_DISCOVER_H
#define SHMIPC_DISCOVER_H

#include <shmipc/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHMIPC_GLOB_MAX		1024	/* bytes of a pattern, without the final 0 */

/**
 * shmipc_glob_check - is this a valid pattern?
 * @pattern:    or NULL
 * @ret_reason: why not, a constant text; may be NULL
 *
 * Return: 0, -EINVAL.
 */
int shmipc_glob_check(const char *pattern, const char **ret_reason);

/**
 * shmipc_glob_match - does a pattern match all of a name?
 * @pattern: as below
 * @name:    of a segment
 *
 *   *       any number of bytes, also none, except '/'
 *   ?       one byte, except '/'
 *   [a-z]   one of these bytes; [!a-z] one byte that is neither one of them nor '/'
 *   **      as a whole part between slashes: any number of parts, also none;
 *           "a/ ** /b" (without the blanks) matches a/b, a/x/b and a/x/y/b, and
 *           two stars elsewhere mean the same as one
 *   \c      the byte c itself
 *
 * The work is at most proportional to the length of the pattern times that of the name.
 *
 * Return: 1 or 0; 0 also if the pattern or the name is not valid.
 */
int shmipc_glob_match(const char *pattern, const char *name);

/**
 * shmipc_discover_each - call a function with each existing segment
 * @pattern: NULL: all
 * @kind:    enum shmipc_kind; SHMIPC_KIND_ANY: all
 * @fn:      called in the order of the names, with the segment as it is and its
 *           peers; or with @st NULL and @err if it cannot be inspected
 *           (-EACCES, -EPROTO, -EPROTONOSUPPORT, ...), regardless of @kind, which is
 *           then unknown. @st is valid during the call only. Returns 0 to go on;
 *           any other value is returned
 * @arg:     for @fn
 *
 * A segment that disappears meanwhile is omitted. @fn may open and remove segments.
 *
 * Return: 0, what @fn returned, -EINVAL invalid pattern, -EACCES, -ENOMEM.
 */
int shmipc_discover_each(const char *pattern, uint32_t kind,
			 int (*fn)(const char *name, int err,
				   const struct shmipc_segment_stat *st, void *arg),
			 void *arg);

/* shmipc_watch_open() flags */
#define SHMIPC_WATCH_ENDS	0x1u	/* report ends, too */
#define SHMIPC_WATCH_NEW	0x2u	/* do not report what exists at the beginning */

enum shmipc_event_type {
	SHMIPC_EVENT_APPEARED	= 1,	/* a segment now has this name */
	SHMIPC_EVENT_GONE	= 2,	/* no segment has it any more */
	SHMIPC_EVENT_JOINED	= 3,	/* a peer took an end */
	SHMIPC_EVENT_LEFT	= 4,	/* the end was closed */
	SHMIPC_EVENT_DIED	= 5,	/* its process was killed, or exited without closing it */
	SHMIPC_EVENT_LOST	= 6,	/* it is gone; whether it left or died is not known */
};

/**
 * struct shmipc_event - what happened
 * @struct_bytes: sizeof this struct, as the caller knows it and sets it
 * @type:         enum shmipc_event_type
 * @error:        0; for a segment: why it cannot be inspected (-EACCES, -EPROTO,
 *                ...), and then @kind is SHMIPC_KIND_ANY and @id is zero
 * @noticed_ns:   CLOCK_REALTIME when it was noticed, which may be later than
 *                when it happened
 * @name:         of the segment
 * @id:           of the segment: the same name with another id is another segment
 * @kind:         enum shmipc_kind
 * @reserved0:    0
 * @missed:       JOINED: ends that took this slot and were gone before this one,
 *                unnoticed between two scans
 * @end:          of ends: slot, role, generation and so on; for LOST, as it was
 *                when last seen
 */
struct shmipc_event {
	uint64_t struct_bytes;
	uint32_t type;
	int32_t error;
	uint64_t noticed_ns;
	char name[SHMIPC_NAME_MAX + 8];
	uint8_t id[16];
	uint32_t kind;
	uint32_t reserved0;
	uint64_t missed;
	struct shmipc_peer_info end;
};

#define SHMIPC_EVENT()	SHMIPC_PRIV_SIZED(struct shmipc_event, )

/* The default interval between two scans of a watch. */
#define SHMIPC_WATCH_TICK_NS	UINT64_C(50000000)

struct shmipc_watch;

/**
 * shmipc_watch_open - begin to watch
 * @ret:     shmipc_watch_close() it; one thread at a time
 * @pattern: NULL: all
 * @kind:    enum shmipc_kind; SHMIPC_KIND_ANY: all
 * @flags:   SHMIPC_WATCH_*
 *
 * What exists is reported first, as APPEARED and JOINED. The directory of the
 * names need not exist yet.
 *
 * For each name APPEARED and GONE alternate, and so do JOINED and one of LEFT,
 * DIED and LOST for each slot of it; all its ends are gone before GONE. An end that
 * joins and leaves between two scans is reported completely or not at all. On mem
 * the kernel reports at once which names come and go; ends, and on dev also names,
 * are scanned for at every tick.
 *
 * Return: 0; -EINVAL invalid pattern or flag; -EACCES the directory may
 * not be read; -ENOMEM; -EMFILE no descriptor is free; -EOPNOTSUPP.
 */
int shmipc_watch_open(struct shmipc_watch **ret, const char *pattern, uint32_t kind,
		      uint32_t flags);

/**
 * shmipc_watch_next - the next event, waiting for it
 * @w:           the watch
 * @ret:         filled in; @ret->struct_bytes is the caller's
 * @deadline_ns: absolute CLOCK_MONOTONIC; 0 never sleeps; UINT64_MAX forever
 *
 * Return: 0; -EAGAIN none and the deadline was 0; -ETIMEDOUT; -EINTR a signal
 * handler ran while it slept, with SA_RESTART or without (a handler that runs
 * during a scan does not interrupt it: a program that waits for signals should use
 * shmipc_watch_fd()); -EINVAL @ret->struct_bytes, or in a child after fork();
 * -ENOMEM events were lost: close it; -EACCES the directory reappeared and may not
 * be read.
 */
int shmipc_watch_next(struct shmipc_watch *w, struct shmipc_event *ret, uint64_t deadline_ns);

/*
 * A descriptor for poll(2) and epoll(7), which belongs to the watch: readable when
 * there may be events. Then call shmipc_watch_next() with 0 until it returns -EAGAIN.
 */
int shmipc_watch_fd(const struct shmipc_watch *w);

/*
 * Scan every @tick_ns, at least 1 ms; 0: SHMIPC_WATCH_TICK_NS. When scans are
 * expensive they are less frequent: they take at most a twentieth of a CPU's time.
 */
void shmipc_watch_set_tick(struct shmipc_watch *w, uint64_t tick_ns);

/* NULL is ignored. A child after fork() may close its copy. */
void shmipc_watch_close(struct shmipc_watch *w);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_DISCOVER_H */
