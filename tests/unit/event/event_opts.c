// SPDX-License-Identifier: MIT
/* event: options, arguments, roles, fork, what others see */
#include <sys/mman.h>

#include "event_ends.h"

TEST_F(event, options_are_compared_with_what_is_there)
{
	static const struct shmipc_event_opts bad[] = {
		{ .events = 63 }, { .notifiers = 65 }, { .listeners = 1 }, { .mode = 0666 },
		{ .events = 4097 }, { .notifiers = 1025 }, { .listeners = 3073 },
		{ .flags = 0x80000000u }, { .flags = SHMIPC_NO_CREATE | SHMIPC_EXCL },
		{ .flags = SHMIPC_PERSIST }, { .reserved0 = { 0, 0, 0, 1 } },
	};
	struct shmipc_event_opts o = SHMIPC_EVENT_OPTS(.events = 64, .notifiers = 64, .listeners = 64,
						       .mode = 0600);
	struct shmipc_notifier *n = NULL;
	struct shmipc_listener *l = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct shmipc_event_opts b = bad[i];

		b.struct_bytes = sizeof(b);
		EXPECT_EQ(-EINVAL, shmipc_notifier_open(&n, NAME, &b)) TH_LOG("%zu", i);
		EXPECT_NE(0, *shmipc_error_text());
		EXPECT_EQ(-EINVAL, shmipc_listener_open(&l, NAME, &b, NULL)) TH_LOG("%zu", i);
	}
	EXPECT_EQ(NULL, n);
	EXPECT_EQ(NULL, l);
	ASSERT_EQ(0, shmipc_notifier_open(&n, NAME, &o)) TH_LOG("%s", shmipc_error_text());
	shmipc_notifier_close(n);
	o.flags = SHMIPC_EXCL;
	EXPECT_EQ(-EEXIST, shmipc_notifier_open(&n, NAME, &o));
	o.flags = SHMIPC_NO_CREATE;
	EXPECT_EQ(-ENOENT, shmipc_notifier_open(&n, "not/there", &o));
	EXPECT_EQ(-EINVAL, shmipc_listener_open(&l, NAME, NULL, &SHMIPC_LISTENER_OPTS(.flags = 2)));
	EXPECT_EQ(-EINVAL, shmipc_notifier_open(&n, "/bad", NULL));
}

TEST_F(event, sizes_from_the_smallest_to_the_largest)
{
	static const uint32_t sizes[][3] = {
		{ 1, 1, 1 }, { 63, 1, 2 }, { 256, 2, 1 }, { 257, 1, 1 }, { 4096, 3, 3 },
		{ 4096, 1024, 3072 }, { 1, 1024, 1 },
	};
	struct shmipc_event_got g[4097];
	struct shmipc_notifier *n;
	struct shmipc_listener *l;
	struct shmipc_event_opts o;
	uint32_t i, e, events;
	size_t ngot;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		events = sizes[i][0];
		o = SHMIPC_EVENT_OPTS(.events = events, .notifiers = sizes[i][1],
				      .listeners = sizes[i][2]);
		ASSERT_EQ(0, shmipc_notifier_open(&n, "sizes", &o)) TH_LOG("%s", shmipc_error_text());
		ASSERT_EQ(0, shmipc_listener_open(&l, "sizes", NULL, NULL));
		ASSERT_EQ(events, shmipc_listener_events(l));
		for (e = 0; e < events; e++)
			ASSERT_EQ(0, shmipc_notifier_notify(n, e, e + 1));
		ASSERT_EQ(0, shmipc_listener_wait_any(l, NULL, 0, g, 4097, &ngot, 0));
		ASSERT_EQ(events, ngot);
		for (e = 0; e < events; e++)
			ASSERT_TRUE(g[e].event == e && g[e].count == e + 1);
		EXPECT_EQ(-ETIMEDOUT, shmipc_listener_wait_any(l, NULL, 0, g, 4097, &ngot,
							       shmipc_deadline_in(1000000)));
		EXPECT_EQ(-EINVAL, shmipc_notifier_notify(n, events, 1));
		shmipc_listener_close(l);
		shmipc_notifier_close(n);
	}
}

TEST_F(event, all_slots_are_taken)
{
	struct shmipc_event_opts o = SHMIPC_EVENT_OPTS(.notifiers = 1, .listeners = 1);
	struct shmipc_notifier *n, *second;
	struct shmipc_listener *l, *more;

	ASSERT_EQ(0, shmipc_notifier_open(&n, "one", &o));
	EXPECT_EQ(-EBUSY, shmipc_notifier_open(&second, "one", NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "notifier")) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_listener_open(&l, "one", NULL, NULL));
	EXPECT_EQ(-ENOSPC, shmipc_listener_open(&more, "one", NULL, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "listeners")) TH_LOG("%s", shmipc_error_text());
	shmipc_listener_close(l);
	shmipc_notifier_close(n);
}

TEST_F(event, arguments_are_checked)
{
	struct shmipc_event_got g[2];
	uint32_t bad[2] = { 0, 64 };
	size_t n = 7;

	EXPECT_EQ(-EINVAL, shmipc_notifier_open(NULL, NAME, NULL));
	EXPECT_EQ(-EINVAL, shmipc_listener_open(NULL, NAME, NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_notifier_notify(self->n, 64, 1));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "0 to 63"));
	EXPECT_EQ(-EINVAL, shmipc_notifier_notify(self->n, SHMIPC_LISTEN_DIED, 1));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 1, 0));
	EXPECT_EQ(-EAGAIN, got(self->l, 1));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait(NULL, 0, g, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait(self->l, 64, g, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait(self->l, 0, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(NULL, bad, 1, g, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, bad, 2, g, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, bad, 0, g, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, bad, 4098, g, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, NULL, 1, g, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, bad, 1, g, 0, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, bad, 1, NULL, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_any(self->l, bad, 1, g, 2, NULL, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_wait_all(self->l, NULL, 0, g, 2, &n, 0));
	EXPECT_EQ(-EINVAL, shmipc_listener_expect(NULL, 0, 1));
	EXPECT_EQ(-EINVAL, shmipc_listener_expect(self->l, 64, 1));
	EXPECT_EQ(-EINVAL, shmipc_listener_expect(self->l, SHMIPC_LISTEN_DIED, 1));
	EXPECT_EQ(-EINVAL, shmipc_listener_get_stat(self->l, NULL));
	EXPECT_EQ(0u, shmipc_listener_events(NULL));
	EXPECT_EQ(-EINVAL, shmipc_event_look(NAME, NULL));
	EXPECT_EQ(7u, n);
	shmipc_notifier_close(NULL);
	shmipc_listener_close(NULL);
}

/* The kinds are told apart, by each that opens one. */
TEST_F(event, another_kind_is_refused)
{
	struct shmipc_segment_opts raw = { .struct_bytes = sizeof(raw), .kind = SHMIPC_KIND_RAW,
					   .flags = SHMIPC_CREATE, .bytes = 4096 };
	struct shmipc_event_stat st = SHMIPC_EVENT_STAT();
	struct shmipc_segment *seg;
	struct shmipc_notifier *n;
	struct shmipc_channel *ch;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;

	ASSERT_EQ(0, shmipc_segment_open(&seg, "raw", &raw));
	EXPECT_EQ(-EINVAL, shmipc_notifier_open(&n, "raw", NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "kind event")) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(-EINVAL, shmipc_event_look("raw", &st));
	shmipc_segment_close(seg);
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&pub, NAME, NULL, NULL));
	EXPECT_EQ(-EINVAL, shmipc_sub_open(&sub, NAME, NULL, NULL));
	raw.kind = SHMIPC_KIND_EVENT;
	raw.bytes = 0;
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, "new", &raw));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "shmipc_notifier_open")) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_segment_open(&seg, NAME, NULL));
	EXPECT_EQ(NULL, shmipc_segment_data(seg, NULL));
	EXPECT_EQ(-EINVAL, shmipc_channel_attach(&ch, seg, SHMIPC_ROLE_READER, NULL));
	EXPECT_EQ(-EINVAL, shmipc_channel_attach(&ch, seg, SHMIPC_ROLE_PRODUCER, NULL));
	shmipc_segment_close(seg);
}

TEST_F(event, counts_stay_if_they_are_to)
{
	struct shmipc_event_opts o = SHMIPC_EVENT_OPTS(.flags = SHMIPC_PERSIST);
	struct shmipc_notifier *n;
	struct shmipc_listener *l;

	ASSERT_EQ(0, shmipc_notifier_open(&n, "stays", &o));
	EXPECT_EQ(0, shmipc_notifier_notify(n, 2, 3));
	shmipc_notifier_close(n);
	ASSERT_EQ(0, shmipc_listener_open(&l, "stays", NULL, &SHMIPC_LISTENER_OPTS(.flags = SHMIPC_LISTEN_PAST)));
	EXPECT_EQ(3, got(l, 2));
	shmipc_listener_close(l);
	EXPECT_EQ(0, shmipc_segment_unlink("stays"));
}

/* A child of fork() may use none of it, and does its parent no harm. */
TEST_F(event, a_child_inherits_nothing)
{
	struct shmipc_event_got g;
	int status;
	pid_t pid;

	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 2, 3));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int bad = shmipc_notifier_notify(self->n, 2, 1) != -EINVAL;

		bad += shmipc_listener_wait(self->l, 2, &g, 0) != -EINVAL;
		bad += shmipc_listener_expect(self->l, 2, 1) != -EINVAL;
		bad += shmipc_listener_events(self->l) != 0;
		shmipc_listener_close(self->l);
		shmipc_notifier_close(self->n);
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(3, got(self->l, 2));
	EXPECT_EQ(-EAGAIN, got(self->l, SHMIPC_LISTEN_DIED));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 2, 1));
	EXPECT_EQ(1, got_soon(self->l, 2));
}

TEST_F(event, what_others_see)
{
	struct shmipc_event_end end[3];
	uint64_t count[64];
	struct shmipc_event_stat st = SHMIPC_EVENT_STAT(.count = count, .count_cap = 64, .end = end,
							.end_cap = 3);

	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 2, 3));
	EXPECT_EQ(0, shmipc_notifier_notify(self->n, 63, 1));
	EXPECT_EQ(3, got(self->l, 2));
	ASSERT_EQ(0, shmipc_event_look(NAME, &st)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(SHMIPC_KIND_EVENT, st.info.kind);
	EXPECT_EQ(1, st.in_use);
	EXPECT_EQ(64u, st.events);
	EXPECT_EQ(64u, st.notifiers);
	EXPECT_EQ(64u, st.listeners);
	EXPECT_EQ(4u, st.total);
	EXPECT_EQ(0u, st.died);
	EXPECT_EQ(3u, count[2]);
	EXPECT_EQ(1u, count[63]);
	ASSERT_EQ(2u, st.ends);
	EXPECT_EQ(SHMIPC_ROLE_PRODUCER, (int)end[0].peer.role);
	EXPECT_EQ(SHMIPC_ROLE_READER, (int)end[1].peer.role);
	EXPECT_EQ(3u, end[1].taken);
	st.end_cap = 1;
	st.count_cap = 0;
	ASSERT_EQ(0, shmipc_event_look(NAME, &st));
	EXPECT_EQ(2u, st.ends);
	EXPECT_EQ(-ENOENT, shmipc_event_look("not/there", &st));
}

/* On the device a notifier cannot write what listeners write, nor the reverse. */
TEST_F(event, roles_are_enforced)
{
	const struct shmipc_counts *c[2] = { &self->n->counts, &self->l->counts };
	int status, i;
	pid_t pid;

	if (!env_on_dev())
		SKIP(return, "mem does not enforce roles");
	for (i = 0; i < 2; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {	/* its own end, not the inherited one */
			struct shmipc_notifier *n;
			struct shmipc_listener *l;

			if (shmipc_notifier_open(&n, NAME, NULL) || shmipc_listener_open(&l, NAME, NULL, NULL))
				_exit(1);
			c[0] = &n->counts;
			c[1] = &l->counts;
			shmipc_store_relaxed(i ? shmipc_counts_count(c[1], 0) :
						 &shmipc_counts_want_of(c[0], 0)->one, UINT64_C(1));
			_exit(2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) TH_LOG("%d: %d", i, status);
	}
}

TEST_HARNESS_MAIN
