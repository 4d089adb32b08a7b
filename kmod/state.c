// SPDX-License-Identifier: GPL-2.0-only
/*
 * state.c - positions of segments and peers, read from the shared pages
 *
 * The offsets of the words are taken once, before a process can map the segment, from
 * the header that its creator wrote, and are looked up in the module's table of pages.
 * So a false header leads to other words of the same segment, or to none. The values
 * are whatever peers wrote: they are read once, and only shown.
 */
#include <linux/log2.h>

#include <linux/shmipc_topic.h>

#include "shmipc.h"

static u64 word_at(const struct shmipc_segment *seg, u64 off)
{
	const u64 *word = shmipc_memory_addr(&seg->mem, off);

	return word ? READ_ONCE(*word) : 0;
}

/* Number of a topic's next message, also while the tail is lent to a publisher. */
static u64 topic_tail(const struct shmipc_segment *seg)
{
	u64 tail = word_at(seg, seg->at.prod + offsetof(struct shmipc_pub_ctl, tail));
	u64 slot = tail & SHMIPC_TAIL_SLOT, start, next = 0;

	if (!(tail & SHMIPC_TAIL_LENT))
		return tail;
	start = (tail & ~(SHMIPC_TAIL_LENT | SHMIPC_TAIL_RECALLED)) >> SHMIPC_TAIL_START;
	if (slot < seg->at.pubs)
		next = word_at(seg, seg->at.pub_lines + slot * sizeof(struct shmipc_pub_line) +
			       offsetof(struct shmipc_pub_line, next));
	return max(start, next);
}

u64 shmipc_state_published(const struct shmipc_segment *seg)
{
	if (!seg->tail)
		return 0;
	return seg->at.pubs ? topic_tail(seg) : READ_ONCE(*seg->tail) & seg->pos_mask;
}

/* The sequence number that belongs to the position @word of a struct shmipc_cursor. */
static u64 cursor_seq(const struct shmipc_segment *seg, u64 cursor, u64 word)
{
	return word_at(seg, cursor + offsetof(struct shmipc_cursor, seq) +
		       sizeof(u64) * (word & SHMIPC_CURSOR_PARITY));
}

/* The offset in the segment of @off in the body; 0 if that is not valid. */
static u64 place(u64 body, u64 off)
{
	return off && off <= SHMIPC_DEV_BODY_MAX && IS_ALIGNED(off, sizeof(u64)) ? body + off : 0;
}

static void find_ring(struct shmipc_segment *seg, u64 body, const struct shmipc_ring_hdr *ring)
{
	struct shmipc_places *at = &seg->at;

	at->prod = place(body, ring->prod_off);
	at->cons = place(body, ring->cons_off);
	at->capacity = ring->size;
	seg->pos_mask = ~SHMIPC_CURSOR_PARITY;
	seg->tail = at->prod ? shmipc_memory_addr(&seg->mem, at->prod) : NULL;
	seg->head = at->cons ? shmipc_memory_addr(&seg->mem, at->cons) : NULL;
}

static void find_topic(struct shmipc_segment *seg, u64 body, const struct shmipc_topic_hdr *h)
{
	struct shmipc_places *at = &seg->at;
	u64 pub = place(body, h->pub_off), sub = place(body, h->sub_off);

	if (h->magic != SHMIPC_TOPIC_MAGIC || h->version != SHMIPC_TOPIC_VERSION || !pub || !sub)
		return;
	if (!h->pubs || h->pubs > SHMIPC_TOPIC_PUBS_MAX || h->subs > SHMIPC_TOPIC_SUBS_MAX ||
	    h->pubs + h->subs > seg->peers || h->holds > SHMIPC_TOPIC_HOLDS_MAX)
		return;
	at->pubs = h->pubs;
	at->subs = h->subs;
	at->capacity = h->entries;
	at->prod = pub;
	at->pub_lines = pub + sizeof(struct shmipc_pub_ctl);
	at->groups = sub + sizeof(struct shmipc_sub_ctl);
	at->sub_lines = at->groups + SHMIPC_TOPIC_GROUPS * sizeof(struct shmipc_group_line);
	at->sub_stride = ALIGN(sizeof(struct shmipc_sub_line) +
			       h->holds * sizeof(struct shmipc_hold), SHMIPC_LINE);
	seg->pos_mask = ~0ull;
	seg->tail = shmipc_memory_addr(&seg->mem, pub + offsetof(struct shmipc_pub_ctl, tail));
	seg->head = shmipc_memory_addr(&seg->mem, pub + offsetof(struct shmipc_pub_ctl, floor));
}

/* Find the words of a new segment, before other processes can map it. */
void shmipc_state_find(struct shmipc_segment *seg)
{
	u64 body = SHMIPC_DEV_BODY_OFF(seg->peers);
	const void *hdr = shmipc_memory_addr(&seg->mem, body);

	if (!hdr)
		return;
	if (seg->kind == SHMIPC_KIND_SPSC || seg->kind == SHMIPC_KIND_BCAST)
		find_ring(seg, body, hdr);
	else if (seg->kind == SHMIPC_KIND_TOPIC)
		find_topic(seg, body, hdr);
}

/* Fill in the positions of a ring's producer or consumer. */
static void ring_peer(const struct shmipc_segment *seg, struct shmipc_bpf_peer *ret)
{
	const struct shmipc_places *at = &seg->at;
	bool consumes = ret->role == SHMIPC_ROLE_CONSUMER;
	u64 cursor = consumes ? at->cons : at->prod, word, tail;

	/* The positions of a bcast ring's readers are not in shared memory. */
	if (!cursor || (!consumes && ret->role != SHMIPC_ROLE_PRODUCER))
		return;
	word = word_at(seg, cursor);
	ret->pos = word & seg->pos_mask;
	ret->messages = cursor_seq(seg, cursor, word);
	if (!consumes || !at->prod)
		return;
	/* The tail is read after the peer's position, so that the difference is not negative. */
	smp_rmb();
	tail = word_at(seg, at->prod);
	if ((tail & seg->pos_mask) > ret->pos) {
		ret->lag = (tail & seg->pos_mask) - ret->pos;
		ret->behind = cursor_seq(seg, at->prod, tail) - ret->messages;
	}
}

static void topic_pub(const struct shmipc_segment *seg, struct shmipc_bpf_peer *ret)
{
	u64 line = seg->at.pub_lines + ret->slot * sizeof(struct shmipc_pub_line), claim, tail;

	ret->messages = word_at(seg, line + offsetof(struct shmipc_pub_line, sent));
	/* The word is the slot plus 1; 0 becomes NO_SLOT. */
	ret->waits_for = word_at(seg, line + offsetof(struct shmipc_pub_line, wait_slot)) - 1;
	claim = word_at(seg, line + offsetof(struct shmipc_pub_line, claim));
	if (claim == SHMIPC_CLAIM_NONE)
		return;
	ret->pos = claim >> SHMIPC_CLAIM_BITS;
	/* The tail after the position, as in ring_peer(). */
	smp_rmb();
	tail = topic_tail(seg);
	ret->lag = tail > ret->pos ? tail - ret->pos : 0;
	ret->behind = ret->lag;
}

static void topic_sub(const struct shmipc_segment *seg, struct shmipc_bpf_peer *ret)
{
	const struct shmipc_places *at = &seg->at;
	u64 line = at->sub_lines + (ret->slot - at->pubs) * at->sub_stride, state, cursor, tail;

	state = word_at(seg, line + offsetof(struct shmipc_sub_line, state));
	ret->policy = state & 0xff;
	ret->group = state >> 8 & 0xff;
	ret->messages = word_at(seg, line + offsetof(struct shmipc_sub_line, received));
	ret->lost = word_at(seg, line + offsetof(struct shmipc_sub_line, lost));
	ret->holding = min_t(u64, word_at(seg, line + offsetof(struct shmipc_sub_line, holding)),
			     U32_MAX);
	ret->pos = word_at(seg, line + offsetof(struct shmipc_sub_line, pos));
	/* A member that is not taking a message now is where its group is. */
	if (ret->group && ret->group <= SHMIPC_TOPIC_GROUPS) {
		cursor = word_at(seg, at->groups +
				 (ret->group - 1) * sizeof(struct shmipc_group_line));
		if (cursor && cursor - 1 < ret->pos)
			ret->pos = cursor - 1;
	}
	/* The tail after the position, as in ring_peer(). */
	smp_rmb();
	tail = topic_tail(seg);
	ret->lag = ret->pos != SHMIPC_BPF_NO_POS && tail > ret->pos ? tail - ret->pos : 0;
	ret->behind = ret->lag;
}

/**
 * shmipc_state_peer - read the positions of a peer
 * @seg:  the caller keeps it from ending
 * @peer: a peer of it; the caller is in an RCU read section, or has a reference
 * @ret:  filled in
 */
void shmipc_state_peer(const struct shmipc_segment *seg, const struct shmipc_peer *peer,
		       struct shmipc_bpf_peer *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->id = shmipc_segment_id(seg);
	ret->generation = peer->generation;
	ret->pos = SHMIPC_BPF_NO_POS;
	ret->slot = peer->slot;
	ret->role = peer->role;
	ret->pid = peer->pid_nr;
	ret->waits_for = SHMIPC_BPF_NO_SLOT;
	memcpy(ret->comm, peer->comm, sizeof(ret->comm));
	if (seg->kind == SHMIPC_KIND_SPSC || seg->kind == SHMIPC_KIND_BCAST)
		ring_peer(seg, ret);
	else if (peer->slot < seg->at.pubs)
		topic_pub(seg, ret);
	else if (peer->slot - seg->at.pubs < seg->at.subs)
		topic_sub(seg, ret);
}

/* The peer in a slot if it is attached, else NULL. The caller is in an RCU read section. */
const struct shmipc_peer *shmipc_state_attached(const struct shmipc_segment *seg, u32 slot)
{
	const struct shmipc_peer *peer = rcu_dereference_check(seg->slot[slot],
								rcu_read_lock_any_held());

	return peer && READ_ONCE(peer->state) == SHMIPC_PEER_ATTACHED ? peer : NULL;
}

/* Records before this position may be overwritten: the mark of the producer's floor lot. */
static u64 bcast_floor(const struct shmipc_segment *seg)
{
	u64 lot = word_at(seg, seg->at.prod + offsetof(struct shmipc_prod, floor_lot));

	return word_at(seg, seg->at.prod + offsetof(struct shmipc_prod, marks) +
		       lot % SHMIPC_MARKS * sizeof(struct shmipc_mark));
}

/**
 * shmipc_state_read - read the positions of a segment, without its slowest receiver
 * @seg: the caller keeps it from ending
 * @ret: filled in
 */
void shmipc_state_read(const struct shmipc_segment *seg, struct shmipc_bpf_state *ret)
{
	const struct shmipc_places *at = &seg->at;
	u64 word;

	memset(ret, 0, sizeof(*ret));
	ret->id = shmipc_segment_id(seg);
	ret->kind = seg->kind;
	ret->slots = seg->peers;
	ret->attached = READ_ONCE(seg->attached);
	ret->waiters = atomic_read(&seg->waiters);
	ret->capacity = at->capacity;
	ret->slot = SHMIPC_BPF_NO_SLOT;
	if (!at->prod)
		return;
	ret->consumed = shmipc_segment_consumed(seg);
	word = word_at(seg, at->prod);
	ret->published = shmipc_state_published(seg);
	ret->messages = at->pubs ? ret->published : cursor_seq(seg, at->prod, word);
	if (seg->kind == SHMIPC_KIND_BCAST)
		ret->consumed = bcast_floor(seg);
}

/* Make @peer the slowest receiver of @state, if it is one and further behind. */
void shmipc_state_slowest(struct shmipc_bpf_state *state, const struct shmipc_bpf_peer *peer)
{
	if (peer->role == SHMIPC_ROLE_PRODUCER || peer->pos == SHMIPC_BPF_NO_POS)
		return;
	if (state->slot != SHMIPC_BPF_NO_SLOT && peer->lag <= state->lag)
		return;
	state->lag = peer->lag;
	state->behind = peer->behind;
	state->slot = peer->slot;
	state->pid = peer->pid;
}

#if IS_ENABLED(CONFIG_SHMIPC_KUNIT_TEST)
#include "state_test.c"
#endif
