// SPDX-License-Identifier: MIT
/* Descriptors: each has its segment from the beginning, and is for what it was made for. */
#include <sys/resource.h>
#include <sys/stat.h>

#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)

FIXTURE(file) {
	int dev;
	int fd;		/* of the segment */
};

FIXTURE_SETUP(file)
{
	self->dev = dev_file();
	ASSERT_GE(self->dev, 0);
	self->fd = dev_create("file/fixture", PAGE);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(file)
{
	close(self->fd);
	close(self->dev);
}

TEST_F(file, joining_a_descriptor)
{
	int ro = dev_open_as("file/fixture", O_RDONLY), less, fd;
	struct shmipc_dev_stat s;

	EXPECT_EQ(dev_join(self->dev, 0), -ENXIO);
	EXPECT_EQ(dev_join(self->fd, 2), -EINVAL);
	fd = dev_join(self->fd, 0);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.opens, 3);
	EXPECT_STREQ(s.name, "file/fixture");
	/* Two roles in one address space. */
	EXPECT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_CONSUMER), 1);
	/* A descriptor gives what it has, or less. */
	less = dev_join(ro, 0);
	ASSERT_GE(less, 0);
	EXPECT_EQ(fcntl(less, F_GETFL) & O_ACCMODE, O_RDONLY);
	EXPECT_EQ(dev_attach(less, SHMIPC_ROLE_READER), -EBADF);
	close(less);
	less = dev_join(fd, SHMIPC_DEV_READ_ONLY);
	ASSERT_GE(less, 0);
	EXPECT_EQ(fcntl(less, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(less);
	close(ro);
	close(fd);
}

TEST_F(file, a_read_only_descriptor_creates_nothing)
{
	struct shmipc_dev_name r = { .size = sizeof(r), .name = (uintptr_t)"file/fixture",
				     .name_len = 12, .flags = SHMIPC_DEV_READ_ONLY };
	struct make m;
	int dev = open(SHMIPC_DEVICE, O_RDONLY), fd;

	make_init(&m, "file/ro", PAGE);
	EXPECT_EQ(dev_ioctl(dev, SHMIPC_IOC_CREATE, &m.req), -EBADF);
	fd = name_ioctl(dev, SHMIPC_IOC_OPEN, "file/fixture");
	ASSERT_GE(fd, 0);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(fd);
	close(dev);
	fd = fd_ioctl(self->dev, SHMIPC_IOC_OPEN, &r);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	EXPECT_EQ(dev_map(fd, SMALL_DATA_OFF, PAGE, RW), MAP_FAILED);
	EXPECT_EQ(errno, EACCES);
	close(fd);
	r.flags = 2;
	EXPECT_EQ(fd_ioctl(self->dev, SHMIPC_IOC_OPEN, &r), -EINVAL);
}

/* WAIT compares with words: a process that cannot read them could guess them. */
TEST_F(file, nothing_is_opened_for_writing_alone)
{
	char path[64];

	EXPECT_EQ(open(SHMIPC_DEVICE, O_WRONLY), -1);
	EXPECT_EQ(errno, EINVAL);
	/* Nor is a descriptor opened again for more than it is for. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_EQ(open(path, O_WRONLY), -1);
	EXPECT_EQ(open(path, O_RDWR), -1);
}

/* The process has no room for another descriptor: there is no segment either. */
TEST_F(file, no_descriptor_is_free)
{
	struct rlimit old, few;
	struct make m;

	make_init(&m, "file/full", PAGE);
	ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 3;
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	EXPECT_EQ(fd_ioctl(self->dev, SHMIPC_IOC_CREATE, &m.req), -EMFILE);
	EXPECT_EQ(name_ioctl(self->dev, SHMIPC_IOC_OPEN, "file/fixture"), -EMFILE);
	EXPECT_EQ(dev_join(self->fd, 0), -EMFILE);
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
	EXPECT_EQ(dev_open("file/full"), -ENOENT);
}

static bool mappers_stop;

/* Maps one descriptor after another while another thread opens the segment on it. */
static void *maps_all(void *arg)
{
	int *at = arg, fd;
	void *p;

	while (!__atomic_load_n(&mappers_stop, __ATOMIC_RELAXED)) {
		fd = __atomic_load_n(at, __ATOMIC_RELAXED);
		p = dev_map(fd, 0, PAGE, PROT_READ);
		if (p != MAP_FAILED)
			munmap(p, PAGE);
	}
	return NULL;
}

/* The kernel counts writable mappings of a file's mapping, which must be the same at the end. */
TEST_F(file, mapping_a_descriptor_that_is_being_made)
{
	int dev = self->dev, fd, i, k;
	pthread_t t;
	void *p;

	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	__atomic_store_n(&mappers_stop, false, __ATOMIC_RELAXED);
	ASSERT_EQ(pthread_create(&t, NULL, maps_all, &dev), 0);
	for (i = 0; i < 20000; i++) {
		__atomic_store_n(&dev, dev_file(), __ATOMIC_RELAXED);
		for (k = i % 97; k; k--)	/* at another moment of the mapping each time */
			__asm__ volatile("" ::: "memory");
		fd = name_ioctl(dev, SHMIPC_IOC_OPEN, "file/fixture");
		if (fd > 0)
			close(fd);
		close(dev);
	}
	__atomic_store_n(&mappers_stop, true, __ATOMIC_RELAXED);
	pthread_join(t, NULL);
	p = dev_map(self->fd, SMALL_DATA_OFF, PAGE, RW);
	EXPECT_NE(p, MAP_FAILED);
	munmap(p, PAGE);
}

static int stat_mode(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -errno : (int)(st.st_mode & S_IFMT);
}

/* What the library tells a segment's descriptor by. */
TEST_F(file, a_segments_descriptor_is_of_no_type_of_file)
{
	EXPECT_EQ(stat_mode(self->fd), 0);
	EXPECT_EQ(stat_mode(self->dev), S_IFCHR);
	EXPECT_EQ(ftruncate(self->fd, 0), -1);
	EXPECT_EQ(fallocate(self->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), -1);
}

TEST_HARNESS_MAIN
