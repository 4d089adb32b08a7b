// SPDX-License-Identifier: MIT
/* named: locks by name: opening, taking, deaths, fork, hostile bytes; on each backend */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "env.h"

#include "lock/named.h"	/* of lib/ */

#define NAME	"plant/printer"
#define SOON	shmipc_deadline_in(UINT64_C(20000000000))	/* reached only by a failure */

FIXTURE(named) {
	struct env env;
	struct shmipc_lock *l;
};

FIXTURE_SETUP(named)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, shmipc_lock_open(&self->l, NAME, NULL)) TH_LOG("%s", shmipc_error_text());
}

FIXTURE_TEARDOWN(named)
{
	shmipc_lock_close(self->l);
	env_tear_down(&self->env);
}

static struct shmipc_lock_info info_of(struct shmipc_lock *l)
{
	struct shmipc_lock_info i = SHMIPC_LOCK_INFO();

	(void)shmipc_lock_get_info(l, &i);
	return i;
}

/* A process that opens it by its name, takes it, and waits for a word. */
static int holder(struct other *me, void *arg)
{
	const struct shmipc_lock_opts *o = arg;
	struct shmipc_lock *l;

	CHECK(!shmipc_lock_open(&l, NAME, o));
	tell(me, 1);
	CHECK(!shmipc_lock_take(l, SOON));
	tell(me, 2);
	(void)hear(me);
	CHECK(!shmipc_lock_give(l));
	shmipc_lock_close(l);
	return 0;
}

TEST_F(named, two_processes_that_share_only_the_name)
{
	struct shmipc_lock_info i;
	struct other o;

	ASSERT_EQ(0, shmipc_lock_take(self->l, 0));
	EXPECT_EQ(-EDEADLK, shmipc_lock_take(self->l, 0));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_HELD, (int)i.state);
	EXPECT_EQ((uint32_t)getpid(), i.owner.pid);
	EXPECT_NE(0u, i.since_ns);
	ASSERT_EQ(0, other_start(&o, 0, holder, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(0, until_asleep(o.tid));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	ASSERT_EQ(2u, hear(&o));
	EXPECT_EQ(-EAGAIN, shmipc_lock_take(self->l, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_lock_take(self->l, shmipc_deadline_in(1000000)));
	EXPECT_EQ(-EPERM, shmipc_lock_give(self->l));
	i = SHMIPC_LOCK_INFO();
	ASSERT_EQ(0, shmipc_lock_look(NAME, &i)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(SHMIPC_LOCK_HELD, (int)i.state);
	EXPECT_EQ((uint32_t)o.pid, i.owner.pid);
	EXPECT_EQ(2u, i.peers);
	EXPECT_NE(0, i.comm[0]);
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, shmipc_lock_take(self->l, SOON));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_FREE, (int)i.state);
	EXPECT_EQ(0u, i.since_ns);
	EXPECT_EQ(0u, i.deaths);
}

TEST_F(named, a_death_is_told_to_the_next_owner)
{
	struct shmipc_lock_info i;
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, holder, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(2u, hear(&o));
	(void)kill(o.pid, SIGKILL);
	(void)other_end(&o);
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_LEFT, (int)i.state);
	EXPECT_EQ((uint32_t)o.pid, i.owner.pid);
	ASSERT_EQ(-EOWNERDEAD, shmipc_lock_take(self->l, SOON));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_HELD, (int)i.state);
	EXPECT_EQ((uint32_t)SHMIPC_MUTEX_ORPHAN, i.flags);
	EXPECT_EQ(1u, i.deaths);
	EXPECT_EQ((uint32_t)o.pid, i.died.pid);
	EXPECT_EQ(0, shmipc_lock_consistent(self->l));
	EXPECT_EQ(-EINVAL, shmipc_lock_consistent(self->l));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	EXPECT_EQ(0, shmipc_lock_take(self->l, 0));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
}

/* The same, but it shares it. */
static int sharer(struct other *me, void *arg)
{
	struct shmipc_lock *l;

	(void)arg;
	CHECK(!shmipc_lock_open(&l, NAME, NULL));
	CHECK(!shmipc_lock_take_shared(l, SOON));
	tell(me, 2);
	(void)hear(me);
	CHECK(!shmipc_lock_give(l));
	shmipc_lock_close(l);
	return 0;
}

TEST_F(named, some_share_it_and_one_that_wants_it_alone_waits)
{
	struct shmipc_lock_info i;
	struct other o, alone;

	ASSERT_EQ(0, other_start(&o, 0, sharer, NULL));
	ASSERT_EQ(2u, hear(&o));
	EXPECT_EQ(-EAGAIN, shmipc_lock_take(self->l, 0));
	ASSERT_EQ(0, shmipc_lock_take_shared(self->l, 0));
	EXPECT_EQ(-EDEADLK, shmipc_lock_take(self->l, 0));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_SHARED, (int)i.state);
	EXPECT_EQ(2u, i.readers);
	EXPECT_EQ(0u, i.flags);
	EXPECT_TRUE(i.owner.pid == (uint32_t)o.pid || i.owner.pid == (uint32_t)getpid());
	EXPECT_EQ(0u, i.since_ns);
	ASSERT_EQ(0, other_start(&alone, 0, holder, NULL));
	ASSERT_EQ(1u, hear(&alone));
	ASSERT_EQ(0, until_asleep(alone.tid));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_SHARED, (int)i.state);
	EXPECT_EQ((uint32_t)SHMIPC_MUTEX_WAITERS, i.flags);
	ASSERT_EQ(0, shmipc_lock_take_shared(self->l, 0)) TH_LOG("once more, and does not wait");
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	EXPECT_EQ(SHMIPC_LOCK_SHARED, (int)info_of(self->l).state);
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	ASSERT_EQ(2u, hear(&alone));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_HELD, (int)i.state);
	EXPECT_EQ((uint32_t)alone.pid, i.owner.pid);
	EXPECT_EQ(0u, i.readers);
	EXPECT_EQ(-EAGAIN, shmipc_lock_take_shared(self->l, 0));
	tell(&alone, 1);
	EXPECT_EQ(0, other_end(&alone));
	EXPECT_EQ(SHMIPC_LOCK_FREE, (int)info_of(self->l).state);
}

TEST_F(named, the_death_of_one_that_shared_it_is_told_to_nobody)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, sharer, NULL));
	ASSERT_EQ(2u, hear(&o));
	(void)kill(o.pid, SIGKILL);
	(void)other_end(&o);
	EXPECT_EQ(0, shmipc_lock_take(self->l, SOON));
	EXPECT_EQ(0u, info_of(self->l).deaths);
	EXPECT_EQ(0, shmipc_lock_give(self->l));
}

TEST_F(named, one_that_comes_to_share_is_told_of_a_death_and_has_it_alone)
{
	struct shmipc_lock_info i;
	struct shmipc_lock *l;
	struct other o;

	ASSERT_EQ(0, shmipc_lock_open(&l, NAME, NULL));
	ASSERT_EQ(0, other_start(&o, 0, holder, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(2u, hear(&o));
	(void)kill(o.pid, SIGKILL);
	(void)other_end(&o);
	ASSERT_EQ(-EOWNERDEAD, shmipc_lock_take_shared(self->l, SOON));
	i = info_of(self->l);
	EXPECT_EQ(SHMIPC_LOCK_HELD, (int)i.state);
	EXPECT_EQ((uint32_t)getpid(), i.owner.pid);
	EXPECT_NE(0u, i.since_ns);
	EXPECT_EQ((uint32_t)o.pid, i.died.pid);
	EXPECT_EQ(-EAGAIN, shmipc_lock_take_shared(l, 0));
	EXPECT_EQ(0, shmipc_lock_consistent(self->l));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	EXPECT_EQ(0, shmipc_lock_take_shared(l, 0));
	EXPECT_EQ(0, shmipc_lock_take_shared(self->l, 0));
	shmipc_lock_close(l);
	EXPECT_EQ(1u, info_of(self->l).readers);
	EXPECT_EQ(0, shmipc_lock_give(self->l));
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Again and again: one may come just before the call sleeps. */
static void alarms(long us)
{
	const struct itimerval t = { { 0, us }, { 0, us } };
	struct sigaction sa = { .sa_handler = on_alarm };

	(void)sigaction(SIGALRM, &sa, NULL);
	(void)setitimer(ITIMER_REAL, &t, NULL);
}

TEST_F(named, a_signal_ends_the_wait_and_leaves_nothing_behind)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, holder, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(2u, hear(&o));
	alarms(5000);
	EXPECT_EQ(-EINTR, shmipc_lock_take(self->l, SOON));
	EXPECT_EQ(-EINTR, shmipc_lock_take_shared(self->l, SOON));
	alarms(0);
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	ASSERT_EQ(0, other_start(&o, 0, sharer, NULL));
	ASSERT_EQ(2u, hear(&o));
	alarms(5000);
	EXPECT_EQ(-EINTR, shmipc_lock_take(self->l, SOON)) TH_LOG("it waits for a reader");
	alarms(0);
	EXPECT_EQ(SHMIPC_LOCK_SHARED, (int)info_of(self->l).state);
	EXPECT_EQ(0, shmipc_lock_take_shared(self->l, 0)) TH_LOG("no writer waits any more");
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, shmipc_lock_take(self->l, SOON));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
}

/* One that is not repaired is lost to all, until the name is removed. */
TEST_F(named, it_can_be_given_up)
{
	struct shmipc_lock *l;
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, holder, NULL));
	ASSERT_EQ(1u, hear(&o));
	ASSERT_EQ(2u, hear(&o));
	(void)kill(o.pid, SIGKILL);
	(void)other_end(&o);
	ASSERT_EQ(-EOWNERDEAD, shmipc_lock_take(self->l, SOON));
	EXPECT_EQ(0, shmipc_lock_give(self->l));
	EXPECT_EQ(-ENOTRECOVERABLE, shmipc_lock_take(self->l, 0));
	EXPECT_EQ(SHMIPC_LOCK_GIVEN_UP, (int)info_of(self->l).state);
	ASSERT_EQ(0, shmipc_segment_unlink(NAME));
	ASSERT_EQ(0, shmipc_lock_open(&l, NAME, NULL));
	EXPECT_EQ(0, shmipc_lock_take(l, 0));
	shmipc_lock_close(l);
}

/* With no other process there, a persistent one still knows of the death; others begin anew. */
TEST_F(named, what_stays_of_a_death_when_all_have_gone)
{
	struct shmipc_lock_opts o = SHMIPC_LOCK_OPTS(.flags = SHMIPC_PERSIST);
	struct other other;
	int persist;

	for (persist = 0; persist < 2; persist++) {
		shmipc_lock_close(self->l);
		o.flags = persist ? SHMIPC_PERSIST : 0;
		ASSERT_EQ(0, other_start(&other, 0, holder, &o));
		ASSERT_EQ(1u, hear(&other));
		ASSERT_EQ(2u, hear(&other));
		(void)kill(other.pid, SIGKILL);
		(void)other_end(&other);
		ASSERT_EQ(0, shmipc_lock_open(&self->l, NAME, NULL)) TH_LOG("%s", shmipc_error_text());
		EXPECT_EQ(persist ? -EOWNERDEAD : 0, shmipc_lock_take(self->l, SOON));
	}
	EXPECT_EQ(0, shmipc_lock_consistent(self->l));
	ASSERT_EQ(0, shmipc_segment_unlink(NAME));
}

static void *take_in_thread(void *arg)
{
	return shmipc_lock_take(arg, 0) ? arg : NULL;
}

TEST_F(named, closing_gives_back_what_this_thread_has)
{
	struct shmipc_lock *l;
	pthread_t t;
	void *bad;

	ASSERT_EQ(0, shmipc_lock_open(&l, NAME, NULL));
	ASSERT_EQ(0, shmipc_lock_take(l, 0));
	shmipc_lock_close(l);
	ASSERT_EQ(0, shmipc_lock_take(self->l, 0));
	ASSERT_EQ(0, shmipc_lock_give(self->l));
	/* Another thread's is left behind. */
	ASSERT_EQ(0, shmipc_lock_open(&l, NAME, NULL));
	ASSERT_EQ(0, pthread_create(&t, NULL, take_in_thread, l));
	ASSERT_EQ(0, pthread_join(t, &bad));
	EXPECT_EQ(NULL, bad);
	shmipc_lock_close(l);
	EXPECT_EQ(-EOWNERDEAD, shmipc_lock_take(self->l, SOON));
	EXPECT_EQ(0, shmipc_lock_consistent(self->l));
}

TEST_F(named, a_child_inherits_nothing)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, shmipc_lock_take(self->l, 0));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct shmipc_lock_info i = SHMIPC_LOCK_INFO();
		struct shmipc_lock *l;
		int bad = shmipc_lock_take(self->l, 0) != -EINVAL;

		bad += shmipc_lock_take_shared(self->l, 0) != -EINVAL;
		bad += shmipc_lock_give(self->l) != -EINVAL;
		bad += shmipc_lock_consistent(self->l) != -EINVAL;
		bad += shmipc_lock_get_info(self->l, &i) != -EINVAL;
		shmipc_lock_close(self->l);
		bad += shmipc_lock_open(&l, NAME, NULL) != 0;
		bad += shmipc_lock_take(l, 0) != -EAGAIN;
		shmipc_lock_close(l);
		_exit(bad);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(SHMIPC_LOCK_HELD, (int)info_of(self->l).state);
	EXPECT_EQ(0, shmipc_lock_give(self->l));
}

TEST_F(named, options_are_compared_with_what_is_there)
{
	static const struct shmipc_lock_opts bad[] = {
		{ .peers = 63 }, { .peers = 1 }, { .peers = 4097 }, { .type = 1 }, { .mode = 0666 },
		{ .flags = 0x80000000u }, { .flags = SHMIPC_NO_CREATE | SHMIPC_EXCL },
		{ .flags = SHMIPC_PERSIST }, { .reserved0 = 1 }, { .reserved1 = { 0, 0, 1 } },
	};
	struct shmipc_lock_opts o = SHMIPC_LOCK_OPTS(.peers = 64, .type = SHMIPC_LOCK_TYPE_RWLOCK,
						     .mode = 0600, .spin_ns = 1);
	struct shmipc_lock *l = NULL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct shmipc_lock_opts b = bad[i];

		b.struct_bytes = sizeof(b);
		EXPECT_EQ(-EINVAL, shmipc_lock_open(&l, NAME, &b)) TH_LOG("%zu", i);
		EXPECT_NE(0, *shmipc_error_text());
	}
	EXPECT_EQ(NULL, l);
	ASSERT_EQ(0, shmipc_lock_open(&l, NAME, &o)) TH_LOG("%s", shmipc_error_text());
	shmipc_lock_close(l);
	o.flags = SHMIPC_EXCL;
	EXPECT_EQ(-EEXIST, shmipc_lock_open(&l, NAME, &o));
	o.flags = SHMIPC_NO_CREATE;
	EXPECT_EQ(-ENOENT, shmipc_lock_open(&l, "not/there", &o));
	EXPECT_EQ(-EINVAL, shmipc_lock_open(&l, "/bad", NULL));
}

TEST_F(named, other_kinds_and_full_ones_are_refused)
{
	const struct shmipc_segment_opts so = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_LOCK,
								  .flags = SHMIPC_CREATE);
	struct shmipc_lock_opts o = SHMIPC_LOCK_OPTS(.peers = 2);
	struct shmipc_lock_info i = SHMIPC_LOCK_INFO();
	struct shmipc_lock *l[2], *more;
	struct shmipc_segment *seg;
	struct shmipc_notifier *n;
	struct shmipc_peer *p;

	ASSERT_EQ(0, shmipc_notifier_open(&n, "events", NULL));
	EXPECT_EQ(-EINVAL, shmipc_lock_open(&more, "events", NULL));
	EXPECT_EQ(-EINVAL, shmipc_lock_look("events", &i));
	shmipc_notifier_close(n);
	EXPECT_EQ(-ENOENT, shmipc_lock_look("events", &i));
	EXPECT_EQ(-EINVAL, shmipc_notifier_open(&n, NAME, NULL));
	EXPECT_EQ(-EINVAL, shmipc_segment_open(&seg, "raw", &so));
	ASSERT_EQ(0, shmipc_segment_open(&seg, NAME, NULL));
	EXPECT_EQ(-EINVAL, shmipc_peer_join(&p, seg, NULL));
	EXPECT_EQ(NULL, shmipc_segment_data(seg, NULL));
	shmipc_segment_close(seg);
	ASSERT_EQ(0, shmipc_lock_open(&l[0], "two", &o));
	ASSERT_EQ(0, shmipc_lock_open(&l[1], "two", NULL));
	EXPECT_EQ(-ENOSPC, shmipc_lock_open(&more, "two", NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "peers")) TH_LOG("%s", shmipc_error_text());
	shmipc_lock_close(l[0]);
	shmipc_lock_close(l[1]);
}

/* The header is read-only for peers on dev; on mem anybody with the right can write it. */
TEST_F(named, a_header_that_is_nonsense_is_refused)
{
	static const struct { size_t at; uint32_t word; int err; } bad[] = {
		{ offsetof(struct shmipc_lock_hdr, type), 0, -EPROTONOSUPPORT },
		{ offsetof(struct shmipc_lock_hdr, type), 1, -EPROTONOSUPPORT },
		{ offsetof(struct shmipc_lock_hdr, sides.version), 2, -EPROTONOSUPPORT },
		{ offsetof(struct shmipc_lock_hdr, sides.incompat), 1, -EPROTONOSUPPORT },
		{ offsetof(struct shmipc_lock_hdr, sides.magic), 7, -EPROTO },
		{ offsetof(struct shmipc_lock_hdr, sides.producers), 63, -EPROTO },
		{ offsetof(struct shmipc_lock_hdr, sides.producers), 0xffffffff, -EPROTO },
		{ offsetof(struct shmipc_lock_hdr, sides.readers), 1, -EPROTO },
		{ offsetof(struct shmipc_lock_hdr, sides.prod_bytes), 0, -EPROTO },
		{ offsetof(struct shmipc_lock_hdr, sides.prod_bytes), 0x2000, -EPROTO },
		{ offsetof(struct shmipc_lock_hdr, sides.prod_off), 0x4000, -EPROTO },
	};
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();
	struct shmipc_lock *l;
	unsigned char *hdr;
	uint32_t was;
	size_t i;

	if (env_on_dev())
		SKIP(return, "nobody can write it");
	hdr = self->l->seg->base + self->l->seg->hdr.body_off;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(&was, hdr + bad[i].at, sizeof(was));
		memcpy(hdr + bad[i].at, &bad[i].word, sizeof(was));
		EXPECT_EQ(bad[i].err, shmipc_lock_open(&l, NAME, NULL)) TH_LOG("%zu", i);
		EXPECT_EQ(bad[i].err, shmipc_lock_look(NAME, &info)) TH_LOG("%zu", i);
		memcpy(hdr + bad[i].at, &was, sizeof(was));
	}
	EXPECT_EQ(0, shmipc_lock_open(&l, NAME, NULL)) TH_LOG("%s", shmipc_error_text());
	shmipc_lock_close(l);
}

/* Any word of the page: no crash, and no call that lasts longer than its deadline. */
TEST_F(named, a_page_that_is_nonsense_does_no_harm)
{
	static const uint64_t words[] = { UINT64_MAX, 1, 0x10, UINT64_MAX << 4, UINT64_C(0x123456789abcdef0) };
	struct shmipc_lock_info info = SHMIPC_LOCK_INFO();
	struct shmipc_lock *l;
	size_t i, at;
	int ret;

	ASSERT_EQ(0, shmipc_lock_open(&l, NAME, NULL));
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		for (at = 0; at < sizeof(*l->page) / 8; at++) {
			memset(l->page, 0, sizeof(*l->page));
			((uint64_t *)(void *)l->page)[at] = words[i];
			EXPECT_EQ(0, shmipc_lock_look(NAME, &info));
			EXPECT_EQ(0, shmipc_lock_get_info(self->l, &info));
			ret = shmipc_lock_take(self->l, shmipc_deadline_in(1000000));
			if (!ret || ret == -EOWNERDEAD)
				ret = shmipc_lock_give(self->l);
			EXPECT_TRUE(!ret || ret == -ENOTRECOVERABLE || ret == -ETIMEDOUT)
				TH_LOG("word %zu, value %zu: %d", at, i, ret);
			ret = shmipc_lock_take_shared(self->l, shmipc_deadline_in(1000000));
			if (!ret || ret == -EOWNERDEAD)
				ret = shmipc_lock_give(self->l);
			EXPECT_TRUE(!ret || ret == -ENOTRECOVERABLE || ret == -ETIMEDOUT)
				TH_LOG("shared: word %zu, value %zu: %d", at, i, ret);
		}
	}
	memset(l->page, 0, sizeof(*l->page));
	shmipc_lock_close(l);
}

TEST_HARNESS_MAIN
