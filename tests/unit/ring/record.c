// SPDX-License-Identifier: MIT
/* record: the header word, the rounding, the pad */
#include <kselftest_harness.h>
#include <shmipc/inline/record.h>

static const uint64_t aligns[] = { 8, 16, 32, 64 };

TEST(word_holds_kind_length_and_sequence)
{
	uint64_t w = shmipc_rec_word(SHMIPC_REC_DATA, 0xfffffff0u, 0x123456789ULL);

	EXPECT_EQ(0xfffffff0u, shmipc_rec_len(w));
	EXPECT_EQ(0x6789, w >> 48);
	EXPECT_EQ(0, w >> 40 & 0xff);
	EXPECT_EQ(SHMIPC_REC_DATA, (w >> 32 & 0xff));
	EXPECT_TRUE(shmipc_rec_is_data(w, 0x123456789ULL));
	EXPECT_TRUE(shmipc_rec_is_data(w, 0x6789));
	EXPECT_FALSE(shmipc_rec_is_data(w, 0x678a));
	EXPECT_FALSE(shmipc_rec_is_data(w | 1ULL << 40, 0x6789));
	EXPECT_FALSE(shmipc_rec_is_data(0, 0));
}

/* Never zero: zero says "not published yet". */
TEST(no_data_word_is_zero)
{
	uint64_t seq;

	for (seq = 0; seq < 65536; seq++) {
		ASSERT_NE(0, shmipc_rec_word(SHMIPC_REC_DATA, 0, seq));
	}
}

TEST(advance_leaves_room_for_the_next_header_and_keeps_the_alignment)
{
	size_t i;
	uint64_t len, adv;

	for (i = 0; i < ARRAY_SIZE(aligns); i++) {
		for (len = 0; len < 300; len++) {
			adv = shmipc_rec_advance(len, aligns[i]);
			ASSERT_EQ(0, adv % aligns[i]);
			ASSERT_LE(len + SHMIPC_REC_HDR, adv);
			ASSERT_LT(adv, len + SHMIPC_REC_HDR + aligns[i]);
		}
	}
}

/* No record's header is before the ring's start or split by its end. */
TEST(first_position_has_room_for_its_header)
{
	EXPECT_EQ(8, shmipc_rec_first(8));
	EXPECT_EQ(0, shmipc_rec_first(16));
	EXPECT_EQ(0, shmipc_rec_first(64));
}

TEST(pad_leads_to_the_start_of_the_next_lap)
{
	const uint64_t size = 4096;
	uint64_t pos, len, pad;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(aligns); i++) {
		for (pos = size + shmipc_rec_first(aligns[i]); pos < 2 * size; pos += aligns[i]) {
			for (len = 0; len < 2000; len += 13) {
				pad = shmipc_rec_pad(pos, len, size, aligns[i]);
				if (len <= 2 * size - pos) {
					ASSERT_EQ(0, pad);
					continue;
				}
				ASSERT_EQ(2 * size + shmipc_rec_first(aligns[i]), pos + pad);
				ASSERT_TRUE(shmipc_rec_is_pad(pos,
					shmipc_rec_word(SHMIPC_REC_PAD, (uint32_t)pad, 0),
					size, aligns[i]));
			}
		}
	}
}

TEST(only_the_exact_pad_is_a_pad)
{
	const uint64_t size = 4096, pos = size + 4000;
	uint32_t len;

	for (len = 0; len < 2 * size; len++) {
		ASSERT_EQ(len == 96 + 8, shmipc_rec_is_pad(pos,
			  shmipc_rec_word(SHMIPC_REC_PAD, len, 0), size, 8));
	}
	EXPECT_FALSE(shmipc_rec_is_pad(pos, shmipc_rec_word(SHMIPC_REC_PAD, 104, 1), size, 8));
	EXPECT_FALSE(shmipc_rec_is_pad(pos, shmipc_rec_word(SHMIPC_REC_DATA, 104, 0), size, 8));
	/* At the start of a lap a pad would lead around the whole ring. */
	EXPECT_FALSE(shmipc_rec_is_pad(size, shmipc_rec_word(SHMIPC_REC_PAD, size, 0), size, 64));
	EXPECT_FALSE(shmipc_rec_is_pad(size + 8, shmipc_rec_word(SHMIPC_REC_PAD, size, 0), size, 8));
}

TEST(next_follows_data_and_pads_and_refuses_the_rest)
{
	const uint64_t size = 4096;
	uint64_t seq = 70000;

	EXPECT_EQ(8 + 24, shmipc_rec_next(shmipc_rec_word(SHMIPC_REC_DATA, 10, seq), 8, &seq, size, 8));
	EXPECT_EQ(70001, seq);
	EXPECT_EQ(size + 8, shmipc_rec_next(shmipc_rec_word(SHMIPC_REC_PAD, 104, 0), 4000, &seq, size, 8));
	EXPECT_EQ(70001, seq);
	EXPECT_EQ(0, shmipc_rec_next(shmipc_rec_word(SHMIPC_REC_DATA, 10, seq + 1), 8, &seq, size, 8));
	EXPECT_EQ(0, shmipc_rec_next(shmipc_rec_word(SHMIPC_REC_DATA, 97, seq), 4000, &seq, size, 8));
	EXPECT_EQ(0, shmipc_rec_next(shmipc_rec_word(SHMIPC_REC_DATA, size / 2 + 1, seq), 8, &seq, size, 8));
	EXPECT_EQ(0, shmipc_rec_next(~0ULL, 8, &seq, size, 8));
	EXPECT_EQ(70001, seq);
}

TEST(header_lies_before_its_payload_around_the_end)
{
	static uint64_t data[512];
	unsigned char *d = (unsigned char *)data;

	EXPECT_EQ(&data[0], shmipc_rec_hdr(d, 8, 4095));
	EXPECT_EQ(&data[511], shmipc_rec_hdr(d, 0, 4095));
	EXPECT_EQ(&data[511], shmipc_rec_hdr(d, 4096, 4095));
	EXPECT_EQ(&data[7], shmipc_rec_hdr(d, 4096 + 64, 4095));
}

TEST_HARNESS_MAIN
