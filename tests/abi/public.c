// SPDX-License-Identifier: MIT
/*
 * public.c - pins the structs that programs and the shared library share
 *
 * A program compiled with the headers of this SHMIPC_0.1 accesses these directly, so a
 * newer library must keep them as they are here. For 64 bits; there is nothing to run.
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

SIZE(shmipc_segment_opts, 72);
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
AT(shmipc_segment_opts, owner, 64);
AT(shmipc_segment_opts, reserved0, 68);

SIZE(shmipc_peer_opts, 16);
AT(shmipc_peer_opts, struct_bytes, 0);
AT(shmipc_peer_opts, spin_ns, 8);

SIZE(shmipc_lock_owner, 32);
AT(shmipc_lock_owner, slot, 0);
AT(shmipc_lock_owner, thread, 4);
AT(shmipc_lock_owner, generation, 8);
AT(shmipc_lock_owner, pid, 16);
AT(shmipc_lock_owner, reserved0, 20);

SIZE(shmipc_mutex_info, 80);
AT(shmipc_mutex_info, struct_bytes, 0);
AT(shmipc_mutex_info, owner, 8);
AT(shmipc_mutex_info, died, 40);
AT(shmipc_mutex_info, flags, 72);
AT(shmipc_mutex_info, deaths, 76);

SIZE(shmipc_rwlock_info, 128);
AT(shmipc_rwlock_info, struct_bytes, 0);
AT(shmipc_rwlock_info, writer, 8);
AT(shmipc_rwlock_info, reader, 40);
AT(shmipc_rwlock_info, died, 72);
AT(shmipc_rwlock_info, flags, 104);
AT(shmipc_rwlock_info, deaths, 108);
AT(shmipc_rwlock_info, readers, 112);
AT(shmipc_rwlock_info, reserved0, 116);
AT(shmipc_rwlock_info, freed, 120);

SIZE(shmipc_sem_info, 64);
AT(shmipc_sem_info, struct_bytes, 0);
AT(shmipc_sem_info, value, 8);
AT(shmipc_sem_info, units, 12);
AT(shmipc_sem_info, held, 16);
AT(shmipc_sem_info, flags, 20);
AT(shmipc_sem_info, freed, 24);
AT(shmipc_sem_info, holder, 32);

SIZE(shmipc_barrier_info, 24);
AT(shmipc_barrier_info, struct_bytes, 0);
AT(shmipc_barrier_info, count, 8);
AT(shmipc_barrier_info, arrived, 12);
AT(shmipc_barrier_info, round, 16);
AT(shmipc_barrier_info, broken, 20);

SIZE(shmipc_memory_limit, 288);
AT(shmipc_memory_limit, struct_bytes, 0);
AT(shmipc_memory_limit, max_bytes, 8);
AT(shmipc_memory_limit, used_bytes, 16);
AT(shmipc_memory_limit, room_bytes, 24);
AT(shmipc_memory_limit, group, 32);
SIZE(shmipc_segment_info, 392);
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
AT(shmipc_segment_info, memory_bytes, 328);
AT(shmipc_segment_info, huge_bytes, 336);

SIZE(shmipc_peer_info, 64);
AT(shmipc_peer_info, slot, 0);
AT(shmipc_peer_info, role, 4);
AT(shmipc_peer_info, state, 8);
AT(shmipc_peer_info, pid, 12);
AT(shmipc_peer_info, generation, 16);
AT(shmipc_peer_info, since_ns, 24);
AT(shmipc_peer_info, comm, 32);
AT(shmipc_peer_info, reserved0, 48);

SIZE(shmipc_segment_stat, 488);
AT(shmipc_segment_stat, info, 0);
AT(shmipc_segment_stat, in_use, 392);
AT(shmipc_segment_stat, tail_pos, 400);
AT(shmipc_segment_stat, tail_seq, 408);
AT(shmipc_segment_stat, head_pos, 416);
AT(shmipc_segment_stat, head_seq, 424);
AT(shmipc_segment_stat, npeers, 432);
AT(shmipc_segment_stat, peer, 440);
AT(shmipc_segment_stat, peer_cap, 448);
AT(shmipc_segment_stat, reserved0, 456);

SIZE(shmipc_death_info, 184);
AT(shmipc_death_info, seq, 0);
AT(shmipc_death_info, how, 8);
AT(shmipc_death_info, code, 12);
AT(shmipc_death_info, flags, 16);
AT(shmipc_death_info, pid, 20);
AT(shmipc_death_info, uid, 24);
AT(shmipc_death_info, role, 28);
AT(shmipc_death_info, slot, 32);
AT(shmipc_death_info, waits_for, 36);
AT(shmipc_death_info, generation, 40);
AT(shmipc_death_info, start_ns, 48);
AT(shmipc_death_info, since_ns, 56);
AT(shmipc_death_info, at_ns, 64);
AT(shmipc_death_info, mono_ns, 72);
AT(shmipc_death_info, pos, 80);
AT(shmipc_death_info, messages, 88);
AT(shmipc_death_info, lag, 96);
AT(shmipc_death_info, behind, 104);
AT(shmipc_death_info, lost, 112);
AT(shmipc_death_info, holding, 120);
AT(shmipc_death_info, policy, 124);
AT(shmipc_death_info, group, 128);
AT(shmipc_death_info, reserved1, 132);
AT(shmipc_death_info, comm, 136);
AT(shmipc_death_info, reserved0, 152);

SIZE(shmipc_deaths, 80);
AT(shmipc_deaths, struct_bytes, 0);
AT(shmipc_deaths, after, 8);
AT(shmipc_deaths, death, 16);
AT(shmipc_deaths, death_cap, 24);
AT(shmipc_deaths, ndeaths, 28);
AT(shmipc_deaths, total, 32);
AT(shmipc_deaths, lost, 40);
AT(shmipc_deaths, reserved0, 48);

SIZE(shmipc_channel_opts, 40);
AT(shmipc_channel_opts, struct_bytes, 0);
AT(shmipc_channel_opts, spin_ns, 8);
AT(shmipc_channel_opts, start, 16);
AT(shmipc_channel_opts, reserved0, 20);
AT(shmipc_channel_opts, stride, 24);
AT(shmipc_channel_opts, stride_at, 32);

SIZE(shmipc_channel, 208);
AT(shmipc_channel, end, 0);
AT(shmipc_channel, kind, 152);
AT(shmipc_channel, role, 156);
AT(shmipc_channel, peer_word, 160);
AT(shmipc_channel, peer_seen, 168);
AT(shmipc_channel, reserved0, 172);
AT(shmipc_channel, lost_now, 176);
AT(shmipc_channel, probe, 184);
AT(shmipc_channel, busy_tx, 192);
AT(shmipc_channel, busy_rx, 200);

SIZE(shmipc_channel_stat, 80);
AT(shmipc_channel_stat, struct_bytes, 0);
AT(shmipc_channel_stat, seq, 8);
AT(shmipc_channel_stat, pending, 16);
AT(shmipc_channel_stat, lost, 24);
AT(shmipc_channel_stat, sleeps, 32);
AT(shmipc_channel_stat, wakes, 40);
AT(shmipc_channel_stat, max_payload, 48);
AT(shmipc_channel_stat, peer_state, 56);
AT(shmipc_channel_stat, peer_pid, 60);
AT(shmipc_channel_stat, ticks, 64);
AT(shmipc_channel_stat, pauses, 72);

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

SIZE(shmipc_event, 328);
AT(shmipc_event, struct_bytes, 0);
AT(shmipc_event, type, 8);
AT(shmipc_event, error, 12);
AT(shmipc_event, noticed_ns, 16);
AT(shmipc_event, name, 24);
AT(shmipc_event, id, 232);
AT(shmipc_event, kind, 248);
AT(shmipc_event, reserved0, 252);
AT(shmipc_event, missed, 256);
AT(shmipc_event, end, 264);

SIZE(shmipc_topic_opts, 160);
AT(shmipc_topic_opts, struct_bytes, 0);
AT(shmipc_topic_opts, flags, 8);
AT(shmipc_topic_opts, publishers, 12);
AT(shmipc_topic_opts, subscribers, 16);
AT(shmipc_topic_opts, align, 20);
AT(shmipc_topic_opts, history, 24);
AT(shmipc_topic_opts, inline_bytes, 32);
AT(shmipc_topic_opts, pool_bytes, 40);
AT(shmipc_topic_opts, holds, 48);
AT(shmipc_topic_opts, meta, 52);
AT(shmipc_topic_opts, policies, 56);
AT(shmipc_topic_opts, mode, 60);
AT(shmipc_topic_opts, evict_ns, 64);
AT(shmipc_topic_opts, page, 72);
AT(shmipc_topic_opts, node, 80);
AT(shmipc_topic_opts, uid, 84);
AT(shmipc_topic_opts, gid, 88);
AT(shmipc_topic_opts, owner, 92);
AT(shmipc_topic_opts, abort_ns, 96);
AT(shmipc_topic_opts, fence_ns, 104);
AT(shmipc_topic_opts, seal_bytes, 112);
AT(shmipc_topic_opts, reserved1, 120);

SIZE(shmipc_pub_opts, 40);
AT(shmipc_pub_opts, struct_bytes, 0);
AT(shmipc_pub_opts, spin_ns, 8);
AT(shmipc_pub_opts, copier, 16);
AT(shmipc_pub_opts, chain, 24);
AT(shmipc_pub_opts, pool_from, 32);

SIZE(shmipc_pub, 160);
AT(shmipc_pub, tx, 0);
AT(shmipc_pub, live, 144);
AT(shmipc_pub, plain_end, 148);
AT(shmipc_pub, probe, 152);

SIZE(shmipc_buf, 16);
AT(shmipc_buf, ptr, 0);
AT(shmipc_buf, len, 8);

SIZE(shmipc_loan, 24);
AT(shmipc_loan, ptr, 0);
AT(shmipc_loan, len, 8);
AT(shmipc_loan, id, 16);

SIZE(shmipc_blocked, 48);
AT(shmipc_blocked, role, 0);
AT(shmipc_blocked, slot, 4);
AT(shmipc_blocked, policy, 8);
AT(shmipc_blocked, pid, 12);
AT(shmipc_blocked, pos, 16);
AT(shmipc_blocked, behind, 24);
AT(shmipc_blocked, comm, 32);

SIZE(shmipc_pub_stat, 104);
AT(shmipc_pub_stat, struct_bytes, 0);
AT(shmipc_pub_stat, id, 8);
AT(shmipc_pub_stat, sent, 16);
AT(shmipc_pub_stat, bytes, 24);
AT(shmipc_pub_stat, sleeps, 32);
AT(shmipc_pub_stat, wakes, 40);
AT(shmipc_pub_stat, evicted, 48);
AT(shmipc_pub_stat, next, 56);
AT(shmipc_pub_stat, max_message, 64);
AT(shmipc_pub_stat, ticks, 72);
AT(shmipc_pub_stat, pauses, 80);
AT(shmipc_pub_stat, fenced, 88);
AT(shmipc_pub_stat, fence_err, 96);

SIZE(shmipc_sub_opts, 72);
AT(shmipc_sub_opts, struct_bytes, 0);
AT(shmipc_sub_opts, spin_ns, 8);
AT(shmipc_sub_opts, start, 16);
AT(shmipc_sub_opts, iter, 20);
AT(shmipc_sub_opts, start_seq, 24);
AT(shmipc_sub_opts, policy, 32);
AT(shmipc_sub_opts, group, 36);
AT(shmipc_sub_opts, flags, 40);
AT(shmipc_sub_opts, reserved0, 44);
AT(shmipc_sub_opts, stride, 48);
AT(shmipc_sub_opts, stride_at, 56);
AT(shmipc_sub_opts, copier, 64);

SIZE(shmipc_msg, 88);
AT(shmipc_msg, ptr, 0);
AT(shmipc_msg, len, 8);
AT(shmipc_msg, seq, 16);
AT(shmipc_msg, pub_id, 24);
AT(shmipc_msg, pub_seq, 32);
AT(shmipc_msg, mono_ns, 40);
AT(shmipc_msg, wall_ns, 48);
AT(shmipc_msg, headers, 56);
AT(shmipc_msg, headers_len, 64);
AT(shmipc_msg, pub_slot, 72);
AT(shmipc_msg, hold, 76);
AT(shmipc_msg, seal, 80);

SIZE(shmipc_sub, 208);
AT(shmipc_sub, rx, 0);
AT(shmipc_sub, live, 184);
AT(shmipc_sub, plain, 188);
AT(shmipc_sub, last_seq, 192);
AT(shmipc_sub, busy, 200);

SIZE(shmipc_sub_stat, 104);
AT(shmipc_sub_stat, struct_bytes, 0);
AT(shmipc_sub_stat, next, 8);
AT(shmipc_sub_stat, received, 16);
AT(shmipc_sub_stat, lost, 24);
AT(shmipc_sub_stat, aborted, 32);
AT(shmipc_sub_stat, skipped, 40);
AT(shmipc_sub_stat, backlog, 48);
AT(shmipc_sub_stat, sleeps, 56);
AT(shmipc_sub_stat, policy, 64);
AT(shmipc_sub_stat, holds, 68);
AT(shmipc_sub_stat, ticks, 72);
AT(shmipc_sub_stat, pauses, 80);
AT(shmipc_sub_stat, meta, 88);
AT(shmipc_sub_stat, fence_err, 92);
AT(shmipc_sub_stat, fenced, 96);

SIZE(shmipc_topic_pub_info, 136);
AT(shmipc_topic_pub_info, peer, 0);
AT(shmipc_topic_pub_info, id, 64);
AT(shmipc_topic_pub_info, sent, 72);
AT(shmipc_topic_pub_info, bytes, 80);
AT(shmipc_topic_pub_info, waits, 88);
AT(shmipc_topic_pub_info, waits_for, 96);
AT(shmipc_topic_pub_info, chunks, 100);
AT(shmipc_topic_pub_info, reserved0, 104);

SIZE(shmipc_topic_sub_info, 144);
AT(shmipc_topic_sub_info, peer, 0);
AT(shmipc_topic_sub_info, policy, 64);
AT(shmipc_topic_sub_info, group, 68);
AT(shmipc_topic_sub_info, pos, 72);
AT(shmipc_topic_sub_info, lag, 80);
AT(shmipc_topic_sub_info, received, 88);
AT(shmipc_topic_sub_info, lost, 96);
AT(shmipc_topic_sub_info, holding, 104);
AT(shmipc_topic_sub_info, evicted, 108);
AT(shmipc_topic_sub_info, reserved0, 112);

SIZE(shmipc_topic_stat, 704);
AT(shmipc_topic_stat, struct_bytes, 0);
AT(shmipc_topic_stat, info, 8);
AT(shmipc_topic_stat, in_use, 400);
AT(shmipc_topic_stat, opts, 408);
AT(shmipc_topic_stat, max_message, 568);
AT(shmipc_topic_stat, tail, 576);
AT(shmipc_topic_stat, floor, 584);
AT(shmipc_topic_stat, entries, 592);
AT(shmipc_topic_stat, chunk_bytes, 600);
AT(shmipc_topic_stat, chunks, 608);
AT(shmipc_topic_stat, chunks_free, 612);
AT(shmipc_topic_stat, chunks_owned, 616);
AT(shmipc_topic_stat, chunks_held, 620);
AT(shmipc_topic_stat, pub, 624);
AT(shmipc_topic_stat, sub, 632);
AT(shmipc_topic_stat, pub_cap, 640);
AT(shmipc_topic_stat, sub_cap, 644);
AT(shmipc_topic_stat, npubs, 648);
AT(shmipc_topic_stat, nsubs, 652);
AT(shmipc_topic_stat, sent, 656);
AT(shmipc_topic_stat, bytes, 664);
AT(shmipc_topic_stat, waits, 672);
AT(shmipc_topic_stat, aborted, 680);
AT(shmipc_topic_stat, evictions, 688);
AT(shmipc_topic_stat, provisional, 696);
AT(shmipc_topic_stat, chunks_sealed, 700);

SIZE(shmipc_tlog_tx, 144);
AT(shmipc_tlog_tx, entry, 0);
AT(shmipc_tlog_tx, mask, 8);
AT(shmipc_tlog_tx, stride, 16);
AT(shmipc_tlog_tx, next, 24);
AT(shmipc_tlog_tx, limit, 32);
AT(shmipc_tlog_tx, info, 40);
AT(shmipc_tlog_tx, pub, 48);
AT(shmipc_tlog_tx, sub, 56);
AT(shmipc_tlog_tx, line, 64);
AT(shmipc_tlog_tx, entries, 72);
AT(shmipc_tlog_tx, sent, 80);
AT(shmipc_tlog_tx, bytes, 88);
AT(shmipc_tlog_tx, single, 96);
AT(shmipc_tlog_tx, slot, 100);
AT(shmipc_tlog_tx, full_fence, 104);
AT(shmipc_tlog_tx, log, 120);

SIZE(shmipc_tlog_rx, 184);
AT(shmipc_tlog_rx, entry, 0);
AT(shmipc_tlog_rx, mask, 8);
AT(shmipc_tlog_rx, stride, 16);
AT(shmipc_tlog_rx, seq, 24);
AT(shmipc_tlog_rx, end, 32);
AT(shmipc_tlog_rx, every, 40);
AT(shmipc_tlog_rx, pub, 48);
AT(shmipc_tlog_rx, line, 56);
AT(shmipc_tlog_rx, cell_bytes, 64);
AT(shmipc_tlog_rx, received, 72);
AT(shmipc_tlog_rx, lost, 80);
AT(shmipc_tlog_rx, aborted, 88);
AT(shmipc_tlog_rx, lost_from, 96);
AT(shmipc_tlog_rx, lost_to, 104);
AT(shmipc_tlog_rx, evicted, 112);
AT(shmipc_tlog_rx, whole, 120);
AT(shmipc_tlog_rx, told, 128);
AT(shmipc_tlog_rx, full_fence, 136);
AT(shmipc_tlog_rx, generation, 144);
AT(shmipc_tlog_rx, group, 152);
AT(shmipc_tlog_rx, holding, 160);
AT(shmipc_tlog_rx, err, 168);
AT(shmipc_tlog_rx, log, 176);

PIN(SHMIPC_CREATE == 1 && SHMIPC_EXCL == 2 && SHMIPC_PERSIST == 4);
PIN(SHMIPC_ON_NODE == 8 && SHMIPC_CHOWN == 16 && SHMIPC_CHGRP == 256);
PIN(SHMIPC_OWNED_BY == 512 && SHMIPC_OWNED_BY_ANY == 1024);
PIN(SHMIPC_START_NEW == 0 && SHMIPC_START_OLDEST == 1 && SHMIPC_START_NEWEST == 2);
PIN(SHMIPC_MUTEX_WAITERS == 1 && SHMIPC_MUTEX_ORPHAN == 2 && SHMIPC_MUTEX_LOST == 4);
PIN(SHMIPC_RWLOCK_WAITERS == 1 && SHMIPC_RWLOCK_ORPHAN == 2 && SHMIPC_RWLOCK_LOST == 4);
PIN(SHMIPC_RWLOCK_DRAINS == 8 && SHMIPC_SEM_WAITED_FOR == 1);
PIN(SHMIPC_FOREVER == UINT64_MAX && SHMIPC_SPIN_NEVER == UINT64_MAX);
PIN(SHMIPC_SPIN_ALWAYS == UINT64_MAX - 1);
PIN(SHMIPC_CAP_ROLES == 1 && SHMIPC_CAP_NO_TRUNCATE == 2 && SHMIPC_CAP_DEATH_WAKES == 4);
PIN(SHMIPC_CAP_WAITV == 8 && SHMIPC_CAP_MEMBARRIER == 16 && SHMIPC_CAP_SEAL == 64);
PIN(SHMIPC_HEADERS_MAGIC == 0x6873 && SHMIPC_HEADERS_VERSION == 1 && SHMIPC_HEADERS_HDR == 16);
PIN(SHMIPC_HEADERS_KEY_MAX == 255 && SHMIPC_HEADERS_VAL_MAX == 65536);
PIN(SHMIPC_HEADERS_MAX == 1 << 20);
PIN(SHMIPC_NO_CREATE == 32 && SHMIPC_NO_POOL == 64 && SHMIPC_START_SEQ == 3);
PIN(SHMIPC_ITER_NEXT == 0 && SHMIPC_ITER_NEWEST == 1 && SHMIPC_SUB_READ_ONLY == 1);
PIN(SHMIPC_WATCH_ENDS == 1 && SHMIPC_WATCH_NEW == 2);
PIN(SHMIPC_EVENT_APPEARED == 1 && SHMIPC_EVENT_GONE == 2 && SHMIPC_EVENT_JOINED == 3);
PIN(SHMIPC_EVENT_LEFT == 4 && SHMIPC_EVENT_DIED == 5 && SHMIPC_EVENT_LOST == 6);

SIZE(shmipc_counts, 72);
AT(shmipc_counts, count, 0);
AT(shmipc_counts, want, 8);
AT(shmipc_counts, line, 16);
AT(shmipc_counts, bell, 24);
AT(shmipc_counts, notifier, 32);
AT(shmipc_counts, ctl, 40);
AT(shmipc_counts, events, 48);
AT(shmipc_counts, stride, 52);
AT(shmipc_counts, notifiers, 56);
AT(shmipc_counts, listeners, 60);
AT(shmipc_counts, line_bytes, 64);

SIZE(shmipc_event_opts, 72);
AT(shmipc_event_opts, struct_bytes, 0);
AT(shmipc_event_opts, flags, 8);
AT(shmipc_event_opts, events, 12);
AT(shmipc_event_opts, notifiers, 16);
AT(shmipc_event_opts, listeners, 20);
AT(shmipc_event_opts, mode, 24);
AT(shmipc_event_opts, uid, 28);
AT(shmipc_event_opts, gid, 32);
AT(shmipc_event_opts, owner, 36);
AT(shmipc_event_opts, reserved0, 40);

SIZE(shmipc_notifier, 80);
AT(shmipc_notifier, counts, 0);
AT(shmipc_notifier, live, 72);
AT(shmipc_notifier, reserved0, 76);

SIZE(shmipc_listener_opts, 24);
AT(shmipc_listener_opts, struct_bytes, 0);
AT(shmipc_listener_opts, spin_ns, 8);
AT(shmipc_listener_opts, flags, 16);
AT(shmipc_listener_opts, reserved0, 20);

SIZE(shmipc_event_got, 32);
AT(shmipc_event_got, event, 0);
AT(shmipc_event_got, reserved0, 4);
AT(shmipc_event_got, count, 8);
AT(shmipc_event_got, missed, 16);
AT(shmipc_event_got, reserved1, 24);

SIZE(shmipc_listener_stat, 48);
AT(shmipc_listener_stat, struct_bytes, 0);
AT(shmipc_listener_stat, taken, 8);
AT(shmipc_listener_stat, missed, 16);
AT(shmipc_listener_stat, died, 24);
AT(shmipc_listener_stat, sleeps, 32);
AT(shmipc_listener_stat, ticks, 40);

SIZE(shmipc_event_end, 112);
AT(shmipc_event_end, peer, 0);
AT(shmipc_event_end, wakes, 64);
AT(shmipc_event_end, taken, 72);
AT(shmipc_event_end, missed, 80);
AT(shmipc_event_end, reserved0, 88);

SIZE(shmipc_event_stat, 464);
AT(shmipc_event_stat, struct_bytes, 0);
AT(shmipc_event_stat, info, 8);
AT(shmipc_event_stat, in_use, 400);
AT(shmipc_event_stat, events, 404);
AT(shmipc_event_stat, notifiers, 408);
AT(shmipc_event_stat, listeners, 412);
AT(shmipc_event_stat, total, 416);
AT(shmipc_event_stat, died, 424);
AT(shmipc_event_stat, count, 432);
AT(shmipc_event_stat, count_cap, 440);
AT(shmipc_event_stat, ends, 444);
AT(shmipc_event_stat, end, 448);
AT(shmipc_event_stat, end_cap, 456);
AT(shmipc_event_stat, reserved0, 460);

SIZE(shmipc_deadman_opts, 64);
AT(shmipc_deadman_opts, struct_bytes, 0);
AT(shmipc_deadman_opts, flags, 8);
AT(shmipc_deadman_opts, mode, 12);
AT(shmipc_deadman_opts, uid, 16);
AT(shmipc_deadman_opts, gid, 20);
AT(shmipc_deadman_opts, owner, 24);
AT(shmipc_deadman_opts, reserved0, 28);
AT(shmipc_deadman_opts, spin_ns, 32);
AT(shmipc_deadman_opts, reserved1, 40);

SIZE(shmipc_deadman_info, 88);
AT(shmipc_deadman_info, struct_bytes, 0);
AT(shmipc_deadman_info, term, 8);
AT(shmipc_deadman_info, since_ns, 16);
AT(shmipc_deadman_info, held, 24);
AT(shmipc_deadman_info, end, 28);
AT(shmipc_deadman_info, pid, 32);
AT(shmipc_deadman_info, reserved0, 36);
AT(shmipc_deadman_info, comm, 40);
AT(shmipc_deadman_info, reserved1, 56);

SIZE(shmipc_lock_opts, 72);
AT(shmipc_lock_opts, struct_bytes, 0);
AT(shmipc_lock_opts, flags, 8);
AT(shmipc_lock_opts, mode, 12);
AT(shmipc_lock_opts, uid, 16);
AT(shmipc_lock_opts, gid, 20);
AT(shmipc_lock_opts, owner, 24);
AT(shmipc_lock_opts, peers, 28);
AT(shmipc_lock_opts, type, 32);
AT(shmipc_lock_opts, reserved0, 36);
AT(shmipc_lock_opts, spin_ns, 40);
AT(shmipc_lock_opts, reserved1, 48);

SIZE(shmipc_lock_info, 144);
AT(shmipc_lock_info, struct_bytes, 0);
AT(shmipc_lock_info, state, 8);
AT(shmipc_lock_info, flags, 12);
AT(shmipc_lock_info, deaths, 16);
AT(shmipc_lock_info, peers, 20);
AT(shmipc_lock_info, owner, 24);
AT(shmipc_lock_info, died, 56);
AT(shmipc_lock_info, since_ns, 88);
AT(shmipc_lock_info, comm, 96);
AT(shmipc_lock_info, readers, 112);
AT(shmipc_lock_info, reserved0, 116);
AT(shmipc_lock_info, reserved1, 120);
