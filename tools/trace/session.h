/* SPDX-License-Identifier: MIT */
/* session.h - eBPF programs of trace.bpf.c, loaded and on the probes, for a while */
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
	struct attach_prog more;	/* of publish, when not all messages carry a stamp */
	struct attach *attach, *attach_more;
	struct module *module;	/* NULL: not asked for */
	int had_module;		/* it listened, and that was said */
	struct shmipc_watch *watch;
	sigset_t open;		/* while it sleeps, signals come through */
	uint64_t end_ns;	/* of --duration; UINT64_MAX: none */
	int look_again;		/* an end of another PID namespace has come */
	uint64_t learned_ns;
	uint64_t looked_ns, look_took_ns;
	uint32_t noted_pid;	/* has no probes, and that was said */
};

/**
 * session_begin - rights, programs, probes
 * @s:     session_done() it, whatever is returned
 * @o:     with filters and the time that it lasts
 * @mode:  enum trace_mode
 * @types: 1 << enum trace_type, or-ed: the probes
 *
 * Return: RC_OK, or another exit code after a message.
 */
int session_begin(struct session *s, const struct trace_opts *o, uint32_t mode, uint32_t types);

/**
 * session_sleep - until @until_ns, or something happens; segments that come are seen to
 * @s:        the session
 * @until_ns: CLOCK_MONOTONIC
 * @fd:       something happens when this can be read; -1: none
 *
 * Return: RC_OK, or another exit code after a message.
 */
int session_sleep(struct session *s, uint64_t until_ns, int fd);

/* Events, and peers' histograms, for which there was no room. */
uint64_t session_events_lost(const struct session *s);
uint64_t session_hists_lost(const struct session *s);

/* A signal came, or --duration is over. */
int session_over(const struct session *s);

/* The exit code of a session that is over. */
int session_code(void);

/* Off the probes; what the programs have gathered stays. */
void session_detach(struct session *s);
void session_done(struct session *s);

/* Block the signals that end the command but while it sleeps, with the mask @open. */
void session_signals(sigset_t *open);

#endif /* TOOLS_TRACE_SESSION_H */
