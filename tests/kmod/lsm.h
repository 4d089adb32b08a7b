/* SPDX-License-Identifier: MIT */
/* lsm.h - shared by lsm.c and its programs */
#ifndef TESTS_KMOD_LSM_H
#define TESTS_KMOD_LSM_H

enum lsm_hook {
	LSM_INODE,	/* inode_init_security_anon, of the inode [shmipc] */
	LSM_OPEN,	/* file_open */
	LSM_IOCTL,	/* file_ioctl */
	LSM_MMAP,	/* mmap_file, of a file */
	LSM_RECEIVE,	/* file_receive */
	LSM_HOOKS,
};

#endif /* TESTS_KMOD_LSM_H */
