// SPDX-License-Identifier: GPL-2.0-only
/* ebpf.bpf.c - programs that call the module's functions and listen to its tracepoints */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "ebpf.h"

extern int bpf_shmipc_segment_state(__u64 id, struct shmipc_bpf_state *out, __u32 out__sz) __ksym;
extern int bpf_shmipc_peer_state(__u64 id, __u32 slot, struct shmipc_bpf_peer *out,
				 __u32 out__sz) __ksym;

/* Incomplete type. */
struct shmipc_segment;
struct shmipc_peer;

/* Only the segment with this id. */
__u64 wanted;
__u64 events[EBPF_EVENTS];
/* The last sample, and the result of the function at that time. */
struct shmipc_bpf_state sampled;
struct shmipc_bpf_state asked;
struct shmipc_bpf_peer sampled_peer;
int asked_ret = 1;

SEC("syscall")
int ask(struct ebpf_ask *ctx)
{
	struct shmipc_bpf_state state = { .id = 1 };
	struct shmipc_bpf_peer peer = { .id = 1 };

	ctx->ret = bpf_shmipc_segment_state(ctx->id, &state, sizeof(state));
	ctx->ret_peer = bpf_shmipc_peer_state(ctx->id, ctx->slot, &peer, sizeof(peer));
	__builtin_memcpy(&ctx->state, &state, sizeof(state));
	__builtin_memcpy(&ctx->peer, &peer, sizeof(peer));
	return 0;
}

/* A struct smaller than in the first version, and one larger than at present. */
SEC("syscall")
int ask_sizes(struct ebpf_ask *ctx)
{
	struct {
		struct shmipc_bpf_state state;
		__u64 later;
	} large = { .later = 1 };
	struct shmipc_bpf_state state = { .id = 1 };

	ctx->ret = bpf_shmipc_segment_state(ctx->id, &state, sizeof(state) - 8);
	ctx->state.id = state.id;
	ctx->ret_peer = bpf_shmipc_segment_state(ctx->id, &large.state, sizeof(large));
	ctx->state.published = large.later;
	return 0;
}

SEC("tp_btf/shmipc_sample")
int BPF_PROG(on_sample, const struct shmipc_segment *seg, const struct shmipc_bpf_state *state)
{
	struct shmipc_bpf_state now = {};

	if (!state || state->id != wanted)
		return 0;
	__sync_fetch_and_add(&events[EBPF_SAMPLE], 1);
	bpf_probe_read_kernel(&sampled, sizeof(sampled), state);
	asked_ret = bpf_shmipc_segment_state(wanted, &now, sizeof(now));
	asked = now;
	return 0;
}

SEC("tp_btf/shmipc_sample_peer")
int BPF_PROG(on_sample_peer, const struct shmipc_segment *seg, const struct shmipc_peer *peer,
	     const struct shmipc_bpf_peer *state)
{
	if (!state || state->id != wanted || state->slot != 1)
		return 0;
	__sync_fetch_and_add(&events[EBPF_SAMPLE_PEER], 1);
	bpf_probe_read_kernel(&sampled_peer, sizeof(sampled_peer), state);
	return 0;
}

SEC("tp_btf/shmipc_death")
int BPF_PROG(on_death, const struct shmipc_segment *seg, const struct shmipc_peer *peer)
{
	__sync_fetch_and_add(&events[EBPF_DEATH], 1);
	return 0;
}

SEC("raw_tp/shmipc_wait")
int on_wait(struct bpf_raw_tracepoint_args *ctx)
{
	__sync_fetch_and_add(&events[EBPF_WAIT], 1);
	return 0;
}

/* Layout of the event according to tracefs: the first 8 bytes are common to all. */
SEC("tp/shmipc/shmipc_wake")
int on_wake(struct ebpf_wake *ctx)
{
	if (ctx->id == wanted)
		__sync_fetch_and_add(&events[EBPF_WAKE], 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
