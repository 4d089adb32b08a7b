// SPDX-License-Identifier: MIT
/* The sampler: it runs only while a tracer listens, is correct, and stops with the module. */
#include <linux/perf_event.h>

#include "module.h"
#include "trace.h"

#define ON_SEGMENTS	EVENTS "shmipc_sample/enable"
#define ON_PEERS	EVENTS "shmipc_sample_peer/enable"

/* Is the timer queued in the kernel? Not while it runs. */
static bool timer_waits(void)
{
	return strstr(slurp("/proc/timer_list") ?: "", ", sample_slice");
}

static bool timer_comes(void)
{
	uint64_t end = long_deadline();

	while (now_ns() < end)
		if (timer_waits())
			return true;
	return false;
}

/* The last line that contains @a and @b, or NULL. */
static const char *last_line(const char *text, const char *a, const char *b)
{
	static char line[1024];
	const char *found = NULL, *end;

	while ((end = strchr(text, '\n'))) {
		snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
		if (strstr(line, a) && strstr(line, b))
			found = text;
		text = end + 1;
	}
	if (!found)
		return NULL;
	snprintf(line, sizeof(line), "%.*s ", (int)(strchr(found, '\n') - found), found);
	return line;
}

/* The number after " KEY=" in a line, or -999. */
static long long field(const char *line, const char *key)
{
	char word[32];
	const char *at;

	snprintf(word, sizeof(word), " %s=", key);
	at = line ? strstr(line, word) : NULL;
	return at ? strtoll(at + strlen(word), NULL, 10) : -999;
}

/* The output of a few ticks. */
static char *a_few_samples(void)
{
	int err = spit(TRACE "trace", "") ?: spit(ON_SEGMENTS, "1") ?: spit(ON_PEERS, "1") ?:
		  sampler_await_ticks(2);

	err = spit(ON_SEGMENTS, "0") ?: spit(ON_PEERS, "0") ?: err;
	return err ? NULL : slurp(TRACE "trace");
}

static const char *segment_line(const char *text, uint64_t id)
{
	char word[32];

	snprintf(word, sizeof(word), "id=%016llx", (unsigned long long)id);
	return last_line(text, "shmipc_sample: ", word);
}

static const char *peer_line(const char *text, uint64_t id, int slot)
{
	char word[48];

	snprintf(word, sizeof(word), "id=%016llx slot=%d ", (unsigned long long)id, slot);
	return last_line(text, "shmipc_sample_peer: ", word);
}

FIXTURE(sample) {
	int unused;
};

FIXTURE_SETUP(sample)
{
	if (!can_trace())
		return;
	/*
	 * Names of processes are not needed, and the emulator has trouble with kernels that
	 * patch the code of their scheduler, as recording names does.
	 */
	(void)spit(TRACE "options/record-cmd", "0");
	ASSERT_EQ(spit(SAMPLE_HZ, "1000"), 0);
}

FIXTURE_TEARDOWN(sample)
{
	(void)spit(ON_SEGMENTS, "0");
	(void)spit(ON_PEERS, "0");
	(void)spit(SAMPLE_HZ, "100");
}

TEST_F(sample, nothing_runs_without_a_listener)
{
	long long before = sampler("ticks");
	int i;

	NEEDS_TRACING();
	EXPECT_GE(before, 0);
	EXPECT_EQ(sampler("listening"), 0);
	EXPECT_EQ(sampler("running"), 0);
	EXPECT_FALSE(timer_waits());
	for (i = 0; i < 50; i++)
		close(make_ring("sample/off"));
	EXPECT_EQ(sampler("ticks"), before);
}

TEST_F(sample, runs_from_the_first_listener_to_the_last)
{
	long long after;

	NEEDS_TRACING();
	ASSERT_EQ(spit(ON_PEERS, "1"), 0);
	EXPECT_EQ(sampler("running"), 1);
	EXPECT_TRUE(timer_comes());
	EXPECT_EQ(sampler_await_ticks(3), 0);
	ASSERT_EQ(spit(ON_SEGMENTS, "1"), 0);
	EXPECT_EQ(sampler("listening"), 2);
	ASSERT_EQ(spit(ON_PEERS, "0"), 0);
	EXPECT_EQ(sampler_await_ticks(3), 0);
	ASSERT_EQ(spit(ON_SEGMENTS, "0"), 0);
	EXPECT_EQ(sampler("listening"), 0);
	EXPECT_EQ(sampler("running"), 0);
	EXPECT_FALSE(timer_waits());
	after = sampler("ticks");
	close(make_ring("sample/off"));
	EXPECT_EQ(sampler("ticks"), after);
}

TEST_F(sample, other_events_do_not_start_it)
{
	NEEDS_TRACING();
	ASSERT_EQ(spit(EVENTS "shmipc_wait/enable", "1"), 0);
	EXPECT_EQ(sampler("running"), 0);
	ASSERT_EQ(spit(EVENTS "shmipc_wait/enable", "0"), 0);
}

TEST_F(sample, lag_of_a_rings_consumer_is_exact)
{
	int fd = make_ring("sample/ring"), other = dev_open("sample/ring");
	uint64_t *prod, *cons, id = id_of(fd);
	const char *line;
	char *text;

	NEEDS_TRACING();
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_CONSUMER), 1);
	prod = dev_map(fd, PROD_OFF, PAGE, RW);
	cons = dev_map(other, CONS_OFF, PAGE, RW);
	/* A cursor: position and bit, and the number of messages that the bit selects. */
	prod[2] = 41;
	prod[0] = 4096 | SHMIPC_CURSOR_PARITY;
	cons[1] = 7;
	cons[0] = 64;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	line = segment_line(text, id);
	ASSERT_NE(line, NULL);
	EXPECT_NE(strstr(line, " name=sample/ring "), NULL);
	EXPECT_EQ(field(line, "kind"), SHMIPC_KIND_SPSC);
	EXPECT_EQ(field(line, "published"), 4096);
	EXPECT_EQ(field(line, "consumed"), 64);
	EXPECT_EQ(field(line, "messages"), 41);
	EXPECT_EQ(field(line, "capacity"), PAGE);
	EXPECT_EQ(field(line, "lag"), 4032);
	EXPECT_EQ(field(line, "behind"), 34);
	EXPECT_EQ(field(line, "slot"), 1);
	EXPECT_EQ(field(line, "pid"), getpid());
	EXPECT_EQ(field(line, "attached"), 2);
	EXPECT_EQ(field(line, "waiters"), 0);
	line = peer_line(text, id, 0);
	EXPECT_EQ(field(line, "role"), SHMIPC_ROLE_PRODUCER);
	EXPECT_EQ(field(line, "pos"), 4096);
	EXPECT_EQ(field(line, "lag"), 0);
	EXPECT_EQ(field(line, "messages"), 41);
	line = peer_line(text, id, 1);
	EXPECT_EQ(field(line, "role"), SHMIPC_ROLE_CONSUMER);
	EXPECT_EQ(field(line, "pid"), getpid());
	EXPECT_EQ(field(line, "pos"), 64);
	EXPECT_EQ(field(line, "lag"), 4032);
	EXPECT_EQ(field(line, "behind"), 34);
	ASSERT_NE(line, NULL);
	EXPECT_NE(strstr(line, " comm=sample "), NULL);

	cons[2] = 41;
	cons[0] = 4096 | SHMIPC_CURSOR_PARITY;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	EXPECT_EQ(field(peer_line(text, id, 1), "lag"), 0);
	EXPECT_EQ(field(peer_line(text, id, 1), "behind"), 0);
	munmap(cons, PAGE);
	EXPECT_EQ(dev_detach(other), 0);
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	EXPECT_EQ(peer_line(text, id, 1), NULL);
	EXPECT_EQ(field(segment_line(text, id), "slot"), -1);
}

TEST_F(sample, a_logs_floor_and_readers_without_a_position)
{
	struct shmipc_ring_hdr *h;
	struct shmipc_prod *prod;
	const char *line;
	struct make m;
	char *text;
	int fd, other;

	NEEDS_TRACING();
	make_init(&m, "sample/log", PAGE);
	m.req.kind = SHMIPC_KIND_BCAST;
	memset(m.body, 0, sizeof(m.body));
	h = (struct shmipc_ring_hdr *)(void *)m.body;
	h->prod_off = PAGE;
	fd = dev_make(&m);
	other = dev_open("sample/log");
	ASSERT_EQ(dev_attach(fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_attach(other, SHMIPC_ROLE_READER), 1);
	prod = dev_map(fd, PROD_OFF, PAGE, RW);
	prod->tail.word = 8192;
	prod->floor_lot = 2 * SHMIPC_MARKS + 3;
	prod->marks[3].pos = 4104;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	line = segment_line(text, id_of(fd));
	EXPECT_EQ(field(line, "published"), 8192);
	EXPECT_EQ(field(line, "consumed"), 4104);
	EXPECT_EQ(field(line, "slot"), -1);
	line = peer_line(text, id_of(fd), 1);
	EXPECT_EQ(field(line, "pos"), -1);
	EXPECT_EQ(field(line, "lag"), 0);
}

/* Ends of one process; the publisher is in slot 0. */
static int topic_ends(int fd[SLOTS], const char *name)
{
	uint32_t i;

	fd[0] = make_topic(name);
	if (dev_attach(fd[0], SHMIPC_ROLE_PRODUCER) != 0)
		return -1;
	for (i = 1; i < SLOTS; i++) {
		fd[i] = dev_open(name);
		if (dev_attach(fd[i], SHMIPC_ROLE_READER) != (int)i)
			return -1;
	}
	return 0;
}

TEST_F(sample, lag_of_a_topics_subscribers_is_exact)
{
	struct topic_pubs *pub;
	struct topic_subs *sub;
	const char *line;
	int fd[SLOTS];
	uint64_t id;
	char *text;

	NEEDS_TRACING();
	ASSERT_EQ(topic_ends(fd, "sample/topic"), 0);
	id = id_of(fd[0]);
	pub = dev_map(fd[0], TOPIC_PUB_OFF, PAGE, RW);
	sub = dev_map(fd[1], TOPIC_SUB_OFF, 2 * PAGE, RW);
	pub->ctl.tail = 1001;
	pub->ctl.floor = 945;
	pub->line[0].claim = 999ull << SHMIPC_CLAIM_BITS | 2;
	pub->line[0].sent = 999;
	pub->line[0].wait_slot = 2 + 1;
	sub->sub[0].line.state = SHMIPC_POLICY_LOSSLESS | 1 << 16;
	sub->sub[0].line.pos = 990;
	sub->sub[0].line.received = 990;
	sub->sub[0].line.holding = 2;
	sub->sub[1].line.state = SHMIPC_POLICY_LOSSY | 1 << 16;
	sub->sub[1].line.pos = 900;
	sub->sub[1].line.lost = 5;
	/* A group's member that is not taking a message. */
	sub->sub[2].line.state = SHMIPC_POLICY_LOSSLESS | 64 << 8 | 1 << 16;
	sub->sub[2].line.pos = SHMIPC_POS_NONE;
	sub->group[63].cursor = 951;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	line = segment_line(text, id);
	EXPECT_EQ(field(line, "kind"), SHMIPC_KIND_TOPIC);
	EXPECT_EQ(field(line, "published"), 1001);
	EXPECT_EQ(field(line, "consumed"), 945);
	EXPECT_EQ(field(line, "messages"), 1001);
	EXPECT_EQ(field(line, "capacity"), TOPIC_ENTRIES);
	EXPECT_EQ(field(line, "lag"), 101);
	EXPECT_EQ(field(line, "slot"), 2);
	line = peer_line(text, id, 0);
	EXPECT_EQ(field(line, "pos"), 999);
	EXPECT_EQ(field(line, "lag"), 2);
	EXPECT_EQ(field(line, "messages"), 999);
	EXPECT_EQ(field(line, "waits_for"), 2);
	line = peer_line(text, id, 1);
	EXPECT_EQ(field(line, "lag"), 11);
	EXPECT_EQ(field(line, "behind"), 11);
	EXPECT_EQ(field(line, "holding"), 2);
	EXPECT_EQ(field(line, "messages"), 990);
	EXPECT_EQ(field(line, "policy"), SHMIPC_POLICY_LOSSLESS);
	EXPECT_EQ(field(line, "waits_for"), -1);
	line = peer_line(text, id, 2);
	EXPECT_EQ(field(line, "lag"), 101);
	EXPECT_EQ(field(line, "lost"), 5);
	line = peer_line(text, id, 3);
	EXPECT_EQ(field(line, "pos"), 950);
	EXPECT_EQ(field(line, "lag"), 51);
	EXPECT_EQ(field(line, "group"), 64);

	/* The tail is lent to the publisher; then to one that cannot exist. */
	pub->line[0].next = 1010;
	pub->ctl.tail = SHMIPC_TAIL_LENT | SHMIPC_TAIL_RECALLED | 1005ull << SHMIPC_TAIL_START;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	EXPECT_EQ(field(segment_line(text, id), "published"), 1010);
	EXPECT_EQ(field(segment_line(text, id), "messages"), 1010);
	EXPECT_EQ(field(peer_line(text, id, 1), "lag"), 20);
	pub->ctl.tail = SHMIPC_TAIL_LENT | 1005ull << SHMIPC_TAIL_START | SHMIPC_TAIL_SLOT;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	EXPECT_EQ(field(segment_line(text, id), "published"), 1005);
	EXPECT_EQ(field(peer_line(text, id, 1), "lag"), 15);

	/* A publisher without a claim, and a group's member without a position. */
	pub->line[0].claim = SHMIPC_CLAIM_NONE;
	sub->group[63].cursor = 0;
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	EXPECT_EQ(field(peer_line(text, id, 0), "pos"), -1);
	EXPECT_EQ(field(peer_line(text, id, 3), "pos"), -1);
	EXPECT_EQ(field(peer_line(text, id, 3), "lag"), 0);
}

/* A creator may describe a topic that does not exist, and may change the description. */
TEST_F(sample, a_false_topic_does_no_harm)
{
	static const uint64_t bad[] = { 0, 1, 4, 8, PAGE - 8, 5 * PAGE, 1 << 24, 1ull << 40,
					UINT64_MAX - 7, UINT64_MAX };
	struct shmipc_topic_hdr h;
	int fd[sizeof(bad) / sizeof(bad[0]) * 4], n = 0, reader;
	size_t i, j;

	NEEDS_TRACING();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (j = 0; j < 4; j++) {
			topic_hdr_init(&h);
			if (j == 0)
				h.pub_off = bad[i];
			else if (j == 1)
				h.sub_off = bad[i];
			else if (j == 2)
				h.holds = (uint32_t)bad[i];
			else
				h.subs = (uint32_t)bad[i];
			fd[n] = make_topic_of(NULL, &h);
			ASSERT_GE(fd[n], 0);
			ASSERT_EQ(dev_attach(fd[n], SHMIPC_ROLE_READER), 0);
			n++;
		}
	}
	reader = dev_create("sample/raw", PAGE);
	ASSERT_EQ(dev_attach(reader, SHMIPC_ROLE_READER), 0);
	EXPECT_NE(a_few_samples(), NULL);
	while (n--)
		close(fd[n]);
}

TEST_F(sample, any_bytes_in_the_shared_pages_do_no_harm)
{
	unsigned int seed = (unsigned int)now_ns();
	uint64_t *pub, *sub;
	int fd[SLOTS], i;
	size_t j;

	NEEDS_TRACING();
	TH_LOG("seed %u", seed);
	ASSERT_EQ(topic_ends(fd, "sample/noise"), 0);
	pub = dev_map(fd[0], TOPIC_PUB_OFF, PAGE, RW);
	sub = dev_map(fd[1], TOPIC_SUB_OFF, 2 * PAGE, RW);
	ASSERT_EQ(spit(ON_SEGMENTS, "1"), 0);
	ASSERT_EQ(spit(ON_PEERS, "1"), 0);
	for (i = 0; i < 20; i++) {
		for (j = 0; j < PAGE / 8; j++) {
			pub[j] = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 64);
			sub[j] = (uint64_t)rand_r(&seed) << (rand_r(&seed) % 64);
			sub[PAGE / 8 + j] = ~(uint64_t)rand_r(&seed);
		}
		ASSERT_EQ(sampler_await_ticks(1), 0);
	}
}

TEST_F_TIMEOUT(sample, the_rate_can_be_changed_and_is_checked, 40)
{
	static const char *const bad[] = { "0", "10001", "-1", "fast", "1.5", "99999999999" };
	size_t i;

	NEEDS_TRACING();
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_EQ(spit(SAMPLE_HZ, bad[i]), -EINVAL);
	EXPECT_EQ(sampler("hz"), 1000);
	EXPECT_EQ(spit(SAMPLE_HZ, "1"), 0);
	ASSERT_EQ(spit(ON_SEGMENTS, "1"), 0);
	EXPECT_EQ(sampler("hz"), 1);
	/* At the old rate this would take ten minutes. */
	EXPECT_EQ(spit(SAMPLE_HZ, "10000"), 0);
	EXPECT_EQ(sampler_await_ticks(600), 0);
	EXPECT_STREQ(slurp(SAMPLE_HZ), "10000\n");
}

/* With more work than its share of a CPU it skips ticks, but visits all segments. */
TEST_F_TIMEOUT(sample, a_high_rate_with_many_segments_continues, 60)
{
	int fd[16][SLOTS], i, j;
	long long peers;
	char name[32];

	NEEDS_TRACING();
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "sample/much%d", i);
		ASSERT_EQ(topic_ends(fd[i], name), 0);
	}
	ASSERT_EQ(spit(SAMPLE_HZ, "10000"), 0);
	ASSERT_EQ(spit(ON_SEGMENTS, "1"), 0);
	ASSERT_EQ(spit(ON_PEERS, "1"), 0);
	peers = sampler("peers");
	EXPECT_EQ(sampler_await_ticks(50), 0);
	EXPECT_GE(sampler("peers") - peers, 50 * 16 * SLOTS);
	for (i = 0; i < 16; i++)
		for (j = 0; j < (int)SLOTS; j++)
			close(fd[i][j]);
}

/* Number of lines that contain @a and @b. */
static int lines_with(const char *text, const char *a, const char *b)
{
	static char line[1024];
	const char *end;
	int n = 0;

	for (; (end = strchr(text, '\n')); text = end + 1) {
		snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
		n += strstr(line, a) && strstr(line, b);
	}
	return n;
}

/* More peers than it visits at a time, with free slots between them. */
TEST_F_TIMEOUT(sample, each_of_many_peers_is_reported_once_per_round, 60)
{
	struct shmipc_dev_attach a = { .size = sizeof(a), .role = SHMIPC_ROLE_READER };
	int fd[200], rounds, told, slot;
	char word[32], at[64];
	struct make m;
	uint64_t id;
	char *text;

	NEEDS_TRACING();
	make_init(&m, "sample/many", PAGE);
	m.req.peers = 400;
	m.req.nregions = 0;
	m.req.data_off += SHMIPC_DEV_BODY_OFF(400) - RING_OFF;
	m.req.role_max[SHMIPC_ROLE_READER] = 200;
	for (slot = 0; slot < 200; slot++) {
		fd[slot] = slot ? dev_open("sample/many") : dev_make(&m);
		ASSERT_GE(fd[slot], 0);
		a.slot_min = a.slot_max = (uint32_t)(2 * slot + 1);
		ASSERT_EQ(dev_ioctl(fd[slot], SHMIPC_IOC_ATTACH, &a), 0);
	}
	id = id_of(fd[0]);
	text = a_few_samples();
	ASSERT_NE(text, NULL);
	snprintf(word, sizeof(word), "id=%016llx", (unsigned long long)id);
	rounds = lines_with(text, "shmipc_sample: ", word);
	EXPECT_GE(rounds, 2);
	for (slot = 1; slot < 400; slot += 2) {
		snprintf(at, sizeof(at), "%s slot=%d ", word, slot);
		told = lines_with(text, "shmipc_sample_peer: ", at);
		/* The listener may have started or stopped in the middle of a round. */
		EXPECT_LE(abs(told - rounds), 1) {
			TH_LOG("slot %d: reported %d times in %d rounds", slot, told, rounds);
		}
	}
	EXPECT_EQ(field(segment_line(text, id), "attached"), 200);
	for (slot = 0; slot < 200; slot++)
		close(fd[slot]);
}

/* Listen as perf does, until killed. */
static int listen_by_perf(void)
{
	char *text = slurp(EVENTS "shmipc_sample/id");
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr),
					.sample_period = 1, .config = text ? strtoull(text, NULL, 10) : 0 };

	return (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

TEST_F(sample, stops_when_the_listener_is_killed_and_keeps_the_module_until_then)
{
	struct gate g;
	int status;
	pid_t pid;

	NEEDS_TRACING();
	ASSERT_EQ(access(MODULE, R_OK), 0);
	gate_make(&g);
	pid = fork();
	if (!pid) {
		gate_tell(g.to_parent[1], listen_by_perf() < 0 ? 'n' : 'y');
		gate_hear(g.to_child[0]);
		_exit(0);
	}
	if (gate_hear(g.to_parent[0]) != 'y') {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		SKIP(return, "no perf events");
	}
	EXPECT_EQ(sampler("running"), 1);
	EXPECT_EQ(sampler_await_ticks(2), 0);
	EXPECT_EQ(module_remove(), -EAGAIN);
	kill(pid, SIGKILL);
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(sampler_await_running(0), 0);
	EXPECT_FALSE(timer_waits());
	gate_close(&g);
}

/* Segments and peers of all kinds appear, are sampled, and die. */
static void come_and_go(unsigned int seed, int rounds)
{
	char name[32];
	int fd, i;

	for (i = 0; i < rounds; i++) {
		snprintf(name, sizeof(name), "sample/live%d", rand_r(&seed) % 4);
		fd = rand_r(&seed) % 2 ? make_topic(name) : make_ring(name);
		if (fd < 0)
			fd = dev_open(name);
		if (fd < 0)
			continue;
		dev_attach(fd, 1 + (uint32_t)rand_r(&seed) % 3);
		sched_yield();
		if (rand_r(&seed) % 16 == 0)
			_exit(0);
		if (rand_r(&seed) % 4)
			dev_detach(fd);
		if (fd > 20)
			_exit(0);
		if (rand_r(&seed) % 4)
			close(fd);
	}
	_exit(0);
}

TEST_F_TIMEOUT(sample, samples_segments_that_die, 120)
{
	unsigned int seed = (unsigned int)now_ns(), n;
	long long before = sampler("segments");
	int status;

	NEEDS_TRACING();
	TH_LOG("seed %u", seed);
	ASSERT_EQ(spit(SAMPLE_HZ, "10000"), 0);
	ASSERT_EQ(spit(ON_SEGMENTS, "1"), 0);
	ASSERT_EQ(spit(ON_PEERS, "1"), 0);
	for (n = 0; n < 150; n++) {
		if (!fork())
			come_and_go(seed + n, 30);
		if (n >= 3)
			wait(&status);
	}
	while (wait(&status) > 0)
		;
	TH_LOG("sampled %lld segments", sampler("segments") - before);
	EXPECT_GT(sampler("segments"), before);
}

/*
 * Switch tracing on and off, whether or not the module is loaded. By name: on 6.1 an
 * open() of an event's own file races with its removal, for any module.
 */
static void toggle(unsigned int seed)
{
	static const char *const what[] = { "shmipc:*", "shmipc:shmipc_sample",
					    "shmipc:shmipc_sample_peer", "!shmipc:*" };
	static const char *const hz[] = { "1", "1000", "10000" };
	int i, fd = open(TRACE "set_event", O_WRONLY | O_APPEND);
	const char *event;

	for (i = 0; i < 6; i++) {
		event = what[rand_r(&seed) % 4];
		if (write(fd, event, strlen(event)) < 0 && errno == EBADF)
			_exit(1);
		(void)spit(SAMPLE_HZ, hz[rand_r(&seed) % 3]);
		sched_yield();
	}
	_exit(0);
}

TEST_F_TIMEOUT(sample, the_module_is_loaded_and_unloaded_while_traced, 600)
{
	unsigned int seed = (unsigned int)now_ns(), n;
	int status, removed = 0, traced = 0, err;

	NEEDS_TRACING();
	ASSERT_EQ(access(MODULE, R_OK), 0);
	TH_LOG("seed %u", seed);
	for (n = 0; n < 200; n++) {
		if (!fork()) {
			if (n % 2)
				toggle(seed + n);
			come_and_go(seed + n, 20);
		}
		if (n >= 3)
			wait(&status);
		(void)spit(ON_PEERS, "1");
		traced += sampler("running") == 1;
		err = module_remove();
		if (!err) {
			removed++;
			ASSERT_EQ(module_insert(), 0);
		} else {
			ASSERT_EQ(err, -EAGAIN);
		}
	}
	while (wait(&status) > 0)
		;
	/* At least once, with all events on. */
	ASSERT_EQ(spit(EVENTS "enable", "1"), 0);
	EXPECT_EQ(sampler_await_ticks(1), 0);
	ASSERT_EQ(module_remove(), 0);
	EXPECT_FALSE(timer_waits());
	ASSERT_EQ(module_insert(), 0);
	EXPECT_EQ(sampler("running"), 0);
	TH_LOG("removed %d times, traced %d times", removed, traced);
	EXPECT_GT(removed, 0);
	EXPECT_GT(traced, 0);
}

TEST_HARNESS_MAIN
