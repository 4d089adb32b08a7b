/* SPDX-License-Identifier: MIT */
/*
 * lazymem.h - memory of a log that cannot be touched until an end has committed it
 *
 * Pages without access stand for holes in a file: a process that touches one is killed.
 * The test sets how many can be committed.
 */
#ifndef TEST_LAZYMEM_H
#define TEST_LAZYMEM_H

#include "tlogmem.h"

#define LAZY_PAGES	4096u

struct lazymem {
	unsigned char *base;
	unsigned char there[LAZY_PAGES];	/* by page */
	uint64_t left;				/* pages that can still be had */
	uint64_t had, seen, grown;		/* calls */
};

/* One end's view of a log. */
struct lazyend {
	struct tlogmem l;
	struct shmipc_tlog_memory m;
	uint64_t chunk[4];
};

static inline int lazy_see(void *arg, uint64_t off, uint64_t bytes)
{
	struct lazymem *z = arg;
	uint64_t i;

	z->seen++;
	for (i = off / 4096; i <= (off + bytes - 1) / 4096; i++)
		if (!z->there[i])
			return -EPROTO;
	return 0;
}

static inline int lazy_have(void *arg, uint64_t off, uint64_t bytes)
{
	struct lazymem *z = arg;
	uint64_t from = off / 4096, to = (off + bytes + 4095) / 4096, i, need = 0;

	z->had++;
	for (i = from; i < to; i++)
		need += !z->there[i];
	if (need > z->left)
		return -ENOSPC;
	z->left -= need;
	memset(z->there + from, 1, to - from);
	return mprotect(z->base + from * 4096, (to - from) * 4096, PROT_READ | PROT_WRITE) ? -EIO : 0;
}

static inline void lazy_grown(void *arg)
{
	((struct lazymem *)arg)->grown++;
}

/* Pages [@from, @to) go back. */
static inline void lazy_drop(struct lazymem *z, uint64_t off, uint64_t bytes)
{
	(void)madvise(z->base + off, bytes, MADV_REMOVE);
	(void)mprotect(z->base + off, bytes, PROT_NONE);
	memset(z->there + off / 4096, 0, bytes / 4096);
	z->left += bytes / 4096;
}

/* A log of which the first entries are there, and nothing that is taken later. 0 or -1. */
static inline int lazy_get(struct lazymem *z, struct tlogmem *l, struct shmipc_tlog_opts *o)
{
	struct shmipc_topic_hdr h;
	uint64_t bytes, ctl, first;

	memset(z, 0, sizeof(*z));
	if (shmipc_tlog_layout(o, &h, &bytes) || bytes > LAZY_PAGES * 4096ull)
		return -1;
	o->backed = shmipc_tlog_first(&h);
	if (logmem_get(l, MEM_SHARED, o))
		return -1;
	z->base = l->m.ptr;
	ctl = shmipc_tlog_ctl_bytes(&h);
	first = shmipc_priv_round_up(shmipc_tlog_entries_bytes(&h, o->backed), 4096);
	memset(z->there, 1, ctl / 4096);
	memset(z->there + h.data_off / 4096, 1, first / 4096);
	return mprotect(z->base + ctl, h.data_off - ctl, PROT_NONE) ||
	       mprotect(z->base + h.data_off + first, bytes - h.data_off - first, PROT_NONE) ? -1 : 0;
}

/* 0, or what a publisher is told when it opens. */
static inline int lazy_end(struct lazyend *e, struct lazymem *z, const struct tlogmem *l, int publisher)
{
	memset(e, 0, sizeof(*e));
	e->l = *l;
	e->m = (struct shmipc_tlog_memory){ .have = publisher ? lazy_have : lazy_see,
					    .see = lazy_see, .grown = lazy_grown, .arg = z,
					    .chunk = e->chunk };
	e->l.log.memory = &e->m;
	return publisher ? shmipc_tlog_back(&e->l.log) : 0;
}

/* A subscriber's own line. */
static inline int lazy_line(struct lazyend *e, struct lazymem *z, uint32_t slot)
{
	return lazy_have(z, shmipc_tlog_line_off(&e->l.log, slot), e->l.log.sub_stride);
}

#endif /* TEST_LAZYMEM_H */
