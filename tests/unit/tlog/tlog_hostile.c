// SPDX-License-Identifier: MIT
/* tlog: other ends write invalid data; calls return, with or without an error, and stay inside the log */
#include <kselftest_harness.h>
#include <pthread.h>
#include "tlogmem.h"

enum { NEW, OLDEST, NEWEST };

FIXTURE(tlog_hostile) {
	struct tlogmem l;
	struct shmipc_tlog_tx tx;
	struct shmipc_tlog_rx rx;
	struct shmipc_tlog_block b;
	uint64_t none;
};

FIXTURE_SETUP(tlog_hostile)
{
	struct shmipc_tlog_opts o = logmem_opts();

	ASSERT_EQ(0, logmem_get(&self->l, MEM_SHARED, &o));
	logmem_tx(&self->l, &self->tx, 0);
	logmem_rx(&self->l, &self->rx, OLDEST, 1, 0);
}

FIXTURE_TEARDOWN(tlog_hostile)
{
	mem_put(&self->l.m);
}

TEST_F(tlog_hostile, a_floor_beyond_the_tail_is_eproto)
{
	uint64_t v;

	self->l.log.pub->floor = 1;
	EXPECT_EQ(-EPROTO, logmem_take(&self->rx, &v));
	self->l.log.pub->floor = 0;
	EXPECT_EQ(-EPROTO, logmem_take(&self->rx, &v));
	EXPECT_EQ(0, self->rx.lost);
}

TEST_F(tlog_hostile, a_message_of_a_later_lap_without_its_floor_is_eproto)
{
	uint64_t v;

	shmipc_tlog_entry(&self->l.log, 0)->word = 16 << 2 | SHMIPC_ENTRY_CELL;
	EXPECT_EQ(-EPROTO, logmem_take(&self->rx, &v));
}

TEST_F(tlog_hostile, lengths_end_at_the_cell)
{
	struct shmipc_entry *e = shmipc_tlog_entry(&self->l.log, 0);
	uint64_t cell = self->l.log.hdr.cell_bytes;
	struct shmipc_tlog_ref ref;

	e->word = SHMIPC_ENTRY_CELL;
	e->info = cell;
	EXPECT_EQ(0, shmipc_tlog_peek(&self->rx, &ref));
	EXPECT_EQ(cell, ref.len);
	e->info = (cell - 8) | 1ULL << SHMIPC_INFO_PREFIX;
	EXPECT_EQ(0, shmipc_tlog_peek(&self->rx, &ref));
	EXPECT_EQ(8, ref.prefix_len);
	e->info = (cell - 7) | 1ULL << SHMIPC_INFO_PREFIX;
	EXPECT_EQ(-EPROTO, shmipc_tlog_look(&self->rx, 0, &ref));
	e->info = SHMIPC_INFO_LEN;
	EXPECT_EQ(-EPROTO, shmipc_tlog_look(&self->rx, 0, &ref));
	e->info = cell + 1;
	EXPECT_EQ(-EPROTO, shmipc_tlog_peek(&self->rx, &ref));
	e->info = 0;
	EXPECT_EQ(-EPROTO, shmipc_tlog_peek(&self->rx, &ref));
}

TEST_F(tlog_hostile, places_end_at_the_pool)
{
	struct shmipc_entry *e = shmipc_tlog_entry(&self->l.log, 0);
	struct shmipc_entry_pool *p = (struct shmipc_entry_pool *)(void *)shmipc_tlog_cell(e);
	struct shmipc_tlog_ref ref;

	e->word = SHMIPC_ENTRY_POOL;
	e->info = 100;
	p->off = 4 * 4096 - 100;
	p->chunks = ~0ULL;
	ASSERT_EQ(0, shmipc_tlog_look(&self->rx, 0, &ref));
	EXPECT_EQ(self->l.m.ptr + self->l.m.bytes, ref.ptr + 100);
	EXPECT_EQ(3ULL << 32 | 3, ref.chunks);	/* computed by us */
	p->off = 4096 - 50;
	ASSERT_EQ(0, shmipc_tlog_look(&self->rx, 0, &ref));
	EXPECT_EQ(1ULL << 32, ref.chunks);
	p->off = 4 * 4096 - 99;
	EXPECT_EQ(-EPROTO, shmipc_tlog_look(&self->rx, 0, &ref));
	p->off = ~0ULL;
	EXPECT_EQ(-EPROTO, shmipc_tlog_look(&self->rx, 0, &ref));
	e->info = 0;
	p->off = 4 * 4096;
	EXPECT_EQ(-EPROTO, shmipc_tlog_look(&self->rx, 0, &ref));
	p->off = 4 * 4096 - 1;
	EXPECT_EQ(0, shmipc_tlog_look(&self->rx, 0, &ref));
	self->rx.log = &self->l.log;
	self->l.log.hdr.chunks = 0;
	EXPECT_EQ(-EPROTO, shmipc_tlog_look(&self->rx, 0, &ref));
}

/* Random tails, floors and lines: each call returns a consistent result. */
TEST_F(tlog_hostile, random_numbers_do_no_harm)
{
	static const uint64_t odd[] = { 0, 1, 15, 16, 17, 1ULL << 31, 1ULL << 32, 1ULL << 52,
					1ULL << 62, 1ULL << 63, ~0ULL - 20, ~0ULL };
	struct shmipc_tlog_ref ref;
	size_t i, j, k;
	uint64_t v;
	int ret;

	for (i = 0; i < ARRAY_SIZE(odd); i++)
		for (j = 0; j < ARRAY_SIZE(odd); j++)
			for (k = 0; k < ARRAY_SIZE(odd); k++) {
				self->l.log.pub->tail = odd[i];
				self->l.log.pub->floor = odd[j];
				self->l.log.pub->clear = odd[k];
				self->l.log.pub->pubs_used = odd[k];
				self->l.log.sub->subs_used = odd[k];
				self->l.log.pub_line[1].claim = odd[i] << 12 | 4095;
				self->l.log.pub_line[2].claim = odd[j] << 12 | 4095;
				logmem_rx(&self->l, &self->rx, (uint32_t)(i + j + k) % 3, 1 + k % 3, 0);
				shmipc_tlog_rx_join(&self->rx, 1, 1 + (uint32_t)(j + k) % 3, 0, 1 + i);
				ret = logmem_take(&self->rx, &v);
				ASSERT_TRUE(ret == -EAGAIN || ret == -ESTALE || ret == -EPROTO);
				ret = shmipc_tlog_look(&self->rx, odd[i], &ref);
				ASSERT_TRUE(ret == -EAGAIN || ret == -ESTALE);
				v = shmipc_tlog_newest(&self->rx, odd[k]);
				ASSERT_EQ(SHMIPC_POS_NONE, v);
				(void)settle_pub(&self->l.log, 1, logmem_alive, &self->none);
				(void)settle_fate(&self->l.log, odd[k], logmem_alive, &self->none);
				logmem_tx(&self->l, &self->tx, 0);
				ret = shmipc_tlog_claim(&self->tx, 2, &v);
				if (ret)
					ret = shmipc_tlog_make_room(&self->tx, 2, &self->b);
				ASSERT_TRUE(ret == 0 || ret == -EAGAIN || ret == -EPROTO);
				shmipc_tlog_rx_leave(&self->rx);
			}
}

struct restless {
	struct shmipc_tlog *log;
	uint32_t stop;
	int what;
};

static void *restless(void *arg)
{
	struct restless *w = arg;
	uint64_t i, n = 0;

	while (!shmipc_load_relaxed(&w->stop)) {
		n++;
		if (w->what == 0)
			shmipc_store_relaxed(&w->log->pub->tail, n);
		else if (w->what == 1)
			shmipc_store_relaxed(&w->log->pub->floor, n << 32);
		else
			for (i = 0; i < 16; i++)	/* as fast as it is skipped */
				shmipc_store_relaxed(&shmipc_tlog_entry(w->log, i)->word,
						     ((n << 4 | i) << 2) | SHMIPC_ENTRY_ABORTED);
	}
	return NULL;
}

/* Words that never stand still do not keep a call from returning. */
TEST_F(tlog_hostile, restless_words_do_not_hang)
{
	struct restless w = { &self->l.log, 0, 0 };
	uint64_t v, aborted;
	pthread_t t;
	int i, ret;

	for (w.what = 0; w.what < 3; w.what++) {
		shmipc_store_relaxed(&w.stop, 0u);
		ASSERT_EQ(0, pthread_create(&t, NULL, restless, &w));
		for (i = 0; i < 300; i++) {
			logmem_rx(&self->l, &self->rx, (uint32_t)i % 2, 1 + (uint64_t)i % 2, 0);
			shmipc_tlog_rx_join(&self->rx, 1, SHMIPC_POLICY_LOSSLESS, 0, 1 + (uint64_t)i);
			if (w.what == 2)
				self->rx.seq = 0;
			aborted = self->rx.aborted;
			ret = logmem_take(&self->rx, &v);
			ASSERT_TRUE(ret < 0);
			ASSERT_GE(17, self->rx.aborted - aborted);
			ret = shmipc_tlog_claim(&self->tx, 1, &v);
			ASSERT_TRUE(ret == 0 || ret == -EAGAIN);
			(void)shmipc_tlog_make_room(&self->tx, 1, &self->b);
		}
		shmipc_store_relaxed(&w.stop, 1u);
		ASSERT_EQ(0, pthread_join(t, NULL));
	}
}

/* With a stride, 2^64 wraps to zero: the first position could go around forever. */
TEST_F(tlog_hostile, a_join_at_the_largest_numbers_returns)
{
	self->l.log.pub->floor = ~0ULL;
	logmem_rx(&self->l, &self->rx, NEW, 3, 0);
	shmipc_tlog_rx_join(&self->rx, 1, SHMIPC_POLICY_LOSSLESS, 0, 1);
	EXPECT_EQ(-EPROTO, self->rx.err);
}

TEST_HARNESS_MAIN
