/* SPDX-License-Identifier: MIT */
/* opts.h - options that commands share: those that send and receive, and all that create */
#ifndef TOOLS_STREAM_OPTS_H
#define TOOLS_STREAM_OPTS_H

#include "../opts/values.h"

/* Whose segment to join; flags of struct shmipc_segment_opts, and its owner. */
struct owned_by {
	uint32_t flags;
	uint32_t owner;
};

/* All four. */
struct stream_opts {
	struct owned_by owned_by;
	uint64_t spin_ns;
	uint64_t timeout_ns;		/* SHMIPC_FOREVER: none */
	int json;
	int quiet;
	int brief;			/* no progress; a summary with @json only */
};

struct numa_node {
	int32_t node;
	int given;
};

struct owner_group {
	uint32_t gid;
	int given;
};

/* The segment, if it has to be created; 0 or NULL: the library's default. */
struct create_opts {
	uint64_t page;
	uint32_t mode;
	struct owner_group group;
	struct numa_node numa;
	int persist;
};

/* What has no data of its own: events, roles, locks. */
struct access_opts {
	struct owned_by owned_by;
	uint32_t mode;
	struct owner_group group;
	int persist;
};

/* Flags of struct shmipc_segment_opts. */
uint32_t access_flags(const struct access_opts *o);

/* The same members of a noun's options; @o: struct access_opts. */
#define ACCESS_OF(o)									\
	.flags = access_flags(o), .mode = (o)->mode, .gid = (o)->group.gid, .owner = (o)->owned_by.owner

/* A ring, too. */
struct ring_opts {
	uint64_t bytes;
	uint32_t align;
};

struct pool_size {
	uint64_t bytes;
	int none;			/* a topic without a pool */
};

/* A topic, too. */
struct topic_opts {
	uint32_t publishers;
	uint32_t subscribers;
	uint64_t history;
	uint64_t inline_bytes;
	struct pool_size pool;
	uint32_t holds;
	uint32_t meta;
	uint32_t policies;
	uint64_t evict_ns;
	uint64_t abort_ns;
	uint64_t fence_ns;
	uint64_t seal_bytes;
	uint32_t align;
	int populate;			/* take all memory at once */
};

/* send and pub. */
/* How pub takes messages from its input: as --lines and --size say, lines, or objects. */
enum { INPUT_RAW, INPUT_LINES, INPUT_JSON };

struct input_opts {
	const char *file;		/* NULL: standard input */
	const char *message;		/* pub; NULL: read the input */
	int lines;
	uint32_t format;		/* pub: INPUT_* */
	uint64_t size;			/* 0: what one read returns */
	uint64_t repeat;
	uint64_t count;			/* pub; 0: no limit */
	int whole;			/* queue push: all of the input is one item */
};

extern const struct opt stream_options[];
extern const struct opt create_options[];
extern const struct opt access_options[];
extern const struct opt ring_options[];
extern const struct opt topic_options[];
extern const struct opt input_options[];

/* Seconds, or "never". */
void take_timeout(const struct opt *opt, const char *text, void *to);

/* For --help. */
#define CREATE_TITLE(what)							\
	"Options of the " what ", for the side that creates it; for the others they must be "	\
	"the same or absent:"
#define BYTES_NOTE	"BYTES may end in K, M or G.\n"

#endif /* TOOLS_STREAM_OPTS_H */
