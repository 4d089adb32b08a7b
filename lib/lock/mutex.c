// SPDX-License-Identifier: MIT
/*
 * mutex.c - a mutex whose owner is a thread of a peer
 *
 * Free to owned and back is one compare-and-swap of the word each. A waiter sets WAITERS in
 * it and sleeps on it, so a change of the word ends the sleep or prevents it. An unlock with
 * WAITERS clears the flag and wakes one sleeper. That one sets it again when it takes the
 * mutex, or before it sleeps once more; if it gives up instead it passes the wake on. If it
 * dies, the others are woken by that: see shmipc_lock_watch().
 *
 * The death of an owner is found by those that look at the word while its peer has gone,
 * and wakes those that sleep, as they watch its peer. One of them replaces the dead owner
 * in the word by itself.
 */
#include <errno.h>

#include <shmipc/channel.h>

#include "lock/lock.h"

#define PATIENCE_NS	UINT64_C(1000000)	/* then a waiter reserves it */
#define ROUNDS		64			/* of a word that changes all the time */

/* One call that has to wait. */
struct mutex_wait {
	struct shmipc_peer *p;
	struct shmipc_mutex *m;
	uint64_t own;		/* the owner that it wants to be */
	uint64_t gone;		/* this owner has gone, according to the kernel */
	uint64_t seen;		/* the word that it sleeps on */
	uint64_t began_ns;
	uint32_t naps;		/* sleeps in a row that were over without a wake */
	bool slept;
	bool takes_reserved;	/* it has slept, has waited long, or gives up otherwise */
};

/* Arguments */

static int check(const struct shmipc_peer *p, const struct shmipc_mutex *m, const char *function)
{
	return shmipc_lock_check(p, m, sizeof(*m), function);
}

static inline bool is_usable(const struct shmipc_peer *p, const struct shmipc_mutex *m)
{
	return shmipc_likely(p && m && shmipc_load_relaxed(&p->live) &&
			     shmipc_peer_within(p, m, sizeof(*m)));
}

/* Taking it */

/* For people: which process it is, until the next one has it. */
static void write_holder(const struct shmipc_peer *p, struct shmipc_mutex *m, uint64_t own)
{
	shmipc_store_relaxed(&m->holder, (uint64_t)p->pid << 32 | (uint32_t)own);
}

static uint32_t pid_of(const struct shmipc_peer *p, const struct shmipc_mutex *m, uint64_t owner)
{
	uint64_t holder = shmipc_load_relaxed(&m->holder);
	uint32_t pid = shmipc_peer_pid(p, shmipc_lock_peer(owner));

	/* Another peer may be in its slot by now. */
	return pid || (uint32_t)holder != (uint32_t)owner ? pid : (uint32_t)(holder >> 32);
}

/* Its last owner died: who that was, for the new owner and for people. */
static void write_death(const struct shmipc_peer *p, struct shmipc_mutex *m, uint64_t owner)
{
	shmipc_store_relaxed(&m->died_pid, pid_of(p, m, owner));
	shmipc_store_relaxed(&m->died, owner);
	shmipc_store_relaxed(&m->deaths, shmipc_load_relaxed(&m->deaths) + 1);
}

static bool may_take(const struct mutex_wait *w, uint64_t word)
{
	return !shmipc_lock_owner_of(word) && (!(word & SHMIPC_LOCK_RESERVED) || w->takes_reserved);
}

static bool has_gone(const struct mutex_wait *w, uint64_t owner, bool sure)
{
	return owner == w->gone || shmipc_peer_gone(w->p, shmipc_lock_peer(owner), sure);
}

/* As the word is after we have taken it. Those that slept beside us may still sleep. */
static uint64_t taken(const struct mutex_wait *w, uint64_t word)
{
	uint64_t flags = word & SHMIPC_LOCK_WAITERS;

	if (w->slept)
		flags = SHMIPC_LOCK_WAITERS;
	if (w->slept && shmipc_now_ns() - w->began_ns > PATIENCE_NS)
		flags |= SHMIPC_LOCK_RESERVED;
	return w->own | flags;
}

/* 0; -EOWNERDEAD; -ENOTRECOVERABLE; -EDEADLK; -EAGAIN: another has it. */
static int take(const struct mutex_wait *w)
{
	__u64 word = shmipc_load_relaxed(&w->m->word), owner, to;
	int ret;

	for (;;) {
		owner = shmipc_lock_owner_of(word);
		if (word & SHMIPC_LOCK_LOST)
			return -ENOTRECOVERABLE;
		if (owner == w->own)
			return -EDEADLK;
		ret = owner ? -EOWNERDEAD : 0;
		if (owner ? !has_gone(w, owner, false) : !may_take(w, word))
			return -EAGAIN;
		to = taken(w, word) | (owner ? SHMIPC_LOCK_ORPHAN : 0);
		/* mutex.A1 <- mutex.A0: what the last owner wrote. Of a dead one: peer.P0 <- peer.P1 */
		if (shmipc_cas_acq_rel(&w->m->word, &word, to))
			break;
	}
	if (ret)
		write_death(w->p, w->m, owner);
	write_holder(w->p, w->m, w->own);
	return ret;
}

/* Waiting for it */

static bool mutex_ready(void *arg)
{
	const struct mutex_wait *w = arg;
	uint64_t word = shmipc_load_relaxed(&w->m->word);

	return word & SHMIPC_LOCK_LOST || may_take(w, word);
}

/* Has the owner gone? Then there is something to do for us. */
static int mutex_settle(void *arg, bool sure)
{
	struct mutex_wait *w = arg;
	uint64_t owner = shmipc_lock_owner_of(shmipc_load_relaxed(&w->m->word));

	if (!owner || !has_gone(w, owner, sure))
		return 0;
	w->gone = owner;
	return 1;
}

/* The flag is in the word that we sleep on, so no fence is needed. */
static uint64_t mutex_want(void *arg)
{
	struct mutex_wait *w = arg;
	__u64 word = shmipc_load_relaxed(&w->m->word), flags = SHMIPC_LOCK_WAITERS;

	if (shmipc_now_ns() - w->began_ns > PATIENCE_NS) {
		w->takes_reserved = true;
		flags |= SHMIPC_LOCK_RESERVED;
	}
	do {
		if (word & SHMIPC_LOCK_LOST || may_take(w, word))
			return SHMIPC_WANT_AGAIN;
		w->seen = word | flags;
		/* mutex.W0 -> mutex.W1: nothing but the flags goes with it. */
	} while (w->seen != word && !shmipc_cas_acq_rel(&w->m->word, &word, w->seen));
	return SHMIPC_WANT_NOTHING;
}

static bool mutex_look(void *arg, struct shmipc_wait_set *set)
{
	struct mutex_wait *w = arg;
	uint64_t now = shmipc_now_ns();

	shmipc_watch_word(w->p->seg, set, shmipc_low32(&w->m->word), (uint32_t)w->seen);
	set->exclusive = true;
	/* Reserved: those that it is for have been woken, but may all have given up. */
	if (!shmipc_lock_owner_of(w->seen))
		set->until_ns = shmipc_later(w->began_ns, PATIENCE_NS + 1);
	else if (!shmipc_lock_watch(w->p, set, w->seen, w->naps))
		return false;
	if (!w->naps && set->until_ns > shmipc_later(now, SHMIPC_LOCK_SHORT_NS))
		set->until_ns = shmipc_later(now, SHMIPC_LOCK_SHORT_NS);
	return shmipc_load_relaxed(&w->m->word) == w->seen;
}

static void mutex_tell(void *arg, const uint32_t *word, int ret)
{
	struct mutex_wait *w = arg;

	(void)word;
	if (ret > 0)
		return;
	w->slept = w->takes_reserved = true;
	w->naps = ret == -ETIMEDOUT ? w->naps + 1 : 0;
}

static const struct shmipc_wait_ops mutex_ops = {
	.ready = mutex_ready,
	.settle = mutex_settle,
	.want = mutex_want,
	.look = mutex_look,
	.tell = mutex_tell,
};

/* We do not wait any more, and may have been woken for it: others must hear of its unlock. */
static void pass_on(const struct mutex_wait *w)
{
	__u64 word = shmipc_load_relaxed(&w->m->word);

	do {
		if (word & (SHMIPC_LOCK_LOST | SHMIPC_LOCK_WAITERS))
			return;
		if (!shmipc_lock_owner_of(word))
			break;
		/* mutex.W0 -> mutex.W1 */
	} while (!shmipc_cas_acq_rel(&w->m->word, &word, word | SHMIPC_LOCK_WAITERS));
	if (!shmipc_lock_owner_of(word))
		shmipc_wake_some(w->p->seg, w->p->end.slot, shmipc_low32(&w->m->word), 0, 1);
}

/* How long to spin before the next sleep. Once it has slept, another was faster. */
static uint64_t spin_left(const struct mutex_wait *w)
{
	uint64_t spun = shmipc_now_ns() - w->began_ns;

	return !w->slept && spun < w->p->spin_ns ? w->p->spin_ns - spun : 0;
}

static int wait(struct mutex_wait *w, uint64_t deadline_ns)
{
	struct shmipc_waiter waiter;
	uint32_t rounds = 0;
	int ret, took;

	shmipc_waiter_init(&waiter, SHMIPC_SPIN_NEVER, NULL);
	do {
		waiter.spin_ns = spin_left(w);
		ret = shmipc_wait_one(&waiter, &mutex_ops, w, deadline_ns);
		if (ret == -ECONNRESET)
			return ret;
		if (ret == -EINTR)
			ret = 0;
		if (!ret && rounds++ >= ROUNDS && shmipc_now_ns() >= deadline_ns)
			ret = deadline_ns ? -ETIMEDOUT : -EAGAIN;
		if (ret)
			w->takes_reserved = true;	/* at the last moment */
		took = take(w);
	} while (!ret && took == -EAGAIN);
	if (took != -EAGAIN)
		return took;
	if (w->slept)
		pass_on(w);
	return ret;
}

static __attribute__((noinline)) int lock_slow(struct shmipc_peer *p, struct shmipc_mutex *m,
					       uint64_t deadline_ns)
{
	struct mutex_wait w = { .p = p, .m = m, .own = shmipc_lock_self(p) };
	int ret = take(&w);

	if (ret != -EAGAIN)
		return ret;
	w.began_ns = shmipc_now_ns();
	return wait(&w, deadline_ns);
}

SHMIPC_EXPORT int shmipc_mutex_lock(struct shmipc_peer *p, struct shmipc_mutex *m,
				    uint64_t deadline_ns)
{
	__u64 word = 0, own;

	if (!is_usable(p, m))
		return check(p, m, __func__);
	own = shmipc_lock_self(p);
	/* mutex.A1 <- mutex.A0: what the last owner wrote. */
	if (shmipc_unlikely(!shmipc_cas_acq_rel(&m->word, &word, own)))
		return lock_slow(p, m, deadline_ns);
	write_holder(p, m, own);
	return 0;
}

/* Releasing it */

static __attribute__((noinline)) int unlock_slow(struct shmipc_peer *p, struct shmipc_mutex *m,
						 __u64 word)
{
	uint64_t own = shmipc_lock_self(p), to;

	do {
		if (word & SHMIPC_LOCK_LOST || shmipc_lock_owner_of(word) != own)
			return -EPERM;
		to = word & SHMIPC_LOCK_WAITERS ? word & SHMIPC_LOCK_RESERVED : 0;
		if (word & SHMIPC_LOCK_ORPHAN)
			to = SHMIPC_LOCK_LOST;
		/* mutex.A0 -> mutex.A1, mutex.W1 <- mutex.W0: a waiter's flag is seen, or it sees ours. */
	} while (!shmipc_cas_acq_rel(&m->word, &word, to));
	if (word & SHMIPC_LOCK_WAITERS)
		shmipc_wake_some(p->seg, p->end.slot, shmipc_low32(&m->word), 0,
				 to == SHMIPC_LOCK_LOST ? 0 : 1);
	return 0;
}

SHMIPC_EXPORT int shmipc_mutex_unlock(struct shmipc_peer *p, struct shmipc_mutex *m)
{
	__u64 word;

	if (!is_usable(p, m))
		return check(p, m, __func__);
	word = shmipc_lock_self(p);
	/* mutex.A0 -> mutex.A1: all that was done while it was owned. */
	if (shmipc_unlikely(!shmipc_cas_acq_rel(&m->word, &word, (uint64_t)0)))
		return unlock_slow(p, m, word);
	return 0;
}

SHMIPC_EXPORT int shmipc_mutex_consistent(struct shmipc_peer *p, struct shmipc_mutex *m)
{
	int err = check(p, m, __func__);
	__u64 word, own;

	if (err)
		return err;
	own = shmipc_lock_self(p);
	word = shmipc_load_relaxed(&m->word);
	do {
		if (word & SHMIPC_LOCK_LOST || shmipc_lock_owner_of(word) != own)
			return -EPERM;
		if (!(word & SHMIPC_LOCK_ORPHAN))
			return shmipc_fail(-EINVAL, "shmipc: %s(): no owner of this mutex has died, or it was declared consistent (EINVAL)",
					   __func__);
		/* mutex.C0 -> mutex.C1, mutex.C1 <- mutex.C0: a flag of the owner's own. */
	} while (!shmipc_cas_acq_rel(&m->word, &word, word & ~SHMIPC_LOCK_ORPHAN));
	return 0;
}

SHMIPC_EXPORT int shmipc_mutex_init(struct shmipc_mutex *m)
{
	struct shmipc_mutex zero = { 0 };

	if (!m)
		return shmipc_null(__func__, "m");
	if ((uintptr_t)m % 8)
		return shmipc_fail(-EINVAL, "shmipc: %s(): %p is not aligned to 8 bytes (EINVAL)", __func__,
				   (void *)m);
	shmipc_racy_write(m, &zero, sizeof(*m));
	return 0;
}

/* Looking at it */

static struct shmipc_lock_owner owner_info(uint64_t word, uint32_t pid)
{
	struct shmipc_peer_name name = shmipc_lock_peer(word);

	return (struct shmipc_lock_owner){
		.slot = name.slot,
		.thread = (uint32_t)(word >> SHMIPC_LOCK_THREAD_SHIFT & SHMIPC_LOCK_THREAD_MASK),
		.generation = name.generation,
		.pid = pid,
	};
}

static uint32_t info_flags(uint64_t word)
{
	if (word & SHMIPC_LOCK_LOST)
		return SHMIPC_MUTEX_LOST;
	return (word & SHMIPC_LOCK_WAITERS ? SHMIPC_MUTEX_WAITERS : 0) |
	       (word & SHMIPC_LOCK_ORPHAN ? SHMIPC_MUTEX_ORPHAN : 0);
}

SHMIPC_EXPORT int shmipc_mutex_get_info(struct shmipc_peer *p, const struct shmipc_mutex *m,
					struct shmipc_mutex_info *ret)
{
	struct shmipc_mutex_info info = { .struct_bytes = sizeof(info) };
	int err = check(p, m, __func__);
	uint64_t word;

	if (!err && !ret)
		err = shmipc_null(__func__, "ret");
	if (!err)
		err = shmipc_sized_check(ret, sizeof(info), "mutex info");
	if (err)
		return err;
	word = shmipc_load_relaxed(&m->word);
	info.flags = info_flags(word);
	if (!(word & SHMIPC_LOCK_LOST) && shmipc_lock_owner_of(word))
		info.owner = owner_info(word, pid_of(p, m, shmipc_lock_owner_of(word)));
	word = shmipc_load_relaxed(&m->died);
	if (word)
		info.died = owner_info(word, shmipc_load_relaxed(&m->died_pid));
	info.deaths = shmipc_load_relaxed(&m->deaths);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}
