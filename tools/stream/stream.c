// SPDX-License-Identifier: MIT
/* stream.c - what send, recv, pub and sub have in common */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <shmipc/error.h>
#include "../util/json.h"
#include "stream.h"
#include "../util/util.h"

#define SLICE_NS	(100 * NS_PER_MS)

void stream_begin(struct stream *s, const struct stream_opts *o, const struct stream_ops *ops,
		  enum shmipc_role role, const char *name)
{
	*s = (struct stream){
		.o = o, .name = name, .ops = ops, .role = role, .out_fd = -1,
		.info.struct_bytes = sizeof(s->info),
	};
	progress_init(&s->progress, opts_command()->name, !o->quiet && !o->json && !o->brief, 0);
}

int stream_fail(struct stream *s, int err)
{
	char moved[MOVED_BYTES];

	progress_clear(&s->progress);
	if (err == -EPROTO)
		tool_error("%s \"%s\": its shared bytes are corrupt (EPROTO): a process overwrote "
			   "them; %s; end its peers, then: shmipc rm %s", s->ops->what, s->name,
			   s->ops->moved(s, moved), s->name);
	else
		tool_error("%s \"%s\": %s (%s); %s", s->ops->what, s->name, strerror(-err),
			   shmipc_error_name(err), s->ops->moved(s, moved));
	return RC_FAIL;
}

int stream_output_gone(struct stream *s)
{
	char moved[MOVED_BYTES];

	tool_nag_end();
	progress_clear(&s->progress);
	if (s->sub || s->pop)
		return RC_GONE;
	tool_error("output \"%s\": its reader has gone (EPIPE); %s", s->out_name,
		   s->ops->moved(s, moved));
	return RC_FAIL;
}

/* Its name is gone: say so once. Processes that come later are elsewhere. */
void stream_note_unnamed(struct stream *s)
{
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();
	uint64_t now = tool_now_ns();
	int err;

	s->name_due = !s->o->quiet && now < s->name_look_ns && s->name_look_ns != UINT64_MAX;
	if (s->o->quiet || now < s->name_look_ns)
		return;
	s->name_look_ns = now + NS_PER_S;
	err = s->ch ? shmipc_channel_get_info(s->ch, &i) :
	      s->pub ? shmipc_pub_get_info(s->pub, &i) :
	      s->sub ? shmipc_sub_get_info(s->sub, &i) :
	      s->push ? shmipc_push_get_info(s->push, &i) : shmipc_pop_get_info(s->pop, &i);
	if (err || !(i.flags & SHMIPC_SEG_UNNAMED))
		return;
	s->name_look_ns = UINT64_MAX;
	progress_clear(&s->progress);
	tool_note("%s \"%s\": its name was removed from %s while it is in use: processes that open it "
		  "from now on are in another one; end its peers and start them again",
		  s->ops->what, s->name, shmipc_segment_dir());
}

int stream_idle(struct stream *s, uint64_t mark, const char *waiting_for)
{
	uint64_t now = tool_now_ns();
	char moved[MOVED_BYTES];

	if (tool_stop) {
		tool_nag_end();
		return RC_SIGNAL + tool_stop;
	}
	if (!s->idle_since_ns || s->idle_mark != mark) {
		s->idle_since_ns = now;
		s->idle_mark = mark;
	}
	progress_tick(&s->progress, s->bytes, now);
	stream_note_unnamed(s);
	/* It may leave while there is nothing to write. */
	if (s->out_fd >= 0 && tool_reader_gone(s->out_fd))
		return stream_output_gone(s);
	if (s->o->timeout_ns == SHMIPC_FOREVER || now - s->idle_since_ns < s->o->timeout_ns)
		return RC_OK;
	progress_clear(&s->progress);
	tool_error("%s \"%s\": waited %g s for %s (ETIMEDOUT); %s", s->ops->what, s->name,
		   (double)s->o->timeout_ns / 1e9, waiting_for, s->ops->moved(s, moved));
	return RC_TIMEOUT;
}

static uint64_t slice(const struct stream *s, uint64_t ns)
{
	uint64_t gone, left;

	if (s->o->timeout_ns != SHMIPC_FOREVER && s->idle_since_ns) {
		gone = tool_now_ns() - s->idle_since_ns;
		left = gone >= s->o->timeout_ns ? 1 : s->o->timeout_ns - gone;
		ns = ns < left ? ns : left;
	}
	return shmipc_deadline_in(ns);
}

uint64_t stream_slice(const struct stream *s)
{
	return slice(s, SLICE_NS);
}

static int attends(struct stream *s)
{
	if (!s->attends)
		s->attends = tool_attend(s->out_fd) ? 1 : -1;
	return s->attends > 0;
}

uint64_t stream_long_slice(struct stream *s)
{
	uint64_t now = tool_now_ns();

	/* After some traffic it looks for the name once more. */
	if (s->name_due)
		return slice(s, s->name_look_ns > now ? s->name_look_ns - now : 1);
	return slice(s, !s->progress.on && attends(s) ? SHMIPC_FOREVER : SLICE_NS);
}

void stream_tell(json_t *obj, const char *key, const char *words, uint64_t v)
{
	if (obj)
		json_object_set_new(obj, key, json_integer(json_u64(v)));
	else if (words)
		fprintf(stderr, words, v);
}

static void summary(struct stream *s, int rc)
{
	const char *command = opts_command()->name;
	double seconds = 0, msgs, bytes;
	json_t *obj = NULL;
	char rate[TEXT_BYTES];

	progress_clear(&s->progress);
	if (s->o->quiet || (s->o->brief && !s->o->json))
		return;
	if (s->begin_ns)
		seconds = (double)((s->end_ns ? s->end_ns : tool_now_ns()) - s->begin_ns) / 1e9;
	msgs = seconds > 0 ? (double)s->messages / seconds : 0;
	bytes = seconds > 0 ? (double)s->bytes / seconds : 0;
	if (s->o->json)
		obj = json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:f, s:f, s:f}",
				"event", "summary", "command", command, "name", s->name, "exit", rc == RC_GONE ? RC_OK : rc,
				"messages", json_u64(s->messages), "bytes", json_u64(s->bytes),
				"seconds", seconds, "msgs_per_s", msgs, "bytes_per_s", bytes);
	else
		fprintf(stderr, "%s: %" PRIu64 " messages, %" PRIu64 " bytes in %.3f s, %s", command,
			s->messages, s->bytes, seconds, format_rate(bytes, rate));
	s->ops->tell(s, obj);
	if (s->o->json)
		json_line(stderr, obj);
	else
		fputc('\n', stderr);
}

int stream_close(struct stream *s, int rc)
{
	if (!s->ch && !s->pub && !s->sub && !s->push && !s->pop)
		return rc;
	summary(s, rc);
	s->ops->close(s, rc);
	return rc;
}
