// SPDX-License-Identifier: MIT
/* edges: what sleeps costs no CPU, and a name that is open costs little memory; see nouns.h */
#include "edges.h"

#define SETTLE_NS	600000000	/* then looks for deaths that no one tells of are rare */
#define WINDOW_NS	1000000000
#define WAKES_MOST	4u		/* in the window; a poll would be a hundred */
#define NAMES		100u

FIXTURE(edges_idle) {
	struct env env;
	struct play tx[ARRAY_SIZE(noun_all)], rx[ARRAY_SIZE(noun_all)];
	struct other sender[ARRAY_SIZE(noun_all)], receiver[ARRAY_SIZE(noun_all)];
};

FIXTURE_SETUP(edges_idle)
{
	env_set_up(&self->env);
}

FIXTURE_TEARDOWN(edges_idle)
{
	env_tear_down(&self->env);
}

/* How often all threads of a process gave up their CPUs to sleep. */
static uint64_t sleeps_of(pid_t pid)
{
	char path[160], line[128];
	unsigned long long n, sum = 0;
	struct dirent *d;
	DIR *dir;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		(void)snprintf(path, sizeof(path), "/proc/%d/task/%.20s/status", pid, d->d_name);
		f = d->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (f && fgets(line, sizeof(line), f))
			if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
				sum += n;
		if (f)
			(void)fclose(f);
	}
	if (dir)
		(void)closedir(dir);
	return sum;
}

static void pause_ns(long ns)
{
	const struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	(void)nanosleep(&ts, NULL);
}

/* One of each noun waits for what does not come, all at the same time. */
TEST_F_TIMEOUT(edges_idle, those_that_sleep_use_no_cpu, 240)
{
	uint64_t tx[ARRAY_SIZE(noun_all)], rx[ARRAY_SIZE(noun_all)];
	size_t i;

	if (on_qemu() || getenv("SHMIPC_TEST_SANITIZER"))
		SKIP(return, "an emulator or a sanitizer has threads that wake");
	for (i = 0; i < ARRAY_SIZE(noun_all); i++) {
		self->tx[i] = (struct play){ .noun = &noun_all[i], .sends = true, .name = noun_all[i].name };
		self->rx[i] = (struct play){ .noun = &noun_all[i], .name = noun_all[i].name };
		ASSERT_EQ(0, play_start(&self->sender[i], &self->tx[i], 0)) TH_LOG("%s", noun_all[i].name);
		ASSERT_EQ(0, play_start(&self->receiver[i], &self->rx[i], 0)) TH_LOG("%s", noun_all[i].name);
		ASSERT_EQ(0, ask_asleep(&self->receiver[i], RECV));
	}
	pause_ns(SETTLE_NS);
	for (i = 0; i < ARRAY_SIZE(noun_all); i++) {
		tx[i] = sleeps_of(self->sender[i].pid);
		rx[i] = sleeps_of(self->receiver[i].pid);
	}
	pause_ns(WINDOW_NS);
	for (i = 0; i < ARRAY_SIZE(noun_all); i++) {
		rx[i] = sleeps_of(self->receiver[i].pid) - rx[i];
		tx[i] = sleeps_of(self->sender[i].pid) - tx[i];
		EXPECT_GE(WAKES_MOST, rx[i]) TH_LOG("%s", noun_all[i].name);
		EXPECT_GE(1u, tx[i]) TH_LOG("%s: one that does nothing", noun_all[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(noun_all); i++) {
		tell(&self->sender[i], SEND);
		EXPECT_EQ(0, (int)hear(&self->receiver[i])) TH_LOG("%s", noun_all[i].name);
		EXPECT_EQ(0, (int)hear(&self->sender[i])) TH_LOG("%s", noun_all[i].name);
		EXPECT_EQ(0, play_end(&self->receiver[i]));
		EXPECT_EQ(0, play_end(&self->sender[i]));
	}
}

static int64_t memory_of(const char *name)
{
	struct shmipc_segment_stat st = { .info = SHMIPC_SEGMENT_INFO() };

	return shmipc_segment_look(name, &st) ? -1 : (int64_t)st.info.memory_bytes;
}

/* Of each noun with a name of its own a hundred, all open in one process. */
TEST_F_TIMEOUT(edges_idle, a_hundred_names_are_small, 240)
{
	struct noun_end tx[NAMES];
	const struct noun *n;
	uint64_t bytes;
	char name[24];
	uint32_t i;
	int fds;

	for_each_noun(n) {
		bytes = 0;
		fds = env_count("/proc/self/fd");
		for (i = 0; i < NAMES; i++) {
			(void)snprintf(name, sizeof(name), "%u", i);
			ASSERT_EQ(0, noun_open(&tx[i], n, name, true)) TH_LOG("%s: %s", n->name, shmipc_error_text());
			bytes += (uint64_t)memory_of(name);
		}
		fds = env_count("/proc/self/fd") - fds;
		for (i = 0; i < NAMES; i++)
			noun_close(&tx[i]);
		EXPECT_EQ(0, env_files(&self->env));
		/* A ring has its memory from the beginning; an end has a descriptor. */
		EXPECT_GE(NAMES * (strcmp(n->name, "ring") ? 131072u : 2097152u), bytes) TH_LOG("%s", n->name);
		EXPECT_GE((int)NAMES, fds) TH_LOG("%s", n->name);
	}
}

/* The name of one noun, opened as any other: it is refused, and goes on. */
TEST_F_TIMEOUT(edges_idle, a_name_of_another_noun_is_refused, 240)
{
	const struct noun *n, *as;
	struct noun_end tx, wrong;
	uint32_t refused = 0;
	bool same;
	int err;

	for_each_noun(n) {
		ASSERT_EQ(0, noun_open(&tx, n, NAME, true));
		for (as = noun_all; as < noun_all + ARRAY_SIZE(noun_all); as++) {
			same = as == n || (n->open == noun_open_peer && as->open == noun_open_peer);
			if (same)
				continue;
			err = noun_open(&wrong, as, NAME, false);
			EXPECT_EQ(-EINVAL, err) TH_LOG("%s as %s", n->name, as->name);
			EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL")) TH_LOG("%s", shmipc_error_text());
			EXPECT_NE(NULL, strstr(shmipc_error_text(), NAME)) TH_LOG("%s", shmipc_error_text());
			noun_close(&wrong);
			refused++;
		}
		EXPECT_EQ(0, n->is_mutual ? 0 : n->send(&tx, 8, SOON)) TH_LOG("%s", n->name);
		noun_close(&tx);
		EXPECT_EQ(0, env_files(&self->env)) TH_LOG("%s", n->name);
	}
	EXPECT_LT(100u, refused);
}

TEST_HARNESS_MAIN
