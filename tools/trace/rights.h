/* SPDX-License-Identifier: MIT */
/* rights.h - may we use eBPF here, and what to do if not */
#ifndef TOOLS_TRACE_RIGHTS_H
#define TOOLS_TRACE_RIGHTS_H

/* Return: RC_OK, or RC_FAIL after a message that says the next step. */
int rights_check(void);

/* The same without a message: 1 or 0. */
int rights_there(void);

/* Have what libbpf says kept, for rights_refused(); call it before libbpf. */
void rights_begin(void);

/* A message: @what failed with -errno @err, what libbpf said, and the next step. */
void rights_refused(const char *what, int err);

#endif /* TOOLS_TRACE_RIGHTS_H */
