// SPDX-License-Identifier: MIT
/*
 * mem_lock.c - liveness of peers, and the right to remove a name
 *
 * Liveness is shown by locks of open file descriptions on bytes far behind the data. The
 * kernel drops them with the last descriptor of the description, whatever the process is
 * called and in whatever PID namespace it runs:
 *
 *   GATE    exclusive: to remove the name; shared: to join. Held briefly
 *   USE     shared, by all processes that have the segment open: if there are none, it
 *           may be removed
 *   READS   shared, by read-only subscribers; exclusive, by a publisher while it gives
 *           memory back that they might read
 *   SLOT+n  exclusive, by the peer in slot n
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "mem/mem.h"

#define RETRY_NS	UINT64_C(500000)

int shmipc_lock_set(int fd, int64_t at, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	int ret;

	do
		ret = fcntl(fd, F_OFD_SETLK, &l);
	while (ret && errno == EINTR);
	return !ret ? 0 : errno == EAGAIN || errno == EACCES ? -errno : shmipc_sys("fcntl");
}

int shmipc_use_lock(int fd, const char *name)
{
	int ret = shmipc_lock_set(fd, LOCK_USE, F_RDLCK);

	return ret ? shmipc_fail(ret, "shmipc: open \"%s\": lock it: %s%s", name ? name : "",
				 shmipc_cause(ret).s, shmipc_advice(ret)) : 0;
}

/* Does another file description hold this byte? */
bool shmipc_lock_held(int fd, int64_t at)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &l) || l.l_type != F_UNLCK;
}

/* Never waits forever: the process that holds the gate may be stopped, or hostile. */
int shmipc_gate_lock(int fd, short type, uint64_t patience_ns)
{
	uint64_t end = shmipc_now_ns() + patience_ns;
	int ret;

	for (;;) {
		ret = shmipc_lock_set(fd, LOCK_GATE, type);
		if (ret != -EAGAIN && ret != -EACCES)
			return ret;
		if (shmipc_now_ns() >= end)
			return -EBUSY;
		shmipc_sleep_ns(RETRY_NS);
	}
}

void shmipc_gate_unlock(int fd)
{
	(void)shmipc_lock_set(fd, LOCK_GATE, F_UNLCK);
}

/* A publisher has it for a moment only. */
int shmipc_mem_reads_open(struct shmipc_segment *seg, bool on)
{
	uint64_t end = shmipc_now_ns() + GATE_PATIENCE_NS;
	int ret;

	for (;;) {
		ret = shmipc_lock_set(seg->fd, LOCK_READS, on ? F_RDLCK : F_UNLCK);
		if (ret != -EAGAIN && ret != -EACCES)
			return ret;
		if (shmipc_now_ns() >= end)
			return -EBUSY;
		shmipc_sleep_ns(RETRY_NS);
	}
}

int shmipc_mem_reads_shut(struct shmipc_segment *seg, bool on)
{
	int ret = shmipc_lock_set(seg->fd, LOCK_READS, on ? F_WRLCK : F_UNLCK);

	return ret == -EAGAIN || ret == -EACCES ? -EBUSY : ret;
}
