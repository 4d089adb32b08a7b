// SPDX-License-Identifier: MIT
/*
 * fd.c - descriptors of the library are never 0, 1 or 2
 *
 * A daemon that has closed these three still prints and reads: its output would go
 * into a segment.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/base.h"

int shmipc_fd(int fd)
{
	int high, saved;

	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	saved = errno;
	(void)close(fd);
	errno = saved;
	return high;
}
