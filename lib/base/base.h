/* SPDX-License-Identifier: MIT */
/* base.h - errors and clocks, for all of the library */
#ifndef SHMIPC_LIB_BASE_H
#define SHMIPC_LIB_BASE_H

#include <stdbool.h>
#include <stdint.h>

#include <shmipc/error.h>

#define SHMIPC_EXPORT __attribute__((visibility("default")))

/* error.c */

/* Note the text, without a final newline, and return @err (negative) itself. */
int shmipc_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * fd.c: @fd, which a system call has just returned, or in its place a copy of it
 * above 2. Negative, with errno, if @fd is or if there is no descriptor for a copy.
 */
int shmipc_fd(int fd);

/* time.c */
uint64_t shmipc_now_ns(void);		/* CLOCK_MONOTONIC */
uint64_t shmipc_realtime_ns(void);
void shmipc_sleep_ns(uint64_t ns);	/* for retries at set-up only */

#endif /* SHMIPC_LIB_BASE_H */
