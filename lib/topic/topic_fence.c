// SPDX-License-Identifier: MIT
/*
 * topic_fence.c - a publisher that is stopped in the middle of publishing for longer than the
 * topic allows is cut off (fence_ns)
 *
 * An end that it delays does that, by its own clock, if it may: see shmipc_segment_fence().
 * For all others the publisher has died then, and what it had claimed is aborted as after any
 * death. An end that may not waits on; the next one may be allowed to.
 *
 * Its process usually ends by that, so more is asked than before a message is aborted
 * (topic_abort.c):
 *
 *   the same publisher must have had the same claim all the time. One whose tail was recalled
 *   announces, for a moment, a number that another one has got. Claims of a publisher only
 *   grow, so one that is there at two looks was there in between
 *
 *   the end must have run itself. If it was stopped together with the publisher (a container
 *   was frozen) its clock says nothing. So it looks twice, and the publisher must have had the
 *   time in between to go on
 */
#include <errno.h>

#include "topic/topic.h"

#define AGAIN_NS	UINT64_C(100000000)	/* if it could not be cut off */
#define RUNS_NS		UINT64_C(100000000)	/* at most: in which the publisher can go on */

static uint64_t generation_of(struct shmipc_segment *seg, uint32_t slot)
{
	/* peer.G1 <- peer.G0 */
	return shmipc_load_acquire(&shmipc_segment_slot(seg, slot)->generation);
}

/* Has that publisher had that claim since then? */
static bool is_same(const struct shmipc_topic_end *t, const struct shmipc_topic_suspect *s, uint64_t seq)
{
	/* Relaxed, also below: a wrong answer is corrected the next time. */
	return s->seq == seq + 1 && generation_of(t->seg, s->slot) == s->generation &&
	       shmipc_load_relaxed(&t->seg->log.pub_line[s->slot].claim) == s->claim;
}

/* The first living publisher whose line says that it has claimed @seq. */
static bool find(const struct shmipc_topic_end *t, uint64_t seq, uint64_t now,
		 struct shmipc_topic_suspect *ret)
{
	const struct shmipc_tlog *log = &t->seg->log;
	uint32_t slot, n = shmipc_priv_tlog_pubs(log);
	uint64_t generation, claim;

	for (slot = 0; slot < n; slot++) {
		generation = generation_of(t->seg, slot);
		claim = shmipc_load_relaxed(&log->pub_line[slot].claim);
		if (!shmipc_priv_tlog_covers(log, claim, seq) || !shmipc_topic_pub_alive(t->seg, slot))
			continue;
		*ret = (struct shmipc_topic_suspect){ .seq = seq + 1, .slot = slot, .claim = claim,
						      .generation = generation, .since_ns = now };
		return true;
	}
	return false;
}

/* When to look at it next; @now: its time is over. */
static uint64_t until_over(struct shmipc_topic_suspect *s, uint64_t limit_ns, uint64_t now)
{
	uint64_t runs_ns = limit_ns / 2 < RUNS_NS ? limit_ns / 2 : RUNS_NS;

	if (now - s->since_ns < limit_ns - runs_ns)
		return shmipc_later(s->since_ns, limit_ns - runs_ns);
	if (!s->warned_ns)
		s->warned_ns = now;
	return now - s->warned_ns < runs_ns ? s->warned_ns + runs_ns : now;
}

static void report(struct shmipc_topic_end *t, struct shmipc_topic_suspect *s, int err)
{
	t->fenced += !err;
	t->fence_err = err == -EPERM ? -EACCES : err;
	if (err && err == s->err)	/* said before */
		return;
	s->err = err;
	shmipc_probe_fence(t->seg, shmipc_topic_slot(t), s->slot, s->seq - 1, t->fence_err);
}

/* Return: it has gone. */
static bool cut_off(struct shmipc_topic_end *t, struct shmipc_topic_suspect *s, uint64_t now)
{
	struct shmipc_segment *seg = t->seg;
	uint32_t flags = 0;
	int err;

	/* Writes of the kernel on its behalf are awaited for the same time once more. */
	if (s->busy_ns && now - s->busy_ns >= seg->log.hdr.fence_ns)
		flags = SHMIPC_FENCE_PINNED;
	err = seg->be->fence(seg, s->slot, s->generation, flags, 0);
	if (err == -EBUSY && !s->busy_ns)
		s->busy_ns = now;
	if (err != -ESRCH && err != -EINTR)	/* else another end was first, or we try again */
		report(t, s, err);
	return !err || !shmipc_topic_pub_alive(seg, s->slot);
}

bool shmipc_topic_fence(struct shmipc_topic_end *t, uint64_t seq, uint64_t *until_ns)
{
	const struct shmipc_tlog *log = &t->seg->log;
	struct shmipc_topic_suspect *s = &t->suspect;
	uint64_t limit_ns = log->hdr.fence_ns, now = shmipc_now_ns(), until = shmipc_later(now, limit_ns);
	int stuck = shmipc_tlog_stuck(log, seq);
	bool tries;

	if (t->seg->read_only || !t->seg->be->fence)
		return false;
	if (stuck && (is_same(t, s, seq) || find(t, seq, now, s))) {
		until = until_over(s, limit_ns, now);
		if (until <= now) {
			/* No other process waits for what was claimed last. */
			if (stuck == 2 && s->err != -EPERM && cut_off(t, s, now))
				return true;
			tries = stuck == 2 && s->err != -EPERM;
			until = shmipc_later(now, tries && limit_ns > AGAIN_NS ? AGAIN_NS : limit_ns);
		}
	}
	if (*until_ns > until)
		*until_ns = until;
	return false;
}
