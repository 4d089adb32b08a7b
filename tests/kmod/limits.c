// SPDX-License-Identifier: MIT
/* Limits that cannot be avoided: by user namespaces, by many users, by cpusets, in a cgroup. */
#include "machine.h"

#define SUB_UIDS	40

/* A segment by the descriptor @dev of the device. Return: as dev_make(). */
static int make_by(int dev, uint64_t bytes, uint32_t *ret_limit)
{
	struct make m;
	int ret;

	make_init(&m, NULL, bytes);
	m.req.page = PAGE;
	ret = fd_ioctl(dev, SHMIPC_IOC_CREATE, &m.req);
	*ret_limit = m.req.limit;
	return ret;
}

/* Segments of 1 MiB by as many ids as this namespace has. Return: how many. */
static int fill_by_sub_uids(int dev)
{
	uint32_t limit;
	int i, n = 0;

	for (i = 0; i < SUB_UIDS; i++) {
		if (setresuid(-1, i, -1))
			return -1;
		if (make_by(dev, MIB, &limit) >= 0)
			n++;
		else if (limit != SHMIPC_LIMIT_USER_BYTES)
			return -2;
		if (setresuid(-1, 0, -1))
			return -3;
	}
	return n;
}

struct in_ns {
	uid_t uid;		/* who makes the namespace */
	const char *map;	/* its uid_map */
	int (*fn)(int dev, void *arg);
	void *arg;
	struct gate gate;
};

static int ns_fn(void *arg)
{
	struct in_ns *n = arg;
	int dev = dev_file();

	if (n->uid)
		become(n->uid, n->uid, true);
	if (dev < 0 || unshare(CLONE_NEWUSER))
		return 90;
	gate_tell(n->gate.to_parent[1], 'n');
	gate_hear(n->gate.to_child[0]);
	if (setresuid(0, 0, 0))
		return 91;
	return n->fn(dev, n->arg);
}

/* Run @n->fn in a new user namespace, in a child. Return: its exit code. */
static int in_ns(struct in_ns *n)
{
	char path[64], gids[32];
	int status, bad;
	pid_t pid;

	gate_make(&n->gate);
	pid = fork();
	if (!pid)
		_exit(ns_fn(n));
	if (gate_hear(n->gate.to_parent[0]) == 'n') {
		/* Its group is mapped, too: otherwise it could not make another one. */
		snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
		snprintf(gids, sizeof(gids), "0 %u 1\n", n->uid);
		bad = write_file(path, gids);
		snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
		if (bad || write_file(path, n->map))
			kill(pid, SIGKILL);
		gate_tell(n->gate.to_child[1], 'm');
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	gate_close(&n->gate);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int user_holds(void *arg)
{
	struct shmipc_dev_info info;

	(void)arg;
	return dev_info(&info) ? 99 : (int)(info.user_bytes / MIB);
}

/* Leaves its segments open until the parent has asked as the user, outside. */
static int holds_seven(int dev, void *arg)
{
	int n = fill_by_sub_uids(dev);

	if (n < 0)
		return 80 - n;
	gate_tell(((struct gate *)arg)->to_parent[1], 'f');
	gate_hear(((struct gate *)arg)->to_child[0]);
	return n;
}

TEST(sub_uids_count_as_the_owner_of_the_namespace)
{
	struct gate g;
	struct in_ns n = { USER, "0 1000 1\n1 100000 100\n", holds_seven, &g, { { 0 }, { 0 } } };
	int status;
	pid_t pid;

	gate_make(&g);
	ASSERT_EQ(param("user_max_mib", "8"), 0);
	pid = fork();
	if (!pid)
		_exit(in_ns(&n));
	EXPECT_EQ(gate_hear(g.to_parent[0]), 'f');
	EXPECT_EQ(as_user(USER, true, user_holds, NULL), 7);
	EXPECT_EQ(as_user(OTHER, true, user_holds, NULL), 0);
	gate_tell(g.to_child[1], 'x');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	/* 8 MiB, less the control pages. */
	EXPECT_EQ(WEXITSTATUS(status), 7);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
	gate_close(&g);
}

static int fills_nested(int dev, void *arg)
{
	uint32_t limit;
	int n = 0;

	(void)arg;
	for (; n < 4; n++)
		if (make_by(dev, MIB, &limit) < 0)
			return 93;
	/* Another id, which is not mapped there; the owner of the outermost one pays. */
	if (setresuid(5, 5, 5) || unshare(CLONE_NEWUSER))
		return 92;
	while (make_by(dev, MIB, &limit) >= 0)
		n++;
	return limit == SHMIPC_LIMIT_USER_BYTES ? n : 94;
}

TEST(nested_namespaces_count_as_the_owner_of_the_outermost)
{
	struct in_ns n = { USER, "0 100000 100\n", fills_nested, NULL, { { 0 }, { 0 } } };

	ASSERT_EQ(param("user_max_mib", "8"), 0);
	EXPECT_EQ(in_ns(&n), 7);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
}

static int fills(int dev, void *arg)
{
	int n = fill_by_sub_uids(dev);

	(void)arg;
	return n < 0 ? 80 - n : n;
}

/* Root's namespaces, as those of containers, each have their own limits. */
TEST(each_container_of_root_counts_by_itself)
{
	struct gate g;
	struct in_ns a = { 0, "0 200000 100\n", holds_seven, &g, { { 0 }, { 0 } } };
	struct in_ns b = { 0, "0 300000 100\n", fills, NULL, { { 0 }, { 0 } } };
	int status;
	pid_t pid;

	gate_make(&g);
	ASSERT_EQ(param("user_max_mib", "8"), 0);
	pid = fork();
	if (!pid)
		_exit(in_ns(&a));
	EXPECT_EQ(gate_hear(g.to_parent[0]), 'f');
	EXPECT_EQ(in_ns(&b), 7);
	gate_tell(g.to_child[1], 'x');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(WEXITSTATUS(status), 7);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
	gate_close(&g);
}

struct fill {
	uint64_t bytes;
	uint32_t limit;		/* that is met in the end */
	struct gate g;
};

/* Creates until a limit is met, and waits. */
static int fills_all(void *arg)
{
	struct fill *f = arg;
	uint32_t limit = 0;
	int dev = dev_file(), n = 0;

	while (make_by(dev, f->bytes, &limit) >= 0)
		n++;
	gate_tell(f->g.to_parent[1], limit == f->limit ? 'f' : 'x');
	gate_hear(f->g.to_child[0]);
	return n;
}

static void root_gets_one(struct __test_metadata *_metadata, struct fill *f)
{
	struct shmipc_dev_info info;
	uint32_t limit;
	int fd, status, dev = dev_file();
	pid_t pid;

	gate_make(&f->g);
	pid = fork();
	if (!pid)
		_exit(as_user(USER, true, fills_all, f));
	EXPECT_EQ(gate_hear(f->g.to_parent[0]), 'f');
	fd = make_by(dev, f->bytes, &limit);
	EXPECT_GE(fd, 0);
	ASSERT_EQ(dev_info(&info), 0);
	EXPECT_LE(info.total_segs, info.total_max_segs);
	EXPECT_LE(info.total_bytes, info.total_max_bytes);
	gate_tell(f->g.to_child[1], 'x');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_GT(WEXITSTATUS(status), 10);
	close(fd);
	close(dev);
	gate_close(&f->g);
}

TEST(users_leave_segments_for_root)
{
	struct fill f = { .bytes = PAGE, .limit = SHMIPC_LIMIT_TOTAL_SEGS };

	ASSERT_EQ(param("total_max_segs", "32"), 0);
	root_gets_one(_metadata, &f);
	ASSERT_EQ(param("total_max_segs", "32768"), 0);
}

TEST(users_leave_memory_for_root)
{
	struct fill f = { .bytes = MIB, .limit = SHMIPC_LIMIT_TOTAL_BYTES };

	ASSERT_EQ(param("total_max_mib", "20"), 0);
	ASSERT_EQ(param("user_max_mib", "100"), 0);
	root_gets_one(_metadata, &f);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
	ASSERT_EQ(param("total_max_mib", "0"), 0);
}

/* A child in the cgroup, whose own memory is all there. */
static int enter_cgroup(void)
{
	return mlockall(MCL_CURRENT) || write_file(CG "/cgroup.procs", "0") ? -1 : 0;
}

#define NODE_BYTES	(800 * MIB)	/* more than one node has */
#define STEP		(32 * MIB)

/* Return: how many chunks are on the other node. */
static int fills_its_node(void *arg)
{
	static uint32_t chunk[NODE_BYTES / (2 * MIB) + 1];
	struct shmipc_dev_pages r = { .size = sizeof(r), .chunks = (uintptr_t)chunk,
				      .count = sizeof(chunk) / sizeof(chunk[0]) };
	static struct make m;
	uint64_t done;
	int fd, there = 0;
	uint32_t i;

	(void)arg;
	make_init(&m, NULL, NODE_BYTES);
	make_reserved(&m, 0);
	if (enter_cgroup())
		return 120;
	fd = dev_make(&m);
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 121;
	for (done = 0; done < NODE_BYTES; done += STEP)
		if (dev_commit(fd, 2 * MIB + done, STEP) != (int64_t)STEP)
			break;
	if (dev_ioctl(fd, SHMIPC_IOC_PAGES, &r))
		return 122;
	for (i = 0; i < r.count; i++)
		if (!(chunk[i] & SHMIPC_CHUNK_HOLE) && (chunk[i] & SHMIPC_CHUNK_NODE) != 0)
			there++;
	close(fd);
	if (there)
		return there > 100 ? 100 : there;
	return done < 4 * STEP || done == NODE_BYTES ? 123 : 0;
}

TEST(a_cpuset_is_not_left)
{
	(void)write_file("/sys/fs/cgroup/cgroup.subtree_control", "+cpuset");
	if (mkdir(CG, 0755) || access(CG "/cpuset.mems", F_OK)) {
		rmdir(CG);
		SKIP(return, "no cpusets in cgroups");
	}
	if (access("/sys/devices/system/node/node1", F_OK)) {
		rmdir(CG);
		SKIP(return, "one NUMA node");
	}
	ASSERT_EQ(write_file(CG "/cpuset.mems", "0"), 0);
	ASSERT_EQ(param("total_max_mib", "100000"), 0);
	EXPECT_EQ(in_child(fills_its_node, NULL), 0);
	ASSERT_EQ(param("total_max_mib", "0"), 0);
	rmdir(CG);
}

/* A count in memory.events. */
static long event(const char *name)
{
	FILE *f = fopen(CG "/memory.events", "re");
	long n = -1, v;
	char key[32];

	while (f && fscanf(f, "%31s %ld", key, &v) == 2)
		if (!strcmp(key, name))
			n = v;
	if (f)
		fclose(f);
	return n;
}

#define ROUNDS	40
#define MANY	500

/* Creates until there is no memory, and begins again: what is missing in the end varies. */
static int creates_to_the_limit(void *arg)
{
	static struct make m;
	int fd[MANY], i, n, round, made = 0;

	(void)arg;
	memset(fd, -1, sizeof(fd));
	if (enter_cgroup())
		return 1;
	for (round = 0; round < ROUNDS; round++) {
		make_init(&m, NULL, PAGE * (1 + round % 7));
		for (n = 0; n < MANY; n++) {
			fd[n] = dev_make(&m);
			if (fd[n] < 0)
				break;
			(void)dev_attach(fd[n], SHMIPC_ROLE_PRODUCER);
		}
		if (n == MANY || fd[n] != -ENOMEM)
			return 2;
		made += n;
		for (i = 0; i < n; i++) {
			/* Only a file is missing. */
			int other = dev_join(fd[i], 0);

			if (other >= 0)
				close(other);
			else if (other != -ENOMEM)
				return 3;
		}
		for (i = 0; i < n; i++)
			close(fd[i]);
	}
	/* Not as many each time: the kernel gives some memory back later. */
	return made >= 100 ? 0 : 4;
}

TEST(no_process_is_killed_for_a_segment)
{
	(void)write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CG, 0755) || access(CG "/memory.max", F_OK)) {
		rmdir(CG);
		SKIP(return, "no memory cgroup");
	}
	ASSERT_EQ(write_file(CG "/memory.max", "6291456"), 0);
	EXPECT_EQ(in_child(creates_to_the_limit, NULL), 0);
	EXPECT_EQ(event("oom_kill"), 0);
	EXPECT_EQ(event("oom"), 0);
	rmdir(CG);
}

TEST_HARNESS_MAIN
