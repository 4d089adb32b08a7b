// SPDX-License-Identifier: MIT
/* queue_open.c - a queue's options, and finding or creating it */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "queue/queue.h"
#include "segment/access.h"
#include "segment/body.h"

#define ENDS_DEFAULT	64u
#define DEPTH_DEFAULT	64u

static int bad(const char *field, uint64_t is, const char *should)
{
	return shmipc_fail(-EINVAL, "shmipc: queue options: %s is %llu; %s (EINVAL)", field,
			   (unsigned long long)is, should);
}

static int numbers_check(const struct shmipc_queue_opts *o)
{
	uint64_t producers = o->producers ? o->producers : ENDS_DEFAULT;
	uint64_t depth = o->depth ? o->depth : DEPTH_DEFAULT;

	if (o->producers > SHMIPC_QUEUE_PRODUCERS_MAX)
		return bad("producers", o->producers, "the most is 1024");
	if (o->consumers > SHMIPC_QUEUE_CONSUMERS_MAX)
		return bad("consumers", o->consumers, "the most is 1024");
	if (o->depth > SHMIPC_QUEUE_DEPTH_MAX || o->depth & (o->depth - 1))
		return bad("depth", o->depth, "it must be a power of two, up to 65536");
	if (producers * depth > SHMIPC_QUEUE_CELLS_MAX)
		return bad("depth of all producers together", producers * depth,
			   "the most is 1048576; ask for fewer producers, or a smaller depth");
	if (o->levels > SHMIPC_QUEUE_LEVELS_MAX)
		return bad("levels", o->levels, "the most is 8");
	if (o->delivery > SHMIPC_QUEUE_ACKNOWLEDGED)
		return bad("delivery", o->delivery,
			   "it must be SHMIPC_QUEUE_AT_MOST_ONCE or SHMIPC_QUEUE_ACKNOWLEDGED");
	if (o->deliveries >= SHMIPC_QUEUE_TIMES_MAX)
		return bad("deliveries", o->deliveries, "the most is 254");
	if (o->deliveries && o->delivery == SHMIPC_QUEUE_AT_MOST_ONCE)
		return bad("deliveries", o->deliveries, "with SHMIPC_QUEUE_AT_MOST_ONCE there is one");
	if (o->item_bytes > SHMIPC_QUEUE_ITEM_MAX)
		return bad("item_bytes", o->item_bytes, "the most is 2^30");
	return 0;
}

/* A private copy of the user's options, and what of them concerns every segment. */
static int opts_read(struct shmipc_queue_opts *o, struct shmipc_segment_opts *so, const char *name,
		     const struct shmipc_queue_opts *user)
{
	struct shmipc_access a;
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "queue options");
	if (!err)
		err = numbers_check(o);
	if (!err && o->dead)
		err = shmipc_dead_check(o, name);
	if (!err && o->reserved0)
		err = bad("reserved0", o->reserved0, "it must be 0");
	if (err)
		return err;
	a = SHMIPC_ACCESS_OF(o, "queue options", SHMIPC_KIND_QUEUE);
	return shmipc_access_read(so, &a, o->reserved1,
				  sizeof(o->reserved1) / sizeof(o->reserved1[0]));
}

int shmipc_queue_how_read(struct shmipc_queue_how *o, const struct shmipc_queue_how *user)
{
	memset(o, 0, sizeof(*o));
	return user ? shmipc_sized_read(o, sizeof(*o), user, "options of an end of a queue") : 0;
}

static int differs(const struct shmipc_segment *seg, const char *field, uint64_t asked, uint64_t is)
{
	if (!asked || asked == is)
		return 0;
	return shmipc_differs(&seg->hdr, NULL, field, shmipc_text_number(asked),
			      shmipc_text_number(is));
}

static int delivery_differs(const struct shmipc_segment *seg, uint32_t asked, bool acked)
{
	static const struct shmipc_text at_most = { "at most once" }, ack = { "acknowledged" };
	const bool want = asked == SHMIPC_QUEUE_ACKNOWLEDGED;

	if (!asked || want == acked)
		return 0;
	return shmipc_differs(&seg->hdr, NULL, "delivery", want ? ack : at_most,
			      acked ? ack : at_most);
}

int shmipc_queue_check(const struct shmipc_segment *seg, const char *name,
		       struct shmipc_queue_hdr *ret_hdr, struct shmipc_cells *ret)
{
	unsigned char *body = seg->base + seg->hdr.body_off;
	struct shmipc_queue_hdr h;
	int err;

	if (seg->hdr.kind != SHMIPC_KIND_QUEUE)
		return shmipc_differs_kind(&seg->hdr, name, SHMIPC_KIND_QUEUE);
	memcpy(&h, body, sizeof(h));	/* read once */
	shmipc_compiler_barrier();
	h.sides = seg->sides;		/* these were checked */
	err = shmipc_cells_check(body, &h, ret);
	if (!err && (h.dead[SHMIPC_NAME_MAX] || (h.dead[0] && !h.deliveries)))
		err = -EPROTO;
	/* Its creator may have left out the pages of the tails. */
	if (!err)
		err = seg->be->see((struct shmipc_segment *)(uintptr_t)seg,
				   seg->hdr.body_off + h.sides.prod_off,
				   h.sides.producers * sizeof(struct shmipc_queue_tails));
	if (err == -EFAULT)
		err = -EPROTO;
	if (err)
		return shmipc_access_refused(name, "queue", err);
	if (ret_hdr)
		*ret_hdr = h;
	return 0;
}

static int dead_differs(const struct shmipc_segment *seg, const char *asked, const char *is)
{
	struct shmipc_text a = { "" }, b = { "" };

	if (!asked || !strcmp(asked, is))
		return 0;
	(void)snprintf(a.s, sizeof(a.s), "%.150s", asked);
	(void)snprintf(b.s, sizeof(b.s), "%.150s", *is ? is : "none");
	return shmipc_differs(&seg->hdr, NULL, "dead", a, b);
}

static int fits(const struct shmipc_segment *seg, const struct shmipc_queue_opts *o,
		const struct shmipc_cells *q, const char *dead)
{
	int err = differs(seg, "producers", o->producers, q->producers);

	if (!err)
		err = differs(seg, "consumers", o->consumers, q->consumers);
	if (!err)
		err = differs(seg, "depth", o->depth, q->depth);
	if (!err)
		err = differs(seg, "levels", o->levels, q->levels);
	if (!err)
		err = differs(seg, "item_bytes", o->item_bytes, q->item_bytes);
	if (!err)
		err = differs(seg, "deliveries", o->deliveries, q->deliveries);
	if (!err)
		err = dead_differs(seg, o->dead, dead);
	return err ? err : delivery_differs(seg, o->delivery, q->acked);
}

static int plan(struct shmipc_queue_hdr *h, const struct shmipc_queue_opts *o)
{
	h->sides.producers = o->producers ? o->producers : ENDS_DEFAULT;
	h->sides.readers = o->consumers ? o->consumers : ENDS_DEFAULT;
	h->depth = o->depth ? o->depth : DEPTH_DEFAULT;
	h->levels = o->levels ? o->levels : 1;
	h->item_bytes = o->item_bytes ? o->item_bytes : QUEUE_ITEM_DEFAULT;
	h->deliveries = o->deliveries;
	if (o->dead)	/* its length was checked */
		memcpy(h->dead, o->dead, strlen(o->dead));
	if (o->delivery != SHMIPC_QUEUE_AT_MOST_ONCE)
		h->flags |= SHMIPC_QUEUE_ACKED;
	if (shmipc_cells_layout(h))	/* the other limits were checked */
		return bad("size of all places", h->sides.prod_bytes,
			   "the most is 4 TiB; ask for fewer producers, a smaller depth or smaller items");
	return 0;
}

int shmipc_queue_open(struct shmipc_segment **ret, const char *name,
		      const struct shmipc_queue_opts *opts, struct shmipc_cells *ret_cells,
		      struct shmipc_queue_dead *ret_dead)
{
	struct shmipc_segment_opts so;
	struct shmipc_queue_opts o;
	struct shmipc_queue_hdr h;
	struct shmipc_sides sides;
	int err = opts_read(&o, &so, name, opts);

	if (err)
		return err;
	memset(&sides, 0, sizeof(sides));
	_Static_assert(sizeof(struct shmipc_queue_hdr) <= sizeof(sides), "the kind's fields have room");
	err = plan((struct shmipc_queue_hdr *)(void *)&sides, &o);
	if (!err)
		err = shmipc_segment_open_sides(ret, name, &so, &sides);
	if (err)
		return err;
	err = shmipc_queue_check(*ret, name, &h, ret_cells);
	if (!err)
		err = fits(*ret, &o, ret_cells, h.dead);
	if (err) {
		shmipc_segment_close(*ret);
		return err;
	}
	if (ret_dead) {
		memcpy(ret_dead->name, h.dead, sizeof(ret_dead->name));
		ret_dead->flags = o.flags & (SHMIPC_OWNED_BY | SHMIPC_OWNED_BY_ANY);
		ret_dead->owner = o.owner;
	}
	return 0;
}
