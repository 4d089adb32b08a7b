/* SPDX-License-Identifier: MIT */
/*
 * opts.h - commands and their options
 *
 * A command states its options in tables beside its code; what several commands
 * share stands in a table that they all name. Parsing, --help, completion and the
 * comparison with the manual pages use these tables and nothing else.
 */
#ifndef TOOLS_OPTS_OPTS_H
#define TOOLS_OPTS_OPTS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct opt;

/* Put what @text says at @to, or end the process with opt_refuse(). */
typedef void opt_take(const struct opt *opt, const char *text, void *to);

/* One option; values.h has the usual ones. */
struct opt {
	const char *name;		/* "ring" for --ring; NULL ends a table */
	char letter;			/* 'r' for -r, or 0 */
	const char *arg;		/* what --help calls its value, "BYTES"; NULL: as words */
	const char *help;		/* one text; it is wrapped */
	opt_take *take;
	size_t at;			/* where the value is in the struct of its group */
	const char *const *words;	/* the values that it takes, NULL at the end; NULL: any */
	/* The value without the option, as text. */
	const char *preset;		/* the command's: it is taken before the arguments are read */
	const char *library;		/* the library's: it is only shown */
	uint64_t min, max;		/* of numbers; max 0: no limit */
};

/* Options that stand together. */
struct opt_group {
	const char *title;		/* above them in --help */
	const struct opt *opts;		/* NULL ends the list of groups */
	size_t at;			/* where their struct is in that of the command */
	uint32_t verbs;			/* only with these, a bit for each; 0: with all */
};

/* What the arguments of a command name; for completion. */
enum args_of { ARGS_NONE, ARGS_RING, ARGS_TOPIC, ARGS_SEGMENT, ARGS_COMMAND, ARGS_EVENT,
	       ARGS_DEADMAN, ARGS_LOCK, ARGS_QUEUE };

struct command {
	const char *name;
	const char *brief;		/* for shmipc --help */
	const char *args;		/* "NAME", "[PATTERN]...", "" */
	enum args_of args_of;
	const char *const *arg_words;	/* an argument is one of these; NULL: it is not */
	const char *const *verbs;	/* the first argument is one of these; NULL: it is not */
	int min_args;
	int max_args;
	const char *about;		/* each line is wrapped, unless it begins with a blank */
	const char *notes;		/* after the options, the same; NULL: nothing */
	const struct opt_group *groups;	/* NULL: no options but --help */
	int (*run)(int argc, char **argv);
};

/* Arguments that are no options. */
struct opts_args {
	int n;
	char **text;
	uint32_t verb;			/* the place of the first one in the command's verbs */
};

/**
 * opts_parse - read a command's arguments
 * @command: the command
 * @argc:    arguments, the first of which is the command's name
 * @argv:    the same
 * @values:  the command's struct, zeroed; presets and values are put there
 * @args:    filled in
 *
 * Ends the process after --help, and with RC_USAGE and a message if something is
 * wrong. Names of segments are not checked.
 */
void opts_parse(const struct command *command, int argc, char **argv, void *values,
		struct opts_args *args);

/* What the help of commands that take patterns says of them. */
#define PATTERNS_TEXT								\
	"With PATTERNs, only names that match one of them: * and ? stay within a part "		\
	"between slashes, ** is any number of parts, [a-z] is one byte of these.\n"

/* The arguments are patterns, checked; ends the process with RC_USAGE. */
void opts_patterns(const struct opts_args *args);

/* Is it a pattern, and not just a name? */
int opts_is_pattern(const char *text);

/* Does one of them match? 1 also if there is none. */
int opts_matches(const struct opts_args *args, const char *name);

/* An argument is a name, checked; ends the process with RC_USAGE. */
const char *opts_name(const struct opts_args *args, int i);

/* All commands, in the order of shmipc --help, NULL at the end; set by main(). */
extern const struct command *const *opts_commands;

/* NULL: there is no such command. */
const struct command *opts_find_command(const char *name);

/* The command whose arguments were parsed. */
const struct command *opts_command(void);

/* Ends the process with RC_USAGE, this message and a hint at --help. */
void opts_refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same for a value: "--ring: found "x", expected ..." */
void opt_refuse(const struct opt *opt, const char *text, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/* help.c: --help of a command; what a value is called, "BYTES" or "4k|2m" or NULL. */
void opts_help(const struct command *command);
void opts_print_text(FILE *to, const char *text);
const char *opt_arg(const struct opt *opt, char *text, size_t cap);

/* near.c: the most similar of @words, if it is similar enough; else NULL. */
const char *opts_nearest(const char *word, const char *const *words, size_t n);

/* A walk over all options of a command, with --help at the end. */
struct opts_iter {
	const struct opt_group *group;	/* of the option */
	const struct opt *opt;
	int at_help;
};

void opts_iter_init(struct opts_iter *it, const struct command *command);
const struct opt *opts_iter_next(struct opts_iter *it);

#define OPTS_MAX	64u		/* options of a command */

/* The exit codes, for opts_print_text(). */
extern const char opts_exit_codes[];

#endif /* TOOLS_OPTS_OPTS_H */
