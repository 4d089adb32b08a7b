// SPDX-License-Identifier: MIT
/*
 * The receipt of a death: who, when, how and how far, as soon as the death is known, the
 * same as the victim's parent learns it, and in the terms of the reader's namespaces.
 */
#include <sys/prctl.h>
#include <sys/resource.h>

#include "machine.h"

#define RW (PROT_READ | PROT_WRITE)
#define KEPT ((int)SHMIPC_DEV_DEATHS_KEPT)
#define STARVED "/sys/fs/cgroup/shmipc-receipt"

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A ring whose positions the kernel finds. */
static int make_ring(const char *name)
{
	struct shmipc_ring_hdr *h;
	struct make m;

	make_init(&m, name, PAGE);
	memset(m.body, 0, sizeof(m.body));
	h = (struct shmipc_ring_hdr *)(void *)m.body;
	h->size = PAGE;
	h->prod_off = PAGE;
	h->cons_off = 2 * PAGE;
	return dev_make(&m);
}

/* Touch more than the cgroup allows, to be killed. */
static void starve(void)
{
	char *p;

	if (write_file(STARVED "/cgroup.procs", "0"))
		_exit(95);
	p = mmap(NULL, 256 * MIB, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p != MAP_FAILED)
		memset(p, 1, 256 * MIB);
	_exit(96);	/* not killed */
}

static void *exit_alone(void *arg)
{
	pid_t leader = getpid();
	char path[64], line[256], state = 0;
	FILE *f;

	(void)arg;
	snprintf(path, sizeof(path), "/proc/%d/stat", leader);
	while (state != 'Z') {
		f = fopen(path, "re");
		if (f && fgets(line, sizeof(line), f))
			state = *(strrchr(line, ')') + 2);
		if (f)
			fclose(f);
	}
	syscall(SYS_exit, 5);
	return NULL;
}

static void *exec_sleep(void *arg)
{
	(void)arg;
	execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	_exit(97);
}

static void die(const char *how)
{
	const struct rlimit core = { MIB * 64, MIB * 64 };
	pthread_t t;

	if (!strcmp(how, "exit"))
		_exit(3);
	if (!strcmp(how, "exit 0"))
		_exit(0);
	if (!strcmp(how, "segv"))
		*(volatile char *)mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) = 1;
	if (!strcmp(how, "core")) {
		setrlimit(RLIMIT_CORE, &core);
		prctl(PR_SET_DUMPABLE, 1);
		abort();
	}
	if (!strcmp(how, "oom"))
		starve();
	if (!strcmp(how, "last thread")) {
		pthread_create(&t, NULL, exit_alone, NULL);
		syscall(SYS_exit, 7);
	}
	if (!strcmp(how, "exec"))
		exec_sleep(NULL);
	if (!strcmp(how, "exec in a thread"))
		pthread_create(&t, NULL, exec_sleep, NULL);
	for (;;)
		pause();
}

/* A peer named "victim", which ends when told. */
static pid_t victim_start(int fd, uint32_t role, const char *how, struct gate *g)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_NAME, "victim");
	/* Another description, so that it is one more peer. */
	fd = dev_join(fd, 0);
	if (fd < 0 || dev_attach(fd, role) < 0)
		_exit(90);
	gate_tell(g->to_parent[1], 'v');
	gate_hear(g->to_child[0]);
	die(how);
	return 0;
}

static void expect_how(struct __test_metadata *_metadata, const struct shmipc_dev_death *d,
		       int status, uint32_t flags)
{
	if (WIFSIGNALED(status)) {
		EXPECT_EQ(d->how, SHMIPC_DEATH_SIGNAL);
		EXPECT_EQ(d->code, WTERMSIG(status));
		EXPECT_EQ(!!(d->flags & SHMIPC_DEATH_CORE), !!WCOREDUMP(status));
	} else {
		EXPECT_EQ(d->how, SHMIPC_DEATH_EXIT);
		EXPECT_EQ(d->code, WEXITSTATUS(status));
	}
	EXPECT_EQ(d->flags, flags);
}

/* One death, from the attach to the receipt. @want: what wait(2) returns. */
static void one_death(struct __test_metadata *_metadata, const char *how, int want,
		      uint32_t flags)
{
	uint64_t boot = clock_ns(CLOCK_BOOTTIME), real = clock_ns(CLOCK_REALTIME);
	uint64_t mono = clock_ns(CLOCK_MONOTONIC);
	int fd = dev_create(NULL, PAGE), status;
	struct shmipc_dev_death d;
	struct gate g;
	pid_t pid;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(dev_deaths(fd, 0, &d, 1, NULL), 0);
	gate_make(&g);
	pid = victim_start(fd, SHMIPC_ROLE_PRODUCER, how, &g);
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'v');
	EXPECT_EQ(dev_deaths(fd, 0, &d, 1, NULL), 0);
	if (!strcmp(how, "kill"))
		kill(pid, SIGKILL);
	else
		gate_tell(g.to_child[1], 'g');
	if (!strncmp(how, "exec", 4)) {
		ASSERT_EQ(await_comm(pid, "(sleep)"), 0);
	} else {
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT_EQ(status & ~0x80, want);
	}
	ASSERT_EQ(dev_deaths(fd, 0, &d, 1, NULL), 1);
	EXPECT_EQ(d.seq, 1);
	if (!strncmp(how, "exec", 4)) {
		EXPECT_EQ(d.how, SHMIPC_DEATH_EXEC);
		EXPECT_EQ(d.code, 0);
		EXPECT_EQ(d.flags, 0);
	} else {
		expect_how(_metadata, &d, status, flags);
	}
	EXPECT_EQ(d.pid, pid);
	EXPECT_EQ(d.uid, geteuid());
	EXPECT_EQ(d.role, SHMIPC_ROLE_PRODUCER);
	EXPECT_EQ(d.slot, 0);
	EXPECT_EQ(d.generation, 1);
	EXPECT_STREQ(d.comm, "victim");
	EXPECT_GE(d.start_ns, boot);
	EXPECT_LE(d.start_ns, clock_ns(CLOCK_BOOTTIME));
	EXPECT_GE(d.since_ns, real);
	EXPECT_GE(d.at_ns, d.since_ns);
	EXPECT_LE(d.at_ns, clock_ns(CLOCK_REALTIME));
	EXPECT_GE(d.mono_ns, mono);
	EXPECT_LE(d.mono_ns, clock_ns(CLOCK_MONOTONIC));
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	/* What happens to the process afterwards is no second death. */
	EXPECT_EQ(dev_deaths(fd, 1, &d, 1, NULL), 0);
	gate_close(&g);
	close(fd);
}

#define ONE(name, how, want, flags)				\
	TEST(name)						\
	{							\
		one_death(_metadata, how, want, flags);		\
	}

ONE(killed, "kill", SIGKILL, 0)
ONE(segmentation_fault, "segv", SIGSEGV, 0)
ONE(exit_status, "exit", 3 << 8, 0)
ONE(exit_status_0, "exit 0", 0, 0)
ONE(status_of_the_last_thread, "last thread", 5 << 8, 0)
ONE(exec, "exec", 0, 0)
ONE(exec_in_a_thread, "exec in a thread", 0, 0)

TEST(core_dump)
{
	char before[256] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDWR);

	if (fd < 0 || read(fd, before, sizeof(before) - 1) <= 0)
		SKIP(return, "no core dumps");
	ASSERT_EQ(write_file("/proc/sys/kernel/core_pattern", "/tmp/shmipc-core"), 0);
	one_death(_metadata, "core", SIGABRT, SHMIPC_DEATH_CORE);
	unlink("/tmp/shmipc-core");
	EXPECT_EQ(write_file("/proc/sys/kernel/core_pattern", before), 0);
	close(fd);
}

TEST(out_of_memory)
{
	(void)write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(STARVED, 0755) || access(STARVED "/memory.max", F_OK))
		SKIP(return, "no memory cgroup");
	ASSERT_EQ(write_file(STARVED "/memory.max", "33554432"), 0);
	one_death(_metadata, "oom", SIGKILL, SHMIPC_DEATH_OOM);
	rmdir(STARVED);
}

TEST(a_peer_that_leaves_has_no_receipt)
{
	int fd = dev_create(NULL, PAGE), other;
	struct shmipc_dev_deaths r;
	struct shmipc_dev_death d;

	ASSERT_GE(fd, 0);
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_detach(fd), 0);
	other = dev_join(fd, 0);
	ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_CONSUMER), 0);
	close(other);
	EXPECT_EQ(dev_deaths(fd, 0, &d, 1, &r), 0);
	EXPECT_EQ(r.total, 0);
	EXPECT_EQ(r.lost, 0);
	close(fd);
}

/* A sleeper reads the receipt at once; its exit code says whether it could. */
static void sleeper_run(int fd, uint32_t word)
{
	const struct shmipc_seg_hdr *h = dev_map_hdr(fd);
	struct shmipc_dev_death d;
	int err;

	do
		err = dev_wait(fd, PROD_OFF, 0, 0, word, 0, long_deadline());
	while (!err && hdr_slot(h, 0)->word == word);
	if (err && err != -EAGAIN)
		_exit(80);
	_exit(dev_deaths(fd, 0, &d, 1, NULL) == 1 && d.code == SIGKILL ? 0 : 1);
}

TEST(a_sleeper_that_learns_of_the_death_reads_its_receipt)
{
	int fd = dev_create(NULL, PAGE), status;
	struct gate g;
	pid_t pid, sleeper;

	ASSERT_GE(fd, 0);
	gate_make(&g);
	pid = victim_start(fd, SHMIPC_ROLE_PRODUCER, "kill", &g);
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'v');
	sleeper = fork();
	if (!sleeper)
		sleeper_run(fd, hdr_slot(dev_map_hdr(fd), 0)->word);
	ASSERT_EQ(dev_await_waiters(fd, 1), 0);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(sleeper, &status, 0), sleeper);
	EXPECT_EQ(status, 0);
	waitpid(pid, &status, 0);
	gate_close(&g);
	close(fd);
}

/* In a child: attach and die with status @code. */
static void die_at_once(int fd, uint32_t role, int code)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fd = dev_join(fd, 0);
		_exit(dev_attach(fd, role) < 0 ? 255 : code);
	}
	waitpid(pid, &status, 0);
}

TEST(more_deaths_than_are_kept)
{
	const int extra = 6, total = KEPT + extra;
	struct shmipc_dev_death d[KEPT + 8], one;
	int fd = dev_create(NULL, PAGE), ro, i, n;
	struct shmipc_dev_deaths r;

	ASSERT_GE(fd, 0);
	for (i = 0; i < total; i++)
		die_at_once(fd, SHMIPC_ROLE_CONSUMER, i);
	/* Room for more than there are. */
	ASSERT_EQ(dev_deaths(fd, 0, d, KEPT + 8, &r), KEPT);
	EXPECT_EQ(r.total, total);
	EXPECT_EQ(r.lost, extra);
	for (i = 0; i < KEPT; i++) {
		EXPECT_EQ(d[i].seq, extra + i + 1);
		EXPECT_EQ(d[i].how, SHMIPC_DEATH_EXIT);
		EXPECT_EQ(d[i].code, extra + i);
		EXPECT_EQ(d[i].generation, extra + i + 1);
		EXPECT_EQ(d[i].role, SHMIPC_ROLE_CONSUMER);
		if (i)
			EXPECT_GE(d[i].mono_ns, d[i - 1].mono_ns);
	}
	EXPECT_EQ(d[KEPT].seq, UINT64_MAX);	/* not written */
	/* One after another, from the number of the last; the same, and nothing lost then. */
	for (i = 0, n = 0; dev_deaths(fd, i ? one.seq : 0, &one, 1, &r) == 1; i++) {
		n += (int)r.lost;
		ASSERT_LT(i, KEPT);
		EXPECT_EQ(memcmp(&one, &d[i], sizeof(one)), 0);
		EXPECT_EQ(r.lost, i ? 0 : extra);
	}
	EXPECT_EQ(i, KEPT);
	EXPECT_EQ(n, extra);
	/* A reader that has seen some before is told how many it missed. */
	ASSERT_EQ(dev_deaths(fd, 4, &one, 1, &r), 1);
	EXPECT_EQ(one.seq, extra + 1);
	EXPECT_EQ(r.lost, extra - 4);
	EXPECT_EQ(dev_deaths(fd, total, &one, 1, &r), 0);
	EXPECT_EQ(r.total, total);
	EXPECT_EQ(dev_deaths(fd, UINT64_MAX, &one, 1, &r), 0);
	EXPECT_EQ(dev_deaths(fd, UINT64_MAX - 1, &one, 1, &r), 0);
	EXPECT_EQ(dev_deaths(fd, 0, d, 0, &r), 0);
	EXPECT_EQ(r.total, total);
	/* Any process that may read the segment may read them. */
	ro = dev_join(fd, SHMIPC_DEV_READ_ONLY);
	EXPECT_EQ(dev_deaths(ro, 0, d, KEPT, &r), KEPT);
	close(ro);
	close(fd);
}

TEST(each_role_of_a_process_has_a_receipt)
{
	int fd = dev_create(NULL, PAGE), status, i;
	struct shmipc_dev_death d[4];
	uint32_t roles = 0;
	pid_t pid;

	ASSERT_GE(fd, 0);
	pid = fork();
	if (!pid) {
		dev_attach(dev_join(fd, 0), SHMIPC_ROLE_PRODUCER);
		dev_attach(dev_join(fd, 0), SHMIPC_ROLE_CONSUMER);
		dev_attach(dev_join(fd, 0), SHMIPC_ROLE_READER);
		raise(SIGTERM);
	}
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(dev_deaths(fd, 0, d, 4, NULL), 3);
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(d[i].pid, pid);
		EXPECT_EQ(d[i].code, SIGTERM);
		roles |= 1u << d[i].role;
	}
	EXPECT_EQ(roles, ROLE(PRODUCER) | ROLE(CONSUMER) | ROLE(READER));
	close(fd);
}

/* What a victim leaves in its cursor. */
static void cursor_write(int fd, uint64_t off, uint64_t pos, uint64_t seq)
{
	struct shmipc_cursor *c = dev_map(fd, off, PAGE, RW);

	if (c == MAP_FAILED)
		_exit(91);
	c->seq[1] = seq;
	c->word = pos | SHMIPC_CURSOR_PARITY;
}

static void dies_at(int fd, uint32_t role, uint64_t pos, uint64_t seq)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		fd = dev_join(fd, 0);
		if (dev_attach(fd, role) < 0)
			_exit(90);
		cursor_write(fd, role == SHMIPC_ROLE_PRODUCER ? PROD_OFF : CONS_OFF, pos, seq);
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
}

TEST(last_positions)
{
	int fd = make_ring(NULL);
	struct shmipc_dev_death d[3];

	ASSERT_GE(fd, 0);
	dies_at(fd, SHMIPC_ROLE_PRODUCER, 640, 10);
	dies_at(fd, SHMIPC_ROLE_CONSUMER, 256, 4);
	/* The next holder moves on; the receipt does not. */
	dies_at(fd, SHMIPC_ROLE_PRODUCER, 1280, 20);
	ASSERT_EQ(dev_deaths(fd, 0, d, 3, NULL), 3);
	EXPECT_EQ(d[0].pos, 640);
	EXPECT_EQ(d[0].messages, 10);
	EXPECT_EQ(d[0].lag, 0);
	EXPECT_EQ(d[1].pos, 256);
	EXPECT_EQ(d[1].messages, 4);
	EXPECT_EQ(d[1].lag, 384);
	EXPECT_EQ(d[1].behind, 6);
	EXPECT_EQ(d[2].pos, 1280);
	EXPECT_EQ(d[2].messages, 20);
	EXPECT_EQ(d[0].waits_for, UINT32_MAX);
	close(fd);
	/* Of a reader's position nothing is known. */
	fd = make_ring(NULL);
	die_at_once(fd, SHMIPC_ROLE_READER, 0);
	ASSERT_EQ(dev_deaths(fd, 0, d, 1, NULL), 1);
	EXPECT_EQ(d[0].pos, UINT64_MAX);
	close(fd);
}

/* A process that shares the victim's address space, and so keeps it. */
static struct gate *heirs_gate;

static int heir(void *arg)
{
	(void)arg;
	gate_tell(heirs_gate->to_parent[1], 'h');
	gate_hear(heirs_gate->to_child[0]);
	_exit(0);
}

/* @closes: it closes its descriptor, so that only the end of the address space tells. */
static void leaves_an_heir(int fd, bool closes, bool execs, struct gate *of_heir, struct gate *g)
{
	static char stack[65536] __attribute__((aligned(16)));

	fd = dev_join(fd, 0);
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) != 0 ||
	    dev_map(fd, SMALL_DATA_OFF, PAGE, RW) == MAP_FAILED)
		_exit(90);
	heirs_gate = of_heir;
	if (clone(heir, stack + sizeof(stack), CLONE_VM, NULL) < 0)
		_exit(91);
	if (closes)
		close(fd);
	gate_tell(g->to_parent[1], 'v');
	gate_hear(g->to_child[0]);
	if (execs)
		exec_sleep(NULL);
	_exit(4);
}

static void dies_with_an_heir(struct __test_metadata *_metadata, bool closes, bool execs,
			      uint32_t how, uint32_t code, uint32_t flags)
{
	int fd = dev_create(NULL, PAGE), status;
	uint64_t end = long_deadline();
	struct gate g, of_heir;
	struct shmipc_dev_death d;
	siginfo_t end_of;
	pid_t pid;

	ASSERT_GE(fd, 0);
	gate_make(&g);
	gate_make(&of_heir);
	pid = fork();
	if (!pid)
		leaves_an_heir(fd, closes, execs, &of_heir, &g);
	ASSERT_EQ(gate_hear(of_heir.to_parent[0]), 'h');
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'v');
	gate_tell(g.to_child[1], 'g');
	if (execs) {
		ASSERT_EQ(await_comm(pid, "(sleep)"), 0);
		/* What it dies of later is not how the peer died. */
		kill(pid, SIGTERM);
	}
	ASSERT_EQ(waitid(P_PID, (id_t)pid, &end_of, WEXITED | (execs ? WNOWAIT : 0)), 0);
	EXPECT_EQ(dev_deaths(fd, 0, &d, 1, NULL), !closes);
	gate_tell(of_heir.to_child[1], 'g');
	while (dev_deaths(fd, 0, &d, 1, NULL) == 0 && now_ns() < end)
		sched_yield();
	ASSERT_EQ(dev_deaths(fd, 0, &d, 1, NULL), 1);
	EXPECT_EQ(d.how, how);
	EXPECT_EQ(d.code, code);
	EXPECT_EQ(d.flags, flags);
	EXPECT_EQ(d.pid, pid);
	waitpid(pid, &status, WNOHANG);
	gate_close(&g);
	gate_close(&of_heir);
	close(fd);
}

TEST(its_mappings_still_exist)
{
	dies_with_an_heir(_metadata, false, false, SHMIPC_DEATH_EXIT, 4, SHMIPC_DEATH_CUT);
}

TEST(its_mappings_still_exist_after_exec)
{
	dies_with_an_heir(_metadata, false, true, SHMIPC_DEATH_EXEC, 0, SHMIPC_DEATH_CUT);
}

TEST(it_was_reaped_before_its_address_space_ended)
{
	dies_with_an_heir(_metadata, true, false, SHMIPC_DEATH_UNKNOWN, 0, 0);
}

TEST(it_ran_another_program_before_its_address_space_ended)
{
	dies_with_an_heir(_metadata, true, true, SHMIPC_DEATH_EXEC, 0, 0);
}

/* Readers in namespaces; each inherits the descriptor, and returns 0 if all is as it should. */
struct reader {
	int fd;
	uint32_t pid;		/* of the victim, as it should see it */
	uint32_t uid;
};

static int reads(void *arg)
{
	const struct reader *r = arg;
	struct shmipc_dev_death d;

	if (dev_deaths(r->fd, 0, &d, 1, NULL) != 1)
		return 1;
	if (d.pid != r->pid || d.uid != r->uid)
		return 2;
	return d.how == SHMIPC_DEATH_SIGNAL && d.code == SIGKILL ? 0 : 3;
}

static int reads_in_pid_namespace(void *arg)
{
	return unshare(CLONE_NEWPID) ? 99 : in_child(reads, arg);
}

static int reads_in_user_namespace(void *arg)
{
	return unshare(CLONE_NEWUSER) ? 99 : reads(arg);
}

/* User USER of the parent's namespace is number 0 in it. */
static int reads_where_the_user_is_0(void *arg)
{
	char path[64], map[64];
	struct gate g;
	int status;
	pid_t pid;

	gate_make(&g);
	pid = fork();
	if (!pid) {
		status = unshare(CLONE_NEWUSER);
		gate_tell(g.to_parent[1], 'u');
		gate_hear(g.to_child[0]);
		_exit(status ? 99 : reads(arg));
	}
	gate_hear(g.to_parent[0]);
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	snprintf(map, sizeof(map), "0 %d 1", USER);
	status = write_file(path, map);
	gate_tell(g.to_child[1], 'g');
	if (status || waitpid(pid, &status, 0) != pid)
		return 98;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 97;
}

/* As process 1 of a PID namespace, and as a user. */
static int victim_in_namespace(void *arg)
{
	struct gate *g = arg;
	int fd;

	become(USER, USER, true);
	fd = dev_open("receipt/ns");
	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) < 0)
		return 1;
	gate_tell(g->to_parent[1], getpid() == 1 ? 'v' : 'x');
	gate_hear(g->to_child[0]);
	return 0;
}

static int makes_namespace(void *arg)
{
	return unshare(CLONE_NEWPID) ? 99 : -in_child(victim_in_namespace, arg);
}

TEST(in_the_terms_of_the_readers_namespaces)
{
	int status;
	struct shmipc_dev_peer peer;
	struct reader r = { .uid = USER };
	struct gate g;
	struct make m;
	pid_t pid;

	make_init(&m, "receipt/ns", PAGE);
	m.req.mode = 0666;
	r.fd = dev_make(&m);
	ASSERT_GE(r.fd, 0);
	gate_make(&g);
	pid = fork();
	if (!pid)
		_exit(makes_namespace(&g));
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'v');
	ASSERT_EQ(dev_peer(r.fd, 0, &peer), 0);
	r.pid = peer.pid;
	ASSERT_GT(r.pid, 1);
	kill((pid_t)peer.pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	ASSERT_EQ(WEXITSTATUS(status), SIGKILL);

	/* Its PID namespace is dead, too. */
	EXPECT_EQ(reads(&r), 0);
	EXPECT_EQ(as_user(OTHER, false, reads, &r), 0);
	r.uid = 65534;
	EXPECT_EQ(in_child(reads_in_user_namespace, &r), 0);
	r.uid = 0;
	EXPECT_EQ(in_child(reads_where_the_user_is_0, &r), 0);
	r.uid = USER;
	r.pid = 0;
	EXPECT_EQ(in_child(reads_in_pid_namespace, &r), 0);
	gate_close(&g);
	close(r.fd);
}

static int reads_clocks(void *arg)
{
	struct shmipc_dev_death d;
	uint64_t day = 86400 * 1000000000ull;

	if (dev_deaths(*(int *)arg, 0, &d, 1, NULL) != 1)
		return 1;
	if (d.mono_ns > clock_ns(CLOCK_MONOTONIC) || d.mono_ns + day < clock_ns(CLOCK_MONOTONIC))
		return 2;
	if (d.start_ns > clock_ns(CLOCK_BOOTTIME) || d.start_ns + day < clock_ns(CLOCK_BOOTTIME))
		return 3;
	return 0;
}

static int reads_in_time_namespace(void *arg)
{
	if (unshare(CLONE_NEWTIME))
		return 99;
	/* More than a day, so that reads_clocks() can tell. */
	if (write_file("/proc/self/timens_offsets", "monotonic 100000 0\nboottime 100000 0\n"))
		return 98;
	return in_child(reads_clocks, arg);
}

TEST(by_the_clocks_of_the_readers_time_namespace)
{
	int fd = dev_create(NULL, PAGE);

	ASSERT_GE(fd, 0);
	die_at_once(fd, SHMIPC_ROLE_PRODUCER, 0);
	if (access("/proc/self/timens_offsets", F_OK))
		SKIP(return, "no time namespaces");
	EXPECT_EQ(in_child(reads_in_time_namespace, &fd), 0);
	close(fd);
}

TEST_HARNESS_MAIN
