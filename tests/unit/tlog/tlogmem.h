/* SPDX-License-Identifier: MIT */
/* tlogmem.h - a checked log in guarded memory, for tests, and short ways to use it */
#ifndef TEST_LOGMEM_H
#define TEST_LOGMEM_H

#include <shmipc/inline/tlog_rx.h>
#include <shmipc/inline/tlog_floor.h>
#include "mem.h"
#include "rng.h"
#include "settle.h"

struct tlogmem {
	struct mem m;
	struct shmipc_tlog log;
};

/* Options for tests that do not care; 16 entries. */
static inline struct shmipc_tlog_opts logmem_opts(void)
{
	struct shmipc_tlog_opts o = {
		.pubs = 3, .subs = 4, .keep = 8, .cell_bytes = 64, .align = 8, .holds = 4,
		.policies = 0xe, .chunk_bytes = 4096, .chunks = 4,
	};

	return o;
}

/* 0 or -1. */
static inline int logmem_get(struct tlogmem *l, enum mem_kind kind, const struct shmipc_tlog_opts *o)
{
	struct shmipc_topic_hdr h;
	uint64_t bytes;

	if (shmipc_tlog_layout(o, &h, &bytes) || mem_get(&l->m, kind, bytes))
		return -1;
	return shmipc_tlog_init(l->m.ptr, bytes, o) || shmipc_tlog_check(l->m.ptr, bytes, &l->log) ? -1 : 0;
}

/* As if @seq messages had been published and overwritten. */
static inline void logmem_age(struct tlogmem *l, uint64_t seq)
{
	uint64_t i;

	l->log.pub->tail = seq;
	l->log.pub->floor = seq;
	l->log.pub->clear = seq;
	for (i = seq > l->log.hdr.entries ? seq - l->log.hdr.entries : 0; i < seq; i++)
		shmipc_tlog_entry(&l->log, i)->word = i << 2 | SHMIPC_ENTRY_CELL;
}

/* shmipc_tlog_alive_fn: @arg: mask of dead publishers */
static inline int logmem_alive(void *arg, uint32_t slot)
{
	return !(*(uint64_t *)arg >> slot & 1);
}

static inline void logmem_tx(struct tlogmem *l, struct shmipc_tlog_tx *tx, uint32_t slot)
{
	static uint64_t none;

	(void)settle_init(tx, &l->log, slot, logmem_alive, &none);
}

/* Publish one message of 8 bytes, making room if needed. 0, or -EAGAIN and @b. */
static inline int logmem_put(struct shmipc_tlog_tx *tx, uint64_t v, struct shmipc_tlog_block *b)
{
	uint64_t seq;
	int tries;

	for (tries = 0; shmipc_tlog_claim(tx, 1, &seq); tries++)
		if (tries == 8 || shmipc_tlog_make_room(tx, 1, b))
			return -EAGAIN;
	shmipc_tlog_fill(tx, seq, NULL, 0, &v, sizeof(v), 0);
	(void)shmipc_tlog_commit(tx, seq, 1, SHMIPC_ENTRY_CELL, sizeof(v));
	return 0;
}

/* Peek and next. 0 and *@ret_v, or the error. */
static inline int logmem_take(struct shmipc_tlog_rx *rx, uint64_t *ret_v)
{
	struct shmipc_tlog_ref ref;
	int ret = shmipc_tlog_peek(rx, &ref);

	if (ret)
		return ret;
	shmipc_racy_read(ret_v, ref.ptr + ref.prefix_len, sizeof(*ret_v));
	ret = shmipc_tlog_next(rx);
	return ret < 0 ? ret : 0;
}

static inline void logmem_rx(struct tlogmem *l, struct shmipc_tlog_rx *rx, uint32_t start,
			     uint64_t every, uint64_t at)
{
	shmipc_tlog_rx_init(rx, &l->log);
	shmipc_tlog_rx_begin(rx, start, every, at);
}

#endif /* TEST_LOGMEM_H */
