/* SPDX-License-Identifier: MIT */
/* exits.h - how processes ended, by eBPF: the side of the command */
#ifndef TOOLS_TRACE_EXITS_H
#define TOOLS_TRACE_EXITS_H

#include <stdint.h>
#include <sys/types.h>
#include "deaths.h"

struct exits;

/**
 * exits_new - begin to listen
 * @ret:  exits_free() it; NULL: without eBPF, after a message that says why
 * @probes: listen to the library's probes, too
 * @note: called by exits_serve() for what others noticed
 * @arg:  for @note
 *
 * Return: RC_OK, with or without eBPF; RC_FAIL after a message.
 */
int exits_new(struct exits **ret, int probes, void (*note)(const struct death_note *n, void *arg), void *arg);

/* A process has come: it may have the library in a file of its own. 0: anyone may have. */
void exits_look(struct exits *x, pid_t pid);

/* To be polled, and then served. -1 without eBPF. */
int exits_fd(const struct exits *x);
void exits_serve(struct exits *x);

/* How this one ended. Return: 1, or 0: it has not, or nobody saw it. */
int exits_find(struct exits *x, struct death_key key, struct death_exit *ret);

/**
 * exits_ends - the ends that one took while we listened and did not leave
 * @x:   the same
 * @who: whose; they are forgotten with this
 * @fn:  called with each, and the segment's name
 * @arg: for @fn
 */
void exits_ends(struct exits *x, struct death_key who,
		void (*fn)(const struct death_end_key *key, const struct death_end *end,
			   const char *name, void *arg), void *arg);

/* Notes for which there was no room. */
uint64_t exits_lost(const struct exits *x);

void exits_free(struct exits *x);

#endif /* TOOLS_TRACE_EXITS_H */
