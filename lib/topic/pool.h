/* SPDX-License-Identifier: MIT */
/* pool.h - the large messages of a topic: spans of chunks, filled from one end */
#ifndef SHMIPC_LIB_POOL_H
#define SHMIPC_LIB_POOL_H

#include <shmipc/inline/tlog_floor.h>

#include "segment/segment.h"

/* Chunks that a publisher owns, one after another. */
struct shmipc_pool_span {
	uint32_t first;
	uint32_t count;		/* 0: this place in the table is free */
	uint32_t loans;		/* not published yet */
	bool open;		/* more may be put into it */
	bool idle;		/* open, but retired: other publishers may take it */
	uint64_t used;		/* bytes */
	uint64_t last;		/* its last message, plus 1; 0: none */
};

/* Chunks [first, last] in which a subscriber holds a message. */
struct shmipc_pool_held {
	uint32_t first;
	uint32_t last;
	uint32_t slot;		/* of the subscriber */
	uint64_t state;		/* and its line's state */
};

/* A publisher's view of the pool: what it owns, and what it has seen of others. */
struct shmipc_pool {
	const struct shmipc_tlog *log;
	struct shmipc_tlog_tx *tx;
	/* Does the publisher live that had slot and generation? */
	bool (*owner_lives)(void *arg, uint32_t slot, uint64_t generation);
	/* Unseal [first, first + n), of which some is sealed: 0; -errno. */
	int (*unseal)(void *arg, uint32_t first, uint32_t n);
	void *arg;
	uint64_t tag;			/* chunk word of what we own */
	struct shmipc_pool_span *span;
	uint32_t spans;			/* places in the table */
	uint32_t open;			/* the span that is being filled, or spans: none */
	uint32_t cursor;		/* where we look for the next chunk */
	uint64_t seen;			/* @held is of after clear was here */
	struct shmipc_pool_held *held;
	uint32_t nheld;
	uint32_t held_cap;
};

/* Room for one message. */
struct shmipc_pool_block {
	uint64_t off;		/* from the pool's start */
	uint64_t chunks;	/* first | last << 32 */
	uint32_t span;
	bool sealed;		/* it has its chunks for itself, and is sealed before it is published */
};

#define SHMIPC_POOL_GENERATION	((UINT64_C(1) << 46) - 1)	/* as much as a chunk's word has */

void shmipc_pool_init(struct shmipc_pool *p, struct shmipc_tlog_tx *tx, uint64_t generation,
		      bool (*owner_lives)(void *arg, uint32_t slot, uint64_t generation),
		      int (*unseal)(void *arg, uint32_t first, uint32_t n), void *arg);
void shmipc_pool_exit(struct shmipc_pool *p);

/*
 * Room for @bytes; @sealed: for a message that is to be sealed. 0; -EAGAIN with what is in
 * the way in @b; -EMSGSIZE; -ENOSPC: it would take memory, and there is none; -ENOMEM; what
 * unsealing returns.
 */
int shmipc_pool_take(struct shmipc_pool *p, uint64_t bytes, bool sealed,
		     struct shmipc_pool_block *ret, struct shmipc_tlog_block *b);

/* The message in a block was published with number @seq; or was dropped. */
void shmipc_pool_published(struct shmipc_pool *p, const struct shmipc_pool_block *blk, uint64_t seq);
void shmipc_pool_dropped(struct shmipc_pool *p, const struct shmipc_pool_block *blk);

/*
 * Chunks by themselves, without a message. begin: our own open one is among them; 0,
 * -ENOMEM. grab: take it if nobody needs it. drop: it is free again.
 */
int shmipc_pool_grab_begin(struct shmipc_pool *p);
bool shmipc_pool_grab(struct shmipc_pool *p, uint32_t chunk);
void shmipc_pool_drop(struct shmipc_pool *p, uint32_t chunk);

/* The number of chunks in which a subscriber holds a message. */
uint32_t shmipc_pool_count_held(const struct shmipc_tlog *log);

#endif /* SHMIPC_LIB_POOL_H */
