/* SPDX-License-Identifier: MIT */
/*
 * names.h - names and peers of segments by the ids that probes carry
 *
 * An id stays known when its segment has been removed. An id that was not seen here may
 * be known to the eBPF programs, which take the name from the probe.
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
	int stamped;		/* its messages carry the time of publication, or may carry it */
	char name[TRACE_NAME];
	/* its peers at the last look-up, by slot */
	struct names_peer *peer;
	uint32_t npeers;
	uint64_t looked_ns;
};

struct names {
	const struct trace_opts *opts;	/* with the patterns */
	int map;			/* the eBPF programs' map of names; -1: none */
	void *tree;			/* of tsearch(3) */
	/* called for a new segment; may be NULL */
	void (*fn)(const struct named *n, void *arg);
	void *arg;
};

void names_init(struct names *names, const struct trace_opts *o);
void names_done(struct names *names);

/* Add the segments that exist now. Return: 0 or -errno. */
int names_discover(struct names *names);

/* The first 8 bytes of a segment's id. */
uint64_t names_id(const uint8_t id[16]);

/* Add a segment that appeared. NULL: out of memory. */
const struct named *names_add(struct names *names, uint64_t id, const char *name);

/* Look it up; the name of an unknown one is its id in digits. NULL: out of memory. */
const struct named *names_find(struct names *names, uint64_t id);

/* It turned out to be a segment of the kernel module. */
void names_on_device(struct names *names, uint64_t id);

/* Add those that only the eBPF programs have seen. Return: 0 or -ENOMEM. */
int names_learn(struct names *names);

/* The peer in this slot now, or at the last look; 0 and "" if not known. */
struct names_peer names_peer(struct names *names, uint64_t id, uint32_t slot);

#endif /* TOOLS_TRACE_NAMES_H */
