/* SPDX-License-Identifier: MIT */
/*
 * tlog.h - the log of a topic: many publishers, many subscribers, one order
 *
 * The log is a ring of entries, one per message; a message's number determines its
 * entry. No process takes a lock, and the death of one holds up no other:
 *
 *   claim    a publisher announces in its own line which number it will claim, then
 *            claims it by one compare-and-swap of the tail (a single publisher needs
 *            none; one that is alone for a while has the tail lent to it, see
 *            tlog_lend.h)
 *   commit   it fills the entry and stores the entry's word, which contains the
 *            number. Readers check that word alone; in an entry left over from the
 *            lap before, the number is smaller
 *   abort    if a publisher dies in between, its line still has the number that it
 *            claimed: readers skip it, publishers mark it. In some topics this may also
 *            happen to one that is alive and takes too long, see tlog_abort.h
 *   floor    messages before it may be overwritten. It moves by an eighth of the log
 *            at a time, so that readers, which check it after each copy, nearly
 *            always find it in their own cache (as in bcast.h)
 *   clear    entries before it may be reused. The publisher that moves the floor
 *            executes a full fence, checks the line of each subscriber that must not
 *            lose messages and of each publisher that is still writing, and then
 *            moves clear
 *   hold     a subscriber that keeps a message in the pool writes its number into its
 *            own line, executes a full fence, and reads the floor, which tells
 *            whether it was in time (hazard pointers; Michael, 2004)
 *
 * Each line has one writer, so none ever needs repair: the lines of dead processes
 * are ignored.
 *
 * Progress: publishing is lock-free while there is room, wait-free for a single
 * publisher; reading is wait-free except when the reader is lapped. But a publisher that
 * is stopped between claim and commit and does not die delays all readers at its number,
 * and a lap later all publishers, until it continues; or for topic_hdr.abort_ns or fence_ns.
 *
 * Nothing here makes a system call or knows of processes: the caller is asked which
 * peers are alive. One thread at a time on each end; the other ends may be hostile.
 */
#ifndef SHMIPC_TLOG_H
#define SHMIPC_TLOG_H

#include <errno.h>
#include <linux/shmipc_topic.h>
#include <shmipc/ring.h>

SHMIPC_PRIV_C_BEGIN

#define SHMIPC_TLOG_LOTS		8u	/* the floor moves by entries / lots */
#define SHMIPC_TLOG_ENTRIES_MIN	16u
#define SHMIPC_TLOG_ENTRIES_MAX	(1u << 26)
#define SHMIPC_TLOG_CELL_ALIGN	64u
#define SHMIPC_TLOG_LARGE	(1u << 21)	/* a large page */
#define SHMIPC_TLOG_TRIES	4096	/* at a word that others write as well */

/**
 * struct shmipc_tlog_opts - how to create a log; all must be set
 * @pubs:        publishers, 1 to SHMIPC_TOPIC_PUBS_MAX
 * @subs:        subscribers, 1 to SHMIPC_TOPIC_SUBS_MAX
 * @keep:        messages that are always kept; there are a few more entries
 * @cell_bytes:  largest message in an entry
 * @align:       of payloads: a power of two, 8 to 4096
 * @holds:       per subscriber, to SHMIPC_TOPIC_HOLDS_MAX
 * @meta:        SHMIPC_META_*
 * @policies:    1 << enum shmipc_policy
 * @chunk_bytes: of the pool: a power of two, at least 4096
 * @chunks:      0 to SHMIPC_TOPIC_CHUNKS_MAX
 * @evict_ns:    see struct shmipc_topic_hdr
 * @abort_ns:    the same; 0: only the death of a publisher aborts its messages. Else
 *               @pubs must be more than 1
 * @fence_ns:    the same, without @abort_ns; 0: a publisher that is alive is left alone
 * @seal_bytes:  see struct shmipc_topic_hdr; 0: no message is sealed. Else more than the cell, and there
 *               must be chunks
 * @data_off:    0, or where the entries begin: a multiple of 4096
 * @backed:      entries that have memory at first (see tlog_memory.h); 0: all
 * @shape:       enum shmipc_topic_shape: FINAL or PROVISIONAL
 */
struct shmipc_tlog_opts {
	uint32_t pubs;
	uint32_t subs;
	uint64_t keep;
	uint32_t cell_bytes;
	uint32_t align;
	uint32_t holds;
	uint32_t meta;
	uint32_t policies;
	uint32_t chunks;
	uint64_t chunk_bytes;
	uint64_t evict_ns;
	uint64_t abort_ns;
	uint64_t fence_ns;
	uint64_t seal_bytes;
	uint64_t data_off;
	uint64_t backed;
	uint64_t shape;
};

struct shmipc_tlog_memory;

/* A checked, private copy of a log's description. */
struct shmipc_tlog {
	unsigned char *base;		/* the struct shmipc_topic_hdr */
	struct shmipc_pub_ctl *pub;
	struct shmipc_pub_line *pub_line;
	__u64 *evicted;
	__u64 *chunk;
	struct shmipc_sub_ctl *sub;
	struct shmipc_group_line *group;
	unsigned char *sub_lines;
	unsigned char *entry;		/* the first */
	unsigned char *pool;
	uint64_t mask;			/* entries - 1 */
	uint64_t sub_stride;
	uint64_t stride;
	uint64_t lot;			/* entries in one */
	uint64_t bytes;			/* of the whole log */
	struct shmipc_tlog_memory *memory; /* NULL: all of it can be touched */
	struct shmipc_topic_hdr hdr;	/* checked */
	uint64_t claim_max;		/* messages in a claim; its bits of the claim */
	const __u64 *seal;		/* a word for each chunk; NULL: none is sealed */
};

/* What is in the way of a publisher. */
enum shmipc_tlog_who {
	SHMIPC_TLOG_NOBODY = 0,
	SHMIPC_TLOG_SUB,		/* a subscriber that must not lose messages, or holds one */
	SHMIPC_TLOG_PUB,		/* a publisher that has claimed but not committed */
};

struct shmipc_tlog_block {
	enum shmipc_tlog_who who;
	uint32_t slot;		/* among its kind, from 0 */
	uint32_t policy;	/* subscribers */
	uint64_t pos;		/* its position */
	uint64_t state;		/* subscribers: the state in its line, when read */
};

SHMIPC_INLINE uint64_t shmipc_tlog_sub_stride(uint32_t holds)
{
	return shmipc_priv_round_up(sizeof(struct shmipc_sub_line) +
				    (uint64_t)holds * sizeof(struct shmipc_hold), SHMIPC_LINE);
}

SHMIPC_INLINE int shmipc_priv_tlog_opts_ok(const struct shmipc_tlog_opts *o)
{
	if (!o->pubs || o->pubs > SHMIPC_TOPIC_PUBS_MAX || !o->subs ||
	    o->subs > SHMIPC_TOPIC_SUBS_MAX || o->holds > SHMIPC_TOPIC_HOLDS_MAX)
		return 0;
	/* A single publisher is in the way of no other. */
	if ((o->abort_ns || o->fence_ns) && (o->pubs == 1 || (o->abort_ns && o->fence_ns)))
		return 0;
	if (o->keep > SHMIPC_TLOG_ENTRIES_MAX / 2 || o->cell_bytes > SHMIPC_TOPIC_CELL_MAX ||
	    !shmipc_priv_is_pow2(o->align) || o->align < 8 || o->align > 4096)
		return 0;
	if (o->meta & ~SHMIPC_META_ALL || !o->policies || o->policies & ~0xeu)
		return 0;
	if (o->chunks > SHMIPC_TOPIC_CHUNKS_MAX || !shmipc_priv_is_pow2(o->chunk_bytes) ||
	    o->chunk_bytes < SHMIPC_CTL_PAGE || o->chunk_bytes > 1ULL << 34)
		return 0;
	if (o->seal_bytes && !o->chunks)
		return 0;
	return o->data_off % SHMIPC_CTL_PAGE == 0 && o->data_off <= 1ULL << 32;
}

/* Room in a cell for the location of a message in the pool. */
#define SHMIPC_PRIV_CELL_MIN	((uint32_t)sizeof(struct shmipc_entry_pool))

/* A page is sealed as a whole, so chunks that may have large pages begin with one. */
SHMIPC_INLINE uint64_t shmipc_priv_tlog_pool_align(const struct shmipc_tlog_opts *o)
{
	return o->seal_bytes && o->chunk_bytes >= SHMIPC_TLOG_LARGE ? SHMIPC_TLOG_LARGE :
								      SHMIPC_CTL_PAGE;
}

/**
 * shmipc_tlog_layout - compute where the parts of a log are
 * @o:         options
 * @ret:       filled in, magic included
 * @ret_bytes: of the whole
 *
 * Return: 0, -EINVAL.
 */
SHMIPC_INLINE int shmipc_tlog_layout(const struct shmipc_tlog_opts *o, struct shmipc_topic_hdr *ret,
				    uint64_t *ret_bytes)
{
	uint64_t entries = SHMIPC_TLOG_ENTRIES_MIN, cell, at;
	uint32_t to = o->align < 16 ? 16 : o->align > SHMIPC_TLOG_CELL_ALIGN ?
		      SHMIPC_TLOG_CELL_ALIGN : o->align;

	if (!shmipc_priv_tlog_opts_ok(o))
		return -EINVAL;
	/* All lots are kept completely, except the one being written. */
	while (entries - entries / SHMIPC_TLOG_LOTS < o->keep + o->pubs)
		entries *= 2;
	cell = o->cell_bytes < SHMIPC_PRIV_CELL_MIN ? SHMIPC_PRIV_CELL_MIN : o->cell_bytes;
	cell = shmipc_priv_round_up(cell + SHMIPC_ENTRY_HDR, to) - SHMIPC_ENTRY_HDR;
	if (o->seal_bytes && o->seal_bytes <= cell)
		return -EINVAL;

	memset(ret, 0, sizeof(*ret));
	ret->magic = SHMIPC_TOPIC_MAGIC;
	ret->version = SHMIPC_TOPIC_VERSION;
	ret->meta = o->meta;
	ret->pubs = o->pubs;
	ret->subs = o->subs;
	ret->entries = entries;
	ret->cell_bytes = (uint32_t)cell;
	ret->stride = (uint32_t)cell + SHMIPC_ENTRY_HDR;
	ret->align = o->align;
	ret->holds = o->holds;
	ret->policies = o->policies;
	ret->chunks = o->chunks;
	ret->chunk_bytes = o->chunk_bytes;
	ret->evict_ns = o->evict_ns;
	ret->incompat = o->abort_ns ? SHMIPC_TOPIC_ABORTS : o->fence_ns ? SHMIPC_TOPIC_FENCES : 0;
	ret->incompat |= o->seal_bytes ? SHMIPC_TOPIC_SEALS : 0;
	ret->abort_ns = o->abort_ns;
	ret->fence_ns = o->fence_ns;
	ret->seal_bytes = o->seal_bytes;
	ret->keep = o->keep;
	ret->pub_off = SHMIPC_CTL_PAGE;
	if (o->seal_bytes)
		ret->pub_off += shmipc_priv_round_up(o->chunks * sizeof(__u64), SHMIPC_CTL_PAGE);
	at = ret->pub_off + sizeof(struct shmipc_pub_ctl) +
	     (uint64_t)o->pubs * sizeof(struct shmipc_pub_line) +
	     ((uint64_t)o->subs + o->chunks) * sizeof(__u64);
	ret->sub_off = shmipc_priv_round_up(at, SHMIPC_CTL_PAGE);
	at = ret->sub_off + sizeof(struct shmipc_sub_ctl) +
	     SHMIPC_TOPIC_GROUPS * sizeof(struct shmipc_group_line) +
	     o->subs * shmipc_tlog_sub_stride(o->holds);
	at = shmipc_priv_round_up(at, SHMIPC_CTL_PAGE);
	if (o->data_off && o->data_off < at)
		return -EINVAL;
	ret->data_off = o->data_off ? o->data_off : at;
	/* The first header is placed so that its cell is at a multiple of 64. */
	at = ret->data_off + SHMIPC_TLOG_CELL_ALIGN + entries * ret->stride;
	ret->pool_off = ret->data_off + shmipc_priv_round_up(at - ret->data_off,
							     shmipc_priv_tlog_pool_align(o));
	*ret_bytes = ret->pool_off + o->chunks * o->chunk_bytes;
	return 0;
}

/**
 * shmipc_tlog_init - create an empty log in memory that is not in use yet
 * @mem:   aligned to 4096, and all zero, as fresh pages are
 * @bytes: at @mem; the data, which are zero, may be left out
 * @o:     options
 *
 * Return: 0; -EINVAL; -ENOSPC if @bytes does not include the publishers' pages.
 */
SHMIPC_INLINE int shmipc_tlog_init(void *mem, uint64_t bytes, const struct shmipc_tlog_opts *o)
{
	struct shmipc_topic_hdr h;
	struct shmipc_pub_line *line;
	struct shmipc_pub_ctl *ctl;
	uint64_t need;
	uint32_t i;
	int ret = shmipc_tlog_layout(o, &h, &need);

	if (ret)
		return ret;
	if (bytes < h.sub_off)
		return -ENOSPC;
	ctl = (struct shmipc_pub_ctl *)(void *)((unsigned char *)mem + h.pub_off);
	ctl->shape = o->shape;
	line = (struct shmipc_pub_line *)(void *)(ctl + 1);
	for (i = 0; i < h.pubs; i++)
		line[i].claim = SHMIPC_CLAIM_NONE;
	ctl->backed = o->backed && o->backed < h.entries ? o->backed : h.entries;
	memcpy((unsigned char *)mem + sizeof(h.magic), (unsigned char *)&h + sizeof(h.magic),
	       sizeof(h) - sizeof(h.magic));
	/* tlog.Q0 -> tlog.Q1: the whole log is there before its magic. */
	shmipc_store_release((__u64 *)mem, SHMIPC_TOPIC_MAGIC);
	return 0;
}

SHMIPC_INLINE void shmipc_priv_tlog_point(struct shmipc_tlog *ret, void *mem)
{
	const struct shmipc_topic_hdr *h = &ret->hdr;
	unsigned char *base = (unsigned char *)mem;

	ret->base = base;
	ret->pub = (struct shmipc_pub_ctl *)(void *)(base + h->pub_off);
	ret->pub_line = (struct shmipc_pub_line *)(void *)(ret->pub + 1);
	ret->evicted = (__u64 *)(void *)(ret->pub_line + h->pubs);
	ret->chunk = ret->evicted + h->subs;
	ret->sub = (struct shmipc_sub_ctl *)(void *)(base + h->sub_off);
	ret->group = (struct shmipc_group_line *)(void *)(ret->sub + 1);
	ret->sub_lines = (unsigned char *)(ret->group + SHMIPC_TOPIC_GROUPS);
	ret->entry = base + h->data_off + SHMIPC_TLOG_CELL_ALIGN - SHMIPC_ENTRY_HDR;
	ret->pool = base + h->pool_off;
	ret->mask = h->entries - 1;
	ret->stride = h->stride;
	ret->sub_stride = shmipc_tlog_sub_stride(h->holds);
	ret->lot = h->entries / SHMIPC_TLOG_LOTS;
	ret->seal = h->seal_bytes ? (const __u64 *)(void *)(base + SHMIPC_TOPIC_SEAL_OFF) : NULL;
	ret->claim_max = h->abort_ns ? SHMIPC_CLAIM_ABORTS_MAX : SHMIPC_CLAIM_MAX;
}

/**
 * shmipc_tlog_check - read and check a log's description
 * @mem:   where shmipc_tlog_init() made it, in this mapping
 * @bytes: at @mem
 * @ret:   pointers into @mem and a private copy of every number
 *
 * Return: 0; -EAGAIN if there is no log yet; -EPROTONOSUPPORT for a version or
 * feature that this build does not know; -EPROTO for invalid contents.
 */
SHMIPC_INLINE int shmipc_tlog_check(void *mem, uint64_t bytes, struct shmipc_tlog *ret)
{
	struct shmipc_topic_hdr want, h;
	struct shmipc_tlog_opts o;
	uint64_t need, magic;

	if ((uintptr_t)mem % SHMIPC_LINE || bytes < 4 * SHMIPC_CTL_PAGE)
		return -EPROTO;
	/* tlog.Q1 <- tlog.Q0: the magic makes the rest visible. */
	magic = shmipc_load_acquire((const __u64 *)mem);
	if (!magic)
		return -EAGAIN;
	memcpy(&h, mem, sizeof(h));	/* once */
	shmipc_compiler_barrier();
	if (magic != SHMIPC_TOPIC_MAGIC)
		return -EPROTO;
	if (h.version != SHMIPC_TOPIC_VERSION || h.incompat & ~SHMIPC_TOPIC_INCOMPAT_KNOWN)
		return -EPROTONOSUPPORT;

	/* Everything follows from these: compute it again and compare. */
	o.pubs = h.pubs;
	o.subs = h.subs;
	o.keep = h.keep;
	o.cell_bytes = h.cell_bytes;
	o.align = h.align;
	o.holds = h.holds;
	o.meta = h.meta;
	o.policies = h.policies;
	o.chunks = h.chunks;
	o.chunk_bytes = h.chunk_bytes;
	o.evict_ns = h.evict_ns;
	o.abort_ns = h.abort_ns;
	o.fence_ns = h.fence_ns;
	o.seal_bytes = h.seal_bytes;
	o.data_off = h.data_off;
	o.backed = 0;
	o.shape = 0;
	h.magic = magic;
	if (!h.data_off || shmipc_tlog_layout(&o, &want, &need) || memcmp(&h, &want, sizeof(h)) ||
	    need > bytes)
		return -EPROTO;
	ret->hdr = h;
	ret->bytes = need;
	ret->memory = NULL;
	shmipc_priv_tlog_point(ret, mem);
	return 0;
}

SHMIPC_INLINE struct shmipc_entry *shmipc_tlog_entry(const struct shmipc_tlog *log, uint64_t seq)
{
	return (struct shmipc_entry *)(void *)(log->entry + (seq & log->mask) * log->stride);
}

SHMIPC_INLINE unsigned char *shmipc_tlog_cell(struct shmipc_entry *e)
{
	return (unsigned char *)(e + 1);
}

SHMIPC_INLINE struct shmipc_sub_line *shmipc_tlog_sub(const struct shmipc_tlog *log, uint32_t slot)
{
	return (struct shmipc_sub_line *)(void *)(log->sub_lines + slot * log->sub_stride);
}

SHMIPC_INLINE struct shmipc_hold *shmipc_tlog_hold(struct shmipc_sub_line *line, uint32_t i)
{
	return (struct shmipc_hold *)(void *)(line + 1) + i;
}

/* Bytes of meta fields before each payload, from topic_hdr.meta. */
SHMIPC_INLINE uint32_t shmipc_tlog_meta_bytes(uint32_t meta)
{
	return 8 * (uint32_t)__builtin_popcount(meta);
}

/* Does the entry's word belong to message @seq, committed or aborted? */
SHMIPC_INLINE int shmipc_tlog_resolved(uint64_t word, uint64_t seq)
{
	return word >> 2 == (seq & (~0ULL >> 2)) && word & 3;
}

/* A subscriber's state word. */
SHMIPC_INLINE uint32_t shmipc_sub_state_policy(uint64_t state)
{
	return state & 0xff;
}

SHMIPC_INLINE uint32_t shmipc_sub_state_group(uint64_t state)
{
	return state >> 8 & 0xff;	/* 0: none, else group + 1 */
}

/*
 * Raise a word that only grows and has many writers. Bounded: they may be hostile.
 *
 * tlog.Z0 -> tlog.Z1: acquiring it shows all that those which raised it had seen.
 */
SHMIPC_INLINE void shmipc_priv_tlog_raise(__u64 *word, uint64_t to)
{
	__u64 was = shmipc_load_relaxed(word);
	int tries;

	for (tries = 0; was < to && tries < SHMIPC_TLOG_TRIES; tries++)
		if (shmipc_cas_acq_rel(word, &was, (__u64)to))
			return;
}

SHMIPC_PRIV_C_END

#endif /* SHMIPC_TLOG_H */
