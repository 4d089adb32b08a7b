/* SPDX-License-Identifier: MIT */
/*
 * nouns.h - an end of any noun, for tests that try the same with each of them
 *
 * Two ends share a name. One sends, the other one receives as often, and sleeps until something
 * is sent. What one has at a time (a lock, a role) the sender has from the beginning: it
 * gives it up when it sends first, and the receiver takes it.
 */
#ifndef TEST_NOUNS_H
#define TEST_NOUNS_H

#include "env.h"

#define NOUN_LARGE	300000u		/* the most that is sent at once */

struct noun_end;

struct noun {
	const char *name;
	/* 0 or -errno, all of them. @len: bytes of a message, if it has any */
	int (*open)(struct noun_end *e, const char *name, bool sends);
	int (*send)(struct noun_end *e, size_t len, uint64_t until_ns);
	int (*recv)(struct noun_end *e, uint64_t until_ns);
	bool is_had;	/* by one at a time */
	bool eintr;	/* a handler without SA_RESTART ends a wait */
	bool is_mutual;	/* sending waits for the receiver */
};

/* What peers share in a raw segment: one of the locks, and what it protects. */
struct noun_state {
	union {
		struct shmipc_mutex mutex;
		struct shmipc_rwlock rwlock;
		struct shmipc_sem sem;
		struct shmipc_barrier barrier;
	};
	struct shmipc_cond cond;
	uint64_t tokens;
};

struct noun_end {
	const struct noun *noun;
	struct shmipc_channel *ch;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_notifier *notifier;
	struct shmipc_listener *listener;
	struct shmipc_deadman *deadman;
	struct shmipc_lock *lock;
	struct shmipc_push *push;
	struct shmipc_pop *pop;
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
	struct noun_state *s;
	uint64_t had;		/* notifications that came together and were not yet received */
	bool moved;		/* what one can have was given up, or taken */
};

static char noun_buf[NOUN_LARGE];

/* Rings and topics */

static int noun_open_ring(struct noun_end *e, const char *name, bool sends)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE, .kind = SHMIPC_KIND_SPSC);

	return shmipc_channel_open(&e->ch, name, sends ? SHMIPC_ROLE_PRODUCER : SHMIPC_ROLE_CONSUMER, &o,
				   NULL);
}

static int noun_send_ring(struct noun_end *e, size_t len, uint64_t until_ns)
{
	return shmipc_channel_send(e->ch, noun_buf, len, until_ns);
}

static int noun_recv_ring(struct noun_end *e, uint64_t until_ns)
{
	size_t len;

	return shmipc_channel_recv(e->ch, noun_buf, sizeof(noun_buf), &len, until_ns);
}

static int noun_open_topic(struct noun_end *e, const char *name, bool sends)
{
	struct shmipc_sub_opts all = SHMIPC_SUB_OPTS(.start = SHMIPC_START_OLDEST);

	return sends ? shmipc_pub_open(&e->pub, name, NULL, NULL) :
		       shmipc_sub_open(&e->sub, name, NULL, &all);
}

static int noun_send_topic(struct noun_end *e, size_t len, uint64_t until_ns)
{
	return shmipc_pub_send(e->pub, noun_buf, len, until_ns);
}

static int noun_recv_topic(struct noun_end *e, uint64_t until_ns)
{
	size_t len;

	return shmipc_sub_recv(e->sub, noun_buf, sizeof(noun_buf), &len, until_ns);
}

/* Queues */

static int noun_open_queue(struct noun_end *e, const char *name, bool sends)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.producers = 2, .consumers = 2, .depth = 4,
						       .item_bytes = NOUN_LARGE);

	return sends ? shmipc_push_open(&e->push, name, &o, NULL) :
		       shmipc_pop_open(&e->pop, name, &o, NULL);
}

static int noun_send_item(struct noun_end *e, size_t len, uint64_t until_ns)
{
	return shmipc_push_item(e->push, noun_buf, len, 0, until_ns);
}

static int noun_recv_item(struct noun_end *e, uint64_t until_ns)
{
	struct shmipc_queue_item it;
	int ret = shmipc_pop_item(e->pop, &it, until_ns);

	return ret ? ret : shmipc_pop_ack(e->pop, &it, 1);
}

/* Events */

static int noun_open_event(struct noun_end *e, const char *name, bool sends)
{
	return sends ? shmipc_notifier_open(&e->notifier, name, NULL) :
		       shmipc_listener_open(&e->listener, name, NULL, NULL);
}

static int noun_send_event(struct noun_end *e, size_t len, uint64_t until_ns)
{
	(void)len;
	(void)until_ns;
	return shmipc_notifier_notify(e->notifier, 0, 1);
}

static int noun_recv_event(struct noun_end *e, uint64_t until_ns)
{
	struct shmipc_event_got got;
	int ret = e->had ? 0 : shmipc_listener_wait(e->listener, 0, &got, until_ns);

	if (!ret && !e->had)
		e->had = got.count;
	e->had -= !ret;
	return ret;
}

/* What one has, and then the other */

static int noun_give(struct noun_end *e)
{
	if (e->deadman)
		return shmipc_deadman_release(e->deadman);
	if (e->lock)
		return shmipc_lock_give(e->lock);
	if (!strcmp(e->noun->name, "mutex"))
		return shmipc_mutex_unlock(e->peer, &e->s->mutex);
	if (!strcmp(e->noun->name, "units"))
		return shmipc_sem_post(e->peer, &e->s->sem, 1);
	return shmipc_rwlock_unlock(e->peer, &e->s->rwlock);
}

static int noun_take(struct noun_end *e, bool sends, uint64_t until_ns)
{
	uint64_t term;

	if (e->deadman)
		return shmipc_deadman_take(e->deadman, &term, until_ns);
	if (e->lock)
		return shmipc_lock_take(e->lock, until_ns);
	if (!strcmp(e->noun->name, "mutex"))
		return shmipc_mutex_lock(e->peer, &e->s->mutex, until_ns);
	if (!strcmp(e->noun->name, "units"))
		return shmipc_sem_wait(e->peer, &e->s->sem, until_ns);
	/* A reader waits for a writer, or a writer for a reader. */
	if (!strcmp(e->noun->name, "reader") != sends)
		return shmipc_rwlock_read_lock(e->peer, &e->s->rwlock, until_ns);
	return shmipc_rwlock_write_lock(e->peer, &e->s->rwlock, until_ns);
}

static int noun_send_once(struct noun_end *e, size_t len, uint64_t until_ns)
{
	int ret = e->moved ? 0 : noun_give(e);

	(void)len;
	(void)until_ns;
	e->moved = e->moved || !ret;
	return ret;
}

static int noun_recv_once(struct noun_end *e, uint64_t until_ns)
{
	int ret = e->moved ? 0 : noun_take(e, false, until_ns);

	e->moved = e->moved || !ret || ret == -EOWNERDEAD;
	return ret;
}

static int noun_open_role(struct noun_end *e, const char *name, bool sends)
{
	int err = shmipc_deadman_open(&e->deadman, name, NULL);

	return err || !sends ? err : noun_take(e, sends, 0);
}

static int noun_open_lock(struct noun_end *e, const char *name, bool sends)
{
	int err = shmipc_lock_open(&e->lock, name, NULL);

	return err || !sends ? err : noun_take(e, sends, 0);
}

static int noun_open_peer(struct noun_end *e, const char *name, bool sends)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = SHMIPC_CREATE, .kind = SHMIPC_KIND_RAW,
							   .bytes = sizeof(*e->s));
	int err = shmipc_segment_open(&e->seg, name, &o);

	if (err)
		return err;
	e->s = (struct noun_state *)shmipc_segment_data(e->seg, NULL);
	err = shmipc_peer_join(&e->peer, e->seg, NULL);
	if (!err && sends && !strcmp(e->noun->name, "units"))
		err = shmipc_sem_init(&e->s->sem, 1, SHMIPC_SEM_ROBUST);
	if (!err && sends && !strcmp(e->noun->name, "barrier"))
		err = shmipc_barrier_init(&e->s->barrier, 2);
	return err || !sends || !e->noun->is_had ? err : noun_take(e, sends, 0);
}

/* Tokens, under a mutex and with a condition */

static int noun_send_token(struct noun_end *e, size_t len, uint64_t until_ns)
{
	int ret = shmipc_mutex_lock(e->peer, &e->s->mutex, until_ns);

	(void)len;
	if (ret)
		return ret;
	e->s->tokens++;
	ret = shmipc_mutex_unlock(e->peer, &e->s->mutex);
	return ret ? ret : shmipc_cond_signal(e->peer, &e->s->cond);
}

static int noun_recv_token(struct noun_end *e, uint64_t until_ns)
{
	int ret = shmipc_mutex_lock(e->peer, &e->s->mutex, until_ns), err;

	if (ret)
		return ret;
	while (!ret && !e->s->tokens)
		ret = shmipc_cond_wait(e->peer, &e->s->cond, &e->s->mutex, until_ns);
	if (!ret)
		e->s->tokens--;
	err = shmipc_mutex_unlock(e->peer, &e->s->mutex);
	return ret ? ret : err;
}

static int noun_send_unit(struct noun_end *e, size_t len, uint64_t until_ns)
{
	(void)len;
	(void)until_ns;
	return shmipc_sem_post(e->peer, &e->s->sem, 1);
}

static int noun_recv_unit(struct noun_end *e, uint64_t until_ns)
{
	return shmipc_sem_wait(e->peer, &e->s->sem, until_ns);
}

static int noun_come(struct noun_end *e, size_t len, uint64_t until_ns)
{
	int ret = shmipc_barrier_wait(e->peer, &e->s->barrier, until_ns);

	(void)len;
	return ret < 0 ? ret : 0;
}

/* If the other one does not come it is broken: it is made anew. */
static int noun_await(struct noun_end *e, uint64_t until_ns)
{
	int ret = noun_come(e, 0, until_ns);

	return ret == -ETIMEDOUT ? shmipc_barrier_init(&e->s->barrier, 2) ?: ret : ret;
}

#define NOUN_ONE	.send = noun_send_once, .recv = noun_recv_once, .is_had = true

static const struct noun noun_all[] = {
	{ "ring", noun_open_ring, noun_send_ring, noun_recv_ring, .eintr = true },
	{ "topic", noun_open_topic, noun_send_topic, noun_recv_topic, .eintr = true },
	{ "event", noun_open_event, noun_send_event, noun_recv_event, .eintr = true },
	{ "queue", noun_open_queue, noun_send_item, noun_recv_item, .eintr = true },
	{ "deadman", noun_open_role, NOUN_ONE, .eintr = true },
	{ "lock", noun_open_lock, NOUN_ONE, .eintr = true },
	{ "mutex", noun_open_peer, NOUN_ONE },
	{ "reader", noun_open_peer, NOUN_ONE },
	{ "writer", noun_open_peer, NOUN_ONE },
	{ "units", noun_open_peer, NOUN_ONE },
	{ "sem", noun_open_peer, noun_send_unit, noun_recv_unit, .is_had = false },
	{ "cond", noun_open_peer, noun_send_token, noun_recv_token, .is_had = false },
	{ "barrier", noun_open_peer, noun_come, noun_await, .is_mutual = true },
};

static inline const struct noun *noun_find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(noun_all); i++)
		if (!strcmp(noun_all[i].name, name))
			return &noun_all[i];
	fprintf(stderr, "# there is no noun \"%s\"\n", name);
	abort();
}

/* 0 or -errno. After a failure too, noun_close() */
static inline int noun_open(struct noun_end *e, const struct noun *n, const char *name, bool sends)
{
	memset(e, 0, sizeof(*e));
	e->noun = n;
	return n->open(e, name, sends);
}

static inline void noun_close(struct noun_end *e)
{
	shmipc_channel_close(e->ch);
	shmipc_pub_close(e->pub);
	shmipc_sub_close(e->sub);
	shmipc_notifier_close(e->notifier);
	shmipc_listener_close(e->listener);
	shmipc_deadman_close(e->deadman);
	shmipc_lock_close(e->lock);
	shmipc_push_close(e->push);
	shmipc_pop_close(e->pop);
	shmipc_peer_leave(e->peer);
	shmipc_segment_close(e->seg);
	memset(e, 0, sizeof(*e));
}

#endif /* TEST_NOUNS_H */
