/* SPDX-License-Identifier: MIT */
/* rights.h - is eBPF allowed, and what to do if not */
#ifndef TOOLS_TRACE_RIGHTS_H
#define TOOLS_TRACE_RIGHTS_H

/* Return: RC_OK, or RC_FAIL after a message with the next step. */
int rights_check(void);

/* The same without a message: 1 or 0. */
int rights_there(void);

/* Keep the messages of libbpf, for rights_refused(); call it before libbpf. */
void rights_begin(void);

/* Print that @what failed with -errno @err, the message of libbpf, and the next step. */
void rights_refused(const char *what, int err);

#endif /* TOOLS_TRACE_RIGHTS_H */
