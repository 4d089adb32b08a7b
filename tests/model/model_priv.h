/* SPDX-License-Identifier: MIT */
/*
 * model_priv.h - shared by the parts of the model checker
 *
 *   model_mem.c   what a load may see: histories, views, fences, races
 *   model.c       threads, choices, the search
 *   model_main.c  running tests and mutations, and reporting
 */
#ifndef MODEL_PRIV_H
#define MODEL_PRIV_H

#include <setjmp.h>
#include "model.h"

#define MODEL_LOCS	120	/* words followed in one test */
#define MODEL_HIST	64	/* stores to one of them in one execution */
#define MODEL_DEATHS	(-2)	/* target of a sleeper that watches several */
#define MODEL_STEPS	20000	/* accesses in one execution */

/*
 * A view: of each location, the oldest store that may still be seen (an index
 * into its history), and of each thread, the last access known to have happened.
 */
struct model_view {
	uint8_t ts[MODEL_LOCS];
	uint16_t clk[MODEL_THREADS];
};

/* A store, and the view that a load acquires with it. */
struct model_msg {
	uint64_t val;
	struct model_view view;
	uint16_t clk;
	uint8_t tid;
};

/* The four kinds of access that can take part in a race. */
enum { MODEL_PLAIN_R, MODEL_PLAIN_W, MODEL_ATOMIC_R, MODEL_ATOMIC_W, MODEL_ACCESSES };

struct model_loc {
	uintptr_t addr;
	size_t bytes;
	uint64_t init;
	int data;
	/* Learned in all executions of a test; see model_learned(). */
	unsigned writers;	/* threads that ever store to it */
	int unordered;		/* two of them do so at the same time */
	/* In the present execution. */
	int n;
	int wakes, waits;
	struct model_msg hist[MODEL_HIST];
	struct model_view futex;
	uint16_t last[MODEL_ACCESSES][MODEL_THREADS];
};

enum model_op {
	OP_START,	/* not begun */
	OP_LOAD,
	OP_CAS,
	OP_RMW,
	OP_STORE,
	OP_LOCK,	/* an update, while the word is 0 */
	OP_FENCE,
	OP_JOIN,
	OP_FUTEX_WAIT,
	OP_FUTEX_WAKE,
	OP_SLEEP,	/* woken by a wake or by the end of the peer */
};

struct model_thread {
	jmp_buf boot, ctx;
	int booted;
	char *stack;
	const char *name;
	void (*fn)(void *);
	void *arg;
	int mortal;
	enum model_state state;
	struct model_view cur, acq, rel;
	uint8_t last_read[MODEL_LOCS];
	/* Its next operation. */
	enum model_op op;
	enum model_kind kind;
	struct model_loc *loc;
	uint64_t expected;	/* OP_CAS */
	int lo;			/* reads this store or a newer one */
	int target;		/* of a join; peer of a sleeper */
	unsigned watched;	/* MODEL_DEATHS: these, of which ... */
	int deaths;		/* ... so many had died before */
	int woken;
	int slept;		/* stores before this were tried in another branch */
	int asleep, key;	/* the same for operations other than loads */
	int grant;		/* the store to read */
	/* Words moved by the last copy. */
	uint32_t copied[MODEL_LOCS];
	int n_copied;
};

extern struct model_thread model_threads[MODEL_THREADS];
extern int model_n_threads;
extern struct model_thread *model_me;	/* NULL: outside the model */
extern struct model_loc model_locs[MODEL_LOCS];
extern int model_n_locs;
extern int model_trace;			/* print each access */
extern int model_brute;			/* no reductions; to verify the reductions */
extern unsigned model_sc_users, model_heavy_users;
extern int model_sc_n, model_light_n, model_heavy_n;

/* The mutation of this run; kind 0: none. */
struct model_mutation {
	struct model_at at;
	int variant;
};
extern struct model_mutation model_mutation;

/* model_mem.c */
void model_mem_forget(void);	/* a new test */
void model_mem_reset(void);	/* a new execution */
void model_view_join(struct model_view *v, const struct model_view *w);
void model_trace_at(struct model_at at, const struct model_loc *l, int m, uint64_t val,
		    const char *what);

/* model.c */
int model_me_is_main(void);
void model_learned(void);	/* what the search relied on has changed: restart */
void model_arrive(struct model_at at, int effect);
void model_stop_here(enum model_op op, struct model_loc *l, int lo);
unsigned model_others_alive(void);

struct model_result {
	uint64_t executions, cut, random;
	int failed, incomplete, restarts;
	unsigned depth;
	double seconds;
	char why[512];
};
void model_explore(const struct model_test *test, double max_seconds, struct model_result *ret);
void model_show_trace(const struct model_test *test);

/* model_main.c */
void model_site_seen(struct model_at at);

#endif /* MODEL_PRIV_H */
