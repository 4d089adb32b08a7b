// SPDX-License-Identifier: MIT
/* queue.c - work queues in words and in JSON */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../util/json.h"
#include "../util/util.h"
#include "queue.h"
#include "view.h"

int view_queue_look(const char *name, struct shmipc_queue_stat *st)
{
	int err;

	memset(st, 0, sizeof(*st));
	st->struct_bytes = sizeof(*st);
	err = shmipc_queue_look(name, st);
	if (err)
		return err;
	/* The library has checked these against the size of the segment. */
	st->end_cap = st->producers + st->consumers;
	st->end = calloc(st->end_cap + 1, sizeof(*st->end));
	err = st->end ? shmipc_queue_look(name, st) : -ENOMEM;
	if (err)
		view_queue_done(st);
	if (st->ends > st->end_cap)
		st->ends = st->end_cap;		/* removed and created anew in between */
	return err;
}

void view_queue_done(struct shmipc_queue_stat *st)
{
	free(st->end);
	st->end = NULL;
}

uint32_t view_queue_ends(const struct shmipc_queue_stat *st, enum shmipc_role role)
{
	uint32_t i, n = 0;

	for (i = 0; i < st->ends; i++)
		n += st->end[i].peer.state == SHMIPC_PEER_ATTACHED && st->end[i].peer.role == role;
	return n;
}

uint64_t view_queue_ready(const struct shmipc_queue_stat *st)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < st->levels && i < SHMIPC_QUEUE_LEVELS_MAX; i++)
		n += st->ready[i];
	return n;
}

/* How long ago a consumer took items last; it may have written any time. */
static uint64_t ago_ns(const struct shmipc_queue_end *e)
{
	uint64_t now = tool_now_ns();

	return e->taken_ns && e->taken_ns < now ? now - e->taken_ns : 0;
}

static const char *delivery_word(uint32_t delivery)
{
	return delivery == SHMIPC_QUEUE_AT_MOST_ONCE ? "at-most-once" : "acknowledged";
}

/* JSON */

static void add(json_t *obj, const char *key, uint64_t v)
{
	json_object_set_new(obj, key, json_integer(json_u64(v)));
}

void view_queue_add_row(json_t *obj, const struct shmipc_queue_stat *st)
{
	add(obj, "producers", view_queue_ends(st, SHMIPC_ROLE_PRODUCER));
	add(obj, "consumers", view_queue_ends(st, SHMIPC_ROLE_READER));
	add(obj, "ready", view_queue_ready(st));
	add(obj, "taken", st->taken);
	add(obj, "pushed", st->pushed);
	add(obj, "acked", st->acked);
	add(obj, "again", st->again);
	add(obj, "lost", st->lost);
	add(obj, "expired", st->expired);
	add(obj, "invalid", st->invalid);
	add(obj, "dead", st->dead);
	add(obj, "stuck", st->stuck);
}

static json_t *end_json(const struct shmipc_queue_end *e)
{
	const struct shmipc_peer_info *p = &e->peer;
	char comm[sizeof(p->comm) + 1];
	json_t *obj = json_pack("{s:i, s:s, s:i, s:s, s:i}", "slot", (int)p->slot,
				"state", peer_state_word(p->state), "pid", (int)p->pid, "comm",
				clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)), "has", (int)e->has);

	if (p->role == SHMIPC_ROLE_PRODUCER) {
		add(obj, "pushed", e->pushed);
		add(obj, "waits", e->waits);
		return obj;
	}
	add(obj, "taken", e->taken);
	add(obj, "again", e->again);
	add(obj, "acked", e->acked);
	add(obj, "returned", e->returned);
	add(obj, "idle_ns", ago_ns(e));
	return obj;
}

static json_t *ends_json(const struct shmipc_queue_stat *st, uint32_t role)
{
	json_t *list = json_array();
	uint32_t i;

	for (i = 0; i < st->ends; i++)
		if (st->end[i].peer.role == role)
			json_array_append_new(list, end_json(&st->end[i]));
	return list;
}

void view_queue_add_all(json_t *obj, const struct shmipc_queue_stat *st)
{
	char dead[sizeof(st->dead_queue)];
	json_t *levels = json_array();
	uint32_t i;

	view_queue_add_row(obj, st);
	clean_text(st->dead_queue, sizeof(st->dead_queue), dead, sizeof(dead));
	json_object_set_new(obj, "dead_queue", *dead ? json_string(dead) : json_null());
	json_object_set_new(obj, "delivery", json_string(delivery_word(st->delivery)));
	add(obj, "deliveries", st->deliveries);
	add(obj, "item_bytes", st->item_bytes);
	add(obj, "depth", st->depth);
	add(obj, "producers_max", st->producers);
	add(obj, "consumers_max", st->consumers);
	for (i = 0; i < st->levels && i < SHMIPC_QUEUE_LEVELS_MAX; i++)
		json_array_append_new(levels, json_integer(json_u64(st->ready[i])));
	json_object_set_new(obj, "ready_by_level", levels);
	json_object_set_new(obj, "producer", ends_json(st, SHMIPC_ROLE_PRODUCER));
	json_object_set_new(obj, "consumer", ends_json(st, SHMIPC_ROLE_READER));
}

/* Text */

static void print_end(const struct shmipc_queue_end *e, uint32_t depth)
{
	const struct shmipc_peer_info *p = &e->peer;
	char since[TEXT_BYTES], comm[sizeof(p->comm) + 1];

	view_when(p->since_ns, since);
	printf("  slot %-3" PRIu32 " %-9s %-9s pid %-8" PRIu32 " %-16s since %s", p->slot,
	       p->role == SHMIPC_ROLE_PRODUCER ? "producer" : "consumer", peer_state_word(p->state), p->pid,
	       clean_text(p->comm, sizeof(p->comm), comm, sizeof(comm)), since);
	if (p->role == SHMIPC_ROLE_PRODUCER) {
		printf(", %" PRIu32 " of %" PRIu32 " places in use, pushed %" PRIu64 ", waited %" PRIu64 " times\n",
		       e->has, depth, e->pushed, e->waits);
		return;
	}
	printf(", took %" PRIu64 ", acknowledged %" PRIu64 ", gave back %" PRIu64, e->taken, e->acked,
	       e->returned);
	if (e->has)
		printf("; has %" PRIu32 ", the last for %.1f s", e->has, (double)ago_ns(e) / 1e9);
	printf("\n");
}

static void print_levels(const struct shmipc_queue_stat *st)
{
	uint32_t level = st->levels < SHMIPC_QUEUE_LEVELS_MAX ? st->levels : SHMIPC_QUEUE_LEVELS_MAX;

	printf("items     %" PRIu64 " ready, %" PRIu64 " taken and not acknowledged\n", view_queue_ready(st),
	       st->taken);
	while (st->levels > 1 && level-- > 0)
		printf("  level %" PRIu32 "   %" PRIu64 "\n", level, st->ready[level]);
}

void view_queue_print(const struct shmipc_queue_stat *st)
{
	char size[TEXT_BYTES], dead[sizeof(st->dead_queue)];
	uint32_t i;

	printf("queue     items up to %s, %" PRIu32 " places for each producer; %s",
	       format_bytes(st->item_bytes, size), st->depth,
	       st->delivery == SHMIPC_QUEUE_AT_MOST_ONCE ? "delivered at most once" : "acknowledged");
	if (st->deliveries)
		printf(", handed out up to %" PRIu32 " times", st->deliveries);
	printf("\n");
	if (*st->dead_queue)
		printf("dead      to \"%s\": %" PRIu64 " were moved, %" PRIu64 " could not be yet\n",
		       clean_text(st->dead_queue, sizeof(st->dead_queue), dead, sizeof(dead)), st->dead,
		       st->stuck);
	print_levels(st);
	printf("so far    pushed %" PRIu64 ", acknowledged %" PRIu64 ", handed out again %" PRIu64
	       ", lost %" PRIu64 ", at the limit %" PRIu64 ", invalid %" PRIu64 "\n", st->pushed, st->acked,
	       st->again, st->lost, st->expired, st->invalid);
	printf("ends      producers: %" PRIu32 " attached, room for %" PRIu32 "; consumers: %" PRIu32
	       " attached, room for %" PRIu32 "\n", view_queue_ends(st, SHMIPC_ROLE_PRODUCER),
	       st->producers, view_queue_ends(st, SHMIPC_ROLE_READER), st->consumers);
	for (i = 0; i < st->ends; i++)
		print_end(&st->end[i], st->depth);
}
