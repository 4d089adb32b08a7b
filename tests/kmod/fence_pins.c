// SPDX-License-Identifier: MIT
/*
 * Fencing while pages of the role are in use by something else than a mapping: it is not
 * said to be dead before that has ended.
 */
#include <linux/userfaultfd.h>
#include <sys/uio.h>

#include "fence.h"
#include "ring.h"

FIXTURE(pins) {
	const struct shmipc_seg_hdr *hdr;
	const struct shmipc_peer_slot *slot;
	const volatile uint64_t *data;	/* read-only */
	struct shared *sh;
	struct gate g;
	int fd;
};

FIXTURE_SETUP(pins)
{
	self->fd = make_shared_role("pins", PAGE, 0600);
	ASSERT_GE(self->fd, 0);
	self->hdr = dev_map_hdr(self->fd);
	self->slot = hdr_slot(self->hdr, 0);
	self->data = dev_map(self->fd, SMALL_DATA_OFF, PAGE, PROT_READ);
	self->sh = share();
}

FIXTURE_TEARDOWN(pins)
{
	munmap((void *)(uintptr_t)self->data, PAGE);
	munmap((void *)(uintptr_t)self->hdr, RING_OFF);
	close(self->fd);
}

static uint64_t soon(unsigned int ms)
{
	return now_ns() + ms * 1000000ull;
}

/* It has a page in a pipe; then it lets the page go; then it touches it. */
static int pipes(struct victim *v)
{
	struct iovec io = { (void *)(uintptr_t)v->p, 8 };
	struct pollfd p = { .fd = v->fd };
	int end[2];
	char got[8];

	if (pipe(end) || vmsplice(end[1], &io, 1, 0) != 8)
		return 1;
	victim_ready(v);
	/* It has been told, although the fence waits. */
	if (poll(&p, 1, 0) != 1 || p.revents != POLLERR)
		return 2;
	if (read(end[0], got, 8) != 8)
		return 3;
	victim_ready(v);
	v->p[0] = 2;
	return 0;
}

/* Sleeps as long as the peer in slot 0 is attached. */
static int watches(void)
{
	const struct shmipc_seg_hdr *h;
	int fd = dev_open("pins"), err;
	uint32_t word;

	h = dev_map_hdr(fd);
	word = hdr_slot(h, 0)->word;
	do
		err = dev_wait(fd, PROD_OFF, 0, 0, word, 0, long_deadline());
	while ((!err || err == -EAGAIN) && hdr_slot(h, 0)->word == word);
	return err && err != -EAGAIN ? 80 : hdr_slot(h, 0)->state;
}

TEST_F(pins, a_page_in_use_delays_the_end)
{
	pid_t pid = victim_start(&self->g, "pins", self->sh, pipes), watcher;
	struct shmipc_dev_peer peer;

	ASSERT_GT(pid, 0);
	watcher = fork();
	if (!watcher)
		_exit(watches());
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	EXPECT_EQ(dev_fence(self->fd, 0, 1), -EBUSY);
	EXPECT_EQ(dev_fence_flags(self->fd, 0, 1, soon(100), 0), -EBUSY);
	/* Cut off, but not dead. */
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_ATTACHED);
	ASSERT_EQ(dev_peer(self->fd, 0, &peer), 0);
	EXPECT_EQ(peer.flags, SHMIPC_DEV_PEER_OPEN | SHMIPC_DEV_PEER_FENCED);
	EXPECT_EQ(peer.state, SHMIPC_PEER_ATTACHED);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(gate_hear(self->g.to_parent[0]), 'v');
	/* It was woken at the beginning, and is woken again when it is over. */
	ASSERT_EQ(dev_await_waiters(self->fd, 1), 0);
	EXPECT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(reap(watcher), SHMIPC_PEER_DIED);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	victim_done(&self->g);
}

TEST_F(pins, or_not_if_the_caller_says_so)
{
	pid_t pid = victim_start(&self->g, "pins", self->sh, pipes);

	ASSERT_GT(pid, 0);
	EXPECT_EQ(dev_fence(self->fd, 0, 1), -EBUSY);
	EXPECT_EQ(dev_fence_flags(self->fd, 0, 1, 0, SHMIPC_DEV_FENCE_PINNED), 0);
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_DIED);
	kill(pid, SIGKILL);
	EXPECT_EQ(reap(pid), -SIGKILL);
	victim_done(&self->g);
}

/* Told, it leaves before the fence has come to its end: by DETACH, or by closing. */
static int leaves(struct victim *v, int detaches)
{
	struct iovec io = { (void *)(uintptr_t)v->p, 8 };
	int end[2];
	char got[8];

	if (pipe(end) || vmsplice(end[1], &io, 1, 0) != 8)
		return 1;
	victim_ready(v);
	if (read(end[0], got, 8) != 8 || munmap((void *)(uintptr_t)v->p, v->bytes))
		return 2;
	if (detaches ? dev_detach(v->fd) : close(v->fd))
		return 3;
	victim_ready(v);
	return 0;
}

static int detaches(struct victim *v)
{
	return leaves(v, 1);
}

static int closes(struct victim *v)
{
	return leaves(v, 0);
}

TEST_F(pins, it_has_died_also_if_it_leaves_before_the_end)
{
	int (*const way[])(struct victim *v) = { detaches, closes };
	struct shmipc_dev_death death;
	uint64_t i;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		pid = victim_start(&self->g, "pins", self->sh, way[i]);
		ASSERT_GT(pid, 0);
		EXPECT_EQ(dev_fence(self->fd, 0, i + 1), -EBUSY);
		gate_tell(self->g.to_child[1], 'g');
		EXPECT_EQ(gate_hear(self->g.to_parent[0]), 'v');
		EXPECT_EQ(self->slot->state, SHMIPC_PEER_DIED);
		EXPECT_EQ(dev_deaths(self->fd, i, &death, 1, NULL), 1);
		EXPECT_EQ(death.how, SHMIPC_DEATH_FENCED);
		EXPECT_EQ(dev_fence(self->fd, 0, i + 1), -ESRCH);
		gate_tell(self->g.to_child[1], 'g');
		EXPECT_EQ(reap(pid), 0);
		victim_done(&self->g);
	}
}

static void *lets_go_later(void *arg)
{
	struct gate *g = arg;

	poll(NULL, 0, 50);	/* somewhere in the middle of the wait; not needed for success */
	gate_tell(g->to_child[1], 'g');
	return NULL;
}

TEST_F(pins, the_call_waits_for_it)
{
	pid_t pid = victim_start(&self->g, "pins", self->sh, pipes);
	pthread_t t;

	ASSERT_GT(pid, 0);
	ASSERT_EQ(pthread_create(&t, NULL, lets_go_later, &self->g), 0);
	EXPECT_EQ(dev_fence_flags(self->fd, 0, 1, long_deadline(), 0), 0);
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_DIED);
	pthread_join(t, NULL);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), -SIGBUS);
	victim_done(&self->g);
}

static void nothing(int sig)
{
	(void)sig;
}

static int fences_long(void *arg)
{
	(void)arg;
	return -dev_fence_flags(dev_open("pins"), 0, 1, long_deadline(), 0);
}

static int fences_with_handler(void *arg)
{
	struct sigaction a = { .sa_handler = nothing };	/* without SA_RESTART */

	sigaction(SIGUSR1, &a, NULL);
	gate_tell(((struct gate *)arg)->to_parent[1], 'r');
	return fences_long(arg);
}

TEST_F(pins, a_signal_ends_the_wait)
{
	pid_t pid = victim_start(&self->g, "pins", self->sh, pipes), fencer;
	struct shmipc_dev_peer peer = { 0 };
	uint64_t end = long_deadline();
	struct gate g;

	ASSERT_GT(pid, 0);
	gate_make(&g);
	fencer = fork();
	if (!fencer)
		_exit(fences_with_handler(&g));
	gate_hear(g.to_parent[0]);
	while (!(peer.flags & SHMIPC_DEV_PEER_FENCED) && now_ns() < end)
		ASSERT_EQ(dev_peer(self->fd, 0, &peer), 0);
	kill(fencer, SIGUSR1);
	EXPECT_EQ(reap(fencer), EINTR);
	/* A victim that dies meanwhile ends it, too. */
	fencer = fork();
	if (!fencer)
		_exit(fences_long(NULL));
	kill(pid, SIGKILL);
	EXPECT_EQ(reap(pid), -SIGKILL);
	pid = reap(fencer);
	EXPECT_TRUE(pid == 0 || pid == ESRCH);
	victim_done(&self->g);
	gate_close(&g);
}

struct late_page {
	struct uffdio_zeropage zero;
	struct gate *g;
	int uffd;
};

/* When the page is needed, and the test has said so: it reads as zero. */
static void *bring_page(void *arg)
{
	struct late_page *l = arg;
	struct uffd_msg msg;

	if (read(l->uffd, &msg, sizeof(msg)) != sizeof(msg))
		_exit(2);
	gate_tell(l->g->to_parent[1], 'h');
	gate_hear(l->g->to_child[0]);
	if (ioctl(l->uffd, UFFDIO_ZEROPAGE, &l->zero))
		_exit(3);
	return NULL;
}

/* Write a page that does not come yet into the victim, whose page stays pinned meanwhile. */
static int writes_slowly(pid_t victim, uint64_t at, struct gate *g)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec local = { page, 8 }, remote = { (void *)(uintptr_t)at, 8 };
	struct late_page l = { .g = g, .uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC) };
	pthread_t t;

	reg.range.start = (uintptr_t)page;
	reg.range.len = PAGE;
	l.zero.range = reg.range;
	if (l.uffd < 0 || ioctl(l.uffd, UFFDIO_API, &api) || ioctl(l.uffd, UFFDIO_REGISTER, &reg) ||
	    pthread_create(&t, NULL, bring_page, &l)) {
		gate_tell(g->to_parent[1], 'x');
		return 1;
	}
	return process_vm_writev(victim, &local, 1, &remote, 1, 0) == 8 ? 0 : 4;
}

static int waits(struct victim *v)
{
	__atomic_store_n(&v->sh->writes, (uintptr_t)v->p, __ATOMIC_RELAXED);
	victim_ready(v);
	return 0;
}

TEST_F(pins, a_write_by_another_process_that_has_begun)
{
	pid_t pid = victim_start(&self->g, "pins", self->sh, waits), writer;
	struct gate g;

	ASSERT_GT(pid, 0);
	gate_make(&g);
	writer = fork();
	if (!writer)
		_exit(writes_slowly(pid, self->sh->writes, &g));
	if (gate_hear(g.to_parent[0]) != 'h') {
		kill(pid, SIGKILL);
		(void)reap(pid);
		(void)reap(writer);
		SKIP(return, "no userfaultfd");
	}
	EXPECT_EQ(dev_fence(self->fd, 0, 1), -EBUSY);
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(self->data[0], 1);
	gate_tell(g.to_child[1], 'g');
	EXPECT_EQ(reap(writer), 0);
	EXPECT_EQ(self->data[0], 0);	/* it still got through */
	EXPECT_EQ(dev_fence(self->fd, 0, 1), 0);
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_DIED);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), 0);
	victim_done(&self->g);
	gate_close(&g);
}

static int registers(struct victim *v)
{
	struct iovec io = { (void *)(uintptr_t)v->p, PAGE };
	struct ring r;

	if (ring_make(&r) || syscall(__NR_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &io, 1)) {
		gate_tell(v->g->to_parent[1], 'x');
		return 1;
	}
	victim_ready(v);
	if (syscall(__NR_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0))
		return 2;
	victim_ready(v);
	return 0;
}

TEST_F(pins, a_registered_buffer)
{
	pid_t pid = victim_start(&self->g, "pins", self->sh, registers);

	if (pid < 0)
		SKIP(return, "this kernel does not register such memory");
	EXPECT_EQ(dev_fence(self->fd, 0, 1), -EBUSY);
	EXPECT_EQ(self->slot->state, SHMIPC_PEER_ATTACHED);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(gate_hear(self->g.to_parent[0]), 'v');
	EXPECT_EQ(dev_fence(self->fd, 0, 1), 0);
	gate_tell(self->g.to_child[1], 'g');
	EXPECT_EQ(reap(pid), 0);
	victim_done(&self->g);
}

/* Threads that map and unmap the pages, and sleep on words there, are no use. */
static int keeps_mapping(struct victim *v)
{
	gate_tell(v->g->to_parent[1], 'v');
	while (!__atomic_load_n(&v->sh->stop, __ATOMIC_RELAXED)) {
		v->p[8]++;
		v->p[v->bytes / 16]++;
		madvise((void *)(uintptr_t)v->p, v->bytes, MADV_DONTNEED);
	}
	return 0;
}

TEST_F(pins, peers_that_fault_and_sleep_are_no_such_use)
{
	struct shared *sh = self->sh;
	struct gate g[3];
	pid_t pid[3], sleeper;
	struct make m;
	int fd, i, n;

	make_init(&m, "pins/busy", 4 * MIB);
	make_reserved(&m, 4 * MIB);
	m.req.role_max[SHMIPC_ROLE_PRODUCER] = SLOTS;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	for (i = 0; i < 2; i++) {
		pid[i] = victim_start(&g[i], "pins/busy", sh, keeps_mapping);
		ASSERT_GT(pid[i], 0);
	}
	sleeper = fork();
	if (!sleeper)
		_exit(-dev_wait(dev_open("pins/busy"), DATA + 512, 0, SHMIPC_DEV_NO_PEER, 0, 0,
				long_deadline()));
	ASSERT_EQ(dev_await_waiters(fd, 1), 0);
	for (n = 0; n < 20; n++) {
		struct shmipc_dev_peer peer;

		pid[2] = victim_start(&g[2], "pins/busy", sh, waits);
		ASSERT_GT(pid[2], 0);
		ASSERT_EQ(dev_peer(fd, 2, &peer), 0);
		EXPECT_EQ(dev_fence_flags(fd, 2, peer.generation, long_deadline(), 0), 0);
		gate_tell(g[2].to_child[1], 'g');
		EXPECT_EQ(reap(pid[2]), 0);
		victim_done(&g[2]);
	}
	__atomic_store_n(&sh->stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(reap(pid[i]), 0);
		victim_done(&g[i]);
	}
	kill(sleeper, SIGKILL);
	(void)reap(sleeper);
	close(fd);
}

TEST_HARNESS_MAIN
