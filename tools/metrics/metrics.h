/* SPDX-License-Identifier: MIT */
/* metrics.h - shmipc metrics: what its parts share */
#ifndef TOOLS_METRICS_METRICS_H
#define TOOLS_METRICS_METRICS_H

#include <stdio.h>
#include "../look/look.h"
#include "../opts/values.h"

struct metrics_opts {
	const char *textfile;
	const char *listen;
	uint64_t every_ns;	/* 0: not given */
};

struct metrics {
	const struct metrics_opts *o;
	struct look look;
	int sampled;		/* there are histograms */
};

/* text.c: all of @m->look in Prometheus' text format */
void metrics_print(const struct metrics *m, FILE *to);
/* A label's value: \, " and newlines escaped. */
void metrics_label(FILE *to, const char *value);

/*
 * hist.c: histograms of regular samples, kept with each segment (look_seg.user), so
 * that they begin anew for a segment that is created anew.
 */
void metrics_sample(struct metrics *m);
void metrics_print_histograms(const struct metrics *m, FILE *to);

/* file.c: replace the file as a whole. Return: RC_* */
int metrics_write_file(const struct metrics *m, const char *path);

/* http.c: serve until a signal. Return: RC_*; an invalid address: RC_USAGE */
int metrics_serve(struct metrics *m, const char *where, uint64_t every_ns);

#endif /* TOOLS_METRICS_METRICS_H */
