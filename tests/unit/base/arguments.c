// SPDX-License-Identifier: MIT
/*
 * arguments: each public function on NULL, on an end that has failed, and on one that was
 * inherited through fork
 *
 * tests/abi/symbols compares the names here, and in arguments_*.c, with what the library
 * exports: a function without a line is a failure.
 */

#include "arguments.h"

FIXTURE(arguments) {
	struct env env;
	struct site s;
	struct shmipc_channel *tx, *rx;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	struct shmipc_watch *w;
	struct shmipc_headers h;
	struct shmipc_middleware_chain chain;
	/* results */
	char buf[256];
	void *ptr;
	const void *cptr;
	size_t len;
	uint64_t n;
};

FIXTURE_SETUP(arguments)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, site_make(&self->s, NAMED, SHMIPC_KIND_SPSC, 4096));
	ASSERT_EQ(0, site_open(&self->s, &self->tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, site_open(&self->s, &self->rx, SHMIPC_ROLE_CONSUMER, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, "topic", NULL, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, "topic", NULL, NULL));
	ASSERT_EQ(0, shmipc_segment_open(&self->seg, "raw", &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW, .bytes = 4096, .flags = SHMIPC_CREATE)));
	ASSERT_EQ(0, shmipc_peer_join(&self->peer, self->seg, NULL));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	shmipc_headers_init(&self->h);
}

FIXTURE_TEARDOWN(arguments)
{
	shmipc_headers_free(&self->h);
	shmipc_middleware_free(&self->chain);
	shmipc_watch_close(self->w);
	shmipc_peer_leave(self->peer);
	shmipc_segment_close(self->seg);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	shmipc_channel_close(self->tx);
	shmipc_channel_close(self->rx);
	site_end(&self->s);
	env_tear_down(&self->env);
}

TEST_F(arguments, null_base)
{
	NO_POINTER(shmipc_version);
	NO_POINTER(shmipc_error_text);
	NO_POINTER(shmipc_error_name);
	NO_POINTER(shmipc_deadline_in);
}

TEST_F(arguments, null_segment)
{
	struct shmipc_segment *seg;
	struct shmipc_segment_stat st = { .peer_cap = 1 };

	REFUSES(shmipc_segment_open, NULL, "raw", NULL);
	REFUSED(shmipc_segment_open, &seg, NULL, NULL);
	REFUSES(shmipc_segment_private, NULL, NULL);
	REFUSES(shmipc_segment_anon, NULL, NULL);
	REFUSES(shmipc_segment_from_fd, NULL, 0, NULL);
	REFUSES(shmipc_segment_fd, NULL);
	HARMLESS(shmipc_segment_close, NULL);
	REFUSED(shmipc_segment_unlink, NULL);
	self->len = 1;
	GIVES(NULL, shmipc_segment_data, NULL, &self->len);
	EXPECT_EQ(0, self->len);
	GIVES(NULL, shmipc_segment_data, NULL, NULL);
	EXPECT_NE(NULL, CALL(shmipc_segment_data, self->seg, NULL));
	REFUSES(shmipc_segment_get_info, NULL, &SHMIPC_SEGMENT_INFO());
	REFUSES(shmipc_segment_get_info, self->seg, NULL);
	REFUSES(shmipc_memory_limit_get, NULL);
	REFUSED(shmipc_segment_look, NULL, &st);
	REFUSES(shmipc_segment_look, "raw", NULL);
	REFUSES(shmipc_segment_look, "raw", &st);
	REFUSED(shmipc_segment_fence, NULL, 0, 1, 0, 0);
	REFUSED(shmipc_segment_deaths, NULL, &SHMIPC_DEATHS(.after = 0));
	REFUSES(shmipc_segment_deaths, "raw", NULL);
	REFUSES(shmipc_segment_deaths, "raw", &SHMIPC_DEATHS(.death_cap = 1));
	REFUSES(shmipc_segment_each, NULL, NULL);
	GIVES(0, shmipc_segment_gc, NULL, NULL);
	GIVES(-EINVAL, shmipc_name_check, NULL, NULL);
	GIVES(-EINVAL, shmipc_name_check, "a//b", NULL);
	NO_POINTER(shmipc_segment_dir);
}

TEST_F(arguments, null_peer)
{
	struct shmipc_peer_info info;
	struct shmipc_peer *p;

	REFUSES(shmipc_peer_join, NULL, self->seg, NULL);
	REFUSES(shmipc_peer_join, &p, NULL, NULL);
	REFUSES(shmipc_peer_get_info, NULL, &info);
	REFUSES(shmipc_peer_get_info, self->peer, NULL);
	HARMLESS(shmipc_peer_leave, NULL);
}

TEST_F(arguments, null_lock)
{
	struct shmipc_mutex *m = shmipc_segment_data(self->seg, NULL);
	struct shmipc_cond *c = shmipc_segment_data(self->seg, NULL);
	struct shmipc_rwlock *l = shmipc_segment_data(self->seg, NULL);
	struct shmipc_sem *s = shmipc_segment_data(self->seg, NULL);
	struct shmipc_barrier *b = shmipc_segment_data(self->seg, NULL);

	REFUSES(shmipc_mutex_init, NULL);
	REFUSES(shmipc_mutex_lock, NULL, m, 0);
	REFUSES(shmipc_mutex_lock, self->peer, NULL, 0);
	REFUSES(shmipc_mutex_unlock, NULL, m);
	REFUSES(shmipc_mutex_unlock, self->peer, NULL);
	REFUSES(shmipc_mutex_consistent, NULL, m);
	REFUSES(shmipc_mutex_consistent, self->peer, NULL);
	REFUSES(shmipc_mutex_get_info, NULL, m, &SHMIPC_MUTEX_INFO());
	REFUSES(shmipc_mutex_get_info, self->peer, NULL, &SHMIPC_MUTEX_INFO());
	REFUSES(shmipc_mutex_get_info, self->peer, m, NULL);
	REFUSES(shmipc_cond_init, NULL);
	REFUSES(shmipc_cond_wait, NULL, c, m, 0);
	REFUSES(shmipc_cond_wait, self->peer, NULL, m, 0);
	REFUSES(shmipc_cond_wait, self->peer, c, NULL, 0);
	REFUSES(shmipc_cond_signal, NULL, c);
	REFUSES(shmipc_cond_signal, self->peer, NULL);
	REFUSES(shmipc_cond_broadcast, NULL, c);
	REFUSES(shmipc_cond_broadcast, self->peer, NULL);
	REFUSES(shmipc_rwlock_init, NULL);
	REFUSES(shmipc_rwlock_read_lock, NULL, l, 0);
	REFUSES(shmipc_rwlock_read_lock, self->peer, NULL, 0);
	REFUSES(shmipc_rwlock_write_lock, NULL, l, 0);
	REFUSES(shmipc_rwlock_write_lock, self->peer, NULL, 0);
	REFUSES(shmipc_rwlock_unlock, NULL, l);
	REFUSES(shmipc_rwlock_unlock, self->peer, NULL);
	REFUSES(shmipc_rwlock_consistent, NULL, l);
	REFUSES(shmipc_rwlock_consistent, self->peer, NULL);
	REFUSES(shmipc_rwlock_get_info, NULL, l, &SHMIPC_RWLOCK_INFO());
	REFUSES(shmipc_rwlock_get_info, self->peer, NULL, &SHMIPC_RWLOCK_INFO());
	REFUSES(shmipc_rwlock_get_info, self->peer, l, NULL);
	REFUSES(shmipc_sem_init, NULL, 1, 0);
	REFUSES(shmipc_sem_wait, NULL, s, 0);
	REFUSES(shmipc_sem_wait, self->peer, NULL, 0);
	REFUSES(shmipc_sem_post, NULL, s, 1);
	REFUSES(shmipc_sem_post, self->peer, NULL, 1);
	REFUSES(shmipc_sem_get_info, NULL, s, &SHMIPC_SEM_INFO());
	REFUSES(shmipc_sem_get_info, self->peer, NULL, &SHMIPC_SEM_INFO());
	REFUSES(shmipc_sem_get_info, self->peer, s, NULL);
	REFUSES(shmipc_barrier_init, NULL, 1);
	REFUSES(shmipc_barrier_wait, NULL, b, 0);
	REFUSES(shmipc_barrier_wait, self->peer, NULL, 0);
	REFUSES(shmipc_barrier_get_info, NULL, b, &SHMIPC_BARRIER_INFO());
	REFUSES(shmipc_barrier_get_info, self->peer, NULL, &SHMIPC_BARRIER_INFO());
	REFUSES(shmipc_barrier_get_info, self->peer, b, NULL);
}

TEST_F(arguments, null_discover)
{
	struct shmipc_watch *w;

	GIVES(-EINVAL, shmipc_glob_check, NULL, NULL);
	GIVES(-EINVAL, shmipc_glob_check, "[", NULL);
	GIVES(0, shmipc_glob_match, NULL, "a");
	GIVES(0, shmipc_glob_match, "a", NULL);
	REFUSES(shmipc_discover_each, "a", SHMIPC_KIND_ANY, NULL, NULL);
	REFUSES(shmipc_watch_open, NULL, "a", SHMIPC_KIND_ANY, 0);
	ASSERT_EQ(0, CALL(shmipc_watch_open, &w, NULL, SHMIPC_KIND_ANY, 0));
	HARMLESS(shmipc_watch_close, w);
	REFUSES(shmipc_watch_next, NULL, &SHMIPC_EVENT(), 0);
	REFUSES(shmipc_watch_next, self->w, NULL, 0);
	REFUSES(shmipc_watch_fd, NULL);
	HARMLESS(shmipc_watch_set_tick, NULL, 0);
	HARMLESS(shmipc_watch_close, NULL);
}

TEST_F(arguments, null_channel)
{
	struct shmipc_channel *ch;

	REFUSES(shmipc_channel_open, NULL, "ring", SHMIPC_ROLE_PRODUCER, NULL, NULL);
	REFUSED(shmipc_channel_open, &ch, NULL, SHMIPC_ROLE_PRODUCER, NULL, NULL);
	REFUSES(shmipc_channel_attach, NULL, self->seg, SHMIPC_ROLE_PRODUCER, NULL);
	REFUSES(shmipc_channel_attach, &ch, NULL, SHMIPC_ROLE_PRODUCER, NULL);
	HARMLESS(shmipc_channel_close, NULL);
	REFUSES(shmipc_channel_drain, NULL, 0);
	REFUSES(shmipc_channel_wait_peer, NULL, 0);
	GIVES(SHMIPC_PEER_NONE, shmipc_channel_peer, NULL);
	REFUSES(shmipc_channel_get_stat, NULL, &SHMIPC_CHANNEL_STAT());
	REFUSES(shmipc_channel_get_stat, self->tx, NULL);
	REFUSES(shmipc_channel_get_info, NULL, &SHMIPC_SEGMENT_INFO());
	REFUSES(shmipc_channel_get_info, self->tx, NULL);
	GIVES(NULL, shmipc_channel_meta, NULL, &self->len);
	EXPECT_EQ(0, self->len);
	GIVES(NULL, shmipc_channel_meta, NULL, NULL);
	REFUSES(shmipc_channel_slow_room, NULL, 0, -EAGAIN, 0);
	REFUSES(shmipc_channel_slow_empty, NULL, -EAGAIN, 0);
	REFUSES(shmipc_channel_slow_peer, NULL);
	HARMLESS(shmipc_channel_slow_wake, NULL);
	HARMLESS(shmipc_channel_slow_publish, NULL);
	REFUSES(shmipc_channel_slow_release, NULL);
	REFUSES(shmipc_channel_slow_lost, NULL, -ESTALE);
	REFUSES(shmipc_channel_reserve, NULL, 1, &self->ptr, 0);
	REFUSES(shmipc_channel_reserve, self->tx, 1, NULL, 0);
	HARMLESS(shmipc_channel_abort, NULL);
	REFUSES(shmipc_channel_commit, NULL, 1);
	HARMLESS(shmipc_channel_publish, NULL);
	REFUSES(shmipc_channel_write, NULL, "x", 1, 0);
	REFUSES(shmipc_channel_send, NULL, "x", 1, 0);
	GIVES(0, shmipc_channel_send, self->tx, NULL, 0, 0);
	REFUSES(shmipc_channel_peek, NULL, &self->cptr, &self->len, 0);
	REFUSES(shmipc_channel_peek, self->rx, NULL, &self->len, 0);
	REFUSES(shmipc_channel_peek, self->rx, &self->cptr, NULL, 0);
	REFUSES(shmipc_channel_release, NULL);
	REFUSES(shmipc_channel_recv, NULL, self->buf, 1, &self->len, 0);
	REFUSES(shmipc_channel_recv, self->rx, self->buf, 1, NULL, 0);
	GIVES(0, shmipc_channel_recv, self->rx, NULL, 0, &self->len, 0);
	GIVES(0, shmipc_channel_lost, NULL);
}

TEST_F(arguments, null_publisher)
{
	struct shmipc_loan loan = { 0 };
	struct shmipc_blocked b;
	struct shmipc_pub *pub;

	REFUSES(shmipc_pub_open, NULL, "topic", NULL, NULL);
	REFUSED(shmipc_pub_open, &pub, NULL, NULL, NULL);
	HARMLESS(shmipc_pub_close, NULL);
	REFUSES(shmipc_pub_slow_send, NULL, "x", 1, 0);
	HARMLESS(shmipc_pub_slow_wake, NULL, 0, 1);
	REFUSES(shmipc_pub_send, NULL, "x", 1, 0);
	GIVES(0, shmipc_pub_send, self->pub, NULL, 0, 0);
	REFUSES(shmipc_pub_send_batch, NULL, &(struct shmipc_buf){ "x", 1 }, 1, 0);
	REFUSES(shmipc_pub_send_batch, self->pub, NULL, 1, 0);
	GIVES(0, shmipc_pub_send_batch, self->pub, NULL, 0, 0);
	REFUSES(shmipc_pub_send_with, NULL, NULL, "x", 1, 0);
	REFUSES(shmipc_pub_send_with, self->pub, NULL, NULL, 1, 0);
	REFUSES(shmipc_pub_loan, NULL, 1, NULL, &loan, 0);
	REFUSES(shmipc_pub_loan, self->pub, 1, NULL, NULL, 0);
	REFUSES(shmipc_pub_publish, NULL, &loan, 1, 0);
	REFUSES(shmipc_pub_publish, self->pub, NULL, 1, 0);
	GIVES(-EINVAL, shmipc_pub_publish, self->pub, &loan, 1, 0);
	HARMLESS(shmipc_pub_drop, NULL, &loan);
	HARMLESS(shmipc_pub_drop, self->pub, NULL);
	HARMLESS(shmipc_pub_drop, self->pub, &loan);
	REFUSES(shmipc_pub_trim, NULL, 0, &self->n, 0);
	REFUSES(shmipc_pub_trim, self->pub, 0, NULL, 0);
	REFUSES(shmipc_pub_blocked, NULL, &b);
	REFUSES(shmipc_pub_blocked, self->pub, NULL);
	REFUSES(shmipc_pub_get_stat, NULL, &SHMIPC_PUB_STAT());
	REFUSES(shmipc_pub_get_stat, self->pub, NULL);
	REFUSES(shmipc_pub_get_info, NULL, &SHMIPC_SEGMENT_INFO());
	REFUSES(shmipc_pub_get_info, self->pub, NULL);
}

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
}

TEST_F(arguments, null_subscriber)
{
	struct shmipc_sub *sub, *none[2] = { self->sub, NULL };
	struct shmipc_msg m = { 0 };

	REFUSES(shmipc_sub_open, NULL, "topic", NULL, NULL);
	REFUSED(shmipc_sub_open, &sub, NULL, NULL, NULL);
	HARMLESS(shmipc_sub_close, NULL);
	REFUSES(shmipc_sub_slow_recv, NULL, self->buf, 1, &self->len, 0);
	REFUSES(shmipc_sub_slow_recv, self->sub, self->buf, 1, NULL, 0);
	HARMLESS(shmipc_sub_slow_wake, NULL);
	REFUSES(shmipc_sub_slow_lost, NULL, -ESTALE);
	REFUSES(shmipc_sub_recv, NULL, self->buf, 1, &self->len, 0);
	REFUSES(shmipc_sub_recv, self->sub, self->buf, 1, NULL, 0);
	GIVES(SHMIPC_POS_NONE, shmipc_sub_seq, NULL);
	GIVES(0, shmipc_sub_lost, NULL, NULL, NULL);
	GIVES(0, shmipc_sub_lost, self->sub, NULL, NULL);
	REFUSES(shmipc_sub_take, NULL, &m, 0);
	REFUSES(shmipc_sub_take, self->sub, NULL, 0);
	REFUSES(shmipc_sub_read_at, NULL, 0, &m);
	REFUSES(shmipc_sub_read_at, self->sub, 0, NULL);
	HARMLESS(shmipc_sub_release, NULL, &m);
	HARMLESS(shmipc_sub_release, self->sub, NULL);
	HARMLESS(shmipc_sub_release, self->sub, &m);
	REFUSES(shmipc_sub_sealed, NULL, &m);
	REFUSES(shmipc_sub_sealed, self->sub, NULL);
	GIVES(-EINVAL, shmipc_sub_sealed, self->sub, &m);
	REFUSES(shmipc_sub_range, NULL, &self->n, &self->n);
	REFUSES(shmipc_sub_range, self->sub, NULL, &self->n);
	REFUSES(shmipc_sub_range, self->sub, &self->n, NULL);
	REFUSES(shmipc_sub_wait, NULL, 0);
	REFUSES(shmipc_sub_wait_any, NULL, 1, &self->len, 0);
	REFUSES(shmipc_sub_wait_any, none, 2, &self->len, 0);
	REFUSES(shmipc_sub_wait_any, &self->sub, 1, NULL, 0);
	REFUSED(shmipc_sub_wait_any, NULL, 0, &self->len, 0);
	REFUSES(shmipc_sub_start, NULL, on_message, NULL);
	REFUSES(shmipc_sub_start, self->sub, NULL, NULL);
	HARMLESS(shmipc_sub_stop, NULL);
	REFUSES(shmipc_sub_get_stat, NULL, &SHMIPC_SUB_STAT());
	REFUSES(shmipc_sub_get_stat, self->sub, NULL);
	REFUSES(shmipc_sub_get_info, NULL, &SHMIPC_SEGMENT_INFO());
	REFUSES(shmipc_sub_get_info, self->sub, NULL);
	REFUSED(shmipc_topic_look, NULL, &SHMIPC_TOPIC_STAT());
	REFUSED(shmipc_topic_trim, NULL, 0, &self->n, 0);
	REFUSES(shmipc_topic_trim, "topic", 0, NULL, 0);
	REFUSES(shmipc_topic_look, "topic", NULL);
}

TEST_F(arguments, of_events_are_checked)
{
	const uint32_t events[] = { 1, 2 };
	struct shmipc_event_got got[2];
	struct shmipc_notifier *n;
	struct shmipc_listener *l;

	REFUSES(shmipc_notifier_open, NULL, "event", NULL);
	REFUSED(shmipc_notifier_open, &n, NULL, NULL);
	REFUSES(shmipc_listener_open, NULL, "event", NULL, NULL);
	REFUSED(shmipc_listener_open, &l, NULL, NULL, NULL);
	ASSERT_EQ(0, CALL(shmipc_notifier_open, &n, "event", NULL));
	ASSERT_EQ(0, CALL(shmipc_listener_open, &l, "event", NULL, NULL));
	GIVES(-EINVAL, shmipc_notifier_notify, NULL, 1, 1);
	GIVES(0, shmipc_notifier_notify, n, 1, 1);
	REFUSES(shmipc_notifier_slow_refuse, NULL, 1);
	REFUSED(shmipc_notifier_slow_refuse, n, 64);
	HARMLESS(shmipc_notifier_slow_wake, NULL, 1, 0);
	HARMLESS(shmipc_notifier_slow_wake, n, 64, 0);
	REFUSES(shmipc_listener_wait, NULL, 1, got, 0);
	REFUSES(shmipc_listener_wait, l, 1, NULL, 0);
	REFUSES(shmipc_listener_wait_any, NULL, events, 2, got, 2, &self->len, 0);
	REFUSES(shmipc_listener_wait_any, l, NULL, 2, got, 2, &self->len, 0);
	REFUSES(shmipc_listener_wait_any, l, events, 2, NULL, 2, &self->len, 0);
	REFUSES(shmipc_listener_wait_any, l, events, 2, got, 2, NULL, 0);
	REFUSES(shmipc_listener_wait_all, NULL, events, 2, got, 2, &self->len, 0);
	REFUSES(shmipc_listener_wait_all, l, events, 2, got, 2, NULL, 0);
	REFUSES(shmipc_listener_expect, NULL, 1, 0);
	GIVES(64u, shmipc_listener_events, l);
	GIVES(0u, shmipc_listener_events, NULL);
	REFUSES(shmipc_listener_get_stat, NULL, &SHMIPC_LISTENER_STAT());
	REFUSES(shmipc_listener_get_stat, l, NULL);
	REFUSES(shmipc_event_look, "event", NULL);
	REFUSED(shmipc_event_look, NULL, &SHMIPC_EVENT_STAT());
	REFUSES(shmipc_event_look, "event", &SHMIPC_EVENT_STAT(.count_cap = 1));
	HARMLESS(shmipc_listener_close, NULL);
	HARMLESS(shmipc_notifier_close, NULL);
	CALL(shmipc_listener_close, l);
	CALL(shmipc_notifier_close, n);
}

TEST_F(arguments, of_a_named_lock_are_checked)
{
	struct shmipc_lock *l;

	REFUSES(shmipc_lock_open, NULL, "lock", NULL);
	REFUSED(shmipc_lock_open, &l, NULL, NULL);
	ASSERT_EQ(0, CALL(shmipc_lock_open, &l, "lock", NULL));
	REFUSES(shmipc_lock_take, NULL, 0);
	REFUSES(shmipc_lock_take_shared, NULL, 0);
	GIVES(0, shmipc_lock_take, l, 0);
	REFUSES(shmipc_lock_consistent, NULL);
	REFUSES(shmipc_lock_give, NULL);
	REFUSES(shmipc_lock_get_info, NULL, &SHMIPC_LOCK_INFO());
	REFUSES(shmipc_lock_get_info, l, NULL);
	REFUSES(shmipc_lock_look, "lock", NULL);
	HARMLESS(shmipc_lock_close, NULL);
	CALL(shmipc_lock_close, l);
}

TEST_F(arguments, of_a_deadman_are_checked)
{
	struct shmipc_deadman *d;

	REFUSES(shmipc_deadman_open, NULL, "deadman", NULL);
	REFUSED(shmipc_deadman_open, &d, NULL, NULL);
	ASSERT_EQ(0, CALL(shmipc_deadman_open, &d, "deadman", NULL));
	REFUSES(shmipc_deadman_take, NULL, &self->n, 0);
	REFUSED(shmipc_deadman_release, d);
	GIVES(0, shmipc_deadman_take, d, NULL, 0);
	REFUSED(shmipc_deadman_take, d, NULL, 0);
	REFUSES(shmipc_deadman_release, NULL);
	REFUSES(shmipc_deadman_holds, NULL);
	GIVES(1, shmipc_deadman_holds, d);
	REFUSES(shmipc_deadman_wait_taken, NULL, NULL, 0);
	REFUSES(shmipc_deadman_wait_released, NULL, 0, NULL, 0);
	REFUSES(shmipc_deadman_get_info, NULL, &SHMIPC_DEADMAN_INFO());
	REFUSES(shmipc_deadman_get_info, d, NULL);
	REFUSES(shmipc_deadman_look, "deadman", NULL);
	REFUSED(shmipc_deadman_look, NULL, &SHMIPC_DEADMAN_INFO());
	HARMLESS(shmipc_deadman_close, NULL);
	CALL(shmipc_deadman_close, d);
}

static int fine(struct shmipc_headers *h, const struct shmipc_msg_meta *meta, void *arg)
{
	return 0;
}

TEST_F(arguments, null_payload)
{
	struct shmipc_headers_const c = { .key = "k", .value = "v", .len = 1 };
	uint64_t block[8] = { 0 };
	struct shmipc_headers_view view = { 0 };
	struct shmipc_headers_iter it;
	struct shmipc_msg_meta meta = { 0 };
	const struct shmipc_copier *copier;
	struct shmipc_headers *h = &self->h;

	REFUSES(shmipc_copier_find, NULL, "auto");
	REFUSES(shmipc_copier_find, &copier, NULL);
	REFUSES(shmipc_copier_each, NULL, NULL);
	NO_POINTER(shmipc_copier_mt_close);
	HARMLESS(shmipc_headers_init, NULL);
	HARMLESS(shmipc_headers_free, NULL);
	HARMLESS(shmipc_headers_clear, NULL);
	REFUSES(shmipc_headers_add, NULL, "k", "v", 1);
	REFUSES(shmipc_headers_add, h, NULL, "v", 1);
	REFUSES(shmipc_headers_add, h, "k", NULL, 1);
	GIVES(0, shmipc_headers_add, h, "k", NULL, 0);
	REFUSES(shmipc_headers_set, NULL, "k", "v", 1);
	REFUSES(shmipc_headers_set, h, NULL, "v", 1);
	REFUSES(shmipc_headers_set, h, "k", NULL, 1);
	GIVES(0, shmipc_headers_del, NULL, "k");
	GIVES(0, shmipc_headers_del, h, NULL);
	REFUSES(shmipc_headers_copy, NULL, h);
	REFUSES(shmipc_headers_copy, h, NULL);
	GIVES(0, shmipc_headers_count, NULL, "k");
	GIVES(1, shmipc_headers_count, h, NULL);
	REFUSES(shmipc_headers_get, NULL, "k", 0, &self->cptr, &self->len);
	REFUSES(shmipc_headers_get, h, NULL, 0, &self->cptr, &self->len);
	REFUSES(shmipc_headers_get, h, "k", 0, NULL, &self->len);
	GIVES(0, shmipc_headers_get, h, "k", 0, &self->cptr, NULL);
	GIVES(CALL(shmipc_headers_bytes, &(struct shmipc_headers){ 0 }), shmipc_headers_bytes, NULL);
	REFUSES(shmipc_headers_save, NULL, block, sizeof(block));
	REFUSES(shmipc_headers_save, h, NULL, sizeof(block));
	GIVES(0, shmipc_headers_save, h, block, sizeof(block));
	REFUSES(shmipc_headers_load, NULL, block, sizeof(block));
	REFUSED(shmipc_headers_load, h, NULL, sizeof(block));
	REFUSES(shmipc_headers_view_init, NULL, block, sizeof(block));
	REFUSES(shmipc_headers_view_init, &view, NULL, sizeof(block));
	GIVES(0, shmipc_headers_view_init, &view, block, sizeof(block));
	REFUSES(shmipc_headers_view_get, NULL, "k", 0, self->buf, 8, &self->len);
	REFUSES(shmipc_headers_view_get, &view, NULL, 0, self->buf, 8, &self->len);
	REFUSES(shmipc_headers_view_get, &view, "k", 0, NULL, 8, &self->len);
	REFUSES(shmipc_headers_view_get, &view, "k", 0, self->buf, 8, NULL);
	HARMLESS(shmipc_headers_iter_init, NULL, &view);
	HARMLESS(shmipc_headers_iter_init, &it, NULL);
	GIVES(0, shmipc_headers_iter_next, &it);
	REFUSES(shmipc_headers_iter_next, NULL);
	REFUSES(shmipc_middleware_add, NULL, fine, NULL);
	REFUSES(shmipc_middleware_add, &self->chain, NULL, NULL);
	REFUSES(shmipc_middleware_run, NULL, h, &meta);
	REFUSES(shmipc_middleware_run, &self->chain, NULL, &meta);
	REFUSES(shmipc_middleware_run, &self->chain, h, NULL);
	HARMLESS(shmipc_middleware_free, NULL);
	REFUSES(shmipc_headers_time_mono, NULL, &meta, NULL);
	REFUSES(shmipc_headers_time_mono, h, NULL, NULL);
	REFUSES(shmipc_headers_time_wall, NULL, &meta, NULL);
	REFUSES(shmipc_headers_time_wall, h, NULL, NULL);
	REFUSES(shmipc_headers_pub_id, NULL, &meta, NULL);
	REFUSES(shmipc_headers_pub_id, h, NULL, NULL);
	REFUSES(shmipc_headers_pub_seq, NULL, &meta, NULL);
	REFUSES(shmipc_headers_pub_seq, h, NULL, NULL);
	REFUSES(shmipc_headers_constant, NULL, &meta, &c);
	REFUSES(shmipc_headers_constant, h, &meta, NULL);
}

/* Bare rings are inline in C, and for C only: the compiler warns of NULL. */
TEST_F(arguments, null_ring)
{
	UNCHECKED(shmipc_ring_max_payload);
	UNCHECKED(shmipc_ring_layout);
	UNCHECKED(shmipc_ring_init);
	UNCHECKED(shmipc_ring_check);
	UNCHECKED(shmipc_spsc_tx_init);
	UNCHECKED(shmipc_spsc_reserve);
	UNCHECKED(shmipc_spsc_abort);
	UNCHECKED(shmipc_spsc_commit);
	UNCHECKED(shmipc_spsc_publish);
	UNCHECKED(shmipc_spsc_discard);
	UNCHECKED(shmipc_spsc_write);
	UNCHECKED(shmipc_spsc_rx_init);
	UNCHECKED(shmipc_spsc_peek);
	UNCHECKED(shmipc_spsc_release);
	UNCHECKED(shmipc_spsc_read);
	UNCHECKED(shmipc_bcast_tx_init);
	UNCHECKED(shmipc_bcast_reserve);
	UNCHECKED(shmipc_bcast_abort);
	UNCHECKED(shmipc_bcast_commit);
	UNCHECKED(shmipc_bcast_publish);
	UNCHECKED(shmipc_bcast_discard);
	UNCHECKED(shmipc_bcast_write);
	UNCHECKED(shmipc_bcast_rx_init);
	UNCHECKED(shmipc_bcast_peek);
	UNCHECKED(shmipc_bcast_release);
	UNCHECKED(shmipc_bcast_read);
	UNCHECKED(shmipc_bcast_backlog);
}

/*
 * On an end that is good for nothing any more: what every function gives. @want is -EINVAL
 * for one that was inherited through fork; of one that has failed, its error.
 */
#define IS(val, fn, ...)	CHECK(CALL(fn, __VA_ARGS__) == (val))

static int use_channel(FIXTURE_DATA(arguments) *self, struct shmipc_channel *ch, int want)
{
	IS(want, shmipc_channel_reserve, ch, 1, &self->ptr, 0);
	HARMLESS(shmipc_channel_abort, ch);
	IS(-EINVAL, shmipc_channel_commit, ch, 1);
	HARMLESS(shmipc_channel_publish, ch);
	IS(want, shmipc_channel_write, ch, "x", 1, 0);
	IS(want, shmipc_channel_send, ch, "x", 1, 0);
	IS(want, shmipc_channel_send, ch, "x", 1, SHMIPC_FOREVER);
	return 0;
}

static int use_receiver(FIXTURE_DATA(arguments) *self, struct shmipc_channel *ch, int want)
{
	IS(want, shmipc_channel_peek, ch, &self->cptr, &self->len, 0);
	(void)CALL(shmipc_channel_release, ch);
	IS(want, shmipc_channel_recv, ch, self->buf, 1, &self->len, 0);
	IS(want, shmipc_channel_recv, ch, self->buf, 1, &self->len, SHMIPC_FOREVER);
	return 0;
}

static int use_subscriber(FIXTURE_DATA(arguments) *self, int want)
{
	struct shmipc_msg m = { 0 };

	IS(want, shmipc_sub_recv, self->sub, self->buf, 8, &self->len, 0);
	IS(want, shmipc_sub_recv, self->sub, self->buf, 8, &self->len, SHMIPC_FOREVER);
	IS(want, shmipc_sub_take, self->sub, &m, 0);
	HARMLESS(shmipc_sub_release, self->sub, &m);
	HARMLESS(shmipc_sub_stop, self->sub);
	HARMLESS(shmipc_sub_slow_wake, self->sub);
	return 0;
}

static int in_child(struct other *me, void *arg)
{
	FIXTURE_DATA(arguments) *self = arg;
	struct shmipc_loan loan = { 0 };
	struct shmipc_channel *ch;
	struct shmipc_peer_info info;
	struct shmipc_peer *peer;
	struct shmipc_blocked b;
	struct shmipc_msg m = { 0 };

	CHECK(!use_channel(self, self->tx, -EINVAL));
	CHECK(!use_receiver(self, self->rx, -EINVAL));
	IS(-EINVAL, shmipc_channel_drain, self->tx, 0);
	IS(-EINVAL, shmipc_channel_wait_peer, self->tx, SHMIPC_FOREVER);
	IS(SHMIPC_PEER_NONE, shmipc_channel_peer, self->tx);
	IS(-EINVAL, shmipc_channel_get_stat, self->tx, &SHMIPC_CHANNEL_STAT());
	IS(-EINVAL, shmipc_channel_get_info, self->tx, &SHMIPC_SEGMENT_INFO());
	IS(NULL, shmipc_channel_meta, self->tx, NULL);
	IS(-EINVAL, shmipc_channel_slow_room, self->tx, 0, -EAGAIN, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_channel_slow_empty, self->rx, -EAGAIN, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_channel_slow_peer, self->rx);
	HARMLESS(shmipc_channel_slow_wake, self->tx);
	HARMLESS(shmipc_channel_slow_publish, self->tx);
	IS(-EINVAL, shmipc_channel_slow_release, self->rx);
	IS(-ESTALE, shmipc_channel_slow_lost, self->rx, -ESTALE);
	IS(-EINVAL, shmipc_channel_attach, &ch, self->seg, SHMIPC_ROLE_PRODUCER, NULL);
	IS(-EINVAL, shmipc_peer_join, &peer, self->seg, NULL);
	IS(-EINVAL, shmipc_peer_get_info, self->peer, &info);
	HARMLESS(shmipc_peer_leave, self->peer);
	IS(-EINVAL, shmipc_segment_fd, self->seg);
	IS(NULL, shmipc_segment_data, self->seg, NULL);
	IS(-EINVAL, shmipc_segment_get_info, self->seg, &SHMIPC_SEGMENT_INFO());
	CHECK(!use_subscriber(self, -EINVAL));
	IS(-EINVAL, shmipc_sub_slow_recv, self->sub, self->buf, 8, &self->len, SHMIPC_FOREVER);
	IS(-ESTALE, shmipc_sub_slow_lost, self->sub, -ESTALE);
	IS(-EINVAL, shmipc_sub_read_at, self->sub, 0, &m);
	IS(-EINVAL, shmipc_sub_sealed, self->sub, &m);
	IS(-EINVAL, shmipc_sub_range, self->sub, &self->n, &self->n);
	IS(-EINVAL, shmipc_sub_wait, self->sub, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_sub_wait_any, &self->sub, 1, &self->len, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_sub_start, self->sub, on_message, NULL);
	IS(-EINVAL, shmipc_sub_get_stat, self->sub, &SHMIPC_SUB_STAT());
	IS(-EINVAL, shmipc_sub_get_info, self->sub, &SHMIPC_SEGMENT_INFO());
	IS(-EINVAL, shmipc_pub_send, self->pub, "x", 1, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_pub_slow_send, self->pub, "x", 1, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_pub_send_with, self->pub, NULL, "x", 1, SHMIPC_FOREVER);
	IS(-EINVAL, shmipc_pub_send_batch, self->pub, &(struct shmipc_buf){ "x", 1 }, 1, 0);
	HARMLESS(shmipc_pub_slow_wake, self->pub, 0, 1);
	IS(-EINVAL, shmipc_pub_loan, self->pub, 1, NULL, &loan, 0);
	IS(-EINVAL, shmipc_pub_publish, self->pub, &loan, 1, 0);
	HARMLESS(shmipc_pub_drop, self->pub, &loan);
	IS(-EINVAL, shmipc_pub_blocked, self->pub, &b);
	IS(-EINVAL, shmipc_pub_trim, self->pub, 0, &self->n, 0);
	IS(-EINVAL, shmipc_pub_get_stat, self->pub, &SHMIPC_PUB_STAT());
	IS(-EINVAL, shmipc_pub_get_info, self->pub, &SHMIPC_SEGMENT_INFO());
	IS(-EINVAL, shmipc_watch_next, self->w, &SHMIPC_EVENT(), SHMIPC_FOREVER);
	HARMLESS(shmipc_watch_set_tick, self->w, 0);
	return 0;
}

TEST_F(arguments, a_child_may_use_none_of_its_parents)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, in_child, self));
	EXPECT_EQ(0, other_end(&o));
	/* And its parent is unhurt. */
	EXPECT_EQ(0, CALL(shmipc_pub_send, self->pub, "x", 1, 0));
	EXPECT_EQ(0, CALL(shmipc_sub_recv, self->sub, self->buf, 8, &self->len, 0));
	EXPECT_EQ(0, CALL(shmipc_channel_send, self->tx, "x", 1, 0));
	EXPECT_EQ(0, CALL(shmipc_channel_recv, self->rx, self->buf, 8, &self->len, 0));
}

/* Twice: the error stays, and no call sleeps. */
TEST_F(arguments, an_end_that_failed_stays_so)
{
	int i;

	for (i = 0; i < 2; i++) {
		self->rx->end.spsc_rx.err = -EPROTO;
		EXPECT_EQ(0, use_receiver(self, self->rx, -EPROTO));
		(void)shmipc_tlog_rx_fail(&self->sub->rx, -EPROTO);
		EXPECT_EQ(0, use_subscriber(self, -EPROTO));
		EXPECT_EQ(0, CALL(shmipc_sub_wait, self->sub, SHMIPC_FOREVER)) TH_LOG("there is something to be told");
		EXPECT_EQ(0, CALL(shmipc_sub_wait_any, &self->sub, 1, &self->len, SHMIPC_FOREVER));
		EXPECT_EQ(0, CALL(shmipc_sub_get_stat, self->sub, &SHMIPC_SUB_STAT()));
		EXPECT_EQ(0, CALL(shmipc_channel_get_stat, self->rx, &SHMIPC_CHANNEL_STAT()));
	}
	/* The other sides know nothing of it. */
	EXPECT_EQ(0, CALL(shmipc_pub_send, self->pub, "x", 1, 0));
	EXPECT_EQ(0, CALL(shmipc_channel_send, self->tx, "x", 1, 0));
}

TEST_F(arguments, a_failed_open_leaves_its_result_alone)
{
	struct shmipc_channel *ch = (void *)1;
	struct shmipc_segment *seg = (void *)1;
	struct shmipc_pub *pub = (void *)1;
	struct shmipc_sub *sub = (void *)1;
	struct shmipc_watch *w = (void *)1;

	REFUSED(shmipc_channel_open, &ch, "topic", SHMIPC_ROLE_CONSUMER, NULL, NULL);
	REFUSED(shmipc_channel_attach, &ch, self->seg, SHMIPC_ROLE_CONSUMER, NULL);
	REFUSED(shmipc_pub_open, &pub, "ring", NULL, NULL);
	REFUSED(shmipc_sub_open, &sub, "ring", NULL, NULL);
	REFUSED(shmipc_sub_open, &sub, "ring", NULL, &SHMIPC_SUB_OPTS(.flags = SHMIPC_SUB_READ_ONLY));
	REFUSED(shmipc_topic_look, "ring", &SHMIPC_TOPIC_STAT());
	REFUSED(shmipc_topic_trim, "ring", 0, &self->n, 0);
	REFUSED(shmipc_segment_open, &seg, "ring", &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW));
	REFUSED(shmipc_watch_open, &w, "[", SHMIPC_KIND_ANY, 0);
	EXPECT_EQ((void *)1, ch);
	EXPECT_EQ((void *)1, seg);
	EXPECT_EQ((void *)1, pub);
	EXPECT_EQ((void *)1, sub);
	EXPECT_EQ((void *)1, w);
}

TEST_HARNESS_MAIN
