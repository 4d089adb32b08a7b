// SPDX-License-Identifier: MIT
/*
 * topic.c - pins the bytes of a topic in shared memory
 *
 * As layout.c does for the rest: a number here never changes within one
 * SHMIPC_TOPIC_VERSION. Compiled for 64 and for 32 bits; there is nothing to run.
 */
#include <stddef.h>
#include <linux/shmipc_layout.h>
#include <linux/shmipc_topic.h>
#include "pin.h"

SIZE(shmipc_topic_hdr, 144);
AT(shmipc_topic_hdr, magic, 0);
AT(shmipc_topic_hdr, version, 8);
AT(shmipc_topic_hdr, meta, 12);
AT(shmipc_topic_hdr, pubs, 16);
AT(shmipc_topic_hdr, subs, 20);
AT(shmipc_topic_hdr, entries, 24);
AT(shmipc_topic_hdr, cell_bytes, 32);
AT(shmipc_topic_hdr, stride, 36);
AT(shmipc_topic_hdr, align, 40);
AT(shmipc_topic_hdr, holds, 44);
AT(shmipc_topic_hdr, policies, 48);
AT(shmipc_topic_hdr, chunks, 52);
AT(shmipc_topic_hdr, chunk_bytes, 56);
AT(shmipc_topic_hdr, evict_ns, 64);
AT(shmipc_topic_hdr, keep, 72);
AT(shmipc_topic_hdr, pub_off, 80);
AT(shmipc_topic_hdr, sub_off, 88);
AT(shmipc_topic_hdr, data_off, 96);
AT(shmipc_topic_hdr, pool_off, 104);
AT(shmipc_topic_hdr, incompat, 112);
AT(shmipc_topic_hdr, abort_ns, 120);
AT(shmipc_topic_hdr, fence_ns, 128);
AT(shmipc_topic_hdr, seal_bytes, 136);

SIZE(shmipc_pub_ctl, 192);
AT(shmipc_pub_ctl, tail, 0);
AT(shmipc_pub_ctl, pad0, 8);
AT(shmipc_pub_ctl, floor, 64);
AT(shmipc_pub_ctl, pad1, 72);
AT(shmipc_pub_ctl, clear, 128);
AT(shmipc_pub_ctl, room_want, 136);
AT(shmipc_pub_ctl, pubs_used, 144);
AT(shmipc_pub_ctl, aborted, 152);
AT(shmipc_pub_ctl, evictions, 160);
AT(shmipc_pub_ctl, backed, 168);
AT(shmipc_pub_ctl, trims, 176);
AT(shmipc_pub_ctl, shape, 184);

SIZE(shmipc_pub_line, 64);
AT(shmipc_pub_line, claim, 0);
AT(shmipc_pub_line, sent, 8);
AT(shmipc_pub_line, bytes, 16);
AT(shmipc_pub_line, waits, 24);
AT(shmipc_pub_line, wait_slot, 32);
AT(shmipc_pub_line, id, 40);
AT(shmipc_pub_line, next, 48);
AT(shmipc_pub_line, reserved0, 56);

SIZE(shmipc_sub_ctl, 128);
AT(shmipc_sub_ctl, want, 0);
AT(shmipc_sub_ctl, sleeps, 8);
AT(shmipc_sub_ctl, pad0, 16);
AT(shmipc_sub_ctl, subs_used, 64);
AT(shmipc_sub_ctl, pad1, 72);

SIZE(shmipc_group_line, 64);
AT(shmipc_group_line, cursor, 0);
AT(shmipc_group_line, reserved0, 8);

SIZE(shmipc_sub_line, 64);
AT(shmipc_sub_line, pos, 0);
AT(shmipc_sub_line, state, 8);
AT(shmipc_sub_line, holding, 16);
AT(shmipc_sub_line, received, 24);
AT(shmipc_sub_line, lost, 32);
AT(shmipc_sub_line, reading, 40);
AT(shmipc_sub_line, wants, 48);
AT(shmipc_sub_line, moves, 56);

SIZE(shmipc_hold, 16);
AT(shmipc_hold, seq, 0);
AT(shmipc_hold, chunks, 8);

SIZE(shmipc_entry, 16);
AT(shmipc_entry, word, 0);
AT(shmipc_entry, info, 8);

SIZE(shmipc_entry_pool, 16);
AT(shmipc_entry_pool, off, 0);
AT(shmipc_entry_pool, chunks, 8);

/* Words of different writers, and each peer's line, have their own cache lines. */
PIN(offsetof(struct shmipc_pub_ctl, floor) % SHMIPC_LINE == 0);
PIN(offsetof(struct shmipc_pub_ctl, clear) % SHMIPC_LINE == 0);
PIN(offsetof(struct shmipc_sub_ctl, subs_used) % SHMIPC_LINE == 0);
PIN(sizeof(struct shmipc_pub_line) % SHMIPC_LINE == 0);
PIN(sizeof(struct shmipc_group_line) % SHMIPC_LINE == 0);
PIN(sizeof(struct shmipc_sub_line) % SHMIPC_LINE == 0);
PIN(sizeof(struct shmipc_topic_hdr) <= SHMIPC_CTL_PAGE);
PIN(sizeof(struct shmipc_entry) == SHMIPC_ENTRY_HDR);

/* "shmipcTP" */
PIN(SHMIPC_TOPIC_MAGIC == ((__u64)'s' | (__u64)'h' << 8 | (__u64)'m' << 16 | (__u64)'i' << 24 |
			   (__u64)'p' << 32 | (__u64)'c' << 40 | (__u64)'T' << 48 |
			   (__u64)'P' << 56));
PIN(SHMIPC_TOPIC_VERSION == 3 && SHMIPC_KIND_TOPIC == 4);
PIN(SHMIPC_TOPIC_PUBS_MAX == 1024 && SHMIPC_TOPIC_SUBS_MAX == 3072);
PIN(SHMIPC_TOPIC_HOLDS_MAX == 1024 && SHMIPC_TOPIC_GROUPS == 64);
PIN(SHMIPC_TOPIC_CELL_MAX == 65520 && SHMIPC_TOPIC_CHUNKS_MAX == 65536);
PIN(SHMIPC_META_PUB_ID == 1 && SHMIPC_META_PUB_SEQ == 2 && SHMIPC_META_MONO == 4);
PIN(SHMIPC_META_WALL == 8 && SHMIPC_META_ALL == 15);
PIN(SHMIPC_POLICY_DEFAULT == 0 && SHMIPC_POLICY_LOSSY == 1);
PIN(SHMIPC_POLICY_LOSSLESS == 2 && SHMIPC_POLICY_EVICT == 3);
PIN(SHMIPC_CLAIM_NONE == ~0ULL && SHMIPC_CLAIM_BITS == 12 && SHMIPC_CLAIM_MAX == 4095);
PIN(SHMIPC_CLAIM_STATE == 10 && SHMIPC_CLAIM_ABORTS_MAX == 1023);
PIN(SHMIPC_TOPIC_ABORTS == 1 && SHMIPC_TOPIC_FENCES == 2 && SHMIPC_TOPIC_SEALS == 4);
PIN(SHMIPC_TOPIC_INCOMPAT_KNOWN == 7);
PIN(SHMIPC_TOPIC_SEAL_OFF == 4096);
PIN(SHMIPC_CHUNK_FREE == 0 && SHMIPC_CHUNK_OWNED == 1 && SHMIPC_CHUNK_RETIRED == 2);
PIN(SHMIPC_CHUNK_STATE == 3 && SHMIPC_POS_NONE == ~0ULL);
PIN(SHMIPC_EVICTED_GENERATION == 0xffffffffffffULL && SHMIPC_EVICTED_DEAD == 1ULL << 63);
PIN(SHMIPC_ENTRY_NONE == 0 && SHMIPC_ENTRY_CELL == 1 && SHMIPC_ENTRY_POOL == 2);
PIN(SHMIPC_ENTRY_ABORTED == 3);
PIN(SHMIPC_INFO_LEN == 0xffffffffULL && SHMIPC_INFO_PREFIX == 32 && SHMIPC_INFO_PUB == 48);
PIN(SHMIPC_INFO_HEADERS == 1ULL << 60);
