// SPDX-License-Identifier: MIT
/* Commits racing with faults, kills and the end of a segment. */
#include "machine.h"

#define RW	(PROT_READ | PROT_WRITE)
#define DATA	(2 * MIB)
#define WRITERS	4

FIXTURE(race) {
	struct shmipc_dev_info before;
	int fd;
};

FIXTURE_SETUP(race)
{
	ASSERT_EQ(dev_info(&self->before), 0);
	self->fd = -1;
}

FIXTURE_TEARDOWN(race)
{
	struct shmipc_dev_info after;

	close(self->fd);
	EXPECT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, self->before.total_bytes);
	EXPECT_EQ(after.total_reserved, self->before.total_reserved);
	EXPECT_EQ(after.total_segs, self->before.total_segs);
}

static uint64_t used(int fd)
{
	struct shmipc_dev_stat s;

	return dev_stat(fd, &s) ? UINT64_MAX : s.used_bytes - 5 * PAGE;
}

static int make_many(const char *name, uint64_t bytes, uint64_t page)
{
	struct make m;

	make_init(&m, name, bytes);
	make_reserved(&m, 0);
	m.req.page = page;
	m.req.role_max[SHMIPC_ROLE_PRODUCER] = WRITERS;
	return dev_make(&m);
}

/* What the processes of a test share. */
struct shared {
	uint32_t arrived;
	uint32_t round;
	uint32_t stop;
	uint64_t seen;
	int64_t changed;
};

static struct shared *share(void)
{
	return mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

static void barrier(struct shared *sh, uint32_t of)
{
	uint32_t round = __atomic_load_n(&sh->round, __ATOMIC_ACQUIRE);

	if (__atomic_add_fetch(&sh->arrived, 1, __ATOMIC_ACQ_REL) == of) {
		__atomic_store_n(&sh->arrived, 0, __ATOMIC_RELAXED);
		__atomic_store_n(&sh->round, round + 1, __ATOMIC_RELEASE);
		return;
	}
	while (__atomic_load_n(&sh->round, __ATOMIC_ACQUIRE) == round)
		sched_yield();
}

#define STEPS	64
#define STEP	(16 * PAGE)

/* Commits each step at the same time as the other processes, and adds up @changed. */
static int commits_all_steps(struct shared *sh)
{
	int fd = dev_open("race/steps"), i;
	char *p;

	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	p = dev_map(fd, DATA, STEPS * STEP, RW);
	for (i = 0; i < STEPS; i++) {
		int64_t n;

		barrier(sh, WRITERS);
		n = dev_commit(fd, DATA + i * STEP, STEP);
		if (n < 0)
			return 2;
		__atomic_add_fetch(&sh->changed, n, __ATOMIC_RELAXED);
		/* All processes have the same page. */
		__atomic_add_fetch((uint32_t *)(void *)(p + i * STEP + STEP - PAGE), 1, __ATOMIC_RELAXED);
	}
	return 0;
}

TEST_F(race, many_commit_the_same_step_at_once)
{
	struct shared *sh = share();
	pid_t pid[WRITERS];
	const char *q;
	int i, status;

	self->fd = make_many("race/steps", 8 * MIB, 0);
	ASSERT_GE(self->fd, 0);
	for (i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(commits_all_steps(sh));
	}
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(sh->changed, STEPS * STEP);
	EXPECT_EQ(used(self->fd), STEPS * STEP);
	q = dev_map(self->fd, DATA, 8 * MIB, PROT_READ);
	for (i = 0; i < STEPS; i++)
		EXPECT_EQ(*(const uint32_t *)(const void *)(q + (i + 1) * STEP - PAGE), WRITERS);
	munmap((void *)(uintptr_t)q, 8 * MIB);
}

/* A block becomes one large page, or small ones if a page of it was touched before. */
static int commits_or_touches_blocks(struct shared *sh, unsigned int self)
{
	int fd = dev_open("race/blocks");
	unsigned int i;
	char *p;

	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	p = dev_map(fd, DATA, 16 * MIB, RW);
	for (i = 0; i < 8; i++) {
		barrier(sh, WRITERS);
		if (self % 2 && dev_commit(fd, DATA + i * 2 * MIB, 2 * MIB) < 0)
			return 2;
		__atomic_add_fetch((uint32_t *)(void *)(p + i * 2 * MIB + MIB), 1, __ATOMIC_RELAXED);
	}
	return 0;
}

TEST_F(race, blocks_committed_and_touched_at_once)
{
	struct shared *sh = share();
	struct shmipc_dev_stat s;
	pid_t pid[WRITERS];
	const char *q;
	int i, status;

	self->fd = make_many("race/blocks", 16 * MIB, 0);
	ASSERT_GE(self->fd, 0);
	for (i = 0; i < WRITERS; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(commits_or_touches_blocks(sh, (unsigned int)i));
	}
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(used(self->fd), 16 * MIB);
	ASSERT_EQ(dev_stat(self->fd, &s), 0);
	TH_LOG("%u of 8 blocks are large", s.huge);
	q = dev_map(self->fd, DATA, 16 * MIB, PROT_READ);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(*(const uint32_t *)(const void *)(q + i * 2 * MIB + MIB), WRITERS);
	munmap((void *)(uintptr_t)q, 16 * MIB);
}

/*
 * Reads pages before they are committed, again and again. Once a page has been committed
 * and that was announced, it must be visible, and not the zero page.
 */
static int reads_what_came(struct shared *sh, unsigned int seed, uint64_t pages)
{
	int fd = dev_open_as("race/zeroes", O_RDONLY);
	const volatile char *q = dev_map(fd, DATA, pages * PAGE, PROT_READ);
	uint64_t came, i, late = 0;
	char *next;

	if (q == MAP_FAILED)
		return 1;
	do {
		came = __atomic_load_n(&sh->seen, __ATOMIC_ACQUIRE);
		/* Map the zero page for the next few; for the very next, again and again. */
		for (i = came; i < came + 4 && i < pages; i++)
			late += q[i * PAGE];
		next = (char *)(uintptr_t)q + came * PAGE;
		for (i = 0; i < 4 && came < pages; i++) {
			madvise(next, PAGE, MADV_DONTNEED);
			late += *(volatile char *)next;
		}
		for (i = came > 8 ? came - 8 : 0; i < came; i++)
			if (!q[i * PAGE])
				return 2;
		i = (uint64_t)rand_r(&seed) % pages;
		if (!q[i * PAGE] && i < came)
			return 3;
	} while (came < pages);
	for (i = 0; i < pages; i++)
		if (!q[i * PAGE])
			return 4;
	return 0;
}

TEST_F(race, a_committed_page_replaces_the_zero_page_for_all_readers)
{
	const uint64_t pages = 2048;
	struct shared *sh = share();
	pid_t pid[3];
	int i, status;
	uint64_t n;
	char *p;

	self->fd = make_many("race/zeroes", pages * PAGE, 0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(self->fd, DATA, pages * PAGE, RW);
	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(reads_what_came(sh, (unsigned int)i, pages));
	}
	for (n = 0; n < pages; n++) {
		ASSERT_EQ(dev_commit(self->fd, DATA + n * PAGE, PAGE), PAGE);
		p[n * PAGE] = 1;
		__atomic_store_n(&sh->seen, n + 1, __ATOMIC_RELEASE);
	}
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
		EXPECT_EQ(status, 0);
	}
	munmap(p, pages * PAGE);
}

/* Reads everything until told to stop; then each page must have its last contents, y. */
static int reads_while_pages_come_and_go(struct shared *sh, uint64_t bytes)
{
	int fd = dev_open_as("race/come-and-go", O_RDONLY);
	const volatile char *q = dev_map(fd, DATA, bytes, PROT_READ);
	uint64_t off;
	char c;

	while (!__atomic_load_n(&sh->stop, __ATOMIC_ACQUIRE))
		for (off = 0; off < bytes; off += PAGE) {
			c = q[off];
			if (c && c != 'x' && c != 'y')
				return 1;
			__atomic_add_fetch(&sh->seen, c == 'x', __ATOMIC_RELAXED);
		}
	for (off = 0; off < bytes; off += PAGE)
		if (q[off] != 'y')
			return 2;
	return 0;
}

TEST_F(race, readers_while_pages_are_committed_and_uncommitted)
{
	static const uint64_t step[] = { PAGE, 2 * MIB, 7 * PAGE };
	const uint64_t bytes = 4 * MIB;
	struct shared *sh = share();
	uint64_t end, off, n;
	unsigned int rounds;
	pid_t pid[2];
	int i, status;
	char *p;

	self->fd = make_many("race/come-and-go", bytes, 0);
	ASSERT_GE(self->fd, 0);
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(self->fd, DATA, bytes, RW);
	for (i = 0; i < 2; i++) {
		pid[i] = fork();
		if (!pid[i])
			_exit(reads_while_pages_come_and_go(sh, bytes));
	}
	end = now_ns() + 3000000000u;
	for (rounds = 0; now_ns() < end || rounds < 10; rounds++) {
		n = step[rounds % 3];
		off = n == PAGE ? rounds * 5 % 64 * PAGE : rounds % 2 * 2 * MIB;
		ASSERT_GE(dev_commit(self->fd, DATA + off, n), 0);
		memset(p + off, 'x', n);
		ASSERT_GE(dev_uncommit(self->fd, DATA + off, n), 0);
	}
	ASSERT_GE(dev_uncommit(self->fd, DATA, bytes), 0);
	EXPECT_EQ(used(self->fd), 0);
	ASSERT_EQ(dev_commit(self->fd, DATA, bytes), bytes);
	memset(p, 'y', bytes);
	__atomic_store_n(&sh->stop, 1, __ATOMIC_RELEASE);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
		EXPECT_EQ(status, 0);
	}
	TH_LOG("%u rounds, %llu reads of a committed page", rounds, (unsigned long long)sh->seen);
	EXPECT_GT(sh->seen, 0);
	munmap(p, bytes);
}

#define KILL_BYTES	(24 * MIB)

/* Commits and uncommits in a loop, small pages, so that each step takes long; counts steps. */
static int commits_for_ever(struct shared *sh)
{
	int fd = dev_open("race/kill");

	if (dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	for (;;) {
		__atomic_add_fetch(&sh->seen, 1, __ATOMIC_RELAXED);
		if (dev_commit(fd, DATA, KILL_BYTES) != (int64_t)KILL_BYTES)
			return 2;
		__atomic_add_fetch(&sh->seen, 1, __ATOMIC_RELAXED);
		if (dev_uncommit(fd, DATA, KILL_BYTES) != (int64_t)KILL_BYTES)
			return 3;
	}
}

TEST_F_TIMEOUT(race, a_killed_commit_leaves_all_or_nothing, 180)
{
	unsigned int i, all = 0, nothing = 0, inside = 0;
	uint64_t seen, n;
	struct shared *sh = share();
	int status;
	pid_t pid;

	self->fd = make_many("race/kill", KILL_BYTES, PAGE);
	ASSERT_GE(self->fd, 0);
	for (i = 0; i < 24; i++) {
		sh->seen = 0;
		pid = fork();
		if (!pid)
			_exit(commits_for_ever(sh));
		/* Kill it in the first or second commit or the uncommit between, at some point. */
		while (__atomic_load_n(&sh->seen, __ATOMIC_RELAXED) < 1 + i % 3)
			sched_yield();
		poll(NULL, 0, (int)(i % 8));
		kill(pid, SIGKILL);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		ASSERT_TRUE(WIFSIGNALED(status));
		seen = sh->seen;
		n = used(self->fd);
		ASSERT_TRUE(n == 0 || n == KILL_BYTES);
		all += n > 0;
		nothing += n == 0;
		/* Odd: it was killed in a commit, which was undone. */
		inside += seen % 2 && n == 0;
		/* Start the next round without memory. */
		ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
		ASSERT_EQ(dev_commit(self->fd, DATA, KILL_BYTES), KILL_BYTES - n);
		ASSERT_EQ(dev_uncommit(self->fd, DATA, KILL_BYTES), KILL_BYTES);
		ASSERT_EQ(dev_detach(self->fd), 0);
	}
	TH_LOG("24 kills: %u left all memory, %u none; %u in the middle of a commit", all, nothing,
	       inside);
	EXPECT_GE(inside, 4);
}

/* Touches uncommitted pages while the last descriptor is closed; the mapping remains. */
static void *touches(void *arg)
{
	volatile char *p = arg;
	uint64_t off;

	for (off = 0; off < 4 * MIB; off += PAGE)
		p[off] = 1;
	return NULL;
}

TEST_F(race, faults_outlive_the_descriptor)
{
	pthread_t thread;
	int round, fd;
	char *p;

	for (round = 0; round < 20; round++) {
		fd = make_many(NULL, 4 * MIB, 0);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
		p = dev_map(fd, DATA, 4 * MIB, RW);
		ASSERT_NE(p, MAP_FAILED);
		ASSERT_EQ(pthread_create(&thread, NULL, touches, p), 0);
		close(fd);
		pthread_join(thread, NULL);
		munmap(p, 4 * MIB);
	}
}

TEST_HARNESS_MAIN
