/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_queue.h - the layout of a work queue: many producers, competing consumers
 *
 * A queue is the body of a segment of kind SHMIPC_KIND_QUEUE (shmipc_layout.h). The peer
 * table holds the producers first (slots 0 to producers - 1), then the consumers. All
 * offsets count from the struct shmipc_queue_hdr.
 *
 *                                                   written by (dev backend)
 *   +---------------------------------------------+ 0
 *   | struct shmipc_queue_hdr         one page    |   nobody after creation
 *   +---------------------------------------------+ sides.read_off
 *   | struct shmipc_queue_ctl                     |   both
 *   | struct shmipc_queue_state       [producers] |
 *   | struct shmipc_queue_line        [consumers] |
 *   | __u64 words             [producers] [depth] |
 *   +---------------------------------------------+ sides.prod_off
 *   | struct shmipc_queue_tails       [producers] |   producers
 *   +---------------------------------------------+ a multiple of the page
 *   | area of the first producer:                 |   producers
 *   |   __u64 entries           [levels] [depth]  |
 *   |   __u32 bytes                      [depth]  |
 *   |   cells                  [depth], by stride |
 *   |   struct shmipc_queue_note         [depth]  |
 *   +---------------------------------------------+ area_bytes later
 *   | areas of the other producers                |
 *   +---------------------------------------------+
 *
 * Each producer has cells of its own, and each cell a word, which says what is in it:
 *
 *   FREE                   nothing
 *   READY     (position)   an item that nobody has taken
 *   TAKEN     (consumer)   an item that this consumer has, until it is done with it
 *   RETURNED               an item that was taken, and is to be handed out once more
 *
 * The word alone decides. The order in which items are handed out is that of the
 * entries, a ring for each level in which the producer writes the cells of its items one
 * after the other: tails say up to which position, heads how far consumers have come. An
 * entry whose word is not READY with its position is passed over.
 *
 * An area has memory at its start when its producer opens it, and the cells get it as
 * they are used. A reader has to check.
 *
 * An item that a consumer has moved here from another queue, as it was handed out too
 * often there, has a note, and SHMIPC_QUEUE_NOTED in its number of bytes.
 */
#ifndef _UAPI_LINUX_SHMIPC_QUEUE_H
#define _UAPI_LINUX_SHMIPC_QUEUE_H

#include <linux/shmipc_layout.h>
#include <linux/types.h>

/* "shmipcQU" as it lies in memory. */
#define SHMIPC_QUEUE_MAGIC	0x55516370696d6873ULL
#define SHMIPC_QUEUE_VERSION	1

#define SHMIPC_QUEUE_PRODUCERS_MAX	1024u
#define SHMIPC_QUEUE_CONSUMERS_MAX	1024u
#define SHMIPC_QUEUE_DEPTH_MAX	65536u
#define SHMIPC_QUEUE_CELLS_MAX	(1u << 20)	/* of all producers */
#define SHMIPC_QUEUE_LEVELS_MAX	8u
#define SHMIPC_QUEUE_ITEM_MAX	(1u << 30)	/* bytes */
#define SHMIPC_QUEUE_DATA_MAX	(1ULL << 42)	/* bytes, of all cells */

/* queue_hdr.sides.incompat: none is known yet. */
#define SHMIPC_QUEUE_INCOMPAT_KNOWN	0ULL

/* queue_hdr.flags */
#define SHMIPC_QUEUE_ACKED	0x1u	/* what a dead consumer had is handed out again */

/**
 * struct shmipc_queue_hdr - describes the queue; constant after creation
 * @sides:      SHMIPC_QUEUE_MAGIC and so on; readers are consumers, and producers may write
 *              the second side, too
 * @depth:      cells of each producer; a power of two
 * @levels:     1 to SHMIPC_QUEUE_LEVELS_MAX; larger numbers are handed out first
 * @flags:      0 or SHMIPC_QUEUE_ACKED
 * @deliveries: an item that was handed out so often is not handed out again; 0: no limit
 * @item_bytes: the largest item
 * @stride:     bytes from one cell to the next: @item_bytes, rounded up to SHMIPC_LINE
 * @area_bytes: bytes from one area to the next
 * @dead:       name of the queue for items that reach the limit, ends with a 0; or empty
 */
struct shmipc_queue_hdr {
	struct shmipc_sides_hdr sides;
	__u32	depth;
	__u32	levels;
	__u32	flags;
	__u32	deliveries;
	__u64	item_bytes;
	__u64	stride;
	__u64	area_bytes;
	char	dead[SHMIPC_NAME_MAX + 8];
	__u64	reserved0[3];
};

/**
 * struct shmipc_queue_ctl - words that all ends write
 * @returned:  grows after a living end has made an item RETURNED: consumers look for it
 * @producers: slots of producers that were ever taken are below this
 * @consumers: the same for consumers
 * @lost:      items that dead consumers had, of a queue that is not ACKED
 * @expired:   items that have reached the limit of deliveries
 * @invalid:   items that were dropped, as what describes them was invalid
 * @dead:      of those in @expired, items that were moved to the queue for them
 * @asleep:    a bit for each consumer that is going to sleep; who clears it wakes it
 */
struct shmipc_queue_ctl {
	__u64	returned;
	__u64	producers;
	__u64	consumers;
	__u64	lost;
	__u64	expired;
	__u64	invalid;
	__u64	dead;
	__u64	reserved0;
	__u64	asleep[SHMIPC_QUEUE_CONSUMERS_MAX / 64];
};

/**
 * struct shmipc_queue_state - of one producer, what others write, too
 * @head: of each level: the position of the first entry that has not been passed
 * @want: 1: the producer sleeps until one of its cells is free
 * @bell: grows when it is woken; the word that it sleeps on is its low half
 */
struct shmipc_queue_state {
	__u64	head[SHMIPC_QUEUE_LEVELS_MAX];
	__u64	want;
	__u64	bell;
	__u64	reserved0[6];
};

/**
 * struct shmipc_queue_line - the line of one consumer
 * @bell:     grows when it is woken; the word that it sleeps on is its low half
 * @taken:    items that consumers in this slot have taken
 * @again:    of these, items that had been taken before
 * @acked:    items that they were done with
 * @returned: items that they gave back
 * @taken_ns: when the last one of them took items last: CLOCK_MONOTONIC, to a few ms
 */
struct shmipc_queue_line {
	__u64	bell;
	__u64	taken;
	__u64	again;
	__u64	acked;
	__u64	returned;
	__u64	taken_ns;
	__u64	reserved0[2];
};

/**
 * struct shmipc_queue_tails - of one producer, what producers alone write
 * @tail:   of each level: the position of the next entry. To store it is what pushes
 * @pushed: items that producers in this slot have pushed
 * @waits:  how often they had to wait for a free cell
 */
struct shmipc_queue_tails {
	__u64	tail[SHMIPC_QUEUE_LEVELS_MAX];
	__u64	pushed;
	__u64	waits;
	__u64	reserved0[6];
};

/* In the bytes of an item, which are at most SHMIPC_QUEUE_ITEM_MAX. */
#define SHMIPC_QUEUE_NOTED	0x80000000u

/**
 * struct shmipc_queue_note - where a dead letter comes from
 * @reason:     enum shmipc_dead_reason, of shmipc/queue.h
 * @deliveries: how often it was handed out
 * @copies:     1; more: how often it was begun to move it, so that there may be so many copies
 * @level:      its level there, and so on to @number
 * @from:       slot of its producer
 * @number:     among those of its producer and level
 * @at_ns:      when it was moved, since 1970
 * @id:         of the segment
 * @queue:      its name, ends with a 0
 */
struct shmipc_queue_note {
	__u32	reason;
	__u32	deliveries;
	__u32	copies;
	__u32	level;
	__u32	from;
	__u32	reserved0;
	__u64	number;
	__u64	at_ns;
	__u8	id[16];
	char	queue[SHMIPC_NAME_MAX];
};

/*
 * A cell's word. READY: the position from SHMIPC_QUEUE_POS_SHIFT on. TAKEN: consumer,
 * bits of its generation and of the position, and how often it was handed out; RETURNED:
 * the same without the consumer.
 *
 *   bits  0..1   state
 *   bits  2..4   level
 *   bits  5..12  deliveries; 255: as many or more
 *   bits 13..22  number of the consumer   \ READY: bits 13..60 are the low
 *   bits 23..35  of its generation         } 48 bits of the position
 *   bits 36..63  of the position          /
 */
enum shmipc_queue_word {
	SHMIPC_QUEUE_FREE	= 0,
	SHMIPC_QUEUE_READY	= 1,
	SHMIPC_QUEUE_TAKEN	= 2,
	SHMIPC_QUEUE_RETURNED	= 3,
};

#define SHMIPC_QUEUE_STATE_MASK	3ULL
#define SHMIPC_QUEUE_LEVEL_SHIFT	2u
#define SHMIPC_QUEUE_TIMES_SHIFT	5u
#define SHMIPC_QUEUE_TIMES_MAX	255u
#define SHMIPC_QUEUE_POS_SHIFT	13u
#define SHMIPC_QUEUE_SLOT_SHIFT	13u
#define SHMIPC_QUEUE_SLOT_MASK	0x3ffULL
#define SHMIPC_QUEUE_GENERATION_SHIFT	23u
#define SHMIPC_QUEUE_GENERATION_MASK	0x1fffULL
#define SHMIPC_QUEUE_NUMBER_SHIFT	36u
#define SHMIPC_QUEUE_NUMBER_MASK	0xfffffffULL

/* An entry: the cell in the low 16 bits, then the low 48 bits of the position. */
#define SHMIPC_QUEUE_ENTRY_SHIFT	16u
#define SHMIPC_QUEUE_ENTRY_CELL	0xffffULL
#define SHMIPC_QUEUE_POS_MASK	0xffffffffffffULL

#endif /* _UAPI_LINUX_SHMIPC_QUEUE_H */
