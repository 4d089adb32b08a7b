// SPDX-License-Identifier: MIT
/* private.c - segments of one process: its threads live and die together */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "segment/body.h"
#include "segment/table.h"
#include "segment/page.h"

int shmipc_private_create(struct shmipc_segment *seg, const struct shmipc_segment_opts *o)
{
	struct shmipc_pages pages = { .asked = o->page, .node_asked = -1, .node_got = -1 };
	struct shmipc_body b;
	struct shmipc_seg_hdr h;
	int ret;

	if (o->flags & SHMIPC_ON_NODE)
		pages.node_asked = o->node;
	ret = shmipc_opts_plan(&h, &b, o, NULL, NULL, &pages);
	if (ret)
		return ret;
	seg->mem = calloc(1, sizeof(*seg->mem));
	if (!seg->mem)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a handle (ENOMEM)");
	seg->bytes = h.total_bytes;
	ret = shmipc_pages_map(&seg->base, -1, seg->bytes, PROT_READ | PROT_WRITE, SHMIPC_PAGE_2M);
	if (!ret)
		ret = shmipc_pages_populate(&pages, -1, seg->base, h.total_bytes, h.body_off,
					    h.data_off);
	if (ret) {
		if (seg->base)
			(void)munmap(seg->base, seg->bytes);
		free(seg->mem);
		return shmipc_fail(ret, "shmipc: %llu bytes of private memory: %s%s",
				   (unsigned long long)h.total_bytes, shmipc_cause(ret).s,
				   shmipc_pages_advice(ret));
	}
	h.flags |= SHMIPC_SEG_PRIVATE;
	h.page_got = pages.got;
	h.node_got = pages.node_got;
	shmipc_segment_fill(seg->base, &h, &b);
	seg->mem->refs = 1;
	seg->mem->base = seg->base;
	seg->mem->bytes = seg->bytes;
	return shmipc_segment_read(seg, NULL);
}

int shmipc_private_dup(struct shmipc_segment *seg, struct shmipc_segment *from)
{
	seg->mem = from->mem;
	(void)__atomic_fetch_add(&seg->mem->refs, 1, __ATOMIC_RELAXED);
	seg->base = from->base;
	seg->bytes = from->bytes;
	return shmipc_segment_read(seg, NULL);
}

void shmipc_private_close(struct shmipc_segment *seg)
{
	if (__atomic_sub_fetch(&seg->mem->refs, 1, __ATOMIC_ACQ_REL))
		return;
	(void)munmap(seg->mem->base, seg->mem->bytes);
	free(seg->mem);
}

int shmipc_private_commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, true))
		return -EINVAL;
	return shmipc_pages_commit(-1, seg->base, off, bytes);
}

int shmipc_private_uncommit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes,
			    uint64_t *ret_bytes)
{
	if (!shmipc_pages_within(seg->bytes, SHMIPC_CTL_PAGE, &off, &bytes, false))
		return -EINVAL;
	return shmipc_pages_uncommit(-1, seg->base, off, bytes, ret_bytes);
}

int shmipc_private_used(struct shmipc_segment *seg, uint64_t *ret_bytes)
{
	return shmipc_pages_used(-1, seg->base, seg->bytes, ret_bytes);
}

/* A slot is held while its state says so: peers of one process do not die alone. */
static int private_slot_lock(struct shmipc_segment *seg, uint32_t slot)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	__u64 was = 0;

	/* reserved1[0] is the lock: taken by one thread, freed when it leaves. private.L0 <- private.L1 */
	return shmipc_cas_acq_rel(&s->reserved1[0], &was, (uint64_t)1) ? 0 : -EBUSY;
}

static void private_slot_unlock(struct shmipc_segment *seg, uint32_t slot)
{
	/* private.L1 -> private.L0: our use of the slot comes before that of the next owner. */
	shmipc_store_release(&shmipc_segment_slot(seg, slot)->reserved1[0], (uint64_t)0);
}

static bool private_slot_held(struct shmipc_segment *seg, uint32_t slot)
{
	/* private.L0 <- private.L1: if it is free, all that its owner wrote is visible. */
	return shmipc_load_acquire(&shmipc_segment_slot(seg, slot)->reserved1[0]);
}

const struct shmipc_locks shmipc_private_locks = {
	.lock = private_slot_lock,
	.unlock = private_slot_unlock,
	.held = private_slot_held,
};

