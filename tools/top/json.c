// SPDX-License-Identifier: MIT
/* json.c - top as objects: one for each segment after each interval */
#include <stdio.h>
#include <time.h>
#include <shmipc/error.h>
#include "../util/json.h"
#include "top.h"
#include "../view/view.h"

static void add(json_t *obj, const char *key, uint64_t v)
{
	json_object_set_new(obj, key, json_integer(json_u64(v)));
}

static void add_real(json_t *obj, const char *key, double v)
{
	json_object_set_new(obj, key, json_real(v));
}

static void add_slot(json_t *obj, const char *key, uint32_t slot)
{
	json_object_set_new(obj, key, slot == LOOK_NOBODY ? json_null() :
			    json_integer((json_int_t)slot));
}

static json_t *end_json(const struct look_seg *s, const struct look_end *e)
{
	char comm[sizeof(e->comm) + 1];
	json_t *obj = json_object();
	const char *policy = e->policy ? policy_word(e->policy) : NULL;

	add(obj, "slot", e->slot);
	json_object_set_new(obj, "role", json_string(end_word(s->info.kind, e->role)));
	json_object_set_new(obj, "state", json_string(peer_state_word(e->state)));
	add(obj, "pid", e->pid);
	json_object_set_new(obj, "comm", json_string(clean_text(e->comm, sizeof(e->comm), comm,
								sizeof(comm))));
	add(obj, "generation", e->generation);
	add_real(obj, "messages_per_s", e->messages_s);
	if (e->role == SHMIPC_ROLE_PRODUCER) {
		add_real(obj, "bytes_per_s", e->bytes_s);
		add(obj, "sent", e->sent);
		add(obj, "bytes", e->bytes);
		add(obj, "waits", e->waits);
		add_slot(obj, "waits_for", e->waits_for);
		add(obj, "chunks", e->chunks);
		return obj;
	}
	json_object_set_new(obj, "policy", policy ? json_string(policy) : json_null());
	add(obj, "group", e->group);
	add(obj, "pos", e->pos);
	add(obj, "lag", e->lag);
	add_real(obj, "lag_per_s", e->lag_s);
	add(obj, "received", e->received);
	add(obj, "lost", e->lost);
	add_real(obj, "lost_per_s", e->lost_s);
	add(obj, "holding", e->holding);
	json_object_set_new(obj, "evicted", json_boolean(e->evicted));
	return obj;
}

static void add_counts(json_t *obj, const struct look_seg *s)
{
	add(obj, "messages", s->published);
	add(obj, "bytes", s->bytes);
	add(obj, "waits", s->waits);
	add(obj, "aborted", s->aborted);
	add(obj, "evictions", s->evictions);
	add(obj, "received", s->received);
	add(obj, "lost", s->lost);
	add_real(obj, "messages_per_s", s->messages_s);
	add_real(obj, "bytes_per_s", s->bytes_s);
	add_real(obj, "lost_per_s", s->lost_s);
	add_real(obj, "occupancy", s->occupancy);
	add(obj, "max_lag", s->max_lag);
	add_slot(obj, "laggard", s->laggard == LOOK_NOBODY ? LOOK_NOBODY : s->end[s->laggard].slot);
	add(obj, "publishers", s->publishers);
	add(obj, "subscribers", s->subscribers);
	add(obj, "waiters", s->waiters);
	add(obj, "holders", s->holders);
	add(obj, "holding", s->holding);
	add(obj, "chunks", s->chunks);
	add(obj, "chunks_free", s->chunks_free);
	add(obj, "chunks_owned", s->chunks_owned);
	add(obj, "chunks_held", s->chunks_held);
}

static json_t *seg_json(const struct look_seg *s, uint64_t time_ns)
{
	json_t *obj = json_object(), *ends;
	char text[TOP_CELL], user[TEXT_BYTES];
	uint32_t i;

	add(obj, "time_ns", time_ns);
	json_object_set_new(obj, "name", json_string(clean_text(s->name, sizeof(s->name), text,
								sizeof(text))));
	json_object_set_new(obj, "error", s->err ? json_string(shmipc_error_name(s->err)) :
			    json_null());
	if (s->err)
		return obj;
	for (i = 0; i < 16; i++)
		snprintf(text + 2 * i, 3, "%02x", s->info.id[i]);
	json_object_set_new(obj, "id", json_string(text));
	json_object_set_new(obj, "kind", json_string(kind_word(s->info.kind)));
	json_object_set_new(obj, "backend", json_string(s->info.backend));
	json_object_set_new(obj, "user", json_string(user_name(s->info.uid, user)));
	add(obj, "uid", s->info.uid);
	add(obj, "page_bytes", s->info.page_got);
	add(obj, "data_bytes", s->info.data_bytes);
	add(obj, "total_bytes", s->info.total_bytes);
	add(obj, "memory_bytes", s->info.memory_bytes);
	json_object_set_new(obj, "new", json_boolean(s->is_new));
	add_real(obj, "seconds", s->seconds);
	add_counts(obj, s);
	ends = json_array();
	for (i = 0; i < s->nends; i++)
		json_array_append_new(ends, end_json(s, &s->end[i]));
	json_object_set_new(obj, "ends", ends);
	return obj;
}

void top_json(const struct top *t)
{
	struct timespec now;
	size_t i;

	clock_gettime(CLOCK_REALTIME, &now);
	for (i = 0; i < t->nrows; i++)
		json_line(stdout, seg_json(t->row[i], (uint64_t)now.tv_sec * NS_PER_S +
					   (uint64_t)now.tv_nsec));
}
