/* SPDX-License-Identifier: MIT */
/* private.h - segments of one process, as a backend */
#ifndef SHMIPC_LIB_PRIVATE_H
#define SHMIPC_LIB_PRIVATE_H

#include "segment/backend.h"

int shmipc_private_create(struct shmipc_segment *seg, const struct shmipc_segment_opts *o);
int shmipc_private_dup(struct shmipc_segment *seg, struct shmipc_segment *from);
void shmipc_private_close(struct shmipc_segment *seg);
int shmipc_private_commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes);
int shmipc_private_uncommit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			    uint64_t *ret_bytes);
int shmipc_private_used(struct shmipc_segment *seg, uint64_t *ret_bytes);
extern const struct shmipc_locks shmipc_private_locks;

#endif /* SHMIPC_LIB_PRIVATE_H */
