// SPDX-License-Identifier: MIT
/* screen.c - top in a terminal: keys, and when to look */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "screen.h"

#ifndef WITH_NCURSES

const char *top_screen_lacks(void)
{
	return "this build has no terminal library: install libncurses-dev, and build again";
}

int top_screen(struct top *t)
{
	(void)t;
	return RC_FAIL;
}

#else
#include <curses.h>

#define EVERY_MIN_NS	(10 * NS_PER_MS)
#define EVERY_MAX_NS	(60 * NS_PER_S)
#define FIRST_NS	(250 * NS_PER_MS)	/* so that the first rates come soon */
#define KEY_ESC		27
#define KEY_DEL		127

const char *top_screen_lacks(void)
{
	return NULL;
}

int top_is_open(const struct screen *sc, const struct look_seg *s)
{
	return sc->all_open ? !s->user : !!s->user;
}

static void toggle(struct look_seg *s)
{
	if (s->user) {
		free(s->user);
		s->user = NULL;
	} else {
		s->user = calloc(1, 1);		/* only its presence counts */
	}
}

static void toggle_all(struct screen *sc)
{
	size_t i;

	for (i = 0; i < sc->t->look.n; i++) {
		free(sc->t->look.seg[i]->user);
		sc->t->look.seg[i]->user = NULL;
	}
	sc->all_open = !sc->all_open;
}

/* The selection stays with its segment when the order changes. */
static void find_selected(struct screen *sc)
{
	struct top *t = sc->t;
	size_t i;

	for (i = 0; i < t->nrows; i++)
		if (!strcmp(t->row[i]->name, sc->name)) {
			sc->at = i;
			return;
		}
	if (sc->at >= t->nrows)
		sc->at = t->nrows ? t->nrows - 1 : 0;
}

static void select_row(struct screen *sc, long to)
{
	long last = (long)sc->t->nrows - 1;

	to = to > last ? last : to;
	sc->at = to < 0 ? 0 : (size_t)to;
	if (sc->t->nrows)
		snprintf(sc->name, sizeof(sc->name), "%s", sc->t->row[sc->at]->name);
}

static int reorder(struct screen *sc)
{
	int err = top_order(sc->t);

	find_selected(sc);
	return err;
}

static int take_sort(struct screen *sc, int key)
{
	static const char keys[] = "rbolxn";	/* in the order of enum top_sort */
	const char *at = key > 0 && key < 128 ? strchr(keys, key) : NULL;

	if (!at)
		return 0;
	sc->t->sort = (enum top_sort)(at - keys);
	/* Show the first rows of the new order. */
	top_order(sc->t);
	select_row(sc, 0);
	return 1;
}

static int take_move(struct screen *sc, int key)
{
	long at = (long)sc->at, page = LINES > 6 ? LINES - 5 : 1;

	switch (key) {
	case KEY_UP:
	case 'k':
		select_row(sc, at - 1);
		return 1;
	case KEY_DOWN:
	case 'j':
		select_row(sc, at + 1);
		return 1;
	case KEY_PPAGE:
		select_row(sc, at - page);
		return 1;
	case KEY_NPAGE:
		select_row(sc, at + page);
		return 1;
	case KEY_HOME:
	case 'g':
		select_row(sc, 0);
		return 1;
	case KEY_END:
	case 'G':
		select_row(sc, (long)sc->t->nrows);
		return 1;
	}
	return 0;
}

static void set_every(struct screen *sc, uint64_t ns)
{
	struct top *t = sc->t;

	t->every_ns = ns < EVERY_MIN_NS ? EVERY_MIN_NS : ns > EVERY_MAX_NS ? EVERY_MAX_NS : ns;
	sc->next_ns = t->look.at_ns + t->every_ns;
}

/* A key is typed into the filter, which takes effect at once. */
static void take_typed(struct screen *sc, int key)
{
	char *filter = sc->t->filter;
	size_t n = strlen(filter);

	if (key == KEY_ESC)
		*filter = 0;
	if (key == KEY_ESC || key == '\n' || key == '\r' || key == KEY_ENTER) {
		sc->typing = 0;
	} else if (key == KEY_BACKSPACE || key == KEY_DEL || key == '\b') {
		if (n)
			filter[n - 1] = 0;
	} else if (key > ' ' && key < KEY_DEL && n < TOP_FILTER_MAX) {
		filter[n] = (char)key;
		filter[n + 1] = 0;
	}
	reorder(sc);
}

static void take_key(struct screen *sc, int key)
{
	if (sc->help && key != 'q' && key != KEY_RESIZE) {
		sc->help = 0;
		return;
	}
	if (sc->typing) {
		take_typed(sc, key);
		return;
	}
	if (take_sort(sc, key) || take_move(sc, key))
		return;
	switch (key) {
	case 'q':
		sc->quit = 1;
		break;
	case 'e':
	case '\n':
	case '\r':
	case KEY_ENTER:
		if (sc->t->nrows)
			toggle(sc->t->row[sc->at]);
		break;
	case 'E':
		toggle_all(sc);
		break;
	case '/':
		sc->typing = 1;
		break;
	case KEY_ESC:
		*sc->t->filter = 0;
		reorder(sc);
		break;
	case '+':
		set_every(sc, 2 * sc->t->every_ns);
		break;
	case '-':
		set_every(sc, sc->t->every_ns / 2);
		break;
	case 'p':
		sc->paused = !sc->paused;
		break;
	case 'h':
	case '?':
		sc->help = 1;
		break;
	}
}

static int look_now(struct screen *sc, uint64_t now)
{
	int err = top_look(sc->t), first = !sc->next_ns;

	if (err)
		return err;
	if (first && sc->t->nrows)
		select_row(sc, 0);
	find_selected(sc);
	sc->next_ns = now + (first && sc->t->every_ns > FIRST_NS ? FIRST_NS : sc->t->every_ns);
	return 0;
}

/* Return: 0, or -EIO: the terminal has gone. */
static int read_keys(struct screen *sc, uint64_t now)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };
	uint64_t ns = sc->next_ns > now ? sc->next_ns - now : 0;
	struct timespec wait = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
	int n = ppoll(&p, 1, sc->paused ? NULL : &wait, NULL), key, keys = 0;

	while (!sc->quit && (key = getch()) != ERR) {
		take_key(sc, key);
		keys++;
	}
	return n > 0 && !keys ? -EIO : 0;
}

static int loop(struct screen *sc)
{
	uint64_t now;
	int err = 0;

	while (!sc->quit && !tool_stop && !err) {
		now = tool_now_ns();
		if (!sc->paused && now >= sc->next_ns)
			err = look_now(sc, now);
		if (err)
			break;
		top_draw(sc);
		err = read_keys(sc, now);
	}
	return err;
}

int top_screen(struct top *t)
{
	struct screen sc = { .t = t, .all_open = t->o->ends };
	const char *term = getenv("TERM");
	SCREEN *screen = newterm(NULL, stdout, stdin);
	int err;

	if (!screen) {
		tool_error("unknown terminal type \"%s\": set TERM to the right one, or use --plain",
			   term ? term : "");
		return RC_FAIL;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(25);
	curs_set(0);
	top_draw_begin();
	err = loop(&sc);
	endwin();
	delscreen(screen);
	if (tool_stop)
		return RC_SIGNAL + tool_stop;
	if (err == -EIO)
		tool_error("the terminal has gone");
	else if (err)
		tool_error_lib("list", shmipc_segment_dir(), err);
	return err ? RC_FAIL : RC_OK;
}
#endif
