// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c - pages of a segment: pinned, zeroed, large where they can be had
 *
 * The pages belong to the mapping of an inode of our own, of a file system that
 * nobody can mount, so that futexes, O_DIRECT and the like see ordinary file
 * pages. They are in no LRU list and no page cache: nothing can swap, move,
 * truncate or punch them. They are charged to the cgroup of who asks for them.
 */
#include <linux/gfp.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "shmipc.h"

#define SHMIPC_FS_MAGIC	0x73686d69	/* "shmi" */

/* No warning and no OOM killer: whoever asks for too much gets ENOMEM. */
#define GFP_SMALL	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)
#define GFP_HUGE	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY | __GFP_COMP)

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

/* Mounted while there are segments: a mount for good would pin the module. */
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
	i_size_write(inode, bytes);
	*ret = inode;
	return 0;
}

static struct folio *folio_make(gfp_t gfp, unsigned int order, int node)
{
	if (node >= 0)
		return __folio_alloc_node(gfp | __GFP_THISNODE, order, node);
	return folio_alloc(gfp, order);
}

/* @page: in pages from the segment's start. */
static void folio_adopt(struct shmipc_memory *mem, struct folio *folio, u64 page)
{
	folio->index = page;
	folio->mapping = mem->inode->i_mapping;
}

static void folio_drop(struct folio *folio)
{
	/* Somebody may hold the page longer than us (O_DIRECT, a pipe). */
	folio->mapping = NULL;
	folio->index = 0;
	folio_put(folio);
}

static int small_fill(struct shmipc_memory *mem, u64 page, u64 end, int node)
{
	struct shmipc_chunk *chunk = &mem->chunk[page >> SHMIPC_CHUNK_ORDER];
	struct folio *folio;

	if (!chunk->small)
		chunk->small = kvcalloc(SHMIPC_CHUNK_PAGES, sizeof(*chunk->small),
					GFP_KERNEL_ACCOUNT);
	if (!chunk->small)
		return -ENOMEM;
	for (; page < end; page++) {
		folio = folio_make(GFP_SMALL, 0, node);
		if (!folio)
			return -ENOMEM;
		folio_adopt(mem, folio, page);
		chunk->small[page % SHMIPC_CHUNK_PAGES] = folio;
		mem->small++;
	}
	return 0;
}

/* Pages for [@off, @end), both multiples of the page size. */
static int range_fill(struct shmipc_memory *mem, u64 off, u64 end, bool huge, int node)
{
	u64 page = off >> PAGE_SHIFT, last = end >> PAGE_SHIFT, next;
	struct folio *folio;
	int err;

	for (; page < last; page = next) {
		next = min(last, (page | (SHMIPC_CHUNK_PAGES - 1)) + 1);
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
		if (huge && next - page == SHMIPC_CHUNK_PAGES) {
			folio = folio_make(GFP_HUGE, SHMIPC_CHUNK_ORDER, node);
			if (folio) {
				folio_adopt(mem, folio, page);
				mem->chunk[page >> SHMIPC_CHUNK_ORDER].huge = folio;
				mem->huge++;
				continue;
			}
		}
		err = small_fill(mem, page, next, node);
		if (err)
			return err;
	}
	return 0;
}

/**
 * shmipc_memory_alloc - all pages of a segment
 * @mem:        zeroed
 * @ctl_bytes:  from offset 0, in small pages
 * @data_off:   where the data begin; between the two is nothing
 * @data_bytes: of data
 * @huge:       large pages where a chunk is all data
 * @node:       only from this node; -1: the task's policy
 *
 * Return: 0; -ENOMEM; -EINTR killed meanwhile. Free it in any case.
 */
int shmipc_memory_alloc(struct shmipc_memory *mem, u64 ctl_bytes, u64 data_off, u64 data_bytes,
			bool huge, int node)
{
	u64 chunks = DIV_ROUND_UP_ULL(data_off + data_bytes, SHMIPC_CHUNK_BYTES);
	int err;

	mem->bytes = data_off + data_bytes;
	mem->chunk = kvcalloc(chunks, sizeof(*mem->chunk), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!mem->chunk)
		return -ENOMEM;
	err = inode_make(&mem->inode, mem->bytes);
	if (err)
		return err;
	err = range_fill(mem, 0, ctl_bytes, false, node);
	if (err)
		return err;
	return range_fill(mem, data_off, data_off + data_bytes, huge, node);
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

/* Nothing maps it any more. Also of a half-made one. */
void shmipc_memory_free(struct shmipc_memory *mem)
{
	u64 i, chunks = DIV_ROUND_UP_ULL(mem->bytes, SHMIPC_CHUNK_BYTES);

	for (i = 0; mem->chunk && i < chunks; i++) {
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
}

/* The page at @off, or NULL: beyond the end, or in the gap before the data. */
struct page *shmipc_memory_page(const struct shmipc_memory *mem, u64 off)
{
	unsigned int i = (off >> PAGE_SHIFT) % SHMIPC_CHUNK_PAGES;
	const struct shmipc_chunk *chunk;

	if (off >= mem->bytes)
		return NULL;
	chunk = &mem->chunk[off >> SHMIPC_CHUNK_SHIFT];
	if (chunk->huge)
		return folio_page(chunk->huge, i);
	if (!chunk->small || !chunk->small[i])
		return NULL;
	return folio_page(chunk->small[i], 0);
}

void *shmipc_memory_addr(const struct shmipc_memory *mem, u64 off)
{
	struct page *page = shmipc_memory_page(mem, off);

	return page ? page_address(page) + offset_in_page(off) : NULL;
}

int shmipc_memory_node(const struct shmipc_memory *mem, u64 off)
{
	struct page *page = shmipc_memory_page(mem, off);

	return page ? page_to_nid(page) : -1;
}
