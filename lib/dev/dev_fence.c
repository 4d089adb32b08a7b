// SPDX-License-Identifier: MIT
/*
 * dev_fence.c - cutting off another end, and having been cut off
 *
 * The end that is fenced gets SIGBUS when it next touches the pages of its role. A call that
 * sleeps is told before that. The handle is dead then, as one that was inherited through
 * fork: private memory takes the place of the segment's, so that the call can come to its
 * end, and the handle can be closed.
 */
#include <errno.h>

#include "dev/dev.h"

int shmipc_dev_fence(struct shmipc_segment *seg, uint32_t slot, uint64_t generation, uint32_t flags,
		     uint64_t until_ns)
{
	struct shmipc_dev_fence r = { .size = sizeof(r), .flags = flags, .slot = slot,
				      .generation = generation, .deadline_ns = until_ns };

	_Static_assert(SHMIPC_FENCE_PINNED == SHMIPC_DEV_FENCE_PINNED, "one flag");
	return shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_FENCE, &r);
}

bool shmipc_dev_cut_off(const struct shmipc_end *e)
{
	/* Written by the kernel alone; another one may be in the slot by now. */
	return shmipc_load_relaxed(&shmipc_segment_slot(e->seg, e->slot)->word) != e->word;
}

int shmipc_dev_fenced(struct shmipc_segment *seg)
{
	shmipc_segment_cut_off(seg);
	return -ECONNRESET;
}
