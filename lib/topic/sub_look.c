// SPDX-License-Identifier: MIT
/* sub_look.c - what a subscriber has done, and what it could still read */
#include <errno.h>

#include "topic/topic.h"

SHMIPC_EXPORT int shmipc_sub_range(const struct shmipc_sub *sub, uint64_t *ret_oldest,
				   uint64_t *ret_next)
{
	if (!sub || !ret_oldest || !ret_next)
		return shmipc_null(__func__, "sub, ret_oldest or ret_next");
	if (!sub->live)
		return shmipc_dead(sub_priv(sub)->t.seg);
	(void)shmipc_sub_move(sub_priv(sub));
	/* tlog.Z1 <- tlog.Z0, tlog.A0 <- tlog.R0 */
	*ret_oldest = shmipc_load_acquire(&sub->rx.pub->floor);
	*ret_next = shmipc_tlog_tail(sub->rx.log);
	return 0;
}

SHMIPC_EXPORT int shmipc_sub_get_stat(const struct shmipc_sub *sub, struct shmipc_sub_stat *ret)
{
	const struct shmipc_sub_priv *s = sub_priv(sub);
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };
	uint64_t tail;
	uint32_t i;
	int err;

	if (!sub || !ret)
		return shmipc_null(__func__, "sub or ret");
	err = shmipc_sized_check(ret, sizeof(st), "subscriber stat");
	if (err || !sub->live)
		return -EINVAL;
	tail = shmipc_tlog_tail(sub->rx.log);
	st.next = sub->rx.seq;
	st.received = sub->rx.received;
	st.lost = sub->rx.lost;
	st.aborted = sub->rx.aborted;
	st.skipped = s->skipped;
	st.backlog = tail > sub->rx.seq ? tail - sub->rx.seq : 0;
	st.sleeps = s->t.wait.sleeps;
	st.ticks = s->t.wait.ticks;
	st.pauses = s->t.wait.cadence.pauses;
	st.policy = s->policy;
	st.meta = s->t.seg->log.hdr.meta;
	st.fenced = s->t.fenced;
	st.fence_err = s->t.fence_err;
	for (i = 0; i < s->nholds; i++)
		st.holds += s->hold[i].used;
	shmipc_sized_write(ret, &st, sizeof(st));
	return 0;
}

SHMIPC_EXPORT int shmipc_sub_get_info(const struct shmipc_sub *sub, struct shmipc_segment_info *ret)
{
	if (!sub || !ret)
		return shmipc_null(__func__, "sub or ret");
	return shmipc_segment_get_info(sub_priv(sub)->t.seg, ret);
}
