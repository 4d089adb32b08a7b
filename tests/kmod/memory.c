// SPDX-License-Identifier: MIT
/* The pages of a segment, and their treatment by the rest of the kernel. */
#include <linux/futex.h>
#include <sys/uio.h>

#include "machine.h"

static bool all_zero(const unsigned char *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

TEST(data_is_zero_and_mapped_by_2_mib)
{
	struct make m;
	unsigned char *p;
	int fd;

	if (!dev_has_2_mib())
		SKIP(return, "no 2 MiB pages on this machine");
	make_init(&m, NULL, 8 * MIB);
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(m.req.huge, 4);
	EXPECT_EQ(m.req.small, 5);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, 2 * MIB, 8 * MIB, PROT_READ | PROT_WRITE);
	ASSERT_NE(p, MAP_FAILED);
	EXPECT_EQ((uintptr_t)p % (2 * MIB), 0);
	EXPECT_TRUE(all_zero(p, 8 * MIB));
	memset(p, 1, 8 * MIB);
	EXPECT_EQ(smaps_kib(p, "FilePmdMapped"), 8 * 1024);
}

/* Reused dirty pages are zero (Debian zeroes them twice by default). */
TEST(reused_memory_is_zero)
{
	/* Page by page takes the emulator longer. */
	size_t bytes = (dev_has_2_mib() ? 64 : 16) * MIB + 4 * PAGE;
	unsigned char *p;
	int fd, round;

	for (round = 0; round < 4; round++) {
		fd = dev_create(NULL, bytes);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
		p = dev_map(fd, 2 * MIB, bytes, PROT_READ | PROT_WRITE);
		ASSERT_NE(p, MAP_FAILED);
		ASSERT_TRUE(all_zero(p, bytes));
		memset(p, 0xff, bytes);
		munmap(p, bytes);
		close(fd);
	}
}

TEST(the_whole_segment_maps_the_data_by_2_mib_too)
{
	int fd = dev_create(NULL, 4 * MIB);
	unsigned char *p, sum = 0;

	if (!dev_has_2_mib())
		SKIP(return, "no 2 MiB pages on this machine");
	ASSERT_GE(fd, 0);
	p = dev_map(fd, 0, 6 * MIB, PROT_READ);
	ASSERT_NE(p, MAP_FAILED);
	sum |= p[2 * MIB];
	sum |= p[4 * MIB];
	EXPECT_EQ(sum, 0);
	EXPECT_EQ(smaps_kib(p, "FilePmdMapped"), 4 * 1024);
}

TEST(small_pages_on_request)
{
	struct shmipc_dev_stat s;
	struct make m;
	unsigned char *p;
	int fd;

	make_init(&m, NULL, 4 * MIB);
	m.req.page = PAGE;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(m.req.huge, 0);
	EXPECT_EQ(m.req.small, 5 + 1024);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.page_asked, PAGE);
	EXPECT_EQ(s.page_got, PAGE);
	p = dev_map(fd, 2 * MIB, 4 * MIB, PROT_READ);
	ASSERT_NE(p, MAP_FAILED);
	EXPECT_TRUE(all_zero(p, 4 * MIB));
	EXPECT_EQ(smaps_kib(p, "FilePmdMapped"), 0);
}

/* Large pages asked for, on a machine that has none. */
TEST(small_pages_where_there_are_no_others)
{
	struct shmipc_dev_stat s;
	struct make m;
	int fd;

	if (dev_has_2_mib())
		SKIP(return, "this machine has 2 MiB pages");
	make_init(&m, NULL, 4 * MIB);
	m.req.page = 2 * MIB;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(m.req.huge, 0);
	EXPECT_EQ(m.req.small, 5 + 1024);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.page_asked, 2 * MIB);
	EXPECT_EQ(s.page_got, PAGE);
}

TEST(obtained_pages_are_reported_by_chunk)
{
	struct shmipc_dev_pages r = { .size = sizeof(r), .count = 8 };
	struct shmipc_dev_stat s;
	uint32_t chunk[8];
	struct make m;
	int fd;

	if (!dev_has_2_mib())
		SKIP(return, "no 2 MiB pages on this machine");
	/* The last MiB fills no large page. */
	make_init(&m, NULL, 5 * MIB);
	m.req.page = 2 * MIB;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(m.req.huge, 2);
	EXPECT_EQ(m.req.small, 5 + 256);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.page_asked, 2 * MIB);
	EXPECT_EQ(s.page_got, PAGE);
	r.chunks = (uintptr_t)chunk;
	ASSERT_EQ(dev_ioctl(fd, SHMIPC_IOC_PAGES, &r), 0);
	ASSERT_EQ(r.count, 4);
	EXPECT_EQ(chunk[0] & ~SHMIPC_CHUNK_NODE, 0);
	EXPECT_EQ(chunk[1] & ~SHMIPC_CHUNK_NODE, SHMIPC_CHUNK_HUGE);
	EXPECT_EQ(chunk[2] & ~SHMIPC_CHUNK_NODE, SHMIPC_CHUNK_HUGE);
	EXPECT_EQ(chunk[3] & ~SHMIPC_CHUNK_NODE, 0);
}

TEST(the_gap_before_the_data_has_no_memory)
{
	int fd = dev_create(NULL, 2 * MIB);
	char *p;

	ASSERT_GE(fd, 0);
	p = dev_map(fd, 0, 4 * MIB, PROT_READ);
	ASSERT_NE(p, MAP_FAILED);
	/* EFAULT rather than SIGBUS, through the kernel. */
	EXPECT_EQ(write(open("/dev/null", O_WRONLY), p, 1), 1);
	{
		int pipefd[2];

		ASSERT_EQ(pipe(pipefd), 0);
		EXPECT_EQ(write(pipefd[1], p + MIB, 1), -1);
		EXPECT_EQ(errno, EFAULT);
		EXPECT_EQ(write(pipefd[1], p + 2 * MIB, 1), 1);
	}
}

TEST(memory_is_on_the_requested_node)
{
	struct shmipc_dev_pages r = { .size = sizeof(r), .count = 8 };
	struct shmipc_dev_stat s;
	uint32_t chunk[8], i;
	struct make m;
	int fd, node;

	if (access("/sys/devices/system/node/node1", F_OK))
		SKIP(return, "one NUMA node only");
	for (node = 0; node < 2; node++) {
		make_init(&m, NULL, 6 * MIB);
		m.req.flags = SHMIPC_DEV_ON_NODE;
		m.req.node = node;
		fd = dev_make(&m);
		ASSERT_GE(fd, 0);
		ASSERT_EQ(dev_stat(fd, &s), 0);
		EXPECT_EQ(s.node_asked, node);
		EXPECT_EQ(s.node_got, node);
		r.chunks = (uintptr_t)chunk;
		r.count = 8;
		ASSERT_EQ(dev_ioctl(fd, SHMIPC_IOC_PAGES, &r), 0);
		ASSERT_EQ(r.count, 4);
		for (i = 0; i < r.count; i++)
			EXPECT_EQ(chunk[i] & SHMIPC_CHUNK_NODE, (uint32_t)node);
		close(fd);
	}
	make_init(&m, NULL, PAGE);
	m.req.flags = SHMIPC_DEV_ON_NODE;
	m.req.node = 77;
	EXPECT_EQ(dev_make(&m), -EINVAL);
}

TEST(the_header_describes_the_segment)
{
	const struct shmipc_seg_hdr *h;
	struct shmipc_dev_stat s;
	struct make m;
	int fd;

	make_init(&m, "memory/header", 2 * MIB);
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	h = dev_map_hdr(fd);
	ASSERT_NE((const void *)h, MAP_FAILED);
	EXPECT_EQ(h->magic, SHMIPC_SEG_MAGIC);
	EXPECT_EQ(h->layout_major, SHMIPC_LAYOUT_MAJOR);
	EXPECT_EQ(h->hdr_bytes, sizeof(*h));
	EXPECT_EQ(h->total_bytes, 4 * MIB);
	EXPECT_EQ(h->peers, SLOTS);
	EXPECT_EQ(h->peer_bytes, sizeof(struct shmipc_peer_slot));
	EXPECT_EQ(h->body_off, RING_OFF);
	EXPECT_EQ(h->data_off, 2 * MIB);
	EXPECT_EQ(h->data_bytes, 2 * MIB);
	EXPECT_EQ(h->page_got, dev_has_2_mib() ? 2 * MIB : PAGE);
	EXPECT_EQ(h->kind, SHMIPC_KIND_SPSC);
	EXPECT_EQ(h->mode, 0600);
	EXPECT_STREQ(h->name, "memory/header");
	EXPECT_EQ(memcmp(h->id, m.req.id, 16), 0);
	EXPECT_EQ(memcmp(h->id, s.id, 16), 0);
	EXPECT_EQ(h->flags, 0);
	EXPECT_STREQ((const char *)dev_map(fd, RING_OFF, PAGE, PROT_READ), "ring header");
}

TEST(shared_futexes_work)
{
	int fd = dev_create(NULL, PAGE), status;
	uint32_t *mine, *again;
	pid_t pid;

	ASSERT_GE(fd, 0);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	mine = dev_map(fd, SMALL_DATA_OFF, PAGE, PROT_READ | PROT_WRITE);
	ASSERT_NE(mine, MAP_FAILED);
	pid = fork();
	if (!pid) {
		again = dev_map(fd, SMALL_DATA_OFF, PAGE, PROT_READ);
		while (!__atomic_load_n(again, __ATOMIC_ACQUIRE))
			syscall(SYS_futex, again, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(0);
	}
	/* Repeat the wake until the child sleeps. */
	while (syscall(SYS_futex, mine, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		sched_yield();
	__atomic_store_n(mine, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, mine, FUTEX_WAKE, 1, NULL, NULL, 0);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

TEST(futexes_of_two_segments_are_two)
{
	int a = dev_create(NULL, PAGE), b = dev_create(NULL, PAGE), status;
	uint32_t *pa, *pb;
	uint64_t end;
	pid_t pid;

	ASSERT_GE(a, 0);
	ASSERT_GE(b, 0);
	pa = dev_map(a, SMALL_DATA_OFF, PAGE, PROT_READ);
	pb = dev_map(b, SMALL_DATA_OFF, PAGE, PROT_READ);
	pid = fork();
	if (!pid) {
		syscall(SYS_futex, pa, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(0);
	}
	/* Same offset, other segment: must never find the sleeper. */
	end = now_ns() + 200000000u;
	while (now_ns() < end)
		EXPECT_EQ(syscall(SYS_futex, pb, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
	while (syscall(SYS_futex, pa, FUTEX_WAKE, 1, NULL, NULL, 0) == 0)
		sched_yield();
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
}

TEST(vmsplice_and_process_vm_readv_see_the_bytes)
{
	int fd = dev_create(NULL, 4 * MIB), pipefd[2];
	struct iovec io, remote;
	char got[16] = "";
	char *p;

	ASSERT_GE(fd, 0);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, 2 * MIB, 4 * MIB, PROT_READ | PROT_WRITE);
	ASSERT_NE(p, MAP_FAILED);
	strcpy(p + 3 * MIB + 100, "spliced");
	ASSERT_EQ(pipe(pipefd), 0);
	io = (struct iovec){ p + 3 * MIB + 100, 8 };
	ASSERT_EQ(vmsplice(pipefd[1], &io, 1, 0), 8);
	/* The segment is closed while the pipe still has its page. */
	remote = io;
	io = (struct iovec){ got, 8 };
	EXPECT_EQ(process_vm_readv(getpid(), &io, 1, &remote, 1, 0), 8);
	EXPECT_STREQ(got, "spliced");
	munmap(p, 4 * MIB);
	close(fd);
	memset(got, 0, sizeof(got));
	ASSERT_EQ(read(pipefd[0], got, 8), 8);
	EXPECT_STREQ(got, "spliced");
}

TEST(o_direct_reads_into_and_writes_from_it)
{
	int fd = dev_create(NULL, 2 * MIB), disk = open("/dev/ram0", O_RDWR | O_DIRECT);
	char *p;

	if (disk < 0)
		SKIP(return, "no /dev/ram0");
	ASSERT_GE(fd, 0);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, 2 * MIB, 2 * MIB, PROT_READ | PROT_WRITE);
	ASSERT_NE(p, MAP_FAILED);
	memset(p, 'a', MIB);
	ASSERT_EQ(pwrite(disk, p, MIB, 0), MIB);
	ASSERT_EQ(pread(disk, p + MIB, MIB, 0), MIB);
	EXPECT_EQ(memcmp(p, p + MIB, MIB), 0);
}

TEST(it_cannot_be_truncated_or_punched)
{
	int fd = dev_create(NULL, 2 * MIB);
	char *p;

	ASSERT_GE(fd, 0);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, 2 * MIB, 2 * MIB, PROT_READ | PROT_WRITE);
	ASSERT_NE(p, MAP_FAILED);
	p[MIB] = 7;
	EXPECT_NE(ftruncate(fd, 0), 0);
	EXPECT_NE(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 * MIB), 0);
	EXPECT_NE(madvise(p, 2 * MIB, MADV_REMOVE), 0);
	EXPECT_EQ(madvise(p, 2 * MIB, MADV_DONTNEED), 0);
	EXPECT_EQ(p[MIB], 7);
	/* Part of a large page: the kernel would split a page of the page cache. */
	(void)madvise(p, MIB, MADV_COLD);
	(void)madvise(p, MIB, MADV_PAGEOUT);
	EXPECT_EQ(p[MIB], 7);
}

TEST(the_bytes_outlive_the_descriptor_and_the_creator)
{
	int fd = dev_create("memory/outlive", PAGE), other;
	char *p;

	ASSERT_GE(fd, 0);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, PROT_READ | PROT_WRITE);
	strcpy(p, "still here");
	close(fd);
	EXPECT_STREQ(p, "still here");
	other = dev_open("memory/outlive");
	ASSERT_GE(other, 0);
	munmap(p, PAGE);
	p = dev_map(other, SMALL_DATA_OFF, PAGE, PROT_READ);
	EXPECT_STREQ(p, "still here");
}

TEST(all_memory_is_given_back)
{
	struct shmipc_dev_info before, during, after;
	int fd;

	ASSERT_EQ(dev_info(&before), 0);
	fd = dev_create(NULL, 16 * MIB);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_info(&during), 0);
	EXPECT_EQ(during.total_bytes, before.total_bytes + 16 * MIB + 5 * PAGE);
	EXPECT_EQ(during.user_segs, before.user_segs + 1);
	close(fd);
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, before.total_bytes);
	EXPECT_EQ(after.total_segs, before.total_segs);
	EXPECT_EQ(after.user_bytes, before.user_bytes);
}

static int in_cgroup(void *arg)
{
	long before, after;
	int fd;

	(void)arg;
	if (write_file(CG "/cgroup.procs", "0"))
		return 1;
	before = read_long(CG "/memory.current");
	fd = dev_create("memory/cgroup", 16 * MIB);
	if (fd < 0)
		return 2;
	after = read_long(CG "/memory.current");
	/* Each CPU has up to 64 pages charged ahead: some of ours may have been counted before. */
	if (after - before < (long)(15 * MIB))
		return 3;
	/* More than memory.max: refused, and no process is killed. */
	if (dev_create("memory/cgroup2", 128 * MIB) != -ENOMEM)
		return 4;
	close(fd);
	if (read_long(CG "/memory.current") > after - (long)(15 * MIB))
		return 5;
	return 0;
}

TEST(memory_is_charged_to_the_creators_cgroup)
{
	(void)write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CG, 0755) || access(CG "/memory.max", F_OK))
		SKIP(return, "no memory cgroup");
	ASSERT_EQ(write_file(CG "/memory.max", "67108864"), 0);
	EXPECT_EQ(in_child(in_cgroup, NULL), 0);
	rmdir(CG);
}

/* So NUMA balancing leaves its mappings alone, too. */
TEST(no_memory_policy_applies_to_a_mapping)
{
	unsigned long node0 = 1;
	int fd = dev_create(NULL, PAGE), mode = -1;
	void *p;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, PROT_READ | PROT_WRITE);
	ASSERT_NE(p, MAP_FAILED);
	if (syscall(SYS_mbind, p, PAGE, 2 /* BIND */, &node0, 64, 0) && errno == ENOSYS)
		SKIP(return, "a kernel without NUMA");
	ASSERT_EQ(syscall(SYS_get_mempolicy, &mode, NULL, 0, p, 2 /* ADDR */), 0);
	EXPECT_EQ(mode, 0);
	munmap(p, PAGE);
	close(fd);
}

TEST_HARNESS_MAIN
