// SPDX-License-Identifier: MIT
/* Committed memory is charged to the segment's creator, and limited. */
#include <sys/uio.h>

#include "machine.h"

#define RW	(PROT_READ | PROT_WRITE)
#define DATA	(2 * MIB)

static uint64_t used(int fd)
{
	struct shmipc_dev_stat s;

	return dev_stat(fd, &s) ? UINT64_MAX : s.used_bytes;
}

/* A reserved segment of which we are the producer, or -errno. */
static int make_tx(const char *name, uint64_t bytes)
{
	struct make m;
	int fd, ret;

	make_init(&m, name, bytes);
	make_reserved(&m, 0);
	fd = dev_make(&m);
	if (fd < 0)
		return fd;
	ret = dev_attach(fd, SHMIPC_ROLE_PRODUCER);
	return ret < 0 ? ret : fd;
}

/* Does it fail with -ENOSPC because of @limit? */
static bool hits(int fd, uint64_t off, uint64_t bytes, uint32_t limit)
{
	struct shmipc_dev_commit r = { .size = sizeof(r), .off = off, .bytes = bytes };

	return dev_ioctl(fd, SHMIPC_IOC_COMMIT, &r) == -ENOSPC && r.limit == limit;
}

static int meets_the_user_limit(void *arg)
{
	int a = make_tx(NULL, 16 * MIB), b = make_tx(NULL, 16 * MIB);
	uint64_t before;

	(void)arg;
	/* The limit of 8 MiB includes 10 control pages; reserved bytes do not count. */
	if (a < 0 || b < 0)
		return 1;
	if (dev_commit(a, DATA, 4 * MIB) != 4 * MIB || dev_commit(b, DATA, 3 * MIB) != 3 * MIB)
		return 2;
	before = used(b);
	if (!hits(b, DATA + 3 * MIB, MIB, SHMIPC_LIMIT_USER_BYTES) || used(b) != before)
		return 3;
	/* Pages that have memory are not counted again. */
	if (dev_commit(b, DATA, 3 * MIB) != 0)
		return 4;
	/* The same process can commit again after some memory was uncommitted. */
	if (dev_uncommit(a, DATA, 2 * MIB) != 2 * MIB)
		return 5;
	if (dev_commit(b, DATA + 3 * MIB, MIB) != MIB)
		return 6;
	close(a);
	return dev_commit(b, DATA + 4 * MIB, 3 * MIB) == 3 * MIB ? 0 : 7;
}

static int meets_the_reserve_limit(void *arg)
{
	struct make m;
	int fd;

	(void)arg;
	fd = make_tx(NULL, 12 * MIB);
	if (fd < 0)
		return 1;
	make_init(&m, NULL, 6 * MIB);
	make_reserved(&m, 0);
	if (dev_make(&m) != -ENOSPC || m.req.limit != SHMIPC_LIMIT_USER_RESERVED)
		return 2;
	close(fd);
	return dev_make(&m) >= 0 ? 0 : 3;
}

TEST(a_user_can_commit_again_below_its_limits)
{
	ASSERT_EQ(param("user_max_mib", "8"), 0);
	EXPECT_EQ(as_user(USER, true, meets_the_user_limit, NULL), 0);
	ASSERT_EQ(param("reserve_factor", "2"), 0);
	EXPECT_EQ(as_user(USER, true, meets_the_reserve_limit, NULL), 0);
	ASSERT_EQ(param("reserve_factor", "1024"), 0);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
}

TEST(the_total_limits_apply_to_all_users)
{
	int fd = make_tx(NULL, 32 * MIB);
	struct make m;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(param("total_max_mib", "8"), 0);
	EXPECT_TRUE(hits(fd, DATA, 8 * MIB, SHMIPC_LIMIT_TOTAL_BYTES));
	EXPECT_EQ(dev_commit(fd, DATA, 7 * MIB), 7 * MIB);
	EXPECT_EQ(dev_uncommit(fd, DATA, 8 * MIB), 7 * MIB);
	ASSERT_EQ(param("reserve_factor", "5"), 0);
	make_init(&m, NULL, 8 * MIB);
	make_reserved(&m, 0);
	EXPECT_EQ(dev_make(&m), -ENOSPC);
	EXPECT_EQ(m.req.limit, SHMIPC_LIMIT_TOTAL_RESERVED);
	ASSERT_EQ(param("reserve_factor", "1024"), 0);
	ASSERT_EQ(param("total_max_mib", "0"), 0);
	close(fd);
}

/* Runs as another member of the group, and commits in USER's segment. */
static int commits_elsewhere(void *arg)
{
	struct shmipc_dev_info before, after;
	int fd = dev_open("commit/charged");

	(void)arg;
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0 || dev_info(&before))
		return 1;
	if (dev_commit(fd, DATA, MIB) != MIB || dev_info(&after))
		return 2;
	if (after.user_bytes != before.user_bytes || after.total_bytes != before.total_bytes + MIB)
		return 3;
	return hits(fd, DATA + MIB, 8 * MIB, SHMIPC_LIMIT_USER_BYTES) ? 0 : 4;
}

static int makes_and_waits(void *arg)
{
	struct gate *g = arg;
	struct shmipc_dev_info info;
	struct make m;

	make_init(&m, "commit/charged", 16 * MIB);
	make_reserved(&m, 0);
	m.req.mode = 0666;
	if (dev_make(&m) < 0)
		return 1;
	gate_tell(g->to_parent[1], 'm');
	gate_hear(g->to_child[0]);
	if (dev_info(&info) || info.user_bytes != MIB + 5 * PAGE)
		return 2;
	return 0;
}

TEST(the_creator_is_charged_for_every_commit)
{
	struct gate g;
	int status, fd;
	pid_t pid;

	gate_make(&g);
	ASSERT_EQ(param("user_max_mib", "8"), 0);
	pid = fork();
	if (!pid)
		_exit(as_user(USER, true, makes_and_waits, &g));
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'm');
	EXPECT_EQ(as_user(OTHER, true, commits_elsewhere, NULL), 0);
	/* Also if the process that commits is exempt from its own limits. */
	fd = dev_open("commit/charged");
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_TRUE(hits(fd, DATA, 9 * MIB, SHMIPC_LIMIT_USER_BYTES));
	close(fd);
	gate_tell(g.to_child[1], 'x');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
	gate_close(&g);
}

static int touches_past_the_limit(void *arg)
{
	int fd = make_tx("commit/touch", 16 * MIB), zero = open("/dev/zero", O_RDONLY);
	char *p;

	if (fd < 0 || dev_commit(fd, DATA, 7 * MIB) != 7 * MIB)
		return 1;
	p = dev_map(fd, DATA, 16 * MIB, RW);
	/* At the limit a system call gets EFAULT, and the process's own touch SIGBUS. */
	if (read(zero, p + 8 * MIB, 2 * MIB) != (ssize_t)(MIB - 5 * PAGE))
		return 2;
	if (used(fd) != 8 * MIB)
		return 3;
	if (arg)
		p[15 * MIB] = 1;
	return 0;
}

TEST(a_touch_past_the_limit_is_refused)
{
	ASSERT_EQ(param("user_max_mib", "8"), 0);
	EXPECT_EQ(as_user(USER, true, touches_past_the_limit, NULL), 0);
	EXPECT_EQ(as_user(USER, true, touches_past_the_limit, ""), -SIGBUS);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
}

TEST(more_memory_than_exists_fails_and_changes_nothing)
{
	struct shmipc_dev_info before, after;
	int fd;

	ASSERT_EQ(param("total_max_mib", "1000000"), 0);
	fd = make_tx(NULL, 1ull << 33);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_info(&before), 0);
	EXPECT_EQ(dev_commit(fd, DATA, 1ull << 33), -ENOMEM);
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, before.total_bytes);
	EXPECT_EQ(used(fd), 5 * PAGE);
	EXPECT_EQ(dev_commit(fd, DATA, 4 * MIB), 4 * MIB);
	close(fd);
	ASSERT_EQ(param("total_max_mib", "0"), 0);
}

static int makes_in_cgroup(void *arg)
{
	struct gate *g = arg;
	struct make m;

	if (write_file(CG "/cgroup.procs", "0"))
		return 1;
	make_init(&m, "commit/cgroup", 128 * MIB);
	make_reserved(&m, 0);
	if (dev_make(&m) < 0)
		return 2;
	gate_tell(g->to_parent[1], 'm');
	gate_hear(g->to_child[0]);
	return 0;
}

TEST(the_creators_cgroup_is_charged)
{
	long before, after;
	struct gate g;
	int fd, status;
	pid_t pid;

	(void)write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CG, 0755) || access(CG "/memory.max", F_OK))
		SKIP(return, "no memory cgroup");
	ASSERT_EQ(write_file(CG "/memory.max", "67108864"), 0);
	gate_make(&g);
	pid = fork();
	if (!pid)
		_exit(makes_in_cgroup(&g));
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'm');
	fd = dev_open("commit/cgroup");
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	before = read_long(CG "/memory.current");
	/* Reserved bytes cost almost no memory. */
	EXPECT_LT(before, (long)(8 * MIB));
	EXPECT_EQ(dev_commit(fd, DATA, 16 * MIB), 16 * MIB);
	after = read_long(CG "/memory.current");
	EXPECT_GE(after - before, (long)(16 * MIB));
	/* More than memory.max: refused, and no process is killed. */
	EXPECT_EQ(dev_commit(fd, DATA, 128 * MIB), -ENOMEM);
	EXPECT_EQ(dev_uncommit(fd, DATA, 128 * MIB), 16 * MIB);
	EXPECT_LT(read_long(CG "/memory.current"), after - (long)(15 * MIB));
	gate_tell(g.to_child[1], 'x');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	close(fd);
	gate_close(&g);
	rmdir(CG);
}

TEST_HARNESS_MAIN
