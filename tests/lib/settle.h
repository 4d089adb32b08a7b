/* SPDX-License-Identifier: MIT */
/* settle.h - what ends of a log do about numbers that dead publishers have claimed */
#ifndef TESTS_SETTLE_H
#define TESTS_SETTLE_H

#include <shmipc/inline/tlog_floor.h>
#include <shmipc/inline/tlog_rx.h>

/* As a publisher: how many were settled. */
static inline uint64_t settle_pub(const struct shmipc_tlog *log, uint32_t slot,
				  shmipc_tlog_alive_fn alive, void *arg)
{
	struct shmipc_tlog_settled n;

	shmipc_tlog_settle(log, slot, alive, arg, &n);
	return n.aborted + n.committed;
}

/* Take a slot: how many were settled. */
static inline uint64_t settle_init(struct shmipc_tlog_tx *tx, const struct shmipc_tlog *log,
				   uint32_t slot, shmipc_tlog_alive_fn alive, void *arg)
{
	struct shmipc_tlog_settled n;

	shmipc_tlog_tx_init(tx, log, slot, 7, alive, arg, &n);
	return n.aborted + n.committed;
}

static inline int settle_fate(const struct shmipc_tlog *log, uint64_t seq,
			      shmipc_tlog_alive_fn alive, void *arg)
{
	uint64_t word;

	return shmipc_tlog_fate(log, seq, alive, arg, &word);
}

/* As a subscriber, for its next message: enum shmipc_tlog_fate. */
static inline int settle_next(struct shmipc_tlog_rx *rx, const struct shmipc_tlog *log,
			      shmipc_tlog_alive_fn alive, void *arg)
{
	uint64_t word;
	int fate = shmipc_tlog_fate(log, rx->seq, alive, arg, &word);

	if (fate == SHMIPC_FATE_ABORTED)
		shmipc_tlog_step(rx);
	else if (fate == SHMIPC_FATE_WHOLE)
		shmipc_tlog_rx_whole(rx, word);
	return fate;
}

#endif /* TESTS_SETTLE_H */
