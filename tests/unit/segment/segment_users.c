// SPDX-License-Identifier: MIT
/* segment: two users and a directory with the sticky bit: the last to leave frees the name */
#include "env.h"

#define NAME	"shared"
#define ALICE	61001
#define BOB	61002
#define MIB	(UINT64_C(1) << 20)

FIXTURE(users) {
	struct env env;
	struct other alice, bob;
	char path[512];
};

FIXTURE_VARIANT(users) {
	enum shmipc_kind kind;
};

FIXTURE_VARIANT_ADD(users, spsc) { SHMIPC_KIND_SPSC };
FIXTURE_VARIANT_ADD(users, topic) { SHMIPC_KIND_TOPIC };
FIXTURE_VARIANT_ADD(users, event) { SHMIPC_KIND_EVENT };
FIXTURE_VARIANT_ADD(users, deadman) { SHMIPC_KIND_DEADMAN };
FIXTURE_VARIANT_ADD(users, lock) { SHMIPC_KIND_LOCK };
FIXTURE_VARIANT_ADD(users, queue) { SHMIPC_KIND_QUEUE };
FIXTURE_VARIANT_ADD(users, sem) { SHMIPC_KIND_RAW };

/* What a user is told to do; the answer is the error, not negated. */
enum { CREATE, CREATE_DEFAULT, CREATE_0600, CREATE_EXCL, JOIN, SEND, RECV, CLOSE, LOOK, UNLINK, GC, LEAVE };

struct user {
	uint32_t kind;
	bool sends;
	struct shmipc_channel *ch;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_notifier *notifier;
	struct shmipc_listener *listener;
	struct shmipc_deadman *deadman;
	struct shmipc_lock *lock;
	struct shmipc_push *push;
	struct shmipc_pop *pop;
	struct shmipc_segment *seg;
	struct shmipc_peer *peer;
};

static int open_event(struct user *u, uint32_t flags, uint32_t mode)
{
	struct shmipc_event_opts o = SHMIPC_EVENT_OPTS(.flags = flags, .mode = mode);

	return u->sends ? shmipc_notifier_open(&u->notifier, NAME, &o) :
			  shmipc_listener_open(&u->listener, NAME, &o, NULL);
}

static int open_role(struct user *u, uint32_t flags, uint32_t mode)
{
	return shmipc_deadman_open(&u->deadman, NAME,
				   &SHMIPC_DEADMAN_OPTS(.flags = flags, .mode = mode));
}

static int open_queue(struct user *u, uint32_t flags, uint32_t mode)
{
	struct shmipc_queue_opts o = SHMIPC_QUEUE_OPTS(.flags = flags, .mode = mode);

	return u->sends ? shmipc_push_open(&u->push, NAME, &o, NULL) :
			  shmipc_pop_open(&u->pop, NAME, &o, NULL);
}

/* A semaphore, like all that lies in a raw segment. */
static int open_raw(struct user *u, uint32_t flags, uint32_t mode)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = flags, .mode = mode,
							   .kind = SHMIPC_KIND_RAW, .bytes = 4096);
	int err = shmipc_segment_open(&u->seg, NAME, &o);

	if (err)
		return err;
	err = shmipc_peer_join(&u->peer, u->seg, NULL);
	if (err)
		shmipc_segment_close(u->seg);
	if (err)
		u->seg = NULL;
	return err;
}

static int open_end(struct user *u, uint32_t flags, uint32_t mode)
{
	struct shmipc_segment_opts o = SHMIPC_SEGMENT_OPTS(.flags = flags, .mode = mode);
	struct shmipc_topic_opts t = SHMIPC_TOPIC_OPTS(.flags = flags, .mode = mode);
	struct shmipc_sub_opts so = SHMIPC_SUB_OPTS(.policy = SHMIPC_POLICY_LOSSLESS,
						    .start = SHMIPC_START_OLDEST);

	if (u->kind != SHMIPC_KIND_SPSC && !(flags & SHMIPC_CREATE))
		t.flags = SHMIPC_NO_CREATE;
	if (u->kind == SHMIPC_KIND_EVENT)
		return open_event(u, t.flags, mode);
	if (u->kind == SHMIPC_KIND_DEADMAN)
		return open_role(u, t.flags, mode);
	if (u->kind == SHMIPC_KIND_LOCK)
		return shmipc_lock_open(&u->lock, NAME, &SHMIPC_LOCK_OPTS(.flags = t.flags, .mode = mode));
	if (u->kind == SHMIPC_KIND_QUEUE)
		return open_queue(u, t.flags, mode);
	if (u->kind == SHMIPC_KIND_RAW)
		return open_raw(u, flags, mode);
	if (u->kind == SHMIPC_KIND_TOPIC)
		return u->sends ? shmipc_pub_open(&u->pub, NAME, &t, NULL) :
				  shmipc_sub_open(&u->sub, NAME, &t, &so);
	if (flags & SHMIPC_CREATE) {
		o.kind = SHMIPC_KIND_SPSC;
		o.bytes = MIB;
	}
	return shmipc_channel_open(&u->ch, NAME, u->sends ? SHMIPC_ROLE_PRODUCER : SHMIPC_ROLE_CONSUMER,
				   &o, NULL);
}

static void close_end(struct user *u)
{
	shmipc_channel_close(u->ch);
	shmipc_pub_close(u->pub);
	shmipc_sub_close(u->sub);
	shmipc_notifier_close(u->notifier);
	shmipc_listener_close(u->listener);
	shmipc_deadman_close(u->deadman);
	shmipc_lock_close(u->lock);
	shmipc_push_close(u->push);
	shmipc_pop_close(u->pop);
	shmipc_peer_leave(u->peer);
	shmipc_segment_close(u->seg);
	*u = (struct user){ .kind = u->kind, .sends = u->sends };
}

static int send_one(struct user *u)
{
	uint64_t term;

	if (u->notifier)
		return shmipc_notifier_notify(u->notifier, 0, 1);
	if (u->deadman)
		return shmipc_deadman_take(u->deadman, &term, 0);
	if (u->lock)
		return shmipc_lock_take(u->lock, 0);
	if (u->push)
		return shmipc_push_item(u->push, "hello", 6, 0, 0);
	if (u->peer)
		return shmipc_sem_post(u->peer, shmipc_segment_data(u->seg, NULL), 1);
	return u->ch ? shmipc_channel_send(u->ch, "hello", 6, 0) : shmipc_pub_send(u->pub, "hello", 6, 0);
}

/* The sender has the lock: that is what is received. */
static int recv_lock(struct user *u)
{
	struct shmipc_lock_info i = SHMIPC_LOCK_INFO();
	int ret = shmipc_lock_get_info(u->lock, &i);

	return ret ? ret : i.state == SHMIPC_LOCK_HELD && i.owner.pid != (uint32_t)getpid() ? 0 : -EAGAIN;
}

static int recv_item(struct user *u)
{
	struct shmipc_queue_item it;
	int ret = shmipc_pop_item(u->pop, &it, 0);

	if (ret)
		return ret;
	return it.bytes != 6 || strcmp(it.data, "hello") ? -EBADMSG : shmipc_pop_ack(u->pop, &it, 1);
}

static int recv_one(struct user *u)
{
	struct shmipc_event_got got;
	char buf[16] = "";
	size_t len;
	int ret;

	if (u->listener)
		return shmipc_listener_wait(u->listener, 0, &got, 0);
	if (u->deadman)
		return shmipc_deadman_wait_taken(u->deadman, NULL, 0);
	if (u->lock)
		return recv_lock(u);
	if (u->pop)
		return recv_item(u);
	if (u->peer)
		return shmipc_sem_wait(u->peer, shmipc_segment_data(u->seg, NULL), 0);
	ret = u->ch ? shmipc_channel_recv(u->ch, buf, sizeof(buf), &len, 0) :
		      shmipc_sub_recv(u->sub, buf, sizeof(buf), &len, 0);
	return ret ? ret : strcmp(buf, "hello") ? -EBADMSG : 0;
}

static int does(struct user *u, uint64_t what)
{
	struct shmipc_segment_stat st = { .peer = NULL };

	switch (what) {
	case CREATE:
		return open_end(u, SHMIPC_CREATE, 0666);
	case CREATE_DEFAULT:
		return open_end(u, SHMIPC_CREATE, 0);
	case CREATE_0600:
		return open_end(u, SHMIPC_CREATE, 0600);
	case CREATE_EXCL:
		return open_end(u, SHMIPC_CREATE | SHMIPC_EXCL, 0666);
	case JOIN:
		return open_end(u, 0, 0666);
	case SEND:
		return send_one(u);
	case RECV:
		return recv_one(u);
	case CLOSE:
		close_end(u);
		return 0;
	case LOOK:
		return shmipc_segment_look(NAME, &st);
	case UNLINK:
		return shmipc_segment_unlink(NAME);
	case GC:
		return shmipc_segment_gc(NULL, NULL) < 0 ? -EIO : 0;
	}
	return -EINVAL;
}

static int is_user(struct other *me, void *arg)
{
	uintptr_t how = (uintptr_t)arg;
	struct user u = { .kind = (uint32_t)(how >> 20), .sends = how >> 19 & 1 };
	uid_t uid = how & 0xffff;
	uint64_t what;

	CHECK(!setresgid(uid, uid, uid) && !setresuid(uid, uid, uid));
	while ((what = hear(me)) != LEAVE)
		tell(me, (uint64_t)-does(&u, what));
	close_end(&u);
	return 0;
}

static uint64_t ask(struct other *o, uint64_t what)
{
	tell(o, what);
	return hear(o);
}

static int start(struct other *o, uint32_t kind, uid_t uid, bool sends)
{
	return other_start(o, 0, is_user, (void *)((uintptr_t)kind << 20 | (uintptr_t)sends << 19 | uid));
}

/* Bytes of memory that the file takes; -1: there is none. */
static int64_t memory(FIXTURE_DATA(users) *self)
{
	struct stat st;

	return stat(self->path, &st) ? -1 : (int64_t)st.st_blocks * 512;
}

FIXTURE_SETUP(users)
{
	struct shmipc_segment *seg;

	if (geteuid() || env_on_dev())
		SKIP_SETUP("becoming other users needs root, and the test is of files");
	env_set_up(&self->env);
	/* The directory is made by root. */
	ASSERT_EQ(0, shmipc_segment_open(&seg, "first",
					 &SHMIPC_SEGMENT_OPTS(.kind = SHMIPC_KIND_RAW, .bytes = 4096,
							      .flags = SHMIPC_CREATE)));
	shmipc_segment_close(seg);
	(void)snprintf(self->path, sizeof(self->path), "%s/%s", self->env.dir, NAME);
	ASSERT_EQ(0, start(&self->alice, variant->kind, ALICE, false));
	ASSERT_EQ(0, start(&self->bob, variant->kind, BOB, true));
}

FIXTURE_TEARDOWN(users)
{
	if (self->alice.pid) {
		tell(&self->alice, LEAVE);
		EXPECT_EQ(0, other_end(&self->alice));
	}
	if (self->bob.pid) {
		tell(&self->bob, LEAVE);
		EXPECT_EQ(0, other_end(&self->bob));
	}
	(void)shmipc_segment_gc(NULL, NULL);	/* as root */
	env_tear_down(&self->env);
}

/* Alice has created it; Bob is the last to leave, and may not remove the file. */
static int bob_is_last(struct __test_metadata *_metadata, FIXTURE_DATA(users) *self)
{
	CHECK(!ask(&self->alice, CREATE));
	CHECK(!ask(&self->bob, JOIN));
	CHECK(!ask(&self->bob, SEND));
	CHECK(!ask(&self->alice, RECV));
	CHECK(!ask(&self->alice, CLOSE));
	CHECK(!ask(&self->bob, CLOSE));
	return 0;
}

TEST_F(users, the_last_frees_the_name_and_the_memory)
{
	ASSERT_EQ(0, bob_is_last(_metadata, self));
	EXPECT_EQ(ENOENT, ask(&self->bob, LOOK));
	EXPECT_EQ(ENOENT, ask(&self->alice, LOOK));
	EXPECT_EQ(ENOENT, ask(&self->bob, JOIN));
	EXPECT_EQ(ENOENT, ask(&self->bob, UNLINK));
	EXPECT_GE(16384, memory(self));
}

TEST_F(users, each_of_them_can_begin_anew)
{
	int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, bob_is_last(_metadata, self));
		/* Bob first, in the file that is there. */
		ASSERT_EQ(0, ask(&self->bob, CREATE));
		EXPECT_EQ(0, ask(&self->alice, LOOK));
		ASSERT_EQ(0, ask(&self->alice, JOIN));
		EXPECT_EQ(EAGAIN, ask(&self->alice, RECV)) TH_LOG("nothing of before is left");
		ASSERT_EQ(0, ask(&self->bob, SEND));
		EXPECT_EQ(0, ask(&self->alice, RECV));
		ASSERT_EQ(0, ask(&self->alice, CLOSE));
		ASSERT_EQ(0, ask(&self->bob, CLOSE));
		EXPECT_GE(16384, memory(self));
		/* Alice first: she removes it, and has one of her own. */
		ASSERT_EQ(0, ask(&self->alice, CREATE));
		ASSERT_EQ(0, ask(&self->bob, JOIN));
		ASSERT_EQ(0, ask(&self->bob, CLOSE));
		ASSERT_EQ(0, ask(&self->alice, CLOSE));
		EXPECT_EQ(-1, memory(self));
	}
}

TEST_F(users, a_mode_that_the_file_has_not_is_refused_with_the_way_out)
{
	ASSERT_EQ(0, bob_is_last(_metadata, self));
	EXPECT_EQ(EACCES, ask(&self->bob, CREATE_DEFAULT));
	EXPECT_EQ(EACCES, ask(&self->bob, CREATE_0600));
	EXPECT_EQ(EACCES, ask(&self->bob, CREATE_EXCL));
	EXPECT_EQ(ENOENT, ask(&self->bob, LOOK)) TH_LOG("it stays as it was");
	EXPECT_EQ(0, ask(&self->alice, CREATE_0600));
	EXPECT_EQ(EACCES, ask(&self->bob, JOIN));
}

/* Killed, the last one frees nothing; the next open does. */
TEST_F(users, what_a_killed_one_left_is_no_obstacle)
{
	struct other bob2;

	ASSERT_EQ(0, ask(&self->alice, CREATE));
	ASSERT_EQ(0, ask(&self->bob, JOIN));
	(void)other_kill(&self->alice);
	(void)other_kill(&self->bob);
	self->alice.pid = self->bob.pid = 0;
	ASSERT_EQ(0, start(&bob2, variant->kind, BOB, true));
	EXPECT_EQ(ENOENT, ask(&bob2, JOIN));
	EXPECT_GE(16384, memory(self));
	EXPECT_EQ(0, ask(&bob2, CREATE));
	EXPECT_EQ(0, ask(&bob2, SEND));
	tell(&bob2, LEAVE);
	EXPECT_EQ(0, other_end(&bob2));
}

TEST_F(users, gc_of_another_user_gives_the_memory_back)
{
	int64_t before;

	ASSERT_EQ(0, ask(&self->alice, CREATE));
	(void)other_kill(&self->alice);
	self->alice.pid = 0;
	before = memory(self);
	EXPECT_LT(8192, before);
	EXPECT_EQ(0, ask(&self->bob, GC));
	EXPECT_GE(16384, memory(self));
	EXPECT_GT(before, memory(self));
	EXPECT_EQ(ENOENT, ask(&self->bob, LOOK));
	EXPECT_EQ(0, ask(&self->bob, GC)) TH_LOG("and there is nothing more to do");
	EXPECT_LT(-1, memory(self));
	EXPECT_EQ(1, shmipc_segment_gc(NULL, NULL)) TH_LOG("root removes the file");
	EXPECT_EQ(-1, memory(self));
}

/* Killed half way in the creation: the flag is still set, whatever the rest says. */
TEST_F(users, one_that_was_killed_while_it_began_anew_holds_up_nobody)
{
	unsigned char junk[200];
	int fd, i;

	memset(junk, 0xa5, sizeof(junk));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, bob_is_last(_metadata, self));
		fd = open(self->path, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
		/* In the header, all but its magic, its layout and its flags; and in the body. */
		ASSERT_EQ(8, pwrite(fd, junk, 8, offsetof(struct shmipc_seg_hdr, total_bytes)));
		ASSERT_EQ((ssize_t)sizeof(junk), pwrite(fd, junk, sizeof(junk), 8192));
		(void)close(fd);
		EXPECT_EQ(ENOENT, ask(&self->bob, JOIN));
		ASSERT_EQ(0, ask(&self->bob, CREATE));
		ASSERT_EQ(0, ask(&self->alice, JOIN));
		ASSERT_EQ(0, ask(&self->bob, SEND));
		EXPECT_EQ(0, ask(&self->alice, RECV));
		ASSERT_EQ(0, ask(&self->bob, CLOSE));
		ASSERT_EQ(0, ask(&self->alice, CLOSE));
		EXPECT_EQ(-1, memory(self)) TH_LOG("the owner was last, and removed it");
	}
}

TEST_F(users, a_watch_sees_it_go_and_come)
{
	uint64_t soon = shmipc_deadline_in(UINT64_C(20000000000));
	struct shmipc_event e = SHMIPC_EVENT();
	struct shmipc_watch *w;
	uint8_t id[16];

	ASSERT_EQ(0, shmipc_watch_open(&w, NAME, SHMIPC_KIND_ANY, 0));
	ASSERT_EQ(0, ask(&self->alice, CREATE));
	ASSERT_EQ(0, ask(&self->bob, JOIN));
	ASSERT_EQ(0, shmipc_watch_next(w, &e, soon));
	EXPECT_EQ(SHMIPC_EVENT_APPEARED, e.type);
	memcpy(id, e.id, sizeof(id));
	ASSERT_EQ(0, ask(&self->alice, CLOSE));
	ASSERT_EQ(0, ask(&self->bob, CLOSE));
	ASSERT_EQ(0, shmipc_watch_next(w, &e, soon));
	EXPECT_EQ(SHMIPC_EVENT_GONE, e.type);
	ASSERT_EQ(0, ask(&self->bob, CREATE));
	ASSERT_EQ(0, shmipc_watch_next(w, &e, soon));
	EXPECT_EQ(SHMIPC_EVENT_APPEARED, e.type);
	EXPECT_NE(0, memcmp(id, e.id, sizeof(id)));
	shmipc_watch_close(w);
}

TEST_HARNESS_MAIN
