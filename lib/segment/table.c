// SPDX-License-Identifier: MIT
/*
 * table.c - a peer table that the peers write themselves
 *
 * Three things show whether a peer is alive:
 *   the lock of its slot: from the kernel, reliable, but late (after the memory of a
 *       dead process has been torn down), and checking it costs a system call;
 *   the word of its slot: set by the kernel at once when the keeper thread dies, free
 *       to read, and can be slept on together with a position; a hostile peer may
 *       write it, which misleads others only about itself;
 *   the state of its slot: what the peer wrote last; tells leaving from dying.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "segment/table.h"

#define DYING_RETRY_NS		UINT64_C(500000)

enum shmipc_peer_state shmipc_table_state(struct shmipc_segment *seg, uint32_t slot, bool lock)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint32_t word = shmipc_load_relaxed(&s->word);
	uint8_t state;

	/* peer.P0 <- peer.P1: the state that was written before the word. */
	shmipc_fence_acquire();
	state = shmipc_load_relaxed(&s->state);
	if (word & SHMIPC_PEER_DEAD)
		return SHMIPC_PEER_DIED;
	if (!shmipc_word_attached(word) && state != SHMIPC_PEER_ATTACHED)
		return state == SHMIPC_PEER_NONE ? SHMIPC_PEER_NONE : SHMIPC_PEER_LEFT;
	/* Attached, attaching or leaving: the lock decides. */
	if ((lock || !shmipc_word_attached(word)) && !seg->be->locks->held(seg, slot))
		return SHMIPC_PEER_DIED;
	return SHMIPC_PEER_ATTACHED;
}

/* Lock the first free slot in [@from, @to): of those whose words say free, or of all. */
static int try_slots(struct shmipc_segment *seg, uint32_t from, uint32_t to, bool all,
		     uint32_t *ret_slot)
{
	uint32_t slot;
	int ret;

	for (slot = from; slot < to; slot++) {
		if (!all && shmipc_word_is_sure(shmipc_load_relaxed(&shmipc_segment_slot(seg, slot)->word)))
			continue;
		ret = seg->be->locks->lock(seg, slot);
		if (ret != -EBUSY) {
			*ret_slot = slot;
			return ret;
		}
	}
	return -EBUSY;
}

/*
 * Find a free slot; -EBUSY with *@ret_dying if one may become free soon. Asking the
 * kernel takes a time that grows with the number of locks, and with thousands of peers
 * each would ask for all those before it.
 */
static int lock_slot(struct shmipc_segment *seg, uint32_t from, uint32_t to, uint32_t *ret_slot,
		     bool *ret_dying)
{
	int ret = try_slots(seg, from, to, false, ret_slot);
	uint32_t slot;

	*ret_dying = false;
	if (ret == -EBUSY)	/* the words may be wrong */
		ret = try_slots(seg, from, to, true, ret_slot);
	for (slot = from; ret == -EBUSY && slot < to; slot++)
		if (shmipc_table_state(seg, slot, false) != SHMIPC_PEER_ATTACHED)
			*ret_dying = true;
	return ret;
}

static void write_slot(struct shmipc_end *e, enum shmipc_role role)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(e->seg, e->slot);
	uint32_t word = SHMIPC_PEER_NO_KEEPER;
	char comm[16] = "";
	uint8_t caps = 0;

	if (shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER)
		caps |= SHMIPC_PEER_CAP_MEMBARRIER;
	(void)prctl(PR_GET_NAME, comm);
	/* The last owner died: its word must be cleared before the state says ATTACHED. */
	shmipc_store_relaxed(&s->word, 0u);
	shmipc_store_relaxed(&s->state, (uint8_t)SHMIPC_PEER_ATTACHED);
	/* peer.G0 -> peer.G1: with the new generation no peer sees the LEFT of the old one. */
	shmipc_store_release(&s->generation, shmipc_load_relaxed(&s->generation) + 1);
	shmipc_store_relaxed(&s->role, (uint8_t)role);
	shmipc_store_relaxed(&s->caps, caps);
	shmipc_store_relaxed(&s->since_ns, shmipc_realtime_ns());
	shmipc_store_relaxed(&s->hint_pid, (uint32_t)getpid());
	shmipc_store_relaxed(&s->hint_pidns, shmipc_my_pidns());
	shmipc_racy_write(s->comm, comm, sizeof(s->comm));
	e->kept = shmipc_keeper_hold(e->seg, e->slot, &word);
	/*
	 * peer.P1 -> peer.P0: the slot is filled in before its word says that we are here.
	 * Marked as watched: if we are killed before the wake, the kernel wakes.
	 */
	shmipc_store_release(&s->word, word | SHMIPC_PEER_WATCHED);
	shmipc_futex_wake(&s->word, INT_MAX);
}

/* Take the first free slot in [@from, @to); wait for holders that are already dead. */
int shmipc_table_take(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to)
{
	uint64_t end = shmipc_now_ns() + DYING_PATIENCE_NS;
	bool dying;
	int ret;

	for (;;) {
		ret = lock_slot(e->seg, from, to, &e->slot, &dying);
		if (ret != -EBUSY || !dying || shmipc_now_ns() >= end)
			break;
		shmipc_sleep_ns(DYING_RETRY_NS);
	}
	if (!ret)
		write_slot(e, role);
	return ret;
}

void shmipc_table_leave(struct shmipc_end *e)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(e->seg, e->slot);

	shmipc_store_relaxed(&s->state, (uint8_t)SHMIPC_PEER_LEFT);
	if (e->kept)
		shmipc_keeper_leaves(e->kept);
	/* peer.P1 -> peer.P0: what we published, and that we left, before the word is free. */
	shmipc_store_release(&s->word, 0u);
	shmipc_futex_wake(&s->word, INT_MAX);
	if (e->kept)
		shmipc_keeper_drop(e->kept);
	e->seg->be->locks->unlock(e->seg, e->slot);
}

/* A peer known to have died: wait until the kernel has released its locks. */
void shmipc_table_wait_gone(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns)
{
	while (shmipc_table_state(seg, slot, false) == SHMIPC_PEER_DIED &&
	       seg->be->locks->held(seg, slot) && shmipc_now_ns() < until_ns)
		shmipc_sleep_ns(DYING_RETRY_NS);
}
