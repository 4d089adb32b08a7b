// SPDX-License-Identifier: MIT
/* topic_live.c - liveness and wake-ups among the ends of a topic */
#include "topic/topic.h"

void shmipc_topic_wake(struct shmipc_segment *seg, uint32_t slot, uint64_t seq, uint32_t n)
{
	uint32_t i;

	/* Without an entry there are no sleepers: a hostile claim may name any number. */
	for (i = 0; i < n && shmipc_tlog_there(&seg->log, seq + i); i++)
		shmipc_wake(seg, slot, shmipc_low32(&shmipc_tlog_entry(&seg->log, seq + i)->word),
			    seq + i);
}

int shmipc_topic_pub_alive(void *arg, uint32_t slot)
{
	struct shmipc_segment *seg = arg;

	return seg->be->state(seg, slot, true) == SHMIPC_PEER_ATTACHED;
}

bool shmipc_topic_sub_alive(struct shmipc_segment *seg, uint32_t slot, uint64_t generation,
			    bool sure)
{
	uint32_t peer = seg->log.hdr.pubs + slot;
	/* peer.G1 <- peer.G0 */
	uint64_t is = shmipc_load_acquire(&shmipc_segment_slot(seg, peer)->generation);

	return (is & SHMIPC_EVICTED_GENERATION) == generation &&
	       seg->be->state(seg, peer, sure) == SHMIPC_PEER_ATTACHED;
}
