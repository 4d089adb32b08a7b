// SPDX-License-Identifier: MIT
/* segment: its name, or the whole directory, is removed while it is in use */
#include "../topic/topic_ends.h"

FIXTURE(unnamed) {
	struct env env;
	struct shmipc_pub *pub, *pub2;
	struct shmipc_sub *sub;
};

FIXTURE_VARIANT(unnamed) {
	bool dir;		/* with its directory */
};

FIXTURE_VARIANT_ADD(unnamed, name) { false };
FIXTURE_VARIANT_ADD(unnamed, directory) { true };

FIXTURE_SETUP(unnamed)
{
	if (env_on_dev())
		SKIP_SETUP("of files; a segment of the device has its name as long as it has peers");
	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, 0, SHMIPC_POLICY_LOSSLESS));
}

FIXTURE_TEARDOWN(unnamed)
{
	shmipc_pub_close(self->pub);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub2);
	env_tear_down(&self->env);
}

static bool is_unnamed(struct shmipc_pub *pub)
{
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();

	return !shmipc_pub_get_info(pub, &i) && i.flags & SHMIPC_SEG_UNNAMED;
}

static bool sub_is_unnamed(struct shmipc_sub *sub)
{
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();

	return !shmipc_sub_get_info(sub, &i) && i.flags & SHMIPC_SEG_UNNAMED;
}

TEST_F(unnamed, its_peers_can_tell_and_go_on)
{
	EXPECT_FALSE(is_unnamed(self->pub));
	EXPECT_FALSE(sub_is_unnamed(self->sub));
	if (variant->dir)
		env_remove(self->env.dir);
	else
		ASSERT_EQ(0, shmipc_segment_unlink(TOPIC));
	EXPECT_TRUE(is_unnamed(self->pub));
	EXPECT_TRUE(sub_is_unnamed(self->sub));
	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	EXPECT_EQ(0, get_range(self->sub, 0, 10));
	/* One that comes later has another topic, which has the name. */
	ASSERT_EQ(0, shmipc_pub_open(&self->pub2, TOPIC, NULL, NULL));
	EXPECT_FALSE(is_unnamed(self->pub2));
	ASSERT_EQ(0, put(self->pub2, 77));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	/* Leaving the old one does not take the name of the new one. */
	shmipc_pub_close(self->pub);
	shmipc_sub_close(self->sub);
	self->pub = NULL;
	self->sub = NULL;
	EXPECT_FALSE(is_unnamed(self->pub2));
	EXPECT_EQ(1, env_files(&self->env));
}

TEST_HARNESS_MAIN
