/* SPDX-License-Identifier: MIT */
/* blocked.h - which publishers waited for which ends, by eBPF: the command's side */
#ifndef TOOLS_TRACE_BLOCKED_H
#define TOOLS_TRACE_BLOCKED_H

#include <stdint.h>
#include <sys/types.h>
#include "slow.h"

struct blocked;

/* NULL in *@ret: eBPF is not available, after a message. Return: RC_OK, RC_FAIL. */
int blocked_new(struct blocked **ret);

/* A new process: it may have the library in another file. 0: any process may. */
void blocked_look(struct blocked *b, pid_t pid);

/* Take the sums since the last call. */
void blocked_each(struct blocked *b,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, void *arg),
		  void *arg);

/* The name of a segment according to the probes; empty if they did not say. */
void blocked_name(struct blocked *b, uint64_t id, char name[TRACE_NAME]);

/* And the process that takes in this slot. Return: 1, or 0: they did not say. */
int blocked_taker(struct blocked *b, uint64_t id, uint32_t slot, struct slow_end *ret);

/* The number of publishers and readers for which there was no room. */
uint64_t blocked_lost(const struct blocked *b);

void blocked_free(struct blocked *b);

#endif /* TOOLS_TRACE_BLOCKED_H */
