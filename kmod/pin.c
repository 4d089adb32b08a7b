// SPDX-License-Identifier: GPL-2.0-only
/*
 * pin.c - pages that the kernel or a device may write without a mapping
 *
 * O_DIRECT, buffers registered with io_uring, process_vm_writev() and /proc/PID/mem look a
 * page up in a mapping, take a reference to it, and write it later, whatever becomes of the
 * mapping. Such a page has more references than the table's, the page cache's and one of
 * each mapping. Not all of these users pin it in the sense of folio_maybe_dma_pinned(), on
 * 6.1 not even O_DIRECT, so the references are counted, as memfd_wait_for_pins() does.
 * Each CPU has lists of pages that will soon be put into or moved in the LRU lists, with a
 * reference; so it empties them before the answer is yes. A page fault has one for a
 * moment: ask again.
 */
#include <linux/cpu.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/workqueue.h>

#include "compat.h"
#include "shmipc.h"

/* References of an unmapped page: the table's, the page cache's, the caller's. */
static int refs_known(struct folio *folio)
{
	return 1 + folio_nr_pages(folio) + 1;
}

/* The caller has the page's lock and one reference. */
bool shmipc_pin_locked(struct shmipc_memory *mem, struct folio *folio)
{
	int refs;

	if (folio->mapping != mem->inode->i_mapping)
		return false;
	/* Under the lock no mapping is added. One that is removed counts in neither, or in refs. */
	refs = folio_ref_count(folio);
	smp_rmb();	/* references before mappings */
	return refs > shmipc_folio_mapcount(folio) + refs_known(folio);
}

/* The caller has one reference. */
static bool folio_used(struct shmipc_memory *mem, struct folio *folio)
{
	bool used;

	/* Not mapped at all, as most pages that were just unmapped. */
	if (folio_ref_count(folio) == refs_known(folio))
		return false;
	folio_lock(folio);
	used = shmipc_pin_locked(mem, folio);
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

static long drain_this_cpu(void *arg)
{
	shmipc_lru_drain();
	return 0;
}

static void drain_all_cpus(void)
{
	unsigned int cpu;

	cpus_read_lock();
	for_each_online_cpu(cpu)
		(void)work_on_cpu(cpu, drain_this_cpu, NULL);
	cpus_read_unlock();
}

static bool range_used(struct shmipc_memory *mem, u64 off, u64 end)
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

/* May a page of [@off, @end) be in use by something that is not a mapping? */
bool shmipc_pin_found(struct shmipc_memory *mem, u64 off, u64 end)
{
	if (!range_used(mem, off, end))
		return false;
	drain_all_cpus();
	return range_used(mem, off, end);
}
