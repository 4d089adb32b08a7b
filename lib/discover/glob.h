/* SPDX-License-Identifier: MIT */
/* glob.h - patterns of names, with a count of the work */
#ifndef SHMIPC_LIB_GLOB_H
#define SHMIPC_LIB_GLOB_H

#include <stdbool.h>
#include <stdint.h>

/* shmipc_glob_match(); *@ret_steps: bytes of the name examined, may be NULL. */
bool shmipc_glob_walk(const char *pattern, const char *name, uint64_t *ret_steps);

#endif /* SHMIPC_LIB_GLOB_H */
