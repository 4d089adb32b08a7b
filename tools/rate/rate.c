// SPDX-License-Identifier: MIT
/* rate.c - how regularly, and how much, is published on one topic */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../util/json.h"
#include "rate.h"
#include "../util/util.h"
#include "../view/view.h"

/* A copier that copies nothing: payloads are counted, and not looked at. */
static void *no_alloc(size_t bytes, void *arg)
{
	static char nothing;

	(void)bytes;
	(void)arg;
	return &nothing;
}

static void no_free(void *ptr, void *arg)
{
	(void)ptr;
	(void)arg;
}

static int no_copy(void *dst, const void *src, size_t n, void *arg)
{
	(void)dst;
	(void)src;
	(void)n;
	(void)arg;
	return 0;
}

static const struct shmipc_copier no_copier = {
	.struct_bytes = sizeof(no_copier), .name = "none", .alloc = no_alloc, .free = no_free,
	.to_shm = no_copy, .from_shm = no_copy,
};

int rate_init(struct rate *r, const char *name, size_t window)
{
	*r = (struct rate){ .window = window, .last_seq = SHMIPC_POS_NONE };
	snprintf(r->name, sizeof(r->name), "%s", name);
	r->value = calloc(window, sizeof(*r->value));
	r->period_ns = tool_now_ns();
	return r->value ? 0 : -ENOMEM;
}

void rate_done(struct rate *r)
{
	rate_close(r);
	free(r->value);
}

int rate_open(struct rate *r, int hz)
{
	const struct shmipc_sub_opts opts = {
		.struct_bytes = sizeof(opts), .flags = SHMIPC_SUB_READ_ONLY, .copier = &no_copier,
		.spin_ns = SHMIPC_SPIN_NEVER,
	};
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	int err = shmipc_sub_open(&r->sub, r->name, NULL, &opts);

	if (err)
		return err;
	shmipc_sub_get_info(r->sub, &info);
	memcpy(r->id, info.id, sizeof(r->id));
	r->hz = hz;
	r->last_seq = SHMIPC_POS_NONE;
	return 0;
}

int rate_follows(struct rate *r, const uint8_t id[16])
{
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	uint64_t oldest, next;

	if (!memcmp(r->id, id, sizeof(r->id)))
		return 1;
	/* From a provisional topic it moves by itself, in a call. */
	(void)shmipc_sub_range(r->sub, &oldest, &next);
	shmipc_sub_get_info(r->sub, &info);
	memcpy(r->id, info.id, sizeof(r->id));
	return !memcmp(r->id, id, sizeof(r->id));
}

void rate_close(struct rate *r)
{
	shmipc_sub_close(r->sub);
	r->sub = NULL;
}

static void add_value(struct rate *r, uint64_t v)
{
	r->value[r->at] = v;
	r->at = (r->at + 1) % r->window;
	if (r->nvalues < r->window)
		r->nvalues++;
}

/* With the first message it is known what the topic is. */
static void look(struct rate *r)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	r->published = !shmipc_sub_get_stat(r->sub, &st) && st.meta & SHMIPC_META_MONO;
}

static void count(struct rate *r, const struct shmipc_msg *msg)
{
	uint64_t now;

	if (r->last_seq == SHMIPC_POS_NONE)
		look(r);
	now = r->published ? msg->mono_ns : tool_now_ns();

	r->messages++;
	r->period_messages++;
	r->bytes += msg->len;
	r->period_bytes += msg->len;
	if (!r->hz)
		add_value(r, msg->len);
	else if (r->last_seq != SHMIPC_POS_NONE && msg->seq == r->last_seq + 1)
		add_value(r, now > r->last_ns ? now - r->last_ns : 0);
	r->last_seq = msg->seq;
	r->last_ns = now;
}

unsigned int rate_read(struct rate *r, unsigned int max)
{
	struct shmipc_msg msg;
	unsigned int n = 0;
	uint64_t lost;
	int err;

	while (r->sub && n < max) {
		err = shmipc_sub_take(r->sub, &msg, 0);
		if (err == -ESTALE) {
			lost = shmipc_sub_lost(r->sub, NULL, NULL);
			r->lost += lost;
			r->period_lost += lost;
			n++;
			continue;
		}
		if (err == -EAGAIN || err == -EINTR)
			break;
		if (err) {
			tool_note("topic \"%s\": cannot be read any more (%s)", r->name, strerror(-err));
			rate_close(r);
			r->refused = 1;
			break;
		}
		count(r, &msg);
		shmipc_sub_release(r->sub, &msg);
		n++;
	}
	return n;
}

void rate_period(struct rate *r, uint64_t now_ns)
{
	r->period_messages = r->period_bytes = r->period_lost = 0;
	r->period_ns = now_ns;
}

struct spread {
	double min, mean, max, stddev;
};

static void spread_of(const struct rate *r, struct spread *ret)
{
	double sum = 0, squares = 0, v;
	size_t i;

	*ret = (struct spread){ 0, 0, 0, 0 };
	if (!r->nvalues)
		return;
	ret->min = ret->max = (double)r->value[0];
	for (i = 0; i < r->nvalues; i++) {
		v = (double)r->value[i];
		sum += v;
		ret->min = v < ret->min ? v : ret->min;
		ret->max = v > ret->max ? v : ret->max;
	}
	ret->mean = sum / (double)r->nvalues;
	for (i = 0; i < r->nvalues; i++) {
		v = (double)r->value[i] - ret->mean;
		squares += v * v;
	}
	ret->stddev = sqrt(squares / (double)r->nvalues);
}

static double seconds(const struct rate *r, uint64_t now_ns)
{
	return now_ns > r->period_ns ? (double)(now_ns - r->period_ns) / 1e9 : 1e-9;
}

/* Lost messages were published, too. */
static double per_second(const struct rate *r, uint64_t now_ns)
{
	return (double)(r->period_messages + r->period_lost) / seconds(r, now_ns);
}

#define ROW	"%-24s %12s %10s %10s %10s %10s %8s\n"

void rate_print_head(int hz)
{
	if (hz)
		printf(ROW, "NAME", "HZ", "MIN", "MEAN", "MAX", "STDDEV", "LOST");
	else
		printf(ROW, "NAME", "BYTES", "MIN", "MEAN", "MAX", "HZ", "LOST");
}

static const char *time_text(double ns, char text[TEXT_BYTES])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	unsigned int u = 0;

	while (u < 3 && ns >= 1000) {
		ns /= 1000;
		u++;
	}
	snprintf(text, TEXT_BYTES, "%.4g %s", ns, units[u]);
	return text;
}

static const char *value_text(const struct rate *r, int hz, double v, char text[TEXT_BYTES])
{
	if (!r->nvalues)
		return "-";
	return hz ? time_text(v, text) : format_bytes((uint64_t)(v + 0.5), text);
}

void rate_print(const struct rate *r, int hz, uint64_t now_ns)
{
	char rate[TEXT_BYTES], min[TEXT_BYTES], mean[TEXT_BYTES], max[TEXT_BYTES];
	char last[TEXT_BYTES], lost[TEXT_BYTES];
	struct spread s;

	spread_of(r, &s);
	if (hz) {
		snprintf(rate, sizeof(rate), "%.5g", per_second(r, now_ns));
	} else {
		format_rate((double)r->period_bytes / seconds(r, now_ns), rate);
		snprintf(last, sizeof(last), "%.5g", per_second(r, now_ns));
	}
	snprintf(lost, sizeof(lost), "%" PRIu64, r->lost);
	printf(ROW, r->name, r->sub ? rate : "not there", value_text(r, hz, s.min, min),
	       value_text(r, hz, s.mean, mean), value_text(r, hz, s.max, max),
	       hz ? value_text(r, hz, s.stddev, last) : last, lost);
}

void rate_print_json(const struct rate *r, int hz, uint64_t now_ns)
{
	struct spread s;
	json_t *obj;

	spread_of(r, &s);
	obj = json_pack("{s:s, s:b, s:f, s:f, s:f, s:I, s:I, s:I, s:I}", "topic", r->name,
			"there", !!r->sub, "seconds", seconds(r, now_ns),
			"hz", per_second(r, now_ns),
			"bytes_per_s", (double)r->period_bytes / seconds(r, now_ns),
			"messages", json_u64(r->messages), "bytes", json_u64(r->bytes),
			"lost", json_u64(r->lost), "window", json_u64(r->nvalues));
	if (obj && r->nvalues && hz)
		json_object_update_new(obj, json_pack("{s:f, s:f, s:f, s:f, s:s}",
			"min_s", s.min / 1e9, "mean_s", s.mean / 1e9, "max_s", s.max / 1e9,
			"stddev_s", s.stddev / 1e9, "clock", r->published ? "published" : "received"));
	else if (obj && r->nvalues)
		json_object_update_new(obj, json_pack("{s:f, s:f, s:f, s:f}",
			"min_bytes", s.min, "mean_bytes", s.mean, "max_bytes", s.max,
			"stddev_bytes", s.stddev));
	json_line(stdout, obj);
}
