// SPDX-License-Identifier: MIT
/* pub.c - publishing on a topic */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

#define HOLES_NAP_NS	1000000u

/* Wakes */

SHMIPC_EXPORT void shmipc_pub_slow_wake(struct shmipc_pub *pub, uint64_t seq, uint32_t n)
{
	struct shmipc_pub_priv *p = pub_priv(pub);

	if (!pub || !pub->live)
		return;
	shmipc_topic_wake_wanted(p, seq, n);
}

/* Our own claim of @n messages was dropped, and may have been aborted. */
static void dropped(struct shmipc_pub_priv *p, uint64_t seq, const struct shmipc_tlog_finished *f)
{
	if (f->aborted) {
		shmipc_add_relaxed(&p->pub.tx.pub->aborted, f->aborted);
		shmipc_probe_abort(p->t.seg, p->t.end.slot, p->t.end.slot, seq, f->aborted);
	}
	if (f->wake)
		shmipc_pub_slow_wake(&p->pub, seq, f->wake);
}

/* The topic limits how long this may take. */
static int commit_in_time(struct shmipc_pub_priv *p, uint64_t seq, uint32_t n,
			  enum shmipc_entry_state state, uint64_t bytes)
{
	struct shmipc_tlog_finished f;
	int ret = shmipc_tlog_finish(&p->pub.tx, seq, n, state, bytes, &f);

	dropped(p, seq, &f);
	if (!ret)
		return 0;
	return shmipc_fail(ret, "shmipc: publish on \"%s\": message %llu was aborted by others and is not published: this process was stopped for longer than %s, as the topic allows (ECANCELED); publish it again",
			   p->t.seg->hdr.name, (unsigned long long)seq,
			   shmipc_text_seconds(p->t.seg->log.hdr.abort_ns).s);
}

static int commit(struct shmipc_pub_priv *p, uint64_t seq, uint32_t n,
		  enum shmipc_entry_state state, uint64_t bytes)
{
	uint32_t wake;

	shmipc_probe_publish(p->t.seg, p->t.end.slot, seq, n, bytes);
	if (p->t.seg->log.hdr.abort_ns)
		return commit_in_time(p, seq, n, state, bytes);
	wake = shmipc_tlog_commit(&p->pub.tx, seq, n, state, bytes);
	if (wake)
		shmipc_pub_slow_wake(&p->pub, seq, wake);
	return 0;
}

/* Is there room for *@arg numbers now? */
static int room_again(struct shmipc_pub_priv *p, void *arg, struct shmipc_tlog_block *b)
{
	b->who = SHMIPC_TLOG_NOBODY;
	return shmipc_tlog_make_room(&p->pub.tx, *(const uint32_t *)arg, b);
}

/* 0: fill the messages that were claimed; 1: they had to be given up, claim again; -errno */
static int begin(struct shmipc_pub_priv *p, uint64_t seq, uint32_t n, uint64_t deadline_ns)
{
	struct shmipc_tlog_finished f;

	if (!p->t.seg->log.hdr.abort_ns)
		return 0;
	if (!shmipc_tlog_start(&p->pub.tx, seq, n, shmipc_topic_pub_alive, p->t.seg, &f)) {
		p->holes = 0;
		return 0;
	}
	dropped(p, seq, &f);
	p->holes += n;
	if (p->holes < 2 * p->pub.tx.entries)
		return 1;
	/* Publishers that are stopped have claimed all of the log. */
	if (!deadline_ns || shmipc_now_ns() >= deadline_ns)
		return deadline_ns ? -ETIMEDOUT : -EAGAIN;
	shmipc_sleep_ns(HOLES_NAP_NS);
	return 1;
}

/* Wait until there is room for @n more entries, which others may be faster to take. */
static int await_room(struct shmipc_pub_priv *p, uint32_t n, uint64_t deadline_ns)
{
	struct shmipc_tlog_block b;
	uint64_t seq;
	int ret = shmipc_tlog_make_room(&p->pub.tx, n, &b);

	if (ret != -EAGAIN)
		return ret;
	seq = shmipc_tlog_tx_next(&p->pub.tx);
	return shmipc_pub_wait(p, &b, seq + n - p->pub.tx.entries, false, room_again, &n, deadline_ns);
}

/* Claim @n numbers, waiting for room. */
static int claim(struct shmipc_pub_priv *p, uint32_t n, uint64_t *ret_seq, uint64_t deadline_ns)
{
	int ret;

	if (!p->pub.live)
		return shmipc_dead(p->t.seg);
	for (;;) {
		if (!shmipc_tlog_claim(&p->pub.tx, n, ret_seq)) {
			ret = begin(p, *ret_seq, n, deadline_ns);
			if (ret <= 0)
				return ret;
			continue;
		}
		ret = await_room(p, n, deadline_ns);
		if (ret)
			return ret;
	}
}

/* A request for a block of the pool, and its result. */
struct block_wanted {
	uint64_t bytes;
	bool sealed;
	struct shmipc_pool_block *blk;
	bool got;
};

static int block_again(struct shmipc_pub_priv *p, void *arg, struct shmipc_tlog_block *b)
{
	struct block_wanted *w = arg;
	int ret;

	b->who = SHMIPC_TLOG_NOBODY;
	ret = shmipc_pool_take(&p->pool, w->bytes, w->sealed, w->blk, b);
	w->got = !ret;
	return ret;
}

/* Allocate a block of the pool, waiting for room. */
static int take_block(struct shmipc_pub_priv *p, uint64_t bytes, bool sealed,
		      struct shmipc_pool_block *ret_blk, uint64_t deadline_ns)
{
	struct block_wanted w = { .bytes = bytes, .sealed = sealed, .blk = ret_blk };
	struct shmipc_tlog_block b;
	int ret;

	if (!p->pub.live)
		return shmipc_dead(p->t.seg);
	for (;;) {
		ret = block_again(p, &w, &b);
		if (ret != -EAGAIN)
			return ret;
		ret = shmipc_pub_wait(p, &b, b.pos + 1, true, block_again, &w, deadline_ns);
		if (ret || w.got)
			return w.got ? 0 : ret;
	}
}

/* The prefix, before the payload */

static void *put64(void *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
	return (unsigned char *)at + sizeof(v);
}

static uint64_t pub_seq(const struct shmipc_pub_priv *p)
{
	return p->pub.tx.sent - p->opened_sent;
}

/* Write the topic's meta fields to @at, which has room. Return: the address behind them. */
static void *put_meta(const struct shmipc_pub_priv *p, void *at, uint64_t seq_of_pub)
{
	uint32_t meta = p->t.seg->log.hdr.meta;

	if (meta & SHMIPC_META_PUB_ID)
		at = put64(at, shmipc_load_relaxed(&p->pub.tx.line->id));
	if (meta & SHMIPC_META_PUB_SEQ)
		at = put64(at, seq_of_pub);
	if (meta & SHMIPC_META_MONO)
		at = put64(at, shmipc_now_ns());
	if (meta & SHMIPC_META_WALL)
		at = put64(at, shmipc_realtime_ns());
	return at;
}

/* Collect the headers of a message: the user's, then the chain's. */
int shmipc_pub_chain(struct shmipc_pub_priv *p, const struct shmipc_headers *user, const void *buf,
		     size_t len, struct shmipc_outgoing *ret)
{
	struct shmipc_msg_meta m = { .payload = buf, .len = len };
	int err = 0;

	ret->headers_len = 0;
	ret->prefix_len = shmipc_tlog_meta_bytes(p->t.seg->log.hdr.meta);
	if (!user && (!p->chain || !p->chain->count))
		return 0;
	if (user)
		err = shmipc_headers_copy(&p->headers, user);
	else
		shmipc_headers_clear(&p->headers);
	if (err)
		return err;
	if (p->chain) {
		m.pub_id = shmipc_load_relaxed(&p->pub.tx.line->id);
		m.pub_seq = pub_seq(p);
		err = shmipc_middleware_run(p->chain, &p->headers, &m);
	}
	if (err)
		return err;
	if (shmipc_headers_count(&p->headers, NULL))
		ret->headers_len = shmipc_headers_bytes(&p->headers);
	ret->prefix_len += ret->headers_len;
	return ret->prefix_len / 8 > 0xffff ? -EMSGSIZE : 0;
}

/* The prefix in the pool is placed so that the payload is aligned. */
static size_t pool_prefix(const struct shmipc_pub_priv *p, size_t prefix_len)
{
	return prefix_len ? shmipc_priv_round_up(prefix_len, p->t.seg->log.hdr.align) : 0;
}

static uint64_t headers_flag(const struct shmipc_outgoing *out)
{
	return out->headers_len ? SHMIPC_INFO_HEADERS : 0;
}

/* Messages into cells */

/* Cells may be smaller than the meta fields, and @len may be any number. */
bool shmipc_pub_fits(uint64_t cell_bytes, size_t prefix_len, size_t len)
{
	return prefix_len <= cell_bytes && len <= cell_bytes - prefix_len;
}

static int prefix_room(struct shmipc_pub_priv *p, size_t bytes)
{
	unsigned char *more;

	if (bytes <= p->prefix_cap)
		return 0;
	more = realloc(p->prefix, bytes);
	if (!more)
		return shmipc_fail(-ENOMEM, "shmipc: publish on \"%s\": no memory for headers (ENOMEM)",
				   p->t.seg->hdr.name);
	p->prefix = more;
	p->prefix_cap = bytes;
	return 0;
}

int shmipc_pub_cell(struct shmipc_pub_priv *p, const struct shmipc_outgoing *out, const void *headers,
		    const void *buf, size_t len, uint64_t deadline_ns)
{
	size_t meta_len = out->prefix_len - out->headers_len;
	uint64_t seq;
	int ret = prefix_room(p, out->prefix_len);

	if (!ret && headers)
		memcpy(p->prefix + meta_len, headers, out->headers_len);
	else if (!ret && out->headers_len)
		ret = shmipc_headers_save(&p->headers, p->prefix + meta_len, out->headers_len);
	if (!ret)
		ret = claim(p, 1, &seq, deadline_ns);
	if (ret)
		return ret;
	if (meta_len)
		(void)put_meta(p, p->prefix, pub_seq(p));
	shmipc_tlog_fill(&p->pub.tx, seq, p->prefix, out->prefix_len, buf, len, headers_flag(out));
	return commit(p, seq, 1, SHMIPC_ENTRY_CELL, len);
}

SHMIPC_EXPORT int shmipc_pub_send_batch(struct shmipc_pub *pub, const struct shmipc_buf *v,
					uint32_t n, uint64_t deadline_ns)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	unsigned char prefix[8 * 4];
	uint64_t seq, bytes = 0;
	size_t prefix_len;
	uint32_t i;
	int ret;

	if (!pub || (!v && n))
		return shmipc_null(__func__, "pub or v");
	if (!pub->live || !n)
		return pub->live ? 0 : shmipc_dead(p->t.seg);
	if (p->chain && p->chain->count)
		return shmipc_fail(-EINVAL, "shmipc: publish a batch on \"%s\": its publisher has a chain of functions (EINVAL); send the messages one by one",
				   p->t.seg->hdr.name);
	if (n > p->t.seg->log.claim_max || n > p->t.seg->log.lot)
		return -E2BIG;
	prefix_len = shmipc_tlog_meta_bytes(p->t.seg->log.hdr.meta);
	for (i = 0; i < n; i++)
		if (!shmipc_pub_fits(p->t.seg->log.hdr.cell_bytes, prefix_len, v[i].len))
			return -EMSGSIZE;
	ret = claim(p, n, &seq, deadline_ns);
	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		(void)put_meta(p, prefix, pub_seq(p) + i);
		shmipc_tlog_fill(&pub->tx, seq + i, prefix, prefix_len, v[i].ptr, v[i].len, 0);
		bytes += v[i].len;
	}
	return commit(p, seq, n, SHMIPC_ENTRY_CELL, bytes);
}

/* Messages in the pool */

static unsigned char *block_at(const struct shmipc_pub_priv *p, uint64_t off)
{
	return p->t.seg->log.pool + off;
}

/* The message is in its block, complete but for the meta fields, which begin at @off. */
static int publish_block(struct shmipc_pub_priv *p, const struct shmipc_pool_block *blk,
			 const struct shmipc_outgoing *out, uint64_t off, size_t len,
			 uint64_t deadline_ns)
{
	uint64_t seq;
	int ret = claim(p, 1, &seq, deadline_ns);

	if (ret)
		return ret;
	if (!blk->sealed)
		(void)put_meta(p, block_at(p, off), pub_seq(p));
	shmipc_tlog_fill_pool(&p->pub.tx, seq, out->prefix_len, len, headers_flag(out), off,
			     blk->chunks);
	ret = commit(p, seq, 1, SHMIPC_ENTRY_POOL, len);
	if (!ret)
		shmipc_pool_published(&p->pool, blk, seq);
	return ret;
}

int shmipc_pub_block_publish(struct shmipc_pub_priv *p, const struct shmipc_pool_block *blk,
			     const struct shmipc_outgoing *out, size_t len, uint64_t deadline_ns)
{
	/* Meta fields and headers lie right before the payload; a gap may be left before them. */
	uint64_t off = blk->off + pool_prefix(p, out->prefix_len) - out->prefix_len;
	int ret;

	if (!blk->sealed)
		return publish_block(p, blk, out, off, len, deadline_ns);
	/*
	 * Not while a number is claimed, as sealing takes its time. If it comes to nothing, the
	 * caller may go on writing the message.
	 */
	ret = await_room(p, 1, deadline_ns);
	if (ret)
		return ret;
	(void)put_meta(p, block_at(p, off), pub_seq(p));
	ret = shmipc_pub_seal(p->t.seg, (uint32_t)blk->chunks, (uint32_t)(blk->chunks >> 32));
	if (ret)
		return ret;
	ret = publish_block(p, blk, out, off, len, deadline_ns);
	if (ret && p->pub.live)
		(void)shmipc_pub_unseal(p->t.seg, (uint32_t)blk->chunks,
					(uint32_t)(blk->chunks >> 32) - (uint32_t)blk->chunks + 1);
	return ret;
}

int shmipc_pub_block(struct shmipc_pub_priv *p, const struct shmipc_outgoing *out, size_t len,
		     struct shmipc_pool_block *ret_blk, void **ret_ptr, uint64_t deadline_ns)
{
	size_t room = pool_prefix(p, out->prefix_len);
	uint64_t seal_bytes = p->t.seg->log.hdr.seal_bytes;
	int ret = take_block(p, room + len, seal_bytes && len >= seal_bytes, ret_blk, deadline_ns);

	if (ret)
		return ret;
	*ret_ptr = block_at(p, ret_blk->off + room);
	if (out->headers_len)
		ret = shmipc_headers_save(&p->headers, (unsigned char *)*ret_ptr - out->headers_len,
					  out->headers_len);
	if (ret)
		shmipc_pool_dropped(&p->pool, ret_blk);
	return ret;
}

static int send_block(struct shmipc_pub_priv *p, const struct shmipc_outgoing *out, const void *buf,
		      size_t len, uint64_t deadline_ns)
{
	struct shmipc_pool_block blk;
	void *ptr;
	int ret = shmipc_pub_block(p, out, len, &blk, &ptr, deadline_ns);

	if (ret)
		return ret;
	ret = p->t.copier.to_shm(ptr, buf, len, p->t.copier.arg);
	if (!ret)
		ret = shmipc_pub_block_publish(p, &blk, out, len, deadline_ns);
	if (ret)
		shmipc_pool_dropped(&p->pool, &blk);
	return ret;
}

/* With a copier of the user, which must not run while a number is claimed. */
static int send_copied(struct shmipc_pub_priv *p, const struct shmipc_outgoing *out, const void *buf,
		       size_t len, uint64_t deadline_ns)
{
	void *copy;
	int ret;

	ret = p->t.seg->log.hdr.chunks ? send_block(p, out, buf, len, deadline_ns) : -EMSGSIZE;
	if (ret != -EMSGSIZE || !shmipc_pub_fits(p->t.seg->log.hdr.cell_bytes, out->prefix_len, len))
		return ret;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	ret = p->t.copier.to_shm(copy, buf, len, p->t.copier.arg);
	if (!ret)
		ret = shmipc_pub_cell(p, out, NULL, copy, len, deadline_ns);
	free(copy);
	return ret;
}

static int send(struct shmipc_pub_priv *p, const struct shmipc_headers *headers, const void *buf,
		size_t len, uint64_t deadline_ns)
{
	struct shmipc_outgoing out;
	int ret;

	if (!p->pub.live)
		return shmipc_dead(p->t.seg);
	if (len > shmipc_topic_max_message(&p->t.seg->log))
		return -EMSGSIZE;
	ret = shmipc_pub_chain(p, headers, buf, len, &out);
	if (ret)
		return ret;
	/* @buf may be an address that only the user's copier can read. */
	if (p->own_copier)
		return send_copied(p, &out, buf, len, deadline_ns);
	if (shmipc_pub_fits(p->cell_max, out.prefix_len, len))
		return shmipc_pub_cell(p, &out, NULL, buf, len, deadline_ns);
	ret = p->t.seg->log.hdr.chunks ? send_block(p, &out, buf, len, deadline_ns) : -EMSGSIZE;
	/* A pool may be smaller than a cell of the log. */
	if (ret == -EMSGSIZE && shmipc_pub_fits(p->t.seg->log.hdr.cell_bytes, out.prefix_len, len))
		ret = shmipc_pub_cell(p, &out, NULL, buf, len, deadline_ns);
	return ret;
}

SHMIPC_EXPORT int shmipc_pub_slow_send(struct shmipc_pub *pub, const void *buf, size_t len,
				       uint64_t deadline_ns)
{
	if (!pub)
		return shmipc_null(__func__, "pub");
	return send(pub_priv(pub), NULL, buf, len, deadline_ns);
}

SHMIPC_EXPORT int shmipc_pub_send_with(struct shmipc_pub *pub, const struct shmipc_headers *headers,
				       const void *buf, size_t len, uint64_t deadline_ns)
{
	if (!pub || (!buf && len))
		return shmipc_null(__func__, "pub or buf");
	return send(pub_priv(pub), headers, buf, len, deadline_ns);
}

/* State */

SHMIPC_EXPORT int shmipc_pub_blocked(const struct shmipc_pub *pub, struct shmipc_blocked *ret)
{
	if (!pub || !ret)
		return shmipc_null(__func__, "pub or ret");
	if (!pub->live)
		return shmipc_dead(pub_priv(pub)->t.seg);
	*ret = pub_priv(pub)->blocked;
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_get_stat(const struct shmipc_pub *pub, struct shmipc_pub_stat *ret)
{
	const struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_pub_stat st = { .struct_bytes = sizeof(st) };
	int err;

	if (!pub || !ret)
		return shmipc_null(__func__, "pub or ret");
	err = shmipc_sized_check(ret, sizeof(st), "publisher stat");
	if (err || !pub->live)
		return -EINVAL;
	st.id = shmipc_load_relaxed(&pub->tx.line->id);
	st.sent = pub_seq(p);
	st.bytes = pub->tx.bytes - p->opened_bytes;
	st.sleeps = p->t.wait.sleeps;
	st.ticks = p->t.wait.ticks;
	st.pauses = p->t.wait.cadence.pauses;
	st.wakes = p->t.wakes;
	st.evicted = p->evicted;
	st.fenced = p->t.fenced;
	st.fence_err = p->t.fence_err;
	st.next = shmipc_tlog_tail(pub->tx.log);
	st.max_message = shmipc_topic_max_message(&p->t.seg->log);
	shmipc_sized_write(ret, &st, sizeof(st));
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_get_info(const struct shmipc_pub *pub, struct shmipc_segment_info *ret)
{
	if (!pub || !ret)
		return shmipc_null(__func__, "pub or ret");
	return shmipc_segment_get_info(pub_priv(pub)->t.seg, ret);
}
