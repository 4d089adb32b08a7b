// SPDX-License-Identifier: MIT
/* watch: segments and ends that appear and disappear, as a sequence of events */
#include <poll.h>
#include <sys/time.h>

#include "watcher.h"

FIXTURE(watch) {
	struct env env;
	struct shmipc_watch *w;
	struct shmipc_segment *seg[3];
	struct shmipc_channel *ch[3];
};

FIXTURE_SETUP(watch)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(watch)
{
	int i;

	shmipc_watch_close(self->w);
	for (i = 0; i < 3; i++) {
		shmipc_segment_close(self->seg[i]);
		shmipc_channel_close(self->ch[i]);
	}
	env_tear_down(&self->env);
}

#define SAYS(text)	EXPECT_STREQ(text, watcher_say(self->w))
#define SAYS_NOW(text)	EXPECT_STREQ(text, watcher_say_now(self->w))
#define SILENT()	SAYS_NOW("EAGAIN")

static int leave(struct shmipc_channel **ch)
{
	shmipc_channel_close(*ch);
	*ch = NULL;
	return 0;
}

static int let_go(struct shmipc_segment **seg)
{
	shmipc_segment_close(*seg);
	*seg = NULL;
	return 0;
}

TEST_F(watch, segments_appear_and_go)
{
	uint8_t id[16];

	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	SILENT();
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a/b", SHMIPC_KIND_SPSC, 0));
	SAYS_NOW("appeared a/b");
	EXPECT_EQ(SHMIPC_KIND_SPSC, watcher_last.kind);
	EXPECT_NE(0, watcher_last.noticed_ns);
	memcpy(id, watcher_last.id, sizeof(id));
	ASSERT_EQ(0, watcher_make(&self->seg[1], "c", SHMIPC_KIND_RAW, 0));
	SAYS_NOW("appeared c");
	EXPECT_NE(0, memcmp(id, watcher_last.id, sizeof(id)));
	SILENT();
	let_go(&self->seg[0]);
	SAYS_NOW("gone a/b");
	EXPECT_EQ(0, memcmp(id, watcher_last.id, sizeof(id)));
	EXPECT_EQ(0, shmipc_segment_unlink("c"));
	SAYS_NOW("gone c");
	SILENT();
}

TEST_F(watch, existing_segments_are_reported_first_or_not_at_all)
{
	struct shmipc_watch *w;

	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, watcher_join(&self->ch[0], "b", SHMIPC_ROLE_READER, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared a");
	SAYS_NOW("appeared b");
	SAYS_NOW("joined b R1.1");
	SILENT();
	ASSERT_EQ(0, shmipc_watch_open(&w, "*", SHMIPC_KIND_ANY,
				       SHMIPC_WATCH_ENDS | SHMIPC_WATCH_NEW));
	EXPECT_STREQ("EAGAIN", watcher_say_now(w));
	ASSERT_EQ(0, watcher_join(&self->ch[1], "b", SHMIPC_ROLE_PRODUCER, 0));
	EXPECT_STREQ("joined b P0.1", watcher_say_now(w));
	/* An end that was not reported as joined is reported as gone: the caller knows what there was. */
	leave(&self->ch[0]);
	EXPECT_STREQ("left b R1.1", watcher_say_now(w));
	shmipc_watch_close(w);
	leave(&self->ch[1]);
}

TEST_F(watch, pattern_and_kind_select)
{
	struct shmipc_watch *w;

	ASSERT_EQ(0, shmipc_watch_open(&self->w, "a/*", SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	ASSERT_EQ(0, shmipc_watch_open(&w, "**", SHMIPC_KIND_BCAST, SHMIPC_WATCH_ENDS));
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a/raw", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, watcher_join(&self->ch[0], "b", SHMIPC_ROLE_READER, 0));
	SAYS_NOW("appeared a/raw");
	SILENT();
	EXPECT_STREQ("appeared b", watcher_say_now(w));
	EXPECT_STREQ("joined b R1.1", watcher_say_now(w));
	EXPECT_STREQ("EAGAIN", watcher_say_now(w));
	let_go(&self->seg[0]);
	SAYS_NOW("gone a/raw");
	/* A name that comes back as another kind. */
	ASSERT_EQ(0, watcher_make(&self->seg[0], "x", SHMIPC_KIND_RAW, SHMIPC_PERSIST));
	EXPECT_STREQ("EAGAIN", watcher_say_now(w));
	EXPECT_EQ(0, shmipc_segment_unlink("x"));
	ASSERT_EQ(0, watcher_make(&self->seg[1], "x", SHMIPC_KIND_BCAST, 0));
	EXPECT_STREQ("appeared x", watcher_say_now(w));
	shmipc_watch_close(w);
}

TEST_F(watch, a_name_removed_and_created_again_goes_and_appears)
{
	uint8_t id[16];
	int i;

	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	SAYS_NOW("appeared a");
	for (i = 1; i < 20; i++) {
		memcpy(id, watcher_last.id, sizeof(id));
		let_go(&self->seg[0]);
		ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
		SAYS_NOW("gone a");
		EXPECT_EQ(0, memcmp(id, watcher_last.id, sizeof(id)));
		SAYS_NOW("appeared a");
		EXPECT_NE(0, memcmp(id, watcher_last.id, sizeof(id)));
		SILENT();
	}
	/* A name that appears and goes between two scans is not reported. */
	ASSERT_EQ(0, watcher_make(&self->seg[1], "b", SHMIPC_KIND_RAW, 0));
	let_go(&self->seg[1]);
	SILENT();
}

TEST_F(watch, ends_join_and_leave)
{
	char comm[16] = "";

	(void)prctl(PR_GET_NAME, comm);
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, 0));
	SAYS_NOW("appeared t");
	SAYS_NOW("joined t P0.1");
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, watcher_last.end.state);
	EXPECT_EQ((uint32_t)getpid(), watcher_last.end.pid);
	EXPECT_STREQ(comm, watcher_last.end.comm);
	EXPECT_NE(0, watcher_last.end.since_ns);
	EXPECT_EQ(SHMIPC_KIND_BCAST, watcher_last.kind);
	SILENT();
	ASSERT_EQ(0, watcher_join(&self->ch[1], "t", SHMIPC_ROLE_READER, 0));
	ASSERT_EQ(0, watcher_join(&self->ch[2], "t", SHMIPC_ROLE_READER, 0));
	SAYS_NOW("joined t R1.1");
	SAYS_NOW("joined t R2.1");
	leave(&self->ch[1]);
	SAYS_NOW("left t R1.1");
	EXPECT_EQ(SHMIPC_PEER_LEFT, watcher_last.end.state);
	EXPECT_EQ((uint32_t)getpid(), watcher_last.end.pid);
	leave(&self->ch[0]);
	SAYS_NOW("left t P0.1");
	SILENT();
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, 0));
	SAYS_NOW("joined t P0.2");
	SILENT();
}

/* The segment goes with its ends; the watch still has the memory that shows how they went. */
TEST_F(watch, the_last_end_is_gone_before_its_segment)
{
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared t");
	SAYS_NOW("joined t P0.1");
	leave(&self->ch[0]);
	/* A segment of the device is not held open, so it is not known there. */
	SAYS_NOW(env_on_dev() ? "lost t P0.1" : "left t P0.1");
	SAYS_NOW("gone t");
	SILENT();
	/* A name that is removed while they are attached. */
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_READER, 0));
	SAYS_NOW("appeared t");
	SAYS_NOW("joined t R1.1");
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
	SAYS_NOW("lost t R1.1");
	SAYS_NOW("gone t");
	SILENT();
}

TEST_F(watch, generations_between_two_scans_are_distinguished)
{
	int i;

	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, SHMIPC_PERSIST));
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, SHMIPC_PERSIST));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared t");
	SAYS_NOW("joined t P0.1");
	/* One end leaves and another joins. */
	leave(&self->ch[0]);
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, SHMIPC_PERSIST));
	SAYS_NOW("lost t P0.1");
	SAYS_NOW("joined t P0.2");
	SILENT();
	/* Some join and leave unnoticed, then one stays. */
	for (i = 0; i < 4; i++) {
		leave(&self->ch[0]);
		ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, SHMIPC_PERSIST));
	}
	SAYS_NOW("lost t P0.2");
	SAYS_NOW("joined t P0.6 +3");
	leave(&self->ch[0]);
	SAYS_NOW("left t P0.6");
	/* All have gone: the last one is reported completely. */
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, SHMIPC_PERSIST));
		leave(&self->ch[0]);
	}
	SAYS_NOW("joined t P0.8 +1");
	SAYS_NOW("left t P0.8");
	SILENT();
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
	SAYS_NOW("gone t");
}

static int reader(struct other *me, void *arg)
{
	struct shmipc_channel *ch;

	CHECK(watcher_join(&ch, arg, SHMIPC_ROLE_READER, SHMIPC_PERSIST) == 0);
	tell(me, 1);
	(void)hear(me);
	return 0;	/* without closing */
}

TEST_F(watch, killed_processes_are_reported_as_dead)
{
	struct other o;

	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, SHMIPC_PERSIST));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared t");
	ASSERT_EQ(0, other_start(&o, 0, reader, "t"));
	ASSERT_EQ(1, hear(&o));
	SAYS_NOW("joined t R1.1");
	EXPECT_EQ((uint32_t)o.pid, watcher_last.end.pid);
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	SAYS_NOW("died t R1.1");
	EXPECT_EQ(SHMIPC_PEER_DIED, watcher_last.end.state);
	EXPECT_EQ((uint32_t)o.pid, watcher_last.end.pid);
	SILENT();
	ASSERT_EQ(0, other_start(&o, 0, reader, "t"));
	ASSERT_EQ(1, hear(&o));
	SAYS_NOW("joined t R1.2");
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	SAYS_NOW("died t R1.2");
	SILENT();
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
	SAYS_NOW("gone t");
}

/* Ends that were gone before the watch began are not reported. */
TEST_F(watch, ends_gone_before_the_watch_are_not_reported)
{
	struct other o;

	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, SHMIPC_PERSIST));
	ASSERT_EQ(0, other_start(&o, 0, reader, "t"));
	ASSERT_EQ(1, hear(&o));
	(void)other_kill(&o);
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, SHMIPC_PERSIST));
	leave(&self->ch[0]);
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS_NOW("appeared t");
	SILENT();
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_PRODUCER, SHMIPC_PERSIST));
	SAYS_NOW("joined t P0.2");
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
}

static int polls(struct shmipc_watch *w, int timeout_ms)
{
	struct pollfd p = { .fd = shmipc_watch_fd(w), .events = POLLIN };

	return poll(&p, 1, timeout_ms);
}

TEST_F(watch, the_descriptor_is_readable_when_events_are_pending)
{
	ASSERT_EQ(0, watcher_make(&self->seg[0], "a", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, watcher_make(&self->seg[1], "b", SHMIPC_KIND_RAW, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	/* Events are pending: readable until the last one is fetched. */
	EXPECT_EQ(1, polls(self->w, 30000));
	SAYS("appeared a");
	EXPECT_EQ(1, polls(self->w, 30000));
	SAYS("appeared b");
	SILENT();
	EXPECT_EQ(0, polls(self->w, 0));
	let_go(&self->seg[0]);
	if (env_on_dev())	/* the kernel does not report names */
		shmipc_watch_set_tick(self->w, 1);
	EXPECT_EQ(1, polls(self->w, 30000));
	SAYS("gone a");
}

TEST_F(watch, ends_make_the_descriptor_readable_at_a_tick)
{
	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	SAYS("appeared t");
	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_READER, 0));
	do {	/* a tick may find nothing */
		ASSERT_EQ(1, polls(self->w, 30000));
	} while (!strcmp(watcher_say_until(self->w, 0), "EAGAIN"));
	EXPECT_EQ(SHMIPC_EVENT_JOINED, watcher_last.type);
}

static int late_maker(struct other *me, void *arg)
{
	struct shmipc_channel *ch;

	(void)arg;
	while (asleep_in(getppid()) != SYS_ppoll && !on_qemu())
		(void)sched_yield();
	CHECK(watcher_join(&ch, "late", SHMIPC_ROLE_READER, 0) == 0);
	(void)hear(me);
	shmipc_channel_close(ch);
	return 0;
}

TEST_F(watch, next_sleeps_until_something_happens)
{
	struct other o;

	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	ASSERT_EQ(0, other_start(&o, 0, late_maker, NULL));
	SAYS("appeared late");
	SAYS("joined late R1.1");
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	SAYS(env_on_dev() ? "lost late R1.1" : "left late R1.1");
	SAYS("gone late");
}

TEST_F(watch, deadlines_end_the_wait)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e), .type = 77 };

	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	EXPECT_EQ(-EAGAIN, shmipc_watch_next(self->w, &e, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_watch_next(self->w, &e, 1));
	EXPECT_EQ(-ETIMEDOUT, shmipc_watch_next(self->w, &e, shmipc_deadline_in(2000000)));
	EXPECT_EQ(77, e.type);
	e.struct_bytes--;
	EXPECT_EQ(-EINVAL, shmipc_watch_next(self->w, &e, 0));
}

static void on_alarm(int sig)
{
	(void)sig;
}

TEST_F(watch, a_signal_handler_ends_the_wait)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval often = { { 0, 5000 }, { 0, 5000 } }, never = { { 0, 0 }, { 0, 0 } };

	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 0));
	(void)sigaction(SIGALRM, &sa, NULL);
	(void)setitimer(ITIMER_REAL, &often, NULL);	/* repeated, in case it comes too early */
	SAYS("EINTR");
	(void)setitimer(ITIMER_REAL, &never, NULL);
}

TEST_F(watch, wrong_arguments_are_reported)
{
	ASSERT_EQ(-EINVAL, shmipc_watch_open(&self->w, "a//b", SHMIPC_KIND_ANY, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "empty part"));
	ASSERT_EQ(-EINVAL, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, 4));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "0x4"));
	EXPECT_EQ(NULL, self->w);
	shmipc_watch_close(NULL);
}

static int in_child(struct other *me, void *arg)
{
	struct shmipc_event e = { .struct_bytes = sizeof(e) };
	struct shmipc_watch *w = arg;

	(void)me;
	CHECK(shmipc_watch_next(w, &e, 0) == -EINVAL);
	shmipc_watch_close(w);
	return 0;
}

TEST_F(watch, a_child_cannot_use_it_and_does_no_harm)
{
	struct other o;

	ASSERT_EQ(0, watcher_join(&self->ch[0], "t", SHMIPC_ROLE_READER, 0));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	ASSERT_EQ(0, other_start(&o, 0, in_child, self->w));
	EXPECT_EQ(0, other_end(&o));
	SAYS_NOW("appeared t");
	SAYS_NOW("joined t R1.1");
	leave(&self->ch[0]);
	SAYS_NOW(env_on_dev() ? "lost t R1.1" : "left t R1.1");
	SAYS_NOW("gone t");
}

/* Watching takes no end and no lock, and keeps nothing alive: the last peer removes the name. */
TEST_F(watch, a_watch_keeps_nothing_alive)
{
	struct shmipc_segment_stat st = { .info.struct_bytes = sizeof(st.info) };

	ASSERT_EQ(0, watcher_make(&self->seg[0], "t", SHMIPC_KIND_BCAST, SHMIPC_PERSIST));
	ASSERT_EQ(0, shmipc_watch_open(&self->w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
	let_go(&self->seg[0]);
	ASSERT_EQ(0, shmipc_segment_look("t", &st));
	EXPECT_EQ(0, st.in_use);
	EXPECT_EQ(0, shmipc_segment_unlink("t"));
	SAYS_NOW("appeared t");
	SAYS_NOW("gone t");
	ASSERT_EQ(0, watcher_make(&self->seg[0], "u", SHMIPC_KIND_BCAST, 0));
	SAYS_NOW("appeared u");
	let_go(&self->seg[0]);
	EXPECT_EQ(-ENOENT, shmipc_segment_look("u", &st));
	SAYS_NOW("gone u");
}

TEST_HARNESS_MAIN
