/* SPDX-License-Identifier: MIT */
/* values.h - what the values of options are, and how they are read */
#ifndef TOOLS_OPTS_VALUES_H
#define TOOLS_OPTS_VALUES_H

#include "opts.h"

#define NUMBER_MAX	UINT64_C(1000000000000)	/* of counts that are multiplied */

/* An option that may be given several times. */
#define OPTS_MANY	64u
struct opts_many {
	const char *text[OPTS_MANY];
	unsigned int n;
};

void take_flag(const struct opt *opt, const char *text, void *to);	/* int */
void take_text(const struct opt *opt, const char *text, void *to);	/* const char * */
void take_number(const struct opt *opt, const char *text, void *to);	/* uint64_t */
void take_number32(const struct opt *opt, const char *text, void *to);	/* uint32_t */
void take_size(const struct opt *opt, const char *text, void *to);	/* uint64_t; 4096, 64K */
void take_size32(const struct opt *opt, const char *text, void *to);	/* uint32_t */
void take_seconds(const struct opt *opt, const char *text, void *to);	/* uint64_t, ns */
void take_rate(const struct opt *opt, const char *text, void *to);	/* double, 1/s */
void take_word(const struct opt *opt, const char *text, void *to);	/* uint32_t, its place */
void take_list(const struct opt *opt, const char *text, void *to);	/* uint32_t, 1 << place */
void take_many(const struct opt *opt, const char *text, void *to);	/* struct opts_many */
void take_pair(const struct opt *opt, const char *text, void *to);	/* the same, KEY=VALUE */
void take_pid(const struct opt *opt, const char *text, void *to);	/* the same, a PID */
void take_json(const struct opt *opt, const char *text, void *to);	/* int; messages, too */

/* Which of the option's words this is; @more: what else is expected, or NULL. */
uint32_t opt_word(const struct opt *opt, const char *text, const char *more);

/* A number of bytes within the option's limits. */
uint64_t opt_size(const struct opt *opt, const char *text);

#endif /* TOOLS_OPTS_VALUES_H */
