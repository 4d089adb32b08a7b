// SPDX-License-Identifier: MIT
/* queue_ways.c - items through the library's queues and through those of the kernel */
#include <errno.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "queue.h"

#define MQ_ITEMS	10		/* what everyone may ask for by default */
#define PATIENCE_NS	UINT64_C(5000000)	/* without an item, until a consumer looks up */

static char name_of_queue[64];		/* of the parent's process, for all members */

static int is_ours(const struct bench_queue *q)
{
	return q->way == BENCH_QUEUE_ACKNOWLEDGED || q->way == BENCH_QUEUE_AT_MOST_ONCE;
}

static int failed(struct bench_env *env, const char *what, int ret)
{
	return bench_fail(env, "%s: %s (%s)", what, shmipc_error_text(), shmipc_error_name(ret));
}

static int open_ours(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		     int producer)
{
	static const uint64_t spin_of[] = {
		[BENCH_SPIN] = SHMIPC_SPIN_ALWAYS, [BENCH_SLEEP] = SHMIPC_SPIN_NEVER,
		[BENCH_BOTH] = 0,
	};
	const struct shmipc_queue_how how = SHMIPC_QUEUE_HOW(.spin_ns = spin_of[env->arg]);
	const struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(
		.item_bytes = env->size,
		.delivery = q->way == BENCH_QUEUE_ACKNOWLEDGED ? SHMIPC_QUEUE_ACKNOWLEDGED :
								 SHMIPC_QUEUE_AT_MOST_ONCE);
	int err = producer ? shmipc_push_open(&e->tx, name_of_queue, &o, &how) :
			     shmipc_pop_open(&e->rx, name_of_queue, &o, &how);

	return err ? failed(env, "open a queue", err) : 0;
}

int bench_queue_open(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		     int producer)
{
	memset(e, 0, sizeof(*e));
	if (bench_source_init(&e->src, env->size))
		return bench_fail(env, "memory for items of %zu bytes (ENOMEM)", env->size);
	if (is_ours(q))
		return open_ours(env, q, e, producer);
	e->buf = malloc(env->size);
	return e->buf ? 0 : bench_fail(env, "memory for an item (ENOMEM)");
}

void bench_queue_close(struct bench_queue_end *e)
{
	shmipc_push_close(e->tx);
	shmipc_pop_close(e->rx);
	bench_source_free(&e->src);
	free(e->buf);
}

/* Pushing */

static int push_ours(struct bench_env *env, struct bench_queue_end *e, uint64_t seq, unsigned int n)
{
	struct shmipc_buf v[BENCH_BATCH_MAX];
	unsigned int i;
	int ret;

	if (n == 1) {
		ret = shmipc_push_item(e->tx, bench_source_at(&e->src, seq), e->src.size, 0,
				       SHMIPC_FOREVER);
	} else {
		for (i = 0; i < n; i++)
			v[i] = (struct shmipc_buf){ bench_source_at(&e->src, seq + i), e->src.size };
		ret = shmipc_push_items(e->tx, v, n, 0, NULL, SHMIPC_FOREVER);
	}
	return ret ? failed(env, "push", ret) : 0;
}

static int push_kernel(struct bench_env *env, const struct bench_queue *q,
		       struct bench_queue_end *e, uint64_t seq)
{
	const void *item = bench_source_at(&e->src, seq);
	ssize_t done;

	if (q->way == BENCH_QUEUE_MQ)
		done = mq_send((mqd_t)env->fd[0], item, e->src.size, 0) ? -1 : (ssize_t)e->src.size;
	else
		done = send(env->fd[0], item, e->src.size, MSG_NOSIGNAL);
	if (done == (ssize_t)e->src.size)
		return 0;
	return bench_fail(env, "send an item of %zu bytes: %s", e->src.size, strerror(errno));
}

int bench_queue_push(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		     uint64_t seq, unsigned int n)
{
	unsigned int i;
	int err = 0;

	if (is_ours(q))
		err = push_ours(env, e, seq, n);
	for (i = 0; i < n && !err; i++) {
		if (!is_ours(q))
			err = push_kernel(env, q, e, seq + i);
		bench_source_restamp(&e->src, seq + i);
	}
	return err;
}

/* Taking */

/* All bytes are those of the item whose number it has. */
static int check(struct bench_env *env, const struct bench_queue_end *e, const void *item,
		 size_t bytes, uint64_t *ret_sum)
{
	uint64_t seq = 0;

	if (bytes == e->src.size)
		memcpy(&seq, item, bytes < sizeof(seq) ? bytes : sizeof(seq));
	if (bytes != e->src.size || bench_sum(item, bytes) != bench_source_want(&e->src, seq))
		return bench_fail(env, "item %llu of %zu bytes differs from the one pushed (EPROTO)",
				  (unsigned long long)seq, bytes);
	*ret_sum += seq;
	return 0;
}

static int pop_ours(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		    unsigned int *ret_n, uint64_t *ret_sum)
{
	static uint64_t deadline_ns;	/* of this process: renewed when it has passed */
	struct shmipc_queue_item v[BENCH_BATCH_MAX];
	uint32_t n = 1, i;
	int ret;

	if (q->batch > 1)
		ret = shmipc_pop_items(e->rx, v, q->batch, &n, deadline_ns);
	else
		ret = shmipc_pop_item(e->rx, v, deadline_ns);
	if (ret == -ETIMEDOUT || ret == -EAGAIN) {
		deadline_ns = shmipc_deadline_in(PATIENCE_NS);
		return 0;
	}
	if (ret)
		return failed(env, "pop", ret);
	for (i = 0; i < n; i++)
		if (check(env, e, v[i].data, v[i].bytes, ret_sum))
			return -1;
	ret = shmipc_pop_ack(e->rx, v, n);
	if (ret)
		return failed(env, "acknowledge", ret);
	*ret_n = n;
	return 0;
}

static int pop_kernel(struct bench_env *env, const struct bench_queue *q,
		      struct bench_queue_end *e, unsigned int *ret_n, uint64_t *ret_sum)
{
	struct timespec until;
	ssize_t bytes;

	if (q->way == BENCH_QUEUE_MQ) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += (long)PATIENCE_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		bytes = mq_timedreceive((mqd_t)env->fd[0], (char *)e->buf, e->src.size, NULL, &until);
	} else {
		bytes = recv(env->fd[1], e->buf, e->src.size, 0);
	}
	if (bytes < 0 && (errno == ETIMEDOUT || errno == EAGAIN))
		return 0;
	if (bytes < 0)
		return bench_fail(env, "receive an item: %s", strerror(errno));
	*ret_n = 1;
	return check(env, e, e->buf, (size_t)bytes, ret_sum);
}

int bench_queue_pop(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		    unsigned int *ret_n, uint64_t *ret_sum)
{
	*ret_n = 0;
	*ret_sum = 0;
	return is_ours(q) ? pop_ours(env, q, e, ret_n, ret_sum) :
			    pop_kernel(env, q, e, ret_n, ret_sum);
}

/* Before the fork */

static int prepare_mq(struct bench_env *env)
{
	struct mq_attr attr = { .mq_maxmsg = MQ_ITEMS, .mq_msgsize = (long)env->size };
	char name[64];

	snprintf(name, sizeof(name), "/shmipc-bench-%ld", (long)getpid());
	env->fd[0] = (int)mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
	if (env->fd[0] >= 0)
		mq_unlink(name);
	return env->fd[0] < 0 ? -1 : 0;
}

static int prepare_seqpacket(struct bench_env *env)
{
	const struct timeval patience = { .tv_usec = (suseconds_t)(PATIENCE_NS / 1000) };

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, env->fd))
		return -1;
	return setsockopt(env->fd[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

int bench_queue_prepare(struct bench_env *env, const struct bench_queue *q)
{
	int err = 0;

	(void)snprintf(name_of_queue, sizeof(name_of_queue), "bench-queue-%ld", (long)getpid());
	if (q->way == BENCH_QUEUE_MQ)
		err = prepare_mq(env);
	else if (q->way == BENCH_QUEUE_SEQPACKET)
		err = prepare_seqpacket(env);
	if (!err)
		return 0;
	fprintf(stderr, "shmipc: bench: %s for items of %zu bytes: %s\n",
		q->way == BENCH_QUEUE_MQ ? "create a message queue (mq_open)" : "create a pair of sockets",
		env->size, strerror(errno));
	bench_queue_finish(env);
	return -1;
}

void bench_queue_finish(struct bench_env *env)
{
	int i;

	for (i = 0; i < BENCH_FDS; i++)
		if (env->fd[i] >= 0)
			close(env->fd[i]);
}
