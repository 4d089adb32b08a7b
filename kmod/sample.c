// SPDX-License-Identifier: GPL-2.0-only
/*
 * sample.c - periodic samples of the positions of every segment and peer
 *
 * For tracers: the tracepoints shmipc_sample and shmipc_sample_peer start a timer
 * with their first listener and stop it with their last. Without a listener there
 * is no timer and nothing runs.
 *
 * It runs in the timer's soft interrupt: waking a thread would cost more than reading
 * ten peers. A round over all segments is done in slices, and starts on a grid of
 * 1/sample_hz seconds. After a slice it pauses for nine times the time that the slice
 * took, so it uses at most a tenth of a CPU, however many segments there are and
 * whatever programs listen. Rounds for which there is no time are skipped; debugfs
 * shows how many.
 */
#include <linux/hrtimer.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "trace.h"

#define HZ_MAX		10000u
#define SHARE		10u	/* one part in so many of a CPU, at most */
#define SLICE		1024u	/* free slots looked at without letting others run */
#define PEER		16u	/* a peer, or a segment, costs as much as so many of them */

static unsigned int sample_hz = 100;

/* Of the timer's coming and going; the timer itself never takes it. */
static DEFINE_MUTEX(sample_lock);
static struct hrtimer timer;
static unsigned int listeners;
static bool running;
static bool closed;

/* The timer's alone, and while it is stopped sample_lock's. */
static struct {
	struct shmipc_table_at at;	/* where it is */
	struct shmipc_bpf_state state;	/* of the segment that it is in the middle of; its id, or 0 */
	u32 slot;			/* of that, next to be looked at */
	u32 seen;			/* of that: attached peers */
	unsigned int left;		/* of this slice */
	ktime_t tick;			/* when the round should have begun */
} round;

/* Written by the timer alone. */
static struct {
	u64 ticks;
	u64 skipped;
	u64 segments;
	u64 peers;
	u64 cpu_ns;
} count;

#define COUNT(what, n)	WRITE_ONCE(count.what, count.what + (n))

/* It continues where it was, and at once. */
static void start_locked(void)
{
	round.tick = ktime_get();
	hrtimer_start(&timer, round.tick, HRTIMER_MODE_ABS_SOFT);
	running = true;
}

static void stop_locked(void)
{
	if (running)
		hrtimer_cancel(&timer);
	running = false;
}

static int hz_set(const char *text, const struct kernel_param *kp)
{
	unsigned int hz;

	if (kstrtouint(text, 0, &hz) || !hz || hz > HZ_MAX) {
		pr_err("shmipc: sample_hz=%.*s: expected a whole number from 1 to %u (EINVAL)\n",
		       (int)min_t(size_t, strcspn(text, "\n"), 20), text, HZ_MAX);
		return -EINVAL;
	}
	mutex_lock(&sample_lock);
	WRITE_ONCE(sample_hz, hz);
	/* It may wait by the old rate, for up to a second. */
	if (running) {
		stop_locked();
		start_locked();
	}
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

/* True if there is a peer in @slot. */
static bool sample_peer(const struct shmipc_segment *seg, u32 slot)
{
	const struct shmipc_peer *peer;
	struct shmipc_bpf_peer now;

	rcu_read_lock();
	peer = shmipc_state_attached(seg, slot);
	if (peer) {
		shmipc_state_peer(seg, peer, &now);
		shmipc_state_slowest(&round.state, &now);
		trace_shmipc_sample_peer(seg, peer, &now);
	}
	rcu_read_unlock();
	return peer;
}

/* False: that is more than is left of the slice. */
static bool spend(unsigned int cost)
{
	if (round.left < cost)
		return false;
	round.left -= cost;
	return true;
}

/* False: the slice is over, and it goes on here. */
static bool sample_segment(const struct shmipc_segment *seg)
{
	if (round.state.id != shmipc_segment_id(seg)) {
		shmipc_state_read(seg, &round.state);
		round.slot = 0;
		round.seen = 0;
	}
	for (; round.slot < seg->peers && round.seen < round.state.attached; round.slot++) {
		/* Was the slot ever taken? */
		bool used = rcu_access_pointer(seg->slot[round.slot]);

		if (!spend(used ? PEER : 1))
			return false;
		if (used)
			round.seen += sample_peer(seg, round.slot);
	}
	if (!spend(PEER))
		return false;
	trace_shmipc_sample(seg, &round.state);
	COUNT(segments, 1);
	COUNT(peers, round.seen);
	round.state.id = 0;
	return true;
}

/* When the next round begins: at a tick of the grid, not before @from. */
static ktime_t next_tick(ktime_t from, u64 period)
{
	u64 ticks = 1;

	if (ktime_after(from, ktime_add_ns(round.tick, period)))
		ticks = DIV64_U64_ROUND_UP(ktime_to_ns(ktime_sub(from, round.tick)), period);
	COUNT(ticks, 1);
	COUNT(skipped, ticks - 1);
	round.tick = ktime_add_ns(round.tick, ticks * period);
	return round.tick;
}

static enum hrtimer_restart sample_slice(struct hrtimer *unused)
{
	u64 began = local_clock(), period = NSEC_PER_SEC / READ_ONCE(sample_hz), ran;
	ktime_t due;
	bool whole;

	round.left = SLICE;
	whole = shmipc_table_walk(&round.at, sample_segment);
	ran = local_clock() - began;
	COUNT(cpu_ns, ran);
	due = ktime_add_ns(ktime_get(), (SHARE - 1) * ran);
	if (whole)
		due = next_tick(due, period);
	hrtimer_set_expires_range_ns(&timer, due, min_t(u64, period / 64, NSEC_PER_MSEC));
	return HRTIMER_RESTART;
}

/* Somebody listens to a tracepoint. Return: 0. */
int shmipc_sample_reg(void)
{
	mutex_lock(&sample_lock);
	if (!listeners++ && !closed) {
		memset(&round, 0, sizeof(round));
		shmipc_hrtimer_setup(&timer, sample_slice, HRTIMER_MODE_ABS_SOFT);
		start_locked();
	}
	mutex_unlock(&sample_lock);
	return 0;
}

/* A listener has gone. */
void shmipc_sample_unreg(void)
{
	mutex_lock(&sample_lock);
	if (!--listeners)
		stop_locked();
	mutex_unlock(&sample_lock);
}

/* tracefs releases our tracepoints only after the module's exit. */
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
	seq_printf(m, "running:\t%u\n", running);
	mutex_unlock(&sample_lock);
	seq_printf(m, "hz:\t%u\n", READ_ONCE(sample_hz));
	seq_printf(m, "ticks:\t%llu\n", READ_ONCE(count.ticks));
	seq_printf(m, "skipped:\t%llu\n", READ_ONCE(count.skipped));
	seq_printf(m, "segments:\t%llu\n", READ_ONCE(count.segments));
	seq_printf(m, "peers:\t%llu\n", READ_ONCE(count.peers));
	seq_printf(m, "cpu-ns:\t%llu\n", READ_ONCE(count.cpu_ns));
}
