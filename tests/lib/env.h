/* SPDX-License-Identifier: MIT */
/*
 * env.h - the environment of a test that opens segments
 *
 * A directory for names, a count of descriptors before and after, children and threads
 * that exchange messages with the test, and a way to know that one of them sleeps
 * (without sleeping for a guessed time).
 */
#ifndef TEST_ENV_H
#define TEST_ENV_H

#include <kselftest_harness.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <shmipc/shmipc.h>

#include "segment/probe.h"

/* A child of a process that has a keeper thread starts its own. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "die_after_fork=0";
}

static char env_base[96];	/* of this program */
static pid_t env_main;

static int env_rm_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void env_remove(const char *path)
{
	(void)nftw(path, env_rm_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static void env_at_exit(void)
{
	if (getpid() == env_main)
		env_remove(env_base);
}

/* SHMIPC_TEST_PROBES=1: as if everything were traced, without a trap. */
static void env_probes(void)
{
#ifdef SHMIPC_WITH_PROBES
	static unsigned short *const all[] = {
		&shmipc_publish_semaphore,
		&shmipc_publish_some_semaphore,
		&shmipc_take_semaphore,
		&shmipc_take_some_semaphore,
		&shmipc_full_semaphore,
		&shmipc_wait_semaphore,
		&shmipc_wait_end_semaphore,
		&shmipc_wake_semaphore,
		&shmipc_gap_semaphore,
		&shmipc_evict_semaphore,
		&shmipc_abort_semaphore,
		&shmipc_death_semaphore,
		&shmipc_hold_semaphore,
		&shmipc_release_semaphore,
		&shmipc_attach_semaphore,
		&shmipc_detach_semaphore,
		&shmipc_fence_semaphore,
	};
	const char *on = getenv("SHMIPC_TEST_PROBES");
	size_t i;

	if (!on || strcmp(on, "1"))
		return;
	for (i = 0; i < ARRAY_SIZE(all); i++)
		*all[i] = 1;
#endif
}

static void __attribute__((constructor)) env_begin(void)
{
	const char *dir = getenv("SHMIPC_DIR");

	env_main = getpid();
	/* Next to the runner's directory, so that the runner sees what is left over. */
	(void)snprintf(env_base, sizeof(env_base), "%s.test.XXXXXX",
		       dir && *dir && strlen(dir) < 80 ? dir : "/dev/shm/shmipc");
	if (!mkdtemp(env_base)) {
		perror(env_base);
		exit(1);
	}
	(void)chmod(env_base, 0755);
	env_probes();
	(void)atexit(env_at_exit);
}

static inline int env_count(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int n = 0;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		n += e->d_name[0] != '.' || (e->d_name[1] && e->d_name[1] != '.');
	(void)closedir(d);
	return n;
}

/* The whole suite runs on the device if SHMIPC_BACKEND says so. */
static inline int env_on_dev(void)
{
	const char *backend = getenv("SHMIPC_BACKEND");

	return backend && !strcmp(backend, "dev");
}

/* The environment of a test. */
struct env {
	char dir[128];
	int fds;
};

static inline void env_use_dir(struct env *e)
{
	(void)snprintf(e->dir, sizeof(e->dir), "%s/%d", env_base, getpid());
	(void)setenv("SHMIPC_DIR", e->dir, 1);
}

static inline void env_set_up(struct env *e)
{
	env_use_dir(e);
	/* The device's names are those of the IPC namespace: an empty one. */
	if (env_on_dev())
		(void)unshare(CLONE_NEWIPC);
	e->fds = env_count("/proc/self/fd");
}

/* For tests of files: never on the device, whatever the backend of the suite. */
static inline void env_set_up_files(struct env *e)
{
	(void)unsetenv("SHMIPC_BACKEND");
	env_set_up(e);
}

static inline int env_count_one(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

/* The number of names. */
static inline int env_files(const struct env *e)
{
	int n = 0;

	if (env_on_dev())
		return shmipc_segment_each(env_count_one, &n) ? -1 : n;
	n = env_count(e->dir);
	return n < 0 ? 0 : n;
}

/* Used in each teardown. The keeper and other threads must not hold descriptors, either. */
#define env_tear_down(e) do {						\
	EXPECT_EQ((e)->fds, env_count("/proc/self/fd"))			\
		TH_LOG("descriptors before and after");			\
	EXPECT_EQ(0, env_files(e)) TH_LOG("files left in %s", (e)->dir); \
	env_remove((e)->dir);						\
} while (0)

/* SKIP for FIXTURE_SETUP: after SKIP(return, ...) the harness of Linux 6.1 runs the test all the same. */
#define SKIP_SETUP(...)	SKIP(longjmp(_metadata->env, 1), __VA_ARGS__)

/* Children and threads */

struct other {
	pid_t pid;		/* 0: a thread */
	pid_t tid;		/* of the thread or process, set by other_start() */
	int sock;		/* for tell() and hear() */
	int (*fn)(struct other *me, void *arg);
	void *arg;
	pthread_t thread;
	int ret;
	int peer_sock;		/* the other end, until it runs */
};

static inline void tell(struct other *o, uint64_t what)
{
	ssize_t n = write(o->sock, &what, sizeof(what));

	(void)n;
}

/* UINT64_MAX: the other side has gone. */
static inline uint64_t hear(struct other *o)
{
	uint64_t what;
	ssize_t n;

	do
		n = read(o->sock, &what, sizeof(what));
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof(what) ? what : UINT64_MAX;
}

static inline int other_run(struct other *me)
{
	tell(me, (uint64_t)syscall(SYS_gettid));
	return me->fn(me, me->arg);
}

static void *other_thread(void *arg)
{
	struct other *o = (struct other *)arg;
	struct other me = { .sock = o->peer_sock, .fn = o->fn, .arg = o->arg };

	o->ret = other_run(&me);
	(void)close(me.sock);
	return NULL;
}

/* 0 or -1. @fn returns 0 on success; use CHECK() in it, not ASSERT. */
static inline int other_start(struct other *o, int thread,
			      int (*fn)(struct other *me, void *arg), void *arg)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s))
		return -1;
	memset(o, 0, sizeof(*o));
	o->fn = fn;
	o->arg = arg;
	o->sock = s[0];
	o->peer_sock = s[1];
	if (thread) {
		if (pthread_create(&o->thread, NULL, other_thread, o))
			return -1;
	} else {
		(void)fflush(NULL);
		o->pid = fork();
		if (o->pid < 0)
			return -1;
		if (!o->pid) {
			struct other me = { .sock = s[1], .fn = fn, .arg = arg };

			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)close(s[0]);
			_exit(other_run(&me));
		}
		(void)close(s[1]);
	}
	o->tid = (pid_t)hear(o);
	return 0;
}

/* What fn returned; 256 + signal if it was killed. */
static inline int other_end(struct other *o)
{
	int status = 0;

	if (o->pid) {
		while (waitpid(o->pid, &status, 0) < 0 && errno == EINTR)
			continue;
		o->ret = WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
	} else {
		(void)pthread_join(o->thread, NULL);
	}
	(void)close(o->sock);
	return o->ret;
}

static inline int other_kill(struct other *o)
{
	(void)kill(o->pid, SIGKILL);
	return other_end(o);
}

#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "# %s:%d: not true: %s; last error: %s\n",	\
			__FILE__, __LINE__, #x, shmipc_error_text());	\
		return 1;						\
	}								\
} while (0)

/* Number of the system call that the thread is in; -1: it runs. */
static inline long asleep_in(pid_t tid)
{
	char path[64], buf[64] = "";
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	(void)close(fd);
	return n > 0 && buf[0] != 'r' ? strtol(buf, NULL, 10) : -1;
}

/* Wait until the thread sleeps on a futex, or in the device. 0; -1 if it ended or /proc hides it. */
static inline int until_asleep(pid_t tid)
{
	const struct timespec ms = { 0, 1000000 };
	long nr;
	int i;

	for (i = 0; i < 20000; i++) {
		nr = asleep_in(tid);
		if (nr == SYS_futex || nr == 449 /* futex_waitv */ || nr == SYS_ioctl ||
		    nr == SYS_ppoll)
			return 0;
		(void)nanosleep(&ms, NULL);
	}
	return -1;
}

static inline int send_fd(int sock, int fd)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c;
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.space,
			    .msg_controllen = sizeof(c.space) };

	memset(&c, 0, sizeof(c));
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	return sendmsg(sock, &m, 0) == 1 ? 0 : -1;
}

static inline int recv_fd(int sock)
{
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} c;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.space,
			    .msg_controllen = sizeof(c.space) };
	int fd;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&m))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline int on_qemu(void)
{
	return getenv("SHMIPC_TEST_QEMU") != NULL;
}

#endif /* TEST_ENV_H */
