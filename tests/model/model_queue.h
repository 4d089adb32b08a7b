/* SPDX-License-Identifier: MIT */
/*
 * model_queue.h - what work queues need of the library, for the program that models them
 *
 * An end is a thread of its own, and its segment is the memory of the test. A sleep ends by a
 * wake of its word, or by a death that it has not seen yet; no clock passes, so that no look
 * now and then can hide a lost wake. Of a death each thread is told by the kernel: then it sees
 * all that the dead one did, and the word of its slot changes.
 */
#ifndef MODEL_QUEUE_H
#define MODEL_QUEUE_H

#include <errno.h>
#include <stdlib.h>

#include "model.h"
#include "queue/queue.h"

#define PRODUCERS	2u
#define CONSUMERS	3u
#define ENDS		(PRODUCERS + CONSUMERS)
#define BYTES		(8 * SHMIPC_CTL_PAGE)

static union {
	unsigned char bytes[BYTES];
	uint64_t align[8];
} mem __attribute__((aligned(4096)));
static struct shmipc_cells q;
static uint32_t slot_to_take;		/* by the end that is opened next */
static struct shmipc_peer_slot slots[MODEL_THREADS][ENDS];	/* as each thread sees them */
static bool told[MODEL_THREADS][ENDS];
static int thread_of[ENDS];		/* of a slot; 0: none */
static int deaths_seen[MODEL_THREADS];	/* when it last looked at the peers */
static unsigned mortals;		/* threads that may die */

static bool is_dead(uint32_t slot)
{
	return slot < ENDS && thread_of[slot] && model_state(thread_of[slot]) == MODEL_DIED;
}

/* peer.P0 <- peer.P1: as the kernel tells of a death. */
static bool told_of(uint32_t slot)
{
	int me = model_self();

	if (!is_dead(slot))
		return false;
	if (!told[me][slot]) {
		told[me][slot] = true;
		model_join(thread_of[slot]);
		shmipc_store_relaxed(&slots[me][slot].word, SHMIPC_PEER_DEAD);
	}
	return true;
}

struct shmipc_peer_slot *shmipc_segment_slot(const struct shmipc_segment *seg, uint32_t slot)
{
	(void)seg;
	(void)told_of(slot);
	return &slots[model_self()][slot];
}

bool shmipc_peer_lives(struct shmipc_segment *seg, uint32_t slot, uint64_t generation,
		       uint64_t mask, bool sure)
{
	(void)seg;
	(void)generation;
	(void)mask;
	(void)sure;
	model_check(slot < ENDS && thread_of[slot], "slot %u has nobody", slot);
	return !told_of(slot);
}

static enum shmipc_peer_state state(struct shmipc_segment *seg, uint32_t slot, bool sure)
{
	(void)seg;
	(void)sure;
	return is_dead(slot) ? SHMIPC_PEER_DIED : SHMIPC_PEER_ATTACHED;
}

static void watch_peers(struct shmipc_segment *seg, struct shmipc_wait_set *set, uint32_t n)
{
	uint32_t slot;

	(void)seg;
	(void)set;
	deaths_seen[model_self()] = model_deaths(mortals);
	for (slot = 0; slot < n; slot++)
		(void)told_of(slot);
}

static int sleep_on(struct shmipc_wait_set *set, uint64_t until_ns)
{
	model_check(until_ns > UINT64_C(100000000000), "it would look by itself");
	(void)model_futex_wait_deaths(set->w->word, set->w->val, mortals, deaths_seen[model_self()]);
	return 0;
}

void shmipc_watch_word(struct shmipc_segment *seg, struct shmipc_wait_set *set,
		       const uint32_t *word, uint32_t val)
{
	(void)seg;
	shmipc_wait_set_by(set, sleep_on);
	shmipc_wait_set_add(set, (struct shmipc_word){ .word = word, .val = val });
}

void shmipc_wake(struct shmipc_segment *seg, uint32_t slot, const uint32_t *word, uint64_t seq)
{
	(void)seg;
	(void)slot;
	(void)seq;
	model_futex_wake(word);
}

/* All has memory. */
static int commit(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	(void)seg;
	(void)off;
	(void)bytes;
	return 0;
}

static int see(struct shmipc_segment *seg, uint64_t off, uint64_t bytes)
{
	(void)seg;
	(void)off;
	(void)bytes;
	return 0;
}

static const struct shmipc_backend backend = {
	.commit = commit, .see = see, .state = state, .watch_peers = watch_peers,
};
static struct shmipc_segment segment = { .be = &backend, .hdr.peers = ENDS };

bool shmipc_barrier_heavy(void)
{
	model_barrier_heavy();
	return true;
}

uint64_t shmipc_now_ns(void)
{
	return 1;
}

/* Opening and closing */

int shmipc_queue_how_read(struct shmipc_queue_how *o, const struct shmipc_queue_how *user)
{
	(void)user;
	o->spin_ns = SHMIPC_SPIN_NEVER;
	return 0;
}

int shmipc_queue_open(struct shmipc_segment **ret, const char *name,
		      const struct shmipc_queue_opts *opts, struct shmipc_cells *ret_cells,
		      struct shmipc_queue_dead *ret_dead)
{
	(void)name;
	(void)opts;
	if (ret_dead)
		memset(ret_dead, 0, sizeof(*ret_dead));
	*ret = &segment;
	*ret_cells = q;
	return 0;
}

/* No queue here has another one for its dead letters. */
bool shmipc_dead_move(void *arg, uint32_t p, uint32_t cell, uint64_t word)
{
	(void)arg;
	(void)p;
	(void)cell;
	(void)word;
	return false;
}

void shmipc_dead_again(struct shmipc_pop *c, uint64_t *deadline_ns)
{
	(void)c;
	(void)deadline_ns;
}

int shmipc_end_take(struct shmipc_end *e, struct shmipc_segment *seg, enum shmipc_role role)
{
	e->seg = seg;
	e->slot = slot_to_take;
	e->role = role;
	return 0;
}

void shmipc_end_leave(struct shmipc_end *e)
{
	(void)e;
}

void shmipc_end_check(struct shmipc_end *e)
{
	(void)e;
}

void shmipc_end_leave_and_wait(struct shmipc_end *e)
{
	(void)e;
}

int shmipc_segment_get_info(const struct shmipc_segment *seg, struct shmipc_segment_info *ret)
{
	(void)seg;
	(void)ret;
	return -EOPNOTSUPP;
}

void shmipc_slot_info(struct shmipc_segment *seg, uint32_t slot, struct shmipc_peer_info *ret)
{
	(void)seg;
	(void)slot;
	(void)ret;
}

void shmipc_segment_close(struct shmipc_segment *seg)
{
	(void)seg;
}

uint32_t shmipc_wait_caps(void)
{
	return SHMIPC_CAP_MEMBARRIER;
}

/* Errors */

int shmipc_fail(int err, const char *fmt, ...)
{
	(void)fmt;
	return err;
}

int shmipc_null(const char *function, const char *args)
{
	(void)function;
	(void)args;
	return -EINVAL;
}

struct shmipc_text shmipc_cause(int code)
{
	(void)code;
	return (struct shmipc_text){ "" };
}

const char *shmipc_advice(int code)
{
	(void)code;
	return "";
}

bool shmipc_limited(int err)
{
	(void)err;
	return false;
}

void shmipc_untold(void)
{
}

int shmipc_told(const char *function, int ret)
{
	(void)function;
	return ret;
}

int shmipc_sized_check(const void *user, size_t ours, const char *what)
{
	(void)user;
	(void)ours;
	(void)what;
	return 0;
}

void shmipc_sized_write(void *user, const void *from, size_t ours)
{
	memcpy(user, from, ours);
}

/* The queue: setup() of tests */

static void make(uint32_t depth, uint32_t levels, uint32_t flags)
{
	struct shmipc_queue_hdr h = {
		.sides = { .producers = PRODUCERS, .readers = CONSUMERS },
		.depth = depth, .levels = levels, .flags = flags, .item_bytes = 8,
	};

	memset(&mem, 0, sizeof(mem));
	if (shmipc_cells_layout(&h))
		model_fail("no layout");
	h.sides.read_off = SHMIPC_CTL_PAGE;
	h.sides.prod_off = h.sides.read_off + h.sides.read_bytes;
	if (h.sides.prod_off + h.sides.prod_bytes > BYTES || shmipc_cells_check(&mem, &h, &q))
		model_fail("no cells");
	segment.base = mem.bytes;
	model_region(&mem, sizeof(mem), "mem", 0);
	model_region(slots, sizeof(slots), "slots", 0);
}

static void setup(void)
{
	make(2, 1, SHMIPC_QUEUE_ACKED);
}

static void setup_narrow(void)
{
	make(1, 1, SHMIPC_QUEUE_ACKED);
}

static void setup_once(void)
{
	make(1, 1, 0);
}

static void setup_levels(void)
{
	make(2, 2, SHMIPC_QUEUE_ACKED);
}

#endif /* MODEL_QUEUE_H */
