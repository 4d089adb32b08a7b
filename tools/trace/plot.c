// SPDX-License-Identifier: MIT
/* plot.c - pictures, made by gnuplot */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <shmipc/error.h>
#include "plot.h"
#include "../util/util.h"

#define WIDTH		900u
#define HEIGHT		340u	/* of one histogram */
#define POINTS_MAX	4000000u

extern char **environ;

static pid_t child;

/* Its output is redirected, so that names with quotes need no escapes. */
static int start(const char *file, int in)
{
	static const char *const argv[] = { "gnuplot", "-", NULL };
	posix_spawn_file_actions_t fa;
	sigset_t none;
	posix_spawnattr_t attr;
	int err;

	sigemptyset(&none);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, STDIN_FILENO);
	posix_spawn_file_actions_addopen(&fa, STDOUT_FILENO, file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
	err = posix_spawnp(&child, "gnuplot", &fa, &attr, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	return err;
}

FILE *plot_begin(const char *file)
{
	FILE *to = NULL;
	int fd[2], err;

	/* Open it first: posix_spawn() does not say which of its actions failed. */
	err = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	if (err < 0) {
		tool_error("--plot \"%s\": cannot be written: %s", file, strerror(errno));
		return NULL;
	}
	close(err);
	if (pipe2(fd, O_CLOEXEC)) {
		tool_error("--plot: pipe: %s", strerror(errno));
		return NULL;
	}
	err = start(file, fd[0]);
	close(fd[0]);
	if (!err)
		to = fdopen(fd[1], "w");
	if (!to)
		close(fd[1]);
	if (err == ENOENT)
		tool_error("--plot: gnuplot is not installed (ENOENT); as root: apt-get install "
			   "gnuplot-nox; or use --record now, and --read with --plot later");
	else if (err)
		tool_error("--plot: gnuplot: %s", strerror(err));
	if (err)
		(void)unlink(file);
	return to;
}

int plot_end(FILE *pipe, const char *file)
{
	int failed = fclose(pipe), status = 0;

	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (!failed && WIFEXITED(status) && !WEXITSTATUS(status))
		return RC_OK;
	tool_error("--plot \"%s\": gnuplot failed with status %d; its messages are above", file,
		   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return RC_FAIL;
}

static const char *axis(enum hist_what what)
{
	return what == HIST_OCCUPANCY ? "messages behind" : "microseconds";
}

static double scale(enum hist_what what)
{
	return what == HIST_OCCUPANCY ? 1 : 1e-3;
}

/* Values below the first and above the last bucket that is used are left out. */
static void plot_bars(FILE *to, enum hist_what what, const struct hist *h, size_t n)
{
	double s = scale(what), low, high;
	unsigned int i;

	fprintf(to, "$h%zu << EOD\n", n);
	for (i = 0; i < TRACE_BUCKETS; i++) {
		if (!h->bucket[i])
			continue;
		low = (double)hist_low(i);
		high = i + 1 < TRACE_BUCKETS ? (double)hist_low(i + 1) : low + 1;
		low = low > 0 ? low : 0.5;	/* the axis is logarithmic */
		fprintf(to, "%g %g %g %" PRIu64 "\n", (low + high) / 2 * s, low * s, high * s,
			h->bucket[i]);
	}
	fprintf(to, "EOD\n");
}

static void plot_segment(FILE *to, const struct hists *hs, const char *name, const struct hist *h,
			 size_t n)
{
	static const struct {
		const char *label;
		double share;
	} marks[] = { { "p50", 0.5 }, { "p90", 0.9 }, { "p99", 0.99 }, { "p99.9", 0.999 } };
	char v[VALUE_TEXT];
	double at;
	size_t i;

	plot_bars(to, hs->what, h, n);
	fprintf(to, "set title \"%s: %s, %" PRIu64 " counted, max %s\" noenhanced\n"
		"unset arrow; unset label\n", name, hist_word(hs->what), h->count,
		hist_value(hs->what, (double)h->max, v));
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		at = hist_at(h, marks[i].share);
		hist_value(hs->what, at, v);
		if (at < 0.5)
			at = 0.5;	/* the axis is logarithmic */
		fprintf(to, "set arrow from first %g, graph 0 to first %g, graph 1 nohead dt 2 lc "
			"rgb \"#c04040\"\nset label \"%s %s\" at first %g, graph %g left offset "
			"0.4,0 noenhanced front\n", at * scale(hs->what), at * scale(hs->what),
			marks[i].label, v, at * scale(hs->what), 0.95 - 0.08 * (double)i);
	}
	fprintf(to, "plot $h%zu using 1:4:2:3:(0):4 with boxxyerror notitle\n", n);
}

int plot_hists(const char *file, struct hists *hs)
{
	size_t i, next, n = 0, segments = 0;
	struct hist all;
	FILE *to;

	hists_sort(hs);
	for (i = 0; i < hs->n; i = hists_segment(hs, i, &all))
		segments++;
	if (!segments) {
		tool_error("--plot \"%s\": nothing was counted, so there is no picture (ENODATA)",
			   file);
		return RC_FAIL;
	}
	to = plot_begin(file);
	if (!to)
		return RC_FAIL;
	fprintf(to, "set terminal svg size %u,%zu background \"white\"\n"
		"set multiplot layout %zu,1\nset logscale x\nset style fill solid 0.6\n"
		"set xlabel \"%s\"\nset ylabel \"count\"\nset yrange [0:*]\nset grid\n"
		"set rmargin 10\nset linetype 1 lc rgb \"#4070b0\"\n", WIDTH, HEIGHT * segments, segments,
		axis(hs->what));
	for (i = 0; i < hs->n; i = next) {
		next = hists_segment(hs, i, &all);
		plot_segment(to, hs, hs->row[i]->name, &all, n++);
	}
	fprintf(to, "unset multiplot\n");
	return plot_end(to, file);
}

int plot_add(struct plot_points *p, uint64_t wall_ns, uint32_t row, uint64_t value)
{
	struct plot_point *more;
	size_t cap = p->cap ? 2 * p->cap : 4096;

	if (p->n == POINTS_MAX)
		return 0;	/* the rest is left out of the picture */
	if (p->n == p->cap) {
		more = realloc(p->point, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->point = more;
		p->cap = cap;
	}
	p->point[p->n++] = (struct plot_point){ .wall_ns = wall_ns, .row = row, .value = value };
	return 0;
}

int plot_lag(const char *file, const struct hists *hs, const struct plot_points *p)
{
	const struct hist_row *r;
	size_t i, row;
	FILE *to;

	if (!p->n) {
		tool_error("--plot \"%s\": there was no sample, so there is no "
			   "picture (ENODATA)", file);
		return RC_FAIL;
	}
	to = plot_begin(file);
	if (!to)
		return RC_FAIL;
	for (row = 0; row < hs->n; row++) {
		fprintf(to, "$r%zu << EOD\n", row);
		for (i = 0; i < p->n; i++)
			if (p->point[i].row == row)
				fprintf(to, "%.6f %" PRIu64 "\n",
					(double)(p->point[i].wall_ns - p->point[0].wall_ns) / 1e9,
					p->point[i].value);
		fprintf(to, "EOD\n");
	}
	fprintf(to, "set terminal svg size %u,%u background \"white\"\nset xlabel \"seconds\"\n"
		"set ylabel \"messages behind\"\nset yrange [0:*]\nset grid\nset key below "
		"noenhanced\nplot ", WIDTH, 2 * HEIGHT);
	for (row = 0; row < hs->n; row++) {
		r = hs->row[row];
		fprintf(to, "%s$r%zu using 1:2 with steps lw 1.5 title \"%s slot %u %s\"",
			row ? ", " : "", row, r->name, r->slot, r->comm);
	}
	fputc('\n', to);
	return plot_end(to, file);
}
