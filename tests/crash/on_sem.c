// SPDX-License-Identifier: MIT
/*
 * on_sem.c - killed while it takes, posts, or waits for a unit of a robust semaphore
 *
 * Whatever is left, all units can be taken afterwards, each once.
 */
#include "locks.h"

#define UNITS		2u

static struct shmipc_sem *sem;

static void join(void)
{
	sem = (struct shmipc_sem *)join_raw(sizeof(*sem));
}

static void take(uint32_t n)
{
	while (n--)
		must(!shmipc_sem_wait(peer, sem, 0), "take");
}

static void prepare(void)
{
	join();
	must(!shmipc_sem_init(sem, UNITS, SHMIPC_SEM_ROBUST), "init");
}

static void prepare_all_taken(void)
{
	prepare();
	take(UNITS);
}

static void setup(void)
{
	join();
	announce();
}

static void setup_taken(void)
{
	join();
	take(UNITS);
	announce();
}

static void run(void)
{
	take(UNITS);
	must(!shmipc_sem_post(peer, sem, UNITS), "post");
}

static void run_post(void)
{
	(void)shmipc_sem_post(peer, sem, 1);
}

static void run_wait(void)
{
	int ret = shmipc_sem_wait(peer, sem, shmipc_deadline_in(SHORT_NS));

	must(ret == -ETIMEDOUT, "wait: %s", shmipc_error_name(ret));
}

static void run_wait_forever(void)
{
	(void)shmipc_sem_wait(peer, sem, SHMIPC_FOREVER);
}

/* All units are free: exactly so many. */
static void count_and_close(void)
{
	struct shmipc_sem_info i = SHMIPC_SEM_INFO();

	take(UNITS);
	must(shmipc_sem_wait(peer, sem, 0) == -EAGAIN, "more units than there were");
	must(!shmipc_sem_get_info(peer, sem, &i), "info");
	must(i.held == UNITS && i.freed <= UNITS, "%u units, %llu freed", i.held,
	     (unsigned long long)i.freed);
	must(!shmipc_sem_post(peer, sem, UNITS), "post");
	leave_raw();
	check_gone();
}

static void check(void)
{
	await_death();
	count_and_close();
}

static void check_taken(void)
{
	await_death();
	must(!shmipc_sem_post(peer, sem, UNITS), "post");
	count_and_close();
}

/* Asleep until the victim is there, then asleep until it posts or dies. */
static void check_asleep(void)
{
	until_entered();
	must(!shmipc_sem_wait(peer, sem, shmipc_deadline_in(PATIENCE_NS)), "wait");
	await_death();
	must(!shmipc_sem_post(peer, sem, 1), "post");
	count_and_close();
}

const struct scenario sem_scenarios[] = {
	{ "sem-take-post", 0, prepare, setup, run, NULL, check },
	{ "sem-post-wakes", ASLEEP, prepare, setup_taken, run_post, NULL, check_asleep },
	{ "sem-waits", SAMPLE, prepare_all_taken, setup, run_wait, NULL, check_taken },
	{ "sem-asleep", BLOCKS, prepare_all_taken, setup, run_wait_forever, NULL, check_taken },
	{ 0 }
};
