// SPDX-License-Identifier: MIT
/*
 * model_lock.c - a mutex whose owners and waiters may die at any step, and a condition
 *
 * They are the library's own (lib/lock), with its waiter; the rest is in model_lock.h.
 */
#include "model_lock.h"

#define NOBODY		(-1)

static struct shmipc_mutex mutex __attribute__((aligned(64)));
static struct shmipc_cond cond __attribute__((aligned(64)));
static uint64_t data[1] __attribute__((aligned(64)));	/* what it protects */
#define MUTEX	(&mutex)

static int result[MOST];		/* of its last call */
static int inside;			/* peer that is between lock and unlock */
static int sections;			/* how many were completed */
static int repairs;			/* whether the next owner declares it consistent */

/* The threads */

static void setup(void)
{
	model_region(&mutex, sizeof(mutex), "mutex", 0);
	model_region(peer, sizeof(peer), "peer", 0);
	model_region(&cond, sizeof(cond), "cond", 0);
	model_region(data, sizeof(data), "data", 1);
}

static void reset(void)
{
	int i;

	memset(&mutex, 0, sizeof(mutex));
	memset(&cond, 0, sizeof(cond));
	memset(data, 0, sizeof(data));
	sections = 0;
	repairs = 1;
	inside = NOBODY;
	reset_peers(&mutex);
	for (i = 0; i < MOST; i++)
		result[i] = 1;
}

static int is_dead(int i)
{
	return i != NOBODY && model_state(thread[i]) == MODEL_DIED;
}

static void entered(int i, int ret)
{
	uint64_t v;

	if (ret == -EOWNERDEAD) {
		int who = (int)shmipc_lock_peer(shmipc_load_relaxed(&MUTEX->died)).slot;

		model_check(is_dead(who), "told that peer %d died, which lives", who);
		model_check(inside == NOBODY || is_dead(inside), "two inside: %d and %d", inside, i);
	} else {
		model_check(inside == NOBODY, "two inside, or not told of a death: %d and %d", inside, i);
	}
	inside = i;
	shmipc_payload_read(&v, data, sizeof(v));
	v++;
	shmipc_payload_write(data, &v, sizeof(v));
}

static void leave(int i)
{
	sections++;
	inside = NOBODY;
	model_check(!shmipc_mutex_unlock(&peer[i], MUTEX), "unlock by %d fails", i);
}

static void use(int i, uint64_t deadline_ns)
{
	int ret = shmipc_mutex_lock(&peer[i], MUTEX, deadline_ns);

	result[i] = ret;
	if (ret && ret != -EOWNERDEAD)
		return;
	entered(i, ret);
	if (ret && repairs)
		model_check(!shmipc_mutex_consistent(&peer[i], MUTEX), "not consistent");
	leave(i);
}

static void user(void *arg)
{
	use(*(const int *)arg, UINT64_MAX);
}

static void user_twice(void *arg)
{
	use(*(const int *)arg, UINT64_MAX);
	use(*(const int *)arg, UINT64_MAX);
}

static void timed(void *arg)
{
	use(*(const int *)arg, DEADLINE_NS);
}

/* It sleeps for the first owner, and wants no more than to be woken: the search is short. */
static void sleeper(void *arg)
{
	(void)model_futex_wait_deaths(&MUTEX->word, (uint32_t)mutex.word, 0, 0);
	result[*(const int *)arg] = 0;
}

/* It has the mutex from the beginning. */
static void owner(void *arg)
{
	const int *i = arg;

	result[*i] = 0;
	leave(*i);
}

/* The same, and once more, while others are still being woken. */
static void owner_again(void *arg)
{
	const int *i = arg;

	owner(arg);
	use(*i, 0);
}

static void start(const char *name, void (*fn)(void *), int mortal)
{
	static int number[MOST] = { 0, 1, 2, 3 };
	int i = threads++;

	if (fn == owner || fn == owner_again) {
		mutex.word = shmipc_lock_self(&peer[i]);
		inside = i;
		data[0] = 1;
	}
	thread[i] = model_spawn(name, fn, &number[i], mortal);
}

static void two(void)
{
	reset();
	start("first", user_twice, 0);
	start("second", user, 0);
}

static void three(void)
{
	reset();
	start("owner", owner, 0);
	start("second", user, 0);
	start("third", user, 0);
}

static void gives_up(void)
{
	reset();
	start("owner", owner_again, 0);
	mutex.word |= SHMIPC_LOCK_WAITERS;
	start("timed", timed, 0);
	start("sleeper", sleeper, 0);
}

static void one_dies(void)
{
	reset();
	start("first", user, 1);
	start("second", user_twice, 0);
}

static void one_of_three_dies(void)
{
	reset();
	start("owner", owner, 1);
	start("second", user, 1);
	start("third", user, 0);
}

/* It comes when all the others have ended: the search is short. */
static void late(void *arg)
{
	const int *i = arg;
	int k;

	for (k = 0; k < *i; k++)
		(void)model_join(thread[k]);
	use(*i, UINT64_MAX);
}

static void two_die(void)
{
	reset();
	start("first", user, 1);
	start("second", user, 1);
	start("third", model_deep ? user : late, 0);
}

static void after_first(void *arg)
{
	(void)model_join(thread[0]);
	user(arg);
}

static void is_given_up(void)
{
	reset();
	repairs = 0;
	start("owner", owner, 1);
	start("second", user, 1);
	start("third", model_deep ? user : after_first, 0);
}

/* The condition: tokens that are waited for */

static uint64_t add_tokens(uint64_t n)
{
	uint64_t v;

	shmipc_payload_read(&v, data, sizeof(v));
	v += n;
	if (n)
		shmipc_payload_write(data, &v, sizeof(v));
	return v;
}

/* Take one; a dead owner has left them as they are. */
static void waits(void *arg)
{
	int i = *(const int *)arg, ret = shmipc_mutex_lock(&peer[i], MUTEX, UINT64_MAX);

	for (;;) {
		if (ret == -EOWNERDEAD)
			ret = shmipc_mutex_consistent(&peer[i], MUTEX);
		model_check(!ret, "peer %d: %d", i, ret);
		if (add_tokens(0))
			break;
		ret = shmipc_cond_wait(&peer[i], &cond, MUTEX, UINT64_MAX);
	}
	(void)add_tokens(UINT64_MAX);
	model_check(!shmipc_mutex_unlock(&peer[i], MUTEX), "unlock");
	result[i] = 0;
}

static void give(int i, uint64_t n)
{
	int ret = shmipc_mutex_lock(&peer[i], MUTEX, UINT64_MAX);

	if (ret == -EOWNERDEAD)
		ret = shmipc_mutex_consistent(&peer[i], MUTEX);
	model_check(!ret, "peer %d: %d", i, ret);
	(void)add_tokens(n);
	model_check(!shmipc_mutex_unlock(&peer[i], MUTEX), "unlock");
}

static void gives(void *arg)
{
	int i = *(const int *)arg;

	give(i, 1);
	model_check(!shmipc_cond_signal(&peer[i], &cond), "signal");
}

/* The same, for all. */
static void gives_to_all(void *arg)
{
	int i = *(const int *)arg;

	give(i, 1);
	model_check(!shmipc_cond_broadcast(&peer[i], &cond), "broadcast");
}

/* It sleeps from the beginning, and wants no more than to be woken: the search is short. */
static void sleeps(void *arg)
{
	(void)model_futex_wait_deaths(&cond.word, 0, 0, 0);
	result[*(const int *)arg] = 0;
}

static void cond_one(void)
{
	reset();
	start("waits", waits, 0);
	start("gives", gives, 0);
}

static void cond_all(void)
{
	reset();
	cond.waiting = 1;
	start("sleeps", sleeps, 0);
	start("waits", waits, 0);
	start("gives", gives_to_all, 0);
}

static void cond_dies(void)
{
	reset();
	cond.waiting = 1;
	start("sleeps", sleeps, 1);
	start("waits", waits, 0);
	start("gives", gives, 0);
}

static void all_have_it(void)
{
	int i;

	for (i = 0; i < threads; i++)
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
	model_check(shmipc_load_relaxed(&cond.waiting) == (threads > 2), "waiters that are not there");
}

/* The signal was for one of the two; if that is dead, for the other one. */
static void the_other_has_it(void)
{
	model_check(model_state(thread[2]) == MODEL_RETURNED, "the signal has no end");
	if (is_dead(0))
		model_check(model_state(thread[1]) == MODEL_RETURNED, "it waits for what is there");
}

/* How each that lives must have ended: with what it came for. */
static void all_had_it(void)
{
	uint64_t v;
	int i, dead = 0;

	shmipc_payload_read(&v, data, sizeof(v));

	for (i = 0; i < threads; i++) {
		if (is_dead(i)) {
			dead++;
			continue;
		}
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
		model_check(!result[i] || (result[i] == -EOWNERDEAD), "peer %d: %d", i, result[i]);
	}
	if (!dead)
		model_check(v == (uint64_t)sections && !shmipc_load_relaxed(&MUTEX->word),
			    "counted %llu of %d, its word is %llx", (unsigned long long)v, sections,
			    (unsigned long long)shmipc_load_relaxed(&MUTEX->word));
	else
		model_check(v >= (uint64_t)sections && v <= (uint64_t)(sections + dead),
			    "counted %llu, of %d and %d that died", (unsigned long long)v, sections, dead);
}

/* One that gives up may sleep until its deadline; no one else may be left asleep. */
static void all_but_timed(void)
{
	int i;

	for (i = 0; i < threads; i++)
		model_check(model_state(thread[i]) == MODEL_RETURNED ||
			    (i == 1 && model_state(thread[i]) == MODEL_ASLEEP),
			    "peer %d waits without an end", i);
	model_check(!result[2], "the sleeper: %d", result[2]);
	model_check(!result[0] || result[0] == -EAGAIN, "the owner, again: %d", result[0]);
	model_check(!result[1] || result[1] == -ETIMEDOUT || result[1] == 1, "timed: %d", result[1]);
}

/* After the first death none gets it for good any more, and none sleeps. */
static void all_are_told(void)
{
	int i;

	for (i = 0; i < threads; i++) {
		if (is_dead(i))
			continue;
		model_check(model_state(thread[i]) == MODEL_RETURNED, "peer %d waits without an end", i);
		model_check(!result[i] || result[i] == -EOWNERDEAD || result[i] == -ENOTRECOVERABLE,
			    "peer %d: %d", i, result[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "mutex: one at a time", setup, two, all_had_it, 0 },
		{ "mutex: two sleep, one wakes the other", setup, three, all_had_it, 0 },
		{ "mutex: one gives up, and passes the wake on", setup, gives_up, all_but_timed, 0 },
		{ "mutex: one dies at any step", setup, one_dies, all_had_it, 1 },
		{ "mutex: one of three dies", setup, one_of_three_dies, all_had_it, 1, 1 },
		{ "mutex: two of three die", setup, two_die, all_had_it, 2 },
		{ "mutex: it is given up", setup, is_given_up, all_are_told, 1 },
		{ "cond: a signal ends a wait", setup, cond_one, all_have_it, 0 },
		{ "cond: a broadcast ends all", setup, cond_all, all_have_it, 0 },
		{ "cond: the one that was woken dies", setup, cond_dies, the_other_has_it, 1 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "take", MODEL_CAS, "it publishes nothing; others' releases go on", 2 },
		{ "shmipc_mutex_lock", MODEL_CAS, "it publishes nothing; others' releases go on", 2 },
		{ "unlock_slow", MODEL_CAS, "it reads nothing of others", 1 },
		{ "shmipc_mutex_unlock", MODEL_CAS, "it reads nothing of others", 1 },
		{ "word_want", MODEL_CAS, "only a flag, in a word that others have released", 0 },
		{ "pass_on", MODEL_CAS, "only a flag, in a word that others have released", 0 },
		{ "shmipc_mutex_consistent", MODEL_CAS, "a flag of the owner's own", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "lib/lock/", excepts);
}
