/* SPDX-License-Identifier: MIT */
/* exits.h - how processes ended, by eBPF: the command's side */
#ifndef TOOLS_TRACE_EXITS_H
#define TOOLS_TRACE_EXITS_H

#include <stdint.h>
#include <sys/types.h>
#include "deaths.h"

struct exits;

/**
 * exits_new - begin to listen
 * @ret:  exits_free() it; NULL: eBPF is not available, after a message
 * @probes: listen to the library's probes, too
 * @note: called by exits_serve() for what others noticed
 * @arg:  for @note
 *
 * Return: RC_OK, with or without eBPF; RC_FAIL after a message.
 */
int exits_new(struct exits **ret, int probes, void (*note)(const struct death_note *n, void *arg), void *arg);

/* A new process: it may have the library in another file. 0: any process may. */
void exits_look(struct exits *x, pid_t pid);

/* A descriptor for poll(), before exits_serve(). -1 without eBPF. */
int exits_fd(const struct exits *x);
void exits_serve(struct exits *x);

/* How this process ended. Return: 1, or 0: it has not, or it was not seen. */
int exits_find(struct exits *x, struct death_key key, struct death_exit *ret);

/**
 * exits_ends - ends that a process attached while we listened, and did not detach
 * @x:   from exits_new()
 * @process: of which process; they are forgotten with this
 * @fn:  called with each, and the segment's name
 * @arg: for @fn
 */
void exits_ends(struct exits *x, struct death_key process,
		void (*fn)(const struct death_end_key *key, const struct death_end *end,
			   const char *name, void *arg), void *arg);

/* The number of notes for which there was no room. */
uint64_t exits_lost(const struct exits *x);

void exits_free(struct exits *x);

#endif /* TOOLS_TRACE_EXITS_H */
