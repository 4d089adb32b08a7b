// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - the pages of a segment: pinned, zeroed, large if available
 *
 * The pages are in the page cache of the segment's inode, in a file system that cannot
 * be mounted, so that futexes, O_DIRECT, the handling of failed memory and the like see
 * ordinary file pages. They are unevictable, and the table of pages has a reference to
 * each: nothing can swap, move, truncate or punch them. They are charged to the memory
 * cgroup that created the segment.
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

#include "compat.h"
#include "shmipc.h"

#define SHMIPC_FS_MAGIC	0x73686d69	/* "shmi" */

/*
 * As SHMIPC_GFP, but charged when a page is put into the page cache. As pages of users,
 * only on nodes that the caller's cpuset allows.
 */
#define GFP_PAGES	(GFP_USER | __GFP_ZERO | __GFP_NOWARN)
#define GFP_SMALL	(GFP_PAGES | __GFP_RETRY_MAYFAIL)
#define GFP_HUGE	(GFP_PAGES | __GFP_NORETRY | __GFP_COMP)

#define ROOM_BYTES	32768u

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

/*
 * The kernel's own accesses go by the address of a page, so none is moved. A page whose
 * memory has failed stays, too: each access to it gets SIGBUS.
 */
static const struct address_space_operations memory_aops = {
	.dirty_folio	= noop_dirty_folio,
	.migrate_folio	= shmipc_migrate_nothing,
};

/*
 * The kernel's own objects, such as a file, are charged as well, and for them it would call
 * the OOM killer. See before that there is room: what is given back stays charged for a
 * while, for the next allocations on this CPU.
 */
int shmipc_memory_room(void)
{
	void *room = kvmalloc(ROOM_BYTES, SHMIPC_GFP);

	kvfree(room);
	return room ? 0 : -ENOMEM;
}

/* In the kernel's file system for inodes without a name. */
static int inode_labelled(struct shmipc_memory *mem)
{
	static const struct file_operations none;
	struct file *file = shmipc_labelled_file(&none);

	if (IS_ERR(file))
		return PTR_ERR(file);
	mem->inode = file_inode(file);
	ihold(mem->inode);
	mem->mnt = mntget(file->f_path.mnt);
	fput(file);
	/* As the mount does in the other case. The caller runs in the module, so it is loaded. */
	__module_get(THIS_MODULE);
	return 0;
}

/* In ours; the security modules are not asked about it. */
static int inode_private(struct shmipc_memory *mem)
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
	mem->inode = inode;
	mem->mnt = fs_mount;
	return 0;
}

static int inode_make(struct shmipc_memory *mem)
{
	int err = shmipc_memory_room();

	if (!err)
		err = SHMIPC_HAS_LABELS ? inode_labelled(mem) : inode_private(mem);
	if (err)
		return err;
	mem->inode->i_mapping->a_ops = &memory_aops;
	mapping_set_unevictable(mem->inode->i_mapping);
	mapping_set_large_folios(mem->inode->i_mapping);
	/* Nobody asks for the times of an inode that has no name. */
	mem->inode->i_flags |= S_NOATIME | S_NOCMTIME;
	i_size_write(mem->inode, mem->bytes);
	return 0;
}

static void inode_drop(struct shmipc_memory *mem)
{
	/* The inode ends with its last file, which may be after the end of the module. */
	mem->inode->i_mapping->a_ops = &empty_aops;
	iput(mem->inode);
	mem->inode = NULL;
	if (SHMIPC_HAS_LABELS) {
		mntput(mem->mnt);
		module_put(THIS_MODULE);
	} else {
		simple_release_fs(&fs_mount, &fs_count);
	}
	mem->mnt = NULL;
}

/**
 * shmipc_memory_init - initialise the memory of a segment, without pages
 * @mem:        zeroed, except large, reserve and node
 * @ctl_bytes:  of the control part at offset 0, which the caller fills at once
 * @data_off:   where the data begin
 * @data_bytes: of data
 *
 * Return: 0; -ENOMEM; that of a security module, as -EACCES. The caller calls
 * shmipc_memory_free() in each case.
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
	mem->chunk = kvcalloc(mem->chunks, sizeof(*mem->chunk), SHMIPC_GFP);
	if (!mem->chunk)
		return -ENOMEM;
	return inode_make(mem);
}

struct file *shmipc_memory_file(struct shmipc_memory *mem, const char *name, int flags,
				const struct file_operations *fops)
{
	struct file *file;

	ihold(mem->inode);
	file = alloc_file_pseudo(mem->inode, mem->mnt, name, flags, fops);
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

/*
 * A new page in the page cache, not yet in the table. The page cache has a reference, and
 * the other one will be the table's.
 */
static int page_make(struct shmipc_memory *mem, gfp_t gfp, unsigned int order, u64 page)
{
	struct folio *folio = mem->node >= 0 ?
		__folio_alloc_node(gfp | __GFP_THISNODE, order, mem->node) :
		folio_alloc(gfp, order);
	int err;

	if (!folio)
		return -ENOMEM;
	folio_mark_uptodate(folio);
	/* This charges it to the active memory cgroup. */
	err = filemap_add_folio(mem->inode->i_mapping, folio, page,
				gfp & ~(__GFP_ZERO | __GFP_COMP));
	if (err) {
		folio_put(folio);
		return err;
	}
	folio_unlock(folio);
	return 0;
}

/* Take a page that is not in the table any more out of the page cache and of all mappings. */
static void page_drop(struct shmipc_memory *mem, struct folio *folio)
{
	loff_t pos = folio_pos(folio);

	truncate_inode_pages_range(mem->inode->i_mapping, pos, pos + folio_size(folio) - 1);
	folio_put(folio);
}

/* The first page of [*@page, @last) that is in the page cache but not in the table. */
static struct folio *page_next_new(struct shmipc_memory *mem, u64 *page, u64 last)
{
	const struct shmipc_chunk *chunk;
	struct page *found;

	for (; *page < last; (*page)++) {
		chunk = shmipc_chunk_of(mem, *page);
		if (chunk->huge) {
			*page = chunk_end(*page, last) - 1;
			continue;
		}
		if (chunk->small && chunk->small[*page % SHMIPC_CHUNK_PAGES])
			continue;
		found = pagecache_get_page(mem->inode->i_mapping, *page, 0, 0);
		if (!found)
			continue;
		put_page(found);	/* it has the one of page_make() */
		return page_folio(found);
	}
	return NULL;
}

/* Put all that were made for [@page, @last) into the table. */
static void batch_install(struct shmipc_memory *mem, u64 page, u64 last)
{
	struct shmipc_chunk *chunk;
	struct folio *folio;

	while ((folio = page_next_new(mem, &page, last))) {
		chunk = shmipc_chunk_of(mem, page);
		spin_lock(&mem->lock);
		if (folio_test_large(folio)) {
			WRITE_ONCE(chunk->huge, folio);
			WRITE_ONCE(mem->huge, mem->huge + 1);
		} else {
			/* For lookups without a lock: the page is zeroed before it is found. */
			smp_store_release(&chunk->small[page % SHMIPC_CHUNK_PAGES], folio);
			chunk->smalls++;
			WRITE_ONCE(mem->small, mem->small + 1);
		}
		spin_unlock(&mem->lock);
		cond_resched();
	}
}

/* Free all that were made for [@page, @last). */
static void batch_drop(struct shmipc_memory *mem, u64 page, u64 last)
{
	struct folio *folio;

	while ((folio = page_next_new(mem, &page, last))) {
		page_drop(mem, folio);
		cond_resched();
	}
}

/* Small pages where there are none in [@page, @end), in one chunk. */
static int batch_small(struct shmipc_memory *mem, u64 page, u64 end)
{
	struct shmipc_chunk *chunk = shmipc_chunk_of(mem, page);
	struct folio **small;
	int err;

	if (!chunk->small) {
		small = kvcalloc(SHMIPC_CHUNK_PAGES, sizeof(*small), SHMIPC_GFP);
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
		err = page_make(mem, GFP_SMALL, 0, page);
		if (err)
			return err;
	}
	return 0;
}

/* Make the pages that are missing in [@page, @last). *@done: those before may be new. */
static int batch_make(struct shmipc_memory *mem, u64 page, u64 last, u64 *done)
{
	struct shmipc_chunk *chunk;
	int err;

	for (; page < last; page = *done) {
		*done = chunk_end(page, last);
		chunk = shmipc_chunk_of(mem, page);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (chunk->huge)
			continue;
		if (mem->large && *done - page == SHMIPC_CHUNK_PAGES && !chunk->smalls &&
		    page >= mem->data_off >> PAGE_SHIFT &&
		    !page_make(mem, GFP_HUGE, SHMIPC_CHUNK_ORDER, page))
			continue;
		err = batch_small(mem, page, *done);
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
	u64 page = off >> PAGE_SHIFT, done = page;
	int err = batch_make(mem, page, end >> PAGE_SHIFT, &done);

	set_active_memcg(old);
	if (err) {
		batch_drop(mem, page, done);
		return err;
	}
	batch_install(mem, page, done);
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

/* Free the pages of [@page, @end), in one chunk. Return: how many. */
static u64 chunk_drain(struct shmipc_memory *mem, u64 page, u64 end)
{
	struct shmipc_chunk *chunk = shmipc_chunk_of(mem, page);
	bool fixed = (page & ~(u64)(SHMIPC_CHUNK_PAGES - 1)) < mem->fixed >> PAGE_SHIFT;
	struct folio *folio = chunk->huge, **small = chunk->small;
	u64 n = 0;

	if (folio) {
		if (end - page < SHMIPC_CHUNK_PAGES)
			return 0;
		spin_lock(&mem->lock);
		WRITE_ONCE(chunk->huge, NULL);
		WRITE_ONCE(mem->huge, mem->huge - 1);
		spin_unlock(&mem->lock);
		page_drop(mem, folio);
		return SHMIPC_CHUNK_PAGES;
	}
	for (; chunk->smalls && page < end; page++) {
		folio = small[page % SHMIPC_CHUNK_PAGES];
		if (!folio)
			continue;
		spin_lock(&mem->lock);
		WRITE_ONCE(small[page % SHMIPC_CHUNK_PAGES], NULL);
		chunk->smalls--;
		WRITE_ONCE(mem->small, mem->small - 1);
		spin_unlock(&mem->lock);
		page_drop(mem, folio);
		n++;
	}
	if (!chunk->smalls && !fixed) {
		spin_lock(&mem->lock);
		chunk->small = NULL;
		spin_unlock(&mem->lock);
		kvfree(small);
	}
	return n;
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
	u64 page = off >> PAGE_SHIFT, last = end >> PAGE_SHIFT, next, n = 0;

	if (!mem->huge && !mem->small)
		return 0;
	/* Most at once; what is mapped again meanwhile, page by page. */
	unmap_mapping_range(mem->inode->i_mapping, off, end - off, 1);
	for (; page < last; page = next) {
		next = chunk_end(page, last);
		n += chunk_drain(mem, page, next);
		cond_resched();
	}
	return n << PAGE_SHIFT;
}

static void chunk_free(struct shmipc_chunk *chunk)
{
	unsigned int i;

	if (chunk->huge)
		folio_put(chunk->huge);
	if (!chunk->small)
		return;
	for (i = 0; i < SHMIPC_CHUNK_PAGES; i++)
		if (chunk->small[i])
			folio_put(chunk->small[i]);
	kvfree(chunk->small);
}

/* There are no mappings of it. Also after a failed shmipc_memory_init(), or without one. */
void shmipc_memory_free(struct shmipc_memory *mem)
{
	u64 i;

	if (mem->inode)
		truncate_inode_pages(mem->inode->i_mapping, 0);
	for (i = 0; mem->chunk && i < mem->chunks; i++) {
		chunk_free(&mem->chunk[i]);
		cond_resched();
	}
	kvfree(mem->chunk);
	mem->chunk = NULL;
	if (mem->inode)
		inode_drop(mem);
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
