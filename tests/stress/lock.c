// SPDX-License-Identifier: MIT
/*
 * lock: 8 processes count under one mutex, and one is killed every 20 ms
 *
 * Nobody hangs; the counter equals the sum of what all have counted, as each owner that is
 * told of a death repairs it; each death that is told is that of a process that was killed
 * before.
 *
 * A process counts twice: in the segment, and for itself. If it is killed between, the two
 * differ by one, and the next owner adds that to what the dead one has counted.
 */
#include "kills.h"

#define WORKERS		8u
#define SHARE		90u
#define COUNTED		1000u	/* at least */

struct state {
	struct shmipc_mutex mutex;
	uint64_t counter;
	uint64_t inside;	/* process that is between lock and unlock */
};

/* Memory of the test, which no one else writes. */
static struct board {
	uint64_t done[WORKERS];		/* under the mutex */
	uint64_t wait_ns[WORKERS];	/* the longest */
	uint64_t told, repaired, unnamed, timeouts;
} *board;

static uint64_t sum(void)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < WORKERS; i++)
		n += shmipc_load_relaxed(&board->done[i]);
	return n;
}

/* The caller owns the mutex, of which an owner died. */
static void repair(struct shmipc_peer *p, struct state *s)
{
	struct shmipc_mutex_info i = SHMIPC_MUTEX_INFO();
	uint64_t missing;
	uint32_t dead;

	if (shmipc_mutex_get_info(p, &s->mutex, &i))
		WRONG("no info");
	dead = killed_worker(i.died.pid);
	board->told++;
	board->unnamed += !dead;
	missing = s->counter - sum();
	if (missing > 1 || (missing && !dead))
		WRONG("%llu are missing", (unsigned long long)missing);
	else if (missing)
		board->done[dead - 1]++;
	board->repaired += missing;
	shmipc_store_relaxed(&s->inside, (uint64_t)0);
	if (shmipc_mutex_consistent(p, &s->mutex))
		WRONG("consistent");
}

static void count(struct rng *r, struct state *s, uint32_t me)
{
	uint64_t inside = shmipc_load_relaxed(&s->inside);

	if (inside)
		WRONG("process %llu is inside, too", (unsigned long long)inside);
	shmipc_store_relaxed(&s->inside, (uint64_t)getpid());
	s->counter++;
	if (rng_chance(r, 64))
		nap_ns(rng_below(r, 400000));
	else if (rng_chance(r, 8))
		sched_yield();
	shmipc_compiler_barrier();
	board->done[me]++;
	shmipc_store_relaxed(&s->inside, (uint64_t)0);
	beat();
}

static int once(struct rng *r, struct shmipc_peer *p, void *at, uint32_t me)
{
	uint64_t began = now_ns(), deadline = some_deadline(r);
	struct state *s = at;
	int ret;

	ret = shmipc_mutex_lock(p, &s->mutex, deadline);
	if (gave_up(ret, deadline)) {
		shmipc_add_relaxed(&board->timeouts, 1);
		return 0;
	}
	if (ret && ret != -EOWNERDEAD)
		return ret;
	if (ret)
		repair(p, s);
	if (deadline == SHMIPC_FOREVER && now_ns() - began > board->wait_ns[me])
		board->wait_ns[me] = now_ns() - began;
	count(r, s, me);
	return shmipc_mutex_unlock(p, &s->mutex);
}

static bool is_enough(void)
{
	return shmipc_load_relaxed(&board->told) && sum() > COUNTED;
}

/* All have ended: whatever the last one left is repaired, and it fits. */
static void check_end(void)
{
	struct joined j;
	struct state *s;
	int ret;

	if (!join(&j))
		return;
	s = j.at;
	ret = shmipc_mutex_lock(j.p, &s->mutex, shmipc_deadline_in(20000000000));
	if (ret == -EOWNERDEAD)
		repair(j.p, s);
	else if (ret)
		WRONG("in the end: %s", shmipc_error_name(ret));
	if (s->counter != sum())
		WRONG("counted to %llu, and together to %llu", (unsigned long long)s->counter,
		      (unsigned long long)sum());
	if (shmipc_mutex_unlock(j.p, &s->mutex))
		WRONG("unlock");
	part(&j);
}

int main(void)
{
	uint64_t made, longest = 0, n;
	struct other o[WORKERS];
	uint32_t i;

	stress_begin("stress/lock", 3);
	board = board_new(sizeof(*board));
	kills_begin(sizeof(struct state), SHMIPC_PERSIST, once);
	stress_part(SHARE);
	workers_start(o, WORKERS);
	made = kill_some(o, WORKERS, is_enough, NULL);
	workers_end(o, WORKERS);
	check_end();
	(void)shmipc_segment_unlink("state");
	for (i = 0; i < WORKERS; i++)
		if (board->wait_ns[i] > longest)
			longest = board->wait_ns[i];
	n = sum();
	ksft_print_msg("counted to %llu; %llu kills, %llu told, %llu counts repaired, %llu not named; %llu gave up; the unluckiest waited %.1f ms\n",
		       (unsigned long long)n, (unsigned long long)made, (unsigned long long)board->told,
		       (unsigned long long)board->repaired, (unsigned long long)board->unnamed,
		       (unsigned long long)board->timeouts, (double)longest / 1e6);
	ksft_test_result(!sh->bad && n > COUNTED, "the counter equals the sum\n");
	ksft_test_result(!sh->bad && board->told && board->unnamed * 20 <= board->told,
			 "deaths are told, and name a process that was killed\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
