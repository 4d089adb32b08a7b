/* SPDX-License-Identifier: MIT */
/*
 * tlog_rx.h - the subscribing end of a log; see tlog.h
 *
 * Read the next entry, copy, and check the floor: the copy is intact if the floor has
 * not passed the message. A subscriber that publishers wait for writes its position
 * into its own line after each message; a read-only one writes nothing at all.
 */
#ifndef SHMIPC_TLOG_RX_H
#define SHMIPC_TLOG_RX_H

#include <shmipc/inline/tlog_lend.h>

SHMIPC_PRIV_C_BEGIN

/* A message as found in an entry. The numbers are checked, the bytes may change. */
struct shmipc_tlog_ref {
	uint64_t seq;
	uint64_t info;
	const unsigned char *ptr;	/* the prefix; the payload follows */
	size_t prefix_len;
	size_t len;
	uint64_t chunks;		/* in the pool, as in struct shmipc_hold; else 0 */
	int in_pool;
};

/* The subscribing end. Private memory; the fields are not for users. */
struct shmipc_tlog_rx {
	unsigned char *entry;
	uint64_t mask;
	uint64_t stride;
	uint64_t seq;			/* number of our next message */
	uint64_t end;			/* entries of numbers below have memory; 0: see @err */
	uint64_t every;			/* our messages are this far apart */
	struct shmipc_pub_ctl *pub;
	struct shmipc_sub_line *line;	/* NULL: read-only */
	uint64_t cell_bytes;
	uint64_t received;
	uint64_t lost;
	uint64_t aborted;		/* skipped */
	uint64_t lost_from;		/* with the last -ESTALE: ... */
	uint64_t lost_to;		/* ... these numbers, the last not included */
	const __u64 *evicted;		/* ours; NULL: publishers do not wait for us */
	uint64_t whole;			/* word of the message that is there without one */
	uint64_t told;			/* our position when we last checked for sleepers */
	int full_fence;			/* publishers that sleep cannot run membarrier for us */
	uint64_t generation;
	struct shmipc_group_line *group;
	uint64_t holding;
	int err;
	const struct shmipc_tlog *log;
};

/* The reader has failed for good. */
SHMIPC_INLINE int shmipc_tlog_rx_fail(struct shmipc_tlog_rx *rx, int err)
{
	rx->end = 0;
	return rx->err = err;
}

/* Has the entry of @seq memory? 0: yes; -EAGAIN: not yet; -EPROTO: pub_ctl.backed lies; -ENOMEM. */
SHMIPC_COLD int shmipc_priv_tlog_see(struct shmipc_tlog_rx *rx, uint64_t seq)
{
	int ret = shmipc_priv_tlog_find(rx->log, seq);

	if (!rx->err)
		rx->end = shmipc_priv_tlog_end(rx->log);
	return ret;
}

/* The same for the next message; or the error with which the reader has failed before. */
SHMIPC_COLD int shmipc_priv_tlog_see_next(struct shmipc_tlog_rx *rx)
{
	int ret = rx->err ? rx->err : shmipc_priv_tlog_see(rx, rx->seq);

	return ret == -EPROTO ? shmipc_tlog_rx_fail(rx, ret) : ret;
}

SHMIPC_INLINE uint64_t shmipc_tlog_info_prefix(uint64_t info)
{
	return (info >> SHMIPC_INFO_PREFIX & 0xffff) * 8;
}

SHMIPC_INLINE struct shmipc_entry *shmipc_tlog_rx_entry(const struct shmipc_tlog_rx *rx, uint64_t seq)
{
	return (struct shmipc_entry *)(void *)(rx->entry + (seq & rx->mask) * rx->stride);
}

SHMIPC_INLINE void shmipc_priv_tlog_set_pos(struct shmipc_tlog_rx *rx, uint64_t pos)
{
	/* tlog.P0 -> tlog.P1: what was read, before the position that frees it. */
	if (rx->line)
		shmipc_store_release(&rx->line->pos, (__u64)pos);
}

/* Do publishers keep message @seq for us, although the floor has passed it? */
SHMIPC_INLINE int shmipc_priv_tlog_kept(const struct shmipc_tlog_rx *rx, uint64_t seq)
{
	return rx->evicted && seq >= rx->seq &&
	       (shmipc_load_relaxed(rx->evicted) & SHMIPC_EVICTED_GENERATION) != rx->generation;
}

/*
 * Is our copy of message @seq intact? The floor passes a message before any byte of
 * it is overwritten.
 */
SHMIPC_INLINE int shmipc_tlog_intact(const struct shmipc_tlog_rx *rx, uint64_t seq)
{
	/* tlog.F1 <- tlog.F0: a reader that has seen a new byte sees the floor that allowed it. */
	shmipc_fence_acquire();
	return shmipc_likely(shmipc_load_relaxed(&rx->pub->floor) <= seq) ||
	       shmipc_priv_tlog_kept(rx, seq);
}

/*
 * The floor has passed us. A lossy subscriber continues at the floor and reports the
 * loss. One that publishers waited for was cut off.
 */
SHMIPC_COLD int shmipc_priv_tlog_lapped(struct shmipc_tlog_rx *rx)
{
	/* tlog.Z1 <- tlog.Z0: the floor makes the tail visible that it was computed from. */
	uint64_t floor = shmipc_load_acquire(&rx->pub->floor), n;

	/* It only grows, and not beyond the tail. */
	if (floor <= rx->seq || floor > shmipc_tlog_tail(rx->log))
		return shmipc_tlog_rx_fail(rx, -EPROTO);
	if (rx->evicted) {
		rx->lost_from = rx->seq;
		rx->lost_to = shmipc_tlog_tail(rx->log);
		return shmipc_tlog_rx_fail(rx, -ECONNRESET);
	}
	n = (floor - rx->seq + rx->every - 1) / rx->every;
	rx->lost_from = rx->seq;
	rx->seq += n * rx->every;
	rx->lost_to = floor;
	rx->lost += n;
	if (rx->line)
		shmipc_store_relaxed(&rx->line->lost, (__u64)rx->lost);
	shmipc_priv_tlog_set_pos(rx, rx->seq);
	return -ESTALE;
}

/*
 * Say that message @seq, in the pool, is going to be read. 0: it is too late.
 *
 * A publisher that takes its chunk is noticed afterwards, by the floor. But the chunk may
 * also be given back to the system (tlog_trim.h): then a touch would take memory, or be
 * SIGBUS if there is none. A read-only end has no line; it is the caller's business.
 */
SHMIPC_INLINE int shmipc_priv_tlog_reading(const struct shmipc_tlog_rx *rx, uint64_t seq)
{
	if (rx->line) {
		/* tlog.U0 -> tlog.U1: what was read before, by a publisher that sees only this. */
		shmipc_store_release(&rx->line->reading, (__u64)(seq + 1));
		/* tlog.V1 <- tlog.V0: our line, then the floor; one that trims uses the opposite order. */
		if (rx->full_fence)
			shmipc_fence_seq_cst();
		else
			shmipc_barrier_light();
	}
	return shmipc_tlog_intact(rx, seq);
}

/**
 * shmipc_tlog_unread - the message last peeked or looked at is not read any more
 * @rx: the subscribing end
 *
 * To be called after each message in the pool, and before a sleep. A message that is held
 * can be read until shmipc_tlog_unhold().
 */
SHMIPC_INLINE void shmipc_tlog_unread(struct shmipc_tlog_rx *rx)
{
	if (rx->line && shmipc_load_relaxed(&rx->line->reading))
		/* tlog.U0 -> tlog.U1: what we read of it, before its memory goes. */
		shmipc_store_release(&rx->line->reading, (__u64)0);
}

/* The location of a message in the pool, checked. 0: invalid, or too late. */
SHMIPC_COLD int shmipc_priv_tlog_in_pool(const struct shmipc_tlog_rx *rx,
					       struct shmipc_entry *e, struct shmipc_tlog_ref *ret)
{
	const struct shmipc_entry_pool *p =
		(const struct shmipc_entry_pool *)(void *)shmipc_tlog_cell(e);
	const struct shmipc_topic_hdr *h = &rx->log->hdr;
	uint64_t total = h->chunks * h->chunk_bytes, need = ret->prefix_len + ret->len;
	uint64_t off = shmipc_load_relaxed(&p->off), first, last;
	int shift = __builtin_ctzll(h->chunk_bytes);	/* a power of two; division is slow */

	if (!total || off >= total || need > total - off)
		return 0;
	first = off >> shift;
	last = (off + (need ? need - 1 : 0)) >> shift;
	if (!shmipc_priv_tlog_reading(rx, ret->seq) || shmipc_tlog_chunks(rx->log, first, last))
		return 0;
	ret->chunks = last << 32 | first;	/* computed by us, not taken from the cell */
	ret->ptr = rx->log->pool + off;
	ret->in_pool = 1;
	return 1;
}

/* Read an entry that is there. -EPROTO if it is invalid. */
SHMIPC_INLINE int shmipc_priv_tlog_read_entry(const struct shmipc_tlog_rx *rx, struct shmipc_entry *e,
					     uint64_t word, struct shmipc_tlog_ref *ret)
{
	uint64_t info = shmipc_load_relaxed(&e->info);

	ret->info = info;
	ret->len = info & SHMIPC_INFO_LEN;
	ret->prefix_len = shmipc_tlog_info_prefix(info);
	if (shmipc_unlikely((word & 3) == SHMIPC_ENTRY_POOL))
		return shmipc_priv_tlog_in_pool(rx, e, ret) ? 0 : -EPROTO;
	ret->ptr = shmipc_tlog_cell(e);
	ret->in_pool = 0;
	return shmipc_likely(ret->prefix_len + ret->len <= rx->cell_bytes) ? 0 : -EPROTO;
}

/**
 * shmipc_tlog_rx_whole - message @seq can be read, although its word does not say so
 * @rx:   the subscribing end
 * @word: from shmipc_tlog_fate(), which returned SHMIPC_FATE_WHOLE
 */
SHMIPC_INLINE void shmipc_tlog_rx_whole(struct shmipc_tlog_rx *rx, uint64_t word)
{
	rx->whole = word;
}

/* The publisher of @seq died after it had committed its batch; @word: of the entry. */
SHMIPC_INLINE int shmipc_tlog_is_whole(const struct shmipc_tlog_rx *rx, uint64_t seq, uint64_t word)
{
	return shmipc_tlog_resolved(rx->whole, seq) && shmipc_tlog_pending(word, seq);
}

/* Not there, by its word: is it all the same, is it still to come, or were we lapped? */
SHMIPC_COLD int shmipc_priv_tlog_not_there(struct shmipc_tlog_rx *rx, uint64_t word)
{
	if (shmipc_tlog_is_whole(rx, rx->seq, word))
		return 0;
	/* A word of a later lap makes the floor that allowed it visible: no fence is needed. */
	if (shmipc_load_relaxed(&rx->pub->floor) > rx->seq && !shmipc_priv_tlog_kept(rx, rx->seq))
		return shmipc_priv_tlog_lapped(rx);
	if (word >> 2 > rx->seq)	/* overwritten, although the floor has not moved */
		return shmipc_tlog_rx_fail(rx, -EPROTO);
	return -EAGAIN;
}

/**
 * shmipc_tlog_look - look at message @seq, regardless of the reader's position
 * @rx:  the subscribing end
 * @seq: its number
 * @ret: the message; to be read, and then checked with shmipc_tlog_intact(). If it is in
 *       the pool: then shmipc_tlog_unread()
 *
 * Return: 0; -EAGAIN not published yet; -ESTALE no longer kept; -ECANCELED it was
 * aborted; -EPROTO.
 */
SHMIPC_INLINE int shmipc_tlog_look(struct shmipc_tlog_rx *rx, uint64_t seq,
				  struct shmipc_tlog_ref *ret)
{
	struct shmipc_entry *e = shmipc_tlog_rx_entry(rx, seq);
	uint64_t word;
	int bad;

	if (shmipc_unlikely(seq >= rx->end)) {
		bad = shmipc_priv_tlog_see(rx, seq);
		if (bad)
			return bad;
	}
	/* tlog.A0 <- tlog.R0: with the word comes the entry, and the message. */
	word = shmipc_load_acquire(&e->word);
	if (shmipc_unlikely(shmipc_tlog_is_whole(rx, seq, word)))
		word = rx->whole;
	if (word >> 2 != seq || !(word & 3))
		return shmipc_tlog_intact(rx, seq) ? -EAGAIN : -ESTALE;
	if ((word & 3) == SHMIPC_ENTRY_ABORTED)
		return -ECANCELED;
	ret->seq = seq;
	bad = shmipc_priv_tlog_read_entry(rx, e, word, ret);
	if (bad && !shmipc_tlog_intact(rx, seq))
		return -ESTALE;
	return bad;
}

/**
 * shmipc_tlog_peek - look at the next message
 * @rx:  the subscribing end
 * @ret: the message; valid only if shmipc_tlog_intact() is true afterwards. If it is in
 *       the pool: then shmipc_tlog_unread()
 *
 * Skips aborted messages.
 *
 * Return: 0; -EAGAIN there is none; -ESTALE messages @rx->lost_from up to
 * @rx->lost_to were lost, the next call continues; -ECONNRESET cut off; -EPROTO.
 */
SHMIPC_INLINE int shmipc_tlog_peek(struct shmipc_tlog_rx *rx, struct shmipc_tlog_ref *ret)
{
	struct shmipc_entry *e;
	uint64_t word, steps;
	int bad;

	for (steps = 0;; steps++) {
		if (shmipc_unlikely(rx->seq >= rx->end)) {	/* or it has failed */
			bad = shmipc_priv_tlog_see_next(rx);
			if (bad)
				return bad;
		}
		e = shmipc_tlog_rx_entry(rx, rx->seq);
		/* tlog.A0 <- tlog.R0: the word makes the entry and the message visible. */
		word = shmipc_load_acquire(&e->word);
		if (shmipc_unlikely(word >> 2 != rx->seq || !(word & 3))) {
			bad = shmipc_priv_tlog_not_there(rx, word);
			if (bad)
				return bad;
			word = rx->whole;
		}
		if (shmipc_likely((word & 3) != SHMIPC_ENTRY_ABORTED))
			break;
		if (steps > rx->mask)	/* more than there are entries: do not loop forever */
			return -EAGAIN;
		rx->aborted++;
		rx->seq += rx->every;
		shmipc_priv_tlog_set_pos(rx, rx->seq);
	}
	ret->seq = rx->seq;
	bad = shmipc_priv_tlog_read_entry(rx, e, word, ret);
	if (shmipc_unlikely(bad)) {
		if (!shmipc_tlog_intact(rx, rx->seq))
			return shmipc_priv_tlog_lapped(rx);
		return shmipc_tlog_rx_fail(rx, bad);
	}
	return 0;
}

/**
 * shmipc_tlog_moved - does a publisher sleep for a position that we have reached?
 * @rx: the subscribing end
 *
 * shmipc_tlog_next() checks this. Check it also when shmipc_tlog_peek() has returned no
 * message, and after shmipc_tlog_step() and shmipc_tlog_jump(), which also move on.
 *
 * Return: 1: sleepers on our position must be woken; else 0.
 */
SHMIPC_INLINE int shmipc_tlog_moved(struct shmipc_tlog_rx *rx)
{
	uint64_t from = rx->told;

	if (!rx->evicted || from == rx->seq)
		return 0;
	rx->told = rx->seq;
	/* wait.W2 -> wait.W3: the position, then want; the sleeper uses the opposite order. */
	if (shmipc_unlikely(rx->full_fence))
		shmipc_fence_seq_cst();
	else
		shmipc_barrier_light();
	/*
	 * With several publishers the word has the largest want: those that want less are
	 * woken then, too. That position is always reached, as no publisher wants more than
	 * was claimed already, and reading that far does not depend on any publisher.
	 */
	return shmipc_priv_crossed(shmipc_load_relaxed(&rx->pub->room_want), from, rx->seq);
}

/**
 * shmipc_tlog_next - done with the message last peeked: was it intact?
 * @rx: the subscribing end
 *
 * Return: 0 or 1; 1: a publisher sleeps on our position and must be woken.
 * -ESTALE, -ECONNRESET: what was read must not be used, see shmipc_tlog_peek().
 */
SHMIPC_INLINE int shmipc_tlog_next(struct shmipc_tlog_rx *rx)
{
	uint64_t from = rx->seq;

	if (shmipc_unlikely(!shmipc_tlog_intact(rx, from)))
		return shmipc_priv_tlog_lapped(rx);
	rx->seq = from + rx->every;
	rx->received++;
	if (!rx->line)
		return 0;
	shmipc_priv_tlog_set_pos(rx, rx->seq);
	shmipc_store_relaxed(&rx->line->received, (__u64)rx->received);
	return shmipc_tlog_moved(rx);
}

/* Skip a message that never comes; see shmipc_tlog_fate(). */
SHMIPC_INLINE void shmipc_tlog_step(struct shmipc_tlog_rx *rx)
{
	rx->aborted++;
	rx->seq += rx->every;
	shmipc_priv_tlog_set_pos(rx, rx->seq);
}

/**
 * shmipc_tlog_hold_take - hold a message in the pool
 * @rx:  the subscribing end, not a read-only one
 * @i:   which of its holds; not in use
 * @ref: the message, as peeked and not released yet
 *
 * Return: 1: it stays until shmipc_tlog_unhold(), in any case; 0: too late.
 */
SHMIPC_INLINE int shmipc_tlog_hold_take(struct shmipc_tlog_rx *rx, uint32_t i,
				       const struct shmipc_tlog_ref *ref)
{
	struct shmipc_hold *h = shmipc_tlog_hold(rx->line, i);

	/* tlog.H0 -> tlog.H1: the earlier hold here ended before this names other chunks. */
	shmipc_store_release(&h->chunks, (__u64)ref->chunks);
	shmipc_store_relaxed(&h->seq, (__u64)(ref->seq + 1));
	shmipc_store_relaxed(&rx->line->holding, (__u64)++rx->holding);
	/* tlog.D1 <- tlog.D0: our hold, then the floor; the publisher that moves it then checks holds. */
	shmipc_fence_seq_cst();
	if (shmipc_load_relaxed(&rx->pub->floor) <= ref->seq ||
	    shmipc_priv_tlog_kept(rx, ref->seq))
		return 1;
	shmipc_store_relaxed(&h->seq, (__u64)0);
	shmipc_store_relaxed(&rx->line->holding, (__u64)--rx->holding);
	return 0;
}

SHMIPC_INLINE void shmipc_tlog_unhold(struct shmipc_tlog_rx *rx, uint32_t i)
{
	/* tlog.H0 -> tlog.H1: what we read of it, before it may be overwritten. */
	shmipc_store_release(&shmipc_tlog_hold(rx->line, i)->seq, (__u64)0);
	/* tlog.H0 -> tlog.H1 */
	shmipc_store_release(&rx->line->holding, (__u64)--rx->holding);
}

/* The last message that is there, from @from on; or SHMIPC_POS_NONE. */
SHMIPC_INLINE uint64_t shmipc_tlog_newest(struct shmipc_tlog_rx *rx, uint64_t from)
{
	/* tlog.A0 <- tlog.R0 */
	uint64_t seq = shmipc_tlog_tail(rx->log), word;
	uint64_t floor = shmipc_load_relaxed(&rx->pub->floor);

	if (from < floor)
		from = floor;
	if (seq > from + rx->mask + 1)	/* invalid, or we were lapped meanwhile */
		from = seq - rx->mask - 1;
	if (seq > from && seq > rx->end && shmipc_priv_tlog_see(rx, seq - 1))
		return SHMIPC_POS_NONE;
	while (seq-- > from) {
		word = shmipc_load_relaxed(&shmipc_tlog_rx_entry(rx, seq)->word);
		if (word >> 2 == seq && (word & 3) && (word & 3) != SHMIPC_ENTRY_ABORTED)
			return seq;
	}
	return SHMIPC_POS_NONE;
}

/* Continue at @seq, which is not before our position. */
SHMIPC_INLINE void shmipc_tlog_jump(struct shmipc_tlog_rx *rx, uint64_t seq)
{
	rx->seq = seq;
	shmipc_priv_tlog_set_pos(rx, seq);
}

/**
 * shmipc_tlog_rx_init - prepare a read-only end; shmipc_tlog_rx_join() makes it visible to others
 * @rx:  caller's
 * @log: checked by shmipc_tlog_check(); must outlive @rx
 *
 * The reader has no position yet: see shmipc_tlog_rx_begin().
 */
SHMIPC_INLINE void shmipc_tlog_rx_init(struct shmipc_tlog_rx *rx, const struct shmipc_tlog *log)
{
	memset(rx, 0, sizeof(*rx));
	rx->log = log;
	rx->entry = log->entry;
	rx->mask = log->mask;
	rx->stride = log->stride;
	rx->cell_bytes = log->hdr.cell_bytes;
	rx->pub = log->pub;
	rx->every = 1;
	rx->end = shmipc_priv_tlog_end(log);
}

/**
 * shmipc_tlog_rx_begin - find the first message
 * @rx:    initialised
 * @start: enum shmipc_start of bcast.h, by number: 0 new, 1 oldest, 2 newest
 * @every: our messages are this far apart
 * @at:    their number modulo @every is this
 */
SHMIPC_INLINE void shmipc_tlog_rx_begin(struct shmipc_tlog_rx *rx, uint32_t start, uint64_t every,
				       uint64_t at)
{
	uint64_t seq = shmipc_tlog_tail(rx->log), newest;

	if (start == 1) {
		seq = shmipc_load_relaxed(&rx->pub->floor);
	} else if (start == 2) {
		newest = shmipc_tlog_newest(rx, 0);
		if (newest != SHMIPC_POS_NONE)
			seq = newest;
	}
	rx->every = every;
	rx->seq = seq + (at + every - seq % every) % every;
}

/**
 * shmipc_tlog_rx_join - become a subscriber that others see
 * @rx:         begun
 * @slot:       the caller makes sure that it is not in use
 * @policy:     enum shmipc_policy
 * @group:      0: none; else the number of a group plus 1
 * @generation: of the peer slot: no two subscribers of a slot have the same
 *
 * With a policy for which publishers wait, the position may move on to the oldest
 * message that is still there; earlier messages were never promised.
 */
SHMIPC_INLINE void shmipc_tlog_rx_join(struct shmipc_tlog_rx *rx, uint32_t slot, uint32_t policy,
				      uint32_t group, uint64_t generation)
{
	uint64_t state = generation << 16 | (uint64_t)group << 8 | policy, floor;
	int tries;
	uint32_t i;

	rx->line = shmipc_tlog_sub(rx->log, slot);
	rx->generation = generation & SHMIPC_EVICTED_GENERATION;
	rx->group = group ? &rx->log->group[group - 1] : NULL;
	for (i = 0; i < rx->log->hdr.holds; i++)
		shmipc_store_relaxed(&shmipc_tlog_hold(rx->line, i)->seq, (__u64)0);
	shmipc_store_relaxed(&rx->line->holding, (__u64)0);
	shmipc_store_relaxed(&rx->line->received, (__u64)0);
	shmipc_store_relaxed(&rx->line->lost, (__u64)0);
	shmipc_store_relaxed(&rx->line->reading, (__u64)0);
	shmipc_store_relaxed(&rx->line->moves, (__u64)0);
	shmipc_store_relaxed(&rx->line->wants, (__u64)0);
	shmipc_store_relaxed(&rx->line->pos, (__u64)rx->seq);
	shmipc_priv_tlog_raise(&rx->log->sub->subs_used, (uint64_t)slot + 1);
	if (policy >= SHMIPC_POLICY_LOSSLESS)
		rx->evicted = &rx->log->evicted[slot];
	rx->told = rx->seq;
	/* Relaxed: if a publisher sees only the state, it precedes our fence, and we see its floor. */
	shmipc_store_relaxed(&rx->line->state, (__u64)state);
	if (!rx->evicted)
		return;
	/* At most twice if publishers are honest: they see our line by then. */
	for (tries = 0; tries < SHMIPC_TLOG_TRIES; tries++) {
		/* tlog.D1 <- tlog.D0: our line, then the floor. */
		shmipc_fence_seq_cst();
		floor = shmipc_load_relaxed(&rx->pub->floor);
		if (floor <= rx->seq)
			return;
		rx->seq += (floor - rx->seq + rx->every - 1) / rx->every * rx->every;
		rx->told = rx->seq;
		shmipc_store_relaxed(&rx->line->pos, (__u64)rx->seq);
	}
	(void)shmipc_tlog_rx_fail(rx, -EPROTO);
}

/* Stop being visible to others. All holds end. */
SHMIPC_INLINE void shmipc_tlog_rx_leave(struct shmipc_tlog_rx *rx)
{
	uint32_t i;

	shmipc_tlog_unread(rx);
	for (i = 0; i < rx->log->hdr.holds; i++)
		/* tlog.H0 -> tlog.H1 */
		shmipc_store_release(&shmipc_tlog_hold(rx->line, i)->seq, (__u64)0);
	/* tlog.H0 -> tlog.H1 */
	shmipc_store_release(&rx->line->holding, (__u64)0);
	/* tlog.S0 -> tlog.S1: what we have read, before it may be overwritten. */
	shmipc_store_release(&rx->line->state, (__u64)0);
	rx->line = NULL;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_RX_H */
