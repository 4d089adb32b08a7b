/* SPDX-License-Identifier: MIT */
/*
 * channel.h - one end of a ring in a segment, with waiting and liveness
 *
 * The rings of spsc.h and bcast.h never wait and know nothing of processes. A
 * channel takes an end of a ring, sleeps when there is nothing to do, wakes the
 * other side when that sleeps, and reports when the other side has gone.
 *
 * No system call while messages flow: sending and receiving are inline here;
 * the functions in the library are called when the ring is full or empty, when
 * a sleeper must be woken, and when the other side has come or gone.
 *
 * Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC. With 0 a call never
 * sleeps; with SHMIPC_FOREVER it has no time limit.
 *
 * Signals: a handler installed without SA_RESTART that runs while a call sleeps
 * makes it return -EINTR; nothing is lost, call again. With SA_RESTART the call
 * continues. While a call spins, signal handlers run but do not interrupt it.
 *
 * Death: when the other side has left or died, the consumer and the readers
 * first receive all that was published, then get -EPIPE; the producer gets -EPIPE
 * at once. (If a consumer attached and left between two calls of the producer,
 * the producer notices when the ring is full, or by shmipc_channel_peer().)
 * shmipc_channel_peer() distinguishes leaving from dying. When a new peer takes
 * the other end, the channel works again.
 *
 * One thread at a time on one channel.
 */
#ifndef SHMIPC_CHANNEL_H
#define SHMIPC_CHANNEL_H

#include <shmipc/bcast.h>
#include <shmipc/segment.h>
#include <shmipc/spsc.h>

#ifdef __cplusplus
extern "C" {
#endif
SHMIPC_PRIV_C_BEGIN

#define SHMIPC_FOREVER	UINT64_MAX

/* shmipc_channel_opts.spin_ns: never spin; never sleep. */
#define SHMIPC_SPIN_NEVER	UINT64_MAX
#define SHMIPC_SPIN_ALWAYS	(UINT64_MAX - 1)

/**
 * struct shmipc_channel_opts - how to take an end
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @spin_ns:      how long to spin before sleeping; 0: the default (20 us if
 *                there is more than one CPU, otherwise no spinning)
 * @start:        readers: enum shmipc_start
 * @stride:       readers that divide the messages; 0 or 1: receives all
 * @stride_at:    which of them this is
 */
struct shmipc_channel_opts {
	uint64_t struct_bytes;
	uint64_t spin_ns;
	uint32_t start;
	uint32_t reserved0;	/* 0 */
	uint64_t stride;
	uint64_t stride_at;
};

#define SHMIPC_CHANNEL_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_channel_opts, __VA_ARGS__)

/* One end. Made by the library; the fields are not for users. */
struct shmipc_channel {
	union {
		struct shmipc_spsc_tx spsc_tx;
		struct shmipc_spsc_rx spsc_rx;
		struct shmipc_bcast_tx bcast_tx;
		struct shmipc_bcast_rx bcast_rx;
	} end;
	uint32_t kind;
	uint32_t role;
	const uint32_t *peer_word;	/* of the other side */
	uint32_t peer_seen;		/* its value when last read; without the WATCHED bit */
	uint32_t reserved0;
	uint64_t lost_now;		/* as of the last -ESTALE */
	const uint32_t *probe;		/* not 0 while this kind of end is traced */
	const uint32_t *busy_tx;	/* 0: the producer of an spsc ring, not traced */
	const uint32_t *busy_rx;	/* 0: the consumer of an spsc ring, not traced */
};

/**
 * shmipc_channel_open - open or create a ring by name and take an end of it
 * @ret:  the channel; shmipc_channel_close() it
 * @name: as for shmipc_segment_open()
 * @role: the end; SHMIPC_ROLE_READER for SHMIPC_KIND_BCAST
 * @seg:  describes the segment, see segment.h; kind must be given. NULL: open only
 * @opts: NULL: defaults
 *
 * Either side may come first, with SHMIPC_CREATE in @seg->flags.
 *
 * Return: 0; -EBUSY if that end is taken by a living peer, or if O_DIRECT and the like
 * of an earlier one may still write its memory (dev, after 2 s); -ENOSPC if all
 * reader slots are; otherwise as shmipc_segment_open().
 */
int shmipc_channel_open(struct shmipc_channel **ret, const char *name, enum shmipc_role role,
			const struct shmipc_segment_opts *seg,
			const struct shmipc_channel_opts *opts);

/**
 * shmipc_channel_attach - take an end of a ring in a segment that is open
 * @ret:  the channel
 * @seg:  stays the caller's, and may be closed before the channel
 * @role: the end
 * @opts: NULL: defaults
 *
 * Return: as shmipc_channel_open().
 */
int shmipc_channel_attach(struct shmipc_channel **ret, struct shmipc_segment *seg,
			  enum shmipc_role role, const struct shmipc_channel_opts *opts);

/**
 * shmipc_channel_close - leave the end; NULL is ignored
 * @ch: gone afterwards
 *
 * Published messages stay for the consumer; unpublished ones are dropped. May take
 * some milliseconds if a peer was just killed, and up to 2 s if a process that
 * holds one of the segment's locks is stopped; on dev up to 1 s while O_DIRECT,
 * io_uring (also its registered buffers) or a pipe still uses the end's memory.
 */
void shmipc_channel_close(struct shmipc_channel *ch);

/**
 * shmipc_channel_drain - wait until the consumer has received all that was published
 * @ch:          a producer's, spsc
 * @deadline_ns: absolute
 *
 * Waits even if there is no consumer yet.
 *
 * Return: 0; -EAGAIN, -ETIMEDOUT, -EINTR; -EPIPE if the consumer has gone before that;
 * -EINVAL on another end.
 */
int shmipc_channel_drain(struct shmipc_channel *ch, uint64_t deadline_ns);

/**
 * shmipc_channel_wait_peer - wait until a peer holds the other end
 * @ch:          a producer's or consumer's; a reader waits for the producer
 * @deadline_ns: absolute
 *
 * Return: 0; -EAGAIN, -ETIMEDOUT, -EINTR; -EINVAL for a bcast producer.
 */
int shmipc_channel_wait_peer(struct shmipc_channel *ch, uint64_t deadline_ns);

/* Counts of one channel since it was opened. */
struct shmipc_channel_stat {
	uint64_t struct_bytes;	/* set by the caller */
	uint64_t seq;		/* messages before the present one, ever, in the ring */
	uint64_t pending;	/* published and not yet received by the other side, or by us */
	uint64_t lost;		/* readers: of our share */
	uint64_t sleeps;	/* times that this end slept */
	uint64_t wakes;		/* times that it woke the other */
	uint64_t max_payload;
	uint32_t peer_state;	/* enum shmipc_peer_state of the other side */
	uint32_t peer_pid;	/* a hint; 0 is unknown */
	uint64_t ticks;		/* sleeps that ended only to look whether a wake was missed */
	uint64_t pauses;	/* before its second look while it spins, as it found to be best */
};

#define SHMIPC_CHANNEL_STAT()	SHMIPC_PRIV_SIZED(struct shmipc_channel_stat, )

/* Return: 0; -EINVAL if @ret->struct_bytes cannot be a size. */
int shmipc_channel_get_stat(struct shmipc_channel *ch, struct shmipc_channel_stat *ret);

/* State of the other side now: enum shmipc_peer_state. */
enum shmipc_peer_state shmipc_channel_peer(struct shmipc_channel *ch);

/* Properties of the segment; see shmipc_segment_get_info(). */
int shmipc_channel_get_info(const struct shmipc_channel *ch, struct shmipc_segment_info *ret);

/* User metadata of the ring: the producer may write it, all may read it. */
void *shmipc_channel_meta(const struct shmipc_channel *ch, size_t *ret_bytes);

/* CLOCK_MONOTONIC now plus @ns, as a deadline; never 0. */
uint64_t shmipc_deadline_in(uint64_t ns);

/*
 * The parts that are not inline. A return value of 0 means: try again.
 */
int shmipc_channel_slow_room(struct shmipc_channel *ch, size_t len, int err, uint64_t deadline_ns);
int shmipc_channel_slow_empty(struct shmipc_channel *ch, int err, uint64_t deadline_ns);
int shmipc_channel_slow_peer(struct shmipc_channel *ch);
void shmipc_channel_slow_wake(struct shmipc_channel *ch);
void shmipc_channel_slow_publish(struct shmipc_channel *ch);
int shmipc_channel_slow_release(struct shmipc_channel *ch);
int shmipc_channel_slow_lost(struct shmipc_channel *ch, int err);

/*
 * Is this an end of the usual kind, and not traced? One load and one branch for
 * both: @busy then points to the word of its probes; for other ends, to a word that is
 * never 0. @unprobed is the answer if the probes are not compiled in.
 */
SHMIPC_INLINE int shmipc_priv_plain(const uint32_t *busy, uint32_t unprobed)
{
#ifdef SHMIPC_NO_PROBES
	(void)busy;
	return unprobed != 0;
#else
	(void)unprobed;
	return !shmipc_load_relaxed(busy);
#endif
}

/* Are messages traced? Then they go through the library. One load. */
SHMIPC_INLINE int shmipc_priv_traced(const uint32_t *probe)
{
#ifdef SHMIPC_NO_PROBES
	(void)probe;
	return 0;
#else
	return shmipc_load_relaxed(probe) != 0;
#endif
}

/* Has the other side come or gone since the last check? One load. */
SHMIPC_INLINE int shmipc_priv_channel_peer_moved(const struct shmipc_channel *ch)
{
	return (shmipc_load_relaxed(ch->peer_word) & ~SHMIPC_PEER_WATCHED) != ch->peer_seen;
}

/**
 * shmipc_channel_reserve - room for a message, to fill in place
 * @ch:          a producer's
 * @len:         bytes
 * @ret_ptr:     until commit or abort
 * @deadline_ns: for room; absolute
 *
 * If there is no room, the batch so far is published: the consumer cannot free
 * room by taking messages that it cannot see.
 *
 * Return: 0; -EAGAIN full (deadline 0); -ETIMEDOUT; -EMSGSIZE can never fit;
 * -EPIPE; -EINTR; -EPROTO; -ECONNRESET fenced while it slept, see shmipc_segment_fence();
 * -EINVAL not a producer's, or fenced before.
 */
SHMIPC_NONNULL(1, 3)
SHMIPC_INLINE int shmipc_channel_reserve(struct shmipc_channel *ch, size_t len, void **ret_ptr,
					 uint64_t deadline_ns)
{
	int ret;

	if (SHMIPC_PRIV_NULL(!ch || !ret_ptr))
		return -EINVAL;
	for (;;) {
		if (shmipc_likely(ch->kind == SHMIPC_KIND_SPSC)) {
			if (shmipc_unlikely(ch->role != SHMIPC_ROLE_PRODUCER))
				return -EINVAL;
			if (shmipc_unlikely(shmipc_priv_channel_peer_moved(ch))) {
				ret = shmipc_channel_slow_peer(ch);
				if (ret)
					return ret;
			}
			ret = shmipc_spsc_reserve(&ch->end.spsc_tx, len, ret_ptr);
		} else {
			if (shmipc_unlikely(ch->role != SHMIPC_ROLE_PRODUCER))
				return -EINVAL;
			ret = shmipc_bcast_reserve(&ch->end.bcast_tx, len, ret_ptr);
		}
		if (shmipc_likely(!ret))
			return 0;
		ret = shmipc_channel_slow_room(ch, len, ret, deadline_ns);
		if (ret)
			return ret;
	}
}

/* Drop the reservation; nothing is sent. */
SHMIPC_NONNULL(1)
SHMIPC_INLINE void shmipc_channel_abort(struct shmipc_channel *ch)
{
	if (SHMIPC_PRIV_NULL(!ch))
		return;
	if (shmipc_unlikely(ch->role != SHMIPC_ROLE_PRODUCER))
		return;
	if (ch->kind == SHMIPC_KIND_SPSC)
		shmipc_spsc_abort(&ch->end.spsc_tx);
	else
		shmipc_bcast_abort(&ch->end.bcast_tx);
}

/**
 * shmipc_channel_commit - end the reservation; the message joins the batch
 * @ch:  a producer's
 * @len: bytes, at most what was reserved
 *
 * Return: 0; -EINVAL.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_channel_commit(struct shmipc_channel *ch, size_t len)
{
	if (SHMIPC_PRIV_NULL(!ch))
		return -EINVAL;
	if (shmipc_unlikely(ch->role != SHMIPC_ROLE_PRODUCER))
		return -EINVAL;
	return shmipc_likely(ch->kind == SHMIPC_KIND_SPSC) ?
		shmipc_spsc_commit(&ch->end.spsc_tx, len) :
		shmipc_bcast_commit(&ch->end.bcast_tx, len);
}

/* Make the batch visible, and wake sleepers. */
SHMIPC_NONNULL(1)
SHMIPC_INLINE void shmipc_channel_publish(struct shmipc_channel *ch)
{
	int wake;

	if (SHMIPC_PRIV_NULL(!ch))
		return;
	if (shmipc_likely(shmipc_priv_plain(ch->busy_tx, 0))) {
		if (shmipc_unlikely(shmipc_spsc_publish(&ch->end.spsc_tx)))
			shmipc_channel_slow_wake(ch);
		return;
	}
	/* Only a producer's is plain. */
	if (shmipc_unlikely(ch->role != SHMIPC_ROLE_PRODUCER))
		return;
	if (shmipc_unlikely(shmipc_priv_traced(ch->probe)))
		shmipc_channel_slow_publish(ch);
	wake = shmipc_likely(ch->kind == SHMIPC_KIND_SPSC) ?
		shmipc_spsc_publish(&ch->end.spsc_tx) : shmipc_bcast_publish(&ch->end.bcast_tx);
	if (shmipc_unlikely(wake))
		shmipc_channel_slow_wake(ch);
}

/**
 * shmipc_channel_write - copy one message into the batch
 * @ch:          a producer's
 * @buf:         the message
 * @len:         bytes
 * @deadline_ns: for room; absolute
 *
 * Return: as shmipc_channel_reserve().
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_channel_write(struct shmipc_channel *ch, const void *buf, size_t len,
				       uint64_t deadline_ns)
{
	void *ptr;
	int ret;

	if (SHMIPC_PRIV_NULL(!ch))
		return -EINVAL;
	ret = shmipc_channel_reserve(ch, len, &ptr, deadline_ns);
	if (shmipc_unlikely(ret))
		return ret;
	if (shmipc_likely(ch->kind == SHMIPC_KIND_SPSC))
		shmipc_payload_write(ptr, buf, len);
	else
		shmipc_racy_write(ptr, buf, len);
	return shmipc_channel_commit(ch, len);
}

/**
 * shmipc_channel_send - copy one message in and publish it
 *
 * Arguments and return: as shmipc_channel_write().
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_channel_send(struct shmipc_channel *ch, const void *buf, size_t len,
				      uint64_t deadline_ns)
{
	int ret;

	if (SHMIPC_PRIV_NULL(!ch))
		return -EINVAL;
	ret = shmipc_channel_write(ch, buf, len, deadline_ns);
	if (shmipc_likely(!ret))
		shmipc_channel_publish(ch);
	return ret;
}

/**
 * shmipc_channel_peek - look at the next message in place, sleeping if there is none
 * @ch:          a consumer's or reader's
 * @ret_ptr:     until shmipc_channel_release(); the producer may still write it
 * @ret_len:     bytes
 * @deadline_ns: absolute
 *
 * Return: 0; -EAGAIN none (deadline 0); -ETIMEDOUT; -EPIPE the producer has gone
 * and all messages were received; -ESTALE a reader was lapped, shmipc_channel_lost()
 * returns by how many, the next call continues; -EINTR; -EPROTO; -ECONNRESET fenced while
 * it slept, see shmipc_segment_fence(); -EINVAL a producer's, or fenced before.
 */
SHMIPC_NONNULL(1, 2, 3)
SHMIPC_INLINE int shmipc_channel_peek(struct shmipc_channel *ch, const void **ret_ptr,
				      size_t *ret_len, uint64_t deadline_ns)
{
	int ret;

	if (SHMIPC_PRIV_NULL(!ch || !ret_ptr || !ret_len))
		return -EINVAL;
	for (;;) {
		if (shmipc_likely(ch->role == SHMIPC_ROLE_CONSUMER))
			ret = shmipc_spsc_peek(&ch->end.spsc_rx, ret_ptr, ret_len);
		else if (shmipc_likely(ch->role == SHMIPC_ROLE_READER))
			ret = shmipc_bcast_peek(&ch->end.bcast_rx, ret_ptr, ret_len, &ch->lost_now);
		else
			return -EINVAL;
		if (shmipc_likely(!ret))
			return 0;
		if (ret == -ESTALE)
			return shmipc_channel_slow_lost(ch, ret);
		ret = shmipc_channel_slow_empty(ch, ret, deadline_ns);
		if (ret)
			return ret;
	}
}

/**
 * shmipc_channel_release - done with the message last peeked
 * @ch: a consumer's or reader's
 *
 * Return: 0; readers: -ESTALE if it was overwritten meanwhile and what was read
 * of it must not be used; -EINVAL; -EPROTO.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_channel_release(struct shmipc_channel *ch)
{
	int ret;

	if (SHMIPC_PRIV_NULL(!ch))
		return -EINVAL;
	if (shmipc_likely(shmipc_priv_plain(ch->busy_rx, 0))) {
		if (shmipc_unlikely(shmipc_spsc_release(&ch->end.spsc_rx)))
			shmipc_channel_slow_wake(ch);
		return 0;
	}
	if (shmipc_unlikely(shmipc_priv_traced(ch->probe)))
		return shmipc_channel_slow_release(ch);
	if (shmipc_likely(ch->role == SHMIPC_ROLE_CONSUMER)) {
		if (shmipc_unlikely(shmipc_spsc_release(&ch->end.spsc_rx)))
			shmipc_channel_slow_wake(ch);
		return 0;
	}
	if (ch->role != SHMIPC_ROLE_READER)
		return -EINVAL;
	ret = shmipc_bcast_release(&ch->end.bcast_rx, &ch->lost_now);
	return shmipc_likely(!ret) ? 0 : shmipc_channel_slow_lost(ch, ret);
}

/**
 * shmipc_channel_recv - copy the next message out, sleeping if there is none
 * @ch:          a consumer's or reader's
 * @buf:         caller's; valid only if 0 is returned
 * @cap:         bytes at @buf
 * @ret_len:     bytes received; on -EMSGSIZE the bytes needed, the message stays
 * @deadline_ns: absolute
 *
 * Return: 0; -EMSGSIZE; otherwise as shmipc_channel_peek().
 */
SHMIPC_NONNULL(1, 4)
SHMIPC_INLINE int shmipc_channel_recv(struct shmipc_channel *ch, void *buf, size_t cap,
				      size_t *ret_len, uint64_t deadline_ns)
{
	const void *ptr = NULL;	/* gcc 12 does not see that 0 means "set" */
	size_t len = 0;
	int ret;

	if (SHMIPC_PRIV_NULL(!ch || !ret_len))
		return -EINVAL;
	ret = shmipc_channel_peek(ch, &ptr, &len, deadline_ns);
	if (shmipc_unlikely(ret))
		return ret;
	if (shmipc_unlikely(len > cap)) {
		*ret_len = len;
		return -EMSGSIZE;
	}
	if (shmipc_likely(ch->role == SHMIPC_ROLE_CONSUMER))
		shmipc_payload_read(buf, ptr, len);
	else
		shmipc_racy_read(buf, ptr, len);
	ret = shmipc_channel_release(ch);
	if (shmipc_likely(!ret))
		*ret_len = len;
	return ret;
}

/* The number of messages lost, as of the last -ESTALE of this channel. */
SHMIPC_NONNULL(1)
SHMIPC_INLINE uint64_t shmipc_channel_lost(const struct shmipc_channel *ch)
{
	if (SHMIPC_PRIV_NULL(!ch))
		return 0;
	return ch->lost_now;
}

SHMIPC_PRIV_C_END
#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_CHANNEL_H */
