// SPDX-License-Identifier: MIT
/* topic_many: many publishers and many subscribers, in processes and threads; and kills */
#include "topic_ends.h"

#define EACH	500u	/* messages of one publisher */
#define ENDS	8

FIXTURE(topic_many) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
};

FIXTURE_SETUP(topic_many)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.publishers = 128;
	self->t.subscribers = 128;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, 0))
		TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic_many)
{
	shmipc_pub_close(self->pub);
	shmipc_sub_close(self->sub);
	env_tear_down(&self->env);
}

TEST_F(topic_many, alternating_publishers)
{
	struct shmipc_pub *pub[3];
	uint64_t i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, shmipc_pub_open(&pub[i], TOPIC, NULL, NULL));
	}
	for (i = 0; i < 900; i++) {
		ASSERT_EQ(0, put(pub[i % 3], i));
		ASSERT_EQ((int64_t)i, get(self->sub));
		ASSERT_EQ(i, shmipc_sub_seq(self->sub));
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(300, pub_stat(pub[i]).sent);
		shmipc_pub_close(pub[i]);
	}
}

/* Publisher number @arg: its messages contain their number and its own. */
static int publishes(struct other *me, void *arg)
{
	uint64_t id = (uintptr_t)arg, i;
	struct shmipc_pub *pub;

	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == 0);
	tell(me, 1);
	CHECK(hear(me) == 1);
	for (i = 0; i < EACH; i++)
		CHECK(put_until(pub, id << 32 | i, SOON) == 0);
	shmipc_pub_close(pub);
	return 0;
}

/* Receives all messages of @arg publishers, each once, in order; reports a hash of the order. */
static int subscribes(struct other *me, void *arg)
{
	uint64_t pubs = (uintptr_t)arg, next[ENDS + 2] = { 0 }, i, sum = 0, was = 0;
	struct shmipc_sub *sub;
	int64_t n;

	CHECK(sub_open(&sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS) == 0);
	tell(me, 1);
	for (i = 0; i < pubs * EACH; i++) {
		n = get_until(sub, SOON);
		CHECK(n >= 0);
		CHECK((uint64_t)n >> 32 < pubs);
		CHECK((n & 0xffffffff) == (int64_t)next[n >> 32]);
		next[n >> 32]++;
		CHECK(!i || shmipc_sub_seq(sub) == was + 1);
		was = shmipc_sub_seq(sub);
		sum = rng_mix(sum ^ (uint64_t)n);
	}
	CHECK(get(sub) == -EAGAIN);
	CHECK(sub_stat(sub).lost == 0 && sub_stat(sub).aborted == 0);
	shmipc_sub_close(sub);
	tell(me, sum);
	return 0;
}

/* @npubs to @nsubs, processes or threads. True: all subscribers received the same order. */
static bool together(struct __test_metadata *_metadata, int thread, uint64_t npubs, uint64_t nsubs)
{
	struct other p[ENDS + 2], s[ENDS + 2];
	uint64_t i, sum = 0, is;
	bool same = true;

	for (i = 0; i < nsubs; i++)
		same &= !other_start(&s[i], thread, subscribes, (void *)(uintptr_t)npubs) &&
			hear(&s[i]) == 1;
	for (i = 0; i < npubs; i++)
		same &= !other_start(&p[i], thread, publishes, (void *)(uintptr_t)i) &&
			hear(&p[i]) == 1;
	for (i = 0; i < npubs; i++)
		tell(&p[i], 1);
	for (i = 0; i < npubs; i++)
		same &= !other_end(&p[i]);
	for (i = 0; i < nsubs; i++) {
		is = hear(&s[i]);
		same &= !i || is == sum;
		sum = is;
		same &= !other_end(&s[i]);
	}
	return same;
}

TEST_F(topic_many, one_to_n)
{
	EXPECT_TRUE(together(_metadata, 0, 1, ENDS));
}

TEST_F(topic_many, n_to_one)
{
	EXPECT_TRUE(together(_metadata, 0, ENDS, 1));
}

TEST_F(topic_many, n_to_n)
{
	EXPECT_TRUE(together(_metadata, 0, ENDS, ENDS));
}

TEST_F(topic_many, publishers_one_order)
{
	EXPECT_TRUE(together(_metadata, 0, 4, 3));
}

/* AlephZero: 10 threads x 500 messages */
TEST_F(topic_many, ten_threads_of_500_messages)
{
	EXPECT_TRUE(together(_metadata, 1, 10, 2));
}

TEST_F(topic_many, as_many_ends_as_documented)
{
	struct shmipc_topic_opts t = { .struct_bytes = sizeof(t), .publishers = 256,
				       .subscribers = 1024, .pool_bytes = 4096 };
	static struct shmipc_pub *pub[256];
	static struct shmipc_sub *sub[1024];
	struct shmipc_sub_opts so = sub_opts(0, SHMIPC_POLICY_LOSSLESS);
	struct shmipc_pub *p;
	struct shmipc_sub *s;
	unsigned int i;

	if (on_qemu())
		SKIP(return, "too many for an emulator");
	for (i = 0; i < 256; i++) {
		ASSERT_EQ(0, shmipc_pub_open(&pub[i], "crowd", &t, NULL)) TH_LOG("%s", shmipc_error_text());
	}
	for (i = 0; i < 1024; i++) {
		ASSERT_EQ(0, shmipc_sub_open(&sub[i], "crowd", NULL, &so)) TH_LOG("%s", shmipc_error_text());
	}
	EXPECT_EQ(-EBUSY, shmipc_pub_open(&p, "crowd", NULL, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "all 256 publishers"));
	EXPECT_EQ(-ENOSPC, shmipc_sub_open(&s, "crowd", NULL, &so));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "all 1024"));
	for (i = 0; i < 256; i++) {
		ASSERT_EQ(0, put(pub[i], i));
	}
	for (i = 0; i < 1024; i++) {
		ASSERT_EQ(0, get_range(sub[i], 0, 256));
	}
	for (i = 0; i < 256; i++)
		shmipc_pub_close(pub[i]);
	for (i = 0; i < 1024; i++)
		shmipc_sub_close(sub[i]);
}

/* Publishes until it is killed. */
static int writes_on(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t n = 0;

	(void)arg;
	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == 0);
	tell(me, 1);
	for (;;) {
		int ret = put_len(pub, n, n % 3 ? n % 241 : 500 + n % 3000);

		CHECK(ret == 0 || ret == -EAGAIN);
		n++;
	}
}

/* Is it a whole message of some number? The number is not in the message: try all. */
static int is_whole(const struct shmipc_msg *m)
{
	uint64_t n;

	/* Numbers of which writes_on() makes messages of this length. */
	for (n = 0; n < 1000000; n++)
		if (m->len == (n % 3 ? n % 241 : 500 + n % 3000) && msg_ok(m->ptr, m->len, SEED, n))
			return 1;
	return 0;
}

/* AlephZero: 100 processes are killed while they write; the topic works on. */
TEST_F(topic_many, hundred_killed_in_mid_write)
{
	uint64_t oldest, next, whole = 0, seen = 0, aborted = 0;
	struct other o[4];
	struct shmipc_msg m;
	struct rng r = { 99 };
	int i, j, ret;

	for (i = 0; i < 100; i += 4) {
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(0, other_start(&o[j], 0, writes_on, NULL));
			ASSERT_EQ(1, hear(&o[j]));
		}
		(void)nanosleep(&(struct timespec){ 0, (long)rng_below(&r, 3000000) }, NULL);
		for (j = 0; j < 4; j++)
			(void)kill(o[j].pid, SIGKILL);
		for (j = 0; j < 4; j++) {
			ASSERT_EQ(256 + SIGKILL, other_end(&o[j]));
		}
		/* The messages that are kept are whole, and there are some. */
		ASSERT_EQ(0, put(self->pub, 1));
		do
			ret = shmipc_sub_take(self->sub, &m, 0);
		while (ret == -ESTALE);
		for (; !ret || ret == -ESTALE; ret = shmipc_sub_take(self->sub, &m, 0)) {
			if (ret)
				continue;
			seen++;
			/* Only some, as finding a number is slow. */
			if (seen % 16 == 0 && m.len != 8) {
				whole++;
				ASSERT_TRUE(is_whole(&m)) TH_LOG("message of %zu bytes", m.len);
			}
			shmipc_sub_release(self->sub, &m);
		}
		ASSERT_EQ(-EAGAIN, ret);
	}
	EXPECT_GT(whole, 10);
	aborted = sub_stat(self->sub).aborted;
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	EXPECT_EQ(next, sub_stat(self->sub).received + sub_stat(self->sub).lost + aborted);
	/* No chunk of the pool has leaked. */
	EXPECT_EQ(0, put_len(self->pub, 3, pub_stat(self->pub).max_message));
	EXPECT_EQ((int64_t)pub_stat(self->pub).max_message,
		  get_len(self->sub, 3, pub_stat(self->pub).max_message));
}

/* A persistent topic's file, copied while ends are attached and a message is half written. */
FIXTURE(topic_copy) {
	struct env env;
};

FIXTURE_SETUP(topic_copy)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(topic_copy)
{
	env_tear_down(&self->env);
}

static int is_in_it(struct other *me, void *arg)
{
	struct shmipc_topic_opts t = topic_small();
	struct shmipc_pub *pub;
	uint64_t seq;
	int ret;

	(void)arg;
	t.flags = SHMIPC_PERSIST;
	CHECK(shmipc_pub_open(&pub, TOPIC, &t, NULL) == 0);
	CHECK(put_range(pub, 0, 30) == 0);
	CHECK(shmipc_tlog_claim(&pub->tx, 1, &seq) == 0);
	shmipc_tlog_fill(&pub->tx, seq, NULL, 0, "torn torn", 8, 0);
	ret = stay(me);
	shmipc_tlog_commit(&pub->tx, seq, 1, SHMIPC_ENTRY_CELL, 8);
	shmipc_pub_close(pub);
	(void)shmipc_segment_unlink(TOPIC);
	return ret;
}

TEST_F(topic_copy, file_in_use_is_a_topic)
{
	char cmd[512], copy[160];
	struct shmipc_sub *sub;
	struct shmipc_pub *pub;
	struct other o;

	if (env_on_dev())
		SKIP(return, "the device has no files");
	ASSERT_EQ(0, other_start(&o, 0, is_in_it, NULL));
	ASSERT_EQ(1, hear(&o));
	(void)snprintf(copy, sizeof(copy), "%s.copy", self->env.dir);
	(void)snprintf(cmd, sizeof(cmd), "cp -rp '%s' '%s'", self->env.dir, copy);
	ASSERT_EQ(0, system(cmd));
	(void)setenv("SHMIPC_DIR", copy, 1);
	ASSERT_EQ(0, sub_open(&sub, NULL, SHMIPC_START_OLDEST, 0)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, get_range(sub, 0, 30));
	EXPECT_EQ(-EAGAIN, get(sub));
	EXPECT_EQ(1, sub_stat(sub).aborted);
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, NULL, NULL));
	EXPECT_EQ(0, put(pub, 31));
	EXPECT_EQ(31, get(sub));
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
	EXPECT_EQ(0, shmipc_segment_unlink(TOPIC));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	env_remove(copy);
}

TEST_HARNESS_MAIN
