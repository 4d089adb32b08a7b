/* SPDX-License-Identifier: MIT */
/* machine.h - users, limits, files and page sizes of the test machine */
#ifndef TESTS_KMOD_MACHINE_H
#define TESTS_KMOD_MACHINE_H

#include <grp.h>
#include <sys/stat.h>

#include "dev.h"

#define USER	1000	/* member of group shmipc */
#define OTHER	1001
#define GROUP	900

static inline void become(uid_t uid, gid_t gid, bool member)
{
	gid_t group = GROUP;

	if (setgroups(member ? 1 : 0, &group) || setresgid(gid, gid, gid) ||
	    setresuid(uid, uid, uid))
		_exit(99);
}

struct as {
	uid_t uid;
	bool member;
	int (*fn)(void *arg);
	void *arg;
};

static inline int as_fn(void *arg)
{
	struct as *a = arg;

	become(a->uid, a->uid, a->member);
	return a->fn(a->arg);
}

/* Run @fn as a user, in a child. */
static inline int as_user(uid_t uid, bool member, int (*fn)(void *arg), void *arg)
{
	struct as a = { uid, member, fn, arg };

	return in_child(as_fn, &a);
}

static inline int param(const char *name, const char *value)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/module/shmipc/parameters/%s", name);
	fd = open(path, O_WRONLY);
	ret = fd >= 0 && write(fd, value, strlen(value)) > 0 ? 0 : -errno;
	close(fd);
	return ret;
}

/* KiB in a line of /proc/self/smaps for the mapping that contains @addr. */
static inline long smaps_kib(const void *addr, const char *key)
{
	char line[512];
	unsigned long from, to, at = (unsigned long)addr;
	bool inside = false;
	long kib = -1;
	FILE *f = fopen("/proc/self/smaps", "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2 && strchr(line, '-') < strchr(line, ' '))
			inside = at >= from && at < to;
		else if (inside && !strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, "%ld", &kib);
	}
	if (f)
		fclose(f);
	return kib;
}

static inline int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = -1;

	if (fd >= 0) {
		ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
		close(fd);
	}
	return ret;
}

static inline long read_long(const char *path)
{
	FILE *f = fopen(path, "re");
	long v = -1;

	if (f) {
		if (fscanf(f, "%ld", &v) != 1)
			v = -1;
		fclose(f);
	}
	return v;
}

/* A cgroup for the tests. */
#define CG "/sys/fs/cgroup/shmipc-test"

#endif /* TESTS_KMOD_MACHINE_H */
