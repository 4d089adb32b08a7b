// SPDX-License-Identifier: MIT
/* opts.c - read the arguments of a command */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include "opts.h"
#include "../util/util.h"

#define FIRST_KEY	256	/* getopt_long() gives an option by its place, from here on */

const struct command *const *opts_commands;
static const struct command *current;

const struct command *opts_find_command(const char *name)
{
	size_t i;

	for (i = 0; opts_commands[i]; i++)
		if (!strcmp(name, opts_commands[i]->name))
			return opts_commands[i];
	return NULL;
}

static void take_help(const struct opt *opt, const char *text, void *to)
{
	(void)opt;
	(void)text;
	(void)to;
	opts_help(current);
	exit(tool_flush() == RC_FAIL ? RC_FAIL : RC_OK);
}

static const struct opt help[] = {
	{ .name = "help", .letter = 'h', .help = "print this text", .take = take_help },
	{ .name = NULL },
};

void opts_iter_init(struct opts_iter *it, const struct command *command)
{
	*it = (struct opts_iter){ .group = command->groups };
}

const struct opt *opts_iter_next(struct opts_iter *it)
{
	if (it->at_help)
		return NULL;
	while (it->group && it->group->opts) {
		it->opt = it->opt ? it->opt + 1 : it->group->opts;
		if (it->opt->name)
			return it->opt;
		it->opt = NULL;
		it->group++;
	}
	it->at_help = 1;
	return help;
}

const struct command *opts_command(void)
{
	return current;
}

static void refuse(const char *option, const char *text, const char *fmt, va_list ap)
{
	const char *args = current->args;

	fprintf(stderr, "shmipc: %s: ", current->name);
	if (option)
		fprintf(stderr, "--%s: found \"%s\", ", option, text);
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "%s\nusage: shmipc %s [OPTION]...%s%s; see shmipc %s --help\n",
		option ? " (EINVAL)" : "", current->name, *args ? " " : "", args, current->name);
}

void opts_refuse(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	refuse(NULL, NULL, fmt, ap);
	va_end(ap);
	exit(RC_USAGE);
}

void opt_refuse(const struct opt *opt, const char *text, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	refuse(opt->name, text, fmt, ap);
	va_end(ap);
	exit(RC_USAGE);
}

/* Two or more options begin with these @len bytes: say which. */
static void refuse_ambiguous(const char *text, size_t len)
{
	char all[256] = "";
	const struct opt *opt;
	struct opts_iter it;
	size_t n = 0, at = 0;

	opts_iter_init(&it, current);
	while ((opt = opts_iter_next(&it))) {
		if (strncmp(opt->name, text, len) || at >= sizeof(all))
			continue;
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s--%s", n++ ? ", " : "",
				       opt->name);
	}
	if (n > 1)
		opts_refuse("--%.*s is ambiguous: %s", (int)len, text, all);
}

/* What other commands call it. */
static const char *synonym(const char *word)
{
	static const char *const of[][2] = { { "group", "chgrp" }, { "owner", "owned-by" },
					     { "user", "owned-by" } };
	const struct opt *opt;
	struct opts_iter it;
	size_t i;

	for (i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		if (strcmp(word, of[i][0]))
			continue;
		opts_iter_init(&it, current);
		while ((opt = opts_iter_next(&it)))
			if (!strcmp(opt->name, of[i][1]))
				return opt->name;
	}
	return NULL;
}

static void refuse_unknown(const char *argument)
{
	const char *text = argument + strspn(argument, "-"), *names[OPTS_MAX], *nearest;
	size_t len = strcspn(text, "="), n = 0;
	const struct opt *opt;
	struct opts_iter it;
	char word[64];

	refuse_ambiguous(text, len);
	opts_iter_init(&it, current);
	while ((opt = opts_iter_next(&it)))
		names[n++] = opt->name;
	snprintf(word, sizeof(word), "%.*s", (int)len, text);
	nearest = synonym(word);
	if (!nearest)
		nearest = opts_nearest(word, names, n);
	opts_refuse("unknown option --%.*s%s%s%s", (int)len, text, nearest ? "; did you mean --" : "",
		    nearest ? nearest : "", nearest ? "?" : "");
}

/* getopt_long() gave @key instead of an option. */
static void refuse_key(int key, const struct opt *const *opts, const char *argument)
{
	const struct opt *opt = optopt >= FIRST_KEY ? opts[optopt - FIRST_KEY] : NULL;
	char arg[64];
	size_t i;

	for (i = 0; !opt && key == ':' && opts[i]; i++)
		if (opts[i]->letter == optopt)
			opt = opts[i];
	if (key == ':' && opt)
		opts_refuse("--%s: its value %s is missing", opt->name, opt_arg(opt, arg, sizeof(arg)));
	if (opt)
		opts_refuse("--%s takes no value, found \"%s\"", opt->name, argument);
	if (optopt)
		opts_refuse("unknown option -%c", optopt);
	refuse_unknown(argument);
}

/* The options as getopt_long() wants them, and in the same order as ours. */
static void make_tables(const struct opt *opts[OPTS_MAX], size_t at[OPTS_MAX],
			struct option longs[OPTS_MAX], char shorts[2 * OPTS_MAX + 2])
{
	const struct opt *opt;
	struct opts_iter it;
	char arg[64], *s = shorts;
	size_t n = 0;

	*s++ = ':';
	opts_iter_init(&it, current);
	while ((opt = opts_iter_next(&it)) && n < OPTS_MAX - 1) {
		opts[n] = opt;
		at[n] = (it.at_help ? 0 : it.group->at) + opt->at;
		longs[n] = (struct option){
			.name = opt->name, .val = FIRST_KEY + (int)n,
			.has_arg = opt_arg(opt, arg, sizeof(arg)) ? required_argument : no_argument,
		};
		if (opt->letter) {
			*s++ = opt->letter;
			if (longs[n].has_arg)
				*s++ = ':';
		}
		n++;
	}
	*s = 0;
	opts[n] = NULL;
	longs[n] = (struct option){ .name = NULL };
}

static size_t place(int key, const struct opt *const *opts)
{
	size_t i = 0;

	if (key >= FIRST_KEY)
		return (size_t)(key - FIRST_KEY);
	while (opts[i]->letter != key)
		i++;
	return i;
}

static void check_count(const struct opts_args *args)
{
	if (args->n < current->min_args)
		opts_refuse("%s is missing", current->args);
	if (args->n > current->max_args)
		opts_refuse("\"%s\" is one argument too many", args->text[current->max_args]);
}

/* The first argument says what to do, and which options that may have; those @given are marked. */
static void check_verb(struct opts_args *args, const char given[OPTS_MAX])
{
	const char *nearest;
	const struct opt *opt;
	struct opts_iter it;
	uint32_t n = 0;

	args->verb = 0;
	while (current->verbs[n])
		n++;
	while (args->verb < n && strcmp(args->text[0], current->verbs[args->verb]))
		args->verb++;
	if (args->verb == n) {
		nearest = opts_nearest(args->text[0], current->verbs, n);
		opts_refuse("\"%s\" is not something that %s does%s%s%s", args->text[0], current->name,
			    nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
	}
	opts_iter_init(&it, current);
	for (n = 0; (opt = opts_iter_next(&it)) && !it.at_help; n++)
		if (given[n] && it.group->verbs && !(it.group->verbs >> args->verb & 1))
			opts_refuse("--%s is not an option of %s %s", opt->name, current->name,
				    args->text[0]);
}

void opts_parse(const struct command *command, int argc, char **argv, void *values,
		struct opts_args *args)
{
	char shorts[2 * OPTS_MAX + 2], *to = values;
	const struct opt *opts[OPTS_MAX];
	struct option longs[OPTS_MAX];
	size_t at[OPTS_MAX], i;
	char given[OPTS_MAX] = "";
	int key;

	current = command;
	tool_begin(command->name);
	make_tables(opts, at, longs, shorts);
	for (i = 0; opts[i]; i++)
		if (opts[i]->preset)
			opts[i]->take(opts[i], opts[i]->preset, to + at[i]);
	opterr = 0;
	optind = 1;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (key == ':' || key == '?')
			refuse_key(key, opts, argv[optind - 1]);
		i = place(key, opts);
		opts[i]->take(opts[i], optarg, to + at[i]);
		given[i] = 1;
	}
	args->n = argc - optind;
	args->text = argv + optind;
	check_count(args);
	if (command->verbs)
		check_verb(args, given);
}

const char *opts_name(const struct opts_args *args, int i)
{
	const char *reason = "", *name = args->text[i];

	if (shmipc_name_check(name, &reason))
		opts_refuse("\"%s\" is not a valid name of a %s: %s (EINVAL)", name,
			    current->args_of == ARGS_TOPIC ? "topic" : "segment", reason);
	return name;
}

void opts_patterns(const struct opts_args *args)
{
	const char *reason = "";
	int i;

	for (i = 0; i < args->n; i++)
		if (shmipc_glob_check(args->text[i], &reason))
			opts_refuse("\"%s\" is not a valid pattern of names: %s (EINVAL)",
				    args->text[i], reason);
}

int opts_is_pattern(const char *text)
{
	return strpbrk(text, "*?[\\") != NULL;
}

int opts_matches(const struct opts_args *args, const char *name)
{
	int i;

	for (i = 0; i < args->n; i++)
		if (shmipc_glob_match(args->text[i], name))
			return 1;
	return !args->n;
}
