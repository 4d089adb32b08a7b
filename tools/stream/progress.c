// SPDX-License-Identifier: MIT
/* progress.c - a progress line on the terminal */
#include <stdio.h>
#include <unistd.h>
#include "progress.h"
#include "../util/util.h"

#define PROGRESS_FIRST_NS	NS_PER_S		/* none before that */
#define PROGRESS_EACH_NS	(200 * NS_PER_MS)

void progress_init(struct progress *p, const char *command, int wanted, uint64_t total_bytes)
{
	*p = (struct progress){
		.command = command,
		.on = wanted && isatty(STDERR_FILENO),
		.total_bytes = total_bytes,
	};
}

static void show(struct progress *p, uint64_t bytes, uint64_t now_ns)
{
	double s = (double)(now_ns - p->last_ns) / 1e9;
	char moved[TEXT_BYTES], rate[TEXT_BYTES];

	format_bytes(bytes, moved);
	format_rate(s > 0 ? (double)(bytes - p->last_bytes) / s : 0, rate);
	if (p->total_bytes)
		fprintf(stderr, "\r\033[K%s: %s, %3.0f%%, %s", p->command, moved,
			100.0 * (double)bytes / (double)p->total_bytes, rate);
	else
		fprintf(stderr, "\r\033[K%s: %s, %s", p->command, moved, rate);
	fflush(stderr);
	p->shown = 1;
}

void progress_tick(struct progress *p, uint64_t bytes, uint64_t now_ns)
{
	if (!p->on || !bytes)
		return;
	if (!p->begin_ns) {
		p->begin_ns = now_ns;
		p->last_ns = now_ns;
		p->last_bytes = bytes;
		p->next_ns = now_ns + PROGRESS_FIRST_NS;
	}
	if (now_ns < p->next_ns)
		return;
	show(p, bytes, now_ns);
	p->next_ns = now_ns + PROGRESS_EACH_NS;
	p->last_ns = now_ns;
	p->last_bytes = bytes;
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = 0;
}
