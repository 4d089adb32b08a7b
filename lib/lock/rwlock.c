// SPDX-License-Identifier: MIT
/*
 * rwlock.c - a read-write lock whose writers and readers are threads of peers
 *
 * A reader puts its name into a free share: one compare-and-swap takes it and says whose it
 * is, so that the share of a dead reader can be given back, once. Then it looks for a writer,
 * and if there is one takes its name out again, and waits. A writer takes a mutex, and then
 * waits for each share that is in use: the reader that takes its name out wakes it. Each side
 * writes before it looks, so at least one of them sees the other.
 *
 * Between the mutex and the first word that a writer may write lies its name in @inside. So of
 * a writer that died it is known whether it was there.
 */
#include <errno.h>

#include <shmipc/channel.h>

#include "lock/lock.h"

#define SHARES		SHMIPC_LOCK_SHARES
#define LINES		(SHARES / SHMIPC_LOCK_SHARES_LINE)
#define WAKES		2u	/* a reader that was woken wakes so many more */
#define ROUNDS		64u	/* of writers that die, or seem to */
#define NONE		(-1)

/* A reader that looks for a share, or a writer that waits for one. */
struct rwlock_wait {
	struct shmipc_lock_wait w;
	struct shmipc_rwlock *l;
};

_Thread_local uint32_t shmipc_rwlock_strays;

/* Arguments */

static int check(const struct shmipc_peer *p, const struct shmipc_rwlock *l, const char *function)
{
	return shmipc_lock_check(p, l, sizeof(*l), function);
}

static inline bool is_usable(const struct shmipc_peer *p, const struct shmipc_rwlock *l)
{
	return shmipc_likely(p && l && shmipc_load_relaxed(&p->live) &&
			     shmipc_peer_within(p, l, sizeof(*l)));
}

/* Shares */

/* Where a thread looks for its share first. Neighbours are on different lines. */
static inline uint32_t home_of(uint64_t own)
{
	uint32_t n = (uint32_t)(own >> SHMIPC_LOCK_SLOT_SHIFT & SHMIPC_LOCK_SLOT_MASK) +
		     11 * (uint32_t)(own >> SHMIPC_LOCK_THREAD_SHIFT & SHMIPC_LOCK_THREAD_MASK);

	return n % LINES * SHMIPC_LOCK_SHARES_LINE + n / LINES % SHMIPC_LOCK_SHARES_LINE;
}

static inline bool is_own(const struct shmipc_rwlock *l, uint32_t at, uint64_t own)
{
	return shmipc_lock_owner_of(shmipc_load_relaxed(&l->share[at])) == own;
}

/* The share of this thread, or NONE. */
static int find_own(const struct shmipc_rwlock *l, uint64_t own)
{
	uint32_t at = home_of(own);

	if (is_own(l, at, own))
		return (int)at;
	if (shmipc_likely(!shmipc_rwlock_strays))
		return NONE;
	for (at = 0; at < SHARES; at++)
		if (is_own(l, at, own))
			return (int)at;
	return NONE;
}

static void wake_share(struct shmipc_peer *p, struct shmipc_rwlock *l, uint32_t at)
{
	shmipc_wake_some(p->seg, p->end.slot, shmipc_low32(&l->share[at]), 0, 0);
}

/* Give it back, or one of several times. 0; -EPERM: it is not ours. */
static int leave(struct shmipc_peer *p, struct shmipc_rwlock *l, uint32_t at, uint64_t own)
{
	__u64 word = own;
	uint64_t to = 0;

	/* rwlock.S0 -> rwlock.S1: what was read was read before. */
	while (!shmipc_cas_acq_rel(&l->share[at], &word, to)) {
		if (shmipc_lock_owner_of(word) != own)
			return -EPERM;
		to = word & SHMIPC_SHARE_AGAIN ? word - SHMIPC_SHARE_AGAIN_ONE : 0;
	}
	if (!to && word & SHMIPC_SHARE_WAITERS)
		wake_share(p, l, at);
	return 0;
}

/* Have our share once more. 0; -EOVERFLOW; -EAGAIN: it is not ours. */
static int again(struct shmipc_rwlock *l, uint32_t at, uint64_t own)
{
	__u64 word = shmipc_load_relaxed(&l->share[at]);

	do {
		if (shmipc_lock_owner_of(word) != own)
			return -EAGAIN;
		if ((word & SHMIPC_SHARE_AGAIN) == SHMIPC_SHARE_AGAIN)
			return -EOVERFLOW;
		/* rwlock.N0 -> rwlock.N1, rwlock.N1 <- rwlock.N0: only a number of its owner's. */
	} while (!shmipc_cas_acq_rel(&l->share[at], &word, word + SHMIPC_SHARE_AGAIN_ONE));
	return 0;
}

/* Take a free share, or that of a dead reader if there is none. Its number, or NONE. */
static int take_share(struct rwlock_wait *r)
{
	uint32_t at, i, home = home_of(r->w.own);
	uint64_t owner;
	__u64 word;

	for (i = 0; i < 2 * SHARES; i++) {
		at = (home + i) % SHARES;
		word = shmipc_load_relaxed(&r->l->share[at]);
		owner = shmipc_lock_owner_of(word);
		if (owner && (i < SHARES || !shmipc_lock_gone(&r->w, owner, false)))
			continue;
		/* rwlock.S2 -> rwlock.S3, rwlock.S3 <- rwlock.S2: the fence after it orders it. */
		if (!shmipc_cas_acq_rel(&r->l->share[at], &word, r->w.own))
			continue;
		if (owner)
			shmipc_add_relaxed(&r->l->freed, 1);
		return (int)at;
	}
	return NONE;
}

/* Reading */

/* A writer is there, or what one has left. */
static inline bool is_shut(uint64_t word)
{
	return shmipc_lock_owner_of(word) || word & (SHMIPC_LOCK_ORPHAN | SHMIPC_LOCK_LOST);
}

/* Our share is visible: may we read? Otherwise it is given back. */
static inline bool may_read(struct shmipc_peer *p, struct shmipc_rwlock *l, uint32_t at, uint64_t own)
{
	/* rwlock.D0 -> rwlock.D1, rwlock.D3 <- rwlock.D2: a writer sees the share, or we see it. */
	shmipc_fence_after_update();
	/* mutex.A1 <- mutex.A0: what the last writer wrote. */
	if (shmipc_likely(!is_shut(shmipc_load_acquire(&l->writer.word))))
		return true;
	(void)leave(p, l, at, own);
	return false;
}

/* We were woken, and the lock is free: so it is for the readers that sleep beside us. */
static void wake_more(struct rwlock_wait *r)
{
	struct shmipc_rwlock *l = r->l;
	__u64 word = shmipc_load_relaxed(&l->writer.word);

	if (!r->w.slept)
		return;
	while (!is_shut(word) && word & SHMIPC_LOCK_RESERVED)
		/* mutex.W0 -> mutex.W1: a flag. */
		if (shmipc_cas_acq_rel(&l->writer.word, &word, word & ~SHMIPC_LOCK_RESERVED))
			break;
	shmipc_wake_some(r->w.p->seg, r->w.p->end.slot, shmipc_low32(&l->writer.word), 0, WAKES);
}

/* 0; -EOWNERDEAD: a writer has gone; -ENOTRECOVERABLE; -EDEADLK; -EAGAIN: not now. */
static int enter(struct shmipc_lock_wait *w)
{
	struct rwlock_wait *r = (struct rwlock_wait *)w;
	uint64_t word = shmipc_load_relaxed(&r->l->writer.word);
	uint64_t owner = shmipc_lock_owner_of(word);
	uint32_t home = home_of(w->own);
	int at;

	w->word = &r->l->writer.word;
	w->share = false;
	if (word & SHMIPC_LOCK_LOST)
		return -ENOTRECOVERABLE;
	if (owner == w->own)
		return -EDEADLK;
	if (owner ? shmipc_lock_gone(w, owner, false) : word & SHMIPC_LOCK_ORPHAN)
		return -EOWNERDEAD;
	if (owner || !shmipc_lock_may_take(w, word))
		return -EAGAIN;
	at = take_share(r);
	if (at == NONE) {
		wake_more(r);
		w->word = &r->l->share[home];
		w->share = true;
		return -EAGAIN;
	}
	if (!may_read(w->p, r->l, (uint32_t)at, w->own))
		return -EAGAIN;
	wake_more(r);
	shmipc_rwlock_strays += (uint32_t)at != home;
	return 0;
}

/* Writing */

/* Is the share free, or that of a dead reader? 0; -EAGAIN: it is in use. */
static int emptied(struct shmipc_lock_wait *w)
{
	struct rwlock_wait *r = (struct rwlock_wait *)w;
	/* rwlock.S1 <- rwlock.S0: the reader has read. */
	__u64 word = shmipc_load_acquire(w->word);
	uint64_t owner;

	for (;;) {
		owner = shmipc_lock_owner_of(word);
		if (!owner)
			return 0;
		if (!shmipc_lock_gone(w, owner, false))
			return -EAGAIN;
		/* rwlock.S1 <- rwlock.S0, rwlock.S2 -> rwlock.S3 */
		if (!shmipc_cas_acq_rel(w->word, &word, (uint64_t)0))
			continue;
		shmipc_add_relaxed(&r->l->freed, 1);
		if (word & SHMIPC_SHARE_WAITERS)
			wake_share(w->p, r->l, (uint32_t)(w->word - r->l->share));
		return 0;
	}
}

/* Wait until there are no readers. 0; -EAGAIN; -ETIMEDOUT; -ECONNRESET. */
static int drain(struct shmipc_peer *p, struct shmipc_rwlock *l, uint64_t deadline_ns)
{
	struct rwlock_wait r;
	uint32_t at;
	int ret;

	/* rwlock.D2 -> rwlock.D3, rwlock.D1 <- rwlock.D0: a reader sees us, or we see its share. */
	shmipc_fence_after_update();
	for (at = 0; at < SHARES; at++) {
		/* rwlock.S1 <- rwlock.S0 */
		if (!shmipc_load_acquire(&l->share[at]))
			continue;
		r = (struct rwlock_wait){ .w = { .p = p, .word = &l->share[at], .share = true }, .l = l };
		ret = emptied(&r.w);
		if (ret == -EAGAIN)
			ret = shmipc_lock_wait(&r.w, emptied, deadline_ns);
		if (ret)
			return ret;
	}
	return 0;
}

/* The caller owns the mutex, which it got with @ret; it may write then. */
static int go_in(struct shmipc_peer *p, struct shmipc_rwlock *l, int ret, uint64_t deadline_ns)
{
	int err;

	/* The last one died before it got in, or after it had left. */
	if (ret && !shmipc_load_relaxed(&l->inside)) {
		(void)shmipc_mutex_consistent(p, &l->writer);
		ret = 0;
	}
	err = drain(p, l, deadline_ns);
	if (err) {
		shmipc_mutex_hand_back(p, &l->writer);
		return err;
	}
	if (!ret)
		shmipc_store_relaxed(&l->inside, shmipc_lock_self(p));
	shmipc_compiler_barrier();
	return ret;
}

/* Would a writer that does not wait have to wait? */
static bool is_read(struct shmipc_peer *p, const struct shmipc_rwlock *l)
{
	const struct shmipc_lock_wait w = { .p = p };
	uint64_t owner;
	uint32_t at;

	for (at = 0; at < SHARES; at++) {
		owner = shmipc_lock_owner_of(shmipc_load_relaxed(&l->share[at]));
		if (owner && !shmipc_lock_gone(&w, owner, false))
			return true;
	}
	return false;
}

SHMIPC_EXPORT int shmipc_rwlock_write_lock(struct shmipc_peer *p, struct shmipc_rwlock *l,
					   uint64_t deadline_ns)
{
	int ret;

	if (!is_usable(p, l))
		return check(p, l, __func__);
	if (find_own(l, shmipc_lock_self(p)) != NONE)
		return -EDEADLK;
	if (!deadline_ns && is_read(p, l))
		return -EAGAIN;
	ret = shmipc_mutex_lock(p, &l->writer, deadline_ns);
	return ret && ret != -EOWNERDEAD ? ret : go_in(p, l, ret, deadline_ns);
}

/* A reader has found a dead writer. 0: look again; otherwise as shmipc_rwlock_write_lock(). */
static int instead(struct shmipc_peer *p, struct shmipc_rwlock *l, uint64_t deadline_ns)
{
	int ret = shmipc_mutex_lock(p, &l->writer, deadline_ns);

	if (ret == -EOWNERDEAD && shmipc_load_relaxed(&l->inside))
		return go_in(p, l, ret, deadline_ns);
	if (ret && ret != -EOWNERDEAD)
		return ret;
	/* They fail if a hostile peer has written there meanwhile: look again, too. */
	if (ret)
		(void)shmipc_mutex_consistent(p, &l->writer);
	(void)shmipc_mutex_unlock(p, &l->writer);
	return 0;
}

static __attribute__((noinline)) int read_slow(struct shmipc_peer *p, struct shmipc_rwlock *l,
					       uint64_t own, uint64_t deadline_ns)
{
	struct rwlock_wait r = { .w = { .p = p, .own = own }, .l = l };
	int at = find_own(l, own), ret = -EAGAIN;
	uint32_t rounds = 0;

	if (at != NONE)
		ret = again(l, (uint32_t)at, own);
	if (ret != -EAGAIN)
		return ret;
	do {
		ret = enter(&r.w);
		if (ret == -EAGAIN)
			ret = shmipc_lock_wait(&r.w, enter, deadline_ns);
		if (ret != -EOWNERDEAD)
			return ret;
		ret = instead(p, l, deadline_ns);
		if (ret)
			return ret;
	} while (rounds++ < ROUNDS || shmipc_now_ns() < deadline_ns);
	return deadline_ns ? -ETIMEDOUT : -EAGAIN;
}

SHMIPC_EXPORT int shmipc_rwlock_read_lock(struct shmipc_peer *p, struct shmipc_rwlock *l,
					  uint64_t deadline_ns)
{
	__u64 word = 0;
	uint64_t own;
	uint32_t at;

	if (!is_usable(p, l))
		return check(p, l, __func__);
	own = shmipc_lock_self(p);
	at = home_of(own);
	if (shmipc_unlikely(shmipc_rwlock_strays || shmipc_load_relaxed(&l->writer.word)))
		return read_slow(p, l, own, deadline_ns);
	/* rwlock.S2 -> rwlock.S3, rwlock.S3 <- rwlock.S2: the fence after it orders it. */
	if (shmipc_unlikely(!shmipc_cas_acq_rel(&l->share[at], &word, own)))
		return read_slow(p, l, own, deadline_ns);
	return may_read(p, l, at, own) ? 0 : read_slow(p, l, own, deadline_ns);
}

/* Giving it back */

static int unlock_writer(struct shmipc_peer *p, struct shmipc_rwlock *l)
{
	shmipc_compiler_barrier();
	/* Of what was not repaired, the name of the dead one stays. */
	if (!(shmipc_load_relaxed(&l->writer.word) & SHMIPC_LOCK_ORPHAN))
		shmipc_store_relaxed(&l->inside, (uint64_t)0);
	return shmipc_mutex_unlock(p, &l->writer);
}

SHMIPC_EXPORT int shmipc_rwlock_unlock(struct shmipc_peer *p, struct shmipc_rwlock *l)
{
	uint64_t own;
	int at, ret;

	if (!is_usable(p, l))
		return check(p, l, __func__);
	own = shmipc_lock_self(p);
	at = find_own(l, own);
	if (at == NONE)
		return shmipc_lock_owner_of(shmipc_load_relaxed(&l->writer.word)) == own ?
		       unlock_writer(p, l) : -EPERM;
	ret = leave(p, l, (uint32_t)at, own);
	if (shmipc_unlikely((uint32_t)at != home_of(own)) && !is_own(l, (uint32_t)at, own) &&
	    shmipc_rwlock_strays)
		shmipc_rwlock_strays--;
	return ret;
}

SHMIPC_EXPORT int shmipc_rwlock_consistent(struct shmipc_peer *p, struct shmipc_rwlock *l)
{
	int err = check(p, l, __func__);
	uint64_t word, own;

	if (err)
		return err;
	own = shmipc_lock_self(p);
	word = shmipc_load_relaxed(&l->writer.word);
	/* If we die after this we are the one that left it, and so it is after the other store. */
	if (shmipc_lock_owner_of(word) == own && word & SHMIPC_LOCK_ORPHAN)
		shmipc_store_relaxed(&l->inside, own);
	return shmipc_mutex_consistent(p, &l->writer);
}

SHMIPC_EXPORT int shmipc_rwlock_init(struct shmipc_rwlock *l)
{
	const struct shmipc_rwlock zero = { 0 };

	if (!l)
		return shmipc_null(__func__, "l");
	if ((uintptr_t)l % 8)
		return shmipc_fail(-EINVAL, "shmipc: %s(): %p is not aligned to 8 bytes (EINVAL)", __func__,
				   (void *)l);
	shmipc_racy_write(l, &zero, sizeof(*l));
	return 0;
}

/* Looking at it */

static void look_at_readers(struct shmipc_peer *p, const struct shmipc_rwlock *l,
			    struct shmipc_rwlock_info *info)
{
	const struct shmipc_lock_wait w = { .p = p };
	uint64_t owner;
	uint32_t at;

	for (at = 0; at < SHARES; at++) {
		owner = shmipc_lock_owner_of(shmipc_load_relaxed(&l->share[at]));
		if (!owner || shmipc_lock_gone(&w, owner, false))
			continue;
		if (info->readers++)
			continue;
		info->reader = shmipc_lock_owner_info(owner, shmipc_peer_pid(p, shmipc_lock_peer(owner)));
	}
}

SHMIPC_EXPORT int shmipc_rwlock_get_info(struct shmipc_peer *p, const struct shmipc_rwlock *l,
					 struct shmipc_rwlock_info *ret)
{
	struct shmipc_rwlock_info info = { .struct_bytes = sizeof(info) };
	struct shmipc_mutex_info m = SHMIPC_MUTEX_INFO();
	int err = check(p, l, __func__);

	if (!err && !ret)
		err = shmipc_null(__func__, "ret");
	if (!err)
		err = shmipc_sized_check(ret, sizeof(info), "read-write lock info");
	if (!err)
		err = shmipc_mutex_get_info(p, &l->writer, &m);
	if (err)
		return err;
	info.writer = m.owner;
	info.died = m.died;
	info.deaths = m.deaths;
	info.flags = m.flags;	/* they have the same values */
	if (m.owner.thread && !shmipc_load_relaxed(&l->inside))
		info.flags |= SHMIPC_RWLOCK_DRAINS;
	info.freed = shmipc_load_relaxed(&l->freed);
	look_at_readers(p, l, &info);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}
