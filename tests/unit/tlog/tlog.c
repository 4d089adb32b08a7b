// SPDX-License-Identifier: MIT
/* tlog: layout, publishers, subscribers of each policy, deaths, exact losses */
#include <kselftest_harness.h>
#include "tlogmem.h"

enum { NEW, OLDEST, NEWEST };

/* Layout, and invalid options. */

TEST(a_created_log_is_accepted)
{
	static const uint32_t cells[] = { 0, 8, 16, 17, 64, 100, 4096, SHMIPC_TOPIC_CELL_MAX };
	struct shmipc_tlog_opts o = logmem_opts();
	struct tlogmem l;
	size_t i;

	for (o.align = 8; o.align <= 4096; o.align *= 2) {
		for (i = 0; i < ARRAY_SIZE(cells); i++) {
			o.cell_bytes = cells[i];
			ASSERT_EQ(0, logmem_get(&l, MEM_PRIVATE, &o)) {
				TH_LOG("cell_bytes %u, align %u", o.cell_bytes, o.align);
			}
			EXPECT_LE(cells[i], l.log.hdr.cell_bytes);
			EXPECT_EQ(0, (uintptr_t)shmipc_tlog_cell(shmipc_tlog_entry(&l.log, 5)) %
				  (o.align < 64 ? o.align : 64));
			EXPECT_EQ(l.m.ptr + l.m.bytes, l.log.pool + o.chunks * o.chunk_bytes);
			mem_put(&l.m);
		}
	}
}

/* This many are kept, however many are still being written. */
TEST(the_requested_messages_are_kept)
{
	struct shmipc_tlog_opts o = logmem_opts();
	struct shmipc_topic_hdr h;
	uint64_t bytes;

	for (o.pubs = 1; o.pubs <= SHMIPC_TOPIC_PUBS_MAX; o.pubs *= 4) {
		for (o.keep = 0; o.keep < 3000; o.keep += 7) {
			ASSERT_EQ(0, shmipc_tlog_layout(&o, &h, &bytes));
			ASSERT_LE(o.keep + o.pubs, h.entries - h.entries / SHMIPC_TLOG_LOTS);
			ASSERT_LE(16, h.entries);
		}
	}
}

TEST(bad_options_are_refused)
{
	const struct shmipc_tlog_opts good = logmem_opts();
	struct shmipc_topic_hdr h;
	struct shmipc_tlog_opts o;
	uint64_t bytes;

#define BAD(field, value) do {						\
	o = good;							\
	o.field = (value);						\
	EXPECT_EQ(-EINVAL, shmipc_tlog_layout(&o, &h, &bytes)) {		\
		TH_LOG(#field " = " #value);				\
	}								\
} while (0)
	BAD(pubs, 0);
	BAD(pubs, SHMIPC_TOPIC_PUBS_MAX + 1);
	BAD(subs, 0);
	BAD(subs, SHMIPC_TOPIC_SUBS_MAX + 1);
	BAD(keep, SHMIPC_TLOG_ENTRIES_MAX / 2 + 1);
	BAD(cell_bytes, SHMIPC_TOPIC_CELL_MAX + 1);
	BAD(align, 0);
	BAD(align, 4);
	BAD(align, 24);
	BAD(align, 8192);
	BAD(holds, SHMIPC_TOPIC_HOLDS_MAX + 1);
	BAD(meta, SHMIPC_META_ALL + 1);
	BAD(policies, 0);
	BAD(policies, 1);
	BAD(policies, 0x10);
	BAD(chunk_bytes, 0);
	BAD(chunk_bytes, 2048);
	BAD(chunk_bytes, 5000);
	BAD(chunks, SHMIPC_TOPIC_CHUNKS_MAX + 1);
	BAD(data_off, 4096);
	BAD(data_off, 65537);
}

TEST(each_corrupt_field_is_refused)
{
	struct shmipc_tlog_opts o = logmem_opts();
	struct shmipc_tlog log;
	struct tlogmem l;
	size_t i, bit, accepted = 0;
	int ret;

	o.data_off = 1 << 20;
	ASSERT_EQ(0, logmem_get(&l, MEM_PRIVATE, &o));
	for (i = 0; i < sizeof(struct shmipc_topic_hdr); i++) {
		for (bit = 0; bit < 8; bit++) {
			l.m.ptr[i] ^= (unsigned char)(1u << bit);
			ret = shmipc_tlog_check(l.m.ptr, l.m.bytes, &log);
			/* Another value may describe a valid log, but never a larger one. */
			if (!ret) {
				accepted++;
				EXPECT_LE(log.bytes, l.m.bytes);
			} else {
				EXPECT_TRUE(ret == -EPROTO || ret == -EPROTONOSUPPORT);
			}
			l.m.ptr[i] ^= (unsigned char)(1u << bit);
		}
	}
	/* The time (64 bits), and values that give the same layout: meta, policies, keep, ... */
	EXPECT_GT(100, accepted);
	EXPECT_EQ(0, shmipc_tlog_check(l.m.ptr, l.m.bytes, &log));
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(l.m.ptr, l.m.bytes - 1, &log));
	EXPECT_EQ(-EPROTO, shmipc_tlog_check(l.m.ptr + 8, l.m.bytes - 8, &log));
	l.log.hdr.magic = 0;
	memset(l.m.ptr, 0, 8);
	EXPECT_EQ(-EAGAIN, shmipc_tlog_check(l.m.ptr, l.m.bytes, &log));
	mem_put(&l.m);
}

FIXTURE(tlog) {
	struct tlogmem l;
	struct shmipc_tlog_tx tx;
	struct shmipc_tlog_block b;
	uint64_t first;
};

FIXTURE_VARIANT(tlog) {
	enum mem_kind mem;
	uint32_t pubs;
	uint64_t first;
};

FIXTURE_VARIANT_ADD(tlog, single) { MEM_PRIVATE, 1, 0 };
FIXTURE_VARIANT_ADD(tlog, many) { MEM_SHARED, 3, 0 };
/* The low 32 bits of words, and of numbers, wrap. */
FIXTURE_VARIANT_ADD(tlog, words_wrap) { MEM_SHARED, 3, (1ULL << 30) - 20 };
FIXTURE_VARIANT_ADD(tlog, numbers_wrap) { MEM_SHARED, 3, (1ULL << 32) - 20 };
FIXTURE_VARIANT_ADD(tlog, single_wraps) { MEM_PRIVATE, 1, (1ULL << 32) - 20 };

FIXTURE_SETUP(tlog)
{
	struct shmipc_tlog_opts o = logmem_opts();

	o.pubs = variant->pubs;
	ASSERT_EQ(0, logmem_get(&self->l, variant->mem, &o));
	if (variant->first)
		logmem_age(&self->l, variant->first);
	self->first = variant->first;
	logmem_tx(&self->l, &self->tx, 0);
}

FIXTURE_TEARDOWN(tlog)
{
	mem_put(&self->l.m);
}

static void put(FIXTURE_DATA(tlog) *self, uint64_t n)
{
	struct shmipc_tlog_block b;

	for (; n; n--)
		if (logmem_put(&self->tx, shmipc_load_relaxed(&self->l.log.pub->tail), &b))
			abort();
}

TEST_F(tlog, messages_come_in_order)
{
	struct shmipc_tlog_rx rx;
	uint64_t i, v;

	logmem_rx(&self->l, &rx, NEW, 1, 0);
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(-EAGAIN, logmem_take(&rx, &v));
		put(self, 1);
		ASSERT_EQ(0, logmem_take(&rx, &v));
		ASSERT_EQ(self->first + i, v);
	}
	EXPECT_EQ(100, rx.received);
	EXPECT_EQ(0, rx.lost);
}

TEST_F(tlog, losses_are_reported_exactly)
{
	uint64_t n, v, next = self->first, lost = 0, got = 0, seed = rng_env_seed();
	struct shmipc_tlog_rx rx;
	struct rng r = { seed };
	int ret, i;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	logmem_rx(&self->l, &rx, OLDEST, 1, 0);
	for (i = 0; i < 2000; i++) {
		put(self, rng_below(&r, 30));
		for (n = rng_below(&r, 20); n; n--) {
			ret = logmem_take(&rx, &v);
			if (ret == -EAGAIN)
				break;
			if (ret == -ESTALE) {
				ASSERT_EQ(next, rx.lost_from);
				ASSERT_LT(rx.lost_from, rx.lost_to);
				/* At most one lot more than necessary is discarded. */
				ASSERT_LE(rx.lost_to, self->l.log.pub->tail - 13);
				lost += rx.lost_to - rx.lost_from;
				next = rx.lost_to;
				continue;
			}
			ASSERT_EQ(0, ret);
			ASSERT_EQ(next, v);
			next++;
			got++;
		}
	}
	while (!(ret = logmem_take(&rx, &v)) || ret == -ESTALE) {
		lost += ret ? rx.lost_to - rx.lost_from : 0;
		got += !ret;
	}
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(self->l.log.pub->tail - self->first, got + lost);
	EXPECT_EQ(lost, rx.lost);
	EXPECT_EQ(got, rx.received);
	EXPECT_LT(1000, lost);
}

TEST_F(tlog, strides_share_what_there_is)
{
	struct shmipc_tlog_rx rx[3];
	uint64_t v, i, n[3] = { 0 }, lost = 0;
	int ret, k;

	for (k = 0; k < 3; k++)
		logmem_rx(&self->l, &rx[k], NEW, 3, (uint64_t)k);
	for (i = 0; i < 40; i++) {
		put(self, i < 30 ? 2 : 40);
		for (k = 0; k < 3; k++) {
			while (!(ret = logmem_take(&rx[k], &v)) || ret == -ESTALE) {
				if (ret) {
					continue;
				}
				ASSERT_EQ((uint64_t)k, v % 3);
				n[k]++;
			}
			ASSERT_EQ(-EAGAIN, ret);
		}
	}
	for (k = 0; k < 3; k++) {
		lost += rx[k].lost;
		EXPECT_EQ(n[k], rx[k].received);
	}
	EXPECT_LT(50, lost);
	EXPECT_EQ(self->l.log.pub->tail - self->first, n[0] + n[1] + n[2] + lost);
}

TEST_F(tlog, where_a_reader_begins)
{
	struct shmipc_tlog_rx rx;
	uint64_t v;

	logmem_rx(&self->l, &rx, NEWEST, 1, 0);
	EXPECT_EQ(self->first, rx.seq);		/* there is none: the next one */
	put(self, 5);
	logmem_rx(&self->l, &rx, OLDEST, 1, 0);
	ASSERT_EQ(0, logmem_take(&rx, &v));
	EXPECT_EQ(self->first, v);
	logmem_rx(&self->l, &rx, NEWEST, 1, 0);
	ASSERT_EQ(0, logmem_take(&rx, &v));
	EXPECT_EQ(self->first + 4, v);
	logmem_rx(&self->l, &rx, NEW, 1, 0);
	EXPECT_EQ(-EAGAIN, logmem_take(&rx, &v));
	put(self, 30);
	logmem_rx(&self->l, &rx, OLDEST, 1, 0);
	ASSERT_EQ(0, logmem_take(&rx, &v));
	EXPECT_EQ(self->l.log.pub->floor, v);
	EXPECT_LE(14, self->l.log.pub->tail - v);
	/* Aborted messages at the end are not the newest. */
	shmipc_tlog_entry(&self->l.log, self->first + 34)->word |= SHMIPC_ENTRY_ABORTED;
	shmipc_tlog_entry(&self->l.log, self->first + 33)->word |= SHMIPC_ENTRY_ABORTED;
	logmem_rx(&self->l, &rx, NEWEST, 1, 0);
	ASSERT_EQ(0, logmem_take(&rx, &v));
	EXPECT_EQ(self->first + 32, v);
	EXPECT_EQ(-EAGAIN, logmem_take(&rx, &v));
	EXPECT_EQ(2, rx.aborted);
	EXPECT_EQ(self->first + 35, rx.seq);
}

TEST_F(tlog, a_number_can_be_looked_at)
{
	struct shmipc_tlog_ref ref;
	struct shmipc_tlog_rx rx;
	uint64_t v, i;

	put(self, 40);
	logmem_rx(&self->l, &rx, NEW, 1, 0);
	for (i = 0; i < 45; i++) {
		int ret = shmipc_tlog_look(&rx, self->first + i, &ref);

		if (self->first + i < self->l.log.pub->floor) {
			/* Perhaps still there, but not reliably. */
			EXPECT_TRUE(ret == -ESTALE || !shmipc_tlog_intact(&rx, self->first + i));
		} else if (i < 40) {
			ASSERT_EQ(0, ret);
			memcpy(&v, ref.ptr, 8);
			EXPECT_EQ(self->first + i, v);
		} else {
			EXPECT_EQ(-EAGAIN, ret);
		}
	}
}

/* Lossless: nothing is lost; the publisher learns the subscriber and its position. */
TEST_F(tlog, a_lossless_subscriber_makes_the_publisher_wait)
{
	uint64_t i, v;
	struct shmipc_tlog_rx rx;

	logmem_rx(&self->l, &rx, NEW, 1, 0);
	shmipc_tlog_rx_join(&rx, 2, SHMIPC_POLICY_LOSSLESS, 0, 5);
	for (i = 0; i < 16; i++) {
		ASSERT_EQ(0, logmem_put(&self->tx, self->first + i, &self->b));
	}
	ASSERT_EQ(-EAGAIN, logmem_put(&self->tx, 0, &self->b));
	EXPECT_EQ(SHMIPC_TLOG_SUB, self->b.who);
	EXPECT_EQ(2, self->b.slot);
	EXPECT_EQ(self->first, self->b.pos);
	EXPECT_EQ(SHMIPC_POLICY_LOSSLESS, self->b.policy);
	ASSERT_EQ(0, logmem_take(&rx, &v));
	ASSERT_EQ(0, logmem_put(&self->tx, self->first + 16, &self->b));
	ASSERT_EQ(-EAGAIN, logmem_put(&self->tx, 0, &self->b));
	for (i = 1; i < 17; i++) {
		ASSERT_EQ(0, logmem_take(&rx, &v));
		ASSERT_EQ(self->first + i, v);
	}
	ASSERT_EQ(-EAGAIN, logmem_take(&rx, &v));
	/* A subscriber that has left holds up no publisher. */
	shmipc_tlog_rx_leave(&rx);
	put(self, 100);
}

TEST_F(tlog, an_evicted_subscriber_is_cut_off_and_notified)
{
	struct shmipc_tlog_rx rx, again;
	uint64_t i, v;

	logmem_rx(&self->l, &rx, NEW, 1, 0);
	shmipc_tlog_rx_join(&rx, 1, SHMIPC_POLICY_EVICT, 0, 5);
	put(self, 16);
	ASSERT_EQ(-EAGAIN, logmem_put(&self->tx, 0, &self->b));
	shmipc_tlog_evict(&self->l.log, &self->b, 0);
	/* What has not been overwritten can still be read. */
	ASSERT_EQ(0, logmem_take(&rx, &v));
	put(self, 20);
	ASSERT_EQ(-ECONNRESET, logmem_take(&rx, &v));
	EXPECT_EQ(self->first + 1, rx.lost_from);
	EXPECT_EQ(self->first + 36, rx.lost_to);
	EXPECT_EQ(-ECONNRESET, logmem_take(&rx, &v));
	/* Publishers wait for the slot's next owner again, also after a late eviction. */
	logmem_rx(&self->l, &again, NEW, 1, 0);
	shmipc_tlog_rx_join(&again, 1, SHMIPC_POLICY_EVICT, 0, 6);
	shmipc_tlog_evict(&self->l.log, &self->b, 1);
	put(self, 16);
	ASSERT_EQ(-EAGAIN, logmem_put(&self->tx, 0, &self->b));
	shmipc_tlog_evict(&self->l.log, &self->b, 1);
	for (i = 5; i <= 6; i++) {	/* neither an older nor a weaker eviction reverts it */
		self->b.state = i << 16 | SHMIPC_POLICY_EVICT;
		shmipc_tlog_evict(&self->l.log, &self->b, 0);
		EXPECT_EQ(6 | SHMIPC_EVICTED_DEAD, self->l.log.evicted[1]);
	}
	put(self, 20);
}

TEST_F(tlog, a_policy_that_is_not_allowed_is_not_waited_for)
{
	struct shmipc_tlog_rx rx;

	self->l.log.hdr.policies = 1u << SHMIPC_POLICY_LOSSY;
	logmem_rx(&self->l, &rx, NEW, 1, 0);
	shmipc_tlog_rx_join(&rx, 1, SHMIPC_POLICY_LOSSLESS, 0, 5);
	put(self, 50);
	self->l.log.hdr.policies = 0xe;
	shmipc_tlog_sub(&self->l.log, 1)->state = 5 << 16 | 77;
	put(self, 50);
}

TEST_F(tlog, batches_are_claimed_completely_and_wake_sleepers)
{
	static const uint32_t wakes[] = { 1, 2, 2, 0 };
	uint64_t seq, v, i, t;
	struct shmipc_tlog_rx rx;

	logmem_rx(&self->l, &rx, NEW, 1, 0);
	for (t = 0; t < 50; t++) {
		while (shmipc_tlog_claim(&self->tx, 2, &seq))
			ASSERT_EQ(0, shmipc_tlog_make_room(&self->tx, 2, &self->b));
		for (i = seq; i < seq + 2; i++)
			shmipc_tlog_fill(&self->tx, i, NULL, 0, &i, sizeof(i), 0);
		/* A sleeper for the first; the second; a later one; long ago. */
		self->l.log.sub->want = t % 4 == 3 ? seq : seq + 1 + t % 4;
		EXPECT_EQ(wakes[t % 4],
			  shmipc_tlog_commit(&self->tx, seq, 2, SHMIPC_ENTRY_CELL, 16));
		for (i = seq; i < seq + 2; i++) {
			ASSERT_EQ(0, logmem_take(&rx, &v));
			ASSERT_EQ(i, v);
		}
	}
	EXPECT_EQ(100, self->l.log.pub_line[0].sent);
	EXPECT_EQ(800, self->l.log.pub_line[0].bytes);
}

/* A batch that was interrupted at any of its stores: all of it comes, or nothing. */
TEST_F(tlog, a_dead_publishers_batch_comes_whole_or_not_at_all)
{
	uint64_t seq = 0, dead = 1, alive = 0, v, done, i;
	struct shmipc_tlog_rx rx, early;
	struct shmipc_tlog_tx tx;
	int fate;

	for (done = 0; done <= 3; done++) {
		logmem_rx(&self->l, &rx, NEW, 1, 0);
		logmem_rx(&self->l, &early, NEW, 1, 0);
		while (shmipc_tlog_claim(&self->tx, 3, &seq))
			ASSERT_EQ(0, shmipc_tlog_make_room(&self->tx, 3, &self->b));
		for (i = seq; i < seq + 3; i++)
			shmipc_tlog_fill(&self->tx, i, NULL, 0, &i, sizeof(i), 0);
		for (i = seq + 3 - done; i < seq + 3; i++)
			shmipc_tlog_entry(&self->l.log, i)->word = i << 2 | SHMIPC_ENTRY_CELL;
		for (i = seq; i < seq + 3 - done; i++) {
			fate = done ? SHMIPC_FATE_WHOLE :
			       self->tx.single ? SHMIPC_FATE_OPEN : SHMIPC_FATE_ABORTED;
			EXPECT_EQ(1, shmipc_tlog_claimed(&self->l.log, i));
			EXPECT_EQ(fate, settle_fate(&self->l.log, i, logmem_alive, &dead));
			EXPECT_EQ(0, settle_fate(&self->l.log, i, logmem_alive, &alive));
		}
		EXPECT_EQ(0, settle_fate(&self->l.log, seq + 3, logmem_alive, &dead));
		EXPECT_EQ(0, settle_pub(&self->l.log, 0, logmem_alive, &alive));
		/* A subscriber needs nobody to complete it. */
		for (i = seq; i < seq + 3 && done; i++) {
			if (i < seq + 3 - done) {
				ASSERT_EQ(-EAGAIN, logmem_take(&early, &v));
				ASSERT_EQ(SHMIPC_FATE_WHOLE, settle_next(&early, &self->l.log,
									 logmem_alive, &dead));
			}
			ASSERT_EQ(0, logmem_take(&early, &v));
			ASSERT_EQ(i, v);
		}
		/* The new owner is alive, and has its slot. */
		EXPECT_EQ(self->tx.single && !done ? 0 : 3 - done,
			  settle_init(&tx, &self->l.log, 0, logmem_alive, &alive));
		EXPECT_EQ(0, settle_fate(&self->l.log, seq, logmem_alive, &dead));
		self->tx = tx;
		put(self, 1);
		for (i = seq; i < seq + 3 && done; i++) {
			ASSERT_EQ(0, logmem_take(&rx, &v));
			ASSERT_EQ(i, v);
		}
		ASSERT_EQ(0, logmem_take(&rx, &v));
		EXPECT_EQ(self->tx.single || done ? 0 : 3, rx.aborted);
		EXPECT_EQ(self->l.log.pub->tail - seq, rx.received + rx.aborted);
	}
}

/* It announced numbers that others got: the end of its announcement says nothing of them. */
TEST_F(tlog, a_claim_that_was_not_got_decides_nothing)
{
	uint64_t seq, dead = 1, v;
	struct shmipc_tlog_tx other;
	struct shmipc_tlog_rx rx;

	if (self->tx.single)
		return;
	logmem_tx(&self->l, &other, 1);
	logmem_rx(&self->l, &rx, NEW, 1, 0);
	ASSERT_EQ(0, shmipc_tlog_claim(&self->tx, 1, &seq));
	/* Slot 2 died before its compare-and-swap. */
	self->l.log.pub->pubs_used = 3;
	self->l.log.pub_line[2].claim = seq << SHMIPC_CLAIM_BITS | 2;
	ASSERT_EQ(0, logmem_put(&other, 7, &self->b));
	dead = 5;
	EXPECT_EQ(SHMIPC_FATE_ABORTED, settle_fate(&self->l.log, seq, logmem_alive, &dead));
	EXPECT_EQ(1, settle_pub(&self->l.log, 2, logmem_alive, &dead));
	ASSERT_EQ(0, logmem_take(&rx, &v));
	EXPECT_EQ(7, v);
	EXPECT_EQ(1, rx.aborted);
}

/* While it is asked whether slot 2 is alive, that gets the number after, commits it, and dies. */
static int dies_elsewhere(void *arg, uint32_t slot)
{
	FIXTURE_DATA(tlog) *self = arg;
	struct shmipc_pub_line *line = &self->l.log.pub_line[2];
	uint64_t first = line->claim >> SHMIPC_CLAIM_BITS, i;
	struct shmipc_tlog_tx tx = self->tx;

	if (slot != 2 || (line->claim & SHMIPC_CLAIM_MAX) != 2)
		return 0;
	tx.info = UINT64_C(2) << SHMIPC_INFO_PUB;
	for (i = first + 1; i < first + 3; i++) {
		shmipc_tlog_fill(&tx, i, NULL, 0, &i, sizeof(i), 0);
		shmipc_tlog_entry(&self->l.log, i)->word = i << 2 | SHMIPC_ENTRY_CELL;
	}
	line->claim = SHMIPC_CLAIM_NONE;
	self->l.log.pub->tail = first + 3;
	return 0;
}

TEST_F(tlog, a_claim_counts_as_it_is_in_death)
{
	uint64_t seq;

	if (self->tx.single)
		return;
	ASSERT_EQ(0, shmipc_tlog_claim(&self->tx, 1, &seq));
	self->l.log.pub->pubs_used = 3;
	self->l.log.pub_line[2].claim = seq << SHMIPC_CLAIM_BITS | 2;
	EXPECT_EQ(SHMIPC_FATE_ABORTED, settle_fate(&self->l.log, seq, dies_elsewhere, self));
	EXPECT_EQ(seq + 3, self->l.log.pub->tail) TH_LOG("it was not asked");
}

TEST_HARNESS_MAIN
