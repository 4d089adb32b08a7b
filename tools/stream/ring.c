// SPDX-License-Identifier: MIT
/* ring.c - one end of a lossless ring, as send and recv use it */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "stream.h"
#include "../util/util.h"

static const char *other_side(const struct stream *s)
{
	return s->role == SHMIPC_ROLE_PRODUCER ? "receiver" : "sender";
}

static void fill_segment_opts(struct shmipc_segment_opts *seg, const struct owned_by *by,
			      const struct create_opts *create, const struct ring_opts *ring)
{
	*seg = (struct shmipc_segment_opts){
		.struct_bytes = sizeof(*seg),
		.kind = SHMIPC_KIND_SPSC,
		.flags = SHMIPC_CREATE | by->flags,
		.bytes = ring->bytes,
		.align = ring->align,
		.page = create->page,
		.mode = create->mode,
		.node = create->numa.node,
		.gid = create->group.gid,
		.owner = by->owner,
	};
	if (create->numa.given)
		seg->flags |= SHMIPC_ON_NODE;
	if (create->group.given)
		seg->flags |= SHMIPC_CHGRP;
	if (create->persist)
		seg->flags |= SHMIPC_PERSIST;
}

/* "the receiver", with its process id if that is known. */
static const char *peer_text(struct stream *s, char text[80])
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	if (!shmipc_channel_get_stat(s->ch, &st) && st.peer_pid)
		snprintf(text, 80, "the %s (pid %" PRIu32 ")", other_side(s), st.peer_pid);
	else
		snprintf(text, 80, "the %s", other_side(s));
	return text;
}

/* "N of M messages were taken" or "received N messages, N bytes". */
static const char *moved_text(struct stream *s, char text[MOVED_BYTES])
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	if (s->role != SHMIPC_ROLE_PRODUCER)
		snprintf(text, MOVED_BYTES, "received %" PRIu64 " messages, %" PRIu64 " bytes",
			 s->messages, s->bytes);
	else if (!shmipc_channel_get_stat(s->ch, &st) && st.pending <= s->messages)
		snprintf(text, MOVED_BYTES, "%" PRIu64 " messages, %" PRIu64 " bytes were sent, of "
			 "which %" PRIu64 " messages were taken", s->messages, s->bytes,
			 s->messages - st.pending);
	else
		snprintf(text, MOVED_BYTES, "%" PRIu64 " messages, %" PRIu64 " bytes were sent",
			 s->messages, s->bytes);
	return text;
}

/* For a receiver, a sender that left has reached its end. */
int ring_gone(struct stream *s)
{
	int died = shmipc_channel_peer(s->ch) == SHMIPC_PEER_DIED;
	char peer[80], moved[MOVED_BYTES];

	if (s->role != SHMIPC_ROLE_PRODUCER && !died)
		return RC_OK;
	progress_clear(&s->progress);
	tool_error("ring \"%s\": %s %s (EPIPE); %s; start both sides again", s->name,
		   peer_text(s, peer), died ? "was killed, or ended in mid-stream" :
		   "left before it had taken all", moved_text(s, moved));
	return RC_PEER;
}

static int fail(struct stream *s, int err)
{
	return err == -EPIPE ? ring_gone(s) : stream_fail(s, err);
}

static int check(struct stream *s)
{
	enum shmipc_peer_state peer = shmipc_channel_peer(s->ch);

	if (peer == SHMIPC_PEER_DIED || (peer == SHMIPC_PEER_LEFT && !s->no_drain))
		return ring_gone(s);
	return RC_OK;
}

void ring_note_alone(struct stream *s)
{
	if (s->noted || s->o->quiet)
		return;
	s->noted = 1;
	if (shmipc_channel_peer(s->ch) == SHMIPC_PEER_NONE)
		tool_note("nobody %s \"%s\" yet", s->role == SHMIPC_ROLE_PRODUCER ? "receives from" :
			  "sends to", s->name);
}

int ring_wait_peer(struct stream *s)
{
	char what[40];
	int err, rc;

	snprintf(what, sizeof(what), "a %s", other_side(s));
	err = shmipc_channel_wait_peer(s->ch, 0);
	while (stream_is_idle(err)) {
		ring_note_alone(s);
		rc = stream_idle(s, s->messages, what);
		if (rc)
			return rc;
		err = shmipc_channel_wait_peer(s->ch, stream_slice(s));
	}
	s->idle_since_ns = 0;
	return err ? fail(s, err) : RC_OK;
}

static int reserve(struct stream *s, size_t len, void **ret_ptr)
{
	int rc, err = shmipc_channel_reserve(s->ch, len, ret_ptr, 0);

	while (stream_is_idle(err)) {
		rc = stream_idle(s, s->messages, "room in the ring");
		if (rc)
			return rc;
		err = shmipc_channel_reserve(s->ch, len, ret_ptr, stream_slice(s));
	}
	return err ? fail(s, err) : RC_OK;
}

static int commit(struct stream *s, size_t len)
{
	int err = shmipc_channel_commit(s->ch, len);

	if (err)
		return fail(s, err);
	shmipc_channel_publish(s->ch);
	stream_moved(s, len);
	return RC_OK;
}

static void give_back(struct stream *s)
{
	shmipc_channel_abort(s->ch);
}

static int send(struct stream *s, const void *buf, size_t len)
{
	int rc, err = shmipc_channel_send(s->ch, buf, len, 0);

	while (shmipc_unlikely(stream_is_idle(err))) {
		rc = stream_idle(s, s->messages, "room in the ring");
		if (rc)
			return rc;
		err = shmipc_channel_send(s->ch, buf, len, stream_slice(s));
	}
	if (shmipc_unlikely(err))
		return fail(s, err);
	stream_moved(s, len);
	return RC_OK;
}

/* Grows while the receiver takes messages. */
static uint64_t drain_mark(struct stream *s)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	shmipc_channel_get_stat(s->ch, &st);
	return UINT64_MAX - st.pending;
}

int ring_drain(struct stream *s)
{
	int rc, err = shmipc_channel_drain(s->ch, 0);

	s->idle_since_ns = 0;
	while (stream_is_idle(err)) {
		rc = stream_idle(s, drain_mark(s), "the receiver to take the rest");
		if (rc)
			return rc;
		err = shmipc_channel_drain(s->ch, stream_slice(s));
	}
	return err ? fail(s, err) : RC_OK;
}

static void tell(struct stream *s, json_t *obj)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	char ring[TEXT_BYTES], page[TEXT_BYTES];

	shmipc_channel_get_stat(s->ch, &st);
	if (!obj)
		fprintf(stderr, "; ring %s, pages %s", format_bytes(s->info.data_bytes, ring),
			format_bytes(s->info.page_got, page));
	stream_tell(obj, "ring_bytes", NULL, s->info.data_bytes);
	stream_tell(obj, "page_bytes", NULL, s->info.page_got);
	stream_tell(obj, "sleeps", NULL, st.sleeps);
	stream_tell(obj, "wakes", NULL, st.wakes);
}

/* Does the name still belong to the segment that we have open? */
static int name_is_ours(const struct stream *s)
{
	struct shmipc_segment_stat st = { .info.struct_bytes = sizeof(st.info) };

	return !shmipc_segment_look(s->name, &st) &&
	       !memcmp(st.info.id, s->info.id, sizeof(st.info.id));
}

/* Kept reachable, so that it does not count as leaked: it ends with the process. */
static struct shmipc_channel *abandoned;

/*
 * The input did not reach its end, so the other side must not take what it received
 * for the whole; closing the channel would mean that it is. So this process ends as
 * if it were killed, but removes the name first, so that nothing is left behind.
 */
static void abandon(struct stream *s)
{
	if (!(s->info.flags & SHMIPC_SEG_PERSISTENT) && name_is_ours(s))
		shmipc_segment_unlink(s->name);
	abandoned = s->ch;
}

static void leave(struct stream *s, int rc)
{
	if (s->role == SHMIPC_ROLE_PRODUCER && rc != RC_OK && rc != RC_PEER)
		abandon(s);
	else
		shmipc_channel_close(s->ch);
	s->ch = NULL;
}

static const struct stream_ops ring_ops = {
	.reserve = reserve, .commit = commit, .abort = give_back, .send = send, .check = check,
	.moved = moved_text, .tell = tell, .close = leave, .what = "ring", .larger = "--ring",
};

int ring_open(struct stream *s, const char *name, const struct stream_opts *o,
	      const struct create_opts *create, const struct ring_opts *ring, enum shmipc_role role)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_channel_opts end = { .struct_bytes = sizeof(end), .spin_ns = o->spin_ns };
	struct shmipc_segment_opts seg;
	int ret;

	stream_begin(s, o, &ring_ops, role, name);
	fill_segment_opts(&seg, &o->owned_by, create, ring);
	ret = shmipc_channel_open(&s->ch, s->name, role, &seg, &end);
	if (ret) {
		tool_error_lib("open", s->name, ret);
		return RC_FAIL;
	}
	shmipc_channel_get_info(s->ch, &s->info);
	shmipc_channel_get_stat(s->ch, &st);
	s->max_payload = st.max_payload;
	return RC_OK;
}
