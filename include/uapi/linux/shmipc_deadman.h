/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_deadman.h - the layout of a deadman: a role that one process holds
 *
 * A deadman is the body of a segment of kind SHMIPC_KIND_DEADMAN (shmipc_layout.h). The
 * holder of the role is the peer in slot 0 of the peer table; that only one process can
 * take a slot, and that it is free when that process has died, is what a peer table is.
 * Slot 1 is not used. The generation of slot 0 is the holder's term: 1 for the first
 * holder, and one more for each that follows.
 *
 *                                              written by (dev backend)
 *   +----------------------------------------+ 0
 *   | struct shmipc_deadman_hdr   one page   |   nobody after creation
 *   +----------------------------------------+ sides.prod_off
 *   | struct shmipc_deadman_line  one page   |   the holder
 *   +----------------------------------------+
 */
#ifndef _UAPI_LINUX_SHMIPC_DEADMAN_H
#define _UAPI_LINUX_SHMIPC_DEADMAN_H

#include <linux/shmipc_layout.h>
#include <linux/types.h>

/* "shmipcDM" as it lies in memory. */
#define SHMIPC_DEADMAN_MAGIC	0x4d446370696d6873ULL
#define SHMIPC_DEADMAN_VERSION	1

/* deadman_hdr.sides.incompat: none is known yet. */
#define SHMIPC_DEADMAN_INCOMPAT_KNOWN	0ULL

/**
 * struct shmipc_deadman_hdr - describes a deadman; constant after creation
 * @sides: SHMIPC_DEADMAN_MAGIC and so on; the producer is the holder
 */
struct shmipc_deadman_hdr {
	struct shmipc_sides_hdr sides;
	__u64	reserved0[8];
};

#define SHMIPC_DEADMAN_TERMS	64u	/* of so many terms the end is known */

/**
 * struct shmipc_deadman_line - what holders write
 * @released: at term % SHMIPC_DEADMAN_TERMS the term, if its holder has released the role.
 *            A term that is over and is not here ended by the holder's death
 */
struct shmipc_deadman_line {
	__u64	released[SHMIPC_DEADMAN_TERMS];
};

#endif /* _UAPI_LINUX_SHMIPC_DEADMAN_H */
