// SPDX-License-Identifier: MIT
/*
 * on_huge.c - killed while a topic grows by blocks of 2 MiB
 *
 * The victim publishes one message that needs whole blocks, then a short one in whose
 * block it makes the next one ready, on a thread. After its death what it published is
 * there, the pool can be used completely, and no more is taken than the topic is large.
 */
#include <errno.h>
#include <string.h>

#include <shmipc/topic.h>

#include "crash.h"

#define TOPIC		"crash/huge"
#define POOL_BYTES	((uint64_t)12 << 20)
#define CHUNK		((size_t)128 << 10)
/* From chunk 1 on: a block lies in it, and the next chunk is the middle of one. */
#define LARGE		(38 * CHUNK)
#define SHORT		((size_t)100000)
#define SOON		shmipc_deadline_in(UINT64_C(5000000000))

static struct shmipc_pub *pub;
static struct shmipc_sub *sub;

static struct shmipc_pub *open_pub(void)
{
	struct shmipc_pub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_topic_opts t = { .struct_bytes = sizeof(t), .publishers = 4, .subscribers = 5,
				       .history = 8, .inline_bytes = 104, .pool_bytes = POOL_BYTES };
	struct shmipc_pub *p = NULL;
	int ret = shmipc_pub_open(&p, TOPIC, &t, &o);

	must(!ret, "publish: %s; %s", shmipc_error_name(ret), shmipc_error_text());
	return p;
}

static void prepare(void)
{
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .spin_ns = SHMIPC_SPIN_NEVER,
				     .policy = SHMIPC_POLICY_LOSSLESS };

	pub = open_pub();
	must(!shmipc_sub_open(&sub, TOPIC, NULL, &o), "subscribe: %s", shmipc_error_text());
}

static void setup(void)
{
	pub = open_pub();
	board->entered = 1;
}

/* What is in the message is not written: it would take most of the time. */
static void publish(size_t len)
{
	struct shmipc_loan l;

	must(!shmipc_pub_loan(pub, len, NULL, &l, 0), "no room");
	shmipc_store_release(&board->begun, board->done + 1);
	must(!shmipc_pub_publish(pub, &l, len, 0), "no room");
	shmipc_store_release(&board->done, board->done + 1);
}

static void run(void)
{
	publish(LARGE);
	publish(SHORT);
}

/* The length of the next message; 0: there is none. */
static size_t take(uint64_t deadline_ns)
{
	struct shmipc_msg m;
	size_t len;
	int ret = shmipc_sub_take(sub, &m, deadline_ns);

	must(!ret || ret == -EAGAIN || ret == -ETIMEDOUT, "receive: %s", shmipc_error_name(ret));
	if (ret)
		return 0;
	len = m.len;
	shmipc_sub_release(sub, &m);
	return len;
}

static void check(void)
{
	struct shmipc_segment_stat st = { .peer_cap = 0 };
	struct shmipc_topic_stat topic = { .struct_bytes = sizeof(topic) };
	static unsigned char buf[LARGE];
	uint64_t got = 0, i;
	size_t len;

	await_death();
	while ((len = take(0)) != 0) {
		must(len == (got ? SHORT : LARGE), "message %llu has %zu bytes", (unsigned long long)got, len);
		got++;
	}
	must(got >= board->done && got <= board->begun, "%llu arrived, %llu or %llu were published",
	     (unsigned long long)got, (unsigned long long)board->done, (unsigned long long)board->begun);
	for (i = 0; i < 4; i++) {
		must(!shmipc_pub_send(pub, buf, LARGE, SOON), "message %llu does not fit: %s",
		     (unsigned long long)i, shmipc_error_text());
		must(take(SOON) == LARGE, "message %llu did not arrive", (unsigned long long)i);
	}
	must(!shmipc_topic_look(TOPIC, &topic), "look: %s", shmipc_error_text());
	must(!topic.chunks_owned && !topic.chunks_held, "%u chunks are owned, %u held",
	     topic.chunks_owned, topic.chunks_held);
	must(!shmipc_segment_look(TOPIC, &st), "look: %s", shmipc_error_text());
	must(st.info.memory_bytes <= st.info.total_bytes, "%llu bytes are taken, it has %llu",
	     (unsigned long long)st.info.memory_bytes, (unsigned long long)st.info.total_bytes);
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	must(!count_names(), "%u names exist after the last close", count_names());
}

const struct scenario huge_scenarios[] = {
	{ "huge-grow", SAMPLE, prepare, setup, run, NULL, check },
	{ 0 }
};
