// SPDX-License-Identifier: MIT
/*
 * copier_mt.c - large copies by several threads
 *
 * One pool for the process, started on first use. A copy is cut into pieces that the
 * workers and the caller take one after the other, so no caller waits for a worker that
 * is slow or was not scheduled at all. While one copy has the workers, other callers
 * do their copies alone.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "base/base.h"
#include "payload/copier.h"

/*
 * For smaller copies, waking the workers takes longer than they save. By the GB/s of
 *
 *	shmipc bench copier --size 512k,1m,2m,4m,8m
 *
 * on two CPUs of an AMD EPYC 9005 (Zen 5), that is with one worker, and an
 * MT_MIN of 512 KiB: slower than "auto" up to 1 MiB, equal at 2 MiB, a third faster
 * at 4 MiB. Pieces are so large that taking one, under the mutex, costs next to
 * nothing.
 */
#define MT_MIN		((size_t)2 << 20)
#define MT_PIECE	((size_t)256 << 10)
#define MT_WORKERS	7

static pthread_mutex_t mt_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t mt_work = PTHREAD_COND_INITIALIZER;	/* there are pieces, or it ends */
static pthread_cond_t mt_done = PTHREAD_COND_INITIALIZER;	/* the last piece is done */
static pthread_cond_t mt_ended = PTHREAD_COND_INITIALIZER;	/* a close has finished */
static pthread_once_t mt_once = PTHREAD_ONCE_INIT;

static struct {
	pthread_t thread[MT_WORKERS];
	int threads;
	bool tried;		/* to start them */
	bool ending;
	bool busy;		/* a copy has the workers */
	/* The copy: */
	unsigned char *dst;
	const unsigned char *src;
	size_t n;
	size_t next;		/* first piece not taken */
	unsigned int pieces;	/* taken but not done */
	shmipc_copy_fn *fn;
} mt;

static void before_fork(void)
{
	pthread_mutex_lock(&mt_lock);
}

static void in_parent(void)
{
	pthread_mutex_unlock(&mt_lock);
}

/* In the child there are neither workers nor threads that copied or waited. */
static void in_child(void)
{
	memset(&mt, 0, sizeof(mt));
	(void)pthread_cond_init(&mt_work, NULL);
	(void)pthread_cond_init(&mt_done, NULL);
	(void)pthread_cond_init(&mt_ended, NULL);
	pthread_mutex_unlock(&mt_lock);
}

static void install(void)
{
	(void)pthread_atfork(before_fork, in_parent, in_child);
}

/* Take pieces while there are any. The mutex is held, and released for each copy. */
static void take_pieces_locked(void)
{
	size_t at, n;

	while (mt.next < mt.n) {
		at = mt.next;
		n = mt.n - at < MT_PIECE ? mt.n - at : MT_PIECE;
		mt.next += n;
		mt.pieces++;
		pthread_mutex_unlock(&mt_lock);
		(void)mt.fn(mt.dst + at, mt.src + at, n, NULL);
		pthread_mutex_lock(&mt_lock);
		mt.pieces--;
	}
}

static void *worker(void *arg)
{
	pthread_mutex_lock(&mt_lock);
	while (!mt.ending) {
		take_pieces_locked();
		if (mt.busy && !mt.pieces)
			pthread_cond_signal(&mt_done);
		if (!mt.ending && mt.next >= mt.n)
			pthread_cond_wait(&mt_work, &mt_lock);
	}
	pthread_mutex_unlock(&mt_lock);
	return arg;
}

static int wanted_workers(void)
{
	cpu_set_t set;
	int n;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 0;
	n = CPU_COUNT(&set) - 1;
	return n < MT_WORKERS ? n : MT_WORKERS;
}

/* Signals are for the program's threads, except those that a copy itself causes. */
static void start_locked(void)
{
	int want = wanted_workers();
	sigset_t all, old;

	mt.tried = true;
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	for (; mt.threads < want; mt.threads++)
		if (pthread_create(&mt.thread[mt.threads], NULL, worker, NULL))
			break;	/* continue with those that exist, if any */
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* Get the workers: false if another copy has them, or there are none. */
static bool begin_locked(void)
{
	if (mt.busy || mt.ending)
		return false;
	if (!mt.tried)
		start_locked();
	return mt.threads;
}

static void copy_locked(void *dst, const void *src, size_t n, shmipc_copy_fn *fn)
{
	mt.busy = true;
	mt.dst = (unsigned char *)dst;
	mt.src = (const unsigned char *)src;
	mt.fn = fn;
	mt.next = 0;
	mt.n = n;
	pthread_cond_broadcast(&mt_work);
	take_pieces_locked();
	while (mt.pieces)
		pthread_cond_wait(&mt_done, &mt_lock);
	mt.busy = false;
}

static int copy(void *dst, const void *src, size_t n, shmipc_copy_fn *fn)
{
	SHMIPC_NO_CANCEL;	/* the workers would stay busy forever */
	bool done;

	if (n < MT_MIN)
		return fn(dst, src, n, NULL);
	(void)pthread_once(&mt_once, install);
	pthread_mutex_lock(&mt_lock);
	done = begin_locked();
	if (done)
		copy_locked(dst, src, n, fn);
	pthread_mutex_unlock(&mt_lock);
	return done ? 0 : fn(dst, src, n, NULL);
}

int shmipc_copy_mt_in(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	return copy(dst, src, n, shmipc_copier_auto()->to_shm);
}

int shmipc_copy_mt_out(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	return copy(dst, src, n, shmipc_copier_auto()->from_shm);
}

SHMIPC_EXPORT void shmipc_copier_mt_close(void)
{
	SHMIPC_NO_CANCEL;
	int i, n;

	pthread_mutex_lock(&mt_lock);
	while (mt.ending)
		pthread_cond_wait(&mt_ended, &mt_lock);
	/* A copy that has the workers loses them, and its caller finishes it. */
	mt.ending = true;
	n = mt.threads;
	pthread_cond_broadcast(&mt_work);
	pthread_mutex_unlock(&mt_lock);
	for (i = 0; i < n; i++)
		(void)pthread_join(mt.thread[i], NULL);
	pthread_mutex_lock(&mt_lock);
	mt.threads = 0;
	mt.tried = false;
	mt.ending = false;
	pthread_cond_broadcast(&mt_ended);
	pthread_mutex_unlock(&mt_lock);
}
