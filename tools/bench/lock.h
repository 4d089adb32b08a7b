/* SPDX-License-Identifier: MIT */
/* lock.h - locks of the library and of others, used in the same way */
#ifndef SHMIPC_BENCH_LOCK_H
#define SHMIPC_BENCH_LOCK_H

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <shmipc/shmipc.h>

#include "bench.h"

/* A step's arg is one of these. */
enum bench_lock_kind {
	BENCH_LOCK_MUTEX,
	BENCH_LOCK_READ,
	BENCH_LOCK_WRITE,
	BENCH_LOCK_SEM,
	BENCH_LOCK_SEM_ROBUST,
	BENCH_LOCK_PTHREAD,		/* the first one of others */
	BENCH_LOCK_PTHREAD_ROBUST,
	BENCH_LOCK_PTHREAD_PRIVATE,
	BENCH_LOCK_PTHREAD_READ,
	BENCH_LOCK_PTHREAD_WRITE,
	BENCH_LOCK_POSIX_SEM,
	BENCH_LOCK_FUTEX,
	BENCH_LOCKS,
};

/* A semaphore of value 1, as in the futex(2) manual, with a number of waiters. */
struct bench_futex_sem {
	uint32_t value;
	uint32_t waiters;
};

/* The library's are in a segment, the others in the memory of the sides. */
union bench_lock_place {
	struct shmipc_mutex mutex;
	struct shmipc_rwlock rwlock;
	struct shmipc_sem sem;
	pthread_mutex_t pthread;
	pthread_rwlock_t pthread_rw;
	sem_t posix;
	struct bench_futex_sem futex;
};

/* One end of a lock. */
struct bench_lock {
	enum bench_lock_kind kind;
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	union bench_lock_place *at;
};

static inline int bench_futex_take(struct bench_futex_sem *s)
{
	uint32_t value;

	for (;;) {
		value = shmipc_load_relaxed(&s->value);
		/* bench.F1 <- bench.F0: what the last one wrote. */
		if (value && shmipc_cas_acq_rel(&s->value, &value, value - 1))
			return 0;
		if (value)
			continue;
		(void)__atomic_fetch_add(&s->waiters, 1, __ATOMIC_SEQ_CST);
		(void)syscall(SYS_futex, &s->value, FUTEX_WAIT, 0, NULL, NULL, 0);
		(void)__atomic_fetch_sub(&s->waiters, 1, __ATOMIC_SEQ_CST);
	}
}

static inline int bench_futex_give(struct bench_futex_sem *s)
{
	/* bench.F0 -> bench.F1 */
	(void)__atomic_fetch_add(&s->value, 1, __ATOMIC_SEQ_CST);
	if (shmipc_unlikely(__atomic_load_n(&s->waiters, __ATOMIC_SEQ_CST)))
		(void)syscall(SYS_futex, &s->value, FUTEX_WAKE, 1, NULL, NULL, 0);
	return 0;
}

/* @kind is a constant where a call is timed. 0, or what the function returned. */
static inline __attribute__((always_inline)) int bench_lock_take(enum bench_lock_kind kind,
								 const struct bench_lock *l)
{
	switch (kind) {
	case BENCH_LOCK_MUTEX:
		return shmipc_mutex_lock(l->p, &l->at->mutex, SHMIPC_FOREVER);
	case BENCH_LOCK_READ:
		return shmipc_rwlock_read_lock(l->p, &l->at->rwlock, SHMIPC_FOREVER);
	case BENCH_LOCK_WRITE:
		return shmipc_rwlock_write_lock(l->p, &l->at->rwlock, SHMIPC_FOREVER);
	case BENCH_LOCK_SEM:
	case BENCH_LOCK_SEM_ROBUST:
		return shmipc_sem_wait(l->p, &l->at->sem, SHMIPC_FOREVER);
	case BENCH_LOCK_PTHREAD:
	case BENCH_LOCK_PTHREAD_ROBUST:
	case BENCH_LOCK_PTHREAD_PRIVATE:
		return pthread_mutex_lock(&l->at->pthread);
	case BENCH_LOCK_PTHREAD_READ:
		return pthread_rwlock_rdlock(&l->at->pthread_rw);
	case BENCH_LOCK_PTHREAD_WRITE:
		return pthread_rwlock_wrlock(&l->at->pthread_rw);
	case BENCH_LOCK_POSIX_SEM:
		return sem_wait(&l->at->posix);
	default:
		return bench_futex_take(&l->at->futex);
	}
}

static inline __attribute__((always_inline)) int bench_lock_give(enum bench_lock_kind kind,
								 const struct bench_lock *l)
{
	switch (kind) {
	case BENCH_LOCK_MUTEX:
		return shmipc_mutex_unlock(l->p, &l->at->mutex);
	case BENCH_LOCK_READ:
	case BENCH_LOCK_WRITE:
		return shmipc_rwlock_unlock(l->p, &l->at->rwlock);
	case BENCH_LOCK_SEM:
	case BENCH_LOCK_SEM_ROBUST:
		return shmipc_sem_post(l->p, &l->at->sem, 1);
	case BENCH_LOCK_PTHREAD:
	case BENCH_LOCK_PTHREAD_ROBUST:
	case BENCH_LOCK_PTHREAD_PRIVATE:
		return pthread_mutex_unlock(&l->at->pthread);
	case BENCH_LOCK_PTHREAD_READ:
	case BENCH_LOCK_PTHREAD_WRITE:
		return pthread_rwlock_unlock(&l->at->pthread_rw);
	case BENCH_LOCK_POSIX_SEM:
		return sem_post(&l->at->posix);
	default:
		return bench_futex_give(&l->at->futex);
	}
}

/* lock.c: side 0 makes it of what is there, before the sides meet; members open their own */
int bench_lock_open(struct bench_env *env, struct bench_lock *ret, int make);
void bench_lock_close(struct bench_lock *l);
int bench_lock_failed(struct bench_env *env, const char *what, int ret);

/* lock_hand.c: between two, and among many */
int bench_lock_hand(struct bench_env *env);
int bench_lock_crowd(struct bench_env *env);

#define BENCH_LOCK_LONG		0x100	/* in arg: it is held so long that a waiter sleeps */

/* What a lock protects: every holder reads all of it, and writes all of it. */
#define BENCH_GUARDED_WORDS	8u

struct bench_guarded {
	uint64_t word[BENCH_GUARDED_WORDS];
};

/* Change all words. 0; -1: they differ, so that two have had the lock at once. */
static inline int bench_guarded_touch(struct bench_guarded *g)
{
	uint64_t was = shmipc_load_relaxed(&g->word[0]);
	unsigned int i, same = 0;

	for (i = 0; i < BENCH_GUARDED_WORDS; i++) {
		same += shmipc_load_relaxed(&g->word[i]) == was;
		shmipc_store_relaxed(&g->word[i], was + 1);
	}
	return same == BENCH_GUARDED_WORDS ? 0 : -1;
}

/* Before it is given back: nobody has changed them since. 0; -1. */
static inline int bench_guarded_kept(const struct bench_guarded *g, uint64_t first)
{
	unsigned int i;

	for (i = 0; i < BENCH_GUARDED_WORDS; i++)
		if (shmipc_load_relaxed(&g->word[i]) != first)
			return -1;
	return 0;
}

#endif /* SHMIPC_BENCH_LOCK_H */
