// SPDX-License-Identifier: MIT
/*
 * table.c - a peer table that the peers write themselves, and sleeping beside it
 *
 * Three things say that a peer lives, and each has its use:
 *   the lock of its slot: the kernel's word, sure, but late (after the memory of
 *       the dead has been torn down) and it costs a system call to ask;
 *   the word of its slot: set by the kernel at once when the keeper thread dies,
 *       read for nothing, slept on together with a position; a hostile peer may
 *       write it, and then lies about itself;
 *   the state of its slot: what it wrote last; tells leaving from dying.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "segment/table.h"

#define DYING_RETRY_NS		UINT64_C(500000)
#define POLL_TICK_NS		UINT64_C(2000000)

static bool word_attached(uint32_t word)
{
	return word & SHMIPC_PEER_TID_MASK && !(word & SHMIPC_PEER_DEAD);
}

enum shmipc_peer_state shmipc_table_state(struct shmipc_segment *seg, uint32_t slot, bool lock)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(seg, slot);
	uint32_t word = shmipc_load_relaxed(&s->word);
	uint8_t state;

	/* peer.P0 <- peer.P1: the state that was written before the word. */
	shmipc_fence_acquire();
	state = shmipc_load_relaxed(&s->state);
	if (word & SHMIPC_PEER_DEAD)
		return SHMIPC_PEER_DIED;
	if (!word_attached(word) && state != SHMIPC_PEER_ATTACHED)
		return state == SHMIPC_PEER_NONE ? SHMIPC_PEER_NONE : SHMIPC_PEER_LEFT;
	/* Attached, or on its way in or out: the lock knows. */
	if ((lock || !word_attached(word)) && !shmipc_locks(seg)->held(seg, slot))
		return SHMIPC_PEER_DIED;
	return SHMIPC_PEER_ATTACHED;
}

/* Taken by one whose death the kernel would have told: no need to ask. */
static bool word_is_sure(uint32_t word)
{
	return word_attached(word) && (word & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER;
}

/* Lock the first free slot in [@from, @to), of those whose words say so or of all. */
static int try_slots(struct shmipc_segment *seg, uint32_t from, uint32_t to, bool all,
		     uint32_t *ret_slot)
{
	uint32_t slot;
	int ret;

	for (slot = from; slot < to; slot++) {
		if (!all && word_is_sure(shmipc_load_relaxed(&shmipc_segment_slot(seg, slot)->word)))
			continue;
		ret = shmipc_locks(seg)->lock(seg, slot);
		if (ret != -EBUSY) {
			*ret_slot = slot;
			return ret;
		}
	}
	return -EBUSY;
}

/*
 * A free slot; -EBUSY with *@ret_dying if one may soon be. To ask the kernel takes
 * a time that grows with the number of locks: of thousands of peers each would
 * ask for all those before it.
 */
static int lock_slot(struct shmipc_segment *seg, uint32_t from, uint32_t to, uint32_t *ret_slot,
		     bool *ret_dying)
{
	int ret = try_slots(seg, from, to, false, ret_slot);
	uint32_t slot;

	*ret_dying = false;
	if (ret == -EBUSY)	/* words may be wrong */
		ret = try_slots(seg, from, to, true, ret_slot);
	for (slot = from; ret == -EBUSY && slot < to; slot++)
		if (shmipc_table_state(seg, slot, false) != SHMIPC_PEER_ATTACHED)
			*ret_dying = true;
	return ret;
}

static void write_slot(struct shmipc_end *e, enum shmipc_role role)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(e->seg, e->slot);
	uint32_t word = SHMIPC_PEER_NO_KEEPER;
	char comm[16] = "";
	uint8_t caps = 0;

	if (shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER)
		caps |= SHMIPC_PEER_CAP_MEMBARRIER;
	(void)prctl(PR_GET_NAME, comm);
	/* The one before died: its word must go before the state says ATTACHED. */
	shmipc_store_relaxed(&s->word, 0u);
	shmipc_store_relaxed(&s->state, (uint8_t)SHMIPC_PEER_ATTACHED);
	/* peer.G0 -> peer.G1: with the new generation nobody sees the old one's LEFT. */
	shmipc_store_release(&s->generation, shmipc_load_relaxed(&s->generation) + 1);
	shmipc_store_relaxed(&s->role, (uint8_t)role);
	shmipc_store_relaxed(&s->caps, caps);
	shmipc_store_relaxed(&s->since_ns, shmipc_realtime_ns());
	shmipc_store_relaxed(&s->hint_pid, (uint32_t)getpid());
	shmipc_store_relaxed(&s->hint_pidns, shmipc_my_pidns());
	shmipc_racy_write(s->comm, comm, sizeof(s->comm));
	e->keeper = -1;
	(void)shmipc_keeper_hold(e->seg, e->slot, &word, &e->keeper);
	/* peer.P1 -> peer.P0: the slot is filled in before its word says that we are here. */
	shmipc_store_release(&s->word, word);
	shmipc_futex_wake(&s->word, INT_MAX);
}

/* Take the first free slot in [@from, @to); holders that are already dead are waited for. */
int shmipc_table_take(struct shmipc_end *e, enum shmipc_role role, uint32_t from, uint32_t to)
{
	uint64_t end = shmipc_now_ns() + DYING_PATIENCE_NS;
	bool dying;
	int ret;

	for (;;) {
		ret = lock_slot(e->seg, from, to, &e->slot, &dying);
		if (ret != -EBUSY || !dying || shmipc_now_ns() >= end)
			break;
		shmipc_sleep_ns(DYING_RETRY_NS);
	}
	if (!ret)
		write_slot(e, role);
	return ret;
}

void shmipc_table_leave(struct shmipc_end *e)
{
	struct shmipc_peer_slot *s = shmipc_segment_slot(e->seg, e->slot);

	shmipc_store_relaxed(&s->state, (uint8_t)SHMIPC_PEER_LEFT);
	/* peer.P1 -> peer.P0: what we published, and that we left, before the word is free. */
	shmipc_store_release(&s->word, 0u);
	shmipc_futex_wake(&s->word, INT_MAX);
	if (e->keeper >= 0)
		shmipc_keeper_drop(e->keeper);
	shmipc_locks(e->seg)->unlock(e->seg, e->slot);
}

/* A peer known to have died: wait until the kernel has let go of its locks. */
void shmipc_table_wait_gone(struct shmipc_segment *seg, uint32_t slot, uint64_t until_ns)
{
	while (shmipc_table_state(seg, slot, false) == SHMIPC_PEER_DIED &&
	       shmipc_locks(seg)->held(seg, slot) && shmipc_now_ns() < until_ns)
		shmipc_sleep_ns(DYING_RETRY_NS);
}

/* Have the kernel wake a watcher when this peer dies: mark its word. */
static uint32_t watch_word(struct shmipc_peer_slot *s)
{
	uint32_t is = shmipc_load_relaxed(&s->word);

	/* peer.P0 <- peer.P1: whose word we mark has filled in its slot. */
	while (is && !(is & (SHMIPC_PEER_WATCHED | SHMIPC_PEER_DEAD)))
		if (shmipc_cas_acq_rel(&s->word, &is, is | SHMIPC_PEER_WATCHED))
			return is | SHMIPC_PEER_WATCHED;
	return is;
}

/* One sleep cannot always watch the peer too: then it is a short one. */
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

/* Of more peers than one sleep can watch the rest is found out by ticks. */
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
		if (!word_attached(watched))
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
