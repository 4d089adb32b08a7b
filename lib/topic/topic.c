// SPDX-License-Identifier: MIT
/* topic.c - opening and closing a topic */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "topic/topic.h"

#define OPEN_TRIES	2000

/* A topic that is being opened. */
struct opening {
	const char *name;
	struct shmipc_topic_opts o;
	struct shmipc_segment_opts so;
	struct shmipc_tlog_opts l;
	bool publishes;
	bool decides;			/* it publishes, or states options */
	bool helps;			/* the end that superseded it had its time */
	uint64_t until_ns;		/* the end that superseded it has time until then; 0: not seen yet */
	struct shmipc_segment *old;	/* superseded by us */
};

/* Of @from, only what says which users share it. */
static struct shmipc_topic_opts access_of(const struct shmipc_topic_opts *from)
{
	return (struct shmipc_topic_opts){
		.struct_bytes = from->struct_bytes,
		.flags = from->flags & (SHMIPC_CHOWN | SHMIPC_CHGRP | SHMIPC_OWNED_BY |
					SHMIPC_OWNED_BY_ANY),
		.mode = from->mode,
		.uid = from->uid,
		.gid = from->gid,
		.owner = from->owner,
	};
}

/* Users who share a topic all say so, and decide nothing else by that. */
static bool states_options(const struct shmipc_topic_opts *o)
{
	struct shmipc_topic_opts none = access_of(o);

	none.flags |= o->flags & (SHMIPC_NO_CREATE | SHMIPC_CREATE);
	return memcmp(o, &none, sizeof(none)) != 0;
}

static int match(const struct opening *op, const struct shmipc_segment *seg)
{
	int err = shmipc_opts_match(&op->so, &seg->hdr, &seg->ring, op->name);

	return err ? err : shmipc_topic_opts_match(seg, &op->o);
}

static int make(struct opening *op, struct shmipc_segment **ret, struct shmipc_segment *old)
{
	const struct shmipc_making making = { .log = &op->l };
	int err;

	err = shmipc_topic_seal_check(op->name, shmipc_backend_named(), op->l.seal_bytes);
	if (err)
		return err;
	op->l.shape = op->decides ? SHMIPC_SHAPE_FINAL : SHMIPC_SHAPE_PROVISIONAL;
	err = shmipc_segment_make(ret, op->name, &op->so, &making, old);
	return err == -EEXIST ? -EAGAIN : err;
}

/* Has the end that superseded it still time to put another one in its place? */
static bool patient(struct opening *op)
{
	uint64_t now = shmipc_now_ns();

	if (!op->until_ns)
		op->until_ns = now + TOPIC_PATIENCE_NS;
	if (now >= op->until_ns)
		return false;
	shmipc_sleep_ns(TOPIC_NAP_NS);
	return true;
}

/* In the place of one that is superseded. @mine: by us; else we are to help. */
static int replace(struct opening *op, struct shmipc_segment **ret, struct shmipc_segment *old,
		   bool mine)
{
	int err;

	if (!mine && op->o.flags & SHMIPC_NO_CREATE)
		return shmipc_fail(-ENOENT, "shmipc: open \"%s\": nobody has created it (ENOENT)", op->name);
	if (!mine && !op->decides && !op->helps && patient(op))
		return -EAGAIN;
	/* No subscriber is left asleep in it, even if we are killed from here on. */
	shmipc_topic_shape_wake(old);
	err = make(op, ret, old);
	if (err || !mine)
		return err;
	shmipc_segment_close(op->old);	/* of a try before */
	op->old = old;
	return 0;
}

/* The topic is provisional. */
static int decide(struct opening *op, struct shmipc_segment **ret, struct shmipc_segment *seg)
{
	int err = op->o.flags & SHMIPC_EXCL ? -EEXIST : match(op, seg);

	if (!op->decides || (!err && op->publishes)) {
		*ret = seg;	/* a publisher makes it final when it has its end */
		return 0;
	}
	if (!err) {
		err = shmipc_topic_shape_decide(seg, SHMIPC_SHAPE_FINAL);
		return err ? err : -EAGAIN;
	}
	if (op->o.flags & SHMIPC_OWNED_BY && op->o.flags & SHMIPC_NO_CREATE)
		return err;	/* one in its place would not be that user's */
	if (!shmipc_topic_shape_ours(seg))
		return shmipc_fail(-EACCES, "shmipc: open \"%s\": a subscriber of user %u waits for it, and created it without options (EACCES); only that user or root can replace it: publish first, or without options",
				   op->name, seg->hdr.uid);
	err = shmipc_topic_shape_decide(seg, SHMIPC_SHAPE_SUPERSEDED);
	return err ? err : replace(op, ret, seg, true);
}

/* 0; -EAGAIN: it has changed meanwhile; -errno */
static int open_once(struct opening *op, struct shmipc_segment **ret)
{
	struct shmipc_segment *seg = NULL;
	int err = shmipc_segment_find(&seg, op->name, &op->so);

	if (err == -ENOENT && !(op->o.flags & SHMIPC_NO_CREATE))
		return make(op, ret, NULL);
	if (err)
		return err;
	*ret = NULL;
	if (seg->hdr.kind != SHMIPC_KIND_TOPIC)
		err = match(op, seg);
	else if (shmipc_topic_shape(seg) == SHMIPC_SHAPE_SUPERSEDED)
		err = replace(op, ret, seg, false);
	else if (shmipc_topic_shape(seg) == SHMIPC_SHAPE_PROVISIONAL)
		err = decide(op, ret, seg);
	else if (op->o.flags & SHMIPC_EXCL)
		err = shmipc_fail(-EEXIST, "shmipc: create \"%s\": it exists already (EEXIST); remove it, or open it",
				  op->name);
	else
		err = match(op, seg);
	if (!err && !*ret)
		*ret = seg;
	if (*ret != seg && op->old != seg)
		shmipc_segment_close(seg);
	return err;
}

/* All of it but the user's options. */
static int open_as(struct opening *op, struct shmipc_segment **ret)
{
	struct shmipc_segment *seg = NULL;
	int tries, err = -EAGAIN;

	shmipc_topic_opts_plan(&op->l, &op->o);
	shmipc_topic_opts_segment(&op->so, &op->o);
	for (tries = 0; err == -EAGAIN && tries < OPEN_TRIES; tries++)
		err = open_once(op, &seg);
	if (err == -EAGAIN)
		err = shmipc_fail(-EBUSY, "shmipc: open \"%s\": others create and replace it all the time (EBUSY)",
				  op->name);
	if (!err)
		*ret = seg;
	return err;
}

int shmipc_topic_open(struct shmipc_segment **ret, const char *name,
		      const struct shmipc_topic_opts *opts)
{
	struct opening op = { .name = name };
	int err = shmipc_topic_opts_read(&op.o, opts);

	if (err)
		return err;
	op.decides = states_options(&op.o);
	err = open_as(&op, ret);
	if (!err && op.old)
		shmipc_topic_shape_await(op.old);
	shmipc_segment_close(op.old);
	return err;
}

int shmipc_topic_open_to_publish(struct shmipc_segment **ret, struct shmipc_segment **ret_old,
				 const char *name, const struct shmipc_topic_opts *opts)
{
	struct opening op = { .name = name, .publishes = true, .decides = true };
	int err = shmipc_topic_opts_read(&op.o, opts);

	if (!err)
		err = open_as(&op, ret);
	*ret_old = op.old;
	return err;
}

int shmipc_topic_open_moved(struct shmipc_segment **ret, const char *name,
			    const struct shmipc_topic_opts *opts, bool helps)
{
	struct opening op = { .name = name, .helps = helps, .o = access_of(opts) };

	if (!helps)
		op.o.flags |= SHMIPC_NO_CREATE;
	else if (op.o.flags & SHMIPC_OWNED_BY)
		op.o.flags |= opts->flags & SHMIPC_NO_CREATE;
	return open_as(&op, ret);
}

/* Map an existing topic, anybody's or @owner's, without becoming a peer. */
static int look(struct shmipc_segment **ret, const char *name,
		const struct shmipc_segment_opts *owner, int *ret_in_use)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment *seg = shmipc_segment_new(be);
	int err;

	if (!seg)
		return -ENOMEM;
	seg->asks = owner;
	shmipc_fork_hold();
	err = be->look(seg, name, ret_in_use);
	shmipc_fork_release();
	seg->asks = NULL;
	if (err) {
		shmipc_segment_free(seg);
		return err;
	}
	seg->read_only = true;
	if (seg->hdr.kind != SHMIPC_KIND_TOPIC) {
		err = shmipc_differs_kind(&seg->hdr, name, SHMIPC_KIND_TOPIC);
		shmipc_segment_close(seg);
		return err;
	}
	*ret = seg;
	return 0;
}

int shmipc_topic_open_read_only(struct shmipc_segment **ret, const char *name,
				const struct shmipc_topic_opts *opts, bool waits, int *ret_in_use)
{
	struct opening op = { .name = name, .until_ns = !waits };
	enum shmipc_topic_shape shape;
	struct shmipc_segment *seg = NULL;
	const char *reason;
	int err = shmipc_backend_named() ? shmipc_topic_opts_read(&op.o, opts) : shmipc_no_backend();

	if (!err && op.o.flags & SHMIPC_EXCL)
		err = shmipc_fail(-EINVAL, "shmipc: topic options: flags have EXCL, but a read-only subscriber creates nothing (EINVAL)");
	if (err)
		return err;
	if (shmipc_name_check(name, &reason))
		return shmipc_fail(-EINVAL, "shmipc: \"%.210s\" is not a valid topic name: %s (EINVAL)",
				   name ? name : "", reason);
	shmipc_topic_opts_segment(&op.so, &op.o);
	for (;;) {
		/* It gives nothing away: unless its owner is named, anybody's will do. */
		err = look(&seg, name, op.o.flags & SHMIPC_OWNED_BY ? &op.so : NULL, ret_in_use);
		if (err)
			return err;
		shape = shmipc_topic_shape(seg);
		if (shape != SHMIPC_SHAPE_SUPERSEDED)
			break;
		shmipc_segment_close(seg);
		if (!patient(&op))
			return shmipc_fail(-ENOENT, "shmipc: open \"%s\": nobody has created it (ENOENT)",
					   name);
	}
	/* What it will be is not known yet. */
	err = shape == SHMIPC_SHAPE_PROVISIONAL ? 0 : match(&op, seg);
	if (err)
		shmipc_segment_close(seg);
	else
		*ret = seg;
	return err;
}

/* Leave, wait until dying processes have released the name, and release it. */
void shmipc_topic_end_close(struct shmipc_topic_end *t)
{
	t->end.seg = t->seg;	/* one that only looks has taken no end */
	shmipc_end_leave_and_wait(&t->end);
	shmipc_segment_close(t->seg);
}
