// SPDX-License-Identifier: MIT
/* rwlock: readers and writers, waiting, giving up; on each backend */
#include "rwlock.h"

TEST_F(rwlock, readers_share_it)
{
	struct shmipc_rwlock_info i;
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	i = info_of(self);
	EXPECT_EQ(1, i.readers);
	EXPECT_EQ((uint32_t)getpid(), i.reader.pid);
	EXPECT_EQ(0, i.writer.thread);
	EXPECT_EQ(0, ask(&o, READ_TRY));
	EXPECT_EQ(2, info_of(self).readers);
	EXPECT_EQ(EDEADLK, ask(&o, WRITE_TRY));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(-EAGAIN, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ((uint32_t)o.pid, info_of(self).reader.pid);
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, end(&o));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, a_writer_is_alone)
{
	struct shmipc_rwlock_info i;
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	i = info_of(self);
	EXPECT_EQ((uint32_t)getpid(), i.writer.pid);
	EXPECT_EQ(0, i.readers);
	EXPECT_EQ(0, i.flags);
	EXPECT_EQ(EAGAIN, ask(&o, READ_TRY));
	EXPECT_EQ(EAGAIN, ask(&o, WRITE_TRY));
	EXPECT_EQ(ETIMEDOUT, ask(&o, READ_SHORT));
	EXPECT_EQ(ETIMEDOUT, ask(&o, WRITE_SHORT));
	EXPECT_EQ(EPERM, ask(&o, UNLOCK));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, ask(&o, WRITE_TRY));
	EXPECT_EQ(-EAGAIN, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(-EPERM, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, end(&o));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, recursion)
{
	int i;

	ASSERT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(-EDEADLK, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(-EDEADLK, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(-EOVERFLOW, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(1, info_of(self).readers);
	EXPECT_EQ(-EDEADLK, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	for (i = 0; i < 8; i++) {
		EXPECT_EQ(1, info_of(self).readers);
		EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	}
	EXPECT_EQ(-EPERM, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_TRUE(is_free(self));
}

static int beside(struct other *me, void *arg)
{
	FIXTURE_DATA(rwlock) *self = arg;

	CHECK(shmipc_rwlock_unlock(self->p, self->l) == -EPERM);
	CHECK(shmipc_rwlock_write_lock(self->p, self->l, 1) == -ETIMEDOUT);
	CHECK(!shmipc_rwlock_read_lock(self->p, self->l, 0));
	CHECK(!shmipc_rwlock_unlock(self->p, self->l));
	CHECK(shmipc_rwlock_unlock(self->p, self->l) == -EPERM);
	tell(me, 1);
	CHECK(!shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	tell(me, 2);
	CHECK(hear(me) == 3);
	return shmipc_rwlock_unlock(self->p, self->l);
}

TEST_F(rwlock, belongs_to_threads)
{
	struct other o;

	ASSERT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	ASSERT_EQ(0, other_start(&o, 1, beside, self));
	EXPECT_EQ(1, hear(&o));
	EXPECT_EQ(0, until_asleep(o.tid));
	EXPECT_EQ(SHMIPC_RWLOCK_DRAINS, info_of(self).flags);
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(2, hear(&o));
	EXPECT_EQ(0, info_of(self).flags);
	EXPECT_EQ(-EPERM, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(-EAGAIN, shmipc_rwlock_read_lock(self->p, self->l, 0));
	tell(&o, 3);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, deadlines)
{
	struct other o;
	uint64_t end_ns;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, READ));
	EXPECT_EQ(-ETIMEDOUT, shmipc_rwlock_write_lock(self->p, self->l, 1));
	end_ns = shmipc_deadline_in(30000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_rwlock_write_lock(self->p, self->l, end_ns));
	EXPECT_LE(end_ns, now_ns());
	EXPECT_GT(end_ns + LATE_NS, now_ns());
	/* It has taken its claim back. */
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, ask(&o, WRITE));
	EXPECT_EQ(-ETIMEDOUT, shmipc_rwlock_read_lock(self->p, self->l, 1));
	end_ns = shmipc_deadline_in(30000000);
	EXPECT_EQ(-ETIMEDOUT, shmipc_rwlock_read_lock(self->p, self->l, end_ns));
	EXPECT_LE(end_ns, now_ns());
	EXPECT_GT(end_ns + LATE_NS, now_ns());
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, end(&o));
	EXPECT_TRUE(is_free(self));
}

/* Readers that come later wait, also those that only try; one that reads already does not. */
TEST_F(rwlock, a_waiting_writer_is_next)
{
	struct other writer, o;

	ASSERT_EQ(0, start(self, &writer));
	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	ASSERT_EQ(0, ask_asleep(&writer, WRITE));
	EXPECT_EQ(EAGAIN, ask(&o, READ_TRY));
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	ASSERT_EQ(0, ask_asleep(&o, READ));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, hear(&writer));
	EXPECT_EQ(0, ask(&writer, UNLOCK));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, end(&writer));
	EXPECT_EQ(0, end(&o));
	EXPECT_TRUE(is_free(self));
}

/* When it gives up, they go on. */
TEST_F(rwlock, a_writer_that_gives_up_lets_readers_in)
{
	struct other writer, o[2];
	int i;

	ASSERT_EQ(0, start(self, &writer));
	ASSERT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start(self, &o[i]));
	ASSERT_EQ(0, ask_asleep(&writer, WRITE_SHORT));
	for (i = 0; i < 2; i++)
		tell(&o[i], READ);
	EXPECT_EQ(ETIMEDOUT, hear(&writer));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, hear(&o[i]));
	EXPECT_EQ(3, info_of(self).readers);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, ask(&o[i], UNLOCK));
		EXPECT_EQ(0, end(&o[i]));
	}
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, end(&writer));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, sleeping_readers_are_woken_together)
{
	struct other o[5];
	int i;

	ASSERT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, start(self, &o[i]));
		ASSERT_EQ(0, ask_asleep(&o[i], READ));
	}
	EXPECT_EQ(SHMIPC_RWLOCK_WAITERS, info_of(self).flags);
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, hear(&o[i]));
	EXPECT_EQ(5, info_of(self).readers);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, ask(&o[i], UNLOCK));
		EXPECT_EQ(0, end(&o[i]));
	}
	EXPECT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
}

/* One more than there are shares waits, in a share of its own or not; a death is enough. */
TEST_F(rwlock, more_readers_than_shares)
{
	static struct other o[SHMIPC_RWLOCK_SHARES + 1];
	const int n = SHMIPC_RWLOCK_SHARES;
	int i;

	for (i = 0; i <= n; i++)
		ASSERT_EQ(0, start(self, &o[i]));
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, ask(&o[i], READ));
	EXPECT_EQ((uint32_t)n, info_of(self).readers);
	EXPECT_EQ(-EAGAIN, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(-ETIMEDOUT, shmipc_rwlock_read_lock(self->p, self->l, shmipc_deadline_in(5000000)));
	EXPECT_EQ(0, ask(&o[0], READ));		/* it has one */
	EXPECT_EQ(0, ask(&o[0], UNLOCK));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o[1]));
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(1, info_of(self).freed);
	EXPECT_EQ(-EDEADLK, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	ASSERT_EQ(0, ask_asleep(&o[n], READ));
	for (i = 0; i < n; i++)		/* it waits for one of them */
		if (i != 1)
			EXPECT_EQ(0, ask(&o[i], UNLOCK));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, hear(&o[n]));
	EXPECT_EQ(0, ask(&o[n], UNLOCK));
	for (i = 0; i <= n; i++)
		if (i != 1)
			EXPECT_EQ(0, end(&o[i]));
	EXPECT_TRUE(is_free(self));
	EXPECT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
}

TEST_F(rwlock, only_in_the_segment)
{
	struct shmipc_rwlock local = { 0 };
	struct shmipc_rwlock *skewed = (void *)((char *)self->l + 4);

	EXPECT_EQ(-EINVAL, shmipc_rwlock_read_lock(self->p, &local, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "not in the data"));
	EXPECT_EQ(-EINVAL, shmipc_rwlock_write_lock(self->p, &local, 0));
	EXPECT_EQ(-EINVAL, shmipc_rwlock_unlock(self->p, &local));
	EXPECT_EQ(-EINVAL, shmipc_rwlock_read_lock(self->p, skewed, 0));
	EXPECT_EQ(-EINVAL, shmipc_rwlock_init(skewed));
	EXPECT_EQ(0, local.writer.word);
}

static int use_inherited(struct other *me, void *arg)
{
	FIXTURE_DATA(rwlock) *self = arg;
	struct shmipc_rwlock_info i = SHMIPC_RWLOCK_INFO();

	CHECK(shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER) == -EINVAL);
	CHECK(shmipc_rwlock_unlock(self->p, self->l) == -EINVAL);
	CHECK(shmipc_rwlock_consistent(self->p, self->l) == -EINVAL);
	CHECK(shmipc_rwlock_get_info(self->p, self->l, &i) == -EINVAL);
	(void)hear(me);
	return 0;
}

TEST_F(rwlock, a_child_does_not_have_its_parents)
{
	struct other o;

	ASSERT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	ASSERT_EQ(0, other_start(&o, 0, use_inherited, self));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
}

static bool is_allowed(int ret)
{
	return !ret || ret == -ETIMEDOUT || ret == -EOWNERDEAD || ret == -ENOTRECOVERABLE ||
	       ret == -EDEADLK || ret == -EOVERFLOW || ret == -EAGAIN;
}

static void use_hostile(struct __test_metadata *_metadata, FIXTURE_DATA(rwlock) *self)
{
	uint64_t end_ns = shmipc_deadline_in(300000);
	int ret = shmipc_rwlock_read_lock(self->p, self->l, end_ns);

	EXPECT_TRUE(is_allowed(ret)) TH_LOG("%d", ret);
	ret = shmipc_rwlock_unlock(self->p, self->l);
	EXPECT_TRUE(!ret || ret == -EPERM);
	ret = shmipc_rwlock_write_lock(self->p, self->l, end_ns);
	EXPECT_TRUE(is_allowed(ret)) TH_LOG("%d", ret);
	EXPECT_GT(end_ns + LATE_NS, now_ns());
	(void)info_of(self);
	(void)shmipc_rwlock_consistent(self->p, self->l);
	ret = shmipc_rwlock_unlock(self->p, self->l);
	EXPECT_TRUE(!ret || ret == -EPERM);
	ret = shmipc_rwlock_write_lock(self->p, self->l, 0);
	EXPECT_TRUE(is_allowed(ret) && ret != -ETIMEDOUT) TH_LOG("%d", ret);
}

/* Words that no honest peer writes: each call returns, by its deadline at the latest. */
TEST_F(rwlock, hostile_words)
{
	static const uint64_t flags[] = { 0, 1, 2, 3, 4, 7, 8, 15 };
	uint64_t own, word[9];
	size_t i, f;
	int k;

	ASSERT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	own = self->l->writer.word;
	for (i = 0; i < ARRAY_SIZE(word); i++)
		word[i] = i < 2 ? UINT64_MAX << (i * 16) : i < 5 ? own + (UINT64_C(1) << (i * 12)) :
			  i < 6 ? own : i < 7 ? 0 : UINT64_C(1) << (i * 5);
	for (i = 0; i < ARRAY_SIZE(word); i++) {
		for (f = 0; f < ARRAY_SIZE(flags); f++) {
			for (k = 0; k < 4; k++) {
				EXPECT_EQ(0, shmipc_rwlock_init(self->l));
				if (k != 1)
					self->l->writer.word = (word[i] & ~UINT64_C(15)) | flags[f];
				if (k)
					self->l->share[(i * 7 + f) % 64] = (word[i] & ~UINT64_C(15)) | flags[f];
				if (k == 2)
					memset(self->l->share, 0x11 * (int)f, sizeof(self->l->share));
				self->l->inside = k == 3 ? word[i] : 0;
				use_hostile(_metadata, self);
			}
		}
	}
	EXPECT_EQ(0, shmipc_rwlock_init(self->l));
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
}

TEST_HARNESS_MAIN
