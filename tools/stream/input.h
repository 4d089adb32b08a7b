/* SPDX-License-Identifier: MIT */
/* input.h - standard input or a file, cut into messages and put into a ring */
#ifndef TOOLS_STREAM_INPUT_H
#define TOOLS_STREAM_INPUT_H

#include "stream.h"

struct input {
	const struct input_opts *o;
	const char *name;	/* for messages */
	int fd;
	int is_file;		/* a regular file: reads do not wait */
	int eof;
	uint64_t total_bytes;	/* 0: not known */
	uint64_t rounds;	/* left after this one */
	uint64_t lines;		/* objects that were read */
	unsigned char *buf;
	size_t cap;
	size_t start;		/* read and not sent yet: [start, end) */
	size_t end;
};

/* Refuse options that cannot be combined. */
void input_check(const struct input_opts *o);

/* Open the file, or take standard input. */
int input_open(struct input *in, const struct input_opts *o);

/* Send all of the input, as the options say. */
int input_feed(struct input *in, struct stream *s);

void input_close(struct input *in);

#endif /* TOOLS_STREAM_INPUT_H */
