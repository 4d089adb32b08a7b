// SPDX-License-Identifier: MIT
/* output.c - messages from a ring to standard output or a file */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmipc/error.h>
#include "json.h"
#include "output.h"
#include "util.h"

/* From here on a message is written from where it lies; below, it is gathered. */
#define DIRECT_BYTES	((size_t)32 << 10)
#define GATHER_BYTES	((size_t)256 << 10)
/*
 * How long a message may stay gathered while nothing follows. Writing whenever
 * the ring is empty would cost a system call for each message of a fast sender.
 */
#define GATHER_NS	NS_PER_MS

int output_open(struct output *out, const struct opts *o)
{
	*out = (struct output){ .name = "standard output", .fd = STDOUT_FILENO, .last = -1 };
	if (o->file) {
		out->name = o->file;
		out->fd = open(o->file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		if (out->fd < 0) {
			tool_error("output \"%s\": cannot open: %s (%s)", out->name,
				   strerror(errno), shmipc_error_name(errno));
			return RC_FAIL;
		}
	}
	out->buf = malloc(GATHER_BYTES);
	out->cap = GATHER_BYTES;
	if (out->buf)
		return RC_OK;
	tool_error("output \"%s\": no memory for %zu bytes (ENOMEM)", out->name, GATHER_BYTES);
	return RC_FAIL;
}

/* The output takes nothing now (it was made non-blocking elsewhere). */
static void wait_output(const struct output *out)
{
	struct pollfd p = { .fd = out->fd, .events = POLLOUT };

	poll(&p, 1, 100);
}

static int write_all(struct output *out, struct stream *s, const unsigned char *from, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(out->fd, from, len);
		if (n >= 0) {
			from += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			wait_output(out);
		} else if (errno != EINTR) {
			progress_clear(&s->progress);
			tool_error("output \"%s\": cannot write: %s (%s); got %" PRIu64 " messages, "
				   "%" PRIu64 " bytes, the last of which are not written",
				   out->name, strerror(errno), shmipc_error_name(errno),
				   s->messages, s->bytes);
			return RC_FAIL;
		}
		if (len && tool_stop)
			return RC_SIGNAL + tool_stop;
	}
	return RC_OK;
}

static int flush(struct output *out, struct stream *s)
{
	size_t len = out->len;

	out->len = 0;
	out->since_ns = 0;
	if (!len)
		return RC_OK;
	progress_tick(&s->progress, s->bytes, tool_now_ns());
	return write_all(out, s, out->buf, len);
}

/* Room for @len bytes behind what has gathered. */
static int gather_room(struct output *out, struct stream *s, size_t len)
{
	unsigned char *buf;
	int rc;

	if (len <= out->cap - out->len)
		return RC_OK;
	rc = flush(out, s);
	if (rc || len <= out->cap)
		return rc;
	buf = realloc(out->buf, len);
	if (!buf) {
		tool_error("output \"%s\": no memory for a message of %zu bytes (ENOMEM)", out->name,
			   len);
		return RC_FAIL;
	}
	out->buf = buf;
	out->cap = len;
	return RC_OK;
}

/* --lines: the message before this one ended in no newline. */
static int put_newline(struct output *out, struct stream *s)
{
	int rc;

	if (!s->o->lines || out->last < 0 || out->last == '\n')
		return RC_OK;
	rc = gather_room(out, s, 1);
	if (!rc)
		out->buf[out->len++] = '\n';
	return rc;
}

/* A receiver's large message, from where it lies. The sender cannot change it. */
static int take_direct(struct output *out, struct stream *s, const unsigned char *ptr, size_t len)
{
	int rc = flush(out, s);

	if (!rc)
		rc = write_all(out, s, ptr, len);
	if (rc)
		return rc;
	out->last = ptr[len - 1];
	shmipc_channel_release(s->ch);
	stream_moved(s, len);
	progress_tick(&s->progress, s->bytes, tool_now_ns());
	return RC_OK;
}

/* Any other message: copied, since a publisher may write over it at any time. */
static int take_copy(struct output *out, struct stream *s, size_t len, int *ret_err)
{
	int rc = gather_room(out, s, len);

	if (rc)
		return rc;
	*ret_err = shmipc_channel_recv(s->ch, out->buf + out->len, out->cap - out->len, &len, 0);
	if (*ret_err)
		return RC_OK;
	if (!out->len)
		out->since_ns = tool_now_ns();
	out->len += len;
	out->last = len ? out->buf[out->len - 1] : 0;	/* an empty message is an empty line */
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
	if (s->role == SHMIPC_ROLE_CONSUMER && len >= DIRECT_BYTES)
		return take_direct(out, s, ptr, len);
	return take_copy(out, s, len, ret_err);
}

/* A reader was lapped: say how many messages were lost, and which. */
static void tell_lost(struct stream *s)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	uint64_t lost = shmipc_channel_lost(s->ch), stride = s->o->stride, last;

	s->lost += lost;
	if (!lost || shmipc_channel_get_stat(s->ch, &st) || !st.seq)
		return;
	/* The last one before the present position that is ours. */
	last = st.seq - 1 - (st.seq - 1 + stride - s->o->at) % stride;
	progress_clear(&s->progress);
	if (s->o->json)
		json_line(stderr, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "event", "lost",
			"command", s->o->command->name, "name", s->name, "messages",
			json_u64(lost), "first_seq", json_u64(last - (lost - 1) * stride),
			"last_seq", json_u64(last), "lost", json_u64(s->lost)));
	else
		tool_note("\"%s\": lost %" PRIu64 " messages, numbers %" PRIu64 " to %" PRIu64,
			  s->name, lost, last - (lost - 1) * stride, last);
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
	rc = flush(out, s);
	if (rc || *ret_end)
		return rc ? rc : stream_fail(s, -EPIPE);
	rc = stream_idle(s, s->messages, "the next one on the other side");
	if (!rc)
		shmipc_channel_wait_peer(s->ch, stream_slice(s));
	return rc;
}

/* The ring is empty: write what has gathered for long enough, else wait a little. */
static int wait_more(struct output *out, struct stream *s, uint64_t *ret_deadline_ns)
{
	int rc;

	if (out->len && tool_now_ns() < out->since_ns + GATHER_NS) {
		*ret_deadline_ns = out->since_ns + GATHER_NS;
		return tool_stop ? RC_SIGNAL + tool_stop : RC_OK;
	}
	if (out->len) {
		*ret_deadline_ns = 0;
		return flush(out, s);
	}
	rc = stream_idle(s, s->messages, "a message");
	*ret_deadline_ns = stream_slice(s);
	return rc;
}

int output_drain(struct output *out, struct stream *s)
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
				rc = wait_more(out, s, &deadline_ns);
			else if (err == -ESTALE)
				tell_lost(s);
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

int output_close(struct output *out, struct stream *s, int rc)
{
	int rc2 = RC_OK;

	/* Also after a signal or a death: what was taken belongs to the output. */
	if (out->len)
		rc2 = flush(out, s);
	if (out->fd != STDOUT_FILENO && close(out->fd) && !rc2) {
		tool_error("output \"%s\": cannot write: %s (%s)", out->name, strerror(errno),
			   shmipc_error_name(errno));
		rc2 = RC_FAIL;
	}
	free(out->buf);
	out->buf = NULL;
	return rc ? rc : rc2;
}
