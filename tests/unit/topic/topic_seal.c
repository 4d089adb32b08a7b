// SPDX-License-Identifier: MIT
/*
 * topic_seal: large messages that their publisher cannot change either; on the device. Other
 * backends refuse to create such a topic.
 */
#include <setjmp.h>
#include <sys/uio.h>

#include "topic_ends.h"

#define SEAL		8192u
#define BIG		20000u		/* five chunks of 4 KiB */
#define NEED_DEV()	if (!env_on_dev()) SKIP(return, "only the device can seal")

FIXTURE(topic_seal) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
};

FIXTURE_SETUP(topic_seal)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.seal_bytes = SEAL;
	if (!env_on_dev())
		return;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
}

FIXTURE_TEARDOWN(topic_seal)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static sigjmp_buf after_bus;

static void on_bus(int sig)
{
	(void)sig;
	siglongjmp(after_bus, 1);
}

/* Can the byte be written? Then it is @c. */
static int can_write(volatile unsigned char *p, unsigned char c)
{
	struct sigaction a = { .sa_handler = on_bus, .sa_flags = SA_NODEFER };

	(void)sigaction(SIGBUS, &a, NULL);
	if (sigsetjmp(after_bus, 1))
		return 0;
	*p = c;
	return 1;
}

static struct shmipc_topic_stat look(void)
{
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_topic_look(TOPIC, &st);
	return st;
}

/* The messages' memory, as the publisher maps it. */
static unsigned char *writers_view(struct shmipc_pub *pub, const struct shmipc_sub *sub, const void *ptr)
{
	const unsigned char *pool = sub_priv(sub)->t.seg->log.pool;

	return pub_priv(pub)->t.seg->log.pool + ((const unsigned char *)ptr - pool);
}

TEST_F(topic_seal, other_backends_refuse_it)
{
	struct shmipc_segment_info info = SHMIPC_SEGMENT_INFO();
	struct shmipc_topic_opts plain = topic_small();

	if (env_on_dev())
		SKIP(return, "the device can seal");
	EXPECT_EQ(-EOPNOTSUPP, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "only the kernel module"));
	EXPECT_EQ(-EOPNOTSUPP, sub_open(&self->sub, &self->t, 0, 0));
	EXPECT_EQ(0, env_files(&self->env));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &plain, NULL));
	ASSERT_EQ(0, shmipc_pub_get_info(self->pub, &info));
	EXPECT_EQ(0, info.caps & SHMIPC_CAP_SEAL);
	EXPECT_EQ(0, look().opts.seal_bytes);
	EXPECT_EQ(0, look().chunks_sealed);
}

TEST_F(topic_seal, options_are_checked)
{
	struct shmipc_pub *pub;

	self->t.seal_bytes = self->t.inline_bytes + 127;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&pub, "other", &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "seal"));
	self->t.seal_bytes = SEAL;
	self->t.pool_bytes = 0;
	self->t.flags = SHMIPC_NO_POOL;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&pub, "other", &self->t, NULL));
	NEED_DEV();
	self->t = topic_small();
	self->t.seal_bytes = 2 * SEAL;
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&pub, TOPIC, &self->t, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "seal 16K, it was created with 8K"))
		TH_LOG("%s", shmipc_error_text());
	self->t.seal_bytes = 0;
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_pub_close(pub);
	self->t.seal_bytes = self->t.inline_bytes + 128;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "least", &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_pub_close(pub);
}

TEST_F(topic_seal, a_large_loan_is_sealed_when_it_is_published)
{
	struct shmipc_loan loan;
	struct shmipc_msg m;
	unsigned char *p;
	size_t i;

	NEED_DEV();
	EXPECT_EQ(SEAL, look().opts.seal_bytes);
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, BIG, NULL, &loan, 0)) TH_LOG("%s", shmipc_error_text());
	p = loan.ptr;
	msg_fill(p, BIG, SEED, 0);
	ASSERT_EQ(0, shmipc_pub_publish(self->pub, &loan, BIG, 0)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_NE(0, m.seal);
	EXPECT_TRUE(msg_is(&m, 0, BIG));
	EXPECT_EQ(5, look().chunks_sealed);
	for (i = 0; i < BIG; i += 1000)
		EXPECT_FALSE(can_write(p + i, 0));
	EXPECT_FALSE(can_write(p + BIG - 1, 0));
	EXPECT_TRUE(msg_is(&m, 0, BIG));
	EXPECT_EQ(0, shmipc_sub_sealed(self->sub, &m));
	shmipc_sub_release(self->sub, &m);
	EXPECT_EQ(-EINVAL, shmipc_sub_sealed(self->sub, &m));
}

TEST_F(topic_seal, by_size)
{
	struct shmipc_msg m;

	NEED_DEV();
	ASSERT_EQ(0, put_len(self->pub, 0, SEAL - 1));
	ASSERT_EQ(0, put_len(self->pub, 1, SEAL));
	ASSERT_EQ(0, put_len(self->pub, 2, 100));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_EQ(0, m.seal);
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_sealed(self->sub, &m));
	EXPECT_TRUE(can_write(writers_view(self->pub, self->sub, m.ptr), 1));
	shmipc_sub_release(self->sub, &m);
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_NE(0, m.seal);
	EXPECT_EQ(0, shmipc_sub_sealed(self->sub, &m));
	EXPECT_TRUE(msg_is(&m, 1, SEAL));
	EXPECT_FALSE(can_write(writers_view(self->pub, self->sub, m.ptr), 1));
	shmipc_sub_release(self->sub, &m);
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_EQ(0, m.seal);
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_sealed(self->sub, &m));
	shmipc_sub_release(self->sub, &m);
}

/* Headers and meta fields are before the payload, and sealed with it. */
TEST_F(topic_seal, with_its_prefix)
{
	struct shmipc_headers h;
	struct shmipc_msg m;
	unsigned char *buf = malloc(BIG);

	NEED_DEV();
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	self->t.meta = SHMIPC_META_ALL;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	shmipc_headers_init(&h);
	ASSERT_EQ(0, shmipc_headers_add(&h, "key", "value", 5));
	msg_fill(buf, BIG, SEED, 0);
	ASSERT_EQ(0, shmipc_pub_send_with(self->pub, &h, buf, BIG, 0)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_EQ(0, shmipc_sub_sealed(self->sub, &m));
	EXPECT_TRUE(msg_is(&m, 0, BIG));
	EXPECT_EQ(pub_stat(self->pub).id, m.pub_id);
	EXPECT_EQ(0, m.pub_seq);
	EXPECT_NE(0, m.mono_ns);
	EXPECT_NE(0, m.headers_len);
	EXPECT_FALSE(can_write(writers_view(self->pub, self->sub, m.headers), 1));
	shmipc_sub_release(self->sub, &m);
	shmipc_headers_free(&h);
	free(buf);
}

TEST_F(topic_seal, memory_is_used_again)
{
	struct shmipc_pub *b, *pub;
	uint64_t n, last = 0;
	struct shmipc_msg m;
	size_t len;

	NEED_DEV();
	ASSERT_EQ(0, shmipc_pub_open(&b, TOPIC, NULL, NULL));
	/* Sealed ones and others, through the same chunks, by two publishers in turn. */
	for (n = 0; n < 300; n++) {
		len = n % 3 == 2 ? 3000 : BIG - 1000 * (n % 7);
		pub = n % 2 ? b : self->pub;
		ASSERT_EQ(0, put_len(pub, n, len)) TH_LOG("%s", shmipc_error_text());
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
		ASSERT_TRUE(msg_is(&m, n, len));
		EXPECT_EQ(len < SEAL ? -EOPNOTSUPP : 0, shmipc_sub_sealed(self->sub, &m));
		if (len >= SEAL)
			EXPECT_GT(m.seal, last);
		last = m.seal ? m.seal : last;
		shmipc_sub_release(self->sub, &m);
	}
	shmipc_pub_close(b);
}

TEST_F(topic_seal, unsealing_does_not_go_unnoticed)
{
	struct shmipc_segment *seg;
	uint64_t off;
	struct shmipc_msg m;
	unsigned char *p;

	NEED_DEV();
	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	ASSERT_EQ(0, shmipc_sub_sealed(self->sub, &m));
	/* A publisher that means harm unseals one chunk in the middle of it, and changes that. */
	seg = pub_priv(self->pub)->t.seg;
	p = writers_view(self->pub, self->sub, m.ptr) + 8192;
	off = (uint64_t)(p - seg->base) / 4096 * 4096;
	ASSERT_EQ(0, seg->be->seal(seg, off, 4096, false));
	EXPECT_TRUE(can_write(p, (unsigned char)~*p));
	EXPECT_FALSE(msg_is(&m, 0, BIG));
	EXPECT_EQ(-ESTALE, shmipc_sub_sealed(self->sub, &m));
	/* Another seal is another one. */
	ASSERT_EQ(0, seg->be->seal(seg, off, 4096, true));
	EXPECT_EQ(-ESTALE, shmipc_sub_sealed(self->sub, &m));
	shmipc_sub_release(self->sub, &m);
}

TEST_F(topic_seal, what_could_not_be_published_can_be_written)
{
	struct shmipc_loan loan;
	struct shmipc_msg m;
	unsigned char *p;
	uint64_t n = 0;
	int ret;

	NEED_DEV();
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, BIG, NULL, &loan, 0));
	p = loan.ptr;
	msg_fill(p, BIG, SEED, 7);
	do
		ret = put(self->pub, n++);
	while (!ret);
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(-EAGAIN, shmipc_pub_publish(self->pub, &loan, BIG, 0));
	EXPECT_TRUE(can_write(p, *p));
	EXPECT_EQ(0, look().chunks_sealed);
	while (get(self->sub) >= 0)
		;
	ASSERT_EQ(0, shmipc_pub_publish(self->pub, &loan, BIG, SOON));
	EXPECT_FALSE(can_write(p, 0));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_TRUE(msg_is(&m, 7, BIG));
	EXPECT_EQ(0, shmipc_sub_sealed(self->sub, &m));
	shmipc_sub_release(self->sub, &m);
}

TEST_F(topic_seal, memory_in_use_is_not_sealed)
{
	struct shmipc_loan loan;
	struct iovec io;
	char buf[100];
	int end[2];

	NEED_DEV();
	ASSERT_EQ(0, pipe(end));
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, BIG, NULL, &loan, 0));
	msg_fill(loan.ptr, BIG, SEED, 0);
	io = (struct iovec){ loan.ptr, sizeof(buf) };
	ASSERT_EQ((ssize_t)sizeof(buf), vmsplice(end[1], &io, 1, 0));
	EXPECT_EQ(-EBUSY, shmipc_pub_publish(self->pub, &loan, BIG, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "O_DIRECT"));
	EXPECT_TRUE(can_write(loan.ptr, *(unsigned char *)loan.ptr));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	ASSERT_EQ((ssize_t)sizeof(buf), read(end[0], buf, sizeof(buf)));
	EXPECT_EQ(0, shmipc_pub_publish(self->pub, &loan, BIG, 0));
	EXPECT_EQ(BIG, get_len(self->sub, 0, BIG));
	(void)close(end[0]);
	(void)close(end[1]);
}

TEST_F(topic_seal, sealed_memory_is_given_back)
{
	uint64_t n, given = 0;

	NEED_DEV();
	for (n = 0; n < 8; n++) {
		ASSERT_EQ(0, put_len(self->pub, n, BIG));
		EXPECT_EQ(BIG, get_len(self->sub, n, BIG));
	}
	EXPECT_EQ(40, look().chunks_sealed);
	for (n = 8; n < 200; n++) {	/* they are not kept any more */
		ASSERT_EQ(0, put(self->pub, n));
		EXPECT_EQ((int64_t)n, get(self->sub));
	}
	ASSERT_EQ(0, shmipc_pub_trim(self->pub, 0, &given, SOON)) TH_LOG("%s", shmipc_error_text());
	EXPECT_GE(given, 39 * 4096);
	EXPECT_EQ(0, look().chunks_sealed);
	ASSERT_EQ(0, put_len(self->pub, n, BIG));
	EXPECT_EQ(BIG, get_len(self->sub, n, BIG));
}

/* Publishes large messages, and has loans, until it is killed. */
static int floods(struct other *me, void *arg)
{
	struct shmipc_loan loan;
	struct shmipc_pub *pub;
	uint64_t n;

	(void)arg;
	CHECK(!shmipc_pub_open(&pub, TOPIC, NULL, NULL));
	for (n = 0;; n++) {
		CHECK(!shmipc_pub_loan(pub, BIG, NULL, &loan, SOON));
		memset(loan.ptr, (int)n, BIG);
		CHECK(!shmipc_pub_publish(pub, &loan, BIG, SOON));
		if (n == 5)
			tell(me, 1);
	}
	return 0;
}

TEST_F(topic_seal, a_publisher_killed_at_any_moment_leaves_nothing_stuck)
{
	static unsigned char buf[BIG];
	uint64_t round, n;
	struct other o;

	NEED_DEV();
	shmipc_sub_close(self->sub);
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	for (round = 0; round < rng_few(20); round++) {
		ASSERT_EQ(0, other_start(&o, 0, floods, NULL));
		ASSERT_EQ(1, hear(&o));
		shmipc_sleep_ns(round % 5 * 300000);
		(void)other_kill(&o);
		/* All of the pool is there for the next. */
		for (n = 0; n < 26; n++)
			ASSERT_EQ(0, shmipc_pub_send(self->pub, buf, BIG, SOON))
				TH_LOG("round %d: %s", (int)round, shmipc_error_text());
	}
}

TEST_F(topic_seal, read_only_subscribers_have_copies)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_OLDEST, 0);
	struct shmipc_sub *sub;
	struct shmipc_msg m;

	NEED_DEV();
	o.flags = SHMIPC_SUB_READ_ONLY;
	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(0, shmipc_sub_open(&sub, TOPIC, NULL, &o)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_take(sub, &m, 0));
	EXPECT_TRUE(msg_is(&m, 0, BIG));
	EXPECT_EQ(0, m.seal);
	EXPECT_EQ(-EOPNOTSUPP, shmipc_sub_sealed(sub, &m));
	shmipc_sub_release(sub, &m);
	shmipc_sub_close(sub);
}

TEST_F(topic_seal, in_large_pages)
{
	const size_t len = 3 << 20;
	struct shmipc_loan loan;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_segment *seg;
	struct shmipc_msg m;
	int i;

	NEED_DEV();
	self->t.page = SHMIPC_PAGE_2M;
	self->t.pool_bytes = UINT64_C(32) << 20;
	self->t.seal_bytes = 1 << 20;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "large", &self->t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_open(&sub, "large", NULL, NULL));
	seg = pub_priv(pub)->t.seg;
	EXPECT_EQ(2u << 20, seg->log.hdr.chunk_bytes);
	EXPECT_EQ(0, (seg->hdr.body_off + seg->log.hdr.pool_off) % (2u << 20));
	if (seg->be->huge(seg))
		EXPECT_GE(seg->be->huge(seg), UINT64_C(32) << 20);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, shmipc_pub_loan(pub, len, NULL, &loan, SOON)) TH_LOG("%s", shmipc_error_text());
		memset(loan.ptr, i + 1, len);
		ASSERT_EQ(0, shmipc_pub_publish(pub, &loan, len, SOON));
		ASSERT_EQ(0, shmipc_sub_take(sub, &m, 0));
		EXPECT_EQ(0, shmipc_sub_sealed(sub, &m));
		EXPECT_EQ(i + 1, *(const unsigned char *)m.ptr);
		EXPECT_EQ(i + 1, ((const unsigned char *)m.ptr)[len - 1]);
		EXPECT_FALSE(can_write(writers_view(pub, sub, m.ptr), 0));
		shmipc_sub_release(sub, &m);
	}
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
}

TEST_HARNESS_MAIN
