// SPDX-License-Identifier: MIT
/*
 * bpf.c - pins the module's interface to eBPF programs
 *
 * Later versions only add at the end. Compiled for 64 and for 32 bits; there is
 * nothing to run.
 */
#include <stddef.h>
#include <linux/shmipc_bpf.h>
#include "pin.h"

PIN(SHMIPC_BPF_NO_SLOT == 0xffffffffu && SHMIPC_BPF_NO_POS == ~0ULL);

SIZE(shmipc_bpf_state, 80);
AT(shmipc_bpf_state, id, 0);
AT(shmipc_bpf_state, published, 8);
AT(shmipc_bpf_state, consumed, 16);
AT(shmipc_bpf_state, messages, 24);
AT(shmipc_bpf_state, capacity, 32);
AT(shmipc_bpf_state, lag, 40);
AT(shmipc_bpf_state, behind, 48);
AT(shmipc_bpf_state, slot, 56);
AT(shmipc_bpf_state, pid, 60);
AT(shmipc_bpf_state, kind, 64);
AT(shmipc_bpf_state, slots, 68);
AT(shmipc_bpf_state, attached, 72);
AT(shmipc_bpf_state, waiters, 76);

SIZE(shmipc_bpf_peer, 104);
AT(shmipc_bpf_peer, id, 0);
AT(shmipc_bpf_peer, generation, 8);
AT(shmipc_bpf_peer, pos, 16);
AT(shmipc_bpf_peer, lag, 24);
AT(shmipc_bpf_peer, behind, 32);
AT(shmipc_bpf_peer, messages, 40);
AT(shmipc_bpf_peer, lost, 48);
AT(shmipc_bpf_peer, slot, 56);
AT(shmipc_bpf_peer, role, 60);
AT(shmipc_bpf_peer, pid, 64);
AT(shmipc_bpf_peer, holding, 68);
AT(shmipc_bpf_peer, policy, 72);
AT(shmipc_bpf_peer, group, 76);
AT(shmipc_bpf_peer, waits_for, 80);
AT(shmipc_bpf_peer, reserved, 84);
AT(shmipc_bpf_peer, comm, 88);
