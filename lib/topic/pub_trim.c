// SPDX-License-Identifier: MIT
/*
 * pub_trim.c - giving memory of a topic's pool back; see tlog_trim.h
 *
 * The pool is gone through in windows as large as a huge page, which is given back only as
 * a whole. So other publishers lack 2 MiB, or two chunks, for a moment, and do not discard
 * messages that are still kept. The chunks are never kept during a wait for a subscriber.
 *
 * The memory of the log's entries stays: subscribers look at entries without saying so, at
 * the cost of one load, and that is worth more than the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <shmipc/inline/tlog_trim.h>

#include "topic/topic.h"

#define WINDOW	SHMIPC_PAGE_2M	/* or the pages of hugetlbfs, or the chunks, if they are larger */

struct trim {
	struct shmipc_pub_priv *p;
	struct shmipc_segment *seg;
	const struct shmipc_tlog *log;
	uint64_t deadline_ns;
	uint64_t bytes;			/* given back so far */
	uint32_t first;			/* the window's first chunk ... */
	uint32_t n;			/* ... and how many there are */
	uint64_t *own;			/* those that are ours, a bit for each */
	uint64_t reading;		/* of the subscriber that still reads */
};

static bool is_own(const struct trim *t, uint32_t i)
{
	return t->own[i / 64] >> i % 64 & 1;
}

static uint32_t grab(struct trim *t)
{
	uint32_t i, n = 0;

	memset(t->own, 0, (t->n + 63) / 64 * sizeof(*t->own));
	for (i = 0; i < t->n; i++) {
		if (!shmipc_pool_grab(&t->p->pool, t->first + i))
			continue;
		t->own[i / 64] |= UINT64_C(1) << i % 64;
		n++;
	}
	return n;
}

static void drop(struct trim *t)
{
	uint32_t i;

	for (i = 0; i < t->n; i++)
		if (is_own(t, i))
			shmipc_pool_drop(&t->p->pool, t->first + i);
}

static uint64_t pool_at(const struct trim *t)
{
	return t->seg->hdr.body_off + t->log->hdr.pool_off;
}

static int fail_busy(const struct trim *t)
{
	return shmipc_fail(-EBUSY, "shmipc: trim \"%s\": another publisher is attached, and the device takes memory only from the last one (EBUSY); close the others, and call shmipc_pub_trim() in the process of the last, or have it close, too",
			   t->seg->hdr.name);
}

static int fail_whole(const struct shmipc_segment *seg)
{
	return shmipc_fail(-EOPNOTSUPP, "shmipc: trim \"%s\": it took all of its memory at creation, and keeps it (EOPNOTSUPP); create it without POPULATE and with 4 KiB pages",
			   seg->hdr.name);
}

static int fail(const struct trim *t, int err)
{
	return shmipc_fail(err, "shmipc: trim \"%s\": give back memory: %s%s", t->seg->hdr.name,
			   shmipc_cause(err).s, shmipc_advice(err));
}

/* Chunks [first, first + n) of the window, ours. */
static int give_run(struct trim *t, uint32_t first, uint32_t n, bool *raised)
{
	uint64_t chunk = t->log->hdr.chunk_bytes, used = 0, given = 0;
	uint64_t off = pool_at(t) + (t->first + first) * chunk;
	int ret = t->seg->be->used_in(t->seg, off, n * chunk, &used);

	if (!ret && !used)
		return 0;
	/* Not for nothing: all ends then ask the kernel again. */
	if (!ret && !*raised)
		shmipc_tlog_trimmed(t->log);
	*raised = true;
	if (!ret)
		ret = t->seg->be->uncommit(t->seg, off, n * chunk, &given);
	t->bytes += given;
	if (ret)
		return ret == -EBUSY ? fail_busy(t) : ret == -EOPNOTSUPP ? fail_whole(t->seg) : fail(t, ret);
	return 0;
}

static int give(struct trim *t)
{
	bool raised = false;
	uint32_t i = 0, from;
	int ret = 0;

	while (!ret && i < t->n) {
		for (from = i; i < t->n && is_own(t, i);)
			i++;
		if (i > from)
			ret = give_run(t, from, i - from, &raised);
		else
			i++;
	}
	return ret;
}

/* A subscriber that is still copying from what we have taken. */

static bool find_reader(struct trim *t, uint64_t upto, struct shmipc_tlog_block *ret)
{
	uint32_t slot, n = shmipc_priv_tlog_subs(t->log);
	uint64_t state;

	for (slot = 0; slot < n; slot++) {
		t->reading = shmipc_tlog_reads(t->log, slot, upto, &state);
		if (!t->reading ||
		    !shmipc_topic_sub_alive(t->seg, slot, state >> 16, true))
			continue;
		*ret = (struct shmipc_tlog_block){ .who = SHMIPC_TLOG_SUB, .slot = slot, .state = state };
		ret->pos = shmipc_load_relaxed(&shmipc_tlog_sub(t->log, slot)->pos);
		return true;
	}
	return false;
}

struct reader_wait {
	struct trim *t;
	uint32_t peer;
	const __u64 *word;
	uint64_t was;
};

static bool reader_ready(void *arg)
{
	const struct reader_wait *r = arg;

	return shmipc_load_relaxed(r->word) != r->was;
}

static const __u64 *reader_poll(void *arg, uint64_t *ret_val)
{
	const struct reader_wait *r = arg;

	*ret_val = r->was;
	return r->word;
}

static int reader_settle(void *arg, bool sure)
{
	const struct reader_wait *r = arg;

	return r->t->seg->be->state(r->t->seg, r->peer, sure) != SHMIPC_PEER_ATTACHED;
}

/* It will be done soon, and does not wake us. */
static bool reader_look(void *arg, struct shmipc_wait_set *set)
{
	const struct reader_wait *r = arg;

	shmipc_watch_word(r->t->seg, set, shmipc_low32(r->word), (uint32_t)r->was);
	r->t->seg->be->watch_peer(r->t->seg, set, r->peer);
	shmipc_wait_set_tick(set, SHMIPC_TICK_POLL);
	return !reader_ready(arg);
}

static const struct shmipc_wait_ops reader_ops = {
	.ready = reader_ready,
	.poll = reader_poll,
	.settle = reader_settle,
	.look = reader_look,
};

/* Not for longer than it was asked for, even if it reads one such message after the other. */
static int await_reader(struct trim *t, const struct shmipc_tlog_block *b, bool again)
{
	struct reader_wait r = { .t = t, .peer = t->log->hdr.pubs + b->slot, .was = t->reading,
				 .word = &shmipc_tlog_sub(t->log, b->slot)->reading };
	struct shmipc_peer_info info;
	int ret = shmipc_wait_one(&t->p->t.wait, &reader_ops, &r, t->deadline_ns);

	if (!ret && again && shmipc_now_ns() >= t->deadline_ns)
		ret = t->deadline_ns ? -ETIMEDOUT : -EAGAIN;
	if (ret != -EAGAIN && ret != -ETIMEDOUT)
		return ret;
	shmipc_pub_note(t->p, b);
	shmipc_slot_info(t->seg, r.peer, &info);
	return shmipc_fail(ret, "shmipc: trim \"%s\": process %u (%s), subscriber in slot %u, is still copying a message that was discarded (%s); if it is stopped, continue or end it",
			   t->seg->hdr.name, info.pid, info.comm, info.slot, shmipc_error_name(ret));
}

/* Memory that nobody reads: give it back. 1: a subscriber in @b still reads. */
static int give_unread(struct trim *t, struct shmipc_tlog_block *b)
{
	const struct shmipc_backend *be = t->seg->be;
	int ret = be->reads_shut ? be->reads_shut(t->seg, true) : 0;

	if (ret == -EBUSY)
		return shmipc_fail(ret, "shmipc: trim \"%s\": a read-only subscriber is attached, and cannot say what it reads (EBUSY); close it first",
				   t->seg->hdr.name);
	if (ret)
		return fail(t, ret);
	ret = find_reader(t, shmipc_tlog_trim_from(&t->p->pub.tx), b) ? 1 : give(t);
	if (be->reads_shut)
		(void)be->reads_shut(t->seg, false);
	return ret;
}

static int trim_window(struct trim *t)
{
	struct shmipc_tlog_block b;
	bool again;
	int ret;

	for (again = false;; again = true) {
		if (!grab(t))
			return 0;
		ret = give_unread(t, &b);
		drop(t);
		if (ret != 1)
			return ret;
		ret = await_reader(t, &b, again);
		if (ret)
			return ret;
	}
}

static int trim_pool(struct trim *t)
{
	uint64_t chunk = t->log->hdr.chunk_bytes, from = pool_at(t), at, end, step = WINDOW;
	int ret = shmipc_pool_grab_begin(&t->p->pool);

	if (step < chunk)
		step = chunk;
	if (step < t->seg->hdr.page_got)
		step = t->seg->hdr.page_got;
	end = from + t->log->hdr.chunks * chunk;
	/* A chunk that lies in two windows is in both: each may complete a huge page. */
	for (at = from; !ret && at < end; at = (at / step + 1) * step) {
		t->first = (uint32_t)((at - from) / chunk);
		t->n = (uint32_t)(((at / step + 1) * step - from + chunk - 1) / chunk);
		if (t->n > t->log->hdr.chunks)
			t->n = t->log->hdr.chunks;
		t->n -= t->first;
		ret = trim_window(t);
	}
	return ret;
}

/* What dead subscribers held is held no more. */
static void bury_holders(struct trim *t)
{
	uint32_t slot, n = shmipc_priv_tlog_subs(t->log);
	struct shmipc_tlog_block b = { .who = SHMIPC_TLOG_SUB };

	for (slot = 0; slot < n; slot++) {
		b.slot = slot;
		b.state = shmipc_load_relaxed(&shmipc_tlog_sub(t->log, slot)->state);
		if (b.state && shmipc_load_relaxed(&shmipc_tlog_sub(t->log, slot)->holding))
			(void)shmipc_pub_bury(t->p, &b, true);
	}
}

/* Discard what is not among the newest @keep messages, and no subscriber may still require. */
static void discard(struct trim *t, uint64_t keep)
{
	struct shmipc_tlog_tx *tx = &t->p->pub.tx;
	uint64_t tail = shmipc_tlog_tail(t->log), want = tail > keep ? tail - keep : 0;
	struct shmipc_tlog_block b;
	uint32_t tries;

	for (tries = 0; tries < t->seg->hdr.peers; tries++)
		if (shmipc_priv_tlog_scan(t->log, tx->slot, want, &b) >= want ||
		    !shmipc_pub_bury(t->p, &b, true))
			break;
	(void)shmipc_tlog_advance(tx, 0, want, &b);
}

static int trim(struct shmipc_pub *pub, uint64_t keep, uint64_t *ret_bytes, uint64_t deadline_ns)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct trim t = { .p = p, .deadline_ns = deadline_ns };
	int ret;

	if (!pub || !ret_bytes)
		return shmipc_null("shmipc_pub_trim", "pub or ret_bytes");
	if (!pub->live)
		return shmipc_dead(pub_priv(pub)->t.seg);
	t.seg = p->t.seg;
	t.log = &t.seg->log;
	if (t.seg->hdr.flags & SHMIPC_SEG_WHOLE)
		return fail_whole(t.seg);
	t.own = calloc(t.log->hdr.chunks / 64 + 1, sizeof(*t.own));
	if (!t.own)
		return shmipc_fail(-ENOMEM, "shmipc: trim \"%s\": no memory (ENOMEM)", t.seg->hdr.name);
	if (keep != SHMIPC_KEEP_ALL)
		discard(&t, keep);
	bury_holders(&t);
	ret = trim_pool(&t);
	free(t.own);
	if (!ret)
		*ret_bytes = t.bytes;
	return ret;
}

SHMIPC_EXPORT int shmipc_pub_trim(struct shmipc_pub *pub, uint64_t keep, uint64_t *ret_bytes,
				  uint64_t deadline_ns)
{
	return SHMIPC_TOLD(trim(pub, keep, ret_bytes, deadline_ns));
}

static int trim_topic(const char *name, uint64_t keep, uint64_t *ret_bytes, uint64_t deadline_ns)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_pub *pub = NULL;
	int ret;

	if (!ret_bytes)
		return shmipc_null("shmipc_topic_trim", "ret_bytes");
	ret = shmipc_pub_open_to_trim(&pub, name);
	if (ret)
		return ret;
	if (!pub) {		/* nothing was ever published */
		*ret_bytes = 0;
		return 0;
	}
	ret = shmipc_pub_trim(pub, keep, ret_bytes, deadline_ns);
	shmipc_pub_close(pub);
	return ret;
}

SHMIPC_EXPORT int shmipc_topic_trim(const char *name, uint64_t keep, uint64_t *ret_bytes,
				    uint64_t deadline_ns)
{
	return SHMIPC_TOLD(trim_topic(name, keep, ret_bytes, deadline_ns));
}
