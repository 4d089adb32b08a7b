/* SPDX-License-Identifier: MIT */
/*
 * tlog_lend.h - the tail of a log, lent to a publisher that is alone
 *
 * Claiming a number costs a locked instruction, which waits until all earlier writes
 * have left the processor: usually a copy of 4 KiB. So a publisher that has claimed
 * many numbers in a row, with no other publisher between, is lent the tail together
 * with one of them. From then on it claims a number in three steps, without a lock:
 *
 *   it announces the number in its line, checks whether the tail is still lent to it,
 *   and when the message is complete it stores the next number in its line.
 *
 * Any other publisher that wants to publish recalls the tail: it marks the tail,
 * executes the expensive half of the asymmetric fence, and reads the owner's line. If
 * the owner checked before the fence, the announcement in its line is visible; if it
 * checks after the fence, it sees the mark. Either way the announced number is given
 * to the owner, and the tail is moved past it. An owner that sees the mark finds out
 * whether its number was given to it (it is claimed only by the owner, and the tail is past it)
 * and uses it, or claims another. If both are wrong, which only hostile peers can
 * cause, the number stays empty and is skipped like that of a dead publisher.
 *
 * The line of a dead owner no longer changes, so all recalls compute the same number.
 * (Biased locking; Dice, Moir, Scherer, 2001. But nobody ever waits for the owner
 * here.)
 */
#ifndef SHMIPC_TLOG_LEND_H
#define SHMIPC_TLOG_LEND_H

#include <shmipc/inline/tlog_memory.h>

SHMIPC_PRIV_C_BEGIN

/* Numbers claimed in a row before the tail is lent; four times as many after a recall. */
#define SHMIPC_LEND_AFTER	64u
#define SHMIPC_LEND_AFTER_MAX	65536u
#define SHMIPC_LEND_NEVER	UINT32_MAX

/* Neither committed nor aborted: the entry is of an earlier lap. */
SHMIPC_INLINE int shmipc_tlog_pending(uint64_t word, uint64_t seq)
{
	uint64_t is = word >> 2;

	return is < seq || (is == seq && !(word & 3));
}

SHMIPC_INLINE int shmipc_priv_tlog_covers(const struct shmipc_tlog *log, uint64_t claim, uint64_t seq)
{
	return claim != SHMIPC_CLAIM_NONE &&
	       seq - (claim >> SHMIPC_CLAIM_BITS) < (claim & log->claim_max);
}

/* Number of publishers' slots to check. */
SHMIPC_INLINE uint32_t shmipc_priv_tlog_pubs(const struct shmipc_tlog *log)
{
	/* Relaxed: the publisher that has claimed what we look for raised it before. */
	uint64_t n = shmipc_load_relaxed(&log->pub->pubs_used);

	return n < log->hdr.pubs ? (uint32_t)n : log->hdr.pubs;
}

SHMIPC_INLINE uint64_t shmipc_priv_lent_start(uint64_t tail)
{
	return (tail & ~(SHMIPC_TAIL_LENT | SHMIPC_TAIL_RECALLED)) >> SHMIPC_TAIL_START;
}

/* The owner's line. NULL: invalid. */
SHMIPC_INLINE struct shmipc_pub_line *shmipc_priv_lent_to(const struct shmipc_tlog *log,
							  uint64_t tail)
{
	uint64_t slot = tail & SHMIPC_TAIL_SLOT;

	return slot < log->hdr.pubs ? &log->pub_line[slot] : NULL;
}

SHMIPC_INLINE uint64_t shmipc_priv_lent_tail(const struct shmipc_tlog *log, uint64_t tail)
{
	const struct shmipc_pub_line *line = shmipc_priv_lent_to(log, tail);
	uint64_t start = shmipc_priv_lent_start(tail), next = 0;

	if (line)
		/* tlog.N1 <- tlog.N0: the number makes the messages before it visible. */
		next = shmipc_load_acquire(&line->next);
	return next > start ? next : start;
}

/**
 * shmipc_tlog_tail - the number of the next message
 * @log: the log
 *
 * Numbers before it have been claimed. While the tail is lent they have been
 * committed, too.
 */
SHMIPC_INLINE uint64_t shmipc_tlog_tail(const struct shmipc_tlog *log)
{
	/* tlog.T1 <- tlog.T0: the tail makes the claims of all numbers taken visible. */
	uint64_t tail = shmipc_load_acquire(&log->pub->tail);

	return shmipc_likely(!(tail & SHMIPC_TAIL_LENT)) ? tail : shmipc_priv_lent_tail(log, tail);
}

/* Has its owner announced @seq before the tail was recalled? Its claim then, else 0. */
SHMIPC_INLINE uint64_t shmipc_priv_lent_claim(const struct shmipc_tlog *log, uint64_t tail,
					      uint64_t seq)
{
	const struct shmipc_pub_line *line = shmipc_priv_lent_to(log, tail);
	uint64_t claim;

	if (!line || tail & SHMIPC_TAIL_RECALLED)
		return 0;
	/* tlog.L1 <- tlog.L0; and then the tail: it had not been recalled. */
	claim = shmipc_load_acquire(&line->claim);
	return shmipc_priv_tlog_covers(log, claim, seq) && shmipc_load_relaxed(&log->pub->tail) == tail ?
	       claim : 0;
}

/**
 * shmipc_tlog_claimed - has number @seq been claimed?
 * @log: the log
 * @seq: the number
 *
 * If its owner is alive, this may be an announcement that is still withdrawn.
 *
 * Return: 1; 0: no, or not decided yet.
 */
SHMIPC_INLINE int shmipc_tlog_claimed(const struct shmipc_tlog *log, uint64_t seq)
{
	/* tlog.T1 <- tlog.T0 */
	uint64_t tail = shmipc_load_acquire(&log->pub->tail);

	/* A single publisher moves the tail only after it has committed; a batch is announced. */
	if (log->hdr.pubs == 1)
		/* Relaxed: what matters is decided only when it is known to be dead. */
		return tail > seq ||
		       shmipc_priv_tlog_covers(log, shmipc_load_relaxed(&log->pub_line[0].claim), seq);
	if (!(tail & SHMIPC_TAIL_LENT))
		return tail > seq;
	return shmipc_priv_lent_tail(log, tail) > seq || !!shmipc_priv_lent_claim(log, tail, seq);
}

/* Is it still undecided which numbers are claimed? Soon it is decided: check again. */
SHMIPC_INLINE int shmipc_tlog_undecided(const struct shmipc_tlog *log)
{
	uint64_t tail = shmipc_load_relaxed(&log->pub->tail);

	return tail & SHMIPC_TAIL_LENT && tail & SHMIPC_TAIL_RECALLED;
}

/* tlog.B0 -> tlog.B1: marked before we read the line, by the fence that follows. */
SHMIPC_INLINE int shmipc_priv_tlog_mark(const struct shmipc_tlog *log, __u64 *tail)
{
	return shmipc_cas_acq_rel(&log->pub->tail, tail, *tail | SHMIPC_TAIL_RECALLED);
}

/**
 * shmipc_tlog_recall - take the tail back
 * @log:   the log
 * @own:   the caller's slot, if it is a publisher; it must have claimed nothing
 * @fence: the expensive half of the asymmetric fence; not called for the caller's own line
 *
 * Any publisher may call this, several at a time.
 *
 * Return: the number of the next message; or, after many tries, SHMIPC_TAIL_LENT
 * and so on, as before.
 */
SHMIPC_COLD uint64_t shmipc_tlog_recall(const struct shmipc_tlog *log, uint32_t own,
					      void (*fence)(void))
{
	/* Relaxed: a fence follows before the line is read, or the next claim. */
	__u64 tail = shmipc_load_relaxed(&log->pub->tail);
	const struct shmipc_pub_line *line;
	uint64_t to, claim;
	int tries;

	for (tries = 0; tail & SHMIPC_TAIL_LENT && tries < SHMIPC_TLOG_TRIES; tries++) {
		if (!(tail & SHMIPC_TAIL_RECALLED) && !shmipc_priv_tlog_mark(log, &tail))
			continue;
		tail |= SHMIPC_TAIL_RECALLED;
		line = shmipc_priv_lent_to(log, tail);
		if (line != &log->pub_line[own])
			fence();
		/* tlog.L1 <- tlog.L0: an owner that dropped its claim has stored the next number. */
		claim = line ? shmipc_load_acquire(&line->claim) : SHMIPC_CLAIM_NONE;
		to = shmipc_priv_lent_tail(log, tail);
		if (claim != SHMIPC_CLAIM_NONE &&
		    to < (claim >> SHMIPC_CLAIM_BITS) + (claim & log->claim_max))
			to = (claim >> SHMIPC_CLAIM_BITS) + (claim & log->claim_max);
		/* tlog.T0 -> tlog.T1 */
		if (shmipc_cas_acq_rel(&log->pub->tail, &tail, (__u64)to))
			tail = to;
	}
	return tail;
}

/* Recalled while we claimed @n numbers from @seq on: are they ours? */
SHMIPC_COLD int shmipc_priv_tlog_ours(const struct shmipc_tlog *log, uint64_t seq, uint32_t n,
					    uint32_t own)
{
	uint32_t slot, pubs = shmipc_priv_tlog_pubs(log);

	if (shmipc_tlog_tail(log) < seq + n)
		return 0;
	for (slot = 0; slot < pubs; slot++)
		/* tlog.L1 <- tlog.L0: a publisher that dropped its claim has committed. */
		if (slot != own &&
		    shmipc_priv_tlog_covers(log, shmipc_load_acquire(&log->pub_line[slot].claim), seq))
			return 0;
	return shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(log, seq)->word), seq);
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_LEND_H */
