// SPDX-License-Identifier: MIT
/*
 * topic_hugetlb: topics on hugetlbfs grow, too, in pages of 2 MiB
 *
 * The file system is the test's own, and so are its pages: the kernel makes them when they
 * are needed, as many as nr_overcommit_hugepages says, and takes them back.
 */
#include "topic_ends.h"

#include <sys/mount.h>
#include <sys/statvfs.h>

#define PAGE		SHMIPC_PAGE_2M
#define PAGES		12	/* of the file system */
#define LEN		30000u
#define OVERCOMMIT	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

static uint64_t pub_used(const struct shmipc_pub *pub)
{
	struct shmipc_segment *seg = pub_priv(pub)->t.seg;
	uint64_t n = 0;

	return seg->be->used(seg, &n) ? UINT64_MAX : n;
}

static long overcommit(long set)
{
	FILE *f = fopen(OVERCOMMIT, set < 0 ? "re" : "we");
	long n = -1;

	if (f && (set < 0 ? fscanf(f, "%ld", &n) != 1 : fprintf(f, "%ld\n", set) < 0))
		n = -1;
	return f && !fclose(f) ? n : -1;
}

FIXTURE(topic_hugetlb) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	long before;
};

FIXTURE_SETUP(topic_hugetlb)
{
	const char *why = NULL;

	env_set_up(&self->env);
	self->before = overcommit(-1);
	if (env_on_dev())
		why = "the device has no file system";
	else if (self->before < 0)
		why = "there are no pages of 2 MiB here";
	else if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		 mkdir(self->env.dir, 0755) ||
		 mount("none", self->env.dir, "hugetlbfs", 0, "pagesize=2M,size=24M,mode=755"))
		why = "only root may mount a hugetlbfs";
	else if (overcommit(self->before + PAGES), overcommit(-1) < self->before + PAGES)
		why = "the number of huge pages cannot be set";
	if (why)
		SKIP_SETUP("%s", why);
	if (shmipc_pub_open(&self->pub, TOPIC, NULL, NULL) == -ENOSPC)
		SKIP_SETUP("this machine has no free pages of 2 MiB");
	ASSERT_NE(NULL, self->pub) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic_hugetlb)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	(void)umount2(self->env.dir, MNT_DETACH);
	if (self->before >= 0)
		(void)overcommit(self->before);
	env_tear_down(&self->env);
}

TEST_F(topic_hugetlb, idle_topic_has_one_page)
{
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };

	EXPECT_EQ(PAGE, pub_used(self->pub));
	ASSERT_EQ(0, shmipc_segment_get_info(pub_priv(self->pub)->t.seg, &info));
	EXPECT_EQ(PAGE, info.page_got);
	EXPECT_EQ(PAGE, info.memory_bytes);
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, put(self->pub, 0));
	ASSERT_EQ(0, get(self->sub));
	EXPECT_EQ(PAGE, pub_used(self->pub));
}

/* Nor are pages set aside that it may need later: others may have them. */
TEST_F(topic_hugetlb, many_topics_share_the_pages)
{
	struct shmipc_pub *many[PAGES];
	struct statvfs s;
	char name[24];
	int i, ret;

	for (i = 0; i < PAGES; i++) {
		(void)snprintf(name, sizeof(name), "many/%d", i);
		ret = shmipc_pub_open(&many[i], name, NULL, NULL);
		if (ret)
			break;
		ASSERT_EQ(0, put(many[i], 7));
	}
	EXPECT_EQ(-ENOSPC, ret);
	EXPECT_EQ(PAGES - 1, i);
	ASSERT_EQ(0, statvfs(self->env.dir, &s));
	EXPECT_EQ(0, s.f_bavail);
	/* No SIGBUS, and it goes on when there are pages again. */
	EXPECT_EQ(-ENOSPC, put_len(many[0], 0, 7000000));
	while (--i)
		shmipc_pub_close(many[i]);
	EXPECT_EQ(0, put_len(many[0], 0, 7000000));
	shmipc_pub_close(many[0]);
}

TEST_F(topic_hugetlb, grows_with_messages)
{
	uint64_t was = pub_used(self->pub), i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, i % 8 ? 100 : LEN));
		ASSERT_EQ(i % 8 ? 100 : LEN, get_len(self->sub, i, LEN));
		EXPECT_LE(was, pub_used(self->pub));
		EXPECT_GE(was + 2 * PAGE, pub_used(self->pub));
		was = pub_used(self->pub);
	}
	EXPECT_LE(5 * PAGE, was);
	EXPECT_GE(6 * PAGE, was);
}

/* What is full says so, loses nothing, and goes on. */
TEST_F(topic_hugetlb, is_full_when_the_pages_are)
{
	struct shmipc_pub *b, *c;
	uint64_t sent = 0, i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, shmipc_pub_open(&b, "other", NULL, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&c, "third", NULL, NULL));
	ASSERT_EQ(0, put_len(b, 0, 8000000));
	for (i = 0; i < 250; i++)
		ASSERT_EQ(0, put_len(b, i, LEN));
	while (sent < 1000 && !put_len(self->pub, sent, LEN))
		sent++;
	EXPECT_EQ(-ENOSPC, put_len(self->pub, sent, LEN));
	EXPECT_LE(PAGE / 32768, sent);
	shmipc_pub_close(c);
	shmipc_pub_close(b);
	for (i = 0; i < sent; i++)
		ASSERT_EQ(LEN, get_len(self->sub, i, LEN));
	ASSERT_EQ(0, put_len(self->pub, 9, 6000000));
	ASSERT_EQ(6000000, get_len(self->sub, 9, 6000000));
}

/* A page that only the pool uses, and of the pool nobody. */
TEST_F(topic_hugetlb, whole_pages_are_given_back)
{
	uint64_t i, turn, was, n = 0;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	for (turn = 0; turn < 3; turn++) {
		for (i = 0; i < 250; i++) {
			ASSERT_EQ(0, put_len(self->pub, i, LEN));
			ASSERT_EQ(LEN, get_len(self->sub, i, LEN));
		}
		was = pub_used(self->pub);
		EXPECT_LE(5 * PAGE, was);
		ASSERT_EQ(0, shmipc_pub_trim(self->pub, 0, &n, SOON)) TH_LOG("%s", shmipc_error_text());
		EXPECT_LE(3 * PAGE, n);
		EXPECT_EQ(was - n, pub_used(self->pub));
		ASSERT_EQ(0, shmipc_pub_trim(self->pub, 0, &n, SOON));
		EXPECT_EQ(0, n);
	}
}

TEST_F(topic_hugetlb, populate_takes_all)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .flags = SHMIPC_POPULATE };
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(6 * PAGE, pub_used(pub));
	shmipc_pub_close(pub);
}

TEST_HARNESS_MAIN
