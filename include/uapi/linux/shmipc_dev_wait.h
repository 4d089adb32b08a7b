/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/* shmipc_dev_wait.h - ioctls of /dev/shmipc to wait and poll */
#ifndef _UAPI_LINUX_SHMIPC_DEV_WAIT_H
#define _UAPI_LINUX_SHMIPC_DEV_WAIT_H

#include <linux/types.h>

#define SHMIPC_DEV_WAITS_MAX	4096u	/* WAITs at a time through one file description */

/* shmipc_dev_wait.flags */
#define SHMIPC_DEV_EXCLUSIVE	0x1u	/* a wake(1) wakes one of the waiters that set this */

/* shmipc_dev_wait.peer: watch no slot */
#define SHMIPC_DEV_NO_PEER	0xffffffffu
/* Watch all slots: @peer_val is shmipc_seg_live.peer_seq without bit 31 */
#define SHMIPC_DEV_ANY_PEER	0xfffffffeu

/**
 * struct shmipc_dev_wait - sleep while a word has a value
 * @size:        sizeof this struct
 * @flags:       SHMIPC_DEV_EXCLUSIVE
 * @off:         of a 32-bit word in the segment; a multiple of 4
 * @val:         sleep only while the word is this
 * @peer:        a slot, SHMIPC_DEV_NO_PEER or SHMIPC_DEV_ANY_PEER
 * @peer_val:    sleep only while the slot's word, without bit 31, is this
 * @reserved:    0
 * @deadline_ns: absolute, CLOCK_MONOTONIC; ~0: none
 *
 * When a peer attaches, leaves or dies, the sleepers are woken that watch its slot, or
 * all slots, and those on its slot's word and on shmipc_seg_live.peer_seq.
 * With SHMIPC_DEV_CAP_URING also as an io_uring command: SHMIPC_IOC_WAIT in sqe->cmd_op,
 * the address of the struct in the first eight bytes of sqe->cmd, read when the sqe is
 * submitted; the result is in cqe->res. It is cancelled (ECANCELED) by io_uring, and when
 * the process closes any descriptor of the description. Without it: EOPNOTSUPP.
 *
 * Return: 0 woken (look again); EAGAIN a word differs; ETIMEDOUT; EINTR, or
 * restarted with the same deadline after a handler with SA_RESTART; EINVAL;
 * EFAULT @off is outside the segment; EBUSY SHMIPC_DEV_WAITS_MAX wait through this file
 * description; ECONNRESET this peer was fenced, see struct shmipc_dev_fence.
 */
struct shmipc_dev_wait {
	__u32		size;
	__u32		flags;
	__aligned_u64	off;
	__u32		val;
	__u32		peer;
	__u32		peer_val;
	__u32		reserved;
	__aligned_u64	deadline_ns;
};

/**
 * struct shmipc_dev_wake - wake sleepers
 * @size:  sizeof this struct
 * @flags: 0
 * @off:   of the word
 * @n:     how many of the exclusive ones; 0: all. All others are always woken
 * @woken: result: number woken, not counting pollers
 *
 * Errors: EINVAL; EBADF not open for writing.
 */
struct shmipc_dev_wake {
	__u32		size;
	__u32		flags;
	__aligned_u64	off;
	__u32		n;
	__u32		woken;
};

/* shmipc_dev_poll.flags */
#define SHMIPC_DEV_POLL_ON	0x1u	/* otherwise: POLLIN is not reported */

/**
 * struct shmipc_dev_poll - what makes this descriptor readable
 * @size:     sizeof this struct
 * @flags:    SHMIPC_DEV_POLL_ON
 * @off:      of a 32-bit word
 * @val:      POLLIN while the word is not this
 * @peer:     a slot, SHMIPC_DEV_NO_PEER or SHMIPC_DEV_ANY_PEER
 * @peer_val: POLLHUP while the slot's word, without bit 31, is not this
 * @reserved: 0
 *
 * There is one setting per file description, shared by all that use it. A change of
 * the word is noticed when a process wakes @off.
 */
struct shmipc_dev_poll {
	__u32		size;
	__u32		flags;
	__aligned_u64	off;
	__u32		val;
	__u32		peer;
	__u32		peer_val;
	__u32		reserved;
};

#endif /* _UAPI_LINUX_SHMIPC_DEV_WAIT_H */
