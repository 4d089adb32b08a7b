/* SPDX-License-Identifier: MIT */
/*
 * tlog_tx.h - the publishing end of a log; see tlog.h
 *
 * Claim numbers, fill their entries, commit. A claim is never held while user code
 * runs, only during a copy into a cell. So a death within a claim is rare, and others
 * may have to wait for a publisher only if it is stopped exactly there: for as long as it
 * is stopped, unless the topic limits that (tlog_abort.h).
 */
#ifndef SHMIPC_TLOG_TX_H
#define SHMIPC_TLOG_TX_H

#include <shmipc/inline/tlog_lend.h>

SHMIPC_PRIV_C_BEGIN

/* Is the process of publisher @slot alive? Called only when something is in the way. */
typedef int (*shmipc_tlog_alive_fn)(void *arg, uint32_t slot);

/* The publishing end. Private memory; the fields are not for users. */
struct shmipc_tlog_tx {
	unsigned char *entry;
	uint64_t mask;
	uint64_t stride;
	uint64_t next;		/* number of the next message; if shared, of the one after our last */
	uint64_t limit;		/* numbers below may be claimed */
	uint64_t info;		/* our slot, in the format of an entry */
	struct shmipc_pub_ctl *pub;
	struct shmipc_sub_ctl *sub;
	struct shmipc_pub_line *line;
	uint64_t entries;
	uint64_t sent;		/* by us and earlier publishers in this slot */
	uint64_t bytes;
	uint32_t single;
	uint32_t slot;
	int full_fence;
	uint32_t streak;	/* numbers that we claimed in a row */
	uint64_t lent;		/* the tail, while it is lent to us; else 0 */
	const struct shmipc_tlog *log;
	uint32_t lend_after;	/* SHMIPC_LEND_NEVER, or set by a caller that has a fence */
	uint32_t reserved0;
	void (*fence)(void);	/* the expensive half of the asymmetric fence */
};

/* What becomes of a number that has been claimed, and whose word is not stored. */
enum shmipc_tlog_fate {
	SHMIPC_FATE_OPEN	= 0,	/* not decided: its publisher may still commit it */
	SHMIPC_FATE_ABORTED	= 1,	/* it never comes */
	SHMIPC_FATE_WHOLE	= 2,	/* it belongs to a batch that is committed */
};

/* Of a claim: NONE, or what becomes of its messages. In most topics only a death decides. */
SHMIPC_INLINE enum shmipc_entry_state shmipc_priv_tlog_decided(const struct shmipc_tlog *log,
							       uint64_t claim)
{
	return log->hdr.abort_ns ? (enum shmipc_entry_state)(claim >> SHMIPC_CLAIM_STATE & 3) :
				   SHMIPC_ENTRY_NONE;
}

/*
 * The word of message @seq, which publisher @slot has claimed and not committed, if it
 * is committed all the same; else 0. @slot is dead, and @claim is what its line says; or
 * the claim itself says what becomes of it.
 *
 * A batch is committed from its end, and all of it is filled before. So one store, the
 * first, decides for the whole batch: if the publisher dies after it, the rest counts as
 * committed, too. The last entry must be from that publisher: its claim may be one that
 * it had announced and not got.
 */
SHMIPC_COLD uint64_t shmipc_priv_tlog_whole(const struct shmipc_tlog *log, uint32_t slot,
					    uint64_t claim, uint64_t seq)
{
	uint64_t last = (claim >> SHMIPC_CLAIM_BITS) + (claim & log->claim_max) - 1, word;
	const struct shmipc_entry *e = shmipc_tlog_entry(log, last);

	if (log->hdr.abort_ns) {
		word = shmipc_priv_tlog_decided(log, claim);
		return word && word != SHMIPC_ENTRY_ABORTED ? seq << 2 | word : 0;
	}
	if (last <= seq || !shmipc_tlog_there(log, last))
		return 0;
	/* Relaxed: knowing of its death makes all that it wrote visible. */
	word = shmipc_load_relaxed(&e->word);
	if (!shmipc_tlog_resolved(word, last) || (word & 3) == SHMIPC_ENTRY_ABORTED ||
	    (shmipc_load_relaxed(&e->info) >> SHMIPC_INFO_PUB & 0xfff) != slot)
		return 0;
	return seq << 2 | (word & 3);
}

/*
 * The fate of @seq if publisher @slot is dead, which has claimed it and committed
 * nothing or all of it. @ret_word: see shmipc_tlog_fate().
 */
SHMIPC_INLINE int shmipc_priv_tlog_fate_of(const struct shmipc_tlog *log, uint64_t seq, uint64_t whole,
					   uint64_t *ret_word)
{
	if (!shmipc_tlog_there(log, seq) ||
	    !shmipc_tlog_pending(shmipc_load_relaxed(&shmipc_tlog_entry(log, seq)->word), seq))
		return SHMIPC_FATE_OPEN;
	*ret_word = whole ? whole : seq << 2 | SHMIPC_ENTRY_ABORTED;
	return whole ? SHMIPC_FATE_WHOLE : SHMIPC_FATE_ABORTED;
}

/*
 * Is @seq a number that the owner of the lent tail announced, perhaps after the tail
 * was recalled? It counts if the owner is dead, its line, read after that, still has
 * the number, and the tail is not recalled: any later recall finds the same line.
 */
SHMIPC_COLD int shmipc_priv_lent_fate(const struct shmipc_tlog *log, uint64_t tail, uint64_t seq,
				      uint32_t own, shmipc_tlog_alive_fn alive, void *arg,
				      uint64_t *ret_word)
{
	uint32_t slot = (uint32_t)(tail & SHMIPC_TAIL_SLOT);
	uint64_t claim;

	if (slot == own || !shmipc_priv_lent_claim(log, tail, seq) || alive(arg, slot))
		return SHMIPC_FATE_OPEN;
	claim = shmipc_priv_lent_claim(log, tail, seq);
	if (!claim)
		return SHMIPC_FATE_OPEN;
	return shmipc_priv_tlog_fate_of(log, seq, shmipc_priv_tlog_whole(log, slot, claim, seq),
					ret_word);
}

/* The only publisher of a topic moves the tail after it has committed all of a batch. */
SHMIPC_COLD int shmipc_priv_single_fate(const struct shmipc_tlog *log, uint64_t seq, uint32_t own,
					shmipc_tlog_alive_fn alive, void *arg, uint64_t *ret_word)
{
	/* Relaxed: it only says which entries to look at, after the publisher's death. */
	uint64_t claim = shmipc_load_relaxed(&log->pub_line[0].claim), whole;

	if (!shmipc_priv_tlog_covers(log, claim, seq) || (own && alive(arg, 0)))
		return SHMIPC_FATE_OPEN;
	claim = shmipc_load_relaxed(&log->pub_line[0].claim);
	if (!shmipc_priv_tlog_covers(log, claim, seq))
		return SHMIPC_FATE_OPEN;
	whole = shmipc_priv_tlog_whole(log, 0, claim, seq);
	/* If it is not, its successor claims the same numbers. */
	return whole ? shmipc_priv_tlog_fate_of(log, seq, whole, ret_word) : SHMIPC_FATE_OPEN;
}

/* As shmipc_tlog_fate(); slot @own is the caller's, which has claimed nothing. */
SHMIPC_INLINE int shmipc_priv_tlog_fate(const struct shmipc_tlog *log, uint64_t seq, uint32_t own,
					shmipc_tlog_alive_fn alive, void *arg, uint64_t *ret_word)
{
	/* tlog.T1 <- tlog.T0: the publisher that claimed the number has announced it before. */
	uint64_t tail = shmipc_load_acquire(&log->pub->tail), claim, whole = 0;
	uint32_t slot, n;

	if (log->hdr.pubs == 1 && tail <= seq)
		return shmipc_priv_single_fate(log, seq, own, alive, arg, ret_word);
	if (tail & SHMIPC_TAIL_LENT && shmipc_priv_lent_tail(log, tail) <= seq)
		return shmipc_priv_lent_fate(log, tail, seq, own, alive, arg, ret_word);
	if (tail <= seq)
		return SHMIPC_FATE_OPEN;
	n = shmipc_priv_tlog_pubs(log);
	for (slot = 0; slot < n; slot++) {
		/* tlog.L1 <- tlog.L0: a publisher that dropped its claim has committed. */
		/* tlog.J1 <- tlog.J0: what it decided to be committed is filled. */
		claim = shmipc_load_acquire(&log->pub_line[slot].claim);
		if (!shmipc_priv_tlog_covers(log, claim, seq))
			continue;
		if (!shmipc_priv_tlog_decided(log, claim)) {
			if (slot != own && alive(arg, slot))
				return SHMIPC_FATE_OPEN;
			/* Relaxed: what it says in death. It may have claimed others since we looked. */
			claim = shmipc_load_relaxed(&log->pub_line[slot].claim);
		}
		if (!whole && shmipc_priv_tlog_covers(log, claim, seq))
			whole = shmipc_priv_tlog_whole(log, slot, claim, seq);
		if (whole && log->hdr.abort_ns)	/* only the publisher that has got it says so */
			break;
	}
	return shmipc_priv_tlog_fate_of(log, seq, whole, ret_word);
}

/**
 * shmipc_tlog_fate - what becomes of message @seq, which is not there
 * @log:      the log
 * @seq:      its number
 * @alive:    called for publishers whose line says that they have claimed it
 * @arg:      for @alive
 * @ret_word: the entry's word as it should be, if the fate is not OPEN
 *
 * Once it is not OPEN it stays as it is. Needs no write permission.
 *
 * Return: enum shmipc_tlog_fate. ABORTED: it was claimed, it is not committed, and no
 * living publisher has claimed it, or only with a claim that was aborted. WHOLE: it is
 * committed, so that it can be read, see shmipc_tlog_rx_whole().
 */
SHMIPC_INLINE int shmipc_tlog_fate(const struct shmipc_tlog *log, uint64_t seq,
				   shmipc_tlog_alive_fn alive, void *arg, uint64_t *ret_word)
{
	return shmipc_priv_tlog_fate(log, seq, ~0u, alive, arg, ret_word);
}

/* What was done about numbers that had been claimed. */
struct shmipc_tlog_settled {
	uint64_t aborted;
	uint64_t committed;	/* the rest of a batch */
};

SHMIPC_INLINE void shmipc_priv_tlog_settle(const struct shmipc_tlog *log, uint32_t slot, uint32_t own,
					   shmipc_tlog_alive_fn alive, void *arg,
					   struct shmipc_tlog_settled *ret)
{
	/* Relaxed: knowing of a death makes all that the dead publisher wrote visible. */
	uint64_t claim = shmipc_load_relaxed(&log->pub_line[slot].claim), seq, i, to;
	struct shmipc_entry *e;
	__u64 word;
	int fate;

	ret->aborted = ret->committed = 0;
	if (claim == SHMIPC_CLAIM_NONE)
		return;
	for (i = 0; i < (claim & log->claim_max); i++) {
		seq = (claim >> SHMIPC_CLAIM_BITS) + i;
		/* An honest publisher has claimed only what has memory. */
		if (!shmipc_tlog_there(log, seq))
			break;
		e = shmipc_tlog_entry(log, seq);
		word = shmipc_load_relaxed(&e->word);
		if (!shmipc_tlog_pending(word, seq))
			continue;
		fate = shmipc_priv_tlog_fate(log, seq, own, alive, arg, &to);
		/* tlog.R0 -> tlog.A0: seeing it makes the floor that allowed it visible. */
		if (fate && shmipc_cas_acq_rel(&e->word, &word, (__u64)to))
			*(fate == SHMIPC_FATE_WHOLE ? &ret->committed : &ret->aborted) += 1;
	}
	/*
	 * The claim stays until the slot has a new owner: clearing it might clear the
	 * claim of a new owner that claims the same number.
	 */
}

/**
 * shmipc_tlog_settle - complete or abort what a publisher has claimed, if that is decided
 * @log:   the log
 * @slot:  its slot
 * @alive: called for all whose lines say that they have claimed the same, including
 *         the slot's owner, which may be a new one by now. If it is alive, what its claim
 *         says counts; else, that it is dead
 * @arg:   for @alive
 * @ret:   what was done; if anything, the sleepers must be woken
 *
 * Any publisher may call this, several at a time.
 */
SHMIPC_INLINE void shmipc_tlog_settle(const struct shmipc_tlog *log, uint32_t slot,
				      shmipc_tlog_alive_fn alive, void *arg,
				      struct shmipc_tlog_settled *ret)
{
	shmipc_priv_tlog_settle(log, slot, ~0u, alive, arg, ret);
}

/*
 * Find out where a single publisher that died had stopped. It commits a batch from its
 * end, and has filled all of it before, so the rest of a batch is committed now.
 */
SHMIPC_INLINE void shmipc_priv_tlog_resume_single(struct shmipc_tlog_tx *tx,
						  struct shmipc_tlog_settled *ret)
{
	const struct shmipc_tlog *log = tx->log;
	uint64_t tail = shmipc_load_relaxed(&tx->pub->tail), next = tail, seq, n, word, last = 0;
	struct shmipc_entry *e;

	/* The tail is stored after each batch: at most one batch can be beyond it. */
	n = tx->entries < SHMIPC_CLAIM_MAX ? tx->entries : SHMIPC_CLAIM_MAX;
	/* Relaxed: taking the slot made all that its last owner wrote visible. */
	for (seq = tail; seq < tail + n && shmipc_tlog_there(log, seq); seq++) {
		word = shmipc_load_relaxed(&shmipc_tlog_entry(log, seq)->word);
		if (!shmipc_tlog_resolved(word, seq))
			continue;
		next = seq + 1;
		last = word & 3;
	}
	ret->aborted = ret->committed = 0;
	for (seq = tail; seq < next; seq++) {
		e = shmipc_tlog_entry(log, seq);
		if (!shmipc_tlog_pending(shmipc_load_relaxed(&e->word), seq))
			continue;
		/* tlog.R0 -> tlog.A0: seeing it makes the floor that allowed it visible. */
		shmipc_store_release(&e->word, (__u64)(seq << 2 | last));
		*(last == SHMIPC_ENTRY_ABORTED ? &ret->aborted : &ret->committed) += 1;
	}
	tx->next = next;
	/* tlog.R0 -> tlog.A0 */
	shmipc_store_release(&tx->pub->tail, (__u64)next);
}

/* One of many publishers died: the tail may be lent to it. */
SHMIPC_INLINE void shmipc_priv_tlog_resume_many(struct shmipc_tlog_tx *tx,
						shmipc_tlog_alive_fn alive, void *arg,
						struct shmipc_tlog_settled *ret)
{
	/* Relaxed: taking the slot made all that its last owner wrote visible. */
	uint64_t tail = shmipc_load_relaxed(&tx->pub->tail);

	if (tail & SHMIPC_TAIL_LENT && (tail & SHMIPC_TAIL_SLOT) == tx->slot)
		(void)shmipc_tlog_recall(tx->log, tx->slot, tx->fence);
	shmipc_priv_tlog_settle(tx->log, tx->slot, tx->slot, alive, arg, ret);
}

/* Without the kernel's help; stores of others become visible eventually. */
SHMIPC_INLINE void shmipc_priv_tlog_fence(void)
{
	/* tlog.B0 -> tlog.B1: as good as possible here. */
	shmipc_fence_seq_cst();
}

/**
 * shmipc_tlog_tx_init - become publisher @slot
 * @tx:    caller's
 * @log:   checked by shmipc_tlog_check(); must outlive @tx
 * @slot:  the caller makes sure that it is not in use
 * @id:    random number of the publisher
 * @alive: called for the other publishers
 * @arg:   for @alive
 * @ret:   of the last publisher in the slot: what it had claimed and that is settled
 *         now; if anything, the sleepers must be woken
 *
 * Continues where the last publisher in the slot stopped or died.
 */
SHMIPC_INLINE void shmipc_tlog_tx_init(struct shmipc_tlog_tx *tx, const struct shmipc_tlog *log,
				       uint32_t slot, uint64_t id, shmipc_tlog_alive_fn alive,
				       void *arg, struct shmipc_tlog_settled *ret)
{
	memset(tx, 0, sizeof(*tx));
	tx->log = log;
	tx->entry = log->entry;
	tx->mask = log->mask;
	tx->stride = log->stride;
	tx->entries = log->hdr.entries;
	tx->pub = log->pub;
	tx->sub = log->sub;
	tx->line = &log->pub_line[slot];
	tx->slot = slot;
	tx->single = log->hdr.pubs == 1;
	tx->lend_after = SHMIPC_LEND_NEVER;
	tx->fence = shmipc_priv_tlog_fence;
	tx->info = (uint64_t)slot << SHMIPC_INFO_PUB;
	tx->sent = shmipc_load_relaxed(&tx->line->sent);
	tx->bytes = shmipc_load_relaxed(&tx->line->bytes);
	if (tx->single)
		shmipc_priv_tlog_resume_single(tx, ret);
	else
		shmipc_priv_tlog_resume_many(tx, alive, arg, ret);
	shmipc_store_relaxed(&tx->line->wait_slot, (__u64)0);
	shmipc_store_relaxed(&tx->line->id, (__u64)id);
	/* tlog.L0 -> tlog.L1 */
	shmipc_store_release(&tx->line->claim, (__u64)SHMIPC_CLAIM_NONE);
	shmipc_priv_tlog_raise(&log->pub->pubs_used, (uint64_t)slot + 1);
}

/* Whatever the numbers are: they may come from a hostile peer. */
SHMIPC_INLINE int shmipc_priv_tlog_beyond(const struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	return seq >= tx->limit || tx->limit - seq < n;
}

/* Up to which number may we claim now? The entry after those has its memory, too. 1: less. */
SHMIPC_COLD int shmipc_priv_tlog_limit(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	uint64_t had = shmipc_priv_tlog_end(tx->log);

	/* tlog.K1 <- tlog.K0: clear makes the floor that it depends on visible. */
	tx->limit = shmipc_load_acquire(&tx->pub->clear) + tx->entries;
	if (tx->limit >= had)
		tx->limit = had ? had - 1 : 0;
	/* tlog.F0 -> tlog.F1: the floor is visible before any byte that is written after. */
	shmipc_fence_release();
	return shmipc_priv_tlog_beyond(tx, seq, n);
}

/* Nothing was claimed: the announcement must not hold back the floor. */
SHMIPC_INLINE void shmipc_tlog_unclaim(struct shmipc_tlog_tx *tx)
{
	if (!tx->single)
		/* tlog.L0 -> tlog.L1 */
		shmipc_store_release(&tx->line->claim, (__u64)SHMIPC_CLAIM_NONE);
}

/* 0: another publisher wants the tail back. */
SHMIPC_INLINE int shmipc_priv_tlog_claim_lent(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	/* tlog.L0 -> tlog.L1; tlog.B1 <- tlog.B0: our line, then the check whether the tail is ours. */
	shmipc_store_release(&tx->line->claim, seq << SHMIPC_CLAIM_BITS | n);
	shmipc_barrier_light();
	if (shmipc_unlikely(shmipc_load_relaxed(&tx->pub->tail) != tx->lent))
		return 0;
	tx->next = seq + n;
	return 1;
}

/* The tail was lent to us, and is wanted back. 1: the numbers are still ours. */
SHMIPC_COLD int shmipc_priv_tlog_give_back(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n)
{
	tx->lent = 0;
	tx->streak = 0;
	if (tx->lend_after < SHMIPC_LEND_AFTER_MAX)
		tx->lend_after *= 4;
	(void)shmipc_tlog_recall(tx->log, tx->slot, tx->fence);
	return shmipc_priv_tlog_ours(tx->log, seq, n, tx->slot);
}

/* The new tail after the numbers before @seq: @seq, or lent to us. */
SHMIPC_COLD uint64_t shmipc_priv_tlog_borrow(struct shmipc_tlog_tx *tx, uint64_t seq)
{
	/* Relaxed: it takes effect with the compare-and-swap that follows. */
	shmipc_store_relaxed(&tx->line->next, (__u64)seq);
	return SHMIPC_TAIL_LENT | seq << SHMIPC_TAIL_START | tx->slot;
}

/* We stop publishing: others need no fence to get the tail. */
SHMIPC_INLINE void shmipc_tlog_tx_exit(struct shmipc_tlog_tx *tx)
{
	if (tx->lent)
		(void)shmipc_tlog_recall(tx->log, tx->slot, tx->fence);
	tx->lent = 0;
}

/**
 * shmipc_tlog_claim - claim the next @n numbers
 * @tx:      the publishing end
 * @n:       1 to SHMIPC_CLAIM_MAX, and at most an eighth of the entries; in a topic with
 *           abort_ns to SHMIPC_CLAIM_ABORTS_MAX, and then shmipc_tlog_start()
 * @ret_seq: the first
 *
 * Return: 0; -EAGAIN if there is no room, or no memory yet: shmipc_tlog_make_room().
 * (Also if others were faster a thousand times, which only hostile peers are.)
 */
SHMIPC_INLINE int shmipc_tlog_claim(struct shmipc_tlog_tx *tx, uint32_t n, uint64_t *ret_seq)
{
	uint64_t to;
	__u64 seq;
	int tries;

	if (tx->single) {
		seq = tx->next;
		if (shmipc_unlikely(shmipc_priv_tlog_beyond(tx, seq, n)) && shmipc_priv_tlog_limit(tx, seq, n))
			return -EAGAIN;
		if (n > 1)
			/* Relaxed: of interest when we are dead: how much belongs together. */
			shmipc_store_relaxed(&tx->line->claim, seq << SHMIPC_CLAIM_BITS | n);
		*ret_seq = seq;
		return 0;
	}
	if (tx->lent) {
		seq = tx->next;
		if (shmipc_unlikely(shmipc_priv_tlog_beyond(tx, seq, n)) && shmipc_priv_tlog_limit(tx, seq, n))
			return -EAGAIN;
		*ret_seq = seq;
		if (shmipc_likely(shmipc_priv_tlog_claim_lent(tx, seq, n)) ||
		    shmipc_priv_tlog_give_back(tx, seq, n))
			return 0;
	}
	seq = shmipc_load_relaxed(&tx->pub->tail);
	for (tries = 0; tries < SHMIPC_TLOG_TRIES; tries++) {
		if (shmipc_unlikely(seq & SHMIPC_TAIL_LENT)) {
			shmipc_tlog_unclaim(tx);
			seq = shmipc_tlog_recall(tx->log, tx->slot, tx->fence);
			continue;
		}
		if (shmipc_unlikely(shmipc_priv_tlog_beyond(tx, seq, n)) && shmipc_priv_tlog_limit(tx, seq, n))
			return -EAGAIN;
		to = seq + n;
		if (shmipc_unlikely(tx->streak >= tx->lend_after))
			to = shmipc_priv_tlog_borrow(tx, to);
		/*
		 * tlog.L0 -> tlog.L1: a peer that sees this claim instead of our last one
		 * sees what we have committed before.
		 */
		shmipc_store_release(&tx->line->claim, seq << SHMIPC_CLAIM_BITS | n);
		/* tlog.T0 -> tlog.T1: our claim is in our line before the number is ours. */
		if (shmipc_likely(shmipc_cas_acq_rel(&tx->pub->tail, &seq, (__u64)to))) {
			tx->streak = seq == tx->next ? tx->streak + 1 : 0;
			tx->next = seq + n;
			tx->lent = to & SHMIPC_TAIL_LENT ? to : 0;
			*ret_seq = seq;
			return 0;
		}
	}
	return -EAGAIN;
}

SHMIPC_INLINE struct shmipc_entry *shmipc_tlog_tx_entry(const struct shmipc_tlog_tx *tx, uint64_t seq)
{
	return (struct shmipc_entry *)(void *)(tx->entry + (seq & tx->mask) * tx->stride);
}

/* The words of messages are stored: for how many of them, from @seq on, may others sleep? */
SHMIPC_INLINE uint32_t shmipc_priv_tlog_wanted(const struct shmipc_tlog_tx *tx, uint64_t seq,
					       uint32_t n)
{
	uint64_t want;

	/* wait.W0 -> wait.W1: the word, then want; the sleeper uses the opposite order. */
	if (shmipc_unlikely(tx->full_fence))
		shmipc_fence_seq_cst();
	else
		shmipc_barrier_light();
	want = shmipc_load_relaxed(&tx->sub->want);
	if (shmipc_likely(want <= seq))
		return 0;
	return want - seq < n ? (uint32_t)(want - seq) : n;
}

/**
 * shmipc_tlog_commit - make claimed messages visible
 * @tx:    the publishing end
 * @seq:   the first
 * @n:     how many; all filled
 * @state: SHMIPC_ENTRY_CELL or SHMIPC_ENTRY_POOL
 * @bytes: of payload in all of them
 *
 * Stores the words from the last to the first. Subscribers read in order, so the last
 * store makes all of them visible. If we die after the first store, the rest counts as
 * committed, see shmipc_tlog_fate().
 *
 * Not in a topic with abort_ns: there shmipc_tlog_finish().
 *
 * Return: usually 0; else the number of messages, from @seq on, for which others may
 * sleep: wake all sleepers on the word of each. (The first is enough for subscribers
 * to every message; with a stride they sleep on a later one.)
 */
SHMIPC_INLINE uint32_t shmipc_tlog_commit(struct shmipc_tlog_tx *tx, uint64_t seq, uint32_t n,
					 enum shmipc_entry_state state, uint64_t bytes)
{
	uint64_t i = seq + n;

	while (i-- > seq)
		/* tlog.R0 -> tlog.A0: the entry and its message before its word. */
		shmipc_store_release(&shmipc_tlog_tx_entry(tx, i)->word,
				     (__u64)(i << 2 | (uint64_t)state));
	tx->sent += n;
	tx->bytes += bytes;
	if (tx->single) {
		tx->next = seq + n;
		/* tlog.R0 -> tlog.A0: before the number with which new subscribers begin. */
		shmipc_store_release(&tx->pub->tail, (__u64)tx->next);
		if (n > 1)
			/* Relaxed: see shmipc_tlog_claim(). */
			shmipc_store_relaxed(&tx->line->claim, (__u64)SHMIPC_CLAIM_NONE);
	} else {
		if (tx->lent)
			/* tlog.N0 -> tlog.N1: before the claim is dropped, and the tail of newcomers. */
			shmipc_store_release(&tx->line->next, (__u64)tx->next);
		/* tlog.L0 -> tlog.L1: committed before the claim is dropped. */
		shmipc_store_release(&tx->line->claim, (__u64)SHMIPC_CLAIM_NONE);
	}
	shmipc_store_relaxed(&tx->line->sent, (__u64)tx->sent);
	shmipc_store_relaxed(&tx->line->bytes, (__u64)tx->bytes);
	return shmipc_priv_tlog_wanted(tx, seq, n);
}

/**
 * shmipc_tlog_fill - write a claimed message into its cell
 * @tx:         the publishing end
 * @seq:        its number
 * @prefix:     the bytes before the payload; may be NULL if @prefix_len is 0
 * @prefix_len: a multiple of 8
 * @buf:        the payload
 * @len:        its bytes; with the prefix at most cell_bytes
 * @flags:      SHMIPC_INFO_HEADERS or 0
 */
SHMIPC_INLINE void shmipc_tlog_fill(struct shmipc_tlog_tx *tx, uint64_t seq, const void *prefix,
				   size_t prefix_len, const void *buf, size_t len, uint64_t flags)
{
	struct shmipc_entry *e = shmipc_tlog_tx_entry(tx, seq);
	unsigned char *cell = shmipc_tlog_cell(e);

	if (shmipc_unlikely(prefix_len)) {
		shmipc_racy_write(cell, prefix, prefix_len);
		cell += prefix_len;
	}
	shmipc_racy_write(cell, buf, len);
	/*
	 * Last: subscribers look at this line all the time, and would take it away again before
	 * the word is stored.
	 */
	shmipc_compiler_barrier();
	shmipc_store_relaxed(&e->info, (__u64)(tx->info | flags | (uint64_t)len |
					       (uint64_t)(prefix_len / 8) << SHMIPC_INFO_PREFIX));
}

/* Write the location of a claimed message in the pool; see shmipc_tlog_fill(). */
SHMIPC_INLINE void shmipc_tlog_fill_pool(struct shmipc_tlog_tx *tx, uint64_t seq, size_t prefix_len,
					size_t len, uint64_t flags, uint64_t off, uint64_t chunks)
{
	struct shmipc_entry *e = shmipc_tlog_tx_entry(tx, seq);
	struct shmipc_entry_pool *p = (struct shmipc_entry_pool *)(void *)shmipc_tlog_cell(e);

	shmipc_store_relaxed(&e->info, (__u64)(tx->info | flags | (uint64_t)len |
					       (uint64_t)(prefix_len / 8) << SHMIPC_INFO_PREFIX));
	shmipc_store_relaxed(&p->off, (__u64)off);
	shmipc_store_relaxed(&p->chunks, (__u64)chunks);
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_TX_H */
