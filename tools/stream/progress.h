/* SPDX-License-Identifier: MIT */
/* progress.h - a line on the terminal while the work is long */
#ifndef TOOLS_STREAM_PROGRESS_H
#define TOOLS_STREAM_PROGRESS_H

#include <stdint.h>

struct progress {
	const char *command;
	int on;			/* standard error is a terminal and nobody said --quiet */
	int shown;
	uint64_t total_bytes;	/* 0: not known */
	uint64_t begin_ns;	/* 0: nothing has moved yet */
	uint64_t next_ns;
	uint64_t last_ns;
	uint64_t last_bytes;
};

void progress_init(struct progress *p, const char *command, int wanted, uint64_t total_bytes);
/* Now and then, with what has been moved so far. Looks at the clock. */
void progress_tick(struct progress *p, uint64_t bytes, uint64_t now_ns);
/* Before anything else is written to standard error. */
void progress_clear(struct progress *p);

#endif /* TOOLS_STREAM_PROGRESS_H */
