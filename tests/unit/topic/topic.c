// SPDX-License-Identifier: MIT
/*
 * topic: publish and subscribe by name, with the behaviours of its predecessors
 *
 * Each test of a predecessor has its equivalent here or in another file of this folder:
 *
 * Shadesmar
 *   one publisher, one subscriber     topic.one_publisher
 *   many publishers                   topic_many.publishers_one_order
 *   alternating publishers            topic_many.alternating_publishers
 *   1 to N, N to 1, N to N            topic_many.one_to_n, n_to_one, n_to_n
 *   no new message                    topic.no_new_message
 *   jump ahead                        topic.jump_ahead_reports_what_was_lost
 *   subscribe after the publisher
 *   is gone                           topic.subscribe_after_the_publisher_is_gone
 *   keep a message (no_delete)        topic_pool.held_survives_a_turnover_of_the_pool
 *   history is replayed               topic.new_subscriber_replays_what_is_kept
 * AlephZero
 *   INIT x ITER x (empty, not)
 *   x (blocking, not)                 topic_start.*, for each of the eight pairs
 *   evict                             topic.evicts_the_oldest
 *   wrap-around                       topic.wrap_around
 *   expired next                      topic.expired_next_continues_at_the_oldest
 *   frames close to the arena's size  topic_pool.close_to_the_pools_size,
 *                                     topic.close_to_the_cells_size
 *   resize                            topic_opts.resize_is_refused
 *   clear                             topic.cleared_by_unlinking
 *   invalid names                     topic_opts.invalid_names_are_refused
 *   options are never altered         topic_opts.options_that_differ_from_the_creators_are_refused
 *   read random access                topic.any_retained_message_by_number
 *   headers, middleware               topic_meta.*
 *   killed between reserve and commit topic.killed_between_claim_and_commit
 *   100 processes killed in mid-write topic_many.hundred_killed_in_mid_write
 *   10 threads x 500 messages         topic_many.ten_threads_of_500_messages
 *   copy of the file while in use     topic_copy.file_in_use_is_a_topic
 *   reader thread, zero copy or not   topic_thread.*, topic_pool.*
 * que
 *   lossless backpressure (Full)      topic_policy.lossless_full_and_nothing_lost
 *   lossy overwrite                   topic_policy.lossy_overwrite_counts_exactly
 *   sharing by stride                 topic_policy.stride_shares
 *   nothing visible before sync       topic.batch_is_not_visible_before_commit
 *   reserve, cancel                   topic_pool.a_dropped_loan_leaves_no_message
 *   join does not drop unread data    topic.joining_drops_no_unread_message
 *   producer restart keeps the data   topic.publisher_restart_keeps_the_data
 */
#include "topic_ends.h"

FIXTURE(topic) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
};

FIXTURE_VARIANT(topic) {
	uint32_t publishers;
};

/* A topic for one publisher is another algorithm. */
FIXTURE_VARIANT_ADD(topic, single) { 1 };
FIXTURE_VARIANT_ADD(topic, many) { 16 };

FIXTURE_SETUP(topic)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.publishers = variant->publishers;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, 0))
		TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic)
{
	shmipc_pub_close(self->pub);
	shmipc_sub_close(self->sub);
	env_tear_down(&self->env);
}

TEST_F(topic, one_publisher)
{
	int i;

	for (i = 0; i < 500; i++) {
		ASSERT_EQ(0, put(self->pub, (uint64_t)i));
		ASSERT_EQ(i, get(self->sub));
		ASSERT_EQ((uint64_t)i, shmipc_sub_seq(self->sub));
		ASSERT_EQ(-EAGAIN, get(self->sub));
	}
}

TEST_F(topic, subscriber_comes_first)
{
	struct shmipc_sub *first;
	struct shmipc_pub *later;

	ASSERT_EQ(0, shmipc_sub_open(&first, "other", NULL, NULL));
	ASSERT_EQ(-EAGAIN, get(first));
	ASSERT_EQ(0, shmipc_pub_open(&later, "other", NULL, NULL));
	EXPECT_EQ(0, put(later, 7));
	EXPECT_EQ(7, get(first));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	shmipc_sub_close(first);
	shmipc_pub_close(later);
}

TEST_F(topic, no_new_message)
{
	struct shmipc_msg m;
	uint64_t before = now_ns();

	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(-EAGAIN, shmipc_sub_take(self->sub, &m, 0));
	EXPECT_EQ(-EAGAIN, shmipc_sub_wait(self->sub, 0));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(3000000)));
	EXPECT_EQ(-ETIMEDOUT, shmipc_sub_take(self->sub, &m, shmipc_deadline_in(3000000)));
	EXPECT_EQ(-ETIMEDOUT, shmipc_sub_wait(self->sub, shmipc_deadline_in(3000000)));
	EXPECT_LE(before + 9000000, now_ns());
	EXPECT_EQ(SHMIPC_POS_NONE, shmipc_sub_seq(self->sub));
	EXPECT_EQ(0, put(self->pub, 5));
	EXPECT_EQ(0, shmipc_sub_wait(self->sub, 0));
	EXPECT_EQ(5, get(self->sub));
}

TEST_F(topic, new_subscriber_replays_what_is_kept)
{
	struct shmipc_sub *old;

	ASSERT_EQ(0, put_range(self->pub, 0, 40));
	ASSERT_EQ(0, sub_open(&old, NULL, SHMIPC_START_OLDEST, 0));
	EXPECT_EQ(0, get_range(old, 0, 40));
	EXPECT_EQ(-EAGAIN, get(old));
	shmipc_sub_close(old);
}

TEST_F(topic, subscribe_after_the_publisher_is_gone)
{
	struct shmipc_sub *late;

	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	shmipc_pub_close(self->pub);
	self->pub = NULL;
	ASSERT_EQ(0, sub_open(&late, NULL, SHMIPC_START_OLDEST, 0));
	EXPECT_EQ(0, get_range(late, 0, 10));
	EXPECT_EQ(-EAGAIN, get(late));
	EXPECT_EQ(-ETIMEDOUT, get_until(late, shmipc_deadline_in(1000000)));
	shmipc_sub_close(late);
}

TEST_F(topic, a_persistent_topic_keeps_its_history_without_ends)
{
	struct shmipc_topic_opts t = self->t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;

	t.flags = SHMIPC_PERSIST;
	ASSERT_EQ(0, shmipc_pub_open(&pub, "kept", &t, NULL));
	ASSERT_EQ(0, put_range(pub, 0, 10));
	shmipc_pub_close(pub);
	ASSERT_EQ(0, shmipc_sub_open(&sub, "kept", NULL,
				     &(struct shmipc_sub_opts){ .struct_bytes = sizeof(struct shmipc_sub_opts),
				     .start = SHMIPC_START_OLDEST }));
	EXPECT_EQ(0, get_range(sub, 0, 10));
	ASSERT_EQ(0, shmipc_pub_open(&pub, "kept", NULL, NULL));
	EXPECT_EQ(0, put(pub, 10));
	EXPECT_EQ(10, get(sub));
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
	EXPECT_EQ(0, shmipc_segment_unlink("kept"));
}

TEST_F(topic, cleared_by_unlinking)
{
	struct shmipc_sub *sub;
	struct shmipc_pub *pub;

	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	ASSERT_EQ(0, shmipc_segment_unlink(TOPIC));
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, sub_open(&sub, NULL, SHMIPC_START_OLDEST, 0));
	EXPECT_EQ(-EAGAIN, get(sub));
	EXPECT_EQ(0, put(pub, 77));
	EXPECT_EQ(77, get(sub));
	EXPECT_EQ(0, get(self->sub));	/* a subscriber of the old one keeps it */
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
}

TEST_F(topic, jump_ahead_reports_what_was_lost)
{
	uint64_t from = 9, to = 9, oldest = 0, next = 0, lost;

	ASSERT_EQ(0, put_range(self->pub, 0, 1000));
	ASSERT_EQ(-ESTALE, get(self->sub));
	lost = shmipc_sub_lost(self->sub, &from, &to);
	EXPECT_EQ(0, from);
	EXPECT_EQ(lost, to);
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	EXPECT_EQ(oldest, to);
	EXPECT_EQ(1000, next);
	EXPECT_GE(next - oldest, 40) TH_LOG("the history that was asked for");
	EXPECT_EQ(0, get_range(self->sub, to, 1000));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(lost, sub_stat(self->sub).lost);
	EXPECT_EQ(1000 - lost, sub_stat(self->sub).received);
}

TEST_F(topic, evicts_the_oldest)
{
	uint64_t i, oldest, next, was = 0;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, put(self->pub, i));
		ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
		ASSERT_EQ(i + 1, next);
		ASSERT_GE(oldest, was);
		ASSERT_LE(oldest, i >= 40 ? i - 39 : 0) TH_LOG("of %d", (int)i);
		was = oldest;
	}
	EXPECT_GT(was, 200);
}

TEST_F(topic, wrap_around)
{
	uint64_t i;

	/* Ten times round, never more behind than what is kept, nothing lost. */
	for (i = 0; i < 640; i += 20) {
		ASSERT_EQ(0, put_range(self->pub, i, i + 20));
		ASSERT_EQ(0, get_range(self->sub, i, i + 20));
	}
	EXPECT_EQ(0, sub_stat(self->sub).lost);
}

TEST_F(topic, expired_next_continues_at_the_oldest)
{
	uint64_t oldest, next;

	ASSERT_EQ(0, put_range(self->pub, 0, 3));
	ASSERT_EQ(0, get(self->sub));
	ASSERT_EQ(0, put_range(self->pub, 3, 203));
	ASSERT_EQ(-ESTALE, get(self->sub));
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	EXPECT_EQ((int64_t)oldest, get(self->sub));
}

TEST_F(topic, close_to_the_cells_size)
{
	size_t cell = log_of(self->pub)->hdr.cell_bytes, len;
	uint64_t n = 0;

	EXPECT_EQ(240, cell);
	for (len = cell - 17; len <= cell + 17; len++, n++) {
		ASSERT_EQ(0, put_len(self->pub, n, len));
		ASSERT_EQ((int64_t)len, get_len(self->sub, n, 300)) TH_LOG("%zu", len);
	}
}

TEST_F(topic, message_stays_when_the_buffer_is_too_small)
{
	unsigned char buf[300];
	size_t len = 0;

	ASSERT_EQ(0, put_len(self->pub, 0, 100));
	ASSERT_EQ(0, put_len(self->pub, 1, 299));
	EXPECT_EQ(-EMSGSIZE, shmipc_sub_recv(self->sub, buf, 99, &len, 0));
	EXPECT_EQ(100, len);
	EXPECT_EQ(-EMSGSIZE, shmipc_sub_recv(self->sub, buf, 0, &len, SHMIPC_FOREVER));
	EXPECT_EQ(100, get_len(self->sub, 0, 100));
	EXPECT_EQ(-EMSGSIZE, shmipc_sub_recv(self->sub, buf, 298, &len, 0));
	EXPECT_EQ(299, len);
	EXPECT_EQ(299, get_len(self->sub, 1, 299));
}

TEST_F(topic, any_retained_message_by_number)
{
	uint64_t oldest, next, i;
	struct shmipc_msg m;

	ASSERT_EQ(0, put_range(self->pub, 0, 500));
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	for (i = next; i-- > oldest;) {		/* backwards, say */
		ASSERT_EQ(0, shmipc_sub_read_at(self->sub, i, &m));
		ASSERT_EQ(i, m.seq);
		ASSERT_EQ(8, m.len);
		ASSERT_EQ(i, *(const uint64_t *)m.ptr);
		shmipc_sub_release(self->sub, &m);
	}
	EXPECT_EQ(-ESTALE, shmipc_sub_read_at(self->sub, oldest - 1, &m));
	EXPECT_EQ(-ESTALE, shmipc_sub_read_at(self->sub, 0, &m));
	EXPECT_EQ(-EAGAIN, shmipc_sub_read_at(self->sub, next, &m));
	EXPECT_EQ(-EAGAIN, shmipc_sub_read_at(self->sub, next + 1000, &m));
	EXPECT_EQ(-EINVAL, shmipc_sub_read_at(self->sub, ~0ULL, &m));
	/* Where it goes on has not changed. */
	EXPECT_EQ(-ESTALE, get(self->sub));
	EXPECT_EQ((int64_t)oldest, get(self->sub));
}

/* que: nothing visible before sync */
TEST_F(topic, batch_is_not_visible_before_commit)
{
	uint64_t n[7], i, oldest, next, first;
	struct shmipc_buf v[8];
	struct shmipc_msg m;

	for (i = 0; i < 7; i++) {
		n[i] = i;
		v[i] = (struct shmipc_buf){ &n[i], sizeof(n[i]) };
	}
	EXPECT_EQ(0, shmipc_pub_send_batch(self->pub, v, 0, 0));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	/* By its steps: filled is not yet there. */
	ASSERT_EQ(0, shmipc_tlog_claim(&self->pub->tx, 3, &first));
	for (i = 0; i < 3; i++) {
		shmipc_tlog_fill(&self->pub->tx, first + i, NULL, 0, &n[i], 8, 0);
		ASSERT_EQ(-EAGAIN, get(self->sub));
		ASSERT_EQ(-EAGAIN, shmipc_sub_read_at(self->sub, i, &m));
	}
	(void)shmipc_tlog_commit(&self->pub->tx, first, 3, SHMIPC_ENTRY_CELL, 24);
	EXPECT_EQ(0, get_range(self->sub, 0, 3));
	/* By the call. */
	EXPECT_EQ(0, shmipc_pub_send_batch(self->pub, v + 3, 4, 0));
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	EXPECT_EQ(7, next);
	EXPECT_EQ(0, get_range(self->sub, 3, 7));
	EXPECT_EQ(7, pub_stat(self->pub).sent);
}

TEST_F(topic, an_invalid_batch_is_refused_completely)
{
	struct shmipc_buf v[9] = { { "a", 1 }, { "b", 1 } };

	EXPECT_EQ(-E2BIG, shmipc_pub_send_batch(self->pub, v, 9, SHMIPC_FOREVER));
	v[1].len = 241;
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_send_batch(self->pub, v, 2, SHMIPC_FOREVER));
	v[1].len = SIZE_MAX;
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_send_batch(self->pub, v, 2, SHMIPC_FOREVER));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(0, pub_stat(self->pub).next);
}

/* que: a joining consumer drops no data that another has not read yet */
TEST_F(topic, joining_drops_no_unread_message)
{
	struct shmipc_sub *keeps, *joins;

	ASSERT_EQ(0, sub_open(&keeps, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, put_range(self->pub, 0, 30));
	ASSERT_EQ(0, sub_open(&joins, NULL, SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS));
	EXPECT_EQ(0, get_range(joins, 0, 30));
	shmipc_sub_close(joins);
	ASSERT_EQ(0, sub_open(&joins, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	EXPECT_EQ(-EAGAIN, get(joins));
	EXPECT_EQ(0, get_range(keeps, 0, 30));
	shmipc_sub_close(joins);
	shmipc_sub_close(keeps);
}

TEST_F(topic, publisher_restart_keeps_the_data)
{
	uint64_t n = 0;
	int i;

	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, put_range(self->pub, n, n + 5));
		shmipc_pub_close(self->pub);
		self->pub = NULL;
		ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
		ASSERT_EQ(n + 5, pub_stat(self->pub).next);
		ASSERT_EQ(0, pub_stat(self->pub).sent);
		ASSERT_EQ(0, get_range(self->sub, n, n + 5));
		ASSERT_EQ(-EAGAIN, get(self->sub));
		n += 5;
	}
}

static int reserves(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t seq;

	(void)arg;
	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == 0);
	CHECK(put(pub, 0) == 0 && put(pub, 1) == 0);
	CHECK(shmipc_tlog_claim(&pub->tx, 1, &seq) == 0);
	shmipc_tlog_fill(&pub->tx, seq, NULL, 0, "torn torn", 8, 0);
	return stay(me);
}

/* AlephZero: leaves no trace. Ours is stepped over, and counted. */
TEST_F(topic, killed_between_claim_and_commit)
{
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_msg m;
	struct other o;
	bool aborts = variant->publishers > 1;

	shmipc_pub_close(self->pub);
	self->pub = NULL;
	ASSERT_EQ(0, other_start(&o, 0, reserves, NULL));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(0, get_range(self->sub, 0, 2));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(aborts, sub_stat(self->sub).aborted);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	EXPECT_EQ(0, put(self->pub, 2));
	EXPECT_EQ(2, get(self->sub));
	EXPECT_EQ(2 + aborts, shmipc_sub_seq(self->sub));
	if (aborts) {
		EXPECT_EQ(-ECANCELED, shmipc_sub_read_at(self->sub, 2, &m));
	}
	EXPECT_EQ(aborts, sub_stat(self->sub).aborted);
	EXPECT_EQ(0, sub_stat(self->sub).lost);
	ASSERT_EQ(0, shmipc_topic_look(TOPIC, &st));
	EXPECT_EQ(aborts, st.aborted);
	EXPECT_EQ(3, st.sent);
}

TEST_HARNESS_MAIN
