// SPDX-License-Identifier: MIT
/*
 * public.c - pins the structs that programs and the shared library both know
 *
 * A program that was compiled with the headers of this SHMIPC_0.1 reads and
 * writes these by itself; a newer library finds them as they are here. For 64
 * bits; there is nothing to run.
 */
#include <shmipc/shmipc.h>
#include "pin.h"

SIZE(shmipc_ring_opts, 32);
AT(shmipc_ring_opts, kind, 0);
AT(shmipc_ring_opts, align, 4);
AT(shmipc_ring_opts, size, 8);
AT(shmipc_ring_opts, meta_bytes, 16);
AT(shmipc_ring_opts, data_off, 24);

SIZE(shmipc_ring, 80);
AT(shmipc_ring, base, 0);
AT(shmipc_ring, prod, 8);
AT(shmipc_ring, cons, 16);
AT(shmipc_ring, waiters, 24);
AT(shmipc_ring, data, 32);
AT(shmipc_ring, meta, 40);
AT(shmipc_ring, meta_bytes, 48);
AT(shmipc_ring, size, 56);
AT(shmipc_ring, bytes, 64);
AT(shmipc_ring, align, 72);
AT(shmipc_ring, kind, 76);

SIZE(shmipc_segment_opts, 64);
AT(shmipc_segment_opts, struct_bytes, 0);
AT(shmipc_segment_opts, kind, 8);
AT(shmipc_segment_opts, flags, 12);
AT(shmipc_segment_opts, bytes, 16);
AT(shmipc_segment_opts, align, 24);
AT(shmipc_segment_opts, peers, 28);
AT(shmipc_segment_opts, meta_bytes, 32);
AT(shmipc_segment_opts, page, 40);
AT(shmipc_segment_opts, mode, 48);
AT(shmipc_segment_opts, node, 52);
AT(shmipc_segment_opts, uid, 56);
AT(shmipc_segment_opts, gid, 60);

SIZE(shmipc_segment_info, 328);
AT(shmipc_segment_info, struct_bytes, 0);
AT(shmipc_segment_info, backend, 8);
AT(shmipc_segment_info, name, 16);
AT(shmipc_segment_info, id, 224);
AT(shmipc_segment_info, kind, 240);
AT(shmipc_segment_info, flags, 244);
AT(shmipc_segment_info, caps, 248);
AT(shmipc_segment_info, peers, 252);
AT(shmipc_segment_info, total_bytes, 256);
AT(shmipc_segment_info, data_bytes, 264);
AT(shmipc_segment_info, page_asked, 272);
AT(shmipc_segment_info, page_got, 280);
AT(shmipc_segment_info, node_asked, 288);
AT(shmipc_segment_info, node_got, 292);
AT(shmipc_segment_info, mode, 296);
AT(shmipc_segment_info, uid, 300);
AT(shmipc_segment_info, gid, 304);
AT(shmipc_segment_info, align, 308);
AT(shmipc_segment_info, meta_bytes, 312);
AT(shmipc_segment_info, created_ns, 320);

SIZE(shmipc_peer_info, 48);
AT(shmipc_peer_info, slot, 0);
AT(shmipc_peer_info, role, 4);
AT(shmipc_peer_info, state, 8);
AT(shmipc_peer_info, pid, 12);
AT(shmipc_peer_info, generation, 16);
AT(shmipc_peer_info, since_ns, 24);
AT(shmipc_peer_info, comm, 32);

SIZE(shmipc_segment_stat, 392);
AT(shmipc_segment_stat, info, 0);
AT(shmipc_segment_stat, in_use, 328);
AT(shmipc_segment_stat, tail_pos, 336);
AT(shmipc_segment_stat, tail_seq, 344);
AT(shmipc_segment_stat, head_pos, 352);
AT(shmipc_segment_stat, head_seq, 360);
AT(shmipc_segment_stat, npeers, 368);
AT(shmipc_segment_stat, peer, 376);
AT(shmipc_segment_stat, peer_cap, 384);

SIZE(shmipc_channel_opts, 40);
AT(shmipc_channel_opts, struct_bytes, 0);
AT(shmipc_channel_opts, spin_ns, 8);
AT(shmipc_channel_opts, start, 16);
AT(shmipc_channel_opts, reserved0, 20);
AT(shmipc_channel_opts, stride, 24);
AT(shmipc_channel_opts, stride_at, 32);

SIZE(shmipc_channel, 184);
AT(shmipc_channel, end, 0);
AT(shmipc_channel, kind, 152);
AT(shmipc_channel, role, 156);
AT(shmipc_channel, peer_word, 160);
AT(shmipc_channel, peer_seen, 168);
AT(shmipc_channel, reserved0, 172);
AT(shmipc_channel, lost_now, 176);

SIZE(shmipc_channel_stat, 64);
AT(shmipc_channel_stat, struct_bytes, 0);
AT(shmipc_channel_stat, seq, 8);
AT(shmipc_channel_stat, pending, 16);
AT(shmipc_channel_stat, lost, 24);
AT(shmipc_channel_stat, sleeps, 32);
AT(shmipc_channel_stat, wakes, 40);
AT(shmipc_channel_stat, max_payload, 48);
AT(shmipc_channel_stat, peer_state, 56);
AT(shmipc_channel_stat, peer_pid, 60);

SIZE(shmipc_headers, 256);
AT(shmipc_headers, heap, 0);
AT(shmipc_headers, cap, 8);
AT(shmipc_headers, used, 12);
AT(shmipc_headers, count, 16);
AT(shmipc_headers, reserved0, 20);
AT(shmipc_headers, room, 24);

SIZE(shmipc_headers_view, 16);
AT(shmipc_headers_view, ptr, 0);
AT(shmipc_headers_view, bytes, 8);
AT(shmipc_headers_view, count, 12);

SIZE(shmipc_headers_iter, 296);
AT(shmipc_headers_iter, ptr, 0);
AT(shmipc_headers_iter, off, 8);
AT(shmipc_headers_iter, end, 12);
AT(shmipc_headers_iter, left, 16);
AT(shmipc_headers_iter, key_len, 20);
AT(shmipc_headers_iter, value, 24);
AT(shmipc_headers_iter, len, 32);
AT(shmipc_headers_iter, key, 36);
AT(shmipc_headers_iter, reserved0, 292);

SIZE(shmipc_msg_meta, 56);
AT(shmipc_msg_meta, seq, 0);
AT(shmipc_msg_meta, pub_id, 8);
AT(shmipc_msg_meta, pub_seq, 16);
AT(shmipc_msg_meta, mono_ns, 24);
AT(shmipc_msg_meta, wall_ns, 32);
AT(shmipc_msg_meta, payload, 40);
AT(shmipc_msg_meta, len, 48);

SIZE(shmipc_middleware, 16);
AT(shmipc_middleware, fn, 0);
AT(shmipc_middleware, arg, 8);

SIZE(shmipc_middleware_chain, 16);
AT(shmipc_middleware_chain, link, 0);
AT(shmipc_middleware_chain, count, 8);
AT(shmipc_middleware_chain, cap, 12);

SIZE(shmipc_headers_const, 24);
AT(shmipc_headers_const, key, 0);
AT(shmipc_headers_const, value, 8);
AT(shmipc_headers_const, len, 16);

SIZE(shmipc_copier, 56);
AT(shmipc_copier, struct_bytes, 0);
AT(shmipc_copier, name, 8);
AT(shmipc_copier, alloc, 16);
AT(shmipc_copier, free, 24);
AT(shmipc_copier, to_shm, 32);
AT(shmipc_copier, from_shm, 40);
AT(shmipc_copier, arg, 48);

PIN(SHMIPC_CREATE == 1 && SHMIPC_EXCL == 2 && SHMIPC_PERSIST == 4);
PIN(SHMIPC_ON_NODE == 8 && SHMIPC_CHOWN == 16);
PIN(SHMIPC_START_NEW == 0 && SHMIPC_START_OLDEST == 1 && SHMIPC_START_NEWEST == 2);
PIN(SHMIPC_FOREVER == UINT64_MAX && SHMIPC_SPIN_NEVER == UINT64_MAX);
PIN(SHMIPC_SPIN_ALWAYS == UINT64_MAX - 1);
PIN(SHMIPC_CAP_ROLES == 1 && SHMIPC_CAP_NO_TRUNCATE == 2 && SHMIPC_CAP_DEATH_WAKES == 4);
PIN(SHMIPC_CAP_WAITV == 8 && SHMIPC_CAP_MEMBARRIER == 16);
PIN(SHMIPC_HEADERS_MAGIC == 0x6873 && SHMIPC_HEADERS_VERSION == 1 && SHMIPC_HEADERS_HDR == 16);
PIN(SHMIPC_HEADERS_KEY_MAX == 255 && SHMIPC_HEADERS_VAL_MAX == 65536);
PIN(SHMIPC_HEADERS_MAX == 1 << 20);
