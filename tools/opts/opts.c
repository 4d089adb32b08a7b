// SPDX-License-Identifier: MIT
/* opts.c - the options of all commands */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <shmipc/discover.h>
#include "take.h"
#include "../util/util.h"

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
	{ "message", 'm', "TEXT", FOR_PUB, "publish TEXT, and do not read standard input" },
	{ "lines", 'l', NULL, FOR_INPUT, "each line, with its newline, is a message" },
	{ "lines", 'l', NULL, FOR_RECV,
	  "put a newline between messages where the first ends in none" },
	{ "lines", 'l', NULL, FOR_SUB, "the same as --format lines" },
	{ "size", 's', "BYTES", FOR_INPUT,
	  "each message has BYTES, the last maybe fewer; without\n"
	  "this a message is what one read gives, at most 64K" },
	{ "repeat", KEY_REPEAT, "N", FOR_SEND, "the input N times over; it must be a file" },
	{ "repeat", KEY_REPEAT, "N", FOR_PUB, "the same N times over: a file, or --message" },
	{ "count", 'c', "N", FOR_OUTPUT | FOR_PUB, "end after N messages" },
	{ "count", 'c', "N", FOR_RATE, "end after N reports" },
	{ "rate", KEY_RATE, "R", FOR_PUB, "at most R messages a second" },
	{ "header", 'H', "KEY=VALUE", FOR_PUB, "goes with each message; may be given again" },
	{ "from", KEY_FROM, "WHERE", FOR_SUB,
	  "begin with new, newest or oldest messages, or with the\n"
	  "one of this number (new)" },
	{ "newest", KEY_NEWEST, NULL, FOR_SUB, "go on with the newest each time, and skip the others" },
	{ "policy", KEY_POLICY, "WHAT", FOR_SUB,
	  "when it falls behind: lossy: lose messages and be told;\n"
	  "lossless: publishers wait; evict: they wait for a\n"
	  "while, then it is cut off (lossy)" },
	{ "group", KEY_GROUP, "N", FOR_SUB,
	  "each message goes to one subscriber of group N, 1 to 64" },
	{ "stride", KEY_STRIDE, "N/AT", FOR_SUB,
	  "share by number: take those with number modulo N = AT" },
	{ "filter", KEY_FILTER, "KEY=GLOB", FOR_SUB,
	  "only messages with such a header; may be given again,\n"
	  "then all must be there" },
	{ "match", KEY_MATCH, "GLOB", FOR_SUB,
	  "only messages whose payload is like this, as text" },
	{ "format", 'F', "HOW", FOR_SUB,
	  "raw, lines, hex, or json: one object a line (raw; on a\n"
	  "terminal lines)" },
	{ "headers", KEY_HEADERS, NULL, FOR_SUB,
	  "before each message its number, meta fields and headers" },
	{ "read-only", KEY_READ_ONLY, NULL, FOR_SUB,
	  "needs no right to write; the topic must be there" },
	{ "until-gone", KEY_UNTIL_GONE, NULL, FOR_SUB,
	  "end when the last publisher has gone and all is taken" },
	{ "strict", KEY_STRICT, NULL, FOR_SUB, "lost messages make the exit code 5" },
	{ "wait-subscribers", KEY_WAIT_SUBS, "N", FOR_PUB, "begin when N subscribers are there" },
	{ "no-drain", KEY_NO_DRAIN, NULL, FOR_SEND,
	  "wait neither for a receiver at the start nor at the end\n"
	  "until it has taken all; of use with --persist" },
	{ "follow", KEY_FOLLOW, NULL, FOR_RECV,
	  "when the other side has ended, wait for the next one" },
	{ "wait", 'w', "HOW", FOR_STREAM, "spin, block or auto: spin a little, then sleep (auto)" },
	{ "timeout", 't', "SECONDS", FOR_STREAM | FOR_RATE,
	  "give up when nothing moves for so long (never)" },
	{ "window", KEY_WINDOW, "N", FOR_RATE, "look back on the last N messages (1000)" },
	{ "every", KEY_EVERY, "SECONDS", FOR_RATE, "report so often (1)" },
	{ "ring", 'r', "BYTES", FOR_RING, "room in the ring, rounded up to a power of two (1M)" },
	{ "publishers", KEY_PUBLISHERS, "N", FOR_TOPIC,
	  "room for so many (64); 1 publishes faster" },
	{ "subscribers", KEY_SUBSCRIBERS, "N", FOR_TOPIC, "room for so many (256)" },
	{ "history", KEY_HISTORY, "N", FOR_TOPIC, "messages kept for those who come late (896)" },
	{ "inline", KEY_INLINE, "BYTES", FOR_TOPIC, "messages up to this lie in the log (240)" },
	{ "pool", KEY_POOL, "BYTES", FOR_TOPIC, "room for larger messages; 0: none (8M)" },
	{ "holds", KEY_HOLDS, "N", FOR_TOPIC, "messages that one subscriber may hold (16)" },
	{ "meta", KEY_META, "LIST", FOR_TOPIC,
	  "what each message carries: pub-id, pub-seq, mono, wall,\n"
	  "separated by commas, or all (nothing)" },
	{ "policies", KEY_POLICIES, "LIST", FOR_TOPIC,
	  "those of lossy, lossless, evict that subscribers may\n"
	  "choose (all)" },
	{ "evict-after", KEY_EVICT, "SECONDS", FOR_TOPIC,
	  "publishers wait so long for one of policy evict (0.1)" },
	{ "align", KEY_ALIGN, "BYTES", FOR_RING, "alignment of messages: 8, 16, 32, 64 (8)" },
	{ "align", KEY_ALIGN, "BYTES", FOR_TOPIC, "alignment of messages: 8 to 4096 (16)" },
	{ "page", 'p', "SIZE", FOR_STREAM, "4k, 2m, 1g or auto: pages to ask for (auto)" },
	{ "node", KEY_NODE, "N", FOR_STREAM, "NUMA node of the memory" },
	{ "mode", KEY_MODE, "OCTAL", FOR_STREAM, "permission bits (600)" },
	{ "persist", KEY_PERSIST, NULL, FOR_STREAM, "it stays when the last peer goes" },
	{ "count", 'c', "N", FOR_WATCH, "end after N events" },
	{ "ends", 'e', NULL, FOR_WATCH, "tell of producers, consumers and readers too" },
	{ "new", KEY_NEW, NULL, FOR_WATCH, "do not tell what is there already" },
	/* top, metrics */
	{ "every", KEY_EVERY, "SECONDS", FOR_TOP, "look so often (1)" },
	{ "sort", KEY_SORT, "WORD", FOR_TOP,
	  "rate, bytes, occupancy, lag, losses or name (rate)" },
	{ "ends", 'e', NULL, FOR_TOP, "show who is at each segment, too" },
	{ "plain", KEY_PLAIN, NULL, FOR_TOP, "text, though this is a terminal" },
	{ "count", 'c', "N", FOR_TOP, "end after N tables; implies --plain" },
	{ "json", 'j', NULL, FOR_TOP, "objects, one a segment and interval; implies --plain" },
	{ "textfile", KEY_TEXTFILE, "FILE", FOR_METRICS,
	  "replace FILE by the metrics, as a whole" },
	{ "listen", KEY_LISTEN, "[ADDR:]PORT", FOR_METRICS,
	  "answer HTTP there (127.0.0.1); port 0 is any, and is told" },
	{ "every", KEY_EVERY, "SECONDS", FOR_METRICS,
	  "--textfile: again so often (once); --listen: sample the\n"
	  "histograms so often (0.1)" },
	{ "dry-run", 'n', NULL, FOR_GC, "only say what would be removed" },
	{ "force", 'f', NULL, FOR_RM, "a name that is not there is no error" },
	{ "json", 'j', NULL, FOR_STREAM, "standard error carries objects, one a line" },
	{ "events", KEY_EVENTS, "LIST", FOR_TRACE,
	  "these events, with commas between them, or all; see below\n"
	  "(all but publish, take, their _some, hold, release)" },
	{ "histogram", KEY_HISTOGRAM, "WHAT", FOR_TRACE,
	  "publish-to-receive, wait, wake, occupancy or hold: how\n"
	  "long, or how many, per topic and per peer" },
	{ "slow", KEY_SLOW, NULL, FOR_TRACE, "who holds whom up, who loses messages, and why" },
	{ "deaths", KEY_DEATHS, NULL, FOR_TRACE, "who had an end and died, and how" },
	{ "stack", KEY_STACK, NULL, FOR_TRACE,
	  "with --slow: what the threads of who is slow are doing;\n"
	  "stops each of them for a moment" },
	{ "source", KEY_SOURCE, "LIST", FOR_TRACE,
	  "look at probes, module, counters or all, with commas\n"
	  "between them (all that is there)" },
	{ "sample", KEY_SAMPLE, NULL, FOR_TRACE,
	  "publish-to-receive of each 64th message only" },
	{ "pid", 'p', "PID", FOR_TRACE, "only this process; may be given again" },
	{ "cgroup", KEY_CGROUP, "DIR", FOR_TRACE, "only processes of this cgroup and those below" },
	{ "duration", 'd', "SECONDS", FOR_TRACE, "end after so long (when interrupted)" },
	{ "count", 'c', "N", FOR_TRACE, "end after N events, deaths, or reports of --slow" },
	{ "every", KEY_EVERY, "SECONDS", FOR_TRACE,
	  "show what a histogram has gathered so often (5); report\n"
	  "who is slow so often (1)" },
	{ "rate", KEY_RATE, "R", FOR_TRACE, "occupancy: look R times a second (100)" },
	{ "buffer", KEY_BUFFER, "BYTES", FOR_TRACE,
	  "room for events that are not shown yet (4M)" },
	{ "record", KEY_RECORD, "FILE", FOR_TRACE, "write what is found into FILE, too" },
	{ "read", KEY_READ, "FILE", FOR_TRACE,
	  "show a recording, or make a --histogram or --plot of it" },
	{ "plot", KEY_PLOT, "FILE", FOR_TRACE,
	  "a picture (SVG) of the histogram; of occupancy over time;\n"
	  "needs gnuplot" },
	{ "json", 'j', NULL, FOR_LOOK | FOR_RATE | FOR_TRACE, "objects, one a line" },
	{ "quiet", 'q', NULL, FOR_STREAM, "no progress and no summary" },
	{ "help", 'h', NULL, FOR_ALL, "this text" },
};

#define NDEFS	(sizeof(defs) / sizeof(defs[0]))

const char opts_exit_codes[] =
	"Exit codes: 0 done; 1 failed; 2 wrong use; 3 the other side died, or left before\n"
	"the end; 4 --timeout passed; 5 messages lost with --strict, or cut off as too\n"
	"slow; 128+N signal N.\n";

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
		printf("\nBYTES may end in K, M or G. The options from --%s to --persist are for who\n"
		       "comes first and makes the %s; for the others they must be the same or absent.\n",
		       command->bit & FOR_RING ? "ring" : "publishers",
		       command->bit & FOR_RING ? "ring" : "topic");
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
	if (c->bit & FOR_INPUT && o->lines && o->size)
		opts_refuse(c, "--lines and --size exclude each other");
	if (o->message && (o->file || o->lines || o->size))
		opts_refuse(c, "--message excludes --file, --lines and --size");
	if (o->group && (o->stride > 1 || o->newest))
		opts_refuse(c, "--group excludes --stride and --newest");
	if (o->read_only && (o->group || o->policy > SHMIPC_POLICY_LOSSY))
		opts_refuse(c, "--read-only excludes --group, and the policies that publishers wait for");
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
		.window = 1000,
		.every_ns = command->bit & FOR_TRACE ? 5 * NS_PER_S : NS_PER_S,
	};
	make_tables(command->bit, longs, shorts);
	opterr = 0;
	optind = 1;
	while ((key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (key == 'h') {
			print_help(command);
			exit(tool_flush());
		}
		if (key == ':')
			opts_refuse(command, "%s: its value is missing", argv[optind - 1]);
		if (key == '?' && optopt > 0 && optopt < 256)
			opts_refuse(command, "unknown option -%c", optopt);
		if (key == '?')
			opts_refuse(command, "%s: unknown option, or not one that takes a value",
				    argv[optind - 1]);
		opts_take(o, key, optarg);
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
		opts_refuse(o->command, "\"%s\" is not the name of a %s: %s (EINVAL)",
			    o->args[0], o->command->bit & FOR_TOPIC ? "topic" : "segment", reason);
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
