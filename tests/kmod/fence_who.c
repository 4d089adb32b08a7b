// SPDX-License-Identifier: MIT
/* The right to fence, and the peer that is meant: users, generations, peers that end meanwhile. */
#include <linux/capability.h>

#include "fence.h"
#include "machine.h"

static int stays(struct victim *v)
{
	victim_ready(v);
	v->p[0] = 2;
	return 0;
}

struct attempt {
	const char *name;
	uint64_t generation;
	int flags;		/* of open */
};

/* Return: what FENCE of slot 0 returned, negated. */
static int fences(void *arg)
{
	const struct attempt *a = arg;
	int fd = dev_open_as(a->name, a->flags);

	return fd < 0 ? 99 : -dev_fence(fd, 0, a->generation);
}

static int makes_and_waits(void *arg)
{
	struct gate *g = arg;
	int fd = make_shared_role("who/users", PAGE, 0666);

	gate_tell(g->to_parent[1], fd < 0 ? 'x' : 'm');
	gate_hear(g->to_child[0]);
	return 0;
}

TEST(the_owner_may_and_another_user_may_not)
{
	struct attempt a = { "who/users", 1, O_RDWR };
	struct gate owner, g;
	struct shmipc_dev_peer peer;
	pid_t maker, pid;
	int fd;

	chmod(SHMIPC_DEVICE, 0666);
	gate_make(&owner);
	maker = fork();
	if (!maker) {
		become(USER, USER, true);
		_exit(makes_and_waits(&owner));
	}
	ASSERT_EQ(gate_hear(owner.to_parent[0]), 'm');
	pid = victim_start(&g, "who/users", NULL, stays);	/* of root */
	ASSERT_GT(pid, 0);
	EXPECT_EQ(as_user(OTHER, true, fences, &a), EPERM);
	fd = dev_open("who/users");
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	EXPECT_EQ(peer.state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(peer.flags, SHMIPC_DEV_PEER_OPEN);
	/* A descriptor for reading will do. */
	a.flags = O_RDONLY;
	EXPECT_EQ(as_user(USER, true, fences, &a), 0);
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	EXPECT_EQ(peer.state, SHMIPC_PEER_DIED);
	gate_tell(g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	gate_tell(owner.to_child[1], 'g');
	EXPECT_EQ(reap(maker), 0);
	victim_done(&g);
	gate_close(&owner);
	close(fd);
}

/* Root without the capability is like any other user. */
static int fences_without_capability(void *arg)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d))
		return 98;
	d[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	if (syscall(SYS_capset, &h, d))
		return 97;
	return fences(arg);
}

TEST(the_capability_may)
{
	struct attempt a = { "who/users", 1, O_RDWR };
	struct gate owner, g;
	pid_t maker, pid;

	chmod(SHMIPC_DEVICE, 0666);
	gate_make(&owner);
	maker = fork();
	if (!maker) {
		become(USER, USER, true);
		_exit(makes_and_waits(&owner));
	}
	ASSERT_EQ(gate_hear(owner.to_parent[0]), 'm');
	pid = victim_start(&g, "who/users", NULL, stays);
	ASSERT_GT(pid, 0);
	EXPECT_EQ(in_child(fences_without_capability, &a), EPERM);
	EXPECT_EQ(in_child(fences, &a), 0);
	gate_tell(g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	gate_tell(owner.to_child[1], 'g');
	EXPECT_EQ(reap(maker), 0);
	victim_done(&g);
	gate_close(&owner);
}

/* With all capabilities in a user namespace of its own. */
static int fences_from_inside(void *arg)
{
	become(OTHER, OTHER, true);
	if (unshare(CLONE_NEWUSER))
		return 96;
	return fences(arg);
}

/* One user of the namespace makes it, another one fences, with all capabilities there. */
static int makes_inside(void *arg)
{
	struct attempt a = { "who/inside", 1, O_RDWR };
	struct gate *g = arg;

	if (unshare(CLONE_NEWUSER))
		return 96;
	gate_tell(g->to_parent[1], 'u');
	gate_hear(g->to_child[0]);
	if (setresuid(1, 1, 1))
		return 95;
	gate_tell(g->to_parent[1], make_shared_role("who/inside", PAGE, 0666) < 0 ? 'x' : 'm');
	gate_hear(g->to_child[0]);
	return setresuid(2, 2, 2) ? 94 : fences(&a);
}

TEST(a_capability_counts_where_the_segment_was_created)
{
	struct attempt a = { "who/outside", 1, O_RDWR };
	int fd = make_shared_role("who/outside", PAGE, 0666);
	struct gate maker, g;
	pid_t pid, inside;
	char path[64];

	chmod(SHMIPC_DEVICE, 0666);
	ASSERT_GE(fd, 0);
	if (access("/proc/self/ns/user", F_OK))
		SKIP(return, "no user namespaces");
	pid = victim_start(&g, "who/outside", NULL, stays);
	ASSERT_GT(pid, 0);
	EXPECT_EQ(in_child(fences_from_inside, &a), EPERM);
	kill(pid, SIGKILL);
	EXPECT_EQ(reap(pid), -SIGKILL);
	victim_done(&g);
	close(fd);

	/* Made in the namespace: a peer outside, too, attached to it by its own choice. */
	gate_make(&maker);
	inside = fork();
	if (!inside)
		_exit(makes_inside(&maker));
	ASSERT_EQ(gate_hear(maker.to_parent[0]), 'u');
	snprintf(path, sizeof(path), "/proc/%d/uid_map", inside);
	ASSERT_EQ(write_file(path, "0 5000 10"), 0);
	gate_tell(maker.to_child[1], 'g');
	ASSERT_EQ(gate_hear(maker.to_parent[0]), 'm');
	pid = victim_start(&g, "who/inside", NULL, stays);
	ASSERT_GT(pid, 0);
	gate_tell(maker.to_child[1], 'g');
	EXPECT_EQ(reap(inside), 0);
	gate_tell(g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	victim_done(&g);
	gate_close(&maker);
}

TEST(a_newcomer_in_the_slot_is_not_hit)
{
	int fd = make_shared_role("who/slot", PAGE, 0600);
	struct shmipc_dev_peer peer;
	struct gate g;
	pid_t pid;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(dev_fence(fd, 0, 0), -ESRCH);
	EXPECT_EQ(dev_fence(fd, 0, 1), -ESRCH);
	pid = victim_start(&g, "who/slot", NULL, stays);
	ASSERT_GT(pid, 0);
	EXPECT_EQ(dev_fence(fd, 0, 0), -ESRCH);
	EXPECT_EQ(dev_fence(fd, 0, 2), -ESRCH);
	EXPECT_EQ(dev_fence(fd, 0, 1ull << 32 | 1), -ESRCH);
	EXPECT_EQ(dev_fence(fd, 1, 1), -ESRCH);
	EXPECT_EQ(dev_fence(fd, SLOTS, 1), -EINVAL);
	EXPECT_EQ(dev_fence(fd, UINT32_MAX, 1), -EINVAL);
	gate_tell(g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), 0);
	victim_done(&g);
	/* It has died; the next one in the slot has another generation. */
	EXPECT_EQ(dev_fence(fd, 0, 1), -ESRCH);
	pid = victim_start(&g, "who/slot", NULL, stays);
	ASSERT_GT(pid, 0);
	EXPECT_EQ(dev_fence(fd, 0, 1), -ESRCH);
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	EXPECT_EQ(peer.flags, SHMIPC_DEV_PEER_OPEN);
	EXPECT_EQ(dev_fence(fd, 0, 2), 0);
	EXPECT_EQ(dev_fence(fd, 0, 2), -ESRCH);
	gate_tell(g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	victim_done(&g);
	close(fd);
}

TEST(a_peer_can_fence_itself)
{
	int fd = make_shared_role("who/self", PAGE, 0600);
	volatile char *p;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
	p[0] = 1;
	EXPECT_EQ(dev_fence(fd, 0, 1), 0);
	EXPECT_EQ(read(open("/dev/zero", O_RDONLY), (char *)(uintptr_t)p, 1), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(dev_detach(fd), -EBUSY);
	munmap((void *)(uintptr_t)p, PAGE);
	EXPECT_EQ(dev_detach(fd), 0);
	close(fd);
}

TEST(its_other_roles_stay)
{
	int fd = make_shared_role("who/roles", PAGE, 0600), other = dev_open("who/roles");
	volatile char *p, *q;

	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_PRODUCER), 1);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
	q = dev_map(other, SMALL_DATA_OFF, PAGE, RW);
	p[0] = 1;
	EXPECT_EQ(dev_fence(fd, 0, 1), 0);
	q[0] = 2;
	EXPECT_EQ(q[0], 2);
	EXPECT_EQ(read(open("/dev/zero", O_RDONLY), (char *)(uintptr_t)p, 1), -1);
	munmap((void *)(uintptr_t)p, PAGE);
	munmap((void *)(uintptr_t)q, PAGE);
	close(fd);
	close(other);
}

/* Attaches, maps, writes, leaves, as fast as it can, in all the ways there are. */
static void comes_and_goes(unsigned int seed)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	for (;;) {
		int fd = dev_open("who/many");
		char *p;

		if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0) {
			close(fd);
			continue;
		}
		p = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
		if (p != MAP_FAILED) {
			(void)!read(zero, p, 8);
			if (rand_r(&seed) % 4)
				munmap(p, PAGE);
		}
		if (rand_r(&seed) % 2)
			(void)dev_detach(fd);
		if (rand_r(&seed) % 2)
			(void)dev_attach(fd, SHMIPC_ROLE_PRODUCER);
		close(fd);
	}
}

#define FENCES	60

/* Return: how often it has fenced a peer. */
static int fences_all(void)
{
	int fd = dev_open("who/many"), n = 0, err;
	uint64_t end = long_deadline();
	struct shmipc_dev_peer peer;
	uint32_t slot = 0;

	while (n < FENCES && now_ns() < end) {
		slot = (slot + 1) % SLOTS;
		if (dev_peer(fd, slot, &peer) || peer.state != SHMIPC_PEER_ATTACHED)
			continue;
		err = dev_fence_flags(fd, slot, peer.generation, 0, n % 2 ? SHMIPC_DEV_FENCE_PINNED : 0);
		if (err && err != -ESRCH && err != -EBUSY)
			return 200;
		n += !err;
	}
	return n;
}

TEST(peers_that_come_and_go_while_two_fence_them_all)
{
	int fd = make_shared_role("who/many", PAGE, 0600), i;
	uint64_t end = long_deadline();
	struct shmipc_dev_stat s;
	pid_t pid[4], fencer[2];

	ASSERT_GE(fd, 0);
	for (i = 0; i < 2; i++) {
		fencer[i] = fork();
		if (!fencer[i])
			_exit(fences_all());
	}
	for (i = 0; i < 4; i++) {
		pid[i] = fork();
		if (!pid[i])
			comes_and_goes((unsigned int)(now_ns() + i));
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(reap(fencer[i]), FENCES);
	for (i = 0; i < 4; i++) {
		kill(pid[i], SIGKILL);
		(void)reap(pid[i]);
	}
	do {
		ASSERT_EQ(dev_stat(fd, &s), 0);
	} while (s.opens != 1 && now_ns() < end);
	EXPECT_EQ(s.attached, 0);
	EXPECT_EQ(s.opens, 1);
	EXPECT_EQ(s.waiters, 0);
	close(fd);
}

TEST_HARNESS_MAIN
