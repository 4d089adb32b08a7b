// SPDX-License-Identifier: MIT
/* notifier.c - the uncommon cases of a notification: waking, and refusing */
#include <errno.h>

#include "event/event.h"

/* Ring the bells of those that wait for several events, and for this one. */
static void ring_all(struct shmipc_notifier_priv *p, uint32_t event, uint64_t count)
{
	const struct shmipc_counts *c = &p->n.counts;
	uint32_t i, n = shmipc_counts_used(c);

	for (i = 0; i < n; i++) {
		if (!shmipc_counts_in_set(c, i, event))
			continue;
		/* One that was killed in its sleep needs no wake; the table says so for free. */
		if (p->seg->be->state(p->seg, c->notifiers + i, false) != SHMIPC_PEER_ATTACHED)
			continue;
		shmipc_counts_ring(c, i);
		shmipc_wake(p->seg, p->end.slot, shmipc_low32(&c->bell[i].rings), count);
	}
}

SHMIPC_EXPORT void shmipc_notifier_slow_wake(struct shmipc_notifier *n, uint32_t event, uint64_t old)
{
	struct shmipc_notifier_priv *p = notifier_priv(n);
	struct shmipc_event_want *want;
	const struct shmipc_counts *c;
	bool one, many;

	if (!n || event >= n->live)
		return;
	c = &n->counts;
	want = shmipc_counts_want_of(c, event);
	one = shmipc_counts_sleeps(c, event, &want->one, old);
	many = shmipc_counts_sleeps(c, event, &want->many, old);
	if (one)
		shmipc_wake(p->seg, p->end.slot, shmipc_low32(shmipc_counts_count(c, event)), old);
	if (many)
		ring_all(p, event, old);
	if (one || many)
		shmipc_add_relaxed(&c->notifier[p->end.slot].wakes, UINT64_C(1));
}

SHMIPC_EXPORT int shmipc_notifier_slow_refuse(const struct shmipc_notifier *n, uint32_t event)
{
	if (!n)
		return shmipc_null(__func__, "n");
	if (!n->live)
		return shmipc_dead(notifier_priv(n)->seg);
	return shmipc_fail(-EINVAL, "shmipc: notify event %u of \"%s\": there are 0 to %u (EINVAL)",
			   event, notifier_priv(n)->seg->hdr.name, n->live - 1);
}
