// SPDX-License-Identifier: GPL-2.0-only
/*
 * name.c - names of segments, separate for each IPC namespace
 *
 * One tree, ordered by namespace and then by name, under one mutex. It is needed
 * to create, open, list and remove segments, never to transfer data.
 *
 * A name holds a reference to its namespace, so that the pointer stays unique.
 * Persistent segments would thereby keep a namespace alive that has no processes:
 * a worker looks for namespaces whose references are all ours, and removes their
 * names, as the kernel does with System V segments.
 */
#include <linux/ctype.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "shmipc.h"

#define SWEEP_PERIOD	(10 * HZ)

/* Protects the tree, and dropping the last reference of each segment. */
DEFINE_MUTEX(shmipc_names_lock);
static struct rb_root names = RB_ROOT;

static void names_sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(names_work, names_sweep);

/* Valid: 1 to SHMIPC_NAME_MAX characters of [A-Za-z0-9._/-]; no part is empty, "." or "..". */
static bool name_ok(const char *name, u32 len)
{
	const char *part = name, *p;

	for (p = name; ; p++) {
		if (p - name == len || *p == '/') {
			size_t n = p - part;

			if (!n || (n == 1 && part[0] == '.') ||
			    (n == 2 && part[0] == '.' && part[1] == '.'))
				return false;
			if (p - name == len)
				return true;
			part = p + 1;
		} else if (!isascii(*p) || (!isalnum(*p) && !strchr("._-", *p)) || !*p) {
			return false;
		}
	}
}

/**
 * shmipc_name_read - read a name from user space
 * @name:  result, with a final 0
 * @uptr:  its address in user space
 * @len:   bytes
 * @check: it must be a valid name; otherwise any bytes, to compare names with
 *
 * Return: 0; -EINVAL; -EFAULT.
 */
int shmipc_name_read(char name[SHMIPC_NAME_MAX + 1], u64 uptr, u32 len, bool check)
{
	if (len > SHMIPC_NAME_MAX || (check && !len))
		return -EINVAL;
	if (copy_from_user(name, u64_to_user_ptr(uptr), len))
		return -EFAULT;
	name[len] = 0;
	return check && !name_ok(name, len) ? -EINVAL : 0;
}

static int order(const struct ipc_namespace *ns, const char *name,
		 const struct shmipc_segment *seg)
{
	if (ns != seg->ns)
		return (uintptr_t)ns < (uintptr_t)seg->ns ? -1 : 1;
	return strcmp(name, seg->name);
}

static struct shmipc_segment *find_locked(const struct ipc_namespace *ns, const char *name)
{
	struct rb_node *node = names.rb_node;

	while (node) {
		struct shmipc_segment *seg = rb_entry(node, struct shmipc_segment, name_node);
		int cmp = order(ns, name, seg);

		if (!cmp)
			return seg;
		node = cmp < 0 ? node->rb_left : node->rb_right;
	}
	return NULL;
}

/* The first segment of @ns with a name after @name. */
static struct shmipc_segment *after_locked(const struct ipc_namespace *ns, const char *name)
{
	struct rb_node *node = names.rb_node;
	struct shmipc_segment *best = NULL;

	while (node) {
		struct shmipc_segment *seg = rb_entry(node, struct shmipc_segment, name_node);

		if (order(ns, name, seg) < 0) {
			best = seg;
			node = node->rb_left;
		} else {
			node = node->rb_right;
		}
	}
	return best && best->ns == ns ? best : NULL;
}

static bool insert_locked(struct shmipc_segment *new)
{
	struct rb_node **link = &names.rb_node, *parent = NULL;

	while (*link) {
		struct shmipc_segment *seg = rb_entry(*link, struct shmipc_segment, name_node);
		int cmp = order(new->ns, new->name, seg);

		if (!cmp)
			return false;
		parent = *link;
		link = cmp < 0 ? &parent->rb_left : &parent->rb_right;
	}
	rb_link_node(&new->name_node, parent, link);
	rb_insert_color(&new->name_node, &names);
	return true;
}

/* Only a hint, to fail before a segment is created in vain. */
bool shmipc_name_taken(const char *name)
{
	bool taken;

	mutex_lock(&shmipc_names_lock);
	taken = find_locked(current->nsproxy->ipc_ns, name);
	mutex_unlock(&shmipc_names_lock);
	return taken;
}

/* Make the segment visible under its name. Return: 0; -EEXIST. */
int shmipc_name_link(struct shmipc_segment *seg)
{
	int err = 0;

	seg->ns = shmipc_ipc_ns_get();
	mutex_lock(&shmipc_names_lock);
	if (insert_locked(seg)) {
		seg->linked = true;
		if (seg->flags & SHMIPC_SEG_PERSISTENT) {
			shmipc_segment_get(seg);
			schedule_delayed_work(&names_work, SWEEP_PERIOD);
		}
	} else {
		err = -EEXIST;
	}
	mutex_unlock(&shmipc_names_lock);
	if (err) {
		shmipc_ipc_ns_put(seg->ns);
		seg->ns = NULL;
	}
	return err;
}

/* Free the name. The caller drops the reference that the name of a persistent segment held. */
void shmipc_name_erase_locked(struct shmipc_segment *seg)
{
	rb_erase(&seg->name_node, &names);
	seg->linked = false;
	shmipc_ipc_ns_put(seg->ns);
	seg->ns = NULL;
}

/* Do its owner, group and mode give the caller @want (MAY_READ, MAY_WRITE)? */
static bool mode_allows(const struct shmipc_segment *seg, int want)
{
	int bits = seg->mode;

	if (uid_eq(current_euid(), seg->uid))
		bits >>= 6;
	else if (in_group_p(seg->gid))
		bits >>= 3;
	return (bits & want) == want;
}

/* The rules of System V. */
static bool allowed_locked(const struct shmipc_segment *seg, int want)
{
	return mode_allows(seg, want) || ns_capable(shmipc_ipc_ns_user(seg->ns), CAP_IPC_OWNER);
}

/* A list that leaves something out is no attempt to open it: nothing for the audit log. */
static bool listed_locked(const struct shmipc_segment *seg)
{
	return mode_allows(seg, MAY_READ) ||
	       ns_capable_noaudit(shmipc_ipc_ns_user(seg->ns), CAP_IPC_OWNER);
}

/* Return: 0, with a reference; -ENOENT; -EACCES. */
int shmipc_name_open(struct shmipc_segment **ret, const char *name, int want)
{
	struct shmipc_segment *seg;
	int err = 0;

	mutex_lock(&shmipc_names_lock);
	seg = find_locked(current->nsproxy->ipc_ns, name);
	if (!seg)
		err = -ENOENT;
	else if (!allowed_locked(seg, want))
		err = -EACCES;
	else
		shmipc_segment_get(seg);
	mutex_unlock(&shmipc_names_lock);
	if (!err)
		*ret = seg;
	return err;
}

/* @only: the segment that must have the name; NULL: any. Return: 0; -ENOENT; -EPERM. */
int shmipc_name_unlink(const char *name, const struct shmipc_segment *only)
{
	struct shmipc_segment *seg;
	bool held = false;
	int err = 0;

	mutex_lock(&shmipc_names_lock);
	seg = find_locked(current->nsproxy->ipc_ns, name);
	if (!seg || (only && seg != only)) {
		err = -ENOENT;
	} else if (!uid_eq(current_euid(), seg->uid) &&
		   !ns_capable(shmipc_ipc_ns_user(seg->ns), CAP_SYS_ADMIN)) {
		err = -EPERM;
	} else {
		held = seg->flags & SHMIPC_SEG_PERSISTENT;
		shmipc_name_erase_locked(seg);
	}
	mutex_unlock(&shmipc_names_lock);
	if (held)
		shmipc_segment_put(seg);
	return err;
}

/* The next segment that the caller may read, with a reference. Return: 0; -ENOENT. */
int shmipc_name_next(struct shmipc_segment **ret, const char *after)
{
	struct ipc_namespace *ns = current->nsproxy->ipc_ns;
	struct shmipc_segment *seg;

	mutex_lock(&shmipc_names_lock);
	seg = after_locked(ns, after);
	while (seg && !listed_locked(seg)) {
		struct rb_node *node = rb_next(&seg->name_node);

		seg = node ? rb_entry(node, struct shmipc_segment, name_node) : NULL;
		if (seg && seg->ns != ns)
			seg = NULL;
	}
	if (seg)
		shmipc_segment_get(seg);
	mutex_unlock(&shmipc_names_lock);
	*ret = seg;
	return seg ? 0 : -ENOENT;
}

/* The first segment of a namespace to which only our names hold references. */
static struct shmipc_segment *find_orphan_locked(bool *ret_persistent)
{
	struct shmipc_segment *first = NULL;
	struct rb_node *node;
	unsigned int n = 0;

	*ret_persistent = false;
	for (node = rb_first(&names); node; node = rb_next(node)) {
		struct shmipc_segment *seg = rb_entry(node, struct shmipc_segment, name_node);

		if (!first || seg->ns != first->ns) {
			if (first && shmipc_ipc_ns_refs(first->ns) == n)
				return first;
			first = seg;
			n = 0;
		}
		n++;
		*ret_persistent |= seg->flags & SHMIPC_SEG_PERSISTENT;
	}
	return first && shmipc_ipc_ns_refs(first->ns) == n ? first : NULL;
}

static void names_sweep(struct work_struct *work)
{
	struct shmipc_segment *seg;
	bool more, held;

	do {
		mutex_lock(&shmipc_names_lock);
		seg = find_orphan_locked(&more);
		if (seg) {
			held = seg->flags & SHMIPC_SEG_PERSISTENT;
			shmipc_name_erase_locked(seg);
		} else if (more) {
			schedule_delayed_work(&names_work, SWEEP_PERIOD);
		}
		mutex_unlock(&shmipc_names_lock);
		if (seg && held)
			shmipc_segment_put(seg);
		cond_resched();
	} while (seg);
}

void shmipc_name_exit(void)
{
	cancel_delayed_work_sync(&names_work);
}

#if IS_ENABLED(CONFIG_SHMIPC_KUNIT_TEST)
#include "name_test.c"
#endif
