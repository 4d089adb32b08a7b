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
#include "stress.h"

#define WORKERS		8u
#define KILL_NS		20000000u
#define PIDS		(1u << 22)
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

/* The caller owns the mutex, of which an owner died. */
static void repair(struct shmipc_peer *p, struct state *s)
{
	struct shmipc_mutex_info i = SHMIPC_MUTEX_INFO();
	uint32_t pid, worker;
	uint64_t missing;

	if (shmipc_mutex_get_info(p, &s->mutex, &i))
		WRONG("no info");
	pid = i.died.pid;
	worker = shmipc_load_relaxed(&board->worker_of[pid % PIDS]);
	board->told++;
	if (!pid)	/* killed just after it had locked, and its slot is taken already */
		board->unnamed++;
	else if (!(worker & KILLED))
		WRONG("told that process %u died, which was not killed", pid);
	missing = s->counter - sum();
	if (missing > 1 || (missing && !pid))
		WRONG("%llu are missing", (unsigned long long)missing);
	else if (missing)
		board->done[(worker & ~KILLED) - 1]++;
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

static int once(struct rng *r, struct shmipc_peer *p, struct state *s, uint32_t me)
{
	uint64_t began = now_ns(), deadline = SHMIPC_FOREVER;
	int ret;

	if (rng_chance(r, 16))
		deadline = rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 2000000));
	ret = shmipc_mutex_lock(p, &s->mutex, deadline);
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
	count(r, s, me);
	return shmipc_mutex_unlock(p, &s->mutex);
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

static uint64_t kill_some(struct other *o)
{
	uint64_t kills = 0;
	uint32_t i;

	struct rng r = { stress_seed };

	while (stress_goes_on(shmipc_load_relaxed(&board->told) && sum() > COUNTED)) {
		nap_ns(KILL_NS);
		i = (uint32_t)rng_below(&r, WORKERS);
		shmipc_fetch_or_acq_rel(&board->worker_of[o[i].pid % PIDS], KILLED);
		if (other_kill(&o[i]) != 256 + SIGKILL)
			WRONG("a worker ended by itself");
		kills++;
		start(o, i);
	}
	return kills;
}

/* All have ended: whatever the last one left is repaired, and it fits. */
static void check_end(void)
{
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	struct state *s;
	int ret;

	if (shmipc_segment_open(&seg, "state", &opts) || shmipc_peer_join(&p, seg, NULL)) {
		WRONG("open and join");
		return;
	}
	s = shmipc_segment_data(seg, NULL);
	ret = shmipc_mutex_lock(p, &s->mutex, shmipc_deadline_in(20000000000));
	if (ret == -EOWNERDEAD)
		repair(p, s);
	else if (ret)
		WRONG("in the end: %s", shmipc_error_name(ret));
	if (s->counter != sum())
		WRONG("counted to %llu, and together to %llu", (unsigned long long)s->counter,
		      (unsigned long long)sum());
	if (shmipc_mutex_unlock(p, &s->mutex))
		WRONG("unlock");
	shmipc_peer_leave(p);
	shmipc_segment_close(seg);
}

int main(void)
{
	uint64_t kills, longest = 0, n;
	struct other o[WORKERS];
	uint32_t i;

	stress_begin("stress/lock", 3);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (board == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	stress_part(SHARE);
	for (i = 0; i < WORKERS; i++)
		start(o, i);
	kills = kill_some(o);
	stop_all();
	for (i = 0; i < WORKERS; i++)
		if (other_end(&o[i]))
			WRONG("a worker failed");
	check_end();
	(void)shmipc_segment_unlink("state");
	for (i = 0; i < WORKERS; i++)
		if (board->wait_ns[i] > longest)
			longest = board->wait_ns[i];
	n = sum();
	ksft_print_msg("counted to %llu; %llu kills, %llu told, %llu counts repaired, %llu not named; %llu gave up; the unluckiest waited %.1f ms\n",
		       (unsigned long long)n, (unsigned long long)kills, (unsigned long long)board->told,
		       (unsigned long long)board->repaired, (unsigned long long)board->unnamed,
		       (unsigned long long)board->timeouts, (double)longest / 1e6);
	ksft_test_result(!sh->bad && n > COUNTED, "the counter equals the sum\n");
	ksft_test_result(!sh->bad && board->told && board->unnamed * 20 <= board->told,
			 "deaths are told, and name a process that was killed\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
