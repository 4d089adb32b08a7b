// SPDX-License-Identifier: MIT
/* process.c - the process behind an end: its PID here, and what it is doing */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <linux/shmipc_layout.h>
#include <shmipc/segment.h>
#include "process.h"

uint32_t process_own_ns(void)
{
	struct stat st;

	return stat("/proc/self/ns/pid", &st) ? 0 : (uint32_t)st.st_ino;
}

/* The file of a segment; a slash in the name is a % in the file's. */
static int open_segment(const char *name)
{
	const char *dir = shmipc_segment_dir();
	size_t len = strlen(dir), i;
	char path[4352];

	if (len + strlen(name) + 2 > sizeof(path))
		return -1;
	memcpy(path, dir, len);
	path[len] = '/';
	for (i = 0; name[i]; i++)
		path[len + 1 + i] = name[i] == '/' ? '%' : name[i];
	path[len + 1 + i] = 0;
	return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static int read_slot(int fd, uint32_t slot, struct shmipc_peer_slot *ret)
{
	struct shmipc_seg_hdr h;

	if (pread(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h) || h.magic != SHMIPC_SEG_MAGIC ||
	    h.layout_major != SHMIPC_LAYOUT_MAJOR || slot >= h.peers ||
	    h.peer_bytes < sizeof(*ret) || h.peers_off > h.total_bytes)
		return -1;
	return pread(fd, ret, sizeof(*ret), (off_t)(h.peers_off + (uint64_t)slot * h.peer_bytes)) ==
	       (ssize_t)sizeof(*ret) ? 0 : -1;
}

struct process_id process_of_end(const char *name, uint32_t slot, uint64_t generation, uint32_t pid)
{
	struct process_id id = { 0, 0 };
	struct shmipc_peer_slot s;
	int fd;

	if (pid)
		return (struct process_id){ process_own_ns(), pid };
	fd = open_segment(name);
	if (fd < 0)
		return id;
	if (!read_slot(fd, slot, &s) && s.generation == generation)
		id = (struct process_id){ s.hint_pidns, s.hint_pid };
	close(fd);
	return id;
}

/* The innermost PID of /proc/PID/status, "NSpid: 4711 12"; 0: not there. */
static uint32_t inner_pid(const char *pid)
{
	char path[64], line[512], *last;
	uint32_t found = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "NSpid:", 6))
			continue;
		last = strrchr(line, '\t');
		found = last ? (uint32_t)strtoul(last + 1, NULL, 10) : 0;
		break;
	}
	if (f)
		fclose(f);
	return found;
}

static int is_it(const char *pid, struct process_id id)
{
	char path[64];
	struct stat st;

	if (inner_pid(pid) != id.pid)
		return 0;
	snprintf(path, sizeof(path), "/proc/%.20s/ns/pid", pid);
	return !stat(path, &st) && (uint32_t)st.st_ino == id.pidns;
}

/* The last result: to look through all of /proc takes a while. */
#define SEEN	256u
static struct seen {
	struct process_id id;
	uint32_t pid;
} seen[SEEN];

static struct seen *seen_at(struct process_id id)
{
	return &seen[(id.pid * 31u + id.pidns) % SEEN];
}

static uint32_t search(struct process_id id)
{
	const struct dirent *entry;
	uint32_t found = 0;
	DIR *proc = opendir("/proc");

	while (proc && !found && (entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && is_it(entry->d_name, id))
			found = (uint32_t)strtoul(entry->d_name, NULL, 10);
	if (proc)
		closedir(proc);
	return found;
}

uint32_t process_seen(struct process_id id)
{
	struct seen *s = seen_at(id);
	char pid[16];

	if (!id.pid || id.pidns == process_own_ns())
		return id.pid;
	snprintf(pid, sizeof(pid), "%" PRIu32, s->pid);
	if (s->id.pid == id.pid && s->id.pidns == id.pidns && s->pid && is_it(pid, id))
		return s->pid;
	*s = (struct seen){ id, search(id) };
	return s->pid;
}

/* A file of /proc/PID as one line. Return: its length, 0 if it cannot be read. */
static size_t slurp(uint32_t pid, const char *what, char *buf, size_t cap)
{
	char path[64];
	ssize_t n;
	int fd;

	*buf = 0;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, what);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, cap - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	buf[strcspn(buf, "\n")] = 0;
	return strlen(buf);
}

/* System calls in which a process may be blocked; others are shown by number. */
static const char *syscall_name(long nr)
{
	static const struct {
		long nr;
		const char *name;
	} names[] = {
		{ SYS_futex, "futex" }, { SYS_clock_nanosleep, "clock_nanosleep" },
		{ SYS_nanosleep, "nanosleep" }, { SYS_read, "read" }, { SYS_write, "write" },
		{ SYS_readv, "readv" }, { SYS_writev, "writev" }, { SYS_ppoll, "ppoll" },
		{ SYS_pselect6, "pselect" }, { SYS_epoll_pwait, "epoll_wait" },
		{ SYS_recvfrom, "recv" }, { SYS_recvmsg, "recvmsg" }, { SYS_sendto, "send" },
		{ SYS_sendmsg, "sendmsg" }, { SYS_accept, "accept" }, { SYS_connect, "connect" },
		{ SYS_fsync, "fsync" }, { SYS_fdatasync, "fdatasync" }, { SYS_flock, "flock" },
		{ SYS_fcntl, "fcntl" }, { SYS_ioctl, "ioctl" }, { SYS_wait4, "wait" },
		{ SYS_waitid, "wait" }, { SYS_openat, "open" },
		{ SYS_rt_sigtimedwait, "sigwait" }, { SYS_rt_sigsuspend, "sigsuspend" },
#ifdef SYS_futex_waitv
		{ SYS_futex_waitv, "futex_waitv" },
#endif
#ifdef SYS_poll		/* of older processors only */
		{ SYS_poll, "poll" }, { SYS_select, "select" }, { SYS_pause, "pause" },
		{ SYS_epoll_wait, "epoll_wait" },
#endif
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].nr == nr)
			return names[i].name;
	return NULL;
}

/* Where it sleeps: the system call, and the kernel's function. */
static void add_where(uint32_t pid, char *text, size_t cap)
{
	char call[128], wchan[64];
	const char *name = NULL;
	size_t n = strlen(text);
	long nr = -1;

	if (slurp(pid, "syscall", call, sizeof(call)) && sscanf(call, "%ld", &nr) == 1 && nr >= 0) {
		name = syscall_name(nr);
		if (name)
			n += (size_t)snprintf(text + n, cap - n, " in %s", name);
		else
			n += (size_t)snprintf(text + n, cap - n, " in system call %ld", nr);
	}
	if (n < cap && slurp(pid, "wchan", wchan, sizeof(wchan)) && strcmp(wchan, "0"))
		snprintf(text + n, cap - n, " (%s)", wchan);
}

void process_doing(uint32_t pid, struct process_doing *ret)
{
	char stat[512];
	const char *after;

	memset(ret, 0, sizeof(*ret));
	if (!pid || !slurp(pid, "stat", stat, sizeof(stat)))
		return;
	after = strrchr(stat, ')');
	if (!after || !after[1])
		return;
	ret->state = after[2];
	switch (ret->state) {
	case 'R':
		snprintf(ret->text, sizeof(ret->text), "runs, or waits for a CPU");
		break;
	case 'S':
	case 'I':
		snprintf(ret->text, sizeof(ret->text), "sleeps");
		add_where(pid, ret->text, sizeof(ret->text));
		break;
	case 'D':
		snprintf(ret->text, sizeof(ret->text), "waits for a device, uninterruptibly,");
		add_where(pid, ret->text, sizeof(ret->text));
		break;
	case 'T':
		snprintf(ret->text, sizeof(ret->text), "is stopped by a signal");
		break;
	case 't':
		snprintf(ret->text, sizeof(ret->text), "is stopped by a debugger");
		break;
	case 'Z':
		snprintf(ret->text, sizeof(ret->text), "is dead, and its parent has not waited for it");
		break;
	default:
		snprintf(ret->text, sizeof(ret->text), "is in state %c", ret->state);
	}
}

int process_stopped(const struct process_doing *d)
{
	return d->state == 'T' || d->state == 't';
}
