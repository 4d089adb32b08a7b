// SPDX-License-Identifier: MIT
/* named.c - opening a lock by its name, and using it */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lock/named.h"
#include "segment/access.h"
#include "segment/body.h"

#define PEERS_DEFAULT	64u
#define PEERS_MOST	4096u

static int bad(const char *field, uint32_t is, const char *should)
{
	return shmipc_fail(-EINVAL, "shmipc: lock options: %s is %u; %s (EINVAL)", field, is, should);
}

/* A private copy of the user's options, and what of them concerns every segment. */
static int opts_read(struct shmipc_lock_opts *o, struct shmipc_segment_opts *so,
		     const struct shmipc_lock_opts *user)
{
	struct shmipc_access a;
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "lock options");
	if (err)
		return err;
	if (o->peers == 1 || o->peers > PEERS_MOST)
		return bad("peers", o->peers, "expected 2 to 4096, or 0 for 64");
	if (o->type && o->type != SHMIPC_LOCK_TYPE_RWLOCK)
		return bad("type", o->type, "expected SHMIPC_LOCK_TYPE_RWLOCK, or 0 for that");
	a = SHMIPC_ACCESS_OF(o, "lock options", SHMIPC_KIND_LOCK);
	return shmipc_access_read(so, &a, (const uint64_t[]){ o->reserved0, o->reserved1[0],
				  o->reserved1[1], o->reserved1[2] }, 4);
}

int shmipc_lock_check_hdr(const struct shmipc_segment *seg, const char *name)
{
	const struct shmipc_sides_hdr *s = &seg->sides;
	const struct shmipc_lock_hdr *h = (const struct shmipc_lock_hdr *)(const void *)
		(seg->base + seg->hdr.body_off);
	int err = 0;

	if (seg->hdr.kind != SHMIPC_KIND_LOCK)
		return shmipc_differs_kind(&seg->hdr, name, SHMIPC_KIND_LOCK);
	if (s->version != SHMIPC_LOCK_VERSION || s->incompat & ~SHMIPC_LOCK_INCOMPAT_KNOWN ||
	    shmipc_load_relaxed(&h->type) != SHMIPC_LOCK_TYPE_RWLOCK)
		err = -EPROTONOSUPPORT;
	/* All slots are of those that may write. */
	if (s->magic != SHMIPC_LOCK_MAGIC || s->readers || s->producers < 2 ||
	    s->prod_bytes < sizeof(struct shmipc_lock_page))
		err = -EPROTO;
	return shmipc_access_refused(name, "lock", err);
}

static int open_segment(struct shmipc_segment **ret, const char *name,
			const struct shmipc_lock_opts *o, const struct shmipc_segment_opts *so)
{
	struct shmipc_lock_hdr *h;
	struct shmipc_sides sides;
	int err;

	_Static_assert(sizeof(*h) <= sizeof(sides), "the kind's fields have room");
	memset(&sides, 0, sizeof(sides));
	h = (struct shmipc_lock_hdr *)(void *)&sides;
	h->sides = (struct shmipc_sides_hdr){
		.magic = SHMIPC_LOCK_MAGIC, .version = SHMIPC_LOCK_VERSION, .kind = SHMIPC_KIND_LOCK,
		.producers = o->peers ? o->peers : PEERS_DEFAULT, .prod_bytes = SHMIPC_CTL_PAGE };
	h->type = SHMIPC_LOCK_TYPE_RWLOCK;
	err = shmipc_segment_open_sides(ret, name, so, &sides);
	if (err)
		return err;
	err = shmipc_lock_check_hdr(*ret, name);
	if (!err && o->peers && o->peers != (*ret)->hdr.peers)
		err = shmipc_differs(&(*ret)->hdr, name, "peers", shmipc_text_number(o->peers),
				     shmipc_text_number((*ret)->hdr.peers));
	if (err)
		shmipc_segment_close(*ret);
	return err;
}

static int open_lock(struct shmipc_lock **ret, const char *name,
		     const struct shmipc_lock_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment_opts so;
	struct shmipc_lock_opts o;
	struct shmipc_lock *l;
	int err;

	if (!ret)
		return shmipc_null("shmipc_lock_open", "ret");
	err = opts_read(&o, &so, opts);
	if (err)
		return err;
	l = calloc(1, sizeof(*l));
	if (!l)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a lock (ENOMEM)");
	err = open_segment(&l->seg, name, &o, &so);
	if (err)
		goto free_lock;
	err = shmipc_peer_begin(&l->p, l->seg, SHMIPC_ROLE_PRODUCER, o.spin_ns);
	if (err)
		goto close_segment;
	l->p->ends_by_signals = true;
	l->page = (struct shmipc_lock_page *)(void *)(l->seg->base + l->seg->hdr.data_off);
	*ret = l;
	return 0;

close_segment:
	shmipc_segment_close(l->seg);
free_lock:
	free(l);
	return err;
}

SHMIPC_EXPORT int shmipc_lock_open(struct shmipc_lock **ret, const char *name,
				   const struct shmipc_lock_opts *opts)
{
	return SHMIPC_TOLD(open_lock(ret, name, opts));
}

SHMIPC_EXPORT void shmipc_lock_close(struct shmipc_lock *l)
{
	SHMIPC_NO_CANCEL;
	uint64_t until_ns = shmipc_later(shmipc_now_ns(), DYING_PATIENCE_NS);
	uint32_t slot, times = SHMIPC_SHARE_AGAIN / SHMIPC_SHARE_AGAIN_ONE + 1;

	if (!l)
		return;
	if (shmipc_load_relaxed(&l->p->live)) {
		while (times-- && !shmipc_lock_give(l))
			continue;
		/* Those that are dying would keep the name. */
		for (slot = 0; slot < l->seg->hdr.peers; slot++)
			if (slot != l->p->end.slot)
				l->seg->be->wait_gone(l->seg, slot, until_ns);
	}
	shmipc_peer_leave(l->p);
	shmipc_segment_close(l->seg);
	free(l);
}

/* To a few milliseconds, which is cheaper than exactly. */
static uint64_t coarse_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* Does the calling thread have it alone? */
static bool has_it_alone(const struct shmipc_lock *l)
{
	return shmipc_load_relaxed(&l->p->live) &&
	       shmipc_lock_owner_of(shmipc_load_relaxed(&l->page->rwlock.writer.word)) ==
	       shmipc_lock_self(l->p);
}

SHMIPC_EXPORT int shmipc_lock_take(struct shmipc_lock *l, uint64_t deadline_ns)
{
	int ret;

	if (!l)
		return shmipc_null(__func__, "l");
	ret = shmipc_rwlock_write_lock(l->p, &l->page->rwlock, deadline_ns);
	if (!ret || ret == -EOWNERDEAD)
		shmipc_store_relaxed(&l->page->since_ns, coarse_ns());
	return ret;
}

SHMIPC_EXPORT int shmipc_lock_take_shared(struct shmipc_lock *l, uint64_t deadline_ns)
{
	int ret;

	if (!l)
		return shmipc_null(__func__, "l");
	ret = shmipc_rwlock_read_lock(l->p, &l->page->rwlock, deadline_ns);
	if (ret == -EOWNERDEAD)
		shmipc_store_relaxed(&l->page->since_ns, coarse_ns());
	return ret;
}

SHMIPC_EXPORT int shmipc_lock_give(struct shmipc_lock *l)
{
	if (!l)
		return shmipc_null(__func__, "l");
	/* Before it is given back: the next owner writes its own time there. */
	if (has_it_alone(l))
		shmipc_store_relaxed(&l->page->since_ns, (uint64_t)0);
	return shmipc_rwlock_unlock(l->p, &l->page->rwlock);
}

SHMIPC_EXPORT int shmipc_lock_consistent(struct shmipc_lock *l)
{
	int ret;

	if (!l)
		return shmipc_null(__func__, "l");
	ret = shmipc_rwlock_consistent(l->p, &l->page->rwlock);
	if (ret != -EINVAL || !shmipc_load_relaxed(&l->p->live))
		return ret;
	return shmipc_fail(-EINVAL, "shmipc: %s(): no owner of \"%s\" has died, or it was declared consistent (EINVAL)",
			   __func__, l->seg->hdr.name);
}
