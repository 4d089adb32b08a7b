/* SPDX-License-Identifier: MIT */
/*
 * spsc.h - a lossless ring of records of any length, one producer, one consumer
 *
 * The consumer polls the header of the record that it waits for, not an index:
 * a short message costs the transfer of one cache line. The consumer returns its
 * position to the producer once per lot (credit), which the producer polls; it also
 * writes the exact position, in another line, and the producer reads that before it
 * reports that the ring is full. So "full" is always exact.
 *
 * Progress: every function is wait-free, reserve with at most
 * SHMIPC_CREDIT_SPINS reads of the credit.
 *
 * One thread at a time on each end. The other end may be in another process and
 * may be hostile: every word that it can write is read once and checked.
 */
#ifndef SHMIPC_SPSC_H
#define SHMIPC_SPSC_H

#include <shmipc/ring.h>

SHMIPC_PRIV_C_BEGIN

/* The producing end. Private memory; the fields are not for users. */
struct shmipc_spsc_tx {
	unsigned char *data;
	uint64_t mask;
	uint64_t align;
	uint64_t pos;		/* the next record goes here */
	uint64_t limit;		/* and the one after it at most here */
	uint64_t seq;		/* number of the next record */
	uint64_t pub_pos;	/* records before this are published */
	uint64_t pub_seq;
	uint64_t pub_word;	/* tail cursor as we wrote it */
	uint64_t first_hdr;	/* of the record at pub_pos: its store publishes */
	uint64_t rsv_pos;	/* payload of the open reservation */
	uint64_t rsv_end;	/* the next payload's place; 0: nothing is reserved */
	uint64_t rsv_len;
	struct shmipc_prod *prod;
	struct shmipc_cons *cons;
	uint64_t size;
	int full_fence;		/* the sleeping side cannot run membarrier for us */
	int err;		/* -EPROTO: dead */
};

/* The consuming end. Private memory; the fields are not for users. */
struct shmipc_spsc_rx {
	unsigned char *data;
	uint64_t mask;
	uint64_t align;
	uint64_t pos;		/* next payload */
	uint64_t next;		/* the one after it; 0: nothing is peeked */
	uint64_t seq;
	uint64_t word;		/* head cursor as we wrote it */
	uint64_t credit;	/* credit_pos as we wrote it */
	uint64_t lot;
	struct shmipc_prod *prod;
	struct shmipc_cons *cons;
	uint64_t size;
	int full_fence;
	int err;
};

/*
 * The header before the position @end is zeroed when we publish; that must be
 * neither the header of the record at @head nor any after it: @end may be this.
 */
SHMIPC_INLINE uint64_t shmipc_priv_spsc_limit(uint64_t head, uint64_t size)
{
	return head + size - SHMIPC_REC_HDR;
}

/**
 * shmipc_spsc_tx_init - take the producing end
 * @tx:   caller's
 * @ring: checked by shmipc_ring_check(), of kind SHMIPC_KIND_SPSC
 *
 * Continues where the last producer of this ring stopped or died: messages which
 * that had published stay, unpublished ones are dropped. The caller makes sure that
 * there is only one producer.
 *
 * Return: 0; -EINVAL for another kind; -EPROTO if the ring's words are invalid.
 */
SHMIPC_NONNULL(1, 2)
SHMIPC_INLINE int shmipc_spsc_tx_init(struct shmipc_spsc_tx *tx, const struct shmipc_ring *ring)
{
	uint64_t word, pos, seq, head, next;

	if (ring->kind != SHMIPC_KIND_SPSC)
		return -EINVAL;
	memset(tx, 0, sizeof(*tx));
	tx->data = ring->data;
	tx->size = ring->size;
	tx->mask = ring->size - 1;
	tx->align = ring->align;
	tx->prod = ring->prod;
	tx->cons = ring->cons;
	if (shmipc_cursor_read(&ring->prod->tail, &word, &seq))
		return -EPROTO;
	tx->pub_word = word;
	pos = shmipc_cursor_pos(word);
	/* spsc.A1 <- spsc.R1 */
	head = shmipc_cursor_pos(shmipc_load_acquire(&ring->cons->head.word));
	if (pos % tx->align != shmipc_rec_first(tx->align) % tx->align ||
	    (pos - head > tx->size && head - pos > tx->size))
		return -EPROTO;
	/* Killed between publishing and moving the tail: follow the records. */
	for (;;) {
		/* Relaxed: taking the end made all that its last owner wrote visible. */
		word = shmipc_load_relaxed(shmipc_rec_hdr(tx->data, pos, tx->mask));
		if (!word)
			break;
		next = shmipc_rec_next(word, pos, &seq, tx->size, tx->align);
		if (!next || next - shmipc_cursor_pos(tx->pub_word) > tx->size)
			return -EPROTO;
		pos = next;
	}
	if (pos - head > tx->size)
		return -EPROTO;
	tx->pos = pos;
	tx->seq = seq;
	tx->pub_pos = pos;
	tx->pub_seq = seq;
	if (pos != shmipc_cursor_pos(tx->pub_word))
		tx->pub_word = shmipc_cursor_move(&tx->prod->tail, tx->pub_word, pos, seq);
	tx->limit = shmipc_priv_spsc_limit(head, tx->size);
	return 0;
}

/* Set the limit of what we may write from a word of the consumer; or fail. */
SHMIPC_INLINE int shmipc_priv_spsc_set_limit(struct shmipc_spsc_tx *tx, uint64_t head)
{
	uint64_t limit = shmipc_priv_spsc_limit(head, tx->size);

	/* It must lie between its last value and what we have published. */
	if (shmipc_unlikely(tx->pub_pos - head > tx->size || limit < tx->limit)) {
		tx->err = -EPROTO;
		tx->limit = 0;
		return -EPROTO;
	}
	tx->limit = limit;
	return 0;
}

/* Is there room up to @end? 0, -EAGAIN, -EPROTO. Reads the exact position last. */
SHMIPC_COLD int shmipc_priv_spsc_room(struct shmipc_spsc_tx *tx, uint64_t end)
{
	uint64_t credit;
	int i, ret;

	if (tx->err)
		return tx->err;
	for (i = 0; i < SHMIPC_CREDIT_SPINS; i++) {
		/* spsc.A2 <- spsc.R2: we may overwrite what the consumer has read. */
		credit = shmipc_load_acquire(&tx->cons->credit_pos);
		/* If it is older than an exact position that we have seen, ignore it. */
		if (shmipc_priv_spsc_limit(credit, tx->size) > tx->limit) {
			ret = shmipc_priv_spsc_set_limit(tx, credit);
			if (ret || end <= tx->limit)
				return ret;
		}
		shmipc_cpu_relax();
	}
	/* spsc.A1 <- spsc.R1: the same, exact to the record. */
	ret = shmipc_priv_spsc_set_limit(tx,
		shmipc_cursor_pos(shmipc_load_acquire(&tx->cons->head.word)));
	if (ret)
		return ret;
	return end <= tx->limit ? 0 : -EAGAIN;
}

/**
 * shmipc_spsc_reserve - room for a message of up to @len bytes, to fill in place
 * @tx:      the producing end
 * @len:     bytes
 * @ret_ptr: contiguous room, with the ring's alignment; until commit or abort
 *
 * One reservation at a time. A second call without commit moves the first.
 *
 * Return: 0; -EAGAIN if the ring is full now (this is exact: the consumer's
 * present position was read); -EMSGSIZE if it can never hold @len; -EPROTO.
 */
SHMIPC_NONNULL(1, 3)
SHMIPC_INLINE int shmipc_spsc_reserve(struct shmipc_spsc_tx *tx, size_t len, void **ret_ptr)
{
	uint64_t pos, end;
	int ret;

	if (shmipc_unlikely(len > shmipc_ring_max_payload(SHMIPC_KIND_SPSC, tx->size)))
		return tx->err ? tx->err : -EMSGSIZE;
	pos = tx->pos + shmipc_rec_pad(tx->pos, len, tx->size, tx->align);
	end = pos + shmipc_rec_advance(len, tx->align);
	if (shmipc_unlikely(end > tx->limit)) {
		ret = shmipc_priv_spsc_room(tx, end);
		if (ret)
			return ret;
	}
	tx->rsv_pos = pos;
	tx->rsv_end = end;
	tx->rsv_len = len;
	*ret_ptr = tx->data + (pos & tx->mask);
	return 0;
}

/**
 * shmipc_spsc_abort - drop the open reservation; nothing is sent
 * @tx: the producing end
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE void shmipc_spsc_abort(struct shmipc_spsc_tx *tx)
{
	tx->rsv_end = 0;
}

/* Header of a record of the batch: the first is kept back, the others are written. */
SHMIPC_INLINE void shmipc_priv_spsc_put_hdr(struct shmipc_spsc_tx *tx, uint64_t pos, uint64_t word)
{
	if (pos == tx->pub_pos)
		tx->first_hdr = word;
	else
		shmipc_store_relaxed(shmipc_rec_hdr(tx->data, pos, tx->mask), word);
}

/**
 * shmipc_spsc_commit - end the reservation; the message joins the batch
 * @tx:  the producing end
 * @len: bytes in the message, at most what was reserved
 *
 * The consumer cannot see it before shmipc_spsc_publish().
 *
 * Return: 0; -EINVAL without a reservation or if @len is larger than that.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_spsc_commit(struct shmipc_spsc_tx *tx, size_t len)
{
	uint64_t pos = tx->rsv_pos;

	if (shmipc_unlikely(!tx->rsv_end || len > tx->rsv_len))
		return -EINVAL;
	if (shmipc_unlikely(pos != tx->pos))
		shmipc_priv_spsc_put_hdr(tx, tx->pos,
			shmipc_rec_word(SHMIPC_REC_PAD, (uint32_t)(pos - tx->pos), 0));
	shmipc_priv_spsc_put_hdr(tx, pos, shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)len, tx->seq));
	tx->pos = pos + shmipc_rec_advance(len, tx->align);
	tx->seq++;
	tx->rsv_end = 0;
	return 0;
}

/**
 * shmipc_spsc_publish - make all committed messages visible, in one store
 * @tx: the producing end
 *
 * Return: 1 if the consumer asked to be woken at a position that this stepped
 * over (wake it), else 0.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_spsc_publish(struct shmipc_spsc_tx *tx)
{
	uint64_t from = tx->pub_pos, to = tx->pos;

	if (shmipc_unlikely(from == to))
		return 0;
	shmipc_store_relaxed(shmipc_rec_hdr(tx->data, to, tx->mask), (uint64_t)0);
	/* spsc.R0 -> spsc.A0: payloads, the batch's headers and the zero after them. */
	shmipc_store_release(shmipc_rec_hdr(tx->data, from, tx->mask), tx->first_hdr);
	tx->pub_word = shmipc_cursor_move(&tx->prod->tail, tx->pub_word, to, tx->seq);
	shmipc_priv_fetch_ahead(tx->data, tx->mask, from, to, tx->limit);
	tx->pub_pos = to;
	tx->pub_seq = tx->seq;
	/* wait.W0 -> wait.W1: tail, then want; the sleeper uses the opposite order. */
	if (shmipc_unlikely(tx->full_fence))
		shmipc_fence_seq_cst();
	else
		shmipc_barrier_light();
	return shmipc_priv_crossed(shmipc_load_relaxed(&tx->cons->want_pos), from, to);
}

/**
 * shmipc_spsc_discard - drop the messages committed since the last publish
 * @tx: the producing end
 *
 * Return: how many.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE uint64_t shmipc_spsc_discard(struct shmipc_spsc_tx *tx)
{
	uint64_t n = tx->seq - tx->pub_seq;

	tx->pos = tx->pub_pos;
	tx->seq = tx->pub_seq;
	tx->rsv_end = 0;
	return n;
}

/**
 * shmipc_spsc_write - copy one message into the batch
 * @tx:  the producing end
 * @buf: the message
 * @len: bytes at @buf
 *
 * Return: 0; otherwise as shmipc_spsc_reserve().
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_spsc_write(struct shmipc_spsc_tx *tx, const void *buf, size_t len)
{
	void *ptr;
	int ret = shmipc_spsc_reserve(tx, len, &ptr);

	if (shmipc_unlikely(ret))
		return ret;
	shmipc_payload_write(ptr, buf, len);
	return shmipc_spsc_commit(tx, len);
}

/**
 * shmipc_spsc_rx_init - take the consuming end
 * @rx:   caller's
 * @ring: checked by shmipc_ring_check(), of kind SHMIPC_KIND_SPSC
 *
 * Continues after the last message that an earlier consumer released; one that was
 * only peeked is received again. The caller makes sure that there is one consumer.
 *
 * Return: 0; -EINVAL for another kind; -EPROTO if the ring's words are invalid.
 */
SHMIPC_NONNULL(1, 2)
SHMIPC_INLINE int shmipc_spsc_rx_init(struct shmipc_spsc_rx *rx, const struct shmipc_ring *ring)
{
	uint64_t word, seq;

	if (ring->kind != SHMIPC_KIND_SPSC)
		return -EINVAL;
	if (shmipc_cursor_read(&ring->cons->head, &word, &seq))
		return -EPROTO;
	memset(rx, 0, sizeof(*rx));
	rx->data = ring->data;
	rx->size = ring->size;
	rx->mask = ring->size - 1;
	rx->align = ring->align;
	rx->prod = ring->prod;
	rx->cons = ring->cons;
	rx->lot = ring->size / SHMIPC_LOTS;
	rx->word = word;
	rx->pos = shmipc_cursor_pos(word);
	rx->seq = seq;
	if (rx->pos % rx->align != shmipc_rec_first(rx->align) % rx->align)
		return -EPROTO;
	rx->credit = rx->pos;
	/* spsc.R2 -> spsc.A2 */
	shmipc_store_release(&ring->cons->credit_pos, rx->pos);
	return 0;
}

/* Not the header of our message: a pad is skipped, anything else is invalid. */
SHMIPC_COLD int shmipc_priv_spsc_skip_pad(struct shmipc_spsc_rx *rx, uint64_t word)
{
	if (rx->err)
		return rx->err;
	if (!shmipc_rec_is_pad(rx->pos, word, rx->size, rx->align)) {
		rx->err = -EPROTO;
		return -EPROTO;
	}
	rx->pos += shmipc_rec_len(word);
	return 0;
}

/**
 * shmipc_spsc_peek - look at the next message in place
 * @rx:      the consuming end
 * @ret_ptr: the payload, until shmipc_spsc_release(); a hostile producer may
 *           still write it: read each byte that you act upon only once
 * @ret_len: bytes
 *
 * Called again without release, it returns the same message.
 *
 * Return: 0; -EAGAIN if there is none; -EPROTO.
 */
SHMIPC_NONNULL(1, 2, 3)
SHMIPC_INLINE int shmipc_spsc_peek(struct shmipc_spsc_rx *rx, const void **ret_ptr, size_t *ret_len)
{
	uint64_t word, len, off;
	int ret;

	for (;;) {
		/* spsc.A0 <- spsc.R0: the header, which makes all that was published visible. */
		word = shmipc_load_acquire(shmipc_rec_hdr(rx->data, rx->pos, rx->mask));
		if (!word)
			return shmipc_unlikely(rx->err) ? rx->err : -EAGAIN;
		len = shmipc_rec_len(word);
		off = rx->pos & rx->mask;
		if (shmipc_likely(shmipc_rec_is_data(word, rx->seq) && len <= rx->size - off &&
				  !rx->err))
			break;
		ret = shmipc_priv_spsc_skip_pad(rx, word);
		if (ret)
			return ret;
	}
	rx->next = rx->pos + shmipc_rec_advance(len, rx->align);
	*ret_ptr = rx->data + off;
	*ret_len = (size_t)len;
	return 0;
}

/**
 * shmipc_spsc_release - done with the message last peeked; its room is free
 * @rx: the consuming end
 *
 * Without a peeked message it does nothing.
 *
 * Return: 1 if the producer asked to be woken at a position that this stepped
 * over (wake it), else 0.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_spsc_release(struct shmipc_spsc_rx *rx)
{
	uint64_t from = shmipc_cursor_pos(rx->word), to = rx->next;

	if (shmipc_unlikely(!to))
		return 0;
	rx->pos = to;
	rx->next = 0;
	rx->seq++;
	/* spsc.R1 -> spsc.A1: our reads of the payload come before its room is free. */
	rx->word = shmipc_cursor_move(&rx->cons->head, rx->word, to, rx->seq);
	if (shmipc_unlikely(to - rx->credit >= rx->lot)) {
		rx->credit = to;
		/* spsc.R2 -> spsc.A2: the same, in the line that the producer polls. */
		shmipc_store_release(&rx->cons->credit_pos, to);
	}
	/* wait.W2 -> wait.W3: head, then want; the sleeper uses the opposite order. */
	if (shmipc_unlikely(rx->full_fence))
		shmipc_fence_seq_cst();
	else
		shmipc_barrier_light();
	return shmipc_priv_crossed(shmipc_load_relaxed(&rx->prod->want_pos), from, to);
}

/**
 * shmipc_spsc_read - copy the next message out and release it
 * @rx:       the consuming end
 * @buf:      caller's; untouched on failure
 * @cap:      bytes at @buf
 * @ret_len:  bytes of the message; on -EMSGSIZE the bytes needed
 * @ret_wake: as shmipc_spsc_release() returns
 *
 * Return: 0; -EAGAIN; -EMSGSIZE if @cap is too small, and the message stays;
 * -EPROTO.
 */
SHMIPC_NONNULL(1, 4, 5)
SHMIPC_INLINE int shmipc_spsc_read(struct shmipc_spsc_rx *rx, void *buf, size_t cap,
				   size_t *ret_len, int *ret_wake)
{
	const void *ptr;
	size_t len;
	int ret = shmipc_spsc_peek(rx, &ptr, &len);

	if (shmipc_unlikely(ret))
		return ret;
	*ret_len = len;
	if (shmipc_unlikely(len > cap))
		return -EMSGSIZE;
	shmipc_payload_read(buf, ptr, len);
	*ret_wake = shmipc_spsc_release(rx);
	return 0;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_SPSC_H */
