/* SPDX-License-Identifier: MIT */
/* peer.h - a peer that holds things in the memory of its segment, private parts */
#ifndef SHMIPC_LIB_PEER_H
#define SHMIPC_LIB_PEER_H

#include <shmipc/peer.h>

#include "segment/backend.h"
#include "segment/probe.h"

struct shmipc_peer {
	struct shmipc_segment *seg;	/* the user's handle */
	struct shmipc_end end;
	uint32_t live;			/* 0: inherited through fork, or cut off */
	uint32_t pid;			/* for people */
	uint64_t generation;
	uint64_t spin_ns;		/* 0: none */
	bool ends_by_signals;		/* a handler ends a wait with -EINTR */
	const unsigned char *data;	/* what all peers may write */
	size_t data_bytes;
};

/* Take a slot of @role, which may write the segment's data. 0; -errno with a text. */
int shmipc_peer_begin(struct shmipc_peer **ret, struct shmipc_segment *seg, enum shmipc_role role,
		      uint64_t spin_ns);

/* The slot and the generation of a peer, as the words of a noun name their owner. */
struct shmipc_peer_name {
	uint32_t slot;
	uint64_t generation;
	uint64_t mask;		/* the bits of the generation that are there */
};

/*
 * Has it left or died? A peer that never was has gone, too: the name may come from anybody.
 * @sure: ask the kernel, too. Our own is there, whatever its lock seems to say to us.
 */
bool shmipc_peer_gone(const struct shmipc_peer *p, struct shmipc_peer_name name, bool sure);

/* Its process, if its slot still shows that; 0: not known. */
uint32_t shmipc_peer_pid(const struct shmipc_peer *p, struct shmipc_peer_name name);

/* Are these bytes, fewer than a page, in the memory that all peers may write, and aligned to 8? */
static inline bool shmipc_peer_within(const struct shmipc_peer *p, const void *at, size_t bytes)
{
	uintptr_t off = (uintptr_t)at - (uintptr_t)p->data;

	return off <= p->data_bytes - bytes && !(off % 8);
}

#endif /* SHMIPC_LIB_PEER_H */
