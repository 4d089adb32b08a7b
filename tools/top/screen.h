/* SPDX-License-Identifier: MIT */
/* screen.h - top in a terminal: its state */
#ifndef TOOLS_TOP_SCREEN_H
#define TOOLS_TOP_SCREEN_H

#include "top.h"

struct screen {
	struct top *t;
	size_t at;			/* the row that is selected */
	char name[SHMIPC_NAME_MAX + 8];	/* and its name */
	size_t first;			/* the line of the table at the top */
	int all_open;			/* rows show their ends, except those toggled */
	int typing;			/* a filter */
	int paused;
	int help;
	int quit;
	uint64_t next_ns;		/* when to look next; 0: there was no look yet */
};

int top_is_open(const struct screen *sc, const struct look_seg *s);

/* draw.c */
void top_draw_begin(void);
void top_draw(struct screen *sc);

#endif /* TOOLS_TOP_SCREEN_H */
