// SPDX-License-Identifier: MIT
/*
 * base: descriptors of the library are above 2, and none is left by a call that fails for
 * lack of one, or whose thread is cancelled
 */
#include <sys/resource.h>
#include "env.h"

static const struct shmipc_segment_opts raw_opts = {
	.struct_bytes = sizeof(raw_opts), .kind = SHMIPC_KIND_RAW, .bytes = 4096, .flags = SHMIPC_CREATE,
};

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
	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 10 + fd;
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

#define BIG	(4u << 20)	/* bytes of a message: the topic has to grow */

/* What opens something, and closes it. Each returns 0 or -errno, and the text says why. */
static int open_named(int fd)
{
	struct shmipc_segment *s;
	int err = shmipc_segment_open(&s, "named", &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC,
									 .flags = SHMIPC_CREATE));

	(void)fd;
	if (!err)
		shmipc_segment_close(s);
	return err;
}

static int open_anon(int fd)
{
	struct shmipc_segment *s;
	int err = shmipc_segment_anon(&s, &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC));

	(void)fd;
	if (!err)
		shmipc_segment_close(s);
	return err;
}

static int open_fd(int fd)
{
	struct shmipc_segment *s;
	int err = shmipc_segment_from_fd(&s, fd, NULL);

	if (!err)
		shmipc_segment_close(s);
	return err;
}

static int open_channel(int fd)
{
	struct shmipc_channel *ch;
	int err = shmipc_channel_open(&ch, "ring", SHMIPC_ROLE_PRODUCER,
				      &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC,
							   .flags = SHMIPC_CREATE), NULL);

	(void)fd;
	if (!err)
		shmipc_channel_close(ch);
	return err;
}

static int open_pub(int fd)
{
	struct shmipc_pub *pub;
	int err = shmipc_pub_open(&pub, "topic", &SHMIPC_TOPIC_OPTS(.history = 100), NULL);

	(void)fd;
	if (!err)
		shmipc_pub_close(pub);
	return err;
}

static int open_sub(int fd)
{
	struct shmipc_sub *sub;
	int err = shmipc_sub_open(&sub, "topic", NULL, NULL);

	(void)fd;
	if (!err)
		shmipc_sub_close(sub);
	return err;
}

static int open_reader(int fd)
{
	struct shmipc_sub *sub;
	int err = shmipc_sub_open(&sub, "there", NULL, &SHMIPC_SUB_OPTS(.flags = SHMIPC_SUB_READ_ONLY));

	(void)fd;
	if (!err)
		shmipc_sub_close(sub);
	return err;
}

static int open_notifier(int fd)
{
	struct shmipc_notifier *n;
	int err = shmipc_notifier_open(&n, "event", NULL);

	(void)fd;
	if (!err)
		shmipc_notifier_close(n);
	return err;
}

/* And wait for a moment. */
static int open_listener(int fd)
{
	struct shmipc_event_got got;
	struct shmipc_listener *l;
	int err = shmipc_listener_open(&l, "event", NULL, NULL);

	(void)fd;
	if (!err) {
		err = shmipc_listener_wait(l, 0, &got, shmipc_deadline_in(1000000));
		shmipc_listener_close(l);
	}
	return err == -ETIMEDOUT ? 0 : err;
}

static int open_deadman(int fd)
{
	struct shmipc_deadman *d;
	uint64_t term;
	int err = shmipc_deadman_open(&d, "role", NULL);

	(void)fd;
	if (!err) {
		err = shmipc_deadman_take(d, &term, 0);
		shmipc_deadman_close(d);
	}
	return err;
}

static int join_and_lock(int fd)
{
	struct shmipc_segment *seg;
	struct shmipc_peer *p;
	int err = shmipc_segment_open(&seg, "raw", &raw_opts);

	(void)fd;
	if (err)
		return err;
	err = shmipc_peer_join(&p, seg, NULL);
	if (!err) {
		err = shmipc_mutex_lock(p, shmipc_segment_data(seg, NULL), 0) ?:
		      shmipc_mutex_unlock(p, shmipc_segment_data(seg, NULL));
		shmipc_peer_leave(p);
	}
	shmipc_segment_close(seg);
	return err;
}

static int open_watch(int fd)
{
	struct shmipc_watch *w;
	int err = shmipc_watch_open(&w, NULL, SHMIPC_KIND_ANY, SHMIPC_WATCH_ENDS);

	(void)fd;
	if (!err)
		shmipc_watch_close(w);
	return err;
}

static int look(int fd)
{
	struct shmipc_segment_stat st = { .info = SHMIPC_SEGMENT_INFO() };

	(void)fd;
	return shmipc_segment_look("there", &st);
}

static int look_at_topic(int fd)
{
	struct shmipc_topic_stat st = SHMIPC_TOPIC_STAT();

	(void)fd;
	return shmipc_topic_look("there", &st);
}

static int trim(int fd)
{
	uint64_t bytes;

	(void)fd;
	return shmipc_topic_trim("there", SHMIPC_KEEP_ALL, &bytes, 0);
}

static int grow(int fd)
{
	struct shmipc_pub *pub;
	char *buf = calloc(1, BIG);
	int err = buf ? shmipc_pub_open(&pub, "topic", NULL, NULL) : -ENOMEM;

	(void)fd;
	if (!err) {
		err = shmipc_pub_send(pub, buf, BIG, 0);
		shmipc_pub_close(pub);
	}
	free(buf);
	return err;
}

static int receive(int fd)
{
	struct shmipc_sub *sub;
	char buf[8];
	size_t len;
	int err = shmipc_sub_open(&sub, "topic", NULL, NULL);

	(void)fd;
	if (!err) {
		err = shmipc_sub_recv(sub, buf, sizeof(buf), &len, shmipc_deadline_in(1000000));
		shmipc_sub_close(sub);
	}
	return err == -ETIMEDOUT ? 0 : err;
}

static int poll_read_only(int fd)
{
	struct shmipc_sub *sub;
	int err = shmipc_sub_open(&sub, "there", NULL, &SHMIPC_SUB_OPTS(.flags = SHMIPC_SUB_READ_ONLY));

	(void)fd;
	if (!err) {
		err = shmipc_sub_wait(sub, shmipc_deadline_in(1000000));
		shmipc_sub_close(sub);
	}
	return err == -ETIMEDOUT ? 0 : err;
}

static int watch(int fd)
{
	struct shmipc_event e = SHMIPC_EVENT();
	struct shmipc_watch *w;
	int err = shmipc_watch_open(&w, "nothing", SHMIPC_KIND_ANY, 0);

	(void)fd;
	if (!err) {
		err = shmipc_watch_next(w, &e, shmipc_deadline_in(1000000));
		shmipc_watch_close(w);
	}
	return err == -ETIMEDOUT ? 0 : err;
}

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
	(void)sub;
	(void)msg;
	(void)err;
	(void)arg;
}

static int start_and_stop(int fd)
{
	struct shmipc_sub *sub;
	int err = shmipc_sub_open(&sub, "topic", NULL, NULL);

	(void)fd;
	if (!err) {
		err = shmipc_sub_start(sub, on_message, NULL);
		shmipc_sub_stop(sub);
		shmipc_sub_close(sub);
	}
	return err;
}

static int see(const char *name, void *arg)
{
	(void)name;
	(void)arg;
	return 0;
}

static int each(int fd)
{
	(void)fd;
	return shmipc_segment_each(see, NULL);
}

static int inspect(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	(void)name;
	(void)st;
	(void)arg;
	return err;
}

static int discover(int fd)
{
	(void)fd;
	return shmipc_discover_each(NULL, SHMIPC_KIND_ANY, inspect, NULL);
}

static const struct step {
	const char *name;
	int (*fn)(int fd);
} steps[] = {
	{ "segment_open", open_named }, { "segment_anon", open_anon }, { "segment_from_fd", open_fd },
	{ "channel_open", open_channel }, { "pub_open", open_pub }, { "sub_open", open_sub },
	{ "sub_open READ_ONLY", open_reader }, { "watch_open", open_watch }, { "segment_look", look },
	{ "topic_look", look_at_topic }, { "topic_trim", trim }, { "segment_each", each },
	{ "discover_each", discover }, { "notifier_open", open_notifier },
	{ "listener_open", open_listener }, { "deadman_open", open_deadman },
	{ "peer_join", join_and_lock },
};

/* These need no more descriptors than those above. */
static const struct step long_steps[] = {
	{ "pub_send, growing", grow }, { "sub_recv", receive }, { "sub_wait READ_ONLY", poll_read_only },
	{ "watch_next", watch }, { "sub_start and sub_stop", start_and_stop },
};

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

/* Each of them with no free descriptor, with one, and so on until it works. */
static int one_after_another(struct other *me, void *arg)
{
	struct shmipc_segment *anon;
	struct shmipc_pub *pub;
	int refused = 0, ret = 0;
	size_t i;

	(void)me;
	CHECK(!shmipc_segment_anon(&anon, &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC)));
	CHECK(!shmipc_pub_open(&pub, "there", NULL, NULL));
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		refused = 0;
		ret = without(&steps[i], arg, shmipc_segment_fd(anon), &refused) ?: ret;
		CHECK(refused);
	}
	shmipc_pub_close(pub);
	shmipc_segment_close(anon);
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
	struct shmipc_segment *anon;
	struct shmipc_pub *pub;
	size_t i;
	int ret = 0;

	(void)me;
	CHECK(!shmipc_segment_anon(&anon, &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC)));
	CHECK(!shmipc_pub_open(&pub, "there", NULL, NULL));
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		ret |= cancel_in(&steps[i], arg, shmipc_segment_fd(anon));
	for (i = 0; i < ARRAY_SIZE(long_steps); i++)
		ret |= cancel_in(&long_steps[i], arg, 0);
	shmipc_pub_close(pub);
	shmipc_segment_close(anon);
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
