// SPDX-License-Identifier: MIT
/* Write permission of the roles: the page tables enforce it, whatever the process tries. */
#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)

/* By the module; or, on newer kernels, by the kernel, as in a file system without programs. */
static bool is_refused(int err)
{
	return err == -EACCES || err == -EPERM;
}

static int map_errno(int fd, uint64_t off, uint64_t bytes, int prot)
{
	void *p = dev_map(fd, off, bytes, prot);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, bytes);
	return 0;
}

FIXTURE(roles) {
	int none, producer, consumer, reader;
};

FIXTURE_SETUP(roles)
{
	self->producer = dev_create("roles/fixture", 2 * MIB);
	ASSERT_GE(self->producer, 0);
	self->none = dev_open("roles/fixture");
	self->consumer = dev_open("roles/fixture");
	self->reader = dev_open("roles/fixture");
	ASSERT_EQ(dev_attach(self->producer, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(self->consumer, SHMIPC_ROLE_CONSUMER), 1);
	ASSERT_EQ(dev_attach(self->reader, SHMIPC_ROLE_READER), 2);
}

FIXTURE_TEARDOWN(roles)
{
	close(self->none);
	close(self->producer);
	close(self->consumer);
	close(self->reader);
}

TEST_F(roles, every_opener_reads_everything)
{
	EXPECT_EQ(map_errno(self->none, 0, 4 * MIB, PROT_READ), 0);
	EXPECT_EQ(map_errno(self->producer, 0, 4 * MIB, PROT_READ), 0);
	EXPECT_EQ(map_errno(self->consumer, 0, 4 * MIB, PROT_READ), 0);
	EXPECT_EQ(map_errno(self->reader, 0, 4 * MIB, PROT_READ), 0);
}

TEST_F(roles, each_role_writes_its_own_pages_only)
{
	const struct {
		uint64_t off, bytes;
		int none, producer, consumer, reader;
	} t[] = {
		{ 0, PAGE, -EACCES, -EACCES, -EACCES, -EACCES },
		{ SHMIPC_DEV_PEERS_OFF, PAGE, -EACCES, -EACCES, -EACCES, -EACCES },
		{ RING_OFF, PAGE, -EACCES, -EACCES, -EACCES, -EACCES },
		{ PROD_OFF, PAGE, -EACCES, 0, -EACCES, -EACCES },
		{ CONS_OFF, PAGE, -EACCES, -EACCES, 0, -EACCES },
		{ 2 * MIB, 2 * MIB, -EACCES, 0, -EACCES, -EACCES },
		{ 2 * MIB, PAGE, -EACCES, 0, -EACCES, -EACCES },
		{ 4 * MIB - PAGE, PAGE, -EACCES, 0, -EACCES, -EACCES },
		/* A range that is only partly in the role's region is refused. */
		{ PROD_OFF, 2 * PAGE, -EACCES, -EACCES, -EACCES, -EACCES },
		{ RING_OFF, 2 * PAGE, -EACCES, -EACCES, -EACCES, -EACCES },
		{ 2 * MIB - PAGE, 2 * PAGE, -EACCES, -EACCES, -EACCES, -EACCES },
		{ 0, 4 * MIB, -EACCES, -EACCES, -EACCES, -EACCES },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		TH_LOG("off %llx bytes %llx", (unsigned long long)t[i].off,
		       (unsigned long long)t[i].bytes);
		EXPECT_EQ(map_errno(self->none, t[i].off, t[i].bytes, RW), t[i].none);
		EXPECT_EQ(map_errno(self->producer, t[i].off, t[i].bytes, RW), t[i].producer);
		EXPECT_EQ(map_errno(self->consumer, t[i].off, t[i].bytes, RW), t[i].consumer);
		EXPECT_EQ(map_errno(self->reader, t[i].off, t[i].bytes, RW), t[i].reader);
	}
}

TEST_F(roles, a_read_only_mapping_stays_read_only)
{
	char *p = dev_map(self->consumer, 2 * MIB, 2 * MIB, PROT_READ);
	int mem = open("/proc/self/mem", O_RDWR);

	ASSERT_NE(p, MAP_FAILED);
	ASSERT_GE(mem, 0);
	EXPECT_EQ(mprotect(p, PAGE, RW), -1);
	EXPECT_EQ(errno, EACCES);
	EXPECT_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), -1);
	EXPECT_EQ(errno, EACCES);
	EXPECT_EQ(pwrite(mem, "x", 1, (off_t)(uintptr_t)p), -1);
	EXPECT_EQ(errno, EIO);
	EXPECT_EQ(p[0], 0);
	close(mem);
}

TEST_F(roles, no_private_and_no_executable_mapping)
{
	void *p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->producer, 0);

	EXPECT_EQ(p, MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	p = mmap(NULL, PAGE, RW, MAP_PRIVATE, self->producer, PROD_OFF);
	EXPECT_EQ(p, MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_TRUE(is_refused(map_errno(self->producer, PROD_OFF, PAGE, PROT_READ | PROT_EXEC)));
	EXPECT_TRUE(is_refused(map_errno(self->producer, PROD_OFF, PAGE, RW | PROT_EXEC)));
	p = dev_map(self->producer, PROD_OFF, PAGE, RW);
	ASSERT_NE(p, MAP_FAILED);
	EXPECT_EQ(mprotect(p, PAGE, PROT_READ | PROT_EXEC), -1);
	/* A mapping of the role's own region may be made read-only and writable again. */
	EXPECT_EQ(mprotect(p, PAGE, PROT_READ), 0);
	EXPECT_EQ(mprotect(p, PAGE, RW), 0);
	munmap(p, PAGE);
}

TEST_F(roles, both_sides_see_each_others_bytes)
{
	char *tx = dev_map(self->producer, 2 * MIB, 2 * MIB, RW);
	const char *rx = dev_map(self->consumer, 0, 4 * MIB, PROT_READ);

	strcpy(tx + MIB, "hello");
	EXPECT_STREQ(rx + 3 * MIB, "hello");
	munmap(tx, 2 * MIB);
}

TEST_F(roles, a_role_is_held_by_as_many_peers_as_created)
{
	int other = dev_open("roles/fixture"), fd;

	EXPECT_EQ(dev_attach(other, SHMIPC_ROLE_PRODUCER), -EBUSY);
	EXPECT_EQ(dev_attach(other, SHMIPC_ROLE_CONSUMER), -EBUSY);
	EXPECT_EQ(dev_attach(other, SHMIPC_ROLE_READER), 3);
	/* One role per address space and descriptor. */
	EXPECT_EQ(dev_attach(other, SHMIPC_ROLE_READER), -EBUSY);
	/* All slots are taken. */
	fd = dev_open("roles/fixture");
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_READER), -EBUSY);
	EXPECT_EQ(dev_detach(other), 0);
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_READER), 3);
	close(fd);
	close(other);
}

TEST_F(roles, a_role_cannot_be_left_while_it_is_mapped)
{
	char *p = dev_map(self->producer, PROD_OFF, PAGE, RW);
	struct shmipc_dev_peer peer;
	int other = dev_open("roles/fixture");

	ASSERT_NE(p, MAP_FAILED);
	ASSERT_EQ(dev_peer(self->producer, 0, &peer), 0);
	EXPECT_EQ(peer.maps, 1);
	EXPECT_EQ(dev_detach(self->producer), -EBUSY);
	p[0] = 1;
	munmap(p, PAGE);
	EXPECT_EQ(dev_detach(self->producer), 0);
	EXPECT_EQ(dev_detach(self->producer), -ESRCH);
	EXPECT_EQ(map_errno(self->producer, PROD_OFF, PAGE, RW), -EACCES);
	EXPECT_EQ(dev_attach(other, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(map_errno(other, PROD_OFF, PAGE, RW), 0);
	close(other);
}

TEST_F(roles, split_and_moved_mappings_are_counted)
{
	char *p = dev_map(self->producer, 2 * MIB, 4 * PAGE, RW), *q;
	struct shmipc_dev_peer peer;

	ASSERT_NE(p, MAP_FAILED);
	munmap(p + PAGE, PAGE);
	ASSERT_EQ(dev_peer(self->producer, 0, &peer), 0);
	EXPECT_EQ(peer.maps, 2);
	q = mremap(p + 2 * PAGE, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		   p + 64 * PAGE);
	ASSERT_NE(q, MAP_FAILED);
	q[0] = 1;
	ASSERT_EQ(dev_peer(self->producer, 0, &peer), 0);
	EXPECT_EQ(peer.maps, 2);
	munmap(p, PAGE);
	EXPECT_EQ(dev_detach(self->producer), -EBUSY);
	munmap(q, 2 * PAGE);
	ASSERT_EQ(dev_peer(self->producer, 0, &peer), 0);
	EXPECT_EQ(peer.maps, 0);
	EXPECT_EQ(dev_detach(self->producer), 0);
}

TEST_F(roles, a_mapping_does_not_grow)
{
	char *p = dev_map(self->producer, 2 * MIB, PAGE, RW);

	EXPECT_EQ(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	EXPECT_EQ(errno, EFAULT);
	munmap(p, PAGE);
	p = dev_map(self->none, 2 * MIB, PAGE, PROT_READ);
	EXPECT_EQ(mremap(p, PAGE, 2 * PAGE, MREMAP_MAYMOVE), MAP_FAILED);
	munmap(p, PAGE);
}

static char *child_map;

static int child_writes(void *arg)
{
	(void)arg;
	child_map[0] = 1;
	return 0;
}

TEST_F(roles, a_forked_child_is_not_a_peer)
{
	int fd = self->producer;

	child_map = dev_map(fd, PROD_OFF, PAGE, RW);
	ASSERT_NE(child_map, MAP_FAILED);
	EXPECT_EQ(in_child(child_writes, NULL), -SIGSEGV);
	/* Old kernels allow clearing the flag; the child's mapping is still dead. */
	if (!madvise(child_map, PAGE, MADV_DOFORK)) {
		EXPECT_EQ(in_child(child_writes, NULL), -SIGBUS);
		child_map[0] = 2;	/* touched: the child does not inherit the page, either */
		EXPECT_EQ(in_child(child_writes, NULL), -SIGBUS);
		EXPECT_EQ(child_map[0], 2);
	}
	munmap(child_map, PAGE);
}

static int child_maps(void *arg)
{
	int fd = *(int *)arg;

	if (map_errno(fd, PROD_OFF, PAGE, RW) != -EACCES || map_errno(fd, 0, PAGE, PROT_READ))
		return 1;
	if (dev_attach(fd, SHMIPC_ROLE_PRODUCER) != -EBUSY || dev_detach(fd) != -ESRCH)
		return 2;
	if (dev_attach(fd, SHMIPC_ROLE_READER) != 3)
		return 3;
	return map_errno(fd, PROD_OFF, PAGE, RW) == -EACCES ? 0 : 4;
}

TEST_F(roles, the_descriptor_alone_gives_no_role)
{
	EXPECT_EQ(in_child(child_maps, &self->producer), 0);
}

TEST_F(roles, two_roles_in_one_process_need_two_descriptors)
{
	EXPECT_EQ(map_errno(self->producer, PROD_OFF, PAGE, RW), 0);
	EXPECT_EQ(map_errno(self->producer, CONS_OFF, PAGE, RW), -EACCES);
	EXPECT_EQ(map_errno(self->consumer, CONS_OFF, PAGE, RW), 0);
}

TEST(a_region_can_be_writable_without_a_role)
{
	struct make m;
	int fd, ro;
	char *p;

	make_init(&m, "roles/raw", PAGE);
	m.req.kind = SHMIPC_KIND_RAW;
	m.req.nregions = 1;
	m.region[0] = (struct shmipc_dev_region){ SMALL_DATA_OFF, PAGE, ROLE(NONE), 0 };
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
	ASSERT_NE(p, MAP_FAILED);
	p[0] = 1;
	ro = dev_open_as("roles/raw", O_RDONLY);
	ASSERT_GE(ro, 0);
	EXPECT_EQ(map_errno(ro, SMALL_DATA_OFF, PAGE, RW), -EACCES);
	EXPECT_EQ(map_errno(ro, SMALL_DATA_OFF, PAGE, PROT_READ), 0);
	p = dev_map(ro, SMALL_DATA_OFF, PAGE, PROT_READ);
	EXPECT_EQ(p[0], 1);
	EXPECT_EQ(mprotect(p, PAGE, RW), -1);
	EXPECT_EQ(dev_attach(ro, SHMIPC_ROLE_READER), -EBADF);
	EXPECT_EQ(dev_wake(ro, SMALL_DATA_OFF, 1), -EBADF);
	close(ro);
	close(fd);
}

TEST_HARNESS_MAIN
