// SPDX-License-Identifier: MIT
/* sub_open.c - becoming a subscriber of a topic, and leaving */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "topic/topic.h"

static int bad(const char *field, uint64_t is, const char *should)
{
	return shmipc_fail(-EINVAL, "shmipc: subscriber options: %s is %llu; %s (EINVAL)", field,
			   (unsigned long long)is, should);
}

/* enum shmipc_start, and SHMIPC_START_SEQ */
static int opts_read(struct shmipc_sub_opts *o, const struct shmipc_sub_opts *user)
{
	int err = 0;

	memset(o, 0, sizeof(*o));
	if (user)
		err = shmipc_sized_read(o, sizeof(*o), user, "subscriber options");
	if (err)
		return err;
	if (!o->stride)
		o->stride = 1;
	if (!o->policy)
		o->policy = SHMIPC_POLICY_LOSSY;
	if (o->start > SHMIPC_START_SEQ)
		return bad("start", o->start, "expected SHMIPC_START_NEW, OLDEST, NEWEST or SEQ");
	if (o->iter > SHMIPC_ITER_NEWEST)
		return bad("iter", o->iter, "expected SHMIPC_ITER_NEXT or NEWEST");
	if (o->policy > SHMIPC_POLICY_EVICT)
		return bad("policy", o->policy, "expected SHMIPC_POLICY_LOSSY, LOSSLESS or EVICT");
	if (o->group > SHMIPC_TOPIC_GROUPS)
		return bad("group", o->group, "the most is 64");
	if (o->flags & ~SHMIPC_SUB_READ_ONLY)
		return bad("flags", o->flags, "expected SHMIPC_SUB_READ_ONLY or 0");
	if (o->reserved0)
		return bad("reserved0", o->reserved0, "it must be 0");
	if (o->stride_at >= o->stride)
		return bad("stride_at", o->stride_at, "it must be less than stride");
	if (o->group && (o->stride > 1 || o->iter))
		return bad("group", o->group, "a group supports neither a stride nor ITER_NEWEST");
	if (o->flags & SHMIPC_SUB_READ_ONLY && (o->policy != SHMIPC_POLICY_LOSSY || o->group))
		return bad("flags", o->flags, "a read-only subscriber must be lossy and in no group");
	return 0;
}

static int begin(struct shmipc_sub_priv *s, const struct shmipc_sub_opts *o, uint64_t from)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t tail, floor;

	if (from != SHMIPC_POS_NONE) {
		rx->every = o->stride;
		rx->seq = from + o->stride_at;
		return 0;
	}
	shmipc_tlog_rx_begin(rx, o->start == SHMIPC_START_SEQ ? 1 : o->start, o->stride,
			    o->stride_at);
	/* tlog.A0 <- tlog.R0, tlog.Z1 <- tlog.Z0 */
	tail = shmipc_tlog_tail(rx->log);
	s->asked_for = o->start != SHMIPC_START_NEW && rx->seq < tail;
	if (o->start != SHMIPC_START_SEQ)
		return 0;
	floor = shmipc_load_acquire(&rx->pub->floor);
	if (o->start_seq > tail)
		return shmipc_fail(-EINVAL, "shmipc: subscribe to \"%s\": start_seq is %llu, but the next message is %llu (EINVAL)",
				   s->t.seg->hdr.name, (unsigned long long)o->start_seq,
				   (unsigned long long)tail);
	/* Messages that are gone are lost; the first call reports this. */
	if (o->start_seq >= floor || o->policy == SHMIPC_POLICY_LOSSY)
		rx->seq = o->start_seq;
	rx->seq += (o->stride_at + o->stride - rx->seq % o->stride) % o->stride;
	s->asked_for = rx->seq < tail;
	return 0;
}

static int start(struct shmipc_sub_priv *s, uint64_t from)
{
	const struct shmipc_sub_opts *o = &s->opts;
	struct shmipc_segment *seg = s->t.seg;
	uint64_t generation;
	int ret;

	s->nholds = seg->log.hdr.holds ? seg->log.hdr.holds : 1;
	s->hold = calloc(s->nholds, sizeof(*s->hold));
	if (!s->hold)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a subscriber (ENOMEM)");
	ret = shmipc_topic_memory_sub(seg, seg->read_only ? SHMIPC_TOPIC_LOOKS :
						 s->t.end.slot - seg->log.hdr.pubs);
	if (ret)
		return ret;
	shmipc_tlog_rx_init(&s->sub.rx, &seg->log);
	s->sub.rx.full_fence = !(shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER);
	ret = begin(s, o, from);
	if (ret || seg->read_only)
		return ret;
	generation = shmipc_load_relaxed(&shmipc_segment_slot(seg, s->t.end.slot)->generation);
	shmipc_tlog_rx_join(&s->sub.rx, s->t.end.slot - seg->log.hdr.pubs, o->policy, o->group,
			   generation);
	if (s->group)
		shmipc_sub_group_join(s);
	return 0;
}

/* Until the segment is closed. */
static int take_reads(struct shmipc_segment *seg)
{
	int err = seg->be->reads_open ? seg->be->reads_open(seg, true) : 0;

	return !err ? 0 : shmipc_fail(err, "shmipc: subscribe to \"%s\": %s%s", seg->hdr.name,
				      err == -EBUSY ? "a process that gives its memory back does not end (EBUSY)" :
						      shmipc_cause(err).s,
				      err == -EBUSY ? "; try again" : shmipc_advice(err));
}

static int take_end(struct shmipc_sub_priv *s)
{
	const struct shmipc_sub_opts *o = &s->opts;
	struct shmipc_segment *seg = s->t.seg;

	if (!(seg->log.hdr.policies & 1u << o->policy))
		return shmipc_fail(-EOPNOTSUPP, "shmipc: subscribe to \"%s\": it was created without the policy for %s subscribers (EOPNOTSUPP); choose another policy",
				   seg->hdr.name, o->policy == SHMIPC_POLICY_LOSSY ? "lossy" :
				   o->policy == SHMIPC_POLICY_LOSSLESS ? "lossless" : "evict");
	if (seg->read_only)
		return take_reads(seg);
	return shmipc_end_take(&s->t.end, seg, SHMIPC_ROLE_READER);
}

/* What the inline functions need to know. */
void shmipc_sub_set_plain(struct shmipc_sub_priv *s)
{
	s->sub.plain = !s->group && !s->iter && !s->own_copier && !s->late &&
		       !s->t.seg->log.hdr.meta;
	s->sub.busy = s->sub.plain ? &shmipc_probe_takes : &shmipc_probe_busy;
}

int shmipc_sub_join(struct shmipc_sub_priv *s, uint64_t from)
{
	struct shmipc_segment *seg = s->t.seg;
	int err = take_end(s);

	if (err)
		return err;
	/* Before we are seen: what we read later than this is published in a final topic. */
	s->provisional = shmipc_topic_shape(seg) != SHMIPC_SHAPE_FINAL;
	err = start(s, from);
	if (err) {
		if (!seg->read_only)
			shmipc_end_leave(&s->t.end);
		free(s->hold);
		return err;
	}
	shmipc_sub_set_plain(s);
	seg->live = &s->sub.live;	/* and plain after it */
	seg->nlive = 2;
	seg->busy = &s->sub.busy;
	seg->nbusy = 1;
	return 0;
}

static int open_topic(struct shmipc_sub_priv *s, const char *name,
		      const struct shmipc_topic_opts *topic)
{
	int in_use, err;

	err = shmipc_topic_opts_read(&s->topic, topic);
	s->topic.struct_bytes = sizeof(s->topic);
	if (err)
		return err;
	if (!(s->opts.flags & SHMIPC_SUB_READ_ONLY))
		return shmipc_topic_open(&s->t.seg, name, &s->topic);
	return shmipc_topic_open_read_only(&s->t.seg, name, &s->topic, true, &in_use);
}

static int open_sub(struct shmipc_sub **ret, const char *name,
		    const struct shmipc_topic_opts *topic, const struct shmipc_sub_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_sub_priv *s;
	struct shmipc_sub_opts o;
	int err;

	if (!ret)
		return shmipc_null("shmipc_sub_open", "ret");
	err = opts_read(&o, opts);
	if (err)
		return err;
	s = calloc(1, sizeof(*s));
	if (!s)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a subscriber (ENOMEM)");
	(void)pthread_mutex_init(&s->thread_mutex, NULL);
	(void)pthread_cond_init(&s->thread_cond, NULL);
	s->opts = o;
	shmipc_waiter_init(&s->t.wait, o.spin_ns, &s->sub.rx.received);
	s->iter = o.iter;
	s->policy = o.policy;
	s->group = o.group;
	s->sub.last_seq = SHMIPC_POS_NONE;
	err = shmipc_copier_read(&s->t.copier, o.copier, "subscriber options: copier");
	if (err)
		goto free_sub;
	s->own_copier = o.copier;
	err = open_topic(s, name, topic);
	if (err)
		goto free_sub;
	s->sub.live = 1;
	err = shmipc_sub_join(s, SHMIPC_POS_NONE);
	if (err)
		goto close_segment;
	*ret = &s->sub;
	return 0;

close_segment:
	shmipc_segment_close(s->t.seg);
free_sub:
	(void)pthread_mutex_destroy(&s->thread_mutex);
	free(s);
	return err;
}

SHMIPC_EXPORT int shmipc_sub_open(struct shmipc_sub **ret, const char *name,
				  const struct shmipc_topic_opts *topic,
				  const struct shmipc_sub_opts *opts)
{
	return SHMIPC_TOLD(open_sub(ret, name, topic, opts));
}

void shmipc_sub_finish(struct shmipc_sub_priv *s)
{
	struct shmipc_sub *sub = &s->sub;
	uint32_t i;

	shmipc_end_check(&s->t.end);
	if (sub->live && sub->rx.line) {
		shmipc_tlog_rx_leave(&sub->rx);
		/* A publisher may sleep for us: it has room now. */
		shmipc_wake(s->t.seg, s->t.end.slot,
			    shmipc_low32(&shmipc_tlog_sub(&s->t.seg->log, s->t.end.slot -
							 s->t.seg->log.hdr.pubs)->pos), sub->rx.seq);
	}
	s->t.seg->live = NULL;
	for (i = 0; i < s->nholds; i++) {
		shmipc_sub_free_copy(s, &s->hold[i]);
		free(s->hold[i].prefix);
	}
	free(s->hold);
	shmipc_topic_end_close(&s->t);
	(void)pthread_mutex_destroy(&s->thread_mutex);
	free(s);
}

SHMIPC_EXPORT void shmipc_sub_close(struct shmipc_sub *sub)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_sub_priv *s = sub_priv(sub);

	if (sub && sub->live && !shmipc_sub_thread_close(s))
		s->closing = true;	/* its own function is still running on it */
	else if (sub)
		shmipc_sub_finish(s);
}
