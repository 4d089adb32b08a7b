/* SPDX-License-Identifier: MIT */
/*
 * segment.h - a shared memory object: made, found by name, looked at, removed
 *
 * A segment has a name, an owner, a mode, a page size, and one thing in it (a
 * ring, or raw bytes). On the mem backend it is one file in the directory
 * SHMIPC_DIR (default /dev/shm/shmipc), on the dev backend it is of the kernel
 * module; SHMIPC_BACKEND says which, see shmipc(7). It goes with its last peer
 * unless it was made persistent. What the killed leave behind (on mem) is reaped
 * by the next open of the name, or by shmipc_segment_gc().
 *
 * Threads: different handles may be used at the same time; one handle by one
 * thread at a time. After fork() a child holds no handle: those of its parent
 * are closed in it, and every use of them fails with -EINVAL.
 */
#ifndef SHMIPC_SEGMENT_H
#define SHMIPC_SEGMENT_H

#include <stddef.h>
#include <stdint.h>
#include <linux/shmipc_layout.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shmipc_segment;
struct shmipc_tlog_opts;

/* shmipc_segment_opts.flags */
#define SHMIPC_CREATE		0x01u	/* make it if it is not there */
#define SHMIPC_EXCL		0x02u	/* with CREATE: fail if it is there (EEXIST) */
#define SHMIPC_PERSIST		0x04u	/* at creation: stays without peers */
#define SHMIPC_ON_NODE		0x08u	/* @node is meant */
#define SHMIPC_CHOWN		0x10u	/* @uid and @gid are meant */

#define SHMIPC_PAGE_4K		(UINT64_C(1) << 12)
#define SHMIPC_PAGE_2M		(UINT64_C(1) << 21)
#define SHMIPC_PAGE_1G		(UINT64_C(1) << 30)

/**
 * struct shmipc_segment_opts - what to make, or what to insist on
 * @struct_bytes: sizeof this struct; lets it grow
 * @kind:         enum shmipc_kind; SHMIPC_KIND_ANY to open whatever is there
 * @flags:        SHMIPC_CREATE and so on
 * @bytes:        for rings: bytes for records, rounded up to a power of two
 *                (0 at creation: 1 MiB); for raw: bytes of data
 * @align:        rings: alignment of payloads, 8 (default), 16, 32, 64
 * @peers:        slots in the peer table; 0 at creation: 2 for spsc, else 64
 * @meta_bytes:   rings: user metadata
 * @page:         SHMIPC_PAGE_*, 0 for auto: 2 MiB where data are that large and
 *                such pages can be had. What cannot be had is not an error; what
 *                was obtained is in shmipc_segment_info
 * @mode:         permission bits at creation, whatever the umask; 0 is 0600
 * @node:         NUMA node, with SHMIPC_ON_NODE
 * @uid:          owner, with SHMIPC_CHOWN (needs privilege)
 * @gid:          group, with SHMIPC_CHOWN
 * @log:          topics: how to make the log; set by shmipc_pub_open() and sub_open()
 *
 * All zero means: no wish. When the segment exists, each wish must be what its
 * creator asked for; otherwise the open fails with -EINVAL and the text names
 * both values. Nothing is ever changed in silence.
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
	const struct shmipc_tlog_opts *log;
};

/* What the backend of a segment does, as opposed to asks for. */
#define SHMIPC_CAP_ROLES	0x01u	/* roles are enforced by the page tables */
#define SHMIPC_CAP_NO_TRUNCATE	0x02u	/* no peer can shrink it under another */
#define SHMIPC_CAP_DEATH_WAKES	0x04u	/* a death wakes sleepers at once */
#define SHMIPC_CAP_WAITV	0x08u	/* one sleep watches position and peer */
#define SHMIPC_CAP_MEMBARRIER	0x10u	/* no full fence where messages pass */

/* What a segment is, as obtained. */
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
};

/* One end of a segment, as seen from outside. */
struct shmipc_peer_info {
	uint32_t slot;
	uint32_t role;		/* enum shmipc_role */
	uint32_t state;		/* enum shmipc_peer_state, deaths found out */
	uint32_t pid;		/* a hint; 0 when of another PID namespace */
	uint64_t generation;
	uint64_t since_ns;
	char comm[16];
};

/* What a segment is and what goes on in it, at one moment. */
struct shmipc_segment_stat {
	struct shmipc_segment_info info;
	int in_use;		/* somebody has it open */
	uint64_t tail_pos;	/* rings: published */
	uint64_t tail_seq;
	uint64_t head_pos;	/* spsc: consumed; bcast: oldest kept */
	uint64_t head_seq;
	uint32_t npeers;	/* at @peer: slots that were ever taken */
	struct shmipc_peer_info *peer;	/* caller's, room for @peer_cap */
	uint32_t peer_cap;
};

/**
 * shmipc_segment_open - open or make a segment by name
 * @ret:  the handle; shmipc_segment_close() it
 * @name: 1 to 200 bytes of [A-Za-z0-9._/-]; no leading slash, no empty, "." or
 *        ".." part
 * @opts: NULL: open what is there
 *
 * Nobody ever sees a half-made segment, whoever is killed when. All memory is
 * there when this returns.
 *
 * Return: 0; -EINVAL bad name or option, or an option that differs from the
 * creator's; -ENOENT not there; -EEXIST with SHMIPC_EXCL; -EACCES; -ENOSPC,
 * -ENOMEM; -EBUSY somebody holds its lock without moving on;
 * -EPROTONOSUPPORT layout unknown; -EPROTO its header is nonsense;
 * -EOPNOTSUPP the directory's file system cannot do it.
 */
int shmipc_segment_open(struct shmipc_segment **ret, const char *name,
			const struct shmipc_segment_opts *opts);

/**
 * shmipc_segment_private - a segment for the threads of this process
 * @ret:  the handle
 * @opts: kind and sizes; mode and owner have no meaning
 *
 * Return: 0; -EINVAL; -ENOMEM.
 */
int shmipc_segment_private(struct shmipc_segment **ret, const struct shmipc_segment_opts *opts);

/**
 * shmipc_segment_anon - a segment without a name, to be passed by descriptor
 * @ret:  the handle; shmipc_segment_fd() gives what to send over a socket
 * @opts: kind and sizes
 *
 * On mem a memfd, sealed against growing, shrinking and further seals; on dev a
 * descriptor of the device: no peer can truncate it under another.
 *
 * Return: 0; -EINVAL; -ENOMEM; -EOPNOTSUPP.
 */
int shmipc_segment_anon(struct shmipc_segment **ret, const struct shmipc_segment_opts *opts);

/**
 * shmipc_segment_from_fd - open an anonymous segment from its descriptor
 * @ret:  the handle
 * @fd:   received; stays the caller's, and may be closed afterwards
 * @opts: what to insist on, or NULL
 *
 * Of whichever backend the descriptor is. To have a file description (and so a
 * liveness) of its own it needs /proc for a memfd. Who may not open the device
 * shares that of @fd, which is enough for one channel.
 *
 * Return: 0; -EINVAL no memfd or not sealed, no segment of the device, or other
 * options; -EACCES of the device and for reading only;
 * -EPROTONOSUPPORT; -EPROTO; -ENOMEM; -EOPNOTSUPP without /proc.
 */
int shmipc_segment_from_fd(struct shmipc_segment **ret, int fd,
			   const struct shmipc_segment_opts *opts);

/* The descriptor of an anonymous segment, still the handle's; or -EOPNOTSUPP. */
int shmipc_segment_fd(const struct shmipc_segment *seg);

/**
 * shmipc_segment_close - let go; NULL is nothing
 * @seg: the handle, gone afterwards
 *
 * The last one removes the name, unless the segment is persistent.
 */
void shmipc_segment_close(struct shmipc_segment *seg);

/**
 * shmipc_segment_unlink - remove a name; who has it open keeps the memory
 * @name: as for open
 *
 * Return: 0; -ENOENT; -EACCES; -EINVAL; -EBUSY.
 */
int shmipc_segment_unlink(const char *name);

/* The bytes of a raw segment, and how many; rings: NULL, 0. */
void *shmipc_segment_data(const struct shmipc_segment *seg, size_t *ret_bytes);

/* What was obtained. Return: 0; -EINVAL if @ret->struct_bytes is not right. */
int shmipc_segment_get_info(const struct shmipc_segment *seg, struct shmipc_segment_info *ret);

/**
 * shmipc_segment_look - look at a segment by name without joining it
 * @name: as for open
 * @ret:  filled in; @ret->peer and @ret->peer_cap are the caller's
 *
 * Needs read permission only. Does not keep it from going.
 *
 * Return: 0; -ENOENT; -EACCES; -EINVAL; -EPROTO; -EPROTONOSUPPORT.
 */
int shmipc_segment_look(const char *name, struct shmipc_segment_stat *ret);

/**
 * shmipc_segment_each - call a function with each segment's name
 * @fn:  returns 0 to go on; otherwise its value is returned
 * @arg: for @fn
 *
 * Return: 0, what @fn returned, or -EACCES.
 */
int shmipc_segment_each(int (*fn)(const char *name, void *arg), void *arg);

/**
 * shmipc_segment_gc - remove what the killed left behind
 * @fn:  called with each name and 0 (removed) or -errno (could not); may be NULL
 * @arg: for @fn
 *
 * Persistent segments stay, and so does everything that somebody has open. An
 * empty directory beside the segments' own, left by a process killed while it
 * made that, goes too.
 *
 * Return: how many were removed, or -EACCES.
 */
int shmipc_segment_gc(void (*fn)(const char *name, int err, void *arg), void *arg);

/**
 * shmipc_name_check - is this the name of a segment?
 * @name:       or NULL
 * @ret_reason: why not, a constant text; may be NULL
 *
 * Return: 0, -EINVAL.
 */
int shmipc_name_check(const char *name, const char **ret_reason);

/* The directory in which names are, a constant text of the process. */
const char *shmipc_segment_dir(void);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_SEGMENT_H */
