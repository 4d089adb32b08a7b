// SPDX-License-Identifier: GPL-2.0-only
/* segment_test.c - KUnit tests of what CREATE accepts; included by segment.c */
#include <kunit/test.h>

#define TEST_PEERS	2u
#define TEST_DATA	(SHMIPC_DEV_BODY_OFF(TEST_PEERS) + 8 * PAGE_SIZE)

/* A request that is accepted. Each test makes one thing of it wrong. */
static struct shmipc_dev_create *request(struct kunit *test)
{
	struct shmipc_dev_create *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->size = sizeof(*r);
	r->kind = SHMIPC_KIND_SPSC;
	r->mode = 0600;
	r->peers = TEST_PEERS;
	r->data_off = ALIGN(TEST_DATA, PAGE_SIZE);
	r->data_bytes = 4 * PAGE_SIZE;
	r->body_bytes = 100;
	KUNIT_ASSERT_EQ(test, check_request(r), 0);
	return r;
}

/* With @field set to @value, is the request refused, and accepted again with the old one? */
#define EXPECT_RESULT(test, r, field, value, result)				\
do {										\
	typeof((r)->field) was = (r)->field;					\
										\
	(r)->field = (value);							\
	KUNIT_EXPECT_EQ_MSG(test, check_request(r), result, #field " = " #value); \
	(r)->field = was;							\
	KUNIT_EXPECT_EQ(test, check_request(r), 0);				\
} while (0)
#define EXPECT_BAD(test, r, field, value)	EXPECT_RESULT(test, r, field, value, -EINVAL)
#define EXPECT_GOOD(test, r, field, value)	EXPECT_RESULT(test, r, field, value, 0)

static void peers_have_bounds(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);

	EXPECT_BAD(test, r, peers, 0);
	EXPECT_BAD(test, r, peers, SHMIPC_DEV_PEERS_MAX + 1);
	EXPECT_BAD(test, r, peers, U32_MAX);
	EXPECT_GOOD(test, r, peers, 1);
	/* More peers need a longer table, which reaches into the data here. */
	EXPECT_BAD(test, r, peers, SHMIPC_DEV_PEERS_MAX);
}

static void page_is_a_power_of_two(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);

	EXPECT_GOOD(test, r, page, PAGE_SIZE);
	EXPECT_GOOD(test, r, page, SHMIPC_CHUNK_BYTES);
	EXPECT_GOOD(test, r, page, 1ull << 63);
	EXPECT_BAD(test, r, page, PAGE_SIZE / 2);
	EXPECT_BAD(test, r, page, PAGE_SIZE + 1);
	EXPECT_BAD(test, r, page, U64_MAX);
}

static void data_follow_the_body(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);
	u64 body = SHMIPC_DEV_BODY_OFF(TEST_PEERS), first = PAGE_ALIGN(body + r->body_bytes);
	u64 last = (body + SHMIPC_DEV_BODY_MAX + SHMIPC_CHUNK_BYTES) & PAGE_MASK;

	EXPECT_GOOD(test, r, data_off, first);
	EXPECT_BAD(test, r, data_off, first - PAGE_SIZE);
	EXPECT_BAD(test, r, data_off, first + 1);
	EXPECT_BAD(test, r, data_off, 0);
	EXPECT_BAD(test, r, data_off, U64_MAX & PAGE_MASK);
	EXPECT_GOOD(test, r, data_off, last);
	EXPECT_BAD(test, r, data_off, last + PAGE_SIZE);
	/* The sum of offset and length of the body must not wrap around. */
	EXPECT_BAD(test, r, body_bytes, U64_MAX);
	EXPECT_BAD(test, r, body_bytes, U64_MAX - body + 1);
	EXPECT_BAD(test, r, body_bytes, SHMIPC_DEV_BODY_MAX + 1);
}

static void data_have_a_size(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);

	EXPECT_BAD(test, r, data_bytes, 0);
	EXPECT_BAD(test, r, data_bytes, PAGE_SIZE + 1);
	EXPECT_GOOD(test, r, data_bytes, DATA_BYTES_MAX);
	EXPECT_BAD(test, r, data_bytes, DATA_BYTES_MAX + PAGE_SIZE);
	EXPECT_BAD(test, r, data_bytes, U64_MAX & PAGE_MASK);
}

static void commit_is_part_of_the_data(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);

	EXPECT_BAD(test, r, commit_bytes, PAGE_SIZE);
	r->flags = SHMIPC_DEV_RESERVE;
	EXPECT_GOOD(test, r, commit_bytes, 0);
	EXPECT_GOOD(test, r, commit_bytes, r->data_bytes);
	EXPECT_BAD(test, r, commit_bytes, r->data_bytes + PAGE_SIZE);
	EXPECT_BAD(test, r, commit_bytes, 1);
}

static void request_has_nothing_unknown(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);

	EXPECT_BAD(test, r, flags, CREATE_FLAGS + 1);
	EXPECT_BAD(test, r, flags, 1u << 31);
	EXPECT_BAD(test, r, kind, SHMIPC_KIND_ANY);
	EXPECT_BAD(test, r, mode, 01000);
	EXPECT_BAD(test, r, role_max[SHMIPC_ROLE_NONE], 1);
	EXPECT_BAD(test, r, nregions, SHMIPC_DEV_REGIONS_MAX + 1);
	EXPECT_BAD(test, r, name, 1);
	EXPECT_BAD(test, r, name_len, 1);
	EXPECT_BAD(test, r, flags, SHMIPC_DEV_PERSISTENT);
	EXPECT_BAD(test, r, node, 1);
	r->flags = SHMIPC_DEV_ON_NODE;
	EXPECT_BAD(test, r, node, -1);
	EXPECT_BAD(test, r, node, MAX_NUMNODES);
	EXPECT_BAD(test, r, node, S32_MAX);
}

static void regions_are_in_the_segment(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);
	u64 body = SHMIPC_DEV_BODY_OFF(TEST_PEERS), end = r->data_off + r->data_bytes;
	const struct shmipc_dev_region whole = {
		.off = PAGE_ALIGN(body), .bytes = end - PAGE_ALIGN(body), .roles = 1,
	};
	const struct {
		const char *what;
		struct shmipc_dev_region g;
	} bad[] = {
		{ "reserved", { .off = whole.off, .bytes = PAGE_SIZE, .roles = 1, .reserved = 1 } },
		{ "no role", { .off = whole.off, .bytes = whole.bytes } },
		{ "unknown role", { .off = whole.off, .bytes = whole.bytes, .roles = 0x100 } },
		{ "in the table of peers", { .off = 0, .bytes = PAGE_SIZE, .roles = 1 } },
		{ "empty", { .off = whole.off, .bytes = 0, .roles = 1 } },
		{ "part of a page", { .off = whole.off + 8, .bytes = PAGE_SIZE, .roles = 1 } },
		{ "length", { .off = whole.off, .bytes = 8, .roles = 1 } },
		{ "too long", { .off = whole.off, .bytes = whole.bytes + PAGE_SIZE, .roles = 1 } },
		{ "behind the end", { .off = end + PAGE_SIZE, .bytes = PAGE_SIZE, .roles = 1 } },
		{ "at the end", { .off = end, .bytes = PAGE_SIZE, .roles = 1 } },
		{ "wraps around", { .off = end - PAGE_SIZE, .bytes = -PAGE_SIZE, .roles = 1 } },
	};
	struct shmipc_dev_region g[2] = { whole, whole };
	int i;

	KUNIT_EXPECT_EQ(test, check_regions(g, 2, r), 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		g[1] = bad[i].g;
		KUNIT_EXPECT_EQ_MSG(test, check_regions(g, 1, r), 0, "%s", bad[i].what);
		KUNIT_EXPECT_EQ_MSG(test, check_regions(g, 2, r), -EINVAL, "%s", bad[i].what);
	}
}

static void seals_are_of_the_data(struct kunit *test)
{
	struct shmipc_dev_create *r = request(test);
	u64 words = PAGE_ALIGN(SHMIPC_DEV_BODY_OFF(TEST_PEERS));
	struct shmipc_dev_region g = { .off = words, .bytes = PAGE_SIZE, .roles = 1 };

	EXPECT_BAD(test, r, seal_words, words);
	EXPECT_BAD(test, r, seal_unit, PAGE_SIZE);
	r->body_bytes = words + PAGE_SIZE - SHMIPC_DEV_BODY_OFF(TEST_PEERS);
	r->flags = SHMIPC_DEV_SEALS;
	r->seal_words = words;
	r->seal_off = r->data_off;
	r->seal_bytes = r->data_bytes;
	r->seal_unit = PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, check_request(r), 0);
	EXPECT_BAD(test, r, flags, 0);
	EXPECT_BAD(test, r, seal_unit, 0);
	EXPECT_BAD(test, r, seal_unit, PAGE_SIZE / 2);
	EXPECT_BAD(test, r, seal_unit, 3 * PAGE_SIZE);
	EXPECT_BAD(test, r, seal_unit, 8 * PAGE_SIZE);
	EXPECT_BAD(test, r, seal_unit, BIT_ULL(63));
	EXPECT_GOOD(test, r, seal_unit, 4 * PAGE_SIZE);
	EXPECT_BAD(test, r, seal_bytes, 0);
	EXPECT_BAD(test, r, seal_bytes, r->data_bytes + PAGE_SIZE);
	EXPECT_BAD(test, r, seal_bytes, U64_MAX & PAGE_MASK);
	EXPECT_GOOD(test, r, seal_bytes, PAGE_SIZE);
	EXPECT_BAD(test, r, seal_off, r->data_off + 8);
	EXPECT_BAD(test, r, seal_off, r->data_off - PAGE_SIZE);
	EXPECT_BAD(test, r, seal_off, r->data_off + PAGE_SIZE);
	EXPECT_BAD(test, r, seal_off, U64_MAX & PAGE_MASK);
	EXPECT_BAD(test, r, seal_words, 0);
	EXPECT_BAD(test, r, seal_words, words + 8);
	EXPECT_BAD(test, r, seal_words, words + PAGE_SIZE);
	EXPECT_BAD(test, r, seal_words, U64_MAX & PAGE_MASK);
	KUNIT_EXPECT_EQ(test, shmipc_seal_regions(&g, 1, r), -EINVAL);
	KUNIT_EXPECT_EQ(test, shmipc_seal_regions(&g, 0, r), 0);
	g.off += PAGE_SIZE;
	KUNIT_EXPECT_EQ(test, shmipc_seal_regions(&g, 1, r), 0);
}

static struct kunit_case segment_tests[] = {
	KUNIT_CASE(peers_have_bounds),
	KUNIT_CASE(page_is_a_power_of_two),
	KUNIT_CASE(data_follow_the_body),
	KUNIT_CASE(data_have_a_size),
	KUNIT_CASE(commit_is_part_of_the_data),
	KUNIT_CASE(request_has_nothing_unknown),
	KUNIT_CASE(regions_are_in_the_segment),
	KUNIT_CASE(seals_are_of_the_data),
	{}
};

static struct kunit_suite segment_suite = {
	.name		= "shmipc-segment",
	.test_cases	= segment_tests,
};

kunit_test_suite(segment_suite);
