// SPDX-License-Identifier: MIT
/* time.c - clocks in nanoseconds */
#include <time.h>

#include <shmipc/channel.h>

#include "base/base.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t shmipc_now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t shmipc_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

void shmipc_sleep_ns(uint64_t ns)
{
	struct timespec t = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	(void)nanosleep(&t, NULL);
}

SHMIPC_EXPORT uint64_t shmipc_deadline_in(uint64_t ns)
{
	return shmipc_later(shmipc_now_ns(), ns);
}
