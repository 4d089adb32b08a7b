// SPDX-License-Identifier: MIT
/*
 * topic_abort.c - messages that are claimed and do not come: of dead publishers, and of
 * those that are stopped for longer than the topic allows (abort_ns; fence_ns: topic_fence.c)
 *
 * Any end measures how long a message is missing, by its own clock, see tlog_abort.h. The
 * time begins when the end first looks at the message. To abort it, an end must be able to
 * write publishers' lines. Where roles are enforced, a subscriber becomes a publisher for a
 * moment, on a handle of its own; it needs a free slot for that, and a read-only subscriber
 * leaves it to others.
 */
#include <errno.h>

#include "topic/topic.h"

#define AGAIN_NS	UINT64_C(100000000)	/* if it could not be aborted */

bool shmipc_topic_settle(struct shmipc_segment *seg, uint32_t me, uint32_t slot)
{
	const struct shmipc_tlog *log = &seg->log;
	uint64_t claim = shmipc_load_relaxed(&log->pub_line[slot].claim);
	struct shmipc_tlog_settled n;

	shmipc_tlog_settle(log, slot, shmipc_topic_pub_alive, seg, &n);
	if (!n.aborted && !n.committed)
		return false;
	if (n.aborted) {
		shmipc_add_relaxed(&log->pub->aborted, n.aborted);
		shmipc_probe_abort(seg, me, slot, claim >> SHMIPC_CLAIM_BITS, n.aborted);
	}
	shmipc_topic_wake(seg, me, claim >> SHMIPC_CLAIM_BITS, (uint32_t)(claim & log->claim_max));
	return true;
}

/* @seg: where we may write publishers' lines. */
static bool abort_in(struct shmipc_segment *seg, uint32_t me, uint64_t seq)
{
	const struct shmipc_tlog *log = &seg->log;
	uint32_t slot, n = shmipc_priv_tlog_pubs(log);
	bool done = false;

	(void)shmipc_tlog_abort(log, seq);
	for (slot = 0; slot < n; slot++)
		if (shmipc_priv_tlog_covers(log, shmipc_load_relaxed(&log->pub_line[slot].claim), seq))
			done |= shmipc_topic_settle(seg, me, slot);
	return done;
}

/* As a publisher, for a moment. */
static bool abort_as_publisher(struct shmipc_segment *from, uint64_t seq)
{
	struct shmipc_segment *seg;
	struct shmipc_end end = { .seg = NULL };
	bool done = false;

	if (shmipc_segment_dup(&seg, from))
		return false;
	if (!shmipc_end_take(&end, seg, SHMIPC_ROLE_PRODUCER)) {
		done = !shmipc_topic_memory_pub(seg) && abort_in(seg, end.slot, seq);
		shmipc_end_leave(&end);
	}
	shmipc_segment_close(seg);
	return done;
}

static bool abort_message(struct shmipc_topic_end *t, uint64_t seq)
{
	if (t->seg->read_only)
		return false;
	if (t->seg->be->caps & SHMIPC_CAP_ROLES && t->end.slot >= t->seg->log.hdr.pubs)
		return abort_as_publisher(t->seg, seq);
	return abort_in(t->seg, t->end.slot, seq);
}

bool shmipc_topic_stalled(struct shmipc_topic_end *t, uint64_t seq, uint64_t *until_ns)
{
	const struct shmipc_tlog *log = &t->seg->log;
	uint64_t limit_ns = log->hdr.abort_ns, now, until;
	int stuck;

	if (log->hdr.fence_ns)
		return shmipc_topic_fence(t, seq, until_ns);
	if (!limit_ns)
		return false;
	now = shmipc_now_ns();
	stuck = shmipc_tlog_stuck(log, seq);
	if (stuck && t->stall.seq != seq + 1)
		t->stall = (struct shmipc_topic_stall){ .seq = seq + 1, .since_ns = now };
	until = shmipc_later(now, limit_ns);
	if (stuck && now - t->stall.since_ns < limit_ns) {
		until -= now - t->stall.since_ns;
	} else if (stuck == 2) {
		if (abort_message(t, seq))
			return true;
		if (until > now + AGAIN_NS)
			until = now + AGAIN_NS;
	}
	if (*until_ns > until)
		*until_ns = until;
	return false;
}
