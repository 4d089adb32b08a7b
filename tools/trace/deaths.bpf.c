// SPDX-License-Identifier: MIT
/*
 * deaths.bpf.c - how each process ended, and what others noticed of that
 *
 * How all processes ended is kept for a while: the command finds out from the peer
 * tables which of them held an end of a segment.
 */
#include "common.bpf.h"
#include "deaths.h"

#define GROUP_EXIT	4u	/* the kernel's SIGNAL_GROUP_EXIT */
#define SI_KERNEL	0	/* larger si_codes are the kernel's own */
#define SIGNALS		64

struct signal_struct___exit {
	struct {
		int counter;
	} live;
	int group_exit_code;
	unsigned int flags;
	void *oom_mm;
} KERNEL_STRUCT;

struct task_struct___exit {
	struct task_struct___exit *group_leader;
	struct signal_struct___exit *signal;
	__u64 start_boottime;
	int exit_code;
	int tgid;
} KERNEL_STRUCT;

struct kernel_siginfo {
	int si_code;
} KERNEL_STRUCT;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct death_key);
	__type(value, struct death_exit);
} exits SEC(".maps");

/* The last deadly signal that was sent to a process. */
struct sent {
	__u32 sig;
	__s32 pid;
	char comm[TRACE_COMM];
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __s32);	/* of the receiver, in the initial namespace */
	__type(value, struct sent);
} senders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} notes SEC(".maps");

__u64 notes_lost;

/* Ends that attached while we listened, and the processes that have any. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct death_end_key);
	__type(value, struct death_end);
} ends SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct death_key);
	__type(value, __u8);
} holders SEC(".maps");

static __always_inline struct death_note *new_note(__u32 type)
{
	struct death_note *d = bpf_ringbuf_reserve(&notes, sizeof(*d), 0);

	if (!d)
		__sync_fetch_and_add(&notes_lost, 1);
	else
		d->type = type;
	return d;
}

static __always_inline void own_id(struct task_struct *leader, struct death_key *ret)
{
	pid_at_home(BPF_CORE_READ(leader, thread_pid), &ret->pidns, &ret->pid);
}

/* Signals that do not kill by default: CHLD, CONT, STOP to TTOU, URG, WINCH. */
static __always_inline int is_deadly(int sig)
{
	return sig > 0 && sig <= SIGNALS && !(sig >= 17 && sig <= 23) && sig != 28;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, struct kernel_siginfo *info, struct task_struct *task)
{
	struct task_struct___exit *to = (void *)task;
	__s32 tgid = BPF_CORE_READ(to, tgid);
	struct sent s = {};
	struct proc proc = {};

	/* Small addresses are marks: 0 for user space, 1 for the kernel. */
	if (!is_deadly(sig) || (unsigned long)info == 1 ||
	    ((unsigned long)info > 2 && BPF_CORE_READ(info, si_code) > SI_KERNEL))
		return 0;
	proc_current(&proc);
	s.sig = (__u32)sig;
	s.pid = proc.pid;
	__builtin_memcpy(s.comm, proc.comm, sizeof(s.comm));
	bpf_map_update_elem(&senders, &tgid, &s, BPF_ANY);
	return 0;
}

/* Once for each process: by the last of its threads, or by the last two at once. */
SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);
	struct task_struct___exit *t = (void *)leader;
	struct signal_struct___exit *signal = BPF_CORE_READ(t, signal);
	__s32 tgid = BPF_CORE_READ(t, tgid);
	struct death_exit e = {}, *told;
	struct death_key key = {};
	struct death_note *d;
	struct sent *s;

	if (BPF_CORE_READ(signal, live.counter))
		return 0;
	own_id(leader, &key);
	e.began_ns = BPF_CORE_READ(t, start_boottime);
	e.mono_ns = bpf_ktime_get_ns();
	e.code = BPF_CORE_READ(signal, flags) & GROUP_EXIT ?
		 (__u32)BPF_CORE_READ(signal, group_exit_code) : (__u32)BPF_CORE_READ(t, exit_code);
	e.pid = pid_seen(leader);
	e.by_oom = !!BPF_CORE_READ(signal, oom_mm);
	BPF_CORE_READ_STR_INTO(&e.comm, leader, comm);
	s = bpf_map_lookup_elem(&senders, &tgid);
	if (s && s->sig == (e.code & 0x7f)) {
		e.sender = s->pid;
		__builtin_memcpy(e.sender_comm, s->comm, sizeof(e.sender_comm));
	}
	/*
	 * The first of the last two threads reports. It deletes the sender only after
	 * that: a thread that does not find the sender any more finds the report.
	 */
	told = bpf_map_lookup_elem(&exits, &key);
	if (told && told->began_ns == e.began_ns)
		return 0;
	if (told)	/* another process, which had the PID before */
		bpf_map_delete_elem(&exits, &key);
	if (bpf_map_update_elem(&exits, &key, &e, BPF_NOEXIST))
		return 0;
	bpf_map_delete_elem(&senders, &tgid);
	if (!bpf_map_lookup_elem(&holders, &key))
		return 0;
	bpf_map_delete_elem(&holders, &key);
	d = new_note(DEATH_ENDED);
	if (!d)
		return 0;
	d->ended = key;
	bpf_ringbuf_submit(d, 0);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_abort, __u64 id, const char *name, __u64 slot, __u64 dead, __u64 seq, __u64 n)
{
	struct death_note *d;
	struct proc proc = {};

	if (!segment_wanted(id, name))
		return 0;
	proc_current(&proc);
	d = new_note(DEATH_ABORTED);
	if (!d)
		return 0;
	d->id = id;
	d->seq = seq;
	d->n = n;
	d->dead = (__u32)dead;
	d->pid = proc.pid;
	__builtin_memcpy(d->comm, proc.comm, sizeof(d->comm));
	bpf_ringbuf_submit(d, 0);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_attach, __u64 id, const char *name, __u64 slot, __u64 role, __u64 generation)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct death_end_key key = { .id = id, .slot = slot };
	struct death_end end = { .generation = generation, .role = (__u32)role };
	__u8 yes = 1;

	if (!segment_wanted(id, name))
		return 0;
	own_id(BPF_CORE_READ(task, group_leader), &end.process);
	bpf_map_update_elem(&ends, &key, &end, BPF_ANY);
	bpf_map_update_elem(&holders, &end.process, &yes, BPF_ANY);
	return 0;
}

SEC("usdt")
int BPF_USDT(on_detach, __u64 id, const char *name, __u64 slot)
{
	struct death_end_key key = { .id = id, .slot = slot };

	bpf_map_delete_elem(&ends, &key);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
