// SPDX-License-Identifier: MIT
/* cells.c - what top shows of a segment and of an end, as text */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "top.h"
#include "../view/view.h"

#define BAR	10

/*
 * @drop: the order in which columns are left out if there is no room for all; 0:
 * never. Those that show slow ends and losses stay longest.
 */
static const struct {
	const char *head;
	int width;
	int is_left;
	int drop;
} columns[COLS_ALL] = {
	[COL_NAME] = { "NAME", 12, 1, 0 },
	[COL_KIND] = { "KIND", 5, 1, 5 },
	[COL_RATE] = { "MSG/S", 6, 0, 0 },
	[COL_BYTES] = { "BYTES/S", 7, 0, 0 },
	[COL_FULL] = { "FULL", BAR + 5, 1, 0 },
	[COL_LAG] = { "LAG", 6, 0, 0 },
	[COL_WHOSE] = { "WHOSE", 20, 1, 6 },
	[COL_LOST] = { "LOST/S", 6, 0, 0 },
	[COL_WAIT] = { "WAIT", 4, 0, 7 },
	[COL_HOLD] = { "HOLD", 4, 0, 4 },
	[COL_ENDS] = { "ENDS", 7, 0, 3 },
	[COL_PAGE] = { "PAGE", 6, 0, 2 },
	[COL_OWNER] = { "OWNER", 8, 1, 1 },
};

static int total(const struct top_columns *c)
{
	int i, sum = -1;

	for (i = 0; i < COLS_ALL; i++)
		if (c->width[i])
			sum += c->width[i] + 1;
	return sum;
}

void top_columns_fit(struct top_columns *c, const struct top *t, int width)
{
	int i, drop, spare, longest = columns[COL_NAME].width, len;
	size_t k;

	for (i = 0; i < COLS_ALL; i++)
		c->width[i] = columns[i].width;
	for (drop = 1; drop < COLS_ALL && total(c) > width; drop++)
		for (i = 0; i < COLS_ALL; i++)
			if (columns[i].drop == drop)
				c->width[i] = 0;
	for (k = 0; k < t->nrows; k++) {
		len = (int)strlen(t->row[k]->name);
		longest = len > longest ? len : longest;
	}
	spare = width - total(c);
	if (spare > longest - columns[COL_NAME].width)
		spare = longest - columns[COL_NAME].width;
	if (spare > 0)
		c->width[COL_NAME] += spare;
}

const char *top_head(enum top_column column)
{
	return columns[column].head;
}

int top_is_left(enum top_column column)
{
	return columns[column].is_left;
}

const char *top_number(double v, char text[TEXT_BYTES])
{
	static const char units[] = " kMGTPE";
	unsigned int u = 0;

	while (v >= 999.5 && u < sizeof(units) - 2) {
		v /= 1000;
		u++;
	}
	if (!u)
		snprintf(text, TEXT_BYTES, v < 9.95 && v != (double)(int)v ? "%.1f" : "%.0f", v);
	else
		snprintf(text, TEXT_BYTES, v < 9.995 ? "%.2f%c" : v < 99.95 ? "%.1f%c" : "%.0f%c", v,
			 units[u]);
	return text;
}

static void bar(double full, char *text, size_t cap)
{
	int marks = (int)(full * BAR + 0.5);

	snprintf(text, cap, "%.*s%*s %3.0f%%", marks, "##########", BAR - marks, "", 100 * full);
}

static void whose(const struct look_seg *s, char *text, size_t cap)
{
	const struct look_end *e;
	char comm[sizeof(e->comm) + 1];

	if (s->laggard == LOOK_NOBODY || !s->max_lag) {
		snprintf(text, cap, "-");
		return;
	}
	e = &s->end[s->laggard];
	clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm));
	snprintf(text, cap, "%" PRIu32 " %s", e->pid, comm);
}

static const char *page_text(uint64_t page)
{
	return page >= SHMIPC_PAGE_1G ? "1G" : page >= SHMIPC_PAGE_2M ? "2M" : "4K";
}

static void number_cell(const struct look_seg *s, enum top_column column, char text[TOP_CELL])
{
	char a[TEXT_BYTES];
	double v = column == COL_RATE ? s->messages_s : column == COL_BYTES ? s->bytes_s :
		   column == COL_LAG ? (double)s->max_lag : s->lost_s;

	if (s->is_new && column != COL_LAG)
		snprintf(text, TOP_CELL, "-");	/* no second look yet */
	else
		snprintf(text, TOP_CELL, "%s", top_number(v, a));
}

void top_cell(const struct look_seg *s, enum top_column column, char text[TOP_CELL])
{
	char a[TEXT_BYTES];

	*text = 0;
	if (column == COL_NAME) {
		clean_text(s->name, sizeof(s->name), text, TOP_CELL);
		return;
	}
	if (s->err)
		return;
	switch (column) {
	case COL_KIND:
		snprintf(text, TOP_CELL, "%s", kind_word(s->info.kind));
		break;
	case COL_FULL:
		bar(s->occupancy, text, TOP_CELL);
		break;
	case COL_WHOSE:
		whose(s, text, TOP_CELL);
		break;
	case COL_WAIT:
		snprintf(text, TOP_CELL, "%" PRIu32, s->waiters);
		break;
	case COL_HOLD:
		snprintf(text, TOP_CELL, "%" PRIu32, s->holders);
		break;
	case COL_ENDS:
		snprintf(text, TOP_CELL, "%" PRIu32 "/%" PRIu32, s->publishers, s->subscribers);
		break;
	case COL_PAGE:
		snprintf(text, TOP_CELL, "%s", page_text(s->info.page_got));
		break;
	case COL_OWNER:
		snprintf(text, TOP_CELL, "%s", user_name(s->info.uid, a));
		break;
	default:
		number_cell(s, column, text);
	}
}

/* It waits for a publisher that has not finished. */
static const char *stalled(const struct look_seg *s, const struct look_end *e)
{
	const struct look_end *by = look_end_at(s, e->waits_for);

	if (!by || by->role != SHMIPC_ROLE_PRODUCER)
		return "";
	return s->abort_ns || s->fence_ns ? ", in the middle of publishing" :
	       ", in the middle of publishing: --abort-after, --fence-after";
}

static void pub_line(const struct look_seg *s, const struct look_end *e, char *text, size_t cap)
{
	char rate[TEXT_BYTES], bytes[TEXT_BYTES];
	int n;

	n = snprintf(text, cap, " %6s/s %7s B/s", top_number(e->messages_s, rate),
		     top_number(e->bytes_s, bytes));
	if (e->waits_for != LOOK_NOBODY)
		snprintf(text + n, cap - (size_t)n, "  waits for slot %" PRIu32 "%s", e->waits_for,
			 stalled(s, e));
	else if (e->waits)
		snprintf(text + n, cap - (size_t)n, "  waited %" PRIu64 " times", e->waits);
}

static void sub_line(const struct look_seg *s, const struct look_end *e, char *text, size_t cap)
{
	char rate[TEXT_BYTES], lag[TEXT_BYTES], lost[TEXT_BYTES], grows[TEXT_BYTES];
	size_t n;

	n = (size_t)snprintf(text, cap, " %6s/s", top_number(e->messages_s, rate));
	if (s->info.kind != SHMIPC_KIND_QUEUE)
		n += (size_t)snprintf(text + n, cap - n, "  lag %6s", top_number((double)e->lag, lag));
	if (e->lag_s >= 0.5 || e->lag_s <= -0.5)
		n += (size_t)snprintf(text + n, cap - n, " (%c%s/s)", e->lag_s < 0 ? '-' : '+',
				      top_number(e->lag_s < 0 ? -e->lag_s : e->lag_s, grows));
	if (e->lost)
		n += (size_t)snprintf(text + n, cap - n, "  lost %s/s, %" PRIu64 " in all",
				      top_number(e->lost_s, lost), e->lost);
	if (e->holding)
		n += (size_t)snprintf(text + n, cap - n, "  holds %" PRIu32, e->holding);
	if (e->evicted)
		snprintf(text + n, cap - n, "  cut off");
}

void top_end_line(const struct look_seg *s, const struct look_end *e, char *text, size_t cap)
{
	char comm[sizeof(e->comm) + 1], what[160] = "";

	clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm));
	if (e->state != SHMIPC_PEER_ATTACHED)
		snprintf(what, sizeof(what), "  %s", peer_state_word(e->state));
	else if (e->role == SHMIPC_ROLE_PRODUCER)
		pub_line(s, e, what, sizeof(what));
	else if (e->policy || s->info.kind == SHMIPC_KIND_QUEUE)
		sub_line(s, e, what, sizeof(what));
	snprintf(text, cap, "slot %-4" PRIu32 " %-8s %-8s pid %-7" PRIu32 " %-15s%s", e->slot,
		 end_word(s->info.kind, e->role), e->policy ? policy_word(e->policy) : "", e->pid, comm, what);
}

enum top_alarm top_end_alarm(const struct look_end *e)
{
	if (e->lost_s > 0 || e->evicted || e->state == SHMIPC_PEER_DIED)
		return ALARM_LOST;
	if (e->waits_for != LOOK_NOBODY)
		return ALARM_FULL;
	return e->lag && e->lag_s > 0 ? ALARM_LAG : ALARM_NONE;
}

enum top_alarm top_alarm(const struct look_seg *s)
{
	if (s->err || s->lost_s > 0)
		return ALARM_LOST;
	if (s->waiters || s->occupancy >= 0.9)
		return ALARM_FULL;
	return s->laggard != LOOK_NOBODY ? top_end_alarm(&s->end[s->laggard]) : ALARM_NONE;
}
