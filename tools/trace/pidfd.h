/* SPDX-License-Identifier: MIT */
/* pidfd.h - how a process ended, without eBPF and privileges: Linux 6.15 and newer */
#ifndef TOOLS_TRACE_PIDFD_H
#define TOOLS_TRACE_PIDFD_H

#include <stdint.h>

/* Open a living process. Return: a descriptor, or -1. */
int pidfd_hold(uint32_t pid);

/*
 * Has it ended, and has its parent waited for it? Then *@ret_code is as in wait(2).
 * Return: 1, or 0: no, or the kernel does not support this.
 */
int pidfd_ended(int fd, uint32_t *ret_code);

/* @fd: may be -1. */
void pidfd_let_go(int fd);

#endif /* TOOLS_TRACE_PIDFD_H */
