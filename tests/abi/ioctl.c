// SPDX-License-Identifier: MIT
/*
 * ioctl.c - pins the ioctls of /dev/shmipc, the same for 32-bit programs
 *
 * A struct may grow at its end, with a new size and a note in its header; nothing
 * listed here moves. There is nothing to run.
 */
#include <stddef.h>
#include <linux/shmipc.h>
#include "pin.h"

SIZE(shmipc_dev_info, 104);
AT(shmipc_dev_info, size, 0);
AT(shmipc_dev_info, abi, 4);
AT(shmipc_dev_info, caps, 8);
AT(shmipc_dev_info, layout_major, 16);
AT(shmipc_dev_info, layout_minor, 20);
AT(shmipc_dev_info, total_max_bytes, 24);
AT(shmipc_dev_info, total_bytes, 32);
AT(shmipc_dev_info, user_max_bytes, 40);
AT(shmipc_dev_info, user_bytes, 48);
AT(shmipc_dev_info, total_max_segs, 56);
AT(shmipc_dev_info, total_segs, 60);
AT(shmipc_dev_info, user_max_segs, 64);
AT(shmipc_dev_info, user_segs, 68);
AT(shmipc_dev_info, total_max_reserved, 72);
AT(shmipc_dev_info, total_reserved, 80);
AT(shmipc_dev_info, user_max_reserved, 88);
AT(shmipc_dev_info, user_reserved, 96);

SIZE(shmipc_dev_region, 24);
AT(shmipc_dev_region, off, 0);
AT(shmipc_dev_region, bytes, 8);
AT(shmipc_dev_region, roles, 16);
AT(shmipc_dev_region, reserved, 20);

SIZE(shmipc_dev_create, 184);
AT(shmipc_dev_create, size, 0);
AT(shmipc_dev_create, flags, 4);
AT(shmipc_dev_create, name, 8);
AT(shmipc_dev_create, name_len, 16);
AT(shmipc_dev_create, kind, 20);
AT(shmipc_dev_create, mode, 24);
AT(shmipc_dev_create, uid, 28);
AT(shmipc_dev_create, gid, 32);
AT(shmipc_dev_create, node, 36);
AT(shmipc_dev_create, peers, 40);
AT(shmipc_dev_create, nregions, 44);
AT(shmipc_dev_create, page, 48);
AT(shmipc_dev_create, data_off, 56);
AT(shmipc_dev_create, data_bytes, 64);
AT(shmipc_dev_create, body, 72);
AT(shmipc_dev_create, body_bytes, 80);
AT(shmipc_dev_create, regions, 88);
AT(shmipc_dev_create, role_max, 96);
AT(shmipc_dev_create, commit_bytes, 112);
AT(shmipc_dev_create, limit, 120);
AT(shmipc_dev_create, reserved1, 124);
AT(shmipc_dev_create, huge, 128);
AT(shmipc_dev_create, small, 132);
AT(shmipc_dev_create, id, 136);
AT(shmipc_dev_create, seal_words, 152);
AT(shmipc_dev_create, seal_off, 160);
AT(shmipc_dev_create, seal_bytes, 168);
AT(shmipc_dev_create, seal_unit, 176);

SIZE(shmipc_dev_name, 24);
AT(shmipc_dev_name, size, 0);
AT(shmipc_dev_name, flags, 4);
AT(shmipc_dev_name, name, 8);
AT(shmipc_dev_name, name_len, 16);
AT(shmipc_dev_name, reserved, 20);

SIZE(shmipc_dev_join, 8);
AT(shmipc_dev_join, size, 0);
AT(shmipc_dev_join, flags, 4);

SIZE(shmipc_dev_stat, 352);
AT(shmipc_dev_stat, size, 0);
AT(shmipc_dev_stat, flags, 4);
AT(shmipc_dev_stat, total_bytes, 8);
AT(shmipc_dev_stat, data_off, 16);
AT(shmipc_dev_stat, data_bytes, 24);
AT(shmipc_dev_stat, page_asked, 32);
AT(shmipc_dev_stat, page_got, 40);
AT(shmipc_dev_stat, node_asked, 48);
AT(shmipc_dev_stat, node_got, 52);
AT(shmipc_dev_stat, huge, 56);
AT(shmipc_dev_stat, small, 60);
AT(shmipc_dev_stat, kind, 64);
AT(shmipc_dev_stat, mode, 68);
AT(shmipc_dev_stat, uid, 72);
AT(shmipc_dev_stat, gid, 76);
AT(shmipc_dev_stat, peers, 80);
AT(shmipc_dev_stat, attached, 84);
AT(shmipc_dev_stat, waiters, 88);
AT(shmipc_dev_stat, opens, 92);
AT(shmipc_dev_stat, linked, 96);
AT(shmipc_dev_stat, name_len, 100);
AT(shmipc_dev_stat, created_ns, 104);
AT(shmipc_dev_stat, id, 112);
AT(shmipc_dev_stat, name, 128);
AT(shmipc_dev_stat, used_bytes, 336);
AT(shmipc_dev_stat, reserved_bytes, 344);

SIZE(shmipc_dev_list, 32);
AT(shmipc_dev_list, size, 0);
AT(shmipc_dev_list, flags, 4);
AT(shmipc_dev_list, after, 8);
AT(shmipc_dev_list, after_len, 16);
AT(shmipc_dev_list, reserved, 20);
AT(shmipc_dev_list, stat, 24);

SIZE(shmipc_dev_attach, 48);
AT(shmipc_dev_attach, size, 0);
AT(shmipc_dev_attach, flags, 4);
AT(shmipc_dev_attach, role, 8);
AT(shmipc_dev_attach, slot_min, 12);
AT(shmipc_dev_attach, slot_max, 16);
AT(shmipc_dev_attach, caps, 20);
AT(shmipc_dev_attach, slot, 24);
AT(shmipc_dev_attach, word, 28);
AT(shmipc_dev_attach, generation, 32);
AT(shmipc_dev_attach, busy, 40);
AT(shmipc_dev_attach, reserved, 44);

SIZE(shmipc_dev_detach, 16);
AT(shmipc_dev_detach, size, 0);
AT(shmipc_dev_detach, flags, 4);
AT(shmipc_dev_detach, busy, 8);
AT(shmipc_dev_detach, reserved, 12);

SIZE(shmipc_dev_wait, 40);
AT(shmipc_dev_wait, size, 0);
AT(shmipc_dev_wait, flags, 4);
AT(shmipc_dev_wait, off, 8);
AT(shmipc_dev_wait, val, 16);
AT(shmipc_dev_wait, peer, 20);
AT(shmipc_dev_wait, peer_val, 24);
AT(shmipc_dev_wait, reserved, 28);
AT(shmipc_dev_wait, deadline_ns, 32);

SIZE(shmipc_dev_wake, 24);
AT(shmipc_dev_wake, size, 0);
AT(shmipc_dev_wake, flags, 4);
AT(shmipc_dev_wake, off, 8);
AT(shmipc_dev_wake, n, 16);
AT(shmipc_dev_wake, woken, 20);

SIZE(shmipc_dev_poll, 32);
AT(shmipc_dev_poll, size, 0);
AT(shmipc_dev_poll, flags, 4);
AT(shmipc_dev_poll, off, 8);
AT(shmipc_dev_poll, val, 16);
AT(shmipc_dev_poll, peer, 20);
AT(shmipc_dev_poll, peer_val, 24);
AT(shmipc_dev_poll, reserved, 28);

SIZE(shmipc_dev_peer, 64);
AT(shmipc_dev_peer, state, 0);
AT(shmipc_dev_peer, role, 4);
AT(shmipc_dev_peer, slot, 8);
AT(shmipc_dev_peer, word, 12);
AT(shmipc_dev_peer, pid, 16);
AT(shmipc_dev_peer, caps, 20);
AT(shmipc_dev_peer, generation, 24);
AT(shmipc_dev_peer, since_ns, 32);
AT(shmipc_dev_peer, maps, 40);
AT(shmipc_dev_peer, flags, 44);
AT(shmipc_dev_peer, comm, 48);

SIZE(shmipc_dev_peers, 32);
AT(shmipc_dev_peers, size, 0);
AT(shmipc_dev_peers, flags, 4);
AT(shmipc_dev_peers, first, 8);
AT(shmipc_dev_peers, count, 12);
AT(shmipc_dev_peers, peers, 16);
AT(shmipc_dev_peers, peer_bytes, 24);
AT(shmipc_dev_peers, reserved, 28);

SIZE(shmipc_dev_death, 152);
AT(shmipc_dev_death, seq, 0);
AT(shmipc_dev_death, how, 8);
AT(shmipc_dev_death, code, 12);
AT(shmipc_dev_death, flags, 16);
AT(shmipc_dev_death, pid, 20);
AT(shmipc_dev_death, uid, 24);
AT(shmipc_dev_death, role, 28);
AT(shmipc_dev_death, slot, 32);
AT(shmipc_dev_death, caps, 36);
AT(shmipc_dev_death, generation, 40);
AT(shmipc_dev_death, start_ns, 48);
AT(shmipc_dev_death, since_ns, 56);
AT(shmipc_dev_death, at_ns, 64);
AT(shmipc_dev_death, mono_ns, 72);
AT(shmipc_dev_death, pos, 80);
AT(shmipc_dev_death, messages, 88);
AT(shmipc_dev_death, lag, 96);
AT(shmipc_dev_death, behind, 104);
AT(shmipc_dev_death, lost, 112);
AT(shmipc_dev_death, holding, 120);
AT(shmipc_dev_death, policy, 124);
AT(shmipc_dev_death, group, 128);
AT(shmipc_dev_death, waits_for, 132);
AT(shmipc_dev_death, comm, 136);

SIZE(shmipc_dev_deaths, 48);
AT(shmipc_dev_deaths, size, 0);
AT(shmipc_dev_deaths, flags, 4);
AT(shmipc_dev_deaths, after, 8);
AT(shmipc_dev_deaths, deaths, 16);
AT(shmipc_dev_deaths, count, 24);
AT(shmipc_dev_deaths, death_bytes, 28);
AT(shmipc_dev_deaths, total, 32);
AT(shmipc_dev_deaths, lost, 40);

SIZE(shmipc_dev_pages, 32);
AT(shmipc_dev_pages, size, 0);
AT(shmipc_dev_pages, flags, 4);
AT(shmipc_dev_pages, off, 8);
AT(shmipc_dev_pages, chunks, 16);
AT(shmipc_dev_pages, count, 24);
AT(shmipc_dev_pages, reserved, 28);

SIZE(shmipc_dev_commit, 48);
AT(shmipc_dev_commit, size, 0);
AT(shmipc_dev_commit, flags, 4);
AT(shmipc_dev_commit, off, 8);
AT(shmipc_dev_commit, bytes, 16);
AT(shmipc_dev_commit, reserved, 24);
AT(shmipc_dev_commit, changed, 32);
AT(shmipc_dev_commit, limit, 40);
AT(shmipc_dev_commit, reserved1, 44);

SIZE(shmipc_dev_fence, 32);
AT(shmipc_dev_fence, size, 0);
AT(shmipc_dev_fence, flags, 4);
AT(shmipc_dev_fence, slot, 8);
AT(shmipc_dev_fence, reserved, 12);
AT(shmipc_dev_fence, generation, 16);
AT(shmipc_dev_fence, deadline_ns, 24);

SIZE(shmipc_dev_seal, 40);
AT(shmipc_dev_seal, size, 0);
AT(shmipc_dev_seal, flags, 4);
AT(shmipc_dev_seal, off, 8);
AT(shmipc_dev_seal, bytes, 16);
AT(shmipc_dev_seal, seal, 24);
AT(shmipc_dev_seal, reserved, 32);

PIN(SHMIPC_IOC_INFO == 0xbc00);
PIN(SHMIPC_IOC_CREATE == 0xbc01);
PIN(SHMIPC_IOC_OPEN == 0xbc02);
PIN(SHMIPC_IOC_UNLINK == 0xbc03);
PIN(SHMIPC_IOC_LIST == 0xbc04);
PIN(SHMIPC_IOC_STAT == 0xbc05);
PIN(SHMIPC_IOC_ATTACH == 0xbc06);
PIN(SHMIPC_IOC_DETACH == 0xbc07);
PIN(SHMIPC_IOC_WAIT == 0xbc08);
PIN(SHMIPC_IOC_WAKE == 0xbc09);
PIN(SHMIPC_IOC_POLL_SET == 0xbc0a);
PIN(SHMIPC_IOC_PEERS == 0xbc0b);
PIN(SHMIPC_IOC_PAGES == 0xbc0c);
PIN(SHMIPC_IOC_JOIN == 0xbc0d);
PIN(SHMIPC_IOC_COMMIT == 0xbc0e);
PIN(SHMIPC_IOC_DEATHS == 0xbc0f);
PIN(SHMIPC_IOC_FENCE == 0xbc10);
PIN(SHMIPC_IOC_SEAL == 0xbc11);
