// SPDX-License-Identifier: MIT
/*
 * pub_wait.c - a publisher without room: what is in the way
 *
 * Dead peers are ignored at once. A subscriber of policy EVICT has the topic's time to
 * move. For the others the publisher sleeps on the position of the subscriber, which
 * wakes it when the position has moved far enough, or when the subscriber dies. Another
 * publisher may be in the way, too, which is stopped before its commit: topic_abort.c.
 */
#include <errno.h>
#include <string.h>

#include "topic/topic.h"

static uint32_t peer_of(const struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	return b->who == SHMIPC_TLOG_SUB ? p->t.seg->log.hdr.pubs + b->slot : b->slot;
}

/* For people: the peer in the way. */
void shmipc_pub_note(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
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

	if (!shmipc_probe_on(&shmipc_death_semaphore))
		return;
	shmipc_slot_info(p->t.seg, peer, &info);
	shmipc_probe_death(p->t.seg, p->t.end.slot, peer, info.pid, role);
}

/* A publisher died with numbers claimed: subscribers that sleep for them continue. */
static bool bury_pub(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b)
{
	bool dead = !shmipc_topic_pub_alive(p->t.seg, b->slot);

	/* Of one that is alive, its claim may say what becomes of its messages. */
	if ((!dead && !p->t.seg->log.hdr.abort_ns) ||
	    !shmipc_topic_settle(p->t.seg, p->t.end.slot, b->slot))
		return false;
	if (dead)
		tell_death(p, b->slot, SHMIPC_ROLE_PRODUCER);
	return true;
}

/* Has the time of this subscriber passed? *@until_ns: when it will have. */
static bool patience_over(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b,
			  uint64_t need, uint64_t *ret_until_ns)
{
	uint64_t now = shmipc_now_ns();

	*ret_until_ns = SHMIPC_FOREVER;
	if (b->policy != SHMIPC_POLICY_EVICT)
		return false;
	/* Not since it last moved: a slow subscriber must not block us forever. */
	if (p->patience_state != b->state || p->patience_need != need) {
		p->patience_state = b->state;
		p->patience_need = need;
		p->patience_from_ns = now;
	}
	*ret_until_ns = shmipc_later(p->patience_from_ns, p->t.seg->log.hdr.evict_ns);
	return now >= *ret_until_ns;
}

/* Its slot is free to read; the kernel is asked now and then. */
static bool sub_lives(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, bool sure)
{
	uint64_t now = shmipc_now_ns();

	if (now >= p->ask_ns)
		sure = true;
	if (sure)
		p->ask_ns = now + TOPIC_SURE_NS;
	return shmipc_topic_sub_alive(p->t.seg, b->slot, b->state >> 16, sure);
}

bool shmipc_pub_bury(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, bool sure)
{
	if (b->who == SHMIPC_TLOG_PUB)
		return bury_pub(p, b);
	if (b->who != SHMIPC_TLOG_SUB || sub_lives(p, b, sure))
		return false;
	tell_death(p, peer_of(p, b), SHMIPC_ROLE_READER);
	(void)shmipc_tlog_evict(&p->t.seg->log, b, 1);
	return true;
}

/* Can the peer in the way be dealt with at once? */
static bool resolve(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, uint64_t need,
		    bool sure, uint64_t *ret_until_ns)
{
	struct shmipc_segment *seg = p->t.seg;
	const struct shmipc_sub_line *line;

	*ret_until_ns = SHMIPC_FOREVER;
	if (shmipc_pub_bury(p, b, sure))
		return true;
	if (b->who == SHMIPC_TLOG_PUB)
		return shmipc_topic_stalled(&p->t, b->pos, ret_until_ns);
	if (b->who != SHMIPC_TLOG_SUB || !patience_over(p, b, need, ret_until_ns))
		return false;
	if (shmipc_tlog_evict(&seg->log, b, 0))	/* not if another publisher was first */
		shmipc_add_relaxed(&seg->log.pub->evictions, 1);
	p->evicted++;
	shmipc_probe_evict(seg, p->t.end.slot, peer_of(p, b), b->policy);
	/* It may sleep, or expect more: it must be told. */
	line = shmipc_tlog_sub(&seg->log, b->slot);
	shmipc_wake(seg, p->t.end.slot, shmipc_low32(&line->pos), need);
	return true;
}

/* The word whose change allows us to continue, if there is one. */
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

/* One wait for the peer that is in the way. */
struct room_wait {
	struct shmipc_pub_priv *p;
	const struct shmipc_tlog_block *b;
	shmipc_pub_again_fn again;
	void *arg;
	const __u64 *word;	/* of the peer in the way, and its value */
	uint64_t was;
	uint64_t need;
	uint64_t want;		/* after @need: a lot at once would be better */
	uint64_t until_ns;	/* then it is evicted, or aborted */
	bool fresh;		/* it has just been found in the way */
	bool pool;		/* it holds a message in the pool */
	uint32_t asked;		/* sleeps that asked for a lot */
};

static bool room_ready(void *arg)
{
	const struct room_wait *r = arg;

	return shmipc_load_relaxed(r->word) != r->was;
}

static const __u64 *room_poll(void *arg, uint64_t *ret_val)
{
	const struct room_wait *r = arg;

	*ret_val = r->was;
	return r->word;
}

/*
 * It may have moved for the last time between the check that found it in the way and
 * ours: when spinning, check again now and then.
 */
static int room_settle(void *arg, bool sure)
{
	struct room_wait *r = arg;
	bool fresh = r->fresh;

	r->fresh = false;
	return resolve(r->p, r->b, r->need, sure, &r->until_ns) || !fresh;
}

/* No other publisher is attached: none has announced a want. */
static bool is_alone(const struct shmipc_pub_priv *p)
{
	struct shmipc_segment *seg = p->t.seg;
	uint32_t slot, n = shmipc_priv_tlog_pubs(&seg->log);

	for (slot = 0; slot < n; slot++)
		if (slot != p->t.end.slot &&
		    seg->be->state(seg, slot, false) == SHMIPC_PEER_ATTACHED)
			return false;
	return true;
}

/*
 * Room for this message is enough; a lot at once is better. With several publishers the
 * largest want counts, see shmipc_tlog_moved(). A publisher that is alone reduces its own
 * want again if that had no effect for a while.
 */
static uint64_t room_want(void *arg)
{
	struct room_wait *r = arg;
	__u64 *want = &r->p->pub.tx.pub->room_want, was = r->want;

	if (r->want > r->need && r->asked++) {
		r->want = r->need;
		/* tlog.Z0 -> tlog.Z1: as when it is raised. */
		if (is_alone(r->p))
			(void)shmipc_cas_acq_rel(want, &was, r->need);
	}
	/* No honest want is behind the tail, which is read after it: correct a wrong one. */
	was = shmipc_load_acquire(want);
	if (was > shmipc_tlog_tail(&r->p->t.seg->log))
		(void)shmipc_cas_acq_rel(want, &was, r->want);
	shmipc_priv_tlog_raise(want, r->want);
	return r->want;
}

/* Is the same peer in the way as before? We sleep on it. */
static bool same_blocks(const struct room_wait *r)
{
	struct shmipc_tlog_block b;

	return r->again(r->p, r->arg, &b) && b.who == r->b->who && b.slot == r->b->slot &&
	       b.state == r->b->state;
}

/* A tick is needed where a change may not wake us: of a claim, or of a group's cursor. */
static enum shmipc_tick room_tick(const struct room_wait *r)
{
	if (r->b->who == SHMIPC_TLOG_PUB)
		return SHMIPC_TICK_POLL;
	if (r->want > r->need || r->pool || shmipc_sub_state_group(r->b->state) ||
	    !is_alone(r->p) || shmipc_load_relaxed(&r->p->pub.tx.pub->room_want) != r->want)
		return SHMIPC_TICK_ROOM;
	return SHMIPC_TICK_NONE;
}

static bool room_look(void *arg, struct shmipc_wait_set *set)
{
	struct room_wait *r = arg;
	struct shmipc_segment *seg = r->p->t.seg;

	/* tlog.P1 <- tlog.P0, group.G1 <- group.G0 */
	r->was = shmipc_load_acquire(r->word);
	shmipc_watch_word(seg, set, shmipc_low32(r->word), (uint32_t)r->was);
	seg->be->watch_peer(seg, set, peer_of(r->p, r->b));
	/* Publishers that attach need room, too. */
	seg->be->watch_peers(seg, set, shmipc_priv_tlog_pubs(&seg->log));
	if (!same_blocks(r))
		return false;
	r->fresh = true;
	shmipc_wait_set_tick(set, room_tick(r));
	if (set->until_ns > r->until_ns)
		set->until_ns = r->until_ns;
	return true;
}

static void room_tell(void *arg, const uint32_t *word, int ret)
{
	const struct room_wait *r = arg;
	struct shmipc_pub_priv *p = r->p;
	struct shmipc_pub_line *line = p->pub.tx.line;
	uint64_t off = shmipc_probe_off(p->t.seg, word);

	if (ret > 0) {
		shmipc_store_relaxed(&line->wait_slot, (__u64)peer_of(p, r->b) + 1);
		shmipc_store_relaxed(&line->waits, (__u64)++p->waits);
		shmipc_probe_wait(p->t.seg, p->t.end.slot, off,
				  r->need - 1 + p->t.seg->log.hdr.entries, SHMIPC_ROLE_PRODUCER);
		return;
	}
	shmipc_store_relaxed(&line->wait_slot, (__u64)0);
	shmipc_probe_wait_end(p->t.seg, p->t.end.slot, off, (int64_t)ret, SHMIPC_ROLE_PRODUCER);
}

static const struct shmipc_wait_ops room_ops = {
	.ready = room_ready,
	.poll = room_poll,
	.settle = room_settle,
	.want = room_want,
	.look = room_look,
	.tell = room_tell,
};

static void tell_full(const struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b,
		      uint64_t need)
{
	uint64_t tail = shmipc_tlog_tail(p->pub.tx.log);

	shmipc_probe_full(p->t.seg, p->t.end.slot, need - 1 + p->t.seg->log.hdr.entries,
			  b->who == SHMIPC_TLOG_NOBODY ? SHMIPC_PROBE_NOBODY : peer_of(p, b),
			  tail > b->pos ? tail - b->pos : 0);
}

static void begin(struct room_wait *r)
{
	const struct shmipc_tlog *log = &r->p->t.seg->log;
	uint64_t tail = shmipc_tlog_tail(log);

	r->word = word_of(r->p, r->b);
	r->was = shmipc_load_relaxed(r->word);
	r->want = r->b->pos + log->lot;
	if (r->want > tail)
		r->want = tail;
	if (r->want < r->need)
		r->want = r->need;
	r->fresh = true;
}

/**
 * shmipc_pub_wait - wait until the peer in the way has moved, or gone
 * @p:           the publisher; without a claim
 * @b:           the peer in the way
 * @need:        the position that it must reach
 * @pool:        wait for room in the pool, not in the log
 * @again:       is it still in the way?
 * @arg:         for @again
 * @deadline_ns: absolute
 *
 * Return: 0: try again; -EAGAIN, -ETIMEDOUT, -EINTR.
 */
int shmipc_pub_wait(struct shmipc_pub_priv *p, const struct shmipc_tlog_block *b, uint64_t need,
		    bool pool, shmipc_pub_again_fn again, void *arg, uint64_t deadline_ns)
{
	struct room_wait r = { .p = p, .b = b, .again = again, .arg = arg, .need = need,
			       .pool = pool };
	int ret;

	if (resolve(p, b, need, false, &r.until_ns))
		return 0;
	tell_full(p, b, need);
	if (b->who != SHMIPC_TLOG_NOBODY) {
		begin(&r);
		ret = shmipc_wait_one(&p->t.wait, &room_ops, &r, deadline_ns);
	} else if (deadline_ns && shmipc_now_ns() < deadline_ns) {
		shmipc_cpu_relax();	/* two publishers blocked each other */
		return 0;
	} else {
		ret = deadline_ns ? -ETIMEDOUT : -EAGAIN;
	}
	if (ret == -EAGAIN || ret == -ETIMEDOUT)
		shmipc_pub_note(p, b);
	return ret;
}
