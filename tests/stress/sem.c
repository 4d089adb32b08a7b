// SPDX-License-Identifier: MIT
/*
 * sem: 8 processes share the three units of a robust semaphore, and one is killed every 20 ms
 *
 * Nobody hangs; no more than three live processes have a unit at a time; in the end all units
 * are there again, and as many came back from the dead as had them.
 */
#include "kills.h"

#define WORKERS		8u
#define UNITS		3u

enum { TAKEN, TIMEOUTS };		/* sh->word[] */
#define HOLDS		8		/* a bit for each worker: it has a unit */

static uint64_t held;		/* of those that were killed: how many said that they had a unit */

/* All bits at one moment. One that was killed has none any more, before its unit is free. */
static uint64_t has(uint32_t me, bool a_unit)
{
	uint64_t bit = UINT64_C(1) << me, *word = &sh->word[HOLDS];

	if (!a_unit)
		return __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST) & bit;
	return (uint64_t)__builtin_popcountll(__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) | bit);
}

static void look_around(uint32_t me)
{
	uint64_t n = has(me, true);

	if (n > UNITS)
		WRONG("%llu have one of %u units", (unsigned long long)n, UNITS);
}

static int once(struct rng *r, struct shmipc_peer *p, void *at, uint32_t me)
{
	uint64_t deadline = some_deadline(r);
	int ret = shmipc_sem_wait(p, at, deadline);

	if (gave_up(ret, deadline)) {
		__atomic_fetch_add(&sh->word[TIMEOUTS], 1, __ATOMIC_RELAXED);
		return 0;
	}
	if (ret)
		return ret;
	look_around(me);
	if (rng_chance(r, 64))
		nap_ns(rng_below(r, 400000));
	__atomic_fetch_add(&sh->word[TAKEN], 1, __ATOMIC_RELAXED);
	(void)has(me, false);
	beat();
	return shmipc_sem_post(p, at, 1);
}

/* A stopped one neither takes nor posts: it says whether it has a unit, and dies. */
static void stop_and_look(struct other *o, uint32_t i)
{
	int status;

	(void)kill(o->pid, SIGSTOP);
	(void)waitpid(o->pid, &status, WUNTRACED);
	held += has(i, false) != 0;
}

static bool is_enough(void)
{
	return held > 0 && word_get(TAKEN) > 1000;
}

int main(void)
{
	struct shmipc_sem_info info = SHMIPC_SEM_INFO();
	struct other o[WORKERS];
	struct joined j;
	uint64_t made;
	uint32_t i;

	stress_begin("stress/sem", 3);
	kills_begin(sizeof(struct shmipc_sem), 0, once);
	stress_part(90);
	if (!join(&j) || shmipc_sem_init(j.at, UNITS, SHMIPC_SEM_ROBUST))
		ksft_exit_fail_msg("open: %s\n", shmipc_error_text());
	workers_start(o, WORKERS);
	made = kill_some(o, WORKERS, is_enough, stop_and_look);
	workers_end(o, WORKERS);
	for (i = 0; i < UNITS; i++)
		if (shmipc_sem_wait(j.p, j.at, 0))
			WRONG("unit %u is lost", i);
	if (shmipc_sem_wait(j.p, j.at, 0) != -EAGAIN)
		WRONG("a unit too many");
	(void)shmipc_sem_get_info(j.p, j.at, &info);
	part(&j);
	ksft_print_msg("%llu units taken; %llu kills, %llu of those that said they had one, %llu came back; %llu gave up\n",
		       (unsigned long long)word_get(TAKEN), (unsigned long long)made,
		       (unsigned long long)held, (unsigned long long)info.freed,
		       (unsigned long long)word_get(TIMEOUTS));
	ksft_test_result(!sh->bad && word_get(TAKEN) > 1000, "no more than three at a time\n");
	/* One may have been killed between taking a unit and saying so, or counting that it came back. */
	ksft_test_result(!sh->bad && held && info.freed + 1 >= held && info.freed <= made,
			 "what the dead had came back\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
