/* SPDX-License-Identifier: MIT */
/* dev.h - short functions for tests of the device */
#ifndef TESTS_KMOD_DEV_H
#define TESTS_KMOD_DEV_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/shmipc.h>

/* Factor for time limits: kernels with debugging checks are slow. */
static inline unsigned int slowness(void)
{
	const char *env = getenv("SHMIPC_TEST_SLOW");

	return env && atoi(env) > 0 ? (unsigned int)atoi(env) : 1;
}

/* The harness's time limit of each test. */
#define alarm(seconds)	alarm((seconds) * slowness())

/*
 * A teardown must not use ASSERT_: after a failed ASSERT_ in the test this harness runs
 * the teardown again for each one.
 */
#include "kselftest_harness.h"

#define MIB		(1ull << 20)
#define PAGE		4096ull

/* The layout of the helpers' segments: that of a ring with one producer and one consumer. */
#define SLOTS		4u
#define RING_OFF	SHMIPC_DEV_BODY_OFF(SLOTS)
#define PROD_OFF	(RING_OFF + PAGE)
#define CONS_OFF	(RING_OFF + 2 * PAGE)
#define BODY_BYTES	(3 * PAGE)
#define SMALL_DATA_OFF	(RING_OFF + BODY_BYTES)
#define DATA_OFF(bytes)	((bytes) >= 2 * MIB ? 2 * MIB : SMALL_DATA_OFF)

#define ROLE(r)		(1u << SHMIPC_ROLE_##r)

/* One request, and the data that its pointers point to. */
struct make {
	struct shmipc_dev_create req;
	struct shmipc_dev_region region[4];
	char body[BODY_BYTES];
};

/* A valid request, which the test changes before dev_create(). */
static inline void make_init(struct make *m, const char *name, uint64_t data_bytes)
{
	struct shmipc_dev_create *r = &m->req;

	memset(m, 0, sizeof(*m));
	strcpy(m->body, "ring header");
	r->size = sizeof(*r);
	r->name = (uintptr_t)name;
	r->name_len = name ? (uint32_t)strlen(name) : 0;
	r->kind = SHMIPC_KIND_SPSC;
	r->mode = 0600;
	r->peers = SLOTS;
	r->data_off = DATA_OFF(data_bytes);
	r->data_bytes = data_bytes;
	r->body = (uintptr_t)m->body;
	r->body_bytes = BODY_BYTES;
	r->regions = (uintptr_t)m->region;
	r->nregions = 3;
	m->region[0] = (struct shmipc_dev_region){ PROD_OFF, PAGE, ROLE(PRODUCER), 0 };
	m->region[1] = (struct shmipc_dev_region){ CONS_OFF, PAGE, ROLE(CONSUMER), 0 };
	m->region[2] = (struct shmipc_dev_region){ r->data_off, data_bytes, ROLE(PRODUCER), 0 };
	r->role_max[SHMIPC_ROLE_PRODUCER] = 1;
	r->role_max[SHMIPC_ROLE_CONSUMER] = 1;
	r->role_max[SHMIPC_ROLE_READER] = SLOTS;
}

static inline int dev_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static inline int dev_file(void)
{
	return open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC);
}

/* An ioctl that returns a descriptor: it, or -errno. */
static inline int fd_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

/* A descriptor of a new segment, or -errno. */
static inline int dev_make(struct make *m)
{
	int dev = dev_file(), ret;

	if (dev < 0)
		return -errno;
	ret = fd_ioctl(dev, SHMIPC_IOC_CREATE, &m->req);
	close(dev);
	return ret;
}

static inline int dev_create(const char *name, uint64_t data_bytes)
{
	struct make m;

	make_init(&m, name, data_bytes);
	return dev_make(&m);
}

static inline int name_ioctl(int fd, unsigned long cmd, const char *name)
{
	struct shmipc_dev_name r = { .size = sizeof(r), .name = (uintptr_t)name,
				     .name_len = (uint32_t)strlen(name) };

	return fd_ioctl(fd, cmd, &r);
}

static inline int dev_open_as(const char *name, int flags)
{
	int dev = open(SHMIPC_DEVICE, flags | O_CLOEXEC), ret;

	if (dev < 0)
		return -errno;
	ret = name_ioctl(dev, SHMIPC_IOC_OPEN, name);
	close(dev);
	return ret;
}

/* Another description of the segment of @fd. */
static inline int dev_join(int fd, uint32_t flags)
{
	struct shmipc_dev_join r = { .size = sizeof(r), .flags = flags };

	return fd_ioctl(fd, SHMIPC_IOC_JOIN, &r);
}

static inline int dev_open(const char *name)
{
	return dev_open_as(name, O_RDWR);
}

static inline int dev_unlink(const char *name)
{
	int fd = dev_file(), err;

	if (fd < 0)
		return -errno;
	err = name_ioctl(fd, SHMIPC_IOC_UNLINK, name);
	close(fd);
	return err;
}

/* Return: the slot, or -errno. */
static inline int dev_attach(int fd, uint32_t role)
{
	struct shmipc_dev_attach r = { .size = sizeof(r), .role = role, .slot_max = SLOTS - 1 };
	int err = dev_ioctl(fd, SHMIPC_IOC_ATTACH, &r);

	return err ? err : (int)r.slot;
}

static inline int dev_detach(int fd)
{
	struct shmipc_dev_detach r = { .size = sizeof(r) };

	return dev_ioctl(fd, SHMIPC_IOC_DETACH, &r);
}

/* Reserve the data; the first @bytes of them have memory from the start. */
static inline void make_reserved(struct make *m, uint64_t bytes)
{
	m->req.flags |= SHMIPC_DEV_RESERVE;
	m->req.commit_bytes = bytes;
}

/* @flags: of struct shmipc_dev_commit. Return: its @changed, or -errno. */
static inline int64_t dev_commit_flags(int fd, uint64_t off, uint64_t bytes, uint32_t flags)
{
	struct shmipc_dev_commit r = { .size = sizeof(r), .flags = flags, .off = off,
				       .bytes = bytes };
	int err = dev_ioctl(fd, SHMIPC_IOC_COMMIT, &r);

	return err ? err : (int64_t)r.changed;
}

static inline int64_t dev_commit(int fd, uint64_t off, uint64_t bytes)
{
	return dev_commit_flags(fd, off, bytes, 0);
}

static inline int64_t dev_uncommit(int fd, uint64_t off, uint64_t bytes)
{
	return dev_commit_flags(fd, off, bytes, SHMIPC_DEV_UNCOMMIT);
}

static inline int64_t dev_missing(int fd, uint64_t off, uint64_t bytes)
{
	return dev_commit_flags(fd, off, bytes, SHMIPC_DEV_LOOK);
}

static inline int dev_stat(int fd, struct shmipc_dev_stat *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	return dev_ioctl(fd, SHMIPC_IOC_STAT, ret);
}

static inline int dev_info(struct shmipc_dev_info *ret)
{
	int fd = dev_file(), err;

	if (fd < 0)
		return -errno;
	memset(ret, 0, sizeof(*ret));
	ret->size = sizeof(*ret);
	err = dev_ioctl(fd, SHMIPC_IOC_INFO, ret);
	close(fd);
	return err;
}

/* Not with a real-time kernel, which has no huge pages. */
static inline bool dev_has_2_mib(void)
{
	struct shmipc_dev_info info;

	return !dev_info(&info) && info.caps & SHMIPC_DEV_CAP_PMD;
}

static inline int dev_peer(int fd, uint32_t slot, struct shmipc_dev_peer *ret)
{
	struct shmipc_dev_peers r = { .size = sizeof(r), .first = slot, .count = 1,
				      .peers = (uintptr_t)ret, .peer_bytes = sizeof(*ret) };

	return dev_ioctl(fd, SHMIPC_IOC_PEERS, &r);
}

/* Up to @n receipts after number @after. Return: how many, or -errno. */
static inline int dev_deaths(int fd, uint64_t after, struct shmipc_dev_death *ret, uint32_t n,
			     struct shmipc_dev_deaths *ret_req)
{
	struct shmipc_dev_deaths r = { .size = sizeof(r), .after = after, .count = n,
				       .deaths = (uintptr_t)ret, .death_bytes = sizeof(*ret) };
	int err;

	memset(ret, 0xff, n * sizeof(*ret));
	err = dev_ioctl(fd, SHMIPC_IOC_DEATHS, &r);
	if (ret_req)
		*ret_req = r;
	return err ? err : (int)r.count;
}

static inline void *dev_map(int fd, uint64_t off, uint64_t bytes, int prot)
{
	return mmap(NULL, bytes, prot, MAP_SHARED, fd, (off_t)off);
}

/* @deadline_ns: how long to wait for pins. */
static inline int dev_fence_flags(int fd, uint32_t slot, uint64_t generation, uint64_t deadline_ns,
				  uint32_t flags)
{
	struct shmipc_dev_fence r = { .size = sizeof(r), .flags = flags, .slot = slot,
				      .generation = generation, .deadline_ns = deadline_ns };

	return dev_ioctl(fd, SHMIPC_IOC_FENCE, &r);
}

static inline int dev_fence(int fd, uint32_t slot, uint64_t generation)
{
	return dev_fence_flags(fd, slot, generation, 0, 0);
}

/* The header page and the peer table, read-only. */
static inline const struct shmipc_seg_hdr *dev_map_hdr(int fd)
{
	return dev_map(fd, 0, RING_OFF, PROT_READ);
}

static inline const struct shmipc_peer_slot *hdr_slot(const struct shmipc_seg_hdr *h, int slot)
{
	return (const void *)((const char *)h + h->peers_off + (uint64_t)slot * h->peer_bytes);
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A deadline that is reached only if the test hangs. */
static inline uint64_t long_deadline(void)
{
	return now_ns() + slowness() * 30 * 1000000000ull;
}

/* Wait until process @pid runs @comm, in parentheses. */
static inline int await_comm(pid_t pid, const char *comm)
{
	char line[256] = "", path[64];
	uint64_t end = long_deadline();
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (!strstr(line, comm) && now_ns() < end) {
		f = fopen(path, "re");
		if (!f || !fgets(line, sizeof(line), f))
			return -1;
		fclose(f);
	}
	return strstr(line, comm) ? 0 : -1;
}

static inline int dev_wait(int fd, uint64_t off, uint32_t val, uint32_t peer, uint32_t peer_val,
			   uint32_t flags, uint64_t deadline_ns)
{
	struct shmipc_dev_wait r = { .size = sizeof(r), .flags = flags, .off = off, .val = val,
				     .peer = peer, .peer_val = peer_val,
				     .deadline_ns = deadline_ns };

	return dev_ioctl(fd, SHMIPC_IOC_WAIT, &r);
}

/* Return: number woken, or -errno. */
static inline int dev_wake(int fd, uint64_t off, uint32_t n)
{
	struct shmipc_dev_wake r = { .size = sizeof(r), .off = off, .n = n };
	int err = dev_ioctl(fd, SHMIPC_IOC_WAKE, &r);

	return err ? err : (int)r.woken;
}

/* Wait until @n threads sleep in the segment. */
static inline int dev_await_waiters(int fd, uint32_t n)
{
	uint64_t end = long_deadline();
	struct shmipc_dev_stat s;

	while (now_ns() < end) {
		if (dev_stat(fd, &s))
			return -1;
		if (s.waiters == n)
			return 0;
		sched_yield();
	}
	return -1;
}

/* For a child to report its progress, and to wait for permission to continue. */
struct gate {
	int to_parent[2];
	int to_child[2];
};

static inline void gate_make(struct gate *g)
{
	if (pipe(g->to_parent) || pipe(g->to_child))
		abort();
}

static inline void gate_close(struct gate *g)
{
	close(g->to_parent[0]);
	close(g->to_parent[1]);
	close(g->to_child[0]);
	close(g->to_child[1]);
}

static inline void gate_tell(int pipe_end, char c)
{
	if (write(pipe_end, &c, 1) != 1)
		abort();
}

static inline char gate_hear(int pipe_end)
{
	char c;

	return read(pipe_end, &c, 1) == 1 ? c : 0;
}

static inline int fd_send(int sock, int fd)
{
	char byte = 0, buf[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = buf,
			    .msg_controllen = sizeof(buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -errno;
}

static inline int fd_recv(int sock)
{
	char byte, buf[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = buf,
			    .msg_controllen = sizeof(buf) };
	struct cmsghdr *c;
	int fd;

	if (recvmsg(sock, &m, 0) != 1)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (!c)
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Run @fn in a child. Return: its exit code (0..100), or -signal if it was killed. */
static inline int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1000;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif /* TESTS_KMOD_DEV_H */
