// SPDX-License-Identifier: MIT
/*
 * rwlock: 8 processes read and write under one lock, and one is killed every 20 ms
 *
 * Nobody hangs, no reader sees half an update, no writer is beside another one; the counter
 * equals the sum of what all have counted, as the next one that is told of a death repairs it;
 * each death that is told is that of a writer that was killed before. Then, without kills: how
 * long the unluckiest writer waits among 8 readers, and the unluckiest reader among 8 writers.
 *
 * A process counts twice: in the segment, and for itself. If it is killed between, the two
 * differ by one, and the next one adds that to what the dead one has counted.
 */
#include "kills.h"

#define WORKERS		9u	/* 8, and the one that is alone among them */
#define KILLED_ONES	8u

struct state {
	struct shmipc_rwlock lock;
	uint64_t counter;
	uint64_t again;		/* the same, unless a writer has the lock */
	uint64_t inside;	/* process that writes */
};

/* Memory of the test, which no one else writes. */
static struct board {
	uint64_t done[WORKERS];		/* under the lock */
	uint64_t wait_ns[WORKERS];	/* the longest */
	uint64_t reads, told, repaired, unnamed, timeouts;
	uint32_t write_of_64[WORKERS];	/* how many of its calls write */
} *board;

static uint64_t sum(void)
{
	uint64_t n = 0;
	uint32_t i;

	for (i = 0; i < WORKERS; i++)
		n += shmipc_load_relaxed(&board->done[i]);
	return n;
}

/* The caller has the lock alone; a writer died. */
static void repair(struct shmipc_peer *p, struct state *s)
{
	struct shmipc_rwlock_info i = SHMIPC_RWLOCK_INFO();
	uint64_t missing;
	uint32_t dead;

	if (shmipc_rwlock_get_info(p, &s->lock, &i))
		WRONG("no info");
	dead = killed_worker(i.died.pid);
	board->told++;
	board->unnamed += !dead;
	missing = s->counter - sum();
	if (missing > 1)
		WRONG("%llu are missing", (unsigned long long)missing);
	/* Of two that died in a row, the first in the middle of it, only the last is named. */
	else if (missing)
		board->done[dead ? dead - 1 : 0]++;
	board->repaired += missing;
	s->again = s->counter;
	shmipc_store_relaxed(&s->inside, (uint64_t)0);
	if (shmipc_rwlock_consistent(p, &s->lock))
		WRONG("consistent");
}

static void rest(struct rng *r)
{
	if (rng_chance(r, 64))
		nap_ns(rng_below(r, 400000));
	else if (rng_chance(r, 8))
		sched_yield();
}

static void write_it(struct rng *r, struct state *s, uint32_t me)
{
	uint64_t inside = shmipc_load_relaxed(&s->inside);

	if (inside)
		WRONG("process %llu writes, too", (unsigned long long)inside);
	shmipc_store_relaxed(&s->inside, (uint64_t)getpid());
	s->counter++;
	rest(r);
	shmipc_compiler_barrier();
	board->done[me]++;
	s->again = s->counter;
	shmipc_store_relaxed(&s->inside, (uint64_t)0);
}

static void read_it(struct rng *r, const struct state *s)
{
	uint64_t counter = shmipc_load_relaxed(&s->counter);

	rest(r);
	if (shmipc_load_relaxed(&s->inside))
		WRONG("a writer beside a reader");
	if (shmipc_load_relaxed(&s->again) != counter)
		WRONG("half an update is seen");
	shmipc_add_relaxed(&board->reads, 1);
}

static int once(struct rng *r, struct shmipc_peer *p, void *at, uint32_t me)
{
	uint64_t began = now_ns(), deadline = some_deadline(r);
	bool writes = rng_below(r, 64) < board->write_of_64[me];
	struct state *s = at;
	int ret;

	ret = writes ? shmipc_rwlock_write_lock(p, &s->lock, deadline) :
		       shmipc_rwlock_read_lock(p, &s->lock, deadline);
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
	if (writes)
		write_it(r, s, me);
	else
		read_it(r, s);
	beat();
	return shmipc_rwlock_unlock(p, &s->lock);
}

static bool is_enough(void)
{
	return board->told > 0 && board->reads > 1000 && sum() > 1000;
}

/* All have ended: whatever the last one left is repaired, and it fits. The shares that were freed. */
static uint64_t check_end(void)
{
	struct shmipc_rwlock_info info = SHMIPC_RWLOCK_INFO();
	struct joined j;
	struct state *s;
	int ret;

	if (!join(&j))
		return 0;
	s = j.at;
	ret = shmipc_rwlock_write_lock(j.p, &s->lock, shmipc_deadline_in(20000000000));
	if (ret == -EOWNERDEAD)
		repair(j.p, s);
	else if (ret)
		WRONG("in the end: %s", shmipc_error_name(ret));
	if (s->counter != sum())
		WRONG("counted to %llu, and together to %llu", (unsigned long long)s->counter,
		      (unsigned long long)sum());
	(void)shmipc_rwlock_get_info(j.p, &s->lock, &info);
	if (info.readers || shmipc_rwlock_unlock(j.p, &s->lock))
		WRONG("unlock");
	part(&j);
	return info.freed;
}

/* One that @writes among 8 that do not, or the other way. The longest of its waits. */
static double unluckiest(bool writes)
{
	struct other o[WORKERS];
	uint64_t began;
	uint32_t i;

	stress_part(20);
	memset(board, 0, sizeof(*board));
	for (i = 0; i < WORKERS; i++)
		board->write_of_64[i] = (i < WORKERS - 1) != writes ? 64 : 0;
	workers_start(o, WORKERS);
	began = board->reads + sum();
	while (stress_goes_on(board->reads + sum() > began + 1000))
		nap_ns(10000000);
	workers_end(o, WORKERS);
	(void)shmipc_segment_unlink("state");
	return (double)board->wait_ns[WORKERS - 1] / 1e6;
}

int main(void)
{
	struct other o[KILLED_ONES];
	uint64_t made, freed;
	double writer, reader;
	uint32_t i;

	stress_begin("stress/rwlock", 4);
	board = board_new(sizeof(*board));
	kills_begin(sizeof(struct state), SHMIPC_PERSIST, once);
	stress_part(55);
	for (i = 0; i < KILLED_ONES; i++)
		board->write_of_64[i] = 16;
	workers_start(o, KILLED_ONES);
	made = kill_some(o, KILLED_ONES, is_enough, NULL);
	workers_end(o, KILLED_ONES);
	freed = check_end();
	(void)shmipc_segment_unlink("state");
	ksft_print_msg("%llu writes, %llu reads; %llu kills, %llu told, %llu counts repaired, %llu not named, %llu shares freed; %llu gave up\n",
		       (unsigned long long)sum(), (unsigned long long)board->reads,
		       (unsigned long long)made, (unsigned long long)board->told,
		       (unsigned long long)board->repaired, (unsigned long long)board->unnamed,
		       (unsigned long long)freed, (unsigned long long)board->timeouts);
	ksft_test_result(!sh->bad && sum() > 1000 && board->reads > 1000, "the counter equals the sum\n");
	ksft_test_result(!sh->bad && board->told && freed && freed <= made,
			 "deaths of writers are told, shares of dead readers freed\n");
	writer = unluckiest(true);
	ksft_print_msg("%llu writes, %llu reads: the writer among 8 readers waited %.1f ms\n",
		       (unsigned long long)sum(), (unsigned long long)board->reads, writer);
	reader = sh->bad ? 0 : unluckiest(false);
	ksft_print_msg("%llu writes, %llu reads: the reader among 8 writers waited %.1f ms\n",
		       (unsigned long long)sum(), (unsigned long long)board->reads, reader);
	ksft_test_result(!sh->bad && writer < 10000 && reader < 10000, "nobody starves\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
