// SPDX-License-Identifier: MIT
/* opts.c - the options of all commands */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include "opts.h"
#include "util.h"

/* Keys of options without a letter. */
enum {
	KEY_NODE = 256, KEY_MODE, KEY_ALIGN, KEY_PEERS, KEY_PERSIST, KEY_WAIT, KEY_FROM,
	KEY_STRIDE, KEY_AT, KEY_WAIT_READERS, KEY_NO_DRAIN, KEY_FOLLOW, KEY_STRICT, KEY_REPEAT,
	KEY_ENDS, KEY_NEW,
};

struct opt_def {
	const char *name;
	int key;
	const char *arg;	/* NULL: takes none */
	uint32_t commands;	/* FOR_* */
	const char *help;
};

static const struct opt_def defs[] = {
	{ "file", 'f', "FILE", FOR_INPUT, "read FILE, not standard input" },
	{ "file", 'f', "FILE", FOR_OUTPUT, "write FILE, not standard output" },
	{ "lines", 'l', NULL, FOR_INPUT, "each line, with its newline, is a message" },
	{ "lines", 'l', NULL, FOR_OUTPUT,
	  "put a newline between messages where the first ends in none" },
	{ "size", 's', "BYTES", FOR_INPUT,
	  "each message has BYTES, the last maybe fewer; without\n"
	  "this a message is what one read gives, at most 64K" },
	{ "repeat", KEY_REPEAT, "N", FOR_INPUT, "the input N times over; it must be a file" },
	{ "count", 'c', "N", FOR_OUTPUT, "end after N messages" },
	{ "ring", 'r', "BYTES", FOR_STREAM, "room in the ring, rounded up to a power of two (1M)" },
	{ "page", 'p', "SIZE", FOR_STREAM, "4k, 2m, 1g or auto: pages to ask for (auto)" },
	{ "node", KEY_NODE, "N", FOR_STREAM, "NUMA node of the memory" },
	{ "align", KEY_ALIGN, "BYTES", FOR_STREAM, "alignment of messages: 8, 16, 32, 64 (8)" },
	{ "mode", KEY_MODE, "OCTAL", FOR_STREAM, "permission bits (600)" },
	{ "peers", KEY_PEERS, "N", FOR_BCAST, "room for so many peers (64)" },
	{ "persist", KEY_PERSIST, NULL, FOR_STREAM, "the segment stays when the last peer goes" },
	{ "wait", 'w', "HOW", FOR_STREAM, "spin, block or auto: spin a little, then sleep (auto)" },
	{ "timeout", 't', "SECONDS", FOR_STREAM,
	  "give up when nothing moves for so long (never)" },
	{ "no-drain", KEY_NO_DRAIN, NULL, FOR_SEND,
	  "wait neither for a receiver at the start nor at the end\n"
	  "until it has taken all; of use with --persist" },
	{ "wait-readers", KEY_WAIT_READERS, "N", FOR_PUB, "begin when N readers are there" },
	{ "from", KEY_FROM, "WHERE", FOR_SUB,
	  "begin with new, newest or oldest messages (new)" },
	{ "stride", KEY_STRIDE, "N", FOR_SUB, "share the messages with others: take every Nth (1)" },
	{ "at", KEY_AT, "K", FOR_SUB, "with --stride: those with number modulo N = K (0)" },
	{ "follow", KEY_FOLLOW, NULL, FOR_OUTPUT,
	  "when the other side has ended, wait for the next one" },
	{ "strict", KEY_STRICT, NULL, FOR_SUB, "lost messages make the exit code 5" },
	{ "count", 'c', "N", FOR_WATCH, "end after N events" },
	{ "ends", 'e', NULL, FOR_WATCH, "tell of producers, consumers and readers too" },
	{ "new", KEY_NEW, NULL, FOR_WATCH, "do not tell what is there already" },
	{ "dry-run", 'n', NULL, FOR_GC, "only say what would be removed" },
	{ "force", 'f', NULL, FOR_RM, "a name that is not there is no error" },
	{ "json", 'j', NULL, FOR_STREAM, "standard error carries objects, one a line" },
	{ "json", 'j', NULL, FOR_LOOK, "objects, one a line" },
	{ "quiet", 'q', NULL, FOR_STREAM, "no progress and no summary" },
	{ "help", 'h', NULL, FOR_ALL, "this text" },
};

#define NDEFS	(sizeof(defs) / sizeof(defs[0]))

const char opts_exit_codes[] =
	"Exit codes: 0 done; 1 failed; 2 wrong use; 3 the other side died, or left before\n"
	"the end; 4 --timeout passed; 5 messages lost, with --strict; 128+N signal N.\n";

static void print_help(const struct opts_command *command)
{
	const char *line, *end;
	char left[40];
	size_t i;
	int n;

	printf("usage: shmipc %s [OPTION]...%s%s\n\n%s\nOptions:\n", command->name,
	       *command->args ? " " : "", command->args, command->about);
	for (i = 0; i < NDEFS; i++) {
		if (!(defs[i].commands & command->bit))
			continue;
		n = defs[i].key < 256 ? snprintf(left, sizeof(left), "  -%c, ", defs[i].key) :
			snprintf(left, sizeof(left), "      ");
		snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", defs[i].name,
			 defs[i].arg ? " " : "", defs[i].arg ? defs[i].arg : "");
		for (line = defs[i].help; line; line = end ? end + 1 : NULL) {
			end = strchr(line, '\n');
			n = end ? (int)(end - line) : (int)strlen(line);
			printf("%-26s%.*s\n", line == defs[i].help ? left : "", n, line);
		}
	}
	if (command->bit & FOR_STREAM)
		printf("\nBYTES may end in K, M or G. The options from --ring to --persist are for the\n"
		       "side that comes first and makes the ring; on the other side they must be the\n"
		       "same or absent.\n");
	printf("\n%s", opts_exit_codes);
}

void opts_refuse(const struct opts_command *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "shmipc: %s: ", command->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: shmipc %s [OPTION]...%s%s; see shmipc %s --help\n", command->name,
		*command->args ? " " : "", command->args, command->name);
	exit(RC_USAGE);
}

/* One of the words in @words, by its place; ends the process. */
static size_t a_word(const struct opts *o, const char *option, const char *text,
		     const char *const *words, size_t n, const char *expected)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(text, words[i]))
			return i;
	opts_refuse(o->command, "--%s: found \"%s\", expected %s", option, text, expected);
}

static uint64_t a_size(const struct opts *o, const char *option, const char *text)
{
	uint64_t v = 0;

	if (parse_size(text, &v) || !v)
		opts_refuse(o->command, "--%s: found \"%s\", expected bytes, as 4096 or 64K",
			    option, text);
	return v;
}

static uint64_t a_number(const struct opts *o, const char *option, const char *text,
			 uint64_t min, uint64_t max)
{
	uint64_t v = 0;

	if (parse_number(text, max, &v) || v < min)
		opts_refuse(o->command,
			    "--%s: found \"%s\", expected a number from %llu to %llu", option,
			    text, (unsigned long long)min, (unsigned long long)max);
	return v;
}

static uint32_t a_mode(const struct opts *o, const char *text)
{
	unsigned long v;
	char *end;

	v = strtoul(text, &end, 8);
	if (*end || end == text || *text == '-' || *text == '+' || !v || v > 0777)
		opts_refuse(o->command, "--mode: found \"%s\", expected octal digits up to 777",
			    text);
	return (uint32_t)v;
}

static uint64_t a_page(const struct opts *o, const char *text)
{
	static const char *const words[] = { "auto", "4k", "2m", "1g", "4K", "2M", "1G" };
	static const uint64_t pages[] = { 0, SHMIPC_PAGE_4K, SHMIPC_PAGE_2M, SHMIPC_PAGE_1G };
	size_t i = a_word(o, "page", text, words, 7, "4k, 2m, 1g or auto");

	return pages[i > 3 ? i - 3 : i];
}

static uint64_t a_wait(const struct opts *o, const char *text)
{
	static const char *const words[] = { "auto", "spin", "block" };
	static const uint64_t spins[] = { 0, SHMIPC_SPIN_ALWAYS, SHMIPC_SPIN_NEVER };

	return spins[a_word(o, "wait", text, words, 3, "spin, block or auto")];
}

static uint32_t a_start(const struct opts *o, const char *text)
{
	static const char *const words[] = { "new", "oldest", "newest" };
	static const uint32_t starts[] = { SHMIPC_START_NEW, SHMIPC_START_OLDEST,
					   SHMIPC_START_NEWEST };

	return starts[a_word(o, "from", text, words, 3, "new, newest or oldest")];
}

/* How many rounds the input, the stride and the peers may be set to. */
#define NUMBER_MAX	UINT64_C(1000000000000)

static void take_segment(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'r':
		o->ring = a_size(o, "ring", arg);
		break;
	case 'p':
		o->page = a_page(o, arg);
		break;
	case KEY_NODE:
		o->node = (int32_t)a_number(o, "node", arg, 0, 1023);
		o->has_node = 1;
		break;
	case KEY_ALIGN:
		o->align = a_number(o, "align", arg, 1, 64);
		break;
	case KEY_MODE:
		o->mode = a_mode(o, arg);
		break;
	case KEY_PEERS:
		o->peers = a_number(o, "peers", arg, 1, UINT32_MAX);
		break;
	case KEY_PERSIST:
		o->persist = 1;
		break;
	}
}

static void take_end(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'w':
		o->spin_ns = a_wait(o, arg);
		break;
	case 't':
		if (parse_seconds(arg, &o->timeout_ns))
			opts_refuse(o->command,
				    "--timeout: found \"%s\", expected seconds, as 2 or 0.5", arg);
		break;
	case KEY_NO_DRAIN:
		o->no_drain = 1;
		break;
	case KEY_WAIT_READERS:
		o->wait_readers = a_number(o, "wait-readers", arg, 1, UINT32_MAX);
		break;
	case KEY_FROM:
		o->start = a_start(o, arg);
		break;
	case KEY_STRIDE:
		o->stride = a_number(o, "stride", arg, 1, NUMBER_MAX);
		break;
	case KEY_AT:
		o->at = a_number(o, "at", arg, 0, NUMBER_MAX);
		break;
	case KEY_FOLLOW:
		o->follow = 1;
		break;
	case KEY_STRICT:
		o->strict = 1;
		break;
	default:
		take_segment(o, key, arg);
	}
}

static void take(struct opts *o, int key, const char *arg)
{
	switch (key) {
	case 'f':
		if (arg)
			o->file = arg;
		else
			o->force = 1;
		break;
	case 'l':
		o->lines = 1;
		break;
	case 's':
		o->size = a_size(o, "size", arg);
		break;
	case KEY_REPEAT:
		o->repeat = a_number(o, "repeat", arg, 1, NUMBER_MAX);
		break;
	case 'c':
		o->count = a_number(o, "count", arg, 1, UINT64_MAX);
		break;
	case 'j':
		o->json = 1;
		break;
	case 'q':
		o->quiet = 1;
		break;
	case 'n':
		o->dry_run = 1;
		break;
	case 'e':
		o->ends = 1;
		break;
	case KEY_NEW:
		o->only_new = 1;
		break;
	case 'h':
		print_help(o->command);
		exit(tool_flush());
	default:
		take_end(o, key, arg);
	}
}

/* What getopt_long() wants, for the options that this command takes. */
static void make_tables(uint32_t bit, struct option longs[NDEFS + 1], char shorts[3 * NDEFS + 2])
{
	size_t i, n = 0;
	char *s = shorts;

	*s++ = ':';
	for (i = 0; i < NDEFS; i++) {
		if (!(defs[i].commands & bit))
			continue;
		longs[n].name = defs[i].name;
		longs[n].has_arg = defs[i].arg ? required_argument : no_argument;
		longs[n].flag = NULL;
		longs[n++].val = defs[i].key;
		if (defs[i].key >= 256)
			continue;
		*s++ = (char)defs[i].key;
		if (defs[i].arg)
			*s++ = ':';
	}
	*s = 0;
	memset(&longs[n], 0, sizeof(longs[n]));
}

static void check_arguments(const struct opts *o)
{
	const struct opts_command *c = o->command;

	if (o->nargs < c->min_args)
		opts_refuse(c, "%s is missing", c->args);
	if (o->nargs > c->max_args)
		opts_refuse(c, "\"%s\" is one argument too many", o->args[c->max_args]);
	if (o->at >= o->stride)
		opts_refuse(c, "--at: found %llu, expected less than --stride %llu",
			    (unsigned long long)o->at, (unsigned long long)o->stride);
	if (o->lines && o->size)
		opts_refuse(c, "--lines and --size exclude each other");
}

void opts_parse(struct opts *o, const struct opts_command *command, int argc, char **argv)
{
	struct option longs[NDEFS + 1];
	char shorts[3 * NDEFS + 2];
	int key;

	*o = (struct opts){
		.command = command,
		.timeout_ns = SHMIPC_FOREVER,
		.stride = 1,
		.repeat = 1,
	};
	make_tables(command->bit, longs, shorts);
	opterr = 0;
	optind = 1;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (key == ':')
			opts_refuse(command, "%s: its value is missing", argv[optind - 1]);
		if (key == '?' && optopt > 0 && optopt < 256)
			opts_refuse(command, "unknown option -%c", optopt);
		if (key == '?')
			opts_refuse(command, "%s: unknown option, or not one that takes a value",
				    argv[optind - 1]);
		take(o, key, optarg);
	}
	o->nargs = argc - optind;
	o->args = argv + optind;
	check_arguments(o);
	tool_begin(command->name, o->json);
}

const char *opts_name(const struct opts *o)
{
	const char *reason = "";

	if (shmipc_name_check(o->args[0], &reason))
		opts_refuse(o->command, "\"%s\" is not the name of a segment: %s (EINVAL)",
			    o->args[0], reason);
	return o->args[0];
}

void opts_patterns(const struct opts *o)
{
	const char *reason = "";
	int i;

	for (i = 0; i < o->nargs; i++)
		if (shmipc_glob_check(o->args[i], &reason))
			opts_refuse(o->command, "\"%s\" is no pattern of names: %s (EINVAL)",
				    o->args[i], reason);
}

int opts_matches(const struct opts *o, const char *name)
{
	int i;

	for (i = 0; i < o->nargs; i++)
		if (shmipc_glob_match(o->args[i], name))
			return 1;
	return !o->nargs;
}
