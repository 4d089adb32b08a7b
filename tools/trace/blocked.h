/* SPDX-License-Identifier: MIT */
/* blocked.h - who waited for whom, by eBPF: the side of the command */
#ifndef TOOLS_TRACE_BLOCKED_H
#define TOOLS_TRACE_BLOCKED_H

#include <stdint.h>
#include <sys/types.h>
#include "slow.h"

struct blocked;

/* NULL in *@ret: without eBPF, after a message that says why. Return: RC_OK, RC_FAIL. */
int blocked_new(struct blocked **ret);

/* A process has come: it may have the library in a file of its own. 0: anyone may have. */
void blocked_look(struct blocked *b, pid_t pid);

/* Take what has gathered since the last time: of whom, and so much. */
void blocked_each(struct blocked *b,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, void *arg),
		  void *arg);

/* What the probes said of a segment: its name, empty if they did not. */
void blocked_name(struct blocked *b, uint64_t id, char name[TRACE_NAME]);

/* And who takes in this slot. Return: 1, or 0: they did not say. */
int blocked_taker(struct blocked *b, uint64_t id, uint32_t slot, struct slow_end *ret);

/* Publishers and readers for which there was no room. */
uint64_t blocked_lost(const struct blocked *b);

void blocked_free(struct blocked *b);

#endif /* TOOLS_TRACE_BLOCKED_H */
