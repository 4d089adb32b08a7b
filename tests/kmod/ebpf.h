/* SPDX-License-Identifier: MIT */
/* ebpf.h - shared by ebpf.c and its programs */
#ifndef TESTS_KMOD_EBPF_H
#define TESTS_KMOD_EBPF_H

#include <linux/shmipc_bpf.h>

enum ebpf_event {
	EBPF_SAMPLE,
	EBPF_SAMPLE_PEER,
	EBPF_DEATH,
	EBPF_WAIT,
	EBPF_WAKE,
	EBPF_EVENTS,
};

/* A request, and its results. */
struct ebpf_ask {
	__u64 id;
	__u32 slot;
	__s32 ret;
	__s32 ret_peer;
	__u32 pad;
	struct shmipc_bpf_state state;
	struct shmipc_bpf_peer peer;
};

/* The beginning of the event shmipc_wake. */
struct ebpf_wake {
	__u64 common;
	__u64 id;
	__u64 off;
};

#endif /* TESTS_KMOD_EBPF_H */
