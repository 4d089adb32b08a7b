// SPDX-License-Identifier: MIT
/* wait, wake, poll and epoll. */
#include <sys/epoll.h>

#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)
#define WORD	SMALL_DATA_OFF

FIXTURE(waiting) {
	int fd;
	uint32_t *word;
};

FIXTURE_SETUP(waiting)
{
	self->fd = dev_create("waiting", PAGE);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	self->word = dev_map(self->fd, WORD, PAGE, RW);
	ASSERT_NE((void *)self->word, MAP_FAILED);
}

FIXTURE_TEARDOWN(waiting)
{
	munmap(self->word, PAGE);
	close(self->fd);
}

static int wait_word(int fd, uint64_t off, uint32_t val, uint32_t flags)
{
	return dev_wait(fd, off, val, SHMIPC_DEV_NO_PEER, 0, flags, long_deadline());
}

/* A child that sleeps on a word once and exits with 0 when woken. */
static pid_t sleeper(int fd, uint64_t off, uint32_t flags)
{
	pid_t pid = fork();

	if (!pid)
		_exit(wait_word(fd, off, 0, flags) ? 1 : 0);
	return pid;
}

static int reap_all(int n)
{
	int status, bad = 0;

	while (n--) {
		if (wait(&status) < 0)
			return -1;
		bad += status != 0;
	}
	return bad;
}

TEST_F(waiting, a_word_that_differs_prevents_sleeping)
{
	*self->word = 5;
	EXPECT_EQ(wait_word(self->fd, WORD, 4, 0), -EAGAIN);
	EXPECT_EQ(wait_word(self->fd, WORD, 4, SHMIPC_DEV_EXCLUSIVE), -EAGAIN);
}

TEST_F(waiting, the_deadline_is_absolute)
{
	uint64_t until = now_ns() + 20000000u;

	EXPECT_EQ(dev_wait(self->fd, WORD, 0, SHMIPC_DEV_NO_PEER, 0, 0, until), -ETIMEDOUT);
	EXPECT_GE(now_ns(), until);
	EXPECT_EQ(dev_wait(self->fd, WORD, 0, SHMIPC_DEV_NO_PEER, 0, 0, until), -ETIMEDOUT);
	EXPECT_EQ(dev_wait(self->fd, WORD, 0, SHMIPC_DEV_NO_PEER, 0, 0, 0), -ETIMEDOUT);
	/* The deadline has passed, but the word differs: that is reported. */
	EXPECT_EQ(dev_wait(self->fd, WORD, 1, SHMIPC_DEV_NO_PEER, 0, 0, 0), -EAGAIN);
}

TEST_F(waiting, a_slot_that_differs_prevents_sleeping)
{
	uint32_t word = hdr_slot(dev_map_hdr(self->fd), 0)->word;

	EXPECT_EQ(dev_wait(self->fd, WORD, 0, 0, word + 1, 0, 0), -EAGAIN);
	EXPECT_EQ(dev_wait(self->fd, WORD, 0, 1, 1, 0, 0), -EAGAIN);
	EXPECT_EQ(dev_wait(self->fd, WORD, 0, 0, word, 0, 0), -ETIMEDOUT);
	EXPECT_EQ(dev_wait(self->fd, WORD, 0, 0, word | SHMIPC_PEER_WATCHED, 0, 0), -ETIMEDOUT);
	EXPECT_EQ(dev_wait(self->fd, WORD, 0, 1, 0, 0, 0), -ETIMEDOUT);
}

TEST_F(waiting, wake_wakes_as_many_exclusive_sleepers_as_asked)
{
	int i;

	for (i = 0; i < 5; i++)
		sleeper(self->fd, WORD, SHMIPC_DEV_EXCLUSIVE);
	ASSERT_EQ(dev_await_waiters(self->fd, 5), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 1), 1);
	ASSERT_EQ(dev_await_waiters(self->fd, 4), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 2), 2);
	ASSERT_EQ(dev_await_waiters(self->fd, 2), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 0), 2);
	EXPECT_EQ(reap_all(5), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 0), 0);
}

TEST_F(waiting, sleepers_that_are_not_exclusive_are_always_woken)
{
	sleeper(self->fd, WORD, 0);
	sleeper(self->fd, WORD, 0);
	sleeper(self->fd, WORD, SHMIPC_DEV_EXCLUSIVE);
	sleeper(self->fd, WORD, SHMIPC_DEV_EXCLUSIVE);
	ASSERT_EQ(dev_await_waiters(self->fd, 4), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 1), 3);
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 1), 1);
	EXPECT_EQ(reap_all(4), 0);
}

TEST_F(waiting, sleepers_of_other_words_sleep_on)
{
	uint64_t i;

	/* Two sleepers on each of many words: some share a queue. */
	for (i = 0; i < 40; i++)
		sleeper(self->fd, WORD + 4 * (i / 2), SHMIPC_DEV_EXCLUSIVE);
	ASSERT_EQ(dev_await_waiters(self->fd, 40), 0);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(dev_wake(self->fd, WORD + 4 * i, 1), 1);
		ASSERT_EQ(dev_await_waiters(self->fd, 39 - (uint32_t)i), 0);
	}
	for (i = 0; i < 20; i++)
		EXPECT_EQ(dev_wake(self->fd, WORD + 4 * i, 100), 1);
	EXPECT_EQ(reap_all(40), 0);
}

static volatile sig_atomic_t handled;

static void on_signal(int sig)
{
	(void)sig;
	handled++;
}

/* Sleeps with a handler; exits with the errno of the wait. */
static pid_t sleeper_with_handler(int fd, int sa_flags, uint64_t until)
{
	pid_t pid = fork();
	int err;

	if (!pid) {
		struct sigaction sa = { .sa_handler = on_signal, .sa_flags = sa_flags };

		sigaction(SIGUSR1, &sa, NULL);
		err = dev_wait(fd, WORD, 0, SHMIPC_DEV_NO_PEER, 0, 0, until);
		_exit(-err + (handled ? 100 : 0));
	}
	return pid;
}

TEST_F(waiting, a_signal_ends_or_restarts_the_sleep)
{
	uint64_t until = now_ns() + 300000000u;
	int status;
	pid_t pid;

	pid = sleeper_with_handler(self->fd, 0, long_deadline());
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	kill(pid, SIGUSR1);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(WEXITSTATUS(status), 100 + EINTR);

	/* Restarted, with the same deadline. */
	pid = sleeper_with_handler(self->fd, SA_RESTART, until);
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	kill(pid, SIGUSR1);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(WEXITSTATUS(status), 100 + ETIMEDOUT);
	EXPECT_GE(now_ns(), until);

	pid = sleeper_with_handler(self->fd, SA_RESTART, long_deadline());
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	kill(pid, SIGUSR1);
	kill(pid, SIGSTOP);
	kill(pid, SIGCONT);
	while (dev_wake(self->fd, WORD, 1) == 0)
		sched_yield();
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(WEXITSTATUS(status) % 100, 0);
}

TEST_F(waiting, a_killed_sleeper_leaves_nothing_behind)
{
	pid_t pid = sleeper(self->fd, WORD, SHMIPC_DEV_EXCLUSIVE);
	int status;

	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(dev_await_waiters(self->fd, 0), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 1), 0);
}

/* Each wake that WAKE counted must be reported by a WAIT, even if that was just giving up. */
TEST_F_TIMEOUT(waiting, a_counted_wake_is_reported, 120)
{
	unsigned int seed = (unsigned int)now_ns(), i, k;
	uint64_t *count = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0), spent = 0;
	struct shmipc_dev_stat s;
	int ret;

	TH_LOG("seed %u", seed);
	for (i = 0; i < 3; i++) {
		if (fork())
			continue;
		seed += i;
		for (k = 0; k < 3000; k++) {
			ret = dev_wait(self->fd, WORD, 0, SHMIPC_DEV_NO_PEER, 0, SHMIPC_DEV_EXCLUSIVE,
				       now_ns() + rand_r(&seed) % 100000);
			if (!ret)
				__atomic_fetch_add(&count[0], 1, __ATOMIC_RELAXED);
		}
		__atomic_fetch_add(&count[1], 1, __ATOMIC_RELEASE);
		_exit(0);
	}
	while (__atomic_load_n(&count[1], __ATOMIC_ACQUIRE) < 3) {
		ret = dev_wake(self->fd, WORD, 1);
		ASSERT_GE(ret, 0);
		spent += (unsigned int)ret;
	}
	EXPECT_EQ(reap_all(3), 0);
	ASSERT_EQ(dev_stat(self->fd, &s), 0);
	EXPECT_EQ(s.waiters, 0);
	EXPECT_EQ(spent, count[0]);
	EXPECT_GT(spent, 0);
}

/* Two processes pass a counter back and forth, asleep most of the time. */
TEST_F(waiting, no_wake_is_lost)
{
	uint32_t n = 3000, i, *mine = self->word, *theirs;
	int status, fd;
	pid_t pid;

	pid = fork();
	if (!pid) {
		fd = dev_open("waiting");
		dev_attach(fd, SHMIPC_ROLE_CONSUMER);
		theirs = dev_map(fd, CONS_OFF, PAGE, RW);
		mine = dev_map(fd, WORD, PAGE, PROT_READ);
		for (i = 0; i < n; i++) {
			while (__atomic_load_n(mine, __ATOMIC_ACQUIRE) == i)
				if (wait_word(fd, WORD, i, 0) == -ETIMEDOUT)
					_exit(1);
			__atomic_store_n(theirs, i + 1, __ATOMIC_RELEASE);
			dev_wake(fd, CONS_OFF, 1);
		}
		_exit(0);
	}
	theirs = dev_map(self->fd, CONS_OFF, PAGE, PROT_READ);
	for (i = 0; i < n; i++) {
		__atomic_store_n(mine, i + 1, __ATOMIC_RELEASE);
		dev_wake(self->fd, WORD, 1);
		while (__atomic_load_n(theirs, __ATOMIC_ACQUIRE) == i)
			ASSERT_NE(wait_word(self->fd, CONS_OFF, i, 0), -ETIMEDOUT);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

static int poll_set(int fd, uint32_t flags, uint64_t off, uint32_t val, uint32_t peer,
		    uint32_t peer_val)
{
	struct shmipc_dev_poll r = { .size = sizeof(r), .flags = flags, .off = off, .val = val,
				     .peer = peer, .peer_val = peer_val };

	return dev_ioctl(fd, SHMIPC_IOC_POLL_SET, &r);
}

static int poll_now(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) < 0 ? -errno : p.revents;
}

TEST_F(waiting, poll_reports_that_the_word_changed)
{
	int fd = dev_open("waiting"), status;
	pid_t pid;

	EXPECT_EQ(poll_now(fd, 0), 0);
	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 0, SHMIPC_DEV_NO_PEER, 0), 0);
	EXPECT_EQ(poll_now(fd, 0), 0);
	pid = fork();
	if (!pid)
		_exit(poll_now(fd, 30000) == POLLIN ? 0 : 1);
	*self->word = 1;
	dev_wake(self->fd, WORD, 1);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(poll_now(fd, 0), POLLIN);
	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 1, SHMIPC_DEV_NO_PEER, 0), 0);
	EXPECT_EQ(poll_now(fd, 0), 0);
	/* A new setting is noticed by a process that is already polling. */
	pid = fork();
	if (!pid)
		_exit(poll_now(fd, 30000) == POLLIN ? 0 : 1);
	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 7, SHMIPC_DEV_NO_PEER, 0), 0);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	ASSERT_EQ(poll_set(fd, 0, WORD, 0, SHMIPC_DEV_NO_PEER, 0), 0);
	EXPECT_EQ(poll_now(fd, 0), 0);
	close(fd);
}

TEST_F(waiting, the_end_of_a_peer_is_reported_as_a_hangup)
{
	int fd = dev_open("waiting"), ep = epoll_create1(0), status;
	struct epoll_event ev = { .events = EPOLLIN };
	uint32_t word = hdr_slot(dev_map_hdr(fd), 1)->word;
	struct gate g;
	pid_t pid;

	gate_make(&g);
	pid = fork();
	if (!pid) {
		dev_attach(dev_open("waiting"), SHMIPC_ROLE_CONSUMER);
		gate_tell(g.to_parent[1], 'a');
		pause();
	}
	gate_hear(g.to_parent[0]);
	word = hdr_slot(dev_map_hdr(fd), 1)->word;
	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 0, 1, word), 0);
	ASSERT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	EXPECT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	kill(pid, SIGKILL);
	ASSERT_EQ(epoll_wait(ep, &ev, 1, 30000), 1);
	EXPECT_EQ(ev.events, EPOLLHUP);
	waitpid(pid, &status, 0);
	close(ep);
	close(fd);
}

/* Counts how often it is woken, until @most or until a word differs. */
static pid_t watcher(int fd, uint32_t peer, uint32_t peer_val, uint64_t *woken, uint64_t most)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	while (*woken < most && !dev_wait(fd, WORD, 0, peer, peer_val, 0, long_deadline()))
		++*woken;
	_exit(0);
}

/* Each process that watches another slot, or none, sleeps on. */
TEST_F(waiting, a_peer_wakes_only_the_sleepers_that_watch_it)
{
	uint64_t *woken = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int other = dev_open("waiting"), i, status;
	uint32_t mine = hdr_slot(dev_map_hdr(self->fd), 0)->word;
	pid_t pid[3];

	pid[0] = watcher(self->fd, SHMIPC_DEV_NO_PEER, 0, &woken[0], 99);
	pid[1] = watcher(self->fd, 0, mine, &woken[1], 99);
	pid[2] = watcher(self->fd, 1, 0, &woken[2], 1);
	ASSERT_EQ(dev_await_waiters(self->fd, 3), 0);
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_CONSUMER), 1);
		ASSERT_EQ(dev_detach(other), 0);
	}
	/* By the attach, or the word of the slot differed. */
	ASSERT_EQ(waitpid(pid[2], &status, 0), pid[2]);
	ASSERT_EQ(dev_await_waiters(self->fd, 2), 0);
	*self->word = 1;
	EXPECT_EQ(dev_wake(self->fd, WORD, 0), 2);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
	/* Once, by the change of the word. */
	EXPECT_EQ(woken[0], 1);
	EXPECT_EQ(woken[1], 1);
	munmap(woken, PAGE);
	close(other);
}

/* More of them than are visited at a time, of both kinds. */
TEST_F(waiting, a_wake_reaches_every_one_of_many_sleepers)
{
	int i;

	for (i = 0; i < 150; i++)
		sleeper(self->fd, WORD, i & 1 ? SHMIPC_DEV_EXCLUSIVE : 0);
	ASSERT_EQ(dev_await_waiters(self->fd, 150), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 70), 75 + 70);
	ASSERT_EQ(dev_await_waiters(self->fd, 5), 0);
	EXPECT_EQ(dev_wake(self->fd, WORD, 0), 5);
	EXPECT_EQ(reap_all(150), 0);
}

/* Whatever the order: a descriptor that can be watched has its segment from the start. */
TEST_F(waiting, epoll_reports_what_is_set_after_it_was_added)
{
	int fd = dev_open("waiting"), dev = dev_file(), ep = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN };

	EXPECT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, dev, &ev), -1);
	EXPECT_EQ(errno, EPERM);
	ASSERT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev), 0);
	EXPECT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 0, SHMIPC_DEV_NO_PEER, 0), 0);
	EXPECT_EQ(epoll_wait(ep, &ev, 1, 0), 0);
	*self->word = 1;
	dev_wake(self->fd, WORD, 1);
	ASSERT_EQ(epoll_wait(ep, &ev, 1, 30000), 1);
	EXPECT_EQ(ev.events, EPOLLIN);
	close(ep);
	close(dev);
	close(fd);
}

TEST_F(waiting, epoll_exclusive_wakes_one)
{
	int fd = dev_open("waiting"), i, woken = 0, status;
	struct gate g;
	pid_t pid[4];

	gate_make(&g);
	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 0, SHMIPC_DEV_NO_PEER, 0), 0);
	for (i = 0; i < 4; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			struct epoll_event ev = { .events = EPOLLIN | EPOLLEXCLUSIVE };
			int ep = epoll_create1(0);

			epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
			gate_tell(g.to_parent[1], 'r');
			status = epoll_wait(ep, &ev, 1, 30000);
			gate_tell(g.to_parent[1], 'w');
			_exit(status == 1 ? 0 : 1);
		}
	}
	for (i = 0; i < 4; i++)
		ASSERT_EQ(gate_hear(g.to_parent[0]), 'r');
	/* One wake, one of them; until each has had its turn. */
	*self->word = 1;
	while (woken < 4) {
		dev_wake(self->fd, WORD, 1);
		ASSERT_EQ(gate_hear(g.to_parent[0]), 'w');
		woken++;
	}
	EXPECT_EQ(reap_all(4), 0);
	gate_close(&g);
	close(fd);
}

TEST_F(waiting, an_inherited_poll_setting_follows_the_file)
{
	int fd = dev_open("waiting"), again = dup(fd);

	ASSERT_EQ(poll_set(fd, SHMIPC_DEV_POLL_ON, WORD, 1, SHMIPC_DEV_NO_PEER, 0), 0);
	EXPECT_EQ(poll_now(again, 0), POLLIN);
	close(fd);
	EXPECT_EQ(poll_now(again, 0), POLLIN);
	close(again);
}

TEST_HARNESS_MAIN
