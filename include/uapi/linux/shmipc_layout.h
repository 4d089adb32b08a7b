/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_layout.h - the layout of shmipc's shared memory
 *
 * This is an ABI between processes: two builds of the library with the same
 * SHMIPC_LAYOUT_MAJOR which know each other's incompatible features can share a
 * segment. Its version is separate from that of the ioctls.
 *
 *   segment                                    written by (dev backend)
 *   +--------------------------------------+ 0
 *   | struct shmipc_seg_hdr                |   nobody after creation
 *   | struct shmipc_seg_live               |   the kernel
 *   +--------------------------------------+ peers_off
 *   | struct shmipc_peer_slot [peers]      |   the kernel
 *   +--------------------------------------+ body_off
 *   | struct shmipc_ring_hdr    one page   |   nobody after creation
 *   | struct shmipc_prod + user metadata   |   the producer
 *   | struct shmipc_cons        one page   |   the consumer
 *   | struct shmipc_waiters     one page   |   every reader
 *   +--------------------------------------+ data_off (multiple of the page)
 *   | records                              |   the producer
 *   +--------------------------------------+ total_bytes
 *
 * On the mem backend the pages are the same, but the roles are not enforced. This is the
 * body of a ring. That of a topic is described in shmipc_topic.h, that of the other kinds
 * at struct shmipc_sides_hdr.
 *
 * Changes:
 *   1.0  first layout
 */
#ifndef _UAPI_LINUX_SHMIPC_LAYOUT_H
#define _UAPI_LINUX_SHMIPC_LAYOUT_H

#include <linux/types.h>

#define SHMIPC_LAYOUT_MAJOR	1
#define SHMIPC_LAYOUT_MINOR	0

#define SHMIPC_CTL_PAGE		4096u	/* separates the pages of different roles */
#define SHMIPC_LINE		64u	/* separates words that different sides write */

/* "shmipcSG" and "shmipcRG" as they lie in memory; little endian only. */
#define SHMIPC_SEG_MAGIC	0x47536370696d6873ULL
#define SHMIPC_RING_MAGIC	0x47526370696d6873ULL

/* The incompatible features known to this version; a segment with others is refused. */
#define SHMIPC_FEAT_INCOMPAT_KNOWN	0ULL

/* What a segment contains. */
enum shmipc_kind {
	SHMIPC_KIND_ANY		= 0,	/* only in requests: any kind */
	SHMIPC_KIND_RAW		= 1,	/* bytes without structure */
	SHMIPC_KIND_SPSC	= 2,	/* lossless ring, one producer, one consumer */
	SHMIPC_KIND_BCAST	= 3,	/* overwriting log, one producer, many readers */
	SHMIPC_KIND_TOPIC	= 4,	/* publishers and subscribers: shmipc_topic.h */
	SHMIPC_KIND_QUEUE	= 5,	/* producers and consumers: shmipc_queue.h */
	SHMIPC_KIND_EVENT	= 6,	/* notifiers and listeners: shmipc_event.h */
	SHMIPC_KIND_DEADMAN	= 7,	/* a role that one process holds: shmipc_deadman.h */
	SHMIPC_KIND_LOCK	= 8,	/* a lock that has a name: shmipc_lock_named.h */
};

enum shmipc_role {
	SHMIPC_ROLE_NONE	= 0,	/* read-only; takes no slot */
	SHMIPC_ROLE_PRODUCER	= 1,
	SHMIPC_ROLE_CONSUMER	= 2,
	SHMIPC_ROLE_READER	= 3,
	SHMIPC_ROLE_MEMBER	= 4,	/* raw: all have the same rights */
};

enum shmipc_peer_state {
	SHMIPC_PEER_NONE	= 0,	/* never taken */
	SHMIPC_PEER_ATTACHED	= 1,
	SHMIPC_PEER_LEFT	= 2,	/* left by closing */
	SHMIPC_PEER_DIED	= 3,	/* was killed, or exited without closing */
};

/* seg_hdr.flags */
#define SHMIPC_SEG_PERSISTENT	0x1u	/* stays when the last peer has gone */
#define SHMIPC_SEG_PRIVATE	0x2u	/* one process, no descriptor */
#define SHMIPC_SEG_ANON		0x4u	/* sealed memfd, no name */
#define SHMIPC_SEG_UNNAMED	0x10u	/* only in infos: its name was removed while it is in use */
#define SHMIPC_SEG_FINISHED	0x8u	/* mem: of the past; another can be created in the file */
#define SHMIPC_SEG_WHOLE	0x10u	/* a topic that took all memory at creation, and keeps it */

#define SHMIPC_NAME_MAX		200	/* bytes, without the final 0 */

/**
 * struct shmipc_seg_hdr - first page of a segment; constant after creation
 * @magic:         SHMIPC_SEG_MAGIC
 * @layout_major:  refused when it differs from the reader's
 * @layout_minor:  only adds fields; readers ignore those that they do not know
 * @hdr_bytes:     sizeof this struct at creation
 * @incompat:      features that a peer must know (SHMIPC_FEAT_INCOMPAT_*)
 * @compat:        features that a peer may ignore
 * @total_bytes:   length of the whole segment
 * @peers_off:     byte offset of the peer table
 * @body_off:      byte offset of the body, which depends on @kind (ring header)
 * @data_off:      byte offset of the data; a multiple of @page_got except on
 *                 hugetlbfs, where control and data share pages
 * @data_bytes:    bytes of data
 * @page_asked:    page size asked for; 0 is "auto"
 * @page_got:      smallest page size that backs the data, as obtained
 * @node_asked:    NUMA node asked for; -1 is "any"
 * @node_got:      NUMA node of the first data page; -1 is unknown
 * @peers:         slots in the peer table
 * @peer_bytes:    bytes from one slot to the next
 * @kind:          enum shmipc_kind
 * @flags:         SHMIPC_SEG_*
 * @mode:          permission bits
 * @uid:           owner at creation
 * @gid:           group at creation
 * @created_ns:    CLOCK_REALTIME at creation
 * @id:            random, never reused
 * @name:          as given at creation, ends with a 0; empty when anonymous
 */
struct shmipc_seg_hdr {
	__u64	magic;
	__u16	layout_major;
	__u16	layout_minor;
	__u32	hdr_bytes;
	__u64	incompat;
	__u64	compat;
	__u64	total_bytes;
	__u64	peers_off;
	__u64	body_off;
	__u64	data_off;
	__u64	data_bytes;
	__u64	page_asked;
	__u64	page_got;
	__s32	node_asked;
	__s32	node_got;
	__u32	peers;
	__u32	peer_bytes;
	__u32	kind;
	__u32	flags;
	__u32	mode;
	__u32	uid;
	__u32	gid;
	__u32	reserved0;
	__u64	created_ns;
	__u8	id[16];
	char	name[SHMIPC_NAME_MAX + 8];
};

#define SHMIPC_SEG_LIVE_OFF	2048u	/* in the first page */

/**
 * struct shmipc_seg_live - the part of the first page that changes
 * @peer_seq: mem: grows when a peer has attached and its word can be watched, before it
 *            does anything that a sleeper might wait for. A sleeper that watches the
 *            words of several peers also sleeps on this word, and reads it before theirs.
 *            dev: grows whenever a peer attaches, leaves or dies
 */
struct shmipc_seg_live {
	__u32	peer_seq;
	__u32	reserved0[15];
};

/*
 * peer_slot.word: the word that a sleeper watches in addition to its position word.
 * It holds the thread id of the owner's keeper thread (in the owner's PID
 * namespace; other processes do not interpret it) in the low 30 bits, as the kernel's
 * robust-futex protocol requires. The kernel sets bit 30 when the owner dies.
 */
#define SHMIPC_PEER_TID_MASK	0x3fffffffu
#define SHMIPC_PEER_DEAD	0x40000000u	/* FUTEX_OWNER_DIED */
#define SHMIPC_PEER_WATCHED	0x80000000u	/* FUTEX_WAITERS */
/* In place of a thread id: attached, but without a keeper; watch the lock. */
#define SHMIPC_PEER_NO_KEEPER	0x3fffffffu

/**
 * struct shmipc_peer_slot - one end of a segment
 * @word:        0: not attached; see above
 * @state:       enum shmipc_peer_state as the owner last wrote it
 * @role:        enum shmipc_role
 * @caps:        SHMIPC_PEER_CAP_* of the owner
 * @generation:  grows by one with each attach to this slot
 * @since_ns:    CLOCK_REALTIME of the attach
 * @hint_pid:    pid of the owner in its PID namespace; only for display
 * @hint_pidns:  inode number of that namespace; only for display
 * @comm:        name of the process; only for display
 */
struct shmipc_peer_slot {
	__u32	word;
	__u8	state;
	__u8	role;
	__u8	caps;
	__u8	reserved0;
	__u64	generation;
	__u64	since_ns;
	__u32	hint_pid;
	__u32	hint_pidns;
	char	comm[16];
	__u64	reserved1[2];
};

/*
 * The owner's publishing path has no full fence; a peer that is about to sleep on its
 * word must first run membarrier(MEMBARRIER_CMD_GLOBAL_EXPEDITED). Without this bit the
 * owner executes the fence itself.
 */
#define SHMIPC_PEER_CAP_MEMBARRIER	0x1u

/**
 * struct shmipc_ring_hdr - describes a ring; constant after creation
 * @magic:      SHMIPC_RING_MAGIC, written last
 * @version:    SHMIPC_LAYOUT_MAJOR
 * @kind:       SHMIPC_KIND_SPSC or SHMIPC_KIND_BCAST
 * @align:      alignment of every payload: 8, 16, 32 or 64
 * @lots:       parts of the ring; credit is returned, and history discarded, by lots
 * @size:       bytes of data; a power of two
 * @prod_off:   the offsets count from this struct
 * @cons_off:   spsc only, else 0
 * @wait_off:   bcast only, else 0
 * @meta_off:   user metadata, in the producer's pages
 * @meta_bytes: bytes of user metadata
 * @data_off:   first byte of data
 */
struct shmipc_ring_hdr {
	__u64	magic;
	__u32	version;
	__u32	kind;
	__u32	align;
	__u32	lots;
	__u64	size;
	__u64	prod_off;
	__u64	cons_off;
	__u64	wait_off;
	__u64	meta_off;
	__u64	meta_bytes;
	__u64	data_off;
	__u64	incompat;
	__u64	reserved0[3];
};

/**
 * struct shmipc_cursor - a position and its sequence number
 * @word: position (a multiple of 8), and in bit 0 the index of its number in @seq.
 *        One store moves both, so that a writer killed between any two
 *        instructions leaves a pair that belongs together. The low 32 bits are
 *        the word that sleepers wait on.
 * @seq:  number of messages before the position
 */
struct shmipc_cursor {
	__u64	word;
	__u64	seq[2];
};

#define SHMIPC_CURSOR_PARITY	1ULL

/* A position where a record begins, and that record's sequence number. */
struct shmipc_mark {
	__u64	pos;
	__u64	seq;
};

/**
 * struct shmipc_sides_hdr - the start of a body with two sides; constant after creation
 * @magic:      of the kind
 * @version:    of the kind's layout
 * @kind:       as in struct shmipc_seg_hdr
 * @producers:  slots of the peer table that belong to the first side: 0 to @producers - 1
 * @readers:    those of the second side, which follow
 * @prod_off:   pages that the first side writes (SHMIPC_ROLE_PRODUCER); the data of the
 *              segment. Both offsets count from this struct and are multiples of the page
 * @prod_bytes: a multiple of the page
 * @read_off:   pages that the second side writes (SHMIPC_ROLE_READER)
 * @read_bytes: a multiple of the page; 0: the second side writes nothing
 * @incompat:   of the kind: features that a peer must know
 *
 * The kind's own fields follow, in the same page. All other bytes are zero at creation.
 */
struct shmipc_sides_hdr {
	__u64	magic;
	__u32	version;
	__u32	kind;
	__u32	producers;
	__u32	readers;
	__u64	prod_off;
	__u64	prod_bytes;
	__u64	read_off;
	__u64	read_bytes;
	__u64	incompat;
};

#define SHMIPC_LOTS		8u	/* per ring */
#define SHMIPC_MARKS		16u	/* at least SHMIPC_LOTS + 3, a power of two */

/**
 * struct shmipc_prod - the producer's page
 * @tail:      position of the next record; written at each publish
 * @want_pos:  spsc: the producer sleeps until the consumer reaches this position
 * @floor_lot: bcast: records before @marks[@floor_lot] may be overwritten
 * @marks:     bcast: first record at or after each lot's first byte
 *
 * User metadata follows at byte SHMIPC_META_OFF of the page.
 */
struct shmipc_prod {
	struct shmipc_cursor	tail;
	__u8			pad0[SHMIPC_LINE - sizeof(struct shmipc_cursor)];
	__u64			want_pos;
	__u64			floor_lot;
	__u8			pad1[SHMIPC_LINE - 16];
	struct shmipc_mark	marks[SHMIPC_MARKS];
};

#define SHMIPC_META_OFF		512u

/**
 * struct shmipc_cons - the consumer's page (spsc)
 * @head:       position of the next unread record; written at each release
 * @credit_pos: the same, but written only once per lot; polled by the producer
 * @want_pos:   the consumer sleeps until the producer reaches this position
 */
struct shmipc_cons {
	struct shmipc_cursor	head;
	__u8			pad0[SHMIPC_LINE - sizeof(struct shmipc_cursor)];
	__u64			credit_pos;
	__u64			want_pos;
	__u8			pad1[SHMIPC_LINE - 16];
};

/**
 * struct shmipc_waiters - the readers' page (bcast)
 * @want_pos: the largest position that a sleeping reader waits for
 */
struct shmipc_waiters {
	__u64	want_pos;
	__u8	pad0[SHMIPC_LINE - 8];
};

/*
 * A record: an 8-byte header right before its payload. The header of the
 * record whose payload is at position p lies at (p - 8) modulo the ring's
 * size, so a header in the last 8 bytes has its payload at the ring's start.
 *
 *   bits  0..31  payload bytes; for a pad: bytes from this payload position to
 *                the next
 *   bits 32..39  enum shmipc_rec_kind
 *   bits 40..47  zero; version of the record
 *   bits 48..63  low 16 bits of the sequence number
 *
 * All zero: not published yet. The writer stores zero at the next header before
 * it publishes, so a reader that follows the records always finds a header or
 * zero.
 */
enum shmipc_rec_kind {
	SHMIPC_REC_NONE	= 0,
	SHMIPC_REC_DATA	= 1,
	SHMIPC_REC_PAD	= 2,
};

#define SHMIPC_REC_HDR		8u

/* In the word of a unit that can be sealed: it is being sealed. Else 0, or the seal's number. */
#define SHMIPC_SEAL_BUSY	(1ULL << 63)

#endif /* _UAPI_LINUX_SHMIPC_LAYOUT_H */
