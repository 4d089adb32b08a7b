// SPDX-License-Identifier: MIT
/* pub_open.c - becoming a publisher of a topic, and leaving */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "topic/topic.h"

#define RECALL_SLEEP_NS	2000000u
#define OPEN_TRIES	200

static int opts_read(struct shmipc_pub_opts *o, const struct shmipc_pub_opts *user)
{
	memset(o, 0, sizeof(*o));
	return user ? shmipc_sized_read(o, sizeof(*o), user, "publisher options") : 0;
}

/* Of a chunk's owner: is it still there? */
static bool owner_lives(void *arg, uint32_t slot, uint64_t generation)
{
	struct shmipc_segment *seg = arg;
	/* peer.G1 <- peer.G0 */
	uint64_t is = shmipc_load_acquire(&shmipc_segment_slot(seg, slot)->generation);

	return (is & SHMIPC_POOL_GENERATION) == generation && shmipc_topic_pub_alive(seg, slot);
}

/* Messages up to this need nothing but a copy into a cell. */
static void set_plain(struct shmipc_pub_priv *p, const struct shmipc_pub_opts *o)
{
	const struct shmipc_topic_hdr *h = &p->t.seg->log.hdr;

	p->cell_max = h->cell_bytes;
	if (o->pool_from && h->chunks && o->pool_from <= p->cell_max)
		p->cell_max = o->pool_from - 1;
	/* The inline functions do not know of claims that are aborted. */
	if (!h->meta && !(p->chain && p->chain->count) && !o->copier && !h->abort_ns)
		p->pub.plain_end = (uint32_t)p->cell_max + 1;
}

/* Continue where the last publisher in our slot stopped; wake those that wait for its messages. */
static void resume(struct shmipc_pub_priv *p, uint64_t id)
{
	struct shmipc_segment *seg = p->t.seg;
	uint64_t tail = shmipc_tlog_tail(&seg->log);
	uint64_t claim = shmipc_load_relaxed(&seg->log.pub_line[p->t.end.slot].claim);
	uint32_t slot = p->t.end.slot;
	uint64_t first = claim >> SHMIPC_CLAIM_BITS, count = claim & seg->log.claim_max;
	struct shmipc_tlog_settled n;

	shmipc_tlog_tx_init(&p->pub.tx, &seg->log, slot, id, shmipc_topic_pub_alive, seg, &n);
	if (!n.aborted && !n.committed)
		return;
	if (p->pub.tx.single) {
		first = tail;
		count = p->pub.tx.next - tail;
	}
	if (n.aborted) {
		shmipc_add_relaxed(&seg->log.pub->aborted, n.aborted);
		shmipc_probe_abort(seg, slot, slot, first, n.aborted);
	}
	shmipc_topic_wake(seg, slot, first, (uint32_t)count);
}

/*
 * Where the kernel refuses us membarrier: a store stays no millisecond in a
 * processor's buffer, whatever it does.
 */
static void recall_fence(void)
{
	/* tlog.B0 -> tlog.B1 */
	if (!shmipc_barrier_heavy())
		shmipc_sleep_ns(RECALL_SLEEP_NS);
}

static int start(struct shmipc_pub_priv *p, const struct shmipc_pub_opts *o, bool populate)
{
	struct shmipc_segment *seg = p->t.seg;
	uint64_t id, generation;
	int ret;

	ret = getrandom(&id, sizeof(id), 0) == (ssize_t)sizeof(id) ? 0 : -EAGAIN;
	if (ret)
		return shmipc_fail(ret, "shmipc: publish on \"%s\": getrandom gives nothing (EAGAIN)",
				   seg->hdr.name);
	ret = shmipc_topic_seal_check(seg->hdr.name, seg->be, seg->log.hdr.seal_bytes);
	if (ret)
		return ret;
	shmipc_waiter_init(&p->t.wait, o->spin_ns, NULL);
	p->chain = o->chain;
	ret = shmipc_topic_memory_pub(seg);
	if (!ret && populate)
		ret = shmipc_topic_memory_all(seg);
	if (ret)
		return ret;
	generation = shmipc_load_relaxed(&shmipc_segment_slot(seg, p->t.end.slot)->generation);
	resume(p, id);
	/* Our line can be found: subscribers that sleep watch us from here on. */
	if (seg->be->hello)
		seg->be->hello(seg);
	p->pub.tx.full_fence = !(shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER);
	p->pub.tx.fence = recall_fence;
	if (!p->pub.tx.full_fence && !seg->log.hdr.abort_ns)
		p->pub.tx.lend_after = SHMIPC_LEND_AFTER;
	p->opened_sent = p->pub.tx.sent;
	p->opened_bytes = p->pub.tx.bytes;
	shmipc_pool_init(&p->pool, &p->pub.tx, generation, owner_lives, shmipc_pub_unseal, seg);
	shmipc_headers_init(&p->headers);
	set_plain(p, o);
	p->pub.probe = &shmipc_probe_publishes;
	p->pub.live = 1;
	seg->live = &p->pub.live;	/* and plain_end behind it */
	seg->nlive = 2;
	return 0;
}

/*
 * The topic with our end in it; *@ret_old: what it has replaced, or NULL. @trims: one that is
 * not final is left as it is, and *@ret is NULL.
 */
static int open_topic(struct shmipc_pub_priv *p, struct shmipc_segment **ret_old, const char *name,
		      const struct shmipc_topic_opts *topic, bool trims)
{
	int tries, err;

	*ret_old = NULL;
	for (tries = 0; tries < OPEN_TRIES; tries++) {
		err = shmipc_topic_open_to_publish(&p->t.seg, ret_old, name, topic);
		if (err) {
			shmipc_segment_close(*ret_old);
			return err;
		}
		err = shmipc_end_take(&p->t.end, p->t.seg, SHMIPC_ROLE_PRODUCER);
		if (!err && (trims ? shmipc_topic_shape(p->t.seg) == SHMIPC_SHAPE_FINAL :
				     shmipc_topic_shape_final(p->t.seg)))
			return 0;
		if (!err)	/* another one wants it otherwise, and was first */
			shmipc_end_leave(&p->t.end);
		shmipc_segment_close(p->t.seg);
		p->t.seg = NULL;
		shmipc_segment_close(*ret_old);
		if (err || trims)
			return err;
	}
	return shmipc_fail(-EBUSY, "shmipc: publish on \"%s\": others create and replace it all the time (EBUSY)",
			   name);
}

/* @trims: *@ret is NULL if nobody has said what the topic is */
static int open_pub(struct shmipc_pub **ret, const char *name, const struct shmipc_topic_opts *topic,
		    const struct shmipc_pub_opts *o, bool trims)
{
	struct shmipc_segment *old;
	struct shmipc_pub_priv *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a publisher (ENOMEM)");
	err = shmipc_copier_read(&p->t.copier, o->copier, "publisher options: copier");
	if (err)
		goto free_pub;
	p->own_copier = o->copier;
	err = open_topic(p, &old, name, topic, trims);
	if (err || !p->t.seg)
		goto free_pub;
	err = start(p, o, topic && topic->flags & SHMIPC_POPULATE);
	if (err)
		goto leave;
	/* Subscribers that waited for this topic are in it before the first message is. */
	if (old)
		shmipc_topic_shape_await(old);
	shmipc_segment_close(old);
	*ret = &p->pub;
	return 0;

leave:
	shmipc_segment_close(old);
	shmipc_end_leave(&p->t.end);
	shmipc_segment_close(p->t.seg);
free_pub:
	free(p);
	return err;
}

static int open_named(struct shmipc_pub **ret, const char *name,
		      const struct shmipc_topic_opts *topic, const struct shmipc_pub_opts *opts)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_pub_opts o;
	int err;

	if (!ret)
		return shmipc_null("shmipc_pub_open", "ret");
	err = opts_read(&o, opts);
	return err ? err : open_pub(ret, name, topic, &o, false);
}

SHMIPC_EXPORT int shmipc_pub_open(struct shmipc_pub **ret, const char *name,
				  const struct shmipc_topic_opts *topic,
				  const struct shmipc_pub_opts *opts)
{
	return SHMIPC_TOLD(open_named(ret, name, topic, opts));
}

int shmipc_pub_open_to_trim(struct shmipc_pub **ret, const char *name)
{
	struct shmipc_topic_opts topic = SHMIPC_TOPIC_OPTS(.flags = SHMIPC_NO_CREATE | SHMIPC_OWNED_BY_ANY);
	struct shmipc_pub_opts o = { 0 };

	return open_pub(ret, name, &topic, &o, true);
}

SHMIPC_EXPORT void shmipc_pub_close(struct shmipc_pub *pub)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_pub_priv *p = pub_priv(pub);

	if (!pub)
		return;
	shmipc_end_check(&p->t.end);
	if (pub->live) {
		shmipc_pool_exit(&p->pool);
		shmipc_tlog_tx_exit(&pub->tx);
	} else {		/* the memory that it speaks of is the parent's */
		free(p->pool.span), free(p->pool.held);
	}
	shmipc_loan_free_all(p);
	p->t.seg->live = NULL;
	shmipc_topic_end_close(&p->t);
	shmipc_headers_free(&p->headers);
	free(p->prefix);
	free(p);
}
