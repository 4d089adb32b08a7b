// SPDX-License-Identifier: MIT
/* process.c - the kernel's support for waiting and for liveness */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <shmipc/channel.h>
#include <shmipc/error.h>
#include "doctor.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv	449
#endif

/* The whole path once: a ring by name, a message in, the same message out. */
void doctor_works(struct finding *f)
{
	const struct shmipc_segment_opts seg = {
		.struct_bytes = sizeof(seg), .kind = SHMIPC_KIND_SPSC, .flags = SHMIPC_CREATE,
		.bytes = SHMIPC_RING_SIZE_MIN,
	};
	struct shmipc_channel *tx = NULL, *rx = NULL;
	char name[64], buf[8];
	size_t len = 0;
	int err;

	snprintf(name, sizeof(name), "shmipc-doctor.%ld", (long)getpid());
	err = shmipc_channel_open(&tx, name, SHMIPC_ROLE_PRODUCER, &seg, NULL);
	if (!err)
		err = shmipc_channel_open(&rx, name, SHMIPC_ROLE_CONSUMER, &seg, NULL);
	if (err) {
		finding_set(f, FINDING_LACK, "no: %.200s", shmipc_error_text());
		finding_advise(f, "see the lines below that are not ok");
	} else {
		err = shmipc_channel_send(tx, "doctor", 6, 0);
		if (!err)
			err = shmipc_channel_recv(rx, buf, sizeof(buf), &len, 0);
		if (!err && len == 6 && !memcmp(buf, "doctor", 6))
			finding_set(f, FINDING_OK, "yes: a ring was created, and a message went through");
		else
			finding_set(f, FINDING_LACK, "no: a message did not go through (%s)",
				    err ? shmipc_error_name(err) : "wrong bytes");
	}
	shmipc_channel_close(rx);
	shmipc_channel_close(tx);
}

void doctor_cpus(struct finding *f)
{
	struct utsname u;
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	n = sched_getaffinity(0, sizeof(set), &set) ? (int)sysconf(_SC_NPROCESSORS_ONLN) :
		CPU_COUNT(&set);
	if (uname(&u))
		memset(&u, 0, sizeof(u));
	finding_set(f, n > 1 ? FINDING_OK : FINDING_WARN, "%d usable of %ld online, %s, Linux %.60s", n,
		    sysconf(_SC_NPROCESSORS_ONLN), u.machine, u.release);
	if (n <= 1)
		finding_advise(f, "with one CPU spinning gains nothing: use --wait block, or give "
			       "this process more CPUs (taskset, cpuset)");
}

void doctor_futex(struct finding *f)
{
	uint32_t word = 0;

	if (!syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0)) {
		finding_set(f, FINDING_OK, "yes");
		return;
	}
	finding_set(f, FINDING_LACK, "no (%s)", shmipc_error_name(errno));
	finding_advise(f, "allow the system call futex (seccomp filter of the container?)");
}

void doctor_futex_waitv(struct finding *f)
{
	/* Waiting for zero words is an error, but not ENOSYS if the call exists. */
	syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0);
	if (errno != ENOSYS && errno != EPERM) {
		finding_set(f, FINDING_OK, "yes: one sleep watches the ring and the peer");
		return;
	}
	finding_set(f, FINDING_WARN, "no (%s): a peer's death is noticed after up to 100 ms",
		    errno == ENOSYS ? "ENOSYS" : "EPERM");
	finding_advise(f, "Linux 5.16 or newer, and a seccomp filter that allows futex_waitv");
}

void doctor_membarrier(struct finding *f)
{
	long have = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);

	if (have > 0 && have & MEMBARRIER_CMD_GLOBAL_EXPEDITED &&
	    !syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) &&
	    !syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0)) {
		finding_set(f, FINDING_OK, "yes, global expedited: no fence where messages pass");
		return;
	}
	finding_set(f, FINDING_WARN, "no: each publish pays a full memory fence");
	finding_advise(f, "Linux 4.16 or newer, and a seccomp filter that allows membarrier");
}

/* Another open file description of the same file. */
static int reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDWR | O_CLOEXEC);
}

void doctor_locks(struct finding *f)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	int fd = open_scratch(), other, err = 0;

	if (fd < 0) {
		finding_set(f, FINDING_LACK, "cannot try: no file can be created (%s)",
			    shmipc_error_name(fd));
		finding_advise(f, "see the line \"directory\"");
		return;
	}
	if (fcntl(fd, F_OFD_SETLK, &lock))
		err = errno;
	other = reopen(fd);
	/* A lock that does not exclude other processes would be worse than no lock. */
	if (!err && other >= 0 && (!fcntl(other, F_OFD_SETLK, &lock) ||
				   (errno != EAGAIN && errno != EACCES)))
		err = EPROTO;
	if (other >= 0)
		close(other);
	close(fd);
	if (!err) {
		finding_set(f, FINDING_OK, other < 0 ? "yes; not tried with two processes, which needs /proc" :
			    "yes: it is certain which processes are alive");
		return;
	}
	finding_set(f, FINDING_LACK, "open-file-description locks do not work here (%s)",
		    shmipc_error_name(err));
	finding_advise(f, "set SHMIPC_DIR to a directory on tmpfs");
}

static void *lock_and_end(void *mutex)
{
	pthread_mutex_lock(mutex);
	return NULL;
}

void doctor_robust(struct finding *f)
{
	pthread_mutexattr_t attr;
	pthread_mutex_t mutex;
	pthread_t thread;
	int err;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&mutex, &attr);
	err = pthread_create(&thread, NULL, lock_and_end, &mutex);
	if (!err) {
		pthread_join(thread, NULL);
		err = pthread_mutex_trylock(&mutex);
	}
	if (err == EOWNERDEAD) {
		finding_set(f, FINDING_OK, "yes: the kernel marks the words of a dead process at once");
		pthread_mutex_consistent(&mutex);
		pthread_mutex_unlock(&mutex);
		return;
	}
	finding_set(f, FINDING_WARN, "no (%s): a peer's death is noticed after up to 100 ms",
		    shmipc_error_name(err));
	finding_advise(f, "a kernel with CONFIG_FUTEX, and a seccomp filter that allows "
		       "set_robust_list");
}

void doctor_proc(struct finding *f)
{
	if (!access("/proc/self/fd", R_OK)) {
		finding_set(f, FINDING_OK, "mounted");
		return;
	}
	finding_set(f, FINDING_WARN, "not mounted: named segments work; no end of an anonymous one can be opened, and no limit of a cgroup is seen");
	finding_advise(f, "mount -t proc proc /proc");
}

void doctor_descriptors(struct finding *f)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim)) {
		finding_set(f, FINDING_WARN, "unknown (%s)", shmipc_error_name(errno));
		return;
	}
	finding_set(f, lim.rlim_cur >= 64 ? FINDING_OK : FINDING_WARN, "%llu, at most %llu",
		    (unsigned long long)lim.rlim_cur, (unsigned long long)lim.rlim_max);
	if (lim.rlim_cur < 64)
		finding_advise(f, "each open segment takes descriptors: ulimit -n 1024");
}
