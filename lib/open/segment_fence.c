// SPDX-License-Identifier: MIT
/* segment_fence.c - cut off an end of a segment by force */
#include <errno.h>

#include "segment/backend.h"

static int fail(const struct shmipc_segment *seg, const char *name, uint32_t slot, int err)
{
	const char *why = "; try again", *what = shmipc_cause(err).s;
	struct shmipc_peer_info p;

	if (err == -ESRCH) {
		shmipc_slot_info((struct shmipc_segment *)(uintptr_t)seg, slot, &p);
		if (p.state == SHMIPC_PEER_ATTACHED)
			return shmipc_fail(err, "shmipc: fence \"%s\": slot %u: another end is attached there, of generation %llu (ESRCH); see shmipc stat",
					   name, slot, (unsigned long long)p.generation);
		return shmipc_fail(err, "shmipc: fence \"%s\": slot %u: no end is attached there (ESRCH); see shmipc stat",
				   name, slot);
	}
	if (err == -EPERM)
		return shmipc_fail(-EACCES, "shmipc: fence \"%s\": only its owner, user %u, may do that, or a process with CAP_SYS_RESOURCE (EACCES)",
				   name, seg->hdr.uid);
	if (err == -EBUSY)
		return shmipc_fail(err, "shmipc: fence \"%s\": slot %u is cut off, but pages of its role are still in use by O_DIRECT, io_uring or the like (EBUSY); wait longer, or do without (SHMIPC_FENCE_PINNED)",
				   name, slot);
	if (err != -EINTR)
		why = shmipc_advice(err);
	return shmipc_fail(err, "shmipc: fence \"%s\": slot %u: %s%s", name, slot, what, why);
}

static int fence(const char *name, uint32_t slot, uint64_t generation, uint32_t flags,
		 uint64_t deadline_ns)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment *seg;
	int in_use, err;

	err = be ? shmipc_name_read(name) : shmipc_no_backend();
	if (err)
		return err;
	if (flags & ~SHMIPC_FENCE_PINNED)
		return shmipc_fail(-EINVAL, "shmipc: fence \"%s\": unknown flags 0x%x (EINVAL)", name,
				   flags & ~SHMIPC_FENCE_PINNED);
	if (!be->fence)
		return shmipc_fail(-EOPNOTSUPP, "shmipc: fence \"%s\": backend %s cannot cut off a process (EOPNOTSUPP); end it, or use the kernel module, see shmipc_peers(4)",
				   name, be->name);
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	shmipc_fork_hold();
	err = be->look(seg, name, &in_use);
	shmipc_fork_release();		/* it may take long */
	if (!err) {
		if (slot >= seg->hdr.peers)
			err = shmipc_fail(-EINVAL, "shmipc: fence \"%s\": slot %u: it has slots 0 to %u (EINVAL)",
					  name, slot, seg->hdr.peers - 1);
		else
			err = be->fence(seg, slot, generation, flags, deadline_ns);
		if (err && slot < seg->hdr.peers)
			err = fail(seg, name, slot, err);
		seg->hdr.name[0] = 0;	/* looking never removes */
	}
	shmipc_fork_hold();
	if (seg->base)
		be->close(seg);
	shmipc_segment_free(seg);
	shmipc_fork_release();
	return err;
}

SHMIPC_EXPORT int shmipc_segment_fence(const char *name, uint32_t slot, uint64_t generation,
				       uint32_t flags, uint64_t deadline_ns)
{
	return SHMIPC_TOLD(fence(name, slot, generation, flags, deadline_ns));
}
