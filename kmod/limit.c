// SPDX-License-Identifier: GPL-2.0-only
/*
 * limit.c - limits on pinned memory and segments, in total and per user
 *
 * The memory cannot be swapped, so it is limited even where cgroups are not used.
 * Reserved bytes without memory cost only their part of the table of pages, 24 bytes
 * for 2 MiB. Their limit is the limit on memory times reserve_factor, with which all
 * tables together take at most about a hundredth of the limit on memory. The parameters
 * can be changed at any time and apply to what is created or committed afterwards.
 * Everything is counted for the user who created the segment, even if another process
 * commits a part of it. In a user namespace a process can take many ids at will, so there
 * the user who pays is the one who owns the outermost namespace.
 *
 * The last sixteenth of each total is for users with CAP_IPC_LOCK, whom the limits per
 * user do not concern: all others together cannot lock them out.
 *
 * RLIMIT_MEMLOCK does not apply: it is a limit of a process on its own mappings, while a
 * segment exists without one, and may be larger than any process maps.
 */
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>

#include "shmipc.h"

static unsigned long total_max_mib;
module_param(total_max_mib, ulong, 0644);
MODULE_PARM_DESC(total_max_mib, "MiB in all segments; 0: half of the memory");

static unsigned long user_max_mib;
module_param(user_max_mib, ulong, 0644);
MODULE_PARM_DESC(user_max_mib, "MiB of one user without CAP_IPC_LOCK; 0: a quarter of the memory");

static unsigned int total_max_segs = 32768;
module_param(total_max_segs, uint, 0644);
MODULE_PARM_DESC(total_max_segs, "segments in total");

static unsigned int user_max_segs = 4096;
module_param(user_max_segs, uint, 0644);
MODULE_PARM_DESC(user_max_segs, "segments of one user without CAP_IPC_LOCK");

static unsigned int reserve_factor = 1024;
module_param(reserve_factor, uint, 0644);
MODULE_PARM_DESC(reserve_factor, "bytes that all segments may reserve, as a multiple of the two limits in MiB (1024)");

/* Memory and segments in use, of a user or in total. */
struct usage {
	u64 bytes;
	u64 reserved;
	u32 segs;
};

struct shmipc_user {
	struct hlist_node node;
	kuid_t uid;
	struct usage in_use;
};

static DEFINE_MUTEX(limits_lock);
static DEFINE_HASHTABLE(users, 6);
static struct usage total;

static u64 total_max_bytes(void)
{
	unsigned long mib = READ_ONCE(total_max_mib);

	return mib ? (u64)mib << 20 : ((u64)totalram_pages() << PAGE_SHIFT) / 2;
}

static u64 user_max_bytes(void)
{
	unsigned long mib = READ_ONCE(user_max_mib);

	return mib ? (u64)mib << 20 : ((u64)totalram_pages() << PAGE_SHIFT) / 4;
}

static u64 max_reserved(u64 max_bytes)
{
	u64 max;

	return check_mul_overflow(max_bytes, (u64)READ_ONCE(reserve_factor), &max) ? U64_MAX : max;
}

static struct shmipc_user *user_find_locked(kuid_t uid)
{
	struct shmipc_user *user;

	hash_for_each_possible(users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

static struct shmipc_user *user_make_locked(kuid_t uid)
{
	struct shmipc_user *user = user_find_locked(uid);

	if (user)
		return user;
	user = kzalloc(sizeof(*user), GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (user) {
		user->uid = uid;
		hash_add(users, &user->node, __kuid_val(uid));
	}
	return user;
}

static void user_trim_locked(struct shmipc_user *user)
{
	if (user->in_use.segs)
		return;
	hash_del(&user->node);
	kfree(user);
}

/*
 * The user who pays for what the caller creates: outside of user namespaces its effective
 * user; in them the owner of the outermost one, or, if root has made that, for a container,
 * the container's own root.
 */
static kuid_t payer(void)
{
	struct user_namespace *ns = current_user_ns();
	kuid_t uid = current_euid(), root;

	if (ns == &init_user_ns)
		return uid;
	while (ns->parent != &init_user_ns)
		ns = ns->parent;
	if (!uid_eq(ns->owner, GLOBAL_ROOT_UID))
		return ns->owner;
	root = make_kuid(ns, 0);
	return uid_valid(root) ? root : uid;
}

/* What of a total is for the caller: all others leave a sixteenth to the privileged. */
static u64 share(u64 max, bool unlimited)
{
	return unlimited ? max : max - max / 16;
}

static u64 room(u64 max, u64 used)
{
	return max > used ? max - used : 0;
}

/* The limit that @more would exceed, or SHMIPC_LIMIT_NONE. */
static u32 limit_hit_locked(const struct usage *user, const struct usage *more, bool unlimited)
{
	u64 max = share(total_max_bytes(), unlimited);

	if (more->segs && total.segs >= share(READ_ONCE(total_max_segs), unlimited))
		return SHMIPC_LIMIT_TOTAL_SEGS;
	if (more->bytes > room(max, total.bytes))
		return SHMIPC_LIMIT_TOTAL_BYTES;
	if (more->reserved > room(max_reserved(max), total.reserved))
		return SHMIPC_LIMIT_TOTAL_RESERVED;
	if (unlimited)
		return SHMIPC_LIMIT_NONE;
	max = user_max_bytes();
	if (more->segs && user->segs >= READ_ONCE(user_max_segs))
		return SHMIPC_LIMIT_USER_SEGS;
	if (more->bytes > room(max, user->bytes))
		return SHMIPC_LIMIT_USER_BYTES;
	if (more->reserved > room(max_reserved(max), user->reserved))
		return SHMIPC_LIMIT_USER_RESERVED;
	return SHMIPC_LIMIT_NONE;
}

static void usage_add(struct usage *to, const struct usage *more)
{
	to->bytes += more->bytes;
	to->reserved += more->reserved;
	to->segs += more->segs;
}

static void usage_sub(struct usage *from, const struct usage *less)
{
	from->bytes -= less->bytes;
	from->reserved -= less->reserved;
	from->segs -= less->segs;
}

/*
 * Count a new segment of the caller: @reserved bytes, of which @used have memory.
 * Return: 0; -ENOMEM; -ENOSPC, with the limit in *@ret_limit.
 */
int shmipc_limit_charge(struct shmipc_segment *seg, u64 reserved, u64 used, u32 *ret_limit)
{
	struct usage more = { .bytes = used, .reserved = reserved, .segs = 1 };
	/* Not to be in the audit log: most users are refused here, and need not have it. */
	bool unlimited = ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK);
	struct shmipc_user *user;
	int err = 0;

	mutex_lock(&limits_lock);
	user = user_make_locked(payer());
	if (!user) {
		err = -ENOMEM;
		goto unlock;
	}
	*ret_limit = limit_hit_locked(&user->in_use, &more, unlimited);
	if (*ret_limit) {
		user_trim_locked(user);
		err = -ENOSPC;
		goto unlock;
	}
	usage_add(&user->in_use, &more);
	usage_add(&total, &more);
	seg->user = user;
	seg->unlimited = unlimited;
	seg->used_bytes = used;
	seg->reserved_bytes = reserved;
unlock:
	mutex_unlock(&limits_lock);
	return err;
}

/* Count @bytes more memory of a segment. Return: 0; -ENOSPC, with the limit in *@ret_limit. */
int shmipc_limit_use(struct shmipc_segment *seg, u64 bytes, u32 *ret_limit)
{
	struct usage more = { .bytes = bytes };

	mutex_lock(&limits_lock);
	*ret_limit = limit_hit_locked(&seg->user->in_use, &more, seg->unlimited);
	if (!*ret_limit) {
		usage_add(&seg->user->in_use, &more);
		usage_add(&total, &more);
		seg->used_bytes += bytes;
	}
	mutex_unlock(&limits_lock);
	return *ret_limit ? -ENOSPC : 0;
}

/* Count @bytes less memory of a segment. */
void shmipc_limit_unuse(struct shmipc_segment *seg, u64 bytes)
{
	struct usage less = { .bytes = bytes };

	mutex_lock(&limits_lock);
	usage_sub(&seg->user->in_use, &less);
	usage_sub(&total, &less);
	seg->used_bytes -= bytes;
	mutex_unlock(&limits_lock);
}

void shmipc_limit_uncharge(struct shmipc_segment *seg)
{
	struct usage less = { .bytes = seg->used_bytes, .reserved = seg->reserved_bytes,
			      .segs = 1 };

	if (!seg->user)
		return;
	mutex_lock(&limits_lock);
	usage_sub(&total, &less);
	usage_sub(&seg->user->in_use, &less);
	user_trim_locked(seg->user);
	seg->user = NULL;
	mutex_unlock(&limits_lock);
}

void shmipc_limit_info(struct shmipc_dev_info *ret)
{
	bool free = ns_capable_noaudit(&init_user_ns, CAP_IPC_LOCK);
	struct shmipc_user *user;

	mutex_lock(&limits_lock);
	user = user_find_locked(payer());
	ret->total_max_bytes = share(total_max_bytes(), free);
	ret->total_bytes = total.bytes;
	ret->user_max_bytes = free ? U64_MAX : user_max_bytes();
	ret->user_bytes = user ? user->in_use.bytes : 0;
	ret->total_max_segs = share(READ_ONCE(total_max_segs), free);
	ret->total_segs = total.segs;
	ret->user_max_segs = free ? U32_MAX : READ_ONCE(user_max_segs);
	ret->user_segs = user ? user->in_use.segs : 0;
	ret->total_max_reserved = max_reserved(ret->total_max_bytes);
	ret->total_reserved = total.reserved;
	ret->user_max_reserved = free ? U64_MAX : max_reserved(user_max_bytes());
	ret->user_reserved = user ? user->in_use.reserved : 0;
	mutex_unlock(&limits_lock);
}
