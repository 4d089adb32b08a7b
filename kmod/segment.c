// SPDX-License-Identifier: GPL-2.0-only
/* segment.c - creating a segment, complete before it becomes visible, and ending it */
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "trace.h"

#define DATA_BYTES_MAX	BIT_ULL(44)
#define CREATE_FLAGS	(SHMIPC_DEV_PERSISTENT | SHMIPC_DEV_ON_NODE | SHMIPC_DEV_CHOWN | \
			 SHMIPC_DEV_RESERVE | SHMIPC_DEV_SEALS)

static int check_sizes(const struct shmipc_dev_create *r)
{
	u64 body = SHMIPC_DEV_BODY_OFF(r->peers);

	if (!r->peers || r->peers > SHMIPC_DEV_PEERS_MAX || r->body_bytes > SHMIPC_DEV_BODY_MAX)
		return -EINVAL;
	if (r->page && (!is_power_of_2(r->page) || r->page < PAGE_SIZE))
		return -EINVAL;
	if (!PAGE_ALIGNED(r->data_off) || r->data_off < body + r->body_bytes ||
	    r->data_off > body + SHMIPC_DEV_BODY_MAX + SHMIPC_CHUNK_BYTES)
		return -EINVAL;
	if (!PAGE_ALIGNED(r->data_bytes) || !r->data_bytes || r->data_bytes > DATA_BYTES_MAX)
		return -EINVAL;
	if (r->flags & SHMIPC_DEV_RESERVE ?
	    !PAGE_ALIGNED(r->commit_bytes) || r->commit_bytes > r->data_bytes : r->commit_bytes)
		return -EINVAL;
	return 0;
}

static int check_request(const struct shmipc_dev_create *r)
{
	if (r->flags & ~CREATE_FLAGS || r->reserved1)
		return -EINVAL;
	if (r->kind == SHMIPC_KIND_ANY || r->mode & ~0777u || r->role_max[SHMIPC_ROLE_NONE])
		return -EINVAL;
	if (r->nregions > SHMIPC_DEV_REGIONS_MAX || !!r->name != !!r->name_len)
		return -EINVAL;
	if (!r->name && r->flags & SHMIPC_DEV_PERSISTENT)
		return -EINVAL;
	if (r->flags & SHMIPC_DEV_ON_NODE ?
	    r->node < 0 || r->node >= MAX_NUMNODES ||
	    !node_state(array_index_nospec(r->node, MAX_NUMNODES), N_MEMORY) : r->node)
		return -EINVAL;
	return check_sizes(r) ?: shmipc_seal_check(r);
}

static int check_regions(const struct shmipc_dev_region *region, u32 n,
			 const struct shmipc_dev_create *r)
{
	u64 total = r->data_off + r->data_bytes, body = SHMIPC_DEV_BODY_OFF(r->peers);
	u32 i;

	for (i = 0; i < n; i++) {
		const struct shmipc_dev_region *g = &region[i];

		if (g->reserved || !g->roles || g->roles >> SHMIPC_DEV_ROLES)
			return -EINVAL;
		if (!PAGE_ALIGNED(g->off) || !PAGE_ALIGNED(g->bytes) || !g->bytes ||
		    g->off < body || g->off > total || g->bytes > total - g->off)
			return -EINVAL;
	}
	return 0;
}

static int read_regions(struct shmipc_segment *seg, const struct shmipc_dev_create *r)
{
	int err;

	if (copy_from_user(seg->region, u64_to_user_ptr(r->regions),
			   r->nregions * sizeof(seg->region[0])))
		return -EFAULT;
	err = check_regions(seg->region, r->nregions, r);
	if (!err)
		err = shmipc_seal_regions(seg->region, r->nregions, r);
	if (!err)
		seg->nregions = r->nregions;
	return err;
}

static int set_owner(struct shmipc_segment *seg, const struct shmipc_dev_create *r)
{
	struct user_namespace *ns = current_user_ns();

	seg->uid = current_euid();
	seg->gid = current_egid();
	if (!(r->flags & SHMIPC_DEV_CHOWN))
		return r->uid || r->gid ? -EINVAL : 0;
	seg->uid = make_kuid(ns, r->uid);
	seg->gid = make_kgid(ns, r->gid);
	if (!uid_valid(seg->uid) || !gid_valid(seg->gid))
		return -EINVAL;
	if (!uid_eq(seg->uid, current_euid()) && !ns_capable(ns, CAP_CHOWN))
		return -EPERM;
	if (!in_group_p(seg->gid) && !ns_capable(ns, CAP_CHOWN))
		return -EPERM;
	return 0;
}

/* Are 2 MiB pages wanted, and possible with the data at this offset? */
static bool want_huge(const struct shmipc_dev_create *r)
{
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || PMD_SHIFT != SHMIPC_CHUNK_SHIFT)
		return false;
	/* A page is sealed as a whole. */
	if (r->flags & SHMIPC_DEV_SEALS &&
	    !IS_ALIGNED(r->seal_unit | r->seal_off, SHMIPC_CHUNK_BYTES))
		return false;
	return (!r->page || r->page >= SHMIPC_CHUNK_BYTES) &&
	       IS_ALIGNED(r->data_off, SHMIPC_CHUNK_BYTES);
}

/* Copy the creator's initial contents to behind the peer table. */
static int fill_body(struct shmipc_segment *seg, const struct shmipc_dev_create *r)
{
	u64 at = SHMIPC_DEV_BODY_OFF(r->peers), done, n;

	for (done = 0; done < r->body_bytes; done += n) {
		/* To the end of the page at most: they are not adjacent. */
		n = min_t(u64, r->body_bytes - done, PAGE_SIZE - offset_in_page(at + done));
		if (copy_from_user(shmipc_memory_addr(&seg->mem, at + done),
				   u64_to_user_ptr(r->body + done), n))
			return -EFAULT;
	}
	return 0;
}

/* The smallest page of the data at present. mem->small includes those of the control part. */
static u64 page_got(const struct shmipc_segment *seg)
{
	const struct shmipc_memory *mem = &seg->mem;

	return READ_ONCE(mem->huge) && READ_ONCE(mem->small) <= mem->ctl_bytes >> PAGE_SHIFT ?
	       SHMIPC_CHUNK_BYTES : PAGE_SIZE;
}

static int node_got(struct shmipc_segment *seg)
{
	int node = shmipc_memory_node(&seg->mem, seg->data_off);

	return node >= 0 ? node : shmipc_memory_node(&seg->mem, 0);
}

static void fill_header(struct shmipc_segment *seg)
{
	struct shmipc_seg_hdr *h = shmipc_memory_addr(&seg->mem, 0);
	struct user_namespace *ns = current_user_ns();

	h->layout_major = SHMIPC_LAYOUT_MAJOR;
	h->layout_minor = SHMIPC_LAYOUT_MINOR;
	h->hdr_bytes = sizeof(*h);
	h->total_bytes = seg->mem.bytes;
	h->peers_off = SHMIPC_DEV_PEERS_OFF;
	h->body_off = SHMIPC_DEV_BODY_OFF(seg->peers);
	h->data_off = seg->data_off;
	h->data_bytes = seg->data_bytes;
	h->page_asked = seg->page_asked;
	h->page_got = page_got(seg);
	h->node_asked = seg->mem.node;
	h->node_got = node_got(seg);
	h->peers = seg->peers;
	h->peer_bytes = sizeof(struct shmipc_peer_slot);
	h->kind = seg->kind;
	h->flags = seg->flags;
	h->mode = seg->mode;
	h->uid = from_kuid_munged(ns, seg->uid);
	h->gid = from_kgid_munged(ns, seg->gid);
	h->created_ns = seg->created_ns;
	memcpy(h->id, seg->id, sizeof(h->id));
	memcpy(h->name, seg->name, seg->name_len);
	/* The magic last, as in user space. */
	smp_store_release(&h->magic, SHMIPC_SEG_MAGIC);
}

/* Allocate the pages that the segment has from the start. */
static int alloc_pages_of(struct shmipc_segment *seg, struct shmipc_dev_create *r)
{
	u64 ctl = PAGE_ALIGN(SHMIPC_DEV_BODY_OFF(r->peers) + r->body_bytes);
	u64 data = r->flags & SHMIPC_DEV_RESERVE ? r->commit_bytes : r->data_bytes;
	int err;

	err = shmipc_limit_charge(seg, r->flags & SHMIPC_DEV_RESERVE ?
				  r->data_off + r->data_bytes : ctl + r->data_bytes, ctl + data,
				  &r->limit);
	if (err)
		return err;
	err = shmipc_memory_init(&seg->mem, ctl, r->data_off, r->data_bytes);
	if (err)
		return err;
	err = shmipc_memory_fill(&seg->mem, 0, ctl);
	if (!err && data)
		err = shmipc_memory_fill(&seg->mem, r->data_off, r->data_off + data);
	if (err)
		return err;
	r->huge = seg->mem.huge;
	r->small = seg->mem.small;
	return 0;
}

static struct shmipc_segment *segment_new(const struct shmipc_dev_create *r)
{
	struct shmipc_segment *seg = kzalloc(sizeof(*seg), SHMIPC_GFP);

	if (!seg)
		return NULL;
	kref_init(&seg->ref);
	seg->user_ns = get_user_ns(current_user_ns());
	spin_lock_init(&seg->lock);
	shmipc_wait_init(seg);
	shmipc_seal_init(seg, r);
	INIT_LIST_HEAD(&seg->table_node);
	seg->kind = r->kind;
	seg->mode = r->mode;
	seg->peers = r->peers;
	seg->data_off = r->data_off;
	seg->data_bytes = r->data_bytes;
	seg->page_asked = r->page;
	seg->mem.node = r->flags & SHMIPC_DEV_ON_NODE ?
			(int)array_index_nospec(r->node, MAX_NUMNODES) : -1;
	seg->mem.reserve = r->flags & SHMIPC_DEV_RESERVE;
	seg->mem.large = want_huge(r);
	seg->flags = (r->flags & SHMIPC_DEV_PERSISTENT ? SHMIPC_SEG_PERSISTENT : 0) |
		     (r->name ? 0 : SHMIPC_SEG_ANON);
	seg->created_ns = ktime_get_real_ns();
	memcpy(seg->role_max, r->role_max, sizeof(seg->role_max));
	get_random_bytes(seg->id, sizeof(seg->id));
	seg->slot = kvcalloc(r->peers, sizeof(*seg->slot), SHMIPC_GFP);
	if (!seg->slot) {
		put_user_ns(seg->user_ns);
		kfree(seg);
		return NULL;
	}
	return seg;
}

/**
 * shmipc_segment_create - create a segment that other processes cannot find yet
 * @ret: the segment, with one reference
 * @r:   request; its results are filled in
 *
 * Return: see struct shmipc_dev_create.
 */
int shmipc_segment_create(struct shmipc_segment **ret, struct shmipc_dev_create *r)
{
	struct shmipc_segment *seg;
	int err = check_request(r);

	if (err)
		return err;
	seg = segment_new(r);
	if (!seg)
		return -ENOMEM;
	err = read_regions(seg, r);
	if (err)
		goto put;
	err = set_owner(seg, r);
	if (err)
		goto put;
	if (r->name) {
		err = shmipc_name_read(seg->name, r->name, r->name_len, true);
		if (err)
			goto put;
		seg->name_len = r->name_len;
		err = shmipc_name_taken(seg->name) ? -EEXIST : 0;
		if (err)
			goto put;
	}
	err = alloc_pages_of(seg, r);
	if (err)
		goto put;
	err = fill_body(seg, r);
	if (err)
		goto put;
	shmipc_seal_clear(seg);
	shmipc_state_find(seg);
	fill_header(seg);
	memcpy(r->id, seg->id, sizeof(r->id));
	*ret = seg;
	return 0;
put:
	shmipc_segment_put(seg);
	return err;
}

/* Give a new segment its name, and show it to tracers and root. Return: 0; -EEXIST. */
int shmipc_segment_publish(struct shmipc_segment *seg)
{
	int err = seg->name_len ? shmipc_name_link(seg) : 0;

	if (err)
		return err;
	shmipc_table_add(seg);
	trace_shmipc_create(seg);
	return 0;
}

void shmipc_segment_get(struct shmipc_segment *seg)
{
	kref_get(&seg->ref);
}

static void segment_free(struct shmipc_segment *seg)
{
	struct shmipc_peer *peer;
	u32 i;

	if (!list_empty(&seg->table_node)) {
		trace_shmipc_destroy(seg);
		shmipc_table_del(seg);
	}
	for (i = 0; i < seg->peers; i++) {
		peer = rcu_dereference_protected(seg->slot[i], true);
		if (peer)
			shmipc_peer_put(peer);
	}
	shmipc_memory_free(&seg->mem);
	shmipc_limit_uncharge(seg);
	shmipc_death_free(seg);
	kvfree(seg->slot);
	put_user_ns(seg->user_ns);
	kfree_rcu(seg, rcu);
}

/* The last reference: after the lock is released the segment can no longer be opened. */
static void segment_release(struct kref *ref)
{
	struct shmipc_segment *seg = container_of(ref, struct shmipc_segment, ref);

	if (seg->linked)
		shmipc_name_erase_locked(seg);
	mutex_unlock(&shmipc_names_lock);
	segment_free(seg);
}

/* May sleep. */
void shmipc_segment_put(struct shmipc_segment *seg)
{
	kref_put_mutex(&seg->ref, segment_release, &shmipc_names_lock);
}

struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, u32 slot)
{
	return shmipc_memory_addr(&seg->mem, SHMIPC_DEV_PEERS_OFF +
				  (u64)slot * sizeof(struct shmipc_peer_slot));
}

void shmipc_segment_stat(struct shmipc_segment *seg, struct shmipc_dev_stat *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->flags = seg->flags;
	ret->total_bytes = seg->mem.bytes;
	ret->data_off = seg->data_off;
	ret->data_bytes = seg->data_bytes;
	ret->page_asked = seg->page_asked;
	ret->page_got = page_got(seg);
	ret->node_asked = seg->mem.node;
	ret->node_got = node_got(seg);
	ret->huge = READ_ONCE(seg->mem.huge);
	ret->small = READ_ONCE(seg->mem.small);
	ret->kind = seg->kind;
	ret->mode = seg->mode;
	ret->uid = from_kuid_munged(current_user_ns(), seg->uid);
	ret->gid = from_kgid_munged(current_user_ns(), seg->gid);
	ret->peers = seg->peers;
	ret->attached = READ_ONCE(seg->attached);
	ret->waiters = atomic_read(&seg->waiters);
	ret->opens = atomic_read(&seg->opens);
	ret->linked = READ_ONCE(seg->linked);
	ret->name_len = seg->name_len;
	ret->created_ns = seg->created_ns;
	memcpy(ret->id, seg->id, sizeof(ret->id));
	memcpy(ret->name, seg->name, seg->name_len);
	ret->used_bytes = shmipc_memory_used(&seg->mem);
	ret->reserved_bytes = seg->reserved_bytes;
}

#if IS_ENABLED(CONFIG_SHMIPC_KUNIT_TEST)
#include "segment_test.c"
#endif
