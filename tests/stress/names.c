// SPDX-License-Identifier: MIT
/*
 * names: many processes create, open, close and unlink a few names, and are killed
 *
 * No process ever maps an incomplete segment, or gets an error that the race does not
 * explain; afterwards gc leaves nothing behind.
 *
 * A raw segment's first word identifies the creation: the process that created it with
 * EXCL writes it; every process that has it open increments a counter, and must find the
 * word as first written, or zero.
 */
#include "stress.h"

#define NAMES	3
#define WORKERS	6

static const char *const names[NAMES] = { "a", "b/c", "d.e/f" };

static void check_open(struct shmipc_segment *seg, uint64_t n)
{
	struct shmipc_segment_info i = { .struct_bytes = sizeof(i) };
	unsigned char *p;
	uint64_t *w;
	size_t bytes = 0;

	if (shmipc_segment_get_info(seg, &i) || strcmp(i.name, names[n]) ||
	    i.kind != SHMIPC_KIND_RAW || i.data_bytes != 8192 || i.mode != 0640 ||
	    i.page_got < 4096 || !i.created_ns) {
		WRONG("an incomplete segment: \"%s\" kind %u bytes %llu", i.name, i.kind,
		      (unsigned long long)i.data_bytes);
		return;
	}
	p = shmipc_segment_data(seg, &bytes);
	if (!p || bytes != 8192) {
		WRONG("%zu bytes of data", bytes);
		return;
	}
	w = (uint64_t *)(void *)p;
	/* The id of the segment, written by the first process: all must agree. */
	if (!__atomic_load_n(w, __ATOMIC_ACQUIRE)) {
		uint64_t id, zero = 0;

		memcpy(&id, i.id, 8);
		id |= 1;
		(void)__atomic_compare_exchange_n(w, &zero, id, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
	}
	if ((__atomic_load_n(w, __ATOMIC_ACQUIRE) ^ *(uint64_t *)(void *)i.id) & ~1ull)
		WRONG("the memory of \"%s\" belongs to another segment", i.name);
	p[4096]++;
	p[8191]++;
}

static int one(struct rng *r)
{
	struct shmipc_segment_opts o = {
		.struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW, .bytes = 8192,
		.mode = 0640,
	};
	struct shmipc_segment_stat st = { .peer_cap = 0 };
	struct shmipc_segment *seg = NULL;
	uint64_t n = rng_below(r, NAMES), what = rng_below(r, 16);
	int ret;

	switch (what) {
	case 0:
		ret = shmipc_segment_unlink(names[n]);
		return ret == 0 || ret == -ENOENT ? 0 : ret;
	case 1:
		ret = shmipc_segment_look(names[n], &st);
		if (ret == 0 && (st.info.data_bytes != 8192 || strcmp(st.info.name, names[n])))
			WRONG("looked at an incomplete segment");
		return ret == 0 || ret == -ENOENT ? 0 : ret;
	case 2:
		ret = shmipc_segment_gc(NULL, NULL);
		return ret >= 0 ? 0 : ret;
	case 3 ... 6:
		ret = shmipc_segment_open(&seg, names[n], NULL);
		if (ret == -ENOENT)
			return 0;
		break;
	case 7 ... 8:
		o.flags = SHMIPC_CREATE | SHMIPC_EXCL;
		ret = shmipc_segment_open(&seg, names[n], &o);
		if (ret == -EEXIST)
			return 0;
		break;
	default:
		o.flags = SHMIPC_CREATE;
		ret = shmipc_segment_open(&seg, names[n], &o);
	}
	if (ret)
		return ret;
	check_open(seg, n);
	if (rng_chance(r, 4))
		nap_ns(rng_below(r, 300000));
	shmipc_segment_close(seg);
	return 0;
}

static int worker(struct other *me, void *arg)
{
	struct rng r = { stress_seed ^ rng_mix((uintptr_t)arg) };
	int ret;

	(void)me;
	while (!stopping()) {
		ret = one(&r);
		if (ret)
			WRONG("%d", ret);
		beat();
	}
	return 0;
}

static uint64_t leftovers;

int main(void)
{
	uint64_t id = 0, kills = 0, i;
	struct other o[WORKERS];
	int left, removed;
	struct rng r;

	stress_begin("stress/names", 3);
	r.state = stress_seed;
	stress_part(100);
	while (stress_goes_on(leftovers || env_on_dev())) {
		uint64_t end = now_ns() + 1000000000;

		sh->stop = 0;
		for (i = 0; i < WORKERS; i++)
			if (other_start(&o[i], 0, worker, (void *)(uintptr_t)++id))
				ksft_exit_fail_msg("fork\n");
		while (now_ns() < end && !sh->bad) {
			nap_ns(rng_below(&r, 4000000));
			i = rng_below(&r, WORKERS);
			if (other_kill(&o[i]) != 256 + SIGKILL)
				WRONG("a worker ended unexpectedly");
			kills++;
			if (other_start(&o[i], 0, worker, (void *)(uintptr_t)++id))
				ksft_exit_fail_msg("fork\n");
		}
		/* All at once, so that some are in the middle of an operation. */
		for (i = 0; i < WORKERS; i++)
			(void)kill(o[i].pid, SIGKILL);
		for (i = 0; i < WORKERS; i++)
			(void)other_end(&o[i]);
		left = env_files(&stress_env);
		removed = shmipc_segment_gc(NULL, NULL);
		leftovers += (uint64_t)left;
		if (removed != left || env_files(&stress_env))
			WRONG("%d files were left, gc removed %d, %d remain", left, removed,
			      env_files(&stress_env));
	}
	ksft_print_msg("%llu operations, %llu kills, %llu leftovers for gc\n",
		       (unsigned long long)sh->beat, (unsigned long long)kills,
		       (unsigned long long)leftovers);
	ksft_test_result(!sh->bad && sh->beat, "races of create, open, close and unlink\n");
	ksft_test_result(!sh->bad && (leftovers || env_on_dev()), "gc removes all that killed processes left\n");
	ksft_test_result(env_count("/proc/self/fd") == stress_env.fds && !env_files(&stress_env),
			 "no descriptor and no file is left\n");
	ksft_exit(ksft_get_fail_cnt() == 0);
}
