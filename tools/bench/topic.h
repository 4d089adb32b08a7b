/* SPDX-License-Identifier: MIT */
/* topic.h - shared by the benches of topics */
#ifndef SHMIPC_BENCH_TOPIC_H
#define SHMIPC_BENCH_TOPIC_H

#include <shmipc/shmipc.h>

#include "bench.h"
#include "source.h"

/* topic.c: the ends of topic 0 or 1, according to the options; NULL after bench_fail() */
int bench_topic_prepare(struct bench_env *env, struct bench_topic *t);
void bench_topic_finish(struct bench_env *env);
struct shmipc_pub *bench_topic_pub(struct bench_env *env, unsigned int topic, enum bench_wait wait);
struct shmipc_sub *bench_topic_sub(struct bench_env *env, unsigned int topic, enum bench_wait wait);
int bench_topic_source(struct bench_env *env, struct bench_source *src);
int bench_topic_fail_bytes(struct bench_env *env, uint64_t seq);
int bench_topic_fail_at(struct bench_env *env, const char *what, uint64_t seq, int ret);

#endif /* SHMIPC_BENCH_TOPIC_H */
