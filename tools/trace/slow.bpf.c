// SPDX-License-Identifier: MIT
/*
 * slow.bpf.c - how long publishers have no room, and because of which end
 *
 * A publisher without room tries again and again (probe full), and sleeps in between
 * (wait_end). The time from one try to the next counts for the end that it found in
 * its way.
 */
#include "common.bpf.h"
#include "../../include/uapi/linux/shmipc_layout.h"
#include "slow.h"

__u64 sums_lost;

/* What a publisher found at its last try. */
struct found {
	__u64 seq;
	__u64 at_ns;
	__u64 behind;
	__u32 blocker;
	__u32 reserved0;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct slow_end_key);
	__type(value, struct found);
} founds SEC(".maps");

/* The command takes and deletes them from time to time. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, struct slow_key);
	__type(value, struct slow_sum);
} sums SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct slow_end_key);
	__type(value, struct slow_end);
} takers SEC(".maps");

static __always_inline void add(__u64 id, __u64 slot, __u32 blocker, __u64 ns, __u64 behind)
{
	struct slow_key key = { .id = id, .slot = (__u32)slot, .blocker = blocker };
	struct slow_sum *sum, new = {};
	struct proc me = {};

	if (blocker == SLOW_GAP) {
		proc_current(&me);
		key.pid = me.pid;
	}
	sum = bpf_map_lookup_elem(&sums, &key);
	if (sum) {
		sum->ns += ns;		/* one end is one thread */
		sum->times++;
		sum->behind = blocker == SLOW_GAP ? sum->behind + behind : behind;
		return;
	}
	proc_current(&me);
	new.ns = ns;
	new.times = 1;
	new.behind = behind;
	new.pid = me.pid;
	__builtin_memcpy(new.comm, me.comm, sizeof(new.comm));
	if (bpf_map_update_elem(&sums, &key, &new, BPF_ANY))
		__sync_fetch_and_add(&sums_lost, 1);
}

SEC("usdt")
int BPF_USDT(on_full, __u64 id, const char *name, __u64 slot, __u64 seq, __u64 blocker, __u64 behind)
{
	struct slow_end_key key = { .id = id, .slot = slot };
	struct found now = { .seq = seq, .at_ns = bpf_ktime_get_ns(), .behind = behind,
			     .blocker = (__u32)blocker };
	struct found *last = bpf_map_lookup_elem(&founds, &key);

	if (!segment_wanted(id, name))
		return 0;
	if (last && last->seq == seq && last->at_ns < now.at_ns)
		add(id, slot, last->blocker, now.at_ns - last->at_ns, behind);
	else
		add(id, slot, now.blocker, 0, behind);
	bpf_map_update_elem(&founds, &key, &now, BPF_ANY);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_wait_end, __u64 id, const char *name, __u64 slot, __u64 off, __u64 ret, __u64 role)
{
	struct slow_end_key key = { .id = id, .slot = slot };
	__u64 now = bpf_ktime_get_ns();
	struct found *last;

	if (role != SHMIPC_ROLE_PRODUCER)
		return 0;
	last = bpf_map_lookup_elem(&founds, &key);
	if (!last || last->at_ns >= now)
		return 0;
	add(id, slot, last->blocker, now - last->at_ns, last->behind);
	last->at_ns = now;
	return 0;
}

SEC("usdt")
int BPF_USDT(on_take_some, __u64 id, const char *name, __u64 slot)
{
	struct slow_end_key key = { .id = id, .slot = slot };
	struct slow_end end = {};
	struct proc proc = {};

	if (!segment_wanted(id, name) || bpf_map_lookup_elem(&takers, &key))
		return 0;
	proc_current(&proc);
	end.pid = proc.pid;
	__builtin_memcpy(end.comm, proc.comm, sizeof(end.comm));
	bpf_map_update_elem(&takers, &key, &end, BPF_ANY);
	return 0;
}

/* The slot may be reused. */
SEC("usdt")
int BPF_USDT(on_detach, __u64 id, const char *name, __u64 slot)
{
	struct slow_end_key key = { .id = id, .slot = slot };

	bpf_map_delete_elem(&takers, &key);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_gap, __u64 id, const char *name, __u64 slot, __u64 from, __u64 to, __u64 lost)
{
	if (segment_wanted(id, name))
		add(id, slot, SLOW_GAP, 0, lost);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
