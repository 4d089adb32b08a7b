// SPDX-License-Identifier: MIT
/* Sealing: the right to do it, what can be sealed, and others that write, pin or free it meanwhile. */
#include <sys/uio.h>

#include "machine.h"
#include "ring.h"
#include "seal.h"

#define BYTES	(4 * MIB)
#define UNIT	(16 * PAGE)

FIXTURE(who) {
	struct make m;
	int fd;
	char *p;
	const volatile uint64_t *word;
};

FIXTURE_SETUP(who)
{
	catch_bus();
	make_seals(&self->m, "who", BYTES, UNIT);
	make_reserved(&self->m, 2 * MIB);
	self->fd = dev_make(&self->m);
	ASSERT_GE(self->fd, 0);
	ASSERT_GE(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	self->p = dev_map(self->fd, DATA, BYTES, RW);
	self->word = map_words(self->fd);
	ASSERT_NE(self->p, MAP_FAILED);
	ASSERT_NE(self->word, MAP_FAILED);
}

FIXTURE_TEARDOWN(who)
{
	munmap(self->p, BYTES);
	munmap((void *)(uintptr_t)self->word, WORDS_BYTES);
	close(self->fd);
}

TEST_F(who, may_write_may_seal)
{
	int other = dev_open("who"), reader = dev_open_as("who", O_RDONLY);
	struct shmipc_dev_peer peer;

	EXPECT_EQ(dev_seal(other, DATA, UNIT, NULL), -EACCES);
	EXPECT_EQ(dev_unseal(other, DATA, UNIT), -EACCES);
	EXPECT_EQ(dev_seal(reader, DATA, UNIT, NULL), -EACCES);
	ASSERT_GE(dev_attach(other, SHMIPC_ROLE_CONSUMER), 0);
	EXPECT_EQ(dev_seal(other, DATA, UNIT, NULL), -EACCES);
	EXPECT_EQ(dev_unseal(other, DATA, UNIT), -EACCES);
	ASSERT_EQ(dev_detach(other), 0);
	ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_PRODUCER), 1);
	EXPECT_EQ(dev_seal(other, DATA, UNIT, NULL), 0);
	ASSERT_EQ(dev_peer(self->fd, 1, &peer), 0);
	ASSERT_EQ(dev_fence(self->fd, 1, peer.generation), 0);
	EXPECT_EQ(dev_unseal(other, DATA, UNIT), -ECONNRESET);
	EXPECT_EQ(dev_seal(other, DATA + UNIT, UNIT, NULL), -ECONNRESET);
	EXPECT_FALSE(can_write(self->p, 1));
	EXPECT_TRUE(can_write(self->p + UNIT, 1));
	close(other);
	close(reader);
}

TEST_F(who, seals_must_be_there)
{
	int fd = dev_create("who/none", UNIT);

	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(dev_seal(fd, SMALL_DATA_OFF, UNIT, NULL), -EOPNOTSUPP);
	EXPECT_EQ(dev_unseal(fd, SMALL_DATA_OFF, UNIT), -EOPNOTSUPP);
	close(fd);
}

TEST_F(who, writes_the_words_is_the_kernel)
{
	char body[BODY_BYTES + WORDS_BYTES];
	uint64_t seal, i;
	int fd;

	EXPECT_EQ(dev_map(self->fd, WORDS_OFF, PAGE, RW), MAP_FAILED);
	EXPECT_NE(mprotect((void *)(uintptr_t)self->word, PAGE, RW), 0);
	/* Its creator cannot make up seals. */
	memset(body, 0xff, sizeof(body));
	make_seals(&self->m, "who/words", BYTES, UNIT);
	self->m.req.body = (uintptr_t)body;
	fd = dev_make(&self->m);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	munmap((void *)(uintptr_t)self->word, WORDS_BYTES);
	self->word = map_words(fd);
	for (i = 0; i < BYTES / UNIT; i++)
		EXPECT_EQ(self->word[i], 0);
	EXPECT_EQ(dev_seal(fd, DATA, UNIT, &seal), 0);
	EXPECT_EQ(seal, 1);
	close(fd);
}

/* A region that needs no role: its mappings are inherited. */
static int writes_inherited(void *arg)
{
	signal(SIGBUS, SIG_DFL);
	*(volatile char *)arg = 5;
	return 0;
}

TEST_F(who, children_cannot_write_either)
{
	char *p;
	int fd;

	make_seals(&self->m, "who/raw", BYTES, UNIT);
	self->m.region[2].roles = ROLE(NONE);
	fd = dev_make(&self->m);
	ASSERT_GE(fd, 0);
	p = dev_map(fd, DATA, BYTES, RW);
	ASSERT_NE(p, MAP_FAILED);
	p[0] = p[UNIT] = 1;
	EXPECT_EQ(in_child(writes_inherited, p), 0);
	ASSERT_EQ(dev_seal(fd, DATA, UNIT, NULL), 0);
	EXPECT_EQ(in_child(writes_inherited, p), -SIGBUS);
	EXPECT_EQ(in_child(writes_inherited, p + UNIT - 1), -SIGBUS);
	EXPECT_EQ(in_child(writes_inherited, p + UNIT), 0);
	EXPECT_EQ(p[0], 5);
	EXPECT_EQ(p[UNIT - 1], 0);
	ASSERT_EQ(dev_unseal(fd, DATA, UNIT), 0);
	EXPECT_EQ(in_child(writes_inherited, p), 0);
	munmap(p, BYTES);
	close(fd);
}

TEST_F(who, frees_sealed_memory)
{
	/* Without memory there is nothing to seal, and nothing is left of the attempt. */
	EXPECT_EQ(dev_seal(self->fd, DATA + 2 * MIB - UNIT, 2 * UNIT, NULL), -EFAULT);
	EXPECT_EQ(self->word[2 * MIB / UNIT - 1], 0);
	EXPECT_EQ(self->word[2 * MIB / UNIT], 0);
	ASSERT_EQ(dev_seal(self->fd, DATA + UNIT, UNIT, NULL), 0);
	EXPECT_EQ(dev_uncommit(self->fd, DATA, 2 * MIB), -EBUSY);
	EXPECT_EQ(dev_uncommit(self->fd, DATA + UNIT + PAGE, PAGE), -EBUSY);
	EXPECT_EQ(dev_missing(self->fd, DATA, 2 * MIB), 0);
	EXPECT_EQ(dev_uncommit(self->fd, DATA, UNIT), UNIT);
	EXPECT_EQ(dev_commit(self->fd, DATA, 2 * UNIT), UNIT);
	EXPECT_FALSE(can_write(self->p + UNIT, 1));
	EXPECT_TRUE(can_write(self->p, 1));
	ASSERT_EQ(dev_unseal(self->fd, DATA + UNIT, UNIT), 0);
	EXPECT_EQ(dev_uncommit(self->fd, DATA, 2 * MIB), 2 * MIB);
}

TEST_F(who, has_a_page_in_use_delays_it)
{
	struct iovec io = { self->p + UNIT + 3 * PAGE, PAGE };
	char buf[PAGE];
	int end[2];

	self->p[UNIT + 3 * PAGE] = 1;
	ASSERT_EQ(pipe(end), 0);
	ASSERT_EQ(vmsplice(end[1], &io, 1, 0), PAGE);
	EXPECT_EQ(dev_seal(self->fd, DATA, 2 * UNIT, NULL), -EBUSY);
	EXPECT_EQ(self->word[0], 0);
	EXPECT_EQ(self->word[1], 0);
	EXPECT_TRUE(can_write(self->p + UNIT, 2));
	EXPECT_TRUE(can_write(self->p + UNIT + 3 * PAGE, 2));
	/* Others are not concerned. */
	EXPECT_EQ(dev_seal(self->fd, DATA, UNIT, NULL), 0);
	EXPECT_EQ(dev_unseal(self->fd, DATA, UNIT), 0);
	ASSERT_EQ(read(end[0], buf, PAGE), PAGE);
	EXPECT_EQ(dev_seal(self->fd, DATA, 2 * UNIT, NULL), 0);
	close(end[0]);
	close(end[1]);
}

TEST_F(who, has_registered_a_buffer_delays_it)
{
	struct iovec io = { self->p, PAGE };
	struct ring r;

	if (ring_make(&r) || syscall(__NR_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &io, 1))
		SKIP(return, "this kernel does not register such memory");
	EXPECT_EQ(dev_seal(self->fd, DATA, UNIT, NULL), -EBUSY);
	ASSERT_EQ(syscall(__NR_io_uring_register, r.fd, IORING_UNREGISTER_BUFFERS, NULL, 0), 0);
	EXPECT_EQ(dev_seal(self->fd, DATA, UNIT, NULL), 0);
	close(r.fd);
}

#define WRITERS	3

struct writer {
	pthread_t thread;
	volatile char *p;
	uint64_t bytes;
	uint32_t stop;
	uint64_t writes, refused;
};

static void *writes(void *arg)
{
	struct writer *w = arg;
	volatile uint64_t at = 0;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		if (can_write(w->p + at, (char)(w->writes | 1)))
			__atomic_fetch_add(&w->writes, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&w->refused, 1, __ATOMIC_RELAXED);
		at = (at + PAGE + 8) % w->bytes;
	}
	return NULL;
}

/* Until each has been refused once more, so none is still on its way. */
static void await_refused(struct writer *w)
{
	uint64_t from[WRITERS], end = long_deadline();
	int i;

	for (i = 0; i < WRITERS; i++)
		from[i] = __atomic_load_n(&w[i].refused, __ATOMIC_RELAXED);
	for (i = 0; i < WRITERS; i++)
		while (__atomic_load_n(&w[i].refused, __ATOMIC_RELAXED) < from[i] + 2 && now_ns() < end)
			sched_yield();
}

static void await_writes(struct writer *w)
{
	uint64_t from = __atomic_load_n(&w->writes, __ATOMIC_RELAXED), end = long_deadline();

	while (__atomic_load_n(&w->writes, __ATOMIC_RELAXED) < from + 5 && now_ns() < end)
		sched_yield();
}

/* @bytes that are sealed and unsealed again and again while threads write them. */
static void race(struct __test_metadata *_metadata, int fd, char *p, const volatile uint64_t *word,
		 uint64_t bytes)
{
	char *copy = malloc(bytes);
	struct writer w[WRITERS];
	int i, round, busy = 0, err;
	uint64_t seal;

	memset(w, 0, sizeof(w));
	for (i = 0; i < WRITERS; i++) {
		w[i].p = p;
		w[i].bytes = bytes;
		ASSERT_EQ(pthread_create(&w[i].thread, NULL, writes, &w[i]), 0);
	}
	for (round = 0; round < 60; round++) {
		await_writes(&w[round % WRITERS]);
		while ((err = dev_seal(fd, DATA, bytes, &seal)) == -EBUSY && busy < 1000)
			busy++;
		memcpy(copy, p, bytes);
		ASSERT_EQ(err, 0);
		EXPECT_EQ(word[0], seal);
		await_refused(w);
		EXPECT_EQ(memcmp(copy, p, bytes), 0);
		EXPECT_EQ(word[0], seal);
		ASSERT_EQ(dev_unseal(fd, DATA, bytes), 0);
	}
	for (i = 0; i < WRITERS; i++) {
		__atomic_store_n(&w[i].stop, 1, __ATOMIC_RELAXED);
		pthread_join(w[i].thread, NULL);
		EXPECT_GE(w[i].writes, 5);
		EXPECT_GE(w[i].refused, 100);
	}
	TH_LOG("%d rounds, %d times busy", round, busy);
	free(copy);
}

TEST_F_TIMEOUT(who, writes_meanwhile_is_stopped, 120)
{
	race(_metadata, self->fd, self->p, self->word, UNIT);
}

TEST_F_TIMEOUT(who, writes_a_large_page_meanwhile_is_stopped, 120)
{
	const uint64_t *word;
	char *p;
	int fd;

	make_seals(&self->m, "who/large", BYTES, 2 * MIB);
	fd = dev_make(&self->m);
	ASSERT_GE(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	p = dev_map(fd, DATA, BYTES, RW);
	word = map_words(fd);
	ASSERT_NE(p, MAP_FAILED);
	race(_metadata, fd, p, word, 2 * MIB);
	munmap(p, BYTES);
	close(fd);
}

struct sealer {
	pthread_t thread;
	int fd;
	uint32_t *stop;
	uint64_t done, other;
};

static void *seals(void *arg)
{
	struct sealer *s = arg;
	int err;

	while (!__atomic_load_n(s->stop, __ATOMIC_RELAXED)) {
		err = dev_seal(s->fd, DATA, 4 * UNIT, NULL);
		if (!err)
			s->done++;
		else if (err == -EBUSY || err == -EALREADY || err == -EFAULT)
			s->other++;
		else
			abort();
		err = dev_unseal(s->fd, DATA + (s->done % 4) * UNIT, UNIT);
		if (err && err != -EBUSY)
			abort();
		err = dev_unseal(s->fd, DATA, 4 * UNIT);
		if (err && err != -EBUSY)
			abort();
	}
	return NULL;
}

/* Sealing, unsealing, freeing and committing the same pages at once: never sealed without memory. */
TEST_F_TIMEOUT(who, seals_and_frees_at_once, 120)
{
	struct sealer s[2];
	uint32_t stop = 0;
	int i, round, freed = 0;
	int64_t n;

	for (i = 0; i < 2; i++) {
		s[i] = (struct sealer){ .fd = self->fd, .stop = &stop };
		ASSERT_EQ(pthread_create(&s[i].thread, NULL, seals, &s[i]), 0);
	}
	for (round = 0; round < 100 || ((!freed || !s[0].done || !s[1].done) && round < 5000); round++) {
		n = dev_uncommit(self->fd, DATA, 4 * UNIT);
		freed += n > 0;
		EXPECT_TRUE(n >= 0 || n == -EBUSY);
		if (!dev_seal(self->fd, DATA, UNIT, NULL)) {
			EXPECT_EQ(dev_missing(self->fd, DATA, UNIT), 0);
			(void)dev_unseal(self->fd, DATA, UNIT);
		}
		EXPECT_GE(dev_commit(self->fd, DATA, 4 * UNIT), 0);
	}
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < 2; i++) {
		pthread_join(s[i].thread, NULL);
		EXPECT_GE(s[i].done, 1);
	}
	EXPECT_GE(freed, 1);
	TH_LOG("%d rounds, freed %d times, sealed %llu and %llu times", round, freed,
	       (unsigned long long)s[0].done, (unsigned long long)s[1].done);
	EXPECT_EQ(dev_unseal(self->fd, DATA, BYTES), 0);
	EXPECT_EQ(dev_commit(self->fd, DATA, 4 * UNIT), 0);
	EXPECT_TRUE(can_write(self->p, 1));
}

TEST_HARNESS_MAIN
