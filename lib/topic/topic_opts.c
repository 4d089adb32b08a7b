// SPDX-License-Identifier: MIT
/* topic_opts.c - options of a topic: checked, completed, and compared with what is there */
#include <errno.h>

#include "segment/access.h"
#include "topic/topic.h"

#define PUBS_DEFAULT	64u
#define SUBS_DEFAULT	256u
#define HISTORY_DEFAULT	896u
/*
 * By measurement: up to 1 KiB the log is faster than the pool (256 bytes by three
 * times, 1 KiB by half, near CPUs), from 2 KiB on it is not. How far the entries
 * are apart does not matter to shorter messages.
 * shmipc bench topic --size 256,512,1024,2048,4096 --inline 48 (and 4096)
 */
#define INLINE_DEFAULT	1008u
#define POOL_DEFAULT	(UINT64_C(8) << 20)
#define ALIGN_DEFAULT	16u
#define HOLDS_DEFAULT	16u
#define EVICT_DEFAULT	UINT64_C(100000000)
#define ABORT_MIN	UINT64_C(1000000)
#define FENCE_MIN	UINT64_C(10000000)
#define POLICIES_ALL	(1u << SHMIPC_POLICY_LOSSY | 1u << SHMIPC_POLICY_LOSSLESS | \
			 1u << SHMIPC_POLICY_EVICT)
#define CHUNK_MIN	SHMIPC_CTL_PAGE
#define SEAL_MORE	128u	/* than inline: a cell may be so much larger */
#define CHUNKS_MIN	64u	/* a pool in fewer parts would be used badly */

static const char *const metas[] = { "pub-id", "pub-seq", "mono", "wall" };
static const char *const policies[] = { NULL, "lossy", "lossless", "evict" };	/* enum shmipc_policy */

static int bad_text(const char *what, struct shmipc_text is, const char *should)
{
	return shmipc_fail(-EINVAL, "shmipc: topic options: %s is %s, %s (EINVAL)", what, is.s, should);
}

static int bad_bytes(const char *what, uint64_t is, const char *should)
{
	return bad_text(what, shmipc_text_bytes(is), should);
}

int shmipc_topic_opts_bad(const char *what, uint64_t is, const char *should)
{
	return bad_text(what, shmipc_text_number(is), should);
}

static struct shmipc_access access_of(const struct shmipc_topic_opts *o)
{
	struct shmipc_access a = SHMIPC_ACCESS_OF(o, "topic options", SHMIPC_KIND_TOPIC);

	a.more = SHMIPC_ON_NODE | SHMIPC_NO_POOL | SHMIPC_POPULATE;
	return a;
}

/* NO_CREATE where only another user's topic is wanted. */
static int read_owner(struct shmipc_topic_opts *o)
{
	struct shmipc_segment_opts so;
	int err;

	shmipc_topic_opts_segment(&so, o);
	err = shmipc_owner_opts(&so);
	if (!err && !(so.flags & SHMIPC_CREATE))
		o->flags |= SHMIPC_NO_CREATE;
	return err;
}

static int read_abort(const struct shmipc_topic_opts *o)
{
	if (o->abort_ns && o->abort_ns < ABORT_MIN)
		return bad_text("abort-after", shmipc_text_seconds(o->abort_ns), "the least is 0.001 s");
	if (o->abort_ns && o->publishers == 1)
		return bad_text("abort-after", shmipc_text_seconds(o->abort_ns),
				"but a publisher that is the only one is in nobody's way");
	return 0;
}

static int read_fence(const struct shmipc_topic_opts *o)
{
	const struct shmipc_backend *be;
	struct shmipc_text is = shmipc_text_seconds(o->fence_ns);

	if (!o->fence_ns)
		return 0;
	if (o->fence_ns < FENCE_MIN)
		return bad_text("fence-after", is, "the least is 0.01 s");
	if (o->abort_ns)
		return bad_text("fence-after", is, "but a topic has this or abort-after, not both");
	if (o->publishers == 1)
		return bad_text("fence-after", is, "but a publisher that is the only one is in nobody's way");
	be = shmipc_backend_named();
	if (!be)
		return shmipc_no_backend();
	if (be->caps & SHMIPC_CAP_FENCE)
		return 0;
	return shmipc_fail(-EOPNOTSUPP, "shmipc: topic options: fence-after is %s, but backend %s cannot cut off a process (EOPNOTSUPP); use abort-after, or the kernel module",
			   is.s, be->name);
}

/* More than a cell, which rounds inline up; see shmipc_tlog_layout(). */
static int read_seal(const struct shmipc_topic_opts *o)
{
	uint64_t least = o->inline_bytes ? o->inline_bytes : INLINE_DEFAULT;

	if (!o->seal_bytes)
		return 0;
	if (o->flags & SHMIPC_NO_POOL)
		return bad_bytes("seal", o->seal_bytes, "but without a pool nothing can be sealed");
	if (o->seal_bytes < least + SEAL_MORE)
		return bad_bytes("seal", o->seal_bytes, "and must be 128 more than inline, at least");
	return 0;
}

/* A private copy of the user's options. */
int shmipc_topic_opts_read(struct shmipc_topic_opts *o, const struct shmipc_topic_opts *user)
{
	struct shmipc_access a;
	int err;

	memset(o, 0, sizeof(*o));
	if (!user)
		return 0;
	err = shmipc_sized_read(o, sizeof(*o), user, "topic options");
	if (err)
		return err;
	a = access_of(o);
	err = shmipc_access_check(&a, o->reserved1, sizeof(o->reserved1) / sizeof(o->reserved1[0]));
	if (err)
		return err;
	if (o->publishers > SHMIPC_TOPIC_PUBS_MAX)
		return shmipc_topic_opts_bad("publishers", o->publishers, "the most is 1024");
	if (o->subscribers > SHMIPC_TOPIC_SUBS_MAX)
		return shmipc_topic_opts_bad("subscribers", o->subscribers, "the most is 3072");
	if (o->align && (!shmipc_priv_is_pow2(o->align) || o->align > SHMIPC_CTL_PAGE))
		return shmipc_topic_opts_bad("align", o->align, "a power of two up to 4096");
	if (o->history > SHMIPC_TLOG_ENTRIES_MAX / 2)
		return shmipc_topic_opts_bad("history", o->history, "the most is 33554432 messages");
	if (o->inline_bytes > SHMIPC_TOPIC_CELL_MAX)
		return bad_bytes("inline", o->inline_bytes, "the most is 65520");
	if (o->pool_bytes > UINT64_C(1) << 40 || (o->pool_bytes && o->flags & SHMIPC_NO_POOL))
		return bad_bytes("pool", o->pool_bytes, "the most is 1T, and none with NO_POOL");
	if (o->holds > SHMIPC_TOPIC_HOLDS_MAX)
		return shmipc_topic_opts_bad("holds", o->holds, "the most is 1024");
	if (o->meta & ~SHMIPC_META_ALL)
		return bad_text("meta", shmipc_text_set(o->meta, metas, 4), "with unknown bits");
	if (o->policies & ~POLICIES_ALL)
		return bad_text("policies", shmipc_text_set(o->policies, policies, 4), "with unknown bits");
	err = read_abort(o);
	if (!err)
		err = read_fence(o);
	if (!err)
		err = read_seal(o);
	return err ? err : read_owner(o);
}

/* Parts of the pool: at least as many as publishers need to be busy at once. */
static void plan_pool(struct shmipc_tlog_opts *l, uint64_t bytes, uint64_t least)
{
	uint64_t chunk = least, parts = 4 * (uint64_t)l->pubs;

	if (parts < CHUNKS_MIN)
		parts = CHUNKS_MIN;
	while (bytes / (2 * chunk) >= parts || bytes / chunk > SHMIPC_TOPIC_CHUNKS_MAX)
		chunk *= 2;
	l->chunk_bytes = chunk;
	l->chunks = (uint32_t)((bytes + chunk - 1) / chunk);
}

void shmipc_topic_opts_plan(struct shmipc_tlog_opts *l, const struct shmipc_topic_opts *o)
{
	*l = (struct shmipc_tlog_opts){
		.pubs = o->publishers ? o->publishers : PUBS_DEFAULT,
		.subs = o->subscribers ? o->subscribers : SUBS_DEFAULT,
		.keep = o->history ? o->history : HISTORY_DEFAULT,
		.cell_bytes = (uint32_t)(o->inline_bytes ? o->inline_bytes : INLINE_DEFAULT),
		.align = o->align < 8 ? o->align ? 8 : ALIGN_DEFAULT : o->align,
		.holds = o->holds ? o->holds : HOLDS_DEFAULT,
		.meta = o->meta,
		.policies = o->policies ? o->policies : POLICIES_ALL,
		.evict_ns = o->evict_ns ? o->evict_ns : EVICT_DEFAULT,
		.abort_ns = o->abort_ns,
		.fence_ns = o->fence_ns,
		.seal_bytes = o->seal_bytes,
		.chunk_bytes = CHUNK_MIN,
	};
	if (!(o->flags & SHMIPC_NO_POOL))
		plan_pool(l, o->pool_bytes ? o->pool_bytes : POOL_DEFAULT,
			  o->seal_bytes && o->page >= SHMIPC_PAGE_2M ? SHMIPC_PAGE_2M : CHUNK_MIN);
}

static struct shmipc_text meta_text(uint32_t bits)
{
	return bits == SHMIPC_META_ALL ? (struct shmipc_text){ "all" } : shmipc_text_set(bits, metas, 4);
}

static struct shmipc_text policies_text(uint32_t bits)
{
	return bits == POLICIES_ALL ? (struct shmipc_text){ "all" } : shmipc_text_set(bits, policies, 4);
}

static int differs(const struct shmipc_segment *seg, const char *field, struct shmipc_text asked,
		   struct shmipc_text is)
{
	return shmipc_differs(&seg->hdr, NULL, field, asked, is);
}

/* A time that is 0 unless it was asked for. */
static int differs_by_limit(const struct shmipc_segment *seg, const char *field, uint64_t asked,
			    uint64_t is)
{
	return differs(seg, field, shmipc_text_seconds(asked), is ?
		       shmipc_text_seconds(is) : (struct shmipc_text){ "none" });
}

static int differs_by_number(const struct shmipc_segment *seg, const char *field, uint64_t asked,
			     uint64_t is)
{
	return differs(seg, field, shmipc_text_number(asked), shmipc_text_number(is));
}

static int differs_by_bytes(const struct shmipc_segment *seg, const char *field, uint64_t asked,
			    uint64_t is)
{
	return differs(seg, field, shmipc_text_bytes(asked), shmipc_text_bytes(is));
}

/* What is rounded is compared as rounded; that depends on the publishers. */
static int match_rounded(const struct shmipc_segment *seg, const struct shmipc_topic_opts *o)
{
	const struct shmipc_topic_hdr *h = &seg->log.hdr;
	struct shmipc_topic_opts all = *o;
	struct shmipc_topic_hdr want;
	struct shmipc_tlog_opts l;
	uint64_t bytes;

	all.publishers = h->pubs;
	all.subscribers = h->subs;
	all.abort_ns = all.fence_ns = 0;
	all.seal_bytes = h->seal_bytes;
	all.page = seg->hdr.page_asked;
	shmipc_topic_opts_plan(&l, &all);
	l.seal_bytes = 0;
	if (o->align && l.align != h->align)
		return differs_by_number(seg, "align", o->align, h->align);
	l.align = h->align;
	if (o->inline_bytes && (shmipc_tlog_layout(&l, &want, &bytes) ||
				want.cell_bytes != h->cell_bytes))
		return differs_by_bytes(seg, "inline", o->inline_bytes, h->cell_bytes);
	if ((o->pool_bytes && (l.chunks != h->chunks || l.chunk_bytes != h->chunk_bytes)) ||
	    (o->flags & SHMIPC_NO_POOL && h->chunks))
		return differs_by_bytes(seg, "pool", o->pool_bytes, h->chunks * h->chunk_bytes);
	return 0;
}

/* Would the user's options give this topic at creation? */
int shmipc_topic_opts_match(const struct shmipc_segment *seg, const struct shmipc_topic_opts *o)
{
	const struct shmipc_topic_hdr *h = &seg->log.hdr;

	if (o->publishers && o->publishers != h->pubs)
		return differs_by_number(seg, "publishers", o->publishers, h->pubs);
	if (o->subscribers && o->subscribers != h->subs)
		return differs_by_number(seg, "subscribers", o->subscribers, h->subs);
	if (o->history && o->history != h->keep)
		return differs_by_number(seg, "history", o->history, h->keep);
	if (o->holds && o->holds != h->holds)
		return differs_by_number(seg, "holds", o->holds, h->holds);
	if (o->meta && o->meta != h->meta)
		return differs(seg, "meta", meta_text(o->meta), meta_text(h->meta));
	if (o->policies && o->policies != h->policies)
		return differs(seg, "policies", policies_text(o->policies), policies_text(h->policies));
	if (o->evict_ns && o->evict_ns != h->evict_ns)
		return differs(seg, "evict-after", shmipc_text_seconds(o->evict_ns),
			       shmipc_text_seconds(h->evict_ns));
	if (o->abort_ns && o->abort_ns != h->abort_ns)
		return differs_by_limit(seg, "abort-after", o->abort_ns, h->abort_ns);
	if (o->fence_ns && o->fence_ns != h->fence_ns)
		return differs_by_limit(seg, "fence-after", o->fence_ns, h->fence_ns);
	if (o->seal_bytes && o->seal_bytes != h->seal_bytes)
		return differs(seg, "seal", shmipc_text_bytes(o->seal_bytes), h->seal_bytes ?
			       shmipc_text_bytes(h->seal_bytes) : (struct shmipc_text){ "none" });
	return match_rounded(seg, o);
}

void shmipc_topic_opts_segment(struct shmipc_segment_opts *so, const struct shmipc_topic_opts *o)
{
	struct shmipc_access a = access_of(o);

	shmipc_access_segment(so, &a);
	so->page = o->page;
	so->node = o->node;
}

void shmipc_topic_opts_of(const struct shmipc_segment *seg, struct shmipc_topic_opts *ret)
{
	const struct shmipc_topic_hdr *h = &seg->log.hdr;

	*ret = (struct shmipc_topic_opts){
		.struct_bytes = sizeof(*ret),
		.flags = h->chunks ? 0 : SHMIPC_NO_POOL,
		.publishers = h->pubs,
		.subscribers = h->subs,
		.align = h->align,
		.history = h->keep,
		.inline_bytes = h->cell_bytes,
		.pool_bytes = h->chunks * h->chunk_bytes,
		.holds = h->holds,
		.meta = h->meta,
		.policies = h->policies,
		.mode = seg->hdr.mode,
		.evict_ns = h->evict_ns,
		.abort_ns = h->abort_ns,
		.fence_ns = h->fence_ns,
		.seal_bytes = h->seal_bytes,
		.page = seg->hdr.page_asked,
		.node = seg->hdr.node_asked,
		.uid = seg->hdr.uid,
		.gid = seg->hdr.gid,
	};
	if (seg->hdr.flags & SHMIPC_SEG_PERSISTENT)
		ret->flags |= SHMIPC_PERSIST;
}

/* The largest payload without headers. */
uint64_t shmipc_topic_max_message(const struct shmipc_tlog *log)
{
	uint64_t meta = shmipc_tlog_meta_bytes(log->hdr.meta), max = log->hdr.cell_bytes;

	if (log->hdr.chunks * log->hdr.chunk_bytes > max) {
		max = log->hdr.chunks * log->hdr.chunk_bytes;
		meta = shmipc_priv_round_up(meta, log->hdr.align);
	}
	max = max > meta ? max - meta : 0;
	return max < SHMIPC_INFO_LEN ? max : SHMIPC_INFO_LEN;
}
