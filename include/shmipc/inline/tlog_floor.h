/* SPDX-License-Identifier: MIT */
/*
 * tlog_floor.h - discarding old messages of a log, and what is in the way; see tlog.h
 */
#ifndef SHMIPC_TLOG_FLOOR_H
#define SHMIPC_TLOG_FLOOR_H

#include <shmipc/inline/tlog_tx.h>

SHMIPC_PRIV_C_BEGIN

#define SHMIPC_TLOG_PAUSES	64	/* between two checks of what is in the way */

SHMIPC_INLINE uint32_t shmipc_priv_tlog_subs(const struct shmipc_tlog *log)
{
	/* Relaxed: a subscriber older than our fence has raised it; others see our floor. */
	uint64_t used = shmipc_load_relaxed(&log->sub->subs_used);
	uint32_t n = used < log->hdr.subs ? (uint32_t)used : log->hdr.subs;

	return !log->memory || n <= log->memory->lines ? n : shmipc_priv_tlog_see_lines(log, n);
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

/* The first number before @upto that publisher @slot has claimed but not committed. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_claimed(const struct shmipc_tlog *log, uint32_t slot,
					       uint64_t upto)
{
	/* Relaxed: the tail was acquired before, and a full fence follows. */
	uint64_t claim = shmipc_load_relaxed(&log->pub_line[slot].claim), seq, i;

	if (claim == SHMIPC_CLAIM_NONE)
		return upto;
	for (i = 0; i < (claim & log->claim_max); i++) {
		seq = (claim >> SHMIPC_CLAIM_BITS) + i;
		if (seq >= upto)
			break;
		/* Without memory: a hostile claim, which is in the way as any other. */
		if (!shmipc_tlog_there(log, seq) ||
		    shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(log, seq)->word), seq))
			return seq;
	}
	return upto;
}

/* The position of subscriber @slot, if publishers wait for it; else @upto. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_sub_pos(const struct shmipc_tlog *log, uint32_t slot,
					       uint64_t upto, uint64_t *ret_state)
{
	const struct shmipc_sub_line *line = shmipc_tlog_sub(log, slot);
	/* Relaxed: a full fence follows before anything discarded is overwritten. */
	uint64_t state = shmipc_load_relaxed(&line->state), pos, cursor = SHMIPC_POS_NONE;
	uint32_t group = shmipc_sub_state_group(state), policy = shmipc_sub_state_policy(state);

	*ret_state = state;
	if (policy < SHMIPC_POLICY_LOSSLESS || policy > SHMIPC_POLICY_EVICT ||
	    !(log->hdr.policies >> policy & 1) ||
	    (shmipc_load_relaxed(&log->evicted[slot]) & SHMIPC_EVICTED_GENERATION) == state >> 16)
		return upto;
	/* group.G1 <- group.G0: before the position: the subscriber that moved the cursor has one. */
	if (group && group <= SHMIPC_TOPIC_GROUPS)
		cursor = shmipc_load_acquire(&log->group[group - 1].cursor) - 1;
	/* tlog.P1 <- tlog.P0: it has read all before its position. */
	pos = shmipc_load_acquire(&line->pos);
	if (group && group <= SHMIPC_TOPIC_GROUPS && pos == cursor) {
		/* Neither: the first of a group has just made its position the cursor. */
		/* group.G1 <- group.G0, tlog.P1 <- tlog.P0 */
		cursor = shmipc_load_acquire(&log->group[group - 1].cursor) - 1;
		pos = shmipc_load_acquire(&line->pos);
	}
	if (cursor < pos)
		pos = cursor;
	return pos < upto ? pos : upto;
}

/* Up to which number, at most @upto, do others allow entries to be reused? */
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
 * shmipc_tlog_advance - discard old messages
 * @tx:   a publishing end without a claim
 * @need: messages before this one must be discarded
 * @want: and those before this one may be
 * @b:    on -EAGAIN: what is in the way
 *
 * Return: 0; -EAGAIN if a peer still needs some. What can be discarded is, anyway.
 */
SHMIPC_COLD int shmipc_tlog_advance(struct shmipc_tlog_tx *tx, uint64_t need, uint64_t want,
					  struct shmipc_tlog_block *b)
{
	const struct shmipc_tlog *log = tx->log;
	/* tlog.T1 <- tlog.T0: the claims of all numbers taken. */
	uint64_t tail = shmipc_tlog_tail(log), to;

	if (want > tail)
		want = tail;
	to = shmipc_priv_tlog_scan(log, tx->slot, want, b);
	if (to < need)
		return -EAGAIN;
	shmipc_priv_tlog_raise(&log->pub->floor, to);
	/*
	 * tlog.D0 -> tlog.D1: the floor, then their lines. A subscriber writes its line and
	 * then reads the floor: it sees our floor, or we see its line.
	 */
	shmipc_fence_seq_cst();
	to = shmipc_priv_tlog_scan(log, tx->slot, to, b);
	/* tlog.K0 -> tlog.K1: the floor, before what depends on it. */
	shmipc_priv_tlog_raise(&log->pub->clear, to);
	return shmipc_load_relaxed(&log->pub->clear) >= need ? 0 : -EAGAIN;
}

/*
 * A publisher that writes directly behind a subscriber takes the subscriber's lines
 * away while they are read, and reading its position takes that line, too: both become
 * slow. So wait for a whole lot, checking rarely, as long as the subscriber moves; then
 * take what there is.
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

/* Number of our next message, if no other publisher is faster. */
SHMIPC_INLINE uint64_t shmipc_tlog_tx_next(const struct shmipc_tlog_tx *tx)
{
	return tx->single || tx->lent ? tx->next : shmipc_tlog_tail(tx->log);
}

/**
 * shmipc_tlog_make_room - make room for @n more entries, and get their memory
 * @tx: a publishing end
 * @n:  as for shmipc_tlog_claim()
 * @b:  on -EAGAIN: what is in the way, and where
 *
 * Return: 0: claim again; -EAGAIN; -ENOSPC, -ENOMEM: no memory is available now;
 * -EPROTO: the number is nonsense.
 */
SHMIPC_COLD int shmipc_tlog_make_room(struct shmipc_tlog_tx *tx, uint32_t n,
					    struct shmipc_tlog_block *b)
{
	uint64_t seq = shmipc_tlog_tx_next(tx);
	uint64_t lot = tx->log->lot, need = seq + n - tx->entries, want;
	int ret;

	shmipc_tlog_unclaim(tx);
	if (seq > ~0ULL >> 2)
		return -EPROTO;
	ret = shmipc_tlog_grow(tx->log, seq + n);
	if (ret)
		return ret;
	if (seq + n <= tx->entries || shmipc_load_relaxed(&tx->pub->clear) >= need)
		return 0;
	want = (need + lot - 1) / lot * lot;
	shmipc_priv_tlog_await_lot(tx, want);
	return shmipc_tlog_advance(tx, need, want, b);
}

/**
 * shmipc_tlog_evict - cut off a subscriber: publishers no longer wait for it
 * @log:  the log
 * @b:    as returned by shmipc_tlog_advance()
 * @dead: it has died: its holds end, too
 *
 * If it is alive, it finds out when it next reads; its holds stay. If the slot has a
 * new owner by now, other than the one of @b, that is left alone.
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
		/* tlog.E0 -> tlog.E1: of a dead one: all that it read, before its holds end. */
		if (shmipc_cas_acq_rel(word, &was, (__u64)to))
			return 1;
	}
	return 0;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_FLOOR_H */
