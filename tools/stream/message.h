/* SPDX-License-Identifier: MIT */
/* message.h - filter the messages of a topic, and write them */
#ifndef TOOLS_STREAM_MESSAGE_H
#define TOOLS_STREAM_MESSAGE_H

#include "output.h"

/* How sub writes a message; DEFAULT: lines to a terminal or a pipe, raw to a file. */
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
 * One message. It is copied before it is examined: a publisher can overwrite the
 * original at any time. Raw bytes are not examined, and not copied.
 */
struct message {
	const struct message_opts *o;
	uint32_t format;		/* FORMAT_*, not DEFAULT */
	int terminal;			/* the output is one: show control characters as \xNN */
	const struct shmipc_msg *msg;
	const unsigned char *payload;
	size_t len;
	unsigned char *copy;		/* of the payload, with a zero byte behind it */
	size_t cap;
	uint64_t *block;		/* of headers */
	size_t block_cap;
	struct shmipc_headers_view view;	/* .ptr NULL: no headers */
	int bad_headers;		/* there are some, and they are invalid */
};

/* Check the options; ends the process with RC_USAGE if they cannot be combined. */
void message_init(struct message *m, const struct message_opts *o, const struct output *out);

/* Return: 1 if it passes --filter and --match, else 0; -ENOMEM. */
int message_take(struct message *m, const struct shmipc_msg *msg);

/* Write the message that was taken last. */
int message_put(struct message *m, struct output *out, struct stream *s);

void message_done(struct message *m);

#endif /* TOOLS_STREAM_MESSAGE_H */
