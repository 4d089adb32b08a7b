// SPDX-License-Identifier: GPL-2.0-only
/*
 * table.c - all segments: in the order of creation, and by id
 *
 * Code that shows them holds table_lock, and may sleep. An eBPF program may look up a
 * segment in any context, also in an NMI, and the sampler visits all of them in a soft
 * interrupt: these increment a count while they read, with preemption off. When a
 * segment ends it is removed from the table, then its count must reach zero; that is
 * shorter than a grace period, and the last close() of a segment should give its memory
 * back at once.
 */
#include <linux/bitmap.h>
#include <linux/hashtable.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "shmipc.h"

/* Protects the list of all segments. */
DEFINE_MUTEX(shmipc_table_lock);
LIST_HEAD(shmipc_table);
static DEFINE_HASHTABLE(by_id, 9);
/* Bit i: bucket i is not empty. Written under table_lock. */
static DECLARE_BITMAP(used, HASH_SIZE(by_id));

static unsigned int bucket_of(const struct shmipc_segment *seg)
{
	return hash_min(shmipc_segment_id(seg), HASH_BITS(by_id));
}

void shmipc_table_add(struct shmipc_segment *seg)
{
	mutex_lock(&shmipc_table_lock);
	list_add_tail(&seg->table_node, &shmipc_table);
	hlist_add_head_rcu(&seg->id_node, &by_id[bucket_of(seg)]);
	set_bit(bucket_of(seg), used);
	mutex_unlock(&shmipc_table_lock);
}

/* May sleep. Afterwards there are no readers of the segment; its struct is freed by RCU. */
void shmipc_table_del(struct shmipc_segment *seg)
{
	mutex_lock(&shmipc_table_lock);
	list_del_init(&seg->table_node);
	hlist_del_init_rcu(&seg->id_node);
	if (hlist_empty(&by_id[bucket_of(seg)]))
		clear_bit(bucket_of(seg), used);
	mutex_unlock(&shmipc_table_lock);
	WRITE_ONCE(seg->gone, true);
	/* Store gone, then read the count; pairs with the barrier in pin(). */
	smp_mb();
	while (atomic_read_acquire(&seg->peeks)) {
		cpu_relax();
		cond_resched();
	}
}

static void unpin(struct shmipc_segment *seg)
{
	/* Pairs with the acquire in shmipc_table_del(): our reads come before the end. */
	(void)atomic_dec_return_release(&seg->peeks);
}

/* False: the segment has ended. Preemption is off from before this until unpin(). */
static bool pin(struct shmipc_segment *seg)
{
	atomic_inc(&seg->peeks);
	/* Store the count, then read gone: either we see it set, or del() waits for us. */
	smp_mb__after_atomic();
	if (!READ_ONCE(seg->gone))
		return true;
	unpin(seg);
	return false;
}

/* The first bucket from @from on that is not empty; segments may come and go meanwhile. */
static unsigned int next_used(unsigned int from)
{
	unsigned int i = from / BITS_PER_LONG;
	unsigned long mask = ~0ul << from % BITS_PER_LONG, word;

	for (; i < BITS_TO_LONGS(HASH_SIZE(by_id)); i++, mask = ~0ul) {
		word = READ_ONCE(used[i]) & mask;
		if (word)
			return i * BITS_PER_LONG + __ffs(word);
	}
	return HASH_SIZE(by_id);
}

/* Walk one bucket; preemption is off. False: @fn has asked to stop. */
static bool walk_bucket(struct shmipc_table_at *at, bool (*fn)(const struct shmipc_segment *seg))
{
	struct shmipc_segment *seg;
	bool more = true;

	hlist_for_each_entry_rcu(seg, &by_id[at->bucket], id_node) {
		if ((at->id && shmipc_segment_id(seg) != at->id) || !pin(seg))
			continue;
		more = fn(seg);
		at->id = more ? 0 : shmipc_segment_id(seg);
		unpin(seg);
		if (!more)
			break;
	}
	return more;
}

/**
 * shmipc_table_walk - call a function for each segment, in no particular order
 * @at: all 0 at first; updated to where the next call continues
 * @fn: may not sleep; the segment does not end during the call. It returns false
 *      to stop; the next walk then calls it with the same segment again
 *
 * In any context but an NMI. Segments may come and go meanwhile. If the segment at
 * which the last walk stopped has ended, the others in its bucket are skipped.
 *
 * Return: true when all segments have been visited.
 */
bool shmipc_table_walk(struct shmipc_table_at *at, bool (*fn)(const struct shmipc_segment *seg))
{
	bool more = true;

	for (;;) {
		at->bucket = next_used(at->bucket);
		if (at->bucket == HASH_SIZE(by_id))
			break;
		/* Also an RCU read section. */
		preempt_disable();
		more = walk_bucket(at, fn);
		preempt_enable();
		if (!more)
			return false;
		at->bucket++;
		at->id = 0;
	}
	at->bucket = 0;
	return true;
}

/**
 * shmipc_table_peek - find a segment, from any context
 * @id: of the segment
 *
 * Return: the segment, with preemption off until shmipc_table_unpeek(); NULL if there
 * is none, with preemption as before.
 */
struct shmipc_segment *shmipc_table_peek(u64 id)
{
	struct shmipc_segment *seg;

	/* Also an RCU read section. */
	preempt_disable_notrace();
	hash_for_each_possible_rcu(by_id, seg, id_node, id) {
		if (shmipc_segment_id(seg) != id)
			continue;
		if (pin(seg))
			return seg;
		break;
	}
	preempt_enable_notrace();
	return NULL;
}

void shmipc_table_unpeek(struct shmipc_segment *seg)
{
	unpin(seg);
	preempt_enable_notrace();
}
