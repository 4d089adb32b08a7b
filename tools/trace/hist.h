/* SPDX-License-Identifier: MIT */
/*
 * hist.h - histograms of topics and peers
 *
 * Buckets are as in event.h, so a percentile is within 7 % of the true one; values
 * below 32 are exact.
 */
#ifndef TOOLS_TRACE_HIST_H
#define TOOLS_TRACE_HIST_H

#include <stdint.h>
#include <stdio.h>
#include <jansson.h>
#include "event.h"

enum hist_what {
	HIST_NONE,
	HIST_PUBLISH_TO_RECEIVE,
	HIST_WAIT,
	HIST_WAKE,
	HIST_OCCUPANCY,
	HIST_HOLD,
	HIST_WHATS
};

/* "publish-to-receive"; NULL: none. */
const char *hist_word(enum hist_what what);
/* HIST_NONE: unknown word. */
enum hist_what hist_from_word(const char *word);
/* "ns", or "messages". */
const char *hist_unit(enum hist_what what);

struct hist {
	uint64_t count, sum, max;
	uint64_t bucket[TRACE_BUCKETS];
};

unsigned int hist_bucket(uint64_t v);
/* The least value of a bucket. */
uint64_t hist_low(unsigned int bucket);

void hist_add(struct hist *h, uint64_t v);
void hist_merge(struct hist *to, const struct hist *from);
/* The values added since @before; the maximum is approximate, by its bucket. */
void hist_since(struct hist *ret, const struct hist *now, const struct hist *before);
/* The value that a part @share, 0 to 1, of all values does not exceed; 0 if empty. */
double hist_at(const struct hist *h, double share);

/* Of one peer of one segment. */
struct hist_row {
	uint64_t id;
	uint32_t slot;
	int32_t pid;
	char comm[TRACE_COMM];
	char name[TRACE_NAME];
	struct hist h;
};

struct hists {
	enum hist_what what;
	struct hist_row **row;
	size_t n, cap;
	uint64_t from_ns, to_ns;	/* CLOCK_REALTIME: the time that it covers */
};

/* The row of this peer, created if it does not exist. NULL: out of memory. */
struct hist_row *hists_row(struct hists *hs, uint64_t id, uint32_t slot, int32_t pid,
			   const char *name, const char *comm);
void hists_done(struct hists *hs);

/* Sort the rows by name, then slot, so that those of a segment are together. */
void hists_sort(struct hists *hs);

/* Merge the peers of the segment of row @i into @ret. Return: the first row of the next. */
size_t hists_segment(const struct hists *hs, size_t i, struct hist *ret);

#define VALUE_TEXT	24
/* With its unit, except for numbers of messages. */
const char *hist_value(enum hist_what what, double v, char text[VALUE_TEXT]);

/* As text: bars and percentiles of each segment, percentiles of each peer. */
void hists_print(FILE *to, struct hists *hs);

/*
 * Objects, one a line: of each segment (slot null), and of each of its peers.
 * @span: "interval" or "all".
 */
void hists_json(FILE *to, struct hists *hs, const char *span);

/**
 * hists_from_json - add an object of hists_json()
 * @hs:  if its kind is HIST_NONE, it becomes that of the object
 * @obj: the object
 *
 * Objects of whole segments and of the whole time are skipped: they are the sums of
 * those of peers and intervals.
 *
 * Return: 0; -ENOMSG: not a histogram; -EINVAL: a damaged one; -ENOMEM.
 */
int hists_from_json(struct hists *hs, const json_t *obj);

#endif /* TOOLS_TRACE_HIST_H */
