// SPDX-License-Identifier: GPL-2.0-only
/*
 * limit.c - how much pinned memory and how many segments, in total and by user
 *
 * The memory cannot be swapped, so it is limited even where cgroups are not
 * used. The parameters can be changed at any time and hold for what is made
 * afterwards.
 */
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>

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

struct shmipc_user {
	struct hlist_node node;
	kuid_t uid;
	u64 bytes;
	u32 segs;
};

static DEFINE_MUTEX(limits_lock);
static DEFINE_HASHTABLE(users, 6);
static u64 total_bytes;
static u32 total_segs;

static u64 max_bytes(unsigned long mib, unsigned int share)
{
	if (mib)
		return (u64)mib << 20;
	return ((u64)totalram_pages() << PAGE_SHIFT) / share;
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
	user = kzalloc(sizeof(*user), GFP_KERNEL);
	if (user) {
		user->uid = uid;
		hash_add(users, &user->node, __kuid_val(uid));
	}
	return user;
}

static void user_trim_locked(struct shmipc_user *user)
{
	if (user->segs)
		return;
	hash_del(&user->node);
	kfree(user);
}

static u64 room(u64 max, u64 used)
{
	return max > used ? max - used : 0;
}

static u32 limit_hit_locked(const struct shmipc_user *user, u64 bytes)
{
	if (total_segs >= READ_ONCE(total_max_segs))
		return SHMIPC_LIMIT_TOTAL_SEGS;
	if (bytes > room(max_bytes(total_max_mib, 2), total_bytes))
		return SHMIPC_LIMIT_TOTAL_BYTES;
	if (capable(CAP_IPC_LOCK))
		return SHMIPC_LIMIT_NONE;
	if (user->segs >= READ_ONCE(user_max_segs))
		return SHMIPC_LIMIT_USER_SEGS;
	if (bytes > room(max_bytes(user_max_mib, 4), user->bytes))
		return SHMIPC_LIMIT_USER_BYTES;
	return SHMIPC_LIMIT_NONE;
}

/* Count @bytes and one segment for the caller. -ENOSPC: *@ret_limit says why. */
int shmipc_limit_charge(struct shmipc_segment *seg, u64 bytes, u32 *ret_limit)
{
	struct shmipc_user *user;
	int err = 0;

	mutex_lock(&limits_lock);
	user = user_make_locked(current_euid());
	if (!user) {
		err = -ENOMEM;
		goto unlock;
	}
	*ret_limit = limit_hit_locked(user, bytes);
	if (*ret_limit) {
		user_trim_locked(user);
		err = -ENOSPC;
		goto unlock;
	}
	user->bytes += bytes;
	user->segs++;
	total_bytes += bytes;
	total_segs++;
	seg->user = user;
	seg->charged = bytes;
unlock:
	mutex_unlock(&limits_lock);
	return err;
}

void shmipc_limit_uncharge(struct shmipc_segment *seg)
{
	if (!seg->user)
		return;
	mutex_lock(&limits_lock);
	total_bytes -= seg->charged;
	total_segs--;
	seg->user->bytes -= seg->charged;
	seg->user->segs--;
	user_trim_locked(seg->user);
	seg->user = NULL;
	mutex_unlock(&limits_lock);
}

void shmipc_limit_info(struct shmipc_dev_info *ret)
{
	bool free = capable(CAP_IPC_LOCK);
	struct shmipc_user *user;

	mutex_lock(&limits_lock);
	user = user_find_locked(current_euid());
	ret->total_max_bytes = max_bytes(total_max_mib, 2);
	ret->total_bytes = total_bytes;
	ret->user_max_bytes = free ? U64_MAX : max_bytes(user_max_mib, 4);
	ret->user_bytes = user ? user->bytes : 0;
	ret->total_max_segs = total_max_segs;
	ret->total_segs = total_segs;
	ret->user_max_segs = free ? U32_MAX : user_max_segs;
	ret->user_segs = user ? user->segs : 0;
	mutex_unlock(&limits_lock);
}
