// SPDX-License-Identifier: MIT
/* peer: peers that leave, that die, that only seem dead; between processes */
#include "site.h"

FIXTURE(peer) {
	struct env env;
	struct site s;
	struct shmipc_channel *ch;
	uint64_t spin_ns;
	size_t ballast;		/* resident memory of the producer */
};

FIXTURE_VARIANT(peer) {
	enum where where;
};

FIXTURE_VARIANT_ADD(peer, named) { NAMED };
FIXTURE_VARIANT_ADD(peer, anon) { ANON };

FIXTURE_SETUP(peer)
{
	env_set_up(&self->env);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_SPSC, 4096));
}

FIXTURE_TEARDOWN(peer)
{
	shmipc_channel_close(self->ch);
	site_end(&self->s);
	env_tear_down(&self->env);
}

static struct shmipc_channel_opts spin_opts(uint64_t spin_ns)
{
	struct shmipc_channel_opts o = { .struct_bytes = sizeof(o), .spin_ns = spin_ns };

	return o;
}

/* A producer that publishes two messages, writes a third, and waits for orders. */
static int producer(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	char *p = malloc(self->ballast + 1);
	struct shmipc_channel *ch;

	CHECK(p);
	memset(p, 1, self->ballast + 1);
	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, NULL) == 0);
	CHECK(shmipc_channel_send(ch, "one", 3, 0) == 0);
	CHECK(shmipc_channel_send(ch, "two", 3, 0) == 0);
	CHECK(shmipc_channel_write(ch, "never", 5, 0) == 0);
	tell(me, 1);
	switch (hear(me)) {
	case 2:
		shmipc_channel_close(ch);
		return 0;
	case 3:
		return 0;		/* without closing */
	case 4:
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		return 1;
	}
	return 1;
}

/* A consumer that drains, then waits for a third message in its own way. */
static int consumer(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel_opts o = spin_opts(self->spin_ns);
	struct shmipc_channel *ch;
	char buf[8];
	size_t len;
	int ret;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, &o) == 0);
	CHECK(shmipc_channel_recv(ch, buf, 8, &len, SHMIPC_FOREVER) == 0 && !memcmp(buf, "one", 3));
	CHECK(shmipc_channel_recv(ch, buf, 8, &len, SHMIPC_FOREVER) == 0 && !memcmp(buf, "two", 3));
	CHECK(shmipc_channel_recv(ch, buf, 8, &len, 0) == -EAGAIN);
	tell(me, 1);
	if (self->spin_ns) {
		ret = shmipc_channel_recv(ch, buf, 8, &len, SHMIPC_FOREVER);
	} else {	/* polling */
		while ((ret = shmipc_channel_recv(ch, buf, 8, &len, 0)) == -EAGAIN)
			sched_yield();
	}
	CHECK(ret == -EPIPE);
	tell(me, now_ns());
	tell(me, shmipc_channel_peer(ch));
	shmipc_channel_close(ch);
	return 0;
}

enum how { KILLED, CLOSED, ENDED, EXECED };

/* A producer goes while a consumer waits: it receives everything, then EPIPE, and knows why. */
static void goes(struct __test_metadata *_metadata, FIXTURE_DATA(peer) *self, uint64_t spin_ns,
		 enum how how)
{
	struct other p, c;
	uint64_t then, seen;

	self->spin_ns = spin_ns;
	ASSERT_EQ(0, site_start(&self->s, &p, producer, self));
	ASSERT_EQ(1, hear(&p));
	ASSERT_EQ(0, site_start(&self->s, &c, consumer, self));
	ASSERT_EQ(1, hear(&c));
	if (spin_ns == SHMIPC_SPIN_NEVER)
		(void)until_asleep(c.tid);
	then = now_ns();
	if (how == KILLED) {
		ASSERT_EQ(0, kill(p.pid, SIGKILL));
	} else
		tell(&p, how == CLOSED ? 2 : how == ENDED ? 3 : 4);
	seen = hear(&c);
	EXPECT_EQ(how == CLOSED ? SHMIPC_PEER_LEFT : SHMIPC_PEER_DIED, hear(&c));
	ksft_print_msg("known after %.3f ms\n", (double)(int64_t)(seen - then) / 1e6);
	EXPECT_EQ(0, other_end(&c));
	if (how == EXECED)
		kill(p.pid, SIGKILL);
	EXPECT_EQ(how == KILLED || how == EXECED ? 256 + SIGKILL : 0, other_end(&p));
	EXPECT_EQ(0, env_files(&self->env));
}

/* que: heartbeats of both sides; here the kernel tells which peers are alive */
TEST_F(peer, killed_while_the_consumer_sleeps)
{
	goes(_metadata, self, SHMIPC_SPIN_NEVER, KILLED);
}

TEST_F(peer, killed_while_the_consumer_spins)
{
	goes(_metadata, self, SHMIPC_SPIN_ALWAYS, KILLED);
}

TEST_F(peer, killed_while_the_consumer_polls)
{
	goes(_metadata, self, 0, KILLED);
}

TEST_F(peer, left_while_the_consumer_sleeps)
{
	goes(_metadata, self, SHMIPC_SPIN_NEVER, CLOSED);
}

TEST_F(peer, left_while_the_consumer_spins)
{
	goes(_metadata, self, SHMIPC_SPIN_ALWAYS, CLOSED);
}

TEST_F(peer, left_while_the_consumer_polls)
{
	goes(_metadata, self, 0, CLOSED);
}

TEST_F(peer, exit_without_closing_is_a_death)
{
	goes(_metadata, self, SHMIPC_SPIN_NEVER, ENDED);
}

/* The process lives on as another program, which has nothing of ours. */
TEST_F(peer, exec_is_a_death)
{
	goes(_metadata, self, SHMIPC_SPIN_NEVER, EXECED);
}

/* A producer that fills the ring and waits for room. */
static int filler(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel_opts o = spin_opts(self->spin_ns);
	static const char buf[200];
	struct shmipc_channel *ch;
	int ret;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, &o) == 0);
	while ((ret = shmipc_channel_send(ch, buf, sizeof(buf), 0)) == 0)
		;
	CHECK(ret == -EAGAIN);
	tell(me, 1);
	if (self->spin_ns) {
		ret = shmipc_channel_send(ch, buf, sizeof(buf), SHMIPC_FOREVER);
	} else {
		while ((ret = shmipc_channel_send(ch, buf, sizeof(buf), 0)) == -EAGAIN)
			sched_yield();
	}
	CHECK(ret == -EPIPE);
	CHECK(shmipc_channel_send(ch, buf, sizeof(buf), 0) == -EPIPE);
	CHECK(shmipc_channel_drain(ch, SHMIPC_FOREVER) == -EPIPE);
	tell(me, shmipc_channel_peer(ch));
	shmipc_channel_close(ch);
	return 0;
}

static int idler(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel *ch;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_CONSUMER, NULL) == 0);
	tell(me, 1);
	if (hear(me) == 2)
		shmipc_channel_close(ch);
	return 0;
}

static void consumer_goes(struct __test_metadata *_metadata, FIXTURE_DATA(peer) *self,
			  uint64_t spin_ns, enum how how)
{
	struct other p, c;

	self->spin_ns = spin_ns;
	ASSERT_EQ(0, site_start(&self->s, &c, idler, self));
	ASSERT_EQ(1, hear(&c));
	ASSERT_EQ(0, site_start(&self->s, &p, filler, self));
	ASSERT_EQ(1, hear(&p));
	if (spin_ns == SHMIPC_SPIN_NEVER)
		(void)until_asleep(p.tid);
	if (how == KILLED) {
		ASSERT_EQ(0, kill(c.pid, SIGKILL));
	} else
		tell(&c, 2);
	EXPECT_EQ(how == CLOSED ? SHMIPC_PEER_LEFT : SHMIPC_PEER_DIED, hear(&p));
	EXPECT_EQ(0, other_end(&p));
	EXPECT_EQ(how == KILLED ? 256 + SIGKILL : 0, other_end(&c));
}

TEST_F(peer, consumer_killed_while_the_producer_sleeps)
{
	consumer_goes(_metadata, self, SHMIPC_SPIN_NEVER, KILLED);
}

TEST_F(peer, consumer_killed_while_the_producer_spins)
{
	consumer_goes(_metadata, self, SHMIPC_SPIN_ALWAYS, KILLED);
}

TEST_F(peer, consumer_killed_while_the_producer_polls)
{
	consumer_goes(_metadata, self, 0, KILLED);
}

TEST_F(peer, consumer_left_while_the_producer_sleeps)
{
	consumer_goes(_metadata, self, SHMIPC_SPIN_NEVER, CLOSED);
}

/*
 * Once its death is known, a killed producer's end is free, even if the kernel is still
 * busy freeing its memory (here 128 MiB) before it drops the lock. The successor
 * continues after it.
 */
TEST_F(peer, end_of_a_dead_peer_is_free_at_once)
{
	struct shmipc_channel *tx;
	struct other p;
	char buf[8];
	size_t len;
	int i;

	self->ballast = (size_t)128 << 20;
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_CONSUMER, NULL));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, site_start(&self->s, &p, producer, self));
		ASSERT_EQ(1, hear(&p));
		ASSERT_EQ(0, kill(p.pid, SIGKILL));
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
		ASSERT_EQ(0, memcmp(buf, "one", 3));
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
		ASSERT_EQ(0, memcmp(buf, "two", 3));
		ASSERT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
		ASSERT_EQ(0, site_open(&self->s, &tx, SHMIPC_ROLE_PRODUCER, NULL))
			TH_LOG("%s", shmipc_error_text());
		ASSERT_EQ(SHMIPC_PEER_ATTACHED, shmipc_channel_peer(self->ch));
		ASSERT_EQ(0, shmipc_channel_send(tx, "next", 4, 0));
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
		ASSERT_EQ(0, memcmp(buf, "next", 4));
		ASSERT_EQ(-EAGAIN, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
		shmipc_channel_close(tx);
		(void)other_end(&p);
	}
}

/* Stopped is not dead. */
TEST_F(peer, a_stopped_peer_is_alive)
{
	struct other p;
	char buf[8];
	size_t len;
	int i;

	ASSERT_EQ(0, site_start(&self->s, &p, producer, self));
	ASSERT_EQ(1, hear(&p));
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_CONSUMER, NULL));
	ASSERT_EQ(0, kill(p.pid, SIGSTOP));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
	}
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, buf, 8, &len, shmipc_deadline_in(200000000)));
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, shmipc_channel_peer(self->ch));
	EXPECT_EQ(256 + SIGKILL, other_kill(&p));
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
	EXPECT_EQ(SHMIPC_PEER_DIED, shmipc_channel_peer(self->ch));
}

/* The producer attaches in a thread that ends; the process, and so the peer, stays alive. */
static void *attach_in_thread(void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel *ch = NULL;

	return site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, NULL) ? NULL : ch;
}

static int threaded_producer(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	void *ch = NULL;
	pthread_t t;

	site_here(&self->s, me);
	CHECK(pthread_create(&t, NULL, attach_in_thread, self) == 0);
	CHECK(pthread_join(t, &ch) == 0 && ch);
	tell(me, 1);
	CHECK(hear(me) == 2);
	CHECK(shmipc_channel_send(ch, "thread", 6, 0) == 0);
	tell(me, 3);
	return hear(me) == 4;
}

TEST_F(peer, thread_that_attached_may_end)
{
	struct other p;
	char buf[8];
	size_t len;

	ASSERT_EQ(0, site_start(&self->s, &p, threaded_producer, self));
	ASSERT_EQ(1, hear(&p));
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_CONSUMER, NULL));
	EXPECT_EQ(-ETIMEDOUT, shmipc_channel_recv(self->ch, buf, 8, &len, shmipc_deadline_in(120000000)));
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, shmipc_channel_peer(self->ch));
	tell(&p, 2);
	ASSERT_EQ(3, hear(&p));
	EXPECT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
	EXPECT_EQ(256 + SIGKILL, other_kill(&p));
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
}

/* The producer dies; a child that it had forked stays alive, with copies of everything. */
static int forking_producer(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel *ch;
	pid_t pid;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, NULL) == 0);
	pid = fork();
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, 0);
		tell(me, (uint64_t)getpid());
		(void)hear(me);		/* until the test is over */
		_exit(0);
	}
	for (;;)
		pause();
}

TEST_F(peer, death_is_known_although_a_forked_child_is_alive)
{
	struct shmipc_channel *tx;
	struct other p;
	char buf[8];
	pid_t child;
	size_t len;

	ASSERT_EQ(0, site_start(&self->s, &p, forking_producer, self));
	child = (pid_t)hear(&p);
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_CONSUMER, NULL));
	EXPECT_EQ(-EAGAIN, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
	ASSERT_EQ(0, kill(p.pid, SIGKILL));
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
	EXPECT_EQ(SHMIPC_PEER_DIED, shmipc_channel_peer(self->ch));
	/* The child does not keep the end, either. */
	ASSERT_EQ(0, site_open(&self->s, &tx, SHMIPC_ROLE_PRODUCER, NULL));
	shmipc_channel_close(tx);
	EXPECT_EQ(0, kill(child, 0));
	(void)other_end(&p);
}

/* A process of another PID namespace: its ids mean nothing here, but its death is noticed. */
static int in_new_pidns(struct other *me, void *arg)
{
	int status;
	pid_t pid;

	/* An ordinary user can create one if user namespaces are allowed. */
	if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID)) {
		site_here(&((FIXTURE_DATA(peer) *)arg)->s, me);
		tell(me, 99);
		return 0;
	}
	pid = fork();
	if (!pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(producer(me, arg));
	}
	(void)waitpid(pid, &status, 0);
	return 0;
}

TEST_F(peer, death_in_another_pid_namespace_is_known)
{
	struct shmipc_channel_stat st = { .struct_bytes = sizeof(st) };
	struct other p;
	uint64_t first;
	char buf[8];
	size_t len;
	int i;

	ASSERT_EQ(0, site_start(&self->s, &p, in_new_pidns, self));
	first = hear(&p);
	if (first == 99) {
		(void)other_end(&p);
		SKIP(return, "cannot create a PID namespace (not root?)");
	}
	ASSERT_EQ(1, first);
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_CONSUMER, NULL));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, shmipc_channel_recv(self->ch, buf, 8, &len, 0));
	}
	ASSERT_EQ(0, shmipc_channel_get_stat(self->ch, &st));
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, st.peer_state);
	/* A number of its own namespace means nothing here; the device translates it. */
	EXPECT_EQ(!env_on_dev(), !st.peer_pid);
	/* The init of the namespace dies with its parent. */
	EXPECT_EQ(256 + SIGKILL, other_kill(&p));
	EXPECT_EQ(-EPIPE, shmipc_channel_recv(self->ch, buf, 8, &len, SHMIPC_FOREVER));
	EXPECT_EQ(SHMIPC_PEER_DIED, shmipc_channel_peer(self->ch));
}

TEST_F(peer, look_shows_the_peers)
{
	struct shmipc_peer_info pi[4];
	struct shmipc_segment_stat st = { .peer = pi, .peer_cap = 4 };
	struct shmipc_channel *tx;
	struct other p;

	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, NAMED, SHMIPC_KIND_SPSC, 4096));
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_CONSUMER, NULL));
	ASSERT_EQ(0, site_start(&self->s, &p, producer, self));
	ASSERT_EQ(1, hear(&p));
	ASSERT_EQ(0, shmipc_segment_look("ring", &st));
	ASSERT_EQ(2, st.npeers);
	EXPECT_EQ(2, st.tail_seq);
	EXPECT_EQ(0, st.head_seq);
	EXPECT_EQ(SHMIPC_ROLE_PRODUCER, pi[0].role);
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, pi[0].state);
	EXPECT_EQ(p.pid, (pid_t)pi[0].pid);
	EXPECT_EQ(1, pi[0].generation);
	EXPECT_EQ(SHMIPC_ROLE_CONSUMER, pi[1].role);
	EXPECT_EQ(getpid(), (pid_t)pi[1].pid);
	EXPECT_EQ(0, strncmp("peer", pi[1].comm, 4));
	EXPECT_EQ(256 + SIGKILL, other_kill(&p));
	ASSERT_EQ(0, shmipc_segment_look("ring", &st));
	EXPECT_EQ(SHMIPC_PEER_DIED, pi[0].state);
	ASSERT_EQ(0, site_open(&self->s, &tx, SHMIPC_ROLE_PRODUCER, NULL));
	ASSERT_EQ(0, shmipc_segment_look("ring", &st));
	EXPECT_EQ(SHMIPC_PEER_ATTACHED, pi[0].state);
	EXPECT_EQ(2, pi[0].generation);
	shmipc_channel_close(tx);
	ASSERT_EQ(0, shmipc_segment_look("ring", &st));
	EXPECT_EQ(SHMIPC_PEER_LEFT, pi[0].state);
}

/* A death must wake all its watchers, although the kernel wakes only one. */
static int sleeping_reader(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel_opts o = spin_opts(SHMIPC_SPIN_NEVER);
	struct shmipc_channel *ch;
	char buf[8];
	size_t len;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_READER, &o) == 0);
	tell(me, 1);
	CHECK(shmipc_channel_recv(ch, buf, 8, &len, SHMIPC_FOREVER) == -EPIPE);
	tell(me, 2);
	CHECK(shmipc_channel_peer(ch) == SHMIPC_PEER_DIED);
	shmipc_channel_close(ch);
	return 0;
}

static int lone_producer(struct other *me, void *arg)
{
	FIXTURE_DATA(peer) *self = arg;
	struct shmipc_channel *ch;

	site_here(&self->s, me);
	CHECK(site_open(&self->s, &ch, SHMIPC_ROLE_PRODUCER, NULL) == 0);
	tell(me, 1);
	for (;;)
		pause();
}

TEST_F(peer, death_is_known_to_all_readers)
{
	struct other p, r[4];
	int i;

	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, variant->where, SHMIPC_KIND_BCAST, 4096));
	ASSERT_EQ(0, site_start(&self->s, &p, lone_producer, self));
	ASSERT_EQ(1, hear(&p));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, site_start(&self->s, &r[i], sleeping_reader, self));
		ASSERT_EQ(1, hear(&r[i]));
	}
	for (i = 0; i < 4; i++)
		(void)until_asleep(r[i].tid);
	EXPECT_EQ(256 + SIGKILL, other_kill(&p));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(2, hear(&r[i]));
		EXPECT_EQ(0, other_end(&r[i]));
	}
}

/*
 * A hostile peer holds the locks of all slots and claims that their owners are dead.
 * Closing waits for the dead to be gone, but once, not once for each.
 */
static int claims_all_slots(struct other *me, void *arg)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	struct shmipc_seg_hdr *h;
	struct stat st;
	uint32_t i;
	int fd;

	fd = recv_fd(me->sock);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	h = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(h != MAP_FAILED);
	/* Its own file description, otherwise the locks would also be the parent's. */
	char self[64];
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	fd = open(self, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	for (i = 2; i < h->peers; i++) {
		struct shmipc_peer_slot *s = (void *)((char *)h + h->peers_off + i * h->peer_bytes);

		l.l_start = (INT64_C(1) << 61) + 4096 + i;	/* LOCK_SLOT of lib/mem/mem.h */
		CHECK(fcntl(fd, F_OFD_SETLK, &l) == 0);
		s->word = SHMIPC_PEER_DEAD | 5;
	}
	tell(me, 1);
	(void)hear(me);
	(void)arg;
	return 0;
}

TEST_F(peer, close_waits_once_for_all_peers_that_claim_to_be_dying)
{
	struct other o;

	if (env_on_dev())
		SKIP(return, "the kernel writes the table, so peers cannot lie");
	site_end(&self->s);
	ASSERT_EQ(0, site_make(&self->s, ANON, SHMIPC_KIND_BCAST, 4096));
	ASSERT_EQ(0, site_open(&self->s, &self->ch, SHMIPC_ROLE_READER, NULL));
	ASSERT_EQ(0, other_start(&o, 0, claims_all_slots, NULL));
	ASSERT_EQ(0, send_fd(o.sock, shmipc_segment_fd(self->s.seg)));
	ASSERT_EQ(1, hear(&o));
	/* 62 slots: two seconds for each would exceed this test's time. */
	shmipc_channel_close(self->ch);
	self->ch = NULL;
	tell(&o, 2);
	EXPECT_EQ(0, other_end(&o));
}

TEST_HARNESS_MAIN
