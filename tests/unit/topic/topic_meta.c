// SPDX-License-Identifier: MIT
/* topic_meta: meta fields and headers of messages; the user's own copiers */
#include <sys/mman.h>

#include "topic_ends.h"

FIXTURE(topic_meta) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_headers h;
	struct shmipc_middleware_chain chain;
	struct shmipc_msg m;
	size_t len;
};

/* Messages in the log, or in the pool. */
FIXTURE_VARIANT(topic_meta) {
	size_t len;
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(topic_meta, cell) { 50, 0 };
FIXTURE_VARIANT_ADD(topic_meta, pool) { 5000, 0 };
FIXTURE_VARIANT_ADD(topic_meta, no_pool) { 50, SHMIPC_NO_POOL };

FIXTURE_SETUP(topic_meta)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.flags = variant->flags;
	self->t.inline_bytes = 1008;
	self->len = variant->len;
	if (variant->flags)
		self->t.pool_bytes = 0;
}

FIXTURE_TEARDOWN(topic_meta)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	shmipc_headers_free(&self->h);
	shmipc_middleware_free(&self->chain);
	env_tear_down(&self->env);
}

static int begin(FIXTURE_DATA(topic_meta) *self, const struct shmipc_pub_opts *po)
{
	int ret = shmipc_pub_open(&self->pub, TOPIC, &self->t, po);

	return ret ? ret : sub_open(&self->sub, NULL, 0, 0);
}

static uint64_t clock_now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Publish a message in one of the possible ways. Return: 0; -errno. */
static int send_by(struct shmipc_pub *pub, int way, uint64_t n, size_t len,
		   const struct shmipc_headers *h)
{
	struct shmipc_loan l;
	int ret;

	if (way == 0 && !h)
		return put_len(pub, n, len);
	if (way < 2) {
		unsigned char *buf = malloc(len);

		msg_fill(buf, len, SEED, n);
		ret = shmipc_pub_send_with(pub, h, buf, len, 0);
		free(buf);
		return ret;
	}
	ret = shmipc_pub_loan(pub, len, h, &l, 0);
	if (ret)
		return ret;
	msg_fill(l.ptr, len, SEED, n);
	return shmipc_pub_publish(pub, &l, len, 0);
}

TEST_F(topic_meta, each_field_alone_and_all_together)
{
	uint64_t mono, wall, i;
	uint32_t meta;
	int way;

	for (meta = 0; meta <= SHMIPC_META_ALL; meta++) {
		self->t.meta = meta;
		ASSERT_EQ(0, begin(self, NULL)) TH_LOG("%s", shmipc_error_text());
		for (i = 0; i < 9; i++) {
			way = (int)i % 3;
			mono = clock_now(CLOCK_MONOTONIC);
			wall = clock_now(CLOCK_REALTIME);
			ASSERT_EQ(0, send_by(self->pub, way, i, self->len, NULL));
			ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
			EXPECT_TRUE(msg_is(&self->m, i, self->len)) TH_LOG("meta %u way %d", meta, way);
			EXPECT_EQ(i, self->m.seq);
			EXPECT_EQ(0, self->m.pub_slot);
			EXPECT_EQ(meta & SHMIPC_META_PUB_ID ? pub_stat(self->pub).id : 0, self->m.pub_id);
			EXPECT_EQ(meta & SHMIPC_META_PUB_SEQ ? i : 0, self->m.pub_seq);
			if (meta & SHMIPC_META_MONO) {
				EXPECT_LE(mono, self->m.mono_ns);
				EXPECT_GE(clock_now(CLOCK_MONOTONIC), self->m.mono_ns);
			} else {
				EXPECT_EQ(0, self->m.mono_ns);
			}
			if (meta & SHMIPC_META_WALL) {
				EXPECT_LE(wall, self->m.wall_ns);
				EXPECT_GE(clock_now(CLOCK_REALTIME), self->m.wall_ns);
			} else {
				EXPECT_EQ(0, self->m.wall_ns);
			}
			EXPECT_EQ(NULL, self->m.headers);
			EXPECT_EQ(0, self->m.headers_len);
			shmipc_sub_release(self->sub, &self->m);
			/* A plain receive gives the payload alone. */
			ASSERT_EQ(0, send_by(self->pub, way, i, self->len, NULL));
			EXPECT_EQ((int64_t)self->len, get_len(self->sub, i, self->len));
			/* Both counts continue together. */
			i = shmipc_sub_seq(self->sub);
		}
		shmipc_sub_close(self->sub);
		shmipc_pub_close(self->pub);
		self->sub = NULL;
		self->pub = NULL;
	}
}

TEST_F(topic_meta, two_publishers_are_distinguished)
{
	struct shmipc_pub *two;
	uint64_t id;

	self->t.meta = SHMIPC_META_PUB_ID | SHMIPC_META_PUB_SEQ;
	ASSERT_EQ(0, begin(self, NULL));
	ASSERT_EQ(0, shmipc_pub_open(&two, TOPIC, NULL, NULL));
	id = pub_stat(two).id;
	EXPECT_NE(id, pub_stat(self->pub).id);
	ASSERT_EQ(0, put_len(self->pub, 0, self->len));
	ASSERT_EQ(0, put_len(two, 0, self->len));
	ASSERT_EQ(0, put_len(two, 0, self->len));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
	EXPECT_EQ(pub_stat(self->pub).id, self->m.pub_id);
	shmipc_sub_release(self->sub, &self->m);
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
	EXPECT_EQ(id, self->m.pub_id);
	EXPECT_EQ(0, self->m.pub_seq);
	EXPECT_EQ(1, self->m.pub_slot);
	shmipc_sub_release(self->sub, &self->m);
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
	EXPECT_EQ(1, self->m.pub_seq);
	EXPECT_EQ(2, self->m.seq);
	shmipc_sub_release(self->sub, &self->m);
	shmipc_pub_close(two);
}

TEST_F(topic_meta, batch_numbers_its_messages)
{
	uint64_t n[5], i;
	struct shmipc_buf v[5];

	self->t.meta = SHMIPC_META_ALL;
	ASSERT_EQ(0, begin(self, NULL));
	for (i = 0; i < 5; i++) {
		n[i] = i;
		v[i] = (struct shmipc_buf){ &n[i], 8 };
	}
	ASSERT_EQ(0, shmipc_pub_send_batch(self->pub, v, 5, 0));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
		EXPECT_EQ(i, *(const uint64_t *)self->m.ptr);
		EXPECT_EQ(i, self->m.pub_seq);
		EXPECT_NE(0, self->m.mono_ns);
		shmipc_sub_release(self->sub, &self->m);
	}
	v[3].len = 1008 - 31;		/* with the meta fields it does not fit */
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_send_batch(self->pub, v, 5, 0));
	v[3].len = SIZE_MAX - 7;
	EXPECT_EQ(-EMSGSIZE, shmipc_pub_send_batch(self->pub, v, 5, 0));
	EXPECT_EQ(-EAGAIN, get(self->sub));
}

/* The value of a header of the present message, or an error's name. */
static const char *header(const struct shmipc_msg *m, const char *key, size_t n)
{
	static char value[300];
	struct shmipc_headers_view v;
	size_t len = 0;

	if (!m->headers)
		return "no headers";
	if (shmipc_headers_view_init(&v, m->headers, m->headers_len))
		return "no view";
	if (shmipc_headers_view_get(&v, key, n, value, sizeof(value) - 1, &len))
		return "none";
	value[len] = 0;
	return value;
}

TEST_F(topic_meta, headers_of_the_user)
{
	uint64_t n;
	int way;

	for (self->t.meta = 0; self->t.meta <= SHMIPC_META_ALL; self->t.meta += 5) {
		ASSERT_EQ(0, begin(self, NULL));
		shmipc_headers_clear(&self->h);
		ASSERT_EQ(0, shmipc_headers_add(&self->h, "frame", "map", 3));
		ASSERT_EQ(0, shmipc_headers_add(&self->h, "frame", "odom", 4));
		ASSERT_EQ(0, shmipc_headers_add(&self->h, "k", NULL, 0));
		for (n = 0; n < 9; n++) {
			way = (int)n % 3;
			ASSERT_EQ(0, send_by(self->pub, way, n, self->len, &self->h)) TH_LOG("%d", way);
			ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
			EXPECT_TRUE(msg_is(&self->m, n, self->len));
			EXPECT_STREQ("map", header(&self->m, "frame", 0));
			EXPECT_STREQ("odom", header(&self->m, "frame", 1));
			EXPECT_STREQ("", header(&self->m, "k", 0));
			EXPECT_STREQ("none", header(&self->m, "other", 0));
			EXPECT_EQ(self->t.meta & SHMIPC_META_PUB_SEQ ? n : 0, self->m.pub_seq);
			shmipc_sub_release(self->sub, &self->m);
		}
		EXPECT_EQ(3, shmipc_headers_count(&self->h, NULL)) TH_LOG("not changed");
		/* The next message without headers has none. */
		ASSERT_EQ(0, send_by(self->pub, 0, 0, self->len, NULL));
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
		EXPECT_EQ(NULL, self->m.headers);
		shmipc_sub_release(self->sub, &self->m);
		shmipc_sub_close(self->sub);
		shmipc_pub_close(self->pub);
		self->sub = NULL;
		self->pub = NULL;
	}
}

static int counts(struct shmipc_headers *h, const struct shmipc_msg_meta *meta, void *arg)
{
	int *n = arg;
	char text[16];

	(void)snprintf(text, sizeof(text), "%d", ++*n);
	if (*n == 4)
		return -ECANCELED;
	if (meta->pub_seq > 1000 || (meta->payload && meta->len < 50))
		return -EBADMSG;
	return shmipc_headers_set(h, "count", text, strlen(text));
}

/* AlephZero: middleware that fills in times, ids and numbers */
TEST_F(topic_meta, chain_of_functions)
{
	struct shmipc_pub_opts po = { .struct_bytes = sizeof(po), .chain = &self->chain };
	struct shmipc_headers_const c = { "model", "x1", 2 };
	struct shmipc_buf v = { "x", 1 };
	int n = 0, way;

	ASSERT_EQ(0, shmipc_middleware_add(&self->chain, shmipc_headers_time_mono, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&self->chain, shmipc_headers_time_wall, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&self->chain, shmipc_headers_pub_id, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&self->chain, shmipc_headers_pub_seq, NULL));
	ASSERT_EQ(0, shmipc_middleware_add(&self->chain, shmipc_headers_constant, &c));
	ASSERT_EQ(0, shmipc_middleware_add(&self->chain, counts, &n));
	ASSERT_EQ(0, begin(self, &po));
	ASSERT_EQ(0, shmipc_headers_add(&self->h, "mine", "yes", 3));
	for (way = 0; way < 3; way++) {
		ASSERT_EQ(0, send_by(self->pub, way, (uint64_t)way, self->len, way ? &self->h : NULL));
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
		EXPECT_TRUE(msg_is(&self->m, (uint64_t)way, self->len));
		EXPECT_STREQ(way == 0 ? "1" : way == 1 ? "2" : "3", header(&self->m, "count", 0));
		EXPECT_STREQ("x1", header(&self->m, "model", 0));
		EXPECT_STREQ(way ? "yes" : "none", header(&self->m, "mine", 0));
		EXPECT_NE(0, strcmp("none", header(&self->m, SHMIPC_KEY_TIME_MONO, 0)));
		EXPECT_NE(0, strcmp("none", header(&self->m, SHMIPC_KEY_TIME_WALL, 0)));
		EXPECT_NE(0, strcmp("none", header(&self->m, SHMIPC_KEY_PUB_ID, 0)));
		EXPECT_NE(0, strcmp("none", header(&self->m, SHMIPC_KEY_PUB_SEQ, 0)));
		shmipc_sub_release(self->sub, &self->m);
	}
	/* A function that fails stops the publishing, and its error is returned. */
	EXPECT_EQ(-ECANCELED, send_by(self->pub, 0, 0, self->len, NULL));
	n = 3;
	EXPECT_EQ(-ECANCELED, send_by(self->pub, 2, 0, self->len, NULL));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(-EINVAL, shmipc_pub_send_batch(self->pub, &v, 1, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "chain"));
	EXPECT_EQ(0, send_by(self->pub, 0, 9, self->len, NULL));
	EXPECT_EQ((int64_t)self->len, get_len(self->sub, 9, self->len));
	EXPECT_EQ(0, shmipc_pool_count_held(log_of(self->pub)));
}

/* Headers take room: a payload that fits without them may not fit with them. */
TEST_F(topic_meta, headers_take_room)
{
	size_t max;
	char big[900];

	self->t.meta = SHMIPC_META_ALL;
	ASSERT_EQ(0, begin(self, NULL));
	max = pub_stat(self->pub).max_message;
	EXPECT_EQ(variant->flags ? 1008 - 32 : 256 * 1024 - 32, max);
	EXPECT_EQ(0, put_len(self->pub, 1, max));
	EXPECT_EQ((int64_t)max, get_len(self->sub, 1, max));
	memset(big, 'h', sizeof(big));
	ASSERT_EQ(0, shmipc_headers_add(&self->h, "big", big, sizeof(big)));
	EXPECT_EQ(-EMSGSIZE, send_by(self->pub, 1, 1, max, &self->h));
	EXPECT_EQ(-EMSGSIZE, send_by(self->pub, 2, 1, max, &self->h));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	/* A small payload, with headers too large for a cell. */
	EXPECT_EQ(variant->flags ? -EMSGSIZE : 0, send_by(self->pub, 1, 1, 100, &self->h));
	if (!variant->flags) {
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
		EXPECT_TRUE(msg_is(&self->m, 1, 100));
		EXPECT_EQ(0, (uintptr_t)self->m.ptr % 16);
		EXPECT_NE(NULL, self->m.headers);
		shmipc_sub_release(self->sub, &self->m);
	}
}

/* Loans with headers that cannot be published leave nothing behind. */
TEST_F(topic_meta, loan_with_headers_dropped)
{
	struct shmipc_loan l;
	int i;

	ASSERT_EQ(0, begin(self, NULL));
	ASSERT_EQ(0, shmipc_headers_add(&self->h, "a", "b", 1));
	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, shmipc_pub_loan(self->pub, self->len, &self->h, &l, 0));
		shmipc_pub_drop(self->pub, &l);
	}
	ASSERT_EQ(0, send_by(self->pub, 2, 3, self->len, &self->h));
	ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
	EXPECT_STREQ("b", header(&self->m, "a", 0));
	shmipc_sub_release(self->sub, &self->m);
}

/* A copier of the user, to memory that only the copier can access. */
struct vault {
	int allocs, frees, to, from, fail;
	bool bad;
};

static size_t rounded(size_t n)
{
	return (n + 4095) / 4096 * 4096 + 4096;
}

static void *vault_alloc(size_t bytes, void *arg)
{
	struct vault *v = arg;
	unsigned char *p = mmap(NULL, rounded(bytes), PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	*(size_t *)(void *)p = bytes;
	(void)mprotect(p, rounded(bytes), PROT_NONE);
	v->allocs++;
	return p + 4096;
}

static void vault_free(void *ptr, void *arg)
{
	struct vault *v = arg;
	unsigned char *p = ptr;

	if (!p)
		return;
	p -= 4096;
	(void)mprotect(p, 4096, PROT_READ);
	(void)munmap(p, rounded(*(size_t *)(void *)p));
	v->frees++;
}

static int vault_to(void *dst, const void *src, size_t n, void *arg)
{
	struct vault *v = arg;
	unsigned char *p = (unsigned char *)(uintptr_t)src;

	v->to++;
	if (v->fail)
		return -EIO;
	(void)mprotect(p, rounded(n) - 4096, PROT_READ);
	memcpy(dst, src, n);
	(void)mprotect(p, rounded(n) - 4096, PROT_NONE);
	return 0;
}

static int vault_from(void *dst, const void *src, size_t n, void *arg)
{
	struct vault *v = arg;

	v->from++;
	if (v->fail)
		return -EIO;
	(void)mprotect(dst, rounded(n) - 4096, PROT_READ | PROT_WRITE);
	memcpy(dst, src, n);
	(void)mprotect(dst, rounded(n) - 4096, PROT_NONE);
	return 0;
}

/* Is it message @n, in the vault? */
static int vault_has(void *ptr, uint64_t n, size_t len)
{
	int ret;

	(void)mprotect(ptr, rounded(len) - 4096, PROT_READ);
	ret = msg_ok(ptr, len, SEED, n);
	(void)mprotect(ptr, rounded(len) - 4096, PROT_NONE);
	return ret;
}

TEST_F(topic_meta, copier_of_the_user)
{
	struct vault v = { 0 };
	struct shmipc_copier c = { sizeof(c), "vault", vault_alloc, vault_free, vault_to, vault_from, &v };
	struct shmipc_pub_opts po = { .struct_bytes = sizeof(po), .copier = &c };
	struct shmipc_sub_opts so = sub_opts(0, 0);
	void *buf;
	uint64_t n;
	size_t got = 0;

	self->t.meta = SHMIPC_META_ALL;
	so.copier = &c;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, &po));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &so));
	buf = vault_alloc(self->len, &v);
	ASSERT_EQ(0, shmipc_headers_add(&self->h, "a", "b", 1));
	for (n = 0; n < 20; n++) {
		(void)mprotect(buf, rounded(self->len) - 4096, PROT_READ | PROT_WRITE);
		msg_fill(buf, self->len, SEED, n);
		(void)mprotect(buf, rounded(self->len) - 4096, PROT_NONE);
		ASSERT_EQ(0, shmipc_pub_send_with(self->pub, n % 2 ? &self->h : NULL, buf, self->len, 0));
		if (n % 3) {
			ASSERT_EQ(0, shmipc_sub_recv(self->sub, buf, self->len, &got, 0));
			EXPECT_EQ(self->len, got);
			EXPECT_TRUE(vault_has(buf, n, self->len));
			continue;
		}
		ASSERT_EQ(0, shmipc_sub_take(self->sub, &self->m, 0));
		EXPECT_EQ(n, self->m.pub_seq);
		EXPECT_EQ(self->len, self->m.len);
		EXPECT_STREQ(n % 2 ? "b" : "no headers", header(&self->m, "a", 0));
		if (variant->flags) {	/* else it is in the pool, and stays there */
			EXPECT_TRUE(vault_has((void *)(uintptr_t)self->m.ptr, n, self->len));
		} else {
			EXPECT_TRUE(msg_is(&self->m, n, self->len));
		}
		shmipc_sub_release(self->sub, &self->m);
	}
	EXPECT_EQ(20, v.to);
	/* The call returns the copier's error; nothing is published, nothing received. */
	v.fail = 1;
	EXPECT_EQ(-EIO, shmipc_pub_send(self->pub, buf, self->len, 0));
	v.fail = 0;
	EXPECT_EQ(0, shmipc_pub_send(self->pub, buf, self->len, 0));
	v.fail = 1;
	EXPECT_EQ(-EIO, shmipc_sub_recv(self->sub, buf, self->len, &got, 0));
	v.fail = 0;
	EXPECT_EQ(0, shmipc_sub_recv(self->sub, buf, self->len, &got, 0)) TH_LOG("it has stayed");
	EXPECT_EQ(-EAGAIN, shmipc_sub_recv(self->sub, buf, self->len, &got, 0));
	EXPECT_EQ(21, pub_stat(self->pub).next);
	vault_free(buf, &v);
	shmipc_sub_close(self->sub);
	self->sub = NULL;
	EXPECT_EQ(v.allocs, v.frees);
}

/* All copiers of the library copy the same bytes. */
static int by_this_one(const struct shmipc_copier *copier, int err, void *arg)
{
	FIXTURE_DATA(topic_meta) *self = arg;
	struct shmipc_pub_opts po = { .struct_bytes = sizeof(po), .copier = copier };
	struct shmipc_sub_opts so = sub_opts(0, 0);
	int ret;

	if (err)
		return 0;
	so.copier = copier;
	ret = shmipc_pub_open(&self->pub, TOPIC, &self->t, &po);
	if (!ret)
		ret = shmipc_sub_open(&self->sub, TOPIC, NULL, &so);
	if (!ret)
		ret = put_len(self->pub, 5, self->len) || put_len(self->pub, 6, self->len) ||
		      get_len(self->sub, 5, self->len) != (int64_t)self->len ||
		      shmipc_sub_take(self->sub, &self->m, 0) || !msg_is(&self->m, 6, self->len);
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	self->sub = NULL;
	self->pub = NULL;
	return ret;
}

TEST_F(topic_meta, copiers_of_the_library)
{
	EXPECT_EQ(0, shmipc_copier_each(by_this_one, self));
	shmipc_copier_mt_close();
}

TEST_HARNESS_MAIN
