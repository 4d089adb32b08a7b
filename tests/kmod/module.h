/* SPDX-License-Identifier: MIT */
/* module.h - unloading the module and loading it again */
#ifndef TESTS_KMOD_MODULE_H
#define TESTS_KMOD_MODULE_H

#include <sys/stat.h>

#include "dev.h"

#define MODULE	"/shmipc.ko"

static gid_t module_gid;	/* of the device, which disappears with the module */

static inline int module_remove(void)
{
	struct stat st;

	if (!stat("/dev/shmipc", &st))
		module_gid = st.st_gid;
	return syscall(SYS_delete_module, "shmipc", O_NONBLOCK) ? -errno : 0;
}

static inline int module_insert(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	/* As udev does on other machines. */
	if (!ret && chown("/dev/shmipc", 0, module_gid))
		ret = -errno;
	return ret;
}

#endif /* TESTS_KMOD_MODULE_H */
