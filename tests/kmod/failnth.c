// SPDX-License-Identifier: MIT
/*
 * Every allocation of every call fails once, on kernels with fault injection. The call
 * reports it, nothing leaks, and the same call works afterwards.
 */
#include "ring.h"
#include "seal.h"

static int spit(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
	close(fd);
	return ret;
}

static int injector;

static void arm(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	if (pwrite(injector, text, (size_t)len, 0) != len)
		abort();
}

/* Did the armed failure happen? */
static bool disarm(void)
{
	char text[16] = "";

	if (pread(injector, text, sizeof(text) - 1, 0) <= 0)
		abort();
	arm(0);
	return atoi(text) == 0;
}

FIXTURE(failnth) {
	struct shmipc_dev_info before;
};

FIXTURE_SETUP(failnth)
{
	injector = open("/proc/thread-self/fail-nth", O_RDWR);
	if (injector < 0)
		return;
	(void)spit("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	(void)spit("/sys/kernel/debug/failslab/verbose", "0");
	(void)spit("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	(void)spit("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	(void)spit("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	ASSERT_EQ(dev_info(&self->before), 0);
}

FIXTURE_TEARDOWN(failnth)
{
	struct shmipc_dev_info after;

	if (injector < 0)
		return;
	EXPECT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, self->before.total_bytes);
	EXPECT_EQ(after.total_segs, self->before.total_segs);
}

/* Calls under test; each returns 0, a descriptor or -errno, and leaves nothing behind. */
static int call_open(void)
{
	int fd = dev_file();

	return fd < 0 ? -errno : fd;
}

static int call_create(void)
{
	return dev_create("failnth", 16 * PAGE);
}

static int call_create_huge(void)
{
	return dev_create("failnth", 4 * MIB + PAGE);
}

static int held;	/* a segment that always exists */
static int dev;

static int call_open_name(void)
{
	return dev_open("failnth/held");
}

static int call_attach(void)
{
	int ret = dev_attach(held, SHMIPC_ROLE_PRODUCER);

	if (ret >= 0)
		dev_detach(held);
	return ret < 0 ? ret : 0;
}

static int call_map(void)
{
	volatile char *p = dev_map(held, 0, SMALL_DATA_OFF, PROT_READ);

	if (p == MAP_FAILED)
		return -errno;
	/* May also fail, once. */
	return munmap((void *)(uintptr_t)p, SMALL_DATA_OFF) ?
	       munmap((void *)(uintptr_t)p, SMALL_DATA_OFF) : 0;
}

static int call_wait(void)
{
	int ret = dev_wait(held, SMALL_DATA_OFF, 0, SHMIPC_DEV_NO_PEER, 0, 0, 1);

	return ret == -ETIMEDOUT ? 0 : ret;
}

static int call_poll(void)
{
	struct shmipc_dev_poll r = { .size = sizeof(r), .flags = SHMIPC_DEV_POLL_ON,
				     .peer = SHMIPC_DEV_NO_PEER };
	struct pollfd p = { .fd = held, .events = POLLIN };
	int ret = dev_ioctl(held, SHMIPC_IOC_POLL_SET, &r);

	return ret ? ret : poll(&p, 1, 0) < 0 ? -errno : 0;
}

static int call_join(void)
{
	return dev_join(held, 0);
}

static int call_persistent(void)
{
	struct make m;
	int fd, ret;

	make_init(&m, "failnth/persistent", PAGE);
	m.req.flags = SHMIPC_DEV_PERSISTENT;
	fd = dev_make(&m);
	if (fd < 0)
		return fd;
	close(fd);
	ret = dev_unlink("failnth/persistent");
	/* Opening the device for it may have failed, once. */
	return ret ? (void)dev_unlink("failnth/persistent"), ret : 0;
}

static struct ring ring;
static bool has_uring;

static int call_uring(void)
{
	bool taken = !has_uring || submit_simple(&ring, held, SMALL_DATA_OFF, 0, 1, 0) == 1;
	int ret;

	if (!has_uring)
		return 0;
	/* If the kernel has not accepted it, it does the second time. */
	if (!taken && syscall(__NR_io_uring_enter, ring.fd, 1, 0, 0, NULL, 0) != 1)
		return -EIO;
	do
		ret = ring_reap(&ring, NULL);
	while (ret == -999);
	if (!taken)
		return -ENOMEM;
	return ret == -ETIMEDOUT ? 0 : ret;
}

static int call_stat(void)
{
	struct shmipc_dev_stat s;
	struct shmipc_dev_death d;
	struct shmipc_dev_peer p;
	struct shmipc_dev_info i;
	int ret = dev_stat(held, &s);

	if (!ret)
		ret = dev_peer(held, 0, &p);
	if (!ret)
		ret = dev_deaths(held, 0, &d, 1, NULL);
	return ret ? ret : dev_info(&i);
}

static int reserved;	/* another one; without a name, so that it is not listed */

/* Some small pages and one 2 MiB page, each committed and uncommitted. */
static int call_commit(void)
{
	static const struct {
		uint64_t off, bytes;
	} part[] = { { 2 * MIB + PAGE, 3 * PAGE }, { 4 * MIB, 2 * MIB } };
	unsigned int i;
	int64_t n;

	for (i = 0; i < 2; i++) {
		n = dev_commit(reserved, part[i].off, part[i].bytes);
		if (n < 0)
			return (int)n;
		/* Everything or, after an error, nothing. */
		if (n != (int64_t)part[i].bytes)
			return -EIO;
		n = dev_uncommit(reserved, part[i].off, part[i].bytes);
		if (n != (int64_t)part[i].bytes)
			return n < 0 ? (int)n : -EIO;
	}
	return 0;
}

/* It has nothing to fail, and so no role is left half taken. */
static int call_fence(void)
{
	struct shmipc_dev_peer peer;
	int ret = dev_attach(held, SHMIPC_ROLE_PRODUCER);

	if (ret < 0)
		return ret;
	ret = dev_peer(held, 0, &peer);
	if (!ret)
		ret = dev_fence(held, 0, peer.generation);
	return dev_detach(held) ?: ret;
}

static int sealable;	/* without a name, too */

static int call_seal(void)
{
	int ret = dev_seal(sealable, DATA, 4 * MIB, NULL);

	return ret ? ret : dev_unseal(sealable, DATA, 4 * MIB);
}

static int call_list(void)
{
	struct shmipc_dev_stat s = { .size = sizeof(s) };
	struct shmipc_dev_list r = { .size = sizeof(r), .stat = (uintptr_t)&s };

	return dev_ioctl(dev, SHMIPC_IOC_LIST, &r);
}

static const struct {
	const char *name;
	int (*fn)(void);
	int must_fail;		/* at least this many of its allocations are ours to fail */
} calls[] = {
	{ "open", call_open, 1 },
	{ "create", call_create, 10 },
	{ "create huge", call_create_huge, 8 },
	{ "open by name", call_open_name, 1 },
	{ "attach", call_attach, 1 },
	{ "mmap", call_map, 1 },
	{ "wait", call_wait, 0 },
	{ "poll", call_poll, 0 },
	{ "list", call_list, 0 },
	{ "join", call_join, 1 },
	{ "create and unlink", call_persistent, 10 },
	{ "io_uring wait", call_uring, 1 },
	{ "stat, peers, deaths, info", call_stat, 1 },
	{ "attach and fence", call_fence, 1 },
	{ "seal and unseal", call_seal, 0 },
	{ "commit", call_commit, 3 },	/* of the small pages; a large one has an alternative */
};

TEST_F_TIMEOUT(failnth, each_allocation_of_each_call, 1800)
{
	unsigned int i, n;
	int ret, failed;
	struct make m;
	bool hit;

	if (injector < 0)
		SKIP(return, "a kernel without fault injection");
	dev = dev_file();
	has_uring = self->before.caps & SHMIPC_DEV_CAP_URING;
	held = dev_create("failnth/held", PAGE);
	ASSERT_GE(held, 0);
	make_init(&m, NULL, 6 * MIB);
	make_reserved(&m, 0);
	reserved = dev_make(&m);
	ASSERT_GE(reserved, 0);
	ASSERT_EQ(dev_attach(reserved, SHMIPC_ROLE_PRODUCER), 0);
	make_seals(&m, NULL, 4 * MIB, 16 * PAGE);
	sealable = dev_make(&m);
	ASSERT_GE(sealable, 0);
	ASSERT_EQ(dev_attach(sealable, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(ring_make(&ring), 0);
	for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		/* Once without failures, so that caches are filled each time. */
		ret = calls[i].fn();
		if (ret > 0)
			close(ret);
		failed = 0;
		for (n = 1; n < 3000; n++) {
			arm(n);
			ret = calls[i].fn();
			hit = disarm();
			if (ret > 0)
				close(ret);
			if (!hit)
				break;
			failed += ret < 0;
			/* ENOMEM, or it had an alternative (a smaller page, a cache). */
			if (ret < 0 && ret != -ENOMEM)
				TH_LOG("%s, allocation %u: %d", calls[i].name, n, ret);
			ASSERT_TRUE(ret >= 0 || ret == -ENOMEM);
			ret = calls[i].fn();
			ASSERT_GE(ret, 0);
			if (ret > 0)
				close(ret);
		}
		TH_LOG("%s: %u allocations, %d failures", calls[i].name, n - 1, failed);
		if (calls[i].fn != call_uring || has_uring)
			EXPECT_GE(failed, calls[i].must_fail);
		EXPECT_LT(n, 3000);
	}
	close(ring.fd);
	close(sealable);
	close(reserved);
	close(held);
	close(dev);
}

TEST_HARNESS_MAIN
