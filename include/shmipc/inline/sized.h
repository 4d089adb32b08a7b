/* SPDX-License-Identifier: MIT */
/*
 * sized.h - initialisers of structs that begin with their own size
 *
 *   const struct shmipc_topic_opts o = SHMIPC_TOPIC_OPTS(.history = 100, .publishers = 1);
 *   struct shmipc_sub_stat st = SHMIPC_SUB_STAT();
 *
 * The fields are named, in any order; all others are zero, which means the default.
 * In C each is a compound literal, so &SHMIPC_TOPIC_OPTS(...) may be passed on; in
 * C++ (from C++11, without designated initialisers) it is a value, for use inside
 * functions, of up to 16 fields.
 *
 * The size says which version of the headers a program was compiled with. A library
 * of another version takes what is missing for zero. What it does not know must be
 * zero in options (-E2BIG otherwise), and is made zero in results.
 */
#ifndef SHMIPC_INLINE_SIZED_H
#define SHMIPC_INLINE_SIZED_H

#ifndef __cplusplus

#define SHMIPC_PRIV_SIZED(type, ...)	((type){ .struct_bytes = sizeof(type), __VA_ARGS__ })

#else

/* SHMIPC_PRIV_SET(.a = 1, .b = 2) is o.a = 1; o.b = 2; and with nothing, nothing. */
#define SHMIPC_PRIV_SET_1(f)		(void)(shmipc_priv_o f);
#define SHMIPC_PRIV_SET_2(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_1(__VA_ARGS__)
#define SHMIPC_PRIV_SET_3(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_2(__VA_ARGS__)
#define SHMIPC_PRIV_SET_4(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_3(__VA_ARGS__)
#define SHMIPC_PRIV_SET_5(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_4(__VA_ARGS__)
#define SHMIPC_PRIV_SET_6(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_5(__VA_ARGS__)
#define SHMIPC_PRIV_SET_7(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_6(__VA_ARGS__)
#define SHMIPC_PRIV_SET_8(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_7(__VA_ARGS__)
#define SHMIPC_PRIV_SET_9(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_8(__VA_ARGS__)
#define SHMIPC_PRIV_SET_10(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_9(__VA_ARGS__)
#define SHMIPC_PRIV_SET_11(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_10(__VA_ARGS__)
#define SHMIPC_PRIV_SET_12(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_11(__VA_ARGS__)
#define SHMIPC_PRIV_SET_13(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_12(__VA_ARGS__)
#define SHMIPC_PRIV_SET_14(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_13(__VA_ARGS__)
#define SHMIPC_PRIV_SET_15(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_14(__VA_ARGS__)
#define SHMIPC_PRIV_SET_16(f, ...)	(void)(shmipc_priv_o f); SHMIPC_PRIV_SET_15(__VA_ARGS__)
#define SHMIPC_PRIV_NTH(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, ...)	q
#define SHMIPC_PRIV_SET(...)								\
	SHMIPC_PRIV_NTH(__VA_ARGS__, SHMIPC_PRIV_SET_16, SHMIPC_PRIV_SET_15,		\
			SHMIPC_PRIV_SET_14, SHMIPC_PRIV_SET_13, SHMIPC_PRIV_SET_12,	\
			SHMIPC_PRIV_SET_11, SHMIPC_PRIV_SET_10, SHMIPC_PRIV_SET_9,	\
			SHMIPC_PRIV_SET_8, SHMIPC_PRIV_SET_7, SHMIPC_PRIV_SET_6,	\
			SHMIPC_PRIV_SET_5, SHMIPC_PRIV_SET_4, SHMIPC_PRIV_SET_3,	\
			SHMIPC_PRIV_SET_2, SHMIPC_PRIV_SET_1, )(__VA_ARGS__)

#define SHMIPC_PRIV_SIZED(type, ...)							\
	([&]() -> type {								\
		type shmipc_priv_o = {};						\
		shmipc_priv_o.struct_bytes = sizeof(type);				\
		SHMIPC_PRIV_SET(__VA_ARGS__)						\
		return shmipc_priv_o;							\
	}())

#endif

#endif /* SHMIPC_INLINE_SIZED_H */
