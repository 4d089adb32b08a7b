// SPDX-License-Identifier: MIT
/* segment: fork() in one thread while another one opens and closes, or is fenced */
#include <sys/mman.h>
#include "env.h"

#include "segment/segment.h"	/* of lib/ */

#define FORKS		400	/* at least, if there is time, and until ... */
#define LONG_NS		UINT64_C(60000000000)
#define FORKS_MAX	40000
#define ENOUGH		100	/* children that had something to lose */
#define BYTES		(64u << 10)
#define PATTERN		0x5a

/* Memory that a thread of the program has mapped; a child must find it unchanged. */
static unsigned char *victim;
static uint32_t stop;

static int map_and_unmap(struct other *me, void *arg)
{
	unsigned char *p;

	(void)me;
	(void)arg;
	while (!shmipc_load_relaxed(&stop)) {
		p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(p != MAP_FAILED);
		memset(p, PATTERN, BYTES);
		shmipc_store_release(&victim, p);
		sched_yield();
		shmipc_store_release(&victim, (unsigned char *)NULL);
		(void)munmap(p, BYTES);
	}
	return 0;
}

static int open_and_close(struct other *me, void *arg)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW,
					 .flags = SHMIPC_CREATE, .bytes = BYTES };
	struct shmipc_segment *a, *b;

	(void)me;
	while (!shmipc_load_relaxed(&stop)) {
		CHECK(!shmipc_segment_open(&a, "forks", &o));
		CHECK(!shmipc_segment_anon(&b, &o));
		shmipc_segment_close(b);
		shmipc_segment_close(a);
		shmipc_add_relaxed((uint64_t *)arg, UINT64_C(1));
	}
	return 0;
}

/* Descriptors of segments in this process: of a file of the directory, memfd or device. */
static int segment_fds(const char *dir)
{
	char path[320], to[256];
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	ssize_t n;
	int found = 0;

	while (d && (e = readdir(d))) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
		n = readlink(path, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = 0;
		/* The directory itself holds no lock: a thread may have had it open. */
		found += (!strncmp(to, dir, strlen(dir)) && to[strlen(dir)] == '/') ||
			 strstr(to, "memfd:shmipc") || strstr(to, "/dev/shmipc") ||
			 strstr(to, "/shmipc:") || strstr(to, "anon_inode:shmipc:");
	}
	if (d)
		(void)closedir(d);
	return found;
}

/* In the child: 1 its own memory has changed, 2 it has a descriptor, 3 nothing to check. */
static int look(const char *dir)
{
	unsigned char *p = shmipc_load_acquire(&victim);
	size_t i;

	for (i = 0; p && i < BYTES; i++)
		if (p[i] != PATTERN)
			return 1;
	if (segment_fds(dir))
		return 2;
	return p ? 0 : 3;
}

FIXTURE(forks) {
	struct env env;
};

FIXTURE_SETUP(forks)
{
	env_set_up(&self->env);
	stop = 0;
}

FIXTURE_TEARDOWN(forks)
{
	env_tear_down(&self->env);
}

TEST_F_TIMEOUT(forks, a_child_keeps_its_memory_and_gets_no_descriptor_during_open_and_close, 200)
{
	int count[4] = { 0 }, status, i;
	struct other opens, maps;
	uint64_t rounds = 0, end;
	pid_t pid;

	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "a sanitizer's allocator may be locked in the child");
	ASSERT_EQ(0, other_start(&opens, 1, open_and_close, &rounds));
	ASSERT_EQ(0, other_start(&maps, 1, map_and_unmap, NULL));
	end = shmipc_deadline_in(LONG_NS);
	for (i = 0; i < FORKS_MAX && (count[0] < ENOUGH || (i < FORKS && now_ns() < end)); i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(look(self->env.dir));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status)) TH_LOG("status %#x", status);
		count[WEXITSTATUS(status) & 3]++;
	}
	shmipc_store_relaxed(&stop, 1u);
	EXPECT_EQ(0, other_end(&opens));
	EXPECT_EQ(0, other_end(&maps));
	TH_LOG("%d forks beside %llu rounds: %d saw the memory of another thread", i,
	       (unsigned long long)rounds, count[0]);
	EXPECT_EQ(0, count[1]) TH_LOG("children that lost memory of their own");
	EXPECT_EQ(0, count[2]) TH_LOG("children with a descriptor of a segment");
	EXPECT_LE(ENOUGH, count[0]) TH_LOG("too few children had something to lose");
	EXPECT_LE(ENOUGH, (int)rounds);
}

/*
 * A handle that was fenced closes its descriptor. Right after that another thread gets the same
 * number: close() below does this for it, and has this thread fork there, if it can.
 */
#define CUTS	50
#define CUT_NS	UINT64_C(10000000)	/* fork() waits: it is not possible there */

static __thread bool cutting;
static int foreign;
static uint32_t phase;		/* 1: the foreign one is open, 2: forked, 3: the handle is closed */

int close(int fd)
{
	uint64_t until;
	int ret = (int)syscall(SYS_close, fd);

	if (!cutting)
		return ret;
	cutting = false;
	foreign = dup2(STDERR_FILENO, fd);
	shmipc_store_release(&phase, 1u);
	until = shmipc_deadline_in(CUT_NS);
	while (shmipc_load_acquire(&phase) != 2 && now_ns() < until)
		sched_yield();
	return ret;
}

static int is_cut_off(struct other *me, void *arg)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW,
					 .flags = SHMIPC_CREATE, .bytes = BYTES };
	struct shmipc_segment *seg;
	int i;

	(void)me;
	(void)arg;
	for (i = 0; i < CUTS; i++) {
		CHECK(!shmipc_segment_anon(&seg, &o));
		cutting = true;
		shmipc_segment_cut_off(seg);
		while (shmipc_load_acquire(&phase) != 2)
			sched_yield();
		CHECK(foreign > STDERR_FILENO && !close(foreign));
		shmipc_segment_close(seg);
		shmipc_store_release(&phase, 3u);
	}
	return 0;
}

TEST_F(forks, a_child_closes_no_foreign_descriptor_while_a_handle_is_cut_off)
{
	struct other cut;
	int status, i;
	pid_t pid;

	if (getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "a sanitizer's allocator may be locked in the child");
	phase = 0;
	ASSERT_EQ(0, other_start(&cut, 1, is_cut_off, NULL));
	for (i = 0; i < CUTS; i++) {
		while (shmipc_load_acquire(&phase) != 1)
			sched_yield();
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(fcntl(foreign, F_GETFD) < 0);
		shmipc_store_release(&phase, 2u);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status) TH_LOG("the child has closed it");
	}
	EXPECT_EQ(0, other_end(&cut));
}

TEST_HARNESS_MAIN
