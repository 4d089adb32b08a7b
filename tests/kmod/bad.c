// SPDX-License-Identifier: MIT
/* Invalid input: the right errno, and no effect. */
#include "dev.h"

#define RW (PROT_READ | PROT_WRITE)

/* Every ioctl with a request that succeeds, to be corrupted one field at a time. */
union any {
	uint32_t size;
	struct shmipc_dev_info info;
	struct shmipc_dev_create create;
	struct shmipc_dev_name name;
	struct shmipc_dev_list list;
	struct shmipc_dev_join join;
	struct shmipc_dev_stat stat;
	struct shmipc_dev_attach attach;
	struct shmipc_dev_detach detach;
	struct shmipc_dev_wait wait;
	struct shmipc_dev_wake wake;
	struct shmipc_dev_poll poll;
	struct shmipc_dev_peers peers;
	struct shmipc_dev_deaths deaths;
	struct shmipc_dev_pages pages;
	struct shmipc_dev_commit commit;
	struct shmipc_dev_fence fence;
	struct shmipc_dev_seal seal;
	unsigned char bytes[8192];
};

static const struct {
	const char *name;
	unsigned long cmd;
	uint32_t size;
	bool bound;		/* is one of a segment's descriptor */
} ioctls[] = {
	{ "INFO", SHMIPC_IOC_INFO, sizeof(struct shmipc_dev_info), false },
	{ "CREATE", SHMIPC_IOC_CREATE, sizeof(struct shmipc_dev_create), false },
	{ "OPEN", SHMIPC_IOC_OPEN, sizeof(struct shmipc_dev_name), false },
	{ "UNLINK", SHMIPC_IOC_UNLINK, sizeof(struct shmipc_dev_name), false },
	{ "LIST", SHMIPC_IOC_LIST, sizeof(struct shmipc_dev_list), false },
	{ "JOIN", SHMIPC_IOC_JOIN, sizeof(struct shmipc_dev_join), true },
	{ "STAT", SHMIPC_IOC_STAT, sizeof(struct shmipc_dev_stat), true },
	{ "ATTACH", SHMIPC_IOC_ATTACH, sizeof(struct shmipc_dev_attach), true },
	{ "DETACH", SHMIPC_IOC_DETACH, sizeof(struct shmipc_dev_detach), true },
	{ "WAIT", SHMIPC_IOC_WAIT, sizeof(struct shmipc_dev_wait), true },
	{ "WAKE", SHMIPC_IOC_WAKE, sizeof(struct shmipc_dev_wake), true },
	{ "POLL_SET", SHMIPC_IOC_POLL_SET, sizeof(struct shmipc_dev_poll), true },
	{ "PEERS", SHMIPC_IOC_PEERS, sizeof(struct shmipc_dev_peers), true },
	{ "DEATHS", SHMIPC_IOC_DEATHS, sizeof(struct shmipc_dev_deaths), true },
	{ "PAGES", SHMIPC_IOC_PAGES, sizeof(struct shmipc_dev_pages), true },
	{ "COMMIT", SHMIPC_IOC_COMMIT, sizeof(struct shmipc_dev_commit), true },
	{ "FENCE", SHMIPC_IOC_FENCE, sizeof(struct shmipc_dev_fence), true },
	{ "SEAL", SHMIPC_IOC_SEAL, sizeof(struct shmipc_dev_seal), true },
};

#define N_IOCTLS (sizeof(ioctls) / sizeof(ioctls[0]))

FIXTURE(bad) {
	struct shmipc_dev_info before;
	struct make m;
	struct shmipc_dev_stat stat;
	int fd;		/* of a segment */
	int dev;
};

FIXTURE_SETUP(bad)
{
	ASSERT_EQ(dev_info(&self->before), 0);
	self->dev = dev_file();
	self->fd = dev_create("bad/fixture", PAGE);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(bad)
{
	struct shmipc_dev_info after;

	close(self->dev);
	close(self->fd);
	EXPECT_EQ(dev_info(&after), 0);
	EXPECT_EQ(after.total_segs, self->before.total_segs);
	EXPECT_EQ(after.total_bytes, self->before.total_bytes);
}

/* A request of ioctl @i that would succeed. */
static void good(union any *a, unsigned int i, struct make *m, struct shmipc_dev_stat *s)
{
	memset(a, 0, sizeof(*a));
	switch (ioctls[i].cmd) {
	case SHMIPC_IOC_CREATE:
		make_init(m, "bad/create", PAGE);
		a->create = m->req;
		break;
	case SHMIPC_IOC_OPEN:
	case SHMIPC_IOC_UNLINK:
		a->name.name = (uintptr_t)"bad/fixture";
		a->name.name_len = 11;
		break;
	case SHMIPC_IOC_LIST:
		memset(s, 0, sizeof(*s));
		s->size = sizeof(*s);
		a->list.stat = (uintptr_t)s;
		break;
	case SHMIPC_IOC_ATTACH:
		a->attach.role = SHMIPC_ROLE_READER;
		break;
	case SHMIPC_IOC_WAIT:
		a->wait.peer = SHMIPC_DEV_NO_PEER;
		a->wait.off = SMALL_DATA_OFF;
		a->wait.val = 1;
		break;
	case SHMIPC_IOC_WAKE:
		a->wake.off = SMALL_DATA_OFF;
		break;
	case SHMIPC_IOC_POLL_SET:
		a->poll.peer = SHMIPC_DEV_NO_PEER;
		break;
	case SHMIPC_IOC_PEERS:
		a->peers.peer_bytes = sizeof(struct shmipc_dev_peer);
		break;
	case SHMIPC_IOC_DEATHS:
		a->deaths.death_bytes = sizeof(struct shmipc_dev_death);
		break;
	case SHMIPC_IOC_COMMIT:
		a->commit.off = SMALL_DATA_OFF;
		a->commit.bytes = PAGE;
		break;
	}
	a->size = ioctls[i].size;
}

/* Run ioctl @i on a descriptor that suits it, and return its result. Undoes its effect. */
static int try_ioctl(int dev, int fd, unsigned int i, union any *a)
{
	struct shmipc_dev_peer peer;
	int ret;

	if (ioctls[i].cmd == SHMIPC_IOC_DETACH || ioctls[i].cmd == SHMIPC_IOC_FENCE)
		dev_attach(fd, SHMIPC_ROLE_READER);
	if (ioctls[i].cmd == SHMIPC_IOC_FENCE && !dev_peer(fd, 0, &peer))
		a->fence.generation = peer.generation;
	if (ioctls[i].cmd == SHMIPC_IOC_COMMIT)
		dev_attach(fd, SHMIPC_ROLE_PRODUCER);
	ret = fd_ioctl(ioctls[i].bound ? fd : dev, ioctls[i].cmd, a);
	if (ioctls[i].cmd == SHMIPC_IOC_ATTACH || ioctls[i].cmd == SHMIPC_IOC_DETACH ||
	    ioctls[i].cmd == SHMIPC_IOC_COMMIT || ioctls[i].cmd == SHMIPC_IOC_FENCE)
		dev_detach(fd);
	if (ret > 0)
		close(ret);
	return ret > 0 ? 0 : ret;
}

/* The result of a valid request. */
static int good_result(unsigned int i)
{
	if (ioctls[i].cmd == SHMIPC_IOC_SEAL)
		return -EOPNOTSUPP;	/* the fixture's segment has none */
	return ioctls[i].cmd == SHMIPC_IOC_WAIT ? -EAGAIN : 0;
}

/* Size of its struct in the first version. */
static uint32_t first_size(unsigned int i)
{
	switch (ioctls[i].cmd) {
	case SHMIPC_IOC_INFO:
		return 72;
	case SHMIPC_IOC_CREATE:
		return 152;
	case SHMIPC_IOC_STAT:
		return 336;
	default:
		return ioctls[i].size;
	}
}

TEST_F(bad, sizes_too_small_too_large_and_just_larger)
{
	union any a;
	unsigned int i, n, first;

	for (i = 0; i < N_IOCTLS; i++) {
		TH_LOG("%s", ioctls[i].name);
		if (ioctls[i].cmd == SHMIPC_IOC_UNLINK)
			continue;	/* it has an effect; same code as OPEN */
		good(&a, i, &self->m, &self->stat);
		EXPECT_EQ(try_ioctl(self->dev, self->fd, i, &a), good_result(i));
		first = first_size(i);
		for (n = 0; n < ioctls[i].size; n++) {
			good(&a, i, &self->m, &self->stat);
			a.size = n;
			ASSERT_EQ(try_ioctl(self->dev, self->fd, i, &a), n < first ? -EINVAL : 0);
		}
		/* A newer caller that uses nothing new. */
		good(&a, i, &self->m, &self->stat);
		a.size = ioctls[i].size + 64;
		EXPECT_EQ(try_ioctl(self->dev, self->fd, i, &a), good_result(i));
		good(&a, i, &self->m, &self->stat);
		a.size = ioctls[i].size + 64;
		a.bytes[a.size - 1] = 1;
		EXPECT_EQ(try_ioctl(self->dev, self->fd, i, &a), -E2BIG);
		good(&a, i, &self->m, &self->stat);
		a.size = 4097;
		EXPECT_EQ(try_ioctl(self->dev, self->fd, i, &a), -E2BIG);
		a.size = UINT32_MAX;
		EXPECT_EQ(try_ioctl(self->dev, self->fd, i, &a), -E2BIG);
	}
}

TEST_F(bad, pointers)
{
	char *edge = mmap(NULL, 2 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	union any a;
	unsigned int i;
	int fd;

	munmap(edge + PAGE, PAGE);
	for (i = 0; i < N_IOCTLS; i++) {
		TH_LOG("%s", ioctls[i].name);
		fd = ioctls[i].bound ? self->fd : self->dev;
		EXPECT_EQ(dev_ioctl(fd, ioctls[i].cmd, NULL), -EFAULT);
		EXPECT_EQ(dev_ioctl(fd, ioctls[i].cmd, (void *)-1L), -EFAULT);
		EXPECT_EQ(dev_ioctl(fd, ioctls[i].cmd, (void *)0xffff888000000000), -EFAULT);
		EXPECT_EQ(dev_ioctl(fd, ioctls[i].cmd, edge + PAGE - 2), -EFAULT);
		/* The size can be read, the rest cannot. */
		good(&a, i, &self->m, &self->stat);
		memcpy(edge + PAGE - 4, &a.size, 4);
		EXPECT_EQ(dev_ioctl(fd, ioctls[i].cmd, edge + PAGE - 4), -EFAULT);
	}
}

static int dies_attached(void *arg)
{
	return dev_attach(dev_join(*(int *)arg, 0), SHMIPC_ROLE_PRODUCER);
}

/* Pointers inside the requests. */
TEST_F(bad, inner_pointers)
{
	struct shmipc_dev_deaths deaths = { .size = sizeof(deaths), .count = 1, .deaths = 8,
					    .death_bytes = sizeof(struct shmipc_dev_death) };
	struct shmipc_dev_peers peers = { .size = sizeof(peers), .count = 1, .peers = 8,
					  .peer_bytes = sizeof(struct shmipc_dev_peer) };
	struct shmipc_dev_pages pages = { .size = sizeof(pages), .count = 1, .chunks = 8 };
	struct shmipc_dev_list list = { .size = sizeof(list), .stat = 8 };
	struct shmipc_dev_name name = { .size = sizeof(name), .name = 8, .name_len = 4 };
	struct make m;

	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PEERS, &peers), -EFAULT);
	ASSERT_EQ(in_child(dies_attached, &self->fd), 0);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &deaths), -EFAULT);
	deaths.deaths = UINT64_MAX - 8;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &deaths), -EFAULT);
	deaths.after = 1;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &deaths), 0);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PAGES, &pages), -EFAULT);
	EXPECT_EQ(dev_ioctl(self->dev, SHMIPC_IOC_LIST, &list), -EFAULT);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_UNLINK, &name), -EFAULT);
	make_init(&m, NULL, PAGE);
	m.req.regions = 8;
	EXPECT_EQ(dev_make(&m), -EFAULT);
	make_init(&m, NULL, PAGE);
	m.req.body = 8;
	EXPECT_EQ(dev_make(&m), -EFAULT);
	/* A pointer that wraps around the address space. */
	make_init(&m, NULL, PAGE);
	m.req.body = UINT64_MAX - 100;
	EXPECT_EQ(dev_make(&m), -EFAULT);
}

TEST_F(bad, the_device_itself_is_no_segment)
{
	struct pollfd p = { .fd = self->dev, .events = POLLIN | POLLOUT };
	union any a;
	unsigned int i;

	for (i = 0; i < N_IOCTLS; i++) {
		if (!ioctls[i].bound)
			continue;
		TH_LOG("%s", ioctls[i].name);
		good(&a, i, &self->m, &self->stat);
		EXPECT_EQ(dev_ioctl(self->dev, ioctls[i].cmd, &a), -ENXIO);
	}
	EXPECT_EQ(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->dev, 0), MAP_FAILED);
	EXPECT_EQ(errno, ENODEV);
	/* As any file that cannot be polled. */
	EXPECT_EQ(poll(&p, 1, 0), 1);
	EXPECT_EQ(p.revents, POLLIN | POLLOUT);
	EXPECT_EQ(dev_ioctl(self->dev, _IO(SHMIPC_IOC_MAGIC, 0x7f), &a), -ENOTTY);
	EXPECT_EQ(dev_ioctl(self->dev, 0, &a), -ENOTTY);
	EXPECT_EQ(read(self->dev, &a, 1), -1);
	EXPECT_EQ(write(self->dev, &a, 1), -1);
}

TEST_F(bad, a_segment_is_not_the_device)
{
	union any a;
	unsigned int i;

	for (i = 0; i < N_IOCTLS; i++) {
		if (ioctls[i].bound || ioctls[i].cmd == SHMIPC_IOC_INFO ||
		    ioctls[i].cmd == SHMIPC_IOC_UNLINK)
			continue;
		TH_LOG("%s", ioctls[i].name);
		good(&a, i, &self->m, &self->stat);
		EXPECT_EQ(dev_ioctl(self->fd, ioctls[i].cmd, &a), -ENOTTY);
	}
	EXPECT_EQ(dev_ioctl(self->fd, _IO(SHMIPC_IOC_MAGIC, 0x7f), &a), -ENOTTY);
	EXPECT_EQ(read(self->fd, &a, 1), -1);
	EXPECT_EQ(write(self->fd, &a, 1), -1);
}

/* The type that nsfs and remoteproc use: before interface 3 it was ours, too. */
TEST_F(bad, ioctls_of_other_drivers_and_of_older_programs)
{
	union any a;
	unsigned int i;

	for (i = 0; i < N_IOCTLS; i++) {
		good(&a, i, &self->m, &self->stat);
		EXPECT_EQ(dev_ioctl(self->dev, _IO(0xb7, _IOC_NR(ioctls[i].cmd)), &a), -ENOTTY);
		EXPECT_EQ(dev_ioctl(self->fd, _IO(0xb7, _IOC_NR(ioctls[i].cmd)), &a), -ENOTTY);
	}
}

/* The request can be read but not written: no role is taken. */
TEST_F(bad, results_that_cannot_be_written)
{
	struct shmipc_dev_attach *at = mmap(NULL, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct make *m = mmap(NULL, sizeof(*m), RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct shmipc_dev_stat s;

	*at = (struct shmipc_dev_attach){ .size = sizeof(*at), .role = SHMIPC_ROLE_PRODUCER,
					  .slot_max = SLOTS - 1 };
	ASSERT_EQ(mprotect(at, PAGE, PROT_READ), 0);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_ATTACH, at), -EFAULT);
	ASSERT_EQ(dev_stat(self->fd, &s), 0);
	EXPECT_EQ(s.attached, 0);
	/* Nor is there a segment. */
	make_init(m, "bad/unknown", PAGE);
	m->req.flags = SHMIPC_DEV_PERSISTENT;
	ASSERT_EQ(mprotect(m, sizeof(*m), PROT_READ), 0);
	EXPECT_EQ(fd_ioctl(self->dev, SHMIPC_IOC_CREATE, &m->req), -EFAULT);
	EXPECT_EQ(dev_open("bad/unknown"), -ENOENT);
}

/* Set one field of a request for a segment to an invalid value. */
#define SPOIL(stmt, want)						\
	do {								\
		struct make m;						\
		int got;						\
									\
		make_init(&m, "bad/spoilt", 4 * MIB);			\
		{ stmt; }						\
		got = dev_make(&m);					\
		if (got != (want))					\
			TH_LOG("%s: %d, expected %d", #stmt, got, want);	\
		EXPECT_EQ(got, want);					\
		if (got >= 0)						\
			close(got);					\
	} while (0)

TEST_F(bad, requests_for_a_segment)
{
	SPOIL(m.req.flags = 16, -EINVAL);
	SPOIL(m.req.flags = 1u << 31, -EINVAL);
	SPOIL(m.req.commit_bytes = PAGE, -EINVAL);
	SPOIL(make_reserved(&m, 1), -EINVAL);
	SPOIL(make_reserved(&m, 4 * MIB + PAGE), -EINVAL);
	SPOIL(make_reserved(&m, UINT64_MAX - 4095), -EINVAL);
	SPOIL(m.req.reserved1 = 1, -EINVAL);
	SPOIL(m.req.kind = SHMIPC_KIND_ANY, -EINVAL);
	SPOIL(m.req.mode = 01000, -EINVAL);
	SPOIL(m.req.mode = 04777, -EINVAL);
	SPOIL(m.req.uid = 1, -EINVAL);
	SPOIL(m.req.gid = 1, -EINVAL);
	SPOIL(m.req.node = 1, -EINVAL);
	SPOIL(m.req.flags = SHMIPC_DEV_ON_NODE; m.req.node = -1, -EINVAL);
	SPOIL(m.req.flags = SHMIPC_DEV_ON_NODE; m.req.node = 1 << 30, -EINVAL);
	SPOIL(m.req.flags = SHMIPC_DEV_CHOWN; m.req.uid = UINT32_MAX, -EINVAL);
	SPOIL(m.req.peers = 0, -EINVAL);
	SPOIL(m.req.peers = SHMIPC_DEV_PEERS_MAX + 1, -EINVAL);
	SPOIL(m.req.peers = UINT32_MAX, -EINVAL);
	SPOIL(m.req.nregions = SHMIPC_DEV_REGIONS_MAX + 1, -EINVAL);
	SPOIL(m.req.nregions = UINT32_MAX, -EINVAL);
	SPOIL(m.req.page = 1, -EINVAL);
	SPOIL(m.req.page = 2048, -EINVAL);
	SPOIL(m.req.page = 5000, -EINVAL);
	SPOIL(m.req.page = UINT64_MAX, -EINVAL);
	SPOIL(m.req.data_off = 0, -EINVAL);
	SPOIL(m.req.data_off = SMALL_DATA_OFF - PAGE, -EINVAL);
	SPOIL(m.req.data_off = 2 * MIB + 1, -EINVAL);
	SPOIL(m.req.data_off = 1ull << 40, -EINVAL);
	SPOIL(m.req.data_off = UINT64_MAX - 4095, -EINVAL);
	SPOIL(m.req.data_bytes = 0, -EINVAL);
	SPOIL(m.req.data_bytes = 1, -EINVAL);
	SPOIL(m.req.data_bytes = UINT64_MAX - 4095, -EINVAL);
	SPOIL(m.req.data_bytes = 1ull << 63, -EINVAL);
	SPOIL(m.req.body_bytes = SHMIPC_DEV_BODY_MAX + 1, -EINVAL);
	SPOIL(m.req.body_bytes = UINT64_MAX, -EINVAL);
	SPOIL(m.req.role_max[0] = 1, -EINVAL);
	SPOIL(m.region[0].off = 0, -EINVAL);
	SPOIL(m.region[0].off = SHMIPC_DEV_PEERS_OFF, -EINVAL);
	SPOIL(m.region[0].off = PROD_OFF + 1, -EINVAL);
	SPOIL(m.region[0].off = UINT64_MAX - 4095, -EINVAL);
	SPOIL(m.region[0].bytes = 0, -EINVAL);
	SPOIL(m.region[0].bytes = 1, -EINVAL);
	SPOIL(m.region[0].bytes = UINT64_MAX - 4095, -EINVAL);
	SPOIL(m.region[2].bytes = 4 * MIB + PAGE, -EINVAL);
	SPOIL(m.region[0].roles = 0, -EINVAL);
	SPOIL(m.region[0].roles = 1u << SHMIPC_DEV_ROLES, -EINVAL);
	SPOIL(m.region[0].reserved = 1, -EINVAL);
	EXPECT_EQ(dev_open("bad/spoilt"), -ENOENT);
}

TEST_F(bad, other_requests)
{
	struct shmipc_dev_detach de = { .size = sizeof(de), .reserved = 1 };
	struct shmipc_dev_attach at;
	struct shmipc_dev_wait w;
	struct shmipc_dev_wake k;
	struct shmipc_dev_poll p;
	struct shmipc_dev_pages pg = { .size = sizeof(pg), .off = PAGE };
	struct shmipc_dev_peers pe = { .size = sizeof(pe), .first = SLOTS + 1,
				       .peer_bytes = sizeof(struct shmipc_dev_peer) };

#define AT(...) (at = (struct shmipc_dev_attach){ .size = sizeof(at), __VA_ARGS__ },	\
		 dev_ioctl(self->fd, SHMIPC_IOC_ATTACH, &at))
	EXPECT_EQ(AT(.role = 0), -EINVAL);
	EXPECT_EQ(AT(.role = SHMIPC_DEV_ROLES), -EINVAL);
	EXPECT_EQ(AT(.role = UINT32_MAX), -EINVAL);
	EXPECT_EQ(AT(.role = 5), -EBUSY);	/* no peer may hold it here */
	EXPECT_EQ(AT(.role = 1, .flags = 1), -EINVAL);
	EXPECT_EQ(AT(.role = 1, .reserved = 1), -EINVAL);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DETACH, &de), -EINVAL);
	EXPECT_EQ(AT(.role = 1, .caps = 256), -EINVAL);
	EXPECT_EQ(AT(.role = 1, .slot_min = 1), -EINVAL);
	EXPECT_EQ(AT(.role = 1, .slot_max = SLOTS), -EINVAL);
	EXPECT_EQ(AT(.role = 1, .slot_min = UINT32_MAX, .slot_max = UINT32_MAX), -EINVAL);
#define WT(...) (w = (struct shmipc_dev_wait){ .size = sizeof(w), __VA_ARGS__ },		\
		 dev_ioctl(self->fd, SHMIPC_IOC_WAIT, &w))
	EXPECT_EQ(WT(.off = 1), -EINVAL);
	EXPECT_EQ(WT(.off = SMALL_DATA_OFF + 2), -EINVAL);
	EXPECT_EQ(WT(.off = SMALL_DATA_OFF + PAGE), -EFAULT);
	EXPECT_EQ(WT(.off = UINT64_MAX - 3), -EFAULT);
	EXPECT_EQ(WT(.off = 1ull << 63), -EFAULT);
	EXPECT_EQ(WT(.peer = SLOTS), -EINVAL);
	EXPECT_EQ(WT(.peer = UINT32_MAX - 2), -EINVAL);
	EXPECT_EQ(WT(.flags = 2), -EINVAL);
	EXPECT_EQ(WT(.reserved = 1), -EINVAL);
#define WK(...) (k = (struct shmipc_dev_wake){ .size = sizeof(k), __VA_ARGS__ },		\
		 dev_ioctl(self->fd, SHMIPC_IOC_WAKE, &k))
	EXPECT_EQ(WK(.off = 2), -EINVAL);
	EXPECT_EQ(WK(.off = SMALL_DATA_OFF + PAGE), -EINVAL);
	EXPECT_EQ(WK(.flags = 1), -EINVAL);
	EXPECT_EQ(WK(.n = UINT32_MAX), 0);
#define PL(...) (p = (struct shmipc_dev_poll){ .size = sizeof(p), __VA_ARGS__ },		\
		 dev_ioctl(self->fd, SHMIPC_IOC_POLL_SET, &p))
	EXPECT_EQ(PL(.off = 3), -EINVAL);
	EXPECT_EQ(PL(.off = 1ull << 62), -EFAULT);
	EXPECT_EQ(PL(.peer = SLOTS), -EINVAL);
	EXPECT_EQ(PL(.flags = 2), -EINVAL);
	EXPECT_EQ(PL(.reserved = 1), -EINVAL);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PAGES, &pg), -EINVAL);
	pg.off = 1ull << 62;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PAGES, &pg), -EINVAL);
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PEERS, &pe), -EINVAL);
	pe.first = 0;
	pe.peer_bytes = 8;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PEERS, &pe), -EINVAL);
	EXPECT_EQ(dev_detach(self->fd), -ESRCH);
}

/* A caller that knows more of a peer than the kernel does not read its own old bytes. */
TEST_F(bad, a_larger_struct_for_each_peer)
{
	struct {
		struct shmipc_dev_peer known;
		unsigned char more[40];
	} to[2];
	struct shmipc_dev_peers r = { .size = sizeof(r), .count = 2, .peers = (uintptr_t)to,
				      .peer_bytes = sizeof(to[0]) };
	size_t i, k;

	memset(to, 0xff, sizeof(to));
	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	ASSERT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PEERS, &r), 0);
	EXPECT_EQ(to[0].known.state, SHMIPC_PEER_ATTACHED);
	EXPECT_EQ(to[1].known.slot, 1);
	for (i = 0; i < 2; i++)
		for (k = 0; k < sizeof(to[0].more); k++)
			ASSERT_EQ(to[i].more[k], 0);
	r.peer_bytes = PAGE + 1;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_PEERS, &r), -E2BIG);
	EXPECT_EQ(dev_detach(self->fd), 0);
}

TEST_F(bad, receipts_of_other_sizes)
{
	struct {
		struct shmipc_dev_death known;
		unsigned char more[40];
	} to[2];
	struct shmipc_dev_deaths r = { .size = sizeof(r), .count = UINT32_MAX,
				       .deaths = (uintptr_t)to, .death_bytes = sizeof(to[0]) };
	const unsigned char *byte = (const unsigned char *)&to[1];
	size_t k;

	memset(to, 0xff, sizeof(to));
	ASSERT_EQ(in_child(dies_attached, &self->fd), 0);
	ASSERT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &r), 0);
	EXPECT_EQ(r.count, 1);
	EXPECT_EQ(to[0].known.seq, 1);
	for (k = 0; k < sizeof(to[0].more); k++)
		ASSERT_EQ(to[0].more[k], 0);
	for (k = 0; k < sizeof(to[1]); k++)
		ASSERT_EQ(byte[k], 0xff);
	r.death_bytes = PAGE + 1;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &r), -E2BIG);
	r.death_bytes = UINT32_MAX;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &r), -E2BIG);
	r.death_bytes = sizeof(to[0].known) - 1;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &r), -EINVAL);
	r.death_bytes = 0;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &r), -EINVAL);
	r.death_bytes = sizeof(to[0]);
	r.flags = 1;
	EXPECT_EQ(dev_ioctl(self->fd, SHMIPC_IOC_DEATHS, &r), -EINVAL);
}

TEST_F(bad, ranges_to_commit)
{
	const struct {
		uint64_t off, bytes;
	} t[] = {
		{ SMALL_DATA_OFF, 0 },
		{ SMALL_DATA_OFF, 1 },
		{ SMALL_DATA_OFF + 1, PAGE },
		{ SMALL_DATA_OFF, 2 * PAGE },
		{ SMALL_DATA_OFF + PAGE, PAGE },
		{ SMALL_DATA_OFF, UINT64_MAX - 4095 },
		{ UINT64_MAX - 4095, PAGE },
		{ UINT64_MAX - 4095, 2 * PAGE },
		{ 1ull << 63, 1ull << 63 },
		{ 1ull << 40, PAGE },
	};
	struct shmipc_dev_commit c;
	size_t i;

	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		EXPECT_EQ(dev_commit(self->fd, t[i].off, t[i].bytes), -EINVAL);
		EXPECT_EQ(dev_uncommit(self->fd, t[i].off, t[i].bytes), -EINVAL);
		EXPECT_EQ(dev_missing(self->fd, t[i].off, t[i].bytes), -EINVAL);
	}
#define CM(...) (c = (struct shmipc_dev_commit){ .size = sizeof(c), .off = SMALL_DATA_OFF,	\
						 .bytes = PAGE, __VA_ARGS__ },			\
		 dev_ioctl(self->fd, SHMIPC_IOC_COMMIT, &c))
	EXPECT_EQ(CM(.flags = 0), 0);
	EXPECT_EQ(CM(.flags = 3), -EINVAL);
	EXPECT_EQ(CM(.flags = 4), -EINVAL);
	EXPECT_EQ(CM(.flags = 1u << 31), -EINVAL);
	EXPECT_EQ(CM(.reserved = 1), -EINVAL);
	EXPECT_EQ(CM(.reserved1 = 1), -EINVAL);
	/* What a segment has without RESERVE it keeps. */
	EXPECT_EQ(CM(.flags = SHMIPC_DEV_UNCOMMIT), -EINVAL);
}

TEST_F(bad, fences)
{
	struct shmipc_dev_fence f;

	ASSERT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), 0);
#define FN(...) (f = (struct shmipc_dev_fence){ .size = sizeof(f), .generation = 1, __VA_ARGS__ },	\
		 dev_ioctl(self->fd, SHMIPC_IOC_FENCE, &f))
	EXPECT_EQ(FN(.flags = 2), -EINVAL);
	EXPECT_EQ(FN(.flags = 1u << 31), -EINVAL);
	EXPECT_EQ(FN(.reserved = 1), -EINVAL);
	EXPECT_EQ(FN(.slot = SLOTS), -EINVAL);
	EXPECT_EQ(FN(.slot = UINT32_MAX), -EINVAL);
	EXPECT_EQ(FN(.slot = 1), -ESRCH);
	EXPECT_EQ(dev_fence(self->fd, 0, UINT64_MAX), -ESRCH);
	/* It is still attached, and not told anything. */
	EXPECT_EQ(dev_attach(self->fd, SHMIPC_ROLE_PRODUCER), -EBUSY);
	EXPECT_EQ(FN(.deadline_ns = UINT64_MAX), 0);
}

TEST_F(bad, ranges_to_map)
{
	const struct {
		uint64_t off, bytes;
	} t[] = {
		{ SMALL_DATA_OFF, 2 * PAGE },
		{ SMALL_DATA_OFF + PAGE, PAGE },
		{ 0, SMALL_DATA_OFF + 2 * PAGE },
		{ 1ull << 40, PAGE },
		{ 0x7ffffffffffff000, PAGE },
	};
	size_t i;
	void *p;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		EXPECT_EQ(dev_map(self->fd, t[i].off, t[i].bytes, PROT_READ), MAP_FAILED);
		EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);
	}
	EXPECT_EQ(dev_map(self->fd, 12, PAGE, PROT_READ), MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(dev_map(self->fd, 0, 0, PROT_READ), MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	p = dev_map(self->fd, 0, SMALL_DATA_OFF + PAGE, PROT_READ);
	ASSERT_NE(p, MAP_FAILED);
	munmap(p, SMALL_DATA_OFF + PAGE);
}

TEST_HARNESS_MAIN
