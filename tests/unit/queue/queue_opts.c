// SPDX-License-Identifier: MIT
/* queue: options, memory, roles, fork, what others see */
#include <sys/mman.h>

#include "queue_ends.h"

TEST_F(queue, options_are_compared_with_what_is_there)
{
	static const struct shmipc_queue_opts bad[] = {
		{ .producers = 65 }, { .consumers = 1 }, { .depth = 16 }, { .levels = 1 },
		{ .delivery = SHMIPC_QUEUE_AT_MOST_ONCE }, { .deliveries = 3 }, { .item_bytes = 2999 },
		{ .mode = 0666 }, { .producers = 1025 }, { .consumers = 1025 }, { .depth = 131072 },
		{ .depth = 24 }, { .levels = 9 }, { .delivery = 3 }, { .deliveries = 255 },
		{ .item_bytes = UINT64_C(1) << 31 }, { .depth = 65536 },
		{ .deliveries = 3, .delivery = SHMIPC_QUEUE_AT_MOST_ONCE },
		{ .flags = 0x80000000u }, { .flags = SHMIPC_NO_CREATE | SHMIPC_EXCL },
		{ .flags = SHMIPC_PERSIST }, { .reserved0 = 1 }, { .reserved1 = { 0, 0, 0, 1 } },
	};
	struct shmipc_queue_opts o = self->opts;
	struct shmipc_push *tx = NULL;
	struct shmipc_pop *rx = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct shmipc_queue_opts b = bad[i];

		b.struct_bytes = sizeof(b);
		EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, NAME, &b, NULL)) TH_LOG("%zu", i);
		EXPECT_NE(0, *shmipc_error_text());
		EXPECT_EQ(-EINVAL, shmipc_pop_open(&rx, NAME, &b, NULL)) TH_LOG("%zu", i);
	}
	EXPECT_EQ(NULL, tx);
	EXPECT_EQ(NULL, rx);
	o.delivery = SHMIPC_QUEUE_ACKNOWLEDGED;
	o.producers = o.consumers = 64;
	ASSERT_EQ(0, shmipc_push_open(&tx, NAME, &o, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_push_close(tx);
	o.flags = SHMIPC_EXCL;
	EXPECT_EQ(-EEXIST, shmipc_push_open(&tx, NAME, &o, NULL));
	o.flags = SHMIPC_NO_CREATE;
	EXPECT_EQ(-ENOENT, shmipc_pop_open(&rx, "not/there", &o, NULL));
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, "/bad", NULL, NULL));
}

TEST_F(queue, sizes_from_the_smallest_to_the_largest)
{
	static const struct shmipc_queue_opts sizes[] = {
		{ .producers = 1, .consumers = 1, .depth = 1, .item_bytes = 1 },
		{ .producers = 1, .consumers = 1024, .depth = 2, .item_bytes = 65, .levels = 8 },
		{ .producers = 1024, .consumers = 1, .depth = 1024, .item_bytes = 64 },
		{ .producers = 2, .consumers = 2, .depth = 65536, .item_bytes = 8, .levels = 8 },
		{ .producers = 1, .consumers = 1, .depth = 2, .item_bytes = UINT64_C(5) << 20 },
	};
	struct shmipc_queue_opts o;
	struct shmipc_queue_item it;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	uint32_t i, n;
	void *at;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		o = sizes[i];
		o.struct_bytes = sizeof(o);
		ASSERT_EQ(0, shmipc_push_open(&tx, "sizes", &o, NULL)) TH_LOG("%s", shmipc_error_text());
		ASSERT_EQ(0, shmipc_pop_open(&rx, "sizes", NULL, NULL));
		for (n = 0; n < o.depth; n++) {
			ASSERT_EQ(0, shmipc_push_reserve(tx, &at, 0)) TH_LOG("%s", shmipc_error_text());
			memset(at, (int)n, o.item_bytes);
			ASSERT_EQ(0, shmipc_push_commit(tx, o.item_bytes, 0));
		}
		EXPECT_EQ(-EAGAIN, shmipc_push_item(tx, NULL, 0, 0, 0));
		for (n = 0; n < o.depth; n++) {
			ASSERT_EQ(0, shmipc_pop_item(rx, &it, 0));
			ASSERT_EQ(o.item_bytes, it.bytes);
			ASSERT_EQ((unsigned char)n, ((const unsigned char *)it.data)[0]);
			ASSERT_EQ((unsigned char)n, ((const unsigned char *)it.data)[it.bytes - 1]);
			ASSERT_EQ(0, shmipc_pop_ack(rx, &it, 1));
		}
		EXPECT_EQ(-ETIMEDOUT, shmipc_pop_item(rx, &it, shmipc_deadline_in(1000000)));
		shmipc_pop_close(rx);
		shmipc_push_close(tx);
	}
}

TEST_F(queue, arguments_are_checked)
{
	const struct shmipc_buf v = { NULL, 8 };
	struct shmipc_queue_item it;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	uint32_t n;
	void *at;

	EXPECT_EQ(-EINVAL, shmipc_push_open(NULL, "args", NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, NULL, NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_pop_open(NULL, "args", NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_pop_open(&rx, NULL, NULL, NULL));
	ASSERT_EQ(0, shmipc_push_open(&tx, "args", NULL, NULL));
	ASSERT_EQ(0, shmipc_pop_open(&rx, "args", NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_push_item(NULL, "", 1, 0, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_item(tx, NULL, 1, 0, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_items(NULL, &v, 1, 0, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_items(tx, NULL, 1, 0, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_items(tx, &v, 1, 0, &n, 0));
	EXPECT_EQ(0, shmipc_push_items(tx, NULL, 0, 0, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_reserve(NULL, &at, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_reserve(tx, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_commit(NULL, 1, 0));
	EXPECT_EQ(-EINVAL, shmipc_push_cancel(NULL));
	EXPECT_EQ(-EINVAL, shmipc_push_cancel(tx));
	EXPECT_EQ(4096u, shmipc_push_item_bytes(tx));
	EXPECT_EQ(0u, shmipc_push_item_bytes(NULL));
	EXPECT_EQ(-EINVAL, shmipc_push_get_stat(NULL, &SHMIPC_PUSH_STAT()));
	EXPECT_EQ(-EINVAL, shmipc_push_get_stat(tx, NULL));
	EXPECT_EQ(-EINVAL, shmipc_pop_item(NULL, &it, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_item(rx, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_items(NULL, &it, 1, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_items(rx, NULL, 1, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_items(rx, &it, 1, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_items(rx, &it, 0, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_ack(NULL, &it, 1));
	EXPECT_EQ(-EINVAL, shmipc_pop_ack(rx, NULL, 1));
	EXPECT_EQ(-EINVAL, shmipc_pop_nack(NULL, &it, 1));
	EXPECT_EQ(-EINVAL, shmipc_pop_nack(rx, NULL, 1));
	EXPECT_EQ(0, shmipc_pop_ack(rx, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_pop_get_stat(NULL, &SHMIPC_POP_STAT()));
	EXPECT_EQ(-EINVAL, shmipc_pop_get_stat(rx, NULL));
	EXPECT_EQ(-EINVAL, shmipc_queue_look("args", NULL));
	EXPECT_EQ(-EINVAL, shmipc_queue_look(NULL, &SHMIPC_QUEUE_STAT()));
	EXPECT_EQ(-EINVAL, shmipc_queue_look("args", &SHMIPC_QUEUE_STAT(.end_cap = 1)));
	shmipc_push_close(NULL);
	shmipc_pop_close(NULL);
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
}

TEST_F(queue, all_slots_are_taken)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.producers = 1, .consumers = 1);
	struct shmipc_push *tx, *second;
	struct shmipc_pop *rx, *more;

	ASSERT_EQ(0, shmipc_push_open(&tx, "one", &o, NULL));
	EXPECT_EQ(-EBUSY, shmipc_push_open(&second, "one", NULL, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "producer")) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_pop_open(&rx, "one", NULL, NULL));
	EXPECT_EQ(-ENOSPC, shmipc_pop_open(&more, "one", NULL, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "consumers")) TH_LOG("%s", shmipc_error_text());
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
}

/* The kinds are told apart, by each that opens one. */
TEST_F(queue, another_kind_is_refused)
{
	struct shmipc_segment_opts raw = { .struct_bytes = sizeof(raw), .kind = SHMIPC_KIND_RAW,
					   .flags = SHMIPC_CREATE, .bytes = 4096 };
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT(.end_cap = 0);
	struct shmipc_segment *seg;
	struct shmipc_listener *l;
	struct shmipc_push *tx;
	struct shmipc_pub *pub;

	ASSERT_EQ(0, shmipc_segment_open(&seg, "raw", &raw));
	EXPECT_EQ(-EINVAL, shmipc_push_open(&tx, "raw", NULL, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "kind queue")) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(-EINVAL, shmipc_queue_look("raw", &st));
	shmipc_segment_close(seg);
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&pub, NAME, NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_listener_open(&l, NAME, NULL, NULL));
	raw.kind = SHMIPC_KIND_QUEUE;
	raw.bytes = 0;
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, "new", &raw));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "shmipc_push_open")) TH_LOG("%s", shmipc_error_text());
}

TEST_F(queue, items_stay_if_they_are_to)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.flags = SHMIPC_PERSIST);
	struct shmipc_queue_item it;
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, shmipc_push_open(&tx, "stays", &o, NULL));
		EXPECT_EQ(0, push(tx, 10 + (uint64_t)i));
		shmipc_push_close(tx);
	}
	ASSERT_EQ(0, shmipc_pop_open(&rx, "stays", NULL, NULL));
	EXPECT_EQ(10, got(rx));
	EXPECT_EQ(11, pop_until(rx, &it, 0));
	EXPECT_EQ(1u, it.number) TH_LOG("numbers go on with the next producer of the slot");
	shmipc_pop_close(rx);
	ASSERT_EQ(0, shmipc_pop_open(&rx, "stays", NULL, NULL));
	EXPECT_EQ(11, pop_until(rx, &it, 0));
	EXPECT_EQ(2u, it.deliveries);
	shmipc_pop_close(rx);
	EXPECT_EQ(0, shmipc_segment_unlink("stays"));
}

/* Places get memory when they are used for the first time, and then no more. */
TEST_F(queue, memory_follows_use)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.depth = 1024, .item_bytes = 1 << 20);
	struct shmipc_queue_item it;
	uint64_t used[3];
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	void *at;
	int i;

	ASSERT_EQ(0, shmipc_push_open(&tx, "large", &o, NULL)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_pop_open(&rx, "large", NULL, NULL));
	ASSERT_EQ(0, tx->seg->be->used(tx->seg, &used[0]));
	EXPECT_GT(2000000u, used[0]);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, shmipc_push_reserve(tx, &at, 0));
		memset(at, 1, 1 << 20);
		ASSERT_EQ(0, shmipc_push_commit(tx, 1 << 20, 0));
	}
	ASSERT_EQ(0, tx->seg->be->used(tx->seg, &used[1]));
	EXPECT_LE(used[0] + (4u << 20), used[1]);
	EXPECT_GT(used[0] + (8u << 20), used[1]);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, shmipc_pop_item(rx, &it, 0));
		ASSERT_EQ(0, shmipc_pop_ack(rx, &it, 1));
		ASSERT_EQ(0, push(tx, 1));
	}
	ASSERT_EQ(0, tx->seg->be->used(tx->seg, &used[2]));
	EXPECT_EQ(used[1], used[2]);
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
}

/* A producer that says that it has written where no memory is. */
TEST_F(queue, a_place_without_memory_does_no_harm)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.depth = 1024, .item_bytes = 1 << 20);
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT(.end_cap = 0);

	ASSERT_EQ(0, shmipc_push_open(&tx, "large", &o, NULL));
	ASSERT_EQ(0, shmipc_pop_open(&rx, "large", NULL, NULL));
	ASSERT_EQ(0, push(tx, 1));
	shmipc_cells_fill(&tx->tx, 1000, 8, 0);
	shmipc_cells_push(&tx->tx, 0);
	EXPECT_EQ(1, got(rx));
	/* In a file it reads as zeroes. */
	EXPECT_EQ(env_on_dev() ? -EAGAIN : 0, got(rx));
	EXPECT_EQ(-EAGAIN, got(rx));
	ASSERT_EQ(0, shmipc_queue_look("large", &st));
	EXPECT_EQ(env_on_dev() ? 1u : 0u, st.invalid);
	shmipc_pop_close(rx);
	shmipc_push_close(tx);
}

/* A child of fork() may use none of it, and does its parent no harm. */
TEST_F(queue, a_child_inherits_nothing)
{
	struct shmipc_queue_item it;
	int status;
	void *at;
	pid_t pid;

	EXPECT_EQ(0, push(self->tx, 3));
	EXPECT_EQ(0, push(self->tx, 4));
	EXPECT_EQ(3, pop_until(self->rx, &it, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int bad = push(self->tx, 2) != -EINVAL;
		struct shmipc_queue_item other;

		bad += shmipc_push_reserve(self->tx, &at, 0) != -EINVAL;
		bad += shmipc_push_item_bytes(self->tx) != 0;
		bad += shmipc_pop_item(self->rx, &other, 0) != -EINVAL;
		bad += shmipc_pop_ack(self->rx, &it, 1) != -EINVAL;
		bad += shmipc_pop_nack(self->rx, &it, 1) != -EINVAL;
		shmipc_pop_close(self->rx);
		shmipc_push_close(self->tx);
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(3u, what_of(&it));
	EXPECT_EQ(0, shmipc_pop_ack(self->rx, &it, 1));
	EXPECT_EQ(4, got(self->rx));
}

TEST_F(queue, what_others_see)
{
	struct shmipc_queue_end end[3];
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT(.end = end, .end_cap = 3);
	struct shmipc_queue_item it;
	uint32_t i;

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, push_until(self->tx, i, i / 3, 0));
	ASSERT_EQ(3, pop_until(self->rx, &it, 0));
	ASSERT_EQ(0, shmipc_pop_nack(self->rx, &it, 1));
	ASSERT_EQ(3, got(self->rx));
	ASSERT_EQ(4, pop_until(self->rx, &it, 0));
	ASSERT_EQ(0, shmipc_queue_look(NAME, &st)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(SHMIPC_KIND_QUEUE, (int)st.info.kind);
	EXPECT_EQ(1, st.in_use);
	EXPECT_EQ(64u, st.producers);
	EXPECT_EQ(64u, st.consumers);
	EXPECT_EQ(DEPTH, st.depth);
	EXPECT_EQ(LEVELS, st.levels);
	EXPECT_EQ(SHMIPC_QUEUE_ACKNOWLEDGED, st.delivery);
	EXPECT_EQ(3000u, st.item_bytes);
	EXPECT_EQ(3u, st.ready[0]);
	EXPECT_EQ(0u, st.ready[1]);
	EXPECT_EQ(1u, st.taken);
	EXPECT_EQ(5u, st.pushed);
	EXPECT_EQ(1u, st.acked);
	EXPECT_EQ(1u, st.again);
	ASSERT_EQ(2u, st.ends);
	EXPECT_EQ(SHMIPC_ROLE_PRODUCER, (int)end[0].peer.role);
	EXPECT_EQ(5u, end[0].pushed);
	EXPECT_EQ(4u, end[0].has);
	EXPECT_EQ(SHMIPC_ROLE_READER, (int)end[1].peer.role);
	EXPECT_EQ(3u, end[1].taken);
	EXPECT_EQ(1u, end[1].returned);
	EXPECT_EQ(1u, end[1].has);
	st.end_cap = 1;
	ASSERT_EQ(0, shmipc_queue_look(NAME, &st));
	EXPECT_EQ(2u, st.ends);
	EXPECT_EQ(-ENOENT, shmipc_queue_look("not/there", &st));
}

TEST_F(queue, ends_say_where_they_are_and_items_who_pushed_them)
{
	struct shmipc_segment_info a = SHMIPC_SEGMENT_INFO(), b = SHMIPC_SEGMENT_INFO();
	struct shmipc_queue_end end[2];
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT(.end = end, .end_cap = 2);
	uint64_t before = now_ns();
	struct shmipc_queue_item it;
	struct shmipc_peer_info p;

	ASSERT_EQ(0, shmipc_push_get_info(self->tx, &a));
	ASSERT_EQ(0, shmipc_pop_get_info(self->rx, &b));
	EXPECT_EQ(0, memcmp(a.id, b.id, sizeof(a.id)));
	EXPECT_STREQ(NAME, b.name);
	ASSERT_EQ(0, shmipc_queue_look(NAME, &st));
	EXPECT_EQ(0u, end[1].taken_ns);
	ASSERT_EQ(0, push(self->tx, 1));
	ASSERT_EQ(1, pop_until(self->rx, &it, 0));
	ASSERT_EQ(0, shmipc_pop_producer(self->rx, &it, &p));
	EXPECT_EQ((uint32_t)getpid(), p.pid);
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, (int)p.state);
	EXPECT_EQ(it.from, p.slot);
	ASSERT_EQ(0, shmipc_queue_look(NAME, &st));
	EXPECT_LE(before, end[1].taken_ns + UINT64_C(20000000));	/* a clock with ticks of 10 ms */
	EXPECT_GE(now_ns(), end[1].taken_ns);
	it.from = 64;
	EXPECT_EQ(-EINVAL, shmipc_pop_producer(self->rx, &it, &p));
	EXPECT_EQ(-EINVAL, shmipc_pop_producer(NULL, &it, &p));
	EXPECT_EQ(-EINVAL, shmipc_push_get_info(NULL, &a));
	EXPECT_EQ(-EINVAL, shmipc_pop_get_info(self->rx, NULL));
}

/* On the device a consumer cannot write items, nor what only producers write. */
TEST_F(queue, roles_are_enforced)
{
	int status, i;
	pid_t pid;

	if (!env_on_dev())
		SKIP(return, "mem does not enforce roles");
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, push(self->tx, 1));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {	/* its own end, not the inherited one */
			struct shmipc_queue_item it;
			struct shmipc_pop *rx;

			if (shmipc_pop_open(&rx, NAME, NULL, NULL) || shmipc_pop_item(rx, &it, 0))
				_exit(1);
			shmipc_store_relaxed(i ? &rx->q.tails[0].tail[0] : (__u64 *)(uintptr_t)it.data,
					     UINT64_C(1));
			_exit(2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) TH_LOG("%d: %d", i, status);
		EXPECT_EQ(1, got(self->rx));
	}
}

TEST_HARNESS_MAIN
