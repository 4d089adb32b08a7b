/* SPDX-License-Identifier: MIT */
/* output.h - messages to standard output or a file */
#ifndef TOOLS_STREAM_OUTPUT_H
#define TOOLS_STREAM_OUTPUT_H

#include "stream.h"

/* From this size on messages are written from shared memory; smaller ones are buffered. */
#define OUTPUT_DIRECT_BYTES	((size_t)32 << 10)

struct output {
	const char *name;	/* for messages */
	int fd;
	unsigned char *buf;	/* small messages are buffered here */
	size_t cap;
	size_t len;
	uint64_t since_ns;	/* when the first of them arrived */
	int last;		/* last byte of the last message; -1: none yet */
};

/* Open @file, or take standard output if it is NULL. */
int output_open(struct output *out, const char *file);

/* Write these bytes, now or later. */
int output_put(struct output *out, struct stream *s, const void *from, size_t len);

/* Make room for @len bytes at the end of the buffer; output_grow() then adds them. */
int output_room(struct output *out, struct stream *s, size_t len);
void *output_grow(struct output *out, size_t len);

int output_flush(struct output *out, struct stream *s);

/*
 * No message: write the buffer if it is old enough, otherwise check signals and
 * --timeout. *@ret_deadline_ns: how long the next call for a message may sleep.
 */
int output_wait(struct output *out, struct stream *s, uint64_t *ret_deadline_ns);

/* Write the buffer, and close. */
int output_close(struct output *out, struct stream *s, int rc);

#endif /* TOOLS_STREAM_OUTPUT_H */
