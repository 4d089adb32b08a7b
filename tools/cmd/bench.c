// SPDX-License-Identifier: MIT
/* bench.c - `shmipc bench`: what to measure, and with which options */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shmipc/shmipc.h>

#include "../bench/bench.h"

#define EXIT_USAGE	2

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
	{ "all", WHAT_LIMITS | WHAT_SPSC | WHAT_BCAST | WHAT_RTT },
};

static const size_t size_rate[] = { 64, 256, 1264, 4096 };
static const size_t size_rtt[] = { 64 };
static const size_t size_copier[] = {
	64, 256, 1024, 4096, 16384, 65536, 262144, 1 << 20, 4 << 20, 16 << 20, 64 << 20,
};

static void usage(FILE *f)
{
	fprintf(f,
"usage: shmipc bench WHAT [options]\n"
"\n"
"  limits           what the machine can do: raw round trip, streaming, futex, eventfd\n"
"  spsc             throughput of the lossless ring\n"
"  bcast            throughput of the overwriting log; what is lost is counted apart\n"
"  rtt              a message there and back\n"
"  peers            other ways to move a message, measured alike, to compare with\n"
"  topic            throughput of topics made for one publisher and for many\n"
"  topic-publish    what a publication costs, with many subscribers and with one\n"
"  topic-loan       from the publication of a loan to its receipt\n"
"  topic-rtt        a message there on one topic and back on another\n"
"  topic-latency    from publish to receipt, of messages at a fixed rate\n"
"  copier           copies into shared memory and out of it, by each copier\n"
"  all              limits, spsc, bcast, rtt\n"
"\n"
"  --size N[,N...]  bytes of a message (64,256,1264,4096; rtt: 64; copier: 64 to 64m)\n"
"  --seconds S      of one measurement (0.3)\n"
"  --runs N         measurements that must count (9)\n"
"  --cpus A,B       the producer's CPU and the consumer's\n"
"  --publish N      messages in a batch (1)\n"
"  --page 4k|2m     page size to ask for (the library's choice)\n"
"  --ring BYTES     of records, k and m are understood (1m)\n"
"  --align N        of payloads: 8, 16, 32, 64 (8)\n"
"  --wait spin|block  never sleep, or sleep at once (spin; rtt: both)\n"
"  --copier NAME    this one only (all that the processor can run)\n"
"\n"
"topics:\n"
"  --publishers N, --subscribers N  (1; topic-publish: 16 subscribers)\n"
"  --policy lossless|lossy|evict    of the subscribers (lossless)\n"
"  --made-for one|many  publishers (both; with more than one publisher: many)\n"
"  --loan           fill in place and take in place, instead of copies\n"
"  --cold           topic-loan: the 4 KiB that it is compared with have caches as cold\n"
"  --inline BYTES, --history N, --pool BYTES  of the topic (the library's)\n"
"  --meta, --headers  with all meta fields; with a chain that adds a header\n"
"  --rate R         topic-latency: messages a second (1000)\n"
"\n"
"  --json           one object per line\n"
"\n"
"shmipc-bench(1) explains the figures.\n");
}

int bench_bad(const char *option, const char *value, const char *want)
{
	fprintf(stderr, "shmipc: bench: --%s \"%s\": want %s (EINVAL); see shmipc bench --help\n",
		option, value, want);
	return -1;
}

/* A number with k or m after it. @end: where it stops. */
static int number_at(const char *s, unsigned long long *ret, char **end)
{
	if (*s < '0' || *s > '9')
		return -1;
	errno = 0;
	*ret = strtoull(s, end, 10);
	if (errno || *ret > 1ULL << 40)
		return -1;
	if (**end == 'k' || **end == 'K')
		*ret <<= 10;
	else if (**end == 'm' || **end == 'M')
		*ret <<= 20;
	else
		return 0;
	++*end;
	return 0;
}

int bench_number(const char *s, unsigned long long min, unsigned long long max,
		 unsigned long long *ret)
{
	char *end;

	return number_at(s, ret, &end) || *end || *ret < min || *ret > max ? -1 : 0;
}

static int parse_sizes(const char *s, struct bench_opts *o)
{
	static const char want[] = "1 to 16 numbers of bytes from 1 up, with commas between them";
	const char *p = s;
	unsigned long long v;
	char *end;

	for (o->sizes = 0; o->sizes < BENCH_SIZES_MAX; p = end + 1) {
		if (number_at(p, &v, &end) || !v || (*end && *end != ','))
			break;
		o->size[o->sizes++] = (size_t)v;
		if (!*end)
			return 0;
	}
	return bench_bad("size", s, want);
}

static int parse_cpus(const char *s, struct bench_opts *o)
{
	unsigned long long a, b;
	char *end;

	if (number_at(s, &a, &end) || *end != ',' || bench_number(end + 1, 0, CPU_SETSIZE - 1, &b) ||
	    a >= CPU_SETSIZE)
		return bench_bad("cpus", s, "two CPU numbers with a comma between them, as 0,1");
	o->cpu[0] = (int)a;
	o->cpu[1] = (int)b;
	return 0;
}

static int parse_page(const char *s, struct bench_opts *o)
{
	if (!strcmp(s, "4k"))
		o->page = SHMIPC_PAGE_4K;
	else if (!strcmp(s, "2m"))
		o->page = SHMIPC_PAGE_2M;
	else
		return bench_bad("page", s, "4k or 2m");
	return 0;
}

static int parse_wait(const char *s, struct bench_opts *o)
{
	o->wait_given = 1;
	if (!strcmp(s, "spin"))
		o->wait = BENCH_SPIN;
	else if (!strcmp(s, "block"))
		o->wait = BENCH_SLEEP;
	else
		return bench_bad("wait", s, "spin or block");
	return 0;
}

static int parse_seconds(const char *s, struct bench_opts *o)
{
	char *end;

	o->seconds = strtod(s, &end);
	if (end == s || *end || !(o->seconds >= 0.001 && o->seconds <= 3600))
		return bench_bad("seconds", s, "0.001 to 3600");
	return 0;
}

static int parse_align(const char *s, struct bench_opts *o)
{
	unsigned long long v;

	if (bench_number(s, 8, 64, &v) || (v & (v - 1)))
		return bench_bad("align", s, "8, 16, 32 or 64");
	o->align = (uint32_t)v;
	return 0;
}

static int parse_copier(const char *s, struct bench_opts *o)
{
	const struct shmipc_copier *c;

	if (shmipc_copier_find(&c, s)) {
		fprintf(stderr, "%s\n", shmipc_error_text());
		return -1;
	}
	o->copier = c->name;
	return 0;
}

static int parse_ring(const char *s, struct bench_opts *o)
{
	unsigned long long v;

	if (bench_number(s, SHMIPC_RING_SIZE_MIN, SHMIPC_RING_SIZE_MAX, &v))
		return bench_bad("ring", s, "4096 bytes to 4 GiB");
	for (o->ring_bytes = SHMIPC_RING_SIZE_MIN; o->ring_bytes < v;)
		o->ring_bytes *= 2;
	return 0;
}

enum { OPT_SIZE = 256, OPT_SECONDS, OPT_RUNS, OPT_CPUS, OPT_PUBLISH, OPT_PAGE, OPT_RING,
       OPT_ALIGN, OPT_WAIT, OPT_COPIER, OPT_RATE, OPT_JSON };

static const struct option options[] = {
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "runs", required_argument, NULL, OPT_RUNS },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "publish", required_argument, NULL, OPT_PUBLISH },
	{ "page", required_argument, NULL, OPT_PAGE },
	{ "ring", required_argument, NULL, OPT_RING },
	{ "align", required_argument, NULL, OPT_ALIGN },
	{ "wait", required_argument, NULL, OPT_WAIT },
	{ "copier", required_argument, NULL, OPT_COPIER },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "publishers", required_argument, NULL, BENCH_OPT_PUBLISHERS },
	{ "subscribers", required_argument, NULL, BENCH_OPT_SUBSCRIBERS },
	{ "policy", required_argument, NULL, BENCH_OPT_POLICY },
	{ "made-for", required_argument, NULL, BENCH_OPT_MADE_FOR },
	{ "inline", required_argument, NULL, BENCH_OPT_INLINE },
	{ "history", required_argument, NULL, BENCH_OPT_HISTORY },
	{ "pool", required_argument, NULL, BENCH_OPT_POOL },
	{ "loan", no_argument, NULL, BENCH_OPT_LOAN },
	{ "cold", no_argument, NULL, BENCH_OPT_COLD },
	{ "meta", no_argument, NULL, BENCH_OPT_META },
	{ "headers", no_argument, NULL, BENCH_OPT_HEADERS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int parse_option(int opt, struct bench_opts *o)
{
	unsigned long long v = 0;

	switch (opt) {
	case OPT_SIZE:
		return parse_sizes(optarg, o);
	case OPT_SECONDS:
		return parse_seconds(optarg, o);
	case OPT_RUNS:
		if (bench_number(optarg, 1, BENCH_RUNS_MAX, &v))
			return bench_bad("runs", optarg, "1 to 1000");
		o->runs = (unsigned int)v;
		return 0;
	case OPT_CPUS:
		return parse_cpus(optarg, o);
	case OPT_PUBLISH:
		if (bench_number(optarg, 1, 1u << 20, &v))
			return bench_bad("publish", optarg, "1 to 1048576 messages");
		o->publish = (unsigned int)v;
		return 0;
	case OPT_PAGE:
		return parse_page(optarg, o);
	case OPT_RING:
		return parse_ring(optarg, o);
	case OPT_ALIGN:
		return parse_align(optarg, o);
	case OPT_WAIT:
		return parse_wait(optarg, o);
	case OPT_COPIER:
		return parse_copier(optarg, o);
	case OPT_RATE:
		if (bench_number(optarg, 1, 1u << 20, &v))
			return bench_bad("rate", optarg, "1 to 1048576 messages a second");
		o->rate = (double)v;
		return 0;
	case OPT_JSON:
		o->json = 1;
		return 0;
	default:
		return bench_topic_option(opt, optarg, &o->topic);
	}
}

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
			fprintf(stderr, "shmipc: bench: --cpus: CPU %d is not there or not for "
				"this process (EINVAL); taskset -p $$ shows which are\n",
				o->cpu[i]);
			return -1;
		}
	}
	return 0;
}

/* Larger than the ring can ever hold, or batches that it cannot: say so at once. */
static int check_sizes(const struct bench_opts *o, unsigned int what)
{
	uint32_t kind = what & WHAT_BCAST ? SHMIPC_KIND_BCAST : SHMIPC_KIND_SPSC;
	uint64_t max = shmipc_ring_max_payload(kind, o->ring_bytes);
	unsigned int i;

	/* Topics: throughput is compared with a ring, the others with themselves. */
	for (i = 0; i < o->sizes && what & ~(WHAT_COPIER | (WHAT_TOPICS & ~WHAT_TOPIC)); i++) {
		if (o->size[i] > max && what != WHAT_LIMITS) {
			fprintf(stderr, "shmipc: bench: --size %zu: a ring of %llu bytes holds "
				"messages of at most %llu (EMSGSIZE); use a larger --ring\n",
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
	/* The library's own topics among the others' ways. */
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

int cmd_bench(int argc, char **argv)
{
	struct bench_opts o = {
		.seconds = 0.3, .runs = 9, .publish = 1, .rate = 1000, .ring_bytes = 1u << 20, .align = 8,
		.cpu = { -1, -1 }, .topic = { .publishers = 1, .policy = SHMIPC_POLICY_LOSSLESS },
	};
	unsigned int what;
	static char name[] = "shmipc: bench";
	int opt;

	argv[0] = name;	/* getopt begins its messages with it */
	optind = 0;	/* glibc: begin anew; main() may have parsed before us */
	while ((opt = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (opt == 'h') {
			usage(stdout);
			return 0;
		}
		if (parse_option(opt, &o)) {
			if (opt == '?')
				usage(stderr);
			return EXIT_USAGE;
		}
	}
	what = optind == argc - 1 ? what_of(argv[optind]) : 0;
	if (!what) {
		if (optind == argc - 1)
			fprintf(stderr, "shmipc: bench: \"%s\": no such bench (EINVAL)\n",
				argv[optind]);
		usage(stderr);
		return EXIT_USAGE;
	}
	if (!o.topic.subscribers)
		o.topic.subscribers = what == WHAT_PUBLISH ? 16 : 1;
	if (choose_cpus(&o) || check_sizes(&o, what))
		return EXIT_USAGE;
	bench_ticks_calibrate();
	bench_kernel_init();
	if (!o.json)
		bench_report_head(&o);
	return run_all(&o, what) || !measured ? 1 : 0;
}
