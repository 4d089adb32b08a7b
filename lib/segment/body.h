/* SPDX-License-Identifier: MIT */
/* body.h - the contents of a segment after its peer table, by kind */
#ifndef SHMIPC_LIB_BODY_H
#define SHMIPC_LIB_BODY_H

#include "segment/segment.h"

#define SHMIPC_PEERS_MAX	65536u	/* slots of a peer table */

/*
 * The body of a segment of a kind with two sides, as a noun asks for it: the first page, whose
 * offsets are filled in by the plan.
 */
struct shmipc_sides {
	struct shmipc_sides_hdr hdr;
	unsigned char own[SHMIPC_SIDES_OWN];	/* the kind's fields, directly behind */
};

/* The body of a segment to be created; its kind selects one of the three. */
struct shmipc_body {
	struct shmipc_ring_hdr ring;
	struct shmipc_topic_hdr topic;
	struct shmipc_sides sides;
	struct shmipc_tlog_opts log;
	uint64_t ctl_bytes;	/* from the body's start: pages of headers and roles */
	uint64_t init_bytes;	/* of these, the bytes passed to the kernel at creation */
	uint64_t first_bytes;	/* of the data, those with memory from the beginning; 0: all */
};

/*
 * What a role writes, in bytes from the segment's start. If the kernel provides the
 * memory, it is told these, and lets the role map them, and nothing else, for writing.
 */
struct shmipc_span {
	uint64_t off;
	uint64_t bytes;
};

#define SHMIPC_SPANS_MAX	2

bool shmipc_kind_is_ring(uint32_t kind);
bool shmipc_kind_has_sides(uint32_t kind);
bool shmipc_kind_is_lazy(uint32_t kind);	/* its data get memory as they are used */
bool shmipc_kind_is_known(uint32_t kind);

/*
 * @h->body_off is known, and of a topic @b->log, of two sides @b->sides; sets data_off and
 * data_bytes. 0, -EINVAL with a text.
 */
int shmipc_body_plan(struct shmipc_body *b, struct shmipc_seg_hdr *h,
		     const struct shmipc_segment_opts *o, const char *name,
		     const struct shmipc_pages *pages);
void shmipc_body_init(void *mem, const struct shmipc_seg_hdr *h, const struct shmipc_body *b);

/* Read and check the body, into seg->ring, seg->log or seg->sides. */
int shmipc_body_read(struct shmipc_segment *seg, const char *name);
/* The body as read, as far as spans need it. */
void shmipc_body_of(const struct shmipc_segment *seg, struct shmipc_body *ret);

int shmipc_body_spans(const struct shmipc_seg_hdr *h, const struct shmipc_body *b,
		      enum shmipc_role role, struct shmipc_span span[SHMIPC_SPANS_MAX]);

/* Slots of the peer table that belong to a role: [from, to). */
void shmipc_body_slots(const struct shmipc_seg_hdr *h, const struct shmipc_body *b,
		       enum shmipc_role role, uint32_t *ret_from, uint32_t *ret_to);

#endif /* SHMIPC_LIB_BODY_H */
