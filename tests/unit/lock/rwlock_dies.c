// SPDX-License-Identifier: MIT
/* rwlock: the death of readers, of writers, and of those that wait; on each backend */
#include "rwlock.h"

TEST_F(rwlock, a_dead_readers_share_is_freed_once)
{
	struct other o[3];
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start(self, &o[i]));
		ASSERT_EQ(0, ask(&o[i], READ));
		ASSERT_EQ(0, ask(&o[i], READ));
	}
	EXPECT_EQ(3, info_of(self).readers);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(256 + SIGKILL, other_kill(&o[i]));
	EXPECT_EQ(1, info_of(self).readers);
	/* The living one is in the way, the dead ones are not. */
	EXPECT_EQ(-EAGAIN, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(0, ask(&o[2], UNLOCK));
	EXPECT_EQ(-EAGAIN, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(0, ask(&o[2], UNLOCK));
	EXPECT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(2, info_of(self).freed);
	EXPECT_EQ(0, info_of(self).deaths);
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	EXPECT_EQ(2, info_of(self).freed);
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, end(&o[2]));
}

TEST_F(rwlock, a_readers_death_wakes_the_writer)
{
	struct other o, writer;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, start(self, &writer));
	ASSERT_EQ(0, ask(&o, READ));
	ASSERT_EQ(0, ask_asleep(&writer, WRITE));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ(0, hear(&writer));
	EXPECT_EQ(1, info_of(self).freed);
	EXPECT_EQ(0, ask(&writer, UNLOCK));
	EXPECT_EQ(0, end(&writer));
}

TEST_F(rwlock, the_next_writer_learns_of_a_death)
{
	struct shmipc_rwlock_info i;
	struct other o;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, WRITE));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(-EOWNERDEAD, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	i = info_of(self);
	EXPECT_EQ((uint32_t)o.pid, i.died.pid);
	EXPECT_EQ((uint32_t)getpid(), i.writer.pid);
	EXPECT_EQ(SHMIPC_RWLOCK_ORPHAN, i.flags);
	EXPECT_EQ(1, i.deaths);
	EXPECT_EQ(0, shmipc_rwlock_consistent(self->p, self->l));
	EXPECT_EQ(-EINVAL, shmipc_rwlock_consistent(self->p, self->l));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(-EPERM, shmipc_rwlock_consistent(self->p, self->l));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_TRUE(is_free(self));
}

/* A reader gets it alone, and may repair. */
TEST_F(rwlock, the_next_reader_learns_of_a_death)
{
	struct other o, next;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, start(self, &next));
	ASSERT_EQ(0, ask(&o, WRITE));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(-EOWNERDEAD, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ((uint32_t)o.pid, info_of(self).died.pid);
	EXPECT_EQ((uint32_t)getpid(), info_of(self).writer.pid);
	EXPECT_EQ(EAGAIN, ask(&next, READ_TRY));
	EXPECT_EQ(-EDEADLK, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_consistent(self->p, self->l));
	EXPECT_EQ(EAGAIN, ask(&next, READ_TRY));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, ask(&next, READ_TRY));
	EXPECT_EQ(0, ask(&next, UNLOCK));
	EXPECT_EQ(0, end(&next));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, a_writers_death_wakes_those_that_sleep)
{
	struct other o, waiter[3];
	int i, told = 0, ret;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, WRITE));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, start(self, &waiter[i]));
		ASSERT_EQ(0, ask_asleep(&waiter[i], AND_BACK | (i ? READ : WRITE)));
	}
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	for (i = 0; i < 3; i++) {
		ret = (int)hear(&waiter[i]);
		EXPECT_TRUE(!ret || ret == EOWNERDEAD);
		told += ret == EOWNERDEAD;
		EXPECT_EQ(0, end(&waiter[i]));
	}
	EXPECT_EQ(1, told);
	EXPECT_EQ(1, info_of(self).deaths);
	EXPECT_TRUE(is_free(self));
}

/* It has changed nothing yet: no other process is told of it, and readers go on. */
TEST_F(rwlock, a_death_of_one_that_waits_for_readers)
{
	struct other writer, o;

	ASSERT_EQ(0, start(self, &writer));
	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	ASSERT_EQ(0, ask_asleep(&writer, WRITE));
	ASSERT_EQ(0, ask_asleep(&o, READ));
	EXPECT_EQ(256 + SIGKILL, other_kill(&writer));
	EXPECT_EQ(0, hear(&o));
	EXPECT_EQ(2, info_of(self).readers);
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, ask(&o, UNLOCK));
	EXPECT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(0, end(&o));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, deaths_in_a_row)
{
	struct other o[4];
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, start(self, &o[i]));
		EXPECT_EQ(i ? EOWNERDEAD : 0, ask(&o[i], i % 2 ? READ : WRITE));
		EXPECT_EQ(256 + SIGKILL, other_kill(&o[i]));
	}
	ASSERT_EQ(-EOWNERDEAD, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ((uint32_t)o[3].pid, info_of(self).died.pid);
	EXPECT_EQ(4, info_of(self).deaths);
	EXPECT_EQ(0, shmipc_rwlock_consistent(self->p, self->l));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_TRUE(is_free(self));
}

TEST_F(rwlock, given_up_it_is_lost_for_all)
{
	struct other o, waiter[2];
	int i;

	ASSERT_EQ(0, start(self, &o));
	ASSERT_EQ(0, ask(&o, WRITE));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	ASSERT_EQ(-EOWNERDEAD, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, start(self, &waiter[i]));
		ASSERT_EQ(0, ask_asleep(&waiter[i], i ? READ : WRITE));
	}
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(ENOTRECOVERABLE, hear(&waiter[i]));
	EXPECT_EQ(-ENOTRECOVERABLE, shmipc_rwlock_read_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(-ENOTRECOVERABLE, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(-EPERM, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(SHMIPC_RWLOCK_LOST, info_of(self).flags);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, end(&waiter[i]));
	EXPECT_EQ(0, shmipc_rwlock_init(self->l));
	EXPECT_EQ(0, shmipc_rwlock_read_lock(self->p, self->l, 0));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
}

TEST_F(rwlock, leaving_with_it_is_as_dying)
{
	struct other o[2];

	ASSERT_EQ(0, start(self, &o[0]));
	ASSERT_EQ(0, start(self, &o[1]));
	ASSERT_EQ(0, ask(&o[0], READ));
	EXPECT_EQ(0, ask(&o[0], LEAVE));
	EXPECT_EQ(0, other_end(&o[0]));
	ASSERT_EQ(0, ask(&o[1], WRITE));
	EXPECT_EQ(0, ask(&o[1], LEAVE));
	EXPECT_EQ(0, other_end(&o[1]));
	EXPECT_EQ(-EOWNERDEAD, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_rwlock_consistent(self->p, self->l));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(1, info_of(self).freed);
}

/* The first sleeper is woken, and dies before it can wake the others. */
TEST_F(rwlock, a_wake_does_not_die_with_its_reader)
{
	struct other first, second;
	struct held_up h;

	ASSERT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, 0));
	ASSERT_EQ(0, start(self, &first));
	ASSERT_EQ(0, start(self, &second));
	ASSERT_EQ(0, ask_asleep(&first, READ));
	ASSERT_EQ(0, ask_asleep(&second, READ));
	until_for_long();
	ASSERT_EQ(0, hold_up(&h, first.pid));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
	EXPECT_EQ(256 + SIGKILL, other_kill(&first));
	hold_up_no_more(&h, second.pid);
	EXPECT_EQ(0, hear(&second));
	EXPECT_EQ(0, ask(&second, UNLOCK));
	EXPECT_EQ(0, end(&second));
	EXPECT_EQ(0, shmipc_rwlock_write_lock(self->p, self->l, SHMIPC_FOREVER));
	EXPECT_EQ(0, shmipc_rwlock_unlock(self->p, self->l));
}

TEST_HARNESS_MAIN
