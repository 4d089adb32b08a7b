/* SPDX-License-Identifier: MIT */
/*
 * copier.h - copy payloads into and out of shared memory
 *
 * A copier is a table of four functions. An end uses one of the library's unless
 * the user supplies another: one that is faster for the sizes at hand, or one
 * whose private memory is special.
 *
 * The latter allows a copier for a GPU: its alloc() returns memory of the device,
 * which the CPU may be unable to access, and to_shm() and from_shm() move bytes
 * between that and shared memory. So the user of a copier may only pass on the
 * result of alloc() and compare it with NULL: it must not access the bytes, not
 * even by memset(), and must do no arithmetic beyond the range.
 *
 * The other side may write where from_shm() reads, and read where to_shm()
 * writes, at the same time; this happens when a reader of an overwriting log is
 * lapped. Then the copied bytes are a mixture; the caller detects this afterwards
 * and discards them. A copier must therefore not base any decision on the bytes,
 * and must not access anything outside the two ranges.
 */
#ifndef SHMIPC_COPIER_H
#define SHMIPC_COPIER_H

#include <stddef.h>
#include <stdint.h>
#include <shmipc/inline/sized.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct shmipc_copier - the functions of a copier
 * @struct_bytes: sizeof this struct, as the caller knows it
 * @name:         for people; lives as long as the copier
 * @alloc:        allocates private memory for from_shm() to write to and to_shm() to read
 *                from; NULL if there is none
 * @free:         frees it; NULL is ignored
 * @to_shm:       @n bytes from private memory into shared memory. When it returns,
 *                they are there: a release store that follows publishes them
 * @from_shm:     @n bytes from shared memory into private memory. When it returns,
 *                all have been read
 * @arg:          passed to each of the functions
 *
 * @alloc and @free may both be NULL: memory of the C library, aligned to 64.
 * The copying functions return 0 or a negative error code. @n may be 0; nothing
 * need be aligned. Several threads may call them at a time.
 */
struct shmipc_copier {
	uint64_t struct_bytes;
	const char *name;
	void *(*alloc)(size_t bytes, void *arg);
	void (*free)(void *ptr, void *arg);
	int (*to_shm)(void *dst, const void *src, size_t n, void *arg);
	int (*from_shm)(void *dst, const void *src, size_t n, void *arg);
	void *arg;
};

#define SHMIPC_COPIER(...)	SHMIPC_PRIV_SIZED(struct shmipc_copier, __VA_ARGS__)

/**
 * shmipc_copier_find - find one of the library's copiers
 * @ret:  valid forever
 * @name: "plain"   memcpy()
 *        "movsb"   the string instruction of x86
 *        "avx2"    loads and stores of 32 bytes
 *        "avx512"  of 64 bytes
 *        "nt"      stores that bypass the cache, and a fence
 *        "mt"      several threads for large payloads
 *        "auto"    the fastest by size, direction and processor; never "mt"
 *
 * Processors other than x86-64 have plain, mt and auto only.
 *
 * Return: 0; -ENOENT: no such name; -EOPNOTSUPP: this processor lacks it.
 */
int shmipc_copier_find(const struct shmipc_copier **ret, const char *name);

/**
 * shmipc_copier_each - visit the copiers for this kind of processor
 * @fn:  called with each copier, and the error that shmipc_copier_find() would return.
 *       A return value other than 0 ends the walk and is returned
 * @arg: passed to @fn
 */
int shmipc_copier_each(int (*fn)(const struct shmipc_copier *copier, int err, void *arg),
		       void *arg);

/**
 * shmipc_copier_mt_close - end the threads of "mt"
 *
 * The first large copy starts them: one less than the processors that the calling
 * thread may use, and at most 7. This function ends and joins them. A copy in
 * progress is finished by its caller alone; a later one starts new threads. A
 * child of fork() begins without them. Any thread may call this, at any time.
 */
void shmipc_copier_mt_close(void);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_COPIER_H */
