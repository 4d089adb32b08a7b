/* SPDX-License-Identifier: MIT */
/* progress.h - a progress line on the terminal */
#ifndef TOOLS_STREAM_PROGRESS_H
#define TOOLS_STREAM_PROGRESS_H

#include <stdint.h>

struct progress {
	const char *command;
	int on;			/* standard error is a terminal, and neither --quiet nor --json is given */
	int shown;
	uint64_t total_bytes;	/* 0: not known */
	uint64_t begin_ns;	/* 0: nothing has moved yet */
	uint64_t next_ns;
	uint64_t last_ns;
	uint64_t last_bytes;
};

void progress_init(struct progress *p, const char *command, int wanted, uint64_t total_bytes);
/* Call it often, with the bytes moved so far; it shows them several times a second. */
void progress_tick(struct progress *p, uint64_t bytes, uint64_t now_ns);
/* Call it before anything else is written to standard error. */
void progress_clear(struct progress *p);

#endif /* TOOLS_STREAM_PROGRESS_H */
