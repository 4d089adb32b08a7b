/* SPDX-License-Identifier: MIT */
/*
 * copier.h - how payloads get into shared memory and out of it
 *
 * A copier is a table of four functions. An endpoint uses the library's unless
 * its user gives another: one that is faster for these sizes on this machine, or
 * one whose private memory is somewhere else than usual.
 *
 * The latter is the place of a copier for a GPU: its alloc() returns memory of
 * the device, which the CPU perhaps cannot touch at all, and to_shm() and
 * from_shm() move bytes between that and shared memory. So whoever uses a copier
 * hands on what alloc() gave, compares it with NULL, and does nothing else with
 * it: no look at the bytes, no memset(), no arithmetic but inside of the range.
 *
 * The other side may write where from_shm() reads, and read where to_shm()
 * writes, at the same moment; a reader of an overwriting log is lapped like that.
 * Then the copied bytes are a mixture, and the caller finds out afterwards and
 * throws them away. A copier therefore looks at no byte to decide anything, and
 * touches nothing outside of the two ranges.
 */
#ifndef SHMIPC_COPIER_H
#define SHMIPC_COPIER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct shmipc_copier - the functions of a copier
 * @struct_bytes: sizeof this struct; lets it grow
 * @name:         for people; lives as long as the copier
 * @alloc:        private memory for from_shm() to write to and to_shm() to read
 *                from; NULL without memory
 * @free:         gives it back; NULL is nothing
 * @to_shm:       @n bytes from private memory into shared memory. When it returns,
 *                they are there: a release store that follows publishes them
 * @from_shm:     @n bytes from shared memory into private memory. When it returns,
 *                all have been read
 * @arg:          handed to each of the functions
 *
 * @alloc and @free may both be NULL: memory of the C library, aligned to 64.
 * The copies return 0 or a negative error code. @n may be 0; nothing is aligned.
 * Any thread may call them, also several at a time.
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

/**
 * shmipc_copier_find - one that the library has
 * @ret:  valid for ever
 * @name: "plain"   memcpy()
 *        "movsb"   the string instruction of x86
 *        "avx2"    loads and stores of 32 bytes
 *        "avx512"  of 64 bytes
 *        "nt"      stores that go around the cache, and a fence
 *        "mt"      several threads at once for large payloads
 *        "auto"    one of these by size, direction and processor, never "mt"
 *
 * On processors other than x86-64 there are plain, mt and auto.
 *
 * Return: 0; -ENOENT: no such name; -EOPNOTSUPP: this processor lacks it.
 */
int shmipc_copier_find(const struct shmipc_copier **ret, const char *name);

/**
 * shmipc_copier_each - all that the library has on this kind of processor
 * @fn:  gets the copier, and 0 or -EOPNOTSUPP as shmipc_copier_find() would say.
 *       If it returns anything but 0, that ends the walk and is returned
 * @arg: handed to @fn
 */
int shmipc_copier_each(int (*fn)(const struct shmipc_copier *copier, int err, void *arg),
		       void *arg);

/**
 * shmipc_copier_mt_close - end the threads of "mt"
 *
 * They are made by the first large copy: as many as there are processors for the
 * calling thread but one, 7 at most. This ends them and joins them. A copy that is
 * going on is finished by its caller alone; a later one makes new threads. A
 * child of fork() begins without them. Any thread may call this, at any time.
 */
void shmipc_copier_mt_close(void);

#ifdef __cplusplus
}
#endif
#endif /* SHMIPC_COPIER_H */
