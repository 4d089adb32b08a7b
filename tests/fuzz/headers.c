// SPDX-License-Identifier: MIT
/*
 * headers: a hostile publisher rewrites a block while it is read
 *
 * The block ends where an inaccessible page begins, or begins right after one. First
 * invalid data are written between the calls, so that a seed reproduces the run; then
 * another process writes while the victim reads. The victim must not crash and must not
 * hang, and what it loads must be well formed.
 */
#include <shmipc/headers.h>
#include "../stress/stress.h"
#include "mem.h"

enum { CALLS, GOOD, REFUSED };	/* sh->word[] */

#define ROOM	4096u

static struct mem mem;
static unsigned char *block;	/* in it */
static size_t block_len;

static void wrong(const char *what, int ret)
{
	if (!__atomic_fetch_add(&sh->bad, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "# fuzz/headers: %s: %d\n", what, ret);
}

/* A block of some headers, at one of the two guards. */
static void fresh(struct rng *r)
{
	static unsigned char value[ROOM];
	struct shmipc_headers h = { 0 };
	char key[SHMIPC_HEADERS_KEY_MAX + 1];
	size_t len;
	int n = (int)rng_below(r, 12);

	for (; n; n--) {
		len = 1 + rng_below(r, rng_chance(r, 4) ? SHMIPC_HEADERS_KEY_MAX : 10);
		memset(key, (int)('a' + rng_below(r, 3)), len);
		key[len] = 0;
		len = rng_len(r, 600);
		if (shmipc_headers_bytes(&h) + 16 + SHMIPC_HEADERS_KEY_MAX + len > ROOM)
			break;
		if (shmipc_headers_add(&h, key, value, len))
			wrong("add", 0);
	}
	block_len = shmipc_headers_bytes(&h);
	block = rng_chance(r, 2) ? mem.ptr : mem.ptr + ROOM - block_len;
	if (shmipc_headers_save(&h, block, block_len))
		wrong("save", 0);
	shmipc_headers_free(&h);
}

static uint32_t nasty(struct rng *r)
{
	switch (rng_below(r, 6)) {
	case 0:
		return (uint32_t)rng_next(r);
	case 1:
		return UINT32_MAX - (uint32_t)rng_below(r, 32);
	case 2:
		return 1u << rng_below(r, 32);
	case 3:
		return (uint32_t)block_len + (uint32_t)rng_below(r, 64) - 32;
	case 4:
		return (uint32_t)rng_below(r, ROOM);
	default:
		return (uint32_t)rng_below(r, 300);
	}
}

/* One hostile write, often to a length. */
static void scribble(struct rng *r)
{
	uint32_t *words = (uint32_t *)(void *)mem.ptr, at = (uint32_t)(block - mem.ptr) / 4;

	switch (rng_below(r, 8)) {
	case 0:
		mem.ptr[rng_below(r, ROOM)] = (unsigned char)rng_next(r);
		return;
	case 1:		/* of the block's header: its sizes */
		shmipc_store_relaxed(&words[at + 1 + rng_below(r, 3)], nasty(r));
		return;
	case 2:		/* the first header's lengths */
		if (block_len > SHMIPC_HEADERS_HDR)
			shmipc_store_relaxed(&words[at + 4 + rng_below(r, 2)], nasty(r));
		return;
	default:
		shmipc_store_relaxed(&words[at + rng_below(r, block_len / 4)], nasty(r));
	}
}

static volatile unsigned char sink;

/* Read all of it: outside is a guard page, or memory that the sanitizer guards. */
static void touch(const void *p, size_t len)
{
	static unsigned char copy[SHMIPC_HEADERS_VAL_MAX];
	size_t i;

	if (len > sizeof(copy)) {
		wrong("a value that is too long", 0);
		return;
	}
	shmipc_racy_read(copy, p, len);
	for (i = 0; i < len; i++)
		sink = copy[i];
}

static int expected(int ret)
{
	sh->word[CALLS]++;
	sh->word[GOOD] += ret >= 0;
	sh->word[REFUSED] += ret == -EPROTO;
	return ret == 0 || ret == 1 || ret == -EPROTO || ret == -EPROTONOSUPPORT;
}

static uint32_t iterate(const struct shmipc_headers_view *view)
{
	struct shmipc_headers_iter it;
	uint32_t n = 0;
	int ret;

	shmipc_headers_iter_init(&it, view);
	while ((ret = shmipc_headers_iter_next(&it)) == 1) {
		if (strlen(it.key) != it.key_len || !it.key_len)
			wrong("a key of a different length", (int)it.key_len);
		touch(it.value, it.len);
		if (++n > ROOM / 16)
			break;
	}
	if (!expected(ret) || n > ROOM / 16)
		wrong("iter_next", ret);
	return ret ? UINT32_MAX : n;
}

/* What was loaded can be walked, saved and loaded again, and is the same. */
static void check_loaded(const struct shmipc_headers *h)
{
	static uint64_t saved[ROOM / 8], again[ROOM / 8];
	struct shmipc_headers other = { 0 };
	struct shmipc_headers_view view;
	size_t len = shmipc_headers_bytes(h);
	int ret = len <= ROOM ? shmipc_headers_save(h, saved, sizeof(saved)) : -EMSGSIZE;

	if (!ret)
		ret = shmipc_headers_view_init(&view, saved, len);
	if (!ret && iterate(&view) != shmipc_headers_count(h, NULL))
		wrong("the loaded block has a different number of headers", 0);
	if (!ret)
		ret = shmipc_headers_load(&other, saved, len);
	if (!ret)
		ret = shmipc_headers_save(&other, again, sizeof(again));
	if (ret || memcmp(saved, again, len) ||
	    shmipc_headers_count(h, NULL) != shmipc_headers_count(&other, NULL))
		wrong("the loaded block is not well formed", ret);
	shmipc_headers_free(&other);
}

static void step(struct shmipc_headers *h, struct rng *r)
{
	struct shmipc_headers_view view;
	static unsigned char buf[512];
	size_t len;
	int ret;

	switch (rng_below(r, 3)) {
	case 0:
		ret = shmipc_headers_load(h, block, block_len);
		if (!expected(ret))
			wrong("load", ret);
		check_loaded(h);	/* either the new ones or the earlier ones */
		break;
	case 1:
		ret = shmipc_headers_view_init(&view, block, block_len);
		if (!expected(ret))
			wrong("view_init", ret);
		else if (!ret)
			(void)iterate(&view);
		break;
	default:
		ret = shmipc_headers_view_init(&view, block, block_len);
		if (!ret)
			ret = shmipc_headers_view_get(&view, "a", rng_below(r, 3), buf,
						      sizeof(buf), &len);
		if (!expected(ret) && ret != -ENOENT && ret != -EMSGSIZE)
			wrong("view_get", ret);
	}
	beat();
}

/* Invalid data between the calls: the seed reproduces the run. */
static int alone(struct other *me, void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	struct shmipc_headers h = { 0 };
	uint64_t i;
	int n;

	(void)me;
	for (i = 0; i < 200000 && stress_time_left(); i++) {
		if (i % 16 == 0)
			fresh(&r);
		for (n = (int)rng_below(&r, 3); n; n--)
			scribble(&r);
		step(&h, &r);
	}
	shmipc_headers_free(&h);
	return 0;
}

static int attacker(struct other *me, void *arg)
{
	static unsigned char was[ROOM];
	struct rng r = { rng_mix(*(uint64_t *)arg) };

	(void)me;
	memcpy(was, block, block_len);
	while (!stopping()) {	/* until killed */
		scribble(&r);
		if (rng_chance(&r, 4))
			shmipc_racy_write(block, was, block_len);
		if (rng_chance(&r, 1024))
			sched_yield();
	}
	return 0;
}

static int victim(struct other *me, void *arg)
{
	struct rng r = { *(uint64_t *)arg };
	struct shmipc_headers h = { 0 };
	uint64_t i;

	(void)me;
	for (i = 0; i < 300000 && stress_time_left(); i++)
		step(&h, &r);
	shmipc_headers_free(&h);
	return 0;
}

static int judge(int ret, uint64_t seed)
{
	if (!ret && !sh->bad)
		return 1;
	ksft_print_msg("victim with seed %#llx: %s %d\n", (unsigned long long)seed,
		       ret >= 256 ? "signal" : "exit code", ret >= 256 ? ret - 256 : ret);
	return 0;
}

static void report(const char *what, int ok)
{
	ksft_print_msg("%s: %llu calls, %llu good, %llu refused\n", what,
		       (unsigned long long)sh->word[CALLS], (unsigned long long)sh->word[GOOD],
		       (unsigned long long)sh->word[REFUSED]);
	ksft_test_result(ok && sh->word[GOOD] && sh->word[REFUSED], "%s\n", what);
}

int main(void)
{
	struct other a, v;
	uint64_t seed;
	struct rng r;
	int ok = 1;

	stress_begin("fuzz/headers", 2);
	r.state = stress_seed;
	if (mem_get(&mem, MEM_SHARED, ROOM))
		ksft_exit_fail_msg("memory\n");

	stress_part(50);
	while (ok && stress_time_left()) {
		seed = rng_next(&r);
		if (other_start(&v, 0, alone, &seed))
			ksft_exit_fail_msg("fork\n");
		ok = judge(other_end(&v), seed);
	}
	report("invalid data between the calls", ok);

	stress_part(50);
	while (ok && stress_time_left()) {
		seed = rng_next(&r);
		fresh(&r);
		if (other_start(&a, 0, attacker, &seed) || other_start(&v, 0, victim, &seed))
			ksft_exit_fail_msg("start\n");
		ok = judge(other_end(&v), seed);
		(void)other_kill(&a);
	}
	report("a process that writes at the same time", ok);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
