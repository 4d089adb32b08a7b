// SPDX-License-Identifier: MIT
/* base: descriptors of the library are above 2, also in a program that has closed these */
#include "env.h"

/* Each way to get a descriptor; afterwards 0 to 2 are still free. */
static int all_of_it(struct other *me, void *arg)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_SPSC,
					 .flags = SHMIPC_CREATE };
	struct shmipc_segment *named, *anon, *again;
	struct shmipc_channel *ch;
	struct shmipc_watch *w;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int fd;

	(void)me;
	(void)arg;
	for (fd = 0; fd < 3; fd++)
		(void)close(fd);
	CHECK(!shmipc_watch_open(&w, NULL, 0, 0));
	CHECK(!shmipc_segment_open(&named, "low", &o));
	CHECK(!shmipc_segment_anon(&anon, &o));
	CHECK(!shmipc_segment_from_fd(&again, shmipc_segment_fd(anon), &o));
	CHECK(!shmipc_channel_attach(&ch, named, SHMIPC_ROLE_PRODUCER, NULL));
	CHECK(!shmipc_pub_open(&pub, "topic", NULL, NULL));
	CHECK(!shmipc_sub_open(&sub, "topic", NULL, NULL));
	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 10 + fd;
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	shmipc_channel_close(ch);
	shmipc_segment_close(again);
	shmipc_segment_close(anon);
	shmipc_segment_close(named);
	shmipc_watch_close(w);
	return 0;
}

FIXTURE(fd) {
	struct env env;
};

FIXTURE_SETUP(fd)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(fd)
{
	env_tear_down(&self->env);
}

TEST_F(fd, none_of_ours_is_0_1_or_2)
{
	struct other child;

	ASSERT_EQ(0, other_start(&child, 0, all_of_it, NULL));
	EXPECT_EQ(0, other_end(&child)) TH_LOG("10 and more: the descriptor that was taken");
}

TEST_HARNESS_MAIN
