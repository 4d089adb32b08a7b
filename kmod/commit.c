// SPDX-License-Identifier: GPL-2.0-only
/*
 * commit.c - allocating memory for a part of a segment on demand, and freeing it
 *
 * A process may commit what it may map for writing. Another process cannot take away
 * what it has committed while it holds its role: UNCOMMIT is refused while another
 * process may write the range. So a process that itself commits what it is going to
 * touch, and does not rely on what others report, never gets SIGBUS.
 */
#include <linux/sched/signal.h>

#include "trace.h"

/* May a process with @role write any part of [@off, @end)? */
static bool role_writes(const struct shmipc_segment *seg, u64 off, u64 end, u32 role)
{
	u32 i;

	for (i = 0; i < seg->nregions; i++) {
		const struct shmipc_dev_region *g = &seg->region[i];

		if (off < g->off + g->bytes && g->off < end && g->roles & 1u << role)
			return true;
	}
	return false;
}

/*
 * May another process write any part of it? One that attaches now or later can commit
 * only after us, as that needs the mutex which we hold.
 */
static bool others_write(struct shmipc_file *sf, struct shmipc_segment *seg, u64 off, u64 end)
{
	const struct shmipc_peer *own, *peer;
	bool found = false;
	u32 i;

	if (role_writes(seg, off, end, SHMIPC_ROLE_NONE) && atomic_read(&seg->opens) > 1)
		return true;
	spin_lock(&seg->lock);
	own = shmipc_peer_find_locked(sf, current->mm);
	for (i = 0; i < seg->peers && !found; i++) {
		peer = rcu_dereference_protected(seg->slot[i], lockdep_is_held(&seg->lock));
		found = peer && peer != own && peer->state == SHMIPC_PEER_ATTACHED &&
			role_writes(seg, off, end, peer->role);
	}
	spin_unlock(&seg->lock);
	return found;
}

/* The mutex is held. */
static int add_locked(struct shmipc_segment *seg, u64 off, u64 end, u64 *ret_bytes, u32 *ret_limit)
{
	u64 bytes = shmipc_memory_missing(&seg->mem, off, end);
	int err;

	if (!bytes)
		return 0;
	err = shmipc_limit_use(seg, bytes, ret_limit);
	if (err)
		return err;
	err = shmipc_memory_fill(&seg->mem, off, end);
	if (err) {
		shmipc_limit_unuse(seg, bytes);
		return err;
	}
	*ret_bytes = bytes;
	return 0;
}

static int take_locked(struct shmipc_file *sf, struct shmipc_segment *seg, u64 off, u64 end,
		       u64 *ret_bytes)
{
	int err = 0;

	down_write(&seg->seals.sem);
	if (others_write(sf, seg, off, end) || shmipc_sealed(seg, off, end))
		err = -EBUSY;
	else
		*ret_bytes = shmipc_memory_drain(&seg->mem, off, end);
	up_write(&seg->seals.sem);
	if (!err)
		shmipc_limit_unuse(seg, *ret_bytes);
	return err;
}

/* Is the range one that can be committed, or for UNCOMMIT, uncommitted? */
static int check_range(const struct shmipc_memory *mem, const struct shmipc_dev_commit *r)
{
	u64 end = r->off + r->bytes;

	if (r->flags > SHMIPC_DEV_LOOK || r->flags == (SHMIPC_DEV_UNCOMMIT | SHMIPC_DEV_LOOK) ||
	    r->reserved || r->reserved1)
		return -EINVAL;
	if (!PAGE_ALIGNED(r->off) || !PAGE_ALIGNED(r->bytes) || !r->bytes)
		return -EINVAL;
	if (r->off > mem->bytes || r->bytes > mem->bytes - r->off)
		return -EINVAL;
	if (r->flags & SHMIPC_DEV_UNCOMMIT)
		return mem->reserve && r->off >= mem->data_off ? 0 : -EINVAL;
	/* Without RESERVE, the gap between the control part and the data stays empty. */
	if (!r->flags && !mem->reserve && r->off < mem->data_off && end > mem->ctl_bytes)
		return -EINVAL;
	return 0;
}

/* Return: see struct shmipc_dev_commit. */
int shmipc_commit(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode,
		  struct shmipc_dev_commit *r)
{
	u64 end = r->off + r->bytes;
	int err = check_range(&seg->mem, r);

	if (!err && r->flags & SHMIPC_DEV_LOOK) {
		r->changed = shmipc_memory_missing(&seg->mem, r->off, end);
		return 0;
	}
	if (!err)
		err = shmipc_may_write(sf, seg, mode, r->off, end);
	if (err)
		return err;
	if (mutex_lock_killable(&seg->mem.mutex))
		return -EINTR;
	if (r->flags & SHMIPC_DEV_UNCOMMIT)
		err = take_locked(sf, seg, r->off, end, &r->changed);
	else
		err = add_locked(seg, r->off, end, &r->changed, &r->limit);
	mutex_unlock(&seg->mem.mutex);
	/* Wake sleepers on words in the removed pages. */
	if (r->flags & SHMIPC_DEV_UNCOMMIT && r->changed)
		shmipc_wake_all(seg);
	trace_shmipc_commit(seg, r->off, r->flags & SHMIPC_DEV_UNCOMMIT ? -(s64)r->changed :
			    (s64)r->changed, err);
	return err;
}

/* Commit the page at @off, for a fault through a writable mapping. Return: 0; -errno. */
int shmipc_commit_fault(struct shmipc_segment *seg, u64 off)
{
	u64 bytes = 0;
	u32 limit = 0;
	int err;

	if (mutex_lock_killable(&seg->mem.mutex))
		return -EINTR;
	err = add_locked(seg, off, off + PAGE_SIZE, &bytes, &limit);
	mutex_unlock(&seg->mem.mutex);
	trace_shmipc_commit(seg, off, bytes, err);
	return err;
}
