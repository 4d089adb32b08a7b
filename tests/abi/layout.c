// SPDX-License-Identifier: MIT
/*
 * layout.c - pins the bytes of shared memory
 *
 * Two builds of the library meet in these structs, so a number here never
 * changes within one SHMIPC_LAYOUT_MAJOR. Compiled for 64 and for 32 bits; there
 * is nothing to run.
 */
#include <stddef.h>
#include <linux/shmipc_layout.h>
#include "pin.h"

SIZE(shmipc_seg_hdr, 360);
AT(shmipc_seg_hdr, magic, 0);
AT(shmipc_seg_hdr, layout_major, 8);
AT(shmipc_seg_hdr, layout_minor, 10);
AT(shmipc_seg_hdr, hdr_bytes, 12);
AT(shmipc_seg_hdr, incompat, 16);
AT(shmipc_seg_hdr, compat, 24);
AT(shmipc_seg_hdr, total_bytes, 32);
AT(shmipc_seg_hdr, peers_off, 40);
AT(shmipc_seg_hdr, body_off, 48);
AT(shmipc_seg_hdr, data_off, 56);
AT(shmipc_seg_hdr, data_bytes, 64);
AT(shmipc_seg_hdr, page_asked, 72);
AT(shmipc_seg_hdr, page_got, 80);
AT(shmipc_seg_hdr, node_asked, 88);
AT(shmipc_seg_hdr, node_got, 92);
AT(shmipc_seg_hdr, peers, 96);
AT(shmipc_seg_hdr, peer_bytes, 100);
AT(shmipc_seg_hdr, kind, 104);
AT(shmipc_seg_hdr, flags, 108);
AT(shmipc_seg_hdr, mode, 112);
AT(shmipc_seg_hdr, uid, 116);
AT(shmipc_seg_hdr, gid, 120);
AT(shmipc_seg_hdr, reserved0, 124);
AT(shmipc_seg_hdr, created_ns, 128);
AT(shmipc_seg_hdr, id, 136);
AT(shmipc_seg_hdr, name, 152);

SIZE(shmipc_seg_live, 64);
AT(shmipc_seg_live, peer_seq, 0);
AT(shmipc_seg_live, reserved0, 4);

SIZE(shmipc_peer_slot, 64);
AT(shmipc_peer_slot, word, 0);
AT(shmipc_peer_slot, state, 4);
AT(shmipc_peer_slot, role, 5);
AT(shmipc_peer_slot, caps, 6);
AT(shmipc_peer_slot, reserved0, 7);
AT(shmipc_peer_slot, generation, 8);
AT(shmipc_peer_slot, since_ns, 16);
AT(shmipc_peer_slot, hint_pid, 24);
AT(shmipc_peer_slot, hint_pidns, 28);
AT(shmipc_peer_slot, comm, 32);
AT(shmipc_peer_slot, reserved1, 48);

SIZE(shmipc_ring_hdr, 112);
AT(shmipc_ring_hdr, magic, 0);
AT(shmipc_ring_hdr, version, 8);
AT(shmipc_ring_hdr, kind, 12);
AT(shmipc_ring_hdr, align, 16);
AT(shmipc_ring_hdr, lots, 20);
AT(shmipc_ring_hdr, size, 24);
AT(shmipc_ring_hdr, prod_off, 32);
AT(shmipc_ring_hdr, cons_off, 40);
AT(shmipc_ring_hdr, wait_off, 48);
AT(shmipc_ring_hdr, meta_off, 56);
AT(shmipc_ring_hdr, meta_bytes, 64);
AT(shmipc_ring_hdr, data_off, 72);
AT(shmipc_ring_hdr, incompat, 80);
AT(shmipc_ring_hdr, reserved0, 88);

SIZE(shmipc_cursor, 24);
AT(shmipc_cursor, word, 0);
AT(shmipc_cursor, seq, 8);

SIZE(shmipc_mark, 16);
AT(shmipc_mark, pos, 0);
AT(shmipc_mark, seq, 8);

SIZE(shmipc_prod, 384);
AT(shmipc_prod, tail, 0);
AT(shmipc_prod, pad0, 24);
AT(shmipc_prod, want_pos, 64);
AT(shmipc_prod, floor_lot, 72);
AT(shmipc_prod, pad1, 80);
AT(shmipc_prod, marks, 128);

SIZE(shmipc_sides_hdr, 64);
AT(shmipc_sides_hdr, magic, 0);
AT(shmipc_sides_hdr, version, 8);
AT(shmipc_sides_hdr, kind, 12);
AT(shmipc_sides_hdr, producers, 16);
AT(shmipc_sides_hdr, readers, 20);
AT(shmipc_sides_hdr, prod_off, 24);
AT(shmipc_sides_hdr, prod_bytes, 32);
AT(shmipc_sides_hdr, read_off, 40);
AT(shmipc_sides_hdr, read_bytes, 48);
AT(shmipc_sides_hdr, incompat, 56);

SIZE(shmipc_cons, 128);
AT(shmipc_cons, head, 0);
AT(shmipc_cons, pad0, 24);
AT(shmipc_cons, credit_pos, 64);
AT(shmipc_cons, want_pos, 72);
AT(shmipc_cons, pad1, 80);

SIZE(shmipc_waiters, 64);
AT(shmipc_waiters, want_pos, 0);
AT(shmipc_waiters, pad0, 8);

/* A peer's slot, and words of different writers, have their own cache lines. */
PIN(sizeof(struct shmipc_peer_slot) % SHMIPC_LINE == 0);
PIN(offsetof(struct shmipc_prod, want_pos) % SHMIPC_LINE == 0);
PIN(offsetof(struct shmipc_cons, credit_pos) % SHMIPC_LINE == 0);
PIN(sizeof(struct shmipc_seg_hdr) <= SHMIPC_SEG_LIVE_OFF);
PIN(SHMIPC_SEG_LIVE_OFF == 2048u);
PIN(SHMIPC_SEG_LIVE_OFF + sizeof(struct shmipc_seg_live) <= SHMIPC_CTL_PAGE);
PIN(sizeof(struct shmipc_prod) <= SHMIPC_META_OFF);
PIN(SHMIPC_MARKS >= SHMIPC_LOTS + 3 && (SHMIPC_MARKS & (SHMIPC_MARKS - 1)) == 0);

/* "shmipcSG", "shmipcRG" */
#define WORD(a, b, c, d, e, f, g, h)							\
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 |		\
	 (__u64)(e) << 32 | (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)
PIN(SHMIPC_SEG_MAGIC == WORD('s', 'h', 'm', 'i', 'p', 'c', 'S', 'G'));
PIN(SHMIPC_RING_MAGIC == WORD('s', 'h', 'm', 'i', 'p', 'c', 'R', 'G'));

PIN(SHMIPC_LAYOUT_MAJOR == 1 && SHMIPC_LAYOUT_MINOR == 0);
PIN(SHMIPC_CTL_PAGE == 4096 && SHMIPC_LINE == 64 && SHMIPC_META_OFF == 512);
PIN(SHMIPC_LOTS == 8 && SHMIPC_REC_HDR == 8 && SHMIPC_NAME_MAX == 200);
PIN(SHMIPC_KIND_RAW == 1 && SHMIPC_KIND_SPSC == 2 && SHMIPC_KIND_BCAST == 3);
PIN(SHMIPC_ROLE_NONE == 0 && SHMIPC_ROLE_PRODUCER == 1);
PIN(SHMIPC_ROLE_CONSUMER == 2 && SHMIPC_ROLE_READER == 3 && SHMIPC_ROLE_MEMBER == 4);
PIN(SHMIPC_PEER_NONE == 0 && SHMIPC_PEER_ATTACHED == 1);
PIN(SHMIPC_PEER_LEFT == 2 && SHMIPC_PEER_DIED == 3);
PIN(SHMIPC_SEG_PERSISTENT == 1 && SHMIPC_SEG_PRIVATE == 2 && SHMIPC_SEG_ANON == 4 &&
    SHMIPC_SEG_WHOLE == 16);
PIN(SHMIPC_REC_NONE == 0 && SHMIPC_REC_DATA == 1 && SHMIPC_REC_PAD == 2);
/* The kernel's robust futex words. */
PIN(SHMIPC_PEER_TID_MASK == 0x3fffffff && SHMIPC_PEER_DEAD == 0x40000000 &&
    SHMIPC_PEER_WATCHED == 0x80000000u);
