/* SPDX-License-Identifier: MIT */
/* limit.h - memory limits of control groups, which kill instead of refusing */
#ifndef SHMIPC_LIB_LIMIT_H
#define SHMIPC_LIB_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include <shmipc/segment.h>

/*
 * Take @bytes of the room that is left. 0; -ENOSPC: it would exceed the limit of a control
 * group, which shmipc_cause() then names. limited: was that the reason for @err?
 */
int shmipc_limit_take(uint64_t bytes);
bool shmipc_limited(int err);

#endif /* SHMIPC_LIB_LIMIT_H */
