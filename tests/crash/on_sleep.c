// SPDX-License-Identifier: MIT
/*
 * on_sleep.c - killed while it goes to sleep, sleeps, or wakes
 *
 * The victim has asked to be woken, and is dead: the other side continues and is told;
 * the next process sleeps and is woken as usual.
 */
#include <errno.h>
#include <string.h>

#include "crash.h"

#define SHORT_NS	2000000u

static void prepare_producer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, true, 0);
}

static void prepare_bcast(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_PRODUCER, true, 0);
}

static void prepare_consumer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, true, 0);
}

static void setup_consumer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	board->entered = 1;
}

static void setup_reader(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, 0);
	board->entered = 1;
}

/* Fill the ring, so that the next message has to wait. */
static void setup_producer(void)
{
	unsigned char buf[MSG_MAX];
	uint64_t seq = 0;

	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, false, 0);
	while (!shmipc_channel_send(mine, buf, message_fill(buf, seq), 0))
		seq++;
	board->begun = board->done = seq;
	board->entered = 1;
}

static void recv_until(uint64_t deadline_ns)
{
	unsigned char buf[MSG_MAX];
	size_t len;
	int ret = shmipc_channel_recv(mine, buf, sizeof(buf), &len, deadline_ns);

	must(ret == -ETIMEDOUT, "receive from an empty ring: %s", shmipc_error_name(ret));
}

static void send_until(uint64_t deadline_ns)
{
	unsigned char buf[MSG_MAX];
	int ret = shmipc_channel_send(mine, buf, message_fill(buf, board->done), deadline_ns);

	must(ret == -ETIMEDOUT, "send to a full ring: %s", shmipc_error_name(ret));
}

static void run_recv(void)
{
	recv_until(shmipc_deadline_in(SHORT_NS));
}

static void run_recv_forever(void)
{
	recv_until(SHMIPC_FOREVER);
}

static void run_send(void)
{
	send_until(shmipc_deadline_in(SHORT_NS));
}

static void run_send_forever(void)
{
	send_until(SHMIPC_FOREVER);
}

static void run_drain_forever(void)
{
	(void)shmipc_channel_drain(mine, SHMIPC_FOREVER);
}

/* The consumer is dead; each message passes the position that it was waiting for. */
static void check_consumer(void)
{
	unsigned char buf[MSG_MAX];
	uint64_t next = 0;
	int ret;

	await_death();
	ret = shmipc_channel_send(mine, buf, message_fill(buf, 0), SHMIPC_FOREVER);
	must(ret == -EPIPE, "send to the killed consumer: %s", shmipc_error_name(ret));
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	send_next(mine);
	send_next(mine);
	drain(other, &next);
	must(next == 2, "%llu of 2 messages arrived", (unsigned long long)next);
	check_room(mine, other, &next);
	shmipc_channel_close(mine);
	must(drain_until_gone(other, &next), "a producer left, but no EPIPE was returned");
	shmipc_channel_close(other);
	must(!count_names(), "%u names exist after the last close", count_names());
}

static void check_reader(void)
{
	uint64_t next = 0;
	int i;

	await_death();
	other = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, 0);
	for (i = 0; i < 3; i++)
		send_next(mine);
	drain(other, &next);
	must(next == 3, "%llu of 3 messages arrived", (unsigned long long)next);
	shmipc_channel_close(mine);
	must(drain_until_gone(other, &next), "a producer left, but no EPIPE was returned");
	shmipc_channel_close(other);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* The producer died asleep on a full ring: all that it published arrives. */
static void check_producer(void)
{
	uint64_t next = 0;

	await_death();
	must(drain_until_gone(mine, &next), "a producer was attached, but no EPIPE was returned");
	must(next == board->done, "%llu of %llu messages arrived", (unsigned long long)next,
	     (unsigned long long)board->done);
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, false, 0);
	send_next(other);
	drain(mine, &next);
	check_room(other, mine, &next);
	shmipc_channel_close(other);
	must(drain_until_gone(mine, &next), "a producer left, but no EPIPE was returned");
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

const struct scenario sleep_scenarios[] = {
	{ "sleep-recv", SAMPLE, prepare_producer, setup_consumer, run_recv, NULL, check_consumer },
	{ "sleep-read", SAMPLE, prepare_bcast, setup_reader, run_recv, NULL, check_reader },
	{ "sleep-send", SAMPLE, prepare_consumer, setup_producer, run_send, NULL, check_producer },
	{ "asleep-recv", BLOCKS, prepare_producer, setup_consumer, run_recv_forever, NULL,
	  check_consumer },
	{ "asleep-read", BLOCKS, prepare_bcast, setup_reader, run_recv_forever, NULL, check_reader },
	{ "asleep-send", BLOCKS, prepare_consumer, setup_producer, run_send_forever, NULL,
	  check_producer },
	{ "asleep-drain", BLOCKS, prepare_consumer, setup_producer, run_drain_forever, NULL,
	  check_producer },
	{ 0 }
};
