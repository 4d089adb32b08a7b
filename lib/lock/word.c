// SPDX-License-Identifier: MIT
/*
 * word.c - waiting for a word that names its owner: see lock.h
 *
 * A waiter sets WAITERS in the word and sleeps on it, so a change of the word ends the sleep
 * or prevents it. The one that releases the word with WAITERS clears the flag and wakes one
 * sleeper. That one sets it again when it takes the word, or before it sleeps once more; if it
 * gives up instead it passes the wake on. If it dies, the others are woken by that: see
 * shmipc_lock_watch().
 *
 * The death of an owner is found by those that look at the word while its peer has gone, and
 * wakes those that sleep, as they watch its peer.
 */
#include <errno.h>

#include <shmipc/channel.h>

#include "lock/lock.h"

#define ROUNDS	64	/* of a word that changes all the time */

bool shmipc_lock_gone(const struct shmipc_lock_wait *w, uint64_t owner, bool sure)
{
	return owner == w->gone || shmipc_peer_gone(w->p, shmipc_lock_peer(owner), sure);
}

static bool waits_no_more(const struct shmipc_lock_wait *w, uint64_t word)
{
	return (!w->share && word & SHMIPC_LOCK_LOST) || shmipc_lock_may_take(w, word);
}

static bool word_ready(void *arg)
{
	const struct shmipc_lock_wait *w = arg;

	return waits_no_more(w, shmipc_load_relaxed(w->word));
}

/* Has the owner gone? Then there is something to do for us. */
static int word_settle(void *arg, bool sure)
{
	struct shmipc_lock_wait *w = arg;
	uint64_t owner = shmipc_lock_owner_of(shmipc_load_relaxed(w->word));

	if (!owner || !shmipc_lock_gone(w, owner, sure))
		return 0;
	w->gone = owner;
	return 1;
}

/* The flag is in the word that we sleep on, so no fence is needed. */
static uint64_t word_want(void *arg)
{
	struct shmipc_lock_wait *w = arg;
	__u64 word = shmipc_load_relaxed(w->word), flags = SHMIPC_LOCK_WAITERS;

	if (shmipc_lock_waited_long(w)) {
		w->takes_reserved = true;
		flags |= w->share ? 0 : SHMIPC_LOCK_RESERVED;
	}
	do {
		if (waits_no_more(w, word))
			return SHMIPC_WANT_AGAIN;
		w->seen = word | flags;
		/* mutex.W0 -> mutex.W1: nothing but the flags goes with it. */
	} while (w->seen != word && !shmipc_cas_acq_rel(w->word, &word, w->seen));
	return SHMIPC_WANT_NOTHING;
}

static bool word_look(void *arg, struct shmipc_wait_set *set)
{
	struct shmipc_lock_wait *w = arg;
	uint64_t now = shmipc_now_ns();

	shmipc_watch_word(w->p->seg, set, shmipc_low32(w->word), (uint32_t)w->seen);
	set->exclusive = !w->share;
	/* Reserved: those that it is for have been woken, but may all have given up. */
	if (!shmipc_lock_owner_of(w->seen))
		set->until_ns = shmipc_later(w->began_ns, SHMIPC_LOCK_PATIENCE_NS + 1);
	else if (!shmipc_lock_watch(w->p, set, w->seen, w->naps))
		return false;
	if (!w->naps && set->until_ns > shmipc_later(now, SHMIPC_LOCK_SHORT_NS))
		set->until_ns = shmipc_later(now, SHMIPC_LOCK_SHORT_NS);
	return shmipc_load_relaxed(w->word) == w->seen;
}

static void word_tell(void *arg, const uint32_t *word, int ret)
{
	struct shmipc_lock_wait *w = arg;

	(void)word;
	if (ret > 0)
		return;
	w->slept = w->takes_reserved = true;
	w->naps = ret == -ETIMEDOUT ? w->naps + 1 : 0;
}

static const struct shmipc_wait_ops word_ops = {
	.ready = word_ready,
	.settle = word_settle,
	.want = word_want,
	.look = word_look,
	.tell = word_tell,
};

/* We do not wait any more, and may have been woken for it: others must hear of its release. */
static void pass_on(const struct shmipc_lock_wait *w)
{
	__u64 word = shmipc_load_relaxed(w->word);

	do {
		if (word & (SHMIPC_LOCK_LOST | SHMIPC_LOCK_WAITERS))
			return;
		if (!shmipc_lock_owner_of(word))
			break;
		/* mutex.W0 -> mutex.W1 */
	} while (!shmipc_cas_acq_rel(w->word, &word, word | SHMIPC_LOCK_WAITERS));
	if (!shmipc_lock_owner_of(word))
		shmipc_wake_some(w->p->seg, w->p->end.slot, shmipc_low32(w->word), 0, 1);
}

/* How long to spin before the next sleep. Once it has slept, another was faster. */
static uint64_t spin_left(const struct shmipc_lock_wait *w)
{
	uint64_t spun = shmipc_now_ns() - w->began_ns;

	return !w->slept && spun < w->p->spin_ns ? w->p->spin_ns - spun : 0;
}

int shmipc_lock_wait(struct shmipc_lock_wait *w, int (*take)(struct shmipc_lock_wait *w),
		     uint64_t deadline_ns)
{
	struct shmipc_waiter waiter;
	uint32_t rounds = 0;
	int ret, took;

	w->began_ns = shmipc_now_ns();
	shmipc_waiter_init(&waiter, SHMIPC_SPIN_NEVER, NULL);
	do {
		waiter.spin_ns = spin_left(w);
		ret = shmipc_wait_one(&waiter, &word_ops, w, deadline_ns);
		if (ret == -ECONNRESET)
			return ret;
		if (ret == -EINTR && !w->p->ends_by_signals)
			ret = 0;
		if (!ret && rounds++ >= ROUNDS && shmipc_now_ns() >= deadline_ns)
			ret = deadline_ns ? -ETIMEDOUT : -EAGAIN;
		if (ret)
			w->takes_reserved = true;	/* at the last moment */
		took = take(w);
	} while (!ret && took == -EAGAIN);
	if (took != -EAGAIN)
		return took;
	if (w->slept && !w->share)
		pass_on(w);
	return ret;
}
