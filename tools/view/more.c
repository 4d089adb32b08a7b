// SPDX-License-Identifier: MIT
/* more.c - what ls and stat show of a segment besides, by its kind */
#include <inttypes.h>
#include <stdio.h>
#include "../util/util.h"
#include "deadman.h"
#include "event.h"
#include "lock.h"
#include "more.h"
#include "queue.h"
#include "topic.h"
#include "view.h"

int view_more_look(const char *name, const struct shmipc_segment_stat *st, struct view_more *ret)
{
	int err = 0;

	ret->kind = SHMIPC_KIND_ANY;
	switch (st->info.kind) {
	case SHMIPC_KIND_TOPIC:
		err = view_topic_look(name, &ret->u.topic);
		break;
	case SHMIPC_KIND_EVENT:
		err = view_event_look(name, &ret->u.event);
		break;
	case SHMIPC_KIND_DEADMAN:
		ret->u.deadman = SHMIPC_DEADMAN_INFO();
		err = shmipc_deadman_look(name, &ret->u.deadman);
		break;
	case SHMIPC_KIND_LOCK:
		ret->u.lock = SHMIPC_LOCK_INFO();
		err = shmipc_lock_look(name, &ret->u.lock);
		break;
	case SHMIPC_KIND_QUEUE:
		err = view_queue_look(name, &ret->u.queue);
		break;
	default:
		return 0;
	}
	if (!err)
		ret->kind = st->info.kind;
	return err;
}

void view_more_done(struct view_more *m)
{
	if (m->kind == SHMIPC_KIND_TOPIC)
		view_topic_done(&m->u.topic);
	else if (m->kind == SHMIPC_KIND_EVENT)
		view_event_done(&m->u.event);
	else if (m->kind == SHMIPC_KIND_QUEUE)
		view_queue_done(&m->u.queue);
	m->kind = SHMIPC_KIND_ANY;
}

void view_more_add_row(json_t *obj, const struct view_more *m)
{
	if (m->kind == SHMIPC_KIND_TOPIC)
		topic_add_row(obj, &m->u.topic);
	else if (m->kind == SHMIPC_KIND_EVENT)
		view_event_add_row(obj, &m->u.event);
	else if (m->kind == SHMIPC_KIND_QUEUE)
		view_queue_add_row(obj, &m->u.queue);
	else if (m->kind == SHMIPC_KIND_DEADMAN)
		deadman_add(obj, &m->u.deadman);
	else if (m->kind == SHMIPC_KIND_LOCK)
		lock_add(obj, &m->u.lock);
}

void view_more_add_all(json_t *obj, const struct view_more *m)
{
	if (m->kind == SHMIPC_KIND_TOPIC)
		topic_add_all(obj, &m->u.topic);
	else if (m->kind == SHMIPC_KIND_EVENT)
		view_event_add_all(obj, &m->u.event);
	else if (m->kind == SHMIPC_KIND_QUEUE)
		view_queue_add_all(obj, &m->u.queue);
	else if (m->kind == SHMIPC_KIND_DEADMAN)
		deadman_add(obj, &m->u.deadman);
	else if (m->kind == SHMIPC_KIND_LOCK)
		lock_add(obj, &m->u.lock);
}

/* @pid: 0: not known. */
static void holder(int held, uint32_t pid, char text[TEXT_BYTES])
{
	if (held && pid)
		snprintf(text, TEXT_BYTES, "pid %" PRIu32, pid);
	else
		snprintf(text, TEXT_BYTES, "%s", held ? "held" : "free");
}

void view_more_peers(const struct shmipc_segment_stat *st, const struct view_more *m, char text[32])
{
	if (m->kind == SHMIPC_KIND_TOPIC)
		snprintf(text, TEXT_BYTES, "%" PRIu32 ">%" PRIu32, topic_pubs(&m->u.topic),
			 topic_subs(&m->u.topic));
	else if (m->kind == SHMIPC_KIND_EVENT)
		snprintf(text, TEXT_BYTES, "%" PRIu32 ">%" PRIu32,
			 view_event_ends(&m->u.event, SHMIPC_ROLE_PRODUCER),
			 view_event_ends(&m->u.event, SHMIPC_ROLE_READER));
	else if (m->kind == SHMIPC_KIND_QUEUE)
		snprintf(text, TEXT_BYTES, "%" PRIu32 ">%" PRIu32,
			 view_queue_ends(&m->u.queue, SHMIPC_ROLE_PRODUCER),
			 view_queue_ends(&m->u.queue, SHMIPC_ROLE_READER));
	else if (m->kind == SHMIPC_KIND_DEADMAN)
		holder(m->u.deadman.held != 0, m->u.deadman.pid, text);
	else if (m->kind == SHMIPC_KIND_LOCK && m->u.lock.state == SHMIPC_LOCK_HELD)
		holder(1, m->u.lock.owner.pid, text);
	else if (m->kind == SHMIPC_KIND_LOCK)
		snprintf(text, TEXT_BYTES, "%s", lock_state_word(m->u.lock.state));
	else
		snprintf(text, TEXT_BYTES, "%" PRIu32 "/%" PRIu32, view_attached(st), st->info.peers);
}

int view_more_print(const struct view_more *m)
{
	switch (m->kind) {
	case SHMIPC_KIND_TOPIC:
		topic_print(&m->u.topic);
		topic_print_ends(&m->u.topic);
		return 1;
	case SHMIPC_KIND_EVENT:
		view_event_print(&m->u.event);
		return 1;
	case SHMIPC_KIND_QUEUE:
		view_queue_print(&m->u.queue);
		return 1;
	case SHMIPC_KIND_DEADMAN:
		printf("role      ");
		deadman_print(&m->u.deadman);
		return 0;
	case SHMIPC_KIND_LOCK:
		printf("lock      ");
		lock_print(&m->u.lock);
		return 0;
	}
	return 0;
}
