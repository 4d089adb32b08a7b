// SPDX-License-Identifier: MIT
/* pub.c - publishing on a topic */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

/* A message on its way: what it says of itself, and where it will lie. */
struct outgoing {
	size_t prefix_len;		/* meta fields and headers, in eights */
	size_t headers_len;
};

/* Wakes */

SHMIPC_EXPORT void shmipc_pub_slow_wake(struct shmipc_pub *pub, uint64_t seq, uint32_t n)
{
	struct shmipc_pub_priv *p = pub_priv(pub);

	if (!pub->live)
		return;
	p->t.wakes++;
	shmipc_topic_wake(p->t.seg, p->t.end.slot, seq, n);
}

static void commit(struct shmipc_pub_priv *p, uint64_t seq, uint32_t n,
		   enum shmipc_entry_state state, uint64_t bytes)
{
	uint32_t wake;

	shmipc_probe_publish(p->t.seg, p->t.end.slot, seq, n, bytes);
	wake = shmipc_tlog_commit(&p->pub.tx, seq, n, state, bytes);
	if (wake)
		shmipc_pub_slow_wake(&p->pub, seq, wake);
}

/* @n numbers, waiting for room. */
static int claim(struct shmipc_pub_priv *p, uint32_t n, uint64_t *ret_seq, uint64_t deadline_ns)
{
	struct shmipc_tlog_block b;
	uint64_t seq;
	int ret;

	if (!p->pub.live)
		return -EINVAL;
	while (shmipc_tlog_claim(&p->pub.tx, n, ret_seq)) {
		if (!shmipc_tlog_make_room(&p->pub.tx, n, &b))
			continue;
		seq = shmipc_tlog_tx_next(&p->pub.tx);
		ret = shmipc_pub_wait(p, &b, seq + n - p->pub.tx.entries, deadline_ns);
		if (ret)
			return ret;
	}
	return 0;
}

/* A block of the pool, waiting for room. */
static int take_block(struct shmipc_pub_priv *p, uint64_t bytes, struct shmipc_pool_block *ret_blk,
		      uint64_t deadline_ns)
{
	struct shmipc_tlog_block b;
	int ret;

	if (!p->pub.live)
		return -EINVAL;
	for (;;) {
		b.who = SHMIPC_TLOG_NOBODY;
		ret = shmipc_pool_take(&p->pool, bytes, ret_blk, &b);
		if (ret != -EAGAIN)
			return ret;
		ret = shmipc_pub_wait(p, &b, b.pos + 1, deadline_ns);
		if (ret)
			return ret;
	}
}

/* What lies before the payload */

static void *put64(void *at, uint64_t v)
{
	memcpy(at, &v, sizeof(v));
	return (unsigned char *)at + sizeof(v);
}

static uint64_t pub_seq(const struct shmipc_pub_priv *p)
{
	return p->pub.tx.sent - p->opened_sent;
}

/* The topic's meta fields; @at has room. Returns what is behind them. */
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
static int run_chain(struct shmipc_pub_priv *p, const struct shmipc_headers *user, const void *buf,
		     size_t len, struct outgoing *ret)
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

/* The prefix in the pool begins so that the payload is aligned. */
static size_t pool_prefix(const struct shmipc_pub_priv *p, size_t prefix_len)
{
	return prefix_len ? shmipc_priv_round_up(prefix_len, p->t.seg->log.hdr.align) : 0;
}

static uint64_t headers_flag(const struct outgoing *out)
{
	return out->headers_len ? SHMIPC_INFO_HEADERS : 0;
}

/* Messages into cells */

/* The cells of a topic may be smaller than its meta fields, and a length is the user's. */
static bool fits(uint64_t cell_bytes, size_t prefix_len, size_t len)
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

/* @headers: a block that has been made already; NULL: that of p->headers. */
static int send_cell(struct shmipc_pub_priv *p, const struct outgoing *out, const void *headers,
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
	commit(p, seq, 1, SHMIPC_ENTRY_CELL, len);
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_send_batch(struct shmipc_pub *pub, const struct shmipc_buf *v,
					uint32_t n, uint64_t deadline_ns)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	uint32_t meta = p->t.seg->log.hdr.meta, i;
	size_t prefix_len = shmipc_tlog_meta_bytes(meta);
	unsigned char prefix[8 * 4];
	uint64_t seq, bytes = 0;
	int ret;

	if (!pub->live || !n)
		return pub->live ? 0 : -EINVAL;
	if (p->chain && p->chain->count)
		return shmipc_fail(-EINVAL, "shmipc: publish a batch on \"%s\": its publisher has a chain of functions (EINVAL); send the messages one by one",
				   p->t.seg->hdr.name);
	if (n > SHMIPC_CLAIM_MAX || n > p->t.seg->log.lot)
		return -E2BIG;
	for (i = 0; i < n; i++)
		if (!fits(p->t.seg->log.hdr.cell_bytes, prefix_len, v[i].len))
			return -EMSGSIZE;
	ret = claim(p, n, &seq, deadline_ns);
	if (ret)
		return ret;
	for (i = 0; i < n; i++) {
		(void)put_meta(p, prefix, pub_seq(p) + i);
		shmipc_tlog_fill(&pub->tx, seq + i, prefix, prefix_len, v[i].ptr, v[i].len, 0);
		bytes += v[i].len;
	}
	commit(p, seq, n, SHMIPC_ENTRY_CELL, bytes);
	return 0;
}

/* Messages in the pool */

static unsigned char *block_at(const struct shmipc_pub_priv *p, uint64_t off)
{
	return p->t.seg->log.pool + off;
}

/* Meta and headers lie right before the payload, whatever is left before them. */
static int publish_block(struct shmipc_pub_priv *p, const struct shmipc_pool_block *blk,
			 const struct outgoing *out, size_t room, size_t len, uint64_t deadline_ns)
{
	uint64_t seq, off = blk->off + room - out->prefix_len;
	int ret = claim(p, 1, &seq, deadline_ns);

	if (ret)
		return ret;
	(void)put_meta(p, block_at(p, off), pub_seq(p));
	shmipc_tlog_fill_pool(&p->pub.tx, seq, out->prefix_len, len, headers_flag(out), off,
			     blk->chunks);
	commit(p, seq, 1, SHMIPC_ENTRY_POOL, len);
	shmipc_pool_published(&p->pool, blk, seq);
	return 0;
}

static int save_headers(struct shmipc_pub_priv *p, const struct shmipc_pool_block *blk,
			const struct outgoing *out, size_t room)
{
	if (!out->headers_len)
		return 0;
	return shmipc_headers_save(&p->headers, block_at(p, blk->off + room - out->headers_len),
				   out->headers_len);
}

static int send_block(struct shmipc_pub_priv *p, const struct outgoing *out, const void *buf,
		      size_t len, uint64_t deadline_ns)
{
	size_t room = pool_prefix(p, out->prefix_len);
	struct shmipc_pool_block blk;
	int ret = take_block(p, room + len, &blk, deadline_ns);

	if (ret)
		return ret;
	ret = save_headers(p, &blk, out, room);
	if (!ret)
		ret = p->t.copier->to_shm(block_at(p, blk.off + room), buf, len, p->t.copier->arg);
	if (!ret)
		ret = publish_block(p, &blk, out, room, len, deadline_ns);
	if (ret)
		shmipc_pool_dropped(&p->pool, &blk);
	return ret;
}

/* With a copier of the user's, which does not run while a number is claimed. */
static int send_copied(struct shmipc_pub_priv *p, const struct outgoing *out, const void *buf,
		       size_t len, uint64_t deadline_ns)
{
	void *copy;
	int ret;

	if (p->t.seg->log.hdr.chunks)
		return send_block(p, out, buf, len, deadline_ns);
	if (!fits(p->cell_max, out->prefix_len, len))
		return -EMSGSIZE;
	copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	ret = p->t.copier->to_shm(copy, buf, len, p->t.copier->arg);
	if (!ret)
		ret = send_cell(p, out, NULL, copy, len, deadline_ns);
	free(copy);
	return ret;
}

static int send(struct shmipc_pub_priv *p, const struct shmipc_headers *headers, const void *buf,
		size_t len, uint64_t deadline_ns)
{
	struct outgoing out;
	int ret;

	if (!p->pub.live)
		return -EINVAL;
	if (len > shmipc_topic_max_message(&p->t.seg->log))
		return -EMSGSIZE;
	ret = run_chain(p, headers, buf, len, &out);
	if (ret)
		return ret;
	/* A copier of the user's knows what @buf is: only it may read from there. */
	if (p->own_copier)
		return send_copied(p, &out, buf, len, deadline_ns);
	if (fits(p->cell_max, out.prefix_len, len))
		return send_cell(p, &out, NULL, buf, len, deadline_ns);
	return p->t.seg->log.hdr.chunks ? send_block(p, &out, buf, len, deadline_ns) : -EMSGSIZE;
}

SHMIPC_EXPORT int shmipc_pub_slow_send(struct shmipc_pub *pub, const void *buf, size_t len,
				       uint64_t deadline_ns)
{
	return send(pub_priv(pub), NULL, buf, len, deadline_ns);
}

SHMIPC_EXPORT int shmipc_pub_send_with(struct shmipc_pub *pub, const struct shmipc_headers *headers,
				       const void *buf, size_t len, uint64_t deadline_ns)
{
	return send(pub_priv(pub), headers, buf, len, deadline_ns);
}

/* Loans */

/* Of a topic without a pool: private memory, copied at last. */
static int loan_private(struct shmipc_pub_priv *p, const struct outgoing *out, size_t len,
			struct shmipc_loan *ret)
{
	struct shmipc_loan l = { .len = len, .prefix_len = (uint32_t)out->prefix_len,
				 .headers_len = (uint32_t)out->headers_len };
	int err = !fits(p->cell_max, out->prefix_len, len) ? -EMSGSIZE : shmipc_loan_alloc(p, &l);

	if (!err && l.headers_len)
		err = shmipc_headers_save(&p->headers, shmipc_loan_headers(&l), l.headers_len);
	if (!err)
		*ret = l;
	else if (l.block)
		shmipc_loan_free(&l);
	return err;
}

static int publish_private(struct shmipc_pub_priv *p, struct shmipc_loan *loan,
			   const struct outgoing *out, size_t len, uint64_t deadline_ns)
{
	int ret = send_cell(p, out, out->headers_len ? shmipc_loan_headers(loan) : NULL,
			    loan->block, len, deadline_ns);

	if (!ret)
		shmipc_loan_free(loan);
	return ret;
}

SHMIPC_EXPORT int shmipc_pub_loan(struct shmipc_pub *pub, size_t len,
				  const struct shmipc_headers *headers, struct shmipc_loan *ret,
				  uint64_t deadline_ns)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_pool_block blk;
	struct outgoing out;
	size_t room;
	int err;

	if (!pub->live)
		return -EINVAL;
	if (len > shmipc_topic_max_message(&p->t.seg->log))
		return -EMSGSIZE;
	err = run_chain(p, headers, NULL, len, &out);
	if (err)
		return err;
	room = pool_prefix(p, out.prefix_len);
	if (!p->t.seg->log.hdr.chunks)
		return loan_private(p, &out, len, ret);
	err = take_block(p, room + len, &blk, deadline_ns);
	if (err)
		return err;
	err = save_headers(p, &blk, &out, room);
	if (err) {
		shmipc_pool_dropped(&p->pool, &blk);
		return err;
	}
	*ret = (struct shmipc_loan){ .ptr = block_at(p, blk.off + room), .len = len,
				     .off = blk.off, .chunks = blk.chunks, .span = blk.span,
				     .prefix_len = (uint32_t)out.prefix_len,
				     .headers_len = (uint32_t)out.headers_len };
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_publish(struct shmipc_pub *pub, struct shmipc_loan *loan, size_t len,
				     uint64_t deadline_ns)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_pool_block blk = { .off = loan->off, .chunks = loan->chunks,
					 .span = loan->span };
	struct outgoing out = { loan->prefix_len, loan->headers_len };
	int ret;

	if (!pub->live || !loan->ptr || len > loan->len)
		return -EINVAL;
	if (loan->block)
		ret = publish_private(p, loan, &out, len, deadline_ns);
	else
		ret = publish_block(p, &blk, &out, pool_prefix(p, out.prefix_len), len, deadline_ns);
	if (!ret)
		loan->ptr = NULL;
	return ret;
}

SHMIPC_EXPORT void shmipc_pub_drop(struct shmipc_pub *pub, struct shmipc_loan *loan)
{
	struct shmipc_pub_priv *p = pub_priv(pub);
	struct shmipc_pool_block blk = { .off = loan->off, .chunks = loan->chunks,
					 .span = loan->span };

	if (!loan->ptr)
		return;
	if (loan->block)
		shmipc_loan_free(loan);
	else if (pub->live)
		shmipc_pool_dropped(&p->pool, &blk);
	loan->ptr = NULL;
}

/* Looking at it */

SHMIPC_EXPORT int shmipc_pub_blocked(const struct shmipc_pub *pub, struct shmipc_blocked *ret)
{
	if (!pub->live)
		return -EINVAL;
	*ret = pub_priv(pub)->blocked;
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_get_stat(const struct shmipc_pub *pub, struct shmipc_pub_stat *ret)
{
	const struct shmipc_pub_priv *p = pub_priv(pub);

	if (ret->struct_bytes != sizeof(*ret) || !pub->live)
		return -EINVAL;
	ret->id = shmipc_load_relaxed(&pub->tx.line->id);
	ret->sent = pub_seq(p);
	ret->bytes = pub->tx.bytes - p->opened_bytes;
	ret->sleeps = p->t.sleeps;
	ret->wakes = p->t.wakes;
	ret->evicted = p->evicted;
	ret->next = shmipc_tlog_tail(pub->tx.log);
	ret->max_message = shmipc_topic_max_message(&p->t.seg->log);
	return 0;
}

SHMIPC_EXPORT int shmipc_pub_get_info(const struct shmipc_pub *pub, struct shmipc_segment_info *ret)
{
	return shmipc_segment_get_info(pub_priv(pub)->t.seg, ret);
}
