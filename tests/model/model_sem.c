// SPDX-License-Identifier: MIT
/*
 * model_sem.c - a semaphore, plain and robust, whose users may die at any step
 *
 * It is the library's own (lib/lock); the rest is in model_lock.h. What one unit protects is
 * plain memory, so that two that have it are a data race.
 */
#include "model_lock.h"

static struct shmipc_sem sem __attribute__((aligned(64)));
static uint64_t data[1] __attribute__((aligned(64)));	/* what a unit protects */
static int result[MOST];

static void setup(void)
{
	model_region(&sem, sizeof(sem), "sem", 0);
	model_region(peer, sizeof(peer), "peer", 0);
	model_region(data, sizeof(data), "data", 1);
}

/* @units: of a robust one; 0: a plain one of value @value */
static void reset(uint32_t units, uint32_t value)
{
	int i;

	memset(&sem, 0, sizeof(sem));
	memset(data, 0, sizeof(data));
	sem.word = value * SHMIPC_SEM_ONE;
	sem.flags = units ? SHMIPC_SEM_ROBUST : 0;
	sem.units = units;
	reset_peers(&sem);
	for (i = 0; i < MOST; i++)
		result[i] = 1;
}

static void count(void)
{
	uint64_t v;

	shmipc_payload_read(&v, data, sizeof(v));
	v++;
	shmipc_payload_write(data, &v, sizeof(v));
}

static void post(int i)
{
	model_check(!shmipc_sem_post(&peer[i], &sem, 1), "post by %d", i);
}

/* Take, use, give back. */
static void user(void *arg)
{
	int i = *(const int *)arg;

	result[i] = shmipc_sem_wait(&peer[i], &sem, UINT64_MAX);
	model_check(!result[i], "wait");
	count();
	post(i);
}

static void timed(void *arg)
{
	int i = *(const int *)arg;

	result[i] = shmipc_sem_wait(&peer[i], &sem, DEADLINE_NS);
	if (!result[i])
		post(i);
}

/* It has the only unit from the beginning. */
static void holder(void *arg)
{
	count();
	result[*(const int *)arg] = 0;
	post(*(const int *)arg);
}

static void poster(void *arg)
{
	count();
	result[*(const int *)arg] = 0;
	post(*(const int *)arg);
	post(*(const int *)arg);
}

static void taker(void *arg)
{
	int i = *(const int *)arg;
	uint64_t v;

	result[i] = shmipc_sem_wait(&peer[i], &sem, UINT64_MAX);
	shmipc_payload_read(&v, data, sizeof(v));
	model_check(v == 1, "what was done before the post is not seen");
}

/* It has both units, and gives them back one by one. */
static void has_both(void *arg)
{
	result[*(const int *)arg] = 0;
	post(*(const int *)arg);
	post(*(const int *)arg);
}

/* It keeps what it takes. */
static void keeper(void *arg)
{
	int i = *(const int *)arg;

	result[i] = shmipc_sem_wait(&peer[i], &sem, UINT64_MAX);
}

/* It comes when the first one has ended: the search is short. */
static void late(void *arg)
{
	(void)model_join(thread[0]);
	user(arg);
}

static void late_taker(void *arg)
{
	(void)model_join(thread[0]);
	taker(arg);
}

static void late_keeper(void *arg)
{
	(void)model_join(thread[0]);
	keeper(arg);
}

static void start(const char *name, void (*fn)(void *), int mortal)
{
	static int number[MOST] = { 0, 1, 2, 3 };
	int i = threads++;

	if (fn == has_both)
		sem.unit[0] = sem.unit[1] = shmipc_lock_self(&peer[i]);
	if (fn == holder && sem.units)
		sem.unit[0] = shmipc_lock_self(&peer[i]);
	thread[i] = model_spawn(name, fn, &number[i], mortal);
}

static void plain(void)
{
	reset(0, 1);
	start("first", user, 0);
	start("second", user, 0);
}

static void two_posts(void)
{
	reset(0, 0);
	start("poster", poster, 0);
	start("taker", taker, 0);
	start("taker", model_deep ? taker : late_taker, 0);
}

static void plain_gives_up(void)
{
	reset(0, 0);
	start("holder", holder, 0);
	start("timed", timed, 0);
	start("user", model_deep ? user : late, 0);
}

static void robust(void)
{
	reset(1, 0);
	start("first", user, 0);
	start("second", user, 0);
}

static void robust_holder(void)
{
	reset(1, 0);
	start("holder", holder, 0);
	start("second", user, 0);
}

static void robust_both(void)
{
	reset(2, 0);
	start("holder", has_both, 0);
	start("keeper", keeper, 0);
	start("keeper", model_deep ? keeper : late_keeper, 0);
}

static void robust_dies(void)
{
	reset(1, 0);
	start("first", user, 1);
	start("second", user, 0);
}

static void robust_two_die(void)
{
	reset(1, 0);
	start("holder", holder, 1);
	start("second", user, 1);
	start("third", model_deep ? user : late, 0);
}

static void all_had_it(void)
{
	int i, dead = 0;

	for (i = 0; i < threads; i++) {
		if (model_state(thread[i]) == MODEL_DIED) {
			dead++;
			continue;
		}
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
		model_check(!result[i], "peer %d: %d", i, result[i]);
	}
	model_check(shmipc_load_relaxed(&sem.freed) <= (uint64_t)dead, "a unit came back twice");
	if (sem.units == 1 && !dead)
		model_check(!shmipc_load_relaxed(&sem.unit[0]), "a unit is left");
}

/* One that gives up may sleep until its deadline; no one else may be left asleep. */
static void all_but_timed(void)
{
	int i;

	for (i = 0; i < threads; i++)
		model_check(model_state(thread[i]) == MODEL_RETURNED ||
			    (i == 1 && model_state(thread[i]) == MODEL_ASLEEP),
			    "peer %d waits without an end", i);
	model_check(!result[2], "the user: %d", result[2]);
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "sem: one unit, two users", setup, plain, all_had_it, 0 },
		{ "sem: two posts, two that sleep", setup, two_posts, all_had_it, 0 },
		{ "sem: one gives up, and passes the wake on", setup, plain_gives_up, all_but_timed, 0 },
		{ "sem: robust, one unit, two users", setup, robust, all_had_it, 0 },
		{ "sem: robust, one waits for the other", setup, robust_holder, all_had_it, 0 },
		{ "sem: robust, two units, two that sleep", setup, robust_both, all_had_it, 0 },
		{ "sem: robust, one dies at any step", setup, robust_dies, all_had_it, 1 },
		{ "sem: robust, two of three die", setup, robust_two_die, all_had_it, 2 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "take_unit", MODEL_CAS, "it publishes nothing; others' releases go on", 2 },
		{ "take_number", MODEL_CAS, "it publishes nothing; others' releases go on", 2 },
		{ "give_units", MODEL_CAS, "it reads nothing of others", 1 },
		{ "post_number", MODEL_CAS, "it reads nothing of others", 1 },
		{ "set_waiters", MODEL_CAS, "the fence after it orders it", 0 },
		{ "wake_units", MODEL_CAS, "only a flag, in a word that nothing depends on", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "lock/sem.c", excepts);
}
