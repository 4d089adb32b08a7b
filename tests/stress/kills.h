/* SPDX-License-Identifier: MIT */
/*
 * kills.h - workers that use what lies in a raw segment, and of which one is killed now and then
 *
 * The program sets @kills before it starts them. A worker that is killed has a successor with the
 * same number.
 */
#ifndef TEST_KILLS_H
#define TEST_KILLS_H

#include "stress.h"

#define KILL_NS		20000000u
#define PIDS		(1u << 22)
#define KILLED		0x80000000u

static struct {
	struct shmipc_segment_opts opts;
	/* One use of @at by worker @me. An error ends it, and is a failure */
	int (*once)(struct rng *r, struct shmipc_peer *p, void *at, uint32_t me);
	uint32_t *worker_of;	/* [PIDS]: from 1: of this process; killed or about to be: KILLED */
} kills;

/* Memory of the test, which no one else writes: zeroes. */
static inline void *board_new(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	return p;
}

static inline void kills_begin(size_t bytes, uint32_t flags,
			       int (*once)(struct rng *r, struct shmipc_peer *p, void *at, uint32_t me))
{
	kills.opts = (struct shmipc_segment_opts)SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = bytes, .flags = SHMIPC_CREATE | flags);
	kills.once = once;
	kills.worker_of = (uint32_t *)board_new(PIDS * sizeof(*kills.worker_of));
}

/* A handle and its peer. */
struct joined {
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	void *at;
};

/* False: it is WRONG. */
static inline bool join(struct joined *j)
{
	int ret = shmipc_segment_open(&j->seg, "state", &kills.opts);

	if (!ret) {
		ret = shmipc_peer_join(&j->p, j->seg, NULL);
		if (ret)
			shmipc_segment_close(j->seg);
	}
	if (ret)
		WRONG("open and join: %d", ret);
	else
		j->at = shmipc_segment_data(j->seg, NULL);
	return !ret;
}

static inline void part(struct joined *j)
{
	shmipc_peer_leave(j->p);
	shmipc_segment_close(j->seg);
}

static inline int worker(struct other *o, void *arg)
{
	uint32_t me = (uint32_t)(uintptr_t)arg;
	struct rng r = { stress_seed ^ rng_mix((uint64_t)getpid()) };
	struct joined j;
	int ret = 0;

	(void)o;
	shmipc_store_relaxed(&kills.worker_of[getpid() % PIDS], me + 1);
	if (!join(&j))
		return 1;
	while (!stopping() && !ret)
		ret = kills.once(&r, j.p, j.at, me);
	if (ret)
		WRONG("%s", shmipc_error_name(ret));
	part(&j);
	return ret != 0;
}

static inline void worker_start(struct other *o, uint32_t i)
{
	if (other_start(&o[i], 0, worker, (void *)(uintptr_t)i))
		ksft_exit_fail_msg("fork\n");
}

static inline void workers_start(struct other *o, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++)
		worker_start(o, i);
}

static inline void workers_end(struct other *o, uint32_t n)
{
	uint32_t i;

	stop_all();
	for (i = 0; i < n; i++)
		if (other_end(&o[i]))
			WRONG("a worker failed");
}

/* It has no successor yet. */
static inline void worker_kill(struct other *o, uint32_t i)
{
	shmipc_fetch_or_acq_rel(&kills.worker_of[o[i].pid % PIDS], KILLED);
	if (other_kill(&o[i]) != 256 + SIGKILL)
		WRONG("a worker ended by itself");
}

/*
 * Kill one of @n every KILL_NS, until the time is over and there is @enough. @before: what is done
 * with each, before it is killed; may be NULL. How many.
 */
static inline uint64_t kill_some(struct other *o, uint32_t n, bool (*enough)(void),
				 void (*before)(struct other *o, uint32_t i))
{
	struct rng r = { stress_seed };
	uint64_t made = 0;
	uint32_t i;

	while (stress_goes_on(enough())) {
		nap_ns(KILL_NS);
		i = (uint32_t)rng_below(&r, n);
		if (before)
			before(&o[i], i);
		worker_kill(o, i);
		made++;
		worker_start(o, i);
	}
	return made;
}

/* One time in sixteen there is a deadline: a short one, or none at all. */
static inline uint64_t some_deadline(struct rng *r)
{
	if (!rng_chance(r, 16))
		return SHMIPC_FOREVER;
	return rng_chance(r, 4) ? 0 : shmipc_deadline_in(rng_below(r, 2000000));
}

/* Has a call with this deadline given up, as it may? */
static inline bool gave_up(int ret, uint64_t deadline_ns)
{
	return (ret == -EAGAIN && !deadline_ns) ||
	       (ret == -ETIMEDOUT && deadline_ns && deadline_ns != SHMIPC_FOREVER);
}

/* The worker that a death was told of, by its process number; it must have been killed. 0: not named. */
static inline uint32_t killed_worker(uint32_t pid)
{
	uint32_t worker = shmipc_load_relaxed(&kills.worker_of[pid % PIDS]);

	if (!pid)	/* killed just after it had locked, and its slot is taken already */
		return 0;
	if (!(worker & KILLED))
		WRONG("told that process %u died, which was not killed", pid);
	return worker & ~KILLED;
}

#endif /* TEST_KILLS_H */
