/* SPDX-License-Identifier: MIT */
/*
 * stress.h - shared by the stress programs
 *
 * Each prints its seed; SHMIPC_SEED=... repeats the same workload (the scheduler may still
 * run it differently). STRESS_SECONDS sets the duration. A program that makes no progress
 * for long is stuck, and reports that.
 */
#ifndef TEST_STRESS_H
#define TEST_STRESS_H

#include "env.h"
#include "rng.h"

#define STUCK_SECONDS	40

static uint64_t stress_seed;
static uint64_t stress_end_ns;
static struct env stress_env;

/* Words that all processes of the program see. */
struct shared {
	uint32_t stop;
	uint32_t bad;
	uint64_t beat;		/* grows while there is progress */
	uint64_t word[64];
	uint64_t total[8];
};

static struct shared *sh;

static inline uint64_t stress_ns(void)
{
	const char *s = getenv("STRESS_SECONDS");
	double sec = s && *s ? strtod(s, NULL) : 10;

	return (uint64_t)(sec * 1e9);
}

/* The signal may come to another thread each time. */
static uint64_t stress_last_beat;
static int stress_still;

static void stress_watch(int sig)
{
	static const char msg[] = "Bail out! no progress: stuck\n# Totals: pass:0 fail:1 xfail:0 xpass:0 skip:0 error:0\n";
	uint64_t beat = __atomic_load_n(&sh->beat, __ATOMIC_RELAXED);
	ssize_t n;

	(void)sig;
	if (beat != __atomic_exchange_n(&stress_last_beat, beat, __ATOMIC_RELAXED)) {
		__atomic_store_n(&stress_still, 0, __ATOMIC_RELAXED);
	} else if (__atomic_add_fetch(&stress_still, 1, __ATOMIC_RELAXED) >= STUCK_SECONDS) {
		n = write(1, msg, sizeof(msg) - 1);
		(void)n;
		env_remove(env_base);
		_exit(1);	/* the children die with us */
	}
	(void)alarm(1);
}

static inline void stress_begin(const char *name, unsigned int plan)
{
	struct sigaction sa = { .sa_handler = stress_watch, .sa_flags = SA_RESTART };

	stress_seed = rng_env_seed();
	ksft_print_header();
	ksft_set_plan(plan);
	ksft_print_msg("%s: SHMIPC_SEED=%#llx STRESS_SECONDS=%.1f\n", name,
		       (unsigned long long)stress_seed, (double)stress_ns() / 1e9);
	sh = (struct shared *)mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	env_set_up(&stress_env);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGALRM, &sa, NULL);
	(void)alarm(1);
}

/* A part of the program that may take @share percent of the time. */
static inline void stress_part(unsigned int share)
{
	memset(sh, 0, sizeof(*sh));
	stress_end_ns = now_ns() + stress_ns() / 100 * share;
}

static inline int stress_time_left(void)
{
	return now_ns() < stress_end_ns;
}

/*
 * Is there time left, or, however slow the machine is, @enough not yet reached? Nothing is
 * waited for when something is wrong.
 */
static inline int stress_goes_on(int enough)
{
	uint64_t more = enough ? 0 : STUCK_SECONDS * UINT64_C(1000000000);

	return !sh->bad && now_ns() < stress_end_ns + more;
}

static inline void beat(void)
{
	__atomic_fetch_add(&sh->beat, 1, __ATOMIC_RELAXED);
}

static inline int stopping(void)
{
	return __atomic_load_n(&sh->stop, __ATOMIC_ACQUIRE) != 0;
}

static inline void stop_all(void)
{
	__atomic_store_n(&sh->stop, 1u, __ATOMIC_RELEASE);
}

/* In any process: note that something is wrong, once with its reason. */
#define WRONG(fmt, ...) do {							\
	if (!__atomic_fetch_add(&sh->bad, 1, __ATOMIC_RELAXED))			\
		fprintf(stderr, "# %s:%d: " fmt "; last error: %s\n", __FILE__,	\
			__LINE__, ##__VA_ARGS__, shmipc_error_text());		\
} while (0)

static inline void nap_ns(uint64_t ns)
{
	struct timespec ts = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	(void)nanosleep(&ts, NULL);
}

static inline uint64_t word_get(int i)
{
	return __atomic_load_n(&sh->word[i], __ATOMIC_ACQUIRE);
}

static inline void word_set(int i, uint64_t v)
{
	__atomic_store_n(&sh->word[i], v, __ATOMIC_RELEASE);
}

/* The length of message @seq: determined by the seed, so that every process knows it. */
static inline size_t stress_len(uint64_t seq, size_t max)
{
	struct rng r = { rng_mix(stress_seed) ^ rng_mix(seq + 0x1234567) };

	return rng_len(&r, max);
}

#endif /* TEST_STRESS_H */
