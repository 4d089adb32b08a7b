// SPDX-License-Identifier: MIT
/* Unloading the module: refused while it is in use; complete; and racing with its use. */
#include "module.h"

/* Number of lines of a file that contain @word. */
static int lines_with(const char *path, const char *word)
{
	char line[1024];
	int n = 0;
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, word) != NULL;
	if (f)
		fclose(f);
	return n;
}

/*
 * Free pages, including those that each CPU keeps for itself: from 6.7 on these may be
 * an eighth of the memory, and MemFree does not include them.
 */
static long free_kib(void)
{
	char line[256];
	long pages = 0, n;
	FILE *f = fopen("/proc/zoneinfo", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " nr_free_pages %ld", &n) == 1 ||
		    sscanf(line, " count: %ld", &n) == 1)
			pages += n;
	if (f)
		fclose(f);
	return pages * (long)(PAGE / 1024);
}

FIXTURE(unload) {
	bool loaded;
};

FIXTURE_SETUP(unload)
{
	ASSERT_EQ(access(MODULE, R_OK), 0);	/* needed to load it again */
	self->loaded = true;
}

FIXTURE_TEARDOWN(unload)
{
	if (self->loaded && access(SHMIPC_DEVICE, F_OK))
		EXPECT_EQ(module_insert(), 0);
}

TEST_F(unload, refused_while_in_use)
{
	struct make m;
	void *p;
	int fd;

	fd = dev_file();
	EXPECT_EQ(module_remove(), -EAGAIN);
	close(fd);

	fd = dev_create("unload", PAGE);
	ASSERT_GE(fd, 0);
	p = dev_map(fd, 0, PAGE, PROT_READ);
	close(fd);
	EXPECT_EQ(module_remove(), -EAGAIN);
	munmap(p, PAGE);

	make_init(&m, "unload/persistent", PAGE);
	m.req.flags = SHMIPC_DEV_PERSISTENT;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	close(fd);
	EXPECT_EQ(module_remove(), -EAGAIN);
	EXPECT_EQ(dev_unlink("unload/persistent"), 0);
}

TEST_F(unload, complete_when_nothing_is_in_use)
{
	ASSERT_EQ(dev_attach(dev_create("unload/attached", PAGE), SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(module_remove(), -EAGAIN);
	closefrom(3);
	ASSERT_EQ(module_remove(), 0);
	EXPECT_NE(access(SHMIPC_DEVICE, F_OK), 0);
	EXPECT_EQ(lines_with("/proc/modules", "shmipc "), 0);
	EXPECT_EQ(lines_with("/proc/misc", "shmipc"), 0);
	EXPECT_NE(access("/sys/kernel/debug/shmipc", F_OK), 0);
	EXPECT_NE(access("/sys/kernel/tracing/events/shmipc", F_OK), 0);
	ASSERT_EQ(module_insert(), 0);
	EXPECT_EQ(access(SHMIPC_DEVICE, F_OK), 0);
}

static int use_and_die(void *arg)
{
	int fd = dev_create("unload/use", 4 * MIB);
	char *p;

	(void)arg;
	dev_attach(fd, SHMIPC_ROLE_PRODUCER);
	p = dev_map(fd, 2 * MIB, 4 * MIB, PROT_READ | PROT_WRITE);
	memset(p, 1, 4 * MIB);
	return 0;
}

static long inodes_in_use(void)
{
	long all = -1, unused = 0;
	FILE *f = fopen("/proc/sys/fs/inode-nr", "re");

	if (f && fscanf(f, "%ld %ld", &all, &unused) != 2)
		all = -1;
	if (f)
		fclose(f);
	return all - unused;
}

/*
 * A loss of one page or one inode in each round would be detected. KASAN keeps a 32nd of
 * the memory from being reused, and kmemleak allocates records: in kernels with these,
 * they detect small losses, and this test only large ones.
 */
TEST_F_TIMEOUT(unload, nothing_is_lost_by_many_rounds, 600)
{
	long free_before, free_after, inodes_before, inodes_after, noise_kib = 3 * 1024;
	int i;

	if (!access("/sys/kernel/debug/kmemleak", F_OK))
		noise_kib = 128 * 1024;

	for (i = 0; i < 50; i++)
		ASSERT_EQ(in_child(use_and_die, NULL), 0);
	free_before = free_kib();
	inodes_before = inodes_in_use();
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(in_child(use_and_die, NULL), 0);
	free_after = free_kib();
	inodes_after = inodes_in_use();
	TH_LOG("free: %ld KiB before, %ld after; inodes: %ld, %ld", free_before, free_after,
	       inodes_before, inodes_after);
	EXPECT_GE(free_after, free_before - noise_kib);
	EXPECT_LE(inodes_after, inodes_before + 100);
}

/* Open, create, map and die, while the module is loaded and unloaded. */
static void user(unsigned int seed)
{
	int fd, i;

	for (i = 0; i < 400; i++) {
		fd = rand_r(&seed) % 2 ? dev_create("unload/race", PAGE) : dev_open("unload/race");
		if (fd < 0)
			continue;
		dev_attach(fd, 1 + (uint32_t)rand_r(&seed) % 3);
		dev_map(fd, 0, PAGE, PROT_READ);
		if (rand_r(&seed) % 4)
			dev_detach(fd);
		munmap(dev_map(fd, 0, PAGE, PROT_READ), PAGE);
		if (fd > 20 || rand_r(&seed) % 8 == 0)
			_exit(0);
		if (rand_r(&seed) % 4)
			close(fd);
	}
	_exit(0);
}

TEST_F_TIMEOUT(unload, races_with_every_use, 600)
{
	unsigned int seed = (unsigned int)now_ns(), n;
	int status, removed = 0, err;

	TH_LOG("seed %u", seed);
	for (n = 0; n < 300; n++) {
		if (!fork())
			user(seed + n);
		if (n >= 3)
			wait(&status);
		err = module_remove();
		if (!err) {
			removed++;
			ASSERT_EQ(module_insert(), 0);
		} else {
			ASSERT_EQ(err, -EAGAIN);
		}
	}
	while (wait(&status) > 0)
		;
	ASSERT_EQ(module_remove(), 0);
	ASSERT_EQ(module_insert(), 0);
	TH_LOG("removed %d times", removed);
}

TEST_HARNESS_MAIN
