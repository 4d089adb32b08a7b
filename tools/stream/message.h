/* SPDX-License-Identifier: MIT */
/* message.h - a message of a topic: is it wanted, and how is it written */
#ifndef TOOLS_STREAM_MESSAGE_H
#define TOOLS_STREAM_MESSAGE_H

#include "output.h"

/* How sub writes a message; DEFAULT: raw, or lines on a terminal. */
enum { FORMAT_DEFAULT, FORMAT_RAW, FORMAT_LINES, FORMAT_HEX, FORMAT_JSON };

/* Which messages, and how they are written. */
struct message_opts {
	struct opts_many filters;	/* KEY=GLOB */
	const char *match;
	uint32_t format;
	int lines;
	int headers;
};

/*
 * One message. What is looked at is copied before: a publisher can write over
 * the original at any time. Raw bytes are not looked at, and not copied.
 */
struct message {
	const struct message_opts *o;
	uint32_t format;		/* FORMAT_*, not DEFAULT */
	int terminal;			/* show what could upset one as \xNN */
	const struct shmipc_msg *msg;
	const unsigned char *payload;
	size_t len;
	unsigned char *copy;		/* of payloads, with a zero byte behind */
	size_t cap;
	uint64_t *block;		/* of headers */
	size_t block_cap;
	struct shmipc_headers_view view;	/* .ptr NULL: no headers */
	int bad_headers;		/* there are some, and they are nonsense */
};

/* See what @o asks for; ends the process with RC_USAGE when that cannot be. */
void message_init(struct message *m, const struct message_opts *o, const struct output *out);

/* 1: it is what --filter and --match ask for; 0; -ENOMEM. */
int message_take(struct message *m, const struct shmipc_msg *msg);

/* Write the message that was taken last. */
int message_put(struct message *m, struct output *out, struct stream *s);

void message_done(struct message *m);

#endif /* TOOLS_STREAM_MESSAGE_H */
