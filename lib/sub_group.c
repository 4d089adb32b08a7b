// SPDX-License-Identifier: MIT
/*
 * sub_group.c - subscribers that share the messages among them
 *
 * The group's cursor says which message is the next. A member writes that number
 * into its own line, so that publishers keep the message for it, looks whether
 * the cursor is still there, and takes it by moving the cursor. A member that dies
 * with a message in hand takes that one with it; the others go on.
 */
#include <errno.h>

#include "topic.h"

static void set_pos(struct shmipc_sub_priv *s, uint64_t pos)
{
	/* P0 -> P1 */
	shmipc_store_release(&s->sub.rx.line->pos, (__u64)pos);
}

/* Who is first says where the group begins. */
void shmipc_sub_group_join(struct shmipc_sub_priv *s)
{
	__u64 none = 0;

	/* G0 -> G1 */
	(void)shmipc_cas_acq_rel(&s->sub.rx.group->cursor, &none, (__u64)(s->sub.rx.seq + 1));
	set_pos(s, SHMIPC_POS_NONE);
}

void shmipc_sub_group_idle(struct shmipc_sub_priv *s)
{
	set_pos(s, SHMIPC_POS_NONE);
}

/* From message @from to @to, if nobody else was quicker. */
static bool move(struct shmipc_sub_priv *s, uint64_t from, uint64_t to)
{
	struct shmipc_log_rx *rx = &s->sub.rx;
	__u64 cursor = from + 1;

	/* G0 -> G1: our own position was written before. */
	if (!shmipc_cas_acq_rel(&rx->group->cursor, &cursor, (__u64)(to + 1)))
		return false;
	/* W2 -> W3: the cursor, then want. */
	shmipc_barrier_light();
	if (rx->evicted && shmipc_priv_crossed(shmipc_load_relaxed(&rx->pub->room_want), from, to))
		shmipc_sub_slow_wake(&s->sub);
	return true;
}

void shmipc_sub_group_step(struct shmipc_sub_priv *s, uint64_t seq)
{
	if (move(s, seq, seq + 1))
		s->sub.rx.aborted++;
}

/* The floor has passed the group: whoever moves it on tells of the loss. */
static int lapped(struct shmipc_sub_priv *s, uint64_t seq)
{
	struct shmipc_log_rx *rx = &s->sub.rx;
	uint64_t floor = shmipc_load_acquire(&rx->pub->floor);

	if (rx->evicted && !shmipc_priv_log_kept(rx, seq)) {
		rx->lost_from = seq;
		rx->lost_to = floor;
		return rx->err = -ECONNRESET;
	}
	if (floor <= seq)
		return rx->err = -EPROTO;
	if (!move(s, seq, floor))
		return 0;
	rx->lost_from = seq;
	rx->lost_to = floor;
	rx->lost += floor - seq;
	shmipc_store_relaxed(&rx->line->lost, (__u64)rx->lost);
	return -ESTALE;
}

/* The group's next message, with our position at it. false: it has moved on. */
static bool settle(struct shmipc_sub_priv *s, uint64_t *ret_seq)
{
	struct shmipc_log_rx *rx = &s->sub.rx;
	uint64_t cursor = shmipc_load_acquire(&rx->group->cursor);

	if (!cursor)		/* a hostile member */
		return false;
	set_pos(s, cursor - 1);
	/* D1 -> D0: our position, then the cursor that publishers look at first. */
	shmipc_fence_seq_cst();
	*ret_seq = cursor - 1;
	return shmipc_load_acquire(&rx->group->cursor) == cursor;
}

int shmipc_sub_group_peek(struct shmipc_sub_priv *s, struct shmipc_log_ref *ret)
{
	struct shmipc_log_rx *rx = &s->sub.rx;
	uint64_t seq;
	int err, tries;

	if (rx->err)
		return rx->err;
	if (s->group_has) {	/* it was too large for the buffer */
		err = shmipc_log_look(rx, rx->seq, ret);
		if (err != -ESTALE)
			return err;
		s->group_has = false;
		rx->lost_from = rx->seq;
		rx->lost_to = rx->seq + 1;
		rx->lost++;
		return -ESTALE;
	}
	for (tries = 0; tries < 100000; tries++) {
		if (!settle(s, &seq))
			continue;
		err = shmipc_log_look(rx, seq, ret);
		if (err == -ECANCELED) {
			shmipc_sub_group_step(s, seq);
		} else if (err == -ESTALE) {
			err = lapped(s, seq);
			if (err)
				return err;
		} else if (err == -EPROTO) {
			return rx->err = err;
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

/* 0; -ESTALE: what was read was overwritten meanwhile. */
int shmipc_sub_group_done(struct shmipc_sub_priv *s)
{
	struct shmipc_log_rx *rx = &s->sub.rx;
	int whole = shmipc_log_intact(rx, rx->seq);

	s->group_has = false;
	set_pos(s, SHMIPC_POS_NONE);
	if (!whole) {
		rx->lost_from = rx->seq;
		rx->lost_to = rx->seq + 1;
		rx->lost++;
		shmipc_store_relaxed(&rx->line->lost, (__u64)rx->lost);
		return -ESTALE;
	}
	rx->received++;
	shmipc_store_relaxed(&rx->line->received, (__u64)rx->received);
	return 0;
}
