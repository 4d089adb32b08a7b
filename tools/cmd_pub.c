// SPDX-License-Identifier: MIT
/* cmd_pub.c - shmipc pub: standard input to any number of readers */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include "commands.h"
#include "input.h"
#include "util.h"

#define LOOK_NS		(5 * NS_PER_MS)
#define PEERS_LOOKED_AT	1024

static const struct opts_command command = {
	.name = "pub", .bit = FOR_PUB, .args = "NAME", .min_args = 1, .max_args = 1,
	.about =
	"Publishes standard input in the log NAME, for any number of shmipc sub NAME and\n"
	"other readers. Waits for nobody: old messages are written over, and a reader\n"
	"that falls behind is told how many it lost. When pub ends, readers get what is\n"
	"still in the ring; without readers the ring goes, unless --persist was given.\n",
};

/* How many readers are there now? */
static uint64_t count_readers(const struct stream *s)
{
	struct shmipc_peer_info peers[PEERS_LOOKED_AT];
	struct shmipc_segment_stat st = {
		.info.struct_bytes = sizeof(st.info),
		.peer = peers, .peer_cap = PEERS_LOOKED_AT,
	};
	uint64_t n = 0;
	uint32_t i;

	if (shmipc_segment_look(s->name, &st))
		return 0;
	for (i = 0; i < st.npeers && i < PEERS_LOOKED_AT; i++)
		n += peers[i].role == SHMIPC_ROLE_READER && peers[i].state == SHMIPC_PEER_ATTACHED;
	return n;
}

static int wait_readers(struct stream *s)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t n;
	int rc;

	for (;;) {
		n = count_readers(s);
		if (n >= s->o->wait_readers)
			break;
		rc = stream_idle(s, n, "readers");
		if (rc)
			return rc;
		nanosleep(&pause, NULL);
	}
	s->idle_since_ns = 0;
	return RC_OK;
}

static int run(struct stream *s, struct input *in)
{
	int rc;

	if (s->o->wait_readers >= s->info.peers) {
		tool_error("\"%s\": --wait-readers %" PRIu64 ", and this segment has room for %"
			   PRIu32 " peers with us; make it with a larger --peers", s->name,
			   s->o->wait_readers, s->info.peers);
		return RC_FAIL;
	}
	rc = s->o->wait_readers ? wait_readers(s) : RC_OK;
	if (rc)
		return rc;
	s->begin_ns = tool_now_ns();
	rc = input_feed(in, s);
	s->end_ns = tool_now_ns();
	return rc;
}

int cmd_pub(int argc, char **argv)
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
	rc = stream_open(&s, &o, SHMIPC_ROLE_PRODUCER);
	if (!rc)
		rc = run(&s, &in);
	rc = stream_close(&s, rc);
	input_close(&in);
	return rc;
}
