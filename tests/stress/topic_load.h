/* SPDX-License-Identifier: MIT */
/*
 * topic_load.h - messages of the stress programs of topics, and their checks
 *
 * A message begins with a key: its publisher (a number that no other process of the
 * program has) and its number among that publisher's. Key and seed determine its length
 * and all its bytes. Most messages are in the log, some in the pool.
 */
#ifndef TEST_TOPIC_LOAD_H
#define TEST_TOPIC_LOAD_H

#include <sys/mman.h>

#include "stress.h"

#define TOPIC		"stress"
#define BIG_MAX		12000u	/* bytes of the largest message */
#define BATCH_MAX	16u
#define LAST		0xffffffffu	/* message number: the last one */
#define PATIENCE_NS	UINT64_C(10000000000)	/* no call may take as long as this */
#define KEEP		4u	/* messages that one subscriber holds */

static inline uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s && *s ? strtoull(s, NULL, 0) : otherwise;
}

static inline uint64_t load_key(uint32_t who, uint32_t n)
{
	return (uint64_t)who << 32 | n;
}

static inline size_t load_len(uint64_t key)
{
	return 8 + stress_len(key, (key & 7) ? 500 : BIG_MAX - 8);
}

static inline void load_fill(void *buf, uint64_t key)
{
	memcpy(buf, &key, 8);
	msg_fill((unsigned char *)buf + 8, load_len(key) - 8, stress_seed, key);
}

/* Store its key in *@ret_key. 0: it is not intact. */
static inline int load_ok(const void *buf, size_t len, uint64_t *ret_key)
{
	if (len < 8)
		return 0;
	memcpy(ret_key, buf, 8);
	return len == load_len(*ret_key) &&
	       msg_ok((const unsigned char *)buf + 8, len - 8, stress_seed, *ret_key);
}

/* Publishing */

struct load_pub {
	struct shmipc_pub *pub;
	struct rng r;
	uint32_t who;
	uint32_t n;		/* published */
	uint64_t longest_ns;	/* of one call */
	unsigned char buf[BATCH_MAX][1024];
	unsigned char big[BIG_MAX];
};

static inline void load_blocked(struct load_pub *p, int ret)
{
	struct shmipc_blocked b = { 0 };

	(void)shmipc_pub_blocked(p->pub, &b);
	WRONG("publisher %u message %u: %s; in the way: role %u slot %u pid %u \"%s\" policy %u at %llu, %llu behind",
	      p->who, p->n, shmipc_error_name(ret), b.role, b.slot, b.pid, b.comm, b.policy,
	      (unsigned long long)b.pos, (unsigned long long)b.behind);
}

static inline int load_batch(struct load_pub *p, uint32_t most)
{
	uint32_t n = 1 + (uint32_t)rng_below(&p->r, BATCH_MAX), i;
	struct shmipc_buf v[BATCH_MAX];
	int ret;

	for (i = 0; i < n && i < most; i++) {
		v[i].len = load_len(load_key(p->who, p->n + i));
		if (v[i].len > 240)
			break;
		v[i].ptr = p->buf[i];
		load_fill(p->buf[i], load_key(p->who, p->n + i));
	}
	if (!i)
		return 1;
	ret = shmipc_pub_send_batch(p->pub, v, i, shmipc_deadline_in(PATIENCE_NS));
	if (!ret)
		p->n += i;
	return ret;
}

static inline int load_loan(struct load_pub *p)
{
	uint64_t key = load_key(p->who, p->n), until = shmipc_deadline_in(PATIENCE_NS);
	struct shmipc_loan l, other;
	size_t len = load_len(key);
	int drop = rng_chance(&p->r, 4), ret;

	if (drop && shmipc_pub_loan(p->pub, (size_t)rng_below(&p->r, 9000), NULL, &other, 0))
		drop = 0;
	ret = shmipc_pub_loan(p->pub, len + (size_t)rng_below(&p->r, 300), NULL, &l, until);
	if (!ret) {
		load_fill(l.ptr, key);
		ret = shmipc_pub_publish(p->pub, &l, len, until);
		if (ret)
			shmipc_pub_drop(p->pub, &l);
	}
	if (drop)
		shmipc_pub_drop(p->pub, &other);
	p->n += !ret;
	return ret;
}

/* One message or a batch of at most @most. 0, or an error. */
static inline int load_publish(struct load_pub *p, uint32_t most)
{
	uint64_t key, began = now_ns(), took;
	int ret = 1;

	switch (rng_below(&p->r, 8)) {
	case 0:
		ret = load_batch(p, most);
		break;
	case 1:
		ret = load_loan(p);
		break;
	}
	if (ret == 1) {
		key = load_key(p->who, p->n);
		load_fill(p->big, key);
		ret = shmipc_pub_send(p->pub, p->big, load_len(key), shmipc_deadline_in(PATIENCE_NS));
		p->n += !ret;
	}
	took = now_ns() - began;
	if (took > p->longest_ns)
		p->longest_ns = took;
	if (ret && ret != -EINTR)
		load_blocked(p, ret);
	return ret == -EINTR ? 0 : ret;
}

/* Receiving */

struct load_from {
	uint32_t who;
	uint32_t n;		/* last received */
	uint64_t count;
};

#define LOAD_FROM	65536u

struct load_sub {
	struct shmipc_sub *sub;
	struct rng r;
	uint64_t begin;		/* number of the first message */
	uint64_t got;
	uint64_t ended;		/* publishers that have sent their last message */
	uint64_t sum;		/* of the others' keys */
	uint64_t lost;		/* as reported */
	int gaps;		/* it may miss some */
	int counted;		/* each number must be received, lost or aborted */
	struct shmipc_msg held[KEEP];
	uint32_t nheld;
	struct load_from *from;	/* by publisher */
	unsigned char buf[BIG_MAX];
};

static inline int load_sub_begin(struct load_sub *s, const struct shmipc_sub_opts *o)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };
	int ret = shmipc_sub_open(&s->sub, TOPIC, NULL, o);

	if (ret)
		return ret;
	free(s->from);
	s->from = (struct load_from *)calloc(LOAD_FROM, sizeof(*s->from));
	(void)shmipc_sub_get_stat(s->sub, &st);
	s->begin = st.next;
	s->got = s->lost = s->ended = 0;
	s->gaps = o->policy == SHMIPC_POLICY_LOSSY || o->group;
	s->counted = !o->group;
	return s->from ? 0 : -ENOMEM;
}

static inline void load_sub_end(struct load_sub *s)
{
	shmipc_sub_close(s->sub);
	free(s->from);
	s->from = NULL;
	s->nheld = 0;
}

static inline void load_note(struct load_sub *s, uint64_t key)
{
	uint32_t who = (uint32_t)(key >> 32), n = (uint32_t)key;
	struct load_from *f = &s->from[who % LOAD_FROM];

	s->got++;
	if (f->who != who || !f->count) {
		*f = (struct load_from){ .who = who, .n = n, .count = 1 };
	} else {
		if (n <= f->n || (!s->gaps && n != LAST && n != f->n + 1))
			WRONG("message %u of publisher %u after %u", n, who, f->n);
		f->n = n;
		f->count++;
	}
	if (n == LAST)
		s->ended++;
	else
		s->sum += rng_mix(key);
}

static inline void load_let_go(struct load_sub *s, uint32_t i)
{
	uint64_t key;

	if (!load_ok(s->held[i].ptr, s->held[i].len, &key))
		WRONG("message %llu changed while it was held", (unsigned long long)s->held[i].seq);
	shmipc_sub_release(s->sub, &s->held[i]);
	s->held[i] = s->held[--s->nheld];
}

/* Check that every number up to our position was received, lost, or aborted. */
static inline void load_sums(struct load_sub *s)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };

	if (shmipc_sub_get_stat(s->sub, &st))
		WRONG("no stat");
	if (st.received != s->got || st.lost != s->lost)
		WRONG("%llu received and %llu lost, but it counts %llu and %llu",
		      (unsigned long long)s->got, (unsigned long long)s->lost,
		      (unsigned long long)st.received, (unsigned long long)st.lost);
	if (s->counted && st.next - s->begin != st.received + st.lost + st.aborted)
		WRONG("from %llu to %llu: %llu received, %llu lost, %llu aborted",
		      (unsigned long long)s->begin, (unsigned long long)st.next,
		      (unsigned long long)st.received, (unsigned long long)st.lost,
		      (unsigned long long)st.aborted);
}

/* Receive one message, by one of the calls. 0; the error of the call; -EBADMSG. */
static inline int load_receive(struct load_sub *s, uint64_t wait_ns)
{
	uint64_t until = wait_ns ? shmipc_deadline_in(wait_ns) : 0, key = 0, from, to;
	struct shmipc_msg m = { 0 };
	int in_place = rng_chance(&s->r, 3), ret;
	size_t len = 0;

	if (in_place && s->nheld == KEEP)
		load_let_go(s, (uint32_t)rng_below(&s->r, KEEP));
	ret = in_place ? shmipc_sub_take(s->sub, &m, until) :
			 shmipc_sub_recv(s->sub, s->buf, sizeof(s->buf), &len, until);
	if (ret == -ESTALE) {
		s->lost += shmipc_sub_lost(s->sub, &from, &to);
		if (!s->gaps)
			WRONG("a lossless subscriber lost %llu to %llu", (unsigned long long)from,
			      (unsigned long long)to);
		return 0;
	}
	if (ret)
		return ret;
	if (!load_ok(in_place ? m.ptr : s->buf, in_place ? m.len : len, &key)) {
		WRONG("message %llu of %zu bytes is not intact", (unsigned long long)shmipc_sub_seq(s->sub),
		      in_place ? m.len : len);
		return -EBADMSG;
	}
	if (in_place)
		s->held[s->nheld++] = m;
	if (in_place && rng_chance(&s->r, 2))
		load_let_go(s, (uint32_t)rng_below(&s->r, s->nheld));
	load_note(s, key);
	if (s->got % 1024 == 0)
		load_sums(s);
	return 0;
}

#endif /* TEST_TOPIC_LOAD_H */
