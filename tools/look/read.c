// SPDX-License-Identifier: MIT
/* read.c - one segment, as it is now */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "read.h"
#include "../util/util.h"

uint64_t look_id(const uint8_t id[16])
{
	uint64_t v;

	memcpy(&v, id, sizeof(v));
	return v;
}

/* Peers move on between two reads, and may write nonsense: never below 0. */
static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static double share(uint64_t used, uint64_t of)
{
	return !of ? 0 : used >= of ? 1 : (double)used / (double)of;
}

static void take_info(struct look_seg *s, const struct shmipc_segment_info *info, int in_use)
{
	s->info = *info;
	s->in_use = in_use;
	s->id = look_id(info->id);
}

static struct look_end *add_end(struct look_seg *s, const struct shmipc_peer_info *p)
{
	struct look_end *e = &s->end[s->nends++];

	*e = (struct look_end){
		.slot = p->slot, .role = p->role, .state = p->state, .pid = p->pid,
		.generation = p->generation, .since_ns = p->since_ns, .waits_for = LOOK_NOBODY,
	};
	memcpy(e->comm, p->comm, sizeof(e->comm));
	return e;
}

static void take_pub(struct look_seg *s, const struct shmipc_topic_pub_info *p)
{
	struct look_end *e = add_end(s, &p->peer);

	e->role = SHMIPC_ROLE_PRODUCER;
	e->sent = p->sent;
	e->bytes = p->bytes;
	e->waits = p->waits;
	e->chunks = p->chunks;
	if (e->state != SHMIPC_PEER_ATTACHED)
		return;
	s->publishers++;
	if (!p->waits_for)
		return;
	e->waits_for = p->waits_for - 1;
	s->waiters++;
}

/* The end with the largest lag; of equal ones the first. */
static void note_lag(struct look_seg *s, const struct look_end *e)
{
	if (s->laggard != LOOK_NOBODY && e->lag <= s->max_lag)
		return;
	s->max_lag = e->lag;
	s->laggard = (uint32_t)(e - s->end);
}

static void take_sub(struct look_seg *s, const struct shmipc_topic_sub_info *sub)
{
	struct look_end *e = add_end(s, &sub->peer);
	double full;

	e->role = SHMIPC_ROLE_READER;
	e->policy = sub->policy;
	e->group = sub->group;
	e->pos = sub->pos;
	e->lag = sub->lag;
	e->received = sub->received;
	e->lost = sub->lost;
	e->holding = sub->holding;
	e->evicted = sub->evicted;
	s->received += e->received;
	s->lost += e->lost;
	s->holding += e->holding;
	s->holders += e->holding > 0;
	if (e->state != SHMIPC_PEER_ATTACHED || e->evicted)
		return;
	s->subscribers++;
	note_lag(s, e);
	if (e->policy != SHMIPC_POLICY_LOSSLESS && e->policy != SHMIPC_POLICY_EVICT)
		return;
	full = share(e->lag, s->capacity);
	if (full > s->occupancy)
		s->occupancy = full;
}

static int read_topic(struct look_scratch *x, const char *name, struct look_seg *s)
{
	struct shmipc_topic_stat st = {
		.struct_bytes = sizeof(st), .pub = x->pub, .sub = x->sub,
		.pub_cap = LOOK_PUBS, .sub_cap = LOOK_SUBS,
	};
	uint32_t i;
	int err;

	s->at_ns = tool_now_ns();
	err = shmipc_topic_look(name, &st);
	if (err)
		return err;
	take_info(s, &st.info, st.in_use);
	s->published = st.tail;
	s->bytes = st.bytes;
	s->waits = st.waits;
	s->aborted = st.aborted;
	s->evictions = st.evictions;
	s->capacity = st.entries;
	s->chunks = st.chunks;
	s->chunk_bytes = st.chunk_bytes;
	s->chunks_free = st.chunks_free;
	s->chunks_owned = st.chunks_owned;
	s->chunks_held = st.chunks_held;
	s->evict_ns = st.opts.evict_ns;
	s->abort_ns = st.opts.abort_ns;
	s->fence_ns = st.opts.fence_ns;
	for (i = 0; i < st.npubs && i < st.pub_cap; i++)
		take_pub(s, &st.pub[i]);
	for (i = 0; i < st.nsubs && i < st.sub_cap; i++)
		take_sub(s, &st.sub[i]);
	if (s->waiters)
		s->occupancy = 1;	/* perhaps for the pool, if the log is not full */
	return 0;
}

static void take_producer(struct look_seg *s, const struct shmipc_queue_end *q)
{
	struct look_end *e = add_end(s, &q->peer);
	double full = share(q->has, s->capacity);

	e->sent = q->pushed;
	e->waits = q->waits;
	s->waits += q->waits;
	if (e->state != SHMIPC_PEER_ATTACHED)
		return;
	s->publishers++;
	if (full > s->occupancy)
		s->occupancy = full;
}

/* The items that are behind are nobody's in particular: the consumer that has most is named. */
static void take_consumer(struct look_seg *s, const struct shmipc_queue_end *q)
{
	struct look_end *e = add_end(s, &q->peer);

	e->received = q->acked;
	e->holding = q->has;
	s->holders += q->has > 0;
	if (e->state != SHMIPC_PEER_ATTACHED)
		return;
	s->subscribers++;
	if (q->has && (s->laggard == LOOK_NOBODY || q->has > s->end[s->laggard].holding))
		s->laggard = (uint32_t)(e - s->end);
}

static int read_queue(struct look_scratch *x, const char *name, struct look_seg *s)
{
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT(.end = x->queue, .end_cap = LOOK_QUEUE_ENDS);
	uint32_t i;
	int err;

	s->at_ns = tool_now_ns();
	err = shmipc_queue_look(name, &st);
	if (err)
		return err;
	take_info(s, &st.info, st.in_use);
	s->published = st.pushed;
	s->received = st.acked;
	s->lost = st.lost + st.expired + st.invalid;	/* those that were moved are elsewhere */
	s->lost -= st.dead < s->lost ? st.dead : s->lost;
	s->holding = st.taken;
	s->max_lag = st.taken + st.stuck;
	s->capacity = st.depth;
	for (i = 0; i < st.levels && i < SHMIPC_QUEUE_LEVELS_MAX; i++)
		s->max_lag += st.ready[i];
	for (i = 0; i < st.ends && i < st.end_cap; i++)
		(st.end[i].peer.role == SHMIPC_ROLE_PRODUCER ? take_producer : take_consumer)(s, &st.end[i]);
	return 0;
}

/* Only the consumer of a lossless ring keeps its position in shared memory. */
static void take_ring_end(struct look_seg *s, const struct shmipc_segment_stat *st,
			  const struct shmipc_peer_info *p)
{
	struct look_end *e = add_end(s, p);
	int here = p->state == SHMIPC_PEER_ATTACHED;

	if (p->role == SHMIPC_ROLE_PRODUCER) {
		e->sent = st->tail_seq;
		e->bytes = st->tail_pos;
		s->publishers += (uint32_t)here;
		return;
	}
	s->subscribers += (uint32_t)here;
	if (p->role != SHMIPC_ROLE_CONSUMER)
		return;
	e->policy = SHMIPC_POLICY_LOSSLESS;
	e->pos = e->received = s->received = st->head_seq;
	e->lag = minus(st->tail_seq, st->head_seq);
	if (here)
		note_lag(s, e);
}

static void take_ring(struct look_seg *s, const struct shmipc_segment_stat *st)
{
	s->published = st->tail_seq;
	s->bytes = st->tail_pos;
	if (st->info.kind != SHMIPC_KIND_SPSC)
		return;
	s->capacity = st->info.data_bytes;
	s->occupancy = share(minus(st->tail_pos, st->head_pos), st->info.data_bytes);
	s->max_lag = minus(st->tail_seq, st->head_seq);
}

static int read_segment(struct look_scratch *x, const char *name, struct look_seg *s)
{
	struct shmipc_segment_stat st = { .peer = x->peer, .peer_cap = LOOK_ENDS };
	uint32_t i;
	int err;

	s->at_ns = tool_now_ns();
	st.info.struct_bytes = sizeof(st.info);
	err = shmipc_segment_look(name, &st);
	if (err)
		return err;
	take_info(s, &st.info, st.in_use);
	if (st.info.kind == SHMIPC_KIND_SPSC || st.info.kind == SHMIPC_KIND_BCAST)
		take_ring(s, &st);
	for (i = 0; i < st.npeers && i < st.peer_cap; i++)
		if (st.peer[i].state != SHMIPC_PEER_LEFT)
			take_ring_end(s, &st, &st.peer[i]);
	return 0;
}

static void begin(struct look_scratch *x, const char *name, struct look_seg *s)
{
	*s = (struct look_seg){ .laggard = LOOK_NOBODY, .end = x->end };
	snprintf(s->name, sizeof(s->name), "%s", name);
}

/* -EINVAL: it is of another kind, or not of one that has more than a segment. */
static int read_more(struct look_scratch *x, const char *name, uint32_t kind, struct look_seg *s)
{
	if (kind != SHMIPC_KIND_TOPIC && kind != SHMIPC_KIND_QUEUE)
		return -EINVAL;
	begin(x, name, s);
	return (kind == SHMIPC_KIND_TOPIC ? read_topic : read_queue)(x, name, s);
}

int look_read(struct look_scratch *x, const char *name, uint32_t kind, struct look_seg *ret)
{
	int err = read_more(x, name, kind, ret), more;

	if (err == -EINVAL) {
		begin(x, name, ret);
		err = read_segment(x, name, ret);
		more = err ? err : read_more(x, name, ret->info.kind, ret);
		err = more == -EINVAL ? err : more;
	}
	if (!err || err == -ENOENT)
		return err;
	begin(x, name, ret);
	ret->at_ns = tool_now_ns();
	ret->err = err;
	return 0;
}
