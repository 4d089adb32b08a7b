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

struct pub_opts {
	struct input_opts input;
	struct stream_opts stream;
	struct publish_opts publish;
	struct create_opts create;
	struct topic_opts topic;
	uint64_t wait_subs;
};

/* In the order of INPUT_*. */
static const char *const formats[] = { "raw", "lines", "json", NULL };

static const struct opt options[] = {
	{ .name = "message", .letter = 'm', .arg = "TEXT", .take = take_text,
	  .at = offsetof(struct pub_opts, input.message),
	  .help = "publish TEXT; standard input is not read" },
	{ .name = "format", .letter = 'F', .words = formats, .preset = "raw", .take = take_word,
	  .at = offsetof(struct pub_opts, input.format),
	  .help = "how the input is cut into messages; raw: see --file and --size; lines: as --lines; "
		  "json: an object a line, as sub --format json writes them" },
	{ .name = "repeat", .arg = "N", .min = 1, .max = NUMBER_MAX, .preset = "1",
	  .take = take_number, .at = offsetof(struct pub_opts, input.repeat),
	  .help = "publish the input N times; it must be a file, or --message" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct pub_opts, input.count), .help = "end after N messages" },
	{ .name = "rate", .arg = "R", .take = take_rate,
	  .at = offsetof(struct pub_opts, publish.rate), .help = "at most R messages a second" },
	{ .name = "header", .letter = 'H', .arg = "KEY=VALUE", .take = take_pair,
	  .at = offsetof(struct pub_opts, publish.headers),
	  .help = "a header of each message; may be given several times" },
	{ .name = "wait-subscribers", .arg = "N", .min = 1, .max = UINT32_MAX,
	  .take = take_number, .at = offsetof(struct pub_opts, wait_subs),
	  .help = "wait until there are N subscribers" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = input_options, .at = offsetof(struct pub_opts, input) },
	{ .opts = options },
	{ .opts = stream_options, .at = offsetof(struct pub_opts, stream) },
	{ .title = CREATE_TITLE("topic"), .opts = topic_options,
	  .at = offsetof(struct pub_opts, topic) },
	{ .opts = create_options, .at = offsetof(struct pub_opts, create) },
	{ .opts = NULL },
};

/* The number of subscribers that will receive the next message. */
static uint64_t count_subs(const struct stream *s)
{
	struct shmipc_topic_stat st;
	uint64_t n = 0;
	uint32_t i;

	if (view_topic_look(s->name, &st))
		return 0;
	/* One without a policy yet has only just attached, and may not have begun. */
	for (i = 0; i < st.nsubs; i++)
		n += st.sub[i].peer.state == SHMIPC_PEER_ATTACHED && st.sub[i].policy;
	view_topic_done(&st);
	return n;
}

static int wait_subs(struct stream *s, uint64_t wanted)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	uint64_t n;
	int rc;

	for (;;) {
		n = count_subs(s);
		if (n >= wanted)
			break;
		rc = stream_idle(s, n, "subscribers");
		if (rc)
			return rc;
		nanosleep(&pause, NULL);
	}
	s->idle_since_ns = 0;
	return RC_OK;
}

static int check_room(const struct stream *s, uint64_t wanted)
{
	struct shmipc_topic_stat st;
	uint32_t room;

	if (!wanted || view_topic_look(s->name, &st))
		return RC_OK;
	room = st.opts.subscribers;
	view_topic_done(&st);
	if (wanted <= room)
		return RC_OK;
	tool_error("topic \"%s\": --wait-subscribers %" PRIu64 ", but it was created with room for %"
		   PRIu32 " (--subscribers)", s->name, wanted, room);
	return RC_FAIL;
}

static int feed(struct stream *s, struct input *in, uint64_t wanted)
{
	int rc = check_room(s, wanted);

	if (!rc && wanted)
		rc = wait_subs(s, wanted);
	if (rc)
		return rc;
	s->begin_ns = tool_now_ns();
	rc = input_feed(in, s);
	s->end_ns = tool_now_ns();
	return rc;
}

static int run_pub(int argc, char **argv)
{
	struct pub_opts o = { .wait_subs = 0 };
	struct opts_args args;
	const char *name;
	struct stream s;
	struct input in;
	int rc;

	opts_parse(&cmd_pub, argc, argv, &o, &args);
	name = opts_name(&args, 0);
	input_check(&o.input);
	if (o.input.format == INPUT_JSON && o.publish.headers.n)
		opts_refuse("--header cannot be combined with --format json");
	tool_catch_signals();
	rc = input_open(&in, &o.input);
	if (rc)
		return rc;
	rc = topic_pub_open(&s, name, &o.stream, &o.create, &o.topic, &o.publish);
	if (!rc)
		rc = feed(&s, &in, o.wait_subs);
	rc = stream_close(&s, rc);
	input_close(&in);
	return rc;
}

const struct command cmd_pub = {
	.name = "pub", .brief = "publish standard input on a topic, for any number of subscribers",
	.args = "TOPIC", .args_of = ARGS_TOPIC, .min_args = 1, .max_args = 1,
	.about =
	"Publishes standard input on TOPIC, for any number of shmipc sub TOPIC and other "
	"subscribers, together with any number of other publishers. Either side may start "
	"first. It waits only for subscribers that asked for it (--policy lossless or evict). "
	"The topic is removed when all have left, unless --persist was given.\n",
	.notes = BYTES_NOTE, .groups = groups, .run = run_pub,
};
