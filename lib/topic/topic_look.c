// SPDX-License-Identifier: MIT
/* topic_look.c - the state of a topic, for people and tools */
#include <errno.h>

#include "topic/topic.h"

static void look_at_pub(struct shmipc_segment *seg, uint32_t slot, struct shmipc_topic_pub_info *ret)
{
	const struct shmipc_tlog *log = &seg->log;
	const struct shmipc_pub_line *line = &log->pub_line[slot];
	uint32_t i;
	uint64_t word;

	ret->id = shmipc_load_relaxed(&line->id);
	ret->sent = shmipc_load_relaxed(&line->sent);
	ret->bytes = shmipc_load_relaxed(&line->bytes);
	ret->waits = shmipc_load_relaxed(&line->waits);
	ret->waits_for = (uint32_t)shmipc_load_relaxed(&line->wait_slot);
	ret->chunks = 0;
	for (i = 0; i < log->hdr.chunks; i++) {
		word = shmipc_load_relaxed(&log->chunk[i]);
		if ((word & SHMIPC_CHUNK_STATE) == SHMIPC_CHUNK_OWNED &&
		    (word >> 2 & 0xffff) == slot)
			ret->chunks++;
	}
}

static void look_at_sub(struct shmipc_segment *seg, uint32_t slot, struct shmipc_topic_sub_info *ret)
{
	const struct shmipc_tlog *log = &seg->log;
	const struct shmipc_sub_line *line = shmipc_tlog_sub(log, slot);
	uint64_t state = shmipc_load_relaxed(&line->state), pos = shmipc_load_relaxed(&line->pos);
	uint64_t tail = shmipc_tlog_tail(log), evicted, cursor;

	ret->policy = shmipc_sub_state_policy(state);
	ret->group = shmipc_sub_state_group(state);
	if (ret->group && ret->group <= SHMIPC_TOPIC_GROUPS) {
		cursor = shmipc_load_relaxed(&log->group[ret->group - 1].cursor);
		if (cursor && cursor - 1 < pos)
			pos = cursor - 1;
	}
	ret->pos = pos;
	ret->lag = tail > pos ? tail - pos : 0;
	ret->received = shmipc_load_relaxed(&line->received);
	ret->lost = shmipc_load_relaxed(&line->lost);
	ret->holding = (uint32_t)shmipc_load_relaxed(&line->holding);
	evicted = shmipc_load_relaxed(&log->evicted[slot]);
	ret->evicted = state && (evicted & SHMIPC_EVICTED_GENERATION) == state >> 16;
}

static void look_at_peers(struct shmipc_segment *seg, struct shmipc_topic_stat *st)
{
	struct shmipc_peer_info peer;
	uint32_t slot, pubs = seg->log.hdr.pubs;

	st->npubs = st->nsubs = 0;
	for (slot = 0; slot < seg->hdr.peers; slot++) {
		shmipc_slot_info(seg, slot, &peer);
		if (peer.state == SHMIPC_PEER_NONE || peer.state == SHMIPC_PEER_LEFT)
			continue;
		if (slot < pubs && st->npubs < st->pub_cap) {
			st->pub[st->npubs] = (struct shmipc_topic_pub_info){ .peer = peer };
			look_at_pub(seg, slot, &st->pub[st->npubs]);
		} else if (slot >= pubs && st->nsubs < st->sub_cap) {
			st->sub[st->nsubs] = (struct shmipc_topic_sub_info){ .peer = peer };
			look_at_sub(seg, slot - pubs, &st->sub[st->nsubs]);
		}
		*(slot < pubs ? &st->npubs : &st->nsubs) += 1;
	}
}

/* All lines: those of publishers that have gone keep their counts. */
static void look_at_totals(const struct shmipc_tlog *log, struct shmipc_topic_stat *st)
{
	const struct shmipc_pub_line *line;
	uint32_t i;

	st->sent = st->bytes = st->waits = 0;
	for (i = 0; i < log->hdr.pubs; i++) {
		line = &log->pub_line[i];
		st->sent += shmipc_load_relaxed(&line->sent);
		st->bytes += shmipc_load_relaxed(&line->bytes);
		st->waits += shmipc_load_relaxed(&line->waits);
	}
	st->aborted = shmipc_load_relaxed(&log->pub->aborted);
	st->evictions = shmipc_load_relaxed(&log->pub->evictions);
}

static void look_at_pool(const struct shmipc_segment *seg, struct shmipc_topic_stat *st)
{
	const struct shmipc_tlog *log = &seg->log;
	uint32_t i;

	st->chunks = log->hdr.chunks;
	st->chunk_bytes = log->hdr.chunk_bytes;
	st->chunks_free = st->chunks_owned = 0;
	for (i = 0; i < log->hdr.chunks; i++) {
		switch (shmipc_load_relaxed(&log->chunk[i]) & SHMIPC_CHUNK_STATE) {
		case SHMIPC_CHUNK_FREE:
			st->chunks_free++;
			break;
		case SHMIPC_CHUNK_OWNED:
			st->chunks_owned++;
			break;
		}
	}
	st->chunks_held = shmipc_pool_count_held(log);
	st->chunks_sealed = shmipc_topic_sealed(seg);
}

/* Fill in everything except the caller's fields: @st->pub, @st->sub and their sizes. */
static void look_at_topic(struct shmipc_segment *seg, struct shmipc_topic_stat *st)
{
	st->info.struct_bytes = sizeof(st->info);
	(void)shmipc_segment_get_info(seg, &st->info);
	shmipc_topic_opts_of(seg, &st->opts);
	st->max_message = shmipc_topic_max_message(&seg->log);
	/* tlog.A0 <- tlog.R0, tlog.Z1 <- tlog.Z0 */
	st->tail = shmipc_tlog_tail(&seg->log);
	st->floor = shmipc_load_acquire(&seg->log.pub->floor);
	st->entries = seg->log.hdr.entries;
	st->provisional = shmipc_topic_shape(seg) == SHMIPC_SHAPE_PROVISIONAL;
	look_at_totals(&seg->log, st);
	look_at_pool(seg, st);
	look_at_peers(seg, st);
}

static int look_at_name(const char *name, struct shmipc_topic_stat *ret)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_topic_stat st = { 0 };
	struct shmipc_segment *seg;
	int err;

	if (!ret)
		return shmipc_null("shmipc_topic_look", "ret");
	err = shmipc_sized_check(ret, sizeof(st), "topic stat");
	if (err)
		return err;
	memcpy(&st, ret, ret->struct_bytes < sizeof(st) ? ret->struct_bytes : sizeof(st));
	err = shmipc_topic_open_read_only(&seg, name, NULL, true, &st.in_use);
	if (err)
		return err;
	look_at_topic(seg, &st);
	shmipc_sized_write(ret, &st, sizeof(st));
	shmipc_segment_close(seg);
	return 0;
}

SHMIPC_EXPORT int shmipc_topic_look(const char *name, struct shmipc_topic_stat *ret)
{
	return SHMIPC_TOLD(look_at_name(name, ret));
}
