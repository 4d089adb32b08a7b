/* SPDX-License-Identifier: MIT */
/*
 * names.h - segments by the ids that probes carry: their names, their peers
 *
 * An id stays known when its segment has gone. One that was not seen here may be
 * known to the eBPF programs, which take the name from the probe.
 */
#ifndef TOOLS_TRACE_NAMES_H
#define TOOLS_TRACE_NAMES_H

#include <stdint.h>
#include "event.h"
#include "opts.h"

struct names_peer {
	uint32_t pid;
	char comm[TRACE_COMM];
};

struct named {
	uint64_t id;
	int wanted;		/* the patterns match */
	int on_device;		/* its segment is the kernel module's */
	int stamped;		/* its messages say when they were published, or may do so */
	char name[TRACE_NAME];
	/* its peers as last looked up, by their slots */
	struct names_peer *peer;
	uint32_t npeers;
	uint64_t looked_ns;
};

struct names {
	const struct trace_opts *opts;	/* with the patterns */
	int map;			/* the programs' map of names; -1: none */
	void *tree;			/* of tsearch(3) */
	/* who is told of one that is new; may be NULL */
	void (*fn)(const struct named *n, void *arg);
	void *arg;
};

void names_init(struct names *names, const struct trace_opts *o);
void names_done(struct names *names);

/* Take what is there now. Return: 0 or -errno. */
int names_discover(struct names *names);

/* An id as bytes of a segment. */
uint64_t names_id(const uint8_t id[16]);

/* One that appeared, with its name. NULL: no memory. */
const struct named *names_add(struct names *names, uint64_t id, const char *name);

/* Look it up; of one that nobody knows, the name is the id in digits. NULL: no memory. */
const struct named *names_find(struct names *names, uint64_t id);

/* It is the kernel module's, as it turned out. */
void names_on_device(struct names *names, uint64_t id);

/* Take those that only the programs have seen, as of other directories. Return: 0 or -ENOMEM. */
int names_learn(struct names *names);

/* Who is in this slot now, or was when last looked; 0 and "" if nobody knows. */
struct names_peer names_peer(struct names *names, uint64_t id, uint32_t slot);

#endif /* TOOLS_TRACE_NAMES_H */
