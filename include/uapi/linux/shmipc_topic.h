/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_topic.h - the layout of a topic: a log of messages, and a pool for large ones
 *
 * A topic is the body of a segment of kind SHMIPC_KIND_TOPIC (shmipc_layout.h).
 * The peer table holds the publishers first (slots 0 to pubs - 1), then the
 * subscribers. All offsets count from the struct shmipc_topic_hdr.
 *
 *                                              written by (dev backend)
 *   +----------------------------------------+ 0
 *   | struct shmipc_topic_hdr     one page   |   nobody after creation
 *   | __u64 seal    [chunks]    whole pages  |   the kernel; only with SHMIPC_TOPIC_SEALS
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
 * A message is an entry of the log: its number, which counts from 0 without a gap,
 * modulo the number of entries. A small message is in the entry's cell, a large one in
 * the pool; then the cell has its location.
 *
 * Entries and pool need not have memory from the start (they may be a hole in a file):
 * it is committed as messages are published. Entries before pub_ctl.backed have memory,
 * and so has the chunk of each message. The lines of subscribers in slots below
 * sub_ctl.subs_used have it; everything before the first of these lines always has.
 *
 * Changes of SHMIPC_TOPIC_VERSION:
 *   2  the tail can be lent to a publisher (pub_line.next)
 *   3  memory is committed on demand (pub_ctl.backed, pub_ctl.trims, sub_line.reading);
 *      each subscriber says for which message it sleeps (sub_line.wants, sub_ctl.sleeps);
 *      a topic that only subscribers have opened is provisional (pub_ctl.shape)
 *
 * Features that must be known (topic_hdr.incompat) were added later; see below.
 */
#ifndef _UAPI_LINUX_SHMIPC_TOPIC_H
#define _UAPI_LINUX_SHMIPC_TOPIC_H

#include <linux/types.h>

/* "shmipcTP" as it lies in memory. */
#define SHMIPC_TOPIC_MAGIC	0x50546370696d6873ULL
#define SHMIPC_TOPIC_VERSION	3

#define SHMIPC_TOPIC_PUBS_MAX	1024u
#define SHMIPC_TOPIC_SUBS_MAX	3072u
#define SHMIPC_TOPIC_HOLDS_MAX	1024u
#define SHMIPC_TOPIC_GROUPS	64u
#define SHMIPC_TOPIC_CELL_MAX	65520u	/* a stride of 64 KiB at most */
#define SHMIPC_TOPIC_CHUNKS_MAX	65536u

/* topic_hdr.meta: fields before the payload of each message, 8 bytes each, in this order. */
#define SHMIPC_META_PUB_ID	0x1u	/* random number of the publisher */
#define SHMIPC_META_PUB_SEQ	0x2u	/* number of its messages before this one */
#define SHMIPC_META_MONO	0x4u	/* CLOCK_MONOTONIC, nanoseconds */
#define SHMIPC_META_WALL	0x8u	/* CLOCK_REALTIME, nanoseconds */
#define SHMIPC_META_ALL		0xfu

/* What happens when a subscriber falls behind. */
enum shmipc_policy {
	SHMIPC_POLICY_DEFAULT	= 0,	/* only in requests: LOSSY */
	SHMIPC_POLICY_LOSSY	= 1,	/* it loses messages; their number is reported to it */
	SHMIPC_POLICY_LOSSLESS	= 2,	/* publishers wait for it */
	SHMIPC_POLICY_EVICT	= 3,	/* publishers wait for evict_ns, then it is cut off */
};

/**
 * struct shmipc_topic_hdr - describes a topic; constant after creation
 * @magic:       SHMIPC_TOPIC_MAGIC, written last
 * @version:     SHMIPC_TOPIC_VERSION
 * @meta:        SHMIPC_META_*
 * @pubs:        publishers at a time; with 1, publishing needs no locked
 *               instruction
 * @subs:        subscribers at a time
 * @entries:     of the log; a power of two
 * @cell_bytes:  largest message in an entry; a multiple of 16
 * @stride:      bytes from one entry to the next
 * @align:       alignment of payloads, 8 to 4096; in cells at most 64
 * @holds:       messages in the pool that one subscriber may hold
 * @policies:    1 << enum shmipc_policy, or-ed: what subscribers may choose
 * @chunk_bytes: of the pool; a power of two
 * @chunks:      in the pool; 0: no pool
 * @evict_ns:    how long publishers wait for a subscriber of policy EVICT
 * @keep:        messages that are kept, as requested; @entries is slightly larger
 * @pub_off:     the offsets, see above
 * @sub_off:
 * @data_off:
 * @pool_off:
 * @incompat:    SHMIPC_TOPIC_*: features that a peer must know
 * @abort_ns:    with SHMIPC_TOPIC_ABORTS: how long a publisher may take from the claim of
 *               a number to its commit; else 0
 * @fence_ns:    with SHMIPC_TOPIC_FENCES: the same; else 0
 * @seal_bytes:  with SHMIPC_TOPIC_SEALS: messages of so many bytes or more are sealed; more
 *               than @cell_bytes; else 0
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
	__u64	abort_ns;
	__u64	fence_ns;
	__u64	seal_bytes;
};

/*
 * topic_hdr.incompat. ABORTS: a message that is claimed and not committed after abort_ns
 * may be aborted by others, although its publisher is alive. Only with several
 * publishers; the tail is never lent. FENCES: a publisher that takes longer than fence_ns
 * may be cut off by others (SHMIPC_IOC_FENCE), and is dead then. Only with several
 * publishers, and not with ABORTS.
 *
 * SEALS: large messages are sealed by the kernel before they are published. Such a message
 * has its chunks for itself. Their words in seal[] have the number of the seal, the same in
 * all, and 0 while a chunk may be written; SHMIPC_SEAL_BUSY may be set in them (linux/shmipc.h).
 * A publisher that takes a chunk has it unsealed first.
 */
#define SHMIPC_TOPIC_ABORTS		0x1ULL
#define SHMIPC_TOPIC_FENCES		0x2ULL
#define SHMIPC_TOPIC_SEALS		0x4ULL
#define SHMIPC_TOPIC_INCOMPAT_KNOWN	(SHMIPC_TOPIC_ABORTS | SHMIPC_TOPIC_FENCES | \
					 SHMIPC_TOPIC_SEALS)

/* topic_hdr's page is followed by seal[], with SHMIPC_TOPIC_SEALS. */
#define SHMIPC_TOPIC_SEAL_OFF		4096u

/*
 * While only one publisher publishes, the tail is lent to it: the word names that
 * publisher and the number from which on it is lent, and the number of the next message
 * is in the publisher's line (next). Another publisher that starts to publish recalls it.
 */
#define SHMIPC_TAIL_LENT	(1ULL << 63)
#define SHMIPC_TAIL_RECALLED	(1ULL << 62)	/* no number may be claimed */
#define SHMIPC_TAIL_START	10u		/* bits 10..61: the number */
#define SHMIPC_TAIL_SLOT	0x3ffULL	/* bits 0..9: the publisher's slot */

/**
 * struct shmipc_pub_ctl - words that all publishers write
 * @tail:      number of the next message, or SHMIPC_TAIL_LENT and so on
 * @floor:     messages before this one may be overwritten; only grows
 * @clear:     entries before this one may be reused: no subscriber that
 *             publishers wait for is behind it, and no publisher is writing there
 * @room_want: a publisher sleeps until a subscriber reaches this position; with several
 *             publishers the largest value, so it only grows
 * @pubs_used: slots of publishers that were ever taken are below this
 * @aborted:   claimed messages that were never published, as their publishers died or
 *             took too long
 * @evictions: number of subscribers that were cut off
 * @backed:    entries before this one have memory; only grows. A peer that must be sure
 *             asks the kernel
 * @trims:     how often memory of chunks was given back to the system; after each time,
 *             earlier knowledge of which chunks have memory is invalid
 * @shape:     enum shmipc_topic_shape; its low 32 bits are what subscribers of a
 *             provisional topic wait on
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
	__u64	backed;
	__u64	trims;
	__u64	shape;
};

/*
 * pub_ctl.shape. A subscriber without options creates a provisional topic, which has the
 * default shape. The first end that publishes or states options decides, once: if it
 * asks for the same shape the topic becomes final; otherwise the topic is superseded,
 * and another segment takes over its name. A process that finds a superseded topic under
 * the name replaces it, too. No message was ever published in a topic that is not final.
 */
enum shmipc_topic_shape {
	SHMIPC_SHAPE_FINAL		= 0,
	SHMIPC_SHAPE_PROVISIONAL	= 1,
	SHMIPC_SHAPE_SUPERSEDED		= 2,
};

#define SHMIPC_CLAIM_NONE	(~0ULL)
#define SHMIPC_CLAIM_BITS	12u	/* for the count */
#define SHMIPC_CLAIM_MAX	4095u

/*
 * With SHMIPC_TOPIC_ABORTS a claim also says what becomes of its messages, in the two
 * highest bits of the count: enum shmipc_entry_state. NONE: not decided. The publisher
 * decides that they are committed, or another peer that they are aborted, by a
 * compare-and-swap of the claim. The words of the entries follow, stored by anybody.
 */
#define SHMIPC_CLAIM_STATE	10u
#define SHMIPC_CLAIM_ABORTS_MAX	1023u	/* the largest count, then */

/**
 * struct shmipc_pub_line - the line of one publisher
 * @claim:     SHMIPC_CLAIM_NONE, or number << 12 | count of the messages that it
 *             is about to claim, or has claimed but not committed yet. With
 *             SHMIPC_TOPIC_ABORTS: and what becomes of them
 * @sent:      messages of all publishers that ever had this slot
 * @bytes:     payload bytes of these messages
 * @waits:     how often it waited for a subscriber or for the pool
 * @wait_slot: slot of the peer that it waits for now, plus 1; 0: none
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
 * A chunk of the pool. FREE: not in use. OWNED: a publisher fills it. RETIRED: filled;
 * it may be reused when its last message is before clear and no subscriber holds a
 * message in it. (Before the floor is not enough: a lossless subscriber that has just
 * opened may still have to read it.)
 */
#define SHMIPC_CHUNK_FREE	0ULL
#define SHMIPC_CHUNK_OWNED	1ULL	/* bits 2..17 slot, 18..63 generation */
#define SHMIPC_CHUNK_RETIRED	2ULL	/* bits 2..63 number of its last message */
#define SHMIPC_CHUNK_STATE	3ULL

/**
 * struct shmipc_sub_ctl - words that all subscribers write
 * @want:      the largest number of a message for which a subscriber sleeps, plus 1;
 *             a subscriber that finds it too large corrects it
 * @sleeps:    how often subscribers went to sleep: their lines (sub_line.wants) have changed
 * @subs_used: slots that were ever taken are below this
 */
struct shmipc_sub_ctl {
	__u64	want;
	__u64	sleeps;
	__u64	pad0[6];
	__u64	subs_used;
	__u64	pad1[7];
};

/**
 * struct shmipc_group_line - a group of subscribers that share the messages
 * @cursor: number of the next message to be taken, plus 1; 0: no member yet
 */
struct shmipc_group_line {
	__u64	cursor;
	__u64	reserved0[7];
};

#define SHMIPC_POS_NONE		(~0ULL)

/*
 * evicted[]: the generation of the subscriber that was cut off.
 * With DEAD, its holds have ended, too.
 */
#define SHMIPC_EVICTED_GENERATION	((1ULL << 48) - 1)
#define SHMIPC_EVICTED_DEAD		(1ULL << 63)

/**
 * struct shmipc_sub_line - the line of one subscriber
 * @pos:      number of the message that it will read next; for a group's member: of the
 *            message that it is taking, or SHMIPC_POS_NONE
 * @state:    0: not in use; bits 0..7 enum shmipc_policy, 8..15 group plus 1 or 0,
 *            16..63 generation of its peer slot
 * @holding:  number of its holds in use
 * @received: messages
 * @lost:     lost messages that were reported to it
 * @reading:  number plus 1 of the message in the pool that it reads without holding
 *            it; 0: none
 * @wants:    number plus 1 of the message for which it sleeps, or has slept last
 * @moves:    enum shmipc_moves
 *
 * @holds pairs of words follow: see struct shmipc_hold.
 */
struct shmipc_sub_line {
	__u64	pos;
	__u64	state;
	__u64	holding;
	__u64	received;
	__u64	lost;
	__u64	reading;
	__u64	wants;
	__u64	moves;
};

/* sub_line.moves: will it leave a provisional topic as soon as that is superseded? */
enum shmipc_moves {
	SHMIPC_MOVES_NOT	= 0,
	SHMIPC_MOVES_LATER	= 1,	/* it has waited in it, and is in no call now */
	SHMIPC_MOVES_NOW	= 2,	/* it waits in it */
};

/**
 * struct shmipc_hold - a message in the pool that must not be overwritten
 * @seq:    its number plus 1; 0: none
 * @chunks: bits 0..31 its first chunk, 32..63 its last
 */
struct shmipc_hold {
	__u64	seq;
	__u64	chunks;
};

enum shmipc_entry_state {
	SHMIPC_ENTRY_NONE	= 0,	/* not published yet */
	SHMIPC_ENTRY_CELL	= 1,	/* the message is in the cell */
	SHMIPC_ENTRY_POOL	= 2,	/* the cell has its location in the pool */
	SHMIPC_ENTRY_ABORTED	= 3,	/* its publisher died, or took too long: skip it */
};

#define SHMIPC_ENTRY_HDR	16u

/* entry.info */
#define SHMIPC_INFO_LEN		0xffffffffULL	/* bytes of payload */
#define SHMIPC_INFO_PREFIX	32		/* 16 bits: bytes before the payload, by 8 */
#define SHMIPC_INFO_PUB		48		/* 12 bits: slot of the publisher */
#define SHMIPC_INFO_HEADERS	(1ULL << 60)	/* a string multimap is in the prefix */

/**
 * struct shmipc_entry - one message; its cell follows
 * @word: number << 2 | enum shmipc_entry_state. In an entry of an earlier lap it is
 *        smaller. Sleepers wait on its low 32 bits
 * @info: SHMIPC_INFO_*
 *
 * Before the payload are the fields of topic_hdr.meta, then the multimap.
 */
struct shmipc_entry {
	__u64	word;
	__u64	info;
};

/* In the cell of an entry whose message is in the pool. */
struct shmipc_entry_pool {
	__u64	off;	/* offset of its prefix from pool_off */
	__u64	chunks;	/* as in struct shmipc_hold */
};

#endif /* _UAPI_LINUX_SHMIPC_TOPIC_H */
