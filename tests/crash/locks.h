/* SPDX-License-Identifier: MIT */
/* locks.h - a raw segment with a lock, whose victim and checker are peers */
#ifndef CRASH_LOCKS_H
#define CRASH_LOCKS_H

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crash.h"

#define SHORT_NS	2000000u
#define PATIENCE_NS	UINT64_C(15000000000)	/* less than the watchdog's */

static struct shmipc_segment *seg;
static struct shmipc_peer *peer;

/* Its data, of @bytes. */
static inline void *join_raw(size_t bytes)
{
	const struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = bytes, .flags = SHMIPC_CREATE);
	const struct shmipc_peer_opts po = SHMIPC_PEER_OPTS(.spin_ns = SHMIPC_SPIN_NEVER);

	must(!shmipc_segment_open(&seg, NAME, &o), "open: %s", shmipc_error_text());
	must(!shmipc_peer_join(&peer, seg, &po), "join: %s", shmipc_error_text());
	return shmipc_segment_data(seg, NULL);
}

static inline void leave_raw(void)
{
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
}

/* Victim: the checker may go on. */
static inline void announce(void)
{
	board->begun = (uint64_t)getpid();
	shmipc_store_release(&board->entered, 1u);
	(void)syscall(SYS_futex, &board->entered, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Checker: asleep until the victim is there. */
static inline void until_entered(void)
{
	while (!shmipc_load_acquire(&board->entered))
		(void)syscall(SYS_futex, &board->entered, FUTEX_WAIT, 0, NULL, NULL, 0);
}

#endif /* CRASH_LOCKS_H */
