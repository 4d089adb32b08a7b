// SPDX-License-Identifier: MIT
/*
 * barrier.c - a barrier: threads wait until as many have come as it is for
 *
 * A thread that comes puts its name into the first free place, with the number of the round. So
 * the one that has the last place has seen that all others are taken, and begins the next
 * round in the word, on which the others sleep. If it dies before, another one that the death
 * wakes sees the same, and does it.
 *
 * If one that waits dies, or gives up, the word says so, and all that wait, or come later,
 * return. A compare-and-swap of the word decides which came first, that or the last thread.
 */
#include <errno.h>

#include <shmipc/channel.h>

#include "lock/lock.h"

#define BROKEN	(SHMIPC_BARRIER_DIED | SHMIPC_BARRIER_LATE)
#define PLACES	SHMIPC_BARRIER_PLACES

/* One call. */
struct barrier_wait {
	struct shmipc_peer *p;
	struct shmipc_barrier *b;
	uint64_t seen;		/* the word: this round */
	uint32_t count;		/* threads that it is for */
	uint32_t naps;		/* sleeps in a row that were over without a wake */
	bool serial;		/* it has ended the round */
};

static int check(const struct shmipc_peer *p, const struct shmipc_barrier *b, const char *function)
{
	return shmipc_lock_check(p, b, sizeof(*b), function);
}

/* Of the round in @word, in the places that are taken in it. */
static uint64_t mark_of(uint64_t word)
{
	return word / SHMIPC_BARRIER_ROUND & SHMIPC_LOCK_FLAGS;
}

/* Is this place taken in this round? */
static bool is_taken(const struct barrier_wait *w, uint64_t place)
{
	return shmipc_lock_owner_of(place) && (place & SHMIPC_LOCK_FLAGS) == mark_of(w->seen);
}

static uint32_t arrived(const struct barrier_wait *w)
{
	uint32_t at, n = 0;

	/* barrier.A1 <- barrier.A0: all that was done before they came. */
	for (at = 0; at < w->count; at++)
		n += is_taken(w, shmipc_load_acquire(&w->b->place[at]));
	return n;
}

/* End the round. @to: the next one, or broken. False: another one has. */
static bool end_round(const struct barrier_wait *w, uint64_t to)
{
	__u64 word = w->seen;

	/* barrier.R0 -> barrier.R1: what all have done before they came. */
	if (!shmipc_cas_acq_rel(&w->b->word, &word, to))
		return false;
	shmipc_wake_some(w->p->seg, w->p->end.slot, shmipc_low32(&w->b->word), 0, 0);
	return true;
}

static uint64_t next_round(const struct barrier_wait *w)
{
	return (w->seen + SHMIPC_BARRIER_ROUND) & SHMIPC_BARRIER_ROUNDS;
}

static bool barrier_ready(void *arg)
{
	const struct barrier_wait *w = arg;

	return shmipc_load_relaxed(&w->b->word) != w->seen;
}

/* Are all there, or is one of them dead? */
static int barrier_settle(void *arg, bool sure)
{
	struct barrier_wait *w = arg;
	uint64_t place;
	uint32_t at;

	if (arrived(w) == w->count) {
		w->serial = end_round(w, next_round(w));
		return 1;
	}
	for (at = 0; at < w->count; at++) {
		place = shmipc_load_relaxed(&w->b->place[at]);
		if (!is_taken(w, place) || !shmipc_peer_gone(w->p, shmipc_lock_peer(place), sure))
			continue;
		(void)end_round(w, w->seen | SHMIPC_BARRIER_DIED);
		return 1;
	}
	return 0;
}

static bool barrier_look(void *arg, struct shmipc_wait_set *set)
{
	struct barrier_wait *w = arg;

	shmipc_watch_word(w->p->seg, set, shmipc_low32(&w->b->word), (uint32_t)w->seen);
	if (w->naps)
		(void)shmipc_lock_watch(w->p, set, 0, true);
	else
		set->until_ns = shmipc_later(shmipc_now_ns(), SHMIPC_LOCK_SHORT_NS);
	return !barrier_ready(arg);
}

static void barrier_tell(void *arg, const uint32_t *word, int ret)
{
	struct barrier_wait *w = arg;

	(void)word;
	if (ret <= 0)
		w->naps = ret == -ETIMEDOUT ? w->naps + 1 : 0;
}

static const struct shmipc_wait_ops barrier_ops = {
	.ready = barrier_ready,
	.settle = barrier_settle,
	.look = barrier_look,
	.tell = barrier_tell,
};

/* What a word that is not this round means. */
static int outcome(uint64_t word)
{
	return word & SHMIPC_BARRIER_DIED ? -EOWNERDEAD : word & SHMIPC_BARRIER_LATE ? -ECANCELED : 0;
}

/* Take a place. False: there is none. */
static bool come(const struct barrier_wait *w, uint64_t own)
{
	uint32_t at;
	__u64 word;

	for (at = 0; at < w->count; at++) {
		word = shmipc_load_relaxed(&w->b->place[at]);
		if (is_taken(w, word))
			continue;
		/* barrier.A0 -> barrier.A1: all that was done before. */
		if (shmipc_cas_acq_rel(&w->b->place[at], &word, own | mark_of(w->seen)))
			return true;
	}
	return false;
}

/* Until the round is over. */
static int wait(struct barrier_wait *w, uint64_t deadline_ns)
{
	struct shmipc_waiter waiter;
	uint64_t word;
	int ret;

	shmipc_waiter_init(&waiter, w->p->spin_ns ? w->p->spin_ns : SHMIPC_SPIN_NEVER, NULL);
	while (!barrier_ready(w)) {
		ret = shmipc_wait_one(&waiter, &barrier_ops, w, deadline_ns);
		if (ret == -ECONNRESET)
			return ret;
		if (ret && ret != -EINTR && end_round(w, w->seen | SHMIPC_BARRIER_LATE))
			return -ETIMEDOUT;
	}
	/* barrier.R1 <- barrier.R0: what the others have done before they came. */
	word = shmipc_load_acquire(&w->b->word);
	/* If we are late, the next round may be broken by now, but not ours. */
	return (word ^ w->seen) & SHMIPC_BARRIER_ROUNDS ? w->serial : outcome(word);
}

SHMIPC_EXPORT int shmipc_barrier_wait(struct shmipc_peer *p, struct shmipc_barrier *b,
				      uint64_t deadline_ns)
{
	struct barrier_wait w = { .p = p, .b = b };
	int err = check(p, b, __func__);

	if (err)
		return err;
	w.count = shmipc_load_relaxed(&b->count);
	if (!w.count || w.count > PLACES)
		return shmipc_fail(-EINVAL, "shmipc: %s(): it is for %u threads, expected 1..%u (EINVAL); initialise it",
				   __func__, w.count, PLACES);
	w.seen = shmipc_load_relaxed(&b->word);
	if (w.seen & BROKEN)
		return outcome(w.seen);
	if (!deadline_ns && arrived(&w) + 1 < w.count)
		return -EAGAIN;
	if (!come(&w, shmipc_lock_self(p)))
		return shmipc_fail(-EBUSY, "shmipc: %s(): it is for %u threads, and so many wait (EBUSY)",
				   __func__, w.count);
	return wait(&w, deadline_ns);
}

SHMIPC_EXPORT int shmipc_barrier_init(struct shmipc_barrier *b, uint32_t count)
{
	const struct shmipc_barrier to = { .count = count };

	if (!b)
		return shmipc_null(__func__, "b");
	if ((uintptr_t)b % 8)
		return shmipc_fail(-EINVAL, "shmipc: %s(): %p is not aligned to 8 bytes (EINVAL)", __func__,
				   (void *)b);
	if (!count || count > PLACES)
		return shmipc_fail(-EINVAL, "shmipc: %s(): %u threads, expected 1..%u (EINVAL)", __func__,
				   count, PLACES);
	shmipc_racy_write(b, &to, sizeof(*b));
	return 0;
}

/* Looking at it */

SHMIPC_EXPORT int shmipc_barrier_get_info(struct shmipc_peer *p, const struct shmipc_barrier *b,
					  struct shmipc_barrier_info *ret)
{
	struct barrier_wait w = { .p = p, .b = (struct shmipc_barrier *)(uintptr_t)b };
	struct shmipc_barrier_info info = { .struct_bytes = sizeof(info) };
	int err = check(p, b, __func__);

	if (!err && !ret)
		err = shmipc_null(__func__, "ret");
	if (!err)
		err = shmipc_sized_check(ret, sizeof(info), "barrier info");
	if (err)
		return err;
	w.count = shmipc_load_relaxed(&b->count);
	w.count = w.count < PLACES ? w.count : PLACES;
	w.seen = shmipc_load_relaxed(&b->word);
	info.count = w.count;
	info.arrived = arrived(&w);
	info.round = (uint32_t)(w.seen / SHMIPC_BARRIER_ROUND);
	info.broken = outcome(w.seen);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}
