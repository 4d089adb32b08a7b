// SPDX-License-Identifier: MIT
/*
 * model_queue.c - work queues: each item is done, although ends die, and no consumer sleeps beside one
 *
 * The cells of one or two producers, and up to three consumers, which read each item, and
 * are then done with it. Both sides may die at any step; a sleeper is told of a death, as by
 * the peer table, and looks again. There are no clocks: a lost wake is a sleep without end.
 */
#include "model.h"

#include "queue/queue_pop.h"
#include "queue/queue_push.h"

#define PRODUCERS	2u
#define CONSUMERS	3u
#define DEPTH_MOST	2u
#define ITEMS		4u
#define BYTES		(8 * SHMIPC_CTL_PAGE)

static union {
	unsigned char bytes[BYTES];
	uint64_t align[8];
} mem __attribute__((aligned(4096)));
static struct shmipc_cells q;

static int th_producer[PRODUCERS + 1], th_consumer[CONSUMERS];
static int producers, consumers;
static unsigned mortals;

/* What a test does; set before the threads are spawned. */
static uint64_t items;			/* of each producer */
static uint64_t quota[CONSUMERS];	/* items that a consumer takes before it ends */
static uint32_t batch, push_batch;	/* of consumers, of producers */
static int asleep;			/* consumers sleep from the beginning: the search is shorter */
static int nacks;			/* the first consumer gives its first item back */
static uint32_t level_of[ITEMS];

/* What has happened */
static int done[PRODUCERS][ITEMS], handed[PRODUCERS][ITEMS];
static int holder[PRODUCERS][ITEMS];	/* thread */
static uint64_t pushed[PRODUCERS];

static struct consumer {
	struct shmipc_cells_rx rx;
	uint64_t tail[PRODUCERS * 2];
	uint32_t backed[PRODUCERS];
	int deaths;
	int last[PRODUCERS][2];		/* of each level: the item that came last, less 1 */
} consumer[CONSUMERS];

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
	model_region(&mem, sizeof(mem), "mem", 0);
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

/* What both sides need of the library */

static int see(void *arg, uint32_t p, uint32_t cell)
{
	(void)arg;
	(void)p;
	(void)cell;
	model_fail("all has memory");
}

static bool gone(void *arg, uint64_t word)
{
	uint32_t c = word >> SHMIPC_QUEUE_SLOT_SHIFT & SHMIPC_QUEUE_SLOT_MASK;

	(void)arg;
	model_check(c < CONSUMERS && th_consumer[c], "the word names consumer %u", c);
	if (model_state(th_consumer[c]) != MODEL_DIED)
		return false;
	model_join(th_consumer[c]);
	return true;
}

static void freed(void *arg, uint32_t p)
{
	(void)arg;
	if (shmipc_cells_answer(&q, p))
		model_futex_wake(&q.state[p].bell);
}

/* As lib/queue/queue_wake.c */
static void wake(uint32_t n)
{
	uint32_t c, at = 0;

	for (; n && (c = shmipc_cells_sleeper(&q, at)) != SHMIPC_CELLS_NONE; at = c + 1) {
		if (!shmipc_cells_clear(&q, c) || model_state(th_consumer[c]) == MODEL_DIED)
			continue;
		shmipc_cells_ring(&q, c);
		model_futex_wake(&q.line[c].bell);
		n--;
	}
}

static void join_dead(void)
{
	int t;

	for (t = 1; t < MODEL_THREADS; t++)
		if (mortals >> t & 1 && model_state(t) == MODEL_DIED)
			model_join(t);
}

/* Producers */

static void wait_for_cell(struct shmipc_cells_tx *tx)
{
	const __u64 *bell = &q.state[tx->me].bell;
	int deaths = model_deaths(mortals);
	bool buried = false;
	uint32_t i, val;
	uint64_t is;

	join_dead();
	for (i = 0; i < q.depth; i++) {
		is = shmipc_load_relaxed(&shmipc_cells_words(&q, tx->me)[i]);
		if (shmipc_cells_state(is) == SHMIPC_QUEUE_TAKEN && gone(NULL, is))
			(void)shmipc_cells_bury(&q, &shmipc_cells_words(&q, tx->me)[i], is, &buried);
	}
	if (buried)
		return;
	val = shmipc_cells_want(&q, tx->me);
	if (shmipc_cells_find(tx) == SHMIPC_CELLS_NONE)
		model_futex_wait_deaths(bell, val, mortals, deaths);
}

static void produce(uint32_t me, uint64_t from, uint64_t to)
{
	struct shmipc_cells_tx tx;
	uint32_t cell, filled = 0;
	uint64_t i;

	shmipc_cells_tx_init(&tx, &q, me);
	tx.backed = q.depth;
	for (i = from; i < to; i++) {
		while ((cell = shmipc_cells_find(&tx)) == SHMIPC_CELLS_NONE)
			wait_for_cell(&tx);
		shmipc_payload_write(shmipc_cells_at(&q, me, cell), &i, sizeof(i));
		shmipc_cells_fill(&tx, cell, sizeof(i), level_of[i]);
		if (++filled < push_batch)
			continue;
		shmipc_cells_push(&tx, level_of[i]);
		pushed[me] = i + 1;
		wake(filled);
		filled = 0;
	}
}

static void consume(void *arg);

static void producer(void *arg)
{
	produce((uint32_t)(intptr_t)arg, 0, items);
}

/* The next one in the slot of the first, which has ended: what it had not pushed is free. */
static void next_producer(void *arg)
{
	uint32_t i, n = 0;
	uint64_t had;

	(void)arg;
	model_join(th_producer[0]);
	had = shmipc_load_relaxed(&q.tails[0].tail[0]);
	model_check(had >= pushed[0] && had <= items, "%llu were pushed", (unsigned long long)had);
	produce(0, had, items + 1);
	for (i = 0; i < q.depth; i++)
		n += shmipc_cells_state(shmipc_load_relaxed(&shmipc_cells_words(&q, 0)[i])) ==
		     SHMIPC_QUEUE_READY;
	model_check(n == items + 1, "%u items", n);
	/* All of them come, in order. */
	quota[0] = items + 1;
	consume((void *)0);
}

/* Consumers */

static void notice(struct consumer *c)
{
	int deaths = model_deaths(mortals);

	if (deaths == c->deaths)
		return;
	c->deaths = deaths;
	join_dead();
	c->rx.due = true;
}

static void check_item(struct consumer *c, const struct shmipc_queue_item *it, uint64_t i)
{
	int *last = &c->last[it->from][it->level], who;

	model_check(it->bytes == sizeof(i) && i < ITEMS, "item %llu of %u bytes",
		    (unsigned long long)i, it->bytes);
	model_check(!done[it->from][i], "item %llu was done", (unsigned long long)i);
	who = holder[it->from][i];
	model_check(!who || model_state(who) == MODEL_DIED, "item %llu: another has it",
		    (unsigned long long)i);
	model_check((int)it->deliveries > handed[it->from][i], "item %llu: %u deliveries after %d",
		    (unsigned long long)i, it->deliveries, handed[it->from][i]);
	handed[it->from][i] = (int)it->deliveries;
	model_check(it->deliveries == 1 || q.acked, "item %llu was handed out again",
		    (unsigned long long)i);
	/* New ones in order; and none that is older than one that came again. */
	model_check(it->deliveries > 1 || (int)i >= *last, "item %llu after %d",
		    (unsigned long long)i, *last - 1);
	if ((int)i >= *last)
		*last = (int)i + 1;
}

static void sleep_on_bell(struct consumer *c)
{
	const __u64 *bell = &q.line[c->rx.me].bell;
	uint32_t val;
	int deaths;

	val = shmipc_cells_sleep(&q, c->rx.me);
	model_barrier_heavy();
	deaths = model_deaths(mortals);
	notice(c);
	if (!shmipc_cells_any(&c->rx))
		model_futex_wait_deaths(bell, val, mortals, deaths);
	(void)shmipc_cells_clear(&q, c->rx.me);
}

static void finish_item(struct consumer *c, const struct shmipc_queue_item *it, uint64_t i)
{
	holder[it->from][i] = 0;
	if (nacks && c == &consumer[0] && it->deliveries == 1) {
		model_check(shmipc_cells_return(&c->rx, it->from, it->cell, it->word), "not ours");
		wake(1);
		return;
	}
	model_check(shmipc_cells_free(&q, it->from, it->cell, it->word), "item %llu is not ours",
		    (unsigned long long)i);
	done[it->from][i] = 1;
	freed(c, it->from);
}

static void consume(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];
	struct shmipc_queue_item it[2];
	uint64_t i[2], n = 0;
	uint32_t got, k;

	if (asleep) {
		model_futex_wait_deaths(&q.line[c->rx.me].bell, 0, mortals, 0);
		(void)shmipc_cells_clear(&q, c->rx.me);
	}
	while (n < quota[c->rx.me]) {
		notice(c);
		got = shmipc_cells_pop(&c->rx, it, batch);
		for (k = 0; k < got; k++) {
			shmipc_payload_read(&i[k], it[k].data, sizeof(i[k]));
			check_item(c, &it[k], i[k]);
			holder[it[k].from][i[k]] = model_self();
		}
		for (k = 0; k < got; k++)
			finish_item(c, &it[k], i[k]);
		n += got;
		if (!got)
			sleep_on_bell(c);
	}
}

/* Its deadline passes as soon as it sleeps. */
static void give_up(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];
	struct shmipc_queue_item it;
	uint64_t i;

	shmipc_cells_sleep(&q, c->rx.me);
	model_barrier_heavy();
	(void)shmipc_cells_any(&c->rx);
	(void)shmipc_cells_clear(&q, c->rx.me);
	if (!shmipc_cells_pop(&c->rx, &it, 1))
		return;
	shmipc_payload_read(&i, it.data, sizeof(i));
	check_item(c, &it, i);
	finish_item(c, &it, i);
}

/* Tests */

static void reset(uint64_t n)
{
	uint32_t i, p;

	memset(&mem.bytes[SHMIPC_CTL_PAGE], 0, sizeof(mem) - SHMIPC_CTL_PAGE);
	memset(done, 0, sizeof(done));
	memset(handed, 0, sizeof(handed));
	memset(holder, 0, sizeof(holder));
	memset(pushed, 0, sizeof(pushed));
	memset(th_producer, 0, sizeof(th_producer));
	memset(th_consumer, 0, sizeof(th_consumer));
	memset(consumer, 0, sizeof(consumer));
	memset(level_of, 0, sizeof(level_of));
	q.ctl->producers = PRODUCERS;
	q.ctl->consumers = CONSUMERS;
	producers = consumers = nacks = asleep = 0;
	mortals = 0;
	items = n;
	batch = push_batch = 1;
	for (i = 0; i < CONSUMERS; i++) {
		struct consumer *c = &consumer[i];

		for (p = 0; p < PRODUCERS; p++)
			c->backed[p] = DEPTH_MOST + 2;
		c->rx = (struct shmipc_cells_rx){
			.q = &q, .me = i, .who = shmipc_cells_who(i, 1), .tail = c->tail,
			.backed = c->backed, .see = see, .gone = gone, .freed = freed, .arg = c,
		};
	}
}

static void add_producer(void (*fn)(void *), uint32_t me, int mortal)
{
	th_producer[producers] = model_spawn("producer", fn, (void *)(intptr_t)me, mortal);
	mortals |= (unsigned)mortal << th_producer[producers++];
}

static void add_consumer(uint64_t n, int mortal)
{
	quota[consumers] = n;
	if (asleep)
		(void)shmipc_cells_sleep(&q, (uint32_t)consumers);
	th_consumer[consumers] = model_spawn("consumer", consume, (void *)(intptr_t)consumers, mortal);
	mortals |= (unsigned)mortal << th_consumer[consumers++];
}

static void one(void)
{
	reset(1);
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
}

static void again_and_again(void)
{
	reset(model_deep ? 3 : 2);
	add_consumer(items, 0);
	add_producer(producer, 0, 0);
}

static void in_batches(void)
{
	reset(2);
	batch = push_batch = 2;
	add_consumer(items, 0);
	add_producer(producer, 0, 0);
}

static void two_sleepers(void)
{
	reset(2);
	asleep = 1;
	push_batch = model_deep ? 1 : 2;
	add_consumer(1, 0);
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
}

static void two_producers(void)
{
	reset(1);
	add_consumer(2, 0);
	add_producer(producer, 0, 0);
	add_producer(producer, 1, 0);
}

static void two_levels(void)
{
	reset(2);
	level_of[1] = 1;
	add_consumer(items, 0);
	add_producer(producer, 0, 0);
}

/* Items are there before the consumers come, which take them side by side. */
static void side_by_side(uint64_t n, uint32_t most)
{
	reset(n);
	produce(0, 0, n);
	batch = most;
}

static void race(void)
{
	side_by_side(2, 1);
	add_consumer(1, 0);
	add_consumer(1, 0);
}

static void race_in_batches(void)
{
	side_by_side(2, 2);
	add_consumer(1, 0);
	add_consumer(1, 0);
}

static void given_back(void)
{
	side_by_side(1, 1);
	nacks = 1;
	add_consumer(1, 0);
	add_consumer(1, 0);
}

static void consumer_dies(void)
{
	side_by_side(2, 1);
	add_consumer(2, 1);
	add_consumer(2, 0);
}

static void sleeper_dies(void)
{
	reset(1);
	asleep = 1;
	add_consumer(1, 1);
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
}

/* If the wake was for the one that gives up, it takes the item; the other sleeps for the rest. */
static void one_gives_up(void)
{
	reset(1);
	asleep = 1;
	th_consumer[consumers++] = model_spawn("consumer", give_up, (void *)0, 0);
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
}

static void helper_dies(void)
{
	side_by_side(1, 1);
	add_consumer(1, 1);
	add_consumer(1, 1);
	add_consumer(1, 0);
}

static void consumer_dies_in_a_batch(void)
{
	side_by_side(2, 2);
	add_consumer(2, 1);
	add_consumer(2, 0);
}

static void giver_dies(void)
{
	side_by_side(1, 1);
	nacks = 1;
	add_consumer(1, 1);
	add_consumer(1, 0);
}

static void producer_dies(void)
{
	reset(1);
	add_consumer(1, 0);
	add_producer(producer, 0, 1);
}

static void producer_is_replaced(void)
{
	reset(1);
	add_producer(producer, 0, 1);
	add_producer(next_producer, 0, 0);
}

static void waits_for_the_dead(void)
{
	reset(2);
	add_consumer(1, 1);
	add_producer(producer, 0, 0);
}

/* How many were pushed, the dead producer's last one included. */
static uint64_t in_it(uint32_t p)
{
	return shmipc_load_relaxed(&q.tails[p].tail[0]) +
	       (q.levels > 1 ? shmipc_load_relaxed(&q.tails[p].tail[1]) : 0);
}

/* All that was pushed is done, or lost, and every cell is free. */
static void nothing_left(void)
{
	uint64_t lost = shmipc_load_relaxed(&q.ctl->lost), n = 0, i, is;
	uint32_t p, c;

	for (p = 0; p < PRODUCERS; p++) {
		for (i = 0; i < in_it(p); i++)
			n += !done[p][i];
		for (c = 0; c < q.depth; c++) {
			is = shmipc_load_relaxed(&shmipc_cells_words(&q, p)[c]);
			/* But for one that was not pushed completely. */
			model_check(!is || is == shmipc_cells_ready(0, in_it(p)),
				    "cell %u of producer %u is %#llx", c, p, (unsigned long long)is);
		}
	}
	model_check(q.acked ? !n && !lost : n <= lost + 1, "%llu are not done, %llu lost",
		    (unsigned long long)n, (unsigned long long)lost);
}

static void all_ended(void)
{
	int i;

	for (i = 0; i < consumers; i++)
		model_check(model_state(th_consumer[i]) == MODEL_RETURNED, "consumer %d sleeps", i);
	for (i = 0; i < producers; i++)
		model_check(model_state(th_producer[i]) == MODEL_RETURNED, "producer %d sleeps", i);
	nothing_left();
}

/* One that has its quota would leave items to the others: here they take all. */
static void producers_ended(void)
{
	int i;

	for (i = 0; i < producers; i++)
		model_check(model_state(th_producer[i]) != MODEL_ASLEEP, "producer %d sleeps", i);
}

static void done_whoever_died(void)
{
	producers_ended();
	nothing_left();
}

/* The only consumer has died, or has its quota: what is there waits for the next one. */
static void producer_goes_on(void)
{
	uint32_t ready = shmipc_cells_state(shmipc_load_relaxed(&shmipc_cells_words(&q, 0)[0]));

	/* Killed before it has taken the first one. */
	if (model_state(th_producer[0]) == MODEL_ASLEEP && !done[0][0]) {
		model_check(in_it(0) == 1 && ready == SHMIPC_QUEUE_READY, "it sleeps in state %u", ready);
		return;
	}
	producers_ended();
	model_check(in_it(0) == 2, "%llu were pushed", (unsigned long long)in_it(0));
	model_check(ready == SHMIPC_QUEUE_READY, "state %u", ready);
	model_check(done[0][0] || shmipc_load_relaxed(&q.ctl->lost), "the first one");
}

int main(int argc, char **argv)
{
	static const struct model_test tests[] = {
		{ "one item for a sleeper", setup, one, all_ended, 0 },
		{ "a producer waits for cells", setup_narrow, again_and_again, all_ended, 0 },
		{ "batches", setup, in_batches, all_ended, 0 },
		{ "two sleepers, and an item for each", setup, two_sleepers, all_ended, 0 },
		{ "two producers", setup, two_producers, all_ended, 0 },
		{ "two levels", setup_levels, two_levels, all_ended, 0 },
		{ "two consumers side by side", setup, race, all_ended, 0 },
		{ "two batches side by side", setup, race_in_batches, done_whoever_died, 0 },
		{ "an item is given back", setup, given_back, done_whoever_died, 0 },
		{ "a consumer dies at any step", setup, consumer_dies, done_whoever_died, 1 },
		{ "one that was woken dies at any step", setup, sleeper_dies, done_whoever_died, 1 },
		{ "one that sleeps gives up", setup, one_gives_up, done_whoever_died, 0 },
		{ "one that helps dies, too", setup, helper_dies, done_whoever_died, 2 },
		{ "a consumer dies in a batch", setup, consumer_dies_in_a_batch, done_whoever_died, 1 },
		{ "one that gives back dies at any step", setup, giver_dies, done_whoever_died, 1 },
		{ "a producer dies at any step", setup, producer_dies, done_whoever_died, 1 },
		{ "a dead producer is replaced", setup, producer_is_replaced, done_whoever_died, 1 },
		{ "at most once: a producer waits for the dead", setup_once, waits_for_the_dead,
		  producer_goes_on, 1 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "shmipc_cells_clear", MODEL_CAS, "what it has seen of others it needs not", 1 },
		{ "shmipc_cells_ring", MODEL_FETCH_ADD, "the fence of the sleeper is stronger", 0 },
		{ "shmipc_cells_answer", MODEL_FETCH_ADD, "the fences on both sides are stronger", 0 },
		{ "shmipc_cells_answer", MODEL_EXCHANGE, "the fences on both sides are stronger", 0 },
		{ "shmipc_cells_tell", MODEL_FETCH_ADD, "nothing of those before it is read", 1 },
		{ "shmipc_cells_free", MODEL_CAS, "its consumer has read the word before", 1 },
		{ "shmipc_cells_bury", MODEL_CAS, "it goes on with what the CAS that took the item released", 0 },
		{ "shmipc_cells_pass", MODEL_CAS, "the head is all that it reads", 1 },
		{ "shmipc_cells_take_again", MODEL_CAS, "ctl.returned, or the death, orders it", 0 },
		{ "shmipc_cells_take_at", MODEL_CAS, "the tail orders it; it is released when it is given back", 0 },
		{ "shmipc_cells_sleep", MODEL_FETCH_OR, "the fence that follows is stronger", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "queue/queue_cells.h", excepts);
}
