// SPDX-License-Identifier: MIT
/* name: 1 to 200 bytes of [A-Za-z0-9._/-], in parts; anything else is refused with a reason */
#include "env.h"

FIXTURE(name) {
	struct env env;
};

FIXTURE_SETUP(name)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(name)
{
	env_tear_down(&self->env);
}

static const char *reason_of(const char *name)
{
	const char *reason = NULL;

	if (shmipc_name_check(name, &reason) != -EINVAL)
		return "taken";
	return reason && *reason ? reason : "no reason";
}

static int make(struct shmipc_segment **seg, const char *name)
{
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW, .flags = SHMIPC_CREATE,
		.bytes = 4096,
	};

	return shmipc_segment_open(seg, name, &o);
}

TEST_F(name, good_names_are_taken)
{
	static const char *const good[] = {
		"a", "A", "0", "-", "_", "a.b", "..a", "...", "a..", ".a", "a/b", "a/.b/c..",
		"x-1_2.3/Y", "-/-", "a/b/c/d/e/f",
	};
	struct shmipc_segment *seg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		ASSERT_EQ(0, shmipc_name_check(good[i], NULL)) TH_LOG("%s", good[i]);
		ASSERT_EQ(0, make(&seg, good[i])) TH_LOG("%s", good[i]);
		shmipc_segment_close(seg);
	}
}

/* que, AlephZero: an invalid topic is refused with a clear error. */
TEST_F(name, bad_names_are_refused_with_a_reason)
{
	static const struct { const char *name, *why; } bad[] = {
		{ NULL, "NULL" }, { "", "empty" }, { "/", "slash" }, { "/a", "begins with a slash" },
		{ "a/", "empty part" }, { "a//b", "empty part" }, { ".", "\".\"" }, { "..", "\"..\"" },
		{ "a/.", "\".\"" }, { "./a", "\".\"" }, { "a/../b", "\"..\"" }, { "../a", "\"..\"" },
		{ "a b", "byte" }, { "a%b", "byte" }, { "a\n", "byte" }, { "a\x7f", "byte" },
		{ "a\\b", "byte" }, { "a:b", "byte" }, { "a*", "byte" }, { "\xc3\xa4", "byte" },
		{ "a,b", "byte" }, { "~", "byte" }, { "a\x01", "byte" },
	};
	struct shmipc_segment_stat st;
	struct shmipc_segment *seg = (void *)1;
	struct shmipc_channel *ch = (void *)1;
	size_t i;

	memset(&st, 0, sizeof(st));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_NE(NULL, strstr(reason_of(bad[i].name), bad[i].why))
			TH_LOG("%s: %s", bad[i].name, reason_of(bad[i].name));
		ASSERT_EQ(-EINVAL, make(&seg, bad[i].name));
		ASSERT_NE(NULL, strstr(shmipc_error_text(), "EINVAL"));
		ASSERT_NE(NULL, strstr(shmipc_error_text(), reason_of(bad[i].name)));
		ASSERT_EQ(-EINVAL, shmipc_segment_unlink(bad[i].name));
		ASSERT_EQ(-EINVAL, shmipc_segment_look(bad[i].name, &st));
		ASSERT_EQ(-EINVAL, shmipc_channel_open(&ch, bad[i].name, SHMIPC_ROLE_PRODUCER, NULL, NULL));
	}
	EXPECT_EQ((void *)1, seg);
	EXPECT_EQ((void *)1, ch);
}

TEST_F(name, every_byte_is_either_good_or_refused)
{
	static const char good[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	char name[4] = "a?b";
	int c;

	for (c = 1; c < 256; c++) {
		name[1] = (char)c;
		ASSERT_EQ(strchr(good, c) || c == '/' ? 0 : -EINVAL, shmipc_name_check(name, NULL))
			TH_LOG("byte %d", c);
	}
}

TEST_F(name, length_is_1_to_200)
{
	static const size_t len[] = { 1, 2, 199, 200, 201, 255, 4096 };
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	struct shmipc_segment *seg;
	static char name[4097];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		memset(name, 'n', len[i]);
		name[len[i]] = 0;
		if (len[i] > 200) {
			ASSERT_NE(NULL, strstr(reason_of(name), "200"));
			ASSERT_EQ(-EINVAL, make(&seg, name));
			continue;
		}
		ASSERT_EQ(0, make(&seg, name)) TH_LOG("%zu bytes: %s", len[i], shmipc_error_text());
		ASSERT_EQ(0, shmipc_segment_get_info(seg, &info));
		ASSERT_STREQ(name, info.name);
		shmipc_segment_close(seg);
	}
	/* 200 bytes with slashes: still one file. */
	memset(name, 'n', 200);
	for (i = 1; i < 199; i += 2)
		name[i] = '/';
	name[200] = 0;
	ASSERT_EQ(0, make(&seg, name));
	shmipc_segment_close(seg);
}

/* Names that differ, however little, are different segments. */
TEST_F(name, different_names_are_different_segments)
{
	static const char *const n[] = { "a/b", "a.b", "a-b", "A/b", "a_b", "a/b/" };
	struct shmipc_segment *seg[5];
	void *p;
	int i, k;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, make(&seg[i], n[i]));
		p = shmipc_segment_data(seg[i], NULL);
		memset(p, i + 1, 4096);
	}
	for (i = 0; i < 5; i++) {
		for (k = 0; k < 4096; k += 512)
			ASSERT_EQ(i + 1, ((char *)shmipc_segment_data(seg[i], NULL))[k]);
		shmipc_segment_close(seg[i]);
	}
}

TEST_HARNESS_MAIN
