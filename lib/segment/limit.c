// SPDX-License-Identifier: MIT
/*
 * limit.c - memory limits of control groups
 *
 * When a group would exceed its limit, the kernel does not refuse the memory: it kills a
 * process of the group. So before memory is taken, its room is computed from what the kernel
 * says of each group on the way up, in either version of the hierarchy. That is close, not
 * exact: others of the group take memory at the same time.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "segment/limit.h"

/* Page tables, and what else the process takes: as much again, within these. */
#define MARGIN_MIN	(UINT64_C(1) << 16)
#define MARGIN_MAX	(UINT64_C(1) << 20)
#define AGAIN_NS	UINT64_C(100000000)	/* an answer is used for as long as this */
#define NONE_NS		UINT64_C(1000000000)
#define LINE		4096

/* Where a hierarchy with the memory controller is mounted; @root of it is mounted there. */
struct mount {
	char at[512];
	char root[512];
};

static struct mount mounts[2];		/* version 1, version 2; at[0] == 0: not mounted */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A space is \040. */
static void unescape(char *s)
{
	char *to = s;
	unsigned int c;

	for (; *s; s++) {
		if (*s == '\\' && sscanf(s + 1, "%3o", &c) == 1) {
			*to++ = (char)c;
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);
	const char *at = list;

	for (; (at = strstr(at, word)); at += len)
		if ((at == list || at[-1] == ',') && (!at[len] || at[len] == ',' || at[len] == '\n'))
			return true;
	return false;
}

static void read_mount(char *line)
{
	char root[512], at[512], type[32], super[512] = "";
	char *rest = strstr(line, " - cgroup");	/* others are many */
	struct mount *m;

	if (!rest || sscanf(line, "%*s %*s %*s %511s %511s", root, at) != 2 ||
	    sscanf(rest, " - %31s %*s %511s", type, super) < 1)
		return;
	if (!strcmp(type, "cgroup2"))
		m = &mounts[1];
	else if (!strcmp(type, "cgroup") && has_word(super, "memory"))
		m = &mounts[0];
	else
		return;
	unescape(root);
	unescape(at);
	(void)snprintf(m->root, sizeof(m->root), "%s", root);
	(void)snprintf(m->at, sizeof(m->at), "%s", at);
}

static void find_mounts(void)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[LINE];

	while (f && fgets(line, sizeof(line), f))
		read_mount(line);
	if (f)
		(void)fclose(f);
}

/* The directory of our group, in which files can be looked at; false: it is out of sight. */
static bool group_dir(const struct mount *m, const char *path, char dir[LINE])
{
	size_t len = strlen(m->root);

	if (!m->at[0])
		return false;
	if (!strcmp(m->root, "/"))
		len = 0;
	/* Above the root of our namespace there is nothing to be seen. */
	if (strncmp(path, m->root, len) || (len && path[len] && path[len] != '/') ||
	    !strncmp(path, "/..", 3))
		path = "";
	else
		path += len;
	(void)snprintf(dir, LINE, "%s%s", m->at, !strcmp(path, "/") ? "" : path);
	return true;
}

/* A number of a file of a group; false: there is none, or "max". */
static bool read_number(const char *dir, const char *file, uint64_t *ret)
{
	char path[LINE + 64], text[32] = "", *end;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	(void)fclose(f);
	*ret = strtoull(text, &end, 10);
	return end > text && *ret < INT64_MAX / 2;	/* version 1: a huge one is "max" */
}

/* The sum of lines "KEY NUMBER". */
static uint64_t read_sum(const char *path, const char *key1, const char *key2)
{
	FILE *f = fopen(path, "re");
	uint64_t sum = 0, v;
	char line[256], key[64];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %" SCNu64, key, &v) == 2 &&
		    (!strcmp(key, key1) || !strcmp(key, key2)))
			sum += v;
	if (f)
		(void)fclose(f);
	return sum;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* What a group that has a limit could give back: its part of the files that are cached. */
static uint64_t cached(const char *dir, bool v2)
{
	char path[LINE + 64];

	(void)snprintf(path, sizeof(path), "%s/memory.stat", dir);
	return v2 ? read_sum(path, "inactive_file", "active_file") :
		    read_sum(path, "total_inactive_file", "total_active_file");
}

static uint64_t swap_room(const char *dir, bool v2)
{
	uint64_t room = read_sum("/proc/meminfo", "SwapFree:", "") * 1024, max, used = 0;

	if (!v2 || !room || !read_number(dir, "memory.swap.max", &max))
		return room;
	(void)read_number(dir, "memory.swap.current", &used);
	return less(max, used) < room ? less(max, used) : room;
}

/* The limit of one group, if it has one and it is the tightest so far. */
static void look_at(const char *dir, bool v2, struct shmipc_memory_limit *l)
{
	uint64_t max, used = 0, room;

	if (!read_number(dir, v2 ? "memory.max" : "memory.limit_in_bytes", &max))
		return;
	(void)read_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes", &used);
	room = less(max, used);
	if (room < l->room_bytes)
		room += cached(dir, v2);
	if (room < l->room_bytes)
		room += swap_room(dir, v2);
	if (room >= l->room_bytes)
		return;
	l->max_bytes = max;
	l->used_bytes = used;
	l->room_bytes = room;
	(void)snprintf(l->group, sizeof(l->group), "%.255s", dir);
}

/* The group, and all above it. */
static void look_up(const struct mount *m, const char *path, bool v2, struct shmipc_memory_limit *l)
{
	char dir[LINE], *slash;

	if (!group_dir(m, path, dir))
		return;
	for (;;) {
		look_at(dir, v2, l);
		slash = strrchr(dir, '/');
		if (strlen(dir) <= strlen(m->at) || !slash)
			return;
		*slash = 0;
	}
}

static void find_limit(struct shmipc_memory_limit *l)
{
	FILE *f = fopen("/proc/self/cgroup", "re");
	char line[LINE], *controllers, *path;

	memset(l, 0, sizeof(*l));
	l->struct_bytes = sizeof(*l);
	l->room_bytes = UINT64_MAX;
	(void)pthread_once(&once, find_mounts);
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		controllers = strchr(line, ':');
		path = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!path)
			continue;
		*path++ = 0;
		controllers++;
		if (!*controllers)
			look_up(&mounts[1], path, true, l);
		else if (has_word(controllers, "memory"))
			look_up(&mounts[0], path, false, l);
	}
	if (f)
		(void)fclose(f);
}

SHMIPC_EXPORT int shmipc_memory_limit_get(struct shmipc_memory_limit *ret)
{
	struct shmipc_memory_limit l;
	int err;

	if (!ret)
		return shmipc_null(__func__, "ret");
	err = shmipc_sized_check(ret, sizeof(l), "memory limit");
	if (err)
		return err;
	find_limit(&l);
	shmipc_sized_write(ret, &l, sizeof(l));
	return 0;
}

/* Of the present thread: what it may still take before the kernel is asked again. */
static _Thread_local struct {
	uint64_t room;
	uint64_t until_ns;
	char what[176];
} seen;

static void see_again(uint64_t now)
{
	struct shmipc_memory_limit l;

	find_limit(&l);
	seen.room = l.room_bytes;
	seen.until_ns = now + (l.room_bytes == UINT64_MAX ? NONE_NS : AGAIN_NS);
	(void)snprintf(seen.what, sizeof(seen.what), "memory limit of %.24s of the control group %.100s",
		       shmipc_text_bytes(l.max_bytes).s, l.group);
}

int shmipc_limit_take(uint64_t bytes)
{
	uint64_t now = shmipc_now_ns();
	uint64_t margin = bytes < MARGIN_MIN ? MARGIN_MIN : bytes < MARGIN_MAX ? bytes : MARGIN_MAX;
	bool fresh = now >= seen.until_ns;

	if (bytes > UINT64_MAX - margin)
		return shmipc_failed_call("size", ENOSPC);
	if (fresh)
		see_again(now);
	if (!fresh && bytes + margin > seen.room)
		see_again(now);
	if (bytes + margin > seen.room)
		return shmipc_failed_call(seen.what, ENOSPC);
	if (seen.room != UINT64_MAX)
		seen.room -= bytes;
	return 0;
}

bool shmipc_limited(int err)
{
	return shmipc_caused_by(seen.what, err);
}
