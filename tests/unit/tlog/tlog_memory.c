// SPDX-License-Identifier: MIT
/* tlog: memory is taken before it is touched, in steps, by the publisher that needs it */
#include <kselftest_harness.h>
#include "lazymem.h"

#define ENTRIES	1024u
#define LOTS	100000u		/* of pages: as many as anybody wants */

FIXTURE(tlog_memory) {
	struct lazymem z;
	struct tlogmem l;
	struct lazyend a, b, r;
	struct shmipc_tlog_tx tx;
	struct shmipc_tlog_rx rx;
	struct shmipc_tlog_block block;
	uint64_t none;
};

FIXTURE_VARIANT(tlog_memory) {
	uint32_t pubs;
	uint32_t lend_after;
};

FIXTURE_VARIANT_ADD(tlog_memory, single) { 1, 0 };
FIXTURE_VARIANT_ADD(tlog_memory, many) { 3, SHMIPC_LEND_NEVER };
FIXTURE_VARIANT_ADD(tlog_memory, lent) { 3, 2 };

FIXTURE_SETUP(tlog_memory)
{
	struct shmipc_tlog_opts o = logmem_opts();

	o.pubs = variant->pubs;
	o.keep = ENTRIES - ENTRIES / 8 - o.pubs;
	o.subs = 64;
	o.cell_bytes = 1008;
	ASSERT_EQ(0, lazy_get(&self->z, &self->l, &o));
	ASSERT_EQ(ENTRIES, self->l.log.hdr.entries);
	self->z.left = LOTS;
	ASSERT_EQ(0, lazy_end(&self->a, &self->z, &self->l, 1));
	ASSERT_EQ(0, lazy_end(&self->r, &self->z, &self->l, 0));
	logmem_tx(&self->a.l, &self->tx, 0);
	self->tx.lend_after = variant->lend_after;
	logmem_rx(&self->r.l, &self->rx, 1, 1, 0);
}

FIXTURE_TEARDOWN(tlog_memory)
{
	mem_put(&self->l.m);
}

TEST_F(tlog_memory, is_had_in_steps_until_all_is_there)
{
	uint64_t i, v, had;

	for (i = 0; i < 3 * ENTRIES; i++) {
		ASSERT_EQ(0, logmem_put(&self->tx, i, &self->block));
		/* The entry of the next number has memory, for those that wait for it. */
		ASSERT_LT(self->tx.next & self->tx.mask, self->l.log.pub->backed);
		ASSERT_EQ(0, logmem_take(&self->rx, &v));
		ASSERT_EQ(i, v);
		ASSERT_EQ(-EAGAIN, logmem_take(&self->rx, &v));
		if (i == ENTRIES)
			had = self->z.had;
	}
	EXPECT_EQ(ENTRIES, self->l.log.pub->backed);
	/* A few steps, and not one more when all has been had. */
	EXPECT_GE(10, self->z.grown);
	EXPECT_LE(5, self->z.grown);
	EXPECT_EQ(had, self->z.had);
	EXPECT_EQ(~0ull, self->rx.end);
}

TEST_F(tlog_memory, that_is_not_to_be_had_is_enospc_and_later_it_goes_on)
{
	uint64_t i, n = 0, v, was;
	int ret, round;

	for (round = 0; round < 40; round++) {
		self->z.left = (uint64_t)round % 7;
		for (ret = 0; !ret && n < 3 * ENTRIES; n += !ret)
			ret = logmem_put(&self->tx, n, &self->block);
		if (n == 3 * ENTRIES)
			break;
		ASSERT_EQ(-EAGAIN, ret);	/* logmem_put() gives up; why, says ... */
		was = self->l.log.pub->backed;
		ASSERT_EQ(-ENOSPC, shmipc_tlog_make_room(&self->tx, 1, &self->block));
		ASSERT_EQ(was, self->l.log.pub->backed);
		ASSERT_EQ(SHMIPC_CLAIM_NONE, self->l.log.pub_line[0].claim);
		/* Nothing is lost, and no peer is stuck. */
		for (i = self->rx.seq; i < n; i++) {
			ASSERT_EQ(0, logmem_take(&self->rx, &v));
			ASSERT_EQ(i, v);
		}
		ASSERT_EQ(-EAGAIN, logmem_take(&self->rx, &v));
		ASSERT_EQ(0, self->z.left);
	}
	self->z.left = LOTS;
	for (; n < 3 * ENTRIES; n++)
		ASSERT_EQ(0, logmem_put(&self->tx, n, &self->block));
}

/* A batch has all of its entries, and the next one, before it has a number. */
TEST_F(tlog_memory, is_had_for_a_whole_batch)
{
	uint64_t seq, i, v;

	self->z.left = 24;
	EXPECT_EQ(-EAGAIN, shmipc_tlog_claim(&self->tx, 100, &seq));
	EXPECT_EQ(-ENOSPC, shmipc_tlog_make_room(&self->tx, 100, &self->block));
	self->z.left = 25;
	EXPECT_EQ(0, shmipc_tlog_make_room(&self->tx, 100, &self->block));
	ASSERT_EQ(0, shmipc_tlog_claim(&self->tx, 100, &seq));
	ASSERT_EQ(0, seq);
	for (i = 0; i < 100; i++)
		shmipc_tlog_fill(&self->tx, i, NULL, 0, &i, sizeof(i), 0);
	(void)shmipc_tlog_commit(&self->tx, 0, 100, SHMIPC_ENTRY_CELL, 800);
	for (i = 0; i < 100; i++)
		ASSERT_EQ(0, logmem_take(&self->rx, &v));
	EXPECT_EQ(-EAGAIN, logmem_take(&self->rx, &v));
}

/* Another publisher has committed more than we know of, and the tail is in it. */
TEST_F(tlog_memory, of_others_is_had_by_asking)
{
	struct shmipc_tlog_tx second;
	uint64_t i, v, left;

	if (variant->pubs == 1)
		SKIP(return, "there is no second publisher");
	ASSERT_EQ(0, lazy_end(&self->b, &self->z, &self->l, 1));
	logmem_tx(&self->b.l, &second, 1);
	for (i = 0; i < 300; i++)
		ASSERT_EQ(0, logmem_put(&self->tx, i, &self->block));
	left = self->z.left;
	ASSERT_EQ(3, self->b.m.entries);
	self->z.left = 0;
	ASSERT_EQ(0, logmem_put(&second, 300, &self->block));
	self->z.left = left;
	for (i = 301; i < 3 * ENTRIES; i++)
		ASSERT_EQ(0, logmem_put(i / 50 % 2 ? &second : &self->tx, i, &self->block));
	EXPECT_EQ(-ESTALE, logmem_take(&self->rx, &v));
	for (i = self->rx.seq; i < 3 * ENTRIES; i++) {
		ASSERT_EQ(0, logmem_take(&self->rx, &v));
		ASSERT_EQ(i, v);
	}
}

/* Killed between the step and saying so, or with numbers claimed behind it. */
TEST_F(tlog_memory, of_the_killed_is_found_by_its_heir)
{
	struct shmipc_tlog_tx heir;
	uint64_t seq, v, i, dead = 1;

	for (i = 0; i < 10; i++)
		ASSERT_EQ(0, logmem_put(&self->tx, i, &self->block));
	self->tx.limit = 0;
	ASSERT_EQ(0, shmipc_tlog_make_room(&self->tx, 100, &self->block));
	ASSERT_EQ(0, shmipc_tlog_claim(&self->tx, 100, &seq));
	for (i = seq; i < seq + 100; i++)
		shmipc_tlog_fill(&self->tx, i, NULL, 0, &i, sizeof(i), 0);
	/* It has committed the end of a batch, and allocated a step that it has not announced. */
	shmipc_tlog_entry(&self->l.log, 109)->word = 109 << 2 | SHMIPC_ENTRY_CELL;
	ASSERT_EQ(0, lazy_have(&self->z, self->l.log.hdr.data_off, 400 * 1024));
	ASSERT_EQ(0, lazy_end(&self->b, &self->z, &self->l, 1));
	EXPECT_EQ(99, settle_init(&heir, &self->b.l.log, 0, logmem_alive, &dead));
	for (i = 110; i < 2 * ENTRIES; i++) {
		ASSERT_EQ(0, logmem_put(&heir, i, &self->block));
		if (i == 600) {
			for (v = 0; v < 600;)
				ASSERT_EQ(0, logmem_take(&self->rx, &v));
			EXPECT_EQ(0, self->rx.aborted);
		}
	}
}

/* It looks at nothing that is not there, and says that there is nothing yet. */
TEST_F(tlog_memory, is_not_touched_by_subscribers)
{
	struct shmipc_tlog_ref ref;
	struct shmipc_tlog_rx far;
	uint64_t i, v;

	logmem_rx(&self->r.l, &far, 1, 500, 499);
	EXPECT_EQ(-EAGAIN, logmem_take(&far, &v));
	EXPECT_EQ(-EAGAIN, shmipc_tlog_look(&far, 0, &ref));
	EXPECT_EQ(-EAGAIN, shmipc_tlog_look(&far, 700, &ref));
	EXPECT_EQ(SHMIPC_POS_NONE, shmipc_tlog_newest(&far, 0));
	EXPECT_EQ(0, settle_fate(&self->r.l.log, 499, logmem_alive, &self->none));
	for (i = 0; i < 999; i++) {
		ASSERT_EQ(0, logmem_put(&self->tx, i, &self->block));
		ASSERT_EQ(i == 499 ? 0 : -EAGAIN, logmem_take(&far, &v));
		ASSERT_EQ(i, shmipc_tlog_newest(&self->rx, 0));
	}
	EXPECT_EQ(499, v);
}

static void lie(FIXTURE_DATA(tlog_memory) *self, struct rng *r)
{
	static const uint64_t odd[] = { 0, 1, 2, 3, 15, 100, 1000, 1023, 1024, 1025, 5000, 1ULL << 31,
					1ULL << 32, 1ULL << 52, 1ULL << 62, 1ULL << 63, ~0ULL - 20, ~0ULL };
	struct shmipc_tlog *log = &self->l.log;
	uint64_t v = odd[rng_below(r, ARRAY_SIZE(odd))];
	__u64 *const words[] = { &log->pub->tail, &log->pub->floor, &log->pub->clear, &log->pub->backed,
				 &log->pub->trims, &log->pub->pubs_used, &log->sub->subs_used,
				 &log->sub->want, &log->pub_line[0].claim, &log->pub_line[0].next,
				 &log->group[0].cursor };

	if (rng_chance(r, 4))
		v = v << SHMIPC_CLAIM_BITS | rng_below(r, 4096);
	*words[rng_below(r, ARRAY_SIZE(words))] = v;
}

/* Whatever others write, nothing is touched that was not had. */
TEST_F(tlog_memory, is_believed_of_nobody)
{
	uint64_t seed = rng_env_seed(), i, v, steps = rng_few(30000), good = 0;
	struct shmipc_tlog_ref ref;
	struct rng r = { seed };
	int n;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	for (i = 0; i < steps; i++) {
		for (n = (int)rng_below(&r, 4); n; n--)
			lie(self, &r);
		self->z.left = rng_below(&r, 3) ? 0 : rng_below(&r, 20);
		switch (rng_below(&r, 8)) {
		case 0:
			if (!lazy_end(&self->a, &self->z, &self->l, 1))
				logmem_tx(&self->a.l, &self->tx, (uint32_t)rng_below(&r, variant->pubs));
			break;
		case 1:
			(void)lazy_end(&self->r, &self->z, &self->l, 0);
			logmem_rx(&self->r.l, &self->rx, (uint32_t)rng_below(&r, 3), 1 + rng_below(&r, 3), 0);
			n = (int)rng_below(&r, 64);
			if (!lazy_line(&self->r, &self->z, (uint32_t)n))
				shmipc_tlog_rx_join(&self->rx, (uint32_t)n,
						    1 + (uint32_t)rng_below(&r, 3), 0, i);
			break;
		case 2:
			(void)shmipc_tlog_look(&self->rx, rng_below(&r, 3000), &ref);
			(void)shmipc_tlog_newest(&self->rx, rng_below(&r, 3000));
			break;
		case 3:
			(void)settle_pub(&self->a.l.log, 0, logmem_alive, &self->none);
			(void)settle_fate(&self->r.l.log, rng_below(&r, 3000), logmem_alive,
						 &self->none);
			break;
		case 4:
			(void)shmipc_tlog_make_room(&self->tx, 1 + (uint32_t)rng_below(&r, 100), &self->block);
			/* As a publisher that needs chunks. */
			v = rng_below(&r, 900);
			(void)shmipc_tlog_advance(&self->tx, v, v + rng_below(&r, 900), &self->block);
			break;
		case 5:
			good += !logmem_put(&self->tx, i, &self->block);
			break;
		default:
			good += !logmem_take(&self->rx, &v);
		}
		/* Now and then all is well again. */
		if (rng_chance(&r, 50)) {
			v = rng_below(&r, 900);
			self->l.log.pub->tail = self->l.log.pub->floor = self->l.log.pub->clear = v;
			self->l.log.pub->backed = self->a.m.entries;
		}
	}
	EXPECT_LT(10, good);
}

/* Chunks, and what was given back meanwhile. */
TEST_F(tlog_memory, of_chunks_is_had_anew_after_it_was_given_back)
{
	struct shmipc_tlog *log = &self->a.l.log;
	uint64_t off = log->hdr.pool_off, left = self->z.left;

	ASSERT_EQ(0, shmipc_tlog_chunks(log, 1, 3));
	EXPECT_EQ(left - 3, self->z.left);
	EXPECT_EQ(0, shmipc_tlog_chunks(log, 1, 3));
	EXPECT_EQ(3, self->a.m.chunks);
	EXPECT_EQ(-EPROTO, shmipc_tlog_chunks(&self->r.l.log, 0, 3));
	EXPECT_EQ(0, shmipc_tlog_chunks(&self->r.l.log, 1, 2));
	self->l.log.pub->trims++;
	lazy_drop(&self->z, off + 2 * 4096, 4096);
	self->z.left = 0;
	EXPECT_EQ(-EPROTO, shmipc_tlog_chunks(&self->r.l.log, 2, 2));
	EXPECT_EQ(-ENOSPC, shmipc_tlog_chunks(log, 2, 2));
	EXPECT_EQ(0, shmipc_tlog_chunks(log, 1, 1));
	EXPECT_EQ(0, shmipc_tlog_chunks(log, 3, 3));
	self->z.left = 2;
	EXPECT_EQ(0, shmipc_tlog_chunks(log, 0, 3));
	EXPECT_EQ(4, self->a.m.chunks);
	EXPECT_EQ(0, self->z.left);
	EXPECT_EQ(0, shmipc_tlog_chunks(&self->r.l.log, 0, 3));
}

/* Publishers look at lines that are there, and wait for those whom they are of. */
TEST_F(tlog_memory, of_lines_is_had_by_their_owners)
{
	struct lazyend far;
	struct shmipc_tlog_rx rx;
	uint64_t i, v;

	ASSERT_EQ(0, lazy_end(&far, &self->z, &self->l, 0));
	for (i = 0; i < 63; i++)
		ASSERT_EQ(0, lazy_line(&far, &self->z, (uint32_t)i));
	logmem_rx(&far.l, &rx, 1, 1, 0);
	ASSERT_EQ(0, lazy_line(&far, &self->z, 63));
	shmipc_tlog_rx_join(&rx, 63, SHMIPC_POLICY_LOSSLESS, 0, 1);
	for (i = 0; !logmem_put(&self->tx, i, &self->block); i++)
		;
	EXPECT_EQ(ENTRIES, i);
	EXPECT_EQ(SHMIPC_TLOG_SUB, self->block.who);
	EXPECT_EQ(63, self->block.slot);
	for (i = 0; i < ENTRIES; i++)
		ASSERT_EQ(0, logmem_take(&rx, &v));
	EXPECT_EQ(0, logmem_put(&self->tx, i, &self->block));
}

TEST_HARNESS_MAIN
