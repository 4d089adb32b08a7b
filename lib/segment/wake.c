// SPDX-License-Identifier: MIT
/* wake.c - sleeping on a word of a segment, and waking its sleepers */
#include "segment/backend.h"
#include "segment/probe.h"

void shmipc_wake(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word, uint64_t seq)
{
	shmipc_wake_some(seg, slot, word, seq, 0);
}

void shmipc_wake_some(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word, uint64_t seq,
		      uint32_t n)
{
	shmipc_probe_wake(seg, slot, shmipc_probe_off(seg, word), seq);
	seg->be->wake(seg, word, n);
}

/* Have a sleep on @set end when @word is no longer @val. */
void shmipc_watch_word(struct shmipc_segment *seg, struct shmipc_wait_set *set,
		       const uint32_t *word, uint32_t val)
{
	shmipc_wait_set_by(set, seg->be->sleep);
	shmipc_wait_set_add(set, (struct shmipc_word){ .word = word, .val = val, .of = seg });
}
