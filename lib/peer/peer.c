// SPDX-License-Identifier: MIT
/* peer.c - joining a raw segment as a peer, and who the others are */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "peer/peer.h"
#include "segment/access.h"

static int opts_read(struct shmipc_peer_opts *o, const struct shmipc_peer_opts *user)
{
	memset(o, 0, sizeof(*o));
	return user ? shmipc_sized_read(o, sizeof(*o), user, "peer options") : 0;
}

static int check(const struct shmipc_segment *seg)
{
	if (seg->dead)
		return shmipc_fail(shmipc_dead(seg), "shmipc: join \"%s\" as a peer: the handle was inherited through fork, or cut off (%s); open the segment again",
				   seg->hdr.name, shmipc_error_name(shmipc_dead(seg)));
	if (seg->hdr.kind != SHMIPC_KIND_RAW)
		return shmipc_fail(-EINVAL, "shmipc: join \"%s\" as a peer: it is of kind %s, expected raw (EINVAL); its ends are taken by the functions of that kind",
				   seg->hdr.name, shmipc_kind_text(seg->hdr.kind).s);
	if (seg->live)
		return shmipc_fail(-EBUSY, "shmipc: join \"%s\" as a peer: this handle has a peer (EBUSY); its threads share it, or open the segment again",
				   seg->hdr.name);
	return 0;
}

int shmipc_peer_begin(struct shmipc_peer **ret, struct shmipc_segment *seg, enum shmipc_role role,
		      uint64_t spin_ns)
{
	struct shmipc_waiter w;
	struct shmipc_peer *p;
	int err;

	p = calloc(1, sizeof(*p));
	if (!p)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a peer (ENOMEM)");
	err = shmipc_end_take(&p->end, seg, role);
	if (err) {
		free(p);
		return err;
	}
	p->seg = seg;
	p->pid = (uint32_t)getpid();
	p->data = seg->base + seg->hdr.data_off;
	p->data_bytes = seg->hdr.data_bytes;
	p->generation = shmipc_load_relaxed(&shmipc_segment_slot(seg, p->end.slot)->generation);
	shmipc_waiter_init(&w, spin_ns, NULL);
	p->spin_ns = w.spin_ns;
	shmipc_access_open(seg, &p->live, 1);
	/* Nothing is held yet: those that sleep watch us from here on. */
	if (seg->be->hello)
		seg->be->hello(seg);
	*ret = p;
	return 0;
}

static int join(struct shmipc_peer **ret, struct shmipc_segment *seg,
		const struct shmipc_peer_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_peer_opts o;
	int err;

	if (!ret || !seg)
		return shmipc_null("shmipc_peer_join", "ret or seg");
	err = opts_read(&o, opts);
	if (!err)
		err = check(seg);
	return err ? err : shmipc_peer_begin(ret, seg, SHMIPC_ROLE_MEMBER, o.spin_ns);
}

SHMIPC_EXPORT int shmipc_peer_join(struct shmipc_peer **ret, struct shmipc_segment *seg,
				   const struct shmipc_peer_opts *opts)
{
	return SHMIPC_TOLD(join(ret, seg, opts));
}

SHMIPC_EXPORT void shmipc_peer_leave(struct shmipc_peer *p)
{
	SHMIPC_NO_CANCEL;
	if (!p)
		return;
	shmipc_fork_hold();
	shmipc_end_check(&p->end);
	if (!p->seg->dead)
		shmipc_end_leave(&p->end);
	p->seg->live = NULL;
	p->seg->nlive = 0;
	shmipc_fork_release();
	free(p);
}

SHMIPC_EXPORT int shmipc_peer_get_info(const struct shmipc_peer *p, struct shmipc_peer_info *ret)
{
	if (!p || !ret)
		return shmipc_null(__func__, "p or ret");
	if (p->seg->dead)
		return shmipc_dead(p->seg);
	shmipc_slot_info(p->seg, p->end.slot, ret);
	/* Not what others could write there. */
	ret->state = SHMIPC_PEER_ATTACHED;
	ret->generation = p->generation;
	ret->pid = p->pid;
	return 0;
}

static bool is_own(const struct shmipc_peer *p, struct shmipc_peer_name name)
{
	return name.slot == p->end.slot && !((name.generation ^ p->generation) & name.mask);
}

bool shmipc_peer_gone(const struct shmipc_peer *p, struct shmipc_peer_name name, bool sure)
{
	return !is_own(p, name) &&
	       !shmipc_peer_lives(p->seg, name.slot, name.generation, name.mask, sure);
}

uint32_t shmipc_peer_pid(const struct shmipc_peer *p, struct shmipc_peer_name name)
{
	struct shmipc_peer_info info;

	if (is_own(p, name))
		return p->pid;
	if (name.slot >= p->seg->hdr.peers)
		return 0;
	shmipc_slot_info(p->seg, name.slot, &info);
	return (info.generation ^ name.generation) & name.mask ? 0 : info.pid;
}
