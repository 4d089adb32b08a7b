// SPDX-License-Identifier: MIT
/* body.c - the contents of a segment: bytes, a ring, or the log of a topic */
#include <errno.h>

#include <linux/shmipc_queue.h>

#include "segment/backend.h"
#include "segment/body.h"
#include "segment/page.h"

#define RING_BYTES_DEFAULT	(UINT64_C(1) << 20)

bool shmipc_kind_is_ring(uint32_t kind)
{
	return kind == SHMIPC_KIND_SPSC || kind == SHMIPC_KIND_BCAST;
}

bool shmipc_kind_has_sides(uint32_t kind)
{
	return kind == SHMIPC_KIND_EVENT || kind == SHMIPC_KIND_DEADMAN ||
	       kind == SHMIPC_KIND_LOCK || kind == SHMIPC_KIND_QUEUE;
}

bool shmipc_kind_is_lazy(uint32_t kind)
{
	return kind == SHMIPC_KIND_TOPIC || kind == SHMIPC_KIND_QUEUE;
}

bool shmipc_kind_is_known(uint32_t kind)
{
	return kind == SHMIPC_KIND_RAW || kind == SHMIPC_KIND_TOPIC || shmipc_kind_is_ring(kind) ||
	       shmipc_kind_has_sides(kind);
}

static int plan_ring(struct shmipc_body *b, struct shmipc_seg_hdr *h,
		     const struct shmipc_segment_opts *o, const char *name,
		     const struct shmipc_pages *pages)
{
	struct shmipc_ring_opts ro = { .kind = o->kind, .align = o->align,
				       .size = o->bytes ? o->bytes : RING_BYTES_DEFAULT,
				       .meta_bytes = o->meta_bytes };
	uint64_t need, align;

	if (shmipc_ring_layout(&ro, &b->ring, &need))
		return shmipc_fail(-EINVAL, "shmipc: create \"%s\": invalid ring options (EINVAL)",
				   name ? name : "");
	h->data_bytes = b->ring.size;
	align = shmipc_pages_data_align(pages, h->data_bytes);
	h->data_off = shmipc_priv_round_up(h->body_off + b->ring.data_off, align);
	b->ring.data_off = h->data_off - h->body_off;
	b->ctl_bytes = b->ring.meta_off + b->ring.meta_bytes + 2 * SHMIPC_CTL_PAGE;
	b->init_bytes = (b->ring.cons_off ? b->ring.cons_off : b->ring.wait_off) + SHMIPC_CTL_PAGE;
	return 0;
}

/* The pages of a topic before its data, without the padding that aligns the data. */
static uint64_t log_ctl_bytes(const struct shmipc_topic_hdr *t)
{
	uint64_t end = t->sub_off + sizeof(struct shmipc_sub_ctl) +
		       SHMIPC_TOPIC_GROUPS * sizeof(struct shmipc_group_line) +
		       t->subs * shmipc_tlog_sub_stride(t->holds);

	return shmipc_priv_round_up(end, SHMIPC_CTL_PAGE);
}

static int plan_log(struct shmipc_body *b, struct shmipc_seg_hdr *h, const char *name,
		    const struct shmipc_pages *pages)
{
	uint64_t need, align;

	b->log.data_off = 0;
	if (shmipc_tlog_layout(&b->log, &b->topic, &need))
		return shmipc_fail(-EINVAL, "shmipc: create \"%s\": invalid topic options (EINVAL)",
				   name ? name : "");
	h->data_bytes = need - b->topic.data_off;
	align = shmipc_pages_data_align(pages, h->data_bytes);
	h->data_off = shmipc_priv_round_up(h->body_off + b->topic.data_off, align);
	b->log.data_off = h->data_off - h->body_off;
	if (shmipc_tlog_layout(&b->log, &b->topic, &need))
		return shmipc_fail(-EINVAL, "shmipc: create \"%s\": the topic would be too large (EINVAL)",
				   name ? name : "");
	h->data_bytes = need - b->topic.data_off;
	b->ctl_bytes = b->init_bytes = log_ctl_bytes(&b->topic);
	if (!pages->lazy) {
		h->flags |= SHMIPC_SEG_WHOLE;
		return 0;
	}
	b->ctl_bytes = shmipc_tlog_ctl_bytes(&b->topic);
	b->log.backed = shmipc_tlog_first(&b->topic);
	b->first_bytes = shmipc_priv_round_up(shmipc_tlog_entries_bytes(&b->topic, b->log.backed),
					      SHMIPC_CTL_PAGE);
	return 0;
}

static int plan_raw(struct shmipc_seg_hdr *h, const struct shmipc_segment_opts *o,
		    const struct shmipc_pages *pages)
{
	h->data_bytes = shmipc_priv_round_up(o->bytes, SHMIPC_CTL_PAGE);
	h->data_off = shmipc_priv_round_up(h->body_off,
					   shmipc_pages_data_align(pages, h->data_bytes));
	return 0;
}

/* The first page, the readers' pages, and as the data those of the producers. */
static int plan_sides(struct shmipc_body *b, struct shmipc_seg_hdr *h,
		      const struct shmipc_pages *pages)
{
	struct shmipc_sides_hdr *s = &b->sides.hdr;

	h->data_bytes = s->prod_bytes;
	s->read_off = SHMIPC_CTL_PAGE;
	b->ctl_bytes = b->init_bytes = s->read_off + s->read_bytes;
	h->data_off = shmipc_priv_round_up(h->body_off + b->ctl_bytes,
					   shmipc_pages_data_align(pages, h->data_bytes));
	s->prod_off = h->data_off - h->body_off;
	/* Of a queue the tails at first; its cells get memory as they are used. */
	if (h->kind == SHMIPC_KIND_QUEUE && pages->lazy)
		b->first_bytes = shmipc_priv_round_up(s->producers * sizeof(struct shmipc_queue_tails),
						      SHMIPC_CTL_PAGE);
	return 0;
}

int shmipc_body_plan(struct shmipc_body *b, struct shmipc_seg_hdr *h,
		     const struct shmipc_segment_opts *o, const char *name,
		     const struct shmipc_pages *pages)
{
	b->ctl_bytes = b->init_bytes = b->first_bytes = 0;
	switch (o->kind) {
	case SHMIPC_KIND_RAW:
		return plan_raw(h, o, pages);
	case SHMIPC_KIND_TOPIC:
		return plan_log(b, h, name, pages);
	case SHMIPC_KIND_EVENT:
	case SHMIPC_KIND_DEADMAN:
	case SHMIPC_KIND_LOCK:
	case SHMIPC_KIND_QUEUE:
		return plan_sides(b, h, pages);
	default:
		return plan_ring(b, h, o, name, pages);
	}
}

void shmipc_body_init(void *mem, const struct shmipc_seg_hdr *h, const struct shmipc_body *b)
{
	struct shmipc_ring_opts ro = { .kind = b->ring.kind, .align = b->ring.align,
				       .size = b->ring.size, .meta_bytes = b->ring.meta_bytes,
				       .data_off = b->ring.data_off };

	if (h->kind == SHMIPC_KIND_TOPIC)
		(void)shmipc_tlog_init(mem, h->total_bytes - h->body_off, &b->log);
	else if (shmipc_kind_has_sides(h->kind))
		memcpy(mem, &b->sides, sizeof(b->sides));
	else if (h->kind != SHMIPC_KIND_RAW)
		(void)shmipc_ring_init(mem, h->total_bytes - h->body_off, &ro);
}

/* Copied once, and checked; what the kind adds is checked by its noun. */
static int read_sides(struct shmipc_segment *seg, const void *body, uint64_t bytes)
{
	struct shmipc_sides_hdr *s = &seg->sides;

	if (bytes < SHMIPC_CTL_PAGE)
		return -EPROTO;
	memcpy(s, body, sizeof(*s));
	shmipc_compiler_barrier();
	if (s->kind != seg->hdr.kind || !s->producers || s->producers > seg->hdr.peers ||
	    s->readers != seg->hdr.peers - s->producers)
		return -EPROTO;
	if (s->prod_off % SHMIPC_CTL_PAGE || s->prod_bytes % SHMIPC_CTL_PAGE ||
	    s->prod_off != seg->hdr.data_off - seg->hdr.body_off ||
	    s->prod_bytes > seg->hdr.data_bytes)
		return -EPROTO;
	if (s->read_off != SHMIPC_CTL_PAGE || s->read_bytes % SHMIPC_CTL_PAGE ||
	    s->read_bytes > s->prod_off - s->read_off)
		return -EPROTO;
	return 0;
}

int shmipc_body_read(struct shmipc_segment *seg, const char *name)
{
	uint64_t bytes = seg->hdr.total_bytes - seg->hdr.body_off;
	void *body = seg->base + seg->hdr.body_off;
	int ret = 0;

	if (shmipc_kind_is_ring(seg->hdr.kind)) {
		ret = shmipc_ring_check(body, bytes, &seg->ring);
		if (!ret && seg->ring.kind != seg->hdr.kind)
			ret = -EPROTO;
	} else if (seg->hdr.kind == SHMIPC_KIND_TOPIC) {
		ret = shmipc_tlog_check(body, bytes, &seg->log);
		if (!ret && seg->log.hdr.pubs + seg->log.hdr.subs != seg->hdr.peers)
			ret = -EPROTO;
	} else if (shmipc_kind_has_sides(seg->hdr.kind)) {
		ret = read_sides(seg, body, bytes);
	}
	if (!ret)
		return 0;
	if (ret == -EAGAIN)
		ret = -EPROTO;
	return shmipc_fail(ret, "shmipc: open \"%s\": the header of its body is invalid or of another version (%s); remove it",
			   name ? name : "", shmipc_error_name(ret));
}

void shmipc_body_of(const struct shmipc_segment *seg, struct shmipc_body *ret)
{
	const unsigned char *body = seg->base + seg->hdr.body_off;
	const struct shmipc_ring *ring = &seg->ring;

	memset(ret, 0, sizeof(*ret));
	if (seg->hdr.kind == SHMIPC_KIND_TOPIC) {
		ret->topic = seg->log.hdr;
		ret->ctl_bytes = shmipc_tlog_ctl_bytes(&ret->topic);
	} else if (shmipc_kind_has_sides(seg->hdr.kind)) {
		ret->sides.hdr = seg->sides;
		ret->ctl_bytes = seg->sides.read_off + seg->sides.read_bytes;
	} else if (shmipc_kind_is_ring(seg->hdr.kind)) {
		/* From our checked copy, not from the shared header. */
		ret->ring.prod_off = (uint64_t)((unsigned char *)ring->prod - body);
		if (ring->cons)
			ret->ring.cons_off = (uint64_t)((unsigned char *)ring->cons - body);
		else
			ret->ring.wait_off = (uint64_t)((unsigned char *)ring->waiters - body);
		ret->ctl_bytes = (ring->cons ? ret->ring.cons_off : ret->ring.wait_off) +
				 SHMIPC_CTL_PAGE;
	}
}

static int spans_of_ring(const struct shmipc_seg_hdr *h, const struct shmipc_ring_hdr *rh,
			 enum shmipc_role role, struct shmipc_span *span)
{
	uint64_t body = h->body_off, other = rh->cons_off ? rh->cons_off : rh->wait_off;

	switch (role) {
	case SHMIPC_ROLE_PRODUCER:	/* its page, the metadata, and the records */
		span[0] = (struct shmipc_span){ body + rh->prod_off, other - rh->prod_off };
		span[1] = (struct shmipc_span){ h->data_off, h->data_bytes };
		return 2;
	case SHMIPC_ROLE_CONSUMER:
	case SHMIPC_ROLE_READER:
		span[0] = (struct shmipc_span){ body + other, SHMIPC_CTL_PAGE };
		return 1;
	default:
		return 0;
	}
}

static int spans_of_log(const struct shmipc_seg_hdr *h, const struct shmipc_topic_hdr *t,
			enum shmipc_role role, struct shmipc_span *span)
{
	switch (role) {
	case SHMIPC_ROLE_PRODUCER:	/* the publishers' lines, and all messages */
		span[0] = (struct shmipc_span){ h->body_off + t->pub_off, t->sub_off - t->pub_off };
		span[1] = (struct shmipc_span){ h->data_off, h->data_bytes };
		return 2;
	case SHMIPC_ROLE_READER:
		span[0] = (struct shmipc_span){ h->body_off + t->sub_off,
						log_ctl_bytes(t) - t->sub_off };
		return 1;
	default:
		return 0;
	}
}

static int spans_of_sides(const struct shmipc_seg_hdr *h, const struct shmipc_sides_hdr *s,
			  enum shmipc_role role, struct shmipc_span *span)
{
	switch (role) {
	case SHMIPC_ROLE_PRODUCER:
		span[0] = (struct shmipc_span){ h->data_off, h->data_bytes };
		if (h->kind != SHMIPC_KIND_QUEUE)
			return 1;
		span[1] = (struct shmipc_span){ h->body_off + s->read_off, s->read_bytes };
		return 2;	/* that is for both sides */
	case SHMIPC_ROLE_READER:
		span[0] = (struct shmipc_span){ h->body_off + s->read_off, s->read_bytes };
		return s->read_bytes != 0;
	default:
		return 0;
	}
}

int shmipc_body_spans(const struct shmipc_seg_hdr *h, const struct shmipc_body *b,
		      enum shmipc_role role, struct shmipc_span span[SHMIPC_SPANS_MAX])
{
	if (h->kind == SHMIPC_KIND_TOPIC)
		return spans_of_log(h, &b->topic, role, span);
	if (shmipc_kind_has_sides(h->kind))
		return spans_of_sides(h, &b->sides.hdr, role, span);
	return shmipc_kind_is_ring(h->kind) ? spans_of_ring(h, &b->ring, role, span) : 0;
}

void shmipc_body_slots(const struct shmipc_seg_hdr *h, const struct shmipc_body *b,
		       enum shmipc_role role, uint32_t *ret_from, uint32_t *ret_to)
{
	bool sides = shmipc_kind_has_sides(h->kind);
	uint32_t pubs = sides ? b->sides.hdr.producers : b->topic.pubs;

	if (h->kind == SHMIPC_KIND_TOPIC || sides) {
		*ret_from = role == SHMIPC_ROLE_PRODUCER ? 0 : pubs;
		*ret_to = role == SHMIPC_ROLE_PRODUCER ? pubs : h->peers;
		return;
	}
	if (role == SHMIPC_ROLE_MEMBER) {
		*ret_from = 0;
		*ret_to = h->peers;
		return;
	}
	/* One for producers and consumers, the rest for readers. */
	*ret_from = role == SHMIPC_ROLE_PRODUCER ? 0 : 1;
	*ret_to = role == SHMIPC_ROLE_READER ? h->peers : *ret_from + 1;
}
