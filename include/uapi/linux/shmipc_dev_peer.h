/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* shmipc_dev_peer.h - ioctls of /dev/shmipc on peers */
#ifndef _UAPI_LINUX_SHMIPC_DEV_PEER_H
#define _UAPI_LINUX_SHMIPC_DEV_PEER_H

#include <linux/types.h>

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
 *
 * The peer is this address space through this descriptor; it has at most one role per
 * descriptor. From now on writable mappings of the role's regions can be made. The
 * peer leaves by DETACH, or when the last reference to the descriptor is gone
 * (descriptors, mappings); it dies when its process ends, by exit or signal, or execs.
 * A forked child is not a peer, nor is a process that shares the address space.
 *
 * Errors: EBUSY the role or every slot is taken, or this address space has
 * attached through this descriptor; EACCES no write permission; EBADF not open
 * for writing; EINVAL; ENOMEM.
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
};

/**
 * struct shmipc_dev_detach - give up the role
 * @size:  sizeof this struct
 * @flags: 0
 *
 * Errors: EBUSY a writable mapping of the role still exists: unmap it first;
 * ESRCH this address space has no role through this descriptor.
 */
struct shmipc_dev_detach {
	__u32		size;
	__u32		flags;
};

/* The file description of the attach is still open; the peer itself may be dead. */
#define SHMIPC_DEV_PEER_OPEN	0x1u

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
 * @flags:      SHMIPC_DEV_PEER_OPEN
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

#endif /* _UAPI_LINUX_SHMIPC_DEV_PEER_H */
