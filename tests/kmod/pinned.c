// SPDX-License-Identifier: MIT
/*
 * A role is not handed on while what its last holder has started may still write its pages:
 * a registered buffer of io_uring, or, on any kernel, what a pipe holds.
 */
#include <sys/uio.h>

#include "ring.h"

#define RW (PROT_READ | PROT_WRITE)

/* As dev_attach() and dev_detach(), with the reason of -EBUSY. */
static int attach(int fd, uint32_t role, uint32_t *busy)
{
	struct shmipc_dev_attach r = { .size = sizeof(r), .role = role, .slot_max = SLOTS - 1 };
	int err = dev_ioctl(fd, SHMIPC_IOC_ATTACH, &r);

	*busy = r.busy;
	return err;
}

static int detach(int fd, uint32_t *busy)
{
	struct shmipc_dev_detach r = { .size = sizeof(r) };
	int err = dev_ioctl(fd, SHMIPC_IOC_DETACH, &r);

	*busy = r.busy;
	return err;
}

/* A pipe holds the page at @p until pipe_drain(). */
static int pipe_hold(int pipe_end, void *p)
{
	struct iovec v = { p, PAGE };

	return vmsplice(pipe_end, &v, 1, 0) == (ssize_t)PAGE ? 0 : -errno;
}

static int pipe_drain(int pipe_end)
{
	char buf[PAGE];

	return read(pipe_end, buf, sizeof(buf)) == (ssize_t)PAGE ? 0 : -errno;
}

static int ring_register(const struct ring *r, void *p)
{
	struct iovec v = { p, PAGE };

	return syscall(__NR_io_uring_register, r->fd, IORING_REGISTER_BUFFERS, &v, 1) ? -errno : 0;
}

FIXTURE(pinned) {
	int fd, next;
	int pipe[2];
	char *p;
	uint32_t busy;
};

FIXTURE_SETUP(pinned)
{
	self->fd = dev_create("pinned/fixture", 2 * MIB);
	ASSERT_GE(self->fd, 0);
	self->next = dev_open("pinned/fixture");
	ASSERT_GE(self->next, 0);
	ASSERT_EQ(pipe(self->pipe), 0);
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	self->p = dev_map(self->fd, PROD_OFF, PAGE, RW);
	ASSERT_NE(self->p, MAP_FAILED);
	self->p[0] = 1;
}

FIXTURE_TEARDOWN(pinned)
{
	close(self->fd);
	close(self->next);
	close(self->pipe[0]);
	close(self->pipe[1]);
}

TEST_F(pinned, detach_is_refused_while_a_page_is_held)
{
	ASSERT_EQ(pipe_hold(self->pipe[1], self->p), 0);
	EXPECT_EQ(detach(self->fd, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_MAPPED);
	munmap(self->p, PAGE);
	EXPECT_EQ(detach(self->fd, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_PINNED);
	/* It is still attached, and can map its pages. */
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_ROLE);
	self->p = dev_map(self->fd, PROD_OFF, PAGE, RW);
	ASSERT_NE(self->p, MAP_FAILED);
	munmap(self->p, PAGE);
	ASSERT_EQ(pipe_drain(self->pipe[0]), 0);
	EXPECT_EQ(detach(self->fd, &self->busy), 0);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_NONE);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), 0);
}

TEST_F(pinned, the_next_holder_waits_for_what_a_closed_descriptor_left)
{
	ASSERT_EQ(pipe_hold(self->pipe[1], self->p), 0);
	munmap(self->p, PAGE);
	close(self->fd);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_PINNED);
	/* Other roles are not concerned. */
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_CONSUMER, &self->busy), 0);
	EXPECT_EQ(detach(self->next, &self->busy), 0);
	ASSERT_EQ(pipe_drain(self->pipe[0]), 0);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), 0);
	/* And it can leave and come again. */
	EXPECT_EQ(detach(self->next, &self->busy), 0);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), 0);
}

TEST_F(pinned, a_page_of_a_large_page_counts)
{
	char *data = dev_map(self->fd, 2 * MIB, 2 * MIB, RW);

	ASSERT_NE(data, MAP_FAILED);
	memset(data, 1, 2 * MIB);
	ASSERT_EQ(pipe_hold(self->pipe[1], data + MIB), 0);
	munmap(data, 2 * MIB);
	munmap(self->p, PAGE);
	EXPECT_EQ(detach(self->fd, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_PINNED);
	ASSERT_EQ(pipe_drain(self->pipe[0]), 0);
	EXPECT_EQ(detach(self->fd, &self->busy), 0);
}

/* Attaches as producer, gives a page to the pipe, and is killed. */
static int child_of_pipe[2];

static int dies_with_a_page_in_a_pipe(void *arg)
{
	int fd = dev_open("pinned/fixture");
	char *p;

	(void)arg;
	if (dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	p = dev_map(fd, PROD_OFF, PAGE, RW);
	if (p == MAP_FAILED || pipe_hold(child_of_pipe[1], p))
		return 2;
	return raise(SIGKILL);
}

TEST_F(pinned, the_next_holder_waits_for_what_a_dead_one_left)
{
	munmap(self->p, PAGE);
	ASSERT_EQ(detach(self->fd, &self->busy), 0);
	memcpy(child_of_pipe, self->pipe, sizeof(child_of_pipe));
	ASSERT_EQ(in_child(dies_with_a_page_in_a_pipe, NULL), -SIGKILL);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_PINNED);
	ASSERT_EQ(pipe_drain(self->pipe[0]), 0);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), 0);
}

/* The registered buffer writes the page although its owner has no role any more. */
TEST_F(pinned, a_registered_buffer_keeps_the_role)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED, .len = 1 };
	const char *seen = dev_map(self->next, PROD_OFF, PAGE, PROT_READ);
	int zero = open("/dev/zero", O_RDONLY), err;
	uint64_t end = long_deadline();
	struct ring r;

	if (ring_make(&r))
		SKIP(return, "no io_uring");
	err = ring_register(&r, self->p);
	if (err)
		SKIP(return, "no registered buffers on this memory before Linux 6.7: %d", err);
	munmap(self->p, PAGE);
	EXPECT_EQ(detach(self->fd, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_PINNED);
	close(self->fd);
	EXPECT_EQ(attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy), -EBUSY);
	EXPECT_EQ(self->busy, SHMIPC_BUSY_PINNED);
	sqe.fd = zero;
	sqe.addr = (uintptr_t)self->p;
	EXPECT_EQ(seen[0], 1);
	ASSERT_EQ(ring_submit(&r, &sqe), 1);
	EXPECT_EQ(ring_reap(&r, NULL), 1);
	EXPECT_EQ(seen[0], 0);
	close(r.fd);
	munmap(r.sq, r.p.sq_off.array + r.p.sq_entries * 4);
	munmap(r.cq, r.p.cq_off.cqes + r.p.cq_entries * sizeof(struct io_uring_cqe));
	munmap(r.sqes, r.p.sq_entries * sizeof(struct io_uring_sqe));
	/* The ring gives them back after its close. */
	do
		err = attach(self->next, SHMIPC_ROLE_PRODUCER, &self->busy);
	while (err == -EBUSY && self->busy == SHMIPC_BUSY_PINNED && now_ns() < end);
	EXPECT_EQ(err, 0);
	close(zero);
}

static int on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

/* The kernel's lists of locked pages have references of their own, on each CPU. */
TEST_F(pinned, locked_memory_does_not_count)
{
	int i, cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	char *p;

	ASSERT_EQ(mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT), 0);
	munmap(self->p, PAGE);
	for (i = 0; i < 2 * cpus; i++) {
		ASSERT_EQ(on_cpu(i % cpus), 0);
		p = dev_map(self->fd, PROD_OFF, PAGE, RW);
		ASSERT_NE(p, MAP_FAILED);
		p[0] = 1;
		ASSERT_EQ(on_cpu((i + 1) % cpus), 0);
		munmap(p, PAGE);
		ASSERT_EQ(on_cpu((i + 2) % cpus), 0);
		EXPECT_EQ(detach(self->fd, &self->busy), 0);
		ASSERT_GE(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	}
	munlockall();
}

static int reads_all_of_it(void *arg)
{
	struct gate *g = arg;
	int fd = dev_open("pinned/fixture");
	const volatile char *p = dev_map(fd, 0, 4 * MIB, PROT_READ);
	size_t i;

	if (p == MAP_FAILED)
		return 1;
	/* Between the control pages and the data there are none. */
	for (i = PROD_OFF; i < 4 * MIB; i += PAGE)
		if (i < SMALL_DATA_OFF || i >= 2 * MIB)
			(void)p[i];
	gate_tell(g->to_parent[1], 'r');
	gate_hear(g->to_child[0]);
	return 0;
}

TEST_F(pinned, readers_that_map_it_do_not_count)
{
	struct gate g;
	int status;
	pid_t pid;

	gate_make(&g);
	pid = fork();
	if (!pid)
		_exit(reads_all_of_it(&g));
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'r');
	munmap(self->p, PAGE);
	EXPECT_EQ(detach(self->fd, &self->busy), 0);
	gate_tell(g.to_child[1], 'x');
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	gate_close(&g);
}

static void *sleeper(void *arg)
{
	return (void *)(intptr_t)dev_wait(*(int *)arg, 2 * MIB, 0, SHMIPC_DEV_NO_PEER, 0, 0,
					  long_deadline());
}

TEST(sleepers_do_not_count)
{
	struct make m;
	pthread_t thread;
	uint32_t busy;
	void *ret;
	int fd;

	make_init(&m, NULL, 4 * MIB);
	make_reserved(&m, PAGE);
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	/* This page can be removed, others cannot. */
	ASSERT_EQ(pthread_create(&thread, NULL, sleeper, &fd), 0);
	ASSERT_EQ(dev_await_waiters(fd, 1), 0);
	EXPECT_EQ(detach(fd, &busy), 0);
	EXPECT_EQ(dev_wake(fd, 2 * MIB, 0), 1);
	pthread_join(thread, &ret);
	EXPECT_EQ((intptr_t)ret, 0);
	close(fd);
}

/* Two publishers: nobody can tell whose pages these are, while one of them is attached. */
TEST(a_region_of_several_writers_is_checked_when_the_last_one_leaves)
{
	struct make m;
	uint32_t busy;
	int a, b, p[2];
	char *map;

	make_init(&m, "pinned/two", 2 * MIB);
	m.req.role_max[SHMIPC_ROLE_PRODUCER] = 2;
	a = dev_make(&m);
	ASSERT_GE(a, 0);
	b = dev_open("pinned/two");
	ASSERT_EQ(pipe(p), 0);
	ASSERT_EQ(dev_attach(a, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(b, SHMIPC_ROLE_PRODUCER), 1);
	map = dev_map(a, PROD_OFF, PAGE, RW);
	ASSERT_NE(map, MAP_FAILED);
	ASSERT_EQ(pipe_hold(p[1], map), 0);
	munmap(map, PAGE);
	EXPECT_EQ(detach(a, &busy), 0);
	EXPECT_EQ(attach(a, SHMIPC_ROLE_PRODUCER, &busy), 0);
	EXPECT_EQ(detach(a, &busy), 0);
	EXPECT_EQ(detach(b, &busy), -EBUSY);
	EXPECT_EQ(busy, SHMIPC_BUSY_PINNED);
	close(b);
	EXPECT_EQ(attach(a, SHMIPC_ROLE_PRODUCER, &busy), -EBUSY);
	EXPECT_EQ(busy, SHMIPC_BUSY_PINNED);
	ASSERT_EQ(pipe_drain(p[0]), 0);
	EXPECT_EQ(attach(a, SHMIPC_ROLE_PRODUCER, &busy), 0);
	close(a);
	close(p[0]);
	close(p[1]);
}

TEST(a_region_without_a_role_is_not_checked)
{
	struct make m;
	uint32_t busy;
	int fd, p[2];
	char *map;

	make_init(&m, NULL, PAGE);
	m.region[0].roles |= ROLE(NONE);
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(pipe(p), 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	map = dev_map(fd, PROD_OFF, PAGE, RW);
	ASSERT_NE(map, MAP_FAILED);
	ASSERT_EQ(pipe_hold(p[1], map), 0);
	EXPECT_EQ(detach(fd, &busy), 0);
	close(p[0]);
	close(p[1]);
	close(fd);
}

TEST_HARNESS_MAIN
