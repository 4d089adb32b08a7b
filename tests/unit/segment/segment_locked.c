// SPDX-License-Identifier: MIT
/* segment: in a process that locks its memory, and with thousands of ends in one process */
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "env.h"

#include "segment/backend.h"

#define MAY_LOCK	((rlim_t)1 << 20)
#define ENDS		2200u	/* more than one keeper can hold */
#define SOON		shmipc_deadline_in(UINT64_C(20000000000))

FIXTURE(locked) {
	struct env env;
	struct other o;
};

FIXTURE_SETUP(locked)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(locked)
{
	env_tear_down(&self->env);
}

/* As an ordinary process: no right to lock more than @may bytes. */
static int lock_future(rlim_t may)
{
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];
	struct rlimit r = { may, may };

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &r));
	CHECK(!syscall(SYS_capget, &hdr, data));
	data[0].effective &= ~(1u << CAP_IPC_LOCK);
	CHECK(!syscall(SYS_capset, &hdr, data));
	CHECK(!mlockall(MCL_FUTURE));
	return 0;
}

static int too_large(struct other *me, void *arg)
{
	struct shmipc_pub *pub = NULL;

	CHECK(!lock_future(MAY_LOCK));
	CHECK(shmipc_pub_open(&pub, "topic", NULL, NULL) == -ENOMEM);
	CHECK(strstr(shmipc_error_text(), "RLIMIT_MEMLOCK"));
	CHECK(strstr(shmipc_error_text(), "ENOMEM"));
	return 0;
}

TEST_F(locked, what_may_not_be_locked_is_enomem_and_the_text_says_why)
{
	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "sanitizers make nothing of mlockall");
	ASSERT_EQ(0, other_start(&self->o, 0, too_large, NULL));
	EXPECT_EQ(0, other_end(&self->o));
	EXPECT_EQ(0, env_files(&self->env));
}

static int small_ones(struct other *me, void *arg)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_SPSC, .bytes = 4096,
							   .flags = SHMIPC_CREATE);
	struct shmipc_channel *tx, *rx;
	char buf[8];
	size_t len;

	CHECK(!lock_future(MAY_LOCK));
	CHECK(!shmipc_channel_open(&tx, "ring", SHMIPC_ROLE_PRODUCER, &o, NULL));
	CHECK(!shmipc_channel_open(&rx, "ring", SHMIPC_ROLE_CONSUMER, &o, NULL));
	CHECK(!shmipc_channel_send(tx, "x", 1, 0));
	CHECK(!shmipc_channel_recv(rx, buf, sizeof(buf), &len, 0));
	/* The kernel announces its death, too. */
	if (!env_on_dev())
		CHECK((shmipc_load_relaxed(tx->peer_word) & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER);
	shmipc_channel_close(tx);
	shmipc_channel_close(rx);
	return 0;
}

TEST_F(locked, what_may_be_locked_works)
{
	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "sanitizers make nothing of mlockall");
	ASSERT_EQ(0, other_start(&self->o, 0, small_ones, NULL));
	EXPECT_EQ(0, other_end(&self->o));
}

static uint64_t used(const struct shmipc_pub *pub)
{
	struct shmipc_segment_info i = SHMIPC_SEGMENT_INFO();

	(void)shmipc_pub_get_info(pub, &i);
	return i.memory_bytes;
}

static int idle_topic(struct other *me, void *arg)
{
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.history = 2000, .inline_bytes = 240,
						       .pool_bytes = 1 << 18);
	struct shmipc_pub *pub, *before;
	struct shmipc_sub *sub;
	uint64_t n = 0, bytes;
	char buf[8];
	size_t len;

	CHECK(!shmipc_pub_open(&before, "before", &t, NULL));
	CHECK(!shmipc_sub_open(&sub, "before", NULL, NULL));
	bytes = used(before);
	shmipc_sub_close(sub);
	CHECK(!lock_future(8 << 20));
	CHECK(!shmipc_pub_open(&pub, "topic", &t, NULL));
	CHECK(!shmipc_sub_open(&sub, "topic", NULL, NULL));
	CHECK(bytes && used(pub) == bytes);
	for (; n < 3000; n++) {
		CHECK(!shmipc_pub_send(pub, &n, sizeof(n), 0));
		CHECK(!shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0));
	}
	shmipc_sub_close(sub);
	shmipc_pub_close(pub);
	shmipc_pub_close(before);
	return 0;
}

TEST_F(locked, a_topic_takes_memory_as_it_is_used)
{
	if (env_on_dev())
		SKIP(return, "on the device a process that locks its memory takes all of a topic's");
	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "sanitizers make nothing of mlockall");
	ASSERT_EQ(0, other_start(&self->o, 0, idle_topic, NULL));
	EXPECT_EQ(0, other_end(&self->o));
}

/* Many ends */

static int has_many(struct other *me, void *arg)
{
	static struct shmipc_sub *sub[ENDS];
	struct shmipc_pub *pub;
	uint32_t i;

	CHECK(!shmipc_pub_open(&pub, "many", &SHMIPC_TOPIC_OPTS(.publishers = 1, .subscribers = ENDS + 1), NULL));
	for (i = 0; i < ENDS; i++)
		CHECK(!shmipc_sub_open(&sub[i], "many", NULL, NULL));
	tell(me, 1);
	return (int)hear(me);	/* killed here */
}

static uint32_t died(struct shmipc_segment *seg, uint32_t *ret_kept)
{
	uint32_t slot, n = 0;

	*ret_kept = 0;
	for (slot = 0; slot < seg->hdr.peers; slot++) {
		uint32_t word = shmipc_load_relaxed(&shmipc_segment_slot(seg, slot)->word);

		*ret_kept += word && (word & SHMIPC_PEER_TID_MASK) != SHMIPC_PEER_NO_KEEPER;
		n += seg->be->state(seg, slot, false) == SHMIPC_PEER_DIED;
	}
	return n;
}

/* Each of them has a keeper: opening stays fast, and the death of each is announced. */
TEST_F(locked, thousands_of_ends_in_one_process_are_all_kept)
{
	struct rlimit r = { 3 * ENDS, 3 * ENDS };
	struct shmipc_segment *seg;
	uint32_t kept;

	if (env_on_dev())
		SKIP(return, "the device needs no keepers");
	if (setrlimit(RLIMIT_NOFILE, &r))
		SKIP(return, "this many descriptors are not allowed");
	ASSERT_EQ(0, other_start(&self->o, 0, has_many, NULL));
	ASSERT_EQ(1, hear(&self->o));
	ASSERT_EQ(0, shmipc_segment_find(&seg, "many", NULL));
	EXPECT_EQ(0, died(seg, &kept));
	EXPECT_EQ(ENDS + 1, kept);
	(void)other_kill(&self->o);
	EXPECT_EQ(ENDS + 1, died(seg, &kept));
	shmipc_segment_close(seg);
	(void)shmipc_segment_gc(NULL, NULL);
}

TEST_HARNESS_MAIN
