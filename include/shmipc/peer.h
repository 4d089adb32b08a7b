/* SPDX-License-Identifier: MIT */
/*
 * peer.h - become a peer of a raw segment, in whose memory locks and the like are held
 *
 * What a process holds in shared memory belongs to a peer: a slot of the segment's peer
 * table, with a generation. When the process ends, however it does, the others learn it
 * from the kernel, at once on dev and on mem as told in shmipc(7), and what the peer has
 * held is taken from it.
 *
 * Threads: all threads of the process use one peer at the same time, except that joining and
 * leaving are for one thread, while no other one uses the peer. After fork() the child has
 * no peer: every use fails with -EINVAL, and it joins again with a segment of its own.
 */
#ifndef SHMIPC_PEER_H
#define SHMIPC_PEER_H

#include <shmipc/segment.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shmipc_peer;

/**
 * struct shmipc_peer_opts - how a peer waits
 * @struct_bytes: sizeof this struct, as the caller knows it: see shmipc/inline/sized.h
 * @spin_ns:      how long to spin before sleeping; 0: 20 us if there is more than one CPU;
 *                SHMIPC_SPIN_NEVER and SHMIPC_SPIN_ALWAYS as in shmipc/channel.h
 */
struct shmipc_peer_opts {
	uint64_t struct_bytes;
	uint64_t spin_ns;
};

#define SHMIPC_PEER_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_peer_opts, __VA_ARGS__)

/**
 * shmipc_peer_join - take a slot in the peer table of a raw segment
 * @ret:  the peer; shmipc_peer_leave() it before the segment is closed
 * @seg:  of kind SHMIPC_KIND_RAW: named, anonymous or private; one peer per handle
 * @opts: or NULL
 *
 * How many peers a segment can have is determined by its option peers, 64 by default.
 *
 * Return: 0; -EINVAL not a raw segment, an invalid option, or a handle inherited through
 * fork; -EBUSY this handle has a peer; -ENOSPC all slots are taken; -E2BIG; -ENOMEM.
 */
int shmipc_peer_join(struct shmipc_peer **ret, struct shmipc_segment *seg,
		     const struct shmipc_peer_opts *opts);

/**
 * shmipc_peer_leave - give the slot up; NULL is ignored
 * @p: the peer, gone afterwards
 *
 * What it still holds is taken from it as if it had died.
 */
void shmipc_peer_leave(struct shmipc_peer *p);

/* Its slot, generation and the like, as others see them. Return: 0, -EINVAL, -ECONNRESET. */
int shmipc_peer_get_info(const struct shmipc_peer *p, struct shmipc_peer_info *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_PEER_H */
