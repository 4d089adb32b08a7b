// SPDX-License-Identifier: MIT
/*
 * sem: 8 processes share the three units of a robust semaphore, and one is killed every 20 ms
 *
 * Nobody hangs; no more than three live processes have a unit at a time; in the end all units
 * are there again, and as many came back from the dead as had them.
 */
#include "stress.h"

#define WORKERS		8u
#define UNITS		3u
#define KILL_NS		20000000u

enum { TAKEN, TIMEOUTS };		/* sh->word[] */
#define HOLDS		8		/* a bit for each worker: it has a unit */

static const struct shmipc_segment_opts opts = {
	.struct_bytes = sizeof(opts), .kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct shmipc_sem),
	.flags = SHMIPC_CREATE,
};

/* All bits at one moment. One that was killed has none any more, before its unit is free. */
static uint64_t has(int me, bool a_unit)
{
	uint64_t bit = UINT64_C(1) << me, *word = &sh->word[HOLDS];

	if (!a_unit)
		return __atomic_fetch_and(word, ~bit, __ATOMIC_SEQ_CST) & bit;
	return (uint64_t)__builtin_popcountll(__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) | bit);
}

static void look_around(int me)
{
	uint64_t n = has(me, true);

	if (n > UNITS)
		WRONG("%llu have one of %u units", (unsigned long long)n, UNITS);
}

static int once(struct rng *r, struct shmipc_peer *p, struct shmipc_sem *s, int me)
{
	uint64_t deadline = SHMIPC_FOREVER;
	int ret;

	if (rng_chance(r, 16))
		deadline = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 2000000));
	ret = shmipc_sem_wait(p, s, deadline);
	if ((ret == -EAGAIN && !deadline) || (ret == -ETIMEDOUT && deadline != SHMIPC_FOREVER)) {
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
	return shmipc_sem_post(p, s, 1);
}

static int worker(struct other *o, void *arg)
{
	int me = (int)(uintptr_t)arg, ret;
	struct rng r = { stress_seed ^ rng_mix((uint64_t)getpid()) };
	struct shmipc_segment *seg;
	struct shmipc_peer *p;

	(void)o;
	ret = shmipc_segment_open(&seg, "state", &opts);
	if (!ret)
		ret = shmipc_peer_join(&p, seg, NULL);
	if (ret) {
		WRONG("open and join: %d", ret);
		return 1;
	}
	while (!stopping() && !ret)
		ret = once(&r, p, shmipc_segment_data(seg, NULL), me);
	if (ret)
		WRONG("%s", shmipc_error_name(ret));
	shmipc_peer_leave(p);
	shmipc_segment_close(seg);
	return ret != 0;
}

static void start(struct other *o, uint32_t i)
{
	if (other_start(&o[i], 0, worker, (void *)(uintptr_t)i))
		ksft_exit_fail_msg("fork\n");
}

/* A stopped one neither takes nor posts: it says whether it has a unit, and dies. */
static uint64_t kill_some(struct other *o, uint64_t *ret_held)
{
	struct rng r = { stress_seed };
	uint64_t kills = 0;
	int status;
	uint32_t i;

	while (stress_goes_on(*ret_held > 0 && word_get(TAKEN) > 1000)) {
		nap_ns(KILL_NS);
		i = (uint32_t)rng_below(&r, WORKERS);
		(void)kill(o[i].pid, SIGSTOP);
		(void)waitpid(o[i].pid, &status, WUNTRACED);
		*ret_held += has((int)i, false) != 0;
		if (other_kill(&o[i]) != 256 + SIGKILL)
			WRONG("a worker ended by itself");
		kills++;
		start(o, i);
	}
	return kills;
}

int main(void)
{
	struct shmipc_sem_info info = SHMIPC_SEM_INFO();
	struct shmipc_segment *seg;
	struct other o[WORKERS];
	uint64_t kills, held = 0;
	struct shmipc_peer *p;
	uint32_t i;

	stress_begin("stress/sem", 3);
	stress_part(90);
	if (shmipc_segment_open(&seg, "state", &opts) ||
	    shmipc_sem_init(shmipc_segment_data(seg, NULL), UNITS, SHMIPC_SEM_ROBUST))
		ksft_exit_fail_msg("open: %s\n", shmipc_error_text());
	for (i = 0; i < WORKERS; i++)
		start(o, i);
	kills = kill_some(o, &held);
	stop_all();
	for (i = 0; i < WORKERS; i++)
		if (other_end(&o[i]))
			WRONG("a worker failed");
	if (shmipc_peer_join(&p, seg, NULL))
		ksft_exit_fail_msg("join: %s\n", shmipc_error_text());
	for (i = 0; i < UNITS; i++)
		if (shmipc_sem_wait(p, shmipc_segment_data(seg, NULL), 0))
			WRONG("unit %u is lost", i);
	if (shmipc_sem_wait(p, shmipc_segment_data(seg, NULL), 0) != -EAGAIN)
		WRONG("a unit too many");
	(void)shmipc_sem_get_info(p, shmipc_segment_data(seg, NULL), &info);
	shmipc_peer_leave(p);
	shmipc_segment_close(seg);
	ksft_print_msg("%llu units taken; %llu kills, %llu of those that said they had one, %llu came back; %llu gave up\n",
		       (unsigned long long)word_get(TAKEN), (unsigned long long)kills,
		       (unsigned long long)held, (unsigned long long)info.freed,
		       (unsigned long long)word_get(TIMEOUTS));
	ksft_test_result(!sh->bad && word_get(TAKEN) > 1000, "no more than three at a time\n");
	/* One may have been killed between taking a unit and saying so, or counting that it came back. */
	ksft_test_result(!sh->bad && held && info.freed + 1 >= held && info.freed <= kills,
			 "what the dead had came back\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
