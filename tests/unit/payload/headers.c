// SPDX-License-Identifier: MIT
/* headers: the builder, the block, readers of hostile blocks, chains */
#include <kselftest_harness.h>
#include <errno.h>
#include <sys/mman.h>
#include <shmipc/shmipc.h>

#include "rng.h"

#define PAGE	4096u

FIXTURE(headers) {
	struct shmipc_headers h;
	uint64_t *block;	/* room for the largest */
};

FIXTURE_SETUP(headers)
{
	memset(&self->h, 0x5a, sizeof(self->h));
	shmipc_headers_init(&self->h);
	self->block = (uint64_t *)malloc(SHMIPC_HEADERS_MAX);
	ASSERT_NE(NULL, self->block);
}

FIXTURE_TEARDOWN(headers)
{
	shmipc_headers_free(&self->h);
	free(self->block);
}

static int add(struct shmipc_headers *h, const char *key, const char *value)
{
	return shmipc_headers_add(h, key, value, strlen(value));
}

static const char *nth(const struct shmipc_headers *h, const char *key, size_t n)
{
	const void *value = "none";
	size_t len = 4;

	(void)shmipc_headers_get(h, key, n, &value, &len);
	return len == strlen((const char *)value) ? (const char *)value : "another length";
}

/* The contents of a block as "key=value;...", or the name of the error. */
static const char *text_of(const void *block, size_t len)
{
	static char text[2000];
	struct shmipc_headers_view view;
	struct shmipc_headers_iter it;
	int ret = shmipc_headers_view_init(&view, block, len), n = 0;

	if (ret)
		return shmipc_error_name(ret);
	shmipc_headers_iter_init(&it, &view);
	text[0] = 0;
	while ((ret = shmipc_headers_iter_next(&it)) == 1)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s=%.*s;", it.key, (int)it.len,
			      (const char *)it.value);
	return ret ? shmipc_error_name(ret) : text;
}

TEST_F(headers, many_values_of_a_key_keep_their_order)
{
	ASSERT_EQ(0, add(&self->h, "a", "1"));
	ASSERT_EQ(0, add(&self->h, "b", "2"));
	ASSERT_EQ(0, add(&self->h, "a", ""));
	ASSERT_EQ(0, add(&self->h, "a", "3"));
	EXPECT_EQ(4, shmipc_headers_count(&self->h, NULL));
	EXPECT_EQ(3, shmipc_headers_count(&self->h, "a"));
	EXPECT_EQ(1, shmipc_headers_count(&self->h, "b"));
	EXPECT_EQ(0, shmipc_headers_count(&self->h, "c"));
	EXPECT_STREQ("1", nth(&self->h, "a", 0));
	EXPECT_STREQ("", nth(&self->h, "a", 1));
	EXPECT_STREQ("3", nth(&self->h, "a", 2));
	EXPECT_STREQ("none", nth(&self->h, "a", 3));
	EXPECT_STREQ("none", nth(&self->h, "", 0));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, self->block, SHMIPC_HEADERS_MAX));
	EXPECT_STREQ("a=1;b=2;a=;a=3;", text_of(self->block, SHMIPC_HEADERS_MAX));
}

TEST_F(headers, set_leaves_one_and_del_none)
{
	ASSERT_EQ(0, add(&self->h, "a", "1"));
	ASSERT_EQ(0, add(&self->h, "b", "2"));
	ASSERT_EQ(0, add(&self->h, "a", "3"));
	ASSERT_EQ(0, shmipc_headers_set(&self->h, "a", "new", 3));
	EXPECT_EQ(2, shmipc_headers_count(&self->h, NULL));
	EXPECT_STREQ("new", nth(&self->h, "a", 0));
	ASSERT_EQ(0, shmipc_headers_set(&self->h, "c", "4", 1));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, self->block, SHMIPC_HEADERS_MAX));
	EXPECT_STREQ("b=2;a=new;c=4;", text_of(self->block, SHMIPC_HEADERS_MAX));
	ASSERT_EQ(0, add(&self->h, "b", "5"));
	EXPECT_EQ(2, shmipc_headers_del(&self->h, "b"));
	EXPECT_EQ(0, shmipc_headers_del(&self->h, "b"));
	EXPECT_EQ(0, shmipc_headers_del(&self->h, ""));
	EXPECT_EQ(2, shmipc_headers_count(&self->h, NULL));
	shmipc_headers_clear(&self->h);
	EXPECT_EQ(SHMIPC_HEADERS_HDR, shmipc_headers_bytes(&self->h));
	EXPECT_STREQ("none", nth(&self->h, "a", 0));
}

/* Data in the set may be passed to it, also when its memory moves. */
TEST_F(headers, values_and_keys_may_point_into_the_set)
{
	const void *value;
	char want[101];
	size_t len;
	int i;

	memset(want, 'v', 100);
	want[100] = 0;
	ASSERT_EQ(0, add(&self->h, "k", want));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, shmipc_headers_get(&self->h, "k", (size_t)i, &value, &len));
		ASSERT_EQ(0, shmipc_headers_add(&self->h, "k", value, len));
	}
	for (i = 0; i <= 100; i++)
		ASSERT_STREQ(want, nth(&self->h, "k", (size_t)i));
	ASSERT_EQ(0, shmipc_headers_get(&self->h, "k", 50, &value, &len));
	ASSERT_EQ(0, shmipc_headers_set(&self->h, "k", value, len));
	EXPECT_EQ(1, shmipc_headers_count(&self->h, NULL));
	EXPECT_STREQ(want, nth(&self->h, "k", 0));
	ASSERT_EQ(0, add(&self->h, "name", "k"));
	ASSERT_EQ(0, shmipc_headers_get(&self->h, "name", 0, &value, &len));
	EXPECT_EQ(1, shmipc_headers_del(&self->h, (const char *)value));
	EXPECT_EQ(1, shmipc_headers_count(&self->h, NULL));
}

/* The key is in memory that moves while headers with that key are removed. */
TEST_F(headers, a_key_inside_the_set_stays_the_same_key)
{
	const void *key;
	int i;

	for (i = 0; i < 2; i++) {
		shmipc_headers_clear(&self->h);
		ASSERT_EQ(0, add(&self->h, "k", "1"));
		ASSERT_EQ(0, add(&self->h, "name", "k"));
		ASSERT_EQ(0, add(&self->h, "other", "2"));
		ASSERT_EQ(0, add(&self->h, "k", "3"));
		ASSERT_EQ(0, shmipc_headers_get(&self->h, "name", 0, &key, NULL));
		EXPECT_EQ(i ? 2 : 0, i ? (int)shmipc_headers_del(&self->h, (const char *)key) :
			  shmipc_headers_set(&self->h, (const char *)key, "4", 1));
		EXPECT_EQ(i ? 0 : 1, shmipc_headers_count(&self->h, "k"));
		EXPECT_STREQ("k", nth(&self->h, "name", 0));
		EXPECT_STREQ("2", nth(&self->h, "other", 0));
	}
}

TEST_F(headers, a_few_short_ones_need_no_memory_from_the_heap)
{
	const struct shmipc_msg_meta meta = { .pub_id = 1, .pub_seq = 1000, };

	ASSERT_EQ(0, shmipc_headers_time_mono(&self->h, &meta, NULL));
	ASSERT_EQ(0, shmipc_headers_time_wall(&self->h, &meta, NULL));
	ASSERT_EQ(0, shmipc_headers_pub_id(&self->h, &meta, NULL));
	ASSERT_EQ(0, shmipc_headers_pub_seq(&self->h, &meta, NULL));
	ASSERT_EQ(0, add(&self->h, "type", "lidar/1"));
	EXPECT_EQ(NULL, self->h.heap);
	EXPECT_EQ(5, shmipc_headers_count(&self->h, NULL));
}

TEST_F(headers, bad_keys_and_values_are_refused_and_change_nothing)
{
	char key[258], *value = (char *)calloc(1, SHMIPC_HEADERS_VAL_MAX + 1);
	size_t before;

	memset(key, 'k', sizeof(key));
	key[256] = 0;
	ASSERT_EQ(0, add(&self->h, "a", "1"));
	before = shmipc_headers_bytes(&self->h);
	EXPECT_EQ(-EINVAL, add(&self->h, "", "1"));
	EXPECT_EQ(-EINVAL, shmipc_headers_add(&self->h, NULL, "1", 1));
	EXPECT_EQ(-EINVAL, add(&self->h, key, "1"));
	EXPECT_EQ(-EINVAL, shmipc_headers_add(&self->h, "b", NULL, 1));
	EXPECT_EQ(-EINVAL, shmipc_headers_set(&self->h, "a", NULL, 1));
	EXPECT_EQ(-EINVAL, shmipc_headers_set(&self->h, key, "1", 1));
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_add(&self->h, "b", value, SHMIPC_HEADERS_VAL_MAX + 1));
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_set(&self->h, "a", value, SHMIPC_HEADERS_VAL_MAX + 1));
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_add(&self->h, "b", value, SIZE_MAX));
	EXPECT_EQ(before, shmipc_headers_bytes(&self->h));
	EXPECT_STREQ("1", nth(&self->h, "a", 0));
	key[255] = 0;
	EXPECT_EQ(0, add(&self->h, key, "1"));
	EXPECT_EQ(0, shmipc_headers_add(&self->h, "b", value, SHMIPC_HEADERS_VAL_MAX));
	EXPECT_EQ(0, shmipc_headers_add(&self->h, "b", NULL, 0));
	EXPECT_EQ(4, shmipc_headers_count(&self->h, NULL));
	free(value);
}

TEST_F(headers, a_block_has_a_largest_size)
{
	static char value[SHMIPC_HEADERS_VAL_MAX];
	size_t n = 0, before;

	while (!shmipc_headers_add(&self->h, "k", value, sizeof(value)))
		n++;
	EXPECT_EQ(15, n);
	while (!shmipc_headers_add(&self->h, "k", NULL, 0))
		n++;
	before = shmipc_headers_bytes(&self->h);
	EXPECT_EQ(SHMIPC_HEADERS_MAX, before);
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_add(&self->h, "k", NULL, 0));
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_set(&self->h, "l", NULL, 0));
	EXPECT_EQ(before, shmipc_headers_bytes(&self->h));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, self->block, SHMIPC_HEADERS_MAX));
	shmipc_headers_clear(&self->h);
	ASSERT_EQ(0, shmipc_headers_load(&self->h, self->block, SHMIPC_HEADERS_MAX));
	EXPECT_EQ(n, shmipc_headers_count(&self->h, "k"));
	/* The removed header makes room for the new one. */
	EXPECT_EQ(0, shmipc_headers_set(&self->h, "k", value, sizeof(value)));
	EXPECT_EQ(1, shmipc_headers_count(&self->h, NULL));
}

/* Byte for byte: an ABI between processes. */
TEST_F(headers, the_block_is_as_it_is_documented)
{
	static const unsigned char want[] = {
		's', 'h', 1, 0, 56, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0,
		4, 0, 0, 0, 2, 0, 0, 0, 'u', 'n', 'i', 't', 0, 'm', 'm', 0,
		1, 0, 0, 0, 6, 0, 0, 0, 'k', 0, 0, 0xff, 'x', 0, 'y', 'z',
		0, 0, 0, 0, 0, 0, 0, 0,
	};
	unsigned char *b = (unsigned char *)self->block;

	ASSERT_EQ(0, add(&self->h, "unit", "mm"));
	ASSERT_EQ(0, shmipc_headers_add(&self->h, "k", "\0\xff" "x\0yz", 6));
	/* Nothing may follow here: the first comparison below would see it. */
	memset(b, 0xee, 128);
	ASSERT_EQ(sizeof(want), shmipc_headers_bytes(&self->h));
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_save(&self->h, b, sizeof(want) - 1));
	EXPECT_EQ(-EINVAL, shmipc_headers_save(&self->h, b + 4, 124));
	EXPECT_EQ(0xee, b[0]);
	EXPECT_EQ(0xee, b[4]);
	ASSERT_EQ(0, shmipc_headers_save(&self->h, b, sizeof(want)));
	EXPECT_EQ(0, memcmp(want, b, sizeof(want)));
	EXPECT_EQ(0xee, b[sizeof(want)]);
}

TEST_F(headers, a_view_finds_values_in_place)
{
	struct shmipc_headers_view view;
	char buf[8] = "?";
	size_t len = 77;

	ASSERT_EQ(0, add(&self->h, "a", "one"));
	ASSERT_EQ(0, add(&self->h, "ab", "x"));
	ASSERT_EQ(0, add(&self->h, "a", "three"));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, self->block, SHMIPC_HEADERS_MAX));
	ASSERT_EQ(0, shmipc_headers_view_init(&view, self->block, SHMIPC_HEADERS_MAX));
	EXPECT_EQ(shmipc_headers_bytes(&self->h), view.bytes);
	EXPECT_EQ(3, view.count);
	EXPECT_EQ(-ENOENT, shmipc_headers_view_get(&view, "b", 0, buf, sizeof(buf), &len));
	EXPECT_EQ(-ENOENT, shmipc_headers_view_get(&view, "a", 2, buf, sizeof(buf), &len));
	EXPECT_EQ(77, len);
	EXPECT_EQ(-EMSGSIZE, shmipc_headers_view_get(&view, "a", 1, buf, 4, &len));
	EXPECT_EQ(5, len);
	EXPECT_EQ('?', buf[0]);
	EXPECT_EQ(0, shmipc_headers_view_get(&view, "a", 1, buf, 5, &len));
	EXPECT_EQ(0, memcmp("three", buf, 5));
	EXPECT_EQ(0, shmipc_headers_view_get(&view, "ab", 0, buf, 8, &len));
	EXPECT_EQ(1, len);
	EXPECT_EQ('x', buf[0]);
}

TEST_F(headers, load_is_the_reverse_of_save)
{
	struct shmipc_headers other;
	struct rng r = { rng_env_seed() };
	char key[SHMIPC_HEADERS_KEY_MAX + 1];
	static unsigned char value[4096], again[65536];
	size_t i, n, key_len, len;
	int round;

	printf("# SHMIPC_SEED=%#llx\n", (unsigned long long)r.state);
	shmipc_headers_init(&other);
	ASSERT_EQ(0, add(&other, "earlier", "goes"));
	for (round = 0; round < 200; round++) {
		shmipc_headers_clear(&self->h);
		n = rng_below(&r, 20);
		for (i = 0; i < n; i++) {
			key_len = 1 + rng_below(&r, SHMIPC_HEADERS_KEY_MAX);
			memset(key, (int)('a' + rng_below(&r, 26)), key_len);
			key[key_len] = 0;
			len = rng_len(&r, 2000);
			msg_fill(value, len, r.state, i);
			ASSERT_EQ(0, shmipc_headers_add(&self->h, key, value, len));
		}
		len = shmipc_headers_bytes(&self->h);
		ASSERT_EQ(0, shmipc_headers_save(&self->h, self->block, len));
		ASSERT_EQ(0, shmipc_headers_load(&other, self->block, len));
		ASSERT_EQ(n, shmipc_headers_count(&other, NULL));
		ASSERT_EQ(len, shmipc_headers_bytes(&other));
		ASSERT_EQ(0, shmipc_headers_save(&other, again, sizeof(again)));
		ASSERT_EQ(0, memcmp(self->block, again, len));
	}
	shmipc_headers_free(&other);
}

TEST_F(headers, an_invalid_block_is_refused_and_leaves_the_set_unchanged)
{
	static const struct {
		unsigned int at;
		unsigned char byte;
		int err;
	} bad[] = {
		{ 0, 'S', -EPROTO }, { 2, 2, -EPROTONOSUPPORT },
		{ 4, 8, -EPROTO }, { 4, 52, -EPROTO }, { 4, 48, -EPROTO }, { 4, 64, -EPROTO },
		{ 7, 1, -EPROTO }, { 8, 1, -EPROTO }, { 8, 3, -EPROTO }, { 11, 0x80, -EPROTO },
		{ 12, 1, -EPROTO },
		{ 16, 0, -EPROTO }, { 16, 200, -EPROTO }, { 17, 1, -EPROTO }, { 19, 0xff, -EPROTO },
		{ 20, 60, -EPROTO }, { 22, 2, -EPROTO }, { 23, 0xff, -EPROTO },
		{ 25, 0, -EPROTO }, { 20, 20, -EPROTO }, { 36, 15, -EPROTO },
	};
	struct shmipc_headers_view view;
	unsigned char *b;
	uint64_t was[7];
	size_t i;

	ASSERT_EQ(0, add(&self->h, "unit", "mm"));
	ASSERT_EQ(0, add(&self->h, "k", "123456"));
	ASSERT_EQ(56, shmipc_headers_bytes(&self->h));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, was, sizeof(was)));
	/* The block ends where the memory ends. */
	b = (unsigned char *)mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, mprotect(b + PAGE, PAGE, PROT_NONE));
	b += PAGE - sizeof(was);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(b, was, sizeof(was));
		EXPECT_STREQ("unit=mm;k=123456;", text_of(b, sizeof(was)));
		b[bad[i].at] = bad[i].byte;
		EXPECT_STREQ(shmipc_error_name(bad[i].err), text_of(b, sizeof(was)))
			TH_LOG("byte %u is %u", bad[i].at, bad[i].byte);
		EXPECT_EQ(bad[i].err, shmipc_headers_load(&self->h, b, sizeof(was)))
			TH_LOG("byte %u is %u", bad[i].at, bad[i].byte);
	}
	memcpy(b, was, sizeof(was));
	for (i = 0; i < sizeof(was); i++)
		EXPECT_EQ(-EPROTO, shmipc_headers_view_init(&view, b, i));
	for (i = 1; i < 8; i++)
		EXPECT_EQ(-EINVAL, shmipc_headers_load(&self->h, b + i, sizeof(was) - i));
	b[4] = 55;	/* data after the block would not be aligned */
	EXPECT_EQ(-EPROTO, shmipc_headers_view_init(&view, b, sizeof(was)));
	EXPECT_EQ(2, shmipc_headers_count(&self->h, NULL));
	EXPECT_STREQ("mm", nth(&self->h, "unit", 0));
	(void)munmap(b - (PAGE - sizeof(was)), 2 * PAGE);
}

/* In shared memory they are not relied upon; a private copy has them. */
TEST_F(headers, load_restores_the_zero_bytes)
{
	uint64_t was[7];
	unsigned char *b = (unsigned char *)was;

	ASSERT_EQ(0, add(&self->h, "unit", "mm"));
	ASSERT_EQ(0, add(&self->h, "k", "123456"));
	ASSERT_EQ(56, shmipc_headers_bytes(&self->h));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, was, sizeof(was)));
	b[28] = b[31] = b[41] = b[48] = b[55] = 'x';
	EXPECT_STREQ("unit=mm;k=123456;", text_of(was, sizeof(was)));
	ASSERT_EQ(0, shmipc_headers_load(&self->h, was, sizeof(was)));
	EXPECT_STREQ("mm", nth(&self->h, "unit", 0));
	EXPECT_STREQ("123456", nth(&self->h, "k", 0));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, was, sizeof(was)));
	EXPECT_EQ(0, b[28] | b[31] | b[41] | b[48] | b[55]);
}

TEST_F(headers, middleware_writes_text_in_the_order_of_the_chain)
{
	const struct shmipc_headers_const type = { "type", "lidar", 5 };
	const struct shmipc_msg_meta meta = {
		.pub_id = 0xfedcba9876543210, .pub_seq = 0, .mono_ns = UINT64_MAX,
		.wall_ns = UINT64_C(1709251199000000042),
	};
	struct shmipc_middleware_chain chain = { NULL, 0, 0 };
	int i;

	ASSERT_EQ(0, shmipc_middleware_run(&chain, &self->h, &meta));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, shmipc_headers_time_mono, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, shmipc_headers_time_wall, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, shmipc_headers_pub_id, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, shmipc_headers_pub_seq, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, shmipc_headers_constant, (void *)(uintptr_t)&type));
	ASSERT_EQ(-EINVAL, shmipc_middleware_add(&chain, NULL, NULL));
	for (i = 0; i < 2; i++)		/* the second time replaces the first */
		ASSERT_EQ(0, shmipc_middleware_run(&chain, &self->h, &meta));
	ASSERT_EQ(0, shmipc_headers_save(&self->h, self->block, SHMIPC_HEADERS_MAX));
	EXPECT_STREQ("time-mono=18446744073709551615;time-wall=2024-02-29T23:59:59.000000042Z;"
		     "pub-id=fedcba9876543210;pub-seq=0;type=lidar;",
		     text_of(self->block, SHMIPC_HEADERS_MAX));
	shmipc_middleware_free(&chain);
	EXPECT_EQ(0, chain.count);
}

static int refuse(struct shmipc_headers *h, const struct shmipc_msg_meta *meta, void *arg)
{
	(void)meta;
	++*(int *)arg;
	(void)add(h, "refused", "yes");
	return -EACCES;
}

TEST_F(headers, a_function_that_fails_stops_the_chain)
{
	const struct shmipc_msg_meta meta = { .pub_seq = 7 };
	struct shmipc_middleware_chain chain = { NULL, 0, 0 };
	int calls = 0;

	ASSERT_EQ(0, shmipc_middleware_add(&chain, shmipc_headers_pub_seq, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, refuse, &calls));
	ASSERT_EQ(0, shmipc_middleware_add(&chain, refuse, &calls));
	EXPECT_EQ(-EACCES, shmipc_middleware_run(&chain, &self->h, &meta));
	EXPECT_EQ(1, calls);
	EXPECT_STREQ("7", nth(&self->h, "pub-seq", 0));
	shmipc_middleware_free(&chain);
}

/* Random days, and the first and last days of all kinds of years, against the C library. */
TEST_F(headers, wall_time_is_that_of_the_c_library)
{
	static const uint64_t sharp[] = {
		951782400, 951868800, 4107542399, 4107542400, 1, 1735689599, 1735689600,
		18446744073,
	};
	struct rng r = { rng_env_seed() };
	struct shmipc_msg_meta meta = { .seq = 0 };
	char want[64];
	struct tm tm;
	time_t t;
	size_t i;

	printf("# SHMIPC_SEED=%#llx\n", (unsigned long long)r.state);
	for (i = 0; i < 100000; i++) {
		t = (time_t)(i < ARRAY_SIZE(sharp) ? sharp[i] : rng_below(&r, 18446744073));
		meta.wall_ns = (uint64_t)t * 1000000000u + 1;
		ASSERT_EQ(0, shmipc_headers_time_wall(&self->h, &meta, NULL));
		ASSERT_NE(NULL, gmtime_r(&t, &tm));
		ASSERT_NE(0, strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000000001Z", &tm));
		ASSERT_STREQ(want, nth(&self->h, "time-wall", 0));
	}
}

TEST_F(headers, missing_times_are_filled_in)
{
	const struct shmipc_msg_meta meta = { .seq = 0 };
	uint64_t before, got, after;
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	before = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	ASSERT_EQ(0, shmipc_headers_time_mono(&self->h, &meta, NULL));
	clock_gettime(CLOCK_MONOTONIC, &ts);
	after = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
	got = strtoull(nth(&self->h, "time-mono", 0), NULL, 10);
	EXPECT_LE(before, got);
	EXPECT_LE(got, after);
	ASSERT_EQ(0, shmipc_headers_time_wall(&self->h, &meta, NULL));
	EXPECT_NE('1', nth(&self->h, "time-wall", 0)[0]);
}

TEST_HARNESS_MAIN
