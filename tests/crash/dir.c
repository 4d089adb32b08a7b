// SPDX-License-Identifier: MIT
/* dir.c - the directory of the segments, before and after each kill */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver.h"

static char base[200], dir[220];
unsigned int dirs_beside;

bool dir_make(void)
{
	const char *env = getenv("SHMIPC_DIR");

	if (env && *env)
		(void)snprintf(base, sizeof(base), "%s.crash.XXXXXX", env);
	else
		(void)snprintf(base, sizeof(base), "/dev/shm/shmipc-crash.XXXXXX");
	if (!mkdtemp(base)) {
		fprintf(stderr, "make directory %s: %s\n", base, strerror(errno));
		return false;
	}
	(void)chmod(base, 0755);	/* for the scenarios with other users */
	(void)snprintf(dir, sizeof(dir), "%s/dir", base);
	return !setenv("SHMIPC_DIR", dir, 1);
}

/* Remove the files in a directory of ours. Return: their number, and the first name. */
static unsigned int empty(const char *path, char *first, size_t room)
{
	struct dirent *e;
	DIR *d = opendir(path);
	unsigned int n = 0;

	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (!n++)
			(void)snprintf(first, room, "%s", e->d_name);
		if (unlinkat(dirfd(d), e->d_name, 0))
			(void)unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR);
	}
	if (d)
		(void)closedir(d);
	return n;
}

bool on_device(void)
{
	const char *backend = getenv("SHMIPC_BACKEND");

	return backend && !strcmp(backend, "dev");
}

void dir_before(const struct scenario *s)
{
	char first[256];

	/* On the device names are in no directory, but in the IPC namespace: a new one each time. */
	if (on_device() && unshare(CLONE_NEWIPC)) {
		perror("step: a new IPC namespace");
		exit(1);
	}
	(void)empty(dir, first, sizeof(first));
	if (s->flags & NO_DIR) {
		(void)rmdir(dir);
		(void)empty(base, first, sizeof(first));
	} else if (!mkdir(dir, 0700)) {
		(void)chmod(dir, 01777);
	}
}

void dir_after(const struct scenario *s)
{
	char first[256] = "";
	unsigned int n = empty(dir, first, sizeof(first));

	if (n && !board->text[0])
		(void)snprintf(board->text, sizeof(board->text),
			       "%u files are left in the directory, first %s", n, first);
	if (!(s->flags & NO_DIR))
		return;
	/* A victim killed between creating and renaming the directory leaves an empty one. */
	(void)rmdir(dir);
	n = empty(base, first, sizeof(first));
	dirs_beside += n;
	if (n > 1 && !board->text[0])
		(void)snprintf(board->text, sizeof(board->text), "%u directories beside it, first %s",
			       n, first);
}

void dir_remove(void)
{
	char first[256];

	(void)empty(dir, first, sizeof(first));
	(void)rmdir(dir);
	(void)rmdir(base);
}
