/* SPDX-License-Identifier: MIT */
/*
 * model_lock.h - what the locks need of the library, for the programs that model them
 *
 * Each thread is a peer of its own. A short sleep ends by itself, so here it is over at once; a
 * long one ends by a wake of its word, or by a death that it has not seen yet. A deadline may
 * pass while its thread sleeps, or just after it was woken. A wake for one may be for any of
 * the sleepers.
 */
#ifndef MODEL_LOCK_H
#define MODEL_LOCK_H

#include <errno.h>
#include <stdlib.h>

#include "lock/lock.h"
#include "model.h"

#define LONG_NS		UINT64_C(1000000000)	/* a sleep longer than this ends by an event */
#define DEADLINE_NS	UINT64_C(500000000000)	/* of those that give up */
#define EVERYBODY	(~0u)
#define MOST		4

static struct shmipc_peer peer[MOST];
static int thread[MOST], threads;	/* of a peer; how many */
static uint64_t clock_ns[MODEL_THREADS];
/* Of the one that is about to sleep: the threads that it watches, and how many of them died. */
static unsigned watched;
static int deaths_seen;

_Thread_local uint32_t shmipc_thread_number_known = 1;

uint32_t shmipc_thread_number_new(void)
{
	return 1;
}

uint64_t shmipc_now_ns(void)
{
	return clock_ns[model_self()];
}

int shmipc_fail(int err, const char *fmt, ...)
{
	(void)fmt;
	return err;
}

int shmipc_null(const char *function, const char *args)
{
	(void)function;
	(void)args;
	return -EINVAL;
}

int shmipc_sized_check(const void *user, size_t ours, const char *what)
{
	(void)user;
	(void)ours;
	(void)what;
	return 0;
}

void shmipc_sized_write(void *user, const void *from, size_t ours)
{
	memcpy(user, from, ours);
}

bool shmipc_barrier_heavy(void)
{
	model_fail("nothing here needs a fence");
}

bool shmipc_peer_gone(const struct shmipc_peer *p, struct shmipc_peer_name name, bool sure)
{
	(void)sure;
	if (name.slot >= (uint32_t)threads)
		return true;
	if (name.slot == p->end.slot || model_state(thread[name.slot]) != MODEL_DIED)
		return false;
	/* peer.P0 <- peer.P1: as the kernel tells of a death. */
	model_join(thread[name.slot]);
	return true;
}

uint32_t shmipc_peer_pid(const struct shmipc_peer *p, struct shmipc_peer_name name)
{
	(void)p;
	return name.slot + 1;
}

bool shmipc_lock_watch(const struct shmipc_peer *p, struct shmipc_wait_set *set, uint64_t word,
		       bool all)
{
	uint32_t slot = shmipc_lock_peer(word).slot;
	int i;

	(void)p;
	(void)set;
	/* peer.P0 <- peer.P1: what those wrote that are seen to have gone. */
	for (i = 0; all && i < threads; i++)
		if (model_state(thread[i]) == MODEL_DIED)
			(void)model_join(thread[i]);
	/* The slots are read here; a death after this ends the sleep. */
	watched = all ? EVERYBODY : slot < (uint32_t)threads ? 1u << thread[slot] : 0;
	deaths_seen = model_deaths(watched);
	return true;
}

static int sleep_on(struct shmipc_wait_set *set, uint64_t until_ns)
{
	int ret, seen = deaths_seen, late = 0;
	unsigned mask = watched;

	if (until_ns < LONG_NS)
		return -ETIMEDOUT;
	if (until_ns == DEADLINE_NS)
		late = model_choose(model_deep ? 3 : 2) + !model_deep;
	/* 0, 1: woken; 2: not. 1, 2: and then it is too late. Without model_deep: 1 or 2. */
	ret = late == 2 ? -ETIMEDOUT : 0;
	if (!ret)
		(void)model_futex_wait_deaths(set->w->word, set->w->val, mask, seen);
	if (late)
		clock_ns[model_self()] = DEADLINE_NS;
	return ret;
}

void shmipc_watch_word(struct shmipc_segment *seg, struct shmipc_wait_set *set,
		       const uint32_t *word, uint32_t val)
{
	(void)seg;
	watched = 0;
	deaths_seen = 0;
	shmipc_wait_set_by(set, sleep_on);
	shmipc_wait_set_add(set, (struct shmipc_word){ .word = word, .val = val });
}

void shmipc_wake_some(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word,
		      uint64_t seq, uint32_t n)
{
	(void)seg;
	(void)slot;
	(void)seq;
	if (n)
		model_futex_wake_one(word);
	else
		model_futex_wake(word);
}

int shmipc_lock_check(const struct shmipc_peer *p, const void *at, size_t bytes,
		      const char *function)
{
	(void)p;
	(void)at;
	(void)bytes;
	(void)function;
	return 0;
}

/* Before each execution. @at: the lock. */
static void reset_peers(void *at)
{
	int i;

	threads = 0;
	for (i = 0; i < MODEL_THREADS; i++)
		clock_ns[i] = 1;
	for (i = 0; i < MOST; i++)
		peer[i] = (struct shmipc_peer){ .end.slot = (uint32_t)i, .live = 1, .pid = (uint32_t)i + 1,
						.generation = 1, .data = at, .data_bytes = 4096 };
}

#endif /* MODEL_LOCK_H */
