// SPDX-License-Identifier: MIT
/* copier: each one copies exactly the requested bytes, whatever other threads do */
#include "env.h"
#include "mem.h"
#include "rng.h"
#include "payload/copier.h"

#define PAGE		4096u
#define EDGE		64u		/* bytes around a copy that are checked */
/* Long enough for "mt" to use its threads; this sanitizer copies byte by byte. */
#ifdef SHMIPC_TSAN
#define LONG_BYTES	(((size_t)2 << 20) + PAGE)
#else
#define LONG_BYTES	((size_t)5 << 20)
#endif

enum { MAX_COPIERS = 16 };

static const struct shmipc_copier *copier[MAX_COPIERS];
static unsigned int copiers;

static int collect(const struct shmipc_copier *c, int err, void *arg)
{
	const struct shmipc_copier *found = NULL;
	int ret = shmipc_copier_find(&found, c->name);

	if (ret != err || (!err && found != c) || (err && found))
		++*(int *)arg;
	if (!err && copiers < MAX_COPIERS)
		copier[copiers++] = c;
	return 0;
}

/* Guarded memory on both sides of the copy, and the expected bytes. */
FIXTURE(copier) {
	struct mem src, dst;
	struct env env;
	uint64_t seed;
};

FIXTURE_SETUP(copier)
{
	int bad = 0;

	env_set_up(&self->env);
	copiers = 0;
	ASSERT_EQ(0, shmipc_copier_each(collect, &bad));
	ASSERT_EQ(0, bad);
	ASSERT_EQ(0, mem_get(&self->src, MEM_SHARED, LONG_BYTES));
	ASSERT_EQ(0, mem_get(&self->dst, MEM_SHARED, LONG_BYTES));
	self->seed = rng_env_seed();
	printf("# SHMIPC_SEED=%#llx\n", (unsigned long long)self->seed);
	msg_fill(self->src.ptr, LONG_BYTES, self->seed, 0);
}

FIXTURE_TEARDOWN(copier)
{
	shmipc_copier_mt_close();
	mem_put(&self->src);
	mem_put(&self->dst);
	env_tear_down(&self->env);
}

/* 1; @step if code is slow, and more in `make check`: only some sizes and alignments are tried. */
static size_t few(size_t step)
{
	if (rng_few(100) == 100)
		return 1;
	return getenv("SHMIPC_TEST_QUICK") ? 4 * step : step;
}

/* Number of bytes of @p that are not @byte. */
static size_t others(const unsigned char *p, size_t n, unsigned char byte)
{
	size_t i, bad = 0;

	for (i = 0; i < n; i++)
		bad += p[i] != byte;
	return bad;
}

/* Copy from @s to @d in @m, and check the copy and the bytes around it. 0: correct. */
static int copy_well(int (*fn)(void *, const void *, size_t, void *), const struct mem *m,
		     unsigned char *d, const unsigned char *s, size_t n)
{
	size_t before = (size_t)(d - m->ptr), after = (size_t)(m->ptr + LONG_BYTES - d) - n;

	before = before < EDGE ? before : EDGE;
	after = after < EDGE ? after : EDGE;
	memset(d - before, 0xee, before + n + after);
	if (fn(d, s, n, NULL))
		return 1;
	return memcmp(d, s, n) || others(d - before, before, 0xee) || others(d + n, after, 0xee);
}

static int both_ways(const struct shmipc_copier *c, const struct mem *m, unsigned char *d,
		     const unsigned char *s, size_t n)
{
	return copy_well(c->to_shm, m, d, s, n) || copy_well(c->from_shm, m, d, s, n);
}

/* One byte too far is a fault: right after a guard page, and right before one. */
TEST_F_TIMEOUT(copier, every_size_at_the_edge_of_accessible_memory, 300)
{
	const struct shmipc_copier *c;
	unsigned char *s, *d;
	unsigned int i;
	size_t n;

	for (i = 0; i < copiers; i++) {
		c = copier[i];
		for (n = 0; n <= PAGE + 4; n += few(11)) {
			s = self->src.ptr;
			d = self->dst.ptr;
			ASSERT_EQ(0, both_ways(c, &self->dst, d, s, n)) TH_LOG("%s, %zu", c->name, n);
			s += LONG_BYTES - n;
			ASSERT_EQ(0, both_ways(c, &self->dst, d, s, n)) TH_LOG("%s, %zu", c->name, n);
			d += LONG_BYTES - n;
			ASSERT_EQ(0, both_ways(c, &self->dst, d, s, n)) TH_LOG("%s, %zu", c->name, n);
			s = self->src.ptr;
			ASSERT_EQ(0, both_ways(c, &self->dst, d, s, n)) TH_LOG("%s, %zu", c->name, n);
		}
	}
}

TEST_F_TIMEOUT(copier, every_misalignment_of_both_sides, 300)
{
	static const size_t size[] = {
		0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 95, 96, 127, 128, 129,
		159, 160, 191, 192, 193, 255, 256, 257, 319, 320, 321, 383, 384, 511, 512, 513,
		1000, 2047, 4095, 4096, 4097, 12287, 12288,
	};
	const struct shmipc_copier *c;
	unsigned char *d;
	unsigned int i, k;
	size_t a, b;

	for (i = 0; i < copiers; i++) {
		c = copier[i];
		for (k = 0; k < ARRAY_SIZE(size); k++) {
			for (a = 0; a <= 64; a += few(5)) {
				for (b = 0; b <= 64; b += few(7)) {
					d = self->dst.ptr + EDGE + b;
					ASSERT_EQ(0, both_ways(c, &self->dst, d, self->src.ptr + a,
							       size[k]))
						TH_LOG("%s: %zu bytes, source %zu, destination %zu",
						       c->name, size[k], a, b);
				}
			}
		}
	}
}

TEST_F_TIMEOUT(copier, long_copies_end_where_they_should, 300)
{
	struct rng r = { self->seed };
	size_t n, size[24] = { LONG_BYTES, LONG_BYTES - 1, 1 << 20, (2 << 20) - 1, 2 << 20,
			       (2 << 20) + 1, 65535, 65536, 65537 };
	unsigned int i, k;

#ifdef SHMIPC_TSAN
	if (getenv("SHMIPC_TEST_QUICK"))
		SKIP(return, "one thread alone, slowly; make check-all does it");
#endif
	for (k = 9; k < ARRAY_SIZE(size); k++)
		size[k] = rng_below(&r, LONG_BYTES + 1);
	for (i = 0; i < copiers; i++) {
		for (k = 0; k < ARRAY_SIZE(size); k += (unsigned int)few(5)) {
			n = size[k];
			ASSERT_EQ(0, both_ways(copier[i], &self->dst, self->dst.ptr + LONG_BYTES - n,
					       self->src.ptr, n)) TH_LOG("%s, %zu", copier[i]->name, n);
			ASSERT_EQ(0, both_ways(copier[i], &self->dst, self->dst.ptr,
					       self->src.ptr + LONG_BYTES - n, n))
				TH_LOG("%s, %zu", copier[i]->name, n);
		}
	}
}

static int first(const struct shmipc_copier *c, int err, void *arg)
{
	++*(int *)arg;
	return strcmp(c->name, "plain") ? 1 : -7;
}

static int count_auto(const struct shmipc_copier *c, int err, void *arg)
{
	*(int *)arg += !strcmp(c->name, "auto");
	return 0;
}

TEST_F(copier, they_are_found_by_name)
{
	static const char *const always[] = { "plain", "mt", "auto" };
	const struct shmipc_copier *c, *none = NULL;
	size_t i;
	int n = 0;

	for (i = 0; i < ARRAY_SIZE(always); i++) {
		ASSERT_EQ(0, shmipc_copier_find(&c, always[i]));
		EXPECT_STREQ(always[i], c->name);
		EXPECT_EQ(sizeof(*c), c->struct_bytes);
	}
	EXPECT_EQ(-ENOENT, shmipc_copier_find(&none, "Plain"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "\"Plain\""));
	EXPECT_EQ(-ENOENT, shmipc_copier_find(&none, ""));
	EXPECT_EQ(-EINVAL, shmipc_copier_find(&none, NULL));
	EXPECT_EQ(NULL, none);
	EXPECT_EQ(-7, shmipc_copier_each(first, &n));
	EXPECT_EQ(1, n);
	n = 0;
	EXPECT_EQ(0, shmipc_copier_each(count_auto, &n));
	EXPECT_EQ(1, n);
#if defined(__x86_64__)
#ifndef SHMIPC_COPIER_SANITIZED
	if (!(~shmipc_copier_cpu() & (SHMIPC_CPU_AVX2 | SHMIPC_CPU_STRING))) {
		EXPECT_TRUE(c->to_shm == shmipc_copy_auto_avx2_in);
		EXPECT_TRUE(c->from_shm == shmipc_copy_avx2);
	}
#endif
	EXPECT_EQ(0, shmipc_copier_find(&c, "movsb"));
	EXPECT_EQ(0, shmipc_copier_find(&c, "nt"));
	EXPECT_EQ(__builtin_cpu_supports("avx2") ? 0 : -EOPNOTSUPP, shmipc_copier_find(&c, "avx2"));
	EXPECT_EQ(__builtin_cpu_supports("avx512f") ? 0 : -EOPNOTSUPP,
		  shmipc_copier_find(&c, "avx512"));
#else
	EXPECT_EQ(3, copiers);
#endif
}

TEST_F(copier, private_memory_is_aligned_to_a_line)
{
	void *p, *q;
	unsigned int i;

	for (i = 0; i < copiers; i++) {
		p = copier[i]->alloc(1000, copier[i]->arg);
		q = copier[i]->alloc(0, copier[i]->arg);
		ASSERT_NE(NULL, p);
		EXPECT_NE(NULL, q);
		EXPECT_EQ(0, (uintptr_t)p % 64);
		memset(p, 1, 1000);
		copier[i]->free(p, copier[i]->arg);
		copier[i]->free(q, copier[i]->arg);
		copier[i]->free(NULL, copier[i]->arg);
		EXPECT_EQ(NULL, copier[i]->alloc(SIZE_MAX, copier[i]->arg));
	}
}

static void *no_alloc(size_t bytes, void *arg)
{
	return NULL;
}

TEST_F(copier, a_table_of_the_user_is_checked)
{
	struct shmipc_copier c, good = *copier[0];

	EXPECT_EQ(0, shmipc_copier_read(&c, NULL, "copier"));
	EXPECT_STREQ("auto", c.name);
	good.alloc = NULL;
	good.free = NULL;
	good.name = NULL;
	EXPECT_EQ(0, shmipc_copier_read(&c, &good, "copier"));
	EXPECT_TRUE(!c.alloc && !c.free);
	EXPECT_NE(NULL, c.name);
	memset(&c, 0, sizeof(c));
	good.alloc = no_alloc;
	EXPECT_EQ(-EINVAL, shmipc_copier_read(&c, &good, "copier"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "alloc and free"));
	good = *copier[0];
	good.to_shm = NULL;
	EXPECT_EQ(-EINVAL, shmipc_copier_read(&c, &good, "copier"));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "to_shm"));
	good = *copier[0];
	good.from_shm = NULL;
	EXPECT_EQ(-EINVAL, shmipc_copier_read(&c, &good, "copier"));
	good = *copier[0];
	good.struct_bytes--;
	EXPECT_EQ(-EINVAL, shmipc_copier_read(&c, &good, "copier"));
	EXPECT_EQ(0, c.struct_bytes);
}

/* Words of two threads, each in its own line. */
static struct {
	uint64_t seen __attribute__((aligned(64)));
	uint64_t told __attribute__((aligned(64)));
	uint64_t stop __attribute__((aligned(64)));
	const struct shmipc_copier *c;
	unsigned char *shared;
	size_t n;
	uint64_t rounds;
} two;

/* Follow the other thread closely if it runs now; leave it the CPU if it does not. */
static void until(const uint64_t *word, uint64_t value)
{
	int i;

	for (i = 0; __atomic_load_n(word, __ATOMIC_ACQUIRE) != value; i++) {
		if (i < 2000)
			shmipc_cpu_relax();
		else
			sched_yield();
	}
}

static int publisher(struct other *me, void *arg)
{
	static unsigned char mine[512];
	uint64_t i;

	for (i = 1; i <= two.rounds; i++) {
		memset(mine, (int)(i & 0xff), two.n);
		CHECK(!two.c->to_shm(two.shared, mine, two.n, two.c->arg));
		__atomic_store_n(&two.told, i, __ATOMIC_RELEASE);
		until(&two.seen, i);
		if (__atomic_load_n(&two.stop, __ATOMIC_RELAXED))
			break;
	}
	return 0;
}

static int start_two(struct other *o, const struct shmipc_copier *c, unsigned char *shared,
		     size_t n, uint64_t rounds, int (*fn)(struct other *me, void *arg))
{
	memset(&two, 0, sizeof(two));
	two.c = c;
	two.shared = shared;
	two.n = n;
	two.rounds = rounds;
	return other_start(o, 1, fn, NULL);
}

/*
 * Stores that bypass the cache are not ordered by themselves. A few whole lines, checked
 * at once: stores that follow them must not become visible before them.
 */
TEST_F_TIMEOUT(copier, copied_bytes_are_visible_when_they_are_published, 300)
{
	const uint64_t rounds = rng_few(100000);
	unsigned char *mine = (unsigned char *)calloc(1, 512);
	unsigned int i;
	struct other o;
	uint64_t k, end;

	for (i = 0; i < copiers; i++) {
		end = now_ns() + 1000000000u;	/* if two threads share one CPU */
		ASSERT_EQ(0, start_two(&o, copier[i], self->dst.ptr, 512, rounds,
				       publisher));
		for (k = 1; k <= rounds && !two.stop; k++) {
			until(&two.told, k);
			ASSERT_EQ(0, two.c->from_shm(mine, two.shared, two.n, two.c->arg));
			ASSERT_EQ(0, others(mine, two.n, (unsigned char)k)) TH_LOG("%s", two.c->name);
			__atomic_store_n(&two.stop, now_ns() > end, __ATOMIC_RELAXED);
			__atomic_store_n(&two.seen, k, __ATOMIC_RELEASE);
		}
		EXPECT_EQ(0, other_end(&o));
	}
	free(mine);
}

static int scribbler(struct other *me, void *arg)
{
	unsigned char *noise = (unsigned char *)malloc(two.n);
	int byte = 0;

	CHECK(noise);
	while (!__atomic_load_n(&two.stop, __ATOMIC_ACQUIRE)) {
		memset(noise, byte ^= 0xff, two.n);
		shmipc_racy_write(two.shared, noise, two.n);
	}
	free(noise);
	return 0;
}

/* Torn bytes are expected then; nothing else. */
TEST_F_TIMEOUT(copier, a_source_that_changes_meanwhile_tears_the_copy_and_nothing_else, 300)
{
	size_t n = LONG_BYTES / 2, bad, k;
	unsigned char *d = self->dst.ptr;
	unsigned int i, round;
	struct other o;

	if (few(2) > 1)
		n = 65536;
	memset(self->src.ptr, 0, n);
	for (i = 0; i < copiers; i++) {
		ASSERT_EQ(0, start_two(&o, copier[i], self->src.ptr, n, 0, scribbler));
		for (round = 0; round < 20; round++) {
			memset(d, 0xee, n + 2 * EDGE);
			ASSERT_EQ(0, copier[i]->from_shm(d + EDGE, self->src.ptr, n, copier[i]->arg));
			for (k = bad = 0; k < n; k++)
				bad += d[EDGE + k] != 0 && d[EDGE + k] != 0xff;
			EXPECT_EQ(0, bad + others(d, EDGE, 0xee) + others(d + EDGE + n, EDGE, 0xee))
				TH_LOG("%s", copier[i]->name);
		}
		__atomic_store_n(&two.stop, 1, __ATOMIC_RELEASE);
		EXPECT_EQ(0, other_end(&o));
	}
}

static int threads(void)
{
	return env_count("/proc/self/task");
}

/* Sanitizers and emulators sometimes have threads of their own. */
static int threads_are_ours(void)
{
	return !getenv("SHMIPC_TEST_SANITIZER") && !on_qemu();
}

static int threads_are(int n)
{
	return threads() == n || !threads_are_ours();
}

/* A joined thread stays in /proc for a moment. 1; 0 if they stay. */
static int threads_become(int n)
{
	const struct timespec ms = { 0, 1000000 };
	int i;

	if (!threads_are_ours())
		return 1;
	for (i = 0; i < 20000 && threads() != n; i++)
		(void)nanosleep(&ms, NULL);
	return threads() == n;
}

/* The number of threads that "mt" should start. */
static int workers(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	(void)sched_getaffinity(0, sizeof(set), &set);
	n = CPU_COUNT(&set) - 1;
	return n < 7 ? n : 7;
}

static const struct shmipc_copier *mt(void)
{
	const struct shmipc_copier *c = NULL;

	(void)shmipc_copier_find(&c, "mt");
	return c;
}

static int mt_copy(const struct mem *src, const struct mem *dst)
{
	return copy_well(mt()->to_shm, dst, dst->ptr, src->ptr, LONG_BYTES);
}

TEST_F_TIMEOUT(copier, mt_starts_threads_for_long_copies_and_close_joins_them, 300)
{
	int before = threads(), round;

	shmipc_copier_mt_close();	/* there are none */
	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, copy_well(mt()->to_shm, &self->dst, self->dst.ptr, self->src.ptr, 65536));
		EXPECT_TRUE(threads_are(before));
		ASSERT_EQ(0, mt_copy(&self->src, &self->dst));
		EXPECT_TRUE(threads_are(before + workers()));
		ASSERT_EQ(0, mt_copy(&self->src, &self->dst));
		EXPECT_TRUE(threads_are(before + workers()));
		shmipc_copier_mt_close();
		shmipc_copier_mt_close();
		EXPECT_TRUE(threads_become(before));
	}
}

struct many {
	const struct mem *src;
	int closes;
	uint64_t rounds;
};

static int copy_often(struct other *me, void *arg)
{
	const struct many *m = (const struct many *)arg;
	struct mem dst;
	uint64_t i;

	CHECK(!mem_get(&dst, MEM_PRIVATE, LONG_BYTES));
	for (i = 0; i < m->rounds; i++) {
		CHECK(!mt_copy(m->src, &dst));
		if (m->closes)
			shmipc_copier_mt_close();
	}
	mem_put(&dst);
	return 0;
}

TEST_F_TIMEOUT(copier, mt_serves_several_threads_at_once_while_others_close_it, 300)
{
	struct many m = { &self->src, 0, rng_few(40) }, closing = { &self->src, 1, rng_few(40) };
	struct other o[5];
	int i, before = threads();

	for (i = 0; i < 5; i++)
		ASSERT_EQ(0, other_start(&o[i], 1, copy_often, i < 3 ? &m : &closing));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, other_end(&o[i]));
	shmipc_copier_mt_close();
	EXPECT_TRUE(threads_become(before));
}

/*
 * ThreadSanitizer believes that the parent's threads still exist ("dup thread with used
 * id"); the emulator fails with a thread started after a fork.
 */
#ifdef SHMIPC_TSAN
#define NO_THREADS_IN_CHILD	1
#else
#define NO_THREADS_IN_CHILD	on_qemu()
#endif

#define NEED_THREADS_IN_CHILD()							\
	if (NO_THREADS_IN_CHILD)						\
		SKIP(return, "the sanitizer or emulator cannot start threads in a forked child")

static int child(struct other *me, void *arg)
{
	CHECK(threads_are(1));
	CHECK(!copy_often(me, arg));
	CHECK(threads_are(1 + workers()));
	shmipc_copier_mt_close();
	CHECK(threads_become(1));
	return 0;
}

TEST_F_TIMEOUT(copier, mt_works_in_a_child_and_continues_in_the_parent, 300)
{
	struct many m = { &self->src, 0, 2 };
	int before = threads();
	struct other o;

	NEED_THREADS_IN_CHILD();
	ASSERT_EQ(0, mt_copy(&self->src, &self->dst));
	ASSERT_EQ(0, other_start(&o, 0, child, &m));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_TRUE(threads_are(before + workers()));
	ASSERT_EQ(0, mt_copy(&self->src, &self->dst));
	shmipc_copier_mt_close();
	EXPECT_TRUE(threads_become(before));
}

/*
 * At the fork another thread has the workers, or ends them. AddressSanitizer's allocator
 * does not survive a fork while another thread is in it (old run-time libraries leave its
 * lock held in the child): there the workers are made before, and no thread ends them.
 */
TEST_F_TIMEOUT(copier, mt_works_in_a_child_that_was_forked_in_the_middle_of_a_copy, 300)
{
	struct many m = { &self->src, 0, rng_few(40) }, closing = { &self->src, 1, rng_few(40) };
	struct many once = { &self->src, 0, 1 };
	struct other o[2], c;
	uint64_t i;

	NEED_THREADS_IN_CHILD();
#ifdef __SANITIZE_ADDRESS__
	closing.closes = 0;
	ASSERT_EQ(0, mt_copy(&self->src, &self->dst));
#endif
	ASSERT_EQ(0, other_start(&o[0], 1, copy_often, &m));
	ASSERT_EQ(0, other_start(&o[1], 1, copy_often, &closing));
	for (i = 0; i < rng_few(20); i++) {
		ASSERT_EQ(0, other_start(&c, 0, child, &once));
		EXPECT_EQ(0, other_end(&c));
	}
	EXPECT_EQ(0, other_end(&o[0]));
	EXPECT_EQ(0, other_end(&o[1]));
}

TEST_HARNESS_MAIN
