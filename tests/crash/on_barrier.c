// SPDX-License-Identifier: MIT
/*
 * on_barrier.c - killed while it comes to a barrier, ends a round, or waits
 *
 * The other one is told, or the round ends; it never waits on for one that has come.
 */
#include "locks.h"

static struct shmipc_barrier *barrier;

static void join(void)
{
	barrier = (struct shmipc_barrier *)join_raw(sizeof(*barrier));
}

static void prepare_one(void)
{
	join();
	must(!shmipc_barrier_init(barrier, 1), "init");
}

static void prepare_two(void)
{
	join();
	must(!shmipc_barrier_init(barrier, 2), "init");
}

static void setup(void)
{
	join();
	announce();
}

static void run_alone(void)
{
	must(shmipc_barrier_wait(peer, barrier, 0) == 1, "alone");
}

static void run(void)
{
	(void)shmipc_barrier_wait(peer, barrier, shmipc_deadline_in(SHORT_NS));
}

static void run_forever(void)
{
	(void)shmipc_barrier_wait(peer, barrier, SHMIPC_FOREVER);
}

static void end(void)
{
	leave_raw();
	check_gone();
}

/* It has ended a round, or not, or died in its place. */
static void check_alone(void)
{
	int ret;

	await_death();
	ret = shmipc_barrier_wait(peer, barrier, shmipc_deadline_in(PATIENCE_NS));
	/* Its place is taken: a barrier for one has room for one. */
	must(ret == 1 || ret == -EBUSY, "wait: %d", ret);
	must(!shmipc_barrier_init(barrier, 1), "init");
	must(shmipc_barrier_wait(peer, barrier, 0) == 1, "again");
	end();
}

/* It was dead before this one comes: it has come, has given up, or is missing. */
static void check_missing(void)
{
	int ret;

	await_death();
	ret = shmipc_barrier_wait(peer, barrier, shmipc_deadline_in(SHORT_NS));
	must(ret == 1 || ret == -EOWNERDEAD || ret == -ECANCELED || ret == -ETIMEDOUT, "wait: %d", ret);
	end();
}

/* Asleep in it when the victim comes. */
static void check_asleep(void)
{
	int ret;

	until_entered();
	ret = shmipc_barrier_wait(peer, barrier, shmipc_deadline_in(300000000));
	/* A victim that dies before it comes is waited for, until the deadline. */
	must(ret == 0 || ret == 1 || ret == -EOWNERDEAD || ret == -ETIMEDOUT, "wait: %d", ret);
	await_death();
	must(ret != -ETIMEDOUT || !barrier->place[1], "it has waited for one that had come");
	end();
}

const struct scenario barrier_scenarios[] = {
	{ "barrier-alone", 0, prepare_one, setup, run_alone, NULL, check_alone },
	{ "barrier-comes", SAMPLE, prepare_two, setup, run, NULL, check_missing },
	{ "barrier-wakes", SAMPLE | ASLEEP, prepare_two, setup, run, NULL, check_asleep },
	{ "barrier-asleep", BLOCKS, prepare_two, setup, run_forever, NULL, check_missing },
	{ 0 }
};
