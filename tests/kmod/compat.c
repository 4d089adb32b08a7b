// SPDX-License-Identifier: MIT
/* The ioctls as a 32-bit program calls them: same structs, same numbers. */
#include "dev.h"

#ifdef __x86_64__
/* ioctl(2) by the 32-bit entry: to the kernel it comes from a 32-bit program. */
static int ioctl32(int fd, unsigned long cmd, void *arg)
{
	int ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "0"(54), "b"(fd), "c"(cmd), "d"(arg)
			 : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

/* Memory that a 32-bit program can point to. */
struct low {
	struct make m;
	char name[32];
	struct shmipc_dev_name open;
	struct shmipc_dev_attach attach;
	struct shmipc_dev_wait wait;
	struct shmipc_dev_wake wake;
	struct shmipc_dev_stat stat;
	struct shmipc_dev_peers peers;
	struct shmipc_dev_peer peer[SLOTS];
};

TEST(a_32_bit_program_does_it_all)
{
	struct low *l = mmap(NULL, sizeof(*l), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int dev = dev_file(), fd, other;

	ASSERT_NE((void *)l, MAP_FAILED);
	if (ioctl32(0, 0, NULL) == -ENOSYS)
		SKIP(return, "no 32-bit entry in this kernel");
	strcpy(l->name, "compat");
	make_init(&l->m, l->name, PAGE);
	fd = ioctl32(dev, SHMIPC_IOC_CREATE, &l->m.req);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(l->m.req.small, 6);
	l->open = (struct shmipc_dev_name){ .size = sizeof(l->open), .name = (uintptr_t)l->name,
					    .name_len = 6 };
	other = ioctl32(dev, SHMIPC_IOC_OPEN, &l->open);
	ASSERT_GE(other, 0);
	l->attach = (struct shmipc_dev_attach){ .size = sizeof(l->attach), .slot_max = SLOTS - 1,
						.role = SHMIPC_ROLE_CONSUMER };
	EXPECT_EQ(ioctl32(other, SHMIPC_IOC_ATTACH, &l->attach), 0);
	EXPECT_EQ(l->attach.generation, 1);
	l->wait = (struct shmipc_dev_wait){ .size = sizeof(l->wait), .off = SMALL_DATA_OFF,
					    .peer = SHMIPC_DEV_NO_PEER, .deadline_ns = 1 };
	EXPECT_EQ(ioctl32(fd, SHMIPC_IOC_WAIT, &l->wait), -ETIMEDOUT);
	l->wake = (struct shmipc_dev_wake){ .size = sizeof(l->wake), .off = SMALL_DATA_OFF };
	EXPECT_EQ(ioctl32(fd, SHMIPC_IOC_WAKE, &l->wake), 0);
	l->stat.size = sizeof(l->stat);
	EXPECT_EQ(ioctl32(fd, SHMIPC_IOC_STAT, &l->stat), 0);
	EXPECT_STREQ(l->stat.name, "compat");
	EXPECT_EQ(l->stat.attached, 1);
	l->peers = (struct shmipc_dev_peers){ .size = sizeof(l->peers), .count = SLOTS,
					      .peers = (uintptr_t)l->peer,
					      .peer_bytes = sizeof(l->peer[0]) };
	EXPECT_EQ(ioctl32(fd, SHMIPC_IOC_PEERS, &l->peers), 0);
	EXPECT_EQ(l->peers.count, SLOTS);
	EXPECT_EQ(l->peer[0].state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(l->peer[0].pid, getpid());
	EXPECT_EQ(ioctl32(fd, SHMIPC_IOC_STAT, NULL), -EFAULT);
	EXPECT_EQ(ioctl32(fd, 0x12345678, NULL), -ENOTTY);
}
#else
TEST(a_32_bit_program_does_it_all)
{
	SKIP(return, "written for x86-64");
}
#endif

TEST_HARNESS_MAIN
