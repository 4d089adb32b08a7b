/* SPDX-License-Identifier: MIT */
/*
 * gather.bpf.h - events and histograms, by probes and by the module's tracepoints
 *
 * If both are attached, their programs share these maps.
 */
#ifndef TOOLS_TRACE_GATHER_BPF_H
#define TOOLS_TRACE_GATHER_BPF_H

#include "common.bpf.h"

const volatile __u32 mode;		/* enum trace_mode */
const volatile __u32 told;		/* 1 << enum trace_type, or-ed: events that are reported */
const volatile __u32 both;		/* probes and the module are listened to */

__u64 events_lost;			/* the ring buffer was full */
__u64 hists_lost;			/* no room for another peer's histogram */
__u64 unpaired;				/* ends of a duration without a known beginning */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct trace_hist_key);
	__type(value, struct trace_hist);
} hists SEC(".maps");

/* The beginning of a duration: of a message by its number, of a sleep or a wake by its word. */
struct begun_key {
	__u64 id;
	__u64 at;
	__u64 by;		/* slot or thread; 0: any */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct begun_key);
	__type(value, __u64);
} begun SEC(".maps");

/* Wakes; separate from sleeps, as their keys may be the same. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct begun_key);
	__type(value, __u64);
} wakes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u8);
} probed SEC(".maps");

static const struct trace_hist no_hist;

static __always_inline unsigned int log2_of(__u64 v)
{
	unsigned int r = 0;

	if (v >> 32)
		v >>= 32, r += 32;
	if (v >> 16)
		v >>= 16, r += 16;
	if (v >> 8)
		v >>= 8, r += 8;
	if (v >> 4)
		v >>= 4, r += 4;
	if (v >> 2)
		v >>= 2, r += 2;
	return r + (v >> 1 & 1);
}

static __always_inline unsigned int bucket_of(__u64 v)
{
	unsigned int l;

	if (v < TRACE_SUBS)
		return (unsigned int)v;
	l = log2_of(v);
	if (l >= TRACE_BITS)
		return TRACE_BUCKETS - 1;
	return (l - TRACE_SUB_BITS + 1) * TRACE_SUBS +
	       ((unsigned int)(v >> (l - TRACE_SUB_BITS)) & (TRACE_SUBS - 1));
}

static __always_inline void count_in(__u64 id, __u32 slot, const struct proc *proc, __u64 v)
{
	struct trace_hist_key key = { .id = id, .slot = slot, .pid = proc->pid };
	struct trace_hist *h = bpf_map_lookup_elem(&hists, &key);
	unsigned int b = bucket_of(v);

	if (!h) {
		bpf_map_update_elem(&hists, &key, &no_hist, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&hists, &key);
		if (!h) {
			__sync_fetch_and_add(&hists_lost, 1);
			return;
		}
		__builtin_memcpy(h->comm, proc->comm, sizeof(h->comm));
	}
	if (b >= TRACE_BUCKETS)
		return;		/* for the verifier */
	/* One end is one thread: no other writes its maximum. */
	__sync_fetch_and_add(&h->bucket[b], 1);
	__sync_fetch_and_add(&h->count, 1);
	__sync_fetch_and_add(&h->sum, v);
	if (v > h->max)
		h->max = v;
}

static __always_inline void begin(__u64 id, __u64 at, __u64 by)
{
	struct begun_key key = { .id = id, .at = at, .by = by };
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&begun, &key, &now, BPF_ANY);
}

/* When it began; 0: not seen. */
static __always_inline __u64 began(__u64 id, __u64 at, __u64 by, int once)
{
	struct begun_key key = { .id = id, .at = at, .by = by };
	__u64 *at_ns = bpf_map_lookup_elem(&begun, &key), ns = 0;

	if (at_ns)
		ns = *at_ns;
	if (at_ns && once)
		bpf_map_delete_elem(&begun, &key);
	return ns;
}

static __always_inline __u64 since(__u64 then, __u64 now)
{
	return then && now > then ? now - then : 0;
}

/* @arg: its @n arguments. */
static __always_inline int tell_args(__u32 type, __u64 id, __u64 slot, const struct proc *proc,
				     __u64 now, __u64 took, const __u64 *arg, unsigned int n)
{
	struct trace_event *e;
	unsigned int i;

	if (!(told & 1u << type))
		return 0;
	e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&events_lost, 1);
		return 0;
	}
	e->mono_ns = now;
	e->id = id;
	for (i = 0; i < TRACE_ARGS; i++)
		e->arg[i] = i < n ? arg[i] : 0;
	e->took_ns = took;
	e->type = type;
	e->slot = (__u32)slot;
	e->pid = proc->pid;
	e->tid = proc->tid;
	__builtin_memcpy(e->comm, proc->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static __always_inline int tell(__u32 type, __u64 id, __u64 slot, const struct proc *proc,
				__u64 now, __u64 took, __u64 a, __u64 b, __u64 c)
{
	const __u64 arg[] = { a, b, c };

	return tell_args(type, id, slot, proc, now, took, arg, 3);
}

/*
 * Do the probes of this process report its sleeps and wakes? Then the module's
 * tracepoints, which come after the probe in the same thread, must not report them again.
 */
static __always_inline void mark_probed(void)
{
	__u32 tgid = (__u32)(bpf_get_current_pid_tgid() >> 32);
	__u8 yes = 1;

	if (both && !bpf_map_lookup_elem(&probed, &tgid))
		bpf_map_update_elem(&probed, &tgid, &yes, BPF_ANY);
}

static __always_inline int is_probed(void)
{
	__u32 tgid = (__u32)(bpf_get_current_pid_tgid() >> 32);

	return both && bpf_map_lookup_elem(&probed, &tgid);
}

static __always_inline __u32 thread(void)
{
	return (__u32)bpf_get_current_pid_tgid();
}

/* How long the thread has slept, or how long it took to run again once it was woken. */
static __always_inline __u64 slept(__u64 id, __u64 slot, __u64 off, __u64 now)
{
	__u64 from = began(id, off, (__u64)thread() << 32 | (__u32)slot, 1);
	struct begun_key key = { .id = id, .at = off };
	__u64 *woken;

	if (mode != TRACE_WAKE_UP)
		return since(from, now);
	woken = bpf_map_lookup_elem(&wakes, &key);
	/* A wake before this sleep was for another sleeper. */
	return from && woken && *woken >= from ? since(*woken, now) : 0;
}

#endif /* TOOLS_TRACE_GATHER_BPF_H */
