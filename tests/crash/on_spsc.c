// SPDX-License-Identifier: MIT
/*
 * on_spsc.c - killed while it sends or receives on a lossless ring
 *
 * Exactly the published messages arrive, whole and in order. A batch arrives completely
 * or not at all. Messages that have been released do not arrive again, the others do.
 * The next peer continues where the dead one stopped.
 */
#include <errno.h>
#include <string.h>

#include "crash.h"

#define BEFORE	8u	/* messages before those of the victim: up to the middle of the ring */

/* Both ends, with the ring empty and in its middle, so that the next messages go round its end. */
static void advance(struct shmipc_channel **tx, struct shmipc_channel **rx)
{
	uint64_t next = 0;
	unsigned int i;

	*tx = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, true, 0);
	*rx = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	for (i = 0; i < BEFORE; i++) {
		send_next(*tx);
		drain(*rx, &next);
	}
}

/* Producer */

static void prepare_consumer(void)
{
	advance(&other, &mine);
	forget_producer(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER);
}

static void setup_producer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, false, 0);
	must(next_seq(mine) == BEFORE, "begins at message %llu", (unsigned long long)next_seq(mine));
	stock_up(BEFORE);
	board->begun = board->done = BEFORE;
	board->entered = 1;
}

static const struct stock *next_stock(void)
{
	return &stock[board->begun - BEFORE];
}

/* A message of the batch; @begun counts it when it is about to be published. */
static void write_one(unsigned int ahead)
{
	const struct stock *s = &stock[board->done - BEFORE + ahead];

	must(!shmipc_channel_write(mine, s->byte, s->len, 0), "no room");
}

static void publish(unsigned int n)
{
	shmipc_store_release(&board->begun, board->begun + n);
	shmipc_channel_publish(mine);
	shmipc_store_release(&board->done, board->begun);
}

static void run_producer(void)
{
	const struct stock *s;
	unsigned int i;
	void *ptr;

	/* Filled in place, after one that was discarded. */
	must(!shmipc_channel_reserve(mine, 500, &ptr, 0), "no room");
	memset(ptr, 0xee, 100);
	shmipc_channel_abort(mine);
	s = next_stock();
	must(!shmipc_channel_reserve(mine, MSG_MAX, &ptr, 0), "no room");
	memcpy(ptr, s->byte, s->len);
	must(!shmipc_channel_commit(mine, s->len), "no commit");
	publish(1);
	/* Batches round the end of the ring, after one that was discarded. */
	write_one(0);
	write_one(1);
	must(shmipc_spsc_discard(&mine->end.spsc_tx) == 2, "two messages were not discarded");
	for (i = 0; i < 4; i++)
		write_one(i);
	publish(4);
	write_one(0);
	write_one(1);
	publish(2);
	for (i = 0; i < 4; i++) {
		s = next_stock();
		shmipc_store_release(&board->begun, board->begun + 1);
		must(!shmipc_channel_send(mine, s->byte, s->len, 0), "no room");
		shmipc_store_release(&board->done, board->begun);
	}
	/* No room: nothing changes. */
	must(shmipc_channel_send(mine, stock[0].byte, 1900, 0) == -EAGAIN, "room for more");
}

static void check_producer(void)
{
	uint64_t next = BEFORE, was;
	int i;

	/* Receive at the same time as the victim, or only after its death. */
	if (!board->meanwhile)
		await_death();
	must(drain_until_gone(mine, &next), "a producer was attached, but no EPIPE was returned");
	await_death();
	must(next == board->done || next == board->begun,
	     "messages up to %llu arrived; up to %llu were published or, with the batch, %llu",
	     (unsigned long long)next, (unsigned long long)board->done,
	     (unsigned long long)board->begun);
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_PRODUCER, false, 0);
	must(next_seq(other) == next, "the next producer is at message %llu, the consumer at %llu",
	     (unsigned long long)next_seq(other), (unsigned long long)next);
	was = next;
	for (i = 0; i < 13; i++) {
		send_next(other);
		drain(mine, &next);
	}
	must(next == was + 13, "%llu of 13 messages arrived", (unsigned long long)(next - was));
	check_room(other, mine, &next);
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* Producer, and the consumer sleeps */

static void run_producer_once(void)
{
	const struct stock *s = next_stock();

	shmipc_store_release(&board->begun, board->begun + 1);
	must(!shmipc_channel_send(mine, s->byte, s->len, 0), "no room");
	shmipc_store_release(&board->done, board->begun);
}

/* Consumer */

#define SENT	10u

static void prepare_producer(void)
{
	unsigned int i;

	advance(&mine, &other);
	for (i = 0; i < SENT; i++)
		send_next(mine);
	shmipc_channel_close(other);
}

static void setup_consumer(void)
{
	mine = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	must(next_seq(mine) == BEFORE, "begins at message %llu", (unsigned long long)next_seq(mine));
	board->begun = board->done = BEFORE;
	board->entered = 1;
}

static void run_consumer(void)
{
	unsigned char buf[MSG_MAX];
	const void *ptr;
	unsigned int i;
	size_t len;

	for (i = 0; i < SENT; i++) {
		if (i % 3 == 2 || !message_len(board->done)) {
			shmipc_store_release(&board->begun, board->begun + 1);
			must(!shmipc_channel_recv(mine, buf, sizeof(buf), &len, 0), "no message");
		} else {
			/* It stays after a receive with too small a buffer, and after two peeks. */
			must(shmipc_channel_recv(mine, buf, 0, &len, 0) == -EMSGSIZE,
			     "a message was received into a buffer without room");
			must(!shmipc_channel_peek(mine, &ptr, &len, 0), "no message");
			must(!shmipc_channel_peek(mine, &ptr, &len, 0), "no message");
			shmipc_store_release(&board->begun, board->begun + 1);
			must(!shmipc_channel_release(mine), "no release");
		}
		shmipc_store_release(&board->done, board->begun);
	}
	must(shmipc_channel_recv(mine, buf, sizeof(buf), &len, 0) == -EAGAIN, "one more message");
}

/* The sender is told at once, and the next consumer receives the rest. */
static void check_consumer(void)
{
	unsigned char buf[MSG_MAX];
	uint64_t next, all = BEFORE + SENT;
	int ret;

	await_death();
	ret = shmipc_channel_send(mine, buf, 1, 0);
	must(ret == -EPIPE, "send to the killed consumer: %s", shmipc_error_name(ret));
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	next = next_seq(other);
	must(next == board->done || next == board->begun,
	     "the next consumer begins at message %llu; %llu or %llu are released",
	     (unsigned long long)next, (unsigned long long)board->done,
	     (unsigned long long)board->begun);
	drain(other, &next);
	must(next == all, "messages up to %llu came, %llu were sent", (unsigned long long)next,
	     (unsigned long long)all);
	check_room(mine, other, &next);
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* Consumer, and the producer sleeps for room */

static void setup_consumer_twice(void)
{
	setup_consumer();
	stock_up(BEFORE);
}

/* Receives two lots, which wakes the producer, which fills them again. */
static void run_consumer_some(void)
{
	const void *ptr;
	size_t len;
	int i;

	for (i = 0; i < 6; i++) {
		must(!shmipc_channel_peek(mine, &ptr, &len, SHMIPC_FOREVER), "no message");
		must(len == stock[i].len && !memcmp(ptr, stock[i].byte, len), "torn");
		shmipc_store_release(&board->begun, board->begun + 1);
		must(!shmipc_channel_release(mine), "no release");
		shmipc_store_release(&board->done, board->begun);
	}
}

static void check_sleeping_producer(void)
{
	unsigned char buf[MSG_MAX];
	uint64_t next, seq;
	int ret;

	must(!shmipc_channel_wait_peer(mine, SHMIPC_FOREVER), "no consumer came");
	for (seq = BEFORE + SENT;; seq++) {
		ret = shmipc_channel_send(mine, buf, message_fill(buf, seq), SHMIPC_FOREVER);
		if (ret)
			break;
	}
	must(ret == -EPIPE, "send while the consumer dies: %s", shmipc_error_name(ret));
	await_death();
	other = open_end(SHMIPC_KIND_SPSC, SHMIPC_ROLE_CONSUMER, false, 0);
	next = next_seq(other);
	must(next == board->done || next == board->begun,
	     "the next consumer begins at message %llu; %llu or %llu are released",
	     (unsigned long long)next, (unsigned long long)board->done,
	     (unsigned long long)board->begun);
	drain(other, &next);
	must(next == seq, "messages up to %llu came, %llu were sent", (unsigned long long)next,
	     (unsigned long long)seq);
	check_room(mine, other, &next);
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

const struct scenario spsc_scenarios[] = {
	{ "spsc-send", 0, prepare_consumer, setup_producer, run_producer, NULL, check_producer },
	{ "spsc-send-wakes", ASLEEP, prepare_consumer, setup_producer, run_producer_once, NULL,
	  check_producer },
	{ "spsc-recv", 0, prepare_producer, setup_consumer, run_consumer, NULL, check_consumer },
	{ "spsc-recv-wakes", ASLEEP, prepare_producer, setup_consumer_twice, run_consumer_some,
	  NULL, check_sleeping_producer },
	{ 0 }
};
