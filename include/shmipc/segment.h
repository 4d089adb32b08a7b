/* SPDX-License-Identifier: MIT */
/*
 * segment.h - create, open, inspect and remove shared memory objects
 *
 * A segment has a name, an owner, a mode, a page size, and one thing in it (a
 * ring, a topic, or raw bytes). On the mem backend it is a file in the directory
 * SHMIPC_DIR (default /dev/shm/shmipc), on the dev backend an object of the kernel
 * module; SHMIPC_BACKEND selects the backend, see shmipc(7). A segment is removed
 * with its last peer unless it was created as persistent. What killed processes
 * leave behind (on mem) is removed by the next open of the name, or by
 * shmipc_segment_gc().
 *
 * Threads: different handles may be used at the same time; one handle by one
 * thread at a time. After fork() a child holds no handle: those of its parent
 * are closed in it, and every use of them fails with -EINVAL.
 */
#ifndef SHMIPC_SEGMENT_H
#define SHMIPC_SEGMENT_H

#include <stddef.h>
#include <stdint.h>
#include <linux/shmipc_dev_peer.h>
#include <linux/shmipc_layout.h>
#include <shmipc/inline/sized.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shmipc_segment;

/* shmipc_segment_opts.flags */
#define SHMIPC_CREATE		0x01u	/* create it if it does not exist */
#define SHMIPC_EXCL		0x02u	/* with CREATE: fail if it exists (EEXIST) */
#define SHMIPC_PERSIST		0x04u	/* at creation: stays without peers */
#define SHMIPC_ON_NODE		0x08u	/* use @node */
#define SHMIPC_CHOWN		0x10u	/* use @uid and @gid */
#define SHMIPC_POPULATE		0x80u	/* topics: take all memory; see topic.h */
#define SHMIPC_CHGRP		0x100u	/* use @gid */
#define SHMIPC_OWNED_BY		0x200u	/* join it only if it belongs to user @owner */
#define SHMIPC_OWNED_BY_ANY	0x400u	/* join it, any user's */

#define SHMIPC_PAGE_4K		(UINT64_C(1) << 12)
#define SHMIPC_PAGE_2M		(UINT64_C(1) << 21)
#define SHMIPC_PAGE_1G		(UINT64_C(1) << 30)

/**
 * struct shmipc_segment_opts - describes a segment to create or to open
 * @struct_bytes: sizeof this struct, as the caller knows it: see shmipc/inline/sized.h
 * @kind:         enum shmipc_kind; SHMIPC_KIND_ANY to open a segment of any kind
 * @flags:        SHMIPC_CREATE and so on
 * @bytes:        for rings: bytes for records, rounded up to a power of two
 *                (0 at creation: 1 MiB); for raw: bytes of data
 * @align:        rings: alignment of payloads, 8 (default), 16, 32, 64
 * @peers:        slots in the peer table; 0 at creation: 2 for spsc, else 64
 * @meta_bytes:   rings: user metadata
 * @page:         SHMIPC_PAGE_*, 0 for auto: 2 MiB if the data are at least that
 *                large and such pages are available. If the requested pages are not
 *                available, smaller ones are used; see shmipc_segment_info
 * @mode:         permission bits at creation, regardless of the umask; 0: 0600
 * @node:         NUMA node, with SHMIPC_ON_NODE
 * @uid:          owner, with SHMIPC_CHOWN (needs privilege)
 * @gid:          group, with SHMIPC_CHOWN, or with SHMIPC_CHGRP (needs membership)
 * @owner:        whose segment is joined, with SHMIPC_OWNED_BY; otherwise 0
 * @reserved0:    0
 *
 * A member that is zero selects the default. If the segment exists, each member that
 * is not zero must be equal to what the segment was created with; otherwise the open
 * fails with -EINVAL and the text names both values.
 *
 * Any user may create a name first. So a segment that exists is joined only if it belongs
 * to root, to this user (geteuid()), or to a user to whom these options would have given
 * read and write permission: with mode 0660 if it has the group that a new one would have,
 * with mode 0666 always. Otherwise the open fails with -EACCES. With SHMIPC_OWNED_BY it is
 * joined only if it belongs to @owner, and is not created if that is another user.
 */
struct shmipc_segment_opts {
	uint64_t struct_bytes;
	uint32_t kind;
	uint32_t flags;
	uint64_t bytes;
	uint32_t align;
	uint32_t peers;
	uint64_t meta_bytes;
	uint64_t page;
	uint32_t mode;
	int32_t node;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
	uint32_t reserved0;
};

#define SHMIPC_SEGMENT_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_segment_opts, __VA_ARGS__)

/* What the backend of a segment really provides. */
#define SHMIPC_CAP_ROLES	0x01u	/* roles are enforced by the page tables */
#define SHMIPC_CAP_NO_TRUNCATE	0x02u	/* no peer can truncate it while others use it */
#define SHMIPC_CAP_DEATH_WAKES	0x04u	/* a death wakes sleepers at once */
#define SHMIPC_CAP_WAITV	0x08u	/* one sleep watches both the position and the peer */
#define SHMIPC_CAP_MEMBARRIER	0x10u	/* sending needs no full memory fence */
#define SHMIPC_CAP_FENCE	0x20u	/* an end can be cut off: shmipc_segment_fence() */
#define SHMIPC_CAP_SEAL		0x40u	/* messages can be sealed: shmipc_topic_opts.seal_bytes */

/* Properties of a segment, as obtained. It lies in other structs, and grows into @reserved0. */
struct shmipc_segment_info {
	uint64_t struct_bytes;	/* set by the caller */
	const char *backend;	/* "mem" or "dev" */
	char name[SHMIPC_NAME_MAX + 8];
	uint8_t id[16];
	uint32_t kind;
	uint32_t flags;		/* SHMIPC_SEG_* */
	uint32_t caps;		/* SHMIPC_CAP_* */
	uint32_t peers;		/* slots */
	uint64_t total_bytes;
	uint64_t data_bytes;
	uint64_t page_asked;
	uint64_t page_got;
	int32_t node_asked;
	int32_t node_got;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t align;		/* rings */
	uint64_t meta_bytes;	/* rings */
	uint64_t created_ns;
	uint64_t memory_bytes;	/* of total_bytes, those that take memory now; 0: unknown */
	uint64_t huge_bytes;	/* of memory_bytes, those in larger pages than 4 KiB; 0 also: unknown */
	uint64_t reserved0[6];
};

#define SHMIPC_SEGMENT_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_segment_info, )

/* One end of a segment, as seen from outside. It lies in arrays: see above. */
struct shmipc_peer_info {
	uint32_t slot;
	uint32_t role;		/* enum shmipc_role */
	uint32_t state;		/* enum shmipc_peer_state; deaths are detected */
	uint32_t pid;		/* a hint; 0 if in another PID namespace */
	uint64_t generation;
	uint64_t since_ns;
	char comm[16];
	uint64_t reserved0[2];
};

/* Properties and state of a segment at one moment. */
struct shmipc_segment_stat {
	struct shmipc_segment_info info;
	int in_use;		/* a process has it open */
	uint64_t tail_pos;	/* rings: published */
	uint64_t tail_seq;
	uint64_t head_pos;	/* spsc: consumed; bcast: oldest kept */
	uint64_t head_seq;
	uint32_t npeers;	/* at @peer: slots that were ever taken */
	struct shmipc_peer_info *peer;	/* the caller's array of @peer_cap entries */
	uint32_t peer_cap;
	uint64_t reserved0[4];
};

/*
 * The receipt of a death, kept by the kernel module. The positions are those at the death;
 * peers can write them. It lies in arrays: see above.
 */
struct shmipc_death_info {
	uint64_t seq;		/* 1 for the segment's first death, and so on */
	uint32_t how;		/* enum shmipc_death_how */
	uint32_t code;		/* EXIT: the status; SIGNAL: its number; otherwise 0 */
	uint32_t flags;		/* SHMIPC_DEATH_* */
	uint32_t pid;		/* 0 if in another PID namespace */
	uint32_t uid;		/* effective user at attach */
	uint32_t role;		/* enum shmipc_role */
	uint32_t slot;
	uint32_t waits_for;	/* publishers: slot of the peer that it waited for; ~0: none */
	uint64_t generation;
	uint64_t start_ns;	/* CLOCK_BOOTTIME: start of the process */
	uint64_t since_ns;	/* CLOCK_REALTIME: of the attach */
	uint64_t at_ns;		/* CLOCK_REALTIME: of the death */
	uint64_t mono_ns;	/* CLOCK_MONOTONIC: the same */
	uint64_t pos;		/* ~0: not known */
	uint64_t messages;	/* sent or received through its slot, or the ring's end */
	uint64_t lag;		/* from @pos to what was published */
	uint64_t behind;	/* the same, in messages */
	uint64_t lost;		/* subscribers: messages */
	uint32_t holding;	/* subscribers: messages in the pool */
	uint32_t policy;	/* subscribers: enum shmipc_policy */
	uint32_t group;		/* subscribers: from 1; 0: none */
	uint32_t reserved1;
	char comm[16];
	uint64_t reserved0[4];
};

/* The next receipts of a segment, in the order of the deaths. */
struct shmipc_deaths {
	uint64_t struct_bytes;	/* this and the next three are set by the caller */
	uint64_t after;		/* only receipts with a larger number; 0: all that are kept */
	struct shmipc_death_info *death;	/* the caller's array of @death_cap entries */
	uint32_t death_cap;
	uint32_t ndeaths;	/* at @death */
	uint64_t total;		/* deaths so far; the number of the last */
	uint64_t lost;		/* between @after and the last at @death, no longer kept */
	uint64_t reserved0[4];
};

#define SHMIPC_DEATHS(...)	SHMIPC_PRIV_SIZED(struct shmipc_deaths, __VA_ARGS__)

/**
 * shmipc_segment_open - open or create a segment by name
 * @ret:  the handle; shmipc_segment_close() it
 * @name: 1 to 200 bytes of [A-Za-z0-9._/-]; no leading slash, no empty, "." or
 *        ".." part
 * @opts: NULL: open an existing segment of any kind
 *
 * No process ever sees an incomplete segment, even if the creator is killed. All
 * memory is allocated when this returns, except a topic's; see SHMIPC_POPULATE.
 *
 * Return: 0; -EINVAL invalid name or option, or an option that differs from what the
 * segment was created with; -ENOENT it does not exist; -EEXIST with SHMIPC_EXCL;
 * -E2BIG an option of a newer version; -EACCES, also if it belongs to a user who is not
 * accepted; -ENOSPC, -ENOMEM; -EBUSY another process holds its lock and does not release it;
 * -EPROTONOSUPPORT layout unknown; -EPROTO its header is invalid; -EOPNOTSUPP the
 * directory's file system does not support it.
 */
int shmipc_segment_open(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *opts);

/**
 * shmipc_segment_private - create a segment for the threads of this process
 * @ret:  the handle
 * @opts: kind and sizes; mode and owner are ignored
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int shmipc_segment_private(struct shmipc_segment **ret, const struct shmipc_segment_opts *opts);

/**
 * shmipc_segment_anon - create a segment without a name, to be passed by descriptor
 * @ret:  the handle; shmipc_segment_fd() returns the descriptor to send over a socket
 * @opts: kind and sizes
 *
 * On mem a memfd, sealed against growing, shrinking and further seals; on dev a
 * descriptor of the device: no peer can truncate it while others use it.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EOPNOTSUPP.
 */
int shmipc_segment_anon(struct shmipc_segment **ret, const struct shmipc_segment_opts *opts);

/**
 * shmipc_segment_from_fd - open an anonymous segment from its descriptor
 * @ret:  the handle
 * @fd:   a received descriptor; still belongs to the caller and may be closed afterwards
 * @opts: options that must match, or NULL
 *
 * The descriptor determines the backend. For a memfd /proc is needed, to get a file
 * description (and so a lock that shows liveness) of its own. A process that may not
 * open the device shares the description of @fd, which is enough for one channel.
 *
 * Return: 0; -EINVAL not a memfd, not sealed, not a descriptor of the device with a
 * segment, or options differ; -EACCES of the device and for reading only;
 * -EPROTONOSUPPORT; -EPROTO; -ENOMEM; -EOPNOTSUPP without /proc.
 */
int shmipc_segment_from_fd(struct shmipc_segment **ret, int fd,
			   const struct shmipc_segment_opts *opts);

/* The descriptor of an anonymous segment, which still belongs to the handle; or -EOPNOTSUPP. */
int shmipc_segment_fd(const struct shmipc_segment *seg);

/**
 * shmipc_segment_close - close a handle; NULL is ignored
 * @seg: the handle, gone afterwards
 *
 * The last close removes the name, unless the segment is persistent.
 */
void shmipc_segment_close(struct shmipc_segment *seg);

/**
 * shmipc_segment_unlink - remove a name; processes that have it open keep the memory
 * @name: as for open
 *
 * Return: 0; -ENOENT; -EACCES; -EINVAL; -EBUSY.
 */
int shmipc_segment_unlink(const char *name);

/* The data of a raw segment, and their number of bytes; other kinds: NULL, 0. */
void *shmipc_segment_data(const struct shmipc_segment *seg, size_t *ret_bytes);

/* Properties as obtained. Return: 0; -EINVAL if @ret->struct_bytes is not right. */
int shmipc_segment_get_info(const struct shmipc_segment *seg, struct shmipc_segment_info *ret);

/**
 * shmipc_segment_look - inspect a segment by name without joining it
 * @name: as for open
 * @ret:  filled in; @ret->peer and @ret->peer_cap are the caller's
 *
 * Needs read permission only. Does not keep the segment alive.
 *
 * Return: 0; -ENOENT; -EACCES; -EINVAL; -EPROTO; -EPROTONOSUPPORT.
 */
int shmipc_segment_look(const char *name, struct shmipc_segment_stat *ret);

/**
 * shmipc_segment_deaths - which peers died, when, how, and how far they had come
 * @name: as for open
 * @ret:  filled in; its first four members are the caller's
 *
 * For segments on dev, whose last SHMIPC_DEV_DEATHS_KEPT deaths the kernel module keeps
 * as long as the segment exists. A receipt can be read as soon as the death shows in the
 * peer table. Needs read permission only. On mem nobody sees a death happen: that a peer
 * died is all that is known, see shmipc_segment_look().
 *
 * Return: 0; -EOPNOTSUPP on mem; -ENOENT; -EACCES; -EINVAL; -EPROTO; -EPROTONOSUPPORT.
 */
int shmipc_segment_deaths(const char *name, struct shmipc_deaths *ret);

/**
 * shmipc_segment_each - call a function with each segment's name
 * @fn:  returns 0 to go on; otherwise its value is returned
 * @arg: for @fn
 *
 * Return: 0, what @fn returned, or -EACCES.
 */
int shmipc_segment_each(int (*fn)(const char *name, void *arg), void *arg);

/**
 * shmipc_segment_gc - remove segments that killed processes left behind
 * @fn:  called with each name and 0 (removed) or -errno (not removed); may be NULL
 * @arg: for @fn
 *
 * Persistent segments stay, and so do segments that a process has open. An empty
 * directory beside the segments' own, left by a process killed while creating that,
 * is removed, too.
 *
 * Return: how many were removed, or -EACCES.
 */
int shmipc_segment_gc(void (*fn)(const char *name, int err, void *arg), void *arg);

#define SHMIPC_FENCE_PINNED	0x1u	/* also while pages of the end's role are in use */

/**
 * shmipc_segment_fence - cut off an end that is stopped or broken; on dev
 * @name:        as for open
 * @slot:        of the end, as shmipc_segment_look() reports it
 * @generation:  likewise: an end that has taken the slot since then is not meant
 * @flags:       0 or SHMIPC_FENCE_PINNED
 * @deadline_ns: how long to wait for pages that O_DIRECT, io_uring and the like still use;
 *               0: a moment (0.1 s); SHMIPC_FOREVER
 *
 * When this returns 0, no thread of its process can write to the segment by that end any
 * more, it has died for all others, and they have been woken. The process gets SIGBUS when
 * it next uses the end; a call in which it waits returns -ECONNRESET. It can open the
 * segment again as any other process. For the segment's owner, or CAP_SYS_RESOURCE in the
 * user namespace where it was created. See shmipc_peers(4), which says what cannot be cut off.
 *
 * Return: 0; -EOPNOTSUPP on mem; -ESRCH no such end is attached; -EACCES; -EBUSY pages of
 * its role are in use, possibly by another end: it is cut off, but others wait for it until
 * this is called again; -EINTR; -EINVAL; -ENOENT.
 */
int shmipc_segment_fence(const char *name, uint32_t slot, uint64_t generation, uint32_t flags,
			 uint64_t deadline_ns);

/**
 * shmipc_name_check - is this a valid name of a segment?
 * @name:       or NULL
 * @ret_reason: why not, a constant text; may be NULL
 *
 * Return: 0, -EINVAL.
 */
int shmipc_name_check(const char *name, const char **ret_reason);

/* The directory of the names; constant for the life of the process. */
const char *shmipc_segment_dir(void);

/**
 * struct shmipc_memory_limit - how much memory the control groups leave to this process
 * @struct_bytes: sizeof this struct, set by the caller
 * @max_bytes:    the limit of the group that leaves least, of the process's own group and all
 *                above it that can be seen; 0: no limit
 * @used_bytes:   what that group has taken of it
 * @room_bytes:   what can still be taken: what is left, what the kernel can free by dropping
 *                cached files, and what it can swap out; UINT64_MAX: no limit
 * @group:        its directory; "": no limit
 */
struct shmipc_memory_limit {
	uint64_t struct_bytes;
	uint64_t max_bytes;
	uint64_t used_bytes;
	uint64_t room_bytes;
	char group[256];
};

#define SHMIPC_MEMORY_LIMIT()	SHMIPC_PRIV_SIZED(struct shmipc_memory_limit, )

/**
 * shmipc_memory_limit_get - ask the kernel for the memory limits of control groups
 * @ret: filled in
 *
 * Where a segment would exceed such a limit the kernel does not refuse its memory, but kills
 * a process of the group. So the library asks before it takes memory, and creating or
 * publishing fails with -ENOSPC instead. Other processes of the group may take memory
 * in the same moment.
 *
 * Return: 0, -EINVAL.
 */
int shmipc_memory_limit_get(struct shmipc_memory_limit *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_SEGMENT_H */
