// SPDX-License-Identifier: MIT
/*
 * copier_x86.c - copies for the processors of x86-64
 *
 * The binary runs on all of them; callers check shmipc_copier_cpu() first. No function
 * reads or writes a byte outside its ranges. A remainder that does not fill a vector is
 * copied by a whole vector that ends where the range ends, so some bytes are copied
 * twice: if another process writes at the same time, that is one more way to get a
 * mixture, which all these copies may return anyway.
 */
#include <string.h>

#include "payload/copier.h"

#ifndef SHMIPC_COPIER_X86

uint32_t shmipc_copier_cpu(void)
{
	return 0;
}

#else

#include <cpuid.h>
#include <immintrin.h>

#define KNOWN	0x80000000u

static uint32_t ask_cpu(void)
{
	uint32_t cpu = KNOWN, eax, ebx, ecx, edx;

	/* These two also check that the system saves the registers. */
	if (__builtin_cpu_supports("avx2"))
		cpu |= SHMIPC_CPU_AVX2;
	if (__builtin_cpu_supports("avx512f"))
		cpu |= SHMIPC_CPU_AVX512;
	if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx & 1u << 9)
		cpu |= SHMIPC_CPU_STRING;
	return cpu;
}

uint32_t shmipc_copier_cpu(void)
{
	static uint32_t known;
	uint32_t cpu = shmipc_load_relaxed(&known);

	if (shmipc_unlikely(!cpu)) {	/* several threads find the same value */
		cpu = ask_cpu();
		shmipc_store_relaxed(&known, cpu);
	}
	return cpu & ~KNOWN;
}

int shmipc_copy_movsb(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	__asm__ __volatile__("rep movsb" : "+D"(dst), "+S"(src), "+c"(n) :: "memory");
	return 0;
}

__attribute__((target("avx2")))
static inline __m256i load32(const unsigned char *s)
{
	return _mm256_loadu_si256((const __m256i *)(const void *)s);
}

__attribute__((target("avx2")))
static inline int copy32(void *dst, const void *src, size_t n, void *arg)
{
	const unsigned char *s = (const unsigned char *)src, *s_last;
	unsigned char *d = (unsigned char *)dst, *d_last;
	__m256i a, b, c, e;
	size_t skip;

	if (n < 32)
		return shmipc_copy_plain_in(dst, src, n, arg);
	s_last = s + n - 32;
	d_last = d + n - 32;
	/* The first vector may be unaligned; from then on the stores are aligned. */
	_mm256_storeu_si256((__m256i *)(void *)d, load32(s));
	skip = 32 - ((uintptr_t)d & 31);
	d += skip;
	s += skip;
	for (n -= skip; n >= 128; n -= 128, s += 128, d += 128) {
		a = load32(s);
		b = load32(s + 32);
		c = load32(s + 64);
		e = load32(s + 96);
		_mm256_store_si256((__m256i *)(void *)d, a);
		_mm256_store_si256((__m256i *)(void *)(d + 32), b);
		_mm256_store_si256((__m256i *)(void *)(d + 64), c);
		_mm256_store_si256((__m256i *)(void *)(d + 96), e);
	}
	for (; n >= 32; n -= 32, s += 32, d += 32)
		_mm256_store_si256((__m256i *)(void *)d, load32(s));
	_mm256_storeu_si256((__m256i *)(void *)d_last, load32(s_last));
	return 0;
}

__attribute__((target("avx2")))
int shmipc_copy_avx2(void *dst, const void *src, size_t n, void *arg)
{
	return copy32(dst, src, n, arg);
}

__attribute__((target("avx512f")))
int shmipc_copy_avx512(void *dst, const void *src, size_t n, void *arg)
{
	const unsigned char *s = (const unsigned char *)src, *s_last;
	unsigned char *d = (unsigned char *)dst, *d_last;
	__m512i a, b, c, e;
	size_t skip;

	if (n < 64)
		return shmipc_copy_plain_in(dst, src, n, arg);
	s_last = s + n - 64;
	d_last = d + n - 64;
	_mm512_storeu_si512(d, _mm512_loadu_si512(s));
	skip = 64 - ((uintptr_t)d & 63);
	d += skip;
	s += skip;
	for (n -= skip; n >= 256; n -= 256, s += 256, d += 256) {
		a = _mm512_loadu_si512(s);
		b = _mm512_loadu_si512(s + 64);
		c = _mm512_loadu_si512(s + 128);
		e = _mm512_loadu_si512(s + 192);
		_mm512_store_si512(d, a);
		_mm512_store_si512(d + 64, b);
		_mm512_store_si512(d + 128, c);
		_mm512_store_si512(d + 192, e);
	}
	for (; n >= 64; n -= 64, s += 64, d += 64)
		_mm512_store_si512(d, _mm512_loadu_si512(s));
	_mm512_storeu_si512(d_last, _mm512_loadu_si512(s_last));
	return 0;
}

static inline __m128i load16(const unsigned char *s)
{
	return _mm_loadu_si128((const __m128i *)(const void *)s);
}

/* Every x86-64 has 16-byte stores; four of them fill a line. */
int shmipc_copy_nt(void *dst, const void *src, size_t n, void *arg)
{
	const unsigned char *s = (const unsigned char *)src;
	unsigned char *d = (unsigned char *)dst;
	size_t skip = (64 - ((uintptr_t)d & 63)) & 63;
	__m128i a, b, c, e;

	if (n < 64 + skip)
		return shmipc_copy_plain_in(dst, src, n, arg);
	memcpy(d, s, skip);
	d += skip;
	s += skip;
	for (n -= skip; n >= 64; n -= 64, s += 64, d += 64) {
		a = load16(s);
		b = load16(s + 16);
		c = load16(s + 32);
		e = load16(s + 48);
		_mm_stream_si128((__m128i *)(void *)d, a);
		_mm_stream_si128((__m128i *)(void *)(d + 16), b);
		_mm_stream_si128((__m128i *)(void *)(d + 32), c);
		_mm_stream_si128((__m128i *)(void *)(d + 48), e);
	}
	memcpy(d, s, n);
	_mm_sfence();	/* a release store alone does not order these stores */
	return 0;
}

/*
 * The choice is based on the GB/s of
 *
 *	shmipc bench copier --size 1k,2k,4k,8k,16k,32k,64k,1m,64m
 *
 * on an AMD EPYC 9005 (Zen 5), with both CPUs sharing a cache, and not.
 * It is fixed, because a measurement in each process would cost some milliseconds at
 * start, and would depend on what else the machine did at that time.
 *
 * Into shared memory, the string instruction writes whole lines without reading them
 * from the core that has them. From 4 KiB on this is 1.5 times (shared cache) to 2.4
 * times (separate caches) as fast, from 64 KiB on 2.5 to 5 times; for smaller copies
 * its start costs more. Out of shared memory it cannot save reads, and into memory of
 * the reader that is in its cache it is slow: a topic of 16 KiB messages moves 17 GB/s
 * with it and 58 GB/s with 32 bytes at a time (shared cache; shmipc bench topic
 * --size 16k). 64 bytes at a time were never faster than 32. Stores that bypass the
 * cache were slower than the string instruction at every size, up to 64 MiB.
 */
#define IN_STRING_MIN	((size_t)4 << 10)

__attribute__((target("avx2")))
int shmipc_copy_auto_avx2_in(void *dst, const void *src, size_t n, void *arg)
{
	return n < IN_STRING_MIN ? copy32(dst, src, n, arg) : shmipc_copy_movsb(dst, src, n, arg);
}

int shmipc_copy_auto_base_in(void *dst, const void *src, size_t n, void *arg)
{
	return n < IN_STRING_MIN ? shmipc_copy_plain_in(dst, src, n, arg) :
				   shmipc_copy_movsb(dst, src, n, arg);
}

#endif /* SHMIPC_COPIER_X86 */
