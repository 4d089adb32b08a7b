// SPDX-License-Identifier: MIT
/*
 * cause.c - which system call has failed, for the text of a failure
 *
 * The one that reports a failure is often several functions above the one that made the
 * call, and only the code passes through them. So the call is remembered beside the code.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/base.h"

static _Thread_local struct {
	const char *call;
	int code;		/* as it was returned */
	int err;		/* as the kernel said */
} last;

/* The codes of shmipc(7) that system calls set with the same meaning; of all others, EIO. */
int shmipc_code(int err)
{
	static const int same[] = { EACCES, EAGAIN, EBUSY, EEXIST, EFBIG, EINTR, EINVAL, EISDIR,
				    EMFILE, ENAMETOOLONG, ENOENT, ENOMEM, ENOSPC, ENOSYS, ENOTDIR,
				    EOPNOTSUPP, EPERM, EROFS };
	size_t i;

	for (i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		if (err == same[i])
			return -err;
	return err == ENFILE ? -EMFILE : err == EDQUOT ? -ENOSPC : -EIO;
}

int shmipc_failed_call(const char *call, int err)
{
	last.call = call;
	last.err = err;
	last.code = shmipc_code(err);
	return last.code;
}

int shmipc_sys(const char *call)
{
	return shmipc_failed_call(call, errno);
}

void shmipc_no_cause(void)
{
	last.call = NULL;
}

bool shmipc_caused_by(const char *call, int code)
{
	return last.call && last.code == code && !strcmp(last.call, call);
}

struct shmipc_text shmipc_cause(int code)
{
	bool known = last.call && last.code == code;
	int err = known ? last.err : -code;
	struct shmipc_text t;

	(void)snprintf(t.s, sizeof(t.s), "%s%s%s (%s)", known ? last.call : "", known ? ": " : "",
		       strerror(err), shmipc_error_name(err));
	return t;
}

const char *shmipc_advice(int code)
{
	switch (code) {
	case -EPERM:
	case -ENOSYS:
		return "; the kernel, or a sandbox (seccomp filter), refuses this system call: allow it";
	case -EROFS:
		return "; the file system is mounted read-only: mount it for writing, or set SHMIPC_DIR to a directory that you may write";
	case -EFBIG:
		return "; the process may not make files so large: raise RLIMIT_FSIZE (ulimit -f)";
	case -EMFILE:
		return "; raise the limit of open files (ulimit -n)";
	default:
		return "";
	}
}

/* Beyond the limit the kernel sends SIGXFSZ, which ends the process. */
int shmipc_may_extend(uint64_t bytes)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_FSIZE, &l) || l.rlim_cur == RLIM_INFINITY || bytes <= l.rlim_cur)
		return 0;
	return shmipc_failed_call("setting the size of a file", EFBIG);
}
