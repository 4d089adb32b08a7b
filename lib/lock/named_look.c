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

static bool is_gone(const struct shmipc_peer *p, const struct shmipc_lock_owner *owner)
{
	const struct shmipc_peer_name name = { .slot = owner->slot, .generation = owner->generation,
					       .mask = SHMIPC_LOCK_GENERATION_MASK };

	return shmipc_peer_gone(p, name, true);
}

/* One that waits for readers does not have it yet, and leaves nothing to repair. */
static uint32_t state_of(const struct shmipc_peer *p, const struct shmipc_rwlock_info *w)
{
	if (w->flags & SHMIPC_RWLOCK_LOST)
		return SHMIPC_LOCK_GIVEN_UP;
	if (w->readers && (!w->writer.thread || w->flags & SHMIPC_RWLOCK_DRAINS))
		return SHMIPC_LOCK_SHARED;
	if (!w->writer.thread)
		return SHMIPC_LOCK_FREE;
	if (!is_gone(p, &w->writer))
		return SHMIPC_LOCK_HELD;
	return w->flags & SHMIPC_RWLOCK_DRAINS ? SHMIPC_LOCK_FREE : SHMIPC_LOCK_LEFT;
}

/* The flags of a lock with a name. A writer that waits for readers is a waiter. */
static uint32_t flags_of(const struct shmipc_rwlock_info *w, uint32_t state)
{
	uint32_t flags = w->flags & (SHMIPC_MUTEX_WAITERS | SHMIPC_MUTEX_ORPHAN);

	return state == SHMIPC_LOCK_SHARED && w->writer.thread ? flags | SHMIPC_MUTEX_WAITERS : flags;
}

static int describe(struct shmipc_peer *p, const struct shmipc_lock_page *page,
		    struct shmipc_lock_info *ret)
{
	struct shmipc_rwlock_info w = SHMIPC_RWLOCK_INFO();
	int err = shmipc_rwlock_get_info(p, &page->rwlock, &w);
	struct shmipc_peer_info peer;
	uint32_t state, flags;

	if (err)
		return err;
	state = state_of(p, &w);
	flags = flags_of(&w, state);
	if (state == SHMIPC_LOCK_SHARED)
		w.writer = w.reader;
	else if (state == SHMIPC_LOCK_FREE)
		w.writer.thread = 0;
	*ret = (struct shmipc_lock_info){
		.struct_bytes = sizeof(*ret),
		.state = state,
		.flags = flags,
		.deaths = w.deaths,
		.peers = attached(p->seg),
		.died = w.died,
		.readers = state == SHMIPC_LOCK_SHARED ? w.readers : 0,
	};
	if (!w.writer.thread)
		return 0;
	ret->owner = w.writer;
	if (w.writer.slot >= p->seg->hdr.peers)
		return 0;
	shmipc_slot_info(p->seg, w.writer.slot, &peer);
	if ((peer.generation & SHMIPC_LOCK_GENERATION_MASK) != w.writer.generation)
		return 0;	/* the slot is another one's by now */
	if (state != SHMIPC_LOCK_SHARED)
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
