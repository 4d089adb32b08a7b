/* SPDX-License-Identifier: MIT */
/* discover.h - the existing names, in order */
#ifndef SHMIPC_LIB_DISCOVER_H
#define SHMIPC_LIB_DISCOVER_H

#include "segment/backend.h"

struct shmipc_names {
	char (*name)[SHMIPC_NAME_MAX + 1];
	size_t n;
	size_t cap;
};

/* The names that match @pattern, sorted. 0 or -errno; shmipc_names_free() in any case. */
int shmipc_names_get(struct shmipc_names *names, const struct shmipc_backend *be,
		     const char *pattern);
void shmipc_names_free(struct shmipc_names *names);

/* Check a pattern; NULL matches every name; -EINVAL with a text. */
int shmipc_glob_read(const char **pattern);

#endif /* SHMIPC_LIB_DISCOVER_H */
