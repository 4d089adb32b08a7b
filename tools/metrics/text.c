// SPDX-License-Identifier: MIT
/*
 * text.c - the result of a look in Prometheus' text format
 *
 * All samples of a metric must stand together, so there is one pass over the segments
 * for each metric. Counts come from shared memory: they begin anew if a topic is
 * created anew, as the counters of a process do if it is restarted.
 */
#include <inttypes.h>
#include <stddef.h>
#include <string.h>
#include <shmipc/error.h>
#include <shmipc/shmipc.h>
#include "metrics.h"
#include "../util/util.h"
#include "../view/view.h"

enum value { U32, U64, REAL };

/* A number in struct look_seg or look_end. */
struct metric {
	const char *name;
	const char *type;
	const char *help;
	size_t at;
	enum value value;
	int only;		/* ONLY_*: what counts it; 0: all */
};

enum { ONLY_TOPICS = 1, NOT_RINGS, ONLY_QUEUES, NOT_QUEUES };

#define SEG(field, how)	offsetof(struct look_seg, field), how
#define END(field, how)	offsetof(struct look_end, field), how

static const struct metric of_segment[] = {
	{ "shmipc_published_messages_total", "counter",
	  "Messages published since the segment was created.", SEG(published, U64), 0 },
	{ "shmipc_published_bytes_total", "counter",
	  "Bytes in these messages; of rings including record headers.", SEG(bytes, U64), NOT_QUEUES },
	{ "shmipc_aborted_messages_total", "counter",
	  "Messages that were never completed, because their publishers died or were stopped.",
	  SEG(aborted, U64), ONLY_TOPICS },
	{ "shmipc_publisher_waits_total", "counter",
	  "Times that a publisher waited for room.", SEG(waits, U64), NOT_RINGS },
	{ "shmipc_evictions_total", "counter",
	  "Subscribers that were cut off, because publishers had waited long enough.",
	  SEG(evictions, U64), ONLY_TOPICS },
	{ "shmipc_publishers", "gauge", "Publishers, or producers, that are attached.",
	  SEG(publishers, U32), 0 },
	{ "shmipc_subscribers", "gauge", "Subscribers, consumers or readers that are attached.",
	  SEG(subscribers, U32), 0 },
	{ "shmipc_waiting_publishers", "gauge", "Publishers that are waiting for room.",
	  SEG(waiters, U32), ONLY_TOPICS },
	{ "shmipc_occupancy_ratio", "gauge",
	  "How full it is for publishers: 1 means that they wait, or are about to.",
	  SEG(occupancy, REAL), 0 },
	{ "shmipc_max_lag_messages", "gauge", "Messages that the slowest end is behind.",
	  SEG(max_lag, U64), 0 },
	{ "shmipc_held_messages", "gauge", "Messages of the pool that subscribers hold in place; items that consumers have.",
	  SEG(holding, U64), NOT_RINGS },
	{ "shmipc_done_items_total", "counter", "Items that were acknowledged.", SEG(received, U64), ONLY_QUEUES },
	{ "shmipc_lost_items_total", "counter",
	  "Items that were lost with their consumers, or dropped at the limit of deliveries.",
	  SEG(lost, U64), ONLY_QUEUES },
};

static const struct metric of_publisher[] = {
	{ "shmipc_publisher_sent_messages_total", "counter",
	  "Messages of all publishers that ever had this slot.", END(sent, U64), NOT_RINGS },
	{ "shmipc_publisher_sent_bytes_total", "counter", "Bytes in these messages.", END(bytes, U64), ONLY_TOPICS },
};

static const struct metric of_subscriber[] = {
	{ "shmipc_subscriber_received_messages_total", "counter",
	  "Messages that the subscriber received.", END(received, U64), 0 },
	{ "shmipc_subscriber_lost_messages_total", "counter",
	  "Messages that the subscriber lost.", END(lost, U64), ONLY_TOPICS },
	{ "shmipc_subscriber_lag_messages", "gauge",
	  "Messages between the subscriber and the newest.", END(lag, U64), NOT_QUEUES },
	{ "shmipc_subscriber_held_messages", "gauge",
	  "Messages of the pool that it holds in place; items that it has.", END(holding, U32), NOT_RINGS },
	{ "shmipc_subscriber_cut_off", "gauge",
	  "1: publishers do not wait for it any longer, and it receives nothing more.",
	  END(evicted, U32), ONLY_TOPICS },
};

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static void head(FILE *to, const char *name, const char *type, const char *help)
{
	fprintf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_label(FILE *to, const char *value)
{
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			putc('\\', to);
		if (*value == '\n')
			fputs("\\n", to);
		else
			putc(*value, to);
	}
}

static void label(FILE *to, const char *before, const char *key, const char *value)
{
	fprintf(to, "%s%s=\"", before, key);
	metrics_label(to, value);
	putc('"', to);
}

static void comm_label(FILE *to, const char *key, const struct look_end *e)
{
	char comm[sizeof(e->comm) + 1];

	label(to, ",", key, clean_text(e->comm, sizeof(e->comm), comm, sizeof(comm)));
}

static void value(FILE *to, const void *of, const struct metric *m)
{
	const char *at = (const char *)of + m->at;
	uint64_t n64;
	uint32_t n32;
	double v;

	switch (m->value) {
	case U64:
		memcpy(&n64, at, sizeof(n64));
		fprintf(to, " %" PRIu64 "\n", n64);
		break;
	case U32:
		memcpy(&n32, at, sizeof(n32));
		fprintf(to, " %" PRIu32 "\n", n32);
		break;
	case REAL:
		memcpy(&v, at, sizeof(v));
		fprintf(to, " %.9g\n", v);
		break;
	}
}

/* Raw bytes have no messages, and unreadable segments have no numbers. */
static int has(const struct look_seg *s, const struct metric *m)
{
	if (s->err || s->info.kind == SHMIPC_KIND_RAW)
		return 0;
	if (!m || !m->only)
		return 1;
	if (s->info.kind == SHMIPC_KIND_QUEUE)
		return m->only == NOT_RINGS || m->only == ONLY_QUEUES;
	return m->only == NOT_QUEUES || (m->only != ONLY_QUEUES && s->info.kind == SHMIPC_KIND_TOPIC);
}

static void print_segments(const struct look *l, const struct metric *m, FILE *to)
{
	size_t i;

	head(to, m->name, m->type, m->help);
	for (i = 0; i < l->n; i++) {
		if (!has(l->seg[i], m))
			continue;
		fputs(m->name, to);
		label(to, "{", "segment", l->seg[i]->name);
		putc('}', to);
		value(to, l->seg[i], m);
	}
}

static int is_publisher(const struct look_seg *s, const struct look_end *e)
{
	(void)s;
	return e->role == SHMIPC_ROLE_PRODUCER;
}

/* Readers of a broadcast ring do not publish how far they are. */
static int is_subscriber(const struct look_seg *s, const struct look_end *e)
{
	return !is_publisher(s, e) && (e->policy || s->info.kind == SHMIPC_KIND_QUEUE);
}

static void end_labels(FILE *to, const struct look_seg *s, const struct look_end *e)
{
	label(to, "{", "segment", s->name);
	fprintf(to, ",slot=\"%" PRIu32 "\"", e->slot);
	if (is_publisher(s, e))	/* the counts are of all that had the slot */
		return;
	fprintf(to, ",pid=\"%" PRIu32 "\"", e->pid);
	comm_label(to, "comm", e);
	if (e->policy)
		label(to, ",", "policy", policy_word(e->policy));
}

static void print_ends(const struct look *l, const struct metric *m,
		       int (*which)(const struct look_seg *, const struct look_end *), FILE *to)
{
	const struct look_seg *s;
	uint32_t k;
	size_t i;

	head(to, m->name, m->type, m->help);
	for (i = 0; i < l->n; i++) {
		s = l->seg[i];
		for (k = 0; has(s, m) && k < s->nends; k++) {
			if (!which(s, &s->end[k]))
				continue;
			fputs(m->name, to);
			end_labels(to, s, &s->end[k]);
			putc('}', to);
			value(to, &s->end[k], m);
		}
	}
}

/* The publishers that are waiting. */
static void print_waits_for(const struct look *l, FILE *to)
{
	static const char *const name = "shmipc_publisher_waits_for";
	const struct look_end *e, *other;
	uint32_t k;
	size_t i;

	head(to, name, "gauge", "1 while the publisher in a slot waits for the peer in another one.");
	for (i = 0; i < l->n; i++) {
		for (k = 0; k < l->seg[i]->nends; k++) {
			e = &l->seg[i]->end[k];
			if (e->waits_for == LOOK_NOBODY)
				continue;
			other = look_end_at(l->seg[i], e->waits_for);
			fputs(name, to);
			label(to, "{", "segment", l->seg[i]->name);
			fprintf(to, ",slot=\"%" PRIu32 "\",pid=\"%" PRIu32 "\"", e->slot, e->pid);
			comm_label(to, "comm", e);
			fprintf(to, ",for_slot=\"%" PRIu32 "\",for_pid=\"%" PRIu32 "\"", e->waits_for,
				other ? other->pid : 0);
			if (other)
				comm_label(to, "for_comm", other);
			fputs("} 1\n", to);
		}
	}
}

static void print_chunks(const struct look *l, FILE *to)
{
	static const char *const states[] = { "free", "filling", "held", "published" };
	static const char *const name = "shmipc_pool_chunks";
	const struct look_seg *s;
	uint32_t n[4], used;
	size_t i, k;

	head(to, name, "gauge",
	     "Chunks of the pool: never used, being filled, with a held message, or with another one.");
	for (i = 0; i < l->n; i++) {
		s = l->seg[i];
		if (s->err || !s->chunks)
			continue;
		used = s->chunks_free + s->chunks_owned + s->chunks_held;
		n[0] = s->chunks_free;
		n[1] = s->chunks_owned;
		n[2] = s->chunks_held;
		n[3] = s->chunks > used ? s->chunks - used : 0;
		for (k = 0; k < 4; k++) {
			fputs(name, to);
			label(to, "{", "segment", s->name);
			label(to, ",", "state", states[k]);
			fprintf(to, "} %" PRIu32 "\n", n[k]);
		}
	}
}

static void print_bytes(const struct look_seg *s, const char *name, uint64_t bytes, FILE *to)
{
	if (s->err)
		return;
	fputs(name, to);
	label(to, "{", "segment", s->name);
	fprintf(to, "} %" PRIu64 "\n", bytes);
}

static void print_info(const struct look *l, FILE *to)
{
	const struct look_seg *s;
	char user[TEXT_BYTES];
	size_t i;
	int k;

	head(to, "shmipc_segment_info", "gauge", "What the segment is.");
	for (i = 0; i < l->n; i++) {
		s = l->seg[i];
		if (s->err)
			continue;
		fputs("shmipc_segment_info", to);
		label(to, "{", "segment", s->name);
		fputs(",id=\"", to);
		for (k = 0; k < 16; k++)
			fprintf(to, "%02x", s->info.id[k]);
		putc('"', to);
		label(to, ",", "kind", kind_word(s->info.kind));
		label(to, ",", "backend", s->info.backend);
		label(to, ",", "owner", user_name(s->info.uid, user));
		fprintf(to, ",page_bytes=\"%" PRIu64 "\"} 1\n", s->info.page_got);
	}
	head(to, "shmipc_segment_created_timestamp_seconds", "gauge",
	     "When it was created: counters began then.");
	for (i = 0; i < l->n; i++) {
		if (l->seg[i]->err)
			continue;
		fputs("shmipc_segment_created_timestamp_seconds", to);
		label(to, "{", "segment", l->seg[i]->name);
		fprintf(to, "} %.3f\n", (double)l->seg[i]->info.created_ns / 1e9);
	}
	head(to, "shmipc_segment_size_bytes", "gauge", "What all of it takes when it has grown.");
	for (i = 0; i < l->n; i++)
		print_bytes(l->seg[i], "shmipc_segment_size_bytes", l->seg[i]->info.total_bytes, to);
	head(to, "shmipc_segment_memory_bytes", "gauge", "What it takes now.");
	for (i = 0; i < l->n; i++)
		print_bytes(l->seg[i], "shmipc_segment_memory_bytes", l->seg[i]->info.memory_bytes, to);
}

static void print_errors(const struct look *l, FILE *to)
{
	size_t i;

	head(to, "shmipc_segment_unreadable", "gauge", "1: it exists, and cannot be looked at.");
	for (i = 0; i < l->n; i++) {
		if (!l->seg[i]->err)
			continue;
		fputs("shmipc_segment_unreadable", to);
		label(to, "{", "segment", l->seg[i]->name);
		label(to, ",", "error", shmipc_error_name(l->seg[i]->err));
		fputs("} 1\n", to);
	}
}

void metrics_print(const struct metrics *m, FILE *to)
{
	const struct look *l = &m->look;
	size_t i;

	head(to, "shmipc_build_info", "gauge", "The version of this exporter.");
	fprintf(to, "shmipc_build_info{version=\"%s\"} 1\n", shmipc_version());
	head(to, "shmipc_look_duration_seconds", "gauge", "How long the look at all segments took.");
	fprintf(to, "shmipc_look_duration_seconds %.9f\n", (double)l->took_ns / 1e9);
	print_info(l, to);
	print_errors(l, to);
	for (i = 0; i < COUNT(of_segment); i++)
		print_segments(l, &of_segment[i], to);
	print_chunks(l, to);
	for (i = 0; i < COUNT(of_publisher); i++)
		print_ends(l, &of_publisher[i], is_publisher, to);
	for (i = 0; i < COUNT(of_subscriber); i++)
		print_ends(l, &of_subscriber[i], is_subscriber, to);
	print_waits_for(l, to);
	if (m->sampled)
		metrics_print_histograms(m, to);
}
