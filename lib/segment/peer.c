// SPDX-License-Identifier: MIT
/* peer.c - the ends of a segment: taking, leaving, death */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "segment/backend.h"
#include "segment/body.h"
#include "segment/probe.h"

/* The PID namespace of the pids that we write as hints. */
uint32_t shmipc_my_pidns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

static uint64_t generation(const struct shmipc_end *e)
{
	return shmipc_load_relaxed(&shmipc_segment_slot(e->seg, e->slot)->generation);
}

/* O_DIRECT and the like go on without their process's mapping, and even without it. */
static int fail_pinned(const struct shmipc_segment *seg, enum shmipc_role role)
{
	return shmipc_fail(-EBUSY, "shmipc: attach \"%s\": something that an earlier %s began still uses its memory, and may write there: O_DIRECT, buffers registered with io_uring, or a pipe (EBUSY); end that process, or try again later",
			   seg->hdr.name, shmipc_end_noun(seg->hdr.kind, role));
}

/**
 * shmipc_end_take - become a peer
 * @e:    filled in
 * @seg:  one end per handle
 * @role: which end
 *
 * Return: 0; -EBUSY the end is taken, or its last owner's pages are in use; -ENOSPC all
 * slots of readers, or of members, are taken.
 */
int shmipc_end_take(struct shmipc_end *e, struct shmipc_segment *seg, enum shmipc_role role)
{
	const char *who = shmipc_end_noun(seg->hdr.kind, role);
	struct shmipc_peer_info p;
	struct shmipc_body b;
	uint32_t from, to;
	int ret;

	shmipc_body_of(seg, &b);
	shmipc_body_slots(&seg->hdr, &b, role, &from, &to);
	e->seg = seg;
	e->pinned = false;
	ret = seg->be->take(e, role, from, to);
	if (ret == -EBUSY && e->pinned)
		return fail_pinned(seg, role);
	if (ret == -EBUSY && (role == SHMIPC_ROLE_READER || seg->hdr.kind == SHMIPC_KIND_LOCK))
		return shmipc_fail(-ENOSPC, "shmipc: attach \"%s\": all %u %ss' slots are taken (ENOSPC); create it with more %ss",
				   seg->hdr.name, to - from, who,
				   seg->hdr.kind == SHMIPC_KIND_BCAST ? "peer" : who);
	if (ret == -EBUSY && role == SHMIPC_ROLE_MEMBER)
		return shmipc_fail(-ENOSPC, "shmipc: join \"%s\" as a peer: all %u slots are taken (ENOSPC); create it with more peers",
				   seg->hdr.name, to - from);
	if (ret == -EBUSY && to - from > 1)
		return shmipc_fail(-EBUSY, "shmipc: attach \"%s\": all %u %ss' slots are taken (EBUSY); create it with more %ss",
				   seg->hdr.name, to - from, who, who);
	if (ret == -EBUSY) {
		shmipc_slot_info(seg, from, &p);
		return shmipc_fail(-EBUSY, "shmipc: attach \"%s\": it already has a %s: %.16s, pid %u (EBUSY)",
				   seg->hdr.name, who, p.comm[0] ? p.comm : "?", p.pid);
	}
	if (ret)
		return shmipc_fail(ret, "shmipc: attach \"%s\": take a slot: %s%s", seg->hdr.name,
				   shmipc_cause(ret).s, shmipc_advice(ret));
	shmipc_probe_attach(seg, e->slot, role, generation(e));
	return 0;
}

void shmipc_end_leave(struct shmipc_end *e)
{
	shmipc_probe_detach(e->seg, e->slot,
			    shmipc_load_relaxed(&shmipc_segment_slot(e->seg, e->slot)->role),
			    generation(e));
	e->seg->be->leave(e);
}

bool shmipc_peer_lives(struct shmipc_segment *seg, uint32_t slot, uint64_t generation,
		       uint64_t mask, bool sure)
{
	uint64_t is;

	if (slot >= seg->hdr.peers)
		return false;
	/* peer.G1 <- peer.G0: the state is that of this generation, or of a later one. */
	is = shmipc_load_acquire(&shmipc_segment_slot(seg, slot)->generation);
	return (is & mask) == (generation & mask) &&
	       seg->be->state(seg, slot, sure) == SHMIPC_PEER_ATTACHED;
}

void shmipc_end_leave_and_wait(struct shmipc_end *e)
{
	uint64_t until_ns = shmipc_now_ns() + DYING_PATIENCE_NS;
	struct shmipc_segment *seg = e->seg;
	uint32_t slot;

	if (seg->dead || seg->read_only)
		return;
	shmipc_end_leave(e);
	for (slot = 0; slot < seg->hdr.peers; slot++)
		if (slot != e->slot)
			seg->be->wait_gone(seg, slot, until_ns);
}

void shmipc_end_check(struct shmipc_end *e)
{
	struct shmipc_segment *seg = e->seg;

	/* A subscriber that only looks has taken no end. */
	if (seg && !seg->dead && !seg->read_only && seg->be->cut_off && seg->be->cut_off(e))
		shmipc_segment_cut_off(seg);
}

void shmipc_slot_info(struct shmipc_segment *seg, uint32_t slot, struct shmipc_peer_info *ret)
{
	const struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint32_t pid;

	memset(ret, 0, sizeof(*ret));
	ret->slot = slot;
	ret->state = seg->be->state(seg, slot, true);
	ret->role = shmipc_load_relaxed(&s->role);
	ret->generation = shmipc_load_relaxed(&s->generation);
	ret->since_ns = shmipc_load_relaxed(&s->since_ns);
	if (seg->be->pid)
		ret->pid = seg->be->pid(seg, slot);
	pid = shmipc_load_relaxed(&s->hint_pid);
	/* Finding our own namespace costs a system call: not for each slot of a large table. */
	if (!ret->pid && pid && shmipc_load_relaxed(&s->hint_pidns) == shmipc_my_pidns())
		ret->pid = pid;
	shmipc_racy_read(ret->comm, s->comm, sizeof(ret->comm));
	ret->comm[sizeof(ret->comm) - 1] = 0;
}
