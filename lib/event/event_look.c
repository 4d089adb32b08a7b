// SPDX-License-Identifier: MIT
/* event_look.c - the state of events, for people and tools */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event/event.h"

static void look_at_counts(const struct shmipc_counts *c, struct shmipc_event_stat *st)
{
	uint64_t count;
	uint32_t i;

	st->events = c->events;
	st->notifiers = c->notifiers;
	st->listeners = c->listeners;
	st->total = 0;
	for (i = 0; i < c->events; i++) {
		count = shmipc_counts_read(c, i);
		st->total += count;
		if (i < st->count_cap)
			st->count[i] = count;
	}
}

static void look_at_end(const struct shmipc_counts *c, struct shmipc_event_end *ret)
{
	const struct shmipc_listener_line *line;

	if (ret->peer.slot < c->notifiers) {
		ret->wakes = shmipc_load_relaxed(&c->notifier[ret->peer.slot].wakes);
		return;
	}
	line = shmipc_counts_line(c, ret->peer.slot - c->notifiers);
	ret->taken = shmipc_load_relaxed(&line->taken);
	ret->missed = shmipc_load_relaxed(&line->missed);
}

static void look_at_ends(struct shmipc_segment *seg, const struct shmipc_counts *c,
			 struct shmipc_event_stat *st)
{
	struct shmipc_peer_info peer;
	uint32_t slot;

	st->ends = 0;
	for (slot = 0; slot < seg->hdr.peers; slot++) {
		shmipc_slot_info(seg, slot, &peer);
		if (peer.state == SHMIPC_PEER_NONE || peer.state == SHMIPC_PEER_LEFT)
			continue;
		if (st->ends < st->end_cap) {
			st->end[st->ends] = (struct shmipc_event_end){ .peer = peer };
			look_at_end(c, &st->end[st->ends]);
		}
		st->ends++;
	}
}

static int look_at(struct shmipc_segment *seg, const char *name, struct shmipc_event_stat *st)
{
	struct shmipc_event_deaths deaths;
	struct shmipc_counts c;
	int err = shmipc_event_check(seg, name, &c);

	if (!err)
		err = shmipc_event_deaths_init(&deaths, seg, &c);
	if (err)
		return err;
	st->died = deaths.total;
	free(deaths.by_slot);
	st->info.struct_bytes = sizeof(st->info);
	(void)shmipc_segment_get_info(seg, &st->info);
	look_at_counts(&c, st);
	look_at_ends(seg, &c, st);
	return 0;
}

static int look(const char *name, struct shmipc_event_stat *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_event_stat st = { 0 };
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_event_look", "ret");
	err = shmipc_sized_read(&st, sizeof(st), ret, "event stat");
	if (err)
		return err;
	if ((st.count_cap && !st.count) || (st.end_cap && !st.end))
		return shmipc_null("shmipc_event_look", "count with a count_cap, and end with an end_cap,");
	err = shmipc_segment_look_begin(name, &st.in_use, &seg);
	if (err)
		return err;
	seg->read_only = true;
	err = look_at(seg, name, &st);
	shmipc_segment_look_done(seg);
	if (!err)
		shmipc_sized_write(ret, &st, sizeof(st));
	return err;
}

SHMIPC_EXPORT int shmipc_event_look(const char *name, struct shmipc_event_stat *ret)
{
	return SHMIPC_TOLD(look(name, ret));
}
