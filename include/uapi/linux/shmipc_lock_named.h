/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_lock_named.h - the layout of a lock that has a name
 *
 * It is the body of a segment of kind SHMIPC_KIND_LOCK (shmipc_layout.h). Each process that
 * has it open is a peer, and has a slot of the peer table.
 *
 *                                              written by (dev backend)
 *   +----------------------------------------+ 0
 *   | struct shmipc_lock_hdr      one page   |   nobody after creation
 *   +----------------------------------------+ sides.prod_off
 *   | struct shmipc_lock_page     one page   |   all peers
 *   +----------------------------------------+
 */
#ifndef _UAPI_LINUX_SHMIPC_LOCK_NAMED_H
#define _UAPI_LINUX_SHMIPC_LOCK_NAMED_H

#include <linux/shmipc_layout.h>
#include <linux/shmipc_lock.h>
#include <linux/types.h>

/* "shmipcLK" as it lies in memory. */
#define SHMIPC_LOCK_MAGIC	0x4b4c6370696d6873ULL
#define SHMIPC_LOCK_VERSION	1

/* lock_hdr.sides.incompat: none is known yet. */
#define SHMIPC_LOCK_INCOMPAT_KNOWN	0ULL

/* lock_hdr.type */
#define SHMIPC_LOCK_TYPE_RWLOCK	2u

/**
 * struct shmipc_lock_hdr - describes a lock; constant after creation
 * @sides:     SHMIPC_LOCK_MAGIC and so on; the producers are the peers
 * @type:      SHMIPC_LOCK_TYPE_*; those of another type are refused
 * @reserved0: 0
 * @reserved1: 0
 */
struct shmipc_lock_hdr {
	struct shmipc_sides_hdr sides;
	__u32	type;
	__u32	reserved0;
	__u64	reserved1[7];
};

/**
 * struct shmipc_lock_page - what its peers write; zeroes: free
 * @rwlock:   the lock; its writer has it alone
 * @since_ns: for people: CLOCK_REALTIME when the one that has it alone took it; 0: not known
 * @reserved: 0
 */
struct shmipc_lock_page {
	struct shmipc_rwlock rwlock;
	__u64	since_ns;
	__u64	reserved[7];
};

#endif /* _UAPI_LINUX_SHMIPC_LOCK_NAMED_H */
