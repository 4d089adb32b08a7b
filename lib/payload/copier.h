/* SPDX-License-Identifier: MIT */
/* copier.h - shared by the parts of the copiers */
#ifndef SHMIPC_LIB_COPIER_H
#define SHMIPC_LIB_COPIER_H

#include <shmipc/inline/atomic.h>
#include <shmipc/copier.h>

#include "base/base.h"

/*
 * Sanitizers neither see through inline assembly nor accept torn bytes: for them all
 * copies go through functions that they understand.
 */
#if defined(SHMIPC_TSAN) || defined(__SANITIZE_ADDRESS__)
#define SHMIPC_COPIER_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SHMIPC_COPIER_SANITIZED 1
#endif
#endif

#if defined(__x86_64__)
#define SHMIPC_COPIER_X86 1
#endif

/* Features that a processor may lack. */
#define SHMIPC_CPU_AVX2		0x1u
#define SHMIPC_CPU_AVX512	0x2u
#define SHMIPC_CPU_STRING	0x4u	/* its string instructions are fast ("erms") */

typedef int shmipc_copy_fn(void *dst, const void *src, size_t n, void *arg);

/* copier.c: */
int shmipc_copier_read(struct shmipc_copier *ret, const struct shmipc_copier *user, const char *what);
int shmipc_copy_plain_in(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_plain_out(void *dst, const void *src, size_t n, void *arg);
const struct shmipc_copier *shmipc_copier_auto(void);	/* of this processor */

/* copier_x86.c: the first four are the same in both directions */
uint32_t shmipc_copier_cpu(void);	/* SHMIPC_CPU_* */
int shmipc_copy_movsb(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_avx2(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_avx512(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_nt(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_auto_avx2_in(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_auto_base_in(void *dst, const void *src, size_t n, void *arg);

/* copier_mt.c */
int shmipc_copy_mt_in(void *dst, const void *src, size_t n, void *arg);
int shmipc_copy_mt_out(void *dst, const void *src, size_t n, void *arg);

#endif /* SHMIPC_LIB_COPIER_H */
