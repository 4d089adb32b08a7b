// SPDX-License-Identifier: MIT
/*
 * on_shape.c - killed while it supersedes a provisional topic, or moves to its successor
 *
 * The checker has a subscriber without options, so the topic is provisional when the
 * victim starts. After the victim's death, the next end gets a topic that works: a
 * publisher that asks for the same or for something else, a new subscriber, or only the
 * existing subscribers. They get all that is published from then on, and what the victim
 * had published if they waited for it.
 */
#include <pthread.h>

#include <shmipc/topic.h>

#include "crash.h"
#include "topic/topic.h"

#define TOPIC		"crash/shape"
#define SOON		shmipc_deadline_in(UINT64_C(5000000000))
#define MINE		100000u			/* numbers of the victim's messages begin here */
#define LATER		30u

static struct shmipc_pub *pub;
static struct shmipc_sub *sub, *sub2;

/* No field has its default; @pool distinguishes the requests. */
static struct shmipc_topic_opts asked(uint64_t pool)
{
	return (struct shmipc_topic_opts){
		.struct_bytes = sizeof(struct shmipc_topic_opts), .publishers = 3, .subscribers = 4,
		.history = 40, .inline_bytes = 104, .pool_bytes = pool, .page = SHMIPC_PAGE_4K,
	};
}

static struct shmipc_pub *open_pub(const struct shmipc_topic_opts *t)
{
	struct shmipc_pub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_pub *p = NULL;
	int ret = shmipc_pub_open(&p, TOPIC, t, &o);

	must(!ret, "publish: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	return p;
}

static struct shmipc_pub *open_pub_of(uint64_t pool)
{
	struct shmipc_topic_opts t = asked(pool);

	return open_pub(&t);
}

static struct shmipc_sub *open_sub(uint32_t policy)
{
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER,
				     .policy = policy };
	struct shmipc_sub *s = NULL;
	int ret = shmipc_sub_open(&s, TOPIC, NULL, &o);

	must(!ret, "subscribe: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	return s;
}

static void put(struct shmipc_pub *p, uint64_t n)
{
	int ret = shmipc_pub_send(p, &n, sizeof(n), SOON);

	must(!ret, "publish message %llu: %s", (unsigned long long)n, shmipc_error_name(ret));
}

/* The next number, or 0 if there is none until the deadline. */
static uint64_t get(struct shmipc_sub *s, uint64_t deadline_ns)
{
	uint64_t n = 0;
	size_t len = 0;
	int ret = shmipc_sub_recv(s, &n, sizeof(n), &len, deadline_ns);

	must(!ret || ret == -EAGAIN || ret == -ETIMEDOUT, "receive: %s; %s", shmipc_error_name(ret),
	     shmipc_error_text());
	must(ret || (len == sizeof(n) && n), "a message of %zu bytes, number %llu", len,
	     (unsigned long long)n);
	return ret ? 0 : n;
}

static uint64_t pool_now(void)
{
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st) };
	int ret = shmipc_topic_look(TOPIC, &st);

	must(!ret, "look: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	must(!st.provisional, "it is provisional, but has a publisher");
	return st.opts.pool_bytes;
}

/* All ends are in one topic, and it works; then the name is free. */
static void go_on(uint64_t pool)
{
	uint64_t n;

	must(!pool || pool_now() == pool, "pool of %llu, requested %llu",
	     (unsigned long long)pool_now(), (unsigned long long)pool);
	for (n = 1; n <= LATER; n++) {
		put(pub, n);
		must(get(sub, SOON) == n, "message %llu did not arrive", (unsigned long long)n);
		must(!sub2 || get(sub2, SOON) == n, "message %llu did not arrive at the second one",
		     (unsigned long long)n);
	}
	must(!get(sub, 0), "one too many");
	shmipc_pub_close(pub);
	pub = open_pub(NULL);		/* the slot of the victim, or the next one */
	put(pub, n);
	must(get(sub, SOON) == n, "the message of the next publisher did not arrive");
	shmipc_sub_close(sub2);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* Receive what the victim published: all that it had done, perhaps one more. */
static void take_the_victims(uint64_t came)
{
	uint64_t n = came;

	while (n < board->done && get(sub, SOON) == MINE + n)
		n++;
	must(n >= board->done, "message %llu of the victim did not arrive", (unsigned long long)n);
	if (n < board->begun && get(sub, 0) == MINE + n)
		n++;
	must(n <= board->begun && !get(sub, 0), "one too many");
}

static void prepare(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS);
}

/* As if another end had superseded it and been killed at once. */
static void supersede_only(struct shmipc_sub *s)
{
	shmipc_store_release(&s->rx.pub->shape, (__u64)SHMIPC_SHAPE_SUPERSEDED);
}

/* The shape of the topic that @s is in. */
static uint64_t shape_of(const struct shmipc_sub *s)
{
	return shmipc_load_acquire(&s->rx.pub->shape);
}

static void prepare_superseded(void)
{
	prepare();
	supersede_only(sub);
}

/* The victim publishes */

static void setup_nothing(void)
{
}

static void publish(const struct shmipc_topic_opts *t)
{
	uint64_t n = MINE;

	pub = open_pub(t);
	for (; n < MINE + 3; n++) {
		shmipc_store_release(&board->begun, board->done + 1);
		put(pub, n);
		shmipc_store_release(&board->done, board->done + 1);
	}
}

static void run_supersede(void)
{
	struct shmipc_topic_opts t = asked(1u << 16);

	publish(&t);
}

static void run_final(void)
{
	publish(NULL);
}

/*
 * If the subscriber has not moved, the topic that the victim created ends with it, and
 * the next publisher may ask for anything.
 */
static void check_other(void)
{
	await_death();
	pub = open_pub_of(1u << 17);
	go_on(1u << 17);
}

static void check_same(void)
{
	await_death();
	pub = open_pub_of(1u << 16);
	go_on(1u << 16);
}

static void check_sub_comes(void)
{
	await_death();
	sub2 = open_sub(SHMIPC_POLICY_LOSSY);
	pub = open_pub_of(1u << 17);
	go_on(1u << 17);
}

/* The subscriber creates the new topic itself if necessary. */
static void check_alone(void)
{
	uint64_t until_ns;

	await_death();
	until_ns = SOON;
	must(!get(sub, 0), "a message that is not kept");
	while (shape_of(sub) == SHMIPC_SHAPE_SUPERSEDED && shmipc_now_ns() < until_ns)
		must(!get(sub, shmipc_deadline_in(2000000)), "a message that is not kept");
	must(shape_of(sub) != SHMIPC_SHAPE_SUPERSEDED, "it waits forever");
	pub = open_pub(NULL);
	go_on(0);
}

/* The segment is kept: no message of the victim is lost. */
static void check_final(void)
{
	await_death();
	take_the_victims(0);
	pub = open_pub(NULL);
	go_on(0);
}

static void *publish_next(void *arg)
{
	uint64_t n;

	await_death();
	pub = open_pub(arg);
	for (n = 1; n <= LATER; n++)
		put(pub, n);
	return NULL;
}

/*
 * The subscriber sleeps: it is woken by the victim, which waits for it before it
 * publishes, or by the next publisher.
 */
static void stay_asleep(struct shmipc_topic_opts *of_the_next)
{
	uint64_t n, came = 0;
	pthread_t next;

	must(!pthread_create(&next, NULL, publish_next, of_the_next), "no thread");
	while ((n = get(sub, SHMIPC_FOREVER)) == MINE + came)
		came++;
	must(came >= board->done && came <= board->begun, "%llu of the %llu that it published arrived",
	     (unsigned long long)came, (unsigned long long)board->done);
	must(n == 1, "message %llu is the next", (unsigned long long)n);
	for (n = 2; n <= LATER; n++)
		must(get(sub, SOON) == n, "message %llu did not arrive", (unsigned long long)n);
	must(!pthread_join(next, NULL), "no end");
	go_on(0);
}

static void check_asleep(void)
{
	struct shmipc_topic_opts t = asked(1u << 16);

	stay_asleep(&t);
}

static void check_final_asleep(void)
{
	stay_asleep(NULL);
}

/* The victim subscribes, and moves */

static void supersede(void)
{
	uint64_t n;

	while (!shmipc_load_acquire(&board->entered))
		must(!shmipc_load_acquire(&board->dead), "the victim ended during its setup");
	pub = open_pub_of(1u << 16);
	for (n = MINE; n < MINE + 4; n++) {
		put(pub, n);
		must(get(sub, SOON) == n, "message %llu did not arrive", (unsigned long long)n);
	}
	shmipc_store_release(&board->ready, 1u);
}

/* The victim has attached to the provisional topic, which the checker supersedes. */
static void setup_move(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS);
	shmipc_store_release(&board->entered, 1u);
	while (!shmipc_load_acquire(&board->ready))
		continue;
}

static void run_move(void)
{
	uint64_t n;

	for (n = MINE; n < MINE + 4; n++)
		must(get(sub, 0) == n, "message %llu did not arrive", (unsigned long long)n);
}

static void check_move(void)
{
	supersede();
	await_death();
	go_on(1u << 16);
}

/* No other end has created the new topic, and the victim has waited long enough. */
static void setup_make(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS);
	supersede_only(sub);
	must(!get(sub, 0), "a message in a superseded topic");
	sub_priv(sub)->moving_ns -= TOPIC_PATIENCE_NS;
	board->entered = 1;
}

static void run_make(void)
{
	must(!get(sub, 0), "a message that was not sent");
	must(shape_of(sub) != SHMIPC_SHAPE_SUPERSEDED, "it has not created the new topic");
}

static void setup_provisional(void)
{
	sub = open_sub(SHMIPC_POLICY_LOSSLESS);
	board->entered = 1;
}

static void run_sleep(void)
{
	(void)get(sub, SHMIPC_FOREVER);
}

const struct scenario shape_scenarios[] = {
	{ "shape-supersede-same", SAMPLE, prepare, setup_nothing, run_supersede, NULL, check_same },
	{ "shape-supersede-other", SAMPLE, prepare, setup_nothing, run_supersede, NULL, check_other },
	{ "shape-supersede-sub", SAMPLE, prepare, setup_nothing, run_supersede, NULL, check_sub_comes },
	{ "shape-supersede-alone", SAMPLE, prepare, setup_nothing, run_supersede, NULL, check_alone },
	/* In an emulated machine the traced victim is slower than subscribers are patient. */
	{ "shape-supersede-wakes", SAMPLE | ASLEEP | MEM, prepare, setup_nothing, run_supersede, NULL, check_asleep },
	{ "shape-final", SAMPLE, prepare, setup_nothing, run_final, NULL, check_final },
	{ "shape-final-wakes", SAMPLE | ASLEEP, prepare, setup_nothing, run_final, NULL, check_final_asleep },
	{ "shape-help", SAMPLE | MEM, prepare_superseded, setup_nothing, run_supersede, NULL, check_other },
	{ "shape-move", SAMPLE, prepare, setup_move, run_move, NULL, check_move },
	{ "shape-make", SAMPLE | MEM, prepare, setup_make, run_make, NULL, check_other },
	{ "shape-asleep", BLOCKS, prepare, setup_provisional, run_sleep, NULL, check_same },
	{ 0 }
};
