/* SPDX-License-Identifier: MIT */
/*
 * bench.h - shared by the parts of `shmipc bench`
 *
 * A run forks two processes, pins each to its CPU, and takes them through a list of
 * steps together: probe, limit, measurement, probe. So each figure is compared with a
 * limit that was measured a moment before, by the same processes on the same CPUs. Side
 * 0 is the producer, or starts a round trip; side 1 is the consumer, or replies.
 */
#ifndef SHMIPC_BENCH_H
#define SHMIPC_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <time.h>
#include "../opts/values.h"

#define BENCH_SIZES_MAX		16
#define BENCH_RUNS_MAX		1000
#define BENCH_STEPS_MAX		8
#define BENCH_FDS		4
#define BENCH_LINE		64
#define BENCH_SAMPLES		((size_t)1 << 20)
#define BENCH_BLOCK		((size_t)64 << 10)	/* of the streaming limits */

enum bench_wait {
	BENCH_SPIN,
	BENCH_SLEEP,
	BENCH_BOTH,		/* spin as long as the library does by default, then sleep */
};

/* Options of the benches of topics. */
struct bench_topic_opts {
	unsigned int publishers;
	unsigned int subscribers;
	uint32_t policy;		/* enum shmipc_policy */
	double rate;			/* topic-latency: messages a second */
	int loan;
	int cold;			/* topic-loan: the comparison has cold caches, too */
	int meta;
	int headers;
	uint32_t made_for;		/* 0: both; BENCH_FOR_ONE, BENCH_FOR_MANY */
	uint64_t inline_bytes;		/* these three: 0: the library's default */
	uint64_t history;
	uint64_t pool_bytes;
};

struct bench_lock_opts {
	uint32_t processes;
	int only;			/* enum bench_lock_kind, from 1; 0: all */
};

/* 0: the bench's own choices. */
struct bench_queue_opts {
	uint32_t producers;
	uint32_t consumers;
	uint32_t delivery;		/* 1: acknowledged; 2: at most once */
	uint32_t batch;
};

#define BENCH_CREW_MAX		64	/* processes of a bench */
#define BENCH_FOR_ONE		1	/* publisher; may be or-ed */
#define BENCH_FOR_MANY		2
#define BENCH_ENDS_MAX		1024	/* publishers, or subscribers */

struct bench_opts {
	size_t size[BENCH_SIZES_MAX];
	unsigned int sizes;		/* 0: each bench has its own default */
	double seconds;			/* of one measurement */
	unsigned int runs;
	unsigned int publish;		/* messages in a batch */
	uint64_t page;
	uint64_t ring_bytes;
	uint32_t align;
	enum bench_wait wait;
	int wait_given;
	int cpu[2];
	int json;
	const char *copier;		/* NULL: all */
	struct bench_topic_opts topic;
	struct bench_lock_opts lock;
	struct bench_queue_opts queue;
};

/* The results of one side in one step. NaN: not measured. */
struct bench_out {
	double msgs_per_s;
	double bytes_per_s;
	double p50_ns;
	double p90_ns;
	double p99_ns;
	double min_ns;
	double in_bytes_per_s;	/* copier: into shared memory */
	double out_bytes_per_s;	/* copier: out of it */
	double max_ns;		/* the longest wait of the one that had to wait longest */
	double least_share;	/* of the one that got least, as a part of the mean */
	uint64_t msgs;
	uint64_t lost;		/* bcast */
	double cpu_share;	/* CPU time of this side divided by wall time of the step */
	uint64_t preempted;	/* involuntary context switches of this side */
};

/* Memory of the two sides and the parent. */
struct bench_shared {
	uint32_t arrived;
	uint32_t round;
	uint32_t gathered;	/* members of crews, in one step */
	uint64_t last;		/* throughput: number of messages, once it is known */
	double in_bytes_per_s;	/* copier: side 0's, for side 1 */
	char error[2][256];	/* error message of a side */
	struct bench_out out[BENCH_STEPS_MAX][2];
};

/* The environment of a side in a step. */
struct bench_env {
	const struct bench_opts *opts;
	struct bench_shared *shared;
	struct bench_out *out;
	unsigned char *mem;	/* bench_mem_alloc() */
	size_t mem_bytes;
	size_t size;
	double seconds;
	int side;
	int arg;		/* of the step */
	uint64_t began;		/* set by bench_begin() */
	struct rusage usage;
	int fd[BENCH_FDS];	/* descriptors created before the fork; -1: none */
};

/* Return: 0, or -1 with a text by bench_fail(). */
typedef int bench_side_fn(struct bench_env *env);

struct bench_step {
	bench_side_fn *side[2];
	double seconds;
	int result;		/* the side whose bench_out counts */
	int arg;		/* for the functions of the sides */
	int spins;		/* each side needs its CPU all the time */
};

/* How a figure compares with its limit. */
enum bench_ratio {
	BENCH_NO_RATIO,
	BENCH_BY_RATE,		/* bytes per second */
	BENCH_BY_P50,
	BENCH_BY_MSGS,		/* messages, or the like, per second */
};

/* The figures of a bench; lossless and lossy ones never share a column. */
enum bench_table {
	BENCH_TABLE_LIMIT,
	BENCH_TABLE_RATE,
	BENCH_TABLE_LOSSY,
	BENCH_TABLE_RTT,
	BENCH_TABLE_COPIER,
	BENCH_TABLE_CALL,
	BENCH_TABLE_LATENCY,
	BENCH_TABLE_TIME,		/* of what bench_case.figure says */
	BENCH_TABLE_FAIR,
	BENCH_TABLE_ACKED,
	BENCH_TABLE_ONCE,
};

/* What goes through a queue in one row. */
struct bench_queue {
	int way;		/* enum bench_queue_way */
	unsigned int producers;
	unsigned int consumers;
	unsigned int batch;
	const char *delivery;
};

/*
 * A bench: what is measured, and compared with what. prepare() creates what the sides
 * need (descriptors in env->fd) before the fork of each run, finish() removes it.
 */
struct bench_case {
	const char *name;
	struct bench_step step;
	struct bench_step limit[2];	/* the better one counts; none if there is no side */
	enum bench_ratio ratio;
	int (*prepare)(struct bench_env *env);
	void (*finish)(struct bench_env *env);
	enum bench_table table;
	int every_run;		/* counts in any case, even if the machine is busy; no probes */
	int is_ring;		/* the size of the ring matters */
	enum bench_wait wait;
	uint64_t page_got;	/* set by prepare() */
	const char *backend;	/* set by prepare(); NULL: no backend */
	const struct bench_topic *topic;	/* NULL: none */
	const struct bench_queue *queue;	/* NULL: none */
	const char *figure;	/* heading of the median, in BENCH_TABLE_TIME */
	const char *yardstick;	/* what the ratio compares with; NULL: by the table */
};

/* A bench of topics. */
struct bench_topic {
	struct bench_case bench;	/* first: a bench_case with table and limit set */
	int single;			/* the topic is created for one publisher */
	int ring_limit;			/* the yardstick is the spsc ring */
	int stamped;			/* messages carry their time of publishing */
};

/* Distribution over runs. */
struct bench_dist {
	double min;
	double median;
	double max;
};

struct bench_report {
	const struct bench_case *bench;
	size_t size;
	unsigned int runs;	/* counted */
	unsigned int discarded;
	int noisy;		/* no run was quiet: the figures are from noisy ones */
	struct bench_dist msgs_per_s;
	struct bench_dist bytes_per_s;
	struct bench_dist p50_ns;
	struct bench_dist p90_ns;
	struct bench_dist p99_ns;
	struct bench_dist min_ns;
	struct bench_dist received;
	struct bench_dist lost;
	struct bench_dist lost_share;
	struct bench_dist probe_ns;
	struct bench_dist limit;	/* ns or bytes per second, as bench->ratio says */
	struct bench_dist ratio;
	struct bench_dist preempted;
	struct bench_dist in_bytes_per_s;
	struct bench_dist out_bytes_per_s;
	struct bench_dist max_ns;
	struct bench_dist least_share;
};

/* time.c: a counter that is cheap to read, and figures */
static inline uint64_t bench_ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	uint64_t v;

	__asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(v));
	return v;
#else
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
#endif
}

void bench_ticks_calibrate(void);
double bench_ticks_ns(uint64_t ticks);
uint64_t bench_ns_ticks(double ns);
uint32_t *bench_samples_new(struct bench_env *env);
void bench_samples_into(struct bench_out *out, uint32_t *sample, size_t n);
struct bench_dist bench_dist_of(double *v, size_t n);

/* kernel.c: the widest loads and stores of this CPU */
void bench_kernel_init(void);
const char *bench_kernel_name(void);
extern void (*bench_fill)(void *dst, size_t n, uint64_t value);
extern void (*bench_fill_string)(void *dst, size_t n, uint64_t value);
extern uint64_t (*bench_sum_wide)(const void *src, size_t n);

/* run.c */
int bench_fail(struct bench_env *env, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void bench_meet(struct bench_env *env);
void bench_begin(struct bench_env *env);
void *bench_mem_alloc(size_t bytes, uint64_t page);
int bench_run(struct bench_env *env, const struct bench_step *step, unsigned int steps);
int bench_pin(int cpu);

/* crew.c: several processes on a side; their numbers are the same on no two sides */
typedef int bench_member_fn(struct bench_env *env, unsigned int me);
int bench_crew(struct bench_env *env, unsigned int first, unsigned int n, bench_member_fn *fn);
void bench_gather(struct bench_env *env, unsigned int members);
unsigned int bench_cpus(void);

/* series.c: runs, probes, what is discarded */
int bench_series(struct bench_case *c, const struct bench_opts *o, size_t size,
		 struct bench_report *ret);

/* limits.c */
extern const struct bench_step bench_probe;
extern const struct bench_step bench_limit_pingpong;
extern const struct bench_step bench_limit_stream;
extern const struct bench_step bench_limit_string;
extern const struct bench_step bench_limit_futex;
extern struct bench_case bench_limits[];
extern const unsigned int bench_limits_count;

/* rings.c */
extern struct bench_case bench_spsc;
extern struct bench_case bench_bcast;
extern struct bench_case bench_rtt_spin;
extern struct bench_case bench_rtt_sleep;

/* peers.c */
extern struct bench_case bench_peer_index;
extern struct bench_case bench_peer_rtt[];
extern const unsigned int bench_peer_rtt_count;

/* topic.c */
extern struct bench_topic bench_topic_single;
extern struct bench_topic bench_topic_many;

/* topic_time.c */
extern struct bench_topic bench_topic_publish;
extern struct bench_topic bench_topic_loan;
extern struct bench_topic bench_topic_rtt;

/* topic_latency.c */
extern struct bench_topic bench_topic_latency;

/* topic_opts.c; @fn: measures a case with each size, @size if none are asked for */
extern const struct opt bench_topic_options[];

typedef int bench_sizes_fn(struct bench_case *c, const struct bench_opts *o, const size_t *size,
			   size_t n);
int bench_topic_rates(const struct bench_opts *o, bench_sizes_fn *fn);
int bench_topic_publishes(const struct bench_opts *o, bench_sizes_fn *fn);
int bench_topic_loans(const struct bench_opts *o, bench_sizes_fn *fn);
int bench_topic_rtts(const struct bench_opts *o, bench_sizes_fn *fn);
int bench_topic_latencies(const struct bench_opts *o, bench_sizes_fn *fn);

/* lock.c */
extern const struct opt bench_lock_options[];

typedef int bench_one_fn(struct bench_case *c, const struct bench_opts *o, size_t size);
int bench_locks(const struct bench_opts *o, bench_one_fn *fn);

/* event.c */
int bench_events(const struct bench_opts *o, bench_one_fn *fn);

/* queue.c */
extern const struct opt bench_queue_options[];
int bench_queues(const struct bench_opts *o, bench_one_fn *fn);

/* others.c */
int bench_others(const struct bench_opts *o, bench_sizes_fn *fn);

/* copier.c */
extern struct bench_case bench_copier;
int bench_copiers(const char *name, int (*fn)(struct bench_case *c, void *arg), void *arg);

/* report.c */
void bench_report_head(const struct bench_opts *o);
void bench_report_text(const struct bench_report *r);
int bench_report_json(const struct bench_report *r, const struct bench_opts *o);

#endif /* SHMIPC_BENCH_H */
