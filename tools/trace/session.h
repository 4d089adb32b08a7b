/* SPDX-License-Identifier: MIT */
/* session.h - the eBPF programs of trace.bpf.c, attached to the probes for a while */
#ifndef TOOLS_TRACE_SESSION_H
#define TOOLS_TRACE_SESSION_H

#include <signal.h>
#include <stdint.h>
#include "attach.h"
#include "event.h"
#include "module.h"
#include "names.h"

struct trace;		/* of the skeleton */
struct shmipc_watch;

struct session {
	const struct trace_opts *o;
	struct names names;
	struct trace *bpf;
	struct attach_prog progs[TRACE_TYPES];
	struct attach_prog more;	/* on publish, if not all messages carry a stamp */
	struct attach *attach, *attach_more;
	struct module *module;	/* NULL: not asked for */
	int had_module;		/* it listened, and a note said so */
	struct shmipc_watch *watch;
	sigset_t open;		/* the signal mask while it sleeps */
	uint64_t end_ns;	/* of --duration; UINT64_MAX: none */
	int look_again;		/* an end in another PID namespace attached */
	uint64_t learned_ns;
	uint64_t looked_ns, look_took_ns;
	uint32_t noted_pid;	/* it has no probes, and a note said so */
};

/**
 * session_begin - rights, programs, probes
 * @s:     session_done() it, whatever is returned
 * @o:     filters and duration
 * @mode:  enum trace_mode
 * @types: 1 << enum trace_type, or-ed: the probes
 *
 * Return: RC_OK, or another exit code after a message.
 */
int session_begin(struct session *s, const struct trace_opts *o, uint32_t mode, uint32_t types);

/**
 * session_sleep - sleep until @until_ns or an event; handles new segments meanwhile
 * @s:        the session
 * @until_ns: CLOCK_MONOTONIC
 * @fd:       an event is that this can be read; -1: none
 *
 * Return: RC_OK, or another exit code after a message.
 */
int session_sleep(struct session *s, uint64_t until_ns, int fd);

/* The number of events, and of histograms of peers, for which there was no room. */
uint64_t session_events_lost(const struct session *s);
uint64_t session_hists_lost(const struct session *s);

/* A signal came, or --duration is over. */
int session_over(const struct session *s);

/* The exit code of a session that is over. */
int session_code(void);

/* Detach the programs from the probes; their data stays. */
void session_detach(struct session *s);
void session_done(struct session *s);

/* Block the signals that end the command, except while it sleeps, with the mask @open. */
void session_signals(sigset_t *open);

#endif /* TOOLS_TRACE_SESSION_H */
