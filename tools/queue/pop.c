// SPDX-License-Identifier: MIT
/* pop.c - shmipc queue pop: items are written, or a command runs for each */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <shmipc/error.h>
#include "../util/child.h"
#include "../util/util.h"
#include "queue.h"

struct pop {
	const struct queue_opts *o;
	char **command;		/* NULL: items are written */
	struct stream s;
	struct output out;
	struct message m;
	int acked;		/* items can be given back */
	uint64_t returned;
};

static const char *moved(struct stream *s, char text[MOVED_BYTES])
{
	snprintf(text, MOVED_BYTES, "received %" PRIu64 " items, %" PRIu64 " bytes", s->messages, s->bytes);
	return text;
}

static void tell(struct stream *s, json_t *obj)
{
	struct shmipc_pop_stat st = SHMIPC_POP_STAT();

	(void)shmipc_pop_get_stat(s->pop, &st);
	stream_tell(obj, "again", NULL, st.again);
	stream_tell(obj, "acked", NULL, st.acked);
	stream_tell(obj, "returned", NULL, st.returned);
	stream_tell(obj, "sleeps", NULL, st.sleeps);
}

/* What it has not acknowledged is given back. */
static void leave(struct stream *s, int rc)
{
	(void)rc;
	shmipc_pop_close(s->pop);
	s->pop = NULL;
}

static const struct stream_ops pop_ops = {
	.moved = moved, .tell = tell, .close = leave, .what = "queue", .larger = "--item",
};

static int fails(struct pop *p, const char *what, int err)
{
	progress_clear(&p->s.progress);
	tool_error_lib(what, p->s.name, err);
	return RC_FAIL;
}

static int open_pop(struct pop *p, const char *name)
{
	const struct shmipc_queue_opts create = queue_create(p->o);
	struct shmipc_queue_stat st = SHMIPC_QUEUE_STAT();
	int err;

	stream_begin(&p->s, &p->o->stream, &pop_ops, SHMIPC_ROLE_READER, name);
	err = shmipc_pop_open(&p->s.pop, name, &create, NULL);
	if (err)
		return fails(p, "pop from", err);
	(void)shmipc_pop_get_info(p->s.pop, &p->s.info);
	err = shmipc_queue_look(name, &st);
	p->acked = err || st.delivery == SHMIPC_QUEUE_ACKNOWLEDGED;
	return RC_OK;
}

/* The item is written, or its command has succeeded. */
static int done(struct pop *p)
{
	int err = shmipc_pop_ack(p->s.pop, &p->s.item, 1);

	if (err)
		return fails(p, "acknowledge", err);
	stream_moved(&p->s, p->s.item.bytes);
	return RC_OK;
}

static int give_back(struct pop *p)
{
	int err = p->acked ? shmipc_pop_nack(p->s.pop, &p->s.item, 1) :
			     shmipc_pop_ack(p->s.pop, &p->s.item, 1);

	if (err)
		return fails(p, "give back", err);
	stream_moved(&p->s, p->s.item.bytes);
	p->returned++;
	return RC_OK;
}

/* It is acknowledged when it is written: what its reader does not get is handed out again. */
static int write_item(struct pop *p)
{
	const struct shmipc_queue_item *it = &p->s.item;
	const struct shmipc_msg msg = { .ptr = it->data, .len = it->bytes, .seq = it->number };
	int rc = message_take(&p->m, &msg);

	if (rc < 0)
		return fails(p, "pop from", rc);
	rc = message_put(&p->m, &p->out, &p->s);
	if (!rc)
		rc = output_flush(&p->out, &p->s);
	return rc ? rc : done(p);
}

/* The item as a file: a command may read it at its own pace, or not at all. */
static int item_file(const struct shmipc_queue_item *it)
{
	int fd = memfd_create("shmipc-item", MFD_CLOEXEC);
	size_t at;
	ssize_t n;

	for (at = 0; fd >= 0 && at < it->bytes; at += (size_t)n) {
		n = pwrite(fd, (const char *)it->data + at, it->bytes - at, (off_t)at);
		if (n <= 0) {
			(void)close(fd);
			return -1;
		}
	}
	return fd;
}

static int set_number(const char *name, uint64_t v)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	return setenv(name, text, 1);
}

/* Cut off, it must not go on with an item that another consumer has got meanwhile. */
static int still_ours(void *arg)
{
	struct shmipc_pop_stat st = SHMIPC_POP_STAT();
	struct pop *p = arg;

	if (!shmipc_pop_get_stat(p->s.pop, &st))
		return 1;
	tool_error("queue \"%s\": cut off by another process (ECONNRESET): see shmipc-fence(1)", p->s.name);
	return 0;
}

static int run_item(struct pop *p)
{
	const struct shmipc_queue_item *it = &p->s.item;
	int sig = 0, code, rc, fd = item_file(it);
	const struct child c = { .argv = p->command, .in = fd, .ret_sig = &sig, .holds = still_ours, .arg = p };

	if (fd < 0 || set_number("SHMIPC_LEVEL", it->level) ||
	    set_number("SHMIPC_DELIVERIES", it->deliveries)) {
		tool_error("queue \"%s\": an item as a file of %" PRIu32 " bytes: %s (%s)", p->s.name, it->bytes,
			   strerror(errno), shmipc_error_name(errno));
		if (fd >= 0)
			(void)close(fd);
		return RC_FAIL;
	}
	code = child_hold(&c);
	(void)close(fd);
	rc = code ? give_back(p) : done(p);
	if (sig)
		return RC_SIGNAL + sig;
	/* It cannot be executed, and could not be for the next one. */
	if (!rc && (code == RC_NO_EXEC || code == RC_NOT_FOUND))
		return code;
	return rc || p->o->follow || p->o->until_empty || p->o->input.count > 1 ? rc : code;
}

/* No item. RC_OK: try again, until *@ret_deadline_ns. */
static int no_item(struct pop *p, int err, uint64_t *ret_deadline_ns)
{
	int rc;

	if (!stream_is_idle(err))
		return fails(p, "pop from", err);
	if (p->command && !tool_stop)
		tool_stop = child_signal();
	rc = stream_idle(&p->s, p->s.messages, "an item");
	*ret_deadline_ns = p->command ? stream_slice(&p->s) : stream_long_slice(&p->s);
	return rc;
}

static int handle(struct pop *p)
{
	struct shmipc_peer_info from;

	p->s.idle_since_ns = 0;
	p->s.item_pid = 0;
	p->s.dead = SHMIPC_DEAD_LETTER();
	if (p->m.format == FORMAT_JSON || p->o->message.headers || p->m.format == FORMAT_HEX) {
		if (!shmipc_pop_producer(p->s.pop, &p->s.item, &from))
			p->s.item_pid = from.pid;
		(void)shmipc_pop_dead_letter(p->s.pop, &p->s.item, &p->s.dead);
	}
	return p->command ? run_item(p) : write_item(p);
}

static int loop(struct pop *p)
{
	const struct queue_opts *o = p->o;
	uint64_t deadline_ns = 0, n = 0, most = o->input.count;
	int rc = RC_OK, err;

	if (!most)
		most = o->follow || o->until_empty ? UINT64_MAX : 1;
	while (!rc && n < most) {
		if (tool_stop)
			return RC_SIGNAL + tool_stop;
		err = shmipc_pop_item(p->s.pop, &p->s.item, deadline_ns);
		deadline_ns = 0;
		if (!err) {
			n++;
			rc = handle(p);
		} else if (err == -EAGAIN && o->until_empty) {
			break;
		} else {
			rc = no_item(p, err, &deadline_ns);
		}
	}
	if (rc || !p->returned)
		return rc;
	tool_error("queue \"%s\": of %" PRIu64 " items, %" PRIu64 " were %s, as their command failed", p->s.name, n,
		   p->returned, p->acked ? "given back" : "lost");
	return RC_FAIL;
}

int queue_pop(const struct queue_opts *o, const char *name, char **command)
{
	struct pop p = { .o = o, .command = *command ? command : NULL };
	int rc;

	if (p.command)
		child_begin();
	else
		tool_catch_signals();
	rc = output_open(&p.out, o->input.file);
	if (rc)
		return rc;
	message_init(&p.m, &o->message, &p.out);
	rc = open_pop(&p, name);
	if (!p.command) {
		p.s.out_fd = p.out.fd;
		p.s.out_name = p.out.name;
	}
	if (!rc)
		rc = loop(&p);
	rc = output_close(&p.out, &p.s, rc);
	message_done(&p.m);
	return stream_close(&p.s, rc);
}
