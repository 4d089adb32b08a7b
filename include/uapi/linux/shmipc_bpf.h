/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * shmipc_bpf.h - interface of the kernel module to eBPF programs and tracers
 *
 * Two functions of the module can be called by eBPF programs of the types
 * TRACING (tp_btf, fentry and the like) and SYSCALL, in any context:
 *
 *   int bpf_shmipc_segment_state(__u64 id, struct shmipc_bpf_state *out, __u32 out__sz);
 *   int bpf_shmipc_peer_state(__u64 id, __u32 slot, struct shmipc_bpf_peer *out, __u32 out__sz);
 *
 * @id is the first eight bytes of the segment's id, as in every tracepoint.
 * They return 0 or, negative: ENOENT no such segment; ESRCH no peer is attached to
 * @slot; EINVAL @out__sz is below the first version of the struct. Fields of a larger
 * struct that the module does not know are zero, and so is @out after an error.
 *
 * The same structs are the last argument of the tracepoints shmipc_sample and
 * shmipc_sample_peer, which fire while a tracer listens, at the rate of the module's
 * parameter sample_hz.
 *
 * Positions are read from memory that the peers can write: measure and show them, but
 * do not rely on them. In a topic they are numbers of messages, in a ring bytes.
 *
 * Changes:
 *   1  first version
 */
#ifndef _UAPI_LINUX_SHMIPC_BPF_H
#define _UAPI_LINUX_SHMIPC_BPF_H

#include <linux/types.h>

/* In place of a slot: none. */
#define SHMIPC_BPF_NO_SLOT	0xffffffffu
/* In place of a position: not in shared memory, or none. */
#define SHMIPC_BPF_NO_POS	(~0ULL)

/**
 * struct shmipc_bpf_state - a segment at this moment
 * @id:        as requested
 * @published: position up to which messages are published
 * @consumed:  spsc: the consumer's position; bcast, topic: messages before it may
 *             be gone
 * @messages:  published since the segment was created
 * @capacity:  the most that @published can be ahead of @consumed
 * @lag:       of the receiver that is furthest behind, in positions
 * @behind:    the same, in messages
 * @slot:      its slot; SHMIPC_BPF_NO_SLOT if no position is known
 * @pid:       its process, in the initial PID namespace
 * @kind:      enum shmipc_kind
 * @slots:     in the peer table
 * @attached:  slots taken now
 * @waiters:   sleepers in the device now
 */
struct shmipc_bpf_state {
	__u64	id;
	__u64	published;
	__u64	consumed;
	__u64	messages;
	__u64	capacity;
	__u64	lag;
	__u64	behind;
	__u32	slot;
	__u32	pid;
	__u32	kind;
	__u32	slots;
	__u32	attached;
	__u32	waiters;
};

/**
 * struct shmipc_bpf_peer - an attached peer at this moment
 * @id:         of the segment
 * @generation: of its slot
 * @pos:        receivers: where it will read next; the producer of a ring: where it
 *              has published up to; a publisher: the number that it has claimed and
 *              not published yet; SHMIPC_BPF_NO_POS: not known
 * @lag:        from @pos to what is published; 0 if @pos is not known
 * @behind:     the same, in messages
 * @messages:   received or sent by it
 * @lost:       lost messages that were reported to it (subscribers)
 * @slot:       in the peer table
 * @role:       enum shmipc_role
 * @pid:        of its process, in the initial PID namespace
 * @holding:    messages in the pool that it holds (subscribers)
 * @policy:     enum shmipc_policy (subscribers)
 * @group:      number of its group, from 1; 0: none (subscribers)
 * @waits_for:  slot of the peer that it waits for now, or SHMIPC_BPF_NO_SLOT (publishers)
 * @reserved:   0
 * @comm:       name of the process at attach
 */
struct shmipc_bpf_peer {
	__u64	id;
	__u64	generation;
	__u64	pos;
	__u64	lag;
	__u64	behind;
	__u64	messages;
	__u64	lost;
	__u32	slot;
	__u32	role;
	__u32	pid;
	__u32	holding;
	__u32	policy;
	__u32	group;
	__u32	waits_for;
	__u32	reserved;
	char	comm[16];
};

#endif /* _UAPI_LINUX_SHMIPC_BPF_H */
