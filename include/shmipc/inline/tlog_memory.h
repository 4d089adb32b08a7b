/* SPDX-License-Identifier: MIT */
/*
 * tlog_memory.h - a log that takes memory as it is used; see tlog.h
 *
 * A new log has memory for its first entries and for no chunk of its pool; the rest is
 * reserved addresses only (a hole in a file). Each end keeps a private record of the
 * parts that it knows to have memory, and touches no others. It asks the kernel and
 * believes no word in shared memory: a publisher has the kernel take the memory (doing
 * so again changes nothing, so it does not matter which publisher was first, or was
 * killed meanwhile); a subscriber has the kernel check that it is there.
 *
 *   entries  get memory in order, in steps, during the first lap. A publisher claims a
 *            number only when the entries of that number and of the next one have
 *            memory. So the entry of the tail always has it, and can be read and slept
 *            on. After a step the publisher raises pub_ctl.backed, which tells the
 *            others how far asking the kernel is worthwhile. For a subscriber a message
 *            beyond that is not published yet; it sleeps on that word
 *   chunks   of the pool get memory from the publisher that owns them, before it writes;
 *            a subscriber checks them before it reads a message. Chunks can be given
 *            back to the system (tlog_trim.h): pub_ctl.trims is raised first, which
 *            invalidates every record of chunks
 *   lines    of subscribers get memory from their owners; publishers check
 *
 * Once all parts are recorded, nothing of this runs.
 */
#ifndef SHMIPC_TLOG_MEMORY_H
#define SHMIPC_TLOG_MEMORY_H

#include <shmipc/inline/tlog.h>

SHMIPC_PRIV_C_BEGIN

#define SHMIPC_TLOG_STEP_MIN	(1u << 16)	/* the log doubles, by at least this ... */
#define SHMIPC_TLOG_STEP_MAX	(1u << 21)	/* ... and at most this many bytes */

/**
 * struct shmipc_tlog_memory - what one end knows to have memory; the caller's, private
 * @have:    publishers: take memory for [off, off + bytes) of the log, so that it can be
 *           touched; subscribers: the same as @see. 0; -ENOSPC, -ENOMEM: there is none;
 *           -errno
 * @see:     check that it has memory, without taking any. 0; -EPROTO: it has none; -errno
 * @grown:   pub_ctl.backed was raised: wake its sleepers
 * @arg:     for these functions
 * @entries: the entries before this one have memory
 * @lines:   the same for subscribers' lines
 * @chunk:   a bit per chunk that has memory; may be NULL without a pool
 * @chunks:  number of bits that are set
 * @trims:   pub_ctl.trims when @chunk was last cleared
 */
struct shmipc_tlog_memory {
	int (*have)(void *arg, uint64_t off, uint64_t bytes);
	int (*see)(void *arg, uint64_t off, uint64_t bytes);
	void (*grown)(void *arg);
	void *arg;
	uint64_t entries;
	uint32_t lines;
	uint32_t chunks;
	uint64_t *chunk;
	uint64_t trims;
};

/* Bytes of the data in which the first @n entries lie. */
SHMIPC_INLINE uint64_t shmipc_tlog_entries_bytes(const struct shmipc_topic_hdr *h, uint64_t n)
{
	return SHMIPC_TLOG_CELL_ALIGN - SHMIPC_ENTRY_HDR + n * h->stride;
}

/* Entries in the first @bytes of the data, whole ones. */
SHMIPC_INLINE uint64_t shmipc_tlog_entries_in(const struct shmipc_topic_hdr *h, uint64_t bytes)
{
	uint64_t n = (bytes - (SHMIPC_TLOG_CELL_ALIGN - SHMIPC_ENTRY_HDR)) / h->stride;

	return n < h->entries ? n : h->entries;
}

/* Entries that have memory from the beginning: as many as the page of the first one holds. */
SHMIPC_INLINE uint64_t shmipc_tlog_first(const struct shmipc_topic_hdr *h)
{
	return shmipc_tlog_entries_in(h, shmipc_priv_round_up(shmipc_tlog_entries_bytes(h, 1),
							      SHMIPC_CTL_PAGE));
}

/* Bytes before the subscribers' lines; they have memory from the beginning. */
SHMIPC_INLINE uint64_t shmipc_tlog_ctl_bytes(const struct shmipc_topic_hdr *h)
{
	return h->sub_off + shmipc_priv_round_up(sizeof(struct shmipc_sub_ctl) +
						 SHMIPC_TOPIC_GROUPS * sizeof(struct shmipc_group_line),
						 SHMIPC_CTL_PAGE);
}

/* Where the line of subscriber @slot begins. */
SHMIPC_INLINE uint64_t shmipc_tlog_line_off(const struct shmipc_tlog *log, uint32_t slot)
{
	return (uint64_t)(log->sub_lines - log->base) + slot * log->sub_stride;
}

/* Entries that have memory, as publishers say. */
SHMIPC_INLINE uint64_t shmipc_tlog_backed(const struct shmipc_tlog *log)
{
	/* Relaxed: the kernel's answer counts. A tail made the step before it visible. */
	uint64_t n = shmipc_load_relaxed(&log->pub->backed);

	return n < log->hdr.entries ? n : log->hdr.entries;
}

/* The entries of numbers below this are known to have memory. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_end(const struct shmipc_tlog *log)
{
	const struct shmipc_tlog_memory *m = log->memory;

	return !m || m->entries >= log->hdr.entries ? ~0ULL : m->entries;
}

/* Get memory for all entries before @to, or check it. */
SHMIPC_COLD int shmipc_priv_tlog_have_to(const struct shmipc_tlog *log, uint64_t to)
{
	const struct shmipc_topic_hdr *h = &log->hdr;
	struct shmipc_tlog_memory *m = log->memory;
	uint64_t from = m->entries ? shmipc_tlog_entries_bytes(h, m->entries) : 0;
	int ret;

	if (to <= m->entries)
		return 0;
	ret = m->have(m->arg, h->data_off + from, shmipc_tlog_entries_bytes(h, to) - from);
	if (!ret)
		m->entries = to;
	return ret;
}

/* Follow pub_ctl.backed. 0: the entry of @seq has memory; -EAGAIN: not yet; -errno. */
SHMIPC_COLD int shmipc_priv_tlog_find(const struct shmipc_tlog *log, uint64_t seq)
{
	const struct shmipc_tlog_memory *m = log->memory;
	int ret;

	if (!m || m->entries >= log->hdr.entries || seq < m->entries)
		return 0;
	ret = shmipc_priv_tlog_have_to(log, shmipc_tlog_backed(log));
	if (ret)
		return ret;
	return m->entries >= log->hdr.entries || seq < m->entries ? 0 : -EAGAIN;
}

/* May the entry of message @seq be touched? */
SHMIPC_INLINE int shmipc_tlog_there(const struct shmipc_tlog *log, uint64_t seq)
{
	return shmipc_likely(seq < shmipc_priv_tlog_end(log)) || !shmipc_priv_tlog_find(log, seq);
}

/**
 * shmipc_tlog_back - follow pub_ctl.backed before a publisher begins
 * @log: the log
 *
 * Return: 0; what @memory->have returns.
 */
SHMIPC_INLINE int shmipc_tlog_back(const struct shmipc_tlog *log)
{
	return log->memory ? shmipc_priv_tlog_have_to(log, shmipc_tlog_backed(log)) : 0;
}

/* Entries to get memory for when @need are needed: some more, to ask the kernel rarely. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_step(const struct shmipc_tlog *log, uint64_t need)
{
	const struct shmipc_topic_hdr *h = &log->hdr;
	uint64_t was = shmipc_tlog_entries_bytes(h, log->memory->entries), more = was;

	if (more < SHMIPC_TLOG_STEP_MIN)
		more = SHMIPC_TLOG_STEP_MIN;
	if (more > SHMIPC_TLOG_STEP_MAX)
		more = SHMIPC_TLOG_STEP_MAX;
	more += was;
	if (more < shmipc_tlog_entries_bytes(h, need))
		more = shmipc_tlog_entries_bytes(h, need);
	/* The largest steps end where they can be huge pages. */
	return shmipc_tlog_entries_in(h, shmipc_priv_round_up(more, was < SHMIPC_TLOG_STEP_MAX ?
							      SHMIPC_CTL_PAGE :
							      SHMIPC_TLOG_STEP_MAX));
}

/**
 * shmipc_tlog_grow - get memory for the entries of numbers before @end, and one more
 * @log: a publisher's
 * @end: the number after the last one that it is going to claim
 *
 * Gets more than that at a time if it can.
 *
 * Return: 0; -ENOSPC, -ENOMEM: nothing has changed; -errno.
 */
SHMIPC_COLD int shmipc_tlog_grow(const struct shmipc_tlog *log, uint64_t end)
{
	struct shmipc_tlog_memory *m = log->memory;
	uint64_t need = end < log->hdr.entries ? end + 1 : log->hdr.entries;
	int ret;

	if (!m || need <= m->entries)
		return 0;
	ret = shmipc_priv_tlog_have_to(log, shmipc_priv_tlog_step(log, need));
	if (ret == -ENOSPC || ret == -ENOMEM)
		ret = shmipc_priv_tlog_have_to(log, need);
	if (ret)
		return ret;
	shmipc_priv_tlog_raise(&log->pub->backed, m->entries);
	m->grown(m->arg);
	return 0;
}

/* Chunks */

SHMIPC_INLINE int shmipc_priv_tlog_has_chunk(const struct shmipc_tlog_memory *m, uint64_t i)
{
	return (int)(m->chunk[i / 64] >> i % 64 & 1);
}

/* Get memory for chunks [@first, @last], or check it, with as few calls as possible. */
SHMIPC_COLD int shmipc_priv_tlog_have_chunks(const struct shmipc_tlog *log, uint64_t first,
					     uint64_t last)
{
	const struct shmipc_topic_hdr *h = &log->hdr;
	struct shmipc_tlog_memory *m = log->memory;
	uint64_t from = first, to;
	int ret;

	while (from <= last) {
		for (to = from; to <= last && !shmipc_priv_tlog_has_chunk(m, to);)
			to++;
		if (to > from) {
			ret = m->have(m->arg, h->pool_off + from * h->chunk_bytes,
				      (to - from) * h->chunk_bytes);
			if (ret)
				return ret;
		}
		for (; from < to; from++, m->chunks++)
			m->chunk[from / 64] |= 1ULL << from % 64;
		from++;
	}
	return 0;
}

/**
 * shmipc_tlog_chunks - get memory for chunks of the pool, or check it
 * @log:   the log
 * @first: the first chunk; owned by the calling publisher, or of a message to be read
 * @last:  the last chunk
 *
 * Return: 0; -ENOSPC, -ENOMEM, -EPROTO, -errno: not all of them have memory.
 */
SHMIPC_INLINE int shmipc_tlog_chunks(const struct shmipc_tlog *log, uint64_t first, uint64_t last)
{
	struct shmipc_tlog_memory *m = log->memory;
	uint64_t trims, i;

	if (!m)
		return 0;
	/* tlog.X1 <- tlog.X0. Relaxed: the chunk's word, or the entry's, makes it visible. */
	trims = shmipc_load_relaxed(&log->pub->trims);
	if (shmipc_unlikely(trims != m->trims)) {
		memset(m->chunk, 0, (log->hdr.chunks + 63) / 64 * sizeof(*m->chunk));
		m->chunks = 0;
		m->trims = trims;
	}
	if (m->chunks == log->hdr.chunks)
		return 0;
	for (i = first; i <= last; i++)
		if (!shmipc_priv_tlog_has_chunk(m, i))
			return shmipc_priv_tlog_have_chunks(log, first, last);
	return 0;
}

/* Lines */

/* How many of @n subscribers' lines can be read? Those of all honest subscribers can. */
SHMIPC_COLD uint32_t shmipc_priv_tlog_see_lines(const struct shmipc_tlog *log, uint32_t n)
{
	struct shmipc_tlog_memory *m = log->memory;
	uint32_t more = n - m->lines;

	/* All of them; or, if a hostile subscriber has raised the number, those that have memory. */
	while (m->lines < n) {
		if (!m->see(m->arg, shmipc_tlog_line_off(log, m->lines), more * log->sub_stride))
			m->lines += more;
		else if (more == 1)
			break;
		else
			more = 1;
	}
	return m->lines < n ? m->lines : n;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_MEMORY_H */
