// SPDX-License-Identifier: MIT
/* Owner, group, mode and limits, for ordinary users. */
#include "machine.h"

static int opens_device(void *arg)
{
	(void)arg;
	return dev_file() >= 0 ? 0 : errno;
}

TEST(the_device_is_for_its_group)
{
	EXPECT_EQ(as_user(USER, true, opens_device, NULL), 0);
	EXPECT_EQ(as_user(OTHER, false, opens_device, NULL), EACCES);
}

struct access {
	const char *name;
	int ro, rw, unlink;
};

static int tries_access(void *arg)
{
	struct access *a = arg;
	int ro = dev_open_as(a->name, O_RDONLY), rw = dev_open_as(a->name, O_RDWR);

	if ((ro < 0 ? ro : 0) != a->ro)
		return 1;
	if ((rw < 0 ? rw : 0) != a->rw)
		return 2;
	return dev_unlink(a->name) == a->unlink ? 0 : 3;
}

TEST(mode_bits_are_those_of_files)
{
	const struct {
		uint32_t mode, uid, gid;
		int ro, rw, unlink;	/* for USER, member of GROUP */
	} t[] = {
		{ 0600, 0, 0, -EACCES, -EACCES, -EPERM },
		{ 0604, 0, 0, 0, -EACCES, -EPERM },
		{ 0606, 0, 0, 0, 0, -EPERM },
		{ 0640, 0, GROUP, 0, -EACCES, -EPERM },
		{ 0660, 0, GROUP, 0, 0, -EPERM },
		{ 0606, 0, GROUP, -EACCES, -EACCES, -EPERM },	/* the group's bits apply */
		{ 0400, USER, 0, 0, -EACCES, 0 },
		{ 0600, USER, 0, 0, 0, 0 },
		{ 0066, USER, GROUP, -EACCES, -EACCES, 0 },	/* the owner's bits apply */
	};
	struct access a;
	struct make m;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		TH_LOG("mode %o uid %u gid %u", t[i].mode, t[i].uid, t[i].gid);
		make_init(&m, "rights/mode", PAGE);
		m.req.mode = t[i].mode;
		m.req.flags = SHMIPC_DEV_CHOWN;
		m.req.uid = t[i].uid;
		m.req.gid = t[i].gid;
		fd = dev_make(&m);
		ASSERT_GE(fd, 0);
		a = (struct access){ "rights/mode", t[i].ro, t[i].rw, t[i].unlink };
		EXPECT_EQ(as_user(USER, true, tries_access, &a), 0);
		close(fd);
	}
}

static int gives_away(void *arg)
{
	struct make m;
	int fd;

	(void)arg;
	make_init(&m, "rights/chown", PAGE);
	m.req.flags = SHMIPC_DEV_CHOWN;
	m.req.uid = OTHER;
	m.req.gid = USER;
	if (dev_make(&m) != -EPERM)
		return 1;
	m.req.uid = USER;
	m.req.gid = 0;
	if (dev_make(&m) != -EPERM)
		return 2;
	m.req.gid = GROUP;
	fd = dev_make(&m);
	if (fd < 0)
		return 3;
	return 0;
}

TEST(only_privileged_users_change_the_owner)
{
	struct shmipc_dev_stat s;
	struct make m;
	int fd;

	EXPECT_EQ(as_user(USER, true, gives_away, NULL), 0);
	make_init(&m, NULL, PAGE);
	m.req.flags = SHMIPC_DEV_CHOWN;
	m.req.uid = OTHER;
	m.req.gid = GROUP;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.uid, OTHER);
	EXPECT_EQ(s.gid, GROUP);
	m.req.flags = 0;
	EXPECT_EQ(dev_make(&m), -EINVAL);
}

static int lists(void *arg)
{
	struct shmipc_dev_stat s = { .size = sizeof(s) };
	struct shmipc_dev_list r = { .size = sizeof(r), .stat = (uintptr_t)&s };
	int fd = dev_file(), n = 0;

	(void)arg;
	for (;;) {
		r.after = (uintptr_t)s.name;
		r.after_len = (uint32_t)strlen(s.name);
		if (dev_ioctl(fd, SHMIPC_IOC_LIST, &r))
			return n;
		n++;
	}
}

TEST(an_unreadable_segment_is_not_listed)
{
	struct make m;
	int secret, open_to_all;

	make_init(&m, "rights/list/secret", PAGE);
	secret = dev_make(&m);
	make_init(&m, "rights/list/open", PAGE);
	m.req.mode = 0644;
	open_to_all = dev_make(&m);
	ASSERT_GE(secret, 0);
	ASSERT_GE(open_to_all, 0);
	EXPECT_EQ(as_user(USER, true, lists, NULL), 1);
	EXPECT_EQ(lists(NULL), 2);
}

/* As process 1 of its own namespace, with a peer outside it. */
static int sees_pids(void *arg)
{
	struct shmipc_dev_peer peer;
	int fd = dev_open("rights/pids");
	struct gate *g = arg;

	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_CONSUMER) != 1)
		return 1;
	if (dev_peer(fd, 0, &peer) || peer.state != SHMIPC_PEER_ATTACHED || peer.pid != 0)
		return 2;
	if (dev_peer(fd, 1, &peer) || peer.pid != 1)
		return 3;
	gate_tell(g->to_parent[1], 'a');
	gate_hear(g->to_child[0]);
	return 0;
}

static int in_pid_namespace(void *arg)
{
	return unshare(CLONE_NEWPID) ? 9 : in_child(sees_pids, arg);
}

TEST(pids_are_those_of_the_readers_namespace)
{
	int fd = dev_create("rights/pids", PAGE), status;
	struct shmipc_dev_peer peer;
	struct gate g;
	pid_t pid;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	gate_make(&g);
	pid = fork();
	if (!pid) {
		status = in_pid_namespace(&g);
		gate_tell(g.to_parent[1], 'x');
		_exit(status);
	}
	EXPECT_EQ(gate_hear(g.to_parent[0]), 'a');
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	EXPECT_EQ(peer.pid, getpid());
	ASSERT_EQ(dev_peer(fd, 1, &peer), 0);
	EXPECT_GT(peer.pid, pid);	/* its child, with our number */
	gate_tell(g.to_child[1], 'g');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	gate_close(&g);
	close(fd);
}

/* Does it fail with -ENOSPC, because of @limit? */
static int hits(const char *name, uint64_t bytes, uint32_t limit)
{
	struct make m;
	int fd;

	make_init(&m, name, bytes);
	fd = dev_make(&m);
	if (fd >= 0)
		close(fd);
	return fd == -ENOSPC && m.req.limit == limit;
}

static int meets_byte_limit(void *arg)
{
	struct shmipc_dev_info info;
	int a, b;

	(void)arg;
	a = dev_create(NULL, 4 * MIB);
	b = dev_create(NULL, 3 * MIB);
	if (a < 0 || b < 0)
		return 1;
	if (!hits(NULL, 4 * MIB, SHMIPC_LIMIT_USER_BYTES))
		return 2;
	if (dev_info(&info) || info.user_max_bytes != 8 * MIB ||
	    info.user_bytes != 7 * MIB + 10 * PAGE || info.user_segs != 2)
		return 3;
	close(a);
	return dev_create(NULL, 4 * MIB) >= 0 ? 0 : 4;
}

static int meets_segment_limit(void *arg)
{
	int fd;

	(void)arg;
	fd = dev_create(NULL, PAGE);
	if (fd < 0 || dev_create(NULL, PAGE) < 0)
		return 1;
	if (!hits(NULL, PAGE, SHMIPC_LIMIT_USER_SEGS))
		return 2;
	close(fd);
	return dev_create(NULL, PAGE) >= 0 ? 0 : 3;
}

TEST(the_limits_of_a_user_do_not_apply_to_the_privileged)
{
	int fd;

	ASSERT_EQ(param("user_max_mib", "8"), 0);
	EXPECT_EQ(as_user(USER, true, meets_byte_limit, NULL), 0);
	fd = dev_create(NULL, 16 * MIB);
	EXPECT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(param("user_max_mib", "0"), 0);
	ASSERT_EQ(param("user_max_segs", "2"), 0);
	EXPECT_EQ(as_user(USER, true, meets_segment_limit, NULL), 0);
	ASSERT_EQ(param("user_max_segs", "4096"), 0);
}

TEST(the_total_limits_apply_to_all_users)
{
	int fd;

	ASSERT_EQ(param("total_max_mib", "8"), 0);
	fd = dev_create(NULL, 4 * MIB);
	EXPECT_GE(fd, 0);
	EXPECT_TRUE(hits(NULL, 4 * MIB, SHMIPC_LIMIT_TOTAL_BYTES));
	close(fd);
	ASSERT_EQ(param("total_max_mib", "0"), 0);
	ASSERT_EQ(param("total_max_segs", "1"), 0);
	fd = dev_create(NULL, PAGE);
	EXPECT_GE(fd, 0);
	EXPECT_TRUE(hits(NULL, PAGE, SHMIPC_LIMIT_TOTAL_SEGS));
	close(fd);
	ASSERT_EQ(param("total_max_segs", "32768"), 0);
}

TEST(more_memory_than_exists_fails_and_kills_no_process)
{
	struct make m;
	struct shmipc_dev_info before, after;

	ASSERT_EQ(dev_info(&before), 0);
	ASSERT_EQ(param("total_max_mib", "1000000"), 0);
	make_init(&m, NULL, 1ull << 38);
	EXPECT_EQ(dev_make(&m), -ENOMEM);
	ASSERT_EQ(param("total_max_mib", "0"), 0);
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, before.total_bytes);
}

TEST_HARNESS_MAIN
