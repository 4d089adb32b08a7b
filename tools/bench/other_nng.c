// SPDX-License-Identifier: MIT
/* other_nng.c - nng: its pipeline protocol (its publish-subscribe one drops), by abstract:// */
#include <stdlib.h>

#include "others.h"

#ifdef WITH_NNG
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>

struct end {
	nng_socket socket;
	nng_msg *msg;
};

static void end_close(void *end)
{
	struct end *e = end;

	nng_close(e->socket);
	free(e);
}

static void *end_open(struct bench_env *env, unsigned int way, int sends)
{
	struct end *e = calloc(1, sizeof(*e));
	char name[96];
	int ret;

	(void)env;
	if (!e)
		return NULL;
	bench_other_name(name, sizeof(name), "abstract://", way);
	ret = sends ? nng_push0_open(&e->socket) : nng_pull0_open(&e->socket);
	if (ret) {
		free(e);
		return NULL;
	}
	/* It retries until the other side listens. */
	ret = sends ? nng_listen(e->socket, name, NULL, 0) :
		      nng_dial(e->socket, name, NULL, NNG_FLAG_NONBLOCK);
	if (!ret)
		return e;
	end_close(e);
	return NULL;
}

static int end_send(void *end, const void *buf, size_t len)
{
	struct end *e = end;

	return nng_send(e->socket, (void *)(uintptr_t)buf, len, 0) ? -1 : 0;
}

static int end_recv(void *end, const void **ret_ptr, size_t *ret_len)
{
	struct end *e = end;

	if (nng_recvmsg(e->socket, &e->msg, 0))
		return -1;
	*ret_ptr = nng_msg_body(e->msg);
	*ret_len = nng_msg_len(e->msg);
	return 0;
}

static void end_done(void *end, const void *ptr)
{
	struct end *e = end;

	(void)ptr;
	nng_msg_free(e->msg);
}

static const struct bench_other nng = {
	"peer-nng", end_open, end_send, end_recv, end_done, end_close,
};

static int out(struct bench_env *env)
{
	return bench_other_out(env, &nng);
}

static int in(struct bench_env *env)
{
	return bench_other_in(env, &nng);
}

static int ask(struct bench_env *env)
{
	return bench_other_ask(env, &nng);
}

static int answer(struct bench_env *env)
{
	return bench_other_answer(env, &nng);
}

struct bench_case *bench_nng(int rtt)
{
	static struct bench_case c[2] = {
		{ .name = "peer-nng", .table = BENCH_TABLE_RATE, .ratio = BENCH_BY_RATE,
		  .step = { .side = { out, in }, .result = 1 }, .wait = BENCH_SLEEP,
		  .prepare = bench_other_prepare, .finish = bench_other_finish },
		{ .name = "peer-nng", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
		  .step = { .side = { ask, answer } }, .wait = BENCH_SLEEP },
	};

	return &c[rtt];
}
#else
struct bench_case *bench_nng(int rtt)
{
	(void)rtt;
	return NULL;
}
#endif
