// SPDX-License-Identifier: MIT
/*
 * topic_memory: a topic commits memory on demand, whether memory is plentiful or not
 *
 * The memory in use is the number of the file's blocks; on the device, the module reports it.
 */
#include "topic_ends.h"

#include <sys/resource.h>

#include "room.h"

#define KIB(n)		((uint64_t)(n) << 10)
#define MIB(n)		((uint64_t)(n) << 20)
#define PAGE		((uint64_t)SHMIPC_CTL_PAGE)
#define IDLE_MOST	KIB(64)

static uint64_t used_of(const struct shmipc_topic_end *t)
{
	uint64_t n = 0;

	return t->seg->be->used(t->seg, &n) ? UINT64_MAX : n;
}

static uint64_t pub_used(const struct shmipc_pub *pub)
{
	return used_of(&pub_priv(pub)->t);
}

static uint64_t log_bytes(const struct shmipc_pub *pub)
{
	const struct shmipc_topic_hdr *h = &log_of(pub)->hdr;

	return h->pool_off - h->data_off;
}

static uint64_t total_of(const struct shmipc_pub *pub)
{
	return pub_priv(pub)->t.seg->bytes;
}

FIXTURE(topic_memory) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
};

FIXTURE_SETUP(topic_memory)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(topic_memory)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

TEST_F(topic_memory, idle_topic_is_small)
{
	EXPECT_GE(IDLE_MOST, pub_used(self->pub));
	/* Also with a subscriber, and messages that fit into the first pages. */
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, put(self->pub, 0));
	ASSERT_EQ(0, get(self->sub));
	EXPECT_GE(IDLE_MOST, pub_used(self->pub));
	EXPECT_LT(MIB(9), total_of(self->pub));
}

TEST_F(topic_memory, a_thousand_idle_topics_are_small)
{
	enum { MANY = 1000 };
	struct shmipc_pub **many = calloc(MANY, sizeof(*many));
	struct rlimit files = { 4096, 4096 };
	uint64_t all = 0;
	char name[32];
	int i;

	ASSERT_NE(NULL, many);
	if (setrlimit(RLIMIT_NOFILE, &files)) {
		free(many);
		SKIP(return, "a thousand descriptors are not allowed here");
	}
	for (i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "many/%d", i);
		ASSERT_EQ(0, shmipc_pub_open(&many[i], name, NULL, NULL)) TH_LOG("%s", shmipc_error_text());
		all += pub_used(many[i]);
	}
	EXPECT_GE(MANY * IDLE_MOST, all);
	for (i = 0; i < MANY; i++)
		shmipc_pub_close(many[i]);
	free(many);
}

TEST_F(topic_memory, grows_with_messages_up_to_its_size)
{
	const uint64_t idle = pub_used(self->pub), log = log_bytes(self->pub);
	uint64_t was = idle, i;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS));
	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, put(self->pub, i));
		ASSERT_EQ((int64_t)i, get(self->sub));
		EXPECT_LE(was, pub_used(self->pub));
		was = pub_used(self->pub);
		/* At most twice the size of the messages, plus one step. */
		EXPECT_GE(idle + 2 * (i + 1) * 1024 + KIB(64), was) TH_LOG("after %llu", (unsigned long long)i);
	}
	/* All of the log, and none of the pool. */
	EXPECT_GE(idle + log, was);
	EXPECT_LE(log, was);
	for (i = 0; i < 400; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, 30000));
		ASSERT_EQ(30000, get_len(self->sub, i, 30000));
		/* From 2 MiB on half a block of 2 MiB and another one, which begins with a page. */
		EXPECT_GE(was + (i + 1) * KIB(32) + (was + i * KIB(32) < MIB(2) ? 0 : MIB(3) + PAGE),
			  pub_used(self->pub));
	}
	EXPECT_LE(total_of(self->pub) - MIB(2), pub_used(self->pub));
	EXPECT_GE(total_of(self->pub), pub_used(self->pub));
}

/* Chunks of overwritten messages are used again before more memory is committed. */
TEST_F(topic_memory, free_chunks_are_reused_first)
{
	const uint64_t idle = pub_used(self->pub), log = log_bytes(self->pub);
	const uint64_t entries = log_of(self->pub)->hdr.entries;
	uint64_t i;

	for (i = 0; i < 5 * entries; i++)
		ASSERT_EQ(0, put_len(self->pub, i, 1500));
	/* Messages of 1.5 KiB, as many as entries and an eighth more; and 3 MiB ahead of use. */
	EXPECT_GE(idle + log + entries * 9 / 8 * 1536 + MIB(3), pub_used(self->pub));
}

TEST(topic_memory_populate_commits_all_at_creation)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .flags = SHMIPC_POPULATE };
	struct shmipc_pub *pub;
	struct env env;
	uint64_t was, i;

	env_set_up(&env);
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	was = pub_used(pub);
	EXPECT_LE(MIB(9), was);
	for (i = 0; i < 1100; i++)
		ASSERT_EQ(0, put_len(pub, i, 8000));
	for (i = 0; i < 1100; i++)
		ASSERT_EQ(0, put(pub, i));
	EXPECT_EQ(was, pub_used(pub));
	shmipc_pub_close(pub);
	env_tear_down(&env);
}

TEST_F(topic_memory, populate_of_an_existing_topic_commits_the_rest)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .flags = SHMIPC_POPULATE };
	const uint64_t pool = log_of(self->pub)->hdr.chunks * log_of(self->pub)->hdr.chunk_bytes;
	struct shmipc_sub_opts so = sub_opts(SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS);
	struct shmipc_pub *pub;
	uint64_t was, i;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, put_len(self->pub, i, i % 2 ? 100 : 30000));
	/* Not by a subscriber. */
	was = pub_used(self->pub);
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, &o, &so)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(was, pub_used(self->pub));
	ASSERT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	was = pub_used(pub);
	EXPECT_LE(log_bytes(pub) + pool, was);
	EXPECT_EQ(log_of(pub)->hdr.entries, log_of(pub)->pub->backed);
	for (i = 0; i < 10; i++)
		ASSERT_EQ(i % 2 ? 100 : 30000, get_len(self->sub, i, 30000));
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	for (i = 0; i < 2100; i++)
		ASSERT_EQ(0, put_len(i % 2 ? pub : self->pub, i, i % 3 ? 8000 : 100));
	EXPECT_EQ(was, pub_used(pub));
	shmipc_pub_close(pub);
}

/* A subscriber commits at most the page of its line. */
TEST_F(topic_memory, reading_commits_nothing)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSY);
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_topic_sub_info subs[4];
	struct shmipc_topic_pub_info pubs[4];
	const uint64_t idle = pub_used(self->pub);
	struct shmipc_msg m;
	int i;

	for (i = 0; i < 6; i++) {
		o.start = i & 1 ? SHMIPC_START_NEWEST : SHMIPC_START_OLDEST;
		o.stride = i == 2 ? 500 : 1;
		o.stride_at = i == 2 ? 499 : 0;
		o.group = i == 3;
		o.flags = i == 4 ? SHMIPC_SUB_READ_ONLY : 0;
		o.iter = i == 5 ? SHMIPC_ITER_NEWEST : SHMIPC_ITER_NEXT;
		ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &o)) TH_LOG("%s", shmipc_error_text());
		EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(2000000)));
		EXPECT_EQ(-EAGAIN, shmipc_sub_read_at(self->sub, 0, &m));
		EXPECT_EQ(-EAGAIN, shmipc_sub_read_at(self->sub, 1000, &m));
		EXPECT_EQ(-EAGAIN, shmipc_sub_read_at(self->sub, UINT64_MAX >> 2, &m));
		EXPECT_EQ(idle, pub_used(self->pub)) TH_LOG("case %d", i);
		shmipc_sub_close(self->sub);
		self->sub = NULL;
	}
	st.pub = pubs, st.pub_cap = 4, st.sub = subs, st.sub_cap = 4;
	ASSERT_EQ(0, shmipc_topic_look(TOPIC, &st));
	EXPECT_EQ(idle, st.info.memory_bytes);
	EXPECT_EQ(idle, pub_used(self->pub));
}

/* Waits for messages whose entries have no memory yet. */
static int stride_reader(struct other *me, void *arg)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSY);
	struct shmipc_sub *sub;

	(void)arg;
	o.stride = 500;
	o.stride_at = 499;
	o.spin_ns = SHMIPC_SPIN_NEVER;
	CHECK(!shmipc_sub_open(&sub, TOPIC, NULL, &o));
	tell(me, 1);
	CHECK(get_until(sub, SHMIPC_FOREVER) == 499);
	CHECK(get_until(sub, SHMIPC_FOREVER) == 999);
	CHECK(get_until(sub, SHMIPC_FOREVER) == 1499);
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(topic_memory, a_reader_can_wait_for_an_entry_without_memory)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, stride_reader, NULL));
	ASSERT_EQ(1, hear(&o));
	EXPECT_EQ(0, until_asleep(o.tid));
	EXPECT_EQ(0, put_range(self->pub, 0, 1500));
	EXPECT_EQ(0, other_end(&o));
}

/* Each of two publishers uses the memory that the other one has committed. */
TEST_F(topic_memory, committed_by_one_publisher_is_used_by_another)
{
	struct shmipc_pub *b;
	uint64_t i, was;

	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, put_range(self->pub, 0, 200));
	was = pub_used(self->pub);
	ASSERT_EQ(0, shmipc_pub_open(&b, TOPIC, NULL, NULL));
	EXPECT_EQ(was, pub_used(self->pub));
	for (i = 200; i < 2000; i++) {
		ASSERT_EQ(0, put(i / 7 % 2 ? b : self->pub, i));
		if (i >= 800)
			ASSERT_EQ((int64_t)i - 800, get(self->sub));
	}
	ASSERT_EQ(0, get_range(self->sub, 1200, 2000));
	shmipc_pub_close(b);
}

/* On a separate file system with limited room */

FIXTURE(topic_full) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int filler;
};

FIXTURE_SETUP(topic_full)
{
	const char *why;

	env_set_up(&self->env);
	self->filler = -1;
	why = room_make(&self->env);
	if (why)
		SKIP_SETUP("%s", why);
}

FIXTURE_TEARDOWN(topic_full)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	if (self->filler >= 0)
		(void)close(self->filler);
	EXPECT_EQ(0, room_end(&self->env));
	env_tear_down(&self->env);
}

TEST_F(topic_full, five_hundred_topics_and_publishing_continues_when_there_is_room_again)
{
	enum { MANY = 500 };
	struct shmipc_pub *many[MANY];
	uint64_t sent = 0, more;
	char name[32];
	int i, ret = 0;

	for (i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "many/%d", i);
		ASSERT_EQ(0, shmipc_pub_open(&many[i], name, NULL, NULL)) TH_LOG("%s", shmipc_error_text());
	}
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, KIB(100)));
	while (!(ret = put(self->pub, sent)))
		sent++;
	EXPECT_EQ(-ENOSPC, ret);
	/* It has filled all the room, up to a page, and publishing still fails. */
	EXPECT_LE(98, sent);
	EXPECT_GE(PAGE, room_left(&self->env));
	EXPECT_EQ(-ENOSPC, put_until(self->pub, 0, SOON));
	EXPECT_EQ(-ENOSPC, put_len(self->pub, 0, 5000));
	EXPECT_EQ(-ENOSPC, put(many[1], 0) ? -ENOSPC : put_len(many[1], 0, 5000));
	ASSERT_EQ(0, get_range(self->sub, 0, sent));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	/* There is room again. */
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(8)));
	for (more = sent; more < sent + 700; more++)
		ASSERT_EQ(0, put(self->pub, more)) TH_LOG("after %llu", (unsigned long long)sent);
	ASSERT_EQ(0, get_range(self->sub, sent, more));
	ASSERT_EQ(0, put_len(self->pub, 7, 5000));
	ASSERT_EQ(5000, get_len(self->sub, 7, 5000));
	for (i = 0; i < MANY; i++)
		shmipc_pub_close(many[i]);
}

TEST_F(topic_full, the_pool_works_with_the_memory_that_it_got)
{
	uint64_t i;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 1100));	/* all of the log */
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 10 * KIB(32)));
	/* Old messages make room for new ones, though fewer are kept than the history asks for. */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, 30000)) TH_LOG("%llu", (unsigned long long)i);
		ASSERT_EQ(30000, get_len(self->sub, i, 30000));
	}
	/* Messages for a lossless subscriber do not: ENOSPC at once, without waiting for it. */
	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, put_len(self->pub, i, 30000));
	EXPECT_EQ(-ENOSPC, put_len(self->pub, i, 30000));
	EXPECT_EQ(-ENOSPC, put_len(self->pub, i, MIB(7)));
	ASSERT_EQ(30000, get_len(self->sub, 0, 30000));
	EXPECT_EQ(0, put_len(self->pub, 10, 30000));
	for (i = 1; i < 11; i++)
		ASSERT_EQ(30000, get_len(self->sub, i, 30000));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(8)));
	EXPECT_EQ(0, put_len(self->pub, 11, MIB(7)));
	EXPECT_EQ((int64_t)MIB(7), get_len(self->sub, 11, MIB(7)));
}

TEST_F(topic_full, a_message_that_does_not_fit_commits_nothing)
{
	struct shmipc_loan loan;
	uint64_t was;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(4)));
	was = pub_used(self->pub);
	EXPECT_EQ(-ENOSPC, put_len(self->pub, 0, MIB(5)));
	EXPECT_EQ(-ENOSPC, shmipc_pub_loan(self->pub, MIB(5), NULL, &loan, 0));
	EXPECT_EQ(was, pub_used(self->pub));
	EXPECT_EQ(0, put_len(self->pub, 0, MIB(3)));
}

TEST_F(topic_full, loans_and_batches_can_be_published_later)
{
	struct shmipc_buf v[100];
	struct shmipc_loan loan;
	uint64_t n[100], sent = 0, i;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, shmipc_pub_loan(self->pub, 20000, NULL, &loan, 0));
	msg_fill(loan.ptr, 20000, SEED, 5);
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, KIB(40)));
	for (i = 0; i < 100; i++) {
		n[i] = 1000 + i;
		v[i] = (struct shmipc_buf){ &n[i], sizeof(n[i]) };
	}
	EXPECT_EQ(-ENOSPC, shmipc_pub_send_batch(self->pub, v, 100, 0));
	while (!put(self->pub, sent))
		sent++;
	EXPECT_LE(38, sent);
	EXPECT_EQ(-ENOSPC, shmipc_pub_publish(self->pub, &loan, 20000, 0));
	ASSERT_EQ(0, get_range(self->sub, 0, sent));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(1)));
	EXPECT_EQ(0, shmipc_pub_publish(self->pub, &loan, 20000, 0));
	EXPECT_EQ(20000, get_len(self->sub, 5, 20000));
	EXPECT_EQ(0, shmipc_pub_send_batch(self->pub, v, 100, 0));
	EXPECT_EQ(0, get_range(self->sub, 1000, 1100));
}

TEST_F(topic_full, populate_fails_if_the_rest_does_not_fit)
{
	struct shmipc_topic_opts o = { .struct_bytes = sizeof(o), .flags = SHMIPC_POPULATE };
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(6)));
	EXPECT_EQ(-ENOSPC, shmipc_pub_open(&pub, TOPIC, &o, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "ENOSPC"));
	/* The others go on. */
	EXPECT_EQ(0, put_len(self->pub, 0, 30000));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MIB(12)));
	EXPECT_EQ(0, shmipc_pub_open(&pub, TOPIC, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_pub_close(pub);
}

/* The call fails with ENOSPC and leaves nothing behind. */
TEST_F(topic_full, creating_or_joining_a_topic_fails)
{
	uint64_t was;

	ASSERT_EQ(0, room_fill(&self->filler, &self->env, KIB(16)));
	EXPECT_EQ(-ENOSPC, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	EXPECT_EQ(0, env_files(&self->env));
	EXPECT_EQ(KIB(16), room_left(&self->env));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, KIB(80)));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	was = pub_used(self->pub);
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
	/* The lines of the first dozen subscribers always have memory. */
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	EXPECT_EQ(was, pub_used(self->pub));
}

/*
 * A peer states that there is memory where there is none, and none is available:
 * subscribers and publishers detect it.
 */
TEST_F(topic_full, false_watermarks_are_detected)
{
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_OLDEST, SHMIPC_POLICY_LOSSLESS);
	struct shmipc_pub *b = NULL;
	const struct shmipc_tlog *log;
	struct shmipc_msg m;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	log = log_of(self->pub);
	ASSERT_EQ(0, put(self->pub, 0));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
	log->pub->backed = 4000;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(-EPROTO, get(self->sub));
	EXPECT_EQ(-EPROTO, shmipc_sub_read_at(self->sub, 0, &m));
	shmipc_sub_close(self->sub);
	o.group = 1;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &o));
	EXPECT_EQ(-EPROTO, get_until(self->sub, SOON));
	EXPECT_EQ(-ENOSPC, shmipc_pub_open(&b, TOPIC, NULL, NULL));
	/* The same for lines of subscribers that never attached, and numbers never claimed. */
	if (!env_on_dev())	/* on the device publishers cannot write this word */
		log->sub->subs_used = 256;
	log->pub->pubs_used = 64;
	log->pub_line[3].claim = 500 << 12 | 100;
	log->pub->backed = 0;
	EXPECT_EQ(0, put(self->pub, 1));
	EXPECT_EQ(-ENOSPC, put(self->pub, 2));
	log->pub->tail = 700;
	EXPECT_EQ(-ENOSPC, put(self->pub, 2));
	/* A message in a chunk without memory. */
	shmipc_sub_close(self->sub);
	o.group = 0;
	o.policy = SHMIPC_POLICY_LOSSY;
	log->pub->backed = 3;
	log->pub->tail = 2;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &o));
	EXPECT_EQ(0, get(self->sub));
	shmipc_tlog_entry(log, 1)->word = 1 << 2 | SHMIPC_ENTRY_POOL;
	shmipc_tlog_entry(log, 1)->info = 100;
	EXPECT_EQ(-EPROTO, get(self->sub));
}

TEST_HARNESS_MAIN
