// SPDX-License-Identifier: MIT
/*
 * on_sem.c - killed while it takes, posts, or waits for a unit of a robust semaphore
 *
 * Whatever is left, all units can be taken afterwards, each once.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crash.h"

#define UNITS		2u
#define SHORT_NS	2000000u
#define PATIENCE_NS	UINT64_C(15000000000)	/* less than the watchdog's */

static struct shmipc_segment *seg;
static struct shmipc_peer *peer;
static struct shmipc_sem *sem;

static void join(void)
{
	const struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = sizeof(*sem), .flags = SHMIPC_CREATE);
	const struct shmipc_peer_opts po = SHMIPC_PEER_OPTS(.spin_ns = SHMIPC_SPIN_NEVER);

	must(!shmipc_segment_open(&seg, NAME, &o), "open: %s", shmipc_error_text());
	must(!shmipc_peer_join(&peer, seg, &po), "join: %s", shmipc_error_text());
	sem = (struct shmipc_sem *)shmipc_segment_data(seg, NULL);
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

/* The checker may go on. */
static void announce(void)
{
	shmipc_store_release(&board->entered, 1u);
	(void)syscall(SYS_futex, &board->entered, FUTEX_WAKE, 1, NULL, NULL, 0);
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
	shmipc_peer_leave(peer);
	shmipc_segment_close(seg);
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
	while (!shmipc_load_acquire(&board->entered))
		(void)syscall(SYS_futex, &board->entered, FUTEX_WAIT, 0, NULL, NULL, 0);
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
