// SPDX-License-Identifier: MIT
/*
 * trace.bpf.c - the eBPF side of `shmipc trace`: events, and histograms in the kernel
 *
 * One program for each probe of the library; the command loads those that the
 * present mode needs. An event goes through the ring buffer; a histogram stays in
 * the kernel, so that millions of messages a second cost the command nothing.
 */
#include "common.bpf.h"

const volatile __u32 mode;		/* enum trace_mode */

__u64 events_lost;			/* the ring buffer was full */
__u64 hists_lost;			/* no room for another peer's histogram */
__u64 unpaired;				/* the end of something whose beginning was not seen */

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

/* When something began: a message by its number, a sleep or a wake by its word. */
struct begun_key {
	__u64 id;
	__u64 at;
	__u64 by;		/* who: slot or thread; 0: it matters to all */
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct begun_key);
	__type(value, __u64);
} begun SEC(".maps");

/* Wakes, apart from the sleeps: their keys may be the same. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct begun_key);
	__type(value, __u64);
} wakes SEC(".maps");

/* What a publisher was last told to be in its way. */
struct full_seen {
	__u64 seq;
	__u64 who;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct begun_key);
	__type(value, struct full_seen);
} fulls SEC(".maps");

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

static __always_inline void count_in(__u64 id, __u32 slot, const struct who *who, __u64 v)
{
	struct trace_hist_key key = { .id = id, .slot = slot, .pid = who->pid };
	struct trace_hist *h = bpf_map_lookup_elem(&hists, &key);
	unsigned int b = bucket_of(v);

	if (!h) {
		bpf_map_update_elem(&hists, &key, &no_hist, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&hists, &key);
		if (!h) {
			__sync_fetch_and_add(&hists_lost, 1);
			return;
		}
		__builtin_memcpy(h->comm, who->comm, sizeof(h->comm));
	}
	if (b >= TRACE_BUCKETS)
		return;		/* for the verifier */
	/* One end is one thread: nobody else writes its maximum. */
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

/* When that was; 0: not seen. */
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

/* @a to @c: as the probe has them. */
static __always_inline int tell(__u32 type, __u64 id, __u64 slot, const struct who *who,
				__u64 now, __u64 took, __u64 a, __u64 b, __u64 c)
{
	struct trace_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		__sync_fetch_and_add(&events_lost, 1);
		return 0;
	}
	e->mono_ns = now;
	e->id = id;
	e->arg[0] = a;
	e->arg[1] = b;
	e->arg[2] = c;
	e->took_ns = took;
	e->type = type;
	e->slot = (__u32)slot;
	e->pid = who->pid;
	e->tid = who->tid;
	__builtin_memcpy(e->comm, who->comm, sizeof(e->comm));
	bpf_ringbuf_submit(e, 0);
	return 0;
}

/* A probe of which nothing is asked but to be told. */
static __always_inline int plain(__u32 type, __u64 id, const char *name, __u64 slot,
				 __u64 a, __u64 b, __u64 c)
{
	struct who who = {};

	if (!segment_wanted(id, name) || !process_wanted(&who))
		return 0;
	return tell(type, id, slot, &who, bpf_ktime_get_ns(), 0, a, b, c);
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

#define BATCH_MAX	4096	/* messages that the library publishes at once */

static __always_inline int published(__u32 type, __u64 id, const char *name, __u64 slot,
				     __u64 seq, __u64 bytes, __u64 n, __u64 times)
{
	struct batch b = {};

	if (mode == TRACE_EVENTS)
		return plain(type, id, name, slot, seq, bytes, n);
	/* Whoever takes it is asked for, or not; not who publishes it. */
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
	struct who who = {};

	if (!segment_wanted(id, name) || !process_wanted(&who))
		return 0;
	if (mode == TRACE_EVENTS)
		return tell(type, id, slot, &who, now, since(then, now), seq, bytes, mono_ns);
	if (!then)
		then = began(id, seq, 0, 0);	/* others may take it, too */
	if (!then)
		__sync_fetch_and_add(&unpaired, 1);
	else
		count_in(id, (__u32)slot, &who, since(then, now));
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
	struct who who = {};

	if (!segment_wanted(id, name) || !process_wanted(&who))
		return 0;
	if (mode == TRACE_EVENTS)
		return tell(TRACE_RELEASE, id, slot, &who, now, took, seq, 0, 0);
	if (took)
		count_in(id, (__u32)slot, &who, took);
	else
		__sync_fetch_and_add(&unpaired, 1);
	return 0;
}

/* Sleeping */

static __always_inline __u32 thread(void)
{
	return (__u32)bpf_get_current_pid_tgid();
}

SEC("usdt")
int BPF_USDT(on_wait, __u64 id, const char *name, __u64 slot, __u64 off, __u64 seq, __u64 role)
{
	begin(id, off, (__u64)thread() << 32 | (__u32)slot);
	return mode == TRACE_EVENTS ? plain(TRACE_WAIT, id, name, slot, off, seq, role) : 0;
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
	/* A wake before the sleep was meant for somebody else. */
	return from && woken && *woken >= from ? since(*woken, now) : 0;
}

SEC("usdt")
int BPF_USDT(on_wait_end, __u64 id, const char *name, __u64 slot, __u64 off, __u64 ret, __u64 role)
{
	__u64 now = bpf_ktime_get_ns(), took = slept(id, slot, off, now);
	struct who who = {};

	if (!segment_wanted(id, name) || !process_wanted(&who))
		return 0;
	if (mode == TRACE_EVENTS)
		return tell(TRACE_WAIT_END, id, slot, &who, now, took, off, ret, role);
	if (took)
		count_in(id, (__u32)slot, &who, took);
	else if (mode == TRACE_SLEEP)
		__sync_fetch_and_add(&unpaired, 1);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_wake, __u64 id, const char *name, __u64 slot, __u64 off, __u64 seq)
{
	struct begun_key key = { .id = id, .at = off };
	__u64 now = bpf_ktime_get_ns();

	if (mode == TRACE_EVENTS)
		return plain(TRACE_WAKE, id, name, slot, off, seq, 0);
	bpf_map_update_elem(&wakes, &key, &now, BPF_ANY);
	return 0;
}

/* What went wrong, who came and went */

SEC("usdt")
int BPF_USDT(on_full, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 who, __u64 behind)
{
	struct begun_key key = { .id = id, .by = slot };
	struct full_seen now = { .seq = seq, .who = who }, *last;

	/* It looks again and again: what has not changed is told once. */
	last = bpf_map_lookup_elem(&fulls, &key);
	if (last && last->seq == seq && last->who == who)
		return 0;
	bpf_map_update_elem(&fulls, &key, &now, BPF_ANY);
	return plain(TRACE_FULL, id, name, slot, seq, who, behind);
}

SEC("usdt")
int BPF_USDT(on_gap, __u64 id, const char *name, __u64 slot, __u64 from, __u64 to, __u64 lost)
{
	return plain(TRACE_GAP, id, name, slot, from, to, lost);
}

SEC("usdt")
int BPF_USDT(on_evict, __u64 id, const char *name, __u64 slot, __u64 who, __u64 policy)
{
	return plain(TRACE_EVICT, id, name, slot, who, policy, 0);
}

SEC("usdt")
int BPF_USDT(on_abort, __u64 id, const char *name, __u64 slot, __u64 who, __u64 seq, __u64 n)
{
	return plain(TRACE_ABORT, id, name, slot, who, seq, n);
}

SEC("usdt")
int BPF_USDT(on_death, __u64 id, const char *name, __u64 slot, __u64 who, __u64 pid, __u64 role)
{
	return plain(TRACE_DEATH, id, name, slot, who, pid, role);
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

/* Helpers of the kernel that are for GPL-compatible programs only are used. */
char LICENSE[] SEC("license") = "Dual MIT/GPL";
