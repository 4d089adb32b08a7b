/* SPDX-License-Identifier: MIT */
/* ringmem.h - a checked ring in guarded memory, for tests */
#ifndef TEST_RINGMEM_H
#define TEST_RINGMEM_H

#include <shmipc/ring.h>
#include "mem.h"

/* 0 or -1. */
static inline int ringmem_get(struct mem *m, enum mem_kind kind, struct shmipc_ring *ret,
			      uint32_t ring_kind, uint64_t size, uint32_t align)
{
	struct shmipc_ring_opts o = { .kind = ring_kind, .size = size, .align = align };
	struct shmipc_ring_hdr h;
	uint64_t bytes;

	if (shmipc_ring_layout(&o, &h, &bytes) || mem_get(m, kind, bytes))
		return -1;
	return shmipc_ring_init(m->ptr, bytes, &o) || shmipc_ring_check(m->ptr, bytes, ret) ? -1 : 0;
}

/* As if it had run for long: all positions at @pos (a lap's start), @seq messages. */
static inline void ringmem_age(struct shmipc_ring *r, uint64_t pos, uint64_t seq)
{
	uint64_t at = pos + shmipc_rec_first(r->align), lot = pos / (r->size / SHMIPC_LOTS);

	r->prod->tail.word = at;
	r->prod->tail.seq[0] = seq;
	if (r->cons) {
		r->cons->head = r->prod->tail;
		r->cons->credit_pos = at;
		return;
	}
	r->prod->floor_lot = lot;
	r->prod->marks[lot % SHMIPC_MARKS].pos = at;
	r->prod->marks[lot % SHMIPC_MARKS].seq = seq;
}

#endif /* TEST_RINGMEM_H */
