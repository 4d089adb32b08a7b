// SPDX-License-Identifier: MIT
/*
 * queue: producers, consumers that acknowledge, and SIGKILL
 *
 * Consumers are killed at random and replaced. In the end each item that was pushed has been
 * done at least once; if twice, the second time it was marked as handed out before; and no
 * place is left in use. It also says how long it takes until a consumer that sleeps has what a
 * killed one had.
 */
#include <sys/syscall.h>
#include <sys/wait.h>

#include "stress.h"

#define NAME		"kill/queue"
#define PRODUCERS	4u
#define CONSUMERS	4u
#define LEVELS		2u
#define MOST		(1u << 20)	/* items of a producer */
#define KILLS		4		/* at least */
#define LONG_NS		UINT64_C(30000000000)

/* sh->word[] */
enum { PUSHED, READY = 8, NO_MORE, DONE, AGAIN, HAS_ONE, KILLED_NS };

struct item {
	uint64_t place;
	uint64_t number;
};

/* How often each was done. */
static uint8_t (*done)[MOST];

static void add(int word, uint64_t n)
{
	(void)__atomic_fetch_add(&sh->word[word], n, __ATOMIC_RELAXED);
}

static int produce(uint32_t place)
{
	struct item it = { .place = place };
	struct shmipc_push *tx;
	int ret;

	if (shmipc_push_open(&tx, NAME, NULL, NULL)) {
		WRONG("a producer cannot open");
		return 1;
	}
	while (!word_get(NO_MORE) && it.number < MOST) {
		ret = shmipc_push_item(tx, &it, sizeof(it), it.number % LEVELS, shmipc_deadline_in(LONG_NS));
		if (ret) {
			WRONG("push: %s", shmipc_error_name(ret));
			break;
		}
		it.number++;
		beat();
	}
	word_set(PUSHED + (int)place, it.number);
	shmipc_push_close(tx);
	return 0;
}

static void do_item(const struct shmipc_queue_item *got)
{
	struct item it;

	if (got->bytes != sizeof(it)) {
		WRONG("an item of %u bytes", got->bytes);
		return;
	}
	memcpy(&it, got->data, sizeof(it));
	if (it.place >= PRODUCERS || it.number >= MOST || got->level != it.number % LEVELS) {
		WRONG("item %llu of %llu, level %u", (unsigned long long)it.number,
		      (unsigned long long)it.place, got->level);
		return;
	}
	if (__atomic_fetch_add(&done[it.place][it.number], 1, __ATOMIC_RELAXED) && got->deliveries < 2)
		WRONG("item %llu of %llu was done before, and is not marked",
		      (unsigned long long)it.number, (unsigned long long)it.place);
	add(DONE, 1);
	add(AGAIN, got->deliveries > 1);
}

static int consume(uint32_t place)
{
	struct shmipc_queue_item got;
	struct shmipc_pop *rx;
	int ret;

	(void)place;
	if (shmipc_pop_open(&rx, NAME, NULL, NULL)) {
		WRONG("a consumer cannot open");
		return 1;
	}
	add(READY, 1);
	for (;;) {
		ret = shmipc_pop_item(rx, &got, shmipc_deadline_in(20000000));
		if (ret == -ETIMEDOUT && stopping())
			break;
		if (ret == -ETIMEDOUT)
			continue;
		if (!ret)
			do_item(&got);
		/* Some take longer, so that consumers are killed between the two. */
		if (!ret && got.number % 16 == 0)
			nap_ns(200000);
		if (!ret)
			ret = shmipc_pop_ack(rx, &got, 1);
		if (ret) {
			WRONG("pop or ack: %s", shmipc_error_name(ret));
			break;
		}
		beat();
	}
	shmipc_pop_close(rx);
	return 0;
}

static pid_t start(int (*fn)(uint32_t place), uint32_t place)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	_exit(fn(place));
}

static int end(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return status;
}

/* Until none is left, in the queue or with a consumer. */
static void drain(void)
{
	uint64_t until = shmipc_deadline_in(LONG_NS), left = 1;
	uint32_t i;

	while (left && !sh->bad) {
		struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT();

		if (shmipc_queue_look(NAME, &st) || st.lost || st.expired || st.invalid)
			WRONG("%llu lost, %llu expired, %llu invalid", (unsigned long long)st.lost,
			      (unsigned long long)st.expired, (unsigned long long)st.invalid);
		for (left = st.taken, i = 0; i < LEVELS; i++)
			left += st.ready[i];
		if (left && now_ns() > until)
			WRONG("%llu items are left", (unsigned long long)left);
		if (left)
			nap_ns(1000000);
	}
}

static uint64_t run(void)
{
	struct rng r = { rng_mix(stress_seed) };
	pid_t producer[PRODUCERS], consumer[CONSUMERS];
	uint64_t kills = 0;
	uint32_t i;

	for (i = 0; i < CONSUMERS; i++)
		consumer[i] = start(consume, i);
	while (word_get(READY) < CONSUMERS && !sh->bad)
		nap_ns(100000);
	for (i = 0; i < PRODUCERS; i++)
		producer[i] = start(produce, i);
	while (stress_goes_on(kills >= KILLS && word_get(AGAIN))) {
		nap_ns(2000000 + rng_below(&r, 10000000));
		i = (uint32_t)rng_below(&r, CONSUMERS);
		(void)kill(consumer[i], SIGKILL);
		(void)end(consumer[i]);
		consumer[i] = start(consume, i);
		kills++;
	}
	word_set(NO_MORE, 1);
	for (i = 0; i < PRODUCERS; i++)
		if (end(producer[i]))
			WRONG("a producer failed");
	drain();
	stop_all();
	for (i = 0; i < CONSUMERS; i++)
		if (end(consumer[i]))
			WRONG("a consumer failed");
	return kills;
}

#define TOLD		"kill/told"
#define DEATHS		21

/* Takes the item, and is killed when the other one sleeps. */
static int take_and_die(pid_t sleeper)
{
	struct shmipc_queue_item it;
	struct shmipc_pop *rx;

	if (shmipc_pop_open(&rx, TOLD, NULL, NULL) || shmipc_pop_item(rx, &it, 0)) {
		WRONG("no item for the one that dies");
		return 1;
	}
	word_set(HAS_ONE, 1);
	(void)until_asleep(sleeper);
	word_set(KILLED_NS, now_ns());
	(void)kill(getpid(), SIGKILL);
	return 1;
}

/* From the death of a consumer until one that sleeps without a deadline has its item. */
static uint64_t time_of_death(struct shmipc_push *tx, struct shmipc_pop *rx)
{
	struct shmipc_queue_item it;
	uint64_t ns;
	pid_t me = (pid_t)syscall(SYS_gettid), pid;
	int ret;

	word_set(HAS_ONE, 0);
	if (shmipc_push_item(tx, &me, sizeof(me), 0, 0))
		WRONG("push");
	pid = fork();
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(take_and_die(me));
	}
	while (!word_get(HAS_ONE) && !sh->bad)
		nap_ns(100000);
	do
		ret = shmipc_pop_item(rx, &it, SHMIPC_FOREVER);
	while (ret == -EINTR);
	ns = now_ns() - word_get(KILLED_NS);
	if (ret || it.deliveries != 2 || shmipc_pop_ack(rx, &it, 1))
		WRONG("the item of the dead: %s", shmipc_error_name(ret));
	(void)end(pid);
	beat();
	return ns;
}

static int shorter(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void measure_deaths(void)
{
	const struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = SHMIPC_SPIN_NEVER);
	struct shmipc_push *tx = NULL;
	struct shmipc_pop *rx = NULL;
	uint64_t ns[DEATHS];
	int i;

	if (shmipc_push_open(&tx, TOLD, NULL, &how) || shmipc_pop_open(&rx, TOLD, NULL, &how))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	for (i = 0; i < DEATHS && !sh->bad; i++)
		ns[i] = time_of_death(tx, rx);
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
	if (sh->bad)
		return;
	qsort(ns, DEATHS, sizeof(ns[0]), shorter);
	ksft_print_msg("a sleeper has the item of a killed consumer after %llu us (median of %d; the longest %llu us)\n",
		       (unsigned long long)ns[DEATHS / 2] / 1000, DEATHS,
		       (unsigned long long)ns[DEATHS - 1] / 1000);
}

int main(void)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.flags = SHMIPC_PERSIST, .levels = LEVELS,
						       .depth = 64, .item_bytes = sizeof(struct item),
						       .delivery = SHMIPC_QUEUE_ACKNOWLEDGED);
	uint64_t kills, pushed = 0, missing = 0, n;
	struct shmipc_push *tx = NULL;
	uint32_t i;

	stress_begin("queue", 2);
	done = mmap(NULL, PRODUCERS * sizeof(*done), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (done == MAP_FAILED || shmipc_push_open(&tx, NAME, &o, NULL))
		ksft_exit_fail_msg("%s\n", shmipc_error_text());
	shmipc_push_close(tx);
	measure_deaths();
	stress_part(100);
	kills = run();
	for (i = 0; i < PRODUCERS; i++) {
		pushed += word_get(PUSHED + (int)i);
		for (n = 0; n < word_get(PUSHED + (int)i); n++)
			missing += !done[i][n];
	}
	ksft_print_msg("%llu items, %llu done, %llu of them handed out before, %llu kills\n",
		       (unsigned long long)pushed, (unsigned long long)word_get(DONE),
		       (unsigned long long)word_get(AGAIN), (unsigned long long)kills);
	if (missing)
		WRONG("%llu items were never done", (unsigned long long)missing);
	ksft_test_result(!sh->bad && kills >= KILLS && pushed && word_get(AGAIN),
			 "each item is done, and repeats are marked\n");
	(void)shmipc_segment_unlink(NAME);
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	env_remove(stress_env.dir);
	ksft_finished();
}
