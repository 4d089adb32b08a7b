// SPDX-License-Identifier: GPL-2.0-only
/*
 * table.c - all segments: in the order of their making, and by id
 *
 * Who walks holds table_lock, and may sleep. An eBPF program may look for a
 * segment anywhere, also in an NMI: it counts itself in for as long as it looks,
 * with preemption off. Who ends a segment takes it out, then waits until nobody
 * looks any more; that is shorter than a grace period, and the last close() of a
 * segment should give its memory back at once.
 */
#include <linux/bitmap.h>
#include <linux/hashtable.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "shmipc.h"

DEFINE_MUTEX(shmipc_table_lock);
LIST_HEAD(shmipc_table);
static DEFINE_HASHTABLE(by_id, 9);
/* Which of its buckets hold any; table_lock. */
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
	__set_bit(bucket_of(seg), used);
	mutex_unlock(&shmipc_table_lock);
}

/* May sleep. Afterwards nobody looks into the segment; the struct goes by RCU. */
void shmipc_table_del(struct shmipc_segment *seg)
{
	mutex_lock(&shmipc_table_lock);
	list_del_init(&seg->table_node);
	hlist_del_init_rcu(&seg->id_node);
	if (hlist_empty(&by_id[bucket_of(seg)]))
		__clear_bit(bucket_of(seg), used);
	mutex_unlock(&shmipc_table_lock);
	WRITE_ONCE(seg->gone, true);
	/* Gone, then the count: pairs with the one in peek(). */
	smp_mb();
	while (atomic_read_acquire(&seg->peeks)) {
		cpu_relax();
		cond_resched();
	}
}

/**
 * shmipc_table_each - call a function for every segment, in no order
 * @fn: false: enough; may sleep, and the segment stays meanwhile
 *
 * Others may come and go between two, but for the few that share a bucket.
 */
void shmipc_table_each(bool (*fn)(const struct shmipc_segment *seg))
{
	const struct shmipc_segment *seg;
	unsigned int i = 0;
	bool more = true;

	while (more) {
		mutex_lock(&shmipc_table_lock);
		i = find_next_bit(used, HASH_SIZE(by_id), i);
		more = i < HASH_SIZE(by_id);
		if (more) {
			hlist_for_each_entry(seg, &by_id[i], id_node) {
				more = fn(seg);
				if (!more)
					break;
				cond_resched();
			}
		}
		mutex_unlock(&shmipc_table_lock);
		i++;
	}
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
		atomic_inc(&seg->peeks);
		/* The count, then gone: either we see that, or we are waited for. */
		smp_mb__after_atomic();
		if (!READ_ONCE(seg->gone))
			return seg;
		shmipc_table_unpeek(seg);
		return NULL;
	}
	preempt_enable_notrace();
	return NULL;
}

void shmipc_table_unpeek(struct shmipc_segment *seg)
{
	/* Pairs with the acquire in del(): what we read was still there. */
	(void)atomic_dec_return_release(&seg->peeks);
	preempt_enable_notrace();
}
