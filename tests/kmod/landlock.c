// SPDX-License-Identifier: MIT
/* A sandbox of Landlock: it is about the device, not about segments that a process has. */
#include <linux/landlock.h>
#include <sys/prctl.h>

#include "dev.h"

#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV	(1ull << 15)
#endif
#define IOCTL_DEV_ABI	5

static int landlock_abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

/* Restrict this process to @allowed of @handled on the device. Return: 0; -errno. */
static int restrict_to(uint64_t handled, uint64_t allowed)
{
	struct landlock_ruleset_attr attr = { .handled_access_fs = handled };
	struct landlock_path_beneath_attr rule = { .allowed_access = allowed };
	int rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), err = 0;

	if (rules < 0)
		return -errno;
	rule.parent_fd = open("/dev/shmipc", O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0 ||
	    (allowed && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0)) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    syscall(SYS_landlock_restrict_self, rules, 0))
		err = -errno;
	close(rule.parent_fd);
	close(rules);
	return err;
}

/* All that a process can do with a segment's descriptor. */
static bool works(int fd)
{
	void *map = dev_map(fd, 0, PAGE, PROT_READ);
	int joined = dev_join(fd, 0);

	return map != MAP_FAILED && joined >= 0 && dev_attach(joined, SHMIPC_ROLE_PRODUCER) >= 0 &&
	       dev_wake(joined, SMALL_DATA_OFF, 0) >= 0;
}

TEST(the_device_cannot_be_opened_and_a_segment_works)
{
	int fd;

	if (landlock_abi() < 0)
		SKIP(return, "the kernel has no Landlock, or it is off");
	fd = dev_create(NULL, PAGE);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(restrict_to(LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE, 0), 0);
	EXPECT_EQ(open("/dev/shmipc", O_RDWR), -1);
	EXPECT_EQ(errno, EACCES);
	EXPECT_TRUE(works(fd));
}

TEST(the_device_may_be_opened_and_not_used)
{
	struct shmipc_dev_info info = { .size = sizeof(info) };
	const uint64_t rw = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	int fd, before, dev;

	if (landlock_abi() < IOCTL_DEV_ABI)
		SKIP(return, "Landlock does not know ioctls before Linux 6.10");
	before = dev_file();
	fd = dev_create(NULL, PAGE);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(restrict_to(rw | LANDLOCK_ACCESS_FS_IOCTL_DEV, rw), 0);
	dev = open("/dev/shmipc", O_RDWR);
	ASSERT_GE(dev, 0);
	EXPECT_EQ(dev_ioctl(dev, SHMIPC_IOC_INFO, &info), -EACCES);
	/* What was opened before. */
	EXPECT_EQ(dev_ioctl(before, SHMIPC_IOC_INFO, &info), 0);
	EXPECT_TRUE(works(fd));
}

TEST_HARNESS_MAIN
