// SPDX-License-Identifier: MIT
/* options.c - from the user's options to the header of a segment, and back */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "segment/backend.h"
#include "segment/body.h"
#include "segment/page.h"

#define PEERS_DEFAULT		64u

/* Take a private copy of the user's options, from any version of the struct. */
int shmipc_opts_read(struct shmipc_segment_opts *o, const struct shmipc_segment_opts *user)
{
	static const uint32_t known = SHMIPC_CREATE | SHMIPC_EXCL | SHMIPC_PERSIST |
				      SHMIPC_ON_NODE | SHMIPC_CHOWN | SHMIPC_POPULATE | SHMIPC_CHGRP |
				      SHMIPC_OWNED_BY | SHMIPC_OWNED_BY_ANY;
	int err;

	memset(o, 0, sizeof(*o));
	if (!user)
		return 0;
	err = shmipc_sized_read(o, sizeof(*o), user, "segment options");
	if (err)
		return err;
	if (o->flags & ~known)
		return shmipc_fail(-EINVAL, "shmipc: segment options: unknown flags %#x (EINVAL)",
				   o->flags & ~known);
	if (o->kind && !shmipc_kind_is_known(o->kind))
		return shmipc_fail(-EINVAL, "shmipc: segment options: kind %u is unknown; expected SHMIPC_KIND_RAW, SPSC, BCAST, TOPIC, EVENT, DEADMAN, LOCK or ANY (EINVAL)",
				   o->kind);
	if (o->page && o->page != SHMIPC_PAGE_4K && o->page != SHMIPC_PAGE_2M &&
	    o->page != SHMIPC_PAGE_1G)
		return shmipc_fail(-EINVAL, "shmipc: segment options: page is %s; expected 4K, 2M, 1G, or 0 for auto (EINVAL)",
				   shmipc_text_bytes(o->page).s);
	if (o->align && !shmipc_priv_align_ok(o->align))
		return shmipc_fail(-EINVAL, "shmipc: segment options: align is %u; expected 8, 16, 32 or 64 (EINVAL)",
				   o->align);
	if (o->bytes > SHMIPC_RING_SIZE_MAX && o->kind != SHMIPC_KIND_RAW)
		return shmipc_fail(-EINVAL, "shmipc: segment options: the size of a ring is %s; the largest is 4G (EINVAL)",
				   shmipc_text_bytes(o->bytes).s);
	if (o->bytes > UINT64_C(1) << 46)
		return shmipc_fail(-EINVAL, "shmipc: segment options: size is %s; the largest is 64T (EINVAL)",
				   shmipc_text_bytes(o->bytes).s);
	if (o->peers > SHMIPC_PEERS_MAX)
		return shmipc_fail(-EINVAL, "shmipc: segment options: peers is %u; the most is %u (EINVAL)",
				   o->peers, SHMIPC_PEERS_MAX);
	if (o->meta_bytes > UINT64_C(1) << 30)
		return shmipc_fail(-EINVAL, "shmipc: segment options: metadata is %s; the most is 1G (EINVAL)",
				   shmipc_text_bytes(o->meta_bytes).s);
	if (o->mode & ~07777u)
		return shmipc_fail(-EINVAL, "shmipc: segment options: mode is %#o; it has bits other than permissions (EINVAL)",
				   o->mode);
	if (o->flags & SHMIPC_ON_NODE && o->node < 0)
		return shmipc_fail(-EINVAL, "shmipc: segment options: node is %d; it must not be negative (EINVAL)", o->node);
	if (o->reserved0)
		return shmipc_fail(-EINVAL, "shmipc: segment options: reserved0 is %u; it must be 0 (EINVAL)", o->reserved0);
	return shmipc_owner_opts(o);
}

static int fail_call(const char *call, const char *name)
{
	int err = shmipc_sys(call);

	return shmipc_fail(err, "shmipc: create \"%s\": %s%s", name ? name : "",
			   shmipc_cause(err).s, shmipc_advice(err));
}

/* The same for one without a name: no other user can have made it, or its descriptor says. */
int shmipc_opts_read_unnamed(struct shmipc_segment_opts *o, const struct shmipc_segment_opts *user)
{
	int err = shmipc_opts_read(o, user);

	if (!err && o->flags & SHMIPC_OWNED_BY)
		return shmipc_fail(-EINVAL, "shmipc: segment options: flags have OWNED_BY, which is for names (EINVAL); the process that sends a descriptor is trusted");
	return err;
}

/**
 * shmipc_opts_plan - the header of a new segment, as far as the options determine it
 * @h:     filled in; the memory obtained is added later
 * @b:     what follows the peer table
 * @o:     checked options
 * @making: for kinds that are made by functions of their own; NULL: none of those
 * @name:  or NULL
 * @pages: the kind of memory; determines where the data begin
 *
 * Return: 0, -EINVAL with a text.
 */
int shmipc_opts_plan(struct shmipc_seg_hdr *h, struct shmipc_body *b,
		     const struct shmipc_segment_opts *o, const struct shmipc_making *making,
		     const char *name, const struct shmipc_pages *pages)
{
	const struct shmipc_tlog_opts *log = making ? making->log : NULL;
	const struct shmipc_sides *sides = making ? making->sides : NULL;
	const char *lack = NULL;
	int ret;

	memset(h, 0, sizeof(*h));
	if (!o->kind)
		lack = "the options do not set the kind";
	else if (o->kind == SHMIPC_KIND_RAW && !o->bytes)
		lack = "a raw segment needs its number of bytes";
	else if (o->kind == SHMIPC_KIND_TOPIC && !log)
		lack = "a topic is made by shmipc_pub_open() or shmipc_sub_open()";
	else if (o->kind == SHMIPC_KIND_EVENT && !sides)
		lack = "events are made by shmipc_notifier_open() or shmipc_listener_open()";
	else if (o->kind == SHMIPC_KIND_QUEUE && !sides)
		lack = "a queue is made by shmipc_push_open() or shmipc_pop_open()";
	else if (o->kind == SHMIPC_KIND_DEADMAN && !sides)
		lack = "a deadman is made by shmipc_deadman_open()";
	else if (o->kind == SHMIPC_KIND_LOCK && !sides)
		lack = "a lock is made by shmipc_lock_open()";
	if (lack)
		return shmipc_fail(-EINVAL, "shmipc: create \"%s\": %s (EINVAL)", name ? name : "",
				   lack);
	h->magic = SHMIPC_SEG_MAGIC;
	h->layout_major = SHMIPC_LAYOUT_MAJOR;
	h->layout_minor = SHMIPC_LAYOUT_MINOR;
	h->hdr_bytes = sizeof(*h);
	h->kind = o->kind;
	h->flags = o->flags & SHMIPC_PERSIST ? SHMIPC_SEG_PERSISTENT : 0;
	h->peers = o->peers ? o->peers : o->kind == SHMIPC_KIND_SPSC ? 2 : PEERS_DEFAULT;
	if (o->kind == SHMIPC_KIND_TOPIC) {
		h->peers = log->pubs + log->subs;
		b->log = *log;
	} else if (shmipc_kind_has_sides(o->kind)) {
		h->peers = sides->hdr.producers + sides->hdr.readers;
		b->sides = *sides;
	}
	if (h->peers < 2)
		h->peers = 2;
	h->peer_bytes = sizeof(struct shmipc_peer_slot);
	h->peers_off = SHMIPC_CTL_PAGE;
	h->body_off = h->peers_off +
		shmipc_priv_round_up((uint64_t)h->peers * h->peer_bytes, SHMIPC_CTL_PAGE);
	ret = shmipc_body_plan(b, h, o, name, pages);
	if (ret)
		return ret;
	h->total_bytes = h->data_off + h->data_bytes;
	h->page_asked = o->page;
	h->node_asked = o->flags & SHMIPC_ON_NODE ? o->node : -1;
	h->node_got = -1;
	h->mode = shmipc_owner_mode(o);
	h->uid = o->flags & SHMIPC_CHOWN ? o->uid : (uint32_t)geteuid();
	h->gid = shmipc_owner_new_gid(o);
	h->created_ns = shmipc_realtime_ns();
	if (getrandom(h->id, sizeof(h->id), 0) != (ssize_t)sizeof(h->id))
		return fail_call("getrandom", name);
	if (name)
		(void)snprintf(h->name, sizeof(h->name), "%s", name);
	return 0;
}

/* A page size or a node that the creator did not ask for. */
static struct shmipc_text page_text(uint64_t bytes)
{
	return bytes ? shmipc_text_bytes(bytes) : (struct shmipc_text){ "auto" };
}

static struct shmipc_text node_text(int32_t node)
{
	return node >= 0 ? shmipc_text_number((uint32_t)node) : (struct shmipc_text){ "any" };
}

static struct shmipc_text owner_text(uint32_t uid, uint32_t gid)
{
	struct shmipc_text t;

	(void)snprintf(t.s, sizeof(t.s), "user %u and group %u", uid, gid);
	return t;
}

/* Do the user's options match those at creation, as to what it holds? */
static int match_body(const struct shmipc_segment_opts *o, const struct shmipc_seg_hdr *h,
		      const struct shmipc_ring *ring, const char *name)
{
	uint64_t bytes = SHMIPC_RING_SIZE_MIN;

	if (shmipc_kind_is_ring(h->kind))
		while (bytes < o->bytes)
			bytes *= 2;
	else
		bytes = shmipc_priv_round_up(o->bytes, SHMIPC_CTL_PAGE);
	if (o->bytes && bytes != h->data_bytes)
		return shmipc_differs(h, name, "size", shmipc_text_bytes(o->bytes),
				      shmipc_text_bytes(h->data_bytes));
	if (!shmipc_kind_is_ring(h->kind))
		return 0;
	if (o->align && o->align != ring->align)
		return shmipc_differs(h, name, "align", shmipc_text_number(o->align),
				      shmipc_text_number(ring->align));
	if (o->meta_bytes && o->meta_bytes != ring->meta_bytes)
		return shmipc_differs(h, name, "metadata", shmipc_text_bytes(o->meta_bytes),
				      shmipc_text_bytes(ring->meta_bytes));
	return 0;
}

int shmipc_opts_match(const struct shmipc_segment_opts *o, const struct shmipc_seg_hdr *h,
		      const struct shmipc_ring *ring, const char *name)
{
	int err;

	if (o->kind && o->kind != h->kind)
		return shmipc_differs_kind(h, name, o->kind);
	err = match_body(o, h, ring, name);
	if (err)
		return err;
	if (o->peers && o->peers != h->peers)
		return shmipc_differs(h, name, "peers", shmipc_text_number(o->peers),
				      shmipc_text_number(h->peers));
	if (o->page && o->page != h->page_asked)
		return shmipc_differs(h, name, "page", page_text(o->page), page_text(h->page_asked));
	if (o->flags & SHMIPC_ON_NODE && o->node != h->node_asked)
		return shmipc_differs(h, name, "node", node_text(o->node), node_text(h->node_asked));
	if (o->mode && o->mode != h->mode)
		return shmipc_differs(h, name, "mode", shmipc_text_mode(o->mode),
				      shmipc_text_mode(h->mode));
	if (o->flags & SHMIPC_CHOWN && (o->uid != h->uid || o->gid != h->gid))
		return shmipc_differs(h, name, "owner", owner_text(o->uid, o->gid),
				      owner_text(h->uid, h->gid));
	if (o->flags & SHMIPC_CHGRP && o->gid != h->gid)
		return shmipc_differs(h, name, "group", shmipc_text_number(o->gid),
				      shmipc_text_number(h->gid));
	if (o->flags & SHMIPC_PERSIST && !(h->flags & SHMIPC_SEG_PERSISTENT))
		return shmipc_differs(h, name, "persist", (struct shmipc_text){ "yes" },
				      (struct shmipc_text){ "no" });
	return 0;
}
