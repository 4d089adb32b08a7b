/* SPDX-License-Identifier: MIT */
/*
 * model_tlog_memory.c - memory that a log takes while it is used; see tlog_memory.h
 *
 * The kernel is one variable: whether the entries behind the first ones have memory. A
 * thread that touches one of them before fails the test. 3 of 16 entries have memory at
 * first, and one step takes the rest; 2 messages are there, so that the next one needs it.
 */
#include "model_tlog.h"

#define FIRST	3u

static int taken;			/* the step has been made */
static int full;			/* it cannot be made */
static struct shmipc_tlog ends[4];	/* publishers 0 and 1, readers 2 and 3 */
static struct shmipc_tlog_memory mems[4];

static int have(void *arg, uint64_t off, uint64_t bytes)
{
	const struct shmipc_topic_hdr *h = &logm.hdr;

	(void)arg;
	if (off + bytes <= h->data_off + shmipc_tlog_entries_bytes(h, FIRST))
		return 0;
	if (full && !taken)
		return -ENOSPC;
	taken = 1;
	return 0;
}

static int see(void *arg, uint64_t off, uint64_t bytes)
{
	const struct shmipc_topic_hdr *h = &logm.hdr;

	(void)arg;
	return taken || off + bytes <= h->data_off + shmipc_tlog_entries_bytes(h, FIRST) ? 0 : -EPROTO;
}

static void grown(void *arg)
{
	(void)arg;
	model_futex_wake(&logm.pub->backed);
}

static void guard(uintptr_t at)
{
	uintptr_t from = (uintptr_t)shmipc_tlog_entry(&logm, FIRST), to;

	to = (uintptr_t)logm.entry + LOG_ENTRIES * logm.stride;
	model_check(taken || at < from || at >= to, "an entry without memory was touched");
}

static void make(uint32_t pubs)
{
	log_make(pubs, 1, FIRST - 1);
	logm.pub->backed = FIRST;
	logm.sub->subs_used = 1;
	model_guard = guard;
}

static void setup_single(void)
{
	make(1);
}

static void setup_many(void)
{
	make(2);
}

static void reset(void)
{
	int i;

	log_reset();
	taken = full = 0;
	for (i = 0; i < 4; i++) {
		ends[i] = logm;
		mems[i] = (struct shmipc_tlog_memory){ .have = i < 2 ? have : see, .see = see,
						       .grown = grown, .lines = 1 };
		ends[i].memory = &mems[i];
	}
}

/* Publish one message; where there is no memory, until there is. */
static void publisher(void *arg)
{
	uint32_t slot = (uint32_t)(uintptr_t)arg;
	struct shmipc_tlog_block b;
	struct shmipc_tlog_settled settled;
	struct shmipc_tlog_tx tx;
	uint64_t seq;
	int ret;

	model_check(!shmipc_tlog_back(&ends[slot]), "memory that was allocated is refused");
	shmipc_tlog_tx_init(&tx, &ends[slot], slot, 7, log_alive, (void *)0, &settled);
	while (shmipc_tlog_claim(&tx, 1, &seq)) {
		ret = shmipc_tlog_make_room(&tx, 1, &b);
		model_check(!ret || (full && ret == -ENOSPC), "make_room returned %d", ret);
		if (ret)
			full = 0;	/* room is made */
	}
	if (shmipc_tlog_commit(&tx, (shmipc_tlog_fill(&tx, seq, NULL, 0, (uint64_t[2]){ 5, 5 }, 16, 0), seq),
			       1, SHMIPC_ENTRY_CELL, 16))
		model_futex_wake(&shmipc_tlog_entry(&logm, seq)->word);
}

/* Take one in @every messages, from number @at on; sleep as a subscriber does. */
static void read_on(uint64_t at, uint64_t every, int peer, int i)
{
	struct shmipc_tlog_ref ref;
	struct shmipc_tlog_rx rx;
	uint64_t val;
	int ret;

	shmipc_tlog_rx_init(&rx, &ends[2 + i]);
	rx.seq = at;
	rx.every = every;
	for (;;) {
		ret = shmipc_tlog_peek(&rx, &ref);
		if (!ret) {
			model_check(shmipc_tlog_next(&rx) == 0, "lapped");
			now.got[i]++;
			continue;
		}
		model_check(ret == -EAGAIN, "peek returned %d", ret);
		now.end[i] = rx.seq;
		if (rx.seq < rx.end) {
			(void)model_await(&shmipc_tlog_entry(&logm, rx.seq)->word);
			continue;
		}
		val = shmipc_load_relaxed(&logm.pub->backed);
		if (!shmipc_tlog_there(rx.log, rx.seq) &&
		    model_futex_wait(&logm.pub->backed, (uint32_t)val, peer) == -EOWNERDEAD)
			return;
	}
}

static void next_reader(void *arg)
{
	(void)arg;
	read_on(0, 1, -1, 0);
}

/* Its first message has no memory at first. */
static void far_reader(void *arg)
{
	(void)arg;
	read_on(FIRST, 16, -1, 0);
}

static void begin_step(void)
{
	reset();
	th_tx[0] = model_spawn("pub 0", publisher, (void *)0, 0);
	th_rx[0] = model_spawn("reader", next_reader, NULL, 0);
}

static void begin_full(void)
{
	begin_step();
	full = 1;
}

/* All that was published has been received, wherever the reader looked first. */
static void finish_step(void)
{
	log_all_ended();
	model_check(now.got[0] == FIRST, "%llu received", (unsigned long long)now.got[0]);
	model_check(shmipc_load_relaxed(&logm.pub->backed) == LOG_ENTRIES,
		    "it has grown, but that is not announced");
}

static void begin_two(void)
{
	reset();
	th_tx[0] = model_spawn("pub 0", publisher, (void *)0, 1);
	th_tx[1] = model_spawn("pub 1", publisher, (void *)1, 0);
}

/* One may die in the step: the other has its message in, and the next entry has memory. */
static void finish_two(void)
{
	uint64_t seq, n = 0;

	log_all_ended();
	for (seq = FIRST - 1; seq < FIRST + 1; seq++)
		n += shmipc_load_relaxed(&shmipc_tlog_entry(&logm, seq)->word) ==
		     (seq << 2 | SHMIPC_ENTRY_CELL);
	model_check(n == 2 || (n == 1 && model_state(th_tx[0]) == MODEL_DIED), "%llu published",
		    (unsigned long long)n);
	model_check(taken && shmipc_tlog_tail(&logm) < LOG_ENTRIES, "the tail has no memory");
}

static void begin_far(void)
{
	reset();
	th_tx[0] = model_spawn("pub 0", publisher, (void *)0, 0);
	th_tx[1] = model_spawn("pub 1", publisher, (void *)1, 0);
	th_rx[0] = model_spawn("reader", far_reader, NULL, 0);
}

static void finish_far(void)
{
	log_all_ended();
	model_check(now.got[0] == 1, "it sleeps, though its message has come");
}

const struct model_test log_memory_tests[] = {
	{ "memory: is taken before it is touched; one publisher, one reader",
	  setup_single, begin_step, finish_step, 0 },
	{ "memory: not available now, available later", setup_single, begin_full, finish_step, 0 },
	{ "memory: of two publishers that need it one may die", setup_many, begin_two, finish_two, 1 },
	{ "memory: a reader that is ahead of it is woken", setup_many, begin_far, finish_far, 0 },
	{ 0 },
};
