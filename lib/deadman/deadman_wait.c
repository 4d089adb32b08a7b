// SPDX-License-Identifier: MIT
/*
 * deadman_wait.c - waiting until a role is taken, or free
 *
 * All sleep on the word of the holder's slot, which changes when a holder comes, leaves or
 * dies; the kernel changes it at a death. See wait/waiter.h.
 */
#include <errno.h>

#include "deadman/deadman.h"

#define ROUNDS	64	/* without a look at the clock */

/* One call that waits. */
struct role_wait {
	struct shmipc_deadman *d;
	bool held;
	uint64_t term;
};

static bool is_so(const struct role_wait *w, bool sure)
{
	struct shmipc_deadman_now now = shmipc_deadman_now(w->d->seg, sure && !w->d->holds);

	if (w->held)
		return now.held;
	return !now.held || (w->term && now.term != w->term);
}

static bool role_ready(void *arg)
{
	return is_so(arg, false);
}

/* A death that no word shows: the caller looks again, and asks the kernel, too. */
static int role_settle(void *arg, bool sure)
{
	return sure && is_so(arg, true);
}

static bool role_look(void *arg, struct shmipc_wait_set *set)
{
	const struct role_wait *w = arg;
	struct shmipc_segment *seg = w->d->seg;
	const __u64 *word = shmipc_deadman_released(seg, 0);

	/* The backend sleeps on a word of the segment, and on a peer besides. */
	shmipc_watch_word(seg, set, shmipc_low32(word), *shmipc_low32(word));
	seg->be->watch_peer(seg, set, DEADMAN_SLOT);
	return !is_so(w, false);
}

static const struct shmipc_wait_ops role_ops = {
	.ready = role_ready,
	.settle = role_settle,
	.look = role_look,
};

int shmipc_deadman_wait(struct shmipc_deadman *d, bool held, uint64_t term, uint64_t deadline_ns)
{
	struct role_wait w = { d, held, term };
	uint32_t rounds = 0;
	int ret;

	while (!is_so(&w, true)) {
		/* One that takes and leaves all the time must not keep us here. */
		if (rounds++ > ROUNDS && shmipc_now_ns() >= deadline_ns)
			return deadline_ns ? -ETIMEDOUT : -EAGAIN;
		ret = shmipc_wait_one(&d->wait, &role_ops, &w, deadline_ns);
		if (ret)
			return (ret == -ETIMEDOUT || ret == -EAGAIN) && is_so(&w, true) ? 0 : ret;
	}
	return 0;
}

static int wait_for(struct shmipc_deadman *d, bool held, uint64_t term,
		    struct shmipc_deadman_info *ret, uint64_t deadline_ns)
{
	struct shmipc_deadman_info info;
	int err;

	if (!d->live)
		return shmipc_dead(d->seg);
	err = ret ? shmipc_sized_check(ret, sizeof(info), "deadman info") : 0;
	if (!held && !term)
		term = shmipc_deadman_now(d->seg, false).term;
	if (!err)
		err = shmipc_deadman_wait(d, held, term, deadline_ns);
	if (err || !ret)
		return err;
	shmipc_deadman_describe(d->seg, !d->holds, term, &info);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}

SHMIPC_EXPORT int shmipc_deadman_wait_taken(struct shmipc_deadman *d,
					    struct shmipc_deadman_info *ret, uint64_t deadline_ns)
{
	return d ? wait_for(d, true, 0, ret, deadline_ns) : shmipc_null(__func__, "d");
}

SHMIPC_EXPORT int shmipc_deadman_wait_released(struct shmipc_deadman *d, uint64_t term,
					       struct shmipc_deadman_info *ret, uint64_t deadline_ns)
{
	return d ? wait_for(d, false, term, ret, deadline_ns) : shmipc_null(__func__, "d");
}
