// SPDX-License-Identifier: MIT
/*
 * topic_trim: memory of a topic that is not needed is given back, and taken again
 *
 * What is taken is what the file's blocks say. On the device the module says it. Where that
 * must be exact, less than 2 MiB are in use: from there on publishers have memory made ready
 * that they do not use yet.
 */
#include "topic_ends.h"

#include "room.h"

#define KIB(n)		((uint64_t)(n) << 10)
#define MIB(n)		((uint64_t)(n) << 20)
#define PAGE		((uint64_t)SHMIPC_CTL_PAGE)
#define CHUNK		KIB(32)		/* of the default pool of 8 MiB */
#define BIG		30000u		/* a message that has a chunk for itself */

static uint64_t used_of(const struct shmipc_pub *pub)
{
	struct shmipc_segment *seg = pub_priv(pub)->t.seg;
	uint64_t n = 0;

	return seg->be->used(seg, &n) ? UINT64_MAX : n;
}

/* Of the pool: all but what is before it. */
static uint64_t pool_used(const struct shmipc_pub *pub)
{
	struct shmipc_segment *seg = pub_priv(pub)->t.seg;
	uint64_t n = 0, all = used_of(pub);

	if (seg->be->used_in(seg, 0, seg->hdr.body_off + seg->log.hdr.pool_off, &n))
		return UINT64_MAX;
	return all - n;
}

static int64_t trim(struct shmipc_pub *pub, uint64_t keep)
{
	uint64_t n = 0;
	int ret = shmipc_pub_trim(pub, keep, &n, SOON);

	return ret ? ret : (int64_t)n;
}

/* Is message @seq still kept, with its bytes? */
static int kept(struct shmipc_sub *sub, uint64_t seq, uint64_t n, size_t len)
{
	struct shmipc_msg m;
	int ret = shmipc_sub_read_at(sub, seq, &m);

	if (ret)
		return ret;
	ret = msg_is(&m, n, len);
	shmipc_sub_release(sub, &m);
	return ret;
}

FIXTURE(topic_trim) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_pub *b;		/* a second one; where only the last can trim, the same */
	struct shmipc_sub *sub;
};

FIXTURE_SETUP(topic_trim)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL)) TH_LOG("%s", shmipc_error_text());
	self->b = self->pub;
	if (!env_on_dev())
		ASSERT_EQ(0, shmipc_pub_open(&self->b, TOPIC, NULL, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
}

FIXTURE_TEARDOWN(topic_trim)
{
	shmipc_sub_close(self->sub);
	if (self->b != self->pub)
		shmipc_pub_close(self->b);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

TEST_F(topic_trim, what_large_messages_took_is_given_back)
{
	uint64_t i, n = 0;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, MIB(7)));
		ASSERT_EQ((int64_t)MIB(7), get_len(self->sub, i, MIB(7)));
	}
	EXPECT_LE(MIB(7), pool_used(self->pub));
	/* The last one is history. */
	EXPECT_LE(0, trim(self->pub, SHMIPC_KEEP_ALL));
	EXPECT_EQ(1, kept(self->sub, 2, 2, MIB(7)));
	EXPECT_LE((int64_t)MIB(7), trim(self->pub, 0)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, pool_used(self->pub));
	EXPECT_GE(KIB(128), used_of(self->pub));
	EXPECT_EQ(-ESTALE, kept(self->sub, 2, 2, MIB(7)));
	/* Nothing is left to give back; then it is all taken again, by one and the same. */
	EXPECT_EQ(0, trim(self->pub, 0));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, put_len(self->pub, 3 + i, MIB(7)));
		ASSERT_EQ((int64_t)MIB(7), get_len(self->sub, 3 + i, MIB(7)));
	}
	n = pool_used(self->pub);
	EXPECT_LE(MIB(7), n);
	EXPECT_EQ((int64_t)n, trim(self->pub, 0));
}

TEST_F(topic_trim, history_is_kept_as_told)
{
	uint64_t i, oldest = 0, next = 0, was;

	for (i = 0; i < 300; i++) {	/* more than the pool has room for */
		ASSERT_EQ(0, put_len(self->pub, i, BIG));
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	}
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	ASSERT_LT(0, oldest);
	was = pool_used(self->pub);
	ASSERT_LE(0, trim(self->pub, SHMIPC_KEEP_ALL));
	EXPECT_GE(was, pool_used(self->pub));
	for (i = oldest; i < next; i++)
		ASSERT_EQ(1, kept(self->sub, i, i, BIG)) TH_LOG("%llu", (unsigned long long)i);
	ASSERT_LT(0, trim(self->pub, 10));
	ASSERT_EQ(0, shmipc_sub_range(self->sub, &oldest, &next));
	EXPECT_EQ(290, oldest);
	EXPECT_EQ(300, next);
	EXPECT_EQ(10 * CHUNK, pool_used(self->pub));
	for (i = 290; i < 300; i++)
		ASSERT_EQ(1, kept(self->sub, i, i, BIG));
	EXPECT_EQ(0, trim(self->pub, 400));	/* more than there are */
}

/* Many in one chunk, some of them discarded; the publisher goes on in it. */
TEST_F(topic_trim, a_chunk_that_is_being_filled_stays)
{
	struct shmipc_pub *b = self->b;
	uint64_t i;

	for (i = 0; i < 400; i++) {
		ASSERT_EQ(0, put_len(i % 2 ? b : self->pub, i, 1500));
		ASSERT_EQ(1500, get_len(self->sub, i, 1500));
		if (i % 5)
			continue;
		ASSERT_LE(0, trim(i % 3 ? self->pub : b, i % 4 * 7));
		if (i > 30 && i % 4)
			ASSERT_EQ(1, kept(self->sub, i - 4, i - 4, 1500));
	}
	ASSERT_LE(0, trim(self->pub, 0));
	EXPECT_EQ(0, pool_used(b));
}

TEST_F(topic_trim, loans_and_held_messages_stay)
{
	struct shmipc_loan loan;
	struct shmipc_msg m;
	uint64_t i;

	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, BIG, NULL, &loan, 0));
	msg_fill(loan.ptr, BIG, SEED, 41);
	for (i = 1; i < 41; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, BIG));
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	}
	EXPECT_EQ((int64_t)(40 * CHUNK), trim(self->pub, 0));
	EXPECT_EQ(2 * CHUNK, pool_used(self->pub));
	EXPECT_EQ(1, msg_is(&m, 0, BIG));
	shmipc_sub_release(self->sub, &m);
	EXPECT_EQ(0, shmipc_pub_publish(self->pub, &loan, BIG, 0));
	EXPECT_EQ(BIG, get_len(self->sub, 41, BIG));
	EXPECT_EQ((int64_t)(2 * CHUNK), trim(self->pub, 0));
}

TEST_F(topic_trim, what_others_have_not_read_stays)
{
	struct shmipc_sub *lossy;
	uint64_t i, from, to;

	ASSERT_EQ(0, sub_open(&lossy, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, put_len(self->pub, i, BIG));
	for (i = 0; i < 30; i++)
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	EXPECT_EQ((int64_t)(30 * CHUNK), trim(self->pub, 0));
	/* A lossy one is told, and takes nothing by looking. */
	EXPECT_EQ(-ESTALE, get_len(lossy, 0, BIG));
	(void)shmipc_sub_lost(lossy, &from, &to);
	EXPECT_EQ(0, from);
	EXPECT_EQ(30, to);
	EXPECT_EQ(20 * CHUNK, pool_used(self->pub));
	for (i = 30; i < 50; i++) {
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
		ASSERT_EQ(BIG, get_len(lossy, i, BIG));
	}
	shmipc_sub_close(lossy);
	EXPECT_EQ((int64_t)(20 * CHUNK), trim(self->pub, 0));
}

/* They knew that there was memory. */
TEST_F(topic_trim, each_end_finds_that_it_must_be_taken_again)
{
	struct shmipc_pub *b = self->b;
	struct shmipc_sub *lossy;
	uint64_t i;

	ASSERT_EQ(0, sub_open(&lossy, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	for (i = 0; i < 600; i++) {
		ASSERT_EQ(0, put_len(i % 2 ? b : self->pub, i, BIG));
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
		ASSERT_EQ(BIG, get_len(lossy, i, BIG));
		if (i % 50 == 49)
			ASSERT_LT(0, trim(i / 50 % 2 ? b : self->pub, 0));
	}
	EXPECT_EQ(0, pool_used(b));
	shmipc_sub_close(lossy);
}

/* Subscribers that are in the way */

TEST_F(topic_trim, a_read_only_subscriber_is_in_the_way_where_it_would_take_memory)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSY);
	struct shmipc_sub *ro;
	uint64_t n = 7;

	o.flags = SHMIPC_SUB_READ_ONLY;
	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(BIG, get_len(self->sub, 0, BIG));
	ASSERT_EQ(0, shmipc_sub_open(&ro, TOPIC, NULL, &o));
	if (env_on_dev()) {
		EXPECT_EQ((int64_t)CHUNK, trim(self->pub, 0));
		EXPECT_EQ(-ESTALE, get_len(ro, 0, BIG));
		EXPECT_EQ(0, pool_used(self->pub));
		shmipc_sub_close(ro);
		return;
	}
	EXPECT_EQ(-EBUSY, shmipc_pub_trim(self->pub, SHMIPC_KEEP_ALL, &n, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "read-only subscriber"));
	EXPECT_EQ(7, n);
	EXPECT_EQ(BIG, get_len(ro, 0, BIG));
	shmipc_sub_close(ro);
	EXPECT_EQ((int64_t)CHUNK, trim(self->pub, 0));
	EXPECT_EQ(0, pool_used(self->pub));
}

/* @sub is in the middle of a copy of message @seq. */
static void begin_to_read(struct shmipc_sub *sub, uint64_t seq)
{
	shmipc_store_release(&sub->rx.line->reading, seq + 1);
}

/* It is done when the thread @trims sleeps because of it. */
struct reading {
	struct shmipc_sub *sub;
	pid_t trims;
	int ret;
};

static void *end_of_reading(void *arg)
{
	struct reading *r = arg;

	r->ret = until_asleep(r->trims);
	shmipc_store_release(&r->sub->rx.line->reading, (__u64)0);
	return NULL;
}

TEST_F(topic_trim, a_subscriber_that_copies_is_awaited)
{
	struct reading r = { .trims = (pid_t)syscall(SYS_gettid) };
	struct shmipc_blocked b;
	struct shmipc_sub *lossy;
	pthread_t thread;
	uint64_t n = 7;

	ASSERT_EQ(0, sub_open(&lossy, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(0, put_len(self->pub, 1, BIG));
	ASSERT_EQ(BIG, get_len(self->sub, 0, BIG));
	ASSERT_EQ(BIG, get_len(self->sub, 1, BIG));
	begin_to_read(lossy, 0);
	/* Nothing that is still kept is in the way. */
	EXPECT_EQ(0, trim(self->pub, SHMIPC_KEEP_ALL));
	EXPECT_EQ(-EAGAIN, shmipc_pub_trim(self->pub, 1, &n, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_pub_trim(self->pub, 1, &n, shmipc_deadline_in(5000000)));
	EXPECT_EQ(7, n);
	ASSERT_EQ(0, shmipc_pub_blocked(self->pub, &b));
	EXPECT_EQ(SHMIPC_ROLE_READER, b.role);
	EXPECT_EQ(pub_priv(self->pub)->t.seg->log.hdr.pubs + 1, b.slot);
	EXPECT_EQ(2 * CHUNK, pool_used(self->pub));
	EXPECT_EQ(0, chunks_of(log_of(self->pub)).owned);
	r.sub = lossy;
	ASSERT_EQ(0, pthread_create(&thread, NULL, end_of_reading, &r));
	EXPECT_EQ((int64_t)CHUNK, trim(self->pub, 1));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, r.ret);
	EXPECT_EQ(1, kept(self->sub, 1, 1, BIG));
	shmipc_sub_close(lossy);
}

/* A copier that tries to trim in the middle of a copy. */
struct meddler {
	struct shmipc_pub *pub;
	uint64_t given;
	int ret;
};

static int meddle(void *dst, const void *src, size_t n, void *arg)
{
	struct meddler *m = arg;

	m->ret = shmipc_pub_trim(m->pub, 0, &m->given, 0);
	memcpy(dst, src, n);
	return 0;
}

static int plain_copy(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	memcpy(dst, src, n);
	return 0;
}

/* It copies the first of three messages, and all are discarded meanwhile. */
TEST_F(topic_trim, what_is_being_copied_stays)
{
	struct meddler m = { .pub = self->pub, .given = 7 };
	struct shmipc_copier c = { .struct_bytes = sizeof(c), .name = "meddler", .to_shm = plain_copy,
				   .from_shm = meddle, .arg = &m };
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY);
	struct shmipc_sub *lossy;
	uint64_t i;

	o.copier = &c;
	ASSERT_EQ(0, shmipc_sub_open(&lossy, TOPIC, NULL, &o)) TH_LOG("%s", shmipc_error_text());
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, BIG));
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	}
	EXPECT_EQ(-ESTALE, get_len(lossy, 0, BIG));
	EXPECT_EQ(-EAGAIN, m.ret);
	EXPECT_EQ(7, m.given);
	EXPECT_EQ(3 * CHUNK, pool_used(self->pub));
	EXPECT_EQ((int64_t)(3 * CHUNK), trim(self->pub, 0));
	shmipc_sub_close(lossy);
}

/* Every call says when it has done. */
TEST_F(topic_trim, no_call_says_for_longer_that_it_reads)
{
	static unsigned char buf[BIG];
	struct shmipc_sub *s[4];
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY);
	struct shmipc_msg m[20];
	size_t len, i, j;

	for (i = 0; i < 4; i++) {
		o.group = i == 3;
		o.iter = i == 2 ? SHMIPC_ITER_NEWEST : SHMIPC_ITER_NEXT;
		ASSERT_EQ(0, shmipc_sub_open(&s[i], TOPIC, NULL, &o));
	}
	for (i = 0; i < 40; i++)
		ASSERT_EQ(0, put_len(self->pub, i, BIG));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EMSGSIZE, shmipc_sub_recv(s[i], buf, 10, &len, 0));
		EXPECT_EQ(0, s[i]->rx.line->reading);
		EXPECT_EQ(0, shmipc_sub_recv(s[i], buf, BIG, &len, 0));
		EXPECT_EQ(0, s[i]->rx.line->reading);
		EXPECT_EQ(0, shmipc_sub_read_at(s[i], 39, &m[0]));
		EXPECT_EQ(0, s[i]->rx.line->reading);
		for (j = 1; j < 16 && i != 2; j++)
			EXPECT_EQ(0, shmipc_sub_take(s[i], &m[j], 0));
		if (i != 2)
			EXPECT_EQ(-ENOBUFS, shmipc_sub_take(s[i], &m[16], 0));
		EXPECT_EQ(0, s[i]->rx.line->reading);
		while (j--)
			shmipc_sub_release(s[i], &m[j]);
	}
	for (i = 0; i < 40; i++)
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	EXPECT_LT(0, trim(self->pub, 0));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(i == 2 ? -EAGAIN : -ESTALE, shmipc_sub_recv(s[i], buf, BIG, &len, 0));
		EXPECT_EQ(0, s[i]->rx.line->reading);
		shmipc_sub_close(s[i]);
	}
}

/* It copies, and has taken another in place. */
static int dying_reader(struct other *me, void *arg)
{
	struct shmipc_sub *sub;
	struct shmipc_msg m;

	(void)arg;
	CHECK(!sub_open(&sub, NULL, SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS));
	CHECK(!shmipc_sub_take(sub, &m, SOON));
	begin_to_read(sub, 1);
	return stay(me);
}

TEST_F(topic_trim, the_dead_are_not_in_the_way)
{
	struct other o;
	uint64_t n = 7;

	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(0, put_len(self->pub, 1, BIG));
	ASSERT_EQ(BIG, get_len(self->sub, 0, BIG));
	ASSERT_EQ(BIG, get_len(self->sub, 1, BIG));
	ASSERT_EQ(0, other_start(&o, 0, dying_reader, NULL));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(0, shmipc_pub_trim(self->pub, 0, &n, 0));
	EXPECT_EQ(0, n);
	ASSERT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ((int64_t)(2 * CHUNK), trim(self->pub, 0)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, pool_used(self->pub));
}

/* By name */

static int publisher(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t i;

	(void)arg;
	CHECK(!shmipc_pub_open(&pub, TOPIC, NULL, NULL));
	for (i = 0; i < 10; i++)
		CHECK(!put_len(pub, i, BIG));
	tell(me, 1);
	CHECK(hear(me) == 2);
	shmipc_pub_close(pub);
	tell(me, 3);
	return hear(me) == UINT64_MAX;
}

TEST_F(topic_trim, by_name)
{
	struct other o;
	uint64_t n = 7, i;

	EXPECT_EQ(-ENOENT, shmipc_topic_trim("nothing", 0, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_topic_trim("", 0, &n, 0));
	EXPECT_EQ(7, n);
	ASSERT_EQ(0, other_start(&o, 0, publisher, NULL));
	ASSERT_EQ(1, hear(&o));
	for (i = 0; i < 10; i++)
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	if (env_on_dev()) {
		EXPECT_EQ(-EBUSY, shmipc_topic_trim(TOPIC, 0, &n, SOON));
		EXPECT_NE(NULL, strstr(shmipc_error_text(), "another publisher"));
		EXPECT_EQ(-EBUSY, shmipc_pub_trim(self->pub, 0, &n, SOON));
		EXPECT_EQ(7, n);
		tell(&o, 2);
		ASSERT_EQ(3, hear(&o));
		EXPECT_EQ((int64_t)(10 * CHUNK), trim(self->pub, 0));
	} else {
		EXPECT_EQ(0, shmipc_topic_trim(TOPIC, 0, &n, SOON)) TH_LOG("%s", shmipc_error_text());
		EXPECT_EQ(10 * CHUNK, n);
		tell(&o, 2);
		ASSERT_EQ(3, hear(&o));
	}
	EXPECT_EQ(0, pool_used(self->pub));
	EXPECT_EQ(0, chunks_of(log_of(self->pub)).owned);
	(void)other_kill(&o);
	/* And without any other publisher, on both. */
	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	ASSERT_EQ(BIG, get_len(self->sub, 0, BIG));
	if (self->b != self->pub)
		shmipc_pub_close(self->b);
	shmipc_pub_close(self->pub);
	self->pub = self->b = NULL;
	EXPECT_EQ(0, shmipc_topic_trim(TOPIC, 0, &n, SOON)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(CHUNK, n);
}

TEST(topic_trim_of_a_single_publishers_topic_is_up_to_it)
{
	struct shmipc_topic_opts o = SHMIPC_TOPIC_OPTS(.publishers = 1);
	struct shmipc_pub *pub;
	struct env env;
	uint64_t n = 7, i;

	env_set_up(&env);
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, put_len(pub, i, 1500));
	EXPECT_EQ(-EBUSY, shmipc_topic_trim(TOPIC, 0, &n, 0));
	EXPECT_EQ(7, n);
	EXPECT_LT(0, trim(pub, 0));
	EXPECT_EQ(0, trim(pub, 0));
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, put_len(pub, i, 1500));
	shmipc_pub_close(pub);
	env_tear_down(&env);
}

TEST(topic_trim_of_a_populated_one_is_refused)
{
	struct shmipc_topic_opts o = SHMIPC_TOPIC_OPTS(.flags = SHMIPC_POPULATE);
	struct shmipc_pub *pub;
	struct env env;
	uint64_t n = 7, was;

	env_set_up(&env);
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL));
	was = used_of(pub);
	EXPECT_EQ(-EOPNOTSUPP, shmipc_pub_trim(pub, 0, &n, 0));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_topic_trim(TOPIC, 0, &n, 0));
	EXPECT_EQ(7, n);
	EXPECT_EQ(was, used_of(pub));
	shmipc_pub_close(pub);
	env_tear_down(&env);
}

/* It does not say what the topic is. */
TEST(topic_trim_of_a_provisional_one_changes_nothing)
{
	struct shmipc_topic_opts o = SHMIPC_TOPIC_OPTS(.history = 10, .flags = SHMIPC_NO_POOL);
	struct shmipc_sub *sub;
	struct shmipc_pub *pub;
	struct env env;
	uint64_t n = 7;

	env_set_up(&env);
	ASSERT_EQ(0, sub_open(&sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	EXPECT_EQ(0, shmipc_topic_trim(TOPIC, 0, &n, 0)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, n);
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, put(pub, 5));
	EXPECT_EQ(5, get_until(sub, SOON));
	/* Without a pool there is nothing to give back. */
	EXPECT_EQ(0, trim(pub, 0));
	EXPECT_EQ(0, shmipc_topic_trim(TOPIC, 0, &n, 0));
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	env_tear_down(&env);
}

static int child_of_fork(struct shmipc_pub *pub)
{
	uint64_t n;

	return shmipc_pub_trim(pub, 0, &n, 0) == -EINVAL ? 0 : 1;
}

TEST_F(topic_trim, not_by_a_child)
{
	int status = -1;
	pid_t pid;

	ASSERT_EQ(0, put_len(self->pub, 0, BIG));
	pid = fork();
	if (!pid)
		_exit(child_of_fork(self->pub));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(BIG, get_len(self->sub, 0, BIG));
}

/* A file system of its own, with so much room. */

FIXTURE(topic_trim_full) {
	struct env env;
	struct shmipc_pub *pub, *b;
	struct shmipc_sub *sub;
	int filler;
};

FIXTURE_SETUP(topic_trim_full)
{
	const char *why;

	env_set_up(&self->env);
	self->filler = -1;
	why = room_make(&self->env);
	if (why)
		SKIP_SETUP("%s", why);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	self->b = self->pub;
	if (!env_on_dev())
		ASSERT_EQ(0, shmipc_pub_open(&self->b, TOPIC, NULL, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
}

FIXTURE_TEARDOWN(topic_trim_full)
{
	shmipc_sub_close(self->sub);
	if (self->b != self->pub)
		shmipc_pub_close(self->b);
	shmipc_pub_close(self->pub);
	if (self->filler >= 0)
		(void)close(self->filler);
	EXPECT_EQ(0, room_end(&self->env));
	env_tear_down(&self->env);
}

/* Both publishers, and the subscriber, know the memory of all chunks. */
TEST_F(topic_trim_full, what_is_taken_by_others_meanwhile_is_an_error_at_the_call)
{
	uint64_t i, n = 0, left;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, put_len(i % 2 ? self->b : self->pub, i, BIG));
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	}
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, put_len(self->b, i, BIG));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
	ASSERT_EQ(0, env_on_dev() ? shmipc_pub_trim(self->pub, 0, &n, SOON) :
				    shmipc_topic_trim(TOPIC, 0, &n, SOON)) TH_LOG("%s", shmipc_error_text());
	EXPECT_LE(MIB(7), n);
	/* A block that was made in the background while the room was filled is there again. */
	left = room_left(&self->env);
	EXPECT_LE(n, left);
	EXPECT_GE(n + MIB(2), left);
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
	EXPECT_EQ(-ENOSPC, put_len(self->pub, 0, BIG));
	EXPECT_EQ(-ENOSPC, put_len(self->b, 0, BIG));
	EXPECT_EQ(-ENOSPC, put_len(self->b, 0, 1500));
	EXPECT_EQ(-ESTALE, get_len(self->sub, 0, BIG));
	EXPECT_EQ(-EAGAIN, get_len(self->sub, 0, BIG));
	EXPECT_EQ(0, put(self->pub, 7));
	EXPECT_EQ(7, get(self->sub));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 10 * CHUNK));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, put_len(i % 2 ? self->b : self->pub, i, BIG));
		ASSERT_EQ(BIG, get_len(self->sub, i, BIG));
	}
	EXPECT_EQ(0, room_left(&self->env));
}

/* A publisher goes on in the chunk that it has left open, without a message in it. */
TEST_F(topic_trim_full, a_chunk_that_was_left_open_is_no_exception)
{
	struct shmipc_loan loan;
	uint64_t n = 0;

	ASSERT_EQ(0, shmipc_pub_loan(self->pub, 1500, NULL, &loan, 0));
	shmipc_pub_drop(self->pub, &loan);
	ASSERT_EQ(0, shmipc_pub_trim(self->b, 0, &n, SOON));
	EXPECT_EQ(CHUNK, n);
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
	EXPECT_EQ(-ENOSPC, put_len(self->pub, 0, 1500));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 2 * CHUNK));
	EXPECT_EQ(0, put_len(self->pub, 0, 1500));
	EXPECT_EQ(1500, get_len(self->sub, 0, 1500));
}

TEST_HARNESS_MAIN
