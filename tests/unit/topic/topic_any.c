// SPDX-License-Identifier: MIT
/* topic_any: waiting for any of several subscribers, and looking at a topic without joining it */
#include "topic_ends.h"

#define MANY	2000

FIXTURE(topic_any) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub[4];
	struct shmipc_sub *sub[4];
	size_t first;
	int done;
};

static const char *const names[] = { "a", "b", "c/d", "e" };

FIXTURE_SETUP(topic_any)
{
	int i;

	env_set_up(&self->env);
	self->t = topic_small();
	self->first = 99;
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, shmipc_pub_open(&self->pub[i], names[i], &self->t, NULL));
		ASSERT_EQ(0, shmipc_sub_open(&self->sub[i], names[i], NULL, NULL));
	}
}

FIXTURE_TEARDOWN(topic_any)
{
	int i;

	for (i = 0; i < 4; i++) {
		shmipc_sub_close(self->sub[i]);
		shmipc_pub_close(self->pub[i]);
	}
	env_tear_down(&self->env);
}

TEST_F(topic_any, reports_which_one_is_ready)
{
	int i;

	EXPECT_EQ(-EAGAIN, shmipc_sub_wait_any(self->sub, 4, &self->first, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_sub_wait_any(self->sub, 4, &self->first, shmipc_deadline_in(2000000)));
	EXPECT_EQ(99, self->first);
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, put(self->pub[i * 7 % 4], 5));
		ASSERT_EQ(0, shmipc_sub_wait_any(self->sub, 4, &self->first, i % 2 ? 0 : SOON));
		ASSERT_EQ((size_t)i * 7 % 4, self->first);
		ASSERT_EQ(5, get(self->sub[self->first]));
		ASSERT_EQ(-EAGAIN, shmipc_sub_wait_any(self->sub, 4, &self->first, 0));
	}
}

/* A subscriber that is always ready does not starve the others. */
TEST_F(topic_any, is_fair)
{
	int i, seen[4] = { 0 };

	for (i = 0; i < 400; i++) {
		ASSERT_EQ(0, put(self->pub[0], 1));
		ASSERT_EQ(0, put(self->pub[3], 1));
		ASSERT_EQ(0, shmipc_sub_wait_any(self->sub, 4, &self->first, 0));
		seen[self->first]++;
		(void)get(self->sub[self->first]);
	}
	EXPECT_GT(seen[0], 100);
	EXPECT_GT(seen[3], 100);
	EXPECT_EQ(400, seen[0] + seen[3]);
}

static int waits(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_any) *self = arg;
	size_t which = 99;
	int i;

	for (i = 0; i < 8; i++) {
		CHECK(shmipc_sub_wait_any(self->sub, 4, &which, SOON) == 0);
		CHECK(get(self->sub[which]) == 7);
		tell(me, which);
	}
	return 0;
}

TEST_F(topic_any, sleeper_is_woken_by_each)
{
	struct other o;
	int i;

	ASSERT_EQ(0, other_start(&o, 1, waits, self));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(0, until_asleep(o.tid));
		ASSERT_EQ(0, put(self->pub[i * 3 % 4], 7));
		EXPECT_EQ((uint64_t)i * 3 % 4, hear(&o));
	}
	EXPECT_EQ(0, other_end(&o));
}

/* A subscriber with a loss to report, or that was cut off, is ready. */
TEST_F(topic_any, losses_count)
{
	struct shmipc_sub_opts so = sub_opts(0, SHMIPC_POLICY_LOSSY);

	so.start = SHMIPC_START_SEQ;
	shmipc_sub_close(self->sub[2]);
	ASSERT_EQ(0, put_range(self->pub[2], 0, 200));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub[2], names[2], NULL, &so));
	ASSERT_EQ(0, shmipc_sub_wait_any(self->sub, 4, &self->first, 0));
	EXPECT_EQ(2, self->first);
	EXPECT_EQ(-ESTALE, get(self->sub[2]));
}

static int reserves(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t seq;

	(void)arg;
	CHECK(shmipc_pub_open(&pub, names[1], NULL, NULL) == 0);
	CHECK(shmipc_tlog_claim(&pub->tx, 1, &seq) == 0);
	return stay(me);
}

static int waits_once(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_any) *self = arg;
	size_t which = 99;
	int64_t n;

	do {
		CHECK(shmipc_sub_wait_any(self->sub, 4, &which, SOON) == 0);
		n = get(self->sub[which]);
	} while (n == -EAGAIN);
	tell(me, (uint64_t)n);
	return 0;
}

TEST_F(topic_any, claims_of_killed_publishers_are_skipped)
{
	struct other o, w;

	ASSERT_EQ(0, other_start(&o, 0, reserves, NULL));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, put(self->pub[1], 8));
	EXPECT_EQ(-EAGAIN, shmipc_sub_wait_any(self->sub, 4, &self->first, 0));
	ASSERT_EQ(0, other_start(&w, 1, waits_once, self));
	ASSERT_EQ(0, until_asleep(w.tid));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ(8, hear(&w));
	EXPECT_EQ(0, other_end(&w));
}

TEST_F(topic_any, thousands)
{
	static struct shmipc_sub *sub[MANY];
	struct shmipc_topic_opts t = self->t;
	struct shmipc_pub *pub;
	int i;

	if (on_qemu())
		SKIP(return, "too many for an emulator");
	t.subscribers = MANY;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "crowd", &t, NULL));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, shmipc_sub_open(&sub[i], "crowd", NULL, NULL)) TH_LOG("%d: %s", i, shmipc_error_text());
	}
	EXPECT_EQ(-ETIMEDOUT, shmipc_sub_wait_any(sub, MANY, &self->first, shmipc_deadline_in(1000000)));
	ASSERT_EQ(0, put(pub, 3));
	for (i = 0; i < MANY; i++) {
		ASSERT_EQ(0, shmipc_sub_wait_any(sub, MANY, &self->first, SOON));
		ASSERT_EQ(3, get(sub[self->first]));
	}
	EXPECT_EQ(-EAGAIN, shmipc_sub_wait_any(sub, MANY, &self->first, 0));
	for (i = 0; i < MANY; i++)
		shmipc_sub_close(sub[i]);
	shmipc_pub_close(pub);
}

TEST_F(topic_any, invalid_arguments_are_refused)
{
	EXPECT_EQ(-EINVAL, shmipc_sub_wait_any(self->sub, 0, &self->first, SHMIPC_FOREVER));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
	EXPECT_EQ(-EINVAL, shmipc_sub_wait_any(self->sub, 65537, &self->first, SHMIPC_FOREVER));
}

/* Looking */

static int holds_one(struct other *me, void *arg)
{
	struct shmipc_sub_opts so = sub_opts(SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS);
	struct shmipc_sub *sub;
	struct shmipc_msg m;

	(void)arg;
	so.group = 5;
	CHECK(shmipc_sub_open(&sub, names[0], NULL, &so) == 0);
	CHECK(shmipc_sub_take(sub, &m, 0) == 0);
	return stay(me);
}

TEST_F(topic_any, look_shows_the_topic_and_does_not_join)
{
	struct shmipc_topic_pub_info p[8];
	struct shmipc_topic_sub_info s[16];
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st), .pub = p, .pub_cap = 8, .sub = s,
					.sub_cap = 16 };
	struct other o;

	ASSERT_EQ(0, put_len(self->pub[0], 0, 5000));
	ASSERT_EQ(0, put_range(self->pub[0], 1, 10));
	ASSERT_EQ(0, other_start(&o, 0, holds_one, NULL));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(5000, get_len(self->sub[0], 0, 5000));
	ASSERT_EQ(1, get(self->sub[0]));
	ASSERT_EQ(0, shmipc_topic_look(names[0], &st)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(1, st.in_use);
	EXPECT_EQ(10, st.tail);
	EXPECT_EQ(0, st.floor);
	EXPECT_EQ(64, st.entries);
	EXPECT_EQ(4096, st.chunk_bytes);
	EXPECT_EQ(64, st.chunks);
	EXPECT_EQ(62, st.chunks_free);
	EXPECT_EQ(0, st.chunks_owned);
	EXPECT_EQ(2, st.chunks_held);
	EXPECT_EQ(8, st.opts.publishers);
	EXPECT_EQ(16, st.opts.subscribers);
	EXPECT_EQ(40, st.opts.history);
	EXPECT_EQ(256 * 1024, st.max_message);
	ASSERT_EQ(1, st.npubs);
	EXPECT_EQ(getpid(), (int)p[0].peer.pid);
	EXPECT_EQ(10, p[0].sent);
	EXPECT_EQ(5072, p[0].bytes);
	EXPECT_EQ(pub_stat(self->pub[0]).id, p[0].id);
	ASSERT_EQ(2, st.nsubs);
	EXPECT_EQ(getpid(), (int)s[0].peer.pid);
	EXPECT_EQ(SHMIPC_POLICY_LOSSY, s[0].policy);
	EXPECT_EQ(8, s[0].lag);
	EXPECT_EQ(2, s[0].received);
	EXPECT_EQ(0, s[0].group);
	EXPECT_EQ(o.pid, (int)s[1].peer.pid);
	EXPECT_EQ(SHMIPC_POLICY_LOSSLESS, s[1].policy);
	EXPECT_EQ(5, s[1].group) TH_LOG("the number that it asked for");
	EXPECT_EQ(1, s[1].holding);
	EXPECT_EQ(0, s[1].evicted);
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(0, shmipc_topic_look(names[0], &st));
	ASSERT_EQ(2, st.nsubs) TH_LOG("dead, and not yet replaced");
	EXPECT_EQ(SHMIPC_PEER_DIED, s[1].peer.state);
	/* Without room in the array they are counted. */
	st.sub_cap = 0;
	ASSERT_EQ(0, shmipc_topic_look(names[0], &st));
	EXPECT_EQ(2, st.nsubs);
	/* The sums stay when the publisher has gone. */
	shmipc_pub_close(self->pub[0]);
	self->pub[0] = NULL;
	ASSERT_EQ(0, shmipc_topic_look(names[0], &st));
	EXPECT_EQ(0, st.npubs);
	EXPECT_EQ(10, st.sent);
	EXPECT_EQ(5072, st.bytes);
	EXPECT_EQ(0, st.waits);
	EXPECT_EQ(0, st.aborted);
	EXPECT_EQ(-ENOENT, shmipc_topic_look("none", &st));
	EXPECT_EQ(-EINVAL, shmipc_topic_look("/none", &st));
	st.struct_bytes = 8;
	EXPECT_EQ(-EINVAL, shmipc_topic_look(names[0], &st));
}

TEST_HARNESS_MAIN
