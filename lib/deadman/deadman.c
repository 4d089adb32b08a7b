// SPDX-License-Identifier: MIT
/* deadman.c - opening a role, taking it, and giving it back */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deadman/deadman.h"
#include "segment/body.h"

/* A private copy of the user's options. */
static int opts_read(struct shmipc_deadman_opts *o, const struct shmipc_deadman_opts *user)
{
	static const uint32_t known = SHMIPC_EXCL | SHMIPC_PERSIST | SHMIPC_CHOWN | SHMIPC_CHGRP |
				      SHMIPC_CREATE | SHMIPC_NO_CREATE | SHMIPC_OWNED_BY |
				      SHMIPC_OWNED_BY_ANY;
	int err;

	memset(o, 0, sizeof(*o));
	if (!user)
		return 0;
	err = shmipc_sized_read(o, sizeof(*o), user, "deadman options");
	if (err)
		return err;
	if (o->flags & ~known || (o->flags & SHMIPC_NO_CREATE && o->flags & SHMIPC_EXCL))
		return shmipc_fail(-EINVAL, "shmipc: deadman options: flags are %#x, with unknown bits, or EXCL with NO_CREATE (EINVAL)",
				   o->flags);
	if (o->reserved0 || o->reserved1[0] || o->reserved1[1] || o->reserved1[2])
		return shmipc_fail(-EINVAL, "shmipc: deadman options: reserved members must be 0 (EINVAL)");
	return 0;
}

static int opts_segment(struct shmipc_segment_opts *so, const struct shmipc_deadman_opts *o)
{
	struct shmipc_segment_opts as = {
		.struct_bytes = sizeof(as),
		.kind = SHMIPC_KIND_DEADMAN,
		.flags = o->flags & ~(SHMIPC_NO_CREATE | SHMIPC_CREATE),
		.mode = o->mode,
		.uid = o->uid,
		.gid = o->gid,
		.owner = o->owner,
	};

	if (!(o->flags & SHMIPC_NO_CREATE))
		as.flags |= SHMIPC_CREATE;
	return shmipc_opts_read(so, &as);
}

int shmipc_deadman_check(const struct shmipc_segment *seg, const char *name)
{
	const struct shmipc_sides_hdr *s = &seg->sides;
	int err = 0;

	if (seg->hdr.kind != SHMIPC_KIND_DEADMAN)
		return shmipc_differs_kind(&seg->hdr, name, SHMIPC_KIND_DEADMAN);
	if (s->version != SHMIPC_DEADMAN_VERSION || s->incompat & ~SHMIPC_DEADMAN_INCOMPAT_KNOWN)
		err = -EPROTONOSUPPORT;
	if (s->magic != SHMIPC_DEADMAN_MAGIC || s->producers != 1 ||
	    s->prod_bytes < sizeof(struct shmipc_deadman_line))
		err = -EPROTO;
	return !err ? 0 : shmipc_fail(err, "shmipc: open \"%s\": the header of its deadman is invalid or of another version (%s); remove it",
				      name, shmipc_error_name(err));
}

static int open_deadman(struct shmipc_deadman **ret, const char *name,
			const struct shmipc_deadman_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_sides sides = { .hdr = {
		.magic = SHMIPC_DEADMAN_MAGIC, .version = SHMIPC_DEADMAN_VERSION,
		.kind = SHMIPC_KIND_DEADMAN, .producers = 1, .readers = 1,
		.prod_bytes = SHMIPC_CTL_PAGE } };
	struct shmipc_deadman_opts o;
	struct shmipc_segment_opts so;
	struct shmipc_deadman *d;
	int err;

	_Static_assert(sizeof(struct shmipc_deadman_hdr) == sizeof(sides), "one page begins with it");
	if (!ret)
		return shmipc_null("shmipc_deadman_open", "ret");
	err = opts_read(&o, opts);
	if (!err)
		err = opts_segment(&so, &o);
	if (err)
		return err;
	d = calloc(1, sizeof(*d));
	if (!d)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a deadman (ENOMEM)");
	err = shmipc_segment_open_sides(&d->seg, name, &so, &sides);
	if (err)
		goto free_deadman;
	err = shmipc_deadman_check(d->seg, name);
	if (err)
		goto close_segment;
	shmipc_waiter_init(&d->wait, o.spin_ns ? o.spin_ns : SHMIPC_SPIN_NEVER, NULL);
	d->live = 1;
	d->seg->live = &d->live;
	d->seg->nlive = 1;
	*ret = d;
	return 0;

close_segment:
	shmipc_segment_close(d->seg);
free_deadman:
	free(d);
	return err;
}

SHMIPC_EXPORT int shmipc_deadman_open(struct shmipc_deadman **ret, const char *name,
				      const struct shmipc_deadman_opts *opts)
{
	return SHMIPC_TOLD(open_deadman(ret, name, opts));
}

/* -EINVAL, -ECONNRESET; also for a holder that was cut off since the last call. */
static int check(struct shmipc_deadman *d)
{
	if (d->live && d->holds)
		shmipc_end_check(&d->end);
	return d->live ? 0 : shmipc_dead(d->seg);
}

static void give_back(struct shmipc_deadman *d)
{
	/*
	 * If we are killed from here on, we have released it: peer.P1 -> peer.P0 makes this
	 * visible before the word of the slot is free.
	 */
	shmipc_store_relaxed(shmipc_deadman_released(d->seg, d->term), d->term);
	shmipc_end_leave(&d->end);
	d->holds = false;
}

SHMIPC_EXPORT void shmipc_deadman_close(struct shmipc_deadman *d)
{
	SHMIPC_NO_CANCEL;

	if (!d)
		return;
	if (!check(d)) {
		if (d->holds)
			give_back(d);
		/* A holder that is dying would keep the name. */
		d->seg->be->wait_gone(d->seg, DEADMAN_SLOT,
				      shmipc_later(shmipc_now_ns(), DYING_PATIENCE_NS));
	}
	d->seg->live = NULL;
	shmipc_segment_close(d->seg);
	free(d);
}

/* 0; -EBUSY: another process holds it; -errno */
static int try_take(struct shmipc_deadman *d)
{
	SHMIPC_NO_CANCEL;
	int err = shmipc_end_take(&d->end, d->seg, SHMIPC_ROLE_PRODUCER);

	if (err)
		return err;
	/* Ours as long as we are attached. */
	d->term = shmipc_load_relaxed(&shmipc_segment_slot(d->seg, DEADMAN_SLOT)->generation);
	d->holds = true;
	return 0;
}

SHMIPC_EXPORT int shmipc_deadman_take(struct shmipc_deadman *d, uint64_t *ret_term,
				      uint64_t deadline_ns)
{
	int err;

	if (!d)
		return shmipc_null(__func__, "d");
	err = check(d);
	if (err)
		return err;
	if (d->holds)
		return shmipc_fail(-EINVAL, "shmipc: take \"%s\": this handle holds it already, as term %llu (EINVAL)",
				   d->seg->hdr.name, (unsigned long long)d->term);
	for (;;) {
		err = try_take(d);
		if (err != -EBUSY || d->end.pinned)
			break;
		if (!deadline_ns)
			return -EAGAIN;
		/* Others may be faster each time: then the deadline is checked here. */
		err = shmipc_deadman_wait(d, false, 0, deadline_ns);
		if (err)
			return err;
		if (shmipc_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
	if (!err && ret_term)
		*ret_term = d->term;
	return err;
}

SHMIPC_EXPORT int shmipc_deadman_release(struct shmipc_deadman *d)
{
	SHMIPC_NO_CANCEL;
	int err;

	if (!d)
		return shmipc_null(__func__, "d");
	err = check(d);
	if (err)
		return err;
	if (!d->holds)
		return shmipc_fail(-EINVAL, "shmipc: release \"%s\": this handle does not hold it (EINVAL)",
				   d->seg->hdr.name);
	give_back(d);
	return 0;
}

SHMIPC_EXPORT int shmipc_deadman_holds(struct shmipc_deadman *d)
{
	int err;

	if (!d)
		return shmipc_null(__func__, "d");
	err = check(d);
	return err ? err : d->holds;
}
