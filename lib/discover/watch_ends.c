// SPDX-License-Identifier: MIT
/*
 * watch_ends.c - ends that joined and left, from copies of a peer table
 *
 * A copy is not atomic. If a slot is the same in two successive copies, it really was
 * in that state at some moment between them: within a generation its words change in
 * one direction only, and generations only grow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "discover/watch.h"

/* Copies until a slot is the same twice; if it never is, it is left for the next scan. */
#define SETTLE_TRIES	8

/* Joining or leaving at this moment, or killed while doing so: only the lock tells. */
#define PEER_UNCLEAR	((enum shmipc_peer_state)-1)

static enum shmipc_peer_state state_of(const struct shmipc_peer_slot *s)
{
	if (s->word & SHMIPC_PEER_DEAD)
		return SHMIPC_PEER_DIED;
	if (s->word & SHMIPC_PEER_TID_MASK)
		return SHMIPC_PEER_ATTACHED;
	if (s->state == SHMIPC_PEER_ATTACHED)
		return PEER_UNCLEAR;
	return s->state == SHMIPC_PEER_NONE ? SHMIPC_PEER_NONE :
	       s->state == SHMIPC_PEER_DIED ? SHMIPC_PEER_DIED : SHMIPC_PEER_LEFT;
}

/* The WATCHED bit does not count as a change. */
static bool same(const struct shmipc_peer_slot *a, const struct shmipc_peer_slot *b)
{
	return (a->word & ~SHMIPC_PEER_WATCHED) == (b->word & ~SHMIPC_PEER_WATCHED) &&
	       a->state == b->state && a->role == b->role && a->generation == b->generation &&
	       a->since_ns == b->since_ns && a->hint_pid == b->hint_pid &&
	       a->hint_pidns == b->hint_pidns && !memcmp(a->comm, b->comm, sizeof(a->comm));
}

/* No keeper marks the word: only the lock shows the death. */
static bool needs_lock(const struct shmipc_peer_slot *s)
{
	return (s->word & SHMIPC_PEER_TID_MASK) == SHMIPC_PEER_NO_KEEPER ||
	       state_of(s) == PEER_UNCLEAR;
}

static void tell_end(struct shmipc_watch *w, enum shmipc_event_type type, struct watch_seg *s,
		     uint32_t slot, const struct shmipc_peer_slot *p, uint64_t missed)
{
	struct shmipc_peer_info info = {
		.slot = slot,
		.role = p->role,
		.state = type == SHMIPC_EVENT_LEFT ? SHMIPC_PEER_LEFT :
			 type == SHMIPC_EVENT_DIED ? SHMIPC_PEER_DIED : SHMIPC_PEER_ATTACHED,
		.pid = p->hint_pidns == w->pidns ? p->hint_pid : 0,
		.generation = p->generation,
		.since_ns = p->since_ns,
	};

	memcpy(info.comm, p->comm, sizeof(info.comm) - 1);
	shmipc_watch_tell(w, type, s, &info, missed);
}

/* The end that was here is gone. */
static void tell_gone(struct shmipc_watch *w, enum shmipc_event_type type, struct watch_seg *s,
		      uint32_t slot)
{
	if (s->slot[slot].end == END_HERE)
		tell_end(w, type, s, slot, &s->last[slot], 0);
	s->slot[slot].end = END_NONE;
}

/* The slot is certainly @now, and in @state. */
static void settle(struct shmipc_watch *w, struct watch_seg *s, uint32_t slot,
		   const struct shmipc_peer_slot *now, enum shmipc_peer_state state)
{
	enum shmipc_event_type went = state == SHMIPC_PEER_DIED ? SHMIPC_EVENT_DIED :
								  SHMIPC_EVENT_LEFT;
	struct watch_slot *is = &s->slot[slot];
	bool other = now->generation != s->last[slot].generation;
	bool attached = state == SHMIPC_PEER_ATTACHED, new;
	uint64_t missed = 0;

	if (other)
		tell_gone(w, SHMIPC_EVENT_LOST, s, slot);
	/* Generations before the watch are not reported. */
	if (!w->baseline && now->generation > is->generation)
		missed = now->generation - is->generation - 1;
	new = is->end == END_NONE &&
	      (attached || (other && !w->baseline && state != SHMIPC_PEER_NONE));
	if (!attached)	/* as it was when reported as joined */
		tell_gone(w, went, s, slot);
	s->last[slot] = *now;
	if (new) {
		is->end = END_HERE;
		tell_end(w, SHMIPC_EVENT_JOINED, s, slot, now, missed);
	}
	if (new || w->baseline)
		is->generation = now->generation;
	if (attached)
		return;
	tell_gone(w, went, s, slot);
	if (state_of(now) == SHMIPC_PEER_ATTACHED)
		is->end = END_BURIED;
}

/* Killed while joining: it never was an end. The one that was here before is gone. */
static void bury(struct shmipc_watch *w, struct watch_seg *s, uint32_t slot,
		 const struct shmipc_peer_slot *now)
{
	tell_gone(w, SHMIPC_EVENT_LOST, s, slot);
	s->last[slot] = *now;
	s->slot[slot].end = END_BURIED;
}

/* One copy is not enough; take more until this slot stays the same. */
static bool settled(struct shmipc_watch *w, const struct watch_seg *s, uint32_t slot)
{
	int tries;

	for (tries = 0; tries < SETTLE_TRIES; tries++) {
		if (same(&w->now[slot], &w->again[slot]))
			return true;
		w->now[slot] = w->again[slot];
		if (w->ops->table(w, s, w->again))
			return false;
	}
	return false;
}

/* The lock of this slot is free: is it still the end that was attached? */
static bool is_dead(struct shmipc_watch *w, const struct watch_seg *s, uint32_t slot, int locks)
{
	return !w->ops->held(locks, slot) && !w->ops->table(w, s, w->again) &&
	       same(&w->now[slot], &w->again[slot]);
}

static void look_at_slot(struct shmipc_watch *w, struct watch_seg *s, uint32_t slot, int *locks,
			 enum watch_how how)
{
	const struct shmipc_peer_slot *now = &w->now[slot];
	bool changed = !same(now, &s->last[slot]), dead = false;
	enum shmipc_peer_state state;

	if (changed && !settled(w, s, slot)) {
		if (how == HOW_LAST)	/* there is no next scan */
			tell_gone(w, SHMIPC_EVENT_LOST, s, slot);
		return;
	}
	state = state_of(now);
	if (!changed) {
		s->last[slot] = *now;	/* the part that does not matter */
		if (s->slot[slot].end == END_BURIED ||
		    (state != SHMIPC_PEER_ATTACHED && state != PEER_UNCLEAR))
			return;
	}
	if ((state == SHMIPC_PEER_ATTACHED || state == PEER_UNCLEAR) && w->ops->locks &&
	    (how == HOW_SURE || (how == HOW_TICK && needs_lock(now)))) {
		if (*locks == -1)
			*locks = w->ops->locks(w, s);
		dead = *locks >= 0 && is_dead(w, s, slot, *locks);
	}
	if (state != PEER_UNCLEAR)
		settle(w, s, slot, now, dead ? SHMIPC_PEER_DIED : state);
	else if (dead)
		bury(w, s, slot, now);
	else if (now->generation != s->last[slot].generation)
		tell_gone(w, SHMIPC_EVENT_LOST, s, slot);	/* another is joining */
}

/* Room for the copies of the largest table. */
static int make_room(struct shmipc_watch *w, uint32_t slots)
{
	void *a, *b;

	if (slots <= w->slots)
		return 0;
	a = realloc(w->now, slots * sizeof(*w->now));
	if (a)
		w->now = a;
	b = realloc(w->again, slots * sizeof(*w->again));
	if (b)
		w->again = b;
	if (!a || !b)
		return -ENOMEM;
	w->slots = slots;
	return 0;
}

int shmipc_watch_ends_begin(struct shmipc_watch *w, struct watch_seg *s)
{
	s->last = calloc(s->peers, sizeof(*s->last));
	s->slot = calloc(s->peers, sizeof(*s->slot));
	return !s->last || !s->slot || make_room(w, s->peers) ? -ENOMEM : 0;
}

void shmipc_watch_ends(struct shmipc_watch *w, struct watch_seg *s, enum watch_how how)
{
	size_t bytes = s->peers * sizeof(*s->last);
	uint32_t slot, unsure = 0;
	int locks = -1, err;

	err = w->ops->table(w, s, w->now);
	if (err && err != -ENOENT && err != -EPROTO && how != HOW_LAST)
		return;		/* a limit of this process: descriptors or memory; later */
	if (!err && how == HOW_TICK && !s->unsure && !memcmp(w->now, s->last, bytes))
		return;
	if (!err)
		err = w->ops->table(w, s, w->again);
	for (slot = 0; slot < s->peers; slot++) {
		if (err)
			break;
		look_at_slot(w, s, slot, &locks, how);
		unsure += s->slot[slot].end == END_HERE && needs_lock(&s->last[slot]);
	}
	/* Its bytes cannot be read, or there is no next scan. */
	for (slot = 0; (err || how == HOW_LAST) && slot < s->peers; slot++)
		tell_gone(w, SHMIPC_EVENT_LOST, s, slot);
	s->unsure = unsure;
	if (locks >= 0)
		(void)close(locks);
}
