// SPDX-License-Identifier: MIT
/* queue_push.c - a producer: opening, pushing, and the memory of its cells */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "queue/queue.h"
#include "segment/limit.h"

#define GROW_MIN	(UINT64_C(1) << 16)	/* bytes of cells that get memory at once ... */
#define GROW_MAX	(UINT64_C(1) << 21)	/* ... at first, and at most */

static uint64_t area_off(const struct shmipc_push *p)
{
	return (uint64_t)(p->q.area - p->seg->base) + p->tx.me * p->q.area_bytes;
}

static int fail_memory(const struct shmipc_push *p, int err)
{
	return shmipc_fail(err, "shmipc: push to \"%s\": memory for a place: %s%s", p->seg->hdr.name,
			   shmipc_cause(err).s,
			   shmipc_limited(err) ? "; raise that limit" :
			   err == -ENOSPC ? "; free memory (df, or for the device shmipc doctor, shows it)" :
			   shmipc_advice(err));
}

/* Some more cells get memory: about as many as there are. */
static int grow(struct shmipc_push *p)
{
	SHMIPC_NO_CANCEL;
	const struct shmipc_cells *q = &p->q;
	uint64_t bytes = p->tx.backed * q->stride, cells;
	int err;

	bytes = bytes < GROW_MIN ? GROW_MIN : bytes > GROW_MAX ? GROW_MAX : bytes;
	cells = bytes / q->stride ? bytes / q->stride : 1;
	if (cells > q->depth - p->tx.backed)
		cells = q->depth - p->tx.backed;
	err = p->seg->be->commit(p->seg, area_off(p) + q->cells_off + p->tx.backed * q->stride,
				 cells * q->stride);
	if (err)
		return fail_memory(p, err);
	p->tx.at = p->tx.backed;
	p->tx.backed += (uint32_t)cells;
	return 0;
}

static int open_push(struct shmipc_push **ret, const char *name,
		     const struct shmipc_queue_opts *opts, const struct shmipc_queue_how *how)
{
	SHMIPC_NO_CANCEL;
	struct shmipc_queue_how o;
	struct shmipc_push *p;
	int err;

	if (!ret)
		return shmipc_null("shmipc_push_open", "ret");
	err = shmipc_queue_how_read(&o, how);
	if (err)
		return err;
	p = calloc(1, sizeof(*p));
	if (!p)
		return shmipc_fail(-ENOMEM, "shmipc: no memory for a producer (ENOMEM)");
	err = shmipc_queue_open(&p->seg, name, opts, &p->q, NULL);
	if (err)
		goto free_push;
	err = shmipc_end_take(&p->end, p->seg, SHMIPC_ROLE_PRODUCER);
	if (err)
		goto close_segment;
	p->tx.me = p->end.slot;
	err = p->seg->be->commit(p->seg, area_off(p), p->q.cells_off);
	if (err) {
		err = fail_memory(p, err);
		goto leave;
	}
	shmipc_cells_tx_init(&p->tx, &p->q, p->end.slot);
	p->tx.full_fence = !(shmipc_wait_caps() & SHMIPC_CAP_MEMBARRIER);
	shmipc_store_relaxed(&p->q.state[p->end.slot].want, UINT64_C(0));
	shmipc_cells_join(&p->q.ctl->producers, p->end.slot);
	shmipc_waiter_init(&p->wait, o.spin_ns, NULL);
	p->reserved = SHMIPC_CELLS_NONE;
	p->tick = SHMIPC_TICK_GUARD;
	/* Consumers that sleep watch us from here on. */
	if (p->seg->be->hello)
		p->seg->be->hello(p->seg);
	p->live = 1;
	p->seg->live = &p->live;
	p->seg->nlive = 1;
	*ret = p;
	return 0;

leave:
	shmipc_end_leave(&p->end);
close_segment:
	shmipc_segment_close(p->seg);
free_push:
	free(p);
	return err;
}

SHMIPC_EXPORT int shmipc_push_open(struct shmipc_push **ret, const char *name,
				   const struct shmipc_queue_opts *opts,
				   const struct shmipc_queue_how *how)
{
	return SHMIPC_TOLD(open_push(ret, name, opts, how));
}

SHMIPC_EXPORT void shmipc_push_close(struct shmipc_push *tx)
{
	SHMIPC_NO_CANCEL;
	if (!tx)
		return;
	shmipc_end_check(&tx->end);
	tx->seg->live = NULL;
	shmipc_end_leave_and_wait(&tx->end);
	shmipc_segment_close(tx->seg);
	free(tx);
}

SHMIPC_EXPORT size_t shmipc_push_item_bytes(const struct shmipc_push *tx)
{
	return tx && tx->live ? tx->q.item_bytes : 0;
}

/* Pushing */

static int refuse_level(const struct shmipc_push *p, uint32_t level)
{
	return shmipc_fail(-EINVAL, "shmipc: push to \"%s\": level %u; there are 0 to %u (EINVAL)",
			   p->seg->hdr.name, level, p->q.levels - 1);
}

static int refuse_bytes(const struct shmipc_push *p, size_t bytes)
{
	return shmipc_fail(-EMSGSIZE, "shmipc: push to \"%s\": %zu bytes; its items have at most %llu (EMSGSIZE)",
			   p->seg->hdr.name, bytes, (unsigned long long)p->q.item_bytes);
}

static int refuse_reserved(const struct shmipc_push *p)
{
	return shmipc_fail(-EINVAL, "shmipc: push to \"%s\": a place is reserved; commit or cancel it first (EINVAL)",
			   p->seg->hdr.name);
}

/* A free cell, after waiting for one if need be. */
static int find(struct shmipc_push *p, uint32_t *ret_cell, uint64_t deadline_ns)
{
	struct shmipc_queue_tails *tails = &p->q.tails[p->tx.me];
	int ret = 0, err = 0;

	while ((*ret_cell = shmipc_cells_find(&p->tx)) == SHMIPC_CELLS_NONE) {
		if (ret)
			return ret;
		if (p->tx.backed < p->q.depth && !err) {
			err = grow(p);
			if (!err)
				continue;
			if (!p->tx.backed)
				return err;
		}
		if (deadline_ns) {
			p->waits++;
			shmipc_store_relaxed(&tails->waits, shmipc_load_relaxed(&tails->waits) + 1);
		}
		/* Then it looks once more: what came in the last moment is there all the same. */
		ret = shmipc_push_wait(p, deadline_ns);
		if (err && ret == -EAGAIN)
			ret = err;
		if (!p->live)
			return shmipc_dead(p->seg);
	}
	return 0;
}

static void fill(struct shmipc_push *p, uint32_t cell, const void *item, size_t bytes, uint32_t level)
{
	shmipc_payload_write(shmipc_cells_at(&p->q, p->tx.me, cell), item, bytes);
	shmipc_cells_fill(&p->tx, cell, (uint32_t)bytes, level);
}

/* @n items that were filled are in the queue: one consumer is woken for each. */
static void push(struct shmipc_push *p, uint32_t level, uint32_t n)
{
	struct shmipc_queue_tails *tails = &p->q.tails[p->tx.me];

	shmipc_cells_push(&p->tx, level);
	if (shmipc_unlikely(shmipc_cells_sleeper(&p->q, p->turn) != SHMIPC_CELLS_NONE))
		p->wakes += shmipc_queue_wake(p->seg, p->end.slot, &p->q, &p->turn, n);
	p->pushed += n;
	/* For tools; this line is ours alone. */
	shmipc_store_relaxed(&tails->pushed, shmipc_load_relaxed(&tails->pushed) + n);
}

static inline int check(const struct shmipc_push *p, size_t bytes, uint32_t level)
{
	if (shmipc_unlikely(!p->live))
		return shmipc_dead(p->seg);
	if (shmipc_unlikely(p->reserved != SHMIPC_CELLS_NONE))
		return refuse_reserved(p);
	if (shmipc_unlikely(level >= p->q.levels))
		return refuse_level(p, level);
	return shmipc_unlikely(bytes > p->q.item_bytes) ? refuse_bytes(p, bytes) : 0;
}

SHMIPC_EXPORT int shmipc_push_item(struct shmipc_push *tx, const void *item, size_t bytes,
				   uint32_t level, uint64_t deadline_ns)
{
	uint32_t cell;
	int err;

	if (!tx || (!item && bytes))
		return shmipc_null(__func__, "tx, or item with bytes,");
	err = check(tx, bytes, level);
	if (!err)
		err = find(tx, &cell, deadline_ns);
	if (err)
		return err;
	fill(tx, cell, item, bytes, level);
	push(tx, level, 1);
	return 0;
}

int shmipc_push_noted(struct shmipc_push *p, const void *item, size_t bytes, uint32_t level,
		      const struct shmipc_queue_note *note)
{
	struct shmipc_queue_note *to;
	uint32_t cell;
	int err = check(p, bytes, level);

	if (!err)
		err = find(p, &cell, 0);
	if (err)
		return err;
	to = shmipc_cells_note(&p->q, p->tx.me, cell);
	err = p->seg->be->commit(p->seg, (uint64_t)((unsigned char *)to - p->seg->base), sizeof(*to));
	if (err)
		return fail_memory(p, err);
	shmipc_payload_write(shmipc_cells_at(&p->q, p->tx.me, cell), item, bytes);
	shmipc_payload_write((unsigned char *)to, note, sizeof(*note));
	shmipc_cells_fill(&p->tx, cell, (uint32_t)bytes | SHMIPC_QUEUE_NOTED, level);
	push(p, level, 1);
	return 0;
}

static int push_items(struct shmipc_push *p, const struct shmipc_buf *v, uint32_t n, uint32_t level,
		      uint32_t *done, uint64_t deadline_ns)
{
	uint32_t cell, filled = 0;
	int err = 0;

	while (*done + filled < n) {
		cell = shmipc_cells_find(&p->tx);
		if (cell == SHMIPC_CELLS_NONE) {
			if (filled)
				push(p, level, filled);
			*done += filled;
			filled = 0;
			err = find(p, &cell, deadline_ns);
			if (err)
				return err;
		}
		fill(p, cell, v[*done + filled].ptr, v[*done + filled].len, level);
		filled++;
	}
	if (filled)
		push(p, level, filled);
	*done += filled;
	return 0;
}

SHMIPC_EXPORT int shmipc_push_items(struct shmipc_push *tx, const struct shmipc_buf *v, uint32_t n,
				    uint32_t level, uint32_t *ret_done, uint64_t deadline_ns)
{
	uint32_t i, done = 0;
	int err;

	if (!tx || (!v && n))
		return shmipc_null(__func__, "tx, or v with n,");
	err = check(tx, 0, level);
	for (i = 0; !err && i < n; i++) {
		if (!v[i].ptr && v[i].len)
			err = shmipc_null(__func__, "ptr with len");
		else
			err = check(tx, v[i].len, level);
	}
	if (!err)
		err = push_items(tx, v, n, level, &done, deadline_ns);
	if (ret_done)
		*ret_done = done;
	return err;
}

SHMIPC_EXPORT int shmipc_push_reserve(struct shmipc_push *tx, void **ret, uint64_t deadline_ns)
{
	uint32_t cell;
	int err;

	if (!tx || !ret)
		return shmipc_null(__func__, "tx or ret");
	err = check(tx, 0, 0);
	if (!err)
		err = find(tx, &cell, deadline_ns);
	if (err)
		return err;
	tx->reserved = cell;
	*ret = shmipc_cells_at(&tx->q, tx->tx.me, cell);
	return 0;
}

static int check_reserved(const struct shmipc_push *p)
{
	if (!p->live)
		return shmipc_dead(p->seg);
	if (p->reserved == SHMIPC_CELLS_NONE)
		return shmipc_fail(-EINVAL, "shmipc: push to \"%s\": no place is reserved (EINVAL)",
				   p->seg->hdr.name);
	return 0;
}

SHMIPC_EXPORT int shmipc_push_commit(struct shmipc_push *tx, size_t bytes, uint32_t level)
{
	int err;

	if (!tx)
		return shmipc_null(__func__, "tx");
	err = check_reserved(tx);
	if (!err && level >= tx->q.levels)
		err = refuse_level(tx, level);
	if (!err && bytes > tx->q.item_bytes)
		err = refuse_bytes(tx, bytes);
	if (err)
		return err;
	shmipc_cells_fill(&tx->tx, tx->reserved, (uint32_t)bytes, level);
	tx->reserved = SHMIPC_CELLS_NONE;
	push(tx, level, 1);
	return 0;
}

SHMIPC_EXPORT int shmipc_push_cancel(struct shmipc_push *tx)
{
	int err;

	if (!tx)
		return shmipc_null(__func__, "tx");
	err = check_reserved(tx);
	if (!err)
		tx->reserved = SHMIPC_CELLS_NONE;
	return err;
}

SHMIPC_EXPORT int shmipc_push_get_stat(const struct shmipc_push *tx, struct shmipc_push_stat *ret)
{
	struct shmipc_push_stat st = { .struct_bytes = sizeof(st) };
	uint32_t i;
	int err;

	if (!tx || !ret)
		return shmipc_null(__func__, "tx or ret");
	err = shmipc_sized_check(ret, sizeof(st), "push stat");
	if (err || !tx->live)
		return -EINVAL;
	st.pushed = tx->pushed;
	st.waits = tx->waits;
	st.sleeps = tx->wait.sleeps;
	st.ticks = tx->wait.ticks;
	st.wakes = tx->wakes;
	st.depth = tx->q.depth;
	for (i = 0; i < tx->q.depth; i++)
		st.used += shmipc_cells_state(shmipc_load_relaxed(
				&shmipc_cells_words(&tx->q, tx->tx.me)[i])) != SHMIPC_QUEUE_FREE;
	shmipc_sized_write(ret, &st, sizeof(st));
	return 0;
}

SHMIPC_EXPORT int shmipc_push_get_info(const struct shmipc_push *tx, struct shmipc_segment_info *ret)
{
	if (!tx || !ret)
		return shmipc_null(__func__, "tx or ret");
	return shmipc_segment_get_info(tx->seg, ret);
}
