// SPDX-License-Identifier: MIT
/* Names: unique, found, listed, unlinked; and their visibility. */
#include <sys/stat.h>

#include "dev.h"

/* The next name after @after that begins with "names/", or -errno. */
static int next_name(int fd, const char *after, char ret[256])
{
	struct shmipc_dev_stat s = { .size = sizeof(s) };
	struct shmipc_dev_list r = { .size = sizeof(r), .after = (uintptr_t)after,
				     .after_len = (uint32_t)strlen(after),
				     .stat = (uintptr_t)&s };
	int err = dev_ioctl(fd, SHMIPC_IOC_LIST, &r);

	if (!err)
		snprintf(ret, 256, "%s", s.name);
	return err;
}

TEST(a_name_is_given_only_once)
{
	int fd = dev_create("names/once", PAGE);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(dev_create("names/once", PAGE), -EEXIST);
	close(fd);
	EXPECT_EQ(dev_open("names/once"), -ENOENT);
	fd = dev_create("names/once", PAGE);
	EXPECT_GE(fd, 0);
	close(fd);
}

TEST(unlink_on_a_segment_removes_only_its_own_name)
{
	struct shmipc_dev_name flags = { .size = sizeof(flags), .flags = 1, .name = (uintptr_t)"names/own",
					 .name_len = 9 };
	int old, new;

	old = dev_create("names/own", PAGE);
	ASSERT_GE(old, 0);
	EXPECT_EQ(dev_ioctl(old, SHMIPC_IOC_UNLINK, &flags), -EINVAL);
	EXPECT_EQ(name_ioctl(old, SHMIPC_IOC_UNLINK, "names/other"), -ENOENT);
	EXPECT_EQ(name_ioctl(old, SHMIPC_IOC_UNLINK, "names/own"), 0);
	EXPECT_EQ(name_ioctl(old, SHMIPC_IOC_UNLINK, "names/own"), -ENOENT);
	new = dev_create("names/own", PAGE);
	ASSERT_GE(new, 0);
	EXPECT_EQ(name_ioctl(old, SHMIPC_IOC_UNLINK, "names/own"), -ENOENT);
	EXPECT_EQ(name_ioctl(new, SHMIPC_IOC_UNLINK, "names/own"), 0);
	close(old);
	close(new);
}

TEST(an_invalid_name_is_refused)
{
	static const char *const bad[] = {
		"/a", "a/", "a//b", ".", "..", "a/.", "a/../b", "./a", "../a", "a b", "a\n", "a\x7f",
		"\xc3\xa4", "a:b", "*", "/", "a\\b",
	};
	static const char *const good[] = { "a", "a/b", "...", "a..b", "-", "_", ".a", "A9._-/x" };
	char name[SHMIPC_NAME_MAX + 2];
	struct make m;
	size_t i;
	int fd;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		TH_LOG("%s", bad[i]);
		EXPECT_EQ(dev_create(bad[i], PAGE), -EINVAL);
		EXPECT_EQ(dev_open(bad[i]), -EINVAL);
		EXPECT_EQ(dev_unlink(bad[i]), -EINVAL);
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		fd = dev_create(good[i], PAGE);
		EXPECT_GE(fd, 0);
		close(fd);
	}
	memset(name, 'n', sizeof(name));
	name[SHMIPC_NAME_MAX] = 0;
	fd = dev_create(name, PAGE);
	EXPECT_GE(fd, 0);
	EXPECT_GE(dev_open(name), 0);
	close(fd);
	name[SHMIPC_NAME_MAX] = 'n';
	name[SHMIPC_NAME_MAX + 1] = 0;
	EXPECT_EQ(dev_create(name, PAGE), -EINVAL);
	EXPECT_EQ(dev_open(""), -EINVAL);
	make_init(&m, "a\0b", PAGE);
	m.req.name_len = 3;
	EXPECT_EQ(dev_make(&m), -EINVAL);
	m.req.name_len = 0;
	EXPECT_EQ(dev_make(&m), -EINVAL);
	m.req.name = 8;
	m.req.name_len = 3;
	EXPECT_EQ(dev_make(&m), -EFAULT);
}

TEST(an_unlinked_segment_stays_while_it_is_open)
{
	int fd = dev_create("names/unlink", PAGE), other, again;
	struct shmipc_dev_stat s, t;

	ASSERT_GE(fd, 0);
	other = dev_open("names/unlink");
	ASSERT_GE(other, 0);
	ASSERT_EQ(dev_unlink("names/unlink"), 0);
	EXPECT_EQ(dev_unlink("names/unlink"), -ENOENT);
	EXPECT_EQ(dev_open("names/unlink"), -ENOENT);
	again = dev_create("names/unlink", PAGE);
	ASSERT_GE(again, 0);
	close(fd);
	ASSERT_EQ(dev_stat(other, &s), 0);
	EXPECT_EQ(s.linked, 0);
	EXPECT_STREQ(s.name, "names/unlink");
	ASSERT_EQ(dev_stat(again, &t), 0);
	EXPECT_EQ(t.linked, 1);
	EXPECT_NE(memcmp(s.id, t.id, 16), 0);
	/* The end of the old segment leaves the name of the new one alone. */
	close(other);
	EXPECT_GE(dev_open("names/unlink"), 0);
}

TEST(a_persistent_segment_stays_until_unlinked)
{
	struct shmipc_dev_info before, after;
	struct shmipc_dev_stat s;
	struct make m;
	char *p;
	int fd;

	ASSERT_EQ(dev_info(&before), 0);
	make_init(&m, "names/persistent", PAGE);
	m.req.flags = SHMIPC_DEV_PERSISTENT;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, PROT_READ | PROT_WRITE);
	strcpy(p, "kept");
	munmap(p, PAGE);
	close(fd);
	fd = dev_open("names/persistent");
	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_stat(fd, &s), 0);
	EXPECT_EQ(s.flags, SHMIPC_SEG_PERSISTENT);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, PROT_READ);
	EXPECT_STREQ(p, "kept");
	munmap(p, PAGE);
	close(fd);
	EXPECT_EQ(dev_unlink("names/persistent"), 0);
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, before.total_bytes);
	make_init(&m, NULL, PAGE);
	m.req.flags = SHMIPC_DEV_PERSISTENT;
	EXPECT_EQ(dev_make(&m), -EINVAL);
}

TEST(names_are_listed_in_order)
{
	int a = dev_create("names/order/a", PAGE), c = dev_create("names/order/c", PAGE);
	int b = dev_create("names/order/b", PAGE), fd = dev_file();
	char name[256];

	ASSERT_EQ(next_name(fd, "names/order/", name), 0);
	EXPECT_STREQ(name, "names/order/a");
	ASSERT_EQ(next_name(fd, "names/order/a", name), 0);
	EXPECT_STREQ(name, "names/order/b");
	close(b);
	/* The given name need not exist. */
	ASSERT_EQ(next_name(fd, "names/order/b", name), 0);
	EXPECT_STREQ(name, "names/order/c");
	EXPECT_EQ(next_name(fd, "names/order/c", name), -ENOENT);
	close(a);
	close(c);
}

TEST(a_segment_without_a_name_is_passed_by_descriptor)
{
	int fd = dev_create(NULL, PAGE), dev = dev_file(), pair[2], got;
	struct shmipc_dev_stat s;
	char name[256];

	ASSERT_GE(fd, 0);
	EXPECT_EQ(next_name(dev, "", name), -ENOENT);
	close(dev);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ASSERT_EQ(fd_send(pair[0], fd), 0);
	close(fd);
	got = fd_recv(pair[1]);
	ASSERT_GE(got, 0);
	ASSERT_EQ(dev_stat(got, &s), 0);
	EXPECT_EQ(s.name_len, 0);
	EXPECT_EQ(s.flags, SHMIPC_SEG_ANON);
	EXPECT_EQ(s.linked, 0);
	EXPECT_EQ(dev_attach(got, SHMIPC_ROLE_PRODUCER), 0);
}

static int in_other_ns(void *arg)
{
	int *pair = arg, fd, got;
	char name[256];
	struct shmipc_dev_stat s;

	if (unshare(CLONE_NEWIPC))
		return 1;
	if (dev_open("names/ns") != -ENOENT)
		return 2;
	fd = dev_file();
	if (next_name(fd, "", name) != -ENOENT || dev_unlink("names/ns") != -ENOENT)
		return 3;
	/* The same name is free here. */
	fd = dev_create("names/ns", PAGE);
	if (fd < 0)
		return 4;
	/* A descriptor may be passed deliberately. */
	got = fd_recv(pair[1]);
	if (got < 0 || dev_stat(got, &s) || s.data_bytes != 2 * MIB)
		return 5;
	return dev_attach(got, SHMIPC_ROLE_PRODUCER) == 0 ? 0 : 6;
}

TEST(ipc_namespaces_do_not_see_each_other)
{
	int fd = dev_create("names/ns", 2 * MIB), pair[2];

	ASSERT_GE(fd, 0);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ASSERT_EQ(fd_send(pair[0], fd), 0);
	EXPECT_EQ(in_child(in_other_ns, pair), 0);
	EXPECT_GE(dev_open("names/ns"), 0);
}

static int persist_in_other_ns(void *arg)
{
	struct make m;

	(void)arg;
	if (unshare(CLONE_NEWIPC))
		return 1;
	make_init(&m, "names/orphan", PAGE);
	m.req.flags = SHMIPC_DEV_PERSISTENT;
	return dev_make(&m) < 0 ? 2 : 0;
}

TEST(persistent_segments_end_with_their_namespace)
{
	uint64_t end = long_deadline();
	struct shmipc_dev_info before, after;
	struct make m;
	int fd;

	/* No process has it open, and it is the only name in the initial namespace. */
	make_init(&m, "names/stays", PAGE);
	m.req.flags = SHMIPC_DEV_PERSISTENT;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	close(fd);
	ASSERT_EQ(dev_info(&before), 0);
	ASSERT_EQ(in_child(persist_in_other_ns, NULL), 0);
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_segs, before.total_segs + 1);
	do {
		poll(NULL, 0, 100);	/* the worker runs every ten seconds */
		ASSERT_EQ(dev_info(&after), 0);
	} while (after.total_segs != before.total_segs && now_ns() < end);
	EXPECT_EQ(after.total_segs, before.total_segs);
	EXPECT_EQ(dev_unlink("names/stays"), 0);
}

FIXTURE(long_names) {
	int unused;
};

FIXTURE_SETUP(long_names)
{
	self->unused = 0;
}

FIXTURE_TEARDOWN(long_names)
{
}

TEST_F_TIMEOUT(long_names, ten_thousand_segments_are_created_and_removed, 300)
{
	struct shmipc_dev_info before, after;
	char name[64];
	int i, fd, keep = dev_create(NULL, PAGE);

	ASSERT_GE(keep, 0);
	ASSERT_EQ(dev_info(&before), 0);
	for (i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "names/many/%d", i % 100);
		fd = dev_create(name, PAGE);
		ASSERT_GE(fd, 0);
		close(fd);
	}
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_bytes, before.total_bytes);
	EXPECT_EQ(after.total_segs, before.total_segs);
}

/* Many processes use three names: none sees an incomplete segment. */
static int race(void *arg)
{
	unsigned int seed = *(unsigned int *)arg, i;
	const struct shmipc_seg_hdr *h;
	char name[32];
	int fd;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "names/race/%d", rand_r(&seed) % 3);
		switch (rand_r(&seed) % 3) {
		case 0:
			fd = dev_create(name, PAGE);
			if (fd < 0 && fd != -EEXIST)
				return 1;
			break;
		case 1:
			fd = dev_open(name);
			if (fd < 0 && fd != -ENOENT)
				return 2;
			break;
		default:
			fd = dev_unlink(name);
			if (fd < 0 && fd != -ENOENT)
				return 3;
			fd = -1;
		}
		if (fd < 0)
			continue;
		h = dev_map_hdr(fd);
		if ((const void *)h == MAP_FAILED || h->magic != SHMIPC_SEG_MAGIC ||
		    strcmp(h->name, name))
			return 4;
		munmap((void *)(uintptr_t)h, RING_OFF);
		if (rand_r(&seed) % 2)
			close(fd);
		else if (dup2(fd, 100) == 100)
			close(fd);
	}
	return 0;
}

TEST_F_TIMEOUT(long_names, create_open_and_unlink_race, 300)
{
	unsigned int seed = (unsigned int)now_ns(), s, i;
	int status;

	TH_LOG("seed %u", seed);
	for (i = 0; i < 6; i++) {
		s = seed + i;
		if (!fork())
			_exit(race(&s));
	}
	for (i = 0; i < 6; i++) {
		ASSERT_GT(wait(&status), 0);
		EXPECT_EQ(status, 0);
	}
	for (i = 0; i < 3; i++) {
		char name[32];

		snprintf(name, sizeof(name), "names/race/%u", i);
		EXPECT_EQ(dev_open(name), -ENOENT);
	}
}

TEST_HARNESS_MAIN
