// SPDX-License-Identifier: MIT
/* hist_show.c - histograms as text, in JSON, and from JSON */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "events.h"
#include "hist.h"
#include "../util/json.h"
#include "../util/util.h"

#define BAR		40	/* columns of the longest one */

static const struct {
	const char *head;	/* of a column */
	const char *key;	/* in JSON */
	double share;
} percentiles[] = {
	{ "p50", "p50", 0.5 }, { "p90", "p90", 0.9 }, { "p99", "p99", 0.99 },
	{ "p99.9", "p99_9", 0.999 },
};

#define PERCENTILES	(sizeof(percentiles) / sizeof(percentiles[0]))

const char *hist_value(enum hist_what what, double v, char text[VALUE_TEXT])
{
	if (what == HIST_OCCUPANCY)
		snprintf(text, VALUE_TEXT, "%.0f", v);
	else
		format_ns(v, text);
	return text;
}

/* The count of a power of two: the sum of its 16 buckets. */
static uint64_t power_count(const struct hist *h, unsigned int power)
{
	unsigned int from = power ? hist_bucket(UINT64_C(1) << power) : 0, i;
	unsigned int to = power + 1 < TRACE_BITS ? hist_bucket(UINT64_C(2) << power) : TRACE_BUCKETS;
	uint64_t n = 0;

	for (i = from; i < to; i++)
		n += h->bucket[i];
	return n;
}

static void print_bars(FILE *to, enum hist_what what, const struct hist *h)
{
	static const char bar[BAR + 1] = "########################################";
	unsigned int p, first = TRACE_BITS, last = 0;
	char low[VALUE_TEXT], high[VALUE_TEXT];
	uint64_t n, most = 0;

	for (p = 0; p < TRACE_BITS; p++) {
		n = power_count(h, p);
		if (!n)
			continue;
		first = first < p ? first : p;
		last = p;
		most = most > n ? most : n;
	}
	for (p = first; p <= last && most; p++) {
		n = power_count(h, p);
		fprintf(to, "%10s to %-10s %10" PRIu64 " |%-*.*s|\n",
			hist_value(what, p ? (double)(UINT64_C(1) << p) : 0, low),
			hist_value(what, (double)(UINT64_C(2) << p) - (what == HIST_OCCUPANCY), high), n,
			BAR, (int)((n * BAR + most - 1) / most), bar);
	}
}

static void print_row(FILE *to, enum hist_what what, const char *label, const struct hist *h)
{
	char t[VALUE_TEXT];
	size_t i;

	fprintf(to, "  %-36s %10" PRIu64, label, h->count);
	for (i = 0; i < PERCENTILES; i++)
		fprintf(to, " %9s", hist_value(what, hist_at(h, percentiles[i].share), t));
	fprintf(to, " %9s\n", hist_value(what, (double)h->max, t));
}

static void print_segment(FILE *to, const struct hists *hs, size_t from, size_t end,
			  const struct hist *all)
{
	const struct hist_row *r;
	char label[64], slot[16];
	size_t i;

	fprintf(to, "\n%s  %s\n", hs->row[from]->name, hist_word(hs->what));
	print_bars(to, hs->what, all);
	fprintf(to, "  %-36s %10s", "", "count");
	for (i = 0; i < PERCENTILES; i++)
		fprintf(to, " %9s", percentiles[i].head);
	fprintf(to, " %9s\n", "max");
	for (i = from; i < end; i++) {
		r = hs->row[i];
		snprintf(slot, sizeof(slot), r->slot == TRACE_NOBODY ? "-" : "%u", r->slot);
		snprintf(label, sizeof(label), "slot %s pid %" PRId32 " %s", slot, r->pid, r->comm);
		if (r->h.count)
			print_row(to, hs->what, label, &r->h);
	}
	if (end - from > 1)
		print_row(to, hs->what, "all", all);
}

void hists_print(FILE *to, struct hists *hs)
{
	size_t i, next;
	struct hist all;

	hists_sort(hs);
	for (i = 0; i < hs->n; i = next) {
		next = hists_segment(hs, i, &all);
		if (all.count)
			print_segment(to, hs, i, next, &all);
	}
}

static json_t *buckets_json(const struct hist *h)
{
	json_t *array = json_array();
	unsigned int i;

	for (i = 0; i < TRACE_BUCKETS; i++)
		if (h->bucket[i])
			json_array_append_new(array, json_pack("[I, I]", json_u64(hist_low(i)),
							       json_u64(h->bucket[i])));
	return array;
}

static void row_json(FILE *to, const struct hists *hs, const struct hist_row *r,
		     const struct hist *h, const char *span)
{
	char id[ID_TEXT];
	json_t *obj;
	size_t i;

	/* A row without a peer is the sum of all. */
	obj = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:o, s:o, s:o}", "event",
			"histogram", "histogram", hist_word(hs->what), "unit", hist_unit(hs->what),
			"span", span, "from_ns", json_u64(hs->from_ns), "to_ns",
			json_u64(hs->to_ns), "name", r->name, "id", id_text(r->id, id),
			"slot", h == &r->h ? json_integer((int32_t)r->slot) : json_null(),
			"pid", h == &r->h ? json_integer(r->pid) : json_null(),
			"comm", h == &r->h ? json_string(r->comm) : json_null());
	if (obj) {
		json_object_set_new(obj, "count", json_integer(json_u64(h->count)));
		json_object_set_new(obj, "sum", json_integer(json_u64(h->sum)));
		for (i = 0; i < PERCENTILES; i++)
			json_object_set_new(obj, percentiles[i].key,
					    json_real(hist_at(h, percentiles[i].share)));
		json_object_set_new(obj, "max", json_integer(json_u64(h->max)));
		json_object_set_new(obj, "buckets", buckets_json(h));
	}
	json_line(to, obj);
}

void hists_json(FILE *to, struct hists *hs, const char *span)
{
	size_t i, next;
	struct hist all;

	hists_sort(hs);
	for (i = 0; i < hs->n; i = next) {
		next = hists_segment(hs, i, &all);
		if (!all.count)
			continue;
		row_json(to, hs, hs->row[i], &all, span);
		for (; i < next; i++)
			if (hs->row[i]->h.count)
				row_json(to, hs, hs->row[i], &hs->row[i]->h, span);
	}
}

static int buckets_from_json(struct hist *h, json_t *buckets)
{
	json_int_t low, n;
	json_t *pair;
	size_t i;

	json_array_foreach(buckets, i, pair) {
		if (json_unpack(pair, "[I, I]", &low, &n) || low < 0 || n < 0)
			return -EINVAL;
		h->bucket[hist_bucket((uint64_t)low)] += (uint64_t)n;
		h->count += (uint64_t)n;
	}
	return 0;
}

int hists_from_json(struct hists *hs, const json_t *obj)
{
	const char *event, *word, *name, *id_word, *comm, *span;
	json_int_t from, to, slot, pid, sum, max;
	json_t *o = (json_t *)obj, *buckets;
	struct hist_row *r;
	uint64_t id;

	if (json_unpack(o, "{s:s, s:s}", "event", &event, "histogram", &word) ||
	    strcmp(event, "histogram"))
		return -ENOMSG;
	span = json_string_value(json_object_get(o, "span"));
	if (json_is_null(json_object_get(o, "slot")) || !span || strcmp(span, "interval"))
		return 0;
	if (json_unpack(o, "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:o}", "name", &name, "id",
			&id_word, "from_ns", &from, "to_ns", &to, "slot", &slot, "pid", &pid,
			"sum", &sum, "max", &max, "comm", &comm, "buckets", &buckets) ||
	    id_from_text(id_word, &id) || hist_from_word(word) == HIST_NONE)
		return -EINVAL;
	if (hs->what == HIST_NONE)
		hs->what = hist_from_word(word);
	if (hs->what != hist_from_word(word))
		return 0;	/* another histogram is asked for */
	if (!hs->from_ns || (uint64_t)from < hs->from_ns)
		hs->from_ns = (uint64_t)from;
	if ((uint64_t)to > hs->to_ns)
		hs->to_ns = (uint64_t)to;
	r = hists_row(hs, id, (uint32_t)slot, (int32_t)pid, name, comm);
	if (!r)
		return -ENOMEM;
	r->h.sum += (uint64_t)sum;
	if ((uint64_t)max > r->h.max)
		r->h.max = (uint64_t)max;
	return buckets_from_json(&r->h, buckets);
}
