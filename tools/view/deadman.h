/* SPDX-License-Identifier: MIT */
/* deadman.h - a role in words and in JSON */
#ifndef TOOLS_VIEW_DEADMAN_H
#define TOOLS_VIEW_DEADMAN_H

#include <jansson.h>
#include <shmipc/deadman.h>

/* "held by pid 12 sh, term 3, since ..." or "free; term 3 released: sh", and a newline. */
void deadman_print(const struct shmipc_deadman_info *info);
/* "term 3 released: sh": another process may hold it by now. */
void deadman_print_end(const struct shmipc_deadman_info *info);
void deadman_add(json_t *obj, const struct shmipc_deadman_info *info);

#endif /* TOOLS_VIEW_DEADMAN_H */
