// SPDX-License-Identifier: MIT
/* topic_pool: messages of all sizes, filled in place, held for as long as needed */
#include "topic_ends.h"

FIXTURE(topic_pool) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_blocked b;
};

FIXTURE_SETUP(topic_pool)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.evict_ns = 1000000;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, 0));
}

FIXTURE_TEARDOWN(topic_pool)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static int loan_len(struct shmipc_pub *pub, uint64_t n, size_t len, struct shmipc_loan *l)
{
	int ret = shmipc_pub_loan(pub, len, NULL, l, 0);

	if (!ret)
		msg_fill(l->ptr, len, SEED, n);
	return ret;
}

static int64_t take_is(struct shmipc_sub *sub, uint64_t n, size_t len)
{
	struct shmipc_msg m;
	int ret = shmipc_sub_take(sub, &m, 0), is;

	if (ret)
		return ret;
	is = msg_is(&m, n, len);
	shmipc_sub_release(sub, &m);
	return is;
}

static const size_t sizes[] = { 0, 1, 7, 8, 63, 64, 65, 239, 240, 241, 2047, 2048, 2049, 4095, 4096,
				4097, 8191, 8192, 8193, 65536, 100000, 200001, 262143, 262144 };

TEST_F(topic_pool, each_size_three_ways)
{
	uint64_t n = 0;
	size_t i, len;
	struct shmipc_loan l;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		len = sizes[i];
		ASSERT_EQ(0, put_len(self->pub, n, len)) TH_LOG("%zu", len);
		ASSERT_EQ((int64_t)len, get_len(self->sub, n, len)) TH_LOG("%zu", len);
		n++;
		ASSERT_EQ(0, put_len(self->pub, n, len)) TH_LOG("%zu", len);
		ASSERT_EQ(1, take_is(self->sub, n, len)) TH_LOG("%zu", len);
		n++;
		ASSERT_EQ(0, loan_len(self->pub, n, len, &l)) TH_LOG("%zu", len);
		ASSERT_EQ(0, shmipc_pub_publish(self->pub, &l, len, 0));
		ASSERT_EQ(1, take_is(self->sub, n, len)) TH_LOG("%zu", len);
		n++;
	}
}

TEST_F(topic_pool, close_to_the_pools_size)
{
	size_t max = pub_stat(self->pub).max_message, len;
	struct shmipc_loan l;

	EXPECT_EQ(256 * 1024, max);
	for (len = max - 3; len <= max; len++) {
		ASSERT_EQ(0, put_len(self->pub, len, len));
		ASSERT_EQ((int64_t)len, get_len(self->sub, len, len));
	}
	EXPECT_EQ(-EMSGSIZE, put_len(self->pub, 0, max + 1));
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_loan(self->pub, max + 1, NULL, &l, SHMIPC_FOREVER));
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_send(self->pub, "", SIZE_MAX, SHMIPC_FOREVER));
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_loan(self->pub, SIZE_MAX, NULL, &l, SHMIPC_FOREVER));
	EXPECT_EQ(0, put(self->pub, 1));
	EXPECT_EQ(1, get(self->sub));
}

TEST_F(topic_pool, sixty_four_mebibytes)
{
	struct shmipc_topic_opts t = self->t;
	static const size_t big[] = { 0, 100, 1 << 20, (5 << 20) + 1, 64 << 20, 64 << 20 };
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	size_t i, n = sizeof(big) / sizeof(*big);

	if (on_qemu())
		SKIP(return, "too much for an emulator");
	if (getenv("SHMIPC_TEST_SANITIZER"))	/* which checks each access */
		n -= 2;
	t.pool_bytes = 128 << 20;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "big", &t, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_open(&sub, "big", NULL, NULL));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, put_len(pub, i, big[i]));
		ASSERT_EQ(1, take_is(sub, i, big[i]));
	}
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
}

/* A small message leaves a partly filled chunk; the largest needs all chunks. */
TEST_F(topic_pool, largest_fits_after_a_small_one)
{
	size_t max = pub_stat(self->pub).max_message;
	int i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, put_len(self->pub, 1, 300));
		ASSERT_EQ(0, put_len(self->pub, 2, max)) TH_LOG("round %d", i);
	}
}

/* The partly filled chunk belongs to another publisher, which is alive and idle. */
TEST_F(topic_pool, largest_fits_after_a_small_one_of_an_idle_publisher)
{
	size_t max = pub_stat(self->pub).max_message;
	struct shmipc_pub *idle[4];
	int i, j;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, shmipc_pub_open(&idle[i], TOPIC, NULL, NULL));
	}
	for (j = 0; j < 5; j++) {
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, put_len(idle[i], 1, 300));
		}
		ASSERT_EQ(0, put_len(self->pub, 2, max)) TH_LOG("round %d", j);
		ASSERT_EQ(0, put_len(self->pub, 3, max));
	}
	for (i = 0; i < 4; i++)
		shmipc_pub_close(idle[i]);
}

TEST_F(topic_pool, payloads_have_the_requested_alignment)
{
	static const uint32_t aligns[] = { 1, 8, 16, 64, 128, 1024, 4096 };
	struct shmipc_topic_opts t = self->t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_msg m;
	struct shmipc_loan l;
	uint64_t n = 0;
	size_t i, j;

	t.pool_bytes = 4 << 20;
	for (i = 0; i < sizeof(aligns) / sizeof(*aligns); i++) {
		t.align = aligns[i];
		t.meta = i % 2 ? SHMIPC_META_PUB_SEQ : 0;
		ASSERT_EQ(0, shmipc_pub_open(&pub, "al", &t, NULL)) TH_LOG("%s", shmipc_error_text());
		ASSERT_EQ(0, shmipc_sub_open(&sub, "al", NULL, NULL));
		for (j = 0; j < 18; j++) {
			ASSERT_EQ(0, loan_len(pub, n, sizes[j], &l));
			EXPECT_EQ(0, (uintptr_t)l.ptr % aligns[i]) TH_LOG("loan of %zu", sizes[j]);
			ASSERT_EQ(0, shmipc_pub_publish(pub, &l, sizes[j], 0));
			ASSERT_EQ(0, shmipc_sub_take(sub, &m, 0));
			EXPECT_TRUE(msg_is(&m, n, sizes[j]));
			EXPECT_EQ(0, (uintptr_t)m.ptr % aligns[i]) TH_LOG("%zu", sizes[j]);
			shmipc_sub_release(sub, &m);
			ASSERT_EQ(0, put_len(pub, n, sizes[j]));
			ASSERT_EQ(0, shmipc_sub_take(sub, &m, 0));
			EXPECT_EQ(0, (uintptr_t)m.ptr % aligns[i]) TH_LOG("%zu", sizes[j]);
			shmipc_sub_release(sub, &m);
			n++;
		}
		shmipc_pub_close(pub);
		shmipc_sub_close(sub);
	}
}

/* The largest message that the publisher reports is published, wherever there is room for it. */
TEST_F(topic_pool, messages_go_into_the_log_if_only_that_has_room)
{
	struct shmipc_topic_opts t = { .struct_bytes = sizeof(t), .inline_bytes = 8192,
				       .pool_bytes = 4096, .history = 8, .meta = SHMIPC_META_MONO };
	struct shmipc_pub_opts po = { .struct_bytes = sizeof(po), .pool_from = 100 };
	struct shmipc_pub_stat st;
	struct shmipc_sub *sub;
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_pub_open(&pub, "log", &t, &po));
	ASSERT_EQ(0, shmipc_sub_open(&sub, "log", NULL, NULL));
	st = pub_stat(pub);
	ASSERT_LE(8000, st.max_message);
	EXPECT_EQ(0, put_len(pub, 0, 200));
	EXPECT_EQ(200, get_len(sub, 0, 200));
	EXPECT_EQ(0, put_len(pub, 1, st.max_message));
	EXPECT_EQ((int64_t)st.max_message, get_len(sub, 1, st.max_message));
	EXPECT_EQ(-EMSGSIZE, put_len(pub, 2, st.max_message + 1));
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
}

TEST_F(topic_pool, messages_above_a_limit_go_into_the_pool)
{
	struct shmipc_pub_opts po = { .struct_bytes = sizeof(po), .pool_from = 100 };
	struct shmipc_pub *pub;
	uint64_t n = 0;
	size_t len;

	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, NULL, &po));
	for (len = 90; len < 110; len++, n++) {
		const struct shmipc_entry *e = shmipc_tlog_entry(log_of(pub), n);

		ASSERT_EQ(0, put_len(pub, n, len));
		EXPECT_EQ(n << 2 | (len < 100 ? SHMIPC_ENTRY_CELL : SHMIPC_ENTRY_POOL), e->word);
		ASSERT_EQ((int64_t)len, get_len(self->sub, n, 200));
	}
	shmipc_pub_close(pub);
}

/* Loans */

TEST_F(topic_pool, many_loans_at_a_time_published_in_any_order)
{
	struct shmipc_loan l[40];
	int order[40], i, j, k;
	struct rng r = { 3 };

	for (k = 0; k < 20; k++) {
		for (i = 0; i < 40; i++) {
			ASSERT_EQ(0, loan_len(self->pub, (uint64_t)i, 100 + (size_t)i * 60, &l[i])) TH_LOG("%d", i);
			order[i] = i;
		}
		for (i = 39; i > 0; i--) {
			int at = (int)rng_below(&r, (uint64_t)i + 1), t = order[at];

			order[at] = order[i];
			order[i] = t;
		}
		EXPECT_EQ(-EAGAIN, get(self->sub));
		for (i = 0; i < 40; i++) {
			j = order[i];
			ASSERT_EQ(0, shmipc_pub_publish(self->pub, &l[j], l[j].len, 0));
			EXPECT_EQ(NULL, l[j].ptr);
		}
		for (i = 0; i < 40; i++) {
			j = order[i];
			ASSERT_EQ(1, take_is(self->sub, (uint64_t)j, 100 + (size_t)j * 60));
		}
	}
}

/* que: reserve, cancel */
TEST_F(topic_pool, a_dropped_loan_leaves_no_message)
{
	struct chunks c;
	struct shmipc_loan l[30];
	int i, k;

	for (k = 0; k < 50; k++) {
		for (i = 0; i < 30; i++) {
			ASSERT_EQ(0, loan_len(self->pub, 1, (size_t)(i % 5) * 2000, &l[i]));
		}
		for (i = 0; i < 30; i++)
			shmipc_pub_drop(self->pub, &l[29 - i]);
		shmipc_pub_drop(self->pub, &l[0]);	/* again: nothing */
	}
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(0, pub_stat(self->pub).next);
	ASSERT_EQ(0, put(self->pub, 4));
	EXPECT_EQ(4, get(self->sub));
	EXPECT_EQ(0, shmipc_sub_seq(self->sub));
	shmipc_pub_close(self->pub);
	self->pub = NULL;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	c = chunks_of(log_of(self->pub));
	EXPECT_EQ(64, c.free);
}

TEST_F(topic_pool, published_shorter_than_loaned)
{
	struct shmipc_loan l;

	ASSERT_EQ(0, loan_len(self->pub, 1, 5000, &l));
	EXPECT_EQ(-EINVAL, shmipc_pub_publish(self->pub, &l, 5001, 0));
	EXPECT_NE(NULL, l.ptr);
	msg_fill(l.ptr, 3, SEED, 1);
	EXPECT_EQ(0, shmipc_pub_publish(self->pub, &l, 3, 0));
	EXPECT_EQ(1, take_is(self->sub, 1, 3));
	EXPECT_EQ(-EINVAL, shmipc_pub_publish(self->pub, &l, 3, 0)) TH_LOG("it is gone");
	ASSERT_EQ(0, loan_len(self->pub, 2, 5000, &l));
	EXPECT_EQ(0, shmipc_pub_publish(self->pub, &l, 0, 0));
	EXPECT_EQ(1, take_is(self->sub, 2, 0));
}

/* A changed loan is refused, and never taken for another one. */
TEST_F(topic_pool, a_loan_that_was_changed_is_refused)
{
	static const size_t lens[] = { 100, 5000 };	/* in the pool both */
	struct shmipc_loan l, bad[8], other;
	struct shmipc_pub *pub;
	size_t i, k;

	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, NULL, NULL));
	for (k = 0; k < ARRAY_SIZE(lens); k++) {
		ASSERT_EQ(0, loan_len(self->pub, k, lens[k], &l));
		ASSERT_EQ(0, loan_len(pub, 7, lens[k], &other));
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			bad[i] = l;
		bad[0].ptr = NULL;
		bad[1].ptr = (char *)l.ptr + 64;
		bad[2].id = 0;
		bad[3].id++;
		bad[4].id += UINT64_C(1) << 32;
		bad[5].id = UINT64_MAX;
		bad[6].id = l.id | 1u << 31;
		bad[7] = other;
		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			EXPECT_EQ(-EINVAL, shmipc_pub_publish(self->pub, &bad[i], 1, 0)) TH_LOG("%zu", i);
			shmipc_pub_drop(self->pub, &bad[i]);
		}
		l.len = SIZE_MAX;
		EXPECT_EQ(-EINVAL, shmipc_pub_publish(self->pub, &l, lens[k] + 1, 0));
		bad[0] = l;
		EXPECT_EQ(0, shmipc_pub_publish(self->pub, &l, lens[k], 0)) TH_LOG("it is as it was");
		EXPECT_EQ(1, take_is(self->sub, k, lens[k]));
		EXPECT_EQ(-EINVAL, shmipc_pub_publish(self->pub, &bad[0], 1, 0)) TH_LOG("published twice");
		shmipc_pub_drop(self->pub, &bad[0]);
		shmipc_pub_drop(pub, &other);
		EXPECT_EQ(-EAGAIN, get(self->sub));
	}
	shmipc_pub_close(pub);
}

TEST_F(topic_pool, all_of_the_pool_can_be_on_loan)
{
	struct shmipc_loan l[65];
	int n;

	for (n = 0; n < 65; n++)
		if (loan_len(self->pub, 0, 4096, &l[n]))
			break;
	EXPECT_EQ(64, n);
	EXPECT_EQ(-EAGAIN, put_len(self->pub, 0, 1000));
	EXPECT_EQ(-ETIMEDOUT, shmipc_pub_loan(self->pub, 1000, NULL, &l[64], shmipc_deadline_in(2000000)));
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
	EXPECT_EQ(SHMIPC_ROLE_PRODUCER, self->b.role) TH_LOG("that is us");
	EXPECT_EQ(getpid(), (int)self->b.pid);
	EXPECT_EQ(0, put(self->pub, 7)) TH_LOG("small ones need no pool");
	shmipc_pub_drop(self->pub, &l[5]);
	EXPECT_EQ(0, put_len(self->pub, 0, 1000));
	while (n--)
		shmipc_pub_drop(self->pub, &l[n]);
	EXPECT_EQ(0, put_len(self->pub, 0, 200000));
}

TEST_F(topic_pool, close_frees_the_publishers_loans)
{
	struct shmipc_loan l[8];
	struct shmipc_pub *pub;
	int i, k;

	for (k = 0; k < 30; k++) {
		ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, NULL, NULL));
		for (i = 0; i < 8; i++) {
			ASSERT_EQ(0, loan_len(pub, 1, 8000, &l[i]));
		}
		ASSERT_EQ(0, put_len(pub, 1, 500));
		shmipc_pub_close(pub);
	}
	EXPECT_EQ(0, chunks_of(log_of(self->pub)).owned);
	EXPECT_EQ(0, put_len(self->pub, 2, pub_stat(self->pub).max_message));
}

static int loans_and_waits(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	struct shmipc_loan l;
	int i;

	(void)arg;
	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == 0);
	for (i = 0; i < 10; i++)
		CHECK(shmipc_pub_loan(pub, 20000, NULL, &l, 0) == 0);
	CHECK(put_len(pub, 5, 1000) == 0);
	return stay(me);
}

TEST_F(topic_pool, death_frees_the_publishers_loans)
{
	struct other o;
	int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, other_start(&o, 0, loans_and_waits, NULL));
		ASSERT_EQ(1, hear(&o));
		EXPECT_EQ(50, chunks_of(log_of(self->pub)).owned);
		EXPECT_EQ(-EAGAIN, put_len(self->pub, 1, 100000));
		ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &self->b));
		EXPECT_EQ(SHMIPC_ROLE_PRODUCER, self->b.role);
		EXPECT_EQ(o.pid, (int)self->b.pid);
		EXPECT_EQ(256 + SIGKILL, other_kill(&o));
		EXPECT_EQ(0, put_len(self->pub, 1, pub_stat(self->pub).max_message));
		while (get_len(self->sub, 1, 262144) != 262144)
			continue;
	}
}

TEST_F(topic_pool, topic_without_a_pool)
{
	struct shmipc_topic_opts t = self->t;
	struct shmipc_loan l, m;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;

	t.pool_bytes = 0;
	t.flags = SHMIPC_NO_POOL;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "none", &t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&sub, "none", NULL, NULL));
	EXPECT_EQ(240, pub_stat(pub).max_message);
	EXPECT_EQ(-EMSGSIZE, put_len(pub, 0, 241));
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_loan(pub, 241, NULL, &l, 0));
	ASSERT_EQ(0, loan_len(pub, 0, 240, &l));
	ASSERT_EQ(0, loan_len(pub, 1, 100, &m));
	EXPECT_EQ(0, shmipc_pub_publish(pub, &m, 100, 0));
	EXPECT_EQ(0, shmipc_pub_publish(pub, &l, 240, 0));
	EXPECT_EQ(1, take_is(sub, 1, 100));
	EXPECT_EQ(1, take_is(sub, 0, 240));
	ASSERT_EQ(0, loan_len(pub, 0, 240, &l));
	shmipc_pub_drop(pub, &l);
	ASSERT_EQ(0, loan_len(pub, 0, 240, &l));	/* left to be given back by close */
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
}

/* Holds */

TEST_F(topic_pool, as_many_holds_as_the_creator_allowed)
{
	struct shmipc_msg m[5];
	uint64_t i;

	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, i % 2 ? 100 : 3000));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &m[i], 0));
	}
	EXPECT_EQ(4, sub_stat(self->sub).holds);
	EXPECT_EQ(-ENOBUFS, shmipc_sub_take(self->sub, &m[4], SHMIPC_FOREVER));
	EXPECT_EQ(-ENOBUFS, shmipc_sub_read_at(self->sub, 5, &m[4]));
	EXPECT_EQ(3000, get_len(self->sub, 4, 5000)) TH_LOG("to copy needs no hold");
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(msg_is(&m[i], i, i % 2 ? 100 : 3000));
	}
	shmipc_sub_release(self->sub, &m[2]);
	shmipc_sub_release(self->sub, &m[2]);		/* again: nothing */
	EXPECT_EQ(3, sub_stat(self->sub).holds);
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m[2], 0));
	EXPECT_TRUE(msg_is(&m[2], 5, 100));
}

/* Shadesmar: no_delete */
TEST_F(topic_pool, held_survives_a_turnover_of_the_pool)
{
	struct shmipc_msg m[4];
	size_t len[4] = { 300, 4096, 20000, 100000 };
	uint64_t i, n = 0;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, put_len(self->pub, n, len[i]));
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &m[i], 0));
		n++;
	}
	for (; n < 2000; n++) {		/* many times round the pool and the log */
		ASSERT_EQ(0, put_len(self->pub, n, 241 + n * 37 % 20000)) TH_LOG("%d", (int)n);
	}
	for (i = 0; i < 4; i++) {
		EXPECT_TRUE(msg_is(&m[i], i, len[i])) TH_LOG("%d", (int)i);
		EXPECT_EQ(i, m[i].seq);
	}
	for (i = 0; i < 4; i++)
		shmipc_sub_release(self->sub, &m[i]);
	EXPECT_EQ(0, put_len(self->pub, n, pub_stat(self->pub).max_message));
}

TEST_HARNESS_MAIN
