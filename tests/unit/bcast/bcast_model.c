// SPDX-License-Identifier: MIT
/* bcast against a model, and between threads: received plus lost is exactly what was sent */
#include <kselftest_harness.h>
#include <pthread.h>
#include <shmipc/bcast.h>
#include "ringmem.h"
#include "rng.h"

#define SEED	44
#define READERS	5

FIXTURE(bcast_model) {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_bcast_tx tx;
	uint64_t first;
	size_t max;
};

FIXTURE_VARIANT(bcast_model) {
	enum mem_kind mem;
	uint32_t align;
	uint64_t size;
	uint64_t laps;
};

FIXTURE_VARIANT_ADD(bcast_model, private8) { MEM_PRIVATE, 8, 4096, 0 };
FIXTURE_VARIANT_ADD(bcast_model, shared16) { MEM_SHARED, 16, 8192, 0 };
FIXTURE_VARIANT_ADD(bcast_model, odd64) { MEM_ODD, 64, 16384, 0 };
/* The low 32 bits of positions wrap. */
FIXTURE_VARIANT_ADD(bcast_model, old8) { MEM_SHARED, 8, 4096, (1ULL << 20) - 2 };

FIXTURE_SETUP(bcast_model)
{
	ASSERT_EQ(0, ringmem_get(&self->m, variant->mem, &self->r, SHMIPC_KIND_BCAST,
				 variant->size, variant->align));
	if (variant->laps)
		ringmem_age(&self->r, variant->laps * variant->size, 65530);
	ASSERT_EQ(0, shmipc_bcast_tx_init(&self->tx, &self->r));
	self->first = self->tx.seq;
	self->max = shmipc_ring_max_payload(SHMIPC_KIND_BCAST, self->r.size);
}

FIXTURE_TEARDOWN(bcast_model)
{
	mem_put(&self->m);
}

/* The expected state of a reader. */
struct reader {
	struct shmipc_bcast_rx rx;
	uint64_t next;		/* first message of its share that it has not received */
	uint64_t got, lost;
	uint64_t stride, at;
};

/* The first number from @seq on that is for the reader. */
static uint64_t own(const struct reader *rd, uint64_t seq)
{
	while (seq % rd->stride != rd->at)
		seq++;
	return seq;
}

/*
 * One read. 0: it agrees with the model: a message is the next one of our share and
 * intact; -EAGAIN only if the log holds none of ours; lost messages are far behind all that
 * was ever reserved, and their number is exact.
 */
static int step(struct reader *rd, const size_t *lens, const uint64_t *ends, uint64_t pub_seq,
		uint64_t reserved, uint64_t size, int peek_only)
{
	uint64_t lost = 0, n, to;
	const void *p;
	size_t len;
	int ret = shmipc_bcast_peek(&rd->rx, &p, &len, &lost);

	if (ret == -EAGAIN)
		return rd->next < pub_seq ? -1 : 0;
	if (ret == -ESTALE) {
		to = own(rd, rd->rx.seq);
		for (n = 0; rd->next < to; rd->next += rd->stride, n++) {
			if (reserved - ends[rd->next & 0xffff] < size / 4)
				return -2;	/* was not far enough back */
		}
		rd->lost += lost;
		return n == lost && lost ? 0 : -3;
	}
	if (ret)
		return -4;
	if (rd->next >= pub_seq || len != lens[rd->next & 0xffff] ||
	    !msg_ok(p, len, SEED, rd->next))
		return -5;
	if (peek_only)
		return 0;
	ret = shmipc_bcast_release(&rd->rx, &lost);
	if (ret)
		return -6;	/* nothing was written meanwhile */
	rd->got++;
	rd->next += rd->stride;
	return 0;
}

TEST_F(bcast_model, agrees_on_every_step)
{
	static struct { uint64_t stride, at; } share[READERS] = {
		{ 1, 0 }, { 1, 0 }, { 2, 1 }, { 3, 0 }, { 7, 5 }
	};
	static size_t lens[1 << 16];
	static uint64_t ends[1 << 16];
	uint64_t seed = rng_env_seed(), i, pub_seq = self->first, seq = self->first, full = 0;
	uint64_t lost = 0, got = 0, reserved = 0;
	struct reader rd[READERS];
	struct rng r = { seed };
	struct reader *d;
	void *p = NULL;
	size_t len;
	int ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	memset(rd, 0, sizeof(rd));
	for (i = 0; i < READERS; i++) {
		rd[i].stride = share[i].stride;
		rd[i].at = share[i].at;
		ASSERT_EQ(0, shmipc_bcast_rx_init(&rd[i].rx, &self->r, SHMIPC_START_OLDEST,
						  rd[i].stride, rd[i].at));
		rd[i].next = own(&rd[i], self->first);
	}
	for (i = 0; i < rng_few(300000); i++) {
		switch (rng_below(&r, 16)) {
		case 0 ... 4:
			len = rng_len(&r, self->max);
			ret = shmipc_bcast_reserve(&self->tx, len, &p);
			if (ret) {	/* only for reasons that a publish removes */
				ASSERT_EQ(-EAGAIN, ret);
				ASSERT_LT(pub_seq, seq);
				full++;
				break;
			}
			if (self->tx.rsv_end > reserved)
				reserved = self->tx.rsv_end;
			memset(p, 0xee, len);
			if (rng_chance(&r, 8)) {
				shmipc_bcast_abort(&self->tx);
				break;
			}
			if (rng_chance(&r, 4))
				len = (size_t)rng_below(&r, len + 1);
			msg_fill(p, len, SEED, seq);
			ASSERT_EQ(0, shmipc_bcast_commit(&self->tx, len));
			lens[seq & 0xffff] = len;
			ends[seq++ & 0xffff] = self->tx.pos;
			break;
		case 5 ... 7:
			shmipc_bcast_publish(&self->tx);
			pub_seq = seq;
			break;
		case 8:
			ASSERT_EQ(seq - pub_seq, shmipc_bcast_discard(&self->tx));
			seq = pub_seq;
			break;
		case 9:
			if (!rng_chance(&r, 8))
				break;
			ASSERT_EQ(0, shmipc_bcast_tx_init(&self->tx, &self->r));
			seq = pub_seq;
			break;
		case 10:
			d = &rd[rng_below(&r, 2)];	/* attaches again, from the oldest message */
			if (!rng_chance(&r, 64))
				break;
			ASSERT_EQ(0, shmipc_bcast_rx_init(&d->rx, &self->r, SHMIPC_START_OLDEST, 1, 0));
			d->next = d->rx.seq;
			d->got = d->next - self->first;
			d->lost = 0;
			break;
		default:
			/* The first reader keeps up best, the last one worst. */
			d = &rd[rng_below(&r, READERS)];
			if (rng_below(&r, READERS) < (uint64_t)(d - rd))
				break;
			ASSERT_EQ(0, step(d, lens, ends, pub_seq, reserved, self->r.size,
					  rng_chance(&r, 8)));
		}
		ASSERT_EQ(seq, self->tx.seq);
	}
	shmipc_bcast_discard(&self->tx);
	for (d = rd; d < rd + READERS; d++) {
		while (d->next < pub_seq) {
			ASSERT_EQ(0, step(d, lens, ends, pub_seq, reserved, self->r.size, 0));
		}
		EXPECT_EQ((own(d, pub_seq) - own(d, self->first)) / d->stride, d->got + d->lost);
		lost += d->lost;
		got += d->got;
	}
	EXPECT_LT(20, lost);
	EXPECT_LT(50, got);
	EXPECT_LT(0, full);
}

struct threads {
	struct shmipc_bcast_tx *tx;
	struct shmipc_ring *r;
	uint64_t n, first, seed;
	size_t max;
	uint32_t go;
	uint32_t done;
};

static void *produce(void *arg)
{
	struct threads *t = arg;
	struct rng r = { t->seed };
	unsigned char buf[512];
	uint64_t i;
	size_t len;

	while (shmipc_load_acquire(&t->go) < READERS)
		sched_yield();
	for (i = 0; i < t->n; i++) {
		len = rng_len(&r, sizeof(buf));
		msg_fill(buf, len, SEED, t->first + i);
		while (shmipc_bcast_write(t->tx, buf, len))
			shmipc_bcast_publish(t->tx);
		if (rng_chance(&r, 3))
			shmipc_bcast_publish(t->tx);
		if (rng_chance(&r, 16))
			sched_yield();
	}
	shmipc_bcast_publish(t->tx);
	shmipc_store_release(&t->done, 1u);
	return NULL;
}

struct one {
	struct threads *t;
	uint64_t stride, at, got, lost, bad;
};

static void *consume(void *arg)
{
	struct one *o = arg;
	struct shmipc_bcast_rx rx;
	unsigned char buf[512];
	uint64_t lost, next;
	size_t len;
	uint32_t done;
	int ret;

	o->bad += shmipc_bcast_rx_init(&rx, o->t->r, SHMIPC_START_OLDEST, o->stride, o->at) != 0;
	__atomic_fetch_add(&o->t->go, 1, __ATOMIC_RELEASE);
	for (;;) {
		done = shmipc_load_acquire(&o->t->done);
		ret = shmipc_bcast_read(&rx, buf, sizeof(buf), &len, &lost);
		next = rx.seq - 1;
		if (ret == 0) {
			o->got++;
			o->bad += !msg_ok(buf, len, SEED, next) || next % o->stride != o->at;
		} else if (ret == -ESTALE) {
			o->lost += lost;
		} else if (ret == -EAGAIN) {
			if (done)
				break;
			sched_yield();
		} else {
			o->bad++;
			break;
		}
	}
	return NULL;
}

/* Under ThreadSanitizer too: there the racy copies are ordered byte by byte. */
TEST_F(bcast_model, threads_account_for_every_message)
{
	struct threads t = {
		.tx = &self->tx, .r = &self->r, .n = rng_few(30000), .first = self->first,
		.seed = rng_env_seed(), .max = self->max,
	};
	struct one o[READERS] = {
		{ &t, 1, 0, 0, 0, 0 }, { &t, 1, 0, 0, 0, 0 }, { &t, 3, 0, 0, 0, 0 },
		{ &t, 3, 1, 0, 0, 0 }, { &t, 3, 2, 0, 0, 0 },
	};
	uint64_t i, share, seq;
	pthread_t th[READERS], prod;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)t.seed);
	for (i = 0; i < READERS; i++) {
		ASSERT_EQ(0, pthread_create(&th[i], NULL, consume, &o[i]));
	}
	ASSERT_EQ(0, pthread_create(&prod, NULL, produce, &t));
	for (i = 0; i < READERS; i++) {
		ASSERT_EQ(0, pthread_join(th[i], NULL));
	}
	ASSERT_EQ(0, pthread_join(prod, NULL));
	for (i = 0; i < READERS; i++) {
		for (share = 0, seq = t.first; seq < t.first + t.n; seq++)
			share += seq % o[i].stride == o[i].at;
		EXPECT_EQ(0, o[i].bad);
		EXPECT_EQ(share, o[i].got + o[i].lost);
		EXPECT_LT(0, o[i].got);
	}
}

TEST_HARNESS_MAIN
