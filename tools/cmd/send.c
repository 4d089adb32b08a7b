// SPDX-License-Identifier: MIT
/* send.c - shmipc send: standard input into a lossless ring */
#include "commands.h"
#include "../stream/input.h"
#include "../util/util.h"

static const struct opts_command command = {
	.name = "send", .bit = FOR_SEND, .args = "NAME", .min_args = 1, .max_args = 1,
	.about =
	"Moves standard input through the lossless ring NAME to shmipc recv NAME, or to\n"
	"any other receiver. Either side may start first. Ends when the receiver has\n"
	"taken all.\n",
};

static int run(struct stream *s, struct input *in)
{
	int rc = s->o->no_drain ? RC_OK : ring_wait_peer(s);

	if (rc)
		return rc;
	s->begin_ns = tool_now_ns();
	rc = input_feed(in, s);
	if (!rc && !s->o->no_drain)
		rc = ring_drain(s);
	s->end_ns = tool_now_ns();
	return rc;
}

int cmd_send(int argc, char **argv)
{
	struct stream s;
	struct input in;
	struct opts o;
	int rc;

	opts_parse(&o, &command, argc, argv);
	opts_name(&o);
	tool_catch_signals();
	rc = input_open(&in, &o);
	if (rc)
		return rc;
	rc = ring_open(&s, &o, SHMIPC_ROLE_PRODUCER);
	if (!rc)
		rc = run(&s, &in);
	rc = stream_close(&s, rc);
	input_close(&in);
	return rc;
}
