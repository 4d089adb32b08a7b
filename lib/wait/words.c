// SPDX-License-Identifier: MIT
/*
 * words.c - sleeping on more words than one futex_waitv(2) supports
 *
 * The kernel supports 128. For more, threads of the library sleep on 127 each and on a
 * word of their own, by which they are told to stop; the caller sleeps on a word that each
 * of them changes when it returns. The threads are kept for the next time.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include <shmipc/segment.h>

#include "wait/wait.h"

#define PART_WORDS	(SHMIPC_WORDS_MAX - 1)

/* A thread that sleeps on a part of the words. */
struct part {
	struct part *next;
	pthread_t thread;
	uint32_t go;		/* changes when there is something to do */
	uint32_t stop;		/* 1: return from the sleep */
	uint32_t *done;		/* the caller's */
	struct shmipc_word w[SHMIPC_WORDS_MAX];
	uint32_t n;
	uint64_t until_ns;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct part *idle;

static void *part_main(void *arg)
{
	struct part *t = arg;
	uint32_t seen = 0, *done;

	(void)prctl(PR_SET_NAME, "shmipc-wait");
	for (;;) {
		/* words.J1 <- words.J0: the word makes the work visible. */
		while (shmipc_load_acquire(&t->go) == seen)
			(void)shmipc_futex_wait(&t->go, seen, UINT64_MAX);
		seen = shmipc_load_relaxed(&t->go);
		(void)shmipc_futex_wait_words(t->w, t->n, t->until_ns);
		/* From here on the caller may free the work, so get its word first. */
		done = t->done;
		/* words.J2 -> words.J3 */
		(void)shmipc_fetch_add_acq_rel(done, 1);
		shmipc_futex_wake(done, INT_MAX);
	}
	return NULL;
}

static struct part *part_new(void)
{
	struct part *t = calloc(1, sizeof(*t));
	sigset_t all, old;
	int ret;

	if (!t)
		return NULL;
	/* Signals are for the program's threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&t->thread, NULL, part_main, t);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret) {
		free(t);
		return NULL;
	}
	(void)pthread_detach(t->thread);
	return t;
}

static struct part *part_get(void)
{
	struct part *t;

	pthread_mutex_lock(&mutex);
	t = idle;
	if (t)
		idle = t->next;
	pthread_mutex_unlock(&mutex);
	return t ? t : part_new();
}

static void part_put(struct part *t)
{
	pthread_mutex_lock(&mutex);
	t->next = idle;
	idle = t;
	pthread_mutex_unlock(&mutex);
}

/* In a child the threads do not exist; their memory is lost with the parent's. */
void shmipc_wait_words_after_fork(void)
{
	(void)pthread_mutex_init(&mutex, NULL);
	idle = NULL;
}

static void give_part(struct part *t, const struct shmipc_word *w, size_t n, uint32_t *done,
		      uint64_t until_ns)
{
	size_t i;

	shmipc_store_relaxed(&t->stop, 0u);
	t->done = done;
	t->until_ns = until_ns;
	for (i = 0; i < n; i++)
		t->w[i] = w[i];
	t->w[n] = (struct shmipc_word){ .word = &t->stop };
	t->n = (uint32_t)n + 1;
	/* words.J0 -> words.J1 */
	shmipc_store_release(&t->go, t->go + 1);
	shmipc_futex_wake(&t->go, 1);
}

/* Tell them to stop, and wait until they have; then they are idle again. */
static void stop_all(struct part **t, uint32_t n, uint32_t *done)
{
	uint32_t i, is;

	for (i = 0; i < n; i++) {
		shmipc_store_relaxed(&t[i]->stop, 1u);
		shmipc_futex_wake(&t[i]->stop, 1);
	}
	/* words.J3 <- words.J2 */
	while ((is = shmipc_load_acquire(done)) < n)
		(void)shmipc_futex_wait(done, is, UINT64_MAX);
	for (i = 0; i < n; i++)
		part_put(t[i]);
}

static int wait_parts(const struct shmipc_word *w, size_t n, uint64_t until_ns)
{
	uint32_t parts = (uint32_t)((n + PART_WORDS - 1) / PART_WORDS), got = 0, done = 0;
	struct part **t = calloc(parts, sizeof(struct part *));
	size_t at = 0, part;
	int ret;

	if (!t)
		return -ENOMEM;
	for (; got < parts; got++, at += part) {
		part = n - at < PART_WORDS ? n - at : PART_WORDS;
		t[got] = part_get();
		if (!t[got])
			break;
		give_part(t[got], w + at, part, &done, until_ns);
	}
	ret = got < parts ? -ENOMEM : shmipc_futex_wait(&done, 0, until_ns);
	stop_all(t, got, &done);
	free(t);
	return ret;
}

int shmipc_futex_wait_many(const struct shmipc_word *w, size_t n, uint64_t until_ns)
{
	return n > SHMIPC_WORDS_MAX ? wait_parts(w, n, until_ns) :
				      shmipc_futex_wait_words(w, (uint32_t)n, until_ns);
}
