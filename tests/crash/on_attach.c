// SPDX-License-Identifier: MIT
/*
 * on_attach.c - killed while it attaches as an end, or closes
 *
 * The other side gets EPIPE, or never saw the victim; the end can be taken again at
 * once; messages that were published before are not lost.
 */
#include <errno.h>
#include <string.h>

#include "crash.h"

#define BEFORE	5u	/* messages in the ring before the victim starts */

/* After the death of either side: the next process gets the end, and messages flow. */
static void go_on_as_producer(uint32_t kind, uint64_t *next)
{
	uint64_t first = *next;
	int i;

	other = open_end(kind, SHMIPC_ROLE_PRODUCER, false, 0);
	must(next_seq(other) == first, "the next producer is at message %llu, the consumer at %llu",
	     (unsigned long long)next_seq(other), (unsigned long long)first);
	for (i = 0; i < 3; i++)
		send_next(other);
	drain(mine, next);
	must(*next == first + 3, "%llu of 3 messages arrived", (unsigned long long)(*next - first));
	if (kind == SHMIPC_KIND_SPSC)
		check_room(other, mine, next);
	shmipc_channel_close(other);
}

static void end_checks(void)
{
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

static struct shmipc_segment *held;

static void nothing(void)
{
}

/* The victim attaches as producer, while a consumer sleeps */

static void prepare_consumer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, true, 0);
}

static void prepare_reader(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, true, SHMIPC_START_NEW);
}

static void run_producer_spsc(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, false, 0);
	board->entered = 1;
}

static void run_producer_bcast(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_PRODUCER, false, 0);
	board->entered = 1;
}

static void check_producer(uint32_t kind)
{
	uint64_t next = 0;
	bool seen = drain_until_gone(mine, &next);

	await_death();
	must(!next, "%llu messages of a producer that sent none", (unsigned long long)next);
	must(seen || !board->entered, "a producer was attached, but no EPIPE was returned");
	go_on_as_producer(kind, &next);
	must(drain_until_gone(mine, &next), "a producer left, but no EPIPE was returned");
	end_checks();
}

/* The same after an earlier producer has left: the consumer must not take one for the other. */

static void prepare_left(uint32_t kind, enum shmipc_role role)
{
	mine = open_end(kind, role, true, SHMIPC_START_NEW);
	other = open_end(kind, SHMIPC_ROLE_PRODUCER, false, 0);
	forget_producer(kind, role);
}

static void prepare_left_spsc(void)
{
	prepare_left(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER);
}

static void prepare_left_bcast(void)
{
	prepare_left(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER);
}

static void observe_empty(void)
{
	unsigned char buf[MSG_MAX];
	size_t len;
	int ret = shmipc_channel_recv(mine, buf, sizeof(buf), &len, 0);

	must(ret == -EAGAIN, "receive while a living producer attaches: %s",
	     shmipc_error_name(ret));
}

static void check_producer_spsc(void)
{
	check_producer(SHMIPC_KIND_SPSC);
}

static void check_producer_bcast(void)
{
	check_producer(SHMIPC_KIND_BCAST);
}

/* The victim attaches as producer after one that was killed just before moving the tail */

static void prepare_behind(uint32_t kind, enum shmipc_role role)
{
	struct shmipc_cursor was;
	struct shmipc_prod *prod;
	int i;

	mine = open_end(kind, role, true, SHMIPC_START_NEW);
	other = open_end(kind, SHMIPC_ROLE_PRODUCER, false, 0);
	/* In the mapping of @mine, as @other is closed below. */
	prod = kind == SHMIPC_KIND_SPSC ? mine->end.spsc_rx.prod : mine->end.bcast_rx.prod;
	for (i = 0; i < 2; i++)
		send_next(other);
	was = prod->tail;
	/* The store of the tail publishes these two; the one for the next messages is undone. */
	for (i = 2; i < (int)BEFORE; i++) {
		unsigned char buf[MSG_MAX];

		must(!shmipc_channel_write(other, buf, message_fill(buf, (uint64_t)i), 0),
		     "no room for message %d", i);
	}
	shmipc_channel_publish(other);
	shmipc_channel_close(other);
	prod->tail = was;
}

static void prepare_behind_spsc(void)
{
	prepare_behind(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER);
}

static void prepare_behind_bcast(void)
{
	prepare_behind(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER);
}

static void check_behind(uint32_t kind)
{
	uint64_t next = 0;

	await_death();
	drain(mine, &next);
	must(next == BEFORE, "%llu of %u messages arrived", (unsigned long long)next, BEFORE);
	go_on_as_producer(kind, &next);
	end_checks();
}

static void check_behind_spsc(void)
{
	check_behind(SHMIPC_KIND_SPSC);
}

static void check_behind_bcast(void)
{
	check_behind(SHMIPC_KIND_BCAST);
}

/* The victim attaches as consumer or reader of a ring with messages */

static void prepare_producer(uint32_t kind)
{
	unsigned int i;

	mine = open_end(kind, SHMIPC_ROLE_PRODUCER, true, 0);
	for (i = 0; i < BEFORE; i++)
		send_next(mine);
}

static void prepare_producer_spsc(void)
{
	prepare_producer(SHMIPC_KIND_SPSC);
}

static void prepare_producer_bcast(void)
{
	prepare_producer(SHMIPC_KIND_BCAST);
}

/* The victim is attaching and alive: the producer must not get EPIPE. */
static void observe_sending(void)
{
	unsigned char buf[MSG_MAX];
	int ret = shmipc_channel_send(mine, buf, message_fill(buf, BEFORE), 0);

	must(!ret, "send while a living consumer attaches: %s", shmipc_error_name(ret));
}

static void prepare_left_consumer(void)
{
	prepare_producer_spsc();
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	shmipc_channel_close(other);
	/* Opened again, so that it has not seen that producer. */
	other = mine;
	must(!shmipc_segment_open(&held, NAME, NULL), "%s", shmipc_error_text());
	shmipc_channel_close(other);
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, false, 0);
	shmipc_segment_close(held);
}

static void run_consumer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	board->entered = 1;
}

static void run_reader(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, SHMIPC_START_NEWEST);
	board->entered = 1;
}

static void check_consumer(void)
{
	unsigned char buf[MSG_MAX];
	uint64_t next = 0, sent = next_seq(mine);
	int ret;

	await_death();
	ret = shmipc_channel_send(mine, buf, message_fill(buf, sent), 0);
	/* One that attached and left between two sends may go unnoticed until the ring is full. */
	must(ret == -EPIPE ||
	     (!ret && (!board->entered || shmipc_channel_peer(mine) == SHMIPC_PEER_LEFT)),
	     "send to the killed consumer: %s", shmipc_error_name(ret));
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	send_next(mine);
	drain(other, &next);
	must(next == sent + 1u + !ret, "%llu messages came", (unsigned long long)next);
	check_room(mine, other, &next);
	shmipc_channel_close(other);
	end_checks();
}

/* Both slots for readers can be taken after one reader has been killed. */
static void check_reader(void)
{
	struct shmipc_channel *second;
	uint64_t next = 0, newest = BEFORE - 1, seen;

	await_death();
	other = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, SHMIPC_START_OLDEST);
	second = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, SHMIPC_START_NEWEST);
	send_next(mine);
	drain(other, &next);
	seen = newest;
	drain(second, &seen);
	must(next == BEFORE + 1 && seen == next, "readers at %llu and %llu, not at %u",
	     (unsigned long long)next, (unsigned long long)seen, BEFORE + 1);
	shmipc_channel_close(other);
	shmipc_channel_close(second);
	end_checks();
}

/* Closing: the other side is told, whether the close completes or is killed */

static void run_leave(void)
{
	shmipc_channel_close(mine);
	board->left = 1;
}

static void setup_producer(void)
{
	int i;

	run_producer_spsc();
	for (i = 0; i < 3; i++)
		send_next(mine);
}

static void check_left_by_producer(void)
{
	uint64_t next = 0;

	must(drain_until_gone(mine, &next), "a producer was attached, but no EPIPE was returned");
	await_death();
	must(next == 3, "%llu of 3 messages arrived before the end", (unsigned long long)next);
	must(!board->left || shmipc_channel_peer(mine) == SHMIPC_PEER_LEFT,
	     "it closed, but is reported as dead");
	go_on_as_producer(SHMIPC_KIND_SPSC, &next);
	end_checks();
}

static void setup_reader(void)
{
	run_reader();
}

static void setup_alone(void)
{
	prepare_producer_spsc();
}

/* It was the last peer: the name is gone, or the leftover is reaped. */
static void check_left_by_last(void)
{
	uint64_t next = 0;

	await_death();
	must(!board->left || !count_names(), "closed, but the name exists");
	if (board->kill & 1)
		check_gone();
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, true, 0);
	go_on_as_producer(SHMIPC_KIND_SPSC, &next);
	end_checks();
}

const struct scenario attach_scenarios[] = {
	{ "attach-producer-spsc", SAMPLE | ASLEEP, prepare_consumer, nothing, run_producer_spsc,
	  NULL, check_producer_spsc },
	{ "attach-producer-bcast", SAMPLE | ASLEEP, prepare_reader, nothing, run_producer_bcast,
	  NULL, check_producer_bcast },
	{ "attach-again-spsc", SAMPLE, prepare_left_spsc, nothing, run_producer_spsc, observe_empty,
	  check_producer_spsc },
	{ "attach-again-bcast", SAMPLE, prepare_left_bcast, nothing, run_producer_bcast,
	  observe_empty, check_producer_bcast },
	{ "attach-behind-spsc", SAMPLE | MEM, prepare_behind_spsc, nothing, run_producer_spsc, NULL,
	  check_behind_spsc },
	{ "attach-behind-bcast", SAMPLE | MEM, prepare_behind_bcast, nothing, run_producer_bcast, NULL,
	  check_behind_bcast },
	{ "attach-consumer", SAMPLE, prepare_producer_spsc, nothing, run_consumer, NULL,
	  check_consumer },
	{ "attach-again-consumer", SAMPLE, prepare_left_consumer, nothing, run_consumer,
	  observe_sending, check_consumer },
	{ "attach-reader", SAMPLE, prepare_producer_bcast, nothing, run_reader, NULL, check_reader },
	{ "leave-producer", SAMPLE | ASLEEP, prepare_consumer, setup_producer, run_leave, NULL,
	  check_left_by_producer },
	{ "leave-consumer", SAMPLE, prepare_producer_spsc, run_consumer, run_leave, NULL,
	  check_consumer },
	{ "leave-reader", SAMPLE, prepare_producer_bcast, setup_reader, run_leave, NULL,
	  check_reader },
	{ "leave-last", SAMPLE, NULL, setup_alone, run_leave, NULL, check_left_by_last },
	{ 0 }
};
