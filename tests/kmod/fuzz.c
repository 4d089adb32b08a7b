// SPDX-License-Identifier: MIT
/*
 * Random ioctls and mappings, from several processes at once, for some time.
 *
 * A single call only has to return. Afterwards there must be no segment, no memory and no
 * sleeper, and no warning of the kernel. SHMIPC_FUZZ_SEED and SHMIPC_FUZZ_SECONDS (default
 * 20) repeat a run.
 */
#include "seal.h"

#define FILES	8
#define MAPS	8
#define WORKERS	4

struct state {
	unsigned int seed;
	int dev;		/* open for reading and writing, or only for reading */
	int fd[FILES];
	struct {
		char *at;
		size_t bytes;
		int prot;
	} map[MAPS];
	struct make m;
	char scratch[8192];
};

static uint32_t rnd(struct state *s, uint32_t below)
{
	return (uint32_t)rand_r(&s->seed) % below;
}

/* Values at limits. */
static uint64_t odd_value(struct state *s)
{
	static const uint64_t v[] = {
		0, 1, 2, 3, 4, 7, 8, 64, 4095, 4096, 4097, RING_OFF, PROD_OFF, CONS_OFF,
		SMALL_DATA_OFF, SMALL_DATA_OFF + PAGE, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + PAGE,
		4 * MIB, 1ull << 31, UINT32_MAX, 1ull << 40, 1ull << 63, UINT64_MAX - 4095, UINT64_MAX,
	};

	return rnd(s, 4) ? v[rnd(s, sizeof(v) / sizeof(v[0]))] :
			   (uint64_t)rand_r(&s->seed) << 31 ^ (uint64_t)rand_r(&s->seed);
}

static void *odd_pointer(struct state *s)
{
	switch (rnd(s, 8)) {
	case 0:
		return NULL;
	case 1:
		return (void *)(uintptr_t)odd_value(s);
	case 2:
		return s->map[rnd(s, MAPS)].at;
	default:
		return s->scratch + 8 * rnd(s, 64);
	}
}

static const char *name(struct state *s)
{
	static const char *const names[] = { "fuzz/a", "fuzz/b", "fuzz/c" };

	return names[rnd(s, 3)];
}

/* A slot gets a new descriptor; a device's descriptor is among them now and then. */
static void keep(struct state *s, int fd)
{
	uint32_t i = rnd(s, FILES);

	if (fd < 0)
		return;
	close(s->fd[i]);
	s->fd[i] = fd;
}

static void do_create(struct state *s, int fd)
{
	struct make *m = &s->m;
	unsigned char *bytes = (unsigned char *)&m->req;
	uint64_t v;

	make_init(m, rnd(s, 4) ? name(s) : NULL, rnd(s, 4) ? PAGE * (1 + rnd(s, 8)) : 2 * MIB);
	if (rnd(s, 16) == 0)
		m->req.flags |= SHMIPC_DEV_PERSISTENT;
	if (rnd(s, 3) == 0)
		m->region[2].roles |= ROLE(NONE);
	if (rnd(s, 2))
		make_reserved(m, rnd(s, 2) ? 0 : PAGE * rnd(s, 8));
	if (rnd(s, 4) == 0)
		m->req.role_max[SHMIPC_ROLE_PRODUCER] = SLOTS;
	if (rnd(s, 2)) {
		m->req.flags |= SHMIPC_DEV_SEALS;
		m->req.seal_words = RING_OFF;	/* which no role may write */
		m->req.seal_off = m->req.data_off;
		m->req.seal_bytes = m->req.data_bytes;
		m->req.seal_unit = PAGE;
	}
	/* Usually valid; sometimes one field is not. */
	if (rnd(s, 3) == 0) {
		v = odd_value(s);
		memcpy(bytes + 4 * rnd(s, sizeof(m->req) / 4 - 1), &v, rnd(s, 2) ? 4 : 8);
	}
	if (m->req.data_bytes > 64 * MIB && m->req.data_bytes < 1ull << 44)
		return;		/* would only test how long zeroing takes */
	keep(s, fd_ioctl(rnd(s, 16) ? s->dev : fd, SHMIPC_IOC_CREATE, &m->req));
}

static void do_random(struct state *s, int fd)
{
	unsigned long cmd = _IO(SHMIPC_IOC_MAGIC, rnd(s, 24));
	uint64_t *p = (uint64_t *)(void *)s->scratch;
	uint32_t i;

	if (cmd == SHMIPC_IOC_CREATE)
		return;
	for (i = 0; i < 32; i++)
		p[i] = odd_value(s);
	*(uint32_t *)(void *)s->scratch = rnd(s, 4) ? 8 + 8 * rnd(s, 40) : (uint32_t)odd_value(s);
	if (cmd == SHMIPC_IOC_WAIT)	/* a bounded sleep */
		((struct shmipc_dev_wait *)(void *)s->scratch)->deadline_ns = now_ns() + rnd(s, 100000);
	keep(s, fd_ioctl(rnd(s, 4) ? fd : s->dev, cmd, rnd(s, 8) ? s->scratch : odd_pointer(s)) ?: -1);
}

static void do_map(struct state *s, int fd)
{
	static const int prot[] = { PROT_READ, PROT_READ | PROT_WRITE, PROT_NONE, PROT_WRITE,
				    PROT_READ | PROT_EXEC };
	static const uint64_t at[] = { 0, PAGE, RING_OFF, PROD_OFF, CONS_OFF, SMALL_DATA_OFF, 2 * MIB };
	uint32_t i = rnd(s, MAPS);
	size_t bytes = rnd(s, 2) ? PAGE : rnd(s, 2) ? 2 * MIB : SMALL_DATA_OFF + PAGE;
	int p = prot[rnd(s, rnd(s, 3) ? 2 : 5)];
	void *got;

	if (s->map[i].at)
		munmap(s->map[i].at, s->map[i].bytes);
	got = mmap(NULL, bytes, p, rnd(s, 8) ? MAP_SHARED : MAP_PRIVATE, fd,
		   (off_t)(rnd(s, 8) ? at[rnd(s, 7)] : odd_value(s) & ~4095ull));
	s->map[i].at = got == MAP_FAILED ? NULL : got;
	s->map[i].bytes = bytes;
	s->map[i].prot = p;
}

/* Touch, split, move, advise: operations on a mapping. */
static void do_mapped(struct state *s)
{
	uint32_t i = rnd(s, MAPS);
	char *p = s->map[i].at;
	size_t n = s->map[i].bytes;
	int null = -1;

	if (!p)
		return;
	switch (rnd(s, 7)) {
	case 0:	/* by the kernel: a hole gives EFAULT, not a signal */
		null = open("/dev/zero", O_RDWR);
		if (s->map[i].prot & PROT_WRITE)
			(void)!read(null, p, n > 65536 ? 65536 : n);
		close(null);
		break;
	case 1:
		(void)mprotect(p, PAGE, (int)rnd(s, 8));
		break;
	case 2:
		(void)madvise(p + PAGE * rnd(s, (uint32_t)(n / PAGE)), PAGE, (int)rnd(s, 26));
		break;
	case 3:
		(void)munmap(p + PAGE * rnd(s, (uint32_t)(n / PAGE)), PAGE);
		break;
	case 4:
		(void)mremap(p, n, rnd(s, 2) ? n : n + PAGE, 0);
		break;
	case 5:
		(void)msync(p, PAGE, MS_SYNC);
		break;
	default:
		(void)mlock(p, PAGE);
	}
}

/* Usually a part of the data; often from a peer that has it mapped. */
static void do_commit(struct state *s, int fd)
{
	uint64_t off = rnd(s, 2) ? SMALL_DATA_OFF : 2 * MIB, bytes = PAGE * (1 + rnd(s, 8));

	switch (rnd(s, 8)) {
	case 0:
		off = odd_value(s);
		break;
	case 1:
		bytes = odd_value(s);
		break;
	case 2:
	case 3:
		off = 2 * MIB;
		bytes = 2 * MIB;
		break;
	default:
		off += PAGE * rnd(s, 8);
	}
	(void)dev_commit_flags(fd, off, bytes, rnd(s, 3));
}

/* Likewise. */
static void do_seal(struct state *s, int fd)
{
	uint64_t off = rnd(s, 4) ? SMALL_DATA_OFF : 2 * MIB, bytes = PAGE * (1 + rnd(s, 8));

	if (rnd(s, 8) == 0)
		off = odd_value(s);
	else
		off += PAGE * rnd(s, 8);
	if (rnd(s, 8) == 0)
		bytes = odd_value(s);
	if (rnd(s, 2))
		(void)dev_seal(fd, off, bytes, NULL);
	else
		(void)dev_unseal(fd, off, bytes);
}

/* Other workers die all the time. */
static void do_deaths(struct state *s, int fd)
{
	struct shmipc_dev_death d[4];

	(void)dev_deaths(fd, rnd(s, 2) ? rnd(s, 100) : odd_value(s), d, rnd(s, 5), NULL);
}

/* Usually a peer that exists, possibly ourselves. */
static void do_fence(struct state *s, int fd)
{
	struct shmipc_dev_peer peer = { 0 };
	uint32_t slot = rnd(s, SLOTS);

	(void)dev_peer(fd, slot, &peer);
	(void)dev_fence_flags(fd, slot, rnd(s, 8) ? peer.generation : odd_value(s),
			      rnd(s, 2) ? 0 : now_ns() + rnd(s, 100000),
			      rnd(s, 4) ? SHMIPC_DEV_FENCE_PINNED : 0);
}

static void do_good(struct state *s, int fd)
{
	switch (rnd(s, 14)) {
	case 0:
		do_create(s, fd);
		break;
	case 1:
		keep(s, name_ioctl(rnd(s, 16) ? s->dev : fd, SHMIPC_IOC_OPEN, name(s)));
		break;
	case 2:
		(void)name_ioctl(rnd(s, 2) ? s->dev : fd, SHMIPC_IOC_UNLINK, name(s));
		break;
	case 3:
		(void)dev_attach(fd, rnd(s, 4));
		break;
	case 4:
		(void)dev_detach(fd);
		break;
	case 5:
		(void)dev_wake(fd, SMALL_DATA_OFF + 4 * rnd(s, 4), rnd(s, 3));
		break;
	case 6:
		(void)dev_wait(fd, SMALL_DATA_OFF + 4 * rnd(s, 4), 0, SHMIPC_DEV_NO_PEER, 0, rnd(s, 2),
			       now_ns() + rnd(s, 50000));
		break;
	case 7:
	case 8:
		do_commit(s, fd);
		break;
	case 9:
		do_deaths(s, fd);
		break;
	case 10:
		do_fence(s, fd);
		break;
	case 11:
	case 12:
		do_seal(s, fd);
		break;
	default:
		keep(s, dev_join(fd, rnd(s, 4) ? 0 : SHMIPC_DEV_READ_ONLY));
	}
}

static void step(struct state *s)
{
	uint32_t i = rnd(s, FILES);
	struct pollfd p;

	switch (rnd(s, 10)) {
	case 0:
		close(s->dev);
		s->dev = open(SHMIPC_DEVICE, rnd(s, 4) ? O_RDWR : O_RDONLY);
		keep(s, rnd(s, 8) ? dup(s->dev) : dup(s->fd[i]));
		break;
	case 1:
		do_random(s, s->fd[i]);
		break;
	case 2:
	case 3:
		do_map(s, s->fd[i]);
		break;
	case 4:
		do_mapped(s);
		break;
	case 5:
		p = (struct pollfd){ .fd = s->fd[i], .events = (short)rnd(s, 65536) };
		(void)poll(&p, 1, 0);
		break;
	default:
		do_good(s, s->fd[i]);
	}
}

/* Ends when killed, or by itself; both ends are tested. */
static void worker(unsigned int seed, uint64_t end)
{
	struct state *s = calloc(1, sizeof(*s));
	uint64_t quit = 200 + seed % 3000;
	int i;

	s->seed = seed;
	s->dev = dev_file();
	for (i = 0; i < FILES; i++)
		s->fd[i] = dev_file();
	while (now_ns() < end && quit--)
		step(s);
	_exit(0);
}

FIXTURE(fuzz) {
	struct shmipc_dev_info before;
};

FIXTURE_SETUP(fuzz)
{
	ASSERT_EQ(dev_info(&self->before), 0);
}

FIXTURE_TEARDOWN(fuzz)
{
}

/* Also names that come from a random length or pointer, such as "fuzz". */
static void unlink_all(void)
{
	struct shmipc_dev_stat s = { .size = sizeof(s) };
	struct shmipc_dev_list r = { .size = sizeof(r), .stat = (uintptr_t)&s };
	int fd = dev_file();

	while (!dev_ioctl(fd, SHMIPC_IOC_LIST, &r))
		if (name_ioctl(fd, SHMIPC_IOC_UNLINK, s.name))
			break;
	close(fd);
}

TEST_F_TIMEOUT(fuzz, random_calls_leave_nothing_behind, 3600)
{
	const char *env = getenv("SHMIPC_FUZZ_SEED"), *secs = getenv("SHMIPC_FUZZ_SECONDS");
	unsigned int seed = env ? (unsigned int)strtoul(env, NULL, 10) : (unsigned int)now_ns();
	uint64_t end = now_ns() + 1000000000ull * (secs ? strtoul(secs, NULL, 10) : 20);
	struct shmipc_dev_info after;
	unsigned int n = 0;
	pid_t pid[WORKERS] = { 0 };
	int i, status;

	TH_LOG("seed %u", seed);
	while (now_ns() < end) {
		i = (int)(n % WORKERS);
		if (pid[i]) {
			if (n % 3)
				kill(pid[i], SIGKILL);
			ASSERT_EQ(waitpid(pid[i], &status, 0), pid[i]);
		}
		pid[i] = fork();
		if (!pid[i])
			worker(seed + n, end);
		n++;
		poll(NULL, 0, 5);
	}
	for (i = 0; i < WORKERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], &status, 0);
	}
	TH_LOG("%u processes", n);
	unlink_all();
	ASSERT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_segs, self->before.total_segs);
	EXPECT_EQ(after.total_bytes, self->before.total_bytes);
}

TEST_HARNESS_MAIN
