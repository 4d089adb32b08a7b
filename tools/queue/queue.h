/* SPDX-License-Identifier: MIT */
/* queue.h - shmipc queue: what its parts share */
#ifndef TOOLS_QUEUE_QUEUE_H
#define TOOLS_QUEUE_QUEUE_H

#include "../stream/input.h"
#include "../stream/message.h"

struct queue_opts {
	struct access_opts access;
	struct stream_opts stream;
	struct input_opts input;	/* push; @file, @lines, @count and @format are those of both */
	struct message_opts message;	/* pop */
	uint32_t format;		/* FORMAT_* */
	uint32_t level;
	int no_drain;
	int follow;
	int until_empty;
	/* at its creation */
	uint32_t producers;
	uint32_t consumers;
	uint32_t depth;
	uint32_t levels;
	uint32_t delivery;
	uint32_t deliveries;
	uint64_t item_bytes;
	const char *dead;
};

/* Return: the exit code. @items: NULL at the end; none: the input is read. */
int queue_push(const struct queue_opts *o, const char *name, char **items);
/* @command: NULL at the end; none: items are written. */
int queue_pop(const struct queue_opts *o, const char *name, char **command);

/* For opening either end. */
struct shmipc_queue_opts queue_create(const struct queue_opts *o);

#endif /* TOOLS_QUEUE_QUEUE_H */
