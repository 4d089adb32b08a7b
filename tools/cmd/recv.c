// SPDX-License-Identifier: MIT
/* recv.c - shmipc recv: a lossless ring to standard output */
#include <errno.h>
#include "commands.h"
#include "../stream/output.h"
#include "../util/util.h"

static const struct opts_command command = {
	.name = "recv", .bit = FOR_RECV, .args = "NAME", .min_args = 1, .max_args = 1,
	.about =
	"Writes what comes through the lossless ring NAME to standard output, until the\n"
	"sender has ended and all is taken. Either side may start first. A sender that\n"
	"was killed, or did not come to its end, makes the exit code 3.\n",
};

/* --lines: the message before this one ended in no newline. */
static int put_newline(struct output *out, struct stream *s)
{
	int rc;

	if (!s->o->lines || out->last < 0 || out->last == '\n')
		return RC_OK;
	rc = output_room(out, s, 1);
	if (!rc)
		*(char *)output_grow(out, 1) = '\n';
	return rc;
}

/* A large message, from where it lies. The sender cannot change it. */
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

/* Any other message: copied behind those that have gathered. */
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

/* One message, or *ret_err says why there is none. */
static int take(struct output *out, struct stream *s, uint64_t deadline_ns, int *ret_err)
{
	const void *ptr;
	size_t len;
	int rc;

	*ret_err = shmipc_channel_peek(s->ch, &ptr, &len, deadline_ns);
	if (*ret_err)
		return RC_OK;
	rc = put_newline(out, s);
	if (rc)
		return rc;
	if (len >= OUTPUT_DIRECT_BYTES)
		return take_direct(out, s, ptr, len);
	return take_copy(out, s, len, ret_err);
}

/*
 * The other side has gone, and all is taken. *@ret_end: nobody else is waited
 * for. Otherwise wait a little: the next one may come, publish and go between
 * two looks, so the caller looks into the ring again each time.
 */
static int at_end(struct output *out, struct stream *s, int *ret_end)
{
	int rc;

	*ret_end = !s->o->follow;
	if (*ret_end)
		s->end_ns = tool_now_ns();
	rc = output_flush(out, s);
	if (rc || *ret_end)
		return rc ? rc : ring_gone(s);
	rc = stream_idle(s, s->messages, "the next one on the other side");
	if (!rc)
		shmipc_channel_wait_peer(s->ch, stream_slice(s));
	return rc;
}

/*
 * All that comes, until the sender has gone, --count is reached, or something is
 * wrong. RC_OK: the proper end.
 */
static int drain(struct output *out, struct stream *s)
{
	uint64_t deadline_ns = 0;
	int rc, err, end = 0;

	s->out_fd = out->fd;
	while (!end) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		rc = take(out, s, deadline_ns, &err);
		deadline_ns = 0;
		if (!rc && !err && s->messages == s->o->count)
			break;
		if (shmipc_unlikely(err && !rc)) {
			if (stream_is_idle(err))
				rc = output_wait(out, s, &deadline_ns);
			else if (err == -EPIPE)
				rc = at_end(out, s, &end);
			else
				rc = stream_fail(s, err);
		}
		if (shmipc_unlikely(rc))
			return rc;
	}
	return RC_OK;
}

int cmd_recv(int argc, char **argv)
{
	struct output out;
	struct stream s;
	struct opts o;
	int rc;

	opts_parse(&o, &command, argc, argv);
	opts_name(&o);
	tool_catch_signals();
	rc = output_open(&out, &o);
	if (rc)
		return rc;
	rc = ring_open(&s, &o, SHMIPC_ROLE_CONSUMER);
	if (!rc)
		rc = drain(&out, &s);
	rc = output_close(&out, &s, rc);
	return stream_close(&s, rc);
}
