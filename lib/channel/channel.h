/* SPDX-License-Identifier: MIT */
/* channel.h - a channel as the library sees it */
#ifndef SHMIPC_LIB_CHANNEL_H
#define SHMIPC_LIB_CHANNEL_H

#include <shmipc/channel.h>

#include "segment/backend.h"
#include "segment/probe.h"

#define NO_SLOT		UINT32_MAX

/* A value that no word has: the inline check sends every call into the library. */
#define PEER_SEEN_NEVER	(SHMIPC_PEER_DEAD | SHMIPC_PEER_TID_MASK)

struct shmipc_chan {
	struct shmipc_channel pub;	/* first: what the user has */
	struct shmipc_segment *seg;
	struct shmipc_end end;
	uint32_t peer_slot;		/* NO_SLOT: nobody is watched */
	uint64_t ignore_generation;	/* of a peer that had gone before we came */
	uint64_t dead_generation;	/* of a peer whose lock told that it died */
	uint64_t ask_lock_ns;		/* when to ask the peer's lock again */
	struct shmipc_waiter wait;
	uint64_t wakes;
};

static inline struct shmipc_chan *shmipc_chan(const struct shmipc_channel *ch)
{
	return (struct shmipc_chan *)(uintptr_t)ch;
}

/*
 * Is the other side here, and for the how-manieth time? Asks the kernel when its
 * last answer is old.
 */
enum shmipc_peer_state shmipc_chan_peer(struct shmipc_chan *c, uint64_t *ret_generation,
					bool sure);

/* Has the peer been here, as far as we are concerned, and gone? */
bool shmipc_chan_peer_gone(struct shmipc_chan *c, bool sure);

#endif /* SHMIPC_LIB_CHANNEL_H */
