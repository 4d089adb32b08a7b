// SPDX-License-Identifier: MIT
/* copier.c - the table of copiers */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "payload/copier.h"

#define PRIVATE_ALIGN	((size_t)64)	/* a cache line */

static void *heap_alloc(size_t bytes, void *arg)
{
	(void)arg;
	if (bytes > SIZE_MAX - PRIVATE_ALIGN)
		return NULL;
	if (!bytes)	/* not NULL, which means "no memory" */
		bytes = 1;
	return aligned_alloc(PRIVATE_ALIGN, (bytes + PRIVATE_ALIGN - 1) & ~(PRIVATE_ALIGN - 1));
}

static void heap_free(void *ptr, void *arg)
{
	(void)arg;
	free(ptr);
}

#ifdef SHMIPC_COPIER_SANITIZED
#define COPY_IN		shmipc_racy_write
#define COPY_OUT	shmipc_racy_read
#else	/* shmipc_racy_write() switches to another method if that is faster */
#define COPY_IN		(void)memcpy
#define COPY_OUT	(void)memcpy
#endif

int shmipc_copy_plain_in(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	COPY_IN(dst, src, n);
	return 0;
}

int shmipc_copy_plain_out(void *dst, const void *src, size_t n, void *arg)
{
	(void)arg;
	COPY_OUT(dst, src, n);
	return 0;
}

#ifdef SHMIPC_COPIER_SANITIZED
#define WAYS(in, out)	.to_shm = shmipc_copy_plain_in, .from_shm = shmipc_copy_plain_out
#else
#define WAYS(in, out)	.to_shm = (in), .from_shm = (out)
#endif
#define BOTH_WAYS(fn)	WAYS(fn, fn)
#define COPIER(text)	.struct_bytes = sizeof(struct shmipc_copier), .name = (text), \
			.alloc = heap_alloc, .free = heap_free

/* Of several with the same name, the first that the processor can run is used. */
static const struct {
	struct shmipc_copier copier;
	uint32_t need;		/* SHMIPC_CPU_* */
} table[] = {
	{ .copier = { COPIER("plain"), .to_shm = shmipc_copy_plain_in,
		      .from_shm = shmipc_copy_plain_out } },
#ifdef SHMIPC_COPIER_X86
	{ .copier = { COPIER("movsb"), BOTH_WAYS(shmipc_copy_movsb) } },
	{ .copier = { COPIER("avx2"), BOTH_WAYS(shmipc_copy_avx2) }, .need = SHMIPC_CPU_AVX2 },
	{ .copier = { COPIER("avx512"), BOTH_WAYS(shmipc_copy_avx512) },
	  .need = SHMIPC_CPU_AVX512 },
	{ .copier = { COPIER("nt"), BOTH_WAYS(shmipc_copy_nt) } },
#endif
	{ .copier = { COPIER("mt"), .to_shm = shmipc_copy_mt_in, .from_shm = shmipc_copy_mt_out } },
#ifdef SHMIPC_COPIER_X86
	{ .copier = { COPIER("auto"), WAYS(shmipc_copy_auto_avx2_in, shmipc_copy_avx2) },
	  .need = SHMIPC_CPU_AVX2 | SHMIPC_CPU_STRING },
	{ .copier = { COPIER("auto"), WAYS(shmipc_copy_auto_base_in, shmipc_copy_plain_out) },
	  .need = SHMIPC_CPU_STRING },
#endif
	/* The C library optimises memcpy() for each processor. */
	{ .copier = { COPIER("auto"), .to_shm = shmipc_copy_plain_in,
		      .from_shm = shmipc_copy_plain_out } },
};
#define COUNT (sizeof(table) / sizeof(table[0]))

static int usable(size_t i)
{
	return table[i].need & ~shmipc_copier_cpu() ? -EOPNOTSUPP : 0;
}

/* The first with this name that can be used; else the last one; COUNT: none. */
static size_t find(const char *name)
{
	size_t i, found = COUNT;

	for (i = 0; i < COUNT; i++) {
		if (strcmp(table[i].copier.name, name))
			continue;
		found = i;
		if (!usable(i))
			break;
	}
	return found;
}

const struct shmipc_copier *shmipc_copier_auto(void)
{
	return &table[find("auto")].copier;
}

SHMIPC_EXPORT int shmipc_copier_find(const struct shmipc_copier **ret, const char *name)
{
	size_t i = name ? find(name) : COUNT;

	if (!ret || !name)
		return shmipc_null(__func__, "ret or name");
	if (i < COUNT && !usable(i)) {
		*ret = &table[i].copier;
		return 0;
	}
	if (i < COUNT)
		return shmipc_fail(-EOPNOTSUPP, "shmipc: copier \"%s\": this processor lacks the instructions that it needs (EOPNOTSUPP); use \"auto\"",
				   name);
	return shmipc_fail(-ENOENT, "shmipc: copier \"%.40s\": no copier has that name (ENOENT); shmipc_copier_each() lists them, \"auto\" always exists",
			   name);
}

SHMIPC_EXPORT int shmipc_copier_each(int (*fn)(const struct shmipc_copier *copier, int err,
					       void *arg), void *arg)
{
	int ret = 0;
	size_t i;

	if (!fn)
		return shmipc_null(__func__, "fn");
	for (i = 0; i < COUNT && !ret; i++)
		if (find(table[i].copier.name) == i)
			ret = fn(&table[i].copier, usable(i), arg);
	return ret;
}

/**
 * shmipc_copier_read - take a private copy of a user's copier
 * @ret:  alloc and free may be NULL: memory of the C library
 * @user: from any version of the header; NULL: "auto"
 * @what: for the text
 *
 * Return: 0; -EINVAL, -E2BIG with a text.
 */
int shmipc_copier_read(struct shmipc_copier *ret, const struct shmipc_copier *user, const char *what)
{
	struct shmipc_copier c;
	int err;

	if (!user) {
		*ret = *shmipc_copier_auto();
		return 0;
	}
	err = shmipc_sized_read(&c, sizeof(c), user, what);
	if (err)
		return err;
	if (!c.name)
		c.name = "unnamed";
	if (!c.to_shm || !c.from_shm || !c.alloc != !c.free)
		return shmipc_fail(-EINVAL, "shmipc: %s \"%s\": %s (EINVAL)", what, c.name,
				   !c.to_shm ? "to_shm is NULL" :
				   !c.from_shm ? "from_shm is NULL" :
				   "alloc and free must both be set, or both be NULL");
	*ret = c;
	return 0;
}
