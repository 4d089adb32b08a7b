/* SPDX-License-Identifier: MIT */
/*
 * ring.h - what all rings have in common: geometry, creation in any memory, checks
 *
 * A ring is in memory that the caller provides: private, shared between
 * threads, or shared between processes. Nothing here makes a system call,
 * allocates, or keeps a pointer in shared memory.
 */
#ifndef SHMIPC_RING_H
#define SHMIPC_RING_H

#include <errno.h>
#include <shmipc/inline/record.h>

SHMIPC_PRIV_C_BEGIN

#define SHMIPC_RING_SIZE_MIN	4096ULL
#define SHMIPC_RING_SIZE_MAX	(1ULL << 32)

/**
 * struct shmipc_ring_opts - how to create a ring
 * @kind:       SHMIPC_KIND_SPSC or SHMIPC_KIND_BCAST
 * @align:      alignment of payloads in bytes: 8, 16, 32, 64; 0 is 8
 * @size:       bytes for records; rounded up to a power of two
 * @meta_bytes: user metadata that the producer may write
 * @data_off:   bytes from the ring's start to its data, a multiple of 64; 0:
 *              directly after the control pages
 */
struct shmipc_ring_opts {
	uint32_t kind;
	uint32_t align;
	uint64_t size;
	uint64_t meta_bytes;
	uint64_t data_off;
};

/* A checked, private copy of a ring's description. */
struct shmipc_ring {
	unsigned char *base;	/* the struct shmipc_ring_hdr */
	struct shmipc_prod *prod;
	struct shmipc_cons *cons;	/* spsc, else NULL */
	struct shmipc_waiters *waiters;	/* bcast, else NULL */
	unsigned char *data;
	unsigned char *meta;
	uint64_t meta_bytes;
	uint64_t size;
	uint64_t bytes;		/* of the whole ring */
	uint32_t align;
	uint32_t kind;
};

SHMIPC_INLINE uint64_t shmipc_priv_round_up(uint64_t v, uint64_t to)
{
	return (v + to - 1) & ~(to - 1);
}

SHMIPC_INLINE int shmipc_priv_is_pow2(uint64_t v)
{
	return v && !(v & (v - 1));
}

SHMIPC_INLINE int shmipc_priv_align_ok(uint64_t align)
{
	return align == 8 || align == 16 || align == 32 || align == 64;
}

/* The largest payload that always fits once the ring is empty. */
SHMIPC_INLINE uint64_t shmipc_ring_max_payload(uint32_t kind, uint64_t size)
{
	return (kind == SHMIPC_KIND_BCAST ? size / 4 : size / 2) - 128;
}

/**
 * shmipc_ring_layout - compute where the parts of a ring are
 * @o:       options
 * @ret_hdr: filled in, magic included
 * @ret_bytes: size of the whole ring
 *
 * Return: 0, -EINVAL.
 */
SHMIPC_NONNULL(1, 2, 3)
SHMIPC_INLINE int shmipc_ring_layout(const struct shmipc_ring_opts *o,
				     struct shmipc_ring_hdr *ret_hdr, uint64_t *ret_bytes)
{
	uint64_t size = SHMIPC_RING_SIZE_MIN, prod_bytes, ctl_bytes;
	uint32_t align = o->align ? o->align : SHMIPC_REC_HDR;

	if (o->kind != SHMIPC_KIND_SPSC && o->kind != SHMIPC_KIND_BCAST)
		return -EINVAL;
	if (!shmipc_priv_align_ok(align) || o->size > SHMIPC_RING_SIZE_MAX ||
	    o->meta_bytes > SHMIPC_RING_SIZE_MAX)
		return -EINVAL;
	while (size < o->size)
		size *= 2;
	prod_bytes = shmipc_priv_round_up(SHMIPC_META_OFF + o->meta_bytes, SHMIPC_CTL_PAGE);
	ctl_bytes = 2 * SHMIPC_CTL_PAGE + prod_bytes;
	if (o->data_off && (o->data_off < ctl_bytes || o->data_off % SHMIPC_LINE ||
			    o->data_off > 2 * SHMIPC_RING_SIZE_MAX))
		return -EINVAL;

	memset(ret_hdr, 0, sizeof(*ret_hdr));
	ret_hdr->magic = SHMIPC_RING_MAGIC;
	ret_hdr->version = SHMIPC_LAYOUT_MAJOR;
	ret_hdr->kind = o->kind;
	ret_hdr->align = align;
	ret_hdr->lots = SHMIPC_LOTS;
	ret_hdr->size = size;
	ret_hdr->prod_off = SHMIPC_CTL_PAGE;
	ret_hdr->meta_off = SHMIPC_CTL_PAGE + SHMIPC_META_OFF;
	ret_hdr->meta_bytes = o->meta_bytes;
	if (o->kind == SHMIPC_KIND_SPSC)
		ret_hdr->cons_off = SHMIPC_CTL_PAGE + prod_bytes;
	else
		ret_hdr->wait_off = SHMIPC_CTL_PAGE + prod_bytes;
	ret_hdr->data_off = o->data_off ? o->data_off : ctl_bytes;
	*ret_bytes = ret_hdr->data_off + size;
	return 0;
}

/**
 * shmipc_ring_init - create an empty ring in memory that is not in use yet
 * @mem:   aligned to 64 bytes, and all zero, as fresh pages are
 * @bytes: at @mem
 * @o:     options
 *
 * The magic is written last: an attaching process sees a complete ring or none.
 *
 * Return: 0; -EINVAL for invalid options or alignment; -ENOSPC if @bytes is less
 * than shmipc_ring_layout() computes.
 */
SHMIPC_NONNULL(1, 3)
SHMIPC_INLINE int shmipc_ring_init(void *mem, uint64_t bytes, const struct shmipc_ring_opts *o)
{
	struct shmipc_ring_hdr *hdr = (struct shmipc_ring_hdr *)mem;
	struct shmipc_ring_hdr h;
	struct shmipc_prod *prod;
	uint64_t need, first;
	int ret = shmipc_ring_layout(o, &h, &need);

	if (ret)
		return ret;
	if ((uintptr_t)mem % SHMIPC_LINE)
		return -EINVAL;
	if (bytes < need)
		return -ENOSPC;

	first = shmipc_rec_first(h.align);
	prod = (struct shmipc_prod *)(void *)((unsigned char *)mem + h.prod_off);
	prod->tail.word = first;
	prod->marks[0].pos = first;
	if (h.cons_off) {
		struct shmipc_cons *cons =
			(struct shmipc_cons *)(void *)((unsigned char *)mem + h.cons_off);

		cons->head.word = first;
		cons->credit_pos = first;
	}
	/* All but the magic, which another process may be reading already. */
	memcpy((unsigned char *)hdr + sizeof(h.magic), (unsigned char *)&h + sizeof(h.magic),
	       sizeof(h) - sizeof(h.magic));
	/* ring.I0 -> ring.I1: the whole ring is there before its magic. */
	shmipc_store_release(&hdr->magic, SHMIPC_RING_MAGIC);
	return 0;
}

/**
 * shmipc_ring_check - read and check a ring's description
 * @mem:   where shmipc_ring_init() made it, in this mapping
 * @bytes: at @mem
 * @ret:   pointers into @mem and a private copy of every number
 *
 * Every number is read once and checked against @bytes, so a hostile writer of the
 * header cannot make us access anything outside the memory.
 *
 * Return: 0; -EAGAIN if there is no ring yet; -EPROTONOSUPPORT for a version or
 * feature that this build does not know; -EPROTO for invalid contents.
 */
SHMIPC_NONNULL(1, 3)
SHMIPC_INLINE int shmipc_ring_check(void *mem, uint64_t bytes, struct shmipc_ring *ret)
{
	const struct shmipc_ring_hdr *hdr = (const struct shmipc_ring_hdr *)mem;
	struct shmipc_ring_hdr want, h;
	struct shmipc_ring_opts o;
	uint64_t need, magic;

	if ((uintptr_t)mem % SHMIPC_LINE || bytes < 4 * SHMIPC_CTL_PAGE)
		return -EPROTO;
	/* ring.I1 <- ring.I0: the magic makes the rest visible. */
	magic = shmipc_load_acquire(&hdr->magic);
	if (!magic)
		return -EAGAIN;
	memcpy(&h, hdr, sizeof(h));	/* once */
	shmipc_compiler_barrier();	/* and the compiler does not read it again */
	if (magic != SHMIPC_RING_MAGIC)
		return -EPROTO;
	if (h.version != SHMIPC_LAYOUT_MAJOR || h.incompat)
		return -EPROTONOSUPPORT;

	/* The geometry follows from five numbers: compute it again and compare. */
	o.kind = h.kind;
	o.align = h.align;
	o.size = h.size;
	o.meta_bytes = h.meta_bytes;
	o.data_off = h.data_off;
	if (!h.align || !h.data_off || shmipc_ring_layout(&o, &want, &need))
		return -EPROTO;
	if (h.size != want.size || h.lots != want.lots || h.prod_off != want.prod_off ||
	    h.cons_off != want.cons_off || h.wait_off != want.wait_off ||
	    h.meta_off != want.meta_off)
		return -EPROTO;
	if (need > bytes)
		return -EPROTO;

	ret->base = (unsigned char *)mem;
	ret->prod = (struct shmipc_prod *)(void *)(ret->base + h.prod_off);
	ret->cons = h.cons_off ? (struct shmipc_cons *)(void *)(ret->base + h.cons_off) : NULL;
	ret->waiters = h.wait_off ?
		(struct shmipc_waiters *)(void *)(ret->base + h.wait_off) : NULL;
	ret->data = ret->base + h.data_off;
	ret->meta = ret->base + h.meta_off;
	ret->meta_bytes = h.meta_bytes;
	ret->size = h.size;
	ret->bytes = h.data_off + h.size;
	ret->align = h.align;
	ret->kind = h.kind;
	return 0;
}

/*
 * Cursors: a position and its sequence number, moved together by one store.
 */

SHMIPC_INLINE uint64_t shmipc_cursor_pos(uint64_t word)
{
	return word & ~SHMIPC_CURSOR_PARITY;
}

/**
 * shmipc_cursor_move - move a cursor that only the caller writes
 * @c:    the cursor
 * @word: its present word, kept privately by the caller
 * @pos:  the new position
 * @seq:  the number of messages before @pos
 *
 * Return: the new word.
 */
SHMIPC_INLINE uint64_t shmipc_cursor_move(struct shmipc_cursor *c, uint64_t word,
					  uint64_t pos, uint64_t seq)
{
	uint64_t parity = ~word & SHMIPC_CURSOR_PARITY;

	/* ring.C2 -> ring.C3: the word no longer names this slot when the slot changes. */
	shmipc_store_release(&c->seq[parity], seq);
	/* ring.C0 -> ring.C1: the slot holds its number before the word names it. */
	shmipc_store_release(&c->word, pos | parity);
	return pos | parity;
}

/**
 * shmipc_cursor_read - read a position and the number that belongs to it
 * @c:        the cursor
 * @ret_word: its word
 * @ret_seq:  its number
 *
 * Return: 0; -EAGAIN if the writer moved it at each attempt.
 */
SHMIPC_INLINE int shmipc_cursor_read(const struct shmipc_cursor *c, uint64_t *ret_word,
				     uint64_t *ret_seq)
{
	uint64_t word, seq;
	int tries;

	for (tries = 0; tries < 4096; tries++) {
		/* ring.C1 <- ring.C0: the number that the word names. */
		word = shmipc_load_acquire(&c->word);
		/* ring.C3 <- ring.C2: a later move's number shows that the word has moved. */
		seq = shmipc_load_acquire(&c->seq[word & SHMIPC_CURSOR_PARITY]);
		if (shmipc_load_relaxed(&c->word) == word) {
			*ret_word = word;
			*ret_seq = seq;
			return 0;
		}
	}
	return -EAGAIN;
}

/*
 * After a publish from @from to @to: fetch, for writing, the lines that will be
 * written a kilobyte or two later, which the reader still has. Once per kilobyte,
 * and after the message has been published, so that it does not delay a round trip.
 * Not for short messages, whose reader is close behind and would take the lines back;
 * nor for long ones, whose copy writes whole lines. (Measured: bench spsc.)
 */
#define SHMIPC_AHEAD		1024u
#define SHMIPC_AHEAD_MIN	256u
#define SHMIPC_AHEAD_MAX	2048u

SHMIPC_INLINE void shmipc_priv_fetch_ahead(unsigned char *data, uint64_t mask, uint64_t from,
					   uint64_t to, uint64_t limit)
{
	const uint64_t block = ~(uint64_t)(SHMIPC_AHEAD - 1);
	uint64_t at = (from & block) + 2 * SHMIPC_AHEAD, end = (to & block) + 2 * SHMIPC_AHEAD;

	if (to - from < SHMIPC_AHEAD_MIN || to - from >= SHMIPC_AHEAD_MAX || end > limit)
		return;
	for (; at < end; at += SHMIPC_LINE)
		shmipc_prefetch_write(data + (at & mask));
}

/*
 * Waiting: a sleeper states the position at which it wants to be woken; the writer
 * of the position wakes it when moving past that. Nothing has to be reset: exactly
 * one move goes from before @want to @want or past it.
 */
SHMIPC_INLINE int shmipc_priv_crossed(uint64_t want, uint64_t from, uint64_t to)
{
	return want - from - 1 < to - from;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_RING_H */
