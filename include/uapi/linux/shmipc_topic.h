/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_topic.h - the bytes of a topic: a log of messages, and a pool for the large
 *
 * A topic is the body of a segment of kind SHMIPC_KIND_TOPIC (shmipc_layout.h).
 * The peer table holds the publishers first (slots 0 to pubs - 1), then the
 * subscribers. All offsets count from the struct shmipc_topic_hdr.
 *
 *                                              who may write (dev backend)
 *   +----------------------------------------+ 0
 *   | struct shmipc_topic_hdr     one page   |   nobody after creation
 *   +----------------------------------------+ pub_off
 *   | struct shmipc_pub_ctl                  |   publishers
 *   | struct shmipc_pub_line [pubs]          |
 *   | __u64 evicted [subs]                   |
 *   | __u64 chunk   [chunks]                 |
 *   +----------------------------------------+ sub_off
 *   | struct shmipc_sub_ctl                  |   subscribers
 *   | struct shmipc_group_line [groups]      |
 *   | struct shmipc_sub_line + holds [subs]  |
 *   +----------------------------------------+ data_off
 *   | struct shmipc_entry + cell [entries]   |   publishers
 *   +----------------------------------------+ pool_off
 *   | chunks of the pool                     |   publishers
 *   +----------------------------------------+
 *
 * A message is an entry of the log. Its number, which counts from 0 without a
 * gap, says which: number modulo entries. A small message lies in the entry's
 * cell, a large one in the pool, and then the cell says where.
 */
#ifndef _UAPI_LINUX_SHMIPC_TOPIC_H
#define _UAPI_LINUX_SHMIPC_TOPIC_H

#include <linux/types.h>

/* "shmipcTP" as it lies in memory. */
#define SHMIPC_TOPIC_MAGIC	0x50546370696d6873ULL
#define SHMIPC_TOPIC_VERSION	2

#define SHMIPC_TOPIC_PUBS_MAX	1024u
#define SHMIPC_TOPIC_SUBS_MAX	3072u
#define SHMIPC_TOPIC_HOLDS_MAX	1024u
#define SHMIPC_TOPIC_GROUPS	64u
#define SHMIPC_TOPIC_CELL_MAX	65520u	/* a stride of 64 KiB at most */
#define SHMIPC_TOPIC_CHUNKS_MAX	65536u

/* topic_hdr.meta: what each message carries before its payload, 8 bytes each, in this order. */
#define SHMIPC_META_PUB_ID	0x1u	/* random number of the publisher */
#define SHMIPC_META_PUB_SEQ	0x2u	/* its messages before this one */
#define SHMIPC_META_MONO	0x4u	/* CLOCK_MONOTONIC, nanoseconds */
#define SHMIPC_META_WALL	0x8u	/* CLOCK_REALTIME, nanoseconds */
#define SHMIPC_META_ALL		0xfu

/* What happens to a subscriber that falls behind. */
enum shmipc_policy {
	SHMIPC_POLICY_DEFAULT	= 0,	/* only in requests: LOSSY */
	SHMIPC_POLICY_LOSSY	= 1,	/* it loses messages, and is told how many */
	SHMIPC_POLICY_LOSSLESS	= 2,	/* publishers wait for it */
	SHMIPC_POLICY_EVICT	= 3,	/* they wait for a while, then it is cut off */
};

/**
 * struct shmipc_topic_hdr - describes a topic; constant after creation
 * @magic:       SHMIPC_TOPIC_MAGIC, written last
 * @version:     SHMIPC_TOPIC_VERSION
 * @meta:        SHMIPC_META_*
 * @pubs:        publishers at a time; 1 makes a topic that is published to without
 *               a locked instruction
 * @subs:        subscribers at a time
 * @entries:     of the log; a power of two
 * @cell_bytes:  largest message in an entry; a multiple of 16
 * @stride:      bytes from one entry to the next
 * @align:       alignment of payloads, 8 to 4096; of those in cells 64 at most
 * @holds:       messages in the pool that one subscriber may hold
 * @policies:    1 << enum shmipc_policy, or-ed: what subscribers may choose
 * @chunk_bytes: of the pool; a power of two
 * @chunks:      in the pool; 0: no pool
 * @evict_ns:    publishers wait so long for a subscriber of policy EVICT
 * @keep:        messages that are kept, as asked for; @entries is a little more
 * @pub_off:     the offsets, see above
 * @sub_off:
 * @data_off:
 * @pool_off:
 */
struct shmipc_topic_hdr {
	__u64	magic;
	__u32	version;
	__u32	meta;
	__u32	pubs;
	__u32	subs;
	__u64	entries;
	__u32	cell_bytes;
	__u32	stride;
	__u32	align;
	__u32	holds;
	__u32	policies;
	__u32	chunks;
	__u64	chunk_bytes;
	__u64	evict_ns;
	__u64	keep;
	__u64	pub_off;
	__u64	sub_off;
	__u64	data_off;
	__u64	pool_off;
	__u64	incompat;
	__u64	reserved0[2];
};

/*
 * While one publisher is the only one that publishes, the tail is lent to it: the
 * word says to whom and from which number on, and the number of the next message
 * is in that publisher's line (next). Whoever else wants to publish recalls it.
 */
#define SHMIPC_TAIL_LENT	(1ULL << 63)
#define SHMIPC_TAIL_RECALLED	(1ULL << 62)	/* by somebody: no number may be taken */
#define SHMIPC_TAIL_START	10u		/* bits 10..61: the number */
#define SHMIPC_TAIL_SLOT	0x3ffULL	/* bits 0..9: the publisher */

/**
 * struct shmipc_pub_ctl - what all publishers write
 * @tail:      number of the next message, or SHMIPC_TAIL_LENT and so on
 * @floor:     messages before this one may be overwritten; only grows
 * @clear:     entries before this one may be written over: no subscriber that
 *             publishers wait for is behind it, and no publisher is writing there
 * @room_want: a publisher sleeps until a subscriber's position gets here; of several
 *             publishers the largest that one wants, which only grows
 * @pubs_used: slots of publishers that were ever taken are below this
 * @aborted:   messages that never came, as their publishers died
 * @evictions: subscribers that were cut off
 */
struct shmipc_pub_ctl {
	__u64	tail;
	__u64	pad0[7];
	__u64	floor;
	__u64	pad1[7];
	__u64	clear;
	__u64	room_want;
	__u64	pubs_used;
	__u64	aborted;
	__u64	evictions;
	__u64	pad2[3];
};

#define SHMIPC_CLAIM_NONE	(~0ULL)
#define SHMIPC_CLAIM_BITS	12u	/* for the count */
#define SHMIPC_CLAIM_MAX	4095u

/**
 * struct shmipc_pub_line - what one publisher writes
 * @claim:     SHMIPC_CLAIM_NONE, or number << 12 | count of the messages that it
 *             is about to claim, or has claimed and not committed yet
 * @sent:      messages of all who ever had this slot
 * @bytes:     in them
 * @waits:     times that it waited for a subscriber or for the pool
 * @wait_slot: peer slot of whom it waits for now, plus 1; 0: for nobody
 * @id:        random number of the publisher
 * @next:      while the tail is lent to it: number of the next message
 */
struct shmipc_pub_line {
	__u64	claim;
	__u64	sent;
	__u64	bytes;
	__u64	waits;
	__u64	wait_slot;
	__u64	id;
	__u64	next;
	__u64	reserved0;
};

/*
 * A chunk of the pool. FREE: nobody's. OWNED: a publisher fills it. RETIRED: no
 * one fills it; it may be taken when its last message is before clear and nobody
 * holds a message in it. (Before the floor is not enough: a subscriber that came
 * just then and loses nothing may still have to read it.)
 */
#define SHMIPC_CHUNK_FREE	0ULL
#define SHMIPC_CHUNK_OWNED	1ULL	/* bits 2..17 slot, 18..63 generation */
#define SHMIPC_CHUNK_RETIRED	2ULL	/* bits 2..63 number of its last message */
#define SHMIPC_CHUNK_STATE	3ULL

/**
 * struct shmipc_sub_ctl - what all subscribers write
 * @want:      the largest number of a message that one sleeps for, plus 1
 * @subs_used: slots that were ever taken are below this
 */
struct shmipc_sub_ctl {
	__u64	want;
	__u64	pad0[7];
	__u64	subs_used;
	__u64	pad1[7];
};

/**
 * struct shmipc_group_line - subscribers that share the messages among them
 * @cursor: number of the next message to be taken, plus 1; 0: no one came yet
 */
struct shmipc_group_line {
	__u64	cursor;
	__u64	reserved0[7];
};

#define SHMIPC_POS_NONE		(~0ULL)

/*
 * evicted[]: the generation of the subscriber that publishers wait for no longer.
 * With DEAD, what it holds is free as well.
 */
#define SHMIPC_EVICTED_GENERATION	((1ULL << 48) - 1)
#define SHMIPC_EVICTED_DEAD		(1ULL << 63)

/**
 * struct shmipc_sub_line - what one subscriber writes
 * @pos:      number of the message that it will read next; of a group's member:
 *            that it is taking, or SHMIPC_POS_NONE
 * @state:    0: nobody; bits 0..7 enum shmipc_policy, 8..15 group plus 1 or 0,
 *            16..63 generation of its peer slot
 * @holding:  its holds that are in use
 * @received: messages
 * @lost:     messages that it was told it lost
 *
 * @holds pairs of words follow: see struct shmipc_hold.
 */
struct shmipc_sub_line {
	__u64	pos;
	__u64	state;
	__u64	holding;
	__u64	received;
	__u64	lost;
	__u64	reserved0[3];
};

/**
 * struct shmipc_hold - a message in the pool that must stay
 * @seq:    its number plus 1; 0: none
 * @chunks: bits 0..31 the first chunk that it lies in, 32..63 the last
 */
struct shmipc_hold {
	__u64	seq;
	__u64	chunks;
};

enum shmipc_entry_state {
	SHMIPC_ENTRY_NONE	= 0,	/* not there yet */
	SHMIPC_ENTRY_CELL	= 1,	/* the message is in the cell */
	SHMIPC_ENTRY_POOL	= 2,	/* the cell says where it is */
	SHMIPC_ENTRY_ABORTED	= 3,	/* its publisher died: to be stepped over */
};

#define SHMIPC_ENTRY_HDR	16u

/* entry.info */
#define SHMIPC_INFO_LEN		0xffffffffULL	/* bytes of payload */
#define SHMIPC_INFO_PREFIX	32		/* 16 bits: bytes before the payload, in eights */
#define SHMIPC_INFO_PUB		48		/* 12 bits: slot of the publisher */
#define SHMIPC_INFO_HEADERS	(1ULL << 60)	/* a string multimap is in the prefix */

/**
 * struct shmipc_entry - one message; its cell follows
 * @word: number << 2 | enum shmipc_entry_state. What was there a lap ago has a
 *        smaller number. Its low 32 bits are what sleepers wait on
 * @info: SHMIPC_INFO_*
 *
 * Before the payload lie what topic_hdr.meta names, then the multimap.
 */
struct shmipc_entry {
	__u64	word;
	__u64	info;
};

/* In the cell of an entry whose message is in the pool. */
struct shmipc_entry_pool {
	__u64	off;	/* of its prefix, from pool_off */
	__u64	chunks;	/* as in struct shmipc_hold */
};

#endif /* _UAPI_LINUX_SHMIPC_TOPIC_H */
