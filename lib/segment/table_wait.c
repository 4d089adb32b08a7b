// SPDX-License-Identifier: MIT
/* table_wait.c - sleeping, with a peer table that the peers write themselves */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "segment/table.h"

#define POLL_TICK_NS		UINT64_C(2000000)

/* Mark the word of a peer, so that the kernel wakes a watcher when it dies. */
static uint32_t watch_word(struct shmipc_peer_slot *s)
{
	uint32_t is = shmipc_load_relaxed(&s->word);

	/* peer.P0 <- peer.P1: a peer whose word we mark has filled in its slot. */
	while (is && !(is & (SHMIPC_PEER_WATCHED | SHMIPC_PEER_DEAD)))
		if (shmipc_cas_acq_rel(&s->word, &is, is | SHMIPC_PEER_WATCHED))
			return is | SHMIPC_PEER_WATCHED;
	return is;
}

/* If one sleep cannot watch the peer as well, it must be short. */
static uint64_t watch_until(const struct shmipc_segment *seg, uint32_t peer_word, uint64_t until_ns)
{
	uint64_t soon;

	if (shmipc_wait_caps() & SHMIPC_CAP_WAITV &&
	    ((peer_word & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER || seg->fd < 0))
		return until_ns;
	soon = shmipc_now_ns() + POLL_TICK_NS;
	return soon < until_ns ? soon : until_ns;
}

int shmipc_table_wait(struct shmipc_segment *seg, const uint32_t *word, uint32_t val,
		      uint32_t slot, uint32_t peer_val, uint64_t until_ns)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint32_t watched = watch_word(s);
	int ret;

	if ((watched & ~SHMIPC_PEER_WATCHED) != peer_val)
		return 0;
	ret = shmipc_futex_wait(word, val, &s->word, watched,
				watch_until(seg, watched, until_ns));
	/* The kernel wakes one watcher of a death: pass it on. */
	if (shmipc_load_relaxed(&s->word) & SHMIPC_PEER_DEAD)
		shmipc_futex_wake(&s->word, INT_MAX);
	return ret;
}

int shmipc_table_wait_peer(struct shmipc_segment *seg, uint32_t slot, uint32_t peer_val,
			   uint64_t until_ns)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint32_t watched = watch_word(s);

	if ((watched & ~SHMIPC_PEER_WATCHED) != peer_val)
		return 0;
	return shmipc_futex_wait(&s->word, watched, NULL, 0, watch_until(seg, watched, until_ns));
}

/* Peers beyond those that one sleep can watch are checked at ticks. */
int shmipc_table_wait_log(struct shmipc_segment *seg, const uint32_t *word, uint32_t val,
			  uint32_t slots, uint64_t until_ns)
{
	struct shmipc_word w[SHMIPC_WORDS_MAX] = { { word, val } };
	uint32_t slot, watched, n = 1, i;
	bool all = shmipc_wait_caps() & SHMIPC_CAP_WAITV;
	struct shmipc_peer_slot *s;
	uint64_t soon;
	int ret;

	for (slot = 0; slot < slots && all && seg->fd >= 0; slot++) {
		s = shmipc_segment_slot(seg, slot);
		watched = seg->read_only ? shmipc_load_relaxed(&s->word) : watch_word(s);
		if (!shmipc_word_attached(watched))
			continue;
		all = !seg->read_only && n < SHMIPC_WORDS_MAX &&
		      (watched & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER;
		if (all)
			w[n++] = (struct shmipc_word){ &s->word, watched };
	}
	soon = shmipc_now_ns() + POLL_TICK_NS;
	if (!all && soon < until_ns)
		until_ns = soon;
	ret = shmipc_futex_wait_words(w, n, until_ns);
	/* The kernel wakes one watcher of a death: pass it on. */
	for (i = 1; i < n; i++)
		if (shmipc_load_relaxed(w[i].word) & SHMIPC_PEER_DEAD)
			shmipc_futex_wake(w[i].word, INT_MAX);
	return ret;
}

int shmipc_table_wait_any(struct shmipc_any *any, size_t n, uint64_t until_ns)
{
	struct shmipc_word few[SHMIPC_WORDS_MAX], *w = few;
	size_t i;
	int ret;

	if (n > SHMIPC_WORDS_MAX)
		w = calloc(n, sizeof(*w));
	if (!w)
		return -ENOMEM;
	few[0] = any->w;
	for (i = 0; i < n; i++)
		w[i] = any[i].w;
	ret = shmipc_futex_wait_many(w, n, until_ns);
	if (w != few)
		free(w);
	return ret;
}

void shmipc_table_wake(struct shmipc_segment *seg, const uint32_t *word)
{
	(void)seg;
	shmipc_futex_wake(word, INT_MAX);
}
