// SPDX-License-Identifier: MIT
/*
 * The end of a peer whose address space another process holds: it is known as early as
 * otherwise, as a death, and the role's pages are nobody's.
 */
#include <linux/userfaultfd.h>
#include <sys/uio.h>

#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)

static char victims_byte = 1;

/* Read the victim's memory into a page that never comes: its address space stays. */
static void hold(pid_t victim, struct gate *g)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *page = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec local = { page, 1 }, remote = { &victims_byte, 1 };
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	reg.range.start = (uintptr_t)page;
	reg.range.len = PAGE;
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) || ioctl(uffd, UFFDIO_REGISTER, &reg)) {
		gate_tell(g->to_parent[1], 'x');
		_exit(1);
	}
	gate_tell(g->to_parent[1], 'h');
	(void)process_vm_readv(victim, &local, 1, &remote, 1, 0);
	_exit(0);
}

static void victim_run(const char *how, struct gate *g)
{
	int fd = dev_open("held");

	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) != 0)
		_exit(1);
	if (strcmp(how, "unmapped") && dev_map(fd, SMALL_DATA_OFF, PAGE, RW) == MAP_FAILED)
		_exit(2);
	gate_tell(g->to_parent[1], 'v');
	gate_hear(g->to_child[0]);
	if (!strcmp(how, "exec"))
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
	if (!strcmp(how, "exit"))
		_exit(0);
	for (;;)
		pause();
}

/* Is the process asleep in the page fault of its own page? */
static bool sleeps_in(pid_t pid, const char *what)
{
	char path[64], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	return !strncmp(line, what, strlen(what));
}

static void ends_while_held(struct __test_metadata *_metadata, const char *how)
{
	const struct shmipc_peer_slot *slot;
	int fd = dev_create("held", PAGE), status;
	char call[16];
	pid_t victim, holder;
	uint64_t end = long_deadline();
	struct gate g;

	ASSERT_GE(fd, 0);
	slot = hdr_slot(dev_map_hdr(fd), 0);
	gate_make(&g);
	victim = fork();
	if (!victim)
		victim_run(how, &g);
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'v');
	holder = fork();
	if (!holder)
		hold(victim, &g);
	if (gate_hear(g.to_parent[0]) != 'h') {
		kill(victim, SIGKILL);
		while (wait(&status) > 0)
			continue;
		gate_close(&g);
		close(fd);
		SKIP(return, "no userfaultfd");
	}
	snprintf(call, sizeof(call), "%d ", SYS_process_vm_readv);
	while (!sleeps_in(holder, call) && now_ns() < end)
		sched_yield();
	if (!strcmp(how, "exec") || !strcmp(how, "exit"))
		gate_tell(g.to_child[1], 'g');
	else
		kill(victim, SIGKILL);
	if (!strcmp(how, "exec")) {
		ASSERT_EQ(await_comm(victim, "(sleep)"), 0);
	} else {
		ASSERT_EQ(waitpid(victim, &status, 0), victim);
	}
	EXPECT_EQ(slot->state, SHMIPC_PEER_DIED);
	EXPECT_NE(slot->word & SHMIPC_PEER_DEAD, 0);
	/* The role is free although the old mapping exists. */
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	EXPECT_EQ(waitpid(holder, &status, WNOHANG), 0);
	kill(holder, SIGKILL);
	kill(victim, SIGKILL);
	waitpid(holder, &status, 0);
	waitpid(victim, &status, 0);
	/* The end of the old address space changes nothing. */
	EXPECT_EQ(slot->state, SHMIPC_PEER_ATTACHED);
	gate_close(&g);
	close(fd);
}

TEST(killed)
{
	ends_while_held(_metadata, "killed");
}

TEST(killed_without_a_mapping)
{
	ends_while_held(_metadata, "unmapped");
}

TEST(exits)
{
	ends_while_held(_metadata, "exit");
}

TEST(execs)
{
	ends_while_held(_metadata, "exec");
}

static volatile char *heirs_page;
static struct gate *heirs_gate;

/* Not a thread: a process of its own in the same address space. */
static int heir(void *arg)
{
	(void)arg;
	gate_tell(heirs_gate->to_parent[1], 'r');
	gate_hear(heirs_gate->to_child[0]);
	heirs_page[0] = 9;
	gate_tell(heirs_gate->to_parent[1], 'w');
	_exit(0);
}

static void leaves_an_heir(struct gate *g)
{
	static char stack[65536] __attribute__((aligned(16)));
	int fd = dev_open("held/heir");

	if (fd < 0 || dev_attach(fd, SHMIPC_ROLE_PRODUCER) != 0)
		_exit(1);
	heirs_page = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
	heirs_page[0] = 1;
	heirs_gate = g;
	close(g->to_parent[0]);
	if (clone(heir, stack + sizeof(stack), CLONE_VM, NULL) < 0)
		_exit(2);
	for (;;)
		pause();
}

TEST(a_process_that_shares_the_address_space_does_not_inherit_the_role)
{
	const struct shmipc_peer_slot *slot;
	int fd = dev_create("held/heir", PAGE), status;
	volatile char *mine;
	pid_t victim;
	struct gate g;

	ASSERT_GE(fd, 0);
	slot = hdr_slot(dev_map_hdr(fd), 0);
	gate_make(&g);
	victim = fork();
	if (!victim)
		leaves_an_heir(&g);
	close(g.to_parent[1]);
	ASSERT_EQ(gate_hear(g.to_parent[0]), 'r');
	kill(victim, SIGKILL);
	ASSERT_EQ(waitpid(victim, &status, 0), victim);
	EXPECT_EQ(slot->state, SHMIPC_PEER_DIED);
	EXPECT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	mine = dev_map(fd, SMALL_DATA_OFF, PAGE, RW);
	ASSERT_NE((void *)(uintptr_t)mine, MAP_FAILED);
	mine[0] = 2;
	gate_tell(g.to_child[1], 'g');
	/* It gets SIGBUS, and writes nothing. */
	EXPECT_EQ(gate_hear(g.to_parent[0]), 0);
	EXPECT_EQ(mine[0], 2);
	munmap((void *)(uintptr_t)mine, PAGE);
	close(g.to_parent[0]);
	close(g.to_child[0]);
	close(g.to_child[1]);
	close(fd);
}

TEST_HARNESS_MAIN
