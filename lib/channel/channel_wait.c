// SPDX-License-Identifier: MIT
/*
 * channel_wait.c - a channel whose ring is full or empty: its functions for the waiter
 *
 * A sleeper announces at which position it wants to be woken (want), and sleeps on the low
 * 32 bits of the position. The side that moves the position reads want afterwards, and
 * wakes the sleeper if the position has passed it. The same sleep watches the peer's word,
 * which the kernel changes when the peer dies. See wait/waiter.h.
 */
#include <errno.h>

#include "channel/channel.h"

#define SURE_NS		50000000u	/* ask the peer's lock this often */

static struct shmipc_peer_slot *peer_slot(const struct shmipc_chan *c)
{
	return shmipc_segment_slot(c->seg, c->peer_slot);
}

enum shmipc_peer_state shmipc_chan_peer(struct shmipc_chan *c, uint64_t *ret_generation, bool sure)
{
	enum shmipc_peer_state state;
	uint64_t now;

	if (c->peer_slot == NO_SLOT)
		return SHMIPC_PEER_NONE;
	/* peer.G1 <- peer.G0: before the state, which is this one's or a later one's. */
	*ret_generation = shmipc_load_acquire(&peer_slot(c)->generation);
	state = c->seg->be->state(c->seg, c->peer_slot, false);
	if (state != SHMIPC_PEER_ATTACHED)
		return state;
	if (c->dead_generation == *ret_generation)
		return SHMIPC_PEER_DIED;
	now = shmipc_now_ns();
	if (!sure && now < c->ask_lock_ns)
		return state;
	c->ask_lock_ns = now + SURE_NS;
	state = c->seg->be->state(c->seg, c->peer_slot, true);
	if (state == SHMIPC_PEER_DIED)
		c->dead_generation = *ret_generation;
	return state;
}

bool shmipc_chan_peer_gone(struct shmipc_chan *c, bool sure)
{
	uint64_t generation = 0;
	enum shmipc_peer_state state = shmipc_chan_peer(c, &generation, sure);

	return (state == SHMIPC_PEER_LEFT || state == SHMIPC_PEER_DIED) &&
	       generation != c->ignore_generation;
}

SHMIPC_EXPORT enum shmipc_peer_state shmipc_channel_peer(struct shmipc_channel *ch)
{
	struct shmipc_chan *c = shmipc_chan(ch);

	if (!ch || c->seg->dead || c->peer_slot == NO_SLOT)
		return SHMIPC_PEER_NONE;
	return c->seg->be->state(c->seg, c->peer_slot, true);
}

static void tell_death(struct shmipc_chan *c)
{
	struct shmipc_peer_info info;

	if (!shmipc_probe_on(&shmipc_death_semaphore))
		return;
	shmipc_slot_info(c->seg, c->peer_slot, &info);
	if (info.state == SHMIPC_PEER_DIED)
		shmipc_probe_death(c->seg, c->end.slot, c->peer_slot, info.pid, info.role);
}

/* The inline part saw the peer's word change: find out why. */
SHMIPC_EXPORT int shmipc_channel_slow_peer(struct shmipc_channel *ch)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	uint32_t word;

	if (!ch)
		return shmipc_null(__func__, "ch");
	if (c->seg->dead)
		return shmipc_dead(c->seg);
	word = shmipc_load_relaxed(ch->peer_word) & ~SHMIPC_PEER_WATCHED;
	if (shmipc_chan_peer_gone(c, false)) {
		tell_death(c);
		ch->peer_seen = PEER_SEEN_NEVER;
		return -EPIPE;
	}
	ch->peer_seen = word;
	return 0;
}

/* Number of the next message of this end. */
static uint64_t number(const struct shmipc_channel *ch)
{
	if (ch->role == SHMIPC_ROLE_CONSUMER)
		return ch->end.spsc_rx.seq;
	if (ch->role == SHMIPC_ROLE_READER)
		return ch->end.bcast_rx.seq;
	return ch->kind == SHMIPC_KIND_SPSC ? ch->end.spsc_tx.seq : ch->end.bcast_tx.seq;
}

SHMIPC_EXPORT void shmipc_channel_slow_wake(struct shmipc_channel *ch)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	const struct shmipc_cursor *moved;

	if (!ch || c->seg->dead)
		return;
	moved = ch->role == SHMIPC_ROLE_PRODUCER ? &c->seg->ring.prod->tail : &c->seg->ring.cons->head;
	c->wakes++;
	shmipc_wake(c->seg, c->end.slot, shmipc_low32(&moved->word), number(ch));
}

/* A position of the other side, and how to be woken at a later one. */
struct pos_wait {
	struct shmipc_chan *c;
	const __u64 *word;	/* its cursor */
	__u64 *want;		/* where we announce what we wait for */
	uint64_t until_pos;	/* far enough: do not sleep */
	uint64_t want_pos;	/* wake us there, at or behind @until_pos */
	bool many;		/* others write @want, too */
	const __u64 *hdr;	/* reading: the record's header, not 0 when it is there */
	uint64_t end;		/* writing: room up to here; 0: draining */
};

static bool pos_reached(const struct pos_wait *p)
{
	/* spsc.A1 <- spsc.R1, bcast.A0 <- bcast.R0 */
	return shmipc_cursor_pos(shmipc_load_acquire(p->word)) >= p->until_pos;
}

/* Readers share one want: the largest counts, because all sleepers have caught up. */
static bool raise_want(const struct pos_wait *p)
{
	__u64 was;
	int tries;

	/* wait.W5 <- wait.W4: all that the reader which wrote it had seen. */
	was = shmipc_load_acquire(p->want);
	/* Bounded: a hostile reader may write it all the time. */
	for (tries = 0; was != p->want_pos && tries < 64; tries++) {
		/*
		 * bcast.A0 <- bcast.R0: a reader that wants more than we do has read our next
		 * message, or has begun at the tail: we see that, too, and must not hide its
		 * want. If we see neither, a hostile reader lies.
		 */
		if (was > p->want_pos && (shmipc_load_acquire(p->hdr) || pos_reached(p)))
			return false;
		/* wait.W4 -> wait.W5; and wait.W1 <- wait.W0 follows in the waiter. */
		if (shmipc_cas_acq_rel(p->want, &was, p->want_pos))
			break;
	}
	return true;
}

static uint64_t pos_want(void *arg)
{
	struct pos_wait *p = arg;

	if (p->many)
		return raise_want(p) ? p->want_pos : SHMIPC_WANT_AGAIN;
	shmipc_store_relaxed(p->want, p->want_pos);
	return p->want_pos;
}

/*
 * The other side wakes us at @want_pos. If it stops before that, but after what we need, a
 * tick notices; the next time we ask for no more than we need.
 */
static bool pos_look(void *arg, struct shmipc_wait_set *set)
{
	struct pos_wait *p = arg;
	struct shmipc_chan *c = p->c;
	/* spsc.A1 <- spsc.R1, bcast.A0 <- bcast.R0 */
	uint64_t word = shmipc_load_acquire(p->word);

	if (shmipc_cursor_pos(word) >= p->until_pos)
		return false;
	shmipc_watch_word(c->seg, set, shmipc_low32(p->word), (uint32_t)word);
	if (c->peer_slot != NO_SLOT)
		c->seg->be->watch_peer(c->seg, set, c->peer_slot);
	if (p->want_pos > p->until_pos)
		shmipc_wait_set_tick(set, SHMIPC_TICK_ROOM);
	p->want_pos = p->until_pos;
	return true;
}

static void pos_tell(void *arg, const uint32_t *word, int ret)
{
	const struct shmipc_chan *c = ((const struct pos_wait *)arg)->c;

	if (ret > 0)
		shmipc_probe_wait(c->seg, c->end.slot, shmipc_probe_off(c->seg, word),
				  number(&c->pub), c->pub.role);
	else
		shmipc_probe_wait_end(c->seg, c->end.slot, shmipc_probe_off(c->seg, word),
				      (int64_t)ret, c->pub.role);
}

static bool nothing_to_read(const struct shmipc_channel *ch)
{
	const struct shmipc_spsc_rx *rx = &ch->end.spsc_rx;
	const struct shmipc_bcast_rx *br = &ch->end.bcast_rx;

	/* spsc.A0 <- spsc.R0 */
	if (ch->role == SHMIPC_ROLE_CONSUMER)
		return !shmipc_load_acquire(shmipc_rec_hdr(rx->data, rx->pos, rx->mask));
	/* bcast.A0 <- bcast.R0; and a lapped reader must report its losses. */
	return !shmipc_load_acquire(shmipc_rec_hdr(br->data, br->pos, br->mask)) &&
	       shmipc_load_relaxed(&br->prod->floor_lot) == br->floor_lot;
}

static bool record_ready(void *arg)
{
	const struct pos_wait *p = arg;

	return !nothing_to_read(&p->c->pub) || pos_reached(p);
}

/* Exactly the header of the next record: only one line moves. */
static const __u64 *record_poll(void *arg, uint64_t *ret_val)
{
	*ret_val = 0;
	return ((const struct pos_wait *)arg)->hdr;
}

static int record_settle(void *arg, bool sure)
{
	struct shmipc_chan *c = ((const struct pos_wait *)arg)->c;

	if (!shmipc_chan_peer_gone(c, sure))
		return 0;
	/* peer.P0 <- peer.P1: what it published before it went comes first. */
	shmipc_fence_acquire();
	if (!nothing_to_read(&c->pub))
		return 1;
	tell_death(c);
	return -EPIPE;
}

/* A consumer or reader that waits for the next record. */
static const struct shmipc_wait_ops record_ops = {
	.ready = record_ready,
	.poll = record_poll,
	.settle = record_settle,
	.want = pos_want,
	.look = pos_look,
	.tell = pos_tell,
};

static void on_next_record(struct shmipc_chan *c, struct pos_wait *p)
{
	const struct shmipc_ring *ring = &c->seg->ring;
	struct shmipc_spsc_rx *rx = &c->pub.end.spsc_rx;
	struct shmipc_bcast_rx *br = &c->pub.end.bcast_rx;

	p->c = c;
	p->word = &ring->prod->tail.word;
	p->many = c->pub.role == SHMIPC_ROLE_READER;
	if (p->many) {
		p->want = &ring->waiters->want_pos;
		p->until_pos = br->pos + 1;
		p->hdr = (const __u64 *)shmipc_rec_hdr(br->data, br->pos, br->mask);
	} else {
		p->want = &ring->cons->want_pos;
		p->until_pos = rx->pos + 1;
		p->hdr = (const __u64 *)shmipc_rec_hdr(rx->data, rx->pos, rx->mask);
	}
	p->want_pos = p->until_pos;
}

SHMIPC_EXPORT int shmipc_channel_slow_empty(struct shmipc_channel *ch, int err,
					    uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	struct pos_wait p;

	if (!ch)
		return shmipc_null(__func__, "ch");
	if (c->seg->dead)
		return shmipc_dead(c->seg);
	if (err != -EAGAIN)
		return err;
	on_next_record(c, &p);
	return shmipc_wait_one(&c->wait, &record_ops, &p, deadline_ns);
}

static void tell_full(const struct shmipc_chan *c)
{
	const struct shmipc_spsc_tx *tx = &c->pub.end.spsc_tx;
	uint64_t word, head = tx->pub_seq;

	if (shmipc_probe_on(&shmipc_full_semaphore) &&
	    !shmipc_cursor_read(&c->seg->ring.cons->head, &word, &head))
		shmipc_probe_full(c->seg, c->end.slot, tx->seq, c->peer_slot, tx->pub_seq - head);
}

static bool room_ready(void *arg)
{
	struct pos_wait *p = arg;

	return shmipc_priv_spsc_room(&p->c->pub.end.spsc_tx, p->end) != -EAGAIN;
}

static int room_settle(void *arg, bool sure)
{
	struct shmipc_chan *c = ((const struct pos_wait *)arg)->c;

	if (!shmipc_chan_peer_gone(c, sure))
		return 0;
	tell_death(c);
	return -EPIPE;
}

/* A producer that waits for room. */
static const struct shmipc_wait_ops room_ops = {
	.ready = room_ready,
	.settle = room_settle,
	.want = pos_want,
	.look = pos_look,
	.tell = pos_tell,
};

static void on_room(struct shmipc_chan *c, struct pos_wait *p)
{
	const struct shmipc_ring *ring = &c->seg->ring;

	p->c = c;
	p->word = &ring->cons->head.word;
	p->want = &ring->prod->want_pos;
	p->many = false;
	p->hdr = NULL;
}

SHMIPC_EXPORT int shmipc_channel_slow_room(struct shmipc_channel *ch, size_t len, int err,
					   uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	struct shmipc_spsc_tx *tx;
	struct pos_wait p;
	uint64_t head;
	int ret;

	if (!ch)
		return shmipc_null(__func__, "ch");
	tx = &ch->end.spsc_tx;
	if (c->seg->dead)
		return shmipc_dead(c->seg);
	if (err != -EAGAIN)
		return err;
	shmipc_channel_publish(ch);	/* the consumer cannot take what it cannot see */
	if (ch->kind == SHMIPC_KIND_BCAST)
		return 0;
	on_room(c, &p);
	ret = room_settle(&p, false);
	if (ret)
		return ret;
	tell_full(c);
	p.end = tx->pos + shmipc_rec_pad(tx->pos, len, tx->size, tx->align);
	p.end += shmipc_rec_advance(len, tx->align);
	head = shmipc_cursor_pos(shmipc_load_relaxed(p.word));
	/* Room for this message is enough; a lot at once is better. */
	p.until_pos = p.end + SHMIPC_REC_HDR - tx->size;
	p.want_pos = head + tx->size / SHMIPC_LOTS;
	if (p.want_pos > tx->pub_pos)
		p.want_pos = tx->pub_pos;
	if (p.want_pos < p.until_pos)
		p.want_pos = p.until_pos;
	return shmipc_wait_one(&c->wait, &room_ops, &p, deadline_ns);
}

static bool drain_ready(void *arg)
{
	return pos_reached(arg);
}

static int drain_settle(void *arg, bool sure)
{
	struct pos_wait *p = arg;

	if (!shmipc_chan_peer_gone(p->c, sure))
		return 0;
	/* peer.P0 <- peer.P1: what it took before it went. */
	shmipc_fence_acquire();
	return pos_reached(p) ? 1 : -EPIPE;
}

/* A producer that waits until all is taken. */
static const struct shmipc_wait_ops drain_ops = {
	.ready = drain_ready,
	.settle = drain_settle,
	.want = pos_want,
	.look = pos_look,
	.tell = pos_tell,
};

SHMIPC_EXPORT int shmipc_channel_drain(struct shmipc_channel *ch, uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	struct pos_wait p;
	int ret = 0;

	if (!ch)
		return shmipc_null(__func__, "ch");
	if (c->seg->dead)
		return shmipc_dead(c->seg);
	if (ch->role != SHMIPC_ROLE_PRODUCER || ch->kind != SHMIPC_KIND_SPSC)
		return -EINVAL;
	on_room(c, &p);
	p.end = 0;
	p.until_pos = p.want_pos = ch->end.spsc_tx.pub_pos;
	while (!ret && !pos_reached(&p))
		ret = shmipc_wait_one(&c->wait, &drain_ops, &p, deadline_ns);
	return ret;
}

static bool peer_ready(void *arg)
{
	uint64_t generation;

	return shmipc_chan_peer(arg, &generation, false) == SHMIPC_PEER_ATTACHED;
}

static bool peer_look(void *arg, struct shmipc_wait_set *set)
{
	struct shmipc_chan *c = arg;

	shmipc_wait_set_by(set, c->seg->be->sleep);
	c->seg->be->watch_peer(c->seg, set, c->peer_slot);
	return !peer_ready(c);
}

/* An end that waits for the other side. */
static const struct shmipc_wait_ops peer_ops = {
	.ready = peer_ready,
	.look = peer_look,
	.patient = true,
};

SHMIPC_EXPORT int shmipc_channel_wait_peer(struct shmipc_channel *ch, uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	int ret = 0;

	if (!ch)
		return shmipc_null(__func__, "ch");
	if (c->seg->dead)
		return shmipc_dead(c->seg);
	if (c->peer_slot == NO_SLOT)
		return -EINVAL;
	while (!ret && !peer_ready(c))
		ret = shmipc_wait_one(&c->wait, &peer_ops, c, deadline_ns);
	return ret;
}
