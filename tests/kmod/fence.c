// SPDX-License-Identifier: MIT
/*
 * Fencing: what the peer that is cut off can still do, which is nothing, what it learns,
 * and what the others see. The right to fence, and pages in use, are in fence_who.c and
 * fence_pins.c.
 */
#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "fence.h"
#include "ring.h"

#define WORD	SMALL_DATA_OFF

FIXTURE(fence) {
	struct shmipc_dev_info before;
	const struct shmipc_seg_hdr *hdr;
	const struct shmipc_peer_slot *slot;
	const volatile uint64_t *data;	/* read-only */
	struct shared *sh;
	struct gate g;
	int fd;
};

FIXTURE_SETUP(fence)
{
	ASSERT_EQ(dev_info(&self->before), 0);
	ASSERT_NE(self->before.caps & SHMIPC_DEV_CAP_FENCE, 0);
	self->fd = make_shared_role("fence", PAGE, 0600);
	ASSERT_GE(self->fd, 0);
	self->hdr = dev_map_hdr(self->fd);
	self->slot = hdr_slot(self->hdr, 0);
	self->data = dev_map(self->fd, WORD, PAGE, PROT_READ);
	self->sh = share();
}

FIXTURE_TEARDOWN(fence)
{
	struct shmipc_dev_info after;

	munmap((void *)(uintptr_t)self->data, PAGE);
	munmap((void *)(uintptr_t)self->hdr, RING_OFF);
	munmap(self->sh, PAGE);
	close(self->fd);
	EXPECT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_segs, self->before.total_segs);
}

static int touches(struct victim *v)
{
	victim_ready(v);
	v->p[0] = 2;
	return 0;
}

TEST_F(fence, the_next_touch_is_sigbus)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, touches);
	struct shmipc_dev_death death;
	struct shmipc_dev_peer peer;
	struct shmipc_dev_stat s;
	uint32_t word;

	ASSERT_GT(pid, 0);
	word = self->slot->word;
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	/* A death, for all others, when the call returns. */
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(self->slot->word, word | SHMIPC_PEER_DEAD);
	ASSERT_EQ(dev_peer(self->fd, 0, &peer), 0);
	EXPECT_EQ(peer.state, SHMIPC_PEER_DIED);
	EXPECT_EQ(peer.flags, SHMIPC_DEV_PEER_OPEN | SHMIPC_DEV_PEER_FENCED);
	ASSERT_EQ(dev_stat(self->fd, &s), 0);
	EXPECT_EQ(s.attached, 0);
	ASSERT_EQ(dev_deaths(self->fd, 0, &death, 1, NULL), 1);
	EXPECT_EQ(death.how, SHMIPC_DEATH_FENCED);
	EXPECT_EQ(death.pid, pid);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	EXPECT_EQ(self->data[0], 1);
	victim_done(&self->g);
}

static int reads(struct victim *v)
{
	const volatile uint64_t *all = dev_map(v->fd, 0, v->off + PAGE, PROT_READ);

	victim_ready(v);
	/* Through a mapping for reading all of it can still be read; through the role's, nothing. */
	if (all[v->off / 8] != 1)
		return 1;
	return (int)v->p[0];
}

TEST_F(fence, it_can_still_read_through_a_mapping_for_reading)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, reads);

	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	victim_done(&self->g);
}

/* Writes the rest of the page by system calls. */
static void *reads_zeroes(void *arg)
{
	struct victim *v = arg;
	int zero = open("/dev/zero", O_RDONLY);

	while (read(zero, (char *)(uintptr_t)v->p + PAGE / 2, PAGE / 2) == PAGE / 2)
		continue;
	return NULL;
}

/* Has to fault each time. */
static void *drops_its_pages(void *arg)
{
	struct victim *v = arg;

	while (!madvise((void *)(uintptr_t)v->p, PAGE, MADV_DONTNEED))
		continue;
	return NULL;
}

static int spins(struct victim *v)
{
	pthread_t t;

	if (pthread_create(&t, NULL, reads_zeroes, v) || pthread_create(&t, NULL, drops_its_pages, v))
		return 1;
	gate_tell(v->g->to_parent[1], 'v');
	for (;;) {
		v->p[0]++;
		v->p[v->bytes / 16]++;
	}
}

static void spinner_is_fenced(struct __test_metadata *_metadata, const char *name, int fd,
			      const volatile uint64_t *data, uint64_t bytes)
{
	uint64_t seen, end = long_deadline();
	struct shmipc_dev_peer peer;
	struct gate g;
	pid_t pid = victim_start(&g, name, NULL, spins);
	int i;

	ASSERT_GT(pid, 0);
	seen = data[0];
	while (data[0] < seen + 100 && now_ns() < end)
		continue;
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	ASSERT_EQ(dev_fence(fd, 0, peer.generation), 0);
	/* There is no other writer: no store comes after the return. */
	seen = data[0] + data[bytes / 16];
	for (i = 0; i < 2000; i++) {
		if (data[0] + data[bytes / 16] != seen)
			break;
		sched_yield();
	}
	EXPECT_EQ(i, 2000);
	EXPECT_EQ(reap(pid), -SIGBUS);
	EXPECT_EQ(data[0] + data[bytes / 16], seen);
	victim_done(&g);
}

TEST_F(fence, the_last_store_of_a_writer_that_spins_is_before_the_return)
{
	int i;

	for (i = 0; i < 40; i++)
		spinner_is_fenced(_metadata, "fence", self->fd, self->data, PAGE);
}

TEST_F(fence, also_in_large_pages)
{
	int fd = make_shared_role("fence/large", 4 * MIB, 0600), i;
	const volatile uint64_t *data;

	ASSERT_GE(fd, 0);
	data = dev_map(fd, DATA, 4 * MIB, PROT_READ);
	for (i = 0; i < 20; i++)
		spinner_is_fenced(_metadata, "fence/large", fd, data, 4 * MIB);
	munmap((void *)(uintptr_t)data, 4 * MIB);
	close(fd);
}

static int polls(struct victim *v)
{
	struct epoll_event e = { .events = EPOLLIN };
	int ep = epoll_create1(0);
	struct pollfd p = { .fd = v->fd };

	if (epoll_ctl(ep, EPOLL_CTL_ADD, v->fd, &e) || poll(&p, 1, 0))
		return 1;
	gate_tell(v->g->to_parent[1], 'v');
	if (epoll_wait(ep, &e, 1, -1) != 1 || e.events != EPOLLERR)
		return 2;
	if (poll(&p, 1, 0) != 1 || p.revents != POLLERR)
		return 3;
	return 0;	/* without a touch */
}

TEST_F(fence, its_descriptor_reports_an_error)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, polls);

	ASSERT_GT(pid, 0);
	/* Before the pages are gone: also where that has to wait. */
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(reap(pid), 0);
	victim_done(&self->g);
}

/* Its calls, until it has left; the line of the first surprise. */
static int calls(struct victim *v)
{
	struct shmipc_dev_poll on = { .size = sizeof(on), .flags = SHMIPC_DEV_POLL_ON, .off = WORD,
				      .val = 1, .peer = SHMIPC_DEV_NO_PEER };
	struct pollfd p = { .fd = v->fd, .events = POLLIN };
	void *q;

	victim_ready(v);
	if (dev_wait(v->fd, WORD, 1, SHMIPC_DEV_NO_PEER, 0, 0, long_deadline()) != -ECONNRESET)
		return __LINE__ % 256;
	if (dev_commit(v->fd, WORD, PAGE) != -ECONNRESET)
		return __LINE__ % 256;
	if (dev_map(v->fd, WORD, PAGE, RW) != MAP_FAILED || errno != ECONNRESET)
		return __LINE__ % 256;
	if (dev_attach(v->fd, SHMIPC_ROLE_PRODUCER) != -ECONNRESET ||
	    dev_attach(v->fd, SHMIPC_ROLE_READER) != -ECONNRESET)
		return __LINE__ % 256;
	if (dev_ioctl(v->fd, SHMIPC_IOC_POLL_SET, &on) || poll(&p, 1, 0) != 1 || p.revents != POLLERR)
		return __LINE__ % 256;
	/* Elsewhere the mapping is as dead. */
	q = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	q = mremap((void *)(uintptr_t)v->p, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
	if (q == MAP_FAILED || read(open("/dev/zero", O_RDONLY), q, 8) != -1 || errno != EFAULT)
		return __LINE__ % 256;
	if (dev_detach(v->fd) != -EBUSY)
		return __LINE__ % 256;
	munmap(q, PAGE);
	/* When it has left it is as new, by the same descriptor. */
	if (dev_detach(v->fd) || dev_detach(v->fd) != -ESRCH || poll(&p, 1, 0))
		return __LINE__ % 256;
	if (dev_wait(v->fd, WORD, 1, SHMIPC_DEV_NO_PEER, 0, 0, 1) != -ETIMEDOUT)
		return __LINE__ % 256;
	if (dev_attach(v->fd, SHMIPC_ROLE_PRODUCER) < 0)
		return __LINE__ % 256;
	q = dev_map(v->fd, WORD, PAGE, RW);
	if (q == MAP_FAILED)
		return __LINE__ % 256;
	*(volatile uint64_t *)q = 3;
	return 0;
}

TEST_F(fence, its_calls_fail_until_it_has_left)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, calls);

	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), 0);
	EXPECT_EQ(self->data[0], 3);
	victim_done(&self->g);
}

static int attaches_by_another(struct victim *v)
{
	int fd;

	victim_ready(v);
	fd = dev_open("fence");
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	*(volatile uint64_t *)dev_map(fd, WORD, PAGE, RW) = 7;
	v->p[0] = 8;
	return 2;
}

TEST_F(fence, by_another_descriptor_it_is_a_new_peer_but_its_old_mappings_stay_dead)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, attaches_by_another);

	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	EXPECT_EQ(self->data[0], 7);
	victim_done(&self->g);
}

static int sleeps(struct victim *v)
{
	gate_tell(v->g->to_parent[1], 'v');
	/* On a word without wakes, and without watching a peer. */
	return -dev_wait(v->fd, PROD_OFF, 0, SHMIPC_DEV_NO_PEER, 0, 0, long_deadline());
}

TEST_F(fence, a_call_in_which_it_sleeps_fails)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, sleeps);

	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(reap(pid), ECONNRESET);
	victim_done(&self->g);
}

static int sleeps_in_uring(struct victim *v)
{
	struct ring r;
	int ret;

	if (ring_make(&r) || submit_simple(&r, v->fd, PROD_OFF, 0, long_deadline(), 0) != 1)
		return 1;
	gate_tell(v->g->to_parent[1], 'v');
	ret = ring_reap(&r, NULL);
	if (ret && ret != -ECONNRESET)
		return 2;
	if (submit_simple(&r, v->fd, PROD_OFF, 0, long_deadline(), 0) != 1)
		return 3;
	return -ring_reap(&r, NULL);
}

TEST_F(fence, a_wait_in_io_uring_ends_and_the_next_fails)
{
	pid_t pid;

	if (!(self->before.caps & SHMIPC_DEV_CAP_URING))
		SKIP(return, "io_uring of this kernel cannot cancel a command");
	pid = victim_start(&self->g, "fence", self->sh, sleeps_in_uring);
	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(reap(pid), ECONNRESET);
	victim_done(&self->g);
}

/* Sleeps until the victim has gone, and returns what became of it. */
static void watcher(uint32_t word, bool any)
{
	int fd = dev_open("fence"), err;
	const struct shmipc_seg_hdr *h = dev_map_hdr(fd);
	const struct shmipc_seg_live *live = (const void *)((const char *)h + SHMIPC_SEG_LIVE_OFF);
	uint32_t seq = live->peer_seq;

	do
		err = dev_wait(fd, WORD + 8, 0, any ? SHMIPC_DEV_ANY_PEER : 0, any ? seq : word, 0,
			       long_deadline());
	while ((!err || err == -EAGAIN) && hdr_slot(h, 0)->word == word);
	_exit(err && err != -EAGAIN ? 80 : hdr_slot(h, 0)->state);
}

static int stopped(struct victim *v)
{
	gate_tell(v->g->to_parent[1], 'v');
	raise(SIGSTOP);
	v->p[0] = 2;
	return 0;
}

TEST_F(fence, the_others_go_on_at_once_while_it_is_stopped)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, stopped), other[2];
	uint32_t word = self->slot->word;
	volatile uint64_t *mine;
	int i, status;

	ASSERT_GT(pid, 0);
	ASSERT_EQ(waitpid(pid, &status, WUNTRACED), pid);
	ASSERT_TRUE(WIFSTOPPED(status));
	for (i = 0; i < 2; i++) {
		other[i] = fork();
		if (!other[i])
			watcher(word, i);
	}
	ASSERT_EQ(dev_await_waiters(self->fd, 2), 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(reap(other[0]), SHMIPC_PEER_DIED);
	EXPECT_EQ(reap(other[1]), SHMIPC_PEER_DIED);
	/* The role is free, and another one writes, while it is still stopped. */
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	mine = dev_map(self->fd, WORD, PAGE, RW);
	mine[0] = 9;
	munmap((void *)(uintptr_t)mine, PAGE);
	kill(pid, SIGCONT);
	EXPECT_EQ(reap(pid), -SIGBUS);
	EXPECT_EQ(self->data[0], 9);
	victim_done(&self->g);
}

static int writes_on(struct victim *v)
{
	gate_tell(v->g->to_parent[1], 'v');
	while (!__atomic_load_n(&v->sh->stop, __ATOMIC_RELAXED)) {
		v->p[8]++;
		__atomic_add_fetch(&v->sh->writes, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

TEST_F(fence, other_peers_of_the_role_continue_to_write)
{
	struct gate g[3];
	uint64_t seen, end = long_deadline();
	pid_t pid[3], victim;
	int i;

	victim = victim_start(&self->g, "fence", self->sh, touches);
	ASSERT_GT(victim, 0);
	for (i = 0; i < 3; i++) {
		pid[i] = victim_start(&g[i], "fence", self->sh, writes_on);
		ASSERT_GT(pid[i], 0);
	}
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	seen = __atomic_load_n(&self->sh->writes, __ATOMIC_RELAXED);
	while (__atomic_load_n(&self->sh->writes, __ATOMIC_RELAXED) < seen + 1000 && now_ns() < end)
		continue;
	EXPECT_GE(self->sh->writes, seen + 1000);
	__atomic_store_n(&self->sh->stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(reap(pid[i]), 0);
		victim_done(&g[i]);
	}
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(victim), -SIGBUS);
	victim_done(&self->g);
}

static int has_a_child(struct victim *v)
{
	const struct shmipc_peer_slot *slot;
	struct pollfd p = { .fd = v->fd };
	pid_t pid;

	/* Newer kernels refuse it. Then the child has no mapping there, and EFAULT all the same. */
	(void)madvise((void *)(uintptr_t)v->p, v->bytes, MADV_DOFORK);
	pid = fork();
	if (pid) {
		victim_ready(v);
		gate_tell(v->g->to_parent[1], 'w');
		return 100 + reap(pid);
	}
	slot = hdr_slot(dev_map_hdr(v->fd), 0);
	while (slot->state != SHMIPC_PEER_DIED)
		sched_yield();
	/* It was never a peer: its calls are its own. But the description has been fenced. */
	if (dev_wait(v->fd, WORD, 1, SHMIPC_DEV_NO_PEER, 0, 0, 1) != -ETIMEDOUT)
		_exit(2);
	if (poll(&p, 1, 0) != 1 || p.revents != POLLERR)
		_exit(3);
	if (read(open("/dev/zero", O_RDONLY), (char *)(uintptr_t)v->p, 8) != -1 || errno != EFAULT)
		_exit(4);
	if (dev_attach(v->fd, SHMIPC_ROLE_PRODUCER) < 0 || dev_map(v->fd, WORD, PAGE, RW) == MAP_FAILED)
		_exit(5);
	_exit(0);
}

TEST_F(fence, a_child_of_it_is_not_fenced)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, has_a_child);

	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(gate_hear(self->g.to_parent[0]), 'w');
	EXPECT_EQ(reap(pid), 100);
	victim_done(&self->g);
}

static int waits(struct victim *v)
{
	__atomic_store_n(&v->sh->writes, (uintptr_t)v->p, __ATOMIC_RELAXED);
	victim_ready(v);
	return 0;
}

TEST_F(fence, no_process_writes_through_its_address_space)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, waits);
	uint64_t v = 5;
	char path[64];
	struct iovec local = { &v, sizeof(v) }, remote;
	int mem, status;

	ASSERT_GT(pid, 0);
	remote = (struct iovec){ (void *)(uintptr_t)self->sh->writes, sizeof(v) };
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR);
	ASSERT_GE(mem, 0);
	ASSERT_EQ(ptrace(PTRACE_ATTACH, pid, 0, 0), 0);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	/* Before, all three can. */
	EXPECT_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), sizeof(v));
	EXPECT_EQ(pwrite(mem, &v, sizeof(v), (off_t)self->sh->writes), sizeof(v));
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, pid, remote.iov_base, 6), 0);
	EXPECT_EQ(self->data[0], 6);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(process_vm_writev(pid, &local, 1, &remote, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(pwrite(mem, &v, sizeof(v), (off_t)self->sh->writes), -1);
	EXPECT_EQ(errno, EIO);
	EXPECT_EQ(ptrace(PTRACE_POKEDATA, pid, remote.iov_base, 7), -1);
	EXPECT_EQ(errno, EIO);
	EXPECT_EQ(self->data[0], 6);
	close(mem);
	EXPECT_EQ(ptrace(PTRACE_DETACH, pid, 0, 0), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), 0);
	victim_done(&self->g);
}

static int wakes_by_futex(struct victim *v)
{
	uint32_t private_word = 0;

	victim_ready(v);
	/* An operation that stores to its second word: SET to 1. */
	if (syscall(SYS_futex, &private_word, FUTEX_WAKE_OP, 1, 1, v->p, FUTEX_OP(0, 1, 0, 0)) != -1 ||
	    errno != EFAULT)
		return 1;
	if (syscall(SYS_futex, v->p, FUTEX_WAKE, 1, NULL, NULL, 0) != -1 || errno != EFAULT)
		return 2;
	return 0;
}

TEST_F(fence, nor_does_a_futex_operation)
{
	pid_t pid = victim_start(&self->g, "fence", self->sh, wakes_by_futex);

	ASSERT_GT(pid, 0);
	ASSERT_EQ(dev_fence(self->fd, 0, 1), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), 0);
	EXPECT_EQ(self->data[0], 1);
	victim_done(&self->g);
}

TEST_HARNESS_MAIN
