// SPDX-License-Identifier: MIT
/* take.c - the values of options */
#include <stdlib.h>
#include <string.h>
#include <shmipc/topic.h>
#include "take.h"
#include "../util/util.h"

/* One of the words in @words, by its place; ends the process. */
static size_t a_word(const struct opts *o, const char *option, const char *text,
		     const char *const *words, size_t n, const char *expected)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(text, words[i]))
			return i;
	opts_refuse(o->command, "--%s: found \"%s\", expected %s", option, text, expected);
}

static uint64_t a_size(const struct opts *o, const char *option, const char *text)
{
	uint64_t v = 0;

	if (parse_size(text, &v) || !v)
		opts_refuse(o->command, "--%s: found \"%s\", expected bytes, as 4096 or 64K",
			    option, text);
	return v;
}

static uint64_t a_number(const struct opts *o, const char *option, const char *text,
			 uint64_t min, uint64_t max)
{
	uint64_t v = 0;

	if (parse_number(text, max, &v) || v < min)
		opts_refuse(o->command,
			    "--%s: found \"%s\", expected a number from %llu to %llu", option,
			    text, (unsigned long long)min, (unsigned long long)max);
	return v;
}

static uint32_t a_mode(const struct opts *o, const char *text)
{
	unsigned long v;
	char *end;

	v = strtoul(text, &end, 8);
	if (*end || end == text || *text == '-' || *text == '+' || !v || v > 0777)
		opts_refuse(o->command, "--mode: found \"%s\", expected octal digits up to 777",
			    text);
	return (uint32_t)v;
}

static uint64_t a_page(const struct opts *o, const char *text)
{
	static const char *const words[] = { "auto", "4k", "2m", "1g", "4K", "2M", "1G" };
	static const uint64_t pages[] = { 0, SHMIPC_PAGE_4K, SHMIPC_PAGE_2M, SHMIPC_PAGE_1G };
	size_t i = a_word(o, "page", text, words, 7, "4k, 2m, 1g or auto");

	return pages[i > 3 ? i - 3 : i];
}

static uint64_t a_wait(const struct opts *o, const char *text)
{
	static const char *const words[] = { "auto", "spin", "block" };
	static const uint64_t spins[] = { 0, SHMIPC_SPIN_ALWAYS, SHMIPC_SPIN_NEVER };

	return spins[a_word(o, "wait", text, words, 3, "spin, block or auto")];
}

static uint64_t a_time(const struct opts *o, const char *option, const char *text)
{
	uint64_t ns = 0;

	if (parse_seconds(text, &ns))
		opts_refuse(o->command, "--%s: found \"%s\", expected seconds, as 2 or 0.5",
			    option, text);
	return ns;
}

/* Words separated by commas, as bits: 1 << the word's place, or-ed. */
static uint32_t a_list(const struct opts *o, const char *option, const char *text,
		       const char *const *words, size_t n, const char *expected)
{
	uint32_t bits = 0;
	char word[24];
	size_t len;

	for (;;) {
		len = strcspn(text, ",");
		if (len >= sizeof(word))
			opts_refuse(o->command, "--%s: found \"%s\", expected %s", option, text,
				    expected);
		memcpy(word, text, len);
		word[len] = 0;
		bits |= 1u << a_word(o, option, word, words, n, expected);
		if (!text[len])
			return bits;
		text += len + 1;
	}
}

static uint32_t a_meta(const struct opts *o, const char *text)
{
	static const char *const words[] = { "pub-id", "pub-seq", "mono", "wall", "all" };
	uint32_t bits = a_list(o, "meta", text, words, 5,
			       "words of pub-id, pub-seq, mono, wall, all");

	return bits & 1u << 4 ? SHMIPC_META_ALL : bits;
}

static const char *const policies[] = { "lossy", "lossless", "evict" };

/* The words are in the order of enum shmipc_policy, which begins with 1. */
static uint32_t a_policy(const struct opts *o, const char *text)
{
	return (uint32_t)a_word(o, "policy", text, policies, 3, "lossy, lossless or evict") + 1;
}

static void take_from(struct opts *o, const char *text)
{
	static const char *const words[] = { "new", "oldest", "newest" };
	static const uint32_t starts[] = { SHMIPC_START_NEW, SHMIPC_START_OLDEST,
					   SHMIPC_START_NEWEST };

	if (!parse_number(text, UINT64_MAX >> 2, &o->start_seq)) {
		o->start = SHMIPC_START_SEQ;
		return;
	}
	o->start = starts[a_word(o, "from", text, words, 3,
				 "new, newest, oldest or the number of a message")];
}

static void take_stride(struct opts *o, const char *text)
{
	const char *slash = strchr(text, '/');
	char n[24];

	if (!slash || slash == text || (size_t)(slash - text) >= sizeof(n))
		goto refuse;
	memcpy(n, text, (size_t)(slash - text));
	n[slash - text] = 0;
	if (parse_number(n, NUMBER_MAX, &o->stride) || !o->stride ||
	    parse_number(slash + 1, o->stride - 1, &o->at))
		goto refuse;
	return;
refuse:
	opts_refuse(o->command, "--stride: found \"%s\", expected N/AT, as 3/0, with AT less than N",
		    text);
}

static void add(const struct opts *o, struct opts_many *to, const char *option, const char *text)
{
	if (to->n == OPTS_MANY)
		opts_refuse(o->command, "--%s: more than %u of them", option, OPTS_MANY);
	to->text[to->n++] = text;
}

/* KEY=... */
static void add_pair(const struct opts *o, struct opts_many *to, const char *option,
		     const char *text)
{
	const char *eq = strchr(text, '=');

	if (!eq || eq == text || eq - text > SHMIPC_HEADERS_KEY_MAX)
		opts_refuse(o->command, "--%s: found \"%s\", expected a key of 1 to 255 bytes, \"=\" and a value",
			    option, text);
	add(o, to, option, text);
}

static uint32_t a_format(const struct opts *o, const char *text)
{
	static const char *const words[] = { "raw", "lines", "hex", "json" };

	return FORMAT_RAW + (uint32_t)a_word(o, "format", text, words, 4,
					     "raw, lines, hex or json");
}

/* What is made. */
static void take_segment(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'r':
		o->ring = a_size(o, "ring", arg);
		break;
	case 'p':
		o->page = a_page(o, arg);
		break;
	case KEY_NODE:
		o->node = (int32_t)a_number(o, "node", arg, 0, 1023);
		o->has_node = 1;
		break;
	case KEY_ALIGN:
		o->align = a_number(o, "align", arg, 1, o->command->bit & FOR_RING ? 64 : 4096);
		break;
	case KEY_MODE:
		o->mode = a_mode(o, arg);
		break;
	case KEY_PERSIST:
		o->persist = 1;
		break;
	}
}

static void take_topic(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case KEY_PUBLISHERS:
		o->publishers = (uint32_t)a_number(o, "publishers", arg, 1, UINT32_MAX);
		break;
	case KEY_SUBSCRIBERS:
		o->subscribers = (uint32_t)a_number(o, "subscribers", arg, 1, UINT32_MAX);
		break;
	case KEY_HISTORY:
		o->history = a_number(o, "history", arg, 1, UINT64_MAX);
		break;
	case KEY_INLINE:
		o->inline_bytes = a_size(o, "inline", arg);
		break;
	case KEY_POOL:
		o->no_pool = !strcmp(arg, "0");
		o->pool = o->no_pool ? 0 : a_size(o, "pool", arg);
		break;
	case KEY_HOLDS:
		o->holds = (uint32_t)a_number(o, "holds", arg, 1, UINT32_MAX);
		break;
	case KEY_META:
		o->meta = a_meta(o, arg);
		break;
	case KEY_POLICIES:
		o->policies = a_list(o, "policies", arg, policies, 3,
				     "words of lossy, lossless, evict") << 1;
		break;
	case KEY_EVICT:
		o->evict_ns = a_time(o, "evict-after", arg);
		if (!o->evict_ns)
			opts_refuse(o->command, "--evict-after: found \"%s\", expected more than 0",
				    arg);
		break;
	default:
		take_segment(o, key, arg);
	}
}

static void take_sub(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case KEY_FROM:
		take_from(o, arg);
		break;
	case KEY_NEWEST:
		o->newest = 1;
		break;
	case KEY_POLICY:
		o->policy = a_policy(o, arg);
		break;
	case KEY_GROUP:
		o->group = (uint32_t)a_number(o, "group", arg, 1, SHMIPC_TOPIC_GROUPS);
		break;
	case KEY_STRIDE:
		take_stride(o, arg);
		break;
	case KEY_FILTER:
		add_pair(o, &o->filters, "filter", arg);
		break;
	case KEY_MATCH:
		o->match = arg;
		break;
	case 'F':
		o->format = a_format(o, arg);
		break;
	case KEY_HEADERS:
		o->show_headers = 1;
		break;
	case KEY_READ_ONLY:
		o->read_only = 1;
		break;
	case KEY_UNTIL_GONE:
		o->until_gone = 1;
		break;
	case KEY_STRICT:
		o->strict = 1;
		break;
	default:
		take_topic(o, key, arg);
	}
}

static void add_pid(struct opts *o, const char *text)
{
	a_number(o, "pid", text, 1, INT32_MAX);
	if (o->pids.n == OPTS_MANY)
		opts_refuse(o->command, "--pid: more than %u of them", OPTS_MANY);
	o->pids.text[o->pids.n++] = text;
}

/* In the order of enum top_sort. */
static const char *const sorts[] = { "rate", "bytes", "occupancy", "lag", "losses", "name" };

static void take_top(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case KEY_SORT:
		o->sort = (uint32_t)a_word(o, "sort", arg, sorts, 6,
					   "rate, bytes, occupancy, lag, losses or name");
		break;
	case KEY_PLAIN:
		o->plain = 1;
		break;
	case KEY_TEXTFILE:
		o->textfile = arg;
		break;
	case KEY_LISTEN:
		o->listen = arg;
		break;
	default:
		take_sub(o, key, arg);
	}
}

static double a_rate(const struct opts *o, const char *text)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 1e-6 && v <= 1e9))
		opts_refuse(o->command, "--rate: found \"%s\", expected messages a second, as 100 or 0.5",
			    text);
	return v;
}

static void take_end(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'w':
		o->spin_ns = a_wait(o, arg);
		break;
	case 't':
		o->timeout_ns = a_time(o, "timeout", arg);
		break;
	case KEY_NO_DRAIN:
		o->no_drain = 1;
		break;
	case KEY_FOLLOW:
		o->follow = 1;
		break;
	case KEY_WAIT_SUBS:
		o->wait_subs = a_number(o, "wait-subscribers", arg, 1, UINT32_MAX);
		break;
	case KEY_RATE:
		o->rate = a_rate(o, arg);
		break;
	case 'H':
		add_pair(o, &o->headers, "header", arg);
		break;
	case KEY_WINDOW:
		o->window = a_number(o, "window", arg, 2, WINDOW_MAX);
		break;
	case KEY_EVERY:
		o->every_ns = a_time(o, "every", arg);
		o->every_given = 1;
		if (o->every_ns < NS_PER_MS)
			opts_refuse(o->command, "--every: found \"%s\", expected 0.001 or more", arg);
		break;
	default:
		take_top(o, key, arg);
	}
}

/* The words are in the order of the bits. */
static uint32_t a_source(const struct opts *o, const char *text)
{
	static const char *const words[] = { "probes", "module", "counters", "all" };
	uint32_t bits = a_list(o, "source", text, words, 4, "words of probes, module, counters, all");

	return bits & 1u << 3 ? 0 : bits;
}

static void take_trace(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case KEY_EVENTS:
		o->events = arg;
		break;
	case KEY_HISTOGRAM:
		o->histogram = arg;
		break;
	case KEY_SLOW:
		o->slow = 1;
		break;
	case KEY_DEATHS:
		o->deaths = 1;
		break;
	case KEY_STACK:
		o->stack = 1;
		break;
	case KEY_SOURCE:
		o->sources = a_source(o, arg);
		break;
	case KEY_SAMPLE:
		o->sample = 1;
		break;
	case 'p':
		add_pid(o, arg);
		break;
	case KEY_CGROUP:
		o->cgroup = arg;
		break;
	case 'd':
		o->duration_ns = a_time(o, "duration", arg);
		if (!o->duration_ns)
			opts_refuse(o->command, "--duration: found \"%s\", expected more than 0", arg);
		break;
	case KEY_BUFFER:
		o->buffer = a_size(o, "buffer", arg);
		break;
	case KEY_RECORD:
		o->record = arg;
		break;
	case KEY_READ:
		o->read = arg;
		break;
	case KEY_PLOT:
		o->plot = arg;
		break;
	default:
		take_end(o, key, arg);
	}
}

void opts_take(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'f':
		if (arg)
			o->file = arg;
		else
			o->force = 1;
		break;
	case 'm':
		o->message = arg;
		break;
	case 'l':
		o->lines = 1;
		break;
	case 's':
		o->size = a_size(o, "size", arg);
		break;
	case KEY_REPEAT:
		o->repeat = a_number(o, "repeat", arg, 1, NUMBER_MAX);
		break;
	case 'c':
		o->count = a_number(o, "count", arg, 1, UINT64_MAX);
		break;
	case 'j':
		o->json = 1;
		break;
	case 'q':
		o->quiet = 1;
		break;
	case 'n':
		o->dry_run = 1;
		break;
	case 'e':
		o->ends = 1;
		break;
	case KEY_NEW:
		o->only_new = 1;
		break;
	default:
		if (o->command->bit & FOR_TRACE)
			take_trace(o, key, arg);
		else
			take_end(o, key, arg);
	}
}
