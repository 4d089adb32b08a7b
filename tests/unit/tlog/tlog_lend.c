// SPDX-License-Identifier: MIT
/* tlog_lend: lending the tail of a log to a publisher that is alone, and recalling it */
#include <kselftest_harness.h>
#include "tlogmem.h"

FIXTURE(lend) {
	struct tlogmem l;
	struct shmipc_tlog_tx a, b;	/* slots 0 and 1 */
	struct shmipc_tlog_rx rx;
	uint64_t dead;			/* mask of dead slots */
	uint64_t v;			/* of the next message */
	uint64_t got;
};

static unsigned int fences;

static void fence(void)
{
	fences++;
}

FIXTURE_SETUP(lend)
{
	struct shmipc_tlog_opts o = logmem_opts();

	memset(self, 0, sizeof(*self));
	ASSERT_EQ(0, logmem_get(&self->l, MEM_PRIVATE, &o));
	logmem_tx(&self->l, &self->a, 0);
	logmem_tx(&self->l, &self->b, 1);
	self->a.lend_after = 4;
	self->a.fence = self->b.fence = fence;
	logmem_rx(&self->l, &self->rx, 1, 1, 0);
	fences = 0;
}

FIXTURE_TEARDOWN(lend)
{
	mem_put(&self->l.m);
}

/* Publish the next message, which must get the next number. */
static int put(FIXTURE_DATA(lend) *self, struct shmipc_tlog_tx *tx)
{
	struct shmipc_tlog_block b;
	uint64_t before = shmipc_tlog_tail(&self->l.log), v;

	if (logmem_put(tx, self->v, &b) || shmipc_tlog_tail(&self->l.log) != before + 1)
		return -1;
	if (logmem_take(&self->rx, &v) || v != self->v)
		return -2;
	self->v++;
	self->got++;
	return 0;
}

static int borrow(FIXTURE_DATA(lend) *self)
{
	int i;

	for (i = 0; i < 100 && !self->a.lent; i++)
		if (put(self, &self->a))
			return -1;
	return self->a.lent ? 0 : -2;
}

TEST_F(lend, a_publisher_alone_claims_numbers_without_the_tail)
{
	uint64_t tail;
	int i;

	ASSERT_EQ(0, borrow(self));
	tail = self->l.log.pub->tail;
	EXPECT_EQ(SHMIPC_TAIL_LENT, tail & (SHMIPC_TAIL_LENT | SHMIPC_TAIL_RECALLED));
	EXPECT_EQ(0, tail & SHMIPC_TAIL_SLOT);
	for (i = 0; i < 1000; i++)	/* many laps */
		ASSERT_EQ(0, put(self, &self->a));
	EXPECT_EQ(tail, self->l.log.pub->tail);
	EXPECT_EQ(self->v, shmipc_tlog_tail(&self->l.log));
	EXPECT_EQ(self->v, self->rx.seq);
	EXPECT_EQ(0, self->rx.aborted);
	shmipc_tlog_tx_exit(&self->a);
	EXPECT_EQ(self->v, self->l.log.pub->tail);
	EXPECT_EQ(0, fences) {
		TH_LOG("its own line needs no fence");
	}
}

TEST_F(lend, publishers_that_take_turns_never_borrow)
{
	int i;

	self->b.lend_after = 4;
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, put(self, &self->a));
		ASSERT_EQ(0, put(self, &self->b));
	}
	EXPECT_EQ(0, self->a.lent | self->b.lent);
}

TEST_F(lend, another_publisher_recalls_it_and_no_number_is_skipped)
{
	int i, round;

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, borrow(self));
		for (i = 0; i < 10; i++)
			ASSERT_EQ(0, put(self, &self->a));
		ASSERT_EQ(0, put(self, &self->b));
		EXPECT_EQ((unsigned int)round + 1, fences);
		EXPECT_EQ(self->v, self->l.log.pub->tail);
		ASSERT_EQ(0, put(self, &self->a));	/* notices the recall */
		EXPECT_EQ(0, self->a.lent);
		EXPECT_EQ(0, self->rx.aborted);
		/* Next time it must be alone for longer; not in this test. */
		EXPECT_LT(4, self->a.lend_after);
		self->a.lend_after = 4;
	}
}

/* It announces its number; then the tail is recalled; then it checks. */
TEST_F(lend, a_number_announced_before_the_recall_is_the_owners)
{
	uint64_t seq, other, claim;

	ASSERT_EQ(0, borrow(self));
	seq = self->a.next;
	claim = seq << SHMIPC_CLAIM_BITS | 1;
	shmipc_store_release(&self->a.line->claim, claim);
	ASSERT_EQ(0, shmipc_tlog_claim(&self->b, 1, &other));
	EXPECT_EQ(seq + 1, other);
	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 1, &other));
	EXPECT_EQ(seq, other);
	EXPECT_EQ(0, self->a.lent);
}

/* The tail was recalled before the announcement: the number is another publisher's. */
TEST_F(lend, a_number_announced_too_late_is_not_the_owners)
{
	uint64_t seq, other;

	ASSERT_EQ(0, borrow(self));
	seq = self->a.next;
	ASSERT_EQ(0, shmipc_tlog_claim(&self->b, 1, &other));
	EXPECT_EQ(seq, other);
	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 1, &other));
	EXPECT_EQ(seq + 1, other);
}

TEST_F(lend, a_dead_owners_number_is_skipped)
{
	uint64_t seq, v;

	ASSERT_EQ(0, borrow(self));
	seq = self->a.next;
	EXPECT_EQ(0, shmipc_tlog_claimed(&self->l.log, seq));
	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 1, &seq));
	EXPECT_EQ(1, shmipc_tlog_claimed(&self->l.log, seq));
	EXPECT_EQ(seq, shmipc_tlog_tail(&self->l.log));
	EXPECT_EQ(0, settle_fate(&self->l.log, seq, logmem_alive, &self->dead));
	self->dead = 1;
	EXPECT_EQ(1, settle_fate(&self->l.log, seq, logmem_alive, &self->dead));
	EXPECT_EQ(0, settle_fate(&self->l.log, seq + 1, logmem_alive, &self->dead));
	/* Another publisher comes to the same result. */
	ASSERT_EQ(0, shmipc_tlog_claim(&self->b, 1, &v));
	EXPECT_EQ(seq + 1, v);
	EXPECT_EQ(1, settle_fate(&self->l.log, seq, logmem_alive, &self->dead));
}

TEST_F(lend, the_next_owner_of_a_dead_owners_slot_continues)
{
	struct shmipc_tlog_tx heir;
	uint64_t seq, other;

	ASSERT_EQ(0, borrow(self));
	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 2, &seq));
	EXPECT_EQ(2, settle_init(&heir, &self->l.log, 0, logmem_alive, &self->dead));
	EXPECT_EQ(seq + 2, self->l.log.pub->tail);
	EXPECT_EQ(seq << 2 | SHMIPC_ENTRY_ABORTED, shmipc_tlog_entry(&self->l.log, seq)->word);
	ASSERT_EQ(0, shmipc_tlog_claim(&heir, 1, &other));
	EXPECT_EQ(seq + 2, other);
}

TEST_F(lend, a_new_subscriber_begins_after_the_existing_messages)
{
	struct shmipc_tlog_rx rx;
	uint64_t seq;

	ASSERT_EQ(0, borrow(self));
	ASSERT_EQ(0, shmipc_tlog_claim(&self->a, 1, &seq));
	logmem_rx(&self->l, &rx, 0, 1, 0);
	EXPECT_EQ(seq, rx.seq) {
		TH_LOG("it is not there yet, and may become another publisher's");
	}
	EXPECT_EQ(self->v - 1, shmipc_tlog_newest(&rx, 0));
}

/* Whatever the tail contains: nothing hangs, and nothing is written elsewhere. */
TEST_F(lend, a_hostile_tail_is_recalled)
{
	static const uint64_t odd[] = {
		SHMIPC_TAIL_LENT | 3, SHMIPC_TAIL_LENT | 1023, SHMIPC_TAIL_LENT | SHMIPC_TAIL_RECALLED,
		UINT64_MAX, SHMIPC_TAIL_LENT | 5 << SHMIPC_TAIL_START | 2,
	};
	uint64_t seq;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		self->l.log.pub->tail = odd[i];
		(void)shmipc_tlog_tail(&self->l.log);
		(void)shmipc_tlog_claimed(&self->l.log, 5);
		(void)settle_fate(&self->l.log, 5, logmem_alive, &self->dead);
		(void)shmipc_tlog_claim(&self->b, 1, &seq);
		EXPECT_EQ(0, self->l.log.pub->tail & SHMIPC_TAIL_LENT);
	}
}

TEST_HARNESS_MAIN
