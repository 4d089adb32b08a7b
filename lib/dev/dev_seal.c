// SPDX-License-Identifier: MIT
/* dev_seal.c - making messages read-only for their publisher, too */
#include <errno.h>

#include "dev/dev.h"

/* What can be sealed of a topic: the chunks of its pool, each as a whole. */
void shmipc_dev_plan_seals(struct shmipc_dev_create *r, const struct shmipc_seg_hdr *h,
			   const struct shmipc_body *b)
{
	const struct shmipc_topic_hdr *t = &b->topic;

	if (h->kind != SHMIPC_KIND_TOPIC || !t->seal_bytes)
		return;
	r->flags |= SHMIPC_DEV_SEALS;
	r->seal_words = h->body_off + SHMIPC_TOPIC_SEAL_OFF;
	r->seal_off = h->body_off + t->pool_off;
	r->seal_bytes = t->chunks * t->chunk_bytes;
	r->seal_unit = t->chunk_bytes;
}

int shmipc_dev_seal(struct shmipc_segment *seg, uint64_t off, uint64_t bytes, bool on)
{
	struct shmipc_dev_seal r = { .size = sizeof(r), .flags = on ? 0 : SHMIPC_DEV_UNSEAL,
				     .off = off, .bytes = bytes };
	/*
	 * seal.S0 -> seal.S1: the kernel stores the words when nobody can write any more.
	 * seal.U0 -> seal.U1: or it clears them, with a full fence, before anybody can.
	 */
	int ret = shmipc_dev_ioctl(seg->fd, SHMIPC_IOC_SEAL, &r);


	/* Page tables for writing are made by page faults: asking for them costs more. */
	return ret == -EALREADY ? -EBUSY : ret;
}
