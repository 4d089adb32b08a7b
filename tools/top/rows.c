// SPDX-License-Identifier: MIT
/* rows.c - which segments top shows, and in which order */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include "top.h"

const char *top_sort_word(enum top_sort sort)
{
	static const char *const words[] = { "rate", "bytes", "occupancy", "lag", "losses", "name" };

	return words[sort];
}

/* A text with a wildcard is a pattern for the whole name; without, a part of the name. */
static int passes(const struct top *t, const char *name)
{
	if (!*t->filter)
		return 1;
	if (strpbrk(t->filter, "*?["))
		return shmipc_glob_match(t->filter, name);
	return strstr(name, t->filter) != NULL;
}

static int compare(double a, double b)
{
	return (a < b) - (a > b);	/* the largest first */
}

/* qsort() has no argument for this. */
static enum top_sort by;

static int by_key(const void *x, const void *y)
{
	const struct look_seg *a = *(const struct look_seg *const *)x;
	const struct look_seg *b = *(const struct look_seg *const *)y;
	int order = 0;

	switch (by) {
	case TOP_RATE:
		order = compare(a->messages_s, b->messages_s);
		break;
	case TOP_BYTES:
		order = compare(a->bytes_s, b->bytes_s);
		break;
	case TOP_OCCUPANCY:
		order = compare(a->occupancy, b->occupancy);
		break;
	case TOP_LAG:
		order = compare((double)a->max_lag, (double)b->max_lag);
		break;
	case TOP_LOSSES:
		order = compare(a->lost_s, b->lost_s);
		order = order ? order : compare((double)a->lost, (double)b->lost);
		break;
	case TOP_NAME:
	case TOP_SORTS:
		break;
	}
	return order ? order : strcmp(a->name, b->name);
}

int top_order(struct top *t)
{
	struct look_seg **more;
	size_t i;

	if (t->row_cap < t->look.n) {
		more = realloc(t->row, t->look.n * sizeof(*more));
		if (!more)
			return -ENOMEM;
		t->row = more;
		t->row_cap = t->look.n;
	}
	t->nrows = 0;
	for (i = 0; i < t->look.n; i++)
		if (passes(t, t->look.seg[i]->name))
			t->row[t->nrows++] = t->look.seg[i];
	by = t->sort;
	if (t->nrows)
		qsort(t->row, t->nrows, sizeof(struct look_seg *), by_key);
	return 0;
}

int top_look(struct top *t)
{
	int err = look_again(&t->look);

	return err ? err : top_order(t);
}

void top_done(struct top *t)
{
	free(t->row);
	look_done(&t->look);
}
