/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * trace.h - tracepoints of segments, peers, sleepers and wakers
 *
 * @id is the first eight bytes of the segment's id. @published and @consumed are
 * positions at the time of the event, or 0 if not known: of a ring in bytes, of a
 * topic the numbers of the next message and of the first that is kept. The pointer
 * to the segment is for eBPF programs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM shmipc

#if !defined(SHMIPC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define SHMIPC_TRACE_H

#include <linux/tracepoint.h>

#include "shmipc.h"

DECLARE_EVENT_CLASS(shmipc_segment,
	TP_PROTO(const struct shmipc_segment *seg),
	TP_ARGS(seg),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, bytes)
		__field(u64, published)
		__field(u64, consumed)
		__array(char, name, 64)
	),
	TP_fast_assign(
		__entry->id = shmipc_segment_id(seg);
		__entry->bytes = seg->mem.bytes;
		__entry->published = shmipc_segment_published(seg);
		__entry->consumed = shmipc_segment_consumed(seg);
		strscpy(__entry->name, seg->name, sizeof(__entry->name));
	),
	TP_printk("id=%016llx name=%s bytes=%llu published=%llu consumed=%llu", __entry->id,
		  __entry->name, __entry->bytes, __entry->published, __entry->consumed)
);

DEFINE_EVENT(shmipc_segment, shmipc_create,
	TP_PROTO(const struct shmipc_segment *seg), TP_ARGS(seg));
DEFINE_EVENT(shmipc_segment, shmipc_open,
	TP_PROTO(const struct shmipc_segment *seg), TP_ARGS(seg));
DEFINE_EVENT(shmipc_segment, shmipc_destroy,
	TP_PROTO(const struct shmipc_segment *seg), TP_ARGS(seg));

DECLARE_EVENT_CLASS(shmipc_peer,
	TP_PROTO(const struct shmipc_segment *seg, const struct shmipc_peer *peer),
	TP_ARGS(seg, peer),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, generation)
		__field(u64, published)
		__field(u64, consumed)
		__field(u32, slot)
		__field(u32, role)
		__field(int, pid)
	),
	TP_fast_assign(
		__entry->id = shmipc_segment_id(seg);
		__entry->generation = peer->generation;
		__entry->published = shmipc_segment_published(seg);
		__entry->consumed = shmipc_segment_consumed(seg);
		__entry->slot = peer->slot;
		__entry->role = peer->role;
		__entry->pid = pid_nr(peer->pid);
	),
	TP_printk("id=%016llx slot=%u role=%u pid=%d generation=%llu published=%llu consumed=%llu",
		  __entry->id, __entry->slot, __entry->role, __entry->pid, __entry->generation,
		  __entry->published, __entry->consumed)
);

DEFINE_EVENT(shmipc_peer, shmipc_attach,
	TP_PROTO(const struct shmipc_segment *seg, const struct shmipc_peer *peer),
	TP_ARGS(seg, peer));
DEFINE_EVENT(shmipc_peer, shmipc_detach,
	TP_PROTO(const struct shmipc_segment *seg, const struct shmipc_peer *peer),
	TP_ARGS(seg, peer));
DEFINE_EVENT(shmipc_peer, shmipc_death,
	TP_PROTO(const struct shmipc_segment *seg, const struct shmipc_peer *peer),
	TP_ARGS(seg, peer));

/* A process is going to sleep on the word at @off while it is @val. */
TRACE_EVENT(shmipc_wait,
	TP_PROTO(const struct shmipc_segment *seg, u64 off, u32 val),
	TP_ARGS(seg, off, val),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, off)
		__field(u64, published)
		__field(u64, consumed)
		__field(u32, val)
	),
	TP_fast_assign(
		__entry->id = shmipc_segment_id(seg);
		__entry->off = off;
		__entry->published = shmipc_segment_published(seg);
		__entry->consumed = shmipc_segment_consumed(seg);
		__entry->val = val;
	),
	TP_printk("id=%016llx off=%llu val=%u published=%llu consumed=%llu", __entry->id,
		  __entry->off, __entry->val, __entry->published, __entry->consumed)
);

DECLARE_EVENT_CLASS(shmipc_wakes,
	TP_PROTO(const struct shmipc_segment *seg, u64 off, int ret),
	TP_ARGS(seg, off, ret),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, off)
		__field(u64, published)
		__field(u64, consumed)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->id = shmipc_segment_id(seg);
		__entry->off = off;
		__entry->published = shmipc_segment_published(seg);
		__entry->consumed = shmipc_segment_consumed(seg);
		__entry->ret = ret;
	),
	TP_printk("id=%016llx off=%llu ret=%d published=%llu consumed=%llu", __entry->id,
		  __entry->off, __entry->ret, __entry->published, __entry->consumed)
);

/* The sleep has ended; @ret is the result of WAIT. */
DEFINE_EVENT(shmipc_wakes, shmipc_wait_end,
	TP_PROTO(const struct shmipc_segment *seg, u64 off, int ret), TP_ARGS(seg, off, ret));
/* WAKE was called; @ret is how many sleepers it woke. */
DEFINE_EVENT(shmipc_wakes, shmipc_wake,
	TP_PROTO(const struct shmipc_segment *seg, u64 off, int ret), TP_ARGS(seg, off, ret));

/*
 * @bytes were committed, or if it is negative, uncommitted; @used is the segment's
 * memory afterwards. @ret is the result of COMMIT.
 */
TRACE_EVENT(shmipc_commit,
	TP_PROTO(const struct shmipc_segment *seg, u64 off, s64 bytes, int ret),
	TP_ARGS(seg, off, bytes, ret),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, off)
		__field(s64, bytes)
		__field(u64, used)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->id = shmipc_segment_id(seg);
		__entry->off = off;
		__entry->bytes = bytes;
		__entry->used = shmipc_memory_used(&seg->mem);
		__entry->ret = ret;
	),
	TP_printk("id=%016llx off=%llu bytes=%lld used=%llu ret=%d", __entry->id, __entry->off,
		  __entry->bytes, __entry->used, __entry->ret)
);

/*
 * Samples; the fields are described in linux/shmipc_bpf.h. Listening to one of these
 * tracepoints starts the sampler. A slot of -1: none; a position of -1: not known.
 */
TRACE_EVENT_FN(shmipc_sample,
	TP_PROTO(const struct shmipc_segment *seg, const struct shmipc_bpf_state *state),
	TP_ARGS(seg, state),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u64, published)
		__field(u64, consumed)
		__field(u64, messages)
		__field(u64, capacity)
		__field(u64, lag)
		__field(u64, behind)
		__field(int, slot)
		__field(int, pid)
		__field(u32, kind)
		__field(u32, attached)
		__field(u32, waiters)
		__array(char, name, 64)
	),
	TP_fast_assign(
		__entry->id = state->id;
		__entry->published = state->published;
		__entry->consumed = state->consumed;
		__entry->messages = state->messages;
		__entry->capacity = state->capacity;
		__entry->lag = state->lag;
		__entry->behind = state->behind;
		__entry->slot = state->slot;
		__entry->pid = state->pid;
		__entry->kind = state->kind;
		__entry->attached = state->attached;
		__entry->waiters = state->waiters;
		strscpy(__entry->name, seg->name, sizeof(__entry->name));
	),
	TP_printk("id=%016llx name=%s kind=%u published=%llu consumed=%llu messages=%llu capacity=%llu lag=%llu behind=%llu slot=%d pid=%d attached=%u waiters=%u",
		  __entry->id, __entry->name, __entry->kind, __entry->published,
		  __entry->consumed, __entry->messages, __entry->capacity, __entry->lag,
		  __entry->behind, __entry->slot, __entry->pid, __entry->attached,
		  __entry->waiters),
	shmipc_sample_reg, shmipc_sample_unreg
);

TRACE_EVENT_FN(shmipc_sample_peer,
	TP_PROTO(const struct shmipc_segment *seg, const struct shmipc_peer *peer,
		 const struct shmipc_bpf_peer *state),
	TP_ARGS(seg, peer, state),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(s64, pos)
		__field(u64, lag)
		__field(u64, behind)
		__field(u64, messages)
		__field(u64, lost)
		__field(u32, slot)
		__field(u32, role)
		__field(int, pid)
		__field(u32, holding)
		__field(u32, policy)
		__field(u32, group)
		__field(int, waits_for)
		__array(char, comm, 16)
	),
	TP_fast_assign(
		__entry->id = state->id;
		__entry->pos = state->pos;
		__entry->lag = state->lag;
		__entry->behind = state->behind;
		__entry->messages = state->messages;
		__entry->lost = state->lost;
		__entry->slot = state->slot;
		__entry->role = state->role;
		__entry->pid = state->pid;
		__entry->holding = state->holding;
		__entry->policy = state->policy;
		__entry->group = state->group;
		__entry->waits_for = state->waits_for;
		memcpy(__entry->comm, state->comm, sizeof(__entry->comm));
	),
	TP_printk("id=%016llx slot=%u role=%u pid=%d comm=%s pos=%lld lag=%llu behind=%llu messages=%llu lost=%llu holding=%u policy=%u group=%u waits_for=%d",
		  __entry->id, __entry->slot, __entry->role, __entry->pid, __entry->comm,
		  __entry->pos, __entry->lag, __entry->behind, __entry->messages,
		  __entry->lost, __entry->holding, __entry->policy, __entry->group,
		  __entry->waits_for),
	shmipc_sample_reg, shmipc_sample_unreg
);

#endif /* SHMIPC_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
