// SPDX-License-Identifier: MIT
/*
 * topic_memory.c - the memory of a topic, for its ends; see tlog_memory.h
 *
 * For a publisher the backend takes memory. For a subscriber it finds out whether there
 * is any; a subscriber takes memory only for its line.
 *
 * A publisher takes whole blocks of 2 MiB in huge pages: those that one message needs
 * completely; and, as soon as it has used 2 MiB, the next one when it comes to the middle of one.
 * Of a block that was made ready so it asks again for each part that it needs, which costs a
 * microsecond: others may use the rest, or give it back.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "segment/limit.h"
#include "segment/page.h"
#include "topic/topic.h"

#define BLOCK		SHMIPC_PAGE_2M

/* Bytes that a publisher knows to have memory. */
static uint64_t known(const struct shmipc_segment *seg)
{
	return seg->memory.entries * seg->log.hdr.stride +
	       (uint64_t)seg->memory.chunks * seg->log.hdr.chunk_bytes;
}

/* Is the block at @at all in the log's entries or in its pool, and no part of it known? */
static bool is_new(const struct shmipc_segment *seg, uint64_t at)
{
	const struct shmipc_topic_hdr *h = &seg->log.hdr;
	const struct shmipc_tlog_memory *m = &seg->memory;
	uint64_t i, last;

	at -= seg->hdr.body_off;
	if (at >= h->data_off && at + BLOCK <= h->pool_off)
		return at >= h->data_off + shmipc_tlog_entries_bytes(h, m->entries);
	if (at < h->pool_off || at + BLOCK > h->pool_off + h->chunks * h->chunk_bytes)
		return false;
	last = (at + BLOCK - 1 - h->pool_off) / h->chunk_bytes;
	for (i = (at - h->pool_off) / h->chunk_bytes; i <= last; i++)
		if (shmipc_priv_tlog_has_chunk(m, i))
			return false;
	return true;
}

/*
 * The blocks that lie in [@off, @end), in the segment's offsets: their new pages cost less
 * than small ones, unless the machine is busy. Then, and if there are none, it is not tried
 * again until four times as much is used.
 */
static void commit_blocks(struct shmipc_segment *seg, uint64_t off, uint64_t end)
{
	uint64_t from = shmipc_priv_round_up(off, BLOCK), to = end / BLOCK * BLOCK, began;
	int ret;

	if (from >= to)
		return;
	began = shmipc_now_ns();
	ret = seg->be->commit_huge(seg, from, to - from, true);
	if (ret == -EAGAIN && to - from > BLOCK)	/* the first was made ready before */
		ret = seg->be->commit_huge(seg, from + BLOCK, to - from - BLOCK, true);
	if ((ret && ret != -EAGAIN) || shmipc_now_ns() - began > (to - from) / BLOCK * SHMIPC_PAGES_NS_MAX)
		seg->huge_from = 4 * (known(seg) + BLOCK);
}

/* The middle of a block is needed: have the next one ready when it is. */
static void commit_next(struct shmipc_segment *seg, uint64_t off, uint64_t end)
{
	uint64_t next = shmipc_priv_round_up(end, BLOCK), middle = next - BLOCK / 2;
	int ret;

	if ((!seg->huge_late && (off > middle || end <= middle)) || known(seg) < BLOCK ||
	    !is_new(seg, next))
		return;
	ret = seg->be->commit_huge(seg, next, BLOCK, false);
	seg->huge_late = ret == -EBUSY;
	if (ret && ret != -EAGAIN && ret != -EBUSY)
		seg->huge_from = 4 * (known(seg) + BLOCK);
}

static int commit_known(void *arg, uint64_t off, uint64_t bytes)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *seg = arg;

	return seg->be->commit(seg, seg->hdr.body_off + off, bytes);
}

static int commit(void *arg, uint64_t off, uint64_t bytes)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *seg = arg;
	bool huge = seg->hdr.data_off % BLOCK == 0 && known(seg) >= seg->huge_from;
	uint64_t at = seg->hdr.body_off + off;
	int ret;

	/* Huge pages are no condition for anything. */
	if (huge)
		commit_blocks(seg, at, at + bytes);
	ret = seg->be->commit(seg, at, bytes);
	if (!ret && huge)
		commit_next(seg, at, at + bytes);
	return ret;
}

static int see(void *arg, uint64_t off, uint64_t bytes)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *seg = arg;
	int ret = seg->be->see(seg, seg->hdr.body_off + off, bytes);

	return ret == -EFAULT ? -EPROTO : ret;
}

/* Subscribers that wait for an entry without memory sleep on this word. */
static void grown(void *arg)
{
	struct shmipc_segment *seg = arg;

	seg->be->wake(seg, shmipc_low32(&seg->log.pub->backed), 0);
}

static int fail(const struct shmipc_segment *seg, int err)
{
	return shmipc_fail(err, "shmipc: open \"%s\": get its memory: %s%s", seg->hdr.name,
			   shmipc_cause(err).s,
			   shmipc_limited(err) ? "; raise that limit" :
			   err == -ENOSPC ? "; free memory (df, or for the device shmipc doctor, shows it)" :
			   shmipc_advice(err));
}

static int begin(struct shmipc_segment *seg, bool publisher)
{
	struct shmipc_tlog_memory *m = &seg->memory;
	uint32_t chunks = seg->log.hdr.chunks;

	*m = (struct shmipc_tlog_memory){ .have = publisher ? commit_known : see, .see = see,
					  .grown = grown, .arg = seg };
	m->chunk = calloc(chunks / 64 + 1, sizeof(*m->chunk));
	if (!m->chunk)
		return shmipc_fail(-ENOMEM, "shmipc: open \"%s\": no memory for a handle (ENOMEM)",
				   seg->hdr.name);
	seg->log.memory = m;
	return 0;
}

int shmipc_topic_memory_pub(struct shmipc_segment *seg)
{
	int ret = begin(seg, true);

	if (ret)
		return ret;
	ret = shmipc_tlog_back(&seg->log);
	if (ret)
		return fail(seg, ret);
	seg->memory.have = commit;	/* from now on it grows */
	return 0;
}

/* Of others' chunks nothing is recorded: they may give them back. */
int shmipc_topic_memory_all(struct shmipc_segment *seg)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_topic_hdr *h = &seg->log.hdr;
	uint64_t off = seg->hdr.body_off + h->pool_off, end = off + h->chunks * h->chunk_bytes, at;
	int ret = shmipc_tlog_grow(&seg->log, h->entries);

	if (ret)
		return fail(seg, ret);
	at = shmipc_priv_round_up(off, BLOCK);
	for (; seg->hdr.data_off % BLOCK == 0 && at + BLOCK <= end; at += BLOCK)
		(void)seg->be->commit_huge(seg, at, BLOCK, true);
	ret = end > off ? seg->be->commit(seg, off, end - off) : 0;
	return ret ? fail(seg, ret) : 0;
}

/* @slot: of a subscriber; or SHMIPC_TOPIC_LOOKS */
int shmipc_topic_memory_sub(struct shmipc_segment *seg, uint32_t slot)
{
	int ret = begin(seg, false);

	if (ret || slot == SHMIPC_TOPIC_LOOKS)
		return ret;
	ret = commit_known(seg, shmipc_tlog_line_off(&seg->log, slot), seg->log.sub_stride);
	return ret ? fail(seg, ret) : 0;
}
