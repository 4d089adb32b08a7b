// SPDX-License-Identifier: MIT
/*
 * kernel.c - the widest loads and stores of this CPU
 *
 * The binary runs on any CPU of its architecture; the choice is made at start.
 * bench_sum_wide() returns the sum of all 64-bit words, the last one padded with zero
 * bytes: every byte is loaded, and the compiler cannot omit any because the caller
 * compares the sum.
 */
#include <string.h>

#include "bench.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* Both x86-64 and aarch64 always have 16 bytes. */
typedef uint64_t vec16 __attribute__((vector_size(16), aligned(1), may_alias));

static uint64_t sum_tail(const unsigned char *p, size_t n)
{
	uint64_t word, sum = 0;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&word, p, 8);
		sum += word;
	}
	word = 0;
	memcpy(&word, p, n);
	return sum + word;
}

static void fill_base(void *dst, size_t n, uint64_t value)
{
	unsigned char *p = dst;
	vec16 v = { value, value };

	for (; n >= 64; p += 64, n -= 64) {
		*(vec16 *)(void *)p = v;
		*(vec16 *)(void *)(p + 16) = v;
		*(vec16 *)(void *)(p + 32) = v;
		*(vec16 *)(void *)(p + 48) = v;
	}
}

static uint64_t sum_base(const void *src, size_t n)
{
	const unsigned char *p = src;
	vec16 a = { 0, 0 }, b = a, c = a, d = a;

	for (; n >= 64; p += 64, n -= 64) {
		a += *(const vec16 *)(const void *)p;
		b += *(const vec16 *)(const void *)(p + 16);
		c += *(const vec16 *)(const void *)(p + 32);
		d += *(const vec16 *)(const void *)(p + 48);
	}
	a += b + c + d;
	return a[0] + a[1] + sum_tail(p, n);
}

#if defined(__x86_64__)
/*
 * Whole lines at once, in microcode: some CPUs then write a line without reading it
 * first, which doubles the rate if another core's cache has it.
 */
static void fill_rep(void *dst, size_t n, uint64_t value)
{
	n /= 8;
	__asm__ __volatile__("rep stosq" : "+D"(dst), "+c"(n) : "a"(value) : "memory");
}

__attribute__((target("avx2")))
static void fill_avx2(void *dst, size_t n, uint64_t value)
{
	unsigned char *p = dst;
	__m256i v = _mm256_set1_epi64x((long long)value);

	for (; n >= 64; p += 64, n -= 64) {
		_mm256_storeu_si256((__m256i *)(void *)p, v);
		_mm256_storeu_si256((__m256i *)(void *)(p + 32), v);
	}
}

__attribute__((target("avx2")))
static uint64_t sum_avx2(const void *src, size_t n)
{
	const unsigned char *p = src;
	__m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
	uint64_t part[4];

	for (; n >= 128; p += 128, n -= 128) {
		a = _mm256_add_epi64(a, _mm256_loadu_si256((const __m256i *)(const void *)p));
		b = _mm256_add_epi64(b, _mm256_loadu_si256((const __m256i *)(const void *)(p + 32)));
		c = _mm256_add_epi64(c, _mm256_loadu_si256((const __m256i *)(const void *)(p + 64)));
		d = _mm256_add_epi64(d, _mm256_loadu_si256((const __m256i *)(const void *)(p + 96)));
	}
	a = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
	_mm256_storeu_si256((__m256i *)(void *)part, a);
	return part[0] + part[1] + part[2] + part[3] + sum_base(p, n);
}

__attribute__((target("avx512f")))
static void fill_avx512(void *dst, size_t n, uint64_t value)
{
	unsigned char *p = dst;
	__m512i v = _mm512_set1_epi64((long long)value);

	for (; n >= 64; p += 64, n -= 64)
		_mm512_storeu_si512(p, v);
}

__attribute__((target("avx512f")))
static uint64_t sum_avx512(const void *src, size_t n)
{
	const unsigned char *p = src;
	__m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
	__m256i half;
	__m128i quarter;

	for (; n >= 256; p += 256, n -= 256) {
		a = _mm512_add_epi64(a, _mm512_loadu_si512(p));
		b = _mm512_add_epi64(b, _mm512_loadu_si512(p + 64));
		c = _mm512_add_epi64(c, _mm512_loadu_si512(p + 128));
		d = _mm512_add_epi64(d, _mm512_loadu_si512(p + 192));
	}
	for (; n >= 64; p += 64, n -= 64)
		a = _mm512_add_epi64(a, _mm512_loadu_si512(p));
	a = _mm512_add_epi64(_mm512_add_epi64(a, b), _mm512_add_epi64(c, d));
	/* _mm512_reduce_add_epi64() of some compilers adds signed numbers, which must not overflow. */
	half = _mm256_add_epi64(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
	quarter = _mm_add_epi64(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
	return (uint64_t)_mm_cvtsi128_si64(quarter) + (uint64_t)_mm_extract_epi64(quarter, 1) +
	       sum_tail(p, n);
}
#endif

void (*bench_fill)(void *dst, size_t n, uint64_t value) = fill_base;
void (*bench_fill_string)(void *dst, size_t n, uint64_t value) = fill_base;
uint64_t (*bench_sum_wide)(const void *src, size_t n) = sum_base;
static const char *name = "16-byte";

void bench_kernel_init(void)
{
#if defined(__x86_64__)
	bench_fill_string = fill_rep;
	if (__builtin_cpu_supports("avx512f")) {
		bench_fill = fill_avx512;
		bench_sum_wide = sum_avx512;
		name = "AVX-512";
	} else if (__builtin_cpu_supports("avx2")) {
		bench_fill = fill_avx2;
		bench_sum_wide = sum_avx2;
		name = "AVX2";
	}
#endif
}

const char *bench_kernel_name(void)
{
	return name;
}
