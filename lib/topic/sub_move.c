// SPDX-License-Identifier: MIT
/*
 * sub_move.c - moving from a provisional topic to the one that superseded it
 *
 * See topic_shape.c. The subscriber joins the new segment before it leaves the old one,
 * and begins there with message 0: what was published before it joined, and is not kept
 * any more, is reported as lost.
 */
#include <errno.h>
#include <stdlib.h>

#include "topic/topic.h"

#define HELPED_MAX	6u	/* 6.4 s */

void shmipc_sub_moves(struct shmipc_sub_priv *s)
{
	if (!s->sub.rx.line)
		return;
	shmipc_store_relaxed(&s->sub.rx.line->moves, (__u64)SHMIPC_MOVES_NOW);
	/* shape.M0 -> shape.M1: that we move, then the word. */
	shmipc_fence_seq_cst();
}

void shmipc_sub_moves_later(struct shmipc_sub_priv *s)
{
	if (s->provisional && s->sub.rx.line)
		/* Relaxed: only for how long it is waited for. */
		shmipc_store_relaxed(&s->sub.rx.line->moves, (__u64)SHMIPC_MOVES_LATER);
}

const __u64 *shmipc_sub_move_poll(const struct shmipc_sub_priv *s, uint64_t *ret_val)
{
	const __u64 *word = &s->t.seg->log.pub->shape;

	*ret_val = s->moving_ns ? shmipc_load_relaxed(word) : SHMIPC_SHAPE_PROVISIONAL;
	return word;
}

bool shmipc_sub_move_look(struct shmipc_sub_priv *s, struct shmipc_wait_set *set)
{
	const __u64 *word;
	uint64_t val;

	word = shmipc_sub_move_poll(s, &val);
	if (!s->moving_ns && shmipc_topic_shape(s->t.seg) != SHMIPC_SHAPE_PROVISIONAL)
		return false;
	shmipc_watch_word(s->t.seg, set, shmipc_low32(word), (uint32_t)val);
	/* shmipc_sub_stop() wakes us there. */
	shmipc_store_relaxed(&s->sleeps_on, shmipc_low32(word));
	/* The new topic does not exist yet, and its creator will not wake us. */
	if (s->moving_ns && set->until_ns > shmipc_now_ns() + TOPIC_NAP_NS)
		set->until_ns = shmipc_now_ns() + TOPIC_NAP_NS;
	if (s->t.seg->read_only)
		shmipc_wait_set_tick(set, SHMIPC_TICK_POLL);
	return true;
}

/* What has the name now. -ENOENT: nothing yet, or still what we are to leave. */
static int find(struct shmipc_sub_priv *s, const char *name, bool patient, struct shmipc_segment **ret)
{
	int in_use;

	if (s->t.seg->read_only)
		return shmipc_topic_open_read_only(ret, name, &s->topic, false, &in_use);
	/* Its creator may have been killed: after a while we create it. */
	return shmipc_topic_open_moved(ret, name, &s->topic, !patient);
}

/* Where we are, until we are somewhere else. */
struct place {
	struct shmipc_segment *seg;
	struct shmipc_end end;
	struct shmipc_tlog_rx rx;
	struct shmipc_sub_hold *hold;
	uint32_t nholds;
};

static void leave(struct shmipc_sub_priv *s, struct place *old)
{
	if (!old->seg->read_only) {
		shmipc_tlog_rx_leave(&old->rx);
		shmipc_end_leave(&old->end);
	}
	old->seg->live = NULL;
	old->seg->busy = NULL;
	shmipc_segment_close(old->seg);
	free(old->hold);	/* nothing was ever received there */
	s->moving_ns = 0;
}

/* Policies for which publishers wait begin where the log is, and were not there before. */
static void note_late(struct shmipc_sub_priv *s)
{
	struct shmipc_tlog_rx *rx = &s->sub.rx;
	uint64_t first = s->opts.stride_at;

	if (s->group || rx->seq <= first || rx->err)
		return;
	rx->lost_from = first;
	rx->lost_to = rx->seq;
	rx->lost += (rx->seq - first + rx->every - 1) / rx->every;
	if (rx->line)
		shmipc_store_relaxed(&rx->line->lost, (__u64)rx->lost);
	s->late = true;
	shmipc_sub_set_plain(s);
}

static int join(struct shmipc_sub_priv *s, struct shmipc_segment *seg)
{
	struct place old = { s->t.seg, s->t.end, s->sub.rx, s->hold, s->nholds };
	int err;

	/*
	 * A thread that stops ours reads where we are, from the moment on in which it sets
	 * stop, with the mutex held. And no child is made half way.
	 */
	pthread_mutex_lock(&s->thread_mutex);
	if (shmipc_load_relaxed(&s->stop)) {
		pthread_mutex_unlock(&s->thread_mutex);
		shmipc_segment_close(seg);
		return 0;
	}
	shmipc_fork_hold();
	s->t.seg = seg;
	s->hold = NULL;
	err = shmipc_sub_join(s, 0);
	if (err) {
		s->t.seg = old.seg;
		s->t.end = old.end;
		s->sub.rx = old.rx;
		s->hold = old.hold;
		s->nholds = old.nholds;
		s->provisional = true;
		shmipc_segment_close(seg);
	} else {
		note_late(s);
		shmipc_store_relaxed(&s->sleeps_on, NULL);
		leave(s, &old);
	}
	shmipc_fork_release();
	pthread_mutex_unlock(&s->thread_mutex);
	return err;
}

/*
 * Its creator has time until then. A creator may be slower than that (emulated, traced):
 * each time that we took its place, and were superseded again, it gets twice the time, so
 * that it succeeds at last.
 */
static bool patient(const struct shmipc_sub_priv *s, uint64_t now)
{
	uint32_t twice = s->helped < HELPED_MAX ? s->helped : HELPED_MAX;

	return now - s->moving_ns < TOPIC_PATIENCE_NS << twice;
}

int shmipc_sub_move(struct shmipc_sub_priv *s)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_segment *seg;
	uint64_t now;
	bool waits;
	int err;

	if (!s->provisional || s->move_err)
		return s->move_err != 0;
	switch (shmipc_topic_shape(s->t.seg)) {
	case SHMIPC_SHAPE_PROVISIONAL:
		return 0;
	case SHMIPC_SHAPE_FINAL:
		s->provisional = false;
		return 1;
	default:
		break;
	}
	now = shmipc_now_ns();
	if (!s->moving_ns)
		s->moving_ns = now;
	waits = patient(s, now);
	err = find(s, s->t.seg->hdr.name, waits, &seg);
	if (err == -ENOENT)
		return 0;
	s->helped += !waits;
	if (!err)
		err = join(s, seg);
	s->move_err = err;
	return 1;
}
