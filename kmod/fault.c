// SPDX-License-Identifier: GPL-2.0-only
/*
 * fault.c - which page a fault maps, and unmapping
 *
 * A page fault returns its page locked, after checking under the page's lock that
 * the page still belongs to the segment. A page is removed in two steps: take it out
 * of the table; then, under its lock, unmap it and take it out of the page cache. A fault
 * that had found it before has mapped it by then, or looks again.
 * The zero page, which read-only mappings show where there is no page, works the same
 * way: after a page is put into the table, the zero page is locked and unlocked once,
 * then unmapped where it stood for the new page.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>

#include "shmipc.h"

/* The zero page of all segments; it belongs to no mapping, so futexes refuse it. */
static struct page *zero_page;

int shmipc_fault_start(void)
{
	zero_page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return zero_page ? 0 : -ENOMEM;
}

void shmipc_fault_end(void)
{
	put_page(zero_page);
}

/* Unmap the zero page where it stood for pages that are in the table now. */
void shmipc_fault_unmap_zeroes(struct shmipc_memory *mem, u64 off, u64 end)
{
	u64 i, first = off >> SHMIPC_CHUNK_SHIFT, last = (end - 1) >> SHMIPC_CHUNK_SHIFT;
	bool was;

	spin_lock(&mem->lock);
	was = mem->zeroes;
	spin_unlock(&mem->lock);
	if (!was)
		return;
	/* Faults that found no page in the table have mapped the zero page after this. */
	lock_page(zero_page);
	unlock_page(zero_page);
	for (i = first; i <= last; i++) {
		spin_lock(&mem->lock);
		was = mem->chunk[i].zeroes;
		mem->chunk[i].zeroes = false;
		spin_unlock(&mem->lock);
		/* The whole chunk, as its flag is cleared. */
		if (was)
			unmap_mapping_range(mem->inode->i_mapping, i << SHMIPC_CHUNK_SHIFT,
					    SHMIPC_CHUNK_BYTES, 1);
		cond_resched();
	}
}

/* Wait for faults that have found the page at @off. Return: bytes to the next page. */
static u64 fault_wait(struct shmipc_memory *mem, u64 off)
{
	struct page *page = shmipc_memory_get(mem, off);
	u64 bytes = PAGE_SIZE;

	if (page) {
		lock_page(page);
		if (PageCompound(page))
			bytes = SHMIPC_CHUNK_BYTES - (off & (SHMIPC_CHUNK_BYTES - 1));
		unlock_page(page);
		put_page(page);
	}
	return bytes;
}

/*
 * Unmap [@off, @end) everywhere. Faults that found a page before have mapped it by then;
 * later ones see what the caller has set before.
 */
void shmipc_fault_unmap(struct shmipc_memory *mem, u64 off, u64 end)
{
	u64 at, next;
	bool empty;

	for (at = off; at < end; at = next) {
		next = min(end, (at | (SHMIPC_CHUNK_BYTES - 1)) + 1);
		spin_lock(&mem->lock);
		empty = !shmipc_chunk_of(mem, at >> PAGE_SHIFT)->huge &&
			!shmipc_chunk_of(mem, at >> PAGE_SHIFT)->smalls;
		spin_unlock(&mem->lock);
		while (!empty && at < next)
			at += fault_wait(mem, at);
		cond_resched();
	}
	unmap_mapping_range(mem->inode->i_mapping, off, end - off, 1);
}

/*
 * The zero page, locked and with a reference, for a fault at @off where there is no
 * page; NULL: there is one now, look again.
 */
static struct page *zero_get(struct shmipc_memory *mem, u64 off)
{
	bool empty;

	lock_page(zero_page);
	spin_lock(&mem->lock);
	empty = !shmipc_memory_find(mem, off);
	if (empty) {
		mem->chunk[off >> SHMIPC_CHUNK_SHIFT].zeroes = true;
		mem->zeroes = true;
	}
	spin_unlock(&mem->lock);
	if (!empty) {
		unlock_page(zero_page);
		return NULL;
	}
	get_page(zero_page);
	return zero_page;
}

/**
 * shmipc_fault_page - the page to map at @off
 * @mem:   of a segment that the caller keeps alive
 * @off:   from the segment's start
 * @zero:  the mapping can never be written: it gets the zero page where there is none
 *
 * Return: a locked page with a reference; -ENOENT there is none, but it can be
 * committed; -EFAULT there can be none, or the zero page is mapped too often.
 */
struct page *shmipc_fault_page(struct shmipc_memory *mem, u64 off, bool zero)
{
	struct page *page;

	for (;;) {
		page = shmipc_memory_get(mem, off);
		if (page) {
			lock_page(page);
			if (page_folio(page)->mapping == mem->inode->i_mapping)
				return page;
			unlock_page(page);
			put_page(page);
			continue;
		}
		if (!mem->reserve || off >= mem->bytes)
			return ERR_PTR(-EFAULT);
		if (!zero)
			return ERR_PTR(-ENOENT);
		/* Each mapping of it holds a reference, and the count is an int. */
		if (page_ref_count(zero_page) > INT_MAX / 2)
			return ERR_PTR(-EFAULT);
		page = zero_get(mem, off);
		if (page)
			return page;
	}
}
