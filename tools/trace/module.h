/* SPDX-License-Identifier: MIT */
/*
 * module.h - the kernel module's tracepoints and functions, by eBPF
 *
 * It needs a module with type information (BTF). While a struct module listens, the
 * kernel module cannot be unloaded; its sampler runs if the mode needs it.
 */
#ifndef TOOLS_TRACE_MODULE_H
#define TOOLS_TRACE_MODULE_H

#include <linux/types.h>
#include "../../include/uapi/linux/shmipc_bpf.h"

/* A question to the program `ask`, and its answer. */
struct module_question {
	__u64 id;
	__s32 ret;
	__u32 reserved0;
	struct shmipc_bpf_state state;
};

#ifndef __bpf__
#include <stdint.h>
#include "event.h"
#include "slow.h"
#include "opts.h"

struct bpf_object;
struct module;

enum module_there {
	MODULE_NOT_LOADED,
	MODULE_WITHOUT_BTF,
	MODULE_THERE,
};

enum module_there module_there(void);
/* "the module is not loaded" and what to do; "" while it is loaded. */
const char *module_why_not(void);

struct module_want {
	const struct trace_opts *o;	/* filters; they are in the maps of @with */
	uint32_t mode;		/* enum trace_mode */
	uint32_t types;		/* 1 << enum trace_type, or-ed */
	struct bpf_object *with; /* share its maps, and so its ring buffer; NULL: none */
	void (*fn)(const struct trace_event *e, void *arg); /* without @with: called with events */
	void *arg;
};

/**
 * module_new - listen, as soon as the module is loaded
 * @ret:  module_free() it
 * @want: copied
 *
 * Return: RC_OK; RC_FAIL after a message: it is loaded and cannot be listened to.
 */
int module_new(struct module **ret, const struct module_want *want);

/* Try again, as it may have been loaded meanwhile. Return: as module_new(). */
int module_look(struct module *m);

/* Do the programs listen? 0 for NULL. */
int module_on(const struct module *m);

/* A descriptor for poll(), before module_serve(), without @with. -1: none. */
int module_fd(const struct module *m);
void module_serve(struct module *m);
/* The number of events and so on for which there was no room. */
uint64_t module_lost(const struct module *m);

/* Set the rate of the sampler until module_free(); prints a message if it cannot. */
void module_rate(struct module *m, double hz);

/* The name of a segment from the tracepoints; empty if not known. */
void module_name(const struct module *m, uint64_t id, char name[TRACE_NAME]);

/* How far the segment is now. Return: 0; -ENOENT; -EOPNOTSUPP: no module to ask. */
int module_ask(const struct module *m, uint64_t id, struct shmipc_bpf_state *ret);

/**
 * module_waits - which publishers waited for which ends since the last time, by samples
 * @m:   in the mode TRACE_WAITS; NULL: nothing
 * @fn:  called with each; @share: of the samples of the segment
 * @arg: for @fn
 */
void module_waits(struct module *m,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, double share,
			     void *arg), void *arg);
/* Did the sampler see this segment before the last module_waits()? */
int module_sampled(const struct module *m, uint64_t id);

/* Detach the programs; their data stays. */
void module_detach(struct module *m);
void module_free(struct module *m);

#endif /* __bpf__ */
#endif /* TOOLS_TRACE_MODULE_H */
