// SPDX-License-Identifier: MIT
/* channel.c - taking and leaving an end of a ring, and its statistics */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "channel/channel.h"

static const uint32_t no_peer;	/* what a channel without a peer watches */

static int opts_read(struct shmipc_channel_opts *o, const struct shmipc_channel_opts *user)
{
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "channel options");
	if (err)
		return err;
	if (o->reserved0)
		return shmipc_fail(-EINVAL, "shmipc: channel options: reserved0 is %u, must be 0 (EINVAL)",
				   o->reserved0);
	if (!o->stride)
		o->stride = 1;
	if (o->start > SHMIPC_START_NEWEST)
		return shmipc_fail(-EINVAL, "shmipc: channel options: start is %u; expected SHMIPC_START_NEW, OLDEST or NEWEST (EINVAL)",
				   o->start);
	if (o->stride_at >= o->stride)
		return shmipc_fail(-EINVAL, "shmipc: channel options: stride_at is %llu; it must be less than stride, %llu (EINVAL)",
				   (unsigned long long)o->stride_at, (unsigned long long)o->stride);
	return 0;
}

static int check_role(const struct shmipc_segment *seg, enum shmipc_role role)
{
	bool spsc = seg->hdr.kind == SHMIPC_KIND_SPSC;
	bool bcast = seg->hdr.kind == SHMIPC_KIND_BCAST;

	if ((spsc || bcast) && role == SHMIPC_ROLE_PRODUCER)
		return 0;
	if ((spsc && role == SHMIPC_ROLE_CONSUMER) || (bcast && role == SHMIPC_ROLE_READER))
		return 0;
	return shmipc_fail(-EINVAL, "shmipc: attach \"%s\": kind %s has no %s (EINVAL); spsc has a producer and a consumer, bcast a producer and readers",
			   seg->hdr.name, shmipc_kind_text(seg->hdr.kind).s, shmipc_role_text(role).s);
}

static int init_end(struct shmipc_chan *c, const struct shmipc_channel_opts *o)
{
	int fence = !(shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER);
	const struct shmipc_ring *ring = &c->seg->ring;
	int ret;

	switch (c->pub.role) {
	case SHMIPC_ROLE_CONSUMER:
		ret = shmipc_spsc_rx_init(&c->pub.end.spsc_rx, ring);
		c->pub.end.spsc_rx.full_fence = fence;
		break;
	case SHMIPC_ROLE_READER:
		ret = shmipc_bcast_rx_init(&c->pub.end.bcast_rx, ring, (enum shmipc_start)o->start,
					   o->stride, o->stride_at);
		break;
	default:
		if (c->pub.kind == SHMIPC_KIND_SPSC) {
			ret = shmipc_spsc_tx_init(&c->pub.end.spsc_tx, ring);
			c->pub.end.spsc_tx.full_fence = fence;
		} else {
			ret = shmipc_bcast_tx_init(&c->pub.end.bcast_tx, ring);
			c->pub.end.bcast_tx.full_fence = fence;
		}
	}
	if (ret)
		return shmipc_fail(ret, "shmipc: attach \"%s\": the words of its ring are invalid (%s); remove it",
				   c->seg->hdr.name, shmipc_error_name(ret));
	return 0;
}

/* Is there something to read that was published before we attached? */
static bool has_unread(struct shmipc_chan *c)
{
	const void *ptr;
	uint64_t lost;
	size_t len;

	struct shmipc_spsc_rx rx = c->pub.end.spsc_rx;	/* copies: nothing is peeked */
	struct shmipc_bcast_rx br = c->pub.end.bcast_rx;

	if (c->pub.role == SHMIPC_ROLE_CONSUMER)
		return shmipc_spsc_peek(&rx, &ptr, &len) != -EAGAIN;
	if (c->pub.role == SHMIPC_ROLE_READER)
		return shmipc_bcast_peek(&br, &ptr, &len, &lost) != -EAGAIN;
	return false;
}

/*
 * Watch the other side, before we take our end: a peer that has already gone never saw us.
 * One that goes later may have waited for us, sent nothing, and closed normally.
 */
static void watch_peer(struct shmipc_chan *c)
{
	struct shmipc_peer_slot *s;
	uint64_t generation = 0;

	c->peer_slot = NO_SLOT;
	c->pub.peer_word = &no_peer;
	if (c->pub.role == SHMIPC_ROLE_PRODUCER && c->pub.kind == SHMIPC_KIND_BCAST)
		return;
	c->peer_slot = c->pub.role == SHMIPC_ROLE_PRODUCER ? 1 : 0;
	s = shmipc_segment_slot(c->seg, c->peer_slot);
	c->pub.peer_word = &s->word;
	c->pub.peer_seen = PEER_SEEN_NEVER;
	if (shmipc_chan_peer(c, &generation, false) != SHMIPC_PEER_ATTACHED)
		c->ignore_generation = generation;
}

/* The counter of messages that this end has received; NULL: it receives none. */
static const uint64_t *taken(const struct shmipc_chan *c, enum shmipc_role role)
{
	if (role == SHMIPC_ROLE_CONSUMER)
		return &c->pub.end.spsc_rx.seq;
	return role == SHMIPC_ROLE_READER ? &c->pub.end.bcast_rx.seq : NULL;
}

/* Takes ownership of the segment, even on failure. */
static int attach_own(struct shmipc_channel **ret, struct shmipc_segment *seg,
		      enum shmipc_role role, const struct shmipc_channel_opts *opts)
{
	struct shmipc_channel_opts o;
	struct shmipc_chan *c;
	int err = opts_read(&o, opts);

	if (!err)
		err = check_role(seg, role);
	if (err)
		goto close_segment;
	c = calloc(1, sizeof(*c));
	if (!c) {
		err = shmipc_fail(-ENOMEM, "shmipc: no memory for a channel (ENOMEM)");
		goto close_segment;
	}
	c->seg = seg;
	shmipc_waiter_init(&c->wait, o.spin_ns, taken(c, role));
	c->pub.kind = seg->hdr.kind;
	c->pub.role = role;
	c->pub.probe = role == SHMIPC_ROLE_PRODUCER ? &shmipc_probe_publishes : &shmipc_probe_takes;
	c->pub.busy_tx = c->pub.busy_rx = &shmipc_probe_busy;
	if (c->pub.kind == SHMIPC_KIND_SPSC)
		*(role == SHMIPC_ROLE_PRODUCER ? &c->pub.busy_tx : &c->pub.busy_rx) = c->pub.probe;
	seg->live = &c->pub.role;	/* NONE is 0 */
	seg->nlive = 1;
	seg->busy = &c->pub.busy_tx;	/* and busy_rx after it */
	seg->nbusy = 2;
	watch_peer(c);
	/*
	 * A reader writes nothing, so it may find its position first: a producer that sees
	 * it attached and then publishes can rely on it.
	 */
	err = role == SHMIPC_ROLE_READER ? init_end(c, &o) : 0;
	if (!err)
		err = shmipc_end_take(&c->end, seg, role);
	if (err)
		goto free_channel;
	err = role == SHMIPC_ROLE_READER ? 0 : init_end(c, &o);
	if (err)
		goto leave_end;
	/* It has gone already, and left no message: ignore it. */
	if (c->ignore_generation && has_unread(c))
		c->ignore_generation = 0;
	*ret = &c->pub;
	return 0;

leave_end:
	shmipc_end_leave(&c->end);
free_channel:
	seg->live = NULL;
	free(c);
close_segment:
	shmipc_segment_close(seg);
	return err;
}

static int attach(struct shmipc_channel **ret, struct shmipc_segment *seg, enum shmipc_role role,
		  const struct shmipc_channel_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *own;
	int err;

	if (!ret || !seg)
		return shmipc_null("shmipc_channel_attach", "ret or seg");
	err = shmipc_segment_dup(&own, seg);
	return err ? err : attach_own(ret, own, role, opts);
}

SHMIPC_EXPORT int shmipc_channel_attach(struct shmipc_channel **ret, struct shmipc_segment *seg,
					enum shmipc_role role,
					const struct shmipc_channel_opts *opts)
{
	return SHMIPC_TOLD(attach(ret, seg, role, opts));
}

static int open_channel(struct shmipc_channel **ret, const char *name, enum shmipc_role role,
			const struct shmipc_segment_opts *sopts,
			const struct shmipc_channel_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_channel_open", "ret");
	err = shmipc_segment_open(&seg, name, sopts);
	return err ? err : attach_own(ret, seg, role, opts);
}

SHMIPC_EXPORT int shmipc_channel_open(struct shmipc_channel **ret, const char *name,
				      enum shmipc_role role,
				      const struct shmipc_segment_opts *sopts,
				      const struct shmipc_channel_opts *opts)
{
	return SHMIPC_TOLD(open_channel(ret, name, role, sopts, opts));
}

SHMIPC_EXPORT void shmipc_channel_close(struct shmipc_channel *ch)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_chan *c = shmipc_chan(ch);
	uint64_t until_ns;
	uint32_t slot;

	if (!ch)
		return;
	shmipc_end_check(&c->end);
	if (!c->seg->dead) {
		shmipc_end_leave(&c->end);
		/*
		 * The locks of a killed peer may stay a little longer. One time limit for all:
		 * a hostile peer can claim that the owners of all slots are dead.
		 */
		until_ns = shmipc_now_ns() + DYING_PATIENCE_NS;
		for (slot = 0; slot < c->seg->hdr.peers; slot++)
			if (slot != c->end.slot)
				c->seg->be->wait_gone(c->seg, slot, until_ns);
	}
	shmipc_segment_close(c->seg);
	free(c);
}

SHMIPC_EXPORT int shmipc_channel_get_info(const struct shmipc_channel *ch,
					  struct shmipc_segment_info *ret)
{
	if (!ch || !ret)
		return shmipc_null(__func__, "ch or ret");
	return shmipc_segment_get_info(shmipc_chan(ch)->seg, ret);
}

SHMIPC_EXPORT void *shmipc_channel_meta(const struct shmipc_channel *ch, size_t *ret_bytes)
{
	const struct shmipc_segment *seg = ch ? shmipc_chan(ch)->seg : NULL;
	bool is = seg && !seg->dead;

	if (ret_bytes)
		*ret_bytes = is ? seg->ring.meta_bytes : 0;
	return is ? seg->ring.meta : NULL;
}

static uint64_t pending(const struct shmipc_chan *c, uint64_t seq)
{
	const struct shmipc_ring *ring = &c->seg->ring;
	uint64_t word, tail = 0, head = seq;

	if (shmipc_cursor_read(&ring->prod->tail, &word, &tail))
		return 0;
	if (c->pub.role == SHMIPC_ROLE_PRODUCER &&
	    (!ring->cons || shmipc_cursor_read(&ring->cons->head, &word, &head)))
		return 0;
	return tail > head ? tail - head : 0;
}

SHMIPC_EXPORT int shmipc_channel_get_stat(struct shmipc_channel *ch,
					  struct shmipc_channel_stat *ret)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	struct shmipc_chan *c = shmipc_chan(ch);
	struct shmipc_peer_info peer;
	int err;

	if (!ch || !ret)
		return shmipc_null(__func__, "ch or ret");
	err = shmipc_sized_check(ret, sizeof(st), "channel stat");
	if (err || c->seg->dead)
		return -EINVAL;
	if (ch->role == SHMIPC_ROLE_READER) {
		st.seq = ch->end.bcast_rx.seq;
		st.lost = ch->end.bcast_rx.lost;
	} else if (ch->role == SHMIPC_ROLE_CONSUMER) {
		st.seq = ch->end.spsc_rx.seq;
	} else {
		st.seq = ch->kind == SHMIPC_KIND_SPSC ? ch->end.spsc_tx.pub_seq :
							  ch->end.bcast_tx.pub_seq;
	}
	st.pending = pending(c, st.seq);
	st.sleeps = c->wait.sleeps;
	st.ticks = c->wait.ticks;
	st.pauses = c->wait.cadence.pauses;
	st.wakes = c->wakes;
	st.max_payload = shmipc_ring_max_payload(ch->kind, c->seg->ring.size);
	if (c->peer_slot != NO_SLOT) {
		shmipc_slot_info(c->seg, c->peer_slot, &peer);
		st.peer_state = peer.state;
		st.peer_pid = peer.pid;
	}
	shmipc_sized_write(ret, &st, sizeof(st));
	return 0;
}
