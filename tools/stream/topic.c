// SPDX-License-Identifier: MIT
/* topic.c - a publisher or a subscriber of a topic, as pub and sub use it */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <shmipc/error.h>
#include "stream.h"
#include "../util/util.h"
#include "../view/view.h"

#define PACE_SLICE_NS	(100 * NS_PER_MS)

static void fill_topic_opts(struct shmipc_topic_opts *t, const struct owned_by *by,
			    const struct create_opts *create, const struct topic_opts *o)
{
	*t = (struct shmipc_topic_opts){
		.struct_bytes = sizeof(*t),
		.flags = by->flags,
		.publishers = o->publishers,
		.subscribers = o->subscribers,
		.align = o->align,
		.history = o->history,
		.inline_bytes = o->inline_bytes,
		.pool_bytes = o->pool.bytes,
		.holds = o->holds,
		.meta = o->meta,
		.policies = o->policies,
		.mode = create->mode,
		.evict_ns = o->evict_ns,
		.abort_ns = o->abort_ns,
		.fence_ns = o->fence_ns,
		.seal_bytes = o->seal_bytes,
		.page = create->page,
		.node = create->numa.node,
		.gid = create->group.gid,
		.owner = by->owner,
	};
	if (create->numa.given)
		t->flags |= SHMIPC_ON_NODE;
	if (create->group.given)
		t->flags |= SHMIPC_CHGRP;
	if (create->persist)
		t->flags |= SHMIPC_PERSIST;
	if (o->pool.none)
		t->flags |= SHMIPC_NO_POOL;
	if (o->populate)
		t->flags |= SHMIPC_POPULATE;
}

static const char *moved_text(struct stream *s, char text[MOVED_BYTES])
{
	if (s->pub)
		snprintf(text, MOVED_BYTES, "%" PRIu64 " messages, %" PRIu64 " bytes were sent",
			 s->messages, s->bytes);
	else
		snprintf(text, MOVED_BYTES, "received %" PRIu64 " messages, %" PRIu64 " bytes",
			 s->messages, s->bytes);
	return text;
}

/* The end that is in the way, in words. */
static const char *blocked_text(const struct stream *s, char text[BLOCKED_BYTES])
{
	struct shmipc_blocked b;
	char comm[sizeof(b.comm) + 1];

	if (shmipc_pub_blocked(s->pub, &b) || b.role == SHMIPC_ROLE_NONE)
		return "room in the topic";
	clean_text(b.comm, sizeof(b.comm), comm, sizeof(comm));
	if (b.role == SHMIPC_ROLE_PRODUCER)
		snprintf(text, BLOCKED_BYTES, "the publisher in slot %" PRIu32 " (pid %" PRIu32 " %s), "
			 "which is in the middle of message %" PRIu64, b.slot, b.pid, comm, b.pos);
	else
		snprintf(text, BLOCKED_BYTES, "the %s subscriber in slot %" PRIu32 " (pid %" PRIu32
			 " %s), which is %" PRIu64 " messages behind", policy_word(b.policy),
			 b.slot, b.pid, comm, b.behind);
	return text;
}

/* There was no room; or we were stopped, so that others aborted the message: publish it again. */
static int wait_room(struct stream *s, int err)
{
	char text[BLOCKED_BYTES];

	if (err == -ECANCELED)
		return RC_OK;
	if (!stream_is_idle(err))
		return stream_fail(s, err);
	return stream_idle(s, s->messages, blocked_text(s, text));
}

/* --rate: sleep until the next message is due. */
static int pace(struct stream *s)
{
	uint64_t now, due;
	struct timespec ts;

	if (s->publish->rate <= 0)
		return RC_OK;
	now = tool_now_ns();
	if (!s->messages)
		s->pace_from_ns = now;
	due = s->pace_from_ns + (uint64_t)((double)s->messages * 1e9 / s->publish->rate);
	while (now < due) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		progress_tick(&s->progress, s->bytes, now);
		if (due - now > PACE_SLICE_NS)
			now += PACE_SLICE_NS;
		else
			now = due;
		ts.tv_sec = (time_t)(now / NS_PER_S);
		ts.tv_nsec = (long)(now % NS_PER_S);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		now = tool_now_ns();
	}
	return RC_OK;
}

static const struct shmipc_headers *headers_of(const struct stream *s)
{
	return s->has_headers ? &s->headers : NULL;
}

static int reserve(struct stream *s, size_t len, void **ret_ptr)
{
	int rc, err = shmipc_pub_loan(s->pub, len, headers_of(s), &s->loan, 0);

	while (err) {
		rc = wait_room(s, err);
		if (rc)
			return rc;
		err = shmipc_pub_loan(s->pub, len, headers_of(s), &s->loan, stream_slice(s));
	}
	*ret_ptr = s->loan.ptr;
	return RC_OK;
}

static void give_back(struct stream *s)
{
	shmipc_pub_drop(s->pub, &s->loan);
}

static int commit(struct stream *s, size_t len)
{
	int err, rc = pace(s);

	if (rc)
		return rc;
	err = shmipc_pub_publish(s->pub, &s->loan, len, 0);
	while (err) {
		rc = wait_room(s, err);
		if (rc)
			return rc;
		err = shmipc_pub_publish(s->pub, &s->loan, len, stream_slice(s));
	}
	stream_moved(s, len);
	return RC_OK;
}

static int send_one(struct stream *s, const void *buf, size_t len, uint64_t deadline_ns)
{
	const struct shmipc_headers *headers = headers_of(s);

	return headers ? shmipc_pub_send_with(s->pub, headers, buf, len, deadline_ns) :
			 shmipc_pub_send(s->pub, buf, len, deadline_ns);
}

static int send(struct stream *s, const void *buf, size_t len)
{
	int err, rc = pace(s);

	if (rc)
		return rc;
	err = send_one(s, buf, len, 0);
	while (shmipc_unlikely(err)) {
		rc = wait_room(s, err);
		if (rc)
			return rc;
		err = send_one(s, buf, len, stream_slice(s));
	}
	stream_moved(s, len);
	return RC_OK;
}

/* Publishers that were stopped in the middle of publishing. */
static void tell_fenced(json_t *obj, uint64_t fenced, int64_t err)
{
	stream_tell(obj, "fenced", fenced ? "; cut off %" PRIu64 " stopped publishers" : NULL, fenced);
	if (obj)
		json_object_set_new(obj, "fence_error", err ? json_string(shmipc_error_name((int)err)) : json_null());
	else if (err)
		fprintf(stderr, "; could not cut off a stopped publisher (%s)", shmipc_error_name((int)err));
}

/* A publisher goes on whether there are subscribers or not. */
static int check(struct stream *s)
{
	(void)s;
	return RC_OK;
}

static void tell_pub(struct stream *s, json_t *obj)
{
	struct shmipc_pub_stat st = { .struct_bytes = sizeof(st) };

	shmipc_pub_get_stat(s->pub, &st);
	stream_tell(obj, "page_bytes", NULL, s->info.page_got);
	stream_tell(obj, "sleeps", NULL, st.sleeps);
	stream_tell(obj, "wakes", NULL, st.wakes);
	stream_tell(obj, "evicted", st.evicted ? "; cut off %" PRIu64 " subscribers" : NULL,
		    st.evicted);
	tell_fenced(obj, st.fenced, st.fence_err);
}

static void tell_sub(struct stream *s, json_t *obj)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	shmipc_sub_get_stat(s->sub, &st);
	stream_tell(obj, "page_bytes", NULL, s->info.page_got);
	stream_tell(obj, "sleeps", NULL, st.sleeps);
	stream_tell(obj, "lost", "; lost %" PRIu64 " messages", s->lost);
	stream_tell(obj, "aborted", st.aborted ? "; aborted %" PRIu64 : NULL, st.aborted);
	stream_tell(obj, "skipped", st.skipped ? "; skipped %" PRIu64 : NULL, st.skipped);
	stream_tell(obj, "filtered", s->filtered ? "; left out %" PRIu64 : NULL, s->filtered);
	tell_fenced(obj, st.fenced, st.fence_err);
}

static void leave(struct stream *s, int rc)
{
	(void)rc;
	shmipc_pub_close(s->pub);
	shmipc_sub_close(s->sub);
	shmipc_headers_free(&s->headers);
	s->pub = NULL;
	s->sub = NULL;
}

static const struct stream_ops pub_ops = {
	.reserve = reserve, .commit = commit, .abort = give_back, .send = send, .check = check,
	.moved = moved_text, .tell = tell_pub, .close = leave, .room_costs = 1, .what = "topic",
	.larger = "--pool",
};

static const struct stream_ops sub_ops = {
	.moved = moved_text, .tell = tell_sub, .close = leave, .what = "topic",
};

static int make_headers(struct stream *s)
{
	char key[SHMIPC_HEADERS_KEY_MAX + 1];
	const char *text, *eq;
	unsigned int i;
	int err;

	shmipc_headers_init(&s->headers);
	s->has_headers = s->publish->headers.n > 0;
	for (i = 0; i < s->publish->headers.n; i++) {
		text = s->publish->headers.text[i];
		eq = strchr(text, '=');
		memcpy(key, text, (size_t)(eq - text));
		key[eq - text] = 0;
		err = shmipc_headers_add(&s->headers, key, eq + 1, strlen(eq + 1));
		if (err) {
			tool_error("--header: \"%s\" cannot be added: %s (%s); a header has at most 64 KiB, "
				   "all headers of a message 1 MiB", key, strerror(-err),
				   shmipc_error_name(err));
			return RC_FAIL;
		}
	}
	return RC_OK;
}

int topic_pub_open(struct stream *s, const char *name, const struct stream_opts *o,
		   const struct create_opts *create, const struct topic_opts *topic,
		   const struct publish_opts *publish)
{
	struct shmipc_pub_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_pub_opts end = { .struct_bytes = sizeof(end), .spin_ns = o->spin_ns };
	struct shmipc_topic_opts topic_opts;
	int ret;

	stream_begin(s, o, &pub_ops, SHMIPC_ROLE_PRODUCER, name);
	s->publish = publish;
	ret = make_headers(s);
	if (ret)
		return ret;
	fill_topic_opts(&topic_opts, &o->owned_by, create, topic);
	ret = shmipc_pub_open(&s->pub, s->name, &topic_opts, &end);
	if (ret) {
		tool_error_lib("publish on", s->name, ret);
		return RC_FAIL;
	}
	shmipc_pub_get_info(s->pub, &s->info);
	shmipc_pub_get_stat(s->pub, &st);
	s->max_payload = st.max_message;
	return RC_OK;
}

void topic_sub_look(struct stream *s)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	shmipc_sub_get_info(s->sub, &s->info);
	shmipc_sub_get_stat(s->sub, &st);
	s->meta = st.meta;
}

int topic_sub_open(struct stream *s, const char *name, const struct stream_opts *o,
		   const struct create_opts *create, const struct topic_opts *topic,
		   const struct take_opts *take)
{
	struct shmipc_sub_opts end = {
		.struct_bytes = sizeof(end),
		.spin_ns = o->spin_ns,
		.start = take->from.how,
		.iter = take->newest ? SHMIPC_ITER_NEWEST : SHMIPC_ITER_NEXT,
		.start_seq = take->from.seq,
		.policy = take->policy,
		.group = take->group,
		.flags = take->read_only ? SHMIPC_SUB_READ_ONLY : 0,
		.stride = take->stride.n,
		.stride_at = take->stride.at,
	};
	struct shmipc_topic_opts topic_opts;
	int ret;

	stream_begin(s, o, &sub_ops, SHMIPC_ROLE_READER, name);
	fill_topic_opts(&topic_opts, &o->owned_by, create, topic);
	ret = shmipc_sub_open(&s->sub, s->name, &topic_opts, &end);
	if (ret)
		return view_error_look("subscribe to", s->name, ret);
	topic_sub_look(s);
	return RC_OK;
}
