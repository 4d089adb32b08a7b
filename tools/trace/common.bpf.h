/* SPDX-License-Identifier: MIT */
/*
 * common.bpf.h - for all eBPF programs: the current process, names, filters
 *
 * The few kernel structures that are read are declared with the members needed; at load
 * time libbpf takes their offsets from the BTF of the running kernel.
 */
#ifndef TOOLS_TRACE_COMMON_BPF_H
#define TOOLS_TRACE_COMMON_BPF_H

#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#ifndef WITHOUT_USDT
#define BPF_USDT_MAX_SPEC_CNT 2048
#include <bpf/usdt.bpf.h>
#endif
#include "event.h"

#define KERNEL_STRUCT __attribute__((preserve_access_index))

struct ns_common {
	unsigned int inum;
} KERNEL_STRUCT;

struct pid_namespace {
	struct ns_common ns;
} KERNEL_STRUCT;

struct upid {
	int nr;
	struct pid_namespace *ns;
} KERNEL_STRUCT;

struct pid {
	unsigned int level;
	struct upid numbers[1];
} KERNEL_STRUCT;

struct task_struct {
	struct task_struct *group_leader;
	struct pid *thread_pid;
	char comm[TRACE_COMM];
} KERNEL_STRUCT;

#define PID_LEVELS	32	/* the kernel's limit of nested PID namespaces */

/* Set by the command before loading: unused filters cost nothing. */
const volatile __u32 only_names;	/* names that begin with one in the map of prefixes */
const volatile __u32 only_cgroup;	/* the cgroup in the map of this name */
const volatile __u32 only_pids;		/* the PIDs in the map of this name */
const volatile __u32 own_pidns;		/* inode number of the tracer's PID namespace */
const volatile __s32 own_pid;		/* the tracer itself is not reported */

__u64 names_lost;			/* no room in the map of names */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, struct trace_name);
} names SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __s32);
	__type(value, __u8);
} pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} cgroups SEC(".maps");

/*
 * The beginning of the names that are wanted: a pattern up to its first wildcard, or a
 * whole name with its final 0. The command matches the rest of the pattern.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 256);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, sizeof(__u32) + TRACE_NAME);
	__uint(value_size, 1);
} prefixes SEC(".maps");

static const struct trace_name no_name;

/* The PID in the tracer's namespace; 0: it has none there. */
static __always_inline __s32 pid_number(struct pid *pid)
{
	unsigned int level = BPF_CORE_READ(pid, level), i;
	const void *at = __builtin_preserve_access_index(&pid->numbers[0]);
	struct upid *u;

	for (i = 0; i < PID_LEVELS && i <= level; i++) {
		u = (struct upid *)(at + i * bpf_core_type_size(struct upid));
		if (BPF_CORE_READ(u, ns, ns.inum) == own_pidns)
			return BPF_CORE_READ(u, nr);
	}
	return 0;
}

/* The inode number of the process's own PID namespace, and its PID in that. */
static __always_inline void pid_at_home(struct pid *pid, __u32 *ret_ns, __s32 *ret_nr)
{
	unsigned int level = BPF_CORE_READ(pid, level);
	const void *at = __builtin_preserve_access_index(&pid->numbers[0]);
	struct upid *u;

	if (level >= PID_LEVELS)
		return;
	u = (struct upid *)(at + level * bpf_core_type_size(struct upid));
	*ret_ns = BPF_CORE_READ(u, ns, ns.inum);
	*ret_nr = BPF_CORE_READ(u, nr);
}

static __always_inline __s32 pid_seen(struct task_struct *task)
{
	return pid_number(BPF_CORE_READ(task, thread_pid));
}

/* The process, not the thread. */
struct proc {
	__s32 pid;
	__s32 tid;
	char comm[TRACE_COMM];
};

static __always_inline void proc_current(struct proc *ret)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	ret->pid = pid_seen(leader);
	ret->tid = leader == task ? ret->pid : pid_seen(task);
	BPF_CORE_READ_STR_INTO(&ret->comm, leader, comm);
}

/* A segment that is seen for the first time: keep its name, as it may be removed. */
static __always_inline struct trace_name *name_new(__u64 id)
{
	if (bpf_map_update_elem(&names, &id, &no_name, BPF_NOEXIST)) {
		__sync_fetch_and_add(&names_lost, 1);
		return NULL;
	}
	return bpf_map_lookup_elem(&names, &id);
}

/* The name is known: is it wanted? */
static __always_inline void name_judge(struct trace_name *n)
{
	n->prefix_bits = 8 * TRACE_NAME;
	n->skip = only_names && !bpf_map_lookup_elem(&prefixes, &n->prefix_bits);
}

static __noinline int learn(__u64 id, const char *name)
{
	struct trace_name *n = name_new(id);

	if (!n)
		return 0;
	bpf_probe_read_user_str(n->name, sizeof(n->name), name);
	name_judge(n);
	return 0;
}

/* Is this segment wanted? */
static __always_inline int segment_wanted(__u64 id, const char *name)
{
	struct trace_name *n = bpf_map_lookup_elem(&names, &id);

	if (!n) {
		learn(id, name);
		n = bpf_map_lookup_elem(&names, &id);
	}
	return !n || !n->skip;
}

/* Is the current process wanted? @ret is filled in. */
static __always_inline int process_wanted(struct proc *ret)
{
	if (only_cgroup && bpf_current_task_under_cgroup(&cgroups, 0) != 1)
		return 0;
	proc_current(ret);
	if (ret->pid && ret->pid == own_pid)
		return 0;
	return !only_pids || (ret->pid && bpf_map_lookup_elem(&pids, &ret->pid));
}

#endif /* TOOLS_TRACE_COMMON_BPF_H */
