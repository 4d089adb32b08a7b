// SPDX-License-Identifier: MIT
/* The pages of a segment are in the page cache of its inode: what else the kernel does with such. */
#include <fcntl.h>
#include <setjmp.h>
#include <sys/mman.h>

#include "machine.h"

#define DATA	(16 * MIB)

/* KiB of @key in /proc/meminfo. */
static long meminfo(const char *key)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = -1;

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
			sscanf(line + strlen(key) + 1, "%ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

TEST(they_are_in_meminfo)
{
	long unevictable = meminfo("Unevictable"), cached = meminfo("Cached");
	int fd = dev_create(NULL, DATA);

	ASSERT_GE(fd, 0);
	/* Others take and free memory, too, but not so much. */
	EXPECT_GT(meminfo("Unevictable"), unevictable + (long)(DATA * 3 / 4 / 1024));
	EXPECT_GT(meminfo("Cached"), cached + (long)(DATA * 3 / 4 / 1024));
	close(fd);
	EXPECT_LT(meminfo("Unevictable"), unevictable + (long)(DATA / 4 / 1024));
}

/* A segment of 4 KiB pages. */
static int create_small(void)
{
	struct make m;

	make_init(&m, NULL, DATA);
	m.req.page = PAGE;
	return dev_make(&m);
}

/* Each 4 KiB page of @p has its own number. */
static void number_pages(char *p, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes; i += PAGE)
		*(uint64_t *)(p + i) = i + 1;
}

static int pages_lost(const char *p, size_t bytes)
{
	size_t i, lost = 0;

	for (i = 0; i < bytes; i += PAGE)
		lost += *(const uint64_t *)(p + i) != i + 1;
	return (int)lost;
}

static char *map_numbered(int fd)
{
	char *p;

	if (dev_attach(fd, SHMIPC_ROLE_PRODUCER))
		return MAP_FAILED;
	p = dev_map(fd, 2 * MIB, DATA, PROT_READ | PROT_WRITE);
	if (p != MAP_FAILED)
		number_pages(p, DATA);
	return p;
}

TEST(nothing_drops_them)
{
	int fd = dev_create(NULL, DATA);
	char *p;

	ASSERT_GE(fd, 0);
	p = map_numbered(fd);
	ASSERT_NE(p, MAP_FAILED);
	ASSERT_EQ(munmap(p, DATA), 0);		/* nor while they are not mapped */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	ASSERT_EQ(write_file("/proc/sys/vm/drop_caches", "3"), 0);
	p = dev_map(fd, 2 * MIB, DATA, PROT_READ);
	ASSERT_NE(p, MAP_FAILED);
	EXPECT_EQ(pages_lost(p, DATA), 0);
	EXPECT_EQ(munmap(p, DATA), 0);
	close(fd);
}

/* The module writes the peer table by the address that the page has in the kernel. */
TEST(none_is_moved)
{
	int fd = create_small(), status[8];
	volatile struct shmipc_peer_slot *slots;
	void *page[8];
	char *p;
	int i, err;

	ASSERT_GE(fd, 0);
	slots = dev_map(fd, SHMIPC_DEV_PEERS_OFF, PAGE, PROT_READ);
	ASSERT_NE((void *)slots, MAP_FAILED);
	ASSERT_NE(slots[0].state, SHMIPC_PEER_ATTACHED);
	page[0] = (void *)slots;
	err = (int)syscall(SYS_move_pages, 0, 1L, page, NULL, status, 0);
	if (err && errno == ENOSYS)
		TH_LOG("a kernel without NUMA: only compaction is tried");
	for (i = 0; i < 3; i++)
		(void)write_file("/proc/sys/vm/compact_memory", "1");
	p = map_numbered(fd);
	ASSERT_NE(p, MAP_FAILED);
	for (i = 0; !err && i < 8; i++)
		page[i] = p + i * PAGE;
	if (!err) {
		int node[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };

		/* To a node that exists in some machines; one page belongs to the peer table. */
		page[0] = (void *)slots;
		(void)syscall(SYS_move_pages, 0, 8L, page, node, status, 2 /* MPOL_MF_MOVE */);
	}
	(void)write_file("/proc/sys/vm/compact_memory", "1");
	EXPECT_EQ(slots[0].state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(pages_lost(p, DATA), 0);
	munmap(p, DATA);
	ASSERT_EQ(dev_detach(fd), 0);
	EXPECT_EQ(slots[0].state, SHMIPC_PEER_LEFT);
	close(fd);
}

static sigjmp_buf touched;
static volatile int bus_code;

static void on_bus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	bus_code = info->si_code;
	siglongjmp(touched, 1);
}

/* The si_code of the SIGBUS when @p is read; 0: none came. */
static int touch(const volatile char *p)
{
	bus_code = 0;
	if (!sigsetjmp(touched, 1))
		(void)*p;
	return bus_code;
}

TEST(failed_memory_is_not_read_again)
{
	struct sigaction sa = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };
	int fd = create_small(), other;
	char *p, *q;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(sigaction(SIGBUS, &sa, NULL), 0);
	p = map_numbered(fd);
	ASSERT_NE(p, MAP_FAILED);
	/*
	 * EBUSY: the page stays in the page cache, where every fault finds that it has failed.
	 * Some kernels tell those that have mapped it at once.
	 */
	if (!sigsetjmp(touched, 1) && madvise(p + 5 * PAGE, PAGE, MADV_HWPOISON) && errno != EBUSY) {
		EXPECT_EQ(errno, EINVAL);
		SKIP(return, "a kernel without memory failure");
	}
	/* Mapped before, and mapped anew. */
	EXPECT_EQ(touch(p + 5 * PAGE), BUS_MCEERR_AR);
	other = dev_join(fd, 0);
	ASSERT_GE(other, 0);
	q = dev_map(other, 2 * MIB, DATA, PROT_READ);
	ASSERT_NE(q, MAP_FAILED);
	EXPECT_EQ(touch(q + 5 * PAGE), BUS_MCEERR_AR);
	/* The pages beside it are as they were. */
	EXPECT_EQ(pages_lost(q, 5 * PAGE), 0);
	EXPECT_EQ(touch(p + 6 * PAGE), 0);
	EXPECT_EQ(*(uint64_t *)(q + 6 * PAGE), 6 * PAGE + 1);
	munmap(q, DATA);
	munmap(p, DATA);
	close(other);
	close(fd);
}

TEST_HARNESS_MAIN
