/* SPDX-License-Identifier: MIT */
/*
 * model.h - the interface for model tests; see README for what is explored
 *
 * A test creates its memory in setup(), spawns its threads in begin(), and checks
 * the end of each execution in finish(). begin() runs before every execution
 * and must reset all private state of the test: the executions are replays.
 * Thread functions are plain C; everything that threads share is in a region
 * and is accessed through atomic.h only.
 */
#ifndef MODEL_H
#define MODEL_H

#include <shmipc/inline/atomic.h>

#define MODEL_THREADS	8	/* thread 0 is begin() and finish() themselves */

enum model_state {
	MODEL_RUNNING = 0,
	MODEL_RETURNED,
	MODEL_DIED,
	MODEL_ASLEEP,		/* in model_futex_wait() */
	MODEL_PARKED,		/* in model_await(): nothing changes any more */
};

/**
 * struct model_test - one property, explored over all executions
 * @name:   the behaviour that it verifies
 * @setup:  called once; creates the memory, outside the model
 * @begin:  called before each execution
 * @finish: called after each complete execution
 * @deaths: how many of the mortal threads may die in one execution
 */
struct model_test {
	const char *name;
	void (*setup)(void);
	void (*begin)(void);
	void (*finish)(void);
	int deaths;
	int deep;		/* takes long: as a whole with MODEL_DEEP only; tried if a barrier needs it */
};

/**
 * model_region - memory that the threads share
 * @p:    aligned to 8
 * @n:    bytes
 * @name: for traces
 * @data: payloads are here: of a long copy only some words are followed
 */
void model_region(void *p, size_t n, const char *name, int data);

/* Set by a test's setup(): called before a thread touches a word that is shared. */
extern void (*model_guard)(uintptr_t at);

/* Return: the thread's number. @mortal: it may die at any step. */
int model_spawn(const char *name, void (*fn)(void *), void *arg, int mortal);

/* Return: the number of this thread. */
int model_self(void);

/* Wait until thread @t has ended; then all its stores are visible. Return: its state. */
enum model_state model_join(int t);

enum model_state model_state(int t);

/*
 * Wait until *@p (8 bytes) is stored to again, after the value that this thread has seen
 * last. Return: the new value, or a newer one.
 */
uint64_t model_await(const volatile void *p);

/* Return one of 0 .. @n - 1; the exploration tries each. */
int model_choose(int n);

/**
 * model_futex_wait - sleep while the low half of *@p is @val
 * @p:    the word
 * @val:  compared and slept on in one step, as the kernel does
 * @peer: a thread whose end also wakes us, or -1
 *
 * Return: 0 woken; -EAGAIN another value; -EOWNERDEAD @peer has ended.
 */
int model_futex_wait(const volatile void *p, uint32_t val, int peer);

/* How many of the threads in @mask, a bit each, have died so far. */
int model_deaths(unsigned mask);

/* The same, but woken by deaths only, once more than @deaths of those in @mask have died. */
int model_futex_wait_deaths(const volatile void *p, uint32_t val, unsigned mask, int deaths);

/* Wake all sleepers on @p (@n is 0), or one of them (1), whichever. */
void model_futex_wake_some(const volatile void *p, int n);
#define model_futex_wake(p)	model_futex_wake_some((p), 0)
#define model_futex_wake_one(p)	model_futex_wake_some((p), 1)

/*
 * membarrier(2): pairs with shmipc_barrier_light(). Every other thread executes a full
 * fence between two of its instructions; the light barriers keep the compiler from
 * moving accesses across that place.
 */
#define model_barrier_heavy()	model_fence(MODEL_AT(MODEL_BARRIER_HEAVY))

/* The words that the last copy of this thread really moved, as offsets in 8 bytes. */
const uint32_t *model_copied(int *ret_n);

/* The property does not hold: end the execution and print its steps. */
void model_fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define model_check(cond, ...)						\
	do {								\
		if (!(cond))						\
			model_fail(__VA_ARGS__);			\
	} while (0)

/* Add a line to the trace. */
void model_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

extern int model_deep;		/* MODEL_DEEP is set: larger bounds */

/* A barrier that no model test can need, and why; it is reported as skipped. */
struct model_except {
	const char *func;
	enum model_kind kind;
	const char *why;
	int variant;		/* 1 acquire, 2 release of an update; 0: all */
};

/**
 * model_main - run all tests, then again with each barrier of a header removed
 * @tests:   ends with a NULL name
 * @header:  end of the file name whose barriers this program covers
 * @excepts: ends with a NULL name; or NULL
 *
 * Return: the exit code.
 */
int model_main(int argc, char **argv, const struct model_test *tests, const char *header,
	       const struct model_except *excepts);

#endif /* MODEL_H */
