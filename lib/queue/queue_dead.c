// SPDX-License-Identifier: MIT
/*
 * queue_dead.c - items at the limit of deliveries: moved to the queue that is named for them
 *
 * The consumer that finds such an item opens that queue as a producer, when it has
 * something to move for the first time, and keeps it open. It pushes a copy with a note,
 * and then frees the item here: killed in between, it leaves the item TAKEN, and the next
 * consumer moves it once more. What is moved for the second time is known by its word, in
 * which deliveries were counted on.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "queue/queue.h"

#define PAUSE_MIN_NS	UINT64_C(10000000)	/* after a failure, and ... */
#define PAUSE_MAX_NS	UINT64_C(1000000000)	/* ... after many in a row */

static int refuse(const struct shmipc_queue_opts *o, const char *why)
{
	return shmipc_fail(-EINVAL, "shmipc: queue options: dead is \"%.200s\"; %s (EINVAL)", o->dead, why);
}

int shmipc_dead_check(const struct shmipc_queue_opts *o, const char *name)
{
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT();
	uint64_t bytes = o->item_bytes ? o->item_bytes : QUEUE_ITEM_DEFAULT;
	int err = shmipc_name_read(o->dead);

	if (err)
		return err;
	if (name && !strcmp(name, o->dead))
		return refuse(o, "it must be another queue");
	/* One more than the limit says that a consumer moves it, and two that it does so again. */
	if (!o->deliveries || o->deliveries > SHMIPC_QUEUE_TIMES_MAX - 2)
		return refuse(o, "it needs deliveries, a limit of 1 to 253");
	/* At the creation. */
	if (name && shmipc_queue_look(name, &st) != -ENOENT)
		return 0;
	err = shmipc_queue_look(o->dead, &st);
	if (err == -ENOENT)
		return 0;	/* it is created when there is something for it */
	return !err && bytes > st.item_bytes ? refuse(o, "its items are smaller than item_bytes") : err;
}

static int open_dead(struct shmipc_pop *c)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.flags = c->dead.flags | SHMIPC_NO_CREATE,
						       .owner = c->dead.owner);
	int err;

	/* Its name was removed: what we push there is lost when it is closed. */
	if (c->dead.tx && c->dead.tx->seg->be->unnamed && c->dead.tx->seg->be->unnamed(c->dead.tx->seg)) {
		shmipc_push_close(c->dead.tx);
		c->dead.tx = NULL;
	}
	if (c->dead.tx)
		return 0;
	err = shmipc_push_open(&c->dead.tx, c->dead.name, &o, NULL);
	if (err != -ENOENT)
		return err;
	o.flags = c->dead.flags | SHMIPC_PERSIST;
	o.producers = c->q.consumers;
	o.depth = c->q.depth;
	o.levels = c->q.levels;
	o.item_bytes = c->q.item_bytes;
	o.mode = c->seg->hdr.mode & 0777;
	if ((uint64_t)o.producers * o.depth > SHMIPC_QUEUE_CELLS_MAX)
		o.depth = SHMIPC_QUEUE_CELLS_MAX / SHMIPC_QUEUE_CONSUMERS_MAX;
	err = shmipc_push_open(&c->dead.tx, c->dead.name, &o, NULL);
	if (err != -EINVAL)
		return err;
	o = SHMIPC_QUEUE_OPTS(.flags = c->dead.flags | SHMIPC_NO_CREATE, .owner = c->dead.owner);
	return shmipc_push_open(&c->dead.tx, c->dead.name, &o, NULL);	/* another was quicker */
}

static void write_note(const struct shmipc_pop *c, const struct shmipc_queue_item *it,
		       struct shmipc_queue_note *n)
{
	struct timespec ts;

	memset(n, 0, sizeof(*n));
	n->reason = SHMIPC_DEAD_DELIVERIES;
	n->deliveries = c->q.deliveries;
	n->copies = it->deliveries - c->q.deliveries;
	n->level = it->level;
	n->from = it->from;
	n->number = it->number;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	n->at_ns = (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
	memcpy(n->id, c->seg->hdr.id, sizeof(n->id));
	memcpy(n->queue, c->seg->hdr.name, sizeof(n->queue));
}

static int move(struct shmipc_pop *c, const struct shmipc_queue_item *it)
{
	struct shmipc_queue_note note;
	uint32_t level;
	int err = open_dead(c);

	if (err)
		return err;
	level = it->level < c->dead.tx->q.levels ? it->level : c->dead.tx->q.levels - 1;
	write_note(c, it, &note);
	err = shmipc_push_noted(c->dead.tx, it->data, it->bytes, level, &note);
	if (err && err != -EAGAIN) {	/* cut off, or its items are smaller: it may be another one by then */
		shmipc_push_close(c->dead.tx);
		c->dead.tx = NULL;
	}
	return err;
}

bool shmipc_dead_move(void *arg, uint32_t p, uint32_t cell, uint64_t word)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_pop *c = arg;
	struct shmipc_queue_item it;

	/* What is not valid cannot be moved: it is dropped. */
	if (shmipc_cells_level(word) >= c->q.levels ||
	    !shmipc_cells_describe(&c->rx, p, cell, word, shmipc_cells_whole(&c->q, p, word), &it)) {
		shmipc_cells_drop(&c->rx, p, cell, word, &c->q.ctl->invalid);
		return true;
	}
	if (!move(c, &it)) {
		c->dead.pause_ns = 0;
		shmipc_add_relaxed(&c->q.ctl->dead, UINT64_C(1));
		return true;
	}
	c->dead.pause_ns *= 2;
	if (c->dead.pause_ns < PAUSE_MIN_NS)
		c->dead.pause_ns = PAUSE_MIN_NS;
	if (c->dead.pause_ns > PAUSE_MAX_NS)
		c->dead.pause_ns = PAUSE_MAX_NS;
	c->dead.retry_ns = shmipc_now_ns() + c->dead.pause_ns;
	return false;
}

void shmipc_dead_again(struct shmipc_pop *c, uint64_t *deadline_ns)
{
	if (shmipc_now_ns() >= c->dead.retry_ns) {
		c->rx.stuck = false;
		c->rx.due = true;
	} else if (*deadline_ns > c->dead.retry_ns) {
		*deadline_ns = c->dead.retry_ns;
	}
}
