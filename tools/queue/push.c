// SPDX-License-Identifier: MIT
/* push.c - shmipc queue push: arguments, a text or the input as items */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "../util/util.h"
#include "queue.h"

#define LOOK_NS		(5 * NS_PER_MS)

struct shmipc_queue_opts queue_create(const struct queue_opts *o)
{
	return SHMIPC_QUEUE_OPTS(ACCESS_OF(&o->access), .producers = o->producers,
				 .consumers = o->consumers, .depth = o->depth, .levels = o->levels,
				 .delivery = o->delivery, .deliveries = o->deliveries,
				 .item_bytes = o->item_bytes, .dead = o->dead);
}

/* There was no place, or it failed. */
static int wait_place(struct stream *s, int err)
{
	if (stream_is_idle(err))
		return stream_idle(s, s->messages, "a free place");
	progress_clear(&s->progress);
	tool_error_lib("push to", s->name, err);
	return RC_FAIL;
}

static int reserve(struct stream *s, size_t len, void **ret_ptr)
{
	int rc, err = shmipc_push_reserve(s->push, ret_ptr, 0);

	(void)len;	/* a place has room for the largest item */
	while (err) {
		rc = wait_place(s, err);
		if (rc)
			return rc;
		err = shmipc_push_reserve(s->push, ret_ptr, stream_slice(s));
	}
	return RC_OK;
}

static int commit(struct stream *s, size_t len)
{
	int err = shmipc_push_commit(s->push, len, s->level);

	if (err)
		return wait_place(s, err);
	stream_moved(s, len);
	return RC_OK;
}

static void give_back(struct stream *s)
{
	(void)shmipc_push_cancel(s->push);
}

static int send(struct stream *s, const void *buf, size_t len)
{
	int rc, err = shmipc_push_item(s->push, buf, len, s->level, 0);

	while (shmipc_unlikely(err)) {
		rc = wait_place(s, err);
		if (rc)
			return rc;
		err = shmipc_push_item(s->push, buf, len, s->level, stream_slice(s));
	}
	stream_moved(s, len);
	return RC_OK;
}

/* A producer goes on whether there are consumers or not. */
static int check(struct stream *s)
{
	(void)s;
	return RC_OK;
}

static const char *moved(struct stream *s, char text[MOVED_BYTES])
{
	snprintf(text, MOVED_BYTES, "%" PRIu64 " items, %" PRIu64 " bytes were pushed", s->messages,
		 s->bytes);
	return text;
}

static void tell(struct stream *s, json_t *obj)
{
	struct shmipc_push_stat st = SHMIPC_PUSH_STAT();

	(void)shmipc_push_get_stat(s->push, &st);
	stream_tell(obj, "waits", NULL, st.waits);
	stream_tell(obj, "sleeps", NULL, st.sleeps);
	stream_tell(obj, "wakes", NULL, st.wakes);
}

static void leave(struct stream *s, int rc)
{
	(void)rc;
	shmipc_push_close(s->push);
	s->push = NULL;
}

static const struct stream_ops push_ops = {
	.reserve = reserve, .commit = commit, .abort = give_back, .send = send, .check = check,
	.moved = moved, .tell = tell, .close = leave, .what = "queue", .larger = "--item",
};

static int open_push(struct stream *s, const struct queue_opts *o, const char *name)
{
	const struct shmipc_queue_opts create = queue_create(o);
	int err;

	stream_begin(s, &o->stream, &push_ops, SHMIPC_ROLE_PRODUCER, name);
	s->level = o->level;
	err = shmipc_push_open(&s->push, name, &create, NULL);
	if (err) {
		tool_error_lib("push to", name, err);
		return RC_FAIL;
	}
	(void)shmipc_push_get_info(s->push, &s->info);
	s->max_payload = shmipc_push_item_bytes(s->push);
	return RC_OK;
}

/*
 * Without --persist a queue goes with the last process that has it open, and its items with
 * it: wait until ours are done. Consumers that are there may leave before that.
 */
static int drain(struct stream *s)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct shmipc_push_stat st = SHMIPC_PUSH_STAT();
	uint32_t before = 0;
	int err, rc;

	s->idle_since_ns = 0;
	for (;;) {
		err = shmipc_push_get_stat(s->push, &st);
		if (err || !st.used)
			return err ? wait_place(s, err) : RC_OK;
		if (st.used != before)
			s->idle_since_ns = 0;
		before = st.used;
		rc = stream_idle(s, s->messages, "its items to be done; without --persist they go with the queue");
		if (rc)
			return rc;
		nanosleep(&pause, NULL);
	}
}

static int push_args(struct stream *s, char **items)
{
	size_t len;
	int rc = RC_OK;

	for (; *items && !rc; items++) {
		len = strlen(*items);
		if (len > s->max_payload) {
			tool_error("ITEM has %zu bytes, the largest item of \"%s\" has %" PRIu64
				   " (EMSGSIZE); create it with a larger --item", len, s->name,
				   s->max_payload);
			return RC_FAIL;
		}
		rc = tool_stop ? RC_SIGNAL + tool_stop : send(s, *items, len);
	}
	return rc;
}

int queue_push(const struct queue_opts *o, const char *name, char **items)
{
	struct input in = { .fd = 0 };
	struct stream s;
	int rc = RC_OK;

	tool_catch_signals();
	if (!*items)
		rc = input_open(&in, &o->input);
	if (rc)
		return rc;
	rc = open_push(&s, o, name);
	if (!rc)
		rc = *items ? push_args(&s, items) : input_feed(&in, &s);
	s.end_ns = tool_now_ns();
	if (!rc && !o->no_drain && !(s.info.flags & SHMIPC_SEG_PERSISTENT))
		rc = drain(&s);
	rc = stream_close(&s, rc);
	if (!*items)
		input_close(&in);
	return rc;
}
