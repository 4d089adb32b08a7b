// SPDX-License-Identifier: MIT
/* Invalid requests to create a segment with seals, and to seal: EINVAL, and no effect. */
#include "seal.h"

/* A request with one field changed. */
static int create_seals(struct make *m, void (*change)(struct shmipc_dev_create *r))
{
	int fd;

	make_seals(m, NULL, 4 * MIB, 16 * PAGE);
	change(&m->req);
	fd = dev_make(m);
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : fd;
}

#define CHANGED(name, ...)					\
static void name(struct shmipc_dev_create *r)			\
{								\
	__VA_ARGS__;						\
}
CHANGED(nothing, (void)r)
CHANGED(no_flag, r->flags = 0)
CHANGED(no_unit, r->seal_unit = 0)
CHANGED(half_page, r->seal_unit = PAGE / 2)
CHANGED(odd_unit, r->seal_unit = 3 * PAGE)
CHANGED(vast_unit, r->seal_unit = r->seal_bytes = 1ull << 63)
CHANGED(no_bytes, r->seal_bytes = 0)
CHANGED(part_of_a_unit, r->seal_bytes -= PAGE)
CHANGED(too_many, r->seal_bytes += r->seal_unit)
CHANGED(all_ones, r->seal_bytes = UINT64_MAX - r->seal_unit + 1)
CHANGED(before_the_data, r->seal_off -= PAGE)
CHANGED(odd_off, r->seal_off += 8)
CHANGED(too_far, r->seal_off += 16 * PAGE)
CHANGED(behind_the_end, r->seal_off = 1ull << 63)
CHANGED(one_less, (r->seal_off += 16 * PAGE, r->seal_bytes -= 16 * PAGE))
CHANGED(odd_words, r->seal_words += 8)
CHANGED(words_in_a_region, r->seal_words = PROD_OFF)
CHANGED(words_in_the_table, r->seal_words = SHMIPC_DEV_PEERS_OFF)
CHANGED(words_at_the_end, r->seal_words += WORDS_BYTES - PAGE)
CHANGED(words_behind_the_end, r->seal_words += WORDS_BYTES)
CHANGED(words_in_the_data, r->seal_words = DATA)
CHANGED(words_too_far, r->seal_words = UINT64_MAX - PAGE + 1)
CHANGED(more_words, (r->seal_unit = PAGE, r->seal_words += WORDS_BYTES - PAGE))

TEST(seals_of_a_new_segment)
{
	void (*const wrong[])(struct shmipc_dev_create *r) = {
		no_flag, no_unit, half_page, odd_unit, vast_unit, no_bytes, part_of_a_unit, too_many,
		all_ones, before_the_data, odd_off, too_far, behind_the_end, odd_words,
		words_in_a_region, words_in_the_table, words_behind_the_end, words_in_the_data,
		words_too_far, more_words,
	};
	struct make m[1];
	size_t i;

	EXPECT_EQ(create_seals(m, nothing), 0);
	EXPECT_EQ(create_seals(m, one_less), 0);
	EXPECT_EQ(create_seals(m, words_at_the_end), 0);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		EXPECT_EQ(create_seals(m, wrong[i]), -EINVAL)
			TH_LOG("number %zu", i);
	}
}

TEST(seals)
{
	const uint64_t u = 16 * PAGE;
	const struct {
		uint64_t off, bytes;
	} t[] = {
		{ DATA, 0 }, { DATA, u - PAGE }, { DATA, u + 1 }, { DATA + PAGE, u }, { DATA - u, u },
		{ DATA, 4 * MIB + u }, { DATA + 4 * MIB, u }, { DATA, UINT64_MAX - u + 1 },
		{ UINT64_MAX - u + 1, u }, { UINT64_MAX - u + 1, UINT64_MAX - u + 1 }, { 0, u },
	};
	struct shmipc_dev_seal s;
	struct make m[1];
	size_t i;
	int fd;

	make_seals(m, NULL, 4 * MIB, u);
	fd = dev_make(m);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		EXPECT_EQ(dev_seal(fd, t[i].off, t[i].bytes, NULL), -EINVAL);
		EXPECT_EQ(dev_unseal(fd, t[i].off, t[i].bytes), -EINVAL);
	}
#define SL(...) (s = (struct shmipc_dev_seal){ .size = sizeof(s), .off = DATA, .bytes = u, __VA_ARGS__ }, \
		 dev_ioctl(fd, SHMIPC_IOC_SEAL, &s))
	EXPECT_EQ(SL(.flags = 2), -EINVAL);
	EXPECT_EQ(SL(.flags = 1u << 31), -EINVAL);
	EXPECT_EQ(SL(.reserved = 1), -EINVAL);
	EXPECT_EQ(SL(.seal = 77), 0);
	EXPECT_EQ(s.seal, 1);
	close(fd);
	/* So many units at a time, and no more. */
	make_seals(m, NULL, (SHMIPC_DEV_SEAL_UNITS_MAX + 1) * PAGE, PAGE);
	m->req.body_bytes = BODY_BYTES + 130 * PAGE;
	m->req.data_off = m->req.seal_off = m->region[2].off = 4 * MIB;
	m->req.body = (uintptr_t)mmap(NULL, m->req.body_bytes, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	make_reserved(m, PAGE);
	fd = dev_make(m);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(dev_seal(fd, 4 * MIB, SHMIPC_DEV_SEAL_UNITS_MAX * PAGE, NULL), -EFAULT);
	EXPECT_EQ(dev_unseal(fd, 4 * MIB, SHMIPC_DEV_SEAL_UNITS_MAX * PAGE), 0);
	EXPECT_EQ(dev_seal(fd, 4 * MIB, (SHMIPC_DEV_SEAL_UNITS_MAX + 1) * PAGE, NULL), -EINVAL);
	close(fd);
}

TEST_HARNESS_MAIN
