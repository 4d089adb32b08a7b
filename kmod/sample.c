// SPDX-License-Identifier: GPL-2.0-only
/*
 * sample.c - periodic samples of the positions of every segment and peer
 *
 * For tracers: the first listener of the tracepoints shmipc_sample and
 * shmipc_sample_peer starts a timer, and the last one stops it. Without listeners
 * nothing runs.
 *
 * Samples are taken in the timer's soft interrupt: waking a thread would cost more than
 * reading ten peers. A round over all segments is divided into slices, and starts at a
 * multiple of 1/sample_hz seconds. After a slice the timer pauses for nine times the time
 * that the slice took, so the sampler uses at most a tenth of a CPU, regardless of the
 * number of segments and of the programs that listen. Rounds for which there is no time
 * are skipped; debugfs shows how many.
 */
#include <linux/hrtimer.h>
#include <linux/moduleparam.h>
#include <linux/sched/clock.h>
#include <linux/seq_file.h>

#include "compat.h"
#include "trace.h"

#define HZ_MAX		10000u
#define SHARE		10u	/* 1/SHARE of a CPU at most */
#define SLICE		1024u	/* cost of a slice; reading a free slot costs 1 */
#define PEER		16u	/* cost of reading a peer or a segment */

static unsigned int sample_hz = 100;

/* Protects starting and stopping the timer; the timer itself never takes it. */
static DEFINE_MUTEX(sample_lock);
static struct hrtimer timer;
static unsigned int listeners;
static bool running;
static bool closed;

/* Used by the timer alone; while it is stopped, protected by sample_lock. */
static struct {
	struct shmipc_table_at at;	/* the present segment */
	struct shmipc_bpf_state state;	/* of a partly sampled segment; id 0: none */
	u32 slot;			/* next slot to read in it */
	u32 seen;			/* attached peers read in it */
	unsigned int left;		/* cost left in this slice */
	ktime_t tick;			/* when the round was due */
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

/* The first slice is due at once; a round that was interrupted continues. */
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
	/* The timer may be set by the old rate, up to a second ahead. */
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
MODULE_PARM_DESC(sample_hz, "samples per second while a tracer listens, 1 to 10000 (100)");

/* Trace the peer in @slot. True if there is one. */
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

/* False: less than @cost is left of the slice. */
static bool spend(unsigned int cost)
{
	if (round.left < cost)
		return false;
	round.left -= cost;
	return true;
}

/* False: the slice is over; the next one continues here. */
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

/* When the next round is due: a multiple of the period after the last, not before @from. */
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

/* A listener is added to a tracepoint. Return: 0. */
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

/* A listener is removed. */
void shmipc_sample_unreg(void)
{
	mutex_lock(&sample_lock);
	if (!--listeners)
		stop_locked();
	mutex_unlock(&sample_lock);
}

/* tracefs removes the listeners of our tracepoints only after the module's exit. */
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
