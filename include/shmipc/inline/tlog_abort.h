/* SPDX-License-Identifier: MIT */
/*
 * tlog_abort.h - a log that does not wait for a publisher that is stopped; see tlog.h
 *
 * In a topic with topic_hdr.abort_ns, messages that are claimed and not committed for so
 * long can be aborted although their publisher is alive. It finds out when it continues,
 * and its commit fails. Claims are as in any other log; the commit is in two steps:
 *
 *   decide   one compare-and-swap of the claim in the publisher's line, which says from
 *            then on what becomes of all its messages. The publisher decides that they are
 *            committed, when all are filled; another peer, that they are aborted
 *   settle   the words of the entries, each by a compare-and-swap: a slow one fails when
 *            the entry is resolved, also a lap later. The publisher does it, or any other
 *            that needs one of them, if the publisher is stopped just there
 *
 * The claim decides, and not an entry, because only the line knows how much belongs
 * together, and because lines may name numbers that their publishers did not get: to
 * abort a message is to abort all claims that cover it. A publisher that has lost the number to
 * another one loses nothing by that, it claims again; so each publisher's own time counts
 * for its messages, and for no others.
 *
 * How long a message is pending can be measured by anybody, at two moments: if it was
 * claimed and not there at the first, and is not there now, it was so all the time.
 *
 * The stopped publisher may be in the middle of filling an entry. So its claim stays in its
 * line until it continues (or dies), and as long as it is there, no other fills that entry:
 * a publisher that gets a number of the same entry, a lap later, finds the word aborted,
 * looks for such a claim, aborts its own messages, and claims again. Each lap has a hole
 * there, and no process waits.
 */
#ifndef SHMIPC_TLOG_ABORT_H
#define SHMIPC_TLOG_ABORT_H

#include <shmipc/inline/tlog_tx.h>

SHMIPC_PRIV_C_BEGIN

/**
 * shmipc_tlog_stuck - is message @seq claimed and not there?
 * @log: for several publishers
 * @seq: its number
 *
 * Return: 0: no, or not yet decided; 1: yes; 2: and later ones have been claimed, which wait
 * for it. With one that is 1 or 2 for abort_ns, and is 2 now: shmipc_tlog_abort().
 */
SHMIPC_COLD int shmipc_tlog_stuck(const struct shmipc_tlog *log, uint64_t seq)
{
	/* Relaxed: a wrong answer is corrected the next time. */
	uint64_t tail = shmipc_load_relaxed(&log->pub->tail), claim;
	uint32_t slot, n = shmipc_priv_tlog_pubs(log);
	int ret = 1;

	if (tail & SHMIPC_TAIL_LENT || tail <= seq || !shmipc_tlog_there(log, seq) ||
	    !shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(log, seq)->word), seq))
		return 0;
	for (slot = 0; slot < n; slot++) {
		claim = shmipc_load_relaxed(&log->pub_line[slot].claim);
		/* One of them has got it: the shortest ends where that does, or before. */
		if (shmipc_priv_tlog_covers(log, claim, seq) &&
		    tail > (claim >> SHMIPC_CLAIM_BITS) + (claim & log->claim_max))
			ret = 2;
	}
	return ret;
}

/**
 * shmipc_tlog_abort - abort the claims of message @seq, which took too long
 * @log: with abort_ns; the caller may write publishers' lines
 * @seq: its number
 *
 * Its publisher may still have been quicker. Then, for each publisher that covers it:
 * shmipc_tlog_settle().
 *
 * Return: the number of claims that were aborted.
 */
SHMIPC_COLD uint32_t shmipc_tlog_abort(const struct shmipc_tlog *log, uint64_t seq)
{
	uint32_t slot, n = shmipc_priv_tlog_pubs(log), done = 0;
	__u64 claim;

	if (!shmipc_tlog_stuck(log, seq))
		return 0;
	for (slot = 0; slot < n; slot++) {
		/* Relaxed: it is compared when it is swapped. */
		claim = shmipc_load_relaxed(&log->pub_line[slot].claim);
		if (!shmipc_priv_tlog_covers(log, claim, seq) || shmipc_priv_tlog_decided(log, claim))
			continue;
		/* tlog.L0 -> tlog.L1: only an update of it, which keeps what its publisher has released. */
		if (shmipc_cas_acq_rel(&log->pub_line[slot].claim, &claim,
				       claim | (__u64)SHMIPC_ENTRY_ABORTED << SHMIPC_CLAIM_STATE))
			done++;
	}
	return done;
}

/* Store the words of our messages, as decided, unless another one has. How many we stored. */
SHMIPC_INLINE uint32_t shmipc_priv_tlog_words(const struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n,
					      enum shmipc_entry_state state)
{
	uint32_t done = 0;
	uint64_t i = seq + n;
	__u64 *at, word;

	while (i-- > seq) {
		at = &shmipc_tlog_tx_entry(tx, i)->word;
		word = shmipc_load_relaxed(at);
		/* tlog.R0 -> tlog.A0: the entry and its message before its word. */
		if (shmipc_tlog_pending(word, i) &&
		    shmipc_cas_acq_rel(at, &word, (__u64)(i << 2 | (uint64_t)state)))
			done++;
	}
	return done;
}

/* May another publisher, which is stopped, still be filling the entry of our message @seq? */
SHMIPC_COLD int shmipc_priv_tlog_filled(const struct shmipc_tlog_tx *tx, uint64_t seq,
					shmipc_tlog_alive_fn alive, void *arg)
{
	const struct shmipc_tlog *log = tx->log;
	uint32_t slot, n = shmipc_priv_tlog_pubs(log);
	uint64_t claim, first;

	for (slot = 0; slot < n; slot++) {
		/* tlog.L1 <- tlog.L0: a publisher that dropped its claim fills nothing any more. */
		claim = shmipc_load_acquire(&log->pub_line[slot].claim);
		first = claim >> SHMIPC_CLAIM_BITS;
		/* Of an earlier lap; one that is committed was filled before. */
		if (claim != SHMIPC_CLAIM_NONE && first < seq && slot != tx->slot &&
		    ((seq - first) & log->mask) < (claim & log->claim_max) &&
		    shmipc_priv_tlog_decided(log, claim) == SHMIPC_ENTRY_ABORTED && alive(arg, slot))
			return 1;
	}
	return 0;
}

/* What became of a claim. */
struct shmipc_tlog_finished {
	uint32_t aborted;	/* by us; others may have aborted the rest */
	uint32_t wake;		/* as shmipc_tlog_commit() returns */
};

/**
 * shmipc_tlog_start - may we fill what shmipc_tlog_claim() gave us?
 * @tx:    a publishing end, of a log with abort_ns
 * @seq:   the first
 * @n:     how many
 * @alive: called for publishers that may still be filling one of the entries
 * @arg:   for @alive
 * @ret:   on failure: wake the sleepers
 *
 * Return: 0: fill them, then shmipc_tlog_finish(). -EAGAIN: they are aborted, and nothing is
 * claimed any more: claim again.
 */
SHMIPC_INLINE int shmipc_tlog_start(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n,
				    shmipc_tlog_alive_fn alive, void *arg,
				    struct shmipc_tlog_finished *ret)
{
	uint64_t i, word;
	/* Relaxed: whether it was aborted so far; the commit finds out for certain. */
	int bad = shmipc_load_relaxed(&tx->line->claim) != (seq << SHMIPC_CLAIM_BITS | n);

	for (i = seq; i < seq + n && !bad; i++) {
		/* Relaxed: clear made it visible, and the claim because of which it was aborted. */
		word = shmipc_load_relaxed(&shmipc_tlog_tx_entry(tx, i)->word);
		bad = (word & 3) == SHMIPC_ENTRY_ABORTED &&
		      shmipc_priv_tlog_filled(tx, i, alive, arg);
	}
	if (shmipc_likely(!bad))
		return 0;
	ret->aborted = shmipc_priv_tlog_words(tx, seq, n, SHMIPC_ENTRY_ABORTED);
	shmipc_tlog_unclaim(tx);
	ret->wake = shmipc_priv_tlog_wanted(tx, seq, n);
	return -EAGAIN;
}

/**
 * shmipc_tlog_finish - make claimed messages visible, unless they were aborted
 * @tx:    a publishing end, of a log with abort_ns
 * @seq:   the first
 * @n:     how many; all filled
 * @state: SHMIPC_ENTRY_CELL or SHMIPC_ENTRY_POOL
 * @bytes: of payload in all of them
 * @ret:   also on failure: wake the sleepers
 *
 * Return: 0; -ECANCELED: it took longer than abort_ns, and no subscriber gets any of them.
 */
SHMIPC_INLINE int shmipc_tlog_finish(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n,
				     enum shmipc_entry_state state, uint64_t bytes,
				     struct shmipc_tlog_finished *ret)
{
	__u64 claim = seq << SHMIPC_CLAIM_BITS | n;
	/* tlog.J0 -> tlog.J1: all is filled before our line says that it is committed. */
	int ours = shmipc_cas_acq_rel(&tx->line->claim, &claim,
				      claim | (__u64)state << SHMIPC_CLAIM_STATE);
	uint32_t done = shmipc_priv_tlog_words(tx, seq, n, ours ? state : SHMIPC_ENTRY_ABORTED);

	if (ours) {
		tx->sent += n;
		tx->bytes += bytes;
	}
	/* tlog.L0 -> tlog.L1: resolved before the claim is dropped, and no longer being filled. */
	shmipc_store_release(&tx->line->claim, (__u64)SHMIPC_CLAIM_NONE);
	shmipc_store_relaxed(&tx->line->sent, (__u64)tx->sent);
	shmipc_store_relaxed(&tx->line->bytes, (__u64)tx->bytes);
	ret->aborted = ours ? 0 : done;
	ret->wake = shmipc_priv_tlog_wanted(tx, seq, n);
	return ours ? 0 : -ECANCELED;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_ABORT_H */
