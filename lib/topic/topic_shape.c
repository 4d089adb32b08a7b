// SPDX-License-Identifier: MIT
/*
 * topic_shape.c - which end determines what a topic is
 *
 * A subscriber without options must not bind the publisher that comes later, so what
 * it creates is provisional: a topic with the defaults, in which nothing is published
 * yet. The first end that publishes or states options decides, by one compare-and-swap
 * of pub_ctl.shape:
 *
 *   final       it asks for nothing else: the topic stays as it is
 *   superseded  it asks for something else: it wakes the subscribers, creates another
 *               segment, and puts it in the place of the name
 *
 * Subscribers of a provisional topic sleep on that word. When it is superseded they
 * open the name again, join the new topic, begin with its first message, and only then
 * leave the old segment. The end that decided waits for sleeping subscribers, so that
 * they have joined before it publishes.
 *
 * Killed at any point it leaves nothing stuck. Until the subscribers are awake the name
 * is that of the superseded segment, and any process that opens it by name wakes them
 * and replaces it. From then on the subscribers themselves look for the name, and create it
 * after a while.
 *
 * The word is where publishers may write: to decide, any end becomes a publisher for a
 * moment. A topic in which something was published is final whatever the word says, so
 * that a hostile publisher cannot void a topic that is in use.
 */
#include <errno.h>
#include <unistd.h>

#include "topic/topic.h"

#define AWAIT_NS	UINT64_C(100000000)	/* for subscribers that will move */
#define AWAIT_CALL_NS	UINT64_C(2000000000)	/* for those in a call, which the machine may be slow to run */
#define NAP_NS		UINT64_C(100000)

static const uint32_t *shape_word(const struct shmipc_segment *seg)
{
	return shmipc_low32(&seg->log.pub->shape);
}

enum shmipc_topic_shape shmipc_topic_shape(const struct shmipc_segment *seg)
{
	/* shape.S1 <- shape.S0 */
	uint32_t is = shmipc_load_acquire(shape_word(seg));

	if (is != SHMIPC_SHAPE_PROVISIONAL && is != SHMIPC_SHAPE_SUPERSEDED)
		return SHMIPC_SHAPE_FINAL;
	return shmipc_tlog_tail(&seg->log) ? SHMIPC_SHAPE_FINAL : (enum shmipc_topic_shape)is;
}

/* All sleepers in a provisional topic look at it again. */
void shmipc_topic_shape_wake(struct shmipc_segment *seg)
{
	seg->be->wake(seg, shape_word(seg), 0);
}

/* The caller has a publisher's end. false: it is superseded. */
bool shmipc_topic_shape_final(struct shmipc_segment *seg)
{
	__u64 was = SHMIPC_SHAPE_PROVISIONAL;

	if (shmipc_tlog_tail(&seg->log))
		return true;
	/* shape.S0 -> shape.S1 */
	(void)shmipc_cas_acq_rel(&seg->log.pub->shape, &was, (__u64)SHMIPC_SHAPE_FINAL);
	/* Even if another one decided: it may have been killed before it woke them. */
	shmipc_topic_shape_wake(seg);
	return shmipc_topic_shape(seg) != SHMIPC_SHAPE_SUPERSEDED;
}

/* 0: it is @to now, by us; -EAGAIN: another one was first; -errno with a text. */
int shmipc_topic_shape_decide(struct shmipc_segment *seg, enum shmipc_topic_shape to)
{
	__u64 was = SHMIPC_SHAPE_PROVISIONAL;
	struct shmipc_end end = { .seg = NULL };
	int ret = shmipc_end_take(&end, seg, SHMIPC_ROLE_PRODUCER);

	if (ret)
		return ret;
	/* shape.S0 -> shape.S1 */
	if (!shmipc_cas_acq_rel(&seg->log.pub->shape, &was, (__u64)to))
		ret = -EAGAIN;
	shmipc_end_leave(&end);
	shmipc_topic_shape_wake(seg);
	return ret;
}

/* The name can be taken from it: nothing is begun that cannot be finished. */
bool shmipc_topic_shape_ours(const struct shmipc_segment *seg)
{
	uint32_t uid = (uint32_t)geteuid();

	return !uid || uid == seg->hdr.uid;
}

/* Is a subscriber in it that will move (SHMIPC_MOVES_LATER), or does so now? */
static uint64_t moves(struct shmipc_segment *seg)
{
	uint32_t slot, pubs = seg->log.hdr.pubs, used = shmipc_priv_tlog_subs(&seg->log);
	uint64_t of, most = SHMIPC_MOVES_NOT;

	for (slot = 0; slot < used; slot++) {
		of = shmipc_load_relaxed(&shmipc_tlog_sub(&seg->log, slot)->moves);
		if (of > most && seg->be->state(seg, pubs + slot, true) == SHMIPC_PEER_ATTACHED)
			most = of;
	}
	return most;
}

void shmipc_topic_shape_await(struct shmipc_segment *old)
{
	uint64_t began_ns = shmipc_now_ns(), most;

	/* shape.M1 <- shape.M0: the word, then the movers; they do it the other way around. */
	shmipc_fence_seq_cst();
	/* Lines without memory are not read. */
	if (shmipc_topic_memory_sub(old, SHMIPC_TOPIC_LOOKS))
		return;
	while ((most = moves(old)) != SHMIPC_MOVES_NOT &&
	       shmipc_now_ns() - began_ns < (most == SHMIPC_MOVES_LATER ? AWAIT_NS : AWAIT_CALL_NS))
		shmipc_sleep_ns(NAP_NS);
}
