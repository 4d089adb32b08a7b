/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - every atomic access and every fence of shmipc goes through here
 *
 * Short names for the memory orders of C11, on any naturally aligned 8-, 16-,
 * 32- or 64-bit word, in C99 and in C++11 and later. With SHMIPC_MODEL defined the model
 * checker provides the same names and sees each access.
 *
 * The payload copies are here too, because the memory model treats the two kinds of
 * ring differently: in a lossless ring a payload is plain memory that a release and
 * its acquire hand over; in an overwriting one the reader copies while the writer may
 * write, and detects that afterwards. Functions of the second kind are named "racy"
 * and must be followed by a check.
 */
#ifndef SHMIPC_INLINE_ATOMIC_H
#define SHMIPC_INLINE_ATOMIC_H

/* Of a 32-bit process the lock bytes of a file and the times of a sleep are others. */
#if __SIZEOF_POINTER__ < 8
#error "shmipc: 64-bit processes only; build without -m32"
#endif

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "shmipc: the layout is little endian"
#endif

#define shmipc_likely(x)	__builtin_expect(!!(x), 1)
#define shmipc_unlikely(x)	__builtin_expect(!!(x), 0)

/*
 * The functions of these headers are compiled into each program that includes
 * them. A file that defines both macros first turns them into functions with external
 * linkage, for languages that cannot include C (lib/ffi.c).
 */
#ifndef SHMIPC_INLINE
#define SHMIPC_INLINE		static inline
#define SHMIPC_COLD		static __attribute__((noinline, cold, unused))
/*
 * An inline function does not look whether its arguments are NULL: it says which may not
 * be, and the compiler warns. As a function of the library it looks, and returns -EINVAL
 * (those of bare rings do not: their ends have a size that only C knows).
 */
#define SHMIPC_NONNULL(...)	__attribute__((nonnull(__VA_ARGS__)))
#define SHMIPC_PRIV_NULL(cond)	0
#endif

/* The casts in these functions are those of C, whatever a C++ program has itself warned of. */
#ifdef __cplusplus
#define SHMIPC_PRIV_C_BEGIN							\
	_Pragma("GCC diagnostic push")						\
	_Pragma("GCC diagnostic ignored \"-Wold-style-cast\"")			\
	_Pragma("GCC diagnostic ignored \"-Wzero-as-null-pointer-constant\"")
#define SHMIPC_PRIV_C_END	_Pragma("GCC diagnostic pop")
#else
#define SHMIPC_PRIV_C_BEGIN
#define SHMIPC_PRIV_C_END
#endif
SHMIPC_PRIV_C_BEGIN

/* Fetch a line that will be written soon. Only a hint. */
#if defined(__x86_64__)
#define shmipc_prefetch_write(p)	__asm__ __volatile__("prefetchw %0" :: "m"(*(const char *)(p)))
#else
#define shmipc_prefetch_write(p)	__builtin_prefetch((p), 1)
#endif

/* Fetch a line that will be read soon. Only a hint; it may be any address. */
#define shmipc_prefetch_read(p)		__builtin_prefetch((p), 0)

#if defined(__SANITIZE_THREAD__)
#define SHMIPC_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SHMIPC_TSAN 1
#endif
#endif

/* For the compiler only: memory copied before this is not read again. */
#define shmipc_compiler_barrier()	__atomic_signal_fence(__ATOMIC_SEQ_CST)

#ifdef SHMIPC_MODEL
#include "model_atomic.h"
#else

#define shmipc_load_relaxed(p)		__atomic_load_n((p), __ATOMIC_RELAXED)
#define shmipc_load_acquire(p)		__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define shmipc_store_relaxed(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define shmipc_store_release(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* *@p == *@expected: store @v, true. Otherwise: *@expected = *@p, false. */
#define shmipc_cas_acq_rel(p, expected, v)				\
	__atomic_compare_exchange_n((p), (expected), (v), 0,		\
				    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define shmipc_fetch_or_acq_rel(p, v)	__atomic_fetch_or((p), (v), __ATOMIC_ACQ_REL)
/* Counters that order nothing. */
#define shmipc_add_relaxed(p, v)	((void)__atomic_fetch_add((p), (v), __ATOMIC_RELAXED))
#define shmipc_fetch_add_acq_rel(p, v)	__atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define shmipc_exchange_acq_rel(p, v)	__atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

#ifdef SHMIPC_TSAN
/*
 * ThreadSanitizer does not understand fences, so the racy copies below are ordered
 * instead. A locked instruction has the effect of a full fence.
 */
SHMIPC_INLINE void shmipc_priv_fence_locked(void)
{
	int word = 0;

	(void)__atomic_fetch_add(&word, 0, __ATOMIC_SEQ_CST);
}

#define shmipc_fence_acquire()		((void)0)
#define shmipc_fence_release()		((void)0)
#define shmipc_fence_seq_cst()		shmipc_priv_fence_locked()
#else
#define shmipc_fence_acquire()		__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define shmipc_fence_release()		__atomic_thread_fence(__ATOMIC_RELEASE)
#define shmipc_fence_seq_cst()		__atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/*
 * A full fence, right after an update such as shmipc_fetch_add_acq_rel(): on x86 the update's
 * locked instruction is one, so that only the compiler has to be kept from moving accesses.
 */
#if defined(__x86_64__) && !defined(SHMIPC_TSAN)
#define shmipc_fence_after_update()	__atomic_signal_fence(__ATOMIC_SEQ_CST)
#else
#define shmipc_fence_after_update()	shmipc_fence_seq_cst()
#endif

/*
 * The cheap half of an asymmetric full fence: it keeps the compiler from moving
 * accesses, and costs nothing. The expensive half is membarrier(2), on the side that
 * is about to sleep: it makes every CPU that runs a registered process execute a
 * full fence.
 */
#define shmipc_barrier_light()		__atomic_signal_fence(__ATOMIC_SEQ_CST)

#if defined(__x86_64__) || defined(__i386__)
#define shmipc_cpu_relax()		__builtin_ia32_pause()
#elif defined(__aarch64__)
#define shmipc_cpu_relax()		__asm__ __volatile__("isb" ::: "memory")
#else
#define shmipc_cpu_relax()		__asm__ __volatile__("" ::: "memory")
#endif

/* Reads of the other side's word before the exact one is read. */
#define SHMIPC_CREDIT_SPINS		32

/* A buffer of length 0 may be NULL, which memcpy does not allow. */
SHMIPC_INLINE void shmipc_priv_copy(void *dst, const void *src, size_t n)
{
	if (shmipc_likely(n))
		memcpy(dst, src, n);
}

/*
 * Copies into the ring. The string instruction writes whole lines without reading
 * them first; for long copies between two cores this saves a third of the time.
 */
#define SHMIPC_STRING_MIN		4096u

SHMIPC_INLINE void shmipc_priv_copy_in(void *dst, const void *src, size_t n)
{
#if defined(__x86_64__) && !defined(SHMIPC_TSAN) && !defined(__SANITIZE_ADDRESS__)
	if (n >= SHMIPC_STRING_MIN) {
		__asm__ __volatile__("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) :: "memory");
		return;
	}
#endif
	shmipc_priv_copy(dst, src, n);
}

/* Payloads of a lossless ring: plain memory. */
#define shmipc_payload_write(dst, src, n)	shmipc_priv_copy_in((dst), (src), (n))
#define shmipc_payload_read(dst, src, n)	shmipc_priv_copy((dst), (src), (n))

#ifdef SHMIPC_TSAN
/* Each byte provides the order that the fences provide elsewhere. */
SHMIPC_INLINE void shmipc_racy_write(void *dst, const void *src, size_t n)
{
	unsigned char *d = (unsigned char *)dst;
	const unsigned char *s = (const unsigned char *)src;
	size_t i;

	for (i = 0; i < n; i++)
		__atomic_store_n(d + i, s[i], __ATOMIC_RELEASE);
}

SHMIPC_INLINE void shmipc_racy_read(void *dst, const void *src, size_t n)
{
	unsigned char *d = (unsigned char *)dst;
	const unsigned char *s = (const unsigned char *)src;
	size_t i;

	for (i = 0; i < n; i++)
		d[i] = __atomic_load_n(s + i, __ATOMIC_ACQUIRE);
}
#else
/*
 * C has no vector-wide relaxed copy. memcpy reads or writes each byte once or more,
 * in any order, and the fences around it are at least compiler barriers: torn bytes
 * are possible and expected; the check that follows discards them.
 */
#define shmipc_racy_write(dst, src, n)	shmipc_priv_copy_in((dst), (src), (n))
#define shmipc_racy_read(dst, src, n)	shmipc_priv_copy((dst), (src), (n))
#endif

#endif /* SHMIPC_MODEL */
SHMIPC_PRIV_C_END
#endif /* SHMIPC_INLINE_ATOMIC_H */
