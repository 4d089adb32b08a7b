// SPDX-License-Identifier: MIT
/* segment.c - segments as users see them, on whatever backend there is */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <shmipc/bcast.h>

#include "segment/backend.h"
#include "segment/body.h"

#define OPEN_TRIES	200

struct shmipc_segment *shmipc_segment_new(const struct shmipc_backend *be)
{
	struct shmipc_segment *seg = calloc(1, sizeof(*seg));

	if (!seg) {
		(void)shmipc_fail(-ENOMEM, "shmipc: no memory for a handle (ENOMEM)");
		return NULL;
	}
	seg->be = be;
	seg->fd = -1;
	shmipc_fork_add(seg);
	return seg;
}

void shmipc_segment_free(struct shmipc_segment *seg)
{
	shmipc_fork_del(seg);
	free(seg);
}

/* Write header and body of a new segment; all its memory is zero. */
void shmipc_segment_fill(unsigned char *base, const struct shmipc_seg_hdr *h,
			 const struct shmipc_body *b)
{
	shmipc_body_init(base + h->body_off, h, b);
	memcpy(base, h, sizeof(*h));
}

/* Take private copies of what the segment says of itself, and check them. */
int shmipc_segment_read(struct shmipc_segment *seg, const char *name)
{
	int ret;

	memcpy(&seg->hdr, seg->base, sizeof(seg->hdr));	/* once */
	shmipc_compiler_barrier();	/* and the compiler does not read it again */
	ret = shmipc_hdr_check(&seg->hdr, seg->bytes, name);
	return ret ? ret : shmipc_body_read(seg, name);
}

struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, uint32_t slot)
{
	return (struct shmipc_peer_slot *)(void *)(seg->base + seg->hdr.peers_off +
						   (size_t)slot * sizeof(struct shmipc_peer_slot));
}

static int check_name(const char *name)
{
	const char *reason;

	if (!shmipc_name_check(name, &reason))
		return 0;
	return shmipc_fail(-EINVAL, "shmipc: \"%.210s\" is no name of a segment: %s (EINVAL)",
			   name ? name : "", reason);
}

/* Open it, or make it, or open what another made at the same moment. */
static int open_or_create(struct shmipc_segment *seg, const char *name,
			  const struct shmipc_segment_opts *o, bool *ret_made)
{
	bool create = o->flags & SHMIPC_CREATE;
	int ret = -EBUSY, tries;

	*ret_made = false;
	for (tries = 0; tries < OPEN_TRIES; tries++) {
		ret = seg->be->open(seg, name);
		if (!ret && create && o->flags & SHMIPC_EXCL) {
			seg->be->close(seg);
			seg->fd = -1;
			seg->base = NULL;
			return shmipc_fail(-EEXIST, "shmipc: create \"%s\": it is there already (EEXIST); remove it, or open it",
					   name);
		}
		if (ret != -ENOENT || !create)
			return ret;
		ret = seg->be->create(seg, name, o);
		if (ret != -EEXIST) {
			*ret_made = !ret;
			return ret;
		}
	}
	return ret;
}

SHMIPC_EXPORT int shmipc_segment_open(struct shmipc_segment **ret, const char *name,
				      const struct shmipc_segment_opts *opts)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	bool made;
	int err = be ? check_name(name) : -EINVAL;

	if (!err)
		err = shmipc_opts_read(&o, opts);
	if (err)
		return err;
	if (o.flags & SHMIPC_EXCL && !(o.flags & SHMIPC_CREATE))
		return shmipc_fail(-EINVAL, "shmipc: open \"%s\": SHMIPC_EXCL without SHMIPC_CREATE (EINVAL)",
				   name);
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	err = open_or_create(seg, name, &o, &made);
	if (err) {
		shmipc_segment_free(seg);
		return err;
	}
	if (!made)
		err = shmipc_opts_match(&o, &seg->hdr, &seg->ring, name);
	if (err) {
		shmipc_segment_close(seg);
		return err;
	}
	*ret = seg;
	return 0;
}

SHMIPC_EXPORT int shmipc_segment_private(struct shmipc_segment **ret,
					 const struct shmipc_segment_opts *opts)
{
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	int err = shmipc_opts_read(&o, opts);

	if (err)
		return err;
	seg = shmipc_segment_new(&shmipc_private);
	if (!seg)
		return -ENOMEM;
	err = shmipc_private_create(seg, &o);
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

SHMIPC_EXPORT int shmipc_segment_anon(struct shmipc_segment **ret,
				      const struct shmipc_segment_opts *opts)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	int err = be ? shmipc_opts_read(&o, opts) : -EINVAL;

	if (err)
		return err;
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	err = be->anon(seg, &o);
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

SHMIPC_EXPORT int shmipc_segment_from_fd(struct shmipc_segment **ret, int fd,
					 const struct shmipc_segment_opts *opts)
{
	struct shmipc_segment_opts o;
	struct shmipc_segment *seg;
	int err = shmipc_opts_read(&o, opts);

	if (err)
		return err;
	seg = shmipc_segment_new(shmipc_backend_of_fd(fd));
	if (!seg)
		return -ENOMEM;
	err = seg->be->from_fd(seg, fd);
	if (err) {
		shmipc_segment_free(seg);
		return err;
	}
	err = shmipc_opts_match(&o, &seg->hdr, &seg->ring, NULL);
	if (err)
		shmipc_segment_close(seg);
	else
		*ret = seg;
	return err;
}

int shmipc_segment_dup(struct shmipc_segment **ret, struct shmipc_segment *from)
{
	struct shmipc_segment *seg;
	int err;

	if (from->dead)
		return shmipc_fail(-EINVAL, "shmipc: a handle inherited through fork (EINVAL); open the segment again in the child");
	seg = shmipc_segment_new(from->be);
	if (!seg)
		return -ENOMEM;
	err = from->be->dup(seg, from);
	if (err)
		shmipc_segment_free(seg);
	else
		*ret = seg;
	return err;
}

SHMIPC_EXPORT void shmipc_segment_close(struct shmipc_segment *seg)
{
	if (!seg)
		return;
	if (!seg->dead)
		seg->be->close(seg);
	else if (!seg->mem && seg->base)
		(void)munmap(seg->base, seg->bytes);
	shmipc_segment_free(seg);
}

SHMIPC_EXPORT int shmipc_segment_fd(const struct shmipc_segment *seg)
{
	if (seg->dead)
		return -EINVAL;
	return seg->hdr.flags & SHMIPC_SEG_ANON ? seg->fd : -EOPNOTSUPP;
}

SHMIPC_EXPORT int shmipc_segment_unlink(const char *name)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	int err = be ? check_name(name) : -EINVAL;

	return err ? err : be->unlink(name);
}

SHMIPC_EXPORT void *shmipc_segment_data(const struct shmipc_segment *seg, size_t *ret_bytes)
{
	bool raw = seg->hdr.kind == SHMIPC_KIND_RAW && !seg->dead;

	if (ret_bytes)
		*ret_bytes = raw ? seg->hdr.data_bytes : 0;
	return raw ? seg->base + seg->hdr.data_off : NULL;
}

static void read_info(const struct shmipc_segment *seg, struct shmipc_segment_info *ret)
{
	const struct shmipc_seg_hdr *h = &seg->hdr;

	ret->backend = seg->be->name;
	memcpy(ret->name, h->name, sizeof(ret->name));
	memcpy(ret->id, h->id, sizeof(ret->id));
	ret->kind = h->kind;
	ret->flags = h->flags;
	ret->caps = seg->be->caps | shmipc_wait_caps();
	if (h->flags & SHMIPC_SEG_ANON)
		ret->caps |= SHMIPC_CAP_NO_TRUNCATE;
	/* A keeper's word cannot be mapped in parts of a huge page. */
	if (ret->caps & SHMIPC_CAP_WAITV && !shmipc_pages_of_fs(seg->fd))
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
}

SHMIPC_EXPORT int shmipc_segment_get_info(const struct shmipc_segment *seg,
					  struct shmipc_segment_info *ret)
{
	if (ret->struct_bytes != sizeof(*ret) || seg->dead)
		return -EINVAL;
	read_info(seg, ret);
	return 0;
}

/* Positions of the ring, as far as they can be read without joining. */
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

SHMIPC_EXPORT int shmipc_segment_look(const char *name, struct shmipc_segment_stat *ret)
{
	const struct shmipc_backend *be = shmipc_backend_named();
	struct shmipc_segment *seg;
	struct shmipc_peer_info peer;
	uint32_t slot;
	int err = be ? check_name(name) : -EINVAL;

	if (err)
		return err;
	seg = shmipc_segment_new(be);
	if (!seg)
		return -ENOMEM;
	err = seg->be->look(seg, name, &ret->in_use);
	if (err)
		goto out;
	ret->info.struct_bytes = sizeof(ret->info);
	ret->tail_pos = ret->tail_seq = ret->head_pos = ret->head_seq = 0;
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
	seg->hdr.name[0] = 0;	/* looking never removes */
	seg->be->close(seg);
out:
	shmipc_segment_free(seg);
	return err;
}

SHMIPC_EXPORT int shmipc_segment_each(int (*fn)(const char *name, void *arg), void *arg)
{
	const struct shmipc_backend *be = shmipc_backend_named();

	return be ? be->each(fn, arg) : -EINVAL;
}

struct gc {
	const struct shmipc_backend *be;
	void (*fn)(const char *name, int err, void *arg);
	void *arg;
	int removed;
};

static int gc_one(const char *name, void *arg)
{
	struct gc *gc = arg;
	int err = gc->be->reap(name);

	if (err == -EBUSY || err == -ENOENT)
		return 0;
	if (!err)
		gc->removed++;
	if (gc->fn)
		gc->fn(name, err, gc->arg);
	return 0;
}

SHMIPC_EXPORT int shmipc_segment_gc(void (*fn)(const char *name, int err, void *arg), void *arg)
{
	struct gc gc = { .be = shmipc_backend_named(), .fn = fn, .arg = arg };
	int err = gc.be ? gc.be->each(gc_one, &gc) : -EINVAL;

	if (gc.be && gc.be->sweep)
		gc.be->sweep();
	return err ? err : gc.removed;
}
