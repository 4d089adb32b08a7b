// SPDX-License-Identifier: MIT
/*
 * channel_wait.c - a channel whose ring is full or empty: look at the peer, spin, sleep
 *
 * A sleeper says at which position it wants to be woken (want), runs the dear
 * half of the asymmetric fence, looks at the position again, and sleeps on its
 * low 32 bits. Who moves the position looks at want afterwards and wakes if it
 * stepped over it. So either the sleeper sees the new position, or the mover
 * sees the want. The same sleep watches the peer's word, which the kernel
 * changes when the peer dies.
 *
 * Every sleep also ends after a tick, and then the peer's lock is asked: whatever
 * happens to the fast ways, a death is known within SURE_TICK_NS and some.
 */
#include <errno.h>

#include "channel/channel.h"

#define SURE_TICK_NS	50000000u	/* ask the peer's lock this often */
#define NO_FENCE_TICK_NS 1000000u	/* where a wake may be missed */
#define ROOM_TICK_NS	1000000u	/* first look for less room than a lot */
#define SPINS_PER_CLOCK	64
#define GATHER_NS	1000u	/* the reader of a stream waits this long ... */
#define GATHER_MIN	4	/* ... and it is one if so many messages came meanwhile */
#define GATHER_EVERY_MAX 2048u	/* where it is none, tried this rarely in the end */
#define QUICK_SPINS	1000	/* without a pause, about a microsecond */

static struct shmipc_peer_slot *peer_slot(const struct shmipc_chan *c)
{
	return shmipc_segment_slot(c->seg, c->peer_slot);
}

enum shmipc_peer_state shmipc_chan_peer(struct shmipc_chan *c, uint64_t *ret_generation)
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
	if (now - c->lock_asked_ns < SURE_TICK_NS)
		return state;
	c->lock_asked_ns = now;
	state = c->seg->be->state(c->seg, c->peer_slot, true);
	if (state == SHMIPC_PEER_DIED)
		c->dead_generation = *ret_generation;
	return state;
}

bool shmipc_chan_peer_gone(struct shmipc_chan *c)
{
	uint64_t generation = 0;
	enum shmipc_peer_state state = shmipc_chan_peer(c, &generation);

	return (state == SHMIPC_PEER_LEFT || state == SHMIPC_PEER_DIED) &&
	       generation != c->ignore_generation;
}

SHMIPC_EXPORT enum shmipc_peer_state shmipc_channel_peer(struct shmipc_channel *ch)
{
	struct shmipc_chan *c = shmipc_chan(ch);

	if (c->seg->dead || c->peer_slot == NO_SLOT)
		return SHMIPC_PEER_NONE;
	return c->seg->be->state(c->seg, c->peer_slot, true);
}

static void tell_death(struct shmipc_chan *c)
{
	struct shmipc_peer_info info;

	if (!shmipc_probe_on(death))
		return;
	shmipc_slot_info(c->seg, c->peer_slot, &info);
	if (info.state == SHMIPC_PEER_DIED)
		shmipc_probe(death, c->seg, c->end.slot, c->peer_slot, info.pid, info.role);
}

/* The inline part saw the peer's word change: what is it? */
SHMIPC_EXPORT int shmipc_channel_slow_peer(struct shmipc_channel *ch)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	uint32_t word = shmipc_load_relaxed(ch->peer_word) & ~SHMIPC_PEER_WATCHED;

	if (c->seg->dead)
		return -EINVAL;
	if (shmipc_chan_peer_gone(c)) {
		tell_death(c);
		ch->peer_seen = PEER_SEEN_NEVER;
		return -EPIPE;
	}
	ch->peer_seen = word;
	return 0;
}

/* Of the next message of this end. */
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
	const struct shmipc_ring *ring = &c->seg->ring;
	const struct shmipc_cursor *moved = ch->role == SHMIPC_ROLE_PRODUCER ?
		&ring->prod->tail : &ring->cons->head;

	if (c->seg->dead)
		return;
	c->wakes++;
	shmipc_wake(c->seg, c->end.slot, shmipc_low32(&moved->word), number(ch));
}

/* A position of the other side, and what to do to be woken at another. */
struct sleep_on {
	const __u64 *word;	/* its cursor */
	__u64 *want;		/* where we say what we wait for */
	uint64_t until_pos;	/* enough: do not sleep */
	uint64_t want_pos;	/* wake us there, at or behind @until_pos */
	bool many;		/* others write @want too */
	const __u64 *hdr;	/* reading: the record's header, not 0 when it is there */
	uint64_t end;		/* writing: room up to here */
};

/* Readers share one want: the largest counts, as all who sleep are caught up. */
static bool raise_want(const struct sleep_on *s)
{
	__u64 was;
	int tries;

	if (!s->many) {
		shmipc_store_relaxed(s->want, s->want_pos);
		return true;
	}
	/* wait.W5 <- wait.W4: what the reader who wrote it had seen. */
	was = shmipc_load_acquire(s->want);
	/* Bounded: a hostile reader may write it all the time. */
	for (tries = 0; was != s->want_pos && tries < 64; tries++) {
		/*
		 * bcast.A0 <- bcast.R0: who wants more than we do has read our next message,
		 * or has begun at the tail: we see it too, and must not hide
		 * that want. Where we see neither, a hostile reader lies.
		 */
		if (was > s->want_pos &&
		    (shmipc_load_acquire(s->hdr) ||
		     shmipc_cursor_pos(shmipc_load_acquire(s->word)) >= s->until_pos))
			return false;
		/* wait.W4 -> wait.W5; and wait.W1 <- wait.W0 follows in shmipc_barrier_heavy(). */
		if (shmipc_cas_acq_rel(s->want, &was, s->want_pos))
			break;
	}
	return true;
}

/* How long one sleep may last, whoever forgets to wake us. */
static uint64_t tick_ns(const struct shmipc_chan *c, bool fenced, uint64_t most_ns)
{
	bool light = shmipc_load_relaxed(&peer_slot(c)->caps) & SHMIPC_PEER_CAP_MEMBARRIER;

	return !fenced && light && most_ns > NO_FENCE_TICK_NS ? NO_FENCE_TICK_NS : most_ns;
}

/* Sleep once. 0: look again. -EINTR. */
static int sleep_once(struct shmipc_chan *c, const struct sleep_on *s, uint64_t deadline_ns,
		      uint64_t most_ns)
{
	uint64_t now, until, tick, word;
	uint32_t peer_word;
	bool fenced;
	int ret;

	if (!raise_want(s))
		return 0;
	/* wait.W1 <- wait.W0, wait.W3 <- wait.W2: the want is visible before we look again. */
	fenced = shmipc_barrier_heavy();
	word = shmipc_load_acquire(s->word);
	if (shmipc_cursor_pos(word) >= s->until_pos)
		return 0;
	peer_word = shmipc_load_relaxed(&peer_slot(c)->word) & ~SHMIPC_PEER_WATCHED;
	if (shmipc_chan_peer_gone(c))
		return 0;
	tick = tick_ns(c, fenced, most_ns);
	now = shmipc_now_ns();
	until = deadline_ns - now > tick ? now + tick : deadline_ns;
	c->sleeps++;
	shmipc_probe(wait, c->seg, c->end.slot, shmipc_probe_off(c->seg, shmipc_low32(s->word)),
		     number(&c->pub), c->pub.role);
	ret = c->seg->be->wait(c->seg, shmipc_low32(s->word), (uint32_t)word, c->peer_slot,
			       peer_word, until);
	shmipc_probe(wait_end, c->seg, c->end.slot, shmipc_probe_off(c->seg, shmipc_low32(s->word)),
		     (int64_t)ret, c->pub.role);
	return ret == -EINTR ? ret : 0;
}

/*
 * Look a few times: at the very header that is to come (one line moves), or at
 * the room that was given back.
 */
static bool glance(struct shmipc_chan *c, const struct sleep_on *s, int times)
{
	int i;

	if (!s->hdr)
		return shmipc_priv_spsc_room(&c->pub.end.spsc_tx, s->end) != -EAGAIN;
	for (i = 0; i < times; i++)
		if (shmipc_load_relaxed(s->hdr))
			return true;
	return false;
}

/* Spin until what we wait for is there, the peer's word moves, or time is up. */
static bool spin(struct shmipc_chan *c, const struct sleep_on *s, uint64_t deadline_ns)
{
	uint64_t end, now = shmipc_now_ns();
	uint32_t peer = shmipc_load_relaxed(c->pub.peer_word);
	int i;

	if (!c->spin_ns)
		return false;
	end = c->spin_ns == SHMIPC_SPIN_ALWAYS ? now + SURE_TICK_NS : now + c->spin_ns;
	if (end > deadline_ns)
		end = deadline_ns;
	do {
		for (i = 0; i < (s->hdr ? SPINS_PER_CLOCK : 1); i++) {
			if (glance(c, s, 1))
				return true;
			shmipc_cpu_relax();
		}
		if (shmipc_load_relaxed(c->pub.peer_word) != peer)
			return true;
	} while (shmipc_now_ns() < end);
	return c->spin_ns == SHMIPC_SPIN_ALWAYS;
}

/* The position is not there, and the peer is: wait a while. 0: look again. */
static int wait_for(struct shmipc_chan *c, const struct sleep_on *s, uint64_t deadline_ns,
		    uint64_t most_ns)
{
	if (!deadline_ns)
		return -EAGAIN;
	if (shmipc_now_ns() >= deadline_ns)
		return -ETIMEDOUT;
	if (spin(c, s, deadline_ns))
		return 0;
	if (shmipc_now_ns() >= deadline_ns)
		return -ETIMEDOUT;
	return sleep_once(c, s, deadline_ns, most_ns);
}

static bool nothing_to_read(const struct shmipc_channel *ch)
{
	const struct shmipc_spsc_rx *rx = &ch->end.spsc_rx;
	const struct shmipc_bcast_rx *br = &ch->end.bcast_rx;

	/* spsc.A0 <- spsc.R0 */
	if (ch->role == SHMIPC_ROLE_CONSUMER)
		return !shmipc_load_acquire(shmipc_rec_hdr(rx->data, rx->pos, rx->mask));
	/* bcast.A0 <- bcast.R0; and a lapped reader has its losses to hear of. */
	return !shmipc_load_acquire(shmipc_rec_hdr(br->data, br->pos, br->mask)) &&
	       shmipc_load_relaxed(&br->prod->floor_lot) == br->floor_lot;
}

/* What a consumer or reader waits for. */
static void on_next_record(struct shmipc_channel *ch, const struct shmipc_ring *ring,
			   struct sleep_on *s)
{
	struct shmipc_spsc_rx *rx = &ch->end.spsc_rx;
	struct shmipc_bcast_rx *br = &ch->end.bcast_rx;

	s->word = &ring->prod->tail.word;
	s->many = ch->role == SHMIPC_ROLE_READER;
	if (s->many) {
		s->want = &ring->waiters->want_pos;
		s->until_pos = br->pos + 1;
		s->hdr = (const __u64 *)shmipc_rec_hdr(br->data, br->pos, br->mask);
	} else {
		s->want = &ring->cons->want_pos;
		s->until_pos = rx->pos + 1;
		s->hdr = (const __u64 *)shmipc_rec_hdr(rx->data, rx->pos, rx->mask);
	}
	s->want_pos = s->until_pos;
}

/*
 * A reader that keeps up with its writer takes each line away while the writer
 * is still filling it, and both go at the pace of that line: a half or a quarter
 * of what they can. So the reader of a stream waits a moment before it looks.
 * Whether it is a stream is found by trying: then several messages come in that
 * moment. In a dialogue one comes, and the trials get rare: a thousandth of the
 * waits, so that they are not seen in its 99th percentile.
 */
static void gather(struct shmipc_chan *c)
{
	const struct shmipc_channel *ch = &c->pub;
	uint64_t seq = ch->role == SHMIPC_ROLE_READER ? ch->end.bcast_rx.seq : ch->end.spsc_rx.seq;
	uint64_t got = seq - c->gather_seq, until;

	c->gather_seq = seq;
	if (c->gathering && got >= GATHER_MIN) {
		c->gather_every = SHMIPC_GATHER_EVERY;
	} else if (c->gathering) {
		c->gathering = false;
		if (c->gather_every < GATHER_EVERY_MAX)
			c->gather_every *= 2;
		c->gather_in = c->gather_every;
	} else if (!c->gather_in--) {
		c->gathering = true;
	}
	if (!c->gathering)
		return;
	until = shmipc_now_ns() + GATHER_NS;
	while (shmipc_now_ns() < until)
		shmipc_cpu_relax();
}

SHMIPC_EXPORT int shmipc_channel_slow_empty(struct shmipc_channel *ch, int err,
					    uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	struct sleep_on s;

	if (c->seg->dead)
		return -EINVAL;
	if (err != -EAGAIN)
		return err;
	on_next_record(ch, &c->seg->ring, &s);
	if (deadline_ns && c->spin_ns)
		gather(c);
	/* First of all: who answers within a microsecond should cost nothing more. */
	if (deadline_ns && c->spin_ns && glance(c, &s, QUICK_SPINS))
		return 0;
	if (shmipc_chan_peer_gone(c)) {
		/* peer.P0 <- peer.P1: what it published before it went comes first. */
		shmipc_fence_acquire();
		if (!nothing_to_read(ch))
			return 0;
		tell_death(c);
		return -EPIPE;
	}
	return wait_for(c, &s, deadline_ns, SURE_TICK_NS);
}

static void tell_full(const struct shmipc_chan *c)
{
	const struct shmipc_spsc_tx *tx = &c->pub.end.spsc_tx;
	uint64_t word, head = tx->pub_seq;

	if (shmipc_probe_on(full) && !shmipc_cursor_read(&c->seg->ring.cons->head, &word, &head))
		shmipc_probe(full, c->seg, c->end.slot, tx->seq, c->peer_slot,
			     tx->pub_seq - head);
}

/* Waits for less than a lot are looked after soon, then less and less often. */
static uint64_t room_tick(struct shmipc_chan *c, uint64_t pos)
{
	if (c->room_tick_pos != pos || !c->room_tick_ns) {
		c->room_tick_pos = pos;
		c->room_tick_ns = ROOM_TICK_NS;
	} else if (c->room_tick_ns < SURE_TICK_NS) {
		c->room_tick_ns *= 2;
	}
	return c->room_tick_ns;
}

SHMIPC_EXPORT int shmipc_channel_slow_room(struct shmipc_channel *ch, size_t len, int err,
					   uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	struct shmipc_spsc_tx *tx = &ch->end.spsc_tx;
	const struct shmipc_ring *ring = &c->seg->ring;
	struct sleep_on s;
	uint64_t end, head;

	if (c->seg->dead)
		return -EINVAL;
	if (err != -EAGAIN)
		return err;
	shmipc_channel_publish(ch);	/* nobody makes room for what he cannot see */
	if (ch->kind == SHMIPC_KIND_BCAST)
		return 0;
	if (shmipc_chan_peer_gone(c)) {
		tell_death(c);
		return -EPIPE;
	}
	tell_full(c);
	end = tx->pos + shmipc_rec_pad(tx->pos, len, tx->size, tx->align);
	end += shmipc_rec_advance(len, tx->align);
	head = shmipc_cursor_pos(shmipc_load_relaxed(&ring->cons->head.word));
	s.word = &ring->cons->head.word;
	s.want = &ring->prod->want_pos;
	s.many = false;
	s.hdr = NULL;
	s.end = end;
	/* Enough is what this message needs; better is a lot at once. */
	s.until_pos = end + SHMIPC_REC_HDR - tx->size;
	s.want_pos = head + tx->size / SHMIPC_LOTS;
	if (s.want_pos > tx->pub_pos)
		s.want_pos = tx->pub_pos;
	if (s.want_pos < s.until_pos)
		s.want_pos = s.until_pos;
	return wait_for(c, &s, deadline_ns, room_tick(c, tx->pos));
}

SHMIPC_EXPORT int shmipc_channel_drain(struct shmipc_channel *ch, uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	const struct shmipc_ring *ring = &c->seg->ring;
	struct sleep_on s;
	int ret;

	if (c->seg->dead || ch->role != SHMIPC_ROLE_PRODUCER || ch->kind != SHMIPC_KIND_SPSC)
		return -EINVAL;
	s.word = &ring->cons->head.word;
	s.want = &ring->prod->want_pos;
	s.until_pos = s.want_pos = ch->end.spsc_tx.pub_pos;
	s.many = false;
	s.hdr = NULL;
	s.end = s.until_pos + ch->end.spsc_tx.size - SHMIPC_REC_HDR;
	for (;;) {
		/* spsc.A1 <- spsc.R1 */
		if (shmipc_cursor_pos(shmipc_load_acquire(s.word)) >= s.until_pos)
			return 0;
		if (shmipc_chan_peer_gone(c))
			return -EPIPE;
		ret = wait_for(c, &s, deadline_ns, SURE_TICK_NS);
		if (ret)
			return ret;
	}
}

SHMIPC_EXPORT int shmipc_channel_wait_peer(struct shmipc_channel *ch, uint64_t deadline_ns)
{
	struct shmipc_chan *c = shmipc_chan(ch);
	uint64_t now, until, generation;
	uint32_t word;
	int ret;

	if (c->seg->dead || c->peer_slot == NO_SLOT)
		return -EINVAL;
	for (;;) {
		word = shmipc_load_relaxed(&peer_slot(c)->word) & ~SHMIPC_PEER_WATCHED;
		if (shmipc_chan_peer(c, &generation) == SHMIPC_PEER_ATTACHED)
			return 0;
		if (!deadline_ns)
			return -EAGAIN;
		now = shmipc_now_ns();
		if (now >= deadline_ns)
			return -ETIMEDOUT;
		until = deadline_ns - now > SURE_TICK_NS ? now + SURE_TICK_NS : deadline_ns;
		ret = c->seg->be->wait_peer(c->seg, c->peer_slot, word, until);
		if (ret == -EINTR)
			return ret;
	}
}
