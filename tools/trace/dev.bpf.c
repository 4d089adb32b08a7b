// SPDX-License-Identifier: MIT
/*
 * dev.bpf.c - the tracepoints of the kernel module: segments on the device
 *
 * They are found by the module's own type information (BTF), so these programs load
 * only while it is loaded, and keep it loaded. Its structures are declared with the
 * members needed. For events that carry little, the module is asked how far the
 * segment is.
 */
#define WITHOUT_USDT
#include "gather.bpf.h"
#include <bpf/bpf_tracing.h>
#include "../../include/uapi/linux/shmipc_bpf.h"
#include "../../include/uapi/linux/shmipc_layout.h"
#include "module.h"
#include "slow.h"

extern int bpf_shmipc_segment_state(__u64 id, struct shmipc_bpf_state *out, __u32 out__sz) __ksym;

struct shmipc_memory {
	__u32 huge;
	__u32 small;
} KERNEL_STRUCT;

struct shmipc_segment {
	struct shmipc_memory mem;
	__u32 kind;
	__u8 id[16];
	char name[TRACE_NAME];	/* the rest is cut off */
	__u64 data_bytes;
} KERNEL_STRUCT;

struct shmipc_peer {
	struct pid *pid;
	__u32 slot;
	__u32 role;
	__u64 generation;
	char comm[TRACE_COMM];
} KERNEL_STRUCT;

/* What the sampler saw: how often each segment, and which ends waited for which. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, __u64);
} looks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct slow_key);
	__type(value, struct slow_sum);
} hits SEC(".maps");

/* The producer of a ring, which does not publish that it waits. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct shmipc_bpf_peer);
} producers SEC(".maps");

__u64 hits_lost;

/*
 * To newer kernels an argument of a tracepoint may be NULL, and must be checked
 * before it is read.
 */
static __always_inline __u64 id_of(const struct shmipc_segment *seg)
{
	__u64 id = 0;

	bpf_core_read(&id, sizeof(id), &seg->id);
	return id;
}

/* Is this segment wanted? Its name is kept, as in segment_wanted(). */
static __noinline int learn_segment(__u64 id, const struct shmipc_segment *seg)
{
	struct trace_name *n = name_new(id);

	if (!n)
		return 0;
	bpf_core_read_str(n->name, sizeof(n->name), &seg->name);
	name_judge(n);
	return 0;
}

static __always_inline int wanted(__u64 id, const struct shmipc_segment *seg)
{
	struct trace_name *n = bpf_map_lookup_elem(&names, &id);

	if (!n) {
		learn_segment(id, seg);
		n = bpf_map_lookup_elem(&names, &id);
	}
	return !n || !n->skip;
}

/* The process of a peer, which may have gone and need not be the current one. */
static __always_inline int peer_wanted(const struct shmipc_peer *peer, struct proc *ret)
{
	ret->pid = pid_number(BPF_CORE_READ(peer, pid));
	ret->tid = ret->pid;
	BPF_CORE_READ_INTO(&ret->comm, peer, comm);
	if (only_cgroup && bpf_current_task_under_cgroup(&cgroups, 0) != 1)
		return 0;
	if (ret->pid && ret->pid == own_pid)
		return 0;
	return !only_pids || (ret->pid && bpf_map_lookup_elem(&pids, &ret->pid));
}

/* Segments */

static __always_inline int segment(__u32 type, const struct shmipc_segment *seg)
{
	__u64 id, arg[3];
	struct proc proc = {};

	if (!seg)
		return 0;
	id = id_of(seg);
	arg[0] = BPF_CORE_READ(seg, kind);
	arg[1] = BPF_CORE_READ(seg, data_bytes);
	/* What has memory of the whole segment: large pages of 2 MiB, and small ones. */
	arg[2] = ((__u64)BPF_CORE_READ(seg, mem.huge) << 21) +
		 ((__u64)BPF_CORE_READ(seg, mem.small) << 12);
	if (!wanted(id, seg) || !process_wanted(&proc))
		return 0;
	return tell_args(type, id, TRACE_NOBODY, &proc, bpf_ktime_get_ns(), 0, arg, 3);
}

SEC("tp_btf/shmipc_create")
int BPF_PROG(on_create, const struct shmipc_segment *seg)
{
	return segment(TRACE_CREATE, seg);
}

SEC("tp_btf/shmipc_open")
int BPF_PROG(on_open, const struct shmipc_segment *seg)
{
	return segment(TRACE_OPEN, seg);
}

SEC("tp_btf/shmipc_destroy")
int BPF_PROG(on_destroy, const struct shmipc_segment *seg)
{
	return segment(TRACE_DESTROY, seg);
}

/* Peers */

static __always_inline int peer_event(__u32 type, const struct shmipc_segment *seg,
				      const struct shmipc_peer *peer)
{
	struct shmipc_bpf_state now = {};
	struct proc proc = {};
	__u32 pidns = 0;
	__s32 pid = 0;
	__u64 id, arg[6];

	if (!seg || !peer)
		return 0;
	id = id_of(seg);
	if (!wanted(id, seg) || !peer_wanted(peer, &proc))
		return 0;
	(void)bpf_shmipc_segment_state(id, &now, sizeof(now));
	arg[0] = BPF_CORE_READ(peer, role);
	arg[1] = BPF_CORE_READ(peer, generation);
	arg[2] = now.messages;
	arg[3] = now.attached;
	arg[4] = BPF_CORE_READ(seg, kind);
	pid_at_home(BPF_CORE_READ(peer, pid), &pidns, &pid);
	arg[5] = (__u64)pidns << 32 | (__u32)pid;
	return tell_args(type, id, BPF_CORE_READ(peer, slot), &proc, bpf_ktime_get_ns(), 0, arg, 6);
}

SEC("tp_btf/shmipc_attach")
int BPF_PROG(on_attach, const struct shmipc_segment *seg, const struct shmipc_peer *peer)
{
	return peer_event(TRACE_MOD_ATTACH, seg, peer);
}

SEC("tp_btf/shmipc_detach")
int BPF_PROG(on_detach, const struct shmipc_segment *seg, const struct shmipc_peer *peer)
{
	return peer_event(TRACE_MOD_DETACH, seg, peer);
}

SEC("tp_btf/shmipc_death")
int BPF_PROG(on_death, const struct shmipc_segment *seg, const struct shmipc_peer *peer)
{
	return peer_event(TRACE_MOD_DEATH, seg, peer);
}

/* Sleeping */

SEC("tp_btf/shmipc_wait")
int BPF_PROG(on_wait, const struct shmipc_segment *seg, __u64 off, __u32 val)
{
	struct shmipc_bpf_state now = {};
	struct proc proc = {};
	__u64 id, arg[5];

	if (!seg)
		return 0;
	id = id_of(seg);
	if (is_probed() || !wanted(id, seg))
		return 0;
	begin(id, off, (__u64)thread() << 32 | TRACE_NOBODY);
	if (mode != TRACE_EVENTS || !process_wanted(&proc))
		return 0;
	(void)bpf_shmipc_segment_state(id, &now, sizeof(now));
	arg[0] = off;
	arg[1] = val;
	arg[2] = now.messages;
	arg[3] = now.behind;
	arg[4] = now.slot;
	return tell_args(TRACE_MOD_WAIT, id, TRACE_NOBODY, &proc, bpf_ktime_get_ns(), 0, arg, 5);
}

/* If the beginning of a sleep was not seen, its length is not known. */
SEC("tp_btf/shmipc_wait_end")
int BPF_PROG(on_wait_end, const struct shmipc_segment *seg, __u64 off, int ret)
{
	__u64 id, now = bpf_ktime_get_ns(), took, arg[2];
	struct proc proc = {};

	if (!seg || is_probed())
		return 0;
	id = id_of(seg);
	took = slept(id, TRACE_NOBODY, off, now);
	if (!took || !wanted(id, seg) || !process_wanted(&proc))
		return 0;
	if (mode != TRACE_EVENTS) {
		count_in(id, TRACE_NOBODY, &proc, took);
		return 0;
	}
	arg[0] = off;
	arg[1] = (__u64)(__s64)ret;
	return tell_args(TRACE_MOD_WAIT_END, id, TRACE_NOBODY, &proc, now, took, arg, 2);
}

SEC("tp_btf/shmipc_wake")
int BPF_PROG(on_wake, const struct shmipc_segment *seg, __u64 off, int ret)
{
	struct begun_key key = { .at = off };
	__u64 id, now = bpf_ktime_get_ns(), arg[2];
	struct proc proc = {};

	if (!seg)
		return 0;
	id = id_of(seg);
	key.id = id;
	if (is_probed() || !wanted(id, seg))
		return 0;
	if (mode != TRACE_EVENTS) {
		if (ret > 0)
			bpf_map_update_elem(&wakes, &key, &now, BPF_ANY);
		return 0;
	}
	if (!process_wanted(&proc))
		return 0;
	arg[0] = off;
	arg[1] = (__u64)(__s64)ret;
	return tell_args(TRACE_MOD_WAKE, id, TRACE_NOBODY, &proc, now, 0, arg, 2);
}

/* The sampler */

static __always_inline void count_hit(__u64 id, const struct shmipc_bpf_peer *waits, __u32 blocker)
{
	struct slow_key key = { .id = id, .slot = waits->slot, .blocker = blocker };
	struct slow_sum *sum = bpf_map_lookup_elem(&hits, &key), new = {};

	if (sum) {
		sum->times++;		/* the sampler is one thread */
		return;
	}
	new.times = 1;
	new.pid = (__s32)waits->pid;
	__builtin_memcpy(new.comm, waits->comm, sizeof(new.comm));
	if (bpf_map_update_elem(&hits, &key, &new, BPF_ANY))
		__sync_fetch_and_add(&hits_lost, 1);
}

SEC("tp_btf/shmipc_sample")
int BPF_PROG(on_sample, const struct shmipc_segment *seg, const struct shmipc_bpf_state *state)
{
	struct shmipc_bpf_peer *producer;
	struct shmipc_bpf_state s;
	struct proc nobody = {};
	__u64 one = 1, *n, arg[6];

	if (!seg || !state || bpf_probe_read_kernel(&s, sizeof(s), state) || !wanted(s.id, seg))
		return 0;
	if (mode == TRACE_EVENTS) {
		arg[0] = s.messages;
		arg[1] = s.behind;
		arg[2] = s.slot;
		arg[3] = s.attached;
		arg[4] = s.waiters;
		arg[5] = s.pid;
		return tell_args(TRACE_SAMPLE, s.id, TRACE_NOBODY, &nobody, bpf_ktime_get_ns(), 0,
				 arg, 6);
	}
	n = bpf_map_lookup_elem(&looks, &s.id);
	if (n)
		(*n)++;
	else
		bpf_map_update_elem(&looks, &s.id, &one, BPF_ANY);
	/* The ring is so full, and has a consumer, that the producer probably waits. */
	producer = bpf_map_lookup_elem(&producers, &s.id);
	if (s.kind == SHMIPC_KIND_SPSC && producer && s.slot != SHMIPC_BPF_NO_SLOT &&
	    4 * s.lag >= 3 * s.capacity)
		count_hit(s.id, producer, s.slot);
	bpf_map_delete_elem(&producers, &s.id);
	return 0;
}

SEC("tp_btf/shmipc_sample_peer")
int BPF_PROG(on_sample_peer, const struct shmipc_segment *seg, const struct shmipc_peer *peer,
	     const struct shmipc_bpf_peer *state)
{
	struct shmipc_bpf_peer p;
	struct proc proc = {};
	__u64 arg[6];

	if (!seg || !peer || !state || bpf_probe_read_kernel(&p, sizeof(p), state) ||
	    !wanted(p.id, seg))
		return 0;
	if (mode == TRACE_WAITS) {
		if (p.waits_for != SHMIPC_BPF_NO_SLOT)
			count_hit(p.id, &p, p.waits_for);
		if (p.role == SHMIPC_ROLE_PRODUCER && BPF_CORE_READ(seg, kind) == SHMIPC_KIND_SPSC)
			bpf_map_update_elem(&producers, &p.id, &p, BPF_ANY);
		return 0;
	}
	if (mode == TRACE_BEHIND && (p.role == SHMIPC_ROLE_PRODUCER || p.pos == SHMIPC_BPF_NO_POS))
		return 0;
	if (!peer_wanted(peer, &proc))
		return 0;
	arg[0] = p.role;
	arg[1] = p.behind;
	arg[2] = p.messages;
	arg[3] = p.lost;
	arg[4] = p.waits_for;
	arg[5] = p.policy;
	return tell_args(TRACE_SAMPLE_PEER, p.id, p.slot, &proc, bpf_ktime_get_ns(), 0, arg, 6);
}

/* Run by the command. */
SEC("syscall")
int ask(struct module_question *q)
{
	struct shmipc_bpf_state state = {};

	q->ret = bpf_shmipc_segment_state(q->id, &state, sizeof(state));
	__builtin_memcpy(&q->state, &state, sizeof(state));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
