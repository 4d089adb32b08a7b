// SPDX-License-Identifier: MIT
/*
 * topic_memory: the goals for the memory of topics, and the time that they take
 *
 * 1,000 idle topics with the default options, 10,000 if there are 20 seconds, take at most
 * 64 KiB of shared memory each. Then messages of 8 MiB go through twenty of them: these
 * grow, and the others do not.
 */
#include <sys/resource.h>

#include <shmipc/segment.h>
#include <shmipc/topic.h>

#include "segment/backend.h"
#include "stress.h"
#include "topic/topic.h"

#define FEW		1000u
#define MANY		10000u
#define LARGE		(getenv("SHMIPC_TEST_SANITIZER") ? 2u : 20u)	/* it has memory of its own for each byte */
#define IDLE_MOST	(UINT64_C(64) << 10)
#define MESSAGE		((size_t)8 << 20)
#define MESSAGES	3u
#define NS_EACH_MOST	UINT64_C(50000000)	/* the goal is 1 ms; many times that on a busy machine */

static struct shmipc_pub *pub[MANY];

static uint64_t used(uint32_t from, uint32_t to)
{
	struct shmipc_segment *seg;
	uint64_t all = 0, n;

	for (; from < to; from++) {
		seg = pub_priv(pub[from])->t.seg;
		if (seg->be->used(seg, &n))
			WRONG("topic %u does not say what it takes", from);
		else
			all += n;
	}
	return all;
}

/* A descriptor each, and some. */
static uint32_t how_many(void)
{
	uint32_t n = stress_ns() >= UINT64_C(20000000000) ? MANY : FEW;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l))
		return 0;
	l.rlim_cur = l.rlim_max;
	if (l.rlim_cur < n + 100 || setrlimit(RLIMIT_NOFILE, &l)) {
		ksft_print_msg("only %llu descriptors are allowed here\n", (unsigned long long)l.rlim_max);
		return FEW + 100 <= l.rlim_max ? FEW : 0;
	}
	return n;
}

static uint32_t make(uint32_t n)
{
	char name[32];
	uint32_t i;

	for (i = 0; i < n && !sh->bad; i++) {
		(void)snprintf(name, sizeof(name), "idle/%u", i);
		if (shmipc_pub_open(&pub[i], name, NULL, NULL)) {
			WRONG("topic %u of %u", i, n);
			break;
		}
		beat();
	}
	return i;
}

/* It checks the first byte of each page, and the length. */
static void through(struct shmipc_pub *p, struct shmipc_sub *sub, unsigned char *buf, uint32_t n)
{
	struct shmipc_msg m;
	size_t i;

	for (i = 0; i < MESSAGE; i += 4096)
		buf[i] = (unsigned char)(n + i / 4096);
	if (shmipc_pub_send(p, buf, MESSAGE, SHMIPC_FOREVER))
		WRONG("message %u is not sent", n);
	else if (shmipc_sub_take(sub, &m, SHMIPC_FOREVER))
		WRONG("message %u is not received", n);
	else {
		for (i = 0; m.len == MESSAGE && i < MESSAGE; i += 4096)
			if (((const unsigned char *)m.ptr)[i] != (unsigned char)(n + i / 4096))
				break;
		if (i < MESSAGE)
			WRONG("message %u differs at %zu", n, i);
		shmipc_sub_release(sub, &m);
	}
	beat();
}

static void use(uint32_t large)
{
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .policy = SHMIPC_POLICY_LOSSLESS };
	unsigned char *buf = calloc(1, MESSAGE);
	struct shmipc_sub *sub;
	char name[32];
	uint32_t i, n;

	for (i = 0; buf && i < large && !sh->bad; i++) {
		(void)snprintf(name, sizeof(name), "idle/%u", i);
		if (shmipc_sub_open(&sub, name, NULL, &o)) {
			WRONG("subscriber %u", i);
			break;
		}
		for (n = 0; n < MESSAGES && !sh->bad; n++)
			through(pub[i], sub, buf, i * MESSAGES + n);
		shmipc_sub_close(sub);
	}
	free(buf);
}

static void show(const char *what, uint32_t n, uint64_t bytes, uint64_t ns)
{
	ksft_print_msg("%u %s: %llu KiB, %.1f ms\n", n, what, (unsigned long long)(bytes >> 10),
		       (double)ns / 1e6);
}

int main(void)
{
	uint64_t from, bytes, rest;
	const uint32_t large = LARGE;
	uint32_t n, made, i;

	stress_begin("stress/topic_memory", 2);
	stress_part(100);
	n = how_many();
	if (!n) {
		ksft_test_result_skip("a thousand descriptors are not allowed here\n");
		ksft_test_result_skip("a thousand descriptors are not allowed here\n");
		ksft_exit(ksft_get_fail_cnt() == 0);
	}
	from = now_ns();
	made = make(n);
	bytes = used(0, made);
	show("idle topics", made, bytes, now_ns() - from);
	ksft_test_result(!sh->bad && made == n && bytes <= n * IDLE_MOST &&
			 now_ns() - from <= n * NS_EACH_MOST, "idle topics take little\n");

	rest = used(large, made);
	from = now_ns();
	if (made == n)
		use(large);
	bytes = made == n ? used(0, large) : 0;
	show("topics with messages of 8 MiB", large, bytes, now_ns() - from);
	ksft_test_result(!sh->bad && bytes >= large * MESSAGE && bytes <= large * (MESSAGE + MESSAGE / 2) &&
			 used(large, made) == rest, "messages of 8 MiB make some of them grow\n");
	from = now_ns();
	for (i = 0; i < made; i++) {
		shmipc_pub_close(pub[i]);
		beat();
	}
	ksft_print_msg("closed in %.1f ms\n", (double)(now_ns() - from) / 1e6);
	ksft_exit(ksft_get_fail_cnt() == 0);
}
