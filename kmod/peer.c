// SPDX-License-Identifier: GPL-2.0-only
/*
 * peer.c - taking and leaving a role, and telling the other peers
 *
 * A peer belongs to a process and its address space. The notifier runs when the address
 * space ends, before its memory is torn down and long before its descriptors are closed,
 * even if other processes have them, too. One notifier serves all peers of an address
 * space. But a process that reads in /proc/PID, or by process_vm_readv(2), holds the
 * address space meanwhile, and delays that. Then the end is learned when the process itself
 * closes its descriptors, before its parent can reap it; what is still mapped for the
 * role is taken away first, so that nobody writes there beside its next holder.
 */
#include <linux/mmu_notifier.h>
#include <linux/nospec.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/wait_bit.h>

#include "compat.h"
#include "trace.h"

struct shmipc_owner {
	struct mmu_notifier mn;
	spinlock_t lock;		/* of the list */
	struct list_head peers;		/* each with a reference */
};

static atomic_t owners = ATOMIC_INIT(0);

static void peer_free_rcu(struct rcu_head *rcu)
{
	struct shmipc_peer *peer = container_of(rcu, struct shmipc_peer, rcu);

	put_pid(peer->pid);
	kfree(peer);
}

/* The sampler and eBPF programs read slots without a lock. */
static void peer_free(struct kref *ref)
{
	struct shmipc_peer *peer = container_of(ref, struct shmipc_peer, ref);

	call_rcu(&peer->rcu, peer_free_rcu);
}

void shmipc_peer_get(struct shmipc_peer *peer)
{
	kref_get(&peer->ref);
}

void shmipc_peer_put(struct shmipc_peer *peer)
{
	kref_put(&peer->ref, peer_free);
}

/* What a peer that leaves has waited for. */
struct leave {
	struct shmipc_role_check check;
	u32 maps_made;
};

/*
 * Its address space gives up the role, or ends; one that was fenced has left its slot
 * before. @how: of a death, if the caller knows it. @leave: it gives up the role, if there
 * are no writable mappings of it, and have been none since this; NULL: in any case.
 * Return: 0; -ESRCH another caller has done it; -EBUSY mapped.
 */
static int peer_gone(struct shmipc_peer *peer, enum shmipc_peer_state state,
		     enum shmipc_death_how how, const struct leave *leave)
{
	struct shmipc_segment *seg = peer->seg;
	struct shmipc_owner *owner = peer->owner;
	struct shmipc_peer *forgotten = NULL;
	struct shmipc_death death;
	bool listed, left;

	shmipc_death_ask(peer, state == SHMIPC_PEER_DIED ? how : SHMIPC_DEATH_FENCED, &death);
	spin_lock(&seg->lock);
	if (list_empty(&peer->file_node)) {
		spin_unlock(&seg->lock);
		return -ESRCH;
	}
	if (leave && (peer->maps || peer->maps_made != leave->maps_made)) {
		spin_unlock(&seg->lock);
		return -EBUSY;
	}
	/* On the list, so the file exists. */
	if (peer->fenced) {
		WRITE_ONCE(peer->file->fenced, peer->file->fenced - 1);
		/* FENCE has not come to its end yet, but it did not leave of its own accord. */
		state = SHMIPC_PEER_DIED;
	}
	list_del_init(&peer->file_node);
	left = shmipc_slot_leave_locked(peer, state, &death, leave ? &leave->check : NULL,
					&forgotten);
	spin_unlock(&seg->lock);
	if (left)
		shmipc_slot_tell(peer, state, forgotten);

	spin_lock(&owner->lock);
	listed = !list_empty(&peer->owner_node);
	list_del_init(&peer->owner_node);
	spin_unlock(&owner->lock);
	if (listed)
		shmipc_peer_put(peer);
	mmu_notifier_put(&owner->mn);
	return 0;
}

/* Does a thread of its process run in its address space, and is it not being killed? */
static bool peer_runs(const struct shmipc_peer *peer)
{
	struct task_struct *leader, *t;
	bool runs = false;

	rcu_read_lock();
	leader = pid_task(peer->pid, PIDTYPE_TGID);
	if (leader && !(READ_ONCE(leader->signal->flags) & SIGNAL_GROUP_EXIT)) {
		for_each_thread(leader, t) {
			if (READ_ONCE(t->mm) != peer->mm)
				continue;
			runs = true;
			break;
		}
	}
	rcu_read_unlock();
	return runs;
}

/*
 * It was fenced, and can write nothing any more: dead for all others. It stays on its
 * file's list, by which it learns that, until it leaves.
 */
void shmipc_peer_fence_end(struct shmipc_peer *peer)
{
	struct shmipc_segment *seg = peer->seg;
	struct shmipc_peer *forgotten = NULL;
	struct shmipc_death death;
	bool left;

	shmipc_death_ask(peer, SHMIPC_DEATH_FENCED, &death);
	spin_lock(&seg->lock);
	left = shmipc_slot_leave_locked(peer, SHMIPC_PEER_DIED, &death, NULL, &forgotten);
	spin_unlock(&seg->lock);
	if (left)
		shmipc_slot_tell(peer, SHMIPC_PEER_DIED, forgotten);
}

/* Its process has ended, or runs another program, while its address space may still exist. */
static void peer_die(struct shmipc_peer *peer)
{
	bool mapped;

	spin_lock(&peer->seg->lock);
	mapped = peer->maps;
	spin_unlock(&peer->seg->lock);
	if (mapped)
		shmipc_fence_cut(peer);
	(void)peer_gone(peer, SHMIPC_PEER_DIED, SHMIPC_DEATH_UNKNOWN, NULL);
}

static struct shmipc_peer *owner_pop(struct shmipc_owner *owner)
{
	struct shmipc_peer *peer;

	spin_lock(&owner->lock);
	peer = list_first_entry_or_null(&owner->peers, struct shmipc_peer, owner_node);
	if (peer) {
		list_del_init(&peer->owner_node);
		/* The peer is on the list, so its file still holds the segment. */
		shmipc_segment_get(peer->seg);
	}
	spin_unlock(&owner->lock);
	return peer;
}

/*
 * The address space ends, by exit, signal or exec; its memory and descriptors still
 * exist. A peer that leaves normally has detached before.
 */
static void owner_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct shmipc_owner *owner = container_of(mn, struct shmipc_owner, mn);
	struct shmipc_peer *peer;

	while ((peer = owner_pop(owner))) {
		struct shmipc_segment *seg = peer->seg;

		(void)peer_gone(peer, SHMIPC_PEER_DIED, SHMIPC_DEATH_UNKNOWN, NULL);
		shmipc_peer_put(peer);
		shmipc_segment_put(seg);
	}
}

static struct mmu_notifier *owner_alloc(struct mm_struct *mm)
{
	struct shmipc_owner *owner = kzalloc(sizeof(*owner), SHMIPC_GFP);

	if (!owner)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&owner->lock);
	INIT_LIST_HEAD(&owner->peers);
	atomic_inc(&owners);
	return &owner->mn;
}

static void owner_free(struct mmu_notifier *mn)
{
	struct shmipc_owner *owner = container_of(mn, struct shmipc_owner, mn);

	kfree(owner);
	if (atomic_dec_and_test(&owners))
		wake_up_var(&owners);
}

static const struct mmu_notifier_ops owner_ops = {
	.release	= owner_release,
	.alloc_notifier	= owner_alloc,
	.free_notifier	= owner_free,
};

struct shmipc_peer *shmipc_peer_find_locked(struct shmipc_file *sf, struct mm_struct *mm)
{
	struct shmipc_peer *peer;

	list_for_each_entry(peer, &sf->peers, file_node)
		if (peer->mm == mm)
			return peer;
	return NULL;
}

/* Was @mm fenced as a peer on this file, and has not left yet? */
bool shmipc_peer_is_fenced(struct shmipc_file *sf, struct mm_struct *mm)
{
	struct shmipc_peer *peer;
	bool fenced;

	if (likely(!READ_ONCE(sf->fenced)))
		return false;
	spin_lock(&sf->seg->lock);
	peer = shmipc_peer_find_locked(sf, mm);
	fenced = peer && peer->fenced;
	spin_unlock(&sf->seg->lock);
	return fenced;
}

static struct shmipc_peer *peer_new(struct shmipc_file *sf, struct shmipc_segment *seg,
				    struct shmipc_owner *owner,
				    const struct shmipc_dev_attach *req)
{
	struct shmipc_peer *peer = kzalloc(sizeof(*peer), SHMIPC_GFP);

	if (!peer)
		return NULL;
	kref_init(&peer->ref);		/* the slot's */
	INIT_LIST_HEAD(&peer->file_node);
	INIT_LIST_HEAD(&peer->owner_node);
	peer->seg = seg;
	peer->owner = owner;
	peer->file = sf;
	peer->mm = current->mm;
	peer->pid = get_pid(task_tgid(current));
	peer->pid_nr = pid_nr(peer->pid);
	peer->uid = current_euid();
	peer->exec_id = current->self_exec_id;
	peer->start_ns = current->group_leader->start_boottime;
	peer->role = array_index_nospec(req->role, SHMIPC_DEV_ROLES);
	peer->caps = req->caps;
	peer->since_ns = ktime_get_real_ns();
	get_task_comm(peer->comm, current);
	return peer;
}

/* Return: see struct shmipc_dev_attach. */
int shmipc_peer_attach(struct shmipc_file *sf, struct shmipc_segment *seg,
		       struct shmipc_dev_attach *req)
{
	struct shmipc_peer *peer, *old = NULL;
	struct shmipc_owner *owner;
	struct mmu_notifier *mn;
	int err;

	req->busy = SHMIPC_BUSY_NONE;
	if (req->flags || req->reserved || req->role == SHMIPC_ROLE_NONE ||
	    req->role >= SHMIPC_DEV_ROLES ||
	    req->caps > U8_MAX || req->slot_min > req->slot_max || req->slot_max >= seg->peers)
		return -EINVAL;
	err = shmipc_role_hand_on(seg, array_index_nospec(req->role, SHMIPC_DEV_ROLES));
	if (err) {
		req->busy = err == -EBUSY ? SHMIPC_BUSY_PINNED : SHMIPC_BUSY_NONE;
		return err;
	}
	mn = mmu_notifier_get(&owner_ops, current->mm);
	if (IS_ERR(mn))
		return PTR_ERR(mn);
	owner = container_of(mn, struct shmipc_owner, mn);
	peer = peer_new(sf, seg, owner, req);
	if (!peer) {
		mmu_notifier_put(mn);
		return -ENOMEM;
	}

	/* Before taking the slot; this address space cannot end while we run in it. */
	shmipc_peer_get(peer);		/* the list's */
	shmipc_peer_get(peer);		/* ours: another thread may detach it at once */
	spin_lock(&owner->lock);
	list_add(&peer->owner_node, &owner->peers);
	spin_unlock(&owner->lock);

	spin_lock(&seg->lock);
	err = shmipc_slot_take_locked(sf, seg, peer, req, &old);
	spin_unlock(&seg->lock);
	if (err) {
		spin_lock(&owner->lock);
		list_del_init(&peer->owner_node);
		spin_unlock(&owner->lock);
		shmipc_peer_put(peer);
		shmipc_peer_put(peer);
		shmipc_peer_put(peer);
		mmu_notifier_put(mn);
		return err;
	}
	if (old)
		shmipc_peer_put(old);
	trace_shmipc_attach(seg, peer);
	shmipc_wake_peer(seg, peer->slot);
	shmipc_peer_put(peer);
	return 0;
}

/* Return: see struct shmipc_dev_detach. */
int shmipc_peer_detach(struct shmipc_file *sf, struct shmipc_segment *seg, u32 *ret_busy)
{
	struct shmipc_peer *peer;
	struct leave leave = {};
	bool mapped = false;
	int err = 0;

	spin_lock(&seg->lock);
	peer = shmipc_peer_find_locked(sf, current->mm);
	if (peer) {
		shmipc_peer_get(peer);
		mapped = peer->maps;
		leave.maps_made = peer->maps_made;
		if (peer->state == SHMIPC_PEER_ATTACHED)
			leave.check = shmipc_role_after_locked(seg, peer->role);
	}
	spin_unlock(&seg->lock);
	if (!peer)
		return -ESRCH;
	*ret_busy = mapped ? SHMIPC_BUSY_MAPPED : SHMIPC_BUSY_PINNED;
	if (mapped)
		err = -EBUSY;
	else
		err = shmipc_role_wait(seg, &leave.check);
	if (!err) {
		*ret_busy = SHMIPC_BUSY_MAPPED;
		err = peer_gone(peer, SHMIPC_PEER_LEFT, SHMIPC_DEATH_UNKNOWN, &leave);
	}
	if (err != -EBUSY)
		*ret_busy = SHMIPC_BUSY_NONE;
	shmipc_peer_put(peer);
	return err;
}

/* Clear the pointers to the file in all peers that attached through it, also dead ones. */
static void file_forget(struct shmipc_file *sf, struct shmipc_segment *seg)
{
	struct shmipc_peer *peer;
	u32 i;

	spin_lock(&seg->lock);
	for (i = 0; i < seg->peers; i++) {
		peer = shmipc_peer_at_locked(seg, i);
		if (peer && peer->file == sf)
			peer->file = NULL;
	}
	spin_unlock(&seg->lock);
}

/* Will the current process, which closes a file, never run in the peer's address space again? */
static bool is_over(const struct shmipc_peer *peer)
{
	if (peer->pid != task_tgid(current))
		return false;
	if (peer->mm != current->mm)
		return !peer_runs(peer);
	/* exec closes descriptors when it cannot fail any more, and there is one thread left */
	return current->in_execve;
}

/* A peer that attached through this file, and is over. */
static struct shmipc_peer *left_behind(struct shmipc_file *sf)
{
	struct shmipc_peer *peer, *found = NULL;

	spin_lock(&sf->seg->lock);
	list_for_each_entry(peer, &sf->peers, file_node) {
		if (!is_over(peer))
			continue;
		found = peer;
		shmipc_peer_get(peer);
		break;
	}
	spin_unlock(&sf->seg->lock);
	return found;
}

/*
 * A descriptor is closed. In a process that ends, this is after its last thread has
 * dropped the address space, and before it can be reaped.
 */
void shmipc_peer_flush(struct shmipc_file *sf)
{
	struct shmipc_peer *peer;

	while ((peer = left_behind(sf))) {
		peer_die(peer);
		shmipc_peer_put(peer);
	}
}

/* The file is being released: there are no descriptors and no mappings of it. */
void shmipc_peer_detach_all(struct shmipc_file *sf, struct shmipc_segment *seg)
{
	struct shmipc_peer *peer;

	for (;;) {
		spin_lock(&seg->lock);
		peer = list_first_entry_or_null(&sf->peers, struct shmipc_peer, file_node);
		if (peer)
			shmipc_peer_get(peer);
		spin_unlock(&seg->lock);
		if (!peer)
			break;
		(void)peer_gone(peer, peer_runs(peer) ? SHMIPC_PEER_LEFT : SHMIPC_PEER_DIED,
				SHMIPC_DEATH_UNKNOWN, NULL);
		shmipc_peer_put(peer);
	}
	if (READ_ONCE(sf->attached_once))
		file_forget(sf, seg);
}

/* Describe a slot, with the pid as in the caller's PID namespace. */
void shmipc_peer_info(struct shmipc_segment *seg, u32 slot, struct shmipc_dev_peer *ret)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	struct shmipc_peer *peer;

	memset(ret, 0, sizeof(*ret));
	ret->slot = slot;
	spin_lock(&seg->lock);
	peer = shmipc_peer_at_locked(seg, slot);
	if (peer) {
		ret->state = peer->state;
		ret->role = peer->role;
		ret->word = READ_ONCE(shmipc_segment_slot(seg, slot)->word);
		ret->pid = peer->state == SHMIPC_PEER_ATTACHED ? pid_nr_ns(peer->pid, ns) : 0;
		ret->caps = peer->caps;
		ret->generation = peer->generation;
		ret->since_ns = peer->since_ns;
		ret->maps = peer->maps;
		ret->flags = (peer->file ? SHMIPC_DEV_PEER_OPEN : 0) |
			     (peer->fenced ? SHMIPC_DEV_PEER_FENCED : 0);
		memcpy(ret->comm, peer->comm, sizeof(ret->comm));
	}
	spin_unlock(&seg->lock);
}

void shmipc_peer_exit(void)
{
	/* Owners and peers are freed after a grace period, by code of the module. */
	wait_var_event(&owners, !atomic_read(&owners));
	mmu_notifier_synchronize();
	rcu_barrier();
}
