// SPDX-License-Identifier: MIT
/*
 * segment_fence: an end in another process is cut off, on the device; on mem that is refused.
 * What the kernel does is in tests/kmod/fence*.c.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include "env.h"

#define NAME	"fence/t"

FIXTURE(fence) {
	struct env env;
	int to_parent[2], to_child[2];
	bool dev;
};

FIXTURE_SETUP(fence)
{
	env_set_up(&self->env);
	self->dev = getenv("SHMIPC_BACKEND") && !strcmp(getenv("SHMIPC_BACKEND"), "dev");
	ASSERT_EQ(0, pipe(self->to_parent));
	ASSERT_EQ(0, pipe(self->to_child));
}

FIXTURE_TEARDOWN(fence)
{
	close(self->to_parent[0]);
	close(self->to_parent[1]);
	close(self->to_child[0]);
	close(self->to_child[1]);
	EXPECT_EQ(self->env.fds, env_count("/proc/self/fd"));
	env_remove(self->env.dir);
}

#define NEED_DEV()	if (!self->dev) SKIP(return, "only the device can fence")

static void signal_to(const int *to)
{
	if (write(to[1], "x", 1) != 1)
		_exit(70);
}

static void listen_to(const int *from)
{
	char c;

	if (read(from[0], &c, 1) != 1)
		_exit(71);
}

static int status_of(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* The end of @role, as the kernel knows it. */
static int find(enum shmipc_role role, struct shmipc_peer_info *ret)
{
	struct shmipc_peer_info peer[64];
	struct shmipc_segment_stat st = { .info = { .struct_bytes = sizeof(st.info) }, .peer = peer,
					  .peer_cap = 64 };
	uint32_t i;

	if (shmipc_segment_look(NAME, &st))
		return -1;
	for (i = 0; i < st.npeers; i++)
		if (peer[i].role == role && peer[i].state == SHMIPC_PEER_ATTACHED) {
			*ret = peer[i];
			return 0;
		}
	return -1;
}

static int cut(enum shmipc_role role)
{
	struct shmipc_peer_info p;

	return find(role, &p) ? -1 : shmipc_segment_fence(NAME, p.slot, p.generation, 0, 0);
}

static const struct shmipc_topic_opts topic = {
	.struct_bytes = sizeof(topic), .publishers = 4, .subscribers = 4, .history = 8,
};

static struct shmipc_pub *publish(void)
{
	struct shmipc_pub *pub;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (shmipc_pub_open(&pub, NAME, &topic, NULL) || shmipc_pub_send(pub, "a", 1, 0))
		_exit(72);
	return pub;
}

TEST_F(fence, on_mem_it_is_refused_with_a_text)
{
	struct shmipc_pub *pub;

	if (self->dev)
		SKIP(return, "this is the device");
	ASSERT_EQ(0, shmipc_pub_open(&pub, NAME, &topic, NULL));
	EXPECT_EQ(-EOPNOTSUPP, shmipc_segment_fence(NAME, 0, 1, 0, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "backend mem cannot cut off a process (EOPNOTSUPP)"));
	shmipc_pub_close(pub);
}

TEST_F(fence, arguments)
{
	struct shmipc_peer_info p;
	struct shmipc_pub *pub;

	NEED_DEV();
	EXPECT_EQ(-ENOENT, shmipc_segment_fence("no/such", 0, 1, 0, 0));
	EXPECT_EQ(-EINVAL, shmipc_segment_fence("..", 0, 1, 0, 0));
	EXPECT_EQ(-EINVAL, shmipc_segment_fence(NULL, 0, 1, 0, 0));
	ASSERT_EQ(0, shmipc_pub_open(&pub, NAME, &topic, NULL));
	ASSERT_EQ(0, find(SHMIPC_ROLE_PRODUCER, &p));
	EXPECT_EQ(-EINVAL, shmipc_segment_fence(NAME, p.slot, p.generation, 2, 0));
	EXPECT_EQ(-EINVAL, shmipc_segment_fence(NAME, 100000, 1, 0, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "slot 100000"));
	EXPECT_EQ(-ESRCH, shmipc_segment_fence(NAME, p.slot, p.generation + 1, 0, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "another end is attached there"));
	EXPECT_EQ(-ESRCH, shmipc_segment_fence(NAME, p.slot + 1, 1, 0, 0));
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "no end is attached there"));
	EXPECT_EQ(0, shmipc_pub_send(pub, "b", 1, 0));
	shmipc_pub_close(pub);
}

TEST_F(fence, a_publisher_that_goes_on_is_ended_by_sigbus_and_the_topic_goes_on)
{
	struct shmipc_pub *pub;
	pid_t pid = fork();

	if (!pid) {
		if (!self->dev)
			_exit(0);
		pub = publish();
		signal_to(self->to_parent);
		listen_to(self->to_child);
		_exit(shmipc_pub_send(pub, "b", 1, 0) ? 1 : 0);
	}
	if (!self->dev) {
		(void)status_of(pid);
		SKIP(return, "only the device can fence");
	}
	listen_to(self->to_parent);
	ASSERT_EQ(0, cut(SHMIPC_ROLE_PRODUCER));
	ASSERT_EQ(0, shmipc_pub_open(&pub, NAME, &topic, NULL));
	EXPECT_EQ(0, shmipc_pub_send(pub, "c", 1, 0));
	signal_to(self->to_child);
	EXPECT_EQ(-SIGBUS, status_of(pid));
	EXPECT_EQ(0, shmipc_pub_send(pub, "d", 1, 0));
	shmipc_pub_close(pub);
}

/* Its process waits for room, for a subscriber that takes nothing. */
static int publisher_waits(int to_parent[2])
{
	struct shmipc_pub *pub = publish();
	int err, again;

	signal_to(to_parent);
	do
		err = shmipc_pub_send(pub, "b", 1, SHMIPC_FOREVER);
	while (!err);
	/* The handle is dead, and can be closed; the topic can be opened again. */
	again = shmipc_pub_send(pub, "b", 1, 0);
	shmipc_pub_close(pub);
	if (err != -ECONNRESET || again != -ECONNRESET)
		return 1;
	if (shmipc_pub_open(&pub, NAME, &topic, NULL))
		return 2;
	shmipc_pub_close(pub);
	return 0;
}

/* Until the publisher has slept twice for room: after that it needs no more ticks. */
static void await_full(void)
{
	struct shmipc_topic_pub_info pub;
	struct shmipc_topic_stat st = { .struct_bytes = sizeof(st), .pub = &pub, .pub_cap = 1 };

	while (shmipc_topic_look(NAME, &st) || st.npubs != 1 || pub.waits < 2)
		sched_yield();
}

/* Until the process sleeps. */
static void await_sleep(pid_t pid)
{
	char path[64], line[512], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'S') {
		f = fopen(path, "re");
		state = f && fgets(line, sizeof(line), f) ? *(strrchr(line, ')') + 2) : 'S';
		if (f)
			fclose(f);
	}
}

TEST_F(fence, a_publisher_that_waits_gets_an_error)
{
	struct shmipc_sub_opts lossless = { .struct_bytes = sizeof(lossless),
					    .policy = SHMIPC_POLICY_LOSSLESS };
	struct shmipc_sub *sub;
	char buf[8];
	size_t len;
	pid_t pid;

	NEED_DEV();
	ASSERT_EQ(0, shmipc_sub_open(&sub, NAME, &topic, &lossless));
	pid = fork();
	if (!pid)
		_exit(publisher_waits(self->to_parent));
	listen_to(self->to_parent);
	await_full();
	await_sleep(pid);
	EXPECT_EQ(0, cut(SHMIPC_ROLE_PRODUCER));
	EXPECT_EQ(0, status_of(pid));
	/* What it had sent arrives. */
	EXPECT_EQ(0, shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0));
	shmipc_sub_close(sub);
}

/* What a subscriber, or the end of a channel, sees that waits for a message. */
static int subscriber_waits(int to_parent[2])
{
	struct shmipc_sub_opts o = { .struct_bytes = sizeof(o), .spin_ns = UINT64_MAX };
	struct shmipc_sub *sub;
	char buf[8];
	size_t len;
	int err, again;

	if (shmipc_sub_open(&sub, NAME, &topic, &o))
		return 2;
	signal_to(to_parent);
	err = shmipc_sub_recv(sub, buf, sizeof(buf), &len, SHMIPC_FOREVER);
	again = shmipc_sub_recv(sub, buf, sizeof(buf), &len, 0);
	shmipc_sub_close(sub);
	return err == -ECONNRESET && again == -ECONNRESET ? 0 : 1;
}

TEST_F(fence, a_subscriber_that_waits_gets_an_error)
{
	struct shmipc_pub *pub;
	pid_t pid;

	NEED_DEV();
	pid = fork();
	if (!pid)
		_exit(subscriber_waits(self->to_parent));
	listen_to(self->to_parent);
	ASSERT_EQ(0, shmipc_pub_open(&pub, NAME, &topic, NULL));
	await_sleep(pid);
	EXPECT_EQ(0, cut(SHMIPC_ROLE_READER));
	EXPECT_EQ(0, status_of(pid));
	EXPECT_EQ(0, shmipc_pub_send(pub, "b", 1, 0));
	shmipc_pub_close(pub);
}

static const struct shmipc_segment_opts ring = {
	.struct_bytes = sizeof(ring), .kind = SHMIPC_KIND_SPSC, .flags = SHMIPC_CREATE, .bytes = 4096,
};

static int consumer_waits(int to_parent[2])
{
	struct shmipc_channel_opts o = { .struct_bytes = sizeof(o), .spin_ns = UINT64_MAX };
	struct shmipc_channel *ch;
	char buf[16];
	size_t len;
	int err, again;

	if (shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_CONSUMER, &ring, &o))
		return 2;
	signal_to(to_parent);
	err = shmipc_channel_recv(ch, buf, sizeof(buf), &len, SHMIPC_FOREVER);
	again = shmipc_channel_recv(ch, buf, sizeof(buf), &len, SHMIPC_FOREVER);
	shmipc_channel_close(ch);
	return err == -ECONNRESET && again == -EINVAL ? 0 : 1;
}

TEST_F(fence, the_end_of_a_channel_that_waits_gets_an_error)
{
	struct shmipc_channel *ch;
	pid_t pid;

	NEED_DEV();
	ASSERT_EQ(0, shmipc_channel_open(&ch, NAME, SHMIPC_ROLE_PRODUCER, &ring, NULL));
	pid = fork();
	if (!pid)
		_exit(consumer_waits(self->to_parent));
	listen_to(self->to_parent);
	await_sleep(pid);
	EXPECT_EQ(0, cut(SHMIPC_ROLE_CONSUMER));
	EXPECT_EQ(0, status_of(pid));
	EXPECT_EQ(SHMIPC_PEER_DIED, shmipc_channel_peer(ch));
	shmipc_channel_close(ch);
}

/* It was fenced while it did nothing with its handle, and then only closes it. */
static int only_closes(int to_parent[2], int to_child[2])
{
	struct shmipc_sub *sub;
	struct shmipc_pub *pub = publish();

	if (shmipc_sub_open(&sub, NAME, &topic, NULL))
		return 2;
	signal_to(to_parent);
	listen_to(to_child);
	shmipc_pub_close(pub);
	shmipc_sub_close(sub);
	return 0;
}

TEST_F(fence, a_handle_that_was_cut_off_can_be_closed)
{
	pid_t pid;

	NEED_DEV();
	pid = fork();
	if (!pid)
		_exit(only_closes(self->to_parent, self->to_child));
	listen_to(self->to_parent);
	EXPECT_EQ(0, cut(SHMIPC_ROLE_PRODUCER));
	EXPECT_EQ(0, cut(SHMIPC_ROLE_READER));
	signal_to(self->to_child);
	EXPECT_EQ(0, status_of(pid));
	EXPECT_EQ(-ENOENT, shmipc_segment_fence(NAME, 0, 1, 0, 0));
}

TEST_F(fence, another_user_that_may_publish_may_not_fence)
{
	struct shmipc_topic_opts open_to_all = topic;
	struct shmipc_peer_info p;
	struct shmipc_pub *pub;
	pid_t pid;

	NEED_DEV();
	if (geteuid())
		SKIP(return, "only root can become another user");
	open_to_all.mode = 0666;
	ASSERT_EQ(0, shmipc_pub_open(&pub, NAME, &open_to_all, NULL));
	ASSERT_EQ(0, find(SHMIPC_ROLE_PRODUCER, &p));
	pid = fork();
	if (!pid) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(60);
		if (shmipc_segment_fence(NAME, p.slot, p.generation, 0, 0) != -EACCES)
			_exit(1);
		_exit(strstr(shmipc_error_text(), "only its owner, user 0, may do that") ? 0 : 2);
	}
	EXPECT_EQ(0, status_of(pid));
	EXPECT_EQ(0, shmipc_pub_send(pub, "a", 1, 0));
	shmipc_pub_close(pub);
}

TEST_HARNESS_MAIN
