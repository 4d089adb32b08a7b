// SPDX-License-Identifier: MIT
/* Segments whose memory is reserved, and committed part by part. */
#include <linux/futex.h>
#include <sys/uio.h>

#include "machine.h"

#define RW	(PROT_READ | PROT_WRITE)
#define DATA	(2 * MIB)		/* where they begin here */

/* Each test has its own segment: 8 MiB of data without memory. */
FIXTURE(commit) {
	struct shmipc_dev_info before;
	int tx, rx;		/* the producer, and one that only reads */
	char *p;		/* all data, as the producer writes them */
	const char *q;		/* all of the segment, as everybody reads it */
};

FIXTURE_SETUP(commit)
{
	struct make m;

	ASSERT_EQ(dev_info(&self->before), 0);
	make_init(&m, "commit/fixture", 8 * MIB);
	make_reserved(&m, 0);
	self->tx = dev_make(&m);
	ASSERT_GE(self->tx, 0);
	EXPECT_EQ(m.req.huge, 0);
	EXPECT_EQ(m.req.small, 5);
	self->rx = dev_open("commit/fixture");
	ASSERT_GE(self->rx, 0);
	ASSERT_EQ(dev_attach(self->tx, SHMIPC_ROLE_PRODUCER), 0);
	self->p = dev_map(self->tx, DATA, 8 * MIB, RW);
	ASSERT_NE(self->p, MAP_FAILED);
	self->q = dev_map(self->rx, 0, DATA + 8 * MIB, PROT_READ);
	ASSERT_NE((const void *)self->q, MAP_FAILED);
}

FIXTURE_TEARDOWN(commit)
{
	struct shmipc_dev_info after;

	munmap(self->p, 8 * MIB);
	munmap((void *)(uintptr_t)self->q, DATA + 8 * MIB);
	close(self->tx);
	close(self->rx);
	EXPECT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, self->before.total_bytes);
	EXPECT_EQ(after.total_reserved, self->before.total_reserved);
	EXPECT_EQ(after.total_segs, self->before.total_segs);
}

static uint64_t used(int fd)
{
	struct shmipc_dev_stat s;

	return dev_stat(fd, &s) ? UINT64_MAX : s.used_bytes;
}

#define CTL_BYTES	(5 * PAGE)	/* header, table, body: they always have memory */

TEST_F(commit, at_first_only_the_control_pages_have_memory)
{
	struct shmipc_dev_pages r = { .size = sizeof(r), .count = 8 };
	struct shmipc_dev_info now;
	struct shmipc_dev_stat s;
	uint32_t chunk[8], i;

	ASSERT_EQ(dev_stat(self->tx, &s), 0);
	EXPECT_EQ(s.total_bytes, 10 * MIB);
	EXPECT_EQ(s.used_bytes, CTL_BYTES);
	EXPECT_EQ(s.reserved_bytes, 10 * MIB);
	EXPECT_EQ(s.page_got, PAGE);
	EXPECT_GE(s.node_got, 0);
	ASSERT_EQ(dev_info(&now), 0);
	EXPECT_EQ(now.abi, SHMIPC_ABI_VERSION);
	EXPECT_TRUE(now.caps & SHMIPC_DEV_CAP_COMMIT);
	EXPECT_EQ(now.total_bytes, self->before.total_bytes + CTL_BYTES);
	EXPECT_EQ(now.total_reserved, self->before.total_reserved + 10 * MIB);
	EXPECT_EQ(now.user_bytes, self->before.user_bytes + CTL_BYTES);
	r.chunks = (uintptr_t)chunk;
	ASSERT_EQ(dev_ioctl(self->tx, SHMIPC_IOC_PAGES, &r), 0);
	ASSERT_EQ(r.count, 5);
	EXPECT_EQ(chunk[0] & SHMIPC_CHUNK_HOLE, 0);
	for (i = 1; i < r.count; i++)
		EXPECT_EQ(chunk[i], SHMIPC_CHUNK_HOLE);
	/* A caller with the first version's struct gets only that. */
	memset(&s, 0xff, sizeof(s));
	s.size = 336;
	ASSERT_EQ(dev_ioctl(self->tx, SHMIPC_IOC_STAT, &s), 0);
	EXPECT_EQ(s.used_bytes, UINT64_MAX);
}

TEST_F(commit, a_prefix_of_the_data_can_be_committed_at_creation)
{
	struct shmipc_dev_stat s;
	struct make m;
	int fd;

	make_init(&m, NULL, 8 * MIB);
	make_reserved(&m, 2 * MIB + 3 * PAGE);
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(m.req.huge, dev_has_2_mib());
	EXPECT_EQ(m.req.small, 5 + 3 + (dev_has_2_mib() ? 0 : 512));
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.used_bytes, CTL_BYTES + 2 * MIB + 3 * PAGE);
	EXPECT_EQ(s.page_got, PAGE);
	close(fd);
}

TEST_F(commit, parts_get_memory_once_and_keep_what_is_written)
{
	ASSERT_EQ(dev_commit(self->tx, DATA, 4 * PAGE), 4 * PAGE);
	EXPECT_EQ(used(self->tx), CTL_BYTES + 4 * PAGE);
	strcpy(self->p, "first");
	strcpy(self->p + 3 * PAGE, "fourth");
	EXPECT_EQ(dev_commit(self->tx, DATA, 4 * PAGE), 0);
	EXPECT_EQ(dev_commit(self->tx, DATA + 2 * PAGE, 4 * PAGE), 2 * PAGE);
	EXPECT_EQ(dev_commit(self->tx, DATA + 8 * MIB - PAGE, PAGE), PAGE);
	EXPECT_EQ(used(self->tx), CTL_BYTES + 7 * PAGE);
	EXPECT_STREQ(self->q + DATA, "first");
	EXPECT_STREQ(self->q + DATA + 3 * PAGE, "fourth");
	EXPECT_EQ(self->q[DATA + 5 * PAGE], 0);
	/* Control pages have memory already, and committing them is no error. */
	EXPECT_EQ(dev_commit(self->tx, PROD_OFF, PAGE), 0);
}

TEST_F(commit, whole_blocks_get_2_mib_pages)
{
	struct shmipc_dev_stat s;

	if (!dev_has_2_mib())
		SKIP(return, "no 2 MiB pages on this machine");
	/* A page, an aligned 2 MiB, and a page. */
	ASSERT_EQ(dev_commit(self->tx, DATA + 2 * MIB - PAGE, 2 * MIB + 2 * PAGE),
		  2 * MIB + 2 * PAGE);
	ASSERT_EQ(dev_stat(self->tx, &s), 0);
	EXPECT_EQ(s.huge, 1);
	EXPECT_EQ(s.small, 5 + 2);
	memset(self->p + 2 * MIB, 1, 2 * MIB);
	EXPECT_EQ(smaps_kib(self->p, "FilePmdMapped"), 2 * 1024);
	/* Readers have the large page, too. */
	EXPECT_EQ(self->q[DATA + 3 * MIB], 1);
	EXPECT_EQ(smaps_kib(self->q, "FilePmdMapped"), 2 * 1024);
	/* A block that has a small page already gets small pages. */
	ASSERT_EQ(dev_commit(self->tx, DATA, 2 * MIB), 2 * MIB - PAGE);
	ASSERT_EQ(dev_stat(self->tx, &s), 0);
	EXPECT_EQ(s.huge, 1);
	EXPECT_EQ(s.small, 5 + 512 + 1);
	/* Three blocks, of which one has memory, and the last page of another. */
	EXPECT_EQ(dev_commit(self->tx, DATA + 2 * MIB, 6 * MIB), 4 * MIB - PAGE);
}

TEST_F(commit, small_pages_if_the_creator_asked_for_them)
{
	struct shmipc_dev_stat s;
	struct make m;
	int fd;

	make_init(&m, NULL, 4 * MIB);
	make_reserved(&m, 0);
	m.req.page = PAGE;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_commit(fd, DATA, 4 * MIB), 4 * MIB);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.huge, 0);
	EXPECT_EQ(s.small, 5 + 1024);
	close(fd);
}

TEST_F(commit, memory_is_on_the_requested_node)
{
	struct shmipc_dev_pages r = { .size = sizeof(r), .count = 8 };
	uint32_t chunk[8], node, i;
	struct make m;
	int fd;

	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	for (node = 0; node < 2; node++) {
		make_init(&m, NULL, 6 * MIB);
		make_reserved(&m, 0);
		m.req.flags |= SHMIPC_DEV_ON_NODE;
		m.req.node = (int)node;
		fd = dev_make(&m);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
		ASSERT_EQ(dev_commit(fd, DATA, 4 * MIB + PAGE), 4 * MIB + PAGE);
		r.chunks = (uintptr_t)chunk;
		r.count = 8;
		ASSERT_EQ(dev_ioctl(fd, SHMIPC_IOC_PAGES, &r), 0);
		ASSERT_EQ(r.count, 4);
		for (i = 0; i < r.count; i++)
			EXPECT_EQ(chunk[i] & SHMIPC_CHUNK_NODE, node);
		close(fd);
	}
}

TEST_F(commit, memory_given_back_reads_as_zero_and_can_be_committed_again)
{
	ASSERT_EQ(dev_commit(self->tx, DATA, 3 * PAGE), 3 * PAGE);
	memset(self->p, 'x', 3 * PAGE);
	EXPECT_EQ(self->q[DATA + PAGE], 'x');
	EXPECT_EQ(dev_uncommit(self->tx, DATA + PAGE, 2 * PAGE), 2 * PAGE);
	EXPECT_EQ(used(self->tx), CTL_BYTES + PAGE);
	EXPECT_EQ(dev_uncommit(self->tx, DATA + PAGE, 2 * PAGE), 0);
	EXPECT_EQ(self->q[DATA], 'x');
	EXPECT_EQ(self->q[DATA + PAGE], 0);
	EXPECT_EQ(used(self->tx), CTL_BYTES + PAGE);
	ASSERT_EQ(dev_commit(self->tx, DATA + PAGE, PAGE), PAGE);
	EXPECT_EQ(self->q[DATA + PAGE], 0);
	EXPECT_EQ(self->p[PAGE], 0);
	self->p[PAGE] = 'y';
	EXPECT_EQ(self->q[DATA + PAGE], 'y');
}

TEST_F(commit, a_large_page_is_given_back_as_a_whole_or_not)
{
	struct shmipc_dev_stat s;

	if (!dev_has_2_mib())
		SKIP(return, "no 2 MiB pages on this machine");
	ASSERT_EQ(dev_commit(self->tx, DATA, 4 * MIB), 4 * MIB);
	memset(self->p, 'x', 4 * MIB);
	EXPECT_EQ(self->q[DATA], 'x');
	EXPECT_EQ(dev_uncommit(self->tx, DATA, MIB), 0);
	EXPECT_EQ(dev_uncommit(self->tx, DATA + PAGE, 2 * MIB), 0);
	EXPECT_EQ(self->q[DATA + PAGE], 'x');
	EXPECT_EQ(dev_uncommit(self->tx, DATA + MIB, 3 * MIB), 2 * MIB);
	EXPECT_EQ(self->q[DATA + 2 * MIB - 1], 'x');
	EXPECT_EQ(self->q[DATA + 2 * MIB], 0);
	ASSERT_EQ(dev_stat(self->tx, &s), 0);
	EXPECT_EQ(s.huge, 1);
	/* A block whose small pages have been uncommitted can get a large page. */
	ASSERT_EQ(dev_commit(self->tx, DATA + 6 * MIB, PAGE), PAGE);
	ASSERT_EQ(dev_uncommit(self->tx, DATA + 4 * MIB, 4 * MIB), PAGE);
	ASSERT_EQ(dev_commit(self->tx, DATA + 6 * MIB, 2 * MIB), 2 * MIB);
	ASSERT_EQ(dev_stat(self->tx, &s), 0);
	EXPECT_EQ(s.huge, 2);
	EXPECT_EQ(s.small, 5);
}

TEST_F(commit, reading_uncommitted_data_gives_zeroes_and_allocates_nothing)
{
	uint64_t off;

	for (off = CTL_BYTES; off < DATA + 8 * MIB; off += PAGE)
		ASSERT_EQ(self->q[off], 0);
	EXPECT_EQ(used(self->rx), CTL_BYTES);
	/* Pages committed later are visible through the same mapping. */
	ASSERT_EQ(dev_commit(self->tx, DATA + MIB, 4 * PAGE), 4 * PAGE);
	strcpy(self->p + MIB + PAGE, "came");
	EXPECT_STREQ(self->q + DATA + MIB + PAGE, "came");
	EXPECT_EQ(self->q[DATA + MIB + 4 * PAGE], 0);
	ASSERT_EQ(dev_commit(self->tx, DATA + MIB, 8 * PAGE), 4 * PAGE);
	strcpy(self->p + MIB + 4 * PAGE, "and more");
	EXPECT_STREQ(self->q + DATA + MIB + 4 * PAGE, "and more");
	ASSERT_EQ(dev_commit(self->tx, DATA + 2 * MIB, 4 * MIB), 4 * MIB);
	strcpy(self->p + 4 * MIB - 8, "block");
	EXPECT_STREQ(self->q + DATA + 4 * MIB - 8, "block");
}

TEST_F(commit, a_touch_of_a_writable_mapping_commits_the_page)
{
	char *ctl = dev_map(self->tx, PROD_OFF, PAGE, RW);

	self->p[5 * PAGE] = 1;
	EXPECT_EQ(used(self->tx), CTL_BYTES + PAGE);
	/* So does a read through a writable mapping. */
	EXPECT_EQ(self->p[7 * PAGE], 0);
	EXPECT_EQ(used(self->tx), CTL_BYTES + 2 * PAGE);
	EXPECT_EQ(self->q[DATA + 5 * PAGE], 1);
	munmap(ctl, PAGE);
}

/* It is read while mprotect() has made the writer's mapping read-only. */
TEST_F(commit, the_zero_page_never_becomes_writable)
{
	EXPECT_EQ(mprotect(self->p, 8 * MIB, PROT_READ), 0);
	EXPECT_EQ(self->p[MIB], 0);
	EXPECT_EQ(mprotect(self->p, 8 * MIB, RW), 0);
	self->p[MIB] = 7;
	EXPECT_EQ(self->q[DATA + MIB], 7);
	EXPECT_EQ(self->q[DATA + MIB + PAGE], 0);
}

TEST_F(commit, only_the_role_that_writes_it_commits)
{
	int rx = self->rx, ro = dev_open_as("commit/fixture", O_RDONLY), other;

	EXPECT_EQ(dev_commit(rx, DATA, PAGE), -EACCES);
	ASSERT_EQ(dev_attach(rx, SHMIPC_ROLE_CONSUMER), 1);
	EXPECT_EQ(dev_commit(rx, DATA, PAGE), -EACCES);
	EXPECT_EQ(dev_commit(rx, CONS_OFF, PAGE), 0);
	EXPECT_EQ(dev_commit(rx, PROD_OFF, PAGE), -EACCES);
	EXPECT_EQ(dev_commit(ro, DATA, PAGE), -EACCES);
	/* A range over two regions is refused. */
	EXPECT_EQ(dev_commit(self->tx, PROD_OFF, 2 * PAGE), -EACCES);
	EXPECT_EQ(dev_commit(self->tx, 0, PAGE), -EACCES);
	EXPECT_EQ(used(self->tx), CTL_BYTES);
	ASSERT_EQ(dev_commit(self->tx, DATA, PAGE), PAGE);
	EXPECT_EQ(dev_uncommit(rx, DATA, PAGE), -EACCES);
	EXPECT_EQ(dev_uncommit(ro, DATA, PAGE), -EACCES);
	/* Control pages are never uncommitted. */
	EXPECT_EQ(dev_uncommit(self->tx, PROD_OFF, PAGE), -EINVAL);
	/* The role belongs to the address space and the descriptor that attached. */
	other = dev_open("commit/fixture");
	EXPECT_EQ(dev_commit(other, DATA, PAGE), -EACCES);
	close(other);
	close(ro);
}

/* In the gap between the body and the data; they are never uncommitted. */
TEST_F(commit, control_pages_can_be_committed_later)
{
	struct make m;
	int fd, rx;
	char *p;

	make_init(&m, "commit/later", 4 * MIB);
	make_reserved(&m, 0);
	m.region[1] = (struct shmipc_dev_region){ CONS_OFF, MIB, ROLE(CONSUMER), 0 };
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	rx = dev_open("commit/later");
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(rx, SHMIPC_ROLE_CONSUMER), 1);
	EXPECT_EQ(dev_commit(fd, CONS_OFF + PAGE, PAGE), -EACCES);
	EXPECT_EQ(dev_commit(rx, CONS_OFF, 3 * PAGE), 2 * PAGE);
	p = dev_map(rx, CONS_OFF, MIB, RW);
	ASSERT_NE(p, MAP_FAILED);
	p[PAGE] = 1;
	EXPECT_EQ(dev_wait(fd, CONS_OFF + PAGE, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1), -EAGAIN);
	EXPECT_EQ(dev_wait(fd, CONS_OFF + 3 * PAGE, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1), -EFAULT);
	EXPECT_EQ(dev_uncommit(rx, CONS_OFF + PAGE, PAGE), -EINVAL);
	munmap(p, MIB);
	close(rx);
	close(fd);
}

TEST_F(commit, without_reserve_the_gap_before_the_data_stays_empty)
{
	struct make m;
	int fd;

	make_init(&m, NULL, 4 * MIB);
	m.region[1] = (struct shmipc_dev_region){ CONS_OFF, 3 * MIB, ROLE(PRODUCER), 0 };
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(dev_commit(fd, CONS_OFF, PAGE), 0);
	EXPECT_EQ(dev_commit(fd, CONS_OFF, 2 * PAGE), -EINVAL);
	EXPECT_EQ(dev_commit(fd, MIB, PAGE), -EINVAL);
	EXPECT_EQ(dev_commit(fd, DATA - PAGE, 2 * PAGE), -EINVAL);
	EXPECT_EQ(dev_commit(fd, DATA, 4 * MIB), 0);
	EXPECT_EQ(dev_missing(fd, CONS_OFF, 2 * PAGE), PAGE);
	close(fd);
}

TEST_F(commit, any_opener_can_query_what_is_missing)
{
	int ro = dev_open_as("commit/fixture", O_RDONLY);

	EXPECT_EQ(dev_missing(ro, 0, 10 * MIB), 10 * MIB - CTL_BYTES);
	EXPECT_EQ(dev_missing(ro, 0, CTL_BYTES), 0);
	ASSERT_EQ(dev_commit(self->tx, DATA + PAGE, 2 * PAGE), 2 * PAGE);
	ASSERT_EQ(dev_commit(self->tx, DATA + 4 * MIB, 2 * MIB), 2 * MIB);
	EXPECT_EQ(dev_missing(ro, DATA + PAGE, 2 * PAGE), 0);
	EXPECT_EQ(dev_missing(ro, DATA, 4 * PAGE), 2 * PAGE);
	EXPECT_EQ(dev_missing(ro, DATA + 4 * MIB + PAGE, PAGE), 0);
	EXPECT_EQ(dev_missing(ro, DATA, 8 * MIB), 6 * MIB - 2 * PAGE);
	EXPECT_EQ(used(ro), CTL_BYTES + 2 * MIB + 2 * PAGE);
	close(ro);
}

TEST_F(commit, no_uncommit_while_another_peer_may_write_there)
{
	struct make m;
	int a, b;

	make_init(&m, "commit/two", 4 * MIB);
	make_reserved(&m, 0);
	m.req.role_max[SHMIPC_ROLE_PRODUCER] = 2;
	a = dev_make(&m);
	ASSERT_GE(a, 0);
	b = dev_open("commit/two");
	ASSERT_EQ(dev_attach(a, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_commit(a, DATA, 2 * PAGE), 2 * PAGE);
	/* A peer that may write only elsewhere is no obstacle. */
	ASSERT_EQ(dev_attach(b, SHMIPC_ROLE_CONSUMER), 1);
	EXPECT_EQ(dev_uncommit(a, DATA, PAGE), PAGE);
	ASSERT_EQ(dev_detach(b), 0);
	ASSERT_EQ(dev_attach(b, SHMIPC_ROLE_PRODUCER), 1);
	EXPECT_EQ(dev_uncommit(a, DATA, 2 * PAGE), -EBUSY);
	EXPECT_EQ(dev_uncommit(b, DATA, 2 * PAGE), -EBUSY);
	EXPECT_EQ(dev_commit(b, DATA, 2 * PAGE), PAGE);
	ASSERT_EQ(dev_detach(a), 0);
	EXPECT_EQ(dev_uncommit(b, DATA, 2 * PAGE), 2 * PAGE);
	close(a);
	close(b);
}

TEST_F(commit, a_region_without_a_role_is_uncommitted_only_by_a_sole_description)
{
	struct make m;
	int a, b, ro;
	char *p;

	make_init(&m, "commit/raw", 4 * PAGE);
	make_reserved(&m, 0);
	m.req.kind = SHMIPC_KIND_RAW;
	m.req.nregions = 1;
	m.region[0] = (struct shmipc_dev_region){ SMALL_DATA_OFF, 4 * PAGE, ROLE(NONE), 0 };
	a = dev_make(&m);
	ASSERT_GE(a, 0);
	ASSERT_EQ(dev_commit(a, SMALL_DATA_OFF, PAGE), PAGE);
	ro = dev_open_as("commit/raw", O_RDONLY);
	EXPECT_EQ(dev_commit(ro, SMALL_DATA_OFF, PAGE), -EACCES);
	close(ro);
	b = dev_open("commit/raw");
	EXPECT_EQ(dev_commit(b, SMALL_DATA_OFF, 2 * PAGE), PAGE);
	p = dev_map(b, SMALL_DATA_OFF, 4 * PAGE, RW);
	strcpy(p, "shared");
	EXPECT_EQ(dev_uncommit(a, SMALL_DATA_OFF, PAGE), -EBUSY);
	EXPECT_STREQ(p, "shared");
	munmap(p, 4 * PAGE);
	close(b);
	EXPECT_EQ(dev_uncommit(a, SMALL_DATA_OFF, 4 * PAGE), 2 * PAGE);
	close(a);
}

static struct {
	int tx;
	const char *q;
} child;

static int child_of_a_producer(void *arg)
{
	(void)arg;
	if (child.q[0] != 'x' || child.q[PAGE] != 0)
		return 1;
	/* It has the descriptor, but is not a peer. */
	if (dev_commit(child.tx, DATA + PAGE, PAGE) != -EACCES)
		return 2;
	return dev_uncommit(child.tx, DATA, PAGE) == -EACCES ? 0 : 3;
}

TEST_F(commit, a_forked_child_reads_and_does_not_commit)
{
	ASSERT_EQ(dev_commit(self->tx, DATA, PAGE), PAGE);
	self->p[0] = 'x';
	child.tx = self->tx;
	child.q = self->q + DATA;
	EXPECT_EQ(in_child(child_of_a_producer, NULL), 0);
	EXPECT_EQ(used(self->tx), CTL_BYTES + PAGE);
}

TEST_F(commit, futexes_work_on_committed_pages)
{
	uint32_t *mine = (uint32_t *)(void *)(self->p + PAGE);
	uint32_t *theirs = (uint32_t *)(void *)(uintptr_t)(self->q + DATA + PAGE);
	int status;
	pid_t pid;

	EXPECT_EQ(syscall(SYS_futex, theirs, FUTEX_WAIT, 1, NULL, NULL, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(syscall(SYS_futex, theirs, FUTEX_WAKE, 1, NULL, NULL, 0), -1);
	ASSERT_EQ(dev_commit(self->tx, DATA + PAGE, PAGE), PAGE);
	pid = fork();
	if (!pid) {
		while (!__atomic_load_n(theirs, __ATOMIC_ACQUIRE))
			syscall(SYS_futex, theirs, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(0);
	}
	while (syscall(SYS_futex, mine, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		sched_yield();
	__atomic_store_n(mine, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, mine, FUTEX_WAKE, 1, NULL, NULL, 0);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

TEST_F(commit, o_direct_works_on_committed_pages)
{
	int disk = open("/dev/ram0", O_RDWR | O_DIRECT);

	if (disk < 0)
		SKIP(return, "no /dev/ram0");
	ASSERT_EQ(dev_commit(self->tx, DATA, 4 * MIB), 4 * MIB);
	ASSERT_EQ(dev_commit(self->tx, DATA + 4 * MIB, MIB), MIB);
	memset(self->p, 'a', MIB);
	ASSERT_EQ(pwrite(disk, self->p, MIB, 0), MIB);
	ASSERT_EQ(pread(disk, self->p + 4 * MIB, MIB, 0), MIB);
	EXPECT_EQ(memcmp(self->p, self->p + 4 * MIB, MIB), 0);
	/* The zero page can be written to the disk, but not read into. */
	ASSERT_EQ(pwrite(disk, self->q + DATA + 6 * MIB, PAGE, 0), PAGE);
	ASSERT_EQ(pread(disk, self->p, PAGE, 0), PAGE);
	EXPECT_EQ(self->p[0], 0);
	EXPECT_EQ(pread(disk, (char *)(uintptr_t)self->q + DATA + 6 * MIB, PAGE, 0), -1);
	close(disk);
}

TEST_F(commit, a_page_held_by_a_pipe_keeps_its_bytes)
{
	struct iovec io = { self->p, 8 };
	char got[16] = "";
	int pipefd[2];

	ASSERT_EQ(dev_commit(self->tx, DATA, PAGE), PAGE);
	strcpy(self->p, "spliced");
	ASSERT_EQ(pipe(pipefd), 0);
	ASSERT_EQ(vmsplice(pipefd[1], &io, 1, 0), 8);
	ASSERT_EQ(dev_uncommit(self->tx, DATA, PAGE), PAGE);
	EXPECT_EQ(used(self->tx), CTL_BYTES);
	ASSERT_EQ(dev_commit(self->tx, DATA, PAGE), PAGE);
	strcpy(self->p, "another");
	ASSERT_EQ(read(pipefd[0], got, 8), 8);
	EXPECT_STREQ(got, "spliced");
	EXPECT_STREQ(self->q + DATA, "another");
	close(pipefd[0]);
	close(pipefd[1]);
}

TEST_F(commit, a_sleeper_is_woken_when_its_word_is_uncommitted)
{
	int status;
	pid_t pid;

	EXPECT_EQ(dev_wait(self->rx, DATA, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1), -EFAULT);
	ASSERT_EQ(dev_commit(self->tx, DATA, PAGE), PAGE);
	pid = fork();
	if (!pid)
		_exit(-dev_wait(self->rx, DATA, 0, SHMIPC_DEV_NO_PEER, 0, 0, long_deadline()));
	ASSERT_EQ(dev_await_waiters(self->tx, 1), 0);
	ASSERT_EQ(dev_uncommit(self->tx, DATA, PAGE), PAGE);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_EQ(dev_wait(self->rx, DATA, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1), -EFAULT);
}

TEST_HARNESS_MAIN
