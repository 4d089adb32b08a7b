// SPDX-License-Identifier: MIT
/*
 * mem_owner.c - whose a file is, as the kernel says it
 *
 * The creator of a segment writes its header, with an owner and a mode in it. What counts
 * are those of the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/mem.h"

static int fail_stat(const char *name)
{
	int err = shmipc_sys("fstat");

	return shmipc_fail(err, "shmipc: open \"%s\": %s%s", name, shmipc_cause(err).s,
			   shmipc_advice(err));
}

#define SHARED	"all who use it ask for --mode 660 --chgrp GROUP and are members of that group"

/* Its mode does not let us open it. */
int shmipc_mem_fail_access(int dir, const char *file, const char *name)
{
	const char *where = shmipc_segment_dir();
	uint32_t me = (uint32_t)geteuid();
	struct stat st;

	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW))
		return shmipc_fail(-EACCES, "shmipc: open \"%s\" in %s: %s (EACCES); to share it, " SHARED,
				   name, where, strerror(EACCES));
	if (!faccessat(dir, file, R_OK, AT_EACCESS))
		return shmipc_fail(-EACCES, "shmipc: open \"%s\" in %s: %s (EACCES); it belongs to user %u and group %u and has mode %o, so user %u may only read it: --read-only; to write, too, " SHARED,
				   name, where, strerror(EACCES), st.st_uid, st.st_gid,
				   st.st_mode & 07777u, me);
	return shmipc_fail(-EACCES, "shmipc: open \"%s\" in %s: %s (EACCES); it belongs to user %u and group %u and has mode %o, which does not admit user %u; to share it, " SHARED,
			   name, where, strerror(EACCES), st.st_uid, st.st_gid, st.st_mode & 07777u, me);
}

/* The name cannot be removed. */
int shmipc_mem_fail_remove(int dir, const char *file, int err, const char *name)
{
	const char *where = shmipc_segment_dir();
	struct stat st;

	if (err == -EACCES && !fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW))
		return shmipc_fail(err, "shmipc: remove \"%s\" in %s: %s; its owner, user %u, the owner of the directory, or root can",
				   name, where, shmipc_cause(err).s, st.st_uid);
	return shmipc_fail(err, "shmipc: remove \"%s\" in %s: %s%s", name, where,
			   shmipc_cause(err).s, shmipc_advice(err));
}

int shmipc_mem_set_owner(int fd, const char *name, const struct shmipc_segment *seg,
			 const struct shmipc_segment_opts *o)
{
	int err;

	if (!(o->flags & SHMIPC_CHOWN) && o->flags & SHMIPC_CHGRP && fchown(fd, UINT32_MAX, o->gid)) {
		err = errno == EPERM ? shmipc_failed_call("fchown", EACCES) : shmipc_sys("fchown");
		return shmipc_fail(err, "shmipc: create \"%s\": group %u: %s; you must be a member of that group: see id",
				   name, o->gid, shmipc_cause(err).s);
	}
	if (o->flags & SHMIPC_CHOWN && fchown(fd, o->uid, o->gid)) {
		err = errno == EPERM ? shmipc_failed_call("fchown", EACCES) : shmipc_sys("fchown");
		return shmipc_fail(err, "shmipc: create \"%s\": owner %u:%u: %s; only root may give files away",
				   name, o->uid, o->gid, shmipc_cause(err).s);
	}
	if (fchmod(fd, seg->hdr.mode)) {
		err = shmipc_sys("fchmod");
		return shmipc_fail(err, "shmipc: create \"%s\": mode %#o: %s%s", name,
				   seg->hdr.mode, shmipc_cause(err).s, shmipc_advice(err));
	}
	return 0;
}

/*
 * Its group says that its creator is a member, as only members can give files to a group;
 * except where the directory gives it to those that others put there.
 */
int shmipc_mem_check_owner(int dir, const struct stat *st, const char *name,
			   const struct shmipc_segment_opts *o)
{
	struct shmipc_owner is = { st->st_uid, st->st_gid, 0, true };
	struct stat d;

	if (!o)
		return 0;
	if (fstat(dir, &d))
		return fail_stat(name);
	is.new_gid = shmipc_owner_new_gid(o);
	if (d.st_mode & S_ISGID) {
		if (!(o->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP)))
			is.new_gid = d.st_gid;
		is.by_member = !(d.st_mode & S_IWOTH) || d.st_gid != st->st_gid;
	}
	return shmipc_owner_check(o, name, &is);
}

/* Private copies of the headers; owner and mode as they are, not as its creator wrote. */
int shmipc_mem_read(struct shmipc_segment *seg, const char *name)
{
	int ret = shmipc_segment_read(seg, name);
	struct stat st;

	if (ret || !seg->hdr.name[0])	/* a memfd has none */
		return ret;
	if (fstat(seg->fd, &st))
		return fail_stat(name);
	seg->hdr.uid = st.st_uid;
	seg->hdr.gid = st.st_gid;
	seg->hdr.mode = st.st_mode & 07777;
	return 0;
}

int shmipc_mem_may_join(int dir, const char *name, int fd, const struct shmipc_segment_opts *o)
{
	struct stat st;

	return fstat(fd, &st) ? fail_stat(name) : shmipc_mem_check_owner(dir, &st, name, o);
}
