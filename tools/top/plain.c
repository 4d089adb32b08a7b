// SPDX-License-Identifier: MIT
/* plain.c - top as text: a table after each interval */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <shmipc/error.h>
#include "top.h"

#define PLAIN_WIDTH	200	/* wide enough for all columns */

void top_sleep(uint64_t until_ns)
{
	struct timespec t = { (time_t)(until_ns / NS_PER_S), (long)(until_ns % NS_PER_S) };

	while (!tool_stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void print_cell(const char *text, int width, int is_left, int is_last)
{
	if (is_left && is_last)
		printf("%s", text);
	else
		printf(is_left ? "%-*.*s " : "%*.*s ", width, width, text);
}

static void print_line(const struct top_columns *c, const struct look_seg *s)
{
	char text[TOP_CELL];
	int i;

	for (i = 0; i < COLS_ALL; i++) {
		if (s)
			top_cell(s, (enum top_column)i, text);
		else
			snprintf(text, sizeof(text), "%s", top_head((enum top_column)i));
		if (s && s->err && i == COL_KIND) {
			printf("%s\n", shmipc_error_name(s->err));
			return;
		}
		if (c->width[i])
			print_cell(text, c->width[i], top_is_left((enum top_column)i),
				   i == COLS_ALL - 1);
	}
	putchar('\n');
}

static void print_table(const struct top *t, uint64_t nth)
{
	struct top_columns c;
	char text[256];
	size_t i;
	uint32_t k;

	if (nth)
		putchar('\n');
	top_columns_fit(&c, t, PLAIN_WIDTH);
	print_line(&c, NULL);
	for (i = 0; i < t->nrows; i++) {
		print_line(&c, t->row[i]);
		for (k = 0; t->o->ends && k < t->row[i]->nends; k++) {
			top_end_line(t->row[i], &t->row[i]->end[k], text, sizeof(text));
			printf("  %s\n", text);
		}
	}
}

static int tell(struct top *t, uint64_t nth)
{
	int err = top_look(t);

	if (err) {
		tool_error_lib("list", shmipc_segment_dir(), err);
		return RC_FAIL;
	}
	if (t->o->json)
		top_json(t);
	else
		print_table(t, nth);
	return tool_flush();
}

int top_plain(struct top *t)
{
	uint64_t next, nth;
	int rc = RC_OK;

	if (top_look(t)) {
		tool_error_lib("list", shmipc_segment_dir(), -EACCES);
		return RC_FAIL;
	}
	next = tool_now_ns();
	for (nth = 0; !rc && !(t->o->count && nth == t->o->count); nth++) {
		next += t->every_ns;
		if (next < tool_now_ns())
			next = tool_now_ns();	/* we were stopped for a while */
		top_sleep(next);
		rc = tool_stop ? RC_SIGNAL + tool_stop : tell(t, nth);
	}
	return rc;
}
