// SPDX-License-Identifier: MIT
/*
 * pub_wait.c - a publisher for whom there is no room: who is in the way?
 *
 * The dead are looked away from at once. A subscriber of policy EVICT has the
 * topic's time to move. For the others the publisher sleeps: on the position of
 * the subscriber, which wakes it when it has come far enough, or dies.
 */
#include <errno.h>
#include <string.h>

#include "topic/topic.h"

#define TICK_FIRST_NS	1000000u
#define SPIN_LOOKS	64
#define SPIN_AGAIN_NS	UINT64_C(1000000)

static uint32_t peer_of(const struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	return b->who == SHMIPC_TLOG_SUB ? p->t.seg->log.hdr.pubs + b->slot : b->slot;
}

/* For people: who it is. */
static void note(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	struct shmipc_peer_info info;
	uint64_t tail = shmipc_tlog_tail(p->pub.tx.log);

	memset(&p->blocked, 0, sizeof(p->blocked));
	if (b->who == SHMIPC_TLOG_NOBODY)
		return;
	shmipc_slot_info(p->t.seg, peer_of(p, b), &info);
	p->blocked.role = b->who == SHMIPC_TLOG_SUB ? SHMIPC_ROLE_READER : SHMIPC_ROLE_PRODUCER;
	p->blocked.slot = info.slot;
	if (b->who == SHMIPC_TLOG_SUB)
		p->blocked.policy = shmipc_sub_state_policy(b->state);
	p->blocked.pid = info.pid;
	p->blocked.pos = b->pos;
	p->blocked.behind = tail > b->pos ? tail - b->pos : 0;
	memcpy(p->blocked.comm, info.comm, sizeof(p->blocked.comm));
}

static void tell_death(const struct shmipc_pub_priv *p, uint32_t peer, enum shmipc_role role)
{
	struct shmipc_peer_info info;

	if (!shmipc_probe_on(death))
		return;
	shmipc_slot_info(p->t.seg, peer, &info);
	shmipc_probe(death, p->t.seg, p->t.end.slot, peer, info.pid, role);
}

/* A publisher that died with numbers claimed: whoever sleeps for them goes on. */
static bool bury_pub(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	const struct shmipc_tlog *log = &p->t.seg->log;
	uint64_t claim = shmipc_load_relaxed(&log->pub_line[b->slot].claim), n;

	if (shmipc_topic_pub_alive(p->t.seg, b->slot))
		return false;
	n = shmipc_tlog_abort(log, b->slot, shmipc_topic_pub_alive, p->t.seg);
	if (!n)
		return false;
	shmipc_add_relaxed(&log->pub->aborted, n);
	tell_death(p, b->slot, SHMIPC_ROLE_PRODUCER);
	shmipc_probe(abort, p->t.seg, p->t.end.slot, b->slot, claim >> SHMIPC_CLAIM_BITS, n);
	shmipc_topic_wake(p->t.seg, p->t.end.slot, claim >> SHMIPC_CLAIM_BITS, claim & SHMIPC_CLAIM_MAX);
	return true;
}

/* Has the time of this subscriber passed? *@until_ns: when it will. */
static bool patience_over(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b,
			  uint64_t need, uint64_t *ret_until_ns)
{
	uint64_t now = shmipc_now_ns();

	*ret_until_ns = SHMIPC_FOREVER;
	if (b->policy != SHMIPC_POLICY_EVICT)
		return false;
	/* Not since it last moved: one that crawls must not hold us up for ever. */
	if (p->patience_state != b->state || p->patience_need != need) {
		p->patience_state = b->state;
		p->patience_need = need;
		p->patience_from_ns = now;
	}
	*ret_until_ns = p->patience_from_ns + p->t.seg->log.hdr.evict_ns;
	return now >= *ret_until_ns;
}

/* Its slot says so for nothing; the kernel is asked now and then. */
static bool sub_lives(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	struct shmipc_segment *seg = p->t.seg;
	uint64_t now = shmipc_now_ns();

	if (now - p->asked_ns >= TOPIC_SURE_TICK_NS) {
		p->asked_ns = now;
		return shmipc_topic_sub_alive(seg, b->slot, b->state >> 16, true);
	}
	return shmipc_topic_sub_alive(seg, b->slot, b->state >> 16, false);
}

/* Is there something about who is in the way that can be done at once? */
static bool resolve(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, uint64_t need,
		    uint64_t *ret_until_ns)
{
	struct shmipc_segment *seg = p->t.seg;
	const struct shmipc_sub_line *line;

	*ret_until_ns = SHMIPC_FOREVER;
	if (b->who == SHMIPC_TLOG_PUB)
		return bury_pub(p, b);
	if (b->who != SHMIPC_TLOG_SUB)
		return false;
	if (!sub_lives(p, b)) {
		tell_death(p, peer_of(p, b), SHMIPC_ROLE_READER);
		(void)shmipc_tlog_evict(&seg->log, b, 1);
		return true;
	}
	if (!patience_over(p, b, need, ret_until_ns))
		return false;
	if (shmipc_tlog_evict(&seg->log, b, 0))	/* not when another publisher was first */
		shmipc_add_relaxed(&seg->log.pub->evictions, 1);
	p->evicted++;
	shmipc_probe(evict, seg, p->t.end.slot, peer_of(p, b), b->policy, 0);
	/* It may sleep, or look for more: it should know. */
	line = shmipc_tlog_sub(&seg->log, b->slot);
	shmipc_wake(seg, p->t.end.slot, shmipc_low32(&line->pos), need);
	return true;
}

/* The word whose change lets us go on, as far as there is one. */
static const __u64 *word_of(const struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	const struct shmipc_tlog *log = &p->t.seg->log;
	uint32_t group = shmipc_sub_state_group(b->state);

	if (b->who == SHMIPC_TLOG_PUB)
		return &log->pub_line[b->slot].claim;
	if (group && group <= SHMIPC_TOPIC_GROUPS)
		return &log->group[group - 1].cursor;
	return &shmipc_tlog_sub(log, b->slot)->pos;
}

static uint64_t tick_ns(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	uint64_t ns = p->room_tick_ns;

	if (p->room_tick_pos != b->pos || !ns)
		ns = TICK_FIRST_NS;
	p->room_tick_pos = b->pos;
	p->room_tick_ns = ns < TOPIC_SURE_TICK_NS / 2 ? 2 * ns : TOPIC_SURE_TICK_NS;
	return b->who == SHMIPC_TLOG_SUB ? ns : TICK_FIRST_NS;
}

/*
 * Until the word moves. It may have moved for the last time between the look that
 * found it in the way and ours, or its owner may have died: who always spins looks
 * again now and then.
 */
static bool spin(struct shmipc_pub_priv *p, const __u64 *word, uint64_t deadline_ns)
{
	uint64_t was = shmipc_load_relaxed(word), now = shmipc_now_ns(), end;
	int i;

	if (!p->t.spin_ns)
		return false;
	end = now + (p->t.spin_ns == SHMIPC_SPIN_ALWAYS ? SPIN_AGAIN_NS : p->t.spin_ns);
	do {
		for (i = 0; i < SPIN_LOOKS; i++) {
			if (shmipc_load_relaxed(word) != was)
				return true;
			shmipc_cpu_relax();
		}
		now = shmipc_now_ns();
	} while (now < end && now < deadline_ns);
	return p->t.spin_ns == SHMIPC_SPIN_ALWAYS;
}

static int sleep_for(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, uint64_t need,
		     uint64_t until_ns)
{
	const struct shmipc_tlog *log = &p->t.seg->log;
	const __u64 *word = word_of(p, b);
	uint64_t want = b->pos + log->lot, tail = shmipc_tlog_tail(log), val;
	uint32_t peer = peer_of(p, b), peer_word;
	int ret;

	/* Enough is what this message needs; better is a lot at once. */
	if (want > tail)
		want = tail;
	if (want < need)
		want = need;
	/* Of several publishers the largest counts, see shmipc_tlog_moved(). */
	shmipc_priv_tlog_raise(&p->pub.tx.pub->room_want, want);
	/* wait.W3 <- wait.W2: the want is visible before we look again. */
	(void)shmipc_barrier_heavy();
	peer_word = shmipc_load_relaxed(&shmipc_segment_slot(p->t.seg, peer)->word);
	val = shmipc_load_acquire(word);
	if (b->who == SHMIPC_TLOG_SUB && !shmipc_sub_state_group(b->state) && val >= want)
		return 0;
	p->t.sleeps++;
	shmipc_store_relaxed(&p->pub.tx.line->wait_slot, (__u64)peer + 1);
	shmipc_store_relaxed(&p->pub.tx.line->waits, (__u64)++p->waits);
	shmipc_probe(wait, p->t.seg, p->t.end.slot, shmipc_probe_off(p->t.seg, shmipc_low32(word)),
		     need - 1 + log->hdr.entries, SHMIPC_ROLE_PRODUCER);
	ret = p->t.seg->be->wait(p->t.seg, shmipc_low32(word), (uint32_t)val, peer,
				 peer_word & ~SHMIPC_PEER_WATCHED, until_ns);
	shmipc_probe(wait_end, p->t.seg, p->t.end.slot,
		     shmipc_probe_off(p->t.seg, shmipc_low32(word)), (int64_t)ret,
		     SHMIPC_ROLE_PRODUCER);
	shmipc_store_relaxed(&p->pub.tx.line->wait_slot, (__u64)0);
	return ret == -EINTR ? ret : 0;
}

static void tell_full(const struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b,
		      uint64_t need)
{
	uint64_t tail = shmipc_tlog_tail(p->pub.tx.log);

	shmipc_probe(full, p->t.seg, p->t.end.slot, need - 1 + p->t.seg->log.hdr.entries,
		     b->who == SHMIPC_TLOG_NOBODY ? SHMIPC_PROBE_NOBODY : peer_of(p, b),
		     tail > b->pos ? tail - b->pos : 0);
}

/**
 * shmipc_pub_wait - wait until who is in the way has moved, or gone
 * @p:           the publisher; without a claim
 * @b:           who it is
 * @need:        where it should be
 * @deadline_ns: absolute
 *
 * Return: 0: try again; -EAGAIN, -ETIMEDOUT, -EINTR.
 */
int shmipc_pub_wait(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, uint64_t need,
		    uint64_t deadline_ns)
{
	uint64_t until_ns, now, tick;

	if (resolve(p, b, need, &until_ns))
		return 0;
	tell_full(p, b, need);
	if (!deadline_ns) {
		note(p, b);
		return -EAGAIN;
	}
	now = shmipc_now_ns();
	if (now >= deadline_ns) {
		note(p, b);
		return -ETIMEDOUT;
	}
	if (b->who == SHMIPC_TLOG_NOBODY) {	/* two that were in each other's way */
		shmipc_cpu_relax();
		return 0;
	}
	if (spin(p, word_of(p, b), deadline_ns < until_ns ? deadline_ns : until_ns))
		return 0;
	tick = shmipc_now_ns() + tick_ns(p, b);
	if (until_ns > tick)
		until_ns = tick;
	return sleep_for(p, b, need, until_ns < deadline_ns ? until_ns : deadline_ns);
}
