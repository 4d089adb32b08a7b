/* SPDX-License-Identifier: GPL-2.0-only */
/* compat.h - what differs between kernel versions, and nothing else knows of */
#ifndef SHMIPC_COMPAT_H
#define SHMIPC_COMPAT_H

#include <linux/ipc_namespace.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/proc_ns.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "shmipc needs Linux 6.1 or later"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/*
 * References to an IPC namespace. put_ipc_ns() is not exported, but every
 * namespace carries the functions that /proc uses.
 */
static inline struct ipc_namespace *shmipc_ipc_ns_get(void)
{
	struct ns_common *ns = &current->nsproxy->ipc_ns->ns;

	ns = ns->ops->get(current);
	return ns ? container_of(ns, struct ipc_namespace, ns) : NULL;
}

static inline void shmipc_ipc_ns_put(struct ipc_namespace *ns)
{
	ns->ns.ops->put(&ns->ns);
}

/* How many references there are: when all are ours, the namespace is dead. */
static inline unsigned int shmipc_ipc_ns_refs(struct ipc_namespace *ns)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	return refcount_read(&ns->ns.count);
#else
	return refcount_read(&ns->ns.__ns_ref);
#endif
}

#endif /* SHMIPC_COMPAT_H */
