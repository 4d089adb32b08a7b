// SPDX-License-Identifier: MIT
/* sub_any.c - a subscriber that waits for any of several topics */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

#define ANY_MAX		65536u
#define ANY_TICK_NS	10000000u	/* a death that nobody was told of is found then */
#define ANY_SPIN_LOOKS	8

/* The first that is ready, from @from on; @n: none is. */
static size_t find_ready(struct shmipc_sub *const *subs, size_t n, size_t from)
{
	size_t i, at = from < n ? from : 0;

	for (i = 0; i < n; i++, at = at + 1 < n ? at + 1 : 0)
		if (shmipc_sub_ready(sub_priv(subs[at])))
			return at;
	return n;
}

/* Messages claimed by the dead are stepped over: then there may be something. */
static bool step_over_any(struct shmipc_sub *const *subs, size_t n)
{
	bool any = false;
	size_t i;

	for (i = 0; i < n; i++)
		if (shmipc_tlog_claimed(subs[i]->rx.log, shmipc_sub_awaited(sub_priv(subs[i]))))
			any |= shmipc_sub_step_over(sub_priv(subs[i]));
	return any;
}

static int check(struct shmipc_sub *const *subs, size_t n)
{
	const struct shmipc_backend *be;
	size_t i;

	if (!n || n > ANY_MAX)
		return shmipc_fail(-EINVAL, "shmipc: wait for any of %zu subscribers: 1 to %u (EINVAL)",
				   n, ANY_MAX);
	be = sub_priv(subs[0])->t.seg->be;
	for (i = 0; i < n; i++)
		if (!subs[i]->live || sub_priv(subs[i])->t.seg->be != be)
			return shmipc_fail(-EINVAL, "shmipc: wait for any: subscriber %zu was inherited through fork, or is of another backend than the first (EINVAL)",
					   i);
	return 0;
}

static bool spin(struct shmipc_sub *const *subs, size_t n, size_t from, size_t *ret,
		 uint64_t deadline_ns)
{
	uint64_t end = shmipc_now_ns() + sub_priv(subs[0])->t.spin_ns;
	int i;

	if (!sub_priv(subs[0])->t.spin_ns)
		return false;
	if (end > deadline_ns || end < sub_priv(subs[0])->t.spin_ns)
		end = deadline_ns;
	do {
		for (i = 0; i < ANY_SPIN_LOOKS; i++) {
			*ret = find_ready(subs, n, from);
			if (*ret < n)
				return true;
			shmipc_cpu_relax();
		}
	} while (shmipc_now_ns() < end);
	return false;
}

/* Say of all that we sleep, with one fence for all, then look again and sleep. */
static int sleep_once(struct shmipc_sub *const *subs, size_t n, struct shmipc_any *any,
		      uint64_t until_ns)
{
	size_t i;
	int ret;

	for (i = 0; i < n; i++)
		shmipc_sub_want(sub_priv(subs[i]));
	/* wait.W1 <- wait.W0: what we want is visible before we look again. */
	(void)shmipc_barrier_heavy();
	for (i = 0; i < n; i++) {
		any[i].seg = sub_priv(subs[i])->t.seg;
		if (!shmipc_sub_look(sub_priv(subs[i]), &any[i].w.word, &any[i].w.val))
			return 0;
		sub_priv(subs[i])->t.sleeps++;
	}
	for (i = 0; i < n && shmipc_probe_on(wait); i++)
		shmipc_sub_tell_wait(sub_priv(subs[i]), any[i].w.word);
	ret = any->seg->be->wait_any(any, n, until_ns);
	for (i = 0; i < n && shmipc_probe_on(wait_end); i++)
		shmipc_sub_tell_waited(sub_priv(subs[i]), any[i].w.word, ret);
	return ret;
}

SHMIPC_EXPORT int shmipc_sub_wait_any(struct shmipc_sub *const *subs, size_t n, size_t *ret_first,
				      uint64_t deadline_ns)
{
	static uint32_t turn;	/* where the search begins: fair enough, whoever races */
	size_t from = n ? shmipc_load_relaxed(&turn) % n : 0, at;
	struct shmipc_any *any = NULL;
	uint64_t now, until;
	int ret = check(subs, n);

	while (!ret) {
		at = find_ready(subs, n, from);
		if (at < n || (deadline_ns && spin(subs, n, from, &at, deadline_ns))) {
			*ret_first = at;
			shmipc_store_relaxed(&turn, (uint32_t)at + 1);
			break;
		}
		if (step_over_any(subs, n))
			continue;
		now = shmipc_now_ns();
		if (now >= deadline_ns) {
			ret = deadline_ns ? -ETIMEDOUT : -EAGAIN;
			break;
		}
		if (!any)
			any = calloc(n, sizeof(*any));
		if (!any) {
			ret = shmipc_fail(-ENOMEM, "shmipc: no memory to wait for %zu subscribers (ENOMEM)", n);
			break;
		}
		until = deadline_ns - now > ANY_TICK_NS ? now + ANY_TICK_NS : deadline_ns;
		ret = sleep_once(subs, n, any, until);
		if (ret == -ETIMEDOUT)
			ret = 0;
	}
	free(any);
	return ret;
}
