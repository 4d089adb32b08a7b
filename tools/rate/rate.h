/* SPDX-License-Identifier: MIT */
/* rate.h - how regularly, and how much, is published on one topic */
#ifndef TOOLS_RATE_RATE_H
#define TOOLS_RATE_RATE_H

#include <stddef.h>
#include <stdint.h>
#include <shmipc/topic.h>
#include "../opts/values.h"

#define WINDOW_MAX	UINT64_C(10000000)

/* Options of hz and bw. */
struct rate_opts {
	uint64_t window;
	uint64_t every_ns;
	uint64_t count;			/* 0: no limit */
	uint64_t timeout_ns;		/* 0: none */
	int json;
};

extern const struct opt_group rate_groups[];

struct rate {
	char name[SHMIPC_NAME_MAX + 1];
	uint8_t id[16];
	struct shmipc_sub *sub;		/* NULL: does not exist now */
	int seen;			/* by the last look for topics */
	int unseen;			/* by how many looks in turn */
	int refused;			/* it exists, and cannot be read */
	int published;			/* messages carry the time of publication */
	int hz;				/* the window holds nanoseconds; otherwise bytes */
	/* the last values */
	uint64_t *value;
	size_t window;
	size_t nvalues;
	size_t at;
	uint64_t last_seq;		/* of the last message; SHMIPC_POS_NONE: none yet */
	uint64_t last_ns;
	/* since the beginning, and since the last report */
	uint64_t messages, bytes, lost;
	uint64_t period_messages, period_bytes, period_lost;
	uint64_t period_ns;		/* when that was */
};

/* Return: 0 or -ENOMEM. */
int rate_init(struct rate *r, const char *name, size_t window);
void rate_done(struct rate *r);

/* Begin to read messages that are published from now on. @hz: intervals, not bytes. */
int rate_open(struct rate *r, int hz);
void rate_close(struct rate *r);
/* Does it read the topic that has this @id? */
int rate_follows(struct rate *r, const uint8_t id[16]);

/* Read at most @max messages. Return: their number. */
unsigned int rate_read(struct rate *r, unsigned int max);

void rate_print_head(int hz);
void rate_print(const struct rate *r, int hz, uint64_t now_ns);
void rate_print_json(const struct rate *r, int hz, uint64_t now_ns);

/* A new period begins. */
void rate_period(struct rate *r, uint64_t now_ns);

/* measure.c: all of a command; @hz: intervals, not bytes. Return: the exit code. */
int rate_measure(const struct command *command, int hz, int argc, char **argv);

#endif /* TOOLS_RATE_RATE_H */
