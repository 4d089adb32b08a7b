/* SPDX-License-Identifier: MIT */
/*
 * record.h - the format of a message in a ring: an 8-byte header before its payload
 *
 * Positions only grow and count bytes. A position names a payload; its header
 * is the 8 bytes before it. Both are taken modulo the ring's size, so a payload
 * that is aligned to 64 costs no gap between header and payload.
 */
#ifndef SHMIPC_INLINE_RECORD_H
#define SHMIPC_INLINE_RECORD_H

#include <linux/shmipc_layout.h>
#include <shmipc/inline/atomic.h>

SHMIPC_PRIV_C_BEGIN

/* Header word of a record. @len: payload bytes, or a pad's advance. */
SHMIPC_INLINE uint64_t shmipc_rec_word(uint32_t kind, uint32_t len, uint64_t seq)
{
	return (seq & 0xffff) << 48 | (uint64_t)kind << 32 | len;
}

SHMIPC_INLINE uint32_t shmipc_rec_len(uint64_t word)
{
	return (uint32_t)word;
}

/* Is @word the header of the message with this sequence number? */
SHMIPC_INLINE int shmipc_rec_is_data(uint64_t word, uint64_t seq)
{
	return word >> 32 == ((seq & 0xffff) << 16 | SHMIPC_REC_DATA);
}

/* From one payload position to the next: payload, the next header, rounding. */
SHMIPC_INLINE uint64_t shmipc_rec_advance(uint64_t len, uint64_t align)
{
	return (len + SHMIPC_REC_HDR + align - 1) & ~(align - 1);
}

/* The first payload position of a lap, relative to the lap's start. */
SHMIPC_INLINE uint64_t shmipc_rec_first(uint64_t align)
{
	return align == SHMIPC_REC_HDR ? SHMIPC_REC_HDR : 0;
}

/*
 * Payloads are contiguous. A payload that does not fit before the end of the ring
 * goes to the start of the next lap, and a pad takes its place. Return: the pad's
 * advance, or 0 if @len fits.
 */
SHMIPC_INLINE uint64_t shmipc_rec_pad(uint64_t pos, uint64_t len, uint64_t size,
				      uint64_t align)
{
	uint64_t room = size - (pos & (size - 1));

	return shmipc_likely(len <= room) ? 0 : room + shmipc_rec_first(align);
}

SHMIPC_INLINE uint64_t *shmipc_rec_hdr(unsigned char *data, uint64_t pos, uint64_t mask)
{
	return (uint64_t *)(void *)(data + ((pos - SHMIPC_REC_HDR) & mask));
}

/* Is @word, at @pos, the only pad that can be there? */
SHMIPC_INLINE int shmipc_rec_is_pad(uint64_t pos, uint64_t word, uint64_t size,
				    uint64_t align)
{
	uint64_t off = pos & (size - 1);

	return word >> 32 == SHMIPC_REC_PAD && off != shmipc_rec_first(align) &&
	       shmipc_rec_len(word) == size - off + shmipc_rec_first(align);
}

/*
 * The position after the record at @pos, from its header @word, or 0 if the
 * header is invalid. *@seq is the record's number, then the next one's.
 */
SHMIPC_INLINE uint64_t shmipc_rec_next(uint64_t word, uint64_t pos, uint64_t *seq,
				       uint64_t size, uint64_t align)
{
	uint64_t len = shmipc_rec_len(word);

	if (shmipc_rec_is_data(word, *seq) && len <= size - (pos & (size - 1)) &&
	    len <= size / 2) {
		*seq += 1;
		return pos + shmipc_rec_advance(len, align);
	}
	if (shmipc_rec_is_pad(pos, word, size, align))
		return pos + len;
	return 0;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_INLINE_RECORD_H */
