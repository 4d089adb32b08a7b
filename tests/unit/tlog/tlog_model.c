// SPDX-License-Identifier: MIT
/*
 * tlog against a model: publishers stop between any two of their calls and die,
 * subscribers of all policies join, lag, hold and leave; each number is accounted for
 */
#include <kselftest_harness.h>
#include "tlogmem.h"

#define PUBS	4
#define SUBS	5
#define SEQS	(1u << 18)

enum was { UNKNOWN, PENDING, COMMITTED, ABORTED };

struct pub {
	struct shmipc_tlog_tx tx;
	uint64_t seq;
	uint32_t n;		/* claimed but not committed */
};

struct sub {
	struct shmipc_tlog_rx rx;
	uint32_t policy;	/* 0: not in use */
	uint64_t next;		/* the message that it should see next */
	uint64_t generation;
	int cut;
};

FIXTURE(tlog_model) {
	struct tlogmem l;
	struct rng r;
	struct pub pub[PUBS];
	struct sub sub[SUBS];
	uint64_t dead;		/* mask of publishers */
	uint64_t tail, first;
	uint64_t got, lost, stepped, whole, deaths, blocked, cut, wrong;
};

FIXTURE_VARIANT(tlog_model) {
	uint32_t pubs;
	uint64_t keep;
	uint64_t first;
	int policies;		/* of the subscribers: up to this */
};

FIXTURE_VARIANT_ADD(tlog_model, single) { 1, 8, 0, SHMIPC_POLICY_EVICT };
FIXTURE_VARIANT_ADD(tlog_model, many) { PUBS, 8, 0, SHMIPC_POLICY_EVICT };
FIXTURE_VARIANT_ADD(tlog_model, lossy) { PUBS, 40, (1ULL << 30) - 1000, SHMIPC_POLICY_LOSSY };
FIXTURE_VARIANT_ADD(tlog_model, long_log) { PUBS, 400, (1ULL << 32) - 1000, SHMIPC_POLICY_EVICT };

static unsigned char was[SEQS];

static unsigned char *state_of(FIXTURE_DATA(tlog_model) *self, uint64_t seq)
{
	return &was[(seq - self->first) % SEQS];
}

FIXTURE_SETUP(tlog_model)
{
	struct shmipc_tlog_opts o = logmem_opts();
	uint64_t seed = rng_env_seed();
	uint32_t i;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	memset(was, 0, sizeof(was));
	o.pubs = variant->pubs;
	o.keep = variant->keep;
	o.subs = SUBS;
	ASSERT_EQ(0, logmem_get(&self->l, MEM_SHARED, &o));
	if (variant->first)
		logmem_age(&self->l, variant->first);
	self->r.state = seed;
	self->first = self->tail = variant->first;
	for (i = 0; i < variant->pubs; i++)
		logmem_tx(&self->l, &self->pub[i].tx, i);
}

FIXTURE_TEARDOWN(tlog_model)
{
	mem_put(&self->l.m);
}

/* Remove what is in the way, if that is allowed. 0: nothing to be done. */
static int resolve(FIXTURE_DATA(tlog_model) *self, const struct shmipc_tlog_block *b)
{
	struct sub *s = &self->sub[b->slot];

	if (b->who == SHMIPC_TLOG_PUB && self->dead >> b->slot & 1) {
		settle_pub(&self->l.log, b->slot, logmem_alive, &self->dead);
		return 1;
	}
	if (b->who != SHMIPC_TLOG_SUB || b->policy != SHMIPC_POLICY_EVICT || !rng_chance(&self->r, 8))
		return 0;
	if (b->state >> 16 == s->generation)
		s->cut = 1;
	shmipc_tlog_evict(&self->l.log, b, 0);
	return 1;
}

static void claim(FIXTURE_DATA(tlog_model) *self, struct pub *p)
{
	uint64_t most = self->l.log.lot < 5 ? self->l.log.lot : 5, i;
	uint32_t n = 1 + (uint32_t)rng_below(&self->r, most);
	struct shmipc_tlog_block b;

	if (shmipc_tlog_claim(&p->tx, n, &p->seq)) {
		if (shmipc_tlog_make_room(&p->tx, n, &b) && !resolve(self, &b))
			self->blocked++;
		return;
	}
	p->n = n;
	for (i = p->seq; i < p->seq + n; i++) {
		/* In order; and no publisher is still writing in these entries. */
		self->wrong += i != self->tail++;
		self->wrong += i >= self->first + self->l.log.hdr.entries &&
			       *state_of(self, i - self->l.log.hdr.entries) == PENDING;
		*state_of(self, i) = PENDING;
		shmipc_tlog_fill(&p->tx, i, NULL, 0, &i, sizeof(i), 0);
	}
}

static void commit(FIXTURE_DATA(tlog_model) *self, struct pub *p)
{
	uint64_t i;

	(void)shmipc_tlog_commit(&p->tx, p->seq, p->n, SHMIPC_ENTRY_CELL, 8 * p->n);
	for (i = p->seq; i < p->seq + p->n; i++)
		*state_of(self, i) = COMMITTED;
	p->n = 0;
}

/* It dies, possibly after committing the end of its batch; another takes its slot. */
static void die(FIXTURE_DATA(tlog_model) *self, struct pub *p)
{
	uint64_t slot = (uint64_t)(p - self->pub), part = p->n ? rng_below(&self->r, p->n + 1) : 0, i;

	self->deaths++;
	for (i = p->seq; i < p->seq + p->n; i++) {
		/* All of the batch or nothing. */
		*state_of(self, i) = part ? COMMITTED : ABORTED;
		if (i >= p->seq + p->n - part)
			shmipc_tlog_entry(&self->l.log, i)->word = i << 2 | SHMIPC_ENTRY_CELL;
	}
	/* A single publisher had no claim that others know of. */
	if (p->tx.single && !part)
		self->tail -= p->n;
	p->n = 0;
	self->dead |= 1ull << slot;
}

static void revive(FIXTURE_DATA(tlog_model) *self, struct pub *p)
{
	uint32_t slot = (uint32_t)(p - self->pub);

	self->dead &= ~(1ull << slot);
	(void)settle_init(&p->tx, &self->l.log, slot, logmem_alive, &self->dead);
}

static void join(FIXTURE_DATA(tlog_model) *self, struct sub *s, int policies)
{
	s->policy = 1 + (uint32_t)rng_below(&self->r, (uint64_t)policies);
	logmem_rx(&self->l, &s->rx, (uint32_t)rng_below(&self->r, 3), 1 + rng_below(&self->r, 3), 0);
	shmipc_tlog_rx_join(&s->rx, (uint32_t)(s - self->sub), s->policy, 0, ++s->generation);
	s->next = s->rx.seq;
	s->cut = 0;
}

/* Read one message: lost, aborted or the next one, as in the model. 0: they agree. */
static int read_one(FIXTURE_DATA(tlog_model) *self, struct sub *s)
{
	uint64_t aborted = s->rx.aborted, v = 0, n = 0, to;
	int ret = logmem_take(&s->rx, &v);

	for (; aborted < s->rx.aborted && ret != -ESTALE; aborted++, s->next += s->rx.every) {
		self->stepped++;
		if (*state_of(self, s->next) != ABORTED)
			return -1;
	}
	if (ret == -EAGAIN) {
		ret = settle_next(&s->rx, &self->l.log, logmem_alive, &self->dead);
		self->whole += ret == SHMIPC_FATE_WHOLE;
		if (s->next < self->tail && *state_of(self, s->next) == COMMITTED)
			return ret == SHMIPC_FATE_WHOLE ? 0 : -2;
		if (!ret)
			return 0;
		if (ret != SHMIPC_FATE_ABORTED || *state_of(self, s->next) != ABORTED)
			return -3;
		s->next += s->rx.every;
		return 0;
	}
	if (ret == -ECONNRESET) {
		self->cut++;
		s->policy = 0;
		return s->cut ? 0 : -4;
	}
	if (ret == -ESTALE) {
		to = s->rx.lost_to;
		for (; s->next < to; s->next += s->rx.every)
			n++;
		self->lost += n;
		/* Only lossy subscribers lose messages, and only old ones. */
		return s->policy == SHMIPC_POLICY_LOSSY && n && s->next == s->rx.seq &&
		       to + self->l.log.hdr.keep <= self->tail ? 0 : -5;
	}
	if (ret || v != s->next || *state_of(self, v) != COMMITTED)
		return -6;
	s->next += s->rx.every;
	self->got++;
	return 0;
}

TEST_F(tlog_model, agrees_on_every_step)
{
	uint64_t i, steps = rng_few(400000);
	struct pub *p;
	struct sub *s;

	for (i = 0; i < steps && self->tail - self->first < SEQS / 2; i++) {
		p = &self->pub[rng_below(&self->r, variant->pubs)];
		s = &self->sub[rng_below(&self->r, SUBS)];
		switch (rng_below(&self->r, 16)) {
		case 0 ... 5:
			if (self->dead >> (p - self->pub) & 1) {
				if (rng_chance(&self->r, 8))	/* subscribers find it first */
					revive(self, p);
			} else if (!p->n) {
				claim(self, p);
			} else if (p != &self->pub[2] || rng_chance(&self->r, 40)) {
				commit(self, p);	/* this one is slow */
			}
			break;
		case 6:
			if (rng_chance(&self->r, 32) && !(self->dead >> (p - self->pub) & 1))
				die(self, p);
			break;
		case 7:
			if (!s->policy)
				join(self, s, variant->policies);
			else if (rng_chance(&self->r, 256)) {
				shmipc_tlog_rx_leave(&s->rx);
				s->policy = 0;
			}
			break;
		default:
			/* The first keep up best. */
			if (!s->policy || rng_below(&self->r, SUBS) < (uint64_t)(s - self->sub) / 2)
				break;
			ASSERT_EQ(0, read_one(self, s)) {
				TH_LOG("step %llu, subscriber %d of policy %u at %llu of %llu",
				       (unsigned long long)i, (int)(s - self->sub), s->policy,
				       (unsigned long long)s->next, (unsigned long long)self->tail);
			}
		}
		ASSERT_EQ(0, self->wrong);
		ASSERT_LE(self->l.log.pub->clear, self->l.log.pub->floor);
		ASSERT_LE(self->l.log.pub->floor, self->l.log.pub->tail);
	}
	EXPECT_LT(100, self->got);
	EXPECT_LT(10, self->deaths);
	if (variant->policies == SHMIPC_POLICY_LOSSY) {
		EXPECT_LT(10, self->lost);
	} else {
		EXPECT_LT(10, self->blocked);
	}
	if (self->deaths > 400)	/* one in fifty */
		EXPECT_LT(0, self->whole);
	TH_LOG("%llu received, %llu of them of dead publishers, %llu lost, %llu skipped, %llu deaths, %llu cut off",
	       (unsigned long long)self->got, (unsigned long long)self->whole,
	       (unsigned long long)self->lost,
	       (unsigned long long)self->stepped, (unsigned long long)self->deaths,
	       (unsigned long long)self->cut);
}

TEST_HARNESS_MAIN
