// SPDX-License-Identifier: MIT
/* public_queue.c - pins the structs of shmipc/queue.h; see public.c */
#include <stddef.h>
#include <shmipc/shmipc.h>
#include "pin.h"

SIZE(shmipc_queue_opts, 104);
AT(shmipc_queue_opts, struct_bytes, 0);
AT(shmipc_queue_opts, flags, 8);
AT(shmipc_queue_opts, producers, 12);
AT(shmipc_queue_opts, consumers, 16);
AT(shmipc_queue_opts, depth, 20);
AT(shmipc_queue_opts, levels, 24);
AT(shmipc_queue_opts, delivery, 28);
AT(shmipc_queue_opts, item_bytes, 32);
AT(shmipc_queue_opts, deliveries, 40);
AT(shmipc_queue_opts, mode, 44);
AT(shmipc_queue_opts, uid, 48);
AT(shmipc_queue_opts, gid, 52);
AT(shmipc_queue_opts, owner, 56);
AT(shmipc_queue_opts, reserved0, 60);
AT(shmipc_queue_opts, dead, 64);
AT(shmipc_queue_opts, reserved1, 72);

SIZE(shmipc_queue_how, 16);
AT(shmipc_queue_how, struct_bytes, 0);
AT(shmipc_queue_how, spin_ns, 8);

SIZE(shmipc_push_stat, 56);
AT(shmipc_push_stat, struct_bytes, 0);
AT(shmipc_push_stat, pushed, 8);
AT(shmipc_push_stat, waits, 16);
AT(shmipc_push_stat, sleeps, 24);
AT(shmipc_push_stat, ticks, 32);
AT(shmipc_push_stat, wakes, 40);
AT(shmipc_push_stat, used, 48);
AT(shmipc_push_stat, depth, 52);

SIZE(shmipc_queue_item, 64);
AT(shmipc_queue_item, data, 0);
AT(shmipc_queue_item, number, 8);
AT(shmipc_queue_item, bytes, 16);
AT(shmipc_queue_item, level, 20);
AT(shmipc_queue_item, deliveries, 24);
AT(shmipc_queue_item, from, 28);
AT(shmipc_queue_item, word, 32);
AT(shmipc_queue_item, cell, 40);
AT(shmipc_queue_item, flags, 44);
AT(shmipc_queue_item, reserved1, 48);

SIZE(shmipc_pop_stat, 56);
AT(shmipc_pop_stat, struct_bytes, 0);
AT(shmipc_pop_stat, taken, 8);
AT(shmipc_pop_stat, again, 16);
AT(shmipc_pop_stat, acked, 24);
AT(shmipc_pop_stat, returned, 32);
AT(shmipc_pop_stat, sleeps, 40);
AT(shmipc_pop_stat, ticks, 48);

SIZE(shmipc_queue_end, 128);
AT(shmipc_queue_end, peer, 0);
AT(shmipc_queue_end, pushed, 64);
AT(shmipc_queue_end, waits, 72);
AT(shmipc_queue_end, taken, 80);
AT(shmipc_queue_end, again, 88);
AT(shmipc_queue_end, acked, 96);
AT(shmipc_queue_end, returned, 104);
AT(shmipc_queue_end, has, 112);
AT(shmipc_queue_end, reserved0, 116);
AT(shmipc_queue_end, taken_ns, 120);

SIZE(shmipc_queue_stat, 800);
AT(shmipc_queue_stat, struct_bytes, 0);
AT(shmipc_queue_stat, info, 8);
AT(shmipc_queue_stat, in_use, 400);
AT(shmipc_queue_stat, producers, 404);
AT(shmipc_queue_stat, consumers, 408);
AT(shmipc_queue_stat, depth, 412);
AT(shmipc_queue_stat, levels, 416);
AT(shmipc_queue_stat, delivery, 420);
AT(shmipc_queue_stat, deliveries, 424);
AT(shmipc_queue_stat, ends, 428);
AT(shmipc_queue_stat, item_bytes, 432);
AT(shmipc_queue_stat, ready, 440);
AT(shmipc_queue_stat, taken, 504);
AT(shmipc_queue_stat, pushed, 512);
AT(shmipc_queue_stat, acked, 520);
AT(shmipc_queue_stat, again, 528);
AT(shmipc_queue_stat, lost, 536);
AT(shmipc_queue_stat, expired, 544);
AT(shmipc_queue_stat, invalid, 552);
AT(shmipc_queue_stat, end, 560);
AT(shmipc_queue_stat, end_cap, 568);
AT(shmipc_queue_stat, reserved0, 572);
AT(shmipc_queue_stat, dead, 576);
AT(shmipc_queue_stat, stuck, 584);
AT(shmipc_queue_stat, dead_queue, 592);

SIZE(shmipc_dead_letter, 272);
AT(shmipc_dead_letter, struct_bytes, 0);
AT(shmipc_dead_letter, reason, 8);
AT(shmipc_dead_letter, deliveries, 12);
AT(shmipc_dead_letter, copies, 16);
AT(shmipc_dead_letter, level, 20);
AT(shmipc_dead_letter, from, 24);
AT(shmipc_dead_letter, reserved0, 28);
AT(shmipc_dead_letter, number, 32);
AT(shmipc_dead_letter, at_ns, 40);
AT(shmipc_dead_letter, id, 48);
AT(shmipc_dead_letter, queue, 64);

PIN(SHMIPC_QUEUE_AT_MOST_ONCE == 1 && SHMIPC_QUEUE_ACKNOWLEDGED == 2);
