// SPDX-License-Identifier: MIT
/*
 * cond.c - a condition: sleep until another thread signals that something has changed
 *
 * Its word counts signals. A waiter reads it while it owns the mutex, counts itself, releases
 * the mutex, and sleeps while the word is the same. A signal that finds a waiter adds one to
 * the word and wakes one sleeper, or all.
 *
 * A signal changes the word for all. So when the sleeper that it has woken dies, the others,
 * which the death wakes, see that the word has changed, and return: no signal is lost.
 */
#include <errno.h>

#include <shmipc/channel.h>

#include "lock/lock.h"

/* One call. */
struct cond_wait {
	struct shmipc_peer *p;
	struct shmipc_cond *c;
	uint64_t seen;		/* the word, while the mutex was owned */
	uint32_t naps;		/* sleeps in a row that were over without a wake */
};

static bool cond_ready(void *arg)
{
	const struct cond_wait *w = arg;

	return shmipc_load_relaxed(&w->c->word) != w->seen;
}

static bool cond_look(void *arg, struct shmipc_wait_set *set)
{
	struct cond_wait *w = arg;

	shmipc_watch_word(w->p->seg, set, shmipc_low32(&w->c->word), (uint32_t)w->seen);
	set->exclusive = true;
	if (w->naps)
		(void)shmipc_lock_watch(w->p, set, 0, true);
	else
		set->until_ns = shmipc_later(shmipc_now_ns(), SHMIPC_LOCK_SHORT_NS);
	return !cond_ready(arg);
}

static void cond_tell(void *arg, const uint32_t *word, int ret)
{
	struct cond_wait *w = arg;

	(void)word;
	if (ret <= 0)
		w->naps = ret == -ETIMEDOUT ? w->naps + 1 : 0;
}

static const struct shmipc_wait_ops cond_ops = {
	.ready = cond_ready,
	.look = cond_look,
	.tell = cond_tell,
};

/* 0; -ETIMEDOUT; -EAGAIN; -ECONNRESET. A handler of a signal does not end it. */
static int wait_for_change(struct cond_wait *w, uint64_t deadline_ns)
{
	struct shmipc_waiter waiter;
	int ret;

	shmipc_waiter_init(&waiter, w->p->spin_ns ? w->p->spin_ns : SHMIPC_SPIN_NEVER, NULL);
	do
		ret = cond_ready(w) ? 0 : shmipc_wait_one(&waiter, &cond_ops, w, deadline_ns);
	while (ret == -EINTR || (!ret && !cond_ready(w)));
	return ret;
}

SHMIPC_EXPORT int shmipc_cond_wait(struct shmipc_peer *p, struct shmipc_cond *c,
				   struct shmipc_mutex *m, uint64_t deadline_ns)
{
	int ret = shmipc_lock_check(p, c, sizeof(*c), __func__), again = 0;
	struct cond_wait w = { .p = p, .c = c };

	if (!ret)
		ret = shmipc_lock_check(p, m, sizeof(*m), __func__);
	if (ret)
		return ret;
	w.seen = shmipc_load_relaxed(&c->word);
	/* Relaxed: the next owners of the mutex see it, by its release and acquire. */
	shmipc_add_relaxed(&c->waiting, 1);
	ret = shmipc_mutex_unlock(p, m);
	if (!ret) {
		ret = wait_for_change(&w, deadline_ns);
		again = ret == -ECONNRESET ? ret : shmipc_mutex_lock(p, m, SHMIPC_FOREVER);
	}
	shmipc_add_relaxed(&c->waiting, UINT64_MAX);
	return again ? again : ret;
}

/* @n: how many sleepers to wake; 0: all */
static int wake(struct shmipc_peer *p, struct shmipc_cond *c, uint32_t n, const char *function)
{
	int err = shmipc_lock_check(p, c, sizeof(*c), function);

	if (err)
		return err;
	if (!shmipc_load_relaxed(&c->waiting))
		return 0;
	/* Relaxed: what has changed is under the mutex. */
	shmipc_add_relaxed(&c->word, 1);
	shmipc_wake_some(p->seg, p->end.slot, shmipc_low32(&c->word), 0, n);
	return 0;
}

SHMIPC_EXPORT int shmipc_cond_signal(struct shmipc_peer *p, struct shmipc_cond *c)
{
	return wake(p, c, 1, __func__);
}

SHMIPC_EXPORT int shmipc_cond_broadcast(struct shmipc_peer *p, struct shmipc_cond *c)
{
	return wake(p, c, 0, __func__);
}

SHMIPC_EXPORT int shmipc_cond_init(struct shmipc_cond *c)
{
	const struct shmipc_cond zero = { 0 };

	if (!c)
		return shmipc_null(__func__, "c");
	if ((uintptr_t)c % 8)
		return shmipc_fail(-EINVAL, "shmipc: %s(): %p is not aligned to 8 bytes (EINVAL)", __func__,
				   (void *)c);
	shmipc_racy_write(c, &zero, sizeof(*c));
	return 0;
}
