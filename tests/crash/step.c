// SPDX-License-Identifier: MIT
/*
 * step.c - kill a real process after each of its instructions in turn
 *
 * The victim of a scenario is single-stepped once, from one mark to another, and the
 * address of each instruction is recorded. Then there is a new victim for each
 * instruction. It runs to an int3 in its code (see stop.c), at this instruction or, if
 * that is executed often, at a rarer one before it, and from there in single steps; there
 * it gets SIGKILL, and the checker checks.
 *
 * All processes are forked from this one, which has never used the library: each victim
 * starts with the same memory at the same addresses, so that it executes the same
 * instructions. When it does not (because of a clock or the scheduler), it is killed
 * elsewhere; that is counted as "drifted", repeated a few times, and checked all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

#define MARK()		__asm__ volatile("int3" ::: "memory")
#define SKIP		4

struct player victim, checker;
static unsigned int watchdog_s = 20;
static volatile sig_atomic_t hung;
static char hung_at[200];

/* A process hangs: report the checker's system call, and kill both. */
static void on_alarm(int sig)
{
	char path[40] = "/proc/", digit[12];
	pid_t pid = checker.pid;
	ssize_t n = 0;
	int i = 0, fd;

	(void)sig;
	for (; pid > 0; pid /= 10)
		digit[i++] = (char)('0' + pid % 10);
	for (n = 6; i > 0; n++)
		path[n] = digit[--i];
	memcpy(path + n, "/syscall", 9);
	n = 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, hung_at, sizeof(hung_at) - 1);
		(void)close(fd);
	}
	hung_at[n > 0 ? n - 1 : 0] = 0;
	hung = 1;
	if (checker.pid > 0)
		(void)kill(checker.pid, SIGKILL);
	if (victim.pid > 0)
		(void)kill(victim.pid, SIGKILL);
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

void await_death(void)
{
	char c;

	if (!shmipc_load_acquire(&board->dead))
		must(read(checker.fd, &c, 1) == 1 && c == 'd', "the driver has gone");
}

static _Noreturn void play_checker(const struct scenario *s)
{
	unsigned int fds = count_fds();
	char c = 'r';

	if (s->prepare)
		s->prepare();
	must(write(checker.fd, &c, 1) == 1, "the driver has gone");
	if (s->observe) {
		must(read(checker.fd, &c, 1) == 1 && c == 's', "the driver has gone");
		s->observe();
		c = 'o';
		must(write(checker.fd, &c, 1) == 1, "the driver has gone");
	}
	s->check();
	must(count_fds() == fds, "%u descriptors, %u before", count_fds(), fds);
	_exit(0);
}

static _Noreturn void play_victim(const struct scenario *s)
{
	if (ptrace(PTRACE_TRACEME, 0, 0, 0))
		wrong("PTRACE_TRACEME: %s", strerror(errno));
	s->setup();
	MARK();
	s->run();
	MARK();
	_exit(0);
}

static int start_checker(const struct scenario *s)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	checker.fd = pair[1];
	checker.pid = fork();
	if (!checker.pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(pair[0]);
		play_checker(s);
	}
	(void)close(pair[1]);
	checker.fd = pair[0];
	return checker.pid < 0 ? -errno : 0;
}

static bool heard(char want)
{
	char c;

	return read(checker.fd, &c, 1) == 1 && c == want;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == pid;
}

bool await_sleep(pid_t pid, pid_t tid)
{
	struct timespec pause = { 0, 200000 };
	char path[60], line[16];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	while (!hung && !has_ended(pid)) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
		if (fd >= 0)
			(void)close(fd);
		if (n <= 0)
			return false;
		line[n] = 0;
		/* futex_waitv, futex; on the device ioctl */
		if (!strncmp(line, "449 ", 4) || !strncmp(line, "202 ", 4) || !strncmp(line, "16 ", 3))
			return true;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* Start a victim, up to its first mark. */
static bool start_victim(const struct scenario *s)
{
	int status;

	victim.pid = fork();
	if (!victim.pid) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(checker.fd);
		checker.pid = 0;
		play_victim(s);
	}
	if (victim.pid < 0 || waitpid(victim.pid, &status, __WALL) != victim.pid)
		return false;
	if (WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP) {
		stop_begin(victim.pid);
		return true;
	}
	if (!board->text[0])
		(void)snprintf(board->text, sizeof(board->text),
			       "the victim ended during its setup, status %#x", (unsigned int)status);
	if (!WIFSTOPPED(status))
		victim.pid = 0;
	return false;
}

/* If the alarm comes here, both are killed, and this returns. */
static bool reap(pid_t pid, int *status)
{
	pid_t got;

	do
		got = waitpid(pid, status, __WALL);
	while (got < 0 && errno == EINTR);
	return got == pid;
}

static void end_victim(void)
{
	if (victim.pid > 0) {
		(void)kill(victim.pid, SIGKILL);
		(void)reap(victim.pid, NULL);
	}
	victim.pid = 0;
	shmipc_store_release(&board->dead, 1u);
	(void)!write(checker.fd, "d", 1);
}

/* The checker's result, or that it has ended without one. */
static bool end_checker(void)
{
	int status = 0;
	bool good = false;

	if (checker.pid > 0 && reap(checker.pid, &status))
		good = WIFEXITED(status) && !WEXITSTATUS(status);
	if (!good && hung)
		(void)snprintf(board->text, sizeof(board->text),
			       "hangs: not done after %u s, at system call %s", watchdog_s, hung_at);
	else if (!good && !board->text[0])
		(void)snprintf(board->text, sizeof(board->text), "the checker ended with status %#x",
			       (unsigned int)status);
	checker.pid = 0;
	(void)close(checker.fd);
	return good && !board->text[0];
}

void play_goes_on(void)
{
	(void)alarm(watchdog_s);
}

/*
 * Start a victim and a checker. @drive runs the victim to where it is killed.
 * False: a failure, described in board->text.
 */
bool play(const struct scenario *s, uint64_t kill_no, void (*drive)(void *), void *arg)
{
	bool up;
	int ret;

	memset(board, 0, sizeof(*board));
	board->kill = kill_no;
	board->meanwhile = s->flags & ASLEEP;
	hung = 0;
	victim.asleep = false;
	dir_before(s);
	(void)fflush(stdout);
	play_goes_on();
	ret = start_checker(s);
	up = !ret && heard('r');
	if (up && s->flags & ASLEEP)
		(void)await_sleep(checker.pid, checker.pid);
	if (up)
		up = start_victim(s);
	if (up && s->flags & ASLEEP)
		(void)await_sleep(checker.pid, checker.pid);
	if (up && drive)
		drive(arg);
	if (up && s->flags & BLOCKS) {
		(void)ptrace(PTRACE_CONT, victim.pid, 0, 0);
		victim.asleep = await_sleep(victim.pid, victim.pid);
	}
	if (up && s->observe) {
		(void)!write(checker.fd, "s", 1);
		up = heard('o');
	}
	end_victim();
	up = end_checker() && up;
	(void)alarm(0);
	dir_after(s);
	return up && !board->text[0];
}

static bool ptrace_works(void)
{
	int status = 0;
	bool ok;
	pid_t pid = fork();

	if (!pid) {
		if (ptrace(PTRACE_TRACEME, 0, 0, 0))
			_exit(1);
		MARK();
		_exit(0);
	}
	ok = pid > 0 && waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
	if (ok) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, __WALL);
	}
	return ok;
}

static bool is_wanted(const char *name, char **argv)
{
	int i;

	for (i = 1; argv[i]; i++)
		if (!strncmp(name, argv[i], strlen(argv[i])))
			return true;
	return !argv[1];
}

static unsigned int number(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? (unsigned int)strtoul(text, NULL, 10) : otherwise;
}

/* Shared by all jobs, which take the scenarios one by one. */
struct tally {
	uint32_t taken, passed, failed;
	uint32_t made, missed;		/* kills */
};

static void work(struct tally *tally, const struct limits *limits, char **argv)
{
	static const struct scenario *const all[] = {
		segment_scenarios, attach_scenarios, spsc_scenarios, bcast_scenarios,
		sleep_scenarios, topic_scenarios, shape_scenarios, user_scenarios,
		huge_scenarios, event_scenarios, lock_scenarios, rwlock_scenarios, sem_scenarios,
		barrier_scenarios, queue_scenarios,
	};
	const struct scenario *s;
	struct kills kills;
	uint32_t at = 0, mine_is;
	unsigned int i;
	bool good;

	if (!dir_make())
		exit(1);
	mine_is = __atomic_fetch_add(&tally->taken, 1, __ATOMIC_RELAXED);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		for (s = all[i]; s->name; s++) {
			if (!is_wanted(s->name, argv) || s->flags & (on_device() ? MEM : DEV) ||
			    at++ != mine_is)
				continue;
			good = run_scenario(s, limits, &kills);
			__atomic_fetch_add(good ? &tally->passed : &tally->failed, 1,
					   __ATOMIC_RELAXED);
			__atomic_fetch_add(&tally->made, kills.made, __ATOMIC_RELAXED);
			__atomic_fetch_add(&tally->missed, kills.missed, __ATOMIC_RELAXED);
			mine_is = __atomic_fetch_add(&tally->taken, 1, __ATOMIC_RELAXED);
		}
	}
	dir_remove();
}

static void *share(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("step: mmap");
		exit(1);
	}
	return p;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	const struct limits limits = {
		.full = number("CRASH_FULL", 0) == 1, .enough = number("CRASH_ENOUGH", 20),
		.sample = number("CRASH_SAMPLE", 0),
		.seed = number("CRASH_SEED", (unsigned int)time(NULL)),
	};
	unsigned int i, jobs = number("CRASH_JOBS", 3);
	struct tally *tally;
	int status, lost = 0;

	(void)argc;
	/* Start again without random addresses, so that a failure can be repeated. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE) &&
	    personality(ADDR_NO_RANDOMIZE) >= 0 && personality(0xffffffff) & ADDR_NO_RANDOMIZE)
		(void)execv("/proc/self/exe", argv);
	if (!ptrace_works()) {
		printf("SKIP: ptrace is not permitted here\n0 passed, 0 failed, 1 skipped\n");
		return SKIP;
	}
	if (limits.sample)
		printf("a sample of %u kills each, CRASH_SEED=%llu\n", limits.sample,
		       (unsigned long long)limits.seed);
	(void)fflush(stdout);
	tally = share(sizeof(*tally));
	watchdog_s = number("CRASH_WATCHDOG", watchdog_s);
	(void)sigaction(SIGALRM, &sa, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	/* The processes of a job mostly wait for each other, so more jobs than CPUs are useful. */
	for (i = 0; i < jobs; i++) {
		if (fork())
			continue;
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		board = share(sizeof(*board));
		work(tally, &limits, argv);
		exit(0);
	}
	while (wait(&status) > 0)
		lost += status != 0;
	if (lost)
		printf("%d of %u jobs ended early\n", lost, jobs);
	printf("%u kills in %u scenarios, %u drifted (%u in 100 are too many)\n", tally->made,
	       tally->passed + tally->failed, tally->missed, MISSES_PERCENT + 1);
	if (tally->missed * 100 > tally->made * MISSES_PERCENT)
		tally->failed++;
	printf("%u passed, %u failed, 0 skipped\n", tally->passed, tally->failed + (unsigned int)lost);
	return tally->failed || lost || !tally->passed;
}
