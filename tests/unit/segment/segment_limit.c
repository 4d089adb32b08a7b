// SPDX-License-Identifier: MIT
/*
 * segment: memory limits of control groups
 *
 * What the kernel says is replaced by files of the test (mounted over those of /proc), so
 * that each hierarchy can be tried anywhere; and where this process may make a control group,
 * a real one shows that nobody is killed.
 */
#include <sys/mount.h>
#include <sys/wait.h>

#include "env.h"

#define NAME	"limit"
#define MIB	(UINT64_C(1) << 20)

FIXTURE(limit) {
	struct env env;
	char base[160];		/* of the files */
};

FIXTURE_SETUP(limit)
{
	env_set_up(&self->env);
	(void)snprintf(self->base, sizeof(self->base), "%s.files", self->env.dir);
}

FIXTURE_TEARDOWN(limit)
{
	env_remove(self->base);
	env_remove(self->env.dir);
}

/* Write a file below the base, with its directories. */
static void put(const char *base, const char *file, const char *text)
{
	char path[400], *slash;
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", base, file);
	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		(void)mkdir(path, 0755);
		*slash = '/';
	}
	fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		perror(path);
	(void)close(fd);
}

/* NULL, or why not. @root of the hierarchy is mounted; the process is in group @path of it. */
static const char *pretend(const char *base, int v2, const char *root, const char *path)
{
	char text[600], from[200];

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return "cannot create a mount namespace (not root?)";
	(void)snprintf(text, sizeof(text), "20 1 0:20 / /proc rw - proc proc rw\n"
		       "25 1 0:25 %s %s/a\\040mount rw,nosuid - %s cgroup rw%s\n", root, base,
		       v2 ? "cgroup2" : "cgroup", v2 ? "" : ",memory");
	put(base, "mountinfo", text);
	(void)snprintf(text, sizeof(text), v2 ? "1:name=systemd:/x\n0::%s\n" :
		       "5:cpu,memory:%s\n0::/elsewhere\n", path);
	put(base, "cgroup", text);
	(void)snprintf(from, sizeof(from), "%s/mountinfo", base);
	if (mount(from, "/proc/self/mountinfo", NULL, MS_BIND, NULL))
		return "files cannot be mounted over those of /proc";
	(void)snprintf(from, sizeof(from), "%s/cgroup", base);
	return mount(from, "/proc/self/cgroup", NULL, MS_BIND, NULL) ? "no bind mount" : NULL;
}

#define GROUP(g, file) "a mount" g "/" file

/* The limit of a group above ours, which is what a container's orchestrator sets. */
TEST_F(limit, of_a_group_above_in_version_2)
{
	struct shmipc_memory_limit l = SHMIPC_MEMORY_LIMIT();
	const char *why;

	put(self->base, GROUP("/top", "memory.max"), "33554432\n");
	put(self->base, GROUP("/top", "memory.current"), "1048576\n");
	put(self->base, GROUP("/top/a", "memory.max"), "max\n");
	put(self->base, GROUP("/top/a/b", "memory.max"), "1073741824\n");
	put(self->base, GROUP("/top/a/b", "memory.current"), "0\n");
	why = pretend(self->base, 1, "/", "/top/a/b");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, shmipc_memory_limit_get(&l));
	EXPECT_EQ(32 * MIB, l.max_bytes);
	EXPECT_EQ(MIB, l.used_bytes);
	EXPECT_LE(31 * MIB, l.room_bytes);	/* and what can be swapped */
	EXPECT_NE(NULL, strstr(l.group, "a mount/top"));
	EXPECT_EQ(NULL, strstr(l.group, "/a/"));
}

/* As in a container without a namespace of groups: a part of the hierarchy is mounted. */
TEST_F(limit, of_version_1_below_a_mounted_part)
{
	struct shmipc_memory_limit l = SHMIPC_MEMORY_LIMIT();
	const char *why;

	put(self->base, GROUP("", "memory.limit_in_bytes"), "9223372036854771712\n");
	put(self->base, GROUP("/in", "memory.limit_in_bytes"), "67108864\n");
	put(self->base, GROUP("/in", "memory.usage_in_bytes"), "67108864\n");
	put(self->base, GROUP("/in", "memory.stat"), "cache 999\ntotal_inactive_file 4194304\n"
	    "total_active_file 1048576\n");
	why = pretend(self->base, 0, "/docker/1", "/docker/1/in");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, shmipc_memory_limit_get(&l));
	EXPECT_EQ(64 * MIB, l.max_bytes);
	EXPECT_LE(5 * MIB, l.room_bytes);	/* cached files can be dropped */
	EXPECT_NE(NULL, strstr(l.group, "a mount/in"));
}

TEST_F(limit, none_is_none)
{
	struct shmipc_memory_limit l = SHMIPC_MEMORY_LIMIT();
	const char *why;

	put(self->base, GROUP("/a", "memory.max"), "max\n");
	why = pretend(self->base, 1, "/", "/a");
	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, shmipc_memory_limit_get(&l));
	EXPECT_EQ(0, l.max_bytes);
	EXPECT_EQ(UINT64_MAX, l.room_bytes);
	EXPECT_STREQ("", l.group);
}

/* With no swap, so that what is left is what the files say. */
static const char *pretend_small(const char *base)
{
	char from[200];
	const char *why;

	put(base, GROUP("/small", "memory.max"), "33554432\n");
	put(base, GROUP("/small", "memory.current"), "8388608\n");
	put(base, "meminfo", "MemFree: 1000 kB\nSwapFree: 0 kB\n");
	why = pretend(base, 1, "/", "/small");
	if (why)
		return why;
	(void)snprintf(from, sizeof(from), "%s/meminfo", base);
	return mount(from, "/proc/meminfo", NULL, MS_BIND, NULL) ? "no bind mount" : NULL;
}

TEST_F(limit, creating_what_exceeds_it_is_enospc_and_names_the_group)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE,
							   .kind = SHMIPC_KIND_SPSC, .bytes = 32 * MIB);
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.flags = SHMIPC_POPULATE, .pool_bytes = 32 * MIB);
	const char *why = pretend_small(self->base);
	struct shmipc_segment *seg;
	struct shmipc_channel *ch;
	struct shmipc_pub *pub;

	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(-ENOSPC, shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_PRODUCER, &o, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "memory limit of 32M of the control group"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "/small"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "raise that limit"));
	EXPECT_EQ(-ENOSPC, shmipc_pub_open(&pub, NAME, &t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "/small"));
	EXPECT_EQ(-ENOSPC, shmipc_segment_anon(&seg, &o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "/small"));
	EXPECT_EQ(-ENOSPC, shmipc_segment_private(&seg, &o));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "/small"));
	o.bytes = 8 * MIB;
	EXPECT_EQ(0, shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_PRODUCER, &o, NULL))
		TH_LOG("%s", shmipc_error_text());
	shmipc_channel_close(ch);
}

/* A topic grows as far as there is room, and then goes on with what it has. */
TEST_F(limit, topic_grows_within_it)
{
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.pool_bytes = 64 * MIB, .history = 4096);
	struct shmipc_sub_opts all = SHMIPC_SUB_OPTS(.start = SHMIPC_START_OLDEST,
						     .policy = SHMIPC_POLICY_LOSSLESS);
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();
	const char *why = pretend_small(self->base);
	struct shmipc_pub *pub, *second;
	static char buf[1 << 20];
	struct shmipc_sub *sub;
	int ret = 0, n;

	if (why)
		SKIP(return, "%s", why);
	ASSERT_EQ(0, shmipc_pub_open(&pub, NAME, &t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_open(&sub, NAME, NULL, &all));
	for (n = 0; !ret && n < 60; n++) {
		ret = shmipc_pub_send(pub, buf, sizeof(buf), 0);
		put(self->base, GROUP("/small", "memory.current"), n < 15 ? "8388608\n" : "33000000\n");
	}
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_LE(15, n);
	ASSERT_EQ(0, shmipc_pub_get_info(pub, &i));
	EXPECT_GT(48 * MIB, i.memory_bytes);
	/* What is there already needs no room. */
	ASSERT_EQ(0, shmipc_pub_open(&second, NAME, NULL, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_pub_close(second);
	shmipc_sub_close(sub);
	EXPECT_EQ(0, shmipc_pub_send(pub, buf, sizeof(buf), 0));
	shmipc_pub_close(pub);
}

/* A real one: 32 MiB in a group above ours. */
static int set(const char *dir, const char *file, const char *text)
{
	char path[300];
	int fd, ret;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
	(void)close(fd);
	return ret;
}

static int make_group(char outer[200], char inner[240])
{
	static const struct { const char *at, *max; } in[] = {
		{ "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
		{ "/sys/fs/cgroup", "memory.max" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(in); i++) {
		(void)snprintf(outer, 200, "%s/shmipc-test-%d", in[i].at, getpid());
		(void)snprintf(inner, 240, "%s/inner", outer);
		if (mkdir(outer, 0755))
			continue;
		(void)set(in[i].at, "cgroup.subtree_control", "+memory");
		(void)set(outer, "cgroup.subtree_control", "+memory");
		if (!mkdir(inner, 0755) && !set(outer, in[i].max, "33554432"))
			return 0;
		(void)rmdir(inner);
		(void)rmdir(outer);
	}
	return -1;
}

static int fill(struct other *me, void *arg)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE, .page = SHMIPC_PAGE_4K,
							   .kind = SHMIPC_KIND_SPSC, .bytes = 64 * MIB);
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.pool_bytes = 64 * MIB, .history = 4096);
	struct shmipc_sub_opts all = SHMIPC_SUB_OPTS(.start = SHMIPC_START_OLDEST,
						     .policy = SHMIPC_POLICY_LOSSLESS);
	static char buf[1 << 20];
	struct shmipc_channel *ch;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int ret, n;

	(void)me;
	CHECK(!set(arg, "cgroup.procs", "0"));
	CHECK(shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_PRODUCER, &o, NULL) == -ENOSPC);
	CHECK(strstr(shmipc_error_text(), "shmipc-test-"));
	CHECK(!shmipc_pub_open(&pub, NAME, &t, NULL));
	CHECK(!shmipc_sub_open(&sub, NAME, NULL, &all));
	for (n = 0, ret = 0; !ret && n < 60; n++)
		ret = shmipc_pub_send(pub, buf, sizeof(buf), 0);
	CHECK(ret == -ENOSPC);
	CHECK(n > 10);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	return 0;
}

static bool has_swap(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		(void)sscanf(line, "SwapFree: %ld", &kib);
	if (f)
		(void)fclose(f);
	return kib > 0;
}

TEST_F(limit, nobody_is_killed)
{
	char outer[200], inner[240];
	struct other child;
	int ret;

	if (on_qemu() || getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "an emulator or a sanitizer takes memory of its own");
	if (has_swap())
		SKIP(return, "what exceeds a limit is swapped out here");
	if (make_group(outer, inner))
		SKIP(return, "no control group with a memory limit can be made (not root?)");
	ret = other_start(&child, 0, fill, inner);
	if (!ret)
		ret = other_end(&child);
	EXPECT_EQ(0, ret) TH_LOG("256 and more: killed by a signal");
	EXPECT_EQ(0, rmdir(inner));
	EXPECT_EQ(0, rmdir(outer));
}

TEST_HARNESS_MAIN
