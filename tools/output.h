/* SPDX-License-Identifier: MIT */
/* output.h - messages from a ring to standard output or a file */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include "stream.h"

struct output {
	const char *name;	/* for messages */
	int fd;
	unsigned char *buf;	/* small messages gather here */
	size_t cap;
	size_t len;
	uint64_t since_ns;	/* when the first of them came */
	int last;		/* last byte of the last message; -1: none yet */
};

/* Open @o->file, or take standard output. */
int output_open(struct output *out, const struct opts *o);

/*
 * All that comes to the output, until the other side has gone, --count is
 * reached, or something is wrong. RC_OK: the proper end.
 */
int output_drain(struct output *out, struct stream *s);

/* Write what has gathered, and close. */
int output_close(struct output *out, struct stream *s, int rc);

#endif /* TOOLS_OUTPUT_H */
