// SPDX-License-Identifier: MIT
/* queue.c - shmipc queue: work queues by name */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include "commands.h"
#include "../queue/queue.h"
#include "../util/json.h"
#include "../util/util.h"
#include "../view/queue.h"
#include "../view/view.h"

enum { PUSH, POP, SHOW };

#define BOTH	(1u << PUSH | 1u << POP)

static const char *const verbs[] = { "push", "pop", "show", NULL };
static const char *const formats[] = { "raw", "lines", "hex", "json", NULL };
static const char *const deliveries[] = { "at-most-once", "acknowledged", NULL };

static void take_format(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + FORMAT_RAW;
}

/* The words are in the order of SHMIPC_QUEUE_*, which begin with 1. */
static void take_delivery(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + 1;
}

static const struct opt both_options[] = {
	{ .name = "file", .letter = 'f', .arg = "FILE", .take = take_text,
	  .at = offsetof(struct queue_opts, input.file),
	  .help = "read or write FILE instead of standard input or output" },
	{ .name = "format", .letter = 'F', .words = formats, .take = take_format,
	  .at = offsetof(struct queue_opts, format),
	  .help = "push: what is an item; raw: all of the input, or as --size says; lines: as --lines; "
		  "json: an object a line, as pop --format json writes them. pop: how an item is written; "
		  "without this lines on a terminal or in a pipe, raw in a file" },
	{ .name = "lines", .letter = 'l', .take = take_flag, .at = offsetof(struct queue_opts, input.lines),
	  .help = "each line, with its newline, is an item; pop: the same as --format lines" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct queue_opts, input.count), .help = "end after N items" },
	{ .name = "timeout", .letter = 't', .arg = "SECONDS", .preset = "never", .take = take_timeout,
	  .at = offsetof(struct queue_opts, stream.timeout_ns),
	  .help = "give up if there is no free place, or no item, for this time; 0: do not wait" },
	{ .name = "quiet", .letter = 'q', .take = take_flag, .at = offsetof(struct queue_opts, stream.quiet),
	  .help = "no summary and no notes" },
	{ .name = NULL },
};

static const struct opt json_options[] = {
	{ .name = "json", .letter = 'j', .take = take_json, .at = offsetof(struct queue_opts, stream.json),
	  .help = "show: write one object; else write objects to standard error, the last is a summary" },
	{ .name = NULL },
};

static const struct opt push_options[] = {
	{ .name = "level", .letter = 'L', .arg = "N", .preset = "0", .max = SHMIPC_QUEUE_LEVELS_MAX - 1,
	  .take = take_number32, .at = offsetof(struct queue_opts, level),
	  .help = "level of the items: those of higher levels are handed out first" },
	{ .name = "message", .letter = 'm', .arg = "TEXT", .take = take_text,
	  .at = offsetof(struct queue_opts, input.message),
	  .help = "push TEXT; standard input is not read" },
	{ .name = "size", .letter = 's', .arg = "BYTES", .take = take_size,
	  .at = offsetof(struct queue_opts, input.size),
	  .help = "each item has BYTES, the last may have fewer" },
	{ .name = "repeat", .arg = "N", .min = 1, .max = NUMBER_MAX, .preset = "1", .take = take_number,
	  .at = offsetof(struct queue_opts, input.repeat),
	  .help = "push the input N times; it must be a file, or --message" },
	{ .name = "no-drain", .take = take_flag, .at = offsetof(struct queue_opts, no_drain),
	  .help = "end at once; else, if the queue is not persistent, when its items are done" },
	{ .name = NULL },
};

static const struct opt pop_options[] = {
	{ .name = "follow", .take = take_flag, .at = offsetof(struct queue_opts, follow),
	  .help = "go on until a signal; else it ends after one item, or --count" },
	{ .name = "until-empty", .take = take_flag, .at = offsetof(struct queue_opts, until_empty),
	  .help = "go on until there is no item" },
	{ .name = "headers", .take = take_flag, .at = offsetof(struct queue_opts, message.headers),
	  .help = "write the number, level, deliveries and producer of an item before it" },
	{ .name = NULL },
};

static const struct opt size_options[] = {
	{ .name = "levels", .arg = "N", .min = 1, .max = 8, .library = "1", .take = take_number32,
	  .at = offsetof(struct queue_opts, levels), .help = "how many levels there are: 0 to N - 1" },
	{ .name = "delivery", .words = deliveries, .library = "acknowledged", .take = take_delivery,
	  .at = offsetof(struct queue_opts, delivery),
	  .help = "what a consumer had when it died is lost, or is handed out again" },
	{ .name = "deliveries", .arg = "N", .min = 1, .max = 254, .take = take_number32,
	  .at = offsetof(struct queue_opts, deliveries),
	  .help = "drop an item that was handed out N times and never acknowledged; without this there "
		  "is no limit" },
	{ .name = "dead", .arg = "NAME", .take = take_text, .at = offsetof(struct queue_opts, dead),
	  .help = "move such an item to the queue NAME instead of dropping it" },
	{ .name = "item", .arg = "BYTES", .library = "4K", .min = 1, .max = SHMIPC_QUEUE_ITEM_MAX,
	  .take = take_size, .at = offsetof(struct queue_opts, item_bytes), .help = "the largest item" },
	{ .name = "depth", .arg = "N", .min = 1, .max = SHMIPC_QUEUE_DEPTH_MAX, .library = "64",
	  .take = take_number32, .at = offsetof(struct queue_opts, depth),
	  .help = "places of each producer, a power of two" },
	{ .name = "producers", .arg = "N", .min = 1, .max = 1024, .library = "64",
	  .take = take_number32, .at = offsetof(struct queue_opts, producers),
	  .help = "room for N producers" },
	{ .name = "consumers", .arg = "N", .min = 1, .max = 1024, .library = "64",
	  .take = take_number32, .at = offsetof(struct queue_opts, consumers),
	  .help = "room for N consumers" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = both_options, .verbs = BOTH },
	{ .opts = json_options },
	{ .title = "Options of push:", .opts = push_options, .verbs = 1 << PUSH },
	{ .title = "Options of pop:", .opts = pop_options, .verbs = 1 << POP },
	{ .title = CREATE_TITLE("queue"), .opts = size_options, .verbs = BOTH },
	{ .opts = access_options, .verbs = BOTH, .at = offsetof(struct queue_opts, access) },
	{ .opts = NULL },
};

static int push(struct queue_opts *o, const char *name, char **items)
{
	static const uint32_t formats_in[] = { [FORMAT_LINES] = INPUT_LINES, [FORMAT_JSON] = INPUT_JSON };

	if (o->format == FORMAT_HEX)
		opts_refuse("--format hex is for pop");
	o->input.format = o->format ? formats_in[o->format] : INPUT_RAW;
	o->input.whole = 1;
	if (*items && (o->input.message || o->input.file || o->input.lines || o->input.size || o->format ||
		       o->input.count || o->input.repeat > 1))
		opts_refuse("ITEMs cannot be combined with --message, nor with options of the input");
	input_check(&o->input);
	return queue_push(o, name, items);
}

static int pop(struct queue_opts *o, const char *name, char **command)
{
	if (*command && (o->input.file || o->format || o->input.lines || o->message.headers))
		opts_refuse("COMMAND cannot be combined with --file, --format, --lines or --headers");
	if (o->follow && o->until_empty)
		opts_refuse("--follow and --until-empty exclude each other");
	o->message.format = o->format;
	o->message.lines = o->input.lines;
	return queue_pop(o, name, command);
}

static int show(const struct queue_opts *o, const char *name)
{
	struct shmipc_queue_stat st;
	int err = view_queue_look(name, &st);
	json_t *obj;

	if (err)
		return view_error_look("show", name, err);
	if (o->stream.json) {
		obj = json_pack("{s:s}", "name", name);
		view_queue_add_all(obj, &st);
		json_line(stdout, obj);
	} else {
		view_queue_print(&st);
	}
	view_queue_done(&st);
	return tool_flush();
}

static int run_queue(int argc, char **argv)
{
	struct queue_opts o = { .follow = 0 };
	struct opts_args args;
	const char *name;

	opts_parse(&cmd_queue, argc, argv, &o, &args);
	name = opts_name(&args, 1);
	o.stream.brief = 1;
	if (args.verb == PUSH)
		return push(&o, name, &args.text[2]);
	if (args.verb == POP)
		return pop(&o, name, &args.text[2]);
	if (args.n > 2)
		opts_refuse("\"%s\" is one argument too many", args.text[2]);
	return show(&o, name);
}

const struct command cmd_queue = {
	.name = "queue", .brief = "push work, and hand out each item to one of many workers",
	.args = "push|pop|show NAME [ITEM]... [-- COMMAND...]", .args_of = ARGS_QUEUE, .verbs = verbs,
	.min_args = 2, .max_args = INT_MAX,
	.about =
	"Each item of a queue is handed out to one consumer. Either side may start first.\n\n"
	"push pushes each ITEM, or --message, or else standard input: all of it as one item, or as "
	"--lines, --size and --format say. If there is no free place it waits.\n"
	"pop takes the next item and writes it, and then acknowledges it. With -- COMMAND it runs that "
	"for each item, which is its standard input, and acknowledges the item if the exit code is 0; "
	"otherwise it gives the item back, and that is handed out once more. SHMIPC_LEVEL and "
	"SHMIPC_DELIVERIES in its environment are the item's level and how often it was handed out.\n"
	"show says how full the queue is, and which consumers have items and since when.\n",
	.notes = BYTES_NOTE, .groups = groups, .run = run_queue,
};
