// SPDX-License-Identifier: MIT
/* deadman.c - opening a role, taking it, and giving it back */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "deadman/deadman.h"
#include "segment/access.h"
#include "segment/body.h"

/* A private copy of the user's options, and what of them concerns every segment. */
static int opts_read(struct shmipc_deadman_opts *o, struct shmipc_segment_opts *so,
		     const struct shmipc_deadman_opts *user)
{
	struct shmipc_access a;
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "deadman options");
	if (err)
		return err;
	a = SHMIPC_ACCESS_OF(o, "deadman options", SHMIPC_KIND_DEADMAN);
	return shmipc_access_read(so, &a, (const uint64_t[]){ o->reserved0, o->reserved1[0],
				  o->reserved1[1], o->reserved1[2] }, 4);
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
	return shmipc_access_refused(name, "deadman", err);
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

	_Static_assert(sizeof(struct shmipc_deadman_hdr) <= sizeof(sides), "one page begins with it");
	if (!ret)
		return shmipc_null("shmipc_deadman_open", "ret");
	err = opts_read(&o, &so, opts);
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
	shmipc_access_open(d->seg, &d->live, 1);
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
