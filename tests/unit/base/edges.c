// SPDX-License-Identifier: MIT
/*
 * edges: what users do with each noun sooner or later: a timer that interrupts it, deadlines of all
 * sizes, a peer that is stopped or runs another program, fork, threads that are cancelled
 *
 * One table has all nouns (nouns.h), and each test goes through it.
 */
#include <sys/time.h>
#include <sys/wait.h>

#include <linux/shmipc.h>

#include "edges.h"

FIXTURE(edges) {
	struct env env;
	struct play tx, rx;
	struct other sender, receiver;
};

FIXTURE_SETUP(edges)
{
	env_set_up(&self->env);
	self->tx.sends = true;
}

FIXTURE_TEARDOWN(edges)
{
	env_tear_down(&self->env);
}

/* The sender first: it has what one has at a time. */
static int start_both(FIXTURE_DATA(edges) *self, const struct noun *n)
{
	self->tx.noun = self->rx.noun = n;
	return play_start(&self->sender, &self->tx, 0) || play_start(&self->receiver, &self->rx, 0);
}

/* Both have closed; the name is free. */
static int end_both(FIXTURE_DATA(edges) *self)
{
	int ret = play_end(&self->sender);

	return play_end(&self->receiver) || ret || env_files(&self->env);
}

/* What is sent is received: by one that sleeps. */
static int send_to_sleeper(FIXTURE_DATA(edges) *self)
{
	tell(&self->sender, SEND);
	return (int)hear(&self->receiver) ?: (int)hear(&self->sender);
}

/* Signals */

static volatile sig_atomic_t shots;

static void on_alarm(int sig)
{
	(void)sig;
	shots++;
}

/* Each is interrupted 2,000 times a second. */
static void timer(int us, int flags)
{
	const struct itimerval it = { { 0, us }, { 0, us } };
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };

	(void)sigaction(SIGALRM, &sa, NULL);
	(void)setitimer(ITIMER_REAL, &it, NULL);
}

/* Until the deadline, whatever interrupts it; how often that was. */
static int recv_through(struct noun_end *e, uint64_t until_ns, int *ret_interrupted)
{
	int ret;

	for (*ret_interrupted = 0; (ret = e->noun->recv(e, until_ns)) == -EINTR; ++*ret_interrupted)
		continue;
	return ret;
}

static void try_timer(struct __test_metadata *_metadata, FIXTURE_DATA(edges) *self,
		      const struct noun *n, int flags)
{
	struct noun_end e;
	uint64_t end, now;
	int interrupted, sum = 0, i;

	self->tx.noun = n;
	ASSERT_EQ(0, play_start(&self->sender, &self->tx, 0));
	ASSERT_EQ(0, noun_open(&e, n, NAME, false));
	shots = 0;
	timer(500, flags);
	/* Without a CPU it is not interrupted. */
	for (i = 0; i < 100 && (shots < 5 || !i || (n->eintr && !flags && !sum)); i++) {
		end = shmipc_deadline_in(60000000);
		EXPECT_EQ(-ETIMEDOUT, recv_through(&e, end, &interrupted)) TH_LOG("%s", n->name);
		now = now_ns();
		EXPECT_LE(end, now) TH_LOG("%s: early", n->name);
		EXPECT_GT(end + LATE_NS, now) TH_LOG("%s: late", n->name);
		sum += interrupted;
	}
	EXPECT_EQ(n->eintr && !flags, sum > 0) TH_LOG("%s: %d times", n->name, sum);
	tell(&self->sender, SEND);
	EXPECT_EQ(0, recv_through(&e, SOON, &interrupted)) TH_LOG("%s", n->name);
	timer(0, SA_RESTART);
	EXPECT_LE(5, (int)shots);
	EXPECT_EQ(0, (int)hear(&self->sender));
	noun_close(&e);
	EXPECT_EQ(0, play_end(&self->sender));
}

TEST_F_TIMEOUT(edges, a_timer_whose_handler_restarts_calls_ends_no_wait, 240)
{
	const struct noun *n;

	for_each_noun(n)
		try_timer(_metadata, self, n, SA_RESTART);
}

TEST_F_TIMEOUT(edges, a_timer_whose_handler_does_not_ends_those_that_say_so, 240)
{
	const struct noun *n;

	for_each_noun(n)
		try_timer(_metadata, self, n, 0);
}

/* Deadlines */

TEST_F_TIMEOUT(edges, deadlines_that_are_over, 240)
{
	const struct noun *n;
	uint64_t before;

	for_each_noun(n) {
		ASSERT_EQ(0, start_both(self, n)) TH_LOG("%s", n->name);
		EXPECT_EQ(EAGAIN, ask(&self->receiver, RECV_NOW)) TH_LOG("%s", n->name);
		before = now_ns();
		EXPECT_EQ(ETIMEDOUT, ask(&self->receiver, RECV_SHORT)) TH_LOG("%s", n->name);
		EXPECT_LE(before + SHORT_NS, now_ns()) TH_LOG("%s: early", n->name);
		EXPECT_GT(before + LATE_NS, now_ns()) TH_LOG("%s: late", n->name);
		ASSERT_EQ(0, ask_asleep(&self->receiver, RECV));
		EXPECT_EQ(0, send_to_sleeper(self)) TH_LOG("%s", n->name);
		EXPECT_EQ(0, end_both(self)) TH_LOG("%s", n->name);
	}
}

static void try_deadline(struct __test_metadata *_metadata, FIXTURE_DATA(edges) *self, uint64_t ns)
{
	const struct noun *n;

	for_each_noun(n) {
		self->rx.late_ns = ns;
		ASSERT_EQ(0, start_both(self, n)) TH_LOG("%s", n->name);
		ASSERT_EQ(0, ask_asleep(&self->receiver, RECV_LATE)) TH_LOG("%s", n->name);
		EXPECT_EQ(0, send_to_sleeper(self)) TH_LOG("%s until %llu", n->name,
							  (unsigned long long)ns);
		EXPECT_EQ(0, end_both(self)) TH_LOG("%s", n->name);
	}
}

/* No arithmetic wraps, and the kernel takes them all. */
TEST_F_TIMEOUT(edges, deadlines_at_the_limit, 240)
{
	try_deadline(_metadata, self, UINT64_MAX - 1);
	try_deadline(_metadata, self, INT64_MAX);
	try_deadline(_metadata, self, (uint64_t)INT64_MAX + 1);
}

TEST_F_TIMEOUT(edges, a_deadline_in_the_past, 240)
{
	const struct noun *n;
	struct noun_end e;

	for_each_noun(n) {
		self->tx.noun = n;
		ASSERT_EQ(0, play_start(&self->sender, &self->tx, 0));
		ASSERT_EQ(0, noun_open(&e, n, NAME, false));
		EXPECT_EQ(-ETIMEDOUT, n->recv(&e, 1)) TH_LOG("%s", n->name);
		EXPECT_EQ(-ETIMEDOUT, n->recv(&e, now_ns() - 1)) TH_LOG("%s", n->name);
		tell(&self->sender, SEND);
		ASSERT_EQ(0, n->is_mutual ? until_asleep(self->sender.tid) : (int)hear(&self->sender));
		/* What is there is had all the same. */
		EXPECT_EQ(0, n->recv(&e, 1)) TH_LOG("%s", n->name);
		noun_close(&e);
		EXPECT_EQ(0, play_end(&self->sender));
	}
}

/* Peers that are stopped */

TEST_F_TIMEOUT(edges, one_that_waits_for_a_stopped_peer_keeps_its_deadline, 240)
{
	const struct noun *n;

	for_each_noun(n) {
		ASSERT_EQ(0, start_both(self, n));
		ASSERT_EQ(0, kill(self->sender.pid, SIGSTOP));
		EXPECT_EQ(ETIMEDOUT, ask(&self->receiver, RECV_SHORT)) TH_LOG("%s", n->name);
		EXPECT_EQ(EAGAIN, ask(&self->receiver, RECV_NOW)) TH_LOG("%s", n->name);
		ASSERT_EQ(0, ask_asleep(&self->receiver, RECV));
		ASSERT_EQ(0, kill(self->sender.pid, SIGCONT));
		EXPECT_EQ(0, send_to_sleeper(self)) TH_LOG("%s", n->name);
		EXPECT_EQ(0, end_both(self));
	}
}

/* A sender does not wait for one that sleeps and is stopped. */
TEST_F_TIMEOUT(edges, a_stopped_sleeper_holds_up_no_sender, 240)
{
	const struct noun *n;
	int status;

	for_each_noun(n) {
		ASSERT_EQ(0, start_both(self, n));
		ASSERT_EQ(0, ask_asleep(&self->receiver, RECV));
		ASSERT_EQ(0, kill(self->receiver.pid, SIGSTOP));
		ASSERT_EQ(self->receiver.pid, waitpid(self->receiver.pid, &status, WUNTRACED));
		EXPECT_EQ(0, ask(&self->sender, SEND)) TH_LOG("%s", n->name);
		ASSERT_EQ(0, kill(self->receiver.pid, SIGCONT));
		EXPECT_EQ(0, (int)hear(&self->receiver)) TH_LOG("%s", n->name);
		EXPECT_EQ(0, end_both(self));
	}
}

/* Other programs */

static bool is_ours(const char *path, const struct env *e)
{
	return strstr(path, e->dir) || strstr(path, SHMIPC_DEVICE) || strstr(path, "memfd:");
}

/* Descriptors and mappings of ours that the process has. */
static int what_is_ours(const struct env *e, pid_t pid)
{
	char path[64], line[512];
	struct dirent *d;
	ssize_t len;
	FILE *f;
	DIR *dir;
	int n = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		len = readlinkat(dirfd(dir), d->d_name, line, sizeof(line) - 1);
		line[len > 0 ? len : 0] = 0;
		n += is_ours(line, e);
	}
	(void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		n += is_ours(line, e);
	if (!dir || !f)
		n = -1;
	if (f)
		(void)fclose(f);
	if (dir)
		(void)closedir(dir);
	return n;
}

static void until_exec(pid_t pid)
{
	const struct timespec ms = { 0, 1000000 };
	char path[64], comm[16] = "";
	int i, fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	for (i = 0; i < 20000 && strncmp(comm, "sleep", 5); i++) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (read(fd, comm, sizeof(comm)) < 0)
			comm[0] = 0;
		(void)close(fd);
		(void)nanosleep(&ms, NULL);
	}
}

/* It runs another program, which has nothing of ours: that is as if it had died. */
TEST_F_TIMEOUT(edges, one_that_runs_another_program_has_gone, 240)
{
	const struct noun *n;
	int ret;

	if (on_qemu())
		SKIP(return, "the emulator shows its own files");
	for_each_noun(n) {
		ASSERT_EQ(0, start_both(self, n));
		ASSERT_LT(0, what_is_ours(&self->env, self->sender.pid));
		ASSERT_EQ(0, ask_asleep(&self->receiver, RECV));
		tell(&self->sender, EXEC);
		until_exec(self->sender.pid);
		EXPECT_EQ(0, what_is_ours(&self->env, self->sender.pid)) TH_LOG("%s", n->name);
		if (n->is_had) {
			ret = (int)hear(&self->receiver);
			EXPECT_TRUE(!ret || ret == EOWNERDEAD) TH_LOG("%s: %d", n->name, ret);
		} else if (!strcmp(n->name, "ring")) {
			EXPECT_EQ(EPIPE, (int)hear(&self->receiver));
		} else {
			(void)other_kill(&self->receiver);
			self->receiver.pid = 0;
		}
		(void)other_kill(&self->sender);
		if (self->receiver.pid)
			EXPECT_EQ(0, play_end(&self->receiver));
		EXPECT_LE(0, shmipc_segment_gc(NULL, NULL));
		EXPECT_EQ(0, env_files(&self->env)) TH_LOG("%s", n->name);
	}
}

/* Fork */

struct both {
	struct noun_end tx, rx;
	int end;	/* how the child ends */
};

/* It may use none of them, and what it does with them hurts nobody. */
static int use_inherited(struct other *me, void *arg)
{
	struct both *b = arg;
	const struct noun *n = b->tx.noun;

	(void)me;
	/* What has moved is not called again. */
	b->tx.moved = b->rx.moved = false;
	CHECK(n->send(&b->tx, 8, SOON) == -EINVAL);
	CHECK(n->recv(&b->rx, SOON) == -EINVAL);
	CHECK(n->recv(&b->rx, 0) == -EINVAL);
	if (b->end == 1)
		return 0;	/* with _exit() */
	noun_close(&b->rx);
	noun_close(&b->tx);
	if (b->end == 2)
		return 0;
	/* It has ends of its own. */
	CHECK(!noun_open(&b->rx, n, "child", true));
	noun_close(&b->rx);
	return 0;
}

static int recv_in_thread(struct other *me, void *arg)
{
	struct noun_end *e = arg;

	(void)me;
	return e->noun->recv(e, SOON) != 0;
}

TEST_F_TIMEOUT(edges, a_child_may_use_none_of_its_parents, 240)
{
	const struct noun *n;
	struct both b;

	for_each_noun(n) {
		ASSERT_EQ(0, noun_open(&b.tx, n, NAME, true));
		ASSERT_EQ(0, noun_open(&b.rx, n, NAME, false));
		for (b.end = 0; b.end < 3; b.end++) {
			ASSERT_EQ(0, other_start(&self->receiver, 0, use_inherited, &b));
			EXPECT_EQ(0, other_end(&self->receiver)) TH_LOG("%s", n->name);
		}
		/* And its parent is unhurt. */
		ASSERT_EQ(0, other_start(&self->receiver, 1, recv_in_thread, &b.rx));
		EXPECT_EQ(0, n->send(&b.tx, 8, SOON)) TH_LOG("%s", n->name);
		EXPECT_EQ(0, other_end(&self->receiver)) TH_LOG("%s", n->name);
		noun_close(&b.rx);
		noun_close(&b.tx);
	}
}

/* Threads */

struct cancelled {
	struct noun_end rx;
	pid_t tid;
	int ret;
};

static void *recv_cancelled(void *arg)
{
	struct cancelled *c = arg;

	shmipc_store_release((uint32_t *)&c->tid, (uint32_t)syscall(SYS_gettid));
	c->ret = c->rx.noun->recv(&c->rx, SOON);
	pthread_testcancel();
	return NULL;
}

/* It ends after the call, which has had what it waited for. */
TEST_F_TIMEOUT(edges, a_thread_that_is_cancelled_asleep_ends_after_the_call, 240)
{
	const struct noun *n;
	struct cancelled c;
	pthread_t thread;
	void *ret;

	for_each_noun(n) {
		c.tid = 0;
		c.ret = 1;
		self->tx.noun = n;
		ASSERT_EQ(0, play_start(&self->sender, &self->tx, 0));
		ASSERT_EQ(0, noun_open(&c.rx, n, NAME, false));
		ASSERT_EQ(0, pthread_create(&thread, NULL, recv_cancelled, &c));
		while (!shmipc_load_acquire((uint32_t *)&c.tid))
			(void)sched_yield();
		ASSERT_EQ(0, until_asleep(c.tid));
		ASSERT_EQ(0, pthread_cancel(thread));
		ASSERT_EQ(0, until_asleep(c.tid));
		EXPECT_EQ(0, ask(&self->sender, SEND)) TH_LOG("%s", n->name);
		ASSERT_EQ(0, pthread_join(thread, &ret));
		EXPECT_EQ(PTHREAD_CANCELED, ret) TH_LOG("%s", n->name);
		EXPECT_EQ(0, c.ret) TH_LOG("%s", n->name);
		noun_close(&c.rx);
		EXPECT_EQ(0, play_end(&self->sender));
	}
}

/* In a callback of a subscriber: each is opened, used and closed there; one is closed there only. */
struct in_callback {
	const struct noun *noun;
	struct noun_end elsewhere;
	int ret;
	uint32_t done;
};

static void on_message(struct shmipc_sub *sub, const struct shmipc_msg *msg, int err, void *arg)
{
	struct in_callback *c = arg;
	struct noun_end e;

	(void)sub;
	(void)msg;
	c->ret = err ?: noun_open(&e, c->noun, NAME, false);
	if (!c->ret)
		c->ret = c->noun->recv(&e, shmipc_deadline_in(1000000));
	noun_close(&e);
	noun_close(&c->elsewhere);
	shmipc_store_release(&c->done, 1u);
}

TEST_F_TIMEOUT(edges, in_a_callback_each_is_used_and_closed, 240)
{
	const struct timespec ms = { 0, 1000000 };
	struct in_callback c;
	struct shmipc_pub *pub;
	struct shmipc_sub *sub;
	int i;

	for_each_noun(c.noun) {
		c.done = 0;
		self->tx.noun = c.noun;
		ASSERT_EQ(0, play_start(&self->sender, &self->tx, 0));
		if (!strcmp(c.noun->name, "ring"))	/* there is one receiver */
			memset(&c.elsewhere, 0, sizeof(c.elsewhere));
		else
			ASSERT_EQ(0, noun_open(&c.elsewhere, c.noun, NAME, false));
		ASSERT_EQ(0, shmipc_pub_open(&pub, "calls", NULL, NULL));
		ASSERT_EQ(0, shmipc_sub_open(&sub, "calls", NULL, NULL));
		ASSERT_EQ(0, shmipc_sub_start(sub, on_message, &c));
		ASSERT_EQ(0, shmipc_pub_send(pub, "x", 1, 0));
		for (i = 0; i < 20000 && !shmipc_load_acquire(&c.done); i++)
			(void)nanosleep(&ms, NULL);
		EXPECT_EQ(1u, shmipc_load_acquire(&c.done)) TH_LOG("%s", c.noun->name);
		EXPECT_EQ(-ETIMEDOUT, c.ret) TH_LOG("%s", c.noun->name);
		shmipc_sub_close(sub);
		shmipc_pub_close(pub);
		EXPECT_EQ(0, play_end(&self->sender));
		EXPECT_EQ(0, env_files(&self->env));
	}
}

TEST_HARNESS_MAIN
