// SPDX-License-Identifier: MIT
/* send.c - shmipc send: standard input through a lossless ring */
#include "commands.h"
#include "../stream/input.h"
#include "../util/util.h"

struct send_opts {
	struct input_opts input;
	struct stream_opts stream;
	struct create_opts create;
	struct ring_opts ring;
	int no_drain;
};

static const struct opt options[] = {
	{ .name = "repeat", .arg = "N", .min = 1, .max = NUMBER_MAX, .preset = "1",
	  .take = take_number, .at = offsetof(struct send_opts, input.repeat),
	  .help = "send the input N times; it must be a file" },
	{ .name = "no-drain", .take = take_flag, .at = offsetof(struct send_opts, no_drain),
	  .help = "do not wait for a receiver at the start, nor at the end until it has taken "
		  "all; useful with --persist" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = input_options, .at = offsetof(struct send_opts, input) },
	{ .opts = options },
	{ .opts = stream_options, .at = offsetof(struct send_opts, stream) },
	{ .title = CREATE_TITLE("ring"), .opts = ring_options,
	  .at = offsetof(struct send_opts, ring) },
	{ .opts = create_options, .at = offsetof(struct send_opts, create) },
	{ .opts = NULL },
};

static int feed(struct stream *s, struct input *in)
{
	int rc = s->no_drain ? RC_OK : ring_wait_peer(s);

	if (rc)
		return rc;
	s->begin_ns = tool_now_ns();
	rc = input_feed(in, s);
	if (!rc && !s->no_drain)
		rc = ring_drain(s);
	s->end_ns = tool_now_ns();
	return rc;
}

static int run_send(int argc, char **argv)
{
	struct send_opts o = { .no_drain = 0 };
	struct opts_args args;
	const char *name;
	struct stream s;
	struct input in;
	int rc;

	opts_parse(&cmd_send, argc, argv, &o, &args);
	name = opts_name(&args, 0);
	input_check(&o.input);
	tool_catch_signals();
	rc = input_open(&in, &o.input);
	if (rc)
		return rc;
	rc = ring_open(&s, name, &o.stream, &o.create, &o.ring, SHMIPC_ROLE_PRODUCER);
	s.no_drain = o.no_drain;
	if (!rc)
		rc = feed(&s, &in);
	rc = stream_close(&s, rc);
	input_close(&in);
	return rc;
}

const struct command cmd_send = {
	.name = "send", .brief = "send standard input through a lossless ring",
	.args = "NAME", .args_of = ARGS_RING, .min_args = 1, .max_args = 1,
	.about =
	"Sends standard input through the lossless ring NAME to shmipc recv NAME, or to any "
	"other receiver. Either side may start first. Ends when the receiver has taken all.\n",
	.notes = BYTES_NOTE, .groups = groups, .run = run_send,
};
