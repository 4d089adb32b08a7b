// SPDX-License-Identifier: MIT
/* header.c - writing and reading the header of a segment and its body */
#include <errno.h>
#include <string.h>

#include "segment/body.h"

/* Is a private copy of a header valid for a file of this length? */
int shmipc_hdr_check(const struct shmipc_seg_hdr *h, uint64_t file_bytes, const char *name)
{
	const char *n = name ? name : "";

	if (h->magic != SHMIPC_SEG_MAGIC)
		return shmipc_fail(-EPROTO, "shmipc: open \"%s\": magic %#llx, expected %#llx (EPROTO); not a segment: remove the file",
				   n, (unsigned long long)h->magic, SHMIPC_SEG_MAGIC);
	if (h->layout_major != SHMIPC_LAYOUT_MAJOR)
		return shmipc_fail(-EPROTONOSUPPORT, "shmipc: open \"%s\": layout %u, this library reads %d (EPROTONOSUPPORT); upgrade libshmipc or restart the creator",
				   n, h->layout_major, SHMIPC_LAYOUT_MAJOR);
	if (h->incompat & ~SHMIPC_FEAT_INCOMPAT_KNOWN)
		return shmipc_fail(-EPROTONOSUPPORT, "shmipc: open \"%s\": features %#llx are unknown to this library (EPROTONOSUPPORT); upgrade libshmipc",
				   n, (unsigned long long)(h->incompat & ~SHMIPC_FEAT_INCOMPAT_KNOWN));
	if (h->total_bytes > file_bytes || h->total_bytes < 2 * SHMIPC_CTL_PAGE ||
	    h->total_bytes > UINT64_C(1) << 48)
		return shmipc_fail(-EPROTO, "shmipc: open \"%s\": the header says %llu bytes, there are %llu (EPROTO); remove it",
				   n, (unsigned long long)h->total_bytes,
				   (unsigned long long)file_bytes);
	if (h->peers < 2 || h->peers > SHMIPC_PEERS_MAX ||
	    h->peer_bytes != sizeof(struct shmipc_peer_slot) || h->peers_off != SHMIPC_CTL_PAGE ||
	    h->body_off % SHMIPC_CTL_PAGE ||
	    h->body_off < h->peers_off + (uint64_t)h->peers * h->peer_bytes ||
	    h->data_off < h->body_off || h->data_off > h->total_bytes ||
	    h->data_bytes > h->total_bytes - h->data_off || h->hdr_bytes != sizeof(*h) ||
	    !shmipc_kind_is_known(h->kind) ||
	    h->name[SHMIPC_NAME_MAX])
		return shmipc_fail(-EPROTO, "shmipc: open \"%s\": its header is invalid (EPROTO); remove it", n);
	return 0;
}

/* Write header and body of a new segment; all its memory is zero. */
void shmipc_segment_fill(unsigned char *base, const struct shmipc_seg_hdr *h,
			 const struct shmipc_body *b)
{
	shmipc_body_init(base + h->body_off, h, b);
	memcpy(base, h, sizeof(*h));
}

/* Take private copies of the headers in the segment, and check them. */
int shmipc_segment_read(struct shmipc_segment *seg, const char *name)
{
	int ret;

	memcpy(&seg->hdr, seg->base, sizeof(seg->hdr));	/* read once */
	shmipc_compiler_barrier();	/* and the compiler does not read it again */
	ret = shmipc_hdr_check(&seg->hdr, seg->bytes, name);
	return ret ? ret : shmipc_body_read(seg, name);
}

struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, uint32_t slot)
{
	return (struct shmipc_peer_slot *)(void *)(seg->base + seg->hdr.peers_off +
						   (size_t)slot * sizeof(struct shmipc_peer_slot));
}
