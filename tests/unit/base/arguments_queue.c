// SPDX-License-Identifier: MIT
/* arguments: the functions of a work queue; see arguments.c */
#include "arguments.h"

FIXTURE(queue_arguments) {
	struct env env;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
};

FIXTURE_SETUP(queue_arguments)
{
	const struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.item_bytes = 64, .depth = 4);

	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_push_open(&self->tx, "queue", &o, NULL));
	ASSERT_EQ(0, shmipc_pop_open(&self->rx, "queue", NULL, NULL));
}

FIXTURE_TEARDOWN(queue_arguments)
{
	shmipc_pop_close(self->rx);
	shmipc_push_close(self->tx);
	env_tear_down(&self->env);
}

TEST_F(queue_arguments, of_a_producer_are_checked)
{
	const struct shmipc_buf buf = { .ptr = "x", .len = 1 };
	struct shmipc_push *tx;
	void *ptr;

	REFUSES(shmipc_push_open, NULL, "queue", NULL, NULL);
	REFUSED(shmipc_push_open, &tx, NULL, NULL, NULL);
	HARMLESS(shmipc_push_close, NULL);
	GIVES(0, shmipc_push_item_bytes, NULL);
	REFUSES(shmipc_push_item, NULL, "x", 1, 0, 0);
	REFUSES(shmipc_push_item, self->tx, NULL, 1, 0, 0);
	REFUSED(shmipc_push_item, self->tx, "x", 1, 8, 0);
	REFUSES(shmipc_push_items, NULL, &buf, 1, 0, NULL, 0);
	REFUSES(shmipc_push_items, self->tx, NULL, 1, 0, NULL, 0);
	REFUSES(shmipc_push_reserve, NULL, &ptr, 0);
	REFUSES(shmipc_push_reserve, self->tx, NULL, 0);
	REFUSES(shmipc_push_commit, NULL, 0, 0);
	REFUSED(shmipc_push_commit, self->tx, 0, 0);
	REFUSES(shmipc_push_cancel, NULL);
	REFUSED(shmipc_push_cancel, self->tx);
	REFUSES(shmipc_push_get_stat, NULL, &SHMIPC_PUSH_STAT());
	REFUSES(shmipc_push_get_stat, self->tx, NULL);
	REFUSES(shmipc_push_get_info, NULL, &SHMIPC_SEGMENT_INFO());
	REFUSES(shmipc_push_get_info, self->tx, NULL);
}

TEST_F(queue_arguments, of_a_consumer_are_checked)
{
	struct shmipc_queue_item item = { .data = NULL };
	struct shmipc_dead_letter dead = SHMIPC_DEAD_LETTER();
	struct shmipc_peer_info peer;
	struct shmipc_pop *rx;
	uint32_t n;

	REFUSES(shmipc_pop_open, NULL, "queue", NULL, NULL);
	REFUSED(shmipc_pop_open, &rx, NULL, NULL, NULL);
	HARMLESS(shmipc_pop_close, NULL);
	REFUSES(shmipc_pop_item, NULL, &item, 0);
	REFUSES(shmipc_pop_item, self->rx, NULL, 0);
	REFUSES(shmipc_pop_items, NULL, &item, 1, &n, 0);
	REFUSES(shmipc_pop_items, self->rx, NULL, 1, &n, 0);
	REFUSES(shmipc_pop_items, self->rx, &item, 1, NULL, 0);
	REFUSES(shmipc_pop_ack, NULL, &item, 1);
	REFUSES(shmipc_pop_ack, self->rx, NULL, 1);
	REFUSED(shmipc_pop_ack, self->rx, &item, 1);
	REFUSES(shmipc_pop_nack, NULL, &item, 1);
	REFUSES(shmipc_pop_nack, self->rx, NULL, 1);
	REFUSED(shmipc_pop_nack, self->rx, &item, 1);
	REFUSES(shmipc_pop_get_stat, NULL, &SHMIPC_POP_STAT());
	REFUSES(shmipc_pop_get_stat, self->rx, NULL);
	REFUSES(shmipc_pop_get_info, NULL, &SHMIPC_SEGMENT_INFO());
	REFUSES(shmipc_pop_get_info, self->rx, NULL);
	REFUSES(shmipc_pop_dead_letter, NULL, &item, &dead);
	REFUSES(shmipc_pop_dead_letter, self->rx, NULL, &dead);
	REFUSES(shmipc_pop_dead_letter, self->rx, &item, NULL);
	REFUSES(shmipc_pop_producer, NULL, &item, &peer);
	REFUSES(shmipc_pop_producer, self->rx, NULL, &peer);
	REFUSES(shmipc_pop_producer, self->rx, &item, NULL);
	REFUSED(shmipc_queue_look, NULL, &SHMIPC_QUEUE_STAT());
	REFUSES(shmipc_queue_look, "queue", NULL);
}

/* Another consumer of the same process has it. */
TEST_F(queue_arguments, an_item_of_another_consumer_is_refused)
{
	struct shmipc_queue_item item;
	struct shmipc_pop *other;

	ASSERT_EQ(0, shmipc_pop_open(&other, "queue", NULL, NULL));
	ASSERT_EQ(0, shmipc_push_item(self->tx, "x", 1, 0, 0));
	ASSERT_EQ(0, shmipc_pop_item(self->rx, &item, 0));
	REFUSED(shmipc_pop_nack, other, &item, 1);
	REFUSED(shmipc_pop_ack, other, &item, 1);
	EXPECT_EQ(0, shmipc_pop_ack(self->rx, &item, 1));
	REFUSED(shmipc_pop_ack, self->rx, &item, 1);
	shmipc_pop_close(other);
}

/* Each end that was inherited through fork. */
static int in_child(struct other *me, void *arg)
{
	FIXTURE_DATA(queue_arguments) *self = arg;
	struct shmipc_queue_item item = { .data = NULL };
	void *ptr;

	(void)me;
	CHECK(shmipc_push_item(self->tx, "x", 1, 0, 0) == -EINVAL);
	CHECK(shmipc_push_reserve(self->tx, &ptr, 0) == -EINVAL);
	CHECK(!shmipc_push_item_bytes(self->tx));
	CHECK(shmipc_pop_item(self->rx, &item, 0) == -EINVAL);
	CHECK(shmipc_pop_ack(self->rx, &item, 1) == -EINVAL);
	return 0;
}

TEST_F(queue_arguments, a_child_may_use_none_of_its_parents)
{
	struct other child;

	ASSERT_EQ(0, other_start(&child, 0, in_child, self));
	EXPECT_EQ(0, other_end(&child));
}

TEST_HARNESS_MAIN
