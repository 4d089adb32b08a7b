// SPDX-License-Identifier: MIT
/* Sealed units: nobody can write them, whatever way, until they are unsealed. */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "machine.h"
#include "ring.h"
#include "seal.h"

#define BYTES	(8 * MIB)

FIXTURE(seal) {
	int fd;
	int reader;
	char *p;		/* all data, of a producer */
	const volatile char *r;	/* read-only */
	const volatile uint64_t *word;
	uint64_t unit;
	uint64_t n;		/* units */
};

/* Units of single pages, of several, and of large pages. */
FIXTURE_VARIANT(seal) {
	uint64_t unit;
};

FIXTURE_VARIANT_ADD(seal, page) { .unit = PAGE };
FIXTURE_VARIANT_ADD(seal, pages) { .unit = 16 * PAGE };
FIXTURE_VARIANT_ADD(seal, large_page) { .unit = 2 * MIB };
FIXTURE_VARIANT_ADD(seal, large_pages) { .unit = 4 * MIB };

FIXTURE_SETUP(seal)
{
	struct make m;

	catch_bus();
	self->unit = variant->unit;
	self->n = BYTES / self->unit;
	make_seals(&m, "seal", BYTES, self->unit);
	self->fd = dev_make(&m);
	ASSERT_GE(self->fd, 0);
	self->reader = dev_open_as("seal", O_RDONLY);
	ASSERT_GE(self->reader, 0);
	ASSERT_GE(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	/* Aligned, so that large pages are mapped as such. */
	self->p = dev_map(self->fd, DATA, BYTES, RW);
	self->r = dev_map(self->fd, DATA, BYTES, PROT_READ);
	self->word = map_words(self->reader);
	ASSERT_NE(self->p, MAP_FAILED);
	ASSERT_NE(self->r, MAP_FAILED);
	ASSERT_NE(self->word, MAP_FAILED);
	memset(self->p, 1, BYTES);
}

FIXTURE_TEARDOWN(seal)
{
	munmap(self->p, BYTES);
	munmap((void *)(uintptr_t)self->r, BYTES);
	munmap((void *)(uintptr_t)self->word, WORDS_BYTES);
	close(self->reader);
	close(self->fd);
}

/* How many pages of the @bytes at @p can be written? Those that can are 2 then. */
static uint64_t writable(char *p, uint64_t bytes)
{
	uint64_t at, n = 0;

	for (at = 0; at < bytes; at += PAGE)
		n += can_write(p + at, 2) && can_write(p + at + PAGE - 1, 2);
	return n;
}

/* Is each byte that is read @c? */
static bool all_are(const volatile char *p, uint64_t bytes, char c)
{
	uint64_t i;

	for (i = 0; i < bytes && p[i] == c; i++)
		;
	return i == bytes;
}

TEST_F(seal, is_for_all_of_a_unit_and_nothing_else)
{
	uint64_t u = self->unit, seal = 0;

	ASSERT_EQ(dev_seal(self->fd, DATA + u, u, &seal), 0);
	EXPECT_GT(seal, 0);
	EXPECT_EQ(self->word[0], 0);
	EXPECT_EQ(self->word[1], seal);
	EXPECT_EQ(self->n > 2 ? self->word[2] : 0, 0);
	EXPECT_EQ(writable(self->p + u, u), 0);
	EXPECT_TRUE(all_are(self->r + u, u, 1));
	EXPECT_EQ(writable(self->p, u), u / PAGE);
	EXPECT_EQ(writable(self->p + 2 * u, BYTES - 2 * u), (BYTES - 2 * u) / PAGE);
	EXPECT_EQ(writable(self->p + u, u), 0);
	EXPECT_TRUE(all_are(self->r + u, u, 1));
}

TEST_F(seal, ends_when_it_is_unsealed)
{
	uint64_t seal[2] = { 0 };

	ASSERT_EQ(dev_seal(self->fd, DATA, BYTES, &seal[0]), 0);
	EXPECT_EQ(self->word[0], seal[0]);
	EXPECT_EQ(self->word[self->n - 1], seal[0]);
	EXPECT_EQ(writable(self->p, BYTES), 0);
	EXPECT_EQ(dev_seal(self->fd, DATA, BYTES, NULL), -EALREADY);
	EXPECT_EQ(dev_seal(self->fd, DATA, self->unit, NULL), -EALREADY);
	EXPECT_EQ(self->word[0], seal[0]);
	ASSERT_EQ(dev_unseal(self->fd, DATA, BYTES), 0);
	EXPECT_EQ(self->word[0], 0);
	EXPECT_EQ(self->word[self->n - 1], 0);
	EXPECT_EQ(writable(self->p, BYTES), BYTES / PAGE);
	EXPECT_EQ(self->r[0], 2);
	/* Of what is not sealed, too; and the next seal is another one. */
	EXPECT_EQ(dev_unseal(self->fd, DATA, BYTES), 0);
	ASSERT_EQ(dev_seal(self->fd, DATA, self->unit, &seal[1]), 0);
	EXPECT_NE(seal[1], seal[0]);
	EXPECT_EQ(writable(self->p, self->unit), 0);
}

TEST_F(seal, holds_for_every_mapping_of_a_writer)
{
	uint64_t u = self->unit;
	char *before = dev_map(self->fd, DATA, BYTES, RW), *middle, *after;

	/* Not at the start of a large page, so by small entries. */
	middle = dev_map(self->fd, DATA + PAGE, BYTES - PAGE, RW);
	ASSERT_NE(before, MAP_FAILED);
	ASSERT_NE(middle, MAP_FAILED);
	EXPECT_EQ(writable(before, BYTES), BYTES / PAGE);
	EXPECT_EQ(writable(middle, BYTES - PAGE), BYTES / PAGE - 1);
	ASSERT_EQ(dev_seal(self->fd, DATA, u, NULL), 0);
	after = dev_map(self->fd, DATA, BYTES, RW);
	ASSERT_NE(after, MAP_FAILED);
	EXPECT_EQ(writable(before, u), 0);
	EXPECT_EQ(writable(middle, u - PAGE), 0);
	EXPECT_EQ(writable(after, u), 0);
	/* Reading first, and from a mapping without pages. */
	EXPECT_EQ(before[0], 2);
	ASSERT_EQ(madvise(before, BYTES, MADV_DONTNEED), 0);
	EXPECT_EQ(before[0], 2);
	EXPECT_EQ(writable(before, u), 0);
	ASSERT_EQ(madvise(after, BYTES, MADV_DONTNEED), 0);
	EXPECT_EQ(writable(after, u), 0);
	EXPECT_EQ(writable(after + u, BYTES - u), (BYTES - u) / PAGE);
	munmap(before, BYTES);
	munmap(middle, BYTES - PAGE);
	munmap(after, BYTES);
}

TEST_F(seal, cannot_be_evaded_by_changing_the_mapping)
{
	uint64_t u = self->unit;
	char *moved;

	ASSERT_EQ(dev_seal(self->fd, DATA, u, NULL), 0);
	moved = mremap(self->p, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
		       mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	ASSERT_NE(moved, MAP_FAILED);
	self->p = moved;
	EXPECT_EQ(writable(self->p, u), 0);
	ASSERT_EQ(mprotect(self->p, BYTES, PROT_READ), 0);
	EXPECT_EQ(self->p[0], 1);
	ASSERT_EQ(mprotect(self->p, BYTES, RW), 0);
	EXPECT_EQ(writable(self->p, u), 0);
	ASSERT_EQ(mprotect(self->p + PAGE, PAGE, PROT_NONE), 0);
	ASSERT_EQ(mprotect(self->p + PAGE, PAGE, RW), 0);
	EXPECT_EQ(writable(self->p, u), 0);
	EXPECT_NE(madvise(self->p, u, MADV_POPULATE_WRITE), 0);
	EXPECT_TRUE(all_are(self->r, u, 1));
	EXPECT_EQ(writable(self->p + u, BYTES - u), (BYTES - u) / PAGE);
}

/* A second file that is read with O_DIRECT; -1: none here. */
static int direct_source(void)
{
	int fd = open("/dev/ram0", O_RDONLY | O_DIRECT);

	return fd;
}

TEST_F(seal, holds_for_the_kernel_that_writes_on_behalf_of_a_process)
{
	struct iovec local, remote = { self->p, 8 };
	char buf[PAGE] = "other bytes", *page = self->p;
	int zero = open("/dev/zero", O_RDONLY), mem = open("/proc/self/mem", O_RDWR);
	int disk = direct_source(), pair[2];
	struct ring r;

	local = (struct iovec){ buf, 8 };
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ASSERT_EQ(dev_seal(self->fd, DATA, self->unit, NULL), 0);
	EXPECT_EQ(read(zero, page, 100), -1);
	EXPECT_EQ(errno, EFAULT);
	ASSERT_EQ(write(pair[0], buf, 8), 8);
	EXPECT_EQ(recv(pair[1], page, 8, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), -1);
	EXPECT_EQ(errno, EFAULT);
	/* As a debugger does it. */
	EXPECT_EQ(pwrite(mem, buf, 8, (off_t)(uintptr_t)page), -1);
	if (disk >= 0) {
		EXPECT_EQ(read(disk, page, PAGE), -1);
		EXPECT_EQ(errno, EFAULT);
		EXPECT_EQ(read(disk, buf, 0), 0);
	}
	if (!ring_make(&r)) {
		EXPECT_NE(syscall(__NR_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &remote, 1), 0);
		close(r.fd);
	}
	EXPECT_TRUE(all_are(self->r, self->unit, 1));
	ASSERT_EQ(dev_unseal(self->fd, DATA, self->unit), 0);
	EXPECT_EQ(read(zero, page, 100), 100);
	EXPECT_EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), 8);
	EXPECT_EQ(self->r[0], 'o');
	if (disk >= 0)
		EXPECT_EQ(read(disk, page, PAGE), PAGE);
	close(zero), close(mem), close(disk), close(pair[0]), close(pair[1]);
}

static long minor_faults(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_minflt;
}

static uint64_t touch(const volatile char *p, uint64_t bytes)
{
	uint64_t at, sum = 0;

	for (at = 0; at < bytes; at += PAGE)
		sum += (unsigned char)p[at];
	return sum;
}

TEST_F(seal, does_not_disturb_readers)
{
	long before;

	EXPECT_EQ(touch(self->r, BYTES), BYTES / PAGE);
	before = minor_faults();
	ASSERT_EQ(dev_seal(self->fd, DATA, BYTES, NULL), 0);
	EXPECT_EQ(touch(self->r, BYTES), BYTES / PAGE);
	/* A writer may read them, too. */
	EXPECT_EQ(touch(self->p, BYTES), BYTES / PAGE);
	ASSERT_EQ(dev_unseal(self->fd, DATA, BYTES), 0);
	EXPECT_EQ(touch(self->r, BYTES), BYTES / PAGE);
	/* Two for the call's own pages, perhaps. */
	EXPECT_LE(minor_faults() - before, 2);
}

TEST_F(seal, keeps_large_pages_large)
{
	struct shmipc_dev_stat s;
	int i;

	ASSERT_EQ(dev_stat(self->fd, &s), 0);
	if (self->unit < 2 * MIB || !dev_has_2_mib()) {
		EXPECT_EQ(s.huge, 0);
		return;
	}
	ASSERT_EQ(s.huge, BYTES / (2 * MIB));
	EXPECT_EQ(smaps_kib(self->p, "FilePmdMapped"), BYTES / 1024);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(dev_seal(self->fd, DATA, BYTES, NULL), 0);
		EXPECT_EQ(smaps_kib(self->p, "FilePmdMapped"), BYTES / 1024);
		ASSERT_EQ(dev_unseal(self->fd, DATA, BYTES), 0);
		EXPECT_EQ(writable(self->p, BYTES), BYTES / PAGE);
		EXPECT_EQ(smaps_kib(self->p, "FilePmdMapped"), BYTES / 1024);
	}
}

/* Another producer: may it write the first byte? Then it unseals it, and tries again. */
static int other_producer(void *arg)
{
	int fd = dev_open("seal");
	char *p;

	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 2;
	p = dev_map(fd, DATA, PAGE, RW);
	if (p == MAP_FAILED || can_write(p, 7))
		return 3;
	if (dev_unseal(fd, DATA, *(uint64_t *)arg))
		return 4;
	return can_write(p, 7) ? 0 : 5;
}

TEST_F(seal, is_for_all_producers_and_outlives_its_own)
{
	ASSERT_EQ(dev_seal(self->fd, DATA, self->unit, NULL), 0);
	munmap(self->p, BYTES);
	ASSERT_EQ(dev_detach(self->fd), 0);
	EXPECT_EQ(in_child(other_producer, &self->unit), 0);
	EXPECT_EQ(self->r[0], 7);
	self->p = dev_map(self->reader, DATA, BYTES, PROT_READ);
}

/* Unseals, writes and seals until it is killed. */
static int seals_for_ever(void *arg)
{
	uint64_t unit = *(uint64_t *)arg, i;
	int fd = dev_open("seal");
	char *p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		_exit(2);
	p = dev_map(fd, DATA, BYTES, RW);
	for (i = 0;; i += unit) {
		if (i == BYTES)
			i = 0;
		if (dev_unseal(fd, DATA + i, unit))
			_exit(3);
		p[i] = 3;
		if (dev_seal(fd, DATA + i, unit, NULL))
			_exit(4);
	}
}

TEST_F(seal, of_a_process_that_dies_at_any_moment_can_be_taken_off)
{
	uint64_t sealed = 0, unit;
	int round, status;
	pid_t pid;

	for (round = 0; round < 24; round++) {
		pid = fork();
		if (!pid)
			seals_for_ever(&self->unit);
		/* Long enough for it to come into its loop, and then anywhere. */
		while (self->r[0] != 3 && !waitpid(pid, &status, WNOHANG))
			sched_yield();
		poll(NULL, 0, round % 4);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		EXPECT_TRUE(WIFSIGNALED(status));
		for (unit = 0; unit < self->n; unit++) {
			sealed += !!self->word[unit];
			EXPECT_EQ(self->word[unit] & SHMIPC_SEAL_BUSY, 0);
		}
		ASSERT_EQ(dev_unseal(self->fd, DATA, BYTES), 0);
		self->p[0] = 1;
	}
	TH_LOG("%llu units sealed when it died", (unsigned long long)sealed);
	EXPECT_GE(sealed, 1);
}

TEST_HARNESS_MAIN
