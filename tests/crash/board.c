// SPDX-License-Identifier: MIT
/* board.c - functions shared by the victims and checkers of all scenarios */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "crash.h"

struct board *board;
struct stock stock[MSGS_MAX];
struct shmipc_channel *mine, *other;

void wrong(const char *fmt, ...)
{
	size_t room = sizeof(board->text);
	va_list ap;

	if (!board->text[0]) {
		va_start(ap, fmt);
		(void)vsnprintf(board->text, room, fmt, ap);
		va_end(ap);
	}
	_exit(1);
}

/* Lengths that hit the edges: nothing, one byte, and large ones that need pads. */
size_t message_len(uint64_t seq)
{
	static const uint16_t len[] = { 24, 333, 0, 700, 8, 1, 120, 515, 64, 7, 256, 880, 40 };

	return len[seq % (sizeof(len) / sizeof(len[0]))];
}

size_t message_fill(void *buf, uint64_t seq)
{
	unsigned char *byte = buf;
	size_t i, len = message_len(seq);

	for (i = 0; i < len; i++)
		byte[i] = (unsigned char)(seq * 31 + i * 7 + 1);
	return len;
}

void message_check(uint64_t seq, const void *buf, size_t len)
{
	const unsigned char *byte = buf;
	unsigned char good;
	size_t i;

	must(len == message_len(seq), "message %llu: %zu bytes received, %zu sent",
	     (unsigned long long)seq, len, message_len(seq));
	for (i = 0; i < len; i++) {
		good = (unsigned char)(seq * 31 + i * 7 + 1);
		must(byte[i] == good, "message %llu is torn: byte %zu is %#x, not %#x",
		     (unsigned long long)seq, i, byte[i], good);
	}
}

struct shmipc_channel *open_end(uint32_t kind, enum shmipc_role role, bool create, uint32_t start)
{
	struct shmipc_segment_opts so = {
		.struct_bytes = sizeof(so), .kind = kind, .bytes = RING_BYTES,
		.page = SHMIPC_PAGE_4K, .flags = create ? SHMIPC_CREATE : 0,
		.peers = kind == SHMIPC_KIND_BCAST ? 3 : 0,
	};
	struct shmipc_channel_opts co = {
		.struct_bytes = sizeof(co), .spin_ns = SHMIPC_SPIN_NEVER, .start = start,
	};
	struct shmipc_channel *ch = NULL;
	int ret = shmipc_channel_open(&ch, NAME, role, &so, &co);

	must(!ret, "open kind %u role %d: %s; %s", kind, role, shmipc_error_name(ret),
	     shmipc_error_text());
	return ch;
}

void forget_producer(uint32_t kind, enum shmipc_role role)
{
	struct shmipc_segment *seg;

	must(!shmipc_segment_open(&seg, NAME, NULL), "%s", shmipc_error_text());
	shmipc_channel_close(other);
	shmipc_channel_close(mine);
	mine = open_end(kind, role, false, SHMIPC_START_NEW);
	shmipc_segment_close(seg);
}

uint64_t next_seq(struct shmipc_channel *ch)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };

	must(!shmipc_channel_get_stat(ch, &st), "no stat of a channel");
	return st.seq;
}

void send_next(struct shmipc_channel *tx)
{
	unsigned char buf[MSG_MAX];
	uint64_t seq = next_seq(tx);
	int ret = shmipc_channel_send(tx, buf, message_fill(buf, seq), 0);

	must(!ret, "send message %llu: %s", (unsigned long long)seq, shmipc_error_name(ret));
}

static int take(struct shmipc_channel *rx, uint64_t *next, uint64_t deadline_ns)
{
	unsigned char buf[MSG_MAX];
	size_t len;
	int ret = shmipc_channel_recv(rx, buf, sizeof(buf), &len, deadline_ns);

	if (ret == -ESTALE) {
		*next += shmipc_channel_lost(rx);
		must(*next == next_seq(rx), "%llu messages lost, so the next is %llu, not %llu",
		     (unsigned long long)shmipc_channel_lost(rx), (unsigned long long)*next,
		     (unsigned long long)next_seq(rx));
		return 0;
	}
	if (!ret) {
		message_check(*next, buf, len);
		*next += 1;
	}
	return ret;
}

void drain(struct shmipc_channel *rx, uint64_t *next)
{
	int ret;

	do
		ret = take(rx, next, 0);
	while (!ret);
	must(ret == -EAGAIN || ret == -EPIPE, "receive message %llu: %s",
	     (unsigned long long)*next, shmipc_error_name(ret));
}

bool drain_until_gone(struct shmipc_channel *rx, uint64_t *next)
{
	uint32_t dead;
	int ret;

	for (;;) {
		dead = shmipc_load_acquire(&board->dead);
		/* If the victim had entered, its death must be reported, however late. */
		if (dead && shmipc_load_acquire(&board->entered))
			ret = take(rx, next, SHMIPC_FOREVER);
		else
			ret = take(rx, next, shmipc_deadline_in(dead ? 1 : 1500000));
		if (ret == -EPIPE)
			return true;
		must(!ret || ret == -ETIMEDOUT, "receive message %llu: %s",
		     (unsigned long long)*next, shmipc_error_name(ret));
		if (ret && dead)
			return false;
	}
}

void check_room(struct shmipc_channel *tx, struct shmipc_channel *rx, uint64_t *next)
{
	const unsigned int fits = (RING_BYTES - SHMIPC_REC_HDR) / 32;
	unsigned char buf[24] = { 1 }, got[MSG_MAX];
	unsigned int n = 0, i;
	size_t len;
	int ret;

	must(next_seq(tx) == *next, "the next message is %llu to the sender, %llu to the receiver",
	     (unsigned long long)next_seq(tx), (unsigned long long)*next);
	for (;;) {
		buf[1] = (unsigned char)n;
		ret = shmipc_channel_send(tx, buf, sizeof(buf), 0);
		if (ret)
			break;
		n++;
	}
	must(ret == -EAGAIN, "fill the ring: %s", shmipc_error_name(ret));
	must(n == fits || n == fits - 1, "an empty ring holds %u messages of 24 bytes, not %u", n,
	     fits);
	for (i = 0; i < n; i++) {
		ret = shmipc_channel_recv(rx, got, sizeof(got), &len, 0);
		must(!ret && len == sizeof(buf) && got[0] == 1 && got[1] == (unsigned char)i,
		     "message %u of %u that filled the ring: %s", i, n, shmipc_error_name(ret));
	}
	*next += n;
}

void stock_up(uint64_t first)
{
	unsigned int i;

	for (i = 0; i < MSGS_MAX; i++)
		stock[i].len = message_fill(stock[i].byte, first + i);
}

static int count_one(const char *name, void *arg)
{
	(void)name;
	*(unsigned int *)arg += 1;
	return 0;
}

unsigned int count_names(void)
{
	unsigned int n = 0;

	must(!shmipc_segment_each(count_one, &n), "cannot list the directory");
	return n;
}

static void note_gc(const char *name, int err, void *arg)
{
	(void)arg;
	must(!err, "gc of \"%s\": %s", name, shmipc_error_name(err));
}

void check_gone(void)
{
	int ret = shmipc_segment_gc(note_gc, NULL);

	must(ret >= 0, "gc: %s", shmipc_error_name(ret));
	must(!count_names(), "gc leaves %u names", count_names());
}
