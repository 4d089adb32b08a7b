// SPDX-License-Identifier: MIT
/* Output for people and tracers: fdinfo, debugfs, tracepoints. */
#include <sys/prctl.h>

#include "trace.h"

TEST(fdinfo_and_debugfs_show_the_segment)
{
	int fd = make_ring("show/it"), other = dev_open("show/it");
	uint64_t *prod, *cons;
	char path[64], *text;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_CONSUMER), 1);
	prod = dev_map(fd, PROD_OFF, PAGE, RW);
	cons = dev_map(other, CONS_OFF, PAGE, RW);
	prod[0] = 4096 | 1;
	cons[0] = 64;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	text = slurp(path);
	ASSERT_NE(text, NULL);
	EXPECT_NE(strstr(text, "shmipc-name:\tshow/it\n"), NULL);
	EXPECT_NE(strstr(text, "shmipc-opens:\t2\n"), NULL);
	EXPECT_NE(strstr(text, "shmipc-peers:\t2 of 4\n"), NULL);
	EXPECT_NE(strstr(text, "shmipc-published:\t4096\n"), NULL);
	EXPECT_NE(strstr(text, "shmipc-consumed:\t64\n"), NULL);
	text = slurp("/sys/kernel/debug/shmipc/segments");
	ASSERT_NE(text, NULL);
	EXPECT_NE(strstr(text, "shmipc-name:\tshow/it\n"), NULL);
	EXPECT_NE(strstr(text, "peer:\t0 role 1 attached"), NULL);
	EXPECT_NE(strstr(text, "peer:\t1 role 2 attached"), NULL);
	munmap(prod, PAGE);
	munmap(cons, PAGE);
	close(other);
	close(fd);
	text = slurp("/sys/kernel/debug/shmipc/segments");
	ASSERT_NE(text, NULL);
	EXPECT_EQ(strstr(text, "show/it"), NULL);
}

static int forges(void *arg)
{
	int fd = dev_open("show/forged");

	(void)arg;
	prctl(PR_SET_NAME, "a\npeer:\t9\\b");
	if (dev_attach(fd, SHMIPC_ROLE_READER) != 0)
		return 1;
	return strstr(slurp("/sys/kernel/debug/shmipc/segments"), "comm a\\012peer:\\0119\\134b\n") ? 0 : 2;
}

TEST(the_name_of_a_process_is_no_line)
{
	int fd = make_ring("show/forged");

	ASSERT_GE(fd, 0);
	EXPECT_EQ(in_child(forges, NULL), 0);
	close(fd);
}

/* A creator may describe a ring that does not exist. */
TEST(a_false_ring_header_does_no_harm)
{
	static const uint64_t off[] = { 1, 8, 4 * PAGE, 1ull << 40, UINT64_MAX - 7 };
	struct shmipc_ring_hdr *h;
	struct make m;
	char path[64];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		make_init(&m, NULL, PAGE);
		h = (struct shmipc_ring_hdr *)(void *)m.body;
		h->prod_off = off[i];
		h->cons_off = off[i];
		fd = dev_make(&m);
		ASSERT_GE(fd, 0);
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		EXPECT_NE(slurp(path), NULL);
		close(fd);
	}
}

static int victim(void *arg)
{
	int fd = dev_open("show/trace");

	(void)arg;
	dev_attach(fd, SHMIPC_ROLE_CONSUMER);
	return 0;
}

TEST(each_event_is_traced)
{
	static const char *const want[] = {
		"shmipc_create: id=", "shmipc_open: id=", "shmipc_attach: id=", "shmipc_death: id=",
		"shmipc_detach: id=", "shmipc_wait: id=", "shmipc_wait_end: id=",
		"shmipc_wake: id=", "shmipc_destroy: id=",
	};
	uint64_t *prod;
	char *text;
	size_t i;
	int fd;

	if (access(TRACE "events/shmipc", F_OK))
		SKIP(return, "no tracefs");
	ASSERT_EQ(spit(TRACE "trace", ""), 0);
	ASSERT_EQ(spit(TRACE "events/shmipc/enable", "1"), 0);
	fd = make_ring("show/trace");
	ASSERT_GE(fd, 0);
	dev_attach(fd, SHMIPC_ROLE_PRODUCER);
	prod = dev_map(fd, PROD_OFF, PAGE, RW);
	prod[0] = 128;
	EXPECT_EQ(in_child(victim, NULL), 0);
	EXPECT_EQ(dev_wait(fd, SMALL_DATA_OFF, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1), -ETIMEDOUT);
	EXPECT_EQ(dev_wake(fd, SMALL_DATA_OFF, 1), 0);
	munmap(prod, PAGE);
	EXPECT_EQ(dev_detach(fd), 0);
	close(fd);
	ASSERT_EQ(spit(TRACE "events/shmipc/enable", "0"), 0);
	text = slurp(TRACE "trace");
	ASSERT_NE(text, NULL);
	for (i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		if (!strstr(text, want[i]))
			TH_LOG("no %s", want[i]);
		EXPECT_NE(strstr(text, want[i]), NULL);
	}
	EXPECT_NE(strstr(text, "name=show/trace"), NULL);
	EXPECT_NE(strstr(text, "ret=-110 published=128 consumed=0"), NULL);
}

TEST(the_modules_types_are_known_to_ebpf)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK))
		SKIP(return, "a kernel without BTF");
	EXPECT_EQ(access("/sys/kernel/btf/shmipc", R_OK), 0);
}

TEST_HARNESS_MAIN
