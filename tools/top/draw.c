// SPDX-License-Identifier: MIT
/* draw.c - top in a terminal: what it looks like */
#ifdef WITH_NCURSES
#include <curses.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/error.h>
#include "screen.h"

#define BODY	3	/* the table's first line; above it: what, totals, heads */

enum { PAIR_LOST = 1, PAIR_FULL, PAIR_LAG, PAIR_GOOD };

void top_draw_begin(void)
{
	if (getenv("NO_COLOR") || start_color() == ERR)
		return;
	use_default_colors();
	init_pair(PAIR_LOST, COLOR_RED, -1);
	init_pair(PAIR_FULL, COLOR_YELLOW, -1);
	init_pair(PAIR_LAG, COLOR_CYAN, -1);
	init_pair(PAIR_GOOD, COLOR_GREEN, -1);
}

static chtype alarm_look(enum top_alarm alarm)
{
	static const short pairs[] = { 0, PAIR_LAG, PAIR_FULL, PAIR_LOST };

	return (chtype)COLOR_PAIR(pairs[alarm]) | (alarm > ALARM_LAG ? A_BOLD : 0);
}

static void put(int y, int x, chtype look, const char *text)
{
	if (y < 0 || y >= LINES || x >= COLS)
		return;
	attrset((int)look);
	mvaddnstr(y, x, text, COLS - x);
	attrset(A_NORMAL);
}

/* A whole line of this look. */
static void fill(int y, chtype look)
{
	attrset((int)look);
	mvhline(y, 0, ' ', COLS);
	attrset(A_NORMAL);
}

static void draw_top(const struct screen *sc)
{
	const struct top *t = sc->t;
	double messages = 0, bytes = 0, lost = 0;
	char line[256], a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES];
	size_t i;

	for (i = 0; i < t->nrows; i++) {
		messages += t->row[i]->messages_s;
		bytes += t->row[i]->bytes_s;
		lost += t->row[i]->lost_s;
	}
	snprintf(line, sizeof(line), "shmipc top - %zu of %zu segments in %s, every %g s%s, by %s",
		 t->nrows, t->look.n, shmipc_segment_dir(), (double)t->every_ns / 1e9,
		 sc->paused ? " (paused)" : "", top_sort_word(t->sort));
	put(0, 0, A_BOLD, line);
	snprintf(line, sizeof(line), "%s messages/s, %s bytes/s, %s lost/s; a look takes %.1f ms%s%s",
		 top_number(messages, a), top_number(bytes, b), top_number(lost, c),
		 (double)t->look.took_ns / 1e6, *t->filter ? "; filter: " : "", t->filter);
	put(1, 0, lost > 0 ? alarm_look(ALARM_LOST) : 0, line);
}

/* The column by which the rows are sorted is highlighted. */
static int is_sorted_by(enum top_sort sort, enum top_column column)
{
	static const enum top_column of[] = { COL_RATE, COL_BYTES, COL_FULL, COL_LAG, COL_LOST,
					      COL_NAME };

	return of[sort] == column;
}

static void draw_head(const struct screen *sc, const struct top_columns *c)
{
	char text[TOP_CELL];
	int i, x = 0;

	fill(BODY - 1, A_REVERSE);
	for (i = 0; i < COLS_ALL; i++) {
		if (!c->width[i])
			continue;
		snprintf(text, sizeof(text), top_is_left((enum top_column)i) ? "%-*s" : "%*s",
			 c->width[i], top_head((enum top_column)i));
		put(BODY - 1, x, A_REVERSE | (is_sorted_by(sc->t->sort, (enum top_column)i) ?
					      A_BOLD | A_UNDERLINE : 0), text);
		x += c->width[i] + 1;
	}
}

static chtype cell_look(const struct look_seg *s, enum top_column column)
{
	const struct look_end *e = s->laggard == LOOK_NOBODY ? NULL : &s->end[s->laggard];

	switch (column) {
	case COL_FULL:
		return s->waiters || s->occupancy >= 0.9 ? alarm_look(ALARM_FULL) :
		       (chtype)COLOR_PAIR(PAIR_GOOD);
	case COL_LAG:
	case COL_WHOSE:
		return e && e->lag && e->lag_s > 0 ? alarm_look(ALARM_LAG) : 0;
	case COL_LOST:
		return s->lost_s > 0 ? alarm_look(ALARM_LOST) : 0;
	case COL_WAIT:
		return s->waiters ? alarm_look(ALARM_FULL) : 0;
	case COL_NAME:
		return alarm_look(top_alarm(s));
	default:
		return 0;
	}
}

static void draw_row(const struct top_columns *c, const struct look_seg *s, int y, int is_selected)
{
	chtype invert = is_selected ? A_REVERSE : 0;
	char cell[TOP_CELL], text[TOP_CELL];
	int i, x = 0;

	fill(y, invert);
	for (i = 0; i < COLS_ALL; i++) {
		if (!c->width[i])
			continue;
		top_cell(s, (enum top_column)i, cell);
		if (s->err && i == COL_RATE)
			snprintf(text, sizeof(text), "%s", shmipc_error_name(s->err));
		else
			snprintf(text, sizeof(text),
				 top_is_left((enum top_column)i) ? "%-*.*s" : "%*.*s",
				 c->width[i], c->width[i], cell);
		put(y, x, invert | cell_look(s, (enum top_column)i), text);
		x += c->width[i] + 1;
	}
}

/* The number of lines of a row. */
static size_t height(const struct screen *sc, const struct look_seg *s)
{
	return 1 + (top_is_open(sc, s) ? s->nends : 0);
}

/*
 * Scroll so that the selected row is visible, with as many of its ends as there is
 * room for, and so that no lines stay empty below while there are rows above.
 */
static void scroll_to_selected(struct screen *sc, size_t room)
{
	size_t i, from = 0, to = 0, all = 0;

	for (i = 0; i < sc->t->nrows; i++) {
		if (i == sc->at)
			from = all;
		all += height(sc, sc->t->row[i]);
		if (i == sc->at)
			to = all;
	}
	if (sc->first + room > all)
		sc->first = all > room ? all - room : 0;
	if (sc->first + room < to)
		sc->first = to - room;
	if (sc->first > from)
		sc->first = from;
}

static void draw_body(struct screen *sc, const struct top_columns *c)
{
	int room = LINES - BODY - 1;
	long y = BODY;
	char line[256] = "  ";
	size_t i;
	uint32_t k;

	if (room < 1)
		return;
	scroll_to_selected(sc, (size_t)room);
	y -= (long)sc->first;
	for (i = 0; i < sc->t->nrows && y < BODY + room; i++) {
		if (y >= BODY)
			draw_row(c, sc->t->row[i], (int)y, i == sc->at);
		y++;
		for (k = 0; top_is_open(sc, sc->t->row[i]) && k < sc->t->row[i]->nends; k++, y++) {
			if (y < BODY || y >= BODY + room)
				continue;
			top_end_line(sc->t->row[i], &sc->t->row[i]->end[k], line + 2, sizeof(line) - 2);
			put((int)y, 0, alarm_look(top_end_alarm(&sc->t->row[i]->end[k])), line);
		}
	}
	if (!sc->t->nrows)
		put(BODY, 0, 0, sc->t->look.n ? "no segment matches the filter (Esc clears it)" :
						"no segments");
}

static void draw_help(void)
{
	static const char *const lines[] = {
		"up down j k     select a segment        Enter e   show its ends, or hide them",
		"PgUp PgDn g G   a page, to the ends     E         the same for all",
		"r  by messages a second                 o         by occupancy",
		"b  by bytes a second                    l         by the largest lag",
		"x  by losses                            n         by name",
		"/  filter: a part of the name, or a pattern with * and ?; Esc clears it",
		"+ -  look less often, more often        p         pause",
		"q  quit                                 h ?       this help",
		"",
		"FULL: by the slowest subscriber that publishers wait for; 100% while one waits.",
		"LAG: messages behind, WHOSE: of which process. WAIT: publishers that wait. HOLD:",
		"subscribers that hold messages. ENDS: publishers/subscribers.",
		"red: loses messages, died or was cut off   yellow: full   cyan: falls behind",
		"",
		"any key goes back",
	};
	size_t i;

	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put(BODY + (int)i, 0, 0, lines[i]);
}

static void draw_foot(const struct screen *sc)
{
	char line[TOP_FILTER_MAX + 32];

	if (sc->typing) {
		snprintf(line, sizeof(line), "filter: %s_", sc->t->filter);
		put(LINES - 1, 0, A_BOLD, line);
		return;
	}
	put(LINES - 1, 0, A_DIM,
	    "q quit  Enter ends  sort: r b o l x n  / filter  + - interval  p pause  h help");
}

void top_draw(struct screen *sc)
{
	struct top_columns c;

	erase();
	draw_top(sc);
	if (sc->help) {
		draw_help();
	} else {
		top_columns_fit(&c, sc->t, COLS);
		draw_head(sc, &c);
		draw_body(sc, &c);
	}
	draw_foot(sc);
	refresh();
}
#endif /* WITH_NCURSES */
