// SPDX-License-Identifier: MIT
/*
 * barrier: 8 processes meet again and again, and one is killed every 20 ms
 *
 * Nobody hangs, and nobody goes on alone: after each round all have done their step. When one is
 * killed, all others are told so in the same round, or one of them gives up and the others are
 * told of that. Then the barrier is initialised again, and the one that was killed has a successor.
 */
#include "kills.h"

#define WORKERS		8u
#define PATIENCE_NS	200000000u	/* for one that was killed before it came */
#define ROUNDS		300u		/* at least */

struct state {
	struct shmipc_barrier barrier;
	uint64_t step[WORKERS];
};

static struct board {
	uint32_t epoch;			/* one more each time it is initialised again */
	uint32_t seen[WORKERS];		/* the epoch that is over for a worker, from 1 */
	uint64_t done[WORKERS];		/* rounds in this epoch */
	int broken[WORKERS];		/* how it ended */
	uint64_t serials, rounds, told, missed;
} *board;

/* Others are one step behind at most, and none can be two before. */
static void check_steps(const struct state *s, uint64_t step)
{
	uint64_t is;
	uint32_t i;

	for (i = 0; i < WORKERS; i++) {
		is = shmipc_load_relaxed(&s->step[i]);
		if (is != step && is != step + 1)
			WRONG("worker %u is at step %llu, after round %llu", i, (unsigned long long)is,
			      (unsigned long long)step);
	}
}

static void until_next_epoch(uint32_t over)
{
	while (!stopping() && shmipc_load_acquire(&board->epoch) == over)
		nap_ns(100000);
}

static int once(struct rng *r, struct shmipc_peer *p, void *at, uint32_t me)
{
	uint32_t epoch = shmipc_load_acquire(&board->epoch);
	uint64_t step = board->done[me] + 1;
	struct state *s = at;
	int ret;

	/* Then the others sleep, and one of them may be killed. */
	if (rng_chance(r, 64))
		nap_ns(rng_below(r, 30000000));
	shmipc_store_relaxed(&s->step[me], step);
	ret = shmipc_barrier_wait(p, &s->barrier, shmipc_deadline_in(PATIENCE_NS));
	beat();
	if (ret >= 0) {
		check_steps(s, step);
		shmipc_add_relaxed(&board->serials, (uint64_t)ret);
		board->done[me]++;
		return 0;
	}
	if (ret != -EOWNERDEAD && ret != -ETIMEDOUT && ret != -ECANCELED)
		return ret;
	board->broken[me] = ret;
	shmipc_store_release(&board->seen[me], epoch);
	until_next_epoch(epoch);
	return 0;
}

/* All but @dead have seen its end. False: something is wrong. */
static bool await_all(uint32_t dead)
{
	uint64_t end = now_ns() + STUCK_SECONDS * UINT64_C(1000000000);
	uint32_t i;

	for (i = 0; i < WORKERS; i++)
		while (i != dead && shmipc_load_acquire(&board->seen[i]) != board->epoch) {
			if (sh->bad || now_ns() > end) {
				WRONG("worker %u waits for one that is dead", i);
				return false;
			}
			nap_ns(100000);
		}
	return true;
}

/* They all ended in the same round, and agree on the reason. */
static void check_end(uint32_t dead)
{
	uint32_t i, first = dead ? 0 : 1, died = 0, late = 0;

	for (i = 0; i < WORKERS; i++) {
		if (i == dead)
			continue;
		died += board->broken[i] == -EOWNERDEAD;
		late += board->broken[i] == -ETIMEDOUT;
		if (board->done[i] != board->done[first])
			WRONG("worker %u had %llu rounds, worker %u %llu", i, (unsigned long long)board->done[i],
			      first, (unsigned long long)board->done[first]);
	}
	if ((died && died != WORKERS - 1) || late > 1)
		WRONG("%u were told of a death, and %u gave up", died, late);
	board->rounds += board->done[first];
	board->told += died != 0;
	board->missed += !died;
}

static void begin(struct state *s)
{
	if (shmipc_barrier_init(&s->barrier, WORKERS))
		WRONG("init");
	memset(s->step, 0, sizeof(s->step));
	memset(board->done, 0, sizeof(board->done));
	shmipc_store_release(&board->epoch, board->epoch + 1);
}

static uint64_t kill_and_begin(struct other *o, struct state *s)
{
	struct rng r = { stress_seed };
	uint64_t made = 0;
	uint32_t i;

	while (stress_goes_on(board->told > 0 && board->rounds > ROUNDS)) {
		nap_ns(KILL_NS);
		i = (uint32_t)rng_below(&r, WORKERS);
		worker_kill(o, i);
		made++;
		if (!await_all(i))
			break;
		check_end(i);
		begin(s);
		worker_start(o, i);
	}
	return made;
}

int main(void)
{
	struct other o[WORKERS];
	struct joined j;
	uint64_t made;

	stress_begin("stress/barrier", 3);
	board = (struct board *)board_new(sizeof(*board));
	kills_begin(sizeof(struct state), 0, once);
	stress_part(90);
	if (!join(&j))
		ksft_exit_fail_msg("open and join: %s\n", shmipc_error_text());
	begin(j.at);
	workers_start(o, WORKERS);
	made = kill_and_begin(o, j.at);
	workers_end(o, WORKERS);
	part(&j);
	ksft_print_msg("%llu rounds, %llu ended by the last one; %llu kills, %llu told as deaths, %llu before they came\n",
		       (unsigned long long)board->rounds, (unsigned long long)board->serials,
		       (unsigned long long)made, (unsigned long long)board->told,
		       (unsigned long long)board->missed);
	ksft_test_result(!sh->bad && board->rounds > ROUNDS, "all go on together\n");
	/* The last one may have been killed after it ended a round; others went on after the last kill. */
	ksft_test_result(!sh->bad && board->told && board->serials + made >= board->rounds,
			 "deaths are told to all, and one of each round has ended it\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
