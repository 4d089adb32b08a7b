// SPDX-License-Identifier: MIT
/*
 * model_barrier.c - a barrier whose threads may die at any step
 *
 * It is the library's own (lib/lock); the rest is in model_lock.h. Each thread writes a word of
 * its own before it comes, plain memory, and reads all of them afterwards.
 */
#include "model_lock.h"

static struct shmipc_barrier barrier __attribute__((aligned(64)));
static uint64_t data[MOST] __attribute__((aligned(64)));
static int result[MOST], serials;

static void setup(void)
{
	model_region(&barrier, sizeof(barrier), "barrier", 0);
	model_region(peer, sizeof(peer), "peer", 0);
	model_region(data, sizeof(data), "data", 1);
}

static void reset(uint32_t count)
{
	int i;

	memset(&barrier, 0, sizeof(barrier));
	memset(data, 0, sizeof(data));
	barrier.count = count;
	serials = 0;
	reset_peers(&barrier);
	for (i = 0; i < MOST; i++)
		result[i] = 2;
}

static void come(int i, uint64_t round, uint64_t deadline_ns)
{
	uint64_t v = round;
	uint32_t k;

	shmipc_payload_write(&data[i], &v, sizeof(v));
	result[i] = shmipc_barrier_wait(&peer[i], &barrier, deadline_ns);
	serials += result[i] == 1;
	if (result[i] < 0)
		return;
	for (k = 0; k < barrier.count; k++) {
		shmipc_payload_read(&v, &data[k], sizeof(v));
		model_check(v == round, "peer %d is behind: %llu", (int)k, (unsigned long long)v);
	}
}

static void once(void *arg)
{
	come(*(const int *)arg, 1, UINT64_MAX);
}

/* The second time it writes nothing that others may still read. */
static void twice(void *arg)
{
	int i = *(const int *)arg;

	come(i, 1, UINT64_MAX);
	result[i] = shmipc_barrier_wait(&peer[i], &barrier, UINT64_MAX);
	serials += result[i] == 1;
}

static void timed(void *arg)
{
	come(*(const int *)arg, 1, DEADLINE_NS);
}

/* After it the second round: it may be broken by then, but not the first. */
static void then_again(void *arg)
{
	int i = *(const int *)arg;

	come(i, 1, UINT64_MAX);
	if (result[i] >= 0)
		(void)shmipc_barrier_wait(&peer[i], &barrier, DEADLINE_NS);
}

static void start(const char *name, void (*fn)(void *), int mortal)
{
	static int number[MOST] = { 0, 1, 2, 3 };
	int i = threads++;

	thread[i] = model_spawn(name, fn, &number[i], mortal);
}

static void two(void)
{
	reset(2);
	start("first", once, 0);
	start("second", once, 0);
}

static void two_rounds(void)
{
	reset(2);
	start("first", twice, 0);
	start("second", twice, 0);
}

static void one_dies(void)
{
	reset(2);
	start("first", once, 1);
	start("second", once, 0);
}

static void one_gives_up(void)
{
	reset(2);
	start("timed", timed, 0);
	start("second", once, 0);
}

static void next_is_broken(void)
{
	reset(2);
	start("first", once, 0);
	start("again", then_again, 0);
}

static void one_is_missing(void)
{
	reset(3);
	start("timed", timed, 0);
	start("second", once, 0);
}

static void all_came(void)
{
	int i, rounds = (int)(shmipc_load_relaxed(&barrier.word) / SHMIPC_BARRIER_ROUND);

	for (i = 0; i < threads; i++)
		model_check(model_state(thread[i]) == MODEL_RETURNED && result[i] >= 0 && result[i] < 2,
			    "peer %d: %d", i, result[i]);
	model_check(serials == rounds && rounds, "%d of %d rounds", serials, rounds);
}

/* Both have come to the first round, and are told so. */
static void first_is_whole(void)
{
	if (model_state(thread[0]) == MODEL_RETURNED && model_state(thread[1]) == MODEL_RETURNED)
		model_check(result[0] >= 0 && result[1] >= 0, "%d and %d", result[0], result[1]);
}

/* The first has died: before it came, the other one waits; after that, both outcomes are right. */
static void the_other_is_told(void)
{
	if (model_state(thread[0]) != MODEL_DIED) {
		all_came();
		return;
	}
	if (shmipc_load_relaxed(&barrier.place[0]) && shmipc_load_relaxed(&barrier.place[1]))
		model_check(model_state(thread[1]) == MODEL_RETURNED, "it waits without an end");
	if (model_state(thread[1]) == MODEL_RETURNED)
		model_check(result[1] == -EOWNERDEAD || result[1] == 0 || result[1] == 1, "%d", result[1]);
}

/* Both have come, or both say that they have not. */
static void all_agree(void)
{
	int i;

	for (i = 0; i < 2; i++)
		if (model_state(thread[i]) != MODEL_RETURNED && model_state(thread[0]) != MODEL_ASLEEP)
			model_fail("peer %d waits without an end", i);
	if (model_state(thread[0]) == MODEL_ASLEEP)
		return;
	model_check((result[0] < 0) == (result[1] < 0), "%d and %d", result[0], result[1]);
	model_check(result[0] >= 0 || result[0] == -ETIMEDOUT, "%d", result[0]);
	model_check(result[1] >= 0 || result[1] == -ECANCELED, "%d", result[1]);
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "barrier: two come", setup, two, all_came, 0 },
		{ "barrier: two come twice", setup, two_rounds, all_came, 0 },
		{ "barrier: one dies at any step", setup, one_dies, the_other_is_told, 1 },
		{ "barrier: the next round is broken", setup, next_is_broken, first_is_whole, 0 },
		{ "barrier: one gives up", setup, one_gives_up, all_agree, 0 },
		{ "barrier: one is missing", setup, one_is_missing, all_agree, 0 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "come", MODEL_CAS, "it reads nothing of others", 1 },
		{ "end_round", MODEL_CAS, "the places have been acquired", 1 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "lock/barrier.c", excepts);
}
