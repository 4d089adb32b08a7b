// SPDX-License-Identifier: GPL-2.0-only
/*
 * fence.c - cutting off a peer that does not leave by itself
 *
 * Its process may be stopped, in the middle of a change that all others wait for, or be
 * broken. It is not asked. First it is marked: from now on it can neither map its role's
 * regions nor fault in their pages, and its descriptor tells it. Then the pages are
 * unmapped everywhere. Other peers with the role just fault them in again. When no CPU can
 * write through its mappings any more, and nothing else writes on its behalf (pin.c), its
 * slot says that it has died, and all others go on.
 */
#include <linux/capability.h>
#include <linux/jiffies.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>

#include "trace.h"

/* The kernel itself uses pages for moments: look at least so often, for about 100 ms. */
#define LOOKS		10u
#define LOOK_MS_MAX	16u

/* The owner, as for UNLINK; or privileged where the segment was created. */
static bool may_fence(const struct shmipc_segment *seg)
{
	return uid_eq(current_euid(), seg->uid) || ns_capable(seg->user_ns, CAP_SYS_RESOURCE);
}

/* Mark the peer, and tell its pollers and sleepers. NULL: it is not attached. */
static struct shmipc_peer *mark(struct shmipc_segment *seg, u32 slot, u64 generation)
{
	struct shmipc_peer *peer;
	bool was;

	spin_lock(&seg->lock);
	peer = shmipc_peer_at_locked(seg, slot);
	if (!peer || peer->state != SHMIPC_PEER_ATTACHED || peer->generation != generation) {
		spin_unlock(&seg->lock);
		return NULL;
	}
	shmipc_peer_get(peer);
	was = peer->fenced;
	if (!was) {
		peer->fenced = true;
		WRITE_ONCE(peer->cut, true);
		WRITE_ONCE(peer->file->fenced, peer->file->fenced + 1);
		wake_up_interruptible_poll(&peer->file->poll_wq, EPOLLERR);
	}
	spin_unlock(&seg->lock);
	if (!was)
		shmipc_wake_all(seg);
	return peer;
}

/* Take the pages of its role away from its mappings, which fault with SIGBUS from now on. */
void shmipc_fence_cut(struct shmipc_peer *peer)
{
	struct shmipc_segment *seg = peer->seg;
	u32 i;

	WRITE_ONCE(peer->cut, true);
	for (i = 0; i < seg->nregions; i++) {
		const struct shmipc_dev_region *g = &seg->region[i];

		if (g->roles & 1u << peer->role)
			shmipc_fault_unmap(&seg->mem, g->off, g->off + g->bytes);
	}
}

static bool role_pinned(struct shmipc_segment *seg, u32 role)
{
	u32 i;

	for (i = 0; i < seg->nregions; i++) {
		const struct shmipc_dev_region *g = &seg->region[i];

		if (g->roles & 1u << role && shmipc_pin_found(&seg->mem, g->off, g->off + g->bytes))
			return true;
	}
	return false;
}

/* Return: 0; -EBUSY pages of the role are still pinned; -ERESTARTSYS. */
static int wait_for_pins(const struct shmipc_peer *peer, u64 deadline_ns)
{
	ktime_t until = shmipc_deadline_host(deadline_ns);
	unsigned int looks = 0, ms = 1;

	while (role_pinned(peer->seg, peer->role)) {
		if (++looks >= LOOKS && ktime_get() >= until)
			return -EBUSY;
		if (signal_pending(current))
			return -ERESTARTSYS;
		schedule_timeout_interruptible(msecs_to_jiffies(ms));
		ms = min(2 * ms, LOOK_MS_MAX);
	}
	return 0;
}

/* Return: see struct shmipc_dev_fence. */
int shmipc_fence(struct shmipc_segment *seg, const struct shmipc_dev_fence *req)
{
	struct shmipc_peer *peer;
	int err = 0;

	if (req->flags & ~SHMIPC_DEV_FENCE_PINNED || req->reserved || req->slot >= seg->peers)
		return -EINVAL;
	if (!may_fence(seg))
		return -EPERM;
	peer = mark(seg, req->slot, req->generation);
	if (!peer)
		return -ESRCH;
	shmipc_fence_cut(peer);
	if (!(req->flags & SHMIPC_DEV_FENCE_PINNED))
		err = wait_for_pins(peer, req->deadline_ns);
	if (!err)
		shmipc_peer_fence_end(peer);
	shmipc_peer_put(peer);
	return err;
}
