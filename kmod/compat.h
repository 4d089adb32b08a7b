/* SPDX-License-Identifier: GPL-2.0-only */
/* compat.h - differences between kernel versions; they are handled here only */
#ifndef SHMIPC_COMPAT_H
#define SHMIPC_COMPAT_H

#include <linux/anon_inodes.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/hrtimer.h>
#include <linux/ipc_namespace.h>
#include <linux/migrate_mode.h>
#include <linux/mm.h>
#include <linux/nsproxy.h>
#include <linux/proc_ns.h>
#include <linux/version.h>

#ifdef __CHECKER__	/* sparse does not know __has_include */
#include <linux/pagevec.h>
#elif __has_include(<linux/folio_batch.h>)
#include <linux/folio_batch.h>
#else
#include <linux/pagevec.h>
#endif

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

/* Empty this CPU's lists of pages on their way to the LRU lists. */
static inline void shmipc_lru_drain(void)
{
	struct folio_batch none;

	folio_batch_init(&none);
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	__pagevec_release((struct pagevec *)&none);
#else
	__folio_batch_release(&none);
#endif
}

/* For mappings whose pages stay where they are. */
static inline int shmipc_migrate_nothing(struct address_space *mapping, struct folio *dst,
					 struct folio *src, enum migrate_mode mode)
{
	return -EBUSY;
}

/*
 * A file with an inode of its own, which the security modules have labelled, or refused.
 * Before 6.8 a module cannot have one.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#define SHMIPC_HAS_LABELS	0
static inline struct file *shmipc_labelled_file(const struct file_operations *fops)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#else
#define SHMIPC_HAS_LABELS	1
static inline struct file *shmipc_labelled_file(const struct file_operations *fops)
{
	return anon_inode_create_getfile("[shmipc]", fops, NULL, O_RDWR, NULL);
}
#endif

/*
 * References to the caller's IPC namespace. put_ipc_ns() is not exported, but every
 * namespace has the operations that /proc uses. Without namespaces there is one, or none
 * at all, that is never freed.
 */
static inline struct ipc_namespace *shmipc_ipc_ns_get(void)
{
	return get_ipc_ns(current->nsproxy->ipc_ns);
}

static inline void shmipc_ipc_ns_put(struct ipc_namespace *ns)
{
#ifdef CONFIG_IPC_NS
	ns->ns.ops->put(&ns->ns);
#endif
}

static inline struct user_namespace *shmipc_ipc_ns_user(const struct ipc_namespace *ns)
{
#ifdef CONFIG_IPC_NS
	return ns->user_ns;
#else
	return &init_user_ns;
#endif
}

/*
 * The number of references: when all are ours, the namespace is dead. The initial
 * namespace never is, and newer kernels do not count its references.
 */
static inline unsigned int shmipc_ipc_ns_refs(struct ipc_namespace *ns)
{
#ifndef CONFIG_IPC_NS
	return UINT_MAX;
#else
	if (ns->ns.inum == PROC_IPC_INIT_INO)
		return UINT_MAX;
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	return refcount_read(&ns->ns.count);
#else
	return refcount_read(&ns->ns.__ns_ref);
#endif
#endif
}

/* How often a folio of a file is mapped, in parts or as a whole. */
static inline int shmipc_folio_mapcount(struct folio *folio)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	long i, n = folio_nr_pages(folio), maps = 0, whole;

	for (i = 0; i < n; i++)
		maps += atomic_read(&folio_page(folio, i)->_mapcount) + 1;
	if (n == 1)
		return maps;
	whole = folio_entire_mapcount(folio);
	if (LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0))
		maps -= whole * n;	/* counted in each page, too */
	return maps + whole;
#else
	return folio_mapcount(folio);
#endif
}

/* io_uring commands: the bytes of the sqe, and completion. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
#include <linux/io_uring.h>
#else
#include <linux/io_uring/cmd.h>
#endif

static inline const void *shmipc_uring_bytes(struct io_uring_cmd *cmd)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
	return cmd->cmd;
#else
	return cmd->sqe->cmd;
#endif
}

static inline void shmipc_uring_done(struct io_uring_cmd *cmd, int ret, unsigned int issue_flags)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 18, 0)
	io_uring_cmd_done(cmd, ret, 0, issue_flags);
#else
	io_uring_cmd_done(cmd, ret, issue_flags);
#endif
}

/* Defines @name, to be run in the submitter's context, which calls fn(cmd, issue_flags). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 19, 0)
#define SHMIPC_URING_TASK_WORK(name, fn)					\
static void name(struct io_uring_cmd *cmd, unsigned int issue_flags)		\
{										\
	fn(cmd, issue_flags);							\
}
#else
#define SHMIPC_URING_TASK_WORK(name, fn)					\
static void name(struct io_tw_req tw_req, io_tw_token_t tw)			\
{										\
	fn(io_uring_cmd_from_tw(tw_req), IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);	\
}
#endif

/*
 * Before 6.7 io_uring cannot cancel a command: a process that ends, or execs, would wait
 * for it without end, and a registered file would never be released. So there is none.
 */
#define SHMIPC_HAS_URING \
	(IS_ENABLED(CONFIG_IO_URING) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0))

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline bool shmipc_uring_is_cancel(unsigned int issue_flags)
{
	return false;
}

static inline void shmipc_uring_cancelable(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
}
#else
static inline bool shmipc_uring_is_cancel(unsigned int issue_flags)
{
	return issue_flags & IO_URING_F_CANCEL;
}

static inline void shmipc_uring_cancelable(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
}
#endif

/* A file without a NUMA policy of its own; see mmap.c. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline struct mempolicy *shmipc_no_policy(struct vm_area_struct *vma, unsigned long addr)
{
	return NULL;
}
#else
static inline struct mempolicy *shmipc_no_policy(struct vm_area_struct *vma, unsigned long addr,
						 pgoff_t *ilx)
{
	*ilx = 0;
	return NULL;
}
#endif

/* The compiler must not inline them: BTF describes them as written. They are not static. */
#ifndef __bpf_kfunc
#define __bpf_kfunc	noinline
#endif

/*
 * Functions for eBPF programs. With a kernel or a build without BTF the ids of the set
 * are 0, or the set is empty.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
#define SHMIPC_KFUNCS_START(name)	BTF_SET8_START(name)
#define SHMIPC_KFUNCS_END(name)		BTF_SET8_END(name)
#else
#define SHMIPC_KFUNCS_START(name)	BTF_KFUNCS_START(name)
#define SHMIPC_KFUNCS_END(name)		BTF_KFUNCS_END(name)
#endif

static inline bool shmipc_kfunc_resolved(const struct btf_id_set8 *set)
{
	return READ_ONCE(set->cnt) && READ_ONCE(set->pairs[0].id);
}

static inline void shmipc_hrtimer_setup(struct hrtimer *timer,
					enum hrtimer_restart (*fn)(struct hrtimer *),
					enum hrtimer_mode mode)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
	hrtimer_init(timer, CLOCK_MONOTONIC, mode);
	timer->function = fn;
#else
	hrtimer_setup(timer, fn, CLOCK_MONOTONIC, mode);
#endif
}

#endif /* SHMIPC_COMPAT_H */
