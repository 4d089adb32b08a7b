/* SPDX-License-Identifier: MIT */
/*
 * model_waiter.c - waiting: say what is wanted, fence, look, sleep; against store, fence,
 * look, wake
 *
 * The waiter is the library's own (lib/wait/waiter.c). It waits for one word, which
 * another thread stores to; that thread may die at any step, as the kernel tells the
 * sleeper. There are no clocks here: a wait that would end by a tick never ends, so that
 * no tick can hide a lost wake.
 */
#include <errno.h>
#include <stdlib.h>

#include "model.h"
#include "wait/waiter.h"

static uint64_t mem[32] __attribute__((aligned(64)));
#define WORD	(&mem[0])	/* what is waited for: 0, then the number of what came */
#define WANT	(&mem[8])	/* what the sleeper waits for */
#define DATA	(&mem[16])	/* comes with the word */
#define SEQ	(&mem[24])	/* of those that come */
#define SLOT	(&mem[25])	/* of one that comes */

static int th_sleeper, th_waker;
static int full_fence;		/* the waker runs the whole fence: it gets no membarrier */
static int mortal_waker;	/* the kernel tells of its end; else nothing wakes but a wake */
static int messages;
static int wait_ret;
static uint64_t got;		/* what the sleeper has seen of WORD */
static uint64_t seen;		/* when it last looked whether it is ready */
static uint64_t data_seen;

/* What the waiter needs of the library */

uint64_t shmipc_now_ns(void)
{
	return 1;
}

int shmipc_fail(int err, const char *fmt, ...)
{
	(void)fmt;
	return err;
}

bool shmipc_barrier_heavy(void)
{
	/* wait.W1 <- wait.W0 */
	if (full_fence)
		shmipc_fence_seq_cst();
	else
		model_barrier_heavy();
	return true;
}

static void setup(void)
{
	model_region(mem, sizeof(mem), "mem", 0);
}

static void reset(void)
{
	memset(mem, 0, sizeof(mem));
	full_fence = 0;
	messages = 1;
	wait_ret = 1;
	got = seen = data_seen = 0;
}

/* The noun: the next number is there */

static bool word_ready(void *arg)
{
	(void)arg;
	/* model.A1 <- model.A0: with the word comes the data. */
	seen = shmipc_load_acquire(WORD);
	return seen > got;
}

static int word_settle(void *arg, bool sure)
{
	(void)sure;
	if (model_state(th_waker) != MODEL_DIED)
		return 0;
	model_join(th_waker);
	return word_ready(arg) ? 1 : -EPIPE;
}

static uint64_t word_want(void *arg)
{
	(void)arg;
	/* wait.W1 <- wait.W0: the waiter's fence follows. */
	shmipc_store_relaxed(WANT, got + 1);
	return got + 1;
}

static int word_sleep(struct shmipc_wait_set *set, uint64_t until_ns)
{
	model_check(until_ns > 1, "it would look again at once");
	model_check(set->n == 1, "%zu words", set->n);
	model_futex_wait(set->w->word, set->w->val, mortal_waker ? th_waker : -1);
	return 0;
}

static bool word_look(void *arg, struct shmipc_wait_set *set)
{
	uint64_t is = shmipc_load_relaxed(WORD);

	(void)arg;
	if (is > got)
		return false;
	shmipc_wait_set_by(set, word_sleep);
	shmipc_wait_set_add(set, (struct shmipc_word){ .word = (const uint32_t *)(void *)WORD,
						       .val = (uint32_t)is });
	return true;
}

static const struct shmipc_wait_ops ops = {
	.ready = word_ready, .settle = word_settle, .want = word_want, .look = word_look,
};

static void sleeper(void *arg)
{
	struct shmipc_waiter w;

	(void)arg;
	shmipc_waiter_init(&w, UINT64_MAX, NULL);
	while (got < (uint64_t)messages) {
		wait_ret = 0;
		while (!wait_ret && !word_ready(NULL))
			wait_ret = shmipc_wait_one(&w, &ops, NULL, UINT64_MAX);
		if (wait_ret)
			return;
		got = seen;
		data_seen = shmipc_load_relaxed(DATA);
	}
}

static void waker(void *arg)
{
	uint64_t i, want;

	(void)arg;
	for (i = 1; i <= (uint64_t)messages; i++) {
		shmipc_store_relaxed(DATA, i);
		/* model.A0 -> model.A1 */
		shmipc_store_release(WORD, i);
		/* wait.W0 -> wait.W1: the word, then want. */
		if (full_fence)
			shmipc_fence_seq_cst();
		else
			shmipc_barrier_light();
		want = shmipc_load_relaxed(WANT);
		if (want == i)
			model_futex_wake(WORD);
	}
}

static void start(int mortal)
{
	mortal_waker = mortal;
	th_sleeper = model_spawn("sleeper", sleeper, NULL, 0);
	th_waker = model_spawn("waker", waker, NULL, mortal);
}

static void one(void)
{
	reset();
	start(0);
}

static void one_full_fence(void)
{
	reset();
	full_fence = 1;
	start(0);
}

static void two(void)
{
	reset();
	messages = 2;
	start(0);
}

static void dies(void)
{
	reset();
	start(1);
}

static void dies_full_fence(void)
{
	reset();
	full_fence = 1;
	start(1);
}

static void nothing_missed(void)
{
	model_check(model_state(th_sleeper) == MODEL_RETURNED, "it sleeps although all is ready");
	model_check(!wait_ret, "returned %d", wait_ret);
	model_check(got == (uint64_t)messages, "saw number %llu", (unsigned long long)got);
	model_check(data_seen == got, "number %llu without its data", (unsigned long long)got);
}

/* Killed after the store and before the wake: what it stored is found all the same. */
static void death_is_heard_of(void)
{
	model_check(model_state(th_sleeper) == MODEL_RETURNED, "it sleeps, and the waker is %s",
		    model_state(th_waker) == MODEL_DIED ? "dead" : "through");
	if (!wait_ret)
		model_check(got == 1 && data_seen == 1, "saw number %llu with data %llu",
			    (unsigned long long)got, (unsigned long long)data_seen);
	else
		model_check(wait_ret == -EPIPE && model_state(th_waker) == MODEL_DIED &&
			    !shmipc_load_relaxed(WORD), "gone, with number %llu there",
			    (unsigned long long)shmipc_load_relaxed(WORD));
}

/*
 * One that comes fills in its slot and says hello; a sleeper has read SEQ before it looks
 * at the slots. So it does not sleep without having seen the one that came.
 */
static void newcomer(void *arg)
{
	(void)arg;
	shmipc_store_relaxed(SLOT, 1u);
	/* peer.H0 -> peer.H1 */
	(void)shmipc_fetch_or_acq_rel(SEQ, 1u);
	model_futex_wake(SEQ);
}

static void watcher(void *arg)
{
	uint64_t seq;

	(void)arg;
	for (;;) {
		/* peer.H1 <- peer.H0: the slots are looked at after this. */
		seq = shmipc_load_acquire(SEQ);
		got = shmipc_load_relaxed(SLOT);
		if (got)
			return;
		model_futex_wait(SEQ, (uint32_t)seq, -1);
	}
}

static void hello(void)
{
	reset();
	th_sleeper = model_spawn("watcher", watcher, NULL, 0);
	th_waker = model_spawn("newcomer", newcomer, NULL, 0);
}

static void newcomer_is_watched(void)
{
	model_check(model_state(th_sleeper) == MODEL_RETURNED, "it sleeps, and missed the new peer");
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "wait: one that sleeps is woken", setup, one, nothing_missed, 0 },
		{ "wait: without membarrier, too", setup, one_full_fence, nothing_missed, 0 },
		{ "wait: again and again", setup, two, nothing_missed, 0 },
		{ "wait: the waker dies at any step", setup, dies, death_is_heard_of, 1 },
		{ "wait: it dies, without membarrier", setup, dies_full_fence, death_is_heard_of, 1 },
		{ "hello: one that comes is watched", setup, hello, newcomer_is_watched, 0 },
		{ 0 },
	};

	static const struct model_except excepts[] = {
		{ "newcomer", MODEL_FETCH_OR, "it reads nothing of those before it", 1 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "model_waiter.c", excepts);
}
