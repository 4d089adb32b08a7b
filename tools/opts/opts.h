/* SPDX-License-Identifier: MIT */
/* opts.h - the options of all commands: one table, from which --help comes too */
#ifndef TOOLS_OPTS_OPTS_H
#define TOOLS_OPTS_OPTS_H

#include <stdint.h>
#include <shmipc/topic.h>

/* Which commands take an option. */
enum {
	FOR_SEND	= 1u << 0,
	FOR_RECV	= 1u << 1,
	FOR_PUB		= 1u << 2,
	FOR_SUB		= 1u << 3,
	FOR_LS		= 1u << 4,
	FOR_STAT	= 1u << 5,
	FOR_RM		= 1u << 6,
	FOR_GC		= 1u << 7,
	FOR_DOCTOR	= 1u << 8,
	FOR_WATCH	= 1u << 9,
	FOR_HZ		= 1u << 10,
	FOR_BW		= 1u << 11,
	FOR_TRACE	= 1u << 12,
	FOR_TOP		= 1u << 13,
	FOR_METRICS	= 1u << 14,
};

#define FOR_INPUT	(FOR_SEND | FOR_PUB)
#define FOR_OUTPUT	(FOR_RECV | FOR_SUB)
#define FOR_RING	(FOR_SEND | FOR_RECV)
#define FOR_TOPIC	(FOR_PUB | FOR_SUB)
#define FOR_STREAM	(FOR_INPUT | FOR_OUTPUT)
#define FOR_RATE	(FOR_HZ | FOR_BW)
#define FOR_LOOK	(FOR_LS | FOR_STAT | FOR_RM | FOR_GC | FOR_DOCTOR | FOR_WATCH)
#define FOR_ALL		(FOR_STREAM | FOR_RATE | FOR_LOOK | FOR_TRACE | FOR_TOP | FOR_METRICS)

/* What a command is, for its --help. */
struct opts_command {
	const char *name;
	uint32_t bit;		/* FOR_* */
	const char *args;	/* "NAME" */
	int min_args;
	int max_args;
	const char *about;	/* whole lines */
};

/* How sub writes a message; DEFAULT: raw, or lines on a terminal. */
enum { FORMAT_DEFAULT, FORMAT_RAW, FORMAT_LINES, FORMAT_HEX, FORMAT_JSON };

/* What trace looks at. */
enum { SOURCE_PROBES = 1u << 0, SOURCE_MODULE = 1u << 1, SOURCE_COUNTERS = 1u << 2 };

/* An option that may be given several times. */
#define OPTS_MANY	64u
struct opts_many {
	const char *text[OPTS_MANY];
	unsigned int n;
};

struct opts {
	const struct opts_command *command;
	/* what is moved */
	const char *file;	/* NULL: standard input or output */
	const char *message;	/* NULL: the input's */
	int lines;
	uint64_t size;		/* 0: as it comes */
	uint64_t repeat;
	uint64_t count;		/* 0: no limit */
	double rate;		/* messages a second; 0: no limit */
	struct opts_many headers;
	/* what is left out of it, and how the rest is shown */
	struct opts_many filters;
	const char *match;
	uint32_t format;
	int show_headers;
	/* the segment, when it has to be made */
	uint64_t ring;
	uint64_t page;
	uint64_t align;
	uint32_t mode;
	int32_t node;
	int has_node;
	int persist;
	/* the topic, too; 0: no wish */
	uint32_t publishers;
	uint32_t subscribers;
	uint64_t history;
	uint64_t inline_bytes;
	uint64_t pool;
	int no_pool;
	uint32_t holds;
	uint32_t meta;
	uint32_t policies;
	uint64_t evict_ns;
	/* the end */
	uint64_t spin_ns;
	uint64_t timeout_ns;	/* SHMIPC_FOREVER: none */
	uint64_t wait_subs;
	int no_drain;
	int follow;
	uint32_t start;
	uint64_t start_seq;
	int newest;
	uint32_t policy;
	uint32_t group;
	uint64_t stride;
	uint64_t at;
	int read_only;
	int until_gone;
	int strict;
	/* hz, bw */
	uint64_t window;
	uint64_t every_ns;
	int every_given;
	/* trace */
	uint32_t sources;	/* SOURCE_*, or-ed; 0: all that is there */
	int slow;
	int deaths;
	int stack;
	const char *events;
	const char *histogram;
	int sample;
	struct opts_many pids;
	const char *cgroup;
	const char *record;
	const char *read;
	const char *plot;
	uint64_t duration_ns;	/* 0: until it is interrupted */
	uint64_t buffer;	/* bytes; 0: no wish */
	/* what is told */
	int json;
	int quiet;
	int dry_run;
	int force;
	int ends;
	int only_new;
	/* top, metrics */
	uint32_t sort;		/* enum top_sort */
	int plain;
	const char *textfile;
	const char *listen;

	int nargs;
	char **args;
};

/**
 * opts_parse - read a command's arguments
 * @o:       filled in
 * @command: the command
 * @argc:    arguments, the first of which is the command's name
 * @argv:    the same
 *
 * Ends the process after --help, and with RC_USAGE and a message when something
 * is wrong. Segment names are not looked at.
 */
void opts_parse(struct opts *o, const struct opts_command *command, int argc, char **argv);

/* What the help of commands that take patterns says of them. */
#define PATTERNS_TEXT								\
	"With PATTERNs, only names that match one of them: * and ? stay within a part\n"	\
	"between slashes, ** is any number of parts, [a-z] is one byte of these.\n"

/* @o->args are patterns, checked; ends the process with RC_USAGE. */
void opts_patterns(const struct opts *o);

/* Does one of them match? 1 also if there is none. */
int opts_matches(const struct opts *o, const char *name);

/* The name in @o->args[0], checked; ends the process with RC_USAGE. */
const char *opts_name(const struct opts *o);

/* Ends the process with RC_USAGE, this message and a hint at --help. */
void opts_refuse(const struct opts_command *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

/* May this SOURCE_* be looked at? */
static inline int opts_source(const struct opts *o, uint32_t source)
{
	return !o->sources || (o->sources & source);
}

/* The exit codes, as text for --help. */
extern const char opts_exit_codes[];

#endif /* TOOLS_OPTS_OPTS_H */
