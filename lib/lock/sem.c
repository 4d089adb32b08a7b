// SPDX-License-Identifier: MIT
/*
 * sem.c - a semaphore, whose units may have owners
 *
 * A plain one is a number beside a flag: WAITERS, set by those that sleep, cleared by a post,
 * which wakes as many as it has posted. One that was woken sets it again when it takes a unit,
 * and wakes another one if there are more units.
 *
 * Of a robust one each unit is a word of its own, which names the peer that has it: one
 * compare-and-swap takes the unit and says whose it is, so what a dead peer had is given back
 * once. A waiter sets WAITERS and then looks at the units; a post gives units back and then
 * looks for WAITERS: at least one of them sees the other.
 */
#include <errno.h>

#include <shmipc/channel.h>

#include "lock/lock.h"

#define ONE	SHMIPC_SEM_ONE
#define UNITS	SHMIPC_SEM_UNITS
#define ROUNDS	64u	/* of a semaphore that changes all the time */
#define THREAD	(SHMIPC_LOCK_THREAD_MASK << SHMIPC_LOCK_THREAD_SHIFT)

/* One call. */
struct sem_wait {
	struct shmipc_peer *p;
	struct shmipc_sem *s;
	uint64_t own;
	uint64_t seen;		/* the word that it sleeps on */
	uint32_t units;		/* of a robust one; 0: it is a plain one */
	uint32_t naps;		/* sleeps in a row that were over without a wake */
	bool slept;
};

static int check(const struct shmipc_peer *p, const struct shmipc_sem *s, const char *function)
{
	return shmipc_lock_check(p, s, sizeof(*s), function);
}

static uint32_t units_of(const struct shmipc_sem *s)
{
	uint32_t n = shmipc_load_relaxed(&s->units);

	if (!(shmipc_load_relaxed(&s->flags) & SHMIPC_SEM_ROBUST))
		return 0;
	return n < UNITS ? n : UNITS;
}

static void wake(const struct sem_wait *w, uint32_t n)
{
	shmipc_wake_some(w->p->seg, w->p->end.slot, shmipc_low32(&w->s->word), 0, n);
}

/* Units with owners */

static bool has_gone(const struct sem_wait *w, uint64_t owner)
{
	return shmipc_peer_gone(w->p, shmipc_lock_peer(owner), false);
}

/* Is there a unit that can be taken? @dead: one that a dead peer has is enough. */
static bool is_any_free(const struct sem_wait *w, bool dead)
{
	uint64_t owner;
	uint32_t at;

	for (at = 0; at < w->units; at++) {
		owner = shmipc_lock_owner_of(shmipc_load_relaxed(&w->s->unit[at]));
		if (!owner || (dead && has_gone(w, owner)))
			return true;
	}
	return false;
}

/* Take a free unit, or one of a dead peer if there is none. */
static bool take_unit(const struct sem_wait *w)
{
	uint64_t owner;
	uint32_t i, at;
	__u64 word;

	for (i = 0; i < 2 * w->units; i++) {
		at = (w->p->end.slot + i) % w->units;
		word = shmipc_load_relaxed(&w->s->unit[at]);
		owner = shmipc_lock_owner_of(word);
		if (owner && (i < w->units || !has_gone(w, owner)))
			continue;
		/* sem.U1 <- sem.U0: what its last owner wrote. Of a dead one: peer.P0 <- peer.P1 */
		if (!shmipc_cas_acq_rel(&w->s->unit[at], &word, w->own))
			continue;
		if (owner)
			shmipc_add_relaxed(&w->s->freed, 1);
		return true;
	}
	return false;
}

/* Whichever thread of this process has taken it. */
static bool is_own(const struct sem_wait *w, uint64_t word)
{
	return word && !((word ^ w->own) & ~(THREAD | SHMIPC_LOCK_FLAGS));
}

static uint32_t held(const struct sem_wait *w)
{
	uint32_t at, n = 0;

	for (at = 0; at < w->units; at++)
		n += is_own(w, shmipc_load_relaxed(&w->s->unit[at]));
	return n;
}

/* Give up to @n units of ours back: how many. */
static uint32_t give_units(const struct sem_wait *w, uint32_t n)
{
	uint32_t at, given = 0;
	__u64 word;

	for (at = 0; at < w->units && given < n; at++) {
		word = shmipc_load_relaxed(&w->s->unit[at]);
		if (!is_own(w, word))
			continue;
		/* sem.U0 -> sem.U1: all that was done while it was held. */
		if (shmipc_cas_acq_rel(&w->s->unit[at], &word, (uint64_t)0))
			given++;
	}
	return given;
}

/* Say that some may sleep. The word with that. */
static uint64_t set_waiters(const struct sem_wait *w)
{
	__u64 word = shmipc_load_relaxed(&w->s->word);

	while (!(word & SHMIPC_SEM_WAITERS))
		/* sem.F0 -> sem.F1: a flag; the fence after it orders it. */
		if (shmipc_cas_acq_rel(&w->s->word, &word, word | SHMIPC_SEM_WAITERS))
			return word | SHMIPC_SEM_WAITERS;
	return word;
}

/* Taking one */

static bool take_number(const struct sem_wait *w)
{
	__u64 word = shmipc_load_relaxed(&w->s->word);

	do {
		if (!(word & SHMIPC_SEM_VALUE))
			return false;
		/* sem.U1 <- sem.U0: what was done before the post. */
	} while (!shmipc_cas_acq_rel(&w->s->word, &word, word - ONE));
	return true;
}

static bool is_positive(const struct sem_wait *w)
{
	return (shmipc_load_relaxed(&w->s->word) & SHMIPC_SEM_VALUE) != 0;
}

static bool take(const struct sem_wait *w)
{
	return w->units ? take_unit(w) : take_number(w);
}

static bool sem_ready(void *arg)
{
	const struct sem_wait *w = arg;

	return w->units ? is_any_free(w, false) : is_positive(w);
}

static int sem_settle(void *arg, bool sure)
{
	const struct sem_wait *w = arg;

	(void)sure;
	return w->units && is_any_free(w, true);
}

static uint64_t sem_want(void *arg)
{
	struct sem_wait *w = arg;

	w->seen = set_waiters(w);
	/* The number is in the word that we sleep on: it is that one which must be 0. */
	if (!w->units)
		return w->seen & SHMIPC_SEM_VALUE ? SHMIPC_WANT_AGAIN : SHMIPC_WANT_NOTHING;
	/* sem.D0 -> sem.D1, sem.D3 <- sem.D2: a post sees the flag, or we see its units. */
	shmipc_fence_seq_cst();
	return is_any_free(w, false) ? SHMIPC_WANT_AGAIN : SHMIPC_WANT_NOTHING;
}

static bool sem_look(void *arg, struct shmipc_wait_set *set)
{
	struct sem_wait *w = arg;

	shmipc_watch_word(w->p->seg, set, shmipc_low32(&w->s->word), (uint32_t)w->seen);
	set->exclusive = true;
	if (w->naps)
		(void)shmipc_lock_watch(w->p, set, 0, true);
	else
		set->until_ns = shmipc_later(shmipc_now_ns(), SHMIPC_LOCK_SHORT_NS);
	return shmipc_load_relaxed(&w->s->word) == w->seen;
}

static void sem_tell(void *arg, const uint32_t *word, int ret)
{
	struct sem_wait *w = arg;

	(void)word;
	if (ret > 0)
		return;
	w->slept = true;
	w->naps = ret == -ETIMEDOUT ? w->naps + 1 : 0;
}

static const struct shmipc_wait_ops sem_ops = {
	.ready = sem_ready,
	.settle = sem_settle,
	.want = sem_want,
	.look = sem_look,
	.tell = sem_tell,
};

/*
 * We have been woken, and the flag is cleared: those that slept beside us may still sleep. One of
 * them looks at the units by itself, after its own fence.
 */
static void pass_on(const struct sem_wait *w)
{
	(void)set_waiters(w);
	if (w->units || is_positive(w))
		wake(w, 1);
}

static int wait(struct sem_wait *w, uint64_t deadline_ns)
{
	struct shmipc_waiter waiter;
	uint32_t rounds = 0;
	bool got;
	int ret;

	shmipc_waiter_init(&waiter, w->p->spin_ns ? w->p->spin_ns : SHMIPC_SPIN_NEVER, NULL);
	do {
		ret = shmipc_wait_one(&waiter, &sem_ops, w, deadline_ns);
		if (ret == -ECONNRESET)
			return ret;
		if (ret == -EINTR)
			ret = 0;
		if (!ret && rounds++ >= ROUNDS && shmipc_now_ns() >= deadline_ns)
			ret = deadline_ns ? -ETIMEDOUT : -EAGAIN;
		got = take(w);
	} while (!ret && !got);
	if (w->slept)
		pass_on(w);
	return got ? 0 : ret;
}

SHMIPC_EXPORT int shmipc_sem_wait(struct shmipc_peer *p, struct shmipc_sem *s, uint64_t deadline_ns)
{
	struct sem_wait w = { .p = p, .s = s };
	int err = check(p, s, __func__);

	if (err)
		return err;
	w.own = shmipc_lock_self(p);
	w.units = units_of(s);
	return take(&w) ? 0 : wait(&w, deadline_ns);
}

/* Posting */

/* The flag is cleared, and the word another one, so that no sleep begins any more. */
static void wake_units(const struct sem_wait *w, uint32_t n)
{
	__u64 word;

	/* sem.D2 -> sem.D3, sem.D1 <- sem.D0: a waiter sees the units, or we see its flag. */
	shmipc_fence_after_update();
	word = shmipc_load_relaxed(&w->s->word);
	do {
		if (!(word & SHMIPC_SEM_WAITERS))
			return;
		/* sem.F1 <- sem.F0: a flag. */
	} while (!shmipc_cas_acq_rel(&w->s->word, &word,
				     ((word & ~SHMIPC_SEM_WAITERS) + ONE) & SHMIPC_SEM_VALUE));
	wake(w, n);
}

static int post_units(const struct sem_wait *w, uint32_t n)
{
	uint32_t given = held(w) < n ? 0 : give_units(w, n);

	if (given)
		wake_units(w, given);
	return given == n ? 0 : -EPERM;
}

static int post_number(const struct sem_wait *w, uint32_t n)
{
	__u64 word = shmipc_load_relaxed(&w->s->word);
	uint64_t value;

	do {
		value = (word & SHMIPC_SEM_VALUE) / ONE;
		if (n > SHMIPC_SEM_MAX - value)
			return -EOVERFLOW;
		/* sem.U0 -> sem.U1: all that was done before. */
	} while (!shmipc_cas_acq_rel(&w->s->word, &word, (value + n) * ONE));
	if (word & SHMIPC_SEM_WAITERS)
		wake(w, n);
	return 0;
}

SHMIPC_EXPORT int shmipc_sem_post(struct shmipc_peer *p, struct shmipc_sem *s, uint32_t n)
{
	struct sem_wait w = { .p = p, .s = s };
	int err = check(p, s, __func__);

	if (err)
		return err;
	if (!n)
		return shmipc_fail(-EINVAL, "shmipc: %s(): 0 units (EINVAL)", __func__);
	w.own = shmipc_lock_self(p);
	w.units = units_of(s);
	return w.units ? post_units(&w, n) : post_number(&w, n);
}

SHMIPC_EXPORT int shmipc_sem_init(struct shmipc_sem *s, uint32_t value, uint32_t flags)
{
	const uint32_t most = flags & SHMIPC_SEM_ROBUST ? SHMIPC_SEM_UNITS : SHMIPC_SEM_MAX;
	struct shmipc_sem to = { .flags = flags };

	if (!s)
		return shmipc_null(__func__, "s");
	if ((uintptr_t)s % 8)
		return shmipc_fail(-EINVAL, "shmipc: %s(): %p is not aligned to 8 bytes (EINVAL)", __func__,
				   (void *)s);
	if (flags & ~SHMIPC_SEM_ROBUST)
		return shmipc_fail(-EINVAL, "shmipc: %s(): unknown flags %#x (EINVAL)", __func__, flags);
	if (value > most || (flags && !value))
		return shmipc_fail(-EINVAL, "shmipc: %s(): %u units, expected %u..%u (EINVAL)", __func__,
				   value, flags ? 1 : 0, most);
	if (flags)
		to.units = value;
	else
		to.word = value * ONE;
	shmipc_racy_write(s, &to, sizeof(*s));
	return 0;
}

/* Looking at it */

static void look_at_units(const struct sem_wait *w, struct shmipc_sem_info *info)
{
	uint64_t owner;
	uint32_t at;

	for (at = 0; at < w->units; at++) {
		owner = shmipc_lock_owner_of(shmipc_load_relaxed(&w->s->unit[at]));
		if (!owner || has_gone(w, owner)) {
			info->value++;
			continue;
		}
		info->held += is_own(w, owner);
		info->holder = shmipc_lock_owner_info(owner, shmipc_peer_pid(w->p, shmipc_lock_peer(owner)));
	}
}

SHMIPC_EXPORT int shmipc_sem_get_info(struct shmipc_peer *p, const struct shmipc_sem *s,
				      struct shmipc_sem_info *ret)
{
	struct shmipc_sem_info info = { .struct_bytes = sizeof(info) };
	struct sem_wait w = { .p = p, .s = (struct shmipc_sem *)(uintptr_t)s };
	int err = check(p, s, __func__);
	uint64_t word;

	if (!err && !ret)
		err = shmipc_null(__func__, "ret");
	if (!err)
		err = shmipc_sized_check(ret, sizeof(info), "semaphore info");
	if (err)
		return err;
	w.own = shmipc_lock_self(p);
	w.units = units_of(s);
	word = shmipc_load_relaxed(&s->word);
	info.flags = word & SHMIPC_SEM_WAITERS ? SHMIPC_SEM_WAITED_FOR : 0;
	info.units = w.units;
	info.freed = shmipc_load_relaxed(&s->freed);
	if (w.units)
		look_at_units(&w, &info);
	else
		info.value = (uint32_t)((word & SHMIPC_SEM_VALUE) / ONE);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}
