/* SPDX-License-Identifier: MIT */
/*
 * bcast.h - an overwriting log: one producer, any number of readers
 *
 * The producer never waits. Readers write nothing into the ring, so their
 * number costs the producer nothing and none of them can disturb it. A reader
 * that falls behind is told exactly how many messages it lost.
 *
 * The ring is divided into SHMIPC_LOTS lots. Before the producer overwrites a lot
 * it moves the floor past it: "records before this mark may be overwritten". A
 * reader checks the floor after it has copied a message; the floor's line changes
 * once per lot, so this check nearly always hits the reader's own cache. The price
 * is that the history is only 7/8 of the ring or slightly more, and less if
 * messages are long, as they do not share a lot.
 * (A seqlock whose sequence covers a lot of records; compare the "tail intent"
 * of Aeron's broadcast buffer, which moves with each message.)
 *
 * Progress: the producer is wait-free. A reader's peek is lock-free: it makes progress
 * unless the producer laps it again and again.
 *
 * One thread at a time on each end; the other ends may be hostile.
 */
#ifndef SHMIPC_BCAST_H
#define SHMIPC_BCAST_H

#include <shmipc/ring.h>

SHMIPC_PRIV_C_BEGIN

/* The first message of a reader. */
enum shmipc_start {
	SHMIPC_START_NEW = 0,	/* the first one published from now on */
	SHMIPC_START_OLDEST,	/* the oldest that is still there */
	SHMIPC_START_NEWEST,	/* the last one published; if there is none, the next */
};

/* The producing end. Private memory; the fields are not for users. */
struct shmipc_bcast_tx {
	unsigned char *data;
	uint64_t mask;
	uint64_t align;
	uint64_t pos;		/* the next record goes here */
	uint64_t limit;		/* and the one after it at most here */
	uint64_t seq;
	uint64_t pub_pos, pub_seq, pub_word;
	uint64_t first_hdr;
	uint64_t rsv_pos;
	uint64_t rsv_end;	/* 0: nothing is reserved */
	uint64_t rsv_len;
	uint64_t next_lot_pos;	/* first byte of the lot after the present one */
	uint64_t lot_bytes;
	struct shmipc_prod *prod;
	struct shmipc_waiters *waiters;
	uint64_t size;
	int full_fence;
};

/* A reading end. Private memory; @lost, @seq may be read by the user. */
struct shmipc_bcast_rx {
	unsigned char *data;
	uint64_t mask;
	uint64_t align;
	uint64_t pos;
	uint64_t next;		/* 0: nothing is peeked */
	uint64_t seq;		/* number of the next message */
	uint64_t floor_lot, floor_pos, floor_seq;	/* when last read */
	uint64_t lost;		/* messages of our share lost so far */
	uint64_t stride;	/* every stride-th message is ours ... */
	uint64_t stride_at;	/* ... where seq % stride is this */
	struct shmipc_prod *prod;
	uint64_t size;
	int err;
};

/*
 * Record the present position as the first of each lot that it has entered. This
 * comes before the publish that shows the record: a published record has its marks.
 */
SHMIPC_COLD void shmipc_priv_bcast_enter_lot(struct shmipc_bcast_tx *tx)
{
	uint64_t lot;

	do {
		lot = tx->next_lot_pos / tx->lot_bytes;
		shmipc_store_relaxed(&tx->prod->marks[lot % SHMIPC_MARKS].pos, tx->pos);
		shmipc_store_relaxed(&tx->prod->marks[lot % SHMIPC_MARKS].seq, tx->seq);
		tx->next_lot_pos += tx->lot_bytes;
	} while (tx->pos >= tx->next_lot_pos);
}

/* Make room up to @end, which the floor does not allow yet: move the floor. */
SHMIPC_COLD int shmipc_priv_bcast_make_room(struct shmipc_bcast_tx *tx, uint64_t end)
{
	uint64_t lot;

	/* An unpublished batch may take half the ring; the floor must not pass what is visible. */
	if (end - tx->pub_pos > tx->size / 2)
		return -EAGAIN;
	/* A record at position p begins at its header, p - 8. */
	lot = (end + SHMIPC_REC_HDR - tx->size + tx->lot_bytes - 1) / tx->lot_bytes;
	/* bcast.M0 -> bcast.M1: a reader that sees the floor sees its mark. */
	shmipc_store_release(&tx->prod->floor_lot, lot);
	/* bcast.F0 -> bcast.F1: the floor is visible before any byte that is written after. */
	shmipc_fence_release();
	tx->limit = lot * tx->lot_bytes + tx->size - SHMIPC_REC_HDR;
	return 0;
}

/**
 * shmipc_bcast_tx_init - take the producing end
 * @tx:   caller's
 * @ring: checked by shmipc_ring_check(), of kind SHMIPC_KIND_BCAST
 *
 * Continues where the last producer stopped or died; readers do not notice. The
 * caller makes sure that there is only one producer.
 *
 * Return: 0; -EINVAL for another kind; -EPROTO if the ring's words are invalid.
 */
SHMIPC_NONNULL(1, 2)
SHMIPC_INLINE int shmipc_bcast_tx_init(struct shmipc_bcast_tx *tx, const struct shmipc_ring *ring)
{
	uint64_t word, seq, next, floor;

	if (ring->kind != SHMIPC_KIND_BCAST)
		return -EINVAL;
	memset(tx, 0, sizeof(*tx));
	tx->data = ring->data;
	tx->size = ring->size;
	tx->mask = ring->size - 1;
	tx->align = ring->align;
	tx->prod = ring->prod;
	tx->waiters = ring->waiters;
	tx->lot_bytes = ring->size / SHMIPC_LOTS;
	if (shmipc_cursor_read(&ring->prod->tail, &word, &seq))
		return -EPROTO;
	tx->pub_word = word;
	tx->pos = shmipc_cursor_pos(word);
	tx->seq = seq;
	if (tx->pos % tx->align != shmipc_rec_first(tx->align) % tx->align)
		return -EPROTO;
	/* Killed between a publish and the tail's move: follow the records. */
	for (;;) {
		/* Relaxed: taking the end made all that its last owner wrote visible. */
		word = shmipc_load_relaxed(shmipc_rec_hdr(tx->data, tx->pos, tx->mask));
		if (!word)
			break;
		next = shmipc_rec_next(word, tx->pos, &tx->seq, tx->size, tx->align);
		if (!next || next - shmipc_cursor_pos(tx->pub_word) > tx->size)
			return -EPROTO;
		tx->pos = next;
	}
	if (tx->pos != shmipc_cursor_pos(tx->pub_word))
		tx->pub_word = shmipc_cursor_move(&tx->prod->tail, tx->pub_word, tx->pos, tx->seq);
	tx->pub_pos = tx->pos;
	tx->pub_seq = tx->seq;
	tx->next_lot_pos = (tx->pos / tx->lot_bytes + 1) * tx->lot_bytes;
	floor = shmipc_load_relaxed(&tx->prod->floor_lot);
	if (floor > tx->pos / tx->lot_bytes || tx->pos / tx->lot_bytes - floor > SHMIPC_LOTS)
		return -EPROTO;
	tx->limit = floor * tx->lot_bytes + tx->size - SHMIPC_REC_HDR;
	/* bcast.F0 -> bcast.F1: we write below a floor that the last producer moved. */
	shmipc_fence_release();
	return 0;
}

/**
 * shmipc_bcast_reserve - room for a message of up to @len bytes, to fill in place
 * @tx:      the producing end
 * @len:     bytes
 * @ret_ptr: contiguous room, with the ring's alignment; until commit or abort
 *
 * Return: 0; -EMSGSIZE if the ring can never hold @len; -EAGAIN if the batch
 * already takes half the ring: publish it.
 */
SHMIPC_NONNULL(1, 3)
SHMIPC_INLINE int shmipc_bcast_reserve(struct shmipc_bcast_tx *tx, size_t len, void **ret_ptr)
{
	uint64_t pos, end;
	int ret;

	if (shmipc_unlikely(len > shmipc_ring_max_payload(SHMIPC_KIND_BCAST, tx->size)))
		return -EMSGSIZE;
	pos = tx->pos + shmipc_rec_pad(tx->pos, len, tx->size, tx->align);
	end = pos + shmipc_rec_advance(len, tx->align);
	if (shmipc_unlikely(end > tx->limit)) {
		ret = shmipc_priv_bcast_make_room(tx, end);
		if (ret)
			return ret;
	}
	tx->rsv_pos = pos;
	tx->rsv_end = end;
	tx->rsv_len = len;
	*ret_ptr = tx->data + (pos & tx->mask);
	return 0;
}

/* Drop the open reservation; nothing is sent. */
SHMIPC_INLINE void shmipc_bcast_abort(struct shmipc_bcast_tx *tx)
{
	tx->rsv_end = 0;
}

SHMIPC_INLINE void shmipc_priv_bcast_put_hdr(struct shmipc_bcast_tx *tx, uint64_t pos, uint64_t word)
{
	if (pos == tx->pub_pos)
		tx->first_hdr = word;
	else
		shmipc_store_relaxed(shmipc_rec_hdr(tx->data, pos, tx->mask), word);
}

/**
 * shmipc_bcast_commit - end the reservation; the message joins the batch
 * @tx:  the producing end
 * @len: bytes in the message, at most what was reserved
 *
 * Return: 0; -EINVAL without a reservation or if @len is larger than that.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_bcast_commit(struct shmipc_bcast_tx *tx, size_t len)
{
	uint64_t pos = tx->rsv_pos;

	if (shmipc_unlikely(!tx->rsv_end || len > tx->rsv_len))
		return -EINVAL;
	if (shmipc_unlikely(pos != tx->pos))
		shmipc_priv_bcast_put_hdr(tx, tx->pos,
			shmipc_rec_word(SHMIPC_REC_PAD, (uint32_t)(pos - tx->pos), 0));
	shmipc_priv_bcast_put_hdr(tx, pos,
		shmipc_rec_word(SHMIPC_REC_DATA, (uint32_t)len, tx->seq));
	tx->pos = pos + shmipc_rec_advance(len, tx->align);
	tx->seq++;
	tx->rsv_end = 0;
	if (shmipc_unlikely(tx->pos >= tx->next_lot_pos))
		shmipc_priv_bcast_enter_lot(tx);
	return 0;
}

/**
 * shmipc_bcast_publish - make all committed messages visible, in one store
 * @tx: the producing end
 *
 * Return: 1 if a reader asked to be woken at a position that this stepped over
 * (wake them all), else 0.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_bcast_publish(struct shmipc_bcast_tx *tx)
{
	uint64_t from = tx->pub_pos, to = tx->pos;

	if (shmipc_unlikely(from == to))
		return 0;
	shmipc_store_relaxed(shmipc_rec_hdr(tx->data, to, tx->mask), (uint64_t)0);
	/* bcast.R0 -> bcast.A0: payloads, the batch's headers and the zero after them. */
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
	/*
		 * Readers share one want, the largest. A reader that has already read
		 * this and sleeps again wants @to + 1, and hides those that sleep for this.
	 */
	return shmipc_priv_crossed(shmipc_load_relaxed(&tx->waiters->want_pos), from, to + 1);
}

/**
 * shmipc_bcast_discard - drop the messages committed since the last publish
 * @tx: the producing end
 *
 * Return: how many.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE uint64_t shmipc_bcast_discard(struct shmipc_bcast_tx *tx)
{
	uint64_t n = tx->seq - tx->pub_seq;

	tx->pos = tx->pub_pos;
	tx->seq = tx->pub_seq;
	tx->rsv_end = 0;
	tx->next_lot_pos = (tx->pos / tx->lot_bytes + 1) * tx->lot_bytes;
	return n;
}

/**
 * shmipc_bcast_write - copy one message into the batch
 * @tx:  the producing end
 * @buf: the message
 * @len: bytes at @buf
 *
 * Return: 0; otherwise as shmipc_bcast_reserve().
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_bcast_write(struct shmipc_bcast_tx *tx, const void *buf, size_t len)
{
	void *ptr;
	int ret = shmipc_bcast_reserve(tx, len, &ptr);

	if (shmipc_unlikely(ret))
		return ret;
	shmipc_racy_write(ptr, buf, len);
	return shmipc_bcast_commit(tx, len);
}

/* The floor has moved since it was last read: where is it now? */
SHMIPC_COLD int shmipc_priv_bcast_read_floor(struct shmipc_bcast_rx *rx)
{
	uint64_t lot, pos, seq;
	int tries;

	for (tries = 0; tries < 4096; tries++) {
		/* bcast.M1 <- bcast.M0: the floor, and with it its mark. */
		lot = shmipc_load_acquire(&rx->prod->floor_lot);
		pos = shmipc_load_relaxed(&rx->prod->marks[lot % SHMIPC_MARKS].pos);
		seq = shmipc_load_relaxed(&rx->prod->marks[lot % SHMIPC_MARKS].seq);
		/*
		 * bcast.F1 <- bcast.F0: a mark is reused only after the floor has moved
		 * on by several lots, with a release fence after each move.
		 */
		shmipc_fence_acquire();
		if (shmipc_load_relaxed(&rx->prod->floor_lot) != lot)
			continue;
		if (pos < rx->floor_pos || seq < rx->floor_seq ||
		    pos % rx->align != shmipc_rec_first(rx->align) % rx->align) {
			rx->err = -EPROTO;
			return -EPROTO;
		}
		rx->floor_lot = lot;
		rx->floor_pos = pos;
		rx->floor_seq = seq;
		return 0;
	}
	rx->err = -EPROTO;	/* the floor moved during each of very many reads */
	return -EPROTO;
}

/* How many of the messages before @seq are for this reader. */
SHMIPC_INLINE uint64_t shmipc_priv_bcast_share(const struct shmipc_bcast_rx *rx, uint64_t seq)
{
	return (seq + rx->stride - 1 - rx->stride_at) / rx->stride;
}

/* We are behind the floor: what we missed is lost; continue at the floor. */
SHMIPC_COLD int shmipc_priv_bcast_lapped(struct shmipc_bcast_rx *rx, uint64_t *ret_lost)
{
	uint64_t lost = shmipc_priv_bcast_share(rx, rx->floor_seq) -
			shmipc_priv_bcast_share(rx, rx->seq);

	if (rx->floor_seq < rx->seq) {
		rx->err = -EPROTO;
		return -EPROTO;
	}
	rx->pos = rx->floor_pos;
	rx->seq = rx->floor_seq;
	rx->next = 0;
	rx->lost += lost;
	*ret_lost = lost;
	return -ESTALE;
}

/*
 * Is the record at our position still the one that we have read?
 * 0: yes. 1: no, the floor has passed us. -EPROTO.
 */
SHMIPC_INLINE int shmipc_priv_bcast_passed(struct shmipc_bcast_rx *rx)
{
	int ret;

	/* bcast.F1 <- bcast.F0: a reader that has seen a new byte sees the floor that allowed it. */
	shmipc_fence_acquire();
	if (shmipc_likely(shmipc_load_relaxed(&rx->prod->floor_lot) == rx->floor_lot))
		return 0;
	ret = shmipc_priv_bcast_read_floor(rx);
	if (ret)
		return ret;
	return rx->pos < rx->floor_pos;
}

/* Not lapped, and not the header of our message. */
SHMIPC_COLD int shmipc_priv_bcast_skip_pad(struct shmipc_bcast_rx *rx, uint64_t word)
{
	if (!shmipc_rec_is_pad(rx->pos, word, rx->size, rx->align)) {
		rx->err = -EPROTO;
		return -EPROTO;
	}
	rx->pos += shmipc_rec_len(word);
	return 0;
}

/**
 * shmipc_bcast_peek - look at the next message in place
 * @rx:       the reading end
 * @ret_ptr:  the payload; the producer may overwrite it at any time, and
 *            shmipc_bcast_release() reports whether it has
 * @ret_len:  bytes
 * @ret_lost: on -ESTALE: how many messages of this reader were lost
 *
 * -ESTALE moves the reader to the oldest message that is there; the next call continues.
 *
 * Return: 0; -EAGAIN if there is none; -ESTALE; -EPROTO.
 */
SHMIPC_NONNULL(1, 2, 3, 4)
SHMIPC_INLINE int shmipc_bcast_peek(struct shmipc_bcast_rx *rx, const void **ret_ptr,
				    size_t *ret_len, uint64_t *ret_lost)
{
	uint64_t word, len, off;
	int ret;

	if (shmipc_unlikely(rx->err))
		return rx->err;
	for (;;) {
		/* bcast.A0 <- bcast.R0, by the fence of F1: the header, and all published before. */
		word = shmipc_load_relaxed(shmipc_rec_hdr(rx->data, rx->pos, rx->mask));
		ret = shmipc_priv_bcast_passed(rx);
		if (shmipc_unlikely(ret)) {
			if (ret > 0)
				ret = shmipc_priv_bcast_lapped(rx, ret_lost);
			if (ret != -ESTALE || *ret_lost)
				return ret;
			continue;	/* none of what was lost was ours */
		}
		if (!word)
			return -EAGAIN;
		len = shmipc_rec_len(word);
		off = rx->pos & rx->mask;
		if (shmipc_unlikely(!shmipc_rec_is_data(word, rx->seq) || len > rx->size - off)) {
			ret = shmipc_priv_bcast_skip_pad(rx, word);
			if (ret)
				return ret;
			continue;
		}
		if (shmipc_likely(rx->stride == 1 || rx->seq % rx->stride == rx->stride_at))
			break;
		rx->pos += shmipc_rec_advance(len, rx->align);
		rx->seq++;
	}
	rx->next = rx->pos + shmipc_rec_advance(len, rx->align);
	*ret_ptr = rx->data + off;
	*ret_len = (size_t)len;
	return 0;
}

/**
 * shmipc_bcast_release - done with the message last peeked: was it intact?
 * @rx:       the reading end
 * @ret_lost: on -ESTALE: how many messages were lost, this one included
 *
 * Return: 0 if no part of it had been overwritten up to now; -ESTALE if what
 * was read since peek may be torn, and must not be used; -EPROTO; -EINVAL
 * without a peeked message.
 */
SHMIPC_NONNULL(1, 2)
SHMIPC_INLINE int shmipc_bcast_release(struct shmipc_bcast_rx *rx, uint64_t *ret_lost)
{
	int ret;

	if (shmipc_unlikely(!rx->next))
		return rx->err ? rx->err : -EINVAL;
	ret = shmipc_priv_bcast_passed(rx);
	if (shmipc_unlikely(ret))
		return ret < 0 ? ret : shmipc_priv_bcast_lapped(rx, ret_lost);
	rx->pos = rx->next;
	rx->next = 0;
	rx->seq++;
	return 0;
}

/**
 * shmipc_bcast_read - copy the next message out
 * @rx:       the reading end
 * @buf:      caller's; valid only if 0 is returned
 * @cap:      bytes at @buf
 * @ret_len:  bytes of the message; on -EMSGSIZE the bytes needed
 * @ret_lost: on -ESTALE: how many messages were lost
 *
 * Return: 0; -EAGAIN; -ESTALE; -EMSGSIZE if @cap is too small, and the message
 * stays the next; -EPROTO.
 */
SHMIPC_NONNULL(1, 4, 5)
SHMIPC_INLINE int shmipc_bcast_read(struct shmipc_bcast_rx *rx, void *buf, size_t cap,
				    size_t *ret_len, uint64_t *ret_lost)
{
	const void *ptr = NULL;
	size_t len = 0;
	int ret = shmipc_bcast_peek(rx, &ptr, &len, ret_lost);

	if (shmipc_unlikely(ret))
		return ret;
	if (shmipc_unlikely(len > cap)) {
		*ret_len = len;
		return -EMSGSIZE;
	}
	shmipc_racy_read(buf, ptr, len);
	ret = shmipc_bcast_release(rx, ret_lost);
	if (shmipc_unlikely(ret))
		return ret;
	*ret_len = len;
	return 0;
}

/* Move to the last record before the tail, by following the records of the last lots. */
SHMIPC_INLINE int shmipc_priv_bcast_to_newest(struct shmipc_bcast_rx *rx)
{
	uint64_t word, next, pos = rx->pos, seq = rx->seq, was;

	for (;;) {
		was = seq;
		/* bcast.A0 <- bcast.R0, by the fence of F1. */
		word = shmipc_load_relaxed(shmipc_rec_hdr(rx->data, pos, rx->mask));
		if (shmipc_priv_bcast_passed(rx))
			return -EAGAIN;
		if (!word)
			return 0;
		next = shmipc_rec_next(word, pos, &seq, rx->size, rx->align);
		/* At most one lap: 16-bit numbers can repeat forever. */
		if (!next || next - rx->floor_pos > rx->size)
			return -EPROTO;
		if (seq != was) {
			rx->pos = pos;
			rx->seq = was;
		}
		pos = next;
	}
}

/**
 * shmipc_bcast_rx_init - prepare a reader
 * @rx:     caller's
 * @ring:   checked by shmipc_ring_check(), of kind SHMIPC_KIND_BCAST
 * @start:  the first message
 * @stride: number of readers that divide the messages; 1: the reader gets all
 * @at:     which of them this is: messages with seq % @stride == @at are ours
 *
 * Writes nothing into the ring. Messages before the start are not counted lost.
 *
 * Return: 0; -EINVAL for another kind or an invalid stride; -EAGAIN if the producer
 * lapped us at each attempt; -EPROTO if the ring's words are invalid.
 */
SHMIPC_NONNULL(1, 2)
SHMIPC_INLINE int shmipc_bcast_rx_init(struct shmipc_bcast_rx *rx, const struct shmipc_ring *ring,
				       enum shmipc_start start, uint64_t stride, uint64_t at)
{
	uint64_t word = 0;
	int ret, tries;

	if (ring->kind != SHMIPC_KIND_BCAST || !stride || at >= stride)
		return -EINVAL;
	for (tries = 0; tries < 64; tries++) {
		memset(rx, 0, sizeof(*rx));
		rx->data = ring->data;
		rx->size = ring->size;
		rx->mask = ring->size - 1;
		rx->align = ring->align;
		rx->prod = ring->prod;
		rx->stride = stride;
		rx->stride_at = at;
		ret = shmipc_priv_bcast_read_floor(rx);
		if (ret)
			return ret;
		rx->pos = rx->floor_pos;
		rx->seq = rx->floor_seq;
		if (start == SHMIPC_START_OLDEST)
			return 0;
		if (start == SHMIPC_START_NEW) {
			ret = shmipc_cursor_read(&ring->prod->tail, &word, &rx->seq);
			rx->pos = shmipc_cursor_pos(word);
			if (!ret && rx->pos % rx->align == shmipc_rec_first(rx->align) % rx->align)
				return 0;
			return ret ? ret : -EPROTO;
		}
		ret = shmipc_priv_bcast_to_newest(rx);
		if (ret != -EAGAIN)
			return ret;
	}
	return -EAGAIN;
}

/**
 * shmipc_bcast_backlog - messages published and not yet read by this reader
 * @rx: the reading end
 *
 * At this moment; counts all messages, not only the reader's share.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE uint64_t shmipc_bcast_backlog(const struct shmipc_bcast_rx *rx)
{
	uint64_t word, seq;

	if (shmipc_cursor_read(&rx->prod->tail, &word, &seq) || seq < rx->seq)
		return 0;
	return seq - rx->seq;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_BCAST_H */
