// SPDX-License-Identifier: MIT
/*
 * completion.c - shmipc completion: what a shell completes the command line with
 *
 * The scripts are thin: at each TAB they run "shmipc completion words -- WORD...",
 * which looks into the tables of options and at the segments that there are.
 */
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <shmipc/discover.h>
#include "commands.h"
#include "../opts/opts.h"
#include "../util/util.h"
#include "../view/view.h"

static const char bash_script[] =
	"# bash completion of shmipc; load it with: source <(shmipc completion bash)\n"
	"_shmipc()\n"
	"{\n"
	"\tlocal cur=${COMP_WORDS[COMP_CWORD]} shmipc=${COMP_WORDS[0]/#\\~/$HOME} line lines\n"
	"\n"
	"\t[ \"$cur\" != = ] || cur=\n"
	"\tCOMPREPLY=()\n"
	"\tmapfile -t lines < <(\"$shmipc\" completion words -- \\\n"
	"\t\t\"${COMP_WORDS[@]:1:COMP_CWORD-1}\" \"$cur\" 2>/dev/null)\n"
	"\tfor line in \"${lines[@]}\"; do\n"
	"\t\tcase $line in\n"
	"\t\t:files|:dirs)\n"
	"\t\t\tcompopt -o filenames 2>/dev/null\n"
	"\t\t\tif [ \"$line\" = :files ]; then line=-f; else line=-d; fi\n"
	"\t\t\tmapfile -t COMPREPLY < <(compgen $line -- \"$cur\") ;;\n"
	"\t\t*) COMPREPLY+=(\"${line%%$'\\t'*}\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"}\n"
	"complete -F _shmipc shmipc\n";

static const char zsh_script[] =
	"#compdef shmipc\n"
	"# zsh completion of shmipc; load it with: source <(shmipc completion zsh)\n"
	"_shmipc()\n"
	"{\n"
	"\tlocal line\n"
	"\tlocal -a values\n"
	"\n"
	"\tfor line in \"${(@f)$(${~words[1]} completion words -- \\\n"
	"\t\t\"${(@)words[2,CURRENT-1]}\" \"$PREFIX\" 2>/dev/null)}\"; do\n"
	"\t\tcase $line in\n"
	"\t\t:files) _files && return ;;\n"
	"\t\t:dirs) _files -/ && return ;;\n"
	"\t\t?*) values+=(\"${${line%%$'\\t'*}//:/\\\\:}:${line#*$'\\t'}\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\t(( $#values )) && _describe -t values shmipc values\n"
	"}\n"
	"if [ \"$funcstack[1]\" = _shmipc ]; then _shmipc \"$@\"; else compdef _shmipc shmipc; fi\n";

/* One that begins with @cur: @kept and the word; after a tab what it is. */
static void offer(const char *cur, const char *kept, const char *word, const char *about)
{
	if (!strncmp(word, cur, strlen(cur)))
		printf("%s%s\t%s\n", kept, word, about);
}

static void offer_commands(const char *cur)
{
	size_t i;

	for (i = 0; opts_commands[i]; i++)
		offer(cur, "", opts_commands[i]->name, opts_commands[i]->brief);
	offer(cur, "", "--help", "list the commands");
	offer(cur, "", "--version", "print the version");
}

static int offer_name(const char *name, int err, const struct shmipc_segment_stat *st, void *arg)
{
	offer(arg, "", name, err || st->info.kind == SHMIPC_KIND_RAW ? "segment" :
	      kind_word(st->info.kind));
	return 0;
}

/* A copy, as the library calls back with a pointer that is not const. */
static void offer_names(const char *cur, uint32_t kind)
{
	char text[SHMIPC_NAME_MAX + 1];

	if (strlen(cur) > SHMIPC_NAME_MAX)
		return;
	strcpy(text, cur);
	(void)shmipc_discover_each(NULL, kind, offer_name, text);
}

static void offer_options(const struct command *command, const char *cur)
{
	const struct opt *opt;
	struct opts_iter it;

	if (*cur == '-' && cur[1] && cur[1] != '-')
		return;
	opts_iter_init(&it, command);
	while ((opt = opts_iter_next(&it)))
		offer(cur + strspn(cur, "-"), "--", opt->name, opt->help);
}

static void offer_groups(const char *head, const char *cur)
{
	struct group *gr;

	setgrent();
	while ((gr = getgrent()))
		offer(cur, head, gr->gr_name, "group");
	endgrent();
}

static void offer_users(const char *head, const char *cur)
{
	struct passwd *pw;

	setpwent();
	while ((pw = getpwent()))
		offer(cur, head, pw->pw_name, "user");
	endpwent();
	offer(cur, head, "any", "no matter which user has created it");
}

/* @head: what stands before the value, "" or "--name=". */
static void offer_values(const struct opt *opt, const char *head, const char *cur)
{
	const char *comma = strrchr(cur, ',');
	int list = opt->arg && !strcmp(opt->arg, "LIST");
	char kept[128];
	size_t i;

	if (!list || !comma)
		comma = cur - 1;
	snprintf(kept, sizeof(kept), "%s%.*s", head, (int)(comma + 1 - cur), cur);
	for (i = 0; opt->words && opt->words[i]; i++)
		offer(comma + 1, kept, opt->words[i], opt->help);
	if (opt->arg && !strcmp(opt->arg, "FILE"))
		puts(":files");
	if (opt->arg && !strcmp(opt->arg, "DIR"))
		puts(":dirs");
	if (opt->arg && !strcmp(opt->arg, "GROUP"))
		offer_groups(head, cur);
	if (opt->arg && !strcmp(opt->arg, "USER|any"))
		offer_users(head, cur);
}

static void offer_arguments(const struct command *command, int nth, const char *cur)
{
	static const uint32_t kinds[] = {
		[ARGS_RING] = SHMIPC_KIND_SPSC, [ARGS_TOPIC] = SHMIPC_KIND_TOPIC,
		[ARGS_SEGMENT] = SHMIPC_KIND_ANY, [ARGS_EVENT] = SHMIPC_KIND_EVENT,
		[ARGS_DEADMAN] = SHMIPC_KIND_DEADMAN, [ARGS_LOCK] = SHMIPC_KIND_LOCK,
		[ARGS_QUEUE] = SHMIPC_KIND_QUEUE,
	};
	size_t i;

	if (nth >= command->max_args)
		return;
	for (i = 0; !nth && command->verbs && command->verbs[i]; i++)
		offer(cur, "", command->verbs[i], command->brief);
	/* After a verb there is one name, and then what is not one. */
	if ((command->verbs && nth != 1) || (command->args_of == ARGS_LOCK && nth))
		return;
	for (i = 0; command->arg_words && command->arg_words[i]; i++)
		offer(cur, "", command->arg_words[i], command->brief);
	if (command->args_of != ARGS_NONE)
		offer_names(cur, kinds[command->args_of]);
}

/* The option "--NAME" or "--NAME=..."; NULL: there is none. */
static const struct opt *long_option(const struct command *command, const char *word)
{
	size_t len = strcspn(word + 2, "=");
	const struct opt *opt;
	struct opts_iter it;

	opts_iter_init(&it, command);
	while ((opt = opts_iter_next(&it)))
		if (strlen(opt->name) == len && !strncmp(opt->name, word + 2, len))
			return opt;
	return NULL;
}

/* Of "-abc" the letter that takes the next word as its value; NULL: none does. */
static const struct opt *pending_letter(const struct command *command, const char *letters)
{
	const struct opt *opt;
	struct opts_iter it;
	char arg[64];

	for (; *letters; letters++) {
		opts_iter_init(&it, command);
		while ((opt = opts_iter_next(&it)) && opt->letter != *letters)
			;
		if (opt && opt_arg(opt, arg, sizeof(arg)))
			return letters[1] ? NULL : opt;
	}
	return NULL;
}

/* What the words before the last one come to. */
struct before {
	const struct opt *pending;	/* waits for its value */
	int nargs;
	int only_args;			/* "--" was there */
};

static void read_word(struct before *b, const struct command *command, const char *word)
{
	char arg[64];

	if (b->pending) {
		/* bash makes three words of "--name=value". */
		if (strcmp(word, "="))
			b->pending = NULL;
	} else if (b->only_args || *word != '-' || !word[1]) {
		b->nargs++;
	} else if (!strcmp(word, "--")) {
		b->only_args = 1;
	} else if (word[1] != '-') {
		b->pending = pending_letter(command, word + 1);
	} else if (!strchr(word, '=')) {
		b->pending = long_option(command, word);
		if (b->pending && !opt_arg(b->pending, arg, sizeof(arg)))
			b->pending = NULL;
	}
}

static void complete(char **words, int n)
{
	const char *cur = n ? words[n - 1] : "", *eq;
	struct before b = { .nargs = 0 };
	const struct command *command;
	const struct opt *opt;
	char head[64];
	int i;

	if (n < 2) {
		offer_commands(cur);
		return;
	}
	command = opts_find_command(words[0]);
	for (i = 1; command && i < n - 1; i++)
		read_word(&b, command, words[i]);
	eq = strchr(cur, '=');
	if (!command) {
		return;
	} else if (b.pending) {
		offer_values(b.pending, "", cur);
	} else if (b.only_args || *cur != '-') {
		offer_arguments(command, b.nargs, cur);
	} else if (!eq) {
		offer_options(command, cur);
	} else if (!strncmp(cur, "--", 2)) {
		opt = long_option(command, cur);
		snprintf(head, sizeof(head), "%.*s", (int)(eq + 1 - cur), cur);
		if (opt)
			offer_values(opt, head, eq + 1);
	}
}

static const char *const shells[] = { "bash", "zsh", NULL };

static int run_completion(int argc, char **argv)
{
	struct opts_args args;
	const char *what;

	opts_parse(&cmd_completion, argc, argv, NULL, &args);
	what = args.text[0];
	if (!strcmp(what, "words"))
		complete(args.text + 1, args.n - 1);
	else if (args.n > 1)
		opts_refuse("\"%s\" is one argument too many", args.text[1]);
	else if (!strcmp(what, "bash"))
		fputs(bash_script, stdout);
	else if (!strcmp(what, "zsh"))
		fputs(zsh_script, stdout);
	else
		opts_refuse("\"%s\" is not a shell that is known; expected bash or zsh (EINVAL)", what);
	return tool_flush();
}

const struct command cmd_completion = {
	.name = "completion", .brief = "print a script that completes the command line",
	.args = "bash|zsh", .arg_words = shells, .min_args = 1, .max_args = INT_MAX,
	.about =
	"Prints a script that makes the shell complete commands, options, their values and the "
	"names of segments. To load it into the shell that is running:\n\n"
	"  source <(shmipc completion bash)\n"
	"  source <(shmipc completion zsh)\n\n"
	"make install puts the scripts where both shells find them by themselves.\n",
	.run = run_completion,
};
