/* SPDX-License-Identifier: MIT */
/*
 * topic.h - publish and subscribe by name, many to many, no silent loss
 *
 * Publishers and subscribers find a topic by its name. shmipc_pub_open() and
 * shmipc_sub_open() may be called in any order, from any processes; the first call
 * creates the topic. The first end that publishes or states options (shmipc_topic_opts)
 * determines what it is; mode, uid, gid and owner do not count for this. Subscribers
 * without options that came before it wait, and receive from the first message on.
 *
 * All share one log, so the cost of publishing does not grow with the number of
 * subscribers that keep up. Messages are numbered from 0 without a gap. Small
 * ones are stored in the log, larger ones (shmipc_topic_opts.inline_bytes) in the topic's
 * pool, where they can be filled in place (shmipc_pub_loan()) and kept (shmipc_sub_take()).
 *
 * A subscriber chooses what happens when it falls behind: it loses messages and
 * is told which (lossy), publishers wait for it (lossless), or they wait for a
 * while and then cut it off (evict). A message that was not complete when its
 * publisher died is skipped; its number stays unused and is counted as aborted.
 *
 * A publisher that is stopped (SIGSTOP, a debugger, no CPU time) in the middle of
 * publishing, which takes less than a microsecond, delays all subscribers at its message,
 * and other publishers when they have gone around the log, until it continues or dies.
 * shmipc_topic_opts.abort_ns and fence_ns limit that.
 *
 * Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC. With 0 a call never
 * sleeps; with SHMIPC_FOREVER it has no time limit. Signals: as in channel.h. Threads: a
 * publisher or subscriber is used by one thread at a time; different ones are independent,
 * also within a process. A child of fork() inherits none: those of its parent are closed in
 * it, and every use of them fails with -EINVAL.
 */
#ifndef SHMIPC_TOPIC_H
#define SHMIPC_TOPIC_H

#include <shmipc/channel.h>
#include <shmipc/copier.h>
#include <shmipc/headers.h>
#include <shmipc/inline/tlog_rx.h>
#include <shmipc/inline/tlog_floor.h>

#ifdef __cplusplus
extern "C" {
#endif
SHMIPC_PRIV_C_BEGIN

/* shmipc_topic_opts.flags, in addition to those of segment.h */
#define SHMIPC_NO_CREATE	0x20u	/* fail with -ENOENT if it does not exist */
#define SHMIPC_NO_POOL		0x40u	/* messages of inline_bytes at most */

/**
 * struct shmipc_topic_opts - describes a topic to create or to open
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @flags:        SHMIPC_PERSIST (history stays when all have gone) and so on.
 *                A topic takes memory as it is used; SHMIPC_POPULATE takes all of it at
 *                once, at creation or for a publisher: no page faults, no ENOSPC later
 * @publishers:   the most at a time; 0: 64. With 1, publishing needs no locked instruction
 * @subscribers:  the most at a time; 0: 256. Read-only ones do not count
 * @history:      messages that are kept for late subscribers; 0: 896
 * @inline_bytes: messages up to this size are stored in the log, with their meta fields and
 *                headers; 0: 1008
 * @pool_bytes:   for larger messages; 0: 8 MiB. The largest message is slightly smaller
 * @align:        alignment of payloads: a power of two up to 4096; 0: 16
 * @holds:        messages that one subscriber may hold; 0: 16
 * @meta:         SHMIPC_META_*: what each message carries
 * @policies:     1 << enum shmipc_policy, or-ed: what subscribers may choose; 0: all
 * @evict_ns:     how long publishers wait for a subscriber of policy EVICT; 0: 100 ms
 * @abort_ns:     how long a publisher that is stopped in the middle of publishing delays
 *                others: messages that it has claimed for so long are aborted, and its call
 *                fails with -ECANCELED. 0: until it continues or dies. At least 1 ms; 1 s is
 *                good. Publishing is slower by two locked instructions and a call
 * @fence_ns:     the same, but it is cut off, see shmipc_segment_fence(), by an end that may do
 *                that; at least 10 ms. Not together with @abort_ns; -EOPNOTSUPP on mem
 * @seal_bytes:   messages of so many bytes or more are sealed, see topic_seal.h. 0: none
 * @page:         as in struct shmipc_segment_opts, and so on to @owner
 * @reserved1:    0; this struct lies in another one, and grows into it
 *
 * A member that is zero selects the default. If the topic exists, each other member must be
 * as the topic was created; else the open fails with -EINVAL, and a text with both values.
 */
struct shmipc_topic_opts {
	uint64_t struct_bytes;
	uint32_t flags;
	uint32_t publishers;
	uint32_t subscribers;
	uint32_t align;
	uint64_t history;
	uint64_t inline_bytes;
	uint64_t pool_bytes;
	uint32_t holds;
	uint32_t meta;
	uint32_t policies;
	uint32_t mode;
	uint64_t evict_ns;
	uint64_t page;
	int32_t node;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
	uint64_t abort_ns;
	uint64_t fence_ns;
	uint64_t seal_bytes;
	uint64_t reserved1[5];
};

#define SHMIPC_TOPIC_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_topic_opts, __VA_ARGS__)

/* Publishers */

/**
 * struct shmipc_pub_opts - how to publish
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @spin_ns:      how long to spin before sleeping for room; as in struct shmipc_channel_opts
 * @copier:       copies payloads into the topic; NULL: automatic. The struct is copied;
 *                what its functions need must outlive the publisher
 * @chain:        functions that fill the headers of each message; NULL: none.
 *                Must outlive the publisher
 * @pool_from:    messages of at least this size go to the pool, even if they would
 *                fit the log; 0: only those that do not fit
 */
struct shmipc_pub_opts {
	uint64_t struct_bytes;
	uint64_t spin_ns;
	const struct shmipc_copier *copier;
	const struct shmipc_middleware_chain *chain;
	uint64_t pool_from;
};

#define SHMIPC_PUB_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_pub_opts, __VA_ARGS__)

/* One publisher. Made by the library; the fields are not for users. */
struct shmipc_pub {
	struct shmipc_tlog_tx tx;
	uint32_t live;		/* both 0 after fork */
	uint32_t plain_end;	/* messages shorter than this need only a copy */
	const uint32_t *probe;	/* not 0 while published messages are traced */
};

/**
 * shmipc_pub_open - publish on a topic, creating it if it does not exist
 * @ret:   the publisher; shmipc_pub_close() it
 * @name:  as for shmipc_segment_open()
 * @topic: NULL: defaults
 * @opts:  NULL: defaults
 *
 * If subscribers wait for a topic that nobody has published on, this determines what it
 * is. It waits for them to join it: 2 s at most for those that are in a call, 100 ms for
 * those that were in one before. One that is later begins with the first message, too, when
 * it calls, and is told of what it has lost.
 *
 * Return: 0; -EBUSY all publishers' slots are taken by living ones; otherwise as
 * shmipc_segment_open().
 */
int shmipc_pub_open(struct shmipc_pub **ret, const char *name,
		    const struct shmipc_topic_opts *topic, const struct shmipc_pub_opts *opts);

/**
 * shmipc_pub_close - leave the topic; NULL is ignored
 * @pub: gone afterwards, with its unpublished loans
 *
 * Published messages stay as long as any process has the topic open, or forever
 * if it is persistent.
 */
void shmipc_pub_close(struct shmipc_pub *pub);

/* The parts that are not inline. */
int shmipc_pub_slow_send(struct shmipc_pub *pub, const void *buf, size_t len, uint64_t deadline_ns);
void shmipc_pub_slow_wake(struct shmipc_pub *pub, uint64_t seq, uint32_t n);

/**
 * shmipc_pub_send - publish a copy of a message
 * @pub:         the publisher
 * @buf:         the message
 * @len:         bytes; may be 0
 * @deadline_ns: for room, if a subscriber is in the way
 *
 * Return: 0; -EAGAIN no room now (deadline 0), -ETIMEDOUT: shmipc_pub_blocked()
 * reports which peer is in the way; -ENOSPC, -ENOMEM: the topic has to grow and there is
 * no memory: nothing was published, and the next call tries again; -EMSGSIZE never fits;
 * -ECANCELED it was not published, because this process was stopped meanwhile for longer
 * than abort_ns; -ECONNRESET fenced; -EINTR; -EPROTO; -EINVAL; and the errors of a copier or
 * of a function of the chain.
 */
SHMIPC_NONNULL(1)
SHMIPC_INLINE int shmipc_pub_send(struct shmipc_pub *pub, const void *buf, size_t len,
				  uint64_t deadline_ns)
{
	uint64_t seq;
	uint32_t wake;

	if (SHMIPC_PRIV_NULL(!pub))
		return -EINVAL;
	if (shmipc_unlikely(len >= pub->plain_end || shmipc_priv_traced(pub->probe) ||
			    shmipc_tlog_claim(&pub->tx, 1, &seq)))
		return shmipc_pub_slow_send(pub, buf, len, deadline_ns);
	shmipc_tlog_fill(&pub->tx, seq, NULL, 0, buf, len, 0);
	wake = shmipc_tlog_commit(&pub->tx, seq, 1, SHMIPC_ENTRY_CELL, len);
	if (shmipc_unlikely(wake))
		shmipc_pub_slow_wake(pub, seq, wake);
	return 0;
}

/* A message of a batch. */
struct shmipc_buf {
	const void *ptr;
	size_t len;
};

/**
 * shmipc_pub_send_batch - publish several small messages at once
 * @pub:         the publisher
 * @v:           the messages; each must fit the log (inline_bytes)
 * @n:           how many; at most an eighth of the history and 4095 (1023 in a topic with
 *               abort_ns)
 * @deadline_ns: for room
 *
 * No subscriber sees one of them before all are there, and no message of another
 * publisher comes between. If the publisher is killed at this point, or stopped for longer
 * than abort_ns, all of them come, or none.
 *
 * Return: 0; -E2BIG for @n; otherwise as shmipc_pub_send().
 */
int shmipc_pub_send_batch(struct shmipc_pub *pub, const struct shmipc_buf *v, uint32_t n,
			  uint64_t deadline_ns);

/**
 * shmipc_pub_send_with - publish a copy of a message with headers
 * @headers: in addition to those of the chain; not changed; NULL: none
 *
 * Arguments and return: otherwise as shmipc_pub_send().
 */
int shmipc_pub_send_with(struct shmipc_pub *pub, const struct shmipc_headers *headers,
			 const void *buf, size_t len, uint64_t deadline_ns);

/*
 * Room for a message that is filled in place. The library looks up the rest by @id;
 * a loan that was changed, or was published or dropped before, is refused.
 */
struct shmipc_loan {
	void *ptr;		/* with the topic's alignment */
	size_t len;		/* as requested */
	uint64_t id;
};

/**
 * shmipc_pub_loan - get room for a message in the topic's pool
 * @pub:         the publisher
 * @len:         bytes
 * @headers:     to go with it; the chain adds to them; NULL: none
 * @ret:         until shmipc_pub_publish() or shmipc_pub_drop(); as many at a time
 *               as the pool has room for
 * @deadline_ns: for room
 *
 * A loan holds up no other process, however long it lasts. The meta fields are filled
 * in when it is published. If the topic has no pool, the room is private memory.
 *
 * Return: as shmipc_pub_send(); -ENOMEM.
 */
int shmipc_pub_loan(struct shmipc_pub *pub, size_t len, const struct shmipc_headers *headers,
		    struct shmipc_loan *ret, uint64_t deadline_ns);

/**
 * shmipc_pub_publish - publish a loan; the cost does not depend on the size
 * @pub:         the publisher
 * @loan:        gone afterwards, unless this fails: then it can be published again
 * @len:         bytes, at most what was loaned
 * @deadline_ns: for an entry in the log
 *
 * Return: 0; -EINVAL @len is too large, or that is no loan of this publisher;
 * otherwise as shmipc_pub_send().
 */
int shmipc_pub_publish(struct shmipc_pub *pub, struct shmipc_loan *loan, size_t len,
		       uint64_t deadline_ns);

/* Give a loan back unpublished. */
void shmipc_pub_drop(struct shmipc_pub *pub, struct shmipc_loan *loan);

/* The peer that was in the way when a publisher last got -EAGAIN or -ETIMEDOUT. */
struct shmipc_blocked {
	uint32_t role;		/* enum shmipc_role; NONE: no peer */
	uint32_t slot;		/* of the peer table */
	uint32_t policy;	/* subscribers: enum shmipc_policy */
	uint32_t pid;		/* a hint; 0 is unknown */
	uint64_t pos;		/* its position: number of a message */
	uint64_t behind;	/* messages between it and the newest */
	char comm[16];
};

int shmipc_pub_blocked(const struct shmipc_pub *pub, struct shmipc_blocked *ret);

/* Counts of one publisher since it was opened. */
struct shmipc_pub_stat {
	uint64_t struct_bytes;	/* set by the caller */
	uint64_t id;		/* random; what META_PUB_ID carries */
	uint64_t sent;		/* messages */
	uint64_t bytes;
	uint64_t sleeps;	/* waits for room that slept */
	uint64_t wakes;		/* times that it woke subscribers */
	uint64_t evicted;	/* subscribers that it cut off */
	uint64_t next;		/* number of the topic's next message */
	uint64_t max_message;
	uint64_t ticks;		/* sleeps that ended only to look whether a wake was missed */
	uint64_t pauses;	/* before its second look while it spins, as it found to be best */
	uint64_t fenced;	/* publishers that it cut off, by fence_ns */
	int64_t fence_err;	/* why it could not cut off the last one: -EACCES; 0: it could */
};

#define SHMIPC_PUB_STAT()	SHMIPC_PRIV_SIZED(struct shmipc_pub_stat, )

int shmipc_pub_get_stat(const struct shmipc_pub *pub, struct shmipc_pub_stat *ret);
int shmipc_pub_get_info(const struct shmipc_pub *pub, struct shmipc_segment_info *ret);

/* Subscribers */

/* The first message; the first three values are enum shmipc_start of bcast.h. */
#define SHMIPC_START_SEQ	3u	/* with message @start_seq, or the oldest after it */

/* The order of receiving. */
enum shmipc_iter {
	SHMIPC_ITER_NEXT = 0,	/* one after another */
	SHMIPC_ITER_NEWEST,	/* always the newest; those between are skipped. A message that
				 * @start names and that is there is received first */
};

#define SHMIPC_SUB_READ_ONLY	0x1u	/* needs no write permission; lossy; holds no messages */

/**
 * struct shmipc_sub_opts - how to subscribe
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @spin_ns:      as in struct shmipc_channel_opts
 * @start:        SHMIPC_START_NEW (default), OLDEST, NEWEST, SEQ
 * @iter:         enum shmipc_iter
 * @start_seq:    with START_SEQ
 * @policy:       enum shmipc_policy; 0: lossy
 * @group:        0: every subscriber gets every message; 1 to 64: each message
 *                goes to one subscriber of this group, the first that takes it. A
 *                group continues where it stopped; @start applies to its first member
 * @flags:        SHMIPC_SUB_READ_ONLY
 * @reserved0:    0
 * @stride:       subscribers that divide the messages by number; 0 or 1: all
 * @stride_at:    this one receives those with number % @stride == @stride_at
 * @copier:       copies payloads out of the topic; NULL: automatic
 */
struct shmipc_sub_opts {
	uint64_t struct_bytes;
	uint64_t spin_ns;
	uint32_t start;
	uint32_t iter;
	uint64_t start_seq;
	uint32_t policy;
	uint32_t group;
	uint32_t flags;
	uint32_t reserved0;
	uint64_t stride;
	uint64_t stride_at;
	const struct shmipc_copier *copier;
};

#define SHMIPC_SUB_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_sub_opts, __VA_ARGS__)

/* A message as a subscriber receives it. */
struct shmipc_msg {
	const void *ptr;	/* payload, with the topic's alignment */
	size_t len;
	uint64_t seq;		/* number in the topic */
	uint64_t pub_id;	/* 0 if the topic does not have this field; likewise below */
	uint64_t pub_seq;
	uint64_t mono_ns;
	uint64_t wall_ns;
	const void *headers;	/* see shmipc_headers_view_init(); NULL: none */
	size_t headers_len;
	uint32_t pub_slot;	/* in the peer table, at the time of publishing */
	uint32_t hold;		/* not for users */
	uint64_t seal;		/* number of its seal; 0: none, or a copy */
};

/* One subscriber. Made by the library; the fields are not for users. */
struct shmipc_sub {
	struct shmipc_tlog_rx rx;
	uint32_t live;		/* both 0 after fork */
	uint32_t plain;		/* receiving a message from a cell is only a copy */
	uint64_t last_seq;	/* number of the message last received */
	const uint32_t *busy;	/* 0: plain, and received messages are not traced */
};

/**
 * shmipc_sub_open - subscribe to a topic, creating it if it does not exist
 * @ret:   the subscriber; shmipc_sub_close() it
 * @name:  as for shmipc_segment_open()
 * @topic: NULL: as its publisher says. READ_ONLY never creates one
 * @opts:  NULL: defaults
 *
 * A topic that only subscribers without options have opened is provisional. If it turns
 * out to be one that this subscriber may not join (-EACCES, -EOPNOTSUPP, -ENOSPC), or that
 * has not the mode or group that it asked for (-EINVAL), the calls that receive return that.
 *
 * Return: 0; -ENOSPC all subscribers' slots are taken; -EOPNOTSUPP the topic does
 * not allow the policy; otherwise as shmipc_segment_open().
 */
int shmipc_sub_open(struct shmipc_sub **ret, const char *name,
		    const struct shmipc_topic_opts *topic, const struct shmipc_sub_opts *opts);

/*
 * Leave the topic; NULL is ignored. Messages held are released; its thread is stopped.
 * Called from its own function on that thread it returns at once, that call was the
 * last one, and the subscriber is gone when the function returns.
 */
void shmipc_sub_close(struct shmipc_sub *sub);

int shmipc_sub_slow_recv(struct shmipc_sub *sub, void *buf, size_t cap, size_t *ret_len,
			 uint64_t deadline_ns);
void shmipc_sub_slow_wake(struct shmipc_sub *sub);
int shmipc_sub_slow_lost(struct shmipc_sub *sub, int err);

/**
 * shmipc_sub_recv - copy the next message out, sleeping if there is none
 * @sub:         the subscriber
 * @buf:         caller's; valid only if 0 is returned
 * @cap:         bytes at @buf
 * @ret_len:     bytes of payload; on -EMSGSIZE the bytes needed, the message stays
 * @deadline_ns: absolute
 *
 * shmipc_sub_seq() returns its number. For headers and meta fields: shmipc_sub_take().
 *
 * Return: 0; -EAGAIN none (deadline 0); -ETIMEDOUT; -ESTALE messages were lost,
 * shmipc_sub_lost() reports which, the next call continues; -ECONNRESET cut off,
 * because this subscriber of policy EVICT was too slow, or fenced: close it; -EMSGSIZE; -EINTR;
 * -EPROTO; -EINVAL. A topic without publishers is not an error.
 */
SHMIPC_NONNULL(1, 4)
SHMIPC_INLINE int shmipc_sub_recv(struct shmipc_sub *sub, void *buf, size_t cap, size_t *ret_len,
				  uint64_t deadline_ns)
{
	struct shmipc_tlog_ref ref;
	int ret;

	if (SHMIPC_PRIV_NULL(!sub || !ret_len))
		return -EINVAL;
	if (shmipc_unlikely(!shmipc_priv_plain(sub->busy, sub->plain)))
		return shmipc_sub_slow_recv(sub, buf, cap, ret_len, deadline_ns);
	ret = shmipc_tlog_peek(&sub->rx, &ref);
	if (shmipc_unlikely(ret) && ret != -EAGAIN)
		return shmipc_sub_slow_lost(sub, ret);	/* the slow part would skip it */
	if (shmipc_unlikely(ret || ref.in_pool || ref.prefix_len || ref.len > cap))
		return shmipc_sub_slow_recv(sub, buf, cap, ret_len, deadline_ns);
	shmipc_racy_read(buf, ref.ptr, ref.len);
	ret = shmipc_tlog_next(&sub->rx);
	if (shmipc_unlikely(ret)) {
		if (ret < 0)
			return shmipc_sub_slow_lost(sub, ret);
		shmipc_sub_slow_wake(sub);
	}
	sub->last_seq = ref.seq;
	*ret_len = ref.len;
	return 0;
}

/* Number of the message last received or taken; SHMIPC_POS_NONE: none yet. */
SHMIPC_NONNULL(1)
SHMIPC_INLINE uint64_t shmipc_sub_seq(const struct shmipc_sub *sub)
{
	if (SHMIPC_PRIV_NULL(!sub))
		return SHMIPC_POS_NONE;
	return sub->last_seq;
}

/* Messages lost, as of the last -ESTALE or -ECONNRESET: from *@ret_from up to but not *@ret_to. */
SHMIPC_NONNULL(1)
SHMIPC_INLINE uint64_t shmipc_sub_lost(const struct shmipc_sub *sub, uint64_t *ret_from,
				       uint64_t *ret_to)
{
	if (SHMIPC_PRIV_NULL(!sub))
		return 0;
	if (ret_from)
		*ret_from = sub->rx.lost_from;
	if (ret_to)
		*ret_to = sub->rx.lost_to;
	return (sub->rx.lost_to - sub->rx.lost_from + sub->rx.every - 1) / sub->rx.every;
}

/**
 * shmipc_sub_take - get the next message in place, for as long as needed
 * @sub:         the subscriber
 * @ret:         valid until shmipc_sub_release()
 * @deadline_ns: absolute
 *
 * A message in the pool is not copied, and no publisher overwrites it while it is
 * held; a message in the log is copied into private memory. READ_ONLY copies all. As
 * many messages may be held at a time as the topic's @holds, released in any order.
 *
 * Return: as shmipc_sub_recv(), without -EMSGSIZE; -ENOBUFS all holds are in use;
 * -ENOMEM.
 */
int shmipc_sub_take(struct shmipc_sub *sub, struct shmipc_msg *ret, uint64_t deadline_ns);

/**
 * shmipc_sub_read_at - get a message by its number
 * @sub: the subscriber; its position does not change
 * @seq: the number of the message
 * @ret: valid until shmipc_sub_release()
 *
 * Return: 0; -ESTALE no longer kept; -EAGAIN not published yet; -ECANCELED it was
 * aborted; -ENOBUFS; -ENOMEM; -EPROTO; -EINVAL.
 */
int shmipc_sub_read_at(struct shmipc_sub *sub, uint64_t seq, struct shmipc_msg *ret);

/* Release a message that was taken. */
void shmipc_sub_release(struct shmipc_sub *sub, struct shmipc_msg *msg);

/* The numbers of the oldest message that is kept and of the next one to be published. */
int shmipc_sub_range(const struct shmipc_sub *sub, uint64_t *ret_oldest, uint64_t *ret_next);

/**
 * shmipc_sub_wait - wait until there is a message, a loss or an error to report
 * @sub:         the subscriber
 * @deadline_ns: absolute
 *
 * Return: 0; -EAGAIN, -ETIMEDOUT; -EINTR; -EINVAL.
 */
int shmipc_sub_wait(struct shmipc_sub *sub, uint64_t deadline_ns);

/**
 * shmipc_sub_wait_any - wait until one of several has something to receive
 * @subs:        the subscribers, of any topics, of one backend; up to 65536
 * @n:           how many
 * @ret_first:   the index of one that is ready
 * @deadline_ns: absolute
 *
 * Fair in the long run: the search begins after the one that was found last.
 *
 * Return: 0; -EAGAIN, -ETIMEDOUT; -EINTR; -EINVAL; -ENOMEM.
 */
int shmipc_sub_wait_any(struct shmipc_sub *const *subs, size_t n, size_t *ret_first,
			uint64_t deadline_ns);

/**
 * typedef shmipc_sub_fn - called on the library's thread for each message
 * @sub: the subscriber; only shmipc_sub_stop() may be called with it
 * @msg: valid until the function returns; NULL with @err
 * @err: 0; -ESTALE: messages were lost, see shmipc_sub_lost(); any other error is
 *       the last call: -ECONNRESET, -EPROTO, -ENOMEM
 * @arg: as given
 */
typedef void (*shmipc_sub_fn)(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err,
			      void *arg);

/**
 * shmipc_sub_start - receive in a thread of the library
 * @sub: the subscriber; belongs to the thread from now on
 * @fn:  called for each message
 * @arg: for @fn
 *
 * Return: 0; -EBUSY it already has a thread; -EAGAIN, -ENOMEM no thread; -EINVAL.
 */
int shmipc_sub_start(struct shmipc_sub *sub, shmipc_sub_fn fn, void *arg);

/**
 * shmipc_sub_stop - stop the thread
 * @sub: the subscriber; belongs to the caller again, unless this is called from @fn
 *
 * When it returns @fn is not running and will not be called again. Called from
 * within @fn, it returns at once and @fn is not called again after it has
 * returned; another shmipc_sub_stop() or shmipc_sub_close() then waits for the
 * thread.
 */
void shmipc_sub_stop(struct shmipc_sub *sub);

/* Counts of one subscriber since it was opened. */
struct shmipc_sub_stat {
	uint64_t struct_bytes;	/* set by the caller */
	uint64_t next;		/* number of the message that it reads next */
	uint64_t received;
	uint64_t lost;
	uint64_t aborted;	/* skipped: their publishers died, or took longer than abort_ns */
	uint64_t skipped;	/* by SHMIPC_ITER_NEWEST */
	uint64_t backlog;	/* messages between it and the newest */
	uint64_t sleeps;
	uint32_t policy;
	uint32_t holds;		/* messages held now */
	uint64_t ticks;		/* sleeps that ended only to look whether a wake was missed */
	uint64_t pauses;	/* before its second look while it spins, as it found to be best */
	uint32_t meta;		/* SHMIPC_META_* that messages have; 0 while the topic is provisional */
	int32_t fence_err;	/* why it could not cut off the last one: -EACCES; 0: it could */
	uint64_t fenced;	/* publishers that it cut off, by fence_ns */
};

#define SHMIPC_SUB_STAT()	SHMIPC_PRIV_SIZED(struct shmipc_sub_stat, )

int shmipc_sub_get_stat(const struct shmipc_sub *sub, struct shmipc_sub_stat *ret);
int shmipc_sub_get_info(const struct shmipc_sub *sub, struct shmipc_segment_info *ret);

SHMIPC_PRIV_C_END
#ifdef __cplusplus
}
#endif

#include <shmipc/topic_look.h>
#include <shmipc/topic_seal.h>
#include <shmipc/topic_trim.h>

#endif /* SHMIPC_TOPIC_H */
