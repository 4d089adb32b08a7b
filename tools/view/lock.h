/* SPDX-License-Identifier: MIT */
/* lock.h - a lock in words and in JSON */
#ifndef TOOLS_VIEW_LOCK_H
#define TOOLS_VIEW_LOCK_H

#include <jansson.h>
#include <shmipc/named_lock.h>

/* "free", "held", "left" by an owner that died, "given up". */
const char *lock_state_word(uint32_t state);

/* "held by pid 12 shmipc, since ...; others wait; 1 death, the last of pid 11" and a newline. */
void lock_print(const struct shmipc_lock_info *info);
void lock_add(json_t *obj, const struct shmipc_lock_info *info);

#endif /* TOOLS_VIEW_LOCK_H */
