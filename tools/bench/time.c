// SPDX-License-Identifier: MIT
/* time.c - ticks to nanoseconds, samples to percentiles, runs to distributions */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static double ns_per_tick = 1.0;
static uint64_t tick_step = 1;	/* the counter advances by this, or a multiple */

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Ticks and clock read together; the closest of a few, as we may be preempted. */
static void read_both(double *ns, uint64_t *ticks)
{
	uint64_t best = UINT64_MAX, before, after;
	double t;
	int i;

	for (i = 0; i < 16; i++) {
		before = bench_ticks();
		t = now_ns();
		after = bench_ticks();
		if (after - before < best) {
			best = after - before;
			*ns = t;
			*ticks = before + best / 2;
		}
	}
}

/*
 * Some counters count nanoseconds or less, but advance ten nanoseconds at a time: find
 * the largest step of which nearly all differences are multiples, plus or minus one.
 */
static uint64_t find_step(void)
{
	static uint64_t diff[2048];
	const size_t n = sizeof(diff) / sizeof(diff[0]);
	uint64_t prev = bench_ticks(), now, step, rest;
	size_t i, fits;
	volatile size_t work;

	for (i = 0; i < n; i++, prev = now) {
		for (work = 0; work < i % 13; work++)
			;
		now = bench_ticks();
		diff[i] = now - prev;
	}
	for (step = 256; step > 3; step--) {
		for (i = fits = 0; i < n; i++) {
			rest = diff[i] % step;
			fits += rest <= 1 || rest == step - 1;
		}
		if (fits > n - n / 20)
			return step;
	}
	return 1;
}

void bench_ticks_calibrate(void)
{
	struct timespec nap = { .tv_nsec = 20 * 1000 * 1000 };
	double ns0 = 0, ns1 = 0;
	uint64_t ticks0 = 0, ticks1 = 0;

	tick_step = find_step();
	read_both(&ns0, &ticks0);
	nanosleep(&nap, NULL);
	read_both(&ns1, &ticks1);
	if (ticks1 > ticks0 && ns1 > ns0)
		ns_per_tick = (ns1 - ns0) / (double)(ticks1 - ticks0);
}

double bench_ticks_ns(uint64_t ticks)
{
	return (double)ticks * ns_per_tick;
}

uint64_t bench_ns_ticks(double ns)
{
	return (uint64_t)(ns / ns_per_tick);
}

static int by_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int by_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/*
 * The value at a rank. All samples within one step of the counter look equal; they are
 * treated as evenly spread over the step, as in any histogram.
 */
static double at_rank(const uint32_t *sorted, size_t n, size_t rank)
{
	uint64_t bin = (sorted[rank] + tick_step / 2) / tick_step;
	size_t low = rank, high = rank;
	double place;

	while (low && (sorted[low - 1] + tick_step / 2) / tick_step == bin)
		low--;
	while (high < n && (sorted[high] + tick_step / 2) / tick_step == bin)
		high++;
	place = ((double)(rank - low) + 0.5) / (double)(high - low) - 0.5;
	return ((double)bin + place) * (double)tick_step * ns_per_tick;
}

/* Room for BENCH_SAMPLES, touched before the clock runs; NULL after bench_fail(). */
uint32_t *bench_samples_new(struct bench_env *env)
{
	uint32_t *sample = malloc(BENCH_SAMPLES * sizeof(*sample));

	if (sample)
		memset(sample, 0xff, BENCH_SAMPLES * sizeof(*sample));
	else
		bench_fail(env, "memory for samples (ENOMEM)");
	return sample;
}

/* @sample: ticks of each round trip; gets sorted. */
void bench_samples_into(struct bench_out *out, uint32_t *sample, size_t n)
{
	if (!n)
		return;
	qsort(sample, n, sizeof(*sample), by_u32);
	out->min_ns = bench_ticks_ns(sample[0]);
	out->p50_ns = at_rank(sample, n, n / 2);
	out->p90_ns = at_rank(sample, n, n - 1 - n / 10);
	out->p99_ns = at_rank(sample, n, n - 1 - n / 100);
	out->msgs = n;
}

/* The distribution of the values that are numbers; NaN if there is none. Sorts @v. */
struct bench_dist bench_dist_of(double *v, size_t n)
{
	struct bench_dist d = { NAN, NAN, NAN };
	size_t i, used = 0;

	for (i = 0; i < n; i++)
		if (!isnan(v[i]))
			v[used++] = v[i];
	if (!used)
		return d;
	qsort(v, used, sizeof(*v), by_double);
	d.min = v[0];
	d.median = used % 2 ? v[used / 2] : (v[used / 2 - 1] + v[used / 2]) / 2;
	d.max = v[used - 1];
	return d;
}
