// SPDX-License-Identifier: MIT
/*
 * backends.c - the table of each backend, and the choice of the one for names
 *
 * Decided once per process, so that loading the module later does not separate it
 * from the segments that it already has.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/dev.h"
#include "mem/mem.h"
#include "segment/private.h"
#include "segment/table.h"

const struct shmipc_backend shmipc_mem = {
	.name = "mem",
	.locks = &shmipc_file_locks,
	.create = shmipc_mem_create,
	.open = shmipc_mem_open,
	.anon = shmipc_mem_anon,
	.from_fd = shmipc_mem_from_fd,
	.dup = shmipc_mem_dup,
	.close = shmipc_mem_close,
	.unlink = shmipc_mem_unlink,
	.look = shmipc_mem_look,
	.each = shmipc_mem_each,
	.reap = shmipc_mem_reap,
	.commit = shmipc_mem_commit,
	.commit_huge = shmipc_mem_commit_huge,
	.uncommit = shmipc_mem_uncommit,
	.used = shmipc_mem_used,
	.huge = shmipc_mem_huge,
	.used_in = shmipc_mem_used_in,
	.see = shmipc_mem_see,
	.reads_open = shmipc_mem_reads_open,
	.reads_shut = shmipc_mem_reads_shut,
	.sweep = shmipc_mem_sweep,
	.take = shmipc_table_take,
	.leave = shmipc_table_leave,
	.state = shmipc_table_state,
	.wait_gone = shmipc_table_wait_gone,
	.watch_peer = shmipc_table_watch_peer,
	.watch_peers = shmipc_table_watch_peers,
	.sleep = shmipc_table_sleep,
	.wake = shmipc_table_wake,
	.hello = shmipc_table_hello,
	.unnamed = shmipc_mem_unnamed,
};

const struct shmipc_backend shmipc_dev = {
	.name = "dev",
	.caps = SHMIPC_CAP_ROLES | SHMIPC_CAP_NO_TRUNCATE | SHMIPC_CAP_DEATH_WAKES |
		SHMIPC_CAP_WAITV | SHMIPC_CAP_FENCE | SHMIPC_CAP_SEAL,
	.create = shmipc_dev_create,
	.open = shmipc_dev_open,
	.anon = shmipc_dev_anon,
	.from_fd = shmipc_dev_from_fd,
	.dup = shmipc_dev_dup,
	.close = shmipc_dev_close,
	.unlink = shmipc_dev_unlink,
	.look = shmipc_dev_look,
	.each = shmipc_dev_each,
	.reap = shmipc_dev_reap,
	.commit = shmipc_dev_commit,
	.commit_huge = shmipc_dev_commit_huge,
	.uncommit = shmipc_dev_uncommit,
	.used = shmipc_dev_used,
	.huge = shmipc_dev_huge,
	.used_in = shmipc_dev_used_in,
	.see = shmipc_dev_see,
	.take = shmipc_dev_take,
	.leave = shmipc_dev_leave,
	.state = shmipc_dev_state,
	.wait_gone = shmipc_dev_wait_gone,
	.pid = shmipc_dev_pid,
	.deaths = shmipc_dev_deaths,
	.watch_peer = shmipc_dev_watch_peer,
	.watch_peers = shmipc_dev_watch_peers,
	.sleep = shmipc_dev_sleep,
	.wake = shmipc_dev_wake,
	.fence = shmipc_dev_fence,
	.cut_off = shmipc_dev_cut_off,
	.seal = shmipc_dev_seal,
};

const struct shmipc_backend shmipc_private = {
	.name = "mem",
	.locks = &shmipc_private_locks,
	.caps = SHMIPC_CAP_NO_TRUNCATE | SHMIPC_CAP_DEATH_WAKES,
	.dup = shmipc_private_dup,
	.close = shmipc_private_close,
	.commit = shmipc_private_commit,
	.uncommit = shmipc_private_uncommit,
	.used = shmipc_private_used,
	.used_in = shmipc_mem_used_in,
	.see = shmipc_mem_see,
	.take = shmipc_table_take,
	.leave = shmipc_table_leave,
	.state = shmipc_table_state,
	.wait_gone = shmipc_table_wait_gone,
	.watch_peer = shmipc_table_watch_peer,
	.watch_peers = shmipc_table_watch_peers,
	.sleep = shmipc_table_sleep,
	.wake = shmipc_table_wake,
	.hello = shmipc_table_hello,
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct shmipc_backend *chosen;	/* NULL: no such thing */
static char asked[32];

/* Can the device be used? Nothing else is done with it. */
static bool dev_usable(void)
{
	int fd = shmipc_fd(open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC)), saved = errno;
	bool usable;

	if (fd < 0)	/* the process may be out of descriptors at this moment */
		return (saved == EMFILE || saved == ENFILE) &&
		       !access(SHMIPC_DEVICE, R_OK | W_OK);
	usable = shmipc_dev_is(fd);
	(void)close(fd);
	return usable;
}

static void choose(void)
{
	const char *env = secure_getenv("SHMIPC_BACKEND"), *dir = secure_getenv("SHMIPC_DIR");
	size_t i;

	/* A directory means that files are wanted there. */
	if (!env || !*env)
		env = dir && *dir ? "mem" : "auto";
	for (i = 0; env[i] && i < sizeof(asked) - 1; i++)
		asked[i] = env[i];
	if (!strcmp(env, "mem"))
		chosen = &shmipc_mem;
	else if (!strcmp(env, "dev"))
		chosen = &shmipc_dev;
	else if (!strcmp(env, "auto"))
		chosen = dev_usable() ? &shmipc_dev : &shmipc_mem;
}

const struct shmipc_backend *shmipc_backend_named(void)
{
	if (shmipc_futex_check())
		return NULL;
	pthread_once(&once, choose);
	if (!chosen)
		(void)shmipc_fail(-EINVAL, "shmipc: SHMIPC_BACKEND is \"%s\", expected mem, dev or auto (EINVAL); correct or unset it",
				  asked);
	return chosen;
}

int shmipc_no_backend(void)
{
	int err = shmipc_futex_check();

	return err ? err : -EINVAL;
}

const struct shmipc_backend *shmipc_backend_of_fd(int fd)
{
	return shmipc_dev_is(fd) ? &shmipc_dev : &shmipc_mem;
}
