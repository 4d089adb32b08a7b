// SPDX-License-Identifier: MIT
/*
 * sub_group.c - subscribers that share the messages among them
 *
 * The group's cursor is the number of the next message. A member writes that number into
 * its own line, so that publishers keep the message for it, checks whether the cursor is
 * still there, and takes the message by moving the cursor. If a member dies while it has a
 * message, that message is lost with it; the others continue.
 */
#include <errno.h>

#include "topic/topic.h"

static void set_pos(struct shmipc_sub_priv *s, uint64_t pos)
{
	/* tlog.P0 -> tlog.P1 */
	shmipc_store_release(&s->sub.rx.line->pos, (__u64)pos);
}


/* Move from message @from to @to, if no other member was quicker. */
static bool move(struct shmipc_sub_priv *s, uint64_t from, uint64_t to)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	__u64 cursor = from + 1;

	/* group.G0 -> group.G1: our own position was written before. */
	if (!shmipc_cas_acq_rel(&rx->group->cursor, &cursor, (__u64)(to + 1)))
		return false;
	/* wait.W2 -> wait.W3: the cursor, then want. */
	shmipc_barrier_light();
	if (rx->evicted && shmipc_priv_crossed(shmipc_load_relaxed(&rx->pub->room_want), from, to))
		shmipc_sub_slow_wake(&s->sub);
	return true;
}

static int note_lost(struct shmipc_sub_priv *s, uint64_t from, uint64_t to)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;

	rx->lost_from = from;
	rx->lost_to = to;
	rx->lost += to - from;
	shmipc_store_relaxed(&rx->line->lost, (__u64)rx->lost);
	return -ESTALE;
}

/*
 * The first member determines where the group begins. While the group had no member,
 * publishers did not wait for it: a member that joins then skips what is gone, and reports it.
 */
void shmipc_sub_group_join(struct shmipc_sub_priv *s)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t floor, seq;
	__u64 cursor = 0;
	int tries;

	/* group.G0 -> group.G1 */
	(void)shmipc_cas_acq_rel(&rx->group->cursor, &cursor, (__u64)(rx->seq + 1));
	for (tries = 0; tries < SHMIPC_TLOG_TRIES; tries++) {
		/* tlog.D1 <- tlog.D0: our line, then the floor. */
		shmipc_fence_seq_cst();
		floor = shmipc_load_acquire(&rx->pub->floor);
		cursor = shmipc_load_acquire(&rx->group->cursor);
		seq = cursor - 1;
		if (!cursor || seq >= floor)
			break;
		if (move(s, seq, floor)) {
			(void)note_lost(s, seq, floor);
			s->group_lost = true;
		}
	}
	/* From here on the group's next messages are kept for us. */
	if (cursor && cursor - 1 < rx->seq)
		rx->seq = cursor - 1;
	set_pos(s, SHMIPC_POS_NONE);
}

void shmipc_sub_group_step(struct shmipc_sub_priv *s, uint64_t seq)
{
	if (move(s, seq, seq + 1))
		s->sub.rx.aborted++;
}

/* The floor has passed the group: the member that moves it on reports the loss. */
static int lapped(struct shmipc_sub_priv *s, uint64_t seq)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	/* tlog.Z1 <- tlog.Z0 */
	uint64_t floor = shmipc_load_acquire(&rx->pub->floor);

	if (rx->evicted &&
	    (shmipc_load_relaxed(rx->evicted) & SHMIPC_EVICTED_GENERATION) == rx->generation) {
		rx->lost_from = seq;
		rx->lost_to = shmipc_tlog_tail(rx->log);
		return shmipc_tlog_rx_fail(rx, -ECONNRESET);
	}
	if (floor <= seq)
		return shmipc_tlog_rx_fail(rx, -EPROTO);
	return move(s, seq, floor) ? note_lost(s, seq, floor) : 0;
}

/* Set our position to the group's next message. false: the group has moved on. */
static bool settle(struct shmipc_sub_priv *s, uint64_t *ret_seq)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	/* group.G1 <- group.G0 */
	uint64_t cursor = shmipc_load_acquire(&rx->group->cursor);

	if (!cursor)		/* a hostile member */
		return false;
	set_pos(s, cursor - 1);
	/* tlog.D1 <- tlog.D0: our position, then the cursor, which publishers read first. */
	shmipc_fence_seq_cst();
	*ret_seq = cursor - 1;
	return shmipc_load_acquire(&rx->group->cursor) == cursor;
}

/* As shmipc_sub_group_peek(); on failure our position may still be that of a message. */
static int peek(struct shmipc_sub_priv *s, struct shmipc_tlog_ref *ret)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t seq;
	int err, tries;

	if (s->group_has) {	/* it was too large for the buffer */
		err = shmipc_tlog_look(rx, rx->seq, ret);
		s->group_has = err != -ESTALE;
		return s->group_has ? err : note_lost(s, rx->seq, rx->seq + 1);
	}
	for (tries = 0; tries < 100000; tries++) {
		if (!settle(s, &seq))
			continue;
		err = shmipc_tlog_look(rx, seq, ret);
		if (err == -ECANCELED) {
			shmipc_sub_group_step(s, seq);
		} else if (err == -ESTALE) {
			err = lapped(s, seq);
			if (err)
				return err;
		} else if (err == -EPROTO) {
			return shmipc_tlog_rx_fail(rx, err);
		} else if (err) {
			return err;
		} else if (move(s, seq, seq + 1)) {
			rx->seq = seq;
			s->group_has = true;
			return 0;
		}
	}
	return -EAGAIN;
}

int shmipc_sub_group_peek(struct shmipc_sub_priv *s, struct shmipc_tlog_ref *ret)
{
	int err = s->sub.rx.err;

	if (!err && s->group_lost) {
		s->group_lost = false;
		err = -ESTALE;
	}
	if (!err)
		err = peek(s, ret);
	/* Publishers keep nothing for a member that may not come back. */
	if (err && !s->group_has)
		set_pos(s, SHMIPC_POS_NONE);
	return err;
}

/* 0; -ESTALE: what was read was overwritten meanwhile. */
int shmipc_sub_group_done(struct shmipc_sub_priv *s)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	int whole = shmipc_tlog_intact(rx, rx->seq);

	s->group_has = false;
	set_pos(s, SHMIPC_POS_NONE);
	if (!whole)
		return note_lost(s, rx->seq, rx->seq + 1);
	rx->received++;
	shmipc_store_relaxed(&rx->line->received, (__u64)rx->received);
	return 0;
}
