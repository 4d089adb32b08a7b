// SPDX-License-Identifier: GPL-2.0-only
/* name_test.c - KUnit tests of names; included by name.c */
#include <kunit/test.h>

struct name_case {
	const char *name;
	bool ok;
};

static const struct name_case name_cases[] = {
	{ "a", true },
	{ "telemetry", true },
	{ "robot/arm/left.pose_2-b", true },
	{ "...", true },
	{ ".hidden", true },
	{ "a/..b", true },
	{ "a/b..", true },
	{ "", false },
	{ ".", false },
	{ "..", false },
	{ "/", false },
	{ "/a", false },
	{ "a/", false },
	{ "a//b", false },
	{ "./a", false },
	{ "a/.", false },
	{ "a/../b", false },
	{ "a/..", false },
	{ "a b", false },
	{ "a\n", false },
	{ "a\\b", false },
	{ "a:b", false },
	{ "a*", false },
	{ "\xc3\xa4", false },
	{ "a\x7f", false },
};

static void name_case_desc(const struct name_case *c, char *desc)
{
	strscpy(desc, c->ok ? "good: " : "bad: ", KUNIT_PARAM_DESC_SIZE);
	strlcat(desc, c->name, KUNIT_PARAM_DESC_SIZE);
	strreplace(desc, '\n', '?');
}

KUNIT_ARRAY_PARAM(name, name_cases, name_case_desc);

static void name_is_checked(struct kunit *test)
{
	const struct name_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, name_ok(c->name, strlen(c->name)), c->ok);
}

static void name_has_a_length(struct kunit *test)
{
	/* What follows the name does not count, and a 0 in it is no character of a name. */
	KUNIT_EXPECT_TRUE(test, name_ok("ab/ /", 2));
	KUNIT_EXPECT_FALSE(test, name_ok("ab/", 3));
	KUNIT_EXPECT_FALSE(test, name_ok("a\0b", 3));
	KUNIT_EXPECT_FALSE(test, name_ok("ab", 3));
}

static void name_order_is_by_namespace(struct kunit *test)
{
	struct ipc_namespace *ns = kunit_kcalloc(test, 2, 8, GFP_KERNEL);
	struct shmipc_segment *seg = kunit_kzalloc(test, sizeof(*seg), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ns);
	KUNIT_ASSERT_NOT_NULL(test, seg);
	seg->ns = (void *)ns + 8;
	strscpy(seg->name, "m", sizeof(seg->name));
	KUNIT_EXPECT_LT(test, order(ns, "z", seg), 0);
	KUNIT_EXPECT_LT(test, order(seg->ns, "a", seg), 0);
	KUNIT_EXPECT_EQ(test, order(seg->ns, "m", seg), 0);
	KUNIT_EXPECT_GT(test, order(seg->ns, "m/", seg), 0);
	seg->ns = ns;
	KUNIT_EXPECT_GT(test, order((void *)ns + 8, "a", seg), 0);
}

static struct kunit_case name_tests[] = {
	KUNIT_CASE_PARAM(name_is_checked, name_gen_params),
	KUNIT_CASE(name_has_a_length),
	KUNIT_CASE(name_order_is_by_namespace),
	{}
};

static struct kunit_suite name_suite = {
	.name		= "shmipc-name",
	.test_cases	= name_tests,
};

kunit_test_suite(name_suite);
