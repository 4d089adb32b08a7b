// SPDX-License-Identifier: MIT
/* spsc: lossless, in order, exactly full, nothing visible before it is published */
#include <kselftest_harness.h>
#include <pthread.h>
#include <shmipc/spsc.h>
#include "ringmem.h"
#include "rng.h"

#define SEED 42

FIXTURE(spsc) {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_spsc_tx tx;
	struct shmipc_spsc_rx rx;
	size_t max;
	unsigned char *buf;
};

FIXTURE_VARIANT(spsc) {
	enum mem_kind mem;
	uint32_t align;
	uint64_t size;
	uint64_t laps;	/* age of the ring */
};

/* que: process-private memory and shared memory */
FIXTURE_VARIANT_ADD(spsc, private8) { MEM_PRIVATE, 8, 4096, 0 };
FIXTURE_VARIANT_ADD(spsc, shared16) { MEM_SHARED, 16, 4096, 0 };
FIXTURE_VARIANT_ADD(spsc, memfd32) { MEM_MEMFD, 32, 16384, 0 };
FIXTURE_VARIANT_ADD(spsc, dev8) { MEM_DEV, 8, 4096, 0 };
FIXTURE_VARIANT_ADD(spsc, odd64) { MEM_ODD, 64, 8192, 0 };
/* The low 32 bits of positions wrap, and the 16 bits of sequence numbers do. */
FIXTURE_VARIANT_ADD(spsc, old8) { MEM_SHARED, 8, 4096, (1ULL << 20) - 2 };

FIXTURE_SETUP(spsc)
{
	MEM_NEED(variant->mem);
	ASSERT_EQ(0, ringmem_get(&self->m, variant->mem, &self->r, SHMIPC_KIND_SPSC,
				 variant->size, variant->align));
	if (variant->laps)
		ringmem_age(&self->r, variant->laps * variant->size, 65530);
	ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
	ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
	self->max = shmipc_ring_max_payload(SHMIPC_KIND_SPSC, self->r.size);
	self->buf = malloc(self->max + 1);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(spsc)
{
	free(self->buf);
	mem_put(&self->m);
}

static int put(FIXTURE_DATA(spsc) *self, size_t len)
{
	msg_fill(self->buf, len, SEED, self->tx.seq);
	return shmipc_spsc_write(&self->tx, self->buf, len);
}

/* Read the next message, which must be number @seq and intact. Return: its length, or negative. */
static long take(FIXTURE_DATA(spsc) *self, uint64_t seq)
{
	size_t len = 0;
	int wake, ret = shmipc_spsc_read(&self->rx, self->buf, self->max, &len, &wake);

	if (ret)
		return ret;
	return msg_ok(self->buf, len, SEED, seq) ? (long)len : -EBADMSG;
}

/* que: lossless FIFO with Full */
TEST_F(spsc, lossless_fifo_that_reports_full)
{
	uint64_t sent = self->tx.seq, got = sent;
	size_t len = 0;
	int round, n;

	for (round = 0; round < 50; round++) {
		for (n = 0; put(self, len) == 0; n++) {
			sent++;
			len = (len + 17) % 300;
		}
		ASSERT_LT(5, n);
		ASSERT_EQ(-EAGAIN, put(self, len));
		shmipc_spsc_publish(&self->tx);
		ASSERT_EQ(-EAGAIN, put(self, len));
		for (; got < sent; got++) {
			ASSERT_LE(0, take(self, got));
		}
		ASSERT_EQ(-EAGAIN, take(self, got));
	}
}

/* que: nothing visible before sync */
TEST_F(spsc, nothing_is_visible_before_publish)
{
	uint64_t i, first = self->tx.seq;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, put(self, 50));
		ASSERT_EQ(-EAGAIN, take(self, first));
	}
	shmipc_spsc_publish(&self->tx);
	ASSERT_EQ(0, put(self, 5));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(50, take(self, first + i));
	}
	EXPECT_EQ(-EAGAIN, take(self, first + 10));
	EXPECT_EQ(0, shmipc_spsc_publish(&self->tx));
	EXPECT_EQ(5, take(self, first + 10));
}

TEST_F(spsc, publish_of_an_empty_batch_has_no_effect)
{
	struct shmipc_prod before = *self->r.prod;

	EXPECT_EQ(0, shmipc_spsc_publish(&self->tx));
	EXPECT_EQ(0, memcmp(&before, self->r.prod, sizeof(before)));
	EXPECT_EQ(-EAGAIN, take(self, 0));
}

/* que: reserve(n) / write / commit / cancel */
TEST_F(spsc, reserve_commit_abort)
{
	uint64_t first = self->tx.seq;
	void *p, *q;

	EXPECT_EQ(-EINVAL, shmipc_spsc_commit(&self->tx, 0));
	ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, 100, &p));
	shmipc_spsc_abort(&self->tx);
	EXPECT_EQ(-EINVAL, shmipc_spsc_commit(&self->tx, 0));
	ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, 100, &q));
	EXPECT_EQ(p, q);
	EXPECT_EQ(-EINVAL, shmipc_spsc_commit(&self->tx, 101));
	msg_fill(q, 60, SEED, first);
	EXPECT_EQ(0, shmipc_spsc_commit(&self->tx, 60));
	EXPECT_EQ(-EINVAL, shmipc_spsc_commit(&self->tx, 0));
	shmipc_spsc_publish(&self->tx);
	EXPECT_EQ(60, take(self, first));
	EXPECT_EQ(-EAGAIN, take(self, first + 1));
}

TEST_F(spsc, second_reserve_replaces_the_first)
{
	uint64_t first = self->tx.seq;
	void *p;

	ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, 1000, &p));
	ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, 10, &p));
	EXPECT_EQ(-EINVAL, shmipc_spsc_commit(&self->tx, 11));
	msg_fill(p, 10, SEED, first);
	EXPECT_EQ(0, shmipc_spsc_commit(&self->tx, 10));
	shmipc_spsc_publish(&self->tx);
	EXPECT_EQ(10, take(self, first));
}

TEST_F(spsc, discard_drops_the_batch_and_nothing_else)
{
	uint64_t first = self->tx.seq;

	ASSERT_EQ(0, put(self, 30));
	shmipc_spsc_publish(&self->tx);
	EXPECT_EQ(0, shmipc_spsc_discard(&self->tx));
	ASSERT_EQ(0, put(self, 40));
	ASSERT_EQ(0, put(self, 41));
	EXPECT_EQ(2, shmipc_spsc_discard(&self->tx));
	EXPECT_EQ(0, shmipc_spsc_publish(&self->tx));
	EXPECT_EQ(30, take(self, first));
	EXPECT_EQ(-EAGAIN, take(self, first + 1));
	ASSERT_EQ(0, put(self, 7));
	shmipc_spsc_publish(&self->tx);
	EXPECT_EQ(7, take(self, first + 1));
}

TEST_F(spsc, a_message_that_can_never_fit_is_refused_at_once)
{
	void *p = &p;

	EXPECT_EQ(-EMSGSIZE, shmipc_spsc_reserve(&self->tx, self->max + 1, &p));
	EXPECT_EQ(-EMSGSIZE, shmipc_spsc_reserve(&self->tx, self->r.size, &p));
	EXPECT_EQ(-EMSGSIZE, shmipc_spsc_reserve(&self->tx, SIZE_MAX, &p));
	EXPECT_EQ((void *)&p, p);
	EXPECT_EQ(-EMSGSIZE, shmipc_spsc_write(&self->tx, self->buf, SIZE_MAX / 4));
}

/* From every position of the ring, when it is empty. */
TEST_F(spsc, longest_message_always_fits_in_the_end)
{
	uint64_t n;

	for (n = self->tx.seq; n < 70000 && self->tx.pos / self->r.size < variant->laps + 40; ) {
		ASSERT_EQ(0, put(self, self->max));
		shmipc_spsc_publish(&self->tx);
		ASSERT_EQ((long)self->max, take(self, n++));
		ASSERT_EQ(0, put(self, n * 8 % 97));
		shmipc_spsc_publish(&self->tx);
		ASSERT_EQ((long)(n * 8 % 97), take(self, n));
		n++;
	}
}

TEST_F(spsc, payloads_are_aligned_and_whole)
{
	const void *q;
	size_t len;
	void *p;
	int i;

	for (i = 0; i < 1000; i++) {
		len = (size_t)(i * 37 % 500);
		ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, len, &p));
		ASSERT_EQ(0, (uintptr_t)p % self->r.align);
		ASSERT_LE(self->r.data, (unsigned char *)p);
		ASSERT_LE((unsigned char *)p + len, self->r.data + self->r.size);
		memset(p, i, len);
		ASSERT_EQ(0, shmipc_spsc_commit(&self->tx, len));
		shmipc_spsc_publish(&self->tx);
		ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &q, &len));
		ASSERT_EQ(p, q);
		shmipc_spsc_release(&self->rx);
	}
}

/* que: zero-copy pop */
TEST_F(spsc, peek_shows_the_same_until_release)
{
	uint64_t first = self->tx.seq;
	const void *p, *q;
	size_t len;

	EXPECT_EQ(-EAGAIN, shmipc_spsc_peek(&self->rx, &p, &len));
	EXPECT_EQ(0, shmipc_spsc_release(&self->rx));
	ASSERT_EQ(0, put(self, 20));
	ASSERT_EQ(0, put(self, 21));
	shmipc_spsc_publish(&self->tx);
	ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &p, &len));
	ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &q, &len));
	EXPECT_EQ(p, q);
	EXPECT_EQ(20, len);
	EXPECT_TRUE(msg_ok(p, len, SEED, first));
	shmipc_spsc_release(&self->rx);
	EXPECT_EQ(0, shmipc_spsc_release(&self->rx));
	EXPECT_EQ(21, take(self, first + 1));
}

TEST_F(spsc, message_stays_when_the_buffer_is_too_small)
{
	unsigned char small[10];
	size_t len = 0;
	int wake = 9;

	ASSERT_EQ(0, put(self, 11));
	shmipc_spsc_publish(&self->tx);
	memset(small, 0x5a, sizeof(small));
	EXPECT_EQ(-EMSGSIZE, shmipc_spsc_read(&self->rx, small, 10, &len, &wake));
	EXPECT_EQ(11, len);
	EXPECT_EQ(9, wake);
	EXPECT_EQ(0x5a, small[0]);
	EXPECT_EQ(11, take(self, self->tx.seq - 1));
}

/* que: producer restart keeps data */
TEST_F(spsc, producer_restart_keeps_what_was_published)
{
	uint64_t first = self->tx.seq;
	void *p;

	ASSERT_EQ(0, put(self, 10));
	ASSERT_EQ(0, put(self, 11));
	shmipc_spsc_publish(&self->tx);
	ASSERT_EQ(0, put(self, 12));
	ASSERT_EQ(0, put(self, 13));
	ASSERT_EQ(0, shmipc_spsc_reserve(&self->tx, 500, &p));
	memset(p, 0xff, 500);
	ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
	EXPECT_EQ(first + 2, self->tx.seq);
	ASSERT_EQ(0, put(self, 99));
	shmipc_spsc_publish(&self->tx);
	EXPECT_EQ(10, take(self, first));
	EXPECT_EQ(11, take(self, first + 1));
	EXPECT_EQ(99, take(self, first + 2));
	EXPECT_EQ(-EAGAIN, take(self, first + 3));
}

/* Killed after the store that publishes and before the tail moved. */
TEST_F(spsc, producer_restart_finds_what_the_tail_does_not_name_yet)
{
	uint64_t first = self->tx.seq, i, n;

	for (n = 0; n < 60; n++) {
		struct shmipc_cursor tail = self->r.prod->tail;

		for (i = 0; i < 1 + n % 5; i++) {
			ASSERT_EQ(0, put(self, (n * 31 + i * 7) % 300));
		}
		shmipc_spsc_publish(&self->tx);
		self->r.prod->tail = tail;
		/* Also when the consumer has already taken some of them. */
		for (i = 0; i < n % 4 && i < 1 + n % 5; i++) {
			ASSERT_LE(0, take(self, first + i));
		}
		ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
		ASSERT_EQ(first + 1 + n % 5, self->tx.seq);
		for (; i < 1 + n % 5; i++) {
			ASSERT_LE(0, take(self, first + i));
		}
		ASSERT_EQ(-EAGAIN, take(self, first + i));
		first += i;
	}
}

/* que: consumer restart resumes without dropping unread data */
TEST_F(spsc, consumer_restart_continues_at_the_first_unreleased)
{
	uint64_t first = self->tx.seq, i;
	const void *p;
	size_t len;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, put(self, i));
	}
	shmipc_spsc_publish(&self->tx);
	EXPECT_EQ(0, take(self, first));
	EXPECT_EQ(1, take(self, first + 1));
	ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &p, &len));
	ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
	for (i = 2; i < 10; i++) {
		ASSERT_EQ((long)i, take(self, first + i));
	}
	EXPECT_EQ(-EAGAIN, take(self, first + 10));
}

/* A consumer that attaches and leaves does not change the producer's idea of room. */
TEST_F(spsc, consumer_restart_never_takes_credit_back)
{
	uint64_t seq = self->tx.seq;
	int i;

	for (i = 0; i < 500; i++) {
		while (put(self, (size_t)i % 200) == 0)
			;
		shmipc_spsc_publish(&self->tx);
		ASSERT_LE(0, take(self, seq++));
		ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
		ASSERT_LE(0, take(self, seq++));
		if (i % 7 == 0) {
			ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
		}
		if (i % 50 == 0)
			while (take(self, seq) >= 0)
				seq++;
	}
}

TEST_F(spsc, publish_asks_for_one_wake_when_it_passes_want)
{
	uint64_t want = self->tx.pos + 300, wakes = 0;
	int i;

	self->r.cons->want_pos = want;
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, put(self, 40));
		wakes += (uint64_t)shmipc_spsc_publish(&self->tx);
		ASSERT_EQ(self->tx.pos >= want, wakes);
	}
	EXPECT_EQ(1, wakes);
}

TEST_F(spsc, release_asks_for_one_wake_when_it_passes_want)
{
	uint64_t want = self->rx.pos + 300, wakes = 0;
	const void *p;
	size_t len;
	int i;

	self->r.prod->want_pos = want;
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, put(self, 40));
	}
	shmipc_spsc_publish(&self->tx);
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, shmipc_spsc_peek(&self->rx, &p, &len));
		wakes += (uint64_t)shmipc_spsc_release(&self->rx);
		ASSERT_EQ(self->rx.pos >= want, wakes);
	}
	EXPECT_EQ(1, wakes);
}

struct threads {
	struct shmipc_spsc_tx *tx;
	uint64_t n;
	size_t max;
	uint64_t seed;
};

static void *produce(void *arg)
{
	struct threads *t = arg;
	struct rng r = { t->seed };
	uint64_t i, first = t->tx->seq;
	size_t len;
	void *p;

	for (i = 0; i < t->n; i++) {
		len = rng_len(&r, t->max);
		while (shmipc_spsc_reserve(t->tx, len, &p)) {
			shmipc_spsc_publish(t->tx);
			sched_yield();
		}
		msg_fill(p, len, SEED, first + i);
		shmipc_spsc_commit(t->tx, len);
		if (rng_chance(&r, 3))
			shmipc_spsc_publish(t->tx);
	}
	shmipc_spsc_publish(t->tx);
	return NULL;
}

/* Under ThreadSanitizer this shows each missing edge. */
TEST_F(spsc, threads_lose_and_tear_nothing)
{
	struct threads t = { &self->tx, rng_few(20000), self->max / 4, rng_env_seed() };
	uint64_t i, first = self->tx.seq;
	pthread_t th;
	long ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)t.seed);
	ASSERT_EQ(0, pthread_create(&th, NULL, produce, &t));
	for (i = 0; i < t.n; ) {
		ret = take(self, first + i);
		if (ret == -EAGAIN) {
			sched_yield();
			continue;
		}
		if (ret < 0)
			break;
		i++;
	}
	EXPECT_EQ(t.n, i);
	if (i < t.n)
		_exit(1);	/* the other thread may never end */
	EXPECT_EQ(0, pthread_join(th, NULL));
	EXPECT_EQ(-EAGAIN, take(self, first + i));
}

TEST_HARNESS_MAIN
