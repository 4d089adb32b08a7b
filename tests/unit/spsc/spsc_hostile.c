// SPDX-License-Identifier: MIT
/* spsc: the other end writes invalid data; we return -EPROTO and stay within the ring */
#include <kselftest_harness.h>
#include <shmipc/spsc.h>
#include "ringmem.h"
#include "rng.h"

FIXTURE(spsc_hostile) {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_spsc_tx tx;
	struct shmipc_spsc_rx rx;
	size_t max;
};

FIXTURE_VARIANT(spsc_hostile) {
	uint32_t align;
};

FIXTURE_VARIANT_ADD(spsc_hostile, align8) { 8 };
FIXTURE_VARIANT_ADD(spsc_hostile, align64) { 64 };

FIXTURE_SETUP(spsc_hostile)
{
	ASSERT_EQ(0, ringmem_get(&self->m, MEM_SHARED, &self->r, SHMIPC_KIND_SPSC, 4096,
				 variant->align));
	ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
	ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
	self->max = shmipc_ring_max_payload(SHMIPC_KIND_SPSC, self->r.size);
}

FIXTURE_TEARDOWN(spsc_hostile)
{
	mem_put(&self->m);
}

static uint64_t *next_hdr(FIXTURE_DATA(spsc_hostile) *self)
{
	return shmipc_rec_hdr(self->r.data, self->rx.pos, self->rx.mask);
}

/* The producer's header, wrong in each possible way. */
TEST_F(spsc_hostile, bad_header_is_eproto_and_the_end_is_dead)
{
	const uint64_t good = shmipc_rec_word(SHMIPC_REC_DATA, 10, 0);
	const uint64_t bad[] = {
		good | 1ULL << 48,					/* sequence number */
		good | 1ULL << 40,					/* record version */
		shmipc_rec_word(3, 10, 0),				/* kind */
		shmipc_rec_word(SHMIPC_REC_NONE, 10, 0),
		shmipc_rec_word(SHMIPC_REC_DATA, 4097, 0),		/* past the end */
		shmipc_rec_word(SHMIPC_REC_DATA, UINT32_MAX, 0),
		shmipc_rec_word(SHMIPC_REC_PAD, 4096, 0),		/* pad at a lap's start */
		shmipc_rec_word(SHMIPC_REC_PAD, 8, 0),
		shmipc_rec_word(SHMIPC_REC_PAD, 0, 0),
		UINT64_MAX,
	};
	struct shmipc_cons before;
	const void *p = &p;
	size_t i, len = 77;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
		before = *self->r.cons;
		*next_hdr(self) = bad[i];
		ASSERT_EQ(-EPROTO, shmipc_spsc_peek(&self->rx, &p, &len)) TH_LOG("bad %zu", i);
		/* It stays dead when the bytes are restored. */
		*next_hdr(self) = good;
		ASSERT_EQ(-EPROTO, shmipc_spsc_peek(&self->rx, &p, &len)) TH_LOG("bad %zu", i);
		*next_hdr(self) = 0;
		ASSERT_EQ(-EPROTO, shmipc_spsc_peek(&self->rx, &p, &len)) TH_LOG("bad %zu", i);
		ASSERT_EQ(0, shmipc_spsc_release(&self->rx));
		ASSERT_EQ(0, memcmp(&before, self->r.cons, sizeof(before)));
	}
	EXPECT_EQ((const void *)&p, p);
	EXPECT_EQ(77, len);
}

/* The longest length inside the ring is accepted; one more is not. */
TEST_F(spsc_hostile, length_ends_at_the_rings_end)
{
	const uint64_t room = self->r.size - (self->rx.pos & self->rx.mask);
	const void *p;
	size_t len;

	*next_hdr(self) = shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)room, 0);
	ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &p, &len));
	EXPECT_EQ(self->r.data + self->r.size, (const unsigned char *)p + len);
	*next_hdr(self) = shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)room + 1, 0);
	EXPECT_EQ(-EPROTO, shmipc_spsc_peek(&self->rx, &p, &len));
}

/* After a peek the header may change; what was peeked does not. */
TEST_F(spsc_hostile, header_is_fetched_once)
{
	uint64_t pos = self->rx.pos;
	const void *p;
	size_t len;

	*next_hdr(self) = shmipc_rec_word(SHMIPC_REC_DATA, 10, 0);
	ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &p, &len));
	*next_hdr(self) = shmipc_rec_word(SHMIPC_REC_DATA, 1000, 0);
	shmipc_spsc_release(&self->rx);
	EXPECT_EQ(pos + shmipc_rec_advance(10, variant->align), self->rx.pos);
}

/* Fill the ring, set @head as the consumer, and ask for room. */
static int ask(FIXTURE_DATA(spsc_hostile) *self, uint64_t credit, uint64_t head, void **p)
{
	self->r.cons->credit_pos = credit;
	self->r.cons->head.word = head;
	return shmipc_spsc_reserve(&self->tx, 100, p);
}

static void fill(FIXTURE_DATA(spsc_hostile) *self)
{
	static const char buf[100];

	while (shmipc_spsc_write(&self->tx, buf, sizeof(buf)) == 0)
		;
	shmipc_spsc_publish(&self->tx);
}

TEST_F(spsc_hostile, consumer_ahead_of_the_producer_is_eproto)
{
	void *p = &p;

	fill(self);
	EXPECT_EQ(-EAGAIN, shmipc_spsc_reserve(&self->tx, 100, &p));
	EXPECT_EQ(-EPROTO, ask(self, 0, self->tx.pub_pos + 64, &p));
	/* It stays dead when the value is restored. */
	EXPECT_EQ(-EPROTO, ask(self, 64, self->tx.pub_pos, &p));
	EXPECT_EQ(-EPROTO, shmipc_spsc_write(&self->tx, "", 1));
	EXPECT_EQ((void *)&p, p);
}

TEST_F(spsc_hostile, credit_ahead_of_the_producer_is_eproto)
{
	void *p = &p;

	fill(self);
	EXPECT_EQ(-EPROTO, ask(self, self->tx.pub_pos + 64, 0, &p));
	EXPECT_EQ((void *)&p, p);
}

TEST_F(spsc_hostile, consumer_that_goes_back_is_eproto)
{
	uint64_t two = 0;
	const void *q;
	size_t len;
	void *p;
	int i;

	fill(self);
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &q, &len));
		shmipc_spsc_release(&self->rx);
		if (i == 1)
			two = self->rx.pos;
	}
	ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, 100, &p));	/* sees them */
	shmipc_spsc_abort(&self->tx);
	/* Within one lap of what is published, but a step back. */
	self->r.cons->credit_pos = two;
	self->r.cons->head.word = two;
	EXPECT_EQ(-EPROTO, shmipc_spsc_reserve(&self->tx, self->max, &p));
	EXPECT_EQ(-EPROTO, shmipc_spsc_reserve(&self->tx, 1, &p));
}

/* Whatever the consumer's words, room is never given beyond one lap. */
TEST_F(spsc_hostile, random_words_never_lead_outside)
{
	uint64_t seed = rng_env_seed(), i, n = 0, ok = 0;
	struct rng r = { seed };
	void *p;
	int ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	for (i = 0; i < rng_few(100000); i++) {
		uint64_t v = rng_chance(&r, 2) ? self->tx.pub_pos + rng_below(&r, 9000) - 4500 :
						 rng_next(&r);

		if (rng_chance(&r, 2))
			self->r.cons->credit_pos = v;
		else
			self->r.cons->head.word = v;
		self->r.cons->want_pos = rng_next(&r);
		ret = shmipc_spsc_reserve(&self->tx, (size_t)rng_below(&r, self->max + 1), &p);
		ASSERT_TRUE(ret == 0 || ret == -EAGAIN || ret == -EPROTO);
		if (ret == 0) {
			memset(p, 1, self->tx.rsv_len);
			ASSERT_EQ(0, shmipc_spsc_commit(&self->tx, self->tx.rsv_len));
			if (rng_chance(&r, 4))
				shmipc_spsc_publish(&self->tx);
			ok++;
		}
		ASSERT_LE(self->tx.pos - self->tx.pub_pos, self->r.size);
		if (ret == -EPROTO) {	/* a new end, like that of a new process */
			self->r.cons->head.word = self->r.prod->tail.word;
			ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
			n++;
		}
	}
	EXPECT_LT(10, n);
	EXPECT_LT(10, ok);
}

TEST_F(spsc_hostile, init_on_invalid_data_returns)
{
	uint64_t seed = rng_env_seed(), i, w, refused = 0;
	struct rng r = { seed };
	uint64_t *words = (uint64_t *)(void *)self->r.data;
	const void *q;
	size_t len;
	void *p;
	int ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	for (i = 0; i < rng_few(20000); i++) {
		self->r.prod->tail.word = rng_next(&r) & (rng_chance(&r, 2) ? ~0ULL : 0x1ff9);
		self->r.cons->head.word = rng_chance(&r, 2) ? self->r.prod->tail.word :
							      rng_next(&r) & 0x1ff9;
		for (w = 0; w < self->r.size / 8; w++)
			words[w] = rng_chance(&r, 4) ? 0 :
				shmipc_rec_word((uint32_t)rng_below(&r, 3), (uint32_t)rng_below(&r, 128), w);
		ret = shmipc_spsc_tx_init(&self->tx, &self->r);
		ASSERT_TRUE(ret == 0 || ret == -EPROTO);
		refused += ret != 0;
		if (ret == 0 && shmipc_spsc_reserve(&self->tx, self->max, &p) == 0)
			memset(p, 2, self->max);
		ret = shmipc_spsc_rx_init(&self->rx, &self->r);
		ASSERT_TRUE(ret == 0 || ret == -EPROTO);
		while (ret == 0 && shmipc_spsc_peek(&self->rx, &q, &len) == 0) {
			ASSERT_LE(self->r.data, (const unsigned char *)q);
			ASSERT_LE((const unsigned char *)q + len, self->r.data + self->r.size);
			shmipc_spsc_release(&self->rx);
			if (self->rx.pos > self->r.prod->tail.word + 100 * self->r.size)
				break;
		}
	}
	EXPECT_LT(50, refused);
}

/* Records all around the ring, without an end: following them must stop. */
TEST(producer_init_does_not_follow_records_for_ever)
{
	const uint64_t size = 65536 * 8;	/* 2^16 empty records, so that numbers fit again */
	struct shmipc_spsc_tx tx;
	struct shmipc_ring r;
	struct mem m;
	uint64_t *words, i;

	ASSERT_EQ(0, ringmem_get(&m, MEM_PRIVATE, &r, SHMIPC_KIND_SPSC, size, 8));
	words = (uint64_t *)(void *)r.data;
	for (i = 0; i < size / 8; i++)
		words[i] = shmipc_rec_word(SHMIPC_REC_DATA, 0, i);
	EXPECT_EQ(-EPROTO, shmipc_spsc_tx_init(&tx, &r));
	mem_put(&m);
}

TEST(ends_of_another_kind_are_refused)
{
	struct shmipc_spsc_tx tx;
	struct shmipc_spsc_rx rx;
	struct shmipc_ring r;
	struct mem m;

	ASSERT_EQ(0, ringmem_get(&m, MEM_PRIVATE, &r, SHMIPC_KIND_BCAST, 4096, 8));
	EXPECT_EQ(-EINVAL, shmipc_spsc_tx_init(&tx, &r));
	EXPECT_EQ(-EINVAL, shmipc_spsc_rx_init(&rx, &r));
	mem_put(&m);
}

/* The largest possible ring: lengths of 31 bits, positions past 4 GiB. */
TEST(four_gigabytes)
{
	const size_t max = shmipc_ring_max_payload(SHMIPC_KIND_SPSC, SHMIPC_RING_SIZE_MAX);
	struct shmipc_spsc_tx tx;
	struct shmipc_spsc_rx rx;
	struct shmipc_ring r;
	struct mem m;
	const void *q;
	size_t len;
	void *p;
	int i;

	if (ringmem_get(&m, MEM_PRIVATE, &r, SHMIPC_KIND_SPSC, SHMIPC_RING_SIZE_MAX, 64))
		SKIP(return, "4 GiB of address space are not available");
	ASSERT_EQ(0, shmipc_spsc_tx_init(&tx, &r));
	ASSERT_EQ(0, shmipc_spsc_rx_init(&rx, &r));
	for (i = 0; i < 10; i++) {
		/* Only pages that are written to are allocated. */
		ASSERT_EQ(0, shmipc_spsc_reserve(&tx, max, &p));
		((unsigned char *)p)[max - 1] = (unsigned char)i;
		ASSERT_EQ(0, shmipc_spsc_commit(&tx, max));
		shmipc_spsc_publish(&tx);
		ASSERT_EQ(0, shmipc_spsc_peek(&rx, &q, &len));
		ASSERT_EQ(max, len);
		ASSERT_EQ(i, ((const unsigned char *)q)[max - 1]);
		shmipc_spsc_release(&rx);
	}
	mem_put(&m);
}

TEST_HARNESS_MAIN
