// SPDX-License-Identifier: GPL-2.0-only
/* lsm.bpf.c - a security module: it counts what one process does, and forbids what it is told */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lsm.h"

#define S_PRIVATE	512
#define EPERM		1
#define NAME		0x5d6370696d68735bull	/* "[shmipc]" */

/* As much of the kernel's types as is needed. */
struct inode {
	unsigned int i_flags;
} __attribute__((preserve_access_index));

struct file {
	struct inode *f_inode;
} __attribute__((preserve_access_index));

struct qstr {
	const unsigned char *name;
} __attribute__((preserve_access_index));

__u32 process;			/* only this one */
__u32 forbidden;		/* 1 << enum lsm_hook, or-ed */
__u64 calls[LSM_HOOKS];
__u32 is_private;		/* the inode of the last ioctl's file */

static int verdict(enum lsm_hook hook)
{
	if (bpf_get_current_pid_tgid() >> 32 != process)
		return 0;
	calls[hook]++;
	if (!(forbidden & 1u << hook))
		return 0;
	/* A branch for the verifier, not arithmetic. */
	asm volatile("" ::: "memory");
	return -EPERM;
}

SEC("lsm/inode_init_security_anon")
int BPF_PROG(on_inode, struct inode *inode, const struct qstr *name, const struct inode *context)
{
	__u64 text[2] = { 0 };

	bpf_probe_read_kernel_str(text, sizeof(text), BPF_CORE_READ(name, name));
	return text[0] == NAME && !text[1] ? verdict(LSM_INODE) : 0;
}

SEC("lsm/file_open")
int BPF_PROG(on_open, struct file *file)
{
	return verdict(LSM_OPEN);
}

SEC("lsm/file_ioctl")
int BPF_PROG(on_ioctl, struct file *file, unsigned int cmd, unsigned long arg)
{
	if (bpf_get_current_pid_tgid() >> 32 == process)
		is_private = BPF_CORE_READ(file, f_inode, i_flags) & S_PRIVATE;
	return verdict(LSM_IOCTL);
}

SEC("lsm/mmap_file")
int BPF_PROG(on_mmap, struct file *file, unsigned long reqprot, unsigned long prot,
	     unsigned long flags)
{
	return file ? verdict(LSM_MMAP) : 0;
}

SEC("lsm/file_receive")
int BPF_PROG(on_receive, struct file *file)
{
	return verdict(LSM_RECEIVE);
}

char LICENSE[] SEC("license") = "GPL";
