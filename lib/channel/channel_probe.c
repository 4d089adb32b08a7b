// SPDX-License-Identifier: MIT
/* channel_probe.c - the hot path of a channel while it is traced */
#include <errno.h>

#include "channel/channel.h"

/* The part of a ring's producer that describes the messages about to be published. */
struct batch {
	unsigned char *data;
	uint64_t mask;
	uint64_t size;
	uint64_t align;
	uint64_t pos;
	uint64_t end;
	uint64_t seq;
	uint64_t first_hdr;
};

/* Payload in its records. On mem others may write there, so each is checked. */
static uint64_t batch_bytes(const struct batch *b)
{
	uint64_t word = b->first_hdr, pos = b->pos, seq = b->seq, bytes = 0;

	while (pos < b->end) {
		if (shmipc_rec_is_data(word, seq))
			bytes += shmipc_rec_len(word);
		pos = shmipc_rec_next(word, pos, &seq, b->size, b->align);
		if (!pos)
			break;
		word = shmipc_load_relaxed(shmipc_rec_hdr(b->data, pos, b->mask));
	}
	return bytes;
}

SHMIPC_EXPORT void shmipc_channel_slow_publish(struct shmipc_channel *ch)
{
	const struct shmipc_chan *c = shmipc_chan(ch);
	const struct shmipc_spsc_tx *tx;
	const struct shmipc_bcast_tx *bt;
	struct batch b;
	uint64_t seq;

	if (!ch || c->seg->dead || ch->role != SHMIPC_ROLE_PRODUCER)
		return;
	tx = &ch->end.spsc_tx;
	bt = &ch->end.bcast_tx;
	if (ch->kind == SHMIPC_KIND_SPSC) {
		b = (struct batch){ tx->data, tx->mask, tx->size, tx->align, tx->pub_pos, tx->pos,
				    tx->pub_seq, tx->first_hdr };
		seq = tx->seq;
	} else {
		b = (struct batch){ bt->data, bt->mask, bt->size, bt->align, bt->pub_pos, bt->pos,
				    bt->pub_seq, bt->first_hdr };
		seq = bt->seq;
	}
	if (seq != b.seq)
		shmipc_probe_publish(c->seg, c->end.slot, b.seq, seq - b.seq, batch_bytes(&b));
}

/* The length of the other side's message: it may be anything by now. */
static uint64_t bytes_at(unsigned char *data, uint64_t mask, uint64_t pos)
{
	return shmipc_rec_len(shmipc_load_relaxed(shmipc_rec_hdr(data, pos, mask)));
}

SHMIPC_EXPORT int shmipc_channel_slow_release(struct shmipc_channel *ch)
{
	const struct shmipc_chan *c = shmipc_chan(ch);
	struct shmipc_spsc_rx *rx;
	struct shmipc_bcast_rx *br;
	uint64_t seq, bytes;
	bool any;
	int ret;

	if (!ch)
		return shmipc_null(__func__, "ch");
	if (c->seg->dead)
		return shmipc_dead(c->seg);
	rx = &ch->end.spsc_rx;
	br = &ch->end.bcast_rx;
	if (ch->role == SHMIPC_ROLE_CONSUMER) {
		any = rx->next;
		seq = rx->seq;
		bytes = bytes_at(rx->data, rx->mask, rx->pos);
		if (shmipc_spsc_release(rx))
			shmipc_channel_slow_wake(ch);
		ret = 0;
	} else if (ch->role == SHMIPC_ROLE_READER) {
		any = br->next;
		seq = br->seq;
		bytes = bytes_at(br->data, br->mask, br->pos);
		ret = shmipc_bcast_release(br, &ch->lost_now);
	} else {
		return -EINVAL;
	}
	if (ret)
		return shmipc_channel_slow_lost(ch, ret);
	if (any)
		shmipc_probe_take(c->seg, c->end.slot, seq, bytes, 0);
	return 0;
}

SHMIPC_EXPORT int shmipc_channel_slow_lost(struct shmipc_channel *ch, int err)
{
	const struct shmipc_chan *c = shmipc_chan(ch);
	const struct shmipc_bcast_rx *br;

	if (!ch)
		return shmipc_null(__func__, "ch");
	br = &ch->end.bcast_rx;
	/* The reader is at the first message that is still there. */
	if (!c->seg->dead && err == -ESTALE)
		shmipc_probe_gap(c->seg, c->end.slot, br->seq - ch->lost_now * br->stride,
				 br->seq, ch->lost_now);
	return err;
}
