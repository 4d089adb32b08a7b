// SPDX-License-Identifier: MIT
/*
 * on_rwlock.c - killed while it reads, writes, waits for, or repairs a read-write lock
 *
 * Whatever is left, the next one gets the lock. It is told of the death only if the victim may
 * have written: then the count may be half done.
 */
#include "locks.h"

struct state {
	struct shmipc_rwlock lock;
	uint64_t counter;
	uint64_t twice;		/* twice the counter, unless a writer has the lock */
};

static struct state *state;

static void join(void)
{
	state = (struct state *)join_raw(sizeof(*state));
}

static void join_reader(void)
{
	join();
	must(!shmipc_rwlock_read_lock(peer, &state->lock, 0), "read");
}

static void join_writer(void)
{
	join();
	must(!shmipc_rwlock_write_lock(peer, &state->lock, 0), "write");
}

static void setup(void)
{
	join();
	announce();
}

static void setup_reader(void)
{
	join_reader();
	announce();
}

static void setup_writer(void)
{
	join_writer();
	announce();
}

/* A writer has left with it; then this one joins. */
static void setup_orphan(void)
{
	join_writer();
	leave_raw();
	join();
	announce();
}

static void count(void)
{
	state->counter++;
	shmipc_compiler_barrier();
	state->twice += 2;
}

static void run_read(void)
{
	must(!shmipc_rwlock_read_lock(peer, &state->lock, 0), "read");
	must(!shmipc_rwlock_read_lock(peer, &state->lock, 0), "read twice");
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock");
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock twice");
}

static void run_write(void)
{
	must(!shmipc_rwlock_write_lock(peer, &state->lock, 0), "write");
	count();
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock");
}

static void run_unlock(void)
{
	(void)shmipc_rwlock_unlock(peer, &state->lock);
}

static void run_repair(void)
{
	int ret = shmipc_rwlock_read_lock(peer, &state->lock, 0);

	must(ret == -EOWNERDEAD, "read: %s", shmipc_error_name(ret));
	must(!shmipc_rwlock_consistent(peer, &state->lock), "consistent");
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock");
}

static void run_wait_write(void)
{
	int ret = shmipc_rwlock_write_lock(peer, &state->lock, shmipc_deadline_in(SHORT_NS));

	must(ret == -ETIMEDOUT, "write: %s", shmipc_error_name(ret));
}

static void run_wait_read(void)
{
	int ret = shmipc_rwlock_read_lock(peer, &state->lock, shmipc_deadline_in(SHORT_NS));

	must(ret == -ETIMEDOUT, "read: %s", shmipc_error_name(ret));
}

static void run_wait_forever(void)
{
	(void)shmipc_rwlock_write_lock(peer, &state->lock, SHMIPC_FOREVER);
}

/* It has the lock, which it got with @ret; unlocked afterwards. */
static void got(int ret, bool may_be_told)
{
	struct shmipc_rwlock_info i = SHMIPC_RWLOCK_INFO();

	must(!shmipc_rwlock_get_info(peer, &state->lock, &i), "info");
	if (ret == -EOWNERDEAD) {
		must(may_be_told, "told of a death, but the victim never wrote");
		must(i.died.thread && (!i.died.pid || i.died.pid == board->begun),
		     "told that %u died, not %llu", i.died.pid, (unsigned long long)board->begun);
		state->twice = 2 * state->counter;
		ret = shmipc_rwlock_consistent(peer, &state->lock);
	}
	must(!ret, "lock: %s", shmipc_error_name(ret));
	must(state->twice == 2 * state->counter, "half done, and not told");
	must(i.freed <= 1, "a share was freed %llu times", (unsigned long long)i.freed);
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock");
}

static void write_once(bool may_be_told)
{
	got(shmipc_rwlock_write_lock(peer, &state->lock, shmipc_deadline_in(PATIENCE_NS)), may_be_told);
}

static void read_once(bool may_be_told)
{
	got(shmipc_rwlock_read_lock(peer, &state->lock, shmipc_deadline_in(PATIENCE_NS)), may_be_told);
}

/* It can be used as if nothing had happened. */
static void use_and_close(void)
{
	struct shmipc_rwlock_info i = SHMIPC_RWLOCK_INFO();

	must(!shmipc_rwlock_write_lock(peer, &state->lock, 0), "write again");
	count();
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock");
	must(!shmipc_rwlock_read_lock(peer, &state->lock, 0), "read again");
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock again");
	must(!shmipc_rwlock_get_info(peer, &state->lock, &i), "info");
	must(!i.readers && !i.writer.thread && !i.flags, "%u readers are left, flags %x", i.readers, i.flags);
	leave_raw();
	check_gone();
}

static void check_reader(void)
{
	await_death();
	read_once(false);
	write_once(false);
	use_and_close();
}

static void check_writer(void)
{
	await_death();
	read_once(true);
	use_and_close();
}

/* The victim has waited for this process. */
static void check_held(void)
{
	await_death();
	must(!shmipc_rwlock_unlock(peer, &state->lock), "unlock");
	read_once(false);
	write_once(false);
	use_and_close();
}

/* Asleep until the victim is there, then until it unlocks or dies. */
static void check_writer_asleep(void)
{
	until_entered();
	write_once(false);
	await_death();
	use_and_close();
}

static void check_reader_asleep(void)
{
	until_entered();
	read_once(true);
	await_death();
	use_and_close();
}

const struct scenario rwlock_scenarios[] = {
	{ "rwlock-read", 0, join, setup, run_read, NULL, check_reader },
	{ "rwlock-write", SAMPLE, join, setup, run_write, NULL, check_writer },
	{ "rwlock-reader-wakes", ASLEEP, join, setup_reader, run_unlock, NULL, check_writer_asleep },
	{ "rwlock-writer-wakes", ASLEEP, join, setup_writer, run_unlock, NULL, check_reader_asleep },
	{ "rwlock-repairs", SAMPLE, join, setup_orphan, run_repair, NULL, check_writer },
	{ "rwlock-write-waits", SAMPLE, join_reader, setup, run_wait_write, NULL, check_held },
	{ "rwlock-read-waits", SAMPLE, join_writer, setup, run_wait_read, NULL, check_held },
	{ "rwlock-asleep", BLOCKS, join_reader, setup, run_wait_forever, NULL, check_held },
	{ 0 }
};
