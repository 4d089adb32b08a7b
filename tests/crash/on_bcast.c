// SPDX-License-Identifier: MIT
/*
 * on_bcast.c - killed while it sends or reads on an overwriting log
 *
 * A reader accounts for every message: read, or reported as lost. A later reader
 * begins at the start of a message. The next producer continues where the dead one
 * stopped. A dead reader does not disturb other peers, and its slot is free.
 */
#include <errno.h>
#include <string.h>

#include "crash.h"

#define BEFORE	13u	/* messages before those of the victim: the log is nearly full */
#define SENT	16u

static void prepare_reader(void)
{
	uint64_t next = 0;
	unsigned int i;

	other = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_PRODUCER, true, 0);
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, SHMIPC_START_OLDEST);
	for (i = 0; i < BEFORE; i++) {
		send_next(other);
		drain(mine, &next);
	}
	forget_producer(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER);
}

/* Producer */

static void setup_producer(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_PRODUCER, false, 0);
	must(next_seq(mine) == BEFORE, "begins at message %llu", (unsigned long long)next_seq(mine));
	stock_up(BEFORE);
	board->begun = board->done = BEFORE;
	board->entered = 1;
}

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

/* More than once round the ring: over all earlier messages, and over some of its own. */
static void run_producer(void)
{
	unsigned int i, n = 0;
	void *ptr;

	must(!shmipc_channel_reserve(mine, 500, &ptr, 0), "no room");
	memset(ptr, 0xee, 100);
	shmipc_channel_abort(mine);
	while (n < SENT) {
		if (n % 8 == 2) {
			write_one(0);
			write_one(1);
			must(shmipc_bcast_discard(&mine->end.bcast_tx) == 2,
			     "two messages were not discarded");
			for (i = 0; i < 3; i++)
				write_one(i);
			publish(3);
			n += 3;
		} else {
			write_one(0);
			publish(1);
			n++;
		}
	}
}

static void run_producer_once(void)
{
	write_one(0);
	publish(1);
}

/* Read from the oldest message: whole and in order, up to @end. */
static void read_history(uint64_t end)
{
	struct shmipc_channel *late = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false,
					       SHMIPC_START_OLDEST);
	uint64_t next = next_seq(late);

	must(next < end, "no history: the oldest is %llu, the next %llu", (unsigned long long)next,
	     (unsigned long long)end);
	drain(late, &next);
	must(next == end, "the history ends at message %llu, not at %llu",
	     (unsigned long long)next, (unsigned long long)end);
	shmipc_channel_close(late);
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
	read_history(next);
	other = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_PRODUCER, false, 0);
	must(next_seq(other) == next, "the next producer is at message %llu, the reader at %llu",
	     (unsigned long long)next_seq(other), (unsigned long long)next);
	read_history(next);
	was = next;
	/* Three times round the ring; the reader reads now and then, and is lapped. */
	for (i = 0; i < 52; i++) {
		send_next(other);
		if (i < 5 || i > 48)
			drain(mine, &next);
		if (i == 10 || i == 37)
			read_history(was + (uint64_t)i + 1);
	}
	must(next == was + 52, "%llu of 52 messages read or lost", (unsigned long long)(next - was));
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

/* Reader */

static void prepare_producer(void)
{
	unsigned int i;

	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_PRODUCER, true, 0);
	other = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, SHMIPC_START_OLDEST);
	for (i = 0; i < BEFORE + SENT; i++)
		send_next(mine);
}

static void setup_reader(void)
{
	mine = open_end(SHMIPC_KIND_BCAST, SHMIPC_ROLE_READER, false, SHMIPC_START_OLDEST);
	board->entered = 1;
}

/* A reader that has been lapped before the victim starts. */
static void run_reader(void)
{
	unsigned char buf[MSG_MAX];
	const void *ptr;
	size_t len;
	int i = 0, ret;

	for (;;) {
		if (i++ % 2) {
			ret = shmipc_channel_recv(mine, buf, sizeof(buf), &len, 0);
		} else {
			ret = shmipc_channel_peek(mine, &ptr, &len, 0);
			if (!ret)
				ret = shmipc_channel_release(mine);
		}
		if (ret)
			break;
	}
	must(ret == -EAGAIN, "read: %s", shmipc_error_name(ret));
}

static void check_reader(void)
{
	uint64_t next = 0, all = BEFORE + SENT;
	int i;

	await_death();
	for (i = 0; i < 13; i++)
		send_next(mine);
	all += 13;
	drain(other, &next);
	must(next == all, "%llu of %llu messages read or lost", (unsigned long long)next,
	     (unsigned long long)all);
	read_history(all);
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	must(!count_names(), "%u names exist after the last close", count_names());
}

const struct scenario bcast_scenarios[] = {
	{ "bcast-send", 0, prepare_reader, setup_producer, run_producer, NULL, check_producer },
	{ "bcast-send-wakes", ASLEEP, prepare_reader, setup_producer, run_producer_once, NULL,
	  check_producer },
	{ "bcast-read", 0, prepare_producer, setup_reader, run_reader, NULL, check_reader },
	{ 0 }
};
