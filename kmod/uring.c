// SPDX-License-Identifier: GPL-2.0-only
/*
 * uring.c - WAIT as a command of io_uring: the same wait, without a thread
 *
 * It ends with the first of: a wake, a peer that attaches, leaves or dies, the
 * deadline, the process closing the descriptor, cancellation by io_uring.
 * The first claims the wait, and the wait is completed in the submitter's context.
 */
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "shmipc.h"

struct uring_wait {
	struct wait_queue_entry entry;
	struct hrtimer timer;
	struct list_head node;		/* file->uring_lock */
	struct io_uring_cmd *cmd;
	struct shmipc_file *sf;
	struct shmipc_segment *seg;	/* exists: the command holds the file */
	fl_owner_t owner;		/* compared, never dereferenced */
	refcount_t refs;		/* one of the issuing code, one of the claiming code */
	atomic_t claimed;
	u64 off;
	u32 peer;
	int result;
};

/* How many waits a close cancels at a time with interrupts off. */
#define CANCEL_BATCH	64

static struct uring_wait **wait_of(struct io_uring_cmd *cmd)
{
	BUILD_BUG_ON(sizeof(struct uring_wait *) > sizeof(cmd->pdu));
	return (struct uring_wait **)(void *)cmd->pdu;
}

/* In the submitter's context, once. */
static void wait_complete(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct uring_wait *w = *wait_of(cmd);
	int result = w->result;

	remove_wait_queue(shmipc_wait_queue(w->seg, w->off), &w->entry);
	hrtimer_cancel(&w->timer);
	spin_lock_irq(&w->sf->uring_lock);
	list_del_init(&w->node);
	spin_unlock_irq(&w->sf->uring_lock);
	shmipc_wait_end(w->sf);
	/* Until this returns io_uring may cancel it, with the pointer to the wait. */
	shmipc_uring_done(cmd, result, issue_flags);
	kfree(w);
}

SHMIPC_URING_TASK_WORK(wait_complete_work, wait_complete)

/*
 * The last of two completes it: the code that issues the wait, when it is set up,
 * and the code that ends it, possibly while it is being set up.
 */
static void wait_put(struct uring_wait *w)
{
	if (refcount_dec_and_test(&w->refs))
		io_uring_cmd_complete_in_task(w->cmd, wait_complete_work);
}

/* End the wait, from any context. False: it has been claimed before. */
static bool wait_claim(struct uring_wait *w, int result)
{
	if (atomic_xchg(&w->claimed, 1))
		return false;
	w->result = result;
	wait_put(w);
	return true;
}

static int wait_wake(struct wait_queue_entry *entry, unsigned int mode, int flags, void *arg)
{
	struct uring_wait *w = container_of(entry, struct uring_wait, entry);
	struct shmipc_wake_key *key = arg;

	if (!shmipc_wake_meant(key, w->off, w->peer) || !wait_claim(w, 0))
		return 0;
	key->woken++;
	return 1;
}

static enum hrtimer_restart wait_expire(struct hrtimer *timer)
{
	(void)wait_claim(container_of(timer, struct uring_wait, timer), -ETIMEDOUT);
	return HRTIMER_NORESTART;
}

static struct uring_wait *wait_new(struct io_uring_cmd *cmd, struct shmipc_file *sf,
				   struct shmipc_segment *seg, const struct shmipc_dev_wait *req)
{
	struct uring_wait *w = kzalloc(sizeof(*w), SHMIPC_GFP);

	if (!w)
		return NULL;
	init_waitqueue_func_entry(&w->entry, wait_wake);
	if (req->flags & SHMIPC_DEV_EXCLUSIVE)
		w->entry.flags |= WQ_FLAG_EXCLUSIVE;
	shmipc_hrtimer_setup(&w->timer, wait_expire, HRTIMER_MODE_ABS);
	w->cmd = cmd;
	w->sf = sf;
	w->seg = seg;
	w->owner = current->files;
	w->off = req->off;
	w->peer = req->peer;
	refcount_set(&w->refs, 2);
	*wait_of(cmd) = w;
	return w;
}

static void wait_start(struct uring_wait *w, const struct shmipc_dev_wait *req)
{
	struct wait_queue_head *wq = shmipc_wait_queue(w->seg, w->off);

	spin_lock_irq(&w->sf->uring_lock);
	list_add(&w->node, &w->sf->uring_waits);
	spin_unlock_irq(&w->sf->uring_lock);
	if (w->entry.flags & WQ_FLAG_EXCLUSIVE)
		add_wait_queue_exclusive(wq, &w->entry);
	else
		add_wait_queue(wq, &w->entry);
	if (req->deadline_ns != U64_MAX)
		hrtimer_start(&w->timer, shmipc_deadline_host(req->deadline_ns), HRTIMER_MODE_ABS);
}

static int uring_wait_issue(struct io_uring_cmd *cmd, struct shmipc_file *sf,
			    struct shmipc_segment *seg, unsigned int issue_flags)
{
	struct shmipc_dev_wait req;
	struct shmipc_watch watch;
	struct uring_wait *w;
	u64 uptr;
	int err;

	memcpy(&uptr, shmipc_uring_bytes(cmd), sizeof(uptr));
	err = shmipc_wait_read(&req, u64_to_user_ptr(uptr));
	if (err)
		return err;
	if (shmipc_peer_is_fenced(sf, current->mm))
		return -ECONNRESET;
	err = shmipc_watch_init(&watch, seg, req.off, req.val, req.peer, req.peer_val);
	if (err)
		return err;
	if (!shmipc_wait_begin(sf)) {
		shmipc_watch_end(&watch);
		return -EBUSY;
	}
	w = wait_new(cmd, sf, seg, &req);
	if (!w) {
		shmipc_wait_end(sf);
		shmipc_watch_end(&watch);
		return -ENOMEM;
	}
	shmipc_uring_cancelable(cmd, issue_flags);
	wait_start(w, &req);
	/* Queue, then read the words; the waker stores, then reads the queue. */
	smp_mb();
	if (shmipc_peer_is_fenced(sf, current->mm))
		(void)wait_claim(w, -ECONNRESET);
	else if (shmipc_watch_moved(&watch))
		(void)wait_claim(w, -EAGAIN);
	shmipc_watch_end(&watch);
	wait_put(w);
	return -EIOCBQUEUED;
}

int shmipc_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct shmipc_file *sf = cmd->file->private_data;

	if (!SHMIPC_HAS_URING)
		return -EOPNOTSUPP;
	if (shmipc_uring_is_cancel(issue_flags)) {
		(void)wait_claim(*wait_of(cmd), -ECANCELED);
		return 0;
	}
	if (cmd->cmd_op != SHMIPC_IOC_WAIT)
		return -EOPNOTSUPP;
	return uring_wait_issue(cmd, sf, sf->seg, issue_flags);
}

/* Up to CANCEL_BATCH waits of @id. Return: how many. */
static unsigned int cancel_some(struct shmipc_file *sf, fl_owner_t id)
{
	struct uring_wait *w, *next;
	unsigned int n = 0;

	spin_lock_irq(&sf->uring_lock);
	list_for_each_entry_safe(w, next, &sf->uring_waits, node) {
		if (w->owner != id)
			continue;
		list_del_init(&w->node);
		(void)wait_claim(w, -ECANCELED);
		if (++n == CANCEL_BATCH)
			break;
	}
	spin_unlock_irq(&sf->uring_lock);
	return n;
}

/*
 * Runs at every close, also of a process that is killed. Otherwise its waits would
 * hold the file, and would never end.
 */
void shmipc_uring_flush(struct shmipc_file *sf, fl_owner_t id)
{
	while (cancel_some(sf, id) == CANCEL_BATCH)
		cond_resched();
}
