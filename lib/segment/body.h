/* SPDX-License-Identifier: MIT */
/* body.h - what lies in a segment behind its peer table, by kind */
#ifndef SHMIPC_LIB_BODY_H
#define SHMIPC_LIB_BODY_H

#include "segment/segment.h"

#define SHMIPC_PEERS_MAX	65536u	/* slots of a peer table */

/* The body of a segment to be made; which of the two, its kind says. */
struct shmipc_body {
	struct shmipc_ring_hdr ring;
	struct shmipc_topic_hdr topic;
	struct shmipc_tlog_opts log;
	uint64_t ctl_bytes;	/* from the body's start: pages of headers and roles */
	uint64_t init_bytes;	/* and of these, what the kernel is given when it makes them */
};

/*
 * What a role writes, in bytes from the segment's start; where the kernel
 * provides the memory it is told so, and lets the role map that and nothing else.
 */
struct shmipc_span {
	uint64_t off;
	uint64_t bytes;
};

#define SHMIPC_SPANS_MAX	2

bool shmipc_kind_is_ring(uint32_t kind);

/* @h->body_off is known; sets data_off and data_bytes. 0, -EINVAL with a text. */
int shmipc_body_plan(struct shmipc_body *b, struct shmipc_seg_hdr *h,
		     const struct shmipc_segment_opts *o, const char *name,
		     const struct shmipc_pages *pages);
void shmipc_body_init(void *mem, const struct shmipc_seg_hdr *h, const struct shmipc_body *b);

/* Read and check what is there into seg->ring or seg->log. */
int shmipc_body_read(struct shmipc_segment *seg, const char *name);
/* From what was read, as far as spans go. */
void shmipc_body_of(const struct shmipc_segment *seg, struct shmipc_body *ret);

int shmipc_body_spans(const struct shmipc_seg_hdr *h, const struct shmipc_body *b,
		      enum shmipc_role role, struct shmipc_span span[SHMIPC_SPANS_MAX]);

/* Slots of the peer table that are of a role: [from, to). */
void shmipc_body_slots(const struct shmipc_seg_hdr *h, uint32_t pubs, enum shmipc_role role,
		       uint32_t *ret_from, uint32_t *ret_to);

#endif /* SHMIPC_LIB_BODY_H */
