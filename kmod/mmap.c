// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmap.c - mapping a segment; all permission checks of mappings are here
 *
 * A process that could open the segment may map all of it for reading. A writable
 * mapping must be within one region of the caller's role; it holds a reference to the
 * peer, which cannot detach while it exists. A read-only mapping cannot be made writable
 * later: VM_MAYWRITE is cleared. It shows zeroes where nothing has been committed; a
 * touch of a writable mapping commits the page.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "compat.h"
#include "shmipc.h"

/* vm_private_data of a peer's mapping that a child has inherited. */
#define MAP_REVOKED	((void *)-1L)

static void map_open(struct vm_area_struct *vma)
{
	struct shmipc_peer *peer = vma->vm_private_data;

	if (!peer || peer == MAP_REVOKED)
		return;
	/* A child that inherited the mapping by MADV_DOFORK is not a peer. */
	if (peer->mm != vma->vm_mm) {
		vma->vm_private_data = MAP_REVOKED;
		return;
	}
	shmipc_peer_get(peer);
	spin_lock(&peer->seg->lock);
	peer->maps++;
	spin_unlock(&peer->seg->lock);
}

static void map_close(struct vm_area_struct *vma)
{
	struct shmipc_peer *peer = vma->vm_private_data;

	if (!peer || peer == MAP_REVOKED)
		return;
	spin_lock(&peer->seg->lock);
	peer->maps--;
	spin_unlock(&peer->seg->lock);
	shmipc_peer_put(peer);
}

static vm_fault_t map_fault(struct vm_fault *vmf)
{
	struct shmipc_file *sf = vmf->vma->vm_file->private_data;
	struct shmipc_segment *seg = sf->seg;
	bool zero = !(vmf->vma->vm_flags & VM_MAYWRITE);
	struct shmipc_peer *peer = vmf->vma->vm_private_data;
	u64 off = (u64)vmf->pgoff << PAGE_SHIFT;
	struct page *page;

	if (peer == MAP_REVOKED || (peer && READ_ONCE(peer->cut)))
		return VM_FAULT_SIGBUS;
	do
		page = shmipc_fault_page(&seg->mem, off, zero);
	while (page == ERR_PTR(-ENOENT) && !shmipc_commit_fault(seg, off));
	if (IS_ERR(page))
		return VM_FAULT_SIGBUS;
	/* Under the page's lock: shmipc_fence_cut() waits for us, or we see that it has begun. */
	if (peer && READ_ONCE(peer->cut)) {
		unlock_page(page);
		put_page(page);
		return VM_FAULT_SIGBUS;
	}
	/* The kernel maps all 2 MiB at once if the page is large and aligned with the mapping. */
	vmf->page = page;
	return VM_FAULT_LOCKED;
}

/*
 * A page where something can be sealed is about to become writable in this mapping. It was
 * unlocked since map_fault(), if that has been called at all, so check again.
 */
static vm_fault_t map_mkwrite(struct vm_fault *vmf)
{
	struct shmipc_file *sf = vmf->vma->vm_file->private_data;
	struct shmipc_segment *seg = sf->seg;
	struct shmipc_peer *peer = vmf->vma->vm_private_data;
	u64 off = (u64)vmf->pgoff << PAGE_SHIFT;
	vm_fault_t ret = VM_FAULT_LOCKED;

	lock_page(vmf->page);
	if (page_folio(vmf->page)->mapping != seg->mem.inode->i_mapping)
		ret = VM_FAULT_NOPAGE;	/* it was removed: fault again */
	/* Under the page's lock: seal.c waits for us, or we see that it has begun. */
	else if (peer == MAP_REVOKED || (peer && READ_ONCE(peer->cut)) ||
		 shmipc_sealed(seg, off, off + PAGE_SIZE))
		ret = VM_FAULT_SIGBUS;
	if (ret != VM_FAULT_LOCKED)
		unlock_page(vmf->page);
	return ret;
}

/*
 * The pages stay on the node where the segment was created: no policy of a mapping or of
 * a task applies to them, and NUMA balancing must not take their mappings away to learn
 * who uses them.
 */
static const struct vm_operations_struct map_ops = {
	.open		= map_open,
	.close		= map_close,
	.fault		= map_fault,
#ifdef CONFIG_NUMA
	.get_policy	= shmipc_no_policy,
#endif
};

/* The kernel maps a page as writable only after asking. */
static const struct vm_operations_struct seal_ops = {
	.open		= map_open,
	.close		= map_close,
	.fault		= map_fault,
	.page_mkwrite	= map_mkwrite,
#ifdef CONFIG_NUMA
	.get_policy	= shmipc_no_policy,
#endif
};

/* Is all of [@off, @end) in one region that @role may write? */
bool shmipc_region_allows(const struct shmipc_segment *seg, u64 off, u64 end, u32 role)
{
	u32 i;

	for (i = 0; i < seg->nregions; i++) {
		const struct shmipc_dev_region *g = &seg->region[i];

		if (off >= g->off && end <= g->off + g->bytes && g->roles & 1u << role)
			return true;
	}
	return false;
}

/*
 * May the caller write [@off, @end), with a mapping or without? @mode: of its descriptor.
 * Return: 0; -EACCES; -ECONNRESET fenced.
 */
int shmipc_may_write(struct shmipc_file *sf, struct shmipc_segment *seg, fmode_t mode, u64 off,
		     u64 end)
{
	struct shmipc_peer *peer;
	int err = 0;

	if (mode & FMODE_WRITE && shmipc_region_allows(seg, off, end, SHMIPC_ROLE_NONE))
		return 0;
	spin_lock(&seg->lock);
	peer = shmipc_peer_find_locked(sf, current->mm);
	if (!peer || !shmipc_region_allows(seg, off, end, peer->role))
		err = -EACCES;
	else if (peer->fenced)
		err = -ECONNRESET;
	spin_unlock(&seg->lock);
	return err;
}

/* May the caller map [@off, @end) for writing? Return: 0; -EACCES; -ECONNRESET fenced. */
static int map_writable(struct shmipc_file *sf, struct shmipc_segment *seg,
			struct vm_area_struct *vma, u64 off, u64 end)
{
	struct shmipc_peer *peer;
	int err = 0;

	if (shmipc_region_allows(seg, off, end, SHMIPC_ROLE_NONE))
		return 0;
	spin_lock(&seg->lock);
	peer = shmipc_peer_find_locked(sf, vma->vm_mm);
	if (!peer || !shmipc_region_allows(seg, off, end, peer->role)) {
		err = -EACCES;
	} else if (peer->fenced) {
		err = -ECONNRESET;
	} else {
		shmipc_peer_get(peer);
		peer->maps++;
		peer->maps_made++;
	}
	spin_unlock(&seg->lock);
	if (err)
		return err;
	vma->vm_private_data = peer;
	vm_flags_set(vma, VM_DONTCOPY);
	return 0;
}

int shmipc_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct shmipc_file *sf = file->private_data;
	struct shmipc_segment *seg = sf->seg;
	u64 off = (u64)vma->vm_pgoff << PAGE_SHIFT, bytes = vma->vm_end - vma->vm_start;
	int err;

	/* Not VM_SHARED: it is cleared if the descriptor is read-only. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_EXEC)
		return -EACCES;
	if (off > seg->mem.bytes || bytes > seg->mem.bytes - off)
		return -EINVAL;
	if (vma->vm_flags & VM_WRITE) {
		err = map_writable(sf, seg, vma, off, off + bytes);
		if (err)
			return err;
		vm_flags_clear(vma, VM_MAYEXEC);
	} else {
		vm_flags_clear(vma, VM_MAYEXEC | VM_MAYWRITE);
	}
	vm_flags_set(vma, VM_DONTEXPAND);
	vma->vm_ops = vma->vm_flags & VM_WRITE && shmipc_seal_overlaps(seg, off, off + bytes) ?
		      &seal_ops : &map_ops;
	return 0;
}
