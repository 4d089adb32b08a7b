// SPDX-License-Identifier: MIT
/* tlog_abort: publishers that take too long between claim and commit */
#include <kselftest_harness.h>
#include <shmipc/inline/tlog_abort.h>
#include "tlogmem.h"

#define ENTRIES	16u

FIXTURE(aborts) {
	struct tlogmem l;
	struct shmipc_tlog_tx a, b;	/* slots 0 and 1 */
	struct shmipc_tlog_rx rx;
	struct shmipc_tlog_finished f;
	uint64_t dead;			/* mask of dead slots */
	uint64_t holes;			/* numbers that start() gave up */
};

FIXTURE_SETUP(aborts)
{
	struct shmipc_tlog_opts o = logmem_opts();

	memset(self, 0, sizeof(*self));
	o.abort_ns = 1;
	ASSERT_EQ(0, logmem_get(&self->l, MEM_PRIVATE, &o));
	ASSERT_EQ(ENTRIES, self->l.log.hdr.entries);
	logmem_tx(&self->l, &self->a, 0);
	logmem_tx(&self->l, &self->b, 1);
	logmem_rx(&self->l, &self->rx, 1, 1, 0);
}

FIXTURE_TEARDOWN(aborts)
{
	mem_put(&self->l.m);
}

static void fill(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	uint64_t i;

	for (i = seq; i < seq + n; i++)
		shmipc_tlog_fill(tx, i, NULL, 0, &i, sizeof(i), 0);
}

/* Claim @n numbers for @tx, making room. */
static int claim(FIXTURE_DATA(aborts) *self, struct shmipc_tlog_tx *tx, uint32_t n, uint64_t *ret_seq)
{
	struct shmipc_tlog_block b;
	int tries;

	for (tries = 0; tries < 100; tries++) {
		if (shmipc_tlog_claim(tx, n, ret_seq)) {
			if (shmipc_tlog_make_room(tx, n, &b))
				return -EAGAIN;
			continue;
		}
		if (!shmipc_tlog_start(tx, *ret_seq, n, logmem_alive, &self->dead, &self->f))
			return 0;
		self->holes += n;
	}
	return -ELOOP;
}

/* Fill and commit. */
static int finish(FIXTURE_DATA(aborts) *self, struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	fill(tx, seq, n);
	return shmipc_tlog_finish(tx, seq, n, SHMIPC_ENTRY_CELL, 8 * n, &self->f);
}

/* A message whose payload is its number. */
static int put(FIXTURE_DATA(aborts) *self, struct shmipc_tlog_tx *tx)
{
	uint64_t seq;
	int ret = claim(self, tx, 1, &seq);

	return ret ? ret : finish(self, tx, seq, 1);
}

/* Abort message @seq, and store the words of all that covers it. */
static uint32_t abort_message(FIXTURE_DATA(aborts) *self, uint64_t seq)
{
	uint32_t slot, n = shmipc_tlog_abort(&self->l.log, seq);

	for (slot = 0; slot < 3; slot++)
		if (shmipc_priv_tlog_covers(&self->l.log, self->l.log.pub_line[slot].claim, seq))
			(void)settle_pub(&self->l.log, slot, logmem_alive, &self->dead);
	return n;
}

static uint64_t word(FIXTURE_DATA(aborts) *self, uint64_t seq)
{
	return shmipc_tlog_entry(&self->l.log, seq)->word;
}

/* The next message that the reader gets has its own number. 0: it has; else -errno, or 1. */
static int take(FIXTURE_DATA(aborts) *self, uint64_t *ret_seq)
{
	uint64_t v;
	int ret = logmem_take(&self->rx, &v);

	*ret_seq = self->rx.seq - 1;
	return ret ? ret : v != *ret_seq;
}

TEST_F(aborts, the_layout_says_so)
{
	struct shmipc_tlog_opts o = logmem_opts();
	struct shmipc_topic_hdr h, *at = (struct shmipc_topic_hdr *)(void *)self->l.m.ptr;
	struct shmipc_tlog log;
	uint64_t bytes;

	EXPECT_EQ(SHMIPC_TOPIC_ABORTS, self->l.log.hdr.incompat);
	EXPECT_EQ(1, self->l.log.hdr.abort_ns);
	ASSERT_EQ(0, shmipc_tlog_layout(&o, &h, &bytes));
	EXPECT_EQ(0, h.incompat);
	o.abort_ns = 5;
	o.pubs = 1;
	EXPECT_EQ(-EINVAL, shmipc_tlog_layout(&o, &h, &bytes));
	/* Neither without the other; and another feature is not known. */
	at->incompat = 0;
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	at->incompat = SHMIPC_TOPIC_ABORTS;
	at->abort_ns = 0;
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	at->abort_ns = 7;
	EXPECT_EQ(0, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	at->incompat |= 8;
	EXPECT_EQ(-EPROTONOSUPPORT, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
}

/* Of a publisher that is cut off: the same, and a log has one of the two. */
TEST_F(aborts, the_layout_says_so_of_fences)
{
	struct shmipc_topic_hdr h, *at = (struct shmipc_topic_hdr *)(void *)self->l.m.ptr;
	struct shmipc_tlog_opts o = logmem_opts();
	struct shmipc_tlog log;
	uint64_t bytes;

	o.fence_ns = 5;
	ASSERT_EQ(0, shmipc_tlog_layout(&o, &h, &bytes));
	EXPECT_EQ(SHMIPC_TOPIC_FENCES, h.incompat);
	EXPECT_EQ(5, h.fence_ns);
	o.abort_ns = 5;
	EXPECT_EQ(-EINVAL, shmipc_tlog_layout(&o, &h, &bytes));
	o.abort_ns = 0;
	o.pubs = 1;
	EXPECT_EQ(-EINVAL, shmipc_tlog_layout(&o, &h, &bytes));
	at->fence_ns = 5;
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	at->incompat |= SHMIPC_TOPIC_FENCES;
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	at->abort_ns = 0;
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	at->incompat = SHMIPC_TOPIC_FENCES;
	ASSERT_EQ(0, shmipc_tlog_check(self->l.m.ptr, self->l.m.bytes, &log));
	EXPECT_EQ(5, log.hdr.fence_ns);
}

TEST_F(aborts, messages_and_batches_go_around_the_log)
{
	uint64_t i, j, seq, is;

	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, claim(self, i % 2 ? &self->a : &self->b, 1 + i % 2, &seq));
		ASSERT_EQ(0, finish(self, i % 2 ? &self->a : &self->b, seq, 1 + i % 2));
		for (j = 0; j < 1 + i % 2; j++) {
			ASSERT_EQ(0, take(self, &is));
			ASSERT_EQ(seq + j, is);
		}
	}
	EXPECT_EQ(300, self->a.sent + self->b.sent);
	EXPECT_EQ(0, self->holes);
	EXPECT_EQ(SHMIPC_CLAIM_NONE, self->a.line->claim);
}

TEST_F(aborts, before_the_commit_it_fails)
{
	uint64_t seq, is;

	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	fill(&self->a, seq, 1);
	EXPECT_EQ(1, shmipc_tlog_stuck(&self->l.log, seq));
	ASSERT_EQ(0, put(self, &self->b));
	EXPECT_EQ(2, shmipc_tlog_stuck(&self->l.log, seq));
	EXPECT_EQ(-EAGAIN, take(self, &is));
	EXPECT_EQ(1, abort_message(self, seq));
	EXPECT_EQ(seq << 2 | SHMIPC_ENTRY_ABORTED, word(self, seq));
	EXPECT_EQ(0, shmipc_tlog_stuck(&self->l.log, seq));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 1, is);
	EXPECT_EQ(1, self->rx.aborted);
	EXPECT_EQ(-ECANCELED, finish(self, &self->a, seq, 1));
	EXPECT_EQ(0, self->f.aborted) TH_LOG("it is counted once");
	EXPECT_EQ(0, self->a.sent);
	EXPECT_EQ(SHMIPC_CLAIM_NONE, self->a.line->claim);
	/* The next one goes through. */
	ASSERT_EQ(0, put(self, &self->a));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 2, is);
}

TEST_F(aborts, after_the_commit_it_does_nothing)
{
	uint64_t seq, is;

	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	ASSERT_EQ(0, put(self, &self->b));
	ASSERT_EQ(0, finish(self, &self->a, seq, 1));
	EXPECT_EQ(0, abort_message(self, seq));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq, is);
}

TEST_F(aborts, what_is_not_claimed_is_not_aborted)
{
	uint64_t seq;

	EXPECT_EQ(0, shmipc_tlog_stuck(&self->l.log, 0));
	/* Announced, and not got. */
	self->a.line->claim = 1;
	EXPECT_EQ(0, abort_message(self, 0));
	EXPECT_EQ(1, self->a.line->claim);
	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	EXPECT_EQ(0, seq);
}

/* All of a batch; by whichever of its numbers. */
TEST_F(aborts, a_batch_is_aborted_as_one)
{
	uint64_t seq, i, is;

	ASSERT_EQ(0, claim(self, &self->a, 2, &seq));
	fill(&self->a, seq, 2);
	ASSERT_EQ(0, put(self, &self->b));
	EXPECT_EQ(1, abort_message(self, seq + 1));
	for (i = 0; i < 2; i++)
		EXPECT_EQ((seq + i) << 2 | SHMIPC_ENTRY_ABORTED, word(self, seq + i));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 2, is);
	EXPECT_EQ(-ECANCELED, finish(self, &self->a, seq, 2));
}

/* The aborter died directly after the decision; nothing else was done. */
TEST_F(aborts, the_claim_decides)
{
	uint64_t seq, is;

	ASSERT_EQ(0, claim(self, &self->a, 2, &seq));
	ASSERT_EQ(0, put(self, &self->b));
	EXPECT_EQ(1, shmipc_tlog_abort(&self->l.log, seq));
	EXPECT_EQ(-EAGAIN, take(self, &is));
	EXPECT_EQ(SHMIPC_FATE_ABORTED, settle_next(&self->rx, &self->l.log, logmem_alive, &self->dead));
	EXPECT_EQ(SHMIPC_FATE_ABORTED, settle_next(&self->rx, &self->l.log, logmem_alive, &self->dead));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 2, is);
	/* Its publisher stores the words then. */
	EXPECT_EQ(-ECANCELED, finish(self, &self->a, seq, 2));
	EXPECT_EQ(2, self->f.aborted);
	EXPECT_EQ(seq << 2 | SHMIPC_ENTRY_ABORTED, word(self, seq));
}

/* Stopped after it has decided: others complete it. It changes nothing when it continues. */
TEST_F(aborts, a_committed_batch_is_completed_by_others)
{
	uint64_t seq, is, i;

	ASSERT_EQ(0, claim(self, &self->a, 2, &seq));
	fill(&self->a, seq, 2);
	self->a.line->claim |= SHMIPC_ENTRY_CELL << SHMIPC_CLAIM_STATE;
	ASSERT_EQ(0, put(self, &self->b));
	EXPECT_EQ(0, shmipc_tlog_abort(&self->l.log, seq));
	EXPECT_EQ(SHMIPC_FATE_WHOLE, settle_next(&self->rx, &self->l.log, logmem_alive, &self->dead));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq, is);
	(void)abort_message(self, seq);
	for (i = 0; i < 2; i++)
		EXPECT_EQ((seq + i) << 2 | SHMIPC_ENTRY_CELL, word(self, seq + i));
	for (i = 1; i < 3; i++) {
		ASSERT_EQ(0, take(self, &is));
		EXPECT_EQ(seq + i, is);
	}
	/* A lap later, no entry is in quarantine, and the words that it stores are too late. */
	for (i = 0; i < ENTRIES; i++) {
		ASSERT_EQ(0, put(self, &self->b));
		ASSERT_EQ(0, take(self, &is));
	}
	EXPECT_EQ(0, self->holes);
	EXPECT_EQ(0, shmipc_priv_tlog_words(&self->a, seq, 2, SHMIPC_ENTRY_CELL));
	EXPECT_EQ((seq + ENTRIES) << 2 | SHMIPC_ENTRY_CELL, word(self, seq + ENTRIES));
}

/* It announced numbers that another one got: that one's time counts, not its own. */
TEST_F(aborts, a_claim_that_was_not_got_aborts_no_other)
{
	uint64_t seq, is;

	ASSERT_EQ(0, claim(self, &self->b, 1, &seq));
	self->a.line->claim = seq << SHMIPC_CLAIM_BITS | 4;	/* stopped before its compare-and-swap */
	ASSERT_EQ(0, finish(self, &self->b, seq, 1));
	ASSERT_EQ(0, claim(self, &self->b, 1, &seq));
	ASSERT_EQ(0, take(self, &is));
	self->a.line->claim |= SHMIPC_ENTRY_ABORTED << SHMIPC_CLAIM_STATE;
	EXPECT_EQ(SHMIPC_FATE_OPEN, settle_next(&self->rx, &self->l.log, logmem_alive, &self->dead));
	/* Both take too long. */
	self->a.line->claim = 4;
	EXPECT_EQ(2, abort_message(self, seq));
	EXPECT_EQ(seq << 2 | SHMIPC_ENTRY_ABORTED, word(self, seq));
	EXPECT_EQ(-ECANCELED, finish(self, &self->b, seq, 1));
	/* The first one finds that it got nothing, and claims again: nothing of its is lost. */
	ASSERT_EQ(0, put(self, &self->a));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 1, is);
	EXPECT_EQ(0, self->holes);
}

/* Aborted between its announcement and its compare-and-swap, which it wins. */
TEST_F(aborts, a_claim_that_was_aborted_before_it_was_got_is_claimed_again)
{
	uint64_t seq;

	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 1, &seq));
	self->a.line->claim |= SHMIPC_ENTRY_ABORTED << SHMIPC_CLAIM_STATE;
	EXPECT_EQ(-EAGAIN, shmipc_tlog_start(&self->a, seq, 1, logmem_alive, &self->dead, &self->f));
	EXPECT_EQ(1, self->f.aborted);
	EXPECT_EQ(seq << 2 | SHMIPC_ENTRY_ABORTED, word(self, seq));
	EXPECT_EQ(SHMIPC_CLAIM_NONE, self->a.line->claim);
}

/* The sleepers on what is given up must be woken. */
TEST_F(aborts, the_sleepers_are_named)
{
	uint64_t seq;

	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	self->l.log.sub->want = seq + 1;
	ASSERT_EQ(1, shmipc_tlog_abort(&self->l.log, seq));
	EXPECT_EQ(-ECANCELED, finish(self, &self->a, seq, 1));
	EXPECT_EQ(1, self->f.wake);
	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 1, &seq));
	self->l.log.sub->want = seq + 1;
	self->a.line->claim |= SHMIPC_ENTRY_ABORTED << SHMIPC_CLAIM_STATE;
	EXPECT_EQ(-EAGAIN, shmipc_tlog_start(&self->a, seq, 1, logmem_alive, &self->dead, &self->f));
	EXPECT_EQ(1, self->f.wake);
}

/*
 * It is stopped for laps: each has a hole at its entry, and no other. What it fills then
 * disturbs nobody. When it has continued there are no more holes.
 */
TEST_F(aborts, the_entry_of_one_that_is_stopped_is_not_filled)
{
	uint64_t seq, is, i, v = 0xdead, laps = 5;

	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	ASSERT_EQ(0, put(self, &self->b));
	ASSERT_EQ(1, abort_message(self, seq));
	for (i = 0; i < laps * ENTRIES; i++) {
		ASSERT_EQ(0, put(self, &self->b));
		/* Bytes of the stopped publisher, at any moment. */
		shmipc_tlog_fill(&self->a, seq, NULL, 0, &v, sizeof(v), 0);
		while (!self->rx.seq || self->rx.seq < self->l.log.pub->tail)
			ASSERT_EQ(0, take(self, &is));
	}
	EXPECT_EQ(laps, self->holes);
	EXPECT_EQ(laps + 1, self->rx.aborted);
	EXPECT_EQ(-ECANCELED, shmipc_tlog_finish(&self->a, seq, 1, SHMIPC_ENTRY_CELL, 8, &self->f));
	for (i = 0; i < 3 * ENTRIES; i++) {
		ASSERT_EQ(0, put(self, i % 2 ? &self->a : &self->b));
		ASSERT_EQ(0, take(self, &is));
	}
	EXPECT_EQ(laps, self->holes);
}

/* When it is dead nothing is filled any more. */
TEST_F(aborts, the_entry_of_one_that_died_is_filled)
{
	uint64_t seq, i;

	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	ASSERT_EQ(0, put(self, &self->b));
	ASSERT_EQ(1, abort_message(self, seq));
	self->dead = 1;
	for (i = 0; i < 3 * ENTRIES; i++)
		ASSERT_EQ(0, put(self, &self->b));
	EXPECT_EQ(0, self->holes);
}

/* Dead, without a decision: as in any other log. */
TEST_F(aborts, a_death_decides_too)
{
	uint64_t seq, is;

	ASSERT_EQ(0, claim(self, &self->a, 2, &seq));
	fill(&self->a, seq, 2);
	shmipc_tlog_entry(&self->l.log, seq + 1)->info = 0;
	ASSERT_EQ(0, put(self, &self->b));
	EXPECT_EQ(SHMIPC_FATE_OPEN, settle_fate(&self->l.log, seq, logmem_alive, &self->dead));
	self->dead = 1;
	EXPECT_EQ(2, settle_pub(&self->l.log, 0, logmem_alive, &self->dead));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 2, is);
	/* Its successor begins anew. */
	EXPECT_EQ(0, settle_init(&self->a, &self->l.log, 0, logmem_alive, &self->dead));
	self->dead = 0;
	ASSERT_EQ(0, put(self, &self->a));
}

/* Dead after the decision: its successor completes the batch. */
TEST_F(aborts, a_successor_completes_what_was_committed)
{
	uint64_t seq, is;

	ASSERT_EQ(0, claim(self, &self->a, 2, &seq));
	fill(&self->a, seq, 2);
	self->a.line->claim |= SHMIPC_ENTRY_CELL << SHMIPC_CLAIM_STATE;
	self->dead = 1;
	EXPECT_EQ(2, settle_init(&self->a, &self->l.log, 0, logmem_alive, &self->dead));
	ASSERT_EQ(0, take(self, &is));
	ASSERT_EQ(0, take(self, &is));
	EXPECT_EQ(seq + 1, is);
}

/* Publishers in the way of the next lap: one that is stopped, until it is aborted. */
TEST_F(aborts, there_is_room_when_it_is_aborted)
{
	struct shmipc_tlog_block b;
	uint64_t seq, i;

	ASSERT_EQ(0, claim(self, &self->a, 1, &seq));
	for (i = 0; i + 1 < ENTRIES; i++)
		ASSERT_EQ(0, put(self, &self->b));
	ASSERT_EQ(-EAGAIN, put(self, &self->b));
	ASSERT_EQ(-EAGAIN, shmipc_tlog_make_room(&self->b, 1, &b));
	EXPECT_EQ(SHMIPC_TLOG_PUB, b.who);
	EXPECT_EQ(0, b.slot);
	EXPECT_EQ(seq, b.pos);
	ASSERT_EQ(1, abort_message(self, seq));
	EXPECT_EQ(0, put(self, &self->b));
}

/* Claims that a hostile publisher writes: no crash, no endless loop. */
TEST_F(aborts, any_claim_of_another_is_harmless)
{
	static const uint64_t odd[] = { 0, 1, 15, 16, 17, 1ull << 51, (1ull << 52) - 1, ~0ull >> 2, ~0ull };
	uint64_t seq;
	size_t i, j;

	self->l.log.pub->pubs_used = 3;
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		for (j = 0; j < 4; j++) {
			self->l.log.pub_line[2].claim = odd[i] << SHMIPC_CLAIM_BITS |
							j << SHMIPC_CLAIM_STATE | 1023;
			self->dead = 0;
			(void)shmipc_tlog_abort(&self->l.log, odd[i]);
			(void)abort_message(self, self->rx.seq);
			(void)settle_next(&self->rx, &self->l.log, logmem_alive, &self->dead);
			(void)claim(self, &self->a, 1, &seq);
			(void)claim(self, &self->b, 2, &seq);
			(void)finish(self, &self->b, seq, 2);
			self->dead = 4;
			(void)settle_pub(&self->l.log, 2, logmem_alive, &self->dead);
		}
	}
}

TEST_HARNESS_MAIN
