/* SPDX-License-Identifier: MIT */
/*
 * waiter.h - the one way to wait: look, spin, sleep, for one thing or for any of many
 *
 * A noun (a channel, a subscriber, a lock) describes what it waits for by a few
 * functions; the waiter knows neither nouns nor backends. It uses them as follows:
 *
 *   ready     checked while it spins, with the number of pauses between the checks that
 *             suits the two CPUs (cadence.h)
 *   settle    is a dead peer in the way? Called before each sleep, and after each tick,
 *             then asking the kernel
 *   want      announce in shared memory that we are going to sleep
 *             ... the expensive half of the asymmetric fence ...
 *   look      check once more; list the words to sleep on, and the peers that may die meanwhile
 *   sleep     until one of those words changes, or until the deadline
 *
 * The side that makes it ready does the opposite: it changes the word, executes the cheap
 * half of the fence, reads want, and wakes. So either the sleeper sees the change or the
 * other side sees the want. See shmipc_waiter(7).
 *
 * A sleep has no end but the deadline if every wake is certain. If one may be missed, the
 * noun or its backend asks for a tick, see enum shmipc_tick.
 */
#ifndef SHMIPC_LIB_WAITER_H
#define SHMIPC_LIB_WAITER_H

#include <linux/types.h>

#include "wait/cadence.h"
#include "wait/wait.h"

/*
 * How long a sleep may last before the waiter checks by itself, and asks the kernel for
 * dead peers. Each tick of a wait is twice as long as the one before, up to a limit.
 */
enum shmipc_tick {
	SHMIPC_TICK_NONE = 0,	/* each wake is certain (10 min, to be safe) */
	SHMIPC_TICK_GUARD,	/* a process of another user may lie about its death: 50 ms to 100 s */
	SHMIPC_TICK_ROOM,	/* more was asked for than is needed, by us or others: 1 to 128 ms */
	SHMIPC_TICK_UNSURE,	/* a death that no word shows: 2 to 64 ms */
	SHMIPC_TICK_POLL,	/* no peer wakes us: 1 to 16 ms */
};

/* The words that a sleeper sleeps on. Filled by shmipc_wait_ops.look. */
struct shmipc_wait_set {
	struct shmipc_word *w;
	size_t n;
	size_t max;
	int err;		/* -ENOMEM, -EINVAL: the sleep fails with it */
	enum shmipc_tick tick;	/* the highest that was asked for */
	bool exclusive;		/* one thing for one sleeper: it can be woken alone */
	uint64_t until_ns;	/* check again then: neither a tick nor a deadline */
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

/* Sleep by @sleep; all words of a set must use the same function. */
void shmipc_wait_set_by(struct shmipc_wait_set *set,
			int (*sleep)(struct shmipc_wait_set *set, uint64_t until_ns));

#define SHMIPC_WANT_AGAIN	UINT64_C(0)	/* look again instead of sleeping */
#define SHMIPC_WANT_NOTHING	UINT64_MAX	/* nothing was announced: no fence is needed */

/**
 * struct shmipc_wait_ops - functions by which a noun describes what it waits for
 * @ready:  is it there? Changes nothing
 * @poll:   a word that changes when it is there, and its value until then; it is read most
 *          often while spinning. NULL: @ready instead
 * @settle: is a dead peer in the way? @sure: ask the kernel, too. 0: no; 1: something was
 *          done about it, look again; -errno: the wait returns this. NULL: never
 * @want:   announce what must happen to wake us; its number, or SHMIPC_WANT_*.
 *          NULL: nothing
 * @look:   after the fence: add the words to sleep on to @set. false: look again
 * @tell:   called around each sleep: before it with @ret 1, after it with its result;
 *          @word is the first one of @look. NULL: not called
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
