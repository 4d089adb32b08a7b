/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc.h - the ioctls of /dev/shmipc
 *
 * CREATE and OPEN, of the device, and JOIN, of a segment's descriptor, return a new
 * descriptor of one segment, close-on-exec, which can be mapped, polled, and passed over
 * a socket. LIST and UNLINK are ioctls of the device, INFO of both kinds of descriptor,
 * all others of a segment's descriptor.
 *
 * The structs for peers are in shmipc_dev_peer.h, those for waiting and polling in
 * shmipc_dev_wait.h; programs include this header.
 *
 * Every argument is a struct that begins with its own size in bytes, as the
 * caller knows it. A smaller one than the first version is refused (EINVAL). A
 * larger one is accepted if the bytes that the kernel does not know are zero
 * (E2BIG otherwise). Results are written as far as the caller's size goes.
 * Reserved fields and unknown flags must be zero (EINVAL). The structs are the
 * same for 32-bit programs.
 *
 * Changes:
 *   1  first version
 *   2  segments whose memory is committed on demand: SHMIPC_DEV_RESERVE,
 *      shmipc_dev_create.commit_bytes (in place of a reserved field),
 *      SHMIPC_IOC_COMMIT; used and reserved bytes at the end of shmipc_dev_info and
 *      shmipc_dev_stat; SHMIPC_DEV_ANY_PEER in shmipc_dev_wait and shmipc_dev_poll;
 *      SHMIPC_DEV_UNLINK_BOUND
 *   3  CREATE, OPEN and JOIN return a new descriptor; before, they bound the one on which
 *      they were called. JOIN is called on a segment's descriptor, and shmipc_dev_join has
 *      no descriptor; UNLINK called on one replaces SHMIPC_DEV_UNLINK_BOUND;
 *      SHMIPC_DEV_READ_ONLY. The device is not opened for writing alone. A peer's attach
 *      and end wake only the sleepers that watch it; SHMIPC_DEV_WAITS_MAX. The ioctls have
 *      another type (SHMIPC_IOC_MAGIC), so programs for the versions before get ENOTTY.
 *      SHMIPC_IOC_DEATHS; SHMIPC_IOC_FENCE. ATTACH and DETACH say what is busy, and wait for
 *      what a former holder of the role has started. SHMIPC_DEV_SEALS, four fields at the end
 *      of shmipc_dev_create, SHMIPC_IOC_SEAL
 */
#ifndef _UAPI_LINUX_SHMIPC_H
#define _UAPI_LINUX_SHMIPC_H

#include <linux/ioctl.h>
#include <linux/shmipc_dev_peer.h>
#include <linux/shmipc_dev_wait.h>
#include <linux/shmipc_layout.h>
#include <linux/types.h>

#define SHMIPC_ABI_VERSION	3

#define SHMIPC_DEVICE		"/dev/shmipc"

/* Offsets of the peer table, and of the body that follows it. */
#define SHMIPC_DEV_PEERS_OFF	4096u
#define SHMIPC_DEV_BODY_OFF(peers)					\
	(SHMIPC_DEV_PEERS_OFF +						\
	 (((__u64)(peers) * sizeof(struct shmipc_peer_slot) + 4095u) & ~(__u64)4095u))

#define SHMIPC_DEV_PEERS_MAX	4096u
#define SHMIPC_DEV_REGIONS_MAX	16u
#define SHMIPC_DEV_BODY_MAX	(1u << 24)	/* bytes before the data */
#define SHMIPC_DEV_ROLES	8u		/* roles 0..7; 0 takes no slot */

/* Limits that cause ENOSPC, in shmipc_dev_create.limit and shmipc_dev_commit.limit. */
enum shmipc_dev_limit {
	SHMIPC_LIMIT_NONE	= 0,	/* no limit was the cause */
	SHMIPC_LIMIT_USER_BYTES	= 1,	/* parameter user_max_mib; CAP_IPC_LOCK lifts it */
	SHMIPC_LIMIT_USER_SEGS	= 2,	/* parameter user_max_segs; CAP_IPC_LOCK lifts it */
	SHMIPC_LIMIT_TOTAL_BYTES = 3,	/* parameter total_max_mib */
	SHMIPC_LIMIT_TOTAL_SEGS	= 4,	/* parameter total_max_segs */
	SHMIPC_LIMIT_USER_RESERVED = 5,	/* parameter reserve_factor; CAP_IPC_LOCK lifts it */
	SHMIPC_LIMIT_TOTAL_RESERVED = 6, /* parameter reserve_factor */
};

/* shmipc_dev_info.caps */
#define SHMIPC_DEV_CAP_WAIT	0x1ull	/* WAIT, WAKE */
#define SHMIPC_DEV_CAP_POLL	0x2ull	/* POLL_SET, poll, epoll */
#define SHMIPC_DEV_CAP_URING	0x4ull	/* WAIT as an io_uring command; from Linux 6.7 on */
#define SHMIPC_DEV_CAP_PMD	0x8ull	/* 2 MiB pages exist on this machine */
#define SHMIPC_DEV_CAP_COMMIT	0x10ull	/* RESERVE, COMMIT */
#define SHMIPC_DEV_CAP_DEATHS	0x20ull	/* DEATHS */
#define SHMIPC_DEV_CAP_FENCE	0x40ull	/* FENCE */
#define SHMIPC_DEV_CAP_SEAL	0x80ull	/* SEALS, SEAL */

/**
 * struct shmipc_dev_info - features of the module, and its present limits
 * @size:            sizeof this struct
 * @abi:             SHMIPC_ABI_VERSION
 * @caps:            SHMIPC_DEV_CAP_*
 * @layout_major:    SHMIPC_LAYOUT_MAJOR that the module writes
 * @layout_minor:    SHMIPC_LAYOUT_MINOR
 * @total_max_bytes: limit on the memory of all segments; this and the other totals without
 *                   the sixteenth that is for callers with CAP_IPC_LOCK, unless it is one
 * @total_bytes:     memory in use
 * @user_max_bytes:  limit on the memory of one user; ~0: none for the caller
 * @user_bytes:      memory of the caller's user; in a user namespace, of its owner
 * @total_max_segs:  limit on the number of segments
 * @total_segs:      segments in use
 * @user_max_segs:   limit on the segments of one user; ~0: none for the caller
 * @user_segs:       segments of the caller's user
 * @total_max_reserved: limit on the sizes of all segments together, with and without
 *                   memory
 * @total_reserved:  in use
 * @user_max_reserved: the same for one user; ~0: none for the caller
 * @user_reserved:   in use by the caller's user
 */
struct shmipc_dev_info {
	__u32		size;
	__u32		abi;
	__aligned_u64	caps;
	__u32		layout_major;
	__u32		layout_minor;
	__aligned_u64	total_max_bytes;
	__aligned_u64	total_bytes;
	__aligned_u64	user_max_bytes;
	__aligned_u64	user_bytes;
	__u32		total_max_segs;
	__u32		total_segs;
	__u32		user_max_segs;
	__u32		user_segs;
	__aligned_u64	total_max_reserved;
	__aligned_u64	total_reserved;
	__aligned_u64	user_max_reserved;
	__aligned_u64	user_reserved;
};

/**
 * struct shmipc_dev_region - bytes that some roles may write
 * @off:   from the segment's start; a multiple of 4096, after the peer table
 * @bytes: a multiple of 4096
 * @roles: 1 << enum shmipc_role, or-ed. Bit 0: any process that may open the segment for
 *         writing, without a role
 * @reserved: 0
 */
struct shmipc_dev_region {
	__aligned_u64	off;
	__aligned_u64	bytes;
	__u32		roles;
	__u32		reserved;
};

/* shmipc_dev_create.flags */
#define SHMIPC_DEV_PERSISTENT	0x1u	/* stays without descriptors until unlinked */
#define SHMIPC_DEV_ON_NODE	0x2u	/* use @node; ENOMEM if full, or not in the cpuset */
#define SHMIPC_DEV_CHOWN	0x4u	/* use @uid and @gid */
#define SHMIPC_DEV_RESERVE	0x8u	/* use @commit_bytes; COMMIT allocates the rest */
#define SHMIPC_DEV_SEALS	0x10u	/* use @seal_words and so on; see SEAL */

/**
 * struct shmipc_dev_create - create a segment, and return a descriptor of it
 * @size:       sizeof this struct
 * @flags:      SHMIPC_DEV_PERSISTENT and so on
 * @name:       pointer to the name; 0: no name, the segment is passed by descriptor
 * @name_len:   bytes of it, without a final 0
 * @kind:       enum shmipc_kind, or a kind of a later library
 * @mode:       permission bits (0777 at most)
 * @uid:        with CHOWN: owner; needs CAP_CHOWN, or to be the caller's own
 * @gid:        with CHOWN: group; needs CAP_CHOWN, or membership
 * @node:       with ON_NODE: NUMA node of all memory
 * @peers:      slots in the peer table, 1 to SHMIPC_DEV_PEERS_MAX
 * @nregions:   at @regions
 * @page:       4096, 2097152, or 0 for the larger one if possible. Other powers of two
 *              are recorded as asked, and the next smaller size is used
 * @data_off:   where the data begin: a multiple of 4096, and of 2097152 to have
 *              2 MiB pages; not before SHMIPC_DEV_BODY_OFF(peers) + @body_bytes
 * @data_bytes: a multiple of 4096, not 0
 * @body:       pointer to the initial contents at SHMIPC_DEV_BODY_OFF(peers)
 * @body_bytes: bytes of it; the rest of the segment is zero
 * @regions:    pointer to struct shmipc_dev_region
 * @role_max:   how many peers may hold each role at a time
 * @commit_bytes: with RESERVE: the bytes at the start of the data that have memory
 *              from now on; a multiple of 4096, not more than @data_bytes. Otherwise
 *              0, and all of the data have memory
 * @limit:      result: with ENOSPC, enum shmipc_dev_limit
 * @reserved1:  0
 * @huge:       result: number of 2 MiB pages
 * @small:      result: number of 4 KiB pages
 * @id:         result: as in the header
 * @seal_words: with SEALS: where the __u64 of each unit is, which only the kernel writes: a
 *              multiple of 4096, within the body; no region may overlap its pages
 * @seal_off:   where the first unit begins: a multiple of 4096, in the data
 * @seal_bytes: a multiple of @seal_unit, not 0, within the data
 * @seal_unit:  what is sealed as a whole: a power of two, 4096 or more. There are no 2 MiB
 *              pages in the segment unless this and @seal_off are multiples of 2097152.
 *              Without SEALS, these four are 0
 *
 * Other processes cannot see the segment before it is complete. The header, the peer
 * table and the body always have memory, in 4 KiB pages. The gap between them and the
 * data has none; with RESERVE it can be committed, too.
 *
 * Return: a descriptor for reading and writing; EEXIST the name is taken; ENOSPC a limit;
 * ENOMEM; EPERM for CHOWN; EACCES a security module refuses it, or what else that says;
 * EINVAL; EFAULT; EINTR killed meanwhile; EBADF the device was not opened for writing;
 * EMFILE, ENFILE.
 */
struct shmipc_dev_create {
	__u32		size;
	__u32		flags;
	__aligned_u64	name;
	__u32		name_len;
	__u32		kind;
	__u32		mode;
	__u32		uid;
	__u32		gid;
	__s32		node;
	__u32		peers;
	__u32		nregions;
	__aligned_u64	page;
	__aligned_u64	data_off;
	__aligned_u64	data_bytes;
	__aligned_u64	body;
	__aligned_u64	body_bytes;
	__aligned_u64	regions;
	__u16		role_max[SHMIPC_DEV_ROLES];
	__aligned_u64	commit_bytes;
	__u32		limit;
	__u32		reserved1;
	__u32		huge;
	__u32		small;
	__u8		id[16];
	__aligned_u64	seal_words;
	__aligned_u64	seal_off;
	__aligned_u64	seal_bytes;
	__aligned_u64	seal_unit;
};

/* shmipc_dev_name.flags of OPEN, shmipc_dev_join.flags: the new descriptor is for reading */
#define SHMIPC_DEV_READ_ONLY	0x1u

/**
 * struct shmipc_dev_name - open a segment by its name, or remove the name
 * @size:     sizeof this struct
 * @flags:    of OPEN: SHMIPC_DEV_READ_ONLY; otherwise 0
 * @name:     pointer to the name
 * @name_len: bytes of it
 * @reserved: 0
 *
 * OPEN returns a descriptor that is open for the same as that of the device, without
 * writing if READ_ONLY is set. Errors: ENOENT; EACCES the segment's mode does not allow
 * that; EINVAL; EMFILE, ENFILE, ENOMEM.
 *
 * UNLINK is for the owner, or needs CAP_SYS_ADMIN over the IPC namespace. Called on a
 * segment's descriptor, it removes the name only if it is that segment's. Errors: ENOENT;
 * EPERM; EINVAL.
 */
struct shmipc_dev_name {
	__u32		size;
	__u32		flags;
	__aligned_u64	name;
	__u32		name_len;
	__u32		reserved;
};

/**
 * struct shmipc_dev_join - another descriptor of the segment
 * @size:     sizeof this struct
 * @flags:    0 or SHMIPC_DEV_READ_ONLY
 *
 * Unlike one of dup(2) it has its own file description, so this address space can take
 * another role by it, and it has its own poll setting. It is open for the same as this
 * one, without writing if READ_ONLY is set. Return: the descriptor; EINVAL; EMFILE,
 * ENFILE, ENOMEM.
 */
struct shmipc_dev_join {
	__u32		size;
	__u32		flags;
};

/**
 * struct shmipc_dev_stat - properties of a segment
 * @size:        sizeof this struct
 * @flags:       SHMIPC_SEG_*
 * @total_bytes: bytes to map
 * @data_off:    as created
 * @data_bytes:  as created
 * @page_asked:  as created
 * @page_got:    smallest page that backs the data; 4096 also while none does
 * @node_asked:  -1: any
 * @node_got:    of the first data page; while there is none, of the header
 * @huge:        2 MiB pages
 * @small:       4 KiB pages
 * @kind:        as created
 * @mode:        permission bits
 * @uid:         owner, in the reader's user namespace
 * @gid:         group, likewise
 * @peers:       slots
 * @attached:    slots taken now
 * @waiters:     sleeping in WAIT now
 * @opens:       file descriptions of it now
 * @linked:      1: has a name that opens it
 * @name_len:    bytes at @name, without the final 0
 * @created_ns:  CLOCK_REALTIME
 * @id:          random, as in the header
 * @name:        ends with a 0; empty for none
 * @used_bytes:  bytes that have memory now
 * @reserved_bytes: bytes that have memory or can be committed
 */
struct shmipc_dev_stat {
	__u32		size;
	__u32		flags;
	__aligned_u64	total_bytes;
	__aligned_u64	data_off;
	__aligned_u64	data_bytes;
	__aligned_u64	page_asked;
	__aligned_u64	page_got;
	__s32		node_asked;
	__s32		node_got;
	__u32		huge;
	__u32		small;
	__u32		kind;
	__u32		mode;
	__u32		uid;
	__u32		gid;
	__u32		peers;
	__u32		attached;
	__u32		waiters;
	__u32		opens;
	__u32		linked;
	__u32		name_len;
	__aligned_u64	created_ns;
	__u8		id[16];
	char		name[SHMIPC_NAME_MAX + 8];
	__aligned_u64	used_bytes;
	__aligned_u64	reserved_bytes;
};

/**
 * struct shmipc_dev_list - the next segment in the order of names
 * @size:      sizeof this struct
 * @flags:     0
 * @after:     pointer to a name, existing or not; 0: from the start
 * @after_len: bytes of it
 * @reserved:  0
 * @stat:      pointer to struct shmipc_dev_stat, its @size set
 *
 * Lists segments that the caller may open for reading, in its IPC namespace.
 * Errors: ENOENT there are no more; EINVAL; EFAULT.
 */
struct shmipc_dev_list {
	__u32		size;
	__u32		flags;
	__aligned_u64	after;
	__u32		after_len;
	__u32		reserved;
	__aligned_u64	stat;
};

/**
 * struct shmipc_dev_pages - the pages that back the data, chunk by chunk
 * @size:   sizeof this struct
 * @flags:  0
 * @off:    from the segment's start; a multiple of 2097152
 * @chunks: pointer to a __u32 for each 2 MiB from @off: bits 0..15: NUMA node of
 *          its first page; bit 16: one 2 MiB page; bit 17: no page
 * @count:  room at @chunks, in __u32; result: chunks written
 * @reserved: 0
 */
struct shmipc_dev_pages {
	__u32		size;
	__u32		flags;
	__aligned_u64	off;
	__aligned_u64	chunks;
	__u32		count;
	__u32		reserved;
};

#define SHMIPC_CHUNK_NODE	0x0000ffffu
#define SHMIPC_CHUNK_HUGE	0x00010000u
#define SHMIPC_CHUNK_HOLE	0x00020000u

/* shmipc_dev_commit.flags: at most one */
#define SHMIPC_DEV_UNCOMMIT	0x1u	/* free the memory */
#define SHMIPC_DEV_LOOK		0x2u	/* only report what has no memory */

/**
 * struct shmipc_dev_commit - allocate, free or query the memory of a part of a segment
 * @size:     sizeof this struct
 * @flags:    0, SHMIPC_DEV_UNCOMMIT or SHMIPC_DEV_LOOK
 * @off:      from the segment's start; a multiple of 4096
 * @bytes:    a multiple of 4096, not 0. Except with LOOK, the range must be within one
 *            region that the caller may write, as for a writable mapping
 * @reserved: 0
 * @changed:  result: bytes that got memory; with UNCOMMIT, bytes that lost it; with
 *            LOOK, bytes that have none
 * @limit:    result: with ENOSPC, enum shmipc_dev_limit
 * @reserved1: 0
 *
 * Pages that exist keep their contents. The others are allocated, zeroed: a 2 MiB page
 * for each aligned 2 MiB of the range that has no pages yet, if the segment was created
 * for 2 MiB pages and one is available, otherwise 4 KiB pages. After an error the
 * segment is unchanged. The memory counts against the limits of the segment's creator,
 * and is charged to the memory cgroup that created the segment.
 *
 * Through a mapping that can never be written, a page without memory reads as zero and
 * is not allocated. A touch through a writable mapping commits the page, with SIGBUS if
 * that fails; so commit first.
 *
 * UNCOMMIT is for the data of segments created with RESERVE. A 2 MiB page is freed only
 * if all of it is in the range. Mappings stay, and show zeroes from then on. A page that
 * is also in use by O_DIRECT, io_uring or a pipe stays with its user until released, but
 * is no longer part of the segment. All sleepers of the segment are woken. UNCOMMIT is
 * refused while another process may write the range (an attached peer with such a role;
 * for a region without a role, another file description). So another process cannot
 * free what a process has committed after its ATTACH. It is also refused while a part of
 * the range is sealed.
 *
 * Errors: ENOSPC a limit; ENOMEM; EACCES the caller may not write the range; ECONNRESET
 * it was fenced; EBUSY another process may write it, or it is sealed (UNCOMMIT); EINTR
 * killed meanwhile; EINVAL.
 */
struct shmipc_dev_commit {
	__u32		size;
	__u32		flags;
	__aligned_u64	off;
	__aligned_u64	bytes;
	__aligned_u64	reserved;
	__aligned_u64	changed;
	__u32		limit;
	__u32		reserved1;
};

/* shmipc_dev_seal.flags */
#define SHMIPC_DEV_UNSEAL	0x1u	/* may be written again */

#define SHMIPC_DEV_SEAL_UNITS_MAX	65536u	/* at a time */

/**
 * struct shmipc_dev_seal - make units read-only for everyone, or writable again
 * @size:     sizeof this struct
 * @flags:    0 or SHMIPC_DEV_UNSEAL
 * @off:      from the segment's start: where a unit begins
 * @bytes:    whole units, not 0, at most SHMIPC_DEV_SEAL_UNITS_MAX. The range must be within
 *            one region that the caller may write, as for a writable mapping
 * @seal:     result: the number of this seal, which no other of the segment has
 * @reserved: 0
 *
 * For segments created with SEALS. When the call returns, no process can write the units,
 * the caller included: through a mapping that is writable, a write is SIGBUS, or EFAULT
 * in a system call; mappings for reading are not concerned. The word of each unit (see
 * @seal_words in struct shmipc_dev_create) is the number of the seal from then on. It
 * becomes 0 by UNSEAL, before any process can write the unit again. So what was read from
 * units whose words had the same number before and after that has not changed meanwhile.
 *
 * Any process that may write a unit may unseal it, also if another one has sealed it, or
 * none. A seal outlives the process that made it.
 *
 * While something else than a mapping may write a page, as what O_DIRECT, io_uring (also its
 * registered buffers) and the like were given before, SEAL waits for about 100 ms, and then
 * fails with EBUSY. The kernel does not say whether a page is used for writing, so what only
 * reads it delays it as well. After an error nothing is sealed by this call.
 *
 * Errors: EALREADY a unit is sealed; EBUSY a page is in use, or a unit is being sealed;
 * EFAULT a page has no memory; EOPNOTSUPP the segment has no seals; EACCES the caller may
 * not write the range; ECONNRESET it was fenced; EINTR killed meanwhile; EINVAL.
 */
struct shmipc_dev_seal {
	__u32		size;
	__u32		flags;
	__aligned_u64	off;
	__aligned_u64	bytes;
	__aligned_u64	seal;
	__aligned_u64	reserved;
};

/* In Documentation/userspace-api/ioctl/ioctl-number.rst: 0xBC  00-1F  linux/shmipc.h */
#define SHMIPC_IOC_MAGIC	0xbc

/* The size is in the struct, so that the ioctl's number stays when the struct grows. */
#define SHMIPC_IOC_INFO		_IO(SHMIPC_IOC_MAGIC, 0x00)	/* struct shmipc_dev_info */
#define SHMIPC_IOC_CREATE	_IO(SHMIPC_IOC_MAGIC, 0x01)	/* struct shmipc_dev_create */
#define SHMIPC_IOC_OPEN		_IO(SHMIPC_IOC_MAGIC, 0x02)	/* struct shmipc_dev_name */
#define SHMIPC_IOC_UNLINK	_IO(SHMIPC_IOC_MAGIC, 0x03)	/* struct shmipc_dev_name */
#define SHMIPC_IOC_LIST		_IO(SHMIPC_IOC_MAGIC, 0x04)	/* struct shmipc_dev_list */
#define SHMIPC_IOC_STAT		_IO(SHMIPC_IOC_MAGIC, 0x05)	/* struct shmipc_dev_stat */
#define SHMIPC_IOC_ATTACH	_IO(SHMIPC_IOC_MAGIC, 0x06)	/* struct shmipc_dev_attach */
#define SHMIPC_IOC_DETACH	_IO(SHMIPC_IOC_MAGIC, 0x07)	/* struct shmipc_dev_detach */
#define SHMIPC_IOC_WAIT		_IO(SHMIPC_IOC_MAGIC, 0x08)	/* struct shmipc_dev_wait */
#define SHMIPC_IOC_WAKE		_IO(SHMIPC_IOC_MAGIC, 0x09)	/* struct shmipc_dev_wake */
#define SHMIPC_IOC_POLL_SET	_IO(SHMIPC_IOC_MAGIC, 0x0a)	/* struct shmipc_dev_poll */
#define SHMIPC_IOC_PEERS	_IO(SHMIPC_IOC_MAGIC, 0x0b)	/* struct shmipc_dev_peers */
#define SHMIPC_IOC_PAGES	_IO(SHMIPC_IOC_MAGIC, 0x0c)	/* struct shmipc_dev_pages */
#define SHMIPC_IOC_JOIN		_IO(SHMIPC_IOC_MAGIC, 0x0d)	/* struct shmipc_dev_join */
#define SHMIPC_IOC_COMMIT	_IO(SHMIPC_IOC_MAGIC, 0x0e)	/* struct shmipc_dev_commit */
#define SHMIPC_IOC_DEATHS	_IO(SHMIPC_IOC_MAGIC, 0x0f)	/* struct shmipc_dev_deaths */
#define SHMIPC_IOC_FENCE	_IO(SHMIPC_IOC_MAGIC, 0x10)	/* struct shmipc_dev_fence */
#define SHMIPC_IOC_SEAL		_IO(SHMIPC_IOC_MAGIC, 0x11)	/* struct shmipc_dev_seal */

#endif /* _UAPI_LINUX_SHMIPC_H */
