// SPDX-License-Identifier: MIT
/* spsc against a model: each step of a random walk does what the model says */
#include <kselftest_harness.h>
#include <shmipc/spsc.h>
#include "ringmem.h"
#include "rng.h"

#define SEED 42

FIXTURE(spsc_model) {
	struct mem m;
	struct shmipc_ring r;
	struct shmipc_spsc_tx tx;
	struct shmipc_spsc_rx rx;
	size_t max;
};

FIXTURE_VARIANT(spsc_model) {
	enum mem_kind mem;
	uint32_t align;
	uint64_t size;
	uint64_t laps;	/* age of the ring */
};

FIXTURE_VARIANT_ADD(spsc_model, private8) { MEM_PRIVATE, 8, 4096, 0 };
FIXTURE_VARIANT_ADD(spsc_model, shared16) { MEM_SHARED, 16, 4096, 0 };
FIXTURE_VARIANT_ADD(spsc_model, memfd32) { MEM_MEMFD, 32, 16384, 0 };
FIXTURE_VARIANT_ADD(spsc_model, odd64) { MEM_ODD, 64, 8192, 0 };
/* The low 32 bits of positions wrap. */
FIXTURE_VARIANT_ADD(spsc_model, old8) { MEM_SHARED, 8, 4096, (1ULL << 20) - 2 };

FIXTURE_SETUP(spsc_model)
{
	ASSERT_EQ(0, ringmem_get(&self->m, variant->mem, &self->r, SHMIPC_KIND_SPSC,
				 variant->size, variant->align));
	if (variant->laps)
		ringmem_age(&self->r, variant->laps * variant->size, 65530);
	ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
	ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
	self->max = shmipc_ring_max_payload(SHMIPC_KIND_SPSC, self->r.size);
}

FIXTURE_TEARDOWN(spsc_model)
{
	mem_put(&self->m);
}

/* A model of the ring, independent of its code: the place of each message. */
struct model {
	uint64_t size, align;
	uint64_t pos, pub_pos, head;	/* next record, first unpublished, first unreleased */
	uint64_t seq, pub_seq, head_seq;
	size_t len[1 << 16];		/* by seq */
	uint64_t end[1 << 16];		/* position after it, by seq */
};

/* The position after a message of @len, if it were written now. */
static uint64_t model_end(const struct model *m, size_t len)
{
	uint64_t left = m->size - m->pos % m->size, pos = m->pos;

	if (len > left)		/* payloads are contiguous */
		pos += left + (m->align == 8 ? 8 : 0);
	return pos + (len + 8 + m->align - 1) / m->align * m->align;
}

/* Room is what the consumer has released, except the header at its position. */
static int model_fits(const struct model *m, size_t len)
{
	return model_end(m, len) + 8 <= m->head + m->size;
}

static void model_put(struct model *m, size_t len)
{
	m->pos = model_end(m, len);
	m->len[m->seq & 0xffff] = len;
	m->end[m->seq & 0xffff] = m->pos;
	m->seq++;
}

static void model_discard(struct model *m)
{
	m->pos = m->pub_pos;
	m->seq = m->pub_seq;
}

/* que: exact backpressure: full when, and only when, there is no room */
TEST_F(spsc_model, agrees_on_every_step)
{
	static struct model m;
	uint64_t seed = rng_env_seed(), i, full = 0, ok = 0, seq;
	struct rng r = { seed };
	const void *q = NULL;
	size_t len = 0;
	void *p = NULL;
	int ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	m.size = variant->size;
	m.align = variant->align;
	m.pos = m.pub_pos = m.head = self->tx.pos;
	m.seq = m.pub_seq = m.head_seq = self->tx.seq;
	for (i = 0; i < rng_few(300000); i++) {
		switch (rng_below(&r, 16)) {
		case 0 ... 6:
			len = rng_len(&r, self->max);
			ret = shmipc_spsc_reserve(&self->tx, len, &p);
			ASSERT_EQ(model_fits(&m, len) ? 0 : -EAGAIN, ret)
				TH_LOG("step %llu len %zu", (unsigned long long)i, len);
			if (ret) {
				full++;
				break;
			}
			ok++;
			memset(p, 0xee, len);
			if (rng_chance(&r, 8)) {
				shmipc_spsc_abort(&self->tx);
				break;
			}
			seq = m.seq;
			if (rng_chance(&r, 4)) {	/* shorter than reserved */
				uint64_t pad_end = model_end(&m, len) -
					(len + 8 + m.align - 1) / m.align * m.align;

				len = (size_t)rng_below(&r, len + 1);
				m.pos = pad_end;	/* the pad stays */
			}
			msg_fill(p, len, SEED, seq);
			ASSERT_EQ(0, shmipc_spsc_commit(&self->tx, len));
			model_put(&m, len);
			break;
		case 7 ... 8:
			shmipc_spsc_publish(&self->tx);
			m.pub_pos = m.pos;
			m.pub_seq = m.seq;
			break;
		case 9:
			ASSERT_EQ(m.seq - m.pub_seq, shmipc_spsc_discard(&self->tx));
			model_discard(&m);
			break;
		case 10:
			if (!rng_chance(&r, 8))
				break;
			ASSERT_EQ(0, shmipc_spsc_tx_init(&self->tx, &self->r));
			model_discard(&m);
			break;
		case 11:
			if (rng_chance(&r, 8)) {
				ASSERT_EQ(0, shmipc_spsc_rx_init(&self->rx, &self->r));
			}
			break;
		default:
			ret = shmipc_spsc_peek(&self->rx, &q, &len);
			ASSERT_EQ(m.head_seq < m.pub_seq ? 0 : -EAGAIN, ret);
			if (ret)
				break;
			ASSERT_EQ(m.len[m.head_seq & 0xffff], len);
			ASSERT_TRUE(msg_ok(q, len, SEED, m.head_seq));
			if (rng_chance(&r, 8))
				break;		/* peeked, not released */
			shmipc_spsc_release(&self->rx);
			m.head = m.end[m.head_seq & 0xffff];
			m.head_seq++;
		}
		ASSERT_EQ(m.pos, self->tx.pos);
		ASSERT_EQ(m.seq, self->tx.seq);
	}
	EXPECT_LT(50, full);
	EXPECT_LT(50, ok);
}

TEST_HARNESS_MAIN
