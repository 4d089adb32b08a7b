// SPDX-License-Identifier: MIT
/*
 * model_queue.c - work queues: each item is done, although ends die; none sleeps beside one
 *
 * The library's own lib/queue: cells, both sides, waiting and waking; the rest is in
 * model_queue.h. One or two producers, and up to three consumers, which read each item, and
 * are then done with it. Both sides may die at any step. There are no clocks: a lost wake is
 * a sleep without end. What an item holds is plain memory, so a consumer beside a producer
 * that uses the place again is a data race.
 */
#include "model_queue.h"

#define ITEMS		4u

static int producers, consumers;

/* What a test does; set before the threads are spawned. */
static uint64_t items;			/* of each producer */
static uint64_t quota[CONSUMERS];	/* items that a consumer takes before it ends */
static uint32_t batch, push_batch;	/* of consumers, of producers */
static int asleep;			/* consumers sleep from the beginning: the search is shorter */
static int nacks;			/* the first consumer gives its first item back */
static uint32_t level_of[ITEMS];

/* What has happened */
static int handed[PRODUCERS][ITEMS];
static int done[PRODUCERS][ITEMS];	/* the thread that did it; it may die while it says so */
static int holder[PRODUCERS][ITEMS];	/* thread */
static uint64_t pushed[PRODUCERS];

static struct shmipc_push *push[PRODUCERS];

static struct consumer {
	struct shmipc_pop *c;
	uint64_t head;			/* of the first producer: as last seen */
	int last[PRODUCERS][2];		/* of each level: the item that came last, less 1 */
} consumer[CONSUMERS];

/* Producers */

/* No look now and then helps them. */
static void open_push(uint32_t me)
{
	shmipc_push_close(push[me]);
	push[me] = NULL;
	slot_to_take = me;
	if (shmipc_push_open(&push[me], "", NULL, NULL))
		model_fail("open");
	push[me]->tick = SHMIPC_TICK_NONE;
}

static void produce(uint32_t me, uint64_t from, uint64_t to, uint64_t deadline_ns)
{
	struct shmipc_push *p = push[me];
	struct shmipc_buf v[ITEMS];
	uint64_t i, what[ITEMS];
	uint32_t n, done_n;

	for (i = from; i < to; i += n) {
		for (n = 0; n < push_batch && i + n < to; n++) {
			what[n] = i + n;
			v[n] = (struct shmipc_buf){ &what[n], sizeof(what[n]) };
		}
		if (n > 1)
			(void)shmipc_push_items(p, v, n, level_of[i], &done_n, deadline_ns);
		else if (shmipc_push_item(p, &what[0], sizeof(what[0]), level_of[i], deadline_ns))
			return;
		pushed[me] = i + n;
	}
}

static void consume(void *arg);

static void producer(void *arg)
{
	produce((uint32_t)(intptr_t)arg, 0, items, SHMIPC_FOREVER);
}

/* It opens its end while the others run. */
static void new_producer(void *arg)
{
	open_push((uint32_t)(intptr_t)arg);
	producer(arg);
}

/* The second item of the first producer, if there is a place now. */
static void tries_to_push(void *arg)
{
	(void)arg;
	if (shmipc_cells_find(&push[0]->tx) != SHMIPC_CELLS_NONE)
		produce(0, 1, 2, 0);
}

/* The next one in the slot of the first, which has ended: what it had not pushed is free. */
static void next_producer(void *arg)
{
	uint32_t i, n = 0;
	uint64_t had;

	(void)arg;
	model_join(thread_of[0]);
	had = shmipc_load_relaxed(&q.tails[0].tail[0]);
	model_check(had >= pushed[0] && had <= items, "%llu were pushed", (unsigned long long)had);
	open_push(0);
	produce(0, had, items + 1, SHMIPC_FOREVER);
	for (i = 0; i < q.depth; i++)
		n += shmipc_cells_state(shmipc_load_relaxed(&shmipc_cells_words(&q, 0)[i])) ==
		     SHMIPC_QUEUE_READY;
	model_check(n == items + 1, "%u items", n);
	/* All of them come, in order. */
	quota[0] = items + 1;
	consume((void *)0);
}

/* Consumers */

static void check_item(struct consumer *c, const struct shmipc_queue_item *it, uint64_t i)
{
	int *last = &c->last[it->from][it->level], who;

	model_check(it->bytes == sizeof(i) && i < ITEMS, "item %llu of %u bytes",
		    (unsigned long long)i, it->bytes);
	who = done[it->from][i];
	model_check(!who || model_state(who) == MODEL_DIED, "item %llu was done", (unsigned long long)i);
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

static void finish_items(struct consumer *c, const struct shmipc_queue_item *it, const uint64_t *i,
			 uint32_t n)
{
	uint32_t k;

	for (k = 0; k < n; k++)
		holder[it[k].from][i[k]] = 0;
	if (nacks && c == &consumer[0] && it->deliveries == 1) {
		model_check(!shmipc_pop_nack(c->c, it, n), "not ours");
		return;
	}
	for (k = 0; k < n; k++)
		done[it[k].from][i[k]] = model_self();
	model_check(!shmipc_pop_ack(c->c, it, n), "not ours");
}

/* Pop, read, and be done. How many; none if the deadline has passed. */
static uint32_t take(struct consumer *c, uint64_t deadline_ns)
{
	struct shmipc_queue_item it[2];
	uint64_t i[2];
	uint32_t k, n;

	if (shmipc_pop_items(c->c, it, batch, &n, deadline_ns))
		return 0;
	for (k = 0; k < n; k++) {
		shmipc_payload_read(&i[k], it[k].data, sizeof(i[k]));
		check_item(c, &it[k], i[k]);
		holder[it[k].from][i[k]] = model_self();
	}
	finish_items(c, it, i, n);
	return n;
}

static void consume(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];
	uint64_t n = 0;

	if (asleep) {
		model_futex_wait_deaths(&q.line[c->c->rx.me].bell, 0, mortals, 0);
		(void)shmipc_cells_clear(&q, c->c->rx.me);
	}
	while (n < quota[c->c->rx.me])
		n += take(c, SHMIPC_FOREVER);
}

static void open_pop(uint32_t me)
{
	struct consumer *c = &consumer[me];
	struct shmipc_pop *old = c->c;

	if (old)
		old->live = 0;	/* what it has is of an execution that is over */
	shmipc_pop_close(old);
	memset(c, 0, sizeof(*c));
	slot_to_take = PRODUCERS + me;
	if (shmipc_pop_open(&c->c, "", NULL, NULL))
		model_fail("open");
	c->c->tick = SHMIPC_TICK_NONE;
	c->c->rx.due = false;	/* nothing is older than it */
}

/* It opens its end while the others run: what was there before is found by looking at all words. */
static void new_consumer(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];

	open_pop((uint32_t)(intptr_t)arg);
	c->c->rx.due = true;
	consume(arg);
}

/* Its deadline passes as soon as it sleeps. */
static void give_up(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];

	shmipc_cells_sleep(&q, c->c->rx.me);
	model_barrier_heavy();
	(void)shmipc_cells_any(&c->c->rx);
	(void)shmipc_cells_clear(&q, c->c->rx.me);
	(void)take(c, 0);
}

/* A head that has moved on never goes back: it would be so if it seemed beyond the tail. */
static void see_head(struct consumer *c)
{
	uint64_t is = shmipc_load_relaxed(&q.state[0].head[0]);

	model_check((int64_t)(is - c->head) >= 0, "the head goes back from %llu to %llu", (unsigned long long)c->head,
		    (unsigned long long)is);
	c->head = is;
}

/* Looks once, and does not sleep. */
static void look_once(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];

	see_head(c);
	(void)shmipc_cells_any(&c->c->rx);
	see_head(c);
}

static void take_if_there(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];

	c->c->rx.due = true;
	(void)take(c, 0);
}

/* It knows of a death, and looks at all words. */
static void clean_up(void *arg)
{
	struct consumer *c = &consumer[(intptr_t)arg];

	c->c->gone.known = false;
	shmipc_cells_scan(&c->c->rx);
}

/* Tests */

static void reset(uint64_t n)
{
	memset(&mem.bytes[SHMIPC_CTL_PAGE], 0, sizeof(mem) - SHMIPC_CTL_PAGE);
	memset(slots, 0, sizeof(slots));
	memset(told, 0, sizeof(told));
	memset(done, 0, sizeof(done));
	memset(handed, 0, sizeof(handed));
	memset(holder, 0, sizeof(holder));
	memset(pushed, 0, sizeof(pushed));
	memset(thread_of, 0, sizeof(thread_of));
	memset(level_of, 0, sizeof(level_of));
	producers = consumers = nacks = asleep = 0;
	mortals = 0;
	items = n;
	batch = push_batch = 1;
}

static void start(const char *name, void (*fn)(void *), uint32_t slot, uint32_t me, int mortal)
{
	thread_of[slot] = model_spawn(name, fn, (void *)(intptr_t)me, mortal);
	mortals |= (unsigned)mortal << thread_of[slot];
}

static void add_producer(void (*fn)(void *), uint32_t me, int mortal)
{
	open_push(me);
	start("producer", fn, me, me, mortal);
	producers++;
}

static void add_popper(const char *name, void (*fn)(void *), uint64_t n, int mortal)
{
	uint32_t me = (uint32_t)consumers++;

	quota[me] = n;
	open_pop(me);
	if (asleep)
		(void)shmipc_cells_sleep(&q, me);
	start(name, fn, PRODUCERS + me, me, mortal);
}

static void add_consumer(uint64_t n, int mortal)
{
	add_popper("consumer", consume, n, mortal);
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
	asleep = !model_deep;
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
	open_push(0);
	produce(0, 0, n, 0);
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
	add_popper("gives up", give_up, 1, 0);
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
	open_pop(0);
	start("next", next_producer, 1, 0, 0);
	producers++;
}

static void waits_for_the_dead(void)
{
	reset(2);
	add_consumer(1, 1);
	add_producer(producer, 0, 0);
}

static void producer_comes(void)
{
	reset(1);
	add_consumer(1, 0);
	start("producer", new_producer, 0, 0, 0);
	producers++;
}

static void consumer_comes(void)
{
	reset(1);
	add_producer(producer, 0, 0);
	quota[0] = 1;
	start("consumer", new_consumer, PRODUCERS, 0, 0);
	consumers++;
}

/* Written by one that may do so: others go on. */
static void head_is_nonsense(void)
{
	side_by_side(2, 1);
	shmipc_store_relaxed(&q.state[0].head[0], UINT64_C(77));
	add_consumer(1, 0);
	add_consumer(1, 0);
}

static void words_are_nonsense(void)
{
	reset(1);
	asleep = 1;
	shmipc_store_relaxed(&shmipc_cells_words(&q, 0)[0], shmipc_cells_ready(0, 77));
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
}

/* Each of two consumers may receive both, none, or one of each. */
static void two_and_two(void)
{
	reset(1);
	asleep = 1;
	add_consumer(1, 0);
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
	add_producer(producer, 1, 0);
}

static void head_is_no_nonsense(void)
{
	reset(1);
	add_popper("looks", look_once, 0, 0);
	add_consumer(1, 0);
	add_producer(producer, 0, 0);
}

/* The place has been used again although the head was left where it was. */
static void head_is_moved_for_the_dead(void)
{
	reset(2);
	add_consumer(1, 1);
	add_popper("looks", look_once, 0, 0);
	add_producer(producer, 0, 0);
}

/* One reads it and gives it back, the next one frees the place, and it is written again. */
static void given_back_and_written(void)
{
	side_by_side(1, 1);
	nacks = 1;
	add_consumer(1, 0);
	add_popper("takes", take_if_there, 0, 0);
	start("producer", tries_to_push, 0, 0, 0);
	producers++;
}

/* The third one has it from the second, and knows nothing of the producer. */
static void given_back_and_read(void)
{
	reset(1);
	nacks = 1;
	asleep = 1;
	add_consumer(1, 0);
	asleep = 0;
	add_popper("takes", take_if_there, 0, 0);
	asleep = 1;
	add_producer(producer, 0, 0);
}

/* One reads it and dies; another gives it back, a third one frees the place. */
static void buried_and_written(void)
{
	side_by_side(1, 1);
	add_consumer(1, 1);
	add_popper("cleans up", clean_up, 0, 0);
	add_popper("takes", take_if_there, 0, 0);
	start("producer", tries_to_push, 0, 0, 0);
	producers++;
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
		model_check(model_state(thread_of[(int)PRODUCERS + i]) == MODEL_RETURNED,
			    "consumer %d sleeps", i);
	for (i = 0; i < producers; i++)
		model_check(model_state(thread_of[i]) == MODEL_RETURNED, "producer %d sleeps", i);
	nothing_left();
}

/* One that has its quota would leave items to the others: here they take all. */
static void producers_ended(void)
{
	int i;

	for (i = 0; i < producers; i++)
		model_check(model_state(thread_of[i]) != MODEL_ASLEEP, "producer %d sleeps", i);
}

/* The threads have checked what they saw. */
static void all_is_well(void)
{
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
	if (model_state(thread_of[0]) == MODEL_ASLEEP && !done[0][0]) {
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
		{ "one that helps dies, too", setup, helper_dies, done_whoever_died, 2, 1 },
		{ "a consumer dies in a batch", setup, consumer_dies_in_a_batch, done_whoever_died, 1 },
		{ "one that gives back dies at any step", setup, giver_dies, done_whoever_died, 1 },
		{ "a producer dies at any step", setup, producer_dies, done_whoever_died, 1 },
		{ "a dead producer is replaced", setup, producer_is_replaced, done_whoever_died, 1 },
		{ "at most once: a producer waits for the dead", setup_once, waits_for_the_dead,
		  producer_goes_on, 1 },
		{ "a producer comes", setup, producer_comes, all_ended, 0 },
		{ "a consumer comes", setup, consumer_comes, all_ended, 0 },
		{ "a head that is nonsense", setup, head_is_nonsense, all_ended, 0 },
		{ "a word that is nonsense", setup_narrow, words_are_nonsense, all_ended, 0 },
		{ "two producers and two consumers", setup, two_and_two, done_whoever_died, 0 },
		{ "a head that others have moved", setup, head_is_no_nonsense, all_is_well, 0 },
		{ "a head that a dead one has not moved", setup_once, head_is_moved_for_the_dead,
		  all_is_well, 1, 1 },
		{ "a place is written after it was given back", setup_narrow, given_back_and_written,
		  all_is_well, 0 },
		{ "an item is read after it was given back", setup, given_back_and_read, all_is_well, 0 },
		{ "a place is written after its consumer died", setup_narrow, buried_and_written,
		  all_is_well, 1 },
		{ "at most once: a place is written after its consumer died", setup_once,
		  buried_and_written, all_is_well, 1 },
		{ 0 },
	};
	static const struct model_except excepts[] = {
		{ "shmipc_cells_clear", MODEL_CAS, "what it has seen of others it needs not", 1 },
		{ "shmipc_cells_ring", MODEL_FETCH_ADD, "the fence of the sleeper is stronger", 0 },
		{ "shmipc_cells_answer", MODEL_FETCH_ADD, "the fences on both sides are stronger", 0 },
		{ "shmipc_cells_answer", MODEL_EXCHANGE, "the fences on both sides are stronger", 0 },
		{ "shmipc_cells_tell", MODEL_FETCH_ADD, "nothing of those before it is read", 1 },
		{ "shmipc_cells_free", MODEL_CAS, "its consumer has read the word before", 1 },
		{ "shmipc_cells_return", MODEL_CAS, "its consumer has read the word before", 1 },
		{ "shmipc_cells_bury", MODEL_CAS, "the kernel's word of the death orders it", 1 },
		{ "shmipc_cells_pass", MODEL_CAS, "the head is all that it reads", 1 },
		{ "shmipc_cells_take_again", MODEL_CAS, "it is released when it is given back, or free", 2 },
		{ "shmipc_cells_take_at", MODEL_CAS, "the tail orders it, and giving it back releases it", 0 },
		{ "shmipc_cells_sleep", MODEL_FETCH_OR, "the fence that follows is stronger", 0 },
		{ "shmipc_cells_join", MODEL_CAS, "what its end does later makes it visible", 0 },
		{ "shmipc_cells_tx_init", MODEL_CAS, "its own cells: the slot has come with all of them", 0 },
		{ "shmipc_cells_make_room", MODEL_CAS, "the head is all that it reads", 1 },
		{ "shmipc_cells_head", MODEL_CAS, "only of a head that is nonsense: it may seem so twice", 0 },
		{ "shmipc_cells_mend", MODEL_CAS, "only if a word or a head is nonsense", 0 },
		{ "shmipc_pop_notice", MODEL_FENCE_ACQUIRE, "the kernel's word of the death orders it", 0 },
		{ 0 },
	};

	return model_main(argc, argv, tests, "lib/queue/", excepts);
}
