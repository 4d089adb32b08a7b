// SPDX-License-Identifier: MIT
/*
 * peers.c - other ways to move messages, measured in the same way, for comparison
 *
 * The index ring is the common ring of equal slots (after Lamport, where each side caches
 * the other's index), written here for comparison; it stands for the many libraries that
 * work this way. The others are the kernel's.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <shmipc/inline/atomic.h>

#include "bench.h"
#include "source.h"

#define SAMPLES		((size_t)1 << 20)
#define WARM		200u	/* round trips before the clock runs */
#define RINGS_OFF	((size_t)2 << 20)	/* in env->mem; as the blocks of the limits */

/* One end of an index ring. */
struct index_end {
	uint64_t *head;		/* messages written */
	uint64_t *tail;		/* messages taken */
	unsigned char *data;
	size_t slot;
	uint64_t mask;
	uint64_t mine;
	uint64_t theirs;	/* when last read */
};

static void index_init(struct index_end *e, const struct bench_env *env, unsigned int ring)
{
	uint64_t slots = 2;
	size_t bytes = env->opts->ring_bytes / 2;	/* there may be two rings */

	memset(e, 0, sizeof(*e));
	e->slot = (env->size + 7) & ~(size_t)7;
	while (2 * slots * e->slot <= bytes)
		slots *= 2;
	e->mask = slots - 1;
	e->head = (uint64_t *)(void *)(env->mem + 4096 + ring * 512);
	e->tail = (uint64_t *)(void *)(env->mem + 4096 + ring * 512 + 256);
	e->data = env->mem + RINGS_OFF + ring * bytes;
	if (env->side == 0) {
		shmipc_store_relaxed(e->head, (uint64_t)0);
		shmipc_store_relaxed(e->tail, (uint64_t)0);
	}
}

static inline void index_send(struct index_end *e, const void *buf, size_t len)
{
	while (shmipc_unlikely(e->mine - e->theirs > e->mask)) {
		/* peers.X1 <- peers.X0: a message that was taken may be overwritten. */
		e->theirs = shmipc_load_acquire(e->tail);
		if (e->mine - e->theirs > e->mask)
			shmipc_cpu_relax();
	}
	memcpy(e->data + (e->mine & e->mask) * e->slot, buf, len);
	e->mine++;
	/* peers.X2 -> peers.X3: the message is there before it is counted. */
	shmipc_store_release(e->head, e->mine);
}

static inline const void *index_peek(struct index_end *e)
{
	while (shmipc_unlikely(e->mine == e->theirs)) {
		/* peers.X3 <- peers.X2 */
		e->theirs = shmipc_load_acquire(e->head);
		if (e->mine == e->theirs)
			shmipc_cpu_relax();
	}
	return e->data + (e->mine & e->mask) * e->slot;
}

static inline void index_release(struct index_end *e)
{
	e->mine++;
	/* peers.X0 -> peers.X1: we have read it before its slot is free. */
	shmipc_store_release(e->tail, e->mine);
}

static int source_for(struct bench_env *env, struct bench_source *src)
{
	if (!bench_source_init(src, env->size))
		return 0;
	return bench_fail(env, "memory for messages of %zu bytes (ENOMEM)", env->size);
}

static int fail_bytes(struct bench_env *env, uint64_t seq)
{
	return bench_fail(env, "message %llu differs from the one sent (EPROTO)",
			  (unsigned long long)seq);
}

static int index_out(struct bench_env *env)
{
	uint64_t seq = 0, i, chunk = ((size_t)256 << 10) / env->size + 1, least, end;
	struct bench_source src;
	struct index_end e;
	int stop;

	index_init(&e, env, 0);
	if (source_for(env, &src))
		return -1;
	bench_begin(env);
	least = 4 * (e.mask + 1);
	end = bench_ticks() + bench_ns_ticks(env->seconds * 1e9);
	do {
		stop = seq >= least && bench_ticks() >= end;
		if (stop)
			shmipc_store_relaxed(&env->shared->last, seq + chunk);
		for (i = 0; i < chunk; i++, seq++) {
			index_send(&e, bench_source_at(&src, seq), src.size);
			bench_source_restamp(&src, seq);
		}
	} while (!stop);
	bench_source_free(&src);
	return 0;
}

static int index_in(struct bench_env *env)
{
	uint64_t seq, sum, warm, t0 = 0;
	struct bench_source src;
	struct index_end e;
	double seconds;

	index_init(&e, env, 0);
	if (source_for(env, &src))
		return -1;
	bench_begin(env);
	warm = 2 * (e.mask + 1);
	for (seq = 0; seq != shmipc_load_relaxed(&env->shared->last); seq++) {
		if (shmipc_unlikely(seq == warm))
			t0 = bench_ticks();
		sum = bench_sum(index_peek(&e), src.size);
		index_release(&e);
		if (shmipc_unlikely(sum != bench_source_want(&src, seq)))
			return fail_bytes(env, seq);
	}
	seconds = bench_ticks_ns(bench_ticks() - t0) / 1e9;
	env->out->msgs = seq - warm;
	env->out->msgs_per_s = (double)(seq - warm) / seconds;
	env->out->bytes_per_s = env->out->msgs_per_s * (double)env->size;
	bench_source_free(&src);
	return 0;
}

/* How a peer sends and receives one message; 0 or -1. */
struct way {
	int (*send)(struct bench_env *env, void *end, const void *buf, size_t len);
	int (*recv)(struct bench_env *env, void *end, void *buf, size_t len);
};

static int ask(struct bench_env *env, const struct way *way, void *tx, void *rx)
{
	uint32_t *sample = malloc(SAMPLES * sizeof(*sample));
	unsigned char *buf = malloc(env->size);
	uint64_t seq, t, prev, end = UINT64_MAX;
	struct bench_source src;
	int stop = 0;

	if (!sample || !buf || source_for(env, &src))
		return bench_fail(env, "memory for samples (ENOMEM)");
	memset(sample, 0xff, SAMPLES * sizeof(*sample));
	bench_begin(env);
	prev = bench_ticks();
	for (seq = 0; !stop; seq++) {
		if (seq == WARM)
			end = prev + bench_ns_ticks(env->seconds * 1e9);
		stop = seq > WARM && (prev >= end || seq - WARM == SAMPLES);
		if (stop)
			shmipc_store_release(&env->shared->last, seq + 1);
		if (way->send(env, tx, bench_source_at(&src, seq), src.size) ||
		    way->recv(env, rx, buf, src.size))
			return -1;
		if (bench_sum(buf, src.size) != bench_source_want(&src, seq))
			return fail_bytes(env, seq);
		bench_source_restamp(&src, seq);
		t = bench_ticks();
		if (seq >= WARM && !stop)
			sample[seq - WARM] = (uint32_t)(t - prev);
		prev = t;
	}
	bench_samples_into(env->out, sample, seq - 1 - WARM);
	bench_source_free(&src);
	free(sample);
	free(buf);
	return 0;
}

static int answer(struct bench_env *env, const struct way *way, void *tx, void *rx)
{
	unsigned char *buf = malloc(env->size);
	uint64_t seq;

	if (!buf)
		return bench_fail(env, "memory for a message (ENOMEM)");
	bench_begin(env);
	for (seq = 0; seq != shmipc_load_acquire(&env->shared->last); seq++)
		if (way->recv(env, rx, buf, env->size) || way->send(env, tx, buf, env->size))
			return -1;
	free(buf);
	return 0;
}

static int index_way_send(struct bench_env *env, void *end, const void *buf, size_t len)
{
	(void)env;
	index_send(end, buf, len);
	return 0;
}

static int index_way_recv(struct bench_env *env, void *end, void *buf, size_t len)
{
	(void)env;
	memcpy(buf, index_peek(end), len);
	index_release(end);
	return 0;
}

static const struct way index_way = { index_way_send, index_way_recv };

static int index_ask(struct bench_env *env)
{
	struct index_end there, back;

	index_init(&there, env, 0);
	index_init(&back, env, 1);
	return ask(env, &index_way, &there, &back);
}

static int index_answer(struct bench_env *env)
{
	struct index_end there, back;

	index_init(&there, env, 0);
	index_init(&back, env, 1);
	return answer(env, &index_way, &back, &there);
}

static int fd_send(struct bench_env *env, void *end, const void *buf, size_t len)
{
	const int *fd = end;
	const char *p = buf;
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = write(*fd, p, len);
		if (n < 0)
			return bench_fail(env, "write %zu bytes: %s", len, strerror(errno));
	}
	return 0;
}

static int fd_recv(struct bench_env *env, void *end, void *buf, size_t len)
{
	const int *fd = end;
	char *p = buf;
	ssize_t n;

	for (; len; p += n, len -= (size_t)n) {
		n = read(*fd, p, len);
		if (n <= 0)
			return bench_fail(env, "read %zu bytes: %s", len,
					  n ? strerror(errno) : "end of file");
	}
	return 0;
}

static const struct way fd_way = { fd_send, fd_recv };

static int mq_way_send(struct bench_env *env, void *end, const void *buf, size_t len)
{
	const int *fd = end;

	if (mq_send((mqd_t)*fd, buf, len, 0))
		return bench_fail(env, "mq_send %zu bytes: %s", len, strerror(errno));
	return 0;
}

static int mq_way_recv(struct bench_env *env, void *end, void *buf, size_t len)
{
	const int *fd = end;

	if (mq_receive((mqd_t)*fd, buf, len, NULL) < 0)
		return bench_fail(env, "mq_receive %zu bytes: %s", len, strerror(errno));
	return 0;
}

static const struct way mq_way = { mq_way_send, mq_way_recv };

/* fd[0]: side 0 writes; fd[1]: side 1 reads; fd[2]: side 1 writes; fd[3]: side 0 reads. */
static int fd_ask(struct bench_env *env)
{
	return ask(env, &fd_way, &env->fd[0], &env->fd[3]);
}

static int fd_answer(struct bench_env *env)
{
	return answer(env, &fd_way, &env->fd[2], &env->fd[1]);
}

static int mq_ask(struct bench_env *env)
{
	return ask(env, &mq_way, &env->fd[0], &env->fd[3]);
}

static int mq_answer(struct bench_env *env)
{
	return answer(env, &mq_way, &env->fd[2], &env->fd[1]);
}

static void fds_close(struct bench_env *env)
{
	int i;

	for (i = 0; i < BENCH_FDS; i++)
		if (env->fd[i] >= 0)
			close(env->fd[i]);
}

static int fds_fail(struct bench_env *env, const char *what)
{
	fprintf(stderr, "shmipc: bench: %s: %s\n", what, strerror(errno));
	fds_close(env);
	return -1;
}

static int pipe_prepare(struct bench_env *env)
{
	int there[2], back[2];

	if (pipe2(there, O_CLOEXEC))
		return fds_fail(env, "create a pipe");
	env->fd[0] = there[1];
	env->fd[1] = there[0];
	if (pipe2(back, O_CLOEXEC))
		return fds_fail(env, "create a pipe");
	env->fd[2] = back[1];
	env->fd[3] = back[0];
	return 0;
}

static int unix_prepare(struct bench_env *env)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return fds_fail(env, "create a pair of sockets");
	env->fd[0] = pair[0];
	env->fd[1] = pair[1];
	env->fd[2] = fcntl(pair[1], F_DUPFD_CLOEXEC, 0);
	env->fd[3] = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	return 0;
}

static int mq_prepare(struct bench_env *env)
{
	struct mq_attr attr = { .mq_maxmsg = 8, .mq_msgsize = (long)env->size };
	char name[64];
	int i;

	for (i = 0; i < BENCH_FDS; i += 2) {
		snprintf(name, sizeof(name), "/shmipc-bench-%d-%d", (int)getpid(), i);
		env->fd[i] = (int)mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &attr);
		if (env->fd[i] < 0)
			return fds_fail(env, "create a message queue (mq_open)");
		mq_unlink(name);
		env->fd[i + 1] = fcntl(env->fd[i], F_DUPFD_CLOEXEC, 0);
	}
	return 0;
}

struct bench_case bench_peer_index = {
	.name = "peer-index", .table = BENCH_TABLE_RATE, .ratio = BENCH_BY_RATE, .is_ring = 1,
	.step = { .side = { index_out, index_in }, .result = 1, .spins = 1 },
};

struct bench_case bench_peer_rtt[] = {
	{ .name = "peer-index", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50, .is_ring = 1,
	  .step = { .side = { index_ask, index_answer }, .spins = 1 } },
	{ .name = "peer-pipe", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
	  .step = { .side = { fd_ask, fd_answer } }, .wait = BENCH_SLEEP,
	  .prepare = pipe_prepare, .finish = fds_close },
	{ .name = "peer-unix", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
	  .step = { .side = { fd_ask, fd_answer } }, .wait = BENCH_SLEEP,
	  .prepare = unix_prepare, .finish = fds_close },
	{ .name = "peer-mq", .table = BENCH_TABLE_RTT, .ratio = BENCH_BY_P50,
	  .step = { .side = { mq_ask, mq_answer } }, .wait = BENCH_SLEEP,
	  .prepare = mq_prepare, .finish = fds_close },
};
const unsigned int bench_peer_rtt_count = sizeof(bench_peer_rtt) / sizeof(bench_peer_rtt[0]);
