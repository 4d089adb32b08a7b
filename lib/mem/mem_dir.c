// SPDX-License-Identifier: MIT
/* mem_dir.c - the directory of segments, and names as its files */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "mem/mem.h"

#define DIR_DEFAULT	"/dev/shm/shmipc"

static char dir_path[4096];
static int dir_error;		/* why the directory is not valid */
static bool dir_named;		/* by the user, who trusts it */
static pthread_once_t dir_once = PTHREAD_ONCE_INIT;

/* A relative path is relative to the present directory, which may change later. */
static int dir_absolute(const char *env)
{
	char cwd[sizeof(dir_path)] = "";
	int len;

	if (*env != '/' && !getcwd(cwd, sizeof(cwd)))
		return shmipc_sys("getcwd");
	len = snprintf(dir_path, sizeof(dir_path), "%s%s%s", cwd, *env != '/' ? "/" : "", env);
	if (len < 0 || (size_t)len >= sizeof(dir_path))
		return -ENAMETOOLONG;
	while (len > 1 && dir_path[len - 1] == '/')
		dir_path[--len] = 0;
	return 0;
}

static void dir_init(void)
{
	const char *env = secure_getenv("SHMIPC_DIR");

	dir_named = env && *env;
	if (!dir_named)
		env = DIR_DEFAULT;
	dir_error = dir_absolute(env);
	/* Only for messages; nothing is created there. */
	if (dir_error)
		(void)snprintf(dir_path, sizeof(dir_path), "%.200s%s", env, strlen(env) > 200 ? "..." : "");
}

SHMIPC_EXPORT const char *shmipc_segment_dir(void)
{
	if (shmipc_futex_check())
		dir_init();	/* nothing can be opened, but the directory is known */
	else
		pthread_once(&dir_once, dir_init);
	return dir_path;
}

/* One file per segment: a slash in the name becomes a %, which no name contains. */
void shmipc_name_to_file(const char *name, char file[SHMIPC_FILE_MAX])
{
	size_t i;

	for (i = 0; i < SHMIPC_NAME_MAX && name[i]; i++)
		file[i] = name[i] == '/' ? '%' : name[i];
	file[i] = 0;
}

bool shmipc_name_from_file(const char *file, char name[SHMIPC_NAME_MAX + 1])
{
	size_t i;

	for (i = 0; file[i]; i++) {
		if (i == SHMIPC_NAME_MAX || file[i] == '/')
			return false;
		name[i] = file[i] == '%' ? '/' : file[i];
	}
	name[i] = 0;
	return !shmipc_name_check(name, NULL);
}

/* The file of an open segment has no name any more; memfds never have one. */
bool shmipc_mem_unnamed(const struct shmipc_segment *seg)
{
	struct stat st;

	return seg->hdr.name[0] && seg->fd >= 0 && !fstat(seg->fd, &st) && !st.st_nlink;
}

int shmipc_rename(int dir, const char *from, const char *to)
{
	return (int)syscall(SYS_renameat2, dir, from, dir, to, RENAME_NOREPLACE);
}

/*
 * Create the directory, with mode 1777 from its first moment: under another name, then
 * renamed. If killed in between, it leaves an empty directory next to it.
 */
static int dir_make_once(const char *path)
{
	char tmp[sizeof(dir_path) + 24];
	uint64_t random;
	int err = 0;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		return shmipc_sys("getrandom");
	(void)snprintf(tmp, sizeof(tmp), "%s.%016llx", path, (unsigned long long)random);
	if (mkdir(tmp, 0700))
		return shmipc_sys("mkdir");
	if (chmod(tmp, 01777))
		err = shmipc_sys("chmod");
	else if (shmipc_rename(AT_FDCWD, tmp, path))
		err = shmipc_sys("renameat2");
	if (err)
		(void)rmdir(tmp);
	return err == -EEXIST ? 0 : err;
}

/* Repeat if another process removed ours before it had its name. */
static int dir_make(const char *path)
{
	int err = -ENOENT, tries;

	for (tries = 0; err == -ENOENT && tries < 10; tries++)
		err = dir_make_once(path);
	return err;
}

/* Is @file the temporary name that dir_make_once() uses for @base? */
static bool is_unnamed(const char *file, const char *base)
{
	size_t len = strlen(base);

	return !strncmp(file, base, len) && file[len] == '.' && strlen(file) == len + 17 &&
	       strspn(file + len + 1, "0123456789abcdef") == 16;
}

/* Remove what processes killed in dir_make_once() left next to the directory. */
void shmipc_dir_sweep(void)
{
	char path[sizeof(dir_path)], *base;
	struct dirent *e;
	DIR *d;
	int fd;

	(void)snprintf(path, sizeof(path), "%s", shmipc_segment_dir());
	base = strrchr(path, '/');
	if (!base || base == path)
		return;
	*base++ = 0;
	fd = shmipc_fd(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	while ((e = readdir(d)))	/* a directory that is not empty stays */
		if (is_unnamed(e->d_name, base))
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	(void)closedir(d);
}

/*
 * Any user may create the default directory, and its owner may replace what others put
 * there: so it must belong to root or to us. Where others may write, only the sticky bit
 * keeps them from doing the same. A directory that the user has named is trusted.
 */
static int dir_trust(int fd)
{
	const char *path = dir_path;
	struct stat st;

	if (dir_named)
		return 0;
	if (fstat(fd, &st))
		return shmipc_fail(shmipc_sys("fstat"), "shmipc: directory \"%s\": %s%s", path,
				   shmipc_cause(shmipc_code(errno)).s,
				   shmipc_advice(shmipc_code(errno)));
	if (st.st_uid && st.st_uid != geteuid())
		return shmipc_fail(-EACCES, "shmipc: directory \"%s\" belongs to user %u, who could replace what others put there (EACCES); let root create it, see shmipc_users(7), or set SHMIPC_DIR to a directory that you trust, this one or another",
				   path, st.st_uid);
	if (st.st_mode & 0022 && !(st.st_mode & 01000))
		return shmipc_fail(-EACCES, "shmipc: directory \"%s\" has mode %#o: others could replace what is there (EACCES); set the sticky bit: chmod +t \"%s\"",
				   path, st.st_mode & 07777u, path);
	return 0;
}

static int dir_open_path(const char *path)
{
	/* The default directory may not be a link of another user's. */
	return shmipc_fd(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
			      (dir_named ? 0 : O_NOFOLLOW)));
}

static const char *why_not_made(const char *path, int err)
{
	char parent[sizeof(dir_path)], *slash;
	struct statfs s;

	(void)snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = 0;
	if (err == -ENOSPC && !statfs(parent, &s) && s.f_files && !s.f_ffree)
		return "; the file system has no inode left (df -i shows it): remove files there, or mount it with a larger nr_inodes=";
	return *shmipc_advice(err) ? shmipc_advice(err) :
	       "; create it yourself, or set SHMIPC_DIR to one that you may write";
}

int shmipc_dir_open(bool make)
{
	const char *path = shmipc_segment_dir();
	int fd, err;

	if (dir_error)
		return shmipc_fail(dir_error, "shmipc: SHMIPC_DIR \"%s\": %s (%s); set it to an absolute path of less than %zu bytes",
				   path, strerror(-dir_error), shmipc_error_name(dir_error),
				   sizeof(dir_path));
	fd = dir_open_path(path);
	if (fd < 0 && errno == ENOENT && make) {
		err = dir_make(path);
		if (err)
			return shmipc_fail(err, "shmipc: create directory \"%s\": %s%s", path,
					   shmipc_cause(err).s, why_not_made(path, err));
		fd = dir_open_path(path);
	}
	if (fd >= 0) {
		err = dir_trust(fd);
		if (!err)
			return fd;
		(void)close(fd);
		return err;
	}
	err = errno == ELOOP ? shmipc_failed_call("openat", ENOTDIR) : shmipc_sys("openat");
	return shmipc_fail(err, "shmipc: open directory \"%s\": %s%s", path, shmipc_cause(err).s,
			   err == -ENOENT ? "; no segment was ever created here" :
			   err == -ENOTDIR ? "; a file or a link is in its place: remove it, or set SHMIPC_DIR to a directory" :
			   err == -EACCES ? "; its owner must let you read and search it, or set SHMIPC_DIR to one that you may use" :
			   shmipc_advice(err));
}
