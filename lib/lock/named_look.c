// SPDX-License-Identifier: MIT
/* named_look.c - the state of a lock that has a name, for people and tools */
#include <errno.h>
#include <string.h>

#include "lock/named.h"

static uint32_t attached(struct shmipc_segment *seg)
{
	uint32_t slot, n = 0;

	for (slot = 0; slot < seg->hdr.peers; slot++)
		n += seg->be->state(seg, slot, true) == SHMIPC_PEER_ATTACHED;
	return n;
}

static uint32_t state_of(const struct shmipc_peer *p, const struct shmipc_mutex_info *m)
{
	const struct shmipc_peer_name owner = { .slot = m->owner.slot, .generation = m->owner.generation,
						.mask = SHMIPC_LOCK_GENERATION_MASK };

	if (m->flags & SHMIPC_MUTEX_LOST)
		return SHMIPC_LOCK_GIVEN_UP;
	if (!m->owner.thread)
		return SHMIPC_LOCK_FREE;
	return shmipc_peer_gone(p, owner, true) ? SHMIPC_LOCK_LEFT : SHMIPC_LOCK_HELD;
}

static int describe(struct shmipc_peer *p, const struct shmipc_lock_page *page,
		    struct shmipc_lock_info *ret)
{
	struct shmipc_mutex_info m = SHMIPC_MUTEX_INFO();
	int err = shmipc_mutex_get_info(p, &page->mutex, &m);
	struct shmipc_peer_info peer;

	if (err)
		return err;
	*ret = (struct shmipc_lock_info){
		.struct_bytes = sizeof(*ret),
		.state = state_of(p, &m),
		.flags = m.flags & ~SHMIPC_MUTEX_LOST,
		.deaths = m.deaths,
		.peers = attached(p->seg),
		.owner = m.owner,
		.died = m.died,
	};
	if (!m.owner.thread || m.owner.slot >= p->seg->hdr.peers)
		return 0;
	shmipc_slot_info(p->seg, m.owner.slot, &peer);
	if ((peer.generation & SHMIPC_LOCK_GENERATION_MASK) != m.owner.generation)
		return 0;	/* the slot is another one's by now */
	ret->since_ns = shmipc_load_relaxed(&page->since_ns);
	memcpy(ret->comm, peer.comm, sizeof(ret->comm));
	return 0;
}

SHMIPC_EXPORT int shmipc_lock_get_info(struct shmipc_lock *l, struct shmipc_lock_info *ret)
{
	struct shmipc_lock_info info;
	int err;

	if (!l || !ret)
		return shmipc_null(__func__, "l or ret");
	err = shmipc_sized_check(ret, sizeof(info), "lock info");
	if (!err && !shmipc_load_relaxed(&l->p->live))
		err = shmipc_dead(l->seg);
	if (!err)
		err = describe(l->p, l->page, &info);
	if (!err)
		shmipc_sized_write(ret, &info, sizeof(info));
	return err;
}

/* As a peer would see it, but none: no slot is its own. */
static int look_at(struct shmipc_segment *seg, const char *name, struct shmipc_lock_info *info)
{
	struct shmipc_peer nobody = { .seg = seg, .live = 1, .end.slot = UINT32_MAX };
	int err = shmipc_lock_check_hdr(seg, name);

	if (err)
		return err;
	nobody.data = seg->base + seg->hdr.data_off;
	nobody.data_bytes = seg->hdr.data_bytes;
	return describe(&nobody, (const struct shmipc_lock_page *)(const void *)nobody.data, info);
}

static int look(const char *name, struct shmipc_lock_info *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_lock_info info;
	struct shmipc_segment *seg;
	int in_use, err;

	if (!ret)
		return shmipc_null("shmipc_lock_look", "ret");
	err = shmipc_sized_check(ret, sizeof(info), "lock info");
	if (!err)
		err = shmipc_segment_look_begin(name, &in_use, &seg);
	if (err)
		return err;
	seg->read_only = true;
	err = look_at(seg, name, &info);
	shmipc_segment_look_done(seg);
	if (!err)
		shmipc_sized_write(ret, &info, sizeof(info));
	return err;
}

SHMIPC_EXPORT int shmipc_lock_look(const char *name, struct shmipc_lock_info *ret)
{
	return SHMIPC_TOLD(look(name, ret));
}
