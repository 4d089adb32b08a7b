/* SPDX-License-Identifier: MIT */
/* deadman.h - a role that one process holds, private parts */
#ifndef SHMIPC_LIB_DEADMAN_H
#define SHMIPC_LIB_DEADMAN_H

#include <shmipc/deadman.h>

#include "segment/backend.h"

#define DEADMAN_SLOT	0u

struct shmipc_deadman {
	uint32_t live;		/* 0 after fork */
	bool holds;
	uint64_t term;		/* if it holds */
	struct shmipc_segment *seg;
	struct shmipc_end end;	/* if it holds */
	struct shmipc_waiter wait;
};

/* The role at one moment. */
struct shmipc_deadman_now {
	uint64_t term;
	bool held;
};

/* deadman.c */
int shmipc_deadman_check(const struct shmipc_segment *seg, const char *name);

/*
 * deadman_look.c: @sure: ask the kernel. Not by the handle that holds the role, whose lock is no
 * other's.
 */
struct shmipc_deadman_now shmipc_deadman_now(struct shmipc_segment *seg, bool sure);
__u64 *shmipc_deadman_released(const struct shmipc_segment *seg, uint64_t term);
/* Of @term, or 0: the last one. */
void shmipc_deadman_describe(struct shmipc_segment *seg, bool sure, uint64_t term,
			     struct shmipc_deadman_info *ret);

/*
 * deadman_wait.c: until the role is @held, or @term is over (0: until it is free); 0; -errno.
 */
int shmipc_deadman_wait(struct shmipc_deadman *d, bool held, uint64_t term, uint64_t deadline_ns);

#endif /* SHMIPC_LIB_DEADMAN_H */
