// SPDX-License-Identifier: MIT
/* sub.c - shmipc sub: what is published, to standard output */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "commands.h"
#include "../util/json.h"
#include "../stream/message.h"
#include "../util/util.h"
#include "../view/view.h"

/* How often --until-gone looks for publishers while no message comes. */
#define GONE_LOOK_NS	(10 * NS_PER_MS)
/* After so many looks, messages that a dead publisher had begun are settled, and a name is taken. */
#define GONE_LOOKS	100

struct sub_opts {
	struct stream_opts stream;
	struct message_opts message;
	struct take_opts take;
	struct create_opts create;
	struct topic_opts topic;
	const char *file;
	uint64_t count;
	int until_gone;
	int strict;
};

static void take_from(const struct opt *opt, const char *text, void *to)
{
	static const uint32_t how[] = { SHMIPC_START_NEW, SHMIPC_START_OLDEST,
					SHMIPC_START_NEWEST };
	struct start_at *from = to;

	if (!parse_number(text, UINT64_MAX >> 2, &from->seq))
		from->how = SHMIPC_START_SEQ;
	else
		from->how = how[opt_word(opt, text, "the number of a message")];
}

static void take_stride(const struct opt *opt, const char *text, void *to)
{
	const char *slash = strchr(text, '/');
	struct stride *stride = to;
	char n[24] = "";

	if (slash && (size_t)(slash - text) < sizeof(n))
		memcpy(n, text, (size_t)(slash - text));
	if (!slash || parse_number(n, NUMBER_MAX, &stride->n) || !stride->n ||
	    parse_number(slash + 1, stride->n - 1, &stride->at))
		opt_refuse(opt, text, "expected N/AT, as 3/0, with AT less than N");
}

/* The words are in the order of enum shmipc_policy, which begins with 1. */
static void take_policy(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + 1;
}

/* Of consumers; one of users is something else. */
static void take_group(const struct opt *opt, const char *text, void *to)
{
	uint64_t n;

	if (parse_number(text, opt->max, &n) || n < opt->min)
		opt_refuse(opt, text, "expected the number of a group of subscribers, %" PRIu64 " to %" PRIu64
			   "; a group of users is named by --chgrp", opt->min, opt->max);
	*(uint32_t *)to = (uint32_t)n;
}

static void take_format(const struct opt *opt, const char *text, void *to)
{
	*(uint32_t *)to = opt_word(opt, text, NULL) + FORMAT_RAW;
}

static const char *const starts[] = { "new", "oldest", "newest", NULL };
static const char *const policies[] = { "lossy", "lossless", "evict", NULL };
static const char *const formats[] = { "raw", "lines", "hex", "json", NULL };

static const struct opt options[] = {
	{ .name = "file", .letter = 'f', .arg = "FILE", .take = take_text,
	  .at = offsetof(struct sub_opts, file), .help = "write FILE instead of standard output" },
	{ .name = "count", .letter = 'c', .arg = "N", .min = 1, .take = take_number,
	  .at = offsetof(struct sub_opts, count), .help = "end after N messages" },
	{ .name = "from", .arg = "new|oldest|newest|N", .words = starts, .preset = "new",
	  .take = take_from, .at = offsetof(struct sub_opts, take.from),
	  .help = "begin with new messages, with the oldest or the newest that is kept, or with "
		  "message N" },
	{ .name = "newest", .take = take_flag, .at = offsetof(struct sub_opts, take.newest),
	  .help = "take the newest message each time, and skip those before it" },
	{ .name = "policy", .words = policies, .library = "lossy", .take = take_policy,
	  .at = offsetof(struct sub_opts, take.policy),
	  .help = "if it falls behind: it loses messages and is told; publishers wait for it; or "
		  "they wait for a while and then cut it off" },
	{ .name = "group", .arg = "N", .min = 1, .max = SHMIPC_TOPIC_GROUPS,
	  .take = take_group, .at = offsetof(struct sub_opts, take.group),
	  .help = "each message goes to one subscriber of group N, 1 to 64" },
	{ .name = "stride", .arg = "N/AT", .preset = "1/0", .take = take_stride,
	  .at = offsetof(struct sub_opts, take.stride),
	  .help = "take only messages whose number modulo N is AT" },
	{ .name = "filter", .arg = "KEY=GLOB", .take = take_pair,
	  .at = offsetof(struct sub_opts, message.filters),
	  .help = "only messages with such a header; if given several times, all must match" },
	{ .name = "match", .arg = "GLOB", .take = take_text,
	  .at = offsetof(struct sub_opts, message.match),
	  .help = "only messages whose payload, as text, matches" },
	{ .name = "format", .letter = 'F', .words = formats, .take = take_format,
	  .at = offsetof(struct sub_opts, message.format),
	  .help = "how a message is written; json: one object a line; without this lines on a "
		  "terminal or in a pipe, raw in a file" },
	{ .name = "lines", .letter = 'l', .take = take_flag,
	  .at = offsetof(struct sub_opts, message.lines), .help = "the same as --format lines" },
	{ .name = "headers", .take = take_flag, .at = offsetof(struct sub_opts, message.headers),
	  .help = "write the number, meta fields and headers of a message before it" },
	{ .name = "read-only", .take = take_flag, .at = offsetof(struct sub_opts, take.read_only),
	  .help = "read permission is enough; the topic must exist" },
	{ .name = "until-gone", .take = take_flag, .at = offsetof(struct sub_opts, until_gone),
	  .help = "end when the last publisher has left and all is taken" },
	{ .name = "strict", .take = take_flag, .at = offsetof(struct sub_opts, strict),
	  .help = "end with exit code 5 if messages were lost" },
	{ .name = NULL },
};

static const struct opt_group groups[] = {
	{ .opts = options },
	{ .opts = stream_options, .at = offsetof(struct sub_opts, stream) },
	{ .title = CREATE_TITLE("topic"), .opts = topic_options,
	  .at = offsetof(struct sub_opts, topic) },
	{ .opts = create_options, .at = offsetof(struct sub_opts, create) },
	{ .opts = NULL },
};

/* The publishers of a topic so far. */
struct pubs {
	uint8_t id[16];		/* of the topic */
	uint64_t came;		/* how many attached */
	uint64_t died;		/* sum of the generations of those that died */
	uint64_t there;		/* how many are attached */
};

struct sub {
	struct sub_opts o;
	struct stream s;
	struct output out;
	struct message m;
	struct pubs before;	/* when we began; .came without those that were attached */
	int gone_looks;		/* since all publishers had left */
	uint64_t gone_next_ns;
	int seen;		/* messages or losses: there has been a publisher */
	int noted;		/* it was said, if nobody publishes */
};

static int count_pubs(const char *name, struct pubs *ret)
{
	struct shmipc_segment_stat st;
	const struct shmipc_peer_info *p;
	uint32_t i;
	int err = view_look(name, &st);

	memset(ret, 0, sizeof(*ret));
	if (err)
		return err;
	memcpy(ret->id, st.info.id, sizeof(ret->id));
	for (i = 0; i < st.npeers; i++) {
		p = &st.peer[i];
		if (p->role != SHMIPC_ROLE_PRODUCER)
			continue;
		ret->came += p->generation;
		ret->there += p->state == SHMIPC_PEER_ATTACHED;
		if (p->state == SHMIPC_PEER_DIED)
			ret->died += p->generation;
	}
	view_done(&st);
	return 0;
}

/* To be called before the topic is opened: a publisher may come and go meanwhile. */
static void gone_begin(struct sub *b, const char *name)
{
	if (b->o.until_gone && !count_pubs(name, &b->before))
		b->before.came -= b->before.there;
}

/* The publishers since gone_begin(). -ENOENT: the topic has been removed. */
static int gone_look(struct sub *b, struct pubs *ret)
{
	int err = count_pubs(b->s.name, ret);

	/* It may have moved from a provisional topic to that of its publisher. */
	shmipc_sub_get_info(b->s.sub, &b->s.info);
	if (!err && memcmp(ret->id, b->s.info.id, sizeof(ret->id)))
		err = -ENOENT;
	/* gone_begin() saw another topic. */
	if (!err && memcmp(b->before.id, ret->id, sizeof(ret->id)))
		return 0;
	if (!err) {
		ret->came -= b->before.came;
		ret->died = ret->died > b->before.died;
	}
	return err;
}

/*
 * Is it still open what the topic is? An end that decides that is a publisher of the
 * provisional topic for a moment, before it is one of what replaces it.
 */
static int undecided(const struct sub *b, const struct pubs *pubs)
{
	struct shmipc_topic_stat st;
	int ret, err;

	if (b->seen)
		return 0;
	err = view_topic_look(b->s.name, &st);
	if (err)
		return err == -ENOENT;
	ret = st.provisional || memcmp(st.info.id, pubs->id, sizeof(pubs->id));
	view_topic_done(&st);
	return ret;
}

/* No message. 1: there will be none, because all publishers have left. */
static int all_gone(struct sub *b)
{
	struct shmipc_sub_stat st = { .struct_bytes = sizeof(st) };
	uint64_t now = tool_now_ns();
	struct pubs pubs;
	int err;

	if (!b->o.until_gone || now < b->gone_next_ns)
		return 0;
	b->gone_next_ns = now + GONE_LOOK_NS;
	err = gone_look(b, &pubs);
	if (!err && (pubs.there || (!pubs.came && !b->seen) || undecided(b, &pubs))) {
		b->gone_looks = 0;
		return 0;
	}
	/* Their last messages may have come after the last look for messages. */
	shmipc_sub_get_stat(b->s.sub, &st);
	/* A publisher may just be replacing the topic that we made. */
	return ++b->gone_looks > (st.backlog || (err && !b->seen) ? GONE_LOOKS : 1);
}

static int end_gone(struct sub *b)
{
	struct pubs pubs;

	b->s.end_ns = tool_now_ns();
	if (gone_look(b, &pubs) || !pubs.died)
		return RC_OK;
	progress_clear(&b->s.progress);
	tool_error("topic \"%s\": a publisher was killed, or ended in mid-stream (EPIPE); received %" PRIu64
		   " messages, %" PRIu64 " bytes", b->s.name, b->s.messages, b->s.bytes);
	return RC_PEER;
}

/* A message, or a loss. What the topic is does not change any more. */
static void see(struct sub *b)
{
	if (!b->seen)
		topic_sub_look(&b->s);
	b->seen = 1;
}

/* Report how many messages were lost, and which. */
static void tell_lost(struct sub *b)
{
	struct stream *s = &b->s;
	uint64_t from, to, n = shmipc_sub_lost(s->sub, &from, &to), every = b->o.take.stride.n, last;

	s->lost += n;
	see(b);
	if (!n)
		return;
	last = from + (n - 1) * every;
	progress_clear(&s->progress);
	if (s->o->json)
		json_line(stderr, json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "event", "lost",
			"command", opts_command()->name, "name", s->name, "messages", json_u64(n),
			"first_seq", json_u64(from), "last_seq", json_u64(last), "lost",
			json_u64(s->lost)));
	else
		tool_note("topic \"%s\": lost %" PRIu64 " messages, numbers %" PRIu64 " to %" PRIu64,
			  s->name, n, from, last);
}

/* Publishers had waited for --evict-after, and cut us off. */
static int cut_off(struct sub *b)
{
	progress_clear(&b->s.progress);
	tell_lost(b);
	tool_error("topic \"%s\": cut off, as a subscriber of policy evict that was too slow (ECONNRESET); "
		   "received %" PRIu64 " messages, %" PRIu64 " bytes, lost %" PRIu64 "; be faster, or allow "
		   "more with --history and --evict-after", b->s.name, b->s.messages, b->s.bytes,
		   b->s.lost);
	return RC_LOST;
}

static int write_message(struct sub *b, const struct shmipc_msg *msg)
{
	struct stream *s = &b->s;
	int rc;

	see(b);
	rc = message_take(&b->m, msg);
	if (rc < 0)
		return stream_fail(s, rc);
	s->idle_since_ns = 0;
	b->gone_looks = 0;
	if (!rc) {
		s->filtered++;
		return RC_OK;
	}
	rc = message_put(&b->m, &b->out, s);
	if (rc)
		return rc;
	stream_moved(s, msg->len);
	if (msg->len >= OUTPUT_DIRECT_BYTES)
		progress_tick(&s->progress, s->bytes, tool_now_ns());
	return RC_OK;
}

/* Before it waits for the first time: there may be nothing to wait for. */
static void note_nobody(struct sub *b)
{
	if (!b->noted && !b->seen && !b->s.o->quiet)
		view_note_nobody(b->s.name);
	b->noted = 1;
}

/* No message: @err says why. *@ret_end: there will be none any more. */
static int no_message(struct sub *b, int err, uint64_t *ret_deadline_ns, int *ret_end)
{
	uint64_t look_ns;
	int rc;

	if (err == -ESTALE) {
		tell_lost(b);
		return RC_OK;
	}
	if (err == -ECONNRESET && b->o.take.policy == SHMIPC_POLICY_EVICT)
		return cut_off(b);
	if (err == -ECONNRESET) {
		progress_clear(&b->s.progress);
		tool_error("topic \"%s\": cut off by another process (ECONNRESET): see shmipc-fence(1)",
			   b->s.name);
		return RC_FAIL;
	}
	if (!stream_is_idle(err))
		return stream_fail(&b->s, err);
	*ret_end = all_gone(b);
	if (*ret_end)
		return end_gone(b);
	note_nobody(b);
	rc = output_wait(&b->out, &b->s, ret_deadline_ns);
	look_ns = shmipc_deadline_in(GONE_LOOK_NS);
	if (b->o.until_gone && *ret_deadline_ns > look_ns)
		*ret_deadline_ns = look_ns;
	return rc;
}

static int drain(struct sub *b)
{
	uint64_t deadline_ns = 0;
	struct shmipc_msg msg;
	int rc = RC_OK, err, end = 0;

	b->s.out_fd = b->out.fd;
	b->s.out_name = b->out.name;
	while (!end && !rc && !(b->o.count && b->s.messages == b->o.count)) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		err = shmipc_sub_take(b->s.sub, &msg, deadline_ns);
		deadline_ns = 0;
		if (shmipc_unlikely(err)) {
			rc = no_message(b, err, &deadline_ns, &end);
			continue;
		}
		rc = write_message(b, &msg);
		shmipc_sub_release(b->s.sub, &msg);
	}
	return rc;
}

static void check(const struct take_opts *take)
{
	if (take->group && (take->stride.n > 1 || take->newest))
		opts_refuse("--group cannot be combined with --stride or --newest");
	if (take->read_only && (take->group || take->policy > SHMIPC_POLICY_LOSSY))
		opts_refuse("--read-only cannot be combined with --group, nor with a policy that "
			    "publishers wait for");
}

static int run_sub(int argc, char **argv)
{
	struct sub b = { .gone_looks = 0 };
	struct sub_opts *o = &b.o;
	struct opts_args args;
	const char *name;
	int rc;

	opts_parse(&cmd_sub, argc, argv, o, &args);
	check(&o->take);
	name = opts_name(&args, 0);
	tool_catch_signals();
	rc = output_open(&b.out, o->file);
	if (rc)
		return rc;
	message_init(&b.m, &o->message, &b.out);
	gone_begin(&b, name);
	rc = topic_sub_open(&b.s, name, &o->stream, &o->create, &o->topic, &o->take);
	if (!rc)
		rc = drain(&b);
	rc = output_close(&b.out, &b.s, rc);
	if ((!rc || rc == RC_GONE) && b.s.lost && o->strict)
		rc = RC_LOST;
	message_done(&b.m);
	return stream_close(&b.s, rc);
}

const struct command cmd_sub = {
	.name = "sub", .brief = "write what is published on a topic, and count what is lost",
	.args = "TOPIC", .args_of = ARGS_TOPIC, .min_args = 1, .max_args = 1,
	.about =
	"Writes what is published on TOPIC to standard output, until it is interrupted or "
	"--count, --until-gone or --timeout ends it. Either side may start first. Messages that "
	"were overwritten before they could be taken are lost: standard error says how many, "
	"and which, each time.\n",
	.notes = BYTES_NOTE, .groups = groups, .run = run_sub,
};
