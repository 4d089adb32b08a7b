// SPDX-License-Identifier: MIT
/*
 * backends.c - which backend new names are of: SHMIPC_BACKEND, or what there is
 *
 * Decided once per process, so that a module loaded meanwhile does not part it
 * from the segments it already has.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/shmipc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "segment/backend.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct shmipc_backend *chosen;	/* NULL: no such thing */
static char wish[32];

/* Can it be used, were it wished for? Nothing else is done to it. */
static bool dev_usable(void)
{
	int fd = open(SHMIPC_DEVICE, O_RDWR | O_CLOEXEC), saved = errno;
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

	/* Who names a directory wants files there. */
	if (!env || !*env)
		env = dir && *dir ? "mem" : "auto";
	for (i = 0; env[i] && i < sizeof(wish) - 1; i++)
		wish[i] = env[i];
	if (!strcmp(env, "mem"))
		chosen = &shmipc_mem;
	else if (!strcmp(env, "dev"))
		chosen = &shmipc_dev;
	else if (!strcmp(env, "auto"))
		chosen = dev_usable() ? &shmipc_dev : &shmipc_mem;
}

const struct shmipc_backend *shmipc_backend_named(void)
{
	pthread_once(&once, choose);
	if (!chosen)
		(void)shmipc_fail(-EINVAL, "shmipc: SHMIPC_BACKEND is \"%s\", none of mem, dev, auto (EINVAL); unset it, or correct it",
				  wish);
	return chosen;
}

const struct shmipc_backend *shmipc_backend_of_fd(int fd)
{
	return shmipc_dev_is(fd) ? &shmipc_dev : &shmipc_mem;
}
