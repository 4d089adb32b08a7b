// SPDX-License-Identifier: GPL-2.0-only
/*
 * kfunc.c - functions of the module for eBPF programs; see linux/shmipc_bpf.h
 *
 * From any context, also from an NMI: no lock, and the segment cannot go
 * meanwhile. Where the module has no BTF they are not there, and nothing else
 * is missing.
 */
#include <linux/module.h>

#include "compat.h"
#include "shmipc.h"

/* The compiler must leave them as they are: the type information speaks of them. */
#define KFUNC		noinline

/* What the first version of each struct had. */
#define STATE_MIN	offsetofend(struct shmipc_bpf_state, waiters)
#define PEER_MIN	offsetofend(struct shmipc_bpf_peer, comm)

KFUNC int bpf_shmipc_segment_state(u64 id, struct shmipc_bpf_state *out, u32 out__sz)
{
	const struct shmipc_peer *peer;
	struct shmipc_segment *seg;
	struct shmipc_bpf_state state;
	struct shmipc_bpf_peer now;
	u32 i, seen = 0;

	memset(out, 0, out__sz);
	if (out__sz < STATE_MIN)
		return -EINVAL;
	seg = shmipc_table_peek(id);
	if (!seg)
		return -ENOENT;
	shmipc_state_read(seg, &state);
	for (i = 0; i < seg->peers && seen < state.attached; i++) {
		peer = shmipc_state_attached(seg, i);
		if (!peer)
			continue;
		seen++;
		shmipc_state_peer(seg, peer, &now);
		shmipc_state_slowest(&state, &now);
	}
	shmipc_table_unpeek(seg);
	memcpy(out, &state, min_t(size_t, out__sz, sizeof(state)));
	return 0;
}

KFUNC int bpf_shmipc_peer_state(u64 id, u32 slot, struct shmipc_bpf_peer *out, u32 out__sz)
{
	const struct shmipc_peer *peer;
	struct shmipc_segment *seg;
	struct shmipc_bpf_peer now;

	memset(out, 0, out__sz);
	if (out__sz < PEER_MIN)
		return -EINVAL;
	seg = shmipc_table_peek(id);
	if (!seg)
		return -ENOENT;
	peer = slot < seg->peers ? shmipc_state_attached(seg, slot) : NULL;
	if (peer)
		shmipc_state_peer(seg, peer, &now);
	shmipc_table_unpeek(seg);
	if (!peer)
		return -ESRCH;
	memcpy(out, &now, min_t(size_t, out__sz, sizeof(now)));
	return 0;
}

SHMIPC_KFUNCS_START(kfunc_ids)
BTF_ID_FLAGS(func, bpf_shmipc_segment_state)
BTF_ID_FLAGS(func, bpf_shmipc_peer_state)
SHMIPC_KFUNCS_END(kfunc_ids)

static const struct btf_kfunc_id_set kfuncs = {
	.owner	= THIS_MODULE,
	.set	= &kfunc_ids,
};

/* The kernel forgets them with the module. */
void shmipc_kfunc_init(void)
{
	int err;

	/* BTF without ids: nothing resolved them when the module was built. */
	err = shmipc_kfunc_resolved(&kfunc_ids) ? 0 : -ENOENT;
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &kfuncs);
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &kfuncs);
	if (err)
		pr_info("shmipc: no functions for eBPF programs: the module was built without BTF (%d)\n",
			err);
}
