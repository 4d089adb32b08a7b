// SPDX-License-Identifier: MIT
/* file.c - metrics in a file, which is replaced atomically */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <shmipc/error.h>
#include "metrics.h"
#include "../util/util.h"

/* In the same directory, with another suffix: node_exporter reads all *.prom. */
static char *name_beside(const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	char *text;

	if (asprintf(&text, "%.*s.%s.XXXXXX", (int)(base - path), path, base) < 0)
		return NULL;
	return text;
}

static int fail(const char *what, const char *path, int err)
{
	const char *hint = err == ENOENT ? "; create its directory first" :
			   err == EISDIR ? "; a file was expected" : "";

	tool_error("%s \"%s\": %s (%s)%s", what, path, strerror(err), shmipc_error_name(-err), hint);
	return RC_FAIL;
}

/* Write it, to disk. Return: 0 or errno. */
static int fill(const struct metrics *m, int fd)
{
	FILE *f = fdopen(fd, "w");
	int err = 0;

	if (!f) {
		err = errno;
		close(fd);
		return err;
	}
	metrics_print(m, f);
	if (fflush(f) || ferror(f) || fsync(fd))
		err = errno ? errno : EIO;
	if (fclose(f) && !err)
		err = errno;
	return err;
}

int metrics_write_file(const struct metrics *m, const char *path)
{
	struct stat st;
	char *temp;
	int fd, err;

	/* A device or a pipe would be gone; EISDIR comes from rename(). */
	if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		tool_error("--textfile \"%s\": it is not a regular file, and would be replaced by one "
			   "(EINVAL); without --textfile the metrics go to standard output", path);
		return RC_FAIL;
	}
	temp = name_beside(path);
	if (!temp)
		return fail("write", path, ENOMEM);
	fd = mkstemp(temp);
	if (fd < 0) {
		err = errno;
		free(temp);
		return fail("write", path, err);
	}
	errno = 0;
	/* The collector is another user. */
	err = fchmod(fd, 0644) ? errno : 0;
	if (err)
		close(fd);
	else
		err = fill(m, fd);
	if (!err && rename(temp, path))
		err = errno;
	if (err)
		unlink(temp);
	free(temp);
	return err ? fail("write", path, err) : RC_OK;
}
