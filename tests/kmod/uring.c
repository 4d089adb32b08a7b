// SPDX-License-Identifier: MIT
/* The device under io_uring: waits as commands, polls, fixed buffers. */
#include <sys/utsname.h>

#include "ring.h"

#define RW (PROT_READ | PROT_WRITE)
#define WORD	SMALL_DATA_OFF

FIXTURE(uring) {
	struct ring ring;
	struct shmipc_dev_info info;
	int fd;
	uint32_t *word;
};

#define NEED_WAIT()							\
	if (!(self->info.caps & SHMIPC_DEV_CAP_URING))			\
		SKIP(return, "io_uring of this kernel cannot cancel a command")

FIXTURE_SETUP(uring)
{
	int err = ring_make(&self->ring);

	ASSERT_EQ(err, 0);	/* every kernel that is tested has it */
	ASSERT_EQ(dev_info(&self->info), 0);
	self->fd = dev_create("uring", PAGE);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	self->word = dev_map(self->fd, WORD, PAGE, RW);
	ASSERT_NE((void *)self->word, MAP_FAILED);
}

FIXTURE_TEARDOWN(uring)
{
	if (self->fd <= 0)
		return;
	munmap(self->word, PAGE);
	close(self->fd);
	close(self->ring.fd);
}

TEST_F(uring, a_wait_ends_by_a_wake)
{
	uint64_t user = 0;

	NEED_WAIT();
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD, 0, UINT64_MAX, 7), 1);
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	*self->word = 1;
	EXPECT_EQ(dev_wake(self->fd, WORD, 1), 1);
	EXPECT_EQ(ring_reap(&self->ring, &user), 0);
	EXPECT_EQ(user, 7);
	ASSERT_EQ(dev_await_waiters(self->fd, 0), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 1), 0);
}

TEST_F(uring, a_word_that_differs_prevents_sleeping)
{
	NEED_WAIT();
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD, 5, UINT64_MAX, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EAGAIN);
	ASSERT_EQ(submit_wait(&self->ring, self->fd, WORD, 0, 0, 77, 0, UINT64_MAX, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EAGAIN);
}

TEST_F(uring, a_wait_ends_at_its_deadline)
{
	uint64_t until = now_ns() + 30000000u;

	NEED_WAIT();
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD, 0, until, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -ETIMEDOUT);
	EXPECT_GE(now_ns(), until);
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD, 0, 0, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -ETIMEDOUT);
}

TEST_F(uring, each_wake_ends_one_exclusive_wait)
{
	uint64_t seen = 0, user, i;

	NEED_WAIT();
	for (i = 0; i < 4; i++)
		ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD, 0, UINT64_MAX, i), 1);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(dev_wake(self->fd, WORD, 1), 1);
		EXPECT_EQ(ring_reap(&self->ring, &user), 0);
		seen |= 1ull << user;
	}
	EXPECT_EQ(seen, 15);
}

static int attach_and_die(void *arg)
{
	(void)arg;
	return dev_attach(dev_open("uring"), SHMIPC_ROLE_CONSUMER) == 1 ? 0 : 1;
}

TEST_F(uring, the_end_of_a_peer_ends_a_wait)
{
	NEED_WAIT();
	/* Its attach and its death: two results. */
	ASSERT_EQ(submit_wait(&self->ring, self->fd, WORD, 0, 1, 0, 0, UINT64_MAX, 0), 1);
	EXPECT_EQ(in_child(attach_and_die, NULL), 0);
	EXPECT_EQ(ring_reap(&self->ring, NULL), 0);
	ASSERT_EQ(submit_wait(&self->ring, self->fd, WORD, 0, 1, 0, 0, UINT64_MAX, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EAGAIN);
}

TEST_F(uring, closing_cancels_a_wait)
{
	int fd = dev_open("uring");

	NEED_WAIT();
	ASSERT_EQ(submit_simple(&self->ring, fd, WORD, 0, UINT64_MAX, 0), 1);
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	close(fd);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -ECANCELED);
	ASSERT_EQ(dev_await_waiters(self->fd, 0), 0);
}

static int wait_and_hang(void *arg)
{
	struct gate *g = arg;
	struct ring r;

	ring_make(&r);
	submit_simple(&r, dev_open("uring"), WORD, 0, UINT64_MAX, 0);
	gate_tell(g->to_parent[1], 'w');
	pause();
	return 0;
}

TEST_F(uring, a_killed_waiter_leaves_nothing_behind)
{
	struct shmipc_dev_stat s;
	uint64_t end = long_deadline();
	struct gate g;
	int status;
	pid_t pid;

	NEED_WAIT();
	gate_make(&g);
	pid = fork();
	if (!pid)
		_exit(wait_and_hang(&g));
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'w');
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(dev_await_waiters(self->fd, 0), 0);
	/* io_uring releases the file a little later. */
	do {
		ASSERT_EQ(dev_stat(self->fd, &s), 0);
	} while (s.opens > 1 && now_ns() < end);
	EXPECT_EQ(s.opens, 1);
}

TEST_F(uring, bad_commands)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_URING_CMD, .fd = self->fd };
	int dev = dev_file();

	NEED_WAIT();
	sqe.off = SHMIPC_IOC_WAKE;
	ASSERT_EQ(ring_submit(&self->ring, &sqe), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EOPNOTSUPP);
	sqe.off = SHMIPC_IOC_WAIT;
	ASSERT_EQ(ring_submit(&self->ring, &sqe), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EFAULT);
	ASSERT_EQ(submit_simple(&self->ring, dev, WORD, 0, 0, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EOPNOTSUPP);
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD + 1, 0, 0, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EINVAL);
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD + PAGE, 0, 0, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EFAULT);
	ASSERT_EQ(submit_wait(&self->ring, self->fd, WORD, 0, 0, 0, 4, 0, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EINVAL);
	close(dev);
}

/* Waits, wakes and closes at random: each wait ends once. */
TEST_F(uring, waits_and_their_ends_race)
{
	unsigned int seed = (unsigned int)now_ns(), i;
	int status, res;
	uint64_t user;
	pid_t pid;

	NEED_WAIT();
	TH_LOG("seed %u", seed);
	pid = fork();
	if (!pid) {
		int fd = dev_open("uring");

		for (;;) {
			dev_wake(fd, WORD, rand_r(&seed) % 3);
			if (rand_r(&seed) % 8 == 0) {
				dev_attach(fd, SHMIPC_ROLE_READER);
				dev_detach(fd);
			}
		}
	}
	for (i = 0; i < 3000; i++) {
		uint64_t wait_ns = rand_r(&seed) % 200000;
		int fd = rand_r(&seed) % 4 ? self->fd : dev_open("uring");

		ASSERT_EQ(submit_simple(&self->ring, fd, WORD, 0, now_ns() + wait_ns, i), 1);
		if (fd != self->fd)
			close(fd);
		res = ring_reap(&self->ring, &user);
		ASSERT_TRUE(res == 0 || res == -ETIMEDOUT || res == -ECANCELED);
		ASSERT_EQ(user, i);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	ASSERT_EQ(dev_await_waiters(self->fd, 0), 0);
}

TEST_F(uring, poll_add_reports_that_the_word_changed)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_POLL_ADD, .fd = self->fd,
				    .poll32_events = POLLIN };
	struct shmipc_dev_poll set = { .size = sizeof(set), .flags = SHMIPC_DEV_POLL_ON,
				       .off = WORD, .peer = SHMIPC_DEV_NO_PEER };

	ASSERT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_POLL_SET, &set), 0);
	ASSERT_EQ(ring_submit(&self->ring, &sqe), 1);
	*self->word = 1;
	dev_wake(self->fd, WORD, 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), POLLIN);
}

TEST_F(uring, fixed_buffers_where_the_kernel_allows)
{
	struct iovec io = { self->word, PAGE };

	if (syscall(__NR_io_uring_register, self->ring.fd, IORING_REGISTER_BUFFERS, &io, 1))
		SKIP(return, "this kernel registers no file pages: errno %d", errno);
}

TEST_F(uring, a_kernel_that_cannot_cancel_gets_no_waits)
{
	struct utsname u;
	int major, minor;

	ASSERT_EQ(uname(&u), 0);
	ASSERT_EQ(sscanf(u.release, "%d.%d", &major, &minor), 2);
	if (major > 6 || (major == 6 && minor >= 7)) {
		EXPECT_NE(self->info.caps & SHMIPC_DEV_CAP_URING, 0);
		return;
	}
	EXPECT_EQ(self->info.caps & SHMIPC_DEV_CAP_URING, 0);
	ASSERT_EQ(submit_simple(&self->ring, self->fd, WORD, 0, UINT64_MAX, 0), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EOPNOTSUPP);
}

/* With a wait that has no end through a registered descriptor of a segment of its own. */
static int holds_registered(void *arg)
{
	const char *how = arg;
	int fd = dev_create(NULL, 4 * MIB);
	struct io_uring_sqe sqe = { .opcode = IORING_OP_URING_CMD, .flags = IOSQE_FIXED_FILE,
				    .off = SHMIPC_IOC_WAIT };
	uint64_t ptr = (uintptr_t)&req;
	struct ring r;

	if (fd < 0 || ring_make(&r) ||
	    syscall(__NR_io_uring_register, r.fd, IORING_REGISTER_FILES, &fd, 1))
		return 1;
	close(fd);
	req = (struct shmipc_dev_wait){ .size = sizeof(req), .off = 2 * MIB,
					.peer = SHMIPC_DEV_NO_PEER, .deadline_ns = UINT64_MAX };
	memcpy(&sqe.addr3, &ptr, sizeof(ptr));
	if (ring_submit(&r, &sqe) != 1)
		return 2;
	if (!strcmp(how, "exec"))
		execl("/bin/true", "true", (char *)NULL);
	return 0;
}

TEST_F(uring, a_registered_descriptor_goes_with_its_process)
{
	static char *const how[] = { "exit", "exec" };
	struct shmipc_dev_info now;
	uint64_t end = long_deadline();
	int i;

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(in_child(holds_registered, how[i]), 0);
		/* io_uring releases the file a little later. */
		do {
			ASSERT_EQ(dev_info(&now), 0);
		} while (now.total_segs > self->info.total_segs + 1 && now_ns() < end);
		EXPECT_EQ(now.total_segs, self->info.total_segs + 1);
	}
}

/* Neither they nor their end hold up others: their number is limited. */
TEST_F(uring, the_waits_of_a_description_are_limited)
{
	struct shmipc_dev_wait w = { .size = sizeof(w), .off = WORD, .peer = SHMIPC_DEV_NO_PEER };
	int fd = dev_open("uring"), i;

	NEED_WAIT();
	for (i = 0; i < (int)SHMIPC_DEV_WAITS_MAX; i++)
		ASSERT_EQ(submit_simple(&self->ring, fd, WORD, 0, UINT64_MAX, 7), 1);
	ASSERT_EQ(dev_await_waiters(fd, SHMIPC_DEV_WAITS_MAX), 0);
	EXPECT_EQ(dev_ioctl(fd, SHMIPC_IOC_WAIT, &w), -EBUSY);
	ASSERT_EQ(submit_simple(&self->ring, fd, WORD, 0, UINT64_MAX, 8), 1);
	EXPECT_EQ(ring_reap(&self->ring, NULL), -EBUSY);
	/* Another description is not concerned. */
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_WAIT, &w), -ETIMEDOUT);
	EXPECT_EQ(dev_wake(self->fd, WORD, 100), 100);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(ring_reap(&self->ring, NULL), 0);
	close(fd);
	for (i = 0; i < (int)SHMIPC_DEV_WAITS_MAX - 100; i++)
		ASSERT_EQ(ring_reap(&self->ring, NULL), -ECANCELED);
	ASSERT_EQ(dev_await_waiters(self->fd, 0), 0);
}

TEST_HARNESS_MAIN
