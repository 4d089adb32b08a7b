/* SPDX-License-Identifier: MIT */
/*
 * topic_ends.h - shared by the tests of topics
 *
 * The bytes of a message are derived from its number and length, so that any receiver
 * can check them. Small messages contain their number.
 */
#ifndef TEST_TOPIC_ENDS_H
#define TEST_TOPIC_ENDS_H

#include "env.h"
#include "rng.h"

#include "topic/topic.h"	/* of lib/ */

#define TOPIC	"lidar/front"
#define SEED	4
#define SOON	shmipc_deadline_in(UINT64_C(20000000000))	/* reached only by a failure */

/* A small topic: 64 entries in lots of 8 with 240 bytes each, a pool of 64 chunks of 4 KiB. */
static inline struct shmipc_topic_opts topic_small(void)
{
	return (struct shmipc_topic_opts){
		.struct_bytes = sizeof(struct shmipc_topic_opts), .publishers = 8, .subscribers = 16,
		.history = 40, .inline_bytes = 240, .pool_bytes = 256 * 1024, .holds = 4,
	};
}

static inline struct shmipc_sub_opts sub_opts(uint32_t start, uint32_t policy)
{
	return (struct shmipc_sub_opts){
		.struct_bytes = sizeof(struct shmipc_sub_opts), .start = start, .policy = policy,
	};
}

static inline int sub_open(struct shmipc_sub **ret, const struct shmipc_topic_opts *t,
			   uint32_t start, uint32_t policy)
{
	struct shmipc_sub_opts o = sub_opts(start, policy);

	return shmipc_sub_open(ret, TOPIC, t, &o);
}

/* Numbers */

static inline int put_until(struct shmipc_pub *pub, uint64_t n, uint64_t deadline_ns)
{
	return shmipc_pub_send(pub, &n, sizeof(n), deadline_ns);
}

static inline int put(struct shmipc_pub *pub, uint64_t n)
{
	return put_until(pub, n, 0);
}

static inline int put_range(struct shmipc_pub *pub, uint64_t from, uint64_t to)
{
	int ret = 0;

	for (; from < to && !ret; from++)
		ret = put(pub, from);
	return ret;
}

/* The number in the next message, or -errno. */
static inline int64_t get_until(struct shmipc_sub *sub, uint64_t deadline_ns)
{
	uint64_t n = 0;
	size_t len = 0;
	int ret = shmipc_sub_recv(sub, &n, sizeof(n), &len, deadline_ns);

	if (!ret && len != sizeof(n))
		return -EBADMSG;
	return ret ? ret : (int64_t)n;
}

static inline int64_t get(struct shmipc_sub *sub)
{
	return get_until(sub, 0);
}

/* Receive @from to @to - 1. Return: 0; -errno; the first number that differs. */
static inline int64_t get_range(struct shmipc_sub *sub, uint64_t from, uint64_t to)
{
	int64_t n;

	for (; from < to; from++) {
		n = get(sub);
		if (n != (int64_t)from)
			return n ? n : INT64_MAX;
	}
	return 0;
}

/* The number in the next message, read in place. */
static inline int64_t take_until(struct shmipc_sub *sub, uint64_t deadline_ns)
{
	struct shmipc_msg m;
	uint64_t n = 0;
	int ret = shmipc_sub_take(sub, &m, deadline_ns);

	if (ret)
		return ret;
	memcpy(&n, m.ptr, m.len < sizeof(n) ? m.len : sizeof(n));
	shmipc_sub_release(sub, &m);
	return (int64_t)n;
}

/* Messages with bytes to check */

static inline int put_len(struct shmipc_pub *pub, uint64_t n, size_t len)
{
	unsigned char *buf = malloc(len + 1);
	int ret;

	if (!buf)
		return -ENOMEM;
	msg_fill(buf, len, SEED, n);
	ret = shmipc_pub_send(pub, buf, len, 0);
	free(buf);
	return ret;
}

/* Receive message @n. Return: its length; -EBADMSG another message or wrong bytes; -errno. */
static inline int64_t get_len(struct shmipc_sub *sub, uint64_t n, size_t cap)
{
	unsigned char *buf = malloc(cap + 1);
	size_t len = 0;
	int64_t ret;

	if (!buf)
		return -ENOMEM;
	ret = shmipc_sub_recv(sub, buf, cap, &len, 0);
	if (!ret)
		ret = msg_ok(buf, len, SEED, n) ? (int64_t)len : -EBADMSG;
	free(buf);
	return ret;
}

static inline int msg_is(const struct shmipc_msg *m, uint64_t n, size_t len)
{
	return m->len == len && msg_ok(m->ptr, len, SEED, n);
}

/* Inside */

static inline const struct shmipc_tlog *log_of(const struct shmipc_pub *pub)
{
	return &pub_priv(pub)->t.seg->log;
}

struct chunks {
	uint32_t free, owned, retired;
};

static inline struct chunks chunks_of(const struct shmipc_tlog *log)
{
	struct chunks c = { 0 };
	uint32_t i;

	for (i = 0; i < log->hdr.chunks; i++)
		switch (shmipc_load_relaxed(&log->chunk[i]) & SHMIPC_CHUNK_STATE) {
		case SHMIPC_CHUNK_FREE:
			c.free++;
			break;
		case SHMIPC_CHUNK_OWNED:
			c.owned++;
			break;
		default:
			c.retired++;
		}
	return c;
}

static inline struct shmipc_sub_stat sub_stat(const struct shmipc_sub *sub)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_sub_get_stat(sub, &st);
	return st;
}

static inline struct shmipc_pub_stat pub_stat(const struct shmipc_pub *pub)
{
	struct shmipc_pub_stat st = { .struct_bytes = sizeof(st) };

	(void)shmipc_pub_get_stat(pub, &st);
	return st;
}

/* The end of a child: it reports 1, and waits to be killed or told to end. */
static inline int stay(struct other *me)
{
	tell(me, 1);
	return hear(me) == UINT64_MAX;
}

#endif /* TEST_TOPIC_ENDS_H */
