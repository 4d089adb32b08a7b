/* SPDX-License-Identifier: MIT */
/* logmem.h - a checked log in guarded memory, for tests, and short ways to use it */
#ifndef TEST_LOGMEM_H
#define TEST_LOGMEM_H

#include <shmipc/log_rx.h>
#include <shmipc/log_floor.h>
#include "mem.h"
#include "rng.h"

struct logmem {
	struct mem m;
	struct shmipc_log log;
};

/* What tests make that do not care; 16 entries. */
static inline struct shmipc_log_opts logmem_opts(void)
{
	struct shmipc_log_opts o = {
		.pubs = 3, .subs = 4, .keep = 8, .cell_bytes = 64, .align = 8, .holds = 4,
		.policies = 0xe, .chunk_bytes = 4096, .chunks = 4,
	};

	return o;
}

/* 0 or -1. */
static inline int logmem_get(struct logmem *l, enum mem_kind kind, const struct shmipc_log_opts *o)
{
	struct shmipc_topic_hdr h;
	uint64_t bytes;

	if (shmipc_log_layout(o, &h, &bytes) || mem_get(&l->m, kind, bytes))
		return -1;
	return shmipc_log_init(l->m.ptr, bytes, o) || shmipc_log_check(l->m.ptr, bytes, &l->log) ? -1 : 0;
}

/* As if @seq messages had been published; they are gone. */
static inline void logmem_age(struct logmem *l, uint64_t seq)
{
	uint64_t i;

	l->log.pub->tail = seq;
	l->log.pub->floor = seq;
	l->log.pub->clear = seq;
	for (i = seq > l->log.hdr.entries ? seq - l->log.hdr.entries : 0; i < seq; i++)
		shmipc_log_entry(&l->log, i)->word = i << 2 | SHMIPC_ENTRY_CELL;
}

/* shmipc_log_alive_fn: @arg is a mask of the dead */
static inline int logmem_alive(void *arg, uint32_t slot)
{
	return !(*(uint64_t *)arg >> slot & 1);
}

static inline void logmem_tx(struct logmem *l, struct shmipc_log_tx *tx, uint32_t slot)
{
	static uint64_t none;

	(void)shmipc_log_tx_init(tx, &l->log, slot, 7, logmem_alive, &none);
}

/* One message of 8 bytes, with room made for it. 0, or -EAGAIN and @b. */
static inline int logmem_put(struct shmipc_log_tx *tx, uint64_t v, struct shmipc_log_block *b)
{
	uint64_t seq;
	int tries;

	for (tries = 0; shmipc_log_claim(tx, 1, &seq); tries++)
		if (tries == 8 || shmipc_log_make_room(tx, 1, b))
			return -EAGAIN;
	shmipc_log_fill(tx, seq, NULL, 0, &v, sizeof(v), 0);
	(void)shmipc_log_commit(tx, seq, 1, SHMIPC_ENTRY_CELL, sizeof(v));
	return 0;
}

/* Peek and next. 0 and *@ret_v, or the error. */
static inline int logmem_take(struct shmipc_log_rx *rx, uint64_t *ret_v)
{
	struct shmipc_log_ref ref;
	int ret = shmipc_log_peek(rx, &ref);

	if (ret)
		return ret;
	shmipc_racy_read(ret_v, ref.ptr + ref.prefix_len, sizeof(*ret_v));
	ret = shmipc_log_next(rx);
	return ret < 0 ? ret : 0;
}

static inline void logmem_rx(struct logmem *l, struct shmipc_log_rx *rx, uint32_t start,
			     uint64_t every, uint64_t at)
{
	shmipc_log_rx_init(rx, &l->log);
	shmipc_log_rx_begin(rx, start, every, at);
}

#endif /* TEST_LOGMEM_H */
