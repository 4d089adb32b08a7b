// SPDX-License-Identifier: MIT
/* access.c - the options that nouns have in common: how one is created, and whose it is */
#include <string.h>

#include "segment/access.h"

#define FLAGS	(SHMIPC_EXCL | SHMIPC_PERSIST | SHMIPC_CHOWN | SHMIPC_CHGRP | SHMIPC_OWNED_BY | \
		 SHMIPC_OWNED_BY_ANY)

int shmipc_access_check(const struct shmipc_access *a, const uint64_t *reserved, size_t n)
{
	uint32_t known = FLAGS | SHMIPC_CREATE | SHMIPC_NO_CREATE | a->more;
	size_t i;

	if (a->flags & ~known || (a->flags & SHMIPC_NO_CREATE && a->flags & SHMIPC_EXCL))
		return shmipc_fail(-EINVAL, "shmipc: %s: flags are %#x, with unknown bits, or EXCL with NO_CREATE (EINVAL)",
				   a->what, a->flags);
	for (i = 0; i < n; i++)
		if (reserved[i])
			return shmipc_fail(-EINVAL, "shmipc: %s: a reserved member is %#llx; it must be 0 (EINVAL)",
					   a->what, (unsigned long long)reserved[i]);
	return 0;
}

void shmipc_access_segment(struct shmipc_segment_opts *ret, const struct shmipc_access *a)
{
	*ret = (struct shmipc_segment_opts){
		.struct_bytes = sizeof(*ret),
		.kind = a->kind,
		.flags = a->flags & (FLAGS | (a->more & (SHMIPC_ON_NODE | SHMIPC_POPULATE))),
		.mode = a->mode,
		.uid = a->uid,
		.gid = a->gid,
		.owner = a->owner,
	};
	if (!(a->flags & SHMIPC_NO_CREATE))
		ret->flags |= SHMIPC_CREATE;
}

int shmipc_access_read(struct shmipc_segment_opts *ret, const struct shmipc_access *a,
		       const uint64_t *reserved, size_t n)
{
	struct shmipc_segment_opts as;
	int err = shmipc_access_check(a, reserved, n);

	if (err)
		return err;
	shmipc_access_segment(&as, a);
	return shmipc_opts_read(ret, &as);
}

int shmipc_access_refused(const char *name, const char *noun, int err)
{
	return !err ? 0 : shmipc_fail(err, "shmipc: open \"%s\": the header of its %s is invalid or of another version (%s); remove it",
				      name, noun, shmipc_error_name(err));
}
