// SPDX-License-Identifier: MIT
/*
 * sample-cost.c - what the module's sampler costs; see tests/vm/sample-cost
 *
 * Topics with ends, all asleep. The time that the CPUs are not idle is taken without
 * the sampler, and with it, listened to through tracefs.
 */
#include "../kmod/trace.h"

#define SECONDS	20

/* Of all CPUs together, in seconds. */
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

/* How much of a CPU is not idle, in percent. */
static double busy(void)
{
	struct timespec time = { .tv_sec = SECONDS };
	double from = idle(), cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);

	nanosleep(&time, NULL);
	return 100 * (cpus * SECONDS - (idle() - from)) / SECONDS;
}

/* @peers: listen to them, too. */
static void row(uint32_t topics, const char *hz, bool peers)
{
	double before, with;
	long long ticks, ns, skipped;

	if (spit(SAMPLE_HZ, hz))
		exit(1);
	before = busy();
	if (spit(EVENTS "shmipc_sample/enable", "1") ||
	    (peers && spit(EVENTS "shmipc_sample_peer/enable", "1")))
		exit(1);
	ticks = sampler("ticks");
	skipped = sampler("skipped");
	ns = sampler("cpu-ns");
	with = busy();
	ticks = sampler("ticks") - ticks;
	skipped = sampler("skipped") - skipped;
	ns = sampler("cpu-ns") - ns;
	(void)spit(EVENTS "shmipc_sample/enable", "0");
	(void)spit(EVENTS "shmipc_sample_peer/enable", "0");
	printf("%2u topics of %u ends, %5s Hz, %2u events: %5.2f %% of a CPU, %6lld ns of the thread's a tick, %lld ticks, %lld left out\n",
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
