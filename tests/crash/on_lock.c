// SPDX-License-Identifier: MIT
/*
 * on_lock.c - killed while it locks, unlocks, waits for, or repairs a mutex
 *
 * Whatever is left, the next one gets the mutex, and is told of the death if the victim owned
 * it: then the count may be half done.
 */
#include "locks.h"

struct state {
	struct shmipc_mutex mutex;
	uint64_t counter;
	uint64_t twice;		/* twice the counter, unless the mutex is owned */
};

static struct state *state;

static void join(void)
{
	state = (struct state *)join_raw(sizeof(*state));
}

static void prepare_owner(void)
{
	join();
	must(!shmipc_mutex_lock(peer, &state->mutex, 0), "lock");
}

static void setup(void)
{
	join();
	announce();
}

static void setup_owner(void)
{
	join();
	must(!shmipc_mutex_lock(peer, &state->mutex, 0), "lock");
	announce();
}

/* A peer has left with the mutex; then this one joins. */
static void orphan(void)
{
	join();
	must(!shmipc_mutex_lock(peer, &state->mutex, 0), "lock");
	leave_raw();
	join();
}

static void setup_orphan(void)
{
	orphan();
	announce();
}

static void setup_heir(void)
{
	orphan();
	must(shmipc_mutex_lock(peer, &state->mutex, 0) == -EOWNERDEAD, "left with it");
	announce();
}

static void count(void)
{
	state->counter++;
	shmipc_compiler_barrier();
	state->twice += 2;
}

static void run(void)
{
	int ret = shmipc_mutex_lock(peer, &state->mutex, 0);

	must(!ret, "lock: %s", shmipc_error_name(ret));
	count();
	must(!shmipc_mutex_unlock(peer, &state->mutex), "unlock");
}

static void run_unlock(void)
{
	(void)shmipc_mutex_unlock(peer, &state->mutex);
}

static void run_repair(void)
{
	int ret = shmipc_mutex_lock(peer, &state->mutex, 0);

	must(ret == -EOWNERDEAD, "lock: %s", shmipc_error_name(ret));
	must(!shmipc_mutex_consistent(peer, &state->mutex), "consistent");
	must(!shmipc_mutex_unlock(peer, &state->mutex), "unlock");
}

static void run_wait(void)
{
	int ret = shmipc_mutex_lock(peer, &state->mutex, shmipc_deadline_in(SHORT_NS));

	must(ret == -ETIMEDOUT, "lock: %s", shmipc_error_name(ret));
}

static void run_wait_forever(void)
{
	(void)shmipc_mutex_lock(peer, &state->mutex, SHMIPC_FOREVER);
}

/* It gets the mutex; the victim may be named, and in some scenarios another that has left. */
static void lock(bool may_be_told)
{
	struct shmipc_mutex_info i = SHMIPC_MUTEX_INFO();
	int ret = shmipc_mutex_lock(peer, &state->mutex, shmipc_deadline_in(PATIENCE_NS));

	must(!shmipc_mutex_get_info(peer, &state->mutex, &i), "info");
	if (ret == -EOWNERDEAD) {
		must(may_be_told, "told of a death, but the victim never owned it");
		must(i.died.thread && (!i.died.pid || i.died.pid == board->begun),
		     "told that %u died, not %llu", i.died.pid, (unsigned long long)board->begun);
		state->twice = 2 * state->counter;
		ret = shmipc_mutex_consistent(peer, &state->mutex);
	}
	must(!ret, "lock: %s", shmipc_error_name(ret));
	must(state->twice == 2 * state->counter, "half done, and not told");
}

/* It can be used as if nothing had happened. */
static void use_and_close(void)
{
	must(!shmipc_mutex_unlock(peer, &state->mutex), "unlock");
	must(!shmipc_mutex_lock(peer, &state->mutex, 0), "lock again");
	count();
	must(!shmipc_mutex_unlock(peer, &state->mutex), "unlock again");
	leave_raw();
	check_gone();
}

static void check(void)
{
	await_death();
	lock(true);
	use_and_close();
}

/* The victim has waited for the one that this process owns. */
static void check_owner(void)
{
	await_death();
	must(!shmipc_mutex_unlock(peer, &state->mutex), "unlock");
	lock(false);
	use_and_close();
}

/* Asleep until the victim is there, then until it unlocks or dies. */
static void check_asleep(void)
{
	until_entered();
	lock(true);
	await_death();
	use_and_close();
}

static void check_given_up(void)
{
	int ret;

	until_entered();
	ret = shmipc_mutex_lock(peer, &state->mutex, shmipc_deadline_in(PATIENCE_NS));
	must(ret == -ENOTRECOVERABLE || ret == -EOWNERDEAD, "lock: %s", shmipc_error_name(ret));
	await_death();
	if (ret == -EOWNERDEAD)
		must(!shmipc_mutex_unlock(peer, &state->mutex), "unlock");
	ret = shmipc_mutex_lock(peer, &state->mutex, SHMIPC_FOREVER);
	must(ret == -ENOTRECOVERABLE, "lock again: %s", shmipc_error_name(ret));
	leave_raw();
	check_gone();
}

const struct scenario lock_scenarios[] = {
	{ "lock-unlock", 0, join, setup, run, NULL, check },
	{ "lock-unlock-wakes", ASLEEP, join, setup_owner, run_unlock, NULL, check_asleep },
	{ "lock-gives-up", ASLEEP, join, setup_heir, run_unlock, NULL, check_given_up },
	{ "lock-repairs", SAMPLE, join, setup_orphan, run_repair, NULL, check },
	{ "lock-waits", SAMPLE, prepare_owner, setup, run_wait, NULL, check_owner },
	{ "lock-asleep", BLOCKS, prepare_owner, setup, run_wait_forever, NULL, check_owner },
	{ 0 }
};
