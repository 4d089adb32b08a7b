// SPDX-License-Identifier: MIT
/* What security modules are asked about segments, seen by one that is written in eBPF. */
#include <sys/socket.h>
#include <sys/utsname.h>

#include "trace.h"

#ifndef WITH_EBPF

TEST(security_modules)
{
	SKIP(return, "built without clang, bpftool or libbpf");
}

#else

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lsm.h"
#include "lsm.skel.h"

FIXTURE(lsm) {
	struct lsm_bpf *skel;
};

FIXTURE_SETUP(lsm)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		return;
	self->skel = lsm_bpf__open_and_load();
	ASSERT_NE(self->skel, NULL);
	self->skel->bss->process = (uint32_t)getpid();
	ASSERT_EQ(lsm_bpf__attach(self->skel), 0);
}

FIXTURE_TEARDOWN(lsm)
{
	if (self->skel)
		lsm_bpf__destroy(self->skel);
}

/* This harness does not end a test whose setup skips. */
#define NEEDS_LSM()								\
	do {									\
		if (!self->skel)						\
			SKIP(return, "the kernel has no BTF");			\
	} while (0)

/* From Linux 6.8 on a module can have inodes with a label. */
static bool has_labels(void)
{
	struct utsname u;
	int major, minor;

	return !uname(&u) && sscanf(u.release, "%d.%d", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 8));
}

static void forbid(struct lsm_bpf *skel, uint32_t hooks)
{
	memset(skel->bss->calls, 0, sizeof(skel->bss->calls));
	skel->bss->forbidden = hooks;
}

TEST_F(lsm, a_segment_has_a_label_of_its_creator)
{
	volatile __u64 *calls;
	int fd, other;

	NEEDS_LSM();
	calls = self->skel->bss->calls;
	forbid(self->skel, 0);
	fd = dev_create("lsm/label", PAGE);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(calls[LSM_INODE], has_labels());
	/* The same inode. */
	other = dev_open_as("lsm/label", O_RDWR);
	ASSERT_GE(other, 0);
	EXPECT_GE(dev_join(fd, 0), 0);
	EXPECT_EQ(calls[LSM_INODE], has_labels());
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(!self->skel->bss->is_private, has_labels());
}

TEST_F(lsm, creating_a_segment_can_be_forbidden)
{
	int fd;

	NEEDS_LSM();
	forbid(self->skel, 1u << LSM_INODE);
	fd = dev_create("lsm/forbidden", PAGE);
	if (!has_labels()) {
		EXPECT_GE(fd, 0);
		return;
	}
	EXPECT_EQ(fd, -EPERM);
	/* Nothing is left of it. */
	forbid(self->skel, 0);
	EXPECT_EQ(dev_open_as("lsm/forbidden", O_RDWR), -ENOENT);
	fd = dev_create("lsm/forbidden", PAGE);
	EXPECT_GE(fd, 0);
	close(fd);
}

TEST_F(lsm, each_ioctl_of_both_descriptors_can_be_forbidden)
{
	int fd;

	NEEDS_LSM();
	forbid(self->skel, 1u << LSM_IOCTL);
	EXPECT_EQ(dev_create("lsm/ioctl", PAGE), -EPERM);
	EXPECT_EQ(self->skel->bss->calls[LSM_IOCTL], 1);
	forbid(self->skel, 0);
	fd = dev_create("lsm/ioctl", PAGE);
	ASSERT_GE(fd, 0);
	forbid(self->skel, 1u << LSM_IOCTL);
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), -EPERM);
	EXPECT_EQ(dev_wake(fd, SMALL_DATA_OFF, 0), -EPERM);
	EXPECT_EQ(dev_join(fd, 0), -EPERM);
	EXPECT_EQ(self->skel->bss->calls[LSM_IOCTL], 3);
}

TEST_F(lsm, mapping_can_be_forbidden)
{
	int fd;

	NEEDS_LSM();
	forbid(self->skel, 0);
	fd = dev_create("lsm/mmap", PAGE);
	ASSERT_GE(fd, 0);
	forbid(self->skel, 1u << LSM_MMAP);
	EXPECT_EQ(dev_map(fd, 0, PAGE, PROT_READ), MAP_FAILED);
	EXPECT_EQ(errno, EPERM);
	EXPECT_EQ(self->skel->bss->calls[LSM_MMAP], 1);
}

/* Opening the device is the opening of a file. Opening a segment is an ioctl, and only that. */
TEST_F(lsm, opening_a_segment_is_an_ioctl)
{
	volatile __u64 *calls;
	int dev, fd, other;

	NEEDS_LSM();
	calls = self->skel->bss->calls;
	forbid(self->skel, 0);
	fd = dev_create("lsm/open", PAGE);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(calls[LSM_OPEN], 1);
	forbid(self->skel, 0);
	other = dev_join(fd, 0);
	ASSERT_GE(other, 0);
	EXPECT_EQ(calls[LSM_OPEN], 0);
	EXPECT_EQ(calls[LSM_IOCTL], 1);
	forbid(self->skel, 1u << LSM_OPEN);
	dev = open("/dev/shmipc", O_RDWR);
	EXPECT_EQ(dev, -1);
	EXPECT_EQ(errno, EPERM);
}

TEST_F(lsm, receiving_a_descriptor_can_be_forbidden)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space,
			      .msg_controllen = sizeof(space) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fd, pair[2];

	NEEDS_LSM();
	forbid(self->skel, 0);
	fd = dev_create("lsm/receive", PAGE);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	ASSERT_EQ(sendmsg(pair[0], &msg, 0), 1);
	forbid(self->skel, 1u << LSM_RECEIVE);
	msg.msg_controllen = sizeof(space);
	ASSERT_EQ(recvmsg(pair[1], &msg, 0), 1);
	EXPECT_EQ(self->skel->bss->calls[LSM_RECEIVE], 1);
	EXPECT_TRUE(msg.msg_flags & MSG_CTRUNC);
	close(pair[0]);
	close(pair[1]);
}

#endif

TEST_HARNESS_MAIN
