// SPDX-License-Identifier: MIT
/* peer: joining a raw segment, and what others learn of it; on each backend */
#include "site.h"

#include "peer/peer.h"

#define PEERS	5u

FIXTURE(peer) {
	struct env env;
	struct site s;
	struct shmipc_segment *seg, *seg2;
	struct shmipc_peer *p, *p2;
};

FIXTURE_VARIANT(peer) {
	enum where where;
};

FIXTURE_VARIANT_ADD(peer, named) { NAMED };
FIXTURE_VARIANT_ADD(peer, anon) { ANON };

static int join_site(struct site *s, struct shmipc_segment **seg, struct shmipc_peer **p)
{
	CHECK(s->where == NAMED ? !shmipc_segment_open(seg, s->name, &s->o) :
	      !shmipc_segment_from_fd(seg, s->fd < 0 ? shmipc_segment_fd(s->seg) : s->fd, NULL));
	return shmipc_peer_join(p, *seg, NULL);
}

FIXTURE_SETUP(peer)
{
	env_set_up(&self->env);
	memset(&self->s, 0, sizeof(self->s));
	self->s.where = variant->where;
	self->s.name = "raw";
	self->s.fd = -1;
	self->s.o = (struct shmipc_segment_opts)SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_RAW, .bytes = 4096, .peers = PEERS, .flags = SHMIPC_CREATE);
	if (variant->where == ANON)
		ASSERT_EQ(0, shmipc_segment_anon(&self->s.seg, &self->s.o));
	ASSERT_EQ(0, join_site(&self->s, &self->seg, &self->p));
}

FIXTURE_TEARDOWN(peer)
{
	shmipc_peer_leave(self->p2);
	shmipc_segment_close(self->seg2);
	shmipc_peer_leave(self->p);
	shmipc_segment_close(self->seg);
	site_end(&self->s);
	env_tear_down(&self->env);
}

static struct shmipc_peer_info info_of(const struct shmipc_peer *p)
{
	struct shmipc_peer_info i = { 0 };

	(void)shmipc_peer_get_info(p, &i);
	return i;
}

static struct shmipc_peer_name name_of(const struct shmipc_peer *p)
{
	struct shmipc_peer_info i = info_of(p);

	return (struct shmipc_peer_name){ i.slot, i.generation, UINT64_MAX };
}

TEST_F(peer, has_a_slot_of_its_own)
{
	struct shmipc_peer_info i;

	ASSERT_EQ(0, shmipc_peer_get_info(self->p, &i));
	EXPECT_EQ(SHMIPC_ROLE_MEMBER, i.role);
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, i.state);
	EXPECT_EQ((uint32_t)getpid(), i.pid);
	EXPECT_EQ(1, i.generation);
	ASSERT_EQ(0, join_site(&self->s, &self->seg2, &self->p2));
	EXPECT_NE(i.slot, info_of(self->p2).slot);
	EXPECT_FALSE(shmipc_peer_gone(self->p, name_of(self->p2), true));
	EXPECT_FALSE(shmipc_peer_gone(self->p, name_of(self->p), true));
}

TEST_F(peer, one_for_each_handle)
{
	struct shmipc_peer *p = NULL;

	EXPECT_EQ(-EBUSY, shmipc_peer_join(&p, self->seg, NULL));
	EXPECT_EQ(NULL, p);
	shmipc_peer_leave(self->p);
	self->p = NULL;
	ASSERT_EQ(0, shmipc_peer_join(&self->p, self->seg, NULL));
	EXPECT_EQ(2, info_of(self->p).generation);
}

TEST_F(peer, options_are_checked)
{
	struct shmipc_peer_opts o = SHMIPC_PEER_OPTS(.spin_ns = 1);
	struct shmipc_peer *p;

	shmipc_peer_leave(self->p);
	self->p = NULL;
	o.struct_bytes = 3;
	EXPECT_EQ(-EINVAL, shmipc_peer_join(&p, self->seg, &o));
	o.struct_bytes = sizeof(o);
	ASSERT_EQ(0, shmipc_peer_join(&self->p, self->seg, &o));
	EXPECT_EQ(1, self->p->spin_ns);
}

TEST_F(peer, of_a_ring_are_taken_otherwise)
{
	struct shmipc_segment *ring;
	struct shmipc_peer *p;

	ASSERT_EQ(0, shmipc_segment_open(&ring, "ring", &SHMIPC_SEGMENT_OPTS(
		.kind = SHMIPC_KIND_SPSC, .flags = SHMIPC_CREATE)));
	EXPECT_EQ(-EINVAL, shmipc_peer_join(&p, ring, NULL));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "spsc"));
	shmipc_segment_close(ring);
}

TEST_F(peer, as_many_as_there_are_slots)
{
	struct shmipc_segment *seg[PEERS];
	struct shmipc_peer *p[PEERS] = { NULL };
	uint32_t i;

	for (i = 1; i < PEERS; i++)
		ASSERT_EQ(0, join_site(&self->s, &seg[i], &p[i]));
	EXPECT_EQ(-ENOSPC, join_site(&self->s, &seg[0], &p[0]));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "all 5 slots"));
	shmipc_peer_leave(p[2]);
	EXPECT_EQ(0, shmipc_peer_join(&p[0], seg[0], NULL));
	p[2] = NULL;
	for (i = 0; i < PEERS; i++) {
		shmipc_peer_leave(p[i]);
		shmipc_segment_close(seg[i]);
	}
}

static int join_and_wait(struct other *me, void *arg)
{
	struct site *s = arg;
	struct shmipc_segment *seg;
	struct shmipc_peer *p;

	site_here(s, me);
	CHECK(!join_site(s, &seg, &p));
	tell(me, info_of(p).slot);
	tell(me, info_of(p).generation);
	if (hear(me) == 1)
		shmipc_peer_leave(p);
	tell(me, 1);
	(void)hear(me);
	return 0;
}

static struct shmipc_peer_name start(FIXTURE_DATA(peer) *self, struct other *o)
{
	struct shmipc_peer_name n = { .mask = UINT64_MAX };

	if (site_start(&self->s, o, join_and_wait, &self->s))
		return n;
	n.slot = (uint32_t)hear(o);
	n.generation = hear(o);
	return n;
}

TEST_F(peer, others_learn_that_it_left)
{
	struct shmipc_peer_name n;
	struct other o;

	n = start(self, &o);
	EXPECT_FALSE(shmipc_peer_gone(self->p, n, true));
	EXPECT_EQ((uint32_t)o.pid, shmipc_peer_pid(self->p, n));
	tell(&o, 1);
	(void)hear(&o);
	EXPECT_TRUE(shmipc_peer_gone(self->p, n, false));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(peer, others_learn_that_it_died)
{
	struct shmipc_peer_name n;
	struct other o;

	n = start(self, &o);
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_TRUE(shmipc_peer_gone(self->p, n, true));
	EXPECT_EQ((uint32_t)o.pid, shmipc_peer_pid(self->p, n));
	/* The next one in its slot is another. */
	ASSERT_EQ(0, join_site(&self->s, &self->seg2, &self->p2));
	EXPECT_EQ(n.slot, info_of(self->p2).slot);
	EXPECT_TRUE(shmipc_peer_gone(self->p, n, true));
	EXPECT_EQ(0, shmipc_peer_pid(self->p, n));
	EXPECT_FALSE(shmipc_peer_gone(self->p, name_of(self->p2), true));
	/* A part of the generation is enough, as long as it differs. */
	n.mask = 3;
	EXPECT_TRUE(shmipc_peer_gone(self->p, n, true));
}

TEST_F(peer, one_that_cannot_be_has_gone)
{
	const unsigned char *data = shmipc_segment_data(self->seg, NULL);
	struct shmipc_peer_name n = { PEERS, 1, UINT64_MAX };

	EXPECT_TRUE(shmipc_peer_gone(self->p, n, true));
	EXPECT_EQ(0, shmipc_peer_pid(self->p, n));
	n.slot = UINT32_MAX;
	EXPECT_TRUE(shmipc_peer_gone(self->p, n, true));
	n.slot = PEERS - 1;	/* never taken */
	EXPECT_TRUE(shmipc_peer_gone(self->p, n, true));
	EXPECT_TRUE(shmipc_peer_within(self->p, data, 4096));
	EXPECT_TRUE(shmipc_peer_within(self->p, data + 4088, 8));
	EXPECT_FALSE(shmipc_peer_within(self->p, data + 4088, 16));
	EXPECT_FALSE(shmipc_peer_within(self->p, data + 4, 8));
	EXPECT_FALSE(shmipc_peer_within(self->p, data - 8, 8));
	EXPECT_FALSE(shmipc_peer_within(self->p, self->seg->base, 8));
	EXPECT_FALSE(shmipc_peer_within(self->p, NULL, 8));
	EXPECT_FALSE(shmipc_peer_within(self->p, self, 8));
}

static int use_inherited(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_peer_info i;

	CHECK(shmipc_peer_get_info(self->p, &i) == -EINVAL);
	shmipc_peer_leave(self->p);
	shmipc_segment_close(self->seg);
	(void)hear(me);
	return 0;
}

TEST_F(peer, a_child_has_none_of_its_parent)
{
	struct other o;

	ASSERT_EQ(0, other_start(&o, 0, use_inherited, self));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
	ASSERT_EQ(0, join_site(&self->s, &self->seg2, &self->p2));
	EXPECT_FALSE(shmipc_peer_gone(self->p2, name_of(self->p), true));
}

TEST_HARNESS_MAIN
