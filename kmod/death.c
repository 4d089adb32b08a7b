// SPDX-License-Identifier: GPL-2.0-only
/*
 * death.c - receipts: which peer died, when, how, and how far it had come
 *
 * A receipt is a part of the peer, so a death needs no memory. The segment keeps the
 * peers that died last by references to them, and a reader counts on from the number of
 * the last receipt that it has seen.
 *
 * How a process died is in the signal_struct of its thread group, which can be found
 * until it is reaped. It is asked there and not in the current task, because an address
 * space may end in another process that had held it.
 */
#include <linux/nospec.h>
#include <linux/oom.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/time_namespace.h>
#include <linux/timekeeping.h>

#include "shmipc.h"

#define CODE_SIGNAL	0x7f	/* of an exit code as wait(2) returns it */
#define CODE_CORE	0x80
#define CODE_STATUS	8

/*
 * The exit code of a thread group that ends. Its flags and code are changed together,
 * under a lock that belongs to no group for good: lock_task_sighand() is not exported.
 * The caller is in an RCU read section. Return: false if it does not end, or is gone.
 */
static bool exit_code_of(struct task_struct *leader, int *ret)
{
	struct sighand_struct *sighand;
	unsigned long flags;
	bool ends;

	for (;;) {
		sighand = rcu_dereference(leader->sighand);
		if (!sighand)
			return false;
		spin_lock_irqsave(&sighand->siglock, flags);
		if (sighand == rcu_access_pointer(leader->sighand))
			break;
		spin_unlock_irqrestore(&sighand->siglock, flags);
	}
	ends = leader->signal->flags & SIGNAL_GROUP_EXIT;
	*ret = leader->signal->group_exit_code;
	spin_unlock_irqrestore(&sighand->siglock, flags);
	return ends;
}

/* Does its process run, or is about to run, another program than when it attached? */
static bool has_execed(const struct shmipc_peer *peer, struct task_struct *leader)
{
	struct task_struct *t;

	if (READ_ONCE(leader->self_exec_id) != peer->exec_id)
		return true;
	/* The number changes after the address space does, and that after files are closed. */
	if (same_thread_group(leader, current) && current->in_execve)
		return true;
	for_each_thread(leader, t) {
		struct mm_struct *mm = READ_ONCE(t->mm);

		if (mm && mm != peer->mm)
			return true;
	}
	return false;
}

static void ask(const struct shmipc_peer *peer, struct task_struct *leader,
		struct shmipc_death *ret)
{
	int code;

	if (has_execed(peer, leader)) {
		ret->how = SHMIPC_DEATH_EXEC;
		return;
	}
	if (!exit_code_of(leader, &code))
		return;
	if (tsk_is_oom_victim(leader))
		ret->flags |= SHMIPC_DEATH_OOM;
	if (code & CODE_CORE)
		ret->flags |= SHMIPC_DEATH_CORE;
	ret->how = code & CODE_SIGNAL ? SHMIPC_DEATH_SIGNAL : SHMIPC_DEATH_EXIT;
	ret->code = code & CODE_SIGNAL ?: code >> CODE_STATUS & 0xff;
}

/**
 * shmipc_death_ask - how does this peer die?
 * @peer: the caller has a reference
 * @how:  what the caller knows itself; otherwise UNKNOWN, and its process is asked
 * @ret:  filled in, except for what the moment of the death decides
 */
void shmipc_death_ask(const struct shmipc_peer *peer, enum shmipc_death_how how,
		      struct shmipc_death *ret)
{
	struct task_struct *leader;

	memset(ret, 0, sizeof(*ret));
	ret->how = how;
	if (how != SHMIPC_DEATH_UNKNOWN)
		return;
	rcu_read_lock();
	leader = pid_task(peer->pid, PIDTYPE_TGID);
	if (leader)
		ask(peer, leader, ret);
	rcu_read_unlock();
}

/*
 * Keep the receipt, before another can take the role and move its positions. *@ret_old
 * is the peer whose receipt is overwritten, or NULL; the caller puts it.
 */
void shmipc_death_keep_locked(struct shmipc_segment *seg, struct shmipc_peer *peer,
			      const struct shmipc_death *death, struct shmipc_peer **ret_old)
{
	u32 at = seg->deaths++ % SHMIPC_DEV_DEATHS_KEPT;

	lockdep_assert_held(&seg->lock);
	peer->death = *death;
	peer->death.seq = seg->deaths;
	peer->death.at_ns = ktime_get_real_ns();
	peer->death.mono_ns = ktime_get_ns();
	if (peer->cut)
		peer->death.flags |= SHMIPC_DEATH_CUT;
	shmipc_state_peer(seg, peer, &peer->death.last);
	shmipc_peer_get(peer);
	*ret_old = seg->dead[at];
	seg->dead[at] = peer;
}

/* Nobody uses the segment any more. */
void shmipc_death_free(struct shmipc_segment *seg)
{
	u32 i;

	for (i = 0; i < SHMIPC_DEV_DEATHS_KEPT; i++)
		if (seg->dead[i])
			shmipc_peer_put(seg->dead[i]);
}

/* As the caller sees processes, users and clocks. */
static void describe(const struct shmipc_peer *peer, struct shmipc_dev_death *ret)
{
	const struct shmipc_death *d = &peer->death;
	struct timespec64 mono = ns_to_timespec64(d->mono_ns);

	timens_add_monotonic(&mono);
	*ret = (struct shmipc_dev_death){
		.seq		= d->seq,
		.how		= d->how,
		.code		= d->code,
		.flags		= d->flags,
		.pid		= pid_nr_ns(peer->pid, task_active_pid_ns(current)),
		.uid		= from_kuid_munged(current_user_ns(), peer->uid),
		.role		= peer->role,
		.slot		= peer->slot,
		.caps		= peer->caps,
		.generation	= peer->generation,
		.start_ns	= timens_add_boottime_ns(peer->start_ns),
		.since_ns	= peer->since_ns,
		.at_ns		= d->at_ns,
		.mono_ns	= timespec64_to_ns(&mono),
		.pos		= d->last.pos,
		.messages	= d->last.messages,
		.lag		= d->last.lag,
		.behind		= d->last.behind,
		.lost		= d->last.lost,
		.holding	= d->last.holding,
		.policy		= d->last.policy,
		.group		= d->last.group,
		.waits_for	= d->last.waits_for,
	};
	memcpy(ret->comm, peer->comm, sizeof(ret->comm));
}

/* The first receipt after number @after that is still kept. Return: false if none is. */
bool shmipc_death_next(struct shmipc_segment *seg, u64 after, struct shmipc_dev_death *ret)
{
	bool found = false;
	u64 seq;

	spin_lock(&seg->lock);
	if (after < seg->deaths) {
		seq = after + 1;
		if (seg->deaths - after > SHMIPC_DEV_DEATHS_KEPT)
			seq = seg->deaths - SHMIPC_DEV_DEATHS_KEPT + 1;
		describe(seg->dead[array_index_nospec((seq - 1) % SHMIPC_DEV_DEATHS_KEPT,
						      SHMIPC_DEV_DEATHS_KEPT)], ret);
		found = true;
	}
	spin_unlock(&seg->lock);
	return found;
}

/* Deaths so far. */
u64 shmipc_death_count(struct shmipc_segment *seg)
{
	u64 n;

	spin_lock(&seg->lock);
	n = seg->deaths;
	spin_unlock(&seg->lock);
	return n;
}
