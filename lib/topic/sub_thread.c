// SPDX-License-Identifier: MIT
/* sub_thread.c - a subscriber's callback, on a thread of the library */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include "topic/topic.h"

#define ASK_AGAIN_NS	1000000

/* thread_state */
enum { THREAD_NONE, THREAD_RUNS, THREAD_JOINED };

static bool stopping(struct shmipc_sub_priv *s)
{
	/* thread.B1 <- thread.B0 */
	return shmipc_load_acquire(&s->stop);
}

/* Call the function; false: that was the last call. It may have closed @s. */
static bool deliver(struct shmipc_sub_priv *s, struct shmipc_msg *m, int err)
{
	if (err == -EINTR || err == -ETIMEDOUT || err == -EAGAIN)
		return true;
	s->fn(&s->sub, err ? NULL : m, err, s->fn_arg);
	if (!err)
		shmipc_sub_release(&s->sub, m);
	return !s->closing && (!err || err == -ESTALE);
}

static void *thread_main(void *arg)
{
	struct shmipc_sub_priv *s = arg;
	struct shmipc_msg m;
	int err;

	(void)prctl(PR_SET_NAME, "shmipc-sub");
	do {
		/*
		 * Ends at the latest when it is asked to stop: see shmipc_sub_stop(). A message
		 * that it has taken by then is delivered, otherwise it would be lost.
		 */
		err = shmipc_sub_take(&s->sub, &m, SHMIPC_FOREVER);
		if (err == -EINTR && stopping(s))
			break;
	} while (deliver(s, &m, err));
	if (s->closing) {	/* it will not be joined */
		(void)pthread_detach(pthread_self());
		shmipc_sub_finish(s);
	}
	return NULL;
}

SHMIPC_EXPORT int shmipc_sub_start(struct shmipc_sub *sub, shmipc_sub_fn fn, void *arg)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_sub_priv *s = sub_priv(sub);
	sigset_t all, old;
	int ret = 0;

	if (!sub || !fn)
		return shmipc_null(__func__, "sub or fn");
	if (!sub->live)
		return shmipc_dead(sub_priv(sub)->t.seg);
	pthread_mutex_lock(&s->thread_mutex);
	if (s->thread_state != THREAD_NONE) {
		ret = -EBUSY;
		goto out;
	}
	s->fn = fn;
	s->fn_arg = arg;
	s->thread_state = THREAD_RUNS;
	/* Signals are for the program's threads. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&s->thread, NULL, thread_main, s);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret)
		s->thread_state = THREAD_NONE;
out:
	pthread_mutex_unlock(&s->thread_mutex);
	return ret;
}

/* It returns from its call and begins no other; also from a sleep, unless that is just beginning. */
static void ask_to_stop(struct shmipc_sub_priv *s)
{
	const uint32_t *word;

	/* thread.B0 -> thread.B1 */
	shmipc_store_release(&s->stop, 1u);
	word = shmipc_load_relaxed(&s->sleeps_on);
	if (word)
		shmipc_wake(s->t.seg, shmipc_topic_slot(&s->t), word, 0);
}

/* It may have checked before we asked, and slept after we woke it: ask again. */
static void stop_and_join(struct shmipc_sub_priv *s)
{
	struct timespec soon;

	do {
		ask_to_stop(s);
		(void)clock_gettime(CLOCK_REALTIME, &soon);
		soon.tv_nsec += ASK_AGAIN_NS;
		soon.tv_sec += soon.tv_nsec / 1000000000;
		soon.tv_nsec %= 1000000000;
	} while (pthread_timedjoin_np(s->thread, NULL, &soon) == ETIMEDOUT);
}

/* The mutex is not held while the thread is joined: its function may also call stop. */
bool shmipc_sub_thread_close(struct shmipc_sub_priv *s)
{
	bool own = false;

	pthread_mutex_lock(&s->thread_mutex);
	if (s->thread_state != THREAD_NONE) {
		ask_to_stop(s);
		own = pthread_equal(s->thread, pthread_self());
	}
	if (s->thread_state == THREAD_RUNS && !own) {
		s->thread_state = THREAD_JOINED;
		pthread_mutex_unlock(&s->thread_mutex);
		stop_and_join(s);
		pthread_mutex_lock(&s->thread_mutex);
		s->thread_state = THREAD_NONE;
		s->stop = 0;
		pthread_cond_broadcast(&s->thread_cond);
	}
	while (s->thread_state == THREAD_JOINED && !own)
		pthread_cond_wait(&s->thread_cond, &s->thread_mutex);
	pthread_mutex_unlock(&s->thread_mutex);
	return !own;
}

SHMIPC_EXPORT void shmipc_sub_stop(struct shmipc_sub *sub)
{
	SHMIPC_NO_CANCEL;
	if (sub && sub->live)
		(void)shmipc_sub_thread_close(sub_priv(sub));
}
