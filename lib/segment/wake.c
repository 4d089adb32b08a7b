// SPDX-License-Identifier: MIT
/* wake.c - waking the sleepers of a word */
#include "segment/backend.h"
#include "segment/probe.h"

void shmipc_wake(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word, uint64_t seq)
{
	shmipc_probe(wake, seg, slot, shmipc_probe_off(seg, word), seq, 0);
	seg->be->wake(seg, word);
}
