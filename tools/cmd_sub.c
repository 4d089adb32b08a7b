// SPDX-License-Identifier: MIT
/* cmd_sub.c - shmipc sub: what is published to standard output */
#include "commands.h"
#include "output.h"
#include "util.h"

static const struct opts_command command = {
	.name = "sub", .bit = FOR_SUB, .args = "NAME", .min_args = 1, .max_args = 1,
	.about =
	"Writes what is published in the log NAME to standard output, until the publisher\n"
	"has ended and all is taken. Either side may start first. Messages that were\n"
	"written over before they could be taken are lost: standard error says how many,\n"
	"and which, each time.\n",
};

int cmd_sub(int argc, char **argv)
{
	struct output out;
	struct stream s;
	struct opts o;
	int rc;

	opts_parse(&o, &command, argc, argv);
	opts_name(&o);
	tool_catch_signals();
	rc = output_open(&out, &o);
	if (rc)
		return rc;
	rc = stream_open(&s, &o, SHMIPC_ROLE_READER);
	if (!rc)
		rc = output_drain(&out, &s);
	rc = output_close(&out, &s, rc);
	if (!rc && s.lost && o.strict)
		rc = RC_LOST;
	return stream_close(&s, rc);
}
