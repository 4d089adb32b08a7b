/* SPDX-License-Identifier: MIT */
/*
 * module.h - the kernel module's tracepoints and functions, by eBPF
 *
 * Needs a module with type information (BTF). While a struct module listens, the
 * module cannot be unloaded; its sampler runs while a mode wants that.
 */
#ifndef TOOLS_TRACE_MODULE_H
#define TOOLS_TRACE_MODULE_H

#include <linux/types.h>
#include "../../include/uapi/linux/shmipc_bpf.h"

/* What the program `ask` is asked, and its answer. */
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
/* "the module is not loaded" and what to do; "" while it is there. */
const char *module_why_not(void);

struct module_want {
	const struct trace_opts *o;	/* filters that are in the maps of @with */
	uint32_t mode;		/* enum trace_mode */
	uint32_t types;		/* 1 << enum trace_type, or-ed */
	struct bpf_object *with; /* shares its maps, and so its ring buffer; NULL: has its own */
	void (*fn)(const struct trace_event *e, void *arg); /* without @with: called with events */
	void *arg;
};

/**
 * module_new - listen, once it is there
 * @ret:  module_free() it
 * @want: copied
 *
 * Return: RC_OK; RC_FAIL after a message: it is there and cannot be listened to.
 */
int module_new(struct module **ret, const struct module_want *want);

/* It may have been loaded meanwhile. Return: as module_new(). */
int module_look(struct module *m);

/* Do the programs listen? 0 of NULL, too. */
int module_on(const struct module *m);

/* To be polled, and then served; without @with. -1: not there. */
int module_fd(const struct module *m);
void module_serve(struct module *m);
/* Events and so on that found no room. */
uint64_t module_lost(const struct module *m);

/* Have the sampler run so often until module_free(); says so if that cannot be. */
void module_rate(struct module *m, double hz);

/* A segment's name, as its tracepoints have it; empty if they do not. */
void module_name(const struct module *m, uint64_t id, char name[TRACE_NAME]);

/* How far the segment is now. Return: 0; -ENOENT; -EOPNOTSUPP it is not there to be asked. */
int module_ask(const struct module *m, uint64_t id, struct shmipc_bpf_state *ret);

/**
 * module_waits - who waited for whom since the last time, as the sampler saw it
 * @m:   in the mode TRACE_WAITS; NULL: nothing
 * @fn:  called with each; @share: of the looks at the segment
 * @arg: for @fn
 */
void module_waits(struct module *m,
		  void (*fn)(const struct slow_key *key, const struct slow_sum *sum, double share,
			     void *arg), void *arg);
/* Did the sampler look at this one, at the last module_waits()? */
int module_sampled(const struct module *m, uint64_t id);

/* Nothing runs afterwards; what was gathered stays. */
void module_detach(struct module *m);
void module_free(struct module *m);

#endif /* __bpf__ */
#endif /* TOOLS_TRACE_MODULE_H */
