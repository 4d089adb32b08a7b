// SPDX-License-Identifier: MIT
/* help.c - what --help prints */
#include <stdio.h>
#include <string.h>
#include "opts.h"

#define COLUMNS		80
#define LEFT		26	/* columns of the options and their values */

const char opts_exit_codes[] =
	"Exit codes: 0 done; 1 failed; 2 wrong use; 3 the other side died, or left before "
	"the end; 4 --timeout passed; 5 messages lost with --strict, or cut off as too "
	"slow; 128+N signal N.\n";

/* "BYTES"; of an option with a choice of words "4k|2m|1g"; NULL: it takes no value. */
const char *opt_arg(const struct opt *opt, char *text, size_t cap)
{
	size_t i, n = 0;

	if (opt->arg || !opt->words)
		return opt->arg;
	for (i = 0; opt->words[i] && n < cap; i++)
		n += (size_t)snprintf(text + n, cap - n, "%s%s", i ? "|" : "", opt->words[i]);
	return text;
}

/* One line of @text, in columns from @from on; the cursor is there. */
static void print_wrapped(FILE *to, const char *text, int from)
{
	const char *end;
	int at = from, len;

	for (; *text && *text != '\n'; text = end + strspn(end, " ")) {
		end = text + strcspn(text, " \n");
		len = (int)(end - text);
		if (at > from && at + 1 + len > COLUMNS) {
			fprintf(to, "\n%*s", from, "");
			at = from;
		}
		at += fprintf(to, "%s%.*s", at > from ? " " : "", len, text);
	}
	fputc('\n', to);
}

void opts_print_text(FILE *to, const char *text)
{
	int len;

	for (; *text; text += len + (text[len] == '\n')) {
		len = (int)strcspn(text, "\n");
		if (*text == ' ')
			fprintf(to, "%.*s\n", len, text);
		else
			print_wrapped(to, text, 0);
	}
}

static void print_option(const struct opt *opt)
{
	const char *def = opt->preset ? opt->preset : opt->library, *arg;
	char text[512], words[64];
	int n = opt->letter ? printf("  -%c, ", opt->letter) : printf("      ");

	arg = opt_arg(opt, words, sizeof(words));
	n += printf("--%s%s%s", opt->name, arg ? " " : "", arg ? arg : "");
	snprintf(text, sizeof(text), "%s%s%s%s", opt->help, def ? " (default " : "", def ? def : "",
		 def ? ")" : "");
	/* A left column that is full has the text below it, never beside it. */
	if (n > LEFT - 2)
		printf("\n%*s", LEFT, "");
	else
		printf("%*s", LEFT - n, "");
	print_wrapped(stdout, text, LEFT);
}

static void print_group(const struct opt_group *group)
{
	const struct opt *opt;

	if (group->title) {
		putchar('\n');
		print_wrapped(stdout, group->title, 0);
	}
	for (opt = group->opts; opt->name; opt++)
		print_option(opt);
}

void opts_help(const struct command *command)
{
	const struct opt_group *group = command->groups;
	const struct opt *opt, *last = NULL;
	struct opts_iter it;

	printf("usage: shmipc %s [OPTION]...%s%s\n\n", command->name, *command->args ? " " : "",
	       command->args);
	opts_print_text(stdout, command->about);
	printf("\nOptions:\n");
	for (; group && group->opts && !group->title; group++)
		print_group(group);
	/* The last one of all, --help itself, stands with those that have no title. */
	opts_iter_init(&it, command);
	while ((opt = opts_iter_next(&it)))
		last = opt;
	print_option(last);
	for (; group && group->opts; group++)
		print_group(group);
	putchar('\n');
	if (command->notes) {
		opts_print_text(stdout, command->notes);
		putchar('\n');
	}
	opts_print_text(stdout, opts_exit_codes);
}
