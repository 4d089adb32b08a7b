// SPDX-License-Identifier: MIT
/* other_zmq.c - ZeroMQ: XPUB that does not drop, and SUB, by ipc:// */
#include <stdlib.h>

#include "others.h"

#ifdef WITH_ZMQ
#include <zmq.h>

struct end {
	void *ctx;
	void *socket;
	zmq_msg_t msg;
};

static void end_close(void *end)
{
	struct end *e = end;

	if (e->socket)
		zmq_close(e->socket);
	if (e->ctx)
		zmq_ctx_term(e->ctx);
	free(e);
}

/* The subscription arrives as a message; before that, messages would be dropped. */
static int await_sub(struct end *e)
{
	char sub[8];

	return zmq_recv(e->socket, sub, sizeof(sub), 0) < 0 ? -1 : 0;
}

static int prepare(struct end *e, const char *name, int sends)
{
	int one = 1;

	if (!sends)
		return zmq_setsockopt(e->socket, ZMQ_SUBSCRIBE, "", 0) ||
		       zmq_connect(e->socket, name);
	return zmq_setsockopt(e->socket, ZMQ_XPUB_NODROP, &one, sizeof(one)) ||
	       zmq_bind(e->socket, name) || await_sub(e);
}

static void *end_open(struct bench_env *env, unsigned int way, int sends)
{
	struct end *e = calloc(1, sizeof(*e));
	char name[96];

	(void)env;
	if (!e)
		return NULL;
	bench_other_name(name, sizeof(name), "ipc://@", way);
	e->ctx = zmq_ctx_new();
	e->socket = e->ctx ? zmq_socket(e->ctx, sends ? ZMQ_XPUB : ZMQ_SUB) : NULL;
	if (e->socket && !prepare(e, name, sends))
		return e;
	end_close(e);
	return NULL;
}

static int end_send(void *end, const void *buf, size_t len)
{
	struct end *e = end;

	return zmq_send(e->socket, buf, len, 0) < 0 ? -1 : 0;
}

static int end_recv(void *end, const void **ret_ptr, size_t *ret_len)
{
	struct end *e = end;

	zmq_msg_init(&e->msg);
	if (zmq_msg_recv(&e->msg, e->socket, 0) < 0)
		return -1;
	*ret_ptr = zmq_msg_data(&e->msg);
	*ret_len = zmq_msg_size(&e->msg);
	return 0;
}

static void end_done(void *end, const void *ptr)
{
	struct end *e = end;

	(void)ptr;
	zmq_msg_close(&e->msg);
}

static const struct bench_other zmq = {
	"peer-zeromq", end_open, end_send, end_recv, end_done, end_close,
};

static int out(struct bench_env *env)
{
	return bench_other_out(env, &zmq);
}

static int in(struct bench_env *env)
{
	return bench_other_in(env, &zmq);
}

static int ask(struct bench_env *env)
{
	return bench_other_ask(env, &zmq);
}

static int answer(struct bench_env *env)
{
	return bench_other_answer(env, &zmq);
}

struct bench_case *bench_zmq(int rtt)
{
	static struct bench_case c[2] = {
		{ .name = "peer-zeromq", .table = BENCH_TABLE_RATE, .ratio = BENCH_BY_RATE,
		  .step = { .side = { out, in }, .result = 1 }, .wait = BENCH_SLEEP,
		  .prepare = bench_other_prepare, .finish = bench_other_finish },
		{ .name = "peer-zeromq", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
		  .step = { .side = { ask, answer } }, .wait = BENCH_SLEEP },
	};

	return &c[rtt];
}
#else
struct bench_case *bench_zmq(int rtt)
{
	(void)rtt;
	return NULL;
}
#endif
