/* SPDX-License-Identifier: MIT */
/* plot.h - pictures, made by gnuplot */
#ifndef TOOLS_TRACE_PLOT_H
#define TOOLS_TRACE_PLOT_H

#include <stdint.h>
#include <stdio.h>
#include "hist.h"

/* Histograms with their percentiles, one below the other. Return: an exit code. */
int plot_hists(const char *file, struct hists *hs);

/* A line of a picture over time. */
struct plot_point {
	uint64_t wall_ns;
	uint64_t value;
	uint32_t row;		/* index of the row of the histograms that names the line */
	uint32_t reserved0;
};

struct plot_points {
	struct plot_point *point;
	size_t n, cap;
};

/* Return: 0 or -ENOMEM. */
int plot_add(struct plot_points *p, uint64_t wall_ns, uint32_t row, uint64_t value);

/* How many messages each peer was behind, over time. Return: an exit code. */
int plot_lag(const char *file, const struct hists *hs, const struct plot_points *p);

/* gnuplot with its picture in @file; write commands to the pipe. NULL after a message. */
FILE *plot_begin(const char *file);
/* Return: an exit code. */
int plot_end(FILE *pipe, const char *file);

#endif /* TOOLS_TRACE_PLOT_H */
