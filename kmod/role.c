// SPDX-License-Identifier: GPL-2.0-only
/*
 * role.c - handing on a role: its last holder must not write any more
 *
 * The holder's mappings are gone by then, but what pin.c describes may still write the
 * pages. DETACH waits for that, and is refused while it lasts. A holder that dies, or
 * closes its last descriptor, cannot be refused: the regions of its role are marked, and
 * the next ATTACH of a role that may write there waits instead.
 *
 * Nobody can tell who uses a page. So a region is checked only while no other peer that
 * may write it is attached; one that is in use by its rightful writers would never be
 * found free. A region that needs no role is never checked.
 */
#include "shmipc.h"

static bool overlap(const struct shmipc_dev_region *a, const struct shmipc_dev_region *b)
{
	return a->off < b->off + b->bytes && b->off < a->off + a->bytes;
}

static bool needs(const struct shmipc_dev_region *g, u32 role)
{
	return g->roles & 1u << role && !(g->roles & 1u << SHMIPC_ROLE_NONE);
}

/* The attached peers that may write any part of @g. */
static u32 writers_locked(const struct shmipc_segment *seg, const struct shmipc_dev_region *g)
{
	u32 i, roles = 0, n = 0;

	for (i = 0; i < seg->nregions; i++)
		if (overlap(g, &seg->region[i]))
			roles |= seg->region[i].roles;
	for (i = SHMIPC_ROLE_NONE + 1; i < SHMIPC_DEV_ROLES; i++)
		if (roles & 1u << i)
			n += seg->role_count[i];
	return n;
}

/* May @role write a part of @g? */
static bool reaches(const struct shmipc_segment *seg, u32 role, const struct shmipc_dev_region *g)
{
	u32 i;

	for (i = 0; i < seg->nregions; i++)
		if (needs(&seg->region[i], role) && overlap(&seg->region[i], g))
			return true;
	return false;
}

/* What is to be checked before a peer takes @role. */
struct shmipc_role_check shmipc_role_before_locked(const struct shmipc_segment *seg, u32 role)
{
	struct shmipc_role_check check = { .seq = seg->unchecked_seq };
	u32 i;

	for (i = 0; seg->unchecked && i < seg->nregions; i++)
		if (seg->unchecked & 1u << i && reaches(seg, role, &seg->region[i]) &&
		    !writers_locked(seg, &seg->region[i]))
			check.regions |= 1u << i;
	return check;
}

/* What is to be checked before an attached peer gives up @role. */
struct shmipc_role_check shmipc_role_after_locked(const struct shmipc_segment *seg, u32 role)
{
	struct shmipc_role_check check = { .seq = seg->unchecked_seq };
	u32 i;

	for (i = 0; i < seg->nregions; i++)
		if (needs(&seg->region[i], role) && writers_locked(seg, &seg->region[i]) == 1)
			check.regions |= 1u << i;
	return check;
}

/* These regions are free, unless a peer has left meanwhile. */
static void checked_locked(struct shmipc_segment *seg, const struct shmipc_role_check *check)
{
	if (check->seq == seg->unchecked_seq)
		seg->unchecked &= ~check->regions;
}

/* A peer has given up @role after @check, or has ended (NULL). */
void shmipc_role_left_locked(struct shmipc_segment *seg, u32 role,
			     const struct shmipc_role_check *check)
{
	u32 i, left = 0;

	if (check)
		checked_locked(seg, check);
	for (i = 0; i < seg->nregions; i++)
		if (needs(&seg->region[i], role) && !(check && check->regions & 1u << i))
			left |= 1u << i;
	if (!left)
		return;
	seg->unchecked |= left;
	seg->unchecked_seq++;
}

static bool regions_pinned(struct shmipc_segment *seg, u32 regions)
{
	u32 i;

	for (i = 0; i < seg->nregions; i++) {
		const struct shmipc_dev_region *g = &seg->region[i];

		if (regions & 1u << i && shmipc_pin_found(&seg->mem, g->off, g->off + g->bytes))
			return true;
	}
	return false;
}

/* Wait for about 150 ms. Return: 0; -EBUSY still in use; -EINTR killed meanwhile. */
int shmipc_role_wait(struct shmipc_segment *seg, const struct shmipc_role_check *check)
{
	unsigned int ms;

	for (ms = 10; regions_pinned(seg, check->regions); ms *= 2) {
		if (ms > 80)
			return -EBUSY;
		if (schedule_timeout_killable(msecs_to_jiffies(ms)))
			return -EINTR;
	}
	return 0;
}

/* Wait until those that had @role before write no more. Return: as shmipc_role_wait(). */
int shmipc_role_hand_on(struct shmipc_segment *seg, u32 role)
{
	struct shmipc_role_check check;
	int err;

	spin_lock(&seg->lock);
	check = shmipc_role_before_locked(seg, role);
	spin_unlock(&seg->lock);
	if (!check.regions)
		return 0;
	err = shmipc_role_wait(seg, &check);
	if (err)
		return err;
	spin_lock(&seg->lock);
	checked_locked(seg, &check);
	spin_unlock(&seg->lock);
	return 0;
}
