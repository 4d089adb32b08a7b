// SPDX-License-Identifier: MIT
/*
 * base: descriptors of the library are above 2, and none is left by a call that fails for
 * lack of one, or whose thread is cancelled
 */
#include <sys/resource.h>
#include "steps.h"

/* Each way to get a descriptor; afterwards 0 to 2 are still free. */
static int all_of_it(struct other *me, void *arg)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_SPSC,
					 .flags = SHMIPC_CREATE };
	struct shmipc_segment *named, *anon, *again, *raw;
	struct shmipc_notifier *notifier;
	struct shmipc_listener *listener;
	struct shmipc_deadman *deadman;
	struct shmipc_channel *ch;
	struct shmipc_peer *peer;
	struct shmipc_lock *lock;
	struct shmipc_push *push;
	struct shmipc_pop *pop;
	struct shmipc_watch *w;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int fd;

	(void)me;
	(void)arg;
	for (fd = 0; fd < 3; fd++)
		(void)close(fd);
	CHECK(!shmipc_watch_open(&w, NULL, 0, 0));
	CHECK(!shmipc_segment_open(&named, "low", &o));
	CHECK(!shmipc_segment_anon(&anon, &o));
	CHECK(!shmipc_segment_from_fd(&again, shmipc_segment_fd(anon), &o));
	CHECK(!shmipc_channel_attach(&ch, named, SHMIPC_ROLE_PRODUCER, NULL));
	CHECK(!shmipc_pub_open(&pub, "topic", NULL, NULL));
	CHECK(!shmipc_sub_open(&sub, "topic", NULL, NULL));
	CHECK(!shmipc_notifier_open(&notifier, "event", NULL));
	CHECK(!shmipc_listener_open(&listener, "event", NULL, NULL));
	CHECK(!shmipc_deadman_open(&deadman, "role", NULL));
	CHECK(!shmipc_segment_open(&raw, "raw", &raw_opts));
	CHECK(!shmipc_peer_join(&peer, raw, NULL));
	CHECK(!shmipc_lock_open(&lock, "lock", NULL));
	CHECK(!shmipc_push_open(&push, "queue", NULL, NULL));
	CHECK(!shmipc_pop_open(&pop, "queue", NULL, NULL));
	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 10 + fd;
	shmipc_pop_close(pop);
	shmipc_push_close(push);
	shmipc_lock_close(lock);
	shmipc_peer_leave(peer);
	shmipc_segment_close(raw);
	shmipc_deadman_close(deadman);
	shmipc_listener_close(listener);
	shmipc_notifier_close(notifier);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	shmipc_channel_close(ch);
	shmipc_segment_close(again);
	shmipc_segment_close(anon);
	shmipc_segment_close(named);
	shmipc_watch_close(w);
	return 0;
}

#define ROOM	16	/* descriptors; none of them needs more */

/* Leave @room descriptors above the @first that is free. */
static int leave(int first, int room)
{
	struct rlimit l = { 0, 0 };

	if (getrlimit(RLIMIT_NOFILE, &l))
		return -1;
	l.rlim_cur = (rlim_t)(first + room);
	return setrlimit(RLIMIT_NOFILE, &l);
}

static int without(const struct step *s, const struct env *e, int fd, int *ret_refused)
{
	char text[512];	/* of the last error: counting the names may be a call that leaves none */
	int room, err = 0, n = env_count("/proc/self/fd"), files = env_files(e), first = fcntl(0, F_DUPFD, 3);

	(void)close(first);
	for (room = 0; room <= ROOM; room++) {
		if (leave(first, room))
			return 2;
		err = s->fn(fd);
		(void)snprintf(text, sizeof(text), "%s", shmipc_error_text());
		if (leave(first, ROOM))
			return 3;
		if (env_count("/proc/self/fd") != n || env_files(e) != files) {
			fprintf(stderr, "# %s with %d descriptors: %d descriptors and %d names, then %d and %d\n", s->name,
				room, n, files, env_count("/proc/self/fd"), env_files(e));
			return 4;
		}
		if (!err)
			return 0;
		if (err != -EMFILE || !strstr(text, "EMFILE")) {
			fprintf(stderr, "# %s with %d descriptors: %d, \"%s\"\n", s->name, room, err, text);
			return 5;
		}
		++*ret_refused;
	}
	fprintf(stderr, "# %s: never\n", s->name);
	return 6;
}

/* What the steps find. */
struct there {
	struct shmipc_segment *anon;
	struct shmipc_pub *pub;
	struct shmipc_lock *lock;
	struct shmipc_push *push;
};

static int open_there(struct there *t)
{
	CHECK(!shmipc_segment_anon(&t->anon, &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC)));
	CHECK(!shmipc_pub_open(&t->pub, "there", NULL, NULL));
	CHECK(!shmipc_lock_open(&t->lock, "there/lock", NULL));
	CHECK(!shmipc_push_open(&t->push, "there/queue", NULL, NULL));
	return 0;
}

static void close_there(const struct there *t)
{
	shmipc_push_close(t->push);
	shmipc_lock_close(t->lock);
	shmipc_pub_close(t->pub);
	shmipc_segment_close(t->anon);
}

/* Each of them with no free descriptor, with one, and so on until it works. */
static int one_after_another(struct other *me, void *arg)
{
	int refused = 0, ret = 0;
	struct there t;
	size_t i;

	(void)me;
	CHECK(!open_there(&t));
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		refused = 0;
		ret = without(&steps[i], arg, shmipc_segment_fd(t.anon), &refused) ?: ret;
		CHECK(refused);
	}
	close_there(&t);
	return ret;
}

struct cancelled {
	const struct step *step;
	int fd;
	int ret;
};

/* Its end is due from the first instruction of the call on. */
static void *cancelled_in(void *arg)
{
	struct cancelled *c = arg;

	(void)pthread_cancel(pthread_self());
	c->ret = c->step->fn(c->fd);
	pthread_testcancel();
	return NULL;
}

static int cancel_in(const struct step *s, const struct env *e, int fd)
{
	struct cancelled c = { s, fd, 1 };
	int n = env_count("/proc/self/fd"), files = env_files(e), i;
	pthread_t thread;
	void *ret;

	for (i = 0; i < 2; i++) {	/* the second meets what the first one left */
		CHECK(!pthread_create(&thread, NULL, cancelled_in, &c));
		CHECK(!pthread_join(thread, &ret));
		if (c.ret || ret != PTHREAD_CANCELED || env_count("/proc/self/fd") != n || env_files(e) != files) {
			fprintf(stderr, "# %s: %d, \"%s\"; %d descriptors and %d names, then %d and %d\n", s->name,
				c.ret, shmipc_error_text(), n, files, env_count("/proc/self/fd"), env_files(e));
			return 1;
		}
	}
	return 0;
}

static int cancelled(struct other *me, void *arg)
{
	struct there t;
	size_t i;
	int ret = 0;

	(void)me;
	CHECK(!open_there(&t));
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		ret |= cancel_in(&steps[i], arg, shmipc_segment_fd(t.anon));
	for (i = 0; i < ARRAY_SIZE(long_steps); i++)
		ret |= cancel_in(&long_steps[i], arg, 0);
	close_there(&t);
	return ret;
}

FIXTURE(fd) {
	struct env env;
};

FIXTURE_SETUP(fd)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(fd)
{
	env_tear_down(&self->env);
}

TEST_F(fd, none_of_ours_is_0_1_or_2)
{
	struct other child;

	ASSERT_EQ(0, other_start(&child, 0, all_of_it, NULL));
	EXPECT_EQ(0, other_end(&child)) TH_LOG("10 and more: the descriptor that was taken");
}

TEST_F(fd, without_free_ones_each_is_emfile_and_leaves_nothing)
{
	struct other child;

	ASSERT_EQ(0, other_start(&child, 0, one_after_another, &self->env));
	EXPECT_EQ(0, other_end(&child));
}

TEST_F(fd, a_cancelled_thread_leaves_nothing_and_ends_after_the_call)
{
	struct other child;

	ASSERT_EQ(0, other_start(&child, 0, cancelled, &self->env));
	EXPECT_EQ(0, other_end(&child));
}

TEST_HARNESS_MAIN
