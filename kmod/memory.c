// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - the pages of a segment: pinned, zeroed, large if available
 *
 * The pages belong to the mapping of an inode of our own, in a file system that
 * cannot be mounted, so that futexes, O_DIRECT and the like see ordinary file
 * pages. They are in no LRU list and no page cache: nothing can swap, move,
 * truncate or punch them. They are charged to the memory cgroup that created the
 * segment.
 *
 * The table of pages is changed under the mutex and the spinlock; reading it needs
 * one of the two. In the fixed part, pages and tables stay until the segment ends, so
 * they are looked up without a lock, from any context.
 *
 * How a page is mapped, and unmapped when it is removed, is in fault.c.
 */
#include <linux/gfp.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "shmipc.h"

#define SHMIPC_FS_MAGIC	0x73686d69	/* "shmi" */

/* A request that is too large gets ENOMEM, without a warning and the OOM killer. */
#define GFP_SMALL	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)
#define GFP_HUGE	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY | \
			 __GFP_COMP)

static int shmipc_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, SHMIPC_FS_MAGIC) ? 0 : -ENOMEM;
}

static struct file_system_type shmipc_fs = {
	.name			= "shmipc",
	.owner			= THIS_MODULE,
	.init_fs_context	= shmipc_fs_context,
	.kill_sb		= kill_anon_super,
};

/* Mounted only while there are segments: a permanent mount would pin the module. */
static struct vfsmount *fs_mount;
static int fs_count;

static int inode_make(struct inode **ret, u64 bytes)
{
	struct inode *inode;
	int err = simple_pin_fs(&shmipc_fs, &fs_mount, &fs_count);

	if (err)
		return err;
	inode = alloc_anon_inode(fs_mount->mnt_sb);
	if (IS_ERR(inode)) {
		simple_release_fs(&fs_mount, &fs_count);
		return PTR_ERR(inode);
	}
	mapping_set_unevictable(inode->i_mapping);
	/* Nobody asks for the times of an inode that has no name. */
	inode->i_flags |= S_NOATIME | S_NOCMTIME;
	i_size_write(inode, bytes);
	*ret = inode;
	return 0;
}

/**
 * shmipc_memory_init - initialise the memory of a segment, without pages
 * @mem:        zeroed, except large, reserve and node
 * @ctl_bytes:  of the control part at offset 0, which the caller fills at once
 * @data_off:   where the data begin
 * @data_bytes: of data
 *
 * Return: 0; -ENOMEM. The caller calls shmipc_memory_free() in both cases.
 */
int shmipc_memory_init(struct shmipc_memory *mem, u64 ctl_bytes, u64 data_off, u64 data_bytes)
{
	mutex_init(&mem->mutex);
	spin_lock_init(&mem->lock);
	mem->bytes = data_off + data_bytes;
	mem->chunks = DIV_ROUND_UP_ULL(mem->bytes, SHMIPC_CHUNK_BYTES);
	mem->ctl_bytes = ctl_bytes;
	mem->fixed = mem->reserve ? data_off : mem->bytes;
	mem->data_off = data_off;
	mem->memcg = get_mem_cgroup_from_mm(current->mm);
	mem->chunk = kvcalloc(mem->chunks, sizeof(*mem->chunk), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!mem->chunk)
		return -ENOMEM;
	return inode_make(&mem->inode, mem->bytes);
}

struct file *shmipc_memory_file(struct shmipc_memory *mem, const char *name, int flags,
				const struct file_operations *fops)
{
	struct file *file;

	ihold(mem->inode);
	file = alloc_file_pseudo(mem->inode, fs_mount, name, flags, fops);
	if (IS_ERR(file))
		iput(mem->inode);
	return file;
}

/* The end of @page's chunk, but at most @last. */
static u64 chunk_end(u64 page, u64 last)
{
	return min(last, (page | (SHMIPC_CHUNK_PAGES - 1)) + 1);
}

/*
 * The page at @off; NULL: none. mem->lock is held, or @off is in the fixed part: each
 * pointer is read once, as there they may be set concurrently.
 */
struct page *shmipc_memory_find(const struct shmipc_memory *mem, u64 off)
{
	unsigned int i = (off >> PAGE_SHIFT) % SHMIPC_CHUNK_PAGES;
	const struct shmipc_chunk *chunk;
	struct folio *folio, **small;

	if (off >= mem->bytes)
		return NULL;
	chunk = shmipc_chunk_of(mem, off >> PAGE_SHIFT);
	folio = READ_ONCE(chunk->huge);
	if (folio)
		return folio_page(folio, i);
	small = READ_ONCE(chunk->small);
	folio = small ? READ_ONCE(small[i]) : NULL;
	return folio ? folio_page(folio, 0) : NULL;
}

/* Batches: pages that will be put into the table, or have been taken out, linked by lru. */
static int batch_add(struct shmipc_memory *mem, struct list_head *batch, gfp_t gfp,
		     unsigned int order, u64 page)
{
	struct folio *folio = mem->node >= 0 ?
		__folio_alloc_node(gfp | __GFP_THISNODE, order, mem->node) :
		folio_alloc(gfp, order);

	if (!folio)
		return -ENOMEM;
	folio->index = page;
	folio->mapping = mem->inode->i_mapping;
	list_add_tail(&folio->lru, batch);
	return 0;
}

static void folio_drop(struct folio *folio)
{
	/* O_DIRECT or a pipe may hold the page after us, and uses the mapping under the lock. */
	folio_lock(folio);
	WRITE_ONCE(folio->mapping, NULL);
	folio->index = 0;
	folio_unlock(folio);
	folio_put(folio);
}

static void batch_drop(struct list_head *batch)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, batch, lru) {
		list_del_init(&folio->lru);
		folio_drop(folio);
		cond_resched();
	}
}

static void batch_install(struct shmipc_memory *mem, struct list_head *batch)
{
	struct folio *folio, *next;
	struct shmipc_chunk *chunk;

	list_for_each_entry_safe(folio, next, batch, lru) {
		list_del_init(&folio->lru);
		chunk = shmipc_chunk_of(mem, folio->index);
		spin_lock(&mem->lock);
		if (folio_test_large(folio)) {
			WRITE_ONCE(chunk->huge, folio);
			WRITE_ONCE(mem->huge, mem->huge + 1);
		} else {
			/* For lookups without a lock: the page is zeroed before it is found. */
			smp_store_release(&chunk->small[folio->index % SHMIPC_CHUNK_PAGES], folio);
			chunk->smalls++;
			WRITE_ONCE(mem->small, mem->small + 1);
		}
		spin_unlock(&mem->lock);
		cond_resched();
	}
}

/* Small pages where there are none in [@page, @end), in one chunk. */
static int batch_small(struct shmipc_memory *mem, struct list_head *batch, u64 page, u64 end)
{
	struct shmipc_chunk *chunk = shmipc_chunk_of(mem, page);
	struct folio **small;
	int err;

	if (!chunk->small) {
		small = kvcalloc(SHMIPC_CHUNK_PAGES, sizeof(*small), GFP_KERNEL_ACCOUNT);
		if (!small)
			return -ENOMEM;
		spin_lock(&mem->lock);
		/* For lookups without a lock: the table is zeroed before it is found. */
		smp_store_release(&chunk->small, small);
		spin_unlock(&mem->lock);
	}
	for (; page < end; page++) {
		if (chunk->small[page % SHMIPC_CHUNK_PAGES])
			continue;
		err = batch_add(mem, batch, GFP_SMALL, 0, page);
		if (err)
			return err;
	}
	return 0;
}

static int batch_make(struct shmipc_memory *mem, struct list_head *batch, u64 off, u64 end)
{
	u64 page = off >> PAGE_SHIFT, last = end >> PAGE_SHIFT, next;
	struct shmipc_chunk *chunk;
	int err;

	for (; page < last; page = next) {
		next = chunk_end(page, last);
		chunk = shmipc_chunk_of(mem, page);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (chunk->huge)
			continue;
		if (mem->large && next - page == SHMIPC_CHUNK_PAGES && !chunk->smalls &&
		    page >= mem->data_off >> PAGE_SHIFT &&
		    !batch_add(mem, batch, GFP_HUGE, SHMIPC_CHUNK_ORDER, page))
			continue;
		err = batch_small(mem, batch, page, next);
		if (err)
			return err;
	}
	return 0;
}

/**
 * shmipc_memory_fill - allocate the pages that are missing in [@off, @end)
 * @mem: its mutex is held, or the segment is not visible to others yet
 * @off: a multiple of the page size, as @end
 * @end: after @off, and in the segment
 *
 * Return: 0; -ENOMEM; -EINTR killed meanwhile. After an error nothing has changed.
 */
int shmipc_memory_fill(struct shmipc_memory *mem, u64 off, u64 end)
{
	struct mem_cgroup *old = set_active_memcg(mem->memcg);
	LIST_HEAD(batch);
	int err = batch_make(mem, &batch, off, end);

	set_active_memcg(old);
	if (err) {
		batch_drop(&batch);
		return err;
	}
	batch_install(mem, &batch);
	shmipc_fault_unmap_zeroes(mem, off, end);
	return 0;
}

/* How many pages are missing in [@page, @end), in one chunk. */
static u64 chunk_missing(const struct shmipc_chunk *chunk, u64 page, u64 end)
{
	u64 n = 0;

	if (chunk->huge)
		return 0;
	if (!chunk->smalls)
		return end - page;
	for (; page < end; page++)
		n += !chunk->small[page % SHMIPC_CHUNK_PAGES];
	return n;
}

/* Bytes of [@off, @end) that have no page; may change at once unless the mutex is held. */
u64 shmipc_memory_missing(struct shmipc_memory *mem, u64 off, u64 end)
{
	u64 page = off >> PAGE_SHIFT, last = end >> PAGE_SHIFT, next, n = 0;

	for (; page < last && !fatal_signal_pending(current); page = next) {
		next = chunk_end(page, last);
		spin_lock(&mem->lock);
		n += chunk_missing(shmipc_chunk_of(mem, page), page, next);
		spin_unlock(&mem->lock);
		cond_resched();
	}
	return n << PAGE_SHIFT;
}

/* Move the pages of [@page, @end), in one chunk, from the table to @batch. */
static void batch_take(struct shmipc_memory *mem, struct list_head *batch, u64 page, u64 end)
{
	struct shmipc_chunk *chunk = shmipc_chunk_of(mem, page);
	struct folio **empty = NULL, **small = chunk->small;
	bool fixed = (page & ~(u64)(SHMIPC_CHUNK_PAGES - 1)) < mem->fixed >> PAGE_SHIFT;

	spin_lock(&mem->lock);
	if (chunk->huge) {
		if (end - page == SHMIPC_CHUNK_PAGES) {
			list_add_tail(&chunk->huge->lru, batch);
			WRITE_ONCE(chunk->huge, NULL);
			WRITE_ONCE(mem->huge, mem->huge - 1);
		}
	} else if (chunk->smalls) {
		for (; page < end; page++) {
			struct folio **at = &small[page % SHMIPC_CHUNK_PAGES];

			if (!*at)
				continue;
			list_add_tail(&(*at)->lru, batch);
			WRITE_ONCE(*at, NULL);
			chunk->smalls--;
			WRITE_ONCE(mem->small, mem->small - 1);
		}
	}
	if (!chunk->smalls && !fixed) {
		empty = chunk->small;
		chunk->small = NULL;
	}
	spin_unlock(&mem->lock);
	kvfree(empty);
}

/**
 * shmipc_memory_drain - free the pages of [@off, @end)
 * @mem: its mutex is held
 * @off: a multiple of the page size, as @end; not in the fixed part
 * @end: after @off
 *
 * Large pages that are only partly in the range stay. Return: bytes freed.
 */
u64 shmipc_memory_drain(struct shmipc_memory *mem, u64 off, u64 end)
{
	u64 page = off >> PAGE_SHIFT, last = end >> PAGE_SHIFT, next, bytes = 0;
	struct folio *folio;
	LIST_HEAD(batch);

	for (; page < last; page = next) {
		next = chunk_end(page, last);
		batch_take(mem, &batch, page, next);
		cond_resched();
	}
	/* Faults that found the page before have mapped it after this; others look again. */
	list_for_each_entry(folio, &batch, lru) {
		folio_lock(folio);
		WRITE_ONCE(folio->mapping, NULL);
		folio_unlock(folio);
		bytes += folio_size(folio);
		cond_resched();
	}
	if (bytes)
		unmap_mapping_range(mem->inode->i_mapping, off, end - off, 1);
	batch_drop(&batch);
	return bytes;
}

static void chunk_free(struct shmipc_chunk *chunk)
{
	unsigned int i;

	if (chunk->huge)
		folio_drop(chunk->huge);
	if (!chunk->small)
		return;
	for (i = 0; i < SHMIPC_CHUNK_PAGES; i++)
		if (chunk->small[i])
			folio_drop(chunk->small[i]);
	kvfree(chunk->small);
}

/* There are no mappings of it. Also after a failed shmipc_memory_init(), or without one. */
void shmipc_memory_free(struct shmipc_memory *mem)
{
	u64 i;

	for (i = 0; mem->chunk && i < mem->chunks; i++) {
		chunk_free(&mem->chunk[i]);
		cond_resched();
	}
	kvfree(mem->chunk);
	mem->chunk = NULL;
	if (mem->inode) {
		iput(mem->inode);
		mem->inode = NULL;
		simple_release_fs(&fs_mount, &fs_count);
	}
	mem_cgroup_put(mem->memcg);
	mem->memcg = NULL;
}

/* The page at @off, with a reference; NULL: none, or beyond the end. */
struct page *shmipc_memory_get(struct shmipc_memory *mem, u64 off)
{
	struct page *page;

	spin_lock(&mem->lock);
	page = shmipc_memory_find(mem, off);
	if (page)
		get_page(page);
	spin_unlock(&mem->lock);
	return page;
}

/*
 * The address of the byte at @off in the fixed part, from any context, valid while the
 * segment exists; NULL: not in the fixed part, or no page there.
 */
void *shmipc_memory_addr(const struct shmipc_memory *mem, u64 off)
{
	struct page *page = off < mem->fixed ? shmipc_memory_find(mem, off) : NULL;

	return page ? page_address(page) + offset_in_page(off) : NULL;
}

/* The NUMA node of the page at @off; -1: there is no page. */
int shmipc_memory_node(struct shmipc_memory *mem, u64 off)
{
	struct page *page = shmipc_memory_get(mem, off);
	int node = page ? page_to_nid(page) : -1;

	if (page)
		put_page(page);
	return node;
}

/* Is the chunk at @off one large page? */
bool shmipc_memory_is_huge(struct shmipc_memory *mem, u64 off)
{
	bool huge;

	spin_lock(&mem->lock);
	huge = shmipc_chunk_of(mem, off >> PAGE_SHIFT)->huge;
	spin_unlock(&mem->lock);
	return huge;
}

/* Bytes that have memory. */
u64 shmipc_memory_used(const struct shmipc_memory *mem)
{
	return ((u64)READ_ONCE(mem->huge) << SHMIPC_CHUNK_SHIFT) +
	       ((u64)READ_ONCE(mem->small) << PAGE_SHIFT);
}
