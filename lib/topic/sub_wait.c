// SPDX-License-Identifier: MIT
/*
 * sub_wait.c - a subscriber without a message: its functions for the waiter
 *
 * It sleeps on the low half of the next entry's word, which changes when that message is
 * committed; before that, it announces this (want). The death of a publisher also wakes
 * it: the publisher may have claimed the number that it waits for, or have committed it
 * without waking it. A publisher that attaches also wakes it, so that it is watched.
 * See wait/waiter.h.
 *
 * As long as no end has determined what the topic is, it waits for that: sub_move.c.
 */
#include <errno.h>

#include "topic/topic.h"

/* Number of the message that it waits for. */
static uint64_t awaited(const struct shmipc_sub_priv *s)
{
	const struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t cursor;

	if (!s->group || s->group_has)
		return rx->seq;
	/* peer.G1 <- peer.G0 */
	cursor = shmipc_load_acquire(&rx->group->cursor);
	return cursor ? cursor - 1 : rx->seq;
}

bool shmipc_sub_ready(const struct shmipc_sub_priv *s)
{
	struct shmipc_tlog_rx *rx = &sub_priv(&s->sub)->sub.rx;
	uint64_t seq = awaited(s);
	int err;

	if (s->late || s->move_err)
		return true;
	/* Not known to have memory: it is not there yet, or something is wrong. */
	if (seq >= rx->end && !rx->err) {
		err = shmipc_priv_tlog_see(rx, seq);
		if (err)
			return err != -EAGAIN;
	}
	/* tlog.A0 <- tlog.R0; and a lapped subscriber must report its losses. */
	return rx->err || shmipc_tlog_resolved(rx->whole, seq) ||
	       !shmipc_tlog_pending(shmipc_load_acquire(&shmipc_tlog_rx_entry(rx, seq)->word), seq) ||
	       (shmipc_load_relaxed(&rx->pub->floor) > seq && !shmipc_priv_tlog_kept(rx, seq));
}

static bool entry_ready(void *arg)
{
	const struct shmipc_sub_priv *s = arg;

	return shmipc_load_relaxed(&s->stop) || shmipc_sub_ready(s);
}

static const __u64 *entry_poll(void *arg, uint64_t *ret_val)
{
	const struct shmipc_sub_priv *s = arg;
	uint64_t seq = awaited(s), word;
	const __u64 *at = &shmipc_tlog_rx_entry(&s->sub.rx, seq)->word;

	if (s->provisional)
		return shmipc_sub_move_poll(s, ret_val);
	if (seq >= s->sub.rx.end) {	/* it has no memory yet, as far as we know */
		at = &s->sub.rx.pub->backed;
		word = shmipc_load_relaxed(at);
		*ret_val = word <= s->sub.rx.end ? word : ~word;
		return at;
	}
	word = shmipc_load_relaxed(at);
	/* It has arrived meanwhile: any other value. */
	*ret_val = shmipc_tlog_pending(word, seq) ? word : ~word;
	return at;
}

/* Was the message that we wait for claimed by a publisher that is dead, or stopped? Skip it, or read it. */
static int entry_settle(void *arg, bool sure)
{
	struct shmipc_sub_priv *s = arg;
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t seq = awaited(s), word, until_ns = SHMIPC_FOREVER;
	int fate;

	if (s->provisional)
		return shmipc_sub_move(s);
	(void)sure;	/* the kernel is always asked about the publisher that claimed it */
	if (!shmipc_tlog_claimed(rx->log, seq))
		return 0;
	fate = shmipc_tlog_fate(&s->t.seg->log, seq, shmipc_topic_pub_alive, s->t.seg, &word);
	if (fate == SHMIPC_FATE_OPEN)
		return shmipc_topic_stalled(&s->t, seq, &until_ns);
	if (fate == SHMIPC_FATE_WHOLE) {
		shmipc_tlog_rx_whole(rx, word);
		return 1;
	}
	shmipc_probe_abort(s->t.seg, shmipc_topic_slot(&s->t), SHMIPC_PROBE_NOBODY, seq, 1);
	if (s->group)
		shmipc_sub_group_step(s, seq);
	else
		shmipc_tlog_step(rx);
	/* A publisher may wait for us to skip this message. */
	if (shmipc_tlog_moved(rx))
		shmipc_sub_slow_wake(&s->sub);
	return 1;
}

static uint64_t entry_want(void *arg)
{
	struct shmipc_sub_priv *s = arg;

	s->wanted = awaited(s);
	if (!s->sub.rx.line)
		return SHMIPC_WANT_NOTHING;
	/* wait.W1 <- wait.W0 follows in the waiter. */
	shmipc_topic_want(s->t.seg, s->sub.rx.line, s->wanted + 1);
	return s->wanted + 1;
}

static bool entry_look(void *arg, struct shmipc_wait_set *set)
{
	struct shmipc_sub_priv *s = arg;
	const struct shmipc_tlog *log = &s->t.seg->log;
	uint64_t seq = awaited(s), word;
	const __u64 *at = &shmipc_tlog_rx_entry(&s->sub.rx, seq)->word;

	if (s->provisional)
		return shmipc_sub_move_look(s, set) && !shmipc_load_relaxed(&s->stop);
	if (seq >= s->sub.rx.end) {
		/* Its entry has no memory yet, and cannot be slept on: sleep until there is more. */
		at = &log->pub->backed;
		/* This value first, then whether it is enough. */
		word = shmipc_load_relaxed(at);
	} else {
		/* tlog.A0 <- tlog.R0 */
		word = shmipc_load_acquire(at);
		if (!shmipc_tlog_pending(word, seq))
			return false;
	}
	/* A group may also have moved on since we announced our want. */
	if (shmipc_sub_ready(s) || seq != s->wanted)
		return false;
	shmipc_watch_word(s->t.seg, set, shmipc_low32(at), (uint32_t)word);
	s->t.seg->be->watch_peers(s->t.seg, set, shmipc_priv_tlog_pubs(log));
	if (s->t.seg->read_only)	/* publishers do not know that it sleeps */
		shmipc_wait_set_tick(set, SHMIPC_TICK_POLL);
	/* No one tells us that it was claimed, or that its publisher is stopped. */
	if (shmipc_topic_stalled(&s->t, seq, &set->until_ns))
		return false;
	if (shmipc_tlog_undecided(log))
		shmipc_wait_set_tick(set, SHMIPC_TICK_UNSURE);
	/* The thread that stops ours wakes us there. */
	shmipc_store_relaxed(&s->sleeps_on, shmipc_low32(at));
	return !shmipc_load_relaxed(&s->stop);
}

static void entry_tell(void *arg, const uint32_t *word, int ret)
{
	const struct shmipc_sub_priv *s = arg;
	uint64_t off = shmipc_probe_off(s->t.seg, word);

	if (ret > 0)
		shmipc_probe_wait(s->t.seg, shmipc_topic_slot(&s->t), off, awaited(s),
				  SHMIPC_ROLE_READER);
	else
		shmipc_probe_wait_end(s->t.seg, shmipc_topic_slot(&s->t), off, (int64_t)ret,
				      SHMIPC_ROLE_READER);
}

const struct shmipc_wait_ops shmipc_sub_entry_ops = {
	.ready = entry_ready,
	.poll = entry_poll,
	.settle = entry_settle,
	.want = entry_want,
	.look = entry_look,
	.tell = entry_tell,
};

int shmipc_sub_wait_entry(struct shmipc_sub_priv *s, uint64_t deadline_ns)
{
	int ret;

	if (s->provisional && deadline_ns)
		shmipc_sub_moves(s);
	if (s->provisional && shmipc_sub_move(s))
		return 0;
	ret = shmipc_wait_one(&s->t.wait, &shmipc_sub_entry_ops, s, deadline_ns);
	if (s->provisional && deadline_ns)
		shmipc_sub_moves_later(s);
	return ret;
}
