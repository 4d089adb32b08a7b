// SPDX-License-Identifier: MIT
/*
 * sample-cost.c - the cost of the module's sampler; see tests/vm/sample-cost
 *
 * First a stream: one thread publishes messages and receives them, in pairs of runs
 * without and with the sampler; the time that the sampler takes is that thread's.
 *
 * Then topics with ends that all sleep: the time that the CPUs are not idle is measured
 * without and with the sampler. It is listened to through tracefs.
 */
#include <shmipc/topic.h>

#include "../kmod/trace.h"

#define SECONDS	20
#define PAIRS	20
#define PAIR_NS	250000000u	/* each half of a pair */
#define BATCH	64u
#define BYTES	64u

/* Idle time of all CPUs together, in seconds. */
static double idle(void)
{
	double up = 0, all = 0;
	FILE *f = fopen("/proc/uptime", "re");

	if (f && fscanf(f, "%lf %lf", &up, &all) != 2)
		all = 0;
	if (f)
		fclose(f);
	return all;
}

/* Busy time, in percent of a CPU. */
static double busy(void)
{
	struct timespec time = { .tv_sec = SECONDS };
	double from = idle(), cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);

	nanosleep(&time, NULL);
	return 100 * (cpus * SECONDS - (idle() - from)) / SECONDS;
}

static void die(const char *what, int err)
{
	fprintf(stderr, "sample-cost: %s: %s\n", what, strerror(-err));
	exit(1);
}

static void listen_to(bool peers, bool on)
{
	int err = spit(EVENTS "shmipc_sample/enable", on ? "1" : "0");

	if (!err && peers)
		err = spit(EVENTS "shmipc_sample_peer/enable", on ? "1" : "0");
	if (err)
		die("tracefs", err);
}

/* Messages published and received per second. */
static double stream(struct shmipc_pub *pub, struct shmipc_sub *sub)
{
	uint64_t from = now_ns(), to, n = 0, sum = 0;
	unsigned char msg[BYTES];
	size_t len;
	int i, err = 0;

	do {
		for (i = 0; i < (int)BATCH && !err; i++) {
			memset(msg, (int)(n + (uint64_t)i), sizeof(msg));
			err = shmipc_pub_send(pub, msg, sizeof(msg), 0);
		}
		for (i = 0; i < (int)BATCH && !err; i++) {
			err = shmipc_sub_recv(sub, msg, sizeof(msg), &len, 0);
			sum += msg[0] != (unsigned char)(n + (uint64_t)i) || len != sizeof(msg);
		}
		if (err || sum)
			die("a message", err ? err : -EBADMSG);
		n += BATCH;
		to = now_ns();
	} while (to - from < PAIR_NS);
	return (double)n * 1e9 / (double)(to - from);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The rate with the sampler relative to that without; @on false: without, twice. */
static void pairs(struct shmipc_pub *pub, struct shmipc_sub *sub, const char *hz, bool on)
{
	double ratio[PAIRS], base = 0;
	long long ticks;
	int i, half;

	if (spit(SAMPLE_HZ, hz))
		exit(1);
	ticks = sampler("ticks");
	for (i = 0; i < PAIRS; i++) {
		double rate[2];

		for (half = 0; half < 2; half++) {
			bool with = half ^ (i & 1);

			listen_to(true, on && with);
			rate[with] = stream(pub, sub);
			listen_to(true, false);
		}
		ratio[i] = rate[1] / rate[0];
		base += rate[0] / PAIRS;
	}
	qsort(ratio, PAIRS, sizeof(ratio[0]), by_value);
	printf("stream of %u B, %s at %s Hz: %.2f M/s, ratio %.4f (quartiles %.4f to %.4f, %d pairs, %lld ticks)\n",
	       BYTES, on ? "sampler" : "noise, no sampler", hz, base / 1e6,
	       (ratio[PAIRS / 2 - 1] + ratio[PAIRS / 2]) / 2, ratio[PAIRS / 4],
	       ratio[PAIRS * 3 / 4], PAIRS, sampler("ticks") - ticks);
	fflush(stdout);
}

static void streams(void)
{
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int err = shmipc_sub_open(&sub, "cost/stream", NULL, NULL);

	if (!err)
		err = shmipc_pub_open(&pub, "cost/stream", NULL, NULL);
	if (err)
		die("a topic", err);
	pairs(pub, sub, "1000", false);
	pairs(pub, sub, "1000", true);
	pairs(pub, sub, "10000", true);
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
}

/* @peers: listen to them, too. */
static void row(uint32_t topics, const char *hz, bool peers)
{
	double before, with;
	long long ticks, ns, skipped;

	if (spit(SAMPLE_HZ, hz))
		exit(1);
	before = busy();
	listen_to(peers, true);
	ticks = sampler("ticks");
	skipped = sampler("skipped");
	ns = sampler("cpu-ns");
	with = busy();
	ticks = sampler("ticks") - ticks;
	skipped = sampler("skipped") - skipped;
	ns = sampler("cpu-ns") - ns;
	listen_to(peers, false);
	printf("%2u topics of %u ends, %5s Hz, %2u events: %5.2f %% of a CPU, %6lld ns per tick, %lld ticks, %lld skipped\n",
	       topics, SLOTS, hz, topics * (peers ? 1 + SLOTS : 1), with - before,
	       ticks ? ns / ticks : 0, ticks, skipped);
	fflush(stdout);
}

static void add_topic(uint32_t n)
{
	char name[32];
	uint32_t i;
	int fd;

	snprintf(name, sizeof(name), "cost/%u", n);
	fd = make_topic(name);
	if (dev_attach(fd, SHMIPC_ROLE_PRODUCER))
		exit(1);
	for (i = 1; i < SLOTS; i++)
		if (dev_attach(dev_open(name), SHMIPC_ROLE_READER) < 0)
			exit(1);
}

int main(void)
{
	static const uint32_t topics[] = { 0, 1, 4, 16 };
	uint32_t i, n = 0;

	streams();
	for (i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		while (n < topics[i])
			add_topic(n++);
		row(n, "1000", true);
		if (n == 4) {
			row(n, "1000", false);
			row(n, "100", true);
			row(n, "10000", true);
		}
	}
	return 0;
}
