// SPDX-License-Identifier: MIT
/* name.c - which names a segment may have */
#include <errno.h>
#include <string.h>

#include "segment/segment.h"

static bool name_byte_ok(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '/' || c == '-';
}

/* Why one part between slashes is not valid, or NULL. */
static const char *part_fault(const char *part, size_t len)
{
	if (!len)
		return "it has an empty part, or a slash at its end";
	if (part[0] == '.' && (len == 1 || (len == 2 && part[1] == '.')))
		return "it has a part \".\" or \"..\"";
	return NULL;
}

static const char *name_fault(const char *name)
{
	const char *part = name, *fault, *p;

	if (!name)
		return "it is NULL";
	if (!*name)
		return "it is empty";
	if (*name == '/')
		return "it begins with a slash";
	if (strnlen(name, SHMIPC_NAME_MAX + 1) > SHMIPC_NAME_MAX)
		return "it is longer than 200 bytes";
	for (p = name;; p++) {
		if (*p && !name_byte_ok(*p))
			return "it has a byte other than A-Z a-z 0-9 . _ / -";
		if (*p && *p != '/')
			continue;
		fault = part_fault(part, (size_t)(p - part));
		if (fault || !*p)
			return fault;
		part = p + 1;
	}
}

SHMIPC_EXPORT int shmipc_name_check(const char *name, const char **ret_reason)
{
	const char *fault = name_fault(name);

	if (!fault)
		return 0;
	if (ret_reason)
		*ret_reason = fault;
	return -EINVAL;
}

int shmipc_name_read(const char *name)
{
	const char *reason;

	if (!shmipc_name_check(name, &reason))
		return 0;
	return shmipc_fail(-EINVAL, "shmipc: \"%.210s\" is not a valid segment name: %s (EINVAL)",
			   name ? name : "", reason);
}
