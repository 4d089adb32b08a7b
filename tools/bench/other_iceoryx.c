// SPDX-License-Identifier: MIT
/*
 * other_iceoryx.c - iceoryx: loans, a publisher that waits, polled
 *
 * Its daemon is started for each run, and ends with it.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "others.h"

#ifdef WITH_ICEORYX
#include <iceoryx_binding_c/log.h>
#include <iceoryx_binding_c/publisher.h>
#include <iceoryx_binding_c/runtime.h>
#include <iceoryx_binding_c/subscriber.h>

#include <shmipc/inline/atomic.h>

#define QUEUE	256u

struct end {
	iox_pub_storage_t pub_mem;
	iox_sub_storage_t sub_mem;
	iox_pub_t pub;
	iox_sub_t sub;
	size_t size;
};

static pid_t daemon_pid;
static FILE *daemon_says;
static unsigned int ends;	/* of this process */

static void finish(struct bench_env *env)
{
	bench_other_finish(env);
	if (daemon_pid <= 0)
		return;
	kill(daemon_pid, SIGTERM);
	waitpid(daemon_pid, NULL, 0);
	daemon_pid = 0;
	(void)fclose(daemon_says);
}

/* Wait until it reports that it is ready, or has ended. */
static int prepare(struct bench_env *env)
{
	static const struct sched_param zero;
	char line[256];
	int pipes[2];

	if (bench_other_prepare(env) || pipe(pipes))
		return -1;
	daemon_pid = fork();
	if (daemon_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)sched_setscheduler(0, SCHED_OTHER, &zero);
		dup2(pipes[1], 1);
		dup2(pipes[1], 2);
		close(pipes[0]);
		execlp("iox-roudi", "iox-roudi", "-m", "off", (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	daemon_says = fdopen(pipes[0], "r");
	while (daemon_says && fgets(line, sizeof(line), daemon_says))
		if (strstr(line, "ready for clients"))	/* it prints little after that */
			return 0;
	fprintf(stderr, "shmipc: bench: iox-roudi does not start; install iceoryx\n");
	finish(env);
	return -1;
}

static void end_close(void *end)
{
	struct end *e = end;

	if (e->pub)
		iox_pub_deinit(e->pub);
	if (e->sub)
		iox_sub_deinit(e->sub);
	free(e);
	if (!--ends)		/* otherwise the daemon keeps our memory */
		iox_runtime_shutdown();
}

static void runtime(void)
{
	char name[64];

	if (ends)
		return;
	(void)snprintf(name, sizeof(name), "shmipc-bench-%ld", (long)getpid());
	iox_set_loglevel(Iceoryx_LogLevel_Error);
	iox_runtime_init(name);
}

static void *end_open(struct bench_env *env, unsigned int way, int sends)
{
	struct end *e = calloc(1, sizeof(*e));
	iox_pub_options_t po;
	iox_sub_options_t so;
	char name[64];

	if (!e)
		return NULL;
	e->size = env->size;
	runtime();
	ends++;
	bench_other_name(name, sizeof(name), "", way);
	if (sends) {
		iox_pub_options_init(&po);
		po.subscriberTooSlowPolicy = ConsumerTooSlowPolicy_WAIT_FOR_CONSUMER;
		e->pub = iox_pub_init(&e->pub_mem, "shmipc", "bench", name, &po);
		while (e->pub && !iox_pub_has_subscribers(e->pub))
			usleep(1000);
	} else {
		iox_sub_options_init(&so);
		so.queueCapacity = QUEUE;
		so.queueFullPolicy = QueueFullPolicy_BLOCK_PRODUCER;
		e->sub = iox_sub_init(&e->sub_mem, "shmipc", "bench", name, &so);
		while (e->sub && iox_sub_get_subscription_state(e->sub) != SubscribeState_SUBSCRIBED)
			usleep(1000);
	}
	return e;
}

static int end_send(void *end, const void *buf, size_t len)
{
	struct end *e = end;
	void *chunk;

	/* All chunks are in use: the subscriber is slow. */
	while (iox_pub_loan_chunk(e->pub, &chunk, (uint32_t)len) != AllocationResult_SUCCESS)
		shmipc_cpu_relax();
	memcpy(chunk, buf, len);
	iox_pub_publish_chunk(e->pub, chunk);
	return 0;
}

static int end_recv(void *end, const void **ret_ptr, size_t *ret_len)
{
	struct end *e = end;
	enum iox_ChunkReceiveResult ret;

	while ((ret = iox_sub_take_chunk(e->sub, ret_ptr)) ==
	       ChunkReceiveResult_NO_CHUNK_AVAILABLE)
		shmipc_cpu_relax();
	if (ret != ChunkReceiveResult_SUCCESS)
		return -1;
	*ret_len = e->size;	/* the C interface does not report it */
	return 0;
}

static void end_done(void *end, const void *ptr)
{
	struct end *e = end;

	iox_sub_release_chunk(e->sub, ptr);
}

static const struct bench_other iceoryx = {
	"peer-iceoryx", end_open, end_send, end_recv, end_done, end_close,
};

static int out(struct bench_env *env)
{
	return bench_other_out(env, &iceoryx);
}

static int in(struct bench_env *env)
{
	return bench_other_in(env, &iceoryx);
}

static int ask(struct bench_env *env)
{
	return bench_other_ask(env, &iceoryx);
}

static int answer(struct bench_env *env)
{
	return bench_other_answer(env, &iceoryx);
}

struct bench_case *bench_iceoryx(int rtt)
{
	static struct bench_case c[2] = {
		{ .name = "peer-iceoryx", .table = BENCH_TABLE_RATE, .ratio = BENCH_BY_RATE,
		  .step = { .side = { out, in }, .result = 1 },
		  .prepare = prepare, .finish = finish },
		{ .name = "peer-iceoryx", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
		  .step = { .side = { ask, answer } },
		  .prepare = prepare, .finish = finish },
	};

	return &c[rtt];
}
#else
struct bench_case *bench_iceoryx(int rtt)
{
	(void)rtt;
	return NULL;
}
#endif
