/* SPDX-License-Identifier: MIT */
/*
 * tlog_trim.h - giving the memory of chunks back to the system; see tlog_memory.h
 *
 * A publisher does it, and owns the chunks that it gives back:
 *
 *   take     chunks that nobody needs, as for a message: their last messages are before
 *            clear, and no subscriber holds one (lib/topic/pool.c)
 *   await    subscribers that still copy such a message without holding it. A subscriber
 *            writes the number into its own line, executes the cheap half of the
 *            asymmetric fence, and reads the floor. The publisher, which has seen clear,
 *            executes the expensive half, and reads the lines. So either the subscriber
 *            sees that it is too late, or the publisher sees that it reads
 *   raise    pub_ctl.trims: no end relies on what it knew of chunks
 *   give     their whole pages back
 *   free     the chunks. The publisher that takes one sees trims, and gets memory first
 *
 * If it is killed meanwhile, the next publisher that looks for room retires its chunks,
 * as those of any other.
 */
#ifndef SHMIPC_TLOG_TRIM_H
#define SHMIPC_TLOG_TRIM_H

#include <shmipc/inline/tlog_floor.h>

SHMIPC_PRIV_C_BEGIN

/**
 * shmipc_tlog_trim_from - begin: which messages were ever in the chunks that we have taken?
 * @tx: a publishing end
 *
 * Return: only messages before this one.
 */
SHMIPC_INLINE uint64_t shmipc_tlog_trim_from(const struct shmipc_tlog_tx *tx)
{
	/* Not older than the clear that allowed us to take our chunks. Relaxed: a full fence follows. */
	uint64_t clear = shmipc_load_relaxed(&tx->pub->clear);

	/* tlog.V0 -> tlog.V1: the floor, which is not before clear, then the lines. */
	tx->fence();
	return clear;
}

/**
 * shmipc_tlog_reads - does a subscriber read a message before @upto that it does not hold?
 * @log:       the log
 * @slot:      the subscriber's
 * @upto:      as returned by shmipc_tlog_trim_from()
 * @ret_state: the state in its line; to find out whether it is alive
 *
 * Once it does not, it will not.
 *
 * Return: its number plus 1, if the subscriber is alive. 0: no, and what it read of them
 * has been read.
 */
SHMIPC_INLINE uint64_t shmipc_tlog_reads(const struct shmipc_tlog *log, uint32_t slot, uint64_t upto,
					 uint64_t *ret_state)
{
	const struct shmipc_sub_line *line = shmipc_tlog_sub(log, slot);
	/* tlog.U1 <- tlog.U0 */
	uint64_t reading = shmipc_load_acquire(&line->reading);

	*ret_state = shmipc_load_relaxed(&line->state);
	return *ret_state && reading && reading - 1 < upto ? reading : 0;
}

/* What was known of the memory of chunks is no longer valid; now it can be given back. */
SHMIPC_INLINE void shmipc_tlog_trimmed(const struct shmipc_tlog *log)
{
	__u64 was = shmipc_load_relaxed(&log->pub->trims);

	/* tlog.X0 -> tlog.X1, by freeing the chunks. It fails if it was raised meanwhile, as good. */
	(void)shmipc_cas_acq_rel(&log->pub->trims, &was, was + 1);
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_TRIM_H */
