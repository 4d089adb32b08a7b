// SPDX-License-Identifier: MIT
/* bcast: the producer writes invalid data; readers return -EPROTO and stay within the ring */
#include <kselftest_harness.h>
#include <pthread.h>
#include <shmipc/bcast.h>
#include "ringmem.h"
#include "rng.h"

FIXTURE(bcast_hostile) {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_bcast_tx tx;
	struct shmipc_bcast_rx rx;
};

FIXTURE_VARIANT(bcast_hostile) {
	uint32_t align;
};

FIXTURE_VARIANT_ADD(bcast_hostile, align8) { 8 };
FIXTURE_VARIANT_ADD(bcast_hostile, align64) { 64 };

FIXTURE_SETUP(bcast_hostile)
{
	ASSERT_EQ(0, ringmem_get(&self->m, MEM_SHARED, &self->r, SHMIPC_KIND_BCAST, 4096,
				 variant->align));
	ASSERT_EQ(0, shmipc_bcast_tx_init(&self->tx, &self->r));
	ASSERT_EQ(0, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
}

FIXTURE_TEARDOWN(bcast_hostile)
{
	mem_put(&self->m);
}

static void pub(FIXTURE_DATA(bcast_hostile) *self, int n)
{
	static const char buf[100];

	while (n--) {
		shmipc_bcast_write(&self->tx, buf, sizeof(buf));
		shmipc_bcast_publish(&self->tx);
	}
}

TEST_F(bcast_hostile, bad_header_is_eproto_and_the_end_is_dead)
{
	const uint64_t good = shmipc_rec_word(SHMIPC_REC_DATA, 10, 0);
	const uint64_t bad[] = {
		good | 1ULL << 48, good | 1ULL << 40, shmipc_rec_word(3, 10, 0),
		shmipc_rec_word(SHMIPC_REC_NONE, 10, 0), shmipc_rec_word(SHMIPC_REC_DATA, 4097, 0),
		shmipc_rec_word(SHMIPC_REC_DATA, UINT32_MAX, 0),
		shmipc_rec_word(SHMIPC_REC_PAD, 4096, 0), shmipc_rec_word(SHMIPC_REC_PAD, 0, 0),
		UINT64_MAX,
	};
	uint64_t *hdr = shmipc_rec_hdr(self->r.data, self->rx.pos, self->rx.mask), lost;
	const void *p = &p;
	size_t i, len = 77;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_EQ(0, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
		*hdr = bad[i];
		ASSERT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
		*hdr = good;
		ASSERT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
		ASSERT_EQ(-EPROTO, shmipc_bcast_release(&self->rx, &lost));
		ASSERT_EQ(0, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
		ASSERT_EQ(0, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
		p = &p;
		len = 77;
		*hdr = 0;
	}
	EXPECT_EQ((const void *)&p, p);
	EXPECT_EQ(77, len);
}

TEST_F(bcast_hostile, length_ends_at_the_rings_end)
{
	uint64_t *hdr = shmipc_rec_hdr(self->r.data, self->rx.pos, self->rx.mask), lost;
	const uint64_t room = self->r.size - (self->rx.pos & self->rx.mask);
	const void *p;
	size_t len;

	*hdr = shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)room, 0);
	ASSERT_EQ(0, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
	EXPECT_EQ(self->r.data + self->r.size, (const unsigned char *)p + len);
	*hdr = shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)room + 1, 0);
	EXPECT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
}

TEST_F(bcast_hostile, floor_that_goes_back_is_eproto)
{
	uint64_t lost;
	const void *p;
	size_t len;

	pub(self, 200);
	ASSERT_EQ(-ESTALE, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
	self->r.prod->floor_lot++;
	self->r.prod->marks[self->r.prod->floor_lot % SHMIPC_MARKS].pos = self->rx.floor_pos - 64;
	EXPECT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
	EXPECT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
}

TEST_F(bcast_hostile, floor_whose_count_goes_back_is_eproto)
{
	uint64_t lost;
	const void *p;
	size_t len;

	pub(self, 200);
	ASSERT_EQ(-ESTALE, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
	self->r.prod->floor_lot++;
	self->r.prod->marks[self->r.prod->floor_lot % SHMIPC_MARKS].pos = self->rx.floor_pos + 512;
	self->r.prod->marks[self->r.prod->floor_lot % SHMIPC_MARKS].seq = self->rx.floor_seq - 1;
	EXPECT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
}

TEST_F(bcast_hostile, unaligned_floor_is_eproto)
{
	uint64_t lost;
	const void *p;
	size_t len;

	self->r.prod->floor_lot = 1;
	self->r.prod->marks[1].pos = 517;
	self->r.prod->marks[1].seq = 5;
	EXPECT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
	EXPECT_EQ(-EPROTO, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
}

/* Otherwise the count of losses would decrease. */
TEST_F(bcast_hostile, floor_before_what_we_have_read_is_eproto)
{
	uint64_t lost;
	const void *p;
	size_t len;
	int i;

	pub(self, 20);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
		ASSERT_EQ(0, shmipc_bcast_release(&self->rx, &lost));
	}
	self->r.prod->floor_lot = 15;
	self->r.prod->marks[15].pos = self->rx.pos + 4096;
	self->r.prod->marks[15].seq = 3;
	EXPECT_EQ(-EPROTO, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
}

/* Everything that a producer may write, at random; each call returns, and stays in the ring. */
TEST_F(bcast_hostile, random_bytes_never_lead_outside)
{
	uint64_t seed = rng_env_seed(), i, n, lost, dead = 0, ok = 0;
	uint64_t *page = (uint64_t *)(void *)self->r.prod;
	uint64_t *words = (uint64_t *)(void *)self->r.data;
	struct rng r = { seed };
	const void *p;
	size_t len;
	void *q;
	int ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	for (i = 0; i < rng_few(100000); i++) {
		for (n = rng_below(&r, 4); n; n--)
			page[rng_below(&r, sizeof(struct shmipc_prod) / 8)] = rng_chance(&r, 3) ?
				rng_next(&r) : rng_below(&r, 3 * 4096) & ~7ULL;
		for (n = rng_below(&r, 64); n; n--)
			words[rng_below(&r, self->r.size / 8)] = rng_chance(&r, 8) ? rng_next(&r) :
				shmipc_rec_word((uint32_t)rng_below(&r, 3),
						(uint32_t)rng_below(&r, 5000), self->rx.seq);
		if (!self->rx.err && rng_chance(&r, 2))
			*shmipc_rec_hdr(self->r.data, self->rx.pos, self->rx.mask) =
				shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)rng_below(&r, 5000), self->rx.seq);
		ret = shmipc_bcast_peek(&self->rx, &p, &len, &lost);
		if (ret == 0) {
			ok++;
			ASSERT_LE(self->r.data, (const unsigned char *)p);
			ASSERT_LE((const unsigned char *)p + len, self->r.data + self->r.size);
			shmipc_bcast_release(&self->rx, &lost);
		}
		if (ret == -EPROTO || rng_chance(&r, 16)) {
			dead++;
			ret = shmipc_bcast_rx_init(&self->rx, &self->r,
						   (enum shmipc_start)rng_below(&r, 3), 1, 0);
			ASSERT_TRUE(ret == 0 || ret == -EPROTO || ret == -EAGAIN);
			if (ret)	/* a reader that never started; give it something */
				self->rx.err = -EPROTO;
			ret = shmipc_bcast_tx_init(&self->tx, &self->r);
			ASSERT_TRUE(ret == 0 || ret == -EPROTO);
			if (ret == 0 && shmipc_bcast_reserve(&self->tx, 800, &q) == 0) {
				memset(q, 3, 800);
				shmipc_bcast_commit(&self->tx, 800);
				shmipc_bcast_publish(&self->tx);
			}
		}
	}
	EXPECT_LT(10, dead);
	EXPECT_LT(10, ok);
}

/* 2^16 empty records all around the ring, whose numbers repeat in each lap. */
static void endless(struct shmipc_ring *r)
{
	uint64_t *words = (uint64_t *)(void *)r->data, i;

	for (i = 0; i < r->size / 8; i++)
		words[i] = shmipc_rec_word(SHMIPC_REC_DATA, 0, i);
}

TEST(producer_init_does_not_follow_records_for_ever)
{
	struct shmipc_bcast_tx tx;
	struct shmipc_ring r;
	struct mem m;

	ASSERT_EQ(0, ringmem_get(&m, MEM_PRIVATE, &r, SHMIPC_KIND_BCAST, 65536 * 8, 8));
	endless(&r);
	EXPECT_EQ(-EPROTO, shmipc_bcast_tx_init(&tx, &r));
	mem_put(&m);
}

TEST(reader_at_newest_does_not_follow_records_for_ever)
{
	struct shmipc_bcast_rx rx;
	struct shmipc_ring r;
	struct mem m;

	ASSERT_EQ(0, ringmem_get(&m, MEM_PRIVATE, &r, SHMIPC_KIND_BCAST, 65536 * 8, 8));
	endless(&r);
	EXPECT_EQ(-EPROTO, shmipc_bcast_rx_init(&rx, &r, SHMIPC_START_NEWEST, 1, 0));
	mem_put(&m);
}

struct restless {
	struct shmipc_ring *r;
	uint32_t stop;
};

static void *move_floor(void *arg)
{
	struct restless *w = arg;
	uint64_t lot = 0;

	while (!shmipc_load_relaxed(&w->stop))
		shmipc_store_release(&w->r->prod->floor_lot, ++lot);
	return NULL;
}

/* A floor that never stands still causes an error or a loss, not a hang. */
TEST_F(bcast_hostile, restless_floor_does_not_hang_a_reader)
{
	struct restless w = { &self->r, 0 };
	uint64_t lost;
	const void *p;
	size_t len;
	pthread_t t;
	int i, ret;

	for (i = 0; i < (int)SHMIPC_MARKS; i++)
		self->r.prod->marks[i].pos = 64 + shmipc_rec_first(variant->align);
	ASSERT_EQ(0, pthread_create(&t, NULL, move_floor, &w));
	for (i = 0; i < 200; i++) {
		ret = shmipc_bcast_rx_init(&self->rx, &self->r, (enum shmipc_start)(i % 3),
					   1 + (uint64_t)i % 2, 0);
		if (ret == 0)
			ret = shmipc_bcast_peek(&self->rx, &p, &len, &lost);
		ASSERT_TRUE(ret == 0 || ret == -EPROTO || ret == -EAGAIN || ret == -ESTALE);
	}
	shmipc_store_relaxed(&w.stop, 1u);
	EXPECT_EQ(0, pthread_join(t, NULL));
}

TEST(ends_of_another_kind_are_refused)
{
	struct shmipc_bcast_tx tx;
	struct shmipc_bcast_rx rx;
	struct shmipc_ring r;
	struct mem m;

	ASSERT_EQ(0, ringmem_get(&m, MEM_PRIVATE, &r, SHMIPC_KIND_SPSC, 4096, 8));
	EXPECT_EQ(-EINVAL, shmipc_bcast_tx_init(&tx, &r));
	EXPECT_EQ(-EINVAL, shmipc_bcast_rx_init(&rx, &r, SHMIPC_START_NEW, 1, 0));
	mem_put(&m);
}

TEST_HARNESS_MAIN
