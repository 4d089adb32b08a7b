// SPDX-License-Identifier: MIT
/* topic_read_only: a subscriber without write permission, enforced by the kernel */
#include <setjmp.h>
#include <sys/mman.h>

#include "topic_ends.h"

FIXTURE(topic_read_only) {
	struct env env;
	struct shmipc_topic_opts t;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	struct shmipc_sub_opts o;
};

FIXTURE_SETUP(topic_read_only)
{
	env_set_up(&self->env);
	self->t = topic_small();
	self->t.mode = 0644;
	self->o = sub_opts(SHMIPC_START_NEW, 0);
	self->o.flags = SHMIPC_SUB_READ_ONLY;
}

FIXTURE_TEARDOWN(topic_read_only)
{
	shmipc_sub_close(self->sub);
	shmipc_pub_close(self->pub);
	env_tear_down(&self->env);
}

static sigjmp_buf fault;

static void on_fault(int sig)
{
	siglongjmp(fault, sig);
}

/* Try to write a byte at an address. Return: the signal; 0 if it was written. */
static int poke(volatile unsigned char *at)
{
	struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_NODEFER }, segv, bus;
	int sig;

	(void)sigaction(SIGSEGV, &sa, &segv);
	(void)sigaction(SIGBUS, &sa, &bus);
	sig = sigsetjmp(fault, 1);
	if (!sig)
		*at = 1;
	(void)sigaction(SIGSEGV, &segv, NULL);
	(void)sigaction(SIGBUS, &bus, NULL);
	return sig;
}

static int poke_by_proc(void *at)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = pwrite(fd, "x", 1, (off_t)(uintptr_t)at) == 1 ? 0 : -errno;
	(void)close(fd);
	return ret;
}

/* Try all ways to write. Its mapping is @base, @bytes; its descriptor @fd or -1. */
static int tries_to_write(const struct shmipc_sub *sub, bool root)
{
	struct shmipc_segment *seg = sub_priv(sub)->t.seg;
	const struct shmipc_tlog *log = &seg->log;
	unsigned char *parts[] = { seg->base, (unsigned char *)log->pub, (unsigned char *)log->sub,
				   log->entry, log->pool };
	unsigned char *more;
	size_t i;

	for (i = 0; i < 5; i++) {
		CHECK(poke(parts[i]) == SIGSEGV);
		more = parts[i] - (uintptr_t)parts[i] % 4096;
		CHECK(mprotect(more, 4096, PROT_READ | PROT_WRITE) == -1 && errno == EACCES);
		CHECK(poke(parts[i]) == SIGSEGV);
	}
	CHECK(seg->fd < 0 || (fcntl(seg->fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, seg->fd, 0) == MAP_FAILED &&
	      errno == EACCES);
	CHECK(write(seg->fd, "x", 1) == -1 && ftruncate(seg->fd, 0) == -1);
	/* A privileged process may write the file regardless of its mode; only mappings protect it. */
	if (!root)
		CHECK(poke_by_proc(parts[3]) == -EIO);
	return 0;
}

TEST_F(topic_read_only, receives_like_a_lossy_subscriber)
{
	unsigned char buf[4000];
	struct shmipc_msg m;
	uint64_t from, to, i;
	size_t len;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o)) TH_LOG("%s", shmipc_error_text());
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(-ETIMEDOUT, get_until(self->sub, shmipc_deadline_in(1000000)));
	for (i = 0; i < 30; i++) {
		ASSERT_EQ(0, put_len(self->pub, i, i * 130));
		if (i % 2) {
			ASSERT_EQ((int64_t)i * 130, get_len(self->sub, i, 4000));
		} else {
			ASSERT_EQ(0, shmipc_sub_take(self->sub, &m, 0));
			EXPECT_TRUE(msg_is(&m, i, i * 130));
			shmipc_sub_release(self->sub, &m);
		}
	}
	EXPECT_EQ(0, shmipc_sub_read_at(self->sub, 20, &m));
	EXPECT_TRUE(msg_is(&m, 20, 20 * 130));
	/* A message that it keeps is a copy, which publishers cannot overwrite. */
	ASSERT_EQ(0, put_range(self->pub, 30, 530));
	EXPECT_TRUE(msg_is(&m, 20, 20 * 130));
	shmipc_sub_release(self->sub, &m);
	ASSERT_EQ(-ESTALE, get(self->sub));
	(void)shmipc_sub_lost(self->sub, &from, &to);
	EXPECT_EQ(30, from);
	EXPECT_EQ(0, get_range(self->sub, to, 530));
	EXPECT_EQ(-EAGAIN, shmipc_sub_recv(self->sub, buf, 1, &len, 0));
	EXPECT_EQ(530, sub_stat(self->sub).received + sub_stat(self->sub).lost);
}

static int waits(struct other *me, void *arg)
{
	FIXTURE_DATA(topic_read_only) *self = arg;

	tell(me, (uint64_t)get_until(self->sub, SOON));
	tell(me, (uint64_t)take_until(self->sub, SOON));
	return 0;
}

TEST_F(topic_read_only, sleeps_and_receives)
{
	struct other o;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o));
	ASSERT_EQ(0, other_start(&o, 1, waits, self));
	ASSERT_EQ(0, until_asleep(o.tid));
	ASSERT_EQ(0, put(self->pub, 3));
	EXPECT_EQ(3, hear(&o));
	ASSERT_EQ(0, until_asleep(o.tid));
	ASSERT_EQ(0, put(self->pub, 4));
	EXPECT_EQ(4, hear(&o));
	EXPECT_EQ(0, other_end(&o));
}

TEST_F(topic_read_only, does_not_block_publishers_and_is_not_counted)
{
	struct shmipc_sub *sub[40];
	int i;

	self->t.subscribers = 1;
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	for (i = 0; i < 40; i++) {
		ASSERT_EQ(0, shmipc_sub_open(&sub[i], TOPIC, NULL, &self->o)) TH_LOG("%d", i);
	}
	ASSERT_EQ(0, sub_open(&self->sub, NULL, 0, SHMIPC_POLICY_LOSSLESS));
	ASSERT_EQ(0, put_range(self->pub, 0, 60));
	ASSERT_EQ(0, get_range(self->sub, 0, 60));
	ASSERT_EQ(0, put_range(self->pub, 60, 120));
	for (i = 0; i < 40; i++)
		shmipc_sub_close(sub[i]);
	EXPECT_EQ(0, get_range(self->sub, 60, 120));
}

/* The topic ends without it; its mapping stays. */
TEST_F(topic_read_only, does_not_keep_the_name)
{
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, put_range(self->pub, 0, 5));
	self->o.start = SHMIPC_START_OLDEST;
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o));
	shmipc_pub_close(self->pub);
	self->pub = NULL;
	/* On the device a name stays while any descriptor is open, even a read-only one. */
	EXPECT_EQ(env_on_dev(), env_files(&self->env));
	EXPECT_EQ(0, get_range(self->sub, 0, 5));
	EXPECT_EQ(-EAGAIN, get(self->sub));
}

TEST_F(topic_read_only, each_attempt_to_write_is_refused)
{
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o));
	EXPECT_EQ(0, tries_to_write(self->sub, geteuid() == 0));
	EXPECT_EQ(0, put(self->pub, 1));
	EXPECT_EQ(1, get(self->sub));
}

/* Runs as another user, with read permission only. */
static int as_nobody(struct other *me, void *arg)
{
	struct shmipc_sub_opts o = *(struct shmipc_sub_opts *)arg;
	struct shmipc_sub *sub;
	struct shmipc_pub *pub;
	uint64_t i;

	CHECK(setresgid(65533, 65533, 65533) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	(void)prctl(PR_SET_DUMPABLE, 1);	/* or /proc/self is not its own */
	CHECK(hear(me) == 1);
	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == -EACCES);
	CHECK(strstr(shmipc_error_text(), "EACCES") && strstr(shmipc_error_text(), TOPIC));
	CHECK(shmipc_sub_open(&sub, TOPIC, NULL, NULL) == -EACCES);
	CHECK(strstr(shmipc_error_text(), "EACCES"));
	CHECK(shmipc_sub_open(&sub, TOPIC, NULL, &o) == 0);
	CHECK(tries_to_write(sub, false) == 0);
	tell(me, 1);
	for (i = 0; i < 200; i++) {
		CHECK(i % 2 ? get_until(sub, SOON) == (int64_t)i : take_until(sub, SOON) == (int64_t)i);
		tell(me, 1);
	}
	CHECK(get_len(sub, 7, 9000) == -EAGAIN);
	tell(me, 1);
	CHECK(shmipc_sub_wait(sub, SOON) == 0);
	CHECK(get_len(sub, 7, 9000) == 9000);
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(topic_read_only, other_user_receives_and_can_do_no_more)
{
	struct other o;
	uint64_t i;

	if (geteuid())
		SKIP(return, "becoming another user needs root");
	ASSERT_EQ(0, other_start(&o, 0, as_nobody, &self->o));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	tell(&o, 1);
	ASSERT_EQ(1, hear(&o));
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, put(self->pub, i));
		ASSERT_EQ(1, hear(&o));
	}
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, put_len(self->pub, 7, 9000));
	EXPECT_EQ(0, other_end(&o));
	EXPECT_EQ(201, pub_stat(self->pub).next);
}

static int as_a_stranger(struct other *me, void *arg)
{
	struct shmipc_sub_opts o = *(struct shmipc_sub_opts *)arg;
	struct shmipc_sub *sub;

	CHECK(setresgid(65533, 65533, 65533) == 0);
	CHECK(setresuid(65534, 65534, 65534) == 0);
	CHECK(hear(me) == 1);
	CHECK(shmipc_sub_open(&sub, TOPIC, NULL, &o) == -EACCES);
	CHECK(strstr(shmipc_error_text(), "EACCES") && strstr(shmipc_error_text(), TOPIC));
	return 0;
}

TEST_F(topic_read_only, without_read_permission_it_cannot_be_opened)
{
	struct other o;

	if (geteuid())
		SKIP(return, "becoming another user needs root");
	self->t.mode = 0600;
	ASSERT_EQ(0, other_start(&o, 0, as_a_stranger, &self->o));
	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	tell(&o, 1);
	EXPECT_EQ(0, other_end(&o));
}

/* A publisher dies with a claim: a read-only subscriber finds out, too, and skips it. */
static int reserves(struct other *me, void *arg)
{
	struct shmipc_pub *pub;
	uint64_t seq;

	(void)arg;
	CHECK(shmipc_pub_open(&pub, TOPIC, NULL, NULL) == 0);
	CHECK(put(pub, 0) == 0);
	CHECK(shmipc_tlog_claim(&pub->tx, 1, &seq) == 0);
	return stay(me);
}

TEST_F(topic_read_only, skips_claims_of_killed_publishers)
{
	struct other o;

	ASSERT_EQ(0, shmipc_pub_open(&self->pub, TOPIC, &self->t, NULL));
	ASSERT_EQ(0, shmipc_sub_open(&self->sub, TOPIC, NULL, &self->o));
	ASSERT_EQ(0, other_start(&o, 0, reserves, NULL));
	ASSERT_EQ(1, hear(&o));
	ASSERT_EQ(0, put(self->pub, 2));
	EXPECT_EQ(0, get(self->sub));
	EXPECT_EQ(-EAGAIN, get(self->sub));
	EXPECT_EQ(256 + SIGKILL, other_kill(&o));
	EXPECT_EQ(2, get_until(self->sub, SOON));
	EXPECT_EQ(1, sub_stat(self->sub).aborted);
}

TEST_HARNESS_MAIN
