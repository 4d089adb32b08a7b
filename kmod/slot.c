// SPDX-License-Identifier: GPL-2.0-only
/*
 * slot.c - the peer table: which peer is in which slot, and what all peers can read there
 *
 * Only the module writes the table. The module's own pointers, under seg->lock, say
 * which are attached; the slots in the segment's memory only show that.
 */
#include <linux/nospec.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>

#include "trace.h"

/* The word of an attached slot: never 0 or NO_KEEPER, different with each attach. */
static u32 word_of(u64 generation)
{
	return 1 + (u32)((generation - 1) % (SHMIPC_PEER_NO_KEEPER - 1));
}

static void slot_write_attached(struct shmipc_segment *seg, const struct shmipc_peer *peer)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, peer->slot);
	struct pid_namespace *ns = task_active_pid_ns(current);

	/* The last owner may have died: clear its word before the state says ATTACHED. */
	WRITE_ONCE(s->word, 0);
	/* After the word, as in the library's table.c. */
	smp_store_release(&s->state, SHMIPC_PEER_ATTACHED);
	/* A reader of the new generation does not see LEFT or DEAD of the old one. */
	smp_store_release(&s->generation, peer->generation);
	s->role = peer->role;
	s->caps = peer->caps;
	s->since_ns = peer->since_ns;
	s->hint_pid = pid_nr_ns(peer->pid, ns);
	s->hint_pidns = ns->ns.inum;
	memcpy(s->comm, peer->comm, sizeof(s->comm));
	/* The word last: a reader that sees it change sees the other fields. */
	smp_store_release(&s->word, word_of(peer->generation));
}

static void slot_write_gone(struct shmipc_segment *seg, const struct shmipc_peer *peer,
			    enum shmipc_peer_state state)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, peer->slot);

	WRITE_ONCE(s->state, state);
	/* The word last, as above. */
	smp_store_release(&s->word, state == SHMIPC_PEER_DIED ?
			  word_of(peer->generation) | SHMIPC_PEER_DEAD : 0);
}

/*
 * The only transition out of ATTACHED. @death: of one that died; @check: of one that leaves,
 * or NULL; *@ret_old: for shmipc_slot_tell(). False: it was made before.
 */
bool shmipc_slot_leave_locked(struct shmipc_peer *peer, enum shmipc_peer_state state,
			      const struct shmipc_death *death,
			      const struct shmipc_role_check *check, struct shmipc_peer **ret_old)
{
	struct shmipc_segment *seg = peer->seg;

	if (peer->state != SHMIPC_PEER_ATTACHED)
		return false;
	/* A process that learns of the death can read its receipt. */
	if (state == SHMIPC_PEER_DIED)
		shmipc_death_keep_locked(seg, peer, death, ret_old);
	WRITE_ONCE(peer->state, state);
	seg->role_count[peer->role]--;
	shmipc_role_left_locked(seg, peer->role, check);
	WRITE_ONCE(seg->attached, seg->attached - 1);
	slot_write_gone(seg, peer, state);
	return true;
}

/* After the transition: wake all that watch it. @forgotten: of an overwritten receipt; or NULL. */
void shmipc_slot_tell(struct shmipc_peer *peer, enum shmipc_peer_state state,
		      struct shmipc_peer *forgotten)
{
	if (forgotten)
		shmipc_peer_put(forgotten);
	shmipc_wake_peer(peer->seg, peer->slot);
	if (state == SHMIPC_PEER_DIED)
		trace_shmipc_death(peer->seg, peer);
	else
		trace_shmipc_detach(peer->seg, peer);
}

/* The last peer in a slot, or NULL. */
struct shmipc_peer *shmipc_peer_at_locked(const struct shmipc_segment *seg, u32 slot)
{
	return rcu_dereference_protected(seg->slot[slot], lockdep_is_held(&seg->lock));
}

static int slot_find_locked(const struct shmipc_segment *seg, u32 min, u32 max)
{
	const struct shmipc_peer *peer;
	u32 i;

	for (i = array_index_nospec(min, seg->peers); i <= max; i++) {
		peer = shmipc_peer_at_locked(seg, i);
		if (!peer || peer->state != SHMIPC_PEER_ATTACHED)
			return i;
	}
	return -EBUSY;
}

static u32 busy_locked(struct shmipc_file *sf, const struct shmipc_segment *seg,
		       const struct shmipc_peer *peer)
{
	if (shmipc_peer_find_locked(sf, peer->mm))
		return SHMIPC_BUSY_ATTACHED;
	if (seg->role_count[peer->role] >= seg->role_max[peer->role])
		return SHMIPC_BUSY_ROLE;
	return shmipc_role_before_locked(seg, peer->role).regions ? SHMIPC_BUSY_PINNED :
	       SHMIPC_BUSY_NONE;
}

/*
 * Put @peer into a free slot; *@ret_old is the slot's previous peer. Return: 0; -EBUSY,
 * with the reason in @req; -ECONNRESET this address space was fenced on this file.
 */
int shmipc_slot_take_locked(struct shmipc_file *sf, struct shmipc_segment *seg,
			    struct shmipc_peer *peer, struct shmipc_dev_attach *req,
			    struct shmipc_peer **ret_old)
{
	struct shmipc_peer *old = shmipc_peer_find_locked(sf, peer->mm);
	int slot;

	if (old && old->fenced)
		return -ECONNRESET;
	req->busy = busy_locked(sf, seg, peer);
	if (req->busy)
		return -EBUSY;
	slot = slot_find_locked(seg, req->slot_min, req->slot_max);
	if (slot < 0) {
		req->busy = SHMIPC_BUSY_SLOTS;
		return slot;
	}
	old = shmipc_peer_at_locked(seg, slot);
	peer->slot = slot;
	peer->generation = old ? old->generation + 1 : 1;
	peer->state = SHMIPC_PEER_ATTACHED;
	rcu_assign_pointer(seg->slot[slot], peer);
	seg->role_count[peer->role]++;
	WRITE_ONCE(seg->attached, seg->attached + 1);
	list_add(&peer->file_node, &sf->peers);
	WRITE_ONCE(sf->attached_once, true);
	slot_write_attached(seg, peer);
	req->slot = slot;
	req->generation = peer->generation;
	req->word = word_of(peer->generation);
	*ret_old = old;
	return 0;
}
