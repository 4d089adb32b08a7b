// SPDX-License-Identifier: MIT
/* stream.c - one end of a ring, as send, recv, pub and sub use it */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <shmipc/error.h>
#include "json.h"
#include "stream.h"
#include "util.h"

#define SLICE_NS	(100 * NS_PER_MS)

static const char *other_side(const struct stream *s)
{
	switch (s->role) {
	case SHMIPC_ROLE_PRODUCER:
		return s->info.kind == SHMIPC_KIND_BCAST ? "reader" : "receiver";
	case SHMIPC_ROLE_READER:
		return "publisher";
	default:
		return "sender";
	}
}

static void fill_segment_opts(const struct opts *o, enum shmipc_kind kind,
			      struct shmipc_segment_opts *seg)
{
	*seg = (struct shmipc_segment_opts){
		.struct_bytes = sizeof(*seg),
		.kind = (uint32_t)kind,
		.flags = SHMIPC_CREATE,
		.bytes = o->ring,
		.align = (uint32_t)o->align,
		.peers = (uint32_t)o->peers,
		.page = o->page,
		.mode = o->mode,
		.node = o->node,
	};
	if (o->has_node)
		seg->flags |= SHMIPC_ON_NODE;
	if (o->persist)
		seg->flags |= SHMIPC_PERSIST;
}

int stream_open(struct stream *s, const struct opts *o, enum shmipc_role role)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_channel_opts end = {
		.struct_bytes = sizeof(end),
		.spin_ns = o->spin_ns,
		.start = o->start,
		.stride = o->stride,
		.stride_at = o->at,
	};
	struct shmipc_segment_opts seg;
	int ret;

	*s = (struct stream){ .o = o, .name = opts_name(o), .role = role, .out_fd = -1 };
	fill_segment_opts(o, o->command->bit & FOR_BCAST ? SHMIPC_KIND_BCAST : SHMIPC_KIND_SPSC,
			  &seg);
	ret = shmipc_channel_open(&s->ch, s->name, role, &seg, &end);
	if (ret) {
		tool_error_lib("open", s->name, ret);
		return RC_FAIL;
	}
	s->info.struct_bytes = sizeof(s->info);
	shmipc_channel_get_info(s->ch, &s->info);
	shmipc_channel_get_stat(s->ch, &st);
	s->max_payload = st.max_payload;
	progress_init(&s->progress, o->command->name, !o->quiet && !o->json, 0);
	return RC_OK;
}

/* "the receiver", with its process id when that is known. */
static const char *peer_text(struct stream *s, char text[80])
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	if (!shmipc_channel_get_stat(s->ch, &st) && st.peer_pid)
		snprintf(text, 80, "the %s (pid %" PRIu32 ")", other_side(s), st.peer_pid);
	else
		snprintf(text, 80, "the %s", other_side(s));
	return text;
}

/* "N of M messages were taken" or "got N messages, N bytes". */
static const char *moved_text(struct stream *s, char text[160])
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	if (s->role != SHMIPC_ROLE_PRODUCER) {
		snprintf(text, 160, "got %" PRIu64 " messages, %" PRIu64 " bytes", s->messages,
			 s->bytes);
	} else if (s->info.kind == SHMIPC_KIND_SPSC &&
		   !shmipc_channel_get_stat(s->ch, &st) && st.pending <= s->messages) {
		snprintf(text, 160, "%" PRIu64 " messages, %" PRIu64 " bytes were sent, of which "
			 "%" PRIu64 " messages were taken", s->messages, s->bytes,
			 s->messages - st.pending);
	} else {
		snprintf(text, 160, "%" PRIu64 " messages, %" PRIu64 " bytes were sent",
			 s->messages, s->bytes);
	}
	return text;
}

/* EPIPE: the other side has gone. For a receiver, leaving is the proper end. */
static int fail_gone(struct stream *s)
{
	int died = shmipc_channel_peer(s->ch) == SHMIPC_PEER_DIED;
	char who[80], moved[160];

	if (s->role != SHMIPC_ROLE_PRODUCER && !died)
		return RC_OK;
	tool_error("\"%s\": %s %s (EPIPE); %s; start both sides again", s->name,
		   peer_text(s, who), died ? "was killed, or ended in mid-stream" :
		   "left before it had all", moved_text(s, moved));
	return RC_PEER;
}

int stream_fail(struct stream *s, int err)
{
	char moved[160];

	progress_clear(&s->progress);
	switch (err) {
	case -EPIPE:
		return fail_gone(s);
	case -EPROTO:
		tool_error("\"%s\": the ring's shared bytes are nonsense (EPROTO): a process wrote "
			   "over them; %s; end its peers, then: shmipc rm %s", s->name,
			   moved_text(s, moved), s->name);
		return RC_FAIL;
	default:
		tool_error("\"%s\": %s (%s); %s", s->name, strerror(-err), shmipc_error_name(err),
			   moved_text(s, moved));
		return RC_FAIL;
	}
}

/* The reader of a pipe that we write to may go while we have nothing to write. */
static int output_gone(const struct stream *s)
{
	struct pollfd p = { .fd = s->out_fd };

	return s->out_fd >= 0 && poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

int stream_idle(struct stream *s, uint64_t mark, const char *waiting_for)
{
	uint64_t now = tool_now_ns();
	char moved[160];

	if (tool_stop)
		return RC_SIGNAL + tool_stop;
	if (!s->idle_since_ns || s->idle_mark != mark) {
		s->idle_since_ns = now;
		s->idle_mark = mark;
	}
	progress_tick(&s->progress, s->bytes, now);
	if (output_gone(s)) {
		progress_clear(&s->progress);
		tool_error("output \"%s\": its reader has gone (EPIPE); %s",
			   s->o->file ? s->o->file : "standard output", moved_text(s, moved));
		return RC_FAIL;
	}
	if (s->o->timeout_ns == SHMIPC_FOREVER || now - s->idle_since_ns < s->o->timeout_ns)
		return RC_OK;
	progress_clear(&s->progress);
	tool_error("\"%s\": waited %g s for %s (ETIMEDOUT); %s", s->name,
		   (double)s->o->timeout_ns / 1e9, waiting_for, moved_text(s, moved));
	return RC_TIMEOUT;
}

uint64_t stream_slice(const struct stream *s)
{
	uint64_t ns = SLICE_NS, gone;

	if (s->o->timeout_ns != SHMIPC_FOREVER && s->idle_since_ns) {
		gone = tool_now_ns() - s->idle_since_ns;
		ns = gone >= s->o->timeout_ns ? 1 : s->o->timeout_ns - gone;
	}
	return shmipc_deadline_in(ns < SLICE_NS ? ns : SLICE_NS);
}

int stream_wait_peer(struct stream *s)
{
	char what[40];
	int err, rc;

	snprintf(what, sizeof(what), "a %s", other_side(s));
	err = shmipc_channel_wait_peer(s->ch, 0);
	while (stream_is_idle(err)) {
		rc = stream_idle(s, s->messages, what);
		if (rc)
			return rc;
		err = shmipc_channel_wait_peer(s->ch, stream_slice(s));
	}
	s->idle_since_ns = 0;
	return err ? stream_fail(s, err) : RC_OK;
}

int stream_reserve(struct stream *s, size_t len, void **ret_ptr)
{
	int rc, err = shmipc_channel_reserve(s->ch, len, ret_ptr, 0);

	while (stream_is_idle(err)) {
		rc = stream_idle(s, s->messages, "room in the ring");
		if (rc)
			return rc;
		err = shmipc_channel_reserve(s->ch, len, ret_ptr, stream_slice(s));
	}
	return err ? stream_fail(s, err) : RC_OK;
}

int stream_commit(struct stream *s, size_t len)
{
	int err = shmipc_channel_commit(s->ch, len);

	if (err)
		return stream_fail(s, err);
	shmipc_channel_publish(s->ch);
	stream_moved(s, len);
	return RC_OK;
}

int stream_send(struct stream *s, const void *buf, size_t len)
{
	int rc, err = shmipc_channel_send(s->ch, buf, len, 0);

	while (shmipc_unlikely(stream_is_idle(err))) {
		rc = stream_idle(s, s->messages, "room in the ring");
		if (rc)
			return rc;
		err = shmipc_channel_send(s->ch, buf, len, stream_slice(s));
	}
	if (shmipc_unlikely(err))
		return stream_fail(s, err);
	stream_moved(s, len);
	return RC_OK;
}

/* Grows while the receiver takes messages and we only wait. */
static uint64_t drain_mark(struct stream *s)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	shmipc_channel_get_stat(s->ch, &st);
	return UINT64_MAX - st.pending;
}

int stream_drain(struct stream *s)
{
	int rc, err = shmipc_channel_drain(s->ch, 0);

	s->idle_since_ns = 0;
	while (stream_is_idle(err)) {
		rc = stream_idle(s, drain_mark(s), "the receiver to take the rest");
		if (rc)
			return rc;
		err = shmipc_channel_drain(s->ch, stream_slice(s));
	}
	return err ? stream_fail(s, err) : RC_OK;
}

static void summary_json(struct stream *s, int rc, double seconds)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	json_t *obj;

	shmipc_channel_get_stat(s->ch, &st);
	obj = json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:f, s:f, s:f, s:I, s:I, s:I, s:I}",
			"event", "summary", "command", s->o->command->name, "name", s->name,
			"exit", rc, "messages", json_u64(s->messages),
			"bytes", json_u64(s->bytes), "seconds", seconds,
			"msgs_per_s", seconds > 0 ? (double)s->messages / seconds : 0.0,
			"bytes_per_s", seconds > 0 ? (double)s->bytes / seconds : 0.0,
			"ring_bytes", json_u64(s->info.data_bytes),
			"page_bytes", json_u64(s->info.page_got),
			"sleeps", json_u64(st.sleeps), "wakes", json_u64(st.wakes));
	if (s->role == SHMIPC_ROLE_READER)
		json_object_set_new(obj, "lost", json_integer(json_u64(s->lost)));
	json_line(stderr, obj);
}

static void summary_text(const struct stream *s, double seconds)
{
	char ring[TEXT_BYTES], page[TEXT_BYTES], rate[TEXT_BYTES];

	fprintf(stderr, "%s: %" PRIu64 " messages, %" PRIu64 " bytes in %.3f s, %s; ring %s, "
		"pages %s", s->o->command->name, s->messages, s->bytes, seconds,
		format_rate(seconds > 0 ? (double)s->bytes / seconds : 0, rate),
		format_bytes(s->info.data_bytes, ring), format_bytes(s->info.page_got, page));
	if (s->role == SHMIPC_ROLE_READER)
		fprintf(stderr, "; lost %" PRIu64 " messages", s->lost);
	fputc('\n', stderr);
}

static void summary(struct stream *s, int rc)
{
	double seconds = 0;

	progress_clear(&s->progress);
	if (s->begin_ns)
		seconds = (double)((s->end_ns ? s->end_ns : tool_now_ns()) - s->begin_ns) / 1e9;
	if (s->o->quiet)
		return;
	if (s->o->json)
		summary_json(s, rc, seconds);
	else
		summary_text(s, seconds);
}

/* Is the name still that of the segment that we have open? */
static int name_is_ours(const struct stream *s)
{
	struct shmipc_segment_stat st = { .info.struct_bytes = sizeof(st.info) };

	return !shmipc_segment_look(s->name, &st) &&
	       !memcmp(st.info.id, s->info.id, sizeof(st.info.id));
}

/* Kept reachable: it is not leaked, it ends with the process. */
static struct shmipc_channel *abandoned;

/*
 * The input did not come to its end, so the other side must not take what it
 * got for the whole: leaving in order would say just that. We end the way a
 * killed process does, but take the name away first, so that nothing stays.
 */
static void abandon(struct stream *s)
{
	if (!(s->info.flags & SHMIPC_SEG_PERSISTENT) && name_is_ours(s))
		shmipc_segment_unlink(s->name);
	abandoned = s->ch;
}

int stream_close(struct stream *s, int rc)
{
	if (!s->ch)
		return rc;
	summary(s, rc);
	if (s->role == SHMIPC_ROLE_PRODUCER && rc != RC_OK && rc != RC_PEER)
		abandon(s);
	else
		shmipc_channel_close(s->ch);
	s->ch = NULL;
	return rc;
}
