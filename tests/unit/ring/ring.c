// SPDX-License-Identifier: MIT
/* ring: geometry, creation in any memory, and the check of a hostile header */
#include <kselftest_harness.h>
#include <stddef.h>
#include <shmipc/ring.h>
#include "mem.h"
#include "rng.h"

FIXTURE(ring) {
	struct mem m;
	struct shmipc_ring_opts o;
	struct shmipc_ring_hdr *hdr;
	uint64_t bytes;
	struct shmipc_ring r;
};

FIXTURE_VARIANT(ring) {
	enum mem_kind mem;
	uint32_t kind;
	uint32_t align;
	uint64_t meta;
	uint64_t data_off;
};

/* que: process-private memory and shared memory */
FIXTURE_VARIANT_ADD(ring, spsc_private) { MEM_PRIVATE, SHMIPC_KIND_SPSC, 0, 0, 0 };
FIXTURE_VARIANT_ADD(ring, spsc_shared64) { MEM_SHARED, SHMIPC_KIND_SPSC, 64, 5000, 1 << 16 };
FIXTURE_VARIANT_ADD(ring, spsc_odd) { MEM_ODD, SHMIPC_KIND_SPSC, 32, 64, 12288 + 64 };
FIXTURE_VARIANT_ADD(ring, bcast_memfd) { MEM_MEMFD, SHMIPC_KIND_BCAST, 16, 100, 0 };
FIXTURE_VARIANT_ADD(ring, bcast_dev) { MEM_DEV, SHMIPC_KIND_BCAST, 16, 100, 0 };
FIXTURE_VARIANT_ADD(ring, bcast_odd) { MEM_ODD, SHMIPC_KIND_BCAST, 8, 0, 0 };

FIXTURE_SETUP(ring)
{
	struct shmipc_ring_hdr h;

	MEM_NEED(variant->mem);
	self->o.kind = variant->kind;
	self->o.align = variant->align;
	self->o.size = 10000;
	self->o.meta_bytes = variant->meta;
	self->o.data_off = variant->data_off;
	ASSERT_EQ(0, shmipc_ring_layout(&self->o, &h, &self->bytes));
	ASSERT_EQ(0, mem_get(&self->m, variant->mem, self->bytes));
	ASSERT_EQ(0, shmipc_ring_init(self->m.ptr, self->bytes, &self->o));
	self->hdr = (struct shmipc_ring_hdr *)(void *)self->m.ptr;
}

FIXTURE_TEARDOWN(ring)
{
	mem_put(&self->m);
}

static int check(FIXTURE_DATA(ring) *self)
{
	return shmipc_ring_check(self->m.ptr, self->bytes, &self->r);
}

TEST_F(ring, is_what_was_asked_for)
{
	ASSERT_EQ(0, check(self));
	EXPECT_EQ(variant->kind, self->r.kind);
	EXPECT_EQ(variant->align ? variant->align : 8, self->r.align);
	EXPECT_EQ(16384, self->r.size);
	EXPECT_EQ(variant->meta, self->r.meta_bytes);
	EXPECT_EQ(self->bytes, self->r.bytes);
	EXPECT_EQ(self->m.ptr, self->r.base);
	EXPECT_EQ(variant->kind == SHMIPC_KIND_SPSC, self->r.cons != NULL);
	EXPECT_EQ(variant->kind == SHMIPC_KIND_BCAST, self->r.waiters != NULL);
}

TEST_F(ring, parts_do_not_overlap_and_fill_the_memory)
{
	unsigned char *prod, *second;

	ASSERT_EQ(0, check(self));
	prod = (unsigned char *)self->r.prod;
	second = self->r.cons ? (unsigned char *)self->r.cons : (unsigned char *)self->r.waiters;
	EXPECT_LE(self->m.ptr + sizeof(struct shmipc_ring_hdr), prod);
	EXPECT_LE(prod + sizeof(struct shmipc_prod), self->r.meta);
	EXPECT_LE(self->r.meta + self->r.meta_bytes, second);
	EXPECT_LE(second + SHMIPC_CTL_PAGE, self->r.data);
	EXPECT_EQ(self->m.ptr + self->bytes, self->r.data + self->r.size);
	EXPECT_EQ(variant->data_off ? self->m.ptr + variant->data_off : second + SHMIPC_CTL_PAGE,
		  self->r.data);
	EXPECT_EQ(0, (uintptr_t)self->r.data % SHMIPC_LINE);
	/* Each role has pages of its own. */
	EXPECT_EQ(0, (uintptr_t)(prod - self->m.ptr) % SHMIPC_CTL_PAGE);
	EXPECT_EQ(0, (uintptr_t)(second - self->m.ptr) % SHMIPC_CTL_PAGE);
}

/* que: user metadata */
TEST_F(ring, metadata_is_the_users)
{
	ASSERT_EQ(0, check(self));
	memset(self->r.meta, 0xff, self->r.meta_bytes);
	ASSERT_EQ(0, check(self));
	EXPECT_EQ(variant->meta, self->r.meta_bytes);
}

/* que: Uninitialized */
TEST_F(ring, without_magic_there_is_no_ring_yet)
{
	self->hdr->magic = 0;
	EXPECT_EQ(-EAGAIN, check(self));
}

/* que: CorruptionDetected */
TEST_F(ring, wrong_magic_is_refused)
{
	uint64_t bit;

	for (bit = 0; bit < 64; bit++) {
		self->hdr->magic = SHMIPC_RING_MAGIC ^ 1ULL << bit;
		ASSERT_EQ(-EPROTO, check(self));
	}
}

TEST_F(ring, unknown_version_or_feature_is_not_supported)
{
	self->hdr->version = SHMIPC_LAYOUT_MAJOR + 1;
	EXPECT_EQ(-EPROTONOSUPPORT, check(self));
	self->hdr->version = 0;
	EXPECT_EQ(-EPROTONOSUPPORT, check(self));
	self->hdr->version = SHMIPC_LAYOUT_MAJOR;
	self->hdr->incompat = 1ULL << 63;
	EXPECT_EQ(-EPROTONOSUPPORT, check(self));
	self->hdr->incompat = 0;
	EXPECT_EQ(0, check(self));
}

/* que: IncorrectCapacity */
TEST_F(ring, memory_shorter_than_the_ring_is_refused)
{
	uint64_t bytes;

	for (bytes = 0; bytes < self->bytes; bytes += 512) {
		ASSERT_EQ(-EPROTO, shmipc_ring_check(self->m.ptr, bytes, &self->r));
	}
	ASSERT_EQ(-EPROTO, shmipc_ring_check(self->m.ptr, self->bytes - 1, &self->r));
	ASSERT_EQ(0, shmipc_ring_check(self->m.ptr, self->bytes, &self->r));
}

TEST_F(ring, unaligned_memory_is_refused)
{
	EXPECT_EQ(-EPROTO, shmipc_ring_check(self->m.ptr + 8, self->bytes - 8, &self->r));
	EXPECT_EQ(-EINVAL, shmipc_ring_init(self->m.ptr + 8, self->bytes, &self->o));
}

TEST_F(ring, init_needs_all_the_memory)
{
	EXPECT_EQ(-ENOSPC, shmipc_ring_init(self->m.ptr, self->bytes - 1, &self->o));
	EXPECT_EQ(-ENOSPC, shmipc_ring_init(self->m.ptr, 0, &self->o));
}

#define FIELD(f) { #f, offsetof(struct shmipc_ring_hdr, f), sizeof(((struct shmipc_ring_hdr *)0)->f) }

static const struct {
	const char *name;
	size_t off, bytes;
} fields[] = {
	FIELD(kind), FIELD(align), FIELD(lots), FIELD(size), FIELD(prod_off), FIELD(cons_off),
	FIELD(wait_off), FIELD(meta_off), FIELD(meta_bytes), FIELD(data_off),
};

/* Is everything in @r within the memory? */
static int inside(const struct shmipc_ring *r, const unsigned char *lo, uint64_t bytes)
{
	const unsigned char *hi = lo + bytes, *p = (const unsigned char *)r->prod;
	const unsigned char *s = r->cons ? (const unsigned char *)r->cons :
					   (const unsigned char *)r->waiters;

	return r->base == lo && p >= lo && p + SHMIPC_CTL_PAGE <= hi && s && s >= lo &&
	       s + SHMIPC_CTL_PAGE <= hi && r->data >= s + SHMIPC_CTL_PAGE && r->data <= hi &&
	       r->size <= (uint64_t)(hi - r->data) && !(r->size & (r->size - 1)) &&
	       r->size >= SHMIPC_RING_SIZE_MIN && r->meta >= p + sizeof(*r->prod) &&
	       r->meta_bytes <= (uint64_t)(s - r->meta) && r->bytes <= bytes &&
	       (r->align == 8 || r->align == 16 || r->align == 32 || r->align == 64);
}

/* Every field with every hostile value: refused, or still within the memory. */
TEST_F(ring, hostile_field_is_refused_or_harmless)
{
	static const uint64_t nasty[] = {
		0, 1, 2, 3, 7, 8, 9, 63, 64, 65, 100, 4095, 4096, 4097, 8192, 12288, 16383, 16384,
		16385, 32768, 65536, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x100000001,
		INT64_MAX, 1ULL << 63, UINT64_MAX - 4095, UINT64_MAX - 63, UINT64_MAX,
	};
	struct shmipc_ring_hdr good = *self->hdr, now;
	unsigned char *at = (unsigned char *)self->hdr;
	size_t f, i, b;
	uint64_t v;
	int ret;

	for (f = 0; f < ARRAY_SIZE(fields); f++) {
		for (i = 0; i < 2 * ARRAY_SIZE(nasty) + 64; i++) {
			memcpy(&v, at + fields[f].off, 8);
			if (i < ARRAY_SIZE(nasty))
				v = nasty[i];
			else if (i < 2 * ARRAY_SIZE(nasty))
				v += nasty[i - ARRAY_SIZE(nasty)];
			else
				v ^= 1ULL << (i - 2 * ARRAY_SIZE(nasty));
			b = fields[f].bytes;
			memcpy(at + fields[f].off, &v, b);
			now = *self->hdr;
			ret = check(self);
			if (!memcmp(&now, &good, sizeof(now))) {
				ASSERT_EQ(0, ret);
			} else if (ret) {
				ASSERT_EQ(-EPROTO, ret) TH_LOG("%s = %#llx", fields[f].name,
							       (unsigned long long)v);
			} else {
				ASSERT_TRUE(inside(&self->r, self->m.ptr, self->bytes))
					TH_LOG("%s = %#llx", fields[f].name, (unsigned long long)v);
			}
			*self->hdr = good;
		}
	}
}

/* Several at once, from a seed. */
TEST_F(ring, hostile_header_is_refused_or_harmless)
{
	struct shmipc_ring_hdr good = *self->hdr;
	uint64_t seed = rng_env_seed(), i, n;
	struct rng r = { seed };
	unsigned char *at = (unsigned char *)self->hdr;
	int ret;

	TH_LOG("SHMIPC_SEED=%#llx", (unsigned long long)seed);
	for (i = 0; i < rng_few(200000); i++) {
		for (n = 1 + rng_below(&r, 4); n; n--)
			at[8 + rng_below(&r, sizeof(good) - 8)] = (unsigned char)
				(rng_chance(&r, 2) ? rng_next(&r) : 1ULL << rng_below(&r, 8));
		ret = check(self);
		ASSERT_TRUE(ret == -EPROTO || ret == -EPROTONOSUPPORT ||
			    (ret == 0 && inside(&self->r, self->m.ptr, self->bytes)));
		*self->hdr = good;
	}
}

TEST(bad_options_are_refused)
{
	struct shmipc_ring_opts o = { .kind = SHMIPC_KIND_SPSC, .size = 4096 }, bad;
	struct shmipc_ring_hdr h;
	uint64_t bytes;

	ASSERT_EQ(0, shmipc_ring_layout(&o, &h, &bytes));
	bad = o, bad.kind = SHMIPC_KIND_ANY;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.kind = SHMIPC_KIND_RAW;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.kind = 77;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.align = 4;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.align = 24;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.align = 128;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.data_off = 64;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.data_off = 4 * 4096 + 32;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.data_off = UINT64_MAX - 63;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.size = SHMIPC_RING_SIZE_MAX + 1;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
	bad = o, bad.meta_bytes = UINT64_MAX;
	EXPECT_EQ(-EINVAL, shmipc_ring_layout(&bad, &h, &bytes));
}

TEST(size_is_rounded_up_to_a_power_of_two)
{
	static const struct { uint64_t asked, got; } t[] = {
		{ 0, 4096 }, { 1, 4096 }, { 4096, 4096 }, { 4097, 8192 },
		{ 1ULL << 20, 1ULL << 20 }, { (1ULL << 31) + 1, 1ULL << 32 }, { 1ULL << 32, 1ULL << 32 },
	};
	struct shmipc_ring_opts o = { .kind = SHMIPC_KIND_BCAST };
	struct shmipc_ring_hdr h;
	uint64_t bytes;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		o.size = t[i].asked;
		ASSERT_EQ(0, shmipc_ring_layout(&o, &h, &bytes));
		ASSERT_EQ(t[i].got, h.size);
		ASSERT_EQ(h.data_off + h.size, bytes);
	}
}

/* The bytes are an ABI: these numbers change only with the layout's version. */
TEST(layout_is_unchanged)
{
	EXPECT_EQ(112, sizeof(struct shmipc_ring_hdr));
	EXPECT_EQ(24, sizeof(struct shmipc_cursor));
	EXPECT_EQ(16, sizeof(struct shmipc_mark));
	EXPECT_EQ(64, offsetof(struct shmipc_prod, want_pos));
	EXPECT_EQ(72, offsetof(struct shmipc_prod, floor_lot));
	EXPECT_EQ(128, offsetof(struct shmipc_prod, marks));
	EXPECT_GE(SHMIPC_META_OFF, sizeof(struct shmipc_prod));
	EXPECT_EQ(64, offsetof(struct shmipc_cons, credit_pos));
	EXPECT_EQ(72, offsetof(struct shmipc_cons, want_pos));
	EXPECT_EQ(128, sizeof(struct shmipc_cons));
	EXPECT_EQ(64, sizeof(struct shmipc_waiters));
	EXPECT_EQ(64, sizeof(struct shmipc_peer_slot));
	EXPECT_EQ(0, memcmp("shmipcSG", &(uint64_t){ SHMIPC_SEG_MAGIC }, 8));
	EXPECT_EQ(0, memcmp("shmipcRG", &(uint64_t){ SHMIPC_RING_MAGIC }, 8));
}

TEST_HARNESS_MAIN
