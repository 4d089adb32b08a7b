/* SPDX-License-Identifier: MIT */
/* module.h - taking the module out of the kernel, and putting it back */
#ifndef TESTS_KMOD_MODULE_H
#define TESTS_KMOD_MODULE_H

#include "dev.h"

#define MODULE	"/shmipc.ko"

static inline int module_remove(void)
{
	return syscall(SYS_delete_module, "shmipc", O_NONBLOCK) ? -errno : 0;
}

static inline int module_insert(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

#endif /* TESTS_KMOD_MODULE_H */
