/* SPDX-License-Identifier: MIT */
/* channel.h - a channel, private parts */
#ifndef SHMIPC_LIB_CHANNEL_H
#define SHMIPC_LIB_CHANNEL_H

#include <shmipc/channel.h>

#include "segment/backend.h"
#include "segment/probe.h"

#define NO_SLOT		UINT32_MAX

/* A value that no word has: the inline check sends every call into the library. */
#define PEER_SEEN_NEVER	(SHMIPC_PEER_DEAD | SHMIPC_PEER_TID_MASK)

struct shmipc_chan {
	struct shmipc_channel pub;	/* first: the user's part */
	struct shmipc_segment *seg;
	struct shmipc_end end;
	uint32_t peer_slot;		/* NO_SLOT: no peer is watched */
	uint64_t ignore_generation;	/* of a peer that had gone before we attached */
	uint64_t dead_generation;	/* of a peer that died according to its lock */
	uint64_t ask_lock_ns;		/* when to ask the peer's lock again */
	struct shmipc_waiter wait;
	uint64_t wakes;
};

static inline struct shmipc_chan *shmipc_chan(const struct shmipc_channel *ch)
{
	return (struct shmipc_chan *)(uintptr_t)ch;
}

/*
 * Is the other side attached, and with which generation? Asks the kernel if its last
 * answer is old.
 */
enum shmipc_peer_state shmipc_chan_peer(struct shmipc_chan *c, uint64_t *ret_generation,
					bool sure);

/* Has the peer been attached, while we were, and gone? */
bool shmipc_chan_peer_gone(struct shmipc_chan *c, bool sure);

#endif /* SHMIPC_LIB_CHANNEL_H */
