/* SPDX-License-Identifier: MIT */
/* arguments.h - calls that are to be refused; the name of each function is looked for here */
#ifndef TEST_ARGUMENTS_H
#define TEST_ARGUMENTS_H

/* Call the library's copies of the inline functions, as other languages do. */
#define SHMIPC_INLINE		extern inline __attribute__((gnu_inline))
#define SHMIPC_COLD		extern inline __attribute__((gnu_inline, cold))
#define SHMIPC_NONNULL(...)
#define SHMIPC_PRIV_NULL(cond)	0

#include "site.h"

#include "base/base.h"

/* Through a pointer, so that it is a call. */
#define CALL(fn, ...)	({ __typeof__(&fn) volatile f_ = fn; f_(__VA_ARGS__); })

/* NULL where it may not be: -EINVAL, and the text names the function. */
#define REFUSES(fn, ...) do {								\
	(void)shmipc_fail(0, "%s", "");							\
	EXPECT_EQ(-EINVAL, CALL(fn, __VA_ARGS__)) TH_LOG("%s(%s)", #fn, #__VA_ARGS__);	\
	EXPECT_NE(NULL, strstr(shmipc_error_text(), #fn "()")) TH_LOG("%s: \"%s\"", #fn, shmipc_error_text()); \
} while (0)

/* The same; the text is that of what it checks, as a name. */
#define REFUSED(fn, ...) do {								\
	(void)shmipc_fail(0, "%s", "");							\
	EXPECT_EQ(-EINVAL, CALL(fn, __VA_ARGS__)) TH_LOG("%s(%s)", #fn, #__VA_ARGS__);	\
	EXPECT_NE(NULL, strstr(shmipc_error_text(), "EINVAL")) TH_LOG("%s: \"%s\"", #fn, shmipc_error_text()); \
} while (0)

#define GIVES(val, fn, ...)	EXPECT_EQ(val, CALL(fn, __VA_ARGS__)) TH_LOG("%s(%s)", #fn, #__VA_ARGS__)
#define HARMLESS(fn, ...)	CALL(fn, __VA_ARGS__)
#define NO_POINTER(fn)		((void)fn)
#define UNCHECKED(fn)		((void)fn)

#endif /* TEST_ARGUMENTS_H */
