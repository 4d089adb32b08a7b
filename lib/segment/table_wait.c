// SPDX-License-Identifier: MIT
/*
 * table_wait.c - sleeping beside a peer table that the peers write themselves
 *
 * The kernel marks the word of a peer that dies, and wakes one of its sleepers, which
 * passes the wake on. (When a slot is being left it wakes one, too: see keeper.c.)
 * So a sleeper needs no tick where that is certain. It is not certain
 *   - for a peer without a keeper, and one that is just attaching: its death is not
 *     reported;
 *   - for more peers than one sleep can watch;
 *   - where a process of another user may write the table: a word that lies is not
 *     marked.
 */
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "segment/table.h"

#define WATCHED_MAX	100u	/* peers of one segment in one sleep */
#define NO_WAITV_NS	UINT64_C(2000000)

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

/* May a process of another user write here? Asked once, of the file. */
static bool others_write(struct shmipc_segment *seg)
{
	uint32_t others = shmipc_load_relaxed(&seg->others);
	struct stat st;

	if (others == SHMIPC_OTHERS_UNKNOWN) {
		others = SHMIPC_OTHERS_WRITE;
		if (!fstat(seg->fd, &st) && st.st_uid == geteuid() &&
		    !(st.st_mode & (S_IWGRP | S_IWOTH)))
			others = SHMIPC_OTHERS_NONE;
		/* Relaxed: threads that ask at the same time find the same. */
		shmipc_store_relaxed(&seg->others, others);
	}
	return others == SHMIPC_OTHERS_WRITE;
}

/* Will the kernel tell of this one's death? @is: its word. */
static bool is_told(struct shmipc_segment *seg, uint32_t slot, uint32_t is)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);

	if (shmipc_word_attached(is))
		return (is & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER &&
		       is & SHMIPC_PEER_WATCHED;
	/* It is attaching: only its lock shows that. */
	return is || shmipc_load_relaxed(&s->state) != SHMIPC_PEER_ATTACHED ||
	       !seg->be->locks->held(seg, slot);
}

static void watch_slot(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slot,
		       uint32_t is)
{
	shmipc_wait_set_add(set, (struct shmipc_word){
		.word = &shmipc_segment_slot(seg, slot)->word, .val = is, .of_peer = true,
		.of = seg });
}

static uint32_t look_word(const struct shmipc_segment *seg, uint32_t slot)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);

	return seg->read_only ? shmipc_load_relaxed(&s->word) : watch_word(s);
}

void shmipc_table_watch_peer(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t slot)
{
	uint32_t is = look_word(seg, slot);

	watch_slot(seg, set, slot, is);
	if (seg->fd < 0)	/* peers of one process do not die alone */
		return;
	if (!is_told(seg, slot, is))
		shmipc_wait_set_tick(set, SHMIPC_TICK_UNSURE);
	if (others_write(seg))
		shmipc_wait_set_tick(set, SHMIPC_TICK_GUARD);
}

void shmipc_table_watch_peers(struct shmipc_segment *seg, struct shmipc_wait_set *set,
			      uint32_t slots)
{
	const uint32_t *seq = shmipc_peer_seq(seg);
	uint32_t slot, is, n = 0;

	if (seg->fd < 0)
		return;
	/* peer.H1 <- peer.H0: a peer that has said hello before is visible in its slot. */
	shmipc_wait_set_add(set, (struct shmipc_word){
		.word = seq, .val = shmipc_load_acquire(seq), .of = seg });
	for (slot = 0; slot < slots; slot++) {
		is = look_word(seg, slot);
		if (!is_told(seg, slot, is) || n == WATCHED_MAX)
			shmipc_wait_set_tick(set, SHMIPC_TICK_UNSURE);
		if (!shmipc_word_attached(is) || n == WATCHED_MAX)
			continue;
		watch_slot(seg, set, slot, is);
		n++;
	}
	if (others_write(seg))
		shmipc_wait_set_tick(set, SHMIPC_TICK_GUARD);
}

int shmipc_table_sleep(struct shmipc_wait_set *set, uint64_t until_ns)
{
	uint64_t soon;
	uint32_t is;
	size_t i;
	int ret;

	if (set->n > 1 && !(shmipc_wait_caps() & SHMIPC_CAP_WAITV)) {
		soon = shmipc_now_ns() + NO_WAITV_NS;
		if (soon < until_ns) {	/* the first word alone, and the others so often */
			ret = shmipc_futex_wait_many(set->w, 1, soon);
			return ret == -ETIMEDOUT ? 0 : ret;
		}
	}
	ret = shmipc_futex_wait_many(set->w, set->n, until_ns);
	/* The kernel wakes one watcher of a death, or of one killed while it left: pass it on. */
	for (i = 0; i < set->n; i++) {
		if (!set->w[i].of_peer)
			continue;
		is = shmipc_load_relaxed(set->w[i].word);
		if (is != set->w[i].val && (is & SHMIPC_PEER_DEAD || !is))
			shmipc_futex_wake(set->w[i].word, INT_MAX);
	}
	return ret;
}

void shmipc_table_wake(struct shmipc_segment *seg, const uint32_t *word, uint32_t n)
{
	(void)seg;
	shmipc_futex_wake(word, n && n < INT_MAX ? (int)n : INT_MAX);
}

void shmipc_table_hello(struct shmipc_segment *seg)
{
	uint32_t *seq = shmipc_peer_seq(seg);

	/* peer.H0 -> peer.H1 */
	(void)shmipc_fetch_add_acq_rel(seq, 1u);
	shmipc_futex_wake(seq, INT_MAX);
}
