// SPDX-License-Identifier: MIT
/* listener_expect.c - events that are expected once in each period */
#include <errno.h>
#include <stdlib.h>

#include "event/event.h"

uint64_t shmipc_expected_missed(const struct shmipc_listener *l, uint32_t event, uint64_t now_ns)
{
	const struct shmipc_expected *x = l->expects ? &l->expected[event] : NULL;

	if (!x || !x->period_ns || now_ns < x->due_ns)
		return 0;
	return 1 + (now_ns - x->due_ns) / x->period_ns;
}

void shmipc_expected_renew(struct shmipc_listener *l, uint32_t event, bool found, uint64_t now_ns)
{
	struct shmipc_expected *x = l->expects ? &l->expected[event] : NULL;

	if (!x || !x->period_ns)
		return;
	if (found)
		x->due_ns = shmipc_later(now_ns, x->period_ns);
	else	/* the periods follow each other without a gap */
		x->due_ns = shmipc_later(x->due_ns, x->period_ns *
					 shmipc_expected_missed(l, event, now_ns));
}

SHMIPC_EXPORT int shmipc_listener_expect(struct shmipc_listener *l, uint32_t event,
					 uint64_t period_ns)
{
	struct shmipc_expected *x;

	if (!l)
		return shmipc_null(__func__, "l");
	if (!l->live)
		return shmipc_dead(l->seg);
	if (event >= l->live)
		return shmipc_fail(-EINVAL, "shmipc: expect event %u of \"%s\": there are 0 to %u (EINVAL)",
				   event, l->seg->hdr.name, l->live - 1);
	if (!l->expected)
		l->expected = calloc(l->live, sizeof(*l->expected));
	if (!l->expected)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for expected events (ENOMEM)");
	x = &l->expected[event];
	if (period_ns && !x->period_ns)
		l->expects++;
	else if (!period_ns && x->period_ns)
		l->expects--;
	x->period_ns = period_ns;
	x->due_ns = shmipc_later(shmipc_now_ns(), period_ns);
	return 0;
}
