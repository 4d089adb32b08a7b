// SPDX-License-Identifier: MIT
/* bench.c - `shmipc bench`: what to measure, and with which options */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmipc/shmipc.h>

#include "commands.h"
#include "../bench/bench.h"
#include "../opts/values.h"
#include "../util/util.h"

#define WHAT_LIMITS	0x1u
#define WHAT_SPSC	0x2u
#define WHAT_BCAST	0x4u
#define WHAT_RTT	0x8u
#define WHAT_PEERS	0x10u
#define WHAT_COPIER	0x20u
#define WHAT_TOPIC	0x40u
#define WHAT_PUBLISH	0x80u
#define WHAT_LOAN	0x100u
#define WHAT_TOPIC_RTT	0x200u
#define WHAT_LATENCY	0x400u
#define WHAT_LOCK	0x800u
#define WHAT_EVENT	0x1000u
#define WHAT_QUEUE	0x2000u
#define WHAT_RINGLESS	(WHAT_COPIER | WHAT_LOCK | WHAT_EVENT | WHAT_QUEUE)
#define WHAT_TOPICS	(WHAT_TOPIC | WHAT_PUBLISH | WHAT_LOAN | WHAT_TOPIC_RTT | WHAT_LATENCY)

static const struct {
	const char *name;
	unsigned int what;
} whats[] = {
	{ "limits", WHAT_LIMITS },
	{ "spsc", WHAT_SPSC },
	{ "bcast", WHAT_BCAST },
	{ "rtt", WHAT_RTT },
	{ "peers", WHAT_PEERS },
	{ "copier", WHAT_COPIER },
	{ "topic", WHAT_TOPIC },
	{ "topic-publish", WHAT_PUBLISH },
	{ "topic-loan", WHAT_LOAN },
	{ "topic-rtt", WHAT_TOPIC_RTT },
	{ "topic-latency", WHAT_LATENCY },
	{ "lock", WHAT_LOCK },
	{ "event", WHAT_EVENT },
	{ "queue", WHAT_QUEUE },
	{ "all", WHAT_LIMITS | WHAT_SPSC | WHAT_BCAST | WHAT_RTT },
};

static const size_t size_rate[] = { 64, 256, 1264, 4096 };
static const size_t size_rtt[] = { 64 };
static const size_t size_copier[] = {
	64, 256, 1024, 4096, 16384, 65536, 262144, 1 << 20, 4 << 20, 16 << 20, 64 << 20,
};

static const char *const names[] = {
	"limits", "spsc", "bcast", "rtt", "peers", "copier", "topic", "topic-publish", "topic-loan",
	"topic-rtt", "topic-latency", "lock", "event", "queue",
	"all", NULL
};

static void take_sizes(const struct opt *opt, const char *text, void *to)
{
	struct bench_opts *o = to;
	char word[24];
	const char *p;
	uint64_t v;
	size_t len;

	for (p = text, o->sizes = 0; o->sizes < BENCH_SIZES_MAX; p += len + 1) {
		len = strcspn(p, ",");
		snprintf(word, sizeof(word), "%.*s", (int)len, p);
		if (len >= sizeof(word) || parse_size(word, &v) || !v || v > UINT64_C(1) << 40)
			break;
		o->size[o->sizes++] = (size_t)v;
		if (!p[len])
			return;
	}
	opt_refuse(opt, text, "expected 1 to %u sizes in bytes, separated by commas", BENCH_SIZES_MAX);
}

static void take_cpus(const struct opt *opt, const char *text, void *to)
{
	const char *comma = strchr(text, ',');
	uint64_t a, b;
	char first[8];

	snprintf(first, sizeof(first), "%.*s", comma ? (int)(comma - text) : 0, text);
	if (!comma || comma - text >= (ptrdiff_t)sizeof(first) ||
	    parse_number(first, CPU_SETSIZE - 1, &a) || parse_number(comma + 1, CPU_SETSIZE - 1, &b))
		opt_refuse(opt, text, "expected two CPU numbers separated by a comma, as 0,1");
	((int *)to)[0] = (int)a;
	((int *)to)[1] = (int)b;
}

static void take_page(const struct opt *opt, const char *text, void *to)
{
	static const uint64_t sizes_of[] = { SHMIPC_PAGE_4K, SHMIPC_PAGE_2M, 0 };

	*(uint64_t *)to = sizes_of[opt_word(opt, text, NULL)];
}

static void take_wait(const struct opt *opt, const char *text, void *to)
{
	struct bench_opts *o = to;

	o->wait = opt_word(opt, text, NULL) ? BENCH_SLEEP : BENCH_SPIN;
	o->wait_given = 1;
}

static void take_duration(const struct opt *opt, const char *text, void *to)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= 0.001 && v <= 3600))
		opt_refuse(opt, text, "expected 0.001 to 3600 seconds");
	*(double *)to = v;
}

static void take_align(const struct opt *opt, const char *text, void *to)
{
	uint64_t v = 0;

	if (parse_number(text, 64, &v) || v < 8 || (v & (v - 1)))
		opt_refuse(opt, text, "expected 8, 16, 32 or 64");
	*(uint32_t *)to = (uint32_t)v;
}

static void take_copier(const struct opt *opt, const char *text, void *to)
{
	const struct shmipc_copier *c;

	(void)opt;
	if (shmipc_copier_find(&c, text)) {
		tool_error_whole(shmipc_error_text());
		exit(RC_USAGE);
	}
	*(const char **)to = c->name;
}

static void take_ring(const struct opt *opt, const char *text, void *to)
{
	uint64_t v = opt_size(opt, text), *bytes = to;

	for (*bytes = SHMIPC_RING_SIZE_MIN; *bytes < v;)
		*bytes *= 2;
}

static const char *const pages[] = { "4k", "2m", "auto", NULL };
static const char *const waits[] = { "spin", "block", NULL };

static const struct opt options[] = {
	{ .name = "size", .arg = "BYTES[,BYTES]...", .take = take_sizes,
	  .help = "sizes of messages; without this 64,256,1264,4096; for rtt 64; "
		  "for queue 64,1024; for copier 64 to 64M" },
	{ .name = "seconds", .arg = "SECONDS", .preset = "0.3", .take = take_duration,
	  .at = offsetof(struct bench_opts, seconds), .help = "length of one measurement" },
	{ .name = "runs", .arg = "N", .min = 1, .max = BENCH_RUNS_MAX, .preset = "9",
	  .take = take_size32, .at = offsetof(struct bench_opts, runs),
	  .help = "measurements that must count" },
	{ .name = "cpus", .arg = "A,B", .take = take_cpus, .at = offsetof(struct bench_opts, cpu),
	  .help = "the CPU of the producer and that of the consumer; without this the first one, "
		  "and the first one on another core" },
	{ .name = "publish", .arg = "N", .min = 1, .max = 1u << 20, .preset = "1",
	  .take = take_size32, .at = offsetof(struct bench_opts, publish),
	  .help = "messages in a batch" },
	{ .name = "page", .words = pages, .library = "auto", .take = take_page,
	  .at = offsetof(struct bench_opts, page), .help = "page size to ask for" },
	{ .name = "ring", .arg = "BYTES", .min = SHMIPC_RING_SIZE_MIN, .max = SHMIPC_RING_SIZE_MAX,
	  .preset = "1M", .take = take_ring, .at = offsetof(struct bench_opts, ring_bytes),
	  .help = "size of the ring, rounded up to a power of two" },
	{ .name = "align", .arg = "BYTES", .preset = "8", .take = take_align,
	  .at = offsetof(struct bench_opts, align),
	  .help = "alignment of messages: 8, 16, 32 or 64" },
	{ .name = "wait", .words = waits, .take = take_wait,
	  .help = "never sleep, or sleep at once; without this spin, and rtt is done both ways" },
	{ .name = "copier", .arg = "NAME", .take = take_copier,
	  .at = offsetof(struct bench_opts, copier),
	  .help = "use this copier only; without this, copier measures all that this processor "
		  "can run" },
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct bench_opts, json),
	  .help = "write objects, one a line" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .title = "Topics:", .opts = bench_topic_options,
	  .at = offsetof(struct bench_opts, topic) },
	{ .title = "Locks:", .opts = bench_lock_options,
	  .at = offsetof(struct bench_opts, lock) },
	{ .title = "Queues:", .opts = bench_queue_options,
	  .at = offsetof(struct bench_opts, queue) },
	{ .opts = NULL },
};

static int same_core(int a, int b)
{
	char path[96], text[256] = "";
	FILE *f;
	const char *p = text;
	long from, to;
	char *end;

	snprintf(path, sizeof(path),
		 "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", a);
	f = fopen(path, "r");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	while (*p >= '0' && *p <= '9') {	/* as "0-1,4" */
		from = to = strtol(p, &end, 10);
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		if (b >= from && b <= to)
			return 1;
		p = *end == ',' ? end + 1 : end;
	}
	return 0;
}

/* The first CPU that we may use, and the first one that is not on its core. */
static int default_cpus(const cpu_set_t *may, struct bench_opts *o)
{
	int cpu, second = -1;

	o->cpu[0] = o->cpu[1] = -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET((size_t)cpu, may))
			continue;
		if (o->cpu[0] < 0) {
			o->cpu[0] = cpu;
		} else if (!same_core(o->cpu[0], cpu)) {
			o->cpu[1] = cpu;
			return 0;
		} else if (second < 0) {
			second = cpu;
		}
	}
	o->cpu[1] = second < 0 ? o->cpu[0] : second;
	return 0;
}

static int choose_cpus(struct bench_opts *o)
{
	cpu_set_t may;
	int i;

	if (sched_getaffinity(0, sizeof(may), &may)) {
		fprintf(stderr, "shmipc: bench: sched_getaffinity: %s\n", strerror(errno));
		return -1;
	}
	if (o->cpu[0] < 0)
		return default_cpus(&may, o);
	for (i = 0; i < 2; i++) {
		if (!CPU_ISSET((size_t)o->cpu[i], &may)) {
			fprintf(stderr, "shmipc: bench: --cpus: CPU %d does not exist or is not allowed for "
				"this process (EINVAL); taskset -p $$ shows which are\n",
				o->cpu[i]);
			return -1;
		}
	}
	return 0;
}

/* Refuse messages and batches that the ring can never hold. */
static int check_sizes(const struct bench_opts *o, unsigned int what)
{
	uint32_t kind = what & WHAT_BCAST ? SHMIPC_KIND_BCAST : SHMIPC_KIND_SPSC;
	uint64_t max = shmipc_ring_max_payload(kind, o->ring_bytes);
	unsigned int i;

	/* Only the throughput of topics is compared with a ring. */
	for (i = 0; i < o->sizes && what & ~(WHAT_RINGLESS | (WHAT_TOPICS & ~WHAT_TOPIC)); i++) {
		if (o->size[i] > max && what != WHAT_LIMITS) {
			fprintf(stderr, "shmipc: bench: you asked for --size %zu, the largest message "
				"of a --ring of %llu bytes has %llu (EMSGSIZE); use a larger --ring\n",
				o->size[i], (unsigned long long)o->ring_bytes,
				(unsigned long long)max);
			return -1;
		}
	}
	return 0;
}

static unsigned int measured;

static int one(struct bench_case *c, const struct bench_opts *o, size_t size)
{
	struct bench_report r;

	if (c->step.spins && o->cpu[0] == o->cpu[1]) {
		fprintf(stderr, "shmipc: bench: %s: two processes that spin on one CPU (%d) would "
			"measure the scheduler; left out%s\n", c->name, o->cpu[0],
			c->limit[0].side[0] ? ", use --wait block" : "");
		return 0;
	}
	measured++;
	if (bench_series(c, o, size, &r))
		return -1;
	if (o->json)
		return bench_report_json(&r, o);
	bench_report_text(&r);
	return 0;
}

static int sizes(struct bench_case *c, const struct bench_opts *o, const size_t *size, size_t n)
{
	size_t i;

	if (o->sizes) {
		size = o->size;
		n = o->sizes;
	}
	for (i = 0; i < n; i++)
		if (one(c, o, size[i]))
			return -1;
	return 0;
}

static int throughput(struct bench_case *c, const struct bench_opts *o)
{
	c->limit[0] = bench_limit_stream;
	c->limit[1] = bench_limit_string;
	c->wait = o->wait;
	c->step.spins = o->wait == BENCH_SPIN;
	return sizes(c, o, size_rate, sizeof(size_rate) / sizeof(size_rate[0]));
}

static int round_trips(const struct bench_opts *o)
{
	const size_t n = sizeof(size_rtt) / sizeof(size_rtt[0]);

	bench_rtt_spin.limit[0] = bench_limit_pingpong;
	bench_rtt_sleep.limit[0] = bench_limit_futex;
	if (!(o->wait_given && o->wait == BENCH_SLEEP) && sizes(&bench_rtt_spin, o, size_rtt, n))
		return -1;
	if (!(o->wait_given && o->wait == BENCH_SPIN) && sizes(&bench_rtt_sleep, o, size_rtt, n))
		return -1;
	return 0;
}

static int peers(const struct bench_opts *o)
{
	const size_t n_rate = sizeof(size_rate) / sizeof(size_rate[0]);
	struct bench_case *c;
	unsigned int i;

	bench_peer_index.limit[0] = bench_limit_stream;
	bench_peer_index.limit[1] = bench_limit_string;
	if (sizes(&bench_peer_index, o, size_rate, n_rate))
		return -1;
	for (i = 0; i < bench_peer_rtt_count; i++) {
		c = &bench_peer_rtt[i];
		c->limit[0] = c->step.spins ? bench_limit_pingpong : bench_limit_futex;
		if (sizes(c, o, size_rtt, sizeof(size_rtt) / sizeof(size_rtt[0])))
			return -1;
	}
	/* The library's own topics beside the other libraries. */
	if (bench_topic_rates(o, sizes) || bench_topic_rtts(o, sizes))
		return -1;
	return bench_others(o, sizes);
}

static int copier_sizes(struct bench_case *c, void *arg)
{
	return sizes(c, (const struct bench_opts *)arg, size_copier,
		     sizeof(size_copier) / sizeof(size_copier[0]));
}

static int run_all(struct bench_opts *o, unsigned int what)
{
	unsigned int i;

	if (what & WHAT_LIMITS)
		for (i = 0; i < bench_limits_count; i++)
			if (one(&bench_limits[i], o, 0))
				return -1;
	if (what & WHAT_SPSC && throughput(&bench_spsc, o))
		return -1;
	if (what & WHAT_BCAST && throughput(&bench_bcast, o))
		return -1;
	if (what & WHAT_RTT && round_trips(o))
		return -1;
	if (what & WHAT_PEERS && peers(o))
		return -1;
	if (what & WHAT_COPIER && bench_copiers(o->copier, copier_sizes, o))
		return -1;
	if (what & WHAT_TOPIC && bench_topic_rates(o, sizes))
		return -1;
	if (what & WHAT_PUBLISH && bench_topic_publishes(o, sizes))
		return -1;
	if (what & WHAT_LOAN && bench_topic_loans(o, sizes))
		return -1;
	if (what & WHAT_TOPIC_RTT && bench_topic_rtts(o, sizes))
		return -1;
	if (what & WHAT_LATENCY && bench_topic_latencies(o, sizes))
		return -1;
	if (what & WHAT_LOCK && bench_locks(o, one))
		return -1;
	if (what & WHAT_EVENT && bench_events(o, one))
		return -1;
	if (what & WHAT_QUEUE && bench_queues(o, one))
		return -1;
	return 0;
}

static unsigned int what_of(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(whats) / sizeof(whats[0]); i++)
		if (!strcmp(name, whats[i].name))
			return whats[i].what;
	return 0;
}

static void refuse_what(const char *name)
{
	const char *nearest = opts_nearest(name, names, sizeof(names) / sizeof(names[0]) - 1);

	if (nearest)
		opts_refuse("\"%s\" is not a bench; did you mean %s? (EINVAL)", name, nearest);
	opts_refuse("\"%s\" is not a bench (EINVAL)", name);
}

static int run_bench(int argc, char **argv)
{
	struct bench_opts o = { .cpu = { -1, -1 } };
	struct opts_args args;
	unsigned int what;

	opts_parse(&cmd_bench, argc, argv, &o, &args);
	what = what_of(args.text[0]);
	if (!what)
		refuse_what(args.text[0]);
	if (!o.topic.subscribers)
		o.topic.subscribers = what == WHAT_PUBLISH ? 16 : 1;
	if (choose_cpus(&o) || check_sizes(&o, what))
		return RC_USAGE;
	(void)bench_cpus();
	bench_ticks_calibrate();
	bench_kernel_init();
	if (!o.json)
		bench_report_head(&o);
	return run_all(&o, what) || !measured ? RC_FAIL : RC_OK;
}

const struct command cmd_bench = {
	.name = "bench", .brief = "measure how fast it is on this machine",
	.args = "WHAT", .arg_words = names, .min_args = 1, .max_args = 1,
	.about =
	"Measures WHAT, several times, each time beside the limit of this machine:\n\n"
	"  limits         what the machine itself can do: round trip, streaming, futex\n"
	"  spsc           throughput of the lossless ring\n"
	"  bcast          throughput of the overwriting log; losses are counted apart\n"
	"  rtt            a message there and back\n"
	"  peers          other ways to move a message, measured alike\n"
	"  topic          throughput of topics made for one publisher and for many\n"
	"  topic-publish  what a publication costs, with many subscribers and with one\n"
	"  topic-loan     from the publication of a loan to its receipt\n"
	"  topic-rtt      a message there on one topic and back on another\n"
	"  topic-latency  from publication to receipt, of messages at a fixed rate\n"
	"  lock           locks that are free, that two want, and that many want\n"
	"  event          notifications, and round trips of them\n"
	"  queue          items of many producers, for competing consumers\n"
	"  copier         copies into shared memory and out of it, by each copier\n"
	"  all            limits, spsc, bcast, rtt\n",
	.notes =
	"BYTES and N may end in K, M or G. shmipc-bench(1) explains the figures.\n",
	.groups = groups, .run = run_bench,
};
