// SPDX-License-Identifier: MIT
/* cmd_recv.c - shmipc recv: a lossless ring to standard output */
#include "commands.h"
#include "output.h"
#include "util.h"

static const struct opts_command command = {
	.name = "recv", .bit = FOR_RECV, .args = "NAME", .min_args = 1, .max_args = 1,
	.about =
	"Writes what comes through the lossless ring NAME to standard output, until the\n"
	"sender has ended and all is taken. Either side may start first. A sender that\n"
	"was killed, or did not come to its end, makes the exit code 3.\n",
};

int cmd_recv(int argc, char **argv)
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
	rc = stream_open(&s, &o, SHMIPC_ROLE_CONSUMER);
	if (!rc)
		rc = output_drain(&out, &s);
	rc = output_close(&out, &s, rc);
	return stream_close(&s, rc);
}
