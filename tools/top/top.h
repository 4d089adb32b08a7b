/* SPDX-License-Identifier: MIT */
/* top.h - shmipc top: what its parts share */
#ifndef TOOLS_TOP_TOP_H
#define TOOLS_TOP_TOP_H

#include "../look/look.h"
#include "../opts/values.h"
#include "../util/util.h"

/* In the order of the words of --sort. */
enum top_sort { TOP_RATE, TOP_BYTES, TOP_OCCUPANCY, TOP_LAG, TOP_LOSSES, TOP_NAME, TOP_SORTS };

#define TOP_FILTER_MAX	64

struct top_opts {
	uint64_t every_ns;
	uint32_t sort;		/* enum top_sort */
	int ends;
	int plain;
	uint64_t count;		/* tables; 0: no limit */
	int json;
};

struct top {
	const struct top_opts *o;
	struct look look;
	enum top_sort sort;
	uint64_t every_ns;
	char filter[TOP_FILTER_MAX + 1];	/* a part of the name, or a pattern; empty: all */
	/* the segments that are shown, sorted */
	struct look_seg **row;
	size_t nrows;
	size_t row_cap;
};

/* The columns; some are left out on a narrow terminal. */
enum top_column {
	COL_NAME, COL_KIND, COL_RATE, COL_BYTES, COL_FULL, COL_LAG, COL_WHOSE, COL_LOST, COL_WAIT,
	COL_HOLD, COL_ENDS, COL_PAGE, COL_OWNER, COLS_ALL
};

#define TOP_CELL	(SHMIPC_NAME_MAX + 8)

/* rows.c */
const char *top_sort_word(enum top_sort sort);
/* Look, filter and sort. Return: 0 or -errno. */
int top_look(struct top *t);
/* Filter and sort without a look. */
int top_order(struct top *t);
void top_done(struct top *t);

/* cells.c */
struct top_columns {
	int width[COLS_ALL];	/* 0: not shown */
};

/* Columns for @width; the name is as wide as the longest in @t if there is room. */
void top_columns_fit(struct top_columns *c, const struct top *t, int width);
const char *top_head(enum top_column column);
int top_is_left(enum top_column column);	/* text, not a number */
void top_cell(const struct look_seg *s, enum top_column column, char text[TOP_CELL]);
/* An end of @s in one line. */
void top_end_line(const struct look_seg *s, const struct look_end *e, char *text, size_t cap);
/* "12.3k": at most 6 characters. */
const char *top_number(double v, char text[TEXT_BYTES]);

/* Does this need attention? */
enum top_alarm { ALARM_NONE, ALARM_LAG, ALARM_FULL, ALARM_LOST };
enum top_alarm top_alarm(const struct look_seg *s);
enum top_alarm top_end_alarm(const struct look_end *e);

/* plain.c, json.c, screen.c: run until the end. Return: the exit code */
int top_plain(struct top *t);
void top_json(const struct top *t);
int top_screen(struct top *t);
/* NULL: this build has it; otherwise what to do about that. */
const char *top_screen_lacks(void);

/* Sleep until @until_ns or a signal. */
void top_sleep(uint64_t until_ns);

#endif /* TOOLS_TOP_TOP_H */
