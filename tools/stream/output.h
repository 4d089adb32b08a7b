/* SPDX-License-Identifier: MIT */
/* output.h - messages to standard output or a file */
#ifndef TOOLS_STREAM_OUTPUT_H
#define TOOLS_STREAM_OUTPUT_H

#include "stream.h"

/* From here on bytes are written from where they lie; below, they are gathered. */
#define OUTPUT_DIRECT_BYTES	((size_t)32 << 10)

struct output {
	const char *name;	/* for messages */
	int fd;
	unsigned char *buf;	/* small messages gather here */
	size_t cap;
	size_t len;
	uint64_t since_ns;	/* when the first of them came */
	int last;		/* last byte of the last message; -1: none yet */
};

/* Open @file, or take standard output if it is NULL. */
int output_open(struct output *out, const char *file);

/* Write all these bytes, now or later. */
int output_put(struct output *out, struct stream *s, const void *from, size_t len);

/* Room for @len bytes at @buf + @len; then output_grow() says that they are there. */
int output_room(struct output *out, struct stream *s, size_t len);
void *output_grow(struct output *out, size_t len);

int output_flush(struct output *out, struct stream *s);

/*
 * Nothing came: write what has gathered for long enough, else see to signals and
 * --timeout. *@ret_deadline_ns: how long the next look for a message may sleep.
 */
int output_wait(struct output *out, struct stream *s, uint64_t *ret_deadline_ns);

/* Write what has gathered, and close. */
int output_close(struct output *out, struct stream *s, int rc);

#endif /* TOOLS_STREAM_OUTPUT_H */
