/* SPDX-License-Identifier: MIT */
/*
 * discover.h - which segments are there, and who comes and goes
 *
 * Names are chosen by patterns. shmipc_discover_each() tells what is there now;
 * a watch tells what appears and disappears from then on: segments, and the ends
 * of them (producers, readers and so on). It takes no end and no lock, and needs
 * read permission only. See shmipc_discover(3).
 */
#ifndef SHMIPC_DISCOVER_H
#define SHMIPC_DISCOVER_H

#include <shmipc/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SHMIPC_GLOB_MAX		1024	/* bytes of a pattern, without the final 0 */

/**
 * shmipc_glob_check - is this a pattern?
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
 *   *       any bytes but '/', also none
 *   ?       one byte but '/'
 *   [a-z]   one of these bytes; [!a-z] one that is none of them and no '/'
 *   **      as a whole part between slashes: any number of parts, also none;
 *           "a/ ** /b" (without the blanks) matches a/b, a/x/b and a/x/y/b, and
 *           two stars elsewhere are one star
 *   \c      the byte c itself
 *
 * The work is at most the length of the pattern times that of the name.
 *
 * Return: 1, 0; 0 also for what is no pattern, or no name.
 */
int shmipc_glob_match(const char *pattern, const char *name);

/**
 * shmipc_discover_each - call a function with each segment that is there now
 * @pattern: NULL: all
 * @kind:    enum shmipc_kind; SHMIPC_KIND_ANY: all
 * @fn:      called in the order of the names, with the segment as it is and its
 *           peers; or with @st NULL and @err for one that cannot be looked at
 *           (-EACCES, -EPROTO, -EPROTONOSUPPORT, ...), whatever @kind, as that is
 *           unknown. @st lives as long as the call. Returns 0 to go on; otherwise
 *           its value is returned
 * @arg:     for @fn
 *
 * One that goes meanwhile is left out. @fn may open and remove segments.
 *
 * Return: 0, what @fn returned, -EINVAL the pattern is none, -EACCES, -ENOMEM.
 */
int shmipc_discover_each(const char *pattern, uint32_t kind,
			 int (*fn)(const char *name, int err,
				   const struct shmipc_segment_stat *st, void *arg),
			 void *arg);

/* shmipc_watch_open() flags */
#define SHMIPC_WATCH_ENDS	0x1u	/* tell of ends too, not of segments alone */
#define SHMIPC_WATCH_NEW	0x2u	/* do not tell what is there already */

enum shmipc_event_type {
	SHMIPC_EVENT_APPEARED	= 1,	/* a segment has this name now */
	SHMIPC_EVENT_GONE	= 2,	/* it has not any more */
	SHMIPC_EVENT_JOINED	= 3,	/* somebody took an end */
	SHMIPC_EVENT_LEFT	= 4,	/* by closing it */
	SHMIPC_EVENT_DIED	= 5,	/* was killed, or ended without closing */
	SHMIPC_EVENT_LOST	= 6,	/* is not there any more; left or died, nobody saw */
};

/**
 * struct shmipc_event - what happened
 * @struct_bytes: sizeof this struct, set by the caller
 * @type:         enum shmipc_event_type
 * @error:        0; for a segment: why it cannot be looked at (-EACCES, -EPROTO,
 *                ...), and then @kind is SHMIPC_KIND_ANY and @id is zero
 * @noticed_ns:   CLOCK_REALTIME when it was noticed, which may be later than
 *                when it happened
 * @name:         of the segment
 * @id:           of the segment: the same name with another id is another one
 * @kind:         enum shmipc_kind
 * @reserved0:    0
 * @missed:       JOINED: so many had this slot and went since the last look
 *                at it, before this one
 * @end:          of ends: slot, role, generation and so on; with LOST as it was
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

/* How often a watch looks, without another wish. */
#define SHMIPC_WATCH_TICK_NS	UINT64_C(50000000)

struct shmipc_watch;

/**
 * shmipc_watch_open - begin to watch
 * @ret:     shmipc_watch_close() it; one thread at a time
 * @pattern: NULL: all
 * @kind:    enum shmipc_kind; SHMIPC_KIND_ANY: all
 * @flags:   SHMIPC_WATCH_*
 *
 * What is there is told first, as APPEARED and JOINED. The directory of the
 * names need not exist yet.
 *
 * For each name APPEARED and GONE alternate, and so do JOINED and one of LEFT,
 * DIED and LOST for each slot of it; before GONE all its ends have gone. What
 * came and went between two looks is not told, or whole. On mem the kernel says
 * at once which names come and go; ends, and on dev names too, are looked for at
 * every tick.
 *
 * Return: 0; -EINVAL the pattern is none, or a flag; -EACCES the directory may
 * not be read; -ENOMEM; -EMFILE no descriptor can be had; -EOPNOTSUPP.
 */
int shmipc_watch_open(struct shmipc_watch **ret, const char *pattern, uint32_t kind,
		      uint32_t flags);

/**
 * shmipc_watch_next - the next event, waiting for it
 * @w:           the watch
 * @ret:         filled in; @ret->struct_bytes is the caller's
 * @deadline_ns: absolute CLOCK_MONOTONIC; 0 never sleeps; UINT64_MAX for ever
 *
 * Return: 0; -EAGAIN none and the deadline was 0; -ETIMEDOUT; -EINTR a signal
 * handler ran while it slept, with SA_RESTART or without; one that runs while it
 * looks is not noticed: who waits for signals uses shmipc_watch_fd(); -EINVAL @ret->struct_bytes, or in a
 * child after fork(); -ENOMEM events were lost: close it; -EACCES the directory
 * came back and may not be read.
 */
int shmipc_watch_next(struct shmipc_watch *w, struct shmipc_event *ret, uint64_t deadline_ns);

/*
 * A descriptor for poll(2) and epoll(7), the watch's own: readable when there may
 * be events. Then call shmipc_watch_next() with 0 until it says -EAGAIN.
 */
int shmipc_watch_fd(const struct shmipc_watch *w);

/*
 * Look every @tick_ns, 1 ms at least; 0: SHMIPC_WATCH_TICK_NS. When a look is much
 * work the next one comes later: it takes a twentieth of a CPU's time at most.
 */
void shmipc_watch_set_tick(struct shmipc_watch *w, uint64_t tick_ns);

/* NULL is nothing. A child after fork() may close its copy. */
void shmipc_watch_close(struct shmipc_watch *w);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_DISCOVER_H */
