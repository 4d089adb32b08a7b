// SPDX-License-Identifier: MIT
/* pub.c - shmipc pub: standard input to any number of subscribers */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "commands.h"
#include "../stream/input.h"
#include "../util/util.h"
#include "../view/view.h"

#define LOOK_NS		(5 * NS_PER_MS)

static const struct opts_command command = {
	.name = "pub", .bit = FOR_PUB, .args = "TOPIC", .min_args = 1, .max_args = 1,
	.about =
	"Publishes standard input on TOPIC, for any number of shmipc sub TOPIC and other\n"
	"subscribers, together with any number of other publishers. Either side may start\n"
	"first. It waits only for subscribers that asked for it (--policy lossless or\n"
	"evict). The topic goes when all have gone, unless --persist was given.\n",
};

/* How many subscribers are there now, that will get the next message? */
static uint64_t count_subs(const struct stream *s)
{
	struct shmipc_topic_stat st;
	uint64_t n = 0;
	uint32_t i;

	if (view_topic_look(s->name, &st))
		return 0;
	/* One without a policy yet has only just come, and may not have begun. */
	for (i = 0; i < st.nsubs; i++)
		n += st.sub[i].peer.state == SHMIPC_PEER_ATTACHED && st.sub[i].policy;
	view_topic_done(&st);
	return n;
}

static int wait_subs(struct stream *s)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t n;
	int rc;

	for (;;) {
		n = count_subs(s);
		if (n >= s->o->wait_subs)
			break;
		rc = stream_idle(s, n, "subscribers");
		if (rc)
			return rc;
		nanosleep(&pause, NULL);
	}
	s->idle_since_ns = 0;
	return RC_OK;
}

static int check_room(const struct stream *s)
{
	struct shmipc_topic_stat st;
	uint32_t room;

	if (!s->o->wait_subs || view_topic_look(s->name, &st))
		return RC_OK;
	room = st.opts.subscribers;
	view_topic_done(&st);
	if (s->o->wait_subs <= room)
		return RC_OK;
	tool_error("\"%s\": --wait-subscribers %" PRIu64 ", and this topic has room for %" PRIu32
		   "; make it with a larger --subscribers", s->name, s->o->wait_subs, room);
	return RC_FAIL;
}

static int run(struct stream *s, struct input *in)
{
	int rc = check_room(s);

	if (!rc && s->o->wait_subs)
		rc = wait_subs(s);
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
	rc = topic_pub_open(&s, &o);
	if (!rc)
		rc = run(&s, &in);
	rc = stream_close(&s, rc);
	input_close(&in);
	return rc;
}
