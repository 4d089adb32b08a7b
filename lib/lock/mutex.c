// SPDX-License-Identifier: MIT
/*
 * mutex.c - a mutex whose owner is a thread of a peer
 *
 * Free to owned and back is one compare-and-swap of the word each; word.c waits for it. If its
 * owner has died, one of those that wait replaces the dead owner in the word by itself.
 */
#include <errno.h>

#include "lock/lock.h"

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

/* As the word is after we have taken it. Those that slept beside us may still sleep. */
static uint64_t taken(const struct shmipc_lock_wait *w, uint64_t word)
{
	uint64_t flags = word & SHMIPC_LOCK_WAITERS;

	if (w->slept)
		flags = SHMIPC_LOCK_WAITERS;
	if (w->slept && shmipc_lock_waited_long(w))
		flags |= SHMIPC_LOCK_RESERVED;
	return w->own | flags;
}

static struct shmipc_mutex *mutex_of(const struct shmipc_lock_wait *w)
{
	return (struct shmipc_mutex *)w->word;	/* its first member */
}

/* 0; -EOWNERDEAD; -ENOTRECOVERABLE; -EDEADLK; -EAGAIN: another has it. */
static int take(struct shmipc_lock_wait *w)
{
	__u64 word = shmipc_load_relaxed(w->word), owner, to;
	int ret;

	for (;;) {
		owner = shmipc_lock_owner_of(word);
		if (word & SHMIPC_LOCK_LOST)
			return -ENOTRECOVERABLE;
		if (owner == w->own)
			return -EDEADLK;
		ret = owner || word & SHMIPC_LOCK_ORPHAN ? -EOWNERDEAD : 0;
		if (owner ? !shmipc_lock_gone(w, owner, false) : !shmipc_lock_may_take(w, word))
			return -EAGAIN;
		to = taken(w, word) | (ret ? SHMIPC_LOCK_ORPHAN : 0);
		/* mutex.A1 <- mutex.A0: what the last owner wrote. Of a dead one: peer.P0 <- peer.P1 */
		if (shmipc_cas_acq_rel(w->word, &word, to))
			break;
	}
	if (owner)
		write_death(w->p, mutex_of(w), owner);
	write_holder(w->p, mutex_of(w), w->own);
	return ret;
}

static __attribute__((noinline)) int lock_slow(struct shmipc_peer *p, struct shmipc_mutex *m,
					       uint64_t deadline_ns)
{
	struct shmipc_lock_wait w = { .p = p, .word = &m->word, .own = shmipc_lock_self(p) };
	int ret = take(&w);

	return ret == -EAGAIN ? shmipc_lock_wait(&w, take, deadline_ns) : ret;
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

/* @orphan: what becomes of it if the data needs repair */
static __attribute__((noinline)) int unlock_slow(struct shmipc_peer *p, struct shmipc_mutex *m,
						 __u64 word, uint64_t orphan)
{
	uint64_t own = shmipc_lock_self(p), to;

	do {
		if (word & SHMIPC_LOCK_LOST || shmipc_lock_owner_of(word) != own)
			return -EPERM;
		to = word & SHMIPC_LOCK_WAITERS ? word & SHMIPC_LOCK_RESERVED : 0;
		if (word & SHMIPC_LOCK_ORPHAN)
			to = orphan == SHMIPC_LOCK_LOST ? orphan : to | orphan;
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
		return unlock_slow(p, m, word, SHMIPC_LOCK_LOST);
	return 0;
}

void shmipc_mutex_hand_back(struct shmipc_peer *p, struct shmipc_mutex *m)
{
	(void)unlock_slow(p, m, shmipc_load_relaxed(&m->word), SHMIPC_LOCK_ORPHAN);
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

struct shmipc_lock_owner shmipc_lock_owner_info(uint64_t word, uint32_t pid)
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
		info.owner = shmipc_lock_owner_info(word, pid_of(p, m, shmipc_lock_owner_of(word)));
	word = shmipc_load_relaxed(&m->died);
	if (word)
		info.died = shmipc_lock_owner_info(word, shmipc_load_relaxed(&m->died_pid));
	info.deaths = shmipc_load_relaxed(&m->deaths);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}
