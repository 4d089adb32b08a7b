// SPDX-License-Identifier: MIT
/*
 * compare - dev against mem on one machine: the cost of waiting, memory and death
 *
 * Run in the emulated machine by tests/vm/compare-run; compare the columns with each
 * other, not with figures of another machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/shmipc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <shmipc/shmipc.h>

#define RTTS		2000
#define DEATHS		7
#define MESSAGES	10000
#define MIB		(UINT64_C(1) << 20)

#define MUST(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "compare: %s:%d: %s: %s; %s\n", __FILE__, __LINE__, #x,	\
			strerror(errno), shmipc_error_text());		\
		exit(1);						\
	}								\
} while (0)

/* Shared by the processes of one measurement. */
static struct shared {
	uint64_t t0, t1, t2;
	uint32_t ready;
	double result[16];
} *shared;

enum { RTT, RTT_MID, TOUCH, DEATH_1, WAIT4_1, DEATH_256, WAIT4_256, HOT, PAGE, ROWS };

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The first decile, or the median: the host may be busy. */
static double rank(double *v, size_t n, size_t in)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / in];
}

static pid_t child(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	MUST(pid >= 0);
	if (!pid)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void ended(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid && !status);
}

static struct shmipc_channel *open_end(const char *name, enum shmipc_role role)
{
	struct shmipc_segment_opts so = { .struct_bytes = sizeof(so), .kind = SHMIPC_KIND_SPSC,
					  .flags = SHMIPC_CREATE, .bytes = 65536 };
	struct shmipc_channel_opts co = { .struct_bytes = sizeof(co), .spin_ns = SHMIPC_SPIN_NEVER };
	struct shmipc_channel *ch;

	MUST(!shmipc_channel_open(&ch, name, role, &so, &co));
	return ch;
}

static void echo(int n, int slow)
{
	struct shmipc_channel *rx = open_end("ping", SHMIPC_ROLE_CONSUMER);
	struct shmipc_channel *tx = open_end("pong", SHMIPC_ROLE_PRODUCER);
	uint64_t v;
	size_t len;

	while (n--) {
		MUST(!shmipc_channel_recv(rx, &v, sizeof(v), &len, SHMIPC_FOREVER));
		if (slow)	/* the other side is asleep by then */
			usleep(5000);
		MUST(!shmipc_channel_send(tx, &v, sizeof(v), SHMIPC_FOREVER));
	}
	shmipc_channel_close(rx);
	shmipc_channel_close(tx);
}

/* Round trips that sleep each time, in us. @marks: system calls to count between. */
static void round_trips(int n, int marks, double *ret_low, double *ret_mid)
{
	double *us = calloc((size_t)n, sizeof(*us));
	struct shmipc_channel *tx, *rx;
	pid_t pid = child();
	uint64_t v, t;
	size_t len;
	int i;

	if (!pid) {
		echo(n, marks);
		_exit(0);
	}
	MUST(us);
	tx = open_end("ping", SHMIPC_ROLE_PRODUCER);
	rx = open_end("pong", SHMIPC_ROLE_CONSUMER);
	MUST(!shmipc_channel_wait_peer(rx, SHMIPC_FOREVER));
	if (marks)
		(void)syscall(SYS_getppid);
	for (i = 0; i < n; i++) {
		v = t = marks ? 1 : now_ns();
		MUST(!shmipc_channel_send(tx, &v, sizeof(v), SHMIPC_FOREVER));
		MUST(!shmipc_channel_recv(rx, &v, sizeof(v), &len, SHMIPC_FOREVER));
		if (!marks)
			us[i] = (double)(now_ns() - t) / 1e3;
	}
	if (marks)
		(void)syscall(SYS_getppid);
	ended(pid);
	shmipc_channel_close(tx);
	shmipc_channel_close(rx);
	*ret_mid = rank(us, (size_t)n, 2);
	*ret_low = rank(us, (size_t)n, 10);
	free(us);
}

static void stream(void)
{
	struct shmipc_channel *tx = open_end("stream", SHMIPC_ROLE_PRODUCER);
	struct shmipc_channel *rx = open_end("stream", SHMIPC_ROLE_CONSUMER);
	uint64_t v;
	size_t len;
	int i;

	(void)syscall(SYS_getppid);
	for (i = 0; i < MESSAGES; i++) {
		MUST(!shmipc_channel_send(tx, &v, sizeof(v), SHMIPC_FOREVER));
		MUST(!shmipc_channel_recv(rx, &v, sizeof(v), &len, SHMIPC_FOREVER));
	}
	(void)syscall(SYS_getppid);
	shmipc_channel_close(tx);
	shmipc_channel_close(rx);
}

/* System calls of a child between its first two getppid. */
static double count_calls(int blocking)
{
	pid_t pid = child();
	struct __ptrace_syscall_info info;
	int status, in = 0;
	double n = 0, none;

	if (!pid) {
		MUST(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
		(void)raise(SIGSTOP);
		if (blocking)
			round_trips(200, 1, &none, &none);
		else
			stream();
		exit(0);
	}
	MUST(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	MUST(!ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	for (;;) {
		int sig = 0;

		if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			MUST(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) > 0);
			if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
				if (info.entry.nr == SYS_getppid)
					in++;
				/* Whether it is a system call depends on the clock. */
				else if (in == 1 && info.entry.nr != SYS_clock_gettime)
					n++;
			}
		} else if (WIFSTOPPED(status) && WSTOPSIG(status) != SIGSTOP) {
			sig = WSTOPSIG(status);
		}
		MUST(!ptrace(PTRACE_SYSCALL, pid, NULL, sig));
		MUST(waitpid(pid, &status, 0) == pid);
		if (WIFEXITED(status))
			break;
	}
	MUST(in == 2);
	return n / (blocking ? 200 : MESSAGES);
}

/* Create 256 MiB and write to each page: ms. */
static double create_and_touch(void)
{
	struct shmipc_segment_opts o = { .struct_bytes = sizeof(o), .kind = SHMIPC_KIND_RAW,
					 .flags = SHMIPC_CREATE, .bytes = 256 * MIB };
	struct shmipc_segment_info info = { .struct_bytes = sizeof(info) };
	uint64_t t = now_ns(), at;
	struct shmipc_segment *seg;
	unsigned char *p;
	double ms;

	MUST(!shmipc_segment_open(&seg, "large", &o));
	p = shmipc_segment_data(seg, NULL);
	for (at = 0; at < 256 * MIB; at += 4096)
		p[at] = 1;
	ms = (double)(now_ns() - t) / 1e6;
	MUST(!shmipc_segment_get_info(seg, &info));
	shared->result[PAGE] = (double)info.page_got;
	shmipc_segment_close(seg);
	return ms;
}

/* The child is the victim: it has @mib resident memory and an end. */
static void kill_one(uint64_t mib)
{
	pid_t victim = child();

	if (!victim) {
		unsigned char *p = malloc(mib * MIB);

		MUST(p);
		memset(p, 1, mib * MIB);
		(void)open_end("mortal", SHMIPC_ROLE_PRODUCER);
		__atomic_store_n(&shared->ready, 1, __ATOMIC_RELEASE);
		for (;;)
			(void)pause();
	}
	/* The waiter is asleep a moment after it reports that. */
	while (__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE) != 2)
		usleep(1000);
	usleep(100000);
	shared->t0 = now_ns();
	MUST(!kill(victim, SIGKILL));
	MUST(waitpid(victim, NULL, 0) == victim);
	shared->t2 = now_ns();
	_exit(0);
}

/* From SIGKILL to the waiter's return, and to the parent's wait4: medians in ms. */
static void deaths(uint64_t mib, double *ret_waiter, double *ret_parent)
{
	double waiter[DEATHS], parent[DEATHS];
	struct shmipc_channel *rx;
	uint64_t v;
	size_t len;
	pid_t pid;
	int i;

	for (i = 0; i < DEATHS; i++) {
		shared->ready = 0;
		pid = child();
		if (!pid)
			kill_one(mib);
		while (!__atomic_load_n(&shared->ready, __ATOMIC_ACQUIRE))
			usleep(1000);
		rx = open_end("mortal", SHMIPC_ROLE_CONSUMER);
		__atomic_store_n(&shared->ready, 2, __ATOMIC_RELEASE);
		MUST(shmipc_channel_recv(rx, &v, sizeof(v), &len, SHMIPC_FOREVER) == -EPIPE);
		shared->t1 = now_ns();
		ended(pid);
		waiter[i] = (double)(shared->t1 - shared->t0) / 1e6;
		parent[i] = (double)(shared->t2 - shared->t0) / 1e6;
		shmipc_channel_close(rx);
	}
	*ret_waiter = rank(waiter, DEATHS, 2);
	*ret_parent = rank(parent, DEATHS, 2);
}

static void measure(const char *backend, double out[ROWS], double *ret_blocking)
{
	pid_t pid = child();

	if (!pid) {
		MUST(!setenv("SHMIPC_BACKEND", backend, 1));
		round_trips(RTTS, 0, &shared->result[RTT], &shared->result[RTT_MID]);
		shared->result[TOUCH] = create_and_touch();
		deaths(1, &shared->result[DEATH_1], &shared->result[WAIT4_1]);
		deaths(256, &shared->result[DEATH_256], &shared->result[WAIT4_256]);
		shared->result[HOT] = count_calls(0);
		exit(0);
	}
	ended(pid);
	memcpy(out, shared->result, ROWS * sizeof(*out));
	pid = child();
	if (!pid) {
		MUST(!setenv("SHMIPC_BACKEND", backend, 1));
		shared->result[0] = count_calls(1);
		exit(0);
	}
	ended(pid);
	*ret_blocking = shared->result[0];
}

/*
 * Sleep by one of three calls, on the device's own memory: 0 futex, 1 futex_waitv on
 * two words, 2 the device's WAIT with a peer's slot.
 */
static void nap(int way, int fd, uint32_t *words, uint32_t i, uint32_t val)
{
	struct futex_waitv v[2] = {
		{ .val = val, .uaddr = (uintptr_t)&words[i], .flags = FUTEX_32 },
		{ .val = 0, .uaddr = (uintptr_t)&words[64], .flags = FUTEX_32 },
	};
	struct shmipc_dev_wait w = { .size = sizeof(w), .off = 8192 + 4 * i, .val = val,
				     .deadline_ns = UINT64_MAX };

	while (__atomic_load_n(&words[i], __ATOMIC_ACQUIRE) == val)
		if (way == 2)
			(void)ioctl(fd, SHMIPC_IOC_WAIT, &w);
		else if (way == 1)
			(void)syscall(449, v, 2, 0, NULL, CLOCK_MONOTONIC);
		else
			(void)syscall(SYS_futex, &words[i], FUTEX_WAIT, val, NULL, NULL, 0);
}

static void rouse(int way, int fd, uint32_t *words, uint32_t i)
{
	struct shmipc_dev_wake w = { .size = sizeof(w), .off = 8192 + 4 * i };

	__atomic_fetch_add(&words[i], 1, __ATOMIC_SEQ_CST);
	if (way == 2)
		(void)ioctl(fd, SHMIPC_IOC_WAKE, &w);
	else
		(void)syscall(SYS_futex, &words[i], FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static double sleep_way(int way)
{
	struct shmipc_dev_region all = { .off = 8192, .bytes = 4096, .roles = 1 };
	struct shmipc_dev_create r = { .size = sizeof(r), .kind = SHMIPC_KIND_RAW, .mode = 0600,
				       .peers = 2, .nregions = 1, .data_off = 8192,
				       .data_bytes = 4096, .regions = (uintptr_t)&all };
	int dev = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC), fd;
	double us[RTTS];
	uint32_t *words, i;
	uint64_t t;
	pid_t pid;

	fd = ioctl(dev, SHMIPC_IOC_CREATE, &r);
	MUST(fd >= 0);
	close(dev);
	words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 8192);
	MUST(words != MAP_FAILED);
	pid = child();
	if (!pid) {
		for (i = 0; i < RTTS; i++) {
			nap(way, fd, words, 0, i);
			rouse(way, fd, words, 32);
		}
		_exit(0);
	}
	for (i = 0; i < RTTS; i++) {
		t = now_ns();
		rouse(way, fd, words, 0);
		nap(way, fd, words, 32, i);
		us[i] = (double)(now_ns() - t) / 1e3;
	}
	ended(pid);
	(void)munmap(words, 4096);
	(void)close(fd);
	return rank(us, RTTS, 10);
}

int main(void)
{
	static const char *const rows[ROWS] = {
		"blocking round trip, us: first decile",
		"  (median)", "create 256 MiB and touch it, ms",
		"SIGKILL to the waiter's return, victim with 1 MiB, ms",
		"  (to its parent's wait4, ms)",
		"SIGKILL to the waiter's return, victim with 256 MiB, ms",
		"  (to its parent's wait4, ms)",
		"system calls per message, no sleepers", "page that backs 256 MiB, bytes",
	};
	double mem[ROWS], dev[ROWS], mem_calls, dev_calls;
	int i;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	MUST(shared != MAP_FAILED);
	measure("mem", mem, &mem_calls);
	measure("dev", dev, &dev_calls);
	printf("%-58s %12s %12s\n", "", "mem", "dev");
	for (i = 0; i < ROWS; i++)
		printf("%-58s %12.3f %12.3f\n", rows[i], mem[i], dev[i]);
	printf("%-58s %12.3f %12.3f\n", "system calls per blocking round trip, one side", mem_calls,
	       dev_calls);
	printf("on device memory, round trip in us (first decile): futex %.1f, futex_waitv %.1f, the device %.1f\n",
	       sleep_way(0), sleep_way(1), sleep_way(2));
	return 0;
}
