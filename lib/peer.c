// SPDX-License-Identifier: MIT
/*
 * peer.c - the ends of a segment: who has them, who left, who died
 *
 * Three things say that a peer lives, and each has its use:
 *   the lock of its slot: the kernel's word, sure, but late (after the memory of
 *       the dead has been torn down) and it costs a system call to ask;
 *   the word of its slot: set by the kernel at once when the keeper thread dies,
 *       read for nothing, slept on together with a position; a hostile peer may
 *       write it, and then lies about itself;
 *   the state of its slot: what it wrote last; tells leaving from dying.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend.h"

/* A killed peer's lock goes when its memory has been torn down; this is ample. */
#define DYING_PATIENCE_NS	UINT64_C(2000000000)
#define DYING_RETRY_NS		UINT64_C(500000)

static bool word_attached(uint32_t word)
{
	return word & SHMIPC_PEER_TID_MASK && !(word & SHMIPC_PEER_DEAD);
}

enum shmipc_peer_state shmipc_slot_state(struct shmipc_segment *seg, uint32_t slot, bool lock)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint32_t word = shmipc_load_relaxed(&s->word);
	uint8_t state;

	/* P0 <- P1: the state that was written before the word. */
	shmipc_fence_acquire();
	state = shmipc_load_relaxed(&s->state);
	if (word & SHMIPC_PEER_DEAD)
		return SHMIPC_PEER_DIED;
	if (!word_attached(word) && state != SHMIPC_PEER_ATTACHED)
		return state == SHMIPC_PEER_NONE ? SHMIPC_PEER_NONE : SHMIPC_PEER_LEFT;
	/* Attached, or on its way in or out: the lock knows. */
	if ((lock || !word_attached(word)) && !seg->be->slot_held(seg, slot))
		return SHMIPC_PEER_DIED;
	return SHMIPC_PEER_ATTACHED;
}

static uint32_t my_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

/* Lock the slot; a holder that is already dead is waited for. */
static int lock_slot(struct shmipc_segment *seg, uint32_t slot)
{
	uint64_t end = shmipc_now_ns() + DYING_PATIENCE_NS;
	int ret;

	for (;;) {
		ret = seg->be->slot_lock(seg, slot);
		if (ret != -EBUSY)
			return ret;
		if (shmipc_slot_state(seg, slot, false) == SHMIPC_PEER_ATTACHED ||
		    shmipc_now_ns() >= end)
			return -EBUSY;
		shmipc_sleep_ns(DYING_RETRY_NS);
	}
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
	/* The one before died: its word must go before the state says ATTACHED. */
	shmipc_store_relaxed(&s->word, 0u);
	shmipc_store_relaxed(&s->generation, shmipc_load_relaxed(&s->generation) + 1);
	shmipc_store_relaxed(&s->role, (uint8_t)role);
	shmipc_store_relaxed(&s->caps, caps);
	shmipc_store_relaxed(&s->since_ns, shmipc_realtime_ns());
	shmipc_store_relaxed(&s->hint_pid, (uint32_t)getpid());
	shmipc_store_relaxed(&s->hint_pidns, my_pidns());
	shmipc_racy_write(s->comm, comm, sizeof(s->comm));
	shmipc_store_relaxed(&s->state, (uint8_t)SHMIPC_PEER_ATTACHED);
	e->keeper = -1;
	(void)shmipc_keeper_hold(e->seg, e->slot, &word, &e->keeper);
	/* P1 -> P0: the slot is filled in before its word says that we are here. */
	shmipc_store_release(&s->word, word);
	e->seg->be->wake(e->seg, &s->word, INT_MAX);
}

/* Slots of a role: one for producers and consumers, the rest for readers. */
static void slots_of(const struct shmipc_segment *seg, enum shmipc_role role, uint32_t *ret_from,
		     uint32_t *ret_to)
{
	*ret_from = role == SHMIPC_ROLE_PRODUCER ? 0 : 1;
	*ret_to = role == SHMIPC_ROLE_READER ? seg->hdr.peers : *ret_from + 1;
}

/**
 * shmipc_end_take - become a peer
 * @e:    filled in
 * @seg:  its lock must be ours alone: one end per handle
 * @role: which end
 *
 * Return: 0; -EBUSY the end is taken; -ENOSPC all reader slots are.
 */
int shmipc_end_take(struct shmipc_end *e, struct shmipc_segment *seg, enum shmipc_role role)
{
	uint32_t slot, from, to;
	struct shmipc_peer_info p;
	int ret = -EBUSY;

	slots_of(seg, role, &from, &to);
	for (slot = from; ret == -EBUSY && slot < to; slot++)
		ret = role == SHMIPC_ROLE_READER ? seg->be->slot_lock(seg, slot) :
						   lock_slot(seg, slot);
	if (ret == -EBUSY && role == SHMIPC_ROLE_READER)
		return shmipc_fail(-ENOSPC, "shmipc: attach \"%s\": all %u reader slots are taken (ENOSPC); make it with more peers",
				   seg->hdr.name, to - from);
	if (ret == -EBUSY) {
		shmipc_slot_info(seg, from, &p);
		return shmipc_fail(-EBUSY, "shmipc: attach \"%s\": its %s is there already: %.16s, pid %u (EBUSY)",
				   seg->hdr.name, role == SHMIPC_ROLE_PRODUCER ? "producer" : "consumer",
				   p.comm[0] ? p.comm : "?", p.pid);
	}
	if (ret)
		return shmipc_fail(ret, "shmipc: attach \"%s\": lock a slot: %s (%s)", seg->hdr.name,
				   strerror(-ret), shmipc_error_name(ret));
	e->seg = seg;
	e->slot = slot - 1;
	write_slot(e, role);
	return 0;
}

void shmipc_end_leave(struct shmipc_end *e)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(e->seg, e->slot);

	shmipc_store_relaxed(&s->state, (uint8_t)SHMIPC_PEER_LEFT);
	/* P1 -> P0: what we published, and that we left, before the word is free. */
	shmipc_store_release(&s->word, 0u);
	e->seg->be->wake(e->seg, &s->word, INT_MAX);
	if (e->keeper >= 0)
		shmipc_keeper_drop(e->keeper);
	e->seg->be->slot_unlock(e->seg, e->slot);
}

void shmipc_slot_info(struct shmipc_segment *seg, uint32_t slot, struct shmipc_peer_info *ret)
{
	const struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);

	memset(ret, 0, sizeof(*ret));
	ret->slot = slot;
	ret->state = shmipc_slot_state(seg, slot, true);
	ret->role = shmipc_load_relaxed(&s->role);
	ret->generation = shmipc_load_relaxed(&s->generation);
	ret->since_ns = shmipc_load_relaxed(&s->since_ns);
	if (shmipc_load_relaxed(&s->hint_pidns) == my_pidns())
		ret->pid = shmipc_load_relaxed(&s->hint_pid);
	shmipc_racy_read(ret->comm, s->comm, sizeof(ret->comm));
	ret->comm[sizeof(ret->comm) - 1] = 0;
}

/* A peer known to have died: wait until the kernel has let go of its locks. */
void shmipc_slot_wait_gone(struct shmipc_segment *seg, uint32_t slot)
{
	uint64_t end = shmipc_now_ns() + DYING_PATIENCE_NS;

	while (shmipc_slot_state(seg, slot, false) == SHMIPC_PEER_DIED &&
	       seg->be->slot_held(seg, slot) && shmipc_now_ns() < end)
		shmipc_sleep_ns(DYING_RETRY_NS);
}
