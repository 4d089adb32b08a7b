// SPDX-License-Identifier: GPL-2.0-only
/*
 * pin.c - pages that the kernel or a device may write without a mapping
 *
 * O_DIRECT, buffers registered with io_uring, process_vm_writev() and /proc/PID/mem look a
 * page up in a mapping, take a reference to it, and write it later, whatever becomes of the
 * mapping. Such a page has more references than the table's and one of each mapping. Not
 * all of these users pin it in the sense of folio_maybe_dma_pinned(), on 6.1 not even
 * O_DIRECT, so the references are counted, as memfd_wait_for_pins() does. A page fault has
 * one for a moment: ask again.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "shmipc.h"

/* The caller has one reference. */
static bool folio_used(struct shmipc_memory *mem, struct folio *folio)
{
	bool used = false;
	int refs;

	/* Not mapped at all, as most pages that were just unmapped. */
	if (folio_ref_count(folio) == 2)
		return false;
	/* Under the lock no mapping is added. One that is removed counts in neither, or in refs. */
	folio_lock(folio);
	if (folio->mapping == mem->inode->i_mapping) {
		refs = folio_ref_count(folio);
		smp_rmb();	/* references before mappings */
		used = refs > shmipc_folio_mapcount(folio) + 2;
	}
	folio_unlock(folio);
	return used;
}

/* Is the page at @off used? Return: bytes to the next page. */
static u64 page_used(struct shmipc_memory *mem, u64 off, bool *ret_used)
{
	struct page *page = shmipc_memory_get(mem, off);
	u64 bytes = PAGE_SIZE;

	*ret_used = page && folio_used(mem, page_folio(page));
	if (page && PageCompound(page))
		bytes = SHMIPC_CHUNK_BYTES - (off & (SHMIPC_CHUNK_BYTES - 1));
	if (page)
		put_page(page);
	return bytes;
}

/* May a page of [@off, @end) be in use by something that is not a mapping? */
bool shmipc_pin_found(struct shmipc_memory *mem, u64 off, u64 end)
{
	bool found = false, empty;
	u64 at = off, next;

	while (at < end && !found) {
		next = min(end, (at | (SHMIPC_CHUNK_BYTES - 1)) + 1);
		empty = shmipc_memory_missing(mem, at, next) == next - at;
		while (!empty && at < next && !found)
			at += page_used(mem, at, &found);
		at = found ? at : next;
		cond_resched();
	}
	return found;
}
