/* SPDX-License-Identifier: MIT */
/* named.h - a lock that has a name, private parts */
#ifndef SHMIPC_LIB_LOCK_NAMED_H
#define SHMIPC_LIB_LOCK_NAMED_H

#include <shmipc/named_lock.h>

#include "lock/lock.h"

struct shmipc_lock {
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	struct shmipc_lock_page *page;
};

/* Is the segment a lock of a type that we know? 0; -errno with a text. */
int shmipc_lock_check_hdr(const struct shmipc_segment *seg, const char *name);

#endif /* SHMIPC_LIB_LOCK_NAMED_H */
