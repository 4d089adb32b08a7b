/* SPDX-License-Identifier: MIT */
/* queue.h - producers and consumers of a work queue, private parts */
#ifndef SHMIPC_LIB_QUEUE_H
#define SHMIPC_LIB_QUEUE_H

#include "queue/queue_pop.h"
#include "queue/queue_push.h"
#include "segment/backend.h"
#include "segment/probe.h"

/* Where dead letters go, and how it is opened. */
struct shmipc_queue_dead {
	char name[SHMIPC_NAME_MAX + 8];	/* empty: nowhere */
	uint32_t flags;			/* SHMIPC_OWNED_BY*, of the user's options */
	uint32_t owner;
	struct shmipc_push *tx;		/* NULL: not opened yet */
	uint64_t retry_ns;		/* after a failure: not before */
	uint64_t pause_ns;
};

#define QUEUE_ITEM_DEFAULT	4096u
#define QUEUE_ROUNDS	64	/* of a wait, without a look at the clock */

/* Whether consumers have gone, as last asked: the words of one are often together. */
struct shmipc_queue_gone {
	uint64_t who;
	bool known;
	bool gone;
	bool sure;	/* ask the kernel, too */
};

struct shmipc_push {
	uint32_t live;			/* 0 after fork, or cut off */
	uint32_t reserved;		/* the cell that the user writes; SHMIPC_CELLS_NONE */
	struct shmipc_segment *seg;
	struct shmipc_end end;
	struct shmipc_cells q;
	struct shmipc_cells_tx tx;
	struct shmipc_waiter wait;
	struct shmipc_queue_gone gone;
	uint32_t turn;			/* the consumer at which the search for a sleeper begins */
	uint32_t bell;			/* while it is going to sleep */
	enum shmipc_tick tick;		/* of its sleeps: GUARD; tests of wakes take it away */
	uint64_t pushed;
	uint64_t waits;
	uint64_t wakes;
};

struct shmipc_pop {
	uint32_t live;			/* 0 after fork, or cut off */
	uint32_t peer_turn;		/* the consumer that is looked at next */
	struct shmipc_segment *seg;
	struct shmipc_end end;
	struct shmipc_cells q;
	struct shmipc_cells_rx rx;
	struct shmipc_waiter wait;
	struct shmipc_queue_gone gone;
	uint32_t *peer_word;		/* [consumers]: of their slots, as last seen */
	uint64_t *tail;			/* [producers * levels] */
	uint32_t *backed;		/* [producers] */
	uint32_t turn;			/* as of a producer */
	uint32_t bell;			/* likewise */
	enum shmipc_tick tick;		/* likewise */
	uint64_t taken;
	uint64_t again;
	uint64_t acked;
	uint64_t returned;
	struct shmipc_queue_dead dead;
};

/* queue_open.c */
int shmipc_queue_check(const struct shmipc_segment *seg, const char *name,
		       struct shmipc_queue_hdr *ret_hdr, struct shmipc_cells *ret);
int shmipc_queue_open(struct shmipc_segment **ret, const char *name,
		      const struct shmipc_queue_opts *opts, struct shmipc_cells *ret_cells,
		      struct shmipc_queue_dead *ret_dead);
int shmipc_queue_how_read(struct shmipc_queue_how *o, const struct shmipc_queue_how *user);

/* queue_wake.c: @turn: kept from one call to the next. How many were woken */
uint32_t shmipc_queue_wake(struct shmipc_segment *seg, uint32_t slot, const struct shmipc_cells *q,
			   uint32_t *turn, uint32_t n);
/* A cell of producer @p is free: wake it if it sleeps. */
void shmipc_queue_freed(struct shmipc_segment *seg, uint32_t slot, const struct shmipc_cells *q,
			uint32_t p);
/* Does a TAKEN word name a consumer that has left or died? */
bool shmipc_queue_is_gone(struct shmipc_segment *seg, const struct shmipc_cells *q,
			  struct shmipc_queue_gone *g, uint64_t word);

/* queue_dead.c: are the options about dead letters valid? */
int shmipc_dead_check(const struct shmipc_queue_opts *o, const char *name);
/* As shmipc_cells_rx.move; @arg: struct shmipc_pop. */
bool shmipc_dead_move(void *arg, uint32_t p, uint32_t cell, uint64_t word);
/* Some could not be moved: is it time to try again? *@deadline_ns: not later than that. */
void shmipc_dead_again(struct shmipc_pop *c, uint64_t *deadline_ns);

/* queue_push.c: one with a note, if there is a place for it now. */
int shmipc_push_noted(struct shmipc_push *p, const void *item, size_t bytes, uint32_t level,
		      const struct shmipc_queue_note *note);

/* queue_push_wait.c: until there is a free cell. 0 look again; -EAGAIN, -ETIMEDOUT, -EINTR */
int shmipc_push_wait(struct shmipc_push *p, uint64_t deadline_ns);

/* queue_pop_wait.c: has a consumer come or gone? It looks at up to @most of them. */
void shmipc_pop_notice(struct shmipc_pop *c, uint32_t most);
int shmipc_pop_wait(struct shmipc_pop *c, uint64_t deadline_ns);

#endif /* SHMIPC_LIB_QUEUE_H */
