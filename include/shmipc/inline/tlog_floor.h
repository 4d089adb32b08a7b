/* SPDX-License-Identifier: MIT */
/*
 * tlog_floor.h - giving up old messages of a log, and who is in the way; see log.h
 */
#ifndef SHMIPC_TLOG_FLOOR_H
#define SHMIPC_TLOG_FLOOR_H

#include <shmipc/inline/tlog_tx.h>

#define SHMIPC_TLOG_PAUSES	64	/* between two looks at those who are in the way */

SHMIPC_INLINE uint32_t shmipc_priv_tlog_subs(const struct shmipc_tlog *log)
{
	/* Relaxed: whoever came before our fence raised it before; others see our floor. */
	uint64_t n = shmipc_load_relaxed(&log->sub->subs_used);

	return n < log->hdr.subs ? (uint32_t)n : log->hdr.subs;
}

SHMIPC_INLINE void shmipc_priv_tlog_blocked(struct shmipc_tlog_block *b, enum shmipc_tlog_who who,
					   uint32_t slot, uint64_t state, uint64_t pos)
{
	b->who = who;
	b->slot = slot;
	b->state = state;
	b->policy = shmipc_sub_state_policy(state);
	b->pos = pos;
}

/* The first number before @upto that publisher @slot has claimed and not committed. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_claimed(const struct shmipc_tlog *log, uint32_t slot,
					       uint64_t upto)
{
	/* Relaxed: the tail was acquired before, and a full fence follows. */
	uint64_t claim = shmipc_load_relaxed(&log->pub_line[slot].claim), seq, i;

	if (claim == SHMIPC_CLAIM_NONE)
		return upto;
	for (i = 0; i < (claim & SHMIPC_CLAIM_MAX); i++) {
		seq = (claim >> SHMIPC_CLAIM_BITS) + i;
		if (seq >= upto)
			break;
		if (shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(log, seq)->word), seq))
			return seq;
	}
	return upto;
}

/* Where subscriber @slot is, if publishers wait for it; else @upto. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_sub_pos(const struct shmipc_tlog *log, uint32_t slot,
					       uint64_t upto, uint64_t *ret_state)
{
	const struct shmipc_sub_line *line = shmipc_tlog_sub(log, slot);
	/* Relaxed: a full fence follows before anything that goes is written over. */
	uint64_t state = shmipc_load_relaxed(&line->state), pos, cursor = SHMIPC_POS_NONE;
	uint32_t group = shmipc_sub_state_group(state), policy = shmipc_sub_state_policy(state);

	*ret_state = state;
	if (policy < SHMIPC_POLICY_LOSSLESS || policy > SHMIPC_POLICY_EVICT ||
	    !(log->hdr.policies >> policy & 1) ||
	    (shmipc_load_relaxed(&log->evicted[slot]) & SHMIPC_EVICTED_GENERATION) == state >> 16)
		return upto;
	/* group.G1 <- group.G0: before the position; who has moved the cursor has its own. */
	if (group && group <= SHMIPC_TOPIC_GROUPS)
		cursor = shmipc_load_acquire(&log->group[group - 1].cursor) - 1;
	/* tlog.P1 <- tlog.P0: what is before its position it has read. */
	pos = shmipc_load_acquire(&line->pos);
	if (group && group <= SHMIPC_TOPIC_GROUPS && pos == cursor) {
		/* Neither: the first of a group has made its position the cursor just now. */
		/* group.G1 <- group.G0, tlog.P1 <- tlog.P0 */
		cursor = shmipc_load_acquire(&log->group[group - 1].cursor) - 1;
		pos = shmipc_load_acquire(&line->pos);
	}
	if (cursor < pos)
		pos = cursor;
	return pos < upto ? pos : upto;
}

/* How far, up to @upto, may entries be written over, as far as others go? */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_scan(const struct shmipc_tlog *log, uint32_t me,
					    uint64_t upto, struct shmipc_tlog_block *b)
{
	uint32_t slot, n = shmipc_priv_tlog_pubs(log);
	uint64_t at, state;

	b->who = SHMIPC_TLOG_NOBODY;
	for (slot = 0; slot < n && log->hdr.pubs > 1; slot++) {
		at = slot == me ? upto : shmipc_priv_tlog_claimed(log, slot, upto);
		if (at < upto) {
			shmipc_priv_tlog_blocked(b, SHMIPC_TLOG_PUB, slot, 0, at);
			upto = at;
		}
	}
	n = shmipc_priv_tlog_subs(log);
	for (slot = 0; slot < n; slot++) {
		at = shmipc_priv_tlog_sub_pos(log, slot, upto, &state);
		if (at < upto) {
			shmipc_priv_tlog_blocked(b, SHMIPC_TLOG_SUB, slot, state, at);
			upto = at;
		}
	}
	return upto;
}

/**
 * shmipc_tlog_advance - give up old messages
 * @tx:   a publishing end without a claim
 * @need: messages before this one must go
 * @want: and these may, while we are at it
 * @b:    on -EAGAIN: who is in the way
 *
 * Return: 0; -EAGAIN if somebody needs what would go. What can go goes anyway.
 */
SHMIPC_COLD int shmipc_tlog_advance(struct shmipc_tlog_tx *tx, uint64_t need, uint64_t want,
					  struct shmipc_tlog_block *b)
{
	const struct shmipc_tlog *log = tx->log;
	/* tlog.T1 <- tlog.T0: the claims of all that has been taken. */
	uint64_t tail = shmipc_tlog_tail(log), to;

	if (want > tail)
		want = tail;
	to = shmipc_priv_tlog_scan(log, tx->slot, want, b);
	if (to < need)
		return -EAGAIN;
	shmipc_priv_tlog_raise(&log->pub->floor, to);
	/*
	 * tlog.D0 -> tlog.D1: the floor, then their lines. A subscriber writes its line and
	 * looks at the floor then: it sees ours, or we see it.
	 */
	shmipc_fence_seq_cst();
	to = shmipc_priv_tlog_scan(log, tx->slot, to, b);
	/* tlog.K0 -> tlog.K1: the floor before what follows from it. */
	shmipc_priv_tlog_raise(&log->pub->clear, to);
	return shmipc_load_relaxed(&log->pub->clear) >= need ? 0 : -EAGAIN;
}

/*
 * Who writes right behind a subscriber takes its lines away while it reads them,
 * and looking where it is takes its own line: both get slow. So wait a moment for
 * all of a lot, looking rarely, as long as it moves; then take what there is.
 */
SHMIPC_INLINE void shmipc_priv_tlog_await_lot(const struct shmipc_tlog_tx *tx, uint64_t want)
{
	struct shmipc_tlog_block b;
	uint64_t was = 0, at;
	int looks, i;

	for (looks = 0; looks < SHMIPC_CREDIT_SPINS; looks++, was = at) {
		at = shmipc_priv_tlog_scan(tx->log, tx->slot, want, &b);
		if (at >= want || at == was)
			break;
		for (i = 0; i < SHMIPC_TLOG_PAUSES && (uint64_t)i < want - at; i++)
			shmipc_cpu_relax();
	}
}

/* Number of our next message, if nobody is faster. */
SHMIPC_INLINE uint64_t shmipc_tlog_tx_next(const struct shmipc_tlog_tx *tx)
{
	return tx->single || tx->lent ? tx->next : shmipc_tlog_tail(tx->log);
}

/**
 * shmipc_tlog_make_room - have room for @n more entries
 * @tx: a publishing end
 * @n:  as for shmipc_tlog_claim()
 * @b:  on -EAGAIN: who is in the way, and where
 *
 * Return: 0: claim again; -EAGAIN.
 */
SHMIPC_COLD int shmipc_tlog_make_room(struct shmipc_tlog_tx *tx, uint32_t n,
					    struct shmipc_tlog_block *b)
{
	uint64_t seq = shmipc_tlog_tx_next(tx);
	uint64_t lot = tx->log->lot, need = seq + n - tx->entries, want;

	shmipc_tlog_unclaim(tx);
	if (seq + n <= tx->entries || shmipc_load_relaxed(&tx->pub->clear) >= need)
		return 0;
	want = (need + lot - 1) / lot * lot;
	shmipc_priv_tlog_await_lot(tx, want);
	return shmipc_tlog_advance(tx, need, want, b);
}

/**
 * shmipc_tlog_evict - publishers wait no longer for a subscriber
 * @log:  the log
 * @b:    as shmipc_tlog_advance() gave it
 * @dead: it has died: what it holds is free, too
 *
 * One that lives finds out when it next reads; what it holds stays. Whoever
 * has the slot by now, if it is not the one of @b, is left alone.
 */
SHMIPC_INLINE int shmipc_tlog_evict(const struct shmipc_tlog *log, const struct shmipc_tlog_block *b,
				   int dead)
{
	uint64_t generation = b->state >> 16, to;
	__u64 *word = &log->evicted[b->slot];
	__u64 was = shmipc_load_relaxed(word);
	int tries;

	for (tries = 0; tries < SHMIPC_TLOG_TRIES; tries++) {
		if ((was & SHMIPC_EVICTED_GENERATION) > generation)
			return 0;
		to = generation | (dead ? SHMIPC_EVICTED_DEAD : 0);
		if ((was & SHMIPC_EVICTED_GENERATION) == generation)
			to |= was & SHMIPC_EVICTED_DEAD;
		if (to == was)
			return 0;
		/* tlog.E0 -> tlog.E1: of the dead: all that it read, before what it holds may go. */
		if (shmipc_cas_acq_rel(word, &was, (__u64)to))
			return 1;
	}
	return 0;
}

#endif /* SHMIPC_TLOG_FLOOR_H */
