/* SPDX-License-Identifier: MIT */
/* steps.h - one call of each kind that opens something, or looks, for the tests of descriptors */
#ifndef TEST_STEPS_H
#define TEST_STEPS_H

#include "env.h"

static const struct shmipc_segment_opts raw_opts = {
	.struct_bytes = sizeof(raw_opts), .kind = SHMIPC_KIND_RAW, .bytes = 4096, .flags = SHMIPC_CREATE,
};

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

/* What a peer can lock, all at the same place: each is made anew. */
static int use_locks(struct shmipc_peer *p, void *at)
{
	int err = shmipc_mutex_lock(p, at, 0) ?: shmipc_mutex_unlock(p, at);

	err = err ?: shmipc_rwlock_init(at) ?: shmipc_rwlock_read_lock(p, at, 0) ?: shmipc_rwlock_unlock(p, at);
	err = err ?: shmipc_rwlock_write_lock(p, at, 0) ?: shmipc_rwlock_unlock(p, at);
	err = err ?: shmipc_sem_init(at, 1, SHMIPC_SEM_ROBUST) ?: shmipc_sem_wait(p, at, 0);
	if (!err && shmipc_sem_wait(p, at, shmipc_deadline_in(1000000)) != -ETIMEDOUT)
		err = -EBADE;
	err = err ?: shmipc_sem_post(p, at, 1) ?: shmipc_barrier_init(at, 1);
	if (!err && shmipc_barrier_wait(p, at, 0) != 1)
		err = -EBADE;
	return err ?: shmipc_mutex_init(at);
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
		err = use_locks(p, shmipc_segment_data(seg, NULL));
		shmipc_peer_leave(p);
	}
	shmipc_segment_close(seg);
	return err;
}

static int open_lock(int fd)
{
	struct shmipc_lock *l;
	int err = shmipc_lock_open(&l, "lock", NULL);

	(void)fd;
	if (!err) {
		err = shmipc_lock_take(l, 0);
		shmipc_lock_close(l);
	}
	return err;
}

static int open_push(int fd)
{
	struct shmipc_push *tx;
	int err = shmipc_push_open(&tx, "queue", NULL, NULL);

	(void)fd;
	if (!err) {
		err = shmipc_push_item(tx, "x", 1, 0, 0);
		shmipc_push_close(tx);
	}
	return err;
}

/* And wait for a moment. */
static int open_pop(int fd)
{
	struct shmipc_queue_item it;
	struct shmipc_pop *rx;
	int err = shmipc_pop_open(&rx, "queue", NULL, NULL);

	(void)fd;
	if (!err) {
		err = shmipc_pop_item(rx, &it, shmipc_deadline_in(1000000));
		shmipc_pop_close(rx);
	}
	return err == -ETIMEDOUT ? 0 : err;
}

static int look_at_lock(int fd)
{
	(void)fd;
	return shmipc_lock_look("there/lock", &SHMIPC_LOCK_INFO());
}

static int look_at_queue(int fd)
{
	(void)fd;
	return shmipc_queue_look("there/queue", &SHMIPC_QUEUE_STAT(.end_cap = 0));
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
	{ "peer_join", join_and_lock }, { "lock_open", open_lock }, { "push_open", open_push },
	{ "pop_open", open_pop }, { "lock_look", look_at_lock }, { "queue_look", look_at_queue },
};

/* These need no more descriptors than those above. */
static const struct step long_steps[] = {
	{ "pub_send, growing", grow }, { "sub_recv", receive }, { "sub_wait READ_ONLY", poll_read_only },
	{ "watch_next", watch }, { "sub_start and sub_stop", start_and_stop },
};

#endif /* TEST_STEPS_H */
