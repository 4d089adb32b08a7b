/* SPDX-License-Identifier: MIT */
/* opts.h - the options of all commands: one table, from which --help comes too */
#ifndef TOOLS_OPTS_H
#define TOOLS_OPTS_H

#include <stdint.h>
#include <shmipc/channel.h>

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
};

#define FOR_INPUT	(FOR_SEND | FOR_PUB)
#define FOR_OUTPUT	(FOR_RECV | FOR_SUB)
#define FOR_BCAST	(FOR_PUB | FOR_SUB)
#define FOR_STREAM	(FOR_INPUT | FOR_OUTPUT)
#define FOR_LOOK	(FOR_LS | FOR_STAT | FOR_RM | FOR_GC | FOR_DOCTOR | FOR_WATCH)
#define FOR_ALL		(FOR_STREAM | FOR_LOOK)

/* What a command is, for its --help. */
struct opts_command {
	const char *name;
	uint32_t bit;		/* FOR_* */
	const char *args;	/* "NAME" */
	int min_args;
	int max_args;
	const char *about;	/* whole lines */
};

struct opts {
	const struct opts_command *command;
	/* what is moved */
	const char *file;	/* NULL: standard input or output */
	int lines;
	uint64_t size;		/* 0: as it comes */
	uint64_t repeat;
	uint64_t count;		/* 0: no limit */
	/* the segment, when it has to be made */
	uint64_t ring;
	uint64_t page;
	uint64_t align;
	uint64_t peers;
	uint32_t mode;
	int32_t node;
	int has_node;
	int persist;
	/* the end */
	uint64_t spin_ns;
	uint64_t timeout_ns;	/* SHMIPC_FOREVER: none */
	uint32_t start;
	uint64_t stride;
	uint64_t at;
	uint64_t wait_readers;
	int no_drain;
	int follow;
	int strict;
	/* what is told */
	int json;
	int quiet;
	int dry_run;
	int force;
	int ends;
	int only_new;

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

/* The exit codes, as text for --help. */
extern const char opts_exit_codes[];

#endif /* TOOLS_OPTS_H */
