// SPDX-License-Identifier: MIT
/* segment_look.c - properties and positions of a segment, without becoming a peer */
#include <errno.h>
#include <string.h>

#include <shmipc/bcast.h>

#include "segment/backend.h"
#include "segment/body.h"
#include "segment/page.h"

static void read_info(const struct shmipc_segment *seg, struct shmipc_segment_info *ret)
{
	const struct shmipc_seg_hdr *h = &seg->hdr;

	ret->backend = seg->be->name;
	memcpy(ret->name, h->name, sizeof(ret->name));
	memcpy(ret->id, h->id, sizeof(ret->id));
	ret->kind = h->kind;
	ret->flags = h->flags;
	if (seg->be->unnamed && seg->be->unnamed(seg))
		ret->flags |= SHMIPC_SEG_UNNAMED;
	ret->caps = seg->be->caps | shmipc_wait_caps();
	if (h->flags & SHMIPC_SEG_ANON)
		ret->caps |= SHMIPC_CAP_NO_TRUNCATE;
	/* A keeper's word cannot be mapped in parts of a huge page. */
	if (ret->caps & SHMIPC_CAP_WAITV && !shmipc_keeper_refused() && !shmipc_pages_of_fs(seg->fd))
		ret->caps |= SHMIPC_CAP_DEATH_WAKES;
	ret->peers = h->peers;
	ret->total_bytes = h->total_bytes;
	ret->data_bytes = h->data_bytes;
	ret->page_asked = h->page_asked;
	ret->page_got = h->page_got;
	ret->node_asked = h->node_asked;
	ret->node_got = h->node_got;
	ret->mode = h->mode;
	ret->uid = h->uid;
	ret->gid = h->gid;
	ret->align = shmipc_kind_is_ring(h->kind) ? seg->ring.align : 0;
	if (h->kind == SHMIPC_KIND_TOPIC)
		ret->align = seg->log.hdr.align;
	ret->meta_bytes = shmipc_kind_is_ring(h->kind) ? seg->ring.meta_bytes : 0;
	ret->created_ns = h->created_ns;
	if (seg->be->used((struct shmipc_segment *)(uintptr_t)seg, &ret->memory_bytes))
		ret->memory_bytes = 0;
	if (seg->be->huge && ret->memory_bytes >= SHMIPC_PAGE_2M)
		ret->huge_bytes = seg->be->huge((struct shmipc_segment *)(uintptr_t)seg);
	memset(ret->reserved0, 0, sizeof(ret->reserved0));
}

SHMIPC_EXPORT int shmipc_segment_get_info(const struct shmipc_segment *seg,
					  struct shmipc_segment_info *ret)
{
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	int err;

	if (!seg || !ret)
		return shmipc_null(__func__, "seg or ret");
	err = shmipc_sized_check(ret, sizeof(info), "segment info");
	if (err || seg->dead)
		return -EINVAL;
	read_info(seg, &info);
	shmipc_sized_write(ret, &info, sizeof(info));
	return 0;
}

/* Positions of the ring that can be read without joining. */
static void look_at_ring(struct shmipc_segment *seg, struct shmipc_segment_stat *st)
{
	struct shmipc_bcast_rx rx;
	uint64_t word;

	if (seg->hdr.kind == SHMIPC_KIND_TOPIC) {
		st->tail_seq = shmipc_tlog_tail(&seg->log);
		st->head_seq = shmipc_load_relaxed(&seg->log.pub->floor);
	}
	if (!shmipc_kind_is_ring(seg->hdr.kind))
		return;
	if (!shmipc_cursor_read(&seg->ring.prod->tail, &word, &st->tail_seq))
		st->tail_pos = shmipc_cursor_pos(word);
	if (seg->hdr.kind == SHMIPC_KIND_SPSC) {
		if (!shmipc_cursor_read(&seg->ring.cons->head, &word, &st->head_seq))
			st->head_pos = shmipc_cursor_pos(word);
	} else if (!shmipc_bcast_rx_init(&rx, &seg->ring, SHMIPC_START_OLDEST, 1, 0)) {
		st->head_pos = rx.pos;
		st->head_seq = rx.seq;
	}
}

int shmipc_segment_look_begin(const char *name, int *ret_in_use, struct shmipc_segment **ret)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	int err = be ? shmipc_name_read(name) : shmipc_no_backend();

	if (err)
		return err;
	*ret = shmipc_segment_new(be);
	if (!*ret)
		return -ENOMEM;
	shmipc_fork_hold();
	err = be->look(*ret, name, ret_in_use);
	if (!err)
		return 0;
	shmipc_segment_free(*ret);
	shmipc_fork_release();
	return err;
}

void shmipc_segment_look_done(struct shmipc_segment *seg)
{
	seg->hdr.name[0] = 0;	/* looking never removes */
	seg->be->close(seg);
	shmipc_segment_free(seg);
	shmipc_fork_release();
}

static int look(const char *name, struct shmipc_segment_stat *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *seg;
	struct shmipc_peer_info peer;
	uint32_t slot;
	int err;

	if (!ret || (!ret->peer && ret->peer_cap))
		return shmipc_null("shmipc_segment_look", "ret, or its peer with a peer_cap,");
	err = shmipc_segment_look_begin(name, &ret->in_use, &seg);
	if (err)
		return err;
	ret->info.struct_bytes = sizeof(ret->info);
	ret->tail_pos = ret->tail_seq = ret->head_pos = ret->head_seq = 0;
	memset(ret->reserved0, 0, sizeof(ret->reserved0));
	read_info(seg, &ret->info);
	look_at_ring(seg, ret);
	ret->npeers = 0;
	for (slot = 0; slot < seg->hdr.peers; slot++) {
		shmipc_slot_info(seg, slot, &peer);
		if (peer.state == SHMIPC_PEER_NONE)
			continue;
		if (ret->npeers < ret->peer_cap)
			ret->peer[ret->npeers] = peer;
		ret->npeers++;
	}
	shmipc_segment_look_done(seg);
	return 0;
}

SHMIPC_EXPORT int shmipc_segment_look(const char *name, struct shmipc_segment_stat *ret)
{
	return SHMIPC_TOLD(look(name, ret));
}

static int deaths(const char *name, struct shmipc_deaths *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_deaths d = { .struct_bytes = sizeof(d) };
	struct shmipc_segment *seg;
	int in_use, err;

	if (!ret)
		return shmipc_null("shmipc_segment_deaths", "ret");
	err = shmipc_sized_read(&d, sizeof(d), ret, "segment deaths");
	if (err)
		return err;
	if (!d.death && d.death_cap)
		return shmipc_null("shmipc_segment_deaths", "death with a death_cap");
	err = shmipc_segment_look_begin(name, &in_use, &seg);
	if (err)
		return err;
	if (seg->be->deaths)
		err = seg->be->deaths(seg, &d);
	else
		err = shmipc_fail(-EOPNOTSUPP, "shmipc: deaths of \"%s\": the backend %s keeps no receipts, the kernel module does (EOPNOTSUPP); see SHMIPC_BACKEND in shmipc(7)",
				  name, seg->be->name);
	shmipc_segment_look_done(seg);
	if (!err)
		shmipc_sized_write(ret, &d, sizeof(d));
	return err;
}

SHMIPC_EXPORT int shmipc_segment_deaths(const char *name, struct shmipc_deaths *ret)
{
	return SHMIPC_TOLD(deaths(name, ret));
}
