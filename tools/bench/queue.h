/* SPDX-License-Identifier: MIT */
/* queue.h - what `shmipc bench queue` moves items through */
#ifndef SHMIPC_BENCH_QUEUE_H
#define SHMIPC_BENCH_QUEUE_H

#include <shmipc/shmipc.h>

#include "bench.h"
#include "source.h"

#define BENCH_BATCH_MAX		16u	/* as many as there are private slots of small items */

enum bench_queue_way {
	BENCH_QUEUE_ACKNOWLEDGED,
	BENCH_QUEUE_AT_MOST_ONCE,
	BENCH_QUEUE_MQ,
	BENCH_QUEUE_SEQPACKET,
};

/* The end of one member. */
struct bench_queue_end {
	struct shmipc_push *tx;
	struct shmipc_pop *rx;
	unsigned char *buf;		/* of the kernel's ways: an item */
	struct bench_source src;
};

/* queue_ways.c: 0; -1 after bench_fail() */
int bench_queue_open(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		     int producer);
void bench_queue_close(struct bench_queue_end *e);

/* Push items @seq to @seq + @n - 1; all at once, if it is the library's. */
int bench_queue_push(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		     uint64_t seq, unsigned int n);

/*
 * Take up to a batch, check each byte, and be done with them. @ret_n: how many; 0: none came
 * for a while. @ret_sum: the sum of their numbers.
 */
int bench_queue_pop(struct bench_env *env, const struct bench_queue *q, struct bench_queue_end *e,
		    unsigned int *ret_n, uint64_t *ret_sum);

/* Before the fork: what the ends need. */
int bench_queue_prepare(struct bench_env *env, const struct bench_queue *q);
void bench_queue_finish(struct bench_env *env);

#endif /* SHMIPC_BENCH_QUEUE_H */
