// SPDX-License-Identifier: MIT
/* sub.c - receiving from a topic */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

SHMIPC_EXPORT void shmipc_sub_slow_wake(struct shmipc_sub *sub)
{
	struct shmipc_sub_priv *s = sub_priv(sub);

	if (!sub || !sub->live || !sub->rx.line)
		return;
	s->t.wakes++;
	shmipc_wake(s->t.seg, s->t.end.slot, shmipc_low32(s->group ? &sub->rx.group->cursor :
								     &sub->rx.line->pos),
		    sub->rx.seq);
}

/* An error is about to be returned: was something lost? */
SHMIPC_EXPORT int shmipc_sub_slow_lost(struct shmipc_sub *sub, int err)
{
	const struct shmipc_sub_priv *s = sub_priv(sub);

	if (!sub)
		return shmipc_null(__func__, "sub");
	if (sub->live)
		shmipc_tlog_unread(&sub->rx);
	if (sub->live && (err == -ESTALE || err == -ECONNRESET))
		shmipc_probe_gap(s->t.seg, shmipc_topic_slot(&s->t), sub->rx.lost_from,
				 sub->rx.lost_to, shmipc_sub_lost(sub, NULL, NULL));
	return err;
}

/* Skip to the newest unread message, with ITER_NEWEST; but not for the first message. */
static void skip(struct shmipc_sub_priv *s)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t newest;

	if (s->iter != SHMIPC_ITER_NEWEST || s->asked_for)
		return;
	newest = shmipc_tlog_newest(rx, rx->seq);
	if (newest == SHMIPC_POS_NONE || newest <= rx->seq)
		return;
	newest -= (newest - rx->seq) % rx->every;
	s->skipped += (newest - rx->seq) / rx->every;
	shmipc_tlog_jump(rx, newest);
}

/* The next message, without waiting. */
int shmipc_sub_peek(struct shmipc_sub_priv *s, struct shmipc_tlog_ref *ret)
{
	int err;

	if (s->late) {	/* the first thing that is told after it moved */
		s->late = false;
		shmipc_sub_set_plain(s);
		return -ESTALE;
	}
	if (s->move_err) {
		err = s->move_err;
		s->move_err = 0;	/* and tried again by the next call */
		return err;
	}
	if (s->group)
		return shmipc_sub_group_peek(s, ret);
	skip(s);
	err = shmipc_tlog_peek(&s->sub.rx, ret);
	if (err && s->asked_for) {	/* it is lost, or not published yet */
		s->asked_for = false;
		if (err == -EAGAIN)
			return shmipc_sub_peek(s, ret);
	}
	/* A publisher may wait for us to skip these messages. */
	if (err && shmipc_tlog_moved(&s->sub.rx))
		shmipc_sub_slow_wake(&s->sub);
	return err;
}

/* For probes: the time of publishing, if the message has it. */
static uint64_t stamp_of(const struct shmipc_sub_priv *s, const struct shmipc_tlog_ref *ref)
{
	uint32_t meta = s->t.seg->log.hdr.meta;
	uint64_t ns, off = shmipc_tlog_meta_bytes(meta & (SHMIPC_META_MONO - 1));

	if (!(meta & SHMIPC_META_MONO) || ref->prefix_len < off + sizeof(ns))
		return 0;
	shmipc_racy_read(&ns, ref->ptr + off, sizeof(ns));
	return ns;
}

/* The message last peeked has been copied, or is held. -ESTALE: it was not intact. */
static int done(struct shmipc_sub_priv *s, const struct shmipc_tlog_ref *ref)
{
	uint64_t mono_ns = shmipc_priv_traced(&shmipc_probe_takes) ? stamp_of(s, ref) : 0;
	int ret = s->group ? shmipc_sub_group_done(s) : shmipc_tlog_next(&s->sub.rx);

	if (ret < 0)
		return shmipc_sub_slow_lost(&s->sub, ret);
	if (ret)
		shmipc_sub_slow_wake(&s->sub);
	s->asked_for = false;
	s->sub.last_seq = ref->seq;
	shmipc_probe_take(s->t.seg, shmipc_topic_slot(&s->t), ref->seq, ref->len, mono_ns);
	return 0;
}

/* The next message, waiting for it. */
static int next(struct shmipc_sub_priv *s, struct shmipc_tlog_ref *ref, uint64_t deadline_ns)
{
	int ret;

	if (!s->sub.live)
		return shmipc_dead(s->t.seg);
	for (;;) {
		if (shmipc_load_relaxed(&s->stop))
			return -EINTR;
		ret = shmipc_sub_peek(s, ref);
		if (ret != -EAGAIN)
			return ret ? shmipc_sub_slow_lost(&s->sub, ret) : 0;
		shmipc_tlog_unread(&s->sub.rx);
		ret = shmipc_sub_wait_entry(s, deadline_ns);
		if (ret)
			return ret;
	}
}

/* Copy from a cell directly, from the pool with the user's copier. */
static int copy_out(const struct shmipc_sub_priv *s, void *buf, const struct shmipc_tlog_ref *ref)
{
	const unsigned char *from = ref->ptr + ref->prefix_len;

	if (ref->in_pool || s->own_copier)
		return s->t.copier.from_shm(buf, from, ref->len, s->t.copier.arg);
	shmipc_racy_read(buf, from, ref->len);
	return 0;
}

static int recv_one(struct shmipc_sub_priv *s, void *buf, size_t cap, size_t *ret_len,
		    uint64_t deadline_ns)
{
	struct shmipc_tlog_ref ref;
	int ret;

	ret = next(s, &ref, deadline_ns);
	if (ret)
		return ret;
	if (ref.len > cap) {
		if (!shmipc_tlog_intact(&s->sub.rx, ref.seq))
			return done(s, &ref);	/* reports what was lost */
		*ret_len = ref.len;
		return -EMSGSIZE;
	}
	ret = copy_out(s, buf, &ref);
	if (!ret)
		ret = done(s, &ref);
	if (!ret)
		*ret_len = ref.len;
	return ret;
}

/* Whatever became of it, the message is not read any more, unless it is held. */
static int unread(struct shmipc_sub_priv *s, int ret)
{
	if (s->sub.live)
		shmipc_tlog_unread(&s->sub.rx);
	return ret;
}

SHMIPC_EXPORT int shmipc_sub_slow_recv(struct shmipc_sub *sub, void *buf, size_t cap,
				       size_t *ret_len, uint64_t deadline_ns)
{
	struct shmipc_sub_priv *s = sub_priv(sub);

	if (!sub || !ret_len)
		return shmipc_null(__func__, "sub or ret_len");
	return unread(s, recv_one(s, buf, cap, ret_len, deadline_ns));
}

/* Messages that are taken */

static struct shmipc_sub_hold *free_hold(struct shmipc_sub_priv *s, uint32_t *ret)
{
	uint32_t i;

	for (i = 0; i < s->nholds; i++)
		if (!s->hold[i].used) {
			*ret = i;
			return &s->hold[i];
		}
	return NULL;
}

void shmipc_sub_free_copy(struct shmipc_sub_priv *s, struct shmipc_sub_hold *h)
{
	if (s->own_copier && s->t.copier.free)
		s->t.copier.free(h->copy, s->t.copier.arg);
	else
		free(h->copy);
	h->copy = NULL;
	h->cap = 0;
}

static int copy_room(struct shmipc_sub_priv *s, struct shmipc_sub_hold *h, size_t bytes)
{
	size_t align = s->t.seg->log.hdr.align > 64 ? s->t.seg->log.hdr.align : 64;

	if (bytes <= h->cap)
		return 0;
	shmipc_sub_free_copy(s, h);
	bytes = shmipc_priv_round_up(bytes, align);
	/* The library's copiers accept any memory; what they allocate lacks the topic's alignment. */
	h->copy = s->own_copier && s->t.copier.alloc ?
		  s->t.copier.alloc(bytes, s->t.copier.arg) : aligned_alloc(align, bytes);
	if (!h->copy)
		return -ENOMEM;
	h->cap = bytes;
	return 0;
}

/* The meta fields, and where the headers are; @prefix stays as long as the message. */
static void read_prefix(const struct shmipc_sub_priv *s, struct shmipc_msg *m,
			const struct shmipc_tlog_ref *ref, const unsigned char *prefix)
{
	uint32_t meta = s->t.seg->log.hdr.meta;
	size_t at = 0, meta_len = shmipc_tlog_meta_bytes(meta);
	__u64 v[4] = { 0 };
	uint32_t i;

	if (ref->prefix_len < meta_len)
		return;		/* its publisher has not filled them in */
	shmipc_racy_read(v, prefix, meta_len);
	for (i = 0; i < 4; i++) {
		uint64_t is = meta & 1u << i ? v[at++] : 0;

		if (1u << i == SHMIPC_META_PUB_ID)
			m->pub_id = is;
		else if (1u << i == SHMIPC_META_PUB_SEQ)
			m->pub_seq = is;
		else if (1u << i == SHMIPC_META_MONO)
			m->mono_ns = is;
		else
			m->wall_ns = is;
	}
	if (ref->info & SHMIPC_INFO_HEADERS) {
		m->headers = prefix + meta_len;
		m->headers_len = ref->prefix_len - meta_len;
	}
}

static void fill_msg(struct shmipc_msg *m, const struct shmipc_tlog_ref *ref, uint32_t i)
{
	memset(m, 0, sizeof(*m));
	m->len = ref->len;
	m->seq = ref->seq;
	m->pub_slot = ref->info >> SHMIPC_INFO_PUB & 0xfff;
	m->hold = i + 1;
}

/* A copy: the payload first, for its alignment, then the prefix. */
static int take_copy(struct shmipc_sub_priv *s, const struct shmipc_tlog_ref *ref, uint32_t i,
		     struct shmipc_msg *ret)
{
	struct shmipc_sub_hold *h = &s->hold[i];
	size_t at = s->own_copier ? 0 : shmipc_priv_round_up(ref->len, 8);
	unsigned char *prefix;
	int err;

	/* The memory of a user's copier is for payloads only. */
	err = copy_room(s, h, at + ref->len + 1 + (s->own_copier ? 0 : ref->prefix_len));
	if (!err)
		err = copy_out(s, h->copy, ref);
	if (err)
		return err;
	fill_msg(ret, ref, i);
	ret->ptr = h->copy;
	if (!ref->prefix_len)
		return 0;
	prefix = h->copy + at;
	if (s->own_copier) {
		free(h->prefix);
		h->prefix = prefix = malloc(ref->prefix_len);
		if (!prefix)
			return -ENOMEM;
	}
	shmipc_racy_read(prefix, ref->ptr, ref->prefix_len);
	read_prefix(s, ret, ref, prefix);
	return 0;
}

/* 0; 1: too late; -errno. */
static int take_ref(struct shmipc_sub_priv *s, const struct shmipc_tlog_ref *ref, uint32_t i,
		    struct shmipc_msg *ret)
{
	if (!ref->in_pool || !s->sub.rx.line || !s->t.seg->log.hdr.holds)
		return take_copy(s, ref, i, ret);
	if (!shmipc_tlog_hold_take(&s->sub.rx, i, ref))
		return 1;
	s->hold[i].in_pool = true;
	shmipc_probe_hold(s->t.seg, s->t.end.slot, ref->seq, ref->len);
	fill_msg(ret, ref, i);
	ret->ptr = ref->ptr + ref->prefix_len;
	/* Before anything of it is read. */
	s->hold[i].chunks = ref->chunks;
	ret->seal = s->hold[i].seal = shmipc_topic_seal_of(s->t.seg, ref->chunks);
	read_prefix(s, ret, ref, ref->ptr);
	return 0;
}

static void unhold(struct shmipc_sub_priv *s, uint32_t i)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t want;

	shmipc_probe_release(s->t.seg, s->t.end.slot,
			     shmipc_load_relaxed(&shmipc_tlog_hold(rx->line, i)->seq) - 1);
	shmipc_tlog_unhold(rx, i);
	/* wait.W2 -> wait.W3: the hold, then want. A publisher that checked before this notices by its tick. */
	if (rx->full_fence)
		shmipc_fence_seq_cst();
	else
		shmipc_barrier_light();
	/* No publisher wants more than was claimed: a larger word is a lie, and costs us nothing. */
	want = shmipc_load_relaxed(&rx->pub->room_want);
	if (want > rx->seq && want <= shmipc_tlog_tail(rx->log))
		shmipc_sub_slow_wake(&s->sub);
}

static void drop_hold(struct shmipc_sub_priv *s, uint32_t i)
{
	if (s->hold[i].in_pool && s->sub.rx.line)
		unhold(s, i);
	s->hold[i].in_pool = false;
	s->hold[i].used = false;
}

static int take_one(struct shmipc_sub_priv *s, struct shmipc_msg *ret, uint64_t deadline_ns)
{
	struct shmipc_tlog_ref ref;
	uint32_t i;
	int err;

	err = next(s, &ref, deadline_ns);
	if (err)
		return err;
	if (!free_hold(s, &i))
		return -ENOBUFS;
	err = take_ref(s, &ref, i, ret);
	if (err >= 0)		/* if it was too late, this reports what was lost */
		err = done(s, &ref);
	if (err) {
		drop_hold(s, i);
		return err;
	}
	s->hold[i].used = true;
	return 0;
}

SHMIPC_EXPORT int shmipc_sub_take(struct shmipc_sub *sub, struct shmipc_msg *ret,
				  uint64_t deadline_ns)
{
	struct shmipc_sub_priv *s = sub_priv(sub);

	if (!sub || !ret)
		return shmipc_null(__func__, "sub or ret");
	return unread(s, take_one(s, ret, deadline_ns));
}

static int read_one(struct shmipc_sub_priv *s, uint64_t seq, struct shmipc_msg *ret)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	struct shmipc_tlog_ref ref;
	uint32_t i;
	int err;

	/*
	 * tlog.Z1 <- tlog.Z0. Not a message that is only kept for a slow subscriber: the floor
	 * has passed it for all others.
	 */
	if (shmipc_load_acquire(&rx->pub->floor) > seq)
		return -ESTALE;
	err = shmipc_tlog_look(rx, seq, &ref);
	if (err)
		return err;
	if (!free_hold(s, &i))
		return -ENOBUFS;
	err = take_ref(s, &ref, i, ret);
	if (!err) {
		/* tlog.F1 <- tlog.F0; a message that is only kept for another cannot be held */
		shmipc_fence_acquire();
		err = shmipc_load_relaxed(&rx->pub->floor) > seq;
	}
	if (err) {
		drop_hold(s, i);
		return err == 1 ? -ESTALE : err;
	}
	s->hold[i].used = true;
	return 0;
}

SHMIPC_EXPORT int shmipc_sub_read_at(struct shmipc_sub *sub, uint64_t seq, struct shmipc_msg *ret)
{
	struct shmipc_sub_priv *s = sub_priv(sub);

	if (!sub || !ret)
		return shmipc_null(__func__, "sub or ret");
	if (!sub->live)
		return shmipc_dead(s->t.seg);
	if (seq > ~UINT64_C(0) >> 2)
		return -EINVAL;
	(void)shmipc_sub_move(s);
	return unread(s, read_one(s, seq, ret));
}

SHMIPC_EXPORT void shmipc_sub_release(struct shmipc_sub *sub, struct shmipc_msg *msg)
{
	struct shmipc_sub_priv *s = sub_priv(sub);

	if (!sub || !msg || !msg->hold || msg->hold > s->nholds || !s->hold[msg->hold - 1].used)
		return;
	if (sub->live)
		drop_hold(s, msg->hold - 1);
	memset(msg, 0, sizeof(*msg));
}

SHMIPC_EXPORT int shmipc_sub_sealed(const struct shmipc_sub *sub, const struct shmipc_msg *msg)
{
	const struct shmipc_sub_priv *s = sub_priv(sub);
	const struct shmipc_sub_hold *h;

	if (!sub || !msg)
		return shmipc_null(__func__, "sub or msg");
	if (!sub->live)
		return shmipc_dead(s->t.seg);
	if (!msg->hold || msg->hold > s->nholds || !s->hold[msg->hold - 1].used)
		return -EINVAL;
	h = &s->hold[msg->hold - 1];
	if (!h->in_pool || !h->seal)
		return -EOPNOTSUPP;
	/* seal.U1 <- seal.U0: what the caller has read of it, then the words. */
	shmipc_fence_acquire();
	return shmipc_topic_seal_of(s->t.seg, h->chunks) == h->seal ? 0 : -ESTALE;
}

SHMIPC_EXPORT int shmipc_sub_wait(struct shmipc_sub *sub, uint64_t deadline_ns)
{
	struct shmipc_sub_priv *s = sub_priv(sub);
	int ret;

	if (!sub)
		return shmipc_null(__func__, "sub");
	ret = sub->live ? 0 : shmipc_dead(s->t.seg);
	while (!ret && !shmipc_sub_ready(s))
		ret = shmipc_sub_wait_entry(s, deadline_ns);
	return ret;
}
