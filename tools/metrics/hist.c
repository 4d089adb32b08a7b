// SPDX-License-Identifier: MIT
/* hist.c - how full, and how far behind, at regular looks */
#include <inttypes.h>
#include <stdlib.h>
#include "metrics.h"

static const double full_le[] = { 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99 };
static const double lag_le[] = { 0, 1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 1048576 };

#define BOUNDS	(sizeof(full_le) / sizeof(full_le[0]))
_Static_assert(sizeof(lag_le) == sizeof(full_le), "one size of histogram");

struct histogram {
	uint64_t bucket[BOUNDS + 1];	/* the last: above all bounds */
	uint64_t count;
	double sum;
};

struct histograms {
	struct histogram full;
	struct histogram lag;
};

static void add(struct histogram *h, const double *le, double v)
{
	size_t i;

	for (i = 0; i < BOUNDS && v > le[i]; i++)
		;
	h->bucket[i]++;
	h->count++;
	h->sum += v;
}

/* Left out: raw bytes, broadcast rings, and segments that cannot be read. */
static int has(const struct look_seg *s)
{
	return !s->err && (s->info.kind == SHMIPC_KIND_TOPIC || s->info.kind == SHMIPC_KIND_SPSC);
}

void metrics_sample(struct metrics *m)
{
	struct histograms *h;
	size_t i;

	m->sampled = 1;
	for (i = 0; i < m->look.n; i++) {
		if (!has(m->look.seg[i]))
			continue;
		h = m->look.seg[i]->user;
		if (!h)
			h = m->look.seg[i]->user = calloc(1, sizeof(*h));
		if (!h)
			continue;	/* out of memory: it begins with a later sample */
		add(&h->full, full_le, m->look.seg[i]->occupancy);
		add(&h->lag, lag_le, (double)m->look.seg[i]->max_lag);
	}
}

static void print(const struct look_seg *s, const struct histogram *h, const double *le,
		  const char *name, FILE *to)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i <= BOUNDS; i++) {
		sum += h->bucket[i];
		fprintf(to, "%s_bucket{segment=\"", name);
		metrics_label(to, s->name);
		if (i < BOUNDS)
			fprintf(to, "\",le=\"%.9g\"} %" PRIu64 "\n", le[i], sum);
		else
			fprintf(to, "\",le=\"+Inf\"} %" PRIu64 "\n", sum);
	}
	fprintf(to, "%s_sum{segment=\"", name);
	metrics_label(to, s->name);
	fprintf(to, "\"} %.9g\n%s_count{segment=\"", h->sum, name);
	metrics_label(to, s->name);
	fprintf(to, "\"} %" PRIu64 "\n", h->count);
}

static void print_all(const struct metrics *m, FILE *to, const char *name, const char *help,
		      int of_lag)
{
	const struct histograms *h;
	size_t i;

	fprintf(to, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
	for (i = 0; i < m->look.n; i++) {
		h = m->look.seg[i]->user;
		if (h)
			print(m->look.seg[i], of_lag ? &h->lag : &h->full,
			      of_lag ? lag_le : full_le, name, to);
	}
}

void metrics_print_histograms(const struct metrics *m, FILE *to)
{
	print_all(m, to, "shmipc_sampled_occupancy_ratio",
		  "How full it was for publishers, sampled.", 0);
	print_all(m, to, "shmipc_sampled_lag_messages",
		  "How far the slowest was behind, sampled.", 1);
}
