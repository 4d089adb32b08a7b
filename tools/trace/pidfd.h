/* SPDX-License-Identifier: MIT */
/* pidfd.h - how a process ended, without eBPF and without any right: Linux 6.15 and newer */
#ifndef TOOLS_TRACE_PIDFD_H
#define TOOLS_TRACE_PIDFD_H

#include <stdint.h>

/* Hold on to a process that lives. Return: a descriptor, or -1. */
int pidfd_hold(uint32_t pid);

/*
 * Has it ended, and has its parent taken note? Then *@ret_code is as wait(2) has it.
 * Return: 1, or 0: no, or the kernel does not tell.
 */
int pidfd_ended(int fd, uint32_t *ret_code);

/* -1 is nothing. */
void pidfd_let_go(int fd);

#endif /* TOOLS_TRACE_PIDFD_H */
