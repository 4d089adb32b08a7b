// SPDX-License-Identifier: MIT
/*
 * topic_memory.c - the memory of a topic, for its ends; see tlog_memory.h
 *
 * For a publisher the backend takes memory. For a subscriber it finds out whether there
 * is any; a subscriber takes memory only for its line.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "topic/topic.h"

static int commit(void *arg, uint64_t off, uint64_t bytes)
{
	struct shmipc_segment *seg = arg;

	return seg->be->commit(seg, seg->hdr.body_off + off, bytes);
}

static int see(void *arg, uint64_t off, uint64_t bytes)
{
	struct shmipc_segment *seg = arg;
	int ret = seg->be->see(seg, seg->hdr.body_off + off, bytes);

	return ret == -EFAULT ? -EPROTO : ret;
}

/* Subscribers that wait for an entry without memory sleep on this word. */
static void grown(void *arg)
{
	struct shmipc_segment *seg = arg;

	seg->be->wake(seg, shmipc_low32(&seg->log.pub->backed));
}

static int fail(const struct shmipc_segment *seg, int err)
{
	return shmipc_fail(err, "shmipc: open \"%s\": get its memory: %s (%s)%s", seg->hdr.name,
			   strerror(-err), shmipc_error_name(err),
			   err == -ENOSPC ? "; free memory (df, or for the device shmipc doctor, shows it)" : "");
}

static int begin(struct shmipc_segment *seg, bool publisher)
{
	struct shmipc_tlog_memory *m = &seg->memory;
	uint32_t chunks = seg->log.hdr.chunks;

	*m = (struct shmipc_tlog_memory){ .have = publisher ? commit : see, .see = see,
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
	return ret ? fail(seg, ret) : 0;
}

/* @slot: of a subscriber; or SHMIPC_TOPIC_LOOKS */
int shmipc_topic_memory_sub(struct shmipc_segment *seg, uint32_t slot)
{
	int ret = begin(seg, false);

	if (ret || slot == SHMIPC_TOPIC_LOOKS)
		return ret;
	ret = commit(seg, shmipc_tlog_line_off(&seg->log, slot), seg->log.sub_stride);
	return ret ? fail(seg, ret) : 0;
}
