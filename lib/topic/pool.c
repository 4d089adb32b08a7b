// SPDX-License-Identifier: MIT
/*
 * pool.c - where the large messages of a topic lie
 *
 * A publisher takes a chunk, or several in a row for one very large message, by a
 * compare-and-swap of their words, fills it from one end, and retires it with the
 * number of its last message. Messages are not freed one by one: any publisher may take a
 * retired chunk when its last message has been discarded (is before clear) and no
 * subscriber holds a message in it. So discarding a message costs no work, and the next
 * publisher that looks for room retires the chunks that a dead publisher owned. The chunk
 * that a publisher is filling is retired whenever it contains no loan, and taken back for
 * the next message if no other publisher needed it: idle publishers keep nothing.
 *
 * All holds are collected in one walk over the subscribers' lines, after reading clear and
 * a full fence. A later hold is of a message that was not discarded by then, so the list
 * stays valid for chunks before that clear.
 *
 * A chunk gets its memory when it is taken (tlog_memory.h). Chunks that have memory are
 * preferred. When there is no more memory, the pool works with the chunks that have some.
 *
 * A message that is sealed (SHMIPC_TOPIC_SEALS) has its chunks for itself. They stay sealed
 * until a publisher takes them for another message, so a publisher that dies at any moment
 * leaves nothing to be cleaned up.
 */
#include <errno.h>
#include <stdlib.h>

#include "topic/pool.h"

#define BLOCK_ALIGN	64u
#define NEAR		8u	/* chunks that are looked at first */

static uint64_t chunk_state(uint64_t word)
{
	return word & SHMIPC_CHUNK_STATE;
}

void shmipc_pool_init(struct shmipc_pool *p, struct shmipc_tlog_tx *tx, uint64_t generation,
		      bool (*owner_lives)(void *arg, uint32_t slot, uint64_t generation),
		      int (*unseal)(void *arg, uint32_t first, uint32_t n), void *arg)
{
	memset(p, 0, sizeof(*p));
	p->log = tx->log;
	p->tx = tx;
	p->owner_lives = owner_lives;
	p->unseal = unseal;
	p->arg = arg;
	p->tag = (generation & SHMIPC_POOL_GENERATION) << 18 | (uint64_t)tx->slot << 2 | SHMIPC_CHUNK_OWNED;
	p->cursor = p->log->hdr.chunks ? tx->slot % p->log->hdr.chunks : 0;
}

/* The chunk word of a span without loans. */
static uint64_t retired(const struct shmipc_pool_span *s)
{
	return s->last ? (s->last - 1) << 2 | SHMIPC_CHUNK_RETIRED : SHMIPC_CHUNK_FREE;
}

static void release(struct shmipc_pool *p, const struct shmipc_pool_span *s)
{
	uint32_t i;

	for (i = 0; i < s->count && !s->idle; i++)
		/* pool.R2 -> pool.R3: its messages were written before. */
		shmipc_store_release(&p->log->chunk[s->first + i], (__u64)retired(s));
}

/* Retire a span that gets no more messages and contains no loan. */
static void retire(struct shmipc_pool *p, struct shmipc_pool_span *s)
{
	release(p, s);
	s->count = 0;
}

static void close_open(struct shmipc_pool *p)
{
	struct shmipc_pool_span *s;

	if (p->open >= p->spans)
		return;
	s = &p->span[p->open];
	s->open = false;
	p->open = p->spans;
	if (!s->loans)
		retire(p, s);
}

/* Is the open span ours again? What others publish has other numbers: no word comes back. */
static bool reopen(struct shmipc_pool *p)
{
	struct shmipc_pool_span *s = &p->span[p->open];
	__u64 word = retired(s);

	/* pool.R3 <- pool.R2 */
	if (s->idle && !shmipc_cas_acq_rel(&p->log->chunk[s->first], &word, (__u64)p->tag)) {
		close_open(p);
		return false;
	}
	/* Perhaps its memory was given back meanwhile. */
	if (s->idle && shmipc_tlog_chunks(p->log, s->first, s->first)) {
		s->idle = false;
		close_open(p);
		return false;
	}
	s->idle = false;
	return true;
}

/* Loans that were not published are freed, too. */
void shmipc_pool_exit(struct shmipc_pool *p)
{
	uint32_t i;

	for (i = 0; i < p->spans; i++)
		if (p->span[i].count)
			retire(p, &p->span[i]);
	free(p->span);
	free(p->held);
	memset(p, 0, sizeof(*p));
}

/* Holds */

static int add_held(struct shmipc_pool *p, const struct shmipc_pool_held *h)
{
	struct shmipc_pool_held *more;
	uint32_t cap;

	if (p->nheld == p->held_cap) {
		cap = p->held_cap ? 2 * p->held_cap : 16;
		more = realloc(p->held, cap * sizeof(*more));
		if (!more)
			return -ENOMEM;
		p->held = more;
		p->held_cap = cap;
	}
	p->held[p->nheld++] = *h;
	return 0;
}

static int see_line(struct shmipc_pool *p, uint32_t slot)
{
	struct shmipc_sub_line *line = shmipc_tlog_sub(p->log, slot);
	/* tlog.E1 <- tlog.E0: of one that is dead, what it held has been read. */
	uint64_t evicted = shmipc_load_acquire(&p->log->evicted[slot]), chunks;
	struct shmipc_pool_held h = { .slot = slot };
	uint32_t i;
	int ret;

	/* tlog.S1 <- tlog.S0 */
	h.state = shmipc_load_acquire(&line->state);
	if (!h.state || !shmipc_load_acquire(&line->holding))
		return 0;
	if (evicted & SHMIPC_EVICTED_DEAD && (evicted & SHMIPC_EVICTED_GENERATION) == h.state >> 16)
		return 0;
	for (i = 0; i < p->log->hdr.holds; i++) {
		/* tlog.H1 <- tlog.H0: what was released has been read. */
		if (!shmipc_load_acquire(&shmipc_tlog_hold(line, i)->seq))
			continue;
		chunks = shmipc_load_relaxed(&shmipc_tlog_hold(line, i)->chunks);
		h.first = (uint32_t)chunks;
		h.last = (uint32_t)(chunks >> 32);
		ret = add_held(p, &h);
		if (ret)
			return ret;
	}
	return 0;
}

static int see_holds(struct shmipc_pool *p)
{
	/* tlog.K1 <- tlog.K0 */
	uint64_t clear = shmipc_load_acquire(&p->log->pub->clear);
	uint32_t slot, n = shmipc_priv_tlog_subs(p->log);
	int ret = 0;

	/* tlog.D0 -> tlog.D1: what was given up, then their holds. */
	shmipc_fence_seq_cst();
	p->nheld = 0;
	for (slot = 0; slot < n && !ret; slot++)
		ret = see_line(p, slot);
	p->seen = ret ? 0 : clear;
	return ret;
}

static const struct shmipc_pool_held *holder_of(const struct shmipc_pool *p, uint32_t chunk)
{
	uint32_t i;

	for (i = 0; i < p->nheld; i++)
		if (chunk >= p->held[i].first && chunk <= p->held[i].last)
			return &p->held[i];
	return NULL;
}

/* Chunks */

enum chunk_is { CHUNK_READY, CHUNK_LATER, CHUNK_HELD, CHUNK_OWNED };

/* Has the publisher died that this word names? Then the chunk is retired. */
static bool rescue(struct shmipc_pool *p, uint32_t chunk, __u64 word)
{
	uint32_t slot = word >> 2 & 0xffff;
	uint64_t tail;

	if (word == p->tag || slot >= p->log->hdr.pubs || p->owner_lives(p->arg, slot, word >> 18))
		return false;
	/* tlog.T1 <- tlog.T0: after its death, so behind all that it published. */
	tail = shmipc_tlog_tail(p->log);
	(void)shmipc_cas_acq_rel(&p->log->chunk[chunk], &word,
				 (__u64)((tail ? tail - 1 : 0) << 2 | SHMIPC_CHUNK_RETIRED));
	return true;
}

/* What about this chunk? Its last message's number plus 1 in *@ret_last. */
static enum chunk_is look(struct shmipc_pool *p, uint32_t chunk, uint64_t *ret_last)
{
	/* pool.R3 <- pool.R2 */
	uint64_t word = shmipc_load_acquire(&p->log->chunk[chunk]);

	*ret_last = 0;
	switch (chunk_state(word)) {
	case SHMIPC_CHUNK_FREE:
		return CHUNK_READY;
	case SHMIPC_CHUNK_RETIRED:
		*ret_last = (word >> 2) + 1;
		if (p->nheld && holder_of(p, chunk))
			return CHUNK_HELD;
		return *ret_last <= p->seen ? CHUNK_READY : CHUNK_LATER;
	default:
		return CHUNK_OWNED;
	}
}

/* Take @n chunks from @first, which looked ready; others may be quicker. */
static bool claim(struct shmipc_pool *p, uint32_t first, uint32_t n)
{
	uint32_t i;
	__u64 word;

	for (i = 0; i < n; i++) {
		/* pool.R3 <- pool.R2: its last owner has finished with it. */
		word = shmipc_load_acquire(&p->log->chunk[first + i]);
		if ((chunk_state(word) != SHMIPC_CHUNK_FREE &&
		     (chunk_state(word) != SHMIPC_CHUNK_RETIRED || (word >> 2) + 1 > p->seen)) ||
		    !shmipc_cas_acq_rel(&p->log->chunk[first + i], &word, (__u64)p->tag))
			break;
	}
	if (i == n) {
		/* tlog.F0 -> tlog.F1: the floor is visible before any byte that is written after. */
		shmipc_fence_release();
		return true;
	}
	while (i--)
		shmipc_store_release(&p->log->chunk[first + i], SHMIPC_CHUNK_FREE);
	return false;
}

/* Has it memory, as far as we know, or has it been published from? */
static bool backed(const struct shmipc_pool *p, uint32_t chunk)
{
	const struct shmipc_tlog_memory *m = p->log->memory;

	return !m || m->chunks == p->log->hdr.chunks || shmipc_priv_tlog_has_chunk(m, chunk) ||
	       chunk_state(shmipc_load_relaxed(&p->log->chunk[chunk])) == SHMIPC_CHUNK_RETIRED;
}

/* Chunks that we have taken may be written from now on. */
static int unseal(struct shmipc_pool *p, uint32_t first, uint32_t n)
{
	uint32_t i;

	/* Relaxed: our compare-and-swap read from the publisher that sealed it before. */
	for (i = 0; p->log->seal && i < n; i++)
		if (shmipc_load_relaxed(&p->log->seal[first + i]))
			return p->unseal(p->arg, first, n);
	return 0;
}

/*
 * Get the memory of chunks that we have taken, and unseal them; if that fails, they are free again, and
 * the first to be looked at for a message that needs fewer: a part of them may have some.
 */
static int have(struct shmipc_pool *p, uint32_t first, uint32_t n)
{
	int ret = shmipc_tlog_chunks(p->log, first, first + n - 1);

	if (!ret)
		ret = unseal(p, first, n);
	if (ret)
		p->cursor = first;
	while (ret && n--)
		/* pool.R2 -> pool.R3 */
		shmipc_store_release(&p->log->chunk[first + n], SHMIPC_CHUNK_FREE);
	return ret;
}

/*
 * The first run of @n ready chunks among the next @most from the cursor on, taken.
 * @more: also of chunks without memory.
 */
static bool find_ready(struct shmipc_pool *p, uint32_t n, uint32_t most, bool more,
		       uint32_t *ret_first)
{
	uint32_t chunks = p->log->hdr.chunks, at = p->cursor, run = 0, looked;
	uint64_t last;

	for (looked = 0; looked < most; looked++, at++) {
		if (at >= chunks) {
			at = 0;
			run = 0;
		}
		run = look(p, at, &last) == CHUNK_READY && (more || backed(p, at)) ? run + 1 : 0;
		if (run < n)
			continue;
		if (claim(p, at + 1 - n, n)) {
			*ret_first = at + 1 - n;
			p->cursor = at + 1 < chunks ? at + 1 : 0;
			return true;
		}
		run = 0;
	}
	return false;
}

/* Note the first obstacle that is found. */
static void note_block(struct shmipc_pool *p, uint32_t chunk, struct shmipc_tlog_block *b)
{
	const struct shmipc_pool_held *h = holder_of(p, chunk);
	uint64_t word = shmipc_load_relaxed(&p->log->chunk[chunk]);

	if (b->who != SHMIPC_TLOG_NOBODY)
		return;
	if (h) {
		b->who = SHMIPC_TLOG_SUB;
		b->slot = h->slot;
		b->state = h->state;
		b->policy = SHMIPC_POLICY_DEFAULT;	/* to cut it off would free nothing */
		b->pos = shmipc_load_relaxed(&shmipc_tlog_sub(p->log, h->slot)->pos);
	} else if (chunk_state(word) == SHMIPC_CHUNK_OWNED) {
		b->who = SHMIPC_TLOG_PUB;
		b->slot = word >> 2 & 0xffff;
		b->state = 0;
		b->pos = 0;
	}
}

/*
 * The run of @n chunks whose last message is the oldest: the floor must pass it.
 * 0: there is no such run, and @b says what is in the way. @more: as above.
 */
static uint64_t find_oldest(struct shmipc_pool *p, uint32_t n, bool more,
			    struct shmipc_tlog_block *b)
{
	uint32_t chunks = p->log->hdr.chunks, at, run = 0, i;
	uint64_t oldest = 0, last, most = 0;
	enum chunk_is is;

	for (at = 0; at < chunks; at++) {
		is = look(p, at, &last);
		/* pool.R3 <- pool.R2 */
		if (is == CHUNK_OWNED && rescue(p, at, shmipc_load_acquire(&p->log->chunk[at])))
			is = look(p, at, &last);
		if (is == CHUNK_OWNED || is == CHUNK_HELD || (!more && !backed(p, at))) {
			note_block(p, at, b);
			run = 0;
			most = 0;
			continue;
		}
		run++;
		if (last > most)
			most = last;
		if (run < n)
			continue;
		if (!oldest || most < oldest)
			oldest = most ? most : 1;
		/* The next run begins one later: what is its last? */
		for (run = n - 1, most = 0, i = 0; i + 1 < n; i++) {
			(void)look(p, at - i, &last);
			if (last > most)
				most = last;
		}
	}
	return oldest;
}

/* Spans */

static int new_span(struct shmipc_pool *p, uint32_t *ret)
{
	struct shmipc_pool_span *more;
	uint32_t i, n = p->spans ? 2 * p->spans : 8;

	for (i = 0; i < p->spans; i++)
		if (!p->span[i].count) {
			*ret = i;
			return 0;
		}
	more = realloc(p->span, n * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + p->spans, 0, (n - p->spans) * sizeof(*more));
	*ret = p->spans;
	if (p->open >= p->spans)
		p->open = n;
	p->span = more;
	p->spans = n;
	return 0;
}

/*
 * As in the log, messages are discarded an eighth at a time, because it takes a walk over
 * all lines and all chunks. With a few large chunks, only what must go is discarded.
 */
static uint64_t enough(const struct shmipc_pool *p, uint64_t need)
{
	uint64_t tail = shmipc_tlog_tail(p->log);

	return tail > need ? need + (tail - need) / SHMIPC_TLOG_LOTS : need;
}

/* @n chunks of our own, old messages being given up for them if need be. */
static int take_chunks(struct shmipc_pool *p, uint32_t n, uint32_t *ret_first,
		       struct shmipc_tlog_block *b)
{
	/* A run does not go around the end, so a lap and a run are looked at. */
	uint32_t all = p->log->hdr.chunks + n;
	int ret, lack = 0, tries;	/* lack: there is no more memory */
	uint64_t need;

	/* Chunks are used in turn: if none of the next is ready, it takes more than a look. */
	if (find_ready(p, n, n + NEAR, false, ret_first)) {
		ret = have(p, *ret_first, n);
		if (ret != -ENOSPC && ret != -ENOMEM)
			return ret;
	}
	for (tries = 0; tries < 64; tries++) {
		ret = see_holds(p);
		if (ret)
			return ret;
		if (find_ready(p, n, all, false, ret_first) ||
		    (!lack && find_ready(p, n, all, true, ret_first))) {
			ret = have(p, *ret_first, n);
			if (ret != -ENOSPC && ret != -ENOMEM)
				return ret;
			lack = ret;
		}
		b->who = SHMIPC_TLOG_NOBODY;
		need = find_oldest(p, n, !lack, b);
		if (!need)
			return lack ? lack : -EAGAIN;
		if (need <= p->seen)
			continue;	/* another publisher was faster, or a chunk was rescued */
		/* Without memory do not wait for holders: memory may be available before that. */
		ret = shmipc_tlog_advance(p->tx, need, enough(p, need), b);
		if (ret)
			return lack ? lack : ret;
	}
	return lack ? lack : -EAGAIN;
}

static void put(struct shmipc_pool *p, uint32_t span, uint64_t bytes, struct shmipc_pool_block *ret)
{
	struct shmipc_pool_span *s = &p->span[span];
	int shift = __builtin_ctzll(p->log->hdr.chunk_bytes);
	uint64_t off = ((uint64_t)s->first << shift) + s->used;

	ret->off = off;
	ret->chunks = ((off + bytes - 1) >> shift) << 32 | off >> shift;
	ret->span = span;
	s->used += bytes;
	s->loans++;
}

int shmipc_pool_take(struct shmipc_pool *p, uint64_t bytes, bool sealed,
		     struct shmipc_pool_block *ret, struct shmipc_tlog_block *b)
{
	const struct shmipc_topic_hdr *h = &p->log->hdr;
	uint64_t align = h->align > BLOCK_ALIGN ? h->align : BLOCK_ALIGN, n;
	uint32_t span, first;
	bool alone;
	int err;

	bytes = shmipc_priv_round_up(bytes ? bytes : 1, align);
	n = (bytes + h->chunk_bytes - 1) / h->chunk_bytes;
	if (n > h->chunks)
		return -EMSGSIZE;
	/* One that fills more than half of what it takes has it for itself, too. */
	alone = sealed || bytes > h->chunk_bytes / 2;
	if (!sealed && p->open < p->spans) {
		struct shmipc_pool_span *s = &p->span[p->open];

		if (bytes <= h->chunk_bytes - s->used && reopen(p)) {
			put(p, p->open, bytes, ret);
			ret->sealed = false;
			return 0;
		}
	}
	if (!alone)
		close_open(p);
	err = new_span(p, &span);
	if (!err)
		err = take_chunks(p, (uint32_t)n, &first, b);
	if ((err == -EAGAIN || err == -ENOSPC) && p->open < p->spans && !p->span[p->open].loans) {
		close_open(p);		/* perhaps that was in the way */
		err = take_chunks(p, (uint32_t)n, &first, b);
	}
	if (err)
		return err;
	p->span[span] = (struct shmipc_pool_span){ .first = first, .count = (uint32_t)n };
	if (!alone) {
		p->span[span].open = true;
		p->open = span;
	}
	put(p, span, bytes, ret);
	ret->sealed = sealed;
	return 0;
}

static void loan_over(struct shmipc_pool *p, struct shmipc_pool_span *s)
{
	if (--s->loans)
		return;
	if (!s->open) {
		retire(p, s);
	} else if (!p->tx->single) {	/* a single publisher's are in its own way only */
		release(p, s);
		s->idle = true;
	}
}

void shmipc_pool_published(struct shmipc_pool *p, const struct shmipc_pool_block *blk, uint64_t seq)
{
	struct shmipc_pool_span *s = &p->span[blk->span];

	if (seq + 1 > s->last)
		s->last = seq + 1;
	loan_over(p, s);
}

void shmipc_pool_dropped(struct shmipc_pool *p, const struct shmipc_pool_block *blk)
{
	loan_over(p, &p->span[blk->span]);
}

/* To be given back to the system */

int shmipc_pool_grab_begin(struct shmipc_pool *p)
{
	if (p->open < p->spans && !p->span[p->open].loans)
		close_open(p);
	return see_holds(p);
}

bool shmipc_pool_grab(struct shmipc_pool *p, uint32_t chunk)
{
	uint64_t last;
	enum chunk_is is = look(p, chunk, &last);

	/* pool.R3 <- pool.R2 */
	if (is == CHUNK_OWNED && rescue(p, chunk, shmipc_load_acquire(&p->log->chunk[chunk])))
		is = look(p, chunk, &last);
	if (is != CHUNK_READY || !claim(p, chunk, 1))
		return false;
	/* What is sealed keeps its memory. */
	if (!unseal(p, chunk, 1))
		return true;
	shmipc_pool_drop(p, chunk);
	return false;
}

void shmipc_pool_drop(struct shmipc_pool *p, uint32_t chunk)
{
	/* pool.R2 -> pool.R3: pub_ctl.trims was raised before. */
	shmipc_store_release(&p->log->chunk[chunk], SHMIPC_CHUNK_FREE);
}

/* For inspection: the number of chunks with a message that a subscriber holds. */
uint32_t shmipc_pool_count_held(const struct shmipc_tlog *log)
{
	struct shmipc_pool p = { .log = log };
	uint32_t i, n = 0;

	if (see_holds(&p))
		return 0;
	for (i = 0; i < log->hdr.chunks && p.nheld; i++)
		n += !!holder_of(&p, i);
	free(p.held);
	return n;
}
