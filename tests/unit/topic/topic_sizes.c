// SPDX-License-Identifier: MIT
/* topic_sizes: cells, meta fields and messages at their smallest and largest, in every combination */
#include "topic_ends.h"

#define BUF	(128u << 10)

static const uint64_t inlines[] = { 1, 8, 16, 24, 32, 40, 64, 1008, SHMIPC_TOPIC_CELL_MAX };
static const uint32_t metas[] = { 0, SHMIPC_META_PUB_ID, SHMIPC_META_PUB_ID | SHMIPC_META_MONO,
				  SHMIPC_META_ALL };
static const size_t lens[] = { 0, 1, 8, 31, 32, 33, 1008, 4096, 65520, 100000, 64u << 20,
			       SIZE_MAX / 2, SIZE_MAX - 32, SIZE_MAX - 7, SIZE_MAX };

static unsigned char out[BUF], in[BUF];

/* A buffer of @len bytes; the largest lengths have no memory, and must not be read. */
struct attempt {
	struct shmipc_pub *pub;
	const struct shmipc_headers *h;
	size_t len;
};

static int by_send(const struct attempt *a)
{
	return shmipc_pub_send(a->pub, out, a->len, 0);
}

static int by_send_with(const struct attempt *a)
{
	return shmipc_pub_send_with(a->pub, a->h, out, a->len, 0);
}

static int by_batch(const struct attempt *a)
{
	struct shmipc_buf v[1] = { { .ptr = out, .len = a->len } };

	return shmipc_pub_send_batch(a->pub, v, 1, 0);
}

static int by_loan(const struct attempt *a)
{
	struct shmipc_loan loan;
	int ret = shmipc_pub_loan(a->pub, a->len, NULL, &loan, 0);

	if (ret)
		return ret;
	memcpy(loan.ptr, out, a->len);
	return shmipc_pub_publish(a->pub, &loan, a->len, 0);
}

static int (*const ways[])(const struct attempt *a) = { by_send, by_send_with, by_batch, by_loan };

FIXTURE(sizes) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_headers h;
	int sent, refused;
};

FIXTURE_VARIANT(sizes) {
	uint32_t flags;
};

FIXTURE_VARIANT_ADD(sizes, pool) { 0 };
FIXTURE_VARIANT_ADD(sizes, no_pool) { SHMIPC_NO_POOL };

FIXTURE_SETUP(sizes)
{
	size_t i;

	env_set_up(&self->env);
	for (i = 0; i < BUF; i++)
		out[i] = (unsigned char)(i * 7 + 3);
	shmipc_headers_init(&self->h);
	ASSERT_EQ(0, shmipc_headers_add(&self->h, "key", "value", 5));
}

FIXTURE_TEARDOWN(sizes)
{
	shmipc_headers_free(&self->h);
	env_tear_down(&self->env);
}

static int marker(struct shmipc_pub *pub)
{
	int ret = shmipc_pub_send(pub, "", 0, 0);

	return ret == -EMSGSIZE ? 1 : ret;	/* the meta fields alone do not fit */
}

static int got(struct shmipc_sub *sub, size_t len)
{
	size_t n = 1;
	int ret = shmipc_sub_recv(sub, in, sizeof(in), &n, 0);

	if (ret)
		return ret;
	return n != len ? -EBADMSG : memcmp(in, out, len) ? -EILSEQ : 0;
}

/* Between two empty messages, which must not change. */
static int one(FIXTURE_DATA(sizes) *self, size_t way, size_t len)
{
	struct attempt a = { self->pub, &self->h, len };
	int before = marker(self->pub), ret = ways[way](&a), after = marker(self->pub);

	CHECK(before == after && before >= 0);
	CHECK(ret == 0 || ret == -EMSGSIZE || ret == -E2BIG);
	CHECK(before || !got(self->sub, 0));
	CHECK(ret || !got(self->sub, len));
	CHECK(after || !got(self->sub, 0));
	CHECK(got(self->sub, 0) == -EAGAIN);
	self->sent += !ret;
	self->refused += !!ret;
	return 0;
}

static int every_way_and_length(FIXTURE_DATA(sizes) *self)
{
	struct shmipc_pub_stat st = { .struct_bytes = sizeof(st) };
	size_t w, i;

	CHECK(!shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	CHECK(!sub_open(&self->sub, NULL, 0, 0));
	CHECK(!shmipc_pub_get_stat(self->pub, &st));
	for (w = 0; w < ARRAY_SIZE(ways); w++) {
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			if (lens[i] > BUF && lens[i] <= st.max_message)
				continue;	/* would fit, but there is no such buffer */
			if (one(self, w, lens[i])) {
				fprintf(stderr, "# inline %llu, meta %#x, way %zu, length %zu\n",
					(unsigned long long)self->t.inline_bytes, self->t.meta, w, lens[i]);
				return 1;
			}
		}
	}
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	return 0;
}

TEST_F(sizes, a_message_is_delivered_whole_or_refused_and_its_neighbours_stay)
{
	size_t i, m;

	for (i = 0; i < ARRAY_SIZE(inlines); i++) {
		for (m = 0; m < ARRAY_SIZE(metas); m++) {
			self->t = topic_small();
			self->t.flags = variant->flags;
			self->t.inline_bytes = inlines[i];
			self->t.meta = metas[m];
			self->t.pool_bytes = variant->flags ? 0 : 1u << 20;
			ASSERT_EQ(0, every_way_and_length(self));
		}
	}
	TH_LOG("%d delivered, %d refused", self->sent, self->refused);
	EXPECT_LT(200, self->sent);
	EXPECT_LT(200, self->refused);
}

TEST_HARNESS_MAIN
