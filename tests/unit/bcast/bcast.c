// SPDX-License-Identifier: MIT
/* bcast: overwriting, readers write nothing, each knows exactly what it lost */
#include <kselftest_harness.h>
#include <shmipc/bcast.h>
#include "ringmem.h"
#include "rng.h"

#define SEED 43

FIXTURE(bcast) {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_bcast_tx tx;
	struct shmipc_bcast_rx rx;
	uint64_t first;
	size_t max;
	unsigned char *buf;
};

FIXTURE_VARIANT(bcast) {
	enum mem_kind mem;
	uint32_t align;
	uint64_t size;
	uint64_t laps;
};

FIXTURE_VARIANT_ADD(bcast, private8) { MEM_PRIVATE, 8, 4096, 0 };
FIXTURE_VARIANT_ADD(bcast, shared16) { MEM_SHARED, 16, 8192, 0 };
FIXTURE_VARIANT_ADD(bcast, dev16) { MEM_DEV, 16, 8192, 0 };
FIXTURE_VARIANT_ADD(bcast, odd64) { MEM_ODD, 64, 16384, 0 };
/* The low 32 bits of positions wrap, and the 16 bits of sequence numbers do. */
FIXTURE_VARIANT_ADD(bcast, old8) { MEM_SHARED, 8, 4096, (1ULL << 20) - 2 };

FIXTURE_SETUP(bcast)
{
	MEM_NEED(variant->mem);
	ASSERT_EQ(0, ringmem_get(&self->m, variant->mem, &self->r, SHMIPC_KIND_BCAST,
				 variant->size, variant->align));
	if (variant->laps)
		ringmem_age(&self->r, variant->laps * variant->size, 65530);
	ASSERT_EQ(0, shmipc_bcast_tx_init(&self->tx, &self->r));
	ASSERT_EQ(0, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
	self->first = self->tx.seq;
	self->max = shmipc_ring_max_payload(SHMIPC_KIND_BCAST, self->r.size);
	self->buf = malloc(self->max + 1);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(bcast)
{
	free(self->buf);
	mem_put(&self->m);
}

static int put(FIXTURE_DATA(bcast) *self, size_t len)
{
	msg_fill(self->buf, len, SEED, self->tx.seq);
	return shmipc_bcast_write(&self->tx, self->buf, len);
}

static int pub(FIXTURE_DATA(bcast) *self, size_t len)
{
	int ret = put(self, len);

	shmipc_bcast_publish(&self->tx);
	return ret;
}

/* Read the next message, which must be number @seq and intact. Return: its length, or negative. */
static long take(FIXTURE_DATA(bcast) *self, struct shmipc_bcast_rx *rx, uint64_t seq)
{
	uint64_t lost;
	size_t len = 0;
	int ret = shmipc_bcast_read(rx, self->buf, self->max, &len, &lost);

	if (ret)
		return ret;
	return msg_ok(self->buf, len, SEED, seq) ? (long)len : -EBADMSG;
}

TEST_F(bcast, readers_see_all_in_order_while_they_keep_up)
{
	struct shmipc_bcast_rx two;
	uint64_t i;

	ASSERT_EQ(0, shmipc_bcast_rx_init(&two, &self->r, SHMIPC_START_OLDEST, 1, 0));
	for (i = 0; i < 5000; i++) {
		ASSERT_EQ(0, pub(self, i * 13 % 400));
		ASSERT_EQ((long)(i * 13 % 400), take(self, &self->rx, self->first + i));
		ASSERT_EQ((long)(i * 13 % 400), take(self, &two, self->first + i));
		ASSERT_EQ(-EAGAIN, take(self, &two, 0));
	}
	EXPECT_EQ(0, self->rx.lost);
	EXPECT_EQ(0, two.lost);
}

/* que: lossy single-producer broadcast that overwrites */
TEST_F(bcast, producer_never_waits_and_the_reader_learns_its_loss)
{
	uint64_t i, lost = 0, got = 0, seq;
	size_t len;
	int ret;

	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, pub(self, i % 100));
	}
	ASSERT_EQ(-ESTALE, shmipc_bcast_read(&self->rx, self->buf, self->max, &len, &lost));
	EXPECT_LT(0, lost);
	EXPECT_EQ(lost, self->rx.lost);
	for (seq = self->first + lost; ; seq++, got++) {
		ret = (int)take(self, &self->rx, seq);
		if (ret < 0)
			break;
	}
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(3000, lost + got);
}

/* The history is most of the ring: lost messages were more than 5/8 of it back. */
TEST_F(bcast, history_is_most_of_the_ring)
{
	struct shmipc_bcast_rx rx;
	uint64_t i;

	for (i = 0; i < 3000; i++) {
		ASSERT_EQ(0, pub(self, i * 7 % 120));
		ASSERT_EQ(0, shmipc_bcast_rx_init(&rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
		ASSERT_LE(self->tx.pos - rx.pos, self->r.size);
		if (i > 300) {
			ASSERT_LE(self->r.size * 5 / 8, self->tx.pos - rx.pos);
		}
	}
}

TEST_F(bcast, nothing_is_visible_before_publish)
{
	uint64_t i;

	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, put(self, 30));
		ASSERT_EQ(-EAGAIN, take(self, &self->rx, self->first));
	}
	EXPECT_EQ(0, shmipc_bcast_publish(&self->tx));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(30, take(self, &self->rx, self->first + i));
	}
	EXPECT_EQ(-EAGAIN, take(self, &self->rx, self->first));
}

TEST_F(bcast, batch_too_large_must_be_published)
{
	uint64_t n = 0, i;

	while (put(self, 100) == 0)
		n++;
	EXPECT_EQ(-EAGAIN, put(self, 100));
	EXPECT_LE(self->r.size / 2, 128 * (n + 1) + 100);
	shmipc_bcast_publish(&self->tx);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(100, take(self, &self->rx, self->first + i));
	}
	EXPECT_EQ(0, pub(self, 100));
	EXPECT_EQ(100, take(self, &self->rx, self->first + n));
}

/* que: reserve(n) / write / commit / cancel */
TEST_F(bcast, reserve_commit_abort_discard)
{
	void *p, *q;

	EXPECT_EQ(-EINVAL, shmipc_bcast_commit(&self->tx, 0));
	ASSERT_EQ(0, shmipc_bcast_reserve(&self->tx, 100, &p));
	EXPECT_EQ(0, (uintptr_t)p % self->r.align);
	EXPECT_EQ(-EINVAL, shmipc_bcast_commit(&self->tx, 101));
	shmipc_bcast_abort(&self->tx);
	EXPECT_EQ(-EINVAL, shmipc_bcast_commit(&self->tx, 100));
	ASSERT_EQ(0, shmipc_bcast_reserve(&self->tx, 100, &q));
	EXPECT_EQ(p, q);
	ASSERT_EQ(0, shmipc_bcast_commit(&self->tx, 100));
	ASSERT_EQ(0, put(self, 9));
	EXPECT_EQ(2, shmipc_bcast_discard(&self->tx));
	EXPECT_EQ(0, shmipc_bcast_publish(&self->tx));
	EXPECT_EQ(-EAGAIN, take(self, &self->rx, 0));
	ASSERT_EQ(0, pub(self, 33));
	EXPECT_EQ(33, take(self, &self->rx, self->first));
}

TEST_F(bcast, a_message_that_can_never_fit_is_refused_at_once)
{
	void *p;

	EXPECT_EQ(-EMSGSIZE, shmipc_bcast_reserve(&self->tx, self->max + 1, &p));
	EXPECT_EQ(-EMSGSIZE, shmipc_bcast_reserve(&self->tx, SIZE_MAX, &p));
	EXPECT_EQ(0, shmipc_bcast_reserve(&self->tx, self->max, &p));
}

TEST_F(bcast, longest_message_always_fits)
{
	uint64_t i;

	for (i = 0; i < 300; i++) {
		ASSERT_EQ(0, pub(self, self->max));
		ASSERT_EQ((long)self->max, take(self, &self->rx, self->first + 2 * i));
		ASSERT_EQ(0, pub(self, i * 8 % 97));
		ASSERT_EQ((long)(i * 8 % 97), take(self, &self->rx, self->first + 2 * i + 1));
	}
}

TEST_F(bcast, start_new_oldest_newest_on_an_empty_log)
{
	static const enum shmipc_start s[] = {
		SHMIPC_START_NEW, SHMIPC_START_OLDEST, SHMIPC_START_NEWEST
	};
	struct shmipc_bcast_rx rx[3];
	size_t i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, shmipc_bcast_rx_init(&rx[i], &self->r, s[i], 1, 0));
		ASSERT_EQ(-EAGAIN, take(self, &rx[i], 0));
	}
	ASSERT_EQ(0, pub(self, 10));
	ASSERT_EQ(0, pub(self, 11));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(10, take(self, &rx[i], self->first));
		EXPECT_EQ(11, take(self, &rx[i], self->first + 1));
	}
}

TEST_F(bcast, start_new_oldest_newest_at_every_fill)
{
	struct shmipc_bcast_rx n, o, l;
	uint64_t i;

	for (i = 1; i < 2000; i++) {
		ASSERT_EQ(0, pub(self, i * 11 % 300));
		ASSERT_EQ(0, shmipc_bcast_rx_init(&n, &self->r, SHMIPC_START_NEW, 1, 0));
		ASSERT_EQ(0, shmipc_bcast_rx_init(&o, &self->r, SHMIPC_START_OLDEST, 1, 0));
		ASSERT_EQ(0, shmipc_bcast_rx_init(&l, &self->r, SHMIPC_START_NEWEST, 1, 0));
		ASSERT_EQ(-EAGAIN, take(self, &n, 0));
		ASSERT_EQ(self->first + i, n.seq);
		ASSERT_EQ((long)(i * 11 % 300), take(self, &l, self->first + i - 1));
		ASSERT_EQ(-EAGAIN, take(self, &l, 0));
		ASSERT_LE(0, take(self, &o, o.seq));
		ASSERT_EQ(i - (o.seq - self->first), shmipc_bcast_backlog(&o));
	}
}

/* que: consumers that share the channel by stride */
TEST_F(bcast, readers_share_by_stride)
{
	struct shmipc_bcast_rx rx[3];
	uint64_t i, k;

	for (k = 0; k < 3; k++) {
		ASSERT_EQ(0, shmipc_bcast_rx_init(&rx[k], &self->r, SHMIPC_START_OLDEST, 3, k));
	}
	for (i = 0; i < 4000; i++) {
		ASSERT_EQ(0, pub(self, i * 5 % 77));
		k = (self->first + i) % 3;
		ASSERT_EQ((long)(i * 5 % 77), take(self, &rx[k], self->first + i));
		for (k = 0; k < 3; k++) {
			ASSERT_EQ(-EAGAIN, take(self, &rx[k], 0));
		}
	}
	for (k = 0; k < 3; k++) {
		EXPECT_EQ(0, rx[k].lost);
	}
}

TEST_F(bcast, bad_stride_is_refused)
{
	EXPECT_EQ(-EINVAL, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_NEW, 0, 0));
	EXPECT_EQ(-EINVAL, shmipc_bcast_rx_init(&self->rx, &self->r, SHMIPC_START_NEW, 2, 2));
}

/* Lapped between peek and release: the message must not be used. */
TEST_F(bcast, release_reports_that_the_message_was_overwritten)
{
	uint64_t lost = 0, i;
	const void *p;
	size_t len;

	EXPECT_EQ(-EINVAL, shmipc_bcast_release(&self->rx, &lost));
	ASSERT_EQ(0, pub(self, 50));
	ASSERT_EQ(0, shmipc_bcast_peek(&self->rx, &p, &len, &lost));
	EXPECT_TRUE(msg_ok(p, len, SEED, self->first));
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, pub(self, 50));
	}
	EXPECT_EQ(-ESTALE, shmipc_bcast_release(&self->rx, &lost));
	EXPECT_LT(0, lost);
	EXPECT_EQ(self->first + lost, self->rx.seq);
	EXPECT_EQ(50, take(self, &self->rx, self->first + lost));
	EXPECT_EQ(-EINVAL, shmipc_bcast_release(&self->rx, &lost));
}

TEST_F(bcast, message_stays_when_the_buffer_is_too_small)
{
	size_t len = 0;
	uint64_t lost;

	ASSERT_EQ(0, pub(self, 200));
	EXPECT_EQ(-EMSGSIZE, shmipc_bcast_read(&self->rx, self->buf, 199, &len, &lost));
	EXPECT_EQ(200, len);
	EXPECT_EQ(200, take(self, &self->rx, self->first));
}

/* que: producer restart; readers do not notice */
TEST_F(bcast, producer_restart_keeps_what_was_published)
{
	uint64_t i, seq = self->first;
	void *p;

	for (i = 0; i < 500; i++) {
		ASSERT_EQ(0, pub(self, i % 90));
		ASSERT_EQ(0, put(self, 20));
		ASSERT_EQ(0, shmipc_bcast_reserve(&self->tx, 200, &p));
		memset(p, 0xff, 200);
		ASSERT_EQ(0, shmipc_bcast_tx_init(&self->tx, &self->r));
		ASSERT_EQ((long)(i % 90), take(self, &self->rx, seq++));
		ASSERT_EQ(-EAGAIN, take(self, &self->rx, seq));
	}
	EXPECT_EQ(0, self->rx.lost);
}

/* Killed after the store that publishes and before the tail moved. */
TEST_F(bcast, producer_restart_finds_what_the_tail_does_not_name_yet)
{
	uint64_t n, i, seq = self->first;

	for (n = 0; n < 300; n++) {
		struct shmipc_cursor tail = self->r.prod->tail;

		for (i = 0; i < 1 + n % 3; i++) {
			ASSERT_EQ(0, put(self, (n * 31 + i * 7) % 200));
		}
		shmipc_bcast_publish(&self->tx);
		self->r.prod->tail = tail;
		ASSERT_EQ(0, shmipc_bcast_tx_init(&self->tx, &self->r));
		ASSERT_EQ(seq + i, self->tx.seq);
		for (; i; i--) {
			ASSERT_LE(0, take(self, &self->rx, seq++));
		}
		ASSERT_EQ(-EAGAIN, take(self, &self->rx, seq));
	}
}

TEST_F(bcast, publish_asks_for_one_wake_when_it_passes_want)
{
	uint64_t want = self->tx.pos + 300, wakes = 0;
	int i;

	self->r.waiters->want_pos = want;
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, put(self, 40));
		wakes += (uint64_t)shmipc_bcast_publish(&self->tx);
		ASSERT_EQ(self->tx.pos >= want, wakes);
	}
	EXPECT_EQ(1, wakes);
}

/* Readers write nothing: they work in a read-only mapping. */
TEST(reader_works_read_only)
{
	struct shmipc_ring_opts o = { .kind = SHMIPC_KIND_BCAST, .size = 4096 };
	struct shmipc_ring_hdr h;
	struct shmipc_bcast_tx tx;
	struct shmipc_bcast_rx rx;
	struct shmipc_ring rw, ro;
	uint64_t bytes, i, lost, total = 0, got = 0;
	unsigned char buf[64];
	size_t len;
	void *a, *b;
	int fd, ret;

	ASSERT_EQ(0, shmipc_ring_layout(&o, &h, &bytes));
	fd = memfd_create("shmipc-test", MFD_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, (off_t)bytes));
	a = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, a);
	ASSERT_NE(MAP_FAILED, b);
	ASSERT_EQ(0, shmipc_ring_init(a, bytes, &o));
	ASSERT_EQ(0, shmipc_ring_check(a, bytes, &rw));
	ASSERT_EQ(0, shmipc_ring_check(b, bytes, &ro));
	ASSERT_EQ(0, shmipc_bcast_tx_init(&tx, &rw));
	ASSERT_EQ(0, shmipc_bcast_rx_init(&rx, &ro, SHMIPC_START_NEWEST, 1, 0));
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, shmipc_bcast_write(&tx, &i, sizeof(i)));
		shmipc_bcast_publish(&tx);
		if (i % 400)
			continue;
		while ((ret = shmipc_bcast_read(&rx, buf, sizeof(buf), &len, &lost)) != -EAGAIN) {
			ASSERT_TRUE(ret == 0 || ret == -ESTALE);
			if (ret)
				total += lost;
			else
				got++;
		}
	}
	EXPECT_EQ(801, got + total);
	EXPECT_LT(0, total);
	munmap(a, bytes);
	munmap(b, bytes);
	close(fd);
}

TEST_HARNESS_MAIN
