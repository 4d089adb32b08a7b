// SPDX-License-Identifier: MIT
/*
 * The end of a peer, in every possible way: its slot shows it, and every sleeper is
 * woken, before the victim's parent can reap it.
 */
#include <sys/prctl.h>
#include <sys/stat.h>

#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)
#define CG "/sys/fs/cgroup/shmipc-death"	/* for the process that will lack memory */

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -errno;
	close(fd);
	return ret;
}

/* Touch more than the cgroup allows, to be killed. */
static void starve(void)
{
	char *p = mmap(NULL, 256 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p != MAP_FAILED)
		memset(p, 1, 256 * MIB);
	_exit(96);	/* not killed */
}

/* What a victim does in addition to holding its role. */
struct victim {
	uint64_t resident;	/* bytes of private memory */
	int threads;
	bool child_inherits;	/* it has a child that outlives it, with the descriptor */
	bool queue;		/* its descriptor is in a socket when it dies */
	const char *how;	/* "kill", "exit", "exec", "close", "detach", "abort", "oom" */
};

static void *spin_in_kernel(void *arg)
{
	(void)arg;
	for (;;)
		pause();
	return NULL;
}

/* In the victim: attach, map, grow, report; then end. */
static void victim_run(const struct victim *v, const char *name, struct gate *g, int sock)
{
	int fd = dev_open(name), i;
	char *p, *q;
	pthread_t t;

	if (!strcmp(v->how, "oom") && write_file(CG "/cgroup.procs", "0"))
		_exit(95);
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) != 0)
		_exit(90);
	p = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
	if (p == MAP_FAILED)
		_exit(91);
	p[0] = 1;
	if (v->resident) {
		q = mmap(NULL, v->resident, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (q == MAP_FAILED)
			_exit(92);
	}
	for (i = 0; i < v->threads; i++)
		if (pthread_create(&t, NULL, spin_in_kernel, NULL))
			_exit(93);
	if (v->child_inherits && !fork()) {
		/* Do not stay when the test fails. */
		prctl(PR_SET_PDEATHSIG, 0);
		gate_tell(g->to_parent[1], 'c');
		gate_hear(g->to_child[0]);
		_exit(0);
	}
	if (v->queue && fd_send(sock, fd))
		_exit(94);
	gate_tell(g->to_parent[1], 'v');
	gate_hear(g->to_child[0]);
	if (!strcmp(v->how, "exit"))
		_exit(0);
	if (!strcmp(v->how, "abort"))
		abort();
	if (!strcmp(v->how, "oom"))
		starve();
	if (!strcmp(v->how, "exec"))
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	if (!strcmp(v->how, "close")) {
		close(fd);
		munmap(p, PAGE);
	}
	if (!strcmp(v->how, "detach")) {
		munmap(p, PAGE);
		dev_detach(fd);
	}
	for (;;)
		pause();
}

/* A sleeper that watches the victim's slot; its exit code shows what it saw. */
static void sleeper_run(const char *name, uint32_t word)
{
	int fd = dev_open(name), err;
	const struct shmipc_seg_hdr *h = dev_map_hdr(fd);

	do
		err = dev_wait(fd, PROD_OFF, 0, 0, word, 0, long_deadline());
	while (!err && hdr_slot(h, 0)->word == word);
	if (err && err != -EAGAIN)
		_exit(err == -ETIMEDOUT ? 80 : 81);
	_exit(hdr_slot(h, 0)->state);
}

static void victim_ends(struct __test_metadata *_metadata, const struct victim *v,
			uint32_t want_state)
{
	const struct shmipc_peer_slot *slot;
	int fd = dev_create("death", PAGE), pair[2], status;
	struct shmipc_dev_peer peer;
	uint32_t word, died;
	pid_t victim, sleeper;
	struct gate g;

	ASSERT_GE(fd, 0);
	gate_make(&g);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	victim = fork();
	if (!victim)
		victim_run(v, "death", &g, pair[0]);
	gate_hear(g.to_parent[0]);
	if (v->child_inherits)
		gate_hear(g.to_parent[0]);
	slot = hdr_slot(dev_map_hdr(fd), 0);
	word = slot->word;
	ASSERT_NE(word, 0);
	EXPECT_EQ(word & ~SHMIPC_PEER_TID_MASK, 0);
	EXPECT_EQ(slot->state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(slot->role, SHMIPC_ROLE_PRODUCER);
	EXPECT_EQ(slot->hint_pid, victim);
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	EXPECT_EQ(peer.pid, victim);
	EXPECT_EQ(peer.state, SHMIPC_PEER_ATTACHED);

	sleeper = fork();
	if (!sleeper)
		sleeper_run("death", word);
	ASSERT_EQ(dev_await_waiters(fd, 1), 0);

	if (!strcmp(v->how, "kill"))
		kill(victim, SIGKILL);
	else
		gate_tell(g.to_child[1], 'g');
	if (want_state == SHMIPC_PEER_DIED) {
		if (strcmp(v->how, "exec")) {
			ASSERT_EQ(waitpid(victim, &status, 0), victim);
			if (!strcmp(v->how, "oom"))
				EXPECT_EQ(WTERMSIG(status), SIGKILL);
		} else {
			ASSERT_EQ(await_comm(victim, "(sleep)"), 0);
		}
		/* The death must be known now, not some time later. */
		EXPECT_EQ(slot->state, SHMIPC_PEER_DIED);
		died = word | SHMIPC_PEER_DEAD;
		EXPECT_EQ(slot->word, died);
	}
	ASSERT_EQ(waitpid(sleeper, &status, 0), sleeper);
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(WEXITSTATUS(status), want_state);
	ASSERT_EQ(dev_peer(fd, 0, &peer), 0);
	EXPECT_EQ(peer.state, want_state);
	EXPECT_EQ(peer.pid, 0);
	if (want_state == SHMIPC_PEER_LEFT)
		EXPECT_EQ(slot->word, 0);
	kill(victim, SIGKILL);
	waitpid(victim, &status, 0);
	EXPECT_EQ(slot->state, want_state);
	/* The role is free again; a new holder has a new word. */
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_NE(slot->word, word);
	EXPECT_EQ(slot->generation, 2);
	gate_tell(g.to_child[1], 'x');
	gate_close(&g);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

#define ENDS(name, want, ...)						\
	TEST(name)							\
	{								\
		const struct victim v = { __VA_ARGS__ };		\
									\
		victim_ends(_metadata, &v, want);			\
	}

ENDS(killed_with_1_mib, SHMIPC_PEER_DIED, .how = "kill", .resident = MIB)
ENDS(killed_with_256_mib, SHMIPC_PEER_DIED, .how = "kill", .resident = 256 * MIB)
ENDS(killed_with_threads, SHMIPC_PEER_DIED, .how = "kill", .threads = 8)
ENDS(killed_while_a_child_has_the_descriptor, SHMIPC_PEER_DIED, .how = "kill",
     .child_inherits = true)
ENDS(killed_while_a_socket_has_the_descriptor, SHMIPC_PEER_DIED, .how = "kill", .queue = true)
ENDS(exits_without_a_word, SHMIPC_PEER_DIED, .how = "exit")
ENDS(exits_with_threads, SHMIPC_PEER_DIED, .how = "exit", .threads = 4)
ENDS(aborts, SHMIPC_PEER_DIED, .how = "abort")
ENDS(execs_another_program, SHMIPC_PEER_DIED, .how = "exec")
ENDS(execs_with_threads, SHMIPC_PEER_DIED, .how = "exec", .threads = 4)
ENDS(closes_and_unmaps, SHMIPC_PEER_LEFT, .how = "close")
ENDS(detaches, SHMIPC_PEER_LEFT, .how = "detach")

TEST(killed_for_lack_of_memory)
{
	const struct victim v = { .how = "oom", .threads = 2 };

	(void)write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(CG, 0755) || access(CG "/memory.max", F_OK))
		SKIP(return, "no memory cgroup");
	ASSERT_EQ(write_file(CG "/memory.max", "33554432"), 0);
	victim_ends(_metadata, &v, SHMIPC_PEER_DIED);
	rmdir(CG);
}

static void *main_thread_has_gone(void *arg)
{
	struct gate *g = arg;

	gate_tell(g->to_parent[1], 't');
	gate_hear(g->to_child[0]);
	_exit(0);
}

TEST(the_end_of_the_main_thread_is_not_a_death)
{
	const struct shmipc_peer_slot *slot;
	int fd = dev_create("death/main", PAGE), status;
	char line[256], path[64], state = 0;
	struct gate g;
	pthread_t t;
	pid_t pid;
	FILE *f;

	ASSERT_GE(fd, 0);
	gate_make(&g);
	pid = fork();
	if (!pid) {
		fd = dev_open("death/main");
		dev_attach(fd, SHMIPC_ROLE_PRODUCER);
		pthread_create(&t, NULL, main_thread_has_gone, &g);
		pthread_exit(NULL);
	}
	gate_hear(g.to_parent[0]);
	/* Until the leader is a zombie. */
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'Z') {
		f = fopen(path, "re");
		if (f && fgets(line, sizeof(line), f))
			state = *(strrchr(line, ')') + 2);
		if (f)
			fclose(f);
	}
	slot = hdr_slot(dev_map_hdr(fd), 0);
	EXPECT_EQ(slot->state, SHMIPC_PEER_ATTACHED);
	gate_tell(g.to_child[1], 'g');
	waitpid(pid, &status, 0);
	EXPECT_EQ(slot->state, SHMIPC_PEER_DIED);
}

TEST(all_roles_of_a_process_die_together)
{
	const struct shmipc_seg_hdr *ha, *hb;
	int a = dev_create("death/a", PAGE), b = dev_create("death/b", PAGE), status;
	struct gate g;
	pid_t pid;

	ASSERT_GE(a, 0);
	ASSERT_GE(b, 0);
	gate_make(&g);
	pid = fork();
	if (!pid) {
		dev_attach(dev_open("death/a"), SHMIPC_ROLE_PRODUCER);
		dev_attach(dev_open("death/a"), SHMIPC_ROLE_CONSUMER);
		dev_attach(dev_open("death/b"), SHMIPC_ROLE_READER);
		dev_attach(dev_open("death/b"), SHMIPC_ROLE_READER);
		gate_tell(g.to_parent[1], 'a');
		pause();
	}
	gate_hear(g.to_parent[0]);
	ha = dev_map_hdr(a);
	hb = dev_map_hdr(b);
	EXPECT_EQ(hdr_slot(ha, 1)->state, SHMIPC_PEER_ATTACHED);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(hdr_slot(ha, 0)->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(hdr_slot(ha, 1)->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(hdr_slot(hb, 0)->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(hdr_slot(hb, 1)->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(hdr_slot(hb, 2)->state, SHMIPC_PEER_NONE);
}

TEST(a_death_wakes_every_sleeper_that_watches_whatever_word_it_sleeps_on)
{
	int fd = dev_create("death/all", PAGE), i, status;
	const struct shmipc_seg_live *live;
	const struct shmipc_seg_hdr *h;
	uint32_t word, seq;
	struct gate g;
	pid_t pid, p;

	ASSERT_GE(fd, 0);
	gate_make(&g);
	pid = fork();
	if (!pid) {
		dev_attach(dev_open("death/all"), SHMIPC_ROLE_PRODUCER);
		gate_tell(g.to_parent[1], 'a');
		pause();
	}
	gate_hear(g.to_parent[0]);
	h = dev_map_hdr(fd);
	word = hdr_slot(h, 0)->word;
	live = (const void *)((const char *)h + SHMIPC_SEG_LIVE_OFF);
	seq = live->peer_seq;
	for (i = 0; i < 20; i++) {
		if (fork())
			continue;
		fd = dev_open("death/all");
		_exit(dev_wait(fd, SMALL_DATA_OFF + 4 * (uint64_t)i, 0,
			       i & 2 ? 0 : SHMIPC_DEV_ANY_PEER, i & 2 ? word : seq,
			       i & 1 ? SHMIPC_DEV_EXCLUSIVE : 0, long_deadline()) ? 1 : 0);
	}
	ASSERT_EQ(dev_await_waiters(fd, 20), 0);
	kill(pid, SIGKILL);
	for (i = 0; i < 21; i++) {
		p = wait(&status);
		ASSERT_GT(p, 0);
		if (p != pid)
			EXPECT_EQ(status, 0);
	}
}

TEST(a_receiver_of_the_descriptor_is_a_separate_peer)
{
	const struct shmipc_seg_hdr *h;
	int fd = dev_create(NULL, PAGE), pair[2], status;
	struct gate g;
	pid_t pid;

	ASSERT_GE(fd, 0);
	gate_make(&g);
	ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	pid = fork();
	if (!pid) {
		fd = fd_recv(pair[1]);
		if (dev_attach(fd, SHMIPC_ROLE_CONSUMER) != 1)
			_exit(1);
		gate_tell(g.to_parent[1], 'a');
		pause();
	}
	ASSERT_EQ(fd_send(pair[0], fd), 0);
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'a');
	h = dev_map_hdr(fd);
	EXPECT_EQ(hdr_slot(h, 0)->state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(hdr_slot(h, 1)->state, SHMIPC_PEER_ATTACHED);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(hdr_slot(h, 0)->state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(hdr_slot(h, 1)->state, SHMIPC_PEER_DIED);
}

/* Attach, die, close, in many processes at a time, on one segment. */
TEST(many_die_at_once)
{
	unsigned int seed = (unsigned int)now_ns(), i, round;
	struct shmipc_dev_info before, after;
	struct shmipc_dev_stat s;
	struct make m;
	int fd, status;
	pid_t pid[16];

	TH_LOG("seed %u", seed);
	ASSERT_EQ(dev_info(&before), 0);
	make_init(&m, "death/many", PAGE);
	m.req.role_max[SHMIPC_ROLE_READER] = 64;
	m.req.peers = 64;
	fd = dev_make(&m);
	ASSERT_GE(fd, 0);
	for (round = 0; round < 5; round++) {
		for (i = 0; i < 16; i++) {
			pid[i] = fork();
			if (pid[i])
				continue;
			seed += i;
			for (;;) {
				int mine = rand_r(&seed) % 2 ? dev_open("death/many") : dup(fd);

				dev_attach(mine, SHMIPC_ROLE_READER);
				if (rand_r(&seed) % 2)
					dev_detach(mine);
				if (rand_r(&seed) % 4)
					close(mine);
				if (mine > 900)
					_exit(0);
			}
		}
		poll(NULL, 0, 20 + (int)(seed % 50));	/* somewhere in the middle */
		for (i = 0; i < 16; i++)
			kill(pid[i], SIGKILL);
		for (i = 0; i < 16; i++)
			ASSERT_GT(wait(&status), 0);
		ASSERT_EQ(dev_stat(fd, &s), 0);
		EXPECT_EQ(s.attached, 0);
		EXPECT_EQ(s.opens, 1);
	}
	close(fd);
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_segs, before.total_segs);
}

TEST_HARNESS_MAIN
