// SPDX-License-Identifier: MIT
/* deadman: one process holds the role, until it releases it or dies */
#include "env.h"

#include "deadman/deadman.h"	/* of lib/ */

#define NAME	"plant/leader"
#define SOON	shmipc_deadline_in(UINT64_C(20000000000))	/* reached only by a failure */
#define LATE_NS	UINT64_C(20000000000)

FIXTURE(deadman) {
	struct env env;
	struct shmipc_deadman *d;
};

FIXTURE_SETUP(deadman)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_deadman_open(&self->d, NAME, NULL)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(deadman)
{
	shmipc_deadman_close(self->d);
	env_tear_down(&self->env);
}

static struct shmipc_deadman_info info_of(struct shmipc_deadman *d)
{
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();

	(void)shmipc_deadman_get_info(d, &i);
	return i;
}

/* It must come by a wake: what is found only because the deadline has passed is -ETIME. */
static int in_time(int ret, uint64_t deadline_ns)
{
	return !ret && now_ns() >= deadline_ns ? -ETIME : ret;
}

/* What a child does with the role. */
enum order { HOLD, HOLD_IN_A_THREAD, TAKE_LATER };

static void *take_in_thread(void *arg)
{
	return shmipc_deadman_take(arg, NULL, 0) ? arg : NULL;
}

static int holder(struct other *me, void *arg)
{
	enum order order = *(const enum order *)arg;
	struct shmipc_deadman *d;
	uint64_t what, end, term = 0;
	pthread_t t;
	void *bad;

	CHECK(!shmipc_deadman_open(&d, NAME, NULL));
	if (order == HOLD) {
		CHECK(!shmipc_deadman_take(d, &term, 0));
	} else if (order == HOLD_IN_A_THREAD) {
		CHECK(!pthread_create(&t, NULL, take_in_thread, d));
		CHECK(!pthread_join(t, &bad));
		CHECK(!bad);
	} else {
		tell(me, 1);
		end = SOON;
		CHECK(!in_time(shmipc_deadman_take(d, &term, end), end));
	}
	tell(me, 1 + term);
	what = hear(me);
	if (what == 1)
		CHECK(!shmipc_deadman_release(d));
	if (what == 2)
		execl("/bin/true", "true", NULL);
	shmipc_deadman_close(d);
	return what == UINT64_MAX;
}

TEST_F(deadman, one_at_a_time_holds_it)
{
	struct shmipc_deadman *other;
	uint64_t term = 0;

	ASSERT_EQ(0, shmipc_deadman_open(&other, NAME, NULL));
	EXPECT_EQ(0, shmipc_deadman_holds(self->d));
	EXPECT_EQ(0, shmipc_deadman_take(self->d, &term, 0));
	EXPECT_EQ(1u, term);
	EXPECT_EQ(1, shmipc_deadman_holds(self->d));
	EXPECT_EQ(-EAGAIN, shmipc_deadman_take(other, &term, 0));
	EXPECT_EQ(-EINVAL, shmipc_deadman_take(self->d, &term, 0)) TH_LOG("it has it already");
	EXPECT_EQ(-EINVAL, shmipc_deadman_release(other)) TH_LOG("it does not have it");
	EXPECT_EQ(0, shmipc_deadman_release(self->d));
	EXPECT_EQ(-EINVAL, shmipc_deadman_release(self->d));
	EXPECT_EQ(0, shmipc_deadman_holds(self->d));
	EXPECT_EQ(0, shmipc_deadman_take(other, &term, 0));
	EXPECT_EQ(2u, term);
	EXPECT_EQ(-EAGAIN, shmipc_deadman_take(self->d, NULL, 0));
	shmipc_deadman_close(other);
	EXPECT_EQ(0, shmipc_deadman_take(self->d, &term, 0)) TH_LOG("closing releases");
	EXPECT_EQ(3u, term);
}

TEST_F(deadman, what_others_see)
{
	struct shmipc_deadman_info i = info_of(self->d), look = SHMIPC_DEADMAN_INFO();
	char comm[16] = "";

	(void)prctl(PR_GET_NAME, comm);
	EXPECT_EQ(0u, i.term);
	EXPECT_EQ(0u, i.held);
	EXPECT_EQ(SHMIPC_DEADMAN_NOT_YET, (int)i.end);
	ASSERT_EQ(0, shmipc_deadman_take(self->d, NULL, 0));
	ASSERT_EQ(0, shmipc_deadman_look(NAME, &look)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(1u, look.term);
	EXPECT_EQ(1u, look.held);
	EXPECT_EQ((uint32_t)getpid(), look.pid);
	EXPECT_STREQ(comm, look.comm);
	EXPECT_NE(0u, look.since_ns);
	EXPECT_EQ(SHMIPC_DEADMAN_NOT_YET, (int)look.end);
	ASSERT_EQ(0, shmipc_deadman_release(self->d));
	ASSERT_EQ(0, shmipc_deadman_look(NAME, &look));
	EXPECT_EQ(1u, look.term);
	EXPECT_EQ(0u, look.held);
	EXPECT_EQ(SHMIPC_DEADMAN_RELEASED, (int)look.end);
	EXPECT_EQ(-ENOENT, shmipc_deadman_look("not/there", &look));
}

TEST_F(deadman, a_death_releases_it)
{
	enum order order[2] = { HOLD, HOLD_IN_A_THREAD };
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	uint64_t term, end;
	struct other o;
	int k;

	for (k = 0; k < 2; k++) {
		ASSERT_EQ(0, other_start(&o, 0, holder, &order[k]));
		ASSERT_NE(UINT64_MAX, hear(&o));
		EXPECT_EQ(-EAGAIN, shmipc_deadman_take(self->d, NULL, 0));
		EXPECT_EQ(0, shmipc_deadman_wait_taken(self->d, &i, 0));
		EXPECT_EQ((uint32_t)o.pid, i.pid);
		(void)kill(o.pid, SIGKILL);
		end = SOON;
		EXPECT_EQ(0, in_time(shmipc_deadman_wait_released(self->d, i.term, &i, end), end));
		EXPECT_EQ(SHMIPC_DEADMAN_DIED, (int)i.end);
		EXPECT_EQ((uint64_t)k * 2 + 1, i.term);
		end = SOON;
		EXPECT_EQ(0, in_time(shmipc_deadman_take(self->d, &term, end), end));
		EXPECT_EQ((uint64_t)k * 2 + 2, term);
		EXPECT_EQ(0, shmipc_deadman_release(self->d));
		(void)other_end(&o);
	}
	EXPECT_EQ(0, shmipc_deadman_wait_released(self->d, 1, &i, 0));
	EXPECT_EQ(SHMIPC_DEADMAN_DIED, (int)i.end) TH_LOG("how an earlier term ended is known");
	EXPECT_EQ(0, shmipc_deadman_wait_released(self->d, 2, &i, 0));
	EXPECT_EQ(SHMIPC_DEADMAN_RELEASED, (int)i.end);
}

TEST_F(deadman, exec_releases_it)
{
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	enum order order = HOLD;
	struct other o;
	uint64_t end;

	ASSERT_EQ(0, other_start(&o, 0, holder, &order));
	ASSERT_EQ(2u, hear(&o));
	tell(&o, 2);
	end = SOON;
	EXPECT_EQ(0, in_time(shmipc_deadman_wait_released(self->d, 0, &i, end), end));
	EXPECT_EQ(SHMIPC_DEADMAN_DIED, (int)i.end);
	(void)other_end(&o);
}

TEST_F(deadman, one_that_waits_takes_it_when_it_is_released)
{
	enum order order = TAKE_LATER;
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	struct other o;
	uint64_t end;

	ASSERT_EQ(0, shmipc_deadman_take(self->d, NULL, 0));
	ASSERT_EQ(0, other_start(&o, 0, holder, &order));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, until_asleep(o.tid));
	ASSERT_EQ(0, shmipc_deadman_release(self->d));
	ASSERT_EQ(3u, hear(&o)) TH_LOG("its term is 2");
	end = SOON;
	EXPECT_EQ(0, in_time(shmipc_deadman_wait_taken(self->d, &i, end), end));
	EXPECT_EQ((uint32_t)o.pid, i.pid);
	tell(&o, 1);
	end = SOON;
	EXPECT_EQ(0, in_time(shmipc_deadman_wait_released(self->d, 2, &i, end), end));
	EXPECT_EQ(SHMIPC_DEADMAN_RELEASED, (int)i.end);
	EXPECT_EQ(0, other_end(&o));
}

static int watcher(struct other *me, void *arg)
{
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	uint64_t end = SOON;
	struct shmipc_deadman *d;

	(void)arg;
	CHECK(!shmipc_deadman_open(&d, NAME, NULL));
	tell(me, 1);
	CHECK(!in_time(shmipc_deadman_wait_taken(d, &i, end), end));
	CHECK(i.held && i.term == 1);
	shmipc_deadman_close(d);
	return 0;
}

TEST_F(deadman, one_that_waits_is_told_that_it_is_taken)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, watcher, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, until_asleep(o.tid));
	ASSERT_EQ(0, shmipc_deadman_take(self->d, NULL, 0));
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(deadman, deadlines_are_kept)
{
	struct shmipc_deadman *other;
	uint64_t end, now;
	int i, err;

	ASSERT_EQ(0, shmipc_deadman_open(&other, NAME, NULL));
	EXPECT_EQ(-EAGAIN, shmipc_deadman_wait_taken(other, NULL, 0));
	EXPECT_EQ(0, shmipc_deadman_wait_released(other, 0, NULL, 0));
	end = shmipc_deadline_in(20000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_deadman_wait_taken(other, NULL, end));
	EXPECT_LE(end, now_ns());
	ASSERT_EQ(0, shmipc_deadman_take(self->d, NULL, 0));
	for (i = 0; i < 2; i++) {
		end = shmipc_deadline_in(20000000);
		err = i ? shmipc_deadman_take(other, NULL, end) :
			  shmipc_deadman_wait_released(other, 1, NULL, end);
		now = now_ns();
		EXPECT_EQ(-ETIMEDOUT, err);
		EXPECT_LE(end, now);
		EXPECT_GT(end + LATE_NS, now);
	}
	EXPECT_EQ(-EAGAIN, shmipc_deadman_wait_released(other, 0, NULL, 0));
	EXPECT_EQ(0, shmipc_deadman_wait_released(other, 7, NULL, 0)) TH_LOG("not the term at present");
	shmipc_deadman_close(other);
}

static void on_usr2(int sig)
{
	(void)sig;
}

static int signal_when_asleep(struct other *me, void *arg)
{
	(void)me;
	CHECK(!until_asleep(*(const pid_t *)arg));
	CHECK(!kill(getppid(), SIGUSR2));
	return 0;
}

TEST_F(deadman, a_signal_interrupts)
{
	const struct sigaction sa = { .sa_handler = on_usr2 };
	pid_t tid = (pid_t)syscall(SYS_gettid);
	struct other o;

	(void)sigaction(SIGUSR2, &sa, NULL);
	ASSERT_EQ(0, other_start(&o, 0, signal_when_asleep, &tid));
	EXPECT_EQ(-EINTR, shmipc_deadman_wait_taken(self->d, NULL, SOON));
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(deadman, terms_that_are_long_over)
{
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	uint64_t term, n;

	for (n = 1; n <= 70; n++) {
		ASSERT_EQ(0, shmipc_deadman_take(self->d, &term, 0));
		ASSERT_EQ(n, term);
		ASSERT_EQ(0, shmipc_deadman_release(self->d));
	}
	EXPECT_EQ(0, shmipc_deadman_wait_released(self->d, 6, &i, 0));
	EXPECT_EQ(SHMIPC_DEADMAN_UNKNOWN, (int)i.end);
	EXPECT_EQ(0, shmipc_deadman_wait_released(self->d, 7, &i, 0));
	EXPECT_EQ(SHMIPC_DEADMAN_RELEASED, (int)i.end);
	EXPECT_EQ(0u, i.pid) TH_LOG("of an earlier term the process is not known");
}

/* The parent keeps the role, and the child does not have it. */
TEST_F(deadman, a_child_inherits_nothing)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, shmipc_deadman_take(self->d, NULL, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
		struct shmipc_deadman *d;
		int bad = shmipc_deadman_holds(self->d) != -EINVAL;

		bad += shmipc_deadman_take(self->d, NULL, 0) != -EINVAL;
		bad += shmipc_deadman_release(self->d) != -EINVAL;
		bad += shmipc_deadman_wait_taken(self->d, NULL, 0) != -EINVAL;
		bad += shmipc_deadman_get_info(self->d, &i) != -EINVAL;
		shmipc_deadman_close(self->d);
		bad += shmipc_deadman_open(&d, NAME, NULL) != 0;
		bad += shmipc_deadman_take(d, NULL, 0) != -EAGAIN;
		shmipc_deadman_close(d);
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(1, shmipc_deadman_holds(self->d));
	EXPECT_EQ(1u, info_of(self->d).held) TH_LOG("the holder itself sees that, too");
	EXPECT_EQ(0, shmipc_deadman_wait_taken(self->d, NULL, 0));
	EXPECT_EQ(-EAGAIN, shmipc_deadman_wait_released(self->d, 0, NULL, 0));
}

TEST_F(deadman, arguments_are_checked)
{
	struct shmipc_deadman_opts o = SHMIPC_DEADMAN_OPTS(.flags = SHMIPC_NO_CREATE);
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	struct shmipc_notifier *n;
	struct shmipc_deadman *d;
	struct shmipc_pub *pub;

	EXPECT_EQ(-EINVAL, shmipc_deadman_open(&d, "/bad", NULL));
	EXPECT_EQ(-ENOENT, shmipc_deadman_open(&d, "not/there", &o));
	o.flags = SHMIPC_EXCL;
	EXPECT_EQ(-EEXIST, shmipc_deadman_open(&d, NAME, &o));
	o.flags = SHMIPC_EXCL | SHMIPC_NO_CREATE;
	EXPECT_EQ(-EINVAL, shmipc_deadman_open(&d, NAME, &o));
	o = SHMIPC_DEADMAN_OPTS(.mode = 0666);
	EXPECT_EQ(-EINVAL, shmipc_deadman_open(&d, NAME, &o));
	o = SHMIPC_DEADMAN_OPTS(.reserved1 = { 0, 0, 1 });
	EXPECT_EQ(-EINVAL, shmipc_deadman_open(&d, NAME, &o));
	i.struct_bytes = 3;
	EXPECT_EQ(-EINVAL, shmipc_deadman_get_info(self->d, &i));
	EXPECT_EQ(-EINVAL, shmipc_deadman_wait_released(self->d, 0, &i, 0));
	EXPECT_EQ(-EINVAL, shmipc_notifier_open(&n, NAME, NULL));
	EXPECT_EQ(-EINVAL, shmipc_pub_open(&pub, NAME, NULL, NULL));
	ASSERT_EQ(0, shmipc_notifier_open(&n, "event", NULL));
	EXPECT_EQ(-EINVAL, shmipc_deadman_open(&d, "event", NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "kind deadman")) TH_LOG("%s", shmipc_error_text());
	shmipc_notifier_close(n);
}

/* Scribbles over every byte that it may write, and takes and leaves the role meanwhile. */
static int scribble(struct other *me, void *arg)
{
	struct shmipc_deadman *d;
	uint64_t *line, n;
	uint32_t i;

	(void)arg;
	CHECK(!shmipc_deadman_open(&d, NAME, NULL));
	tell(me, 1);
	for (n = 1;; n++) {
		if (shmipc_deadman_take(d, NULL, 0))
			continue;
		line = (uint64_t *)shmipc_deadman_released(d->seg, 0);
		for (i = 0; i < 4096 / 8; i++)
			shmipc_store_relaxed(&line[i], n * UINT64_C(0x9e3779b97f4a7c15) >> n % 64);
		CHECK(!shmipc_deadman_release(d));
	}
}

TEST_F(deadman, deadlines_are_kept_against_one_that_scribbles)
{
	struct shmipc_deadman_info i = SHMIPC_DEADMAN_INFO();
	uint64_t end, until = shmipc_deadline_in(300000000), rounds = 0;
	struct other o;
	int err;

	ASSERT_EQ(0, other_start(&o, 0, scribble, NULL));
	ASSERT_EQ(1u, hear(&o));
	while (now_ns() < until) {
		end = shmipc_deadline_in(10000000);
		err = shmipc_deadman_take(self->d, NULL, end);
		ASSERT_TRUE(!err || err == -ETIMEDOUT) TH_LOG("%d", err);
		ASSERT_GT(end + LATE_NS, now_ns());
		if (!err) {
			ASSERT_EQ(1, shmipc_deadman_holds(self->d));
			ASSERT_EQ(0, shmipc_deadman_release(self->d));
		}
		end = shmipc_deadline_in(10000000);
		err = shmipc_deadman_wait_released(self->d, 0, &i, end);
		ASSERT_TRUE(!err || err == -ETIMEDOUT) TH_LOG("%d", err);
		err = shmipc_deadman_wait_taken(self->d, &i, end);
		ASSERT_TRUE(!err || err == -ETIMEDOUT) TH_LOG("%d", err);
		ASSERT_GT(end + LATE_NS, now_ns());
		rounds++;
	}
	/* It may never have got the role: there is no queue. */
	EXPECT_LE(2u, rounds);
	(void)other_kill(&o);
}

TEST_HARNESS_MAIN
