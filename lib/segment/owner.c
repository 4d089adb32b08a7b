// SPDX-License-Identifier: MIT
/*
 * owner.c - whose segment is joined
 *
 * Any user can create a name before the one it is meant for. To join the segment of
 * another user means to be read and written by this user; so its owner must be one whom
 * the caller trusts anyway (root, the caller), or one to whom the caller's own options
 * would have given both rights, or one that the caller has named.
 */
#include <errno.h>
#include <unistd.h>

#include "segment/backend.h"

#define ACCESS_OPTS	(SHMIPC_CHOWN | SHMIPC_CHGRP | SHMIPC_OWNED_BY | SHMIPC_OWNED_BY_ANY)
#define GROUP_BOTH	0060u
#define OTHERS_BOTH	0006u

uint32_t shmipc_owner_mode(const struct shmipc_segment_opts *o)
{
	return o->mode ? o->mode : MODE_DEFAULT;
}

/* Whose a new one would be. */
static uint32_t new_uid(const struct shmipc_segment_opts *o)
{
	return o->flags & SHMIPC_CHOWN ? o->uid : (uint32_t)geteuid();
}

/* The group of a new one, unless its directory determines it. */
uint32_t shmipc_owner_new_gid(const struct shmipc_segment_opts *o)
{
	return o->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP) ? o->gid : (uint32_t)getegid();
}

/* Options about owners; what is created here is never another user's. */
int shmipc_owner_opts(struct shmipc_segment_opts *o)
{
	const uint32_t none = UINT32_MAX;

	if (o->flags & SHMIPC_OWNED_BY && o->flags & SHMIPC_OWNED_BY_ANY)
		return shmipc_fail(-EINVAL, "shmipc: options: flags have OWNED_BY and OWNED_BY_ANY (EINVAL); choose one");
	if (o->flags & SHMIPC_OWNED_BY ? o->owner == none : o->owner)
		return shmipc_fail(-EINVAL, "shmipc: options: owner is %u; expected a user with SHMIPC_OWNED_BY, otherwise 0 (EINVAL)",
				   o->owner);
	if ((o->flags & SHMIPC_CHOWN && o->uid == none) ||
	    (o->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP) && o->gid == none))
		return shmipc_fail(-EINVAL, "shmipc: options: uid or gid is %u, which is no user and no group (EINVAL)",
				   none);
	if (!(o->flags & SHMIPC_OWNED_BY) || o->owner == new_uid(o))
		return 0;
	if (o->flags & SHMIPC_EXCL)
		return shmipc_fail(-EINVAL, "shmipc: options: flags have EXCL, but a segment of user %u is not created by user %u (EINVAL); leave out SHMIPC_EXCL or SHMIPC_OWNED_BY",
				   o->owner, new_uid(o));
	o->flags &= ~SHMIPC_CREATE;
	return 0;
}

static bool accepts(const struct shmipc_segment_opts *o, const struct shmipc_owner *is)
{
	uint32_t mode = shmipc_owner_mode(o);

	if (o->flags & SHMIPC_OWNED_BY_ANY)
		return true;
	if (o->flags & SHMIPC_OWNED_BY)
		return is->uid == o->owner;
	if (!is->uid || is->uid == (uint32_t)geteuid() || is->uid == new_uid(o))
		return true;
	if ((mode & OTHERS_BOTH) == OTHERS_BOTH)
		return true;
	return (mode & GROUP_BOTH) == GROUP_BOTH && is->by_member && is->gid == is->new_gid;
}

int shmipc_owner_check(const struct shmipc_segment_opts *o, const char *name,
		       const struct shmipc_owner *is)
{
	uint32_t mode;

	if (!o || accepts(o, is))
		return 0;
	if (o->flags & SHMIPC_EXCL)
		return shmipc_fail(-EEXIST, "shmipc: create \"%s\": it exists already, and belongs to user %u (EEXIST); use another name",
				   name, is->uid);
	if (o->flags & SHMIPC_OWNED_BY)
		return shmipc_fail(-EACCES, "shmipc: open \"%s\": it belongs to user %u, you asked for one of user %u (EACCES); use another name, or have it removed",
				   name, is->uid, o->owner);
	mode = shmipc_owner_mode(o);
	if ((mode & GROUP_BOTH) == GROUP_BOTH)
		return shmipc_fail(-EACCES, "shmipc: open \"%s\": it belongs to user %u and group %u; with mode %o you join one of user %u, root or group %u (EACCES); all must name the same group: --chgrp %u, or join this one: --owned-by %u",
				   name, is->uid, is->gid, mode, (uint32_t)geteuid(), is->new_gid,
				   is->gid, is->uid);
	return shmipc_fail(-EACCES, "shmipc: open \"%s\": it belongs to user %u; with mode %o you join one of user %u or root (EACCES); join this one: --owned-by %u, or let all of a group share it: --mode 660 --chgrp GROUP",
			   name, is->uid, mode, (uint32_t)geteuid(), is->uid);
}
