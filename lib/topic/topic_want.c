// SPDX-License-Identifier: MIT
/*
 * topic_want.c - the messages for which subscribers sleep
 *
 * A subscriber that is about to sleep writes the number of its message into its own line
 * (wants), counts that in sub_ctl.sleeps, and raises sub_ctl.want, the largest of all. A
 * publisher reads only want while it is not larger than its message: usually no one sleeps
 * for a later one.
 *
 * If it is larger (a subscriber of every n-th message sleeps, or the word is a lie), the
 * publisher looks into the lines, for the next number that is wanted, and wakes only for
 * that. It looks again when the count has changed. So a wrong word costs it no system call.
 * The next subscriber that goes to sleep corrects the word.
 */
#include "topic/topic.h"

/*
 * The smallest number, at least @from, for which a subscriber sleeps; ~0: none.
 * want.L1 <- want.L0: the count was acquired before.
 */
static uint64_t next_wanted(const struct shmipc_tlog *log, uint64_t from)
{
	uint32_t slot, n = shmipc_priv_tlog_subs(log);
	uint64_t next = UINT64_MAX, wants;

	for (slot = 0; slot < n; slot++) {
		wants = shmipc_load_relaxed(&shmipc_tlog_sub(log, slot)->wants);
		if (wants && wants - 1 >= from && wants - 1 < next)
			next = wants - 1;
	}
	return next;
}

void shmipc_topic_wake_wanted(struct shmipc_pub_priv *p, uint64_t seq, uint32_t n)
{
	const struct shmipc_tlog *log = &p->t.seg->log;
	uint64_t sleeps;

	if (shmipc_load_relaxed(&log->sub->want) <= seq + n) {
		p->t.wakes++;
		shmipc_topic_wake(p->t.seg, p->t.end.slot, seq, n);
		return;
	}
	/* want.L1 <- want.L0 */
	sleeps = shmipc_load_acquire(&log->sub->sleeps);
	if (sleeps != p->sleeps || p->next_wanted < seq) {
		p->sleeps = sleeps;
		p->next_wanted = next_wanted(log, seq);
	}
	while (p->next_wanted < seq + n) {
		p->t.wakes++;
		shmipc_topic_wake(p->t.seg, p->t.end.slot, p->next_wanted, 1);
		p->next_wanted = next_wanted(log, p->next_wanted + 1);
	}
}

/* The largest of what we and other subscribers that are there want. */
static uint64_t most_wanted(struct shmipc_segment *seg, uint64_t most)
{
	const struct shmipc_tlog *log = &seg->log;
	uint32_t slot, n = shmipc_priv_tlog_subs(log);
	uint64_t wants;

	for (slot = 0; slot < n; slot++) {
		wants = shmipc_load_relaxed(&shmipc_tlog_sub(log, slot)->wants);
		if (wants > most &&
		    seg->be->state(seg, log->hdr.pubs + slot, true) == SHMIPC_PEER_ATTACHED)
			most = wants;
	}
	return most;
}

/*
 * Nobody wants what the word says: correct it. One that goes to sleep meanwhile writes its
 * line, then reads the word; we write the word, then read the lines.
 */
static void lower(struct shmipc_segment *seg, __u64 *want, __u64 was, uint64_t ours)
{
	uint64_t most = most_wanted(seg, ours);

	if (most >= was)
		return;
	/* tlog.Z0 -> tlog.Z1: as when it is raised. */
	if (!shmipc_cas_acq_rel(want, &was, (__u64)most))
		return;
	/* want.M0 -> want.M1 */
	shmipc_fence_seq_cst();
	shmipc_priv_tlog_raise(want, most_wanted(seg, ours));
}

void shmipc_topic_want(struct shmipc_segment *seg, struct shmipc_sub_line *line, uint64_t want)
{
	struct shmipc_sub_ctl *ctl = seg->log.sub;
	__u64 is;

	shmipc_store_relaxed(&line->wants, (__u64)want);
	/* want.L0 -> want.L1: our line, before the count that tells publishers of it. */
	(void)shmipc_fetch_add_acq_rel(&ctl->sleeps, (__u64)1);
	/* want.M1 <- want.M0 */
	shmipc_fence_seq_cst();
	is = shmipc_load_relaxed(&ctl->want);
	if (is > want)
		lower(seg, &ctl->want, is, want);
	/* Also if another one has lowered it just now. */
	shmipc_priv_tlog_raise(&ctl->want, want);
}
