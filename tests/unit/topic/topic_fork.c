// SPDX-License-Identifier: MIT
/*
 * topic: fork() in one thread, while others of the process grow and trim a topic, make huge
 * pages, wait for a publisher in a provisional topic, watch, and have a callback called
 */
#include "topic_ends.h"

#define FORKS	200
#define BIG	(3u << 20)	/* the topic grows by blocks of 2 MiB */

static uint32_t stop;
static uint64_t rounds[3], calls;

/* What a child finds: it may use none of it. */
static struct shmipc_pub *kept_pub;
static struct shmipc_sub *kept_sub, *thread_sub;
static struct shmipc_watch *kept_watch;

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
	(void)sub;
	(void)msg;
	(void)err;
	(void)arg;
	shmipc_add_relaxed(&calls, UINT64_C(1));
}

static int grow_and_trim(struct other *me, void *arg)
{
	struct shmipc_topic_opts t = { .struct_bytes = sizeof(t), .pool_bytes = 16u << 20 };
	char *buf = calloc(1, BIG);
	struct shmipc_pub *pub;
	uint64_t bytes;

	(void)me;
	(void)arg;
	CHECK(buf);
	while (!shmipc_load_relaxed(&stop)) {
		CHECK(!shmipc_pub_open(&pub, "grows", &t, NULL));
		CHECK(!shmipc_pub_send(pub, buf, BIG, 0));
		CHECK(!shmipc_pub_send(pub, buf, BIG, 0));
		CHECK(!shmipc_pub_trim(pub, 0, &bytes, 0));
		shmipc_pub_close(pub);
		shmipc_add_relaxed(&rounds[0], UINT64_C(1));
	}
	free(buf);
	return 0;
}

/* A subscriber that came first moves to what the publisher makes. */
static int wait_and_move(struct other *me, void *arg)
{
	struct shmipc_topic_opts t = { .struct_bytes = sizeof(t), .history = 20 };
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;

	(void)me;
	(void)arg;
	while (!shmipc_load_relaxed(&stop)) {
		CHECK(!shmipc_sub_open(&sub, "moves", NULL, NULL));
		CHECK(!shmipc_pub_open(&pub, "moves", &t, NULL));
		CHECK(!put(pub, 7) && get(sub) == 7);
		shmipc_pub_close(pub);
		shmipc_sub_close(sub);
		shmipc_add_relaxed(&rounds[1], UINT64_C(1));
	}
	return 0;
}

static int watch_it(struct other *me, void *arg)
{
	struct shmipc_event e = SHMIPC_EVENT();
	struct shmipc_watch *w;
	int i;

	(void)me;
	(void)arg;
	while (!shmipc_load_relaxed(&stop)) {
		CHECK(!shmipc_watch_open(&w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS));
		for (i = 0; i < 20; i++)
			(void)shmipc_watch_next(w, &e, shmipc_deadline_in(1000000));
		shmipc_watch_close(w);
		shmipc_add_relaxed(&rounds[2], UINT64_C(1));
	}
	return 0;
}

/* In the child: what is inherited is dead, what is opened anew works, and both can be closed. */
static int child(int number)
{
	struct shmipc_event e = SHMIPC_EVENT();
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;

	(void)alarm(60);
	CHECK(put(kept_pub, 1) == -EINVAL && get(kept_sub) == -EINVAL);
	CHECK(shmipc_sub_start(kept_sub, on_message, NULL) == -EINVAL);
	CHECK(shmipc_watch_next(kept_watch, &e, 0) == -EINVAL);
	if (number % 4 < 2) {
		shmipc_watch_close(kept_watch);
		shmipc_sub_close(thread_sub);	/* its thread is not here */
		shmipc_sub_close(kept_sub);
		shmipc_pub_close(kept_pub);
	}
	if (number % 8 < 4) {
		CHECK(!shmipc_sub_open(&sub, "anew", NULL, NULL));
		CHECK(!shmipc_pub_open(&pub, "anew", NULL, NULL));
		CHECK(!put(pub, 3));
		shmipc_sub_close(sub);
		shmipc_pub_close(pub);
	}
	return 0;
}

FIXTURE(topic_fork) {
	struct env env;
};

FIXTURE_SETUP(topic_fork)
{
	env_set_up(&self->env);
	stop = 0;
}

FIXTURE_TEARDOWN(topic_fork)
{
	env_tear_down(&self->env);
}

TEST_F(topic_fork, children_neither_hang_nor_disturb_their_parent)
{
	struct other others[3];
	int status, i;
	pid_t pid;

	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "a sanitizer's allocator may be locked in the child");
	ASSERT_EQ(0, shmipc_pub_open(&kept_pub, TOPIC, NULL, NULL));
	ASSERT_EQ(0, sub_open(&kept_sub, NULL, SHMIPC_START_NEW, 0));
	ASSERT_EQ(0, sub_open(&thread_sub, NULL, SHMIPC_START_NEW, 0));
	ASSERT_EQ(0, shmipc_watch_open(&kept_watch, NULL, SHMIPC_KIND_ANY, 0));
	ASSERT_EQ(0, shmipc_sub_start(thread_sub, on_message, NULL));
	ASSERT_EQ(0, other_start(&others[0], 1, grow_and_trim, NULL));
	ASSERT_EQ(0, other_start(&others[1], 1, wait_and_move, NULL));
	ASSERT_EQ(0, other_start(&others[2], 1, watch_it, NULL));
	for (i = 0; i < FORKS; i++) {
		ASSERT_EQ(0, put(kept_pub, (uint64_t)i));
		(void)fflush(NULL);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid && i % 2)
			_exit(child(i));
		if (!pid)
			exit(child(i));	/* with what the library does at the end of a program */
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status) TH_LOG("child %d: status %#x", i, status);
		ASSERT_EQ(i, (int)get(kept_sub));
	}
	shmipc_store_relaxed(&stop, 1u);
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, other_end(&others[i]));
	shmipc_sub_close(thread_sub);
	shmipc_watch_close(kept_watch);
	shmipc_sub_close(kept_sub);
	shmipc_pub_close(kept_pub);
	TH_LOG("beside %d forks: grown %llu times, moved %llu times, watched %llu times, %llu calls", FORKS,
	       (unsigned long long)rounds[0], (unsigned long long)rounds[1], (unsigned long long)rounds[2],
	       (unsigned long long)calls);
	for (i = 0; i < 3; i++)
		EXPECT_LE(3, (int)rounds[i]);
	EXPECT_LE(FORKS / 2, (int)calls);
}

TEST_HARNESS_MAIN
