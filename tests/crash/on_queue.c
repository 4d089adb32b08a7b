// SPDX-License-Identifier: MIT
/*
 * on_queue.c - killed while it pushes to a work queue, takes from it, or waits there
 *
 * After the death each item that was pushed is handed out, whole and in order, unless the victim
 * was done with it: once, or again and marked so. Then every place can be filled and emptied
 * by the next ones, so nothing has leaked.
 */
#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crash.h"
#include "queue/queue.h"	/* of lib/ */

#define QUEUE		"crash/queue"
#define DEPTH		8u
#define LEVELS		2u
#define ITEM_MOST	3000u
#define SOON		shmipc_deadline_in(UINT64_C(15000000000))	/* less than the watchdog's */
#define SHORT_NS	2000000u
#define WAKE_NS		20000000u
#define MINE		32u		/* numbers of the victim's items begin here */
#define NUMBERS		64u

static struct shmipc_push *tx;		/* the checker's; in the victim, its own */
static struct shmipc_pop *rx;
static uint32_t delivery = SHMIPC_QUEUE_ACKNOWLEDGED;
static unsigned char store[NUMBERS][ITEM_MOST];
static size_t store_len[NUMBERS];

/* Of the items that this process has received */
static uint32_t times[NUMBERS];		/* deliveries, of the last one */
static uint32_t arrived;		/* how many */
static int64_t last_new[LEVELS];	/* the newest of the victim's that came for the first time */

static uint32_t level_of(uint64_t n)
{
	return n % 3 == 1;
}

static void stock_items(void)
{
	static const uint16_t len[] = { 24, ITEM_MOST, 8, 700, 130 };
	uint64_t n;
	size_t i;

	for (n = 0; n < NUMBERS; n++) {
		store_len[n] = len[n % 5];
		memcpy(store[n], &n, 8);
		for (i = 8; i < store_len[n]; i++)
			store[n][i] = (unsigned char)(n * 31 + i * 7 + 1);
	}
}

static struct shmipc_push *open_push(void)
{
	const struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(
		.producers = 2, .consumers = 3, .depth = DEPTH, .levels = LEVELS,
		.item_bytes = ITEM_MOST, .delivery = delivery);
	const struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = SHMIPC_SPIN_NEVER);
	struct shmipc_push *p = NULL;

	must(!shmipc_push_open(&p, QUEUE, &o, &how), "open: %s", shmipc_error_text());
	return p;
}

static struct shmipc_pop *open_pop(void)
{
	const struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = SHMIPC_SPIN_NEVER);
	struct shmipc_pop *p = NULL;

	must(!shmipc_pop_open(&p, QUEUE, NULL, &how), "open: %s", shmipc_error_text());
	return p;
}

static void put(struct shmipc_push *p, uint64_t n)
{
	int ret = shmipc_push_item(p, store[n], store_len[n], level_of(n), 0);

	must(!ret, "push %llu: %s", (unsigned long long)n, shmipc_error_name(ret));
}

/* The next item, which must be whole and not too old. false: none. */
static bool get(struct shmipc_queue_item *it, uint64_t *ret_n, uint64_t deadline_ns)
{
	int ret = shmipc_pop_item(rx, it, deadline_ns);
	uint64_t n;

	if (ret == -EAGAIN)
		return false;
	must(!ret, "pop: %s", shmipc_error_name(ret));
	memcpy(&n, it->data, 8);
	must(n < NUMBERS && it->bytes == store_len[n] && !memcmp(it->data, store[n], it->bytes),
	     "item %llu of %u bytes is torn", (unsigned long long)n, it->bytes);
	must(it->level == level_of(n), "item %llu has level %u", (unsigned long long)n, it->level);
	*ret_n = n;
	return true;
}

static void done_with(const struct shmipc_queue_item *it)
{
	must(!shmipc_pop_ack(rx, it, 1), "ack: %s", shmipc_error_text());
}

static void note(uint64_t n, const struct shmipc_queue_item *it)
{
	must(!times[n], "item %llu came twice, of %u deliveries", (unsigned long long)n, it->deliveries);
	times[n] = it->deliveries;
	arrived++;
	if (it->deliveries > 1)
		return;
	must(last_new[it->level] < (int64_t)n || n < MINE, "item %llu after %lld", (unsigned long long)n,
	     (long long)last_new[it->level]);
	last_new[it->level] = (int64_t)n;
}

static void take_all(void)
{
	struct shmipc_queue_item it;
	uint64_t n;

	while (get(&it, &n, 0)) {
		note(n, &it);
		done_with(&it);
	}
}

/* Checker */

static void prepare(void)
{
	stock_items();
	tx = open_push();
	rx = open_pop();
	/* No look now and then hides a wake that is lost. */
	tx->tick = rx->tick = SHMIPC_TICK_NONE;
}

static void prepare_once(void)
{
	delivery = SHMIPC_QUEUE_AT_MOST_ONCE;
	prepare();
}

static void fill(struct shmipc_push *p)
{
	uint64_t n;

	for (n = 0; n < DEPTH; n++)
		put(p, n);
	must(shmipc_push_item(p, store[0], 8, 0, 0) == -EAGAIN, "more than %u places", DEPTH);
}

static void prepare_full(void)
{
	prepare();
	fill(tx);
}

static void prepare_once_full(void)
{
	prepare_once();
	fill(tx);
}

static void prepare_one(void)
{
	prepare();
	put(tx, 0);
}

/* All places of both producers, of the dead one's slot, too, more than once round. */
static void go_on(void)
{
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT();
	struct shmipc_push *next = open_push();
	uint32_t round, n = 0;
	struct shmipc_queue_item it;
	uint64_t i;

	for (round = 0; round < 3; round++) {
		fill(tx);
		fill(next);
		for (n = 0; get(&it, &i, 0); n++) {
			must(it.deliveries == 1, "a new item, delivery %u", it.deliveries);
			done_with(&it);
		}
		must(n == 2 * DEPTH, "%u of %u items came", n, 2 * DEPTH);
	}
	must(!shmipc_queue_look(QUEUE, &st), "look: %s", shmipc_error_text());
	must(!st.ready[0] && !st.ready[1] && !st.taken, "items are left");
	must(!st.invalid && !st.expired && st.lost <= (delivery == SHMIPC_QUEUE_AT_MOST_ONCE),
	     "%llu invalid, %llu expired, %llu lost", (unsigned long long)st.invalid,
	     (unsigned long long)st.expired, (unsigned long long)st.lost);
	shmipc_push_close(next);
	shmipc_push_close(tx);
	shmipc_pop_close(rx);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* The victim pushes */

static void setup_push(void)
{
	stock_items();
	tx = open_push();
	put(tx, MINE);		/* it has memory */
	board->begun = board->done = 1;
}

static void begin(uint64_t n)
{
	shmipc_store_release(&board->begun, board->done + n);
}

static void end(uint64_t n)
{
	shmipc_store_release(&board->done, board->done + n);
}

static void push_next(void)
{
	begin(1);
	put(tx, MINE + board->done);
	end(1);
}

static void run_push(void)
{
	int i;

	for (i = 0; i < 4; i++)
		push_next();
}

static void run_push_one(void)
{
	push_next();
}

static void run_reserve(void)
{
	uint64_t n = MINE + board->done;
	void *at;

	must(!shmipc_push_reserve(tx, &at, 0), "reserve");
	must(!shmipc_push_cancel(tx), "cancel");
	must(!shmipc_push_reserve(tx, &at, 0), "reserve again");
	memcpy(at, store[n], store_len[n]);
	begin(1);
	must(!shmipc_push_commit(tx, store_len[n], level_of(n)), "commit");
	end(1);
}

/* Of one level. */
static void run_batch(void)
{
	static const uint32_t of[] = { 1, 3, 4, 6 };
	struct shmipc_buf v[4];
	uint32_t done = 0, i;

	for (i = 0; i < 4; i++)
		v[i] = (struct shmipc_buf){ store[MINE + of[i]], store_len[MINE + of[i]] };
	begin(4);
	must(!shmipc_push_items(tx, v, 4, 0, &done, 0) && done == 4, "push of 4");
	end(4);
}

static void check_push(void)
{
	await_death();
	take_all();
	must(arrived >= board->done && arrived <= board->begun, "%u came, %llu or %llu were pushed",
	     arrived, (unsigned long long)board->done, (unsigned long long)board->begun);
	must(times[MINE] == 1, "the first one did not come");
	go_on();
}

static void check_batch(void)
{
	await_death();
	take_all();
	must(arrived == board->done || arrived == board->begun, "%u came of a batch", arrived);
	go_on();
}

/* Asleep until the victim pushes its second one, or dies. */
static void check_push_wakes(void)
{
	struct shmipc_queue_item it;
	uint64_t n, got = 0;

	while (!shmipc_load_acquire(&board->dead) && got < 2) {
		int ret = shmipc_pop_item(rx, &it, shmipc_deadline_in(WAKE_NS));

		if (ret == -ETIMEDOUT)
			continue;
		must(!ret, "pop: %s", shmipc_error_name(ret));
		memcpy(&n, it.data, 8);
		note(n, &it);
		done_with(&it);
		got++;
	}
	check_push();
}

/* All places are taken, and nobody frees one. */
static void setup_push_full(void)
{
	uint64_t i;

	setup_push();
	for (i = 1; i < DEPTH; i++)
		put(tx, MINE + i);
	board->begun = board->done = DEPTH;
}

static void run_push_waits(void)
{
	int ret = shmipc_push_item(tx, store[MINE], 8, 0, shmipc_deadline_in(SHORT_NS));

	must(ret == -ETIMEDOUT, "push: %s", shmipc_error_name(ret));
}

static void run_push_forever(void)
{
	(void)shmipc_push_item(tx, store[MINE], 8, 0, SHMIPC_FOREVER);
}

static void setup_nothing(void)
{
	stock_items();
}

static void run_open_push(void)
{
	tx = open_push();
}

static void run_close_push(void)
{
	shmipc_push_close(tx);
}

static void check_open(void)
{
	await_death();
	take_all();
	go_on();
}

static void check_create(void)
{
	await_death();
	prepare();
	go_on();
}

/* The victim takes */

static struct shmipc_queue_item mine_are[DEPTH];
static uint64_t number[DEPTH];

static void setup_pop(void)
{
	stock_items();
	rx = open_pop();
}

static void take_one(uint32_t i)
{
	must(get(&mine_are[i], &number[i], 0), "item %u", i);
}

static void setup_taken(void)
{
	setup_pop();
	take_one(0);
	shmipc_store_release(&board->entered, 1u);
	(void)syscall(SYS_futex, &board->entered, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* board->begun: a bit for each item that it has for certain; done: it was done with. */
static void run_pop(void)
{
	uint32_t n = 0, i;

	take_one(0);
	shmipc_store_release(&board->begun, UINT64_C(1) << number[0]);
	must(!shmipc_pop_items(rx, &mine_are[1], 3, &n, 0) && n == 3, "three at once: %u", n);
	for (i = 1; i < 4; i++) {
		memcpy(&number[i], mine_are[i].data, 8);
		shmipc_store_release(&board->begun, board->begun | UINT64_C(1) << number[i]);
	}
	done_with(&mine_are[0]);
	shmipc_store_release(&board->done, board->done | UINT64_C(1) << number[0]);
	must(!shmipc_pop_nack(rx, &mine_are[1], 1), "nack");
	must(!shmipc_pop_ack(rx, &mine_are[2], 2), "ack of two");
	shmipc_store_release(&board->done,
			     board->done | UINT64_C(1) << number[2] | UINT64_C(1) << number[3]);
}

/* Those that it was done with do not come; those that it had come marked; at most two are unsure. */
static void check_pop(void)
{
	uint32_t n, missing = 0;

	await_death();
	take_all();
	for (n = 0; n < DEPTH; n++) {
		if (board->done >> n & 1) {
			must(!times[n], "item %u was done, and came", n);
			continue;
		}
		missing += !times[n];
		must(times[n] <= 2, "item %u: %u deliveries", n, times[n]);
		must(!(board->begun >> n & 1) || times[n] != 1, "item %u is not marked", n);
		must(times[n] || board->begun >> n & 1, "item %u is lost", n);
	}
	must(missing <= 2, "%u items did not come", missing);
	go_on();
}

static void run_nack(void)
{
	must(!shmipc_pop_nack(rx, mine_are, 1), "nack");
}

static void run_ack(void)
{
	must(!shmipc_pop_ack(rx, mine_are, 1), "ack");
}

/* Asleep until the victim gives its item back, or dies: no deadline. */
static void check_nack_wakes(void)
{
	struct shmipc_queue_item it;
	uint64_t n;

	while (!shmipc_load_acquire(&board->entered))
		(void)syscall(SYS_futex, &board->entered, FUTEX_WAIT, 0, NULL, NULL, 0);
	must(get(&it, &n, SHMIPC_FOREVER) && !n && it.deliveries == 2, "item %llu, delivery %u",
	     (unsigned long long)n, it.deliveries);
	done_with(&it);
	await_death();
	take_all();
	must(!arrived, "%u items more", arrived);
	go_on();
}

/* Asleep until there is a place: of the item that the victim is done with, or that is lost. */
static void check_ack_wakes(void)
{
	int ret = shmipc_push_item(tx, store[DEPTH], store_len[DEPTH], level_of(DEPTH), SHMIPC_FOREVER);

	must(!ret, "push: %s", shmipc_error_name(ret));
	await_death();
	take_all();
	must(arrived == DEPTH, "%u items came", arrived);
	go_on();
}

static void run_pop_waits(void)
{
	struct shmipc_queue_item it;
	int ret = shmipc_pop_item(rx, &it, shmipc_deadline_in(SHORT_NS));

	must(ret == -ETIMEDOUT, "pop: %s", shmipc_error_name(ret));
}

static void run_pop_forever(void)
{
	struct shmipc_queue_item it;

	(void)shmipc_pop_item(rx, &it, SHMIPC_FOREVER);
}

static void run_open_pop(void)
{
	rx = open_pop();
}

static void run_close_pop(void)
{
	shmipc_pop_close(rx);
}

/* It had the first one: that comes again, marked, whether it left or died. */
static void check_close_pop(void)
{
	await_death();
	take_all();
	must(arrived == DEPTH && times[1] == 2, "%u items came, the first one with %u deliveries",
	     arrived, times[1]);
	go_on();
}

const struct scenario queue_scenarios[] = {
	{ "queue-push", 0, prepare, setup_push, run_push, NULL, check_push },
	{ "queue-reserve", 0, prepare, setup_push, run_reserve, NULL, check_push },
	{ "queue-batch", 0, prepare, setup_push, run_batch, NULL, check_batch },
	{ "queue-push-wakes", ASLEEP, prepare, setup_push, run_push_one, NULL, check_push_wakes },
	{ "queue-push-waits", SAMPLE, prepare, setup_push_full, run_push_waits, NULL, check_push },
	{ "queue-push-asleep", BLOCKS, prepare, setup_push_full, run_push_forever, NULL, check_push },
	{ "queue-push-open", SAMPLE, prepare_full, setup_nothing, run_open_push, NULL, check_open },
	{ "queue-push-close", SAMPLE, prepare_full, setup_push, run_close_push, NULL, check_open },
	{ "queue-create", SAMPLE, NULL, setup_nothing, run_open_push, NULL, check_create },
	{ "queue-pop", 0, prepare_full, setup_pop, run_pop, NULL, check_pop },
	{ "queue-nack-wakes", ASLEEP, prepare_one, setup_taken, run_nack, NULL, check_nack_wakes },
	{ "queue-ack-wakes", ASLEEP, prepare_once_full, setup_taken, run_ack, NULL, check_ack_wakes },
	{ "queue-pop-waits", SAMPLE, prepare, setup_pop, run_pop_waits, NULL, check_open },
	{ "queue-pop-asleep", BLOCKS, prepare, setup_pop, run_pop_forever, NULL, check_open },
	{ "queue-pop-open", SAMPLE, prepare_full, setup_nothing, run_open_pop, NULL, check_open },
	{ "queue-pop-close", SAMPLE, prepare_full, setup_taken, run_close_pop, NULL, check_close_pop },
	{ 0 }
};
