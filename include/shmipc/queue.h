/* SPDX-License-Identifier: MIT */
/*
 * queue.h - work queues by name: many producers, competing consumers
 *
 * Producers push items, and each item is handed out to one consumer. Both find the queue
 * by its name; shmipc_push_open() and shmipc_pop_open() may be called in any order, from
 * any processes; the first call creates it, with its options or the defaults.
 *
 * An item is written once, where consumers read it: shmipc_push_reserve() gives the place,
 * and shmipc_push_commit() pushes, however large the item is. A consumer gets a pointer to
 * it, which is valid until it says what has become of the item.
 *
 * Delivery, as the creator chooses:
 *   - acknowledged (the default): an item belongs to its consumer until shmipc_pop_ack().
 *     If the consumer dies before that, or gives the item back, the item is handed out once more,
 *     and says how often it was. Each item is so delivered at least once.
 *   - at most once: what a consumer has taken when it dies is lost, and counted.
 *
 * Order: items of a higher level are handed out first. Those of one producer and level are
 * handed out in the order in which they were pushed; and those that are handed out once
 * more before all that were not yet, the oldest first. An item is told from all others
 * by its producer, level and number, which stay the same with each delivery.
 *
 * Dead letters: an item that was handed out as often as the creator allows is dropped and
 * counted, or, if the creator names another queue for them, moved there by the consumer that
 * finds it, with a note: where it comes from, and how often it was handed out. It is in one of
 * the two queues; if the consumer is killed in between, it may be there twice, and the second
 * copy says so. If it cannot be moved (the other queue is full, has smaller items or may not be
 * opened), it stays where it is, and keeps its place, until it can; it is counted as stuck.
 *
 * Backpressure is exact: a producer has @depth places, and an item has its place until its
 * consumer is done with it. A push that finds no place waits, or is refused; the end of any
 * item lets it continue. Memory is taken as places are used.
 *
 * Death: an item is in the queue completely, or not at all. A process that is killed or
 * stopped in the middle holds up no other one. The others learn of a
 * death at once from the kernel, if they sleep, or with one of their next calls.
 *
 * Waking: one consumer for each item. If it is killed before it has taken the item, its
 * death wakes the others; one that is stopped (SIGSTOP, a debugger) leaves the item to those
 * that are awake, or are woken for a later one. A process that is stopped between a push and
 * its wake, or between the end of an item and the wake of its producer, delays that wake. All
 * that sleep also look by themselves, so an item or a place that is there is found within
 * 50 ms and as long again as the sleep has lasted, and within 103 s in any case.
 *
 * Trust: a process that may pop can take any item, and spoil the order; one that may push
 * can do so, too, and write any item. On the dev backend, consumers cannot change items. No
 * process can do other harm: what is invalid is dropped and counted.
 *
 * Deadlines are absolute, in nanoseconds of CLOCK_MONOTONIC. With 0 a call never
 * sleeps; with SHMIPC_FOREVER it has no time limit. Signals: as in channel.h.
 *
 * Threads: an end is used by one thread at a time; threads open ends of their own. A child
 * of fork() inherits none: those of its parent are closed in it, and every use of them
 * fails with -EINVAL.
 */
#ifndef SHMIPC_QUEUE_H
#define SHMIPC_QUEUE_H

#include <linux/shmipc_queue.h>
#include <shmipc/channel.h>
#include <shmipc/segment.h>
#include <shmipc/topic.h>

#ifdef __cplusplus
extern "C" {
#endif

/* shmipc_queue_opts.delivery */
#define SHMIPC_QUEUE_AT_MOST_ONCE	1u
#define SHMIPC_QUEUE_ACKNOWLEDGED	2u

/**
 * struct shmipc_queue_opts - describes a queue to create or to open
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @flags:        SHMIPC_NO_CREATE, SHMIPC_EXCL, SHMIPC_PERSIST (the items stay when all have
 *                gone), SHMIPC_CHOWN, SHMIPC_CHGRP, SHMIPC_OWNED_BY, SHMIPC_OWNED_BY_ANY
 * @producers:    the most at a time: 1 to 1024; 0: 64
 * @consumers:    the most at a time: 1 to 1024; 0: 64
 * @depth:        places of each producer: a power of two, up to 65536; 0: 64. At most 2^20
 *                for all producers together
 * @levels:       1 to 8; 0: 1
 * @delivery:     SHMIPC_QUEUE_ACKNOWLEDGED or SHMIPC_QUEUE_AT_MOST_ONCE; 0: the first
 * @deliveries:   an item that was handed out so often, and was not acknowledged, is dropped and
 *                counted instead of being handed out once more: 1 to 254; 0: no limit
 * @item_bytes:   the largest item: 1 to 2^30; 0: 4096
 * @mode:         as in struct shmipc_segment_opts, and so on to @owner
 * @reserved0:    0
 * @dead:         name of the queue that such items are moved to; NULL: none. It needs
 *                @deliveries, at most 253, cannot be the queue itself, and if it exists, its
 *                items must not be smaller. Otherwise the first consumer that has something to
 *                move creates it, with the same sizes and permissions, and SHMIPC_PERSIST
 *
 * A member that is zero selects the default. If the queue exists, each member that is not
 * zero must be equal to what it was created with; otherwise the open fails with -EINVAL
 * and the text names both values.
 */
struct shmipc_queue_opts {
	uint64_t struct_bytes;
	uint32_t flags;
	uint32_t producers;
	uint32_t consumers;
	uint32_t depth;
	uint32_t levels;
	uint32_t delivery;
	uint64_t item_bytes;
	uint32_t deliveries;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t owner;
	uint32_t reserved0;
	const char *dead;
	uint64_t reserved1[4];
};

#define SHMIPC_QUEUE_OPTS(...)	SHMIPC_PRIV_SIZED(struct shmipc_queue_opts, __VA_ARGS__)

/**
 * struct shmipc_queue_how - how an end waits
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @spin_ns:      how long to spin before sleeping; as in struct shmipc_channel_opts
 */
struct shmipc_queue_how {
	uint64_t struct_bytes;
	uint64_t spin_ns;
};

#define SHMIPC_QUEUE_HOW(...)	SHMIPC_PRIV_SIZED(struct shmipc_queue_how, __VA_ARGS__)

/* Producers */

struct shmipc_push;

/**
 * shmipc_push_open - become a producer
 * @ret:  the producer; shmipc_push_close() it
 * @name: as for shmipc_segment_open()
 * @opts: NULL: all defaults, or what exists
 * @how:  NULL: defaults
 *
 * Return: 0; -EBUSY all slots of producers are taken by living ones; -ENOSPC, -ENOMEM no
 * memory; -EPROTO, -EPROTONOSUPPORT; otherwise as shmipc_segment_open().
 */
int shmipc_push_open(struct shmipc_push **ret, const char *name,
		     const struct shmipc_queue_opts *opts, const struct shmipc_queue_how *how);

/* Leave; what was pushed stays. NULL is ignored. May take a moment if others are just dying. */
void shmipc_push_close(struct shmipc_push *tx);

/* The largest item; 0 after fork. */
size_t shmipc_push_item_bytes(const struct shmipc_push *tx);

/**
 * shmipc_push_item - push a copy of an item
 * @tx:          the producer
 * @item:        what is copied; may be NULL if @bytes is 0
 * @bytes:       its length
 * @level:       0, or up to one less than the queue has levels; larger ones are handed out first
 * @deadline_ns: absolute, for a free place
 *
 * No system call if there is a place, and no consumer sleeps.
 *
 * Return: 0; -EAGAIN no place (deadline 0); -ETIMEDOUT; -EINTR; -EMSGSIZE larger than the
 * queue's items; -ENOSPC, -ENOMEM no memory for one more place; -ECONNRESET fenced;
 * -EINVAL, also while a place is reserved.
 */
int shmipc_push_item(struct shmipc_push *tx, const void *item, size_t bytes, uint32_t level,
		     uint64_t deadline_ns);

/**
 * shmipc_push_items - push copies of several items of one level
 * @tx:          the producer
 * @v:           array of @n
 * @n:           how many
 * @level:       of all of them
 * @ret_done:    how many were pushed: the first ones; set also on failure. May be NULL
 * @deadline_ns: absolute, for free places
 *
 * Those for which there are places become visible at once, which costs less than one by one.
 *
 * Return: 0: all; otherwise as shmipc_push_item(), -EMSGSIZE before any is pushed.
 */
int shmipc_push_items(struct shmipc_push *tx, const struct shmipc_buf *v, uint32_t n,
		      uint32_t level, uint32_t *ret_done, uint64_t deadline_ns);

/**
 * shmipc_push_reserve - get the place of an item, to write it there
 * @tx:          the producer; one place at a time
 * @ret:         shmipc_push_item_bytes() bytes, aligned to 64; with what an earlier item left
 * @deadline_ns: absolute, for a free place
 *
 * The place is the caller's until shmipc_push_commit() or shmipc_push_cancel().
 *
 * Return: as shmipc_push_item().
 */
int shmipc_push_reserve(struct shmipc_push *tx, void **ret, uint64_t deadline_ns);

/* Push what was written to the reserved place. Return: 0; -EINVAL; -EMSGSIZE, still reserved. */
int shmipc_push_commit(struct shmipc_push *tx, size_t bytes, uint32_t level);

/* Return: 0; -EINVAL no place is reserved. */
int shmipc_push_cancel(struct shmipc_push *tx);

/* What a producer has done so far. */
struct shmipc_push_stat {
	uint64_t struct_bytes;	/* set by the caller */
	uint64_t pushed;
	uint64_t waits;		/* pushes that found no place */
	uint64_t sleeps;
	uint64_t ticks;		/* sleeps that ended without a wake */
	uint64_t wakes;		/* consumers that it has woken */
	uint32_t used;		/* places in use now */
	uint32_t depth;
};

#define SHMIPC_PUSH_STAT()	SHMIPC_PRIV_SIZED(struct shmipc_push_stat, )

/* Return: 0; -EINVAL. */
int shmipc_push_get_stat(const struct shmipc_push *tx, struct shmipc_push_stat *ret);

/* As shmipc_segment_get_info(). */
int shmipc_push_get_info(const struct shmipc_push *tx, struct shmipc_segment_info *ret);

/* Consumers */

struct shmipc_pop;

/**
 * struct shmipc_queue_item - an item that a consumer has taken
 * @data:       where it is, aligned to 64; not to be written. Valid until the consumer is done
 * @number:     of the item, among those of its producer and level
 * @bytes:      its length
 * @level:      its level
 * @deliveries: 1: handed out for the first time; 2: once before, and so on; 255: or more
 * @from:       slot of the producer that pushed it, which others may take when it has gone
 * @word:       not for users, as are @cell and all that is reserved
 * @flags:      SHMIPC_ITEM_DEAD: it was moved here from another queue, see
 *              shmipc_pop_dead_letter()
 *
 * It lies in arrays, and grows into @reserved1. Only its address and contents matter to
 * shmipc_pop_ack(): it may be copied.
 */
struct shmipc_queue_item {
	const void *data;
	uint64_t number;
	uint32_t bytes;
	uint32_t level;
	uint32_t deliveries;
	uint32_t from;
	uint64_t word;
	uint32_t cell;
	uint32_t flags;
	uint64_t reserved1[2];
};

/* shmipc_queue_item.flags */
#define SHMIPC_ITEM_DEAD	1u

/**
 * shmipc_pop_open - become a consumer
 * @ret:  the consumer; shmipc_pop_close() it
 * @name: as for shmipc_segment_open()
 * @opts: NULL: all defaults, or what exists
 * @how:  NULL: defaults
 *
 * Return: 0; -ENOSPC all slots of consumers are taken; -ENOMEM; otherwise as
 * shmipc_push_open().
 */
int shmipc_pop_open(struct shmipc_pop **ret, const char *name,
		    const struct shmipc_queue_opts *opts, const struct shmipc_queue_how *how);

/*
 * Leave. Items that it is not done with are given back, or lost if they are delivered at most
 * once. NULL is ignored. May take a moment if other processes are just dying.
 */
void shmipc_pop_close(struct shmipc_pop *rx);

/**
 * shmipc_pop_item - take the next item
 * @rx:          the consumer, which may have others that it is not done with
 * @ret:         the item; untouched on failure
 * @deadline_ns: absolute
 *
 * No system call if there is an item.
 *
 * Return: 0; -EAGAIN none (deadline 0); -ETIMEDOUT; -EINTR; -ECONNRESET fenced; -EINVAL.
 */
int shmipc_pop_item(struct shmipc_pop *rx, struct shmipc_queue_item *ret, uint64_t deadline_ns);

/**
 * shmipc_pop_items - take several items, which costs less than one by one
 * @rx:          the consumer
 * @ret:         array of @cap
 * @cap:         at least 1
 * @ret_n:       how many there were: at least 1
 * @deadline_ns: absolute, for the first one
 *
 * Return: as shmipc_pop_item().
 */
int shmipc_pop_items(struct shmipc_pop *rx, struct shmipc_queue_item *ret, uint32_t cap,
		     uint32_t *ret_n, uint64_t deadline_ns);

/**
 * shmipc_pop_ack - be done with items: their places are free
 * @rx:    the consumer
 * @items: array of @n that it has taken
 * @n:     how many
 *
 * Of a queue that delivers at most once, too: until then the memory is not used again.
 *
 * Return: 0; -EINVAL one of them, at least, it does not have: the others are done;
 * -ECONNRESET fenced.
 */
int shmipc_pop_ack(struct shmipc_pop *rx, const struct shmipc_queue_item *items, uint32_t n);

/**
 * shmipc_pop_nack - give items back: they are handed out once more, before new ones
 * @rx:    the consumer, which may receive them again
 * @items: array of @n that it has taken
 * @n:     how many
 *
 * Return: as shmipc_pop_ack(); -EINVAL also if items are delivered at most once.
 */
int shmipc_pop_nack(struct shmipc_pop *rx, const struct shmipc_queue_item *items, uint32_t n);

/* Why an item was moved to a queue for dead letters. */
enum shmipc_dead_reason {
	SHMIPC_DEAD_DELIVERIES	= 1,	/* it was handed out as often as is allowed */
};

/**
 * struct shmipc_dead_letter - where an item comes from that was moved here
 * @struct_bytes: set by the caller
 * @reason:       enum shmipc_dead_reason
 * @deliveries:   how often it was handed out there
 * @copies:       1; more: a consumer was killed while it moved the item, so that there may be
 *                another copy of the same @from, @level and @number, or was one
 * @level:        its level there; here it has the same, or the highest one
 * @from:         slot of its producer there
 * @reserved0:    0
 * @number:       of the item there
 * @at_ns:        when it was moved, since 1970
 * @id:           of the queue from which it comes
 * @queue:        the name of that
 */
struct shmipc_dead_letter {
	uint64_t struct_bytes;
	uint32_t reason;
	uint32_t deliveries;
	uint32_t copies;
	uint32_t level;
	uint32_t from;
	uint32_t reserved0;
	uint64_t number;
	uint64_t at_ns;
	uint8_t id[16];
	char queue[SHMIPC_NAME_MAX + 8];
};

#define SHMIPC_DEAD_LETTER()	SHMIPC_PRIV_SIZED(struct shmipc_dead_letter, )

/**
 * shmipc_pop_dead_letter - where an item comes from that was moved here
 * @rx:   the consumer
 * @item: that it has
 * @ret:  filled in; what it says is what the process that has moved it has written
 *
 * Return: 0; -ENOENT it was not moved here, but pushed; -EINVAL.
 */
int shmipc_pop_dead_letter(const struct shmipc_pop *rx, const struct shmipc_queue_item *item,
			   struct shmipc_dead_letter *ret);

/* What a consumer has done so far. */
struct shmipc_pop_stat {
	uint64_t struct_bytes;	/* set by the caller */
	uint64_t taken;
	uint64_t again;		/* of these, handed out before */
	uint64_t acked;
	uint64_t returned;
	uint64_t sleeps;
	uint64_t ticks;		/* sleeps that ended without a wake */
};

#define SHMIPC_POP_STAT()	SHMIPC_PRIV_SIZED(struct shmipc_pop_stat, )

/* Return: 0; -EINVAL. */
int shmipc_pop_get_stat(const struct shmipc_pop *rx, struct shmipc_pop_stat *ret);

/* As shmipc_segment_get_info(). */
int shmipc_pop_get_info(const struct shmipc_pop *rx, struct shmipc_segment_info *ret);

/**
 * shmipc_pop_producer - the producer that has the slot from which an item comes
 * @rx:   the consumer
 * @item: that it has taken
 * @ret:  the producer that has the slot now, or had it last: another one may have pushed
 *        the item, and left
 *
 * Return: 0; -EINVAL.
 */
int shmipc_pop_producer(const struct shmipc_pop *rx, const struct shmipc_queue_item *item,
			struct shmipc_peer_info *ret);

/* Inspecting a queue without joining */

/* An end, as seen from outside. It lies in arrays. */
struct shmipc_queue_end {
	struct shmipc_peer_info peer;
	uint64_t pushed;	/* producers: items, of all that have had this slot */
	uint64_t waits;		/* likewise: pushes that found no place */
	uint64_t taken;		/* consumers, likewise */
	uint64_t again;
	uint64_t acked;
	uint64_t returned;
	uint32_t has;		/* items: producers: in places; consumers: not done with */
	uint32_t reserved0;
	uint64_t taken_ns;	/* consumers: when it took items last: CLOCK_MONOTONIC, to a few ms */
};

/**
 * struct shmipc_queue_stat - properties and state of a queue at one moment
 *
 * @end is the caller's array of @end_cap entries. @ends is the number of those attached,
 * or dead and not yet replaced; producers come first.
 */
struct shmipc_queue_stat {
	uint64_t struct_bytes;	/* set by the caller */
	struct shmipc_segment_info info;
	int in_use;
	uint32_t producers;	/* the most at a time, and so on: as created */
	uint32_t consumers;
	uint32_t depth;
	uint32_t levels;
	uint32_t delivery;
	uint32_t deliveries;
	uint32_t ends;		/* at @end */
	uint64_t item_bytes;
	uint64_t ready[SHMIPC_QUEUE_LEVELS_MAX];	/* items of each level that nobody has */
	uint64_t taken;		/* items that consumers have now */
	uint64_t pushed;	/* so far, and so on */
	uint64_t acked;
	uint64_t again;
	uint64_t lost;		/* with dead consumers, delivered at most once */
	uint64_t expired;	/* at the limit of deliveries */
	uint64_t invalid;	/* dropped */
	struct shmipc_queue_end *end;
	uint32_t end_cap;
	uint32_t reserved0;
	uint64_t dead;		/* of those in @expired: moved to the queue for them */
	uint64_t stuck;		/* items at the limit that could not be moved yet */
	char dead_queue[SHMIPC_NAME_MAX + 8];	/* its name; empty: there is none */
};

#define SHMIPC_QUEUE_STAT(...)	SHMIPC_PRIV_SIZED(struct shmipc_queue_stat, __VA_ARGS__)

/**
 * shmipc_queue_look - inspect a queue by name without joining
 * @name: as for open
 * @ret:  filled in, but for the caller's fields
 *
 * Needs read permission only.
 *
 * Return: 0; -EINVAL the name is of another kind; otherwise as shmipc_segment_look().
 */
int shmipc_queue_look(const char *name, struct shmipc_queue_stat *ret);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_QUEUE_H */
