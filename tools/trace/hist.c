// SPDX-License-Identifier: MIT
/* hist.c - histograms: buckets, percentiles, rows */
#include <stdlib.h>
#include <string.h>
#include "hist.h"
#include "../util/util.h"

static const struct {
	const char *word;
	const char *unit;
} whats[HIST_WHATS] = {
	[HIST_PUBLISH_TO_RECEIVE] = { "publish-to-receive", "ns" },
	[HIST_WAIT] = { "wait", "ns" },
	[HIST_WAKE] = { "wake", "ns" },
	[HIST_OCCUPANCY] = { "occupancy", "messages" },
	[HIST_HOLD] = { "hold", "ns" },
};

const char *hist_word(enum hist_what what)
{
	return whats[what].word;
}

const char *hist_unit(enum hist_what what)
{
	return whats[what].unit;
}

enum hist_what hist_from_word(const char *word)
{
	enum hist_what what;

	for (what = HIST_NONE + 1; what < HIST_WHATS; what++)
		if (!strcmp(word, whats[what].word))
			return what;
	return HIST_NONE;
}

/* As bucket_of() in trace.bpf.c. */
unsigned int hist_bucket(uint64_t v)
{
	unsigned int l;

	if (v < TRACE_SUBS)
		return (unsigned int)v;
	l = 63 - (unsigned int)__builtin_clzll(v);
	if (l >= TRACE_BITS)
		return TRACE_BUCKETS - 1;
	return (l - TRACE_SUB_BITS + 1) * TRACE_SUBS +
	       ((unsigned int)(v >> (l - TRACE_SUB_BITS)) & (TRACE_SUBS - 1));
}

uint64_t hist_low(unsigned int bucket)
{
	unsigned int l = bucket / TRACE_SUBS;

	if (!l)
		return bucket;
	return (uint64_t)(TRACE_SUBS + bucket % TRACE_SUBS) << (l - 1);
}

void hist_add(struct hist *h, uint64_t v)
{
	h->bucket[hist_bucket(v)]++;
	h->count++;
	h->sum += v;
	if (v > h->max)
		h->max = v;
}

void hist_merge(struct hist *to, const struct hist *from)
{
	unsigned int i;

	for (i = 0; i < TRACE_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
	to->count += from->count;
	to->sum += from->sum;
	if (from->max > to->max)
		to->max = from->max;
}

void hist_since(struct hist *ret, const struct hist *now, const struct hist *before)
{
	unsigned int i, last = 0;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < TRACE_BUCKETS; i++) {
		ret->bucket[i] = now->bucket[i] - before->bucket[i];
		ret->count += ret->bucket[i];
		if (ret->bucket[i])
			last = i;
	}
	ret->sum = now->sum - before->sum;
	if (!ret->count)
		return;
	/* The overall maximum is that of this interval only if its bucket grew. */
	ret->max = last == hist_bucket(now->max) || last == TRACE_BUCKETS - 1 ? now->max :
										hist_low(last + 1) - 1;
}

double hist_at(const struct hist *h, double share)
{
	double want = share * (double)h->count, below = 0, low, high, v;
	unsigned int i;

	for (i = 0; i < TRACE_BUCKETS; i++) {
		if (!h->bucket[i] || below + (double)h->bucket[i] < want) {
			below += (double)h->bucket[i];
			continue;
		}
		low = (double)hist_low(i);
		high = i + 1 < TRACE_BUCKETS ? (double)hist_low(i + 1) - 1 : (double)h->max;
		v = low + (high - low) * (want - below) / (double)h->bucket[i];
		return v < (double)h->max ? v : (double)h->max;
	}
	return (double)h->max;
}

struct hist_row *hists_row(struct hists *hs, uint64_t id, uint32_t slot, int32_t pid,
			   const char *name, const char *comm)
{
	struct hist_row **more, *r;
	size_t i;

	for (i = 0; i < hs->n; i++)
		if (hs->row[i]->id == id && hs->row[i]->slot == slot && hs->row[i]->pid == pid)
			return hs->row[i];
	if (hs->n == hs->cap) {
		more = realloc(hs->row, (hs->cap ? 2 * hs->cap : 16) * sizeof(*more));
		if (!more)
			return NULL;
		hs->row = more;
		hs->cap = hs->cap ? 2 * hs->cap : 16;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->id = id;
	r->slot = slot;
	r->pid = pid;
	clean_text(name, TRACE_NAME - 1, r->name, sizeof(r->name));
	clean_text(comm, TRACE_COMM, r->comm, sizeof(r->comm));
	hs->row[hs->n++] = r;
	return r;
}

void hists_done(struct hists *hs)
{
	while (hs->n)
		free(hs->row[--hs->n]);
	free(hs->row);
	hs->row = NULL;
	hs->cap = 0;
}

static int by_segment(const void *a, const void *b)
{
	const struct hist_row *x = *(struct hist_row *const *)a;
	const struct hist_row *y = *(struct hist_row *const *)b;
	int c = strcmp(x->name, y->name);

	if (c)
		return c;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	if (x->slot != y->slot)
		return x->slot < y->slot ? -1 : 1;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

void hists_sort(struct hists *hs)
{
	if (hs->n)
		qsort(hs->row, hs->n, sizeof(*hs->row), by_segment);
}

size_t hists_segment(const struct hists *hs, size_t i, struct hist *ret)
{
	uint64_t id = hs->row[i]->id;

	memset(ret, 0, sizeof(*ret));
	for (; i < hs->n && hs->row[i]->id == id; i++)
		hist_merge(ret, &hs->row[i]->h);
	return i;
}
