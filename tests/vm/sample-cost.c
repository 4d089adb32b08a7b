// SPDX-License-Identifier: MIT
/*
 * sample-cost.c - what the module's sampler costs; see tests/vm/sample-cost
 *
 * Topics with ends, all asleep. The time that the CPUs are not idle is taken without
 * the sampler, and with it, listened to through tracefs.
 */
#include "../kmod/trace.h"

#define TOPICS	4
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
	struct timespec ten = { .tv_sec = SECONDS };
	double from = idle(), cpus = (double)sysconf(_SC_NPROCESSORS_ONLN);

	nanosleep(&ten, NULL);
	return 100 * (cpus * SECONDS - (idle() - from)) / SECONDS;
}

static void row(const char *hz)
{
	double before, with;
	long long ticks, ns, skipped;

	if (spit(SAMPLE_HZ, hz))
		exit(1);
	before = busy();
	if (spit(EVENTS "shmipc_sample/enable", "1") || spit(EVENTS "shmipc_sample_peer/enable", "1"))
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
	printf("%6s Hz: %.2f %% of a CPU (%.2f without), %lld ns of its thread's a tick, %lld ticks, %lld left out\n",
	       hz, with - before, before, ticks ? ns / ticks : 0, ticks, skipped);
}

int main(void)
{
	static const char *const hz[] = { "100", "1000", "10000" };
	char name[32];
	size_t i;
	uint32_t j;
	int fd;

	for (i = 0; i < TOPICS; i++) {
		snprintf(name, sizeof(name), "cost/%zu", i);
		fd = make_topic(name);
		if (dev_attach(fd, SHMIPC_ROLE_PRODUCER))
			return 1;
		for (j = 1; j < SLOTS; j++)
			if (dev_attach(dev_open(name), SHMIPC_ROLE_READER) < 0)
				return 1;
	}
	printf("%d topics of %u ends each\n", TOPICS, SLOTS);
	for (i = 0; i < sizeof(hz) / sizeof(hz[0]); i++)
		row(hz[i]);
	return 0;
}
