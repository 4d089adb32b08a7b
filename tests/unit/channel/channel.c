// SPDX-License-Identifier: MIT
/* channel: both ends in one process, on each backend: what is sent is what is received */
#include "site.h"
#include "rng.h"

#define SEED 45

FIXTURE(channel) {
	struct env env;
	struct site s;
	struct shmipc_channel *tx, *rx;
	unsigned char *buf;
	size_t max;
};

FIXTURE_VARIANT(channel) {
	enum where where;
};

/* que: process-private memory and shared memory */
FIXTURE_VARIANT_ADD(channel, named) { NAMED };
FIXTURE_VARIANT_ADD(channel, anon) { ANON };
FIXTURE_VARIANT_ADD(channel, private) { PRIVATE };

FIXTURE_SETUP(channel)
{
	env_set_up(&self->env);
	self->max = shmipc_ring_max_payload(SHMIPC_KIND_SPSC, 8192);
	self->buf = malloc(self->max + 1);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_SPSC, 8192));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL))
		TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL))
		TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(channel)
{
	shmipc_channel_close(self->tx);
	shmipc_channel_close(self->rx);
	site_end(&self->s);
	free(self->buf);
	env_tear_down(&self->env);
}

static int put(FIXTURE_DATA(channel) *self, uint64_t seq, size_t len)
{
	msg_fill(self->buf, len, SEED, seq);
	return shmipc_channel_send(self->tx, self->buf, len, 0);
}

static long take(FIXTURE_DATA(channel) *self, uint64_t seq)
{
	size_t len = 0;
	int ret = shmipc_channel_recv(self->rx, self->buf, self->max, &len, 0);

	if (ret)
		return ret;
	return msg_ok(self->buf, len, SEED, seq) ? (long)len : -EBADMSG;
}

TEST_F(channel, messages_of_any_length_in_order)
{
	uint64_t i;

	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, put(self, i, i * 7 % (self->max + 1)));
		ASSERT_EQ((long)(i * 7 % (self->max + 1)), take(self, i));
		ASSERT_EQ(-EAGAIN, take(self, i));
	}
}

/* que: Full, and lossless after it */
TEST_F(channel, full_is_eagain_and_loses_nothing)
{
	uint64_t sent = 0, got = 0;
	int round;

	for (round = 0; round < 20; round++) {
		while (put(self, sent, sent % 200) == 0)
			sent++;
		ASSERT_EQ(-EAGAIN, put(self, sent, sent % 200));
		while (got < sent) {
			ASSERT_EQ((long)(got % 200), take(self, got));
			got++;
		}
		ASSERT_EQ(-EAGAIN, take(self, got));
	}
}

/* que: nothing visible before sync */
TEST_F(channel, batch_is_invisible_until_it_is_published)
{
	uint64_t i;
	void *p;

	for (i = 0; i < 5; i++) {
		msg_fill(self->buf, 20, SEED, i);
		ASSERT_EQ(0, shmipc_channel_write(self->tx, self->buf, 20, 0));
		ASSERT_EQ(-EAGAIN, take(self, 0));
	}
	ASSERT_EQ(0, shmipc_channel_reserve(self->tx, 100, &p, 0));
	shmipc_channel_abort(self->tx);
	ASSERT_EQ(0, shmipc_channel_reserve(self->tx, 100, &p, 0));
	ASSERT_EQ(-EINVAL, shmipc_channel_commit(self->tx, 101));
	msg_fill(p, 50, SEED, 5);
	ASSERT_EQ(0, shmipc_channel_commit(self->tx, 50));
	ASSERT_EQ(-EINVAL, shmipc_channel_commit(self->tx, 1));
	ASSERT_EQ(-EAGAIN, take(self, 0));
	shmipc_channel_publish(self->tx);
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(i < 5 ? 20 : 50, take(self, i));
	}
}

TEST_F(channel, a_message_that_can_never_fit_is_refused_at_once)
{
	void *p = &p;

	EXPECT_EQ(-EMSGSIZE, shmipc_channel_send(self->tx, self->buf, self->max + 1, SHMIPC_FOREVER));
	EXPECT_EQ(-EMSGSIZE, shmipc_channel_reserve(self->tx, SIZE_MAX, &p, SHMIPC_FOREVER));
	EXPECT_EQ((void *)&p, p);
	EXPECT_EQ(0, put(self, 0, self->max));
	EXPECT_EQ((long)self->max, take(self, 0));
}

TEST_F(channel, message_stays_when_the_buffer_is_too_small)
{
	size_t len = 0;

	ASSERT_EQ(0, put(self, 0, 100));
	EXPECT_EQ(-EMSGSIZE, shmipc_channel_recv(self->rx, self->buf, 99, &len, 0));
	EXPECT_EQ(100, len);
	EXPECT_EQ(100, take(self, 0));
}

/* que: zero-copy pop */
TEST_F(channel, peek_shows_the_same_until_release)
{
	const void *p = NULL, *q = NULL;
	size_t len = 0;

	EXPECT_EQ(0, shmipc_channel_release(self->rx));
	ASSERT_EQ(0, put(self, 0, 33));
	ASSERT_EQ(0, shmipc_channel_peek(self->rx, &p, &len, 0));
	ASSERT_EQ(0, shmipc_channel_peek(self->rx, &q, &len, 0));
	EXPECT_EQ(p, q);
	EXPECT_TRUE(msg_ok(p, len, SEED, 0));
	EXPECT_EQ(0, shmipc_channel_release(self->rx));
	EXPECT_EQ(-EAGAIN, take(self, 1));
}

TEST_F(channel, an_end_can_be_opened_once)
{
	struct shmipc_channel *ch = (void *)1;

	EXPECT_EQ(-EBUSY, site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "producer"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EBUSY"));
	EXPECT_EQ(-EBUSY, site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "consumer"));
	EXPECT_EQ((void *)1, ch);
	/* The second open did no harm. */
	EXPECT_EQ(0, put(self, 0, 10));
	EXPECT_EQ(10, take(self, 0));
}

TEST_F(channel, invalid_roles_and_options_are_refused)
{
	struct shmipc_channel_opts o = { .struct_bytes = sizeof(o) }, bad;
	struct shmipc_channel *ch;

	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, SHMIPC_ROLE_READER, NULL));
	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, SHMIPC_ROLE_NONE, NULL));
	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, (enum shmipc_role)9, NULL));
	shmipc_channel_close(self->rx);
	self->rx = NULL;
	bad = o, bad.struct_bytes = 8;
	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &bad));
	bad = o, bad.reserved0 = 1;
	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &bad));
	bad = o, bad.start = 3;
	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &bad));
	bad = o, bad.stride = 2, bad.stride_at = 2;
	EXPECT_EQ(-EINVAL, site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &bad));
	EXPECT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, &o));
}

TEST_F(channel, calls_of_the_other_role_are_einval)
{
	const void *p;
	size_t len;
	void *q;

	EXPECT_EQ(-EINVAL, shmipc_channel_recv(self->tx, self->buf, 10, &len, SHMIPC_FOREVER));
	EXPECT_EQ(-EINVAL, shmipc_channel_peek(self->tx, &p, &len, SHMIPC_FOREVER));
	EXPECT_EQ(-EINVAL, shmipc_channel_release(self->tx));
	EXPECT_EQ(-EINVAL, shmipc_channel_send(self->rx, self->buf, 10, SHMIPC_FOREVER));
	EXPECT_EQ(-EINVAL, shmipc_channel_reserve(self->rx, 10, &q, SHMIPC_FOREVER));
	EXPECT_EQ(-EINVAL, shmipc_channel_drain(self->rx, SHMIPC_FOREVER));
	EXPECT_EQ(0, put(self, 0, 10));
	EXPECT_EQ(10, take(self, 0));
}

/* que: user metadata */
TEST_F(channel, metadata_is_shared)
{
	char *a, *b;
	size_t n = 0;

	shmipc_channel_close(self->tx);
	shmipc_channel_close(self->rx);
	self->tx = self->rx = NULL;
	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_SPSC, 8192));
	site_end(&self->s);
	self->s.o.meta_bytes = 5000;
	if (variant->where == ANON) {
		ASSERT_EQ(0, shmipc_segment_anon(&self->s.seg, &self->s.o));
	}
	if (variant->where == PRIVATE) {
		ASSERT_EQ(0, shmipc_segment_private(&self->s.seg, &self->s.o));
	}
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL));
	a = shmipc_channel_meta(self->tx, &n);
	ASSERT_EQ(5000, n);
	b = shmipc_channel_meta(self->rx, NULL);
	EXPECT_EQ(0, b[0] | b[4999]);
	memset(a, 'm', 5000);
	EXPECT_EQ('m', b[4999]);
	EXPECT_EQ(0, put(self, 0, 10));
	EXPECT_EQ(10, take(self, 0));
	EXPECT_EQ('m', b[0]);
}

/* que: producer restart keeps data */
TEST_F(channel, producer_restart_keeps_data_and_numbers)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	uint64_t i, seq = 0;

	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, put(self, seq, 40));
		ASSERT_EQ(0, put(self, seq + 1, 41));
		ASSERT_EQ(0, shmipc_channel_write(self->tx, "never published", 15, 0));
		shmipc_channel_close(self->tx);
		self->tx = NULL;
		ASSERT_EQ(SHMIPC_PEER_LEFT, shmipc_channel_peer(self->rx));
		if (i & 1) {
			ASSERT_EQ(40, take(self, seq));
			ASSERT_EQ(41, take(self, seq + 1));
			ASSERT_EQ(-EPIPE, take(self, seq + 2));
		}
		ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
		ASSERT_EQ(SHMIPC_PEER_ATTACHED, shmipc_channel_peer(self->rx));
		ASSERT_EQ(0, shmipc_channel_get_stat(self->tx, &st));
		ASSERT_EQ(seq + 2, st.seq);
		if (!(i & 1)) {
			ASSERT_EQ(40, take(self, seq));
			ASSERT_EQ(41, take(self, seq + 1));
		}
		ASSERT_EQ(-EAGAIN, take(self, seq + 2));
		seq += 2;
	}
}

/* que: consumer restart resumes without dropping unread data */
TEST_F(channel, consumer_restart_drops_no_message)
{
	uint64_t sent = 0, got = 0;
	const void *p;
	size_t len;
	int i;

	for (i = 0; i < 30; i++) {
		while (put(self, sent, 100) == 0)
			sent++;
		ASSERT_EQ(100, take(self, got++));
		ASSERT_EQ(0, shmipc_channel_peek(self->rx, &p, &len, 0));
		shmipc_channel_close(self->rx);
		self->rx = NULL;
		ASSERT_EQ(-EPIPE, put(self, sent, 1));
		ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL));
		while (got < sent) {
			ASSERT_EQ(100, take(self, got));
			got++;
		}
		ASSERT_EQ(-EAGAIN, take(self, got));
	}
}

TEST_F(channel, messages_sent_before_the_consumer_opens_are_delivered)
{
	shmipc_channel_close(self->rx);
	shmipc_channel_close(self->tx);
	self->rx = self->tx = NULL;
	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_SPSC, 8192));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	EXPECT_EQ(SHMIPC_PEER_NONE, shmipc_channel_peer(self->tx));
	ASSERT_EQ(0, put(self, 0, 60));
	ASSERT_EQ(0, put(self, 1, 61));
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL));
	EXPECT_EQ(60, take(self, 0));
	EXPECT_EQ(61, take(self, 1));
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, shmipc_channel_peer(self->tx));
}

TEST_F(channel, stat_counts)
{
	struct shmipc_channel_stat st = { .struct_bytes = 8 };
	uint64_t i;

	EXPECT_EQ(-EINVAL, shmipc_channel_get_stat(self->tx, &st));
	st.struct_bytes = sizeof(st);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, put(self, i, 10));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(10, take(self, i));
	}
	ASSERT_EQ(0, shmipc_channel_write(self->tx, "x", 1, 0));
	ASSERT_EQ(0, shmipc_channel_get_stat(self->tx, &st));
	EXPECT_EQ(10, st.seq);
	EXPECT_EQ(6, st.pending);
	EXPECT_EQ(0, st.wakes);
	EXPECT_EQ(0, st.sleeps);
	EXPECT_EQ(self->max, st.max_payload);
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, st.peer_state);
	EXPECT_EQ((uint32_t)getpid(), st.peer_pid);
	ASSERT_EQ(0, shmipc_channel_get_stat(self->rx, &st));
	EXPECT_EQ(4, st.seq);
	EXPECT_EQ(6, st.pending);
	EXPECT_EQ(0, st.lost);
}

TEST_F(channel, info_is_the_segments)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };

	ASSERT_EQ(0, shmipc_channel_get_info(self->rx, &i));
	EXPECT_EQ(SHMIPC_KIND_SPSC, i.kind);
	EXPECT_EQ(8192, i.data_bytes);
	EXPECT_EQ(8, i.align);
	EXPECT_EQ(2, i.peers);
	EXPECT_EQ(variant->where == ANON, !!(i.flags & SHMIPC_SEG_ANON));
	EXPECT_EQ(variant->where == PRIVATE, !!(i.flags & SHMIPC_SEG_PRIVATE));
}

/* In a child of fork every use of the parent's handles is -EINVAL, and harmless. */
TEST_F(channel, handles_inherited_through_fork_are_dead)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	unsigned char *b = self->buf;
	const void *p;
	int status, bad = 0;
	size_t len;
	pid_t pid;
	void *q;

	ASSERT_EQ(0, put(self, 0, 20));
	ASSERT_EQ(20, take(self, 0));
	ASSERT_EQ(0, put(self, 1, 21));
	ASSERT_EQ(0, shmipc_channel_peek(self->rx, &p, &len, 0));
	pid = fork();
	if (!pid) {
#define DEAD(call) do {								\
	if ((call) != -EINVAL) {						\
		fprintf(stderr, "# in the child: %s is not -EINVAL\n", #call);	\
		bad = 1;							\
	}									\
} while (0)
		DEAD(shmipc_channel_send(self->tx, b, 5, 0));
		DEAD(shmipc_channel_reserve(self->tx, 5, &q, SHMIPC_FOREVER));
		DEAD(shmipc_channel_drain(self->tx, SHMIPC_FOREVER));
		DEAD(shmipc_channel_wait_peer(self->tx, SHMIPC_FOREVER));
		DEAD(shmipc_channel_get_stat(self->tx, &st));
		DEAD(shmipc_channel_release(self->rx));
		DEAD(shmipc_channel_recv(self->rx, b, 100, &len, SHMIPC_FOREVER));
		DEAD(shmipc_channel_peek(self->rx, &p, &len, 0));
		DEAD(shmipc_channel_wait_peer(self->rx, 0));
		bad |= shmipc_channel_meta(self->rx, &len) != NULL;
		shmipc_channel_close(self->tx);
		shmipc_channel_close(self->rx);
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(21, take(self, 1));
	EXPECT_EQ(0, put(self, 2, 22));
	EXPECT_EQ(22, take(self, 2));
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, shmipc_channel_peer(self->tx));
}

/* The same without a peer at the other end. */
TEST_F(channel, lone_handles_inherited_through_fork_are_dead)
{
	unsigned char *b = self->buf;
	int status, bad = 0;
	size_t len;
	pid_t pid;

	shmipc_channel_close(self->rx);
	shmipc_channel_close(self->tx);
	self->rx = self->tx = NULL;
	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_SPSC, 8192));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, put(self, 0, 20));
	pid = fork();
	if (!pid) {
		DEAD(shmipc_channel_send(self->tx, b, 5, 0));
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	shmipc_channel_close(self->tx);
	self->tx = NULL;
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL));
	pid = fork();
	if (!pid) {
		DEAD(shmipc_channel_recv(self->rx, b, 100, &len, 0));
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(channel, closing_the_segment_first_is_allowed)
{
	struct shmipc_segment *seg;

	if (variant->where == NAMED) {
		shmipc_channel_close(self->tx);
		self->tx = NULL;
		ASSERT_EQ(0, shmipc_segment_open(&seg, "ring", NULL));
		ASSERT_EQ(0, shmipc_channel_attach(&self->tx, seg, SHMIPC_ROLE_PRODUCER, NULL));
		shmipc_segment_close(seg);
	}
	site_end(&self->s);
	EXPECT_EQ(0, put(self, 0, 10));
	EXPECT_EQ(10, take(self, 0));
}

TEST(deadlines_are_later_than_now_and_never_zero)
{
	uint64_t now = now_ns();

	EXPECT_LE(now, shmipc_deadline_in(0));
	EXPECT_LE(now + 1000000000, shmipc_deadline_in(1000000000));
	EXPECT_NE(0, shmipc_deadline_in(0));
	EXPECT_LE(now, shmipc_deadline_in(UINT64_MAX));
	EXPECT_LE(now, shmipc_deadline_in(UINT64_MAX - now));
}

TEST_HARNESS_MAIN
