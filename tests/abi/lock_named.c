// SPDX-License-Identifier: MIT
/* lock_named.c - pins the layout of a lock that has a name; see layout.c */
#include <stddef.h>
#include <linux/shmipc_lock_named.h>
#include "pin.h"

SIZE(shmipc_lock_hdr, 128);
AT(shmipc_lock_hdr, sides, 0);
AT(shmipc_lock_hdr, type, 64);
AT(shmipc_lock_hdr, reserved0, 68);
AT(shmipc_lock_hdr, reserved1, 72);

SIZE(shmipc_lock_page, 704);
AT(shmipc_lock_page, rwlock, 0);
AT(shmipc_lock_page, since_ns, 640);
AT(shmipc_lock_page, reserved, 648);

PIN(sizeof(struct shmipc_lock_hdr) <= SHMIPC_CTL_PAGE);
PIN(sizeof(struct shmipc_lock_page) <= SHMIPC_CTL_PAGE);

/* "shmipcLK" */
PIN(SHMIPC_LOCK_MAGIC == ((__u64)'s' | (__u64)'h' << 8 | (__u64)'m' << 16 | (__u64)'i' << 24 |
			  (__u64)'p' << 32 | (__u64)'c' << 40 | (__u64)'L' << 48 |
			  (__u64)'K' << 56));
PIN(SHMIPC_LOCK_VERSION == 1 && SHMIPC_KIND_LOCK == 8);
PIN(SHMIPC_LOCK_INCOMPAT_KNOWN == 0 && SHMIPC_LOCK_TYPE_RWLOCK == 2);
