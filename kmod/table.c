// SPDX-License-Identifier: GPL-2.0-only
/*
 * table.c - all segments: in the order of their making, and by id
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

DEFINE_MUTEX(shmipc_table_lock);
LIST_HEAD(shmipc_table);
static DEFINE_HASHTABLE(by_id, 9);
/* Which of its buckets hold any; written under table_lock. */
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

/* May sleep. Afterwards nobody looks into the segment; the struct goes by RCU. */
void shmipc_table_del(struct shmipc_segment *seg)
{
	mutex_lock(&shmipc_table_lock);
	list_del_init(&seg->table_node);
	hlist_del_init_rcu(&seg->id_node);
	if (hlist_empty(&by_id[bucket_of(seg)]))
		clear_bit(bucket_of(seg), used);
	mutex_unlock(&shmipc_table_lock);
	WRITE_ONCE(seg->gone, true);
	/* Gone, then the count: pairs with the one in pin(). */
	smp_mb();
	while (atomic_read_acquire(&seg->peeks)) {
		cpu_relax();
		cond_resched();
	}
}

static void unpin(struct shmipc_segment *seg)
{
	/* Pairs with the acquire in del(): what we read was still there. */
	(void)atomic_dec_return_release(&seg->peeks);
}

/* False: it has ended. Preemption is off from before this until unpin(). */
static bool pin(struct shmipc_segment *seg)
{
	atomic_inc(&seg->peeks);
	/* The count, then gone: either we see that, or we are waited for. */
	smp_mb__after_atomic();
	if (!READ_ONCE(seg->gone))
		return true;
	unpin(seg);
	return false;
}

/* The first bucket from @from on that holds any, while others add and remove. */
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

/* One bucket of a walk; preemption is off. False: enough. */
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
 * shmipc_table_walk - call a function for one segment after another, in no order
 * @at: all 0 at the beginning; afterwards, where to go on
 * @fn: may not sleep, and the segment stays meanwhile. False: enough for now, it
 *      is called with this segment again
 *
 * In any context but an NMI. Others may come and go meanwhile. If the segment at
 * which it ended last is not there any more, those that share its bucket are
 * left out.
 *
 * Return: true: that was all of them.
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
 * Preemption is off until shmipc_table_unpeek(). Return: NULL, and then it is not,
 * if there is none.
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
