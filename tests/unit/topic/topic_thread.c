// SPDX-License-Identifier: MIT
/* topic_thread: a callback on a thread of the library, and how it ends */
#include "topic_ends.h"

FIXTURE(topic_thread) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	uint64_t calls;
	uint64_t sum;
	uint64_t stop_at;	/* calls; then the function stops itself */
	uint64_t lost;
	int last_err;
	int inside;
	int wait_fd;		/* the function reads a byte from here each time */
	bool wrong;
};

FIXTURE_SETUP(topic_thread)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.evict_ns = 1000000;
	self->wait_fd = -1;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL))
		TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
}

FIXTURE_TEARDOWN(topic_thread)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static uint64_t calls(FIXTURE_DATA(topic_thread) *self)
{
	return __atomic_load_n(&self->calls, __ATOMIC_ACQUIRE);
}

static void until_calls(FIXTURE_DATA(topic_thread) *self, uint64_t n)
{
	while (calls(self) < n)
		(void)sched_yield();
}

static void until_inside(FIXTURE_DATA(topic_thread) *self)
{
	while (!__atomic_load_n(&self->inside, __ATOMIC_ACQUIRE))
		(void)sched_yield();
}

static void fn(struct shmipc_sub *sub, const struct shmipc_msg *m, int err, void *arg)
{
	FIXTURE_DATA(topic_thread) *self = arg;
	uint64_t from, to, n = __atomic_load_n(&self->calls, __ATOMIC_RELAXED);
	char c;

	if (__atomic_exchange_n(&self->inside, 1, __ATOMIC_ACQ_REL))
		self->wrong = true;
	if (self->wait_fd >= 0 && read(self->wait_fd, &c, 1) != 1)
		self->wrong = true;
	if (err == -ESTALE)
		__atomic_fetch_add(&self->lost, shmipc_sub_lost(sub, &from, &to), __ATOMIC_RELEASE);
	if (err) {
		self->last_err = err;
		self->wrong |= m != NULL;
	} else {
		self->sum += *(const uint64_t *)m->ptr;
	}
	if (self->stop_at && n + 1 == self->stop_at)
		shmipc_sub_stop(sub);
	__atomic_store_n(&self->inside, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&self->calls, n + 1, __ATOMIC_RELEASE);
}

static void close_in_it(struct shmipc_sub *sub, const struct shmipc_msg *m, int err, void *arg)
{
	FIXTURE_DATA(topic_thread) *self = arg;

	shmipc_sub_close(sub);
	/* The message has not been released yet. */
	self->sum += err ? 0 : *(const uint64_t *)m->ptr;
	__atomic_fetch_add(&self->calls, 1, __ATOMIC_RELEASE);
}

static uint32_t subscribers(void)
{
	struct shmipc_peer_info peer[4];
	struct shmipc_segment_stat st = { .peer = peer, .peer_cap = ARRAY_SIZE(peer) };
	uint32_t i, n = 0;

	if (shmipc_segment_look(TOPIC, &st))
		return 99;
	for (i = 0; i < st.npeers && i < ARRAY_SIZE(peer); i++)
		n += peer[i].role == SHMIPC_ROLE_READER && peer[i].state == SHMIPC_PEER_ATTACHED;
	return n;
}

/* On the device and on mem: the slot is free, and the thread is gone. */
TEST_F(topic_thread, may_close_its_subscriber_itself)
{
	int threads;

	ASSERT_EQ(0, shmipc_sub_start(self->sub, close_in_it, self));
	threads = env_count("/proc/self/task");
	self->sub = NULL;
	ASSERT_EQ(0, put(self->pub, 42));
	ASSERT_EQ(0, put(self->pub, 43));
	until_calls(self, 1);
	while (env_count("/proc/self/task") >= threads)
		(void)sched_yield();
	EXPECT_EQ(1, calls(self));
	EXPECT_EQ(42, self->sum);
	EXPECT_EQ(0, subscribers());
	EXPECT_EQ(0, put_range(self->pub, 0, 200)) TH_LOG("the subscriber has gone");
}

TEST_F(topic_thread, is_called_for_each_message)
{
	uint64_t i;

	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	EXPECT_EQ(-EBUSY, shmipc_sub_start(self->sub, fn, self));
	for (i = 10; i < 2000; i++) {
		ASSERT_EQ(0, put_until(self->pub, i, SOON));
	}
	until_calls(self, 2000);
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(2000, calls(self));
	EXPECT_EQ(1999 * 1000, self->sum);
	EXPECT_FALSE(self->wrong);
}

TEST_F(topic_thread, no_call_after_stop_has_returned)
{
	uint64_t n;
	int i, k;

	for (k = 0; k < 200; k++) {
		ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
		for (i = 0; i < k % 5; i++) {
			ASSERT_EQ(0, put_until(self->pub, 1, SOON));
		}
		shmipc_sub_stop(self->sub);
		n = calls(self);
		EXPECT_EQ(0, self->inside);
		ASSERT_EQ(0, put_until(self->pub, 1, SOON));
		ASSERT_EQ(n, calls(self));
		/* The subscriber can be used directly again, and nothing was lost. */
		while (get(self->sub) == 1)
			n++;
		__atomic_store_n(&self->calls, n, __ATOMIC_RELEASE);
	}
	EXPECT_EQ(n, pub_stat(self->pub).sent);
	shmipc_sub_stop(self->sub);	/* without a thread: no effect */
	EXPECT_EQ(-EINVAL, shmipc_sub_start(self->sub, NULL, NULL));
}

TEST_F(topic_thread, stopped_while_it_sleeps)
{
	int k;

	for (k = 0; k < 20; k++) {
		ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
		if (k % 2) {
			ASSERT_EQ(0, put(self->pub, 0));
			until_calls(self, (uint64_t)k / 2 + 1);
		}
		shmipc_sub_stop(self->sub);
	}
	EXPECT_EQ(10, calls(self));
}

TEST_F(topic_thread, stops_itself)
{
	self->stop_at = 3;
	ASSERT_EQ(0, put_range(self->pub, 0, 10));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_calls(self, 3);
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(3, calls(self)) TH_LOG("not once more");
	EXPECT_EQ(3, get(self->sub)) TH_LOG("the messages that it did not get are kept");
	/* Start it again. */
	self->stop_at = 5;
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_calls(self, 5);
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(6, get(self->sub));
}

TEST_F(topic_thread, closed_after_it_stopped_itself)
{
	self->stop_at = 1;
	ASSERT_EQ(0, put(self->pub, 0));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_calls(self, 1);
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	EXPECT_EQ(1, calls(self));
}

/* Close is called while the function runs, and waits for it. */
static int lets_it_go_on(struct other *me, void *arg)
{
	int fd;

	(void)arg;
	CHECK(hear(me) == 1);
	fd = (int)hear(me);
	CHECK(!until_asleep(getpid()));	/* the one that closes waits for the thread */
	CHECK(write(fd, "c", 1) == 1);
	return 0;
}

TEST_F(topic_thread, closed_while_the_function_runs)
{
	int p[2];
	struct other o;

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	self->wait_fd = p[0];
	ASSERT_EQ(0, put_range(self->pub, 0, 5));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_inside(self);
	ASSERT_EQ(0, other_start(&o, 1, lets_it_go_on, self));
	tell(&o, 1);
	tell(&o, (uint64_t)p[1]);
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	EXPECT_EQ(1, calls(self)) TH_LOG("it had returned, and was not called again");
	EXPECT_EQ(0, self->inside);
	EXPECT_EQ(0, other_end(&o));
	close(p[0]);
	close(p[1]);
}

static int stops(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_thread) *self = arg;

	tell(me, 1);
	shmipc_sub_stop(self->sub);
	return 0;
}

/* Two threads and the function itself stop it at once: all calls return. */
TEST_F(topic_thread, stopped_by_several_at_once)
{
	struct other o[2];
	int k, i;

	for (k = 0; k < 30; k++) {
		self->stop_at = calls(self) + 1 + (uint64_t)k % 3;
		ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
		for (i = 0; i < 3; i++) {
			ASSERT_EQ(0, put_until(self->pub, 1, SOON));
		}
		for (i = 0; i < 2; i++) {
			ASSERT_EQ(0, other_start(&o[i], 1, stops, self));
			ASSERT_EQ(1, hear(&o[i]));
		}
		shmipc_sub_stop(self->sub);
		for (i = 0; i < 2; i++) {
			EXPECT_EQ(0, other_end(&o[i]));
		}
		while (get(self->sub) >= 0)
			continue;
	}
	EXPECT_FALSE(self->wrong);
}

/* The function is called once with the error; stop is still needed, and returns. */
TEST_F(topic_thread, reports_that_it_was_cut_off)
{
	int p[2], i;

	shmipc_sub_close(self->sub);
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_EVICT));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	self->wait_fd = p[0];
	ASSERT_EQ(0, put(self->pub, 1));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_inside(self);
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, put_until(self->pub, 1, SOON));
	}
	ASSERT_EQ(4, write(p[1], "cccc", 4));
	until_calls(self, 2);
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(2, calls(self));
	EXPECT_EQ(-ECONNRESET, self->last_err);
	EXPECT_FALSE(self->wrong);
	close(p[0]);
	close(p[1]);
}

TEST_F(topic_thread, reports_losses_and_continues)
{
	int p[2], i;

	shmipc_sub_close(self->sub);
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSY));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	self->wait_fd = p[0];
	ASSERT_EQ(0, put(self->pub, 1));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_inside(self);
	ASSERT_EQ(0, put_range(self->pub, 1, 300));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(1, write(p[1], "c", 1));
	}
	while (calls(self) + __atomic_load_n(&self->lost, __ATOMIC_ACQUIRE) < 301)
		(void)sched_yield();
	shmipc_sub_stop(self->sub);
	EXPECT_EQ(-ESTALE, self->last_err);
	EXPECT_EQ(sub_stat(self->sub).lost, self->lost);
	EXPECT_EQ(300, sub_stat(self->sub).received + self->lost);
	EXPECT_EQ(calls(self), sub_stat(self->sub).received + 1);
	close(p[0]);
	close(p[1]);
}

/* Its messages are in the pool, and are released after each call. */
static void big(struct shmipc_sub *sub, const struct shmipc_msg *m, int err, void *arg)
{
	FIXTURE_DATA(topic_thread) *self = arg;

	(void)sub;
	self->wrong |= err || !msg_is(m, calls(self), 5000);
	__atomic_fetch_add(&self->calls, 1, __ATOMIC_RELEASE);
}

TEST_F(topic_thread, holds_one_message_at_a_time)
{
	uint64_t i;

	ASSERT_EQ(0, shmipc_sub_start(self->sub, big, self));
	for (i = 0; i < 500; i++) {
		unsigned char buf[5000];

		msg_fill(buf, sizeof(buf), SEED, i);
		ASSERT_EQ(0, shmipc_pub_send(self->pub, buf, sizeof(buf), SOON));
	}
	until_calls(self, 500);
	shmipc_sub_stop(self->sub);
	EXPECT_FALSE(self->wrong);
	EXPECT_EQ(0, shmipc_pool_count_held(log_of(self->pub)));
}

/* 1: the library's thread blocks signal @sig, 0: it does not; -1: there is no such thread. */
static int thread_blocks(int sig)
{
	char path[300], line[100], name[32];
	DIR *d = opendir("/proc/self/task");
	unsigned long long mask;
	struct dirent *e;
	int ret = -1;
	FILE *f;

	while (d && (e = readdir(d))) {
		(void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", e->d_name);
		f = fopen(path, "re");
		name[0] = 0;
		while (f && fgets(line, sizeof(line), f)) {
			(void)sscanf(line, "Name: %31s", name);
			if (!strcmp(name, "shmipc-sub") && sscanf(line, "SigBlk: %llx", &mask) == 1)
				ret = (int)(mask >> (sig - 1) & 1);
		}
		if (f)
			(void)fclose(f);
	}
	if (d)
		(void)closedir(d);
	return ret;
}

TEST_F(topic_thread, takes_no_signals)
{
	ASSERT_EQ(0, put(self->pub, 1));
	ASSERT_EQ(0, shmipc_sub_start(self->sub, fn, self));
	until_calls(self, 1);	/* it has its name by then */
	EXPECT_EQ(1, thread_blocks(SIGUSR1));
	EXPECT_EQ(1, thread_blocks(SIGTERM));
	shmipc_sub_stop(self->sub);
	/* It has been joined; the kernel may list it for a moment longer. */
	while (thread_blocks(SIGUSR1) >= 0)
		sched_yield();
}

TEST_HARNESS_MAIN
