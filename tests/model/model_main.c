/* SPDX-License-Identifier: MIT */
/*
 * model_main.c - runs the tests, then removes the barriers one by one
 *
 * A mutation weakens one place of the source: an acquire or release becomes relaxed, a
 * fence or a light barrier is removed. Each must make at least one test fail. The places
 * are not listed anywhere: every access passes its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include "model_priv.h"

#define SITES	128
#define TESTS	96
#define MUTATION_SECONDS	240.0	/* of CPU time, for each test */

static struct site {
	struct model_at at;
	unsigned char tests[TESTS];	/* those that reach this place */
} sites[SITES];
static int n_sites, sites_left_out, test_now;
static const char *owned;

static struct model_result results[TESTS];
static int passed, failed, skipped;

static const char *short_name(const char *file)
{
	const char *s = strstr(file, "shmipc/");

	return s ? s + strlen("shmipc/") : file;
}

/* Name of the @v-th way to weaken this; NULL: no more. */
static const char *variant(enum model_kind kind, int v)
{
	static const char *const update[] = { "without acquire", "without release" };
	static const char *const lock[] = { "without acquire", "removed" };
	static const char *const full[] = { "removed", "made acquire and release" };

	switch ((int)kind) {
	case MODEL_LOAD_ACQUIRE:
	case MODEL_STORE_RELEASE:
		return v == 1 ? "made relaxed" : NULL;
	case MODEL_FENCE_ACQUIRE:
	case MODEL_FENCE_RELEASE:
	case MODEL_BARRIER_LIGHT:
		return v == 1 ? "removed" : NULL;
	case MODEL_CAS:
	case MODEL_FETCH_OR:
	case MODEL_FETCH_ADD:
	case MODEL_EXCHANGE:
		return v <= 2 ? update[v - 1] : NULL;
	case MODEL_LOCK:
		return v <= 2 ? lock[v - 1] : NULL;
	case MODEL_FENCE_SEQ_CST:
		return v <= 2 ? full[v - 1] : NULL;
	}
	return NULL;
}

static const char *kind_name(enum model_kind kind)
{
	static const char *const names[MODEL_KINDS] = {
		[MODEL_LOAD_ACQUIRE] = "acquire", [MODEL_STORE_RELEASE] = "release",
		[MODEL_CAS] = "cas", [MODEL_FETCH_OR] = "fetch_or",
		[MODEL_FETCH_ADD] = "fetch_add",
		[MODEL_EXCHANGE] = "exchange", [MODEL_FENCE_ACQUIRE] = "fence acquire",
		[MODEL_FENCE_RELEASE] = "fence release",
		[MODEL_FENCE_SEQ_CST] = "fence seq_cst",
		[MODEL_BARRIER_LIGHT] = "barrier light", [MODEL_LOCK] = "lock",
	};

	return names[kind] ? names[kind] : "?";
}

void model_site_seen(struct model_at at)
{
	int i;

	if (!variant(at.kind, 1) || model_mutation.variant)
		return;
	for (i = 0; i < n_sites; i++) {
		if (sites[i].at.line == at.line && sites[i].at.kind == at.kind &&
		    sites[i].at.file == at.file) {
			sites[i].tests[test_now] = 1;
			return;
		}
	}
	if (!owned || !strstr(at.file, owned))
		return;
	if (n_sites == SITES) {
		sites_left_out++;
		return;
	}
	sites[n_sites].at = at;
	sites[n_sites++].tests[test_now] = 1;
}

static void run_test(const struct model_test *test, double limit)
{
	struct model_result *r = &results[test_now];
	int bad;

	model_explore(test, limit, r);
	if (!r->failed && !r->executions) {
		r->failed = 1;
		strcpy(r->why, "no execution was complete");
	}
	/* It has not tried what it set out to try; with larger bounds that may be. */
	bad = r->failed || (r->incomplete && !model_deep);
	printf("%s %s: %llu executions, %llu cut short, at most %u choices, %d restarts, %.2f s%s\n",
	       bad ? "not ok" : "ok", test->name, (unsigned long long)r->executions,
	       (unsigned long long)r->cut, r->depth, r->restarts, r->seconds,
	       r->incomplete ? " (NOT complete: time limit)" : "");
	if (r->failed) {
		model_show_trace(test);
		printf("    => %s\n", r->why);
	}
	if (bad)
		failed++;
	else if (r->incomplete)
		skipped++;
	else
		passed++;
	fflush(stdout);
}

/* Fastest tests first. */
static int by_time(const void *a, const void *b)
{
	double x = results[*(const int *)a].seconds, y = results[*(const int *)b].seconds;

	return (x > y) - (x < y);
}

static void run_mutation(const struct model_test *tests, const int *order, int n,
			 const struct site *site, int v, double limit)
{
	struct model_result r = { 0 };
	int i, tried = 0, incomplete = 0;

	model_mutation.at = site->at;
	model_mutation.variant = v;
	for (i = 0; i < n; i++) {
		if (!site->tests[order[i]] && !tests[order[i]].deep)
			continue;
		tried++;
		model_explore(&tests[order[i]], limit, &r);
		incomplete |= r.incomplete;
		if (r.failed)
			break;
	}
	model_mutation.variant = 0;
	printf("%s %s:%d %s %s: ", r.failed ? "ok" : "not ok", short_name(site->at.file),
	       site->at.line, kind_name(site->at.kind), variant(site->at.kind, v));
	if (r.failed)
		printf("caught by \"%s\": %s\n", tests[order[i]].name, r.why);
	else
		printf("NOT caught by any of %d tests%s\n", tried,
		       incomplete ? " (time limit)" : "");
	if (r.failed)
		passed++;
	else
		failed++;
	fflush(stdout);
}

static int by_line(const void *a, const void *b)
{
	const struct site *x = a, *y = b;
	int c = strcmp(x->at.file, y->at.file);

	return c ? c : x->at.line - y->at.line;
}

/* Is this barrier needed only for what no model test sees? Then say so. */
static int excepted(const struct model_except *e, const struct site *site, int v)
{
	for (; e && e->func; e++) {
		if (strcmp(e->func, site->at.func) || e->kind != site->at.kind ||
		    (e->variant && e->variant != v))
			continue;
		printf("skip %s:%d %s %s: %s\n", short_name(site->at.file), site->at.line,
		       kind_name(site->at.kind), variant(site->at.kind, v), e->why);
		skipped++;
		return 1;
	}
	return 0;
}

int model_main(int argc, char **argv, const struct model_test *tests, const char *header,
	       const struct model_except *excepts)
{
	const char *only = argc > 1 ? argv[1] : NULL, *seconds = getenv("MODEL_SECONDS");
	int order[TESTS], n = 0, broken, i, v;
	double limit;

	if (argc > 2 || (only && only[0] == '-')) {
		fprintf(stderr, "usage: %s [PART-OF-A-TEST-NAME]\n", argv[0]);
		return 2;
	}
	model_deep = getenv("MODEL_DEEP") != NULL;
	limit = seconds && *seconds ? strtod(seconds, NULL) : model_deep ? 3600 : 240;
	owned = header;
	for (test_now = 0; tests[test_now].name; test_now++) {
		if (test_now == TESTS) {
			printf("not ok more than %d tests\n", TESTS);
			return 2;
		}
		if (only && !strstr(tests[test_now].name, only)) {
			skipped++;
			continue;
		}
		if (tests[test_now].deep && !model_deep) {
			printf("skip %s: with MODEL_DEEP only\n", tests[test_now].name);
			skipped++;
			results[test_now].seconds = limit;	/* the last to be tried */
			order[n++] = test_now;
			continue;
		}
		order[n++] = test_now;
		run_test(&tests[test_now], limit);
	}
	qsort(order, (size_t)n, sizeof(*order), by_time);
	qsort(sites, (size_t)n_sites, sizeof(*sites), by_line);
	broken = failed;
	/* Larger bounds take longer, and the smaller ones must do: make check has no others. */
	model_deep = 0;
	/* A header by another name has no barriers to remove, and all would seem well. */
	if (owned && (!n_sites || sites_left_out) && !only) {
		printf("not ok barriers of %s: %d found, and %d more than there is room for\n", owned,
		       n_sites, sites_left_out);
		failed++;
	}
	for (i = 0; !broken && i < n_sites; i++) {
		for (v = 1; variant(sites[i].at.kind, v); v++)
			if (!excepted(excepts, &sites[i], v))
				run_mutation(tests, order, n, &sites[i], v, MUTATION_SECONDS);
	}
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return failed != 0;
}
