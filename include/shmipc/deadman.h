/* SPDX-License-Identifier: MIT */
/*
 * deadman.h - a named role that one process holds, until it releases it or dies
 *
 * The name is that of a role: the leader, the writer of a file, the owner of a device. Any
 * number of processes open it; one at a time holds it. When the holder releases it, or is
 * killed, or exits, the role is free, by the word of the kernel: nothing has to be sent
 * now and then, no time passes, and a holder that is merely slow or stopped keeps it.
 *
 * Each holder has a term, a number that grows by one with each take and is never given
 * twice as long as the name exists. What the holder writes elsewhere can carry it, so that
 * others refuse what an earlier holder has sent late.
 *
 * The role belongs to the handle, and with it to the process: not to a thread, whose end
 * changes nothing. exec(2) releases it, as a death. A child of fork() does not have it.
 *
 * Order: all that wait to take are woken when the role is free, and the first one that
 * comes gets it; there is no queue. So one that takes the role again at once keeps others
 * from it.
 *
 * Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC. With 0 a call never
 * sleeps; with SHMIPC_FOREVER it has no time limit. Signals: as in channel.h.
 *
 * Trust: on mem, a process that may open the name for writing can hide the holder of the role,
 * or say that a term has ended; it cannot take it while another holds it. On dev it cannot do
 * the first either.
 *
 * Threads: a handle is used by one thread at a time. A child of fork() inherits none: those
 * of its parent are closed in it, and every use of them fails with -EINVAL.
 */
#ifndef SHMIPC_DEADMAN_H
#define SHMIPC_DEADMAN_H

#include <linux/shmipc_deadman.h>
#include <shmipc/channel.h>
#include <shmipc/segment.h>
#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct shmipc_deadman_opts - describes a role to create or to open
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @flags:        SHMIPC_NO_CREATE, SHMIPC_EXCL, SHMIPC_PERSIST (the terms go on when all have
 *                closed it), SHMIPC_CHOWN, SHMIPC_CHGRP, SHMIPC_OWNED_BY, SHMIPC_OWNED_BY_ANY
 * @mode:         as in struct shmipc_segment_opts, and so on to @owner
 * @spin_ns:      how long to spin before sleeping; 0: not at all
 * @reserved0:    0
 *
 * A member that is zero selects the default. If the role exists, each that is not zero must be
 * equal to what it was created with, but for @spin_ns; otherwise the open fails with -EINVAL.
 */
struct shmipc_deadman_opts {
	uint64_t struct_bytes;
	uint32_t flags;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
	uint32_t reserved0;
	uint64_t spin_ns;
	uint64_t reserved1[3];
};

#define SHMIPC_DEADMAN_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_deadman_opts, __VA_ARGS__)

/* How a term ended. */
enum shmipc_deadman_end {
	SHMIPC_DEADMAN_NOT_YET	= 0,	/* the holder has the role; or there was none yet */
	SHMIPC_DEADMAN_RELEASED	= 1,	/* it released the role, or closed its handle */
	SHMIPC_DEADMAN_DIED	= 2,	/* it was killed, has exited, or executed another program */
	SHMIPC_DEADMAN_UNKNOWN	= 3,	/* more than 63 terms ago */
};

/**
 * struct shmipc_deadman_info - the state of a role at one moment
 * @struct_bytes: set by the caller
 * @term:         that of the holder, or the last one; 0: it was never taken
 * @since_ns:     CLOCK_REALTIME when it was taken; 0: not known
 * @held:         1: a process holds the role now
 * @end:          how the term ended, enum shmipc_deadman_end
 * @pid:          of the process; 0: not known here, as in another PID namespace
 * @comm:         its name; only for display
 */
struct shmipc_deadman_info {
	uint64_t struct_bytes;
	uint64_t term;
	uint64_t since_ns;
	uint32_t held;
	uint32_t end;
	uint32_t pid;
	uint32_t reserved0;
	char comm[16];
	uint64_t reserved1[4];
};

#define SHMIPC_DEADMAN_INFO()	SHMIPC_PRIV_SIZED(struct shmipc_deadman_info, )

struct shmipc_deadman;

/**
 * shmipc_deadman_open - open a role by its name, without taking it
 * @ret:  the handle; shmipc_deadman_close() it
 * @name: as for shmipc_segment_open()
 * @opts: NULL: all defaults, or what exists
 *
 * Return: 0; -EPROTO, -EPROTONOSUPPORT; otherwise as shmipc_segment_open().
 */
int shmipc_deadman_open(struct shmipc_deadman **ret, const char *name,
			const struct shmipc_deadman_opts *opts);

/* Release the role, if this handle holds it, and close. NULL is ignored. */
void shmipc_deadman_close(struct shmipc_deadman *d);

/**
 * shmipc_deadman_take - take the role, waiting until it is free
 * @d:           the handle
 * @ret_term:    the term; may be NULL
 * @deadline_ns: absolute; 0: only if it is free now
 *
 * If a holder is just dying, the call waits until the kernel has torn it down, whatever the
 * deadline, but no longer than two seconds.
 *
 * Return: 0; -EAGAIN another process holds it (deadline 0); -ETIMEDOUT; -EINTR; -EBUSY on
 * dev, O_DIRECT and the like of the last holder still write its page; -EINVAL this handle
 * holds it already; -ECONNRESET fenced.
 */
int shmipc_deadman_take(struct shmipc_deadman *d, uint64_t *ret_term, uint64_t deadline_ns);

/* Give the role back. Return: 0; -EINVAL this handle does not hold it; -ECONNRESET fenced. */
int shmipc_deadman_release(struct shmipc_deadman *d);

/**
 * shmipc_deadman_holds - does this handle hold the role?
 * @d: the handle
 *
 * A holder loses the role in one way only that it does not choose: shmipc_segment_fence().
 *
 * Return: 1; 0; -ECONNRESET it was fenced; -EINVAL.
 */
int shmipc_deadman_holds(struct shmipc_deadman *d);

/**
 * shmipc_deadman_wait_taken - wait until a process holds the role
 * @d:           the handle
 * @ret:         that holder; may be NULL
 * @deadline_ns: absolute
 *
 * Return: 0; -EAGAIN, -ETIMEDOUT; -EINTR; -EINVAL; -ECONNRESET.
 */
int shmipc_deadman_wait_taken(struct shmipc_deadman *d, struct shmipc_deadman_info *ret,
			      uint64_t deadline_ns);

/**
 * shmipc_deadman_wait_released - wait until a term is over
 * @d:           the handle
 * @term:        of a holder; 0: of the one at present, if there is one
 * @ret:         how that term ended; may be NULL. If another process has taken the role since,
 *               the pid, name and time are not known any more
 * @deadline_ns: absolute
 *
 * Return: as shmipc_deadman_wait_taken().
 */
int shmipc_deadman_wait_released(struct shmipc_deadman *d, uint64_t term,
				 struct shmipc_deadman_info *ret, uint64_t deadline_ns);

/* The state now. Return: 0; -EINVAL. */
int shmipc_deadman_get_info(struct shmipc_deadman *d, struct shmipc_deadman_info *ret);

/**
 * shmipc_deadman_look - inspect a role by name without opening it
 * @name: as for open
 * @ret:  filled in
 *
 * Needs read permission only.
 *
 * Return: 0; -EINVAL the name is of another kind; otherwise as shmipc_segment_look().
 */
int shmipc_deadman_look(const char *name, struct shmipc_deadman_info *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_DEADMAN_H */
