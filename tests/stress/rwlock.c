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
#include "stress.h"

#define WORKERS		9u	/* 8, and the one that is alone among them */
#define KILLED_ONES	8u
#define KILL_NS		20000000u
#define PIDS		(1u << 22)

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
	uint32_t worker_of[PIDS];	/* from 1: of this process; killed or about to be: KILLED */
} *board;

#define KILLED		0x80000000u

static const struct shmipc_segment_opts opts = {
	.struct_bytes = sizeof(opts), .kind = SHMIPC_KIND_RAW, .bytes = sizeof(struct state),
	.flags = SHMIPC_CREATE | SHMIPC_PERSIST,
};

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
	uint32_t pid, worker;
	uint64_t missing;

	if (shmipc_rwlock_get_info(p, &s->lock, &i))
		WRONG("no info");
	pid = i.died.pid;
	worker = shmipc_load_relaxed(&board->worker_of[pid % PIDS]);
	board->told++;
	if (!pid)	/* killed just after it had locked, and its slot is taken already */
		board->unnamed++;
	else if (!(worker & KILLED))
		WRONG("told that process %u died, which was not killed", pid);
	missing = s->counter - sum();
	if (missing > 1)
		WRONG("%llu are missing", (unsigned long long)missing);
	/* Of two that died in a row, the first in the middle of it, only the last is named. */
	else if (missing)
		board->done[pid ? (worker & ~KILLED) - 1 : 0]++;
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

static int once(struct rng *r, struct shmipc_peer *p, struct state *s, uint32_t me)
{
	uint64_t began = now_ns(), deadline = SHMIPC_FOREVER;
	bool writes = rng_below(r, 64) < board->write_of_64[me];
	int ret;

	if (rng_chance(r, 16))
		deadline = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 2000000));
	ret = writes ? shmipc_rwlock_write_lock(p, &s->lock, deadline) :
		       shmipc_rwlock_read_lock(p, &s->lock, deadline);
	if ((ret == -EAGAIN && !deadline) || (ret == -ETIMEDOUT && deadline != SHMIPC_FOREVER)) {
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

static int worker(struct other *o, void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	struct rng r = { stress_seed ^ rng_mix((uint64_t)getpid()) };
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	int ret;

	(void)o;
	shmipc_store_relaxed(&board->worker_of[getpid() % PIDS], me + 1);
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

static void end(struct other *o, uint32_t n)
{
	uint32_t i;

	stop_all();
	for (i = 0; i < n; i++)
		if (other_end(&o[i]))
			WRONG("a worker failed");
}

static uint64_t kill_some(struct other *o)
{
	struct rng r = { stress_seed };
	uint64_t kills = 0;
	uint32_t i;

	while (stress_goes_on(board->told > 0 && board->reads > 1000 && sum() > 1000)) {
		nap_ns(KILL_NS);
		i = (uint32_t)rng_below(&r, KILLED_ONES);
		shmipc_fetch_or_acq_rel(&board->worker_of[o[i].pid % PIDS], KILLED);
		if (other_kill(&o[i]) != 256 + SIGKILL)
			WRONG("a worker ended by itself");
		kills++;
		start(o, i);
	}
	return kills;
}

/* All have ended: whatever the last one left is repaired, and it fits. The shares that were freed. */
static uint64_t check_end(void)
{
	struct shmipc_rwlock_info info = SHMIPC_RWLOCK_INFO();
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	struct state *s;
	int ret;

	if (shmipc_segment_open(&seg, "state", &opts) || shmipc_peer_join(&p, seg, NULL)) {
		WRONG("open and join");
		return 0;
	}
	s = shmipc_segment_data(seg, NULL);
	ret = shmipc_rwlock_write_lock(p, &s->lock, shmipc_deadline_in(20000000000));
	if (ret == -EOWNERDEAD)
		repair(p, s);
	else if (ret)
		WRONG("in the end: %s", shmipc_error_name(ret));
	if (s->counter != sum())
		WRONG("counted to %llu, and together to %llu", (unsigned long long)s->counter,
		      (unsigned long long)sum());
	(void)shmipc_rwlock_get_info(p, &s->lock, &info);
	if (info.readers || shmipc_rwlock_unlock(p, &s->lock))
		WRONG("unlock");
	shmipc_peer_leave(p);
	shmipc_segment_close(seg);
	return info.freed;
}

/* One that @writes among 8 that do not, or the other way. The longest of its waits. */
static double unluckiest(bool writes)
{
	struct other o[WORKERS];
	uint64_t began;
	uint32_t i;

	stress_part(20);
	memset(board, 0, sizeof(*board) - sizeof(board->worker_of));
	for (i = 0; i < WORKERS; i++)
		board->write_of_64[i] = (i < WORKERS - 1) != writes ? 64 : 0;
	for (i = 0; i < WORKERS; i++)
		start(o, i);
	began = board->reads + sum();
	while (stress_goes_on(board->reads + sum() > began + 1000))
		nap_ns(10000000);
	end(o, WORKERS);
	(void)shmipc_segment_unlink("state");
	return (double)board->wait_ns[WORKERS - 1] / 1e6;
}

int main(void)
{
	struct other o[KILLED_ONES];
	uint64_t kills, freed;
	double writer, reader;
	uint32_t i;

	stress_begin("stress/rwlock", 4);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (board == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	stress_part(55);
	for (i = 0; i < KILLED_ONES; i++)
		board->write_of_64[i] = 16;
	for (i = 0; i < KILLED_ONES; i++)
		start(o, i);
	kills = kill_some(o);
	end(o, KILLED_ONES);
	freed = check_end();
	(void)shmipc_segment_unlink("state");
	ksft_print_msg("%llu writes, %llu reads; %llu kills, %llu told, %llu counts repaired, %llu not named, %llu shares freed; %llu gave up\n",
		       (unsigned long long)sum(), (unsigned long long)board->reads,
		       (unsigned long long)kills, (unsigned long long)board->told,
		       (unsigned long long)board->repaired, (unsigned long long)board->unnamed,
		       (unsigned long long)freed, (unsigned long long)board->timeouts);
	ksft_test_result(!sh->bad && sum() > 1000 && board->reads > 1000, "the counter equals the sum\n");
	ksft_test_result(!sh->bad && board->told && freed && freed <= kills,
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
