// SPDX-License-Identifier: MIT
/*
 * deadman_look.c - the holder of a role, since when it has it, and how a term ended
 *
 * A holder that releases the role says so before its slot is free. So of a term that is
 * over and not said to be released, the holder has died, at whatever instruction.
 */
#include <errno.h>
#include <string.h>

#include "deadman/deadman.h"

#define TRIES	16

struct shmipc_deadman_now shmipc_deadman_now(struct shmipc_segment *seg, bool sure)
{
	const struct shmipc_peer_slot *s = shmipc_segment_slot(seg, DEADMAN_SLOT);
	struct shmipc_deadman_now now = { 0, false };
	enum shmipc_peer_state state;
	uint32_t word;
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		/* peer.G1 <- peer.G0: with a new generation no state of the old one is seen. */
		now.term = shmipc_load_acquire(&s->generation);
		/* peer.P0 <- peer.P1, in it: one that released the role has said so before. */
		state = seg->be->state(seg, DEADMAN_SLOT, sure);
		word = shmipc_load_relaxed(&s->word);
		/* Without a word in its slot the next holder is just taking the role. */
		now.held = state == SHMIPC_PEER_ATTACHED && word & SHMIPC_PEER_TID_MASK;
		/* peer.G1 <- peer.G0: they belong together if this is the same. */
		shmipc_fence_acquire();
		if (shmipc_load_relaxed(&s->generation) == now.term)
			break;
	}
	return now;
}

__u64 *shmipc_deadman_released(const struct shmipc_segment *seg, uint64_t term)
{
	struct shmipc_deadman_line *line = (struct shmipc_deadman_line *)(void *)
		(seg->base + seg->hdr.body_off + seg->sides.prod_off);

	return &line->released[term % SHMIPC_DEADMAN_TERMS];
}

static uint32_t end_of(const struct shmipc_segment *seg, uint64_t term,
		       const struct shmipc_deadman_now *now)
{
	if (!term || term > now->term || (term == now->term && now->held))
		return SHMIPC_DEADMAN_NOT_YET;
	if (now->term - term >= SHMIPC_DEADMAN_TERMS)
		return SHMIPC_DEADMAN_UNKNOWN;
	return shmipc_load_relaxed(shmipc_deadman_released(seg, term)) == term ?
	       SHMIPC_DEADMAN_RELEASED : SHMIPC_DEADMAN_DIED;
}

void shmipc_deadman_describe(struct shmipc_segment *seg, bool sure, uint64_t term,
			     struct shmipc_deadman_info *ret)
{
	struct shmipc_deadman_now now = shmipc_deadman_now(seg, sure);
	struct shmipc_peer_info peer;

	if (!term)
		term = now.term;
	*ret = (struct shmipc_deadman_info){ .struct_bytes = sizeof(*ret), .term = term };
	ret->held = term && term == now.term && now.held;
	ret->end = end_of(seg, term, &now);
	shmipc_slot_info(seg, DEADMAN_SLOT, &peer);
	if (!term || peer.generation != term)	/* the slot is another one's by now */
		return;
	ret->pid = peer.pid;
	ret->since_ns = peer.since_ns;
	memcpy(ret->comm, peer.comm, sizeof(ret->comm));
}

SHMIPC_EXPORT int shmipc_deadman_get_info(struct shmipc_deadman *d, struct shmipc_deadman_info *ret)
{
	struct shmipc_deadman_info info;
	int err;

	if (!d || !ret)
		return shmipc_null(__func__, "d or ret");
	err = shmipc_sized_check(ret, sizeof(info), "deadman info");
	if (err || !d->live)
		return -EINVAL;
	shmipc_deadman_describe(d->seg, !d->holds, 0, &info);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}

static int look(const char *name, struct shmipc_deadman_info *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_deadman_info info;
	struct shmipc_segment *seg;
	int in_use, err;

	if (!ret)
		return shmipc_null("shmipc_deadman_look", "ret");
	err = shmipc_sized_check(ret, sizeof(info), "deadman info");
	if (!err)
		err = shmipc_segment_look_begin(name, &in_use, &seg);
	if (err)
		return err;
	seg->read_only = true;
	err = shmipc_deadman_check(seg, name);
	if (!err)
		shmipc_deadman_describe(seg, true, 0, &info);
	shmipc_segment_look_done(seg);
	if (!err)
		shmipc_sized_write(ret, &info, sizeof(info));
	return err;
}

SHMIPC_EXPORT int shmipc_deadman_look(const char *name, struct shmipc_deadman_info *ret)
{
	return SHMIPC_TOLD(look(name, ret));
}
