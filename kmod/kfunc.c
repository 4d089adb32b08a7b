// SPDX-License-Identifier: GPL-2.0-only
/*
 * kfunc.c - functions of the module for eBPF programs; see linux/shmipc_bpf.h
 *
 * They can be called from any context, also from an NMI: they take no lock, and keep
 * the segment from ending. If the module has no BTF they are not available; everything
 * else works.
 */
#include <linux/module.h>
#include <linux/nospec.h>

#include "compat.h"
#include "shmipc.h"

/* The size of each struct in its first version. */
#define STATE_MIN	offsetofend(struct shmipc_bpf_state, waiters)
#define PEER_MIN	offsetofend(struct shmipc_bpf_peer, comm)

__bpf_kfunc int bpf_shmipc_segment_state(u64 id, struct shmipc_bpf_state *out, u32 out__sz)
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

__bpf_kfunc int bpf_shmipc_peer_state(u64 id, u32 slot, struct shmipc_bpf_peer *out, u32 out__sz)
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
	peer = slot < seg->peers ?
	       shmipc_state_attached(seg, array_index_nospec(slot, seg->peers)) : NULL;
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

/* The kernel unregisters them when the module is removed. */
void shmipc_kfunc_init(void)
{
	int err;

	/* There may be BTF without the ids of the set, if the build did not resolve them. */
	err = shmipc_kfunc_resolved(&kfunc_ids) ? 0 : -ENOENT;
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_TRACING, &kfuncs);
	if (!err)
		err = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &kfuncs);
	if (err)
		pr_info("shmipc: no functions for eBPF programs: the module was built without BTF (%d)\n",
			err);
}
