// SPDX-License-Identifier: MIT
/* report.c - figures as a table for people or as one JSON object per line */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmipc/shmipc.h>

#include "bench.h"

static const char *wait_name(enum bench_wait wait)
{
	static const char *const names[] = { "spin", "block", "both" };

	return names[wait];
}

static const char *bytes_text(uint64_t n, char *buf, size_t cap)
{
	if (n >= (1u << 20) && n % (1u << 20) == 0)
		snprintf(buf, cap, "%lluM", (unsigned long long)(n >> 20));
	else if (n >= 1024 && n % 1024 == 0)
		snprintf(buf, cap, "%lluK", (unsigned long long)(n >> 10));
	else
		snprintf(buf, cap, "%llu", (unsigned long long)n);
	return buf;
}

void bench_report_head(const struct bench_opts *o)
{
	char ring[32];

	printf("CPUs %d and %d; %s loads and stores; ring %s, %u message%s a batch, %u-byte "
	       "alignment\n%g s a measurement; median (min..max) over the runs that count\n",
	       o->cpu[0], o->cpu[1], bench_kernel_name(),
	       bytes_text(o->ring_bytes, ring, sizeof(ring)), o->publish,
	       o->publish == 1 ? "" : "s", o->align, o->seconds);
}

/* "12.3 (11.9..12.8)", or "-" if the figure has no meaning. */
static const char *dist_text(const struct bench_dist *d, double unit, char *buf, size_t cap)
{
	double v = d->median / unit;
	int digits = v < 0.1 ? 4 : v < 10 ? 2 : v < 1000 ? 1 : 0;

	if (isnan(d->median))
		snprintf(buf, cap, "-");
	else
		snprintf(buf, cap, "%.*f (%.*f..%.*f)", digits, d->median / unit, digits,
			 d->min / unit, digits, d->max / unit);
	return buf;
}

/* What the ratio of a table compares with. */
static const char *yardstick(const struct bench_case *c)
{
	if (c->yardstick)
		return c->yardstick;
	if (c->limit[0].side[0] == bench_spsc.step.side[0])
		return "of the spsc ring";
	if (c->table != BENCH_TABLE_CALL)
		return "of the limit";
	return c == &bench_topic_loan.bench ? "of 4 KiB" : "of 1 subscriber";
}

/* Lossless and lossy figures have tables of their own. */
static void table_head(const struct bench_case *c)
{
	static const char *last_yardstick = "", *last_figure = "";
	const char *figure = c->figure ? c->figure : "";
	static enum bench_table last;

	if (last == c->table && !strcmp(last_yardstick, yardstick(c)) && !strcmp(last_figure, figure))
		return;
	last = c->table;
	last_yardstick = yardstick(c);
	last_figure = figure;
	printf("\n%-16s %7s %5s %5s ", c->table == BENCH_TABLE_LIMIT ? "limit" : "bench", "size",
	       "wait", "page");
	switch (c->table) {
	case BENCH_TABLE_LIMIT:
		printf("%19s %22s %22s ", "GB/s", "p50 ns", "p99 ns");
		break;
	case BENCH_TABLE_RATE:
		printf("%22s %19s ", "M messages/s", "GB/s");
		break;
	case BENCH_TABLE_LOSSY:
		printf("%22s %19s %8s ", "M delivered/s", "GB/s delivered", "lost %");
		break;
	case BENCH_TABLE_RTT:
		printf("%22s %22s %8s ", "p50 ns", "p99 ns", "min ns");
		break;
	case BENCH_TABLE_COPIER:
		printf("%22s %22s ", "GB/s in", "GB/s out");
		break;
	case BENCH_TABLE_CALL:
		printf("%22s %22s %8s ", "p50 ns a message", "p99 ns", "min ns");
		break;
	case BENCH_TABLE_TIME:
		printf("%22s %22s %8s ", figure, "p99 ns", "min ns");
		break;
	case BENCH_TABLE_FAIR:
		printf("%22s %22s %22s %16s ", "p50 us of waiting", "p99 us", "longest us",
		       "least %");
		printf("%18s ", "M locks/s");
		break;
	case BENCH_TABLE_ACKED:
		printf("%5s %5s %22s %19s ", "ends", "batch", "M acknowledged/s", "GB/s");
		break;
	case BENCH_TABLE_ONCE:
		printf("%5s %5s %22s %19s ", "ends", "batch", "M at most once/s", "GB/s");
		break;
	case BENCH_TABLE_LATENCY:
		break;
	}
	if (c->table == BENCH_TABLE_LATENCY)
		printf("%22s %22s %22s ", "p50 ns", "p90 ns", "p99 ns");
	else if (c->table != BENCH_TABLE_LIMIT && c->table != BENCH_TABLE_COPIER)
		printf("%18s ", yardstick(c));
	printf("%8s %5s\n", "probe ns", "runs");
}

static void row_figures(const struct bench_report *r)
{
	char a[64], b[64];

	switch (r->bench->table) {
	case BENCH_TABLE_LIMIT:
		printf("%19s ", dist_text(&r->bytes_per_s, 1e9, a, sizeof(a)));
		printf("%22s %22s ", dist_text(&r->p50_ns, 1, a, sizeof(a)),
		       dist_text(&r->p99_ns, 1, b, sizeof(b)));
		return;
	case BENCH_TABLE_ACKED:
	case BENCH_TABLE_ONCE:
		snprintf(a, sizeof(a), "%u:%u", r->bench->queue->producers, r->bench->queue->consumers);
		printf("%5s %5u ", a, r->bench->queue->batch);
		__attribute__((fallthrough));
	case BENCH_TABLE_RATE:
	case BENCH_TABLE_LOSSY:
		printf("%22s %19s ", dist_text(&r->msgs_per_s, 1e6, a, sizeof(a)),
		       dist_text(&r->bytes_per_s, 1e9, b, sizeof(b)));
		if (r->bench->table == BENCH_TABLE_LOSSY)
			printf("%8.3f ", r->lost_share.median * 100);
		break;
	case BENCH_TABLE_RTT:
	case BENCH_TABLE_CALL:
	case BENCH_TABLE_TIME:
		printf("%22s %22s %8.0f ", dist_text(&r->p50_ns, 1, a, sizeof(a)),
		       dist_text(&r->p99_ns, 1, b, sizeof(b)), r->min_ns.median);
		break;
	case BENCH_TABLE_FAIR:
		printf("%22s %22s ", dist_text(&r->p50_ns, 1e3, a, sizeof(a)),
		       dist_text(&r->p99_ns, 1e3, b, sizeof(b)));
		printf("%22s %16s ", dist_text(&r->max_ns, 1e3, a, sizeof(a)),
		       dist_text(&r->least_share, 0.01, b, sizeof(b)));
		printf("%18s ", dist_text(&r->msgs_per_s, 1e6, a, sizeof(a)));
		break;
	case BENCH_TABLE_COPIER:
		printf("%22s %22s ", dist_text(&r->in_bytes_per_s, 1e9, a, sizeof(a)),
		       dist_text(&r->out_bytes_per_s, 1e9, b, sizeof(b)));
		return;
	case BENCH_TABLE_LATENCY:
		printf("%22s ", dist_text(&r->p50_ns, 1, a, sizeof(a)));
		printf("%22s %22s ", dist_text(&r->p90_ns, 1, a, sizeof(a)),
		       dist_text(&r->p99_ns, 1, b, sizeof(b)));
		return;
	}
	printf("%18s ", dist_text(&r->ratio, 1, a, sizeof(a)));
}

void bench_report_text(const struct bench_report *r)
{
	const struct bench_case *c = r->bench;
	char size[32] = "", page[32] = "", runs[32];

	table_head(c);
	if (r->size)
		snprintf(size, sizeof(size), "%zu", r->size);
	if (c->page_got)
		bytes_text(c->page_got, page, sizeof(page));
	snprintf(runs, sizeof(runs), "%u%s", r->runs, r->noisy ? " noisy" : "");
	printf("%-16s %7s %5s %5s ", c->name, size, wait_name(c->wait), page);
	row_figures(r);
	if (isnan(r->probe_ns.median))
		printf("%8s %5s", "-", runs);
	else
		printf("%8.0f %5s", r->probe_ns.median, runs);
	if (r->discarded)
		printf("  (%u discarded)", r->discarded);
	printf("\n");
	fflush(stdout);
}

static json_t *number(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

static json_t *whole(double v)
{
	return isnan(v) ? json_null() : json_integer((json_int_t)(v + 0.5));
}

static void set_dist(json_t *j, const char *key, const struct bench_dist *d)
{
	char name[64];

	json_object_set_new(j, key, number(d->median));
	snprintf(name, sizeof(name), "%s_min", key);
	json_object_set_new(j, name, number(d->min));
	snprintf(name, sizeof(name), "%s_max", key);
	json_object_set_new(j, name, number(d->max));
}

static const char *policy_name(uint32_t policy)
{
	return policy == SHMIPC_POLICY_LOSSY ? "lossy" :
	       policy == SHMIPC_POLICY_LOSSLESS ? "lossless" : "evict";
}

static json_t *topic_setting(const struct bench_topic *t, const struct bench_opts *o)
{
	const struct bench_topic_opts *w = &o->topic;

	if (!t)
		return json_null();
	return json_pack("{s:i,s:i,s:b,s:s,s:s,s:s?,s:I,s:I,s:b,s:b,s:b}",
			 "publishers", t->single ? 1 : (int)w->publishers,
			 "subscribers", (int)w->subscribers, "single", t->single,
			 "policy", policy_name(w->policy), "way", w->loan ? "loan" : "copy",
			 "copier", o->copier, "inline_bytes", (json_int_t)w->inline_bytes,
			 "history", (json_int_t)w->history, "meta", w->meta,
			 "headers", w->headers, "cold", w->cold);
}

static json_t *queue_setting(const struct bench_queue *q)
{
	if (!q)
		return json_null();
	return json_pack("{s:i,s:i,s:i,s:s}", "producers", (int)q->producers,
			 "consumers", (int)q->consumers, "batch", (int)q->batch,
			 "delivery", q->delivery);
}

static void set_setting(json_t *j, const struct bench_report *r, const struct bench_opts *o)
{
	const struct bench_case *c = r->bench;

	json_object_set_new(j, "backend", c->backend ? json_string(c->backend) : json_null());
	json_object_set_new(j, "page_bytes", c->page_got ?
			    json_integer((json_int_t)c->page_got) : json_null());
	json_object_set_new(j, "ring_bytes", c->is_ring ?
			    json_integer((json_int_t)o->ring_bytes) : json_null());
	json_object_set_new(j, "publish", c->backend ?
			    json_integer((json_int_t)o->publish) : json_null());
	json_object_set_new(j, "align", c->backend ?
			    json_integer((json_int_t)o->align) : json_null());
	json_object_set_new(j, "wait", json_string(wait_name(c->wait)));
	json_object_set_new(j, "cpus", json_pack("[i,i]", o->cpu[0], o->cpu[1]));
	json_object_set_new(j, "seconds", json_real(o->seconds));
	json_object_set_new(j, "topic", topic_setting(c->topic, o));
	json_object_set_new(j, "queue", queue_setting(c->queue));
}

/* Return: 0, or -1 if there is no memory. */
int bench_report_json(const struct bench_report *r, const struct bench_opts *o)
{
	json_t *j = json_object();
	char *text;

	json_object_set_new(j, "bench", json_string(r->bench->name));
	json_object_set_new(j, "size", r->size ? json_integer((json_int_t)r->size) : json_null());
	set_dist(j, "msgs_per_s", &r->msgs_per_s);
	set_dist(j, "bytes_per_s", &r->bytes_per_s);
	set_dist(j, "p50_ns", &r->p50_ns);
	set_dist(j, "p90_ns", &r->p90_ns);
	set_dist(j, "p99_ns", &r->p99_ns);
	set_dist(j, "in_bytes_per_s", &r->in_bytes_per_s);
	set_dist(j, "out_bytes_per_s", &r->out_bytes_per_s);
	set_dist(j, "max_ns", &r->max_ns);
	set_dist(j, "least_share", &r->least_share);
	json_object_set_new(j, "min_ns", number(r->min_ns.min));
	json_object_set_new(j, "received", whole(r->received.median));
	json_object_set_new(j, "lost", whole(r->lost.median));
	json_object_set_new(j, "lost_share", number(r->lost_share.median));
	json_object_set_new(j, "runs", json_integer(r->runs));
	json_object_set_new(j, "discarded", json_integer(r->discarded));
	json_object_set_new(j, "noisy", json_boolean(r->noisy));
	json_object_set_new(j, "preempted", whole(r->preempted.median));
	set_dist(j, "probe_ns", &r->probe_ns);
	json_object_set_new(j, "limit", number(r->limit.median));
	set_dist(j, "ratio_to_limit", &r->ratio);
	set_setting(j, r, o);

	text = json_dumps(j, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6) | JSON_COMPACT);
	json_decref(j);
	if (!text) {
		fprintf(stderr, "shmipc: bench: memory for a line of JSON (ENOMEM)\n");
		return -1;
	}
	puts(text);
	free(text);
	fflush(stdout);
	return 0;
}
