// SPDX-License-Identifier: GPL-2.0-only
/*
 * wait.c - sleeping on a 32-bit word of the segment, and waking
 *
 * The sleeper queues itself, then reads the word; the waker stores to the word,
 * then reads the queue under its lock. So one of the two sees the other: if the sleeper
 * has the lock first, the waker finds it, else the sleeper's lock acquires what the waker
 * stored. This needs no other barrier.
 * A few queues serve all words, by hash; a waker skips the sleepers of other words.
 * When a peer attaches, leaves or dies, the sleepers that watch it are woken, after its
 * slot was written. A waker visits a bounded number of sleepers at a time, with
 * interrupts off, and a description has a bounded number.
 */
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/nospec.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>
#include <linux/wait.h>

#include "trace.h"

/* Sleepers that a waker visits under the queue's lock at a time. */
#define WAKE_BATCH	64

#define PEER_SEQ_OFF	(SHMIPC_SEG_LIVE_OFF + offsetof(struct shmipc_seg_live, peer_seq))

struct waiter {
	struct wait_queue_entry entry;
	u64 off;
	u32 peer;
};

struct wait_queue_head *shmipc_wait_queue(struct shmipc_segment *seg, u64 off)
{
	return &seg->bucket[hash_64(off, ilog2(SHMIPC_BUCKETS))].wq;
}

void shmipc_wait_init(struct shmipc_segment *seg)
{
	u32 i;

	for (i = 0; i < SHMIPC_BUCKETS; i++)
		init_waitqueue_head(&seg->bucket[i].wq);
}

static u32 *peer_seq(const struct shmipc_segment *seg)
{
	return shmipc_memory_addr(&seg->mem, PEER_SEQ_OFF);
}

/* Return: 0, then call shmipc_watch_end(); -EINVAL; -EFAULT there is no page at @off. */
int shmipc_watch_init(struct shmipc_watch *w, struct shmipc_segment *seg, u64 off, u32 val,
		      u32 peer, u32 peer_val)
{
	if (!IS_ALIGNED(off, sizeof(u32)))
		return -EINVAL;
	if (peer != SHMIPC_DEV_NO_PEER && peer != SHMIPC_DEV_ANY_PEER && peer >= seg->peers)
		return -EINVAL;
	w->page = NULL;
	w->word = shmipc_memory_addr(&seg->mem, off);
	if (!w->word) {
		w->page = shmipc_memory_get(&seg->mem, off);
		if (!w->page)
			return -EFAULT;
		w->word = page_address(w->page) + offset_in_page(off);
	}
	w->val = val;
	if (peer == SHMIPC_DEV_NO_PEER)
		w->peer = NULL;
	else if (peer == SHMIPC_DEV_ANY_PEER)
		w->peer = peer_seq(seg);
	else
		w->peer = &shmipc_segment_slot(seg, array_index_nospec(peer, seg->peers))->word;
	w->peer_val = peer_val & ~SHMIPC_PEER_WATCHED;
	return 0;
}

void shmipc_watch_end(struct shmipc_watch *w)
{
	if (w->page)
		put_page(w->page);
}

static bool watch_peer_moved(const struct shmipc_watch *w)
{
	return w->peer && (READ_ONCE(*w->peer) & ~SHMIPC_PEER_WATCHED) != w->peer_val;
}

/* Has the word changed, or has its page been removed? */
static bool watch_word_moved(const struct shmipc_watch *w)
{
	return READ_ONCE(*w->word) != w->val ||
	       (w->page && !READ_ONCE(page_folio(w->page)->mapping));
}

bool shmipc_watch_moved(const struct shmipc_watch *w)
{
	return watch_word_moved(w) || watch_peer_moved(w);
}

/* Is the sleeper on the word at @off, which watches @peer, to be woken? */
bool shmipc_wake_meant(const struct shmipc_wake_key *key, u64 off, u32 peer)
{
	if (key->all || key->off == off)
		return true;
	return key->slot != SHMIPC_DEV_NO_PEER &&
	       (peer == key->slot || peer == SHMIPC_DEV_ANY_PEER || off == PEER_SEQ_OFF);
}

/* A waker's place in a queue while it does not hold the lock. */
static int wake_mark(struct wait_queue_entry *entry, unsigned int mode, int flags, void *arg)
{
	return 0;
}

/*
 * As __wake_up(), with @n exclusive sleepers (0: all), but in batches. Sleepers that come
 * meanwhile are not visited: they have looked at the word after it changed.
 */
static void wake_queue(struct wait_queue_head *wq, u32 n, struct shmipc_wake_key *key)
{
	struct wait_queue_entry here, end, *at, *next;
	unsigned long irq;
	int visited = 0;

	init_waitqueue_func_entry(&here, wake_mark);
	init_waitqueue_func_entry(&end, wake_mark);
	INIT_LIST_HEAD(&end.entry);
	spin_lock_irqsave(&wq->lock, irq);
	list_for_each_entry_safe(at, next, &wq->head, entry) {
		bool exclusive = at->flags & WQ_FLAG_EXCLUSIVE;

		if (at == &end)
			break;
		if (at->func(at, TASK_NORMAL, 0, key) && exclusive && n && !--n)
			break;
		if (++visited % WAKE_BATCH || list_entry_is_head(next, &wq->head, entry))
			continue;
		if (list_empty(&end.entry))
			list_add_tail(&end.entry, &wq->head);
		list_add_tail(&here.entry, &next->entry);
		spin_unlock_irqrestore(&wq->lock, irq);
		cpu_relax();
		spin_lock_irqsave(&wq->lock, irq);
		next = list_next_entry(&here, entry);
		list_del(&here.entry);
	}
	list_del(&end.entry);
	spin_unlock_irqrestore(&wq->lock, irq);
}

static int wake_waiter(struct wait_queue_entry *entry, unsigned int mode, int flags, void *arg)
{
	struct waiter *w = container_of(entry, struct waiter, entry);
	struct shmipc_wake_key *key = arg;
	int ret;

	if (!shmipc_wake_meant(key, w->off, w->peer))
		return 0;
	ret = autoremove_wake_function(entry, mode, flags, NULL);
	key->woken += !!ret;
	return ret;
}

/* The time @ns of a clock that is ahead of the kernel's by @ahead; it may be behind. */
static ktime_t deadline_shift(u64 ns, s64 ahead)
{
	if (ns > KTIME_MAX)
		return KTIME_MAX;
	if (ahead > 0)
		return ns < (u64)ahead ? 0 : ns - ahead;
	return min_t(u64, ns - ahead, KTIME_MAX);
}

/* Convert a deadline of the caller's time namespace to the kernel's clock. */
ktime_t shmipc_deadline_host(u64 ns)
{
	struct timespec64 offset = { 0 };

	timens_add_monotonic(&offset);
	return deadline_shift(ns, timespec64_to_ns(&offset));
}

/* Sleep once. Return: 0 woken, for any reason; -ETIMEDOUT; -ERESTARTSYS. */
static int sleep_until(u64 deadline_ns)
{
	ktime_t until;

	if (signal_pending(current))
		return -ERESTARTSYS;
	if (deadline_ns == U64_MAX) {
		schedule();
		return 0;
	}
	until = shmipc_deadline_host(deadline_ns);
	if (!schedule_hrtimeout_range(&until, current->timer_slack_ns, HRTIMER_MODE_ABS))
		return -ETIMEDOUT;
	return 0;
}

/*
 * True: a waker has removed us from the queue. We must report that as a wake, whatever
 * else happened, or a wake(1) is lost. Checked under the lock, because the waker makes us
 * runnable before it removes us.
 */
static bool unqueue(struct wait_queue_head *wq, struct waiter *w)
{
	bool taken;

	__set_current_state(TASK_RUNNING);
	spin_lock_irq(&wq->lock);
	taken = list_empty(&w->entry.entry);
	list_del_init(&w->entry.entry);
	spin_unlock_irq(&wq->lock);
	return taken;
}

/* False: too many wait through this description. */
bool shmipc_wait_begin(struct shmipc_file *sf)
{
	if (atomic_inc_return(&sf->waits) <= SHMIPC_DEV_WAITS_MAX) {
		atomic_inc(&sf->seg->waiters);
		return true;
	}
	atomic_dec(&sf->waits);
	return false;
}

void shmipc_wait_end(struct shmipc_file *sf)
{
	atomic_dec(&sf->seg->waiters);
	atomic_dec(&sf->waits);
}

/* Return: see struct shmipc_dev_wait. */
int shmipc_wait(struct shmipc_file *sf, const struct shmipc_dev_wait *req)
{
	struct shmipc_segment *seg = sf->seg;
	struct waiter w = { .off = req->off, .peer = req->peer };
	struct wait_queue_head *wq = shmipc_wait_queue(seg, req->off);
	struct shmipc_watch watch;
	bool taken, moved;
	int err;

	if (shmipc_peer_is_fenced(sf, current->mm))
		return -ECONNRESET;
	err = shmipc_watch_init(&watch, seg, req->off, req->val, req->peer, req->peer_val);
	if (err)
		return err;
	if (!shmipc_wait_begin(sf)) {
		shmipc_watch_end(&watch);
		return -EBUSY;
	}

	init_wait(&w.entry);
	w.entry.func = wake_waiter;
	if (req->flags & SHMIPC_DEV_EXCLUSIVE)
		prepare_to_wait_exclusive(wq, &w.entry, TASK_INTERRUPTIBLE);
	else
		prepare_to_wait(wq, &w.entry, TASK_INTERRUPTIBLE);
	moved = shmipc_watch_moved(&watch);
	/* A sleeper needs no reference: it is woken when its page is removed. See pin.c. */
	shmipc_watch_end(&watch);
	if (moved || shmipc_peer_is_fenced(sf, current->mm)) {
		err = -EAGAIN;
	} else {
		trace_shmipc_wait(seg, req->off, req->val);
		err = sleep_until(req->deadline_ns);
	}
	taken = unqueue(wq, &w);
	shmipc_wait_end(sf);
	if (shmipc_peer_is_fenced(sf, current->mm)) {
		/* Not to look again. A wake for one is for another one. */
		if (taken && req->flags & SHMIPC_DEV_EXCLUSIVE)
			(void)shmipc_wake(seg, req->off, 1);
		err = -ECONNRESET;
	} else if (taken) {
		err = 0;
	} else if (!err && signal_pending(current)) {
		err = -ERESTARTSYS;
	}
	trace_shmipc_wait_end(seg, req->off, err);
	return err;
}

/* Wake @n exclusive sleepers of a word (0: all of them), and all that are not exclusive. */
u32 shmipc_wake(struct shmipc_segment *seg, u64 off, u32 n)
{
	struct shmipc_wake_key key = { .off = off, .slot = SHMIPC_DEV_NO_PEER };

	wake_queue(shmipc_wait_queue(seg, off), n, &key);
	trace_shmipc_wake(seg, off, key.woken);
	return key.woken;
}

static void wake_queues(struct shmipc_segment *seg, struct shmipc_wake_key *key)
{
	u32 i;

	for (i = 0; i < SHMIPC_BUCKETS; i++)
		wake_queue(&seg->bucket[i].wq, 0, key);
}

/* After a peer has attached, left or died, and its slot was written. */
void shmipc_wake_peer(struct shmipc_segment *seg, u32 slot)
{
	struct shmipc_wake_key key = {
		.off = SHMIPC_DEV_PEERS_OFF + (u64)slot * sizeof(struct shmipc_peer_slot) +
		       offsetof(struct shmipc_peer_slot, word),
		.slot = slot,
	};

	/* A reader of the new number sees the slot as it was written before. */
	atomic_fetch_inc_release((atomic_t *)peer_seq(seg));
	wake_queues(seg, &key);
}

/* After pages were removed. */
void shmipc_wake_all(struct shmipc_segment *seg)
{
	struct shmipc_wake_key key = { .all = true };

	wake_queues(seg, &key);
}

/*
 * Polling: pollers queue at the file, and the file has one entry in the word's queue,
 * so that the setting can change while they poll.
 */

static int wake_pollers(struct wait_queue_entry *entry, unsigned int mode, int flags, void *arg)
{
	struct shmipc_file *sf = container_of(entry, struct shmipc_file, poll_entry);
	struct shmipc_wake_key *key = arg;

	if (shmipc_wake_meant(key, READ_ONCE(sf->poll_off), READ_ONCE(sf->poll_peer)))
		wake_up_interruptible_poll(&sf->poll_wq, EPOLLIN | EPOLLRDNORM |
					   (key->slot == SHMIPC_DEV_NO_PEER ? 0 : EPOLLHUP));
	return 0;
}

void shmipc_poll_init(struct shmipc_file *sf)
{
	init_waitqueue_head(&sf->poll_wq);
	init_waitqueue_func_entry(&sf->poll_entry, wake_pollers);
}

/* file->lock is held, or the file is being released. */
static void poll_off_locked(struct shmipc_file *sf, struct shmipc_segment *seg)
{
	if (!sf->poll_on)
		return;
	WRITE_ONCE(sf->poll_on, false);
	remove_wait_queue(shmipc_wait_queue(seg, sf->poll_off), &sf->poll_entry);
}

void shmipc_poll_exit(struct shmipc_file *sf, struct shmipc_segment *seg)
{
	poll_off_locked(sf, seg);
}

int shmipc_poll_set(struct shmipc_file *sf, struct shmipc_segment *seg,
		    const struct shmipc_dev_poll *req)
{
	struct shmipc_watch watch;
	int err;

	if (req->flags & ~SHMIPC_DEV_POLL_ON || req->reserved)
		return -EINVAL;
	err = shmipc_watch_init(&watch, seg, req->off, req->val, req->peer, req->peer_val);
	if (err)
		return err;
	shmipc_watch_end(&watch);
	if (mutex_lock_killable(&sf->lock))
		return -EINTR;
	poll_off_locked(sf, seg);
	WRITE_ONCE(sf->poll_off, req->off);
	WRITE_ONCE(sf->poll_val, req->val);
	WRITE_ONCE(sf->poll_peer, req->peer);
	WRITE_ONCE(sf->poll_peer_val, req->peer_val);
	if (req->flags & SHMIPC_DEV_POLL_ON) {
		add_wait_queue(shmipc_wait_queue(seg, req->off), &sf->poll_entry);
		WRITE_ONCE(sf->poll_on, true);
	}
	mutex_unlock(&sf->lock);
	/* Pollers must compare again, with the new setting. */
	wake_up_interruptible_poll(&sf->poll_wq, EPOLLIN | EPOLLRDNORM | EPOLLHUP);
	return 0;
}

__poll_t shmipc_poll(struct file *file, struct poll_table_struct *table)
{
	struct shmipc_file *sf = file->private_data;
	struct shmipc_segment *seg = sf->seg;
	struct shmipc_watch watch;
	__poll_t events = 0;

	/* Queue, then read the words; the waker stores, then reads the queues. */
	poll_wait(file, &sf->poll_wq, table);
	if (READ_ONCE(sf->fenced))
		events = EPOLLERR;
	if (!READ_ONCE(sf->poll_on) ||
	    shmipc_watch_init(&watch, seg, READ_ONCE(sf->poll_off), READ_ONCE(sf->poll_val),
			      READ_ONCE(sf->poll_peer), READ_ONCE(sf->poll_peer_val)))
		return events;
	if (watch_word_moved(&watch))
		events |= EPOLLIN | EPOLLRDNORM;
	if (watch_peer_moved(&watch))
		events |= EPOLLHUP;
	shmipc_watch_end(&watch);
	return events;
}

#if IS_ENABLED(CONFIG_SHMIPC_KUNIT_TEST)
#include "wait_test.c"
#endif
