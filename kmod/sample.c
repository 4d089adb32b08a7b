// SPDX-License-Identifier: GPL-2.0-only
/*
 * sample.c - says again and again how far every segment and every peer is
 *
 * For who traces: the tracepoints shmipc_sample and shmipc_sample_peer start a
 * thread with their first listener and end it with their last. Nobody listens:
 * no thread, nothing runs.
 *
 * The thread keeps to a grid of 1/sample_hz seconds, and leaves out what would
 * take more than about a tenth of a CPU, whatever there is to look at and whatever
 * programs listen; debugfs says how often that was.
 */
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "trace.h"

#define HZ_MAX		10000u
#define SHARE		10u	/* one part in so many of a CPU, at most */
#define PEERS_AT_ONCE	64u	/* looked at without letting others run */

static unsigned int sample_hz = 100;

/* Of the thread's coming and going; the thread itself never takes it. */
static DEFINE_MUTEX(sample_lock);
static struct task_struct *sampler;
static unsigned int listeners;
static bool closed;

/* Written by the thread alone. */
static struct {
	u64 ticks;
	u64 skipped;
	u64 segments;
	u64 peers;
	u64 cpu_ns;
} count;

#define COUNT(what, n)	WRITE_ONCE(count.what, count.what + (n))

static int hz_set(const char *text, const struct kernel_param *kp)
{
	unsigned int hz;

	if (kstrtouint(text, 0, &hz) || !hz || hz > HZ_MAX) {
		pr_err("shmipc: sample_hz=%.*s: wants a whole number from 1 to %u (EINVAL)\n",
		       (int)min_t(size_t, strcspn(text, "\n"), 20), text, HZ_MAX);
		return -EINVAL;
	}
	mutex_lock(&sample_lock);
	WRITE_ONCE(sample_hz, hz);
	/* It may sleep by the old rate, for up to a second. */
	if (sampler)
		wake_up_process(sampler);
	mutex_unlock(&sample_lock);
	return 0;
}

static const struct kernel_param_ops hz_ops = {
	.set = hz_set,
	.get = param_get_uint,
};
module_param_cb(sample_hz, &hz_ops, &sample_hz, 0644);
__MODULE_PARM_TYPE(sample_hz, "uint");
MODULE_PARM_DESC(sample_hz, "samples a second while somebody listens, 1 to 10000 (100)");

/* True if there is somebody in @slot. */
static bool sample_peer(const struct shmipc_segment *seg, u32 slot, struct shmipc_bpf_state *state)
{
	const struct shmipc_peer *peer;
	struct shmipc_bpf_peer now;

	rcu_read_lock();
	peer = shmipc_state_attached(seg, slot);
	if (peer) {
		shmipc_state_peer(seg, peer, &now);
		shmipc_state_slowest(state, &now);
		trace_shmipc_sample_peer(seg, peer, &now);
	}
	rcu_read_unlock();
	return peer;
}

/* False: enough. The segment stays while we are here. */
static bool sample_segment(const struct shmipc_segment *seg)
{
	struct shmipc_bpf_state state;
	u32 i, seen = 0;

	if (kthread_should_stop())
		return false;
	shmipc_state_read(seg, &state);
	for (i = 0; i < seg->peers && seen < state.attached; i++) {
		seen += sample_peer(seg, i, &state);
		if (i % PEERS_AT_ONCE == PEERS_AT_ONCE - 1)
			cond_resched();
	}
	trace_shmipc_sample(seg, &state);
	COUNT(segments, 1);
	COUNT(peers, seen);
	return true;
}

/* False: the rate is no longer @hz. Also ends when the thread should. */
static bool sleep_until(ktime_t due, unsigned int hz)
{
	u64 slack = min_t(u64, NSEC_PER_SEC / hz / 16, NSEC_PER_MSEC);

	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop() || READ_ONCE(sample_hz) != hz || ktime_get() >= due)
			break;
		schedule_hrtimeout_range(&due, slack, HRTIMER_MODE_ABS);
	}
	__set_current_state(TASK_RUNNING);
	return READ_ONCE(sample_hz) == hz;
}

/*
 * Until the next tick of the grid that has one at @last; @spent is what we had run
 * for at the beginning of that. The scheduler brings what we have run for up to
 * date when we sleep. So we look at it after that, and only once: the sleep that
 * makes up for it costs something, too.
 *
 * Return: that tick.
 */
static ktime_t sample_sleep(ktime_t last, u64 spent)
{
	unsigned int hz = READ_ONCE(sample_hz);
	u64 period = NSEC_PER_SEC / hz, ran, ticks;
	bool same = sleep_until(ktime_add_ns(last, period), hz);

	if (same) {
		ran = READ_ONCE(current->se.sum_exec_runtime) - spent;
		same = sleep_until(ktime_add_ns(last, SHARE * ran), hz);
	}
	if (!same)
		return ktime_get();
	ticks = div64_u64(ktime_sub(ktime_get(), last), period);
	if (ticks > 1)
		COUNT(skipped, ticks - 1);
	return ktime_add_ns(last, ticks * period);
}

static int sample_run(void *unused)
{
	u64 spent = READ_ONCE(current->se.sum_exec_runtime), now;
	ktime_t tick = ktime_get();

	while (!kthread_should_stop()) {
		shmipc_table_each(sample_segment);
		COUNT(ticks, 1);
		tick = sample_sleep(tick, spent);
		now = READ_ONCE(current->se.sum_exec_runtime);
		COUNT(cpu_ns, now - spent);
		spent = now;
	}
	return 0;
}

/* Somebody listens to a tracepoint. Return: 0; -ENOMEM, -EINTR: no thread. */
int shmipc_sample_reg(void)
{
	struct task_struct *task;
	int err = 0;

	mutex_lock(&sample_lock);
	if (!listeners && !closed) {
		task = kthread_run(sample_run, NULL, "shmipc_sample");
		if (IS_ERR(task))
			err = PTR_ERR(task);
		else
			sampler = task;
	}
	if (!err)
		listeners++;
	mutex_unlock(&sample_lock);
	return err;
}

static void stop_locked(void)
{
	if (sampler)
		kthread_stop(sampler);
	sampler = NULL;
}

/* And somebody does no longer. */
void shmipc_sample_unreg(void)
{
	mutex_lock(&sample_lock);
	if (!--listeners)
		stop_locked();
	mutex_unlock(&sample_lock);
}

/* tracefs lets go of our tracepoints only after the module's exit. */
void shmipc_sample_exit(void)
{
	mutex_lock(&sample_lock);
	closed = true;
	stop_locked();
	mutex_unlock(&sample_lock);
}

void shmipc_sample_show(struct seq_file *m)
{
	mutex_lock(&sample_lock);
	seq_printf(m, "listening:\t%u\n", listeners);
	seq_printf(m, "running:\t%u\n", !!sampler);
	mutex_unlock(&sample_lock);
	seq_printf(m, "hz:\t%u\n", READ_ONCE(sample_hz));
	seq_printf(m, "ticks:\t%llu\n", READ_ONCE(count.ticks));
	seq_printf(m, "skipped:\t%llu\n", READ_ONCE(count.skipped));
	seq_printf(m, "segments:\t%llu\n", READ_ONCE(count.segments));
	seq_printf(m, "peers:\t%llu\n", READ_ONCE(count.peers));
	seq_printf(m, "cpu-ns:\t%llu\n", READ_ONCE(count.cpu_ns));
}
