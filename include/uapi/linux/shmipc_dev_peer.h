/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* shmipc_dev_peer.h - ioctls of /dev/shmipc on peers */
#ifndef _UAPI_LINUX_SHMIPC_DEV_PEER_H
#define _UAPI_LINUX_SHMIPC_DEV_PEER_H

#include <linux/types.h>

/* Why ATTACH or DETACH fails with EBUSY, in their @busy. */
enum shmipc_dev_busy {
	SHMIPC_BUSY_NONE	= 0,	/* it did not */
	SHMIPC_BUSY_ROLE	= 1,	/* ATTACH: as many peers as may have the role have it */
	SHMIPC_BUSY_SLOTS	= 2,	/* ATTACH: all slots are taken */
	SHMIPC_BUSY_ATTACHED	= 3,	/* ATTACH: this address space is, by this descriptor */
	SHMIPC_BUSY_MAPPED	= 4,	/* DETACH: a writable mapping of the role exists */
	SHMIPC_BUSY_PINNED	= 5,	/* both: a former holder may still write the role's pages */
};

/**
 * struct shmipc_dev_attach - take a role in the segment, and a slot
 * @size:       sizeof this struct
 * @flags:      0
 * @role:       enum shmipc_role, not NONE
 * @slot_min:   the first free slot from here ...
 * @slot_max:   ... to here, inclusive
 * @caps:       SHMIPC_PEER_CAP_*, visible to other peers
 * @slot:       result
 * @word:       result: the slot's present word
 * @generation: result
 * @busy:       result: with EBUSY, enum shmipc_dev_busy
 * @reserved:   0
 *
 * The peer is this address space through this descriptor; it has at most one role per
 * descriptor. From now on writable mappings of the role's regions can be made. The
 * peer leaves by DETACH, or when the last reference to the descriptor is gone
 * (descriptors, mappings); it dies when its process ends, by exit or signal, or execs.
 * A forked child is not a peer, nor is a process that shares the address space.
 *
 * What O_DIRECT, io_uring (also its registered buffers) and the like were given by a peer
 * that is gone may still write. If no other peer that may write there is attached, and a
 * peer has gone without DETACH, ATTACH looks at the pages of the role, waits for about
 * 150 ms if something uses them, and then fails with EBUSY and SHMIPC_BUSY_PINNED: call
 * again later. The kernel does not say whether they are used for writing, so what only
 * reads them delays it as well, as a pipe after vmsplice(2).
 *
 * Errors: EBUSY, see @busy; ECONNRESET this address space has attached through this
 * descriptor, and was fenced; EACCES no write permission; EBADF not open for writing;
 * EINTR killed meanwhile; EINVAL; ENOMEM.
 */
struct shmipc_dev_attach {
	__u32		size;
	__u32		flags;
	__u32		role;
	__u32		slot_min;
	__u32		slot_max;
	__u32		caps;
	__u32		slot;
	__u32		word;
	__aligned_u64	generation;
	__u32		busy;
	__u32		reserved;
};

/**
 * struct shmipc_dev_detach - give up the role
 * @size:     sizeof this struct
 * @flags:    0
 * @busy:     result: with EBUSY, enum shmipc_dev_busy
 * @reserved: 0
 *
 * Unmap the role's writable mappings first. If no other peer may write there, DETACH also
 * waits for what else uses the role's pages, for about 150 ms, see ATTACH; then the peer
 * stays attached, and the caller can try again, or close the descriptor. A peer leaves
 * by that in any case, and the next ATTACH waits.
 *
 * Errors: EBUSY, see @busy; ESRCH this address space has no role through this
 * descriptor; EINTR killed meanwhile; EINVAL.
 */
struct shmipc_dev_detach {
	__u32		size;
	__u32		flags;
	__u32		busy;
	__u32		reserved;
};

/* The file description of the attach is still open; the peer itself may be dead. */
#define SHMIPC_DEV_PEER_OPEN	0x1u
/* FENCE was called for it; if it is still attached, its role's pages are in use, see there. */
#define SHMIPC_DEV_PEER_FENCED	0x2u

/**
 * struct shmipc_dev_peer - one slot, as known to the kernel
 * @state:      enum shmipc_peer_state
 * @role:       enum shmipc_role
 * @slot:       number of the slot
 * @word:       as in the table
 * @pid:        in the reader's PID namespace; 0: it is in another, or not attached
 * @generation: grows with each attach to this slot
 * @since_ns:   CLOCK_REALTIME of the attach
 * @caps:       SHMIPC_PEER_CAP_*
 * @maps:       writable mappings of its role
 * @flags:      SHMIPC_DEV_PEER_OPEN, SHMIPC_DEV_PEER_FENCED
 * @comm:       name of the process at attach
 */
struct shmipc_dev_peer {
	__u32		state;
	__u32		role;
	__u32		slot;
	__u32		word;
	__u32		pid;
	__u32		caps;
	__aligned_u64	generation;
	__aligned_u64	since_ns;
	__u32		maps;
	__u32		flags;
	char		comm[16];
};

/**
 * struct shmipc_dev_peers - present and past peers, by slot
 * @size:       sizeof this struct
 * @flags:      0
 * @first:      slot to begin with
 * @count:      room at @peers, in slots; result: slots written
 * @peers:      pointer to struct shmipc_dev_peer
 * @peer_bytes: sizeof struct shmipc_dev_peer as the caller knows it; what this is more
 *              than the kernel knows is written as 0
 * @reserved:   0
 */
struct shmipc_dev_peers {
	__u32		size;
	__u32		flags;
	__u32		first;
	__u32		count;
	__aligned_u64	peers;
	__u32		peer_bytes;
	__u32		reserved;
};

/* How a peer died. */
enum shmipc_death_how {
	SHMIPC_DEATH_UNKNOWN	= 0,	/* its process was gone before it could be asked */
	SHMIPC_DEATH_EXIT	= 1,	/* exited without leaving first */
	SHMIPC_DEATH_SIGNAL	= 2,	/* killed by a signal */
	SHMIPC_DEATH_EXEC	= 3,	/* runs another program */
	SHMIPC_DEATH_FENCED	= 4,	/* cut off by another process */
};

/* shmipc_dev_death.flags */
#define SHMIPC_DEATH_CORE	0x1u	/* it left a core dump */
#define SHMIPC_DEATH_OOM	0x2u	/* the out-of-memory killer had chosen it */
#define SHMIPC_DEATH_CUT	0x4u	/* its mappings of the role still existed: SIGBUS there */

#define SHMIPC_DEV_DEATHS_KEPT	64u	/* receipts, of the last deaths of a segment */

/**
 * struct shmipc_dev_death - the receipt of a death
 * @seq:        1 for the segment's first death, and so on
 * @how:        enum shmipc_death_how
 * @code:       EXIT: the exit status; SIGNAL: the signal's number; otherwise 0
 * @flags:      SHMIPC_DEATH_CORE and so on
 * @pid:        in the reader's PID namespace; 0: it was in another
 * @uid:        effective user of the process at attach, in the reader's user namespace
 * @role:       enum shmipc_role
 * @slot:       number of the slot
 * @caps:       SHMIPC_PEER_CAP_*
 * @generation: of the slot
 * @start_ns:   CLOCK_BOOTTIME at the start of the process, as in /proc/PID/stat, in the
 *              reader's time namespace
 * @since_ns:   CLOCK_REALTIME of the attach
 * @at_ns:      CLOCK_REALTIME of the death
 * @mono_ns:    CLOCK_MONOTONIC of the death, in the reader's time namespace
 * @pos:        this and the next eight were read from the shared memory at the death, and
 *              mean the same as in struct shmipc_bpf_peer: its position; ~0: not known
 * @messages:   sent or received through its slot, or the ring's end
 * @lag:        from @pos to what was published
 * @behind:     the same, in messages
 * @lost:       messages (subscribers)
 * @holding:    messages in the pool (subscribers)
 * @policy:     enum shmipc_policy (subscribers)
 * @group:      from 1; 0: none (subscribers)
 * @waits_for:  slot of the peer that it waited for; ~0: none (publishers)
 * @comm:       name of the process at attach
 *
 * The signal or status is that of the process as wait(2) would return it, and is UNKNOWN
 * if the process was reaped before its address space ended. SHMIPC_DEATH_OOM does not
 * exclude that another signal came first.
 */
struct shmipc_dev_death {
	__aligned_u64	seq;
	__u32		how;
	__u32		code;
	__u32		flags;
	__u32		pid;
	__u32		uid;
	__u32		role;
	__u32		slot;
	__u32		caps;
	__aligned_u64	generation;
	__aligned_u64	start_ns;
	__aligned_u64	since_ns;
	__aligned_u64	at_ns;
	__aligned_u64	mono_ns;
	__aligned_u64	pos;
	__aligned_u64	messages;
	__aligned_u64	lag;
	__aligned_u64	behind;
	__aligned_u64	lost;
	__u32		holding;
	__u32		policy;
	__u32		group;
	__u32		waits_for;
	char		comm[16];
};

/**
 * struct shmipc_dev_deaths - the next receipts, in the order of the deaths
 * @size:        sizeof this struct
 * @flags:       0
 * @after:       only receipts with a larger number; 0: from the oldest that is kept
 * @deaths:      pointer to struct shmipc_dev_death
 * @count:       room at @deaths, in receipts; result: receipts written
 * @death_bytes: sizeof struct shmipc_dev_death as the caller knows it; what this is more
 *               than the kernel knows is written as 0
 * @total:       result: deaths of the segment so far; the number of the last
 * @lost:        result: deaths between @after and the last one written whose receipts
 *               have been overwritten
 *
 * For any process with a descriptor of the segment. A receipt can be read as soon as the
 * death shows in the peer table. Errors: EINVAL; E2BIG @death_bytes; EFAULT.
 */
struct shmipc_dev_deaths {
	__u32		size;
	__u32		flags;
	__aligned_u64	after;
	__aligned_u64	deaths;
	__u32		count;
	__u32		death_bytes;
	__aligned_u64	total;
	__aligned_u64	lost;
};

/* shmipc_dev_fence.flags */
#define SHMIPC_DEV_FENCE_PINNED	0x1u	/* also while pages of the role are in use */

/**
 * struct shmipc_dev_fence - cut off a peer that does not leave by itself
 * @size:        sizeof this struct
 * @flags:       SHMIPC_DEV_FENCE_PINNED
 * @slot:        its slot
 * @reserved:    0
 * @generation:  as in the slot: a peer that has taken the slot since then is not meant
 * @deadline_ns: absolute, CLOCK_MONOTONIC: how long to wait for pages that are in use; at
 *               least about 100 ms
 *
 * For the segment's owner; others need CAP_SYS_RESOURCE in the user namespace in which
 * the segment was created. Any descriptor of the segment will do.
 *
 * The pages of the peer's role are unmapped: a touch through its mappings of the role is
 * SIGBUS, or EFAULT in a system call, for good. When that is so for all its threads, on all
 * CPUs, the state in its slot becomes DIED, its sleepers and those that watch it are
 * woken, and the role and the slot are free. Other peers with the role take a page fault
 * for each page that they touch next. Regions that need no role are not concerned, nor
 * are mappings for reading.
 *
 * First of all its descriptor tells it: poll reports POLLERR, and WAIT, COMMIT, ATTACH and
 * writable mappings of a role fail with ECONNRESET, for the address space that attached by
 * it, until it leaves: DETACH once the mappings are gone. POLLERR is for all that poll the
 * description. By another descriptor, and in another process, it may attach as any other.
 * If it leaves before this call has come to its end, it has died all the same.
 *
 * What O_DIRECT, io_uring (also its registered buffers), process_vm_writev() and the like
 * were given before goes on in the pages, which nobody can stop. They belong to the role,
 * not to the peer, so it may be another peer's doing. While there are such pages the peer
 * is cut off, but stays attached, and the ioctl fails with EBUSY: call again later, or with
 * SHMIPC_DEV_FENCE_PINNED, which leaves them.
 *
 * Return: 0, also if the peer ended by itself meanwhile; ESRCH no peer of that generation
 * is attached in the slot; EPERM; EBUSY; EINVAL; EINTR, or restarted after a handler with
 * SA_RESTART.
 */
struct shmipc_dev_fence {
	__u32		size;
	__u32		flags;
	__u32		slot;
	__u32		reserved;
	__aligned_u64	generation;
	__aligned_u64	deadline_ns;
};

#endif /* _UAPI_LINUX_SHMIPC_DEV_PEER_H */
