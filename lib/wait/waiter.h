/* SPDX-License-Identifier: MIT */
/*
 * waiter.h - the one way to wait: look, spin, sleep, for one thing or for any of many
 *
 * A noun (a channel, a subscriber, a lock) says by a few functions what it waits for;
 * the waiter knows no noun and no backend. What it does with them:
 *
 *   ready     looked at while it spins, with the pauses between the looks that suit the
 *             two CPUs (cadence.h)
 *   settle    is a dead peer in the way? Asked before each sleep, and after each tick
 *             with the kernel's word
 *   want      say in shared memory that we are going to sleep
 *             ... the expensive half of the asymmetric fence ...
 *   look      look once more; what we sleep on, and which peers may die meanwhile
 *   sleep     until one of those words changes, or until the deadline
 *
 * Whoever makes it ready does the opposite: it changes the word, runs the cheap half
 * of the fence, looks at want, and wakes. So either the sleeper sees the change or the
 * other side sees the want. See shmipc_waiter(7).
 *
 * A sleep has no end but the deadline where each wake is certain. Where one may be
 * missed the noun or its backend asks for a tick, see enum shmipc_tick.
 */
#ifndef SHMIPC_LIB_WAITER_H
#define SHMIPC_LIB_WAITER_H

#include "wait/cadence.h"
#include "wait/wait.h"

/*
 * How long a sleep may last before the waiter looks by itself, and asks the kernel for
 * the dead. Each tick of one wait is twice as long as the one before, up to a limit.
 */
enum shmipc_tick {
	SHMIPC_TICK_NONE = 0,	/* each wake is certain (10 min, for what nobody thought of) */
	SHMIPC_TICK_GUARD,	/* a process of another user may lie about its death: 50 ms to 100 s */
	SHMIPC_TICK_ROOM,	/* we asked for more than we need, or others did: 1 to 128 ms */
	SHMIPC_TICK_UNSURE,	/* a death that no word tells of: 2 to 64 ms */
	SHMIPC_TICK_POLL,	/* nobody wakes us: 1 to 16 ms */
};

/* What a sleeper sleeps on. Filled by shmipc_wait_ops.look. */
struct shmipc_wait_set {
	struct shmipc_word *w;
	size_t n;
	size_t max;
	int err;		/* -ENOMEM, -EINVAL: the sleep fails with it */
	enum shmipc_tick tick;	/* the highest that was asked for */
	uint64_t until_ns;	/* look again then: no tick, and no deadline */
	/* Of the backend. 0: look again; -ETIMEDOUT; -EINTR; -errno */
	int (*sleep)(struct shmipc_wait_set *set, uint64_t until_ns);
	struct shmipc_word few[SHMIPC_WORDS_MAX];
};

void shmipc_wait_set_add(struct shmipc_wait_set *set, struct shmipc_word w);

static inline void shmipc_wait_set_tick(struct shmipc_wait_set *set, enum shmipc_tick tick)
{
	if (set->tick < tick)
		set->tick = tick;
}

/* Sleep by @sleep; all words of a set are of one way to sleep. */
void shmipc_wait_set_by(struct shmipc_wait_set *set,
			int (*sleep)(struct shmipc_wait_set *set, uint64_t until_ns));

#define SHMIPC_WANT_AGAIN	UINT64_C(0)	/* look again instead of sleeping */
#define SHMIPC_WANT_NOTHING	UINT64_MAX	/* nothing was said: no fence is needed */

/**
 * struct shmipc_wait_ops - what a noun tells the waiter
 * @ready:  is it there? Looks only
 * @poll:   a word that changes when it is there, and the value that it has until then;
 *          what is looked at most often while spinning. NULL: @ready instead
 * @settle: are the dead in the way? @sure: ask the kernel, too. 0: no; 1: something was
 *          done about it, look again; -errno: what the wait returns. NULL: never
 * @want:   say what would have to happen to wake us; its number, or SHMIPC_WANT_*.
 *          NULL: nothing
 * @look:   behind the fence: add what we sleep on to @set. false: look again
 * @tell:   around each sleep: before it with @ret 1, after it with what it returned;
 *          @word is the first of @look. NULL: nobody is told
 * @patient: it takes long: do not spin
 */
struct shmipc_wait_ops {
	bool (*ready)(void *arg);
	const __u64 *(*poll)(void *arg, uint64_t *ret_val);
	int (*settle)(void *arg, bool sure);
	uint64_t (*want)(void *arg);
	bool (*look)(void *arg, struct shmipc_wait_set *set);
	void (*tell)(void *arg, const uint32_t *word, int ret);
	bool patient;
};

/* One of the things that are waited for. */
struct shmipc_wait_item {
	const struct shmipc_wait_ops *ops;
	void *arg;
};

/* What an end keeps from one wait to the next. Private memory, one thread at a time. */
struct shmipc_waiter {
	uint64_t spin_ns;		/* before the first sleep; 0: none */
	const uint64_t *taken;		/* messages that it received; NULL: it receives none */
	uint64_t sleeps;
	uint64_t ticks;			/* sleeps that ended because a tick was over */
	struct shmipc_cadence cadence;
	/* the reader of a stream waits a moment before it looks */
	uint64_t gather_taken;
	uint32_t gather_every;		/* waits between two trials */
	uint32_t gather_in;		/* waits until the next one */
	bool gathering;
};

/*
 * @spin_ns as users give it: 0 is the default, UINT64_MAX never (SHMIPC_SPIN_NEVER),
 * UINT64_MAX - 1 always (SHMIPC_SPIN_ALWAYS).
 */
void shmipc_waiter_init(struct shmipc_waiter *w, uint64_t spin_ns, const uint64_t *taken);

/**
 * shmipc_wait_one - wait until it may be there
 * @w:           of the caller's end
 * @ops:         what it waits for, which the caller has just looked at in vain
 * @arg:         for @ops
 * @deadline_ns: absolute, CLOCK_MONOTONIC; 0: do not wait; UINT64_MAX: no end
 *
 * Return: 0: look again; -EAGAIN; -ETIMEDOUT; -EINTR; what settle returned.
 */
int shmipc_wait_one(struct shmipc_waiter *w, const struct shmipc_wait_ops *ops, void *arg,
		    uint64_t deadline_ns);

/**
 * shmipc_wait_any - wait until any of several is there
 * @w:           counts the spinning and the sleeping
 * @item:        what is waited for
 * @n:           how many; at least 1
 * @from:        the search for one that is ready begins here
 * @ret_first:   which one is ready
 * @deadline_ns: as above
 *
 * Return: 0; -EAGAIN; -ETIMEDOUT; -EINTR; -ENOMEM; what settle returned.
 */
int shmipc_wait_any(struct shmipc_waiter *w, const struct shmipc_wait_item *item, size_t n,
		    size_t from, size_t *ret_first, uint64_t deadline_ns);

#endif /* SHMIPC_LIB_WAITER_H */
