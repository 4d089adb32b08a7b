// SPDX-License-Identifier: MIT
/*
 * sub_wait.c - a subscriber for whom nothing is there: look, spin, sleep
 *
 * It sleeps on the low half of the next entry's word, which changes when that
 * message is committed. Before, it says so (want), runs the dear half of the
 * asymmetric fence, and looks once more: so either it sees the message, or the
 * publisher sees that it must wake. Publishers that die wake it, too: one may have
 * claimed the number that it waits for.
 */
#include <errno.h>

#include "topic/topic.h"

#define GATHER_NS	1000u	/* see channel_wait.c, which does the same */
#define GATHER_MIN	4
#define GATHER_EVERY_MAX 2048u
#define QUICK_SPINS	1000
#define SPIN_LOOKS	64
#define READ_ONLY_TICK_NS 1000000u	/* nobody wakes who cannot say that he sleeps */

uint64_t shmipc_sub_awaited(const struct shmipc_sub_priv *s)
{
	const struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t cursor;

	if (!s->group || s->group_has)
		return rx->seq;
	/* peer.G1 <- peer.G0 */
	cursor = shmipc_load_acquire(&rx->group->cursor);
	return cursor ? cursor - 1 : rx->seq;
}

bool shmipc_sub_ready(const struct shmipc_sub_priv *s)
{
	const struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t seq = shmipc_sub_awaited(s);

	/* tlog.A0 <- tlog.R0; and who was lapped has its losses to hear of. */
	return rx->err ||
	       !shmipc_tlog_pending(shmipc_load_acquire(&shmipc_tlog_rx_entry(rx, seq)->word), seq) ||
	       (shmipc_load_relaxed(&rx->pub->floor) > seq && !shmipc_priv_tlog_kept(rx, seq));
}

/* Wait a moment before looking, where that pays; see channel_wait.c. */
static void gather(struct shmipc_sub_priv *s)
{
	uint64_t seq = s->sub.rx.received, got = seq - s->gather_seq, until;

	s->gather_seq = seq;
	if (s->gathering && got >= GATHER_MIN) {
		s->gather_every = TOPIC_GATHER_EVERY;
	} else if (s->gathering) {
		s->gathering = false;
		if (s->gather_every < GATHER_EVERY_MAX)
			s->gather_every *= 2;
		s->gather_in = s->gather_every;
	} else if (!s->gather_in--) {
		s->gathering = true;
	}
	if (!s->gathering)
		return;
	until = shmipc_now_ns() + GATHER_NS;
	while (shmipc_now_ns() < until)
		shmipc_cpu_relax();
}

static bool glance(const struct shmipc_sub_priv *s, int times)
{
	int i;

	for (i = 0; i < times; i++)
		if (shmipc_sub_ready(s))
			return true;
	return false;
}

static bool spin(const struct shmipc_sub_priv *s, uint64_t deadline_ns)
{
	uint64_t end, now = shmipc_now_ns();
	int i;

	if (!s->t.spin_ns)
		return false;
	end = s->t.spin_ns == SHMIPC_SPIN_ALWAYS ? now + TOPIC_SURE_TICK_NS : now + s->t.spin_ns;
	if (end > deadline_ns)
		end = deadline_ns;
	do {
		for (i = 0; i < SPIN_LOOKS; i++) {
			if (shmipc_sub_ready(s))
				return true;
			shmipc_cpu_relax();
		}
	} while (shmipc_now_ns() < end);
	return s->t.spin_ns == SHMIPC_SPIN_ALWAYS;
}

/* The message that we wait for was claimed by one that is dead: go on. */
bool shmipc_sub_step_over(struct shmipc_sub_priv *s)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t seq = shmipc_sub_awaited(s);

	if (!shmipc_tlog_orphan(&s->t.seg->log, seq, shmipc_topic_pub_alive, s->t.seg))
		return false;
	shmipc_probe(abort, s->t.seg, shmipc_topic_slot(&s->t), SHMIPC_PROBE_NOBODY, seq, 1);
	if (s->group)
		shmipc_sub_group_step(s, seq);
	else
		shmipc_tlog_step(rx);
	return true;
}

void shmipc_sub_want(struct shmipc_sub_priv *s)
{
	/* wait.W1 <- wait.W0 follows in shmipc_barrier_heavy(). */
	if (s->sub.rx.line)
		shmipc_priv_tlog_raise(&s->t.seg->log.sub->want, shmipc_sub_awaited(s) + 1);
}

bool shmipc_sub_look(const struct shmipc_sub_priv *s, const uint32_t **ret_word, uint32_t *ret_val)
{
	const struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t seq = shmipc_sub_awaited(s), word;

	/* tlog.A0 <- tlog.R0 */
	word = shmipc_load_acquire(&shmipc_tlog_rx_entry(rx, seq)->word);
	*ret_word = shmipc_low32(&shmipc_tlog_rx_entry(rx, seq)->word);
	*ret_val = (uint32_t)word;
	return shmipc_tlog_pending(word, seq) && !shmipc_sub_ready(s);
}

void shmipc_sub_tell_wait(const struct shmipc_sub_priv *s, const uint32_t *word)
{
	shmipc_probe(wait, s->t.seg, shmipc_topic_slot(&s->t), shmipc_probe_off(s->t.seg, word),
		     shmipc_sub_awaited(s), SHMIPC_ROLE_READER);
}

void shmipc_sub_tell_waited(const struct shmipc_sub_priv *s, const uint32_t *word, int ret)
{
	shmipc_probe(wait_end, s->t.seg, shmipc_topic_slot(&s->t),
		     shmipc_probe_off(s->t.seg, word), (int64_t)ret, SHMIPC_ROLE_READER);
}

static uint64_t tick_ns(const struct shmipc_sub_priv *s)
{
	if (s->t.seg->read_only)
		return READ_ONLY_TICK_NS;
	/* Claimed and not there: its publisher may have died just now. */
	if (shmipc_tlog_claimed(s->sub.rx.log, shmipc_sub_awaited(s)) ||
	    shmipc_tlog_undecided(s->sub.rx.log))
		return TOPIC_CLAIM_TICK_NS;
	return TOPIC_SURE_TICK_NS;
}

int shmipc_sub_wait_entry(struct shmipc_sub_priv *s, uint64_t deadline_ns)
{
	const uint32_t *word;
	uint64_t now, until;
	uint32_t val;
	int ret;

	if (deadline_ns && s->t.spin_ns) {
		gather(s);
		/* First of all: who answers within a microsecond should cost nothing more. */
		if (glance(s, QUICK_SPINS))
			return 0;
	}
	if (!deadline_ns)
		return shmipc_sub_step_over(s) ? 0 : -EAGAIN;
	if (shmipc_now_ns() >= deadline_ns)
		return shmipc_sub_step_over(s) ? 0 : -ETIMEDOUT;
	if (spin(s, deadline_ns) || shmipc_sub_step_over(s))
		return 0;
	now = shmipc_now_ns();
	if (now >= deadline_ns)
		return -ETIMEDOUT;
	shmipc_sub_want(s);
	/* wait.W1 <- wait.W0: our want is visible before we look again. */
	if (s->sub.rx.line)
		(void)shmipc_barrier_heavy();
	if (!shmipc_sub_look(s, &word, &val))
		return 0;
	until = deadline_ns - now > tick_ns(s) ? now + tick_ns(s) : deadline_ns;
	s->t.sleeps++;
	/* Whoever stops our thread wakes us there. */
	shmipc_store_relaxed(&s->sleeps_for, shmipc_sub_awaited(s));
	if (shmipc_load_relaxed(&s->stop))
		return 0;
	shmipc_sub_tell_wait(s, word);
	ret = s->t.seg->be->wait_log(s->t.seg, word, val, shmipc_priv_tlog_pubs(&s->t.seg->log),
				     until);
	shmipc_sub_tell_waited(s, word, ret);
	return ret == -EINTR ? ret : 0;
}
