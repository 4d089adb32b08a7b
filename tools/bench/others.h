/* SPDX-License-Identifier: MIT */
/* others.h - interface of the benches to another library */
#ifndef SHMIPC_BENCH_OTHERS_H
#define SHMIPC_BENCH_OTHERS_H

#include "bench.h"

/*
 * Open one end of direction @way, 0 or 1, that sends or receives; NULL on failure. send
 * and recv return 0 or -1; a received message is valid until done.
 */
struct bench_other {
	const char *name;
	void *(*open)(struct bench_env *env, unsigned int way, int sends);
	int (*send)(void *end, const void *buf, size_t len);
	int (*recv)(void *end, const void **ret_ptr, size_t *ret_len);
	void (*done)(void *end, const void *ptr);
	void (*close)(void *end);
};

int bench_other_out(struct bench_env *env, const struct bench_other *o);
int bench_other_in(struct bench_env *env, const struct bench_other *o);
int bench_other_ask(struct bench_env *env, const struct bench_other *o);
int bench_other_answer(struct bench_env *env, const struct bench_other *o);
int bench_other_prepare(struct bench_env *env);	/* creates the ring for comparison */
void bench_other_finish(struct bench_env *env);
void bench_other_name(char *buf, size_t cap, const char *scheme, unsigned int way);

/* Throughput, or round trip; NULL: not built in. */
struct bench_case *bench_zmq(int rtt);
struct bench_case *bench_nng(int rtt);
struct bench_case *bench_iceoryx(int rtt);

#endif /* SHMIPC_BENCH_OTHERS_H */
