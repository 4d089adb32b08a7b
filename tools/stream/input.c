// SPDX-License-Identifier: MIT
/* input.c - standard input or a file, cut into messages and put into a ring */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmipc/error.h>
#include "input.h"
#include "objects.h"
#include "../util/util.h"

/*
 * From this size on a message is read directly into the ring, with one system call
 * each and no copy. Below, reading ahead and copying costs less than the calls.
 */
#define DIRECT_BYTES	(UINT64_C(32) << 10)
/* What one read asks for without --size; see shmipc(1). */
#define BLOCK_BYTES	(UINT64_C(64) << 10)
#define AHEAD_BYTES	((size_t)256 << 10)
#define POLL_MS		100

/* --message: the whole input is there from the start. */
static int open_message(struct input *in, const struct input_opts *o)
{
	*in = (struct input){
		.o = o, .name = "--message", .fd = STDIN_FILENO, .eof = 1, .rounds = o->repeat - 1,
		.end = strlen(o->message), .cap = strlen(o->message) + 1,
		.buf = (unsigned char *)strdup(o->message),
	};
	if (in->buf)
		return RC_OK;
	tool_error("--message: out of memory for %zu bytes (ENOMEM)", in->cap);
	return RC_FAIL;
}

void input_check(const struct input_opts *o)
{
	if (o->lines && o->size)
		opts_refuse("--lines and --size cannot be combined");
	if (o->format && (o->size || o->message))
		opts_refuse("--format cannot be combined with --size or --message");
	if (o->format == INPUT_JSON && o->lines)
		opts_refuse("--lines cannot be combined with another --format");
	if (o->message && (o->file || o->lines || o->size))
		opts_refuse("--message cannot be combined with --file, --lines or --size");
}

int input_open(struct input *in, const struct input_opts *o)
{
	struct stat st;

	if (o->message)
		return open_message(in, o);
	*in = (struct input){ .o = o, .name = "standard input", .rounds = o->repeat - 1 };
	if (o->file) {
		in->name = o->file;
		in->fd = open(o->file, O_RDONLY | O_CLOEXEC);
		if (in->fd < 0) {
			tool_error("input \"%s\": cannot open: %s (%s)", in->name, strerror(errno),
				   shmipc_error_name(errno));
			return RC_FAIL;
		}
	}
	if (!fstat(in->fd, &st) && S_ISREG(st.st_mode)) {
		in->is_file = 1;
		in->total_bytes = (uint64_t)st.st_size * o->repeat;
	}
	if (o->repeat > 1 && !in->is_file) {
		tool_error("input \"%s\": --repeat needs a file, and this is not one (ESPIPE)",
			   in->name);
		return RC_USAGE;
	}
	return RC_OK;
}

void input_close(struct input *in)
{
	free(in->buf);
	in->buf = NULL;
	if (in->fd != STDIN_FILENO)
		close(in->fd);
}

/* Wait for input; meanwhile look for signals, and whether the receiver is still there. */
static int wait_input(struct input *in, struct stream *s)
{
	struct pollfd p = { .fd = in->fd, .events = POLLIN };
	int rc;

	while (!in->is_file) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		if (poll(&p, 1, POLL_MS) > 0)
			return RC_OK;
		progress_tick(&s->progress, s->bytes, tool_now_ns());
		stream_note_unnamed(s);
		rc = s->ops->check(s);
		if (rc)
			return rc;
	}
	return RC_OK;
}

/* --count is reached. */
static int enough(const struct input *in, const struct stream *s)
{
	return in->o->count && s->messages >= in->o->count;
}

/* Begin another round over the same file, if one is left. */
static int rewind_input(struct input *in)
{
	if (!in->rounds || lseek(in->fd, 0, SEEK_SET))
		return 0;
	in->rounds--;
	return 1;
}

/* Read some bytes; 0 at the end of the input. */
static int read_some(struct input *in, struct stream *s, void *to, size_t cap, size_t *ret_n)
{
	ssize_t n;
	int rc;

	for (;;) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		rc = wait_input(in, s);
		if (rc)
			return rc;
		n = read(in->fd, to, cap);
		if (!n && rewind_input(in))
			continue;
		if (n >= 0)
			break;
		if (errno == EINTR || errno == EAGAIN)
			continue;
		progress_clear(&s->progress);
		tool_error("input \"%s\": cannot read: %s (%s); %" PRIu64 " messages, %" PRIu64
			   " bytes were sent", in->name, strerror(errno),
			   shmipc_error_name(errno), s->messages, s->bytes);
		return RC_FAIL;
	}
	if (!n)
		in->eof = 1;
	*ret_n = (size_t)n;
	return RC_OK;
}

/* Read directly into the ring. @fill: until the message is full or the input ends. */
static int feed_direct(struct input *in, struct stream *s, size_t size, int fill)
{
	size_t have, n;
	void *room;
	int rc;

	while (!in->eof && !enough(in, s)) {
		rc = s->ops->reserve(s, size, &room);
		if (rc)
			return rc;
		have = 0;
		do {
			rc = read_some(in, s, (unsigned char *)room + have, size - have, &n);
			if (rc)
				return rc;
			have += n;
		} while (fill && n && have < size);
		if (!have) {
			s->ops->abort(s);
			break;
		}
		rc = s->ops->commit(s, have);
		if (rc)
			return rc;
		progress_tick(&s->progress, s->bytes, tool_now_ns());
	}
	return RC_OK;
}

/* Read more bytes behind those that are not sent yet. */
static int read_ahead(struct input *in, struct stream *s)
{
	unsigned char *buf;
	size_t cap, n;
	int rc;

	if (in->start) {
		memmove(in->buf, in->buf + in->start, in->end - in->start);
		in->end -= in->start;
		in->start = 0;
	}
	if (in->end == in->cap) {
		cap = in->cap ? 2 * in->cap : AHEAD_BYTES;
		buf = realloc(in->buf, cap);
		if (!buf) {
			tool_error("input \"%s\": out of memory for %zu bytes (ENOMEM)", in->name, cap);
			return RC_FAIL;
		}
		in->buf = buf;
		in->cap = cap;
	}
	progress_tick(&s->progress, s->bytes, tool_now_ns());
	rc = read_some(in, s, in->buf + in->end, in->cap - in->end, &n);
	if (!rc)
		in->end += n;
	return rc;
}

/* Send all complete messages of @size bytes; at the end of the input the rest, too. */
static int cut_blocks(struct input *in, struct stream *s, size_t size)
{
	size_t n;
	int rc;

	while (in->start < in->end && !enough(in, s)) {
		n = in->end - in->start;
		if (n < size && !in->eof)
			break;
		if (n > size)
			n = size;
		rc = s->ops->send(s, in->buf + in->start, n);
		if (rc)
			return rc;
		in->start += n;
	}
	return RC_OK;
}

static int refuse_line(const struct input *in, const struct stream *s, size_t len)
{
	tool_error("input \"%s\": line %" PRIu64 " has %s%zu bytes, the largest message of this %s has "
		   "%" PRIu64 " (EMSGSIZE); create it with a larger %s", in->name,
		   s->messages + 1, in->eof ? "" : "at least ", len, s->ops->what, s->max_payload,
		   s->ops->larger);
	return RC_FAIL;
}

/* Send all complete lines; at the end of the input the rest, too. */
static int cut_lines(struct input *in, struct stream *s, size_t *seen)
{
	unsigned char *nl, *from;
	size_t n;
	int rc;

	while (in->start < in->end && !enough(in, s)) {
		from = in->buf + in->start;
		n = in->end - in->start;
		/* The first @seen bytes hold no newline: each byte is examined once. */
		nl = memchr(from + *seen, '\n', n - *seen);
		if (nl)
			n = (size_t)(nl - from) + 1;
		if (n > s->max_payload && in->o->format != INPUT_JSON)
			return refuse_line(in, s, n);
		*seen = n;
		if (!nl && !in->eof)
			break;
		rc = in->o->format == INPUT_JSON ? objects_send(in, s, from, n) :
						   s->ops->send(s, from, n);
		if (rc)
			return rc;
		in->start += n;
		*seen = 0;
	}
	return RC_OK;
}

static int feed_cut(struct input *in, struct stream *s, size_t size)
{
	size_t seen = 0;
	int rc;

	while (!in->eof && !enough(in, s)) {
		rc = read_ahead(in, s);
		if (!rc)
			rc = size ? cut_blocks(in, s, size) : cut_lines(in, s, &seen);
		if (rc)
			return rc;
	}
	return RC_OK;
}

/* The bytes of one read are a message. */
static int feed_reads(struct input *in, struct stream *s, size_t size)
{
	size_t n;
	int rc;

	in->buf = malloc(size);
	if (!in->buf) {
		tool_error("input \"%s\": out of memory for %zu bytes (ENOMEM)", in->name, size);
		return RC_FAIL;
	}
	while (!in->eof && !enough(in, s)) {
		rc = read_some(in, s, in->buf, size, &n);
		if (!rc && n)
			rc = s->ops->send(s, in->buf, n);
		if (rc)
			return rc;
		progress_tick(&s->progress, s->bytes, tool_now_ns());
	}
	return RC_OK;
}

/* A file is one message, in each round. */
static int feed_file(struct input *in, struct stream *s, size_t size)
{
	size_t have, n;
	void *room;
	int rc;

	do {
		rc = s->ops->reserve(s, size, &room);
		if (rc)
			return rc;
		have = 0;
		do {
			rc = read_some(in, s, (unsigned char *)room + have, size - have, &n);
			if (rc)
				return rc;
			have += n;
		} while (n && have < size);
		rc = s->ops->commit(s, have);
		progress_tick(&s->progress, s->bytes, tool_now_ns());
	} while (!rc && !enough(in, s) && rewind_input(in));
	return rc;
}

/* All of it is one message; nothing, if it is empty. */
static int feed_whole(struct input *in, struct stream *s)
{
	int rc;

	while (!in->eof) {
		rc = read_ahead(in, s);
		if (rc)
			return rc;
		if (in->end <= s->max_payload)
			continue;
		tool_error("input \"%s\": it has %s%zu bytes, the largest item of this %s has %" PRIu64
			   " (EMSGSIZE); create it with a larger %s, or choose --lines or --size", in->name,
			   in->eof ? "" : "at least ", in->end, s->ops->what, s->max_payload, s->ops->larger);
		return RC_FAIL;
	}
	if (in->end)
		return s->ops->send(s, in->buf, in->end);
	tool_note("input \"%s\": it is empty, so that nothing was pushed", in->name);
	return RC_OK;
}

/* Of the --file of pub: the bytes of the message that it is; 0: it is not one. */
static size_t whole(const struct input *in, const struct stream *s)
{
	uint64_t bytes = in->o->file && in->is_file && s->ops->room_costs ?
			 in->total_bytes / in->o->repeat : 0;

	if (bytes <= s->max_payload)
		return (size_t)bytes;
	tool_note("input \"%s\": it has %" PRIu64 " bytes, the largest message of this %s has %" PRIu64
		  ": it becomes many messages; create the %s with a larger %s, or choose their --size",
		  in->name, bytes, s->ops->what, s->max_payload, s->ops->what, s->ops->larger);
	return 0;
}

static int feed_message(struct input *in, struct stream *s)
{
	int rc;

	if (in->end > s->max_payload) {
		tool_error("--message has %zu bytes, the largest message of this %s has %" PRIu64
			   " (EMSGSIZE); create it with a larger %s", in->end, s->ops->what,
			   s->max_payload, s->ops->larger);
		return RC_FAIL;
	}
	do {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		rc = s->ops->send(s, in->buf, in->end);
		progress_tick(&s->progress, s->bytes, tool_now_ns());
	} while (!rc && in->rounds-- && !enough(in, s));
	return rc;
}

int input_feed(struct input *in, struct stream *s)
{
	uint64_t size = in->o->size;

	s->progress.total_bytes = in->total_bytes;
	if (size > s->max_payload) {
		tool_error("%s \"%s\": you asked for --size %" PRIu64 ", its largest message has %"
			   PRIu64 " bytes (EMSGSIZE); create it with a larger %s", s->ops->what,
			   s->name, size, s->max_payload, s->ops->larger);
		return RC_FAIL;
	}
	if (in->o->message)
		return feed_message(in, s);
	if (in->o->lines || in->o->format)
		return feed_cut(in, s, 0);
	if (in->o->whole && !size)
		return feed_whole(in, s);
	if (size && size < DIRECT_BYTES)
		return feed_cut(in, s, (size_t)size);
	if (size)
		return feed_direct(in, s, (size_t)size, 1);
	size = whole(in, s);
	if (size)
		return feed_file(in, s, (size_t)size);
	size = s->max_payload < BLOCK_BYTES ? s->max_payload : BLOCK_BYTES;
	if (s->ops->room_costs)
		return feed_reads(in, s, (size_t)size);
	return feed_direct(in, s, (size_t)size, 0);
}
