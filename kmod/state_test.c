// SPDX-License-Identifier: GPL-2.0-only
/* state_test.c - KUnit tests of positions, and of hostile headers; included by state.c */
#include <kunit/test.h>

#define TEST_PEERS	4u
#define TEST_BODY	SHMIPC_DEV_BODY_OFF(TEST_PEERS)
#define TEST_BYTES	(16 * PAGE_SIZE)

/* A segment that has its memory, and nothing else. */
static struct shmipc_segment *segment(struct kunit *test, u32 kind)
{
	struct shmipc_segment *seg = kunit_kzalloc(test, sizeof(*seg), GFP_KERNEL);
	u64 ctl = TEST_BYTES;

	KUNIT_ASSERT_NOT_NULL(test, seg);
	test->priv = seg;
	seg->kind = kind;
	seg->peers = TEST_PEERS;
	seg->mem.node = -1;
	KUNIT_ASSERT_EQ(test, shmipc_memory_init(&seg->mem, ctl, ctl, PAGE_SIZE), 0);
	KUNIT_ASSERT_EQ(test, shmipc_memory_fill(&seg->mem, 0, ctl), 0);
	return seg;
}

static void state_exit(struct kunit *test)
{
	struct shmipc_segment *seg = test->priv;

	if (seg)
		shmipc_memory_free(&seg->mem);
}

static void put_word(struct shmipc_segment *seg, u64 off, u64 value)
{
	u64 *word = shmipc_memory_addr(&seg->mem, off);

	if (word)
		*word = value;
}

/* The position @pos of @off's cursor, and the number that goes with it. */
static void put_cursor(struct shmipc_segment *seg, u64 off, u64 pos, u64 seq)
{
	u64 odd = pos >> 3 & 1;

	put_word(seg, off + offsetof(struct shmipc_cursor, seq) + sizeof(u64) * odd, seq);
	put_word(seg, off, pos | odd);
}

#define TEST_PROD	1024u
#define TEST_CONS	2048u

static struct shmipc_segment *ring(struct kunit *test, u64 prod, u64 cons)
{
	struct shmipc_segment *seg = segment(test, SHMIPC_KIND_SPSC);
	struct shmipc_ring_hdr *hdr = shmipc_memory_addr(&seg->mem, TEST_BODY);

	hdr->size = 4096;
	hdr->prod_off = prod;
	hdr->cons_off = cons;
	shmipc_state_find(seg);
	return seg;
}

static void ring_has_two_positions(struct kunit *test)
{
	struct shmipc_segment *seg = ring(test, TEST_PROD, TEST_CONS);
	struct shmipc_bpf_state st;

	put_cursor(seg, TEST_BODY + TEST_PROD, 72, 9);
	put_cursor(seg, TEST_BODY + TEST_CONS, 16, 2);
	shmipc_state_read(seg, &st);
	KUNIT_EXPECT_EQ(test, st.capacity, 4096);
	KUNIT_EXPECT_EQ(test, st.published, 72);
	KUNIT_EXPECT_EQ(test, st.consumed, 16);
	KUNIT_EXPECT_EQ(test, st.messages, 9);
}

static void ring_consumer_lags(struct kunit *test)
{
	struct shmipc_segment *seg = ring(test, TEST_PROD, TEST_CONS);
	struct shmipc_peer peer = { .slot = 1, .role = SHMIPC_ROLE_CONSUMER };
	struct shmipc_bpf_peer st;

	put_cursor(seg, TEST_BODY + TEST_PROD, 72, 9);
	put_cursor(seg, TEST_BODY + TEST_CONS, 16, 2);
	shmipc_state_peer(seg, &peer, &st);
	KUNIT_EXPECT_EQ(test, st.pos, 16);
	KUNIT_EXPECT_EQ(test, st.messages, 2);
	KUNIT_EXPECT_EQ(test, st.lag, 56);
	KUNIT_EXPECT_EQ(test, st.behind, 7);
	/* A consumer that claims to be ahead is not behind by 2^64. */
	put_cursor(seg, TEST_BODY + TEST_CONS, 80, 10);
	shmipc_state_peer(seg, &peer, &st);
	KUNIT_EXPECT_EQ(test, st.lag, 0);
	KUNIT_EXPECT_EQ(test, st.behind, 0);
}

/* Offsets that lead nowhere: nothing is read, and nothing faults. */
static void ring_header_is_hostile(struct kunit *test)
{
	static const u64 off[] = {
		0, 1, 4, U64_MAX, 1ull << 63, SHMIPC_DEV_BODY_MAX + 8, SHMIPC_DEV_BODY_MAX,
		TEST_BYTES, U64_MAX - TEST_BODY + 1, U64_MAX - TEST_BODY + 1 - 8,
	};
	struct shmipc_peer peer = { .slot = 1, .role = SHMIPC_ROLE_CONSUMER };
	struct shmipc_segment *seg = ring(test, TEST_PROD, TEST_CONS);
	struct shmipc_ring_hdr *hdr = shmipc_memory_addr(&seg->mem, TEST_BODY);
	struct shmipc_bpf_state st;
	struct shmipc_bpf_peer ps;
	int i;

	put_cursor(seg, TEST_BODY + TEST_PROD, 72, 9);
	for (i = 0; i < ARRAY_SIZE(off); i++) {
		memset(&seg->at, 0, sizeof(seg->at));
		hdr->prod_off = off[i];
		hdr->cons_off = off[i];
		shmipc_state_find(seg);
		KUNIT_EXPECT_NULL_MSG(test, seg->tail, "offset %llx", off[i]);
		KUNIT_EXPECT_NULL_MSG(test, seg->head, "offset %llx", off[i]);
		shmipc_state_read(seg, &st);
		KUNIT_EXPECT_EQ_MSG(test, st.published, 0, "offset %llx", off[i]);
		shmipc_state_peer(seg, &peer, &ps);
		KUNIT_EXPECT_EQ_MSG(test, ps.lag, 0, "offset %llx", off[i]);
	}
}

static struct shmipc_topic_hdr *topic(struct kunit *test)
{
	struct shmipc_segment *seg = segment(test, SHMIPC_KIND_TOPIC);
	struct shmipc_topic_hdr *hdr = shmipc_memory_addr(&seg->mem, TEST_BODY);

	hdr->magic = SHMIPC_TOPIC_MAGIC;
	hdr->version = SHMIPC_TOPIC_VERSION;
	hdr->pubs = 2;
	hdr->subs = 2;
	hdr->entries = 64;
	hdr->pub_off = 1024;
	hdr->sub_off = 8192;
	shmipc_state_find(seg);
	KUNIT_ASSERT_EQ(test, seg->at.pubs, 2);
	return hdr;
}

static void topic_tail_is_lent(struct kunit *test)
{
	struct shmipc_topic_hdr *hdr = topic(test);
	struct shmipc_segment *seg = test->priv;
	u64 tail = TEST_BODY + hdr->pub_off, line = seg->at.pub_lines;

	put_word(seg, tail, 40);
	KUNIT_EXPECT_EQ(test, shmipc_state_published(seg), 40);
	/* Lent to publisher 1, which is at 45 by now. */
	put_word(seg, tail, SHMIPC_TAIL_LENT | 40ull << SHMIPC_TAIL_START | 1);
	KUNIT_EXPECT_EQ(test, shmipc_state_published(seg), 40);
	put_word(seg, line + sizeof(struct shmipc_pub_line) +
		 offsetof(struct shmipc_pub_line, next), 45);
	KUNIT_EXPECT_EQ(test, shmipc_state_published(seg), 45);
	/* To a publisher that does not exist: what is behind the last line does not count. */
	put_word(seg, line + 2 * sizeof(struct shmipc_pub_line) +
		 offsetof(struct shmipc_pub_line, next), 99);
	put_word(seg, tail, SHMIPC_TAIL_LENT | 40ull << SHMIPC_TAIL_START | 2);
	KUNIT_EXPECT_EQ(test, shmipc_state_published(seg), 40);
	put_word(seg, tail, SHMIPC_TAIL_LENT | 40ull << SHMIPC_TAIL_START | SHMIPC_TAIL_SLOT);
	KUNIT_EXPECT_EQ(test, shmipc_state_published(seg), 40);
}

static void topic_subscriber_lags(struct kunit *test)
{
	struct shmipc_topic_hdr *hdr = topic(test);
	struct shmipc_segment *seg = test->priv;
	struct shmipc_peer peer = { .slot = 3, .role = SHMIPC_ROLE_CONSUMER };
	u64 line = seg->at.sub_lines + seg->at.sub_stride;
	struct shmipc_bpf_peer st;

	put_word(seg, TEST_BODY + hdr->pub_off, 40);
	put_word(seg, line + offsetof(struct shmipc_sub_line, pos), 30);
	put_word(seg, line + offsetof(struct shmipc_sub_line, lost), 5);
	put_word(seg, line + offsetof(struct shmipc_sub_line, holding), U64_MAX);
	shmipc_state_peer(seg, &peer, &st);
	KUNIT_EXPECT_EQ(test, st.pos, 30);
	KUNIT_EXPECT_EQ(test, st.lag, 10);
	KUNIT_EXPECT_EQ(test, st.lost, 5);
	KUNIT_EXPECT_EQ(test, st.holding, U32_MAX);
	put_word(seg, line + offsetof(struct shmipc_sub_line, pos), 41);
	shmipc_state_peer(seg, &peer, &st);
	KUNIT_EXPECT_EQ(test, st.lag, 0);
	put_word(seg, line + offsetof(struct shmipc_sub_line, pos), SHMIPC_POS_NONE);
	shmipc_state_peer(seg, &peer, &st);
	KUNIT_EXPECT_EQ(test, st.lag, 0);
}

static void topic_header_is_hostile(struct kunit *test)
{
	struct shmipc_topic_hdr *hdr = topic(test), good = *hdr;
	struct shmipc_segment *seg = test->priv;

#define EXPECT_NO_TOPIC(field, value)						\
do {										\
	*hdr = good;								\
	hdr->field = (value);							\
	memset(&seg->at, 0, sizeof(seg->at));					\
	shmipc_state_find(seg);							\
	KUNIT_EXPECT_EQ_MSG(test, seg->at.pubs, 0, #field " = " #value);	\
} while (0)
	EXPECT_NO_TOPIC(magic, 0);
	EXPECT_NO_TOPIC(version, SHMIPC_TOPIC_VERSION + 1);
	EXPECT_NO_TOPIC(pubs, 0);
	EXPECT_NO_TOPIC(pubs, SHMIPC_TOPIC_PUBS_MAX + 1);
	EXPECT_NO_TOPIC(pubs, TEST_PEERS - 1);
	EXPECT_NO_TOPIC(subs, SHMIPC_TOPIC_SUBS_MAX + 1);
	/* The sum wraps around to a small number. */
	EXPECT_NO_TOPIC(subs, U32_MAX);
	EXPECT_NO_TOPIC(holds, SHMIPC_TOPIC_HOLDS_MAX + 1);
	EXPECT_NO_TOPIC(pub_off, 0);
	EXPECT_NO_TOPIC(pub_off, 4);
	EXPECT_NO_TOPIC(pub_off, SHMIPC_DEV_BODY_MAX + 8);
	EXPECT_NO_TOPIC(sub_off, U64_MAX);
#undef EXPECT_NO_TOPIC
}

static struct kunit_case state_tests[] = {
	KUNIT_CASE(ring_has_two_positions),
	KUNIT_CASE(ring_consumer_lags),
	KUNIT_CASE(ring_header_is_hostile),
	KUNIT_CASE(topic_tail_is_lent),
	KUNIT_CASE(topic_subscriber_lags),
	KUNIT_CASE(topic_header_is_hostile),
	{}
};

static struct kunit_suite state_suite = {
	.name		= "shmipc-state",
	.exit		= state_exit,
	.test_cases	= state_tests,
};

kunit_test_suite(state_suite);
