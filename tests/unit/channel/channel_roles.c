// SPDX-License-Identifier: MIT
/* channel: every function on an end of another role is -EINVAL, and harmless */
#include "site.h"

FIXTURE(roles) {
	struct env env;
	struct site s;
	struct shmipc_channel *tx, *rx;
};

FIXTURE_VARIANT(roles) {
	enum shmipc_kind kind;
};

FIXTURE_VARIANT_ADD(roles, spsc) { SHMIPC_KIND_SPSC };
FIXTURE_VARIANT_ADD(roles, bcast) { SHMIPC_KIND_BCAST };

FIXTURE_SETUP(roles)
{
	enum shmipc_role role = variant->kind == SHMIPC_KIND_SPSC ? SHMIPC_ROLE_CONSUMER :
								    SHMIPC_ROLE_READER;

	env_set_up(&self->env);
	ASSERT_EQ(0, site_make(&self->s, NAMED, variant->kind, 8192));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, site_open(&self->s, &self->rx, role, NULL));
}

FIXTURE_TEARDOWN(roles)
{
	shmipc_channel_close(self->tx);
	shmipc_channel_close(self->rx);
	site_end(&self->s);
	env_tear_down(&self->env);
}

/* One message passes: the refused calls had no effect. */
static int still_works(FIXTURE_DATA(roles) *self)
{
	char buf[8] = "";
	size_t len = 0;

	CHECK(!shmipc_channel_send(self->tx, "works", 6, 0));
	CHECK(!shmipc_channel_recv(self->rx, buf, sizeof(buf), &len, 0));
	CHECK(len == 6 && !strcmp(buf, "works"));
	return 0;
}

TEST_F(roles, a_receiving_end_does_not_send)
{
	void *ptr;

	EXPECT_EQ(-EINVAL, shmipc_channel_reserve(self->rx, 5, &ptr, 0));
	EXPECT_EQ(-EINVAL, shmipc_channel_commit(self->rx, 5));
	EXPECT_EQ(-EINVAL, shmipc_channel_commit(self->rx, SIZE_MAX));
	shmipc_channel_abort(self->rx);
	shmipc_channel_publish(self->rx);
	EXPECT_EQ(-EINVAL, shmipc_channel_write(self->rx, "x", 1, 0));
	EXPECT_EQ(-EINVAL, shmipc_channel_send(self->rx, "x", 1, 0));
	EXPECT_EQ(-EINVAL, shmipc_channel_drain(self->rx, 0));
	shmipc_channel_publish(self->rx);
	EXPECT_EQ(0, still_works(self));
}

TEST_F(roles, a_sending_end_does_not_receive)
{
	char buf[8];
	const void *ptr;
	size_t len;

	EXPECT_EQ(-EINVAL, shmipc_channel_peek(self->tx, &ptr, &len, 0));
	EXPECT_EQ(-EINVAL, shmipc_channel_release(self->tx));
	EXPECT_EQ(-EINVAL, shmipc_channel_recv(self->tx, buf, sizeof(buf), &len, 0));
	EXPECT_EQ(0, shmipc_channel_lost(self->tx));
	EXPECT_EQ(0, still_works(self));
}

TEST_HARNESS_MAIN
