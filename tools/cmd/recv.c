// SPDX-License-Identifier: MIT
/* recv.c - shmipc recv: a lossless ring to standard output */
#include <errno.h>
#include "commands.h"
#include "../stream/output.h"
#include "../util/util.h"

struct recv_opts {
	struct stream_opts stream;
	struct create_opts create;
	struct ring_opts ring;
	const char *file;
	int lines;
	uint64_t count;
	int follow;
};

static const struct opt options[] = {
	{ .name = "file", .letter = 'f', .arg = "FILE", .take = take_text,
	  .at = offsetof(struct recv_opts, file), .help = "write FILE instead of standard output" },
	{ .name = "lines", .letter = 'l', .take = take_flag,
	  .at = offsetof(struct recv_opts, lines),
	  .help = "put a newline between two messages if the first does not end in one" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct recv_opts, count), .help = "end after N messages" },
	{ .name = "follow", .take = take_flag, .at = offsetof(struct recv_opts, follow),
	  .help = "when the sender has ended, wait for the next one" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = stream_options, .at = offsetof(struct recv_opts, stream) },
	{ .title = CREATE_TITLE("ring"), .opts = ring_options,
	  .at = offsetof(struct recv_opts, ring) },
	{ .opts = create_options, .at = offsetof(struct recv_opts, create) },
	{ .opts = NULL },
};

struct recv {
	struct stream s;
	struct output out;
	struct recv_opts o;
};

/* --lines: the message before this one did not end in a newline. */
static int put_newline(struct recv *r)
{
	int rc;

	if (!r->o.lines || r->out.last < 0 || r->out.last == '\n')
		return RC_OK;
	rc = output_room(&r->out, &r->s, 1);
	if (!rc)
		*(char *)output_grow(&r->out, 1) = '\n';
	return rc;
}

/* A large message is written from where it is in the ring. */
static int take_direct(struct output *out, struct stream *s, const unsigned char *ptr, size_t len)
{
	int rc = output_put(out, s, ptr, len);

	if (rc)
		return rc;
	out->last = ptr[len - 1];
	shmipc_channel_release(s->ch);
	stream_moved(s, len);
	progress_tick(&s->progress, s->bytes, tool_now_ns());
	return RC_OK;
}

/* Any other message is copied into the output's buffer. */
static int take_copy(struct output *out, struct stream *s, size_t len, int *ret_err)
{
	unsigned char *at;
	int rc = output_room(out, s, len);

	if (rc)
		return rc;
	*ret_err = shmipc_channel_recv(s->ch, out->buf + out->len, out->cap - out->len, &len, 0);
	if (*ret_err)
		return RC_OK;
	at = output_grow(out, len);
	out->last = len ? at[len - 1] : 0;	/* an empty message is an empty line */
	stream_moved(s, len);
	return RC_OK;
}

/* Take one message; *@ret_err says why there is none. */
static int take(struct recv *r, uint64_t deadline_ns, int *ret_err)
{
	const void *ptr;
	size_t len;
	int rc;

	*ret_err = shmipc_channel_peek(r->s.ch, &ptr, &len, deadline_ns);
	if (*ret_err)
		return RC_OK;
	rc = put_newline(r);
	if (rc)
		return rc;
	if (len >= OUTPUT_DIRECT_BYTES)
		return take_direct(&r->out, &r->s, ptr, len);
	return take_copy(&r->out, &r->s, len, ret_err);
}

/*
 * The sender has gone, and all is taken. *@ret_end: no other one is waited for.
 * Otherwise wait a little: the next sender may come, publish and leave between
 * two looks, so the caller looks into the ring again each time.
 */
static int at_end(struct recv *r, int *ret_end)
{
	struct stream *s = &r->s;
	int rc;

	*ret_end = !r->o.follow;
	if (*ret_end)
		s->end_ns = tool_now_ns();
	rc = output_flush(&r->out, s);
	if (rc || *ret_end)
		return rc ? rc : ring_gone(s);
	rc = stream_idle(s, s->messages, "the next sender");
	if (!rc)
		shmipc_channel_wait_peer(s->ch, stream_slice(s));
	return rc;
}

/*
 * Take messages until the sender has gone, --count is reached, or something fails.
 * RC_OK: it ended in order.
 */
static int drain(struct recv *r)
{
	struct stream *s = &r->s;
	uint64_t deadline_ns = 0;
	int rc, err, end = 0;

	s->out_fd = r->out.fd;
	s->out_name = r->out.name;
	while (!end) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		rc = take(r, deadline_ns, &err);
		deadline_ns = 0;
		if (!rc && !err && s->messages == r->o.count)
			break;
		if (shmipc_unlikely(err && !rc)) {
			if (stream_is_idle(err)) {
				ring_note_alone(s);
				rc = output_wait(&r->out, s, &deadline_ns);
			} else if (err == -EPIPE) {
				rc = at_end(r, &end);
			} else {
				rc = stream_fail(s, err);
			}
		}
		if (shmipc_unlikely(rc))
			return rc;
	}
	return RC_OK;
}

static int run_recv(int argc, char **argv)
{
	struct recv r = { .o.count = 0 };
	struct opts_args args;
	const char *name;
	int rc;

	opts_parse(&cmd_recv, argc, argv, &r.o, &args);
	name = opts_name(&args, 0);
	tool_catch_signals();
	rc = output_open(&r.out, r.o.file);
	if (rc)
		return rc;
	rc = ring_open(&r.s, name, &r.o.stream, &r.o.create, &r.o.ring, SHMIPC_ROLE_CONSUMER);
	if (!rc)
		rc = drain(&r);
	rc = output_close(&r.out, &r.s, rc);
	return stream_close(&r.s, rc);
}

const struct command cmd_recv = {
	.name = "recv", .brief = "write what comes through a lossless ring to standard output",
	.args = "NAME", .args_of = ARGS_RING, .min_args = 1, .max_args = 1,
	.about =
	"Writes what comes through the lossless ring NAME to standard output, until the sender "
	"has ended and all is taken. Either side may start first. If the sender was killed, or "
	"did not reach the end of its input, the exit code is 3.\n",
	.notes = BYTES_NOTE, .groups = groups, .run = run_recv,
};
