/* SPDX-License-Identifier: MIT */
/* mem.h - what the parts of the mem backend share */
#ifndef SHMIPC_LIB_MEM_H
#define SHMIPC_LIB_MEM_H

#include "segment/backend.h"

#define LOCK_GATE	(INT64_C(1) << 61)
#define LOCK_USE	(LOCK_GATE + 1)
#define LOCK_SLOT	(LOCK_GATE + 4096)

#define GATE_PATIENCE_NS	UINT64_C(2000000000)

/* mem_lock.c: locks of open file descriptions; type is F_RDLCK, F_WRLCK, F_UNLCK */
int shmipc_lock_set(int fd, int64_t at, short type);
bool shmipc_lock_held(int fd, int64_t at);
int shmipc_gate_lock(int fd, short type, uint64_t patience_ns);
void shmipc_gate_unlock(int fd);

/* mem.c */
int shmipc_mem_fill(struct shmipc_segment *seg, const char *name,
		    const struct shmipc_segment_opts *o, uint32_t flags);
int shmipc_mem_dup(struct shmipc_segment *seg, struct shmipc_segment *from);

#endif /* SHMIPC_LIB_MEM_H */
