// SPDX-License-Identifier: MIT
/* deadman.c - pins the layout of a deadman; see layout.c */
#include <stddef.h>
#include <linux/shmipc_deadman.h>
#include "pin.h"

SIZE(shmipc_deadman_hdr, 128);
AT(shmipc_deadman_hdr, sides, 0);
AT(shmipc_deadman_hdr, reserved0, 64);

SIZE(shmipc_deadman_line, 512);
AT(shmipc_deadman_line, released, 0);

PIN(sizeof(struct shmipc_deadman_hdr) <= SHMIPC_CTL_PAGE);
PIN(sizeof(struct shmipc_deadman_line) <= SHMIPC_CTL_PAGE);

/* "shmipcDM" */
PIN(SHMIPC_DEADMAN_MAGIC == ((__u64)'s' | (__u64)'h' << 8 | (__u64)'m' << 16 | (__u64)'i' << 24 |
			     (__u64)'p' << 32 | (__u64)'c' << 40 | (__u64)'D' << 48 |
			     (__u64)'M' << 56));
PIN(SHMIPC_DEADMAN_VERSION == 1 && SHMIPC_KIND_DEADMAN == 7);
PIN(SHMIPC_DEADMAN_INCOMPAT_KNOWN == 0 && SHMIPC_DEADMAN_TERMS == 64);
