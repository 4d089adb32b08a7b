// SPDX-License-Identifier: MIT
/* glob.c - patterns of names */
#include <kselftest_harness.h>
#include <errno.h>
#include <string.h>

#include <shmipc/discover.h>

#include "discover/glob.h"

struct pair {
	const char *pattern;
	const char *name;
	int match;
};

static const struct pair pairs[] = {
	{ "a", "a", 1 }, { "a", "b", 0 }, { "a", "ab", 0 }, { "ab", "a", 0 },
	{ "a/b", "a/b", 1 }, { "a/b", "a-b", 0 },
	/* one star stays in its part */
	{ "*", "a", 1 }, { "*", "abc", 1 }, { "*", "a/b", 0 }, { "*/*", "a/b", 1 },
	{ "*/*", "a", 0 }, { "*/*", "a/b/c", 0 }, { "a*", "a", 1 }, { "a*c", "abbc", 1 },
	{ "a*c", "ab/c", 0 }, { "*b*", "abc", 1 }, { "*.a0", "x.a0", 1 }, { "*.a0", ".a0", 1 },
	{ "a/*", "a", 0 }, { "a/*", "a/b", 1 }, { "a/*/c", "a/b/c", 1 }, { "a/*/c", "a/c", 0 },
	{ "*a*b", "xaybzb", 1 }, { "*a*b", "xaybzbc", 0 },
	/* two stars match any number of whole parts, also none */
	{ "**", "a", 1 }, { "**", "a/b/c", 1 }, { "**/b", "b", 1 }, { "**/b", "a/b", 1 },
	{ "**/b", "a/x/b", 1 }, { "**/b", "ab", 0 }, { "**/b", "a/bb", 0 }, { "**/b", "b/a", 0 },
	{ "a/**", "a/b", 1 }, { "a/**", "a/b/c", 1 }, { "a/**", "ab", 0 }, { "a/**", "b/a", 0 },
	{ "a/**", "a", 1 }, { "a/**/**", "a", 1 }, { "**/**", "a/b", 1 },
	{ "a/**/b", "a/b", 1 }, { "a/**/b", "a/x/b", 1 }, { "a/**/b", "a/x/y/b", 1 },
	{ "a/**/b", "ab", 0 }, { "a/**/b", "a/xb", 0 }, { "a/**/b", "ax/b", 0 },
	{ "a/**/*.a0", "a/foo.a0", 1 }, { "a/**/*.a0", "a/b/foo.a0", 1 },
	{ "a/**/b/*.a0", "a/foo.a0", 0 }, { "a/**/b/*.a0", "a/b/foo.a0", 1 },
	{ "a/**/b/**/c", "a/x/b/c", 1 }, { "a/**/b/**/c", "a/b/x/y/c", 1 },
	{ "a/**/b/**/c", "a/x/c", 0 }, { "a/**/**/**/*******b***/*.a0", "a/b/foo.a0", 1 },
	/* elsewhere they mean the same as one star */
	{ "a**", "abc", 1 }, { "a**", "ab/c", 0 }, { "**a", "xa", 1 }, { "**a", "x/a", 0 },
	{ "a**/b", "ax/b", 1 }, { "a**/b", "ax/y/b", 0 }, { "x/**a", "x/ba", 1 },
	/* one byte */
	{ "?", "a", 1 }, { "?", "ab", 0 }, { "a?c", "abc", 1 }, { "a?c", "a/c", 0 },
	{ "[abc]", "b", 1 }, { "[abc]", "d", 0 }, { "[a-c]x", "bx", 1 }, { "[a-c]x", "dx", 0 },
	{ "[!a-c]", "d", 1 }, { "[!a-c]", "b", 0 }, { "[^a]", "b", 1 }, { "a[!b]c", "a/c", 0 },
	{ "[]a]", "a", 1 }, { "[a-]", "-", 1 }, { "[-a]", "-", 1 }, { "[\\a-c]", "b", 1 },
	{ "[0-9]*", "7x", 1 }, { "x[a-c][!0]", "xa1", 1 }, { "x[a-c][!0]", "xa0", 0 },
	/* a backslash removes the special meaning */
	{ "\\a", "a", 1 }, { "\\*", "a", 0 }, { "a\\?", "ab", 0 }, { "\\[a]", "a", 0 },
	{ "a\\/b", "a/b", 1 }, { "\\\\[a]", "a", 0 },
	/* an invalid pattern or name matches nothing */
	{ "", "a", 0 }, { "[a", "[a", 0 }, { "a", "", 0 }, { "**", "", 0 },
};

TEST(patterns_match_as_defined)
{
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const struct pair *p = &pairs[i];

		EXPECT_EQ(p->match, shmipc_glob_match(p->pattern, p->name))
			TH_LOG("pattern %s, name %s", p->pattern, p->name);
	}
	EXPECT_EQ(0, shmipc_glob_match(NULL, "a"));
	EXPECT_EQ(0, shmipc_glob_match("a", NULL));
}

TEST(bad_patterns_are_reported_with_a_reason)
{
	static const struct {
		const char *pattern;
		const char *reason;
	} bad[] = {
		{ NULL, "NULL" }, { "", "empty" }, { "/a", "begins with a slash" },
		{ "a//b", "empty part" }, { "a/", "slash at its end" }, { "a\\", "ends in a backslash" },
		{ "[a", "no ]" }, { "[", "no ]" }, { "[!", "no ]" }, { "[]", "no ]" },
		{ "[a\\", "no ]" }, { "\\\\[a", "no ]" }, { "x[a/b]", "slash" },
		{ "[z-a]", "range" }, { "a[.-/]", "slash" },
	};
	static const char *const good[] = { "a", "**", "[]]", "\\[a", "a\\\\", "[a-z]/**/?" };
	const char *reason;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reason = "";
		EXPECT_EQ(-EINVAL, shmipc_glob_check(bad[i].pattern, &reason))
			TH_LOG("bad pattern %zu", i);
		EXPECT_NE(NULL, strstr(reason, bad[i].reason))
			TH_LOG("bad pattern %zu: %s", i, reason);
		EXPECT_EQ(-EINVAL, shmipc_glob_check(bad[i].pattern, NULL));
	}
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		reason = "as it was";
		EXPECT_EQ(0, shmipc_glob_check(good[i], &reason)) TH_LOG("pattern %s", good[i]);
		EXPECT_STREQ("as it was", reason);
	}
}

TEST(the_longest_pattern_and_name_are_accepted_and_longer_ones_are_not)
{
	char pattern[SHMIPC_GLOB_MAX + 2], name[SHMIPC_NAME_MAX + 2];

	memset(pattern, '*', sizeof(pattern));
	memset(name, 'a', sizeof(name));
	pattern[SHMIPC_GLOB_MAX] = 0;
	name[SHMIPC_NAME_MAX] = 0;
	EXPECT_EQ(1, shmipc_glob_match(pattern, name));
	pattern[SHMIPC_GLOB_MAX] = '*';
	pattern[SHMIPC_GLOB_MAX + 1] = 0;
	EXPECT_EQ(0, shmipc_glob_match(pattern, name));
	EXPECT_EQ(-EINVAL, shmipc_glob_check(pattern, NULL));
	name[SHMIPC_NAME_MAX] = 'a';
	name[SHMIPC_NAME_MAX + 1] = 0;
	EXPECT_EQ(0, shmipc_glob_match("*", name));
}

/* On each of these, a matcher that tries one way after the other takes forever. */
TEST(no_pattern_costs_more_than_its_length_times_the_names)
{
	static const char *const unit[] = { "*a", "**/", "**/*a", "*[a-z]", "*?", "a*" };
	char pattern[SHMIPC_GLOB_MAX + 1], name[SHMIPC_NAME_MAX + 1];
	uint64_t steps;
	size_t i, n;

	memset(name, 'a', SHMIPC_NAME_MAX);
	name[SHMIPC_NAME_MAX] = 0;
	for (i = 0; i < 2 * sizeof(unit) / sizeof(unit[0]); i++) {
		const char *u = unit[i / 2];

		if (i % 2)	/* the same over many parts */
			for (n = 1; n < SHMIPC_NAME_MAX - 1; n += 2)
				name[n] = '/';
		else
			memset(name, 'a', SHMIPC_NAME_MAX);
		pattern[0] = 0;
		while (strlen(pattern) + strlen(u) < 200)
			strcat(pattern, u);
		strcat(pattern, "b");
		ASSERT_EQ(0, shmipc_glob_check(pattern, NULL));
		steps = 0;
		EXPECT_EQ(false, shmipc_glob_walk(pattern, name, &steps));
		EXPECT_LE(strlen(name), steps);
		EXPECT_GE(strlen(pattern) * strlen(name), steps)
			TH_LOG("pattern %s: %llu steps", pattern, (unsigned long long)steps);
	}
}

/* The direct definition, one way after the other: fast enough for short texts. */
static bool plain(const char *p, const char *s, bool begins)
{
	const char *q;

	if (!*p)
		return !*s;
	if (begins && !strcmp(p, "**"))
		return true;
	if (begins && !strncmp(p, "**/", 3)) {
		if (plain(p + 3, s, true))
			return true;
		for (q = s; *q; q++)
			if (*q == '/' && plain(p + 3, q + 1, true))
				return true;
		return false;
	}
	/* No part at all: then there is no slash, either. */
	if (*p == '/' && !*s) {
		while (!strncmp(p, "/**/", 4))
			p += 3;
		return !strcmp(p, "/**");
	}
	if (*p == '*')
		return plain(p + 1, s, false) || (*s && *s != '/' && plain(p, s + 1, false));
	return *s && (*p == '?' ? *s != '/' : *p == *s) && plain(p + 1, s + 1, *p == '/');
}

/* Word @number of length @len over @letters. */
static void word(uint64_t number, const char *letters, size_t len, char *to)
{
	size_t n = strlen(letters);

	for (to[len] = 0; len--; number /= n)
		to[len] = letters[number % n];
}

TEST(all_short_patterns_match_the_direct_definition)
{
	static const char *const names[] = { "a", "b", "aa", "ab", "a/a", "a/b", "b/a", "ab/a",
					     "a/ab", "a/b/a", "a/a/b", "b/aa/b", "a/b/a/b" };
	uint64_t number, all, tried = 0;
	const char *name;
	char pattern[8];
	size_t len, i;

	for (len = 1, all = 4; len <= 7; len++, all *= 4)
		for (number = 0; number < all; number++) {
			word(number, "ab/*", len, pattern);
			/* the direct definition splits runs of stars */
			if (shmipc_glob_check(pattern, NULL) || strstr(pattern, "***"))
				continue;
			tried++;
			for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
				name = names[i];
				ASSERT_EQ(plain(pattern, name, true),
					  !!shmipc_glob_match(pattern, name))
					TH_LOG("pattern %s, name %s", pattern, name);
			}
		}
	EXPECT_LT(5000, tried);
}

TEST_HARNESS_MAIN
