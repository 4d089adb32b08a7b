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
#include "output.h"
#include "../util/util.h"

#define GATHER_BYTES	((size_t)256 << 10)
/*
 * How long a message may stay in the buffer if none follows. Writing whenever the
 * ring is empty would cost a system call for each message of a fast sender.
 */
#define GATHER_NS	NS_PER_MS

int output_open(struct output *out, const char *file)
{
	*out = (struct output){ .name = "standard output", .fd = STDOUT_FILENO, .last = -1 };
	if (file) {
		out->name = file;
		out->fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
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
	tool_error("output \"%s\": out of memory for %zu bytes (ENOMEM)", out->name, GATHER_BYTES);
	return RC_FAIL;
}

/* The output is full (another process made it non-blocking). */
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
		} else if (errno == EPIPE && (s->sub || s->pop)) {
			return stream_output_gone(s);
		} else if (errno != EINTR) {
			progress_clear(&s->progress);
			tool_error("output \"%s\": cannot write: %s (%s); received %" PRIu64 " messages, "
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

int output_flush(struct output *out, struct stream *s)
{
	size_t len = out->len;

	out->len = 0;
	out->since_ns = 0;
	if (!len)
		return RC_OK;
	progress_tick(&s->progress, s->bytes, tool_now_ns());
	return write_all(out, s, out->buf, len);
}

/* Make room for @len bytes behind those in the buffer. */
int output_room(struct output *out, struct stream *s, size_t len)
{
	unsigned char *buf;
	int rc;

	if (len <= out->cap - out->len)
		return RC_OK;
	rc = output_flush(out, s);
	if (rc || len <= out->cap)
		return rc;
	buf = realloc(out->buf, len);
	if (!buf) {
		tool_error("output \"%s\": out of memory for a message of %zu bytes (ENOMEM)", out->name,
			   len);
		return RC_FAIL;
	}
	out->buf = buf;
	out->cap = len;
	return RC_OK;
}

int output_put(struct output *out, struct stream *s, const void *from, size_t len)
{
	int rc;

	if (len >= OUTPUT_DIRECT_BYTES) {
		rc = output_flush(out, s);
		return rc ? rc : write_all(out, s, from, len);
	}
	rc = output_room(out, s, len);
	if (!rc)
		memcpy(output_grow(out, len), from, len);
	return rc;
}

void *output_grow(struct output *out, size_t len)
{
	unsigned char *at = out->buf + out->len;

	if (!out->len)
		out->since_ns = tool_now_ns();
	out->len += len;
	return at;
}

int output_wait(struct output *out, struct stream *s, uint64_t *ret_deadline_ns)
{
	int rc;

	if (out->len && tool_now_ns() < out->since_ns + GATHER_NS) {
		*ret_deadline_ns = out->since_ns + GATHER_NS;
		return tool_stop ? RC_SIGNAL + tool_stop : RC_OK;
	}
	if (out->len) {
		*ret_deadline_ns = 0;
		return output_flush(out, s);
	}
	rc = stream_idle(s, s->messages, "a message");
	*ret_deadline_ns = stream_long_slice(s);
	return rc;
}

int output_close(struct output *out, struct stream *s, int rc)
{
	int rc2 = RC_OK;

	/* Also after a signal or a death: messages that were taken must be written. */
	if (out->len)
		rc2 = output_flush(out, s);
	if (out->fd != STDOUT_FILENO && close(out->fd) && !rc2) {
		tool_error("output \"%s\": cannot write: %s (%s)", out->name, strerror(errno),
			   shmipc_error_name(errno));
		rc2 = RC_FAIL;
	}
	free(out->buf);
	out->buf = NULL;
	return rc ? rc : rc2;
}
