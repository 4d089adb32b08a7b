// SPDX-License-Identifier: MIT
/* event.c - events in words and in JSON */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../util/json.h"
#include "../util/util.h"
#include "event.h"
#include "view.h"

#define SHOWN	16u	/* events with a count, as text */

int view_event_look(const char *name, struct shmipc_event_stat *st)
{
	int err;

	memset(st, 0, sizeof(*st));
	st->struct_bytes = sizeof(*st);
	err = shmipc_event_look(name, st);
	if (err)
		return err;
	/* The library has checked these against the size of the segment. */
	st->count_cap = st->events;
	st->end_cap = st->notifiers + st->listeners;
	st->count = calloc(st->count_cap + 1, sizeof(*st->count));
	st->end = calloc(st->end_cap + 1, sizeof(*st->end));
	err = st->count && st->end ? shmipc_event_look(name, st) : -ENOMEM;
	if (err)
		view_event_done(st);
	if (st->events > st->count_cap)
		st->events = st->count_cap;	/* removed and created anew in between */
	if (st->ends > st->end_cap)
		st->ends = st->end_cap;
	return err;
}

void view_event_done(struct shmipc_event_stat *st)
{
	free(st->count);
	free(st->end);
	st->count = NULL;
	st->end = NULL;
}

uint32_t view_event_ends(const struct shmipc_event_stat *st, enum shmipc_role role)
{
	uint32_t i, n = 0;

	for (i = 0; i < st->ends; i++)
		n += st->end[i].peer.state == SHMIPC_PEER_ATTACHED && st->end[i].peer.role == role;
	return n;
}

static uint64_t missed(const struct shmipc_event_stat *st)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < st->ends; i++)
		n += st->end[i].missed;
	return n;
}

/* JSON */

static void add(json_t *obj, const char *key, uint64_t v)
{
	json_object_set_new(obj, key, json_integer(json_u64(v)));
}

void view_event_add_row(json_t *obj, const struct shmipc_event_stat *st)
{
	add(obj, "events", st->events);
	add(obj, "notifiers", view_event_ends(st, SHMIPC_ROLE_PRODUCER));
	add(obj, "listeners", view_event_ends(st, SHMIPC_ROLE_READER));
	add(obj, "notified", st->total);
	add(obj, "missed", missed(st));
	add(obj, "notifiers_died", st->died);
}

static json_t *end_json(const struct shmipc_event_end *e)
{
	const struct shmipc_peer_info *p = &e->peer;
	json_t *obj = json_pack("{s:i, s:s, s:i}", "slot", (int)p->slot,
				"state", peer_state_word(p->state), "pid", (int)p->pid);

	if (p->role == SHMIPC_ROLE_PRODUCER) {
		add(obj, "wakes", e->wakes);
	} else {
		add(obj, "taken", e->taken);
		add(obj, "missed", e->missed);
	}
	return obj;
}

static json_t *ends_json(const struct shmipc_event_stat *st, uint32_t role)
{
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; i < st->ends; i++)
		if (st->end[i].peer.role == role)
			json_array_append_new(list, end_json(&st->end[i]));
	return list;
}

void view_event_add_all(json_t *obj, const struct shmipc_event_stat *st)
{
	json_t *counts = json_object();
	char number[16];
	uint32_t i;

	view_event_add_row(obj, st);
	add(obj, "notifiers_max", st->notifiers);
	add(obj, "listeners_max", st->listeners);
	for (i = 0; i < st->events; i++) {
		snprintf(number, sizeof(number), "%" PRIu32, i);
		if (st->count[i])
			add(counts, number, st->count[i]);
	}
	json_object_set_new(obj, "count", counts);
	json_object_set_new(obj, "notifier", ends_json(st, SHMIPC_ROLE_PRODUCER));
	json_object_set_new(obj, "listener", ends_json(st, SHMIPC_ROLE_READER));
}

/* Text */

static void print_counts(const struct shmipc_event_stat *st)
{
	uint32_t i, n = 0;

	for (i = 0; i < st->events; i++) {
		if (!st->count[i] || ++n > SHOWN)
			continue;
		printf("  event %-5" PRIu32 " %" PRIu64 "\n", i, st->count[i]);
	}
	if (n > SHOWN)
		printf("  and %" PRIu32 " more; --json shows them\n", n - SHOWN);
}

static void print_end(const struct shmipc_event_end *e)
{
	const struct shmipc_peer_info *p = &e->peer;
	char since[TEXT_BYTES], comm[sizeof(p->comm) + 1];

	view_when(p->since_ns, since);
	printf("  slot %-3" PRIu32 " %-9s %-9s pid %-8" PRIu32 " %-16s since %s", p->slot,
	       p->role == SHMIPC_ROLE_PRODUCER ? "notifier" : "listener", peer_state_word(p->state),
	       p->pid, clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)), since);
	if (p->role == SHMIPC_ROLE_PRODUCER)
		printf(", woke %" PRIu64 " times\n", e->wakes);
	else
		printf(", took %" PRIu64 ", missed %" PRIu64 "\n", e->taken, e->missed);
}

void view_event_print(const struct shmipc_event_stat *st)
{
	uint32_t i;

	printf("events    %" PRIu32 ", notified %" PRIu64 " times\n", st->events, st->total);
	print_counts(st);
	printf("missed    %" PRIu64 " periods, by the listeners that are attached\n", missed(st));
	printf("ends      notifiers: %" PRIu32 " attached, room for %" PRIu32 ", %" PRIu64
	       " died; listeners: %" PRIu32 " attached, room for %" PRIu32 "\n",
	       view_event_ends(st, SHMIPC_ROLE_PRODUCER), st->notifiers, st->died,
	       view_event_ends(st, SHMIPC_ROLE_READER), st->listeners);
	for (i = 0; i < st->ends; i++)
		print_end(&st->end[i]);
}
