// SPDX-License-Identifier: MIT
/*
 * trace.bpf.c - the eBPF side of `shmipc trace`: events, and histograms in the kernel
 *
 * There is a program for each probe of the library; the command loads those that the
 * mode needs. Events go through the ring buffer; histograms stay in the kernel, so that
 * millions of messages a second cost the command nothing.
 */
#include "gather.bpf.h"

/* What a publisher found in its way at its last try. */
struct full_seen {
	__u64 seq;
	__u64 blocker;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct begun_key);
	__type(value, struct full_seen);
} fulls SEC(".maps");

/* A probe that is only reported. */
static __always_inline int plain(__u32 type, __u64 id, const char *name, __u64 slot,
				 __u64 a, __u64 b, __u64 c)
{
	struct proc proc = {};

	if (!segment_wanted(id, name) || !process_wanted(&proc))
		return 0;
	return tell(type, id, slot, &proc, bpf_ktime_get_ns(), 0, a, b, c);
}

/* Messages */

struct batch {
	struct begun_key key;
	__u64 now;
};

static long begin_one(__u32 i, struct batch *b)
{
	bpf_map_update_elem(&begun, &b->key, &b->now, BPF_ANY);
	b->key.at++;
	return 0;
}

#define BATCH_MAX	4096	/* the most messages that the library publishes at once */

static __always_inline int published(__u32 type, __u64 id, const char *name, __u64 slot,
				     __u64 seq, __u64 bytes, __u64 n, __u64 times)
{
	struct batch b = {};

	if (mode == TRACE_EVENTS)
		return plain(type, id, name, slot, seq, bytes, n);
	/* Filters apply to the process that takes it, not to the publisher. */
	if (!segment_wanted(id, name))
		return 0;
	b.key.id = id;
	b.key.at = seq;
	b.now = bpf_ktime_get_ns();
	if (times <= 1)
		begin_one(0, &b);
	else
		bpf_loop(times < BATCH_MAX ? (__u32)times : BATCH_MAX, begin_one, &b, 0);
	return 0;
}

static __always_inline int taken(__u32 type, __u64 id, const char *name, __u64 slot,
				 __u64 seq, __u64 bytes, __u64 mono_ns)
{
	__u64 now = bpf_ktime_get_ns(), then = mono_ns;
	struct proc proc = {};

	if (!segment_wanted(id, name) || !process_wanted(&proc))
		return 0;
	if (mode == TRACE_EVENTS)
		return tell(type, id, slot, &proc, now, since(then, now), seq, bytes, mono_ns);
	if (!then)
		then = began(id, seq, 0, 0);	/* other subscribers may take it, too */
	if (!then)
		__sync_fetch_and_add(&unpaired, 1);
	else
		count_in(id, (__u32)slot, &proc, since(then, now));
	return 0;
}

SEC("usdt")
int BPF_USDT(on_publish, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 bytes, __u64 n)
{
	return published(TRACE_PUBLISH, id, name, slot, seq, bytes, n, n);
}

SEC("usdt")
int BPF_USDT(on_publish_some, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 bytes,
	     __u64 n)
{
	return published(TRACE_PUBLISH_SOME, id, name, slot, seq, bytes, n, 1);
}

SEC("usdt")
int BPF_USDT(on_take, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 bytes, __u64 mono_ns)
{
	return taken(TRACE_TAKE, id, name, slot, seq, bytes, mono_ns);
}

SEC("usdt")
int BPF_USDT(on_take_some, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 bytes,
	     __u64 mono_ns)
{
	return taken(TRACE_TAKE_SOME, id, name, slot, seq, bytes, mono_ns);
}

SEC("usdt")
int BPF_USDT(on_hold, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 bytes)
{
	begin(id, seq, slot);
	return mode == TRACE_EVENTS ? plain(TRACE_HOLD, id, name, slot, seq, bytes, 0) : 0;
}

SEC("usdt")
int BPF_USDT(on_release, __u64 id, const char *name, __u64 slot, __u64 seq)
{
	__u64 now = bpf_ktime_get_ns(), took = since(began(id, seq, slot, 1), now);
	struct proc proc = {};

	if (!segment_wanted(id, name) || !process_wanted(&proc))
		return 0;
	if (mode == TRACE_EVENTS)
		return tell(TRACE_RELEASE, id, slot, &proc, now, took, seq, 0, 0);
	if (took)
		count_in(id, (__u32)slot, &proc, took);
	else
		__sync_fetch_and_add(&unpaired, 1);
	return 0;
}

/* Sleeping */

SEC("usdt")
int BPF_USDT(on_wait, __u64 id, const char *name, __u64 slot, __u64 off, __u64 seq, __u64 role)
{
	mark_probed();
	begin(id, off, (__u64)thread() << 32 | (__u32)slot);
	return mode == TRACE_EVENTS ? plain(TRACE_WAIT, id, name, slot, off, seq, role) : 0;
}

SEC("usdt")
int BPF_USDT(on_wait_end, __u64 id, const char *name, __u64 slot, __u64 off, __u64 ret, __u64 role)
{
	__u64 now = bpf_ktime_get_ns(), took = slept(id, slot, off, now);
	struct proc proc = {};

	if (!segment_wanted(id, name) || !process_wanted(&proc))
		return 0;
	if (mode == TRACE_EVENTS)
		return tell(TRACE_WAIT_END, id, slot, &proc, now, took, off, ret, role);
	if (took)
		count_in(id, (__u32)slot, &proc, took);
	else if (mode == TRACE_SLEEP)
		__sync_fetch_and_add(&unpaired, 1);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_wake, __u64 id, const char *name, __u64 slot, __u64 off, __u64 seq)
{
	struct begun_key key = { .id = id, .at = off };
	__u64 now = bpf_ktime_get_ns();

	mark_probed();
	if (mode == TRACE_EVENTS)
		return plain(TRACE_WAKE, id, name, slot, off, seq, 0);
	bpf_map_update_elem(&wakes, &key, &now, BPF_ANY);
	return 0;
}

/* Failures, ends that come and go */

SEC("usdt")
int BPF_USDT(on_full, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 blocker, __u64 behind)
{
	struct begun_key key = { .id = id, .by = slot };
	struct full_seen now = { .seq = seq, .blocker = blocker }, *last;

	/* It tries again and again: only changes are reported. */
	last = bpf_map_lookup_elem(&fulls, &key);
	if (last && last->seq == seq && last->blocker == blocker)
		return 0;
	bpf_map_update_elem(&fulls, &key, &now, BPF_ANY);
	return plain(TRACE_FULL, id, name, slot, seq, blocker, behind);
}

SEC("usdt")
int BPF_USDT(on_gap, __u64 id, const char *name, __u64 slot, __u64 from, __u64 to, __u64 lost)
{
	return plain(TRACE_GAP, id, name, slot, from, to, lost);
}

SEC("usdt")
int BPF_USDT(on_evict, __u64 id, const char *name, __u64 slot, __u64 evicted, __u64 policy)
{
	return plain(TRACE_EVICT, id, name, slot, evicted, policy, 0);
}

SEC("usdt")
int BPF_USDT(on_fence, __u64 id, const char *name, __u64 slot, __u64 who, __u64 seq, __u64 ret)
{
	return plain(TRACE_FENCE, id, name, slot, who, seq, ret);
}

SEC("usdt")
int BPF_USDT(on_abort, __u64 id, const char *name, __u64 slot, __u64 dead, __u64 seq, __u64 n)
{
	return plain(TRACE_ABORT, id, name, slot, dead, seq, n);
}

SEC("usdt")
int BPF_USDT(on_death, __u64 id, const char *name, __u64 slot, __u64 dead, __u64 pid, __u64 role)
{
	return plain(TRACE_DEATH, id, name, slot, dead, pid, role);
}

SEC("usdt")
int BPF_USDT(on_attach, __u64 id, const char *name, __u64 slot, __u64 role, __u64 generation)
{
	return plain(TRACE_ATTACH, id, name, slot, role, generation, 0);
}

SEC("usdt")
int BPF_USDT(on_detach, __u64 id, const char *name, __u64 slot, __u64 role, __u64 generation)
{
	return plain(TRACE_DETACH, id, name, slot, role, generation, 0);
}

/* Needed for kernel helpers that are for GPL-compatible programs only. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
