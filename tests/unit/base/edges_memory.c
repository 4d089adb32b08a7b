// SPDX-License-Identifier: MIT
/*
 * edges: where there is little memory, or none: each noun says so at a call, and goes on when there
 * is some again; see nouns.h
 */
#include "edges.h"

#define ROOM_MIB	"8"
#define ROOM_MAX	(UINT64_C(8) << 20)
#include "room.h"

#define KIB(n)		((uint64_t)(n) << 10)
#define MOST		KIB(4096)	/* more than any of them needs to open */

FIXTURE(edges_memory) {
	struct env env;
	struct noun_end tx, rx;
	struct other o;
	int filler;
};

FIXTURE_SETUP(edges_memory)
{
	const char *why;

	env_set_up(&self->env);
	self->filler = -1;
	why = room_make(&self->env);
	if (why)
		SKIP_SETUP("%s", why);
}

FIXTURE_TEARDOWN(edges_memory)
{
	if (self->filler >= 0)
		(void)close(self->filler);
	EXPECT_EQ(0, room_end(&self->env));
	env_tear_down(&self->env);
}

static int recv_beside(struct other *me, void *arg)
{
	struct noun_end *e = arg;

	(void)me;
	return -e->noun->recv(e, SOON);
}

/* From one thread to another, as some wait for each other. 0 or the first error */
static int pass_one(FIXTURE_DATA(edges_memory) *self, const struct noun *n, size_t len)
{
	int err;

	if (!n->is_mutual) {
		err = n->send(&self->tx, len, 0);
		return err ? err : n->recv(&self->rx, 0);
	}
	if (other_start(&self->o, 1, recv_beside, &self->rx))
		return -1;
	err = n->send(&self->tx, len, SOON);
	return other_end(&self->o) ?: err;
}

/* Publishers say it by the number alone (error.h). */
static bool says_why(int err, const struct noun *n)
{
	return err == -ENOSPC && (n->send == noun_send_topic || (strstr(shmipc_error_text(), "ENOSPC") &&
								 strstr(shmipc_error_text(), NAME)));
}

/* With @left bytes: 1 it works; 0 it was refused, and nothing is left of it. */
static int try_with(struct __test_metadata *_metadata, FIXTURE_DATA(edges_memory) *self,
		    const struct noun *n, uint64_t left)
{
	int err, works = 0;

	EXPECT_EQ(0, room_fill(&self->filler, &self->env, left)) TH_LOG("%llu", (unsigned long long)left);
	err = noun_open(&self->tx, n, NAME, true);
	if (!err)
		err = noun_open(&self->rx, n, NAME, false);
	EXPECT_TRUE(!err || says_why(err, n)) TH_LOG("%s with %llu bytes: %d: %s", n->name, (unsigned long long)left,
						  err, shmipc_error_text());
	if (!err) {
		err = pass_one(self, n, 8);
		EXPECT_TRUE(!err || says_why(err, n)) TH_LOG("%s with %llu bytes: %d: %s", n->name,
							  (unsigned long long)left, err, shmipc_error_text());
		works = !err;
	}
	noun_close(&self->rx);
	noun_close(&self->tx);
	EXPECT_EQ(0, env_files(&self->env)) TH_LOG("%s", n->name);
	EXPECT_EQ(left, room_left(&self->env)) TH_LOG("%s with %llu bytes", n->name, (unsigned long long)left);
	return works;
}

/* One page more each time, until it works. */
TEST_F_TIMEOUT(edges_memory, with_each_amount_each_works_or_is_refused_with_the_reason, 240)
{
	const struct noun *n;
	uint64_t left;
	uint32_t refused;

	for_each_noun(n) {
		refused = 0;
		for (left = 0; left < MOST && !try_with(_metadata, self, n, left); refused++)
			left += left < KIB(64) ? KIB(4) : KIB(256);
		EXPECT_GT(MOST, left) TH_LOG("%s", n->name);
		EXPECT_LT(1u, refused) TH_LOG("%s", n->name);
	}
}

/* What is open goes on when others have taken the rest; what does not fit is refused, and fits later. */
TEST_F_TIMEOUT(edges_memory, what_is_open_goes_on_in_full_memory, 240)
{
	const struct noun *n;
	uint32_t refused = 0;
	int err;

	for_each_noun(n) {
		ASSERT_EQ(0, room_fill(&self->filler, &self->env, MOST));
		ASSERT_EQ(0, noun_open(&self->tx, n, NAME, true)) TH_LOG("%s", n->name);
		ASSERT_EQ(0, noun_open(&self->rx, n, NAME, false)) TH_LOG("%s", n->name);
		ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
		EXPECT_EQ(-EAGAIN, n->recv(&self->rx, 0)) TH_LOG("%s", n->name);
		err = pass_one(self, n, NOUN_LARGE);
		EXPECT_TRUE(!err || says_why(err, n)) TH_LOG("%s: %d: %s", n->name, err, shmipc_error_text());
		refused += err != 0;
		ASSERT_EQ(0, room_fill(&self->filler, &self->env, MOST));
		EXPECT_EQ(0, pass_one(self, n, NOUN_LARGE)) TH_LOG("%s: %s", n->name, shmipc_error_text());
		noun_close(&self->rx);
		noun_close(&self->tx);
	}
	EXPECT_EQ(2u, refused) TH_LOG("those whose memory follows use: topics and queues");
}

/*
 * A queue whose first place has memory, and the next one finds none: a producer that may wait waits
 * for that place, and otherwise the reason is the memory.
 */
TEST_F_TIMEOUT(edges_memory, a_queue_goes_on_with_the_places_that_it_has, 240)
{
	struct shmipc_queue_item it;
	const struct noun *n = noun_find("queue");

	ASSERT_EQ(0, room_fill(&self->filler, &self->env, MOST));
	ASSERT_EQ(0, noun_open(&self->tx, n, NAME, true));
	ASSERT_EQ(0, noun_open(&self->rx, n, NAME, false));
	ASSERT_EQ(0, n->send(&self->tx, NOUN_LARGE, 0));
	ASSERT_EQ(0, room_fill(&self->filler, &self->env, 0));
	EXPECT_EQ(-ENOSPC, n->send(&self->tx, NOUN_LARGE, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "ENOSPC"));
	EXPECT_EQ(-ETIMEDOUT, n->send(&self->tx, 8, shmipc_deadline_in(SHORT_NS)));
	ASSERT_EQ(0, shmipc_pop_item(self->rx.pop, &it, 0));
	EXPECT_EQ(NOUN_LARGE, it.bytes);
	EXPECT_EQ(0, memcmp(it.data, noun_buf, NOUN_LARGE));
	ASSERT_EQ(0, shmipc_pop_ack(self->rx.pop, &it, 1));
	EXPECT_EQ(0, n->send(&self->tx, NOUN_LARGE, 0)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(0, n->recv(&self->rx, 0));
	noun_close(&self->rx);
	noun_close(&self->tx);
}

TEST_HARNESS_MAIN
