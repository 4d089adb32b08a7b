/* SPDX-License-Identifier: MIT */
/* deaths_tell.h - deaths, in words and in JSON */
#ifndef TOOLS_TRACE_DEATHS_TELL_H
#define TOOLS_TRACE_DEATHS_TELL_H

#include <stdint.h>
#include <shmipc/discover.h>
#include "deaths.h"
#include "events.h"
#include "process.h"
#include "receipts.h"
#include "opts.h"

#define TELL_ENDS	256u	/* of one process; of more only the number is shown */

/* An end, and the process that has it or had it. */
struct held {
	uint64_t id;
	uint32_t kind;
	uint32_t gone;		/* enum shmipc_event_type; 0: it is attached */
	int told;
	int by_module;		/* that reported it */
	int far;		/* its segment cannot be looked at */
	int pidfd;		/* without eBPF; -1: none */
	struct shmipc_peer_info end;
	struct shmipc_death_info receipt;	/* of the kernel module; seq 0: none */
	struct process_id process;
	uint64_t noticed_ns;	/* CLOCK_REALTIME */
	uint64_t due_ns;	/* when it is reported even if not all is known */
	char name[SHMIPC_NAME_MAX + 8];
};

/**
 * tell_death - a process has died
 * @o:   the command's options
 * @end: its ends, as many as there is room for
 * @n:   how many it had
 * @how: it ended; NULL: only their receipts say so, if they have one
 */
void tell_death(const struct trace_opts *o, const struct held *const *end, unsigned int n,
		const struct death_exit *how);

/* Fill in @h, whose segment is known, from a receipt. */
void held_of_receipt(struct held *h, const struct shmipc_death_info *d);

/* Messages of a dead publisher will never be completed. */
void tell_abort(const struct trace_opts *o, const struct held *h, const struct death_note *n);

/*
 * Report those that died before: of which there are receipts, or whose slots are not
 * reused. Return: RC_OK or RC_FAIL.
 */
int tell_before(const struct trace_opts *o, struct receipts *receipts);

#endif /* TOOLS_TRACE_DEATHS_TELL_H */
