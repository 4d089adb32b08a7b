// SPDX-License-Identifier: MIT
/* queue.c - pins the layout of a work queue; see layout.c */
#include <stddef.h>
#include <linux/shmipc_queue.h>
#include "pin.h"

SIZE(shmipc_queue_hdr, 336);
AT(shmipc_queue_hdr, sides, 0);
AT(shmipc_queue_hdr, depth, 64);
AT(shmipc_queue_hdr, levels, 68);
AT(shmipc_queue_hdr, flags, 72);
AT(shmipc_queue_hdr, deliveries, 76);
AT(shmipc_queue_hdr, item_bytes, 80);
AT(shmipc_queue_hdr, stride, 88);
AT(shmipc_queue_hdr, area_bytes, 96);
AT(shmipc_queue_hdr, dead, 104);
AT(shmipc_queue_hdr, reserved0, 312);

SIZE(shmipc_queue_ctl, 192);
AT(shmipc_queue_ctl, returned, 0);
AT(shmipc_queue_ctl, producers, 8);
AT(shmipc_queue_ctl, consumers, 16);
AT(shmipc_queue_ctl, lost, 24);
AT(shmipc_queue_ctl, expired, 32);
AT(shmipc_queue_ctl, invalid, 40);
AT(shmipc_queue_ctl, dead, 48);
AT(shmipc_queue_ctl, reserved0, 56);
AT(shmipc_queue_ctl, asleep, 64);

SIZE(shmipc_queue_state, 128);
AT(shmipc_queue_state, head, 0);
AT(shmipc_queue_state, want, 64);
AT(shmipc_queue_state, bell, 72);
AT(shmipc_queue_state, reserved0, 80);

SIZE(shmipc_queue_line, 64);
AT(shmipc_queue_line, bell, 0);
AT(shmipc_queue_line, taken, 8);
AT(shmipc_queue_line, again, 16);
AT(shmipc_queue_line, acked, 24);
AT(shmipc_queue_line, returned, 32);
AT(shmipc_queue_line, taken_ns, 40);
AT(shmipc_queue_line, reserved0, 48);

SIZE(shmipc_queue_tails, 128);
AT(shmipc_queue_tails, tail, 0);
AT(shmipc_queue_tails, pushed, 64);
AT(shmipc_queue_tails, waits, 72);
AT(shmipc_queue_tails, reserved0, 80);

SIZE(shmipc_queue_note, 256);
AT(shmipc_queue_note, reason, 0);
AT(shmipc_queue_note, deliveries, 4);
AT(shmipc_queue_note, copies, 8);
AT(shmipc_queue_note, level, 12);
AT(shmipc_queue_note, from, 16);
AT(shmipc_queue_note, reserved0, 20);
AT(shmipc_queue_note, number, 24);
AT(shmipc_queue_note, at_ns, 32);
AT(shmipc_queue_note, id, 40);
AT(shmipc_queue_note, queue, 56);
PIN(SHMIPC_QUEUE_NOTED == 1u << 31);

/* What different ends write has cache lines of its own. */
PIN(sizeof(struct shmipc_queue_ctl) % SHMIPC_LINE == 0);
PIN(sizeof(struct shmipc_queue_state) == 2 * SHMIPC_LINE);
PIN(sizeof(struct shmipc_queue_line) == SHMIPC_LINE);
PIN(sizeof(struct shmipc_queue_tails) == 2 * SHMIPC_LINE);
PIN(sizeof(struct shmipc_queue_hdr) <= SHMIPC_CTL_PAGE);

/* "shmipcQU" */
PIN(SHMIPC_QUEUE_MAGIC == ((__u64)'s' | (__u64)'h' << 8 | (__u64)'m' << 16 | (__u64)'i' << 24 |
			   (__u64)'p' << 32 | (__u64)'c' << 40 | (__u64)'Q' << 48 |
			   (__u64)'U' << 56));
PIN(SHMIPC_QUEUE_VERSION == 1 && SHMIPC_KIND_QUEUE == 5 && SHMIPC_QUEUE_INCOMPAT_KNOWN == 0);
PIN(SHMIPC_QUEUE_PRODUCERS_MAX == 1024 && SHMIPC_QUEUE_CONSUMERS_MAX == 1024);
PIN(SHMIPC_QUEUE_DEPTH_MAX == 65536 && SHMIPC_QUEUE_CELLS_MAX == 1 << 20);
PIN(SHMIPC_QUEUE_LEVELS_MAX == 8 && SHMIPC_QUEUE_ITEM_MAX == 1 << 30);
PIN(SHMIPC_QUEUE_DATA_MAX == 1ULL << 42 && SHMIPC_QUEUE_ACKED == 1);
PIN(SHMIPC_QUEUE_FREE == 0 && SHMIPC_QUEUE_READY == 1 && SHMIPC_QUEUE_TAKEN == 2);
PIN(SHMIPC_QUEUE_RETURNED == 3 && SHMIPC_QUEUE_STATE_MASK == 3);
PIN(SHMIPC_QUEUE_LEVEL_SHIFT == 2 && SHMIPC_QUEUE_TIMES_SHIFT == 5 && SHMIPC_QUEUE_TIMES_MAX == 255);
PIN(SHMIPC_QUEUE_POS_SHIFT == 13 && SHMIPC_QUEUE_SLOT_SHIFT == 13 && SHMIPC_QUEUE_SLOT_MASK == 1023);
PIN(SHMIPC_QUEUE_GENERATION_SHIFT == 23 && SHMIPC_QUEUE_GENERATION_MASK == 8191);
PIN(SHMIPC_QUEUE_NUMBER_SHIFT == 36 && SHMIPC_QUEUE_NUMBER_MASK == 0xfffffff);
PIN(SHMIPC_QUEUE_ENTRY_SHIFT == 16 && SHMIPC_QUEUE_ENTRY_CELL == 65535);
PIN(SHMIPC_QUEUE_POS_MASK == (1ULL << 48) - 1);
