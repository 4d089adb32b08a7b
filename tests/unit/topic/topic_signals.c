// SPDX-License-Identifier: MIT
/* topic: a program whose timer interrupts it 2,000 times a second */
#include <signal.h>
#include <sys/time.h>

#include "topic_ends.h"

#define TICK_US		500
#define WAIT_NS		UINT64_C(60000000)
#define LATE_NS		UINT64_C(20000000000)	/* a busy machine may be late; a hang is later */
/* This sanitizer takes seconds for each copy of a large message. */
#ifdef SHMIPC_TSAN
#define BIG		(6u << 20)
#else
#define BIG		(24u << 20)
#endif
#define MESSAGES	4000

static volatile sig_atomic_t shots;

static void on_alarm(int sig)
{
	(void)sig;
	shots++;
}

static void timer(int us, int flags)
{
	const struct itimerval it = { { 0, us }, { 0, us } };
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };

	(void)sigaction(SIGALRM, &sa, NULL);
	(void)setitimer(ITIMER_REAL, &it, NULL);
}

FIXTURE(topic_signals) {
	struct env env;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub, *all;
	struct shmipc_watch *watch;
};

FIXTURE_VARIANT(topic_signals) {
	int flags;
	uint64_t spin_ns;
	int files;		/* not on the device, whatever the suite runs on */
};

FIXTURE_VARIANT_ADD(topic_signals, restart) { SA_RESTART, 0, 0 };
FIXTURE_VARIANT_ADD(topic_signals, restart_never_spin) { SA_RESTART, SHMIPC_SPIN_NEVER, 1 };
FIXTURE_VARIANT_ADD(topic_signals, no_restart) { 0, 0, 1 };
FIXTURE_VARIANT_ADD(topic_signals, no_restart_never_spin) { 0, SHMIPC_SPIN_NEVER, 0 };

FIXTURE_SETUP(topic_signals)
{
	if (variant->files)
		env_set_up_files(&self->env);
	else
		env_set_up(&self->env);
	shots = 0;
	timer(TICK_US, variant->flags);
}

FIXTURE_TEARDOWN(topic_signals)
{
	timer(0, SA_RESTART);
	shmipc_watch_close(self->watch);
	shmipc_sub_close(self->all);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static int recv_until(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	char buf[64];
	size_t len;

	(void)pub;
	(void)w;
	return shmipc_sub_recv(sub, buf, sizeof(buf), &len, end);
}

static int take_message(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	struct shmipc_msg m;

	(void)pub;
	(void)w;
	return shmipc_sub_take(sub, &m, end);
}

static int wait_message(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	(void)pub;
	(void)w;
	return shmipc_sub_wait(sub, end);
}

static int wait_any(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	size_t first;

	(void)pub;
	(void)w;
	return shmipc_sub_wait_any(&sub, 1, &first, end);
}

static int send_one(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	(void)sub;
	(void)w;
	return put_until(pub, 0, end);
}

static int loan_all(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	struct shmipc_loan loan;
	int err = shmipc_pub_loan(pub, 4000, NULL, &loan, end);

	(void)sub;
	(void)w;
	if (!err)
		err = shmipc_pub_publish(pub, &loan, 4000, end);
	return err;
}

static int next_event(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end)
{
	struct shmipc_event e = SHMIPC_EVENT();

	(void)pub;
	(void)sub;
	return shmipc_watch_next(w, &e, end);
}

/* Each gets -EINTR, if that is what the handler asks for, and at the end -ETIMEDOUT in time. */
TEST_F(topic_signals, deadlines_are_kept)
{
	static const struct {
		const char *name;
		int (*fn)(struct shmipc_pub *pub, struct shmipc_sub *sub, struct shmipc_watch *w, uint64_t end);
		int is_eintr;		/* with SA_RESTART, too */
		int sends;
	} calls[] = {
		{ "sub_recv", recv_until, 0, 0 }, { "sub_take", take_message, 0, 0 },
		{ "sub_wait", wait_message, 0, 0 }, { "sub_wait_any", wait_any, 0, 0 },
		{ "pub_send", send_one, 0, 1 }, { "pub_publish", loan_all, 0, 1 },
		{ "watch_next", next_event, 1, 0 },
	};
	struct shmipc_topic_opts t = topic_small();
	struct shmipc_sub_opts o = sub_opts(SHMIPC_START_NEW, 0);
	struct shmipc_event e = SHMIPC_EVENT();
	int err, interrupted;
	uint64_t end, now;
	size_t i;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, &SHMIPC_PUB_OPTS(.spin_ns = variant->spin_ns)));
	ASSERT_EQ(0, sub_open(&self->all, NULL, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	while (!put(self->pub, 0))
		continue;
	o.spin_ns = variant->spin_ns;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &o));
	ASSERT_EQ(0, shmipc_watch_open(&self->watch, NULL, SHMIPC_KIND_ANY, 0));
	while (!shmipc_watch_next(self->watch, &e, 0))
		continue;
	for (i = 0; i < ARRAY_SIZE(calls); i++) {
		end = shmipc_deadline_in(WAIT_NS);
		interrupted = 0;
		while ((err = calls[i].fn(self->pub, self->sub, self->watch, end)) == -EINTR)
			interrupted++;
		now = now_ns();
		EXPECT_EQ(-ETIMEDOUT, err) TH_LOG("%s", calls[i].name);
		EXPECT_LE(end, now) TH_LOG("%s: early", calls[i].name);
		EXPECT_GT(end + LATE_NS, now) TH_LOG("%s: %.3f s late", calls[i].name, (double)(now - end) / 1e9);
		if (variant->flags && !calls[i].is_eintr)
			EXPECT_EQ(0, interrupted) TH_LOG("%s", calls[i].name);
	}
	EXPECT_LE(5, (int)shots);
}

/* On a kernel where a signal undoes what a call has got so far, it must not begin anew forever. */
TEST_F_TIMEOUT(topic_signals, memory_is_had, 200)
{
	const struct shmipc_segment_opts raw = { .struct_bytes = sizeof(raw), .kind = SHMIPC_KIND_RAW,
						 .flags = SHMIPC_CREATE, .bytes = BIG };
	struct shmipc_topic_opts t = { .struct_bytes = sizeof(t), .pool_bytes = 2 * BIG };
	struct shmipc_segment *seg;
	char *buf = calloc(1, BIG);
	uint64_t bytes;
	size_t len;

	if (variant->spin_ns && !variant->files)
		SKIP(return, "the other variants are the same");
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, shmipc_segment_open(&seg, "raw", &raw));
	shmipc_segment_close(seg);
	ASSERT_EQ(0, shmipc_segment_anon(&seg, &raw));
	shmipc_segment_close(seg);
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL));
	ASSERT_EQ(0, sub_open(&self->sub, NULL, SHMIPC_START_NEW, 0));
	ASSERT_EQ(0, shmipc_pub_send(self->pub, buf, BIG, 0)) TH_LOG("%s", shmipc_error_text());
	ASSERT_EQ(0, shmipc_sub_recv(self->sub, buf, BIG, &len, 0));
	EXPECT_EQ(BIG, len);
	EXPECT_EQ(0, shmipc_pub_trim(self->pub, 0, &bytes, SOON));
	EXPECT_LE(BIG / 2, bytes) TH_LOG("%llu", (unsigned long long)bytes);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	self->sub = NULL;
	self->pub = NULL;
	t.flags = SHMIPC_POPULATE;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &t, NULL)) TH_LOG("%s", shmipc_error_text());
	free(buf);
}

static int publish(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t n;
	int err;

	(void)me;
	timer(TICK_US, *(const int *)arg);
	CHECK(!shmipc_pub_open(&pub, TOPIC, NULL, NULL));
	for (n = 0; n < MESSAGES; n++) {
		while ((err = put_until(pub, n, SOON)) == -EINTR)
			continue;
		CHECK(!err);
	}
	shmipc_pub_close(pub);
	return 0;
}

TEST_F(topic_signals, nothing_is_lost)
{
	struct shmipc_topic_opts t = topic_small();
	int flags = variant->flags;
	struct other o;
	int64_t n;
	uint64_t i;

	ASSERT_EQ(0, sub_open(&self->sub, &t, SHMIPC_START_NEW, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, other_start(&o, 0, publish, &flags));
	for (i = 0; i < MESSAGES; i++) {
		while ((n = get_until(self->sub, SOON)) == -EINTR)
			continue;
		ASSERT_EQ((int64_t)i, n);
	}
	EXPECT_EQ(0, other_end(&o));
}

TEST_HARNESS_MAIN
