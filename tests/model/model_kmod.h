/* SPDX-License-Identifier: MIT */
/*
 * model_kmod.h - what kmod/wait.c needs of the kernel, for the model checker
 *
 * A spinlock orders as in the kernel's memory model: taking it is an acquire, releasing
 * it a release, no more. What a lock protects is one plain word, read and written in each
 * critical section, so that one without its order is a data race. Where the kernel's
 * functions have full barriers beyond that (set_current_state, try_to_wake_up, poll_wait),
 * these have none: the module does not rely on them.
 */
#ifndef MODEL_KMOD_H
#define MODEL_KMOD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/shmipc.h>

#include "model.h"

#define ERESTARTSYS	512
#define IS_ENABLED(x)	0
#define U64_MAX		UINT64_MAX
#define KTIME_MAX	INT64_MAX
#define HRTIMER_MODE_ABS	0
#define TASK_RUNNING	0
#define TASK_INTERRUPTIBLE	1
#define TASK_NORMAL	3
#define WQ_FLAG_EXCLUSIVE	1
#define EPOLLIN		1u
#define EPOLLERR	8u
#define EPOLLRDNORM	0x40u
#define EPOLLHUP	0x10u
#define SHMIPC_BUCKETS	2u
#define ilog2(n)	1
#define hash_64(off, bits)	((off) >> 3 & 1)

typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
typedef int64_t ktime_t;
typedef unsigned int __poll_t;

#define min_t(type, a, b)	((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define IS_ALIGNED(n, a)	(!((n) & ((a) - 1)))
#define array_index_nospec(i, n)	(i)
#define container_of(p, type, member)	((type *)(void *)((char *)(p) - offsetof(type, member)))
#define cpu_relax()	((void)0)

/* Words that peers and threads share are in the model's regions; all else is private. */
#define shared(p)	((uintptr_t)(p) >= (uintptr_t)model_shared && \
			 (uintptr_t)(p) < (uintptr_t)(model_shared + 64))
extern uint64_t model_shared[64];
#define READ_ONCE(x)	(shared(&(x)) ? shmipc_load_relaxed(&(x)) : (x))
#define WRITE_ONCE(x, v)	((void)((x) = (v)))
#define smp_mb()	shmipc_fence_seq_cst()
#define smp_rmb()	shmipc_fence_acquire()
#define smp_wmb()	shmipc_fence_release()

/* Lists. Only their owners of the lock touch them. */

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_OF(p, type)	container_of(p, type, entry)
#define list_next_entry(at, member)	LIST_HEAD_OF((at)->member.next, __typeof__(*(at)))
#define list_entry_is_head(at, head, member)	(&(at)->member == (head))
#define list_for_each_entry_safe(at, next_, head, member)				\
	for (at = LIST_HEAD_OF((head)->next, __typeof__(*at)), next_ = list_next_entry(at, member); \
	     !list_entry_is_head(at, head, member);					\
	     at = next_, next_ = list_next_entry(next_, member))

static inline void INIT_LIST_HEAD(struct list_head *l)
{
	l->next = l->prev = l;
}

static inline bool list_empty(const struct list_head *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list_head *l, struct list_head *head)
{
	l->next = head;
	l->prev = head->prev;
	head->prev->next = l;
	head->prev = l;
}

static inline void list_del(struct list_head *l)
{
	l->next->prev = l->prev;
	l->prev->next = l->next;
}

static inline void list_del_init(struct list_head *l)
{
	list_del(l);
	INIT_LIST_HEAD(l);
}

/* Locks. They are in the model's memory, each with the word that it protects. */

struct model_spinlock {
	uint64_t *word;		/* and what it protects behind it */
};
#define spinlock_t	struct model_spinlock

static inline void model_spin_lock(struct model_at at, spinlock_t *l)
{
	uint64_t plain;

	model_lock(at, &l->word[0]);
	shmipc_payload_read(&plain, &l->word[1], sizeof(plain));
}

#define spin_lock_irq(l)	model_spin_lock(MODEL_AT(MODEL_LOCK), (l))
#define spin_lock_irqsave(l, flags)	((void)(flags = 0), spin_lock_irq(l))
#define spin_unlock_irq(l)								\
do {											\
	uint64_t plain_ = 1;								\
											\
	shmipc_payload_write(&(l)->word[1], &plain_, sizeof(plain_));			\
	shmipc_store_release(&(l)->word[0], 0ull);					\
} while (0)
#define spin_unlock_irqrestore(l, flags)	do { (void)(flags); spin_unlock_irq(l); } while (0)

struct mutex {
	int unused;
};
#define mutex_lock_killable(m)	((void)(m), 0)
#define mutex_unlock(m)		((void)(m))

/* Wait queues, after kernel/sched/wait.c. */

struct wait_queue_entry;
typedef int (*wait_queue_func_t)(struct wait_queue_entry *e, unsigned int mode, int flags, void *key);

struct wait_queue_entry {
	unsigned int flags;
	int task;		/* of the model; -1: none */
	wait_queue_func_t func;
	struct list_head entry;
};

struct wait_queue_head {
	spinlock_t lock;
	struct list_head head;
};
#define wait_queue_head_t	struct wait_queue_head

struct poll_table_struct {
	struct wait_queue_entry entry;
};

struct file {
	void *private_data;
};

void model_queue_init(struct wait_queue_head *wq);
void init_wait(struct wait_queue_entry *e);
void prepare_to_wait(struct wait_queue_head *wq, struct wait_queue_entry *e, int state);
void prepare_to_wait_exclusive(struct wait_queue_head *wq, struct wait_queue_entry *e, int state);
void add_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e);
void remove_wait_queue(struct wait_queue_head *wq, struct wait_queue_entry *e);
int autoremove_wake_function(struct wait_queue_entry *e, unsigned int mode, int flags, void *key);
void wake_up_interruptible_poll(struct wait_queue_head *wq, unsigned int events);
void poll_wait(struct file *file, struct wait_queue_head *wq, struct poll_table_struct *table);
void __set_current_state(int state);
void schedule(void);
int schedule_hrtimeout_range(ktime_t *until, uint64_t slack, int mode);
int model_signal_pending(void);

#define init_waitqueue_head(wq)	model_queue_init(wq)

static inline void init_waitqueue_func_entry(struct wait_queue_entry *e, wait_queue_func_t func)
{
	*e = (struct wait_queue_entry){ .task = -1, .func = func };
	INIT_LIST_HEAD(&e->entry);
}

struct task {
	uint64_t timer_slack_ns;
	void *mm;
};
extern struct task model_task;
#define current		(&model_task)
#define signal_pending(t)	((void)(t), model_signal_pending())

struct timespec64 {
	s64 ns;
};
#define timens_add_monotonic(t)	((void)(t))
#define timespec64_to_ns(t)	((t)->ns)

/* Counters, of which nothing hangs, and the number of those that came and went. */
struct model_counter {
	uint64_t n;
};
#define atomic_t	struct model_counter
#define atomic_inc(a)		((void)++(a)->n)
#define atomic_dec(a)		((void)--(a)->n)
#define atomic_inc_return(a)	(++(a)->n)
#define atomic_fetch_inc_release(a)							\
	shmipc_store_release((uint32_t *)(void *)(a), 1u + shmipc_load_relaxed((uint32_t *)(void *)(a)))

/* The module */

struct folio {
	uint64_t mapping;
};
struct page {
	struct folio folio;
};
#define page_folio(p)		(&(p)->folio)
#define offset_in_page(off)	((off) & 4095)
#define put_page(p)		((void)(p))
#define shmipc_peer_is_fenced(sf, mm)	((void)(mm), (sf)->fenced)

struct shmipc_memory {
	u64 bytes;
};

struct shmipc_bucket {
	wait_queue_head_t wq;
};

struct shmipc_segment {
	struct shmipc_memory mem;
	u32 peers;
	atomic_t waiters;
	struct shmipc_bucket bucket[SHMIPC_BUCKETS];
};

struct shmipc_file {
	struct mutex lock;
	struct shmipc_segment *seg;
	u32 fenced;
	atomic_t waits;
	wait_queue_head_t poll_wq;
	struct wait_queue_entry poll_entry;
	bool poll_on;
	u64 poll_off;
	u32 poll_val, poll_peer, poll_peer_val;
};

struct shmipc_wake_key {
	u64 off;
	u32 slot;
	bool all;
	u32 woken;
};

struct shmipc_watch {
	const u32 *word;
	struct page *page;
	const u32 *peer;
	u32 val, peer_val;
};

void *shmipc_memory_addr(const struct shmipc_memory *mem, u64 off);
struct page *shmipc_memory_get(struct shmipc_memory *mem, u64 off);
void *page_address(const struct page *page);
struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, u32 slot);

#define trace_shmipc_wait(...)		((void)0)
#define trace_shmipc_wait_end(...)	((void)0)
#define trace_shmipc_wake(...)		((void)0)

struct wait_queue_head *shmipc_wait_queue(struct shmipc_segment *seg, u64 off);
void shmipc_wait_init(struct shmipc_segment *seg);
int shmipc_watch_init(struct shmipc_watch *w, struct shmipc_segment *seg, u64 off, u32 val,
		      u32 peer, u32 peer_val);
void shmipc_watch_end(struct shmipc_watch *w);
bool shmipc_watch_moved(const struct shmipc_watch *w);
ktime_t shmipc_deadline_host(u64 ns);
bool shmipc_wait_begin(struct shmipc_file *sf);
void shmipc_wait_end(struct shmipc_file *sf);
bool shmipc_wake_meant(const struct shmipc_wake_key *key, u64 off, u32 peer);
int shmipc_wait(struct shmipc_file *sf, const struct shmipc_dev_wait *req);
u32 shmipc_wake(struct shmipc_segment *seg, u64 off, u32 n);
void shmipc_wake_peer(struct shmipc_segment *seg, u32 slot);
void shmipc_wake_all(struct shmipc_segment *seg);
int shmipc_poll_set(struct shmipc_file *sf, struct shmipc_segment *seg,
		    const struct shmipc_dev_poll *req);
void shmipc_poll_init(struct shmipc_file *sf);
void shmipc_poll_exit(struct shmipc_file *sf, struct shmipc_segment *seg);
__poll_t shmipc_poll(struct file *file, struct poll_table_struct *table);

#endif /* MODEL_KMOD_H */
