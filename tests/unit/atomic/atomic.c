// SPDX-License-Identifier: MIT
/* atomic: each function on each width, and between threads */
#include <kselftest_harness.h>
#include <pthread.h>
#include <sched.h>
#include <shmipc/inline/atomic.h>

TEST(load_and_store_each_width)
{
	uint8_t a = 1;
	uint16_t b = 2;
	uint32_t c = 3;
	uint64_t d = 4;

	EXPECT_EQ(1, shmipc_load_relaxed(&a));
	EXPECT_EQ(2, shmipc_load_acquire(&b));
	shmipc_store_relaxed(&c, UINT32_MAX);
	shmipc_store_release(&d, UINT64_MAX - 1);
	EXPECT_EQ(UINT32_MAX, shmipc_load_acquire(&c));
	EXPECT_EQ(UINT64_MAX - 1, shmipc_load_relaxed(&d));
}

TEST(cas_reports_what_it_found)
{
	uint64_t v = 5, expected = 5;

	EXPECT_TRUE(shmipc_cas_acq_rel(&v, &expected, (uint64_t)6));
	EXPECT_EQ(6, v);
	EXPECT_FALSE(shmipc_cas_acq_rel(&v, &expected, (uint64_t)7));
	EXPECT_EQ(6, expected);
	EXPECT_EQ(6, v);
	EXPECT_EQ(6, shmipc_exchange_acq_rel(&v, (uint64_t)8));
	EXPECT_EQ(8, shmipc_fetch_or_acq_rel(&v, (uint64_t)3));
	EXPECT_EQ(11, v);
}

TEST(racy_copies_copy)
{
	unsigned char a[100], b[100];
	size_t i;

	for (i = 0; i < sizeof(a); i++)
		a[i] = (unsigned char)(i * 7);
	memset(b, 0, sizeof(b));
	shmipc_racy_write(b + 1, a, 98);
	EXPECT_EQ(0, memcmp(b + 1, a, 98));
	EXPECT_EQ(0, b[0]);
	EXPECT_EQ(0, b[99]);
	memset(b, 0, sizeof(b));
	shmipc_racy_read(b, a + 3, 97);
	EXPECT_EQ(0, memcmp(b, a + 3, 97));
	EXPECT_EQ(0, b[97]);
}

/* If two threads share a CPU, each round may take a time slice. */
#define ROUNDS	500

struct hand_over {
	uint64_t payload[8];
	uint64_t ready;
};

static void *give(void *arg)
{
	struct hand_over *h = arg;
	uint64_t n, i;

	for (n = 1; n <= ROUNDS; n++) {
		while (shmipc_load_acquire(&h->ready))
			sched_yield();
		for (i = 0; i < 8; i++)
			h->payload[i] = n * 8 + i;
		shmipc_store_release(&h->ready, n);
	}
	return NULL;
}

/* Also for ThreadSanitizer: plain words, ordered by release and acquire. */
TEST(release_and_acquire_hand_plain_memory_over)
{
	struct hand_over h = { .ready = 0 };
	pthread_t t;
	uint64_t n, i, bad = 0, seen;

	ASSERT_EQ(0, pthread_create(&t, NULL, give, &h));
	for (n = 1; n <= ROUNDS; n++) {
		while (!(seen = shmipc_load_acquire(&h.ready)))
			sched_yield();
		bad += seen != n;
		for (i = 0; i < 8; i++)
			bad += h.payload[i] != n * 8 + i;
		shmipc_store_release(&h.ready, (uint64_t)0);
	}
	EXPECT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(0, bad);
}

static void *add(void *arg)
{
	uint64_t *v = arg, old;
	int i;

	for (i = 0; i < 20000; i++) {
		old = shmipc_load_relaxed(v);
		while (!shmipc_cas_acq_rel(v, &old, old + 1))
			;
	}
	return NULL;
}

TEST(cas_loses_no_update)
{
	uint64_t v = 0;
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, add, &v));
	add(&v);
	EXPECT_EQ(0, pthread_join(t, NULL));
	EXPECT_EQ(40000, v);
}

TEST_HARNESS_MAIN
