/* SPDX-License-Identifier: MIT */
/*
 * model_ring.c - common to all rings: cursors, and creating a ring
 */
#include <stdio.h>
#include "model_ring.h"

static struct shmipc_cursor cursor __attribute__((aligned(64)));
static uint64_t moves, moved;
static int th_writer, th_reader;

#define POS_OF(seq)	((seq) * 24 + 8)

static void setup_cursor(void)
{
	memset(&cursor, 0, sizeof(cursor));
	cursor.word = POS_OF(0);
	model_region(&cursor, sizeof(cursor), "cursor", 0);
	moves = model_deep ? 6 : 4;
}

/* Continues from the cursor's present position. */
static void move_rest(void)
{
	uint64_t word, seq;

	model_check(!shmipc_cursor_read(&cursor, &word, &seq), "cannot read our own cursor");
	model_check(seq == moved || seq == moved + 1, "at %llu after %llu moves",
		    (unsigned long long)seq, (unsigned long long)moved);
	while (seq < moves) {
		seq++;
		word = shmipc_cursor_move(&cursor, word, POS_OF(seq), seq);
		moved = seq;
	}
}

static void writer(void *arg)
{
	(void)arg;
	move_rest();
}

static void heir(void *arg)
{
	(void)arg;
	model_join(th_writer);
	move_rest();
}

static void cursor_reader(void *arg)
{
	uint64_t word, seq, last = 0;
	int i;

	(void)arg;
	for (i = 0; i < 2; i++) {
		model_check(!shmipc_cursor_read(&cursor, &word, &seq), "the cursor never stands still");
		model_check(shmipc_cursor_pos(word) == POS_OF(seq),
			    "position %llu with number %llu",
			    (unsigned long long)shmipc_cursor_pos(word), (unsigned long long)seq);
		model_check(seq >= last, "it went back");
		last = seq;
	}
}

static void begin_cursor(void)
{
	moved = 0;
	th_writer = model_spawn("writer", writer, NULL, 0);
	th_reader = model_spawn("reader", cursor_reader, NULL, 0);
}

static void begin_cursor_dies(void)
{
	moved = 0;
	th_writer = model_spawn("writer", writer, NULL, 1);
	th_reader = model_spawn("reader", cursor_reader, NULL, 0);
	model_spawn("heir", heir, NULL, 0);
}

static void finish_cursor(void)
{
	uint64_t word, seq;

	model_check(model_state(th_reader) == MODEL_RETURNED, "the reader waits forever");
	model_check(!shmipc_cursor_read(&cursor, &word, &seq) && seq == moves, "not at the end");
}

/* One thread creates a ring in fresh memory, another checks whether it exists. */
static void setup_init(void)
{
	memset(&ring_mem, 0, sizeof(ring_mem));
	model_region(&ring_mem, SHMIPC_CTL_PAGE, "header", 0);
	model_region(ring_mem.bytes + SHMIPC_CTL_PAGE, sizeof(ring_mem) - SHMIPC_CTL_PAGE, "rest", 0);
}

static void maker(void *arg)
{
	struct shmipc_ring_opts o = { .kind = SHMIPC_KIND_SPSC, .align = 64, .meta_bytes = 40 };

	(void)arg;
	model_check(!shmipc_ring_init(&ring_mem, sizeof(ring_mem), &o), "the ring cannot be created");
}

static void opener(void *arg)
{
	struct shmipc_ring r;
	int ret, i;

	(void)arg;
	for (i = 0; i < 2; i++) {
		ret = shmipc_ring_check(&ring_mem, sizeof(ring_mem), &r);
		model_check(!ret || ret == -EAGAIN, "incomplete ring: check returned %d", ret);
		if (!ret)
			model_check(r.align == 64 && r.meta_bytes == 40 && r.size == 4096,
				    "another ring");
	}
}

static void begin_init(void)
{
	th_writer = model_spawn("maker", maker, NULL, 0);
	th_reader = model_spawn("opener", opener, NULL, 0);
}

static void finish_init(void)
{
	model_check(model_state(th_reader) == MODEL_RETURNED, "the opener waits forever");
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "a cursor's position and number belong together",
		  setup_cursor, begin_cursor, finish_cursor, 0 },
		{ "the same, and its writer dies at any step",
		  setup_cursor, begin_cursor_dies, finish_cursor, 1 },
		{ "a ring exists completely or not at all", setup_init, begin_init, finish_init, 0 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "shmipc_ring_check", MODEL_BARRIER_LIGHT,
		  "keeps the compiler from reading the header twice; there is no hostile writer here", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "shmipc/ring.h", excepts);
}
